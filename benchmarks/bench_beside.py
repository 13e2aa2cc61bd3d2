"""Answers at the API while a file is imported on the same machine: 100 single events a second, alone and then beside 1.5 million rows.

Asked: p99 under 250 ms beside the import. The load keeps its pace whatever the answers (`bench_fair`), for as long as the import runs.
"""

import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

from benchmarks.bench_api import Server
from benchmarks.bench_fair import NORMAL, figures, start
from benchmarks.bench_import import REAL, made_lines, real_lines
from benchmarks.database import fresh_database

P99 = 250


def main(lines: int) -> None:
    with fresh_database():
        from ingestion.imports.run import outcome, take_file
        from ingestion.models import ImportRun, WriteKey
        from taxonomy.models import Source
        from taxonomy.publish import publish

        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
        from story import make_sources

        make_sources()
        publish(notes="bench", by=None)
        key = WriteKey(source=Source.objects.get(code="website"))
        secret = key.set_secret()
        key.save()
        path = (real_lines if REAL.exists() else made_lines)(lines)
        run = take_file(path, source=Source.objects.get(code="grocery"), file_name=path.name)
        told, seconds = beside(secret, [sys.executable, "-m", "benchmarks.bench_beside", "import", str(run.pk)])
        found = outcome(ImportRun.objects.get(pk=run.pk))
        print(f"{told} (asked: {P99})   {found.received:,} rows imported in about {seconds:.0f} s")


def beside(secret: str, command: list[str]) -> tuple[str, float]:
    """The answers' times, alone and beside a process that ends well: (in words, seconds it took)."""
    with Server("cdp.wsgi:application"):
        alone = start(secret, "alone", NORMAL).communicate()[0]
        began = time.perf_counter()
        process = subprocess.Popen(command)
        answers = []
        while process.poll() is None:
            answers.append(start(secret, f"beside{len(answers)}", NORMAL).communicate()[0])
            seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"{command} broke off")
    # What was asked for in its last seconds may have been answered after it.
    told = {"alone": _figures([alone]), "beside it": _figures(answers[:-1] or answers)}
    for name, (median, p99, requests) in told.items():
        print(f"{name:10} median {median:7.1f} ms   p99 {p99:7.1f} ms   ({requests:,} requests)")
    return f"p99 {told['beside it'][1]:.0f} ms", seconds


def _figures(outputs: list[str]) -> tuple[float, float, int]:
    took: list[float] = []
    for output in outputs:
        answers, times = output.splitlines()
        if answers.split()[0] != "200:" or len(answers.split()) != 2:
            raise RuntimeError(f"answered {answers}")
        took.extend(map(float, times.split()))
    return *figures(took), len(took)


def run_one(run_id: str) -> None:
    import django

    django.setup()
    from ingestion.imports.run import run_import

    run_import(UUID(run_id))


if __name__ == "__main__":
    if sys.argv[1:2] == ["import"]:
        run_one(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_469_307)
