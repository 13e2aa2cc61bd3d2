"""The importer end to end against bare COPY of the rows it made, on real till lines where they are at hand.

ratio = (events/s of the importer, all cores) / (rows/s of COPY, one connection, into same tables with the same indexes).
Memory is the largest resident size of any of its processes, and its ratio to that of a tenth of the lines.
"""

import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.database import fresh_database

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "a01-completejourney" / "transactions.csv.zst"


def main(lines: int) -> None:
    with fresh_database():
        from ingestion.imports.run import outcome, run_import, take_file
        from taxonomy.models import Source
        from taxonomy.publish import publish

        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
        from story import make_sources

        make_sources()
        publish(notes="bench", by=None)
        make_lines = real_lines if REAL.exists() else made_lines

        def load(path: Path) -> tuple[Any, float, float]:
            run = take_file(path, source=Source.objects.get(code="grocery"), file_name=path.name)
            with PeakMemory() as memory:
                began = time.perf_counter()
                found = outcome(run_import(run.pk))
                return found, time.perf_counter() - began, memory.peak_megabytes()

        _, _, small = load(make_lines(lines // 10))
        clear_events()
        found, seconds, large = load(make_lines(lines))
        rate = found.received / seconds
        copied, rows = copy_again()
        print(json.dumps({
            "events": found.received, **found.counts, "seconds": round(seconds, 1), "events/s": round(rate),
            "bare COPY rows/s": round(rows / copied), "ratio": round(rate / (rows / copied), 2),
            "memory MB": round(large), "memory ratio to a tenth of the lines": round(large / small, 2),
        }))  # fmt: skip


class PeakMemory:
    """The largest resident size of this process and each of its children, watched from beside. Linux only: it reads /proc."""

    def __enter__(self) -> "PeakMemory":
        self._peak_kilobytes, self._watching = 0, True
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watching = False
        self._thread.join()

    def peak_megabytes(self) -> float:
        return self._peak_kilobytes / 1024

    def _watch(self) -> None:
        while self._watching:
            for pid in [os.getpid(), *(child.pid for child in multiprocessing.active_children())]:
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
                self._peak_kilobytes = max(self._peak_kilobytes, int(peak))
            time.sleep(0.05)


def clear_events() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE profiles_event, profiles_original, profiles_batch, profiles_tally, ingestion_importrun CASCADE")


def real_lines(lines: int) -> Path:
    import zstandard

    path = Path(tempfile.mkdtemp()) / "till.csv"
    with REAL.open("rb") as packed, path.open("wb") as out:
        import io

        stream = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(packed))
        for number, line in enumerate(stream):
            if number > lines:
                break
            out.write(line)
    return path


def made_lines(lines: int) -> Path:
    """Lines of the same shape where the real ones are absent."""
    chosen = random.Random(1)
    path = Path(tempfile.mkdtemp()) / "till.csv"
    with path.open("w") as out:
        out.write(
            "household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,coupon_disc,coupon_match_disc,week,transaction_timestamp\n"
        )
        for number in range(lines):
            out.write(
                f"{chosen.randrange(2500)},{chosen.randrange(400)},{31198570044 + number // 9},{chosen.randrange(10**6)},1,{chosen.randrange(1, 2000) / 100},0.0,0.0,0.0,{number * 52 // lines + 1},2017-01-01 11:{number // 60 % 60:02d}:{number % 60:02d}\n"
            )
    return path


def copy_again() -> tuple[float, int]:
    """Copy the rows that were made into empty tables of the same shape and indexes: (seconds, events)."""
    from django.db import connection

    with connection.cursor() as cursor:
        files = {}
        for table in ("profiles_event", "profiles_original"):
            cursor.execute(f"CREATE TABLE again_{table} (LIKE {table} INCLUDING ALL)")
            with cursor.copy(f"COPY {table} TO STDOUT (FORMAT binary)") as out:
                files[table] = [bytes(piece) for piece in out]
        cursor.execute("CHECKPOINT")
        began = time.perf_counter()
        for table, pieces in files.items():
            with cursor.copy(f"COPY again_{table} FROM STDIN (FORMAT binary)") as copy:
                for piece in pieces:
                    copy.write(piece)
        seconds = time.perf_counter() - began
        cursor.execute("SELECT count(*) FROM again_profiles_event")
        rows = cursor.fetchone()[0]
    return seconds, rows


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_469_307)
