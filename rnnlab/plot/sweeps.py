"""Results over settings and seeds: a comparison that hides no run."""

import matplotlib.pyplot as plt
import numpy as np

from rnnlab.plot.figures import _WEIGHTS
from rnnlab.plot.results import _vectors

__all__ = ["sweep"]


def sweep(results, *, xlabel="learning rate", ylabel="loss"):
    """Results of several models at several settings, a dot for each seed and a bar at the median.

    A comparison at one setting alone may say more of the setting than of the models.

    results: dict name -> dict setting -> results of its seeds; at most six models, each with the
    same settings, in order, and at least 2 results for each.
    Raises ValueError for no model or more than six, settings that differ, fewer than 2 results, and
    results that are not finite.

    >>> runs = {0.01: [2.1, 2.0], 0.1: [1.9, 3.0]}
    >>> axes = sweep({"deep": runs, "wide": runs})
    >>> [label.get_text() for label in axes.get_xticklabels()]
    ['0.01', '0.1']
    """
    results = {name: _vectors(f"results[{name!r}]", runs) for name, runs in results.items()}
    if not 1 <= len(results) <= len(_WEIGHTS):
        raise ValueError(f"results must hold 1 to {len(_WEIGHTS)} models, got {len(results)}")
    settings = list(next(iter(results.values())))
    for name, runs in results.items():
        if list(runs) != settings:
            raise ValueError(
                f"results[{name!r}] must have the settings {settings}, got {list(runs)}"
            )
        for setting, values in runs.items():
            if len(values) < 2:
                raise ValueError(
                    f"results[{name!r}][{setting!r}] must hold at least 2 seeds, got "
                    f"{len(values)}; one run has no spread"
                )
    _, axes = plt.subplots(figsize=(4.8, 3.1))
    apart = 0.72 / len(results)
    for k, (name, runs) in enumerate(results.items()):
        style = {"color": _WEIGHTS[k]}
        for place, values in enumerate(runs.values()):
            x = place + apart * (k - (len(results) - 1) / 2)
            axes.plot([x] * len(values), values, "o", ms=5, alpha=0.85, mew=0, **style)
            middle = np.median(values)
            axes.plot([x - apart * 0.36, x + apart * 0.36], [middle] * 2, lw=3, **style)
        axes.plot([], [], lw=3, label=name, **style)
    axes.set_xticks(range(len(settings)), settings)
    axes.tick_params(axis="x", length=0)
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.5, len(settings) - 0.5))
    axes.figure.legend(loc="outside upper center", ncols=3, fontsize=11, handlelength=1.2)
    return axes
