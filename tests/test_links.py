"""Names of the package, the glossary's terms and lab boxes have links, and nothing else has."""

import re
import subprocess
import sys
from pathlib import Path

import api_reference
import links
import nbformat
import notebooks
import package_source
import pytest
import yaml
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).parents[1]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))

GLOSSARY = """# Glossary

```{glossary}
batch
    Rows.

bit
    A unit, and a unit that is no link; see `RNN`.

gate
    What lets through.

output
    What comes out.

output gate
    A gate for the output.

vocabulary
    Symbols.

LSTM
    A cell.

time major
    An order.
```
"""
TEXT = """# A batch of `RNN`

Output gates open. Then a gate, one gate more, and **vocabularies**; the batches, a batch.
It bites a bit. Time-major.
Two outputs of a
tiny bit. [bit](https://example.org/), `bit`, $bit$, megabit, bit-wise, BIT. lstm, LSTMs.

## An LSTM

    LSTM

`RNN`, `RNN(cell)`, `rnnlab.text.windows`, `Vocabulary.from_text`, `step`, `fit()`, `LSTM`.
`nn.RNN`, `keras.layers.LSTM`, `GRU`, `RNN cell`, `output`, `view`, `x = fit(y)`, `[GRU](https://example.org/)`.
[`fit`](https://example.org/)

:::{admonition} Lecture labs 1 and 2: `one`
:class: lab

Text.
:::

:::{admonition} Lecture lab: not of the class
Text.
:::
"""
EXPLICIT = "# Explicit\n\nA {term}`gate <gate>`, a gate. An output, an {term}`output`.\n"
NOTEBOOK = [
    new_markdown_cell("# Notebook\n\n`windows`, `read`, `Adam`, `mine`, `Linear`, `GRU`."),
    new_code_cell("from rnnlab.series import windows\nfrom rnnlab.numpy import Adam as mine"),
    new_code_cell("from torch.optim import Adam\n%time x = 1\ndef read():\n    pass"),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages of a small book, and what Sphinx warned of."""
    folder = tmp_path_factory.mktemp("book")
    (folder / "glossary.md").write_text(GLOSSARY)
    (folder / "text.md").write_text(TEXT)
    (folder / "explicit.md").write_text(EXPLICIT)
    (folder / "which.md").write_text("# Which\n\n`windows`\n")
    (folder / "labs.md").write_text("# Labs\n\nAll.\n")
    (folder / "api.md").write_text("# Entries\n\n```{api} notations shared\n```\n")
    nbformat.write(
        new_notebook(cells=NOTEBOOK, metadata=notebooks.METADATA), folder / "notebook.ipynb"
    )
    (folder / "index.md").write_text("# All\n\n```{toctree}\n:glob:\n[a-z]*\n```\n")
    (folder / "conf.py").write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / '_ext')!r})\n"
        "extensions = ['myst_nb', 'sphinx_design', 'api_reference', 'links']\n"
        "myst_enable_extensions = ['dollarmath', 'colon_fence']\n"
        "nb_execution_mode = 'off'\nlabs_page = 'labs'\nexclude_patterns = ['html']\n"
        "other_meanings = {'text': ['a bit', 'tiny bit', '`GRU`'], 'notebook': ['`GRU`']}\n"
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-n", folder, folder / "html"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    found = {}
    for name in ("glossary", "text", "explicit", "which", "notebook", "api"):
        html = (folder / "html" / f"{name}.html").read_text(encoding="utf-8")
        found[name] = BeautifulSoup(html, "html.parser").find("div", role="main")
    return found, [line for line in built.stderr.splitlines() if "WARNING" in line]


def linked(page, where):
    """(text, target) of the links to a page."""
    return [
        (" ".join(a.get_text().split()), a["href"].partition("#")[2])
        for a in page.select(f'a[href^="{where}.html"]')
    ]


def test_terms_have_a_link_where_a_page_first_uses_them(pages):
    assert linked(pages[0]["text"], "glossary") == [
        ("Output gates", "term-output-gate"),
        ("gate", "term-gate"),
        ("vocabularies", "term-vocabulary"),
        ("batches", "term-batch"),
        ("Time-major", "term-time-major"),
        ("outputs", "term-output"),
        ("LSTMs", "term-LSTM"),
    ]


def test_a_term_that_has_a_link_already_gets_no_other(pages):
    found = linked(pages[0]["explicit"], "glossary")
    assert found == [("gate", "term-gate"), ("output", "term-output"), ("output", "term-output")]


def test_the_glossary_does_not_lead_to_itself(pages):
    assert pages[0]["glossary"].select("a .std-term") == []
    assert linked(pages[0]["glossary"], "api") == [("RNN", "rnnlab.numpy.RNN")]


def test_names_of_the_package_lead_to_their_entries(pages):
    assert linked(pages[0]["text"], "api") == [
        ("RNN", "rnnlab.numpy.RNN"),
        ("RNN(cell)", "rnnlab.numpy.RNN"),
        ("rnnlab.text.windows", "rnnlab.text.windows"),
        ("Vocabulary.from_text", "rnnlab.text.Vocabulary.from_text"),
        ("step", "rnnlab.numpy.RNNCell.step"),
        ("fit()", "rnnlab.numpy.fit"),
        ("LSTM", "rnnlab.numpy.LSTM"),
    ]


def test_a_notebook_says_by_its_code_which_names_are_whose(pages):
    assert linked(pages[0]["notebook"], "api") == [
        ("windows", "rnnlab.series.windows"),
        ("mine", "rnnlab.numpy.Adam"),
    ]


def test_an_ambiguous_name_is_a_warning(pages):
    assert linked(pages[0]["which"], "api") == []
    (warning,) = pages[1]
    assert "which.md" in warning
    assert "`windows` may be any of rnnlab.series.windows, rnnlab.text.windows" in warning


def test_a_lab_box_leads_to_the_labs(pages):
    assert linked(pages[0]["text"], "labs") == [("Lecture labs", "")]
    title = pages[0]["text"].select_one(".admonition.lab .admonition-title")
    assert title.get_text() == "Lecture labs 1 and 2: one"


def test_no_heading_has_a_link_but_its_own(pages):
    for page in pages[0].values():
        for heading in page.select("h1, h2, h3"):
            assert [a["class"] for a in heading.select("a")] in ([], [["headerlink"]])


def test_the_methods_that_are_called_by_their_names_alone_exist():
    names = links.public()
    assert all(names[method] == names[method.rpartition(".")[2]] for method in links.METHODS)


def described(text):
    """The docstrings that the directives of an API page show."""
    sections = package_source.read()
    for words, options in re.findall(r"```{api} (.*)\n((?::.*\n)*)```", text):
        (without,) = re.findall(r":without: (.*)", options) or [""]
        for key in api_reference.choose(sections, words.split(), without.split()):
            yield sections[key].text
            for entry in sections[key].entries:
                for part in (entry, *entry.members):
                    yield from part.texts.values()


@pytest.mark.parametrize("page", CONFIG["sphinx"]["config"]["other_meanings"])
def test_every_other_meaning_stands_on_its_page(page):
    phrases = CONFIG["sphinx"]["config"]["other_meanings"][page]
    (path,) = ROOT.glob(f"{page}.*")
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        page_text = path.read_text(encoding="utf-8")
        text = "\n".join([page_text, *described(page_text)])
    text = re.sub(r"\{term\}`([^`<]*?)(?: <.*?>)?`|\*", r"\1", text)
    missing = [phrase for phrase in phrases if phrase not in " ".join(text.split())]
    assert not missing
