"""What lets PyTorch, with Triton, and TensorFlow live in one process.

TensorFlow 2.20 and 2.21 show the LLVM that they bring to whatever is loaded after them. PyTorch's
builds for a GPU bring Triton, and load it with the first optimizer. Triton from 3.7 on, loaded
after such a TensorFlow, calls that LLVM instead of its own, and the process dies of a segmentation
fault: https://github.com/tensorflow/tensorflow/issues/124205.
"""

import contextlib
import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["load_triton"]

# The file of TensorFlow that makes it show its LLVM; others do not have it.
CULPRIT = "python/pywrap_dlopen_global_flags.py"


def place(name):
    """The folder of a package, which is not imported for that; ``None`` if there is none."""
    try:
        spec = find_spec(name)
    except ValueError:  # something else goes by that name
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def load_triton():
    """Load Triton bound to its own LLVM, where TensorFlow is installed and would get in its way.

    It helps before TensorFlow is loaded and after, but not once Triton is. Without either of the
    two, with a TensorFlow that keeps its LLVM to itself, and on systems where libraries do not
    replace each other's functions, nothing is loaded.
    """
    own_first = getattr(os, "RTLD_DEEPBIND", None)  # there with Linux and glibc alone
    tensorflow = place("tensorflow")
    if own_first is None or tensorflow is None or place("triton") is None:
        return
    if not (tensorflow / CULPRIT).exists():
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | own_first)
    try:
        with contextlib.suppress(ImportError):  # PyTorch does without a Triton that is broken
            importlib.import_module("triton")
    finally:
        sys.setdlopenflags(flags)
