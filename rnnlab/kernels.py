"""The cells' loops over time, compiled: a layer in one call, forward or back.

Elsewhere a step is a dozen operations, each of which reads and writes whole arrays. Here a row of
B passes through all of them while it is in the processor's innermost cache. numba makes machine
code of the loops when they are first called, and keeps it for the next time.

Products are made by the machine code of a BLAS library, so that Python is not asked between two of
them: gemm (address, own, block) says where its GEMM is; if ``own`` is 1, the loop makes its
products by itself. The steps are taken in blocks of so many, so that what one product writes is in
the cache when the next one, or the loop, reads it.

The equations are those of ``rnnlab.numpy.cells``; the tests compare. Shapes: xs (T, B, I); gates
(T, B, G*H); hs, cs (T + 1, B, H), the state before each step and after the last; dys (B, T, H);
valid (T, B), or without rows where every step counts; sums (B, G*H), room for the products of a
step; da (block, B, G*H), room for the gradients of the steps of a block.
"""

import math

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

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
def flat(x):
    """All rows of all steps, one under the other: (T, B, K) -> (T*B, K)."""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])


@compiled
def activate(u, sums, b, t, k, g, slope, shift):
    """u = shift + slope tanh(slope (u + sums + b)), for gate g of row k at step t: slope 1 and
    shift 0 give tanh, a half and a half σ."""
    for j in range(u.shape[3]):
        u[t, k, g, j] = shift + slope * tanh(slope * (u[t, k, g, j] + sums[k, g, j] + b[g, j]))


@intrinsic
def blas(typing, address, x_turned, W_turned, x, W, kept, out):
    """out (N, M) = x W + kept out, by the GEMM at this address (Dongarra et al. 1990).

    x: (N, K), or (K, N) and ``x_turned`` is 1; W: (K, M), or (M, K) and ``W_turned`` is 1. They are
    contiguous, and all numbers of one dtype, that of the GEMM.
    """

    def code(context, build, signature, arguments):
        # Fortran's way: everything by reference, and a matrix column by column. So it sees the
        # transposes, and is asked for W^T x^T. Sizes are stored in 64 bits: where the library reads
        # only 32, these are the lower ones, which come first on all processors that numba knows.
        def stored(value):
            place = cgutils.alloca_once(build, value.type)
            build.store(value, place)
            return place

        def letter(turned):
            no, yes = (ir.IntType(8)(ord(letter)) for letter in "NT")
            return build.select(build.icmp_signed("==", turned, turned.type(0)), no, yes)

        def array(kind, value):
            return context.make_array(kind)(context, build, value)

        address, x_turned, W_turned, x_given, W_given, kept, out_given = arguments
        x_, W_, out_ = array(x, x_given), array(W, W_given), array(out, out_given)
        (N, M), (first, x_row), (_, W_row) = (
            cgutils.unpack_tuple(build, one.shape, 2) for one in (out_, x_, W_)
        )
        K = build.select(build.icmp_signed("==", x_turned, x_turned.type(0)), x_row, first)
        M_, N_, K_, x_row, W_row = (stored(size) for size in (M, N, K, x_row, W_row))
        turned = [stored(letter(one)) for one in (W_turned, x_turned)]
        one, kept = stored(context.get_data_type(x.dtype)(1.0)), stored(kept)
        given = [*turned, M_, N_, K_, one, W_.data, W_row, x_.data, x_row, kept, out_.data, M_]
        kind = ir.FunctionType(ir.VoidType(), [pointer.type for pointer in given])
        build.call(build.inttoptr(address, kind.as_pointer()), given)
        return context.get_dummy_value()

    return types.void(address, x_turned, W_turned, x, W, kept, out), code


@compiled
def multiply(x, k, W, out):
    """Row k of out = row k of x, times W (K, M); eight rows of W at a time."""
    K, M = W.shape
    whole = K - K % 8
    for j in range(M):
        out[k, j] = 0
    for i in range(0, whole, 8):
        x0, x1, x2, x3 = x[k, i], x[k, i + 1], x[k, i + 2], x[k, i + 3]
        x4, x5, x6, x7 = x[k, i + 4], x[k, i + 5], x[k, i + 6], x[k, i + 7]
        for j in range(M):
            one = x0 * W[i, j] + x1 * W[i + 1, j] + x2 * W[i + 2, j] + x3 * W[i + 3, j]
            other = x4 * W[i + 4, j] + x5 * W[i + 5, j] + x6 * W[i + 6, j] + x7 * W[i + 7, j]
            out[k, j] += one + other
    for i in range(whole, K):
        for j in range(M):
            out[k, j] += x[k, i] * W[i, j]


@compiled
def times(x, W, W_turned, out, gemm):
    """out (B, M) = x (B, K) times W (K, M), or (M, K) if it is turned."""
    address, own, _ = gemm
    if own == 0:
        blas(address, 0, W_turned, x, W, out.dtype.type(0), out)
    else:
        for k in range(len(out)):
            multiply(x, k, W, out)


@compiled
def project(xs, W_x, out, gemm):
    """out (T, B, M) = x W_x for some steps."""
    blas(gemm[0], 0, 0, flat(xs), W_x, out.dtype.type(0), flat(out))


@compiled
def scatter(steps, start, end, rows):
    """Put some steps (block, B, K) where they belong in rows (B, T, K), each row in order."""
    for k in range(rows.shape[0]):
        for t in range(start, end):
            for j in range(rows.shape[2]):
                rows[k, t, j] = steps[t - start, k, j]


@compiled
def project_back(da, W_x, room, start, dxs, gemm):
    """The gradients of some inputs, from ``start`` on, by way of room (block, B, I) into dxs
    (B, T, I); where dxs has no rows they are not wanted."""
    if len(dxs) > 0:
        blas(gemm[0], 0, 1, flat(da), W_x, da.dtype.type(0), flat(room[: len(da)]))
        scatter(room, start, start + len(da), dxs)


@compiled
def weight_gradient(inputs, dv, last, dW, gemm):
    """Add to dW (K, M) the gradient from some steps; ``last``: from the last ones, which start."""
    blas(gemm[0], 1, 0, flat(inputs), flat(dv), dv.dtype.type(0 if last else 1), dW)


@compiled
def nothing(x):
    """Whether all of x (B, H) is 0."""
    for k in range(x.shape[0]):
        for j in range(x.shape[1]):
            if x[k, j] != 0:
                return False
    return True


@compiled
def passed_on(states, t, W_h, sums, gemm):
    """sums = h W_h for the state before step t. At first it is often 0."""
    if t == 0 and nothing(states[0]):
        for k in range(sums.shape[0]):
            for j in range(sums.shape[1]):
                sums[k, j] = 0
    else:
        times(states[t], W_h, 0, sums, gemm)


@compiled
def add(x, k, total):
    """Add row k to the total."""
    for j in range(x.shape[1]):  # total may be wider
        total[j] += x[k, j]


@compiled
def add_up(sums, total):
    """Add the sums of a step to the total, and begin anew."""
    for j in range(len(total)):
        total[j] += sums[j]
        sums[j] = 0


@compiled
def through_both(dh, kept):
    """The whole gradient of the first state."""
    for k in range(dh.shape[0]):
        for j in range(dh.shape[1]):
            dh[k, j] += kept[k, j]


@intrinsic
def fetch(typing, rows, k, t, j):
    """Have the cache line of rows[k, t, j] brought, without waiting for it."""

    def code(context, build, signature, arguments):
        array = context.make_array(rows)(context, build, arguments[0])
        place = cgutils.get_item_pointer(context, build, rows, array, arguments[1:])
        place = build.bitcast(place, ir.IntType(8).as_pointer())
        call = build.module.declare_intrinsic("llvm.prefetch", [place.type], PREFETCH)
        to_read, often, data = 0, 3, 1
        build.call(call, [place, *map(ir.IntType(32), (to_read, often, data))])
        return context.get_dummy_value()

    return types.void(rows, k, t, j), code


PREFETCH = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer(), *[ir.IntType(32)] * 3])
LINE = 64  # bytes that a cache takes at once


@compiled
def foresee(rows, t, k):
    """Ask for row k of rows (B, T, K) at step t. Such rows lie far from each other, so that the
    processor does not find out by itself which comes next, and would wait for each."""
    if t >= 0:
        for j in range(0, rows.shape[2], LINE // rows.itemsize):
            fetch(rows, k, t, j)


@compiled
def arriving(dh, kept, dys, t, k):
    """dh, the gradient of a state: what came through the product, past it, and from outside."""
    for j in range(dh.shape[1]):
        dh[k, j] += kept[k, j] + dys[k, t, j]


@compiled
def pass_by(dh, kept, da, k):
    """Back through padding: nothing was written, the state was kept."""
    for j in range(dh.shape[1]):
        kept[k, j] = dh[k, j]
    for j in range(da.shape[1]):
        da[k, j] = 0


@compiled
def keep(states, t, k):
    """Ahead through padding: the state after the step is the one before it."""
    for j in range(states.shape[2]):
        states[t + 1, k, j] = states[t, k, j]


@compiled
def rnn(xs, hs, W_x, W_h, b, sums, valid, gemm):
    """h = tanh(x W_x + h W_h + b)."""
    (T, B, _), H, block = xs.shape, hs.shape[2], gemm[2]
    u, s, bias = by_gate(hs, H), by_gate(sums, H), by_gate(b, H)
    one, zero = hs.dtype.type(1), hs.dtype.type(0)
    for start in range(0, T, block):
        end = min(start + block, T)
        project(xs[start:end], W_x, hs[start + 1 : end + 1], gemm)  # a, where h will be
        for t in range(start, end):
            passed_on(hs, t, W_h, sums, gemm)
            for k in range(B):
                if len(valid) > 0 and not valid[t, k]:
                    keep(hs, t, k)
                else:
                    activate(u, s, bias, t + 1, k, 0, one, zero)


@compiled
def rnn_back(
    dys, dh, kept, xs, hs, W_x, W_h, da, db, sums, room, dxs, dW_x, dW_h, valid, gemm, back
):
    """From the last step to the first.

    dh (B, H): the gradient of the last state, overwritten by the first one's, if back = (turned,
    to_start) asks for it. kept (B, H), the part that came past the product, is 0 at first, and so
    are db (G*H,) and sums (G*H,), its share of a step. W_h: its transpose, or itself if ``turned``.
    """
    (T, B, H), block, (turned, to_start) = (len(xs), *dh.shape), len(da), back
    one = da.dtype.type(1)
    for end in range(T, 0, -block):
        start = max(end - block, 0)
        for t in range(end - 1, start - 1, -1):
            at = t - start
            now = da[at]
            for k in range(B):
                arriving(dh, kept, dys, t, k)
                foresee(dys, t - 1, k)
                if len(valid) > 0 and not valid[t, k]:
                    pass_by(dh, kept, now, k)
                    continue
                for j in range(H):
                    kept[k, j] = 0
                for j in range(H):
                    h = hs[t + 1, k, j]
                    now[k, j] = dh[k, j] * (one - h * h)
                add(now, k, sums)
            add_up(sums, db)
            if t > 0 or to_start:
                times(now, W_h, turned, dh, gemm)
        some = da[: end - start]
        project_back(some, W_x, room, start, dxs, gemm)
        weight_gradient(xs[start:end], some, end == T, dW_x, gemm)
        weight_gradient(hs[start:end], some, end == T, dW_h, gemm)
    through_both(dh, kept)


@compiled
def lstm(xs, gates, hs, cs, W_x, W_h, b, sums, valid, gemm):
    """c' = σ(f) c + σ(i) tanh(g), h = σ(o) tanh(c')."""
    (T, B, _), H, block = xs.shape, hs.shape[2], gemm[2]
    u, s, bias = by_gate(gates, H), by_gate(sums, H), by_gate(b, H)
    one, zero, half = b.dtype.type(1), b.dtype.type(0), b.dtype.type(0.5)
    for start in range(0, T, block):
        end = min(start + block, T)
        project(xs[start:end], W_x, gates[start:end], gemm)  # a, where the gates will be
        for t in range(start, end):
            passed_on(hs, t, W_h, sums, gemm)
            for k in range(B):
                if len(valid) > 0 and not valid[t, k]:
                    keep(hs, t, k)
                    keep(cs, t, k)
                    continue
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
def lstm_back(
    dys,
    dh,
    dc,
    kept,
    xs,
    gates,
    hs,
    cs,
    W_x,
    W_h,
    da,
    db,
    sums,
    room,
    dxs,
    dW_x,
    dW_h,
    valid,
    gemm,
    back,
):
    """From the last step to the first; see :func:`rnn_back`. dc (B, H) is what dh is, of c."""
    (T, B, H), block, (turned, to_start) = (len(xs), *dh.shape), len(da), back
    u, du = by_gate(gates, H), by_gate(da, H)
    one = da.dtype.type(1)
    for end in range(T, 0, -block):
        start = max(end - block, 0)
        for t in range(end - 1, start - 1, -1):
            at = t - start
            now = da[at]
            for k in range(B):
                arriving(dh, kept, dys, t, k)
                foresee(dys, t - 1, k)
                if len(valid) > 0 and not valid[t, k]:
                    pass_by(dh, kept, now, k)
                    continue
                for j in range(H):
                    kept[k, j] = 0
                for j in range(H):
                    shown, o = tanh(cs[t + 1, k, j]), u[t, k, O, j]
                    dc[k, j] += dh[k, j] * o * (one - shown * shown)
                    du[at, k, O, j] = dh[k, j] * shown * o * (one - o)
                for j in range(H):
                    i = u[t, k, I, j]
                    du[at, k, I, j] = dc[k, j] * u[t, k, G, j] * i * (one - i)
                for j in range(H):
                    f = u[t, k, F, j]
                    du[at, k, F, j] = dc[k, j] * cs[t, k, j] * f * (one - f)
                for j in range(H):
                    g = u[t, k, G, j]
                    du[at, k, G, j] = dc[k, j] * u[t, k, I, j] * (one - g * g)
                for j in range(H):
                    dc[k, j] *= u[t, k, F, j]
                add(now, k, sums)
            add_up(sums, db)
            if t > 0 or to_start:
                times(now, W_h, turned, dh, gemm)
        some = da[: end - start]
        project_back(some, W_x, room, start, dxs, gemm)
        weight_gradient(xs[start:end], some, end == T, dW_x, gemm)
        weight_gradient(hs[start:end], some, end == T, dW_h, gemm)
    through_both(dh, kept)


@compiled
def gru(xs, gates, hs, through, W_x, W_h, b, b_hn, sums, valid, gemm):
    """h' = (1 - z) n + z h, the reset gate after the product.

    through (T, B, H): what r is multiplied with, for the way back.
    """
    (T, B, _), H, block = xs.shape, hs.shape[2], gemm[2]
    u, s, bias = by_gate(gates, H), by_gate(sums, H), by_gate(b, H)
    one, zero, half = b.dtype.type(1), b.dtype.type(0), b.dtype.type(0.5)
    for start in range(0, T, block):
        end = min(start + block, T)
        project(xs[start:end], W_x, gates[start:end], gemm)  # a, where the gates will be
        for t in range(start, end):
            passed_on(hs, t, W_h, sums, gemm)
            for k in range(B):
                if len(valid) > 0 and not valid[t, k]:
                    keep(hs, t, k)
                    continue
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
def gru_back(
    dys,
    dh,
    kept,
    xs,
    gates,
    hs,
    through,
    W_x,
    W_h,
    da,
    da_n,
    db,
    sums,
    room,
    dxs,
    dW_x,
    dW_h,
    valid,
    gemm,
    back,
):
    """From the last step to the first; see :func:`rnn_back`.

    da: the gradient of h W_h, and for r and z that of a; da_n (block, B, H): for n that of a.
    db (4H,): of b, where r and z come first, then b_hn, then n.
    """
    (T, B, H), block, (turned, to_start) = (len(xs), *dh.shape), len(da), back
    u, dw = by_gate(gates, H), by_gate(da, H)
    one = da.dtype.type(1)
    for end in range(T, 0, -block):
        start = max(end - block, 0)
        for t in range(end - 1, start - 1, -1):
            at = t - start
            now = da[at]
            for k in range(B):
                arriving(dh, kept, dys, t, k)
                foresee(dys, t - 1, k)
                if len(valid) > 0 and not valid[t, k]:
                    pass_by(dh, kept, now, k)
                    for j in range(H):
                        da_n[at, k, j] = 0
                    continue
                for j in range(H):
                    kept[k, j] = dh[k, j] * u[t, k, Z, j]
                for j in range(H):
                    n = u[t, k, N, j]
                    da_n[at, k, j] = dh[k, j] * (one - u[t, k, Z, j]) * (one - n * n)
                for j in range(H):
                    z, n = u[t, k, Z, j], u[t, k, N, j]
                    dw[at, k, Z, j] = dh[k, j] * (hs[t, k, j] - n) * z * (one - z)
                for j in range(H):
                    r = u[t, k, R, j]
                    dw[at, k, R, j] = da_n[at, k, j] * through[t, k, j] * r * (one - r)
                for j in range(H):
                    dw[at, k, N, j] = da_n[at, k, j] * u[t, k, R, j]
                add(now, k, sums)
                add(da_n[at], k, sums[3 * H :])
            add_up(sums, db)
            if t > 0 or to_start:
                times(now, W_h, turned, dh, gemm)
        some = da[: end - start]
        weight_gradient(hs[start:end], some, end == T, dW_h, gemm)
        for at in range(end - start):  # what is left is the gradient of a
            for k in range(B):
                for j in range(H):
                    dw[at, k, N, j] = da_n[at, k, j]
        project_back(some, W_x, room, start, dxs, gemm)
        weight_gradient(xs[start:end], some, end == T, dW_x, gemm)
    through_both(dh, kept)
