"""Do the numbers hold on another machine? Run the chapters as there: ``make test-robust``.

Each of SETTINGS makes NumPy, PyTorch and TensorFlow add in another order: more threads, oneDNN, the
instructions of an older processor. nbval compares every output with the stored one, as in ``make
test``. What passes may have passed by luck; so every number that is printed or compared is noted
with all its digits (:mod:`record`), and each that would flip with a few times the spread seen is
listed (:mod:`margins`): look there first when another machine disagrees. An output that differs is
a failure; the list is none.

``robust.py 02_cells --only SSE4 --only "two threads"``: some chapters, some settings.
"""

import argparse
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import check
import margins
import nbformat

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "build" / "robust"  # not in _build: a build of the book begins by emptying that


def numpy_features(*kept):
    """The instruction sets that NumPy would choose from here, without those kept."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return " ".join(x for x in __cpu_dispatch__ if __cpu_features__.get(x) and x not in kept)


# What differs from the Makefile's own settings. The first is the same again: twice in a row.
SETTINGS = {
    "the same again": {},
    "two threads, oneDNN": {
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "TF_NUM_INTRAOP_THREADS": "2",
        "TF_ENABLE_ONEDNN_OPTS": "1",
    },
    "AVX2, two threads, oneDNN": {
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "TF_NUM_INTRAOP_THREADS": "2",
        "TF_ENABLE_ONEDNN_OPTS": "1",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Zen",  # AMD's processors before AVX-512
        "NPY_DISABLE_CPU_FEATURES": numpy_features("X86_V3"),
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
    "SSE4, one thread everywhere, no oneDNN in PyTorch": {
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_ENABLE_ONEDNN_OPTS": "1",
        "RNNLAB_TORCH_MKLDNN": "0",  # tools/record_startup.py turns it off
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": numpy_features(),
        "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2",
    },
}


def run(name, chapters):
    """Compare the chapters under one setting; True if every output is the stored one."""
    folder = record_of(name)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.jsonl"):
        old.unlink()
    print(f"\n{name}:", *(f"{k}={v!r}" for k, v in SETTINGS[name].items()), flush=True)
    path = [os.environ.get("PYTHONPATH", ""), str(ROOT / "tools")]
    own = {
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "PYTHONSTARTUP": str(ROOT / "tools" / "record_startup.py"),
        "RNNLAB_RECORD": str(folder),
    }
    paths = [f"chapters/{chapter}.ipynb" for chapter in chapters] or ["chapters"]
    command = [sys.executable, "-m", "pytest", "-q", *check.PARALLEL, *check.NBVAL, *paths]
    return subprocess.run(command, cwd=ROOT, env=os.environ | own | SETTINGS[name]).returncode == 0


def record_of(name):
    """Where the numbers of a setting are noted."""
    return RECORDS / name.replace(",", "").replace(" ", "-")


def report(names):
    """Print where numbers are near to flipping, with the first of each line; return how many."""
    found = 0
    notes = [margins.read(record_of(name)) for name in names]
    for path in sorted(ROOT.glob("chapters/*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        ran = [n for n, c in enumerate(cells, start=1) if c.get("execution_count")]
        excused = {n for n in ran if "nbval-ignore-output" in cells[n - 1].metadata.get("tags", [])}
        key = tuple(cells[n - 1].source for n in ran)
        runs = [note[key] for note in notes if key in note]
        if 0 < len(runs) < len(notes) or len(notes) == len(runs) == 1:
            print(f"{path.name} ran to its end under {len(runs)} of {len(notes)} settings")
        if len(runs) < 2:
            continue
        places = defaultdict(list)
        for index, line, problem in margins.problems(runs):
            if ran[index] not in excused:
                places[ran[index], line].append(problem)
        for (cell, line), (first, *others) in places.items():
            found += 1 + len(others)
            code = cells[cell - 1].source.splitlines()[line - 1].strip()
            more = f" (and {len(others)} more)" if others else ""
            print(f"{path.name}, cell {cell}, line {line}: {first}{more}\n    {code}")
    return found


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", help="names without .ipynb; all if none")
    parser.add_argument("--only", action="append", help="how a setting's name begins")
    given = parser.parse_args(arguments)
    begin = tuple(given.only or [""])
    names = [name for name in SETTINGS if name.startswith(begin)]
    if not names:
        parser.error(f"--only: the settings are {', '.join(SETTINGS)}")
    failed = [name for name in names if not run(name, given.chapters)]
    print("\nNumbers near to flipping, were they to move by a few times the spread seen:")
    near = report(names)
    print("FAILED under: " + "; ".join(failed) if failed else "Every output held", end=", ")
    print(f"{near} numbers are near to flipping.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
