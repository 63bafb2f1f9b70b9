"""Does a test notice? Break the package in thousands of small ways: ``make mutants``.

mutmut makes the mutants: copies of the functions with one operator, number, argument or word
changed. :mod:`mutation_run` gives each of them to the tests that reach it. What no test notices
stands in tests/survivors.toml with the reason why none can or need, or this fails; as it does if
less than 90 % of a part's mutants are noticed.

``mutation.py numpy torch``: some parts. ``--again``: only what survived the last time. ``--sample
300``: a random choice of so many, always the same ones. ``--function 'RNN.*'``: some functions.
``--seconds 10``: a mutant that so many seconds of tests let pass is tried once more, four times as
long; what those let pass has survived, whatever is left.
``--resume``: go on where the last run was interrupted, or after a sample with a larger one.
"""

import argparse
import difflib
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import libcst as cst
import mutmut
from libcst import matchers as m
from mutmut.mutation.file_mutation import (
    Mutation,
    combine_mutations_to_source,
    create_mutations,
    deep_replace,
)
from mutmut.mutation.trampoline_templates import mangle_function_name
from mutmut.utils.format_utils import get_mutant_name

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "mutants"  # not in _build: a build of the book begins by emptying that
LIST = ROOT / "tests" / "survivors.toml"
ENOUGH = 0.9
PATIENCE = 4  # times as long, for what seems to survive

LAYERS = [
    *("agreement", "errors", "fused", "gradients", "init", "interop", "kernels", "laws", "models"),
    *("native", "tf1", "training", "checkpoint", "text"),
]
# What is broken, and the test files that may notice, beside the docstrings' examples.
PARTS = {
    "text": (["text.py"], ["text", "batching"]),
    "series": (["series.py"], ["series"]),
    "numpy": (["numpy/*.py"], LAYERS),
    "torch": (["torch/*.py"], LAYERS),
    "tensorflow": (["tensorflow/*.py"], [*LAYERS, "graph"]),
}


@dataclass
class Mutant:
    """One change of one function."""

    name: str  # as mutmut calls it
    file: str
    function: str
    mutation: Mutation

    def change(self):
        """The lines taken out and the lines put in, as the list of survivors has them."""
        one = self.mutation
        whole = one.contained_by_top_level_function
        both = whole, deep_replace(whole, one.original_node, one.mutated_node)
        lines = [cst.Module([function]).code.strip().splitlines() for function in both]
        diff = list(difflib.unified_diff(*lines, n=0, lineterm=""))[2:]
        sides = (" ".join(x[1:].strip() for x in diff if x[0] == sign) for sign in "-+")
        return " -> ".join(sides).strip()


def wording(module):
    """The strings that are only words of a message: what is raised, and the names of arguments."""
    calls = m.Call(func=m.Attribute(value=m.Name("checks")))
    words = [s for node in m.findall(module, m.Raise()) for s in m.findall(node, m.SimpleString())]
    for node in m.findall(module, calls):
        words += [arg.value for arg in node.args if m.matches(arg.value, m.SimpleString())]
        words += [
            s
            for arg in node.args
            if m.matches(arg.value, m.ConcatenatedString())
            for s in m.findall(arg, m.SimpleString())
        ]
    return set(map(id, words))


def mutate(file):
    """The mutated source of a file of the package, and its mutants."""
    path = Path("rnnlab") / file
    module, found, classes, functions = create_mutations(
        str(path), (ROOT / path).read_text(encoding="utf-8")
    )
    words = wording(module)
    found = [f for f in found if id(f.original_node) not in words]
    code = combine_mutations_to_source(module, found, classes, functions).code
    owners = {
        method: node.name.value
        for node in module.body
        if isinstance(node, cst.ClassDef)
        for method in node.body.body
        if isinstance(method, cst.FunctionDef)
    }
    mutants, number = [], Counter()
    for one in found:
        function = one.contained_by_top_level_function
        if not isinstance(function, cst.FunctionDef):
            continue
        number[function] += 1
        name, owner = function.name.value, owners.get(function)
        key = f"{mangle_function_name(name=name, class_name=owner)}__mutmut_{number[function]}"
        label = f"{owner}.{name}" if owner else name
        mutants.append(Mutant(get_mutant_name(path, key), file, label, one))
    return code, mutants


def prepare():
    """A copy of the package with all mutants of all parts in it. -> {part: its mutants}"""
    package = BUILD / "rnnlab"
    # What numba and Python compiled stays: it belongs to files that are copied with their times.
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "rnnlab", package, ignore=ignore, dirs_exist_ok=True)
    for path in package.rglob("*.py"):
        if not (ROOT / "rnnlab" / path.relative_to(package)).exists():
            path.unlink()
    mutants = {part: [] for part in PARTS}
    for part, (patterns, _) in PARTS.items():
        for path in sorted(p for pattern in patterns for p in (ROOT / "rnnlab").glob(pattern)):
            file = path.relative_to(ROOT / "rnnlab").as_posix()
            code, found = mutate(file)
            (package / file).write_text(code, encoding="utf-8")
            mutants[part] += found
    # The copy calls mutmut, which stands in an environment of its own.
    for source in Path(mutmut.__file__).parents[1].glob("mutmut*"):
        link = BUILD / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    return mutants


class Reasons:
    """The list of survivors: ``(file, function, change) in reasons``."""

    def __init__(self):
        listed = tomllib.loads(LIST.read_text(encoding="utf-8"))
        self.changes = {
            (entry["file"], entry["function"], change)
            for entry in listed["survivor"]
            for change in entry["changes"]
        }
        self.everywhere = listed["everywhere"]

    def __contains__(self, key):
        before, _, after = key[-1].partition(" ->")
        return key in self.changes or any(
            after.strip() in {before.replace(entry["from"], to).strip() for to in entry["to"]}
            for entry in self.everywhere
            if entry["from"] in before
        )


def test(part, every, options):
    """Run a part's mutants and print how it went; whether that is well."""
    began = time.monotonic()
    mutants, results = every, BUILD / f"{part}.jsonl"
    if options.function:
        mutants = [one for one in mutants if fnmatch(one.function, options.function)]
    if not (options.again or options.resume):
        results.unlink(missing_ok=True)
    done = outcomes(results)
    if options.again:
        mutants = [one for one in mutants if one.name in done]
    elif options.sample and options.sample < len(mutants):
        chosen = set(random.Random(0).sample(range(len(mutants)), options.sample))
        mutants = [one for k, one in enumerate(mutants) if k in chosen]
    # Of one that was tried before, the last outcome counts.
    tried = {name for name, how in done.items() if not (options.again and how == "survived")}
    tests = [
        *(f"tests/test_{name}.py" for name in PARTS[part][1]),
        *sorted({str(BUILD / "rnnlab" / one.file) for one in every}),
    ]
    keys, reasons = {one.name: (one.file, one.function, one.change()) for one in mutants}, Reasons()
    left = [one.name for one in mutants if one.name not in tried]
    # What survives without a reason may not have met the test that notices it: it gets more time.
    for seconds in options.seconds, PATIENCE * options.seconds:
        if not left:
            break
        print(f"{part}: {len(left)} of {len(every)} mutants, {seconds:g} s each", flush=True)
        plan = {"mutants": left, "results": str(results), "jobs": options.jobs}
        plan |= {"seconds": seconds, "tests": tests}
        if not run(plan, options.python):
            print(f"{part}: the tests could not be run on the copy of the package")
            return False
        found = outcomes(results)
        left = [n for n in left if found[n] == "survived" and keys[n] not in reasons]
    found = outcomes(results)
    survivors = [keys[one.name] for one in mutants if found[one.name] == "survived"]
    unexplained = sorted({key for key in survivors if key not in reasons})
    killed = len(mutants) - len(survivors)
    share = killed / len(mutants) if mutants else 1.0
    print_unexplained(unexplained)
    print(
        f"{part}: {len(every)} mutants, {len(mutants)} run, {killed} killed, {len(survivors)} "
        f"survived ({sum(key in reasons for key in survivors)} with a reason), {share:.1%} killed, "
        f"{time.monotonic() - began:.0f} s",
        flush=True,
    )
    return not unexplained and share >= ENOUGH


def run(plan, python):
    """Give a plan's mutants to the tests; whether that could be done."""
    (BUILD / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(BUILD), str(ROOT / "tools")])}
    command = [python, ROOT / "tools" / "mutation_run.py", BUILD]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode == 0


def outcomes(path):
    """{the mutant's name: how it ended}, of the last run."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: how for name, how, *_ in map(json.loads, lines)}


def print_unexplained(keys):
    """In the form of the list: for whoever writes the test, or the reason."""
    for (file, function), group in itertools.groupby(keys, key=lambda key: key[:2]):
        print(f'\n[[survivor]]\nfile = "{file}"\nfunction = "{function}"\nchanges = [')
        for _, _, change in group:
            quote = "'" if "'" not in change else "'''"
            print(f"    {quote}{change}{quote},")
        print(']\nwhy = ""')
    if keys:
        print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--python", default=sys.executable, help="the one that runs the tests")
    parser.add_argument("--sample", type=int, help="so many of each part, chosen at random")
    parser.add_argument("--function", help="only functions of this name; * for anything")
    parser.add_argument("--again", action="store_true", help="only those that survived last time")
    parser.add_argument("--seconds", type=float, default=10, help="of tests, for each mutant")
    parser.add_argument("--resume", action="store_true", help="where the last run was interrupted")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    os.chdir(ROOT)  # where mutmut looks for its settings
    mutants = prepare()
    passed = [test(part, mutants[part], options) for part in options.parts or PARTS]
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()
