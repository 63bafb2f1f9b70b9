"""What the benchmarks share: rounds, processes with pinned threads, records, and comparing them.

Each framework runs in a process of its own, with its threads pinned. In each round all contestants
run once, one after the other, so that what disturbs the machine disturbs them alike; a ratio is the
median over the rounds of the two times in one round, its noise the distance of the quartiles. The
first call of each (warm-up, tracing, compiling) is timed apart.
"""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time

import numpy as np
from shakespeare import RECORDED, processor

__all__ = [
    "RECORDED",
    "about",
    "against",
    "agree",
    "as_array",
    "in_rounds",
    "keep",
    "peak",
    "pinned",
    "quartiles",
    "workers",
    "worse",
]


def in_rounds(contestants, seconds, least=7, tolerance=1e-3, wait=lambda: None):
    """Run each contestant once, then all of them in rounds: -> first, times, by name.

    contestants: dict name -> a function that runs once and returns arrays or PyTorch's tensors;
        those of all must agree (where one returns ``None``, it is not asked). seconds: how long the
        rounds go on, once there are ``least`` of them. wait: is called before the clock stops,
        where a call returns before its work is done, as on a GPU.
    """
    first, answers, times = {}, {}, {name: [] for name in contestants}
    for name, once in contestants.items():
        start = time.perf_counter()
        answers[name] = once()
        wait()
        first[name] = time.perf_counter() - start
    agree({name: found for name, found in answers.items() if found is not None}, tolerance)
    end, done = time.perf_counter() + seconds, 0
    while time.perf_counter() < end or done < least:
        for name, once in contestants.items():
            start = time.perf_counter()
            once()
            wait()
            times[name].append(time.perf_counter() - start)
        done += 1
    return first, times


def peak(numbers, wait=lambda product: None, seconds=1.0):
    """Multiplications a second: the quickest of many products of these numbers (N, N) with
    themselves. wait: as for :func:`in_rounds`, but it is given the product.
    """
    quickest, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        wait(numbers @ numbers)
        quickest = min(quickest, time.perf_counter() - start)
    return len(numbers) ** 3 / quickest


def as_array(numbers):
    """An array of what may be a tensor, on any device."""
    return numbers.detach().cpu().numpy() if hasattr(numbers, "detach") else np.asarray(numbers)


def agree(answers, tolerance=1e-3):
    """What computes something else is not compared."""
    *others, (_, reference) = answers.items()
    for name, arrays in others:
        for one, other in zip(arrays, reference, strict=True):
            one, other = as_array(one), as_array(other)
            worst = np.abs(one - other).max() / np.abs(other).max()
            if not worst <= tolerance:
                raise SystemExit(f"{name} gives other numbers: they differ by {worst:.1e}")


def quartiles(times, by=None):
    """The quartiles of some times (rounds,), or of their ratios to others of the same rounds."""
    times = np.array(times) if by is None else np.array(times) / np.array(by)
    return [float(q) for q in np.quantile(times, [0.25, 0.5, 0.75])]


def pinned(threads):
    """What a process is to find in its environment, so that it takes so many threads."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "1",
    }


def workers(script, frameworks, threads, options=()):
    """Run ``script --worker F --threads N`` in processes of their own: -> what they print, parsed.

    Each prints one line of JSON for what it has timed.
    """
    for number in threads:
        for framework in frameworks:
            command = [sys.executable, script, "--worker", framework, "--threads", str(number)]
            worker = subprocess.Popen(
                [*command, *map(str, options)],
                env=os.environ | pinned(number),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for line in worker.stdout:
                yield json.loads(line)
            if worker.wait():
                print(worker.stderr.read(), file=sys.stderr)
                raise SystemExit(f"the {framework} process failed with {worker.returncode}")


def about():
    """The machine and the versions that a record is from."""
    versions = {name: version for name in LIBRARIES if (version := version_of(name))}
    machine = {"processor": processor(), "cores": os.cpu_count()}
    return machine | {"python": platform.python_version(), "versions": versions}


def version_of(name):
    """The version of an installed package, or ``None``."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def keep(path, runs, more=None):
    """Write a record: whole, or not at all."""
    record = {"about": about()} | (more or {}) | {"runs": runs}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    fresh.replace(path)


def together(path, runs, key, order):
    """Runs, and of the kept ones those that they do not replace: on a machine that others use, one
    measures a part at a time. What another machine or other versions took is not kept beside them.
    """
    stored = json.loads(path.read_text("utf-8")) if path.exists() else {"about": None}
    new = {key(run) for run in runs}
    if stored["about"] == about():
        runs = runs + [run for run in stored["runs"] if key(run) not in new]
    return sorted(runs, key=order)


LIBRARIES = ["numpy", "numba", "torch", "tensorflow", "keras"]


def worse(runs, stored, key):
    """The ratios that got worse by more than their noise, in words.

    Each run has a "ratio" and a "noise", dicts by contestant; ``key(run)`` says which stored run it
    is compared with.
    """
    known = {key(run): run for run in stored["runs"]}
    for run in runs:
        if (old := known.get(key(run))) is None:
            continue
        for name in run["ratio"]:
            if name not in old["ratio"]:
                continue
            noise = run["noise"][name] + old["noise"][name]
            if run["ratio"][name] > old["ratio"][name] + noise:
                yield (
                    f"{' '.join(map(str, key(run)))}, {name}: {old['ratio'][name]} -> "
                    f"{run['ratio'][name]}, noise {noise:.2f}"
                )


def against(path, runs, key):
    """End with an error that says what got worse than in the stored run, if anything did."""
    stored = json.loads(path.read_text("utf-8"))
    if (elsewhere := stored["about"]["processor"]) != processor():
        print(f"\nthe kept run is from another processor, {elsewhere}: ratios may differ for that")
    found = list(worse(runs, stored, key))
    if found:
        raise SystemExit("\n".join(["worse than the stored run:", *found]))
