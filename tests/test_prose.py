"""A number that the text of a chapter states is one that its code computes, prints or asserts."""

import re
from pathlib import Path

import figures
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))
DECIMAL = re.compile(r"(?<![\w.,/^])\d[\d,]*\.\d+(?![\w]|\.\d)")
NO_PROSE = re.compile(
    r"\$\$.*?\$\$|\$[^$]*\$|\{cite[^}]*\}`[^`]*`|`[^`]*`|\]\([^)]*\)|https?://\S+", re.DOTALL
)
WORKED_OUT = {  # on paper, in the sentence itself or from numbers beside it
    "02_cells": ["0.245"],
    "03_unfolding": ["1.04"],
    "04_batching": ["1.06", "0.7"],
    "05_dynamic_rnn": ["0.65", "0.68", "1.18", "7.3", "0.32"],
    "08_lstm": ["1.27", "2.3", "0.02", "4.6"],
    "09_gru": ["1.53", "1.33"],
    "10_char_lm": ["7.39", "17.78", "6.7", "0.76", "0.96", "0.995", "0.277", "0.206"],
}
RELEASES = {"04_batching": ["2.15"], "06_stacking": ["1.2"], "migration": ["2.21"]}


def computed(cells):
    """All numbers in the code and in what it put out."""
    texts = []
    for cell in cells:
        if cell.cell_type == "code":
            texts.append(cell.source)
            for output in cell.outputs:
                texts.append(output.get("text", ""))
                texts += figures.words(output.get("data", {}).get("image/svg+xml", ""))
    found = re.findall(r"\d[\d_]*(?:\.\d+)?(?:e-?\d+)?", "\n".join(texts))
    return {float(number) for number in found if not number.endswith("_")}


def unfounded(cells, allowed=()):
    """Yield (cell number, decimal number) of prose that nothing in the chapter's code stands for.

    What the lecture reported stands in paragraphs that name it.
    """
    known = computed(cells)
    for number, cell in enumerate(cells, start=1):
        if cell.cell_type != "markdown":
            continue
        for paragraph in NO_PROSE.sub(" ", cell.source).split("\n\n"):
            if "lecture" in paragraph.lower():
                continue
            for said in DECIMAL.findall(paragraph):
                digits = len(said.partition(".")[2])
                value = float(said.replace(",", ""))
                rounded = (round(x * scale, digits) for x in known for scale in (1, 100))
                if said not in allowed and not any(abs(x - value) < 1e-9 for x in rounded):
                    yield number, said


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_number_in_the_text_stands_in_code_or_outputs(path):
    allowed = WORKED_OUT.get(path.stem, []) + RELEASES.get(path.stem, [])
    found = unfounded(nbformat.read(path, as_version=4).cells, allowed)
    assert not [f"{path.name}, cell {number}: {said}" for number, said in found]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_what_was_worked_out_is_still_said(path):
    allowed = WORKED_OUT.get(path.stem, []) + RELEASES.get(path.stem, [])
    found = {said for _, said in unfounded(nbformat.read(path, as_version=4).cells)}
    assert set(allowed) <= found


def test_a_number_that_nothing_stands_for_is_noticed():
    printed = new_output("stream", text="loss 0.229\n")
    code = new_code_cell("print(f'loss {x:.3f}')\nassert x < 0.4", outputs=[printed])

    def found(text):
        return list(unfounded([code, new_markdown_cell(text)]))

    assert found("It ends at 0.23, below 0.4; see $0.7$ and `1.5`. That is 22.9 %.") == []
    assert found("It ends at 0.24.") == [(2, "0.24")]
    assert found("The lecture reports 0.24.\n\nOurs: 0.28.") == [(2, "0.28")]
