"""To and from the framework's own recurrent layers: the same weights in the other layout.

Shapes: B rows, I input features, H units, G gates; D directions, 1 or 2.
"""

import torch
from torch import nn

from rnnlab import checks
from rnnlab.torch.cells import GRUCell, LSTMCell, LSTMState, RNNCell, dtype_name, tensor
from rnnlab.torch.layers import RNN, Bidirectional, Stack, get_weights, set_weights

__all__ = ["from_native", "state_from_native", "state_to_native", "to_native"]

NATIVE = {RNNCell: nn.RNN, LSTMCell: nn.LSTM, GRUCell: nn.GRU}
NATIVE_CELLS = {RNNCell: nn.RNNCell, LSTMCell: nn.LSTMCell, GRUCell: nn.GRUCell}


def to_native(layer):
    """The framework's own layer with the same weights: it computes what ``layer`` computes.

    layer: an RNN, a Stack, a Bidirectional of two RNNs, a Stack of such, or a cell. The weights are
        copied: training one does not move the other.

    Raises TypeError for anything else, subclasses included, which may compute something else; and
    ValueError for what the framework's layers cannot represent: independent towers (a
    Bidirectional of Stacks), and two directions that differ in kind or size.

    In PyTorch: one ``torch.nn.RNN``, ``LSTM`` or ``GRU`` with ``batch_first=True``, or an
    ``nn.RNNCell``, ``LSTMCell`` or ``GRUCell``. So a Stack must be of one kind, size and direction
    at every level, and a GRU must reset after the product; ValueError otherwise. Row lengths go in
    as ``nn.utils.rnn.pack_padded_sequence(xs, lengths, batch_first=True, enforce_sorted=False)``,
    which takes no length 0.

    There are two biases, ``bias_ih`` and ``bias_hh``, where one would do: ours becomes the first,
    the second is 0 (but for a GRU's ``b_hn``). The function is the same, its training is not:
    under Adam each bias moves by about lr a step, so their sum moves twice as fast as our one.

    >>> import torch
    >>> from rnnlab.torch import LSTM, state_to_native, to_native
    >>> layer = LSTM(4, 3, num_layers=2, bidirectional=True)
    >>> native = to_native(layer)
    >>> native
    LSTM(4, 3, num_layers=2, batch_first=True, bidirectional=True)
    >>> xs = torch.randn(2, 5, 4)
    >>> ys, state = layer(xs)
    >>> native_ys, (h_n, c_n) = native(xs, state_to_native(layer, layer.initial_state(2)))
    >>> torch.allclose(native_ys, ys, atol=1e-6)
    True
    """
    if type(layer) in NATIVE_CELLS:
        cells = [plain_cell("layer", layer)]
        form, options = NATIVE_CELLS, {}
    else:
        rows = levels("layer", layer)
        checks.native_levels(rows)
        cells = [cell for row in rows for cell in row]
        form = NATIVE
        options = {
            "num_layers": len(rows),
            "bidirectional": len(rows[0]) == 2,
            "batch_first": True,
        }
    first = cells[0]
    native = form[type(first)](  # on "meta" no weights are drawn, and no random number is spent
        first.input_size, first.hidden_size, **options, dtype=first.W_x.dtype, device="meta"
    ).to_empty(device=first.W_x.device)
    with torch.no_grad():
        for group, cell in zip(groups(native), cells, strict=True):
            for parameter, value in zip(group, layout(cell), strict=True):
                parameter.copy_(value)
    return native


def from_native(native):
    """Our layer with the weights of the framework's own: the reverse of :func:`to_native`.

    native: a recurrent layer or cell, of any depth and direction, with its biases or without (ours
        are 0 then). The weights are copied. Our layer is always batch-first, always returns its
        outputs and its state, and shows zeros past a row's length.

    Ours -> native -> ours changes no bit (but a Stack in a Stack comes back as one). Native -> ours
    -> native computes the same; where the native layer has two biases that only ever act as a sum,
    the sum is kept.

    Raises TypeError for another class, subclasses included; ValueError for what our layers cannot
    represent: other activations, dropout, another dtype than float32 and float64.

    In PyTorch: an ``nn.RNN``, ``LSTM``, ``GRU``, ``RNNCell``, ``LSTMCell`` or ``GRUCell``,
    ``batch_first`` or not; one level comes without a Stack. Refused are ``nonlinearity="relu"``,
    ``proj_size`` above 0, and dropout between levels, unless the module is in ``eval()`` mode,
    where it drops nothing.

    A GRU of PyTorch in Keras, in two calls of ours and one for the weights between:

    >>> from torch import nn
    >>> from rnnlab.torch import from_native, get_weights
    >>> weights = get_weights(from_native(nn.GRU(4, 3)))
    >>> sorted(weights)
    ['cell.W_h', 'cell.W_x', 'cell.b', 'cell.b_hn']

    In a program that has both, ``gru = rnnlab.tensorflow.GRU(4, 3)``, then
    ``rnnlab.tensorflow.set_weights(gru, weights)``, and ``rnnlab.tensorflow.to_native(gru)``.
    """
    kinds = {cls: kind for form in (NATIVE, NATIVE_CELLS) for kind, cls in form.items()}
    checks.exactly(
        "native",
        native,
        kinds,
        "a torch.nn.RNN, LSTM or GRU or one of their cells (a subclass may compute something "
        "else; of a larger module pass the recurrent one)",
    )
    kind = kinds[type(native)]
    dtype = checks.native_dtype("native", {dtype_name(p) for p in native.parameters()})
    if kind is RNNCell:
        hint = "rnnlab's RNNCell has no other: train a network with tanh"
        checks.setting("native.nonlinearity", native.nonlinearity, "tanh", hint)
    is_cell = type(native) is NATIVE_CELLS[kind]
    if not is_cell:
        hint = "rnnlab's LSTMCell shows its whole state: train a network without projection"
        checks.setting("native.proj_size", native.proj_size, 0, hint)
        if native.training and native.num_layers > 1:
            hint = "our layers drop nothing: call native.eval() to convert what it computes then"
            checks.setting("native.dropout", native.dropout, 0.0, hint)
    cells = []
    for group in groups(native):
        input_size = group[0].shape[1]  # above the first level it is the width of the one below
        cell = kind(input_size, native.hidden_size, dtype=dtype).to(group[0].device)
        set_weights(cell, named(kind, *(parameter.detach().cpu() for parameter in group)))
        cells.append(cell)
    if is_cell:
        return cells[0]
    layers = [RNN(cell) for cell in cells]
    if native.bidirectional:
        pairs = zip(layers[0::2], layers[1::2], strict=True)
        layers = [Bidirectional(fwd, bwd) for fwd, bwd in pairs]
    return Stack(layers) if len(layers) > 1 else layers[0]


def state_to_native(layer, state):
    """A state of ``layer`` in the form that ``to_native(layer)`` takes and gives.

    layer, state: a layer and its state, as in ``layer(xs, state)``. A cell's native takes the
        cell's state as it is.

    The order is: level by level from the input on; in a level forward, then backward; in an LSTM
    h, then c.

    Raises ValueError or TypeError if the state does not fit the layer, or as :func:`to_native`.

    In PyTorch: h (D * num_layers, B, H), for an LSTM the pair (h, c) of such; so level k is at
    index k, or, with two directions, at 2k (forward) and 2k + 1 (backward). The batch is the
    *second* axis here, ``batch_first`` or not.

    >>> from rnnlab.torch import LSTM, state_to_native
    >>> layer = LSTM(4, 3, num_layers=2, bidirectional=True)
    >>> h, c = state_to_native(layer, layer.initial_state(batch_size=5))
    >>> tuple(h.shape), tuple(c.shape)
    ((4, 5, 3), (4, 5, 3))
    """
    rows = levels("layer", layer)
    checks.native_levels(rows)
    found = leaves(layer, check_state(layer, state))
    if type(rows[0][0]) is LSTMCell:
        return tuple(torch.stack(parts) for parts in zip(*found, strict=True))
    return torch.stack(found)


def state_from_native(layer, state):
    """A state that ``to_native(layer)`` took or gave, in the form of ``layer``.

    It is the reverse of :func:`state_to_native`, where the order is told.

    Raises ValueError or TypeError if the state does not fit the layer, or as :func:`to_native`.

    In PyTorch: ``state`` is h_n (D * num_layers, B, H), for an LSTM the pair (h_n, c_n).

    >>> import torch
    >>> from rnnlab.torch import GRU, state_from_native, to_native
    >>> layer = GRU(4, 3, num_layers=2, bidirectional=True)
    >>> ys, h_n = to_native(layer)(torch.zeros(5, 7, 4))
    >>> (fwd0, bwd0), (fwd1, bwd1) = state_from_native(layer, h_n)
    >>> bool((fwd1 == h_n[2]).all()), bool((bwd1 == h_n[3]).all())
    (True, True)
    """
    rows = levels("layer", layer)
    checks.native_levels(rows)
    first = rows[0][0]
    parts, names = (state,), ("state",)
    if type(first) is LSTMCell:
        parts, names = checks.parts("state", state, 2, "h_n and c_n"), ("state[0]", "state[1]")
    arrays = []
    for name, part in zip(names, parts, strict=True):
        part = tensor(name, part, first.W_x)
        checks.floats(
            name,
            part.shape,
            dtype_name(part),
            expected=(len(rows) * len(rows[0]), None, first.hidden_size),
            axes="(D * num_layers, B, H)",
            want_dtype=layer.dtype,
        )
        arrays.append(part)
    if type(first) is LSTMCell:
        found = [LSTMState(h, c) for h, c in zip(*arrays, strict=True)]
    else:
        found = list(arrays[0])
    return check_state(layer, rebuilt(layer, iter(found)))


def plain_cell(name, cell):
    """Return a cell that PyTorch has, too; TypeError or ValueError otherwise."""
    checks.exactly(
        name,
        cell,
        NATIVE_CELLS,
        "an RNNCell, LSTMCell or GRUCell of rnnlab.torch (a subclass may step otherwise)",
    )
    if type(cell) is GRUCell:
        hint = (
            "torch.nn's GRU resets after the product only: train such a one, or take the weights "
            "to rnnlab.tensorflow, for Keras has both"
        )
        checks.setting(f"{name}.reset_after", cell.reset_after, True, hint)
    return cell


def levels(name, layer):
    """The cells of a network, level by level from the input on: each (cell,) or (fwd, bwd)."""
    checks.exactly(
        name,
        layer,
        (RNN, Stack, Bidirectional),
        "an RNN, Stack or Bidirectional of rnnlab.torch (a subclass may compute something else; "
        "of a model pass its layer; between the notations go by get_weights and set_weights)",
    )
    if type(layer) is Stack:
        parts = enumerate(layer.layers)
        return [row for k, part in parts for row in levels(f"{name}.layers[{k}]", part)]
    if type(layer) is Bidirectional:
        fwd, bwd = levels(f"{name}.fwd", layer.fwd), levels(f"{name}.bwd", layer.bwd)
        return [checks.native_directions(name, fwd, bwd, "torch.nn")]
    return [(plain_cell(f"{name}.cell", layer.cell),)]


def leaves(layer, state):
    """The states of the cells, in the order of :func:`levels`."""
    if type(layer) is RNN:
        return [state]
    parts = layer.layers if type(layer) is Stack else (layer.fwd, layer.bwd)
    return [leaf for part, s in zip(parts, state, strict=True) for leaf in leaves(part, s)]


def rebuilt(layer, found):
    """The state of a layer from an iterator of its cells' states: :func:`leaves` undone."""
    if type(layer) is RNN:
        return next(found)
    parts = layer.layers if type(layer) is Stack else (layer.fwd, layer.bwd)
    return tuple(rebuilt(part, found) for part in parts)


def check_state(layer, state):
    """The state in the layer's form, all of it of one batch size."""
    first = leaves(layer, layer.check_state(state, None))[0]
    batch_size = (first.h if isinstance(first, LSTMState) else first).shape[0]
    return layer.check_state(state, batch_size)


def groups(native):
    """Its parameters cell by cell: weight_ih, weight_hh and, if there are any, bias_ih, bias_hh."""
    return getattr(native, "all_weights", None) or [list(native.parameters())]


def layout(cell):
    """Our weights in PyTorch's layout: weight_ih (G*H, I), weight_hh (G*H, H), two biases (G*H,).

    The gates stand in our order, i f g o and r z n.
    """
    w = {name: torch.from_numpy(array) for name, array in get_weights(cell).items()}
    bias_hh = torch.zeros_like(w["b"])
    if type(cell) is GRUCell:
        bias_hh[2 * cell.hidden_size :] = w["b_hn"]
    return w["W_x"].T, w["W_h"].T, w["b"], bias_hh


def named(kind, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """PyTorch's weights in our layout, by name: :func:`layout` undone."""
    if bias_ih is None:
        bias_ih = bias_hh = weight_ih.new_zeros(len(weight_ih))
    w = {"W_x": weight_ih.T, "W_h": weight_hh.T, "b": bias_ih + bias_hh}
    if kind is GRUCell:  # the reset gate scales the second bias of n alone: no sum there
        n = slice(2 * weight_hh.shape[1], None)
        w["b"][n], w["b_hn"] = bias_ih[n], bias_hh[n]
    return {name: value.numpy() for name, value in w.items()}
