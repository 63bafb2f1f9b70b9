"""What reaches an output: the inputs that move it."""

import numpy as np

from rnnlab import checks
from rnnlab.plot.figures import FILLS, _canvas, _say, _square, _visible

__all__ = ["reach"]

_SIDE = 0.28  # inches: a square


def reach(panels, text, *, columns=2):
    """Which inputs reach which outputs: a square for each pair, filled if a change came through.

    panels: dict title -> booleans (T, T), the entry [t, s] True if a change of letter s moves the
    output at letter t. Outputs are rows, from the first letter down; inputs are columns. text: its
    T letters, at most 8. columns: panels in a row.
    Raises ValueError if there is no panel or more than 6, or a shape does not fit the text.

    >>> import numpy as np
    >>> axes = reach({"forward": np.tri(4) > 0}, "LOVE")
    >>> [piece.get_text() for piece in axes.texts if len(piece.get_text()) > 1]
    ['forward', 'letter changed', 'output at']
    """
    T, columns = len(text), checks.size("columns", columns)
    panels = {title: np.asarray(moved, bool) for title, moved in panels.items()}
    if not 1 <= len(panels) <= 6 or not 1 <= T <= 8:
        raise ValueError(
            f"reach draws 1 to 6 panels of 1 to 8 letters, got {len(panels)} panels and {T} letters"
        )
    for title, moved in panels.items():
        if moved.shape != (T, T):
            raise ValueError(
                f"{title!r} must have shape (T, T) = {(T, T)}, one entry for each output and "
                f"letter, got {moved.shape}"
            )
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    high = T * _SIDE + 0.86
    wide = max(T * _SIDE + 0.62, 0.088 * max(map(len, panels)) + 0.1)  # titles side by side
    axes = _canvas(columns * wide + 0.1, rows * high)
    for k, (title, moved) in enumerate(panels.items()):
        left, top = 0.55 + k % columns * wide, 0.56 + k // columns * high
        middle = left + T * _SIDE / 2
        _say(axes, middle, top - 0.42, title, 11)
        for n, letter in enumerate(map(_visible, text)):
            _say(axes, left + (n + 0.5) * _SIDE, top - 0.14, letter, 11, weight="bold")
            _say(axes, left - 0.14, top + (n + 0.5) * _SIDE, letter, 11, weight="bold")
        for t, s in np.ndindex(T, T):
            at = left + s * _SIDE + 0.015, top + t * _SIDE + 0.015
            fill = FILLS["good"] if moved[t, s] else None
            _square(axes, *at, _SIDE - 0.03, _SIDE - 0.03, fill, line=0.005)
        if k // columns == rows - 1:
            _say(axes, middle, top + T * _SIDE + 0.15, "letter changed")
        if k % columns == 0:
            _say(axes, left - 0.36, top + T * _SIDE / 2, "output at", rotation=90)
    return axes
