"""Say to screen readers what the theme's pages say to the eye only, and mend roles that are wrong."""

import re
from pathlib import Path

MENDS = [
    # the arrow beside a part of the side bar has no name
    (r'<summary>(?=<span class="toctree-toggle")', '<summary aria-label="Pages of this part">'),
    # an icon is a letter that no voice knows
    (r'<(i|span) (class="(?:theme-switch )?fa[srb]?[ -])', r'<\1 aria-hidden="true" \2'),
    # this role is out of use, and a list holds items only
    (r' role="doc-biblioentry"', ""),
    (r'<div role="list" class="citation-list">', '<div class="citation-list">'),
]


def mend(html):
    for pattern, better in MENDS:
        html = re.sub(pattern, better, html)
    return html


def mend_pages(app, exception):
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            html = page.read_text(encoding="utf-8")
            page.write_text(mend(html), encoding="utf-8")


def setup(app):
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
