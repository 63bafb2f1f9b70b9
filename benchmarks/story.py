"""An LSTM layer, forward and back, from the naive loop to the fused one: ``make bench``.

    python benchmarks/story.py              # measure and print the table
    python benchmarks/story.py --store      # and keep the run
    python benchmarks/story.py --against    # and fail where a step gained less than in the kept one

One change at a time, in the order of the book's page on speed; every way computes the same numbers.
Beside them stand the layer's matrix products alone, done as fast as the framework can, and what
they would take at the speed of a large product, the machine's peak. How it is timed: timing.py.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from timing import RECORDED, against, in_rounds, keep, peak, quartiles, workers

RECORD = RECORDED / "story.json"
SHAPES = [(170, 10, 25, 25), (32, 35, 128, 256), (1, 1000, 64, 128)]  # B T I H
LONG = 100  # steps; a graph of more copies of a step takes minutes to trace
PRODUCTS = "its products alone"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--frameworks", nargs="+", default=["numpy", "torch", "tensorflow"])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each shape and framework")
    parser.add_argument("--against", nargs="?", const=RECORD, type=Path, help="a stored run")
    parser.add_argument("--store", nargs="?", const=RECORD, type=Path, help="where to keep the run")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def numbers(shape):
    """xs (B, T, I), dL/dys (B, T, H), and the weights W_x, W_h, b of the layer."""
    from rnnlab import init

    B, T, I, H = shape
    rng = np.random.default_rng(0)
    xs, dys = (rng.normal(size=(B, T, size)).astype("float32") for size in (I, H))
    weights = init.lstm_cell(I, H, seed=0, dtype="float32")
    return xs, dys, [weights[name] for name in ("W_x", "W_h", "b")]


def multiplications(shape):
    """How many numbers an LSTM layer multiplies in its matrix products, forward and back.

    Forward each weight meets each row of each step once; back it does so twice, for the gradient of
    what came in and for its own.
    """
    B, T, I, H = shape
    return 3 * B * T * (I + H) * 4 * H


# --- in the processes of their own: a name -> a function that runs once and waits for its result


def numpy_contestants(shape):
    """The loops are written out: NumPy finds no gradients."""
    from rnnlab.numpy import RNN, LSTMCell, LSTMState
    from rnnlab.numpy.cells import sigmoid

    (B, T, I, H), (xs, dys, (W_x, W_h, b)) = shape, numbers(shape)
    W_x4, W_h4, b4 = (np.split(w, 4, axis=-1) for w in (W_x, W_h, b))
    W_x4, W_h4 = ([np.ascontiguousarray(w) for w in four] for four in (W_x4, W_h4))

    def forth(sums):
        """All steps; sums(t, h) gives the sums of the four gates."""
        h, c = (np.zeros((B, H), "float32") for _ in range(2))
        kept, ys = [], np.empty((B, T, H), "float32")
        for t in range(T):
            i, f, g, o = sums(t, h)
            i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
            before, c = (h, c), f * c + i * g
            tanh_c = np.tanh(c)
            h = ys[:, t] = o * tanh_c
            kept.append((*before, i, f, g, o, tanh_c))
        return ys, kept

    def back(kept, share):
        """All steps from the last; share(t, h, das) takes the four das, gives dL/dh of before."""
        dh, dc = (np.zeros((B, H), "float32") for _ in range(2))
        for t in reversed(range(T)):
            h, c, i, f, g, o, tanh_c = kept[t]
            dh = dh + dys[:, t]
            dc = dc + dh * o * (1 - tanh_c**2)
            das = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2)
            dh = share(t, h, (*das, dh * tanh_c * o * (1 - o)))
            dc = dc * f

    def gate_by_gate():
        dxs, dW_x, dW_h, db = (np.zeros_like(a) for a in (xs, W_x, W_h, b))
        parts = [np.split(d, 4, axis=-1) for d in (dW_x, dW_h, db)]

        def sums(t, h):
            return [xs[:, t] @ W_x4[k] + h @ W_h4[k] + b4[k] for k in range(4)]

        def share(t, h, das):
            for k, da in enumerate(das):
                parts[0][k] += xs[:, t].T @ da
                parts[1][k] += h.T @ da
                parts[2][k] += da.sum(axis=0)
                dxs[:, t] += da @ W_x4[k].T
            return sum(da @ W.T for da, W in zip(das, W_h4, strict=True))

        ys, kept = forth(sums)
        back(kept, share)
        return ys, dxs, dW_x, dW_h, db

    def one_product():
        dxs, dW_x, dW_h, db = (np.zeros_like(a) for a in (xs, W_x, W_h, b))

        def sums(t, h):
            return np.split(xs[:, t] @ W_x + h @ W_h + b, 4, axis=-1)

        def share(t, h, das):
            nonlocal dW_x, dW_h, db
            da = np.concatenate(das, axis=1)
            dW_x += xs[:, t].T @ da
            dW_h += h.T @ da
            db += da.sum(axis=0)
            dxs[:, t] = da @ W_x.T
            return da @ W_h.T

        ys, kept = forth(sums)
        back(kept, share)
        return ys, dxs, dW_x, dW_h, db

    def input_first():
        dW_h, da_all = np.zeros_like(W_h), np.empty((B, T, 4 * H), "float32")
        a = xs @ W_x + b

        def sums(t, h):
            return np.split(a[:, t] + h @ W_h, 4, axis=-1)

        def share(t, h, das):
            nonlocal dW_h
            da = da_all[:, t] = np.concatenate(das, axis=1)
            dW_h += h.T @ da
            return da @ W_h.T

        ys, kept = forth(sums)
        back(kept, share)
        flat = da_all.reshape(B * T, 4 * H)
        dW_x = xs.reshape(B * T, I).T @ flat
        return ys, da_all @ W_x.T, dW_x, dW_h, flat.sum(axis=0)

    def after_the_loop():
        a = xs @ W_x + b
        ys, kept = forth(lambda t, h: np.split(a[:, t] + h @ W_h, 4, axis=-1))
        h, c, i, f, g, o, tanh_c = (np.stack(part) for part in zip(*kept, strict=True))  # (T, B, H)
        # What each da is per unit of dc, or of dh: of all steps at once.
        local = np.concatenate([g * i * (1 - i), c * f * (1 - f), i * (1 - g**2)], axis=2)
        local_o, c_by_h = tanh_c * o * (1 - o), o * (1 - tanh_c**2)
        da = np.empty((T, B, 4 * H), "float32")
        dh, dc = (np.zeros((B, H), "float32") for _ in range(2))
        for t in reversed(range(T)):
            dh = dh + dys[:, t]
            dc = dc + dh * c_by_h[t]
            da[t, :, : 3 * H] = np.tile(dc, 3) * local[t]
            da[t, :, 3 * H :] = dh * local_o[t]
            dh, dc = da[t] @ W_h.T, dc * f[t]
        flat = da.reshape(T * B, 4 * H)
        dW_x = xs.swapaxes(0, 1).reshape(T * B, I).T @ flat
        dW_h = h.reshape(T * B, H).T @ flat
        dxs = (flat @ W_x.T).reshape(T, B, I).swapaxes(0, 1)
        return ys, dxs, dW_x, dW_h, flat.sum(axis=0)

    layer = RNN(LSTMCell(I, H, seed=0))
    start = LSTMState(*(np.zeros((B, H), "float32") for _ in range(2)))

    def package():
        ys, _, tape = layer.record(xs, start)
        dxs, _, grads = layer.backward(tape, dys)
        return ys, dxs, *(grads[f"cell.{name}"] for name in ("W_x", "W_h", "b"))

    return {
        "gate by gate": gate_by_gate,
        "one product for the gates": one_product,
        "the input first": input_first,
        "the gradients of the weights last": after_the_loop,
        "rnnlab.numpy, written to be read": package,
    }, products(shape, np.matmul)


def uncompiled(way):
    """The way without :mod:`rnnlab.kernels`, as where numba is not installed."""
    from rnnlab import compiled

    def once():
        kernels, compiled.kernels = compiled.kernels, lambda: None
        try:
            return way()
        finally:
            compiled.kernels = kernels

    return once


def torch_contestants(shape, device="cpu"):
    import torch

    from rnnlab.torch import RNN, LSTMCell, LSTMState, to_native

    def tensor(array):
        return torch.tensor(array, device=device)

    (B, _, I, H), (xs, dys, (W_x, W_h, b)) = shape, numbers(shape)
    xs, dys = tensor(xs).requires_grad_(), tensor(dys)
    cell = LSTMCell(I, H, seed=0).to(device)
    by_gate = [
        [part.clone().requires_grad_() for part in tensor(w).split(H, dim=-1)]
        for w in (W_x, W_h, b)
    ]

    def start():
        return LSTMState(*torch.zeros(2, B, H, device=device))

    def gate_by_gate(xs):
        (h, c), ys = start(), []
        for x in xs.unbind(dim=1):
            i, f, g, o = (x @ W_x + h @ W_h + b for W_x, W_h, b in zip(*by_gate, strict=True))
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            ys.append(h)
        return torch.stack(ys, dim=1)

    def one_product(xs):
        state, ys = start(), []
        for x in xs.unbind(dim=1):
            h, state = cell.step(cell.project(x), state)
            ys.append(h)
        return torch.stack(ys, dim=1)

    loop, whole = RNN(cell, by_hand=False), RNN(cell)
    native = to_native(whole)

    def both_ways(call, weights):
        """weights: W_x, W_h, b, or the parts of each, or torch.nn's, which stand on their side."""

        def once():
            ys = call(xs)
            dxs, *grads = torch.autograd.grad(ys, [xs, *weights], dys)
            if len(grads) == 12:
                grads = [torch.cat(grads[k : k + 4], dim=-1) for k in (0, 4, 8)]
            if call is native_ys:
                grads = [grads[0].T, grads[1].T, grads[2]]
            return [ys, dxs, *grads]

        return once

    def native_ys(xs):
        return native(xs)[0]

    own = [cell.W_x, cell.W_h, cell.b]
    theirs = [native.weight_ih_l0, native.weight_hh_l0, native.bias_ih_l0]
    onednn = getattr(torch.ops.mkldnn, "_linear_pointwise", None)

    def by_onednn(x, W, out):
        return onednn(x, W.T, None, "none", [], "")

    alone = products(shape, torch.mm, tensor)
    by_hand = both_ways(lambda xs: whole(xs)[0], own)
    if device != "cpu":  # a GPU gets the same loop, without a check that would wait for it
        ours = {"rnnlab: back by hand": both_ways(lambda xs: whole.run(xs, start())[0], own)}
    else:
        ours = {"rnnlab: back by hand": uncompiled(by_hand), "rnnlab: compiled by numba": by_hand}
        if onednn is not None and torch.backends.mkldnn.is_available():
            alone |= {f"{n}, oneDNN": f for n, f in products(shape, by_onednn, tensor).items()}
    return {
        "gate by gate": both_ways(gate_by_gate, [w for four in by_gate for w in four]),
        "one product for the gates": both_ways(one_product, own),
        "the input first": both_ways(lambda xs: loop(xs)[0], own),
        **ours,
        "torch.nn.LSTM": both_ways(native_ys, theirs),
    }, alone


def tensorflow_contestants(shape):
    import tensorflow as tf

    from rnnlab.tensorflow import RNN, LSTMCell, LSTMState, to_native

    (B, T, I, H), (xs, dys, (W_x, W_h, b)) = shape, numbers(shape)
    xs, dys = tf.constant(xs), tf.constant(dys)
    cell = LSTMCell(I, H, seed=0)
    by_gate = [[tf.Variable(part) for part in np.split(w, 4, axis=-1)] for w in (W_x, W_h, b)]

    def start():
        return LSTMState(tf.zeros((B, H)), tf.zeros((B, H)))

    def gate_by_gate(xs):
        (h, c), ys = start(), []
        for x in tf.unstack(xs, axis=1):
            i, f, g, o = (x @ W_x + h @ W_h + b for W_x, W_h, b in zip(*by_gate, strict=True))
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            ys.append(h)
        return tf.stack(ys, axis=1)

    def one_product(xs):
        state, ys = start(), []
        for x in tf.unstack(xs, axis=1):
            h, state = cell.step(cell.project(x), state)
            ys.append(h)
        return tf.stack(ys, axis=1)

    loop, whole = RNN(cell, by_hand=False), RNN(cell)
    native = to_native(whole)

    def both_ways(call, weights):
        def run(xs):
            with tf.GradientTape() as tape:
                tape.watch(xs)
                ys = call(xs)
            return ys, tape.gradient(ys, [xs, *weights], output_gradients=dys)

        return run

    def once(run):
        def once():
            ys, (dxs, *grads) = run(xs)
            if len(grads) == 12:
                grads = [tf.concat(grads[k : k + 4], axis=-1) for k in (0, 4, 8)]
            return [part.numpy() for part in (ys, dxs, *grads)]

        return once

    def graph(run, xla=False):
        return once(tf.function(run, jit_compile=xla, autograph=False))

    own = [cell.W_x, cell.W_h, cell.b]
    naive, by_hand = both_ways(one_product, own), both_ways(lambda xs: whole(xs)[0], own)
    keras = both_ways(lambda xs: native(xs)[0], native.trainable_variables)
    contestants = {
        "gate by gate": once(both_ways(gate_by_gate, [w for four in by_gate for w in four])),
        "one product for the gates": once(naive),
        "all steps in one graph": graph(naive),
        "the input first, a loop in the graph": graph(both_ways(lambda xs: loop(xs)[0], own)),
        "rnnlab: back by hand": graph(by_hand),
        "rnnlab: compiled by XLA": graph(by_hand, xla=True),
        "keras.layers.LSTM": graph(keras),
        "keras.layers.LSTM, XLA": graph(keras, xla=True),
    }
    if T > LONG:
        del contestants["all steps in one graph"]

    if T > LONG:
        return contestants, {}

    # The products stand in one graph, so that it is not the calls that are timed; and are summed,
    # else the graph would leave them out.
    def alone(xla):
        def summed(results):
            return tf.add_n([tf.reduce_sum(r) for r in results])

        (all_of_them,) = products(shape, lambda x, W, out: x @ W, tf.constant, summed).values()
        graph = tf.function(all_of_them, jit_compile=xla, autograph=False)
        return lambda: graph().numpy() and None

    return contestants, {PRODUCTS: alone(False), f"{PRODUCTS}, XLA": alone(True)}


def products(shape, multiply, array=np.asarray, finish=None):
    """The products of the layer and nothing else; each takes its numbers as they are given."""
    B, T, I, H = shape
    rng = np.random.default_rng(0)

    def some(*size):
        return array(rng.normal(size=size).astype("float32"))

    def room(*size):
        return array(np.empty(size, "float32"))

    x, x_T, W_x, W_x_T = some(B * T, I), some(I, B * T), some(I, 4 * H), some(4 * H, I)
    # Another h and another da at each step: a graph would take equal products once.
    hs, das = ([some(B, size) for _ in range(T)] for size in (H, 4 * H))
    h_T, W_h, W_h_T, da = some(H, B * T), some(H, 4 * H), some(4 * H, H), some(B * T, 4 * H)
    a, u, dh = room(B * T, 4 * H), room(B, 4 * H), room(B, H)
    dxs, dW_x, dW_h = room(B * T, I), room(I, 4 * H), room(H, 4 * H)

    def alone():
        done = [multiply(x, W_x, out=a)]
        done += [multiply(h, W_h, out=u) for h in hs]
        done += [multiply(da_t, W_h_T, out=dh) for da_t in das]
        done += [multiply(da, W_x_T, out=dxs), multiply(x_T, da, out=dW_x)]
        done += [multiply(h_T, da, out=dW_h)]
        return None if finish is None else finish(done)

    return {PRODUCTS: alone}


def peak_of(framework, side=2048):
    """Multiplications a second in the quickest of many large products."""
    numbers = np.random.default_rng(0).normal(size=(side, side)).astype("float32")
    if framework == "torch":
        import torch

        return peak(torch.tensor(numbers))
    if framework == "tensorflow":
        import tensorflow as tf

        return peak(tf.constant(numbers), wait=lambda product: product.numpy())
    return peak(numbers)


CONTESTANTS = {
    "numpy": numpy_contestants,
    "torch": torch_contestants,
    "tensorflow": tensorflow_contestants,
}


def work(options):
    """Time one framework: one line of JSON for each shape."""
    (threads,) = options.threads
    if options.worker == "torch":
        import torch

        torch.set_num_threads(threads)
    rate = 0.0
    for shape in SHAPES:
        rate = max(rate, peak_of(options.worker))
        contestants, alone = CONTESTANTS[options.worker](shape)
        first, times = in_rounds(contestants | alone, options.seconds)
        found = {"framework": options.worker, "threads": threads, "shape": shape}
        measured = {"first": first, "times": times, "peak": rate, "alone": [*alone]}
        print(json.dumps(found | measured), flush=True)


# --- what is made of the times


def summary(run):
    """Quartiles in milliseconds; the ratio of each way to the first; and the two bounds.

    "products": the quickest way of taking the layer's products alone. "peak": what they would take
    at the speed of a large product.
    """
    ways = [name for name in run["times"] if name not in run["alone"]]
    times = {name: quartiles(run["times"][name]) for name in run["times"]}
    by_round = {name: quartiles(run["times"][name], run["times"][ways[0]]) for name in ways}
    at_peak = multiplications(run["shape"]) / run["peak"]
    return {
        "framework": run["framework"],
        "threads": run["threads"],
        "shape": run["shape"],
        "milliseconds": {name: [round(q * 1e3, 3) for q in times[name]] for name in ways},
        "first": {name: round(run["first"][name], 2) for name in ways},
        "ratio": {name: round(q[1], 4) for name, q in by_round.items()},
        "noise": {name: round(q[2] - q[0], 4) for name, q in by_round.items()},
        "products": min((round(times[n][1] * 1e3, 3) for n in run["alone"]), default=None),
        "at_peak": round(at_peak * 1e3, 3),
        "peak": round(2 * run["peak"] / 1e9, 1),  # GFLOP/s: a product and a sum each
        "rounds": len(run["times"][ways[0]]),
    }


def limits(runs):
    """For each number of threads and shape the best that any framework found.

    "products": milliseconds of the layer's products alone. "peak": GFLOP/s of a large product;
    "at_peak": milliseconds of the layer's products at that speed.
    """
    cases = dict.fromkeys((run["threads"], tuple(run["shape"])) for run in runs)
    for threads, shape in cases:
        own = [r for r in runs if r["threads"] == threads]
        best = max(r["peak"] for r in own)
        found = [r["products"] for r in own if tuple(r["shape"]) == shape]
        yield {
            "threads": threads,
            "shape": [*shape],
            "products": min((p for p in found if p is not None), default=None),
            "peak": best,
            "at_peak": round(2 * multiplications(shape) / best / 1e6, 4),
        }


def key(run):
    return run["framework"], run["threads"], *run["shape"]


def show(run):
    shape = "x".join(map(str, run["shape"]))
    print(f"\n{run['framework']}, {run['threads']} thread(s), {shape}, {run['rounds']} rounds")
    slowest = max(median for _, median, _ in run["milliseconds"].values())
    before = None
    for name, (low, median, high) in run["milliseconds"].items():
        gain = "" if before is None else f"{before / median:6.2f} times as fast"
        bar = "#" * round(24 * median / slowest)
        print(f"{name:37} {median:9.2f} ms ({low:.2f} to {high:.2f}) {gain:22} {bar}")
        before = median
    if run["products"] is not None:
        print(f"{PRODUCTS:37} {run['products']:9.2f} ms")
    print(f"{'the same at the peak':37} {run['at_peak']:9.2f} ms, {run['peak']:.0f} GFLOP/s")


def main(options):
    runs = []
    for run in workers(
        __file__, options.frameworks, options.threads, ["--seconds", options.seconds]
    ):
        runs.append(summary(run))
        show(runs[-1])
    if options.store:
        keep(options.store, runs, {"limits": [*limits(runs)]})
    if options.against:
        against(options.against, runs, key)


if __name__ == "__main__":
    options = arguments()
    work(options) if options.worker else main(options)
