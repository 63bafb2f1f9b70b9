"""How the notations call the loops of :mod:`rnnlab.kernels`, where numba is installed.

Nothing needs numba; with it (``pip install "rnnlab[fast]"``) the same numbers come sooner.
"""

import functools

import numpy as np

__all__ = ["ahead", "back", "kernels", "validity"]

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


def ahead(kernel, arrays, W, multiply, T, B):
    """All steps of a kernel, the first one first; ``multiply(t)`` makes the product step t needs.

    arrays: what the kernel takes before W, start and end.
    """
    if B * W.size <= FEW:
        kernel(*arrays, W, 0, T)
        return
    nothing = W[:0]
    for t in range(T):
        multiply(t)
        kernel(*arrays, nothing, t, t + 1)


def back(kernel, arrays, W, multiply, T, B):
    """All steps of a kernel, the last one first; ``multiply(t)`` makes the product after step t."""
    if B * W.size <= FEW:
        kernel(*arrays, W, 0, T)
        return
    nothing = W[:0]
    for t in reversed(range(T)):
        kernel(*arrays, nothing, t, t + 1)
        multiply(t)
