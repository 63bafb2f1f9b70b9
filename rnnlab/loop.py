"""The loop around training steps, the same for the three notations."""

import os
import signal
import threading
from contextlib import contextmanager, nullcontext
from itertools import islice

import numpy as np

from rnnlab import checks
from rnnlab.batching import as_batch, endless
from rnnlab.state import leaves, mapped
from rnnlab.weights import check_weights, prefixed

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
        if about.get("model") != self.model.about():
            raise ValueError(
                f"{path} is a checkpoint of another model: {about.get('model')}, got "
                f"{self.model.about()}; build the model as it was"
            )
        weights = checkpoint.part(arrays, checkpoint.WEIGHTS)
        check_weights(weights, self.get_weights(self.model))
        try:
            losses = self._checked_losses(arrays["losses"])
            adam = self._checked_adam(checkpoint.part(arrays, "adam/"), len(losses))
            rng = _checked_rng(about.get("rng"))
            state = self._checked_state(checkpoint.part(arrays, "state/"), about.get("state"))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} is no checkpoint to go on from: {error}") from None
        self.set_weights(self.model, weights)
        self.adam.set_state(adam)
        self.rng.bit_generator.state = rng
        return losses, state

    def _checked_losses(self, losses):
        if losses.ndim != 1 or losses.dtype != np.float64 or not np.isfinite(losses).all():
            raise ValueError("losses must be finite float64 (steps,)")
        return losses.tolist()

    def _checked_adam(self, arrays, steps):
        """What Adam goes on from, in the form of what it has now."""
        step = arrays.pop("step", None)
        present = self.adam.get_state()
        del present["step"]
        check_weights(arrays, present)
        if any((arrays[name] < 0).any() for name in arrays if name.startswith("v/")):
            raise ValueError("Adam's means of squares must be at least 0")
        if step is None or step.shape != () or step.dtype != np.int64 or step != steps:
            raise ValueError(f"Adam must have made one update for each of the {steps} losses")
        return arrays | {"step": step}

    def _checked_state(self, arrays, count):
        """The carried state in the layer's form, or ``None``."""
        layer = self.model.layer
        names = [f"{k}" for k in range(len(leaves(layer.initial_state(1))))]
        if count is None and not arrays:
            return None
        if count != len(names) or set(arrays) != set(names) or arrays["0"].ndim == 0:
            raise ValueError(f"the state must have the {len(names)} parts of the layer's")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("the state holds NaN or infinity")
        fill = iter([arrays[name] for name in names])
        form = mapped(lambda _: next(fill), layer.initial_state(1))
        return layer.check_state(form, len(arrays["0"]))


def _checked_rng(state):
    """A state that NumPy's generator takes."""
    try:
        if min(*state["state"].values(), state["uinteger"]) < 0:  # NumPy 1 takes them
            raise ValueError("a number below 0")
        np.random.default_rng(0).bit_generator.state = state
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"NumPy's generator has no such state ({error!r})") from None
    return state


class Unbroken:
    """Lets Ctrl-C wait where it would break something: ``with Unbroken() as unbroken`` prepares it.

    Inside ``with unbroken.part():`` the signal waits for the end of the part, and does then what it
    would have done. A second one does not wait; then ``broken`` is True.
    """

    def __init__(self):
        self.busy, self.waiting, self.broken, self.before = False, None, False, None

    def __enter__(self):
        # Python hands signals to the main thread alone. A handler that cannot be called means that
        # Ctrl-C is to be ignored, or to end the process: so it shall be.
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(before):
            self.before = before
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error):
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)

    def _handle(self, *arguments):
        if self.busy and self.waiting is None:
            self.waiting = arguments
        else:
            self.before(*arguments)

    @contextmanager
    def part(self):
        """What is done inside is done whole."""
        self.busy = True
        try:
            yield
        except KeyboardInterrupt:
            self.broken = True
            raise
        finally:
            self.busy = False
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            self.before(*waiting)


def run_steps(run, advance, batches, steps, *, lr, clip, progress, callback, files, at_once=1):
    """Train until there are ``steps`` losses, a group of batches at a time.

    ``advance(group, state, rates) -> losses, state`` takes one step for each batch of the group.
    Those of a group are alike in form, and there are at most ``at_once`` (one, where a callback
    wants to see every step).
    """
    steps = checks.size("steps", steps, minimum=0)
    rate = _checked(lr) if callable(lr) else _constant(checks.number("lr", lr, minimum=0))
    if clip is not None:
        checks.number("clip", clip, above=0)
    checks.flag("progress", progress)
    if callback is not None:
        checks.function("callback", callback, "(step, loss)")
    path, save_every, resume = files
    if path is not None:
        from rnnlab import checkpoint

        checkpoint.check_place(path)
    if save_every is not None:
        save_every = checks.size("save_every", save_every)
        if path is None:
            raise ValueError("save_every needs checkpoint, the path to write to")
    losses, state = ([], None) if resume is None else run.restore(checks.path("resume", resume))
    # A bar would be stored in a notebook's output and compared by the tests.
    quiet = not progress or "PYTEST_CURRENT_TEST" in os.environ
    source = _Groups(islice(endless(batches), len(losses), None))  # on from where it stopped
    bar = nullcontext(lambda steps: None) if quiet else _bar(steps, len(losses))
    with bar as show, Unbroken() as unbroken:
        try:
            while len(losses) < steps:
                done = len(losses)
                end = steps
                if save_every is not None:
                    end = min(steps, done + save_every - done % save_every)
                group = source.take(1 if callback else min(at_once, end - done))
                carry = group[0].carry
                if carry:
                    checks.can_carry(run.model.layer)
                rates = [rate(step) for step in range(done, done + len(group))]
                with unbroken.part():  # the step, and all that says that it was made
                    found, state = advance(group, state if carry else None, rates)
                    losses += _finite(found, done)
                    show(len(group))
                    if len(losses) == end < steps:
                        run.save(path, losses, state)
                if callback is not None and callback(done, losses[-1]):
                    break
        except KeyboardInterrupt:
            if unbroken.broken:  # half a step may be in the weights
                raise
            if path is not None:
                run.save(path, losses, state)
            raise KeyboardInterrupt(_stopped(len(losses), steps, path)) from None
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


def _finite(losses, first):
    """The losses of the steps from ``first`` on; FloatingPointError if training has diverged."""
    for step, loss in enumerate(losses, start=first):
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} at step {step}; lower lr, or set clip (a norm of 1 is usual)"
            )
    return losses


def _stopped(done, steps, path):
    """What the user wants to know after Ctrl-C."""
    words = f"training ended after {done} of {steps} steps; the model has the weights of then"
    return words + ("" if path is None else f", and fit(..., resume={str(path)!r}) goes on from it")


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
    for batch in map(as_batch, checks.iterable("batches", batches)):
        if batch.carry:
            checks.can_carry(model.layer)
        found, state = loss(batch, state if batch.carry else None)
        targets = model.count(batch)
        total, seen = total + float(found) * targets, seen + targets
    checks.some_targets(seen)
    return total / seen


def _checked(lr):
    return lambda step: checks.number(f"lr({step})", lr(step), minimum=0)


def _constant(rate):
    return lambda step: rate
