"""Print the built book as one PDF: ``make pdf``.

All pages go into one HTML file, in the order of the book, with their links leading to each other
inside it; a headless Chromium prints that, with an outline and page numbers. It prints twice: only
the first print tells the pages that the contents name. On paper nothing can be unfolded: solutions
are open, both frameworks are shown, and the code of figures is left out.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

import yaml
from bs4 import BeautifulSoup
from pypdf import PdfReader, PdfWriter
from pypdf.generic import NameObject, TextStringObject

ROOT = Path(__file__).parents[1]
HTML = ROOT / "_build" / "html"
STYLE = Path(__file__).with_suffix(".css")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Of no use on paper, or only in a browser with scripts.
LEFT_OUT = ".headerlink, script, input, details.above-input, details.api-source, summary svg"
REFERRING = ("for", "aria-controls", "aria-labelledby", "aria-describedby")
# What is wider than the page is shown smaller.
FIT = """
document.fonts.ready.then(() => {
  for (const wide of document.querySelectorAll("table, mjx-container[display]")) {
    const room = wide.parentElement.clientWidth;
    for (let tries = 0; wide.scrollWidth > room && tries < 5; tries++) {  // margins keep their size
      const size = parseFloat(getComputedStyle(wide).fontSize);
      wide.style.setProperty("font-size", `${(size * room) / wide.scrollWidth}px`, "important");
    }
  }
});
"""


def listed(toc):
    """Yield (heading of a part or None, page) in the order of the book."""
    yield None, toc["root"]
    for part in toc["parts"]:
        caption = part["caption"]
        for chapter in part["chapters"]:
            for page in (chapter, *chapter.get("sections", ())):
                yield caption, page["file"]
                caption = None


def assemble(html, toc, config):
    """The book as one HTML document, to lie in the folder ``html`` beside the pages."""
    pages = list(listed(toc))
    known = {page for _, page in pages}
    first = soup(html / f"{toc['root']}.html")
    book = BeautifulSoup("<!DOCTYPE html><html lang='en' data-theme='light'></html>", "html.parser")
    book.html.append(head(book, first, config))
    body = book.new_tag("body", attrs={"class": "bd-content"})
    body.append(cover(book, config))
    listing = book.new_tag("section", attrs={"class": "contents"})
    heading = book.new_tag("h1")
    heading.string = "Contents"
    listing.append(heading)
    body.append(listing)
    for caption, page in pages:
        if caption:
            part = book.new_tag("h1", attrs={"class": "part"})
            part.string = caption
            body.append(part)
            name = book.new_tag("p", attrs={"class": "part"})
            name.string = caption
            listing.append(name)
        article = soup(html / f"{page}.html").select_one("article.bd-article")
        body.append(on_paper(article, page, known))
        listing.append(entry(book, page, title(article.h2)))
    fit = book.new_tag("script")
    fit.string = FIT
    body.append(fit)
    book.html.append(body)
    return str(book)


def soup(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def head(book, first, config):
    """The styles of a page, and those of paper."""
    made = book.new_tag("head")
    made.append(book.new_tag("meta", charset="utf-8"))
    title = book.new_tag("title")
    title.string = config["title"]
    made.append(title)
    for link in first.select("link[rel=stylesheet]"):
        made.append(link)
    style = book.new_tag("style")
    style.string = STYLE.read_text(encoding="utf-8")
    made.append(style)
    return made


def cover(book, config):
    """The first page."""
    made = book.new_tag("header", attrs={"class": "cover"})
    for name in ("title", "author"):
        line = book.new_tag("p", attrs={"class": name})
        line.string = config[name]
        made.append(line)
    where = book.new_tag("p")
    link = book.new_tag("a", href=config["html"]["baseurl"])
    link.string = config["html"]["baseurl"]
    where.append(link)
    made.append(where)
    return made


def entry(book, page, words):
    """A line of the contents, with room for the number of the page that it leads to."""
    line = book.new_tag("p")
    link = book.new_tag("a", href=f"#{page}")
    link.string = words
    line.extend([link, book.new_tag("span"), book.new_tag("output")])
    return line


def number(html, pages):
    """Write into the contents on which pages the headings are, given those of all headings."""
    book = BeautifulSoup(html, "html.parser")
    place = {id(heading): page for heading, page in zip(found(book), pages, strict=True)}
    for line in book.select(".contents output"):
        article = book.find(id=line.parent.a["href"].removeprefix("#"))
        line.string = str(place[id(article.h2)])
    return str(book)


def on_paper(article, page, known):
    """The article of a page: unfolded, one heading lower, every name in it its own."""
    for tag in article.select(LEFT_OUT):
        tag.extract()
    for details in article.select("details"):
        details["open"] = ""
    for level in (5, 4, 3, 2, 1):
        for heading in article.find_all(f"h{level}"):
            heading.name = f"h{level + 1}"
    for tag in article.find_all(id=True):
        tag["id"] = f"{page}/{tag['id']}"
    for attribute in REFERRING:
        for tag in article.find_all(attrs={attribute: True}):
            tag[attribute] = " ".join(f"{page}/{name}" for name in tag[attribute].split())
    for image in article.select("img[src]"):
        image.attrs.pop("loading", None)  # paper shows all of them
        image["src"] = resolved(page, image["src"])
    for link in article.select("a[href]"):
        link["href"] = inside(page, link["href"], known)
        if not link["href"]:
            del link["href"]
    article["id"] = page
    return article


def resolved(page, url):
    """An address on a page, as seen from the folder of the book."""
    if "://" in url or url.startswith("data:"):
        return url
    return os.path.normpath(PurePosixPath(page).parent / url)


def inside(page, url, known):
    """Where a link of a page leads in the document; nowhere, if its target is not in there."""
    if "://" in url or url.startswith("mailto:"):
        return url
    path, _, anchor = url.partition("#")
    target = resolved(page, path).removesuffix(".html") if path else page
    if target not in known:
        return ""
    return f"#{target}/{anchor}" if anchor else f"#{target}"


def browser():
    """The program that prints."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        raise SystemExit("make pdf needs Chromium: install it, or set CHROMIUM=/path/to/it")
    return found


def print_pdf(source, target):
    """Print an HTML file."""
    options = [
        "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--allow-file-access-from-files",
        "--no-pdf-header-footer", "--generate-pdf-document-outline",
        "--virtual-time-budget=600000",  # of its own clock: until all formulas are set
    ]  # fmt: skip
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--no-sandbox")  # root has none
    with tempfile.TemporaryDirectory() as profile:
        command = [browser(), *options, f"--user-data-dir={profile}", f"--print-to-pdf={target}"]
        done = subprocess.run([*command, source.as_uri()], capture_output=True, text=True)
    if done.returncode or not target.exists():
        raise SystemExit(f"{command[0]} printed nothing:\n{done.stderr}")


def found(book):
    """The tags of all headings."""
    return book.find_all(re.compile("^h[1-6]$"))


def title(heading):
    """The text of a heading; formulas as they are written, without their marks."""
    text = heading.get_text().replace("\\sigma", "σ")
    return " ".join(re.sub(r"\\[()]?", "", text).split())


def headings(html):
    """The titles of all headings of a document."""
    return map(title, found(BeautifulSoup(html, "html.parser")))


def pages_of_headings(path):
    """On which page, counted from 1, each heading of a PDF is: what its outline says."""
    reader = PdfReader(path)

    def flat(entries):
        for entry in entries:
            if isinstance(entry, list):
                yield from flat(entry)
            else:
                yield reader.get_destination_page_number(entry) + 1

    return list(flat(reader.outline))


def print_numbered(html, source, target):
    """Print a document, and again with the page numbers in its contents; return it with them."""
    source.write_text(html, encoding="utf-8")
    print_pdf(source, target)
    pages = pages_of_headings(target)
    html = number(html, pages)
    source.write_text(html, encoding="utf-8")
    print_pdf(source, target)
    if pages_of_headings(target) != pages:
        raise SystemExit("the numbers in the contents have moved what they lead to")
    return html


def name_outline(path, titles, config):
    """Give each entry of a PDF's outline its title.

    The browser takes it from what it drew, where formulas are no text, and twice where it had drawn
    a heading at the end of a page and then moved it to the next.
    """
    writer = PdfWriter(clone_from=path)
    entries = list(outline(writer.root_object["/Outlines"]))
    if len(entries) != len(titles):
        raise SystemExit(f"the outline has {len(entries)} entries for {len(titles)} headings")
    for entry, title in zip(entries, titles, strict=True):
        entry[NameObject("/Title")] = TextStringObject(title)
    writer.add_metadata({"/Title": config["title"], "/Author": config["author"]})
    writer.write(path)


def outline(parent):
    """Yield the entries of an outline, in their order."""
    entry = parent.get("/First")
    while entry:
        entry = entry.get_object()
        yield entry
        yield from outline(entry)
        entry = entry.get("/Next")


def has_korean():
    """Whether there is a font for the Korean names in the glossary; true where nobody can tell."""
    if not shutil.which("fc-list"):
        return True
    return bool(subprocess.run(["fc-list", ":lang=ko"], capture_output=True, text=True).stdout)


def main():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    source, target = HTML / "book.html", ROOT / "_build" / "rnnlab.pdf"
    html = assemble(HTML, toc, config)
    target.unlink(missing_ok=True)
    try:
        html = print_numbered(html, source, target)
    finally:
        source.unlink(missing_ok=True)
    name_outline(target, list(headings(html)), config)
    if not has_korean():
        print("No font for Korean is installed: those words are boxes (Debian: fonts-nanum)")
    print(f"The book is printed: {target} ({target.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
