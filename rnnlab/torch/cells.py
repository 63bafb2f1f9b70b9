"""Cells: what one step of a recurrent network does, in PyTorch.

Shapes: B rows in a batch, I input features, H units (the hidden size), G gates.
"""

import torch
from torch import nn

from rnnlab import checks, init
from rnnlab.state import LSTMState

__all__ = ["GRUCell", "LSTMCell", "LSTMState", "RNNCell"]


def split(x, parts):
    """Cut the last axis into equal parts: (..., parts * H) -> parts tensors (..., H)."""
    return x.chunk(parts, dim=-1)


def tensor(name, value, like=None):
    """A tensor on the device of ``like``; NumPy arrays and lists are taken over as they are."""
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided or value.device.type == "meta":
            raise TypeError(f"{name} must be a tensor of numbers, not sparse and not on 'meta'")
        return value
    array = checks.array(name, value)
    if min(array.strides, default=0) < 0:
        array = array.copy()  # PyTorch has no negative strides
    try:
        return torch.tensor(array, device=None if like is None else like.device)
    except TypeError:
        raise TypeError(f"{name} must be numbers that PyTorch has, got {array.dtype}") from None


def to_numpy(value):
    """A tensor's numbers as an array; anything else as it is."""
    usable = isinstance(value, torch.Tensor) and value.dtype != torch.bfloat16
    return tensor("a tensor", value).detach().cpu().numpy() if usable else value


def dtype_name(x):
    """The dtype of a tensor by name, as NumPy would say it."""
    return str(x.dtype).removeprefix("torch.")


class Cell(nn.Module):
    """What all cells share: weights, the checks of what comes in, and the step in two halves.

    ``cell(x, state)`` is ``cell.step(cell.project(x), state)``. The first half needs no past, so
    a driver does it for all steps at once; only the second half has to wait for the state.
    """

    gates = 1

    def __init__(self, input_size, hidden_size, weights):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        for name, weight in weights.items():
            setattr(self, name, nn.Parameter(torch.from_numpy(weight)))

    @property
    def dtype(self):
        """The dtype of the weights, by name: "float32" or "float64"."""
        return dtype_name(self.W_x)

    def forward(self, x, state):
        """One step: inputs x (B, I) and a state -> output h (B, H) and the next state.

        Raises ValueError or TypeError if a shape, a dtype or the state does not fit.
        """
        x = tensor("x", x, self.W_x)
        checks.floats(
            "x",
            x.shape,
            dtype_name(x),
            expected=(None, self.input_size),
            axes="(B, I)",
            want_dtype=self.dtype,
        )
        state = self.check_state(state, x.shape[0])
        return self.step(self.project(x), state)

    def project(self, xs):
        """What inputs alone add to every gate: (..., I) -> (..., G*H)."""
        return xs @ self.W_x + self.b

    def initial_state(self, batch_size):
        """The state before the first step: zeros (B, H)."""
        batch_size = checks.size("batch_size", batch_size, minimum=0)
        return self.W_x.new_zeros(batch_size, self.hidden_size)

    def output(self, state):
        """What a state shows: its h (B, H)."""
        return state

    def check_state(self, state, batch_size):
        """The state as the cell takes it, (B, H); ValueError or TypeError if it does not fit."""
        return self._check_part("state", state, batch_size)

    def _check_part(self, name, part, batch_size):
        part = tensor(name, part, self.W_x)
        checks.floats(
            name,
            part.shape,
            dtype_name(part),
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

    >>> from rnnlab.torch import RNNCell
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
        h = torch.tanh(a + state @ self.W_h)
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

    >>> from rnnlab.torch import LSTMCell
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
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
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

    >>> from rnnlab.torch import GRUCell
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
        r, z = torch.sigmoid(a_r + u_r), torch.sigmoid(a_z + u_z)
        if self.reset_after:
            n = torch.tanh(a_n + r * (u_n + self.b_hn))
        else:
            n = torch.tanh(a_n + (r * h) @ self.W_h[:, 2 * H :])
        h = (1 - z) * n + z * h
        return h, h
