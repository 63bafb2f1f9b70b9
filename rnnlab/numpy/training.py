"""Training: Adam, clipping, fit and evaluate, in NumPy."""

import numpy as np

from rnnlab import checks, init
from rnnlab.loop import Run, mean_loss, run_steps
from rnnlab.numpy.layers import get_weights, set_weights, weights_of
from rnnlab.weights import prefixed

__all__ = ["Adam", "clip_by_global_norm", "evaluate", "fit"]


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1), with the same constants in the three notations.

    model: whose weights are moved. beta1, beta2: the part of the running means that is kept at each
    step. eps: added to the root of the second mean.
    Raises ValueError or TypeError if beta1 or beta2 is outside [0, 1) or eps negative.

    >>> from rnnlab.numpy import LSTM, Adam, get_weights
    >>> layer = LSTM(4, 2)
    >>> sorted(Adam(layer).get_state())[:2]
    ['m/cell.W_h', 'm/cell.W_x']
    """

    def __init__(self, model, *, beta1=0.9, beta2=0.999, eps=1e-8):
        self.beta1, self.beta2, self.eps = checks.adam(beta1, beta2, eps)
        self.weights = weights_of("model", model)
        self.m = {name: np.zeros_like(w) for name, w in self.weights.items()}
        self.v = {name: np.zeros_like(w) for name, w in self.weights.items()}
        self.step = 0

    def update(self, grads, lr):
        """Move every weight by one step of Adam, in place."""
        self.step += 1
        for name, weight in self.weights.items():
            g, m, v = grads[name], self.m[name], self.v[name]
            m += (1 - self.beta1) * (g - m)
            v += (1 - self.beta2) * (g * g - v)
            m_hat = m / (1 - self.beta1**self.step)
            v_hat = v / (1 - self.beta2**self.step)
            weight -= lr * m_hat / (np.sqrt(v_hat) + self.eps)

    def get_state(self):
        """A copy of all that the next update depends on: dict of NumPy arrays.

        "step" (), the number of updates; "m/..." and "v/...", the running means of each weight's
        gradient and of its square.
        """
        named = prefixed("m", self.m, "/") | prefixed("v", self.v, "/")
        return {"step": np.array(self.step)} | {name: a.copy() for name, a in named.items()}

    def set_state(self, arrays):
        """Go on from what :meth:`get_state` gave, in any of the three notations."""
        self.step = int(arrays["step"])
        for name in self.weights:
            self.m[name][...], self.v[name][...] = arrays[f"m/{name}"], arrays[f"v/{name}"]


def clip_by_global_norm(grads, limit):
    """Scale all gradients by one factor, so that their joint norm is at most ``limit``.

    grads: dict of arrays by name, as ``model.gradients`` gives them.
    Returns the clipped gradients, in the same form, and the norm before (Pascanu et al. 2013,
    algorithm 1).

    >>> from rnnlab.numpy import clip_by_global_norm
    >>> clipped, norm = clip_by_global_norm({"a": [3.0], "b": [4.0]}, limit=1.0)
    >>> round(float(norm), 3), round(float(clipped["b"][0]), 3)
    (5.0, 0.8)
    """
    limit = checks.number("limit", limit, above=0)
    named = checks.named_arrays("grads", grads).items()
    grads = {name: checks.array(f"grads[{name!r}]", g) for name, g in named}
    checks.floating_gradients({name: g.dtype.name for name, g in grads.items()})
    norm = np.sqrt(sum(np.sum(np.square(g)) for g in grads.values()))
    factor = min(1.0, limit / max(norm, 1e-12))
    return {name: g * g.dtype.type(factor) for name, g in grads.items()}, norm


def fit(
    model,
    batches,
    *,
    steps,
    lr,
    clip=None,
    beta2=0.999,
    progress=True,
    callback=None,
    seed=0,
    checkpoint=None,
    save_every=None,
    resume=None,
):
    """Train with Adam, one batch a step: -> losses (steps,), each the one before its update.

    model: a CharLM, Forecaster or Classifier; its weights are changed in place.
    batches: Batch objects, gone through again and again; see rnnlab.batching. Where ``carry`` is
        set, the state of the step before is carried on (and no gradient flows back into it):
        truncated backpropagation through time.
    steps: how many updates in all. lr: the learning rate, or a function of the step (0, 1, ...).
    clip: the largest global norm of the gradients; ``None`` leaves them as they are.
    beta2: of Adam, the part of the mean squared gradients that is kept at each step. With 0.99 an
        unusual gradient is forgotten after some hundred steps; with 0.999, the frameworks' default,
        after some thousand.
    progress: show a bar. It stays quiet under tests.
    callback: called as ``callback(step, loss)`` after each step; returning True ends training.
    seed: of what the model's dropout leaves out.
    checkpoint: a path; all that training needs to go on is written there at the end, and after
        every ``save_every`` steps if that is given.
    resume: the path of a checkpoint, of any of the three notations, to go on from. With the same
        arguments the run then ends as if it had not been interrupted, and the losses are those of
        all steps.

    Ctrl-C, in a notebook the button that interrupts, ends training between two steps, with
    KeyboardInterrupt. (TensorFlow takes up to 20 steps at once, and ends after those.) The model
    has the weights of the last whole step. The losses are lost, but where ``checkpoint`` is given
    it is written first, with all of them, and training can be resumed. A second Ctrl-C does not
    wait for the end of the step; then the weights may be of half a step, and nothing is written.

    Raises ValueError or TypeError if an argument is out of bounds, a batch does not fit the model
    or the checkpoint is damaged or another model's; OSError, before the first step, if nothing can
    be written to ``checkpoint``; FloatingPointError if the loss is no longer finite.

    >>> from rnnlab.numpy import LSTM, CharLM, fit
    >>> from rnnlab.text import Vocabulary, batches, windows
    >>> vocabulary = Vocabulary("helo")
    >>> model = CharLM(vocabulary, LSTM(4, 8))
    >>> data = batches(*windows(vocabulary.encode("hellohello"), 4), batch_size=6)
    >>> losses = fit(model, data, steps=50, lr=0.1)
    >>> bool(losses[-1] < 0.1 < losses[0])
    True
    """
    checks.model(model)
    adam, rng = Adam(model, beta2=beta2), init.generator(seed, "dropout")

    def advance(group, state, rates):
        (batch,), (rate,) = group, rates
        loss, state, grads = model.gradients(batch, state, rng)
        if clip is not None:
            grads, _ = clip_by_global_norm(grads, clip)
        adam.update(grads, rate)
        return [float(loss)], state

    return run_steps(
        Run(model, adam, rng, get_weights, set_weights, np.asarray),
        advance,
        batches,
        steps,
        lr=lr,
        clip=clip,
        progress=progress,
        callback=callback,
        files=(checkpoint, save_every, resume),
    )


def evaluate(model, batches):
    """The mean loss over all targets of one pass through ``batches``, without training.

    The loss is the model's: nats for a CharLM or a Classifier, squared units for a Forecaster.
    Where a batch's ``carry`` is set, the state of the one before is carried on.
    Raises ValueError if no target counts.

    >>> from rnnlab.numpy import GRU, Classifier, evaluate
    >>> import numpy as np
    >>> model = Classifier(GRU(1, 4), classes=2)
    >>> xs, targets = np.zeros((6, 5, 1), "float32"), np.array([0, 1, 0, 1, 0, 1])
    >>> round(evaluate(model, [(xs, targets)]), 3)  # it knows nothing yet: log 2
    0.693
    """
    checks.model(model)
    return mean_loss(model, model.loss, batches)
