"""Training: Adam, clipping, fit and evaluate, in PyTorch."""

import numpy as np
import torch

from rnnlab import checks, init
from rnnlab.loop import run_steps
from rnnlab.text import Batch

__all__ = ["Adam", "clip_by_global_norm", "evaluate", "fit"]


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1), with the same constants in the three notations.

    ``update(grads, lr)`` makes one step; grads: dict of arrays by the weights' names.
    """

    def __init__(self, model, *, beta1=0.9, beta2=0.999, eps=1e-8):
        self.weights = dict(model.named_parameters())
        self.adam = torch.optim.Adam(self.weights.values(), betas=(beta1, beta2), eps=eps)

    def update(self, grads, lr):
        """Move every weight by one step of Adam, in place."""
        for group in self.adam.param_groups:
            group["lr"] = lr
        for name, weight in self.weights.items():
            weight.grad = grads[name]
        self.adam.step()
        self.adam.zero_grad()


def clip_by_global_norm(grads, limit):
    """Scale all gradients by one factor, so that their joint norm is at most ``limit``.

    (Pascanu et al. 2013.) -> clipped gradients, the norm before.
    """
    norm = torch.linalg.vector_norm(torch.stack([g.norm() for g in grads.values()]))
    factor = (limit / norm.clamp(min=1e-12)).clamp(max=1.0)
    return {name: g * factor for name, g in grads.items()}, float(norm)


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

    >>> from rnnlab.torch import LSTM, CharLM, fit
    >>> from rnnlab.text import Vocabulary, batches, windows
    >>> vocabulary = Vocabulary("helo")
    >>> model = CharLM(vocabulary, LSTM(4, 8))
    >>> data = batches(*windows(vocabulary.encode("hellohello"), 4), batch_size=6)
    >>> losses = fit(model, data, steps=50, lr=0.1)
    >>> bool(losses[-1] < 0.1 < losses[0])
    True
    """
    adam, rng = Adam(model), init.generator(seed)

    def one_step(batch, state, rate):
        loss, state, grads = model.gradients(batch, state, rng)
        if clip is not None:
            grads, _ = clip_by_global_norm(grads, clip)
        adam.update(grads, rate)
        return float(loss), state

    return run_steps(one_step, batches, steps, lr, clip, progress, callback)


@torch.no_grad()
def evaluate(model, batches):
    """The mean loss over all targets of one pass through ``batches``, in nats; no training.

    Where a batch's ``carry`` is set, the state of the one before is carried on.
    Raises ValueError if there is no batch.
    """
    total, count, state = 0.0, 0, None
    for batch in batches:
        batch = Batch(*batch)
        loss, state = model.loss(batch, state if batch.carry else None)
        targets = batch.targets.size if batch.lengths is None else int(np.sum(batch.lengths))
        total, count = total + float(loss) * targets, count + targets
    checks.some_targets(count)
    return total / count
