"""Layers upon each other: the grid of steps and layers, with its numbers."""

import numpy as np
from matplotlib.patches import FancyBboxPatch, Rectangle

from rnnlab import checks
from rnnlab.plot.figures import _WEIGHTS, NEGATIVE_POSITIVE, _arrow, _canvas, _minus, _say

__all__ = ["stacked"]

_WIDE, _HIGH = 0.52, 0.34  # inches: a number's square
_ACROSS, _UP = 0.84, 0.72  # from square to square


def stacked(values, inputs=None):
    """The grid of a deep network: steps to the right, layers upwards, a number at each crossing.

    Each number is made of the one to its left, from the step before, and the one below it, from the
    layer below. Framed are the two things that a deep network returns: the top row, its outputs,
    and the last column, its state. The corner is in both.

    values (L, T), the first row the lowest layer: what L layers of one unit show at T steps.
    inputs: the T numbers that the lowest layer reads; ``None`` draws no row of inputs.
    Raises ValueError for another shape, more than 4 layers or 6 steps, which could not be read, and
    inputs of another length.

    >>> axes = stacked([[0.76, 0.64], [0.64, 0.86]], inputs=[1, 0])
    >>> [piece.get_text() for piece in axes.texts if piece.get_text().isalpha()]
    ['outputs', 'state', 'inputs']
    """
    values = checks.array("values", values).astype(float)
    if values.ndim != 2 or not (1 <= values.shape[0] <= 4 and 1 <= values.shape[1] <= 6):
        raise ValueError(
            f"values must be (L, T), at most 4 layers and 6 steps, got shape {values.shape}"
        )
    L, T = values.shape
    if inputs is not None and len(inputs) != T:
        raise ValueError(f"inputs must be one number for each of {T} steps, got {len(inputs)}")
    left, top = 1.52, 0.62  # the middle of the first column and of the highest row
    columns = left + _ACROSS * np.arange(T)
    rows = top + _UP * np.arange(L)[::-1]
    below = rows[0] + (_UP if inputs is not None else 0.3)
    axes = _canvas(columns[-1] + 0.75, below + 0.72)

    def frame(x, y, wide, high, colour):
        axes.add_patch(
            FancyBboxPatch(
                (x - wide / 2, y - high / 2), wide, high, lw=1.6, fc="none", ec=colour,
                boxstyle="round,pad=0,rounding_size=0.08", zorder=4,
            )
        )  # fmt: skip

    for k, y in enumerate(rows):
        colour = _WEIGHTS[k]
        _say(axes, 0.34, y, f"layer {k + 1}", colour=colour)
        _say(axes, left - _ACROSS + 0.1, y, "0", 11)
        for t, x in enumerate(columns):
            start = x - _ACROSS + (0.2 if t == 0 else _WIDE / 2)
            _arrow(axes, (start, y), (x - _WIDE / 2, y), colour=colour)
            if k or inputs is not None:
                under = y + _UP - (_HIGH / 2 if k else 0.13)
                _arrow(axes, (x, under), (x, y + _HIGH / 2), colour=colour)
            corner = (x - _WIDE / 2, y - _HIGH / 2)
            shade = NEGATIVE_POSITIVE(0.5 + 0.5 * np.clip(values[k, t], -1, 1))
            axes.add_patch(Rectangle(corner, _WIDE, _HIGH, color=shade, lw=0, zorder=2))
            number = _minus(f"{values[k, t]:z.2f}")
            _say(axes, x, y, number, 10.5, colour="white", zorder=3)
    high = rows[0] - rows[-1]
    frame(columns.mean(), top, columns[-1] - columns[0] + _WIDE + 0.12, _HIGH + 0.12, _WEIGHTS[2])
    frame(columns[-1], top + high / 2, _WIDE + 0.22, high + _HIGH + 0.22, _WEIGHTS[3])
    _say(axes, columns[:-1].mean() if T > 1 else left - 0.4, 0.2, "outputs", colour=_WEIGHTS[2])
    _say(axes, columns[-1], 0.2, "state", colour=_WEIGHTS[3])
    if inputs is not None:
        _say(axes, 0.34, below, "inputs")
        for x, number in zip(columns, inputs, strict=True):
            _say(axes, x, below, _minus(f"{number:g}"), 12, weight="bold")
    for t, x in enumerate(columns):
        _say(axes, x, below + 0.42, f"step {t + 1}")
    return axes
