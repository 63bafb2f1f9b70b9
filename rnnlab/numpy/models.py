"""Models: a layer with a head on it, in NumPy."""

import numpy as np

from rnnlab import checks, init
from rnnlab.numpy.layers import mask
from rnnlab.text import Vocabulary, draw, one_hot
from rnnlab.weights import prefixed

__all__ = ["CharLM", "sample"]


class CharLM:
    """A character language model: which character comes next, at every step.

    logits, state = model(ids, state=None, lengths=None): token ids (B, T) become one-hot vectors
    (B, T, V), the layer turns them into outputs (B, T, H), and a linear read-out into logits
    (B, T, V). softmax(logits[b, t]) is the model's guess at character t + 1 of row b.

    vocabulary: a Vocabulary of V symbols. layer: any layer that reads V features; not a
    bidirectional one, which would see the answer. The read-out has weights of its own, ``W_y``
    (H, V) and ``b_y`` (V,), drawn from ``seed``. dropout: in training, the part of the outputs
    that is set to 0 before the read-out, another one in each row of a batch.
    Raises ValueError or TypeError if the layer does not fit the vocabulary, an id is outside it, or
    dropout is outside [0, 1).

    >>> from rnnlab.numpy import LSTM, CharLM
    >>> from rnnlab.text import Vocabulary
    >>> vocabulary = Vocabulary("helo")
    >>> model = CharLM(vocabulary, LSTM(4, 8))
    >>> logits, state = model([vocabulary.encode("hello")])
    >>> tuple(logits.shape), tuple(state.h.shape)
    ((1, 5, 4), (1, 8))
    """

    def __init__(self, vocabulary, layer, *, dropout=0.0, seed=0):
        self.vocabulary, self.layer = checks.language_model(vocabulary, layer, Vocabulary)
        self.dropout = checks.number("dropout", dropout, minimum=0, below=1)
        weights = init.dense(layer.output_size, len(vocabulary), seed=seed, dtype=layer.dtype)
        self.W_y, self.b_y = weights["W_y"], weights["b_y"]

    @property
    def dtype(self):
        """The dtype of the weights, by name."""
        return self.layer.dtype

    def named_weights(self):
        """The weights by dotted name: ``layer.cell.W_x`` ... ``W_y``, ``b_y``."""
        named = prefixed("layer", self.layer.named_weights())
        return named | {"W_y": self.W_y, "b_y": self.b_y}

    def __call__(self, ids, state=None, lengths=None):
        """Token ids (B, T) -> logits (B, T, V) and the layer's state."""
        ids = checks.id_batch("ids", ids, len(self.vocabulary))
        ys, state = self.layer(self._inputs(ids), state, lengths)
        return ys @ self.W_y + self.b_y, state

    def _inputs(self, ids):
        return one_hot(ids, self.vocabulary, dtype=self.dtype)

    def loss(self, batch, state=None):
        """Mean cross-entropy over the valid targets of a Batch, in nats: -> loss, state.

        Raises ValueError if no target is valid: there is nothing to average over.
        """
        batch = checks.text_batch(batch, len(self.vocabulary))
        logits, state = self(batch.inputs, state, batch.lengths)
        return self._cross_entropy(logits, batch)[0], state

    def _cross_entropy(self, logits, batch):
        """The loss, and its gradient with respect to the logits: (softmax - one-hot) / count."""
        valid = np.ones(batch.targets.shape, bool)
        if batch.lengths is not None:
            valid = mask(batch.lengths, batch.targets.shape[1])
        count = valid.sum()
        logits = logits - logits.max(axis=-1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        target = self._inputs(batch.targets)
        weight = (valid / count).astype(self.dtype)[:, :, None]
        return -(log_p * target * weight).sum(), (np.exp(log_p) - target) * weight

    def _mask(self, batch_size, rng):
        if rng is None or self.dropout == 0:
            return None
        size = self.layer.output_size
        return init.dropout_mask(rng, batch_size, size, self.dropout, self.dtype)

    def gradients(self, batch, state=None, rng=None):
        """One step forward and back: -> loss, state, gradients by the weights' names.

        The state that comes in counts as a constant: backpropagation ends at the batch's first
        step (truncated backpropagation through time). rng: NumPy's generator, to draw what is
        dropped out; ``None``: nothing is.
        """
        batch = checks.text_batch(batch, len(self.vocabulary))
        B, T = batch.inputs.shape
        state = self.layer.initial_state(B) if state is None else self.layer.check_state(state, B)
        valid = None if batch.lengths is None else mask(batch.lengths, T)
        ys, state, tape = self.layer.record(self._inputs(batch.inputs), state, valid)
        kept = self._mask(B, rng)
        ys = ys if kept is None else ys * kept
        loss, dlogits = self._cross_entropy(ys @ self.W_y + self.b_y, batch)
        dys = dlogits @ self.W_y.T
        _, _, grads = self.layer.backward(tape, dys if kept is None else dys * kept)
        grads = prefixed("layer", grads)
        grads["W_y"] = ys.reshape(B * T, -1).T @ dlogits.reshape(B * T, -1)
        grads["b_y"] = dlogits.sum(axis=(0, 1))
        return loss, state, grads


def sample(model, prompt, length, *, temperature=1.0, seed=0):
    """Let a character language model write on: the ``length`` characters after ``prompt``.

    temperature: logits are divided by it; 0 takes the most likely character each time.
    seed: of the draws; the same draws in the three notations.
    Raises ValueError if the prompt is empty or holds a character outside the vocabulary, or the
    temperature is negative.

    >>> from rnnlab.numpy import LSTM, CharLM, sample
    >>> from rnnlab.text import Vocabulary
    >>> model = CharLM(Vocabulary("helo"), LSTM(4, 8))
    >>> len(sample(model, "he", 10))
    10
    """
    length = checks.size("length", length, minimum=0)
    rng = init.generator(seed)
    ids = model.vocabulary.encode(checks.prompt(prompt))
    temperature = checks.number("temperature", temperature, minimum=0)
    drawn, state = [], None
    for _ in range(length):
        logits, state = model(ids[None], state)
        ids = np.array([draw(logits[0, -1], temperature, rng)])
        drawn.append(ids[0])
    return model.vocabulary.decode(np.array(drawn, np.int64))
