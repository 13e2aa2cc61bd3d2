"""Run every benchmark, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

failed = []
for path in sorted(Path(__file__).parent.glob("bench_*.py")):
    print(f"\n== {path.stem}", flush=True)
    if subprocess.run([sys.executable, "-m", f"benchmarks.{path.stem}", *sys.argv[1:]], check=False).returncode:
        failed.append(path.stem)
if failed:
    sys.exit(f"Failed: {', '.join(failed)}")
