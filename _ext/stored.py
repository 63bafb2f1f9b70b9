"""What a stored notebook says of its last run, and whether that still holds for its code.

``make notebooks`` writes it (``tools/notebooks.py``), the head of the page shows it
(:mod:`page_head`). In the notebook's metadata, under "rnnlab":

    needs      the chapters to read before this one; written by its author
    verified   cells: for each cell that ran, a digest of its code and one of its outputs, figures
               too; seconds: about how long they took;
               python, numpy, torch, tensorflow, keras: the versions they ran with
"""

import hashlib
import itertools
import json

PACKAGES = {"numpy": "NumPy", "torch": "PyTorch", "tensorflow": "TensorFlow", "keras": "Keras"}
SKIP = "skip-execution"  # the tag that nbclient and myst-nb know


def read(path):
    """A notebook as it lies in its file."""
    return json.loads(path.read_text(encoding="utf-8"))


def executed(notebook):
    """The source of each cell that runs."""
    for _, cell in executed_cells(notebook):
        yield joined(cell["source"])


def executed_cells(notebook):
    """Each cell that runs, with its number on the page, which counts text and code from 1."""
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] == "code" and SKIP not in cell["metadata"].get("tags", []):
            yield number, cell


def joined(text):
    """A text as one string: a file holds its lines one by one, nbformat gives them joined."""
    return text if isinstance(text, str) else "".join(text)


def short(text):
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def signature(notebook):
    """A line for each cell that runs: a digest of its code, and one of all it put out."""
    for _, cell in executed_cells(notebook):
        yield f"{short(joined(cell['source']))} {short(shown(cell))}"


def shown(cell):
    """All that a cell has put out, in order, as one text."""
    outputs = []
    for output in cell["outputs"]:
        parts = {key: output[key] for key in ("name", "ename", "evalue") if key in output}
        for key in "text", "traceback":
            if key in output:
                parts[key] = joined(output[key])
        for mime, data in output.get("data", {}).items():
            parts[mime] = data if isinstance(data, dict) else joined(data)
        outputs.append([output["output_type"], parts])
    return json.dumps(outputs, sort_keys=True)


def unverified(notebook):
    """Yield (cell number, problem) for each cell that is not as its last run left it."""
    kept = notebook["metadata"].get("rnnlab", {}).get("verified", {}).get("cells", [])
    numbers = [number for number, _ in executed_cells(notebook)]
    for number, now, then in itertools.zip_longest(numbers, signature(notebook), kept):
        if now is None:
            yield numbers[-1] if numbers else 0, "after this cell, cells that ran are missing"
            return
        if then is None:
            yield number, "was not run by `make notebooks`"
        elif now.split()[0] != then.split()[0]:
            yield number, "its code is not the code that ran"
        elif now != then:
            yield number, "its stored outputs are not those of its run"


def is_verified(notebook):
    """Whether the outputs are those of the code as it stands, and untouched."""
    return not list(unverified(notebook))
