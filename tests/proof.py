"""The long forms of the tests, one after another, and the whole suite on PostgreSQL 15.

What has passed on this commit is not done again. The figures go into docs/benchmarks.md, each with the commit it is of: what was
broken off leaves the older figures of the rest.
"""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from secrets import randbelow
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
DONE = ROOT / ".tagline" / "proof"
FIGURES = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- proof: written by make proof -->", "<!-- end of proof -->"
POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
ON_POSTGRES_15 = "the whole suite on PostgreSQL 15"
SEEDS = 10
MORE_EXAMPLES = f"the properties, with {SEEDS} times their examples"


def main() -> int:
    commit = _output("git", "rev-parse", "--short=12", "HEAD")
    record = DONE / commit
    record.parent.mkdir(parents=True, exist_ok=True)
    passed = dict(line.split("\t", 1) for line in record.read_text().splitlines()) if record.exists() else {}
    listed = _output(sys.executable, "-m", "pytest", "-m", "proof", "--collect-only", check=False)
    steps = [line for line in listed.splitlines() if "::" in line]
    steps += [MORE_EXAMPLES, *([ON_POSTGRES_15] if (POSTGRES_15 / "postgres").exists() else [])]
    if wanted := sys.argv[1:]:  # parts of their names
        steps = [step for step in steps if any(one in step for one in wanted)]
    failed = []
    for step in steps:
        if step in passed:
            print(f"passed before  {step}")
            continue
        began = time.monotonic()
        figure = {ON_POSTGRES_15: _run_on_15, MORE_EXAMPLES: _run_properties}.get(step, partial(_run, "-m", "proof", step))()
        print(f"{'FAILED' if figure is None else 'passed'} in {time.monotonic() - began:,.0f} s  {step}  {figure or ''}", flush=True)
        if figure is None:
            failed.append(step)
        else:
            passed[step] = f"{figure}\t{time.monotonic() - began:.0f}"
            record.write_text("".join(f"{done}\t{told}\n" for done, told in passed.items()))
        _write(commit, passed, failed)
    return 1 if failed else 0


def _run(*arguments: str, environment: dict[str, str] | None = None) -> str | None:
    """What the tests recorded of themselves, None if they failed."""
    report = DONE / "report.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", f"--junit-xml={report}", *arguments],
        cwd=ROOT,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        return None
    suite = ElementTree.parse(report).getroot()
    told = [str(one.get("value")) for one in suite.iter("property") if one.get("name") == "figure"]
    totals = next(suite.iter("testsuite"))
    return "; ".join(told) if told and "proof" in arguments else f"{totals.get('tests')} tests, {totals.get('skipped')} skipped"


def _run_properties() -> str | None:
    """Each time from another seed, which the figure tells, so that a failure can be had again."""
    seeds = [randbelow(2**32) for _ in range(SEEDS)]
    for seed in seeds:
        told = _run("-m", "hypothesis and not proof", "-n", "auto", f"--hypothesis-seed={seed}", environment={"REQUIRE_ALL": ""})
        if told is None:
            print(f"the seed was {seed}")
            return None
    return f"{told}, each {SEEDS} times"


def _run_on_15() -> str | None:
    """In a home of its own, so that the embedded cluster is one of PostgreSQL 15."""
    return _run(
        "-n",
        "auto",
        "--dist",
        "loadfile",
        environment={"DATABASE_URL": "", "POSTGRES_BIN": str(POSTGRES_15), "TAGLINE_HOME": str(ROOT / ".tagline" / "proof-15")},
    )


def _write(commit: str, passed: dict[str, str], failed: list[str]) -> None:
    """The table with what is known now: rows of this commit take the place of older ones of the same step."""
    text = FIGURES.read_text()
    before, _begin, rest = text.partition(BEGIN)
    section, _end, after = rest.partition(END)
    kept = (
        line
        for line in section.splitlines()
        if line.startswith(("| test_", f"| {ON_POSTGRES_15}", f"| {MORE_EXAMPLES}")) and line.count(" | ") == 3
    )
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in kept}
    for step, told in passed.items():
        figure, seconds = told.rsplit("\t", 1)
        rows[_name(step)] = f"| {_name(step)} | {figure} | {seconds} s | {datetime.now(UTC).date().isoformat()}, {commit} |"
    for step in failed:
        rows[_name(step)] = f"| {_name(step)} | **failed** | | {commit} |"
    table = ["| what | figure | took | when, commit |", "|---|---|---|---|", *(rows[name] for name in sorted(rows))]
    FIGURES.write_text(before.rstrip() + "\n\n" + "\n".join([BEGIN, "", *table, "", END]) + (after or "\n"))


def _name(step: str) -> str:
    return step.removeprefix("tests/").replace("|", "/")


def _output(*command: str, check: bool = True) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=check).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
