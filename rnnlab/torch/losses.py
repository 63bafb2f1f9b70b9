"""Losses that look at the valid targets alone, in PyTorch.

Shapes: ... stands for (B, T) or (B,); C classes, F features.
"""

import torch
from torch import nn

from rnnlab import checks
from rnnlab.torch.cells import dtype_name, tensor, to_numpy

__all__ = ["cross_entropy", "mean_squared_error"]


def cross_entropy(logits, targets, mask=None):
    """Mean cross-entropy over the targets that count, in nats: the mean of -log p(target).

    logits (..., C): scores of C classes, of which softmax makes probabilities. targets (...): ints
    from 0 to C - 1. mask (...): booleans, True where a target counts; ``None``: everywhere. What
    stands where the mask is False, NaN too, changes neither the loss nor a gradient.
    Returns a scalar.
    Raises ValueError or TypeError if a shape does not fit, a target is no class, or no target
    counts: there is nothing to average over.

    >>> from rnnlab.torch import cross_entropy
    >>> loss = cross_entropy([[[0.0, 0.0], [9.0, 0.0]]], [[1, 1]], mask=[[True, False]])
    >>> round(float(loss), 3)  # log 2
    0.693
    """
    logits = tensor("logits", logits)
    targets, mask = checks.class_loss(
        logits.shape, dtype_name(logits), to_numpy(targets), to_numpy(mask)
    )
    targets = torch.from_numpy(targets).to(logits.device)
    if mask is None:
        return nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten())
    mask = torch.from_numpy(mask).to(logits.device)
    return nn.functional.cross_entropy(logits[mask], targets[mask])


def mean_squared_error(predictions, targets, mask=None):
    """Mean squared error over the targets that count.

    predictions (..., F), targets (..., F): numbers of one dtype. mask (...): booleans, True where a
    target (all of its F numbers) counts; ``None``: everywhere. What stands where the mask is False,
    NaN too, changes neither the loss nor a gradient.
    Returns a scalar, in the targets' unit squared.
    Raises ValueError or TypeError if a shape or dtype does not fit or no target counts: there is
    nothing to average over.

    >>> from rnnlab.torch import mean_squared_error
    >>> float(mean_squared_error([[[1.0], [5.0]]], [[[3.0], [0.0]]], mask=[[True, False]]))
    4.0
    """
    predictions = tensor("predictions", predictions)
    targets = tensor("targets", targets, like=predictions)
    mask = checks.number_loss(
        predictions.shape,
        dtype_name(predictions),
        targets.shape,
        dtype_name(targets),
        to_numpy(mask),
    )
    if mask is None:
        return nn.functional.mse_loss(predictions, targets)
    mask = torch.from_numpy(mask).to(predictions.device)
    return nn.functional.mse_loss(predictions[mask], targets[mask])
