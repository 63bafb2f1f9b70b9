"""Note what a chapter prints and asserts with all its digits, while its kernel runs.

:mod:`robust` has every kernel start this (``record_startup.py``). It changes no source and no
output: each cell's syntax tree is rewritten so that the numbers which go into an f-string,
``print``, ``round`` or a comparison also go into a file. A kernel writes one line of JSON per cell
into the folder named by ``RNNLAB_RECORD``.
"""

import ast
import json
import os
import sys
from pathlib import Path

MOST = 3000  # values kept of one place in the code; a place in a training loop has many more
NAME = "_rnnlab_note"


def numbers(value):
    """The floats in a value, as a flat list; [] where it has none."""
    import numpy as np

    if isinstance(value, (list, tuple)):
        return [x for part in value for x in numbers(part)]
    if isinstance(value, dict):
        return numbers(list(value.values()))
    if "torch" in sys.modules and isinstance(value, sys.modules["torch"].Tensor):
        value = value.detach()
    if isinstance(value, (bool, np.bool_, int, str, bytes)) or value is None:
        return []
    if not isinstance(value, (float, np.floating)) and not hasattr(value, "__array__"):
        return []
    try:
        array = np.asarray(value)
    except Exception:  # a symbol in a graph has no value yet
        return []
    if array.dtype.kind != "f" or array.size > MOST:
        return []
    return [float(x) for x in array.ravel()]


class Notes:
    """What the cell that runs now has noted: (kind, cell, line, column, detail) -> list of floats.

    The cell and the line are those of the code, which may stand in a function of an earlier cell.
    """

    def __init__(self):
        self.found = {}
        self.cell = -1

    def add(self, place, found):
        if found:
            kept = self.found.setdefault(place, [])
            kept.extend(found[: MOST - len(kept)])

    def printed(self, kind, cell, line, column, detail, value):
        """A number on its way into text; how it is rounded there is the detail."""
        import numpy as np

        if kind == "print":
            detail = str(np.get_printoptions()["precision"])
        self.add((kind, cell, line, column, str(detail)), numbers(value))
        return value

    def compared(self, cell, line, column, operators, *values):
        """A chain of comparisons: notes how far apart the two sides are; what it is worth."""
        result = True
        for name, left, right in zip(operators, values, values[1:], strict=False):
            result = compare(name, left, right)
            self.add(("compare", cell, line, column, name), apart(left, right))
            if len(operators) > 1 and not result:
                break
        return result

    def close(self, cell, line, column, function, *arguments, **options):
        """A test such as allclose: notes the part of its tolerance that the difference takes."""
        import numpy as np

        try:
            one, other = (np.asarray(numbers(x)) for x in arguments[:2])
            one, other = np.broadcast_arrays(one, other)
            relative = options.get("rtol", arguments[2] if len(arguments) > 2 else 1e-5)
            absolute = options.get("atol", arguments[3] if len(arguments) > 3 else 1e-8)
            allowed = absolute + relative * abs(other)
            share = float((abs(one - other) / allowed).max())
            self.add(("close", cell, line, column, ""), [share])
        except (ValueError, TypeError):
            pass
        return function(*arguments, **options)


def compare(name, left, right):
    import operator

    operators = {
        "Lt": operator.lt, "LtE": operator.le, "Gt": operator.gt, "GtE": operator.ge,
        "Eq": operator.eq, "NotEq": operator.ne,
    }  # fmt: skip
    return operators[name](left, right)


def apart(left, right):
    import numpy as np

    def array(side):
        if isinstance(side, int) and not isinstance(side, bool):
            return np.asarray(float(side))
        if isinstance(side, np.integer):
            return np.asarray(float(side))
        return np.asarray(numbers(side))

    def real(side):
        return len(numbers(side)) > 0

    try:
        if not (real(left) or real(right)):
            return []
        difference = array(left) - array(right)
    except (ValueError, TypeError):
        return []
    return [float(x) for x in np.ravel(difference)]


class Noting(ast.NodeTransformer):
    """Wraps what is noted; not a comparison by ``is`` or ``in``, which says nothing of a number."""

    def __init__(self, notes):
        self.notes = notes

    def note(self, method, node, arguments, keywords=()):
        function = ast.Attribute(ast.Name(NAME, ast.Load()), method, ast.Load())
        place = map(ast.Constant, (self.notes.cell, node.lineno, node.col_offset))
        made = ast.Call(function, [*place, *arguments], list(keywords))
        return ast.fix_missing_locations(ast.copy_location(made, node))

    def printed(self, kind, detail, value):
        if isinstance(value, (ast.Constant, ast.JoinedStr, ast.Starred)):
            return value
        made = self.note("printed", value, [detail, value])
        made.args.insert(0, ast.Constant(kind))
        return ast.fix_missing_locations(made)

    def visit_FormattedValue(self, node):
        self.generic_visit(node)
        spec = node.format_spec
        detail = ast.copy_location(spec, node) if spec else ast.Constant("")
        node.value = self.printed("format", detail, node.value)
        return node

    def visit_Call(self, node):
        self.generic_visit(node)
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name == "print":
            node.args = [self.printed("print", ast.Constant(""), x) for x in node.args]
        elif name == "round" and node.args:
            if isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") != "np":
                digits = node.args[0]
                if isinstance(digits, ast.Constant):
                    node.func.value = self.printed("round", digits, node.func.value)
            elif len(node.args) == 2 and isinstance(node.args[1], ast.Constant):
                node.args[0] = self.printed("round", node.args[1], node.args[0])
        elif name in ("allclose", "isclose", "assert_allclose") and len(node.args) >= 2:
            return self.note("close", node, [node.func, *node.args], node.keywords)
        return node

    def visit_Compare(self, node):
        self.generic_visit(node)
        names = [type(operator).__name__ for operator in node.ops]
        if any(name.startswith(("Is", "In", "NotIn")) for name in names):
            return node
        operators = ast.List([ast.Constant(name) for name in names], ast.Load())
        return self.note("compared", node, [operators, node.left, *node.comparators])


def start(shell, folder):
    """Note what every cell of this kernel prints and compares."""
    notes = Notes()
    shell.user_ns[NAME] = notes
    shell.ast_transformers.append(Noting(notes))
    path = Path(folder) / f"{os.getpid()}.jsonl"

    figures = []
    publish = shell.display_pub.publish

    def published(data, *arguments, **options):
        if "image/svg+xml" in data:
            figures.append(data["image/svg+xml"])
        return publish(data, *arguments, **options)

    shell.display_pub.publish = published

    def before(info):
        notes.cell += 1
        notes.found.clear()
        figures.clear()

    def after(result):
        line = {
            "source": result.info.raw_cell,
            "figures": figures,
            "noted": [[*place, values] for place, values in notes.found.items()],
        }
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    shell.events.register("pre_run_cell", before)
    shell.events.register("post_run_cell", after)
