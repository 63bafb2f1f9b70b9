"""What the built book shows without a browser: links, images, weight, and no other hosts."""

import gzip
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from browser import BOOK, PAGES, needs_book

pytestmark = needs_book
OVER_THE_WIRE = 600_000  # bytes
# What a browser loads by itself, as against what a reader may follow.
LOADS = {("img", "src"), ("script", "src"), ("source", "src"), ("iframe", "src"), ("link", "href")}
NOT_LOADED = {"canonical", "next", "prev", "index", "search", "author", "license"}


class Page(HTMLParser):
    """The links, anchors and images of a page."""

    def __init__(self, path):
        super().__init__()
        self.path, self.links, self.loads, self.ids, self.images = path, [], [], [], []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "img":
            self.images.append(values)
        for name, value in attributes:
            if (tag, name) in LOADS and not NOT_LOADED & set(values.get("rel", "").split()):
                self.loads.append(value)


@cache
def read(path):
    return Page(path)


def is_outside(address):
    return bool(urlsplit(address).scheme or urlsplit(address).netloc) and not address.startswith(
        "data:"
    )


def broken_links(page):
    """The addresses on a page that lead to no file, or to no anchor in it."""
    for address in [*page.links, *page.loads, *(image["src"] for image in page.images)]:
        if is_outside(address) or address.startswith("data:"):
            continue
        place, anchor = urldefrag(address)
        target = page.path.parent / unquote(urlsplit(place).path) if place else page.path
        anchored = anchor and target.suffix == ".html"
        if not target.is_file() or (anchored and unquote(anchor) not in read(target).ids):
            yield address


def repeated_ids(page):
    return {name for name in page.ids if page.ids.count(name) > 1}


def silent_images(page):
    """Images whose alternative text is missing, empty, or no more than a name."""
    return [i["src"] for i in page.images if len((i.get("alt") or "").split()) < 2]


def outside_loads(page):
    styles = re.findall(r"url\(\s*[\"']?((?:https?:)?//[^)\"']+)", page.text)
    return [address for address in page.loads if is_outside(address)] + styles


def weight(page):
    """Bytes of a page and its images, packed; scripts, styles and fonts are every page's."""
    files = {page.path} | {page.path.parent / unquote(image["src"]) for image in page.images}
    return sum(len(gzip.compress(file.read_bytes(), 6)) for file in files if file.is_file())


def unmarked_korean(page):
    """Text in Korean that would be read out as English: the pages' language."""
    text = re.sub(r'<span lang="ko">[^<]*</span>', "", page.text)
    return re.findall(r">([^<>]*[가-힣][^<>]*)<", text)


@pytest.fixture(params=PAGES)
def page(request):
    return read(BOOK / request.param)


def test_no_link_is_broken(page):
    assert list(broken_links(page)) == []


def test_no_anchor_stands_twice(page):
    assert repeated_ids(page) == set()


def test_every_image_says_what_is_to_be_seen(page):
    assert silent_images(page) == []


def test_korean_words_are_marked_for_screen_readers(page):
    assert unmarked_korean(page) == []


def test_a_page_names_no_other_host_to_load_from(page):
    assert outside_loads(page) == []


def test_a_page_is_light(page):
    assert weight(page) <= OVER_THE_WIRE


def test_links_to_other_sites_are_well_formed(page):
    outside = [urlsplit(address) for address in page.links if is_outside(address)]
    assert [a.geturl() for a in outside if a.scheme != "https" or "." not in a.netloc] == []


@pytest.mark.parametrize("kind", ["css", "js"])
def test_styles_and_scripts_load_nothing_from_other_hosts(kind):
    loading = r"url\(\s*[\"']?(?:https?:)?//" if kind == "css" else r"import\(\s*[\"']https?://"
    files = list(BOOK.rglob(f"*.{kind}"))
    assert files
    assert [file for file in files if re.search(loading, file.read_text(encoding="utf-8"))] == []


def test_figures_are_sharp_at_any_size():
    """Every figure is a drawing. (The pictures of the launch buttons are the theme's.)"""
    pictures = {image["src"] for name in PAGES for image in read(BOOK / name).images}
    assert {Path(src).suffix for src in pictures if "_images" in src} == {".svg"}


@pytest.mark.parametrize(
    ("find", "defect"),
    [
        (broken_links, '<a href="nowhere.html">'),
        (broken_links, '<a href="#nowhere">'),
        (broken_links, '<img src="nowhere.svg" alt="a figure">'),
        (repeated_ids, '<p id="main-content"><p id="main-content">'),
        (silent_images, '<img src="a.svg" alt="">'),
        (silent_images, '<img src="a.svg">'),
        (unmarked_korean, "<p>순환</p>"),
        (outside_loads, '<script src="https://other.invalid/a.js"></script>'),
        (outside_loads, '<link rel="stylesheet" href="//other.invalid/a.css">'),
        (outside_loads, "<style>p { background: url(https://other.invalid/a.png) }</style>"),
    ],
)
def test_a_defect_is_found(tmp_path, find, defect):
    spoilt = tmp_path / "index.html"
    spoilt.write_text((BOOK / "index.html").read_text(encoding="utf-8") + defect, encoding="utf-8")
    before = set(find(read(BOOK / "index.html")))
    found = set(find(Page(spoilt)))
    # Beside the copy stand none of the book's files; what it says of them does not count.
    assert {item for item in found if item in defect} - before


def test_a_heavy_page_is_found(tmp_path):
    heavy = tmp_path / "index.html"
    heavy.write_text("".join(f"{k * 7919 % 1000003:x}" for k in range(400_000)), encoding="utf-8")
    assert weight(Page(heavy)) > OVER_THE_WIRE
