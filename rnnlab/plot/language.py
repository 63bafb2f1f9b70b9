"""Figures of language models: what is guessed, and where the next letter comes from."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from rnnlab.plot.figures import (
    _CELL,
    COLOURS,
    FILLS,
    INK,
    _arrow,
    _canvas,
    _cell,
    _say,
    _square,
    _visible,
)

__all__ = ["feeding", "guesses"]

# From grey to blue, all of them dark enough for white numbers.
_BELIEF = LinearSegmentedColormap.from_list("belief", [FILLS["plain"], FILLS["tensorflow"]])


def feeding(inputs, guesses, *, answers=None, given=None):
    """A language model unfolded: the letters it reads, its guesses, and what is fed back.

    Where all inputs are given, the text is read whatever was guessed (teacher forcing); from step
    ``given`` on, each guess is the next input (free running), and an arrow leads it there.

    inputs, guesses: T letters each, at most 10. answers: the T letters that came, to mark each
    guess as right or wrong; ``None``: there are none. given: how many of the inputs are given;
    ``None``: all.
    Raises ValueError for no letter or more than 10, lengths that differ, given outside 1 to T, or
    an input after the given ones that is not the guess before it.

    >>> axes = feeding("hi", "el", answers="il")
    >>> [piece.get_text() for piece in axes.texts if len(piece.get_text()) == 1]
    ['h', 'e', 'i', 'i', 'l', 'l']
    """
    T = len(inputs)
    if not 1 <= T <= 10:
        raise ValueError(f"inputs must be 1 to 10 letters, which can be read, got {T}")
    lines = {"answers": answers, "guesses": guesses, "inputs": inputs}
    for name, line in lines.items():
        if line is not None and len(line) != T:
            raise ValueError(f"{name} must be as many letters as inputs, {T}, got {len(line)}")
    given = T if given is None else given
    if not 1 <= given <= T:
        raise ValueError(f"given must be 1 to {T}, the number of inputs, got {given}")
    for t in range(given, T):
        if inputs[t] != guesses[t - 1]:
            raise ValueError(
                f"inputs[{t}] must be the guess before it, {guesses[t - 1]!r}, got {inputs[t]!r}"
            )
    pitch = min(0.66, 4.1 / T)
    columns = 0.95 + pitch * (np.arange(T) + 0.5)
    top = 0.2 + (0 if answers is None else 0.36)
    heights = {"answers": 0.2, "guesses": top, "inputs": top + 1.3}
    middle, fed = top + 0.65, COLOURS["pytorch"]
    axes = _canvas(columns[-1] + pitch / 2 + 0.05, top + 1.5)
    for name, line in lines.items():
        if line is not None:
            _say(axes, 0.75, heights[name], name, ha="right")
    for t, x in enumerate(columns):
        if t:
            _arrow(axes, (columns[t - 1] + _CELL / 2, middle), (x - _CELL / 2, middle))
        _cell(axes, x, middle, COLOURS["tensorflow"])
        _arrow(axes, (x, heights["inputs"] - 0.14), (x, middle + _CELL / 2))
        _arrow(axes, (x, middle - _CELL / 2), (x, top + 0.14))
        right = answers is None or guesses[t] == answers[t]
        hue = fed if t + 1 < T and t + 1 >= given else INK
        if answers is not None:
            hue = COLOURS["good" if right else "bad"]
        letter = {"weight": "bold", "family": "monospace"}
        _say(axes, x, heights["inputs"], _visible(inputs[t]), 12, **letter, **_hue(t >= given, fed))
        _say(axes, x, top, _visible(guesses[t]), 12, **letter, colour=hue)
        if answers is not None:
            _say(axes, x, heights["answers"], _visible(answers[t]), 12, **letter)
        if given <= t + 1 < T:
            between = x + pitch / 2
            start, end = (x + 0.11, top), (columns[t + 1] - 0.11, heights["inputs"])
            _arrow(axes, start, (between, top), (between, end[1]), end, colour=fed, lw=1.2)
    return axes


def _hue(special, colour):
    return {"colour": colour} if special else {}


def guesses(panels, symbols):
    """What a model believes at each step: a column for each, a square for each symbol.

    The fuller a square, the more probability it holds, written into it from 0.05 on; a frame
    stands around the letter that came. Below each column is the letter read, above it the answer.

    panels: dict title -> (inputs, answers, p): T letters read, T answers, probabilities p (T, V).
    symbols: the V symbols, as a string or a Vocabulary.
    Raises ValueError for no panel, lengths that do not fit, an answer outside the symbols, and
    rows of p that are no probabilities.

    >>> axes = guesses({"even": ("he", "el", [[0.5, 0.5], [0.5, 0.5]])}, "el")
    >>> [piece.get_text() for piece in axes.texts][:4]
    ['even', 'e', 'l', 'h']
    """
    symbols = getattr(symbols, "symbols", symbols)
    if not panels:
        raise ValueError("panels must hold at least one model's guesses, got none")
    V, side, places, left = len(symbols), 0.33, [], 0.3
    for title, (inputs, answers, p) in panels.items():
        p = np.asarray(p, float)
        if p.shape != (len(inputs), V) or len(answers) != len(inputs) or not len(inputs):
            raise ValueError(
                f"panels[{title!r}] must hold T letters, T answers and p (T, {V}), got "
                f"{len(inputs)}, {len(answers)} and {p.shape}"
            )
        if not set(answers) <= set(symbols):
            raise ValueError(f"panels[{title!r}] has answers that are not among {symbols!r}")
        if not (np.all(p >= 0) and np.allclose(p.sum(axis=1), 1)):
            raise ValueError(f"panels[{title!r}] must hold probabilities: rows of p that sum to 1")
        places.append((left, title, inputs, answers, p))
        left += side * len(inputs) + 0.42
    axes = _canvas(left - 0.36, 0.62 + side * V + 0.32)
    for left, title, inputs, answers, p in places:
        _say(axes, left + side * len(inputs) / 2, 0.14, title, 11)
        for v, symbol in enumerate(symbols):
            _say(axes, left - 0.12, 0.62 + side * (v + 0.5), _visible(symbol), family="monospace")
        for t, (read, answer) in enumerate(zip(inputs, answers, strict=True)):
            x = left + side * (t + 0.5)
            letter = {"weight": "bold", "family": "monospace"}
            _say(axes, x, 0.62 + side * V + 0.16, _visible(read), 12, **letter)
            _say(axes, x, 0.46, _visible(answer), 12, **letter, colour=COLOURS["good"])
            for v, q in enumerate(p[t]):
                _belief(axes, x, 0.62 + side * (v + 0.5), side, q, framed=symbols[v] == answer)
    return axes


def _belief(axes, x, y, side, p, *, framed):
    """One square: its probability as colour and number, a frame if it is the answer."""
    corner, size = (x - 0.46 * side, y - 0.46 * side), 0.92 * side
    written = p >= 0.05
    _square(axes, *corner, size, size, _BELIEF(p) if written else None, line=0.005)
    if framed:
        style = {"fill": False, "edgecolor": COLOURS["good"], "lw": 2}
        axes.add_patch(plt.Rectangle(corner, size, size, **style))
    if written:
        number = "1" if p >= 0.995 else f"{p:.2f}".removeprefix("0")
        _say(axes, x, y, number, colour="white")
