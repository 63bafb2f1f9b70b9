"""Programs for test_faults.py to kill, to interrupt and to starve: ``victims.py NAME ARGUMENT...``.

Each prints what became of it, as JSON.
"""

import ctypes
import importlib
import itertools
import json
import os
import resource
import signal
import sys
import threading
from pathlib import Path

import numpy as np

from rnnlab import checkpoint
from rnnlab.text import Vocabulary, streams

OLD, NEW = np.zeros(4096), np.ones(4096)


def write(path, array):
    checkpoint.write(path, {"weights/a": array}, {})


def found(path):
    """Which of the two stands there: 0 or 1. What is neither raises."""
    a = checkpoint.read(path)[0]["weights/a"]
    assert (a == a[0]).all()
    return int(a[0])


def left_beside(path):
    """The sizes of what else is in the folder, which is then cleared away."""
    others = [other for other in path.parent.iterdir() if other != path]
    sizes = [other.stat().st_size for other in others]
    for other in others:
        other.unlink()
    return sizes


def in_a_child(function):
    """Fork, and run the function there: -> the child's id."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        finally:
            os._exit(0)
    return pid


TRACEME, SYSCALL = 0, 24  # of ptrace


def killed_at_every_call(path):
    """Write as often as the write makes system calls, and be killed at one after the other.

    ptrace stops a process where it enters the kernel, and where it comes back.
    """
    libc = ctypes.CDLL(None)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def traced():
        libc.ptrace(TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        write(path, NEW)

    outcomes, finished = [], False
    for n in itertools.count(1):
        write(path, OLD)
        pid = in_a_child(traced)
        os.waitpid(pid, 0)
        for _ in range(n):
            if libc.ptrace(SYSCALL, pid, None, None):
                print(json.dumps("ptrace is not allowed"))
                os.kill(pid, signal.SIGKILL)
                return
            _, status = os.waitpid(pid, 0)
            finished = not os.WIFSTOPPED(status)
            if finished:
                break
        if finished:
            break
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        outcomes.append(found(path))
        left_beside(path)
    print(json.dumps(outcomes))


def killed_in_the_middle(path):
    """Write, and be killed by the kernel when so many bytes are written."""
    write(path, OLD)
    whole = path.stat().st_size
    outcomes = []
    for size in [0, 1, 8, 9, *range(100, whole, whole // 10), whole - 1]:

        def limited(size=size):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            write(path, NEW)

        _, status = os.waitpid(in_a_child(limited), 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXFSZ
        outcomes.append([killed, left_beside(path) == [size], found(path)])
    print(json.dumps(outcomes))


def out_of_space(path):
    """Write where there is no space: a limit on the size of files, or a disk that is full."""
    if os.environ.get("LIMIT"):
        write(path, OLD)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    else:
        write(path, OLD[:1])
    problems = []
    model = tiny("numpy")
    before = importlib.import_module("rnnlab.numpy").get_weights(model)
    for attempt in (lambda: write(path, NEW), lambda: train("numpy", model, 2, checkpoint=path)):
        try:
            attempt()
        except OSError as error:
            problems.append(str(error))
    trained = importlib.import_module("rnnlab.numpy").get_weights(model)
    moved = all((trained[name] != before[name]).any() for name in before)
    print(json.dumps([problems, left_beside(path), found(path), moved]))


VOCABULARY = Vocabulary("helo wrd")
BATCHES = streams(np.random.default_rng(0).integers(8, size=42), batch_size=1, length=2)
LONG = streams(np.zeros(40_001, int), batch_size=4, length=10_000)


class Announced:
    """Batches that print a line where they are begun for the second time: training is under way."""

    def __init__(self, batches, passes=2):
        self.batches, self.passes = batches, passes

    def __iter__(self):
        self.passes -= 1
        if self.passes == 0:
            print("training", flush=True)
        yield from self.batches


def tiny(framework, hidden_size=200):
    """A model whose update takes the larger part of a step: many weights, and little to read."""
    m = importlib.import_module(f"rnnlab.{framework}")
    return m.CharLM(VOCABULARY, m.LSTM(8, hidden_size, 2), dropout=0.1)


def train(framework, model, steps, batches=BATCHES, **options):
    m = importlib.import_module(f"rnnlab.{framework}")
    return m.fit(model, batches, steps=steps, lr=0.01, clip=1.0, progress=False, **options)


FOREVER = 900  # steps: some seconds, and not yet so many that TensorFlow compiles them by XLA


def interrupted(framework, path):
    """Train on and on, until Ctrl-C: -> what it says, how far it came.

    And is all as after so many steps without an interruption?
    """
    m = importlib.import_module(f"rnnlab.{framework}")
    model, message = tiny(framework), ""
    try:
        train(framework, model, FOREVER, Announced(BATCHES), checkpoint=path)
    except KeyboardInterrupt as stopped:
        message = str(stopped)
    steps, whole = len(checkpoint.read(path)[0]["losses"]), path.with_name("whole")
    other = tiny(framework)
    train(framework, other, FOREVER, callback=lambda k, _: k + 1 == steps, checkpoint=whole)
    ours, theirs = m.get_weights(model), m.get_weights(other)
    same = all((ours[name] == theirs[name]).all() for name in theirs)
    (arrays, about), (expected, about_it) = checkpoint.read(path), checkpoint.read(whole)
    same = same and about == about_it  # dropout's generator, too
    same = same and all((arrays[name] == expected[name]).all() for name in expected)
    same = bool(same and arrays.keys() == expected.keys())  # and Adam's means
    return {"message": message, "steps": steps, "same": same}


def command_line(folder, *frameworks):
    """Be interrupted in each of the notations, and then as a program is that does not catch it."""
    for framework in frameworks:
        print(json.dumps(interrupted(framework, folder / f"{framework}.safetensors")), flush=True)
    last = {"checkpoint": folder / "last.safetensors"}
    train("numpy", tiny("numpy"), FOREVER, Announced(BATCHES), **last)


def impatient(folder):
    """Be interrupted twice within a step, for which one does not want to wait."""
    path, ended = folder / "none.safetensors", False
    try:
        train("numpy", tiny("numpy"), 1, Announced(LONG, 1), checkpoint=path)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ended = True
    print(json.dumps({"interrupted": ended, "written": path.exists()}), flush=True)


def notebook(path):
    """Be the user of a notebook, who interrupts training, and goes on with it in the same kernel.

    Is all then as after a run without an interruption?
    """
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    printed, begun = [], threading.Event()

    def hear(message):
        printed.append(message["content"].get("text"))
        if printed[-1] == "training\n":
            begun.set()

    def interrupt():
        begun.wait()
        manager.interrupt_kernel()

    def run(code):
        return client.execute_interactive(code, timeout=60, output_hook=hear)["content"]

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        run(f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})")
        run('from victims import *; model = tiny("numpy"); batches = Announced(BATCHES)')
        reply = run(f'train("numpy", model, FOREVER, batches, checkpoint={str(path)!r})')
        steps = len(checkpoint.read(path)[0]["losses"]) + 20
        run(f'losses = train("numpy", model, {steps}, resume={str(path)!r})')
        run(f'print((train("numpy", tiny("numpy"), {steps}) == losses).all(), len(losses))')
        print(json.dumps([reply["ename"], reply["evalue"], [t for t in printed if t][-1]]))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    # Whoever runs the tests in the background of a shell has Ctrl-C ignored, and so have children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    name, path, *arguments = sys.argv[1:]
    globals()[name](Path(path), *arguments)
