"""Is a stored figure still what its code draws? Compare two SVG pictures made by matplotlib.

Not pixel by pixel: a curve from a training run is another one on the next processor. The words
written into a figure must be equal, and its numbers, but for their last digit, which training may
have moved (the signature of a cell notices any change by hand). What is drawn must be equal in
order and number. Where it lies and its colours may differ by a little, and words and the curves of
a panel, together, by more. Pictures of two releases of matplotlib say nothing about
the code, and so are not compared.
"""

import itertools
import re
import xml.etree.ElementTree as ElementTree

MOVED = 0.03  # how far a drawn thing may lie from its place, as a part of the figure's longer side
CURVES = 0.1  # the same for words, and the edges of a panel's curves: one of them may end elsewhere
LAST = 2  # by how much the last digit of a number may differ
FADED = 16  # by how much red, green or blue may differ, of 255
GROUP = re.compile(r"[A-Za-z]+\w*(?:\.axis)?_\d+")


def release(svg):
    """Which matplotlib drew it."""
    found = re.search(r"Matplotlib v([\d.]+\w*)", svg)
    return found[1] if found else None


def words(svg):
    """What is written in it, in order: matplotlib draws letters as paths, and notes their text."""
    return re.findall(r"<!-- (.*?) -->", svg, re.DOTALL)


def same_words(one, other):
    """Whether two texts are equal, the last digits of numbers aside."""
    if one == other or None in (one, other):
        return one == other
    some, others = (re.findall(r"-?\d+\.?\d*", text.replace("−", "-")) for text in (one, other))
    if re.sub(r"[-+−]?\d+\.?\d*", "#", one) != re.sub(r"[-+−]?\d+\.?\d*", "#", other):
        return False
    for a, b in zip(some, others, strict=True):
        digits = [len(number.partition(".")[2]) for number in (a, b)]
        if digits[0] != digits[1] or abs(float(a) - float(b)) > (LAST + 0.1) * 10 ** -digits[0]:
            return False
    return True


def drawn(svg):
    """What is drawn -> the names of its groups, in order, and dict name -> [box, colours].

    The curves of a panel are one entry of the dict, the marks of its axes are not among them.
    """
    names, parts = [], {}

    def walk(element, name, panel, on_axis):
        tag = element.tag.rpartition("}")[2]
        if tag in ("metadata", "defs"):
            return
        group = element.get("id", "")
        if tag == "g" and GROUP.fullmatch(group):
            names.append(group)
            name = group
            panel = group if group.startswith("axes_") else panel
            on_axis = on_axis or ".axis_" in group
            if group.startswith("line2d_") and not on_axis:
                name = f"{panel}: its curves"
        if name:
            box, colours = parts.setdefault(name, [[], set()])
            box.extend(places_of_words(element, tag) if "text" in name else points(element, tag))
            colours.update(re.findall(r"#[0-9a-f]{6}\b", element.get("style", "")))
        for child in element:
            walk(child, name, panel, on_axis)

    walk(ElementTree.fromstring(svg), "", "", False)
    return names, {name: [edges(box), sorted(colours)] for name, (box, colours) in parts.items()}


def points(element, tag):
    """The (x, y) of a path's corners, and of a marker's or a picture's place."""
    if tag == "path":
        found = [float(x) for x in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", element.get("d", ""))]
        return list(zip(found[::2], found[1::2], strict=False))
    if tag in ("use", "image") and element.get("x"):
        return [(float(element.get("x")), float(element.get("y")))]
    return []


def places_of_words(element, tag):
    """The (x, y) where a text begins; its letters lie beside that."""
    found = re.match(r"translate\(([-\d.]+)[ ,]+([-\d.]+)\)", element.get("transform", ""))
    return [(float(found[1]), float(found[2]))] if found and tag == "g" else []


def edges(box):
    """The left, top, right and bottom of some points."""
    if not box:
        return None
    xs, ys = zip(*box, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def difference(stored, now):
    """What tells two figures apart, in a line; an empty string where nothing does."""
    if release(stored) != release(now):
        return ""
    for one, other in itertools.zip_longest(words(stored), words(now)):
        if not same_words(one, other):
            return f"the stored figure says {one!r}, the code now writes {other!r}"
    (names, one), (new_names, other) = drawn(stored), drawn(now)
    if names != new_names:
        return "the code now draws other things than the stored figure shows"
    side = max(size(stored))
    for name, (box, colours) in one.items():
        new_box, new_colours = other[name]
        if (box is None) != (new_box is None):
            return f"{name} is drawn otherwise than in the stored figure"
        moved = max((abs(a - b) for a, b in zip(box or (), new_box or (), strict=True)), default=0)
        by_data = name.endswith("curves") or name.startswith("text")
        if moved > side * (CURVES if by_data else MOVED):
            return f"{name} lies elsewhere than in the stored figure"
        if not alike(colours, new_colours):
            return f"{name} has another colour than in the stored figure"
    return ""


def size(svg):
    """Width and height."""
    return [float(x) for x in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()]


def alike(some, others):
    """Whether each colour has one that is near it among the others, and the reverse."""

    def near(one, other):
        return all(
            abs(int(one[k : k + 2], 16) - int(other[k : k + 2], 16)) <= FADED for k in (1, 3, 5)
        )

    return all(any(near(a, b) for b in others) for a in some) and all(
        any(near(a, b) for a in some) for b in others
    )
