"""Train a character model on tiny Shakespeare for three minutes, and record how low it gets.

    python benchmarks/shakespeare.py                      # PyTorch, with rnnlab's layer
    python benchmarks/shakespeare.py --native             # the same work with torch.nn's layer
    python benchmarks/shakespeare.py --framework tensorflow [--native]
    python benchmarks/shakespeare.py --choose --cell LSTM  # a trial, judged on a slice of training

The clock runs while training does, tracing and compiling included; scoring the snapshots that the
curve is made of comes after it. Choices are to be made with ``--choose``: the last tenth of the
training part stands in for the validation part. Every run without it that is kept in the record has
looked at the validation part once. Close other programs first: seconds count.
"""

import argparse
import importlib
import json
import math
import os
import platform
import sys
import time
from pathlib import Path

# glibc gives large freed blocks back to the system, which then has to clear them page by page each
# time they are asked for: a third of a training step here. With these it keeps them.
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "268435456",
}
THREADS = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"]
# For XLA: vectors as wide as the processor has them.
XLA = {"XLA_FLAGS": "--xla_cpu_prefer_vector_width=512"}
RECORDED = Path(__file__).parents[1] / "rnnlab" / "recorded"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--framework", choices=["torch", "tensorflow", "numpy"], default="torch")
    parser.add_argument("--cell", choices=["LSTM", "GRU", "SimpleRNN"], default="GRU")
    parser.add_argument("--native", action="store_true", help="with the framework's own layer")
    parser.add_argument("--hidden", type=int, default=384)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--rows", type=int, default=32, help="B, tracks read side by side")
    parser.add_argument("--steps", type=int, default=64, help="T, characters between two updates")
    parser.add_argument("--restart", type=int, default=20, help="batches between fresh states")
    parser.add_argument(
        "--matmul",
        choices=["highest", "high", "medium"],
        default="medium",
        help="how exact products are while training; medium: their factors may be bfloat16",
    )
    parser.add_argument("--lr", type=float, default=0.01, help="the highest learning rate")
    parser.add_argument("--warm-up", type=float, default=0.05, help="part of the time")
    parser.add_argument("--dropout", type=float, default=0.35)
    parser.add_argument("--clip", type=float, default=0.25)
    parser.add_argument("--beta2", type=float, default=0.99, help="of Adam")
    parser.add_argument(
        "--average",
        type=float,
        default=0.995,
        help="of the weights, kept at each step",
    )
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--snapshots", type=int, default=12, help="points of the curve")
    parser.add_argument("--choose", action="store_true", help="a trial: do not touch validation")
    return parser.parse_args()


def main(options):
    wanted = MALLOC | XLA | dict.fromkeys(THREADS, str(options.threads))
    if not os.environ.items() >= wanted.items():
        # They are read when a process starts, so start it again.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | wanted)
    from rnnlab.data import load
    from rnnlab.text import Vocabulary, split, streams

    lab = importlib.import_module(f"rnnlab.{options.framework}")
    if options.framework == "torch":
        import torch

        torch.set_float32_matmul_precision(options.matmul)
    elif options.framework == "tensorflow":
        # For our layer. Keras' is not compiled by XLA here, and its graph takes nearly twice as
        # long a step when TensorFlow rewrites it (auto_mixed_precision_onednn_bfloat16).
        lab.training.ROUND_PRODUCTS = options.matmul == "medium"
    text = load("shakespeare")
    vocabulary = Vocabulary.from_text(text)
    train, held_out = split(vocabulary.encode(text))
    if options.choose:
        train, held_out = split(train)
    layer = getattr(lab, options.cell)(
        len(vocabulary), options.hidden, options.layers, seed=options.seed
    )
    if options.native:
        layer = native(options.framework, layer)
        if options.framework == "tensorflow":  # compiled by XLA, Keras' layer takes twice as long
            lab.training.LONG = math.inf
    model = lab.CharLM(vocabulary, layer, dropout=options.dropout, seed=options.seed)
    data = streams(train, options.rows, options.steps, restart=options.restart)
    weights, curve = train_to_the_clock(lab, model, data, options)
    if options.framework == "torch":  # what is trained may be rough, what is scored shall not
        torch.set_float32_matmul_precision("highest")
    part = streams(held_out, options.rows, options.steps)
    for point, snapshot in zip(curve, weights, strict=True):
        lab.set_weights(model, snapshot)
        point["held_out_loss"] = round(lab.evaluate(model, part), 4)
        print(point, flush=True)
    # As one track, so that no character but the first is guessed without its past.
    whole = round(lab.evaluate(model, streams(held_out, 1, 2048)), 4)
    print(f"held-out loss, read as one track: {whole} nats per character")
    print(lab.sample(model, "\n", 400, temperature=0.8))
    record(options, curve, whole, sum(w.size for w in weights[-1].values()))


class Mean:
    """A running mean of the weights, updated every few steps (Polyak & Juditsky 1992)."""

    def __init__(self, kept):
        self.kept, self.weights = kept**EVERY, None

    def take(self, weights):
        if self.weights is None:
            self.weights = weights
        else:
            self.weights = {
                name: self.kept * self.weights[name] + (1 - self.kept) * weight
                for name, weight in weights.items()
            }


EVERY = 10  # steps: copying the weights takes a millisecond or two


def native(framework, layer):
    """The framework's own layer, with the same weights and in the same call, to train in its place.

    It is one whole operation to the model, as ours is.
    """
    lab = importlib.import_module(f"rnnlab.{framework}")
    theirs = lab.to_native(layer)
    levels = theirs if isinstance(theirs, list) else [theirs]  # Keras: a layer for each level

    class Native(lab.layers.Layer):
        input_size, output_size, dtype = layer.input_size, layer.output_size, layer.dtype
        initial_state, check_state = layer.initial_state, layer.check_state
        last_output = layer.last_output

        def run(self, xs, state, valid=None):
            state = lab.state_to_native(layer, state)
            if framework == "torch":
                xs, state = theirs(xs, state)
            else:
                state = state if isinstance(theirs, list) else [state]
                for k, level in enumerate(levels):
                    xs, *state[k] = level(xs, initial_state=state[k])
                state = state if isinstance(theirs, list) else state[0]
            return xs, lab.state_from_native(layer, state)

        def named_weights(self):  # PyTorch finds a module's weights by itself
            return {w.path: w.value for level in levels for w in level.trainable_variables}

    one = Native()
    if framework == "torch":
        one.native = theirs
    return one


def train_to_the_clock(lab, model, data, options):
    """-> snapshots of the weights, and where in time and text each was taken."""
    weights, curve = [], []
    mean = Mean(options.average)
    start = time.perf_counter()

    def elapsed():
        return time.perf_counter() - start

    def rate(step):
        done = min(elapsed() / options.seconds, 1.0)
        if done < options.warm_up:
            return options.lr * done / options.warm_up
        done = (done - options.warm_up) / (1 - options.warm_up)
        return options.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def watch(step, loss):
        now = elapsed()
        if options.average and (step + 1) % EVERY == 0:
            mean.take(lab.get_weights(model))
        if now >= options.seconds * (len(curve) + 1) / options.snapshots:
            weights.append(mean.weights or lab.get_weights(model))
            characters = (step + 1) * options.rows * options.steps
            curve.append({"seconds": round(now, 1), "steps": step + 1, "characters": characters})
        return len(curve) == options.snapshots

    lab.fit(
        model, data, steps=10**9, lr=rate, clip=options.clip, beta2=options.beta2, progress=False,
        callback=watch,
    )  # fmt: skip
    return weights, curve


def record(options, curve, whole, parameters):
    """Keep the result where the book finds it: a trial beside the earlier ones, a run in the place
    of the one before it that did the same."""
    result = {
        "options": vars(options),
        "parameters": parameters,
        "held_out_loss": whole,
        "curve": curve,
        "machine": {"processor": processor(), "cores": os.cpu_count()},
        "python": platform.python_version(),
        "framework": importlib.import_module(options.framework).__version__,
    }
    path = RECORDED / ("shakespeare_trials.json" if options.choose else "shakespeare.json")
    kept = json.loads(path.read_text()) if path.exists() else []
    if not options.choose:
        kept = [run for run in kept if who(run) != who(result)]
    result = sorted([*kept, result], key=who) if not options.choose else [*kept, result]
    RECORDED.mkdir(exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)  # whole, or not at all


def who(run):
    """What tells the runs apart: PyTorch before TensorFlow, ours before the framework's own."""
    return run["options"]["framework"] != "torch", run["options"].get("native", False)


def processor():
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((li.split(":")[1].strip() for li in lines if li.startswith("model name")), "")


if __name__ == "__main__":
    main(arguments())
