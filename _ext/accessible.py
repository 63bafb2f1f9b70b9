"""Say to screen readers what the theme says to the eye only; end lines where the eye expects it."""

import re
from html import unescape
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


# A formula in the text, with the bracket before it and the marks after it.
FORMULA = re.compile(
    r"[(\u201c]?<span class=\"math notranslate nohighlight\">"
    r"(?:(?!</mjx-container>).)*</mjx-container></span>"
    r"(?:[.,;:!?)\u201d\u2019]|\u2019s\b|-\u2060?grams?\b)+",
    re.DOTALL,
)


def breakable(match):
    """A long name in code, with places where a line may end: after a joint, not within a word or
    a number."""
    return re.sub(r"(?<=\w)([_.=(,/:]+)(?=[^\W\d])", r"\1<wbr>", match[0])


# Code within a line, as the pages have it: each word by itself.
INLINE = re.compile(r'<code class="([^"]*)">(?=((?:<span class="pre">[^<]*</span>\s*)+)</code>)')
SHORT, SHORT_IF_WIDE = 18, 28  # letters: on a phone or in a table, on a wide page


def whole(match):
    """Code within a line, marked if it is so short that no line shall end in it."""
    length = len(unescape(re.sub("<[^>]*>", "", match[2])).strip())
    mark = "together" if length <= SHORT else "together-if-wide"
    return match[0] if length > SHORT_IF_WIDE else f'<code class="{match[1]} {mark}">'


def together(match):
    """A formula and the marks after it: a box may else be parted from them at the end of a line."""
    return f'<span class="together">{match[0]}</span>'


def in_korean(match):
    """Text with its Korean words marked as such: a voice that reads English cannot read them."""
    return re.sub(r"[가-힣]+(?: [가-힣]+)*", r'<span lang="ko">\g<0></span>', match[0])


def mend(html):
    for pattern, better in MENDS:
        html = re.sub(pattern, better, html)
    html = re.sub(r">[^<>]*[가-힣][^<>]*(?=<)", in_korean, html)
    html = FORMULA.sub(together, html)
    html = INLINE.sub(whole, html)
    return re.sub(r'(?<=<span class="pre">)[^<]{12,}(?=</span>)', breakable, html)


def mend_pages(app, exception):
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            html = page.read_text(encoding="utf-8")
            page.write_text(mend(html), encoding="utf-8")


def setup(app):
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
