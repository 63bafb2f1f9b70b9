"""The stored notebooks are complete and honest: what nbval would pass unseen is caught here."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import figures
import nbformat
import notebooks
import pytest
import yaml
from IPython.core.interactiveshell import InteractiveShell
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import conftest

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))
TAGS = {
    "pytorch",
    "tensorflow",
    "hide-input",
    "hide-output",
    "remove-input",
    "remove-output",
    "remove-cell",
    "raises-exception",
    "nbval-ignore-output",
}
MATPLOTLIB = re.search(
    r"^matplotlib==(\S+)", (ROOT / "requirements-book.txt").read_text("utf-8"), re.MULTILINE
)[1]
OF_A_MACHINE = re.compile(
    r"(?<![\w.:/])/(?:home|root|tmp|usr|var|opt|mnt|Users)/\w|[A-Z]:\\\\?Users"
    rf"|{re.escape(str(ROOT))}|{re.escape(str(Path.home()))}\b"
)


def problems(path):
    """Yield what is wrong with a stored notebook, each with the number of its cell."""
    cells = nbformat.read(path, as_version=4).cells
    yield from (f"{path.name}, {problem}" for problem in first_cell_problems(cells))
    executed, clocks = 0, {"perf_counter"}
    for number, cell in enumerate(cells, start=1):
        if number == 1:
            continue  # the one cell that is not run
        if cell.cell_type == "code":
            executed += 1
            clocks |= timed(cell, clocks)
            found = code_problems(cell, executed, clocks)
        else:
            found = text_problems(cell.source)
        if "remove-cell" in cell.metadata.get("tags", []) and number > 2:
            yield f"{path.name}, cell {number}: removed; only the first two, which set up, may be"
        yield from (f"{path.name}, cell {number}: {problem}" for problem in found)
    yield from (f"{path.name}, cell {number}: {problem}" for number, problem in twins(cells))


def first_cell_problems(cells):
    """The first cell, for Colab, was never run; the second sets up. Every chapter has the same."""
    if [(c.source, c.metadata.get("tags")) for c in cells[:2]] != list(notebooks.FIRST_CELLS):
        yield "cells 1 and 2: not those that `make notebooks` puts there"
    elif cells[0].execution_count is not None or cells[0].outputs:
        yield "cell 1: was run"


def code_problems(cell, expected_count, clocks):
    tags = set(cell.metadata.get("tags", []))
    if not cell.source.strip():
        yield "empty"
    if cell.execution_count != expected_count:
        yield f"execution count is {cell.execution_count}, not {expected_count}"
    if max(map(len, cell.source.splitlines()), default=0) > 79:
        yield "a code line longer than 79 characters"
    if OF_A_MACHINE.search(cell.source):
        yield "an absolute path"
    if unknown := tags - TAGS:
        yield f"unknown tags {sorted(unknown)}"
    if re.search(r"#\s*(?:NBVAL|PYTEST_VALIDATE)_", cell.source):
        yield "an nbval comment; use a tag"
    if "nbval-ignore-output" in tags:
        if not any(is_claim(node) for node in statements(tree(cell).body)):
            yield "excused from comparison without an assert"
        if not names(tree(cell)) & clocks:
            yield "excused from comparison, and shows no time"
    yield from output_problems(cell, tags)


def tree(cell):
    """The syntax of a cell, without IPython's own lines."""
    lines = cell.source.splitlines()
    return ast.parse("\n".join("" if x.lstrip().startswith(("%", "!")) else x for x in lines))


def names(node):
    """All names that a piece of code uses."""
    return {getattr(n, "attr", getattr(n, "id", None)) for n in ast.walk(node)}


def timed(cell, clocks):
    """The functions that a cell defines and the names it assigns, with a time from a clock."""
    found = set()
    for node in ast.walk(tree(cell)):
        if isinstance(node, ast.FunctionDef) and names(node) & (clocks | found):
            found.add(node.name)
        elif isinstance(node, ast.Assign) and names(node.value) & (clocks | found):
            found |= {n.id for n in node.targets if isinstance(n, ast.Name)}
    return found


def statements(body):
    """What surely runs: not the body of a function, nor what stands under an if or a try."""
    for node in body:
        yield node
        if isinstance(node, ast.For | ast.With):
            yield from statements(node.body)


def is_claim(node):
    """An assert that compares something of the run, and so can fail."""
    return isinstance(node, ast.Assert) and any(
        isinstance(n, ast.Compare) and names(n) - {None} for n in ast.walk(node.test)
    )


def output_problems(cell, tags):
    for output in cell.outputs:
        data = output.get("data", {})
        text = "".join(
            [output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]
        )
        if output.get("name") == "stderr":
            yield "stored stderr"
        if output.output_type == "error" and "raises-exception" not in tags:
            yield "a stored error"
        if re.search(r"\w*Warning:", text):
            yield "a stored warning"
        if OF_A_MACHINE.search(text + "".join(output.get("traceback", []))):
            yield "an absolute path in an output"
        if any(mime.startswith("image/") for mime in data):
            yield from figure_problems(cell, data)
        elif data.get("text/plain", "").startswith("<Figure "):
            yield "a figure without its picture"
    shown = sum(
        "<Figure " in output.get("data", {}).get("text/plain", "") for output in cell.outputs
    )
    if cell.source.splitlines()[-1:] == ["plt.show()"] and not shown:
        yield "ends in plt.show(), but no figure is stored"


def figure_problems(cell, data):
    if "image/svg+xml" not in data:
        yield "a figure that is not SVG"
    elif (release := figures.release(data["image/svg+xml"])) != MATPLOTLIB:
        yield f"a figure by matplotlib {release}, not {MATPLOTLIB}: it is not compared"
    if not cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "").strip():
        yield "a figure without alt text (mystnb.image.alt)"
    if cell.source.splitlines()[-1:] != ["plt.show()"]:
        yield "draws, but does not end in plt.show()"


def text_problems(source):
    if re.search(r"!\[\s*\]\(", source):
        yield "a picture without alt text"
    for options in re.findall(r"\{(?:figure|image)\}.*\n((?::.*\n)*)", source):
        if not re.search(r"^:alt: *\S", options, flags=re.MULTILINE):
            yield "a picture without alt text"
    if OF_A_MACHINE.search(source):
        yield "an absolute path"


def twins(cells):
    """Each block of pytorch cells must be directly followed by a block of tensorflow cells."""
    before = None
    for number, cell in enumerate([*cells, new_markdown_cell()], start=1):
        tags = cell.metadata.get("tags", [])
        now = next((tag for tag in ("pytorch", "tensorflow") if tag in tags), None)
        if before == "pytorch" and now is None:
            yield number - 1, "tagged pytorch, without a tensorflow cell after it"
        if now == "tensorflow" and before is None:
            yield number, "tagged tensorflow, without a pytorch cell before it"
        before = now


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(path):
    assert not list(problems(path))


def test_every_chapter_is_in_the_table_of_contents():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    notebooks = [str(path.relative_to(ROOT).with_suffix("")) for path in CHAPTERS]
    assert set(notebooks) <= set(listed)
    numbered = [name for name in listed if re.match(r"chapters/\d", name)]
    assert numbered == sorted(numbered)


class Shell:
    """What runs the cell for Colab here: an IPython shell that writes down what pip is told."""

    def __init__(self):
        self.told = []
        self.shell = InteractiveShell()
        self.shell.register_magic_function(self.told.append, magic_name="pip")

    def run(self):
        self.shell.run_cell(notebooks.COLAB).raise_error()
        return [line.split(maxsplit=2) for line in self.told]


def test_the_cell_for_colab_does_nothing_elsewhere():
    assert Shell().run() == []


def test_on_colab_it_installs_the_package_and_touches_nothing_that_is_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", object())
    missing, package = Shell().run()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.match(r"[\w-]+", dependency)[0] for dependency in project["dependencies"]}
    # Not --upgrade: what Colab has of these stays. None of the three depends on NumPy.
    assert missing[:2] == ["install", "--quiet"]
    assert set(missing[2].split()) == needed - {"numpy"}
    book = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    assert package[:2] == ["install", "--quiet"]
    assert package[2] == f'--no-deps "rnnlab @ git+{book["url"]}@{book["branch"]}"'
    assert project["urls"]["Repository"] == book["url"]


def test_binder_has_a_python_that_the_package_runs_on_and_installs_it():
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runtime = (ROOT / "runtime.txt").read_text(encoding="utf-8").strip()
    assert Version(runtime.removeprefix("python-")) in SpecifierSet(requires["requires-python"])
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert "-e ." in [line.partition("#")[0].strip() for line in lines]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(FileNotFoundError("not here"), "not here"), (ValueError("wrong hash"), "")],
)
def test_only_a_corpus_that_cannot_be_had_is_skipped(monkeypatch, error, reason):
    def load(name):
        raise error

    monkeypatch.setattr(conftest.data, "load", load)
    assert conftest.missing.__wrapped__("shakespeare") == reason


# The lint notices: each tampering below makes a good notebook a bad one.

FIGURE = {"mystnb": {"image": {"alt": "A line that rises."}}}


def good():
    def code(source, count, outputs=(), **metadata):
        return new_code_cell(
            source, execution_count=count, outputs=list(outputs), metadata=metadata
        )

    picture = f"<svg><title>Matplotlib v{MATPLOTLIB}, somewhere</title></svg>"
    svg = new_output("display_data", {"image/svg+xml": picture, "text/plain": "<Figure size 1x1>"})
    (colab, colab_tags), (setup, setup_tags) = notebooks.FIRST_CELLS
    return new_notebook(
        cells=[
            code(colab, None, tags=list(colab_tags)),
            code(setup, 1, tags=list(setup_tags)),
            new_markdown_cell("# A chapter\n\n![A loop.](../assets/loop.svg)"),
            code("print(1)", 2, [new_output("stream", name="stdout", text="1\n")]),
            code("plt.plot([1, 2])\nplt.show()", 3, [svg], **FIGURE),
            code("1", 4, tags=["pytorch"]),
            code("1", 5, tags=["tensorflow"]),
            code("def clock():\n    return time.perf_counter()", 6),
            code("%xmode Plain\nx = clock()\nassert x > 1", 7, tags=["nbval-ignore-output"]),
        ]
    )


def set_source(number, source):
    return lambda cells: cells[number].update(source=source)


def set_tags(number, *tags):
    return lambda cells: cells[number].metadata.update(tags=list(tags))


def add_output(number, *arguments, **fields):
    return lambda cells: cells[number].outputs.append(new_output(*arguments, **fields))


TAMPERINGS = {
    "cells 1 and 2: not those": set_source(0, "%pip install rnnlab"),
    "not those that": set_tags(0, "remove-cell"),
    "`make notebooks` puts there": lambda cells: cells.pop(0),
    "2: not those": set_source(1, "import os"),
    "cell 1: was run": lambda cells: cells[0].update(execution_count=1),
    "execution count is None": lambda cells: cells[3].update(execution_count=None),
    "execution count is 7, not 4": lambda cells: cells[5].update(execution_count=7),
    "execution count is 2, not 3": lambda cells: cells.insert(
        4, new_code_cell("1", execution_count=2)
    ),
    "empty": set_source(3, ""),
    "longer than 79": set_source(3, "x = " + "1" * 76),
    "an absolute path": set_source(3, 'open("/home/someone/x.txt")'),
    "cell 3: an absolute path": set_source(2, "See /tmp/plan.txt."),
    "an absolute path in an output": add_output(3, "stream", text=f"{ROOT}/x.py:3\n"),
    "unknown tags ['nbval-skip']": set_tags(3, "nbval-skip"),
    "unknown tags ['skip-execution']": set_tags(3, "skip-execution"),
    "unknown tags ['pytroch']": set_tags(3, "pytroch"),
    "cell 4: removed": set_tags(3, "remove-cell"),
    "an nbval comment": set_source(3, "# NBVAL_SKIP\nprint(1)"),
    "cell 4: excused from comparison without an assert": set_tags(3, "nbval-ignore-output"),
    "cell 9: excused from comparison without an assert": set_source(8, "x = clock()"),
    "excused from comparison without": set_source(8, "x = clock()\nassert True"),
    "comparison without an assert": set_source(8, "def f():\n    assert clock() > 1"),
    "without an assert": set_source(8, "try:\n    assert clock() > 1\nexcept ValueError:\n    1"),
    "shows no time": set_source(8, "x = 1\nassert x == 1"),
    "stored stderr": add_output(3, "stream", name="stderr", text="boo\n"),
    "a stored error": add_output(3, "error", ename="E", evalue="e", traceback=[]),
    "a stored warning": add_output(3, "stream", name="stdout", text="UserWarning: boo\n"),
    "not SVG": lambda cells: cells[4].outputs[0].update(data={"image/png": "iVBO"}),
    "a figure without alt text": lambda cells: cells[4].metadata.pop("mystnb"),
    "a figure by matplotlib 3.9": lambda cells: (
        cells[4].outputs[0].data.update({"image/svg+xml": "<svg>Matplotlib v3.9</svg>"})
    ),
    "a figure without its picture": lambda cells: cells[4].outputs[0].data.pop("image/svg+xml"),
    "no figure is stored": lambda cells: cells[4].update(outputs=[]),
    "does not end in plt.show()": set_source(4, "plt.plot([1, 2]);"),
    "a picture without alt text": set_source(2, "![](../assets/loop.svg)"),
    "cell 3: a picture without alt": set_source(2, "```{figure} x.svg\n:name: x\n```"),
    "without a tensorflow cell after it": lambda cells: cells.insert(6, new_markdown_cell("Or:")),
    "without a pytorch cell before it": set_tags(5),
}


def check(notebook, folder):
    path = folder / "chapter.ipynb"
    nbformat.write(notebook, path)
    return list(problems(path))


def test_a_good_notebook_passes(tmp_path):
    assert check(good(), tmp_path) == []


@pytest.mark.parametrize("expected", TAMPERINGS)
def test_tampering_is_noticed(expected, tmp_path):
    notebook = good()
    TAMPERINGS[expected](notebook.cells)
    assert any(expected in problem for problem in check(notebook, tmp_path))
