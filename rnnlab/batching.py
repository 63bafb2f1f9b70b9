"""Batches: rows side by side, with their lengths where they differ.

NumPy only; the three notations share it. Shapes: B rows in a batch, T steps, N rows in all.
"""

from typing import NamedTuple

import numpy as np

from rnnlab import checks

__all__ = ["Batch", "Batches", "batches", "endless", "mask", "pad", "unpad"]


class Batch(NamedTuple):
    """What one training step reads.

    inputs: token ids (B, T), or numbers (B, T, I). targets: what the model should answer; their
    shape is the model's affair: (B, T) for a CharLM, (B, K, F) for a Forecaster, (B,) for a
    Classifier.
    lengths: (B,) ints or ``None``, the valid steps of each row.
    carry: whether row b goes on where row b of the batch before ended, so that the state must be
        carried over and not begin anew.

    >>> Batch(np.array([[0, 1, 2]]), np.array([[1, 2, 3]])).carry
    False
    """

    inputs: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray | None = None
    carry: bool = False


def as_batch(item):
    """A Batch, or what stands in a list or tuple in its order, as one; TypeError otherwise."""
    if not isinstance(item, Batch):
        if not isinstance(item, (tuple, list)) or not 2 <= len(item) <= len(Batch._fields):
            raise TypeError(
                "batches must hold Batch objects or tuples (inputs, targets, lengths, carry), the "
                f"last two of which may be left out, got {type(item).__name__}"
            )
        item = Batch(*item)
    checks.flag("batch.carry", item.carry)
    return item


class Batches:
    """Rows in batches, in a new random order each time round: what :func:`batches` returns.

    It can be gone through again and again, and its length is the number of batches.

    >>> len(batches(np.zeros((5, 2)), np.zeros((5, 2)), batch_size=2))
    3
    """

    def __init__(self, inputs, targets, batch_size, lengths, seed):
        inputs, targets = checks.array("inputs", inputs), checks.array("targets", targets)
        if min(inputs.ndim, targets.ndim) == 0 or len(inputs) != len(targets) or len(inputs) == 0:
            raise ValueError(
                "inputs and targets must hold as many rows, and at least one, got shapes "
                f"{inputs.shape} and {targets.shape}"
            )
        if lengths is not None:
            longest = inputs.shape[1] if inputs.ndim > 1 else 0
            lengths = checks.lengths(lengths, len(inputs), longest)
        self.inputs, self.targets, self.lengths = inputs, targets, lengths
        self.seed = checks.size("seed", seed, minimum=0, maximum=None)
        self.batch_size = checks.size("batch_size", batch_size)

    def __len__(self):
        return -(-len(self.inputs) // self.batch_size)

    def epoch(self, k):
        """The batches of the k-th time through the data."""
        order = np.random.default_rng([self.seed, k]).permutation(len(self.inputs))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            lengths = None if self.lengths is None else self.lengths[rows]
            yield Batch(self.inputs[rows], self.targets[rows], lengths)

    def __iter__(self):
        return self.epoch(0)


def batches(inputs, targets, batch_size, *, lengths=None, seed=0):
    """Shuffled batches of rows that do not depend on each other, such as windows give.

    The last batch may be smaller. Iterating gives one pass; :func:`endless` goes on, with another
    order each time round, which depends on the seed alone.

    inputs (N, ...), targets (N, ...): one row each. lengths: (N,) ints or ``None``.
    Raises ValueError if inputs, targets and lengths differ in their rows or hold none.

    >>> from rnnlab.text import windows
    >>> rows = batches(*windows(np.arange(6), length=2), batch_size=3)
    >>> [batch.inputs.shape for batch in rows]
    [(3, 2), (1, 2)]
    """
    return Batches(inputs, targets, batch_size, lengths, seed)


def endless(batches):
    """Go through batches again and again; in a new order each time where they have ``epoch(k)``.

    Raises ValueError if a pass gives no batch, as a generator does the second time.

    >>> from itertools import islice
    >>> one, two = Batch([[0]], [[1]]), Batch([[1]], [[2]])
    >>> [batch.inputs for batch in islice(endless([one, two]), 3)]
    [[[0]], [[1]], [[0]]]
    """
    checks.iterable("batches", batches)
    k = 0
    while True:
        empty = True
        for batch in batches.epoch(k) if hasattr(batches, "epoch") else batches:
            empty = False
            yield as_batch(batch)
        if empty:
            raise ValueError(
                f"batches gave nothing in pass {k}; a generator can be read once only: pass a "
                "list, or what batches() or streams() return"
            )
        k += 1


def pad(rows, *, value=0):
    """Sequences of different lengths as one array: -> padded (B, T, ...), lengths (B,).

    rows: B arrays, each (T_b,) of token ids or (T_b, I) of numbers; T is the longest T_b.
    value: what stands in the padding; no layer or loss that is given the lengths ever looks at it.
    Raises ValueError if there is no row or their later axes differ; TypeError for text, which
    ``Vocabulary.encode`` turns into ids first.

    >>> padded, lengths = pad([[0, 1, 2], [3]])
    >>> padded.tolist(), lengths.tolist()
    ([[0, 1, 2], [3, 0, 0]], [3, 1])
    """
    if isinstance(rows, str):
        raise TypeError("rows must be a list of sequences, got str")
    checks.iterable("rows", rows, "a list of sequences")
    found = []
    for b, row in enumerate(rows):
        row = checks.array(f"rows[{b}]", row)
        if row.ndim == 0 or (found and row.shape[1:] != found[0].shape[1:]):
            after = f" after {found[0].shape}" if found else ""
            raise ValueError(
                f"rows[{b}] must have shape (T_b,) or (T_b, I), like the others but for T_b, got "
                f"{row.shape}{after}"
            )
        found.append(row)
    rows = found
    if not rows:
        raise ValueError("rows must hold at least one sequence, got none")
    lengths = np.array([len(row) for row in rows])
    # An empty list is a row of no kind: it must not turn token ids into floats.
    kind = np.result_type(*([row for row in rows if len(row)] or rows))
    value = _filling(value, kind)
    padded = np.full((len(rows), lengths.max(), *rows[0].shape[1:]), value, kind)
    for b, row in enumerate(rows):
        padded[b, : len(row)] = row
    return padded, lengths


def _filling(value, kind):
    """A single number as one of a dtype; TypeError or ValueError if it is none that it can hold."""
    found = checks.array("value", value)
    if found.ndim > 0:
        raise TypeError(f"value must be a single number, got shape {found.shape}")
    if not np.issubdtype(kind, np.floating):
        fits = np.isfinite(found) and found == int(found) and int(found) in _span(kind)
        if not fits:
            raise ValueError(f"value must be a number that {kind} can hold, got {value!r}")
    return found


def _span(kind):
    """The whole numbers that a dtype can hold."""
    limits = np.iinfo("int64" if kind.kind == "b" else kind)
    return range(int(limits.min), int(limits.max) + 1)


def unpad(padded, lengths):
    """The sequences without their padding, as :func:`pad` took them: a list of B arrays.

    padded (B, T, ...), lengths (B,) ints, 0 <= length <= T.

    >>> [row.tolist() for row in unpad([[0, 1, 2], [3, 0, 0]], [3, 1])]
    [[0, 1, 2], [3]]
    """
    padded = checks.array("padded", padded)
    if padded.ndim < 2:
        raise ValueError(f"padded must have at least two axes (B, T), got shape {padded.shape}")
    lengths = checks.lengths(lengths, *padded.shape[:2])
    return [row[:length].copy() for row, length in zip(padded, lengths, strict=True)]


def mask(lengths, steps):
    """Lengths (B,) -> (B, T) booleans, True at the valid steps.

    lengths: (B,) ints, 0 <= length <= T. steps: T.

    >>> mask([3, 1], 3).tolist()
    [[True, True, True], [True, False, False]]
    """
    steps = checks.size("steps", steps, minimum=0)
    lengths = checks.whole_numbers("lengths", lengths, "pass ints, one for each row")
    return checks.valid_steps(checks.lengths(lengths, lengths.size, steps), steps)
