"""Copies of the package with a defect in them: what tests are tried on (test_mutations.py)."""

import sys
from contextlib import contextmanager
from importlib.machinery import PathFinder, SourceFileLoader

import numpy as np

KERNELS = "rnnlab.kernels"


class MutantLoader(SourceFileLoader):
    """Loads a module with some pieces of its source replaced, each standing there exactly once."""

    edits = ()

    def get_code(self, fullname):
        source = self.get_data(self.path).decode()
        for old, new in self.edits:
            assert old != new
            assert source.count(old) == 1, f"{fullname}: {source.count(old)} times: {old}"
            source = source.replace(old, new)
        return compile(source, f"<mutant of {fullname}>", "exec")  # no file: coverage counts none

    def exec_module(self, module):
        super().exec_module(module)
        if module.__name__ == KERNELS:
            module.blas, module.copy = blas, copy


class MutantFinder(PathFinder):
    """Finds modules as ever, and has one of them loaded as a mutant."""

    def __init__(self, name, edits):
        self.name, self.edits = name, edits

    def find_spec(self, fullname, path=None, target=None):
        if fullname != self.name:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        spec.loader = MutantLoader(spec.loader.name, spec.loader.path)
        spec.loader.edits = self.edits
        return spec


# Of kernels.py a mutant is Python: compiling each would take most of the tests' time, and numba
# calls machine code after the function, so that it could be taken for the original's. That the
# machine does what the Python says is a test of its own (test_kernels.py).
PURE = "def compiled(function):\n", "def compiled(function):\n    return function\n"


def blas(address, x_turned, W_turned, x, W, kept, out):
    """For ``kernels.blas``, which is machine code."""
    x, W = x.T if x_turned else x, W.T if W_turned else W
    out[:] = x @ W + (kept * out if kept else 0)


def copy(one, to):
    """For ``kernels.copy``."""
    np.copyto(to, one)


@contextmanager
def mutant(file, edits):
    """Inside, ``import rnnlab`` gives a fresh copy whose module ``rnnlab.<file>`` is edited.

    edits: pairs (old, new) of source text. What was imported before stays as it was.
    """
    mutated = f"rnnlab.{file}"

    def take_out():
        # The compiled loops import nothing of the package. Loading them again takes a while.
        kept = [] if mutated == KERNELS else [KERNELS]
        names = [name for name in sys.modules if name.split(".")[0] == "rnnlab"]
        return {name: sys.modules.pop(name) for name in names if name not in kept}

    if mutated == KERNELS:
        edits = [*edits, PURE]
    finder = MutantFinder(mutated, edits)
    original = take_out()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        loaded = take_out()
        sys.modules.update(original)
    assert mutated in loaded, "the mutant was never imported"
