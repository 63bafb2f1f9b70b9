"""Run the checks and end in one line that says how they went: ``make test``.

``check.py`` runs all of them, ``check.py lint`` and ``check.py chapters [NAME]`` a part.
"""

import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
# One worker per file: a notebook is one kernel, and tests of one file share what they import.
PARALLEL = ["-n", "2", "--dist", "loadfile"]
NBVAL = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/sanitize.cfg"]


def run(*command):
    """Run ``python -m ...`` in the repository's root; True if it succeeded."""
    print("$ python -m", *command, flush=True)
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode == 0


def run_pytest(kind, *arguments):
    """Run pytest; return whether it succeeded and how many tests of each kind passed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        passed = run("pytest", "-q", *PARALLEL, f"--junitxml={report}", *arguments)
        counts = Counter()
        for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
            if case.find("skipped") is not None:
                counts["skipped"] += 1
            elif case.find("failure") is None and case.find("error") is None:
                counts["doctests" if case.get("classname").startswith("rnnlab") else kind] += 1
    return passed, counts


def lint():
    passed = [run("ruff", "check", "."), run("ruff", "format", "--check", ".")]
    zizmor = ["zizmor", "--offline", "--quiet", "--no-progress", "--persona=pedantic", ".github"]
    print("$", *zizmor, flush=True)  # a program, no module
    zizmor[0] = Path(sys.executable).with_name("zizmor")
    passed.append(subprocess.run(zizmor, cwd=ROOT).returncode == 0)
    return all(passed), Counter()


def unit():
    """The unit tests and doctests; too little coverage (pyproject.toml says how little) fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        reports = ["--cov-report=term-missing:skip-covered", f"--cov-report=json:{report}"]
        passed, counts = run_pytest("unit tests", "--cov", *reports)
        if report.exists():
            covered = json.loads(report.read_text())["totals"]["percent_covered_display"]
            counts["% of lines and branches"] = float(covered)
    return passed, counts


def speed():
    """How soon pages are ready; not beside other tests, which would slow them down."""
    print("$ python tests/page_speed.py", flush=True)
    ran = subprocess.run([sys.executable, "tests/page_speed.py"], cwd=ROOT)
    return ran.returncode == 0, Counter()


def chapters(name=None):
    return run_pytest("notebook cells", *NBVAL, f"chapters/{name}.ipynb" if name else "chapters")


def main(arguments):
    if arguments:
        results = {arguments[0]: {"lint": lint, "chapters": chapters}[arguments[0]](*arguments[1:])}
    else:
        results = {"lint": lint(), "unit tests": unit(), "speed": speed(), "chapters": chapters()}
    counts = sum((count for _, count in results.values()), Counter())
    failed = [name for name, (passed, _) in results.items() if not passed]
    parts = ["lint"] * ("lint" in results) + [f"{n} {kind}" for kind, n in counts.items()]
    if failed:
        print(f"FAILED: {', '.join(failed)}. Look above for the reason.")
    elif counts and not counts - Counter(skipped=counts["skipped"]):
        print(f"Nothing was checked: {counts['skipped']} skipped.")
    else:
        print(f"Everything passed: {', '.join(parts)}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
