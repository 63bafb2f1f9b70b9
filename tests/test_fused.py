"""The hand-written loops of rnnlab.torch.fused against autograd led through the readable loop."""

import numpy as np
import pytest
import torch
from support import CELLS, close, flat, gradients, network, random_state, randomise

from rnnlab.torch import RNN, LSTMCell, fused

LENGTHS = {"all valid": None, "ragged": [5, 0, 3, 1]}


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("kind", CELLS)
def test_the_same_values_and_gradients_as_autograd(kind, lengths):
    rng = np.random.default_rng(4)
    layer = randomise("torch", network("torch", kind, "one"))
    assert fused.serves(layer.cell) == (kind != "GRUCell before")
    xs = rng.normal(size=(4, 5, 3))
    state = random_state(layer, 4, rng)
    found = []
    for layer.by_hand in (True, False):
        ys, final = layer(xs, state, lengths)
        weights = np.random.default_rng(5)
        weight_ys = weights.normal(size=tuple(ys.shape))
        weight_state = [weights.normal(size=a.shape) for a in flat(final)]
        grads = gradients("torch", layer, xs, state, lengths, weight_ys, weight_state)
        found.append(([ys, *flat(final)], grads))
    (values, grads), (auto_values, auto_grads) = found
    close(values, auto_values)
    assert grads.keys() == auto_grads.keys()
    for name in grads:
        close(grads[name], auto_grads[name])


@pytest.mark.parametrize("kind", CELLS[:3])
def test_only_the_last_state_or_only_the_outputs_may_have_gradients(kind):
    layer = randomise("torch", network("torch", kind, "one"))
    xs = np.random.default_rng(0).normal(size=(2, 4, 3))
    for pick in (lambda ys, state: ys[:, 1].sum(), lambda ys, state: state[-1].sum()):
        grads = []
        for layer.by_hand in (True, False):
            value = pick(*layer(xs))
            grads.append(torch.autograd.grad(value, list(layer.parameters())))
        close(list(grads[0]), list(grads[1]))


@pytest.mark.parametrize("kind", CELLS[:3])
def test_a_second_derivative_is_refused_clearly(kind):
    layer = network("torch", kind, "one")
    xs = torch.ones(1, 2, 3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"no second derivative.*by_hand = False"):
        torch.autograd.grad(layer(xs)[0].sum(), xs, create_graph=True)
    layer.by_hand = False
    (grad,) = torch.autograd.grad(layer(xs)[0].sum(), xs, create_graph=True)
    grad.sum().backward()


def test_a_subclass_that_steps_otherwise_is_obeyed():
    class Twice(LSTMCell):
        def step(self, a, state):
            h, state = super().step(a, state)
            return 2 * h, state

    xs = torch.ones(1, 3, 2)
    plain, other = RNN(LSTMCell(2, 2))(xs)[0], RNN(Twice(2, 2))(xs)[0]
    close(other, 2 * plain, 1e-6)
