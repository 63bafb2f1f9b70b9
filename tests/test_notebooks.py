"""`make notebooks` stores what depends on the code alone, and refuses what no page must show."""

import importlib.util
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

TOOL = Path(__file__).parents[1] / "tools" / "notebooks.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("notebooks_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(path, *sources):
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)


def test_same_code_gives_the_same_file(tool, tmp_path):
    once, twice = tmp_path / "once.ipynb", tmp_path / "twice.ipynb"
    for path in (once, twice):
        write(path, "print('a')\nprint('b')", "1 + 1")
        assert tool.store(path) == ""
    assert once.read_bytes() == twice.read_bytes()
    first, second = nbformat.read(once, as_version=4).cells
    assert [output.text for output in first.outputs] == ["a\nb\n"]
    assert second.outputs[0].data["text/plain"] == "2"
    assert [first.execution_count, second.execution_count] == [1, 2]


@pytest.mark.parametrize(
    ("source", "expected"),
    [("import warnings\nwarnings.warn('old')", "UserWarning: old"), ("1 / 0", "ZeroDivisionError")],
)
def test_a_chapter_that_fails_or_warns_is_not_stored(tool, tmp_path, source, expected):
    path = tmp_path / "chapter.ipynb"
    write(path, source)
    before = path.read_bytes()
    assert expected in tool.store(path)
    assert path.read_bytes() == before


def test_normalise_drops_what_differs_between_runs(tool):
    def notebook(date):
        svg = f"<svg><metadata>\n  <dc:date>{date}</dc:date></metadata></svg>"
        output = new_output("display_data", {"image/svg+xml": svg})
        cells = [
            new_markdown_cell("# A"),
            new_code_cell("plot()", outputs=[output], metadata={"execution": {"at": date}}),
            new_code_cell("plot()"),
        ]
        made = new_notebook(
            cells=cells, metadata={"language_info": {"name": "python", "version": date}}
        )
        tool.normalise(made)
        return made

    assert notebook("2001-01-01") == notebook("2002-02-02")
    ids = [cell.id for cell in notebook("2001-01-01").cells]
    assert len(set(ids)) == 3
    assert [i[-2:] for i in ids] == ["-0", "-0", "-1"]
