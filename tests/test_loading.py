"""Loading runs no code: none of the repository's own, and none that a hostile file brings."""

import ast
import io
import json
import os
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from support import FRAMEWORKS, lab

from rnnlab import checkpoint
from rnnlab.text import Vocabulary, streams

ROOT = Path(__file__).parents[1]

# What can run code that stands in data.
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "marshal", "shelve", "joblib", "dill"}
BUILTINS = {"eval", "exec"}
CALLS = {"read_pickle", "load_model", "load_weights_from_pickle", "unsafe_load", "full_load"}
# The calls of a name ``load`` that are safe with this argument, and by default are not all.
SAFE = {"torch": ("weights_only", True), "np": ("allow_pickle", False)}
# Tests make the hostile files that are then refused, and run our own text.
ALLOWED = {
    ("tests/test_checkpoint.py", "import pickle"),
    ("tests/test_loading.py", "import pickle"),
    ("tests/test_loading.py", "allow_pickle"),
    ("tests/test_text.py", "eval"),  # of what repr() gives
    ("tests/test_readme.py", "exec"),  # of the README's example
}


def risky(source):
    """What in some source can run code that stands in data."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        yield from (f"import {name}" for name in names if name.split(".")[0] in MODULES)
        if not isinstance(node, ast.Call):
            continue
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        given = {name: v.value for name, v in keywords.items() if isinstance(v, ast.Constant)}
        if "allow_pickle" in keywords and given.get("allow_pickle") is not False:
            yield "allow_pickle"
        if "safe_mode" in keywords and given.get("safe_mode") is not True:
            yield "safe_mode"
        called = node.func
        if isinstance(called, ast.Name) and called.id in BUILTINS | {"__import__"}:
            yield called.id
        if isinstance(called, ast.Attribute):
            if called.attr in CALLS:
                yield called.attr
            owner = ast.unparse(called.value)
            if called.attr == "load" and owner in ("yaml", "torch.jit", "torch.hub"):
                yield f"{owner}.load"
            owner = {"numpy": "np"}.get(owner, owner)
            if called.attr == "load" and owner in SAFE:
                name, value = SAFE[owner]
                if given.get(name) is not value:
                    yield f"{owner}.load"


def sources():
    """Every Python file of the repository, and the code of every chapter."""
    own = [path for path in ROOT.iterdir() if path.suffix == ".py"]
    for folder in ("rnnlab", "_ext", "tools", "benchmarks", "tests", "assets"):
        own += (ROOT / folder).rglob("*.py")
    for path in sorted(own):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        code = re.sub(r"(?m)^( *)%.*", r"\1pass", "\n".join(code))  # IPython's own commands
        yield path.relative_to(ROOT).as_posix(), code


def test_nothing_in_the_repository_runs_code_that_stands_in_data():
    read = dict(sources())
    assert len([path for path in read if path.endswith(".ipynb")]) > 10
    assert "rnnlab/checkpoint.py" in read
    found = {(path, what) for path, source in read.items() for what in risky(source)}
    assert found - ALLOWED == set()
    assert found >= ALLOWED  # else it need not be allowed


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, dill as d",
        "from joblib import load",
        "from marshal import loads",
        "eval('1')",
        "exec(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "np.load(path, allow_pickle=True)",
        "numpy.load(path)",
        "np.save(path, x, allow_pickle=True)",
        "f(**{}, allow_pickle=x)",
        "keras.models.load_model(path)",
        "yaml.load(text)",
        "def f():\n    import shelve",
    ],
)
def test_what_could_run_code_is_found(source):
    assert list(risky(source))


@pytest.mark.parametrize(
    "source",
    [
        "import json",
        "from rnnlab import data",
        "native.eval()",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=False)",
        "data.load('ship')",
        "yaml.safe_load(text)",
    ],
)
def test_what_cannot_is_not(source):
    assert list(risky(source)) == []


# Hostile files


def container(header, data=b"", length=None):
    """A safetensors file of any header, which need not be one."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def forged(arrays, about="{}"):
    """A file with any arrays and any text about them; its hash is right."""
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    digest = checkpoint._digest(arrays, about)
    header = {"__metadata__": {"format": checkpoint.FORMAT, "about": about, "sha256": digest}}
    data = b""  # an older safetensors writes no complex numbers
    for name, array in arrays.items():
        code = "BOOL" if array.dtype == bool else f"{array.dtype.kind}{array.itemsize * 8}".upper()
        end = len(data) + array.nbytes
        header |= one([*array.shape], (len(data), end), code, name)
        data += array.tobytes()
    return container(header, data)


def one(shape, offsets=(0, 8), dtype="F64", name="weights/a"):
    return {name: {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)}}


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def saved(write):
    """What a function writes into a file."""
    file = io.BytesIO()
    write(file)
    return file.getvalue()


A = json.dumps(one([1])["weights/a"])
HOSTILE = {
    "a pickle": pickle.dumps(Bomb()),
    "a pickle of PyTorch": saved(lambda file: torch.save({"a": Bomb()}, file)),
    "a pickle of NumPy": saved(
        lambda file: np.save(file, np.array([Bomb()], dtype=object), allow_pickle=True)
    ),
    "a pickle as a header": container(pickle.dumps(Bomb())),
    "nothing": b"",
    "a length and no header": struct.pack("<Q", 8),
    "a header of 2**63 bytes": container({}, length=2**63),
    "a header of 2**64 - 1 bytes": container({}, length=2**64 - 1),
    "a list as a header": container([1]),
    "a number as a header": container(b"1"),
    "a header that is no JSON": container(b"{'a': 1}"),
    "a header that is no UTF-8": container(b'{"\xff": 1}'),
    "a deep header": container(b'{"__metadata__":' + b"[" * 100_000),
    "metadata that are a list": container({"__metadata__": [1]}),
    "metadata that are numbers": container({"__metadata__": {"format": 1}}),
    "a name twice": container(f'{{"weights/a": {A}, "weights/a": {A}}}'.encode(), bytes(8)),
    "an absurd shape": container(one([2**40, 2**40]), bytes(8)),
    "a shape whose size overflows to 8 bytes": container(one([2**61 + 1, 2**3]), bytes(8)),
    "an absurd shape of nothing": container(one([0, 2**62], (0, 0))),
    "a negative size": container(one([-1]), bytes(8)),
    "bytes past its end": container(one([2], (0, 16)), bytes(8)),
    "bytes that end before they begin": container(one([1], (8, 0)), bytes(8)),
    "bytes that nobody names": container(one([1]), bytes(16)),
    "a dtype that there is not": container(one([1], dtype="Q64"), bytes(8)),
    "a dtype that NumPy has not": container(one([4], dtype="BF16"), bytes(8)),
    "a dtype that holds objects": container(one([1], dtype="O"), bytes(8)),
    "complex numbers": forged({"weights/a": np.ones(2, "complex64")}),
    "a name that is a way up": forged({"weights/../../../etc/passwd": np.ones(2)}),
    "a name that is a way from the root": forged({"/etc/passwd": np.ones(2)}),
    "a name that is a way up on Windows": forged({"weights/..\\..\\x": np.ones(2)}),
    "an empty name": forged({"": np.ones(2)}),
    "a name of two lines": forged({"weights/a\nb": np.ones(2)}),
    "a list about it": forged({}, "[]"),
    "a text about it": forged({}, '"weights"'),
    "no JSON about it": forged({}, "{"),
    "a deep list about it": forged({}, "[" * 100_000),
    "a name twice about it": forged({}, '{"model": 1, "model": 2}'),
    "a number of many digits about it": forged({}, '{"model": ' + "9" * 10_000 + "}"),
    "NaN in the weights": forged({"weights/a": np.array([1.0, np.nan])}),
    "infinity in the weights": forged({"weights/a": np.array([np.inf], "float32")}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused(what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file.safetensors"
    path.write_bytes(HOSTILE[what])
    with pytest.raises(ValueError, match=r"(?s)file\.safetensors .*(used|must be a file of)"):
        checkpoint.load_weights(path)
    assert os.listdir() == [path.name]


def test_a_file_that_is_made_so_and_means_well_is_taken(tmp_path):
    path = tmp_path / "file.safetensors"
    path.write_bytes(forged({"weights/a": np.ones(2)}, '{"model": 1}'))
    assert checkpoint.load_weights(path)["a"].tolist() == [1, 1]
    assert checkpoint.read(path)[1] == {"model": 1}


@pytest.mark.parametrize(
    ("arrays", "about", "error", "words"),
    [
        ({"../a": [1.0]}, {}, ValueError, "'../a'"),
        ({"a//b": [1.0]}, {}, ValueError, "'a//b'"),
        ({"": [1.0]}, {}, ValueError, "printable"),
        ({"a\0": [1.0]}, {}, ValueError, "printable"),
        ({1: [1.0]}, {}, TypeError, "must be strings, got int"),
        ({"a": [1j]}, {}, TypeError, r"arrays\['a'\] must be an array of numbers"),
        ({"a": [None]}, {}, TypeError, r"arrays\['a'\] must be an array of numbers"),
        (
            {"a": np.ones(1, np.longdouble)},
            {},
            TypeError,
            r"got (longdouble|float128)",
        ),
        ({}, {"a": np.nan}, ValueError, "JSON"),
        ({}, {"a": {1}}, TypeError, "JSON"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(arrays, about, error, words, tmp_path):
    with pytest.raises(error, match=words):
        checkpoint.write(tmp_path / "file", arrays, about)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_no_layer_takes_are_not_saved(bad, tmp_path):
    with pytest.raises(ValueError, match=r"weights\['a'\] holds NaN or infinity.*diverged"):
        checkpoint.save_weights(tmp_path / "file", {"a": [1.0, bad]})
    assert os.listdir(tmp_path) == []


# Hostile checkpoints: whole files, with the right hash, of what no run has written


VOCABULARY = Vocabulary("helo")
DATA = streams(np.arange(40) % 4, 2, 3)


def charlm(framework):
    m = lab(framework)
    return m.CharLM(VOCABULARY, m.LSTM(4, 3), dropout=0.2)


@pytest.fixture(scope="module", params=FRAMEWORKS)
def run(request, tmp_path_factory):
    """A notation, and the content of a checkpoint of it."""
    path = tmp_path_factory.mktemp("run") / "run.safetensors"
    m = lab(request.param)
    m.fit(charlm(request.param), DATA, steps=3, lr=0.01, checkpoint=path)
    return request.param, checkpoint.read(path)


def changed(array, value):
    array = array.copy()
    array.flat[0] = value
    return array


def arrays_with(**new):
    """A change of a checkpoint's arrays: by a function of the old one; ``None`` takes it out."""

    def change(arrays, about):
        for name, function in new.items():
            name = name.replace("__", "/").replace("_W_", ".W_")
            if function is None:
                del arrays[name]
            else:
                arrays[name] = np.asarray(function(arrays.get(name)), order="C")

    return change


def about_with(**new):
    return lambda arrays, about: about.update(new)


def rng_with(**new):
    return lambda arrays, about: about["rng"].update(new)


CHANGES = {
    "no model": (lambda arrays, about: about.clear(), "another model"),
    "another model": (about_with(model=[1, {"a": None}]), "another model"),
    "no weight": (arrays_with(weights__W_y=None), r"missing: \['W_y'\]"),
    "a weight more": (arrays_with(weights__x=lambda _: np.ones(2)), r"unknown: \['x'\]"),
    "a weight of another shape": (arrays_with(weights__W_y=lambda a: a.T), "must have shape"),
    "NaN in a weight": (arrays_with(weights__W_y=lambda a: changed(a, np.nan)), "NaN"),
    "no losses": (arrays_with(losses=None), "weights alone"),
    "losses of two axes": (arrays_with(losses=lambda a: a[None]), "losses must be"),
    "NaN in the losses": (arrays_with(losses=lambda a: changed(a, np.nan)), "losses must be"),
    "whole losses": (arrays_with(losses=lambda a: a.astype(int)), "losses must be"),
    "a loss more": (arrays_with(losses=lambda a: np.append(a, 1)), "one update for each of the 4"),
    "no step": (arrays_with(adam__step=None), "one update for each"),
    "steps": (arrays_with(adam__step=lambda a: np.array([3, 3])), "one update for each"),
    "a step of NaN": (arrays_with(adam__step=lambda a: np.array(np.nan)), "one update for each"),
    "no mean": (arrays_with(adam__m__W_y=None), r"missing: \['m/W_y'\]"),
    "a mean more": (arrays_with(adam__m__x=lambda _: np.ones(2)), r"unknown: \['m/x'\]"),
    "a mean of float64": (arrays_with(adam__m__W_y=lambda a: a.astype("float64")), "float64"),
    "infinity in a mean": (arrays_with(adam__m__W_y=lambda a: changed(a, np.inf)), "infinity"),
    "a mean of squares below 0": (arrays_with(adam__v__W_y=lambda a: a - 1), "at least 0"),
    "no generator": (about_with(rng=None), "generator"),
    "an empty generator": (about_with(rng={}), "generator"),
    "another generator": (rng_with(bit_generator="MT19937"), "generator"),
    "a generator of text": (rng_with(state={"state": "x", "inc": "y"}), "generator"),
    "a generator below 0": (rng_with(state={"state": -1, "inc": -1}), "generator"),
    "a generator with a number below 0 in reserve": (rng_with(uinteger=-1), "generator"),
    "a generator of 2**999": (rng_with(state={"state": 2**999, "inc": 2**999}), "generator"),
    "a state that it does not say": (about_with(state=None), "2 parts"),
    "a billion states": (about_with(state=10**9), "2 parts"),
    "-2 states": (about_with(state=-2), "2 parts"),
    "states in words": (about_with(state="two"), "2 parts"),
    "half a state": (arrays_with(state__1=None), "2 parts"),
    "a state without axes": (arrays_with(state__0=lambda a: np.array(1.0)), "2 parts"),
    "a state of another size": (arrays_with(state__1=lambda a: a[:, :1]), r"state\.c must have"),
    "a state of many rows of nothing": (
        arrays_with(state__0=lambda a: np.empty((2**40, 0), a.dtype)), r"state\.h must have",
    ),
    "NaN in the state": (arrays_with(state__1=lambda a: changed(a, np.nan)), "NaN"),
}  # fmt: skip


def test_what_is_forged_without_a_change_is_taken(run, tmp_path):
    framework, (arrays, about) = run
    path = tmp_path / "run.safetensors"
    path.write_bytes(forged(arrays, json.dumps(about)))
    assert len(lab(framework).fit(charlm(framework), DATA, steps=5, lr=0.01, resume=path)) == 5


@pytest.mark.parametrize("what", CHANGES)
def test_a_hostile_checkpoint_is_refused_and_changes_nothing(what, run, tmp_path):
    framework, (arrays, about) = run
    m, path = lab(framework), tmp_path / "run.safetensors"
    arrays, about = dict(arrays), json.loads(json.dumps(about))
    change, words = CHANGES[what]
    change(arrays, about)
    path.write_bytes(forged(arrays, json.dumps(about)))
    model = charlm(framework)
    before = m.get_weights(model)
    with pytest.raises(ValueError, match=words):
        m.fit(model, DATA, steps=5, lr=0.01, resume=path)
    assert all((before[name] == weight).all() for name, weight in m.get_weights(model).items())
