"""Links that nobody has to write.

* Inline code that is a name of the package, such as ``RNN``, ``rnnlab.text.windows`` or
  ``CharLM(vocabulary, layer)``, leads to its entry in the API reference. ``nn.LSTM`` is no name of
  the package, nor is one that the page's own code defines or imports from elsewhere.
* The first time that a page uses a term of the glossary, the term leads there.
* The title of a lab box leads to the page of labs.

Headings, captions, code and links stay as they are. Where words mean something else, Keras'
``LSTM`` or the temperature of a room, ``other_meanings`` in ``_config.yml`` says so for the page:
the words, with so much around them that others are still found, or inline code in its backticks.
"""

import ast
import re
from pathlib import Path

import package_source
import stored
from docutils import nodes
from page_head import PageHead
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)

CLOSED = (  # what neither has a link put into it nor is prose
    nodes.reference, addnodes.pending_xref, nodes.title, nodes.caption, nodes.rubric, nodes.term,
    nodes.FixedTextElement, nodes.math, PageHead, nodes.Invisible, nodes.raw, nodes.citation,
    addnodes.desc_signature, addnodes.index,
)  # fmt: skip
CALL = re.compile(r"(?P<name>[A-Za-z_][\w.]*)(?P<arguments>\(.*\))?", re.DOTALL)
# Of the methods, the text calls these by their names alone.
METHODS = ("Vocabulary.encode", "Cell.project", "RNNCell.step", "RNN.record")
LAB = re.compile(r"Lecture labs?")


class Links(SphinxPostTransform):
    default_priority = 5  # before Sphinx looks up what references lead to (10)

    def run(self, **kwargs):
        page = self.env.docname
        others = self.config.other_meanings.get(page, ())
        codes = {phrase[1:-1] for phrase in others if phrase.startswith("`")}
        phrases = [phrase for phrase in others if not phrase.startswith("`")]
        parts = list(prose(self.document))
        link_labs(self.document, self.config.labs_page, page)
        if not any(self.document.findall(addnodes.glossary)):
            objects = self.env.domains["std"].objects
            terms = Terms((name for kind, name in objects if kind == "term"), phrases)
            link_terms(parts, terms, page)
        if not any(self.document.findall(addnodes.desc)):  # the API pages say what they mean
            names = names_of(Path(self.env.doc2path(page)))
            link_names(parts, names, codes, page)


def prose(node):
    """The texts, inline code and references of a page, in their order."""
    for child in node.children:
        if isinstance(child, nodes.Text | nodes.literal | addnodes.pending_xref):
            yield child
        elif not isinstance(child, CLOSED):
            yield from prose(child)


class Terms:
    """Finds terms in a text as they stand, capitalised or in the plural; not inside ``phrases``."""

    def __init__(self, terms, phrases=()):
        longest = sorted(terms, key=len, reverse=True)  # "output gate" before "gate"
        self.terms = [*[None] * len(phrases), *longest]
        patterns = [re.escape(phrase).replace(r"\ ", r"\s+") for phrase in phrases]
        patterns += [self.pattern(term) for term in longest]
        found = "|".join(f"(?P<t{k}>{pattern})" for k, pattern in enumerate(patterns))
        self.found = re.compile(rf"(?<![\w-])(?:{found})(?![\w-])")

    @staticmethod
    def pattern(term):
        start = term[0]
        start = f"[{start}{start.upper()}]" if start.islower() else re.escape(start)
        rest = re.escape(term[1:]).replace(r"\ ", r"[-\s]")
        if re.search("(?:s|x|ch|sh)$", term):
            return f"{start}{rest}(?:es)?"
        if re.search("[^aeiou]y$", term):
            return f"{start}{rest[:-1]}(?:y|ies)"
        return f"{start}{rest}s?"

    def __call__(self, text):
        """Yield (term, start, end) for each place where one stands."""
        for match in self.found.finditer(text):
            if term := self.terms[int(match.lastgroup[1:])]:
                yield term, *match.span()


def link_terms(parts, terms, page):
    used = set()
    for part in parts:
        if isinstance(part, addnodes.pending_xref):
            if part["reftype"] == "term":
                used.add(part["reftarget"].lower())
        elif isinstance(part, nodes.Text) and isinstance(part.parent, nodes.Element):
            text, made, end = part.astext(), [], 0
            for term, start, stop in terms(text):
                if term.lower() in used:
                    continue
                used.add(term.lower())
                words = nodes.inline("", text[start:stop], classes=["xref", "std", "std-term"])
                made += [nodes.Text(text[end:start]), reference(words, "std", "term", term, page)]
                end = stop
            if made:
                part.parent.replace(part, [*made, nodes.Text(text[end:])])


def link_names(parts, names, codes, page):
    for part in parts:
        if not isinstance(part, nodes.literal):
            continue
        match = CALL.fullmatch(part.astext())
        if not match or part.astext() in codes:
            continue
        targets = names.get(match["name"], [])
        if len(targets) > 1:
            logger.warning(
                "`%s` may be any of %s: say which, or name it under other_meanings",
                *(match["name"], ", ".join(targets)),
                location=part,
                type="links",
            )
        elif targets:
            parent, at = part.parent, part.parent.index(part)
            code = part.deepcopy()
            code["classes"] += ["xref", "py"]
            parent[at] = reference(code, "py", "obj", targets[0], page)


def link_labs(document, labs_page, page):
    for box in document.findall(nodes.admonition):
        title = box[0]
        match = LAB.match(title.astext())
        if "lab" not in box["classes"] or not match:
            continue
        text = title[0].astext()
        words = nodes.inline("", match[0])
        link = reference(words, "std", "doc", f"/{labs_page}", page)
        title[0:1] = [link, nodes.Text(text[match.end() :])]


def reference(content, domain, kind, target, page):
    return addnodes.pending_xref(
        "", content, refdomain=domain, reftype=kind, reftarget=target, refexplicit=True,
        refwarn=True, refdoc=page,
    )  # fmt: skip


def public():
    """What a page may call the package's things: a name -> their full names, one for each thing."""
    packages = ["rnnlab", *(f"rnnlab.{notation}" for notation in package_source.NOTATIONS)]
    found = {name: {name} for name in packages}

    def add(name, target):
        found.setdefault(name, set()).add(target)

    for section in package_source.read().values():
        for module in section.modules.values():
            add(module.path, module.path)
        for entry in section.entries:
            first = entry.all_names[0]
            add(entry.name, first)
            for full in (*entry.all_names, *entry.aliases):
                add(full, full)
            for member in entry.members:
                name = f"{entry.name}.{member.name}"
                add(name, member.all_names[0])
                if name in METHODS:
                    add(member.name, member.all_names[0])
    return {name: sorted(targets) for name, targets in found.items()}


def names_of(path):
    """What names mean on a page: those of the package, but for those that its code takes."""
    names = public()
    if path.suffix == ".ipynb":
        for name, target in taken(stored.executed(stored.read(path))):
            names[name] = names.get(target, [])
    return names


def taken(cells):
    """Yield (name, full name or None) for each name that code imports or defines."""
    for source in cells:
        python = re.sub(r"^(\s*)[%!].*", r"\1pass", source, flags=re.MULTILINE)
        for node in ast.parse(python).body:
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield alias.asname or alias.name, f"{node.module}.{alias.name}"
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield node.name, None


def setup(app):
    app.add_config_value("other_meanings", {}, "env")
    app.add_config_value("labs_page", "chapters/labs", "env")
    app.add_post_transform(Links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
