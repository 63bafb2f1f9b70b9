"""The loop around training steps, the same for the three notations."""

import os
from contextlib import contextmanager, nullcontext
from itertools import islice

import numpy as np

from rnnlab import checks
from rnnlab.batching import Batch, endless
from rnnlab.state import leaves, mapped
from rnnlab.weights import prefixed

__all__ = ["Run", "mean_loss", "run_steps"]


class Run:
    """What a training run is made of, and so what its checkpoint holds.

    model: with ``about()`` and a ``layer``. adam: with ``get_state`` and ``set_state``. rng: the
    generator of the dropout masks. get_weights, set_weights: of the notation. to_numpy: turns the
    notation's arrays into NumPy's.
    """

    def __init__(self, model, adam, rng, get_weights, set_weights, to_numpy):
        self.model, self.adam, self.rng = model, adam, rng
        self.get_weights, self.set_weights, self.to_numpy = get_weights, set_weights, to_numpy

    def save(self, path, losses, state):
        """Write all that training needs to go on from here."""
        from rnnlab import checkpoint  # here, so that rnnlab.numpy is imported with NumPy alone

        arrays = prefixed("weights", self.get_weights(self.model), "/")
        arrays |= prefixed("adam", self.adam.get_state(), "/")
        arrays["losses"] = np.array(losses, np.float64)
        parts = [] if state is None else leaves(state)
        arrays |= {f"state/{k}": self.to_numpy(part) for k, part in enumerate(parts)}
        about = {"model": self.model.about(), "rng": self.rng.bit_generator.state}
        checkpoint.write(path, arrays, about | {"state": None if state is None else len(parts)})

    def restore(self, path):
        """Take everything from a checkpoint: -> the losses so far, the carried state.

        All of it is checked before anything is changed.
        """
        from rnnlab import checkpoint

        arrays, about = checkpoint.read(path)
        if "losses" not in arrays:
            raise ValueError(
                f"{path} holds weights alone; to go on from it, fit() needs a checkpoint that "
                "fit(..., checkpoint=...) wrote. set_weights(model, load_weights(path)) takes them"
            )
        if about["model"] != self.model.about():
            raise ValueError(
                f"{path} is a checkpoint of another model: {about['model']}, got "
                f"{self.model.about()}; build the model as it was"
            )
        state = None
        if about["state"] is not None:
            parts = [arrays[f"state/{k}"] for k in range(about["state"])]
            batch_size = len(parts[0])
            fill = iter(parts)
            form = mapped(lambda _: next(fill), self.model.layer.initial_state(batch_size))
            state = self.model.layer.check_state(form, batch_size)
        self.set_weights(self.model, checkpoint.part(arrays, checkpoint.WEIGHTS))
        self.adam.set_state(checkpoint.part(arrays, "adam/"))
        self.rng.bit_generator.state = about["rng"]
        return arrays["losses"].tolist(), state


def run_steps(run, advance, batches, steps, *, lr, clip, progress, callback, files, at_once=1):
    """Train until there are ``steps`` losses, a group of batches at a time.

    ``advance(group, state, rates) -> losses, state`` takes one step for each batch of the group.
    Those of a group are alike in form, and there are at most ``at_once`` (one, where a callback
    wants to see every step).
    """
    steps = checks.size("steps", steps, minimum=0)
    if not callable(lr):
        lr = _constant(checks.number("lr", lr, minimum=0))
    if clip is not None:
        checks.number("clip", clip, above=0)
    checks.flag("progress", progress)
    path, save_every, resume = files
    if save_every is not None:
        save_every = checks.size("save_every", save_every)
        if path is None:
            raise ValueError("save_every needs checkpoint, the path to write to")
    losses, state = ([], None) if resume is None else run.restore(resume)
    # A bar would be stored in a notebook's output and compared by the tests.
    quiet = not progress or "PYTEST_CURRENT_TEST" in os.environ
    source = _Groups(islice(endless(batches), len(losses), None))  # on from where it stopped
    with nullcontext(lambda steps: None) if quiet else _bar(steps, len(losses)) as show:
        while len(losses) < steps:
            done = len(losses)
            end = steps if save_every is None else min(steps, done + save_every - done % save_every)
            group = source.take(1 if callback else min(at_once, end - done))
            carry = group[0].carry
            if carry:
                checks.can_carry(run.model.layer)
            rates = [lr(step) for step in range(done, done + len(group))]
            found, state = advance(group, state if carry else None, rates)
            for step, loss in enumerate(found, start=done):
                if not np.isfinite(loss):
                    raise FloatingPointError(
                        f"the loss is {loss} at step {step}; lower lr, or set clip (a norm of 1 is "
                        "usual)"
                    )
                losses.append(loss)
            show(len(group))
            if save_every is not None and len(losses) % save_every == 0 and len(losses) < steps:
                run.save(path, losses, state)
            if callback is not None and callback(done, losses[-1]):
                break
    if path is not None:
        run.save(path, losses, state)
    return np.array(losses)


@contextmanager
def _bar(steps, done):
    """A progress bar: -> what moves it on."""
    try:
        from tqdm import tqdm  # here, for training without a bar needs NumPy alone
    except ModuleNotFoundError as error:
        raise ImportError(
            "a progress bar needs tqdm, which is not installed: pip install tqdm, or pass "
            "progress=False"
        ) from error
    with tqdm(total=steps, desc="training", initial=done, unit="step") as bar:
        yield bar.update


class _Groups:
    """Batches from an endless source, in groups of like form."""

    def __init__(self, source):
        self.source, self.waiting = source, []

    def take(self, most):
        """The next batches, at least one and at most ``most``, of one form."""
        group = [*self.waiting] or [next(self.source)]
        self.waiting = []
        while len(group) < most:
            batch = next(self.source)
            if _form(batch) != _form(group[0]):
                self.waiting = [batch]
                break
            group.append(batch)
        return group


def _form(batch):
    """What batches must have in common to go side by side; lists of lists go alone."""
    arrays = batch.inputs, batch.targets
    if not all(isinstance(array, np.ndarray) for array in arrays):
        return object()
    return [array.shape for array in arrays], batch.lengths is None, batch.carry


def mean_loss(model, loss, batches):
    """The mean over all targets of ``loss(batch, state) -> loss, state``, one pass through."""
    total, seen, state = 0.0, 0, None
    for batch in batches:
        batch = Batch(*batch)
        if batch.carry:
            checks.can_carry(model.layer)
        found, state = loss(batch, state if batch.carry else None)
        targets = model.count(batch)
        total, seen = total + float(found) * targets, seen + targets
    checks.some_targets(seen)
    return total / seen


def _constant(rate):
    return lambda step: rate
