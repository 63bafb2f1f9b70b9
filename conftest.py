"""What strict nbval needs to know about the chapters."""

import functools
import re

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from rnnlab import data


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
    for item in items:
        if isinstance(item, IPyNbCell):
            code = "\n".join(cell.source for cell in item.parent.nb.cells)
            for name in re.findall(r"""\bload\(["'](\w+)["']\)""", code):
                if reason := missing(name):
                    item.add_marker(pytest.mark.skip(reason=reason))
