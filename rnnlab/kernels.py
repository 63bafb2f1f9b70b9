"""The cells' loops over time, compiled: a layer in one call, forward or back.

Elsewhere a step is a dozen operations, each of which reads and writes whole arrays. Here a row of
B passes through all of them while it is in the processor's innermost cache; or a step does, where
its operations are few. numba makes machine code of the loops when they are first called, and keeps
it for the next time.

Products are made by the machine code of a BLAS library, so that Python is not asked between two of
them: gemm (address, own, block) says where its GEMM is; if ``own`` is 1, the loop makes its
products by itself. The steps are taken in blocks of so many, so that what one product writes is in
the cache when the next one, or the loop, reads it.

The equations are those of ``rnnlab.numpy.cells``; the tests compare. Shapes: gates (T, B, G*H);
hs, cs (T + 1, B, H), the state before each step and after the last; valid (T, B), or without rows
where every step counts. What comes from outside, xs and dys, has either axis first: (B, T, K) if
its ``by_row`` is 1, or (T, B, K). Inside a loop: sums (B, G*H), the products of a step; da
(block, B, G*H), the gradients of the steps of a block.
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
def line(x):
    """All numbers of x (B, H) in one line, so that short rows make no short loops."""
    return x.reshape(x.size)


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
def multiply(x, k, W, kept, out):
    """Row k of out = row k of x, times W (K, M), eight rows of W at a time; plus what is kept."""
    K, M = W.shape
    whole = K - K % 8
    if kept == 0:
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
def times(x, W, W_turned, kept, out, gemm):
    """out (B, M) = x (B, K) times W (K, M), or (M, K) if it is turned; plus out, if kept is 1."""
    address, own, _ = gemm
    if own == 0:
        blas(address, 0, W_turned, x, W, out.dtype.type(kept), out)
    else:
        for k in range(len(out)):
            multiply(x, k, W, kept, out)


@compiled
def project(xs, W_x, out, gemm):
    """out (T, B, M) = x W_x for some steps."""
    blas(gemm[0], 0, 0, flat(xs), W_x, out.dtype.type(0), flat(out))


@intrinsic
def copy(typing, one, to):
    """Copy the numbers of one array to another of the same size."""

    def code(context, build, signature, arguments):
        one, to = (
            context.make_array(kind)(context, build, value)
            for kind, value in zip(signature.args, arguments, strict=True)
        )
        cgutils.raw_memcpy(build, to.data, one.data, one.nitems, one.itemsize)
        return context.get_dummy_value()

    return types.void(one, to), code


@compiled
def gather(rows, by_row, start, end, room):
    """Some steps (block, B, K). Where they do not lie together, they are put in room."""
    if by_row == 0:
        return rows[start:end]
    for k in range(rows.shape[0]):
        for t in range(start, end):
            copy(rows[k, t], room[t - start, k])
    return room[: end - start]


@compiled
def scatter(steps, start, end, rows):
    """Put some steps (block, B, K) where they belong in rows (B, T, K), each row in order."""
    for k in range(rows.shape[0]):
        for t in range(start, end):
            copy(steps[t - start, k], rows[k, t])


@compiled
def weight_gradient(inputs, dv, last, dW, gemm):
    """Add to dW (K, M) the gradient from some steps; ``last``: from the last ones, which start."""
    blas(gemm[0], 1, 0, flat(inputs), flat(dv), dv.dtype.type(0 if last else 1), dW)


@compiled
def project_back(da, xs, by_row, W_x, start, last, room, dxs, dW_x, gemm):
    """The gradients of W_x and, where dxs is not empty, of the inputs, from some steps on from
    ``start``. dxs lies as xs does; room (block, B, I) serves where the steps lie apart."""
    end = start + len(da)
    weight_gradient(gather(xs, by_row, start, end, room), da, last, dW_x, gemm)
    if dxs.size > 0:
        to = room[: len(da)] if by_row == 1 else dxs[start:end]
        blas(gemm[0], 0, 1, flat(da), W_x, da.dtype.type(0), flat(to))
        if by_row == 1:
            scatter(to, start, end, dxs)


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
        times(states[t], W_h, 0, 0, sums, gemm)


@compiled
def arrive(dh, dy):
    """Add to dh, the gradient of a state, what comes from outside."""
    to, more = line(dh), line(dy)
    for j in range(len(to)):
        to[j] += more[j]


@compiled
def clear(x, k):
    """Row k = 0."""
    for j in range(x.shape[1]):
        x[k, j] = 0


@compiled
def pass_on(dh, now, valid, t):
    """Where a step counts, all of dh has gone into ``now``, the gradient of the sums. At padding
    nothing was written, and dh stays. -> Whether that is added to the product of ``now``."""
    for k in range(len(dh) if len(valid) > 0 else 0):
        clear(dh if valid[t, k] else now, k)
    return int(len(valid) > 0)


@compiled
def add_rows(x, sums, total):
    """Add the rows of x to the total; first to each other in ``sums``, four at a time."""
    B, width = x.shape
    fours = B - B % 4
    for j in range(width):
        sums[j] = 0
    for k in range(0, fours, 4):
        for j in range(width):
            sums[j] += (x[k, j] + x[k + 1, j]) + (x[k + 2, j] + x[k + 3, j])
    for k in range(fours, B):
        for j in range(width):
            sums[j] += x[k, j]
    for j in range(width):
        total[j] += sums[j]


@compiled
def keep(states, t, k):
    """Ahead through padding: the state after the step is the one before it."""
    for j in range(states.shape[2]):
        states[t + 1, k, j] = states[t, k, j]


@compiled
def rnn(xs, by_row, hs, W_x, W_h, b, valid, gemm):
    """h = tanh(x W_x + h W_h + b)."""
    (_, B, H), T = hs.shape, len(hs) - 1
    block, sums = min(T, gemm[2]), np.empty((B, H), b.dtype)
    room = np.empty((by_row * block, B, len(W_x)), b.dtype)
    u, s, bias = by_gate(hs, H), by_gate(sums, H), by_gate(b, H)
    one, zero = b.dtype.type(1), b.dtype.type(0)
    for start in range(0, T, block):
        end = min(start + block, T)
        some = gather(xs, by_row, start, end, room)
        project(some, W_x, hs[start + 1 : end + 1], gemm)  # a, where h will be
        for t in range(start, end):
            passed_on(hs, t, W_h, sums, gemm)
            for k in range(B):
                if len(valid) > 0 and not valid[t, k]:
                    keep(hs, t, k)
                else:
                    activate(u, s, bias, t + 1, k, 0, one, zero)


@compiled
def rnn_back(dys, by_row, dh, xs, x_by_row, hs, W_x, W_h, dxs, dW_x, dW_h, db, valid, gemm, back):
    """From the last step to the first.

    dh (B, H): the gradient of the last state, overwritten by the first one's, if back = (turned,
    to_start) asks for it. W_h: its transpose, or itself if ``turned``. dxs lies as xs does, and is
    empty where it is not wanted; db is 0 at first.
    """
    (B, H), T, (turned, to_start) = dh.shape, len(hs) - 1, back
    block, one, dtype = min(T, gemm[2]), hs.dtype.type(1), hs.dtype
    da, sums = np.empty((block, B, H), dtype), np.empty(H, dtype)
    outer = np.empty((by_row * block, B, H), dtype)
    room = np.empty((x_by_row * block, B, len(W_x)), dtype)
    for end in range(T, 0, -block):
        start, last = max(end - block, 0), end == T
        dy = gather(dys, by_row, start, end, outer)
        for t in range(end - 1, start - 1, -1):
            at = t - start
            arrive(dh, dy[at])
            grad, h, now = line(dh), line(hs[t + 1]), line(da[at])
            for j in range(len(now)):
                now[j] = grad[j] * (one - h[j] * h[j])
            stays = pass_on(dh, da[at], valid, t)
            add_rows(da[at], sums, db)
            if t > 0 or to_start:
                times(da[at], W_h, turned, stays, dh, gemm)
        some = da[: end - start]
        weight_gradient(hs[start:end], some, last, dW_h, gemm)
        project_back(some, xs, x_by_row, W_x, start, last, room, dxs, dW_x, gemm)


@compiled
def lstm(xs, by_row, gates, hs, cs, W_x, W_h, b, valid, gemm):
    """c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c')."""
    (_, B, H), T = hs.shape, len(gates)
    block, sums = min(T, gemm[2]), np.empty((B, 4 * H), b.dtype)
    room = np.empty((by_row * block, B, len(W_x)), b.dtype)
    u, s, bias = by_gate(gates, H), by_gate(sums, H), by_gate(b, H)
    one, zero, half = b.dtype.type(1), b.dtype.type(0), b.dtype.type(0.5)
    for start in range(0, T, block):
        end = min(start + block, T)
        some = gather(xs, by_row, start, end, room)
        project(some, W_x, gates[start:end], gemm)  # a, where gates will be
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
    by_row,
    dh,
    dc,
    xs,
    x_by_row,
    gates,
    hs,
    cs,
    W_x,
    W_h,
    dxs,
    dW_x,
    dW_h,
    db,
    valid,
    gemm,
    back,
):
    """From the last step to the first; see :func:`rnn_back`. dc (B, H) is what dh is, of c."""
    (B, H), T, (turned, to_start) = dh.shape, len(gates), back
    block, one, dtype = min(T, gemm[2]), hs.dtype.type(1), hs.dtype
    da, sums = np.empty((block, B, 4 * H), dtype), np.empty(4 * H, dtype)
    outer = np.empty((by_row * block, B, H), dtype)
    room = np.empty((x_by_row * block, B, len(W_x)), dtype)
    u, du = by_gate(gates, H), by_gate(da, H)
    for end in range(T, 0, -block):
        start, last = max(end - block, 0), end == T
        dy = gather(dys, by_row, start, end, outer)
        for t in range(end - 1, start - 1, -1):
            at = t - start
            arrive(dh, dy[at])
            for k in range(B):
                if len(valid) > 0 and not valid[t, k]:
                    continue
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
            stays = pass_on(dh, da[at], valid, t)
            add_rows(da[at], sums, db)
            if t > 0 or to_start:
                times(da[at], W_h, turned, stays, dh, gemm)
        some = da[: end - start]
        weight_gradient(hs[start:end], some, last, dW_h, gemm)
        project_back(some, xs, x_by_row, W_x, start, last, room, dxs, dW_x, gemm)


@compiled
def gru(xs, by_row, gates, hs, through, W_x, W_h, b, b_hn, valid, gemm):
    """h' = (1 - z) n + z h, the reset gate after the product.

    through (T, B, H): what r is multiplied with, for the way back.
    """
    (_, B, H), T = hs.shape, len(gates)
    block, sums = min(T, gemm[2]), np.empty((B, 3 * H), b.dtype)
    room = np.empty((by_row * block, B, len(W_x)), b.dtype)
    u, s, bias = by_gate(gates, H), by_gate(sums, H), by_gate(b, H)
    one, zero, half = b.dtype.type(1), b.dtype.type(0), b.dtype.type(0.5)
    for start in range(0, T, block):
        end = min(start + block, T)
        some = gather(xs, by_row, start, end, room)
        project(some, W_x, gates[start:end], gemm)  # a, where gates will be
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
    by_row,
    dh,
    xs,
    x_by_row,
    gates,
    hs,
    through,
    W_x,
    W_h,
    dxs,
    dW_x,
    dW_h,
    db,
    valid,
    gemm,
    back,
):
    """From the last step to the first; see :func:`rnn_back`.

    da: the gradient of h W_h, and for r and z that of a; da_n (block, B, H): for n that of a.
    db (4H,): of b, where r and z come first, then b_hn, then n.
    """
    (B, H), T, (turned, to_start) = dh.shape, len(gates), back
    block, one, dtype = min(T, gemm[2]), hs.dtype.type(1), hs.dtype
    da, da_n = np.empty((block, B, 3 * H), dtype), np.empty((block, B, H), dtype)
    outer, sums = np.empty((by_row * block, B, H), dtype), np.empty(3 * H, dtype)
    room = np.empty((x_by_row * block, B, len(W_x)), dtype)
    u, dw = by_gate(gates, H), by_gate(da, H)
    for end in range(T, 0, -block):
        start, last = max(end - block, 0), end == T
        dy = gather(dys, by_row, start, end, outer)
        for t in range(end - 1, start - 1, -1):
            at = t - start
            arrive(dh, dy[at])
            for k in range(B):
                if len(valid) > 0 and not valid[t, k]:
                    clear(da[at], k)
                    clear(da_n[at], k)
                    continue
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
                for j in range(H):
                    dh[k, j] *= u[t, k, Z, j]  # what comes past the product
            add_rows(da[at], sums, db)
            add_rows(da_n[at], sums, db[3 * H :])
            if t > 0 or to_start:
                times(da[at], W_h, turned, 1, dh, gemm)
        some = da[: end - start]
        weight_gradient(hs[start:end], some, last, dW_h, gemm)
        for at in range(end - start):  # what is left is the gradient of a
            for k in range(B):
                copy(da_n[at, k], dw[at, k, N])
        project_back(some, xs, x_by_row, W_x, start, last, room, dxs, dW_x, gemm)
