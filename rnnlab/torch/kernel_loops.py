"""The loops of ``fused.py`` compiled: a layer is one call, forward or back.

:mod:`rnnlab.kernels` works in memory that PyTorch and NumPy share, and calls the product that
PyTorch itself calls. Shapes: xs (B, T, I), ys (B, T, H); all else that is kept for the way back has
T first.
"""

import functools

import numpy as np
import torch
from torch.autograd import Function

from rnnlab import compiled
from rnnlab.torch.cells import GRUCell, LSTMCell, LSTMState
from rnnlab.torch.fused import by_onednn, first_derivative_only, product

__all__ = ["run"]


def run(cell, xs, state, valid=None):
    """As ``RNN.run``. T is at least 1, and the GRU is not the one that resets before."""
    weights = cell.W_x, cell.W_h, cell.b
    now = compiled.validity(None if valid is None else valid.numpy())
    if type(cell) is LSTMCell:
        ys, h, c = LSTMLoop.apply(now, xs, state.h, state.c, *weights)
        state = LSTMState(h, c)
    elif type(cell) is GRUCell:
        ys, state = GRULoop.apply(now, xs, state, *weights, cell.b_hn)
    else:
        ys, state = RNNLoop.apply(now, xs, state, *weights)
    # Past a row's length ys holds its last state: show 0.
    return ys if valid is None else ys * valid[:, :, None], state


def shared(*tensors):
    """The tensors' memory as NumPy arrays."""
    return [tensor.numpy(force=True) for tensor in tensors]


def whole(*tensors):
    """The same, each array contiguous."""
    return [np.ascontiguousarray(array) for array in shared(*tensors)]


def gemm_for(W_h, B):
    """The product for the loops. It takes as many threads as ``torch.set_num_threads`` says."""
    dtype = str(W_h.dtype).removeprefix("torch.")
    rounded = torch.get_float32_matmul_precision() != "highest"  # only PyTorch itself does that
    pytorchs = rounded or by_onednn(B * W_h.numel(), W_h)
    address = 0 if pytorchs else compiled.gemm_in(torch._C.__file__, dtype)
    return compiled.gemm_for(address, W_h.shape, B, by_python(dtype))


@functools.cache
def by_python(dtype):
    """The same where that is not found, is to round, or oneDNN's is sooner: ``fused.product``."""

    def multiply(*arrays):
        product(*map(torch.from_numpy, arrays))

    return compiled.address_of(multiply, dtype)


def outputs(ctx, now, xs, weights, gemm, hs, *others):
    """Keep what the way back needs, and give what the layer gives: ys (B, T, H), the last h."""
    states, *others = map(torch.from_numpy, (hs, *others))
    ctx.save_for_backward(xs, states, *others, *weights)
    ctx.set_materialize_grads(False)
    ctx.now, ctx.gemm = now, gemm
    return states[1:].transpose(0, 1), torch.from_numpy(hs[-1].copy())


def incoming(ctx, dys, *dlast):
    """What was kept, what arrives from outside, and the product: all that a loop back takes."""
    xs, hs, *others, W_x, W_h = shared(*ctx.saved_tensors)
    T, B, H = hs[1:].shape
    dys = np.zeros((B, T, H), hs.dtype) if dys is None else dys.numpy(force=True)
    dlast = [
        np.zeros((B, H), hs.dtype) if grad is None else grad.contiguous().numpy(force=True).copy()
        for grad in dlast
    ]
    weights = np.ascontiguousarray(W_x), np.ascontiguousarray(W_h)
    return dys, *dlast, xs, hs, *others, *weights, ctx.now, ctx.gemm, ctx.needs_input_grad[1:3]


def outgoing(ctx, *grads):
    """The gradients as tensors; none for ``now``, nor for what is not asked for."""
    asked = zip(grads, ctx.needs_input_grad[1:], strict=True)
    return None, *[torch.from_numpy(grad) if needed else None for grad, needed in asked]


class RNNLoop(Function):
    """h_t = tanh(a_t + h_{t-1} W_h)."""

    @staticmethod
    def forward(ctx, now, xs, h0, W_x, W_h, b):
        gemm = gemm_for(W_h, len(h0))
        kept = compiled.rnn(*shared(xs), *whole(h0, W_x, W_h, b), now, gemm)
        return outputs(ctx, now, xs, (W_x, W_h), gemm, *kept)

    @staticmethod
    @first_derivative_only
    def backward(ctx, dys, dh):
        return outgoing(ctx, *compiled.rnn_back(*incoming(ctx, dys, dh)))


class LSTMLoop(Function):
    """c_t = σ(f) c_{t-1} + σ(i) tanh(g), h_t = σ(o) tanh(c_t), from u = a_t + h_{t-1} W_h."""

    @staticmethod
    def forward(ctx, now, xs, h0, c0, W_x, W_h, b):
        gemm = gemm_for(W_h, len(h0))
        hs, cs, gates = compiled.lstm(*shared(xs), *whole(h0, c0, W_x, W_h, b), now, gemm)
        ys, h = outputs(ctx, now, xs, (W_x, W_h), gemm, hs, cs, gates)
        return ys, h, torch.from_numpy(cs[-1].copy())

    @staticmethod
    @first_derivative_only
    def backward(ctx, dys, dh, dc):
        return outgoing(ctx, *compiled.lstm_back(*incoming(ctx, dys, dh, dc)))


class GRULoop(Function):
    """h_t = (1 - z) n + z h_{t-1}, the reset gate after the product."""

    @staticmethod
    def forward(ctx, now, xs, h0, W_x, W_h, b, b_hn):
        gemm = gemm_for(W_h, len(h0))
        kept = compiled.gru(*shared(xs), *whole(h0, W_x, W_h, b, b_hn), now, gemm)
        return outputs(ctx, now, xs, (W_x, W_h), gemm, *kept)

    @staticmethod
    @first_derivative_only
    def backward(ctx, dys, dh):
        return outgoing(ctx, *compiled.gru_back(*incoming(ctx, dys, dh)))
