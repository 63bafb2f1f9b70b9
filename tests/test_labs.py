"""The page of labs: its figures are those of the chapters, its shapes those of both frameworks."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from support import lab

from rnnlab.state import leaves
from rnnlab.text import one_hot

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "chapters/labs.md").read_text()

SHAPE = r"\(\d+(?:, \d+)+\)"
NUMBER = r"(?<![\w.,])-?(?:\d{1,3}(?:,\d{3})+|\d+\.\d+)(?![\w,]*\d)"
QUOTED = r"`[a-z]{4,}`"


def rows():
    """(lab, the lecture's figures, ours, the number of the chapter), row by row."""
    for line in PAGE.replace("−", "-").splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if len(cells) == 4 and (chapter := re.search(r"<(\d\d)_", cells[3])):
            yield *cells[:3], chapter[1]


def figures(text):
    return re.findall(f"{SHAPE}|{NUMBER}|{QUOTED}", text)


def stands_in(figure, text):
    return re.search(rf"(?<![\d.-])(?<!\d,){re.escape(figure)}(?![\d]|\.\d)", text)


def of_chapter(path):
    """What a chapter's reader sees of figures: its text, what it prints, what it asserts."""
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        else:
            parts += [output.get("text", "") for output in cell.outputs]
            parts += [line for line in cell.source.splitlines() if "assert" in line]
    text = re.sub(r"(?<=\d)[_](?=\d{3})", ",", "\n".join(parts).replace("−", "-"))
    return re.sub(r"\s+", " ", text)


ROWS = list(rows())


def test_the_page_has_all_rows():
    assert len(ROWS) == PAGE.count("\n|") - 2 * PAGE.count("\n|---") == 44
    assert {chapter for *_, chapter in ROWS} == {f"{n:02}" for n in (*range(1, 11), 12)}


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[3]} {row[0]}" for row in ROWS])
def test_every_figure_stands_in_the_chapter_named(row):
    _, theirs, ours, chapter = row
    text = of_chapter(*ROOT.glob(f"chapters/{chapter}_*.ipynb"))
    missing = [f for f in figures(theirs) + figures(ours) if not stands_in(f.strip("`"), text)]
    assert not missing


def test_a_figure_that_drifted_is_noticed():
    text = "loss 0.2295, (3, 5, 2), 90,600 weights, -0.298"
    for figure in "0.2295", "(3, 5, 2)", "90,600", "-0.298":
        assert stands_in(figure, text)
    for figure in "0.229", "(3, 5, 3)", "0,600", "600", "0.298", "0.22951":
        assert not stands_in(figure, text)
    assert figures("`ihello`, loss 0.004; (1, 8, 2), 12-1, 90,600; -0.3, 5") == [
        "`ihello`", "0.004", "(1, 8, 2)", "90,600", "-0.3",
    ]  # fmt: skip


WORDS = one_hot(["hello", "eolll", "lleel"], vocabulary="helo")
LOVE = one_hot(["ILOVEYOU"], vocabulary="ILOVEYU")
TEN = np.zeros((1, 10, 5), "float32")
LAYERS = [  # builder, its arguments, inputs, shape of the outputs, of all states in one array
    ("SimpleRNN", (4, 2), WORDS[:1, :1], (1, 1, 2), (1, 1, 2)),
    ("LSTM", (4, 2), WORDS[:1], (1, 5, 2), (1, 1, 2)),
    ("SimpleRNN", (4, 2), WORDS, (3, 5, 2), (1, 3, 2)),
    ("LSTM", (7, 2), LOVE, (1, 8, 2), (1, 1, 2)),
    ("SimpleRNN", (5, 8), TEN, (1, 10, 8), (1, 1, 8)),
    ("LSTM", (7, 2, 2), LOVE, (1, 8, 2), (2, 1, 2)),
    ("SimpleRNN", (5, 8, 4), TEN, (1, 10, 8), (4, 1, 8)),
    ("SimpleRNN", (5, 8, 3, True), TEN, (1, 10, 16), (6, 1, 8)),
]


@pytest.mark.parametrize("way", ["torch", "tensorflow"])
@pytest.mark.parametrize(("builder", "arguments", "xs", "outputs", "states"), LAYERS)
def test_the_shapes_are_those_of_both_frameworks(way, builder, arguments, xs, outputs, states):
    assert str(outputs) in PAGE
    names = ("input_size", "hidden_size", "num_layers", "bidirectional")
    layer = getattr(lab(way), builder)(**dict(zip(names, arguments, strict=False)))
    ys, state = layer(xs)
    assert tuple(ys.shape) == outputs
    found = [tuple(part.shape) for part in leaves(state)]
    pairs = 2 if builder == "LSTM" else 1  # h and c
    assert found == [states[1:]] * states[0] * pairs


@pytest.mark.parametrize("way", ["torch", "tensorflow"])
@pytest.mark.parametrize(
    ("builder", "I", "expected"),
    [
        ("SimpleRNN", 1, "90,600"),
        ("SimpleRNN", 300, "180,300"),
        ("LSTM", 1, "362,400"),
        ("LSTM", 300, "721,200"),
        ("LSTM", 600, "1,081,200"),
    ],
)
def test_the_numbers_of_weights_are_those_of_both_frameworks(way, builder, I, expected):
    assert expected in PAGE
    layer = getattr(lab(way), builder)(I, 300)
    weights = lab(way).get_weights(layer).values()
    assert f"{sum(w.size for w in weights):,}" == expected
