"""The benchmark's arithmetic: ratios by round, and what counts as worse than a stored run."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def layers():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import layers

        return layers
    finally:
        sys.path.remove(str(BENCHMARKS))


def run(ours, theirs=(1.0, 2.0, 4.0), **more):
    about = {"framework": "torch", "threads": 1, "kind": "GRU", "shape": [2, 3, 4, 5]}
    times = {"rnnlab": list(ours), "torch.nn": list(theirs)}
    return about | {"first": {"rnnlab": 9.0, "torch.nn": 3.0}, "times": times} | more


def test_a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_medians(layers):
    found = layers.summary(run([2.0, 1.0, 2.0]))  # by round: 2, 1/2, 1/2
    assert found["ratio"] == {"rnnlab": 0.5}
    assert found["milliseconds"] == {"rnnlab": 2000.0, "torch.nn": 2000.0}
    assert found["noise"]["rnnlab"] == 0.75
    assert found["against"] == "torch.nn"
    assert found["rounds"] == 3


def test_the_best_of_theirs_is_the_measure(layers):
    times = {"rnnlab": [1.0], "rnnlab, XLA": [0.5], "Keras": [4.0], "Keras, XLA": [2.0]}
    found = layers.summary(run([1.0], times=times, first=dict.fromkeys(times, 1.0)))
    assert found["against"] == "Keras, XLA"
    assert found["ratio"] == {"rnnlab": 0.5, "rnnlab, XLA": 0.25}


@pytest.mark.parametrize(
    ("now", "noticed"), [(1.05, False), (1.4, True), (0.5, False)], ids=["noise", "worse", "better"]
)
def test_worse_by_more_than_the_noise_is_noticed(layers, now, noticed):
    steady = [0.95, 1.0, 1.05]
    stored = {"runs": [layers.summary(run(steady, [1.0] * 3))]}
    new = layers.summary(run([now * t for t in steady], [1.0] * 3))
    assert bool(list(layers.worse([new], stored))) == noticed


def test_what_was_not_stored_is_not_compared(layers):
    stored = {"runs": [layers.summary(run([1.0], [1.0], threads=2))]}
    assert not list(layers.worse([layers.summary(run([9.0], [1.0]))], stored))


def test_what_computes_something_else_is_not_timed(layers):
    layers.agree({"rnnlab": [layers.np.array([1.0, 2.0])], "torch.nn": [layers.np.array([1, 2])]})
    with pytest.raises(SystemExit, match="rnnlab gives other numbers"):
        layers.agree({"rnnlab": [layers.np.array([1.0, 3])], "torch.nn": [layers.np.array([1, 2])]})
