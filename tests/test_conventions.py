"""What chapters/shapes.md says of PyTorch, Keras and TensorFlow 1, asked of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from tensorflow.python.ops import rnn_cell_impl as old  # TensorFlow 1's cells, not public

B, T, I, H, L = 2, 3, 5, 4, 2
XS = np.random.default_rng(0).normal(size=(B, T, I)).astype("float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(("kind", "G"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_torchs_weights_and_states(kind, G):
    layer = getattr(torch.nn, kind)(I, H, L, bidirectional=True)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    assert shapes["weight_ih_l0"] == (G * H, I)
    assert shapes["weight_ih_l1_reverse"] == (G * H, 2 * H)
    assert shapes["weight_hh_l0"] == (G * H, H)
    assert shapes["bias_ih_l0"] == shapes["bias_hh_l0"] == (G * H,)
    time_major = torch.tensor(XS).transpose(0, 1)
    ys, state = layer(time_major)
    assert ys.shape == (T, B, 2 * H)
    parts = state if kind == "LSTM" else [state]
    assert all(part.shape == (L * 2, B, H) for part in parts)
    # Layer by layer, forward before backward: the last two are the top layer's.
    torch.testing.assert_close(parts[0][2], ys[-1, :, :H])
    torch.testing.assert_close(parts[0][3], ys[0, :, H:])


@pytest.mark.parametrize(("kind", "G"), [("SimpleRNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_keras_weights_and_states(kind, G):
    layer = getattr(keras.layers, kind)(H, return_sequences=True, return_state=True)
    ys, *state = layer(XS)
    kernel, recurrent, bias = layer.get_weights()
    assert kernel.shape == (I, G * H)
    assert recurrent.shape == (H, G * H)
    assert bias.shape == ((2, 3 * H) if kind == "GRU" else (G * H,))
    assert ys.shape == (B, T, H)
    assert len(state) == (2 if kind == "LSTM" else 1)
    np.testing.assert_allclose(state[0], ys[:, -1], atol=1e-7)  # h comes first
    both = keras.layers.Bidirectional(layer)
    ys, *state = both(XS)
    assert ys.shape == (B, T, 2 * H)
    back = len(state) // 2  # where the backward layer's states begin
    np.testing.assert_allclose(state[0], ys[:, -1, :H], atol=1e-7)
    np.testing.assert_allclose(state[back], ys[:, 0, H:], atol=1e-7)


def test_keras_gru_without_reset_after_has_one_bias():
    layer = keras.layers.GRU(H, reset_after=False)
    layer.build((B, T, I))
    assert layer.get_weights()[2].shape == (3 * H,)


def lstm_step(a, h, c, order):
    """An LSTM step from its four sums side by side, in a given order."""
    parts = dict(zip(order, np.split(a, 4, axis=-1), strict=True))
    c = sigmoid(parts["f"]) * c + sigmoid(parts["i"]) * np.tanh(parts["g"])
    return sigmoid(parts["o"]) * np.tanh(c)


def gru_step(a, u, h, order):
    """A GRU step, reset after the product, from the input's and the state's sums."""
    a, u = (dict(zip(order, np.split(part, 3, axis=-1), strict=True)) for part in (a, u))
    r, z = sigmoid(a["r"] + u["r"]), sigmoid(a["z"] + u["z"])
    return (1 - z) * np.tanh(a["n"] + r * u["n"]) + z * h  # the update gate keeps


@pytest.mark.parametrize("order", ["ifgo", "iofg", "igfo", "fiog"])
def test_the_order_of_the_lstms_gates_is_i_f_g_o(order):
    cell = torch.nn.LSTMCell(I, H)
    x, h, c = torch.tensor(XS[:, 0]), torch.randn(B, H), torch.randn(B, H)
    a = x @ cell.weight_ih.T + h @ cell.weight_hh.T + cell.bias_ih + cell.bias_hh
    found = lstm_step(*(t.detach().numpy() for t in (a, h, c)), order)
    same = np.allclose(found, cell(x, (h, c))[0].detach().numpy(), atol=1e-6)
    assert same == (order == "ifgo")
    layer = keras.layers.LSTMCell(H)
    layer.build((B, I))
    kernel, recurrent, bias = (np.asarray(w) for w in layer.get_weights())
    assert (bias == np.repeat([0, 1, 0, 0], H)).all()  # the forget bias
    a = XS[:, 0] @ kernel + h.numpy() @ recurrent + bias
    expected = np.asarray(layer(XS[:, 0], [h.numpy(), c.numpy()])[0])
    same = np.allclose(lstm_step(a, h.numpy(), c.numpy(), order), expected, atol=1e-6)
    assert same == (order == "ifgo")


@pytest.mark.parametrize("order", ["rzn", "zrn"])
def test_the_order_of_the_grus_gates(order):
    cell = torch.nn.GRUCell(I, H)
    x, h = torch.tensor(XS[:, 0]), torch.randn(B, H)
    a, u = x @ cell.weight_ih.T + cell.bias_ih, h @ cell.weight_hh.T + cell.bias_hh
    found = gru_step(*(t.detach().numpy() for t in (a, u, h)), order)
    same = np.allclose(found, cell(x, h).detach().numpy(), atol=1e-6)
    assert same == (order == "rzn")
    layer = keras.layers.GRUCell(H)
    layer.build((B, I))
    layer.set_weights([*layer.get_weights()[:2], cell.bias_ih.detach().numpy()[None] * [[1], [-2]]])
    kernel, recurrent, bias = (np.asarray(w) for w in layer.get_weights())
    h = h.numpy()
    found = gru_step(XS[:, 0] @ kernel + bias[0], h @ recurrent + bias[1], h, order)
    same = np.allclose(found, np.asarray(layer(XS[:, 0], [h])[0]), atol=1e-6)
    assert same == (order == "zrn")


def test_outputs_past_the_length():
    mask = np.arange(T) < np.array([[3], [1]])
    held = np.asarray(keras.layers.LSTM(H, return_sequences=True)(XS, mask=mask))
    assert (held[1, 1] == held[1, 0]).all()
    zeros = keras.layers.LSTM(H, return_sequences=True, zero_output_for_mask=True)(XS, mask=mask)
    assert (np.asarray(zeros)[1, 1:] == 0).all()
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(XS), [3, 1], batch_first=True)
    ys, (h, _) = torch.nn.LSTM(I, H, batch_first=True)(packed)
    ys, _ = torch.nn.utils.rnn.pad_packed_sequence(ys, batch_first=True)
    assert (ys[1, 1:] == 0).all()
    torch.testing.assert_close(h[0, 1], ys[1, 0])


def test_a_row_of_length_zero():
    xs, start = torch.tensor(XS), np.random.default_rng(1).normal(size=(B, H)).astype("float32")
    with pytest.raises(RuntimeError, match="greater than 0"):
        torch.nn.utils.rnn.pack_padded_sequence(xs, [3, 0], batch_first=True)
    mask = np.arange(T) < np.array([[3], [0]])
    layer = keras.layers.GRU(H, return_state=True)
    _, state = layer(XS, mask=mask, initial_state=start)
    np.testing.assert_array_equal(state[1], start[1])


@pytest.mark.parametrize(("kind", "G"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_torchs_fresh_weights_are_uniform_within_one_over_the_root_of_h(kind, G):
    H = 100
    layer = getattr(torch.nn, kind)(I, H)
    for weight in layer.parameters():  # so the forget bias is near 0, too
        assert 0.09 < weight.abs().max() <= 0.1
        assert abs(weight.std() - 0.1 / 3**0.5) < 0.01


@pytest.mark.parametrize(("kind", "G"), [("SimpleRNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_keras_draws_fresh_weights_for_all_gates_as_one_matrix(kind, G):
    H = 50
    layer = getattr(keras.layers, kind)(H)
    layer.build((B, T, I))
    kernel, recurrent, bias = (np.asarray(w) for w in layer.get_weights())
    limit = (6 / (I + G * H)) ** 0.5
    assert 0.9 * limit < np.abs(kernel).max() <= limit
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(H), atol=1e-5)
    forget = slice(H, 2 * H) if kind == "LSTM" else slice(0, 0)
    assert (bias[..., forget] == 1).all()
    assert np.delete(bias, range(H * G)[forget], axis=-1).any() == 0


def test_torchs_two_biases_are_only_added_but_for_the_n_of_a_gru():
    x = torch.tensor(XS[:, 0])
    for kind, parts in (torch.nn.RNNCell, 1), (torch.nn.LSTMCell, 4), (torch.nn.GRUCell, 3):
        cell = kind(I, H)
        h = torch.randn(B, H)
        state = (h, torch.randn(B, H)) if parts == 4 else h
        for part in range(parts):
            before = cell(x, state)
            with torch.no_grad():  # from one bias to the other: their sum stays
                cell.bias_ih[part * H : (part + 1) * H] += 0.5
                cell.bias_hh[part * H : (part + 1) * H] -= 0.5
            after = cell(x, state)
            pair = [t[0] if parts == 4 else t for t in (before, after)]
            assert torch.allclose(*pair, atol=1e-6) != (parts == 3 and part == 2)


def test_what_you_get_if_you_say_nothing():
    ys = keras.layers.LSTM(H)(XS)
    assert ys.shape == (B, H)  # the last output alone, and no state
    assert keras.layers.Bidirectional(keras.layers.LSTM(H))(XS).shape == (B, 2 * H)
    assert keras.layers.GRU(H).reset_after
    assert not keras.layers.GRU(H).zero_output_for_mask
    batch_first = torch.nn.LSTM(I, H, L, bidirectional=True, batch_first=True)
    ys, (h, c) = batch_first(torch.tensor(XS))
    assert ys.shape == (B, T, 2 * H)
    assert h.shape == c.shape == (L * 2, B, H)  # batch_first does not turn the states


@pytest.mark.parametrize("layer", ["Masking", "Embedding"])
def test_keras_layers_that_make_a_mask(layer):
    if layer == "Masking":
        before = keras.layers.Masking()
        inputs = XS * np.array([[[1], [1], [1]], [[1], [0], [0]]], "float32")
    else:
        before, inputs = (
            keras.layers.Embedding(4, I, mask_zero=True),
            np.array([[1, 2, 3], [1, 0, 0]]),
        )
    ys = np.asarray(keras.layers.LSTM(H, return_sequences=True)(before(inputs)))
    assert (ys[1, 1:] == ys[1, 0]).all()
    assert (ys[0, 1] != ys[0, 0]).all()


def tf1_run(cell, **options):
    """The fresh weights of a cell, by name, and what TensorFlow 1's driver gives with them."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(0)
        cell = cell()
        answer = tf.compat.v1.nn.dynamic_rnn(cell, XS, dtype=tf.float32, **options)
        session.run(tf.compat.v1.global_variables_initializer())
        names = [variable.name.split("_cell/")[1] for variable in cell.weights]
        values, answer = session.run((cell.weights, answer))
        return dict(zip(names, values, strict=True)), answer


@pytest.mark.parametrize(("kind", "G"), [("BasicRNNCell", 1), ("BasicLSTMCell", 4), ("GRUCell", 3)])
@pytest.mark.filterwarnings("ignore:.* is deprecated")
def test_tensorflow_1s_weights_and_states(kind, G):
    H = 50
    w, (ys, state) = tf1_run(lambda: getattr(old, kind)(H))
    assert ys.shape == (B, T, H)
    if kind == "BasicLSTMCell":
        assert state._fields == ("c", "h")
        np.testing.assert_array_equal(state.h, ys[:, -1])
    else:
        np.testing.assert_array_equal(state, ys[:, -1])
    if kind == "GRUCell":
        assert w["gates/kernel:0"].shape == (I + H, 2 * H)
        assert w["candidate/kernel:0"].shape == (I + H, H)
        assert (w["gates/bias:0"] == 1).all()
        assert (w["candidate/bias:0"] == 0).all()
    else:
        assert w["kernel:0"].shape == (I + H, G * H)
        assert (w["bias:0"] == 0).all()  # so the forget bias is not in it
    for kernel in (value for name, value in w.items() if "kernel" in name):
        limit = (6 / sum(kernel.shape)) ** 0.5  # Glorot's, of the whole matrix
        assert 0.99 * limit < np.abs(kernel).max() <= limit


@pytest.mark.filterwarnings("ignore:.* is deprecated")
def test_tensorflow_1s_lengths():
    start = np.random.default_rng(1).normal(size=(B, H)).astype("float32")
    _, (ys, state) = tf1_run(lambda: old.GRUCell(H), sequence_length=[2, 0], initial_state=start)
    assert (ys[0, 2:] == 0).all()
    assert (ys[1] == 0).all()
    np.testing.assert_array_equal(state[0], ys[0, 1])
    np.testing.assert_array_equal(state[1], start[1])
