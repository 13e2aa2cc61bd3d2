"""Import a file: blocks in, one commit per block, on all cores, resumable at any moment.

A block's events and its ImportChunk row are one commit, so a block is done or it never was; starting a run again does
the blocks that are not. The run keeps the release it began with.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack
from uuid import UUID, uuid4

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ingestion.alone import alone, is_idle
from ingestion.doors.files import Choices, FileFormat, Matching, UnreadableFile, blocks, check_columns, sniff
from ingestion.imports.chunk import store_block
from ingestion.imports.matchings import ENVELOPE, keep, matched
from ingestion.imports.repeated import check_repeated
from ingestion.models import FileMatching, ImportChunk, ImportRun, TakeBack
from ingestion.pool import in_processes
from ingestion.ranked import most_first
from ingestion.room import is_no_room
from profiles.link import settle
from profiles.models import Event
from staff.models import User
from taxonomy.current import NoRelease, current, plan_of, refresh
from taxonomy.models import Source
from taxonomy.standardize import Violation, storable

# Below this a file is stored in this process: starting others takes longer.
_SMALL_BYTES = 4 * 1024 * 1024
COUNTS = ("accepted", "changed", "duplicate", "quarantined", "refused")
# A run as it really stands: a worker that was killed leaves "running" behind.
_GOES_ON = frozenset({"import.stopped", "import.no_room"})
STANDINGS = {**dict(ImportRun.Status.choices), "stopped": _("stopped")}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a run's records so far. `causes` and `notes` are [(code, records)], most frequent first.

    `skipped` are headers within the file; `created` and `joined`, in a dry run, customers new and known; `closed` are events that
    were held and that it mended.
    """

    received: int
    counts: dict[str, int]
    causes: list[tuple[str, int]]
    notes: list[tuple[str, int]]
    skipped: int = 0
    created: int = 0
    joined: int = 0
    closed: int = 0


def take_file(
    path: Path,
    *,
    source: Source,
    file_name: str,
    dry_run: bool = False,
    by: User | None = None,
    is_draft: bool = False,
    run_id: UUID | None = None,
    matching: int | None = None,
    **said: Unpack[Choices],
) -> ImportRun:
    """Keep a copy of the file and make its run. The same file for the same source, unfinished, is that run again.

    A draft waits until somebody has looked at how it is read. `run_id`: what a new run is to be called. `matching`: the number
    of the one that reads its columns, 0 for the source's envelope, None for the one in force for its headings. Raises UnreadableFile.
    """
    file_format = sniff(path, **said)
    if is_draft:
        file_format, used = _as_matched(file_format, source)
    else:
        check_columns(file_format)
        file_format, used = matched(file_format, source, number=matching)
        check_repeated(file_format, source, used)
    fingerprint = sha256_of(path)
    with alone(_content(fingerprint)):
        status = ImportRun.Status.DRAFT if is_draft else ImportRun.Status.WAITING
        unfinished = _of_content(source, fingerprint).filter(dry_run=dry_run).exclude(status=ImportRun.Status.FINISHED)
        # what a colleague looks at is theirs
        if run := unfinished.exclude(~Q(started_by=by), status=ImportRun.Status.DRAFT).first():
            if run.status == ImportRun.Status.DRAFT or (run.status == ImportRun.Status.FAILED and not run.chunks.exists()):
                run.format, run.matching, run.status, run.error = file_format.as_json(), used, status, ""
                run.save(update_fields=["format", "matching", "status", "error"])
            elif (said or matching is not None) and not _reads_alike(run.format, file_format.as_json()):
                raise UnreadableFile("import.begun_otherwise")
            return run
        run = ImportRun(
            id=run_id or uuid4(),
            source=source,
            file_name=file_name,
            dry_run=dry_run,
            started_by=by,
            sha256=fingerprint,
            size_bytes=path.stat().st_size,
            format=file_format.as_json(),
            matching=used,
            status=status,
        )
        run.path = str(_kept(run.id))
        try:
            shutil.copyfile(path, run.path)
        except OSError:
            Path(run.path).unlink(missing_ok=True)  # half a copy keeps a full disk full
            raise
        os.chmod(run.path, 0o600)
        run.save(force_insert=True)
        return run


def imported_before(run: ImportRun) -> ImportRun | None:
    """The newest import that brought the same content in, unless it was taken back since."""
    return former_import(run.source, run.sha256, but=run)


def was_imported_before(run: ImportRun) -> bool:
    """Whether an import that was made earlier brought the same content in, and was not taken back since."""
    earlier = _imports_of(run.source, run.sha256, but=run).filter(status=ImportRun.Status.FINISHED, created_at__lt=run.created_at)
    return earlier.exists()


def former_import(source: Source, fingerprint: str, *, but: ImportRun | None = None) -> ImportRun | None:
    """The same of a content that is known by its SHA-256."""
    finished = _imports_of(source, fingerprint, but=but).filter(status=ImportRun.Status.FINISHED)
    return finished.order_by("-created_at", "-id").first()


def named_alike(run: ImportRun) -> ImportRun | None:
    """The newest import for its source of a file with its name and other content, unless it was taken back since."""
    found = ImportRun.objects.filter(source=run.source, file_name=run.file_name, dry_run=False, status=ImportRun.Status.FINISHED)
    return found.exclude(sha256=run.sha256).exclude(pk__in=_withdrawn(run.source)).order_by("-created_at", "-id").first()


def _withdrawn(source: Source) -> QuerySet[Any]:
    return TakeBack.objects.filter(source=source, state__in=["taking", "taken"], batch_id__isnull=False).values("batch_id")


def _imports_of(source: Source, fingerprint: str, *, but: ImportRun | None) -> QuerySet[ImportRun]:
    """The imports of the same content for a source, however far they are, but for those that were taken back."""
    found = _of_content(source, fingerprint).filter(dry_run=False)
    return found if but is None else found.exclude(pk=but.pk)


def _of_content(source: Source, fingerprint: str) -> QuerySet[ImportRun]:
    """The same, with those that were only tried."""
    return ImportRun.objects.filter(source=source, sha256=fingerprint).exclude(pk__in=_withdrawn(source))


def _reads_alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two formats, as they are kept, read a file alike: how rows are numbered, and which names of JSON were seen, reads nothing."""
    return _reading(FileFormat(**one)) == _reading(FileFormat(**other))


def _reading(file_format: FileFormat) -> FileFormat:
    return replace(file_format, by_line=False, columns=[] if file_format.is_json else file_format.columns)


def read_otherwise(run: ImportRun, **said: Unpack[Choices]) -> None:
    """Read a draft's file as somebody says. Raises UnreadableFile."""
    file_format, run.matching = _as_matched(sniff(Path(run.path), **said), run.source)
    run.format = file_format.as_json()
    ImportRun.objects.filter(pk=run.pk, status=ImportRun.Status.DRAFT).update(format=run.format, matching=run.matching)


def leave_out(run: ImportRun, rows: list[list[str]]) -> None:
    """Pass over a draft's rows that have just these cells; none: over none of them."""
    run.format = replace(FileFormat(**run.format), left_out=storable(rows)).as_json()
    ImportRun.objects.filter(pk=run.pk, status=ImportRun.Status.DRAFT).update(format=run.format)


def match(run: ImportRun, matching: Matching | None, *, by: User | None) -> FileMatching | None:
    """Keep what a draft's columns mean, for its source, and read the draft so. None: as the source's envelope has it."""
    file_format = FileFormat(**run.format)
    run.matching = None if matching is None else keep(
        matching, source=run.source, headings=file_format.columns, file_name=run.file_name, by=by, is_json=file_format.is_json,
    )  # fmt: skip
    run.format = replace(file_format, matching=run.matching.matching if run.matching else None).as_json()
    ImportRun.objects.filter(pk=run.pk, status=ImportRun.Status.DRAFT).update(format=run.format, matching=run.matching)
    return run.matching


def _as_matched(file_format: FileFormat, source: Source) -> tuple[FileFormat, FileMatching | None]:
    """For a person to look at: where no matching fits, they make one."""
    try:
        return matched(file_format, source)
    except UnreadableFile:
        return matched(file_format, source, number=ENVELOPE)


def release_draft(run: ImportRun, *, dry_run: bool = False) -> bool:
    """Let a draft begin: False where it has begun already.

    Raises UnreadableFile where its columns cannot be told apart, or the same content is being imported for its source.
    """
    file_format = FileFormat(**run.format)
    check_columns(file_format)
    check_repeated(file_format, run.source, run.matching)
    with alone(_content(run.sha256)):
        if not dry_run:
            refuse_under_way(run)
        waiting = ImportRun.objects.filter(pk=run.pk, status=ImportRun.Status.DRAFT)
        return waiting.update(status=ImportRun.Status.WAITING, dry_run=dry_run) == 1


def refuse_under_way(run: ImportRun) -> None:
    """Raises UnreadableFile where another import of the same content has begun and not ended."""
    if (other := _begun(run).exclude(status=ImportRun.Status.FINISHED).first()) is not None:
        raise UnreadableFile("import.under_way", file=other.file_name)


def _begun(run: ImportRun) -> QuerySet[ImportRun]:
    """Other imports of the same content for its source that have begun, but for those that broke off at once."""
    others = _imports_of(run.source, run.sha256, but=run).exclude(status=ImportRun.Status.DRAFT)
    return others.exclude(status=ImportRun.Status.FAILED, chunks=None)


def follow(tried: ImportRun, *, by: User | None) -> tuple[ImportRun, bool]:
    """The import of a file that was tried, read as it was, and whether it is new: asked again, it is the same one.

    Raises UnreadableFile where the same content is being imported read otherwise.
    """
    with alone(_content(tried.sha256)):
        begun = _begun(tried)
        unfinished = begun.exclude(status=ImportRun.Status.FINISHED).first()
        if unfinished is not None and not _reads_alike(unfinished.format, tried.format):
            raise UnreadableFile("import.under_way", file=unfinished.file_name)
        since = begun.filter(created_at__gte=tried.created_at)
        made = unfinished or next((one for one in since if _reads_alike(one.format, tried.format)), None)
        return (made, False) if made else (_copy(tried, by=by, status=ImportRun.Status.WAITING), True)


def match_again(tried: ImportRun, *, by: User | None) -> ImportRun:
    """A draft of a file that was tried, to match its columns otherwise."""
    return _copy(tried, by=by, status=ImportRun.Status.DRAFT)


def _content(fingerprint: str) -> UUID:
    """Whose lock one holds who begins an import of a content."""
    return UUID(fingerprint[:32])


def _copy(tried: ImportRun, *, by: User | None, status: str) -> ImportRun:
    run = ImportRun(
        source=tried.source, file_name=tried.file_name, started_by=by, sha256=tried.sha256, size_bytes=tried.size_bytes,
        format=tried.format, matching=tried.matching, status=status,
    )  # fmt: skip
    run.path = str(_kept(run.id))
    os.link(tried.path, run.path)
    run.save(force_insert=True)
    return run


def discard_draft(run: ImportRun) -> None:
    """Nothing of the file is kept."""
    if ImportRun.objects.filter(pk=run.pk, status=ImportRun.Status.DRAFT).delete()[0]:
        Path(run.path).unlink(missing_ok=True)


def run_import(run_id: UUID, *, on_progress: Callable[[ImportRun], None] | None = None) -> ImportRun:
    """Do what is left of a run. Safe to call again after any interruption; of two at once the second waits, and finds it done."""
    with alone(run_id):
        run = ImportRun.objects.select_related("source").get(pk=run_id)
        if run.status in (ImportRun.Status.FINISHED, ImportRun.Status.DRAFT) or TakeBack.objects.of_imports([run]):
            return run  # of what was taken back, nothing goes on
        try:
            _begin(run)
            _do_blocks(run, on_progress)
        except UnreadableFile as error:
            _end(run, ImportRun.Status.FAILED, error.code)
        except Exception as error:
            _end(run, ImportRun.Status.FAILED, "import.no_room" if is_no_room(error) else "import.stopped")
            raise
        else:
            settle()  # what a killed process left
            run.trial_keys.all().delete()
            _end(run, ImportRun.Status.FINISHED)
        return run


def standing_of(run: ImportRun) -> str:
    """One of STANDINGS. Stopped: what was stored is kept, and it can go on; failed: the file could not be read, or nothing could be stored."""
    if run.error in _GOES_ON or (run.status == ImportRun.Status.RUNNING and is_idle(run.pk)):
        return "stopped"
    return run.status


def sha256_of(path: Path) -> str:
    """What tells a file from others, whatever it is called: 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    others = {run: [count.pop(name, 0) for name in ("skipped", "created", "joined", "closed")] for run, count in counts.items()}
    return {
        run: Outcome(
            sum(counts[run].values()) - counts[run]["changed"],
            dict(counts[run]),
            most_first(causes[run]),
            most_first(notes[run]),
            *others[run],
        )
        for run in counts
    }


def by_place(run: ImportRun) -> list[tuple[str, Violation, int]]:
    """How many rows failed for each code at each place: [(code, one such, rows)], most first. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT why->>'code', why->>'path', coalesce(why->'values'->>'from', ''),
                coalesce(why->'expected'->>'one_of', ''), count(DISTINCT failed->0) AS rows
            FROM ingestion_importchunk, jsonb_array_elements(failed_rows) AS failed, jsonb_array_elements(failed->2) AS why
            WHERE run_id = %s AND why->>'path' <> '' AND failed->>3 IS NULL GROUP BY 1, 2, 3, 4 ORDER BY rows DESC, 2, 1, 3, 4
            """,
            [run.pk],
        )
        return [
            (code, Violation(code, path, None, {"one_of": json.loads(group)} if group else None, {"from": origin} if origin else {}), rows)
            for code, path, origin, group, rows in cursor.fetchall()
        ]


def refused_rows(run: ImportRun, most: int) -> dict[str, list[int]]:
    """{code: the first rows that were refused for it}, so many of each. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT code, (array_agg(row ORDER BY row))[:%s] FROM (
                SELECT DISTINCT why->>'code' AS code, (failed->>0)::int AS row
                FROM ingestion_importchunk, jsonb_array_elements(failed_rows) AS failed, jsonb_array_elements(failed->2) AS why
                WHERE run_id = %s AND failed->>1 IS NULL
            ) AS refused GROUP BY code
            """,
            [most, run.pk],
        )
        return dict(cursor.fetchall())


def still_held(run: ImportRun) -> tuple[int, int]:
    """How many events wait still, neither mended nor let in nor let go of since: (of those that it held, of those that its rows name and did not mend)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH failed AS (
                SELECT decode(failed->>1, 'hex') AS key, bool_and(failed->>3 IS NOT NULL) AS is_unmended
                FROM ingestion_importchunk, jsonb_array_elements(failed_rows) AS failed
                WHERE run_id = %s AND failed->>1 IS NOT NULL GROUP BY 1
            )
            SELECT count(*) FILTER (WHERE NOT is_unmended), count(*) FILTER (WHERE is_unmended)
            FROM profiles_event JOIN failed USING (key) WHERE standing = %s
            """,
            [run.pk, Event.Standing.HELD],
        )
        own, unmended = cursor.fetchone()
        return int(own), int(unmended)


def _kept(run_id: UUID) -> Path:
    folder = Path(settings.UPLOAD_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / str(run_id)


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
    if str(run.source_id) not in obeyed.plan.sources_by_uuid:
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
