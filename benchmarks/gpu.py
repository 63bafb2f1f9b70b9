"""The LSTM layer's story, and the layers, on a GPU, in PyTorch: from the naive loop to cuDNN's.

    python benchmarks/gpu.py                  # measure and print the tables
    python benchmarks/gpu.py --store gpu.json # and keep the run there

A call returns before the GPU has done its work, so the clock waits for that. TF32, which rounds
what goes into a product to ten binary digits, is off but where it is named: PyTorch allows it to
cuDNN's recurrent layers by default, and to its other products not. How it is timed: timing.py.
"""

import argparse
import os
import time
from pathlib import Path

import layers
import numpy as np
import story
import torch
from shakespeare import native
from timing import RECORDED, about, as_array, in_rounds, keep, peak, quartiles

RECORD = RECORDED / "gpu.json"
SIZES = {  # B T I H
    "one row": (1, 1000, 64, 128),
    "language model": (32, 35, 128, 256),
    "ship": (170, 10, 25, 25),
    "large": (256, 64, 512, 1024),
}
WIDTHS = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
OWN = "torch.nn.LSTM"
REPLAYED = ["gate by gate", "rnnlab: back by hand", OWN]  # and with their calls replayed


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each size")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="cpu: a trial")
    parser.add_argument("--sizes", nargs="+", default=[*SIZES], choices=[*SIZES])
    parser.add_argument("--store", nargs="?", const=RECORD, type=Path, help="where to keep the run")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch finds no GPU here; --device cpu tries the script without one")
    if options.device == "cpu" and options.store == RECORD:
        parser.error(f"{RECORD.name} is for a GPU's times: --device cpu needs --store elsewhere")
    return options


def waiting(device):
    """The function that waits until the device has done all that it was told."""
    return torch.cuda.synchronize if device == "cuda" else lambda: None


def replayed(way):
    """The kernels that ``way()`` launches, recorded once: one call launches all of them again."""
    side = torch.cuda.Stream()  # a queue of kernels beside the usual one: so recording wants it
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # what is set up at the first call is not to be recorded
            way()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = way()

    def once():
        graph.replay()
        return results

    return once


def operations(way):
    """How many kernels and copies the GPU carries out for a way, and how many seconds they take."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        way()
        torch.cuda.synchronize()
    own = [event for event in seen.events() if event.device_type == DeviceType.CUDA]
    return len(own), sum(event.time_range.elapsed_us() for event in own) / 1e6


def steps(size, seconds, device):
    """The story at one size: quartiles of milliseconds, and what the GPU does for each way."""
    wait, shape = waiting(device), SIZES[size]
    side = 8192 if device == "cuda" else 512
    rate = peak(torch.randn(side, side, device=device), lambda _: wait(), min(seconds, 1.0))
    contestants, alone = story.torch_contestants(shape, device)
    (products,) = [once for name, once in alone.items() if "oneDNN" not in name]
    if device == "cuda":
        contestants |= {f"{name}, replayed": replayed(contestants[name]) for name in REPLAYED}
        products = replayed(products)
    contestants[story.PRODUCTS] = products
    first, times = in_rounds(contestants, seconds, wait=wait)
    found = {"size": size, "shape": shape, "milliseconds": {}, "first": {}}
    for name, taken in times.items():
        found["milliseconds"][name] = [round(q * 1e3, 4) for q in quartiles(taken)]
        found["first"][name] = round(first[name], 3)
    found["products"] = found["milliseconds"].pop(story.PRODUCTS)[1]
    found["at_peak"] = round(story.multiplications(shape) / rate * 1e3, 5)
    found["peak"] = round(2 * rate / 1e9)  # GFLOP/s
    found["rounds"] = len(times[OWN])
    if device == "cuda":
        found["operations"], found["at_work"] = {}, {}
        for name in found["milliseconds"]:
            many, busy = operations(contestants[name])
            found["operations"][name], found["at_work"][name] = many, round(busy * 1e3, 4)
    return found


def calls(device, times=50, rounds=9):
    """Microseconds of a product of (32, H) and (H, 4H) for each width H, many launched in a row."""
    wait, found = waiting(device), {}
    with torch.no_grad():
        for H in WIDTHS:
            h, W = torch.randn(32, H, device=device), torch.randn(H, 4 * H, device=device)
            taken = []
            for _ in range(1 + rounds):
                start = time.perf_counter()
                for _ in range(times):
                    _ = h @ W
                wait()
                taken.append((time.perf_counter() - start) / times)
            found[H] = round(float(np.median(taken[1:])) * 1e6, 3)
    return found


def others(seconds, device, sizes):
    """The three kinds of layer, forward and back, against torch.nn's: as layers.py does."""
    for kind in layers.KINDS:
        for size in sizes:
            contestants = layers.torch_contestants(kind, SIZES[size], 1, device)
            first, times = in_rounds(contestants, seconds, wait=waiting(device))
            run = {"framework": "torch", "threads": 1, "kind": kind, "shape": SIZES[size]}
            yield {"size": size} | layers.summary(run | {"first": first, "times": times})


def training(device, steps=120):
    """Milliseconds of a training step of shakespeare.py's model, on characters drawn at random:
    with our layer, and with torch.nn's."""
    from rnnlab import torch as lab
    from rnnlab.text import Vocabulary, streams

    vocabulary = Vocabulary([chr(ord("0") + k) for k in range(65)])
    ids = np.random.default_rng(0).integers(len(vocabulary), size=32 * (64 * steps + 1))
    found = {}
    for name in "rnnlab", "torch.nn":
        layer = lab.GRU(len(vocabulary), 384, 2).to(device)
        layer = native("torch", layer) if name == "torch.nn" else layer
        model, ends = lab.CharLM(vocabulary, layer, dropout=0.35).to(device), []
        batches = streams(ids, 32, 64, restart=20)

        def watch(step, loss, ends=ends):  # the loss is a number, so the step is done
            ends.append(time.perf_counter())

        lab.fit(model, batches, steps=steps, lr=0.001, clip=0.25, progress=False, callback=watch)
        found[name] = round(float(np.median(np.diff(ends)[20:])) * 1e3, 3)
    return {"rows": 32, "steps": 64, "milliseconds": found}


def on_the_processor(size):
    """torch.nn.LSTM on the same machine's processor, forward and back: the better of one thread and
    all of them. The large layer takes seconds with one."""
    best = {}
    for threads in {os.cpu_count(), os.cpu_count() if size == "large" else 1}:
        ways = layers.torch_contestants("LSTM", SIZES[size], threads)
        _, times = in_rounds({"way": ways["torch.nn"]}, 0.5, least=3)
        best[threads] = round(float(np.median(times["way"])) * 1e3, 3)
    torch.set_num_threads(1)
    threads = min(best, key=best.get)
    return {"threads": threads, "milliseconds": best[threads]}


def rounding(size, device):
    """How far the outputs of float32 layers are from float64's, and how long they take: ours and
    torch.nn's, without TF32 and with it."""
    B, T, I, H = SIZES[size]
    from rnnlab.torch import LSTM, get_weights, set_weights, to_native

    precise = LSTM(I, H, dtype="float64").to(device)
    layer = LSTM(I, H).to(device)
    set_weights(layer, {n: w.astype("float32") for n, w in get_weights(precise).items()})
    set_weights(precise, {n: w.astype("float64") for n, w in get_weights(layer).items()})
    rng = np.random.default_rng(0)
    xs = torch.tensor(rng.normal(size=(B, T, I)).astype("float32"), device=device)
    found = {}
    with torch.no_grad():
        exact = as_array(precise(xs.double())[0])
        for name, one in (("rnnlab", layer), ("torch.nn", to_native(layer))):
            for tf32 in False, True:
                allow_tf32(tf32)
                ways = {"way": lambda one=one: [one(xs)[0]]}
                apart = np.abs(as_array(one(xs)[0]) - exact).max()
                _, times = in_rounds(ways, 0.3, wait=waiting(device))
                words = f"{name}, TF32" if tf32 else name
                milliseconds = round(float(np.median(times["way"])) * 1e3, 4)
                found[words] = {"apart": float(f"{apart:.2e}"), "milliseconds": milliseconds}
    allow_tf32(False)
    return {"size": size, "forward": found}


def allow_tf32(allowed):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed


def machine(device):
    """The GPU and its libraries, beside what every record names."""
    if device == "cpu":
        return {"gpu": "none"}
    return {
        "gpu": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def show(run):
    print(f"\n{run['size']} {run['shape']}, {run['rounds']} rounds")
    for name, (low, median, high) in run["milliseconds"].items():
        more = ""
        if "operations" in run:
            many, busy = run["operations"][name], run["at_work"][name]
            more = f"{many:7} operations, at work {busy:8.3f} ms"
        print(f"{name:37} {median:9.3f} ms ({low:.3f} to {high:.3f}) {more}", flush=True)
    print(f"{story.PRODUCTS:37} {run['products']:9.3f} ms")
    print(f"{'the same at the peak':37} {run['at_peak']:9.4f} ms, {run['peak']} GFLOP/s")


def main(options):
    allow_tf32(False)
    device = options.device
    torch.set_num_threads(1)
    here = about() | machine(device)
    print(here)
    more = {"calls": {device: calls(device), "cpu": calls("cpu", times=5, rounds=5)}}
    print(more["calls"])
    runs = []
    for size in options.sizes:
        runs.append(steps(size, options.seconds, device))
        show(runs[-1])
    more["layers"] = []
    for run in others(options.seconds / 3, device, options.sizes):
        more["layers"].append(run)
        layers.show(run)
    more["processor"] = {size: on_the_processor(size) for size in options.sizes}
    print(more["processor"])
    more["training"] = training(device)
    print(more["training"])
    more["rounding"] = rounding(options.sizes[-1], device)
    print(more["rounding"])
    if options.store:
        keep(options.store, runs, {"about": here} | more)


if __name__ == "__main__":
    main(arguments())
