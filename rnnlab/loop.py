"""The loop around training steps, the same for the three notations."""

import os

import numpy as np
from tqdm import tqdm

from rnnlab import checks
from rnnlab.text import endless

__all__ = ["run_steps"]


def run_steps(one_step, batches, steps, lr, clip, progress, callback):
    """Call ``one_step(batch, state, rate) -> loss, state`` ``steps`` times: -> losses (steps,)."""
    steps = checks.size("steps", steps, minimum=0)
    if not callable(lr):
        lr = _constant(checks.number("lr", lr, minimum=0))
    if clip is not None:
        checks.number("clip", clip, above=0)
    checks.flag("progress", progress)
    # A bar would be stored in a notebook's output and compared by the tests.
    quiet = not progress or "PYTEST_CURRENT_TEST" in os.environ
    losses, state = [], None
    source = endless(batches)
    for step in tqdm(range(steps), desc="training", unit="step", disable=quiet):
        batch = next(source)
        loss, state = one_step(batch, state if batch.carry else None, lr(step))
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} at step {step}; lower lr, or set clip (a norm of 1 is usual)"
            )
        losses.append(loss)
        if callback is not None and callback(step, loss):
            break
    return np.array(losses)


def _constant(rate):
    return lambda step: rate
