"""The workflows of the forge: pinned, with no right that they do not use, calling what there is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*"))
PIN = re.compile(
    r"uses: (?P<action>actions/[\w-]+)@(?P<commit>[0-9a-f]{40}) # v(?P<v>\d+\.\d+\.\d+)"
)
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.M))
# What a job may do besides reading the source, and which jobs.
RIGHTS = {"publish": {"pages": "write", "id-token": "write"}}


def problems(text):
    """Yield what is wrong with a workflow."""
    for line in text.splitlines():
        if "uses:" in line and not PIN.search(line):
            yield f"not pinned to a commit of one of the forge's own actions: {line.strip()}"
    workflow = yaml.safe_load(text)
    if workflow.get("permissions") != {}:
        yield "rights for all jobs"
    if "pull_request_target" in workflow[True] or "workflow_run" in workflow[True]:  # YAML's `on`
        yield "runs a stranger's code with our rights"
    if "concurrency" not in workflow:
        yield "two runs of it may meet"
    for name, job in workflow["jobs"].items():
        if job.get("permissions") != RIGHTS.get(name, {"contents": "read"}):
            yield f"{name}: other rights than it needs"
        if not 1 <= job.get("timeout-minutes", 0) <= 90:
            yield f"{name}: may run for hours"
        for step in job["steps"]:
            command = step.get("run", "")
            if "${{" in command:
                yield f"{name}: a value from outside becomes code: {command}"
            for target in re.findall(r"\bmake ([\w-]+)", command):
                if target not in TARGETS:
                    yield f"{name}: there is no make {target}"
            kept = step.get("with", {}).get("persist-credentials", True)
            if "checkout" in step.get("uses", "") and kept:
                yield f"{name}: leaves the token where later steps can read it"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_in_order(path):
    assert list(problems(path.read_text(encoding="utf-8"))) == []


def test_one_version_of_each_action():
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    pins = {match.groups() for match in PIN.finditer(text)}
    assert len({action for action, *_ in pins}) == len(pins)


def test_the_workflows_do_what_they_are_for():
    """Lint, tests and the book for each change, publishing after all three; versions each week."""
    check, weekly = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in WORKFLOWS)
    assert set(check[True]) == {"push", "pull_request"}
    assert check[True]["push"] == {"branches": ["main"]}
    made = {name: str(job["steps"]) for name, job in check["jobs"].items()}
    for name in ("lint", "test", "book"):
        assert f"'make {name}'" in made[name]
    assert check["jobs"]["publish"]["needs"] == ["lint", "test", "book"]
    assert check["jobs"]["publish"]["if"] == "github.event_name == 'push'"
    assert "schedule" in weekly[True]
    jobs = weekly["jobs"]["versions"]["strategy"]["matrix"]["include"]
    sessions = re.findall(r'python="(.*)"\)\ndef (\w+)', (ROOT / "noxfile.py").read_text("utf-8"))
    assert len(sessions) == 4
    assert [(job["python"], job["set"]) for job in jobs] == sessions


TAMPERINGS = {
    "not pinned": ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7"),
    "not pinned to a commit": ("actions/checkout@", "somebody/checkout@"),
    "not pinned to": (" # v7.0.1", ""),
    "rights for all jobs": ("permissions: {}", "permissions: write-all"),
    "a stranger's code": ("pull_request:", "pull_request_target:"),
    "two runs": ("concurrency:\n  group: check", "concurrence:\n  group: check"),
    "lint: other rights": ("contents: read", "contents: write"),
    "publish: other rights": ("id-token: write", "contents: write"),
    "may run for hours": ("    timeout-minutes: 60\n", ""),
    "becomes code": ("make lint", "make lint ${{ github.head_ref }}"),
    "there is no make tests": ("make test\n", "make tests\n"),
    "leaves the token": ("persist-credentials: false", "persist-credentials: true"),
}


@pytest.mark.parametrize("expected", TAMPERINGS)
def test_tampering_is_noticed(expected):
    text = WORKFLOWS[0].read_text(encoding="utf-8")
    old, new = TAMPERINGS[expected]
    assert old in text
    assert any(expected in problem for problem in problems(text.replace(old, new)))


def test_zizmor_finds_nothing():
    """As `make lint` calls it, dependabot.yml included."""
    program = Path(sys.executable).with_name("zizmor")
    options = ["--offline", "--quiet", "--no-progress", "--persona=pedantic", "--strict-collection"]
    command = [program, *options, ROOT / ".github"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("path", sorted(ROOT.glob(".github/**/*.yml")), ids=lambda p: p.name)
def test_it_is_yaml(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)
