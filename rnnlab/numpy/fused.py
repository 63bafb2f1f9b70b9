"""The cells' loops over time, forward alone and in place: the same numbers, sooner.

``RNN.record`` calls the cell's ``step``, which makes a dozen new arrays at every step, and keeps
what the way back needs. Where only outputs are asked for, the loops here write into the same few
arrays again and again, which stay in the processor's cache, and call NumPy less often: one tanh
serves all gates.

The equations are those of ``rnnlab.numpy.cells``; the tests compare the two.
Shapes: T steps come first here; a (T, B, G*H), ys (T, B, H), now (T, B, 1).
"""

import functools

import numpy as np

from rnnlab import compiled
from rnnlab.numpy.cells import GRUCell, LSTMCell, LSTMState, RNNCell

__all__ = ["run", "serves"]


def serves(cell):
    """Whether there is a loop for this cell here. A subclass may step otherwise, so: no."""
    return type(cell) in (RNNCell, LSTMCell, GRUCell)


def run(cell, xs, state, valid=None):
    """As ``RNN.record``, without a tape: xs (B, T, I), valid (B, T) -> ys (B, T, H), state.

    T is at least 1.
    """
    now = None if valid is None else valid.T[:, :, None]
    steps = functools.partial(np.ascontiguousarray, np.swapaxes(xs, 0, 1))
    before = type(cell) is GRUCell and not cell.reset_after  # has no compiled loop
    if compiled.kernels() is not None and not before:
        ys, state = by_kernels(cell, xs, state, valid)
    elif type(cell) is LSTMCell:
        ys, state = lstm(cell, steps(), state, now)
    elif type(cell) is GRUCell:
        ys, state = gru(cell, steps(), state, now)
    else:
        ys, state = vanilla(cell, steps(), state, now)
    if now is not None:  # past a row's length ys holds its last state: show 0
        ys *= now
    return np.swapaxes(ys, 0, 1), state


def by_kernels(cell, xs, state, valid):
    """Any of the loops, compiled: xs (B, T, I), valid (B, T) -> ys (T, B, H), state."""
    parts = state if type(cell) is LSTMCell else [state]
    start = [np.ascontiguousarray(part) for part in parts]
    weights = [np.ascontiguousarray(w) for w in (cell.W_x, cell.W_h, cell.b)]
    now = compiled.validity(valid)
    gemm = compiled.numpys_gemm(cell.dtype, cell.W_h.shape, len(xs))
    if type(cell) is LSTMCell:
        hs, cs, _ = compiled.lstm(xs, *start, *weights, now, gemm)
        return hs[1:], LSTMState(hs[-1].copy(), cs[-1].copy())
    if type(cell) is GRUCell:
        hs, _, _ = compiled.gru(xs, *start, *weights, np.ascontiguousarray(cell.b_hn), now, gemm)
    else:
        (hs,) = compiled.rnn(xs, *start, *weights, now, gemm)
    return hs[1:], hs[-1].copy()


def halved(W, gates, like):
    """Weights (..., G*H) with the given gates' part halved: σ(u) = (1 + tanh(u/2)) / 2."""
    return W * np.repeat(np.where(gates, 0.5, 1.0).astype(like.dtype), W.shape[-1] // len(gates))


def project(xs, W_x, b):
    """a = x W_x + b for all steps: (T, B, I) -> (T, B, G*H)."""
    T, B, I = xs.shape
    a = xs.reshape(T * B, I) @ W_x
    a += b
    return a.reshape(T, B, len(b))


def hold(now, t, new, old):
    """Where step t is padding, the old state stays, to the bit: written into ``new``."""
    if now is not None:
        np.copyto(new, old, where=~now[t])


def vanilla(cell, xs, h, now):
    """h_t = tanh(a_t + h_{t-1} W_h)."""
    a = project(xs, cell.W_x, cell.b)
    ys = np.empty_like(a)
    for t, (a_t, y) in enumerate(zip(a, ys, strict=True)):
        np.matmul(h, cell.W_h, out=y)
        y += a_t
        np.tanh(y, out=y)
        hold(now, t, y, h)
        h = y
    return ys, h.copy()


def lstm(cell, xs, state, now):
    """c_t = σ(f) c_{t-1} + σ(i) tanh(g), h_t = σ(o) tanh(c_t), from u = a_t + h_{t-1} W_h."""
    (T, B, _), H = xs.shape, cell.hidden_size
    sigmoids = [True, True, False, True]
    W_x, W_h, b = (halved(W, sigmoids, xs) for W in (cell.W_x, cell.W_h, cell.b))
    scale = halved(np.ones(4 * H, xs.dtype), sigmoids, xs)
    shift = np.where(scale < 1, scale, 0)  # tanh -> σ where the weights are halved, else as it is
    a, ys = project(xs, W_x, b), np.empty((T, B, H), xs.dtype)
    u, c_new, written = (np.empty((B, n * H), xs.dtype) for n in (4, 1, 1))
    i, f, g, o = (u[:, k * H : (k + 1) * H] for k in range(4))
    h, c = state.h, state.c.copy()
    for t, (a_t, y) in enumerate(zip(a, ys, strict=True)):
        np.matmul(h, W_h, out=u)
        u += a_t
        np.tanh(u, out=u)
        u *= scale
        u += shift
        np.multiply(f, c, out=c_new)
        c_new += np.multiply(i, g, out=written)
        np.multiply(o, np.tanh(c_new, out=written), out=y)
        hold(now, t, y, h)
        hold(now, t, c_new, c)
        h, c, c_new = y, c_new, c
    return ys, LSTMState(h.copy(), c)


def gru(cell, xs, h, now):
    """h_t = (1 - z) n + z h_{t-1}, the reset gate after the product, or before it."""
    (T, B, _), H = xs.shape, cell.hidden_size
    sigmoids = [True, True, False]
    W_x, W_h, b = (halved(W, sigmoids, xs) for W in (cell.W_x, cell.W_h, cell.b))
    W_rz, W_n = (np.ascontiguousarray(W) for W in np.split(W_h, [2 * H], axis=1))
    a, ys = project(xs, W_x, b), np.empty((T, B, H), xs.dtype)
    u, n, reset = (np.empty((B, k * H), xs.dtype) for k in (2, 1, 1))
    r, z = u[:, :H], u[:, H:]
    for t, (a_t, y) in enumerate(zip(a, ys, strict=True)):
        np.matmul(h, W_rz, out=u)
        u += a_t[:, : 2 * H]
        np.tanh(u, out=u)
        u *= 0.5
        u += 0.5
        if cell.reset_after:
            np.matmul(h, W_n, out=n)
            n += cell.b_hn
            n *= r
        else:
            np.matmul(np.multiply(r, h, out=reset), W_n, out=n)
        n += a_t[:, 2 * H :]
        np.tanh(n, out=n)
        np.subtract(h, n, out=y)  # (1 - z) n + z h = n + z (h - n)
        y *= z
        y += n
        hold(now, t, y, h)
        h = y
    return ys, h.copy()
