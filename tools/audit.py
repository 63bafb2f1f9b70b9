"""Ask what is known against the installed libraries, and print their licences: ``make audit``.

``audit.py PYTHON`` looks at the environment of that interpreter, from another one, which has
pip-audit and pip-licenses (requirements-care.txt). It fails if a library has a known vulnerability,
if one could not be asked about, or if a licence is none of those below.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

# Vulnerabilities that do not reach us, by their identifier, each with the reason.
IGNORED = {}

# What a book and a package under BSD-3-Clause and CC BY 4.0 may be built with: nothing here asks
# more of a reader who passes them on than to keep a notice, or to give changes of a file back.
ACCEPTED = {
    *("0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause"),
    *("BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib"),
    # as older packages call them
    *("3-Clause BSD License", "BSD License", "MIT License", "ISC License (ISCL)"),
    *("Apache 2.0", "Apache License 2.0", "Apache Software License"),
    *("Mozilla Public License 2.0 (MPL 2.0)", "Python Software Foundation License"),
}
# What the packages do not say of themselves in a form to be read, from their files.
READ_BY_HAND = {
    "axe-playwright-python": "MIT",
    "docutils": "CC0-1.0",  # in the public domain; of its few files under the GPL we run none
    "namex": "Apache-2.0",
    "quickjs-ng": "MIT",
}


def run(program, *arguments):
    """Run a program of this environment: -> what it printed, and its errors."""
    path = Path(sys.executable).with_name(program)
    done = subprocess.run([path, *arguments], capture_output=True, text=True)
    return done.stdout, done.stderr


def licences(python):
    """All that is installed for the interpreter: rows with Name, Version and License."""
    found, errors = run("pip-licenses", f"--python={python}", "--with-system", "--format=json")
    if not found:
        sys.exit(f"pip-licenses found nothing: {errors}")
    return json.loads(found)


def licence_of(row):
    """A library's licence, as an expression."""
    return READ_BY_HAND.get(row["Name"], row["License"])


def is_accepted(licence):
    """Whether every part of an expression is accepted; of alternatives, one."""
    parts = re.split(r" AND |; ", licence)
    return all(any(one in ACCEPTED for one in part.split(" OR ")) for part in parts)


def licence_problems(rows):
    """A line for each library whose licence is none of the accepted ones."""
    return [
        f"{row['Name']} {row['Version']}: its licence is {licence_of(row)!r}; if it may be used, "
        "tools/audit.py has to say so"
        for row in rows
        if not is_accepted(licence_of(row))
    ]


def pins(rows):
    """The libraries as a requirements file, without what builds add to a version.

    A service knows torch 2.13.0 and not its build 2.13.0+cpu. rnnlab itself is in none.
    """
    return "\n".join(
        f"{row['Name']}=={row['Version'].partition('+')[0]}"
        for row in rows
        if row["Name"] != "rnnlab"
    )


def ask(rows, options=()):
    """What the service knows of the libraries, as pip-audit reports it; None without an answer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "requirements.txt"
        path.write_text(pins(rows), encoding="utf-8")
        ignored = [f"--ignore-vuln={name}" for name in IGNORED]
        form = ["--format=json", "--progress-spinner=off", "--no-deps", "--disable-pip"]
        found, errors = run("pip-audit", *form, *ignored, *options, f"--requirement={path}")
    if not found:
        print(errors.strip().rpartition("\n")[2], file=sys.stderr)
        return None
    return json.loads(found)


def vulnerability_problems(report):
    """A line for each vulnerability, and one for the libraries that there is no answer about."""
    if report is None:
        return ["the service of vulnerabilities could not be reached: nothing was asked"]
    known = report["dependencies"]
    problems = [
        f"{one['name']} {one['version']}: {', '.join([bug['id'], *bug['aliases']])}; mended in "
        f"{', '.join(bug['fix_versions']) or 'no version yet'}"
        for one in known
        for bug in one.get("vulns", ())
    ]
    skipped = [one["name"] for one in known if "skip_reason" in one]
    if skipped:
        some = ", ".join(skipped[:5]) + (", ..." if len(skipped) > 5 else "")
        problems.append(
            f"the service gave no answer about {len(skipped)} of {len(known)} libraries ({some}); "
            "is there a network?"
        )
    return problems


def main(python, *options):
    """Print the licences and what is wrong. options: for pip-audit."""
    rows = licences(python)
    by_licence = defaultdict(list)
    for row in rows:
        by_licence[licence_of(row)].append(f"{row['Name']} {row['Version']}")
    for licence, names in sorted(by_licence.items()):
        print(f"{licence}\n    {', '.join(sorted(names, key=str.lower))}")
    problems = licence_problems(rows) + vulnerability_problems(ask(rows, options))
    for problem in problems:
        print(problem)
    if problems:
        print(f"FAILED: {len(problems)} problems; see above.")
        return 1
    print(f"Nothing is known against {len(rows)} libraries, and their licences are accepted.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
