"""What happens in a cell between two products, compiled: each row of a batch in one go.

Elsewhere a step is a dozen operations, each of which reads and writes whole arrays. Here a row of
B passes through all of them while it is in the processor's innermost cache. numba makes machine
code of the loops when they are first called, and keeps it for the next time.

The product with W_h is the caller's, who knows the quicker library; it stands in ``sums`` or ``dh``
when a step is taken. Where it is so small that the call would take longer, W_h is given and the
product is made here, for all steps in one call; otherwise W_h has no rows.

The equations are those of ``rnnlab.numpy.cells``; the tests compare. Shapes: a, gates, da
(T, B, G*H); hs, cs (T + 1, B, H), the state before each step and after the last; dys (B, T, H);
valid (T, B), or without rows where every step counts.
"""

import math

import numpy as np
from numba import njit, types
from numba.extending import overload

__all__ = ["gru", "gru_back", "lstm", "lstm_back", "rnn", "rnn_back"]


I, F, G, O = 0, 1, 2, 3  # the gates of an LSTM, in their order
R, Z, N = 0, 1, 2  # those of a GRU


def compiled(function):
    """Compile at the first call, and keep the machine code on disk where there is a place."""
    # "contract": x y + z may be rounded once. No other liberty is taken with the arithmetic.
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        return njit(cache=True, **options)(function)
    except (OSError, RuntimeError):  # no folder that may be written to
        return njit(**options)(function)


# tanh(x) = x P(x²) / Q(x²) up to END, after which float32 knows only 1. The coefficients were
# fitted to the least relative error, 2e-8: least squares, weighted again and again by the error.
END = np.float32(9.02)
P0, P1, P2, P3, P4 = np.float32(
    [9.99999979e-01, 1.33797187e-01, 3.49403542e-03, 2.05834950e-05, 1.33190897e-08]
)
Q1, Q2, Q3, Q4 = np.float32([4.67130339e-01, 2.58710765e-02, 3.28309423e-04, 7.76202698e-07])
ONE = np.float32(1)


@compiled
def tanh32(x):
    """tanh for float32, without a branch or a call, so that eight or more are computed at once."""
    x = END if x > END else x  # NaN stays
    x = -END if x < -END else x
    s = x * x
    p = P0 + s * (P1 + s * (P2 + s * (P3 + s * P4)))
    q = ONE + s * (Q1 + s * (Q2 + s * (Q3 + s * Q4)))
    y = x * p / q
    y = ONE if y > ONE else y
    return -ONE if y < -ONE else y


def tanh(x):
    """What the loops call: ``tanh32`` or, in float64, the library's."""
    return tanh32(x) if isinstance(x, np.float32) else math.tanh(x)


@overload(tanh)
def _tanh_of(x):
    return (lambda x: tanh32(x)) if x == types.float32 else (lambda x: math.tanh(x))


@compiled
def by_gate(x, H):
    """The same numbers with an axis for the gates: (..., G*H) -> (..., G, H)."""
    return x.reshape((*x.shape[:-1], x.shape[-1] // H, H))


@compiled
def activate(u, sums, b, t, k, g, slope, shift):
    """u = shift + slope tanh(slope (u + sums + b)), for gate g of row k at step t: slope 1 and
    shift 0 give tanh, a half and a half σ."""
    for j in range(u.shape[3]):
        u[t, k, g, j] = shift + slope * tanh(slope * (u[t, k, g, j] + sums[k, g, j] + b[g, j]))


@compiled
def multiply(x, t, k, W, out):
    """Row k of out = row k at step t of x, times W; eight rows of W at a time."""
    K, M = W.shape
    whole = K - K % 8
    for j in range(M):
        out[k, j] = 0
    for i in range(0, whole, 8):
        x0, x1, x2, x3 = x[t, k, i], x[t, k, i + 1], x[t, k, i + 2], x[t, k, i + 3]
        x4, x5, x6, x7 = x[t, k, i + 4], x[t, k, i + 5], x[t, k, i + 6], x[t, k, i + 7]
        for j in range(M):
            one = x0 * W[i, j] + x1 * W[i + 1, j] + x2 * W[i + 2, j] + x3 * W[i + 3, j]
            other = x4 * W[i + 4, j] + x5 * W[i + 5, j] + x6 * W[i + 6, j] + x7 * W[i + 7, j]
            out[k, j] += one + other
    for i in range(whole, K):
        for j in range(M):
            out[k, j] += x[t, k, i] * W[i, j]


@compiled
def add(x, t, k, total):
    """Add row k at step t to the sums of that step."""
    for j in range(x.shape[2]):  # total may be wider
        total[t, j] += x[t, k, j]


@compiled
def arriving(dh, kept, dys, t, k):
    """dh, the gradient of a state: what came through the product, past it, and from outside."""
    for j in range(dh.shape[1]):
        dh[k, j] += kept[k, j] + dys[k, t, j]


@compiled
def pass_by(dh, kept, da, t, k):
    """Back through padding: nothing was written, the state was kept."""
    for j in range(dh.shape[1]):
        kept[k, j] = dh[k, j]
    for j in range(da.shape[2]):
        da[t, k, j] = 0


@compiled
def keep(states, t, k):
    """Ahead through padding: the state after the step is the one before it."""
    for j in range(states.shape[2]):
        states[t + 1, k, j] = states[t, k, j]


@compiled
def rnn(a, sums, b, hs, valid, W_h, start, end):
    """h = tanh(a + h W_h + b) for the steps from start to end; a is overwritten."""
    H = hs.shape[2]
    u, s, bias = by_gate(a, H), by_gate(sums, H), by_gate(b, H)
    one, zero = a.dtype.type(1), a.dtype.type(0)
    for t in range(start, end):
        for k in range(a.shape[1]):
            if len(valid) > 0 and not valid[t, k]:
                keep(hs, t, k)
                continue
            if len(W_h) > 0:
                multiply(hs, t, k, W_h, sums)
            activate(u, s, bias, t, k, 0, one, zero)
            for j in range(H):
                hs[t + 1, k, j] = a[t, k, j]


@compiled
def rnn_back(dh, kept, dys, hs, da, db, valid, W_hT, start, end):
    """From the last of the steps to the first: da, and db (T, H), its sums over the rows."""
    H = dh.shape[1]
    one = da.dtype.type(1)
    for t in range(end - 1, start - 1, -1):
        for k in range(da.shape[1]):
            arriving(dh, kept, dys, t, k)
            if len(valid) > 0 and not valid[t, k]:
                pass_by(dh, kept, da, t, k)
            else:
                for j in range(H):
                    kept[k, j] = 0
                for j in range(H):
                    h = hs[t + 1, k, j]
                    da[t, k, j] = dh[k, j] * (one - h * h)
                add(da, t, k, db)
            if len(W_hT) > 0:
                multiply(da, t, k, W_hT, dh)


@compiled
def lstm(gates, sums, b, hs, cs, valid, W_h, start, end):
    """c' = σ(f) c + σ(i) tanh(g), h = σ(o) tanh(c').

    gates holds a at first, and is overwritten by the gates.
    """
    H = hs.shape[2]
    u, s, bias = by_gate(gates, H), by_gate(sums, H), by_gate(b, H)
    one, zero, half = b.dtype.type(1), b.dtype.type(0), b.dtype.type(0.5)
    for t in range(start, end):
        for k in range(gates.shape[1]):
            if len(valid) > 0 and not valid[t, k]:
                keep(hs, t, k)
                keep(cs, t, k)
                continue
            if len(W_h) > 0:
                multiply(hs, t, k, W_h, sums)
            activate(u, s, bias, t, k, I, half, half)
            activate(u, s, bias, t, k, F, half, half)
            activate(u, s, bias, t, k, G, one, zero)
            activate(u, s, bias, t, k, O, half, half)
            for j in range(H):
                kept = u[t, k, F, j] * cs[t, k, j]
                cs[t + 1, k, j] = kept + u[t, k, I, j] * u[t, k, G, j]
            for j in range(H):
                hs[t + 1, k, j] = u[t, k, O, j] * tanh(cs[t + 1, k, j])


@compiled
def lstm_back(dh, dc, kept, dys, gates, cs, da, db, valid, W_hT, start, end):
    """From the last of the steps to the first: da, and db (T, 4H), its sums over the rows."""
    H = dh.shape[1]
    u, du = by_gate(gates, H), by_gate(da, H)
    one = da.dtype.type(1)
    for t in range(end - 1, start - 1, -1):
        for k in range(da.shape[1]):
            arriving(dh, kept, dys, t, k)
            if len(valid) > 0 and not valid[t, k]:
                pass_by(dh, kept, da, t, k)
            else:
                for j in range(H):
                    kept[k, j] = 0
                for j in range(H):
                    shown, o = tanh(cs[t + 1, k, j]), u[t, k, O, j]
                    dc[k, j] += dh[k, j] * o * (one - shown * shown)
                    du[t, k, O, j] = dh[k, j] * shown * o * (one - o)
                for j in range(H):
                    i = u[t, k, I, j]
                    du[t, k, I, j] = dc[k, j] * u[t, k, G, j] * i * (one - i)
                for j in range(H):
                    f = u[t, k, F, j]
                    du[t, k, F, j] = dc[k, j] * cs[t, k, j] * f * (one - f)
                for j in range(H):
                    g = u[t, k, G, j]
                    du[t, k, G, j] = dc[k, j] * u[t, k, I, j] * (one - g * g)
                for j in range(H):
                    dc[k, j] *= u[t, k, F, j]
                add(da, t, k, db)
            if len(W_hT) > 0:
                multiply(da, t, k, W_hT, dh)


@compiled
def gru(gates, sums, b, b_hn, hs, through, valid, W_h, start, end):
    """h' = (1 - z) n + z h, the reset gate after the product; gates is a, overwritten by r, z, n.

    through (T, B, H): what r is multiplied with, for the way back.
    """
    H = hs.shape[2]
    u, s, bias = by_gate(gates, H), by_gate(sums, H), by_gate(b, H)
    one, zero, half = b.dtype.type(1), b.dtype.type(0), b.dtype.type(0.5)
    for t in range(start, end):
        for k in range(gates.shape[1]):
            if len(valid) > 0 and not valid[t, k]:
                keep(hs, t, k)
                continue
            if len(W_h) > 0:
                multiply(hs, t, k, W_h, sums)
            activate(u, s, bias, t, k, R, half, half)
            activate(u, s, bias, t, k, Z, half, half)
            for j in range(H):
                through[t, k, j] = s[k, N, j] + b_hn[j]
            for j in range(H):
                s[k, N, j] = u[t, k, R, j] * through[t, k, j]
            activate(u, s, bias, t, k, N, one, zero)
            for j in range(H):
                n, h = u[t, k, N, j], hs[t, k, j]
                hs[t + 1, k, j] = n + u[t, k, Z, j] * (h - n)


@compiled
def gru_back(dh, kept, dys, gates, hs, through, dv, da_n, db, valid, W_hT, start, end):
    """From the last of the steps to the first.

    dv (T, B, 3H): the gradient of h W_h, and for r and z that of a; da_n (T, B, H): for n that of
    a. db (T, 4H): the sums of both over the rows.
    """
    H = dh.shape[1]
    u, dw, by_part = by_gate(gates, H), by_gate(dv, H), by_gate(db, H)
    one = dv.dtype.type(1)
    for t in range(end - 1, start - 1, -1):
        for k in range(dv.shape[1]):
            arriving(dh, kept, dys, t, k)
            if len(valid) > 0 and not valid[t, k]:
                pass_by(dh, kept, dv, t, k)
                for j in range(H):
                    da_n[t, k, j] = 0
            else:
                for j in range(H):
                    kept[k, j] = dh[k, j] * u[t, k, Z, j]
                for j in range(H):
                    n = u[t, k, N, j]
                    da_n[t, k, j] = dh[k, j] * (one - u[t, k, Z, j]) * (one - n * n)
                for j in range(H):
                    z, n = u[t, k, Z, j], u[t, k, N, j]
                    dw[t, k, Z, j] = dh[k, j] * (hs[t, k, j] - n) * z * (one - z)
                for j in range(H):
                    r = u[t, k, R, j]
                    dw[t, k, R, j] = da_n[t, k, j] * through[t, k, j] * r * (one - r)
                for j in range(H):
                    dw[t, k, N, j] = da_n[t, k, j] * u[t, k, R, j]
                add(dv, t, k, db)
                for j in range(H):
                    by_part[t, 3, j] += da_n[t, k, j]
            if len(W_hT) > 0:
                multiply(dv, t, k, W_hT, dh)
