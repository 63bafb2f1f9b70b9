"""The book as one PDF: every page, link and solution of it, and no line cut where a page ends."""

import shutil
from pathlib import Path

import pdf
import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

TOC = {
    "root": "index",
    "parts": [
        {"caption": "Part A", "chapters": [{"file": "a/one", "sections": [{"file": "a/two"}]}]},
        {"caption": "Part B", "chapters": [{"file": "three"}]},
    ],
}
CONFIG = {"title": "Title", "author": "Author", "html": {"baseurl": "https://book.example.org/"}}
LINES = [f"line {k} of the code" for k in range(200)]
CODE = "\n".join(LINES)
ROWS = "".join(f"<tr><td>row {k}</td></tr>" for k in range(100))
WIDE = f"<table><tr style='white-space: nowrap'><td>{'z' * 140}<b>?</b></td></tr></table>"
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>'
PAGES = {
    "index": "<h1>Hello</h1><p><a href='a/one.html'>one</a> <a href='genindex.html'>index</a></p>",
    "a/one": """<h1>One <span class='math'>\\(\\sigma\\)</span></h1>
        <section id='s'><h2>Section<a class='headerlink' href='#s'>#</a></h2>
        <p><a href='#s'>s</a> <a href='two.html#s'>t</a> <a href='../three.html'>3</a>
        <a href='https://example.org/'>out</a><img src='../_images/x.svg' alt='x'></p>
        <div class='sd-tab-set framework-tabs'><input id='t0' type='radio' checked name='n'>
        <label for='t0' class='sd-tab-label'>PyTorch</label>
        <div class='sd-tab-content'><p>torch here</p></div>
        <input id='t1' type='radio' name='n'><label for='t1' class='sd-tab-label'>TensorFlow</label>
        <div class='sd-tab-content'><p>keras here</p></div></div>
        <details class='admonition hide above-input'><summary>Show</summary>figure code</details>
        <details><summary>More</summary><p>the rest</p></details></section>""",
    "a/two": f"<h1>Two</h1><section id='s'><h2>Other</h2><pre>{CODE}</pre></section>",
    "three": f"<h1>Three</h1><p>{'x' * 79}</p><pre>{'y' * 78}<b>!</b></pre>{WIDE}"
    f"<table>{ROWS}</table>",
}


TITLES = ["Contents", "Hello", "Part A", "One σ", "Section", "Two", "Other", "Part B", "Three"]


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """A folder with the pages of a small book."""
    folder = tmp_path_factory.mktemp("html")
    (folder / "_images").mkdir()
    (folder / "_images" / "x.svg").write_text(PICTURE)
    shutil.copy(Path(pdf.ROOT) / "assets" / "book.css", folder)
    for name, article in PAGES.items():
        path = folder / f"{name}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            "<html><head><link rel='stylesheet' href='book.css'><script>other()</script></head>"
            "<body><nav>menu</nav>"
            f"<article class='bd-article'>{article}</article></body></html>"
        )
    return folder


@pytest.fixture(scope="module")
def book(html):
    return BeautifulSoup(pdf.assemble(html, TOC, CONFIG), "html.parser")


def test_all_pages_in_their_order_under_their_parts(book):
    found = [tag.get_text() for tag in book.find_all(["h1", "h2"])]
    assert found == ["Contents", "Hello", "Part A", "One \\(\\sigma\\)", "Two", "Part B", "Three"]
    assert [tag.get_text() for tag in book.find_all("h3")] == ["Section", "Other"]
    assert [tag["id"] for tag in book.find_all("article")] == ["index", "a/one", "a/two", "three"]
    assert list(pdf.headings(str(book))) == TITLES
    assert "menu" not in book.get_text()


def test_links_stay_in_the_document_and_lead_to_what_is_there(book):
    links = [a.get("href") for a in book.select("article a")]
    assert links == [
        "#a/one", None, "#a/one/s", "#a/two/s", "#three", "https://example.org/",
    ]  # fmt: skip
    ids = [tag["id"] for tag in book.find_all(id=True)]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link and link.startswith("#")} <= set(ids)
    assert book.img["src"] == "_images/x.svg"


def test_what_paper_cannot_do_is_gone(book):
    assert not book.select("article script, article input, .headerlink")
    assert [details.get_text() for details in book.select("details[open]")] == ["Morethe rest"]
    assert "figure code" not in book.get_text()
    assert "other()" not in str(book)


def test_without_a_browser_it_says_what_to_do(monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="needs Chromium: install it, or set CHROMIUM"):
        pdf.browser()


@pytest.mark.parametrize(("fonts", "has"), [("", False), ("NanumGothic.ttf", True)])
def test_a_missing_font_is_noticed(tmp_path, monkeypatch, fonts, has):
    program = tmp_path / "fc-list"
    program.write_text(f"#!/bin/sh\nprintf '%s' '{fonts}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pdf.has_korean() == has


@pytest.fixture(scope="module")
def printed(html, book):
    """The text of each printed page, and the outline."""
    if not any(map(shutil.which, pdf.BROWSERS)):
        pytest.skip("Chromium is not installed")
    source, target = html / "book.html", html / "book.pdf"
    pdf.print_numbered(str(book), source, target)
    pdf.name_outline(target, list(pdf.headings(str(book))), CONFIG)
    reader = PdfReader(target)
    return [page.extract_text() for page in reader.pages], reader


def test_the_pages_are_numbered(printed):
    texts, _ = printed
    assert len(texts) > 5
    assert [text.split()[0] for text in texts[1:]] == [str(k) for k in range(2, len(texts) + 1)]
    assert texts[0].split() == ["Title", "Author", "https://book.example.org/"]


def test_the_outline_leads_to_the_pages(printed):
    texts, reader = printed

    def walk(entries):
        for entry in entries:
            if isinstance(entry, list):
                yield from walk(entry)
            else:
                yield entry.title, texts[reader.get_destination_page_number(entry)]

    found = dict(walk(reader.outline))
    assert list(found) == TITLES
    for title in ("Contents", "Hello", "Part A", "Section", "Two", "Other", "Part B", "Three"):
        assert title in found[title]
    nested = reader.outline[3]
    assert nested[0].title == "One σ"
    assert nested[1][0].title == "Section"
    assert reader.metadata.title == "Title"


def test_the_contents_name_the_pages(printed):
    texts = [text.replace("\\(\\sigma\\)", "σ") for text in printed[0]]
    lines = texts[1].splitlines()
    assert lines[:2] == ["2", "Contents"]
    entries = dict(line.rsplit(" ", 1) for line in lines[2:] if not line.startswith("Part"))
    assert list(entries) == ["Hello", "One σ", "Two", "Three"]
    for title, number in entries.items():
        assert title in texts[int(number) - 1].splitlines()[1:3]  # below its number and its part


def test_both_frameworks_and_what_was_folded_are_printed(printed):
    text = "\n".join(printed[0])
    for words in ("PyTorch", "torch here", "TensorFlow", "keras here", "the rest"):
        assert words in text


def test_no_line_is_cut(printed):
    # A box that is cut where a page ends shows the line that was cut on both pages.
    lines = [line.strip() for text in printed[0] for line in text.splitlines()]
    assert [line for line in lines if line.startswith("line ")] == LINES
    assert [line for line in lines if line.startswith("row ")] == [f"row {k}" for k in range(100)]
    assert "y" * 78 + "!" in lines


@pytest.mark.parametrize("mark", ["!", "?"])
def test_a_line_of_79_characters_and_a_wide_table_end_before_the_margin(printed, mark):
    ends = []

    def note(text, cm, tm, font, size):
        if text.strip() == mark:
            ends.append(tm[4] * cm[0] + cm[4])

    for page in printed[1].pages:
        page.extract_text(visitor_text=note)
    (end,) = ends
    margin = 20 / 25.4 * 72
    assert float(page.mediabox.width) / 2 < end < float(page.mediabox.width) - margin
