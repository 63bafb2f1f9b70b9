"""Unit tests and chapters with other releases of the libraries beside rnnlab: ``make test-matrix``.

Each set is a whole environment. It differs from that of ``make test`` in these libraries alone:
what else runs the tests keeps the version that requirements.txt pins.
"""

import os
import re
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["oldest", "between", "newest"]
nox.options.envdir = ".venv/nox"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = True  # else a set is left out, and nox succeeds
nox.options.default_venv_backend = "venv"  # uv would not read pip's settings, see TORCH
# Another build of PyTorch than the one for the CPU brings gigabytes. Where pip is not told of an
# index that has old and new ones for the CPU, MATRIX_TORCH keeps all sets at one that is there.
TORCH = os.environ.get("MATRIX_TORCH")

SETS = {
    # The oldest that pyproject.toml takes: a reader's, who may not choose what is installed.
    "oldest": {
        "numpy": "1.26.0",  # the last before NumPy 2, with its other rules for types
        "torch": "2.4.0",
        "tensorflow": "2.18.0",  # the first that takes NumPy 1 and 2
        "keras": "3.12.0",  # older ones lack what chapters 04 and 05 show; the package needs less
        "matplotlib": "3.9.0",  # with an older one a notebook forgets that figures are to be SVG
        "pooch": "1.8.0",
        "safetensors": "0.4.4",  # older ones spoil a file of no arrays
        "tqdm": "4.66.0",
        "numba": "0.61.0",
        "pyparsing": "3.1.0",  # matplotlib's; with one from this year it warns at its import
    },
    # Half way: the first NumPy 2, and what was new when most had moved to it.
    "between": {
        "numpy": "2.0.2",
        "torch": "2.7.1",
        "tensorflow": "2.19.1",
        "keras": "3.13.2",
        "matplotlib": "3.10.0",
        "pooch": "1.8.2",
        "safetensors": "0.5.3",
        "tqdm": "4.67.1",
        "numba": "0.61.2",
        "pyparsing": "3.2.0",
    },
    # The newest of November 2026. requirements.txt may lag behind, as pages show figures of it.
    # For Python 3.14 there is no TensorFlow yet.
    "newest": {
        "numpy": "2.5.5",  # wants Python 3.12 or newer; requirements.txt has the last for 3.11
        "torch": "2.15.0",
        "tensorflow": "2.21.0",
        "keras": "3.15.1",
        "matplotlib": "3.11.2",
        "pooch": "1.9.0",
        "safetensors": "0.8.0",
        "tqdm": "4.70.1",
        "numba": "0.68.1",
    },
}
# Whatever is the newest on the day: what next week's readers get. It runs when it is asked for.
SETS["latest"] = dict.fromkeys(SETS["newest"])

# PyTorch warns of Python 3.13.0 itself, in the middle of a chapter; of 3.13.1 it does not.
QUIET = {"PYTHONWARNINGS": "ignore:Guards may run slower on Python 3.13.0:RuntimeWarning"}

# Tests that these libraries have no part in: of pages and their looks, of the repository's own
# files, of other tests. `make test` runs them once. Every other test runs in every set.
WITHOUT = [
    *("api_page", "book", "browser_axe", "browser_pages", "browser_reading", "chapters"),
    *("framework_tabs", "labs", "links", "mutations", "notebooks", "page_head", "pdf"),
    *("published", "requirements", "robust", "typeset_math", "wheel", "workflows"),
]


def others(varied):
    """The pins of requirements.txt and requirements-book.txt but for the libraries that vary."""
    for name in ("requirements-book.txt", "requirements.txt"):
        for line in Path(name).read_text(encoding="utf-8").splitlines():
            pin = line.partition("#")[0].strip()
            if pin and not pin.startswith("-") and re.split("==", pin)[0] not in varied:
                yield pin


def matrix(session, name):
    """Install a set and run the unit tests, the doctests and every chapter with it."""
    versions = SETS[name] | ({"torch": TORCH} if TORCH else {})
    asked = [f"{n}=={version}" if version else n for n, version in versions.items()]
    session.install("--upgrade", *asked, *others(versions), "-e", ".")
    session.run("python", "-m", "pip", "freeze", "--exclude-editable")
    parallel = ["-n", "2", "--dist", "loadfile"]
    left_out = [f"--ignore=tests/test_{part}.py" for part in WITHOUT]
    nbval = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/sanitize.cfg"]
    runs = {"unit tests": [*left_out, *session.posargs], "chapters": [*nbval, "chapters"]}
    if session.posargs:  # a few tests were asked for
        del runs["chapters"]
    failed = []
    for what, options in runs.items():  # one set takes a while, so all that fails in it is told
        try:
            session.run("python", "-m", "pytest", "-q", *parallel, *options, env=QUIET)
        except CommandFailed:
            failed.append(what)
    if failed:
        session.error(f"with these versions the {' and the '.join(failed)} fail")


@nox.session(python="3.11")
def oldest(session):
    """The oldest releases that rnnlab takes."""
    matrix(session, "oldest")


@nox.session(python="3.12")
def between(session):
    """The first NumPy 2, and its contemporaries."""
    matrix(session, "between")


@nox.session(python="3.13")
def newest(session):
    """The newest releases when this list was last renewed."""
    matrix(session, "newest")


@nox.session(python="3.13")
def latest(session):
    """The newest releases of today."""
    matrix(session, "latest")
