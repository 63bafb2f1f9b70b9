"""The book's figures, in matplotlib.

Every function draws into new axes and returns them; end a cell with ``plt.show()``. Text and lines
are mid-tone on a transparent ground, so that a figure reads on a light page and on a dark one.
"""

try:
    import matplotlib as _framework  # noqa: F401  (as in rnnlab.torch)
except ModuleNotFoundError as error:
    if error.name != "matplotlib":
        raise
    raise ImportError(
        "rnnlab.plot needs matplotlib, which is not installed: pip install "
        '"matplotlib>=3.9", or rnnlab with its extra [plot]'
    ) from error

from rnnlab.plot import (
    batches,
    cells,
    figures,
    language,
    packing,
    reaching,
    results,
    stacks,
    sweeps,
    timing,
)
from rnnlab.plot.batches import *  # noqa: F403
from rnnlab.plot.cells import *  # noqa: F403
from rnnlab.plot.figures import *  # noqa: F403
from rnnlab.plot.language import *  # noqa: F403
from rnnlab.plot.packing import *  # noqa: F403
from rnnlab.plot.reaching import *  # noqa: F403
from rnnlab.plot.results import *  # noqa: F403
from rnnlab.plot.stacks import *  # noqa: F403
from rnnlab.plot.sweeps import *  # noqa: F403
from rnnlab.plot.timing import *  # noqa: F403

__all__ = [
    *batches.__all__,
    *cells.__all__,
    *figures.__all__,
    *language.__all__,
    *packing.__all__,
    *reaching.__all__,
    *results.__all__,
    *stacks.__all__,
    *sweeps.__all__,
    *timing.__all__,
]
