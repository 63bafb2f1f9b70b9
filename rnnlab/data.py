"""The data of the book: short texts and series in the package, the large corpus by download."""

import hashlib
import json
import os
import warnings
from pathlib import Path

import numpy as np

from rnnlab import checks

__all__ = ["load", "names", "recorded", "times"]

_TEXTS = {
    # Antoine de Saint-Exupéry's saying, in the wording of the lecture's labs 12-3 and 12-4
    "ship": (
        "if you want to build a ship, don't drum up people together to "
        "collect wood and don't assign them tasks and work, but rather "
        "teach them to long for the endless immensity of the sea."
    ),
}

_CORPORA = {
    "shakespeare": {
        "file": "tinyshakespeare.txt",
        "url": "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "sha256": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        "bytes": 1_115_394,
    },
}


# Their files in the package, and the SHA-256 of each, with lines that end in one newline.
_SERIES = {
    "airline": "d27dd74f3654ab4c688afccf2348870410902f480cea900d872be2ae33184411",
    "sunspots": "74b8e3acb9886b68abe9c56f6081257d522e2cb2470f17dbf597b396f4ea1706",
}


def names():
    """The names that :func:`load` knows.

    >>> names()
    ['airline', 'shakespeare', 'ship', 'sunspots']
    """
    return sorted([*_TEXTS, *_CORPORA, *_SERIES])


def load(name):
    """A text (a string) or a series (an array of float64 (N,)) by its name.

    "ship": the 180 characters of the lecture's ship sentence.
    "shakespeare": tiny Shakespeare (Karpathy 2015), 1,115,394 characters. It is looked for in the
        folder that the environment variable RNNLAB_DATA names, then in pooch's cache, and is
        downloaded to that cache if neither has it. Its SHA-256 is checked each time.
    "airline": international airline passengers in thousands, the 144 months of 1949 to 1960: series
        G of Box & Jenkins (1970), who had it from Brown (1962). Published figures, which carry no
        licence.
    "sunspots": yearly mean sunspot numbers, the 309 years 1700 to 2008, as NOAA's National
        Geophysical Data Center published them, in the public domain. They were compiled at the
        World Data Center SILSO, Royal Observatory of Belgium, Brussels. This is version 1;
        version 2, which replaced it in 2015 (CC BY-NC 4.0), has other values throughout. R's
        ``sunspot.year`` is the same up to 1988, but for 0.2 at most in four years.

    A series comes as a new array each time; :func:`times` gives its time axis.
    Raises ValueError if there is no such name, or if a file's content is not the corpus (it is
    then not used); FileNotFoundError, saying what to do, if the corpus cannot be had.

    >>> load("ship")[:27]
    'if you want to build a ship'
    >>> load("airline")[:5]
    array([112., 118., 132., 129., 121.])
    """
    checks.name(name, names())
    if name in _TEXTS:
        return _TEXTS[name]
    if name in _SERIES:
        return _column(name, 1).astype(np.float64)
    return _checked(_path(name), _CORPORA[name]).decode("utf-8")


def times(name):
    """The time axis (N,) of a series that :func:`load` knows: months or years, as datetime64.

    Raises ValueError if there is no such series.

    >>> print(times("airline")[-1], times("sunspots")[0])
    1960-12 1700
    """
    checks.name(name, sorted(_SERIES))
    return _column(name, 0).astype(np.datetime64)  # its unit is that of the text: a month or a year


def recorded(name):
    """What a script in ``benchmarks/`` has recorded under this name, as Python's dicts and lists.

    Raises ValueError if there is no such record, or if its file is damaged.

    >>> [run["options"]["seconds"] for run in recorded("shakespeare")]
    [180.0, 180.0, 180.0, 180.0]
    """
    folder = Path(__file__).parent / "recorded"
    checks.name(name, sorted(path.stem for path in folder.glob("*.json")))
    path = folder / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); {_REINSTALL}") from None


_REINSTALL = "it was not used: install rnnlab again"


def _column(name, k):
    """A column (N,) of a series' file, as text, once the file's hash is right."""
    path = Path(__file__).parent / "series_data" / f"{name}.csv"
    content = path.read_bytes().replace(b"\r\n", b"\n")  # as git may have it on Windows
    if hashlib.sha256(content).hexdigest() != _SERIES[name]:
        raise ValueError(f"{path} is not the series that rnnlab came with; {_REINSTALL}")
    lines = content.decode("utf-8").splitlines()
    return np.loadtxt(lines, dtype=str, delimiter=",", skiprows=1, usecols=k)


def _path(name):
    """Where the corpus lies: the user's folder, else the cache, filled from the source."""
    corpus = _CORPORA[name]
    folder = os.environ.get("RNNLAB_DATA")
    if folder and (Path(folder) / corpus["file"]).exists():
        return Path(folder) / corpus["file"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in a notebook, pooch's progress bar misses ipywidgets
        import pooch  # here, for it takes long to import and is seldom needed

    cache = pooch.os_cache("rnnlab")
    if (cache / corpus["file"]).exists():
        return cache / corpus["file"]
    try:
        pooch.get_logger().setLevel("WARNING")  # a notebook's outputs are for its results
        # pooch downloads to a temporary file, checks the hash and only then moves it in place.
        return Path(
            pooch.retrieve(
                corpus["url"],
                known_hash=f"sha256:{corpus['sha256']}",
                fname=corpus["file"],
                path=cache,
                progressbar=False,
            )
        )
    except OSError as error:
        raise FileNotFoundError(
            f"the corpus {name!r} is not on this machine and could not be downloaded from "
            f"{corpus['url']} to {cache} ({error.strerror or type(error).__name__}). Download it "
            f"where there is a network, save it as {corpus['file']} and set RNNLAB_DATA to the "
            "folder it is in"
        ) from None  # the four errors below this one tell a reader nothing more
    except ValueError:
        raise ValueError(
            f"what came from {corpus['url']} is not the corpus {name!r}, whose sha256 hash is "
            f"{corpus['sha256']}. It was not kept; try again, or save the right file as "
            f"{corpus['file']} and set RNNLAB_DATA to the folder it is in"
        ) from None


def _checked(path, corpus):
    """The file's bytes, once their hash is right."""
    content = Path(path).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != corpus["sha256"]:
        raise ValueError(
            f"{path} is not the expected corpus: {len(content)} bytes with sha256 {found}, "
            f"expected {corpus['bytes']} bytes with sha256 {corpus['sha256']}. "
            "It was not used; delete it and load again"
        )
    return content
