"""The cells' loops over time with the backward pass written by hand: the same numbers, sooner.

Autograd, led through the loop of ``RNN.run``, records every small operation of every step. Here the
whole loop is one operation, and its way back uses what the mathematics allows: the local
derivatives of all steps are computed at once, the loop back holds little but the one product that
has to wait, and the gradient of ``W_h`` is a single product over all steps at the end.

The equations are those of ``rnnlab.numpy``'s ``step_back``; the tests hold both against autograd.
Shapes: T steps come first here; a (T, B, G*H), h (T, B, H).
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
    a = cell.project(xs.transpose(0, 1))  # (T, B, I) -> (T, B, G*H)
    now = None if valid is None else valid.T[:, :, None].to(a.dtype).contiguous()  # (T, B, 1)
    if type(cell) is LSTMCell:
        h, c = LSTMLoop.apply(a, state.h, state.c, cell.W_h, now)
        state = LSTMState(h[-1], c)
    elif type(cell) is GRUCell and cell.reset_after:
        h = GRULoop.apply(a, state, cell.W_h, cell.b_hn, now)
        state = h[-1]
    elif type(cell) is GRUCell:
        h = ResetBeforeLoop.apply(a, state, cell.W_h, now)
        state = h[-1]
    else:
        h = RNNLoop.apply(a, state, cell.W_h, now)
        state = h[-1]
    ys = h if now is None else h * now  # past a row's length h holds its last state: show 0
    return ys.transpose(0, 1), state


def before(h0, h):
    """The states before each step: (T, B, H)."""
    return torch.cat([h0[None], h[:-1]])


def hold(now, t, new, old):
    """Where step t is padding, the old state stays, to the bit."""
    return new if now is None else torch.where(now[t] > 0, new, old)


def recurrent_weight(h_before, dv):
    """The gradient of W_h: one product over all steps and rows."""
    return h_before.flatten(0, 1).T @ dv.flatten(0, 1)


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
    def forward(ctx, a, h0, W_h, now):
        hs = torch.empty_like(a)
        h = h0
        for t in range(len(a)):
            new = torch.addmm(a[t], h, W_h).tanh_()
            h = hs[t] = hold(now, t, new, h)
        ctx.save_for_backward(hs, h0, W_h, now)
        return hs

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs):
        hs, h0, W_h, now = ctx.saved_tensors
        da = 1 - hs.square()  # how h answers to its sum, at every step
        if now is not None:
            da *= now
        W_back = W_h.T.contiguous()
        dh = torch.zeros_like(h0)
        for t in reversed(range(len(da))):
            dh = dh + dhs[t]
            da[t] *= dh
            passed = da[t] @ W_back
            dh = passed if now is None else torch.addcmul(passed, dh, 1 - now[t])
        return da, dh, recurrent_weight(before(h0, hs), da), None


class LSTMLoop(Function):
    """c_t = σ(f) c_{t-1} + σ(i) tanh(g), h_t = σ(o) tanh(c_t), from u = a_t + h_{t-1} W_h."""

    @staticmethod
    def forward(ctx, a, h0, c0, W_h, now):
        T, B, H = len(a), *h0.shape
        # tanh(g) = 2 σ(2g) - 1: with the block of g doubled, one σ serves the four gates.
        double = a.new_ones(4 * H)
        double[2 * H : 3 * H] = 2.0
        gates, W_double = a * double, W_h * double
        hs, tanh_cs = a.new_empty(T, B, H), a.new_empty(T, B, H)
        cs = a.new_empty(T + 1, B, H)
        cs[0], h = c0, h0
        for t in range(T):
            u = gates[t].addmm_(h, W_double).sigmoid_()
            i, f, g, o = u.chunk(4, dim=1)
            g.mul_(2.0).sub_(1.0)
            c = torch.addcmul(f * cs[t], i, g)
            cs[t + 1] = hold(now, t, c, cs[t])
            torch.tanh(c, out=tanh_cs[t])
            h = hs[t] = hold(now, t, o * tanh_cs[t], h)
        ctx.save_for_backward(gates, hs, cs, tanh_cs, h0, W_h, now)
        return hs, cs[-1].clone()

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs, dc):
        gates, hs, cs, tanh_cs, h0, W_h, now = ctx.saved_tensors
        T, B, H = hs.shape
        i, f, g, o = gates.view(T, B, 4, H).unbind(2)
        # How u answers: i, f, g through c, and o through h; all steps at once.
        da = torch.empty_like(gates)
        by_i, by_f, by_g, by_o = da.view(T, B, 4, H).unbind(2)
        torch.mul(g, i * (1 - i), out=by_i)
        torch.mul(cs[:-1], f * (1 - f), out=by_f)
        torch.mul(i, 1 - g.square(), out=by_g)
        torch.mul(tanh_cs, o * (1 - o), out=by_o)
        c_by_h = o * (1 - tanh_cs.square())
        keep = f
        if now is not None:  # padding: nothing is written, everything is kept
            da *= now
            c_by_h *= now
            keep = torch.where(now > 0, f, 1.0)
        W_back = W_h.T.contiguous()
        dh = torch.zeros_like(h0)
        parts = da.view(T, B, 4, H)
        for t in reversed(range(T)):
            dh = dh + dhs[t]
            dc = torch.addcmul(dc, dh, c_by_h[t])
            parts[t, :, :3].mul_(dc[:, None])
            parts[t, :, 3].mul_(dh)
            passed = da[t] @ W_back
            dh = passed if now is None else torch.addcmul(passed, dh, 1 - now[t])
            dc = dc * keep[t]
        return da, dh, dc, recurrent_weight(before(h0, hs), da), None


class GRULoop(Function):
    """h_t = (1 - z) n + z h_{t-1}, the reset gate after the product."""

    @staticmethod
    def forward(ctx, a, h0, W_h, b_hn, now):
        T, B, H = len(a), *h0.shape
        gates = a.clone()  # becomes r, z, n
        hs, through = a.new_empty(T, B, H), a.new_empty(T, B, H)
        h = h0
        for t in range(T):
            u = h @ W_h
            rz = gates[t, :, : 2 * H].add_(u[:, : 2 * H]).sigmoid_()
            r, z = rz.chunk(2, dim=1)
            torch.add(u[:, 2 * H :], b_hn, out=through[t])
            n = gates[t, :, 2 * H :].addcmul_(r, through[t]).tanh_()
            h = hs[t] = hold(now, t, torch.lerp(n, h, z), h)
        ctx.save_for_backward(gates, hs, through, h0, W_h, now)
        return hs

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs):
        gates, hs, through, h0, W_h, now = ctx.saved_tensors
        T, B, H = hs.shape
        r, z, n = gates.view(T, B, 3, H).unbind(2)
        h_before = before(h0, hs)
        # How the sums of n, z and r answer to dh, at all steps; dv is the gradient of h W_h.
        dv = torch.empty_like(gates)
        by_r, by_z, by_n = dv.view(T, B, 3, H).unbind(2)
        a_n = (1 - z) * (1 - n.square())
        torch.mul(h_before - n, z * (1 - z), out=by_z)
        torch.mul(a_n * through, r * (1 - r), out=by_r)
        torch.mul(a_n, r, out=by_n)
        keep = z
        if now is not None:
            dv *= now
            a_n = a_n * now
            keep = torch.where(now > 0, z, 1.0)
        W_back = W_h.T.contiguous()
        dh = torch.zeros_like(h0)
        parts = dv.view(T, B, 3, H)
        for t in reversed(range(T)):
            dh = dh + dhs[t]
            a_n[t].mul_(dh)
            parts[t].mul_(dh[:, None])
            dh = torch.addmm(dh * keep[t], dv[t], W_back)
        da = torch.cat([dv[..., : 2 * H], a_n], dim=-1)
        db_hn = by_n.sum(dim=(0, 1))
        return da, dh, recurrent_weight(h_before, dv), db_hn, None


class ResetBeforeLoop(Function):
    """h_t = (1 - z) n + z h_{t-1}, the reset gate before the product."""

    @staticmethod
    def forward(ctx, a, h0, W_h, now):
        T, B, H = len(a), *h0.shape
        gates = a.clone()  # becomes r, z, n
        hs = a.new_empty(T, B, H)
        W_rz, W_n = W_h[:, : 2 * H].contiguous(), W_h[:, 2 * H :].contiguous()
        h = h0
        for t in range(T):
            rz = gates[t, :, : 2 * H].addmm_(h, W_rz).sigmoid_()
            r, z = rz.chunk(2, dim=1)
            n = gates[t, :, 2 * H :].addmm_(r * h, W_n).tanh_()
            h = hs[t] = hold(now, t, torch.lerp(n, h, z), h)
        ctx.save_for_backward(gates, hs, h0, W_h, now)
        return hs

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs):
        gates, hs, h0, W_h, now = ctx.saved_tensors
        T, B, H = hs.shape
        r, z, n = gates.view(T, B, 3, H).unbind(2)
        h_before = before(h0, hs)
        # How the sums of r, z, n answer, at all steps: r to the gradient of r h, z and n to dh.
        da = torch.empty_like(gates)
        by_r, by_z, by_n = da.view(T, B, 3, H).unbind(2)
        torch.mul(h_before, r * (1 - r), out=by_r)
        torch.mul(h_before - n, z * (1 - z), out=by_z)
        torch.mul(1 - z, 1 - n.square(), out=by_n)
        keep = z
        if now is not None:
            da *= now
            keep = torch.where(now > 0, z, 1.0)
        W_rz, W_n = W_h[:, : 2 * H].T.contiguous(), W_h[:, 2 * H :].T.contiguous()
        dh = torch.zeros_like(h0)
        parts = da.view(T, B, 3, H)
        for t in reversed(range(T)):
            dh = dh + dhs[t]
            parts[t, :, 1:].mul_(dh[:, None])
            d_reset = by_n[t] @ W_n  # the gradient of r h
            by_r[t].mul_(d_reset)
            dh = torch.addmm(dh * keep[t] + d_reset * r[t], da[t, :, : 2 * H], W_rz)
        dW_rz = recurrent_weight(h_before, da[:, :, : 2 * H])
        dW_n = recurrent_weight(r * h_before, by_n)
        return da, dh, torch.cat([dW_rz, dW_n], dim=1), None
