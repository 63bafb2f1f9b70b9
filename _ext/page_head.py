"""The head of a chapter: what it needs, how long it takes, and whether its numbers are verified.

What a chapter needs, how long it ran and with which versions stands in the stored notebook
(:mod:`stored`); corpora are found in its code, their size in ``rnnlab/data.py``; how long it takes
to read is counted here.
"""

import ast
import math
import re
from pathlib import Path

import stored
from docutils import nodes
from sphinx import addnodes
from sphinx.errors import ExtensionError

DATA = Path(__file__).parents[1] / "rnnlab" / "data.py"
WORDS_A_MINUTE = 200
SECONDS_FOR = {nodes.image: 15, nodes.math_block: 15}
SECONDS_A_LINE = 3  # of code, read and not skimmed
FOLDED = {"solution", "tag_tensorflow", "tag_remove-cell"}  # of twin cells, one is read
FOLDED_CODE = FOLDED | {"tag_hide-input", "cell_output"}


class PageHead(nodes.Admonition, nodes.Element):
    """The head, beside the text: a page's description, for one, does not begin with it."""


def visit(translator, node):
    translator.body.append(translator.starttag(node, "div", CLASS="page-head"))


def depart(translator, node):
    translator.body.append("</div>\n")


def add_head(app, doctree):
    path = Path(app.env.doc2path(app.env.docname))
    title = next(doctree.findall(nodes.title), None)
    if path.suffix != ".ipynb" or title is None:
        return
    notebook = stored.read(path)
    own = notebook["metadata"].get("rnnlab", {})
    rows = {
        "Needs": needs(app.env, own.get("needs", []), corpora(notebook)),
        "Takes": takes(doctree, own.get("verified")),
        "Numbers": numbers(app.env, own.get("verified"), stored.is_verified(notebook)),
    }
    items = nodes.definition_list()
    for term, content in rows.items():
        definition = nodes.definition("", nodes.paragraph("", "", *content))
        items += nodes.definition_list_item("", nodes.term("", term), definition)
    title.parent.insert(title.parent.index(title) + 1, PageHead("", items))


def needs(env, chapters, texts):
    parts = [[nodes.Text(f"{number(name)}, "), link(env, name)] for name in chapters]
    parts += [[nodes.Text(text)] for text in texts]
    if not parts:
        return [nodes.Text("no earlier chapter")]
    return [node for part in parts for node in (*part, nodes.Text("; "))][:-1]


def number(name):
    """What the text calls a chapter: "chapter 2"."""
    found = re.match(r"(\d+)_", name)
    if not found:
        raise ExtensionError(f"rnnlab.needs: {name!r} is no chapter")
    return f"chapter {int(found[1])}"


def link(env, name):
    """A link to a chapter, by its title."""
    return addnodes.pending_xref(
        "", nodes.inline("", name), refdomain="std", reftype="doc", refwarn=True,
        reftarget=name, refexplicit=False, refdoc=env.docname,
    )  # fmt: skip


def corpora(notebook):
    """The corpora that the code loads; series and short texts are in the package."""
    code = "\n".join(stored.executed(notebook))
    tree = ast.parse(DATA.read_text(encoding="utf-8"))
    (known,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "_CORPORA"
    )
    for name, about in known.items():
        if re.search(rf"""\bload\(\s*["']{name}["']""", code):
            size = f"{about['bytes'] / 1e6:.1f} MB"
            yield f"the text “{name}” ({size}, downloaded at the first run)"


def takes(doctree, verified):
    text = f"{reading_minutes(doctree)} minutes to read"
    if verified:
        seconds = verified["seconds"]
        run = f"{seconds} seconds" if seconds < 60 else f"{seconds / 60:g} minutes"
        run = "a minute" if seconds == 60 else run
        text += f", about {run} to run on a CPU"
    return [nodes.Text(text)]


def reading_minutes(doctree):
    """Minutes for what the page shows unfolded, rounded up to fives."""
    words = sum(len(text.astext().split()) for text in shown(doctree, nodes.Text, FOLDED_CODE))
    seconds = words / WORDS_A_MINUTE * 60
    for block in shown(doctree, nodes.literal_block, FOLDED_CODE):
        seconds += SECONDS_A_LINE * len(block.astext().splitlines())
    for kind, seconds_each in SECONDS_FOR.items():
        seconds += seconds_each * len(list(shown(doctree, kind, FOLDED)))
    return 5 * math.ceil(seconds / 60 / 5)


def shown(node, wanted, folded):
    """The nodes of a class, but for what stands in code, formulas and what is folded."""
    closed = nodes.FixedTextElement | nodes.Invisible | nodes.math
    for child in node.children:
        if isinstance(child, wanted):
            yield child
        elif not isinstance(child, nodes.Text | closed) and not folded & set(child["classes"]):
            yield from shown(child, wanted, folded)


def numbers(env, verified, holds):
    link = addnodes.pending_xref(
        "", nodes.inline("", "verified"), refdomain="std", reftype="ref", refwarn=True,
        reftarget="verified", refexplicit=True, refdoc=env.docname,
    )  # fmt: skip
    if not verified:
        return [nodes.Text("not "), link, nodes.Text(": the code was not run as it stands")]
    names = [f"Python {verified['python']}"]
    names += [f"{label} {verified[package]}" for package, label in stored.PACKAGES.items()]
    versions = f"with {', '.join(names[:-1])} and {names[-1]}"
    if holds:
        return [link, nodes.Text(f" {versions}")]
    changed = f": code or an output was changed after the last run, {versions}"
    return [nodes.Text("not "), link, nodes.Text(changed)]


def setup(app):
    app.add_node(PageHead, html=(visit, depart))
    app.connect("doctree-read", add_head)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
