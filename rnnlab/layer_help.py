"""What ``help`` says of SimpleRNN, LSTM and GRU alike: written once, for the three notations."""

import inspect
import re

LAYERS = """\
input_size: I, the features of a step.
hidden_size: H, the units of each layer and direction (Keras: ``units``).
num_layers: how many layers lie upon each other; each reads the outputs of the one below.
bidirectional: at each level a second layer reads from the end (Schuster & Paliwal 1997); the
    next level reads both.
seed: an int of at least 0, of the initial weights: the same in the three notations.
dtype: "float32" or "float64": of the weights, of what goes in and of what comes out.

Returns a layer: an ``RNN``, a ``Bidirectional`` or a ``Stack``. It reads B rows of T steps:

    ys, state = layer(xs, state=None, lengths=None)

xs (B, T, I): the inputs, an array or a tensor of the layer's dtype.
lengths (B,): each row's valid steps, ints from 0 to T in any order; ``None``: all are valid.
ys (B, T, H): the top layer's output at each step; (B, T, 2H) if bidirectional, forward and
    backward side by side.
state (nested as below): each row's state after its last valid step. To carry on, pass it to
    the next call; ``None`` begins with zeros. If one cell's state is s, the layer's is

    s                       of one layer
    (s, s)                  of two, the lower one first
    (s, s)                  of one bidirectional layer, forward and backward
    ((s, s), (s, s))        of two bidirectional layers

Padding, what stands past a row's length, changes nothing, even if it is NaN: ys is 0 there, and
the state waits. A row of length 0 keeps the state it came with. The backward direction begins
at the last valid step; its state is the one after the first.

If you know ``torch.nn`` or Keras:

* Batch first, and ys and state both, always: there is no ``batch_first``, ``return_sequences``
  or ``return_state``.
* The state is nested as the layers are. PyTorch stacks it, (layers * directions, B, H); Keras
  gives a flat list.
* ``lengths`` does what ``pack_padded_sequence`` and Keras' masks do. (Keras repeats the last
  output in the padding, unless told to give zeros.)
* ``get_weights(layer)`` has them by name: ``W_x`` (I, G*H), ``W_h`` (H, G*H), ``b`` (G*H,) for
  G gates. PyTorch keeps them transposed, with a second bias that adds to the first. At the
  start ``W_x`` is Glorot uniform and ``W_h`` orthogonal, gate by gate; biases are 0, but for an
  LSTM's forget gate.
* There is no dropout between layers, and no other activation.

Raises ValueError or TypeError: the builder, if a size, a flag, the seed or the dtype is not as
said here; the layer, if a shape, dtype, length or state is not, or if xs holds NaN or infinity
at a valid step.
"""


def explained(builder):
    """Put into a builder's docstring, before its example, what holds for all builders."""
    builder.__doc__ = joined(inspect.cleandoc(builder.__doc__ or ""))
    return builder


def joined(text):
    """A builder's own docstring with ``LAYERS``; what it alone takes stands before the seed."""
    own, mark, example = text.partition(">>> ")
    own, more = re.fullmatch(r"(.*?\n\n)((?:[a-z_]+: .*?\n)?)\n*", own, re.DOTALL).groups()
    return f"{own}{LAYERS.replace('seed: ', f'{more}seed: ', 1)}\n{mark}{example}"
