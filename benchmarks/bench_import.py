"""The importer end to end against bare COPY of the rows it made, on real till lines where they are at hand.

ratio = (events/s of the importer, all cores) / (rows/s of COPY, one connection, into same tables with the same indexes, the median of
three, for one differs from the next by a third where other guests use the disk).
Memory is the largest resident size of any of its processes, and its ratio to that of a tenth of the lines. First by the
source's envelope; then the same lines, and a shop's where they are at hand, with their columns matched.
"""

import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.database import fresh_database

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
REAL = DATA / "a01-completejourney" / "transactions.csv.zst"
SHOP = DATA / "a02-uci-online-retail" / "online-retail.csv.zst"
US = {"region": "US", "timezone": "America/New_York", "currency": "USD", "source_kind": "till"}
GB = {"region": "GB", "timezone": "Europe/London", "currency": "GBP", "source_kind": "website"}
_COPIES = 3
SHOP_RULES = [
    ("line", ("order_id", "starts_with", "C"), "refund", {"quantity": ("quantity", "multiply(-1)")}),
    ("line", ("quantity", "lt", "0"), "stock_correction", {"quantity_change": ("quantity", "")}),
    ("line", ("", "", ""), "purchase", {}),
]


def main(lines: int) -> None:
    with fresh_database():
        from ingestion.doors.files import sniff
        from ingestion.imports.matchings import keep
        from ingestion.imports.run import outcome, run_import, take_file
        from taxonomy.models import Source
        from taxonomy.publish import publish

        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
        from sets import matching
        from story import RULES, SOURCES, make_sources

        make_sources(SOURCES | {"till_file": US, "shop_file": GB}, RULES | {"shop_file": SHOP_RULES})
        publish(notes="bench", by=None)
        make_lines = real_lines if REAL.exists() else made_lines
        matchings = {
            "till_file": matching(
                "purchase", {"household_id": "identifier.crm_id", "transaction_timestamp": "occurred_at"},
                order_id="basket_id", product_id="product_id", quantity="quantity", amount="sales_value", store_id="store_id",
            ),
            "shop_file": matching(
                "line", {"CustomerID": "identifier.crm_id", "InvoiceDate": "occurred_at"},
                order_id="InvoiceNo", product_id="StockCode", product_name="Description", quantity="Quantity", price="UnitPrice",
            ),
        }  # fmt: skip

        def load(code: str, path: Path) -> tuple[Any, float, float]:
            source = Source.objects.get(code=code)
            if code in matchings:
                keep(matchings[code], source=source, headings=sniff(path).columns, file_name=path.name, by=None)
            run = take_file(path, source=source, file_name=path.name)
            with PeakMemory() as memory:
                began = time.perf_counter()
                found = outcome(run_import(run.pk))
                return found, time.perf_counter() - began, memory.peak_megabytes()

        def measure(name: str, files: dict[str, Path]) -> float:
            """Print what importing the files in turn takes beside COPY of their rows. Answers the memory, in MB: once COPY was, its own too."""
            loaded = [load(code, path) for code, path in files.items()]
            counts = sum((Counter(found.counts) for found, _, _ in loaded), Counter())
            rate = sum(found.received for found, _, _ in loaded) / sum(seconds for _, seconds, _ in loaded)
            copied, rows = median(copy_again() for _ in range(_COPIES))
            clear_events()
            peak = max(megabytes for _, _, megabytes in loaded)
            print(json.dumps({
                "read by": name, "events": sum(found.received for found, _, _ in loaded), **counts, "events/s": round(rate),
                "bare COPY rows/s": round(rows / copied), "ratio": round(rate / (rows / copied), 2),
            }), flush=True)  # fmt: skip
            return peak

        _, _, small = load("grocery", make_lines(lines // 10))
        clear_events()
        large = measure("envelope", {"grocery": make_lines(lines)})
        print(json.dumps({"memory MB": round(large), "ratio to a tenth of the lines": round(large / small, 2)}))
        shop = {"shop_file": real_lines(lines, SHOP)} if SHOP.exists() else {}
        measure("matching", {"till_file": make_lines(lines), **shop})


class PeakMemory:
    """The largest resident size of this process and each of its children, watched from beside. Linux only: it reads /proc."""

    def __enter__(self) -> "PeakMemory":
        self._peak_kilobytes, self._watching = 0, True
        Path("/proc/self/clear_refs").write_text("5")  # what this process held before is none of it
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


def real_lines(lines: int, packed_at: Path = REAL) -> Path:
    import zstandard

    path = Path(tempfile.mkdtemp()) / "lines.csv"
    with packed_at.open("rb") as packed, path.open("wb") as out:
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
        for table in files:
            cursor.execute(f"DROP TABLE again_{table}")
    return seconds, rows


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_469_307)
