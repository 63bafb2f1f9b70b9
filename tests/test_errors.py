"""Bad input to cells and layers: refused at the call, with the same words in the three."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support import FRAMEWORKS, as_numpy, close, lab

X = np.zeros((2, 3, 4), "float32")
H0 = np.zeros((2, 5), "float32")
NAN, INF = X.copy(), X.copy()
NAN[1, 2, 0], INF[0, 1, 3] = np.nan, np.inf


def lstm(m):
    return m.LSTM(4, 5)


def rnn(m):
    return m.SimpleRNN(4, 5)


CALLS = [
    # sizes
    (lambda m: m.RNNCell(4, 0), ValueError, "hidden_size must be at least 1, got 0"),
    (lambda m: m.LSTMCell(4, -1), ValueError, "hidden_size must be at least 1, got -1"),
    (lambda m: m.GRUCell(4, 2.5), TypeError, "hidden_size must be a whole number, got 2.5"),
    (lambda m: m.RNNCell("4", 2), TypeError, "input_size must be a whole number, got '4'"),
    (lambda m: m.RNNCell(True, 2), TypeError, "input_size must be a whole number, got True"),
    (lambda m: m.RNNCell(4, 2, seed=-1), ValueError, "seed must be at least 0"),
    (lambda m: m.RNNCell(4, 2, seed=0.5), TypeError, "seed must be a whole number"),
    (lambda m: m.LSTMCell(4, 2, dtype="float16"), ValueError, "dtype must be one of.*'float16'"),
    (lambda m: m.GRUCell(4, 2, reset_after=1), TypeError, "reset_after must be True or False"),
    (lambda m: m.LSTM(4, 0), ValueError, "hidden_size must be at least 1, got 0"),
    (lambda m: m.LSTM(4, 2, 0), ValueError, "num_layers must be at least 1, got 0"),
    (lambda m: m.LSTM(4, 2, 1, "yes"), TypeError, "bidirectional must be True or False"),
    (lambda m: rnn(m).initial_state(-1), ValueError, "batch_size must be at least 0"),
    # what comes in
    (lambda m: rnn(m)(X[0]), ValueError, r"xs must have 3 axes \(B, T, I\), got shape \(3, 4\)"),
    (lambda m: rnn(m)(X[None]), ValueError, "take one axis away"),
    (lambda m: rnn(m)(X[:, :, :3]), ValueError, r"\(any, any, 4\), got \(2, 3, 3\)"),
    (lambda m: rnn(m)(X.astype(int)), TypeError, "must be float32 .*got int64; token ids"),
    (lambda m: rnn(m)(X.astype(bool)), TypeError, "must be float32 .*got bool"),
    (lambda m: rnn(m)(X.astype("float64")), TypeError, "got float64; convert it to float32, or"),
    (lambda m: rnn(m)("hello"), TypeError, "xs must be an array of numbers, got str; text"),
    (lambda m: rnn(m)([[[1.0], []]]), TypeError, "xs must be an array of numbers, got list"),
    (lambda m: rnn(m)(NAN), ValueError, r"xs holds NaN or infinity at a valid step.*\(1, 2, 0\)"),
    (lambda m: rnn(m)(INF), ValueError, r"NaN or infinity at a valid step.*\(0, 1, 3\)"),
    (lambda m: rnn(m)(NAN, lengths=[3, 3]), ValueError, r"first at index \(1, 2, 0\)"),
    (lambda m: rnn(m).cell(X, H0), ValueError, r"x must have 2 axes \(B, I\)"),
    (lambda m: rnn(m).cell("hello", H0), TypeError, "x must be an array of numbers, got str"),
    (lambda m: rnn(m).cell(X[:, 0], "hello"), TypeError, "state must be an array of numbers"),
    (lambda m: rnn(m).cell(X[:, 0], H0[:1]), ValueError, r"\(B, H\) = \(2, 5\), got \(1, 5\)"),
    (lambda m: lstm(m).cell(X[:, 0], (H0[:1], H0)), ValueError, "state.h must have shape"),
    (lambda m: lstm(m).cell(X[:, 0], (H0, "hello")), TypeError, "state.c must be an array"),
    (lambda m: rnn(m).cell(X[:, 0, :3], H0), ValueError, r"\(any, 4\), got \(2, 3\)"),
    # lengths
    (lambda m: rnn(m)(X, lengths=[4, 1]), ValueError, "between 0 and T = 3, got 4 at row 0"),
    (lambda m: rnn(m)(X, lengths=[1, -1]), ValueError, "got -1 at row 1"),
    (lambda m: rnn(m)(X, lengths=[1.5, 1]), TypeError, "whole numbers, got float64"),
    (lambda m: rnn(m)(X, lengths=[1]), ValueError, r"\(B,\) = \(2,\).*got shape \(1,\)"),
    (lambda m: rnn(m)(X, lengths=[1, 2, 3]), ValueError, r"got shape \(3,\)"),
    (lambda m: rnn(m)(X, lengths=3), ValueError, r"got shape \(\)"),
    # states
    (lambda m: rnn(m)(X, H0[:1]), ValueError, r"state must have shape \(B, H\) = \(2, 5\)"),
    (lambda m: rnn(m)(X, H0[:, :4]), ValueError, r"\(2, 5\), got \(2, 4\)"),
    (lambda m: rnn(m)(X, H0.astype("float64")), TypeError, "state must be float32"),
    (lambda m: rnn(m)(X, (H0, H0)), ValueError, "state must have 2 axes"),
    (lambda m: lstm(m)(X, H0), TypeError, r"state must be LSTMState\(h, c\)"),
    (lambda m: lstm(m)(X, (H0,)), TypeError, r"state must be LSTMState\(h, c\)"),
    (lambda m: lstm(m)(X, (H0, H0[:1])), ValueError, "state.c must have shape"),
    (lambda m: lstm(m)(X, (H0[:, :1], H0)), ValueError, "state.h must have shape"),
    (lambda m: m.LSTM(4, 5, 2)(X, H0), TypeError, "state must be .*tuple of 2, one layer's"),
    (lambda m: m.SimpleRNN(4, 5, 2)(X, (H0,)), ValueError, "tuple of 2.*got 1"),
    (lambda m: m.SimpleRNN(4, 5, 1, True)(X, (H0,)), ValueError, "state must .*forward and the"),
    (lambda m: m.SimpleRNN(4, 5, 1, True)(X, (H0[:1], H0)), ValueError, r"\(2, 5\), got \(1, 5"),
    (lambda m: m.SimpleRNN(4, 5, 1, True)(X, (H0, H0[:1])), ValueError, r"\(2, 5\), got \(1, 5"),
    (lambda m: m.SimpleRNN(4, 5, 2)(X, (H0, H0[:1])), ValueError, r"\(2, 5\), got \(1, 5\)"),
    # composition
    (lambda m: m.Stack([]), ValueError, "at least one layer, got an empty list"),
    (lambda m: m.Stack(rnn(m)), TypeError, "layers must be a list of layers"),
    (lambda m: m.Stack([m.RNNCell(4, 2)]), TypeError, r"layers\[0\] must be a layer such as"),
    (lambda m: m.Stack([rnn(m), rnn(m)]), ValueError, r"layers\[1\] reads 4 .*gives 5"),
    (lambda m: m.Stack([m.SimpleRNN(4, 4)] * 2), ValueError, "stands in the list twice"),
    (lambda m: m.Stack([m.RNN(cell) for cell in [m.RNNCell(4, 4)] * 2]), ValueError,
     r"layers\[1\] runs a cell that layers\[0\] runs too"),
    (lambda m: m.Stack([m.SimpleRNN(4, 4), m.SimpleRNN(4, 4, dtype="float64")]), ValueError,
     r"layers\[0\] is float32, layers\[1\] is float64"),
    (lambda m: m.Bidirectional(rnn(m), m.SimpleRNN(3, 5)), ValueError, "fwd reads 4 .*bwd reads 3"),
    (lambda m: m.Bidirectional(*[rnn(m)] * 2), ValueError, "fwd and bwd are one layer"),
    (lambda m: m.Bidirectional(*map(m.RNN, [m.RNNCell(4, 5)] * 2)), ValueError,
     "fwd and bwd run one cell"),
    (lambda m: m.Bidirectional(rnn(m), None), TypeError, "bwd must be a layer"),
    (lambda m: m.RNN(rnn(m)), TypeError, "cell must be a cell such as"),
    (lambda m: m.RNN(m.LSTMCell), TypeError, "cell must be a cell such as"),
    (lambda m: m.RNN(SimpleNamespace(step=len)), TypeError, "cell must be a cell such as"),
    # weights
    (lambda m: m.set_weights(rnn(m), {}), ValueError, "missing: .*cell.W_h.*unknown: none"),
    (lambda m: m.set_weights(rnn(m), m.get_weights(rnn(m)) | {"x": 1}), ValueError,
     r"unknown: \['x'\]"),
    (lambda m: m.set_weights(rnn(m), m.get_weights(m.SimpleRNN(4, 3))), ValueError,
     r"weights\['cell.W_x'\] must have shape \(4, 5\), got \(4, 3\)"),
    (lambda m: m.set_weights(rnn(m), m.get_weights(m.SimpleRNN(4, 5, dtype="float64"))),
     TypeError, "must be float32, got float64"),
    (lambda m: m.set_weights(rnn(m), m.get_weights(rnn(m)) | {"cell.b": H0[0] + np.nan}),
     ValueError, "holds NaN"),
]  # fmt: skip


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("call", "error", "words"), CALLS)
def test_bad_input_is_refused_with_the_reason(framework, call, error, words):
    with pytest.raises(error, match=words):
        call(lab(framework))


def messages(framework):
    """The message of every call above."""
    for call, error, _ in CALLS:
        with pytest.raises(error) as caught:
            call(lab(framework))
        yield str(caught.value)


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_the_three_use_the_same_words(framework):
    for ours, other in zip(messages("numpy"), messages(framework), strict=True):
        assert other == ours


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_set_weights_writes_all_or_nothing(framework):
    m = lab(framework)
    layer = rnn(m)
    before = m.get_weights(layer)
    broken = {n: w + 1 for n, w in before.items()} | {"cell.b": np.zeros(3, "float32")}
    with pytest.raises(ValueError, match=r"cell\.b"):
        m.set_weights(layer, broken)
    close(list(m.get_weights(layer).values()), list(before.values()), 0)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_swapped_lstm_state_is_seen_by_its_names(framework):
    from typing import NamedTuple

    class LSTMStateTuple(NamedTuple):  # as in TF1: c first
        c: np.ndarray
        h: np.ndarray

    with pytest.raises(ValueError, match=r"LSTMState\(h, c\), got a LSTMStateTuple\('c', 'h'\)"):
        lstm(lab(framework))(X, LSTMStateTuple(H0, H0))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_copy_of_the_weights_is_a_copy(framework):
    m = lab(framework)
    layer = rnn(m)
    taken = m.get_weights(layer)
    taken["cell.W_x"][:] = 7
    assert not (m.get_weights(layer)["cell.W_x"] == 7).any()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_plain_pairs_lists_and_numpy_ints_are_taken(framework):
    m = lab(framework)
    layer = m.LSTM(np.int64(4), np.int32(5))
    ys, _ = layer(X, (H0, H0), np.array([3, 1], np.int32))
    other, _ = layer(X, [H0, H0], [3, 1])
    close(ys, other, 0)
    assert as_numpy(ys).dtype == np.float32


def test_a_pair_of_tensors_with_gradients_is_no_state_of_one_array():
    h = torch.zeros(2, 5, requires_grad=True)
    with pytest.raises(TypeError, match="state must be an array of numbers, got tuple"):
        rnn(lab("torch"))(X, (h, h))


@pytest.mark.parametrize("lengths", [torch.ones(2).to_sparse(), torch.ones(2, device="meta")])
def test_lengths_without_numbers_are_refused(lengths):
    with pytest.raises(TypeError, match="lengths must be a tensor of numbers, not sparse"):
        rnn(lab("torch"))(torch.zeros(2, 3, 4), lengths=lengths)


@pytest.mark.parametrize(
    "xs", [torch.zeros(2, 3, 4).to_sparse(), torch.zeros(2, 3, 4, device="meta")]
)
def test_tensors_that_hold_no_numbers_are_refused(xs):
    with pytest.raises(TypeError, match="xs must be a tensor of numbers, not sparse and not on"):
        rnn(lab("torch"))(xs)
