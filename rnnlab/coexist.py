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


def load_triton():
    """Load Triton bound to its own LLVM, where TensorFlow is installed and would get in its way.

    It helps before TensorFlow is loaded and after, but not once Triton is. Without either of the
    two, with a TensorFlow that keeps its LLVM to itself, and on systems where libraries do not
    replace each other's functions, nothing is loaded.
    """
    own_first = getattr(os, "RTLD_DEEPBIND", None)  # there with Linux and glibc alone
    tensorflow = find_spec("tensorflow")
    if own_first is None or tensorflow is None or tensorflow.origin is None:
        return
    shown = (Path(tensorflow.origin).parent / CULPRIT).exists()
    if not shown or find_spec("triton") is None:
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | own_first)
    try:
        with contextlib.suppress(ImportError):  # PyTorch does without a Triton that is broken
            importlib.import_module("triton")
    finally:
        sys.setdlopenflags(flags)
