"""What strict nbval needs to know about the chapters, and what all tests share."""

import functools
import itertools
import re
import sys

import figures
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from rnnlab import data


@pytest.fixture(autouse=True)
def _close_figures():
    """Examples of figures end with a figure; matplotlib warns of many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def pytest_collectstart(collector):
    # Not letter by letter: compare() below looks at what a figure says and shows.
    if isinstance(collector, IPyNbFile):
        collector.skip_compare += ("image/svg+xml",)


def compare(cell, now, stored, skip_compare=None):
    """nbval's comparison of a cell's outputs, and then that of its figures."""
    if not IPyNbCell.compare_outputs(cell, now, stored, skip_compare):
        return False
    for one, other in itertools.zip_longest(pictures(stored), pictures(now)):
        missing = "a figure is missing, in the notebook or now" if None in (one, other) else ""
        if problem := missing or figures.difference(one, other):
            cell.comparison_traceback.append(problem)
            return False
    return True


def pictures(outputs):
    return [
        output.data["image/svg+xml"]
        for output in outputs
        if "image/svg+xml" in output.get("data", {})
    ]


@functools.cache
def missing(name):
    """Why a corpus cannot be had, or an empty string. A corrupt one is a ValueError: cells fail."""
    try:
        data.load(name)
    except OSError as error:
        return str(error)
    except ValueError:
        pass
    return ""


def pytest_collection_modifyitems(items):
    # The cell for Colab is not run here, and so no test that is left out, either.
    items[:] = [
        item for item in items if not (isinstance(item, IPyNbCell) and item.options["skip"])
    ]
    for item in items:
        if isinstance(item, IPyNbCell):
            item.compare_outputs = functools.partial(compare, item)
            code = "\n".join(cell.source for cell in item.parent.nb.cells)
            for name in re.findall(r"""\bload\(["'](\w+)["']\)""", code):
                if reason := missing(name):
                    item.add_marker(pytest.mark.skip(reason=reason))


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
