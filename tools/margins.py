"""Which printed numbers and which asserts would not survive another machine?

Reads what :mod:`record` noted of the same chapters under several settings (:mod:`robust`). The
spread of a number is how far apart its values lie. A number that is printed must keep its digits,
and one that is compared its side, when it moves on by a few times that spread.
"""

import json
from pathlib import Path

import numpy as np

TIMES = 4  # how many spreads a number may move on, beyond the values seen
FLOOR = 1e-7  # of a number's size: no spread is smaller; about what float32 keeps
USED = 0.5  # the part of a tolerance, as in allclose, that a difference may take, or its inverse


def read(folder):
    """What the kernels of one run noted: dict chapter's cells' sources -> list of cells."""
    runs = {}
    for path in sorted(Path(folder).rglob("*.jsonl")):
        cells = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        runs[tuple(cell["source"] for cell in cells)] = cells
    return runs


def text(value, kind, detail):
    """A number as the page prints it."""
    if kind == "format":
        return format(value, detail)
    digits = int(detail)
    if kind == "print" and value and abs(value) < 1e-4:
        return f"{value:.{digits}e}"
    return f"{value:.{digits}f}"


def is_short(value):
    """Whether a number has few digits, as counts and fractions do that no order of sums moves."""
    return round(value, 6) == value


def spread(values):
    """values (settings, N) -> (N,): how far apart each number's values lie, and at least so far."""
    apart = np.ptp(values, axis=0)
    short = np.vectorize(is_short, otypes=[bool])(values[0])
    return np.where((apart == 0) & short, 0, np.maximum(apart, FLOOR * abs(values).max(axis=0)))


def printed_problems(values, kind, detail):
    low, high, apart = values.min(axis=0), values.max(axis=0), spread(values)
    for k in range(values.shape[1]):
        seen = sorted({text(value, kind, detail) for value in values[:, k]})
        if len(seen) > 1:
            yield f"printed as {' or '.join(seen)}"
            continue
        ends = low[k] - TIMES * apart[k], high[k] + TIMES * apart[k]
        others = {text(end, kind, detail) for end in ends} - set(seen)
        if apart[k] and others:
            yield f"{values[0, k]:.8g} moved by {apart[k]:.1g}; {seen[0]} is soon {others.pop()}"


def compared_problems(values, operator):
    """values: the differences of both sides."""
    if operator in ("Eq", "NotEq"):
        return
    apart = spread(values)
    nearest = abs(values).min(axis=0)
    flips = np.ptp(np.sign(values), axis=0) > 0
    for k in np.flatnonzero(flips):
        yield f"sides change: they differ by {values[:, k].min():.3g} to {values[:, k].max():.3g}"
    for k in np.flatnonzero(~flips & (nearest < TIMES * apart) & (nearest > 0)):
        yield f"sides differ by {values[0, k]:.3g}, which moved by {apart[k]:.1g}"


def problems(runs):
    """runs: one list of cells per setting -> yield (cell, line, problem) of one chapter."""
    for cells in zip(*runs, strict=True):
        noted = [{tuple(place): values for *place, values in cell["noted"]} for cell in cells]
        for place in noted[0]:
            kind, number, line, _, detail = place
            found = [np.array(notes.get(place, [])) for notes in noted]
            if len({len(values) for values in found}) > 1:
                yield number, line, f"{kind}: another count of numbers"
                continue
            values = np.array(found)  # (settings, N)
            values = values[:, np.isfinite(values).all(axis=0)]
            if not values.size:
                continue
            if kind == "close":
                # Where two shall differ, they do so by many tolerances.
                near = (values.max(axis=0) > USED) & (values.min(axis=0) < 1 / USED)
                for used in values[:, near].max(axis=0):
                    yield number, line, f"{used:.2f} of the tolerance is used"
            elif kind == "compare":
                yield from ((number, line, p) for p in compared_problems(values, detail))
            else:
                yield from ((number, line, p) for p in printed_problems(values, kind, detail))
