"""What a stored notebook says of its last run, and whether that still holds for its code.

``make notebooks`` writes it (``tools/notebooks.py``), the head of the page shows it
(:mod:`page_head`). In the notebook's metadata, under "rnnlab":

    needs      the chapters to read before this one; written by its author
    verified   code: a digest of the cells that ran; seconds: about how long they took;
               python, numpy, torch, tensorflow, keras: the versions they ran with
"""

import hashlib
import json

PACKAGES = {"numpy": "NumPy", "torch": "PyTorch", "tensorflow": "TensorFlow", "keras": "Keras"}
SKIP = "skip-execution"  # the tag that nbclient and myst-nb know


def read(path):
    """A notebook as it lies in its file."""
    return json.loads(path.read_text(encoding="utf-8"))


def executed(notebook):
    """The source of each cell that runs."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and SKIP not in cell["metadata"].get("tags", []):
            yield "".join(cell["source"])


def digest(notebook):
    """A short name for the code of a notebook: another one, another name."""
    return hashlib.sha256("\0".join(executed(notebook)).encode()).hexdigest()[:16]


def is_verified(notebook):
    """Whether the outputs are those of the code as it stands."""
    verified = notebook["metadata"].get("rnnlab", {}).get("verified", {})
    return verified.get("code") == digest(notebook)
