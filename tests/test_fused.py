"""The hand-written loops (``fused.py``): when they serve, what they refuse, long sequences.

Their numbers are compared wherever the tests go through ``WAYS``.
"""

import functools
import time

import numpy as np
import pytest
import tensorflow as tf
import torch
from support import (
    CELLS,
    WAYS,
    as_numpy,
    close,
    flat,
    gradients,
    lab,
    network,
    random_state,
    randomise,
    rebuild,
    results,
    tensors,
)

TWO = ["torch", "tensorflow"]
THREE = ["numpy", *TWO]


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("framework", THREE)
def test_every_cell_has_a_loop_by_hand_and_a_subclass_none(framework, kind):
    fused = lab(framework).layers.fused
    cell = network(framework, kind, "one").cell
    assert fused.serves(cell)
    assert lab(framework).RNN(cell).by_hand is True
    assert not fused.serves(type("Other", (type(cell),), {})(2, 2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("way", WAYS)
def test_outputs_and_state_have_the_dtype_of_the_inputs(way, kind, dtype):
    layer = network(way, kind, "one", dtype=dtype)
    ys, state = layer(np.ones((2, 4, 3), dtype))
    assert {as_numpy(part).dtype for part in [ys, *flat(state)]} == {np.dtype(dtype)}


def test_onednns_product_is_for_large_ones_in_float32_on_the_cpu(monkeypatch):
    fused = lab("torch").layers.fused
    monkeypatch.setattr(fused, "ONEDNN", fused.ONEDNN or (lambda *given: None))
    monkeypatch.setattr(fused, "onednn_is_sooner", lambda: True)
    large, like = fused.LARGE + 1, torch.ones(1)
    assert fused.by_onednn(large, like) == torch.backends.mkldnn.is_available()
    assert not fused.by_onednn(fused.LARGE, like)
    assert not fused.by_onednn(large, like.double())
    assert not fused.by_onednn(large, like.to("meta"))
    monkeypatch.setattr(fused, "ONEDNN", None)
    assert not fused.by_onednn(large, like)


@pytest.mark.parametrize("framework", THREE)
def test_a_subclass_that_steps_otherwise_is_obeyed(framework):
    m = lab(framework)

    class Twice(m.LSTMCell):
        def step(self, a, state):
            h, state = super().step(a, state)
            return 2 * h, state

    xs = np.ones((1, 3, 2), "float32")
    plain, other = (m.RNN(kind(2, 2))(xs)[0] for kind in (m.LSTMCell, Twice))
    close(other, 2 * plain, 1e-6)


def test_a_numpy_layer_that_records_otherwise_is_obeyed():
    m = lab("numpy")

    class Doubled(m.RNN):
        def record(self, xs, state, valid=None):
            ys, state, tape = super().record(xs, state, valid)
            return 2 * ys, state, tape

    cell, xs = m.LSTMCell(2, 2), np.ones((1, 3, 2), "float32")
    close(Doubled(cell)(xs)[0], 2 * m.RNN(cell)(xs)[0], 1e-6)


@pytest.mark.parametrize("kind", CELLS)
def test_going_back_twice_gives_the_same_in_torch(kind):
    """The loops write into what they keep only on the way forward."""
    layer = network("torch", kind, "one")
    xs = torch.ones(2, 5, 3, dtype=torch.float64, requires_grad=True)
    value = layer(xs)[0].square().sum()
    wanted = [xs, *layer.parameters()]
    first = torch.autograd.grad(value, wanted, retain_graph=True)
    for one, other in zip(first, torch.autograd.grad(value, wanted), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("framework", THREE)
def test_large_finite_inputs_are_taken(framework):
    """Their sum is infinite in float32, and they are not."""
    layer = lab(framework).SimpleRNN(2, 2)
    ys, _ = layer(np.full((2, 2, 2), 1e38, "float32"))
    assert as_numpy(ys).shape == (2, 2, 2)


def slopes(layer, xs, pick):
    """The gradients of a number made of outputs or state alone, by the weights' names."""
    if isinstance(layer, torch.nn.Module):
        value = pick(*layer(xs))
        named = dict(layer.named_parameters())
        return dict(zip(named, torch.autograd.grad(value, list(named.values())), strict=True))
    named = layer.named_weights()
    with tf.GradientTape() as tape:
        value = pick(*layer(xs))
    return dict(zip(named, tape.gradient(value, list(named.values())), strict=True))


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("framework", TWO)
def test_only_the_last_state_or_only_the_outputs_may_have_gradients(framework, kind):
    xs = np.random.default_rng(0).normal(size=(2, 4, 3))
    layers = [
        randomise(way, network(way, kind, "one")) for way in (framework, f"{framework} by autograd")
    ]
    picks = [lambda ys, state: ys[1, 1, 0], lambda ys, state: tensors(state)[-1][1, 0]]
    for pick in picks:
        by_hand, by_autograd = (slopes(layer, xs, pick) for layer in layers)
        for name, slope in by_autograd.items():
            close(by_hand[name], slope)


NO_SECOND = r"no second derivative.*by_hand=False"


@pytest.mark.parametrize("kind", CELLS)
def test_a_second_derivative_is_refused_clearly_in_torch(kind):
    layer = network("torch", kind, "one")
    xs = torch.ones(1, 2, 3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match=NO_SECOND):
        torch.autograd.grad(layer(xs)[0].sum(), xs, create_graph=True)
    with pytest.raises(RuntimeError, match=NO_SECOND):
        layer(xs)[0].sum().backward(create_graph=True)


@pytest.mark.parametrize("inside_a_graph", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_a_second_derivative_is_refused_clearly_in_tensorflow(kind, inside_a_graph):
    layer = network("tensorflow", kind, "one")
    xs = tf.ones((1, 2, 3), tf.float64)

    def curvature(xs, of_weights):
        with tf.GradientTape() as outer:
            outer.watch(xs)
            with tf.GradientTape() as tape:
                tape.watch(xs)
                value = tf.reduce_sum(layer(xs)[0] ** 2)
            gradient = tape.gradient(value, layer.cell.W_h if of_weights else xs)
        return outer.gradient(gradient, xs)

    curvature = tf.function(curvature, autograph=False) if inside_a_graph else curvature
    for of_weights in (True, False):
        with pytest.raises(LookupError, match=NO_SECOND):
            curvature(xs, of_weights)


@pytest.mark.parametrize("kind", CELLS)
def test_by_autograd_a_second_derivative_is_right_in_torch(kind):
    layer = randomise("torch", network("torch by autograd", kind, "one", 2, 2))
    rng = np.random.default_rng(1)
    leaves = [rng.normal(size=(2, 3, 2)), *flat(random_state(layer, 2, rng))]
    leaves = [torch.tensor(array, requires_grad=True) for array in leaves]

    def run(xs, *parts):
        ys, final = layer(xs, rebuild(layer.initial_state(2), parts), [3, 1])
        return ys, (final.c if kind == "LSTMCell" else final)

    assert torch.autograd.gradgradcheck(run, leaves)


@pytest.mark.parametrize("kind", CELLS)
def test_by_the_tape_a_second_derivative_is_right_in_tensorflow(kind):
    """Against torch's: the gradient of the squared norm of the gradient."""
    xs = np.random.default_rng(1).normal(size=(2, 3, 3))
    ours = randomise("tensorflow", network("tensorflow by autograd", kind, "one"))
    theirs = randomise("torch", network("torch by autograd", kind, "one"))
    a = tf.constant(xs)
    with tf.GradientTape() as outer:
        outer.watch(a)
        with tf.GradientTape() as tape:
            tape.watch(a)
            value = tf.reduce_sum(ours(a)[0] ** 2)
        norm = tf.reduce_sum(tape.gradient(value, a) ** 2)
    b = torch.tensor(xs, requires_grad=True)
    (gradient,) = torch.autograd.grad((theirs(b)[0] ** 2).sum(), b, create_graph=True)
    (second,) = torch.autograd.grad((gradient**2).sum(), b)
    close(outer.gradient(norm, a), second)


@pytest.mark.parametrize("framework", THREE)
def test_the_switch_is_checked_at_the_call(framework):
    m = lab(framework)
    with pytest.raises(TypeError, match="by_hand must be True or False, got 1"):
        m.RNN(m.RNNCell(2, 2), by_hand=1)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("framework", THREE)
def test_ten_thousand_steps(framework, kind):
    """Whole = two halves, forward and back: no recursion, nothing that grows but with T."""
    layer = randomise(framework, network(framework, kind, "one", 1, 2))
    xs = np.random.default_rng(2).normal(size=(1, 10_000, 1))
    ys, final = layer(xs)
    half, state = layer(xs[:, :5_000])
    rest, end = layer(xs[:, 5_000:], state)
    close(ys, np.concatenate([as_numpy(half), as_numpy(rest)], axis=1), 1e-12)
    for one, other in zip(flat(final), flat(end), strict=True):
        close(one, other, 1e-12)
    # The far past has no say any more, so the last 5,000 steps give (all but) the whole gradient.
    ones = [np.ones_like(part) for part in flat(final)]

    def of_the_state(xs, start):
        start = rebuild(start, flat(start))
        return gradients(framework, layer, xs, start, None, np.zeros((1, xs.shape[1], 2)), ones)

    whole, late = of_the_state(xs, layer.initial_state(1)), of_the_state(xs[:, 5_000:], state)
    for name in lab(framework).get_weights(layer):
        assert np.abs(whole[name]).max() > 1e-3
        close(whole[name], late[name], 1e-8)


@pytest.mark.parametrize("kind", CELLS)
def test_the_graph_is_as_small_for_many_steps_as_for_few(kind):
    layer = network("tensorflow", kind, "one")

    def nodes(T):
        def step(xs):
            with tf.GradientTape() as tape:
                value = tf.reduce_sum(layer(xs)[0])
            return tape.gradient(value, list(layer.named_weights().values()))

        traced = tf.function(step).get_concrete_function(tf.TensorSpec((2, T, 3), tf.float64))
        graph = traced.graph.as_graph_def()
        return len(graph.node) + sum(len(f.node_def) for f in graph.library.function)

    assert nodes(5_000) == nodes(500) < 1_000


@pytest.mark.parametrize("lengths", [None, [4, 0, 2]], ids=["whole", "ragged"])
@pytest.mark.parametrize("kind", CELLS)
def test_a_few_steps_written_out_give_what_the_loop_gives(kind, lengths, monkeypatch):
    """TensorFlow: up to ``FEW`` steps the graph holds copies of the step, and no loop."""
    fused = lab("tensorflow").layers.fused
    layer = randomise("tensorflow", network("tensorflow", kind, "one"))
    xs, loops, found = np.random.default_rng(3).normal(size=(3, 4, 3)), [], []
    for few in (4, 3):
        monkeypatch.setattr(fused, "FEW", few)

        @tf.function(autograph=False)
        def both(xs):
            with tf.GradientTape() as tape:
                tape.watch(xs)
                ys, state = layer(xs, lengths=lengths)
                value = tf.reduce_sum(ys**2) + sum(tf.reduce_sum(part) for part in tensors(state))
            return ys, tape.gradient(value, [xs, *layer.named_weights().values()])

        traced = both.get_concrete_function(tf.TensorSpec(xs.shape, xs.dtype))
        loops.append(sum("While" in node.op for node in traced.graph.as_graph_def().node))
        ys, grads = both(xs)
        found.append([as_numpy(x) for x in (ys, *grads)])
    assert loops == [0, 2]
    close(*found, 1e-13)


@pytest.mark.parametrize("kind", CELLS)
def test_rounded_products_are_near_the_full_ones_and_not_the_same(kind):
    """TensorFlow: factors of 8 bits, sums of 24; under XLA alone."""
    fused = lab("tensorflow").layers.fused
    layer = network("tensorflow", kind, "one", dtype="float32")
    xs = tf.constant(np.random.default_rng(3).normal(size=(4, 12, 3)), "float32")

    def slopes_of(xs):
        with tf.GradientTape() as tape:
            tape.watch(xs)
            value = tf.reduce_mean(layer(xs)[0] ** 2)
        return tape.gradient(value, [xs, *layer.named_weights().values()])

    def rounded(xs):
        with fused.rounded_products():
            return slopes_of(xs)

    full, rough = (tf.function(way, jit_compile=True)(xs) for way in (slopes_of, rounded))
    apart = [float(tf.norm(a - b) / tf.norm(a)) for a, b in zip(full, rough, strict=True)]
    assert all(1e-5 < distance < 0.02 for distance in apart), apart
    assert not fused.rounding


def test_of_rounded_products_the_inputs_is_one():
    fused, m = lab("tensorflow").layers.fused, lab("tensorflow")
    cell = m.GRUCell(64, 4)
    xs = tf.constant(np.random.default_rng(0).normal(size=(3, 2, 64)).astype("float32"))
    exact = as_numpy(cell.project(xs))
    close(as_numpy(fused.project(cell, xs)), exact, 0)
    with fused.rounded_products():
        rounded = tf.function(lambda: fused.project(cell, xs), jit_compile=True)()
    apart = np.abs(as_numpy(rounded) - exact).max()
    assert 1e-4 < apart < 5e-2


@pytest.mark.parametrize("kind", CELLS)
def test_xla_gives_the_same_numbers(kind):
    layer = randomise("tensorflow", network("tensorflow", kind, "one"))
    xs = tf.constant(np.random.default_rng(3).normal(size=(2, 6, 3)))
    lengths = tf.constant([6, 3])

    def slopes_of(xs, lengths):
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(layer(xs, lengths=lengths)[0] ** 2)
        return tape.gradient(value, list(layer.named_weights().values()))

    for one, other in zip(
        slopes_of(xs, lengths), tf.function(slopes_of, jit_compile=True)(xs, lengths), strict=True
    ):
        close(one, other, 1e-10)


def test_eager_calls_of_many_shapes_are_traced_once_or_twice():
    layer = network("tensorflow", "LSTMCell", "one", 5, 6)
    fused = lab("tensorflow").layers.fused
    loop = fused.in_graph(fused.lstm, 6, "float64", False)
    before = loop.experimental_get_tracing_count()
    for B, T in [(1, 2), (2, 3), (3, 4), (4, 9), (2, 7)]:
        layer(np.ones((B, T, 5)))
    assert loop.experimental_get_tracing_count() - before <= 2


def test_many_layers_and_runs_do_not_look_like_retracing(caplog):
    """TensorFlow warns of a function that is traced again and again; ours are not."""
    m = lab("tensorflow")
    for hidden_size in range(2, 10):
        model = m.Classifier(m.LSTM(3, hidden_size), classes=2)
        xs, targets = np.zeros((2, 3, 3), "float32"), np.array([0, 1])
        m.fit(model, [(xs, targets)], steps=1, lr=0.1, progress=False)
        m.evaluate(model, [(xs, targets)])
        model(xs)
    assert "retracing" not in caplog.text


@pytest.mark.parametrize(
    ("offered", "sooner"),
    [(True, True), (True, False), (False, True)],
    ids=["oneDNN", "torch.mm, being sooner", "torch.mm, being alone"],
)
@pytest.mark.parametrize("kind", CELLS)
def test_large_layers_give_the_same_whoever_multiplies(kind, offered, sooner, monkeypatch):
    """In float32 and at this size PyTorch's loops take oneDNN's product where it is sooner."""
    fused = lab("torch").layers.fused
    assert fused.ONEDNN is not None
    calls = []

    def counting(function):
        def counted(*given):
            calls.append(given)
            return function(*given)

        return counted

    class Counted:
        __call__ = staticmethod(counting(fused.ONEDNN))
        binary = staticmethod(counting(fused.ONEDNN.binary))

    monkeypatch.setattr(fused, "ONEDNN", Counted() if offered else None)
    monkeypatch.setattr(fused, "onednn_is_sooner", lambda: sooner)
    xs = np.random.default_rng(0).normal(size=(64, 3, 96)).astype("float32")
    found = []
    for way in ("torch by autograd", "torch", "torch eagerly"):
        layer = network(way, kind, "one", 96, 256, "float32")
        calls.clear()
        ys, final = layer(xs, lengths=[3] * 32 + [1] * 32)
        (ys.square().sum() + tensors(final)[-1].sum()).backward()
        found.append([ys, *(weight.grad for weight in layer.parameters())])
        assert bool(calls) == (offered and sooner and way != "torch by autograd")
    expected, *found = found
    for by_hand in found:
        for one, other in zip(by_hand, expected, strict=True):
            close(one, other, 1e-5 * float(other.detach().abs().max()) + 1e-5)


@pytest.mark.parametrize(("rows", "calls"), [(2, 3), (64, 10)], ids=["few rows", "many rows"])
def test_a_product_by_a_turned_matrix_is_the_same_however_often_it_is_made(rows, calls):
    fused = lab("torch").layers.fused
    W, h, a = torch.randn(5, 4), torch.randn(rows, 4), torch.randn(rows, 5)
    add, expected = fused.adding(W.T, rows, calls), a + h @ W.T
    close(add(a, h, torch.empty_like(a)), expected, 1e-5)
    close(add(a, h, a), expected, 1e-5)  # in its place


def test_for_a_gpu_steps_are_neither_cut_into_blocks_nor_copied(monkeypatch):
    """It is told each operation, so few are better; a tensor without numbers stands for its own."""
    fused = lab("torch").layers.fused
    monkeypatch.setattr(fused, "CACHED", 8)
    here, elsewhere = torch.zeros(5, 2, 4), torch.zeros(5, 2, 4, device="meta")
    assert fused.blocks(here) == [(k, k + 1) for k in range(5)]
    assert fused.blocks(elsewhere) == [(0, 5)]
    for steps, copied in (here, True), (elsewhere, False):
        for (view,) in fused.in_turn(steps, lambda u: (u,)):
            assert (view._base is not steps) == copied
    monkeypatch.setattr(fused, "WIDE", 0)
    assert all(view._base is here for (view,) in fused.in_turn(here, lambda u: (u,)))


def test_what_is_sooner_is_measured():
    fused = lab("torch").layers.fused
    quick, slow = (functools.partial(time.sleep, seconds) for seconds in (0.001, 0.01))
    assert fused.sooner(quick, slow)
    assert not fused.sooner(slow, quick)
    assert not fused.sooner(quick, quick)  # no clear gain
    for choice in (fused.onednn_is_sooner, fused.sigmoid_is_sooner):
        assert choice() in (True, False)
        assert choice() is choice()  # the same throughout a run, and so the same numbers


@pytest.mark.parametrize("wide", [True, False], ids=["wide", "narrow"])
@pytest.mark.parametrize("by_sigmoid", [True, False], ids=["tanh by σ", "tanh"])
@pytest.mark.parametrize("steps_in_a_block", [1, 3])
@pytest.mark.parametrize("kind", CELLS)
def test_blocks_of_steps_and_both_ways_to_tanh_give_the_same(
    kind, steps_in_a_block, by_sigmoid, wide, monkeypatch
):
    """What the size of a layer decides in PyTorch's eager loops, here with small ones."""
    fused = lab("torch").layers.fused
    gates = {"RNNCell": 1, "LSTMCell": 4}.get(kind, 3)
    monkeypatch.setattr(fused, "CACHED", steps_in_a_block * 3 * gates * 4)
    monkeypatch.setattr(fused, "WIDE", 0 if wide else 10**9)
    monkeypatch.setattr(fused, "sigmoid_is_sooner", lambda: by_sigmoid)
    rng = np.random.default_rng(0)
    xs, found = rng.normal(size=(3, 8, 3)), []
    start = random_state(network("numpy", kind, "one"), 3, rng)
    for way in ("torch eagerly", "torch by autograd"):
        layer = randomise(way, network(way, kind, "one"))
        found.append(results(way, layer, xs, rebuild(start, flat(start)), [8, 5, 0]))
    assert found[0].keys() == found[1].keys()
    for name, array in found[0].items():
        close(array, found[1][name])
