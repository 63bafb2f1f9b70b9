"""Layers: what runs a cell over time, and what is built of such layers, in PyTorch.

Every layer is called in the same way, so composition is the architecture:

    ys, state = layer(xs, state=None, lengths=None)

Shapes: B rows, T steps, I input features, H units; xs (B, T, I), ys (B, T, H), lengths (B,).
"""

import math

import torch
from torch import nn

from rnnlab import checks, init
from rnnlab.layer_help import explained
from rnnlab.state import mapped
from rnnlab.torch import fused
from rnnlab.torch.cells import GRUCell, LSTMCell, RNNCell, dtype_name, tensor
from rnnlab.weights import check_weights

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "SimpleRNN",
    "Stack",
    "get_weights",
    "set_weights",
]


class Layer(nn.Module):
    """What all layers share: the call, with its checks.

    A layer has ``input_size``, ``output_size`` and ``dtype``, its own ``initial_state``,
    ``check_state`` and ``last_output``, and its own way through the steps, without checks: ``run``.
    NumPy finds no gradients by itself; there a layer also has ``record``, which runs and keeps what
    the way back needs, and ``backward``, backpropagation through time (Werbos 1990).
    """

    def forward(self, xs, state=None, lengths=None):
        """Run over a batch: xs (B, T, I) -> outputs ys (B, T, H) and the state after the last step.

        state: the state to start from; ``None`` starts from ``initial_state(B)``.
        lengths: (B,) ints, 0 <= length <= T, the valid steps of each row; ``None``: all of them.
            Outputs past the length are 0, the state is the one after the last valid step, and
            what stands in the padding changes nothing.
        Raises ValueError or TypeError if a shape, a dtype, a length or the state does not fit, or
        if xs holds NaN or infinity at a valid step.
        """
        like = None if isinstance(xs, torch.Tensor) else next(self.parameters())
        xs = tensor("xs", xs, like)
        checks.floats(
            "xs",
            xs.shape,
            dtype_name(xs),
            expected=(None, None, self.input_size),
            axes="(B, T, I)",
            want_dtype=self.dtype,
        )
        B, T, _ = xs.shape
        valid = None
        if lengths is not None:
            if isinstance(lengths, torch.Tensor):
                lengths = tensor("lengths", lengths).cpu()
            valid = mask(checks.lengths(lengths, B, T), T, xs.device)
        if not math.isfinite(xs.detach().sum().item()):  # one pass; more only if need be
            bad = ~torch.isfinite(xs.detach())
            bad = bad if valid is None else bad & valid[:, :, None]
            checks.finite("xs", bad.nonzero().tolist())
        state = self.initial_state(B) if state is None else self.check_state(state, B)
        if valid is not None:  # zeros, so that not even NaN in the padding can reach a product
            xs = torch.where(valid[:, :, None], xs, 0.0)
        return self.run(xs, state, valid)


def mask(lengths, steps, device):
    """Lengths (B,) -> (B, T) booleans, True at the valid steps."""
    lengths = torch.as_tensor(lengths, device=device)
    return torch.arange(steps, device=device) < lengths[:, None]


def keep(valid, new, old):
    """The new state in rows where ``valid`` (B,) holds, the old one elsewhere, part by part."""
    if isinstance(new, tuple):
        return type(new)(*(keep(valid, n, o) for n, o in zip(new, old, strict=True)))
    return torch.where(valid[:, None], new, old)


def detached(state):
    """The same numbers without their history: no gradient flows back through them."""
    return mapped(torch.Tensor.detach, state)


class RNN(Layer):
    """The driver: unfolds any cell over time. The same weights serve every step.

        ys, state = layer(xs, state=None, lengths=None)       xs (B, T, I) -> ys (B, T, H)

    cell: an ``RNNCell``, ``LSTMCell``, ``GRUCell`` or one like them: what ``project``, ``step``,
        ``initial_state`` and ``check_state`` do is its affair. The state is the cell's.
    by_hand: whether to take the quick loop, where there is one for the cell (a class of your own
        has none): in PyTorch and TensorFlow it is one operation, whose backward pass is written by
        hand; in NumPy it works in place. ``False``: the cell's own ``step``, in PyTorch and
        TensorFlow with autograd; the same numbers, slower, but with second derivatives.
    Raises TypeError if cell is no cell or by_hand no bool.

    >>> from rnnlab.torch import RNN, LSTMCell
    >>> from rnnlab.text import one_hot
    >>> layer = RNN(LSTMCell(input_size=4, hidden_size=2, seed=0))
    >>> ys, state = layer(one_hot(["hello", "eolll"], vocabulary="helo"), lengths=[5, 3])
    >>> tuple(ys.shape), tuple(state.h.shape)
    ((2, 5, 2), (2, 2))
    """

    def __init__(self, cell, *, by_hand=True):
        super().__init__()
        self.cell = checks.instance(
            "cell", cell, "step", "a cell such as LSTMCell(4, 2)", *checks.CELL
        )
        self.input_size, self.output_size = cell.input_size, cell.hidden_size
        self.by_hand = checks.flag("by_hand", by_hand)

    @property
    def dtype(self):
        """The dtype of the weights, by name."""
        return self.cell.dtype

    def initial_state(self, batch_size):
        """The state before the first step: the cell's, zeros."""
        return self.cell.initial_state(batch_size)

    def check_state(self, state, batch_size):
        """The state in the cell's form; ValueError or TypeError if it does not fit."""
        return self.cell.check_state(state, batch_size)

    def last_output(self, state):
        """What the state shows: the output at each row's last valid step, (B, H).

        A row of length 0 shows the state it started from.
        """
        return self.cell.output(state)

    def run(self, xs, state, valid=None):
        """Forward without checks: -> ys, state.

        ``valid`` (B, T) says which steps count; ``None``: all. Padded steps of xs must be finite.
        """
        if self.by_hand and xs.shape[1] > 0 and fused.serves(self.cell):
            return fused.run(self.cell, xs, state, valid)
        a = self.cell.project(xs)  # (B, T, I) -> (B, T, G*H), all steps at once
        ys = []
        for t, a_t in enumerate(a.unbind(dim=1)):
            h, new = self.cell.step(a_t, state)
            if valid is not None:
                new = keep(valid[:, t], new, state)
                h = torch.where(valid[:, t, None], h, 0.0)
            ys.append(h)
            state = new
        if not ys:
            return xs.new_zeros(xs.shape[0], 0, self.output_size), state
        return torch.stack(ys, dim=1), state


class Stack(Layer):
    """Layers one upon the other: each reads the outputs of the one below, step by step.

        ys, state = layer(xs, state=None, lengths=None)       xs (B, T, I) -> ys (B, T, H)

    layers: a list of layers, the lowest first: I is what the first one reads, H what the last one
        gives. The state is the tuple of theirs, in this order.
    Raises TypeError if layers is no list of layers; ValueError if it is empty, if the sizes or
    dtypes of neighbours do not fit, or if one layer or cell is in it twice (its weights would be
    shared).

    >>> from rnnlab.torch import RNN, RNNCell, Stack
    >>> from rnnlab.text import one_hot
    >>> deep = Stack([RNN(RNNCell(4, 3, seed=0)), RNN(RNNCell(3, 2, seed=1))])
    >>> ys, state = deep(one_hot(["hello"], vocabulary="helo"))
    >>> tuple(ys.shape), [tuple(h.shape) for h in state]
    ((1, 5, 2), [(1, 3), (1, 2)])
    """

    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(checks.stack(layers))
        self.input_size = self.layers[0].input_size
        self.output_size = self.layers[-1].output_size

    @property
    def dtype(self):
        """The dtype of the weights, by name."""
        return self.layers[0].dtype

    def initial_state(self, batch_size):
        """The state before the first step: a tuple, one layer's state each."""
        return tuple(layer.initial_state(batch_size) for layer in self.layers)

    def check_state(self, state, batch_size):
        """The tuple of the layers' states; ValueError or TypeError if it does not fit."""
        parts = checks.parts("state", state, len(self.layers), "one layer's state each")
        return tuple(
            layer.check_state(part, batch_size)
            for layer, part in zip(self.layers, parts, strict=True)
        )

    def last_output(self, state):
        """What the state shows: the output at each row's last valid step, (B, H).

        It is the top layer's.
        """
        return self.layers[-1].last_output(state[-1])

    def run(self, xs, state, valid=None):
        """Forward without checks: -> ys, state."""
        states = []
        for layer, part in zip(self.layers, state, strict=True):
            xs, part = layer.run(xs, part, valid)
            states.append(part)
        return xs, tuple(states)


class Bidirectional(Layer):
    """Two layers over the same inputs, one from each end (Schuster & Paliwal 1997).

        ys, (forward, backward) = layer(xs, state=None, lengths=None)

    with xs (B, T, I) and ys (B, T, fwd H + bwd H), the outputs of both side by side.

    fwd, bwd: two layers that read I features. fwd reads each row from its first step to its last
        valid one, bwd the other way; its outputs are put back in order. So the second state is
        the one after the row's *first* step.
    Raises TypeError if one is no layer; ValueError if their inputs or dtypes differ, or if both
    are the same layer (its weights would be shared).

    >>> from rnnlab.torch import RNN, Bidirectional, RNNCell
    >>> from rnnlab.text import one_hot
    >>> both = Bidirectional(RNN(RNNCell(4, 2, seed=0)), RNN(RNNCell(4, 2, seed=1)))
    >>> ys, (fwd, bwd) = both(one_hot(["hello"], vocabulary="helo"))
    >>> tuple(ys.shape), tuple(fwd.shape), tuple(bwd.shape)
    ((1, 5, 4), (1, 2), (1, 2))
    """

    def __init__(self, fwd, bwd):
        super().__init__()
        self.fwd, self.bwd = checks.directions(fwd, bwd)
        self.input_size = fwd.input_size
        self.output_size = fwd.output_size + bwd.output_size

    @property
    def dtype(self):
        """The dtype of the weights, by name."""
        return self.fwd.dtype

    def initial_state(self, batch_size):
        """The states before the first step of each direction: a pair."""
        return self.fwd.initial_state(batch_size), self.bwd.initial_state(batch_size)

    def check_state(self, state, batch_size):
        """The pair of the directions' states; ValueError or TypeError if it does not fit."""
        fwd, bwd = checks.parts("state", state, 2, "the forward and the backward layer's state")
        return (
            self.fwd.check_state(fwd, batch_size),
            self.bwd.check_state(bwd, batch_size),
        )

    def last_output(self, state):
        """What the state shows, (B, fwd H + bwd H): for each direction, the last step *it* read.

        So the backward half is the output at the row's first step.
        """
        ahead, back = self.fwd.last_output(state[0]), self.bwd.last_output(state[1])
        return torch.cat([ahead, back], dim=-1)

    def run(self, xs, state, valid=None):
        """Forward without checks: -> ys, state."""
        turned = reversal(xs, valid)
        ahead, fwd = self.fwd.run(xs, state[0], valid)
        back, bwd = self.bwd.run(reverse(xs, turned), state[1], valid)
        return torch.cat([ahead, reverse(back, turned)], dim=-1), (fwd, bwd)


def reversal(xs, valid=None):
    """For each row, the order (B, T) that reverses its valid part and leaves the padding."""
    B, T, _ = xs.shape
    t = torch.arange(T, device=xs.device).expand(B, T)
    last = T if valid is None else valid.sum(dim=1, keepdim=True)
    return torch.where(t < last, last - 1 - t, t)


def reverse(xs, order):
    """Take the steps of each row in the given order; the same order again undoes it."""
    return torch.gather(xs, 1, order[:, :, None].expand_as(xs))


def build(cell_class, input_size, hidden_size, num_layers, bidirectional, seed, options):
    """The usual stacks, as ``torch.nn`` and Keras build them: see :func:`LSTM`."""
    num_layers = checks.size("num_layers", num_layers)
    bidirectional = checks.flag("bidirectional", bidirectional)
    hidden_size = checks.size("hidden_size", hidden_size)
    width = hidden_size * 2 if bidirectional else hidden_size
    layers = []
    levels = init.children(seed, num_layers) if num_layers > 1 else [seed]
    for k, level in enumerate(levels):
        size = input_size if k == 0 else width
        seeds = init.children(level, 2) if bidirectional else [level]
        rows = [RNN(cell_class(size, hidden_size, seed=s, **options)) for s in seeds]
        layers.append(Bidirectional(*rows) if bidirectional else rows[0])
    return Stack(layers) if num_layers > 1 else layers[0]


@explained
def SimpleRNN(
    input_size, hidden_size, num_layers=1, bidirectional=False, *, seed=0, dtype="float32"
):
    """Vanilla recurrent layers: what ``torch.nn.RNN`` and ``keras.layers.SimpleRNN`` compute.

    One layer is ``RNN(RNNCell(I, H))``: ``h' = tanh(x W_x + b + h W_h)`` at each step (Elman 1990;
    see :class:`RNNCell`). Its state is h (B, H).

    >>> from rnnlab.torch import SimpleRNN
    >>> from rnnlab.text import one_hot
    >>> layer = SimpleRNN(4, 2)
    >>> xs = one_hot(["hello", "holeh"], vocabulary="helo")  # (2, 5, 4)
    >>> ys, state = layer(xs, lengths=[5, 4])
    >>> tuple(ys.shape), tuple(state.shape)
    ((2, 5, 2), (2, 2))
    >>> bool(ys[1, 4, 0] == 0)  # padding
    True
    >>> ys, state = layer(xs, state)  # go on from there
    """
    options = {"dtype": dtype}
    return build(RNNCell, input_size, hidden_size, num_layers, bidirectional, seed, options)


@explained
def LSTM(input_size, hidden_size, num_layers=1, bidirectional=False, *, seed=0, dtype="float32"):
    """Long short-term memory layers: what ``torch.nn.LSTM`` and ``keras.layers.LSTM`` compute.

    One layer is ``RNN(LSTMCell(I, H))`` (Hochreiter & Schmidhuber 1997, with the forget gate of
    Gers et al. 2000; see :class:`LSTMCell`). Its state is the pair ``LSTMState(h, c)``, both
    (B, H): h is shown, c is kept. The gates are i f g o, in the order of PyTorch and Keras; the
    forget bias starts at 1, as in Keras, but not in PyTorch.

    >>> from rnnlab.torch import LSTM
    >>> from rnnlab.text import one_hot
    >>> layer = LSTM(4, 2, num_layers=2)
    >>> xs = one_hot(["hello", "holeh"], vocabulary="helo")  # (2, 5, 4)
    >>> ys, state = layer(xs, lengths=[5, 4])
    >>> tuple(ys.shape), [tuple(s.c.shape) for s in state]
    ((2, 5, 2), [(2, 2), (2, 2)])
    >>> bool(ys[1, 4, 0] == 0)  # padding
    True
    >>> ys, state = layer(xs, state)  # go on from there
    """
    options = {"dtype": dtype}
    return build(LSTMCell, input_size, hidden_size, num_layers, bidirectional, seed, options)


@explained
def GRU(
    input_size,
    hidden_size,
    num_layers=1,
    bidirectional=False,
    *,
    reset_after=True,
    seed=0,
    dtype="float32",
):
    """Gated recurrent units: what ``torch.nn.GRU`` and ``keras.layers.GRU`` compute.

    One layer is ``RNN(GRUCell(I, H))`` (Cho et al. 2014; see :class:`GRUCell`). Its state is h
    (B, H). The gates are r z n, in PyTorch's order; Keras has z r n.

    reset_after: whether r acts after the product with ``W_h``, as in PyTorch and by default in
        Keras; there n has a bias of its own inside, ``b_hn`` (H,). ``False``: before, as in the
        paper and in TensorFlow 1; ``torch.nn.GRU`` cannot do that.

    >>> from rnnlab.torch import GRU
    >>> from rnnlab.text import one_hot
    >>> layer = GRU(4, 2, bidirectional=True)
    >>> xs = one_hot(["hello", "holeh"], vocabulary="helo")  # (2, 5, 4)
    >>> ys, (fwd, bwd) = layer(xs, lengths=[5, 4])
    >>> tuple(ys.shape), tuple(fwd.shape)
    ((2, 5, 4), (2, 2))
    >>> bool(ys[1, 4, 0] == 0)  # padding
    True
    >>> ys, state = layer(xs, (fwd, bwd))  # go on from there
    """
    options = {"reset_after": reset_after, "dtype": dtype}
    return build(GRUCell, input_size, hidden_size, num_layers, bidirectional, seed, options)


def weights_of(name, part):
    """The weights of a cell, layer or model by dotted name, not copied; TypeError if it is none."""
    wanted = "a cell, layer or model of rnnlab.torch"
    if not isinstance(part, nn.Module):
        checks.instance(name, part, "named_parameters", wanted)
        raise TypeError(f"{name} must be {wanted}, got one of another notation")
    return dict(part.named_parameters())


def get_weights(layer):
    """A copy of all weights of a cell, layer or model: dict of NumPy arrays by dotted name.

    A cell has ``W_x`` (I, G*H), ``W_h`` (H, G*H) and ``b`` (G*H,) for G gates; before these names
    stands where the cell is: ``cell.``, ``layers.0.cell.``, ``fwd.cell.``, ``bwd.layers.1.cell.``.

    >>> from rnnlab.torch import LSTM, get_weights
    >>> {name: w.shape for name, w in get_weights(LSTM(4, 2)).items()}
    {'cell.W_x': (4, 8), 'cell.W_h': (2, 8), 'cell.b': (8,)}
    """
    return {name: w.detach().cpu().numpy().copy() for name, w in weights_of("layer", layer).items()}


def set_weights(layer, weights):
    """Copy weights into a cell, layer or model: all of them, or (on an error) none.

    layer: what they go into; it is changed in place.
    weights: dict of arrays as :func:`get_weights` gives it, from any of the three notations.
    Raises ValueError if a name is missing or unknown, a shape differs or a value is not finite;
    TypeError if a dtype differs.

    >>> from rnnlab.torch import LSTM, get_weights, set_weights
    >>> one, other = LSTM(4, 2, seed=0), LSTM(4, 2, seed=1)
    >>> set_weights(other, get_weights(one))
    >>> bool((get_weights(other)["cell.W_x"] == get_weights(one)["cell.W_x"]).all())
    True
    """
    named = weights_of("layer", layer)
    with torch.no_grad():
        for name, value in check_weights(weights, get_weights(layer)).items():
            named[name].copy_(tensor(name, value))
