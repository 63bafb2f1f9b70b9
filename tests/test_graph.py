"""TensorFlow's layers and training inside a compiled graph give what they give outside."""

import logging

import numpy as np
import pytest
import tensorflow as tf
from support import ARCHITECTURES, CELLS, as_numpy, close, flat, network, randomise

import rnnlab.numpy
from rnnlab.tensorflow import (
    GRU,
    LSTM,
    RNN,
    CharLM,
    Classifier,
    GRUCell,
    LSTMCell,
    Stack,
    evaluate,
    fit,
    get_weights,
    training,
)
from rnnlab.text import Batch, Vocabulary, batches, one_hot, streams


@pytest.fixture
def readable():
    """AutoGraph, which rewrites what it traces, could read all of ours."""
    said, handler = [], logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    tf.get_logger().addHandler(handler)
    yield
    tf.get_logger().removeHandler(handler)
    assert [message for message in said if "AutoGraph" in message] == []


# Without AutoGraph it is our own lines that trace, and that coverage sees.
@pytest.mark.parametrize("autograph", [True, False], ids=["autograph", "plain"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", CELLS)
def test_layers_of_unknown_shape(kind, architecture, autograph, readable):
    layer = randomise("tensorflow", network("tensorflow", kind, architecture))
    xs_spec = tf.TensorSpec((None, None, 3), tf.float64)

    @tf.function(input_signature=[xs_spec, tf.TensorSpec((None,), tf.int32)], autograph=autograph)
    def ragged(xs, lengths):
        return layer(xs, lengths=lengths)

    @tf.function(input_signature=[xs_spec], autograph=autograph)
    def whole(xs):
        return layer(xs, layer.initial_state(tf.shape(xs)[0]))

    rng = np.random.default_rng(0)
    for B, T in ((2, 3), (1, 5)):
        xs, lengths = rng.normal(size=(B, T, 3)), np.arange(T - B, T, dtype=np.int32)
        for got, expected in (
            (ragged(xs, lengths), layer(xs, lengths=lengths)),
            (whole(xs), layer(xs)),
        ):
            close(got[0], expected[0])
            close(flat(got[1]), flat(expected[1]))


@pytest.mark.parametrize("clip", [None, 0.5])
def test_a_compiled_training_step_is_the_step(clip):
    vocabulary = Vocabulary("helo")
    ids = np.random.default_rng(0).integers(4, size=(2, 3, 5))
    batch = Batch(ids[0], ids[1], [5, 2, 4])
    found = []
    for eagerly in (False, True):
        tf.config.run_functions_eagerly(eagerly)
        try:
            model = CharLM(vocabulary, network("tensorflow", "LSTMCell", "one", 4))
            losses = fit(model, [batch], steps=4, lr=0.1, clip=clip, progress=False)
            found.append([losses, evaluate(model, [batch]), *get_weights(model).values()])
        finally:
            tf.config.run_functions_eagerly(False)
    compiled, plain = found
    close([as_numpy(x) for x in compiled], [as_numpy(x) for x in plain])


@pytest.mark.parametrize("kind", CELLS)
def test_a_long_run_is_compiled_by_xla_and_gives_the_same(kind, monkeypatch):
    ids = np.random.default_rng(0).integers(4, size=60)
    losses = []
    for long in (10**9, 5):
        monkeypatch.setattr(training, "LONG", long)
        model = Classifier(network("tensorflow", kind, "stack of both", 4), 3, dropout=0.2)
        xs = one_hot(ids.reshape(12, 5), 4, dtype="float64")
        data = batches(xs, ids[:12] % 3, batch_size=5)  # the third of each pass has two rows
        losses.append(fit(model, data, steps=8, lr=0.05, clip=0.5, progress=False))
        assert training.worth_compiling(model, 8) == (long == 5)
    close(*losses)


def test_a_run_that_xla_compiles_may_round_its_products_and_its_scores_are_not_rounded(monkeypatch):
    monkeypatch.setattr(training, "LONG", 1)
    ids, losses, scores = np.random.default_rng(0).integers(4, size=151), [], []
    for rounded in (False, True):
        monkeypatch.setattr(training, "ROUND_PRODUCTS", rounded)
        model = CharLM(Vocabulary("helo"), GRU(4, 8))
        losses.append(fit(model, streams(ids, 2, 12), steps=4, lr=0.01, progress=False))
        scores.append(evaluate(CharLM(Vocabulary("helo"), GRU(4, 8)), streams(ids, 2, 12)))
    apart = np.abs(losses[0] - losses[1])
    assert 1e-7 < apart.max() < 1e-3
    assert scores[0] == scores[1]


def test_a_cell_of_ones_own_or_autograd_is_not_left_to_xla():
    class Other(LSTMCell):
        pass

    for layer in (RNN(Other(4, 2)), RNN(LSTMCell(4, 2), by_hand=False)):
        deep = Stack([RNN(LSTMCell(4, 4)), layer])
        assert not training.worth_compiling(CharLM(Vocabulary("helo"), deep), 10**9)


def test_batches_of_many_lengths_are_traced_once_or_twice():
    traced = []

    class Counting(CharLM):
        def _gradients(self, *given):
            traced.append(given)
            return super()._gradients(*given)

    model = Counting(Vocabulary("helo"), GRU(4, 2))
    ids = np.random.default_rng(0).integers(4, size=(2, 21))
    data = [Batch(ids[:, :T], ids[:, 1 : T + 1]) for T in range(10, 20)]
    fit(model, data, steps=20, lr=0.01, progress=False)
    once_or_twice = len(traced)
    traced.clear()
    fit(model, data[:1] * 2, steps=20, lr=0.01, progress=False)
    assert len(traced) <= once_or_twice <= 2 * len(traced)


def test_a_model_of_another_notation_is_not_scored():
    import rnnlab.torch

    other = rnnlab.torch.CharLM(Vocabulary("helo"), rnnlab.torch.GRU(4, 2))
    with pytest.raises(TypeError, match=r"^model must be a CharLM, Forecaster or Classifier"):
        evaluate(other, [])


def test_from_which_step_on_xla_pays_is_known():
    model = CharLM(Vocabulary("helo"), GRU(4, 2, 2))
    assert training.worth_compiling(model, training.LONG) is True
    assert training.worth_compiling(model, training.LONG - 1) is False


@pytest.mark.parametrize("read", ["mean", "every"])
def test_lengths_count_in_a_graph_as_they_do_in_numpy(read):
    rng = np.random.default_rng(0)
    xs, targets = rng.normal(size=(4, 5, 3)), rng.integers(2, size=(4, 5) if read == "every" else 4)
    data = Batch(xs, targets, [5, 0, 2, 4])
    inside = Classifier(network("tensorflow", "GRUCell", "one", 3), 2, read=read)
    outside = rnnlab.numpy.Classifier(network("numpy", "GRUCell", "one", 3), 2, read=read)
    losses = fit(inside, [data], steps=3, lr=0.1, progress=False)
    adam = rnnlab.numpy.Adam(outside)
    for loss in losses:
        expected, _, grads = outside.gradients(data)
        assert loss == pytest.approx(float(expected), abs=1e-10)
        adam.update(grads, 0.1)


def test_training_in_groups_is_training_step_by_step():
    """A callback makes groups of one; batches change their form, and the state is carried."""
    ids = np.random.default_rng(0).integers(4, size=151)
    found = []
    for callback in (None, lambda step, loss: False):
        model = CharLM(Vocabulary("helo"), network("tensorflow", "LSTMCell", "one", 4))
        data = [*streams(ids, 2, 7), *list(streams(ids, 3, 5))[:2]]
        found.append(fit(model, data, steps=30, lr=0.05, progress=False, callback=callback))
        found.append(np.concatenate([w.ravel() for w in get_weights(model).values()]))
    close(found[:2], found[2:], 1e-12)


def test_sparse_and_ragged_tensors_are_refused_by_name():
    ragged = tf.ragged.constant([[[1.0]], [[2.0], [3.0]]])
    for xs in ragged, tf.sparse.from_dense(tf.ones((2, 3, 4))):
        with pytest.raises(TypeError, match=r"^xs must be a tensor of numbers, not sparse or rag"):
            LSTM(4, 3)(xs)


def test_what_is_no_number_may_stand_in_the_padding_and_nowhere_else():
    xs, lengths = np.ones((2, 3, 4), "float32"), [3, 1]
    layer = LSTM(4, 3)
    ys, _ = layer(xs, lengths=lengths)
    xs[1, 1:] = np.nan
    close(as_numpy(layer(xs, lengths=lengths)[0]), as_numpy(ys), 0)
    with pytest.raises(ValueError, match=r"^xs holds NaN"):
        layer(xs, lengths=[3, 2])


def test_the_batch_size_of_a_first_state_may_be_a_tensor():
    for cell in GRUCell(4, 3), LSTMCell(4, 3):
        for size in tf.constant(2), tf.Variable(2), np.int64(2):
            assert cell.output(cell.initial_state(size)).shape == (2, 3)
        with pytest.raises(ValueError, match=r"batch_size must be .*, got -1"):
            cell.initial_state(tf.constant(-1))
        for wrong in tf.constant([2]), tf.constant(2.0), tf.constant([2.0]):
            with pytest.raises(TypeError, match=r"^batch_size must be a single whole number, got"):
                cell.initial_state(wrong)

        @tf.function(input_signature=[tf.TensorSpec(None, tf.int32)])
        def of_any_size(size, cell=cell):
            return cell.output(cell.initial_state(size))

        assert of_any_size(5).shape == (5, 3)

        @tf.function
        def of_half_a_row(size, cell=cell):
            return cell.initial_state(size)

        with pytest.raises(TypeError, match="batch_size must be a single whole number, got"):
            of_half_a_row(tf.constant(0.5))


def test_variables_are_named_after_the_weights():
    model = Classifier(GRU(4, 3), classes=2)
    for name, variable in model.named_weights().items():
        assert variable.name == f"{name.rpartition('.')[2]}:0"
