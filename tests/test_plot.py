"""The book's figures: what they draw, and what they refuse."""

import re
from collections import Counter
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import FancyBboxPatch

mpl.use("Agg")

from rnnlab import numpy as rnn
from rnnlab import plot, text


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
    with mpl.rc_context():
        plot.use_style()
        panels = plot.states({"one": np.zeros((5, 3)), "two": np.ones((5, 3))}, limit=2)
    assert [axes.get_title() for axes in panels] == ["one", "two"]
    assert {axes.images[0].get_clim() for axes in panels} == {(-2, 2)}
    *_, bar = panels[0].figure.axes
    sizes = {label.get_fontsize() for axes in (*panels, bar) for label in axes.get_yticklabels()}
    assert sizes == {10}  # the scale's numbers are no larger than the axes'


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


def where(axes, name):
    """Where a word stands, from left to right."""
    return sorted(piece.get_position() for piece in axes.texts if piece.get_text() == name)


def cells(axes):
    """The colours of the cells and how many there are of each, pale ones apart."""
    drawn = [box for box in axes.patches if isinstance(box, FancyBboxPatch) and not framing(box)]
    return Counter(
        (box.get_fill(), mpl.colors.to_hex(box.get_edgecolor()), box.get_width()) for box in drawn
    )


def framing(box):
    """Whether a box goes around a state, rather than being a cell."""
    return box.get_width() < 0.29


def frames(axes):
    """The middles of the frames, from left to right."""
    framed = [box for box in axes.patches if isinstance(box, FancyBboxPatch) and framing(box)]
    return sorted((b.get_x() + b.get_width() / 2, b.get_y() + b.get_height() / 2) for b in framed)


def test_unfolded_copies_one_cell_and_gives_the_shapes():
    axes = plot.unfolded("hello", I=4, H=2)
    drawn = words(axes)
    assert {"inputs (1, 5, 4)", "outputs (1, 5, 2)", "(1, 4)", "(1, 2)", "state"} <= set(drawn)
    assert list(cells(axes).values()) == [6]  # the folded one and five copies, all of one colour
    assert drawn.count("$W_x$") == 6
    assert drawn.count("$W_h$") == 5  # the loop and the four ways between copies
    assert where(axes, "h")[0][0] < where(axes, "e")[0][0] < where(axes, "l")[0][0]


def test_unfolded_frames_the_last_output_and_the_state_which_are_one_vector():
    axes = plot.unfolded("hello")
    np.testing.assert_allclose(frames(axes), where(axes, "$h_{5}$"))
    assert where(axes, "$h_{5}$")[0][0] == where(axes, "o")[0][0]


def test_unfolded_last_draws_one_output():
    drawn = words(plot.unfolded("hello", read="last", H=3))
    assert "last output (1, 3)" in drawn
    assert not {"$h_{1}$", "$h_{4}$"} & set(drawn)


def test_unfolded_padding_gives_zeros_and_the_state_of_the_last_valid_step():
    axes = plot.unfolded(["hello", "eol", ""], H=2)
    drawn = words(axes)
    assert drawn.count("pad") == 2 + 5
    assert sorted(cells(axes).values()) == [7, 8]  # pale and full
    assert drawn.count("0") == 3 + (2 + 5) + 1  # starts; outputs; the state of the empty text
    ends = [max(where(axes, name)) for name in ("$h_{5}$", "$h_{3}$")]
    assert ends[0][0] == ends[1][0]
    assert "(3, 2)" in drawn
    assert sum(line.is_dashed() for line in axes.lines) == 2  # past padding, to the end


def test_unfolded_takes_lengths_of_texts_that_are_longer():
    drawn = words(plot.unfolded("hello", lengths=[3], states="hc"))
    assert {"o", "$h_{3}$", "$c_{3}$", "2 × (1, 2)"} <= set(drawn)
    assert "$h_{4}$" not in drawn


def test_unfolded_layers_have_their_own_weights_and_states():
    axes = plot.unfolded("hello", depth=3)
    assert sorted(cells(axes).values()) == [5, 5, 5]
    assert [words(axes).count(mark) for mark in "123"] == [5, 5, 5]
    assert len(where(axes, "$h_{5}$")) == 3 + 1
    assert len(frames(axes)) == 2  # the top layer's alone is an output
    assert words(axes).count("(1, 5, 2)") == 2  # what layers 1 and 2 hand on


@pytest.mark.parametrize("towers", [False, True])
def test_unfolded_directions_end_on_opposite_sides(towers):
    axes = plot.unfolded("hello", H=3, depth=2, bidirectional=True, towers=towers)
    drawn = words(axes)
    assert "outputs (1, 5, 6)" in drawn
    assert drawn.count("(1, 5, 6)") == (0 if towers else 1)  # read by layer 2
    assert sorted(cells(axes).values()) == [5, 5, 5, 5]
    (first, _), (last, _) = where(axes, "h")[0], where(axes, "o")[0]
    # Backward: two states at the left end, then an output; the other output h_1 is forward.
    assert [x < first - 0.4 for x, _ in where(axes, "$h_{1}$")] == [True, True, False, False]
    assert [x > last + 0.4 for x, _ in where(axes, "$h_{5}$")] == [False, False, True, True]
    assert [x < first for x, _ in where(axes, "0")] == [True, True, False, False]  # the starts
    bars = [line for line in axes.lines if line.get_linewidth() == 2.5]
    assert len(bars) == 5 * (2 if towers else 3)  # where directions part or meet


def test_unfolded_frames_what_each_direction_ends_with():
    axes = plot.unfolded("hello", bidirectional=True)
    places = [where(axes, "$h_{1}$")[k] for k in (0, 2)] + [
        where(axes, "$h_{5}$")[k] for k in (0, 2)
    ]
    np.testing.assert_allclose(frames(axes), places)


def test_unfolded_in_symbols():
    drawn = words(plot.unfolded(3, symbols=True, bidirectional=True))
    assert {"$x_{3}$", "inputs (B, T, I)", "outputs (B, T, 2H)", "(B, H)"} <= set(drawn)


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "hello"},
        {"text": "hello", "states": "hc", "folded": False},
        {"text": 4, "H": 300, "read": "last", "folded": False},
        {"text": "hel", "H": 12},
        {"text": "hel", "states": "hc"},
        {"text": "hel", "depth": 2},
        {"text": "LOVE", "bidirectional": True, "depth": 2},
        {"text": ["hello", "eol"]},
    ],
)
def test_unfolded_writes_no_word_over_another(arguments):
    with mpl.rc_context():
        plot.use_style()
        axes = plot.unfolded(**arguments)
        axes.figure.canvas.draw()
        boxes = [(p.get_window_extent(), p.get_text()) for p in axes.texts if p.get_text()]
    for k, (box, word) in enumerate(boxes):
        over = [other for other_box, other in boxes[:k] if box.overlaps(other_box)]
        assert not over, (word, over)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": ""}, "1 to 10 steps.*got 0"),
        ({"text": []}, "at least one text"),
        ({"text": "hello hello"}, "1 to 10 steps.*got 11"),
        ({"text": 0}, "at least 1, got 0"),
        ({"text": "eol", "lengths": [4]}, "between 0 and T = 3"),
        ({"text": "eol", "lengths": [3, 2]}, "one for each row"),
        ({"text": "eol", "read": "first"}, "'all' or 'last'"),
        ({"text": "eol", "states": "c"}, "'h' or 'hc'"),
        ({"text": "eol", "towers": True}, "bidirectional=True"),
        ({"text": "eol", "depth": 2, "folded": True}, "folded needs one text"),
        ({"text": "eol", "depth": 4, "bidirectional": True}, "at most 6 chains, got 8"),
        ({"text": "eol", "H": 0}, "H must be at least 1"),
    ],
)
def test_unfolded_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot.unfolded(**arguments)


def lstm_gates(T=3, H=2):
    rng = np.random.default_rng(0)
    values = {name: rng.uniform(0, 1, (T, H)) for name in "ifo"}
    return values | {"g": rng.uniform(-1, 1, (T, H)), "c": rng.uniform(-1, 1, (T, H)) * 4}


def test_gates_draws_a_panel_for_each_in_its_own_range():
    values = lstm_gates()
    panels = plot.gates(values, "a b")
    assert [axes.get_ylabel()[0] for axes in panels] == list("ifogc")
    for axes, (name, entries) in zip(panels, values.items(), strict=True):
        largest = np.abs(entries).max() if name == "c" else 1
        assert axes.images[0].get_clim() == (0 if name in "ifo" else -largest, largest)
        np.testing.assert_array_equal(axes.images[0].get_array(), entries.T)
    assert [tick.get_text() for tick in panels[0].get_xticklabels()] == list("a␣b")
    assert f"±{np.abs(values['c']).max():.1f}" in words(panels[4])
    (small,) = plot.gates({"c": values["c"] / 10}, "a b")
    assert (small.images[0].get_clim(), words(small)) == ((-1, 1), [])  # as the scale below says


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"named among i f g o .*, got \[\]"),
        ({"a": np.ones((2, 1))}, r"got \['a'\]"),
        ({"i": np.ones(2)}, r"one shape \(T, H\)"),
        ({"i": np.ones((2, 1)), "f": np.ones((2, 2))}, "one shape"),
        ({"i": np.ones((3, 1))}, "each of the 3 steps, got 2"),
        ({"i": [[0.5], [1.5]]}, "'i'.* between 0 and 1.*after the sigmoid"),
        ({"g": [[0.5], [-1.5]]}, "'g'.* between -1 and 1"),
        ({"c": [[0.5], [np.nan]]}, "'c'.* finite"),
    ],
)
def test_gates_refuses(values, message):
    with pytest.raises(ValueError, match=message):
        plot.gates(values, "ab")


def step_of(gates, H=2, seed=3):
    """Random distinct numbers of one step: x, h, W_x, W_h, b."""
    rng = np.random.default_rng(seed)
    shapes = {"x": (3,), "h": (H,), "W_x": (3, gates * H), "W_h": (H, gates * H), "b": gates * H}
    return {name: rng.uniform(-1, 1, shape) for name, shape in shapes.items()}


def printed(numbers):
    return {f"{value:z.2f}".replace("-", "−") for value in np.ravel(numbers)}


@pytest.mark.parametrize("H", [1, 2])
def test_lstm_step_draws_the_numbers_of_the_package_s_cell(H):
    step = step_of(4, H)
    c = np.array([1.25, -0.75])[:H]
    cell = rnn.LSTMCell(3, H, dtype="float64")
    rnn.set_weights(cell, {name: step[name] for name in ("W_x", "W_h", "b")})
    _, new = cell(step["x"][None], rnn.LSTMState(step["h"][None], c[None]))
    drawn = set(words(plot.lstm_step(c=c, **step)))
    sums = step["x"] @ step["W_x"] + step["h"] @ step["W_h"] + step["b"]
    assert printed(c) | printed(new.c) | printed(new.h) | printed(sums) <= drawn


def test_lstm_parts_lights_one_thing_at_a_time():
    """Each gate's name stands in full colour once, in the drawing of what it does."""
    texts = plot.lstm_parts().texts
    lit = [piece.get_text() for piece in texts if piece.get_alpha() is None]
    drawings = " ".join(lit).split("Keep ")[1].replace("Show", "Write").split("Write")
    named = [[name for name in "ifgo" if f"${name}$" in drawing] for drawing in drawings]
    assert named == [["f"], ["i", "g"], ["o"]]
    assert all("old $c$" in drawing and "new $c$" in drawing for drawing in drawings)
    assert [("new $h$" in drawing) for drawing in drawings] == [False, False, True]
    assert words(plot.lstm_step()).count("new $h$") == 1


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_step_draws_the_numbers_of_the_package_s_cell(reset_after):
    step = step_of(3)
    if reset_after:
        step["b_hn"] = np.array([0.4, -0.8])
    cell = rnn.GRUCell(3, 2, dtype="float64", reset_after=reset_after)
    rnn.set_weights(cell, {k: v for k, v in step.items() if k not in "xh"})
    new, _ = cell(step["x"][None], step["h"][None])
    drawn = set(words(plot.gru_step(**step, reset_after=reset_after)))
    assert printed(new) | printed(step["h"]) <= drawn
    assert ("$W_{hn}$" in drawn) == (not reset_after)


def test_steps_without_numbers_draw_the_flow():
    lstm, gru = words(plot.lstm_step()), words(plot.gru_step())
    assert [lstm.count(sign) for sign in "×+"] == [3, 1]
    assert [gru.count(sign) for sign in "×+"] == [3, 2]
    assert {"old $c$", "new $c$", "new $h$", "$f$  keep"} <= set(lstm)
    assert {"old $h$", "new $h$", "$z$  keep", "1 −"} <= set(gru)
    assert "$W_{hn}$" in words(plot.gru_step(reset_after=False))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b": None}, "b must be given, too"),
        ({"c": [0, 0, 0]}, r"c must have shape \(2,\)"),
        ({"W_x": np.ones((3, 6))}, r"W_x must have shape \(3, 8\)"),
        ({"x": [[1, 2, 3]]}, "x must be one row"),
        ({"h": [1, 2, 3]}, "1 or 2 entries"),
    ],
)
def test_lstm_step_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        plot.lstm_step(**{"c": [0, 0], **step_of(4), **changes})


def test_gru_step_refuses_a_bias_that_it_has_not_and_misses_one_that_it_has():
    with pytest.raises(ValueError, match="b_hn belongs to reset_after=True"):
        plot.gru_step(**step_of(3), b_hn=[0, 0], reset_after=False)
    with pytest.raises(ValueError, match="b_hn must be given, too"):
        plot.gru_step(**step_of(3))


def test_padding_draws_letters_lengths_and_mask():
    axes = plot.padding(["he o", "eo", ""])
    drawn = words(axes)
    assert {"texts (3, 4)", "lengths (3,)", "mask (3, 4)", "␣"} <= set(drawn)
    assert [drawn.count(symbol) for symbol in "10"] == [6, 6 + 1]  # and the length of the last
    assert drawn.count("") == 6
    pale = [box for box in axes.patches if not box.get_fill()]
    assert len(pale) == 12
    drawn = words(plot.padding(["ILOVEYOU", "ILOVE"], mask=False))
    assert "1" not in drawn
    beside, below = plot.padding(["hello"]), plot.padding(["ILOVEYOU"])
    assert where(beside, "1")[0][1] == where(beside, "h")[0][1]
    assert where(below, "1")[0][1] > where(below, "I")[0][1]


@pytest.mark.parametrize("texts", [[], [""], ["a"] * 9, ["a" * 13]])
def test_padding_refuses(texts):
    with pytest.raises(ValueError, match="1 to 8 texts"):
        plot.padding(texts)
    with pytest.raises(ValueError, match=r"got one text; pass \['hello'\]"):
        plot.padding("hello")


def test_packed_draws_each_letter_twice_and_the_batch_sizes_below():
    axes = plot.packed(["eol", "h i!"])  # not sorted
    drawn = words(axes)
    assert {"padded (2, 4)", "packed", "(7,)", "batch_sizes (4,)"} <= set(drawn)
    assert all(drawn.count(letter) == 2 for letter in "eolhi!␣")
    assert drawn[-4:] == ["2", "2", "2", "1"]
    heights = [min(y for _, y in where(axes, letter)) for letter in "he"]
    assert heights[0] < heights[1]  # the longest first
    strip = [max(where(axes, letter), key=lambda at: at[1])[0] for letter in "he␣oil!"]
    assert strip == sorted(strip)  # step by step
    colours = {box.get_facecolor() for box in axes.patches if box.get_fill()}
    assert len(colours) == 2


@pytest.mark.parametrize("texts", [[], ["hello", ""], ["a"] * 7, ["abcdefgh", "abcdefg"]])
def test_packed_refuses(texts):
    with pytest.raises(ValueError, match="1 to 6 texts"):
        plot.packed(texts)
    with pytest.raises(ValueError, match=r"got one text; pass \['hello'\]"):
        plot.packed("hello")


def test_gradient_road_is_logarithmic_and_leaves_zeros_out():
    axes = plot.gradient_road({"RNN": [0, 0.01, 0.1, 1], "LSTM": [0.7, 0.8, 0.9, 1]})
    assert axes.get_yscale() == "log"
    lines = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_array_equal(lines["RNN"].get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(lines["RNN"].get_ydata(), [np.nan, 0.01, 0.1, 1])
    looks = {(line.get_color(), line.get_marker()) for line in lines.values()}
    assert len(looks) == len({marker for _, marker in looks}) == 2


@pytest.mark.parametrize(
    ("norms", "message"),
    [
        ({}, "1 to 6 entries, got 0"),
        ({"a": [1.0], "b": [1.0, 2.0]}, r"one length T, got \[1, 2\]"),
        ({"a": [1.0, -1.0]}, "'a'.*none negative"),
        ({"a": [0.0, 0.0]}, "'a'.*not all 0"),
        ({"a": [1.0, np.inf]}, "'a'.*finite"),
        ({"a": [[1.0]]}, "'a'.*vector"),
    ],
)
def test_gradient_road_refuses(norms, message):
    with pytest.raises(ValueError, match=message):
        plot.gradient_road(norms)


SERIES = {"actual": [5, 6, 7, 8, 9, 10], "made": {"naive": [7, 8, 9], "GRU": [8, 9, 9]}, "cut": 3}


def test_forecasts_stand_in_the_test_part_behind_the_cut():
    axes = plot.forecasts(**SERIES, x=range(2000, 2006), since=1, baselines=["naive"])
    actual, naive, gru, border = axes.get_lines()
    np.testing.assert_array_equal(actual.get_xydata()[[0, -1]], [[2001, 6], [2005, 10]])
    np.testing.assert_array_equal(naive.get_xydata(), [[2003, 7], [2004, 8], [2005, 9]])
    assert (naive.is_dashed(), gru.is_dashed()) == (True, False)
    assert border.get_xdata()[0] == 2002.5
    names = [label.get_text() for label in axes.figure.legends[0].get_texts()]
    assert names == ["actual", "naive", "GRU"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cut": 6}, "between since = 0 and N = 6, got 6"),
        ({"since": 3}, "between since = 3 and N = 6, got 3"),
        ({"made": {"GRU": [1, 2]}}, "'GRU'.* 3 steps from the cut on, got 2"),
        ({"made": {}}, "1 to 6 entries, got 0"),
        ({"made": {"GRU": [1, 2, np.nan]}}, "'GRU'.*finite"),
        ({"actual": [[1, 2]]}, "actual must be a vector"),
        ({"baselines": ["drift"]}, r"among \['GRU', 'naive'\], got \['drift'\]"),
        ({"x": [1, 2]}, "each of the 6 steps"),
    ],
)
def test_forecasts_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        plot.forecasts(**{**SERIES, **changes})


def test_skill_sorts_and_colours_by_the_baseline():
    axes = plot.skill({"worse": 9.0, "base": 4, "best": 1, "better": 3}, baseline="base")
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["best", "better", "base", "worse"]
    assert [bar.get_width() for bar in axes.patches] == [1, 3, 4, 9]
    best, better, base, worse = (bar.get_facecolor() for bar in axes.patches)
    assert best == better
    assert len({better, base, worse}) == 3
    assert {"1.00", "3.00", "4.00", "9.00"} <= set(words(axes))
    assert axes.get_lines()[0].get_xdata()[0] == 4


def test_skill_refuses():
    with pytest.raises(ValueError, match=r"baseline must be among \['a'\], got 'b'"):
        plot.skill({"a": 1.0}, baseline="b")
    with pytest.raises(ValueError, match=r"'a'.* at least 0"):
        plot.skill({"a": -1.0}, baseline="a")


def test_rolling_origin_folds_draws_each_part_where_it_lies():
    folds = [(slice(0, 3), slice(3, 5)), (slice(2, 5), slice(5, 7))]
    axes = plot.rolling_origin_folds(folds, 8)
    drawn = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
    assert drawn == [(0, 3), (3, 5), (2, 5), (5, 7)]
    assert axes.get_xlim() == (0, 8)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([], "1 to 20"),
        ([(slice(0, 3), slice(2, 4))], r"folds\[0\].* got 0:3 and 2:4"),
        ([(slice(0, 3), slice(3, 9))], "inside 8 steps"),
        ([(slice(0, 3), slice(3, 3))], r"folds\[0\]"),
    ],
)
def test_rolling_origin_folds_refuses(folds, message):
    with pytest.raises(ValueError, match=message):
        plot.rolling_origin_folds(folds, 8)


def test_spread_draws_every_seed_and_the_median():
    axes = plot.spread({"GRU": [3.0, 1, 2, 2], "LSTM": [4.0, 6, 8]})
    gru, median, *_ = axes.get_lines()
    np.testing.assert_array_equal(gru.get_xdata(), [1, 2, 2, 3])
    assert len(set(gru.get_ydata()[1:3])) == 2  # equal results stand apart
    assert set(median.get_xdata()) == {2}
    assert {"2.00", "6.00", "median"} <= set(words(axes))
    without = plot.spread({"GRU": [3.0, 1, 2, 2], "LSTM": [4.0, 6, 8]}, numbers=None)
    assert not {"2.00", "6.00", "median"} & set(words(without))
    with pytest.raises(ValueError, match=r"'GRU'.*at least 2 seeds, got 1"):
        plot.spread({"GRU": [1.0]})


def test_spread_keeps_a_model_s_colour_and_prints_real_minus_signs():
    runs = {"LSTM": [-1.0, -2], "GRU": [-3.0, -4]}
    axes = plot.spread(runs, colours={"GRU": "good", "LSTM": "numpy"})
    drawn = [line.get_color() for line in axes.get_lines()]
    assert drawn == [plot.COLOURS[name] for name in ("numpy", "numpy", "good", "good")]
    assert {"−1.50", "−3.50"} <= set(words(axes))
    with pytest.raises(ValueError, match=r"colours\['GRU'\] must be among .*, got None"):
        plot.spread(runs, colours={"LSTM": "numpy"})


def test_a_legend_leaves_no_name_alone_on_a_line():
    names = ["a", "b", "c"]
    axes = plot.forecasts([1, 2, 3], {name: [2, 3] for name in names}, cut=1)
    assert axes.figure.legends[0]._ncols == 2  # actual and three more: two lines of two


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot.unfolded(["hello", "eol"], bidirectional=True),
        lambda: plot.lstm_step(c=[0.5, 1], **step_of(4)),
        lambda: plot.gates(lstm_gates(), "abc"),
        lambda: plot.spread({"GRU": [1.0, 2, 2]}),
        lambda: plot.feeding("hihell", "lllllo", answers="ihello"),
        lambda: plot.feeding("if you wan", "f you want", given=1),
        lambda: plot.guesses({k: ("hihell", "ihello", np.eye(6)) for k in "ab"}, "hieloa"),
    ],
)
def test_a_figure_is_the_same_file_every_time(draw, tmp_path):
    with mpl.rc_context():
        plot.use_style()
        for name in "ab":
            draw()
            plt.savefig(tmp_path / name, format="svg", metadata={"Date": None})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot.unfolded("hello"),
        lambda: plot.unfolded(["I LOVE U", "I LOVE"], states="hc", I=7, H=4),
        lambda: plot.unfolded("hello worl"),
        lambda: plot.unfolded("hello", depth=2, bidirectional=True),
        lambda: plot.padding(["hello!", "eol"]),
        lambda: plot.padding(["a" * 12]),
        lambda: plot.gates(lstm_gates(), "abc")[0],
        lambda: plot.lstm_step(c=[0.5, 1], **step_of(4)),
        lambda: plot.gru_step(b_hn=[0.5, 1], **step_of(3)),
        lambda: plot.gru_step(),
        lambda: plot.gradient_road({"RNN": [0.01, 0.1, 1]}),
        lambda: plot.forecasts(**SERIES),
        lambda: plot.skill({"seasonal naive": 1.0, "LSTM": 2.0}, baseline="LSTM"),
        lambda: plot.spread({"GRU": [1.0, 2, 2]}),
        lambda: plot.speed(WAYS, limit=1, marks={"products": 1.2}),
        lambda: plot.reach({"one": np.eye(5), "other": np.eye(5)}, "hello"),
        lambda: plot.cell_step([0, 1], [1, 0], np.eye(2), np.eye(2), [0, 0], inputs="ab"),
        lambda: plot.tracks("a" * 54, 3, 6),
        lambda: plot.gru_step(reset_after=False),
        lambda: plot.curves({"loss": [3, 2]}, levels={"nanoGPT, CPU": 2.5}),
        lambda: plot.feeding("hihell", "lllllo", answers="ihello"),
        lambda: plot.feeding("if you wan", "f you want", given=1),
        lambda: plot.guesses({k: ("hihell", "ihello", np.eye(6)) for k in "ab"}, "hieloa"),
    ],
)
def test_text_is_at_least_9_pixels_high_on_a_phone_358_pixels_wide(draw):
    with mpl.rc_context():
        plot.use_style()
        figure = draw().figure
        figure.canvas.draw()
        margin = 2 * plt.rcParams["savefig.pad_inches"]
    width = 72 * (figure.get_tightbbox().width + margin)  # points, as it is stored
    texts = [piece for piece in figure.findobj(mpl.text.Text) if piece.get_text()]
    # An index is drawn at 0.7 of the size.
    sizes = [
        piece.get_fontsize() * (0.7 if re.search(r"\$.*[_^]", piece.get_text()) else 1)
        for piece in texts
    ]
    assert min(sizes) * min(358 / width, 96 / 72) >= 9


WAYS = {"naive": (9.0, 10.0, 12.0), "by hand": (2.0, 3.0, 4.0), "fused": (1.5, 1.5, 1.5)}


def test_speed_draws_bars_from_the_limit_in_order_and_numbers():
    axes = plot.speed(WAYS, limit=1, marks={"products": 1.2}, theirs=["fused"], colour="pytorch")
    assert [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches] == [
        (1, 10), (1, 3), (1, 1.5),
    ]  # fmt: skip
    rows = [bar.get_y() for bar in axes.patches]
    assert rows == sorted(rows)
    ours, _, theirs = (mpl.colors.to_hex(bar.get_facecolor()) for bar in axes.patches)
    assert (ours, theirs) == (plot.FILLS["pytorch"], plot.FILLS["plain"])
    assert {"naive", "10", "by hand", "3", "fused", "1.5", "limit 1", "products 1.2"} == set(
        words(axes)
    )
    white = [line for line in axes.get_lines() if line.get_color() == "white"]
    marked = [line.get_xdata()[0] for line in white if len(set(line.get_xdata())) == 1]
    assert marked.count(1.2) == 3
    on_bar, beyond = axes.get_lines()[:2]  # the quartiles, each seen on what is behind it
    assert [list(line.get_xdata()) for line in (on_bar, beyond)] == [[9, 10], [10, 12]]
    assert (on_bar.get_color(), beyond.get_color()) == ("white", plot.COLOURS["plain"])
    assert axes.get_xscale() == "log"
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first way is at the top
    assert "2,675" in words(plot.speed({"slow": (2670, 2675, 2680)}, limit=1))


@pytest.mark.parametrize("slowest", [20, 2000])
def test_speed_has_two_ticks_at_least(slowest):
    axes = plot.speed({"slow": (slowest, slowest, slowest)}, limit=12)
    low, high = axes.get_xlim()
    assert 2 <= sum(low <= tick <= high for tick in axes.get_xticks()) <= 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"times": {}}, "1 to 12 ways, got 0"),
        ({"times": {"a": (3, 2, 1)}}, r"times\['a'\] must be low, middle, high"),
        ({"times": {"a": (1, 2)}}, r"times\['a'\] must be low, middle, high"),
        ({"times": {"a": (0, 2, 3)}}, "above 0"),
        ({"times": {"a": (1, 2, np.inf)}}, "low, middle, high"),
        ({"limit": 0}, "limit must be greater than 0"),
        ({"marks": {"m": -1}}, r"marks\['m'\] must be greater than 0"),
        ({"theirs": ["other"]}, r"among \['naive', 'by hand', 'fused'\], got \['other'\]"),
        ({"colour": "red"}, "colour must be among"),
    ],
)
def test_speed_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        plot.speed(**{"times": WAYS, "limit": 1, **changes})


def test_heatmap_draws_the_numbers_in_a_range_around_zero():
    axes = plot.heatmap([[1, -4], [0.5, 2]], rows="ab", columns="cd", title="W")
    assert words(axes) == ["1.00", "−4.00", "0.50", "2.00"]
    assert axes.images[0].get_clim() == (-4, 4)
    labels = [tick.get_text() for tick in (*axes.get_yticklabels(), *axes.get_xticklabels())]
    assert (labels, axes.get_title()) == (list("abcd"), "W")
    axes = plot.heatmap([[1, -4]], numbers="", limit=2)
    assert (words(axes), axes.images[0].get_clim()) == ([], (-2, 2))
    with pytest.raises(ValueError, match="two axes"):
        plot.heatmap([1, 2])


def test_curves_show_all_in_their_colours_and_the_levels_by_name():
    axes = plot.curves({"NumPy": [3, 2], "PyTorch": [3, 2]}, x=[0, 10], levels={"guess": 2.5})
    below, above, level = axes.get_lines()
    assert below.get_linewidth() > above.get_linewidth()  # so that both are seen
    assert above.get_color() == plot.COLOURS["pytorch"]
    np.testing.assert_array_equal(above.get_xydata(), [[0, 3], [10, 2]])
    assert (level.get_ydata()[0], words(axes)) == (2.5, ["guess"])
    assert plot.curves({"loss": [3, 2]}).get_legend() is None


def test_batch_blocks_draw_every_letter_and_name_the_shapes():
    drawn = words(plot.batch_blocks(["hello", "a bcd"], 4, 3))
    symbols = [word for word in drawn if len(word) == 1 and not word.isdigit()]
    assert symbols == list("hae␣lblcod")  # column by column
    assert {"(2, 5, 4)", "(2, 5, 3)", "(2, 3)", "$I$ = 4", "$H$ = 3"} <= set(drawn)
    assert [word for word in drawn if word.isdigit()] == list("12345")  # the steps


@pytest.mark.parametrize(
    ("texts", "sizes", "message"),
    [
        (["ab", "abc"], (4, 2), r"one length, at least 1, got \[2, 3\]"),
        ([], (4, 2), "one length"),
        ([""], (4, 2), "one length"),
        (["a"] * 7, (4, 2), "at most 6"),
        (["a"], (0, 2), "input_size must be at least 1"),
        (["a"], (4, 0), "hidden_size must be at least 1"),
    ],
)
def test_batch_blocks_refuse(texts, sizes, message):
    with pytest.raises(ValueError, match=message):
        plot.batch_blocks(texts, *sizes)


def test_letters_draw_each_panel_and_colour_what_is_marked():
    panels = {
        "one": (["ab", "c "], [["good", None], [None, None]], ("text", "step")),
        "two": (["xyz"], [["bad"] * 3], ("step", "text")),
    }
    axes = plot.letters(panels)
    assert [w for w in words(axes) if len(w) == 1] == list("abc␣xyz")
    assert {"one", "two", "step →", "← text", "text →", "← step"} <= set(words(axes))
    strong = [patch for patch in axes.patches if patch.get_fill()]
    assert len(strong) == 4


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ({}, "at least one grid"),
        ({"a": (["ab", "c"], [[None]], ("", ""))}, "one length"),
        ({"a": (["ab"], [["good"]], ("", ""))}, "1 x 2"),
        ({"a": (["ab"], [["good", "red"]], ("", ""))}, r"got \['red'\]"),
    ],
)
def test_letters_refuse(panels, message):
    with pytest.raises(ValueError, match=message):
        plot.letters(panels)


def test_reach_fills_what_came_through():
    moved = np.tri(3) > 0
    axes = plot.reach({"forward": moved, "backward": moved.T}, "abc")
    filled = [patch.get_fill() for patch in axes.patches]
    assert filled == [*moved.ravel(), *moved.T.ravel()]
    assert words(axes).count("letter changed") == 2
    assert words(axes).count("output at") == 1  # once for a row of panels


@pytest.mark.parametrize(
    ("panels", "text", "message"),
    [
        ({}, "ab", "1 to 6 panels.* got 0 panels"),
        ({"x": np.eye(9)}, "abcdefghi", "1 to 8 letters.* 9 letters"),
        ({"x": np.eye(3)}, "ab", r"'x' must have shape \(T, T\) = \(2, 2\).* got \(3, 3\)"),
    ],
)
def test_reach_refuses(panels, text, message):
    with pytest.raises(ValueError, match=message):
        plot.reach(panels, text)


def test_feeding_marks_right_and_wrong_guesses():
    axes = plot.feeding("hihell", "lllllo", answers="ihello")
    assert words(axes)[:3] == ["answers", "guesses", "inputs"]
    hues = {plot.COLOURS[name]: name for name in ("good", "bad")}
    marked = [hues[t.get_color()] for t in axes.texts if t.get_color() in hues]
    assert marked == ["bad", "bad", "bad", "good", "good", "good"]
    cells = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    assert len(cells) == 6
    assert "answers" not in words(plot.feeding("hi", "il"))


def test_feeding_leads_each_guess_to_the_next_input():
    fed = plot.COLOURS["pytorch"]

    def led(axes):
        return [line for line in axes.get_lines() if line.get_color() == fed]

    axes = plot.feeding("if you", "f you ", given=3)
    (text,) = {t.get_text() for t in axes.texts if t.get_color() == fed} - set("yo")
    assert (text, len(led(axes))) == ("u", 3)  # guesses y o u become inputs
    for line in led(axes):
        (x, top), (end, low) = line.get_xydata()[[0, -1]]
        assert end > x
        assert low > top  # y runs downwards: from the guesses to the inputs
    assert led(plot.feeding("if you", "abcdef")) == []


@pytest.mark.parametrize(
    ("inputs", "guesses", "options", "message"),
    [
        ("", "", {}, "1 to 10 letters"),
        ("a" * 11, "a" * 11, {}, "1 to 10 letters"),
        ("ab", "a", {}, "guesses must be as many letters as inputs, 2, got 1"),
        ("ab", "bc", {"answers": "b"}, "answers must be as many"),
        ("ab", "bc", {"given": 0}, "given must be 1 to 2"),
        ("ab", "bc", {"given": 3}, "given must be 1 to 2"),
        ("ab", "cd", {"given": 1}, "the guess before it, 'c', got 'b'"),
    ],
)
def test_feeding_refuses(inputs, guesses, options, message):
    with pytest.raises(ValueError, match=message):
        plot.feeding(inputs, guesses, **options)


def test_guesses_write_what_is_likely_and_frame_the_answers():
    p = [[0.5, 0.5, 0.0], [0.03, 0.0, 0.97], [0.0, 0.001, 0.999]]
    axes = plot.guesses({"a": ("he ", "e l", p), "b": ("he ", "e l", p)}, text.Vocabulary("e l"))
    numbers = [word for word in words(axes) if word[0] == "." or word == "1"]
    assert numbers == [".50", ".50", ".97", "1"] * 2
    frames = [patch for patch in axes.patches if patch.get_linewidth() == 2]
    assert len(frames) == 6
    middles = [round(patch.get_y() + patch.get_height() / 2, 2) for patch in frames[:3]]
    rows = {t.get_text(): round(t.get_position()[1], 2) for t in axes.texts[1:4]}
    assert middles == [rows["e"], rows["␣"], rows["l"]]


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ({}, "at least one model"),
        ({"a": ("h", "e", [[1.0]])}, r"p \(T, 2\)"),
        ({"a": ("", "", np.zeros((0, 2)))}, "T letters"),
        ({"a": ("h", "ee", [[0.5, 0.5]])}, "1, 2 and"),
        ({"a": ("h", "x", [[0.5, 0.5]])}, "not among"),
        ({"a": ("h", "e", [[0.5, 0.4]])}, "sum to 1"),
        ({"a": ("h", "e", [[1.5, -0.5]])}, "sum to 1"),
    ],
)
def test_guesses_refuse(panels, message):
    with pytest.raises(ValueError, match=message):
        plot.guesses(panels, "he")


def test_stacked_draws_the_grid_and_frames_what_is_returned():
    axes = plot.stacked(np.arange(6).reshape(2, 3) / 10, inputs=[1, 0, -1])
    drawn = words(axes)
    assert {"0.00", "0.50", "layer 1", "layer 2", "step 3", "inputs", "−1"} <= set(drawn)
    frames = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    (row, column) = (frame.get_bbox() for frame in frames)
    heights = [
        piece.get_position()[1] for piece in axes.texts if piece.get_text() in ("0.30", "0.50")
    ]
    assert row.y0 < heights[0] == heights[1] < row.y1  # the outputs are the upper layer's
    assert column.height > row.height
    assert column.width < row.width
    assert "inputs" not in words(plot.stacked([[0.5]]))


@pytest.mark.parametrize(
    ("values", "inputs", "message"),
    [
        (np.zeros(3), None, r"\(L, T\).*\(3,\)"),
        (np.zeros((5, 2)), None, "at most 4 layers"),
        (np.zeros((2, 0)), None, "at most 4 layers and 6 steps"),
        (np.zeros((2, 3)), [1, 0], "each of 3 steps, got 2"),
    ],
)
def test_stacked_refuses(values, inputs, message):
    with pytest.raises(ValueError, match=message):
        plot.stacked(values, inputs)


def test_sweep_shows_every_run_and_the_medians():
    runs = {
        "deep": {0.01: [2.0, 4.0, 9.0], 0.1: [1.0, 2.0]},
        "wide": {0.01: [1.0, 3.0], 0.1: [5.0, 6.0]},
    }
    axes = plot.sweep(runs)
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert sorted(y for line in dots for y in line.get_ydata()) == [1, 1, 2, 2, 3, 4, 5, 6, 9]
    bars = [
        line.get_ydata()[0] for line in axes.lines if line.get_lw() == 3 and len(line.get_ydata())
    ]
    assert bars == [4.0, 1.5, 2.0, 5.5]


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({}, "1 to 6 models, got 0"),
        ({"deep": {}}, "1 to 6 entries, got 0"),
        ({"deep": {0.1: [1.0]}}, "at least 2 seeds, got 1"),
        ({"deep": {0.1: [1.0, np.nan]}}, "finite"),
        ({"deep": {0.1: [1.0, 2.0]}, "wide": {0.2: [1.0, 2.0]}}, r"settings \[0.1\], got \[0.2\]"),
    ],
)
def test_sweep_refuses(results, message):
    with pytest.raises(ValueError, match=message):
        plot.sweep(results)


def luminance(colour):
    """Of sRGB, as WCAG defines it."""
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3])
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one, other):
    dark, light = sorted(luminance(colour) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def css_brightness():
    css = (Path(__file__).parents[1] / "assets" / "book.css").read_text(encoding="utf-8")
    (found,) = re.findall(r'data-theme="dark"\][^{]*img \{\s*filter: brightness\(([\d.]+)\);', css)
    return float(found)


# What is behind a figure, and how bright the page makes it: white; the dark page; a box on it.
PAGES = [("#ffffff", 1), ("#121212", None), ("#222832", None)]


def least_contrast(axes, ground, bright):
    """The words of a drawing, against the square that they stand on or the page: -> the least."""

    def shown(colour, behind):
        *rgb, alpha = mpl.colors.to_rgba(colour)
        return [min(1, bright * c) * alpha + b * (1 - alpha) for c, b in zip(rgb, behind)]  # noqa: B905

    axes.figure.canvas.draw()
    found = []
    for piece in axes.texts:
        if not piece.get_text():
            continue
        box = piece.get_window_extent()
        middle, behind = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2), ground
        for patch in axes.patches:
            if patch.get_fill() and patch.contains_point(middle):
                behind = shown(patch.get_facecolor(), behind)
        for image in axes.images:
            inside = axes.transData.inverted().transform(middle)
            column, row = np.round(inside).astype(int)
            if axes.bbox.contains(*middle):
                value = image.get_array()[row, column]
                behind = shown(image.to_rgba(value), behind)
        colour = mpl.colors.to_rgba(piece.get_color(), piece.get_alpha())
        found.append((contrast(shown(colour, behind), behind), piece.get_text()))
    return min(found)


@pytest.mark.parametrize("page", range(3))
@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot.one_hot(text.one_hot("hello", "helo"), "helo"),
        lambda: plot.row_lookup(np.eye(6), np.ones((6, 2)), "abcdef"),
        lambda: plot.cell_step(**CELL),
        lambda: plot.heatmap(np.linspace(-1, 1, 21)[None]),
        lambda: plot.unfolded("hello"),
        lambda: plot.unfolded(["hello", "eol"], bidirectional=True, depth=3),
        lambda: plot.padding(["hello", "eol"]),
        lambda: plot.packed(["hello", "eol", "a", "b", "c", "d"]),
        lambda: plot.reach({"one": np.eye(5), "other": np.eye(5)}, "hello"),
        lambda: plot.tracks("a" * 54, 3, 6),
        lambda: plot.batch_blocks(["ab"] * 6, 2, 2),
        lambda: plot.letters({"one": (["ab"], [["good", None]], ("text", "step"))}),
        lambda: plot.surprise("abcdef", np.arange(6)),
        lambda: plot.lstm_step(c=[0.5, 1], **step_of(4)),
        lambda: plot.lstm_parts(),
        lambda: plot.gru_step(b_hn=[0.5, 1], **step_of(3)),
        lambda: plot.gru_step(reset_after=False),
        lambda: plot.stacked([[-1, 0, 0.5]], [1, 0, 1]),
        lambda: plot.feeding("hihell", "lllllo", answers="ihello"),
        lambda: plot.guesses({"a": ("abcd", "bcda", np.tri(4) / [[1], [2], [3], [4]])}, "abcd"),
        lambda: plot.skill({"a": 9.0, "base": 4, "best": 1}, baseline="base"),
        lambda: plot.spread({name: [1.0, 2] for name in "abcdef"}),
        lambda: plot.speed(WAYS, limit=1, marks={"products": 1.2}),
    ],
)
def test_words_have_a_contrast_of_4_5_on_light_pages_and_dark_ones(draw, page):
    ground, bright = PAGES[page]
    ground = mpl.colors.to_rgb(ground)
    with mpl.rc_context():
        plot.use_style()
        least, word = least_contrast(draw(), ground, bright or css_brightness())
    assert least >= 4.5, word


def test_lines_are_seen_on_light_pages_and_dark_ones():
    for colour in plot.COLOURS.values():
        for ground, bright in PAGES:
            shown = [c * (bright or css_brightness()) for c in mpl.colors.to_rgb(colour)]
            assert contrast(shown, mpl.colors.to_rgb(ground)) >= 4.5
