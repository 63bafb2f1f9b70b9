"""Copies of the package with a defect in them: what tests are tried on (test_mutations.py)."""

import itertools
import sys
from contextlib import contextmanager
from importlib.machinery import PathFinder, SourceFileLoader


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


NUMBERS = itertools.count()


def other_names():
    """An edit that gives the functions of kernels.py names of their own. numba calls the machine
    code after the function; code with the original's name, from a cache, would be taken instead."""
    head = "def compiled(function):\n"
    return head, f"{head}    function.__qualname__ += '_of_mutant_{next(NUMBERS)}'\n"


@contextmanager
def mutant(file, edits):
    """Inside, ``import rnnlab`` gives a fresh copy whose module ``rnnlab.<file>`` is edited.

    edits: pairs (old, new) of source text. What was imported before stays as it was.
    """

    def take_out():
        names = [name for name in sys.modules if name.split(".")[0] == "rnnlab"]
        return {name: sys.modules.pop(name) for name in names}

    if file == "kernels":
        edits = [*edits, other_names()]
    finder = MutantFinder(f"rnnlab.{file}", edits)
    original = take_out()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        loaded = take_out()
        sys.modules.update(original)
    assert f"rnnlab.{file}" in loaded, "the mutant was never imported"
