"""The package as it is installed: what its wheel holds, and what it does in empty environments.

An environment here is a new one of ``venv``. rnnlab is installed into it from its wheel by pip, and
the libraries that it is to have are links to those beside these tests. So nothing is downloaded,
two gigabytes are not copied, and what is not linked is truly not there.
"""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
NOT_SOURCES = shutil.ignore_patterns(".*", "_build", "build", "*.egg-info", "__pycache__")
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of the whole repository: the build leaves files beside it."""
    source = tmp_path_factory.mktemp("source") / "rnnlab"
    shutil.copytree(ROOT, source, ignore=NOT_SOURCES)
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder]
    built = subprocess.run([*PIP, "wheel", *options, source], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def content(wheel):
    """The files in the wheel, by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_package_as_it_is_here(content):
    """Every module and every file of data, to the byte."""
    here = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob("rnnlab/**/*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {".py", ".json", ".csv"} == {Path(name).suffix for name in here}
    assert {name for name in content if name.startswith("rnnlab/")} == here
    for name in here:
        assert content[name] == (ROOT / name).read_bytes(), name


def test_the_wheel_holds_nothing_else(content):
    """No tests, notebooks, tools or pages: besides the package, what describes it."""
    info = f"rnnlab-{metadata.version('rnnlab')}.dist-info"
    others = {name for name in content if not name.startswith("rnnlab/")}
    names = ["METADATA", "RECORD", "WHEEL", "licenses/LICENSE", "top_level.txt"]
    assert others == {f"{info}/{name}" for name in names}
    assert content[f"{info}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_the_wheel_asks_for_few_libraries(content):
    """NumPy and three small ones; the frameworks are extras."""
    (about,) = (text for name, text in content.items() if name.endswith("/METADATA"))
    about = Parser().parsestr(about.decode())
    asked = [Requirement(line) for line in about.get_all("Requires-Dist")]
    always = {one.name for one in asked if not one.marker}
    assert always == {"numpy", "pooch", "safetensors", "tqdm"}
    assert {"torch", "tensorflow", "plot"} <= set(about.get_all("Provides-Extra"))


def needed(*names):
    """Distributions, and all that they need, as they are installed here."""
    found, waiting = {}, list(names)
    while waiting:
        distribution = metadata.distribution(waiting.pop())
        if distribution.name in found:
            continue
        found[distribution.name] = distribution
        asked = [Requirement(line) for line in distribution.requires or ()]
        waiting += [one.name for one in asked if not one.marker or one.marker.evaluate()]
    return found.values()


class Environment:
    """An environment that holds rnnlab and the named libraries, with all that they need."""

    def __init__(self, folder, wheel, *names):
        self.folder, self.python = folder, folder / "bin" / "python"
        venv.create(folder, symlinks=True)
        (packages,) = folder.glob("lib/python*/site-packages")
        for distribution in needed(*names):
            parts = {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}
            for part in parts:
                (packages / part).symlink_to(distribution.locate_file(part))
        options = ["--no-deps", "--no-index", "--no-compile", "--quiet"]
        self.call(*PIP, "--python", self.python, "install", *options, wheel)

    def call(self, *command):
        """Run a command that sees no folder but the environment's own: -> what it printed."""
        left_out = ("PYTHONPATH", "PYTEST_CURRENT_TEST")  # with the second, fit shows no bar
        own = {name: value for name, value in os.environ.items() if name not in left_out}
        ran = subprocess.run(command, cwd=self.folder, env=own, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def run(self, code):
        """What the code prints there."""
        return self.call(self.python, "-c", code)

    def refuses(self, code):
        """The message of the ImportError that the code ends in."""
        caught = f"try:\n    {code}\nexcept ImportError as error:\n    print(error)"
        return self.run(f"{caught}\nelse:\n    print('it was imported')")


ONE_STEP = """
import numpy as np
from rnnlab.{0} import LSTM, Classifier, fit
model = Classifier(LSTM(2, 3), classes=2)
batch = np.ones((1, 4, 2), "float32"), np.array([0])
losses = fit(model, [batch], steps=2, lr=0.1, progress=False)
assert losses[1] < losses[0]
"""
FILES = """
from rnnlab.checkpoint import load_weights, save_weights
from rnnlab.data import load, recorded
from rnnlab.numpy import LSTM, get_weights
save_weights("lstm.safetensors", get_weights(LSTM(2, 3)))
print(*sorted(load_weights("lstm.safetensors")), load("airline").sum(), load("sunspots").size)
assert recorded("story")
"""
MISSING = {
    "torch": 'rnnlab.torch needs PyTorch, which is not installed: pip install "torch>=',
    "tensorflow": "rnnlab.tensorflow needs TensorFlow, which is not installed: pip install "
    '"tensorflow>=',
    "plot": 'rnnlab.plot needs matplotlib, which is not installed: pip install "matplotlib>=',
}


def test_with_numpy_alone(wheel, tmp_path):
    """rnnlab.numpy trains, and each of the others says what it misses and how to get it."""
    alone = Environment(tmp_path, wheel, "numpy")
    path = alone.run(ONE_STEP.format("numpy") + "import rnnlab; print(rnnlab.__file__)")
    assert Path(path).is_relative_to(tmp_path), "the installed package, not the one in this folder"
    for module, words in MISSING.items():
        assert alone.refuses(f"import rnnlab.{module}").startswith(words)


def test_with_what_it_always_brings(wheel, tmp_path):
    """Its data, its files of weights and its progress bar are there; no framework is."""
    usual = Environment(tmp_path, wheel, "numpy", "pooch", "safetensors", "tqdm")
    assert usual.run(FILES) == "cell.W_h cell.W_x cell.b 40363.0 309"
    usual.run(ONE_STEP.format("numpy").replace("progress=False", "progress=True"))
    assert usual.refuses("import rnnlab.torch").startswith(MISSING["torch"])


@pytest.mark.parametrize(("one", "other"), [("torch", "tensorflow"), ("tensorflow", "torch")])
def test_with_one_framework(wheel, tmp_path, one, other):
    """PyTorch without TensorFlow, and the reverse."""
    half = Environment(tmp_path, wheel, "numpy", "tqdm", "safetensors", one)
    half.run(ONE_STEP.format(one))
    assert half.refuses(f"import rnnlab.{other}").startswith(MISSING[other])
