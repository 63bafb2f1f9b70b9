"""How long the layers take, forward and back, against the frameworks' own: ``make bench``.

    python benchmarks/layers.py              # measure and print the table
    python benchmarks/layers.py --store      # and keep the run
    python benchmarks/layers.py --against    # and fail where a ratio got worse than in the kept one

Each framework runs in a process of its own, with its threads pinned. In each round all contestants
run once, one after the other, so that what disturbs the machine disturbs them alike; a ratio is the
median over the rounds of the two times in one round, its noise the distance of the quartiles. The
first call of each (warm-up, tracing, compiling) is timed apart.
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from shakespeare import RECORDED, processor

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


def torch_contestants(kind, shape, threads):
    import torch

    from rnnlab.torch import to_native

    torch.set_num_threads(threads)
    B, T, I, H = shape
    ours = getattr(importlib.import_module("rnnlab.torch"), kind)(I, H)
    rng = np.random.default_rng(0)
    xs = torch.tensor(rng.normal(size=(B, T, I)).astype("float32"), requires_grad=True)
    weight = torch.tensor(rng.normal(size=(B, T, H)).astype("float32"))

    def both_ways(layer):
        def once():
            for leaf in (xs, *layer.parameters()):
                leaf.grad = None
            ys, _ = layer(xs)
            ys.backward(weight)
            return [ys.detach().numpy(), xs.grad.numpy()]

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
    if options.worker == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    for kind in options.kinds:
        for shape in SHAPES:
            contestants = CONTESTANTS[options.worker](kind, shape, threads)
            first, answers, times = {}, {}, {name: [] for name in contestants}
            for name, once in contestants.items():
                start = time.perf_counter()
                answers[name] = once()
                first[name] = time.perf_counter() - start
            agree(answers)
            end = time.perf_counter() + options.seconds
            while time.perf_counter() < end or len(times["rnnlab"]) < 7:
                for name, once in contestants.items():
                    start = time.perf_counter()
                    once()
                    times[name].append(time.perf_counter() - start)
            found = {"framework": options.worker, "threads": threads, "kind": kind, "shape": shape}
            print(json.dumps(found | {"first": first, "times": times}), flush=True)


def agree(answers):
    """What computes something else is not compared."""
    _, reference = answers.popitem()
    for name, arrays in answers.items():
        for one, other in zip(arrays, reference, strict=True):
            worst = np.abs(one - other).max() / np.abs(other).max()
            if worst > 1e-3:
                raise SystemExit(f"{name} gives other numbers: they differ by {worst:.1e}")


# --- what is made of the times


def summary(run):
    """Median milliseconds, and for each of our ways its ratio to the frameworks' best."""
    times = {name: np.array(t) for name, t in run["times"].items()}
    ours = [name for name in times if name.startswith("rnnlab") or name == "autograd"]
    theirs = [name for name in times if name not in ours]
    best = min(theirs, key=lambda name: np.median(times[name]))
    quartiles = {n: np.quantile(times[n] / times[best], [0.25, 0.5, 0.75]) for n in ours}
    return {
        "framework": run["framework"],
        "threads": run["threads"],
        "kind": run["kind"],
        "shape": run["shape"],
        "milliseconds": {name: round(float(np.median(t)) * 1e3, 3) for name, t in times.items()},
        "first": {name: round(seconds, 2) for name, seconds in run["first"].items()},
        "against": best,
        "ratio": {name: round(float(q[1]), 3) for name, q in quartiles.items()},
        "noise": {name: round(float(q[2] - q[0]), 3) for name, q in quartiles.items()},
        "rounds": len(times[best]),
    }


def measure(options):
    """All runs, each framework and number of threads in a process of its own."""
    found = []
    for threads in options.threads:
        for framework in options.frameworks:
            kinds = ["LSTM"] if framework == "numpy" else options.kinds
            pinned = {
                "OMP_NUM_THREADS": str(threads),
                "OPENBLAS_NUM_THREADS": str(threads),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "TF_ENABLE_ONEDNN_OPTS": "1",
            }
            command = [sys.executable, __file__, "--worker", framework]
            command += ["--threads", str(threads), "--seconds", str(options.seconds)]
            worker = subprocess.Popen(
                [*command, "--kinds", *kinds],
                env=os.environ | pinned,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for line in worker.stdout:
                found.append(summary(json.loads(line)))
                show(found[-1])
            if worker.wait():
                raise SystemExit(f"the {framework} process failed with {worker.returncode}")
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


def worse(runs, stored):
    """The ratios that got worse by more than their noise, in words."""

    def key(run):
        return run["framework"], run["threads"], run["kind"], *run["shape"]

    known = {key(run): run for run in stored["runs"]}
    for run in runs:
        if (old := known.get(key(run))) is None:
            continue
        for name in set(run["ratio"]) & set(old["ratio"]):
            noise = run["noise"][name] + old["noise"][name]
            if run["ratio"][name] > old["ratio"][name] + noise:
                yield (
                    f"{' '.join(map(str, key(run)))}, {name}: {old['ratio'][name]} -> "
                    f"{run['ratio'][name]}, noise {noise:.2f}"
                )


def main(options):
    runs = measure(options)
    table(runs)
    if options.store:
        about = {"processor": processor(), "python": platform.python_version()}
        fresh = options.store.with_suffix(".new")
        fresh.write_text(json.dumps({"about": about, "runs": runs}, indent=1) + "\n", "utf-8")
        fresh.replace(options.store)  # whole, or not at all
    if options.against:
        found = list(worse(runs, json.loads(options.against.read_text("utf-8"))))
        raise SystemExit("\n".join(["worse than the stored run:", *found]) if found else 0)


if __name__ == "__main__":
    options = arguments()
    work(options) if options.worker else main(options)
