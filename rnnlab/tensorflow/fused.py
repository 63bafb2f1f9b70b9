"""The cells' loops over time with the backward pass written by hand: the same numbers, sooner.

A tape, led through ``tf.scan``, keeps every small tensor of every step. Here the whole loop is one
operation, and its way back uses what the mathematics allows: the local derivatives of all steps are
computed at once, the loop back holds little but the one product that has to wait, and the gradient
of ``W_h`` is a single product over all steps at the end. Both loops are ``tf.while_loop``, so a
graph has the same few nodes for any number of steps, and XLA can compile it.

The equations are those of ``rnnlab.numpy``'s ``step_back``; the tests hold both against the tape.
Shapes: T steps come first here; a (T, B, G*H), h (T, B, H).
"""

import contextlib
import functools

import tensorflow as tf

from rnnlab import compiled
from rnnlab.tensorflow.cells import GRUCell, LSTMCell, LSTMState, RNNCell, split

__all__ = ["run", "serves"]


def serves(cell):
    """Whether there is a loop for this cell here. A subclass may step otherwise, so: no."""
    return type(cell) in (RNNCell, LSTMCell, GRUCell)


def run(cell, xs, state, valid=None):
    """As ``RNN.run``: xs (B, T, I), valid (B, T) -> ys (B, T, H), state. T is at least 1."""
    loops = compiled_loops(cell)
    if loops is not None:
        return loops.run(cell, xs, state, valid)
    a = project(cell, time_first(xs))  # (T, B, I) -> (T, B, G*H)
    now = None if valid is None else tf.cast(tf.transpose(valid)[:, :, None], a.dtype)
    weights = [tf.convert_to_tensor(cell.W_h)]
    if type(cell) is GRUCell and cell.reset_after:
        loop, weights = gru_after, [*weights, tf.convert_to_tensor(cell.b_hn)]
    elif type(cell) is GRUCell:
        loop = gru_before
    else:
        loop = lstm if type(cell) is LSTMCell else vanilla
    start = tuple(state) if type(cell) is LSTMCell else (state,)
    if tf.executing_eagerly():  # a graph of its own: op by op the loop would take ten times as long
        graph = in_graph(loop, cell.hidden_size, cell.dtype, now is not None)
        hs, *last = graph(now, a, *start, *weights)
    else:
        hs, *last = through(loop, now, a, *start, *weights)
    state = LSTMState(*last) if type(cell) is LSTMCell else last[0]
    ys = hs if now is None else hs * now  # past a row's length h holds its last state: show 0
    return time_first(ys), state


calling = False


@contextlib.contextmanager
def calls():
    """What is traced inside calls numba's loops, where there are any: not for XLA."""
    global calling
    before, calling = calling, True
    try:
        yield
    finally:
        calling = before


def compiled_loops(cell):
    """The module of the compiled loops, where they can serve; else ``None``."""
    before = type(cell) is GRUCell and not cell.reset_after  # has no compiled loop
    if not calling or before or compiled.kernels() is None or tf.config.list_logical_devices("GPU"):
        return None
    from rnnlab.tensorflow import kernel_loops

    return kernel_loops


def through(loop, now, *tensors):
    """Apply a loop so that its gradients come from its own way back."""

    @tf.custom_gradient
    def whole(*tensors):
        outputs, back = loop(now, *tensors)

        def first_derivative_only(*grads):
            # A second derivative would be wrong without a word: what the loop kept is a constant
            # there. So it is refused.
            return [tf.raw_ops.PreventGradient(input=g, message=NO_SECOND) for g in back(*grads)]

        return outputs, first_derivative_only

    return whole(*tensors)


NO_SECOND = (
    "the hand-written backward pass has no second derivative; build the layer as "
    "RNN(cell, by_hand=False) to lead the tape through the loop"
)


def time_first(xs):
    """(B, T, ...) -> (T, B, ...), and back."""
    return tf.transpose(xs, (1, 0, 2))


def steps_of(xs):
    """T, a number where it is known while a graph is traced."""
    return xs.shape[0] or tf.shape(xs)[0]


def written_out(T):
    """Whether a graph shall hold each of T steps: a loop takes longer to trace than a few copies of
    its body."""
    return isinstance(T, int) and T <= FEW


FEW = 8  # steps


def by_step(*arrays):
    """Arrays (T, ...) as what ``array[t]`` takes the least time of."""
    return [tf.unstack(xs) if written_out(steps_of(xs)) else xs for xs in arrays]


def over_time(step, state, like, outputs, backwards=False):
    """Call ``step(t, state) -> state, outputs`` for every t: -> the last state, outputs (T, ...).

    like: (T, B, ...), for T and dtype. outputs: how many there are. The outputs of step t stand at
    t, in whichever direction the loop goes.
    """
    T = steps_of(like)
    if written_out(T):
        found = []
        for t in reversed(range(T)) if backwards else range(T):
            state, now = step(t, state)
            found.append(now)
        in_order = found[::-1] if backwards else found
        return state, [tf.stack(parts) for parts in zip(*in_order, strict=True)]
    arrays = [tf.TensorArray(like.dtype, size=T) for _ in range(outputs)]

    def body(k, state, arrays):
        t = T - 1 - k if backwards else k
        state, found = step(t, state)
        return k + 1, state, [array.write(t, x) for array, x in zip(arrays, found, strict=True)]

    _, state, arrays = tf.while_loop(
        lambda k, *_: k < T, body, (0, state, arrays), parallel_iterations=1
    )
    return state, [array.stack() for array in arrays]


def before(h0, hs):
    """The states before each step: (T, B, H)."""
    return tf.concat([h0[None], hs[:-1]], axis=0)


def hold(now, t, new, old):
    """Where step t is padding, the old state stays, to the bit."""
    return new if now is None else tf.where(now[t] > 0, new, old)


def counted(now, *derivatives):
    """Local derivatives, zero at padding: nothing is written there."""
    return derivatives if now is None else [d * now for d in derivatives]


def kept(now, factor):
    """What a step keeps of the old state: all of it at padding."""
    return factor if now is None else tf.where(now > 0, factor, tf.ones_like(factor))


def weight_gradient(inputs, dv):
    """The gradient of the weights between (T, B, H) and (T, B, G): one product over all."""
    flat = (tf.reshape(x, (-1, x.shape[-1])) for x in (inputs, dv))
    return product(*flat, transpose_a=True)


def product(x, W, transpose_a=False, transpose_b=False):
    """A product of two matrices, x (N, K) W (K, M) -> (N, M)."""
    if not rounding or x.dtype != tf.float32:
        return tf.matmul(x, W, transpose_a=transpose_a, transpose_b=transpose_b)
    x, W = (tf.cast(factor, tf.bfloat16) for factor in (x, W))
    return tf.raw_ops.BatchMatMulV3(x=x, y=W, adj_x=transpose_a, adj_y=transpose_b, Tout=tf.float32)


rounding = False


@contextlib.contextmanager
def rounded_products():
    """What is traced inside multiplies as PyTorch does with ``set_float32_matmul_precision``
    "medium": factors are rounded to bfloat16, and their products added up in float32. Only XLA can.
    """
    global rounding
    before, rounding = rounding, True
    try:
        yield
    finally:
        rounding = before


def project(cell, xs):
    """As the cell's own: (T, B, I) -> (T, B, G*H)."""
    if not rounding:
        return cell.project(xs)

    @tf.custom_gradient
    def whole(rows, W, b):
        def back(da):
            # As a product, for XLA takes several times as long to add up so many rows.
            db = product(tf.ones_like(da[:, :1]), da, transpose_a=True)[0]
            return product(da, W, transpose_b=True), product(rows, da, transpose_a=True), db

        return product(rows, W) + b, back

    rows = tf.reshape(xs, (-1, cell.input_size))  # (T*B, I)
    a = whole(rows, *map(tf.convert_to_tensor, (cell.W_x, cell.b)))
    return tf.reshape(a, (steps_of(xs), -1, a.shape[1]))


def vanilla(now, a, h0, W_h):
    """h_t = tanh(a_t + h_{t-1} W_h)."""
    (a_at,) = by_step(a)

    def forward(t, h):
        h = hold(now, t, tf.tanh(a_at[t] + product(h, W_h)), h)
        return h, [h]

    h, (hs,) = over_time(forward, h0, a, outputs=1)

    def back(dhs, dh):
        (local,) = counted(now, 1 - hs * hs)  # how h answers to its sum, at every step
        dhs, local = by_step(dhs, local)

        def backward(t, dh):
            dh += dhs[t]
            da = dh * local[t]
            passed = product(da, W_h, transpose_b=True)
            return passed if now is None else passed + dh * (1 - now[t]), [da]

        dh, (da,) = over_time(backward, dh, a, outputs=1, backwards=True)
        return da, dh, weight_gradient(before(h0, hs), da)

    return (hs, h), back


def lstm(now, a, h0, c0, W_h):
    """c_t = σ(f) c_{t-1} + σ(i) tanh(g), h_t = σ(o) tanh(c_t), from u = a_t + h_{t-1} W_h."""
    # tanh(g) = 2 σ(2g) - 1: with the block of g doubled, one σ serves the four gates.
    H = W_h.shape[0]
    double = tf.repeat(tf.constant([1, 1, 2, 1], a.dtype), H)
    (a_double,), W_double = by_step(a * double), W_h * double

    def forward(t, state):
        h, c = state
        gates = tf.sigmoid(a_double[t] + product(h, W_double))
        i, f, g, o = split(gates, 4)
        c_new = f * c + i * (2 * g - 1)
        h = hold(now, t, o * tf.tanh(c_new), h)
        c = hold(now, t, c_new, c)
        return (h, c), [h, c, gates]

    (h, c), (hs, cs, gates) = over_time(forward, (h0, c0), a, outputs=3)

    def back(dhs, dh, dc):
        i, f, g, o = split(gates, 4)
        g = 2 * g - 1
        tanh_c = tf.tanh(cs)
        # How u answers: i, f, g through c, and o through h; all steps at once.
        parts = [g * i * (1 - i), before(c0, cs) * f * (1 - f), i * (1 - g * g)]
        parts.append(tanh_c * o * (1 - o))
        local, c_by_h = counted(now, tf.concat(parts, axis=2), o * (1 - tanh_c * tanh_c))
        dhs, local, c_by_h, keep = by_step(dhs, local, c_by_h, kept(now, f))

        def backward(t, grads):
            dh, dc = grads
            dh += dhs[t]
            dc += dh * c_by_h[t]
            da = tf.concat([dc, dc, dc, dh], axis=1) * local[t]
            passed = product(da, W_h, transpose_b=True)
            passed = passed if now is None else passed + dh * (1 - now[t])
            return (passed, dc * keep[t]), [da]

        (dh, dc), (da,) = over_time(backward, (dh, dc), a, outputs=1, backwards=True)
        return da, dh, dc, weight_gradient(before(h0, hs), da)

    return (hs, h, c), back


def gru_after(now, a, h0, W_h, b_hn):
    """h_t = (1 - z) n + z h_{t-1}, the reset gate after the product."""
    H = W_h.shape[0]
    a_rz, a_n = by_step(a[:, :, : 2 * H], a[:, :, 2 * H :])

    def forward(t, h):
        u = product(h, W_h)
        rz = tf.sigmoid(a_rz[t] + u[:, : 2 * H])
        r, z = split(rz, 2)
        through = u[:, 2 * H :] + b_hn
        n = tf.tanh(a_n[t] + r * through)
        h = hold(now, t, n + z * (h - n), h)
        return h, [h, rz, n, through]

    h, (hs, rz, n, through) = over_time(forward, h0, a, outputs=4)

    def back(dhs, dh):
        r, z = split(rz, 2)  # (T, B, H)
        h_before = before(h0, hs)
        # How the sums answer to dh, at all steps; dv is the gradient of h W_h.
        by_n = (1 - z) * (1 - n * n)
        parts = [by_n * through * r * (1 - r), (h_before - n) * z * (1 - z), by_n * r]
        *parts, by_n = counted(now, *parts, by_n)
        local = tf.stack(parts, axis=2)  # (T, B, 3, H)
        dhs, local_at, keep = by_step(dhs, local, kept(now, z))

        def backward(t, dh):
            dh += dhs[t]
            dv = tf.reshape(dh[:, None] * local_at[t], (-1, 3 * H))
            return dh * keep[t] + product(dv, W_h, transpose_b=True), [dh]

        dh0, (dh,) = over_time(backward, dh, a, outputs=1, backwards=True)
        dv = tf.reshape(dh[:, :, None] * local, (steps_of(a), -1, 3 * H))
        da = tf.concat([dv[:, :, : 2 * H], dh * by_n], axis=2)
        db_hn = tf.reduce_sum(dv[:, :, 2 * H :], axis=(0, 1))
        return da, dh0, weight_gradient(h_before, dv), db_hn

    return (hs, h), back


def gru_before(now, a, h0, W_h):
    """h_t = (1 - z) n + z h_{t-1}, the reset gate before the product."""
    H = W_h.shape[0]
    a_rz, a_n = by_step(a[:, :, : 2 * H], a[:, :, 2 * H :])
    W_rz, W_n = W_h[:, : 2 * H], W_h[:, 2 * H :]

    def forward(t, h):
        rz = tf.sigmoid(a_rz[t] + product(h, W_rz))
        r, z = split(rz, 2)
        n = tf.tanh(a_n[t] + product(r * h, W_n))
        h = hold(now, t, n + z * (h - n), h)
        return h, [h, rz, n]

    h, (hs, rz, n) = over_time(forward, h0, a, outputs=3)

    def back(dhs, dh):
        r, z = split(rz, 2)  # (T, B, H)
        h_before = before(h0, hs)
        by_n, by_z = counted(now, (1 - z) * (1 - n * n), (h_before - n) * z * (1 - z))
        by_r = h_before * r * (1 - r)
        parts = by_step(dhs, by_n, by_z, by_r, r, kept(now, z))

        def backward(t, dh):
            dh_t, by_n, by_z, by_r, r, keep = (part[t] for part in parts)
            dh += dh_t
            da_n = dh * by_n
            d_reset = product(da_n, W_n, transpose_b=True)  # the gradient of r h
            da_rz = tf.concat([d_reset * by_r, dh * by_z], axis=1)
            passed = d_reset * r + product(da_rz, W_rz, transpose_b=True)
            return dh * keep + passed, [da_rz, da_n]

        dh0, (da_rz, da_n) = over_time(backward, dh, a, outputs=2, backwards=True)
        dW = [weight_gradient(h_before, da_rz), weight_gradient(r * h_before, da_n)]
        return tf.concat([da_rz, da_n], axis=2), dh0, tf.concat(dW, axis=1)

    return (hs, h), back


@functools.cache
def in_graph(loop, hidden_size, dtype, masked):
    """The loop as a graph of its own: traced once for a shape, once more for all others."""
    # As a partial each graph is counted alone; otherwise TensorFlow takes the first traces of five
    # layers for five traces of one, and warns.
    return tf.function(functools.partial(through, loop), reduce_retracing=True)
