"""The long forms of the tests, one after another, and the whole suite on PostgreSQL 15.

What has passed on this commit is not done again. The figures go into docs/benchmarks.md.
"""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
DONE = ROOT / ".tagline" / "proof"
FIGURES = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- proof: written by make proof -->", "<!-- end of proof -->"
POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
ON_POSTGRES_15 = "the whole suite on PostgreSQL 15"


def main() -> int:
    commit = _output("git", "rev-parse", "--short=12", "HEAD")
    record = DONE / commit
    record.parent.mkdir(parents=True, exist_ok=True)
    passed = dict(line.split("\t", 1) for line in record.read_text().splitlines()) if record.exists() else {}
    listed = _output(sys.executable, "-m", "pytest", "-m", "proof", "--collect-only", check=False)
    steps = [line for line in listed.splitlines() if "::" in line]
    steps += [ON_POSTGRES_15] if (POSTGRES_15 / "postgres").exists() else []
    for step in steps:
        if step in passed:
            print(f"passed before  {step}")
            continue
        began = time.monotonic()
        figure = _run_on_15() if step == ON_POSTGRES_15 else _run("-m", "proof", step)
        print(f"{'FAILED' if figure is None else 'passed'} in {time.monotonic() - began:,.0f} s  {step}  {figure or ''}", flush=True)
        if figure is not None:
            passed[step] = f"{figure}\t{time.monotonic() - began:.0f}"
            record.write_text("".join(f"{done}\t{told}\n" for done, told in passed.items()))
    _write(commit, {step: passed[step] for step in steps if step in passed}, failed=[step for step in steps if step not in passed])
    return 1 if len(passed) < len(steps) else 0


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


def _run_on_15() -> str | None:
    """In a home of its own, so that the embedded cluster is one of PostgreSQL 15."""
    return _run(environment={"DATABASE_URL": "", "POSTGRES_BIN": str(POSTGRES_15), "TAGLINE_HOME": str(ROOT / ".tagline" / "proof-15")})


def _write(commit: str, passed: dict[str, str], *, failed: list[str]) -> None:
    rows = []
    for step, told in passed.items():
        figure, seconds = told.rsplit("\t", 1)
        rows.append(f"| {step.removeprefix('tests/').replace('|', '/')} | {figure} | {seconds} s |")
    rows += [f"| {step} | **failed** | |" for step in failed]
    day = datetime.now(UTC).date().isoformat()
    section = [BEGIN, "", f"`make proof` on {day}, commit {commit}:", "", "| what | figure | took |", "|---|---|---|", *rows, "", END]
    text = FIGURES.read_text()
    before, _begin, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    FIGURES.write_text(before.rstrip() + "\n\n" + "\n".join(section) + (after or "\n"))


def _output(*command: str, check: bool = True) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=check).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
