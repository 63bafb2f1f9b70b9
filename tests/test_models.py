"""Forecasters, classifiers and their losses: the same numbers in the three, padding inert."""

import numpy as np
import pytest
import torch
from support import CELLS, FRAMEWORKS, as_numpy, close, flat, lab, network, randomise

from rnnlab.batching import Batch, batches, mask
from rnnlab.text import Vocabulary

B, T, I = 4, 5, 3
LENGTHS = [5, 0, 1, 5]
MODELS = ["last", "every", *(f"classes: {read}" for read in ("last", "mean", "max", "every"))]


def model(framework, kind, cell="LSTMCell", architecture="one", dtype="float64", **options):
    m = lab(framework)
    layer = network(framework, cell, architecture, I, dtype=dtype)
    if kind.startswith("classes"):
        return randomise(framework, m.Classifier(layer, 3, read=kind.split()[1], **options))
    horizon = 2 if kind == "last" else 1
    return randomise(framework, m.Forecaster(layer, 2, horizon=horizon, read=kind, **options))


def batch(kind, lengths=None, seed=5):
    rng = np.random.default_rng(seed)
    shapes = {"last": (B, 2, 2), "every": (B, T, 2)}
    rows = (B, T) if kind == "classes: every" else B
    targets = rng.normal(size=shapes[kind]) if kind in shapes else rng.integers(0, 3, rows)
    return Batch(rng.normal(size=(B, T, I)), targets, lengths)


@pytest.fixture(params=FRAMEWORKS)
def framework(request):
    return request.param


@pytest.fixture(params=MODELS)
def kind(request):
    return request.param


NETWORKS = [
    *((cell, "one") for cell in CELLS),
    ("LSTMCell", "stack"),
    ("GRUCell", "stack of both"),
    ("LSTMCell", "both of stacks"),
]
# A forecaster that reads every step refuses a backward half.
CASES = [
    (kind, *net) for kind in MODELS for net in NETWORKS if kind != "every" or "both" not in net[1]
]


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["all valid", "ragged"])
@pytest.mark.parametrize(("kind", "cell", "architecture"), CASES)
def test_answers_losses_states_and_gradients_agree(kind, cell, architecture, lengths):
    data = batch(kind, lengths)
    results = []
    for f in FRAMEWORKS:
        one = model(f, kind, cell, architecture)
        answer, start = one(data.inputs[::-1].copy(), lengths=lengths)
        loss, final, grads = one.gradients(data, start, np.random.default_rng(0))
        again, _ = one.loss(data, start)
        assert float(loss) == pytest.approx(float(as_numpy(again)), abs=1e-13)
        results.append(
            (answer, float(loss), flat(final), {n: as_numpy(g) for n, g in grads.items()})
        )
    answer, loss, final, grads = results[0]
    for other in results[1:]:
        close(other[0], answer)
        assert other[1] == pytest.approx(loss, abs=1e-10)
        close(other[2], final)
        assert other[3].keys() == grads.keys()
        for name in grads:
            close(other[3][name], grads[name])


@pytest.mark.parametrize(("kind", "cell", "architecture"), CASES)
def test_numpys_gradients_are_the_finite_differences(kind, cell, architecture):
    data, m = batch(kind, LENGTHS), lab("numpy")
    one = model("numpy", kind, cell, architecture, dropout=0.5)

    def rng():  # the same mask each time
        return np.random.default_rng(1)

    _, _, grads = one.gradients(data, rng=rng())
    weights = m.get_weights(one)
    draw = np.random.default_rng(2)
    for name, weight in weights.items():
        at = tuple(draw.integers(0, n) for n in weight.shape)
        ends = []
        for step in (1e-6, -1e-6):
            moved = weight.copy()
            moved[at] += step
            m.set_weights(one, weights | {name: moved})
            ends.append(one.gradients(data, rng=rng())[0])
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(grads[name][at], abs=1e-7)


def test_what_stands_in_the_padding_changes_nothing(framework, kind):
    """Not even NaN, in inputs and targets, in the loss and in every gradient."""
    one, clean = model(framework, kind), batch(kind, LENGTHS)
    inputs, targets = clean.inputs.copy(), clean.targets.copy()
    inputs[~mask(LENGTHS, T)] = np.nan
    if kind == "every":
        targets[~mask(LENGTHS, T)] = np.nan
    elif kind == "last":
        targets[1] = np.nan
    elif kind == "classes: every":
        targets[~mask(LENGTHS, T)] = -1
    expected, found = one.gradients(clean), one.gradients(Batch(inputs, targets, LENGTHS))
    assert float(found[0]) == float(expected[0])
    close(flat(found[1]), flat(expected[1]), 0)
    for name, g in expected[2].items():
        close(found[2][name], g, 0)


def test_a_row_without_a_step_counts_for_nothing(framework, kind):
    one, data = model(framework, kind), batch(kind, LENGTHS)
    kept = [0, 2, 3]
    without = Batch(data.inputs[kept], data.targets[kept], np.array(LENGTHS)[kept])
    assert float(as_numpy(one.loss(data)[0])) == pytest.approx(
        float(as_numpy(one.loss(without)[0])), abs=1e-13
    )
    assert one.count(data) == one.count(without)
    assert one.count(data) == {"last": 6, "every": 11, "classes: every": 11}.get(kind, 3)


def test_losses_are_the_textbooks(framework, kind):
    one, data = model(framework, kind), batch(kind)
    answer = as_numpy(one(data.inputs)[0])
    if kind.startswith("classes"):
        p = np.exp(answer) / np.exp(answer).sum(-1, keepdims=True)
        expected = -np.log(np.take_along_axis(p, data.targets[..., None], -1)).mean()
    else:
        expected = np.mean((answer - data.targets) ** 2)
    assert float(as_numpy(one.loss(data)[0])) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("architecture", ["one", "both"])
def test_what_the_read_out_sees(framework, architecture):
    """The last valid output of each direction; the mean and the largest of the valid outputs."""
    data = batch("last")
    seen = {}
    for read in ("last", "mean", "max"):
        one = model(framework, f"classes: {read}", architecture=architecture)
        weights = lab(framework).get_weights(one)
        logits, _ = one(data.inputs, lengths=LENGTHS)
        ys = as_numpy(one.layer(data.inputs, lengths=LENGTHS)[0])
        seen[read] = as_numpy(logits), weights
    H = 4
    for b, length in enumerate(LENGTHS):
        valid = ys[b, :length]
        expected = {
            "last": np.concatenate([valid[-1, :H], valid[0, H:]]) if length else 0 * ys[b, 0],
            "mean": valid.mean(axis=0) if length else 0 * ys[b, 0],
            "max": valid.max(axis=0) if length else 0 * ys[b, 0],
        }
        for read, (logits, weights) in seen.items():
            close(logits[b], expected[read] @ weights["W_y"] + weights["b_y"])


@pytest.mark.parametrize("steps", [1, 2])
def test_the_mean_of_few_steps(framework, steps):
    """With one step it is that step's output; with and without lengths."""
    xs = batch("last").inputs[:, :steps]
    one = model(framework, "classes: mean")
    weights = lab(framework).get_weights(one)
    ys = as_numpy(one.layer(xs)[0])
    for lengths in None, [steps] * B:
        expected = ys.mean(axis=1) @ weights["W_y"] + weights["b_y"]
        close(as_numpy(one(xs, lengths=lengths)[0]), expected)


def test_the_last_output_is_torchs_h_n(framework):
    m = lab(framework)
    layer = m.LSTM(I, 4, 2, True, dtype="float64")
    ys, state = layer(batch("last").inputs)
    close(
        layer.last_output(state),
        np.concatenate([as_numpy(ys)[:, -1, :4], as_numpy(ys)[:, 0, 4:]], 1),
    )


def test_the_output_of_a_stack_is_that_of_its_top(framework):
    """Three levels, each with a state of another form and size."""
    m = lab(framework)
    cells = m.RNNCell(I, 2, dtype="float64"), m.GRUCell(2, 3, dtype="float64")
    top = m.LSTMCell(3, 4, dtype="float64")
    stack = m.Stack([m.RNN(cell) for cell in (*cells, top)])
    ys, state = stack(batch("last").inputs)
    close(stack.last_output(state), as_numpy(ys)[:, -1])
    data = Batch(batch("last").inputs, [0, 1, 2, 0])
    one = m.Classifier(stack, 3)
    _, _, grads = one.gradients(data)
    kernels = [as_numpy(grads[f"layer.layers.{k}.cell.W_h"]) for k in range(3)]
    assert [kernel.shape for kernel in kernels] == [(2, 2), (3, 9), (4, 16)]
    assert all((kernel != 0).any() for kernel in kernels)


def test_dropout_leaves_out_the_same_in_the_three(kind):
    data = batch(kind, LENGTHS)
    found = [
        float(model(f, kind, dropout=0.5).gradients(data, rng=np.random.default_rng(3))[0])
        for f in FRAMEWORKS
    ]
    assert found[1] == pytest.approx(found[0], abs=1e-12)
    assert found[2] == pytest.approx(found[0], abs=1e-12)
    assert found[0] != pytest.approx(float(as_numpy(model("numpy", kind).loss(data)[0])), abs=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_dropout_keeps_is_scaled_to_the_last_digit(framework, dtype):
    one = model(framework, "last", dtype=dtype, dropout=0.35)
    found = as_numpy(one._mask(50, np.random.default_rng(0)))
    assert found.dtype == dtype
    assert set(found.flat) == {0, np.dtype(dtype).type(1 / 0.65)}


def test_empty_sequences_have_an_answer(framework, kind):
    """T = 0: every step of none, the initial state's output, or the pool of nothing: zeros."""
    one = model(framework, kind)
    answer, _ = one(np.zeros((2, 0, I)))
    if kind.endswith("every"):
        assert tuple(answer.shape) == (2, 0, 3 if kind.startswith("classes") else 2)
        return
    rounded, _ = model(framework, kind, dtype="float32")(np.zeros((2, 0, I), "float32"))
    assert as_numpy(rounded).dtype == np.float32
    bias = lab(framework).get_weights(one)["b_y"]
    close(as_numpy(answer).reshape(2, -1), np.stack([bias, bias]))
    answer, _ = one(np.zeros((0, T, I)))
    assert tuple(answer.shape) == ((0, 3) if kind.startswith("classes") else (0, 2, 2))


def waves(n, length):
    """Windows of sines of random phase and frequency, and the next value of each."""
    rng = np.random.default_rng(0)
    t = np.arange(length + 1)
    xs = np.sin(rng.uniform(0.3, 0.8, (n, 1)) * t + rng.uniform(0, 6.3, (n, 1)))
    return xs[:, :-1, None], xs[:, -1:, None]


def test_a_forecaster_learns_to_go_on_the_same_in_the_three():
    xs, targets = waves(64, 12)
    data = batches(xs, targets, 16)
    losses = {}
    for f in FRAMEWORKS:
        m = lab(f)
        one = m.Forecaster(m.GRU(1, 12, dtype="float64"))
        losses[f] = m.fit(one, data, steps=150, lr=0.02, clip=1.0)
        assert m.evaluate(one, data) < 0.01 < losses[f][0]
    close(losses["torch"], losses["numpy"], 1e-9)
    close(losses["tensorflow"], losses["numpy"], 1e-9)


def test_a_classifier_learns_what_stood_first_the_same_in_the_three():
    rng = np.random.default_rng(0)
    xs = np.eye(4)[rng.integers(0, 4, (64, 6))]
    lengths = rng.integers(1, 7, 64)
    data = batches(xs, xs[:, 0].argmax(-1), 32, lengths=lengths)
    losses = {}
    for f in FRAMEWORKS:
        m = lab(f)
        one = m.Classifier(m.LSTM(4, 8, dtype="float64"), 4)
        losses[f] = m.fit(one, data, steps=120, lr=0.03)
        assert losses[f][0] == pytest.approx(np.log(4), abs=0.3)
        assert m.evaluate(one, data) < 0.1
    close(losses["torch"], losses["numpy"], 1e-9)
    close(losses["tensorflow"], losses["numpy"], 1e-9)


@pytest.mark.parametrize("read", ["last", "every"])
def test_a_forecast_feeds_itself(read):
    xs = np.random.default_rng(0).normal(size=(2, 4, 2))
    found = []
    for f in FRAMEWORKS:
        m = lab(f)
        horizon = 3 if read == "last" else 1
        one = randomise(
            f, m.Forecaster(m.GRU(2, 5, dtype="float64"), 2, horizon=horizon, read=read)
        )
        found.append(as_numpy(m.forecast(one, xs, steps=7)))
        assert found[-1].shape == (2, 7, 2)
        series = xs
        while series.shape[1] < 11:  # by hand, reading everything anew each time
            window = series if read == "every" else series[:, -4:]
            new = as_numpy(one(window)[0])
            series = np.concatenate([series, new[:, -1:] if read == "every" else new], axis=1)
        close(found[-1], series[:, 4:11])
    close(found[1], found[0])
    close(found[2], found[0])


DEFAULTS = {
    "RNNCell": lambda m, **o: m.RNNCell(4, 5, **o),
    "LSTMCell": lambda m, **o: m.LSTMCell(4, 5, **o),
    "GRUCell": lambda m, **o: m.GRUCell(4, 5, **o),
    "CharLM": lambda m, **o: m.CharLM(Vocabulary("helo"), m.GRU(4, 5), **o),
    "Classifier": lambda m, **o: m.Classifier(m.GRU(4, 5), 3, **o),
    "Forecaster": lambda m, **o: m.Forecaster(m.GRU(4, 5), **o),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_seed_is_0_where_none_is_given(framework, name):
    m = lab(framework)
    plain, same, other = (
        m.get_weights(DEFAULTS[name](m, **seed)) for seed in ({}, {"seed": 0}, {"seed": 1})
    )
    close(list(plain.values()), list(same.values()), 0)
    assert any((plain[weight] != other[weight]).any() for weight in plain)
    assert {weight.dtype for weight in plain.values()} == {np.dtype("float32")}
    if hasattr(DEFAULTS[name](m), "dropout"):
        assert DEFAULTS[name](m).dropout == 0


@pytest.mark.parametrize("builder", ["SimpleRNN", "LSTM", "GRU"])
def test_a_layer_of_one_level_has_the_weights_of_its_cell(framework, builder):
    m = lab(framework)
    cell = getattr(m, builder.removeprefix("Simple") + "Cell")
    expected = m.get_weights(m.RNN(cell(4, 5, seed=3)))
    found = m.get_weights(getattr(m, builder)(4, 5, seed=3))
    close(list(found.values()), list(expected.values()), 0)


def test_weights_of_another_notation_are_refused(framework):
    wanted = f"layer must be a cell, layer or model of rnnlab.{framework}, got "
    for other in set(FRAMEWORKS) - {framework}:
        with pytest.raises(TypeError, match=rf"{wanted}(one of another notation|\w*RNN)$"):
            lab(framework).get_weights(lab(other).RNN(lab(other).GRUCell(1, 4)))


@pytest.mark.parametrize("call", ["get_weights", "set_weights", "Adam"])
def test_what_only_looks_like_a_layer_is_refused(framework, call):
    class Looks:
        def named_parameters(self):
            return {}

        def named_weights(self):
            return {"w": "neither an array nor a variable"}

    name = "model" if call == "Adam" else "layer"
    wanted = rf"^{name} must be a cell, layer or model of rnnlab\.{framework}, got one of another "
    more = [{}] if call == "set_weights" else []
    with pytest.raises(TypeError, match=wanted):
        getattr(lab(framework), call)(Looks(), *more)


def test_how_many_targets_count(framework, kind):
    one, steps = model(framework, kind), LENGTHS if kind.endswith("every") else np.sign(LENGTHS)
    assert one.count(batch(kind)) == (
        B * T if kind.endswith("every") else B * (1 + (kind == "last"))
    )
    assert one.count(batch(kind, LENGTHS)) == sum(steps) * (1 + (kind == "last"))


def test_a_language_model_obeys_lengths(framework):
    m = lab(framework)
    one = m.CharLM(Vocabulary("helo"), m.GRU(4, 3))
    ids = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])
    _, state = one(ids, lengths=[2, 4])
    _, short = one(ids[:, :2])
    close(as_numpy(state)[0], as_numpy(short)[0], 1e-6)


def test_a_model_goes_on_from_a_state(framework, kind):
    one, xs = model(framework, kind), batch(kind).inputs
    whole, final = one(xs)
    _, state = one(xs[:, :2])
    rest, end = one(xs[:, 2:], state)
    close(flat(end), flat(final))
    if kind.endswith("every"):
        close(rest, as_numpy(whole)[:, 2:])
    if kind.endswith("last"):
        close(rest, whole)


def test_what_a_checkpoint_says_of_a_model(framework):
    m = lab(framework)
    forecaster = m.Forecaster(m.GRU(1, 4), 2, horizon=3)
    expected = {"model": "Forecaster", "read": "last", "features": 2, "horizon": 3}
    assert forecaster.about() == expected
    classifier = m.Classifier(m.GRU(1, 4), 3, read="max")
    assert classifier.about() == {"model": "Classifier", "read": "max", "classes": 3}
    language = m.CharLM(Vocabulary("helo", "?"), m.GRU(5, 4))
    assert language.about() == {"model": "CharLM", "symbols": "helo?", "unknown": "?"}


def test_large_logits_do_not_overflow(framework):
    found = lab(framework).cross_entropy([[1e5, 0.0], [0.0, 1e5]], [0, 0])
    assert float(found) == pytest.approx(5e4)


X, Y = np.zeros((2, 3, 1), "float32"), np.zeros((2, 1, 1), "float32")
NAN = X.copy()
NAN[1, 2] = np.nan


def forecaster(m, **options):
    return m.Forecaster(m.GRU(1, 4), **options)


def both(m):
    return m.Forecaster(m.GRU(1, 4, bidirectional=True))


def classifier(m, **options):
    return m.Classifier(m.GRU(1, 4), 3, **options)


def smooth(m, *arguments):
    return m.mean_squared_error(*arguments)


def other_rows(m):
    return forecaster(m).gradients(Batch(X, Y), forecaster(m).layer.initial_state(3))


CALLS = [
    (other_rows, ValueError, r"state must have shape \(B, H\) = \(2, 4\), got .*\(3, 4\)"),
    (lambda m: m.sample(forecaster(m), "if", 3), TypeError, "model must be a CharLM"),
    (lambda m: m.Forecaster("GRU"), TypeError, "layer must be a layer such as"),
    (lambda m: m.Forecaster(m.GRU), TypeError, "got the class|got function"),
    (lambda m: forecaster(m, features=0), ValueError, "features must be at least 1"),
    (lambda m: forecaster(m, horizon=0), ValueError, "horizon must be at least 1"),
    (lambda m: forecaster(m, horizon=1.5), TypeError, "horizon must be a whole number"),
    (lambda m: forecaster(m, read="first"), ValueError, "read must be one of 'last', 'every'"),
    (lambda m: forecaster(m, read="every", horizon=2), ValueError, "horizon must be 1"),
    (lambda m: forecaster(m, dropout=1), ValueError, "dropout must be less than 1"),
    (lambda m: m.Forecaster(m.GRU(1, 4, bidirectional=True), read="every"), ValueError,
     "forward only.*the values to be forecast"),
    (lambda m: m.Forecaster(m.Stack([m.Stack([m.GRU(1, 4, bidirectional=True)])]), read="every"),
     ValueError, "forward only"),
    (lambda m: m.Classifier("GRU", 3), TypeError, "layer must be a layer such as"),
    (lambda m: m.Classifier(m.GRU(1, 4), 1), ValueError, "classes must be at least 2"),
    (lambda m: classifier(m, read="first"), ValueError, "read must be one of 'last', 'mean'"),
    (lambda m: forecaster(m).loss(Batch(X[0], Y)), ValueError, r"batch.inputs must have 3 axes"),
    (lambda m: forecaster(m).loss(Batch(X.astype("float64"), Y)), TypeError,
     "batch.inputs must be float32 like the weights, got float64"),
    (lambda m: forecaster(m).loss(Batch(X, Y.astype("float64"))), TypeError,
     "batch.targets must be float32 like the weights, got float64"),
    (lambda m: forecaster(m).loss(Batch(X, Y[:, 0])), ValueError,
     r"batch.targets must have 3 axes \(B, horizon, F\), got shape \(2, 1\)"),
    (lambda m: forecaster(m, read="every").loss(Batch(X, Y)), ValueError,
     r"\(B, T, F\) = \(2, 3, 1\), got \(2, 1, 1\)"),
    (lambda m: forecaster(m).loss(Batch(NAN, Y)), ValueError, r"holds NaN.*\(1, 2, 0\)"),
    (lambda m: forecaster(m).gradients(Batch(NAN, Y)), ValueError, "batch.inputs holds NaN"),
    (lambda m: forecaster(m).loss(Batch(X, Y + np.nan)), ValueError, "batch.targets holds NaN"),
    (lambda m: forecaster(m).loss(Batch(X, Y, [0, 0])), ValueError, "no valid target"),
    (lambda m: forecaster(m).loss(Batch(X, Y, [4, 0])), ValueError, "got 4 at row 0"),
    (lambda m: m.evaluate(both(m), [Batch(X, Y, carry=True)]), ValueError, "reads forward only"),
    (lambda m: m.fit(both(m), [Batch(X, Y), Batch(X, Y, carry=True)], steps=2, lr=0.1), ValueError,
     "carry=True needs a layer that reads forward only"),
    (lambda m: m.evaluate(forecaster(m), []), ValueError, "no valid target"),
    (lambda m: classifier(m).loss(Batch(X, [0, 3])), ValueError, "between 0 and 2 .*got 3"),
    (lambda m: classifier(m).loss(Batch(X, [0, -1])), ValueError, "got -1"),
    (lambda m: classifier(m).loss(Batch(X, [0.0, 1.0])), TypeError, "classes are ints from 0"),
    (lambda m: classifier(m).loss(Batch(X, [0])), ValueError, r"\(B,\) = \(2,\), one class"),
    (lambda m: classifier(m).gradients(Batch(X, [0, 1], [0, 0])), ValueError, "no valid target"),
    (lambda m: classifier(m, read="every").loss(Batch(X, [0, 1])), ValueError,
     r"\(B, T\) = \(2, 3\), one class for each step, got shape \(2,\)"),
    (lambda m: classifier(m, read="every").loss(Batch(X, [[0, 1, 3]] * 2)), ValueError,
     "between 0 and 2 .*got 3"),
    (lambda m: m.forecast(forecaster(m, features=2), X, 3), ValueError, "gives 2 and reads 1"),
    (lambda m: m.forecast(forecaster(m), X[:, :0], 3), ValueError, "at least one step to go on"),
    (lambda m: m.forecast("GRU", X, 3), TypeError, "model must be a Forecaster"),
    (lambda m: m.forecast(classifier(m), X, 3), TypeError, "model must be a Forecaster"),
    (lambda m: m.forecast(forecaster(m), "hello", 3), TypeError, "xs must be an array of"),
    (lambda m: m.forecast(forecaster(m), X, 0), ValueError, "steps must be at least 1"),
    (lambda m: m.cross_entropy(X[0], [0, 1]), ValueError, r"last axis, \(3,\), got \(2,\)"),
    (lambda m: m.cross_entropy([0.0], 0), ValueError, r"two axes \(\.\.\., C\), got shape \(1,\)"),
    (lambda m: m.cross_entropy(X, np.ones((2, 3), int)), ValueError, "between 0 and 0 .*got 1"),
    (lambda m: m.cross_entropy(X, np.zeros((2, 3), int), np.zeros((2, 3), bool)), ValueError,
     "no valid target"),
    (lambda m: m.cross_entropy(X, np.zeros((2, 3), int), np.ones((2, 3))), TypeError,
     "mask must be booleans"),
    (lambda m: m.cross_entropy(X, np.zeros((2, 3), int), np.ones(2, bool)), ValueError,
     r"shape of the targets, \(2, 3\), got \(2,\)"),
    (lambda m: m.cross_entropy("hello", [0]), TypeError, "logits must be an array of numbers"),
    (lambda m: smooth(m, "hello", X), TypeError, "predictions must be an array of numbers"),
    (lambda m: smooth(m, X, "hello"), TypeError, "targets must be an array of numbers"),
    (lambda m: smooth(m, X, X[:, :1]), ValueError, r"\(2, 3, 1\) float32 and \(2, 1, 1\)"),
    (lambda m: smooth(m, X, X.astype("float64")), ValueError, "float32 and .* float64"),
    (lambda m: smooth(m, X, X, np.zeros((2, 3), bool)), ValueError, "no valid target"),
    (lambda m: smooth(m, X[:0], X[:0]), ValueError, "no valid target"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), CALLS)
def test_bad_input_is_refused_with_the_reason(framework, call, error, words):
    with pytest.raises(error, match=words):
        call(lab(framework))


def test_the_three_use_the_same_words():
    for call, error, _ in CALLS:
        messages = set()
        for f in FRAMEWORKS:
            with pytest.raises(error) as caught:
                call(lab(f))
            messages.add(str(caught.value))
        assert len(messages) == 1


def tensors(framework, *arrays):
    return [torch.tensor(a) for a in arrays] if framework == "torch" else arrays


def test_masked_losses_count_what_counts(framework):
    m, rng = lab(framework), np.random.default_rng(0)
    logits, targets = rng.normal(size=(3, 4, 5)), rng.integers(0, 5, (3, 4))
    counted = rng.random((3, 4)) < 0.5
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    nats = -np.log(np.take_along_axis(p, targets[..., None], -1))[..., 0]
    spoilt = np.where(counted[..., None], logits, np.nan)
    marked = np.where(counted, targets, -1)
    found = m.cross_entropy(*tensors(framework, spoilt, marked, counted))
    assert float(found) == pytest.approx(nats[counted].mean(), abs=1e-12)
    assert float(m.cross_entropy(logits, targets)) == pytest.approx(nats.mean(), abs=1e-12)
    other = rng.normal(size=logits.shape)
    spoilt = np.where(counted[..., None], other, np.nan)
    found = m.mean_squared_error(*tensors(framework, logits, spoilt, counted))
    assert float(found) == pytest.approx(((logits - other) ** 2)[counted].mean(), abs=1e-12)
    found = m.mean_squared_error(logits, other)
    assert float(found) == pytest.approx(((logits - other) ** 2).mean(), abs=1e-12)
