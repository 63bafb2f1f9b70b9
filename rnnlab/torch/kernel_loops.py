"""The loops of ``fused.py`` with their steps compiled: the same operations, fewer passes.

What lies between two products, ``rnnlab.kernels`` does in one pass over memory that PyTorch and
NumPy share. The products are PyTorch's. Names and shapes are those of ``fused.py``.
"""

import torch
from torch.autograd import Function

from rnnlab import kernels
from rnnlab.compiled import ahead, back, for_kernel, validity
from rnnlab.torch.fused import (
    ROWS,
    first_derivative_only,
    from_start,
    multiplying,
    product,
    project_back,
    weight_gradient,
)

__all__ = ["GRULoop", "LSTMLoop", "RNNLoop"]


def shared(*tensors):
    """The tensors' memory as NumPy arrays."""
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def mask(now):
    return validity(None if now is None else now[:, :, 0].numpy())


def project(xs, W_x):
    """x W_x for all steps; the kernels add b."""
    return product(xs.flatten(0, 1), W_x).view(*xs.shape[:2], W_x.shape[1])


def run_ahead(kernel, arrays, W_h, hs, sums):
    T, B = len(hs) - 1, hs.shape[1]
    product_of, steps = multiplying(W_h, B), hs.unbind()
    from_zero = not steps[0].any()

    def multiply(t):
        if t == 0 and from_zero:
            sums.zero_()
        else:
            product_of(steps[t], sums)

    ahead(kernel, arrays, *shared(for_kernel(W_h, B)), multiply, T)


def run_back(kernel, arrays, W_h, da, dh, to_start):
    """to_start: whether the gradient of the first state is asked for. If not, dh is not that."""
    (T, B, _), across = da.shape, W_h.T
    own = for_kernel(across, B)
    if T * B > ROWS:  # fewer gain less by it than turning takes
        across = across.contiguous()
    product_of, steps = multiplying(across, B), da.unbind()

    def multiply(t):
        if t > 0 or to_start:
            product_of(steps[t], dh)

    back(kernel, arrays, *shared(own), multiply, T)


def incoming(dhs):
    """What arrives from outside at the states, (B, T, H): as it comes from the layer's outputs."""
    return shared(dhs.transpose(0, 1))


def zeros(like, *counts):
    """Arrays of zeros, as many rows as ``like`` has, of the given widths."""
    return [like.new_zeros(len(like), count) for count in counts]


class RNNLoop(Function):
    """h_t = tanh(a_t + h_{t-1} W_h)."""

    @staticmethod
    def forward(ctx, now, xs, h0, W_x, W_h, b):
        a, hs, sums = project(xs, W_x), from_start(h0, len(xs)), torch.empty_like(h0)
        run_ahead(kernels.rnn, (*shared(a, sums, b, hs), mask(now)), W_h, hs, sums)
        ctx.save_for_backward(now, xs, hs, W_x, W_h)
        return hs[1:]

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs):
        now, xs, hs, W_x, W_h = ctx.saved_tensors
        da, db = torch.empty_like(hs[1:]), hs.new_zeros(len(xs), len(W_h))
        dh, kept = zeros(hs[0], len(W_h), len(W_h))
        arrays = *shared(dh, kept), *incoming(dhs), *shared(hs, da, db), mask(now)
        run_back(kernels.rnn_back, arrays, W_h, da, dh, ctx.needs_input_grad[2])
        dxs, dW_x = project_back(ctx, xs, W_x, da)
        return None, dxs, dh + kept, dW_x, weight_gradient(hs[:-1], da), db.sum(0)


class LSTMLoop(Function):
    """c_t = σ(f) c_{t-1} + σ(i) tanh(g), h_t = σ(o) tanh(c_t), from u = a_t + h_{t-1} W_h."""

    @staticmethod
    def forward(ctx, now, xs, h0, c0, W_x, W_h, b):
        gates, hs, cs = project(xs, W_x), from_start(h0, len(xs)), from_start(c0, len(xs))
        sums = torch.empty_like(gates[0])
        run_ahead(kernels.lstm, (*shared(gates, sums, b, hs, cs), mask(now)), W_h, hs, sums)
        ctx.save_for_backward(now, xs, gates, hs, cs, W_x, W_h)
        return hs[1:], cs[-1].clone()

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs, dc):
        now, xs, gates, hs, cs, W_x, W_h = ctx.saved_tensors
        da, db = torch.empty_like(gates), gates.new_zeros(len(xs), gates.shape[2])
        dc = dc.clone(memory_format=torch.contiguous_format)
        dh, kept = zeros(dc, len(W_h), len(W_h))
        arrays = *shared(dh, dc, kept), *incoming(dhs), *shared(gates, cs, da, db), mask(now)
        run_back(kernels.lstm_back, arrays, W_h, da, dh, ctx.needs_input_grad[2])
        dxs, dW_x = project_back(ctx, xs, W_x, da)
        return None, dxs, dh + kept, dc, dW_x, weight_gradient(hs[:-1], da), db.sum(0)


class GRULoop(Function):
    """h_t = (1 - z) n + z h_{t-1}, the reset gate after the product."""

    @staticmethod
    def forward(ctx, now, xs, h0, W_x, W_h, b, b_hn):
        gates, hs = project(xs, W_x), from_start(h0, len(xs))
        through, sums = torch.empty_like(hs[1:]), torch.empty_like(gates[0])
        arrays = *shared(gates, sums, b, b_hn, hs, through), mask(now)
        run_ahead(kernels.gru, arrays, W_h, hs, sums)
        ctx.save_for_backward(now, xs, gates, hs, through, W_x, W_h)
        return hs[1:]

    @staticmethod
    @first_derivative_only
    def backward(ctx, dhs):
        now, xs, gates, hs, through, W_x, W_h = ctx.saved_tensors
        T, _, H = through.shape
        dv, da_n, db = torch.empty_like(gates), torch.empty_like(through), hs.new_zeros(T, 4 * H)
        dh, kept = zeros(hs[0], H, H)
        arrays = *shared(dh, kept), *incoming(dhs), *shared(gates, hs, through, dv, da_n, db)
        run_back(kernels.gru_back, (*arrays, mask(now)), W_h, dv, dh, ctx.needs_input_grad[2])
        dW_h, by_part = weight_gradient(hs[:-1], dv), db.sum(0).view(4, H)
        dv[:, :, 2 * H :] = da_n  # what is left is the gradient of a
        dxs, dW_x = project_back(ctx, xs, W_x, dv)
        return None, dxs, dh + kept, dW_x, dW_h, by_part[[0, 1, 3]].flatten(), by_part[2]
