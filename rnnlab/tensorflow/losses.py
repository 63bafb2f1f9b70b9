"""Losses that look at the valid targets alone, in TensorFlow.

Shapes: ... stands for (B, T) or (B,); C classes, F features.
"""

import tensorflow as tf

from rnnlab import checks
from rnnlab.tensorflow.cells import tensor

__all__ = ["cross_entropy", "mean_squared_error"]


def cross_entropy(logits, targets, mask=None):
    """Mean cross-entropy over the targets that count, in nats: the mean of -log p(target).

    logits (..., C): scores of C classes, of which softmax makes probabilities. targets (...): ints
    from 0 to C - 1. mask (...): booleans, True where a target counts; ``None``: everywhere. What
    stands where the mask is False, NaN too, changes neither the loss nor a gradient.
    Returns a scalar.
    Raises ValueError or TypeError if a shape does not fit, a target is no class, or no target
    counts: there is nothing to average over.

    >>> from rnnlab.tensorflow import cross_entropy
    >>> loss = cross_entropy([[[0.0, 0.0], [9.0, 0.0]]], [[1, 1]], mask=[[True, False]])
    >>> round(float(loss), 3)  # log 2
    0.693
    """
    logits = tensor("logits", logits)
    if tf.executing_eagerly():  # while a graph is traced there are no values to look at
        targets, mask = checks.class_loss(logits.shape, logits.dtype.name, targets, mask)
    nats = tf.nn.sparse_softmax_cross_entropy_with_logits(*counted(mask, targets, logits))
    return tf.reduce_mean(nats)


def mean_squared_error(predictions, targets, mask=None):
    """Mean squared error over the targets that count.

    predictions (..., F), targets (..., F): numbers of one dtype. mask (...): booleans, True where a
    target (all of its F numbers) counts; ``None``: everywhere. What stands where the mask is False,
    NaN too, changes neither the loss nor a gradient.
    Returns a scalar, in the targets' unit squared.
    Raises ValueError or TypeError if a shape or dtype does not fit or no target counts: there is
    nothing to average over.

    >>> from rnnlab.tensorflow import mean_squared_error
    >>> float(mean_squared_error([[[1.0], [5.0]]], [[[3.0], [0.0]]], mask=[[True, False]]))
    4.0
    """
    predictions, targets = tensor("predictions", predictions), tensor("targets", targets)
    if tf.executing_eagerly():  # while a graph is traced there are no values to look at
        mask = checks.number_loss(
            predictions.shape, predictions.dtype.name, targets.shape, targets.dtype.name, mask
        )
    targets, predictions = counted(mask, targets, predictions)
    return tf.reduce_mean(tf.square(predictions - targets))


def counted(mask, *arrays):
    """What counts of each array, in one axis: nothing else can reach the loss."""
    return arrays if mask is None else tuple(tf.boolean_mask(array, mask) for array in arrays)
