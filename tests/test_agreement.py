"""The three notations give the same numbers: values, states and gradients."""

import numpy as np
import pytest
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
)

B, T, I = 5, 6, 3
LENGTHS = {"all valid": None, "ragged": [6, 0, 3, 1, 5]}


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", CELLS)
def test_values_states_and_gradients_agree(kind, architecture, lengths):
    rng = np.random.default_rng(1)
    xs = rng.normal(size=(B, T, I))
    layers = {f: randomise(f, network(f, kind, architecture)) for f in FRAMEWORKS}
    state = random_state(layers["numpy"], B, rng)
    ys, final = layers["numpy"](xs, state, lengths)
    weight_ys = rng.normal(size=ys.shape)
    weight_state = [rng.normal(size=a.shape) for a in flat(final)]
    expected = gradients("numpy", layers["numpy"], xs, state, lengths, weight_ys, weight_state)
    for framework in FRAMEWORKS[1:]:
        layer = layers[framework]
        other_ys, other_final = layer(xs, state, lengths)
        close(other_ys, ys)
        close(flat(other_final), flat(final))
        got = gradients(framework, layer, xs, state, lengths, weight_ys, weight_state)
        assert got.keys() == expected.keys()
        for name in expected:
            close(got[name], expected[name])


@pytest.mark.parametrize("kind", CELLS)
def test_float32_agrees_to_five_digits(kind):
    rng = np.random.default_rng(2)
    xs = rng.normal(size=(B, T, I)).astype("float32")
    layers = {f: randomise(f, network(f, kind, "stack", dtype="float32")) for f in FRAMEWORKS}
    outputs = {f: as_numpy(layers[f](xs)[0]) for f in FRAMEWORKS}
    assert all(ys.dtype == np.float32 for ys in outputs.values())
    close(outputs["torch"], outputs["numpy"], 1e-5)
    close(outputs["tensorflow"], outputs["numpy"], 1e-5)


@pytest.mark.parametrize("kind", CELLS)
def test_one_seed_gives_the_same_weights_to_the_bit(kind):
    weights = [lab(f).get_weights(network(f, kind, "stack of both")) for f in FRAMEWORKS]
    for other in weights[1:]:
        assert sorted(other) == sorted(weights[0])
        for name in other:
            assert (other[name] == weights[0][name]).all()


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("builder", ["SimpleRNN", "LSTM", "GRU"])
def test_builders_give_every_cell_weights_of_its_own(framework, builder):
    m = lab(framework)
    layer = getattr(m, builder)(4, 4, 2, True, dtype="float64")
    drawn = [w for name, w in m.get_weights(layer).items() if name.endswith("W_h")]
    assert len(drawn) == 4
    assert all(not np.allclose(a, b) for k, a in enumerate(drawn) for b in drawn[:k])
    assert layer.output_size == 8
    again = m.get_weights(getattr(m, builder)(4, 4, 2, True, dtype="float64"))
    assert all((w == again[name]).all() for name, w in m.get_weights(layer).items())


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_is_its_projection_and_its_step(framework, kind):
    rng = np.random.default_rng(3)
    cell = randomise(framework, network(framework, kind, "one").cell)
    x = rng.normal(size=(B, I))
    state = random_state(cell, B, rng)
    h, new = cell(x, state)
    state = cell.check_state(state, B)  # as tensors
    if framework == "torch":
        import torch

        x = torch.tensor(x)
    h_again, new_again = cell.step(cell.project(x), state)
    close(h, h_again)
    close(flat(new), flat(new_again))
    close(h, flat(new)[0])  # the output is the state's first part
