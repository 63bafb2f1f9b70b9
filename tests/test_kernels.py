"""The compiled loops (``kernels.py``): when they serve, their tanh, their products, their blocks.

Their numbers are compared wherever the tests go through ``WAYS``, too.
"""

import _ctypes
import contextlib
import functools
import subprocess
import sys
from ctypes import c_void_p, cast

import mutants
import numpy as np
import pytest
import tensorflow as tf
import torch
from numba import njit
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
from rnnlab.batching import Batch
from rnnlab.torch import kernel_loops

KINDS = ["RNNCell", "LSTMCell", "GRUCell"]  # the GRU that resets before has no compiled loop
NAMES = ["rnn", "rnn_back", "lstm", "lstm_back", "gru", "gru_back"]
HELPERS = ["tanh32", "by_gate", "flat", "line", "activate", "multiply", "times", "project"]
HELPERS += ["gather", "scatter", "weight_gradient", "project_back", "nothing", "passed_on"]
HELPERS += ["arrive", "clear", "pass_on", "add_rows", "keep"]
PRODUCTS = ["the library's", "Python's", "its own"]


def choose(monkeypatch, product):
    """Let the loops make their products in one of the three ways."""
    if product != "the library's":
        monkeypatch.setattr(compiled, "gemm_in", lambda library, dtype: 0)
    monkeypatch.setattr(compiled, "FEW", 0 if product == "Python's" else 10**9)


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


def case(way, kind, dtype, lengths, B=5, T=5, I=3, H=19):
    """Everything a layer gives and all its gradients. H: two times eight rows of W_h, and three; B:
    four rows, which are added up together, and one."""
    rng = np.random.default_rng(0)
    layer = randomise(way, network(way, kind, "one", I, H, dtype), scale=0.4)
    xs = rng.normal(size=(B, T, I)).astype(dtype)
    return results(way, layer, xs, random_state(layer, B, rng, dtype), lengths)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("lengths", [None, [5, 0, 2, 5, 1]], ids=["all valid", "ragged"])
@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_each_product_gives_what_autograd_gives(
    framework, kind, product, lengths, dtype, monkeypatch, counted
):
    choose(monkeypatch, product)
    found = case(framework, kind, dtype, lengths)
    name = kind.removesuffix("Cell").lower()
    ways = [name, f"{name}_back"] if framework == "torch" else [name]
    # results() runs the layer twice, and back once; but NumPy's way back is the cell's own.
    assert [counted.count(way) for way in ways] == ([2, 1] if framework == "torch" else [1])
    right = case("torch by autograd", kind, dtype, lengths)
    assert found.keys() == right.keys()
    for name, array in right.items():
        assert found[name].dtype == dtype
        close(found[name], array, *((1e-10,) if dtype == "float64" else (1e-5, 1e-5)))


@pytest.mark.parametrize("kind", KINDS)
def test_in_numpy_the_products_give_the_same(kind, monkeypatch):
    layer = randomise("numpy", network("numpy", kind, "one", 3, 5))
    xs = np.random.default_rng(0).normal(size=(2, 4, 3))
    found = []
    for product in PRODUCTS:
        with monkeypatch.context() as patch:
            choose(patch, product)
            ys, last = layer(xs)
        found.append([ys, *flat(last)])
    close(found[0], found[1], 1e-14)
    close(found[0], found[2], 1e-14)


@pytest.mark.parametrize("lengths", [None, [7, 0, 3, 7, 1]], ids=["all valid", "ragged"])
@pytest.mark.parametrize("steps", [1, 2, 3, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_how_many_steps_make_a_block_does_not_matter(kind, steps, lengths, monkeypatch):
    monkeypatch.setattr(compiled, "block_of", lambda B, width: steps)
    found = case("torch", kind, "float64", lengths, T=7)
    for name, array in case("torch by autograd", kind, "float64", lengths, T=7).items():
        close(found[name], array, 1e-10)


def test_a_block_has_enough_rows_and_enough_numbers():
    assert compiled.block_of(1, 16) >= compiled.CACHED // 16
    assert compiled.block_of(10**6, 10**6) == 1
    assert compiled.block_of(0, 0) >= compiled.LONG
    for B, width in (3, 10**6), (100, 10**5):
        steps = compiled.block_of(B, width)
        assert (steps - 1) * B < compiled.LONG <= steps * B


@pytest.mark.parametrize("start", [None, "zeros", "numbers"])
@pytest.mark.parametrize("rows", [0, 10**9], ids=["turned", "as it is"])
@pytest.mark.parametrize("kind", KINDS)
def test_products_that_are_not_needed_are_left_out(kind, rows, start, monkeypatch):
    """That of a first state of zeros; the one back to a first state whose gradient nobody wants;
    and the one back to the inputs, if nobody wants theirs."""
    choose(monkeypatch, "Python's")
    monkeypatch.setattr(compiled, "ROWS", rows)
    T, products, product = 4, [], kernel_loops.product

    def counting(x, W, out):
        products.append(W.is_contiguous())
        return product(x, W, out)

    monkeypatch.setattr(kernel_loops, "product", counting)
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
        ahead = len(products)
        total = (ys * ys).sum() + sum(part.sin().sum() for part in tensors(final))
        return ahead, [ys, *tensors(final), *torch.autograd.grad(total, wanted)]

    ahead, by_hand = found(layer)
    assert ahead == 1 + (T if start == "numbers" else T - 1)  # 1: all inputs at once
    back = T if start else T - 1
    assert len(products) - ahead == back + 2  # and the weights' gradients
    assert products[ahead : ahead + back] == [rows == 0] * back  # turned, or as it is
    close(by_hand, found(type(layer)(layer.cell, by_hand=False))[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("x_turned", [0, 1])
@pytest.mark.parametrize("W_turned", [0, 1])
@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("library", ["PyTorch", "NumPy", "Python"])
def test_the_product_by_address_is_the_product(library, kept, W_turned, x_turned, dtype):
    address = {
        "PyTorch": lambda: kernel_loops.gemm_for(torch.ones(1, 1, dtype=getattr(torch, dtype)), 1),
        "NumPy": lambda: compiled.numpys_gemm(dtype, (1, 1), 1),
        "Python": lambda: (cast(compiled.numpys_product(dtype), c_void_p).value, 0),
    }[library]()[0]
    assert address
    rng = np.random.default_rng(0)
    sizes = [(3, 4, 5), (1, 7, 2), (40, 30, 20), (0, 3, 2)]
    if x_turned and not W_turned:  # the gradient of the weights, from no rows at all
        sizes.append((4, 0, 3))
    for N, K, M in sizes:
        x, W, out = (rng.normal(size=shape).astype(dtype) for shape in ((N, K), (K, M), (N, M)))
        given = [np.ascontiguousarray(m.T) if turned else m
                 for m, turned in ((x, x_turned), (W, W_turned))]  # fmt: skip
        right = x @ W + kept * out
        by_address(address, x_turned, W_turned, *given, out.dtype.type(kept), out)
        close(out, right, 1e-12 if dtype == "float64" else 1e-4)


@njit  # made anew in each run, not kept, so that what makes the call is run as well
def by_address(address, x_turned, W_turned, x, W, kept, out):
    kernels.blas(address, x_turned, W_turned, x, W, kept, out)


def test_where_no_product_is_found_there_is_no_address(tmp_path):
    assert compiled.gemm_in(str(tmp_path / "none.so"), "float32") == 0
    assert compiled.gemm_in(_ctypes.__file__, "float32") == 0  # a library, but not of BLAS
    for library in torch._C.__file__, compiled.NUMPYS_CODE:
        found = [compiled.gemm_in(library, dtype) for dtype in ("float32", "float64")]
        assert found[0] != found[1] != 0


@pytest.mark.parametrize("why", ["sooner", "rounded"])
@pytest.mark.parametrize("kind", KINDS)
def test_where_onednn_is_sooner_or_products_are_rounded_pytorch_makes_them(kind, why, monkeypatch):
    asked = []

    def product(x, W, out):
        asked.append((x, W))
        return torch.mm(x, W, out=out)

    if why == "sooner":
        monkeypatch.setattr(kernel_loops, "by_onednn", lambda multiplications, like: True)
    else:
        monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    monkeypatch.setattr(kernel_loops, "product", product)
    monkeypatch.setattr(compiled, "FEW", 0)
    found = case("torch", kind, "float32", None)
    assert asked
    monkeypatch.undo()
    for name, array in case("torch by autograd", kind, "float32", None).items():
        close(found[name], array, 1e-5, 1e-5)


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


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("steps", [2, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_that_lie_together_are_taken_as_they_are(kind, steps, dtype, monkeypatch):
    """A layer above reads what a layer below gives, T first in memory, and answers alike."""
    monkeypatch.setattr(compiled, "block_of", lambda B, width: steps)
    layer = randomise("torch", network("torch", kind, "one", 3, 4, dtype))
    rng = np.random.default_rng(0)
    xs, weight = (
        torch.tensor(rng.normal(size=(2, 5, size)), dtype=getattr(torch, dtype)) for size in (3, 4)
    )
    layouts = {
        "rows": lambda x: x.clone(),
        "steps": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
        "neither": lambda x: x.transpose(0, 2).contiguous().transpose(0, 2),
    }
    found = {}
    for of_inputs, inputs in layouts.items():
        for of_outputs, outputs in layouts.items():
            given = inputs(xs).requires_grad_()
            ys, _ = layer(given)
            grads = torch.autograd.grad(ys, [given, *layer.parameters()], outputs(weight))
            found[of_inputs, of_outputs] = [ys, *grads]
            assert ys.transpose(0, 1).is_contiguous()
            assert grads[0].transpose(0, 1).is_contiguous() == (of_inputs == "steps")
    for arrays in found.values():
        for one, other in zip(found["rows", "rows"], arrays, strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_that_are_yet_to_be_negated_are(kind):
    """PyTorch marks the imaginary part of a conjugate, and negates it when it is read."""
    layer = network("torch", kind, "one", 3, 4)
    xs = torch.ones(2, 5, 3, dtype=torch.float64)
    ys, last = layer(xs)
    outputs = [ys, *tensors(last)]
    marked = [torch.complex(y, y).detach().conj().imag for y in outputs]
    assert all(one.is_neg() for one in marked)
    found, right = (
        torch.autograd.grad(outputs, list(layer.parameters()), weights, retain_graph=True)
        for weights in (marked, [-y.detach() for y in outputs])
    )
    for one, other in zip(found, right, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_that_were_overwritten_give_no_gradient(kind):
    """They are kept as they are, not copied, and PyTorch knows that what was kept has changed."""
    layer = network("torch", kind, "one", 3, 4)
    xs = torch.ones(2, 5, 3, dtype=torch.float64)
    ys, _ = layer(xs)
    xs.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        ys.sum().backward()


def test_only_what_lies_otherwise_is_copied():
    rows = np.zeros((2, 5, 3))
    steps = np.zeros((5, 2, 3)).swapaxes(0, 1)
    for array, by_row, shape in (
        (rows, 1, (2, 5, 3)),
        (steps, 0, (5, 2, 3)),
        (rows[:1], 0, (5, 1, 3)),
    ):
        found, how = compiled.laid_out(array)
        assert (how, found.shape) == (by_row, shape)
        assert np.shares_memory(found, array)
        assert compiled.by_rows(found, how).shape == array.shape
    found, how = compiled.laid_out(np.zeros((3, 5, 2)).T)
    assert (how, found.shape) == (1, (2, 5, 3))
    assert found.flags.c_contiguous


def tanh_of(x):
    """The kernels' tanh, through the loop of a layer of one step."""
    weights = np.zeros((1, len(x)), x.dtype), np.zeros((len(x), 0), x.dtype)
    one, start = np.zeros((1, 1, 1), x.dtype), np.zeros((1, len(x)), x.dtype)
    gemm = compiled.numpys_gemm(x.dtype.name, weights[0].shape, 1)
    (hs,) = compiled.rnn(one, start, *weights, x, compiled.validity(None), gemm)
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
    monkeypatch.setattr(kernels, "blas", mutants.blas)
    monkeypatch.setattr(kernels, "copy", mutants.copy)
    # What is compiled and not replaced would go unseen.
    functions = {name for name, one in vars(kernels).items() if hasattr(one, "py_func")}
    assert functions <= {"compiled"}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("product", ["the library's", "its own"])
@pytest.mark.parametrize(
    "lengths", [[4, 0, 2, 4, 1], [3], None], ids=["ragged", "one", "all valid"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_machine_does_what_the_python_says(kind, lengths, product, dtype, monkeypatch):
    """Which shows, too, that the Python has no line that the tests do not reach. The steps of one
    row lie together, so that none is gathered."""
    choose(monkeypatch, product)
    B = 5 if lengths is None else len(lengths)
    case_of = functools.partial(case, "torch", kind, dtype, lengths, B, 4, 2, 11)
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
    loops, cell = lab("torch").layers.fused, network("torch", "LSTMCell", "one", 4, 2).cell
    xs = torch.zeros(3, 2, 4)
    assert loops.compiled_loops(cell, xs) is kernel_loops
    assert loops.compiled_loops(cell, torch.zeros(3, 2, 4, device="meta")) is None
    before = network("torch", "GRUCell before", "one", 4, 2).cell
    assert loops.compiled_loops(before, xs) is None
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert loops.compiled_loops(cell, xs) is None


def trained(kind, steps=3, lengths=None):
    """TensorFlow's weights after a few steps of fit."""
    m = lab("tensorflow")
    model = m.Classifier(network("tensorflow", kind, "one", 3, 4), 2)
    xs = np.random.default_rng(0).normal(size=(5, 6, 3))
    batch = Batch(xs, np.array([0, 1, 0, 1, 1]), lengths)
    losses = m.fit(model, [batch], steps=steps, lr=0.1, progress=False)
    return [*losses, m.evaluate(model, [batch])], m.get_weights(model)


@pytest.mark.parametrize("lengths", [None, [6, 0, 2, 3, 6]], ids=["all valid", "ragged"])
@pytest.mark.parametrize("kind", KINDS)
def test_tensorflow_calls_them_in_training(kind, lengths, counted, monkeypatch):
    losses, weights = trained(kind, lengths=lengths)
    name = kind.removesuffix("Cell").lower()
    assert counted == [name, f"{name}_back"] * 3 + [name]
    monkeypatch.setattr(compiled, "kernels", lambda: None)
    counted.clear()
    right, same = trained(kind, lengths=lengths)
    assert counted == []
    close(losses, right)
    for name, weight in same.items():
        close(weights[name], weight, 1e-8)


def test_tensorflow_does_not_call_them_elsewhere(counted, monkeypatch):
    fused = lab("tensorflow").layers.fused
    layer = network("tensorflow", "LSTMCell", "one", 3, 4)
    layer(np.ones((2, 3, 3)))
    trained("GRUCell before")
    monkeypatch.setattr(lab("tensorflow").training, "LONG", 1)  # XLA compiles each step
    model = lab("tensorflow").Classifier(layer, 2)
    batch = Batch(np.ones((2, 3, 3)), np.array([0, 1]))
    lab("tensorflow").fit(model, [batch], steps=2, lr=0.1, progress=False)
    assert counted == []
    with fused.calls():
        assert fused.compiled_loops(layer.cell) is not None
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
        assert fused.compiled_loops(layer.cell) is None
    assert not fused.calling


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_in_a_graph_a_state_that_is_no_constant_has_its_gradient(kind, constant):
    fused, layer = lab("tensorflow").layers.fused, network("tensorflow", kind, "one", 3, 4)
    xs = np.random.default_rng(0).normal(size=(2, 5, 3))
    start = random_state(layer, 2, np.random.default_rng(1))

    def gradients(calls):
        @tf.function(autograph=False)
        def graph(*parts):
            with tf.GradientTape() as tape, calls():
                tape.watch(parts)
                given = [tf.stop_gradient(part) if constant else part for part in parts]
                ys, _ = layer.run(tf.constant(xs), rebuild(start, given))
                total = tf.reduce_sum(ys * ys)
            return tape.gradient(total, [*parts, layer.cell.W_x, layer.cell.W_h, layer.cell.b])

        return graph(*flat(start))

    found, right = gradients(fused.calls), gradients(contextlib.nullcontext)
    assert [grad is None for grad in found] == [grad is None for grad in right]
    assert (found[0] is None) == constant
    for one, other in zip(found, right, strict=True):
        if one is not None:
            close(one, other)


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
