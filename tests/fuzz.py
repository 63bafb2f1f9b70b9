"""Calls everything public with hypothesis' worst: ``make fuzz``, for ten minutes.

Whatever comes in, nothing but ValueError or TypeError may come out, saying which argument is wrong;
and OSError where a path leads nowhere, MemoryError where sizes that are allowed one by one make an
array that is too large together. What is to be called stands in ``__all__``, and what its arguments
are called in its signature; RIGHT has a good value for each name. Some of them are then replaced.

``test_fuzz.py`` does the same for some seconds. Figures (``rnnlab.plot``) are not called here.
"""

import argparse
import atexit
import datetime
import decimal
import fractions
import importlib
import inspect
import itertools
import os
import pathlib
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

import hypothesis.extra.numpy as hnp
import keras
import numpy as np
import tensorflow as tf
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from support import FRAMEWORKS, lab

from rnnlab import checkpoint, series, text

MODULES = ["text", "series", "batching", "checkpoint", "data", "init"]
# Methods that say so themselves: they are called inside, with what is checked already.
UNCHECKED = {
    "about", "backward", "count", "last_output", "last_output_back", "named_weights", "output",
    "output_back", "project", "record", "run", "step", "step_back", "weight_grads", "for_graph",
    "check_batch", "update", "set_state", "epoch",
}  # fmt: skip

FOLDER = pathlib.Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


# Good values: functions of the notation, by the name of an argument, or of a function and an
# argument. B = 2 rows, T = 3 steps, I = 2 features, H = 3 units, V = C = 4 symbols or classes.


def xs(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def charlm(f):
    return lab(f).CharLM(text.Vocabulary("helo"), lab(f).LSTM(4, 3))


def forecaster(f):
    return lab(f).Forecaster(lab(f).GRU(2, 3), features=2)


def grads(f):
    make = {"numpy": np.asarray, "torch": torch.tensor, "tensorflow": tf.constant}[f]
    return {"a": make([3.0, 4.0]), "b": make([[1.0]])}


def file(write):
    path = FOLDER / f"{write.__name__}.safetensors"
    if not path.exists():
        write(path)
    return path


def weights_file(path):
    checkpoint.save_weights(path, {"a": xs(2)})


def native(f):
    if f == "torch":
        return torch.nn.GRU(2, 3)
    layer = keras.layers.GRU(3)
    layer.build((None, None, 2))
    return layer


def native_state(f):
    return xs(1, 2, 3) if f == "torch" else [xs(2, 3)]


def batch(f):
    return text.Batch(np.array([[0, 1, 2]]), np.array([[1, 2, 3]]))


IDS = np.arange(12) % 4
VALUES = np.array([1.0, 3.0, 2.0, 5.0, 4.0, 6.0])

RIGHT = {
    "actual": lambda f: VALUES,
    "arrays": lambda f: {"a": xs(2)},
    "about": lambda f: {"a": [1, None, "x"]},
    "at": lambda f: 0.5,
    "batch": batch,
    "batches": lambda f: [batch(f)],
    "batch_size": lambda f: 2,
    "beta1": lambda f: 0.9,
    "beta2": lambda f: 0.99,
    "bidirectional": lambda f: True,
    "bwd": lambda f: lab(f).GRU(2, 3, seed=1),
    "by_hand": lambda f: False,
    "callback": lambda f: lambda step, loss: False,
    "carry": lambda f: False,
    "c": lambda f: xs(2, 3),
    "cell": lambda f: lab(f).GRUCell(2, 3),
    "checkpoint": lambda f: FOLDER / "run.safetensors",
    "classes": lambda f: 4,
    "clip": lambda f: 1.0,
    "columns": lambda f: [0],
    "count": lambda f: 2,
    "differences": lambda f: VALUES,
    "dropout": lambda f: 0.2,
    "dtype": lambda f: "float32",
    "eps": lambda f: 1e-8,
    "features": lambda f: 2,
    "first": lambda f: 1,
    "forecast": lambda f: VALUES,
    "forecaster": lambda f: series.last_value,
    "fraction": lambda f: 0.5,
    "fwd": lambda f: lab(f).GRU(2, 3),
    "grads": grads,
    "h": lambda f: xs(2, 3),
    "hidden_size": lambda f: 3,
    "history": lambda f: VALUES,
    "horizon": lambda f: 1,
    "ids": lambda f: IDS,
    "initial": lambda f: 3,
    "input_size": lambda f: 2,
    "inputs": lambda f: np.array([[0, 1, 2], [3, 2, 1]]),
    "k": lambda f: 0,
    "lag": lambda f: 1,
    "layer": lambda f: lab(f).GRU(2, 3),
    "layers": lambda f: [lab(f).GRU(2, 3), lab(f).GRU(3, 2)],
    "length": lambda f: 2,
    "lengths": lambda f: [3, 1],
    "limit": lambda f: 1.0,
    "logits": lambda f: xs(2, 3, 4),
    "lr": lambda f: 0.01,
    "mask": lambda f: np.array([[True, False, True], [True, True, False]]),
    "mean": lambda f: [1.0, 2.0],
    "model": charlm,
    "n": lambda f: 6,
    "name": lambda f: "airline",
    "native": native,
    "num_layers": lambda f: 2,
    "order": lambda f: 2,
    "origins": lambda f: [1],
    "output_size": lambda f: 4,
    "padded": lambda f: np.array([[0, 1, 2], [3, 0, 0]]),
    "path": lambda f: file(weights_file),
    "period": lambda f: 2,
    "predictions": lambda f: xs(2, 3, 4),
    "progress": lambda f: False,
    "prompt": lambda f: "he",
    "rate": lambda f: 0.5,
    "read": lambda f: "last",
    "reset_after": lambda f: False,
    "restart": lambda f: 2,
    "resume": lambda f: None,
    "rng": lambda f: np.random.default_rng(0),
    "rows": lambda f: [[0, 1, 2], [3]],
    "save_every": lambda f: 1,
    "scale": lambda f: [1.0, 0.5],
    "seed": lambda f: 1,
    "size": lambda f: 4,
    "state": lambda f: xs(2, 3),
    "step": lambda f: 1,
    "steps": lambda f: 2,
    "symbols": lambda f: "helo",
    "targets": lambda f: np.array([[1, 2, 3], [2, 1, 0]]),
    "temperature": lambda f: 0.5,
    "test": lambda f: slice(3, 5),
    "text": lambda f: "hello",
    "tokens": lambda f: ["he", "lo"],
    "train": lambda f: VALUES,
    "unknown": lambda f: "?",
    "value": lambda f: 0,
    "values": lambda f: VALUES,
    "vocabulary": lambda f: text.Vocabulary("helo"),
    "weights": lambda f: {"a": xs(2)},
    "window": lambda f: 2,
    "x": lambda f: xs(2, 2),
    "xs": lambda f: xs(2, 3, 2),
    # where a name means something else
    "CharLM layer": lambda f: lab(f).LSTM(4, 3),
    "CharLM() ids": lambda f: [[0, 1, 2], [3, 2, 1]],
    "CharLM() state": lambda f: lab(f).LSTMState(xs(2, 3), xs(2, 3)),
    "CharLM.gradients state": lambda f: lab(f).LSTMState(xs(1, 3), xs(1, 3)),
    "CharLM.loss state": lambda f: lab(f).LSTMState(xs(1, 3), xs(1, 3)),
    "LSTMCell() state": lambda f: lab(f).LSTMState(xs(2, 3), xs(2, 3)),
    "LSTMCell.check_state state": lambda f: lab(f).LSTMState(xs(2, 3), xs(2, 3)),
    "Bidirectional() state": lambda f: (xs(2, 3), xs(2, 3)),
    "Bidirectional.check_state state": lambda f: (xs(2, 3), xs(2, 3)),
    "Stack() state": lambda f: (xs(2, 3), xs(2, 2)),
    "Stack.check_state state": lambda f: (xs(2, 3), xs(2, 2)),
    "Forecaster.gradients state": lambda f: None,
    "Forecaster.loss state": lambda f: None,
    "Forecaster.loss batch": lambda f: text.Batch(xs(2, 3, 2), xs(2, 1, 2), [3, 1]),
    "Forecaster.gradients batch": lambda f: text.Batch(xs(2, 3, 2), xs(2, 1, 2), [3, 1]),
    "Classifier.gradients state": lambda f: None,
    "Classifier.loss state": lambda f: None,
    "Classifier.loss batch": lambda f: text.Batch(xs(2, 3, 2), np.array([0, 3])),
    "Classifier.gradients batch": lambda f: text.Batch(xs(2, 3, 2), np.array([0, 3])),
    "Batches lengths": lambda f: np.array([3, 1]),
    "NGram order": lambda f: 2,
    "Scaler.fit train": lambda f: VALUES,
    "Scaler.transform values": lambda f: xs(3, 2),
    "Scaler.inverse values": lambda f: xs(3, 1),
    "decode ids": lambda f: IDS,
    "draw logits": lambda f: xs(4),
    "forecast model": forecaster,
    "from_text unknown": lambda f: "?",
    "init.children seed": lambda f: (1, 2),
    "mean_squared_error targets": lambda f: xs(2, 3, 4),
    "series.windows targets": lambda f: [0],
    "series.backtest targets": lambda f: [0],
    "series.split values": lambda f: VALUES,
    "one_hot vocabulary": lambda f: "helo",
    "set_weights weights": lambda f: lab(f).get_weights(lab(f).GRU(2, 3)),
    "state_from_native state": native_state,
    "glorot_uniform rows": lambda f: 2,
    "glorot_uniform columns": lambda f: 3,
    "mask steps": lambda f: 3,
    "recorded name": lambda f: "story",
    "save_weights path": lambda f: FOLDER / "written.safetensors",
    "write path": lambda f: FOLDER / "written.safetensors",
    "last_value horizon": lambda f: 3,
}

# Instances whose methods are called, by the name of their class.
INSTANCES = {
    "Vocabulary": lambda f: text.Vocabulary("helo", unknown="?"),
    "NGram": lambda f: text.NGram(2, IDS, 4),
    "Scaler": lambda f: series.Scaler([1.0, 2.0], [1.0, 0.5]),
    "RNNCell": lambda f: lab(f).RNNCell(2, 3),
    "LSTMCell": lambda f: lab(f).LSTMCell(2, 3),
    "GRUCell": lambda f: lab(f).GRUCell(2, 3),
    "RNN": lambda f: lab(f).RNN(lab(f).GRUCell(2, 3)),
    "Stack": lambda f: lab(f).Stack(RIGHT["layers"](f)),
    "Bidirectional": lambda f: lab(f).Bidirectional(lab(f).GRU(2, 3), lab(f).GRU(2, 3)),
    "CharLM": charlm,
    "Forecaster": forecaster,
    "Classifier": lambda f: lab(f).Classifier(lab(f).GRU(2, 3), 4),
}


# The worst

HUGE = [2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**30, -(2**31), -(2**63) - 1, -(10**30)]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.sampled_from(HUGE),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), -float("inf")]),
    st.complex_numbers(),
    st.text(max_size=5),
    st.text(st.characters(), min_size=1, max_size=1),
    st.sampled_from(["float32", "float64", "last", "every", "max", "../x", "\ud800", "h", "\0"]),
    st.binary(max_size=5),
    st.sampled_from([fractions.Fraction(1, 2), decimal.Decimal("0.5"), datetime.date(2026, 1, 1)]),
    hnp.from_dtype(np.dtype("float32")),
    hnp.from_dtype(np.dtype("int8")),
    hnp.from_dtype(np.dtype("uint64")),
    hnp.from_dtype(np.dtype("bool")),
)
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=8,
)
DTYPES = st.one_of(
    hnp.scalar_dtypes(),
    st.sampled_from(["float32", "float64", "int64", "bool", "float16", "O", "complex64", "U1"]).map(
        np.dtype
    ),
)


def objects(dtype):
    return SCALARS if dtype.kind == "O" else None


ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(
        dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
        elements=objects(dtype),
    )
)  # fmt: skip
STRANGE = {  # made anew each time
    "object": object,
    "a class": lambda: int,
    "a module": lambda: np,
    "a function": lambda: lambda *args: None,
    "a function that wants nothing": lambda: lambda: None,
    "a generator": lambda: (k for k in range(3)),
    "range": lambda: range(3),
    "itertools.count": itertools.count,
    "slice": lambda: slice(None),
    "Ellipsis": lambda: ...,
    "NotImplemented": lambda: NotImplemented,
    "a set": lambda: {1, 2},
    "a path": lambda: pathlib.Path("no", "such", "file"),
    "a folder": lambda: FOLDER,
    "many rows of nothing": lambda: np.empty((2**40, 0), "float32"),
    "no rows of many": lambda: np.empty((0, 2**40), "float32"),
    "32 axes": lambda: np.zeros((1,) * 32),
    "64 axes": lambda: np.zeros((1,) * 64),
    "masked": lambda: np.ma.masked_array([1.0, 2.0], [True, False]),
    "matrix": lambda: np.ones((2, 3)).view(np.matrix),
    "records": lambda: np.zeros(3, [("a", "f4"), ("b", "i8")]),
    "memoryview": lambda: memoryview(b"abc"),
    "big-endian": lambda: np.arange(6.0).astype(">f4").reshape(2, 3),
    "longdouble": lambda: np.ones((2, 3), np.longdouble),
    "torch": lambda: torch.ones(2, 3),
    "torch, with gradients": lambda: torch.ones(2, 3, requires_grad=True),
    "torch, bfloat16": lambda: torch.ones(2, 3, dtype=torch.bfloat16),
    "torch, float16": lambda: torch.ones(2, 3, 2, dtype=torch.float16),
    "torch, complex": lambda: torch.ones(2, 3, dtype=torch.complex64),
    "torch, ints": lambda: torch.ones(2, 3, dtype=torch.int64),
    "torch, bool": lambda: torch.ones(2, 3, dtype=torch.bool),
    "torch, sparse": lambda: torch.ones(2, 3).to_sparse(),
    "torch, meta": lambda: torch.ones(2, 3, device="meta"),
    "torch, meta of three axes": lambda: torch.ones(2, 3, 2, device="meta"),
    "torch, empty": lambda: torch.empty(0, 0, 0),
    "tf": lambda: tf.ones((2, 3)),
    "tf, Variable": lambda: tf.Variable([[1.0, 2.0, 3.0]] * 2),
    "tf, bfloat16": lambda: tf.ones((2, 3), tf.bfloat16),
    "tf, complex": lambda: tf.ones((2, 3), tf.complex64),
    "tf, ints": lambda: tf.ones((2, 3), tf.int32),
    "tf, text": lambda: tf.constant(["a", "b"]),
    "tf, ragged": lambda: tf.ragged.constant([[1.0], [2.0, 3.0]]),
    "tf, sparse": lambda: tf.sparse.eye(2),
    "tf, dtype": lambda: tf.float32,
    "torch, dtype": lambda: torch.float32,
    "keras, tensor": lambda: keras.KerasTensor((2, 3)),
    "np, dtype": lambda: np.dtype("float32"),
    "np.float32": lambda: np.float32,
}
for f in FRAMEWORKS:
    STRANGE |= {
        f"{f}, cell": lambda f=f: lab(f).LSTMCell(4, 3),
        f"{f}, layer": lambda f=f: lab(f).LSTM(4, 3),
        f"{f}, stack": lambda f=f: lab(f).GRU(4, 3, 2, bidirectional=True),
        f"{f}, CharLM": lambda f=f: charlm(f),
        f"{f}, Forecaster": lambda f=f: forecaster(f),
    }
ANYTHING = st.one_of(
    SCALARS, NESTED, ARRAYS, st.sampled_from(sorted(STRANGE)).map(lambda name: STRANGE[name]())
)


def turned(value, how):
    """A good value in another form: what is nearly right."""
    if isinstance(value, dict) and value:
        first, *rest = value
        return {first: turned(value[first], how)} | {name: value[name] for name in rest}
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        return [value]
    ways = {
        "float16": lambda: array.astype("float16"),
        "float64": lambda: array.astype("float64"),
        "object": lambda: array.astype(object),
        "complex": lambda: array.astype(complex),
        "bool": lambda: array.astype(bool),
        "uint64": lambda: np.abs(array).astype("uint64"),
        "int8": lambda: array.astype("int8"),
        "text": lambda: array.astype(str),
        "turned": lambda: array.T,
        "every second": lambda: np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array,
        "backwards": lambda: array[::-1] if array.ndim else array,
        "read only": lambda: np.broadcast_to(array, array.shape),
        "Fortran": lambda: np.asfortranarray(array),
        "with NaN": lambda: np.where(
            np.arange(array.size).reshape(array.shape) == 0, np.nan, array
        ),
        "with infinity": lambda: array * np.inf,
        "large": lambda: array * 1e300,
        "negative": lambda: -array.astype(float).astype(array.dtype, casting="unsafe"),
        "empty": lambda: array[:0] if array.ndim else array,
        "an axis more": lambda: array[None],
        "an axis less": lambda: array[0] if array.ndim else array,
        "a list": lambda: array.tolist(),
        "torch": lambda: torch.tensor(array),
        "torch, with gradients": lambda: torch.tensor(array.astype("float32"), requires_grad=True),
        "tf": lambda: tf.constant(array),
        "tf, Variable": lambda: tf.Variable(array),
    }
    return ways[how]() if how else sorted(ways)


WAYS = turned(np.zeros(1), None)


# What is called


class Target(NamedTuple):
    """A function with the notation that its good arguments are of."""

    name: str
    framework: str
    call: object
    parameters: dict

    def right(self, parameter):
        """A good value for a parameter, or KeyError."""
        module, _, function = self.name.partition(".")
        short = self.name.rpartition(".")[2]
        for key in (
            f"{function} {parameter}",
            f"{module}.{short} {parameter}",
            f"{short} {parameter}",
            parameter,
        ):
            if key in RIGHT:
                return RIGHT[key](self.framework)
        raise KeyError(f"RIGHT has no good value for {parameter!r} of {self.name}")

    def arguments(self, data):
        """Draw the arguments: one at least is not what it should be."""
        names = list(self.parameters)
        wrong = data.draw(st.sets(st.sampled_from(names), min_size=1, max_size=2)) if names else ()
        given = {}
        for name, parameter in self.parameters.items():
            optional = parameter.default is not inspect.Parameter.empty
            if name in wrong:
                near = data.draw(st.sampled_from(["anything", *WAYS]) if data.draw(st.booleans())
                                 else st.just("anything"))  # fmt: skip
                try:
                    value = data.draw(ANYTHING) if near == "anything" else None
                    given[name] = value if near == "anything" else turned(self.right(name), near)
                except (ValueError, TypeError, OverflowError):  # it has no such form
                    given[name] = None
            elif not optional or (name == "progress") or data.draw(st.booleans()):
                given[name] = self.right(name)
        return given


def parameters(call):
    return {
        name: p for name, p in inspect.signature(call).parameters.items()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }  # fmt: skip


def methods(cls):
    """The names of what a class has from this package: methods and the call."""
    found = {}
    for base in cls.__mro__:
        if base.__module__.startswith("rnnlab."):
            for name, value in vars(base).items():
                if name in ("__call__", "forward") or not name.startswith("_"):
                    found.setdefault("__call__" if name == "forward" else name, value)
    return [
        name for name, value in found.items()
        if name not in UNCHECKED and not isinstance(value, property)
        and (callable(value) or isinstance(value, (classmethod, staticmethod)))
    ]  # fmt: skip


def of_instance(cls, name, framework):
    """A function that calls a method of a new instance, or what the class has itself."""
    made = INSTANCES[cls.__name__](framework)
    signature = parameters(getattr(made, "forward" if name == "__call__" and
                                   hasattr(made, "forward") else name))  # fmt: skip

    def call(**given):
        return getattr(INSTANCES[cls.__name__](framework), name)(**given)

    return call, signature


def targets():
    """All that is public, but figures."""
    for module in [*FRAMEWORKS, *MODULES]:
        framework = module if module in FRAMEWORKS else "numpy"
        package = importlib.import_module(f"rnnlab.{module}")
        for name in package.__all__:
            value = getattr(package, name)
            yield Target(f"{module}.{name}", framework, value, parameters(value))
            if inspect.isclass(value) and value.__name__ in INSTANCES:
                for method in methods(value):
                    call, signature = of_instance(value, method, framework)
                    short = f"{name}()" if method == "__call__" else f"{name}.{method}"
                    yield Target(f"{module}.{short}", framework, call, signature)


PATHS = {"path", "checkpoint", "resume"}


def excused(target, given, error):
    """Errors that are no defect."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return bool(PATHS & set(given))
    if isinstance(error, FloatingPointError):
        return target.name.endswith(".fit")
    return False


def told(target, given, error):
    """Whether the message of an error names an argument, or what an argument holds."""
    words = str(error)
    return any(name in words for name in target.parameters) or "argument" in words


def attack(target, examples, number, database=None):
    """Call it so many times; an exception that may not come out comes out, after hypothesis shrank
    what caused it. -> how many calls went through, and how many were refused."""
    counts, last = Counter(), {}

    @seed(number)
    @settings(
        max_examples=examples,
        database=database,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(st.data())
    def trial(data):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            given = target.arguments(data)
        last.update(given=given)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                target.call(**given)
            counts["taken"] += 1
        except (ValueError, TypeError) as error:
            counts["refused"] += 1
            if not told(target, given, error):
                raise AssertionError(f"it does not say which argument: {error}") from error
        except Exception as error:
            if not excused(target, given, error):
                raise
            counts["excused"] += 1

    try:
        trial()
    except Exception as error:
        error.given = {name: brief(value) for name, value in last["given"].items()}
        raise
    return counts


def brief(value):
    """What is told of an argument."""
    with np.printoptions(threshold=12, edgeitems=2):
        return f"{type(value).__name__} {value!r}"[:200]


# Readers of files: their content is fuzzed


def contents(data, whole):
    """The bytes of a file: nearly those of a whole one, or a forged one, or anything."""
    kind = data.draw(st.sampled_from(["bytes", "changed", "cut", "header"]))
    if kind == "bytes":
        return data.draw(st.binary(max_size=200))
    if kind == "cut":
        return whole[: data.draw(st.integers(0, len(whole)))]
    if kind == "changed":
        content = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        return bytes(content)
    return forged(data)


def forged(data):
    """A safetensors file of any header, or one with the right hash of anything."""
    from test_loading import container
    from test_loading import forged as hashed

    json = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["model", "rng", "state", "a"]), inner, max_size=3)
        ),
        max_leaves=8,
    )
    if data.draw(st.booleans()):
        sizes = st.one_of(st.integers(-2, 4), st.sampled_from(HUGE))
        entry = st.fixed_dictionaries({
            "dtype": st.sampled_from(["F64", "F32", "BF16", "BOOL", "C64", "O", "I64"]),
            "shape": st.lists(sizes, max_size=3),
            "data_offsets": st.lists(sizes, max_size=3),
        })  # fmt: skip
        names = st.sampled_from(["__metadata__", "weights/a", "losses", "../x", ""])
        header = st.dictionaries(names, st.one_of(entry, json), max_size=3)
        return container(data.draw(header), data.draw(st.binary(max_size=32)))
    import json as writer

    names = st.sampled_from(["weights/a", "losses", "state/0", "adam/step", "weights/W_y"])
    arrays = st.dictionaries(
        names,
        hnp.arrays(
            st.sampled_from(["float32", "float64", "int64", "bool", "complex64"]),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
        ),
        max_size=4,
    )
    return hashed(data.draw(arrays), writer.dumps(data.draw(json)))


def attack_readers(examples, number):
    """Files of all kinds for all that reads files."""
    model = charlm("numpy")
    path, run = FOLDER / "hostile.safetensors", FOLDER / "whole.safetensors"
    lab("numpy").fit(model, [batch("numpy")], steps=1, lr=0.1, checkpoint=run, progress=False)
    counts, whole = Counter(), run.read_bytes()

    def resume():
        lab("numpy").fit(model, [batch("numpy")], steps=1, lr=0.1, resume=path, progress=False)

    @seed(number)
    @settings(
        max_examples=examples, database=None, deadline=None, print_blob=False,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(st.data())
    def trial(data):
        path.write_bytes(contents(data, whole))
        for read in (lambda: checkpoint.read(path), lambda: checkpoint.load_weights(path), resume):
            try:
                read()
                counts["taken"] += 1
            except ValueError as error:
                counts["refused"] += 1
                if path.name not in str(error):
                    raise AssertionError(f"it does not say which file: {error}") from error

    trial()
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--only", default="", help="a part of the names to call")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 10**6)
    options = parser.parse_args()
    # Some gigabytes more than the frameworks have: an absurd size fails, and the machine does not.
    memory = pathlib.Path("/proc/self/statm")
    if memory.exists():  # on Linux
        pages = int(memory.read_text().split()[0])
        limit = pages * resource.getpagesize() + 6 * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    os.chdir(FOLDER)  # a name without a folder is a path, too
    end = time.monotonic() + 60 * options.minutes
    found, counts = {}, Counter()
    jobs = [t for t in targets() if t.parameters and options.only in t.name]
    print(f"{len(jobs)} functions, constructors and methods; seed {options.seed}", flush=True)
    for number in itertools.count(options.seed):
        for target in [None, *jobs]:
            if time.monotonic() > end:
                break
            name = target.name if target else "files"
            if name in found or (not target and options.only not in name):
                continue
            slow = name.endswith((".fit", ".evaluate", ".sample"))
            try:
                if target:
                    counts += attack(target, 2 if slow else 10, number)
                else:
                    counts += attack_readers(50, number)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                found[name] = error
                error.__notes__ = []  # hypothesis' own, which tell the draws
                print(f"\n{name}({getattr(error, 'given', '')})", flush=True)
                lines = traceback.format_exception(error, limit=-2, chain=False)
                print("".join(lines)[-1500:], flush=True)
        else:
            continue
        break
    calls = ", ".join(f"{n} {kind}" for kind, n in counts.items())
    print(
        f"\n{sum(counts.values())} calls: {calls}. {len(found)} of {len(jobs)} failed: {[*found]}"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
