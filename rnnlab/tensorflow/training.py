"""Training: Adam, clipping, fit and evaluate, in TensorFlow."""

import numpy as np
import tensorflow as tf

from rnnlab import checks, init
from rnnlab.loop import run_steps
from rnnlab.text import Batch

__all__ = ["Adam", "clip_by_global_norm", "evaluate", "fit"]


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1), with the same constants in the three notations.

    ``update(grads, lr)`` makes one step; grads: dict of arrays by the weights' names.
    """

    # Keras' Adam adds its epsilon before the bias correction, not after it as the paper does, so
    # with it the three notations would part in the third digit.

    def __init__(self, model, *, beta1=0.9, beta2=0.999, eps=1e-8):
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.weights = model.named_weights()
        self.m = {name: tf.Variable(tf.zeros_like(w)) for name, w in self.weights.items()}
        self.v = {name: tf.Variable(tf.zeros_like(w)) for name, w in self.weights.items()}
        self.step = tf.Variable(0, dtype=tf.int64)

    def update(self, grads, lr):
        """Move every weight by one step of Adam, in place."""
        step = tf.cast(self.step.assign_add(1), tf.float64)
        lr = tf.convert_to_tensor(lr, tf.float64)
        for name, weight in self.weights.items():
            g, m, v = grads[name], self.m[name], self.v[name]
            m.assign_add((1 - self.beta1) * (g - m))
            v.assign_add((1 - self.beta2) * (g * g - v))
            m_hat = m / tf.cast(1 - self.beta1**step, m.dtype)
            v_hat = v / tf.cast(1 - self.beta2**step, v.dtype)
            weight.assign_sub(tf.cast(lr, m.dtype) * m_hat / (tf.sqrt(v_hat) + self.eps))


def clip_by_global_norm(grads, limit):
    """Scale all gradients by one factor, so that their joint norm is at most ``limit``.

    (Pascanu et al. 2013.) -> clipped gradients, the norm before.
    """
    clipped, norm = tf.clip_by_global_norm(list(grads.values()), limit)
    return dict(zip(grads, clipped, strict=True)), norm


def fit(model, batches, *, steps, lr, clip=None, progress=True, callback=None, seed=0):
    """Train with Adam, one batch a step: -> losses (steps,), each the one before its update.

    batches: Batch objects, gone through again and again; see rnnlab.text. Where ``carry`` is set,
        the state of the step before is carried on (and no gradient flows back into it).
    lr: the learning rate, or a function of the step (0, 1, ...) that gives it.
    clip: the largest global norm of the gradients; ``None`` leaves them as they are.
    progress: show a bar. It stays quiet under tests.
    seed: of what the model's dropout leaves out.
    callback: called as ``callback(step, loss)`` after each step; returning True ends training.
    Raises ValueError or TypeError if an argument is out of bounds, FloatingPointError if the loss
    is no longer finite.

    >>> from rnnlab.tensorflow import LSTM, CharLM, fit
    >>> from rnnlab.text import Vocabulary, batches, windows
    >>> vocabulary = Vocabulary("helo")
    >>> model = CharLM(vocabulary, LSTM(4, 8))
    >>> data = batches(*windows(vocabulary.encode("hellohello"), 4), batch_size=6)
    >>> losses = fit(model, data, steps=50, lr=0.1)
    >>> bool(losses[-1] < 0.1 < losses[0])
    True
    """
    adam, rng = Adam(model), init.generator(seed)

    @tf.function(reduce_retracing=True)  # the whole step is one graph, built once
    def compiled(batch, state, kept, rate):
        loss, state, grads = model._gradients(batch, state, kept)
        if clip is not None:
            grads, _ = clip_by_global_norm(grads, clip)
        adam.update(grads, rate)
        return loss, state

    def one_step(batch, state, rate):
        batch, state = model.check(batch, state)
        batch = batch._replace(carry=False)  # a Python bool in it would mean a graph for each
        kept = model._mask(len(batch.inputs), rng)
        loss, state = compiled(batch, state, kept, tf.constant(rate, tf.float64))
        return float(loss), state

    return run_steps(one_step, batches, steps, lr, clip, progress, callback)


def evaluate(model, batches):
    """The mean loss over all targets of one pass through ``batches``, in nats; no training.

    Where a batch's ``carry`` is set, the state of the one before is carried on.
    Raises ValueError if there is no batch.
    """
    compiled = tf.function(model._loss, reduce_retracing=True)
    total, count, state = 0.0, 0, None
    for batch in batches:
        batch, state = model.check(Batch(*batch), state if batch.carry else None)
        loss, state = compiled(batch._replace(carry=False), state, None)
        targets = batch.targets.size if batch.lengths is None else int(np.sum(batch.lengths))
        total, count = total + float(loss) * targets, count + targets
    checks.some_targets(count)
    return total / count
