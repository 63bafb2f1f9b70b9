"""What experiments gave: gradients over time, forecasts and their errors, results over seeds."""

import matplotlib.pyplot as plt
import numpy as np

from rnnlab import checks
from rnnlab.plot.figures import _WEIGHTS, COLOURS, INK

__all__ = ["forecasts", "gradient_road", "rolling_origin_folds", "skill", "spread"]

_MARKS = "os^Dvp"  # beside the colours, for readers who cannot tell these apart


def gradient_road(norms, *, ylabel=None):
    """How much of the loss' gradient arrives at each step, for several cells, on a log scale.

    The loss is taken at the last step, on the right; the gradient travels back, to the left. A
    straight falling line is a gradient that shrinks by the same factor at every step; a level one
    is a road on which it keeps its size. A gradient of exactly 0 has no place on the scale and is
    left out.

    norms: dict name -> (T,), the size of the gradient at the state of each step, oldest first; at
    most six cells, all of one length. ylabel: ``None`` says that it is the size of ∂loss/∂h.
    Raises ValueError for no cell or more than six, lengths that differ, a negative or non-finite
    size, and a cell whose gradient is 0 throughout.

    >>> axes = gradient_road({"RNN": [0.01, 0.1, 1.0], "LSTM": [0.8, 0.9, 1.0]})
    >>> axes.get_yscale()
    'log'
    """
    norms = _vectors("norms", norms)
    lengths = {len(values) for values in norms.values()}
    if len(lengths) != 1:
        raise ValueError(f"norms must all be of one length T, got {sorted(lengths)}")
    for name, values in norms.items():
        if (values < 0).any() or not values.any():
            raise ValueError(f"norms[{name!r}] must be sizes, none negative and not all 0")
    (T,) = lengths
    _, axes = plt.subplots(figsize=(4.8, 3.2))
    for k, (name, values) in enumerate(norms.items()):
        axes.plot(
            np.arange(1, T + 1), np.where(values > 0, values, np.nan), label=name, ms=5,
            color=_WEIGHTS[k], marker=_MARKS[k], markevery=max(1, T // 10),
        )  # fmt: skip
    of_state = "size of the gradient $\\partial$loss/$\\partial h_t$"
    axes.set(yscale="log", xlabel="step $t$", ylabel=of_state if ylabel is None else ylabel)
    axes.annotate(
        "", (0.62, 1.04), (0.98, 1.04), xycoords="axes fraction",
        arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.4},
    )  # fmt: skip
    axes.text(0.6, 1.04, "back in time", transform=axes.transAxes, ha="right", va="center")
    _legend(axes, len(norms))
    return axes


def forecasts(actual, made, *, cut, x=None, since=0, baselines=(), xlabel="step", ylabel=""):
    """A series, what forecasters made of its test part, and the cut between training and test.

    What came is thick and grey; baselines are dashed. A forecast that repeats the curve one step
    late is the last value in disguise, and the baseline beside it shows it.

    actual: (N,). made: dict name -> (N - cut,), the forecasts of steps cut..N-1; at most six.
    cut: the first step of the test part. x: (N,) numbers for the axis, such as years; ``None``: the
    steps. since: the first step that is drawn. baselines: names in ``made`` that are dashed.
    Raises ValueError for a cut or a ``since`` outside the series, forecasts of another length than
    the test part, numbers that are not finite, and baselines that are not in ``made``.

    >>> axes = forecasts([1, 2, 4, 3, 5], {"last value": [2, 4, 3]}, cut=2)
    >>> [line.get_label() for line in axes.get_lines()][:2]
    ['actual', 'last value']
    """
    actual = _vectors("actual", {"": actual})[""]
    made, N = _vectors("made", made), len(actual)
    cut, since = checks.size("cut", cut), checks.size("since", since, 0)
    if not since < cut < N:
        raise ValueError(f"cut must lie between since = {since} and N = {N}, got {cut}")
    for name, values in made.items():
        if len(values) != N - cut:
            raise ValueError(
                f"made[{name!r}] must forecast the {N - cut} steps from the cut on, "
                f"got {len(values)}"
            )
    unknown = sorted(set(baselines) - set(made))
    if unknown:
        raise ValueError(f"baselines must be among {sorted(made)}, got {unknown}")
    x = np.arange(N) if x is None else np.asarray(x)
    if x.shape != (N,):
        raise ValueError(f"x must hold a number for each of the {N} steps, got shape {x.shape}")
    _, axes = plt.subplots(figsize=(4.9, 3.4))
    axes.plot(x[since:], actual[since:], color=INK, lw=3.5, alpha=0.65, label="actual")
    hues = iter(_WEIGHTS)
    for name, values in made.items():
        style = {"ls": (0, (3, 1.5)), "lw": 1.4} if name in baselines else {"lw": 1.8}
        axes.plot(x[cut:], values, color=next(hues), label=name, **style)
    border = (x[cut - 1] + x[cut]) / 2
    axes.axvline(border, color=INK, lw=1.2, ls=":")
    for words, side in ("training ", "right"), (" test", "left"):
        axes.text(
            border, 1.0, words, ha=side, va="bottom", transform=axes.get_xaxis_transform(),
            fontsize=11,
        )  # fmt: skip
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.margins(x=0.01)
    _legend(axes, 1 + len(made))
    return axes


def skill(errors, *, baseline, xlabel="error", numbers="{:.2f}"):
    """The errors of several forecasters, the best first, against a baseline's.

    Bars that end before the dashed line are better than the baseline (green), bars that cross it
    are worse (violet).

    errors: dict name -> error, 0 or more. baseline: the name that the others are compared with.
    numbers: the format of the printed errors.
    Raises ValueError for a baseline that is not among the errors, and for a negative or non-finite
    error.

    >>> axes = skill({"last value": 48.0, "LSTM": 19.5}, baseline="last value", xlabel="RMSE")
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['LSTM', 'last value']
    """
    if baseline not in errors:
        raise ValueError(f"baseline must be among {sorted(errors)}, got {baseline!r}")
    errors = {
        name: checks.number(f"errors[{name!r}]", error, minimum=0) for name, error in errors.items()
    }
    level = errors[baseline]
    order = sorted(errors, key=errors.get)
    _, axes = plt.subplots(figsize=(4.8, 0.75 + 0.36 * len(order)))
    for row, name in enumerate(order):
        error = errors[name]
        better = (
            "plain" if name == baseline or error == level else "bad" if error > level else "good"
        )
        axes.barh(row, error, height=0.7, color=COLOURS[better])
        inside = error > 0.3 * max(errors.values())  # else the bar has no room for the number
        axes.annotate(
            numbers.format(error), (error, row), (-4 if inside else 4, 0), va="center",
            textcoords="offset points", ha="right" if inside else "left", fontsize=11,
            color="white" if inside else INK,
        )  # fmt: skip
    axes.axvline(level, color=INK, lw=1.2, ls="--", zorder=0)
    axes.set_yticks(range(len(order)), order)
    axes.set(xlabel=xlabel, ylim=(len(order) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return axes


def rolling_origin_folds(folds, n, *, xlabel="step"):
    """The training and the test part of each fold, one row for each, later folds below.

    No test part lies before its training part, and no row knows what comes after its test part.

    folds: pairs (train, test) of slices, as of ``series.rolling_origin``; at most 20. n: the steps
    of the series.
    Raises ValueError for no fold or more than 20, a part that is empty or reaches outside the
    series, and a test part that begins before its training part ends.

    >>> axes = rolling_origin_folds([(slice(0, 3), slice(3, 4)), (slice(0, 4), slice(4, 5))], n=5)
    >>> len(axes.patches)
    4
    """
    folds, n = list(folds), checks.size("n", n)
    if not 1 <= len(folds) <= 20:
        raise ValueError(f"folds must be 1 to 20, which can be read, got {len(folds)}")
    for k, (train, test) in enumerate(folds):
        if not 0 <= train.start < train.stop <= test.start < test.stop <= n:
            raise ValueError(
                f"folds[{k}] must be a training part, then a test part, inside {n} steps, got "
                f"{train.start}:{train.stop} and {test.start}:{test.stop}"
            )
    _, axes = plt.subplots(figsize=(4.8, 0.85 + 0.3 * len(folds)))
    parts = ("training", COLOURS["tensorflow"]), ("test", COLOURS["pytorch"])
    for k, fold in enumerate(folds):
        axes.plot([0, n], [k, k], color=INK, lw=1, alpha=0.4, zorder=0)
        for part, (_, colour) in zip(fold, parts, strict=True):
            axes.barh(k, part.stop - part.start, left=part.start, height=0.66, color=colour)
    for part, (word, colour), side in zip(folds[0], parts, ("right", "left"), strict=True):
        edge = part.stop if side == "right" else part.start
        gap = " " if side == "left" else ""
        axes.text(edge, -0.55, gap + word + " " * (not gap), color=colour, ha=side, va="bottom")
    axes.set(xlabel=xlabel, ylabel="fold", xlim=(0, n), ylim=(len(folds) - 0.5, -0.6))
    axes.set_yticks(range(len(folds)), range(1, len(folds) + 1))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return axes


def spread(results, *, xlabel="loss", numbers="{:.2f}"):
    """Results over seeds, a dot for each and a bar at the median, one row for each model.

    Where the dots of two rows lie over each other, a difference of their medians is no finding.

    results: dict name -> results of its seeds, at least 2 for each; at most six models. numbers:
    the format of the printed medians.
    Raises ValueError for no model or more than six, fewer than 2 results, and results that are not
    finite.

    >>> axes = spread({"GRU": [1.9, 2.0, 2.2], "LSTM": [1.8, 2.1, 2.1]})
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['GRU', 'LSTM']
    """
    results = _vectors("results", results)
    for name, values in results.items():
        if len(values) < 2:
            raise ValueError(
                f"results[{name!r}] must hold at least 2 seeds, got {len(values)}; one run has no "
                "spread"
            )
    _, axes = plt.subplots(figsize=(4.8, 0.75 + 0.55 * len(results)))
    for row, values in enumerate(results.values()):
        ordered = np.sort(values)
        aside = 0.16 * (np.arange(len(ordered)) % 3 - 1)  # so that equal results all show
        axes.plot(ordered, row + aside, "o", ms=6, alpha=0.65, mew=0, color=_WEIGHTS[row])
        middle = np.median(values)
        axes.plot([middle, middle], [row - 0.32, row + 0.32], color=_WEIGHTS[row], lw=3)
        axes.annotate(
            numbers.format(middle), (1.0, row), (6, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=11, color=_WEIGHTS[row],
        )  # fmt: skip
    axes.annotate(
        "median", (1.0, -0.5), (6, 0), xycoords=("axes fraction", "data"), fontsize=10,
        textcoords="offset points", va="bottom",
    )  # fmt: skip
    axes.set_yticks(range(len(results)), results)
    axes.set(xlabel=xlabel, ylim=(len(results) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return axes


def _vectors(name, values):
    """A dict name -> vector of finite numbers, one to six of them."""
    if not 1 <= len(values) <= len(_WEIGHTS):
        raise ValueError(f"{name} must hold 1 to {len(_WEIGHTS)} entries, got {len(values)}")
    found = {}
    for key, entries in values.items():
        label = f"{name}[{key!r}]" if key else name
        array = checks.array(label, entries).astype(float)
        if array.ndim != 1 or not array.size or not np.isfinite(array).all():
            raise ValueError(f"{label} must be a vector of finite numbers, got shape {array.shape}")
        found[key] = array
    return found


def _legend(axes, count):
    """The names above the axes, where they hide nothing."""
    axes.figure.legend(loc="outside upper center", ncols=min(3, count), fontsize=11)
