"""To and from the framework's own recurrent layers: the same weights in the other layout.

Shapes: B rows, T steps, I input features, H units, G gates.
"""

import os

import numpy as np
import tensorflow as tf

from rnnlab import checks
from rnnlab.tensorflow.cells import GRUCell, LSTMCell, LSTMState, RNNCell
from rnnlab.tensorflow.layers import RNN, Bidirectional, Stack, get_weights, set_weights

__all__ = ["from_native", "state_from_native", "state_to_native", "to_native"]

# Their names in keras.layers; the cells' end in "Cell". Keras is imported when it is asked for:
# nothing else in this package needs it, and it may compute with another backend.
NATIVE = {RNNCell: "SimpleRNN", LSTMCell: "LSTM", GRUCell: "GRU"}


def to_native(layer):
    """The framework's own layer with the same weights: it computes what ``layer`` computes.

    layer: an RNN, a Stack, a Bidirectional of two RNNs, a Stack of such, or a cell. The weights are
        copied: training one does not move the other.

    Raises TypeError for anything else, subclasses included, which may compute something else; and
    ValueError for what the framework's layers cannot represent: independent towers (a
    Bidirectional of Stacks), and two directions that differ in kind or size.

    In Keras: a ``SimpleRNN``, ``LSTM`` or ``GRU``, or a ``Bidirectional`` of two, built; for a cell
    a ``SimpleRNNCell``, ``LSTMCell`` or ``GRUCell``; for a Stack a list of layers. Each returns its
    outputs and its states, and zeros at masked steps:

        ys, *state = native(xs, initial_state=state, mask=tf.sequence_mask(lengths, T))

    A list is run layer by layer, as the example shows. It becomes a model in the same way:

        inputs = ys = keras.Input((None, 4))
        for native in natives:
            ys, *_ = native(ys)
        model = keras.Model(inputs, ys)

    (``keras.Sequential`` takes no layers that return states.) A GRU that resets after the product
    has two biases where one would do, but for the last third. Ours becomes the first. The function
    is the same, its training is not: under Adam each bias moves by about lr a step, so their sum
    moves twice as fast as our one.

    Raises ImportError if Keras computes with another backend than TensorFlow.

    >>> import numpy as np
    >>> from rnnlab.tensorflow import LSTM, state_to_native, to_native
    >>> layer = LSTM(4, 3, num_layers=2, bidirectional=True)
    >>> natives = to_native(layer)
    >>> [type(native).__name__ for native in natives]
    ['Bidirectional', 'Bidirectional']
    >>> xs = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    >>> ys, state = layer(xs)
    >>> states = state_to_native(layer, layer.initial_state(2))
    >>> for native, state in zip(natives, states):
    ...     xs, *state = native(xs, initial_state=state)
    >>> np.allclose(xs, ys, atol=1e-6)
    True
    """
    keras = keras_on_tensorflow()
    if type(layer) in NATIVE:
        native = getattr(keras.layers, NATIVE[type(layer)] + "Cell")
        native = native(layer.hidden_size, **options(layer))
        native.build((None, layer.input_size))
        native.set_weights(layout(layer))
        return native
    natives = [native_level(keras, row) for row in levels("layer", layer)]
    return natives if type(layer) is Stack else natives[0]


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

    In Keras: a built ``SimpleRNN``, ``LSTM``, ``GRU``, an ``RNN`` of such a cell, a
    ``Bidirectional`` of two, or one of the cells; a list or a ``keras.Sequential`` of layers
    becomes a Stack. Refused are layers not built yet, ``stateful`` ones (ours hand their state
    out), ``go_backwards`` but in the backward half of a ``Bidirectional``, any ``merge_mode`` but
    "concat", and a mixed dtype policy. Regularizers and constraints stay behind.

    Raises ImportError if Keras computes with another backend than TensorFlow.

    >>> import keras
    >>> from rnnlab.tensorflow import from_native, get_weights
    >>> native = keras.layers.GRU(3)
    >>> native.build((None, None, 4))
    >>> sorted(get_weights(from_native(native)))
    ['cell.W_h', 'cell.W_x', 'cell.b', 'cell.b_hn']
    """
    keras = keras_on_tensorflow()
    if type(native) is keras.Sequential:
        native = native.layers
    if isinstance(native, (list, tuple)):
        if not native:
            raise ValueError("native must hold at least one layer, got an empty list")
        checks.distinct("native", native)
        return Stack([layer_of(keras, f"native[{k}]", part) for k, part in enumerate(native)])
    if type(native) in cell_kinds(keras):
        return cell_of(keras, "native", native, set())
    return layer_of(keras, "native", native)


def state_to_native(layer, state):
    """A state of ``layer`` in the form that ``to_native(layer)`` takes and gives.

    layer, state: a layer and its state, as in ``layer(xs, state)``. A cell's native takes the
        cell's state as it is.

    The order is: level by level from the input on; in a level forward, then backward; in an LSTM
    h, then c.

    Raises ValueError or TypeError if the state does not fit the layer, or as :func:`to_native`.

    In Keras: a list of tensors (B, H): [h], for an LSTM [h, c], for a Bidirectional the forward
    layer's and then the backward layer's; for a Stack a list of such lists, one for each layer.

    >>> from rnnlab.tensorflow import LSTM, state_to_native
    >>> layer = LSTM(4, 3, bidirectional=True)
    >>> fwd_h, fwd_c, bwd_h, bwd_c = state_to_native(layer, layer.initial_state(batch_size=5))
    >>> tuple(bwd_c.shape)
    (5, 3)
    """
    rows = levels("layer", layer)
    found = iter(leaves(layer, check_state(layer, state)))
    lists = [[part for cell in row for part in tensors(cell, next(found))] for row in rows]
    return lists if type(layer) is Stack else lists[0]


def state_from_native(layer, state):
    """A state that ``to_native(layer)`` took or gave, in the form of ``layer``.

    It is the reverse of :func:`state_to_native`, where the order is told.

    Raises ValueError or TypeError if the state does not fit the layer, or as :func:`to_native`.

    In Keras: ``state`` is the list of what a layer returns after its outputs; for a Stack a list
    of such lists.

    >>> import numpy as np
    >>> from rnnlab.tensorflow import GRU, state_from_native, to_native
    >>> layer = GRU(4, 3, bidirectional=True)
    >>> ys, *state = to_native(layer)(np.zeros((5, 7, 4), "float32"))
    >>> fwd, bwd = state_from_native(layer, state)
    >>> bool((fwd == ys[:, -1, :3]).numpy().all()), bool((bwd == ys[:, 0, 3:]).numpy().all())
    (True, True)
    """
    rows = levels("layer", layer)
    lists, names = [state], ["state"]
    if type(layer) is Stack:
        lists = checks.parts("state", state, len(rows), "one list of tensors for each level")
        names = [f"state[{k}]" for k in range(len(rows))]
    found = []
    for name, row, parts in zip(names, rows, lists, strict=True):
        many = 2 if type(row[0]) is LSTMCell else 1
        parts = checks.parts(name, parts, many * len(row), "what the layer returns after ys")
        for k in range(0, len(parts), many):
            found.append(LSTMState(*parts[k : k + 2]) if many == 2 else parts[k])
    return check_state(layer, rebuilt(layer, iter(found)))


def keras_on_tensorflow():
    """The module keras; ImportError if it does not compute with TensorFlow."""
    try:
        import keras
    except ImportError:  # there is no Keras, or not the package that its backend needs
        checks.keras_backend(os.environ.get("KERAS_BACKEND") or "tensorflow")
        raise
    checks.keras_backend(keras.config.backend())
    return keras


def plain_cell(name, cell):
    """Return a cell that Keras has, too; TypeError otherwise."""
    return checks.exactly(
        name,
        cell,
        NATIVE,
        "an RNNCell, LSTMCell or GRUCell of rnnlab.tensorflow (a subclass may step otherwise)",
    )


def levels(name, layer):
    """The cells of a network, level by level from the input on: each (cell,) or (fwd, bwd)."""
    checks.exactly(
        name,
        layer,
        (RNN, Stack, Bidirectional),
        "an RNN, Stack or Bidirectional of rnnlab.tensorflow (a subclass may compute something "
        "else; of a model pass its layer; between the notations go by get_weights and set_weights)",
    )
    if type(layer) is Stack:
        parts = enumerate(layer.layers)
        return [row for k, part in parts for row in levels(f"{name}.layers[{k}]", part)]
    if type(layer) is Bidirectional:
        fwd, bwd = levels(f"{name}.fwd", layer.fwd), levels(f"{name}.bwd", layer.bwd)
        return [checks.native_directions(name, fwd, bwd, "Keras")]
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


def tensors(cell, state):
    """A cell's state as the list of tensors that Keras has for it."""
    return list(state) if type(cell) is LSTMCell else [state]


def options(cell):
    """The keyword arguments that both a Keras layer and a Keras cell take for our cell."""
    reset = {"reset_after": cell.reset_after} if type(cell) is GRUCell else {}
    return {"dtype": cell.dtype, **reset}


def native_level(keras, row):
    """One built Keras layer for a level's cells: (cell,) or (fwd, bwd)."""
    natives = [
        getattr(keras.layers, NATIVE[type(cell)])(
            cell.hidden_size,
            return_sequences=True,
            return_state=True,
            zero_output_for_mask=True,
            go_backwards=backwards,
            **options(cell),
        )
        for cell, backwards in zip(row, (False, True), strict=False)
    ]
    native = natives[0]
    if len(row) == 2:  # without a dtype of its own it would round its outputs to float32
        fwd, bwd = natives
        native = keras.layers.Bidirectional(fwd, backward_layer=bwd, dtype=row[0].dtype)
        natives = [native.forward_layer, native.backward_layer]
    native.build((None, None, row[0].input_size))
    for part, cell in zip(natives, row, strict=True):
        part.set_weights(layout(cell))
    return native


def dtypes(native):
    """What a Keras layer computes in and what it keeps its weights in."""
    return {native.compute_dtype, native.variable_dtype}


def cell_kinds(keras):
    """Our class for each of Keras' cells."""
    return {getattr(keras.layers, name + "Cell"): kind for kind, name in NATIVE.items()}


def layer_of(keras, name, native):
    """Our layer for one Keras layer."""
    if type(native) is not keras.layers.Bidirectional:
        return direction_of(keras, name, native, set(), False)
    hint = "ours puts the two side by side: sum or multiply the halves of its outputs yourself"
    checks.setting(f"{name}.merge_mode", native.merge_mode, "concat", hint)
    fwd, bwd = native.forward_layer, native.backward_layer
    return Bidirectional(
        direction_of(keras, f"{name}.forward_layer", fwd, dtypes(native), False),
        direction_of(keras, f"{name}.backward_layer", bwd, dtypes(native), True),
    )


def direction_of(keras, name, native, outer_dtypes, backwards):
    """Our RNN for a Keras layer that reads in one direction."""
    checks.exactly(
        name,
        native,
        [keras.layers.RNN, *(getattr(keras.layers, layer) for layer in NATIVE.values())],
        "a SimpleRNN, LSTM or GRU of keras.layers, a Bidirectional of two, or a list of such (a "
        "subclass may compute something else; of a model pass the recurrent layers, as in "
        "model.layers[1:3])",
    )
    hint = (
        "build a layer without it, set_weights(native.get_weights()), and reverse what it reads "
        "yourself, or make it a Bidirectional's backward_layer"
    )
    checks.setting(f"{name}.go_backwards", native.go_backwards, backwards, hint)
    hint = "ours hands its state out: build one without, and set_weights(native.get_weights())"
    checks.setting(f"{name}.stateful", native.stateful, False, hint)
    return RNN(cell_of(keras, f"{name}.cell", native.cell, outer_dtypes | dtypes(native)))


def cell_of(keras, name, native, outer_dtypes):
    """Our cell for a Keras cell."""
    kinds = cell_kinds(keras)
    checks.exactly(name, native, kinds, "a SimpleRNNCell, LSTMCell or GRUCell of keras.layers")
    if not native.built:
        raise ValueError(
            f"{name} has no weights yet; call the layer on a batch, or build() it with its shape"
        )
    dtype = checks.native_dtype(name, outer_dtypes | dtypes(native))
    for part, wanted in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
        function = getattr(native, part, tf.sigmoid)  # a SimpleRNNCell has but one
        same = [getattr(module, wanted) for module in (keras.activations, keras.ops, tf)]
        hint = "our cells have no other: train a network with Keras' default activations"
        found = wanted if function in same else function
        checks.setting(f"{name}.{part}", found, wanted, hint)
    for part in ("dropout", "recurrent_dropout"):
        hint = f"our layers drop nothing: set {name}.{part} = 0.0 to convert it without"
        checks.setting(f"{name}.{part}", getattr(native, part), 0.0, hint)
    kind = kinds[type(native)]
    reset = {"reset_after": native.reset_after} if kind is GRUCell else {}
    cell = kind(native.kernel.shape[0], native.units, dtype=dtype, **reset)
    set_weights(cell, named(cell, *native.get_weights()))
    return cell


def swapped(gates):
    """The gates r z n on the last axis in Keras' order z r n, and back."""
    r, z, n = np.split(gates, 3, axis=-1)
    return np.concatenate([z, r, n], axis=-1)


def layout(cell):
    """Our weights in Keras' layout: kernel (I, G*H), recurrent_kernel (H, G*H), bias.

    The bias is (G*H,), but for a GRU that resets after the product (2, G*H): the input's, and the
    state's, of which only the last third is needed.
    """
    w = get_weights(cell)
    if type(cell) is not GRUCell:
        return [w["W_x"], w["W_h"], w["b"]]
    bias = swapped(w["b"])
    if cell.reset_after:
        bias = np.stack([bias, np.concatenate([np.zeros_like(bias[: -len(w["b_hn"])]), w["b_hn"]])])
    return [swapped(w["W_x"]), swapped(w["W_h"]), bias]


def named(cell, kernel, recurrent_kernel, bias=None):
    """Keras' weights in the layout of our cell, by name: :func:`layout` undone."""
    if bias is None:
        bias = np.zeros_like(kernel[0])
    w = {"W_x": kernel, "W_h": recurrent_kernel, "b": bias}
    if type(cell) is not GRUCell:
        return w
    if cell.reset_after:  # the reset gate scales the second bias of n alone: no sum there
        n = 2 * cell.hidden_size
        first, second = np.broadcast_to(bias, (2, len(kernel[0])))
        w["b"] = np.concatenate([first[:n] + second[:n], first[n:]])
        w["b_hn"] = second[n:]
    return {name: value if name == "b_hn" else swapped(value) for name, value in w.items()}
