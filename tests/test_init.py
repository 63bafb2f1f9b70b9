"""Initial weights: what they promise, seen through the cells of the three notations."""

import numpy as np
import pytest
from support import CELLS, FRAMEWORKS, cell, lab

from rnnlab import init

GATES = {"RNNCell": 1, "LSTMCell": 4, "GRUCell": 3, "GRUCell before": 3}
pytestmark = pytest.mark.parametrize("kind", CELLS)


def initial(framework, kind, input_size=30, hidden_size=40, **options):
    return lab(framework).get_weights(cell(framework, kind, input_size, hidden_size, **options))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_biases_start_at_0_and_the_forget_gates_at_1(framework, kind):
    weights = initial(framework, kind, 3, 2)
    i_f_g_o = [0, 0, 1, 1, 0, 0, 0, 0]
    expected = i_f_g_o if kind == "LSTMCell" else [0] * (2 * GATES[kind])
    assert weights["b"].tolist() == expected
    assert ("b_hn" in weights) == (kind == "GRUCell")
    assert not weights.get("b_hn", np.zeros(2)).any()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_gate_is_drawn_as_if_it_stood_alone(framework, kind):
    weights = initial(framework, kind)
    gates = GATES[kind]
    limit = np.sqrt(6 / (30 + 40))
    for W_x, W_h in zip(*(np.split(weights[n], gates, 1) for n in ("W_x", "W_h")), strict=True):
        assert 0.99 * limit < np.abs(W_x).max() <= limit  # Glorot's, of 1200 numbers
        assert W_x.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)  # as uniform ones have it
        np.testing.assert_allclose(W_h @ W_h.T, np.eye(40), atol=1e-12)
    drawn = np.split(weights["W_h"], gates, 1)
    assert all(not np.allclose(a, b) for k, a in enumerate(drawn) for b in drawn[:k])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_float32_holds_the_same_numbers_rounded(framework, kind):
    exact, rounded = initial(framework, kind), initial(framework, kind, dtype="float32")
    for name, weight in exact.items():
        assert rounded[name].dtype == np.float32
        assert (rounded[name] == weight.astype(np.float32)).all()


def test_no_two_parts_or_uses_share_their_random_numbers(kind):
    """0 and its children, too, and what a model, its dropout and its samples draw from one seed."""
    below = [seed for part in init.children(0, 2) for seed in init.children(part, 2)]
    seeds = [0, 1, *init.children(0, 2), *below, *init.children(1, 2)]
    drawn = [init.generator(seed, use).random() for seed in seeds for use in init.USES]
    assert len(set(drawn)) == len(drawn) == 4 * 10


def test_the_parts_of_a_whole_draw_different_numbers(kind):
    seeds = [1, *init.children(0, 3)]
    drawn = [initial("numpy", kind, seed=seed)["W_x"] for seed in seeds]
    assert all(not np.allclose(a, b) for k, a in enumerate(drawn) for b in drawn[:k])
