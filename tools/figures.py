"""Is a stored figure still what its code draws? Compare two SVG pictures made by matplotlib.

Not pixel by pixel: a curve from a training run moves a little from one processor to the next. The
words and numbers written into a figure must be equal; so must what is drawn, in order and in number;
where it lies and its colours may differ by a little. Pictures of two releases of matplotlib say
nothing about the code, and so are not compared.
"""

import re
import xml.etree.ElementTree as ElementTree

MOVED = 0.03  # how far a drawn thing may lie from its place, as a part of the figure's longer side
FADED = 16  # by how much red, green or blue may differ, of 255
GROUP = re.compile(r"[A-Za-z]+\w*_\d+")


def release(svg):
    """Which matplotlib drew it."""
    found = re.search(r"Matplotlib v([\d.]+\w*)", svg)
    return found[1] if found else None


def words(svg):
    """What is written in it, in order: matplotlib draws letters as paths, and notes their text."""
    return re.findall(r"<!-- (.*?) -->", svg, re.DOTALL)


def drawn(svg):
    """What is drawn, in order: dict from the name of a group to [box, colours]."""
    groups = {}

    def walk(element, name):
        tag = element.tag.rpartition("}")[2]
        if tag in ("metadata", "defs"):
            return
        if tag == "g" and GROUP.fullmatch(element.get("id", "")):
            name = element.get("id")
            groups.setdefault(name, [[], set()])
        if name:
            box, colours = groups[name]
            if not name.startswith("text"):  # its words are compared, and their place is a label's
                box.extend(points(element, tag))
            colours.update(re.findall(r"#[0-9a-f]{6}\b", element.get("style", "")))
        for child in element:
            walk(child, name)

    walk(ElementTree.fromstring(svg), "")
    return {name: [edges(box), sorted(colours)] for name, (box, colours) in groups.items()}


def points(element, tag):
    """The (x, y) of a path's corners, and of a marker's or a picture's place."""
    if tag == "path":
        found = [float(x) for x in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", element.get("d", ""))]
        return list(zip(found[::2], found[1::2], strict=False))
    if tag in ("use", "image") and element.get("x"):
        return [(float(element.get("x")), float(element.get("y")))]
    return []


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
    if words(stored) != words(now):
        pairs = zip([*words(stored), None], [*words(now), None], strict=False)
        one, other = next((a, b) for a, b in pairs if a != b)
        return f"the stored figure says {one!r}, the code now writes {other!r}"
    one, other = drawn(stored), drawn(now)
    if list(one) != list(other):
        return "the code now draws other things than the stored figure shows"
    side = max(edges_of_page(stored))
    for name, (box, colours) in one.items():
        new_box, new_colours = other[name]
        if (box is None) != (new_box is None):
            return f"{name} is drawn otherwise than in the stored figure"
        if box and max(abs(a - b) for a, b in zip(box, new_box, strict=True)) > MOVED * side:
            return f"{name} lies elsewhere than in the stored figure"
        if not alike(colours, new_colours):
            return f"{name} has another colour than in the stored figure"
    return ""


def edges_of_page(svg):
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
