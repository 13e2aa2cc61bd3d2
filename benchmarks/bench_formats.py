"""XLSX and Parquet end to end, against CSV of the same rows in the same run: till lines through the importer, all cores.

Of each form: events/s of the import and of its dry run, and the largest resident size of any process. Asked of 500,000 rows:
XLSX 15,000 events/s, Parquet 25,000, a dry run as fast as the import.
"""

import csv
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arro3.core import Array, DataType, Table
from arro3.io import write_parquet
from openpyxl import Workbook

from benchmarks.bench_import import REAL as REAL_LINES
from benchmarks.bench_import import PeakMemory, clear_events, made_lines, real_lines
from benchmarks.database import fresh_database


def main(lines: int) -> None:
    written = (real_lines if REAL_LINES.exists() else made_lines)(lines)
    files = {"csv": written, **{form: _in_a_process(write, written) for form, write in WRITERS.items()}}
    with fresh_database():
        from ingestion.imports.run import outcome, run_import, take_file
        from taxonomy.models import Source
        from taxonomy.publish import publish

        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
        from story import make_sources

        make_sources()
        publish(notes="bench", by=None)

        def load(path: Path, *, dry_run: bool) -> tuple[Any, float, float]:
            run = take_file(path, source=Source.objects.get(code="grocery"), file_name=path.name, dry_run=dry_run)
            with PeakMemory() as memory:
                began = time.perf_counter()
                found = outcome(run_import(run.pk))
                return found, time.perf_counter() - began, memory.peak_megabytes()

        for form, path in files.items():
            dry, dry_seconds, _ = load(path, dry_run=True)
            found, seconds, megabytes = load(path, dry_run=False)
            assert dry.counts == found.counts, (form, dry, found)
            print(json.dumps({
                "form": form, "file MB": round(path.stat().st_size / 1e6, 1), "events": found.received, **found.counts,
                "events/s": round(found.received / seconds), "dry run events/s": round(dry.received / dry_seconds), "memory MB": round(megabytes),
            }), flush=True)  # fmt: skip
            clear_events()


def write_workbook(source: Path, out: Path) -> None:
    """As Excel keeps such a table: numbers as numbers."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    with source.open(newline="") as rows:
        for number, row in enumerate(csv.reader(rows)):
            sheet.append([_value(cell) if number else cell for cell in row])
    book.save(out)


def write_table(source: Path, out: Path) -> None:
    with source.open(newline="") as rows:
        header, *lines = csv.reader(rows)
    columns = {name: [line[at] for line in lines] for at, name in enumerate(header)}
    write_parquet(Table.from_pydict({name: Array(cells, DataType.utf8()) for name, cells in columns.items()}), out)


WRITERS: dict[str, Callable[[Path, Path], None]] = {"xlsx": write_workbook, "parquet": write_table}


def _in_a_process(write: Callable[[Path, Path], None], source: Path) -> Path:
    """What writing takes of memory is none of the importer's."""
    out = Path(tempfile.mkdtemp()) / f"till.{write.__name__}"
    process = multiprocessing.get_context("spawn").Process(target=write, args=(source, out))
    process.start()
    process.join()
    return out


def _value(cell: str) -> object:
    try:
        number = float(cell)
    except ValueError:
        return cell
    return int(number) if number.is_integer() else number


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500_000)
