"""Files of weights and of whole training runs, the same for the three notations.

The format is safetensors: loading a file runs no code. A file is written whole or not at all, and
holds a hash of its content, which is checked before anything of it is used.
"""

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


def write(path, arrays, about):
    """Write arrays and what is to be known about them to ``path``, whole or not at all.

    The file appears under its name once it is complete on the disk; until then, and where writing
    fails, whatever stood there before stays as it was.

    arrays: dict of NumPy arrays by name. about: a dict that JSON can hold.
    Raises TypeError or ValueError if about or an array is of no kind that can be stored, OSError if
    the disk refuses.

    >>> path = Path(tempfile.mkdtemp()) / "run.safetensors"
    >>> write(path, {"losses": np.array([3.0, 2.5])}, {"step": 2})
    >>> arrays, about = read(path)
    >>> arrays["losses"].tolist(), about
    ([3.0, 2.5], {'step': 2})
    """
    path = Path(path)
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    about = json.dumps(about, sort_keys=True, allow_nan=False)
    content = to_bytes(arrays, {"format": FORMAT, "about": about, "sha256": _digest(arrays, about)})
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C too must leave nothing half-written behind
        Path(temporary).unlink(missing_ok=True)
        raise


def read(path):
    """What :func:`write` wrote to ``path``: -> arrays, about.

    Raises FileNotFoundError if there is no file, ValueError if it is none of ours, or if it was cut
    or changed since it was written. It is not used then.

    >>> path = Path(tempfile.mkdtemp()) / "run.safetensors"
    >>> write(path, {}, {"step": 2})
    >>> read(path)
    ({}, {'step': 2})
    """
    content = Path(path).read_bytes()
    try:
        metadata = _metadata(content)
        arrays = from_bytes(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
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
    return arrays, json.loads(about)


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
    arrays = {name: checks.array(f"weights[{name!r}]", w) for name, w in weights.items()}
    write(path, {WEIGHTS + name: array for name, array in arrays.items()}, {})


def load_weights(path):
    """The weights in a file of :func:`save_weights`, or in a checkpoint of ``fit``.

    path: where it is.
    Returns a dict of arrays by dotted name, for ``set_weights``.
    Raises FileNotFoundError if there is no file, ValueError if it is damaged or none of ours.

    >>> from rnnlab.numpy import LSTM, get_weights
    >>> path = Path(tempfile.mkdtemp()) / "lstm.safetensors"
    >>> save_weights(path, get_weights(LSTM(4, 2)))
    >>> load_weights(path)["cell.b"].shape
    (8,)
    """
    arrays, _ = read(path)
    return part(arrays, WEIGHTS)


def part(arrays, prefix):
    """The arrays whose name begins with the prefix, by the rest of their name.

    >>> part({"adam/m": 1, "losses": 2}, "adam/")
    {'m': 1}
    """
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _metadata(content):
    """The strings in a safetensors header: its length in 8 bytes, then JSON."""
    length = int.from_bytes(content[:8], "little")
    if length > len(content) - 8:
        raise ValueError("its header is cut")
    return json.loads(content[8 : 8 + length]).get("__metadata__", {})


def _digest(arrays, about):
    """A hash of everything the file means to say."""
    found = hashlib.sha256(about.encode())
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()
