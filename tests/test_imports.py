"""What an import brings in: each framework comes alone, and none comes unasked."""

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import rnnlab.numpy

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "numba"}


def loaded(code):
    """The frameworks among the modules that a fresh interpreter holds after running ``code``."""
    program = f"{code}\nimport sys\nprint(*({FRAMEWORKS!r} & sys.modules.keys()))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "rnnlab",
        "rnnlab.numpy",
        "rnnlab.batching",
        "rnnlab.checkpoint",
        "rnnlab.data",
        "rnnlab.init",
        "rnnlab.plot",
        "rnnlab.series",
        "rnnlab.text",
    ],
)
def test_no_framework(module):
    assert loaded(f"import {module}") == set()


def test_torch_alone():
    assert loaded("import rnnlab.torch") == {"torch"}


def test_tensorflow_without_torch():
    found = loaded("import rnnlab.tensorflow")
    assert "tensorflow" in found
    assert "torch" not in found


@pytest.mark.parametrize(
    ("module", "framework"),
    [("torch", "torch"), ("tensorflow", "tensorflow"), ("plot", "matplotlib")],
)
def test_a_missing_framework_is_named(module, framework, monkeypatch):
    """With the words that install it, and no older version than the package declares."""
    first_file = Path(rnnlab.__file__).parent / module / "__init__.py"
    monkeypatch.setitem(sys.modules, framework, None)
    (declared,) = (asked for asked in EXTRAS[module] if asked.startswith(framework))
    words = (
        rf"rnnlab\.{module} needs .*, which is not installed: pip install "
        rf'"{re.escape(declared)}", or rnnlab with its extra \[{module}\]'
    )
    with pytest.raises(ImportError, match=words):
        runpy.run_path(str(first_file))


@pytest.mark.parametrize("module", ["torch", "tensorflow", "plot"])
def test_what_a_framework_misses_is_not_taken_for_the_framework(module, monkeypatch):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name in ("torch", "tensorflow", "matplotlib"):
                raise ModuleNotFoundError("No module named 'part_of_it'", name="part_of_it")

    for name in ("torch", "tensorflow", "matplotlib"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError, match="part_of_it"):
        runpy.run_path(str(Path(rnnlab.__file__).parent / module / "__init__.py"))


def test_numpy_needs_nothing_but_numpy():
    """Of what is no part of Python, rnnlab.numpy imports NumPy and no other."""
    code = "import sys; own = {*sys.modules}; import rnnlab.numpy; "
    code += "print(*{name.partition('.')[0] for name in sys.modules.keys() - own})"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    others = set(result.stdout.split()) - sys.stdlib_module_names
    # Cython's own module, which NumPy 1 brings, is in none of its packages.
    assert {name for name in others if "cython" not in name} == {"numpy", "rnnlab"}


def test_a_missing_progress_bar_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # tests get no bar
    model = rnnlab.numpy.Classifier(rnnlab.numpy.RNN(rnnlab.numpy.RNNCell(2, 3)), 2)
    batch = np.ones((1, 2, 2), "float32"), np.array([0])
    with pytest.raises(ImportError, match=r"tqdm, which is not installed: .* progress=False"):
        rnnlab.numpy.fit(model, [batch], steps=1, lr=0.1)


TENSORFLOW_THAT_SHOWS_ITS_LLVM = {
    "tensorflow/__init__.py": "import sys; print('tensorflow', 'triton' in sys.modules)",
    "tensorflow/python/pywrap_dlopen_global_flags.py": "",
}
TRITON = {
    "triton/__init__.py": "import os, sys; "
    "print('triton', bool(sys.getdlopenflags() & os.RTLD_DEEPBIND), 'tensorflow' in sys.modules)"
}


@pytest.fixture
def installed(tmp_path):
    """Print what is loaded, and how, where these files are installed beside everything else."""

    def run(files, code):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"{text}\n", encoding="utf-8")
        program = (
            f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nflags = sys.getdlopenflags()\n"
            f"{code}\nassert sys.getdlopenflags() == flags"
        )
        result = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        return result.stdout.splitlines()

    return run


LINUX = pytest.mark.skipif(not hasattr(os, "RTLD_DEEPBIND"), reason="libraries keep to their own")


@LINUX
@pytest.mark.parametrize("code", ["import rnnlab.torch", "from rnnlab.torch import LSTM"])
def test_pytorch_s_triton_is_loaded_before_such_a_tensorflow(installed, code):
    files = TRITON | TENSORFLOW_THAT_SHOWS_ITS_LLVM
    # True: it is bound to its own functions first. False: TensorFlow is not there yet.
    assert installed(files, code) == ["triton True False"]


@LINUX
def test_such_a_tensorflow_is_loaded_after_pytorch_s_triton(installed):
    files = TRITON | TENSORFLOW_THAT_SHOWS_ITS_LLVM
    files |= {"tensorflow/__init__.py": "import sys; print('triton' in sys.modules); raise OSError"}
    code = "try: import rnnlab.tensorflow\nexcept OSError: pass"
    assert installed(files, code) == ["triton True False", "True"]


@LINUX
def test_triton_comes_bound_to_its_own_functions_where_tensorflow_is_there_already(installed):
    files = TRITON | TENSORFLOW_THAT_SHOWS_ITS_LLVM
    assert installed(files, "import tensorflow\nimport rnnlab.torch") == [
        "tensorflow False",
        "triton True True",
    ]


@pytest.mark.parametrize("missing", ["triton", "tensorflow", "pywrap"])
def test_nobody_else_loads_triton(installed, missing):
    files = TRITON | TENSORFLOW_THAT_SHOWS_ITS_LLVM
    files = {name: text for name, text in files.items() if missing not in name}
    hidden = f"sys.modules[{missing!r}] = None\n" if missing != "pywrap" else ""
    assert installed(files, f"{hidden}import rnnlab.torch") == []


@pytest.mark.parametrize("name", ["triton", "tensorflow"])
def test_what_stands_in_for_a_package_is_not_taken_for_it(installed, name):
    files = TRITON | TENSORFLOW_THAT_SHOWS_ITS_LLVM
    code = f"import types\nsys.modules[{name!r}] = types.ModuleType({name!r})\nimport rnnlab.torch"
    assert installed(files, code) == []


@LINUX
def test_a_broken_triton_is_left_to_pytorch(installed):
    broken = {"triton/__init__.py": "import no_such_library"} | TENSORFLOW_THAT_SHOWS_ITS_LLVM
    assert installed(broken, "import rnnlab.torch") == []


@pytest.mark.parametrize("order", ["tensorflow, torch, rnnlab.torch", "rnnlab.torch, tensorflow"])
def test_an_optimizer_of_pytorch_beside_tensorflow(order):
    # The test of all that with what is installed: where it goes wrong, the interpreter dies.
    code = f"import {order}, torch\ntorch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
