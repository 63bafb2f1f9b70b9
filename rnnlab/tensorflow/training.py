"""Training: Adam, clipping, fit and evaluate, in TensorFlow."""

import contextlib
from functools import partial

import numpy as np
import tensorflow as tf

from rnnlab import checks, init
from rnnlab.loop import Run, mean_loss, run_steps
from rnnlab.tensorflow import fused
from rnnlab.tensorflow.cells import tensor
from rnnlab.tensorflow.layers import RNN, get_weights, set_weights, weights_of
from rnnlab.weights import prefixed

__all__ = ["Adam", "clip_by_global_norm", "evaluate", "fit"]


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1), with the same constants in the three notations.

    model: whose weights are moved. beta1, beta2: the part of the running means that is kept at each
    step. eps: added to the root of the second mean.
    Raises ValueError or TypeError if beta1 or beta2 is outside [0, 1) or eps negative.

    >>> from rnnlab.tensorflow import LSTM, Adam, get_weights
    >>> layer = LSTM(4, 2)
    >>> sorted(Adam(layer).get_state())[:2]
    ['m/cell.W_h', 'm/cell.W_x']
    """

    # Keras' Adam adds its epsilon before the bias correction, not after it as the paper does, so
    # with it the three notations would part in the third digit.

    def __init__(self, model, *, beta1=0.9, beta2=0.999, eps=1e-8):
        self.beta1, self.beta2, self.eps = checks.adam(beta1, beta2, eps)
        self.weights = weights_of("model", model)
        self.m = {name: tf.Variable(tf.zeros_like(w)) for name, w in self.weights.items()}
        self.v = {name: tf.Variable(tf.zeros_like(w)) for name, w in self.weights.items()}
        self.step = tf.Variable(0, dtype=tf.int64)

    def update(self, grads, lr):
        """Move every weight by one step of Adam, in place."""
        step = tf.cast(self.step.assign_add(1), tf.float64)
        # One operation for each weight, which goes through it once. It adds its epsilon to the root
        # of v as it is, before the correction; the paper adds it after that. Hence its share here.
        correction = tf.sqrt(1 - self.beta2**step)
        lr = tf.convert_to_tensor(lr, tf.float64) * correction / (1 - self.beta1**step)
        dtype = next(iter(self.weights.values())).dtype  # the same for all
        zero = tf.zeros((), dtype)
        constants = {
            "beta1_power": zero,  # the corrections are in the rate already
            "beta2_power": zero,
            "lr": tf.cast(lr, dtype),
            "beta1": tf.constant(self.beta1, dtype),
            "beta2": tf.constant(self.beta2, dtype),
            "epsilon": tf.cast(self.eps * correction, dtype),
        }
        for name, weight in self.weights.items():
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle,
                m=self.m[name].handle,
                v=self.v[name].handle,
                grad=grads[name],
                **constants,
            )

    def get_state(self):
        """A copy of all that the next update depends on: dict of NumPy arrays.

        "step" (), the number of updates; "m/..." and "v/...", the running means of each weight's
        gradient and of its square.
        """
        named = prefixed("m", self.m, "/") | prefixed("v", self.v, "/")
        return {"step": self.step.numpy()} | {name: a.numpy() for name, a in named.items()}

    def set_state(self, arrays):
        """Go on from what :meth:`get_state` gave, in any of the three notations."""
        self.step.assign(arrays["step"])
        for name in self.weights:
            self.m[name].assign(arrays[f"m/{name}"])
            self.v[name].assign(arrays[f"v/{name}"])


def clip_by_global_norm(grads, limit):
    """Scale all gradients by one factor, so that their joint norm is at most ``limit``.

    grads: dict of arrays by name, as ``model.gradients`` gives them.
    Returns the clipped gradients, in the same form, and the norm before (Pascanu et al. 2013,
    algorithm 1).

    >>> from rnnlab.tensorflow import clip_by_global_norm
    >>> clipped, norm = clip_by_global_norm({"a": [3.0], "b": [4.0]}, limit=1.0)
    >>> round(float(norm), 3), round(float(clipped["b"][0]), 3)
    (5.0, 0.8)
    """
    limit = checks.number("limit", limit, above=0)
    named = checks.named_arrays("grads", grads).items()
    grads = {name: tensor(f"grads[{name!r}]", g) for name, g in named}
    checks.floating_gradients({name: g.dtype.name for name, g in grads.items()})
    clipped, norm = tf.clip_by_global_norm(list(grads.values()), limit)
    return dict(zip(grads, clipped, strict=True)), norm


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

    >>> from rnnlab.tensorflow import LSTM, CharLM, fit
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

    def one_step(batch, counted, state, kept, rate):
        loss, state, grads = model._gradients(batch, counted, state, kept)
        if clip is not None:
            grads, _ = clip_by_global_norm(grads, clip)
        adam.update(grads, rate)
        return loss, state

    def compiled_step(*arguments):
        with fused.rounded_products() if ROUND_PRODUCTS else contextlib.nullcontext():
            return one_step(*arguments)

    def calling_step(*arguments):
        with fused.calls():
            return one_step(*arguments)

    by_xla = tf.function(compiled_step, jit_compile=True, autograph=False)

    # Many steps are one call: all of the loop is in the graph, which is traced once (and once more
    # when other shapes come).
    def many_steps(group, counted, start, kept, rates, carry):
        quick = group.lengths is None and worth_compiling(model, steps)
        step = by_xla if quick else calling_step

        def body(k, state, losses):
            now = tf.nest.map_structure(lambda x: None if x is None else x[k], (group, counted))
            mask = None if kept is None else kept[k]
            before = tf.nest.map_structure(lambda s, z: tf.where(carry, s, z), state, start)
            loss, state = step(*now, before, mask, rates[k])
            return k + 1, state, losses.write(k, loss)

        losses = tf.TensorArray(model.dtype, size=tf.shape(rates)[0])
        _, state, losses = tf.while_loop(
            lambda k, *_: k < tf.shape(rates)[0], body, (0, start, losses), parallel_iterations=1
        )
        return losses.stack(), state

    compiled = graph(many_steps)

    def advance(group, state, rates):
        carry = group[0].carry
        kept = [model._mask(len(batch.inputs), rng) for batch in group]
        group, counted, (start, *_) = zip(
            *(model.for_graph(batch, state) for batch in group), strict=True
        )
        rates = tf.constant(rates, tf.float64)
        found, state = compiled(
            stacked(group), stacked(counted), start, stacked(kept), rates, tf.constant(carry)
        )
        return found.numpy().tolist(), state

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
        at_once=20,
    )


def graph(function):
    """The function as a graph that is traced for a shape, and once more for all others."""
    # As a partial it is counted alone; otherwise TensorFlow takes the first traces of five runs of
    # fit for five traces of one, and warns.
    return tf.function(partial(function), reduce_retracing=True, autograph=False)


def worth_compiling(model, steps):
    """Whether XLA shall compile the training step.

    It takes seconds for each shape of batch, so only a long run gains by it. A cell it does not
    know it perhaps cannot do. Batches with lengths it can, but nobody has measured a gain.
    """
    layers = [part for part in (*model.layer.submodules, model.layer) if isinstance(part, RNN)]
    known = all(layer.by_hand and fused.serves(layer.cell) for layer in layers)
    return known and steps >= LONG


LONG = 1000  # steps
# Whether the products of a step that XLA compiles may round their factors to bfloat16. PyTorch has
# a switch for that, torch.set_float32_matmul_precision; TensorFlow has none for a processor.
ROUND_PRODUCTS = False


def stacked(trees):
    """Arrays, or tuples of them and None, of many steps: one above the other."""
    return tf.nest.map_structure(lambda *x: None if x[0] is None else np.stack(x), *trees)


def evaluate(model, batches):
    """The mean loss over all targets of one pass through ``batches``, without training.

    The loss is the model's: nats for a CharLM or a Classifier, squared units for a Forecaster.
    Where a batch's ``carry`` is set, the state of the one before is carried on.
    Raises ValueError if no target counts.

    >>> from rnnlab.tensorflow import GRU, Classifier, evaluate
    >>> import numpy as np
    >>> model = Classifier(GRU(1, 4), classes=2)
    >>> xs, targets = np.zeros((6, 5, 1), "float32"), np.array([0, 1, 0, 1, 0, 1])
    >>> round(evaluate(model, [(xs, targets)]), 3)  # it knows nothing yet: log 2
    0.693
    """
    checks.model(model, "_loss", "for_graph")

    def calling_loss(*arguments):
        with fused.calls():
            return model._loss(*arguments)

    compiled = graph(calling_loss)

    def loss(batch, state):
        return compiled(*model.for_graph(batch, state), None)

    return mean_loss(model, loss, batches)
