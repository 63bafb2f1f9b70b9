"""The compiled loops (``kernels.py``): when they serve, their tanh, both of their products.

Their numbers are compared wherever the tests go through ``WAYS``; there they are small enough for
one call to take all steps.
"""

import functools
import importlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from support import (
    as_numpy,
    close,
    flat,
    lab,
    network,
    random_state,
    randomise,
    rebuild,
    results,
    tensors,
)

from rnnlab import compiled, kernels
from rnnlab.torch import kernel_loops

KINDS = ["RNNCell", "LSTMCell", "GRUCell"]  # the GRU that resets before has no compiled loop
NAMES = ["rnn", "rnn_back", "lstm", "lstm_back", "gru", "gru_back"]
HELPERS = ["tanh32", "activate", "multiply", "add", "arriving", "pass_by"]


@pytest.fixture
def counted(monkeypatch):
    """The names of the kernels that were called, in order."""
    called = []

    def counting(name, kernel):
        @functools.wraps(kernel)
        def count(*given):
            called.append(name)
            kernel(*given)

        return count

    for name in NAMES:
        monkeypatch.setattr(kernels, name, counting(name, getattr(kernels, name)))
    return called


def case(way, kind, dtype, lengths, B=3, T=5, I=3, H=19):
    """Everything a layer gives and all its gradients. H: two times eight rows of W_h, and three."""
    rng = np.random.default_rng(0)
    layer = randomise(way, network(way, kind, "one", I, H, dtype), scale=0.4)
    xs = rng.normal(size=(B, T, I)).astype(dtype)
    return results(way, layer, xs, random_state(layer, B, rng, dtype), lengths)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("lengths", [None, [5, 0, 2]], ids=["all valid", "ragged"])
@pytest.mark.parametrize("few", [0, 10**9], ids=["step by step", "in one call"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_both_products_give_what_autograd_gives(
    framework, kind, few, lengths, dtype, monkeypatch, counted
):
    monkeypatch.setattr(compiled, "FEW", few)
    found = case(framework, kind, dtype, lengths)
    name = kind.removesuffix("Cell").lower()
    ways = [name, f"{name}_back"] if framework == "torch" else [name]
    times = 1 if few else 5
    # results() runs the layer twice, and back once; but NumPy's way back is the cell's own.
    assert [counted.count(way) for way in ways] == (
        [2 * times, times] if framework == "torch" else [times]
    )
    right = case("torch by autograd", kind, dtype, lengths)
    assert found.keys() == right.keys()
    for name, array in right.items():
        assert found[name].dtype == dtype
        close(found[name], array, *((1e-10,) if dtype == "float64" else (1e-5, 1e-5)))


@pytest.mark.parametrize("kind", KINDS)
def test_in_numpy_both_products_give_the_same(kind, monkeypatch):
    layer = randomise("numpy", network("numpy", kind, "one", 3, 5))
    xs = np.random.default_rng(0).normal(size=(2, 4, 3))
    found = []
    for few in 0, 10**9:
        monkeypatch.setattr(compiled, "FEW", few)
        found.append(layer(xs))
    (ys, last), (other, end) = found
    close([ys, *flat(last)], [other, *flat(end)], 1e-14)


@pytest.mark.parametrize("start", [None, "zeros", "numbers"])
@pytest.mark.parametrize("rows", [0, 10**9], ids=["turned", "as it is"])
@pytest.mark.parametrize("kind", KINDS)
def test_products_that_are_not_needed_are_left_out(kind, rows, start, monkeypatch, counted):
    """That of a first state of zeros; the one back to a first state whose gradient nobody wants."""
    monkeypatch.setattr(compiled, "FEW", 0)
    monkeypatch.setattr(kernel_loops, "ROWS", rows)
    T, products, multiplying, turned = 4, [], kernel_loops.multiplying, rows == 0

    def noted(W, B):
        way, multiply = ("back" if products else "ahead"), multiplying(W, B)
        assert W.is_contiguous() == (way == "ahead" or turned)

        def note(h, out):
            products.append(way)
            multiply(h, out)

        return note

    monkeypatch.setattr(kernel_loops, "multiplying", noted)
    layer = randomise("torch", network("torch", kind, "one", 3, 5))
    xs = torch.tensor(np.random.default_rng(0).normal(size=(2, T, 3)))
    state, given = None, []
    if start:
        random = random_state(layer, 2, np.random.default_rng(1))
        given = [torch.tensor(part) for part in flat(random)]
        if start == "zeros":
            given = [torch.zeros_like(part) for part in given]
        given = [part.requires_grad_() for part in given]
        state = rebuild(random, given)
    wanted = [*layer.parameters(), *given]

    def found(layer):
        ys, final = layer(xs, state)
        total = (ys * ys).sum() + sum(part.sin().sum() for part in tensors(final))
        return [ys, *tensors(final), *torch.autograd.grad(total, wanted)]

    by_hand = found(layer)
    assert products.count("ahead") == (T if start == "numbers" else T - 1)
    assert products.count("back") == (T if start else T - 1)
    close(by_hand, found(type(layer)(layer.cell, by_hand=False)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("framework", ["numpy", "torch"])
@pytest.mark.parametrize(("B", "T"), [(0, 3), (2, 1), (1, 1)])
def test_empty_batches_and_single_steps(B, T, framework, kind, counted):
    found = case(framework, kind, "float64", None, B, T, 2, 3)
    assert counted
    for name, array in case("torch by autograd", kind, "float64", None, B, T, 2, 3).items():
        close(found[name], array)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_the_layout_in_memory_does_not_matter(framework, kind, counted):
    layer = randomise(framework, network(framework, kind, "one", 3, 4))
    xs = np.random.default_rng(0).normal(size=(5, 3, 2)).transpose(2, 0, 1)  # (B, T, I)
    start = random_state(layer, 4, np.random.default_rng(1))
    start = rebuild(start, [part.T[:, ::2].T for part in flat(start)])  # every other row
    if framework == "torch":
        xs = torch.tensor(xs.transpose(1, 2, 0)).permute(2, 0, 1)
        assert not xs.is_contiguous()
        start = rebuild(start, [torch.tensor(part) for part in flat(start)])
        layer.cell.W_h.data = layer.cell.W_h.data.T.contiguous().T
        layer.cell.b.data = layer.cell.b.data.repeat_interleave(2)[::2]
    else:
        layer.cell.W_h = np.asfortranarray(layer.cell.W_h)
        layer.cell.b = np.repeat(layer.cell.b, 2)[::2]
    ys, final = layer(xs, start)
    assert counted
    slow = type(layer)(layer.cell, by_hand=False)
    wanted, last = slow(xs, start)
    close(ys, wanted)
    for one, other in zip(flat(final), flat(last), strict=True):
        close(one, other)
    if framework == "torch":  # one number's gradient, for all outputs: stride 0
        weights = list(layer.parameters())
        for one, other in zip(
            torch.autograd.grad(ys.sum(), weights),
            torch.autograd.grad(wanted.sum(), weights),
            strict=True,
        ):
            close(one, other)


def tanh_of(x):
    """The kernels' tanh, through the loop of a layer of one step."""
    x = np.ascontiguousarray(x)
    hs, nothing = np.zeros((2, 1, len(x)), x.dtype), np.zeros((0, 0), x.dtype)
    zeros, a = np.zeros((1, len(x)), x.dtype), x.reshape(1, 1, -1).copy()
    kernels.rnn(a, zeros, zeros[0], hs, compiled.validity(None), nothing, 0, 1)
    return hs[1, 0]


def test_tanh_is_right_to_six_units_in_the_last_place():
    x = np.concatenate([np.linspace(0, 12, 400_001), np.geomspace(1e-37, 1e38, 100_001)])
    x = np.concatenate([-x, x]).astype("float32")
    right, found = np.tanh(x.astype("float64")), tanh_of(x)
    units = np.abs(found - right) / np.spacing(np.abs(right).astype("float32"))
    assert 0 < units.max() <= 6
    assert np.abs(found).max() == 1
    assert (found == -tanh_of(-x)).all()
    assert np.array_equal(
        tanh_of(np.float32([0, -0.0, 20, -20, np.inf, -np.inf, np.nan])),
        np.float32([0, 0, 1, -1, 1, -1, np.nan]),
        equal_nan=True,
    )


def test_in_float64_tanh_is_the_librarys():
    x = np.linspace(-20, 20, 100_001)
    close(tanh_of(x), np.tanh(x), 1e-15)


def pure(monkeypatch):
    """Put in place of the machine code the Python that it was made of."""
    for name in HELPERS + NAMES:
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_machine_does_what_the_python_says(kind, dtype, monkeypatch):
    """Which shows, too, that the Python has no line that the tests do not reach."""
    case_of = functools.partial(case, "torch", kind, dtype, [4, 0, 2], 3, 4, 2, 11)
    found = case_of()
    pure(monkeypatch)
    for name, array in case_of().items():
        close(found[name], array, *((1e-13,) if dtype == "float64" else (1e-5, 1e-5)))


WITHOUT = """
import sys
sys.modules["numba"] = None
from rnnlab import compiled
assert compiled.kernels() is None
import numpy as np
from rnnlab.{0} import LSTM
ys, _ = LSTM(2, 3)(np.ones((1, 2, 2), "float32"))
print(tuple(ys.shape))
"""


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_numba_is_not_needed(framework):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT.format(framework)],
        capture_output=True,
        text=True,
    )
    assert (result.stdout, result.stderr) == ("(1, 2, 3)\n", "")


def test_where_numba_may_not_compile_the_loops_are_not_used(monkeypatch):
    assert compiled.kernels() is kernels
    monkeypatch.setattr("numba.config.DISABLE_JIT", 1)
    compiled.kernels.cache_clear()
    assert compiled.kernels() is None
    monkeypatch.undo()
    compiled.kernels.cache_clear()
    assert compiled.kernels() is kernels


@pytest.mark.parametrize("error", [RuntimeError, PermissionError])
def test_without_a_folder_to_keep_the_machine_code_it_is_made_again(error, monkeypatch):
    njit, asked = kernels.njit, []

    def nowhere(cache=False, **options):
        asked.append(cache)
        if cache:
            raise error("no locator available")
        return njit(**options)

    monkeypatch.setattr(kernels, "njit", nowhere)
    twice = kernels.compiled(lambda x: 2 * x)
    assert twice(3) == 6
    assert asked == [True, False]


def test_other_devices_and_compilers_get_the_eager_loops(monkeypatch):
    fused = lab("torch").layers.fused
    loops = importlib.import_module("rnnlab.torch.kernel_loops")
    xs = torch.zeros(3, 2, 4)
    assert fused.loops_for(xs) is loops
    assert fused.loops_for(torch.zeros(3, 2, 4, device="meta")) is fused
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert fused.loops_for(xs) is fused


def test_a_layer_of_numpy_leaves_its_input_and_state_alone():
    layer = network("numpy", "LSTMCell", "one", 3, 4)
    xs, start = np.ones((2, 3, 3)), random_state(layer, 2, np.random.default_rng(0))
    before = [part.copy() for part in flat(start)]
    _, one = layer(xs, start)
    _, other = layer(xs, start)
    for kept, part in zip(before, flat(start), strict=True):
        assert (kept == part).all()
    for a, b in zip(flat(one), flat(other), strict=True):
        assert (as_numpy(a) == as_numpy(b)).all()
    assert (xs == 1).all()
