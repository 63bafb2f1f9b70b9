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

import torch
from torch.autograd import Function

from rnnlab.torch.cells import GRUCell, LSTMCell, LSTMState, RNNCell

__all__ = ["run", "serves"]


def serves(cell):
    """Whether there is a loop for this cell here. A subclass may step otherwise, so: no."""
    return type(cell) in (RNNCell, LSTMCell, GRUCell)


def run(cell, xs, state, valid=None):
    """As ``RNN.run``: xs (B, T, I), valid (B, T) -> ys (B, T, H), state. T is at least 1."""
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


# oneDNN's product of matrices: on processors that MKL was not made for it takes half the time of
# torch.mm. Where this torch does not offer it, torch.mm serves.
ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
LARGE = 3_000_000  # multiplications; below, oneDNN takes longer to call than it saves


def by_onednn(multiplications, like):
    """Whether a product shall be oneDNN's, which knows float32 on the CPU."""
    offered = ONEDNN is not None and torch.backends.mkldnn.is_available()
    single = like.dtype == torch.float32 and like.device.type == "cpu"
    return offered and single and multiplications > LARGE


def product(x, W):
    """x (N, K) W (K, M) -> (N, M)."""
    whole = all(m.is_contiguous() or m.T.is_contiguous() for m in (x, W))  # else oneDNN is slow
    if whole and by_onednn(x.numel() * W.shape[1], x):
        return ONEDNN(x, W.T, None, "none", [], "")
    return x @ W


def adding(W, rows):
    """The function (a, h) -> a + h W, for many calls with h (rows, K) and one W (K, M)."""
    if by_onednn(rows * W.numel(), W):
        across = W.T.contiguous()
        return lambda a, h: ONEDNN.binary(h, a, across, None, "add")
    return lambda a, h: torch.addmm(a, h, W)


def tanh_for(h):
    """A factor and a function: of the factor times x, and ``out``, it makes tanh(x).

    For a wide step that is 2 σ(2x) - 1: PyTorch's tanh takes nine times as long as its σ.
    """
    return (2.0, tanh_of_half) if h.numel() > WIDE else (1.0, torch.tanh)


WIDE = 1000  # numbers; below, one call is sooner than two


def tanh_of_half(u, out):
    """tanh(u / 2) = 2 σ(u) - 1."""
    torch.sigmoid(u, out=out)
    return torch.add(MINUS_ONE, out, alpha=2, out=out)


def stretched(H, blocks, factor, like):
    """Ones, and ``factor`` in the third block of H: it multiplies the sum of g, or of n."""
    factors = like.new_ones(blocks * H)
    factors[2 * H : 3 * H] = factor
    return factors


MINUS_ONE = torch.tensor(-1.0)


def project(xs, W_x, b):
    """a = x W_x + b for all steps: (T, B, I) -> (T, B, G*H)."""
    return product(xs.flatten(0, 1), W_x).add_(b).view(*xs.shape[:2], len(b))


def project_back(ctx, xs, W_x, da):
    """The gradients of xs, if it is asked for, W_x and b."""
    dxs = product(da.flatten(0, 1), W_x.T).view(xs.shape) if ctx.needs_input_grad[1] else None
    return dxs, weight_gradient(xs, da), da.sum(dim=(0, 1))


def weight_gradient(inputs, dv):
    """The gradient of the weights between (T, B, K) and (T, B, M): one product over all."""
    return product(inputs.flatten(0, 1).T, dv.flatten(0, 1))


def before(h0, h):
    """The states before each step: (T, B, H)."""
    return torch.cat([h0[None], h[:-1]])


def hold(now, t, new, old):
    """Where step t is padding, the old state stays, to the bit; ``new`` is overwritten."""
    return new if now is None else torch.where(now[t], new, old, out=new)


def slope(s, out):
    """How σ answers to its sum, told by its value s: s (1 - s)."""
    return torch.addcmul(s, s, s, value=-1, out=out)


def mixed_back(z, n, h, by_z, by_n):
    """How (1 - z) n + z h answers to the sums of z and of n: written into by_z and by_n."""
    slope(z, out=by_z).mul_(h - n)
    torch.addcmul(1 - z, (1 - z).mul_(n), n, value=-1, out=by_n)


CACHED = 2**16  # numbers: what a block of steps may hold


def blocks_back(tensor):
    """Ranges of steps (T, ...) from the last to the first, each about as large as a cache holds."""
    length = max(1, CACHED // max(1, tensor[0].numel()))
    for end in range(len(tensor), 0, -length):
        yield max(0, end - length), end


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
    """h_t = tanh(a_t + h_{t-1} W_h)."""

    @staticmethod
    def forward(ctx, now, xs, h0, W_x, W_h, b):
        factor, tanh = tanh_for(h0)
        hs = project(xs, factor * W_x, factor * b)  # a, overwritten by h step by step
        add = adding(factor * W_h, len(h0))
        h = h0
        for t, h_t in enumerate(hs.unbind()):
            h = hold(now, t, tanh(add(h_t, h), out=h_t), h)
        ctx.save_for_backward(now, xs, hs, h0, W_x, W_h)
        return hs

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs):
        now, xs, hs, h0, W_x, W_h = ctx.saved_tensors
        add, outer = adding(W_h.T.contiguous(), len(h0)), (torch.zeros_like(h0), *dhs.unbind())
        da = torch.empty_like(hs)
        das, dh = da.unbind(), dhs[-1]
        for start, end in blocks_back(hs):
            local = da[start:end]  # how h answers to its sum: 1 - h², zero at padding
            torch.mul(hs[start:end], hs[start:end], out=local).neg_().add_(1)
            if now is not None:
                local.mul_(now[start:end])
            for t in reversed(range(start, end)):
                passed = add(outer[t], das[t].mul_(dh))
                dh = passed if now is None else torch.where(now[t], passed, passed + dh)
        dxs, dW_x, db = project_back(ctx, xs, W_x, da)
        return None, dxs, dh, dW_x, weight_gradient(before(h0, hs), da), db


class LSTMLoop(Function):
    """c_t = σ(f) c_{t-1} + σ(i) tanh(g), h_t = σ(o) tanh(c_t), from u = a_t + h_{t-1} W_h."""

    @staticmethod
    def forward(ctx, now, xs, h0, c0, W_x, W_h, b):
        T, B, H = len(xs), *h0.shape
        # With the block of g doubled, one σ serves the four gates: tanh(g) = 2 σ(2g) - 1.
        double = stretched(H, 4, 2.0, like=xs)
        gates = project(xs, W_x * double, b * double)  # a, overwritten by the gates
        add = adding(W_h * double, B)
        hs, cs, tanh_cs = xs.new_empty(T, B, H), xs.new_empty(T + 1, B, H), xs.new_empty(T, B, H)
        cs[0], h, c = c0, h0, c0
        factor, tanh = tanh_for(h0)
        each = gates.view(T, B, 4, H).unbind(2)
        steps = zip(gates, *each, hs, cs[1:], tanh_cs, strict=True)
        for t, (gate, i, f, g, o, h_t, c_t, tanh_c) in enumerate(steps):
            torch.sigmoid(add(gate, h), out=gate)
            torch.add(MINUS_ONE, g, alpha=2, out=g)
            torch.mul(f, c, out=c_t).addcmul_(i, g)
            c = hold(now, t, c_t, c)
            tanh(torch.mul(c_t, factor, out=tanh_c) if factor > 1 else c_t, out=tanh_c)
            h = hold(now, t, torch.mul(o, tanh_c, out=h_t), h)
        ctx.save_for_backward(now, xs, gates, hs, cs, tanh_cs, h0, W_x, W_h)
        return hs, c.clone()

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs, dc):
        now, xs, gates, hs, cs, tanh_cs, h0, W_x, W_h = ctx.saved_tensors
        T, B, H = hs.shape
        add, outer = adding(W_h.T.contiguous(), B), (torch.zeros_like(h0), *dhs.unbind())
        da = torch.empty_like(gates)
        das, parts = da.unbind(), da.view(T, B, 4, H)
        through_c, through_h = parts[:, :, :3].unbind(), parts[:, :, 3].unbind()
        dh, dc = dhs[-1], dc.clone()
        for start, end in blocks_back(gates):
            # How u answers: i, f, g through c, and o through h; all steps of a block at once.
            i, f, g, o = gates[start:end].view(end - start, B, 4, H).unbind(2)
            by_i, by_f, by_g, by_o = parts[start:end].unbind(2)
            tanh_c = tanh_cs[start:end]
            slope(i, out=by_i).mul_(g)
            slope(f, out=by_f).mul_(cs[start:end])
            torch.addcmul(i, i * g, g, value=-1, out=by_g)
            slope(o, out=by_o).mul_(tanh_c)
            c_by_h = torch.addcmul(o, o * tanh_c, tanh_c, value=-1)
            keep = f
            if now is not None:  # padding: nothing is written, everything is kept
                valid = now[start:end]
                da[start:end].mul_(valid)
                c_by_h.mul_(valid)
                keep = torch.where(valid, f, 1.0)
            for t in reversed(range(start, end)):
                dc.addcmul_(dh, c_by_h[t - start])
                through_c[t].mul_(dc[:, None])
                through_h[t].mul_(dh)
                dc.mul_(keep[t - start])
                passed = add(outer[t], das[t])
                dh = passed if now is None else torch.where(now[t], passed, passed + dh)
        dxs, dW_x, db = project_back(ctx, xs, W_x, da)
        return None, dxs, dh, dc, dW_x, weight_gradient(before(h0, hs), da), db


class GRULoop(Function):
    """h_t = (1 - z) n + z h_{t-1}, the reset gate after the product."""

    @staticmethod
    def forward(ctx, now, xs, h0, W_x, W_h, b, b_hn):
        T, B, H = len(xs), *h0.shape
        factor, tanh = tanh_for(h0)
        stretch = stretched(H, 3, factor, like=xs)
        gates = project(xs, W_x * stretch, b * stretch)  # a, overwritten by r, z, n
        hs, through = xs.new_empty(T, B, H), xs.new_empty(T, B, H)
        add, inside = adding(W_h, B), torch.cat([b_hn.new_zeros(2 * H), b_hn]).expand(B, -1)
        inside = inside.contiguous()
        h = h0
        both, each = gates[:, :, : 2 * H], gates.view(T, B, 3, H).unbind(2)
        steps = zip(both, *each, through, hs, strict=True)
        for t, (rz, r, z, n, through_n, h_t) in enumerate(steps):
            u = add(inside, h)
            rz.add_(u[:, : 2 * H]).sigmoid_()
            through_n.copy_(u[:, 2 * H :])
            tanh(n.addcmul_(r, through_n, value=factor), out=n)
            h = hold(now, t, torch.lerp(n, h, z, out=h_t), h)
        ctx.save_for_backward(now, xs, gates, hs, through, h0, W_x, W_h)
        return hs

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs):
        now, xs, gates, hs, through, h0, W_x, W_h = ctx.saved_tensors
        T, B, H = hs.shape
        add, outer = adding(W_h.T.contiguous(), B), (torch.zeros_like(h0), *dhs.unbind())
        h_before = before(h0, hs)
        # How the sums of r, z and n answer to dh; dv is the gradient of h W_h, da_n that of a_n.
        dv, da_n = torch.empty_like(gates), torch.empty_like(hs)
        parts, dvs, das_n, dh = dv.view(T, B, 3, H), dv.unbind(), da_n.unbind(), dhs[-1]
        each = parts.unbind()
        for start, end in blocks_back(gates):
            r, z, n = gates[start:end].view(end - start, B, 3, H).unbind(2)
            by_r, by_z, by_u = parts[start:end].unbind(2)
            by_n = da_n[start:end]
            mixed_back(z, n, h_before[start:end], by_z, by_n)
            slope(r, out=by_r).mul_(through[start:end]).mul_(by_n)
            torch.mul(by_n, r, out=by_u)
            keep = z
            if now is not None:
                valid = now[start:end]
                dv[start:end].mul_(valid)
                by_n.mul_(valid)
                keep = torch.where(valid, z, 1.0)
            for t in reversed(range(start, end)):
                das_n[t].mul_(dh)
                each[t].mul_(dh[:, None])
                dh = add(torch.addcmul(outer[t], dh, keep[t - start]), dvs[t])
        dW_h, db_hn = weight_gradient(h_before, dv), parts[:, :, 2].sum(dim=(0, 1))
        parts[:, :, 2] = da_n  # what is left is the gradient of a
        dxs, dW_x, db = project_back(ctx, xs, W_x, dv)
        return None, dxs, dh, dW_x, dW_h, db, db_hn


class ResetBeforeLoop(Function):
    """h_t = (1 - z) n + z h_{t-1}, the reset gate before the product."""

    @staticmethod
    def forward(ctx, now, xs, h0, W_x, W_h, b):
        T, B, H = len(xs), *h0.shape
        gates = project(xs, W_x, b)  # a, overwritten by r, z, n
        hs = xs.new_empty(T, B, H)
        add_rz, add_n = (adding(W, B) for W in W_h.tensor_split([2 * H], dim=1))
        h = h0
        both, each = gates[:, :, : 2 * H], gates.view(T, B, 3, H).unbind(2)
        for t, (rz, r, z, n, h_t) in enumerate(zip(both, *each, hs, strict=True)):
            torch.sigmoid(add_rz(rz, h), out=rz)
            torch.tanh(add_n(n, r * h), out=n)
            h = hold(now, t, torch.lerp(n, h, z, out=h_t), h)
        ctx.save_for_backward(now, xs, gates, hs, h0, W_x, W_h)
        return hs

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs):
        now, xs, gates, hs, h0, W_x, W_h = ctx.saved_tensors
        T, B, H = hs.shape
        W_rz, W_n = (W.T.contiguous() for W in W_h.tensor_split([2 * H], dim=1))
        add, outer = adding(W_rz, B), (torch.zeros_like(h0), *dhs.unbind())
        h_before = before(h0, hs)
        # How the sums answer: that of r to the gradient of r h, those of z and n to dh.
        da_rz, da_n = gates.new_empty(T, B, 2 * H), torch.empty_like(hs)
        parts, das_rz, das_n, dh = da_rz.view(T, B, 2, H), da_rz.unbind(), da_n.unbind(), dhs[-1]
        for start, end in blocks_back(gates):
            r, z, n = gates[start:end].view(end - start, B, 3, H).unbind(2)
            (by_r, by_z), by_n = parts[start:end].unbind(2), da_n[start:end]
            mixed_back(z, n, h_before[start:end], by_z, by_n)
            slope(r, out=by_r).mul_(h_before[start:end])
            keep = z
            if now is not None:
                valid = now[start:end]
                da_rz[start:end].mul_(valid)
                by_n.mul_(valid)
                keep = torch.where(valid, z, 1.0)
            for t in reversed(range(start, end)):
                k = t - start
                by_z[k].mul_(dh)
                d_reset = product(das_n[t].mul_(dh), W_n)  # the gradient of r h
                by_r[k].mul_(d_reset)
                kept = torch.addcmul(outer[t], dh, keep[k]).addcmul_(d_reset, r[k])
                dh = add(kept, das_rz[t])
        dW_rz = weight_gradient(h_before, da_rz)
        dW_n = weight_gradient(gates[:, :, :H] * h_before, da_n)
        da = torch.cat([da_rz, da_n], dim=2)
        dxs, dW_x, db = project_back(ctx, xs, W_x, da)
        return None, dxs, dh, dW_x, torch.cat([dW_rz, dW_n], dim=1), db
