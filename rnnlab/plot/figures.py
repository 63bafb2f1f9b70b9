"""The book's figures, in matplotlib.

Every function draws into new axes and returns them; end a cell with ``plt.show()``. Text and lines
are mid-tone on a transparent ground, so that a figure reads on a light page and on a dark one.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.transforms import Bbox

from rnnlab import checks

__all__ = [
    "COLOURS",
    "FILLS",
    "NEGATIVE_POSITIVE",
    "batch_blocks",
    "cell_step",
    "curves",
    "heatmap",
    "letters",
    "one_hot",
    "row_lookup",
    "states",
    "surprise",
    "tracks",
    "unfolded",
    "use_style",
]

# One drawing serves light pages and dark ones, but no tone has 4.5 to 1 against both of them: at
# best it has 4.3. So each is a little too dark for a dark page, which shows its figures LIFT times
# as bright (assets/book.css). Then words have 4.5 to 1 on both, and so have white words on a fill.
LIFT = 1.22
INK = "#75757e"  # text and axes
# Okabe & Ito's palette, which colour-blind readers can tell apart, in tones that both pages bear.
COLOURS = {
    "numpy": "#986f09",
    "pytorch": "#ca4e27",
    "tensorflow": "#2b7bb8",
    "good": "#1a8665",
    "bad": "#b85193",
    "plain": INK,
}
"""The colours of the book by what they stand for: a notation, good or bad, or nothing ("plain").

They are for lines and words. White words need the deeper tones of :data:`FILLS` behind them.
"""
FILLS = {
    "numpy": "#7d5b07",
    "pytorch": "#a64020",
    "tensorflow": "#236597",
    "good": "#156d52",
    "bad": "#974278",
    "plain": "#606067",
}
"""The same colours for areas, deep enough for white words on them."""
NEGATIVE_POSITIVE = LinearSegmentedColormap.from_list(
    "negative_positive", [(0.0, FILLS["tensorflow"]), (0.5, "#57575f"), (1.0, FILLS["pytorch"])]
)
"""A colormap for numbers of either sign: blue below 0, grey at it, orange above.

All of it is deep enough for white numbers.
"""
_DEEP = {COLOURS[name]: FILLS[name] for name in COLOURS}  # from a line's tone to its fill

# Diagrams: one colour for each set of weights.
_WEIGHTS = [COLOURS[name] for name in ("tensorflow", "pytorch", "good", "bad", "numpy", "plain")]
_INDEXED = 13.5  # points: words with an index, for that is drawn at 0.7 of it
_CELL, _RISE = 0.32, 0.34  # inches: the side of a cell, the way of an arrow
_ARROWS = {1: "→", -1: "←"}


def use_style():
    """Set matplotlib up for the book: SVG in notebooks, transparent ground, mid-tone ink.

    The SVG holds no date and no random name, so the same figure is the same file.
    """
    plt.rcParams.update(
        {
            "figure.figsize": (4.9, 3.2),
            "figure.facecolor": "none",
            "figure.constrained_layout.use": True,
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "savefig.pad_inches": 0.03,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "axes.titlesize": 12,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": plt.cycler(color=list(COLOURS.values())),
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "font.size": 12,
            "lines.linewidth": 2.0,
            "legend.frameon": False,
            "svg.fonttype": "path",
            "svg.hashsalt": "rnnlab",
        }
    )
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:  # outside a notebook there is nothing to set
        return
    set_matplotlib_formats("svg", metadata={"Date": None})


def heatmap(values, *, rows=None, columns=None, title="", numbers="{:.2f}", limit=None):
    """A matrix as coloured squares, its numbers in them.

    values (R, C): the matrix.
    rows, columns: labels, R and C of them; ``None``: their numbers.
    title: above the axes.
    numbers: the format of the numbers; an empty string for none.
    limit: the value at which a colour is full, in both directions; ``None``: the largest.
    Raises ValueError if values has not two axes or limit is not above 0.

    >>> axes = heatmap([[0.5, -1.0]], columns=["a", "b"])
    >>> [piece.get_text() for piece in axes.texts]
    ['0.50', '−1.00']
    """
    values = np.asarray(values, float)
    if values.ndim != 2:
        raise ValueError(f"values must have two axes (R, C), got shape {values.shape}")
    limit = np.abs(values).max() if limit is None else checks.number("limit", limit, above=0)
    R, C = values.shape
    _, axes = plt.subplots(figsize=(min(0.8 + 0.62 * C, 7.0), 0.9 + 0.5 * R))
    axes.imshow(values, cmap=NEGATIVE_POSITIVE, vmin=-limit, vmax=limit, aspect="auto")
    axes.set_xticks(range(C), range(C) if columns is None else columns)
    axes.set_yticks(range(R), range(R) if rows is None else rows)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title)
    if numbers:
        for r, c in np.ndindex(R, C):
            axes.text(
                c, r, _minus(numbers.format(values[r, c])), ha="center", va="center", fontsize=10,
                color="white",
            )  # fmt: skip
    return axes


def curves(series, *, x=None, xlabel="step", ylabel="loss (nats per character)", levels=None):
    """Curves on one axis, each a name -> values, and named horizontal levels to compare with.

    Later curves are drawn thinner, so that curves that lie on each other all show.

    series: dict name -> (N,) values; names among :data:`COLOURS` get their colour.
    x (N,): where the values stand; ``None``: at 0, 1, 2, ...
    xlabel, ylabel: what the axes say.
    levels: dict name -> value, drawn dashed and labelled at the right.

    >>> axes = curves({"NumPy": [3.0, 2.0], "PyTorch": [3.0, 2.1]}, levels={"uniform": 4.2})
    >>> [line.get_label() for line in axes.get_lines()][:2]
    ['NumPy', 'PyTorch']
    """
    _, axes = plt.subplots()
    for k, (name, values) in enumerate(series.items()):
        steps = np.arange(len(values)) if x is None else x
        width = max(1.2, 5.0 - 1.8 * k) if len(series) > 1 else 2.0
        axes.plot(steps, values, label=name, lw=width, color=COLOURS.get(name.lower()))
    for name, level in (levels or {}).items():
        axes.axhline(level, color=INK, lw=1, ls="--")
        axes.annotate(
            name, (1.0, level), (4, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=10,
        )  # fmt: skip
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if len(series) > 1:
        axes.legend()
    return axes


def cell_step(x, h, W_x, W_h, b, *, inputs=None):
    """One step of a vanilla cell for one row, with all its numbers: h' = tanh(x W_x + h W_h + b).

    x (I,), h (H,), W_x (I, H), W_h (H, H), b (H,), all small enough to be read. x and h stand
    upright, each number beside the row of the matrix that it multiplies; the products fall into
    a sum as on paper.

    inputs: a name for each entry of x.
    Raises ValueError if a shape does not fit the others.

    >>> axes = cell_step([1, 0], [0.5], W_x=[[0.2], [9]], W_h=[[1]], b=[-0.1])
    >>> "0.54" in {piece.get_text() for piece in axes.texts}  # tanh(0.2 + 0.5 - 0.1)
    True
    """
    x, h, W_x, W_h, b = (np.asarray(part, float) for part in (x, h, W_x, W_h, b))
    if W_x.ndim != 2:
        raise ValueError(f"W_x must have two axes (I, H), got shape {W_x.shape}")
    I, H = W_x.shape
    for name, part, shape in (("x", x, (I,)), ("h", h, (H,)), ("W_h", W_h, (H, H)), ("b", b, (H,))):
        if part.shape != shape:
            raise ValueError(
                f"{name} must have shape {shape} to fit W_x {W_x.shape}, got {part.shape}"
            )
    if inputs is not None and len(inputs) != I:
        raise ValueError(f"inputs must name the {I} entries of x, got {len(inputs)} names")

    drop, rows = 0.8, max(I, H)  # height of a square that is 1 wide; rows of the upper part
    left, right = 1.9, 1.9 + H + 2.5  # where W_x and W_h begin
    sums = rows * drop + 0.75  # where the sum on paper begins
    wide, high = right + H + 0.1, sums + 5 * drop + 1.0
    _, axes = plt.subplots(figsize=(0.56 * wide, 0.56 * (high + 1.3)))
    axes.set(xlim=(-0.1, wide), ylim=(high, -1.3), aspect="equal")
    axes.axis("off")

    def put(column, top, numbers):
        for k, value in enumerate(numbers):
            colour = NEGATIVE_POSITIVE(0.5 + 0.5 * np.clip(value, -1, 1))
            axes.add_patch(
                plt.Rectangle(
                    (column + k + 0.04, top + 0.04), 0.92, drop - 0.08, color=colour, lw=0
                )
            )
            axes.text(
                column + k + 0.5, top + drop / 2, _minus(f"{value:z.2f}"),
                color="white", ha="center", va="center_baseline", fontsize=10,
            )  # fmt: skip

    def say(column, row, words, ha="center", size=12):
        size = _INDEXED if "_" in words else size
        axes.text(column, row, words, ha=ha, va="center", fontsize=size)

    def arrow(*points):
        axes.plot(*zip(*points[:-1], strict=True), color=INK, lw=1.2, solid_joinstyle="miter")
        axes.annotate(
            "", points[-1], points[-2],
            arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.2, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip

    blocks = (left, x, W_x, "$x$", "W_x"), (right, h, W_h, "old $h$", "W_h")
    for start, vector, matrix, name, name_of_matrix in blocks:
        top = (rows - len(vector)) * drop
        say(start - 0.85, top - 0.75, name)
        say(start - 0.85, top - 0.3, f"(1, {len(vector)})", size=10)
        say(start + H / 2, top - 0.75, f"${name_of_matrix}$")
        say(start + H / 2, top - 0.3, f"({len(vector)}, {H})", size=10)
        for k, value in enumerate(vector):
            put(start - 1.35, top + k * drop, [value])
            say(start - 0.17, top + (k + 0.5) * drop, "×", size=10)
            put(start, top + k * drop, matrix[k])
    for k, name in enumerate(inputs or []):
        say(left - 1.55, (rows - I + k + 0.5) * drop, name)

    total = x @ W_x + h @ W_h + b
    lines = ("$x\\,W_x$", x @ W_x), ("$+\\;b$", b), ("$+\\;h\\,W_h$", h @ W_h), ("sum", total)
    for k, (name, numbers) in enumerate(lines):
        row = sums + k * drop + 0.2 * (k == 3)
        say(left - 0.2, row + drop / 2, name, ha="right")
        put(left, row, numbers)
        shape = f"({H},)" if numbers is b else f"(1, {H})"
        say(left + H + 0.15, row + drop / 2, shape, ha="left", size=10)
    axes.plot([left - 1.3, left + H], [sums + 3 * drop + 0.1] * 2, color=INK, lw=1.2)
    new = sums + 4 * drop + 0.95
    say(left - 0.2, new + drop / 2, "new $h$", ha="right")
    put(left, new, np.tanh(total))
    say(left + H + 0.15, new + drop / 2, f"(1, {H})", ha="left", size=10)
    for k in range(H):
        middle = left + k + 0.5
        arrow((middle, rows * drop + 0.1), (middle, sums - 0.02))
        arrow((middle, sums + 4 * drop + 0.25), (middle, new - 0.02))
    say(left - 0.2, new - 0.35, "tanh", ha="right")
    middle, row = right + H / 2, sums + 2.5 * drop
    arrow((middle, rows * drop + 0.1), (middle, row), (left + H + 1.2, row))
    middle, row = right - 0.85, new + drop / 2
    arrow((left + H + 1.2, row), (right - 0.1, row))
    say(right, row, "next step", ha="left")
    return axes


def unfolded(
    text, *, lengths=None, I=4, H=2, read="all", depth=1, bidirectional=False, towers=False,
    states="h", folded=None, symbols=False,
):  # fmt: skip
    """A network unfolded over time: one copy of the cell for each step, with the shapes.

    Time runs to the right, data flow upwards. One colour is one set of weights: the copies of a
    cell share it, another layer or direction has another. Outputs go up, the state goes sideways;
    what is framed among the outputs is the same vector as the framed state at the end of a chain.

    text: a text, B texts drawn one below the other, or a number of steps. lengths: how many steps
    are valid, one number for each text; ``None``: all its letters. Steps past the length are faint,
    their outputs 0, and the state passes them by. I, H: sizes for the shapes. read: "all" outputs
    or the one at the "last" valid step. depth: layers. bidirectional: a second chain in each layer,
    from the right. towers: the directions meet only at the top, not after each layer. states: "h",
    or "hc" for an LSTM. folded: draw the cell with its loop first; ``None``: if there is room.
    symbols: write the shapes as (B, T, I) instead of numbers.
    Raises ValueError for no text, no step or more than 10 steps, lengths that do not fit, an
    unknown ``read`` or ``states``, towers of one direction, more than 6 chains, and a folded cell
    without room.

    >>> axes = unfolded("hello", I=4, H=2)
    >>> [piece.get_text() for piece in axes.texts if "5," in piece.get_text()]
    ['outputs (1, 5, 2)', 'inputs (1, 5, 4)']
    """
    rows = _rows_of_steps(text)
    B, T = len(rows), max(len(row) for row in rows)
    I, H, depth = checks.size("I", I), checks.size("H", H), checks.size("depth", depth)
    if not 1 <= T <= 10:
        raise ValueError(f"text must have 1 to 10 steps, which can be read, got {T}")
    lengths = [len(row) for row in rows] if lengths is None else np.atleast_1d(lengths)
    lengths = checks.lengths(lengths, B, T)
    if read not in ("all", "last"):
        raise ValueError(f"read must be 'all' or 'last', got {read!r}")
    if states not in ("h", "hc"):
        raise ValueError(f"states must be 'h' or 'hc', got {states!r}")
    if towers and not bidirectional:
        raise ValueError("towers are two directions, got one; pass bidirectional=True")
    room = B == depth == 1 and not bidirectional and T <= 5
    if folded and not room:
        raise ValueError("folded needs one text of at most 5 steps, one layer and one direction")
    folded = room if folded is None else folded
    chains = depth * (1 + bidirectional)
    if chains > len(_WEIGHTS):
        raise ValueError(f"depth must give at most {len(_WEIGHTS)} chains, got {chains}")

    # Inches. rise: an arrow's way; chains of an LSTM need room for three lines at their ends.
    rise = _RISE + (0.12 if states == "hc" and chains > 1 else 0)
    # sides: how far each direction stands beside the middle of its column.
    sides = {1: -0.19, -1: 0.19} if bidirectional else {1: 0.0}
    pitch = 0.78 if bidirectional else min(0.58, 4.2 / T)
    joins = [bidirectional and not towers] * (depth - 1) + [True]  # layers whose directions meet
    block = 0.46 + depth * len(sides) * (rise + _CELL) + rise * sum(joins)
    # left: where the columns begin.
    left = 1.36 * folded + (0.62 if bidirectional else 0.42 if depth > 1 else 0.3)
    columns = left + pitch * (np.arange(T) + 0.5)
    sequence = "(B, T, {})" if symbols else f"({B}, {T}, {{}})"
    vector = ("2 × " if states == "hc" else "") + ("(B, {})" if symbols else f"({B}, {{}})")
    I, H, both = ("I", "H", "2H") if symbols else (I, H, 2 * H)
    # reach: from the outer columns to the ends of a chain; a shape stays clear of a W_x, and the
    # start of the equals sign.
    reach = 0.56 if bidirectional or (room and len(vector.format(H)) > 6) else 0.41
    ends = {1: columns[-1] + reach, -1: columns[0] - (0.41 if folded else reach)}
    axes = _canvas(ends[1] + 0.4, 0.5 + B * (block + 0.3))
    output = both if bidirectional else H

    for b, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        floor = 0.3 + b * (block + 0.3) + block  # the height of the letters
        for t, x in enumerate(columns):
            letter = row[t] if t < len(row) else "pad"
            size, weight = (12, "bold") if t < len(row) else (10, "normal")
            _say(axes, x, floor, letter, size, weight=weight)
        source = dict.fromkeys(sides, floor - 0.16)  # where the arrows of each direction begin
        _bars(axes, columns[:length], floor - 0.16, sides)
        for k in range(depth):
            base = min(source.values())
            colours = {way: _WEIGHTS[len(sides) * k + d] for d, way in enumerate(sides)}
            for d, (way, side) in enumerate(sides.items()):
                y = base - (d + 1) * (rise + _CELL) + _CELL / 2
                mark = (str(k + 1) if depth > 1 else "") + (_ARROWS[way] if bidirectional else "")
                _chain(axes, columns + side, y, way, length, ends, colours[way], mark, room)
                for x in columns[:length] + side:
                    _arrow(axes, (x, source[way]), (x, y + _CELL / 2), colour=colours[way])
                    if room:
                        _say(
                            axes,
                            x + 0.04,
                            y + 0.34,
                            "$W_x$",
                            _INDEXED,
                            ha="left",
                            colour=colours[way],
                        )
                source[way] = y - _CELL / 2
                x, final = ends[way] + way * 0.17, length if way == 1 else min(1, length)
                highest = k == depth - 1
                for n, name in enumerate(states):
                    framed = highest and not n
                    _state(axes, x, y + 0.24 * n, name, final, colours[way], framed)
                if b == 0 and highest:
                    _say(axes, x, y - 0.24, "state")
                if b == B - 1:
                    _say(axes, x, y + 0.27 * len(states), vector.format(H))
            if k < depth - 1 and not towers and b == 0:
                y = min(source.values()) - rise / (1 if bidirectional else 2)
                x = columns[0] - (0.36 if bidirectional else 0.06)
                _say(axes, x, y, sequence.format(output), ha="right")
            if joins[k]:
                shown = [length - 1] if k == depth - 1 and read == "last" else range(length)
                shown = [t for t in shown if t >= 0]
                ceiling = min(source.values()) - rise
                for way, side in sides.items():
                    for t in shown:
                        x = columns[t] + side
                        _arrow(axes, (x, source[way]), (x, ceiling), colour=colours[way])
                        if k == depth - 1:
                            framed = t == (length - 1 if way == 1 else 0)
                            _state(axes, x, ceiling - 0.18, "h", t + 1, colours[way], framed)
                _bars(axes, columns[shown], ceiling, sides)
                source = dict.fromkeys(sides, ceiling)
        if read == "all":
            for x in columns[length:]:
                _say(axes, x, ceiling - 0.18, "0", 12)

    whole = read == "all"
    words = f"outputs {sequence}" if whole else "last output " + vector.removeprefix("2 × ")
    _say(axes, columns.mean(), 0.12, words.format(output))
    _say(axes, columns.mean(), floor + 0.26, f"inputs {sequence}".format(I))
    if folded:
        _folded(axes, 0.25, floor - 0.16 - rise - _CELL / 2, vector, I, H)
        _say(axes, 1.2, floor - 0.16 - rise - _CELL / 2, "=", 16)
    return axes


def states(runs, *, limit=1.0, ylabel="step"):
    """States over time, side by side: one panel for each run, a row for each step.

    runs: dict title -> states (T, H), all of one shape.
    limit: the value at which a colour is full, in both directions; the same in every panel.
    ylabel: what the steps are.
    Raises ValueError if there is no run, the shapes differ or limit is not above 0.

    >>> panels = states({"one": [[0.1, -0.2]], "other": [[0.9, 0.3]]})
    >>> [axes.get_title() for axes in panels]
    ['one', 'other']
    """
    runs = {title: np.asarray(values, float) for title, values in runs.items()}
    shapes = {values.shape for values in runs.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"runs must hold states of one shape (T, H), got {sorted(shapes)}")
    limit = checks.number("limit", limit, above=0)
    T, H = next(iter(shapes))
    figure, panels = plt.subplots(
        1, len(runs), sharey=True, squeeze=False, figsize=(4.8, 0.9 + 0.24 * T)
    )
    for axes, (title, values) in zip(panels[0], runs.items(), strict=True):
        picture = axes.imshow(
            values, cmap=NEGATIVE_POSITIVE, vmin=-limit, vmax=limit, aspect="auto"
        )
        axes.set_title(title)
        axes.set_xlabel("unit")
        axes.set_xticks(range(H), range(1, H + 1))
        axes.set_yticks(range(T), range(1, T + 1))
        axes.tick_params(length=0, labelsize=10)
        for spine in axes.spines.values():
            spine.set_visible(False)
    panels[0, 0].set_ylabel(ylabel)
    bar = figure.colorbar(picture, ax=panels[0], ticks=[-limit, 0, limit], aspect=30)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=10)
    return panels[0]


def one_hot(x, symbols):
    """A text as one-hot vectors: a row for each step, a column for each symbol.

    x (T, V), a single 1 in each row. symbols: the V symbols, a string or a Vocabulary. Rows are
    labelled with the letter they stand for, columns with the symbol and its id.
    Raises ValueError if x has not two axes, a row is not one-hot or the symbols are not V.

    >>> axes = one_hot([[0, 1], [1, 0]], "ab")
    >>> [piece.get_text() for piece in axes.texts][:4]
    ['0', '1', '1', '0']
    """
    x, symbols = _one_hot_rows(x, symbols)
    T, V = x.shape
    _, axes = plt.subplots(figsize=(0.9 + 0.44 * V, 1.0 + 0.4 * T))
    _grid(axes, 0, 0, x, [[FILLS["tensorflow"] if value else None for value in row] for row in x])
    for t, row in enumerate(x):
        axes.text(-0.3, t + 0.5, symbols[row.argmax()], ha="center", va="center", weight="bold")
        axes.text(-0.85, t + 0.5, t, ha="right", va="center", fontsize=10)
    for v, symbol in enumerate(symbols):
        axes.text(v + 0.5, -0.35, symbol, ha="center", va="center", weight="bold")
        axes.text(v + 0.5, -0.95, v, ha="center", va="center", fontsize=10)
    axes.text(-0.85, -0.95, "step $t$", ha="right", va="center", fontsize=10)
    axes.text(V / 2, -1.6, "id of the symbol", ha="center", va="center", fontsize=10)
    axes.set(xlim=(-2.1, V + 0.05), ylim=(T + 0.05, -1.9), aspect="equal")
    axes.axis("off")
    return axes


def row_lookup(x, W, symbols):
    """One-hot vectors times a matrix, each row of the product in the colour of the row it copies.

    x (T, V): a single 1 in each row. W (V, H): its numbers. symbols: the V symbols, at most six
    (there are as many colours). All small enough to be read.
    Raises ValueError if a shape does not fit, a row of x is not one-hot or V is above six.

    >>> axes = row_lookup([[0, 1]], [[1, 2], [3, 4]], "ab")
    >>> [piece.get_text() for piece in axes.texts].count("3")  # in W, and copied into x W
    2
    """
    x, symbols = _one_hot_rows(x, symbols)
    W = np.asarray(W, float)
    T, V = x.shape
    if W.ndim != 2 or len(W) != V:
        raise ValueError(f"W must have shape (V, H) with V = {V}, got {W.shape}")
    names = ("pytorch", "tensorflow", "good", "bad", "numpy", "plain")
    if len(names) < V:
        raise ValueError(f"symbols must be at most {len(names)}, one for each colour, got {V}")
    palette = [FILLS[name] for name in names]
    H, ids = W.shape[1], x.argmax(axis=1)
    left, right, high = V + 1.9, V + H + 3.1, max(T, V)  # where W and the product begin
    _, axes = plt.subplots(figsize=(0.39 * (right + H + 0.9), 0.39 * (high + 1.5)))

    def say(column, row, words, **style):
        axes.text(column, row, words, ha="center", va="center", **style)

    ones = [[palette[k] if v == k else None for v in range(V)] for k in ids]
    blocks = (
        ("$x$", x, 0, ones, ids),
        ("$W$", W, left, [[palette[k]] * H for k in range(V)], range(V)),
        ("$x\\,W$", x @ W, right, [[palette[k]] * H for k in ids], []),
    )
    for name, values, column, colours, labels in blocks:
        R, C = values.shape
        top = (high - R) / 2
        _grid(axes, column, top, values, colours)
        say(column + C / 2, top - 0.95, name)
        say(column + C / 2, top - 0.35, f"({R}, {C})", fontsize=10)
        for r, k in enumerate(labels):
            say(column - 0.35, top + r + 0.5, symbols[k], weight="bold")
    say(V + 0.6, high / 2, "×", fontsize=16)
    say(right - 0.6, high / 2, "=", fontsize=16)
    axes.set(xlim=(-0.8, right + H + 0.05), ylim=(high + 0.05, -1.4), aspect="equal")
    axes.axis("off")
    return axes


def tracks(text, batch_size, length):
    """A text cut into tracks, and the first two batches that are read along them.

    text: a short one; its len(text) / batch_size characters for each track should hold two batches
        of ``length`` characters and a few more.
    batch_size: B, the number of tracks.
    length: T, the characters of a batch in each track.
    Raises ValueError if a track is too short for two batches.

    >>> axes = tracks("if you want to build a ship", batch_size=2, length=4)
    >>> [words for words in (piece.get_text() for piece in axes.texts) if "batch" in words]
    ['batch 0', 'batch 1']
    """
    batch_size, length = checks.size("batch_size", batch_size), checks.size("length", length)
    n = len(text) // batch_size
    if n < 2 * length:
        raise ValueError(
            f"text must hold at least {2 * length * batch_size} characters for {batch_size} tracks "
            f"of two batches of {length}, got {len(text)}"
        )
    colours = (COLOURS["tensorflow"], COLOURS["pytorch"])
    _, axes = plt.subplots(figsize=(4.9, 0.8 + 0.36 * batch_size))
    for b in range(batch_size):
        for t, symbol in enumerate(text[b * n : (b + 1) * n]):
            inside = t < 2 * length
            x, y = t + 0.45 * (t // length if inside else 2), 1.35 * b
            _square(axes, x, y, 0.94, 1.0, _DEEP[colours[t // length]] if inside else None)
            axes.text(
                x + 0.47, y + 0.5, _visible(symbol), ha="center", va="center", fontsize=10,
                family="monospace", color="white" if inside else INK,
            )  # fmt: skip
        for edge in (length, 2 * length + 0.45):
            axes.annotate(
                "", (edge + 0.52, 1.35 * b + 0.5), (edge - 0.12, 1.35 * b + 0.5),
                arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.6, "mutation_scale": 11},
            )  # fmt: skip
        axes.text(-0.4, 1.35 * b + 0.5, f"track {b}", ha="right", va="center", fontsize=10)
    for k, colour in enumerate(colours):
        middle = (k + 0.5) * length + 0.45 * k
        axes.text(middle, -0.35, f"batch {k}", ha="center", va="bottom", color=colour, fontsize=11)
    below = 1.35 * batch_size - 0.1
    axes.text(length + 0.2, below, "state", ha="center", va="top", fontsize=10)
    axes.text(2 * length + 0.65, below, "state", ha="center", va="top", fontsize=10)
    axes.set(xlim=(-3.3, n + 1.0), ylim=(below + 0.8, -1.2))
    axes.axis("off")
    return axes


def surprise(text, nats, *, columns=20, limit=5.0):
    """A text in squares, each letter coloured by what a model paid for it.

    text: T characters.
    nats (T,): -log p of each.
    columns: characters in a line.
    limit: the nats at which the colour is full.
    Raises ValueError if text and nats differ in length.

    >>> axes = surprise("to be", [3.0, 0.2, 1.0, 4.5, 0.1], columns=5)
    >>> [piece.get_text() for piece in axes.texts]
    ['t', 'o', '␣', 'b', 'e']
    """
    nats = np.asarray(nats, float)
    if nats.shape != (len(text),):
        raise ValueError(
            f"nats must hold one number for each of the {len(text)} characters, got {nats.shape}"
        )
    columns = checks.size("columns", columns)
    rows = -(-len(text) // columns)
    shades = LinearSegmentedColormap.from_list("shades", [FILLS["plain"], "#b0340c"])
    figure, axes = plt.subplots(figsize=(5.0, 0.5 + 0.27 * rows))
    for k, (symbol, paid) in enumerate(zip(text, nats, strict=True)):
        r, c = divmod(k, columns)
        shade = shades(min(paid / limit, 1.0))
        axes.add_patch(plt.Rectangle((c, r), 0.96, 0.94, lw=0, color=shade))
        axes.text(
            c + 0.48, r + 0.5, _visible(symbol), ha="center", va="center", fontsize=12,
            family="monospace", color="white",
        )  # fmt: skip
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    axes.axis("off")
    scale = plt.cm.ScalarMappable(plt.Normalize(0, limit), shades)
    bar = figure.colorbar(scale, ax=axes, ticks=[0, limit], aspect=12, pad=0.02)
    bar.ax.set_yticklabels(["0", f"{limit:g}+ nats"])
    bar.outline.set_visible(False)
    return axes


_ROWS = ("tensorflow", "pytorch", "good", "bad", "numpy", "plain")  # a colour for each text


def batch_blocks(texts, input_size, hidden_size):
    """A batch of texts as a block (B, T, I), and below it the block of outputs (B, T, H).

    Rows lie along the page's height, steps along its width, the numbers of a letter go into the
    depth. Arrows carry each row's state from step to step; what is left at the end is (B, H).

    texts: at most six strings of one length (there are as many colours).
    Raises ValueError if there is no text, they are too many or differ in length, or a size is
    below 1.

    >>> axes = batch_blocks(["hello", "eolll", "lleel"], input_size=4, hidden_size=2)
    >>> [piece.get_text() for piece in axes.texts if "(3, 5" in piece.get_text()]
    ['(3, 5, 4)', '(3, 5, 2)']
    """
    texts = _same_length("texts", texts)
    input_size = checks.size("input_size", input_size)
    hidden_size = checks.size("hidden_size", hidden_size)
    if len(texts) > len(_ROWS):
        raise ValueError(f"texts must be at most {len(_ROWS)}, one a colour, got {len(texts)}")
    B, T = len(texts), len(texts[0])
    lean = 0.6 / max(input_size, hidden_size, 3)  # how far each layer moves to the right and up
    pitch, across, above = 1.75, hidden_size * lean, (input_size - 1) * lean
    lower = B + 1.1 + across  # where the outputs' front begins
    left, right, low = -2.7, T * pitch + 1 + across + 1.3, lower + B + 1.25
    _, axes = plt.subplots(figsize=(0.35 * (right - left), 0.35 * (low + above + 0.2)))

    def say(x, y, words, **style):
        axes.text(x, y, words, **{"ha": "center", "va": "center", "fontsize": 11} | style)

    def arrow(start, end):
        look = {"arrowstyle": "-|>", "color": INK, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", end, start, arrowprops=look | {"mutation_scale": 9})

    def numbers(x, top, size, symbols=None):
        """One step: B rows, ``size`` numbers in the depth of each, the letters in front."""
        for d in reversed(range(size)):
            for b in range(B):
                corner = (x + d * lean + 0.03, top + b - d * lean + 0.03)
                colour = FILLS[_ROWS[b]]
                box = {"facecolor": colour, "edgecolor": "#ffffff", "lw": 0.5}
                axes.add_patch(plt.Rectangle(corner, 0.94, 0.94, **box))
        for b, symbol in enumerate(symbols or []):
            look = {"color": "white", "family": "monospace", "va": "center_baseline"}
            say(x + 0.5, top + b + 0.52, _visible(symbol), **look)

    for t in range(T):
        x = t * pitch
        numbers(x, 0, input_size, [text[t] for text in texts])
        numbers(x, lower, hidden_size)
        arrow((x + 0.5, B + 0.1), (x + 0.5, lower - across + lean - 0.05))
        for b in range(B):
            y = lower + b + 0.65
            arrow((x + 1 + across - lean, y), (x + pitch - 0.02, y))
        say(x + 0.5, lower + B + 0.35, t + 1, fontsize=10)
    end = T * pitch
    numbers(end, lower, hidden_size)
    for top, name, size in (0, "inputs", input_size), (lower, "outputs", hidden_size):
        say(-0.25, top + B / 2 - 0.35, name, ha="right")
        say(-0.25, top + B / 2 + 0.35, f"({B}, {T}, {size})", ha="right", fontsize=10)
    say(-0.25, B + 0.25, f"$B$ = {B} texts ↑", ha="right", fontsize=10)
    say(end - pitch + 1.45 + above, 0.3 - above / 2, f"$I$ = {input_size}", ha="left", fontsize=10)
    say(
        end + 1.1 + across, lower + 0.3 - across / 2, f"$H$ = {hidden_size}", ha="left", fontsize=10
    )
    say(end + 0.5, lower + B + 0.35, "state")
    say(end + 0.5, lower + B + 0.95, f"({B}, {hidden_size})", fontsize=10)
    say((end - pitch + 1) / 2, lower + B + 0.95, f"$T$ = {T} steps →", fontsize=10)
    axes.set(xlim=(left, right), ylim=(low, -above - 0.2), aspect="equal")
    axes.axis("off")
    return axes


def letters(panels):
    """Grids of letters side by side, each letter on a colour: what stands where, and whose it is.

    panels: dict title -> (rows, colours, (down, across)). rows: strings of one length. colours: for
    each letter a name among COLOURS, or ``None`` for none. down, across: what the two axes count.
    Raises ValueError if there is no panel, rows differ in length or colours do not fit.

    >>> colours = [["good", "good"], ["bad", None]]
    >>> axes = letters({"right": (["he", "lo"], colours, ("row", "step"))})
    >>> [piece.get_text() for piece in axes.texts][-4:]
    ['h', 'e', 'l', 'o']
    """
    if not panels:
        raise ValueError("panels must hold at least one grid, got none")
    gap, start, places = 1.9, 0.0, []
    for title, (rows, colours, names) in panels.items():
        rows = _same_length("rows", rows)
        if [len(line) for line in colours] != [len(row) for row in rows]:
            raise ValueError(f"colours must be {len(rows)} x {len(rows[0])}, one for each letter")
        unknown = {name for line in colours for name in line} - {None, *COLOURS}
        if unknown:
            raise ValueError(f"colours must be among {sorted(COLOURS)}, got {sorted(unknown)}")
        places.append((start, title, rows, colours, names))
        start += max(len(rows[0]), 0.36 * len(title)) + gap
    high = max(len(rows) for _, _, rows, _, _ in places)
    wide = start - gap + 0.1
    _, axes = plt.subplots(figsize=(0.31 * (wide + 1.0), 0.31 * (high + 2.1)))

    def say(x, y, words, **style):
        axes.text(x, y, words, **{"ha": "center", "va": "center", "fontsize": 10} | style)

    for left, title, rows, colours, (down, across) in places:
        say(left + len(rows[0]) / 2, -1.55, title, fontsize=12)
        say(left + len(rows[0]) / 2, -0.5, f"{across} →")
        say(left - 0.5, len(rows) / 2, f"← {down}", rotation=90)
        for (r, row), line in zip(enumerate(rows), colours, strict=True):
            for (c, symbol), name in zip(enumerate(row), line, strict=True):
                _square(axes, left + c + 0.04, r + 0.04, 0.92, 0.92, FILLS.get(name))
                say(
                    left + c + 0.5, r + 0.52, _visible(symbol), fontsize=12, family="monospace",
                    color="white" if name else INK, va="center_baseline",
                )  # fmt: skip
    axes.set(xlim=(-1.0, wide), ylim=(high + 0.1, -2.1), aspect="equal")
    axes.axis("off")
    return axes


def _same_length(name, texts):
    """A list of texts, all of one length and not empty."""
    texts = list(texts)
    if len({len(text) for text in texts}) != 1 or not texts[0]:
        raise ValueError(
            f"{name} must be strings of one length, at least 1, got {[len(t) for t in texts]}"
        )
    return texts


def _visible(symbol):
    """A character that can be seen."""
    return {" ": "␣", "\n": "↵"}.get(symbol, symbol)


def _one_hot_rows(x, symbols):
    """One-hot rows and what their columns stand for, with a space made visible."""
    x = np.asarray(x, float)
    if x.ndim != 2:
        raise ValueError(
            f"x must have two axes (T, V), got shape {x.shape}; draw one row of a batch"
        )
    if not (((x == 0) | (x == 1)).all() and (x.sum(axis=1) == 1).all()):
        raise ValueError("x must hold a single 1 in each row and zeros besides")
    symbols = getattr(symbols, "symbols", symbols)
    if len(symbols) != x.shape[1]:
        raise ValueError(f"symbols must be V = {x.shape[1]} symbols, got {len(symbols)}")
    return x, [_visible(symbol) for symbol in symbols]


def _grid(axes, left, top, values, colours):
    """Whole numbers in squares, white on a colour, or in an outline where it is ``None``."""
    for (r, c), value in np.ndenumerate(values):
        colour = colours[r][c]
        _square(axes, left + c + 0.04, top + r + 0.04, 0.92, 0.92, colour)
        axes.text(
            left + c + 0.5, top + r + 0.5, f"{value:g}", ha="center", va="center_baseline",
            fontsize=11, color=INK if colour is None else "white",
        )  # fmt: skip


def _square(axes, x, y, wide, high, colour=None, *, line=0.02):
    """A square filled with a colour, or its outline alone, which is seen on both pages.

    line: how far the outline keeps inside, in the units of the axes.
    """
    if colour is not None:
        axes.add_patch(plt.Rectangle((x, y), wide, high, lw=0, color=colour))
        return
    corner, wide, high = (x + line, y + line), wide - 2 * line, high - 2 * line
    style = {"fill": False, "edgecolor": INK, "lw": 0.7, "alpha": 0.8}
    axes.add_patch(plt.Rectangle(corner, wide, high, **style))


def _minus(number):
    """A printed number with the minus sign that axes have."""
    return number.replace("-", "−")


class _Drawing(Axes):
    """Axes of a drawing: as large as what is drawn, so that no margin is stored with it."""

    def get_tightbbox(self, renderer=None, **options):
        arrows = [getattr(text, "arrow_patch", None) for text in self.texts]
        drawn = [*self.patches, *self.lines, *self.texts, *filter(None, arrows)]
        boxes = [artist.get_tightbbox(renderer) for artist in drawn]
        # matplotlib 3.11 has no box for an arrow without words, but for its patch.
        return Bbox.union([box for box in boxes if np.isfinite(box.extents).all()])


def _canvas(wide, high):
    """Axes of a drawing in inches, y downwards, without a frame."""
    # Not "none": after a savefig matplotlib would fall back to the style's layout, and warn.
    still = PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=False)
    figure = plt.figure(figsize=(wide, high), layout=still)
    axes = figure.add_axes((0, 0, 1, 1), axes_class=_Drawing)
    axes.set(xlim=(0, wide), ylim=(high, 0))
    axes.axis("off")
    return axes


def _say(axes, x, y, words, size=10, *, colour=INK, ha="center", **style):
    axes.text(x, y, words, ha=ha, va="center", fontsize=size, color=colour, **style)


def _arrow(axes, *points, colour=INK, **style):
    """A line through points that ends in an arrowhead."""
    style = {"color": colour, "lw": 1.4, "solid_joinstyle": "miter"} | style
    axes.plot(*zip(*points, strict=True), **style)
    axes.annotate(
        "", points[-1], points[-2],
        arrowprops={
            "arrowstyle": "-|>", "color": colour, "lw": 0, "shrinkA": 0, "shrinkB": 0,
            "mutation_scale": 9,
        },
    )  # fmt: skip


def _rows_of_steps(text):
    """What stands at each step of each text: its letters, or x_1, x_2, ..."""
    if isinstance(text, (int, np.integer)):
        return [[f"$x_{{{t + 1}}}$" for t in range(checks.size("text", text))]]
    rows = [text] if isinstance(text, str) else list(text)
    if not rows:
        raise ValueError("text must hold at least one text, got none")
    return [[_visible(letter) for letter in row] for row in rows]


def _chain(axes, xs, y, way, length, ends, colour, mark, weights):
    """One row of cells, and the state that they hand on from one end to the other."""
    half, order = _CELL / 2, range(len(xs))[::way]
    for t in order:
        _cell(axes, xs[t], y, colour, mark, pale=t >= length)
    here, passes = ends[-way], False  # passes: by padded steps
    _say(axes, here - way * 0.09, y, "0")
    for t in order:
        if t < length:
            _hand_on(axes, here, xs[t] - way * half, y, colour, passes)
            if weights and t:
                _say(axes, (here + xs[t] - half) / 2, y - 0.27, "$W_h$", _INDEXED, colour=colour)
            here, passes = xs[t] + way * half, False
        else:
            passes = True
    _hand_on(axes, here, ends[way], y, colour, passes)


def _hand_on(axes, start, end, y, colour, dashed):
    _arrow(axes, (start, y), (end, y), colour=colour, ls=(0, (2, 1.5)) if dashed else "-", zorder=3)


def _cell(axes, x, y, colour, mark="", pale=False):
    inside = {"fill": False, "edgecolor": colour, "lw": 0.9}
    side = _CELL - 0.02 * pale
    axes.add_patch(
        FancyBboxPatch(
            (x - side / 2, y - side / 2), side, side, boxstyle="round,pad=0,rounding_size=0.06",
            **(inside if pale else {"color": _DEEP[colour], "lw": 0}),
        )
    )  # fmt: skip
    _say(axes, x, y, mark, colour=colour if pale else "white")


def _state(axes, x, y, name, step, colour, framed):
    """The name of a state after a step, "0" before the first, framed if it is singled out."""
    _say(axes, x, y, f"${name}_{{{step}}}$" if step else "0", _INDEXED, colour=colour)
    if framed and step:
        axes.add_patch(
            FancyBboxPatch(
                (x - 0.14, y - 0.12), 0.28, 0.24, boxstyle="round,pad=0,rounding_size=0.05",
                edgecolor=colour, facecolor="none", lw=1.4,
            )
        )  # fmt: skip


def _bars(axes, columns, y, sides):
    """Where the two directions part or meet; nothing where there is only one."""
    for x in columns if len(sides) > 1 else []:
        axes.plot([x - 0.3, x + 0.3], [y, y], color=INK, lw=2.5, solid_capstyle="round")


def _folded(axes, x, y, vector, I, H):
    """One cell with its loop, and the shapes of one step."""
    colour, half = _WEIGHTS[0], _CELL / 2
    _cell(axes, x, y, colour)
    _arrow(axes, (x, y + half + _RISE), (x, y + half), colour=colour)
    _arrow(axes, (x, y - half), (x, y - half - _RISE), colour=colour)
    ear = [(x + half, y - 0.09), (x + 0.5, y - 0.32), (x + 0.5, y + 0.32), (x + half, y + 0.09)]
    loop = Path(ear, [Path.MOVETO, *[Path.CURVE4] * 3])
    axes.add_patch(
        FancyArrowPatch(path=loop, arrowstyle="-|>", mutation_scale=9, color=colour, lw=1.4)
    )
    _say(axes, x + 0.04, y + 0.34, "$W_x$", _INDEXED, ha="left", colour=colour)
    _say(axes, x + 0.44, y - 0.06, "$W_h$", _INDEXED, ha="left", colour=colour)
    for words, down in ("state", 0.32), (vector.format(H), 0.48):
        _say(axes, x + 0.46, y + down, words, ha="left")
    _say(axes, x, y + half + _RISE + 0.16, "$x_t$", _INDEXED)
    _say(axes, x, y + half + _RISE + 0.42, vector.removeprefix("2 × ").format(I))
    _say(axes, x, y - half - _RISE - 0.16, "$h_t$", _INDEXED, colour=colour)
    _say(axes, x, y - half - _RISE - 0.40, vector.removeprefix("2 × ").format(H))
