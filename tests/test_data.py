"""The series hold the right figures; the corpus is found, or refused if it is another one."""

import hashlib
import os
import shutil

import numpy as np
import pooch
import pytest

from rnnlab import data


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No corpus in the user's folder, an empty cache, and no network."""
    monkeypatch.setenv("RNNLAB_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    broken = data._CORPORA["shakespeare"] | {"url": "http://127.0.0.1:9/nothing.txt"}
    monkeypatch.setitem(data._CORPORA, "shakespeare", broken)
    return tmp_path


@pytest.fixture(scope="module")
def corpus():
    """The real corpus, as bytes; the tests that need it are skipped where it cannot be had."""
    try:
        return data.load("shakespeare").encode()
    except FileNotFoundError as error:
        pytest.skip(f"tiny Shakespeare cannot be had here: {error}")


def test_small_texts():
    ship = data.load("ship")
    assert len(ship) == 180
    assert len(set(ship)) == 25
    with pytest.raises(ValueError, match=r"'shakespeare', 'ship'.*got 'moby dick'"):
        data.load("moby dick")


@pytest.mark.parametrize(
    ("name", "n", "first", "last", "total", "start", "end", "sha256"),
    [
        (
            "airline",
            144,
            112,
            432,
            40363,
            "1949-01",
            "1960-12",
            "3a251411cf51771fd72753fd2fd264bda58038fdb9ae325f1e1258cd077813f0",
        ),
        (
            "sunspots",
            309,
            5,
            2.9,
            15373.4,
            "1700",
            "2008",
            "9945cc5995623c573e45bc2e806697eff3e2270125a9701d2373e990fc19d6e0",
        ),
    ],
)
def test_series(name, n, first, last, total, start, end, sha256):
    values, times = data.load(name), data.times(name)
    assert values.shape == times.shape == (n,)
    assert values.dtype == np.float64
    assert (values[0], values[-1], round(values.sum(), 6)) == (first, last, total)
    assert (str(times[0]), str(times[-1])) == (start, end)
    assert (np.diff(times).astype(int) == 1).all()  # no step is missing
    figures = " ".join(f"{value:.1f}" for value in values)
    assert hashlib.sha256(figures.encode()).hexdigest() == sha256


def test_sunspot_maxima_are_where_they_were():
    """The peaks of cycles that every table lists, version 1: a check of all three centuries."""
    years = data.times("sunspots").astype(int) + 1970
    sunspots = dict(zip(years.tolist(), data.load("sunspots"), strict=True))
    assert {year: sunspots[year] for year in (1778, 1870, 1957, 2000)} == {
        1778: 154.4,
        1870: 139.0,
        1957: 190.2,
        2000: 119.6,
    }


def test_a_series_is_the_callers_own():
    data.load("airline")[:] = 0
    data.times("airline")[:] = np.datetime64("2000-01")
    assert data.load("airline")[0] == 112
    assert str(data.times("airline")[0]) == "1949-01"


def test_only_a_series_has_times():
    with pytest.raises(ValueError, match=r"\['airline', 'sunspots'\], got 'ship'"):
        data.times("ship")


def test_records_are_read_by_name():
    assert data.recorded("shakespeare")[0]["held_out_loss"] < 1.5
    assert {trial["options"]["choose"] for trial in data.recorded("shakespeare_trials")} == {
        True,
        False,
    }
    with pytest.raises(ValueError, match=r"'shakespeare_trials', 'story'\], got 'moby dick'"):
        data.recorded("moby dick")


def test_shakespeare(corpus):
    text = data.load("shakespeare")
    assert len(text) == len(corpus) == 1_115_394
    assert len(set(text)) == 65
    assert text.startswith("First Citizen:\n")


def test_missing_corpus_says_what_to_do(nowhere):
    with pytest.raises(FileNotFoundError, match=r"RNNLAB_DATA.*tinyshakespeare|tinyshakespeare"):
        data.load("shakespeare")
    assert not list((nowhere / "cache").rglob("*.txt"))


@pytest.mark.parametrize("place", ["data", "cache/rnnlab"])
def test_a_corrupt_corpus_is_refused(nowhere, place):
    folder = nowhere / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tinyshakespeare.txt").write_bytes(b"To be, or not to be")
    with pytest.raises(ValueError, match=r"19 bytes.*expected 1115394 bytes.*not used"):
        data.load("shakespeare")


@pytest.mark.parametrize("place", ["data", "cache/rnnlab"])
def test_the_folder_and_then_the_cache(nowhere, place, corpus):
    folder = nowhere / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tinyshakespeare.txt").write_bytes(corpus)
    assert data.load("shakespeare").encode() == corpus


def test_one_flipped_bit_is_noticed(nowhere, corpus):
    flipped = bytearray(corpus)
    flipped[500_000] ^= 1
    (nowhere / "data" / "tinyshakespeare.txt").write_bytes(flipped)
    with pytest.raises(ValueError, match="sha256"):
        data.load("shakespeare")


def test_a_download_is_checked_and_kept(nowhere, corpus, monkeypatch):
    import functools
    import http.server
    import threading

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    (nowhere / "served").mkdir()
    (nowhere / "served" / "good.txt").write_bytes(corpus)
    (nowhere / "served" / "bad.txt").write_bytes(corpus[:-1])
    handler = functools.partial(Quiet, directory=str(nowhere / "served"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for name, good in (("bad.txt", False), ("good.txt", True)):
                url = f"http://127.0.0.1:{server.server_port}/{name}"
                entry = data._CORPORA["shakespeare"] | {"url": url}
                monkeypatch.setitem(data._CORPORA, "shakespeare", entry)
                if good:
                    assert data.load("shakespeare").encode() == corpus
                else:
                    with pytest.raises(ValueError, match="hash"):
                        data.load("shakespeare")
                    assert not list((nowhere / "cache").rglob("*.txt"))
        finally:
            server.shutdown()
            thread.join()
    shutil.rmtree(nowhere / "served")
    assert data.load("shakespeare").encode() == corpus  # now from the cache
    assert os.listdir(nowhere / "cache" / "rnnlab") == ["tinyshakespeare.txt"]
