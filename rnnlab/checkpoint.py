"""Files of weights and of whole training runs, the same for the three notations.

The format is safetensors: loading a file runs no code. A file is written whole or not at all, and
holds a hash of its content, which is checked before anything of it is used.
"""

import errno
import hashlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as from_bytes
from safetensors.numpy import save as to_bytes

from rnnlab import checks

__all__ = ["load_weights", "read", "save_weights", "write"]

FORMAT = "rnnlab 1"
WEIGHTS = "weights/"
KINDS = "biuf"  # of arrays: bool, whole numbers, floats


def write(path, arrays, about):
    """Write arrays and what is to be known about them to ``path``, whole or not at all.

    The file appears under its name once it is complete on the disk; until then, and where writing
    fails, whatever stood there before stays as it was. (A process that is killed while it writes
    leaves a file ``.NAME.xxxxxxxx`` beside it. Nothing reads that; it may be deleted.)

    arrays: dict of NumPy arrays of numbers by name. about: a dict that JSON can hold.
    Raises TypeError or ValueError if path, about, a name or an array is of no kind that can be
    stored, OSError if the disk refuses.

    >>> path = Path(tempfile.mkdtemp()) / "run.safetensors"
    >>> write(path, {"losses": np.array([3.0, 2.5])}, {"step": 2})
    >>> arrays, about = read(path)
    >>> arrays["losses"].tolist(), about
    ([3.0, 2.5], {'step': 2})
    """
    path = checks.path("path", path)
    if not isinstance(arrays, dict) or not isinstance(about, dict):
        raise TypeError(
            f"arrays and about must be dicts, got {type(arrays).__name__} and "
            f"{type(about).__name__}"
        )
    for name in arrays:
        _check_name(name, "arrays")
    arrays = {
        name: np.asarray(checks.array(f"arrays[{name!r}]", array), order="C")
        for name, array in arrays.items()
    }
    try:
        about = json.dumps(about, sort_keys=True, allow_nan=False)
    except TypeError as error:
        raise TypeError(f"about must be a dict that JSON can hold: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"about must be a dict that JSON can hold: {error}") from None
    content = to_bytes(arrays, {"format": FORMAT, "about": about, "sha256": _digest(arrays, about)})
    try:
        handle, temporary = _beside(path)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:  # Ctrl-C too must leave nothing half-written behind
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _refused(error, path) from None


def check_place(path):
    """Refuse, before there is anything to lose, a path that cannot be written to.

    Raises TypeError or ValueError if it is no path, OSError, saying why, if no file can be made
    there.
    """
    path = checks.path("checkpoint", path)
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        handle, temporary = _beside(path)
    except OSError as error:
        raise _refused(error, path) from None
    os.close(handle)
    os.unlink(temporary)


def read(path):
    """What :func:`write` wrote to ``path``: -> arrays, about.

    Raises FileNotFoundError if there is no file, ValueError if it is none of ours, or if it was cut
    or changed since it was written. It is not used then.

    >>> path = Path(tempfile.mkdtemp()) / "run.safetensors"
    >>> write(path, {}, {"step": 2})
    >>> read(path)
    ({}, {'step': 2})
    """
    path = checks.path("path", path)
    content = path.read_bytes()
    try:
        metadata = _metadata(content)
        arrays = from_bytes(content)
    except UNREADABLE as error:
        raise ValueError(
            f"{path} is no whole safetensors file ({error}); it was not used: take another copy"
        ) from None
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{path} must be a file of the format {FORMAT!r}, got {metadata.get('format')!r}; "
            "weights of another origin go through safetensors and set_weights"
        )
    about = metadata.get("about", "")
    if metadata.get("sha256") != _digest(arrays, about):
        raise ValueError(
            f"{path} was changed since it was written: its content does not have the hash it "
            "names. It was not used; take another copy"
        )
    # Whoever makes a file can give it the right hash. So what is in it is not trusted, either.
    try:
        about = json.loads(about, object_pairs_hook=_once)
        if not isinstance(about, dict):
            raise ValueError("what it says about itself is no JSON object")
        for name, array in arrays.items():
            _check_name(name, "it")
            if array.dtype.kind not in KINDS:
                raise ValueError(f"its {name!r} is {array.dtype}, which is no kind of ours")
    except UNREADABLE as error:
        raise ValueError(
            f"{path} was not made by rnnlab ({error}); it was not used: take a file that was"
        ) from None
    return arrays, about


def save_weights(path, weights):
    """Write weights, as ``get_weights`` gives them, to a safetensors file.

    path: where; a name ending in ``.safetensors`` is usual. weights: dict of arrays by dotted name.

    >>> from rnnlab.numpy import LSTM, get_weights, set_weights
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "lstm.safetensors"
    >>> save_weights(path, get_weights(LSTM(4, 2, seed=0)))
    >>> set_weights(LSTM(4, 2, seed=1), load_weights(path))  # of any of the three notations
    """
    if not isinstance(weights, dict):
        raise TypeError(f"weights must be a dict of arrays, got {type(weights).__name__}")
    for name in weights:
        _check_name(name, "weights")
    arrays = {name: checks.array(f"weights[{name!r}]", w) for name, w in weights.items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(
                f"weights[{name!r}] holds NaN or infinity, which no layer takes; {checks.DIVERGED}"
            )
    write(path, {WEIGHTS + name: array for name, array in arrays.items()}, {})


def load_weights(path):
    """The weights in a file of :func:`save_weights`, or in a checkpoint of ``fit``.

    path: where it is.
    Returns a dict of arrays by dotted name, for ``set_weights``.
    Raises FileNotFoundError if there is no file, ValueError if it is damaged, none of ours, or
    holds NaN or infinity.

    >>> from rnnlab.numpy import LSTM, get_weights
    >>> path = Path(tempfile.mkdtemp()) / "lstm.safetensors"
    >>> save_weights(path, get_weights(LSTM(4, 2)))
    >>> load_weights(path)["cell.b"].shape
    (8,)
    """
    arrays, _ = read(path)
    weights = part(arrays, WEIGHTS)
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{path} holds NaN or infinity in {name!r}; it was not used")
    return weights


def part(arrays, prefix):
    """The arrays whose name begins with the prefix, by the rest of their name.

    >>> part({"adam/m": 1, "losses": 2}, "adam/")
    {'m': 1}
    """
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


# What the parsers of a header and of JSON raise at the worst that may stand in a file.
UNREADABLE = (SafetensorError, ValueError, KeyError, TypeError, OverflowError, RecursionError)


def _metadata(content):
    """The strings in a safetensors header: its length in 8 bytes, then JSON."""
    length = int.from_bytes(content[:8], "little")
    if length > len(content) - 8:
        raise ValueError("its header is cut")
    header = json.loads(content[8 : 8 + length], object_pairs_hook=_once)
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict):
        raise ValueError("its header is no JSON object")
    return metadata


def _once(pairs):
    """A JSON object as a dict; ValueError if a name stands in it twice, which readers differ in."""
    found = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name!r} stands in it twice")
        found[name] = value
    return found


def _check_name(name, argument):
    """Refuse a name that could be taken for a way to another folder, or that cannot be seen."""
    if not isinstance(name, str):
        raise TypeError(f"the names in {argument} must be strings, got {type(name).__name__}")
    parts = name.replace("\\", "/").split("/")
    if not name.isprintable() or {"", ".", ".."} & set(parts):
        raise ValueError(
            f"the names in {argument} must be printable, with no '..' nor empty part, got {name!r}"
        )


def _beside(path):
    """A new file in the folder of a path: its handle, its name."""
    return tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)


def _refused(error, path):
    """The disk's refusal, saying of which file and that nothing is lost."""
    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
        reason = f"there is no folder {path.parent}; make it first"
    kept = "; what stood there before is as it was" if path.is_file() else ""
    return OSError(error.errno, f"{reason} (nothing was written{kept})", str(path))


def _digest(arrays, about):
    """A hash of everything the file means to say."""
    found = hashlib.sha256(about.encode())
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()
