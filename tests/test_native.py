"""Our cells against the frameworks' own, with the same weights: values, states and gradients.

Keras' and PyTorch's layers keep their weights in other layouts and orders; the few lines that
translate them stand here, by hand, so that they check the package and are not checked by it.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from support import cell, close, flat, gradients, lab, random_state, randomise

B, T, I, H = 4, 5, 3, 2


def blocks(matrix, order):
    """The gates' blocks of a matrix (..., G*H) in another order."""
    parts = np.split(matrix, len(order), axis=-1)
    return np.concatenate([parts[k] for k in order], axis=-1)


def torch_weights(kind, w):
    """Our weights as torch.nn's: weight_ih, weight_hh, bias_ih, bias_hh. Same gate orders."""
    bias_hh = np.zeros_like(w["b"])
    if "b_hn" in w:
        bias_hh[-H:] = w["b_hn"]
    return [torch.tensor(a) for a in (w["W_x"].T, w["W_h"].T, w["b"], bias_hh)]


def keras_weights(kind, w):
    """Our weights as Keras': kernel, recurrent_kernel, bias. Its GRU goes z r h."""
    if not kind.startswith("GRU"):
        return [w["W_x"], w["W_h"], w["b"]]
    order = [1, 0, 2]
    bias = blocks(w["b"], order)
    if "b_hn" in w:
        bias = np.stack([bias, np.concatenate([np.zeros(2 * H), w["b_hn"]])])
    return [blocks(w["W_x"], order), blocks(w["W_h"], order), bias]


TORCH = {"RNNCell": torch.nn.RNN, "LSTMCell": torch.nn.LSTM, "GRUCell": torch.nn.GRU}


@pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow"])
@pytest.mark.parametrize("kind", TORCH)
def test_torch_nn_gives_the_same(framework, kind):
    rng = np.random.default_rng(0)
    layer = randomise(framework, lab(framework).RNN(cell(framework, kind, I, H)))
    native = TORCH[kind](I, H, batch_first=True).double()
    ours = {n.removeprefix("cell."): w for n, w in lab(framework).get_weights(layer).items()}
    with torch.no_grad():
        for parameter, value in zip(native.parameters(), torch_weights(kind, ours), strict=True):
            parameter.copy_(value)
    xs = rng.normal(size=(B, T, I))
    state = random_state(layer, B, rng)
    weight_ys = rng.normal(size=(B, T, H))
    weight_state = [rng.normal(size=(B, H)) for _ in flat(state)]

    x = torch.tensor(xs, requires_grad=True)
    parts = [torch.tensor(a[None], requires_grad=True) for a in flat(state)]
    native_ys, native_state = native(x, tuple(parts) if kind == "LSTMCell" else parts[0])
    finals = native_state if kind == "LSTMCell" else (native_state,)
    total = (native_ys * torch.tensor(weight_ys)).sum()
    for final, weight in zip(finals, weight_state, strict=True):
        total = total + (final[0] * torch.tensor(weight)).sum()
    dx, *dparts, dW_x, dW_h, db, db_h = torch.autograd.grad(
        total, [x, *parts, *native.parameters()]
    )

    ys, final = layer(xs, state)
    close(ys, native_ys)
    close(flat(final), [f[0] for f in finals])
    got = gradients(framework, layer, xs, state, None, weight_ys, weight_state)
    close(got["xs"], dx)
    close([got[f"state {k}"] for k in range(len(parts))], [d[0] for d in dparts])
    close(got["cell.W_x"], dW_x.T)
    close(got["cell.W_h"], dW_h.T)
    close(got["cell.b"], db)
    if kind == "GRUCell":
        close(got["cell.b_hn"], db_h[-H:])


KERAS = {
    "RNNCell": lambda: keras.layers.SimpleRNN,
    "LSTMCell": lambda: keras.layers.LSTM,
    "GRUCell": lambda: keras.layers.GRU,
    "GRUCell before": lambda: keras.layers.GRU,
}


@pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow"])
@pytest.mark.parametrize("kind", KERAS)
@pytest.mark.parametrize("lengths", [None, [5, 1, 3, 4]], ids=["all valid", "ragged"])
def test_keras_gives_the_same(framework, kind, lengths):
    rng = np.random.default_rng(0)
    layer = randomise(framework, lab(framework).RNN(cell(framework, kind, I, H)))
    ours = {n.removeprefix("cell."): w for n, w in lab(framework).get_weights(layer).items()}
    options = {"reset_after": kind == "GRUCell"} if kind.startswith("GRU") else {}
    native = KERAS[kind]()(
        H, return_sequences=True, return_state=True, dtype="float64",
        zero_output_for_mask=True, **options,
    )  # fmt: skip
    native.build((B, T, I))
    native.set_weights(keras_weights(kind, ours))
    xs = rng.normal(size=(B, T, I))
    state = random_state(layer, B, rng)
    weight_ys = rng.normal(size=(B, T, H))
    weight_state = [rng.normal(size=(B, H)) for _ in flat(state)]

    x, parts = tf.constant(xs), [tf.constant(a) for a in flat(state)]
    mask = None if lengths is None else tf.sequence_mask(lengths, T)
    with tf.GradientTape() as tape:
        tape.watch([x, *parts])
        native_ys, *finals = native(x, initial_state=parts, mask=mask)
        total = tf.reduce_sum(native_ys * weight_ys)
        for final, weight in zip(finals, weight_state, strict=True):
            total += tf.reduce_sum(final * weight)
    weights = [v.value for v in native.trainable_variables]
    dx, *rest = tape.gradient(total, [x, *parts, *weights])
    dparts, dweights = rest[: len(parts)], [np.asarray(g) for g in rest[len(parts) :]]

    ys, final = layer(xs, state, lengths)
    close(ys, native_ys)
    close(flat(final), finals)
    got = gradients(framework, layer, xs, state, lengths, weight_ys, weight_state)
    close(got["xs"], dx)
    close([got[f"state {k}"] for k in range(len(parts))], dparts)
    named = {n.removeprefix("cell."): g for n, g in got.items()}
    expected = keras_weights(kind, named)
    if kind == "GRUCell":  # Keras counts the input's and the recurrent bias apart
        close(dweights[2][0], expected[2][0])
        close(dweights[2][1, 2 * H :], named["b_hn"])
        expected, dweights = expected[:2], dweights[:2]
    close(dweights, expected)
