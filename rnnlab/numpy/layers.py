"""Layers: what runs a cell over time, and what is built of such layers, in NumPy.

Every layer is called in the same way, so composition is the architecture:

    ys, state = layer(xs, state=None, lengths=None)

Shapes: B rows, T steps, I input features, H units; xs (B, T, I), ys (B, T, H), lengths (B,).
"""

import numpy as np

from rnnlab import checks, init
from rnnlab.layer_help import explained
from rnnlab.numpy import fused
from rnnlab.numpy.cells import GRUCell, LSTMCell, RNNCell
from rnnlab.weights import check_weights, prefixed

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


class Layer:
    """What all layers share: the call, with its checks.

    A layer has ``input_size``, ``output_size`` and ``dtype``, its own ``initial_state``,
    ``check_state`` and ``last_output``, and its own way through the steps, without checks: ``run``.
    NumPy finds no gradients by itself; there a layer also has ``record``, which runs and keeps what
    the way back needs, and ``backward``, backpropagation through time (Werbos 1990).
    """

    def __call__(self, xs, state=None, lengths=None):
        """Run over a batch: xs (B, T, I) -> outputs ys (B, T, H) and the state after the last step.

        state: the state to start from; ``None`` starts from ``initial_state(B)``.
        lengths: (B,) ints, 0 <= length <= T, the valid steps of each row; ``None``: all of them.
            Outputs past the length are 0, the state is the one after the last valid step, and
            what stands in the padding changes nothing.
        Raises ValueError or TypeError if a shape, a dtype, a length or the state does not fit, or
        if xs holds NaN or infinity at a valid step.
        """
        xs = checks.array("xs", xs)
        checks.floats(
            "xs",
            xs.shape,
            xs.dtype.name,
            expected=(None, None, self.input_size),
            axes="(B, T, I)",
            want_dtype=self.dtype,
        )
        B, T, _ = xs.shape
        valid = None if lengths is None else mask(checks.lengths(lengths, B, T), T)
        if not np.isfinite(xs).all():
            bad = ~np.isfinite(xs)
            checks.finite("xs", np.argwhere(bad if valid is None else bad & valid[:, :, None]))
        state = self.initial_state(B) if state is None else self.check_state(state, B)
        if valid is not None:  # zeros, so that not even NaN in the padding can reach a product
            xs = np.where(valid[:, :, None], xs, xs.dtype.type(0))
        return self.run(xs, state, valid)

    def run(self, xs, state, valid=None):
        """Forward without checks: -> ys, state."""
        ys, state, _ = self.record(xs, state, valid)
        return ys, state


def mask(lengths, steps):
    """Lengths (B,) -> (B, T) booleans, True at the valid steps."""
    return np.arange(steps) < np.asarray(lengths)[:, None]


def keep(valid, new, old):
    """The new state in rows where ``valid`` (B,) holds, the old one elsewhere, part by part."""
    if isinstance(new, tuple):
        return type(new)(*(keep(valid, n, o) for n, o in zip(new, old, strict=True)))
    return np.where(valid[:, None], new, old)


def scaled(state, factor):
    """A state with each of its parts multiplied: ``scaled(s, 0)`` has the form of s, in zeros."""
    if isinstance(state, tuple):
        return type(state)(*(scaled(part, factor) for part in state))
    return state * factor


def added(one, other):
    """The sum of two states of one form, part by part."""
    if isinstance(one, tuple):
        return type(one)(*(added(x, y) for x, y in zip(one, other, strict=True)))
    return one + other


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

    >>> from rnnlab.numpy import RNN, LSTMCell
    >>> from rnnlab.text import one_hot
    >>> layer = RNN(LSTMCell(input_size=4, hidden_size=2, seed=0))
    >>> ys, state = layer(one_hot(["hello", "eolll"], vocabulary="helo"), lengths=[5, 3])
    >>> tuple(ys.shape), tuple(state.h.shape)
    ((2, 5, 2), (2, 2))
    """

    def __init__(self, cell, *, by_hand=True):
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

    def last_output_back(self, dh):
        """Backwards through :meth:`last_output`: dL/d(last output) -> dL/d(state)."""
        return self.cell.output_back(dh)

    def named_weights(self):
        """The weights by dotted name: ``cell.W_x`` and so on."""
        return prefixed("cell", self.cell.named_weights())

    def run(self, xs, state, valid=None):
        """Forward without checks: -> ys, state.

        ``valid`` (B, T) says which steps count; ``None``: all. Padded steps of xs must be finite.
        """
        quick = self.by_hand and xs.shape[1] > 0 and fused.serves(self.cell)
        if quick and type(self).record is RNN.record:  # a subclass may go through time otherwise
            return fused.run(self.cell, xs, state, valid)
        return super().run(xs, state, valid)

    def record(self, xs, state, valid=None):
        """Forward, keeping a tape for :meth:`backward`: -> ys, state, tape.

        ``valid`` (B, T) says which steps count; ``None``: all. Padded steps of xs must be finite.
        """
        B, T, _ = xs.shape
        a = self.cell.project(xs)  # (B, T, I) -> (B, T, G*H), all steps at once
        states = [state]
        ys = np.zeros((B, T, self.output_size), self.dtype)
        for t in range(T):
            h, new = self.cell.step(a[:, t], states[-1])
            if valid is not None:
                new = keep(valid[:, t], new, states[-1])
                h = np.where(valid[:, t, None], h, h.dtype.type(0))
            ys[:, t] = h
            states.append(new)
        return ys, states[-1], (xs, a, states, valid)

    def backward(self, tape, dys, dstate=None):
        """Backpropagation through time: dL/d(ys, state) -> dL/d(xs, first state, weights).

        The loop carries the state's gradient back through the steps. The weights' gradients wait
        until it is done, and are then one product each over all rows and steps.
        """
        xs, a, states, valid = tape
        B, T, _ = xs.shape
        dstate = scaled(states[-1], 0) if dstate is None else dstate
        da = np.zeros_like(a)
        for t in reversed(range(T)):
            dh = dys[:, t]
            if valid is None:
                da[:, t], dstate = self.cell.step_back(a[:, t], states[t], dh, dstate)
            else:  # a padded step hands its state's gradient on as it is, and passes no other
                now = valid[:, t]
                dh = np.where(now[:, None], dh, dh.dtype.type(0))
                nothing = scaled(dstate, 0)
                da[:, t], before = self.cell.step_back(
                    a[:, t], states[t], dh, keep(now, dstate, nothing)
                )
                dstate = added(before, keep(now, nothing, dstate))
        outputs = [self.cell.output(state) for state in states[:-1]]
        h = np.stack(outputs, axis=1) if T else np.zeros((B, 0, self.output_size), self.dtype)
        grads = self.cell.weight_grads(*(x.reshape(B * T, x.shape[-1]) for x in (xs, h, a, da)))
        return da @ self.cell.W_x.T, dstate, prefixed("cell", grads)


class Stack(Layer):
    """Layers one upon the other: each reads the outputs of the one below, step by step.

        ys, state = layer(xs, state=None, lengths=None)       xs (B, T, I) -> ys (B, T, H)

    layers: a list of layers, the lowest first: I is what the first one reads, H what the last one
        gives. The state is the tuple of theirs, in this order.
    Raises TypeError if layers is no list of layers; ValueError if it is empty, if the sizes or
    dtypes of neighbours do not fit, or if one layer or cell is in it twice (its weights would be
    shared).

    >>> from rnnlab.numpy import RNN, RNNCell, Stack
    >>> from rnnlab.text import one_hot
    >>> deep = Stack([RNN(RNNCell(4, 3, seed=0)), RNN(RNNCell(3, 2, seed=1))])
    >>> ys, state = deep(one_hot(["hello"], vocabulary="helo"))
    >>> tuple(ys.shape), [tuple(h.shape) for h in state]
    ((1, 5, 2), [(1, 3), (1, 2)])
    """

    def __init__(self, layers):
        self.layers = checks.stack(layers)
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

    def last_output_back(self, dh):
        """Backwards through :meth:`last_output`: dL/d(last output) -> dL/d(state)."""
        return (*[None] * (len(self.layers) - 1), self.layers[-1].last_output_back(dh))

    def named_weights(self):
        """The weights by dotted name: ``layers.0.cell.W_x`` and so on."""
        named = {}
        for k, layer in enumerate(self.layers):
            named |= prefixed(f"layers.{k}", layer.named_weights())
        return named

    def run(self, xs, state, valid=None):
        """Forward without checks: -> ys, state."""
        states = []
        for layer, part in zip(self.layers, state, strict=True):
            xs, part = layer.run(xs, part, valid)
            states.append(part)
        return xs, tuple(states)

    def record(self, xs, state, valid=None):
        """Forward, keeping a tape for :meth:`backward`: -> ys, state, tape."""
        states, tapes = [], []
        for layer, part in zip(self.layers, state, strict=True):
            xs, part, tape = layer.record(xs, part, valid)
            states.append(part)
            tapes.append(tape)
        return xs, tuple(states), tapes

    def backward(self, tape, dys, dstate=None):
        """Backpropagation through time: dL/d(ys, state) -> dL/d(xs, first state, weights)."""
        dstate = [None] * len(self.layers) if dstate is None else list(dstate)
        named = {}
        for k in reversed(range(len(self.layers))):
            dys, dstate[k], grads = self.layers[k].backward(tape[k], dys, dstate[k])
            named = prefixed(f"layers.{k}", grads) | named
        return dys, tuple(dstate), named


class Bidirectional(Layer):
    """Two layers over the same inputs, one from each end (Schuster & Paliwal 1997).

        ys, (forward, backward) = layer(xs, state=None, lengths=None)

    with xs (B, T, I) and ys (B, T, fwd H + bwd H), the outputs of both side by side.

    fwd, bwd: two layers that read I features. fwd reads each row from its first step to its last
        valid one, bwd the other way; its outputs are put back in order. So the second state is
        the one after the row's *first* step.
    Raises TypeError if one is no layer; ValueError if their inputs or dtypes differ, or if both
    are the same layer (its weights would be shared).

    >>> from rnnlab.numpy import RNN, Bidirectional, RNNCell
    >>> from rnnlab.text import one_hot
    >>> both = Bidirectional(RNN(RNNCell(4, 2, seed=0)), RNN(RNNCell(4, 2, seed=1)))
    >>> ys, (fwd, bwd) = both(one_hot(["hello"], vocabulary="helo"))
    >>> tuple(ys.shape), tuple(fwd.shape), tuple(bwd.shape)
    ((1, 5, 4), (1, 2), (1, 2))
    """

    def __init__(self, fwd, bwd):
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
        return np.concatenate([ahead, back], axis=-1)

    def last_output_back(self, dh):
        """Backwards through :meth:`last_output`: dL/d(last output) -> dL/d(state)."""
        ahead, back = dh[..., : self.fwd.output_size], dh[..., self.fwd.output_size :]
        return self.fwd.last_output_back(ahead), self.bwd.last_output_back(back)

    def named_weights(self):
        """The weights by dotted name: ``fwd.cell.W_x``, ``bwd.cell.W_x`` and so on."""
        return prefixed("fwd", self.fwd.named_weights()) | prefixed("bwd", self.bwd.named_weights())

    def run(self, xs, state, valid=None):
        """Forward without checks: -> ys, state."""
        turned = reversal(xs, valid)
        ahead, fwd = self.fwd.run(xs, state[0], valid)
        back, bwd = self.bwd.run(reverse(xs, turned), state[1], valid)
        return side_by_side(ahead, back, turned), (fwd, bwd)

    def record(self, xs, state, valid=None):
        """Forward, keeping a tape for :meth:`backward`: -> ys, state, tape."""
        turned = reversal(xs, valid)
        ahead, fwd, fwd_tape = self.fwd.record(xs, state[0], valid)
        back, bwd, bwd_tape = self.bwd.record(reverse(xs, turned), state[1], valid)
        tape = fwd_tape, bwd_tape, turned
        return side_by_side(ahead, back, turned), (fwd, bwd), tape

    def backward(self, tape, dys, dstate=None):
        """Backpropagation through time: dL/d(ys, state) -> dL/d(xs, first state, weights)."""
        fwd_tape, bwd_tape, turned = tape
        dfwd, dbwd = (None, None) if dstate is None else dstate
        ahead, back = dys[..., : self.fwd.output_size], dys[..., self.fwd.output_size :]
        dxs, dfwd, fwd_grads = self.fwd.backward(fwd_tape, ahead, dfwd)
        dxs_back, dbwd, bwd_grads = self.bwd.backward(bwd_tape, reverse(back, turned), dbwd)
        grads = prefixed("fwd", fwd_grads) | prefixed("bwd", bwd_grads)
        return dxs + reverse(dxs_back, turned), (dfwd, dbwd), grads


def reversal(xs, valid=None):
    """For each row, the order (B, T) that reverses its valid part and leaves the padding."""
    B, T, _ = xs.shape
    t = np.arange(T)
    last = np.full((B, 1), T) if valid is None else valid.sum(axis=1, keepdims=True)
    return np.where(t < last, last - 1 - t, t)


def side_by_side(ahead, back, turned):
    """The outputs of both directions, those of the second put back in order."""
    return np.concatenate([ahead, reverse(back, turned)], axis=-1)


def reverse(xs, order):
    """Take the steps of each row in the given order; the same order again undoes it."""
    return np.take_along_axis(xs, order[:, :, None], axis=1)


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

    >>> from rnnlab.numpy import SimpleRNN
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

    >>> from rnnlab.numpy import LSTM
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

    >>> from rnnlab.numpy import GRU
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
    wanted = "a cell, layer or model of rnnlab.numpy"
    named = checks.instance(name, part, "named_weights", wanted).named_weights()
    if not all(isinstance(weight, np.ndarray) for weight in named.values()):
        raise TypeError(f"{name} must be {wanted}, got one of another notation")
    return named


def get_weights(layer):
    """A copy of all weights of a cell, layer or model: dict of NumPy arrays by dotted name.

    A cell has ``W_x`` (I, G*H), ``W_h`` (H, G*H) and ``b`` (G*H,) for G gates; before these names
    stands where the cell is: ``cell.``, ``layers.0.cell.``, ``fwd.cell.``, ``bwd.layers.1.cell.``.

    >>> from rnnlab.numpy import LSTM, get_weights
    >>> {name: w.shape for name, w in get_weights(LSTM(4, 2)).items()}
    {'cell.W_x': (4, 8), 'cell.W_h': (2, 8), 'cell.b': (8,)}
    """
    return {name: weight.copy() for name, weight in weights_of("layer", layer).items()}


def set_weights(layer, weights):
    """Copy weights into a cell, layer or model: all of them, or (on an error) none.

    layer: what they go into; it is changed in place.
    weights: dict of arrays as :func:`get_weights` gives it, from any of the three notations.
    Raises ValueError if a name is missing or unknown, a shape differs or a value is not finite;
    TypeError if a dtype differs.

    >>> from rnnlab.numpy import LSTM, get_weights, set_weights
    >>> one, other = LSTM(4, 2, seed=0), LSTM(4, 2, seed=1)
    >>> set_weights(other, get_weights(one))
    >>> bool((get_weights(other)["cell.W_x"] == get_weights(one)["cell.W_x"]).all())
    True
    """
    named = weights_of("layer", layer)
    for name, value in check_weights(weights, get_weights(layer)).items():
        named[name][...] = value
