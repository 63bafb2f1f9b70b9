"""The API pages show all that is public, as Python has it, though made without importing it."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import api_reference
import docstrings
import package_source
import pytest
import yaml
from docutils import nodes
from sphinx.util.inventory import InventoryFile

import rnnlab

ROOT = Path(__file__).parents[1]
SECTIONS = package_source.read()
ENTRIES = [entry for section in SECTIONS.values() for entry in section.entries]
NAMES = {name: entry for entry in ENTRIES for name in entry.all_names}
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("chapters/api*.md")}


def public():
    """Every public name in full, as Python has it once all is imported."""
    for module in pkgutil.walk_packages(rnnlab.__path__, "rnnlab."):
        package = importlib.import_module(module.name.rpartition(".")[0])
        inner = package.__name__ != "rnnlab" and hasattr(package, "__all__")
        notation = package.__name__.removeprefix("rnnlab.") in package_source.NOTATIONS
        if module.name in package_source.INTERNAL or (inner and not notation):
            continue
        for name in getattr(importlib.import_module(module.name), "__all__", ()):
            short = notation and name in package.__all__
            yield f"{package.__name__ if short else module.name}.{name}"


def resolve(name):
    """The object of a full name."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:k]))
        except ModuleNotFoundError:
            continue
        for part in parts[k:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)


def shown(directive):
    """The modules that a directive of the pages shows, page by page."""
    for page, text in PAGES.items():
        for words, options in re.findall(rf"```{{{directive}}} (.*)\n((?::.*\n)*)```", text):
            (without,) = re.findall(r":without: (.*)", options) or [""]
            for key in api_reference.choose(SECTIONS, words.split(), without.split()):
                yield key, page


def test_every_public_name_is_described():
    names = set(public())
    assert {"rnnlab.torch.LSTM", "rnnlab.text.Vocabulary", "rnnlab.state.LSTMState"} <= names
    assert names <= set(NAMES)


def test_what_is_described_beside_them_are_the_classes_they_derive_from():
    beside = set(NAMES) - set(public())
    assert {"rnnlab.numpy.cells.Cell", "rnnlab.torch.layers.Layer"} <= beside
    bases = {name for entry in ENTRIES for base in entry.bases for name in base.all_names}
    assert beside <= bases


def test_every_module_stands_on_one_page_and_in_the_overview():
    assert sorted(key for key, _ in shown("api")) == sorted(SECTIONS)
    assert {(key, "api") for key in SECTIONS} == set(shown("api-overview"))
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    (reference,) = (p["chapters"] for p in toc["parts"] if p["caption"] == "Reference")
    files = [part["file"] for page in reference for part in (page, *page.get("sections", []))]
    assert {f"chapters/{page}" for page in PAGES} <= set(files)


def test_an_unknown_module_is_an_error():
    with pytest.raises(ValueError, match=r"no such module: \['nonsense'\]; there are \["):
        api_reference.choose(SECTIONS, ["cells", "nonsense"])


def callables(entry):
    """A described class or function and its methods: (entry, notation, full name)."""
    for described in (entry, *entry.members):
        if described.first.is_attribute:
            continue
        for notation, names in described.names.items():
            # A torch module's __call__ is torch's; what it runs is forward.
            skip = ".__call__" if notation == "torch" else "nothing"
            yield from ((described, notation, name) for name in names if not name.endswith(skip))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.all_names[0])
def test_signature_and_docstring_are_those_that_help_shows(entry):
    for described, notation, name in callables(entry):
        thing = resolve(name)
        text = package_source.docstring(described.definitions[notation])
        assert inspect.getdoc(thing) == text
        if len(described.texts) == 1:  # one is shown for all
            ((first, shown),) = described.texts.items()
            assert shown.replace(f"rnnlab.{first}", "") == text.replace(f"rnnlab.{notation}", "")
        if inspect.isclass(thing) and not {"__init__", "_fields"} & vars(thing).keys():
            continue  # what it inherits is no signature of its own
        signature = inspect.signature(thing)
        free = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        free = [p for p in free if p.name != "self"]
        signature = signature.replace(parameters=free, return_annotation=signature.empty)
        assert described.signature == f"{described.name}{signature}"


def test_everything_public_has_an_example_that_runs_as_a_doctest():
    without = {"rnnlab.plot.use_style"}  # it would change every figure that comes after it
    for name in set(public()) - without:
        entry = NAMES[name]
        for text in entry.texts.values():
            assert text, name
            assert ">>>" in text or entry.first.is_attribute, name


def marks(name):
    entry = NAMES[name]
    return {m.name: set(m.definitions) for m in entry.members}


def test_what_only_some_notations_have_is_known():
    rnn = marks("rnnlab.torch.RNN")
    assert rnn["backward"] == rnn["record"] == {"numpy"}
    assert rnn["run"] == {"numpy", "torch", "tensorflow"}
    assert rnn["initial_state"] == {"numpy", "torch", "tensorflow"}
    # PyTorch writes the call as forward.
    assert marks("rnnlab.torch.layers.Layer")["__call__"] == {"numpy", "torch", "tensorflow"}


def test_source_is_the_code_without_the_docstring():
    thing = NAMES["rnnlab.numpy.LSTMCell"].definitions["numpy"]
    code = package_source.source(thing)
    assert code.startswith("class LSTMCell(Cell):\n    gates = 4\n")
    assert "c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)" in code
    assert "Hochreiter" not in code


DIALECT = """With ``a = x`` and *b*, see :func:`fit`:

    h' = tanh(a)
      where a < b

xs (B, T), ys (B, T): what is read;
    on two lines.
lr: the rate,
"float32"; steps, clip: two. more: not an argument.
Raises ValueError if a_ is |b|,
or c.

prose: with a colon, that
goes on here.

* one,
  on two lines
* two

>>> 1 + 1
2
"""


def test_the_parts_of_a_docstring():
    found = docstrings.parse(DIALECT, ["xs", "lr", "steps", "clip"], refdoc="page")
    assert [type(node).__name__ for node in found] == [
        "paragraph", "literal_block", "definition_list", "paragraph", "paragraph", "bullet_list",
        "literal_block",
    ]  # fmt: skip
    text, equation, arguments, raises, prose, points, example = found
    marked = [type(part).__name__ for part in text if not isinstance(part, nodes.Text)]
    assert marked == ["literal", "emphasis", "pending_xref"]
    assert equation.astext() == "h' = tanh(a)\n  where a < b"
    assert [part.astext() for part in arguments] == [
        "xs (B, T), ys (B, T)\n\nwhat is read; on two lines.",
        'lr\n\nthe rate, "float32".',  # the semicolon would be left dangling
        "steps, clip\n\ntwo. more: not an argument.",
    ]
    assert raises.astext() == "Raises ValueError if a_ is |b|, or c."
    assert prose.astext() == "prose: with a colon, that goes on here."
    assert [point.astext() for point in points] == ["one, on two lines", "two"]
    assert (example["language"], example.astext()) == ("pycon", ">>> 1 + 1\n2")


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A page with everything and one that refers to it, built where nothing can be imported."""
    folder = tmp_path_factory.mktemp("book")
    (folder / "index.md").write_text(
        "# All\n\n```{api-overview} notations shared\n```\n\n"
        "{py:func}`rnnlab.torch.fit` {py:class}`~rnnlab.torch.LSTM` {py:mod}`rnnlab.text`\n"
        "{py:meth}`rnnlab.numpy.RNN.backward` {py:meth}`rnnlab.tensorflow.GRUCell.project`\n"
        "{py:meth}`rnnlab.torch.RNN.run` {py:mod}`rnnlab.tensorflow`\n\n"
        "```{toctree}\nentries\n```\n",
        encoding="utf-8",
    )
    (folder / "entries.md").write_text("# Entries\n\n```{api} notations shared\n```\n")
    (folder / "conf.py").write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / '_ext')!r})\n"
        "for name in ('numpy', 'matplotlib', 'torch', 'tensorflow', 'rnnlab'):\n"
        "    sys.modules[name] = None  # an import of it fails\n"
        "extensions = ['myst_parser', 'sphinx_design', 'api_reference']\n"
    )
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "-n",
        "-b",
        "html",
        folder,
        folder / "html",
    ]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    return folder / "html"


def test_every_target_of_the_pages_exists_in_python_and_every_name_is_one(book):
    with (book / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, uri: uri)
    targets = {n: k for k, found in inventory.items() if k.startswith("py:") for n in found}
    assert set(NAMES) <= set(targets)
    for name, kind in targets.items():
        # An attribute of an instance is not one of its class.
        resolve(name if kind != "py:attribute" else name.rpartition(".")[0])


def test_a_page_marks_what_only_some_notations_have(book):
    html = (book / "entries.html").read_text(encoding="utf-8")
    mark = r'<dt [^>]*id="rnnlab\.{}"(?:(?!</dt>).)*class="api-only[^>]*>(.*?)</dt>'
    (found,) = re.findall(mark.format(r"numpy\.RNN\.backward"), html, re.DOTALL)
    assert re.sub("<.*?>", "", found).startswith("NumPy only")
    assert not re.findall(mark.format(r"numpy\.RNN"), html, re.DOTALL)
    assert html.count("rnnlab.tensorflow.LSTM</") == 1
