"""The list of mutants that survive: each entry has a reason, and the code it speaks of is there."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTED = tomllib.loads((ROOT / "tests/survivors.toml").read_text(encoding="utf-8"))
ENTRIES = LISTED["survivor"]
CHANGES = [(e["file"], e["function"], change) for e in ENTRIES for change in e["changes"]]


def source(file, function):
    """The lines of a function or method of the package, in one."""
    text = (ROOT / "rnnlab" / file).read_text(encoding="utf-8")
    node = ast.parse(text)
    for name in function.split("."):
        (node,) = (n for n in node.body if getattr(n, "name", None) == name)
    lines = text.splitlines()[node.lineno - 1 : node.end_lineno]  # with what is noted at the end
    return " ".join(line.strip() for line in lines)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e['file']} {e['function']}")
def test_each_has_a_reason(entry):
    assert entry.keys() == {"file", "function", "changes", "why"}
    assert entry["changes"]
    assert len(entry["why"]) > 20
    assert entry["why"].endswith(".")


@pytest.mark.parametrize(("file", "function", "change"), CHANGES)
def test_what_is_changed_stands_in_the_function(file, function, change):
    before, _, after = change.partition(" ->")
    assert before != after.strip()
    assert before in source(file, function)


@pytest.mark.parametrize("entry", LISTED["everywhere"], ids=lambda entry: entry["from"])
def test_what_is_changed_everywhere_stands_somewhere_and_has_a_reason(entry):
    assert entry.keys() == {"from", "to", "why"}
    assert entry["from"] not in entry["to"]
    assert len(entry["why"]) > 20
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "rnnlab").rglob("*.py")]
    assert any(entry["from"] in text for text in files)


def test_none_is_listed_twice():
    assert len(set(CHANGES)) == len(CHANGES)
