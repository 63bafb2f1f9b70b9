"""Checks of what callers pass in: one place, and the same words in the three notations.

Every message says which argument is wrong, what came, what was expected and how to mend it. The
functions look at shapes (tuples) and dtypes (names), so they serve arrays and tensors alike. A
dimension that TensorFlow does not know while it traces a graph is ``None`` and passes.
"""

import itertools
import math
import numbers
import os
from pathlib import Path

import numpy as np

DTYPES = ("float32", "float64")


LARGEST = 2**31 - 1  # of all sizes: no machine holds the weights or the steps of more


def size(name, value, minimum=1, maximum=LARGEST):
    """Return ``value`` as an int of at least ``minimum``; TypeError or ValueError otherwise."""
    if type(value) is int and maximum is not None and minimum <= value <= maximum:
        return value  # as nearly always: a plain answer, sooner
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"{name} must be a whole number, got {value!r} ({type(value).__name__}); "
            f"pass an int of at least {minimum}"
        )
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    if maximum is not None and value > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {value}")
    return int(value)


def number(name, value, *, above=None, minimum=None, below=None):
    """Return ``value`` as a finite float inside the bounds; TypeError or ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r} ({type(value).__name__})")
    try:
        float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number that a float can hold, got {value!r}") from None
    bounds = [
        (above is None or value > above, f"greater than {above}"),
        (minimum is None or value >= minimum, f"at least {minimum}"),
        (below is None or value < below, f"less than {below}"),
        (math.isfinite(value), "finite"),
    ]
    failed = [words for fine, words in bounds if not fine]
    if failed:
        raise ValueError(f"{name} must be {' and '.join(failed)}, got {value!r}")
    return float(value)


def float_dtype(value):
    """Return the dtype's name if it is one a layer can have; ValueError otherwise."""
    found = value.name if isinstance(value, np.dtype) else value
    if not isinstance(found, str) or found not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(map(repr, DTYPES))}, got {value!r}")
    return found


def array(name, value):
    """An array of numbers, from an array or nested lists; TypeError for anything else."""
    found = anything(name, value, "an array of numbers")
    if found.dtype.kind not in "biuf" or found.dtype.itemsize > 8:
        kind = found.dtype if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(
            f"{name} must be an array of numbers, got {kind}; text becomes numbers by one_hot()"
        )
    return found


def anything(name, value, expected):
    """An array of whatever, in this machine's byte order; TypeError if there is no such."""
    try:
        found = np.asarray(value)
    except Exception as error:  # lists of different lengths, tensors that want gradients, and what
        # the libraries that tensors come from raise for those without numbers
        raise TypeError(
            f"{name} must be {expected}, got {type(value).__name__} ({_first_line(error)})"
        ) from None
    return found if found.dtype.isnative else found.astype(found.dtype.newbyteorder("="))


def _first_line(error):
    return (str(error).splitlines() or [type(error).__name__])[0]


# What to do about NaN, in values that were measured and in those that a model made.
GAP = "fill the gap from the values before it (interpolation would look ahead), or cut there"
DIVERGED = "has the model's training diverged?"


def finite_floats(name, value, hint):
    """A float64 copy of an array of numbers; TypeError, or ValueError ending in the hint.

    Refuses bool, which would count as 0 and 1, and NaN and infinity.
    """
    found = array(name, value)
    if found.dtype.kind == "b":
        raise TypeError(f"{name} must be numbers, got bool; if 0 and 1 are meant, convert it first")
    found = found.astype(np.float64)
    bad = np.argwhere(~np.isfinite(found))
    if len(bad):
        raise ValueError(
            f"{name} holds NaN or infinity, first at index {tuple(int(i) for i in bad[0])}; {hint}"
        )
    return found


def series(name, values):
    """A float64 copy of a series, (N,) or (N, F), with at least one value; or an error."""
    found = finite_floats(name, values, GAP)
    if found.ndim not in (1, 2):
        raise ValueError(
            f"{name} must have shape (N,) or (N, F), a row for each step in time, "
            f"got shape {found.shape}"
        )
    if found.size == 0:
        raise ValueError(f"{name} must hold at least one value, got shape {found.shape}")
    return found


def columns(name, values, count):
    """A choice of features as int64 (C,), each once and 0 <= each < count; ``None`` chooses all."""
    if values is None:
        return np.arange(count)
    hint, reason = "pass the numbers of the features", f"there are F = {count} features"
    found = np.atleast_1d(whole_numbers(name, values, hint))
    if found.ndim != 1 or found.size == 0 or len(np.unique(found)) < len(found):
        raise ValueError(f"{name} must name one feature or several, each once, got {values!r}")
    return ids(name, found, count, hint, reason)


def matches(shape, expected):
    """Whether a shape fits an expected one; ``None``, on either side, stands for any size."""
    return len(shape) == len(expected) and all(
        got is None or want is None or got == want
        for got, want in zip(shape, expected, strict=True)
    )


def floats(name, shape, dtype, *, expected, axes, want_dtype):
    """Check the rank, the sizes and the dtype of an array of floats.

    ``expected`` holds the sizes wanted, ``None`` where any will do; ``axes`` says them in words, as
    in "(B, T, I)".
    """
    for count in expected:  # but for a batch size that a caller gives, they are the layer's own
        if not isinstance(count, (int, np.integer, type(None))):
            raise TypeError(f"batch_size must be a whole number or None, got {count!r}")
    shape = tuple(shape)
    if len(shape) != len(expected):
        few = len(shape) < len(expected)
        raise ValueError(
            f"{name} must have {len(expected)} axes {axes}, got shape {shape}; "
            + ("add the missing axis, as in x[None]" if few else "take one axis away")
        )
    if not matches(shape, expected):
        wanted = ", ".join("any" if n is None else str(n) for n in expected)
        raise ValueError(f"{name} must have shape {axes} = ({wanted}), got {shape}")
    if dtype != want_dtype:
        whole = "int" in dtype or dtype == "bool"
        raise TypeError(
            f"{name} must be {want_dtype} like the weights, got {dtype}; "
            + ("token ids? one_hot() them first; else " if whole else "")
            + f"convert it to {want_dtype}"
            + (f", or build the layer with dtype={dtype!r}" if dtype in DTYPES else "")
        )


def whole_numbers(name, values, hint):
    """An int64 array; TypeError, ending in the hint, if the values are not whole numbers."""
    found = anything(name, values, "whole numbers")
    if found.size == 0 and found.dtype == np.float64:  # an empty list does not tell its kind
        return found.astype(np.int64)
    if found.dtype.kind not in "iu":
        raise TypeError(f"{name} must be whole numbers, got {found.dtype}; {hint}")
    if found.dtype == np.uint64 and (found > np.iinfo(np.int64).max).any():
        raise ValueError(f"{name} must be below 2**63, got {found.max()}; {hint}")
    return found.astype(np.int64)


def lengths(values, batch_size, steps):
    """Lengths (B,) as an int64 array with 0 <= length <= T; TypeError or ValueError otherwise."""
    found = whole_numbers("lengths", values, "pass ints, one for each row")
    if found.shape != (batch_size,):
        raise ValueError(
            f"lengths must have shape (B,) = ({batch_size},), one for each row, "
            f"got shape {found.shape}"
        )
    wrong = np.flatnonzero((found < 0) | (found > steps))
    if len(wrong):
        raise ValueError(
            f"lengths must lie between 0 and T = {steps}, got {found[wrong[0]]} at row {wrong[0]}; "
            "cut it, or pad the batch to the longest row"
        )
    return found


def valid_steps(lengths, steps):
    """Checked lengths (B,) -> (B, T) booleans, True at the valid steps."""
    return np.arange(steps) < lengths[:, None]


def adam(beta1, beta2, eps):
    """Adam's constants: 0 <= beta < 1 and eps >= 0; ValueError or TypeError otherwise."""
    return (
        number("beta1", beta1, minimum=0, below=1),
        number("beta2", beta2, minimum=0, below=1),
        number("eps", eps, minimum=0),
    )


def finite(name, bad):
    """Refuse NaN and infinity; ``bad`` holds the indices (row, step, ...) at which they stand."""
    if len(bad):
        raise ValueError(
            f"{name} holds NaN or infinity at a valid step, first at index "
            f"{tuple(int(i) for i in bad[0])}; clean the data, or set lengths so that the step "
            "counts as padding"
        )


def ids(name, values, count, hint, reason):
    """Whole numbers as an int64 array with 0 <= each < count; TypeError or ValueError otherwise."""
    found = whole_numbers(name, values, hint)
    wrong = found[(found < 0) | (found >= count)]
    if wrong.size:
        raise ValueError(
            f"{name} must lie between 0 and {count - 1} ({reason}), got {wrong.flat[0]}"
        )
    return found


def token_ids(name, values, size):
    """Token ids as an int64 array with 0 <= id < size; TypeError or ValueError otherwise."""
    hint = "token ids are ints; encode text with Vocabulary.encode"
    return ids(name, values, size, hint, f"the vocabulary has {size} symbols")


def class_ids(name, values, classes):
    """Classes as an int64 array with 0 <= class < classes; TypeError or ValueError otherwise."""
    return ids(name, values, classes, "classes are ints from 0", f"there are {classes} classes")


def path(name, value):
    """Return a file's path as a Path; TypeError or ValueError if it is none."""
    if not isinstance(value, (str, os.PathLike)) or isinstance(os.fspath(value), bytes):
        raise TypeError(f"{name} must be a path, a string or a Path, got {type(value).__name__}")
    found = Path(value)
    try:
        encoded = os.fsencode(found)
    except UnicodeEncodeError:  # half of a character, which no file system knows
        encoded = b""
    if not encoded or not found.name or b"\0" in encoded:
        raise ValueError(f"{name} must be the path of a file, got {str(value)!r}")
    return found


def flag(name, value):
    """Return a bool; TypeError for anything else."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r} ({type(value).__name__})")
    return bool(value)


def lstm_state(state):
    """The pair (h, c) of an LSTM's state; TypeError if it is none, ValueError if it is (c, h)."""
    fields = getattr(state, "_fields", None)
    if fields is not None and tuple(fields) != ("h", "c"):
        raise ValueError(
            f"state must be LSTMState(h, c), got a {type(state).__name__}{tuple(fields)}; "
            "its parts have other names or another order: build LSTMState(h=..., c=...)"
        )
    if not isinstance(state, (tuple, list)) or len(state) != 2:
        raise TypeError(
            f"state must be LSTMState(h, c), two arrays (B, H), got {type(state).__name__}; "
            "start from initial_state(batch_size)"
        )
    return tuple(state)


def instance(name, value, attribute, expected, *more):
    """Return ``value`` if it has the attributes that make it fit; TypeError otherwise."""
    if isinstance(value, type):
        raise TypeError(f"{name} must be {expected}, got the class {value.__name__} itself")
    if not all(hasattr(value, needed) for needed in (attribute, *more)):
        raise TypeError(f"{name} must be {expected}, got {type(value).__name__}")
    return value


def stack(layers):
    """The layers of a stack as a list; they must fit upon each other."""
    if not isinstance(layers, (list, tuple)):
        raise TypeError(f"layers must be a list of layers, got {type(layers).__name__}")
    layers = list(layers)
    if not layers:
        raise ValueError("layers must hold at least one layer, got an empty list")
    for k, layer in enumerate(layers):
        instance(f"layers[{k}]", layer, "output_size", "a layer such as RNN(cell)", *LAYER)
        if any(layer is other for other in layers[:k]):
            raise ValueError(
                f"layers[{k}] stands in the list twice, so its weights would be shared; "
                "build each layer by itself, with a seed of its own"
            )
    seen = {}
    for k, layer in enumerate(layers):
        for cell in cells(layer):
            if id(cell) in seen:
                raise ValueError(
                    f"layers[{k}] runs a cell that layers[{seen[id(cell)]}] runs too, so its "
                    "weights would be shared; build each cell by itself, with a seed of its own"
                )
        seen |= {id(cell): k for cell in cells(layer)}
    for k, (below, above) in enumerate(itertools.pairwise(layers)):
        if below.output_size != above.input_size:
            raise ValueError(
                f"layers[{k + 1}] reads {above.input_size} features, but layers[{k}] gives "
                f"{below.output_size}; make them equal"
            )
        same_dtype(f"layers[{k}]", below, f"layers[{k + 1}]", above)
    return layers


def cells(layer):
    """The cells inside a layer, whatever it is built of."""
    if hasattr(layer, "cell"):
        return [layer.cell]
    two = [getattr(layer, name) for name in ("fwd", "bwd") if hasattr(layer, name)]
    return [cell for part in (*getattr(layer, "layers", ()), *two) for cell in cells(part)]


def directions(fwd, bwd):
    """The two layers of a bidirectional one; they must read the same inputs."""
    for name, layer in (("fwd", fwd), ("bwd", bwd)):
        instance(name, layer, "output_size", "a layer such as RNN(cell)", *LAYER)
    if fwd is bwd:
        raise ValueError("fwd and bwd are one layer, so its weights would be shared; build two")
    if {id(cell) for cell in cells(fwd)} & {id(cell) for cell in cells(bwd)}:
        raise ValueError(
            "fwd and bwd run one cell, so its weights would be shared; build each cell by itself, "
            "with a seed of its own"
        )
    if fwd.input_size != bwd.input_size:
        raise ValueError(
            f"fwd reads {fwd.input_size} features, bwd reads {bwd.input_size}; make them equal"
        )
    same_dtype("fwd", fwd, "bwd", bwd)
    return fwd, bwd


def same_dtype(one_name, one, other_name, other):
    """Refuse two layers whose weights differ in dtype."""
    if one.dtype != other.dtype:
        raise ValueError(
            f"{one_name} is {one.dtype}, {other_name} is {other.dtype}; build both with one dtype"
        )


def parts(name, value, count, expected):
    """The parts of a layer's state as a tuple of the right count; TypeError or ValueError."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(
            f"{name} must be a tuple of {count}, {expected}, got {type(value).__name__}"
        )
    if len(value) != count:
        raise ValueError(f"{name} must be a tuple of {count}, {expected}, got {len(value)}")
    return tuple(value)


LAYER = ("input_size", "dtype", "initial_state", "check_state")  # and output_size
CELL = ("input_size", "hidden_size", "project", "initial_state", "check_state")  # and step
MODEL = "a CharLM, Forecaster or Classifier"


def model(value, *attributes, expected=MODEL):
    """Return a model that has what is asked of it; TypeError otherwise."""
    return instance("model", value, "layer", expected, "gradients", "loss", *attributes)


def iterable(name, value, expected="iterable"):
    """Return what can be gone through; TypeError otherwise, as for an array without axes."""
    try:
        iter(value)
    except TypeError:
        raise TypeError(f"{name} must be {expected}, got {type(value).__name__}") from None
    return value


def function(name, value, form):
    """Return what can be called; TypeError otherwise."""
    if not callable(value):
        raise TypeError(f"{name} must be a function {form}, got {type(value).__name__}")
    return value


def rng(value):
    """Return one of NumPy's generators; TypeError for anything else."""
    if not isinstance(value, np.random.Generator):
        raise TypeError(
            f"rng must be one of NumPy's generators, got {type(value).__name__}; "
            "np.random.default_rng(0) makes one"
        )
    return value


def named_arrays(name, value):
    """Return a dict of at least one thing by name; TypeError or ValueError otherwise."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise TypeError(f"{name} must be a dict of arrays by name, got {type(value).__name__}")
    if not value:
        raise ValueError(f"{name} must hold at least one array, got an empty dict")
    return value


def floating_gradients(dtypes):
    """Refuse gradients, given as dtypes by name, that are not floats of one dtype."""
    for name, dtype in dtypes.items():
        floating(f"grads[{name!r}]", dtype)
    if len(set(dtypes.values())) > 1:
        raise TypeError(f"grads must be of one dtype, got {dtypes}")


def is_batch(value):
    """Return what is a Batch; TypeError otherwise."""
    if not isinstance(value, tuple) or not all(
        hasattr(value, field) for field in ("inputs", "targets", "lengths", "carry")
    ):
        raise TypeError(
            f"batch must be a Batch(inputs, targets, lengths), got {type(value).__name__}"
        )
    if not hasattr(value.inputs, "__len__"):
        raise TypeError(f"batch.inputs must be an array, got {type(value.inputs).__name__}")
    return value


def language_model(vocabulary, layer, vocabulary_class):
    """Check that a vocabulary and a layer fit each other, and that the layer reads forward only."""
    if not isinstance(vocabulary, vocabulary_class):
        raise TypeError(
            f"vocabulary must be a Vocabulary, got {type(vocabulary).__name__}; "
            "make one with Vocabulary.from_text(text)"
        )
    instance("layer", layer, "output_size", "a layer such as LSTM(V, H)", *LAYER)
    if layer.input_size != len(vocabulary):
        raise ValueError(
            f"layer must read V = {len(vocabulary)} features, one for each symbol, "
            f"but its input size is {layer.input_size}"
        )
    forward_only(layer, "the character to be predicted")
    return vocabulary, layer


def forecaster(layer, features, horizon, read):
    """Check what a Forecaster is made of: -> layer, features, horizon, read."""
    instance("layer", layer, "output_size", "a layer such as LSTM(I, H)", *LAYER)
    features, horizon = size("features", features), size("horizon", horizon)
    choice("read", read, ("last", "every"))
    if read == "every":
        if horizon > 1:
            raise ValueError(
                f'horizon must be 1 where every step is read (read="every"), got {horizon}; '
                "targets one step later each are forecasts for the next step"
            )
        forward_only(layer, "the values to be forecast")
    return layer, features, horizon, read


def classifier(layer, classes, read):
    """Check what a Classifier is made of: -> layer, classes, read."""
    instance("layer", layer, "output_size", "a layer such as LSTM(I, H)", *LAYER)
    read = choice("read", read, ("last", "mean", "max", "every"))
    return layer, size("classes", classes, minimum=2), read


def forward_only(layer, answer):
    """Refuse a layer that has a backward half, which sees the answer."""
    if _reads_backward(layer):
        raise ValueError(
            "layer must read forward only, got a bidirectional one: its backward half sees "
            f"{answer}"
        )


def can_carry(layer):
    """Refuse to carry the state of a layer that has a backward half: it would go back in time."""
    if _reads_backward(layer):
        raise ValueError(
            "a batch with carry=True needs a layer that reads forward only, got a bidirectional "
            "one: its backward half ends at a batch's first step, and the next one lies after it"
        )


def _reads_backward(layer):
    return hasattr(layer, "bwd") or any(map(_reads_backward, getattr(layer, "layers", [])))


def fed_back(model, steps):
    """Check that forecasts can be inputs, and that there is a step to go on from."""
    features, input_size = model.features, model.layer.input_size
    if features != input_size:
        raise ValueError(
            f"model must give as many features as it reads, for forecasts become inputs: it gives "
            f"{features} and reads {input_size}; build it with features={input_size}"
        )
    if steps == 0:
        raise ValueError("xs must hold at least one step to go on from, got none")


def id_batch(name, ids, size):
    """Token ids as an int64 array (B, T)."""
    array = token_ids(name, ids, size)
    if array.ndim != 2:
        raise ValueError(
            f"{name} must have two axes (B, T), got shape {array.shape}; one row is ids[None]"
        )
    return array


def text_batch(batch, size):
    """A Batch of ids, checked, and the mask of the targets that count (``None``: all of them)."""
    batch = is_batch(batch)
    inputs = id_batch("batch.inputs", batch.inputs, size)
    targets = id_batch("batch.targets", batch.targets, size)
    if inputs.shape != targets.shape:
        raise ValueError(
            f"batch.inputs and batch.targets must be of one shape (B, T), got {inputs.shape} "
            f"and {targets.shape}"
        )
    batch, steps = ragged(batch._replace(inputs=inputs, targets=targets))
    return batch, mask(steps, targets.shape)


def forecast_batch(batch, input_size, horizon, features, every, dtype):
    """A Batch of numbers for a Forecaster, checked, and the mask of the targets that count."""
    batch, steps = number_inputs(batch, input_size, dtype)
    B, T, _ = batch.inputs.shape
    targets = array("batch.targets", batch.targets)
    floats(
        "batch.targets",
        targets.shape,
        targets.dtype.name,
        expected=(B, T if every else horizon, features),
        axes="(B, T, F)" if every else "(B, horizon, F)",
        want_dtype=dtype,
    )
    if steps is not None and not every:
        steps = np.repeat(batch.lengths[:, None] > 0, horizon, axis=1)
    steps = mask(steps, targets.shape[:-1])
    bad = ~np.isfinite(targets)
    if steps is not None:
        bad &= steps[:, :, None]
        targets = np.where(steps[:, :, None], targets, targets.dtype.type(0))
    finite("batch.targets", np.argwhere(bad))
    return batch._replace(targets=targets), steps


def class_batch(batch, input_size, classes, every, dtype):
    """A Batch of numbers for a Classifier, checked, and the mask of the targets that count."""
    batch, steps = number_inputs(batch, input_size, dtype)
    targets = whole_numbers("batch.targets", batch.targets, "classes are ints from 0")
    shape = batch.inputs.shape[: 2 if every else 1]
    if targets.shape != shape:
        axes, each = ("(B, T)", "step") if every else ("(B,)", "row")
        raise ValueError(
            f"batch.targets must have shape {axes} = {shape}, one class for each {each}, got shape "
            f"{targets.shape}"
        )
    counted = steps if steps is None or every else batch.lengths > 0
    if every and counted is not None:
        targets = np.where(counted, targets, 0)  # padding may hold any mark, -1 for one
    targets = class_ids("batch.targets", targets, classes)
    return batch._replace(targets=targets), mask(counted, targets.shape)


def number_inputs(batch, input_size, dtype):
    """A Batch with inputs (B, T, I) checked and 0 in the padding, and the mask of its steps."""
    batch = is_batch(batch)
    inputs = array("batch.inputs", batch.inputs)
    floats(
        "batch.inputs",
        inputs.shape,
        inputs.dtype.name,
        expected=(None, None, input_size),
        axes="(B, T, I)",
        want_dtype=dtype,
    )
    batch, steps = ragged(batch._replace(inputs=inputs))
    bad = ~np.isfinite(inputs)
    if steps is not None:
        bad &= steps[:, :, None]
        batch = batch._replace(inputs=np.where(steps[:, :, None], inputs, inputs.dtype.type(0)))
    finite("batch.inputs", np.argwhere(bad))
    return batch, steps


def ragged(batch):
    """The Batch with its lengths checked, and the mask (B, T) of its steps; ``None``: all valid."""
    if batch.lengths is None:
        return batch, None
    B, T = batch.inputs.shape[:2]
    checked = lengths(batch.lengths, B, T)
    return batch._replace(lengths=checked), valid_steps(checked, T)


def name(value, known):
    """Refuse a name that is none of the known; ValueError, or TypeError if it is no string."""
    if not isinstance(value, str):
        raise TypeError(f"name must be a string, one of {known}, got {type(value).__name__}")
    if value not in known:
        raise ValueError(f"name must be one of {known}, got {value!r}")


def choice(name, value, known):
    """Return ``value`` if it is one of the known words; ValueError otherwise."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")
    return value


def mask(found, shape):
    """A mask as booleans of the targets' shape, or ``None``; it must leave something to count."""
    count = math.prod(shape)
    if found is not None:
        found = anything("mask", found, "booleans")
        if found.dtype != bool:
            raise TypeError(
                f"mask must be booleans, True where a target counts, got {found.dtype}; "
                "mask(lengths, T) makes one"
            )
        if found.shape != tuple(shape):
            raise ValueError(
                f"mask must have the shape of the targets, {tuple(shape)}, got {found.shape}"
            )
        count = found.sum()
    some_targets(count)
    return found if found is None else np.ascontiguousarray(found)  # PyTorch takes no other


def class_loss(shape, dtype, targets, found):
    """Targets and mask for logits of a shape (..., C), checked: -> ids, booleans or ``None``."""
    floating("logits", dtype)
    if len(shape) < 2:
        raise ValueError(f"logits must have at least two axes (..., C), got shape {tuple(shape)}")
    targets = whole_numbers("targets", targets, "classes are ints from 0")
    if targets.shape != tuple(shape[:-1]):
        raise ValueError(
            f"targets must have the shape of logits without the last axis, {tuple(shape[:-1])}, "
            f"got {targets.shape}"
        )
    found = mask(found, targets.shape)
    if found is not None:
        targets = np.where(found, targets, 0)  # padding may hold any mark, -1 for one
    return class_ids("targets", targets, shape[-1]), found


def number_loss(shape, dtype, target_shape, target_dtype, found):
    """The mask for predictions of a shape (..., F), checked against their targets, too."""
    floating("predictions", dtype)
    if len(shape) < 2 or tuple(shape) != tuple(target_shape) or dtype != target_dtype:
        raise ValueError(
            "predictions and targets must be of one shape (..., F) and dtype, got "
            f"{tuple(shape)} {dtype} and {tuple(target_shape)} {target_dtype}"
        )
    return mask(found, shape[:-1])


def floating(name, dtype):
    """Refuse numbers of a dtype that is none of ours: whole ones would be cut, half ones coarse."""
    if dtype not in DTYPES:
        raise TypeError(f"{name} must be {' or '.join(DTYPES)}, got {dtype}")


def some_targets(count):
    """Refuse to average a loss over nothing."""
    if count == 0:
        raise ValueError(
            "there is no valid target to average the loss over; leave such batches out"
        )


def prompt(text, vocabulary):
    """The token ids of a prompt. It must hold a character: the first guess rests on it."""
    if not isinstance(text, str) or not text:
        raise ValueError(f"prompt must hold at least one character, got {text!r}")
    try:
        return vocabulary.encode(text)
    except ValueError as error:
        raise ValueError(f"prompt {str(error).removeprefix('text ')}") from None


def exactly(name, value, classes, expected):
    """Return ``value`` if its class is one of ``classes``; TypeError otherwise, subclasses too."""
    if type(value) not in classes:
        cls, of_it = (value, " itself") if isinstance(value, type) else (type(value), "")
        got = f"{cls.__module__}.{cls.__qualname__}".removeprefix("builtins.")
        raise TypeError(f"{name} must be {expected}, got {got}{of_it}")
    return value


def setting(name, value, wanted, hint):
    """Refuse a layer's setting that the other side cannot represent; ValueError."""
    if value != wanted:
        raise ValueError(f"{name} must be {wanted!r}, got {value!r}; {hint}")


def native_dtype(name, found):
    """The one dtype of a native layer; ValueError if there are several or it is none of ours."""
    if len(found) > 1 or not found <= set(DTYPES):
        raise ValueError(
            f"{name} must compute and keep its weights in one dtype, {' or '.join(DTYPES)}, "
            f"got {' with '.join(sorted(found))}; convert it, or build it with one of these"
        )
    return next(iter(found))


def native_directions(name, fwd, bwd, target):
    """The two cells (fwd, bwd) of a level that reads both ways; ValueError if ``target`` has none.

    fwd, bwd: each direction's cells, level by level.
    """
    if any(len(levels) > 1 or len(levels[0]) > 1 for levels in (fwd, bwd)):
        raise ValueError(
            f"{name} has a whole network in each direction (independent towers), but {target} "
            "joins the two directions after every level; convert the towers one by one, "
            f"to_native({name}.fwd) and to_native({name}.bwd), and reverse what the second reads"
        )
    (fwd,), (bwd,) = fwd[0], bwd[0]
    one, other = (f"{type(cell).__name__} of {cell.hidden_size} units" for cell in (fwd, bwd))
    if one != other:
        raise ValueError(
            f"{name} has {one} forward and {other} backward, but {target} wants both alike; "
            f"convert them one by one, to_native({name}.fwd) and to_native({name}.bwd), "
            "and reverse what the second reads"
        )
    return fwd, bwd


def native_levels(levels):
    """Refuse levels that differ, for one module of ``torch.nn`` has them alike; ValueError."""
    words = [
        " and ".join(f"{type(cell).__name__} of {cell.hidden_size} units" for cell in level)
        for level in levels
    ]
    for k, other in enumerate(words):
        if other != words[0]:
            raise ValueError(
                "layer must be alike at every level to become one torch.nn module, but level 0 is "
                f"{words[0]} and level {k} is {other}; convert its layers one by one, "
                "[to_native(part) for part in layer.layers]"
            )


def distinct(name, layers):
    """Refuse a list that holds one layer twice: its shared weights would become two copies."""
    for k, layer in enumerate(layers):
        if any(layer is other for other in layers[:k]):
            raise ValueError(
                f"{name}[{k}] stands in the list twice, so its weights are shared, which a Stack "
                "does not know; pass layers with weights of their own"
            )


def keras_backend(backend):
    """Refuse a Keras that does not compute with TensorFlow; ImportError."""
    if backend != "tensorflow":
        raise ImportError(
            f"rnnlab.tensorflow needs Keras with TensorFlow as its backend, got {backend!r}; set "
            "KERAS_BACKEND=tensorflow in the environment (or unset it, and look into "
            "~/.keras/keras.json) before Python starts"
        )
