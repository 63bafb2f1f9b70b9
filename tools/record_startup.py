"""What IPython reads at a kernel's start (``PYTHONSTARTUP``), as a part of the notebook."""

import importlib as _importlib
import os as _os

if _os.environ.get("RNNLAB_TORCH_MKLDNN") == "0":  # PyTorch has no variable of its own for it
    _importlib.import_module("torch").backends.mkldnn.set_flags(False)
_importlib.import_module("record").start(get_ipython(), _os.environ["RNNLAB_RECORD"])  # noqa: F821
