"""How the notations call the loops of :mod:`rnnlab.kernels`, where numba is installed.

Nothing needs numba; with it (``pip install "rnnlab[fast]"``) the same numbers come sooner.

Shapes: xs (B, T, I) and dys (B, T, H), in any layout, best with either of the first two axes first
in memory. Of the rest T is first: hs and cs (T + 1, B, H), gates (T, B, G*H), all contiguous. All
arrays are of one dtype. gemm: what :func:`gemm_for` gives.
"""

import ctypes
import functools
import math

import numpy as np

__all__ = [
    "address_of",
    "gemm_for",
    "gemm_in",
    "gru",
    "gru_back",
    "kernels",
    "lstm",
    "lstm_back",
    "numpys_gemm",
    "rnn",
    "rnn_back",
    "validity",
]

FEW = 100_000  # multiplications in a step; below, numba's own product is done before Python's is
ROWS = 200  # in all; turning a matrix takes as long as a product of that many rows gains by it
LONG, CACHED = 256, 2**17  # rows that make a product a large one; numbers for a core's own cache


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
    """The mask (B, T) as the loops take it: (T, B), or without rows where every step counts."""
    return np.empty((0, 0), bool) if valid is None else np.ascontiguousarray(valid.T)


LETTERS = {"float32": "s", "float64": "d"}  # as the names of BLAS begin


@functools.cache
def gemm_in(library, dtype):
    """The address of the GEMM that a library of machine code calls; 0 where none is found.

    library: a path. NumPy and PyTorch are each linked to a BLAS library (OpenBLAS, MKL,
    Accelerate); its functions have the names they have had in Fortran, or nearly.
    """
    name = f"{LETTERS[dtype]}gemm_"
    try:
        shown = ctypes.CDLL(library)
    except OSError:
        return 0
    for known in name, f"{name}64_", f"scipy_{name}", f"scipy_{name}64_":
        if hasattr(shown, known):
            return ctypes.cast(getattr(shown, known), ctypes.c_void_p).value
    return 0


def address_of(product, dtype):
    """The address of a GEMM that is this Python function: product(x, W, out) writes x W."""
    dtype = np.dtype(dtype)
    size, number = (
        ctypes.POINTER(ctypes.c_int64),
        ctypes.POINTER(np.ctypeslib.as_ctypes_type(dtype)),
    )
    letter, array = ctypes.POINTER(ctypes.c_char), ctypes.c_void_p

    def matrix(start, rows, columns, turned=False):
        """The array (rows, columns) at an address; ``turned``: its transpose stands there."""
        memory = (ctypes.c_char * (rows * columns * dtype.itemsize)).from_address(start)
        shape = (columns, rows) if turned else (rows, columns)
        found = np.ndarray(shape, dtype, memory)
        return found.T if turned else found

    def gemm(of_W, of_x, M, N, K, one, W, W_row, x, x_row, kept, out, out_row):
        M, N, K = M[0], N[0], K[0]
        W = matrix(W, K, M, of_W[0] == b"T")
        x = matrix(x, N, K, of_x[0] == b"T")
        out = matrix(out, N, M)
        found = np.empty_like(out) if kept[0] else out
        product(x, W, found)
        if kept[0]:
            out += found

    kinds = [letter] * 2 + [size] * 3 + [number, array, size, array, size, number, array, size]
    kind = ctypes.CFUNCTYPE(None, *kinds)
    return kind(gemm)


def gemm_for(address, shape, B, by_python):
    """gemm (address, own, block) as the kernels take it, for B rows and W_h of this shape.

    address: of a BLAS library's; 0 if there is none to be had. Then the loop makes small products
    by itself, and ``by_python``, which :func:`address_of` gives, the others. Its calls are dear, so
    that all steps are one block.
    """
    if address:
        return address, 0, block_of(B, shape[1])
    own = B * math.prod(shape) <= FEW
    return ctypes.cast(by_python, ctypes.c_void_p).value, int(own), ALL


ALL = 2**31


try:
    from numpy._core._multiarray_umath import __file__ as NUMPYS_CODE
except ImportError:  # before NumPy 2
    from numpy.core._multiarray_umath import __file__ as NUMPYS_CODE


def numpys_gemm(dtype, shape, B):
    """gemm for B rows and W_h of this shape: the product that NumPy itself calls."""
    return gemm_for(gemm_in(NUMPYS_CODE, dtype), shape, B, numpys_product(dtype))


@functools.cache
def numpys_product(dtype):
    """The same where it is not found: NumPy's product as Python calls it."""
    return address_of(np.matmul, dtype)


def block_of(B, width):
    """How many steps shall make a block, of B rows each and so many numbers in a row."""
    return max(1, -(-LONG // max(B, 1)), CACHED // max(B * width, 1))


def laid_out(rows):
    """An array (B, T, K) as it lies in memory: itself and 1, or (T, B, K) and 0."""
    steps = rows.swapaxes(0, 1)
    if steps.flags.c_contiguous:
        return steps, 0
    return np.ascontiguousarray(rows), 1


def from_start(start, T):
    """Room for the states (T + 1, B, H), with the first one in it."""
    states = np.empty((T + 1, *start.shape), start.dtype)
    states[0] = start
    return states


def rnn(xs, h0, W_x, W_h, b, valid, gemm):
    """h = tanh(x W_x + h W_h + b) for all steps: -> (hs,)."""
    hs = from_start(h0, xs.shape[1])
    kernels().rnn(*laid_out(xs), hs, W_x, W_h, b, valid, gemm)
    return (hs,)


def lstm(xs, h0, c0, W_x, W_h, b, valid, gemm):
    """c' = σ(f) c + σ(i) tanh(g), h = σ(o) tanh(c') for all steps: -> hs, cs, gates."""
    B, T, _ = xs.shape
    hs, cs, gates = from_start(h0, T), from_start(c0, T), np.empty((T, B, len(b)), xs.dtype)
    kernels().lstm(*laid_out(xs), gates, hs, cs, W_x, W_h, b, valid, gemm)
    return hs, cs, gates


def gru(xs, h0, W_x, W_h, b, b_hn, valid, gemm):
    """h' = (1 - z) n + z h for all steps: -> hs, gates, and what r is multiplied with."""
    B, T, _ = xs.shape
    hs, gates = from_start(h0, T), np.empty((T, B, len(b)), xs.dtype)
    through = np.empty((T, *h0.shape), xs.dtype)
    kernels().gru(*laid_out(xs), gates, hs, through, W_x, W_h, b, b_hn, valid, gemm)
    return hs, gates, through


def rnn_back(dys, dh, xs, hs, W_x, W_h, valid, gemm, wanted):
    """The gradients of xs, h0, W_x, W_h and b.

    dys, dh: those of the states after all steps and, over again, after the last one; dh becomes
    that of h0. wanted: whether that of xs is, and whether that of h0; what is not is no gradient.
    """
    xs, dxs, W_h, grads, back = room_back(xs, W_x, W_h, W_h.shape[1], gemm, wanted)
    states = dh, *xs, hs
    kernels().rnn_back(*laid_out(dys), *states, W_x, W_h, dxs[0], *grads, valid, gemm, back)
    return by_rows(*dxs), dh, *grads


def lstm_back(dys, dh, dc, xs, hs, cs, gates, W_x, W_h, valid, gemm, wanted):
    """The gradients of xs, h0, c0, W_x, W_h and b; see :func:`rnn_back`."""
    xs, dxs, W_h, grads, back = room_back(xs, W_x, W_h, W_h.shape[1], gemm, wanted)
    states = dh, dc, *xs, gates, hs, cs
    kernels().lstm_back(*laid_out(dys), *states, W_x, W_h, dxs[0], *grads, valid, gemm, back)
    return by_rows(*dxs), dh, dc, *grads


def gru_back(dys, dh, xs, hs, gates, through, W_x, W_h, valid, gemm, wanted):
    """The gradients of xs, h0, W_x, W_h, b and b_hn; see :func:`rnn_back`."""
    H = len(W_h)
    xs, dxs, W_h, grads, back = room_back(xs, W_x, W_h, 4 * H, gemm, wanted)
    states = dh, *xs, gates, hs, through
    kernels().gru_back(*laid_out(dys), *states, W_x, W_h, dxs[0], *grads, valid, gemm, back)
    dW_x, dW_h, db = grads
    r, z, hn, n = db.reshape(4, H)
    return by_rows(*dxs), dh, dW_x, dW_h, np.concatenate([r, z, n]), hn


def room_back(xs, W_x, W_h, biases, gemm, wanted):
    """What a loop back over xs takes: xs and, if it is wanted, room for its gradient, each as it
    lies (:func:`laid_out`); W_h, turned or not; room for the gradients of W_x, W_h and so many
    biases; and what the loop is told (turned, to_start)."""
    of_inputs, of_start = wanted
    dtype, (rows, by_row) = xs.dtype, laid_out(xs)
    own = gemm[1] == 1  # takes it turned only
    as_it_is = xs.shape[0] * xs.shape[1] <= ROWS and not own
    dxs = np.empty(rows.shape if of_inputs else (0, 0, 0), dtype)
    grads = np.empty(W_x.shape, dtype), np.empty(W_h.shape, dtype), np.zeros(biases, dtype)
    W_h = W_h if as_it_is else np.ascontiguousarray(W_h.T)
    return (rows, by_row), (dxs, by_row), W_h, grads, (int(as_it_is), int(of_start))


def by_rows(array, by_row):
    """The other way about: what :func:`laid_out` gives -> (B, T, K)."""
    return array if by_row else array.swapaxes(0, 1)
