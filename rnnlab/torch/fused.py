"""The cells' loops over time with the backward pass written by hand: the same numbers, sooner.

Autograd, led through the loop of ``RNN.run``, records every small operation of every step. Here the
whole layer is one operation, and its way back uses what the mathematics allows: the local
derivatives of many steps are computed at once, the loop back holds little but the one product that
has to wait, and the gradients of ``W_x`` and ``W_h`` are one product each, over all steps, at the
end.

The equations are those of ``rnnlab.numpy``'s ``step_back``; the tests hold both against autograd.
Shapes: T steps come first here; xs (T, B, I), a (T, B, G*H), h (T, B, H).
"""

import functools
import time

import torch
from torch.autograd import Function

from rnnlab import compiled
from rnnlab.torch.cells import GRUCell, LSTMCell, LSTMState, RNNCell

__all__ = ["run", "serves"]


def serves(cell):
    """Whether there is a loop for this cell here. A subclass may step otherwise, so: no."""
    return type(cell) in (RNNCell, LSTMCell, GRUCell)


def run(cell, xs, state, valid=None):
    """As ``RNN.run``: xs (B, T, I), valid (B, T) -> ys (B, T, H), state. T is at least 1."""
    if (loops := compiled_loops(cell, xs)) is not None:
        return loops.run(cell, xs, state, valid)
    xs = xs.transpose(0, 1).contiguous()
    now = None if valid is None else valid.T[:, :, None].contiguous()  # (T, B, 1)
    weights = cell.W_x, cell.W_h, cell.b
    if type(cell) is LSTMCell:
        h, c = LSTMLoop.apply(now, xs, state.h, state.c, *weights)
        state = LSTMState(h[-1], c)
    elif type(cell) is GRUCell and cell.reset_after:
        h = GRULoop.apply(now, xs, state, *weights, cell.b_hn)
        state = h[-1]
    elif type(cell) is GRUCell:
        h = ResetBeforeLoop.apply(now, xs, state, *weights)
        state = h[-1]
    else:
        h = RNNLoop.apply(now, xs, state, *weights)
        state = h[-1]
    ys = h if now is None else h * now  # past a row's length h holds its last state: show 0
    return ys.transpose(0, 1), state


def compiled_loops(cell, xs):
    """The module of the compiled loops, where they can serve; else ``None``."""
    before = type(cell) is GRUCell and not cell.reset_after  # has no compiled loop
    if before or xs.device.type != "cpu" or torch.compiler.is_compiling():
        return None
    return kernel_loops() if compiled.kernels() is not None else None


@functools.cache
def kernel_loops():
    """Imported late, for it takes numba for granted."""
    from rnnlab.torch import kernel_loops as found

    return found


ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
LARGE = 3_000_000  # multiplications; below, oneDNN takes longer to call than it could save
ROWS = 200  # in all; turning a matrix takes as long as a product of that many rows gains by it
WIDE = 1000  # numbers; below, a call costs more than its arithmetic


def sooner(one, other):
    """Whether calling ``one`` takes clearly less time than ``other``: the best of five each."""
    best = [torch.inf, torch.inf]
    for _ in range(6):  # the first round warms up
        for k, call in enumerate((one, other)):
            start = time.perf_counter()
            call()
            best[k] = min(best[k], time.perf_counter() - start)
    return best[0] < 0.8 * best[1]


@functools.cache
def onednn_is_sooner():
    """Measured once: oneDNN's product takes half of torch.mm's time on one processor (where MKL
    was not made for it), and twice as long on another."""
    x, W = torch.ones(64, 256), torch.ones(512, 256)
    return sooner(lambda: ONEDNN(x, W, None, "none", [], ""), lambda: x @ W.T)


@functools.cache
def sigmoid_is_sooner():
    """Measured once: on some processors PyTorch's tanh takes nine times as long as its σ."""
    x, out = torch.ones(64, 256), torch.empty(64, 256)
    return sooner(lambda: tanh_by_sigmoid(x, out), lambda: torch.tanh(x, out=out))


def by_onednn(multiplications, like):
    """Whether a product shall be oneDNN's, which knows float32 on the CPU."""
    if multiplications <= LARGE or like.dtype != torch.float32 or like.device.type != "cpu":
        return False
    return ONEDNN is not None and torch.backends.mkldnn.is_available() and onednn_is_sooner()


def product(x, W, out=None):
    """x (N, K) W (K, M) -> (N, M), perhaps written into ``out``."""
    whole = all(m.is_contiguous() or m.T.is_contiguous() for m in (x, W))  # else oneDNN is slow
    if whole and by_onednn(x.numel() * W.shape[1], x):
        found = ONEDNN(x, W.T, None, "none", [], "")
        return found if out is None else out.copy_(found)
    return torch.mm(x, W, out=out)


def adding(W, rows, calls):
    """The function (a, h, out): out = a + h W, for many calls with h (rows, K) and one W (K, M)."""
    if by_onednn(rows * W.numel(), W):
        across = W.T.contiguous()
        return lambda a, h, out: out.copy_(ONEDNN.binary(h, a.contiguous(), across, None, "add"))
    if calls * rows > ROWS:  # a product reads W row by row: a transposed one is turned first
        W = W.contiguous()
    return lambda a, h, out: a.addmm_(h, W) if out is a else torch.addmm(a, h, W, out=out)


def multiplying(W, rows):
    """The function (h, out): out = h W, for many calls with h (rows, K) and one W (K, M)."""
    if by_onednn(rows * W.numel(), W):
        across = W.T.contiguous()
        return lambda h, out: out.copy_(ONEDNN(h, across, None, "none", [], ""))
    return lambda h, out: torch.mm(h, W, out=out)


def tanh_for(h):
    """The function (x, out): out = tanh(x), for x as large as h."""
    if h.numel() > WIDE and h.device.type == "cpu" and sigmoid_is_sooner():
        return tanh_by_sigmoid
    return torch.tanh


def tanh_by_sigmoid(x, out):
    """tanh(x) = 2 σ(2x) - 1."""
    torch.mul(x, TWO, out=out).sigmoid_()
    return torch.add(MINUS_ONE, out, alpha=2, out=out)


tanh_back = torch.ops.aten.tanh_backward.grad_input  # (dh, h): dh (1 - h²), in one operation

# As a tensor a constant takes half the time.
ONE, TWO, MINUS_ONE = torch.tensor(1.0), torch.tensor(2.0), torch.tensor(-1.0)


def in_turn(steps, cut):
    """The views that ``cut`` makes of each step of (T, B, K), to be read and overwritten in turn.

    A view takes as long to make as a small operation. So small steps are brought to one place, cut
    once and for all, and back. A GPU is told each operation, views not: there it would cost two.
    """
    if steps[0].numel() > WIDE or steps.device.type != "cpu":
        yield from zip(*(part.unbind() for part in cut(steps)), strict=True)
        return
    place = torch.empty_like(steps[0])
    views = cut(place)
    for step in steps.unbind():
        place.copy_(step)
        yield views
        step.copy_(place)


def project(xs, W_x, b):
    """a = x W_x + b for all steps: (T, B, I) -> (T, B, G*H)."""
    return product(xs.flatten(0, 1), W_x).add_(b).view(*xs.shape[:2], len(b))


def two(W, H):
    """What belongs to r and z, and what belongs to n: (K, 3H) -> (K, 2H), (K, H)."""
    return [part.contiguous() for part in W.tensor_split([2 * H], dim=-1)]


def apart(xs, W_x, b):
    """The projected inputs of r and z (T, B, 2H), and of n (T, B, H)."""
    H = len(b) // 3
    return [project(xs, *part) for part in zip(two(W_x, H), two(b, H), strict=True)]


def project_back(ctx, xs, W_x, da):
    """The gradients of xs, if it is asked for, and W_x."""
    dxs = product(da.flatten(0, 1), W_x.T).view(xs.shape) if ctx.needs_input_grad[1] else None
    return dxs, weight_gradient(xs, da)


def weight_gradient(inputs, dv):
    """The gradient of the weights between (T, B, K) and (T, B, M): one product over all."""
    return product(inputs.flatten(0, 1).T, dv.flatten(0, 1))


def total(da):
    """The gradient of a bias, which is added at every step of every row: (T, B, M) -> (M,)."""
    return da.sum(dim=(0, 1))


def from_start(start, T):
    """Room for the states (T + 1, B, H), with the first one in it."""
    states = start.new_empty(T + 1, *start.shape)
    states[0] = start
    return states


def hold(now, t, new, old):
    """Where step t is padding, the old state stays, to the bit; ``new`` is overwritten."""
    return new if now is None else torch.where(now[t], new, old, out=new)


def slope(s, out):
    """How σ answers to its sum, told by its value s: s (1 - s)."""
    return torch.addcmul(s, s, s, value=-1, out=out)


def mixed_back(z, n, h, by_z, by_n):
    """How (1 - z) n + z h answers to the sums of z and of n: written into by_z and by_n."""
    slope(z, out=by_z).mul_(h - n)
    new = 1 - z
    torch.addcmul(new, new * n, n, value=-1, out=by_n)


CACHED = 2**18  # numbers: what a block of steps may hold


def blocks(steps):
    """Ranges of steps (T, ...), from the first to the last, none larger than a cache holds.

    One range for a GPU: its caches are filled by other rules, and fewer operations are sooner told.
    """
    T = len(steps)
    if steps.device.type != "cpu":
        return [(0, T)]
    count = min(T, max(1, -(-steps.numel() // CACHED)))
    return [(T * k // count, T * (k + 1) // count) for k in range(count)]


def backwards(start, *many):
    """The steps of tensors (T, ...) or lists side by side, the last one first, with its number."""
    many = (one if isinstance(one, list) else one.unbind() for one in many)
    steps = list(zip(*many, strict=True))
    for k in reversed(range(len(steps))):
        yield start + k, *steps[k]


def from_outside(dhs):
    """What arrives from outside at the states before each step, T times (B, H), and at the last."""
    *outer, last = dhs.unbind()
    return [torch.zeros_like(last), *outer], last.clone(memory_format=torch.contiguous_format)


def pass_back(now, t, add, outer_t, da_t, dh):
    """Overwrite dh, the gradient of the state after step t, by that of the state before it."""
    if now is None:
        add(outer_t, da_t, out=dh)
    else:  # at padding da_t is zero, and the gradient goes on as it is
        passed = add(outer_t, da_t, out=torch.empty_like(dh))
        dh.copy_(torch.where(now[t], passed, passed + dh))


def first_derivative_only(backward):
    """Refuse a graph of the gradients. It would be wrong without a word: what forward saved counts
    as constant there (and ``once_differentiable`` looks at the incoming gradients alone)."""

    @functools.wraps(backward)
    def checked(ctx, *grads):
        if torch.is_grad_enabled():  # autograd runs a backward so only under create_graph
            raise RuntimeError(
                "the hand-written backward pass has no second derivative (create_graph=True); "
                "build the layer as RNN(cell, by_hand=False) to lead autograd through the loop"
            )
        return backward(ctx, *grads)

    return checked


class RNNLoop(Function):
    """h_t = tanh(a_t + h_{t-1} W_h).

    There is so little beside the products that what counts is where the numbers are: each block of
    steps has its products with the inputs while it is in the cache.
    """

    @staticmethod
    def forward(ctx, now, xs, h0, W_x, W_h, b):
        hs, h = from_start(h0, len(xs)), h0
        add, tanh = adding(W_h, len(h0), len(xs)), tanh_for(h0)
        for start, end in blocks(hs[1:]):
            a = project(xs[start:end], W_x, b)
            steps = zip(a.unbind(), hs[start + 1 : end + 1].unbind(), strict=True)
            for t, (u, h_t) in enumerate(steps, start):
                h = hold(now, t, tanh(add(u, h, out=u), out=h_t), h)
        ctx.save_for_backward(now, xs, hs, W_x, W_h)
        return hs[1:]

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs):
        now, xs, hs, W_x, W_h = ctx.saved_tensors
        outer, dh = from_outside(dhs)
        add, by_x = adding(W_h.T, len(dh), len(xs)), multiplying(W_x.T, xs[:, :, 0].numel())
        dxs = torch.empty_like(xs) if ctx.needs_input_grad[1] else None
        dW_x, dW_h, db = (torch.zeros_like(weight) for weight in (W_x, W_h, W_h[0]))
        for start, end in reversed(blocks(hs[1:])):
            da = torch.empty_like(hs[start:end])
            for t, h, da_t, outer_t in backwards(
                start, hs[start + 1 : end + 1], da, outer[start:end]
            ):
                tanh_back(dh, h, grad_input=da_t)
                if now is not None:
                    da_t.mul_(now[t])  # padding: nothing is written, everything is kept
                pass_back(now, t, add, outer_t, da_t, dh)
            if dxs is not None:
                by_x(da.flatten(0, 1), out=dxs[start:end].flatten(0, 1))
            dW_x += weight_gradient(xs[start:end], da)
            dW_h += weight_gradient(hs[:-1][start:end], da)
            db += total(da)
        return None, dxs, dh, dW_x, dW_h, db


class LSTMLoop(Function):
    """c_t = σ(f) c_{t-1} + σ(i) tanh(g), h_t = σ(o) tanh(c_t), from u = a_t + h_{t-1} W_h."""

    @staticmethod
    def forward(ctx, now, xs, h0, c0, W_x, W_h, b):
        T, B, H = len(xs), *h0.shape
        gates = project(xs, W_x, b)  # a, overwritten by the gates
        hs, cs = from_start(h0, T), from_start(c0, T)
        add, tanh, tanh_c = adding(W_h, B, T), tanh_for(h0), torch.empty_like(h0)
        h, c = h0, c0
        each = in_turn(gates, lambda u: (u, *u.split(H, dim=-1)))
        for t, ((u, i, f, g, o), h_t, c_t) in enumerate(zip(each, hs[1:], cs[1:], strict=True)):
            add(u, h, out=u)
            g.mul_(TWO)  # so that one σ serves the four gates: tanh(g) = 2 σ(2g) - 1
            u.sigmoid_()
            torch.add(MINUS_ONE, g, alpha=2, out=g)
            torch.mul(f, c, out=c_t).addcmul_(i, g)
            torch.mul(o, tanh(c_t, out=tanh_c), out=h_t)
            h, c = hold(now, t, h_t, h), hold(now, t, c_t, c)
        ctx.save_for_backward(now, xs, gates, hs, cs, W_x, W_h)
        return hs[1:], c.clone()

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs, dc):
        now, xs, gates, hs, cs, W_x, W_h = ctx.saved_tensors
        T, B, H = dhs.shape
        outer, dh_last = from_outside(dhs)
        add, tanh, da = adding(W_h.T, B, T), tanh_for(cs[1:]), torch.empty_like(gates)
        # What multiplies the local derivatives of i, f, g and o: dc three times, and dh.
        factors, dc = torch.empty_like(gates[0]), dc.clone()
        dh, by_dc = factors[:, 3 * H :], factors.view(-1, 4, H)[:, :3]
        dh.copy_(dh_last)
        each_dc = dc[:, None]
        for start, end in reversed(blocks(gates)):
            # How u answers: i, f, g through c, and o through h; all steps of a block at once.
            local, (i, f, g, o) = da[start:end], gates[start:end].split(H, dim=-1)
            slope(gates[start:end], out=local)
            by_i, by_f, by_g, by_o = local.split(H, dim=-1)
            tanh_c = tanh(cs[1:][start:end], out=torch.empty_like(cs[start:end]))
            by_i.mul_(g)
            by_f.mul_(cs[start:end])
            torch.addcmul(i, i * g, g, value=-1, out=by_g)
            by_o.mul_(tanh_c)
            c_by_h = torch.addcmul(o, o * tanh_c, tanh_c, value=-1)
            keep = f
            if now is not None:  # padding: nothing is written, everything is kept
                valid = now[start:end]
                local.mul_(valid)
                c_by_h.mul_(valid)
                keep = torch.where(valid, f, 1.0)
            for t, da_t, c_by_h_t, keep_t, outer_t in backwards(
                start, local, c_by_h, keep, outer[start:end]
            ):
                dc.addcmul_(dh, c_by_h_t)
                by_dc.copy_(each_dc)
                da_t.mul_(factors)
                dc.mul_(keep_t)
                pass_back(now, t, add, outer_t, da_t, dh)
        dxs, dW_x = project_back(ctx, xs, W_x, da)
        return None, dxs, dh, dc, dW_x, weight_gradient(hs[:-1], da), total(da)


class GRULoop(Function):
    """h_t = (1 - z) n + z h_{t-1}, the reset gate after the product."""

    @staticmethod
    def forward(ctx, now, xs, h0, W_x, W_h, b, b_hn):
        T, B, H = len(xs), *h0.shape
        (rz, ns), (add_rz, add_n) = apart(xs, W_x, b), (adding(W, B, T) for W in two(W_h, H))
        hs, through = from_start(h0, T), xs.new_empty(T, B, H)
        tanh, inside, h = tanh_for(h0), b_hn.expand(B, -1).contiguous(), h0
        each = in_turn(rz, lambda u: (u, *u.split(H, dim=-1)))
        steps = zip(each, ns, through, hs[1:], strict=True)
        for t, ((u, r, z), n, through_n, h_t) in enumerate(steps):
            add_rz(u, h, out=u).sigmoid_()
            add_n(inside, h, out=through_n)
            tanh(n.addcmul_(r, through_n), out=n)
            h = hold(now, t, torch.lerp(n, h, z, out=h_t), h)
        ctx.save_for_backward(now, xs, rz, ns, hs, through, W_x, W_h)
        return hs[1:]

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs):
        now, xs, rz, ns, hs, through, W_x, W_h = ctx.saved_tensors
        T, B, H = ns.shape
        outer, dh = from_outside(dhs)
        add, each_dh, kept = adding(W_h.T, B, T), dh[:, None], torch.empty_like(dh)
        # How the sums of r, z and n answer to dh; dv is the gradient of h W_h, da_n that of a_n.
        dv, da_n = rz.new_empty(T, B, 3 * H), torch.empty_like(ns)
        parts = dv.view(T, B, 3, H)
        for start, end in reversed(blocks(dv)):
            (r, z), n, h = rz[start:end].split(H, dim=-1), ns[start:end], hs[start:end]
            (by_r, by_z, by_u), by_n = parts[start:end].unbind(2), da_n[start:end]
            mixed_back(z, n, h, by_z, by_n)
            slope(r, out=by_r).mul_(through[start:end]).mul_(by_n)
            torch.mul(by_n, r, out=by_u)
            keep = z
            if now is not None:
                valid = now[start:end]
                dv[start:end].mul_(valid)
                by_n.mul_(valid)
                keep = torch.where(valid, z, 1.0)
            for _, dv_t, parts_t, da_n_t, keep_t, outer_t in backwards(
                start, dv[start:end], parts[start:end], by_n, keep, outer[start:end]
            ):
                da_n_t.mul_(dh)
                parts_t.mul_(each_dh)
                add(torch.addcmul(outer_t, dh, keep_t, out=kept), dv_t, out=dh)
        dW_h, db_hn = weight_gradient(hs[:-1], dv), parts[:, :, 2].sum(dim=(0, 1))
        parts[:, :, 2] = da_n  # what is left is the gradient of a
        dxs, dW_x = project_back(ctx, xs, W_x, dv)
        return None, dxs, dh, dW_x, dW_h, total(dv), db_hn


class ResetBeforeLoop(Function):
    """h_t = (1 - z) n + z h_{t-1}, the reset gate before the product."""

    @staticmethod
    def forward(ctx, now, xs, h0, W_x, W_h, b):
        T, B, H = len(xs), *h0.shape
        (rz, ns), (add_rz, add_n) = apart(xs, W_x, b), (adding(W, B, T) for W in two(W_h, H))
        hs, tanh, reset, h = from_start(h0, T), tanh_for(h0), torch.empty_like(h0), h0
        each = in_turn(rz, lambda u: (u, *u.split(H, dim=-1)))
        for t, ((u, r, z), n, h_t) in enumerate(zip(each, ns, hs[1:], strict=True)):
            add_rz(u, h, out=u).sigmoid_()
            tanh(add_n(n, torch.mul(r, h, out=reset), out=n), out=n)
            h = hold(now, t, torch.lerp(n, h, z, out=h_t), h)
        ctx.save_for_backward(now, xs, rz, ns, hs, W_x, W_h)
        return hs[1:]

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs):
        now, xs, rz, ns, hs, W_x, W_h = ctx.saved_tensors
        T, B, H = ns.shape
        outer, dh = from_outside(dhs)
        add_rz, add_n = (adding(W.T, B, T) for W in two(W_h, H))
        d_reset, kept, nothing = (torch.empty_like(dh), torch.empty_like(dh), torch.zeros_like(dh))
        # How the sums answer: that of r to the gradient of r h, those of z and n to dh.
        da_rz, da_n = torch.empty_like(rz), torch.empty_like(ns)
        for start, end in reversed(blocks(da_rz)):
            (r, z), n, h = rz[start:end].split(H, dim=-1), ns[start:end], hs[start:end]
            (by_r, by_z), by_n = da_rz[start:end].split(H, dim=-1), da_n[start:end]
            mixed_back(z, n, h, by_z, by_n)
            slope(r, out=by_r).mul_(h)
            keep = z
            if now is not None:
                valid = now[start:end]
                da_rz[start:end].mul_(valid)
                by_n.mul_(valid)
                keep = torch.where(valid, z, 1.0)
            for _, r_t, keep_t, by_r_t, by_z_t, da_rz_t, da_n_t, outer_t in backwards(
                start, r, keep, by_r, by_z, da_rz[start:end], by_n, outer[start:end]
            ):
                by_z_t.mul_(dh)
                add_n(nothing, da_n_t.mul_(dh), out=d_reset)  # the gradient of r h
                by_r_t.mul_(d_reset)
                torch.addcmul(outer_t, dh, keep_t, out=kept).addcmul_(d_reset, r_t)
                add_rz(kept, da_rz_t, out=dh)
        dW_rz = weight_gradient(hs[:-1], da_rz)
        dW_n = weight_gradient(rz[:, :, :H] * hs[:-1], da_n)
        da = torch.cat([da_rz, da_n], dim=2)
        dxs, dW_x = project_back(ctx, xs, W_x, da)
        return None, dxs, dh, dW_x, torch.cat([dW_rz, dW_n], dim=1), total(da)
