"""Show twin notebook cells, one in PyTorch and one in TensorFlow, as two tabs.

A notebook keeps them as ordinary neighbours, tagged ``pytorch`` and ``tensorflow``, so that Jupyter
and Colab run both. Only the HTML page folds them: a block of PyTorch cells followed by a block of
TensorFlow cells becomes one tab set, outputs included.

    pytorch, tensorflow                             one tab set
    pytorch, tensorflow, pytorch, tensorflow        two tab sets, one below the other
    pytorch, pytorch, tensorflow, tensorflow        one tab set with two cells in each tab

A block without its twin is a warning, and so an error in a build with ``-W``.
"""

from itertools import groupby

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx_design.shared import create_component

logger = logging.getLogger(__name__)

LABELS = {"pytorch": "PyTorch", "tensorflow": "TensorFlow"}  # in the order of the tabs
SYNC_GROUP = "framework"  # also the name in a link: page.html?framework=tensorflow


def framework_of(node):
    """The framework whose tag a notebook cell carries, or None."""
    if isinstance(node, nodes.container) and node.get("nb_element") == "cell_code":
        for framework in LABELS:
            if f"tag_{framework}" in node["classes"]:
                return framework
    return None


def pair(blocks):
    """Yield (pytorch block, tensorflow block) of a run of blocks; None stands for a missing one."""
    waiting = None
    for framework, cells in blocks:
        if framework == "pytorch":
            if waiting:
                yield waiting, None
            waiting = cells
        else:
            yield waiting, cells
            waiting = None
    if waiting:
        yield waiting, None


def tab_set(cells_of):
    """The nodes that sphinx-design's ``{tab-set}`` directive would have made around these cells."""
    items = []
    for framework, cells in cells_of.items():
        label = nodes.rubric("", LABELS[framework], classes=["sd-tab-label"])
        label["sync_group"], label["sync_id"] = SYNC_GROUP, framework
        content = create_component("tab-content", children=cells, classes=["sd-tab-content"])
        items.append(
            create_component("tab-item", children=[label, content], classes=["sd-tab-item"])
        )
    return create_component("tab-set", children=items, classes=["sd-tab-set", "framework-tabs"])


class FrameworkTabs(SphinxPostTransform):
    """Wrap twin cells; other output formats than HTML keep them one after the other."""

    # After myst-nb has chosen what to show of each output (4), before sphinx-design turns tab sets
    # into HTML (200).
    default_priority = 150
    formats = ("html",)

    def run(self, **kwargs):
        cells = self.document.findall(nodes.container)
        parents = {id(cell.parent): cell.parent for cell in cells if framework_of(cell)}
        for parent in parents.values():
            children = []
            blocks = [(key, list(run)) for key, run in groupby(parent.children, framework_of)]
            for tagged, run in groupby(blocks, lambda block: block[0] is not None):
                if not tagged:
                    children += [child for _, block in run for child in block]
                    continue
                for pytorch, tensorflow in pair(run):
                    if pytorch and tensorflow:
                        children.append(tab_set({"pytorch": pytorch, "tensorflow": tensorflow}))
                    else:
                        children += self.lonely(pytorch, tensorflow)
            parent.children = []
            parent.extend(children)  # sets each child's parent

    def lonely(self, pytorch, tensorflow):
        """Warn about a block without its twin, and leave its cells as they are."""
        cells, has, lacks = (
            (pytorch, "pytorch", "tensorflow") if pytorch else (tensorflow, "tensorflow", "pytorch")
        )
        where = "after" if pytorch else "before"
        logger.warning(
            "a cell tagged '%s' has no cell tagged '%s' directly %s it",
            *(has, lacks, where),
            location=cells[0],
            type="framework_tabs",
        )
        return cells


def setup(app):
    app.add_post_transform(FrameworkTabs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
