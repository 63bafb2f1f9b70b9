"""Who knows one of the three folders knows all: the same names, signatures and docstrings."""

import importlib
import inspect

import pytest

FILES = ["cells", "layers", "losses", "models", "training"]
OTHERS = ["torch", "tensorflow"]
# NumPy has no layers of its own to go to; what is said of the others' stands in a last part, which
# begins with the framework's name.
OTHERS_ONLY = ["interop"]
OWN_PART = {"torch": "\n\nIn PyTorch: ", "tensorflow": "\n\nIn Keras: "}
# NumPy has no automatic gradients: its way back is written out, in methods that the others lack.
NUMPY_ONLY = {
    "backward",
    "last_output_back",
    "output_back",
    "record",
    "step_back",
    "weight_grads",
}


def module(framework, file=None):
    return importlib.import_module(".".join(filter(None, ["rnnlab", framework, file])))


def public(framework):
    """Every public object of one notation, by name."""
    return {name: getattr(module(framework), name) for name in module(framework).__all__}


def between(framework):
    """Every public object that only PyTorch and TensorFlow have, by name."""
    files = [module(framework, file) for file in OTHERS_ONLY]
    return {name: getattr(file, name) for file in files for name in file.__all__}


def methods(cls):
    """The public methods and properties that a class has from this package, and the call."""
    found = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("rnnlab."):
            found |= {
                "__call__" if name == "forward" else name: value
                for name, value in vars(base).items()
                if name in ("__call__", "__init__", "forward") or not name.startswith("_")
            }
    return found


@pytest.mark.parametrize("framework", OTHERS)
def test_the_same_names(framework):
    more = between(framework)
    assert [n for n in module(framework).__all__ if n not in more] == module("numpy").__all__
    assert set(module(framework).__all__) == set(module("numpy").__all__) | set(more)
    assert all(public(framework)[name] is value for name, value in more.items())
    for file in FILES:
        assert module(framework, file).__all__ == module("numpy", file).__all__
    listed = {name for file in FILES for name in module("numpy", file).__all__}
    assert listed == set(module("numpy").__all__)


@pytest.mark.parametrize("framework", OTHERS)
@pytest.mark.parametrize("name", module("numpy").__all__)
def test_the_same_signature_and_docstring(framework, name):
    ours, other = public("numpy")[name], public(framework)[name]
    assert inspect.signature(other) == inspect.signature(ours)
    assert other.__doc__ == ours.__doc__.replace("rnnlab.numpy", f"rnnlab.{framework}")


def test_the_same_names_between_the_others():
    assert module("torch").__all__ == module("tensorflow").__all__
    for file in OTHERS_ONLY:
        assert module("torch", file).__all__ == module("tensorflow", file).__all__


@pytest.mark.parametrize("name", between("torch"))
def test_the_same_signature_and_docstring_between_the_others(name):
    objects = {framework: between(framework)[name] for framework in OTHERS}
    assert inspect.signature(objects["torch"]) == inspect.signature(objects["tensorflow"])
    parts = {f: inspect.getdoc(o).split(OWN_PART[f]) for f, o in objects.items()}
    assert [len(part) for part in parts.values()] == [2, 2]
    shared, other = (part[0] for part in parts.values())
    assert shared == other.replace("rnnlab.tensorflow", "rnnlab.torch")
    assert len(shared) > 100


@pytest.mark.parametrize("framework", OTHERS)
@pytest.mark.parametrize("name", [n for n, o in public("numpy").items() if inspect.isclass(o)])
def test_the_same_methods(framework, name):
    ours, other = methods(public("numpy")[name]), methods(public(framework)[name])
    shared = {n for n, o in ours.items() if callable(o)} & set(other)
    expected = {n for n, o in ours.items() if callable(o)} - NUMPY_ONLY
    assert expected - {"named_weights"} <= shared  # torch has named_parameters instead
    for method in shared:
        assert inspect.signature(other[method]) == inspect.signature(ours[method]), method
        assert other[method].__doc__ == ours[method].__doc__, method


@pytest.mark.parametrize("framework", ["numpy", *OTHERS])
def test_everything_public_has_an_example_that_runs_as_a_doctest(framework):
    for name, value in public(framework).items():
        assert ">>>" in value.__doc__, name
