"""How long the layers take, forward and back, against the frameworks' own: ``make bench``.

    python benchmarks/layers.py              # measure and print the table
    python benchmarks/layers.py --store      # and keep the run
    python benchmarks/layers.py --store rnnlab/recorded/layers_epyc.json   # another processor's
    python benchmarks/layers.py --against    # and fail where a ratio got worse than in the kept one

How it is timed: timing.py.
"""

import argparse
import importlib
import json
from pathlib import Path

import numpy as np
from timing import RECORDED, against, in_rounds, keep, quartiles, together, workers

RECORD = RECORDED / "layers.json"
SHAPES = [(170, 10, 25, 25), (32, 35, 128, 256), (64, 100, 64, 128), (1, 1000, 64, 128)]  # B T I H
KINDS = ["LSTM", "GRU", "SimpleRNN"]
# The ratio to be reached at the three batched shapes, on average, and at the long one.
GOALS = {
    ("torch", "LSTM"): (1.15, 1.5),
    ("torch", "GRU"): (0.65, 0.3),
    ("torch", "SimpleRNN"): (0.55, 0.3),
    ("tensorflow", "LSTM"): (0.9, 0.15),
    ("tensorflow", "GRU"): (0.85, 0.15),
    ("tensorflow", "SimpleRNN"): (0.75, 0.1),
    ("numpy", "LSTM"): (1.4, 2.2),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--frameworks", nargs="+", default=["torch", "tensorflow", "numpy"])
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="for each cell, shape, framework"
    )
    parser.add_argument("--against", nargs="?", const=RECORD, type=Path, help="a stored run")
    parser.add_argument("--store", nargs="?", const=RECORD, type=Path, help="where to keep the run")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


# --- in the processes of their own: a name -> a function that runs once and waits for its result


def torch_contestants(kind, shape, threads, device="cpu"):
    import torch

    from rnnlab.torch import to_native

    torch.set_num_threads(threads)
    B, T, I, H = shape
    ours = getattr(importlib.import_module("rnnlab.torch"), kind)(I, H).to(device)
    rng = np.random.default_rng(0)
    xs, weight = (
        torch.tensor(rng.normal(size=(B, T, size)).astype("float32"), device=device)
        for size in (I, H)
    )
    xs.requires_grad_()

    def both_ways(layer):
        def once():
            for leaf in (xs, *layer.parameters()):
                leaf.grad = None
            ys, _ = layer(xs)
            ys.backward(weight)
            return [ys, xs.grad]

        return once

    slow = type(ours)(ours.cell, by_hand=False)
    native = to_native(ours)
    return {"rnnlab": both_ways(ours), "autograd": both_ways(slow), "torch.nn": both_ways(native)}


def tensorflow_contestants(kind, shape, threads):
    import tensorflow as tf

    from rnnlab.tensorflow import to_native

    B, T, I, H = shape
    ours = getattr(importlib.import_module("rnnlab.tensorflow"), kind)(I, H)
    rng = np.random.default_rng(0)
    xs = tf.constant(rng.normal(size=(B, T, I)).astype("float32"))
    weight = tf.constant(rng.normal(size=(B, T, H)).astype("float32"))

    def both_ways(call, weights, xla):
        @tf.function(jit_compile=xla)
        def graph(xs):
            with tf.GradientTape() as tape:
                tape.watch(xs)
                ys = call(xs)
            return ys, tape.gradient(ys, [xs, *weights], output_gradients=weight)

        def once():
            ys, (dxs, *_) = graph(xs)
            return [ys.numpy(), dxs.numpy()]

        return once

    native = to_native(ours)
    named = list(ours.named_weights().values())
    return {
        "rnnlab": both_ways(lambda xs: ours(xs)[0], named, False),
        "rnnlab, XLA": both_ways(lambda xs: ours(xs)[0], named, True),
        "Keras": both_ways(lambda xs: native(xs)[0], native.trainable_variables, False),
        "Keras, XLA": both_ways(lambda xs: native(xs)[0], native.trainable_variables, True),
    }


def numpy_contestants(kind, shape, threads):
    """Forward only; the weights are torch's, so that both compute the same."""
    import torch

    from rnnlab import numpy as ours
    from rnnlab import torch as theirs

    torch.set_num_threads(threads)
    B, T, I, H = shape
    native = theirs.to_native(getattr(theirs, kind)(I, H))
    layer = getattr(ours, kind)(I, H)
    xs = np.random.default_rng(0).normal(size=(B, T, I)).astype("float32")
    tensor = torch.tensor(xs)

    def by_torch():
        with torch.no_grad():
            return [native(tensor)[0].numpy()]

    return {"rnnlab": lambda: [layer(xs)[0]], "torch.nn": by_torch}


CONTESTANTS = {
    "torch": torch_contestants,
    "tensorflow": tensorflow_contestants,
    "numpy": numpy_contestants,
}


def work(options):
    """Time one framework: one line of JSON for each cell and shape."""
    (threads,) = options.threads
    for kind in options.kinds:
        for shape in SHAPES:
            contestants = CONTESTANTS[options.worker](kind, shape, threads)
            first, times = in_rounds(contestants, options.seconds)
            found = {"framework": options.worker, "threads": threads, "kind": kind, "shape": shape}
            print(json.dumps(found | {"first": first, "times": times}), flush=True)


# --- what is made of the times


def summary(run):
    """Median milliseconds, and for each of our ways its ratio to the frameworks' best."""
    times = run["times"]
    ours = [name for name in times if name.startswith("rnnlab") or name == "autograd"]
    theirs = [name for name in times if name not in ours]
    best = min(theirs, key=lambda name: np.median(times[name]))
    by_round = {name: quartiles(times[name], times[best]) for name in ours}
    return {
        "framework": run["framework"],
        "threads": run["threads"],
        "kind": run["kind"],
        "shape": run["shape"],
        "milliseconds": {name: round(float(np.median(t)) * 1e3, 3) for name, t in times.items()},
        "first": {name: round(seconds, 2) for name, seconds in run["first"].items()},
        "against": best,
        "ratio": {name: round(q[1], 3) for name, q in by_round.items()},
        "noise": {name: round(q[2] - q[0], 3) for name, q in by_round.items()},
        "rounds": len(times[best]),
    }


def measure(options):
    """All runs, each framework and number of threads in a process of its own."""
    found = []
    for framework in options.frameworks:
        kinds = ["LSTM"] if framework == "numpy" else options.kinds
        asked = ["--seconds", options.seconds, "--kinds", *kinds]
        for run in workers(__file__, [framework], options.threads, asked):
            found.append(summary(run))
            show(found[-1])
    return found


def show(run):
    shape = "x".join(map(str, run["shape"]))
    ratios = ", ".join(f"{name} {ratio:.2f}" for name, ratio in run["ratio"].items())
    print(
        f"{run['framework']:10} {run['threads']} thread(s)  {run['kind']:9} {shape:14} "
        f"{run['against']} {run['milliseconds'][run['against']]:.2f} ms; {ratios}",
        flush=True,
    )


def table(runs):
    """One row for each cell: the batched shapes' geometric mean, their worst, the long one."""
    print("\nforward + back (NumPy: forward), ratio to the framework's own; below 1 is faster")
    print("framework  threads cell       batched: mean (worst)  goal   T = 1000  goal")
    for framework, kind in GOALS:
        for threads in sorted({run["threads"] for run in runs}):
            own = [
                r
                for r in runs
                if (r["framework"], r["kind"], r["threads"]) == (framework, kind, threads)
            ]
            if len(own) < len(SHAPES):
                continue
            best = [min(v for n, v in r["ratio"].items() if n != "autograd") for r in own]
            mean = np.exp(np.mean(np.log(best[:3])))
            batched, long = GOALS[framework, kind]
            print(
                f"{framework:10} {threads:7} {kind:10} {mean:13.2f} ({max(best[:3]):.2f})"
                f"{batched:9} {best[3]:10.2f} {long:6}"
            )


def key(run):
    return run["framework"], run["threads"], run["kind"], *run["shape"]


def order(run):
    return (
        [framework for framework, _ in GOALS].index(run["framework"]),
        run["threads"],
        KINDS.index(run["kind"]),
        SHAPES.index(tuple(run["shape"])),
    )


def main(options):
    runs = measure(options)
    table(runs)
    if options.store:
        keep(options.store, together(options.store, runs, key, order))
    if options.against:
        against(options.against, runs, key)


if __name__ == "__main__":
    options = arguments()
    work(options) if options.worker else main(options)
