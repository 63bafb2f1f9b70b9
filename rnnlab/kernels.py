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
def activate(u, sums, b, slope, shift):
    """u = shift + slope tanh(slope (u + sums + b)): 1 and 0 give tanh, a half and a half σ."""
    for j in range(len(u)):
        u[j] = shift + slope * tanh(slope * (u[j] + sums[j] + b[j]))


@compiled
def multiply(x, W, out):
    """out = x W, for one row; eight rows of W at a time."""
    K = len(x)
    whole = K - K % 8
    out[:] = 0
    for k in range(0, whole, 8):
        x0, x1, x2, x3 = x[k], x[k + 1], x[k + 2], x[k + 3]
        x4, x5, x6, x7 = x[k + 4], x[k + 5], x[k + 6], x[k + 7]
        w0, w1, w2, w3 = W[k], W[k + 1], W[k + 2], W[k + 3]
        w4, w5, w6, w7 = W[k + 4], W[k + 5], W[k + 6], W[k + 7]
        for j in range(len(out)):
            one = x0 * w0[j] + x1 * w1[j] + x2 * w2[j] + x3 * w3[j]
            other = x4 * w4[j] + x5 * w5[j] + x6 * w6[j] + x7 * w7[j]
            out[j] += one + other
    for k in range(whole, K):
        w = W[k]
        for j in range(len(out)):
            out[j] += x[k] * w[j]


@compiled
def add(x, total):
    for j in range(len(total)):
        total[j] += x[j]


@compiled
def arriving(dh, kept, dy):
    """dh, the gradient of a state: what came through the product, past it, and from outside."""
    for j in range(len(dh)):
        dh[j] += kept[j] + dy[j]


@compiled
def pass_by(dh, kept, da):
    """Back through padding: nothing was written, the state was kept."""
    kept[:] = dh
    da[:] = 0


@compiled
def rnn(a, sums, b, hs, valid, W_h, start, end):
    """h = tanh(a + h W_h + b) for the steps from start to end; a is overwritten."""
    one, zero = a.dtype.type(1), a.dtype.type(0)
    for t in range(start, end):
        for k in range(a.shape[1]):
            if len(valid) > 0 and not valid[t, k]:
                hs[t + 1, k] = hs[t, k]
                continue
            if len(W_h) > 0:
                multiply(hs[t, k], W_h, sums[k])
            u = a[t, k]
            activate(u, sums[k], b, one, zero)
            hs[t + 1, k] = u


@compiled
def rnn_back(dh, kept, dys, hs, da, db, valid, W_hT, start, end):
    """From the last of the steps to the first: da, and db (T, H), its sums over the rows."""
    one = da.dtype.type(1)
    for t in range(end - 1, start - 1, -1):
        for k in range(da.shape[1]):
            d, h, out = dh[k], hs[t + 1, k], da[t, k]
            arriving(d, kept[k], dys[k, t])
            if len(valid) > 0 and not valid[t, k]:
                pass_by(d, kept[k], out)
            else:
                kept[k] = 0
                for j in range(len(d)):
                    out[j] = d[j] * (one - h[j] * h[j])
                add(out, db[t])
            if len(W_hT) > 0:
                multiply(out, W_hT, d)


@compiled
def lstm(gates, sums, b, hs, cs, valid, W_h, start, end):
    """c' = σ(f) c + σ(i) tanh(g), h = σ(o) tanh(c'); gates is a, overwritten by the gates."""
    H = hs.shape[2]
    one, zero, half = b.dtype.type(1), b.dtype.type(0), b.dtype.type(0.5)
    for t in range(start, end):
        for k in range(gates.shape[1]):
            h, c, old = hs[t + 1, k], cs[t + 1, k], cs[t, k]
            if len(valid) > 0 and not valid[t, k]:
                h[:], c[:] = hs[t, k], old
                continue
            u, s = gates[t, k], sums[k]
            if len(W_h) > 0:
                multiply(hs[t, k], W_h, s)
            i, f, g, o = u[:H], u[H : 2 * H], u[2 * H : 3 * H], u[3 * H :]
            activate(u[: 2 * H], s, b, half, half)
            activate(g, s[2 * H :], b[2 * H :], one, zero)
            activate(o, s[3 * H :], b[3 * H :], half, half)
            for j in range(H):
                c[j] = f[j] * old[j] + i[j] * g[j]
            for j in range(H):
                h[j] = o[j] * tanh(c[j])


@compiled
def lstm_back(dh, dc, kept, dys, gates, cs, da, db, valid, W_hT, start, end):
    """From the last of the steps to the first: da, and db (T, 4H), its sums over the rows."""
    H = dh.shape[1]
    one = da.dtype.type(1)
    for t in range(end - 1, start - 1, -1):
        for k in range(da.shape[1]):
            d, e, out = dh[k], dc[k], da[t, k]
            arriving(d, kept[k], dys[k, t])
            if len(valid) > 0 and not valid[t, k]:
                pass_by(d, kept[k], out)
            else:
                kept[k] = 0
                u, c, old = gates[t, k], cs[t + 1, k], cs[t, k]
                i, f, g, o = u[:H], u[H : 2 * H], u[2 * H : 3 * H], u[3 * H :]
                by_i, by_f, by_g = out[:H], out[H : 2 * H], out[2 * H : 3 * H]
                by_o = out[3 * H :]
                for j in range(H):
                    shown = tanh(c[j])
                    e[j] += d[j] * o[j] * (one - shown * shown)
                    by_o[j] = d[j] * shown * o[j] * (one - o[j])
                for j in range(H):
                    by_i[j] = e[j] * g[j] * i[j] * (one - i[j])
                for j in range(H):
                    by_f[j] = e[j] * old[j] * f[j] * (one - f[j])
                for j in range(H):
                    by_g[j] = e[j] * i[j] * (one - g[j] * g[j])
                for j in range(H):
                    e[j] *= f[j]
                add(out, db[t])
            if len(W_hT) > 0:
                multiply(out, W_hT, d)


@compiled
def gru(gates, sums, b, b_hn, hs, through, valid, W_h, start, end):
    """h' = (1 - z) n + z h, the reset gate after the product; gates is a, overwritten by r, z, n.

    through (T, B, H): what r is multiplied with, for the way back.
    """
    H = hs.shape[2]
    one, zero, half = b.dtype.type(1), b.dtype.type(0), b.dtype.type(0.5)
    for t in range(start, end):
        for k in range(gates.shape[1]):
            h, new = hs[t, k], hs[t + 1, k]
            if len(valid) > 0 and not valid[t, k]:
                new[:] = h
                continue
            u, s, v = gates[t, k], sums[k], through[t, k]
            if len(W_h) > 0:
                multiply(h, W_h, s)
            r, z, n, s_n = u[:H], u[H : 2 * H], u[2 * H :], s[2 * H :]
            activate(u[: 2 * H], s, b, half, half)
            for j in range(H):
                v[j] = s_n[j] + b_hn[j]
            for j in range(H):
                s_n[j] = r[j] * v[j]
            activate(n, s_n, b[2 * H :], one, zero)
            for j in range(H):
                new[j] = n[j] + z[j] * (h[j] - n[j])


@compiled
def gru_back(dh, kept, dys, gates, hs, through, dv, da_n, db, valid, W_hT, start, end):
    """From the last of the steps to the first.

    dv (T, B, 3H): the gradient of h W_h, and for r and z that of a; da_n (T, B, H): for n that of
    a. db (T, 4H): the sums of both over the rows.
    """
    H = dh.shape[1]
    one = dv.dtype.type(1)
    for t in range(end - 1, start - 1, -1):
        for k in range(dv.shape[1]):
            d, keep, out, by_n = dh[k], kept[k], dv[t, k], da_n[t, k]
            arriving(d, keep, dys[k, t])
            if len(valid) > 0 and not valid[t, k]:
                pass_by(d, keep, out)
                by_n[:] = 0
            else:
                u, h, v = gates[t, k], hs[t, k], through[t, k]
                r, z, n = u[:H], u[H : 2 * H], u[2 * H :]
                by_r, by_z, by_v = out[:H], out[H : 2 * H], out[2 * H :]
                for j in range(H):
                    keep[j] = d[j] * z[j]
                for j in range(H):
                    by_n[j] = d[j] * (one - z[j]) * (one - n[j] * n[j])
                for j in range(H):
                    by_z[j] = d[j] * (h[j] - n[j]) * z[j] * (one - z[j])
                for j in range(H):
                    by_r[j] = by_n[j] * v[j] * r[j] * (one - r[j])
                for j in range(H):
                    by_v[j] = by_n[j] * r[j]
                add(out, db[t, : 3 * H])
                add(by_n, db[t, 3 * H :])
            if len(W_hT) > 0:
                multiply(out, W_hT, d)
