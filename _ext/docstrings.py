"""The package's docstrings, plain text to be read by ``help()``, as nodes of a page.

What a docstring may hold, blocks being apart by an empty line:

    a paragraph            with ``code``, *stress* and :func:`references`
    an indented block      an equation or a layout: shown as it stands
    >>> an example         with what it prints
    * a point              of a list; its further lines are indented
    name: a meaning        of an argument in the signature, at the start of a line or a sentence
    xs (B, T): a meaning   of anything with a shape; several names may stand before the colon
    "name": a meaning      of a string
    Raises ...             a paragraph of its own, whatever stands above it
"""

import re
from itertools import groupby

from docutils import nodes
from sphinx import addnodes

INLINE = re.compile(
    r"""``(?P<code>.+?)``|(?P<string>"[\w./-]+")|:(?P<role>\w+):`(?P<target>.+?)`"""
    r"""|(?<![\w*])\*(?P<stress>\w[^*\n]*?)\*(?!\w)"""
)
NAME = r"""(?:[A-Za-z_]\w*|"[^"]*")(?: \([^()]*\))?"""
TERMS = re.compile(rf"(?=(?P<name>\w*)){NAME}(?:, {NAME})*(?=: )")
BEGINNING = re.compile(rf"(?<=[.;]) (?={TERMS.pattern})")
STATEMENT = re.compile(r"(?:Raises|Returns) ")


def inline(text, **context):
    """The nodes of a line of text. ``context`` says where a reference is to be looked up."""
    found, end = [], 0
    for match in INLINE.finditer(text):
        found.append(nodes.Text(text[end : match.start()]))
        end = match.end()
        if code := match["code"] or match["string"]:
            found.append(nodes.literal("", code))
        elif match["stress"]:
            found.append(nodes.emphasis("", match["stress"]))
        else:
            found.append(reference(match["role"], match["target"], **context))
    return [*found, nodes.Text(text[end:])]


def reference(role, target, label=None, **context):
    """A reference to a Python object; a build with ``-n`` warns where there is none."""
    call = "()" if role in ("func", "meth") else ""
    name = nodes.literal("", label or f"{target}{call}", classes=["xref", "py", f"py-{role}"])
    return addnodes.pending_xref(
        "", name, refdomain="py", reftype=role, reftarget=target, refwarn=True, **context
    )


def parse(text, parameters=(), **context):
    """The nodes of a docstring whose indentation is removed (``inspect.cleandoc``)."""
    found = []
    for filled, lines in groupby(text.splitlines(), key=bool):
        if filled:
            found += block(list(lines), parameters, context)
    return found


def block(lines, parameters, context):
    """The nodes of lines between two empty ones."""
    indent = min(len(line) - len(line.lstrip()) for line in lines)
    if lines[0].startswith(">>>"):
        return [literal(lines, "pycon")]
    if indent >= 4:
        return [literal([line[indent:] for line in lines], "text")]
    parts = []  # lines that begin something, and what goes on from them
    for line in lines:
        if not parts or line.startswith("* ") or STATEMENT.match(line) or term(line, parameters):
            parts.append(line)
        else:
            parts[-1] += f" {line.strip()}"
    items = [item(text, parameters) for part in parts for text in sentences(part, parameters)]
    return [
        node
        for kind, run in groupby(items, key=lambda found: found[0])
        for node in MAKE[kind](list(run), context)
    ]


def term(text, parameters):
    """What a text explains, if it begins so; else ``None``."""
    match = TERMS.match(text)
    known = match and (match[0][0] == '"' or "(" in match[0] or match["name"] in parameters)
    return match[0] if known else None


def sentences(text, parameters):
    """The text, cut where a sentence begins with an argument and a colon."""
    start = 0
    for match in BEGINNING.finditer(text):
        if match["name"] in parameters:
            before = text[start : match.start()]
            yield f"{before[:-1]}." if before.endswith(";") else before
            start = match.end()
    yield text[start:]


def item(text, parameters):
    """The kind of a text, what it explains, and the rest."""
    if text.startswith("* "):
        return "point", None, text[2:]
    if name := term(text, parameters):
        return "term", name, text.removeprefix(f"{name}: ")
    return "text", None, text


def literal(lines, language):
    code = "\n".join(lines)
    return nodes.literal_block(code, code, language=language, classes=[f"api-{language}"])


def paragraphs(parts, context):
    return [nodes.paragraph("", "", *inline(text, **context)) for _, _, text in parts]


def points(parts, context):
    return [
        nodes.bullet_list(
            "", *(nodes.list_item("", node) for node in paragraphs(parts, context)), bullet="*"
        )
    ]


def definitions(parts, context):
    found = nodes.definition_list(classes=["api-arguments"])
    for term, text in zip(parts, paragraphs(parts, context), strict=True):
        name = nodes.term("", "", nodes.literal("", term[1]))
        found += nodes.definition_list_item("", name, nodes.definition("", text))
    return [found]


MAKE = {"text": paragraphs, "point": points, "term": definitions}
