"""The libraries we stand on: all named, pinned and explained, and the same versions everywhere."""

import ast
import functools
import importlib.util
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
FILES = sorted(ROOT.glob("requirements*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CODE = ("rnnlab", "tests", "tools", "benchmarks", "_ext")


def sources():
    """The code of the repository: each file, and each chapter's cells."""
    for folder in CODE:
        for path in sorted(ROOT.glob(f"{folder}/**/*.py")):
            yield path, path.read_text(encoding="utf-8")
    yield ROOT / "conftest.py", (ROOT / "conftest.py").read_text(encoding="utf-8")
    for path in sorted(ROOT.glob("chapters/*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        code = (cell.source for cell in cells if cell.cell_type == "code")
        yield path, "\n".join(map(TransformerManager().transform_cell, code))


def imported(code):
    """The packages that code imports, by the first part of their names; its own folder's aside."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


def pins(path):
    """The lines of a requirements file that name a library: (requirement, comment)."""
    for line in path.read_text(encoding="utf-8").splitlines():
        pin, _, comment = line.partition("#")
        if pin.strip() and not pin.startswith("-"):
            yield Requirement(pin.strip()), comment.strip()


PINNED = {canonicalize_name(one.name) for path in FILES for one, _ in pins(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_is_pinned_and_explained(path):
    for one, comment in pins(path):
        (specifier,) = one.specifier
        assert (specifier.operator, one.url) == ("==", None), one
        assert comment, f"{one.name}: no word why"


@functools.cache
def distributions_of_packages():
    """Importable name -> the distributions that have it; a third of a second to find out."""
    return metadata.packages_distributions()


def unpinned(code, own):
    """The distributions that code imports from and no file pins. own: modules of the repository."""
    distributions = distributions_of_packages()
    for name in {*imported(code)} - own - sys.stdlib_module_names:
        for distribution in distributions.get(name, [name]):
            if canonicalize_name(distribution) not in PINNED:
                yield distribution


def test_all_that_is_imported_is_pinned():
    """Not only what another library happens to bring."""
    own = {path.stem for folder in CODE for path in ROOT.glob(f"{folder}/*.py")}
    own |= {"rnnlab", "conftest"}
    missing = {path.name: found for path, code in sources() if (found := [*unpinned(code, own)])}
    assert missing == {}


def test_an_unpinned_import_is_noticed():
    code = "import numpy, tornado.web\nfrom jinja2 import Template\nfrom . import own\nimport mine"
    assert set(unpinned(code, {"mine"})) == {"tornado", "Jinja2"}
    assert list(unpinned("def f():\n    import not_installed_here", set())) == [
        "not_installed_here"
    ]


def test_no_library_is_pinned_twice():
    names = [canonicalize_name(one.name) for path in FILES for one, _ in pins(path)]
    assert len(names) == len(set(names))


def test_what_the_package_takes_includes_what_it_is_tested_with():
    declared = [*PROJECT["dependencies"]]
    declared += [one for extra in PROJECT["optional-dependencies"].values() for one in extra]
    pinned = {one.name: one for path in FILES for one, _ in pins(path)}
    for asked in map(Requirement, declared):
        (specifier,) = pinned[asked.name].specifier
        assert asked.specifier.contains(specifier.version), asked


def matrix_sets():
    """The sets of noxfile.py; nox itself is not installed beside the tests, and not needed."""
    code = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    (sets,) = re.findall(r"^SETS = (\{.*?^\})", code, re.M | re.S)
    return ast.literal_eval(sets)


def test_the_oldest_set_is_what_the_package_takes():
    """pyproject.toml's bounds are tried as they stand."""
    oldest = matrix_sets()["oldest"]
    declared = [*PROJECT["dependencies"]]
    declared += [one for extra in PROJECT["optional-dependencies"].values() for one in extra]
    for asked in map(Requirement, declared):
        (specifier,) = asked.specifier
        assert specifier.operator == ">="
        assert Version(oldest[asked.name]) == Version(specifier.version), asked.name


def test_the_newest_set_is_not_older_than_the_pins():
    newest = matrix_sets()["newest"]
    pinned = {one.name: one for path in FILES for one, _ in pins(path)}
    for name, version in newest.items():
        (specifier,) = pinned[name].specifier
        assert Version(version) >= Version(specifier.version), name


def test_the_readme_names_the_oldest_and_the_newest():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    sets = matrix_sets()
    rows = {
        name.strip().lower(): (old.strip(), new.strip())
        for name, old, new in re.findall(r"^\| ([\w/ ]+) \| ([\d.]+) \| ([\d.]+) \|$", text, re.M)
    }
    libraries = {"pytorch": "torch", "numpy": "numpy", "tensorflow": "tensorflow"}
    libraries |= {"keras": "keras", "matplotlib": "matplotlib"}
    assert rows.keys() >= libraries.keys()
    for shown, name in libraries.items():
        assert rows[shown] == (sets["oldest"][name], sets["newest"][name])


@pytest.fixture(scope="module")
def audit():
    """The module tools/audit.py."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / "tools" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(licence, name="some"):
    return {"Name": name, "Version": "1.0", "License": licence}


@pytest.mark.parametrize(
    ("licence", "accepted"),
    [
        ("MIT", True),
        ("MPL-2.0 AND MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("BSD License; MIT License", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only AND MIT", False),
        ("UNKNOWN", False),
        ("Proprietary", False),
    ],
)
def test_licences(audit, licence, accepted):
    assert audit.is_accepted(licence) == accepted
    assert audit.licence_problems([row("MIT"), row(licence)]) == [] or not accepted


def test_a_licence_problem_names_the_library(audit):
    (problem,) = audit.licence_problems([row("MIT", "fine"), row("GPL-3.0-only", "strict")])
    assert problem.startswith("strict 1.0: its licence is 'GPL-3.0-only'")
    assert audit.licence_problems([row("UNKNOWN", "namex")]) == []


def test_a_build_is_asked_about_as_its_release(audit):
    """A service knows torch 2.13.0, and not 2.13.0+cpu; of rnnlab itself it knows nothing."""
    rows = [row("MIT", "torch") | {"Version": "2.13.0+cpu"}, row("MIT", "rnnlab"), row("MIT")]
    assert audit.pins(rows) == "torch==2.13.0\nsome==1.0"


def test_a_vulnerability_is_named(audit):
    bug = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"]}
    known = [
        {"name": "fine", "version": "1.0", "vulns": []},
        {"name": "holed", "version": "1.0", "vulns": [bug]},
    ]
    problems = audit.vulnerability_problems({"dependencies": known})
    assert problems == ["holed 1.0: PYSEC-1, CVE-1; mended in 1.1"]


def test_no_answer_is_no_absence_of_vulnerabilities(audit):
    """pip-audit itself succeeds where the service knows nothing of what it is asked."""
    known = [{"name": "unasked", "skip_reason": "not found"}]
    (problem,) = audit.vulnerability_problems({"dependencies": known})
    assert "no answer about 1 of 1 libraries (unasked)" in problem
    assert audit.vulnerability_problems(None)
    assert audit.vulnerability_problems({"dependencies": []}) == []
