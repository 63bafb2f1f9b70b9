"""What the tests of the built book share: its pages, a server for them, and Debian's Chromium.

``make test`` builds the book before it runs them. Where Chromium is not installed, they are
skipped; ``.ci/run`` installs it.
"""

import functools
import http.server
import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from playwright.sync_api import sync_playwright

BOOK = Path(__file__).parents[1] / "_build" / "html"
CHROMIUM = shutil.which("chromium")
CONFIG = yaml.safe_load((Path(__file__).parents[1] / "_config.yml").read_text(encoding="utf-8"))
SUBFOLDER = urlsplit(CONFIG["html"]["baseurl"]).path
# Of the folders beside the pages, one holds the theme's snippets, the other the sources. The page
# for wrong addresses is served from any depth, so its own addresses begin at the site's root.
PAGES = [
    str(page.relative_to(BOOK))
    for page in sorted(BOOK.rglob("*.html"))
    if page.relative_to(BOOK).parts[0] not in ("_static", "_sources", "404.html")
]
CHAPTERS = [page for page in PAGES if page.removeprefix("chapters/")[0].isdigit()]
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 800}

needs_book = pytest.mark.skipif(not PAGES, reason="the book is not built: make book")
needs_chromium = [
    needs_book,
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: apt-get install chromium"),
]

# A script that shows all that a page folds away, and lays out all that is not on the screen. It
# reads all figures at once, too, which a browser leaves until the reader is near.
UNFOLD = """
document.querySelectorAll('img').forEach(img => { img.loading = 'eager' });
document.querySelectorAll('details').forEach(box => { box.open = true });
document.querySelectorAll('.toggle-button-hidden').forEach(button => button.click());
document.head.insertAdjacentHTML(
  'beforeend', `<style>.framework-tabs > .sd-tab-content { display: block !important }
    * { content-visibility: visible !important }</style>`);
"""

# Nothing of Chromium's own may reach for the network: a test would take it for the page's.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class SlowFontsHandler(QuietHandler):
    """Fonts arrive late, as over a network, so that what they move is seen to move."""

    def do_GET(self):
        if ".woff" in self.path:
            time.sleep(0.3)
        super().do_GET()


class ForgeHandler(QuietHandler):
    """The folder in the sub-folder where it is published, and its 404.html for all other addresses.

    So do the hosts of pages that forges run.
    """

    def translate_path(self, path):
        inside = path.startswith(SUBFOLDER)
        return super().translate_path(path.removeprefix(SUBFOLDER)) if inside else ""

    def send_error(self, code, message=None, explain=None):
        page = Path(self.directory, "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


class HalfHandler(QuietHandler):
    """A page comes up to the middle of the buttons above it, and the rest of it later."""

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if path.suffix != ".html":
            return super().do_GET()
        page = path.read_bytes()
        half = page.index(b"btn-fullscreen-button")
        half = page.rindex(b"<button", 0, half)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page[:half])
        self.wfile.flush()
        time.sleep(0.4)
        return self.wfile.write(page[half:])


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Say nothing of a browser that leaves a page before all of it has come."""


@contextmanager
def serve(folder, *, handler=SlowFontsHandler):
    """The address at which a folder is served, on this machine only."""
    handler = functools.partial(handler, directory=str(folder))
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def start_chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One page, opened, and all that it complained of or asked for."""

    def __init__(self, context, base, page):
        self.base, self.complaints, self.outside = base, [], []
        self.tab = context.new_page()
        self.tab.on("console", self.on_console)
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("requestfailed", lambda request: self.complaints.append(request.url))
        self.tab.on("request", self.on_request)
        self.tab.on("response", self.on_response)
        self.tab.goto(base + page)

    def on_console(self, message):
        if message.type == "error":
            self.complaints.append(message.text)

    def on_request(self, request):
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.outside.append(request.url)

    def on_response(self, response):
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.url}")


@contextmanager
def visit(browser, base, page, *, before=None, **options):
    """Open a page in a browser that was never used; ``before`` may prepare its context."""
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    try:
        if before:
            before(context)
        yield Visit(context, base, page)
    finally:
        context.close()
