"""Import a file: blocks in, one commit per block, on all cores, resumable at any moment.

A block's events and its ImportChunk row are one commit, so a block is done or it never was; starting a run again does
the blocks that are not. The run keeps the release it began with.
"""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ingestion.alone import alone, is_idle
from ingestion.chunk import store_block
from ingestion.doors.files import BOM, RESERVED, UNREAD, FileFormat, Record, UnreadableFile, blocks, cells_under, records, sniff, write_row
from ingestion.models import ImportChunk, ImportRun
from ingestion.pool import in_processes
from profiles.link import settle
from profiles.models import Event
from staff.models import User
from taxonomy.current import NoRelease, current, plan_of, refresh
from taxonomy.models import Source
from taxonomy.standardize import decode_json, encode_json
from taxonomy.violations import message_for

# Below this a file is stored in this process: starting others takes longer.
_SMALL_BYTES = 4 * 1024 * 1024
COUNTS = ("accepted", "changed", "duplicate", "quarantined", "refused")
# A run as it really stands: a worker that was killed leaves "running" behind.
STANDINGS = {**dict(ImportRun.Status.choices), "stopped": _("stopped")}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a run's records so far. `causes` and `notes` are [(code, records)], most frequent first."""

    received: int
    counts: dict[str, int]
    causes: list[tuple[str, int]]
    notes: list[tuple[str, int]]


def take_file(path: Path, *, source: Source, file_name: str, dry_run: bool = False, by: User | None = None) -> ImportRun:
    """Keep a copy of the file and make its run. The same file for the same source, unfinished, is that run again.

    Raises UnreadableFile.
    """
    file_format = sniff(path)
    fingerprint = _sha256(path)
    unfinished = ImportRun.objects.filter(source=source, sha256=fingerprint, dry_run=dry_run).exclude(status=ImportRun.Status.FINISHED)
    if run := unfinished.first():
        return run
    run = ImportRun(
        source=source,
        file_name=file_name,
        dry_run=dry_run,
        started_by=by,
        sha256=fingerprint,
        size_bytes=path.stat().st_size,
        format=file_format.as_json(),
    )
    run.path = str(_kept(run.id))
    shutil.copyfile(path, run.path)
    os.chmod(run.path, 0o600)
    run.save(force_insert=True)
    return run


def run_import(run_id: UUID, *, on_progress: Callable[[ImportRun], None] | None = None) -> ImportRun:
    """Do what is left of a run. Safe to call again after any interruption; of two at once the second waits, and finds it done."""
    with alone(run_id):
        run = ImportRun.objects.select_related("source").get(pk=run_id)
        if run.status == ImportRun.Status.FINISHED:
            return run
        try:
            _begin(run)
            _do_blocks(run, on_progress)
        except UnreadableFile as error:
            _end(run, ImportRun.Status.FAILED, error.code)
        except Exception:
            _end(run, ImportRun.Status.FAILED, "import.stopped")
            raise
        else:
            settle()  # what a killed process left
            run.trial_keys.all().delete()
            _end(run, ImportRun.Status.FINISHED)
        return run


def standing_of(run: ImportRun) -> str:
    """One of STANDINGS. Stopped: what was stored is kept, and it can go on; failed: the file could not be read, or nothing could be stored."""
    if run.error == "import.stopped" or (run.status == ImportRun.Status.RUNNING and is_idle(run.pk)):
        return "stopped"
    return run.status


def outcome(run: ImportRun) -> Outcome:
    return outcomes([run])[run.pk]


def outcomes(runs: Collection[ImportRun]) -> dict[UUID, Outcome]:
    """What has become of several runs' records. One query."""
    counts = {run.pk: Counter[str](dict.fromkeys(COUNTS, 0)) for run in runs}
    causes, notes = ({run.pk: Counter[str]() for run in runs} for _ in range(2))
    chunks = ImportChunk.objects.filter(run__in=runs).values_list("run", "counts", "causes", "notes")
    for run_id, chunk_counts, chunk_causes, chunk_notes in chunks:
        counts[run_id].update(chunk_counts)
        causes[run_id].update(chunk_causes)
        notes[run_id].update(chunk_notes)
    return {
        run: Outcome(
            sum(counts[run].values()) - counts[run]["changed"], dict(counts[run]), causes[run].most_common(), notes[run].most_common()
        )
        for run in counts
    }


def still_held(run: ImportRun) -> int:
    """How many of the events that a run held wait still, neither mended nor let in nor let go of since."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FROM profiles_event WHERE standing = %s AND key IN (
                SELECT decode(failed->>1, 'hex') FROM ingestion_importchunk, jsonb_array_elements(failed_rows) AS failed
                WHERE run_id = %s AND failed->>1 IS NOT NULL
            )
            """,
            [Event.Standing.HELD, run.pk],
        )
        return int(cursor.fetchone()[0])


def failed_rows(run: ImportRun) -> Iterator[bytes]:
    """The file of the records that were held or refused, in the format they came in, with `_tagline_id` and `_reason`.

    CSV begins with a byte order mark: without it Excel takes UTF-8 for the code page of its computer.
    """
    file_format = FileFormat(**run.format)
    kept = [column for column in file_format.columns if column not in RESERVED]
    if file_format.kind == "csv":
        yield BOM + write_row([*kept, *RESERVED], file_format.delimiter)
    failed = groupby(_failures(run), key=lambda failure: failure[0])
    row, failures = next(failed, (0, iter(())))
    for block in blocks(Path(run.path), file_format):
        for record in records(block, file_format):
            if record.row != row:
                continue
            events = list(failures)
            reasons = " ".join(message_for(one) for _row, _event_id, found in events for one in found)
            yield _with_reason(record, file_format, " ".join(event_id for _row, event_id, _found in events if event_id), reasons)
            row, failures = next(failed, (0, iter(())))
        if not row:
            return


def _with_reason(record: Record, file_format: FileFormat, event_id: str, reason: str) -> bytes:
    """A failed record as it came, with the two columns that are ours."""
    if file_format.kind == "ndjson":
        decoded = decode_json(record.original)
        fields = {**decoded} if isinstance(decoded, dict) else {UNREAD: record.original.decode("utf-8", "replace")}
        return encode_json({**fields, "_tagline_id": event_id, "_reason": reason}) + b"\n"
    cells, surplus = cells_under(record.original, file_format)
    return write_row([*cells, event_id, reason, *surplus], file_format.delimiter)


def _kept(run_id: UUID) -> Path:
    folder = Path(settings.UPLOAD_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / str(run_id)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _end(run: ImportRun, status: str, error: str = "") -> None:
    """Note how it ended; where the database is away, the next attempt does."""
    run.status, run.error, run.finished_at = status, error, timezone.now()
    with suppress(DatabaseError, InterfaceError):
        run.save(update_fields=["status", "error", "finished_at"])


def _begin(run: ImportRun) -> None:
    refresh()  # a release published a moment ago counts
    try:
        obeyed = plan_of(run.release_id) if run.release_id else current()
    except NoRelease as error:
        raise UnreadableFile("release.none") from error
    if run.source.code not in obeyed.plan.sources:
        raise UnreadableFile("source.unreleased")
    run.release_id = obeyed.release_id
    run.started_at = run.started_at or timezone.now()
    run.status, run.error = ImportRun.Status.RUNNING, ""
    run.save(update_fields=["release", "started_at", "status", "error"])


def _do_blocks(run: ImportRun, on_progress: Callable[[ImportRun], None] | None) -> None:
    done = set(run.chunks.values_list("index", flat=True))
    left = (block for block in blocks(Path(run.path), FileFormat(**run.format)) if block.index not in done)
    for _run_id, block in in_processes(store_block, ((run.id, block) for block in left), small=run.size_bytes < _SMALL_BYTES):
        run.read_bytes = max(run.read_bytes, block.read_bytes)
        ImportRun.objects.filter(pk=run.pk).update(read_bytes=run.read_bytes)
        if on_progress:
            on_progress(run)


def _failures(run: ImportRun) -> Iterator[tuple[int, str | None, list[dict[str, Any]]]]:
    """(row, id of the held event, its reasons), in the file's order."""
    chunks = ImportChunk.objects.filter(run=run).order_by("index").values_list("failed_rows", flat=True)
    for failures in chunks.iterator(chunk_size=8):
        yield from ((row, event_id, reasons) for row, event_id, reasons in failures)
