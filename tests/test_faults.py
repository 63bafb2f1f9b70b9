"""What happens when something breaks: nothing whole is lost, nothing half-written is used.

Done and not mocked: victims.py is killed, interrupted and starved of space, and real servers cut
their connections.
"""

import http.server
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pooch
import pytest

import rnnlab
from rnnlab import data

VICTIMS = Path(__file__).parent / "victims.py"
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and limits")


def environment(**more):
    """What a child process needs to find this package."""
    paths = [str(Path(rnnlab.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "3"} | more


def victim(*arguments, before=(), **more):
    """What a victim printed."""
    command = [*before, sys.executable, VICTIMS, *arguments]
    done = subprocess.run(
        command, env=environment(**more), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's ptrace")
def test_killed_at_any_system_call_of_a_write_the_old_file_or_the_new_one_is_there(tmp_path):
    outcomes = victim("killed_at_every_call", tmp_path / "file.safetensors")
    if outcomes == "ptrace is not allowed":
        pytest.skip(outcomes)
    assert len(outcomes) > 10
    assert outcomes == sorted(outcomes)  # once it is there, the new one stays
    assert set(outcomes) == {0, 1}


@POSIX
def test_killed_in_the_middle_of_a_write_the_old_file_is_there(tmp_path):
    outcomes = victim("killed_in_the_middle", tmp_path / "file.safetensors")
    assert len(outcomes) > 10
    assert outcomes == [[True, True, 0]] * len(outcomes)


def check_out_of_space(outcome, reason):
    """The reason is told, the old file is there and nothing else, and the model was trained."""
    problems, left, found, moved = outcome
    assert len(problems) == 2
    for problem in problems:
        assert re.search(rf"{reason}.*what stood there before is as it was.*file\.safe", problem)
    assert (left, found, moved) == ([], 0, True)


@POSIX
def test_out_of_space_the_old_file_is_there(tmp_path):
    check_out_of_space(victim("out_of_space", tmp_path / "file.safetensors", LIMIT="yes"), "large")


def test_on_a_full_disk_the_old_file_is_there(tmp_path):
    mount = f"mount -t tmpfs -o size=24k tmpfs {tmp_path}"
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*alone, mount], capture_output=True).returncode
    ):
        pytest.skip("no small disk can be made here")
    file = tmp_path / "file.safetensors"
    outcome = victim("out_of_space", file, before=[*alone, f'{mount} && exec "$@"', "sh"])
    check_out_of_space(outcome, "No space left on device")


# Ctrl-C


@contextmanager
def running(*arguments):
    """A victim at work, and its output line by line."""
    command = [sys.executable, VICTIMS, *arguments]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def check_interrupted(result, path):
    """It says where it is and how to go on, and the model is as after that many whole steps."""
    assert result["same"]
    assert result["steps"] >= 20
    assert result["message"] == (
        f"training ended after {result['steps']} of 900 steps; the model has the weights of then, "
        f"and fit(..., resume={str(path)!r}) goes on from it"
    )


@POSIX
def test_ctrl_c_on_the_command_line_ends_training_between_two_steps(tmp_path):
    frameworks = ["numpy"] * 3 + ["torch", "tensorflow"]
    with running("command_line", tmp_path, *frameworks) as process:
        for k, framework in enumerate(frameworks):
            assert process.stdout.readline() == "training\n"
            time.sleep(0.01 * k)  # at different places of a step
            process.send_signal(signal.SIGINT)
            result = json.loads(process.stdout.readline())
            check_interrupted(result, tmp_path / f"{framework}.safetensors")
        assert process.stdout.readline() == "training\n"
        process.send_signal(signal.SIGINT)
        _, problems = process.communicate(timeout=60)
    assert process.returncode != 0
    assert re.search(r"KeyboardInterrupt: training ended after \d+ of 900 steps", problems)


@POSIX
def test_a_second_ctrl_c_does_not_wait_and_writes_nothing(tmp_path):
    with running("impatient", tmp_path) as process:
        assert process.stdout.readline() == "training\n"
        # Two that come while NumPy is at one long operation are one.
        while not select.select([process.stdout], [], [], 0.3)[0]:
            process.send_signal(signal.SIGINT)
        assert json.loads(process.stdout.readline()) == {"interrupted": True, "written": False}


@POSIX
def test_interrupting_a_notebook_ends_training_between_two_steps(tmp_path):
    path = tmp_path / "run.safetensors"
    error, words, resumed = victim("notebook", path)
    assert error == "KeyboardInterrupt"
    steps = int(re.match(r"training ended after (\d+) of 900 steps", words)[1])
    assert resumed == f"True {steps + 20}\n"


# The corpus and its cache


CORPUS = (b"To be, or not to be. " * 5000)[:100_000]


class Server(http.server.BaseHTTPRequestHandler):
    """Serves the corpus slowly, and cuts the connection after so many bytes."""

    def do_GET(self):
        self.server.asked.append(time.monotonic())
        self.send_response(200)
        if self.server.says_how_long:
            self.send_header("Content-Length", str(len(CORPUS)))
        self.end_headers()
        for start in range(0, self.server.sent, 10_000):
            self.wfile.write(CORPUS[start : min(start + 10_000, self.server.sent)])
            time.sleep(self.server.pause)

    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server with a corpus of its own, and an empty cache."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.asked, server.sent, server.pause, server.says_how_long = [], len(CORPUS), 0, True
    threading.Thread(target=server.serve_forever).start()
    corpus = {
        "file": "tinyshakespeare.txt",
        "url": f"http://127.0.0.1:{server.server_port}/input.txt",
        "sha256": data.hashlib.sha256(CORPUS).hexdigest(),
        "bytes": len(CORPUS),
    }
    monkeypatch.setitem(data._CORPORA, "shakespeare", corpus)
    monkeypatch.delenv("RNNLAB_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / name)
    server.corpus, server.cache = corpus, tmp_path / "rnnlab"
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("says_how_long", [True, False])
@pytest.mark.parametrize("sent", [0, 1, 50_000, 99_999])
def test_a_download_that_is_cut_off_is_not_kept(served, sent, says_how_long):
    served.sent, served.says_how_long = sent, says_how_long
    problem = (FileNotFoundError, "could not be downloaded.*set RNNLAB_DATA")
    if not says_how_long:  # the end comes as a surprise to none but the hash
        problem = (ValueError, "is not the corpus 'shakespeare'.*try again")
    with pytest.raises(problem[0], match=problem[1]):
        data.load("shakespeare")
    assert list(served.cache.iterdir()) == []
    served.sent = len(CORPUS)
    assert data.load("shakespeare").encode() == CORPUS
    assert [path.name for path in served.cache.iterdir()] == ["tinyshakespeare.txt"]


def loading(server):
    """A process that loads the corpus, and prints its length."""
    program = (
        "from rnnlab import data\n"
        f"data._CORPORA['shakespeare'] = {server.corpus!r}\n"
        "print(len(data.load('shakespeare')))"
    )
    command = [sys.executable, "-c", program]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)


def asked(server, times):
    """Wait until the server was asked so many times."""
    deadline = time.monotonic() + 30
    while len(server.asked) < times:
        assert time.monotonic() < deadline, f"the server was asked {len(server.asked)} times"
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="moves the cache as Linux does")
def test_two_processes_fill_the_cache_at_once(served):
    served.pause = 0.3
    with loading(served) as one, loading(served) as other:
        asked(served, 2)
        assert not (served.cache / "tinyshakespeare.txt").exists()  # both are in the middle
        for process in (one, other):
            assert process.communicate(timeout=60)[0] == f"{len(CORPUS)}\n"
    assert [path.name for path in served.cache.iterdir()] == ["tinyshakespeare.txt"]
    assert data.load("shakespeare").encode() == CORPUS
    assert len(served.asked) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="moves the cache as Linux does")
def test_a_process_killed_while_it_fills_the_cache_leaves_nothing_that_is_used(served):
    served.pause = 0.1
    with loading(served) as process:
        asked(served, 1)
        time.sleep(0.3)
        process.kill()
    assert not (served.cache / "tinyshakespeare.txt").exists()
    served.pause = 0
    assert data.load("shakespeare").encode() == CORPUS


def test_a_cache_that_cannot_be_written_is_called_so(served):
    served.cache.write_text("a file where the folder should be")
    with pytest.raises(
        FileNotFoundError, match=r"to .*rnnlab \((Not a directory|File exists)\).*set RNNLAB_DATA"
    ):
        data.load("shakespeare")


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_series_is_refused(damage, tmp_path, monkeypatch):
    package = Path(data.__file__).parent
    shutil.copytree(package / "series_data", tmp_path / "series_data")
    monkeypatch.setattr(data, "__file__", str(tmp_path / "data.py"))
    path = tmp_path / "series_data" / "airline.csv"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\n", b"\r\n"))  # as git writes it on Windows
    assert data.load("airline").sum() == 40363
    flipped = bytearray(content)
    flipped[-2] ^= 1
    path.write_bytes({"cut": content[:-1], "flipped": flipped, "empty": b""}[damage])
    for read in (data.load, data.times):
        with pytest.raises(ValueError, match=r"airline\.csv is not the series.*install rnnlab"):
            read("airline")
    assert len(data.load("sunspots")) == 309


def test_a_damaged_record_is_refused(tmp_path, monkeypatch):
    (tmp_path / "recorded").mkdir()
    (tmp_path / "recorded" / "half.json").write_text('{"seconds": [1')
    monkeypatch.setattr(data, "__file__", str(tmp_path / "data.py"))
    with pytest.raises(ValueError, match=r"half\.json is damaged.*install rnnlab again"):
        data.recorded("half")


# A place for the checkpoint


def test_where_no_checkpoint_can_be_written_training_does_not_begin(tmp_path):
    from victims import tiny, train

    model, m = tiny("numpy"), rnnlab.numpy
    before = m.get_weights(model)
    (tmp_path / "folder").mkdir()
    cases = [
        (tmp_path / "none" / "x", FileNotFoundError, "there is no folder .*none; make it first"),
        (tmp_path / "folder", IsADirectoryError, "Is a directory"),
        (3, TypeError, "checkpoint must be a path, a string or a Path, got int"),
        ("", ValueError, "checkpoint must be the path of a file, got ''"),
        ("a\0b", ValueError, "checkpoint must be the path of a file"),
        ("a\ud800", ValueError, "checkpoint must be the path of a file"),
    ]
    for path, error, words in cases:
        with pytest.raises(error, match=words):
            train("numpy", model, 3, checkpoint=path)
    assert all(np.array_equal(before[name], w) for name, w in m.get_weights(model).items())
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
