"""Checkpoints: exact resume, in one notation and across them; whole files or none; no code run."""

import os

import numpy as np
import pytest
import safetensors.numpy
from support import FRAMEWORKS, close, lab

from rnnlab import checkpoint
from rnnlab.batching import batches
from rnnlab.text import Vocabulary, streams, windows

TEXT = "if you want to build a ship, don't drum up people together"
VOCABULARY = Vocabulary.from_text(TEXT)
IDS = VOCABULARY.encode(TEXT)
V = len(VOCABULARY)


def char_model(framework, dtype="float32", dropout=0.3, **options):
    m = lab(framework)
    return m.CharLM(VOCABULARY, m.LSTM(V, 6, 2, dtype=dtype, **options), dropout=dropout)


def data(kind):
    """Shuffled epochs of five batches, or tracks with a carried state, ten batches round."""
    return batches(*windows(IDS, 8), batch_size=10) if kind == "epochs" else streams(IDS, 2, 3)


@pytest.fixture(params=FRAMEWORKS)
def framework(request):
    return request.param


@pytest.mark.parametrize(("kind", "stop"), [("epochs", 7), ("streams", 1), ("streams", 13)])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(framework, kind, stop, tmp_path):
    m, path = lab(framework), tmp_path / "run.safetensors"
    options = {"lr": lambda step: 0.03 / (1 + step), "clip": 0.5, "seed": 4}
    whole = char_model(framework)
    expected = m.fit(whole, data(kind), steps=16, **options)
    first = char_model(framework)
    m.fit(first, data(kind), steps=stop, checkpoint=path, **options)
    second = char_model(framework, seed=9)  # other weights: all must come from the file
    losses = m.fit(second, data(kind), steps=16, resume=path, **options)
    assert (losses == expected).all()
    for name, weight in m.get_weights(whole).items():
        assert (m.get_weights(second)[name] == weight).all()


CROSSING = {"lr": 0.03, "clip": 0.5}


@pytest.fixture(scope="module")
def crossing(tmp_path_factory):
    """Per notation: a checkpoint after five steps, and the losses of twelve without a break."""
    files, losses = {}, {}
    for f in FRAMEWORKS:
        files[f] = tmp_path_factory.mktemp(f) / "run.safetensors"
        model = char_model(f, "float64")
        lab(f).fit(model, data("streams"), steps=5, checkpoint=files[f], **CROSSING)
        losses[f] = lab(f).fit(char_model(f, "float64"), data("streams"), steps=12, **CROSSING)
    return files, losses


@pytest.mark.parametrize("reader", FRAMEWORKS)
def test_a_checkpoint_of_one_notation_goes_on_in_the_others(reader, crossing):
    files, whole = crossing
    for writer in FRAMEWORKS:
        losses = lab(reader).fit(
            char_model(reader, "float64"), data("streams"), steps=12, resume=files[writer],
            **CROSSING,
        )  # fmt: skip
        close(losses, whole[reader], 0 if reader == writer else 1e-10)


def test_checkpoints_are_written_on_the_way_and_at_the_end(framework, tmp_path):
    m, path = lab(framework), tmp_path / "run.safetensors"
    seen = []

    def look(step, loss):
        seen.append(len(checkpoint.read(path)[0]["losses"]) if path.exists() else 0)

    losses = m.fit(
        char_model(framework), data("epochs"), steps=7, lr=0.01, checkpoint=path, save_every=3,
        callback=look,
    )  # fmt: skip
    assert seen == [0, 0, 3, 3, 3, 6, 6]
    assert (checkpoint.read(path)[0]["losses"] == losses).all()
    again = m.fit(char_model(framework), data("epochs"), steps=7, lr=0.01, resume=path)
    assert (again == losses).all()  # nothing left to do
    assert os.listdir(tmp_path) == [path.name]


def test_a_run_that_a_callback_ended_can_go_on(framework, tmp_path):
    m, path = lab(framework), tmp_path / "run.safetensors"
    expected = m.fit(char_model(framework), data("epochs"), steps=6, lr=0.01)
    m.fit(
        char_model(framework), data("epochs"), steps=6, lr=0.01, checkpoint=path,
        callback=lambda step, loss: step == 2,
    )  # fmt: skip
    assert (
        m.fit(char_model(framework), data("epochs"), steps=6, lr=0.01, resume=path) == expected
    ).all()


@pytest.mark.parametrize("stop", [0, 3])
def test_a_forecasters_run_goes_on_from_its_beginning_too(framework, stop, tmp_path):
    m, path = lab(framework), tmp_path / "run.safetensors"
    rows = batches(np.ones((4, 3, 1), "float32"), np.ones((4, 1, 1), "float32"), 2)
    expected = m.fit(m.Forecaster(m.GRU(1, 3)), rows, steps=5, lr=0.1)
    m.fit(m.Forecaster(m.GRU(1, 3)), rows, steps=stop, lr=0.1, checkpoint=path)
    losses = m.fit(m.Forecaster(m.GRU(1, 3, seed=1)), rows, steps=5, lr=0.1, resume=path)
    assert (losses == expected).all()
    with pytest.raises(ValueError, match=r"another model.*horizon"):
        m.fit(m.Forecaster(m.GRU(1, 3), horizon=2), rows, steps=5, lr=0.1, resume=path)


@pytest.mark.parametrize("writer", FRAMEWORKS)
@pytest.mark.parametrize("reader", FRAMEWORKS)
def test_weights_go_through_a_file(writer, reader, tmp_path):
    path = tmp_path / "weights.safetensors"
    one, other = lab(writer).GRU(3, 4, 2, True, seed=1), lab(reader).GRU(3, 4, 2, True, seed=2)
    weights = lab(writer).get_weights(one)
    checkpoint.save_weights(path, weights)
    lab(reader).set_weights(other, checkpoint.load_weights(path))
    for name, weight in lab(reader).get_weights(other).items():
        assert (weight == weights[name]).all()


def test_a_checkpoint_gives_its_weights_alone_too(framework, tmp_path):
    m, path = lab(framework), tmp_path / "run.safetensors"
    one, other = char_model(framework), char_model(framework, seed=5)
    m.fit(one, data("epochs"), steps=3, lr=0.01, checkpoint=path)
    m.set_weights(other, checkpoint.load_weights(path))
    assert m.evaluate(other, data("epochs")) == m.evaluate(one, data("epochs"))


ARRAYS = {"weights/a": np.arange(6.0).reshape(2, 3), "weights/b": np.array([1, 2], np.int64)}


def written(path):
    checkpoint.write(path, ARRAYS, {"what": "a test", "rng": 2**100})
    return path.read_bytes()


def test_every_cut_and_every_changed_byte_is_noticed(tmp_path):
    path = tmp_path / "file.safetensors"
    content = written(path)
    arrays, about = checkpoint.read(path)
    assert about == {"what": "a test", "rng": 2**100}
    assert all((arrays[name] == array).all() for name, array in ARRAYS.items())
    for k in range(len(content)):
        path.write_bytes(content[:k])
        with pytest.raises(ValueError, match="was not used"):
            checkpoint.read(path)
        changed = bytearray(content)
        changed[k] ^= 1
        path.write_bytes(bytes(changed))
        with pytest.raises(ValueError, match=r"was not used|must be a file of the format"):
            checkpoint.read(path)


@pytest.mark.parametrize("call", ["fsync", "replace", "fdopen"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(call, tmp_path, monkeypatch):
    path = tmp_path / "file.safetensors"
    content = written(path)

    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(OSError, match="No space left"):
            checkpoint.write(path, {"weights/a": np.zeros(2)}, {})
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == [path.name]


def test_a_write_that_is_interrupted_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file.safetensors"
    content = written(path)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.write(path, {"weights/a": np.zeros(2)}, {})
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == [path.name]


def test_a_pickle_is_never_run(tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="no whole safetensors file"):
        checkpoint.read(path)
    assert not (tmp_path / "exploded").exists()


def test_what_does_not_fit_is_refused_and_changes_nothing(framework, tmp_path):
    m, path = lab(framework), tmp_path / "run.safetensors"
    one = char_model(framework)
    m.fit(one, data("epochs"), steps=2, lr=0.01, checkpoint=path)
    other_text = Vocabulary(VOCABULARY.symbols[::-1])
    bare = tmp_path / "weights.safetensors"
    checkpoint.save_weights(bare, m.get_weights(one))
    foreign = tmp_path / "foreign.safetensors"
    safetensors.numpy.save_file({"a": np.zeros(2)}, foreign)
    cases = [
        (m.CharLM(other_text, m.LSTM(V, 6, 2)), path, ValueError, "another model.*symbols"),
        (m.Classifier(m.LSTM(V, 6, 2), V), path, ValueError, "another model.*Classifier"),
        (m.CharLM(VOCABULARY, m.LSTM(V, 6)), path, ValueError, "missing: .*cell.W_x"),
        (m.CharLM(VOCABULARY, m.GRU(V, 6, 2)), path, ValueError, "missing: .*b_hn"),
        (char_model(framework, "float64"), path, TypeError, "must be float64"),
        (one, bare, ValueError, "holds weights alone"),
        (one, foreign, ValueError, "must be a file of the format 'rnnlab 1', got None"),
        (one, tmp_path / "none", FileNotFoundError, "none"),
    ]
    for model, file, error, words in cases:
        before = m.get_weights(model)
        with pytest.raises(error, match=words):
            m.fit(model, data("epochs"), steps=4, lr=0.01, resume=file)
        for name, weight in m.get_weights(model).items():
            assert (weight == before[name]).all()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"save_every": 2}, ValueError, "save_every needs checkpoint"),
        ({"save_every": 0, "checkpoint": "x"}, ValueError, "save_every must be at least 1"),
        ({"save_every": 0.5, "checkpoint": "x"}, TypeError, "save_every must be a whole number"),
    ],
)
def test_bad_options_are_refused_with_the_reason(framework, options, error, words):
    with pytest.raises(error, match=words):
        lab(framework).fit(char_model(framework), data("epochs"), steps=1, lr=0.1, **options)


def test_weights_must_be_a_dict_of_arrays(tmp_path):
    with pytest.raises(TypeError, match="weights must be a dict of arrays, got list"):
        checkpoint.save_weights(tmp_path / "x", [1])
    with pytest.raises(TypeError, match=r"weights\['a'\] must be an array of numbers, got str"):
        checkpoint.save_weights(tmp_path / "x", {"a": "b"})
    with pytest.raises(ValueError, match=r"names in weights must be printable, .* got ''"):
        checkpoint.save_weights(tmp_path / "x", {"": [1.0]})
    with pytest.raises(TypeError, match="names in arrays must be strings, got int"):
        checkpoint.write(tmp_path / "x", {1: [1.0]}, {})
    with pytest.raises(FileNotFoundError):
        checkpoint.save_weights(tmp_path / "no folder" / "x", {"a": [1.0]})
    assert not list(tmp_path.iterdir())
