"""What happens inside an LSTM and a GRU: the flow of one step, and the gates over a text."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Circle, FancyBboxPatch
from matplotlib.text import Text

from rnnlab import checks
from rnnlab.plot.figures import (
    _DEEP,
    _INDEXED,
    COLOURS,
    INK,
    NEGATIVE_POSITIVE,
    _arrow,
    _canvas,
    _minus,
    _say,
    _visible,
)

__all__ = ["gates", "gru_step", "lstm_parts", "lstm_step"]

_OPEN = LinearSegmentedColormap.from_list("open", ["#4a4a55", "#3fc79a"])  # a gate, shut to open
# What a quantity is called, its range (None: as large as it comes) and its colour in a diagram.
_MEANING = {
    "i": ("write", "gate", "tensorflow"),
    "f": ("keep", "gate", "pytorch"),
    "g": ("new", "value", "good"),
    "o": ("show", "gate", "bad"),
    "r": ("reset", "gate", "bad"),
    "z": ("keep", "gate", "pytorch"),
    "n": ("new", "value", "good"),
    "h": ("state", "value", "plain"),
    "c": ("cell", "road", "numpy"),
}
_WIDE, _HIGH = 0.5, 0.26  # inches: a number's square
_NAME = 0.92  # inches: the width of a gate's name


def gates(values, text):
    """What the gates of a cell do over a text: one panel for each, a row for each unit.

    Time runs to the right, a column for each letter. Gates go from shut (dark, 0) to open (green,
    1); values from -1 (blue) to 1 (orange); the cell state c, which has no bounds, is full at its
    largest entry where that is above 1, and then it stands beside its panel.

    values: dict name -> (T, H), all of one shape, drawn in this order; the names among i f g o c h
    (LSTM) and r z n h (GRU). text: the T letters.
    Raises ValueError for no values, an unknown name, shapes that differ, values outside a gate's
    range (the sums before the sigmoid, perhaps), and a text of another length.

    >>> axes = gates({"f": [[0.9], [0.1]], "c": [[2.0], [-0.5]]}, "ab")
    >>> [panel.get_ylabel() for panel in axes]
    ['f\\nkeep', 'c\\ncell']
    """
    values = {name: np.asarray(entries, float) for name, entries in values.items()}
    unknown = sorted(set(values) - set(_MEANING))
    if unknown or not values:
        raise ValueError(f"values must be named among {' '.join(_MEANING)}, got {unknown}")
    shapes = {entries.shape for entries in values.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"values must be of one shape (T, H), got {sorted(shapes)}")
    T, H = next(iter(shapes))
    if len(text) != T:
        raise ValueError(f"text must have one letter for each of the {T} steps, got {len(text)}")
    bounds = {"gate": (0, 1), "value": (-1, 1), "road": (-np.inf, np.inf)}
    for name, entries in values.items():
        low, high = bounds[_MEANING[name][1]]
        if not (np.isfinite(entries) & (entries >= low) & (entries <= high)).all():
            raise ValueError(
                f"values[{name!r}] must be finite and lie between {low} and {high}, got "
                f"{entries.min():.3g} to {entries.max():.3g}; pass what comes after the sigmoid or "
                "the tanh"
            )
    high = max(0.14 * H + 0.06, 0.44)  # of a panel; two lines of text fit beside it
    figure = plt.figure(figsize=(4.9, 0.85 + len(values) * high))
    grid = figure.add_gridspec(len(values) + 1, 2, height_ratios=[high] * len(values) + [0.1])
    panels = np.array([figure.add_subplot(grid[k, :]) for k in range(len(values))])
    for axes, (name, entries) in zip(panels, values.items(), strict=True):
        word, kind, colour = _MEANING[name]
        limit = max(1.0, np.abs(entries).max())  # above 1: a cell state only
        colours, least = (_OPEN, 0) if kind == "gate" else (NEGATIVE_POSITIVE, -limit)
        axes.imshow(entries.T, cmap=colours, vmin=least, vmax=limit, aspect="auto")
        axes.set_ylabel(
            f"{name}\n{word}", rotation=0, ha="right", va="center", fontsize=11,
            color=COLOURS[colour],
        )  # fmt: skip
        if limit > 1:
            axes.text(
                1.01, 0.5, f"±{limit:.1f}", transform=axes.transAxes, va="center", fontsize=10
            )
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
    panels[0].set_xticks(range(T), [_visible(letter) for letter in text])
    panels[0].tick_params(length=0, labeltop=True, labelbottom=False, labelsize=13)
    for letter in panels[0].get_xticklabels():
        letter.set(family="monospace", weight="bold")
    bars = (_OPEN, (0, 1), ("0 shut", "1 open")), (NEGATIVE_POSITIVE, (-1, 0, 1), ("−1", "0", "1"))
    for column, (colours, ticks, words) in enumerate(bars):
        scale = plt.cm.ScalarMappable(plt.Normalize(ticks[0], ticks[-1]), colours)
        bar = figure.colorbar(
            scale, cax=figure.add_subplot(grid[-1, column]), orientation="horizontal"
        )
        bar.set_ticks(ticks, labels=words, fontsize=10)
        bar.ax.tick_params(length=0)
        bar.outline.set_visible(False)
    return panels


def lstm_step(x=None, h=None, c=None, W_x=None, W_h=None, b=None):
    """One step of an LSTM: the road of the cell state above, the four gates below.

    The road runs from the old c to the new one and meets two things only: a product with f (what
    is kept) and a sum with i times g (what is written). o decides what of it is shown as the new h.
    Lines that cross without a circle do not meet.

    Without arguments: the flow alone. With all of them, for one row: every number of the step, the
    sums below their gates as on paper. x (I,), h (H,), c (H,), W_x (I, 4H), W_h (H, 4H), b (4H,),
    the gates in the order i f g o; H is 1 or 2, which can be read.
    Raises ValueError if an argument is missing, a shape does not fit the others or H is above 2.

    >>> axes = lstm_step([1], [0], [2], W_x=[[0, 9, 0, 0]], W_h=[[0, 0, 0, 0]], b=[0, 0, 0, 0])
    >>> {"2.00", "1.00", "0.96", "0.48"} <= {piece.get_text() for piece in axes.texts}
    True
    """
    given = _checked(4, x=x, h=h, c=c, W_x=W_x, W_h=W_h, b=b)
    road, low, gate = (0.62, 1.9, 2.22) if given else (0.42, 1.12, 1.42)
    axes, (xi, xf, xg, xo), left, right = _stage(given, gate + (2.05 if given else 1.45))
    _lstm_flow(axes, (xi, xf, xg, xo), (left, right), (road, low, gate), 0.38 if given else 0.2)

    if not given:
        for x, name in zip((xi, xf, xg, xo), "ifgo", strict=True):
            _gate(axes, x, gate, name)
        _source(axes, (xi, xo), gate + 0.73, "$x\\,W_x + h\\,W_h + b$", h=xi, x=xf)
        return axes
    x, h, c, W_x, W_h, b = given
    lines = [part.reshape(4, -1) for part in (x @ W_x, h @ W_h, b)]
    i, f, g, o = opened = [np.tanh(a) if k == 2 else _sigmoid(a) for k, a in enumerate(sum(lines))]
    new = f * c + i * g
    for x, name, values in zip((xi, xf, xg, xo), "ifgo", opened, strict=True):
        _gate(axes, x, gate, name, values)
    _sums(axes, (xi, xf, xg, xo), gate + 0.98, lines)
    for x, y, values in (xi, road, c), ((xf + xg) / 2, road, f * c), ((xg + xo) / 2, road, new):
        _values(axes, x, y, values, upright=True)
    _values(axes, xg, (road + low) / 2 + 0.05, i * g)
    _values(axes, xo, road + 0.68, np.tanh(new))
    _values(axes, xo + 0.5, low, o * np.tanh(new), upright=True)
    return axes


def lstm_parts():
    """One step of an LSTM drawn three times: each time one thing that it does in colour.

    Keep: the old c times f. Write: i times g is added. Show: the new h is o times tanh of the new
    c. The rest is faint. Without numbers; :func:`lstm_step` has them.

    >>> [piece.get_text() for piece in lstm_parts().texts if piece.get_alpha() is None][:2]
    ['Keep', 'old $c$']
    """
    high = 2.42
    axes, columns, left, right = _stage(None, 3 * high)
    tasks = {"keep": ("f", "Keep"), "write": ("ig", "Write"), "show": ("o", "Show")}
    for k, (lit, (names, title)) in enumerate(tasks.items()):
        top = k * high
        _say(axes, left, top + 0.14, title, 12, ha="left", weight="bold")
        road, low, gate = (top + y for y in (0.62, 1.32, 1.62))
        parts = _lstm_flow(axes, columns, (left, right), (road, low, gate), 0.2)
        for x, name in zip(columns, "ifgo", strict=True):
            before = set(axes.get_children())
            _gate(axes, x, gate, name)
            part = lit if name in names else f"gate {name}"
            parts.setdefault(part, []).extend(set(axes.get_children()) - before)
        for part, artists in parts.items():
            if part not in (lit, "road"):
                for artist in artists:
                    _fade(getattr(artist, "arrow_patch", artist))
    return axes


def _fade(artist):
    """Make a part faint: boxes become outlines, lines pale, words grey; circles stay."""
    if isinstance(artist, Text) and artist.get_text() not in "×+":
        artist.set(color=INK, alpha=1)
    elif isinstance(artist, FancyBboxPatch):
        artist.set(fill=False, edgecolor=INK, lw=0.8, alpha=0.5)
    elif not isinstance(artist, (Circle, Text)):
        artist.set_alpha(0.25)


def _lstm_flow(axes, columns, ends, heights, above):
    """The lines and circles of an LSTM's step, without its gates: -> the artists of each part."""
    (xi, xf, xg, xo), (left, right), (road, low, gate) = columns, ends, heights
    parts, seen = {}, set(axes.get_children())

    def part(name):
        parts[name] = [artist for artist in axes.get_children() if artist not in seen]
        seen.update(parts[name])

    _road(axes, left, right, road)
    _say(axes, left, road - above, "old $c$", 11, ha="left")
    _say(axes, right, road - above, "new $c$", 11, ha="right")
    part("road")
    _arrow(axes, (xf, gate), (xf, road + _NODE), colour=_hue("f"))
    _node(axes, xf, road, "×")
    part("keep")
    _across(axes, (xi, gate), (xi, low), (xg - _NODE, low), over=xf, colour=_hue("i"))
    _arrow(axes, (xg, gate), (xg, low + _NODE), colour=_hue("g"))
    _arrow(axes, (xg, low), (xg, road + _NODE))
    _node(axes, xg, low, "×")
    _node(axes, xg, road, "+")
    part("write")
    _arrow(axes, (xo, road), (xo, low - _NODE), colour=_hue("c"))
    _arrow(axes, (xo, gate), (xo, low + _NODE), colour=_hue("o"))
    _arrow(axes, (xo, low), (right, low))
    _node(axes, xo, low, "×")
    _pill(axes, xo, road + 0.35, 0.46, "tanh")
    _say(axes, right, low - above, "new $h$", 11, ha="right")
    part("show")
    return parts


def gru_step(x=None, h=None, W_x=None, W_h=None, b=None, b_hn=None, *, reset_after=True):
    """One step of a GRU: the road of the state above, the two gates and the new value below.

    The road runs from the old h to the new one: z decides what of it is kept, and 1 - z what of
    the new value n is added. r decides how much of the old h the new value is made from: after
    the product with W_hn, or before it (reset_after=False).
    Lines that cross without a circle do not meet.

    Without arguments: the flow alone. With all of them, for one row: every number of the step, the
    sums below their gates as on paper. x (I,), h (H,), W_x (I, 3H), W_h (H, 3H), b (3H,), in the
    order r z n, and b_hn (H,), with reset_after only; H is 1 or 2, which can be read.
    Raises ValueError if an argument is missing, a shape does not fit the others, H is above 2 or
    b_hn is given for a GRU that resets before.

    >>> axes = gru_step([1], [2], W_x=[[0, 0, 0]], W_h=[[0, 0, 0]], b=[0, 9, 0], b_hn=[0])
    >>> [piece.get_text() for piece in axes.texts].count("2.00")  # kept: the old h and the new
    3
    """
    if not reset_after and b_hn is not None:
        raise ValueError("b_hn belongs to reset_after=True only, got one with reset_after=False")
    parts = {"x": x, "h": h, "W_x": W_x, "W_h": W_h, "b": b} | (
        {"b_hn": b_hn} if reset_after else {}
    )
    given = _checked(3, **parts)
    # turn: the height at which r meets the old h; low: at which both shares of n meet.
    road, middle, new, low = (0.62, 1.5, 1.8, 2.75) if given else (0.42, 0.92, 1.2, 1.92)
    turn = low if reset_after else low + (1.04 if given else 0.62)
    gate = turn + 0.3
    axes, (xr, xz, xh, xx), left, right = _stage(given, gate + (2.05 if given else 1.45))
    source = gate + (0.98 - _HIGH / 2 if given else 0.53)  # where the sums end
    _road(axes, left, right, road)
    _arrow(axes, (xz, gate), (xz, road + _NODE), colour=_hue("z"))
    _arrow(axes, (xz, middle), (xx - _NODE, middle), colour=_hue("z"))
    _across(axes, (xr, gate), (xr, turn), (xh - _NODE, turn), over=xz, colour=_hue("r"))
    _arrow(axes, (xh, source), (xh, turn + _NODE))
    _arrow(axes, *[(xh, turn)] * (not reset_after), (xh, low), (xx - _NODE, low))
    _arrow(axes, (xx, source), (xx, low + _NODE))
    _arrow(axes, (xx, new), (xx, middle + _NODE), colour=_hue("n"))
    _arrow(axes, (xx, middle), (xx, road + _NODE), colour=_hue("n"))
    for place in (xz, road), (xx, middle), (xh, turn):
        _node(axes, *place, "×")
    for place in (xx, road), (xx, low):
        _node(axes, *place, "+")
    _pill(axes, (xz + xh) / 2 - 0.1, middle, 0.36, "1 −", _hue("z"))
    if not reset_after:
        _pill(axes, xh, low + 0.34, 0.42, "$W_{hn}$")
    above = 0.38 if given else 0.2
    _say(axes, left, road - above, "old $h$", 11, ha="left")
    _say(axes, right, road - above, "new $h$", 11, ha="right")

    if not given:
        for x, name in (xr, "r"), (xz, "z"):
            _gate(axes, x, gate, name)
        _gate(axes, xx, new, "n", start=low - _NODE)
        bar = gate + 0.73
        _source(axes, (xr, xz), bar, "$x\\,W_x + h\\,W_h + b$", h=xr, x=xz)
        words = "$h\\,W_{hn}$\n$+\\;b_{hn}$" if reset_after else "$h$"
        if reset_after:
            _source(axes, (xh,), bar, words, h=xh)
        else:
            axes.plot([xh, xh], [bar + 0.5, source], color=INK, lw=1.4)
            _say(axes, xh, bar + 0.62, "old $h$", 11)
        _source(axes, (xx,), bar, "$x\\,W_{xn}$\n$+\\;b_n$", x=xx)
        return axes
    x, h, W_x, W_h, b, *rest = given
    from_x, from_h, bias = (part.reshape(3, -1) for part in (x @ W_x, h @ W_h, b))
    r, z = _sigmoid(from_x + from_h + bias)[:2]
    if reset_after:
        recurrent = from_h[2] + rest[0]
        reset = share = r * recurrent
    else:
        reset = r * h
        share = reset @ W_h[:, -len(h) :]
    n = np.tanh(from_x[2] + bias[2] + share)
    _gate(axes, xr, gate, "r", r)
    _gate(axes, xz, gate, "z", z)
    _gate(axes, xx, new, "n", n, start=low - _NODE)
    top = gate + 0.98
    lines = [
        [*from_x[:2], None, from_x[2]],
        [*from_h[:2], from_h[2] if reset_after else None, None],
        [*bias[:2], rest[0] if reset_after else None, bias[2]],
    ]
    _sums(axes, (xr, xz, xh, xx), top, lines)
    if not reset_after:
        _values(axes, xh, top, h)
        _say(axes, xh, top + 0.38, "old $h$", 11)
        _values(axes, xh, turn - 0.36, reset)
    for x, y, values in (
        (xr, road, h), (xh, road, z * h), (right - 0.5, road, z * h + (1 - z) * n),
        (xh + 0.02, middle, 1 - z), ((xh + xx) / 2 + 0.02, low, share),
    ):  # fmt: skip
        _values(axes, x, y, values, upright=True)
    _values(axes, xx, (road + middle) / 2 + 0.02, (1 - z) * n)
    return axes


_NODE = 0.12  # inches: the radius of a circle
_READ = {"h": "old $h$", "x": "$x$"}
_FUNCTIONS = {"g": "tanh", "n": "tanh"}  # of all others: a sigmoid


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _hue(name):
    return COLOURS[_MEANING[name][2]]


def _checked(G, **parts):
    """The parts of a step as arrays that fit each other; ``None`` if none is given."""
    missing = [name for name, part in parts.items() if part is None]
    if len(missing) == len(parts):
        return None
    if missing:
        raise ValueError(f"{', '.join(missing)} must be given, too; pass all of {', '.join(parts)}")
    parts = {name: checks.array(name, part).astype(float) for name, part in parts.items()}
    for name in "xh":
        if parts[name].ndim != 1:
            raise ValueError(f"{name} must be one row, got shape {parts[name].shape}")
    I, H = len(parts["x"]), len(parts["h"])
    if not 1 <= H <= 2:
        raise ValueError(f"h must have 1 or 2 entries, which can be read, got {H}")
    shapes = {
        "x": (I,), "h": (H,), "c": (H,), "W_x": (I, G * H), "W_h": (H, G * H), "b": (G * H,),
        "b_hn": (H,),
    }  # fmt: skip
    for name, part in parts.items():
        if part.shape != shapes[name]:
            raise ValueError(
                f"{name} must have shape {shapes[name]} to fit x ({I},) and h ({H},), "
                f"got {part.shape}"
            )
    return list(parts.values())


def _stage(given, high):
    """Axes, the middles of four columns, and where the road begins and ends."""
    if given:
        return _canvas(5.3, high), 1.2 + 1.03 * np.arange(4), 0.3, 5.2
    return _canvas(4.6, high), 0.6 + 0.98 * np.arange(4), 0.1, 4.5


def _road(axes, left, right, y):
    axes.plot([left, right - 0.1], [y, y], color=_hue("c"), lw=4, solid_capstyle="butt")
    head = [(right, y), (right - 0.2, y - 0.1), (right - 0.2, y + 0.1)]
    axes.add_patch(plt.Polygon(head, color=_hue("c"), lw=0))


def _across(axes, *points, over, colour):
    """An arrow whose last stretch leaves a gap for the line it crosses."""
    *before, (start, y), end = points
    axes.plot(*zip(*before, (start, y), (over - 0.07, y), strict=True), color=colour, lw=1.4)
    _arrow(axes, (over + 0.07, y), end, colour=colour)


def _node(axes, x, y, sign):
    axes.add_patch(Circle((x, y), _NODE, color=_DEEP[INK], lw=0, zorder=3))
    _say(axes, x, y, sign, 12, colour="white", weight="bold", zorder=4)


def _pill(axes, x, y, width, words, colour=INK, high=_HIGH):
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - high / 2), width, high, boxstyle="round,pad=0,rounding_size=0.06",
            color=_DEEP[colour], lw=0, zorder=3,
        )
    )  # fmt: skip
    _say(axes, x, y, words, _INDEXED if "_" in words else 10, colour="white", zorder=4)


def _values(axes, x, y, numbers, upright=False):
    """A vector's numbers in squares around a place, side by side or upright."""
    for k, value in enumerate(numbers):
        step = k - (len(numbers) - 1) / 2
        left, middle = (x, y + step * _HIGH) if upright else (x + step * _WIDE, y)
        axes.add_patch(
            plt.Rectangle(
                (left - _WIDE / 2 + 0.01, middle - _HIGH / 2 + 0.01), _WIDE - 0.02, _HIGH - 0.02,
                color=NEGATIVE_POSITIVE(0.5 + 0.5 * np.clip(value, -1, 1)), lw=0, zorder=3,
            )
        )  # fmt: skip
        words = _minus(f"{value:z.2f}")
        _say(axes, left, middle, words, colour="white", zorder=4)


def _gate(axes, x, top, name, values=None, start=None):
    """A gate's name, its values, and the arrow through its function that leads into them."""
    _pill(axes, x, top + _HIGH / 2, _NAME, f"${name}$  {_MEANING[name][0]}", _hue(name))
    bottom = top + _HIGH
    if values is not None:
        _values(axes, x, bottom + _HIGH / 2 + 0.01, values)
        bottom += _HIGH + 0.02
    _arrow(axes, (x, start or bottom + 0.3), (x, bottom), colour=_hue(name))
    _say(axes, x + 0.06, bottom + 0.18, _FUNCTIONS.get(name, "σ"), 11, ha="left")


def _source(axes, ends, y, words, **below):
    """A bar that stands for sums below the gates that take their share; below: what is read."""
    left, right = ends[0] - _NAME / 2, ends[-1] + _NAME / 2
    high = 0.52 if "\n" in words else 0.4
    _pill(axes, (left + right) / 2, y, right - left, words, high=high)
    for word, x in below.items():
        _arrow(axes, (x, y + 0.5), (x, y + high / 2))
        _say(axes, x, y + 0.62, _READ[word], 11)


def _sums(axes, columns, top, lines):
    """The sums below their gates, as on paper: lines are what x, h and the bias add to each."""
    columns_of_parts = [
        [part for part in parts if part is not None] for parts in zip(*lines, strict=True)
    ]
    totals = [sum(parts) if parts else None for parts in columns_of_parts]
    names = "sum", "$x\\,W_x$", "$+\\;h\\,W_h$", "$+\\;b$"
    for k, (name, parts) in enumerate(zip(names, [totals, *lines], strict=True)):
        y = top + k * (_HIGH + 0.03) + 0.1 * (k > 0)
        size = _INDEXED if "_" in name else 11
        _say(axes, columns[0] - 0.5, y, name, size, ha="right")
        for x, part in zip(columns, parts, strict=True):
            if part is not None:
                _values(axes, x, y, part)
    for x, total in zip(columns, totals, strict=True):
        if total is not None:
            axes.plot([x - 0.46, x + 0.46], [top + 0.19] * 2, color=INK, lw=1.2)
