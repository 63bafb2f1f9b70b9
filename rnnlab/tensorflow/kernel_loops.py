"""The loops of ``fused.py`` compiled by numba: a layer is one operation, forward or back.

A graph calls Python for it, which calls :mod:`rnnlab.kernels`. So there is little to trace, and a
small model has been trained before the graph of all its operations would have been written. XLA
cannot compile such a call, and a GPU would wait for it; ``fused.py`` says when it is made.
"""

from functools import partial

import numpy as np
import tensorflow as tf

from rnnlab import compiled
from rnnlab.tensorflow.cells import GRUCell, LSTMCell, LSTMState
from rnnlab.tensorflow.fused import NO_SECOND

__all__ = ["run"]


def run(cell, xs, state, valid=None):
    """As ``RNN.run``. T is at least 1, and the GRU is not the one that resets before."""
    weights = cell.W_x, cell.W_h, cell.b
    now = tf.zeros((0, 0), tf.bool) if valid is None else tf.transpose(valid)
    if type(cell) is LSTMCell:
        loops = compiled.lstm, compiled.lstm_back, 3
        ys, *last = whole(loops, now, xs, state, *weights)
        state = LSTMState(*last)
    elif type(cell) is GRUCell:
        loops = compiled.gru, compiled.gru_back, 3
        ys, state = whole(loops, now, xs, [state], *weights, cell.b_hn)
    else:
        loops = compiled.rnn, compiled.rnn_back, 1
        ys, state = whole(loops, now, xs, [state], *weights)
    # Past a row's length ys holds its last state: show 0.
    return ys if valid is None else ys * tf.cast(valid, ys.dtype)[:, :, None], state


def whole(loops, now, xs, start, W_x, W_h, *biases):
    """ys (B, T, H) and the parts of the last state, with gradients from the loop back.

    loops: the one ahead, the one back, and how many arrays it is given that the other has kept.
    """
    loop, loop_back, kept = loops
    parts, dtype = len(start), xs.dtype
    W_x, W_h = map(tf.convert_to_tensor, (W_x, W_h))
    # A state that is carried on is a constant, and its gradient takes a product.
    of_start = not all(is_constant(part) for part in start)

    @tf.custom_gradient
    def operation(*inputs):
        found = call(partial(ahead, loop, parts), [now, *inputs], [dtype] * (1 + parts + kept))
        ys, last, arrays = found[0], found[1 : 1 + parts], found[1 + parts :]
        ys.set_shape((*xs.shape[:2], W_h.shape[0]))
        for part, first in zip(last, start, strict=True):
            part.set_shape(first.shape)

        def back(*grads):
            given = [now, *grads, xs, *arrays, W_x, W_h]
            found = call(partial(behind, loop_back, parts, of_start), given, [dtype] * len(inputs))
            for grad, one in zip(found, inputs, strict=True):
                grad.set_shape(one.shape)
            return [tf.raw_ops.PreventGradient(input=g, message=NO_SECOND) for g in found]

        return (ys, *last), back

    return operation(xs, *start, W_x, W_h, *map(tf.convert_to_tensor, biases))


call = tf.numpy_function


def is_constant(part):
    """Whether a gradient of this part of a state would be dropped."""
    op = getattr(part, "op", None)  # outside a graph there is none, and one does not know
    return op is not None and op.type == "StopGradient"


def ahead(loop, parts, now, xs, *others):
    """NumPy's side of the way ahead: xs (B, T, I), the parts of the first state and the weights ->
    ys (B, T, H), the parts of the last state, and what the way back needs."""
    W_h = others[parts + 1]
    gemm = compiled.numpys_gemm(W_h.dtype.name, W_h.shape, len(xs))
    found = loop(xs, *others, now, gemm)
    ys = np.ascontiguousarray(found[0][1:].swapaxes(0, 1))
    return ys, *(states[-1] for states in found[:parts]), *found


def behind(loop_back, parts, of_start, now, dys, *arrays):
    """NumPy's side of the way back: the gradients of all that ``ahead`` was given but ``now``."""
    dlast, others = arrays[:parts], arrays[parts:]
    W_h, B = others[-1], len(dys)
    gemm = compiled.numpys_gemm(W_h.dtype.name, W_h.shape, B)
    dlast = [grad.copy() for grad in dlast]  # it is written into
    return loop_back(dys, *dlast, *others, now, gemm, (True, of_start))
