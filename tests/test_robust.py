"""What `make test-robust` notes while a chapter runs, and what it calls near to flipping."""

import json

import margins
import nbformat
import numpy as np
import pytest
import record
import robust
from IPython.core.interactiveshell import InteractiveShell
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

SOURCE = """\
import numpy as np
np.set_printoptions(precision=2)
x, width = 0.12345678, 5
kept = []
for k in range(3):
    kept.append(x + k)
print(f"loss {x:{width}.3f}", x, "text", 3)
print(np.array([x, 2 * x]).round(1), round(x, 4))
print(np.array([x]))
assert 0 < x < 0.2 and np.allclose([x], [x + 1e-6], rtol=0, atol=1e-5)
assert x is not None and "a" in "abc" and 3 > 2
"""


def noted(source, folder):
    """Run a cell as a chapter's kernel does; what was noted, and what it printed."""
    shell = InteractiveShell()
    record.start(shell, folder)
    shell.run_cell(source, store_history=True).raise_error()
    (path,) = folder.glob("*.jsonl")
    (line,) = path.read_text(encoding="utf-8").splitlines()
    return json.loads(line)


def test_all_digits_are_noted_and_nothing_else_changes(tmp_path, capsys):
    cell = noted(SOURCE, tmp_path)
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["loss 0.123 0.12345678 text 3", "[0.1 0.2] 0.1235", "[0.12]"]
    assert cell["source"] == SOURCE
    x = 0.12345678
    found = {(kind, line, detail): values for kind, _, line, _, detail, values in cell["noted"]}
    assert found["format", 7, "5.3f"] == [x]
    assert found["round", 8, "1"] == [x, 2 * x]
    assert found["round", 8, "4"] == [x]
    assert found["print", 9, "2"] == [x]
    assert found["compare", 10, "Lt"] == pytest.approx([-x, x - 0.2])
    assert found["close", 10, ""] == pytest.approx([0.1], rel=1e-3)
    assert not [place for place in found if place[1] == 11]


def test_the_place_is_that_of_the_code(tmp_path):
    shell = InteractiveShell()
    record.start(shell, tmp_path)
    for source in "def f(x):\n    return f'{x:.1f}'", "f(0.25)":
        shell.run_cell(source).raise_error()
    (path,) = tmp_path.glob("*.jsonl")
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert first["noted"] == []
    assert second["noted"] == [["format", 0, 2, 14, ".1f", [0.25]]]


def test_a_figure_is_noted(tmp_path):
    source = "get_ipython().display_pub.publish({'image/svg+xml': '<svg>4</svg>'})"
    assert noted(source, tmp_path)["figures"] == ["<svg>4</svg>"]


def test_torch_and_tensorflow_numbers_are_noted():
    import tensorflow as tf
    import torch

    assert record.numbers([torch.ones(2, requires_grad=True), tf.constant(0.5)]) == [1, 1, 0.5]
    assert record.numbers([1, True, "0.5", None, np.arange(3)]) == []


def runs(kind, detail, *settings):
    """The same place in the code, with other numbers under each setting."""
    return [[{"source": "", "noted": [[kind, 0, 1, 0, detail, values]]}] for values in settings]


@pytest.mark.parametrize(
    ("kind", "detail", "settings", "expected"),
    [
        ("format", ".2f", ([0.1234], [0.1235]), None),  # far from 0.125
        ("format", ".2f", ([0.1249], [0.1251]), "printed as 0.12 or 0.13"),
        ("format", ".2f", ([0.1248], [0.1247]), "0.12 is soon 0.13"),
        ("format", ".2f", ([0.125], [0.125]), None),  # exact: no order of sums moves it
        ("format", ".2f", ([0.12499999], [0.12499999]), "0.12 is soon 0.13"),
        ("round", "1", ([0.26, 0.34], [0.26, 0.345]), "0.3 is soon 0.4"),
        ("print", "3", ([0.5, 0.1234], [0.5, 0.1234001]), None),
        ("compare", "Lt", ([-0.5], [-0.4]), None),
        ("compare", "Lt", ([-0.5], [0.1]), "sides change"),
        ("compare", "Gt", ([0.01], [0.02]), "which moved by 0.01"),
        ("compare", "Eq", ([0.0], [1e-9]), None),  # it passes or fails with the run
        ("close", "", ([0.1], [0.4]), None),
        ("close", "", ([0.1], [0.9]), "0.90 of the tolerance"),
        ("close", "", ([1.9], [5.0]), "5.00 of the tolerance"),
        ("close", "", ([0.9], [1000.0]), "1000.00 of the tolerance"),
        ("close", "", ([900.0], [1000.0]), None),
        ("format", ".2f", ([0.5], [0.5, 0.5]), "another count"),
    ],
)
def test_what_is_near_to_flipping(kind, detail, settings, expected):
    found = [problem for _, _, problem in margins.problems(runs(kind, detail, *settings))]
    assert bool(found) == bool(expected)
    assert not found or expected in found[0]


def test_a_setting_is_chosen_by_how_its_name_begins(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(robust, "run", lambda name, chapters: asked.append(name) or True)
    monkeypatch.setattr(robust, "report", lambda names: 0)
    assert robust.main(["--only", "SSE4"]) == 0
    assert len(asked) == 1
    assert robust.main([]) == 0
    assert asked[1:] == list(robust.SETTINGS)
    with pytest.raises(SystemExit):
        robust.main(["--only", "nothing"])
    assert "SSE4" in capsys.readouterr().err


def test_an_output_that_differs_is_a_failure_and_a_number_near_to_it_is_told(monkeypatch, capsys):
    monkeypatch.setattr(robust, "run", lambda name, chapters: True)
    monkeypatch.setattr(robust, "report", lambda names: 2)
    assert robust.main([]) == 0
    assert "Every output held, 2 numbers are near to flipping." in capsys.readouterr().out
    monkeypatch.setattr(robust, "run", lambda name, chapters: not name.startswith("SSE4"))
    assert robust.main([]) == 1
    assert "FAILED under: SSE4" in capsys.readouterr().out


def test_the_report_names_the_cell_and_its_line(tmp_path, monkeypatch, capsys):
    code = "x = measured()\nprint(f'{x:.1f}')"
    cells = [new_markdown_cell("# A chapter"), new_code_cell(code, execution_count=1)]
    (tmp_path / "chapters").mkdir()
    nbformat.write(new_notebook(cells=cells), tmp_path / "chapters" / "01_small.ipynb")
    monkeypatch.setattr(robust, "ROOT", tmp_path)
    monkeypatch.setattr(robust, "RECORDS", tmp_path)
    for name, value in ("one", 0.149), ("other", 0.151), ("cut off", 0.1):
        noted = {"source": code, "noted": [["format", 0, 2, 6, ".1f", [value]]]}
        robust.record_of(name).mkdir()
        lines = "" if name == "cut off" else json.dumps(noted) + "\n"
        (robust.record_of(name) / "1.jsonl").write_text(lines)
    assert robust.report(["one", "other"]) == 1
    assert capsys.readouterr().out == (
        "01_small.ipynb, cell 2, line 2: printed as 0.1 or 0.2\n    print(f'{x:.1f}')\n"
    )
    assert robust.report(["one", "other", "cut off"]) == 1
    assert "to its end under 2 of 3 settings" in capsys.readouterr().out
