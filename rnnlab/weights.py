"""Weights by dotted name, the form in which the three notations exchange them."""

import numpy as np

from rnnlab import checks

__all__ = ["check_weights", "prefixed"]


def prefixed(prefix, named, dot="."):
    """Put a part's name before the names of what it holds.

    >>> prefixed("cell", {"W_x": 1, "b": 2})
    {'cell.W_x': 1, 'cell.b': 2}
    """
    return {f"{prefix}{dot}{name}": value for name, value in named.items()}


def check_weights(weights, present):
    """The new weights as arrays, all checked against the present ones before any is written.

    Raises ValueError if a name is missing or unknown, a shape differs or a value is not finite;
    TypeError if a dtype differs.
    """
    if not isinstance(weights, dict):
        raise TypeError(f"weights must be a dict of arrays, got {type(weights).__name__}")
    missing = sorted(present.keys() - weights.keys())
    unknown = sorted(weights.keys() - present, key=str)
    if missing or unknown:
        raise ValueError(
            f"weights must hold exactly the names {sorted(present)}; "
            f"missing: {missing or 'none'}, unknown: {unknown or 'none'}"
        )
    arrays = {name: checks.array(f"weights[{name!r}]", weights[name]) for name in present}
    for name, array in arrays.items():
        want = present[name]
        if array.shape != want.shape:
            raise ValueError(f"weights[{name!r}] must have shape {want.shape}, got {array.shape}")
        if array.dtype != want.dtype:
            raise TypeError(
                f"weights[{name!r}] must be {want.dtype}, got {array.dtype}; "
                f"convert it with .astype({want.dtype.name!r})"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"weights[{name!r}] holds NaN or infinity")
    return arrays
