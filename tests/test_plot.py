"""The book's figures: what they draw, and what they refuse."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

from rnnlab import plot, text


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plot.plt.close("all")


def words(axes):
    return [piece.get_text() for piece in axes.texts]


def test_one_hot_draws_every_number_and_names_rows_and_columns():
    drawn = words(plot.one_hot(text.one_hot("I I", "I J"), "I J"))
    assert drawn.count("1") >= 3
    assert drawn.count("I") == 3  # two rows, one column
    assert "␣" in drawn  # a space that can be seen


def test_one_hot_takes_a_vocabulary():
    vocabulary = text.Vocabulary("helo")
    assert "h" in words(plot.one_hot(text.one_hot("hello", vocabulary), vocabulary))


@pytest.mark.parametrize(
    ("x", "symbols", "message"),
    [
        (np.eye(2)[None], "ab", "two axes"),
        (np.zeros((2, 2)), "ab", "single 1"),
        (np.full((2, 2), 0.5), "ab", "single 1"),
        (np.eye(2), "abc", "V = 2"),
    ],
)
def test_one_hot_refuses(x, symbols, message):
    with pytest.raises(ValueError, match=message):
        plot.one_hot(x, symbols)
    with pytest.raises(ValueError, match=message):
        plot.row_lookup(x, np.ones((x.shape[-1], 2)), symbols)


def test_row_lookup_draws_the_product():
    drawn = words(plot.row_lookup(np.eye(2)[[1, 1]], [[30, 40], [50, 60]], "ab"))
    assert (drawn.count("30"), drawn.count("50")) == (1, 3)


def test_row_lookup_refuses_a_matrix_that_does_not_fit_and_too_many_symbols():
    with pytest.raises(ValueError, match=r"shape \(V, H\) with V = 2"):
        plot.row_lookup(np.eye(2), np.ones((3, 2)), "ab")
    with pytest.raises(ValueError, match="at most 6"):
        plot.row_lookup(np.eye(7), np.ones((7, 2)), "abcdefg")


CELL = {
    "x": [0, 1],
    "h": [0.5, -0.5, 1],
    "W_x": np.arange(6).reshape(2, 3) / 8,
    "W_h": np.eye(3),
    "b": [0, 0, 0.25],
}


def test_cell_step_draws_the_new_state_and_names_the_inputs():
    drawn = words(plot.cell_step(**CELL, inputs="ab"))
    new = np.tanh([0.375 + 0.5, 0.5 - 0.5, 0.625 + 1 + 0.25])
    assert {f"{value:.2f}" for value in new} <= set(drawn)
    assert {"a", "b", "(2, 3)", "(3, 3)", "(3,)", "next step"} <= set(drawn)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", [0, 1, 0], r"x must have shape \(2,\)"),
        ("h", [[0, 0, 0]], r"h must have shape \(3,\)"),
        ("W_x", [1, 2], "two axes"),
        ("W_h", np.eye(2), r"W_h must have shape \(3, 3\)"),
        ("b", [0], r"b must have shape \(3,\)"),
        ("inputs", "abc", "2 entries of x, got 3"),
    ],
)
def test_cell_step_refuses(name, value, message):
    with pytest.raises(ValueError, match=message):
        plot.cell_step(**{**CELL, name: value})


def test_states_draws_a_panel_for_each_run_in_one_range():
    panels = plot.states({"one": np.zeros((5, 3)), "two": np.ones((5, 3))}, limit=2)
    assert [axes.get_title() for axes in panels] == ["one", "two"]
    assert {axes.images[0].get_clim() for axes in panels} == {(-2, 2)}


@pytest.mark.parametrize("runs", [{}, {"a": np.zeros(3)}, {"a": np.eye(2), "b": np.eye(3)}])
def test_states_refuses(runs):
    with pytest.raises(ValueError, match="one shape"):
        plot.states(runs)


def test_tracks_draw_every_letter_and_two_batches():
    axes = plot.tracks("to be or not to be\n\n", 2, 4)
    words = [text.get_text() for text in axes.texts]
    assert [w for w in words if len(w) == 1] == list("to␣be␣or␣not␣to␣be↵↵")
    assert {"track 0", "track 1", "batch 0", "batch 1", "state"} <= set(words)
    with pytest.raises(ValueError, match=r"at least 16 characters.*got 15"):
        plot.tracks("a" * 15, 2, 4)


def test_surprise_draws_every_letter_stronger_where_dearer():
    axes = plot.surprise("ab c\n", [0.0, 5.0, 9.0, 1.0, 2.0], columns=3)
    assert [text.get_text() for text in axes.texts] == list("ab␣c↵")
    strengths = [patch.get_facecolor()[0] for patch in axes.patches]  # red
    assert strengths[0] < strengths[3] < strengths[4] < strengths[1] == strengths[2]
    with pytest.raises(ValueError, match=r"each of the 2 characters, got \(3,\)"):
        plot.surprise("ab", [1, 2, 3])
