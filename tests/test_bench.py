"""The benchmarks: ratios by round, bounds, what is worse than a stored run; all ways agree."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def bench():
    """The scripts by name. They import each other, as scripts of one folder do."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def layers(bench):
    return bench("layers")


@pytest.fixture(scope="module")
def timing(bench):
    return bench("timing")


@pytest.fixture(scope="module")
def story(bench):
    return bench("story")


@pytest.fixture(scope="module")
def labs(bench):
    return bench("labs")


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
def test_worse_by_more_than_the_noise_is_noticed(layers, timing, now, noticed, tmp_path):
    steady = [0.95, 1.0, 1.05]
    timing.keep(tmp_path / "kept.json", [layers.summary(run(steady, [1.0] * 3))])
    new = [layers.summary(run([now * t for t in steady], [1.0] * 3))]
    stored = json.loads((tmp_path / "kept.json").read_text())
    assert bool(list(timing.worse(new, stored, layers.key))) == noticed
    if noticed:
        with pytest.raises(SystemExit, match=r"torch 1 GRU 2 3 4 5, rnnlab: 1.0 -> 1.4"):
            timing.against(tmp_path / "kept.json", new, layers.key)
    else:
        timing.against(tmp_path / "kept.json", new, layers.key)


def test_a_record_from_another_processor_is_said_to_be_one(layers, timing, tmp_path, capsys):
    path, runs = tmp_path / "kept.json", [layers.summary(run([1.0], [1.0]))]
    timing.keep(path, runs)
    timing.against(path, runs, layers.key)
    assert not capsys.readouterr().out
    stored = json.loads(path.read_text())
    stored["about"]["processor"] = "abacus"
    path.write_text(json.dumps(stored))
    timing.against(path, runs, layers.key)
    assert "another processor, abacus" in capsys.readouterr().out


def test_what_was_not_stored_is_not_compared(layers, timing):
    stored = {"runs": [layers.summary(run([1.0], [1.0], threads=2))]}
    assert not list(timing.worse([layers.summary(run([9.0], [1.0]))], stored, layers.key))
    stored = {"runs": [layers.summary(run([1.0], [1.0])) | {"ratio": {}}]}
    assert not list(timing.worse([layers.summary(run([9.0], [1.0]))], stored, layers.key))


def test_what_computes_something_else_is_not_timed(timing):
    right = [np.array([1.0, 2.0])]
    timing.agree({"rnnlab": right, "torch.nn": [np.array([1, 2])]})
    for wrong in [1.0, 3], [1.0, np.nan]:
        with pytest.raises(SystemExit, match="rnnlab gives other numbers"):
            timing.agree({"rnnlab": [np.array(wrong)], "torch.nn": right})


def test_in_each_round_all_run_once_and_the_first_calls_are_apart(timing):
    calls = []

    def contestant(name):
        def once():
            calls.append(name)
            return [np.ones(2)]

        return once

    first, times = timing.in_rounds({name: contestant(name) for name in "ab"}, seconds=0)
    assert calls == ["a", "b"] * (1 + 7)
    assert {name: len(t) for name, t in times.items()} == {"a": 7, "b": 7}
    assert set(first) == {"a", "b"}


def test_quartiles_of_ratios_are_taken_round_by_round(timing):
    assert timing.quartiles([1.0, 2.0, 3.0]) == [1.5, 2.0, 2.5]
    assert timing.quartiles([1.0, 4.0, 3.0], by=[1.0, 2.0, 3.0]) == [1.0, 1.0, 1.5]


def test_a_record_is_written_whole_or_not_at_all(timing, tmp_path):
    path = tmp_path / "kept.json"
    timing.keep(path, [{"ratio": 1}])
    with pytest.raises(TypeError):
        timing.keep(path, [{"ratio": {1, 2}}])  # a set has no place in JSON
    stored = json.loads(path.read_text())
    assert stored["runs"] == [{"ratio": 1}]
    assert stored["about"]["cores"] >= 1
    assert set(stored["about"]["versions"]) == {"numpy", "numba", "torch", "tensorflow", "keras"}


# --- the story


@pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow"])
@pytest.mark.parametrize("shape", [(3, 4, 2, 5), (1, 101, 2, 3)], ids=["short", "long"])
def test_all_ways_of_the_story_compute_the_same(story, timing, framework, shape):
    contestants, alone = story.CONTESTANTS[framework](shape)
    answers = {name: once() for name, once in contestants.items()}
    timing.agree(answers, tolerance=1e-4)
    B, T, I, H = shape
    for found in answers.values():
        assert [part.shape for part in found] == [
            (B, T, H), (B, T, I), (I, 4 * H), (H, 4 * H), (4 * H,),
        ]  # fmt: skip
    for once in alone.values():
        assert once() is None
    assert len(contestants) >= 5


def test_the_script_for_a_gpu_records_what_the_page_reads(bench, tmp_path, monkeypatch, capsys):
    """On the processor, at sizes of its own; operations and replays are a GPU's alone."""
    gpu = bench("gpu")
    monkeypatch.setattr(gpu, "SIZES", {"one row": (1, 9, 2, 3), "large": (4, 3, 2, 5)})
    monkeypatch.setattr(gpu, "WIDTHS", [2, 4])
    monkeypatch.setattr(gpu, "training", lambda device: {"milliseconds": {}})
    threads = gpu.torch.get_num_threads()
    path = tmp_path / "gpu.json"
    options = ["gpu.py", "--device", "cpu", "--seconds", "0.01", "--store", str(path)]
    monkeypatch.setattr(sys, "argv", [*options, "--sizes", "one row", "large"])
    tf32 = gpu.torch.backends.cuda.matmul, gpu.torch.backends.cudnn
    before = [backend.allow_tf32 for backend in tf32]
    try:
        gpu.main(gpu.arguments())
    finally:
        gpu.torch.set_num_threads(threads)
        for backend, allowed in zip(tf32, before, strict=True):
            backend.allow_tf32 = allowed
    found, kept = (json.loads(p.read_text()) for p in (path, gpu.RECORD))
    assert list(found) == list(kept)
    assert found["about"].keys() < kept["about"].keys()
    for run, other in zip(found["runs"], kept["runs"][::3], strict=True):
        assert run["size"] == other["size"]
        assert set(other) - set(run) == {"operations", "at_work"}
        for low, median, high in run["milliseconds"].values():
            assert 0 < low <= median <= high
    kinds = [run["kind"] for run in found["layers"]]
    assert kinds == [kind for kind in gpu.layers.KINDS for _ in found["runs"]]
    assert found["processor"].keys() == {"one row", "large"}
    assert found["rounding"]["forward"].keys() == kept["rounding"]["forward"].keys()
    assert "large" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--store"], "PyTorch finds no GPU here"),
        (["--device", "cpu", "--store"], "gpu.json is for a GPU's times"),
    ],
)
def test_without_a_gpu_nothing_is_stored_as_its_times(bench, monkeypatch, capsys, options, message):
    gpu = bench("gpu")
    monkeypatch.setattr(sys, "argv", ["gpu.py", *options])
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu.arguments()
    assert message in capsys.readouterr().err


def test_the_recorded_gpu_ran_every_way_at_every_size(bench):
    gpu = bench("gpu")
    kept = json.loads(gpu.RECORD.read_text())
    assert {run["size"]: tuple(run["shape"]) for run in kept["runs"]} == gpu.SIZES
    for run in kept["runs"]:
        assert {f"{name}, replayed" for name in gpu.REPLAYED} <= run["milliseconds"].keys()
        assert run["operations"].keys() == run["milliseconds"].keys()
        for name in gpu.REPLAYED:  # the same operations, told otherwise
            assert run["operations"][name] == run["operations"][f"{name}, replayed"]
        assert run["at_peak"] < run["products"] < run["milliseconds"][f"{gpu.OWN}, replayed"][1] * 2


def test_the_clock_waits_for_the_work(timing):
    done, ways = [], {"way": lambda: [1.0]}
    _, times = timing.in_rounds(ways, 0, least=3, wait=lambda: done.append(1))
    assert len(done) == 1 + len(times["way"]) == 4


def test_the_products_of_the_story_are_all_that_a_layer_needs(story):
    """Counted while they are made, and by the rule of thumb: each weight thrice a row and step."""
    shape, counted = (3, 4, 2, 5), []

    def multiply(x, W, out):
        assert (len(x), W.shape[1]) == out.shape
        counted.append(x.shape[0] * x.shape[1] * W.shape[1])

    story.products(shape, multiply)[story.PRODUCTS]()
    assert sum(counted) == story.multiplications(shape) == 3 * 3 * 4 * (2 + 5) * 20
    assert len(counted) == 2 * 4 + 4  # two for each step, four for all


def test_the_story_gives_ratios_to_its_first_way_and_the_bounds(story):
    times = {"naive": [4.0, 8.0], "fused": [1.0, 4.0], "products": [0.5, 0.25], "other": [0.3, 0.3]}
    told = {"framework": "torch", "threads": 1, "shape": [1, 1, 1, 1], "times": times}
    told |= {"first": dict.fromkeys(times, 9.0), "peak": 1e9, "alone": ["products", "other"]}
    found = story.summary(told)
    assert found["ratio"] == {"naive": 1.0, "fused": 0.375}
    assert found["noise"] == {"naive": 0.0, "fused": 0.125}
    assert found["milliseconds"]["naive"] == [5000.0, 6000.0, 7000.0]
    assert found["products"] == 300.0  # the quicker of the two
    assert found["peak"] == 2.0  # GFLOP/s: 1e9 multiplications, 1e9 sums
    assert found["at_peak"] == round(story.multiplications((1, 1, 1, 1)) / 1e9 * 1e3, 3)
    assert set(found["first"]) == {"naive", "fused"}


def test_a_machines_limits_are_the_best_that_any_framework_found(story):
    shape = [1, 1, 1, 1]
    runs = [
        {"threads": 1, "shape": shape, "products": 3.0, "peak": 100.0},
        {"threads": 1, "shape": shape, "products": None, "peak": 200.0},
        {"threads": 2, "shape": shape, "products": 2.0, "peak": 300.0},
    ]
    one, two = story.limits(runs)
    flops = 2 * story.multiplications(shape)
    assert one == {
        "threads": 1, "shape": shape, "products": 3.0, "peak": 200.0,
        "at_peak": round(flops / 200e6, 4),
    }  # fmt: skip
    assert (two["threads"], two["products"], two["peak"]) == (2, 2.0, 300.0)


# --- the labs


def answers(*seconds, losses=(3.2, 0.23)):
    return [{"seconds": s, "losses": losses} for s in seconds]


def test_a_lab_is_compared_with_keras_round_by_round_and_with_the_lecture(labs):
    rounds = [answers(2.0, 1.0, 20.0), answers(3.0, 8.0, 10.0), answers(4.0, 2.0, 40.0)]
    found = labs.summary("12-4", 1, rounds)
    assert found["ratio"] == {"rnnlab.torch": 0.1, "rnnlab.tensorflow": 0.05}
    assert found["seconds"]["rnnlab.torch"] == [2.5, 3.0, 3.5]
    assert labs.share(found, "rnnlab.torch") == pytest.approx(3.0 / 33.295)  # of the lecture's
    assert labs.share(found, "rnnlab.tensorflow") == pytest.approx(0.05)  # of Keras'
    assert labs.share(labs.summary("GRU(300)", 1, rounds), "rnnlab.torch") == 0.1


def test_a_part_of_the_labs_replaces_its_own_in_the_kept_run(labs, timing, tmp_path):
    path, rounds = tmp_path / "kept.json", [answers(2.0, 1.0, 20.0)]

    def together(runs):
        return timing.together(path, runs, labs.key, labs.order)

    first = together([labs.summary(name, 1, rounds) for name in ("GRU(300)", "12-4")])
    timing.keep(path, first)
    again = labs.summary("12-4", 1, [answers(3.0, 1.0, 20.0)]), labs.summary("12-4", 2, rounds)
    found = together([*again])
    keys = [(run["threads"], run["lab"]) for run in found]
    assert keys == [(1, "12-4"), (1, "GRU(300)"), (2, "12-4")]
    assert found[0]["seconds"]["rnnlab.torch"] == [3.0, 3.0, 3.0]
    stored = json.loads(path.read_text())
    stored["about"]["processor"] = "abacus"
    path.write_text(json.dumps(stored))
    assert len(together([*again])) == 2


def test_the_lectures_seconds_are_those_of_its_steps(labs):
    rounds = [answers(2.0, 1.0, 20.0)]
    told = {name: labs.summary(name, 1, rounds)["lecture"] for name in labs.LABS}
    assert told["SimpleRNN(300)"] == {"seconds": 4.538, "steps": 10}
    assert told["12-3"] == {"seconds": 27.558, "steps": 500}
    assert told["LSTM(300)"] is None


def test_a_lab_that_trains_something_else_is_not_timed(labs):
    labs.same_losses("12-4", "rnnlab.torch", (3.2, 0.2301), (3.2001, 0.2295))
    for wrong in (3.21, 0.23), (3.2, 0.24), (3.2, np.nan):
        with pytest.raises(SystemExit, match="12-4"):
            labs.same_losses("12-4", "rnnlab.torch", wrong, (3.2, 0.23))


@pytest.mark.parametrize("name", ["12-3", "12-4", "LSTM(300), both ways", "GRU(300)"])
def test_each_way_of_a_lab_starts_from_the_same_loss(labs, name):
    found = []
    for way in labs.WAYS:
        ready = labs.by_keras if way == "keras" else labs.by_rnnlab
        found.append(ready(way, name, 2)())
    np.testing.assert_allclose(found, [found[0]] * 3, rtol=2e-3)
