"""Make the built pages need nothing from other hosts, and light enough to be ready within a second.

* Jupyter Book loads ``sphinx-thebe`` even where it is switched off, and so puts the address of a
  CDN on every page, twice: a JavaScript error. Its files are dropped.
* Scripts wait until the page is read. Only the search page's own need them earlier.
* In code, names and punctuation have the colour of text. Without an element around each of them a
  page is a third shorter.
* The theme asks every code block for its width when a page is read, and so has all of the page laid
  out at once. assets/book.js asks when a block is seen, so the theme need not.
* A figure is read when the reader comes near it. Its size is written beside it, so that its room
  is kept until then.
* The formulas are made by typeset_math.py. How the theme's scripts are cut down is written in
  _templates/layout.html.
"""

import re
from pathlib import Path

from pygments.formatters import HtmlFormatter
from pygments.token import Name, Punctuation, Whitespace
from sphinx.highlighting import PygmentsBridge
from sphinx.util import logging

logger = logging.getLogger(__name__)

UNCOLOURED = (Name, Punctuation, Whitespace)
# Scripts in the page's own text set values in the first; the second holds a font that sets heights.
NEEDED_AT_ONCE = ("documentation_options.js", "math.js")

FIGURE = re.compile(r'<img (?=[^>]*src="(?:\.\./)*(_images/[^"/]+\.svg)")')
SIZE = re.compile(r'<svg\b[^>]*?\swidth="([\d.]+)pt"\sheight="([\d.]+)pt"')
PIXELS = 96 / 72  # of CSS, in a point

ASKS_FOR_WIDTHS = r'\["pre","\.nboutput > \.output_area"[^\]]*'


class LightFormatter(HtmlFormatter):
    def _get_css_classes(self, ttype):
        return "" if ttype in UNCOLOURED else super()._get_css_classes(ttype)


def name_of(file):
    return str(getattr(file, "filename", None) or "")


def deferred(script):
    """The script, to be run when the page is read. A copy, for all pages share the original."""
    if not name_of(script) or any(name in name_of(script) for name in NEEDED_AT_ONCE):
        return script
    attributes = {**script.attributes, "defer": "defer"}
    return type(script)(script.filename, priority=script.priority, **attributes)


def lighten(app, pagename, templatename, context, doctree):
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in name_of(script)
        and "THEBE_JS_URL" not in getattr(script, "attributes", {}).get("body", "")
    ]
    context["css_files"] = [
        file for file in context.get("css_files", []) if "thebe" not in name_of(file)
    ]
    if pagename != "search":
        context["script_files"] = [deferred(script) for script in context["script_files"]]


def quieten(app, exception):
    if exception is None and app.builder.format == "html":
        script = Path(app.outdir) / "_static" / "scripts" / "pydata-sphinx-theme.js"
        text, count = re.subn(ASKS_FOR_WIDTHS, '[":not(*)"', script.read_text(encoding="utf-8"))
        if count != 1:
            logger.warning("the theme's script has changed: %s", script, type="offline")
        script.write_text(text, encoding="utf-8")


def late_figures(app, exception):
    """Have browsers read a figure when it is nearly seen, and keep its room before."""
    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    sizes = {}
    for figure in (out / "_images").glob("*.svg"):
        size = SIZE.search(figure.read_text(encoding="utf-8"))
        if size is None:
            logger.warning("a figure without a size in points: %s", figure, type="offline")
        else:
            sizes[f"_images/{figure.name}"] = [
                round(float(side) * PIXELS) for side in size.groups()
            ]

    def late(match):
        if match[1] not in sizes:
            return match[0]
        width, height = sizes[match[1]]
        return f'<img loading="lazy" width="{width}" height="{height}" '

    for page in out.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        page.write_text(FIGURE.sub(late, html), encoding="utf-8")


def setup(app):
    PygmentsBridge.html_formatter = LightFormatter
    # 900: after the handlers that add scripts to the page
    app.connect("html-page-context", lighten, priority=900)
    app.connect("build-finished", quieten)
    app.connect("build-finished", late_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
