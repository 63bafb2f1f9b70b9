"""Twin cells become synced tabs on the page, and a cell without its twin fails the build."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

EXTENSIONS = Path(__file__).parents[1] / "_ext"
PAGES = {  # the cells of each page: P and T are tagged, N is not, a blank is Markdown
    "index": "PT",
    "two_sets": "PTPT",
    "two_cells_each": "PPTT",
    "between": "NPTN",
    "no_tensorflow": "P",
    "no_pytorch": "T",
    "apart": "P T",
    "reversed": "TP",
    "one_too_many": "PTP",
}
TAGS = {"P": ["pytorch"], "T": ["tensorflow"], "N": []}


def cell(kind, number):
    if kind == " ":
        return new_markdown_cell("Text.")
    output = new_output("stream", name="stdout", text=f"output {kind}{number}\n")
    return new_code_cell(
        f"source_{kind}{number}", execution_count=1, outputs=[output], metadata={"tags": TAGS[kind]}
    )


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """Build all pages at once; return the folder of the pages and what Sphinx warned of."""
    folder = tmp_path_factory.mktemp("book")
    for name, kinds in PAGES.items():
        cells = [cell(kind, number) for number, kind in enumerate(kinds)]
        notebook = new_notebook(cells=[new_markdown_cell(f"# {name}"), *cells])
        notebook.metadata["orphan"] = True  # these pages need no table of contents
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
        nbformat.write(notebook, folder / f"{name}.ipynb")
    (folder / "conf.py").write_text(
        f"import sys; sys.path.insert(0, {str(EXTENSIONS)!r})\n"
        "extensions = ['myst_nb', 'sphinx_design', 'framework_tabs']\n"
        "nb_execution_mode = 'off'\n"
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", folder, folder / "html"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    return folder / "html", built.stderr.splitlines()


def page(book, name):
    return (book[0] / f"{name}.html").read_text()


def warnings(book, name):
    return [line for line in book[1] if f"{name}.ipynb" in line]


def tab_sets(html):
    """What each tab set shows, tab by tab: the sources and outputs in it, in their order."""
    found = []
    for tab_set in html.split('class="sd-tab-set framework-tabs')[1:]:
        tabs = tab_set.split('<div class="sd-tab-content')[1:3]
        found.append([re.findall(r"(?:source_|output )([PT]\d)", tab) for tab in tabs])
    return found


def test_a_pair_is_one_tab_set_with_outputs(book):
    assert tab_sets(page(book, "index")) == [[["P0", "P0"], ["T1", "T1"]]]
    assert warnings(book, "index") == []


def test_labels_are_synced_by_framework(book):
    labels = re.findall(r"<label[^>]*>", page(book, "index"))
    assert [re.search('data-sync-id="(.*?)"', label)[1] for label in labels] == [
        "pytorch",
        "tensorflow",
    ]
    assert all('data-sync-group="framework"' in label for label in labels)
    assert re.findall(r"<label[^>]*>\s*([^<]*?)\s*</label>", page(book, "index")) == [
        "PyTorch",
        "TensorFlow",
    ]


def test_two_pairs_are_two_tab_sets(book):
    assert len(tab_sets(page(book, "two_sets"))) == 2
    assert warnings(book, "two_sets") == []


def test_two_cells_of_each_are_one_tab_set(book):
    assert tab_sets(page(book, "two_cells_each")) == [
        [["P0", "P0", "P1", "P1"], ["T2", "T2", "T3", "T3"]]
    ]
    assert warnings(book, "two_cells_each") == []


def test_other_cells_stay_where_they_are(book):
    html = page(book, "between")
    assert html.index("source_N0") < html.index("framework-tabs") < html.index("source_N3")


@pytest.mark.parametrize(
    ("name", "count"),
    [("no_tensorflow", 1), ("no_pytorch", 1), ("apart", 2), ("reversed", 2), ("one_too_many", 1)],
)
def test_a_missing_twin_is_a_warning(book, name, count):
    found = warnings(book, name)
    assert len(found) == count
    assert all("WARNING: a cell tagged" in line for line in found)


def test_a_cell_without_its_twin_is_still_shown(book):
    assert "source_P0" in page(book, "no_tensorflow")
    assert "source_P2" in page(book, "one_too_many")
