"""How the notations call the loops of :mod:`rnnlab.kernels`, where numba is installed.

Nothing needs numba; with it (``pip install "rnnlab[fast]"``) the same numbers come sooner.
"""

import functools
import math

import numpy as np

__all__ = ["ahead", "back", "for_kernel", "kernels", "validity"]

FEW = 100_000  # multiplications in a step; below, numba's own product is done before a call is


@functools.cache
def kernels():
    """The module ``rnnlab.kernels``; ``None`` without numba, or where it may not compile.

    It is imported when a layer first runs: numba takes a third of a second to load.
    """
    try:
        import numba

        from rnnlab import kernels as found
    except ImportError:  # not installed, or not made for this Python or this NumPy
        return None
    return None if numba.config.DISABLE_JIT else found


def validity(valid):
    """The mask (T, B) as the loops take it: without rows where every step counts."""
    return np.empty((0, 0), bool) if valid is None else valid


def for_kernel(W, B):
    """W (H, n), where a kernel shall multiply B rows by it itself; else none of its rows."""
    return W if B * math.prod(W.shape) <= FEW else W[:0]


def ahead(kernel, arrays, W, multiply, T):
    """All steps of a kernel, the first one first; ``multiply(t)`` makes the product step t needs.

    arrays: what the kernel takes before W, start and end. W: see :func:`for_kernel`.
    """
    if len(W):
        kernel(*arrays, W, 0, T)
        return
    for t in range(T):
        multiply(t)
        kernel(*arrays, W, t, t + 1)


def back(kernel, arrays, W, multiply, T):
    """All steps of a kernel, the last one first; ``multiply(t)`` makes the product after step t."""
    if len(W):
        kernel(*arrays, W, 0, T)
        return
    for t in reversed(range(T)):
        kernel(*arrays, W, t, t + 1)
        multiply(t)
