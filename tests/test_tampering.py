"""Whoever changes a stored notebook by hand, or by a merge, is found out, and the cell is named.

Copies are tampered with: of every chapter, and of a small notebook that nbval really runs, with the
command line and the settings of ``make test``.
"""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import check
import nbformat
import notebooks
import pytest
import stored
from nbval.plugin import IPyNbCell, get_sanitize_patterns, nocolors

import conftest

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")


def one_more(number):
    """A number with its last digit changed by one."""
    mantissa, e, exponent = number.partition("e")
    last = int(mantissa[-1])
    return f"{mantissa[:-1]}{last - 1 if last == 9 else last + 1}{e}{exponent}"


def tampered_texts(text):
    """A text, once for each number in it, with that number's last digit changed."""
    for found in NUMBER.finditer(text):
        yield text[: found.start()] + one_more(found[0]) + text[found.end() :]


def test_a_digit_more_or_less():
    assert list(tampered_texts("c 1.29, 3e-05")) == ["c 1.28, 3e-05", "c 1.29, 4e-05"]


# Every number that is stored, with the comparison that nbval makes of it.


@pytest.fixture(scope="module")
def nbval_cell():
    """A cell of nbval's that compares outputs as in `make test`: the same digits are hidden."""
    option = check.NBVAL[check.NBVAL.index("--nbval-sanitize-with") + 1]
    patterns = dict(get_sanitize_patterns((ROOT / option).read_text(encoding="utf-8")))
    skipped = ("metadata", "output_type", "name", "image/svg+xml")
    cell = SimpleNamespace(
        parent=SimpleNamespace(sanitize_patterns=patterns, skip_compare=skipped),
        colors=nocolors,
        format_output_compare=lambda key, left, right: None,
        comparison_traceback=[],
    )
    cell.sanitize = lambda text: IPyNbCell.sanitize(cell, text)
    return cell


def code_cells(path):
    """(number, cell) of each cell that ran."""
    cells = nbformat.read(path, as_version=4).cells
    return [(n, c) for n, c in enumerate(cells, start=1) if c.get("execution_count")]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_each_stored_number_is_compared(path, nbval_cell):
    compared = 0
    for number, cell in code_cells(path):
        assert conftest.compare(nbval_cell, cell.outputs, cell.outputs)
        for output in cell.outputs:
            for text in tampered_texts(output.get("text", "")):
                other = [copy.copy(o) for o in cell.outputs]
                other[cell.outputs.index(output)].text = text
                same = conftest.compare(nbval_cell, cell.outputs, other)
                assert not same, f"{path.name}, cell {number}"
                compared += 1
    assert compared > 20


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_each_figure_is_compared(path, nbval_cell):
    for number, cell in code_cells(path):
        for tampering in (other_word, other_place, other_colour, one_less):
            other = copy.deepcopy(cell.outputs)
            pictures = [o for o in other if "image/svg+xml" in o.get("data", {})]
            for output in pictures:
                output.data["image/svg+xml"] = tampering(output.data["image/svg+xml"])
            same = conftest.compare(nbval_cell, cell.outputs, other)
            assert same == (not pictures), f"{path.name}, cell {number}: {tampering.__name__}"


def other_word(svg):
    return re.sub(r"<!-- .*? -->", "<!-- 0.123 -->", svg, count=1)


def other_place(svg):
    """The last thing that is drawn, words aside, lies to the left of the page."""
    last = list(re.finditer(r'<g id="(?!text)\w+_\d+">\s*<path d="M ([-\d.]+)', svg))[-1]
    return svg[: last.start(1)] + "-500" + svg[last.end(1) :]


def other_colour(svg):
    colour = re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg)[-1]
    return svg.replace(f": {colour}", ": #00ff00")


def one_less(svg):
    """Without the last axes or line: a group less."""
    last = re.findall(r'<g id="(\w+_\d+)">', svg)[-1]
    return svg.replace(f'<g id="{last}">', "<g>")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_each_cell_is_signed(path):
    notebook = stored.read(path)
    assert not list(stored.unverified(notebook))
    for number, cell in stored.executed_cells(notebook):
        for tampering in (change_code, lose_outputs, change_output):
            kept = copy.deepcopy(cell)
            if tampering(cell):
                found = dict(stored.unverified(notebook))
                assert list(found) == [number], tampering.__name__
            cell.clear()
            cell.update(kept)


def change_code(cell):
    cell["source"] = [*cell["source"], "\n# never run"]
    return True


def lose_outputs(cell):
    had, cell["outputs"] = cell["outputs"], []
    return bool(had)


def change_output(cell):
    """The last digit of the last output, be it in a figure's path."""
    if not cell["outputs"]:
        return False
    output = cell["outputs"][-1]
    where, key = (output, "text") if "text" in output else (output["data"], "image/svg+xml")
    whole = stored.joined(where.get(key, ""))
    numbers = list(NUMBER.finditer(whole))
    if not numbers:
        return False
    last = numbers[-1]
    where[key] = whole[: last.start()] + one_more(last[0]) + whole[last.end() :]
    return True


# nbval, really run: one notebook, many cells, each tampered with in a copy.

DRAW = "plt.plot([1, {}])\nplt.title('{}')\nplt.show()"
CELLS = {
    "setup": "import time\nimport matplotlib.pyplot as plt\nfrom rnnlab import plot\n"
    "import numpy as np\nimport sys\nplot.use_style()",
    "printed": "print('loss', 1.29)",
    "array": "print(np.array([0.5, 0.125]))",
    "two prints": "print(1)\nprint(2)",
    "result": "1 / 8",
    "table": "from IPython.display import HTML\nHTML('<table><tr><td>0.31</td></tr></table>')",
    "displayed": "from IPython.display import display, Markdown\ndisplay(Markdown('**7**'))",
    "stderr": "print('warned 3 times', file=sys.stderr)",
    "error": "raise ValueError('at 17')",
    "hidden": "print(12.5)",
    "figure": DRAW.format(2, "two"),
    "title": DRAW.format(3, "three"),
    "line": DRAW.format(4, "four"),
    "number": DRAW.format(6, "at 0.12"),
    "number near": DRAW.format(7, "at 0.12"),
    "no picture": DRAW.format(5, "five"),
    "deleted": "print('deleted', 4)",
    "added": "x = 4",
    "excused": "print(time.perf_counter())",
    "address": "print(object())",
    "last": "print('untouched', 5)",
}
TAGS = {
    "error": ["raises-exception"],
    "hidden": ["hide-output"],
    "excused": ["nbval-ignore-output"],
}


def replace(old, new):
    """A tampering: text in a cell's outputs."""

    def tamper(cell):
        before = json.dumps(cell.outputs)
        assert old in before
        cell.outputs = nbformat.from_dict(json.loads(before.replace(old, new)))

    return tamper


def delete_outputs(cell):
    cell.outputs = []


def add_output(cell):
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="3\n")]


def lose_picture(cell):
    del cell.outputs[0].data["image/svg+xml"]


def redraw(code):
    """Another figure's code, beside the old picture."""
    return lambda cell: cell.update(source=code)


TAMPERINGS = {
    "printed": replace("1.29", "1.28"),
    "array": replace("0.125", "0.126"),
    "two prints": replace("2", "3"),
    "result": replace("0.125", "0.124"),
    "table": replace("0.31", "0.32"),
    "displayed": replace("7", "8"),
    "stderr": replace("3 times", "2 times"),
    "error": replace("at 17", "at 18"),
    "hidden": replace("12.5", "12.6"),
    "figure": redraw(DRAW.format(-2, "two")),
    "title": redraw(DRAW.format(3, "3")),
    "line": redraw("plt.plot([1, 4])\nplt.axhline(2)\nplt.title('four')\nplt.show()"),
    "number": redraw(DRAW.format(6, "at 0.15")),
    "no picture": lose_picture,
    "deleted": delete_outputs,
    "added": add_output,
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The small notebook, executed by the program that stores the chapters'."""
    cells = [
        nbformat.v4.new_code_cell(code, metadata={"tags": TAGS.get(name, [])})
        for name, code in CELLS.items()
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebooks.execute(notebook, tmp_path_factory.mktemp("small"))
    notebooks.normalise(notebook)
    return notebook


def failures(notebook, folder):
    """Which cells nbval refuses: the command of `make test`, on one notebook -> {name: why}."""
    nbformat.write(notebook, folder / "small.ipynb")
    report = folder / "report.xml"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider",
         "-c", ROOT / "pyproject.toml", f"--rootdir={folder}", f"--junitxml={report}",
         *check.NBVAL, folder / "small.ipynb"],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/_ext:{ROOT}/tools"},
    )  # fmt: skip
    assert report.exists(), ran.stdout + ran.stderr
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        failure = case.find("failure")
        if failure is not None:
            number = int(case.get("name").removeprefix("Cell "))
            found[list(CELLS)[number]] = failure.text
            assert f"small.ipynb::Cell {number}" in ran.stdout
    assert (ran.returncode == 1) == bool(found), ran.stdout
    return found


def test_nbval_passes_what_is_untouched(small, tmp_path):
    found = failures(small, tmp_path)
    assert not found, "\n".join(found.values())


def test_nbval_passes_a_last_digit_in_a_figure_which_the_signature_guards(small, tmp_path):
    notebook = copy.deepcopy(small)
    cell = notebook.cells[list(CELLS).index("number near")]
    cell.source = cell.source.replace("0.12", "0.13")
    found = failures(notebook, tmp_path)
    assert not found, "\n".join(found.values())


def test_nbval_notices_each_tampering(small, tmp_path):
    notebook = copy.deepcopy(small)
    for cell, name in zip(notebook.cells, CELLS, strict=True):
        if name in TAMPERINGS:
            TAMPERINGS[name](cell)
    found = failures(notebook, tmp_path)
    assert list(found) == list(TAMPERINGS)
    assert "the stored figure says '1.0', the code now writes" in found["figure"]  # its axis
    assert "says 'three'" in found["title"]
    assert "draws other things" in found["line"]


# `make test`'s other half: the tests of stored notebooks, on a copy of the book.

TOUCHED = {
    "02_cells": lambda cells: next(c for c in cells if "0.462" in str(c.get("outputs"))).update(
        outputs=[nbformat.v4.new_output("stream", name="stdout", text="[ 0.463 -0.762]\n")]
    ),
    "03_unfolding": lambda cells: cells[-1 - k_of_code(cells)].update(execution_count=None),
    "05_dynamic_rnn": lambda cells: figure_cells(cells)[1].update(
        source="plt.plot([1, 2])\nplt.show()"
    ),
    "07_bidirectional": lambda cells: (
        figure_cells(cells)[2]
        .outputs[0]
        .data.update({"image/svg+xml": figure_cells(cells)[3].outputs[0].data["image/svg+xml"]})
    ),
    "09_gru": lambda cells: cells[5].metadata.update(tags=["nbval-ignore-output"]),
}


def k_of_code(cells):
    return next(k for k, cell in enumerate(reversed(cells)) if cell.cell_type == "code")


def figure_cells(cells):
    return [c for c in cells if c.cell_type == "code" and c.source.endswith("plt.show()")]


def test_the_tests_of_stored_notebooks_name_the_cell(tmp_path):
    for name in ("_ext", "tools", "tests", "rnnlab", "chapters"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("conftest.py", "pyproject.toml", "_config.yml", "_toc.yml", "runtime.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("requirements.txt", "requirements-book.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    wanted = []
    for name, tamper in TOUCHED.items():
        path = tmp_path / "chapters" / f"{name}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        before = [dict(cell) for cell in copy.deepcopy(notebook.cells)]
        tamper(notebook.cells)
        nbformat.write(notebook, path)
        changed = [
            n for n, (a, b) in enumerate(zip(before, notebook.cells, strict=True), 1) if a != b
        ]
        wanted += [f"{path.name}, cell {n}:" for n in changed]
    assert len(wanted) == len(TOUCHED)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-vv",
         "tests/test_chapters.py::test_chapter",
         "tests/test_page_head.py::test_the_outputs_are_those_of_the_code_with_the_pinned_versions"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert ran.returncode == 1, ran.stdout
    for place in wanted:
        assert place in ran.stdout
    for path in CHAPTERS:
        failed = re.search(rf"FAILED \S+\[{path.stem}\]", ran.stdout)
        assert bool(failed) == (path.stem in TOUCHED), path.stem
