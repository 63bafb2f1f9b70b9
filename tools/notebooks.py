"""Run chapters from top to bottom in fresh kernels and store their outputs: ``make notebooks``.

What is stored depends on the code and on the versions it ran with: no exact times, no random cell
ids. So running an unchanged chapter again leaves its file unchanged, and a diff shows what really
moved. A chapter that fails, or that writes to stderr, keeps its old file.

The first two cells of a chapter are the same in all, and are put there by this program.
"""

import hashlib
import os
import platform
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path

import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "_ext"))
import stored  # noqa: E402

CHAPTERS = ROOT / "chapters"
BOOK = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
# Colab has its own NumPy, PyTorch and TensorFlow, made for its own Python and GPU. So the package
# comes without what it depends on, and the rest of that only where it is missing.
COLAB = """\
# On Colab only: get rnnlab, and leave Colab's own packages as they are.
import sys

if "google.colab" in sys.modules:
    %pip install --quiet pooch safetensors tqdm
    %pip install --quiet --no-deps "rnnlab @ git+{url}@{branch}"
""".format(**BOOK["repository"])
SETUP = """\
import os

# Before TensorFlow is imported: no log lines, and sums in one order.
_ = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
_ = os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
"""
FIRST_CELLS = (  # (source, tags); the page shows neither
    (COLAB.rstrip(), ["remove-cell", stored.SKIP, "nbval-skip"]),
    (SETUP.rstrip(), ["remove-cell"]),
)
SECONDS = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 600)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"},
}


def put_first_cells(notebook):
    """Make the first cells what they are in every chapter."""
    own = [cell for cell in notebook.cells if "remove-cell" not in cell.metadata.get("tags", [])]
    first = [
        nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})
        for source, tags in FIRST_CELLS
    ]
    notebook.cells = first + own


def verified(notebook, seconds):
    """What is kept of a run: what ran and came out, with which versions, and about how long."""
    before = notebook.metadata.get("rnnlab", {}).get("verified", {}).get("seconds", 0)
    nearest = min(SECONDS, key=lambda round_one: abs(round_one - seconds))
    # A little slower or faster is noise, also where it crosses from one round number to the next.
    same = before / 1.5 <= seconds <= before * 1.5
    return {
        "cells": list(stored.signature(notebook)),
        "seconds": before if same else nearest,
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{package: version(package).partition("+")[0] for package in stored.PACKAGES},
    }


def execute(notebook, folder):
    """Run all cells in place, but those for Colab; raise CellExecutionError where one fails."""
    # ipykernel copies what C libraries write to stderr into the notebook, but not under pytest,
    # which is where the stored outputs are compared. So store what pytest will see.
    os.environ.setdefault("PYTEST_CURRENT_TEST", "make notebooks")
    NotebookClient(
        notebook,
        extra_arguments=["--log-level=ERROR"],  # else each kernel warns that TCP is not encrypted
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,  # one output per stream, however the kernel cut it up
    ).execute()


def stderr_of(notebook):
    """Yield (cell number, text) of what was written to stderr: warnings, progress bars."""
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                yield number, output.text.strip()


def normalise(notebook):
    """Drop what differs from run to run or from machine to machine."""
    own = notebook.metadata.get("rnnlab")
    notebook.metadata = nbformat.from_dict(METADATA | ({"rnnlab": own} if own else {}))
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen = set()
    for cell in notebook.cells:
        for key in ("execution", "collapsed", "jupyter", "ExecuteTime", "id"):
            cell.metadata.pop(key, None)
        for output in cell.get("outputs", []):
            if svg := output.get("data", {}).get("image/svg+xml"):
                output.data["image/svg+xml"] = re.sub(r"\s*<dc:date>.*?</dc:date>", "", svg)
        cell.source = cell.source.rstrip()
        # An id made from the source stays the same however often the notebook is made anew, and
        # an edit changes one id only.
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()
        cell.id = next(
            i for n in range(len(notebook.cells)) if (i := f"{digest[:8]}-{n}") not in seen
        )
        seen.add(cell.id)


def store(path):
    """Execute one chapter and write it back; return what was wrong, or an empty string."""
    notebook = nbformat.read(path, as_version=4)
    put_first_cells(notebook)
    start = time.monotonic()
    try:
        execute(notebook, path.parent)
    except CellExecutionError as error:
        return f"{path.name} failed:\n{error}"
    if problems := [f"{path.name}, cell {n} wrote to stderr:\n{t}" for n, t in stderr_of(notebook)]:
        return "\n".join(problems)
    seconds = time.monotonic() - start
    normalise(notebook)  # first: what is signed is what is stored
    notebook.metadata.setdefault("rnnlab", {})["verified"] = verified(notebook, seconds)
    nbformat.validate(notebook)
    partial = path.with_suffix(".part")
    nbformat.write(notebook, partial)
    partial.replace(path)
    return ""


def main(names):
    """``main(["02_cells"])`` runs that chapter, ``main([])`` all of them."""
    paths = [CHAPTERS / f"{name}.ipynb" for name in names] or sorted(CHAPTERS.glob("*.ipynb"))
    failed = 0
    for path in paths:
        print(f"{path.stem} ...", flush=True)
        problem = store(path) if path.exists() else f"{path} does not exist"
        if problem:
            print(problem, flush=True)
            failed += 1
    print(f"{len(paths) - failed} of {len(paths)} chapters executed and stored.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
