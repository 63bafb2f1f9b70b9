"""What the tests share: the three notations side by side, and networks with random weights."""

import importlib
import itertools
from unittest import mock

import numpy as np
import tensorflow as tf
import torch

FRAMEWORKS = ["numpy", "torch", "tensorflow"]
# Each one's layers know two ways to the same numbers: with the loops of their fused.py, in PyTorch
# and TensorFlow with the way back written by hand, and with the cell's own step. Where numba is
# installed, NumPy's and PyTorch's loops are compiled; "eagerly" they are not, as without it.
# TensorFlow's are as they are called while a model is trained.
WAYS = [
    "numpy",
    "numpy eagerly",
    "numpy step by step",
    "torch",
    "torch eagerly",
    "torch by autograd",
    "tensorflow",
    "tensorflow in training",
    "tensorflow by autograd",
]
CELLS = ["RNNCell", "LSTMCell", "GRUCell", "GRUCell before"]


def lab(framework):
    """The package of one notation."""
    return importlib.import_module(f"rnnlab.{framework.split()[0]}")


def cell(framework, kind, input_size, hidden_size, *, seed=0, dtype="float64"):
    """A cell by its name; "GRUCell before" is the one that resets before the product."""
    name, *before = kind.split()
    options = {"reset_after": False} if before else {}
    return getattr(lab(framework), name)(input_size, hidden_size, seed=seed, dtype=dtype, **options)


def driver(framework):
    """The class that unfolds a cell over time; "eagerly" one that finds no compiled loops, "in
    training" one that calls them, in TensorFlow as well."""
    m = lab(framework)
    fused = m.layers.fused

    class Eagerly(m.RNN):
        def run(self, *given):
            with mock.patch.object(fused.compiled, "kernels", return_value=None):
                return super().run(*given)

    class Calling(m.RNN):
        def run(self, *given):
            with fused.calls():
                return super().run(*given)

    return {"eagerly": Eagerly, "training": Calling}.get(framework.split()[-1], m.RNN)


ARCHITECTURES = ["one", "stack", "both", "stack of both", "both of stacks"]


def network(
    framework, kind, architecture, input_size=3, hidden_size=4, dtype="float64", *, depth=2
):
    """A layer of the given architecture, every cell with a seed of its own.

    "stack of both" reads both directions at each level, "both of stacks" is two independent towers.
    """
    m = lab(framework)
    seeds = itertools.count()

    def layer(size):
        made = cell(framework, kind, size, hidden_size, seed=next(seeds), dtype=dtype)
        return driver(framework)(made, by_hand=" by " not in framework)

    def both(size):
        return m.Bidirectional(layer(size), layer(size))

    def stack(level, width):
        return m.Stack([level(input_size if k == 0 else width) for k in range(depth)])

    H = hidden_size
    return {
        "one": lambda: layer(input_size),
        "stack": lambda: stack(layer, H),
        "both": lambda: both(input_size),
        "stack of both": lambda: stack(both, 2 * H),
        "both of stacks": lambda: m.Bidirectional(stack(layer, H), stack(layer, H)),
    }[architecture]()


def randomise(framework, layer, seed=0, scale=0.6):
    """Give every weight a value of its own, biases too, so that no two parts can be mistaken."""
    m = lab(framework)
    rng = np.random.default_rng(seed)
    weights = m.get_weights(layer)
    m.set_weights(
        layer,
        {n: rng.normal(scale=scale, size=weights[n].shape).astype(weights[n].dtype)
         for n in sorted(weights)},
    )  # fmt: skip
    return layer


def flat(state):
    """The arrays of a state, in order, whatever its nesting."""
    if isinstance(state, (tuple, list)):
        return [array for part in state for array in flat(part)]
    return [as_numpy(state)]


def as_tensor(framework, array):
    """An array as the framework's own; NumPy's stays one."""
    make = {"numpy": np.asarray, "torch": torch.tensor, "tensorflow": tf.constant}
    return make[framework.split()[0]](array)


def as_numpy(x):
    """An array, from any of the three."""
    if isinstance(x, torch.Tensor):
        return x.detach().numpy()
    return np.asarray(x)


def rebuild(state, arrays):
    """The given arrays in the form of a state (the reverse of :func:`flat`)."""
    arrays = iter(arrays)

    def fill(part):
        if hasattr(part, "_fields"):
            return type(part)(*(fill(p) for p in part))
        if isinstance(part, (tuple, list)):
            return tuple(fill(p) for p in part)
        return next(arrays)

    return fill(state)


def random_state(layer, batch_size, rng, dtype="float64"):
    """A state of the layer's form with random numbers, as NumPy arrays."""
    start = layer.initial_state(batch_size)
    return rebuild(start, [rng.normal(size=a.shape).astype(dtype) * 0.5 for a in flat(start)])


def gradients(framework, layer, xs, state, lengths, weight_ys, weight_state):
    """Gradients of a scalar made of every output and every part of the final state.

    -> dict with "xs", "state 0", ... and the weights' names; 0 where the scalar does not depend.
    """
    if framework.startswith("numpy"):
        valid = None
        if lengths is not None:
            valid = np.arange(xs.shape[1]) < np.asarray(lengths)[:, None]
            xs = np.where(valid[:, :, None], xs, 0.0)
        _, _, tape = layer.record(xs, state, valid)
        dstate = rebuild(state, weight_state)
        dxs, dstate, grads = layer.backward(tape, weight_ys, dstate)
        return grads | {"xs": dxs} | {f"state {k}": g for k, g in enumerate(flat(dstate))}
    if framework.startswith("torch"):
        xs = torch.tensor(xs, requires_grad=True)
        parts = [torch.tensor(a, requires_grad=True) for a in flat(state)]
        ys, final = layer(xs, rebuild(state, parts), lengths)
        total = (ys * torch.tensor(weight_ys)).sum()
        for part, weight in zip(tensors(final), weight_state, strict=True):
            total = total + (part * torch.tensor(weight)).sum()
        named = dict(layer.named_parameters())
        grads = torch.autograd.grad(
            total, [xs, *parts, *named.values()], allow_unused=True, materialize_grads=True
        )
        names = ["xs", *(f"state {k}" for k in range(len(parts))), *named]
        return {n: g.detach().numpy() for n, g in zip(names, grads, strict=True)}
    xs = tf.constant(xs)
    parts = [tf.constant(a) for a in flat(state)]
    with tf.GradientTape() as tape:
        tape.watch([xs, *parts])
        ys, final = layer(xs, rebuild(state, parts), lengths)
        total = tf.reduce_sum(ys * weight_ys)
        for part, weight in zip(tensors(final), weight_state, strict=True):
            total += tf.reduce_sum(part * weight)
    named = layer.named_weights()
    grads = tape.gradient(
        total,
        [xs, *parts, *named.values()],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    names = ["xs", *(f"state {k}" for k in range(len(parts))), *named]
    return {n: g.numpy() for n, g in zip(names, grads, strict=True)}


def weighting(shapes, seed=0):
    """Random arrays of the given shapes, to make one scalar of many outputs."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=tuple(shape)) for shape in shapes]


def results(way, layer, xs, state, lengths=None):
    """Outputs, the final state and the gradients of a weighted sum of both: dict of arrays."""
    ys, final = layer(xs, state, lengths)
    values = {"ys": as_numpy(ys)} | {f"final {k}": a for k, a in enumerate(flat(final))}
    weight_ys, *weight_state = (
        w.astype(xs.dtype) for w in weighting(a.shape for a in values.values())
    )
    got = gradients(way, layer, xs, state, lengths, weight_ys, weight_state)
    return values | {f"gradient of {name}": g for name, g in got.items()}


def tensors(state):
    if isinstance(state, (tuple, list)):
        return [t for part in state for t in tensors(part)]
    return [state]


def close(one, other, tolerance=1e-10, relative=0.0):
    """Assert that two arrays, or lists of them, agree within an absolute tolerance.

    relative: what is added to it for each 1 of the second's magnitude.
    """
    if isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            close(a, b, tolerance, relative)
        return
    one, other = as_numpy(one), as_numpy(other)
    assert one.shape == other.shape
    np.testing.assert_allclose(one, other, rtol=relative, atol=tolerance, equal_nan=False)
