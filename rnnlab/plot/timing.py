"""How long things take, against the least that they could take."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator

from rnnlab import checks
from rnnlab.plot.figures import COLOURS, INK

__all__ = ["speed"]


def speed(times, *, limit, marks=None, theirs=(), colour="good"):
    """Times of several ways to compute the same, as bars that begin at the least time possible.

    The axis is logarithmic, so a bar's length says how many times the limit its way takes: halving
    the time takes off the same length everywhere.

    times: dict name -> three numbers in milliseconds, the quartiles: low, middle, high; the bar
        ends at the middle, a thin line shows the other two. limit: milliseconds, where the bars
        begin. marks: dict name -> milliseconds, other bounds: a stroke in each row. theirs: names
        in ``times`` drawn in grey, those to compare with. colour: of the other bars, in COLOURS.
    Raises ValueError if there is no bar or more than 12, if numbers are not above 0 or not in
    order, and for a name in ``theirs`` that is not among the times.

    >>> axes = speed({"naive": (9, 10, 12), "fused": (2, 2, 2)}, limit=1, theirs=["fused"])
    >>> [float(bar.get_width()) for bar in axes.patches]
    [9.0, 1.0]
    """
    if not 1 <= len(times) <= 12:
        raise ValueError(f"times must hold 1 to 12 ways, got {len(times)}")
    limit = checks.number("limit", limit, above=0)
    for name, mark in (marks or {}).items():
        checks.number(f"marks[{name!r}]", mark, above=0)
    for name, three in times.items():
        three = np.asarray(three, float)
        if three.shape != (3,) or not (0 < three[0] <= three[1] <= three[2] < np.inf):
            raise ValueError(f"times[{name!r}] must be low, middle, high, above 0, got {three}")
    unknown = sorted(set(theirs) - set(times))
    if unknown:
        raise ValueError(f"theirs must be among {[*times]}, got {unknown}")
    if colour not in COLOURS:
        raise ValueError(f"colour must be among {sorted(COLOURS)}, got {colour!r}")
    _, axes = plt.subplots(figsize=(4.8, 1.3 + 0.46 * len(times)))
    highest = max(high for _, _, high in times.values())
    beside = {"textcoords": "offset points", "fontsize": 10, "color": INK}
    for row, (name, (low, middle, high)) in enumerate(times.items()):
        tone = COLOURS["plain" if name in theirs else colour]
        axes.barh(row, float(middle - limit), left=limit, height=0.36, color=tone)
        axes.plot([low, high], [row, row], color=INK, lw=1.2)
        axes.annotate(name, (limit, row), (5, 8), va="bottom", **beside)
        axes.annotate(_written(middle), (high, row), (4, 0), va="center", **beside)
        for mark in (marks or {}).values():
            on_bar = mark < middle
            axes.plot(
                [mark] * 2, [row - 0.18, row + 0.18], color="white" if on_bar else INK, lw=1.4
            )
    axes.axvline(limit, color=INK, lw=1.6)
    below = len(times) - 0.45
    for name, mark in {"limit": limit, **(marks or {})}.items():
        axes.plot([mark] * 2, [below - 0.16, below + 0.16], color=INK, lw=1.6)
        axes.annotate(f"{name} {_written(mark)}", (mark, below), (4, 0), va="center", **beside)
        below += 0.4
    axes.set(xscale="log", xlabel="milliseconds", yticks=[])
    axes.set(xlim=(limit * 0.93, highest * 1.9), ylim=(below, -0.75))
    few = highest < 40 * limit  # then whole powers of ten would be hardly a tick or none
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.spines["left"].set_visible(False)
    return axes


def _written(milliseconds):
    """Three digits of it, without an exponent."""
    if milliseconds < 100:
        return f"{milliseconds:.3g}"
    return f"{milliseconds:,.0f}"
