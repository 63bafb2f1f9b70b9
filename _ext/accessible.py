"""Say to screen readers what the theme says to the eye only; let phones break long names."""

import re
from pathlib import Path

MENDS = [
    # the arrow beside a part of the side bar has no name
    (r'<summary>(?=<span class="toctree-toggle")', '<summary aria-label="Pages of this part">'),
    # an icon is a letter that no voice knows
    (r'<(i|span) (class="(?:theme-switch )?fa[srb]?[ -])', r'<\1 aria-hidden="true" \2'),
    # the same anchor in every exercise
    (r' id="(?:exercise|solution)-content"', ""),
    # this role is out of use, and a list holds items only
    (r' role="doc-biblioentry"', ""),
    (r'<div role="list" class="citation-list">', '<div class="citation-list">'),
]


def breakable(match):
    """A long name in code, with places where a line may end: after a joint, not within a word."""
    return re.sub(r"(?<=\w)([_.=(,/:]+)(?=\w)", r"\1<wbr>", match[0])


def mend(html):
    for pattern, better in MENDS:
        html = re.sub(pattern, better, html)
    return re.sub(r'(?<=<span class="pre">)[^<]{12,}(?=</span>)', breakable, html)


def mend_pages(app, exception):
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            html = page.read_text(encoding="utf-8")
            page.write_text(mend(html), encoding="utf-8")


def setup(app):
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
