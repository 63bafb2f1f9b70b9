"""Give each mutant to the tests that reach it: what :mod:`mutation` starts, in the tests' Python.

mutmut's own runner starts pytest for each mutant, which takes seconds where the tests import two
frameworks. Here pytest collects once; a process forked from it, in which nothing of TensorFlow has
run yet, runs the tests with no mutant and notes which functions each of them calls, and how long it
takes. Then one more process is forked for each mutant. It stops at the first test that fails; those
that noticed the function's other mutants go first, now or in earlier runs, then those that call no
other framework, and all parametrized tests get the same time, their fastest cases first.
"""

import gc
import hashlib
import json
import os
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import mutmut.configuration
import numpy as np
import pytest
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils.format_utils import mangled_name_from_mutant_name

import rnnlab.numpy

TIMES, SECONDS = 10, 5  # a test may take so many times longer than without a mutant, and so much
ROOM = 8 << 30  # and the process may have so many bytes more


def run(item, following):
    """Run a test; True if it passes, or is skipped."""
    before = item.session.testsfailed
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    return item.session.testsfailed == before


def forked(work):
    """Run work(write) in a process of its own. -> its id and the end to read from"""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    code = 1
    try:
        os.close(reading)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
        work(lambda text: os.write(writing, text.encode()))
        code = 0
    finally:
        os._exit(code)


def warm():
    """Load what numba compiled and PyTorch's own parts: once, and not in every process anew."""
    import rnnlab.torch

    for dtype in ("float32", "float64"):
        for name in ("SimpleRNN", "LSTM", "GRU"):
            xs = np.zeros((2, 3, 3), dtype)
            getattr(rnnlab.numpy, name)(3, 4, dtype=dtype)(xs, lengths=[3, 1])
            ys, _ = getattr(rnnlab.torch, name)(3, 4, dtype=dtype)(xs)
            ys.sum().backward()


def package(function):
    """Which part of the package a function is of: numpy, torch, text ..."""
    return function.split(".")[1]


def digest(*paths):
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def read(descriptor):
    with os.fdopen(descriptor, encoding="utf-8") as file:
        return file.read()


class Mutants:
    """The plugin: instead of running the tests once, it runs them on every mutant."""

    def __init__(self, folder, plan):
        self.folder, self.plan = folder, plan
        self.killers = defaultdict(list)

    def pytest_configure(self):
        import hypothesis  # not earlier: it is a plugin of pytest, too

        hypothesis.settings.register_profile(
            "mutants",
            phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),  # no smaller example
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        hypothesis.settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items):
        # mutmut's copies of a function have its docstring, too.
        items[:] = [item for item in items if "__mutmut_" not in item.name.replace("_orig", "")]

    def pytest_runtestloop(self, session):
        session.config.pluginmanager.unregister(name="terminalreporter")  # dots and tracebacks
        self.items = {item.nodeid: item for item in session.items}
        warm()
        threads = len(os.listdir("/proc/self/task"))
        if threads > 1:  # a fork leaves them behind, and their locks
            raise RuntimeError(
                f"{threads} threads: set OPENBLAS_NUM_THREADS=1, as make does; and no test may "
                "run TensorFlow while tests are collected"
            )
        gc.collect()
        gc.freeze()  # else each process would look through what it shares with us, and so copy it
        if not self.learn():
            session.testsfailed = 1
            return True
        with open(self.plan["results"], "a+", encoding="utf-8") as results:
            results.seek(0)
            for line in results:
                self.remember(*json.loads(line))
            self.kill(results)
        return True

    def learn(self):
        """Which functions each test calls, and how long it takes: self.reach, self.seconds.

        It is kept for the next run, until the package or the file of the test changes.
        """
        kept, file = {}, self.folder / "learned.json"
        code = digest(*sorted((self.folder / "rnnlab").rglob("*.py")), Path("tests/support.py"))
        if file.exists():
            kept = json.loads(file.read_text(encoding="utf-8"))
        stamp = {item.nodeid: code + digest(item.path) for item in self.items.values()}
        new = [item for n, item in self.items.items() if kept.get(n, [None])[0] != stamp[n]]

        def work(write):
            set_mutant_under_test("stats")
            items = new
            for item, following in zip(items, [*items[1:], None], strict=True):
                state()._stats.clear()
                began = time.process_time()
                passed = run(item, following)
                seconds = time.process_time() - began
                called = sorted(state()._stats)
                write(json.dumps([item.nodeid, passed, seconds, called]) + "\n")

        child, pipe = forked(work)
        lines = [json.loads(line) for line in read(pipe).splitlines()]
        os.waitpid(child, 0)
        set_mutant_under_test("")
        kept |= {nodeid: [stamp[nodeid], *more] for nodeid, passed, *more in lines if passed}
        file.write_text(json.dumps(kept), encoding="utf-8")
        failed = [nodeid for nodeid, passed, *_ in lines if not passed]
        failed += [item.nodeid for item in new[len(lines) :]]
        if failed:
            print("\nWith no mutant these fail or never came to run:", *failed, sep="\n")
            return False
        self.seconds = {nodeid: kept[nodeid][1] for nodeid in self.items}
        self.reach, place, spent, packages = defaultdict(list), {}, Counter(), {}
        for nodeid in sorted(self.items, key=self.seconds.get):
            kind, called = nodeid.partition("[")[0], kept[nodeid][2]
            spent[kind] += self.seconds[nodeid]
            place[nodeid] = spent[kind]
            packages[nodeid] = {package(function) for function in called}
            for function in called:
                self.reach[function].append(nodeid)
        for function, nodeids in self.reach.items():
            own = {package(function)}
            nodeids.sort(key=lambda n, own=own: (len(packages[n] - own), place[n]))
        print(f"{len(self.items)} tests, {sum(self.seconds.values()):.0f} s", flush=True)
        return True

    def kill(self, results):
        waiting, running = list(reversed(self.plan["mutants"])), {}
        done, began, slow = 0, time.monotonic(), 0.0
        while waiting or running:
            while waiting and len(running) < self.plan["jobs"]:
                mutant = waiting.pop()
                child, pipe = self.start(mutant)
                running[child] = mutant, pipe
            child, status = os.wait()
            if child not in running:
                continue
            mutant, pipe = running.pop(child)
            killer = read(pipe)
            if killer:
                outcome = "killed"
                self.remember(mutant, outcome, killer)
            else:
                outcome = "timeout or crash" if status else "survived"
            results.write(json.dumps([mutant, outcome, killer]) + "\n")
            results.flush()
            done += 1
            if time.monotonic() - slow > 60:
                slow = time.monotonic()
                print(f"{done} of {len(self.plan['mutants'])}, {slow - began:.0f} s", flush=True)

    def remember(self, mutant, outcome, killer=""):
        """Let the test that noticed a mutant go first for the others of its function."""
        if killer not in self.items:
            return
        known = self.killers[mangled_name_from_mutant_name(mutant)]
        if killer in known:
            known.remove(killer)
        known.insert(0, killer)

    def start(self, mutant):
        function = mangled_name_from_mutant_name(mutant)
        first = self.killers[function]
        nodeids = first + [n for n in self.reach[function] if n not in set(first)]

        def work(write):
            set_mutant_under_test(mutant)
            began = time.process_time()
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
            signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process
            items = [self.items[nodeid] for nodeid in nodeids]
            for item, following in zip(items, [*items[1:], None], strict=True):
                # In seconds of the processor: others may keep it from us.
                if time.process_time() - began > self.plan["seconds"]:
                    return
                signal.setitimer(signal.ITIMER_PROF, TIMES * self.seconds[item.nodeid] + SECONDS)
                if not run(item, following):
                    write(item.nodeid)
                    return

        return forked(work)


def main(folder):
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    assert Path(rnnlab.__file__).is_relative_to(folder), rnnlab.__file__
    mutmut.configuration.config()  # from pyproject.toml; tests go to other folders
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov"]
    return pytest.main([*options, *plan["tests"]], plugins=[Mutants(folder, plan)])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
