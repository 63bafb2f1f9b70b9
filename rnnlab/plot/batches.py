"""Batches as tables: what is a letter and what is padding."""

from rnnlab.plot.figures import FILLS, INK, _canvas, _say, _square, _visible

__all__ = ["padding"]

_SIDE = 0.32  # inches: a square


def padding(texts, *, mask=True):
    """Texts of several lengths as one batch: the letters, the padding, the lengths and the mask.

    texts: B texts, at most 8, of at most 12 letters; T is the longest. mask: draw the mask, 1 at a
    letter and 0 at padding, beside the letters, or below them where they are long.
    Raises ValueError for no text, too many, no letter at all or too many.

    >>> axes = padding(["hello", "eol", "llee"])
    >>> [piece.get_text() for piece in axes.texts if "(" in piece.get_text()]
    ['texts (3, 5)', 'lengths (3,)', 'mask (3, 5)']
    """
    if isinstance(texts, str):
        raise ValueError(f"texts must be a list of texts, got one text; pass [{texts!r}]")
    lengths = [len(text) for text in texts]
    B, T = len(lengths), max(lengths, default=0)
    if not (1 <= B <= 8 and 1 <= T <= 12):
        raise ValueError(
            f"texts must be 1 to 8 texts of at most 12 letters, which can be read, got {B} texts, "
            f"the longest of {T} letters"
        )
    high, apart = B * _SIDE, 1.15  # between the tables there is room for the lengths
    below = mask and 2 * T * _SIDE + apart > 5
    wide = T * _SIDE + apart + (T * _SIDE if mask and not below else 0)
    axes = _canvas(wide + 0.1, 0.35 + high + (0.45 + high if below else 0))
    letters = [[_visible(letter) for letter in text] for text in texts]
    _table(axes, 0.05, 0.3, f"texts ({B}, {T})", letters, T, "tensorflow", "")
    middle = 0.05 + T * _SIDE + apart / 2
    _say(axes, middle, 0.12, f"lengths ({B},)")
    for b, length in enumerate(lengths):
        _say(axes, middle, 0.3 + (b + 0.5) * _SIDE, str(length), 12)
    if mask:
        left, top = (0.05, 0.75 + high) if below else (0.05 + T * _SIDE + apart, 0.3)
        ones = [["1"] * length for length in lengths]
        _table(axes, left, top, f"mask ({B}, {T})", ones, T, "good", "0")
    return axes


def _table(axes, left, top, title, rows, T, colour, empty):
    """Rows of squares, in colour as far as a row has entries, outlines from there on."""
    _say(axes, left + T * _SIDE / 2, top - 0.18, title)
    for b, row in enumerate(rows):
        for t in range(T):
            full = t < len(row)
            at = left + t * _SIDE + 0.01, top + b * _SIDE + 0.01
            _square(
                axes, *at, _SIDE - 0.02, _SIDE - 0.02, FILLS[colour] if full else None, line=0.006
            )
            axes.text(
                left + (t + 0.5) * _SIDE, top + (b + 0.5) * _SIDE, row[t] if full else empty,
                ha="center", va="center_baseline", fontsize=12, family="monospace", weight="bold",
                color="white" if full else INK,
            )  # fmt: skip
