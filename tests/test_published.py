"""The book as it is built: where its buttons lead, what its pages say of themselves, its links.

It is built with other addresses than its own, so that one that is written down twice shows.
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import links
import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[1]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
SOURCES = ["_ext", "_toc.yml", "assets", "chapters", "index.md", "references.bib", "references.md"]
REPOSITORY = "https://github.com/someone/fork"
SITE = "https://book.example.org/a/b/"
HUB = "https://hub.example.org"


def listed():
    """The pages in their order."""
    yield TOC["root"]
    for part in TOC["parts"]:
        for chapter in part["chapters"]:
            yield chapter["file"]
            yield from (section["file"] for section in chapter.get("sections", ()))


PAGES = list(listed())
NOTEBOOKS = [name for name in PAGES if (ROOT / f"{name}.ipynb").exists()]
every_page = pytest.mark.parametrize("name", PAGES)
every_notebook = pytest.mark.parametrize("name", NOTEBOOKS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the pages of the book lie."""
    source = tmp_path_factory.mktemp("book")
    for name in (*SOURCES, "rnnlab", "benchmarks"):
        (source / name).symlink_to(ROOT / name)
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["repository"] |= {"url": REPOSITORY, "branch": "next"}
    config["launch_buttons"]["jupyterhub_url"] = HUB
    config["html"]["baseurl"] = SITE
    (source / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    program = Path(sys.executable).with_name("jupyter-book")
    options = ["-W", "-n", "--keep-going", "--all", "-q", "--path-output", source / "out"]
    command = [program, "build", source, *options]
    built = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    return source / "out" / "_build" / "html"


@pytest.fixture(scope="module")
def pages(folder):
    return {
        name: BeautifulSoup((folder / f"{name}.html").read_text("utf-8"), "html.parser")
        for name in (*PAGES, "404")
    }


@pytest.fixture(scope="module")
def descriptions(pages):
    return [pages[name].select_one("meta[name=description]")["content"] for name in PAGES]


def file_of(name):
    (path,) = (path for path in ROOT.glob(f"{name}.*") if path.suffix in (".md", ".ipynb"))
    return path.relative_to(ROOT).as_posix()


def buttons(page):
    """Where the buttons above a page lead, by what they say."""
    return {a.get_text().strip(): a["href"] for a in page.select(".bd-header-article a")}


@every_page
def test_the_buttons_of_a_page(pages, folder, name):
    found, file = buttons(pages[name]), file_of(name)
    assert found["Repository"] == REPOSITORY
    assert found["Suggest edit"] == f"{REPOSITORY}/edit/next/{file}"
    issue = urlsplit(found["Open issue"])
    assert issue.geturl().startswith(f"{REPOSITORY}/issues/new?")
    assert f"{name}.html" in parse_qs(issue.query)["title"][0]
    source = (folder / f"{name}.html").parent / found[Path(file).suffix]
    assert source.read_bytes() == (ROOT / file).read_bytes()
    launch = {
        "Binder": f"https://mybinder.org/v2/gh/someone/fork/next?urlpath=lab/tree/{file}",
        "Colab": f"https://colab.research.google.com/github/someone/fork/blob/next/{file}",
        "JupyterHub": f"{HUB}/hub/user-redirect/git-pull?repo={REPOSITORY}"
        f"&urlpath=lab/tree/fork/{file}&branch=next",
    }
    launch = launch if name in NOTEBOOKS else {}
    assert {label: unquote(url) for label, url in found.items() if label in launch} == launch
    assert set(found) == {"Repository", "Suggest edit", "Open issue", Path(file).suffix, *launch}


def test_no_page_names_an_address_that_the_configuration_did_not_give_it(folder):
    own = [CONFIG["repository"]["url"], CONFIG["html"]["baseurl"]]
    for path in folder.rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        assert not [address for address in own if address in html], path.name


def test_what_is_no_page_gives_the_same_addresses():
    own = CONFIG["repository"]["url"]
    organisation = own.rpartition("/")[0]
    for name in ("README.md", "CITATION.cff", "pyproject.toml", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for address in re.findall(rf"{re.escape(organisation)}/[\w.-]+", text):
            assert address == own, name
        for address in re.findall(r"colab\.research\.google\.com/github/(\S+?)/blob/(\w+)", text):
            assert address == (own.partition("github.com/")[2], CONFIG["repository"]["branch"])


@every_page
def test_title_description_and_card(pages, descriptions, folder, name):
    page = pages[name]
    meta = {m.get("property") or m.get("name"): m["content"] for m in page.select("meta[content]")}
    title = page.select_one("article h1").get_text().removesuffix("#")
    title = title.replace("\u00a0", " ")  # a space that holds, in "TensorFlow 1"
    assert page.title.get_text() == f"{title} — {CONFIG['title']}"
    assert meta["og:title"] == title
    assert meta["og:site_name"] == CONFIG["title"]
    assert meta["og:url"] == f"{SITE}{name}.html"
    assert page.select_one("link[rel=canonical]")["href"] == f"{SITE}{name}.html"
    assert 30 < len(meta["description"]) <= 200
    assert meta["og:description"] == meta["description"] == meta["og:image:alt"]
    assert descriptions.count(meta["description"]) == 1
    assert not meta["description"].startswith("Needs")
    assert meta["twitter:card"] == "summary_large_image"
    assert meta["og:image"].startswith(SITE)
    image = (folder / meta["og:image"].removeprefix(SITE)).read_bytes()
    size = [int.from_bytes(image[at : at + 4], "big") for at in (16, 20)]  # of a PNG
    assert image.startswith(b"\x89PNG")
    assert size == [int(meta["og:image:width"]), int(meta["og:image:height"])]


def test_an_address_that_leads_nowhere_leads_back_into_the_book(pages, folder):
    page = pages["404"]
    urls = [tag.get("href") or tag.get("src") for tag in page.select("[href], [src]")]
    inside = [url for url in urls if not url.startswith(("#", "https://"))]
    root = urlsplit(SITE).path
    # Such a page is shown at any depth, so no address on it may be relative.
    assert not [url for url in inside if not url.startswith(root)]
    files = {url.removeprefix(root).partition("?")[0].partition("#")[0] for url in inside}
    assert not [file for file in files if not (folder / file).is_file()]
    assert {f"{name}.html" for name in PAGES} <= files
    assert {"index.html", "search.html"} <= {
        a["href"].removeprefix(root) for a in page.select("article a")
    }


@every_page
def test_headings_have_permalinks_and_stand_in_the_outline(pages, name):
    page = pages[name]
    outline = {a["href"] for a in page.select(".bd-sidebar-secondary nav a")}
    for heading in page.select("article h2"):
        link = heading.select_one("a.headerlink")["href"]
        assert page.find(id=link.removeprefix("#"))
        assert link in outline


@every_page
def test_a_page_leads_to_the_ones_before_and_after_it_and_to_all_parts(pages, name):
    page, at = pages[name], PAGES.index(name)
    turn = {a["title"]: a["href"] for a in page.select(".prev-next-area a")}
    expected = {"previous page": PAGES[at - 1] if at else None, "next page": (*PAGES, None)[at + 1]}
    for title, other in expected.items():
        assert (title in turn) == bool(other)
        assert not other or turn[title].endswith(f"{Path(other).name}.html")
    parts = [p.get_text().strip() for p in page.select(".bd-sidebar-primary p.caption")]
    assert parts == [part["caption"] for part in TOC["parts"]]


@every_notebook
def test_a_chapter_has_its_head_and_does_not_show_its_first_cells(pages, name):
    page = pages[name]
    rows = dict(
        zip(
            [dt.get_text() for dt in page.select(".page-head dt")],
            [dd.get_text().strip() for dd in page.select(".page-head dd")],
            strict=True,
        )
    )
    assert list(rows) == ["Needs", "Takes", "Numbers"]
    assert re.fullmatch(r"\d+ minutes to read, about [\w. ]+ to run on a CPU", rows["Takes"])
    assert rows["Numbers"].startswith("verified with Python 3.")
    assert "google.colab" not in page.get_text()
    assert "TF_CPP_MIN_LOG_LEVEL" not in page.get_text()


def test_exercises_are_numbered_through_and_solutions_folded(pages):
    numbers = [
        int(re.search(r"\d+", title.get_text())[0])
        for name in PAGES
        for title in pages[name].select(".exercise > .admonition-title .caption-number")
    ]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 50
    solutions = [box for name in PAGES for box in pages[name].select(".solution")]
    assert len(solutions) == len(numbers)
    assert all("dropdown" in box["class"] for box in solutions)


@every_page
def test_names_of_the_package_have_links_unless_they_mean_something_else(pages, name):
    if name.startswith("chapters/api_"):
        return  # these pages are where they lead
    names = links.names_of(ROOT / file_of(name))
    other = CONFIG["sphinx"]["config"]["other_meanings"].get(name, ())
    for code in pages[name].select("article code"):
        text = code.get_text()
        called = text.partition("(")[0]
        apart = code.find_parent(["a", "pre", "h1", "h2", "h3", "figcaption"])
        if apart or code.find_parent(class_="admonition-title") or not names.get(called):
            continue
        assert f"`{text}`" in other, text


FORMS = {  # of hosts that the book often links to; of all others, only that it is a host
    "doi.org": r"/10\.\d{4,}/\S+",
    "arxiv.org": r"/abs/\d{4}\.\d{4,5}",
    "github.com": r"/[\w.-]+/[\w.-]+(/\S*)?",
}


def test_links_to_other_sites_have_the_form_of_one(pages):
    tags = [a for page in pages.values() for a in page.select("article a[href], footer a[href]")]
    found = {a["href"] for a in tags if "://" in a["href"]}
    assert len(found) > 100
    for address in found:
        url = urlsplit(address)
        assert url.scheme == "https", address
        assert re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", url.netloc), address
        assert not re.search(r"[\s<>\"{}|\\^`]|[.,;:)]$", address), address
        assert re.fullmatch(FORMS.get(url.netloc, r".*"), url.path), address


@every_notebook
def test_every_lab_box_leads_to_the_labs(pages, name):
    for title in pages[name].select(".admonition.lab > .admonition-title"):
        assert title.a["href"] == "labs.html"
