"""Each chapter says what it needs, how long it takes and what its numbers were verified with."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import notebooks
import page_head
import pytest
import stored
import yaml
from docutils import nodes
from docutils.utils import new_document
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))
PINS = dict(
    re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
)


def order():
    """The chapters in the order of the book."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [Path(entry["file"]).name for part in toc["parts"] for entry in part["chapters"]]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_outputs_are_those_of_the_code_with_the_pinned_versions(path):
    notebook = stored.read(path)
    found = [f"{path.name}, cell {n}: {problem}" for n, problem in stored.unverified(notebook)]
    assert not found, f"make notebooks ONLY={path.stem}"
    verified = notebook["metadata"]["rnnlab"]["verified"]
    assert {p: verified[p] for p in stored.PACKAGES} == {p: PINS[p] for p in stored.PACKAGES}
    assert re.fullmatch(r"3\.\d+", verified["python"])
    assert verified["seconds"] in notebooks.SECONDS


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_needs_earlier_ones(path):
    needs = stored.read(path)["metadata"]["rnnlab"]["needs"]
    earlier = order()[: order().index(path.stem)]
    assert set(needs) <= set(earlier)
    assert bool(needs) == bool(earlier)
    assert needs == sorted(needs)


WORDS = "word " * 1000  # five minutes
PAGES = {
    "01_first": {},
    "02_second": {"needs": ["01_first"], "load": "shakespeare"},
    "03_series": {"needs": ["01_first", "02_second"], "load": "airline"},
    "04_changed": {"changed": True},
    "05_never": {"verified": False},
    "06_slow": {"seconds": 90},
}


def chapter(name, needs=(), load=None, changed=False, verified=True, seconds=20):
    code = f'data.load("{load}")' if load else "1 + 1"
    svg = "<svg xmlns='http://www.w3.org/2000/svg'/>"
    picture = new_output("display_data", {"image/svg+xml": svg})
    cells = [
        new_code_cell(notebooks.COLAB + 'load("shakespeare")', metadata={"tags": [stored.SKIP]}),
        new_markdown_cell(f"# Title of {name}\n\n{WORDS}"),
        new_code_cell(code, execution_count=1, outputs=[picture]),
    ]
    notebook = new_notebook(cells=cells)
    own = {"needs": list(needs)}
    if verified:
        signed = list(stored.signature(notebook))
        own["verified"] = {"cells": signed, "seconds": seconds, "python": "3.11"}
        own["verified"] |= dict.fromkeys(stored.PACKAGES, "1.2.3")
    if changed:
        cells[-1].source = "1 + 2"
    notebook.metadata |= {"rnnlab": own, **notebooks.METADATA}
    return notebook


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """The head of each page of a small book: its rows."""
    folder = tmp_path_factory.mktemp("book")
    for name, about in PAGES.items():
        nbformat.write(chapter(name, **about), folder / f"{name}.ipynb")
    (folder / "index.md").write_text(
        "# Book\n\n```{toctree}\n:glob:\n0*\n```\n\n(verified)=\n## Why\n\nText.\n"
    )
    (folder / "conf.py").write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / '_ext')!r})\n"
        "extensions = ['myst_nb', 'page_head']\nnb_execution_mode = 'off'\n"
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", folder, folder / "html"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    return {name: rows((folder / "html" / f"{name}.html").read_text("utf-8")) for name in PAGES}


def rows(html):
    (head,) = re.findall(r'<h1>.*?</h1>\s*<div class="page-head">.*?</div>', html, re.DOTALL)
    return dict(re.findall(r"<dt>(.*?)</dt><dd><p>(.*?)</p>", head, re.DOTALL))


def text(html):
    return re.sub("<.*?>", "", html)


def test_what_a_chapter_needs(heads):
    assert heads["01_first"]["Needs"] == "no earlier chapter"
    second = heads["02_second"]["Needs"]
    assert text(second) == (
        "chapter 1, Title of 01_first; the text “shakespeare” (1.1 MB, downloaded at the first run)"
    )
    assert 'href="01_first.html"' in second
    assert text(heads["03_series"]["Needs"]) == (
        "chapter 1, Title of 01_first; chapter 2, Title of 02_second"
    )


def test_how_long_it_takes(heads):
    # 1000 words, a line of code and a figure: five minutes and 18 seconds, rounded up to fives.
    assert heads["01_first"]["Takes"] == "10 minutes to read, about 20 seconds to run on a CPU"
    assert heads["06_slow"]["Takes"].endswith("about 1.5 minutes to run on a CPU")
    assert heads["05_never"]["Takes"] == "10 minutes to read"


VERSIONS = "Python 3.11, NumPy 1.2.3, PyTorch 1.2.3, TensorFlow 1.2.3 and Keras 1.2.3"


def test_whether_its_numbers_are_verified(heads):
    assert text(heads["01_first"]["Numbers"]) == f"verified with {VERSIONS}"
    assert 'href="index.html#verified"' in heads["01_first"]["Numbers"]
    assert text(heads["04_changed"]["Numbers"]) == (
        f"not verified: code or an output was changed after the last run, with {VERSIONS}"
    )
    assert text(heads["05_never"]["Numbers"]) == "not verified: the code was not run as it stands"


def test_reading_counts_what_is_shown_unfolded():
    def minutes(**classes):
        document = new_document("page")
        for some in classes.values():
            document += nodes.container("", nodes.paragraph("", WORDS), classes=some)
        return page_head.reading_minutes(document)

    assert minutes(one=[]) == 5
    assert minutes(one=[], two=[]) == 10
    assert minutes(one=[], two=["solution"], three=["tag_tensorflow"], four=["cell_output"]) == 5
