"""The lecture's labs, as this package trains them and as the lecture did: ``make bench``.

    python benchmarks/labs.py              # measure and print the table
    python benchmarks/labs.py --store      # and keep the run
    python benchmarks/labs.py --against    # and fail where one got slower than in the kept one
    python benchmarks/labs.py --labs 12-3 --threads 1 --store   # a part, kept beside the others

The lecture's way is a Keras model and ``model.fit``, where one epoch is one step: all its data are
one batch. All start from the same weights. What is timed is ``fit``, from a fresh model, with all
that it traces and compiles; imports and the building of the model are not. In each round every way
trains the lab once, each in a process of its own.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from timing import RECORDED, against, keep, pinned, quartiles, together

RECORD = RECORDED / "labs.json"
WAYS = ["rnnlab.torch", "rnnlab.tensorflow", "keras"]  # the last is the lecture's
LABS = {  # what is trained, for how many steps, at which rate
    "12-3": ("LSTM", 500, 0.1),
    "12-4": ("LSTM", 500, 0.1),
    "SimpleRNN(300)": ("SimpleRNN", 100, 0.001),
    "LSTM(300)": ("LSTM", 100, 0.001),
    "LSTM(300), both ways": ("LSTM", 100, 0.001),
    "GRU(300)": ("GRU", 100, 0.001),
}
# What the lecture's pages show: the seconds of how many steps. Those of the ship are with printing;
# of the series there are ten epochs of this one model, here one by one.
EPOCHS = [4, 0.063, 0.053, 0.055, 0.045, 0.046, 0.070, 0.070, 0.073, 0.063]
LECTURE = {
    "12-3": {"seconds": 27.558, "steps": 500},
    "12-4": {"seconds": 33.295, "steps": 500},
    "SimpleRNN(300)": {"seconds": round(sum(EPOCHS), 3), "steps": len(EPOCHS)},
}
GOAL = 0.1  # of the lecture's seconds, or of Keras' here
# How far the last losses may lie apart. The first ones are the same; then Adam at a rate of 0.1
# drives rounding errors apart, most where nothing good can be reached (12-3).
APART = {"12-3": 0.1, "12-4": 0.005}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labs", nargs="+", default=[*LABS], choices=[*LABS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--against", nargs="?", const=RECORD, type=Path, help="a stored run")
    parser.add_argument("--store", nargs="?", const=RECORD, type=Path, help="where to keep the run")
    parser.add_argument("--worker", choices=WAYS, help=argparse.SUPPRESS)
    return parser.parse_args()


# --- in the processes of their own


def lesson(name):
    """The data of a lab: what goes in and what shall come out, (B, T) ids or (B, T, 1) numbers."""
    from rnnlab import data, series, text

    if name.startswith("12-"):
        ship = data.load("ship")
        vocabulary = text.Vocabulary.from_text(ship)
        return *text.windows(vocabulary.encode(ship), 10), vocabulary
    return *series.windows(np.arange(10), length=4), None


def model_of(lab, name, vocabulary):
    """The lab's model in a notation of this package."""
    kind, _, _ = LABS[name]
    build = getattr(lab, kind)
    if vocabulary is None:
        return lab.Forecaster(build(1, 300, 2, bidirectional=name.endswith("both ways")))
    V = len(vocabulary)
    if name == "12-4":
        return lab.CharLM(vocabulary, build(V, V, 2))

    class OutputsAsScores(lab.CharLM):
        """Lab 12-3 has no read-out. Its weights are there, and stay as they are."""

        def _answer(self, inputs, state, lengths, kept=None):
            return self.layer(self._features(inputs), state, lengths)

    return OutputsAsScores(vocabulary, build(V, V))


def by_rnnlab(way, name, steps):
    """-> a function that trains, and gives the losses before each step."""
    from rnnlab.batching import Batch

    lab = importlib.import_module(way)
    inputs, targets, vocabulary = lesson(name)
    model = model_of(lab, name, vocabulary)
    lr = LABS[name][2]
    batch = [Batch(inputs, targets)]
    return lambda: lab.fit(model, batch, steps=steps, lr=lr, progress=False)


def by_keras(way, name, steps):
    """The same as the lecture writes it, from the same weights."""
    import keras

    from rnnlab import numpy as lab
    from rnnlab.text import one_hot

    kind, _, lr = LABS[name]
    inputs, targets, vocabulary = lesson(name)
    weights = lab.get_weights(model_of(lab, name, vocabulary))
    layer = getattr(keras.layers, kind)
    if vocabulary is not None:
        V = len(vocabulary)
        inputs = one_hot(inputs, V)
        layers = [layer(V, return_sequences=True) for _ in range(2 if name == "12-4" else 1)]
        layers += [keras.layers.Dense(V)] if name == "12-4" else []
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    else:
        layers = [layer(300, return_sequences=True), layer(300)]
        if name.endswith("both ways"):
            layers = [keras.layers.Bidirectional(one) for one in layers]
        layers += [keras.layers.Dense(1)]
        loss, targets = "mse", targets[:, 0]
    model = keras.Sequential([keras.layers.Input(inputs.shape[1:]), *layers])
    model.set_weights(for_keras(weights, kind, [w.shape for w in model.get_weights()]))
    # The two Adams differ in where a small number is added; with this one the least.
    model.compile(optimizer=keras.optimizers.Adam(lr, epsilon=1e-8), loss=loss)

    def fit():
        history = model.fit(inputs, targets, batch_size=len(inputs), epochs=steps, verbose=0)
        return history.history["loss"]

    return fit


def for_keras(weights, kind, shapes):
    """Weights by name, in the order and the layout of Keras' layers."""
    ordered = []
    for w in weights.values():
        if kind == "GRU" and w.ndim and w.shape[-1] == 900:  # r z n -> z r n
            r, z, n = np.split(w, 3, axis=-1)
            w = np.concatenate([z, r, n], axis=-1)
        if kind == "GRU" and w.shape == (300,):  # b_hn joins the b before it, as the second row
            ordered[-1] = np.stack([ordered[-1], np.concatenate([np.zeros(600, w.dtype), w])])
        else:
            ordered.append(w)
    return [w for w, _ in zip(ordered, shapes, strict=False)]  # 12-3 has no read-out


def work(options):
    """For each line that comes in, a lab's name: train it once, tell the time and the losses."""
    ready = by_keras if options.worker == "keras" else by_rnnlab
    ready(options.worker, "12-3", 1)()  # a library's very first step
    for line in sys.stdin:
        name = line.strip()
        train = ready(options.worker, name, LABS[name][1])
        start = time.perf_counter()
        losses = train()
        seconds = time.perf_counter() - start
        losses = float(losses[0]), float(losses[-1])
        print(json.dumps({"seconds": seconds, "losses": losses}), flush=True)


# --- what is made of the times


def measure(options):
    """In every round each way trains each lab once."""
    found = []
    for threads in options.threads:
        started = [start(way, threads) for way in WAYS]
        try:
            for name in options.labs:
                rounds = [[ask(worker, name) for worker in started] for _ in range(options.rounds)]
                found.append(summary(name, threads, rounds))
                show(found[-1])
        finally:
            for worker in started:
                worker.stdin.close()
                worker.wait()
    return found


def start(way, threads):
    command = [sys.executable, __file__, "--worker", way]
    return subprocess.Popen(
        command,
        env=os.environ | pinned(threads),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def ask(worker, name):
    worker.stdin.write(f"{name}\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise SystemExit(f"{worker.args[-1]} failed at {name} with {worker.wait()}")
    return json.loads(answer)


def summary(name, threads, rounds):
    """rounds: for each round, what each of WAYS answered."""
    ours, times = WAYS[:-1], {}
    for way, answers in zip(WAYS, zip(*rounds, strict=True), strict=True):
        times[way] = [answer["seconds"] for answer in answers]
    losses = dict(zip(WAYS, (answer["losses"] for answer in rounds[0]), strict=True))
    for way in ours:
        same_losses(name, way, losses[way], losses["keras"])
    by_round = {way: quartiles(times[way], times["keras"]) for way in ours}
    return {
        "lab": name,
        "threads": threads,
        "steps": LABS[name][1],
        "seconds": {way: [round(q, 3) for q in quartiles(times[way])] for way in WAYS},
        "losses": {way: [round(loss, 4) for loss in pair] for way, pair in losses.items()},
        "lecture": LECTURE.get(name),
        "ratio": {way: round(q[1], 4) for way, q in by_round.items()},
        "noise": {way: round(q[2] - q[0], 4) for way, q in by_round.items()},
        "rounds": len(rounds),
    }


def same_losses(name, way, ours, theirs):
    """What trains something else is not compared."""
    allowed = APART.get(name, 0.05)
    same = np.isclose(ours[0], theirs[0], rtol=1e-4) and abs(ours[1] - theirs[1]) <= allowed
    if not same:  # so, too, where one is NaN
        raise SystemExit(f"lab {name}: {way} goes from {ours}, Keras from {theirs}")


def share(run, way):
    """Of the lecture's seconds, or of Keras' here: the smaller one.

    Where the lecture shows fewer steps than are trained here, its seconds count as they are.
    """
    shares = [run["ratio"][way]]
    if run["lecture"] is not None:
        shares.append(run["seconds"][way][1] / run["lecture"]["seconds"])
    return min(shares)


def show(run):
    lecture = ""
    if run["lecture"] is not None:
        lecture = " (the lecture: {seconds:.1f} s for {steps})".format(**run["lecture"])
    print(f"\nlab {run['lab']}, {run['steps']} steps, {run['threads']} thread(s){lecture}")
    for way, (low, median, high) in run["seconds"].items():
        words = f"{way:18} {median:7.2f} s ({low:.2f} to {high:.2f})  loss {run['losses'][way][1]}"
        if way in run["ratio"]:
            part = share(run, way)
            words += f"  {part:.3f} of the lecture's way, goal {GOAL}"
            words += "" if part < GOAL else ": missed"
        print(words, flush=True)


def key(run):
    return "lab", run["lab"], run["threads"]


def order(run):
    return run["threads"], [*LABS].index(run["lab"])


def main(options):
    runs = measure(options)
    if options.store:
        keep(options.store, together(options.store, runs, key, order))
    if options.against:
        against(options.against, runs, key)


if __name__ == "__main__":
    options = arguments()
    work(options) if options.worker else main(options)
