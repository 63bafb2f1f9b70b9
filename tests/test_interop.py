"""To and from the frameworks' own layers: values, states, gradients, round trips, refusals.

test_native.py compares with the same layers by translations of its own, which do not use interop.
"""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from support import (
    CELLS,
    as_numpy,
    cell,
    close,
    flat,
    gradients,
    lab,
    random_state,
    randomise,
    rebuild,
    tensors,
)
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

B, T, I, H = 4, 5, 3, 2
TORCH = {"RNNCell": nn.RNN, "LSTMCell": nn.LSTM, "GRUCell": nn.GRU}
BUILDERS = {"RNNCell": "SimpleRNN", "LSTMCell": "LSTM", "GRUCell": "GRU"}
TORCH_KINDS = CELLS[:3]
KINDS = [("torch", kind) for kind in TORCH_KINDS] + [("tensorflow", kind) for kind in CELLS]
RAGGED = [5, 1, 3, 4]
CASES = [(n, both, RAGGED) for n in (1, 2, 3) for both in (False, True)]
CASES += [(1, False, None), (1, True, None), (3, True, None)]
IDS = [f"{n} level(s){' both ways' * b}{' ragged' * bool(lengths)}" for n, b, lengths in CASES]


def build(framework, kind, num_layers=1, both=False, dtype="float64"):
    """A usual network of ours with random distinct weights."""
    name, *before = kind.split()
    options = {"reset_after": False} if before else {}
    builder = getattr(lab(framework), BUILDERS[name])
    layer = builder(I, H, num_layers, both, dtype=dtype, **options)
    return randomise(framework, layer)


def torch_native(kind, num_layers=1, both=False, **options):
    """torch.nn's network with random distinct weights, both biases included."""
    torch.manual_seed(0)
    options = {"batch_first": True, "dtype": torch.float64} | options
    native = TORCH[kind](I, H, num_layers, bidirectional=both, **options)
    with torch.no_grad():
        for parameter in native.parameters():
            parameter.normal_(std=0.6)
    return native


def keras_native(kind, num_layers=1, both=False, **options):
    """Keras' layers as a user builds them, with random distinct weights, both biases included."""
    name, *before = kind.split()
    cls = getattr(keras.layers, BUILDERS[name])
    options |= {"reset_after": not before} if name == "GRUCell" else {}
    options = {"return_sequences": True, "return_state": True, "dtype": "float64"} | options
    rng = np.random.default_rng(0)
    natives = []
    for k in range(num_layers):
        native = cls(H, zero_output_for_mask=True, **options)
        if both:
            native = keras.layers.Bidirectional(native, dtype="float64")
        native.build((None, None, I if k == 0 else H * (1 + both)))
        native.set_weights([rng.normal(scale=0.6, size=w.shape) for w in native.get_weights()])
        natives.append(native)
    return natives if num_layers > 1 else natives[0]


def run_torch(native, xs, state, lengths):
    """Outputs and state, padding as zeros, in the caller's order of rows."""
    if lengths is None:
        return native(xs, state)
    packed = pack_padded_sequence(xs, lengths, batch_first=True, enforce_sorted=False)
    ys, state = native(packed, state)
    return pad_packed_sequence(ys, batch_first=True, total_length=T)[0], state


def run_keras(native, xs, state, lengths):
    """Outputs and state of a layer, or of a list of layers."""
    mask = None if lengths is None else tf.sequence_mask(lengths, T)
    if not isinstance(native, list):
        ys, *state = native(xs, initial_state=state, mask=mask)
        return ys, state
    states = []
    for layer, part in zip(native, state, strict=True):
        xs, *part = layer(xs, initial_state=part, mask=mask)
        states.append(part)
    return xs, states


def weight_gradients(kind, found):
    """A cell's gradients in our layout: from PyTorch's four (transposed) or Keras' three arrays.

    Two biases that only act as a sum both have the sum's gradient.
    """
    if len(found) == 4:
        dW_x, dW_h, db, db_h = found[0].T, found[1].T, found[2], found[3]
    else:
        dW_x, dW_h, db = found
        db_h = np.zeros_like(db)
        if db.ndim == 2:
            db, db_h = db
        if kind.startswith("GRU"):  # z r n -> r z n
            order = np.r_[H : 2 * H, 0:H, 2 * H : 3 * H]
            dW_x, dW_h, db, db_h = (g[..., order] for g in (dW_x, dW_h, db, db_h))
    if len(found) == 4 or kind == "GRUCell":
        summed = slice(2 * H if kind == "GRUCell" else None)
        close(db_h[summed], db[summed])
    same = {"W_x": dW_x, "W_h": dW_h, "b": db}
    return same | ({"b_hn": db_h[2 * H :]} if kind == "GRUCell" else {})


def native_results(framework, layer, native, xs, state, lengths, weight_ys, weight_state):
    """-> ys, final state and gradients as support.gradients gives them, through the native."""
    m = lab(framework)
    if framework == "torch":
        x = torch.tensor(xs, requires_grad=True)
        parts = [torch.tensor(a, requires_grad=True) for a in flat(state)]
        start = m.state_to_native(layer, rebuild(state, parts))
        ys, final = run_torch(native, x, start, lengths)
        final = m.state_from_native(layer, final)
        total = (ys * torch.tensor(weight_ys)).sum()
        for part, weight in zip(tensors(final), weight_state, strict=True):
            total = total + (part * torch.tensor(weight)).sum()
        weights = list(native.parameters())
        grads = [g.numpy() for g in torch.autograd.grad(total, [x, *parts, *weights])]
    else:
        x, parts = tf.constant(xs), [tf.constant(a) for a in flat(state)]
        natives = native if isinstance(native, list) else [native]
        weights = [v.value for n in natives for v in n.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch([x, *parts])
            start = m.state_to_native(layer, rebuild(state, parts))
            ys, final = run_keras(native, x, start, lengths)
            final = m.state_from_native(layer, final)
            total = tf.reduce_sum(ys * weight_ys)
            for part, weight in zip(tensors(final), weight_state, strict=True):
                total += tf.reduce_sum(part * weight)
        grads = [g.numpy() for g in tape.gradient(total, [x, *parts, *weights])]
    return ys, final, grads[0], grads[1 : len(parts) + 1], grads[len(parts) + 1 :]


def agree(framework, kind, layer, native, lengths):
    """Assert that a layer of ours and a native compute the same, forwards and backwards."""
    rng = np.random.default_rng(1)
    xs = rng.normal(size=(B, T, I))
    state = random_state(layer, B, rng)
    weight_ys = rng.normal(size=(B, T, layer.output_size))
    weight_state = [rng.normal(size=(B, H)) for _ in flat(state)]
    ys, final = layer(xs, state, lengths)
    expected = gradients(framework, layer, xs, state, lengths, weight_ys, weight_state)
    native_ys, native_final, dxs, dstate, dweights = native_results(
        framework, layer, native, xs, state, lengths, weight_ys, weight_state
    )
    close(native_ys, ys)
    close(flat(native_final), flat(final))
    close(dxs, expected.pop("xs"))
    close(dstate, [expected.pop(f"state {k}") for k in range(len(dstate))])
    size = 4 if framework == "torch" else 3
    prefixes = list(dict.fromkeys(name.rpartition(".")[0] for name in expected))
    assert len(dweights) == size * len(prefixes)
    for k, prefix in enumerate(prefixes):
        found = weight_gradients(kind, dweights[size * k : size * (k + 1)])
        for name, grad in found.items():
            close(grad, expected.pop(f"{prefix}.{name}"))
    assert not expected


@pytest.mark.parametrize(("num_layers", "both", "lengths"), CASES, ids=IDS)
@pytest.mark.parametrize("kind", TORCH_KINDS)
def test_torch_nn_from_ours_computes_the_same(kind, num_layers, both, lengths):
    layer = build("torch", kind, num_layers, both)
    native = lab("torch").to_native(layer)
    assert type(native) is TORCH[kind]
    agree("torch", kind, layer, native, lengths)


@pytest.mark.parametrize(("num_layers", "both", "lengths"), CASES, ids=IDS)
@pytest.mark.parametrize("kind", TORCH_KINDS)
def test_ours_from_torch_nn_computes_the_same(kind, num_layers, both, lengths):
    native = torch_native(kind, num_layers, both)
    agree("torch", kind, lab("torch").from_native(native), native, lengths)


@pytest.mark.parametrize(("num_layers", "both", "lengths"), CASES, ids=IDS)
@pytest.mark.parametrize("kind", CELLS)
def test_keras_from_ours_computes_the_same(kind, num_layers, both, lengths):
    layer = build("tensorflow", kind, num_layers, both)
    agree("tensorflow", kind, layer, lab("tensorflow").to_native(layer), lengths)


@pytest.mark.parametrize(("num_layers", "both"), [(1, False), (2, True)])
@pytest.mark.parametrize("kind", CELLS)
def test_ours_from_keras_computes_the_same(kind, num_layers, both):
    native = keras_native(kind, num_layers, both)
    agree("tensorflow", kind, lab("tensorflow").from_native(native), native, [5, 0, 3, 4])


# Round trips


def same_weights(framework, one, other):
    """Assert equal names and numbers, to the bit."""
    one, other = lab(framework).get_weights(one), lab(framework).get_weights(other)
    assert list(one) == list(other)
    for name in one:
        assert one[name].dtype == other[name].dtype
        close(one[name], other[name], 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize(("framework", "kind"), KINDS)
def test_there_and_back_changes_no_bit(framework, kind, num_layers, both, dtype):
    m = lab(framework)
    layer = build(framework, kind, num_layers, both, dtype)
    native = m.to_native(layer)
    same_weights(framework, m.from_native(native), layer)
    state = random_state(layer, B, np.random.default_rng(0), dtype)
    again = m.state_from_native(layer, m.state_to_native(layer, state))
    close(flat(again), flat(state), 0)
    assert [type(part) for part in again] == [type(part) for part in layer.initial_state(B)]


@pytest.mark.parametrize("kind", TORCH_KINDS)
def test_torch_nn_there_and_back_keeps_the_sum_of_its_two_biases(kind):
    m = lab("torch")
    native = torch_native(kind, 2, True)
    again = m.to_native(m.from_native(native))
    for (name, one), other in zip(native.named_parameters(), again.parameters(), strict=True):
        if name.startswith("weight"):
            close(one, other, 0)
    for (_, _, b, b_h), (_, _, c, c_h) in zip(native.all_weights, again.all_weights, strict=True):
        close(b + b_h, c + c_h, 1e-15)
        if kind == "GRUCell":
            close([b[2 * H :], b_h[2 * H :]], [c[2 * H :], c_h[2 * H :]], 0)
    xs = torch.randn(B, T, I, dtype=torch.float64)
    close(native(xs)[0], again(xs)[0])


@pytest.mark.parametrize(("framework", "kind"), KINDS)
def test_weights_are_copied_and_not_shared(framework, kind):
    m = lab(framework)
    layer = build(framework, kind, 1, True)
    before = m.get_weights(layer)
    native = m.to_native(layer)
    back = m.from_native(native)
    for weight in native.parameters() if framework == "torch" else native.trainable_variables:
        weight.data.zero_() if framework == "torch" else weight.assign(weight * 0)
    for kept in (layer, back):
        assert all((w == before[name]).all() for name, w in m.get_weights(kept).items())


@pytest.mark.parametrize("kind", TORCH_KINDS)
def test_pytorchs_layer_becomes_keras_and_comes_back(kind):
    pt, tensorflow = lab("torch"), lab("tensorflow")
    native = torch_native(kind, 2, True)
    ours = pt.from_native(native)
    layer = getattr(tensorflow, BUILDERS[kind])(I, H, 2, True, dtype="float64")
    tensorflow.set_weights(layer, pt.get_weights(ours))
    natives = tensorflow.to_native(layer)
    xs = np.random.default_rng(0).normal(size=(B, T, I))
    ys = xs
    for level in natives:
        ys, *_ = level(ys)
    close(ys, native(torch.tensor(xs))[0])
    pt.set_weights(ours, tensorflow.get_weights(tensorflow.from_native(natives)))
    close(pt.to_native(ours)(torch.tensor(xs))[0], native(torch.tensor(xs))[0])


@pytest.mark.parametrize(("framework", "kind"), KINDS)
def test_a_single_cell_goes_there_and_back(framework, kind):
    m = lab(framework)
    ours = randomise(framework, cell(framework, kind, I, H))
    native = m.to_native(ours)
    assert type(native).__module__.startswith(("torch.nn", "keras."))
    rng = np.random.default_rng(0)
    x, state = rng.normal(size=(B, I)), random_state(ours, B, rng)
    h, new = ours(x, state)
    if framework == "torch":
        x = torch.tensor(x)
    native_new = native(x, ours.check_state(state, B))
    native_new = native_new[1] if framework == "tensorflow" else native_new
    close(flat(native_new), flat(new))
    close(flat(native_new)[0], h)
    same_weights(framework, m.from_native(native), ours)


# States: the order is what everyone asks for


def numbered(layer):
    """A state whose parts hold their own names: 100 level + 10 direction + (0 for h, 1 for c)."""

    def part(number):
        return np.full((B, H), float(number))

    def one(level, way):
        h, c = part(100 * level + 10 * way), part(100 * level + 10 * way + 1)
        return (h, c) if "LSTM" in type(layer.layers[0].fwd.cell).__name__ else h

    return tuple((one(level, 0), one(level, 1)) for level in range(len(layer.layers)))


def numbers(tensor):
    """The number of every part of a state."""
    return as_numpy(tensor)[..., 0, 0].tolist()


def test_the_order_of_pytorchs_states():
    m = lab("torch")
    layer = m.LSTM(I, H, 2, True, dtype="float64")
    h, c = m.state_to_native(layer, numbered(layer))
    assert h.shape == c.shape == (4, B, H)
    assert numbers(h) == [0, 10, 100, 110]
    assert numbers(c) == [1, 11, 101, 111]
    layer = m.GRU(I, H, 2, True, dtype="float64")
    assert numbers(m.state_to_native(layer, numbered(layer))) == [0, 10, 100, 110]


def test_the_order_of_keras_states():
    m = lab("tensorflow")
    layer = m.LSTM(I, H, 2, True, dtype="float64")
    lists = m.state_to_native(layer, numbered(layer))
    assert [[numbers(t) for t in part] for part in lists] == [[0, 1, 10, 11], [100, 101, 110, 111]]
    layer = m.GRU(I, H, 2, True, dtype="float64")
    lists = m.state_to_native(layer, numbered(layer))
    assert [[numbers(t) for t in part] for part in lists] == [[0, 10], [100, 110]]


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_a_stack_in_a_stack_is_one_stack(framework):
    m = lab(framework)

    def layer(size, seed):
        return m.RNN(m.LSTMCell(size, H, seed=seed, dtype="float64"))

    nested = m.Stack([m.Stack([layer(I, 0), layer(H, 1)]), m.Stack([layer(H, 2)])])
    randomise(framework, nested)
    agree(framework, "LSTMCell", nested, m.to_native(nested), RAGGED)
    flattened = m.from_native(m.to_native(nested))
    assert [type(part) for part in flattened.layers] == [m.RNN] * 3
    pair = m.Bidirectional(m.Stack([layer(I, 0)]), m.Stack([layer(I, 1)]))  # towers of one level
    randomise(framework, pair)
    agree(framework, "LSTMCell", pair, m.to_native(pair), RAGGED)


def test_a_stack_of_one_is_a_list_of_one_in_keras_and_one_level_in_torch_nn():
    for framework in ("torch", "tensorflow"):
        m = lab(framework)
        one = m.Stack([build(framework, "GRUCell")])
        again = m.from_native(m.to_native(one))
        assert type(again) is (m.RNN if framework == "torch" else m.Stack)
        agree(framework, "GRUCell", one, m.to_native(one), RAGGED)


# What only one of the two knows


@pytest.mark.parametrize("kind", TORCH_KINDS)
@pytest.mark.parametrize("options", [{"bias": False}, {"batch_first": False}])
def test_torch_nn_in_its_other_forms(kind, options):
    native = torch_native(kind, 2, True, **options)
    layer = lab("torch").from_native(native)
    xs = torch.randn(B, T, I, dtype=torch.float64)
    turned = xs if native.batch_first else xs.transpose(0, 1)
    ys = native(turned)[0]
    close(layer(xs)[0], ys if native.batch_first else ys.transpose(0, 1))


@pytest.mark.parametrize("cls", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
@pytest.mark.parametrize("bias", [True, False])
def test_torch_nn_cells(cls, bias):
    native = cls(I, H, bias=bias, dtype=torch.float64)
    ours = lab("torch").from_native(native)
    x = torch.randn(B, I, dtype=torch.float64)
    state = random_state(ours, B, np.random.default_rng(0))
    close(flat(ours(x, state)[1]), flat(native(x, ours.check_state(state, B))))


def test_torch_nn_dropout_is_nothing_in_eval_mode_and_at_one_level():
    m = lab("torch")
    native = torch_native("LSTMCell", 2, dropout=0.5).eval()
    xs = torch.randn(B, T, I, dtype=torch.float64)
    close(m.from_native(native)(xs)[0], native(xs)[0])
    one = torch_native("LSTMCell")
    one.dropout = 0.5  # as torch itself does, with a warning, at construction
    close(m.from_native(one)(xs)[0], one(xs)[0])


def test_to_torch_nn_spends_no_random_number():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    for layer in (build("torch", "GRUCell", 2, True), cell("torch", "LSTMCell", I, H)):
        lab("torch").to_native(layer)
    assert torch.equal(torch.get_rng_state(), before)


def test_under_adam_the_sum_of_two_biases_moves_twice_as_fast_as_one():
    layer = build("torch", "LSTMCell")
    native = lab("torch").to_native(layer)
    xs = torch.randn(B, T, I, dtype=torch.float64)
    moved = []
    for network in (layer, native):
        names = [name for name, _ in network.named_parameters() if name.split(".")[-1][0] == "b"]

        def bias(network=network, names=names):
            return sum(network.get_parameter(name).detach().clone() for name in names)

        before = bias()
        network(xs)[0].sum().backward()
        torch.optim.Adam(network.parameters(), lr=0.01).step()
        moved.append(bias() - before)
    close(moved[0].abs(), torch.full((4 * H,), 0.01, dtype=torch.float64), 1e-6)
    close(moved[1], 2 * moved[0], 1e-6)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(
    "options",
    [
        {"use_bias": False},
        {"return_sequences": False, "return_state": False},
        {"activation": tf.tanh, "unroll": True},
    ],
    ids=["no bias", "last output", "unrolled"],
)
def test_keras_in_its_other_forms(kind, options):
    native = keras_native(kind, **options)
    layer = lab("tensorflow").from_native(native)
    xs = np.random.default_rng(0).normal(size=(B, T, I))
    ys, native_ys = layer(xs)[0], native(xs)
    close(ys if options.get("return_sequences", True) else ys[:, -1], flat(native_ys)[0])


@pytest.mark.parametrize("kind", CELLS)
def test_one_input_and_no_bias_in_keras(kind):
    native = built(getattr(keras.layers, BUILDERS[kind.split()[0]])(H, use_bias=False), 1)
    for weight in native.weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    weights = lab("tensorflow").get_weights(lab("tensorflow").from_native(native))
    assert not any(weights[name].any() for name in weights if "cell.b" in name)
    close(
        flat(native(np.ones((B, T, 1), "float32")))[0],
        lab("tensorflow").from_native(native)(np.ones((B, T, 1), "float32"))[0][:, -1],
        1e-6,
    )


@pytest.mark.parametrize("kind", CELLS)
def test_a_keras_rnn_of_a_cell_and_the_cell_alone(kind):
    m = lab("tensorflow")
    inner = m.to_native(randomise("tensorflow", cell("tensorflow", kind, I, H)))
    native = keras.layers.RNN(inner, return_sequences=True, dtype="float64")
    xs = np.random.default_rng(0).normal(size=(B, T, I))
    close(native(xs), m.from_native(native)(xs)[0])
    native.cell.trainable = False
    same_weights("tensorflow", m.from_native(native), m.RNN(m.from_native(inner)))


def test_a_keras_sequential_with_a_forget_bias_of_zero():
    m = lab("tensorflow")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((None, I))])
    options = {"return_sequences": True, "unit_forget_bias": False, "dtype": "float64"}
    model.add(keras.layers.LSTM(H, **options))
    model.add(keras.layers.Bidirectional(keras.layers.LSTM(H, **options), dtype="float64"))
    layer = m.from_native(model)
    assert [type(part) for part in layer.layers] == [m.RNN, m.Bidirectional]
    xs = np.random.default_rng(0).normal(size=(B, T, I))
    ys = tf.cast(xs, "float64")
    for native in model.layers:
        ys = native(ys)
    close(layer(xs)[0], ys)
    assert (m.get_weights(layer)["layers.1.bwd.cell.b"] == 0).all()


def test_a_list_of_keras_layers_becomes_a_model_and_a_mask_is_handed_on():
    m = lab("tensorflow")
    layer = build("tensorflow", "GRUCell", 2, True, "float32")
    inputs = keras.Input((None, I))
    ys = keras.layers.Masking(mask_value=9.0)(inputs)
    for native in m.to_native(layer):
        ys, *_ = native(ys)
    model = keras.Model(inputs, ys)
    xs = np.random.default_rng(0).normal(size=(B, T, I)).astype("float32")
    valid = np.arange(T) < np.array(RAGGED)[:, None]
    close(model(np.where(valid[..., None], xs, 9.0)), layer(xs, lengths=RAGGED)[0], 1e-6)


@pytest.mark.parametrize("kind", CELLS)
def test_keras_may_mix_kinds_sizes_and_directions_in_a_stack(kind):
    m = lab("tensorflow")
    mixed = m.Stack(
        [
            m.RNN(m.LSTMCell(I, 4, dtype="float64")),
            m.RNN(cell("tensorflow", kind, 4, H)),
            m.Bidirectional(
                m.RNN(m.GRUCell(H, H, dtype="float64")),
                m.RNN(m.GRUCell(H, H, reset_after=False, dtype="float64")),
            ),
        ]
    )
    randomise("tensorflow", mixed)
    xs = np.random.default_rng(0).normal(size=(B, T, I))
    state = random_state(mixed, B, np.random.default_rng(1))
    ys, final = mixed(xs, state, RAGGED)
    natives = m.to_native(mixed)
    native_ys, states = run_keras(natives, xs, m.state_to_native(mixed, state), RAGGED)
    close(native_ys, ys)
    close(flat(m.state_from_native(mixed, states)), flat(final))
    same_weights("tensorflow", m.from_native(natives), mixed)


# Refusals


def rnn(m, size=I, hidden=H, **options):
    return m.RNN(m.LSTMCell(size, hidden, **options))


def both(m, fwd, bwd):
    return m.Bidirectional(fwd, bwd)


def subclass(cls):
    return type("Mine", (cls,), {})


def towers(m):
    return both(m, m.LSTM(I, H, 2), m.LSTM(I, H, 2, seed=1))


X = np.zeros((B, H), "float32")

TO_NATIVE = [
    (lambda m: "LSTM", TypeError, "layer must be an RNN, Stack or Bidirectional .* got str$"),
    (lambda m: m.LSTM, TypeError, "got function$"),
    (lambda m: m.RNN, TypeError, r"got rnnlab.*layers\.RNN itself$"),
    (lambda m: lab("numpy").LSTM(I, H), TypeError, r"got rnnlab\.numpy\.layers\.RNN$"),
    (lambda m: subclass(m.RNN)(m.LSTMCell(I, H)), TypeError, "subclass may compute .*Mine$"),
    (lambda m: m.RNN(subclass(m.LSTMCell)(I, H)), TypeError,
     r"layer\.cell must be .* subclass may step otherwise.*Mine$"),
    (lambda m: m.Stack([rnn(m), m.RNN(subclass(m.GRUCell)(H, H))]), TypeError,
     r"layer\.layers\[1\]\.cell must be"),
    (towers, ValueError, r"towers.*, to_native\(layer\.fwd\) and to_native\(layer\.bwd\)"),
    (lambda m: both(m, both(m, rnn(m), rnn(m)), rnn(m)), ValueError, "independent towers"),
    (lambda m: m.Stack([rnn(m, 2 * H, I), towers(m)]).layers[1], ValueError, "towers"),
    (lambda m: both(m, rnn(m), rnn(m, I, 3)), ValueError,
     "LSTMCell of 2 units forward and LSTMCell of 3 units backward.*one by one"),
    (lambda m: both(m, rnn(m), m.GRU(I, H)), ValueError, "wants both alike"),
    (lambda m: both(m, subclass(m.RNN)(m.LSTMCell(I, H)), rnn(m)), TypeError,
     r"layer\.fwd must be an RNN"),
    (lambda m: both(m, rnn(m), subclass(m.RNN)(m.LSTMCell(I, H))), TypeError,
     r"layer\.bwd must be an RNN"),
]  # fmt: skip

TO_TORCH = [
    (lambda m: m.GRU(I, H, reset_after=False), r"layer\.cell\.reset_after must be True.*Keras has"),
    (lambda m: m.GRUCell(I, H, reset_after=False), r"layer\.reset_after must be True"),
    (lambda m: m.Stack([rnn(m), rnn(m, H, 3)]),
     "level 0 is LSTMCell of 2 units and level 1 is LSTMCell of 3 units; convert its layers"),
    (lambda m: m.Stack([rnn(m), m.GRU(H, H)]), "level 1 is GRUCell of 2 units"),
    (lambda m: m.Stack([rnn(m), m.LSTM(H, H, 1, True)]),
     "level 1 is LSTMCell of 2 units and LSTMCell of 2 units"),
]  # fmt: skip


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
@pytest.mark.parametrize(("make", "error", "words"), TO_NATIVE)
def test_what_no_native_layer_can_be_is_refused(framework, make, error, words):
    m = lab(framework)
    layer = make(m)
    for call in (
        lambda: m.to_native(layer),
        lambda: m.state_to_native(layer, X),
        lambda: m.state_from_native(layer, X),
    ):
        with pytest.raises(error, match=words):
            call()


@pytest.mark.parametrize(("framework", "target"), [("torch", "torch.nn"), ("tensorflow", "Keras")])
def test_who_joins_the_directions_after_every_level_is_named(framework, target):
    m = lab(framework)
    with pytest.raises(ValueError, match=f"but {target} joins the two directions"):
        m.to_native(towers(m))


@pytest.mark.parametrize(("make", "words"), TO_TORCH)
def test_what_torch_nn_cannot_be_is_refused_and_keras_takes_it(make, words):
    m = lab("torch")
    layer = make(m)
    with pytest.raises(ValueError, match=words):
        m.to_native(layer)
    other = make(lab("tensorflow"))
    same_weights(
        "tensorflow", other, lab("tensorflow").from_native(lab("tensorflow").to_native(other))
    )


def test_the_way_out_of_what_torch_nn_cannot_be():
    m = lab("torch")
    mixed = m.Stack([rnn(m, dtype="float64"), rnn(m, H, 3, dtype="float64")])
    xs = torch.randn(B, T, I, dtype=torch.float64)
    ys = xs
    for native in [m.to_native(part) for part in mixed.layers]:
        ys, _ = native(ys)
    close(mixed(xs)[0], ys)
    apart = both(m, m.LSTM(I, H, 2, dtype="float64"), m.LSTM(I, H, 2, seed=1, dtype="float64"))
    fwd, bwd = m.to_native(apart.fwd), m.to_native(apart.bwd)
    sides = [fwd(xs)[0], bwd(xs.flip(1))[0].flip(1)]
    close(apart(xs)[0], torch.cat(sides, dim=2))


STATES = [
    (lambda m: (m.GRU(I, H), X[:, :1]), ValueError, r"state must have shape \(B, H\) = \(any, 2\)"),
    (lambda m: (m.GRU(I, H, 2), X), TypeError, "tuple of 2, one layer's state each"),
    (lambda m: (m.GRU(I, H, 2), (X, X[:3])), ValueError, r"\(4, 2\), got \(3, 2\)"),
    (lambda m: (m.LSTM(I, H), X), TypeError, r"LSTMState\(h, c\)"),
    (lambda m: (m.LSTM(I, H), (X, X[:3])), ValueError, r"state\.c must have shape"),
    (lambda m: (m.GRU(I, H), X.astype("float64")), TypeError, "state must be float32"),
    (lambda m: (m.GRUCell(I, H), X), TypeError, "layer must be an RNN, Stack or Bidirectional"),
]  # fmt: skip


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
@pytest.mark.parametrize(("make", "error", "words"), STATES)
def test_a_state_that_does_not_fit_is_refused(framework, make, error, words):
    m = lab(framework)
    with pytest.raises(error, match=words):
        m.state_to_native(*make(m))


FROM_TORCH_STATES = [
    ("GRU", 2, X, ValueError, r"state must have 3 axes \(D \* num_layers, B, H\)"),
    ("GRU", 2, X[None], ValueError, r"= \(2, any, 2\), got \(1, 4, 2\)"),
    ("GRU", 1, X[None].astype("float64"), TypeError, "state must be float32"),
    (
        "LSTM",
        1,
        torch.zeros(1, B, H),
        TypeError,
        "^state must be a tuple of 2, h_n and c_n, got Tensor",
    ),
    ("LSTM", 1, (X, X[None]), ValueError, r"state\[0\] must have 3 axes"),
    ("LSTM", 1, (X[None], X), ValueError, r"state\[1\] must have 3 axes"),
    ("LSTM", 1, (X[None], X[None, :3]), ValueError, r"state\.c must have shape"),
    ("GRU", 1, torch.zeros(1, B, H).to_sparse(), TypeError, "^state must be a tensor of numbers"),
]

FROM_KERAS_STATES = [
    ("GRU", 1, X, TypeError, "state must be a tuple of 1, what the layer returns after ys"),
    (
        "GRU",
        2,
        [[X]],
        ValueError,
        "^state must be a tuple of 2, one list of tensors for each level, got 1",
    ),
    ("GRU", 2, [[X], [X, X]], ValueError, r"state\[1\] must be a tuple of 1.*got 2"),
    ("GRU", 1, [X.astype("float64")], TypeError, "state must be float32"),
    ("LSTM", 1, [X], ValueError, "state must be a tuple of 2.*got 1"),
    ("LSTM", 1, [X, X[:3]], ValueError, r"state\.c must have shape"),
]


@pytest.mark.parametrize(
    ("framework", "case"),
    [("torch", case) for case in FROM_TORCH_STATES]
    + [("tensorflow", case) for case in FROM_KERAS_STATES],
)
def test_a_native_state_that_does_not_fit_is_refused(framework, case):
    builder, num_layers, state, error, words = case
    m = lab(framework)
    with pytest.raises(error, match=words):
        m.state_from_native(getattr(m, builder)(I, H, num_layers), state)


def test_states_from_every_notation_are_taken():
    for framework in ("torch", "tensorflow"):
        m = lab(framework)
        layer = m.LSTM(I, H)
        native = (X[None], X[None]) if framework == "torch" else [X, X]  # NumPy's arrays
        assert isinstance(m.state_from_native(layer, native), m.LSTMState)


FROM_TORCH = [
    (lambda: nn.Linear(I, H), TypeError, r"native must be a torch\.nn\.RNN.*got torch.*\.Linear$"),
    (lambda: nn.LSTM, TypeError, "got .*LSTM itself$"),
    (lambda: nn.Sequential(nn.LSTM(I, H)), TypeError, "of a larger module pass the recurrent one"),
    (lambda: subclass(nn.LSTM)(I, H), TypeError, "subclass may compute something else.*Mine$"),
    (lambda: nn.RNN(I, H, nonlinearity="relu"), ValueError,
     "native.nonlinearity must be 'tanh', got 'relu'; .*train a network with tanh"),
    (lambda: nn.RNNCell(I, H, nonlinearity="relu"), ValueError, "must be 'tanh', got 'relu'"),
    (lambda: nn.LSTM(I, 3, proj_size=2), ValueError,
     r"native\.proj_size must be 0, got 2.*projection"),
    (lambda: nn.GRU(I, H, 2, dropout=0.1), ValueError,
     r"native\.dropout must be 0\.0, got 0\.1; .*native\.eval\(\)"),
    (lambda: nn.GRU(I, H).half(), ValueError,
     "^native must compute and keep its weights in one dtype, float32 or float64, got float16"),
    (lambda: with_nan(nn.GRU(I, H)), ValueError, "holds NaN"),
]  # fmt: skip


def with_nan(native):
    with torch.no_grad():
        native.weight_ih_l0[0, 0] = np.nan
    return native


@pytest.mark.parametrize(("make", "error", "words"), FROM_TORCH)
def test_what_ours_cannot_represent_of_torch_nn_is_refused(make, error, words):
    native = make()
    with pytest.raises(error, match=words):
        lab("torch").from_native(native)


def built(native, size=I):
    native.build((B, None, size))
    return native


def lstm(**options):
    return keras.layers.LSTM(H, return_sequences=True, **options)


def twice(**options):
    """A keras.layers.Bidirectional."""
    return built(keras.layers.Bidirectional(lstm(), **options))


def both_of(fwd, bwd):
    return built(keras.layers.Bidirectional(fwd, backward_layer=bwd))


FROM_KERAS = [
    (lambda: keras.layers.Dense(H), TypeError,
     r"native must be a SimpleRNN, LSTM or GRU of keras\.layers.*got keras.*Dense$"),
    (lambda: keras.layers.LSTM, TypeError, "got .*LSTM itself$"),
    (lambda: built(subclass(keras.layers.LSTM)(H)), TypeError, "subclass may compute .*Mine$"),
    (lambda: built(keras.layers.RNN(subclass(keras.layers.LSTMCell)(H))), TypeError,
     r"native\.cell must be a SimpleRNNCell, LSTMCell or GRUCell of keras\.layers, got .*Mine$"),
    (lambda: keras.layers.LSTM(H), ValueError, "native.cell has no weights yet; call the layer on"),
    (lambda: keras.layers.LSTMCell(H), ValueError, "native has no weights yet"),
    (lambda: keras.Sequential([lstm()]), ValueError, r"native\[0\]\.cell has no weights yet"),
    (lambda: keras.Sequential([keras.Input((None, I)), lstm(), keras.layers.Dense(1)]), TypeError,
     r"native\[1\] must be .*model\.layers\[1:3\].*Dense$"),
    (lambda: [], ValueError, "at least one layer, got an empty list"),
    (lambda: [built(lstm())] * 2, ValueError, r"native\[1\] stands in the list twice.*shared"),
    (lambda: [[built(lstm())]], TypeError, r"native\[0\] must be .* got list$"),
    (lambda: [built(lstm()), built(lstm(), 5)], ValueError, "reads 5 features"),
    (lambda: [built(lstm()), built(lstm(dtype="float64"), H)], ValueError, "32, .* is float64"),
    (lambda: built(lstm(activation="relu")), ValueError,
     r"native\.cell\.activation must be 'tanh', got <function relu .*>; our cells have no other: "
     r"train a network with Keras' default activations$"),
    (lambda: built(lstm(recurrent_activation="hard_sigmoid")), ValueError,
     r"native\.cell\.recurrent_activation must be 'sigmoid', got <function hard_sigmoid"),
    (lambda: built(lstm(dropout=0.2)), ValueError,
     r"native\.cell\.dropout must be 0\.0, got 0\.2; .*set native\.cell\.dropout = 0\.0"),
    (lambda: built(lstm(recurrent_dropout=0.2)), ValueError, r"recurrent_dropout must be 0\.0"),
    (lambda: built(lstm(go_backwards=True)), ValueError,
     r"native\.go_backwards must be False, got True; build a layer without it, "
     r"set_weights\(native\.get_weights\(\)\), and reverse what it reads yourself, or make it a "
     r"Bidirectional's backward_layer$"),
    (lambda: built(lstm(stateful=True)), ValueError,
     r"native\.stateful must be False, got True; ours hands its state out: build one without, and "
     r"set_weights\(native\.get_weights\(\)\)$"),
    (lambda: twice(merge_mode="sum"), ValueError,
     r"native\.merge_mode must be 'concat', got 'sum'; ours puts the two side by side: sum or "
     r"multiply the halves of its outputs yourself$"),
    (lambda: twice(merge_mode=None), ValueError, "native.merge_mode must be 'concat', got None"),
    (lambda: both_of(lstm(go_backwards=True), lstm()),
     ValueError, r"native\.forward_layer\.go_backwards must be False, got True"),
    (lambda: both_of(lstm(), lstm(go_backwards=True, dropout=0.2)), ValueError,
     r"native\.backward_layer\.cell\.dropout must be 0\.0"),
    (lambda: built(keras.layers.Bidirectional(lstm(dtype="float64"))), ValueError,
     "native.forward_layer.cell must compute .* got float32 with float64"),
    (lambda: built(lstm(dtype="mixed_float16")), ValueError, "got float16 with float32"),
    (lambda: built(lstm(dtype="float16")), ValueError, "float32 or float64, got float16"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "words"), FROM_KERAS)
def test_what_ours_cannot_represent_of_keras_is_refused(make, error, words):
    native = make()
    with pytest.raises(error, match=words):
        lab("tensorflow").from_native(native)


def test_keras_dropout_can_be_laid_off():
    native = built(lstm(dropout=0.5, dtype="float64"))
    native.cell.dropout = 0.0
    xs = np.random.default_rng(0).normal(size=(B, T, I))
    close(lab("tensorflow").from_native(native)(xs)[0], native(xs, training=True))


# Another backend of Keras


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_with_keras_on_another_backend_all_but_interop_works(backend):
    code = """
import sys
sys.modules["jax"] = None  # whether it is there or not
import numpy as np
import rnnlab.tensorflow as m
layer = m.LSTM(4, 2)
print(*layer(np.zeros((1, 3, 4), "float32"))[0].shape)
for call in (m.to_native, m.from_native):
    try:
        call(layer)
    except ImportError as error:
        print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"KERAS_BACKEND": backend},
    )
    shape, *messages = result.stdout.splitlines()
    assert shape == "1 3 2"
    assert len(messages) == 2
    for message in messages:
        assert f"as its backend, got {backend!r}; set KERAS_BACKEND=tensorflow" in message


def test_a_keras_that_computes_otherwise_or_is_missing_is_told(monkeypatch):
    m = lab("tensorflow")
    layer = m.LSTM(I, H)
    with monkeypatch.context() as patch:
        patch.setattr(keras.config, "backend", lambda: "torch")
        with pytest.raises(ImportError, match=r"got 'torch'; .*~/\.keras/keras\.json"):
            m.to_native(layer)
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(ImportError, match="got 'jax'; set KERAS_BACKEND=tensorflow"):
        m.to_native(layer)
    monkeypatch.delenv("KERAS_BACKEND")
    with pytest.raises(ImportError, match="import of keras"):
        m.from_native(layer)


def test_torch_takes_arrays_that_are_read_backwards():
    """Along an axis of one, too, where NumPy calls such an array contiguous."""
    m = lab("torch")
    layer = m.GRU(4, 3)
    state = np.ones((1, 2, 3), np.float32)
    found = m.state_from_native(layer, state[::-1])
    assert bool((found == 1).all())
    weights = m.get_weights(layer)
    m.set_weights(layer, {name: w[::-1] for name, w in weights.items()})
    for name, weight in m.get_weights(layer).items():
        np.testing.assert_array_equal(weight, weights[name][::-1])
