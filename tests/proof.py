"""The long forms of the tests, one after another; what has passed on this commit is not done again."""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DONE = ROOT / ".tagline" / "proof"


def main() -> int:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "proof", "--collect-only", "-q"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    tests = [line for line in listed.splitlines() if "::" in line]
    record = DONE / commit
    record.parent.mkdir(parents=True, exist_ok=True)
    passed = set(record.read_text().splitlines()) if record.exists() else set()
    failed = 0
    for test in tests:
        if test in passed:
            print(f"passed before  {test}")
            continue
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-m", "pytest", "-m", "proof", test], cwd=ROOT, check=False)
        print(f"{'passed' if done.returncode == 0 else 'FAILED'} in {time.monotonic() - began:,.0f} s  {test}", flush=True)
        if done.returncode == 0:
            with record.open("a") as out:
                out.write(test + "\n")
        else:
            failed += 1
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
