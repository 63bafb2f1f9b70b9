"""Losses that look at the valid targets alone, in NumPy.

Shapes: ... stands for (B, T) or (B,); C classes, F features.
"""

import numpy as np

from rnnlab import checks

__all__ = ["cross_entropy", "mean_squared_error"]


def cross_entropy(logits, targets, mask=None):
    """Mean cross-entropy over the targets that count, in nats: the mean of -log p(target).

    logits (..., C): scores of C classes, of which softmax makes probabilities. targets (...): ints
    from 0 to C - 1. mask (...): booleans, True where a target counts; ``None``: everywhere. What
    stands where the mask is False, NaN too, changes neither the loss nor a gradient.
    Returns a scalar.
    Raises ValueError or TypeError if a shape does not fit, a target is no class, or no target
    counts: there is nothing to average over.

    >>> from rnnlab.numpy import cross_entropy
    >>> loss = cross_entropy([[[0.0, 0.0], [9.0, 0.0]]], [[1, 1]], mask=[[True, False]])
    >>> round(float(loss), 3)  # log 2
    0.693
    """
    log_p, target, weight = _cross_entropy_parts(logits, targets, mask)
    return -(log_p * target * weight).sum()


def cross_entropy_back(logits, targets, mask=None):
    """The gradient of :func:`cross_entropy`: (softmax - one-hot) / count, 0 where masked."""
    log_p, target, weight = _cross_entropy_parts(logits, targets, mask)
    return (np.exp(log_p) - target) * weight


def _cross_entropy_parts(logits, targets, mask):
    """log softmax (..., C), one-hot targets (..., C) and the weight of each target (..., 1)."""
    logits = checks.array("logits", logits)
    targets, mask = checks.class_loss(logits.shape, logits.dtype.name, targets, mask)
    weight = _weight(mask, targets.shape, logits.dtype)
    logits = np.where(weight > 0, logits, logits.dtype.type(0))
    logits = logits - logits.max(axis=-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return log_p, np.eye(logits.shape[-1], dtype=logits.dtype)[targets], weight


def mean_squared_error(predictions, targets, mask=None):
    """Mean squared error over the targets that count.

    predictions (..., F), targets (..., F): numbers of one dtype. mask (...): booleans, True where a
    target (all of its F numbers) counts; ``None``: everywhere. What stands where the mask is False,
    NaN too, changes neither the loss nor a gradient.
    Returns a scalar, in the targets' unit squared.
    Raises ValueError or TypeError if a shape or dtype does not fit or no target counts: there is
    nothing to average over.

    >>> from rnnlab.numpy import mean_squared_error
    >>> float(mean_squared_error([[[1.0], [5.0]]], [[[3.0], [0.0]]], mask=[[True, False]]))
    4.0
    """
    error, weight = _error(predictions, targets, mask)
    return (np.square(error) * weight).sum() / error.shape[-1]


def mean_squared_error_back(predictions, targets, mask=None):
    """The gradient of :func:`mean_squared_error`: 2 error / count, 0 where masked."""
    error, weight = _error(predictions, targets, mask)
    return 2 * error * weight / error.dtype.type(error.shape[-1])


def _error(predictions, targets, mask):
    """How far each prediction is off (..., F), and the weight of each target (..., 1)."""
    predictions = checks.array("predictions", predictions)
    targets = checks.array("targets", targets)
    mask = checks.number_loss(
        predictions.shape, predictions.dtype.name, targets.shape, targets.dtype.name, mask
    )
    weight = _weight(mask, predictions.shape[:-1], predictions.dtype)
    return np.where(weight > 0, predictions - targets, predictions.dtype.type(0)), weight


def _weight(mask, shape, dtype):
    """1 / count where a target counts, 0 elsewhere: (..., 1)."""
    mask = np.ones(shape, bool) if mask is None else mask
    return (mask / mask.sum()).astype(dtype)[..., None]
