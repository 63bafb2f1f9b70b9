"""Models: a layer with a head on it, in PyTorch."""

import numpy as np
import torch
from torch import nn

from rnnlab import checks, init
from rnnlab.text import Vocabulary, draw
from rnnlab.torch.layers import detached, mask

__all__ = ["CharLM", "sample"]


class CharLM(nn.Module):
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

    >>> from rnnlab.torch import LSTM, CharLM
    >>> from rnnlab.text import Vocabulary
    >>> vocabulary = Vocabulary("helo")
    >>> model = CharLM(vocabulary, LSTM(4, 8))
    >>> logits, state = model([vocabulary.encode("hello")])
    >>> tuple(logits.shape), tuple(state.h.shape)
    ((1, 5, 4), (1, 8))
    """

    def __init__(self, vocabulary, layer, *, dropout=0.0, seed=0):
        super().__init__()
        self.vocabulary, self.layer = checks.language_model(vocabulary, layer, Vocabulary)
        self.dropout = checks.number("dropout", dropout, minimum=0, below=1)
        weights = init.dense(layer.output_size, len(vocabulary), seed=seed, dtype=layer.dtype)
        for name, weight in weights.items():
            setattr(self, name, nn.Parameter(torch.from_numpy(weight)))

    @property
    def dtype(self):
        """The dtype of the weights, by name."""
        return self.layer.dtype

    def forward(self, ids, state=None, lengths=None):
        """Token ids (B, T) -> logits (B, T, V) and the layer's state."""
        ids = checks.id_batch("ids", _to_numpy(ids), len(self.vocabulary))
        ys, state = self.layer(self._inputs(ids), state, lengths)
        return self._read_out(ys), state

    def _read_out(self, ys):
        return ys @ self.W_y + self.b_y

    def _inputs(self, ids):
        ids = torch.from_numpy(ids).to(self.W_y.device)
        return nn.functional.one_hot(ids, len(self.vocabulary)).to(self.W_y.dtype)

    def loss(self, batch, state=None):
        """Mean cross-entropy over the valid targets of a Batch, in nats: -> loss, state.

        Raises ValueError if no target is valid: there is nothing to average over.
        """
        return self._loss(batch, state, None)

    def _loss(self, batch, state, kept):
        batch = checks.text_batch(batch, len(self.vocabulary))
        ys, state = self.layer(self._inputs(batch.inputs), state, batch.lengths)
        logits = self._read_out(ys if kept is None else ys * torch.from_numpy(kept).to(ys.device))
        targets = torch.from_numpy(batch.targets).to(logits.device)
        if batch.lengths is None:
            return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()), state
        valid = mask(batch.lengths, targets.shape[1], logits.device)
        return nn.functional.cross_entropy(logits[valid], targets[valid]), state

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
        if state is not None:
            state = detached(self.layer.check_state(state, len(batch.inputs)))
        named = dict(self.named_parameters())
        with torch.enable_grad():
            loss, state = self._loss(batch, state, self._mask(len(batch.inputs), rng))
            grads = torch.autograd.grad(loss, list(named.values()))
        return loss.detach(), detached(state), dict(zip(named, grads, strict=True))


def _to_numpy(ids):
    return ids.cpu().numpy() if isinstance(ids, torch.Tensor) else ids


@torch.no_grad()
def sample(model, prompt, length, *, temperature=1.0, seed=0):
    """Let a character language model write on: the ``length`` characters after ``prompt``.

    temperature: logits are divided by it; 0 takes the most likely character each time.
    seed: of the draws; the same draws in the three notations.
    Raises ValueError if the prompt is empty or holds a character outside the vocabulary, or the
    temperature is negative.

    >>> from rnnlab.torch import LSTM, CharLM, sample
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
        ids = np.array([draw(_to_numpy(logits[0, -1]), temperature, rng)])
        drawn.append(ids[0])
    return model.vocabulary.decode(np.array(drawn, np.int64))
