"""Models: a layer with a head on it, in NumPy."""

import numpy as np

from rnnlab import checks, init
from rnnlab.batching import mask
from rnnlab.numpy.losses import (
    cross_entropy,
    cross_entropy_back,
    mean_squared_error,
    mean_squared_error_back,
)
from rnnlab.text import Vocabulary, draw, one_hot
from rnnlab.weights import prefixed

__all__ = ["CharLM", "Classifier", "Forecaster", "forecast", "sample"]

# What the read-out sees, and the way back: (layer, ys, state, lengths) -> z and back, a function
# that turns dL/dz into dL/d(ys, state).


def every(layer, ys, state, lengths):
    """What the read-out sees: the outputs of all steps, (B, T, H)."""
    return ys, lambda dz: (dz, None)


def last(layer, ys, state, lengths):
    """What the read-out sees: the output at the last valid step, (B, H)."""
    z = layer.last_output(state)
    return z, lambda dz: (np.zeros_like(ys), layer.last_output_back(dz))


def mean(layer, ys, state, lengths):
    """What the read-out sees: the mean of the outputs at the valid steps, (B, H)."""
    B, T, _ = ys.shape
    steps = np.full(B, T) if lengths is None else np.asarray(lengths)
    weight = (mask(steps, T) / np.maximum(steps, 1)[:, None]).astype(ys.dtype)[:, :, None]
    return (ys * weight).sum(axis=1), lambda dz: (dz[:, None] * weight, None)


def largest(layer, ys, state, lengths):
    """What the read-out sees: each unit's largest output at a valid step, (B, H)."""
    B, T, _ = ys.shape
    steps = np.full(B, T) if lengths is None else np.asarray(lengths)
    shown = np.where(mask(steps, T)[:, :, None], ys, -np.inf)
    if T == 0:
        return np.zeros((B, layer.output_size), ys.dtype), lambda dz: (ys, None)
    at = shown.argmax(axis=1)[:, None]  # (B, 1, H)
    some = (steps > 0)[:, None, None]  # rows of length 0 show zeros

    def back(dz):
        dys = np.zeros_like(ys)
        np.put_along_axis(dys, at, dz[:, None] * some, axis=1)
        return dys, None

    return (np.take_along_axis(ys, at, axis=1) * some)[:, 0], back


READ = {"every": every, "last": last, "mean": mean, "max": largest}


class Model:
    """What all models share: a layer, a linear read-out, the loss of a Batch and its gradients."""

    read = "every"  # what the read-out sees, a name in READ

    def __init__(self, layer, outputs, dropout, seed):
        self.layer = layer
        self.dropout = checks.number("dropout", dropout, minimum=0, below=1)
        weights = init.dense(layer.output_size, outputs, seed=seed, dtype=layer.dtype)
        self.W_y, self.b_y = weights["W_y"], weights["b_y"]

    @property
    def dtype(self):
        """The dtype of the weights, by name."""
        return self.layer.dtype

    def named_weights(self):
        """The weights by dotted name: ``layer.cell.W_x`` ... ``W_y``, ``b_y``."""
        named = prefixed("layer", self.layer.named_weights())
        return named | {"W_y": self.W_y, "b_y": self.b_y}

    def _answer(self, inputs, state, lengths):
        ys, state = self.layer(self._features(inputs), state, lengths)
        z, _ = READ[self.read](self.layer, ys, state, lengths)
        return self._shaped(z @ self.W_y + self.b_y), state

    def _features(self, inputs):
        return inputs

    def _shaped(self, answer):
        return answer

    def loss(self, batch, state=None):
        """The mean loss over the valid targets of a Batch: -> loss, state.

        CharLM: cross-entropy in nats; a target (B, T) counts inside its row's length. Classifier:
        the same, one target (B,) for each row, or (B, T) where it reads every step. Forecaster:
        squared error; targets (B, horizon, F), or (B, T, F) where it reads every step. Where there
        is one answer for each row, rows of length 0 don't count.
        Raises ValueError if no target is valid: there is nothing to average over.
        """
        batch, counted = self.check_batch(batch)
        answer, state = self._answer(batch.inputs, state, batch.lengths)
        return self._compare(answer, batch.targets, counted), state

    def count(self, batch):
        """How many targets of a Batch count: the weight of its loss in a mean over batches."""
        batch, counted = self.check_batch(batch)
        return int(np.prod(batch.targets.shape[:2]) if counted is None else counted.sum())

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
        batch, counted = self.check_batch(batch)
        B, T = batch.inputs.shape[:2]
        state = self.layer.initial_state(B) if state is None else self.layer.check_state(state, B)
        valid = None if batch.lengths is None else mask(batch.lengths, T)
        ys, state, tape = self.layer.record(self._features(batch.inputs), state, valid)
        z, read_back = READ[self.read](self.layer, ys, state, batch.lengths)
        kept = self._mask(B, rng)
        if kept is not None:
            kept = kept.reshape(B, *[1] * (z.ndim - 2), -1)
            z = z * kept
        answer = self._shaped(z @ self.W_y + self.b_y)
        loss = self._compare(answer, batch.targets, counted)
        danswer = self._compare_back(answer, batch.targets, counted)
        danswer = danswer.reshape(*z.shape[:-1], -1)
        dz = danswer @ self.W_y.T
        dys, dstate = read_back(dz if kept is None else dz * kept)
        _, _, grads = self.layer.backward(tape, dys, dstate)
        grads = prefixed("layer", grads)
        rows = danswer.reshape(-1, danswer.shape[-1])
        grads["W_y"] = z.reshape(-1, z.shape[-1]).T @ rows
        grads["b_y"] = rows.sum(axis=0)
        return loss, state, grads


class CharLM(Model):
    """A character language model: which character comes next, at every step.

    ``logits, state = model(ids, state=None, lengths=None)``: token ids (B, T) become one-hot
    vectors (B, T, V), the layer turns them into outputs (B, T, H), and a linear read-out into
    logits (B, T, V). softmax(logits[b, t]) is the model's guess at character t + 1 of row b.

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
        vocabulary, layer = checks.language_model(vocabulary, layer, Vocabulary)
        super().__init__(layer, len(vocabulary), dropout, seed)
        self.vocabulary = vocabulary

    def about(self):
        """What a checkpoint says of the model beside its weights."""
        symbols, unknown = self.vocabulary.symbols, self.vocabulary.unknown
        return {"model": "CharLM", "symbols": symbols, "unknown": unknown}

    def check_batch(self, batch):
        """The batch, checked, and the mask of the targets that count (``None``: all of them)."""
        return checks.text_batch(batch, len(self.vocabulary))

    def __call__(self, ids, state=None, lengths=None):
        """Token ids (B, T) -> logits (B, T, V) and the layer's state."""
        ids = checks.id_batch("ids", ids, len(self.vocabulary))
        return self._answer(ids, state, lengths)

    def _features(self, ids):
        return one_hot(ids, self.vocabulary, dtype=self.dtype)

    _compare = staticmethod(cross_entropy)
    _compare_back = staticmethod(cross_entropy_back)


class Forecaster(Model):
    """Numbers from a sequence of numbers: forecasts, many-to-one or many-to-many.

    ``predictions, state = model(xs, state=None, lengths=None)``, with xs (B, T, I). What a linear
    read-out makes predictions of is chosen by ``read``:

    "last": many-to-one. The output at each row's last valid step (``layer.last_output``) gives
        the next ``horizon`` values of F features: (B, horizon, F).
    "every": many-to-many. The output at every step gives F numbers for that step: (B, T, F). The
        horizon is 1 then.

    layer: any layer that reads I features. features: F. The read-out has weights of its own,
    ``W_y`` (H, horizon*F) and ``b_y`` (horizon*F,), drawn from ``seed``. dropout: in training, the
    part of the outputs that is set to 0 before the read-out, another one in each row of a batch.
    The loss of a Batch is the mean squared error over its valid targets (see ``loss``).
    Raises ValueError or TypeError if an argument is not of the form said here, or if the layer is
    bidirectional and ``read`` is "every": its backward half has seen the values to be forecast.

    >>> import numpy as np
    >>> from rnnlab.numpy import GRU, Forecaster
    >>> xs = np.zeros((5, 8, 2), "float32")  # five windows of 8 steps, two features
    >>> predictions, state = Forecaster(GRU(2, 4), features=2, horizon=3)(xs)
    >>> tuple(predictions.shape), tuple(state.shape)
    ((5, 3, 2), (5, 4))
    >>> tuple(Forecaster(GRU(2, 4), read="every")(xs)[0].shape)
    (5, 8, 1)
    """

    def __init__(self, layer, features=1, *, horizon=1, read="last", dropout=0.0, seed=0):
        layer, features, horizon, read = checks.forecaster(layer, features, horizon, read)
        super().__init__(layer, horizon * features, dropout, seed)
        self.features, self.horizon, self.read = features, horizon, read

    def about(self):
        """What a checkpoint says of the model beside its weights."""
        sizes = {"features": self.features, "horizon": self.horizon}
        return {"model": "Forecaster", "read": self.read, **sizes}

    def check_batch(self, batch):
        """The batch, checked, and the mask of the targets that count (``None``: all of them)."""
        every = self.read == "every"
        sizes = self.layer.input_size, self.horizon, self.features
        return checks.forecast_batch(batch, *sizes, every, self.dtype)

    def __call__(self, xs, state=None, lengths=None):
        """xs (B, T, I) -> predictions (B, horizon, F) or (B, T, F), and the layer's state."""
        return self._answer(xs, state, lengths)

    def _shaped(self, answer):
        if self.read == "every":
            return answer  # (B, T, F)
        # (B, horizon*F) -> (B, horizon, F)
        return answer.reshape(len(answer), self.horizon, self.features)

    _compare = staticmethod(mean_squared_error)
    _compare_back = staticmethod(mean_squared_error_back)


class Classifier(Model):
    """Classes from a sequence of numbers: one for the whole, or one for each step.

    ``logits, state = model(xs, state=None, lengths=None)``: xs (B, T, I) -> logits (B, C) or
    (B, T, C), of which softmax makes probabilities. What the linear read-out sees is chosen by
    ``read``:

    "last": the output at each row's last valid step (``layer.last_output``).
    "mean", "max": the outputs of all valid steps, averaged, or the largest of each unit (pooling).
        A row of length 0 has none: zeros.
    "every": many-to-many. The output at every step, which gives that step's class: (B, T, C).

    layer: any layer that reads I features. classes: C. The read-out has weights of its own, ``W_y``
    (H, C) and ``b_y`` (C,), drawn from ``seed``. dropout: in training, the part of what the
    read-out sees that is set to 0, another one in each row of a batch.
    The loss of a Batch is the mean cross-entropy over its rows or valid steps (see ``loss``).
    Raises ValueError or TypeError if an argument is not of the form said here.

    >>> from rnnlab.numpy import LSTM, Classifier
    >>> from rnnlab.text import one_hot
    >>> model = Classifier(LSTM(4, 8, bidirectional=True), classes=3, read="mean")
    >>> logits, state = model(one_hot(["hello", "eolll"], vocabulary="helo"), lengths=[5, 3])
    >>> tuple(logits.shape)
    (2, 3)
    """

    def __init__(self, layer, classes, *, read="last", dropout=0.0, seed=0):
        layer, classes, read = checks.classifier(layer, classes, read)
        super().__init__(layer, classes, dropout, seed)
        self.classes, self.read = classes, read

    def about(self):
        """What a checkpoint says of the model beside its weights."""
        return {"model": "Classifier", "read": self.read, "classes": self.classes}

    def check_batch(self, batch):
        """The batch, checked, and the mask of the targets that count (``None``: all of them)."""
        sizes = self.layer.input_size, self.classes
        return checks.class_batch(batch, *sizes, self.read == "every", self.dtype)

    def __call__(self, xs, state=None, lengths=None):
        """xs (B, T, I) -> logits (B, C) or (B, T, C), and the layer's state."""
        return self._answer(xs, state, lengths)

    _compare = staticmethod(cross_entropy)
    _compare_back = staticmethod(cross_entropy_back)


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
    checks.model(model, "vocabulary", expected="a CharLM")
    length = checks.size("length", length, minimum=0)
    rng = init.generator(seed, "sample")
    ids = checks.prompt(prompt, model.vocabulary)
    temperature = checks.number("temperature", temperature, minimum=0)
    drawn, state = [], None
    for _ in range(length):
        logits, state = model(ids[None], state)
        ids = np.array([draw(logits[0, -1], temperature, rng)])
        drawn.append(ids[0])
    return model.vocabulary.decode(np.array(drawn, np.int64))


def forecast(model, xs, steps):
    """Let a forecaster go on by itself: the ``steps`` values after those of xs, (B, steps, F).

    Each forecast is fed back as the next input (so F must be I). A "last" model reads the newest T
    steps anew for its next ``horizon`` values; an "every" model carries its state on.
    xs (B, T, I), T at least 1.
    Raises ValueError if the model's features are not its inputs, or xs has no step.

    >>> import numpy as np
    >>> from rnnlab.numpy import GRU, Forecaster, forecast
    >>> model = Forecaster(GRU(1, 4), horizon=2)
    >>> tuple(forecast(model, np.zeros((3, 8, 1), "float32"), steps=5).shape)
    (3, 5, 1)
    """
    checks.model(model, "features", "read", expected="a Forecaster")
    xs = checks.array("xs", xs)
    steps = checks.size("steps", steps)
    answer, state = model(xs)
    checks.fed_back(model, xs.shape[1])
    found = [answer[:, -1:] if model.read == "every" else answer]
    while sum(new.shape[1] for new in found) < steps:
        if model.read == "every":
            answer, state = model(found[-1], state)
        else:
            xs = np.concatenate([xs, found[-1]], axis=1)[:, -xs.shape[1] :]
            answer, _ = model(xs)
        found.append(answer)
    return np.concatenate(found, axis=1)[:, :steps]
