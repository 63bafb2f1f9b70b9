"""Models and training: the same losses, the same samples, from the same seed in the three."""

import numpy as np
import pytest
import torch
from support import CELLS, FRAMEWORKS, as_numpy, as_tensor, close, flat, lab, network

from rnnlab import init
from rnnlab.text import Batch, Vocabulary, batches, one_hot, streams, windows

TEXT = "if you want to build a ship, don't drum up people together"
VOCABULARY = Vocabulary.from_text(TEXT)
IDS = VOCABULARY.encode(TEXT)
V = len(VOCABULARY)


def model(
    framework, kind="LSTMCell", architecture="one", dtype="float64", hidden_size=8, dropout=0.0
):
    layer = network(framework, kind, architecture, V, hidden_size, dtype)
    return lab(framework).CharLM(VOCABULARY, layer, dropout=dropout, seed=3)


@pytest.fixture(params=FRAMEWORKS)
def framework(request):
    return request.param


@pytest.mark.parametrize("lengths", [None, [9, 4, 0]], ids=["all valid", "ragged"])
@pytest.mark.parametrize("kind", CELLS)
def test_losses_states_and_gradients_agree(kind, lengths):
    ids, targets = windows(IDS, 9)
    batch = Batch(ids[:3], targets[:3], lengths)
    results = {}
    for f in FRAMEWORKS:
        one = model(f, kind, "stack")
        _, state = one(ids[3:6])
        loss, final, grads = one.gradients(batch, state)
        results[f] = (float(loss), flat(final), {n: as_numpy(g) for n, g in grads.items()})
        assert float(loss) == pytest.approx(float(as_numpy(one.loss(batch, state)[0])), abs=1e-12)
    loss, final, grads = results["numpy"]
    for other_loss, other_final, other_grads in (results["torch"], results["tensorflow"]):
        assert other_loss == pytest.approx(loss, abs=1e-10)
        close(other_final, final)
        assert other_grads.keys() == grads.keys()
        for name in grads:
            close(other_grads[name], grads[name])


def test_the_loss_is_the_mean_over_valid_targets(framework):
    one = model(framework)
    ids, targets = windows(IDS, 5)
    logits, _ = one(ids[:2])
    logits = as_numpy(logits)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    nats = -np.log(np.take_along_axis(p, targets[:2, :, None], -1))[..., 0]
    loss, _ = one.loss(Batch(ids[:2], targets[:2]))
    assert float(as_numpy(loss)) == pytest.approx(nats.mean(), abs=1e-12)
    loss, _ = one.loss(Batch(ids[:2], targets[:2], [5, 2]))
    assert float(as_numpy(loss)) == pytest.approx(
        (nats[0].sum() + nats[1, :2].sum()) / 7, abs=1e-12
    )


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize(
    ("clip", "dropout", "options"), [(None, 0.0, {}), (0.5, 0.4, {"beta2": 0.9})]
)
def test_training_gives_the_same_numbers_in_the_three(kind, clip, dropout, options):
    data = streams(IDS, 3, 6)
    losses, weights = {}, {}
    for f in FRAMEWORKS:
        one = model(f, kind, dropout=dropout)
        losses[f] = lab(f).fit(
            one, data, steps=30, lr=lambda k: 0.05 / (1 + k), clip=clip, **options
        )
        weights[f] = lab(f).get_weights(one)
    assert losses["numpy"][-1] < losses["numpy"][0]
    for f in FRAMEWORKS[1:]:
        close(losses[f], losses["numpy"], 1e-9)
        for name in weights[f]:
            close(weights[f][name], weights["numpy"][name], 1e-7)


def test_training_in_float32_learns_the_sentence(framework):
    one = model(framework, dtype="float32", hidden_size=32)
    data = batches(*windows(IDS, 10), batch_size=16)
    losses = lab(framework).fit(one, data, steps=200, lr=0.03, clip=1.0)
    assert losses[0] == pytest.approx(np.log(V), abs=0.3)
    assert losses[-1] < 0.3
    again = lab(framework).sample(one, TEXT[:10], 20, temperature=0)
    assert again == TEXT[10:30]


def test_carried_state_is_carried_and_a_constant(framework):
    """Two batches with carry: the second's gradients see the state's numbers, not its history."""
    m = lab(framework)
    first, second = list(streams(IDS, 2, 7))[:2]
    one = model(framework)
    _, state, _ = one.gradients(first)
    loss, _, grads = one.gradients(second, state)
    fresh, _, _ = one.gradients(second)
    assert float(loss) != pytest.approx(float(fresh), abs=1e-6)
    copied = m.LSTMState(*flat(state)) if framework == "numpy" else None
    if copied is not None:
        again, _, other = one.gradients(second, copied)
        assert float(again) == float(loss)
        close(list(other.values()), list(grads.values()), 0)
    if framework == "torch":
        assert not state.h.requires_grad
    seen = []
    losses = m.fit(one, [first, second], steps=3, lr=0.0, callback=lambda k, x: seen.append(x))
    assert losses[0] == losses[2] == seen[0]  # the second pass starts from zeros again
    assert losses[1] == pytest.approx(float(loss), abs=1e-12)


def test_evaluate_weighs_by_targets_and_carries(framework):
    m = lab(framework)
    one = model(framework)
    whole = Batch(IDS[None, :-1], IDS[None, 1:])
    expected = float(as_numpy(one.loss(whole)[0]))
    assert m.evaluate(one, streams(IDS, 1, 7)) == pytest.approx(expected, abs=1e-12)
    assert m.evaluate(one, streams(IDS, 1, 1000)) == pytest.approx(expected, abs=1e-12)
    ragged = Batch(*(np.tile(a, (2, 1)) for a in whole[:2]), [len(IDS) - 1, 0])
    assert m.evaluate(one, [ragged]) == pytest.approx(expected, abs=1e-12)


def test_samples_are_the_same_in_the_three():
    drawn = {
        (t, s): {lab(f).sample(model(f), "if", 30, temperature=t, seed=s) for f in FRAMEWORKS}
        for t in (0, 0.5, 1.0) for s in (0, 1)
    }  # fmt: skip
    assert all(len(texts) == 1 for texts in drawn.values())
    assert drawn[1.0, 0] != drawn[1.0, 1]
    assert drawn[0, 0] == drawn[0, 1]


def test_a_prompt_outside_the_vocabulary_is_called_by_its_name(framework):
    m = lab(framework)
    model = m.CharLM(Vocabulary("helo"), m.RNN(m.RNNCell(4, 3)))
    with pytest.raises(ValueError, match=r"^prompt holds 'x' at position 2, .* vocabulary of 4"):
        m.sample(model, "hex", 1)


def test_sampling_continues_from_the_whole_prompt(framework):
    one = model(framework)
    logits, _ = one(VOCABULARY.encode("if you")[None])
    expected = VOCABULARY.symbols[int(as_numpy(logits)[0, -1].argmax())]
    assert lab(framework).sample(one, "if you", 1, temperature=0) == expected
    assert lab(framework).sample(one, "if you", 0) == ""


def test_clipping_scales_all_by_one_factor(framework):
    m = lab(framework)
    arrays = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    convert = {"numpy": lambda x: x, "torch": torch.tensor, "tensorflow": lambda x: x}[framework]
    grads = {n: convert(a) for n, a in arrays.items()}
    clipped, norm = m.clip_by_global_norm(grads, 1.0)
    assert float(norm) == pytest.approx(5.0)
    for name, array in arrays.items():
        close(clipped[name], array / 5)
    clipped, _ = m.clip_by_global_norm(grads, 10.0)
    for name, array in arrays.items():
        close(clipped[name], array, 0)
    clipped, norm = m.clip_by_global_norm({"a": np.array(4.0)}, 1.0)  # one number, without an axis
    assert (float(as_numpy(clipped["a"])), float(norm)) == (1, 4)
    clipped, norm = m.clip_by_global_norm({"a": convert(np.zeros(2))}, 1.0)
    assert float(norm) == 0
    close(clipped["a"], np.zeros(2), 0)


def test_adam_is_the_papers(framework):
    """Algorithm 1 of Kingma & Ba, in plain numbers, on the gradients 1, -0.1, 1e-6."""
    m = lab(framework)
    layer = m.RNN(m.RNNCell(1, 1, dtype="float64"))
    adam = m.Adam(layer)
    start = m.get_weights(layer)
    gradients_given = [1.0, -0.1, 1e-6]
    mean = square = total = 0.0
    for t, g in enumerate(gradients_given, start=1):
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        total += 0.1 * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        grads = {n: np.full(w.shape, g) for n, w in start.items()}
        if framework == "torch":
            grads = {n: torch.tensor(a) for n, a in grads.items()}
        adam.update(grads, 0.1)
    for name, weight in m.get_weights(layer).items():
        close(weight, start[name] - total, 1e-12)


def test_dropout_drops_in_training_alone(framework):
    plain, one = model(framework), model(framework, dropout=0.5)
    batch = Batch(*(a[:4] for a in windows(IDS, 6)))
    expected = float(as_numpy(plain.loss(batch)[0]))
    assert float(as_numpy(one.loss(batch)[0])) == expected
    assert float(one.gradients(batch)[0]) == pytest.approx(expected, abs=1e-12)
    losses = [float(one.gradients(batch, rng=np.random.default_rng(k))[0]) for k in range(2)]
    assert len({*losses, expected}) == 3
    # With the same mask, a read-out whose rows are scaled by it gives the same loss.
    kept = init.dropout_mask(np.random.default_rng(0), 1, 8, 0.5, "float64")
    weights = lab(framework).get_weights(plain)
    weights["W_y"] *= kept[0].T
    lab(framework).set_weights(plain, weights)
    single = Batch(*(a[:1] for a in windows(IDS, 6)))
    dropped = float(one.gradients(single, rng=np.random.default_rng(0))[0])
    assert dropped == pytest.approx(float(as_numpy(plain.loss(single)[0])), abs=1e-12)


def test_beta2_is_how_long_a_large_gradient_is_remembered(framework):
    """After one large gradient, steps are small, and with a smaller beta2 sooner large again."""
    m, moved = lab(framework), {}
    for beta2 in (0.9, 0.999):
        layer = m.RNN(m.RNNCell(1, 1, dtype="float64"))
        adam = m.Adam(layer, beta1=0.0, beta2=beta2)
        for g in [1000.0] + 200 * [1.0]:
            before = m.get_weights(layer)["cell.b"]
            grads = {n: as_tensor(framework, w * 0 + g) for n, w in m.get_weights(layer).items()}
            adam.update(grads, 0.1)
        moved[beta2] = (before - m.get_weights(layer)["cell.b"]).item()
    assert moved[0.9] == pytest.approx(0.1, rel=0.05)  # one step of Adam has the size lr
    assert moved[0.999] < 0.01


def test_small_gradients_are_clipped_too(framework):
    grads = {"a": as_tensor(framework, [0.3]), "b": as_tensor(framework, [0.4])}
    clipped, norm = lab(framework).clip_by_global_norm(grads, 0.25)
    assert float(norm) == pytest.approx(0.5)
    close([clipped["a"], clipped["b"]], [np.array([0.15]), np.array([0.2])], 1e-7)


def test_samples_are_drawn_at_temperature_1_with_seed_0_where_nothing_is_said(framework):
    m, one = lab(framework), model(framework)
    drawn = m.sample(one, "if", 30)
    assert drawn == m.sample(one, "if", 30, temperature=1.0, seed=0)
    assert drawn != m.sample(one, "if", 30, temperature=2.0)
    assert drawn != m.sample(one, "if", 30, seed=1)
    assert m.sample(one, "if", 0) == ""


def test_a_callback_can_end_training(framework):
    losses = lab(framework).fit(
        model(framework), streams(IDS, 2, 5), steps=50, lr=0.01, callback=lambda k, x: k == 3
    )
    assert len(losses) == 4


def test_progress_bar_is_shown_outside_tests_only(framework, capsys, monkeypatch):
    one = model(framework)
    lab(framework).fit(one, streams(IDS, 2, 5), steps=1, lr=0.0)
    assert capsys.readouterr() == ("", "")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    lab(framework).fit(one, streams(IDS, 2, 5), steps=1, lr=0.0, progress=False)
    assert capsys.readouterr() == ("", "")
    lab(framework).fit(one, streams(IDS, 2, 5), steps=1, lr=0.0)
    assert "training" in capsys.readouterr().err


def test_a_diverged_loss_is_reported(framework):
    one = model(framework, dtype="float32", hidden_size=64)
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(FloatingPointError, match=r"at step \d; lower lr"),
    ):
        lab(framework).fit(one, streams(IDS, 2, 5), steps=3, lr=1e37)


GOOD = Batch(np.zeros((1, 2), int), np.zeros((1, 2), int))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m, one: one([0, 1]), ValueError, r"two axes \(B, T\).*shape \(2,\)"),
        (lambda m, one: one([[0, V]]), ValueError, f"between 0 and {V - 1}.*got {V}"),
        (lambda m, one: one([[0, -1]]), ValueError, "got -1"),
        (lambda m, one: one([[0.5]]), TypeError, "ids .*got float64"),
        (lambda m, one: one(np.array([["a"]])), TypeError, "encode text"),
        (lambda m, one: one.loss(Batch([[0, 1]], [[0]])), ValueError, r"\(1, 2\) and \(1, 1\)"),
        (lambda m, one: one.loss(Batch([[0]], [[V]])), ValueError, f"got {V}"),
        (lambda m, one: one.loss(Batch([[0]], [[0]], [0])), ValueError, "no valid target"),
        (lambda m, one: one.loss(Batch([[0]], [[0]], [2])), ValueError, "got 2 at row 0"),
        (lambda m, one: one.gradients(Batch([[0]], [[0]], [0])), ValueError, "no valid target"),
        (lambda m, one: m.evaluate(one, []), ValueError, "no valid target"),
        (lambda m, one: m.CharLM("abc", one.layer), TypeError, "Vocabulary, got str"),
        (lambda m, one: m.CharLM(VOCABULARY, "LSTM"), TypeError, "layer must be a layer"),
        (lambda m, one: m.CharLM(VOCABULARY, one.layer, dropout=1.0), ValueError, "less than 1"),
        (lambda m, one: m.CharLM(VOCABULARY, one.layer, dropout=-0.1), ValueError, "at least 0"),
        (lambda m, one: m.CharLM(VOCABULARY, m.LSTM), TypeError, "layer must be a layer"),
        (lambda m, one: m.CharLM(VOCABULARY, m.LSTM(3, 2)), ValueError, f"V = {V} .*is 3"),
        (lambda m, one: m.CharLM(VOCABULARY, m.LSTM(V, 2, bidirectional=True)), ValueError,
         "forward only"),
        (lambda m, one: m.CharLM(VOCABULARY, m.LSTM(V, 2, 2, bidirectional=True)), ValueError,
         "forward only"),
        (lambda m, one: m.fit(one, [GOOD], steps=-1, lr=0.1), ValueError, "steps must be at"),
        (lambda m, one: m.fit(one, [GOOD], steps=1.5, lr=0.1), TypeError, "steps must be a whole"),
        (lambda m, one: m.fit(one, [GOOD], steps=1, lr=-0.1), ValueError, "lr must be at least 0"),
        (lambda m, one: m.fit(one, [GOOD], steps=1, lr="fast"), TypeError, "lr must be a number"),
        (lambda m, one: m.fit(one, [GOOD], steps=1, lr=np.nan), ValueError, "lr must be .*finite"),
        (lambda m, one: m.fit(one, [GOOD], steps=1, lr=0.1, clip=0), ValueError, "greater than 0"),
        (lambda m, one: m.fit(one, [GOOD], steps=1, lr=0.1, beta2=1), ValueError, "beta2 .*less"),
        (lambda m, one: m.fit("GRU", [GOOD], steps=1, lr=0.1), TypeError, "model must be a CharLM"),
        (lambda m, one: m.evaluate("GRU", [GOOD]), TypeError, "model must be a CharLM"),
        (lambda m, one: m.clip_by_global_norm({"a": [1.0]}, 0), ValueError, "limit must be"),
        (lambda m, one: m.get_weights("GRU"), TypeError, "layer must be a cell, layer or model"),
        (lambda m, one: m.set_weights("GRU", {}), TypeError, "layer must be a cell, layer or"),
        (lambda m, one: m.clip_by_global_norm([1.0], 1), TypeError, "grads must be a dict"),
        (lambda m, one: m.clip_by_global_norm({"a": "b"}, 1), TypeError, "grads.'a'. must be an"),
        (lambda m, one: m.fit(one, [GOOD], steps=1, lr=0.1, seed=-1), ValueError, "seed must be"),
        (lambda m, one: m.Adam("GRU"), TypeError, "model must be a cell, layer or model of rnnlab"),
        (lambda m, one: m.Adam(one, beta1=-0.1), ValueError, "beta1 must be at least 0"),
        (lambda m, one: m.Adam(one, eps="small"), TypeError, "eps must be a number"),
        (lambda m, one: m.fit(one, [GOOD], steps=1, lr=0.1, progress=1), TypeError, "progress"),
        (lambda m, one: m.fit(one, [], steps=1, lr=0.1), ValueError, "gave nothing in pass 0"),
        (lambda m, one: m.fit(one, 3, steps=1, lr=0.1), TypeError, "iterable, got int"),
        (lambda m, one: m.sample("GRU", "if", 3), TypeError, "model must be a CharLM"),
        (lambda m, one: m.sample(one, "", 3), ValueError, "at least one character"),
        (lambda m, one: m.sample(one, "if@", 3), ValueError, "'@' at position 2"),
        (lambda m, one: m.sample(one, "if", -3), ValueError, "length must be at least 0"),
        (lambda m, one: m.sample(one, "if", 3, temperature=-1), ValueError, "temperature"),
        (lambda m, one: m.sample(one, "if", 0, temperature=-1), ValueError, "temperature"),
        (lambda m, one: m.sample(one, "if", 3, seed=-1), ValueError, "seed must be at least 0"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_the_reason(framework, call, error, words):
    with pytest.raises(error, match=words):
        call(lab(framework), model(framework))


def test_torch_tensors_of_ids_are_taken():
    one = model("torch")
    close(one(torch.tensor(IDS[None]))[0], one(IDS[None])[0], 0)


def test_the_language_model_reads_one_hot_vectors(framework):
    one = model(framework, architecture="stack")
    ys, state = one.layer(one_hot(IDS[None], V, dtype="float64"))
    weights = lab(framework).get_weights(one)
    logits, final = one(IDS[None])
    close(logits, as_numpy(ys) @ weights["W_y"] + weights["b_y"])
    close(flat(final), flat(state), 0)


@pytest.mark.parametrize("clip", [0.0, -1.0])
def test_the_bound_of_the_gradients_is_checked_by_its_name(framework, clip):
    with pytest.raises(ValueError, match=r"^clip must be greater than 0"):
        lab(framework).fit(model(framework), streams(IDS, 2, 5), steps=1, lr=0.1, clip=clip)


def test_a_large_eps_makes_the_same_small_step_in_the_three():
    moved = {}
    for f in FRAMEWORKS:
        m, one = lab(f), model(f)
        batch = Batch(*(part[:3] for part in windows(IDS, 5)))
        _, _, grads = one.gradients(batch)
        m.Adam(one, eps=0.5).update(grads, 0.1)
        moved[f] = m.get_weights(one)
    for f in FRAMEWORKS[1:]:
        for name, weight in moved[FRAMEWORKS[0]].items():
            close(moved[f][name], weight)
    start = lab("numpy").get_weights(model("numpy"))
    assert max(np.abs(moved["numpy"][name] - start[name]).max() for name in start) < 0.05


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_a_weight_that_takes_no_part_has_a_gradient_of_zeros(framework):
    m = lab(framework)

    class Spare(m.RNN):
        """A layer of a reader's own, with a weight that it does not use."""

        def __init__(self, cell):
            super().__init__(cell)
            self.spare = spare

        def named_weights(self):  # PyTorch finds a module's weights by itself
            return super().named_weights() | {"spare": self.spare}

    if framework == "torch":
        spare = torch.nn.Parameter(torch.ones(2))
    else:
        import tensorflow as tf

        spare = tf.Variable(np.ones(2, "float32"))
    one = m.CharLM(VOCABULARY, Spare(m.GRUCell(V, 4)))
    _, _, grads = one.gradients(Batch(*(part[:3] for part in windows(IDS, 5))))
    close(grads["layer.spare"], np.zeros(2), 0)
