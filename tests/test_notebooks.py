"""`make notebooks` stores what depends on the code alone, and refuses what no page must show."""

import nbformat
import notebooks as tool
import pytest
import stored
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output


def write(path, *sources):
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)


def test_same_code_gives_the_same_file(tmp_path):
    once, twice = tmp_path / "once.ipynb", tmp_path / "twice.ipynb"
    for path in (once, twice):
        write(path, "print('a')\nprint('b')", "1 + 1")
        assert tool.store(path) == ""
    assert once.read_bytes() == twice.read_bytes()
    *_, first, second = cells = nbformat.read(once, as_version=4).cells
    assert [output.text for output in first.outputs] == ["a\nb\n"]
    assert second.outputs[0].data["text/plain"] == "2"
    assert [cell.execution_count for cell in cells] == [None, 1, 2, 3]


@pytest.mark.parametrize(
    ("source", "expected"),
    [("import warnings\nwarnings.warn('old')", "UserWarning: old"), ("1 / 0", "ZeroDivisionError")],
)
def test_a_chapter_that_fails_or_warns_is_not_stored(tmp_path, source, expected):
    path = tmp_path / "chapter.ipynb"
    write(path, source)
    before = path.read_bytes()
    assert expected in tool.store(path)
    assert path.read_bytes() == before


def test_the_first_cells_are_put_there_once_and_the_one_for_colab_is_not_run(tmp_path):
    path = tmp_path / "chapter.ipynb"
    write(path, "import os", "os.environ['TF_CPP_MIN_LOG_LEVEL'] == '3'")
    for _ in range(2):
        assert tool.store(path) == ""
        cells = nbformat.read(path, as_version=4).cells
        assert [(c.source, c.metadata.get("tags")) for c in cells[:2]] == list(tool.FIRST_CELLS)
        assert len(cells) == 4
        assert cells[0].execution_count is None
        assert cells[3].outputs[0].data["text/plain"] == "True"


def test_a_run_is_noted_with_its_code_its_versions_and_about_how_long(tmp_path, monkeypatch):
    path = tmp_path / "chapter.ipynb"
    write(path, "1 + 1")
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["rnnlab"] = {"needs": ["01_one_hot"]}
    nbformat.write(notebook, path)
    monkeypatch.setattr(tool, "version", lambda name: f"{name}+cpu")
    assert tool.store(path) == ""
    own = stored.read(path)["metadata"]["rnnlab"]
    assert own["needs"] == ["01_one_hot"]
    names = {"numpy", "torch", "tensorflow", "keras"}
    assert {k: own["verified"][k] for k in names} == {name: name for name in names}
    assert own["verified"]["seconds"] == 5
    assert stored.is_verified(stored.read(path))


def test_changed_code_is_no_longer_verified(tmp_path):
    path = tmp_path / "chapter.ipynb"
    write(path, "1 + 1")
    assert tool.store(path) == ""
    notebook = stored.read(path)
    notebook["cells"].insert(2, {"cell_type": "markdown", "source": "Text.", "metadata": {}})
    notebook["cells"][0]["source"] = "another address"
    assert stored.is_verified(notebook)
    notebook["cells"][-1]["source"] = "1 + 2"
    assert not stored.is_verified(notebook)


@pytest.mark.parametrize(
    ("before", "took", "expected"),
    [(None, 13, 15), (None, 700, 600), (20, 26, 20), (20, 14, 20), (20, 31, 30), (20, 13, 15)],
)
def test_seconds_are_round_and_stay_what_they_are_unless_much_has_changed(before, took, expected):
    notebook = new_notebook()
    if before:
        notebook.metadata["rnnlab"] = {"verified": {"seconds": before}}
    assert tool.verified(notebook, took)["seconds"] == expected


def test_normalise_drops_what_differs_between_runs():
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
