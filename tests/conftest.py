"""What the tests that read the built pages share: a browser, and where the pages are."""

import pytest

# tests/browser.py is imported where it is used: most tests need no Playwright.


@pytest.fixture(scope="module")
def browser():
    from browser import start_chromium

    with start_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def base(request):
    """Where the book is opened from: a server, or files, where a browser allows least."""
    from browser import BOOK, serve

    if getattr(request, "param", getattr(request.module, "OPENED_FROM", "server")) == "file":
        yield f"{BOOK.as_uri()}/"
    else:
        with serve(BOOK) as base:
            yield base
