"""Packing: a ragged batch without its padding."""

import matplotlib.pyplot as plt
import numpy as np

from rnnlab.plot.figures import _WEIGHTS, INK, _arrow, _canvas, _say, _visible

__all__ = ["packed"]

_SIDE = 0.32  # inches: a square


def packed(texts):
    """A padded batch, and what is left of it when it is packed: its letters, step by step.

    Above, the batch, the longest text first, padding empty. Below, the same letters in the order in
    which a driver needs them: those of step 1, those of step 2 and so on, each group as large as
    there are texts that long. One colour is one text.

    texts: 1 to 6 texts, none empty, of at most 14 letters in all.
    Raises ValueError for no text or too many, an empty one, or too many letters.

    >>> axes = packed(["hello", "eol", "llee"])
    >>> [piece.get_text() for piece in axes.texts][-5:]
    ['3', '3', '3', '2', '1']
    """
    if isinstance(texts, str):
        raise ValueError(f"texts must be a list of texts, got one text; pass [{texts!r}]")
    rows = sorted(zip(texts, _WEIGHTS, strict=False), key=lambda row: -len(row[0]))
    lengths = [len(text) for text in texts]
    if not (1 <= len(texts) <= len(_WEIGHTS) and min(lengths) > 0 and sum(lengths) <= 14):
        raise ValueError(
            f"texts must be 1 to {len(_WEIGHTS)} texts, none empty, of at most 14 letters in all, "
            f"which can be read, got lengths {lengths}"
        )
    B, T = len(rows), max(lengths)
    sizes = np.array([sum(length > t for length in lengths) for t in range(T)])
    gap = 0.14  # between two steps
    strip = sum(lengths) * _SIDE + (T - 1) * gap
    wide = max(T * _SIDE + 1.4, strip) + 0.1
    left, top, below = (wide - T * _SIDE) / 2, 0.32, 0.32 + B * _SIDE + 0.95
    starts = (wide - strip) / 2 + np.arange(T) * gap + np.cumsum([0, *sizes[:-1]]) * _SIDE
    axes = _canvas(wide, below + _SIDE + 0.68)
    _say(axes, wide / 2, 0.14, f"padded ({B}, {T})")
    _say(axes, left - 0.4, 0.14, "lengths")
    for b, (text, colour) in enumerate(rows):
        y = top + b * _SIDE
        _say(axes, left - 0.4, y + _SIDE / 2, str(len(text)), 12)
        for t in range(T):
            letter = _visible(text[t]) if t < len(text) else ""
            _square(axes, left + t * _SIDE, y, letter, colour)
            if letter:
                _square(axes, starts[t] + b * _SIDE, below, letter, colour)
    middles = starts + sizes * _SIDE / 2
    for t, x in enumerate(middles):
        start = (left + (t + 0.5) * _SIDE, top + B * _SIDE + 0.05)
        _arrow(axes, start, (x, below - 0.06), lw=1.0)
    _say(axes, 0.05, below - 0.42, "packed", ha="left")
    _say(axes, 0.05, below - 0.22, f"({sum(lengths)},)", ha="left")
    _say(axes, wide / 2, below + _SIDE + 0.5, f"batch_sizes ({T},)")
    for x, size in zip(middles, sizes, strict=True):
        _say(axes, x, below + _SIDE + 0.2, str(size), 12)
    return axes


def _square(axes, x, y, letter, colour):
    """A square with a letter, or a faint one without."""
    axes.add_patch(
        plt.Rectangle(
            (x + 0.01, y + 0.01), _SIDE - 0.02, _SIDE - 0.02, lw=0,
            color=colour if letter else INK, alpha=1.0 if letter else 0.18,
        )
    )  # fmt: skip
    axes.text(
        x + _SIDE / 2, y + _SIDE / 2, letter, ha="center", va="center_baseline", fontsize=12,
        family="monospace", weight="bold", color="white",
    )  # fmt: skip
