"""What strict nbval needs to know about the chapters, and what all tests share."""

import functools
import re
import sys

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
    # Like PNG and JPEG: what a figure looks like depends on matplotlib's version. What it shows is
    # printed or asserted beside it.
    if isinstance(collector, IPyNbFile):
        collector.skip_compare += ("image/svg+xml",)


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
            code = "\n".join(cell.source for cell in item.parent.nb.cells)
            for name in re.findall(r"""\bload\(["'](\w+)["']\)""", code):
                if reason := missing(name):
                    item.add_marker(pytest.mark.skip(reason=reason))
