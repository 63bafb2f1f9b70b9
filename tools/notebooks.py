"""Run chapters from top to bottom in fresh kernels and store their outputs: ``make notebooks``.

What is stored depends on the code alone: no times, no versions, no random cell ids. So running an
unchanged chapter again leaves its file unchanged, and a diff shows what really moved. A chapter
that fails, or that writes to stderr, keeps its old file.
"""

import hashlib
import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

CHAPTERS = Path(__file__).parents[1] / "chapters"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"},
}


def execute(notebook, folder):
    """Run all cells in place; raise CellExecutionError where one fails."""
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
    notebook.metadata = nbformat.from_dict(METADATA)
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
    try:
        execute(notebook, path.parent)
    except CellExecutionError as error:
        return f"{path.name} failed:\n{error}"
    if problems := [f"{path.name}, cell {n} wrote to stderr:\n{t}" for n, t in stderr_of(notebook)]:
        return "\n".join(problems)
    normalise(notebook)
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
