"""What an import brings in: each framework comes alone, and none comes unasked."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import rnnlab

FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "numba"}


def loaded(code):
    """The frameworks among the modules that a fresh interpreter holds after running ``code``."""
    program = f"{code}\nimport sys\nprint(*({FRAMEWORKS!r} & sys.modules.keys()))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "rnnlab",
        "rnnlab.numpy",
        "rnnlab.batching",
        "rnnlab.checkpoint",
        "rnnlab.data",
        "rnnlab.init",
        "rnnlab.plot",
        "rnnlab.series",
        "rnnlab.text",
    ],
)
def test_no_framework(module):
    assert loaded(f"import {module}") == set()


def test_torch_alone():
    assert loaded("import rnnlab.torch") == {"torch"}


def test_tensorflow_without_torch():
    found = loaded("import rnnlab.tensorflow")
    assert "tensorflow" in found
    assert "torch" not in found


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_a_missing_framework_is_named(framework, monkeypatch):
    first_file = Path(rnnlab.__file__).parent / framework / "__init__.py"
    monkeypatch.setitem(sys.modules, framework, None)
    words = rf"rnnlab\.{framework} needs .*, which is not installed: pip install {framework}"
    with pytest.raises(ImportError, match=words):
        runpy.run_path(str(first_file))
