"""The short run of fuzz.py, with the same examples each time; and that it would find something."""

import inspect
import os

import fuzz
import pytest

MODULES = [*fuzz.FRAMEWORKS, *fuzz.MODULES]
TARGETS = {module: [] for module in MODULES}
for target in fuzz.targets():
    TARGETS[target.name.partition(".")[0]].append(target)
# The calls of fit and evaluate in TensorFlow, each of which traces a graph, are for the long run.
SLOW = ("tensorflow.fit", "tensorflow.evaluate")


@pytest.mark.parametrize("module", MODULES)
def test_good_arguments_are_taken(module):
    """Else nothing but the first check of each function would be tried."""
    for target in TARGETS[module]:
        target.call(**{name: target.right(name) for name in target.parameters})


@pytest.mark.parametrize("module", MODULES)
def test_nothing_but_value_and_type_errors_that_name_the_argument_come_out(module):
    for target in TARGETS[module]:
        if target.parameters and target.name not in SLOW:
            counts = fuzz.attack(target, examples=2, number=0)
            assert sum(counts.values()) >= 2, target.name


def test_hostile_files_are_refused():
    assert fuzz.attack_readers(examples=30, number=0)["refused"] > 50


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda size: None if isinstance(size, int) else [][0], IndexError),
        (lambda size: 1 / 0, ZeroDivisionError),
        (lambda size: int(size, size), AssertionError),  # a TypeError of Python's own
        (lambda size: os.listdir("/none"), OSError),
    ],
)
def test_what_should_not_come_out_is_found(call, error):
    target = fuzz.Target("text.some", "numpy", call, dict(inspect.signature(call).parameters))
    with pytest.raises(error) as caught:
        fuzz.attack(target, examples=20, number=0)
    assert "size" in caught.value.given


def test_a_name_without_a_good_value_is_told():
    target = fuzz.Target("text.some", "numpy", print, {})
    with pytest.raises(KeyError, match=r"no good value for 'nobody knows' of text\.some"):
        target.right("nobody knows")
