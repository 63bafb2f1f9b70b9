"""Typeset every formula when the book is built, so that a page shows it at once, without a script.

MathJax, from the PyPI package ``sphinx-mathjax-offline``, runs here in QuickJS, a small JavaScript
engine. What a page gets is what MathJax would have made of it in the browser: HTML whose every
character has its width written down, so that nothing moves when the fonts arrive, and MathML beside
it for screen readers. TeX that MathJax does not understand is a warning, and so an error in a build
with ``-W``.
"""

import base64
import html
import json
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import quickjs
from docutils import nodes
from sphinx.util import logging
from sphinx.util.fileutil import copy_asset
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)

MATHJAX = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
FONTS = "output/chtml/fonts"
# The parts of MathJax, each after those that it needs, and the extensions of TeX that are loaded.
PARTS = ["loader", "core", "adaptors/liteDOM", "input/tex", "output/chtml", f"{FONTS}/tex"]
PARTS += ["a11y/assistive-mml"]
PACKAGES = ["base", "ams", "newcommand"]
STYLES = "math.css"
# Boxes around characters take their height from MathJax's first font, in which all heights are
# zero. Until it has come they are taller, and then the page moves. A style can only ask for a font,
# and has it a moment later; a script that holds it has it there before the page is first drawn.
FIRST = "MathJax_Zero.woff"
FIRST_SCRIPT = "math.js"
HAVE_FIRST = """const bytes = Uint8Array.from(atob('%s'), byte => byte.charCodeAt(0));
document.fonts.add(new FontFace('MJXFIRST', bytes));
"""

# ``convert`` and ``styles`` answer in JSON: QuickJS joins long strings late, and its wrapper cannot
# hand over one that is not joined yet.
SCRIPT = """
const parts = MathJax._, adaptor = parts.adaptors.liteAdaptor.liteAdaptor();
const handler = parts.handlers.html_ts.RegisterHTMLHandler(adaptor);
parts.a11y['assistive-mml'].AssistiveMmlHandler(handler);
const font = new parts.output.chtml.fonts.tex_ts.TeXFont({fontURL: 'mathjax'});
const output = new parts.output.chtml_ts.CHTML({font});
const input = new parts.input.tex_ts.TeX({
    packages: %s, formatError: (jax, error) => { throw new Error(error.message) }});
const page = parts.mathjax.mathjax.document('', {InputJax: input, OutputJax: output});

function convert(tex, display) {
    try {
        return JSON.stringify({html: adaptor.outerHTML(page.convert(tex, {display}))});
    } catch (error) {
        return JSON.stringify({error: error.message});
    }
}
function styles() {
    return JSON.stringify(adaptor.textContent(output.styleSheet(page)));
}
"""


def first_font():
    return base64.b64encode((MATHJAX / FONTS / "woff-v2" / FIRST).read_bytes()).decode()


class Typesetter:
    """MathJax, started at the first formula."""

    def __init__(self):
        self.context = None
        self.done = {}

    def start(self):
        self.context = quickjs.Context()
        self.context.eval("globalThis.MathJax = {startup: {ready() {}, typeset: false}}; 0")
        for part in PARTS:
            self.context.eval((MATHJAX / f"{part}.js").read_text(encoding="utf-8") + "\n; 0")
        self.context.eval(SCRIPT % json.dumps(PACKAGES) + "\n; 0")

    def call(self, function, *arguments):
        if self.context is None:
            self.start()
        values = ", ".join(json.dumps(argument) for argument in arguments)
        return json.loads(self.context.eval(f"{function}({values})"))

    def __call__(self, tex, display):
        """The HTML of a formula; ValueError, with MathJax's reason, if it is none."""
        key = (tex, display)
        if key not in self.done:
            self.done[key] = self.call("convert", tex, display)
        if "error" in self.done[key]:
            raise ValueError(self.done[key]["error"])
        return self.done[key]["html"]

    def styles(self):
        """The CSS that the formulas made so far need."""
        css = self.call("styles")
        # Chromium asks for a font when those before it are there: the first one is no file.
        for old, new in [
            ("font-family: MJXZERO,", "font-family: MJXFIRST, MJXZERO,"),
            (f"mathjax/{FIRST}", f"data:font/woff;base64,{first_font()}"),
        ]:
            assert old in css, f"MathJax's styles have no {old}"
            css = css.replace(old, new)
        return css


typeset = Typesetter()


def tex_of(node):
    """The TeX of a math node. Like Sphinx's own: an empty line parts two lines of one display."""
    text = node.astext()
    if isinstance(node, nodes.math) or node["nowrap"]:
        return text
    lines = [line for line in text.split("\n\n") if line.strip()]
    lines = [rf"\begin{{split}}{line}\end{{split}}" if r"\\" in line else line for line in lines]
    if len(lines) == 1:
        return lines[0]
    return r"\begin{align}\begin{aligned}" + r"\\".join(lines) + r"\end{aligned}\end{align}"


def made_of(node):
    tex = tex_of(node)
    try:
        return typeset(tex, isinstance(node, nodes.math_block))
    except ValueError as error:
        message = "MathJax does not understand this formula: %s: %s"
        logger.warning(message, error, tex, location=node, type="math")
        return f"<code>{html.escape(tex)}</code>"


def visit_inline(self, node):
    start = self.starttag(node, "span", "", CLASS="math notranslate nohighlight")
    self.body.append(f"{start}{made_of(node)}</span>")
    raise nodes.SkipNode


def visit_block(self, node):
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(f"{made_of(node)}</div>\n")
    raise nodes.SkipNode


def choose_renderer(app, config):
    config.html_math_renderer = "typeset"


def write_styles(app, env):
    """Write what all pages need, before the pages: their links to the styles hold its checksum."""
    if app.builder.format != "html":
        return
    for name in env.found_docs:
        for node in env.get_doctree(name).findall(nodes.Element):
            if isinstance(node, (nodes.math, nodes.math_block)):
                with suppress(ValueError):  # the warning comes with the page
                    typeset(tex_of(node), isinstance(node, nodes.math_block))
    static = Path(app.outdir) / "_static"
    copy_asset(MATHJAX / FONTS / "woff-v2", static / "mathjax")
    (static / STYLES).write_text(typeset.styles(), encoding="utf-8")
    (static / FIRST_SCRIPT).write_text(HAVE_FIRST % first_font(), encoding="utf-8")


def setup(app):
    app.add_html_math_renderer("typeset", (visit_inline, None), (visit_block, None))
    app.connect("config-inited", choose_renderer)
    app.connect("env-updated", write_styles)
    app.add_css_file(STYLES)
    app.add_js_file(FIRST_SCRIPT)
    # Not parallel_write_safe: the pages share one MathJax.
    return {"parallel_read_safe": True, "parallel_write_safe": False}
