"""Keep on one line what its end must not part: a word and its number, a shape, a product.

Pages are read on phones, where a line ends after some forty letters. In prose, captions and titles
these spaces hold: "chapter 5", "TensorFlow 1", "(B, T, 2H)", "2 × 2", "4 of 7", "27.6 s"; in a
longer sum, a sign stays with what follows it. So do the hyphens of "->" and "2-gram". Code and
formulas stay as they are, and so do the sources: nobody has to type a space that cannot be seen.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

SPACE, JOINER = "\u00a0", "\u2060"
CODE = (
    nodes.literal, nodes.FixedTextElement, nodes.math, nodes.raw, nodes.Invisible,
    addnodes.desc_signature, addnodes.index,
)  # fmt: skip

# What may stand in a shape or a pair: 5, 2H, G·H, I + H, h_n, a word for an axis, three dots.
ENTRY = r"(?:[-−]?\d[\d.]*|\d*[A-Z](?:[·*]?\d*[A-Z])*|[a-z](?:_\w)?|layers|\.{3}|…)"
ENTRY = rf"{ENTRY}(?: [+−·*] {ENTRY})?"
NAMED = r"\b(?:[Cc]hapters?|[Ee]xercises?|[Ll]abs?|[Ss]teps?|[Rr]ows?|[Ll]ayers?|[Ll]evels?|"
NAMED += r"TensorFlow|Keras|Fig\.|Table) \d"
TOGETHER = re.compile(
    rf"{NAMED}"
    rf"|\((?:{ENTRY}, )+{ENTRY}\)"  # a shape
    r"|(?<=\S) [×·] (?=\S)|(?<=\d) / (?=\d)"  # a product, a quotient
    r"|(?<!\S)[^\s()]{1,3} → [^\s()]{1,3}(?!\S)"
    r"|(?<=\s)(?:[-+−=<>≤≥≈→]|->|<=|>=) (?=\S)"  # a sign, and what follows it
    r"|\b\d+ of \d+\b"
    r"|\b\d[\d,.]* (?:s|ms|[KMG]i?B|nats?|bits?)\b"
    r"|(?<=\d)/(?=√)"
    r"|-(?=grams?\b)"
)


def kept(text):
    """The text with its spaces made to hold where they must."""
    return TOGETHER.sub(lambda match: hold(match[0]), text)


def hold(found):
    if found in "/-":
        return found + JOINER
    return found.replace(" ", SPACE).replace("->", f"-{JOINER}>")


class NoBreaks(SphinxPostTransform):
    default_priority = 900  # after all that makes text: numbers, references, links

    def run(self, **kwargs):
        for text in list(self.document.findall(nodes.Text)):
            if not inside_code(text) and (better := kept(text)) != text:
                text.parent.replace(text, nodes.Text(better))


def inside_code(node):
    while node := node.parent:
        if isinstance(node, CODE):
            return True
    return False


def setup(app):
    app.add_post_transform(NoBreaks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
