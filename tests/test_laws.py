"""Laws that every recurrent layer obeys, with shapes and weights drawn by hypothesis."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import (
    ARCHITECTURES,
    CELLS,
    FRAMEWORKS,
    as_numpy,
    close,
    flat,
    gradients,
    lab,
    network,
    random_state,
    randomise,
    rebuild,
)

pytestmark = pytest.mark.parametrize("framework", FRAMEWORKS)
ONE_WAY = ["one", "stack"]


@st.composite
def cases(draw, architectures=tuple(ARCHITECTURES)):
    """A network's description, inputs, a state's seed and lengths."""
    B, T = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    I, H = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return {
        "kind": draw(st.sampled_from(CELLS)),
        "architecture": draw(st.sampled_from(architectures)),
        "sizes": (I, H),
        "shape": (B, T, I),
        "lengths": draw(st.lists(st.integers(0, T), min_size=B, max_size=B)),
        "seed": draw(st.integers(0, 1000)),
    }


def setting(framework, case):
    """The layer, inputs and state of a case."""
    rng = np.random.default_rng(case["seed"])
    layer = network(framework, case["kind"], case["architecture"], *case["sizes"])
    randomise(framework, layer, case["seed"])
    xs = rng.normal(size=case["shape"])
    return layer, xs, random_state(layer, case["shape"][0], rng)


few = settings(max_examples=15, deadline=None, derandomize=True)


@few
@given(case=cases(ONE_WAY), cut=st.integers(0, 6))
def test_a_run_split_in_two_with_the_state_carried_is_the_whole_run(framework, case, cut):
    layer, xs, state = setting(framework, case)
    cut = min(cut, xs.shape[1])
    ys, final = layer(xs, state)
    first, middle = layer(xs[:, :cut], state)
    second, end = layer(xs[:, cut:], middle)
    close(np.concatenate([as_numpy(first), as_numpy(second)], axis=1), ys)
    close(flat(end), flat(final))


@few
@given(case=cases())
def test_padding_changes_nothing(framework, case):
    layer, xs, state = setting(framework, case)
    lengths = case["lengths"]
    T = xs.shape[1]
    valid = np.arange(T) < np.asarray(lengths)[:, None]
    rng = np.random.default_rng(0)
    weight_ys = rng.normal(size=(*xs.shape[:2], layer.output_size))
    weight_state = [rng.normal(size=a.shape) for a in flat(state)]
    clean = np.where(valid[:, :, None], xs, 0.0)
    ys, final = layer(clean, state, lengths)
    expected = gradients(framework, layer, clean, state, lengths, weight_ys, weight_state)
    assert (as_numpy(ys)[~valid] == 0).all()
    for junk in (np.nan, 1e30, -np.inf):
        dirty = np.where(valid[:, :, None], xs, junk)
        dirty_ys, dirty_final = layer(dirty, state, lengths)
        close(dirty_ys, ys, 0)
        close(flat(dirty_final), flat(final), 0)
        got = gradients(framework, layer, dirty, state, lengths, weight_ys, weight_state)
        assert (got["xs"][~valid] == 0).all()
        for name in expected:
            close(got[name], expected[name], 0)


@few
@given(case=cases())
def test_a_batch_is_its_rows_one_by_one_without_their_padding(framework, case):
    layer, xs, state = setting(framework, case)
    ys, final = layer(xs, state, case["lengths"])
    for b, length in enumerate(case["lengths"]):
        row_state = rebuild(state, [a[b : b + 1] for a in flat(state)])
        row, row_final = layer(xs[b : b + 1, :length], row_state)
        close(as_numpy(ys)[b, :length], as_numpy(row)[0])
        close([a[b] for a in flat(final)], [a[0] for a in flat(row_final)])


@few
@given(case=cases())
def test_length_0_keeps_the_state(framework, case):
    layer, xs, state = setting(framework, case)
    ys, final = layer(xs, state, [0] * len(xs))
    assert (as_numpy(ys) == 0).all()
    close(flat(final), flat(state), 0)


@few
@given(case=cases(), order_seed=st.integers(0, 100))
def test_permuting_the_batch_permutes_the_result(framework, case, order_seed):
    layer, xs, state = setting(framework, case)
    order = np.random.default_rng(order_seed).permutation(len(xs))
    lengths = np.asarray(case["lengths"])
    ys, final = layer(xs, state, lengths)
    turned = rebuild(state, [a[order] for a in flat(state)])
    other, other_final = layer(xs[order], turned, lengths[order])
    close(other, as_numpy(ys)[order])
    close(flat(other_final), [a[order] for a in flat(final)])


@few
@given(case=cases(["stack"]))
def test_a_stack_is_its_layers_in_turn(framework, case):
    stack, xs, state = setting(framework, case)
    ys, final = stack(xs, state, case["lengths"])
    states = []
    for layer, part in zip(stack.layers, state, strict=True):
        xs, part = layer(xs, part, case["lengths"])
        states.append(part)
    close(xs, ys)
    close(flat(states), flat(final))


@few
@given(case=cases(["both"]))
def test_the_backward_layer_reads_the_valid_part_from_its_end(framework, case):
    both, xs, state = setting(framework, case)
    ys, (_, bwd_final) = both(xs, state, case["lengths"])
    H = both.fwd.output_size
    for b, length in enumerate(case["lengths"]):
        row_state = rebuild(state[1], [a[b : b + 1] for a in flat(state[1])])
        row, row_final = both.bwd(xs[b : b + 1, :length][:, ::-1].copy(), row_state)
        close(as_numpy(ys)[b, :length, H:], as_numpy(row)[0, ::-1])
        close([a[b] for a in flat(bwd_final)], [a[0] for a in flat(row_final)])


@few
@given(case=cases(["one"]))
def test_reversing_twice_is_the_identity(framework, case):
    import importlib

    layers = importlib.import_module(f"rnnlab.{framework}.layers")
    _, xs, _ = setting(framework, case)
    valid = np.arange(xs.shape[1]) < np.asarray(case["lengths"])[:, None]
    if framework == "numpy":
        order = layers.reversal(*xs.shape[:2], valid)
    else:
        from rnnlab.tensorflow.cells import tensor as to_tf
        from rnnlab.torch.cells import tensor as to_torch

        convert = (
            (lambda x: to_tf("x", x))
            if framework == "tensorflow"
            else (lambda x: to_torch("x", x, next(network("torch", "RNNCell", "one").parameters())))
        )
        xs, valid = convert(xs), convert(valid)
        order = layers.reversal(xs, valid)
    once = layers.reverse(xs, order)
    for b, length in enumerate(case["lengths"]):
        close(as_numpy(once)[b, :length], as_numpy(xs)[b, :length][::-1], 0)
        close(as_numpy(once)[b, length:], as_numpy(xs)[b, length:], 0)
    close(layers.reverse(once, order), xs, 0)


@few
@given(case=cases(["one"]))
def test_all_zero_weights_have_closed_forms(framework, case):
    layer, xs, state = setting(framework, case)
    m = lab(framework)
    m.set_weights(layer, {n: np.zeros_like(w) for n, w in m.get_weights(layer).items()})
    T = xs.shape[1]
    ys, final = layer(xs, state)
    if case["kind"] == "RNNCell":
        close(flat(final), [np.zeros_like(state)])
    elif case["kind"] == "LSTMCell":
        close(final.c, state.c / 2**T)
        close(final.h, np.tanh(state.c / 2**T) / 2)
    else:
        close(flat(final), [state / 2**T])
    close(as_numpy(ys)[:, -1], flat(final)[0])


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("B", "T"), [(0, 3), (2, 0), (0, 0)])
def test_an_empty_batch_and_no_steps_give_empty_results(framework, kind, architecture, B, T):
    layer = network(framework, kind, architecture)
    state = layer.initial_state(B)
    ys, final = layer(np.zeros((B, T, 3)))
    assert tuple(ys.shape) == (B, T, layer.output_size)
    if T == 0:
        close(flat(final), flat(state), 0)
    assert [a.shape for a in flat(final)] == [a.shape for a in flat(state)]
