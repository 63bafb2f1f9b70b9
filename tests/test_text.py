"""Vocabularies, one-hot vectors, windows, streams and the n-gram yardstick."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlab.text import (
    NGram,
    Vocabulary,
    draw,
    one_hot,
    split,
    streams,
    windows,
)


@given(st.text(min_size=1, max_size=40))
def test_encoding_round_trip(text):
    vocabulary = Vocabulary.from_text(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert list(vocabulary.symbols) == sorted(set(text))
    assert Vocabulary(vocabulary.symbols) == vocabulary


def test_the_order_of_the_symbols_is_kept():
    assert Vocabulary("ILOVEYU").encode("ILOVEYOU").tolist() == [0, 1, 2, 3, 4, 5, 2, 6]
    assert Vocabulary(list("helo")).encode("hello").tolist() == [0, 1, 2, 2, 3]


def test_unknown_characters():
    vocabulary = Vocabulary("ab", unknown="?")
    assert len(vocabulary) == 3
    assert vocabulary.encode("abc?").tolist() == [0, 1, 2, 2]
    assert vocabulary.decode([2]) == "?"
    assert "c" not in vocabulary
    assert "?" in vocabulary
    with pytest.raises(ValueError, match=r"'c' at position 2.*2 symbols"):
        Vocabulary("ab").encode("abcc")
    assert Vocabulary.from_text("ba", "?") == Vocabulary("ab", "?")


@pytest.mark.parametrize("unknown", [None, "?"])
def test_no_text_has_no_ids_but_their_type(unknown):
    assert Vocabulary("ab", unknown).encode("").dtype == np.int64


def test_vocabularies_compare_and_show_themselves():
    assert Vocabulary("ab") == Vocabulary("ab") != Vocabulary("ba")
    assert Vocabulary("ab") != Vocabulary("ab", unknown="?")
    assert Vocabulary("ab") != "ab"
    assert len({Vocabulary("ab"), Vocabulary("ab")}) == 1
    assert hash(Vocabulary("ab")) != hash(Vocabulary("ba"))
    assert repr(Vocabulary("ab")) == "Vocabulary('ab')"
    assert repr(Vocabulary("ab", "?")) == "Vocabulary('ab', unknown='?')"
    for vocabulary in (Vocabulary("ab"), Vocabulary("ab", unknown="?")):
        assert eval(repr(vocabulary)) == vocabulary
        assert Vocabulary(vocabulary.symbols, vocabulary.unknown) == vocabulary


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Vocabulary(""), ValueError, "at least one character"),
        (lambda: Vocabulary("hello"), ValueError, "'l' stands 2 times"),
        (lambda: Vocabulary("ab", unknown="a"), ValueError, "'a' stands 2 times"),
        (lambda: Vocabulary(["ab"]), ValueError, "one character, got 'ab'"),
        (lambda: Vocabulary("ab", unknown=3), ValueError, "one character, got 3"),
        (lambda: Vocabulary(5), TypeError, "got int"),
        (lambda: Vocabulary.from_text(""), ValueError, "must not be empty"),
        (lambda: Vocabulary.from_text(b"ab"), TypeError, "got bytes"),
        (lambda: Vocabulary.from_text("what?", "?"), ValueError, "does not hold, got '[?]'"),
        (lambda: Vocabulary("ab").encode(3), TypeError, "got int"),
        (lambda: Vocabulary("ab", unknown="?").encode(None), TypeError, "got NoneType"),
        (lambda: Vocabulary("ab").decode([0, 2]), ValueError, "between 0 and 1.*got 2"),
        (lambda: Vocabulary("ab").decode([-1]), ValueError, "got -1"),
        (lambda: Vocabulary("ab").decode([0.5]), TypeError, "ids must .*got float64"),
        (lambda: Vocabulary("ab").decode([[0]]), ValueError, r"got shape \(1, 1\)"),
        (lambda: one_hot("abc", "ab"), ValueError, "'c' at position 2"),
        (lambda: one_hot(["ab", "a"], "ab"), ValueError, r"one length, got \[2, 1\]"),
        (lambda: one_hot([2], 2), ValueError, "got 2"),
        (lambda: one_hot([0.0], 2), TypeError, "tokens must .*got float64"),
        (lambda: one_hot([0], 0), ValueError, "vocabulary must be at least 1"),
        (lambda: one_hot([0], 2, dtype="int64"), ValueError, "dtype must be one of"),
        (lambda: windows([0, 1, 2], 3), ValueError, "at most 2 .*got 3"),
        (lambda: windows([0, 1, 2], 0), ValueError, "length must be at least 1, got 0"),
        (lambda: windows([0.5], 1), TypeError, "ids must .*got float64"),
        (lambda: windows([0, 1, 2], 1.5), TypeError, "whole number, got 1.5"),
        (lambda: windows("abc", 2), TypeError, "encode it"),
        (lambda: windows([[0, 1]], 1), ValueError, r"one axis, got shape \(1, 2\)"),
        (lambda: streams([0, 1], 1, 1, restart=0), ValueError, "restart must be at least 1"),
        (lambda: streams([0, 1], 0, 1), ValueError, "batch_size must be at least 1"),
        (lambda: streams([0, 1], 1, 0), ValueError, "length must be at least 1"),
        (lambda: streams([0, 1], 2, 1), ValueError, "more than batch_size = 2.*got 2"),
        (lambda: split([0, 1], 1.0), ValueError, "fraction must be less than 1, got 1.0"),
        (lambda: split([0, 1], 0.0), ValueError, "fraction must be greater than 0, got 0.0"),
        (lambda: split(3), TypeError, "ids must be a sequence that can be cut, got int"),
        (lambda: draw([0.0], -1, None), ValueError, "temperature must be at least 0, got -1"),
        (lambda: draw(["a"], 1, RNG), TypeError, "logits must be an array of numbers"),
        (lambda: draw([[0.0]], 1, RNG), ValueError, r"logits must be \(V,\).* got shape \(1, 1\)"),
        (lambda: draw([], 1, RNG), ValueError, r"logits must be \(V,\).* got shape \(0,\)"),
        (lambda: NGram(-1, [0], 2), ValueError, "order must be at least 0"),
        (lambda: NGram(63, [0], 1), ValueError, "order must be at most 62"),
        (lambda: NGram(1, [0], 0), ValueError, "size must be at least 1"),
        (lambda: NGram(27, [0], 5), ValueError, r"2\*\*62 runs .*order 27 with size 5"),
        (lambda: NGram(1, [2], 2), ValueError, "ids must .*got 2"),
        (lambda: NGram(1, [[0]], 2), ValueError, r"ids must have one axis.*\(1, 1\)"),
        (lambda: NGram(1, [0], 2).loss([]), ValueError, "ids must hold at least one token"),
    ],
)
def test_bad_input_is_refused_with_the_reason(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_one_hot_forms():
    assert one_hot("hello", "helo").argmax(-1).tolist() == [0, 1, 2, 2, 3]
    assert (one_hot("hello", "helo").sum(-1) == 1).all()
    assert one_hot(["he", "lo"], Vocabulary("helo")).shape == (2, 2, 4)
    assert one_hot(np.array([[1]]), Vocabulary("ab"), dtype="float64").tolist() == [[[0, 1]]]
    assert one_hot([1, 0], Vocabulary("ab")).tolist() == [[0, 1], [1, 0]]
    assert one_hot("", "ab").shape == (0, 2)
    assert one_hot([], "ab").shape == (0, 2)
    assert one_hot([], 3).shape == (0, 3)
    assert one_hot("a", "ab").dtype == np.float32


@given(st.integers(2, 30), st.integers(1, 29))
def test_windows_hold_every_run_and_its_next_token(n, length):
    ids = np.arange(n)
    if length >= n:
        with pytest.raises(ValueError, match="length must be at most"):
            windows(ids, length)
        return
    inputs, targets = windows(ids, length)
    assert inputs.shape == targets.shape == (n - length, length)
    assert (targets == inputs + 1).all()
    assert (inputs[:, 0] == np.arange(n - length)).all()


@given(st.integers(1, 5), st.integers(1, 7), st.integers(2, 60))
def test_streams_go_on_where_they_ended(batch_size, length, n):
    ids = np.arange(n)
    if n <= batch_size:
        return
    seen = list(streams(ids, batch_size, length))
    assert len(seen) == len(streams(ids, batch_size, length))
    assert [batch.carry for batch in seen] == [False] + [True] * (len(seen) - 1)
    tracks = np.concatenate([batch.inputs for batch in seen], axis=1)
    assert (np.concatenate([batch.targets for batch in seen], axis=1) == tracks + 1).all()
    assert tracks.ravel().tolist() == list(range(tracks.size))  # all tokens once, in order
    assert n - 1 - tracks.size < batch_size
    assert all(batch.inputs.shape[1] == length for batch in seen[:-1])


def test_streams_can_begin_anew():
    seen = list(streams(np.arange(15), 2, 1, restart=3))
    assert [batch.carry for batch in seen] == [False, True, True, False, True, True, False]


def test_split_is_by_position():
    train, rest = split(np.arange(10), 0.9)
    assert train.tolist() == list(range(9))
    assert rest.tolist() == [9]
    assert [len(part) for part in split("x" * 20)] == [18, 2]


def test_draws_follow_the_probabilities():
    rng = np.random.default_rng(0)
    p = np.array([0.7, 0.2, 0.1])
    counts = np.bincount([draw(np.log(p), 1.0, rng) for _ in range(20_000)], minlength=3)
    np.testing.assert_allclose(counts / 20_000, p, atol=0.01)
    cold = np.bincount([draw(np.log(p), 0.5, rng) for _ in range(20_000)], minlength=3)
    np.testing.assert_allclose(cold / 20_000, p**2 / (p**2).sum(), atol=0.01)
    assert draw([0.0, 3.0, 2.0], 0, rng) == 1
    assert draw([0.0, 1000.0], 1.0, rng) == 1  # no overflow
    assert draw([3.0], 1.0, rng) == 0


def test_what_has_no_probability_is_never_drawn():
    class Lowest(np.random.Generator):
        def random(self):  # the least that it can be
            return 0.0

    assert draw([-np.inf, 0.0], 1.0, Lowest(np.random.PCG64())) == 1


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(0, 4))
def test_ngram_probabilities_are_witten_bells_and_sum_to_one(ids, order):
    model = NGram(order, ids, size=3)

    def p(context, x):  # the definition, in plain Python
        below = 1 / 3 if context is None else p(context[1:] if context else None, x)
        if context is None:
            return below
        n = len(context)
        after = Counter(ids[k + n] for k in range(len(ids) - n) if ids[k : k + n] == context)
        if not after:
            return below
        return (after[x] + len(after) * below) / (after.total() + len(after))

    history = [0, 1, 2, 0]
    for k in range(len(history)):
        context = history[max(0, k - order + 1) : k] if order else None
        given = [model.probabilities([*history[:k], x])[-1] for x in range(3)]
        assert sum(given) == pytest.approx(1)
        assert given == pytest.approx([p(context, x) for x in range(3)])


def test_ngram_of_order_0_is_uniform():
    assert NGram(0, [0, 1], 5).loss([0, 3, 4]) == pytest.approx(np.log(5))


def test_ngram_tells_long_runs_apart():
    """Four symbols, 31 of them: as many as there is room to count."""
    before = [3] * 30
    model = NGram(31, [*before, 0], size=4)
    p = [model.probabilities([*before, x])[-1] for x in range(4)]
    assert sum(p) == pytest.approx(1)
    assert p[0] > p[3] > p[1] == pytest.approx(p[2])
    assert model.loss([0]) > 0
