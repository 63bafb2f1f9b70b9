"""Cells: what one step of a recurrent network does, in TensorFlow.

Shapes: B rows in a batch, I input features, H units (the hidden size), G gates.
"""

import tensorflow as tf

from rnnlab import checks, init
from rnnlab.state import LSTMState

__all__ = ["GRUCell", "LSTMCell", "LSTMState", "RNNCell"]


def split(x, parts):
    """Cut the last axis into equal parts: (..., parts * H) -> parts tensors (..., H)."""
    return tf.split(x, parts, axis=-1)


def tensor(name, value):
    """A tensor; NumPy arrays and lists are taken over as they are."""
    if tf.is_tensor(value) or isinstance(value, tf.Variable):
        try:
            return tf.convert_to_tensor(value)
        except (ValueError, TypeError):
            raise TypeError(f"{name} must be a tensor of numbers, not sparse or ragged") from None
    return tf.constant(checks.array(name, value))


class Cell(tf.Module):
    """What all cells share: weights, the checks of what comes in, and the step in two halves.

    ``cell(x, state)`` is ``cell.step(cell.project(x), state)``. The first half needs no past, so
    a driver does it for all steps at once; only the second half has to wait for the state.
    """

    gates = 1

    def __init__(self, input_size, hidden_size, weights):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.weight_names = tuple(weights)
        for name, weight in weights.items():
            setattr(self, name, tf.Variable(weight, name=name))

    @property
    def dtype(self):
        """The dtype of the weights, by name: "float32" or "float64"."""
        return self.W_x.dtype.name

    def named_weights(self):
        """The weights by name: ``W_x``, ``W_h``, ``b``; not copied."""
        return {name: getattr(self, name) for name in self.weight_names}

    def __call__(self, x, state):
        """One step: inputs x (B, I) and a state -> output h (B, H) and the next state.

        Raises ValueError or TypeError if a shape, a dtype or the state does not fit.
        """
        x = tensor("x", x)
        checks.floats(
            "x",
            x.shape,
            x.dtype.name,
            expected=(None, self.input_size),
            axes="(B, I)",
            want_dtype=self.dtype,
        )
        state = self.check_state(state, x.shape[0])
        return self.step(self.project(x), state)

    def project(self, xs):
        """What inputs alone add to every gate: (..., I) -> (..., G*H)."""
        return tf.tensordot(xs, self.W_x, 1) + self.b

    def initial_state(self, batch_size):
        """The state before the first step: zeros (B, H)."""
        if tf.is_tensor(batch_size):  # as while TensorFlow traces a graph
            if batch_size.shape.rank not in (0, None) or not batch_size.dtype.is_integer:
                raise TypeError(f"batch_size must be a single whole number, got {batch_size!r}")
            if isinstance(batch_size, tf.Tensor) and tf.executing_eagerly():
                batch_size = int(batch_size)
        if not tf.is_tensor(batch_size):
            batch_size = checks.size("batch_size", batch_size, minimum=0)
        return tf.zeros((batch_size, self.hidden_size), self.dtype)

    def output(self, state):
        """What a state shows: its h (B, H)."""
        return state

    def check_state(self, state, batch_size):
        """The state as the cell takes it, (B, H); ValueError or TypeError if it does not fit."""
        return self._check_part("state", state, batch_size)

    def _check_part(self, name, part, batch_size):
        part = tensor(name, part)
        checks.floats(
            name,
            part.shape,
            part.dtype.name,
            expected=(batch_size, self.hidden_size),
            axes="(B, H)",
            want_dtype=self.dtype,
        )
        return part


class RNNCell(Cell):
    """One step of a vanilla recurrent cell (Elman 1990).

    With ``a = x W_x + b``, what the input adds:

        h' = tanh(a + h W_h)

    Called as ``h, state = cell(x, state)`` with x (B, I). State: h (B, H), also the output.
    Weights: ``W_x`` (I, H), ``W_h`` (H, H), ``b`` (H,).

    input_size, hidden_size: I features are read, H units give the output; both at least 1.
    seed: an int of at least 0, of the initial weights: the same in the three notations.
    dtype: "float32" or "float64": of the weights, of what goes in and of what comes out.
    Raises ValueError or TypeError if an argument is not as said here.

    >>> from rnnlab.tensorflow import RNNCell
    >>> from rnnlab.text import one_hot
    >>> cell = RNNCell(input_size=4, hidden_size=2, seed=0)
    >>> h, state = cell(one_hot("h", vocabulary="helo"), cell.initial_state(batch_size=1))
    >>> tuple(h.shape), tuple(state.shape)
    ((1, 2), (1, 2))
    """

    def __init__(self, input_size, hidden_size, *, seed=0, dtype="float32"):
        weights = init.rnn_cell(input_size, hidden_size, seed=seed, dtype=dtype)
        super().__init__(input_size, hidden_size, weights)

    def step(self, a, state):
        """Projected input a (B, H), state h (B, H) -> output, next state."""
        h = tf.tanh(a + state @ self.W_h)
        return h, h


class LSTMCell(Cell):
    """One step of a long short-term memory cell (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    With ``a = x W_x + b`` and ``u = a + h W_h``, split into the gates i, f, g, o:

        c' = σ(f) c + σ(i) tanh(g)      what is kept, plus what is written
        h' = σ(o) tanh(c')              what is shown

    Called as ``h, state = cell(x, state)`` with x (B, I). State: ``LSTMState(h, c)``, both (B, H);
    its h is the output. Weights: ``W_x`` (I, 4H), ``W_h`` (H, 4H), ``b`` (4H,), its forget part
    starting at 1.

    input_size, hidden_size: I features are read, H units give the output; both at least 1.
    seed: an int of at least 0, of the initial weights: the same in the three notations.
    dtype: "float32" or "float64": of the weights, of what goes in and of what comes out.
    Raises ValueError or TypeError if an argument is not as said here.

    >>> from rnnlab.tensorflow import LSTMCell
    >>> from rnnlab.text import one_hot
    >>> cell = LSTMCell(input_size=4, hidden_size=2, seed=0)
    >>> h, state = cell(one_hot("h", vocabulary="helo"), cell.initial_state(batch_size=1))
    >>> tuple(h.shape), tuple(state.c.shape)
    ((1, 2), (1, 2))
    """

    gates = 4

    def __init__(self, input_size, hidden_size, *, seed=0, dtype="float32"):
        weights = init.lstm_cell(input_size, hidden_size, seed=seed, dtype=dtype)
        super().__init__(input_size, hidden_size, weights)

    def initial_state(self, batch_size):
        """The state before the first step: zeros, ``LSTMState(h, c)``, both (B, H)."""
        zeros = super().initial_state
        return LSTMState(zeros(batch_size), zeros(batch_size))

    def output(self, state):
        """What a state shows: its h (B, H)."""
        return state.h

    def check_state(self, state, batch_size):
        """The state as ``LSTMState``; ValueError or TypeError if it does not fit."""
        h, c = checks.lstm_state(state)
        return LSTMState(
            self._check_part("state.h", h, batch_size),
            self._check_part("state.c", c, batch_size),
        )

    def step(self, a, state):
        """Projected input a (B, 4H), state -> output h (B, H), next state."""
        h, c = state
        i, f, g, o = split(a + h @ self.W_h, 4)  # (B, 4H) -> 4 x (B, H)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(c)
        return h, LSTMState(h, c)


class GRUCell(Cell):
    """One step of a gated recurrent unit (Cho et al. 2014).

    With ``a = x W_x + b`` and ``u = h W_h``, both split into r, z, n:

        r = σ(a_r + u_r),  z = σ(a_z + u_z)
        n = tanh(a_n + r (u_n + b_hn))          reset after the product (PyTorch, Keras)
        n = tanh(a_n + (r h) W_hn)              reset before it (Cho et al., TF1)
        h' = (1 - z) n + z h

    Called as ``h, state = cell(x, state)`` with x (B, I). State: h (B, H), also the output.
    Weights: ``W_x`` (I, 3H), ``W_h`` (H, 3H), ``b`` (3H,), and ``b_hn`` (H,) if ``reset_after``.

    input_size, hidden_size: I features are read, H units give the output; both at least 1.
    reset_after: where r acts: after the product with ``W_h``, or before it.
    seed: an int of at least 0, of the initial weights: the same in the three notations.
    dtype: "float32" or "float64": of the weights, of what goes in and of what comes out.
    Raises ValueError or TypeError if an argument is not as said here.

    >>> from rnnlab.tensorflow import GRUCell
    >>> from rnnlab.text import one_hot
    >>> cell = GRUCell(input_size=4, hidden_size=2, seed=0)
    >>> h, state = cell(one_hot("h", vocabulary="helo"), cell.initial_state(batch_size=1))
    >>> tuple(h.shape), tuple(state.shape)
    ((1, 2), (1, 2))
    """

    gates = 3

    def __init__(self, input_size, hidden_size, *, reset_after=True, seed=0, dtype="float32"):
        reset_after = checks.flag("reset_after", reset_after)
        weights = init.gru_cell(
            input_size, hidden_size, reset_after=reset_after, seed=seed, dtype=dtype
        )
        super().__init__(input_size, hidden_size, weights)
        self.reset_after = reset_after

    def step(self, a, state):
        """Projected input a (B, 3H), state h (B, H) -> output, next state."""
        h, H = state, self.hidden_size
        a_r, a_z, a_n = split(a, 3)
        if self.reset_after:
            u_r, u_z, u_n = split(h @ self.W_h, 3)
        else:
            u_r, u_z = split(h @ self.W_h[:, : 2 * H], 2)
        r, z = tf.sigmoid(a_r + u_r), tf.sigmoid(a_z + u_z)
        if self.reset_after:
            n = tf.tanh(a_n + r * (u_n + self.b_hn))
        else:
            n = tf.tanh(a_n + (r * h) @ self.W_h[:, 2 * H :])
        h = (1 - z) * n + z * h
        return h, h
