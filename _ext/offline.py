"""Make the built pages need nothing from other hosts.

* MathJax is copied into the book from the PyPI package ``sphinx-mathjax-offline``. Its own Sphinx
  extension would copy all of its 24 MB; a page needs a tenth of that.
* Jupyter Book loads ``sphinx-thebe`` even where it is switched off, and so puts the address of a
  CDN on every page, twice: a JavaScript error. Its scripts are dropped.
"""

from importlib.util import find_spec
from pathlib import Path

from sphinx.util.fileutil import copy_asset

MATHJAX = "tex-chtml.js"  # TeX in, HTML and CSS out
MATHJAX_PARTS = (
    MATHJAX,
    "output/chtml/fonts/woff-v2",
    "input/tex/extensions",  # loaded when a formula uses them, \cancel for one
    "a11y",  # what the menu and screen readers load when asked to
    "sre",
)


def use_local_mathjax(app, config):
    config.mathjax_path = f"mathjax/{MATHJAX}"


def copy_mathjax(app, exception):
    if exception is None and app.builder.format == "html":
        source = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
        target = Path(app.outdir) / "_static" / "mathjax"
        for part in MATHJAX_PARTS:
            into = target / part if (source / part).is_dir() else target
            copy_asset(source / part, into)


def drop_thebe(app, pagename, templatename, context, doctree):
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in str(getattr(script, "filename", None) or "")
        and "THEBE_JS_URL" not in getattr(script, "attributes", {}).get("body", "")
    ]


def setup(app):
    app.connect("config-inited", use_local_mathjax)
    # 900: after the handlers that add scripts to the page
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
