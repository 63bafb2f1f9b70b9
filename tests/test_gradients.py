"""The hand-written backward pass against finite differences, every number of every input."""

import numpy as np
import pytest
from support import (
    ARCHITECTURES,
    CELLS,
    flat,
    gradients,
    network,
    random_state,
    randomise,
    rebuild,
)

from rnnlab.numpy import CharLM, get_weights, set_weights
from rnnlab.text import Batch, Vocabulary

STEP = 1e-6


def differences(value, array):
    """d value / d array by central differences; ``value()`` reads the array afresh each time."""
    grad = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + STEP
        above = value()
        array[index] = kept - STEP
        below = value()
        array[index] = kept
        grad[index] = (above - below) / (2 * STEP)
    return grad


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", CELLS)
def test_without_a_step_there_is_nothing_to_pass_back(kind, architecture):
    layer = network("numpy", kind, architecture, 2, 2)
    xs = np.zeros((3, 0, 2))
    ys, _, tape = layer.record(xs, layer.initial_state(3))
    dxs, dstate, grads = layer.backward(tape, ys)
    assert dxs.shape == xs.shape
    assert [part.shape for part in flat(dstate)] == [a.shape for a in flat(layer.initial_state(3))]
    assert {name: grad.shape for name, grad in grads.items()} == {
        name: weight.shape for name, weight in layer.named_weights().items()
    }
    assert not any(part.any() for part in [*flat(dstate), *grads.values()])


@pytest.mark.parametrize("lengths", [None, [4, 0, 2]], ids=["all valid", "ragged"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", CELLS)
def test_layers_backward(kind, architecture, lengths):
    rng = np.random.default_rng(5)
    layer = randomise("numpy", network("numpy", kind, architecture, 2, 2))
    xs = rng.normal(size=(3, 4, 2))
    state = random_state(layer, 3, rng)
    parts = flat(state)
    ys, final = layer(xs, state, lengths)
    weight_ys = rng.normal(size=ys.shape)
    weight_state = [rng.normal(size=a.shape) for a in flat(final)]

    def value():
        ys, final = layer(xs, rebuild(state, parts), lengths)
        states = zip(flat(final), weight_state, strict=True)
        return (ys * weight_ys).sum() + sum((a * w).sum() for a, w in states)

    got = gradients("numpy", layer, xs, state, lengths, weight_ys, weight_state)
    arrays = {"xs": xs} | {f"state {k}": a for k, a in enumerate(parts)} | layer.named_weights()
    assert got.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_allclose(got[name], differences(value, array), atol=1e-8, err_msg=name)


@pytest.mark.parametrize("lengths", [None, [4, 1]], ids=["all valid", "ragged"])
@pytest.mark.parametrize("kind", CELLS)
def test_language_model_gradients(kind, lengths):
    vocabulary = Vocabulary("abc")
    model = CharLM(vocabulary, network("numpy", kind, "stack", 3, 2))
    rng = np.random.default_rng(6)
    weights = get_weights(model)
    set_weights(model, {n: rng.normal(size=w.shape) for n, w in weights.items()})
    ids = rng.integers(3, size=(2, 2, 4))
    batch = Batch(ids[0], ids[1], lengths)
    state = random_state(model.layer, 2, rng)
    loss, _, grads = model.gradients(batch, state)
    assert loss == pytest.approx(model.loss(batch, state)[0], abs=1e-14)
    arrays = model.named_weights()
    assert grads.keys() == arrays.keys()
    for name, array in arrays.items():
        numeric = differences(lambda: model.loss(batch, state)[0], array)
        np.testing.assert_allclose(grads[name], numeric, atol=1e-8, err_msg=name)
