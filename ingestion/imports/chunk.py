"""One block of a file: read, brought to the standard and stored with its ImportChunk, in one commit."""

import errno
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Collection
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper

from ingestion.doors.files import Block, FileFormat, records
from ingestion.imports.reader import Reader
from ingestion.models import ImportChunk, ImportRun
from ingestion.pipeline import in_commit, receive
from ingestion.room import is_no_room
from profiles.entries import COUNTED, HELD, MERGED, Delivery, Entry, as_stored, counts
from profiles.models import Event
from profiles.newcomers import known_among
from profiles.record import record
from profiles.subjects import subject_key
from taxonomy.current import plan_of
from taxonomy.standardize import Violation, content_hash, encode_json

# Per row; what is wrong with a row beyond this is told when these are mended.
_MOST_REASONS = 5
UNMENDED, BESIDE = "unmended", "beside"
# Of each outcome, in each block of a try.
_EXAMPLES = 2


def store_block(run_id: UUID, block: Block) -> None:
    """Idempotent: of a block that is stored already, also by a process that outlived its import, nothing is stored again."""
    run = ImportRun.objects.get(pk=run_id)
    file_format = FileFormat(**run.format)
    reader = Reader(file_format, is_first=block.index == 0)

    assert run.release_id is not None and run.started_at is not None
    obeyed = plan_of(run.release_id)
    arguments: dict[str, Any] = {
        "source_code": obeyed.plan.sources_by_uuid[str(run.source_id)].code,
        "door": "file",
        "received_at": run.started_at,
        "current": obeyed,
        "batch_id": run.pk,
        "file_format": file_format,
    }

    def store(delivery: Delivery) -> bool:
        def write(cursor: CursorWrapper, deliveries: list[Delivery], closed: list[int]) -> None:
            in_commit()(cursor, deliveries, closed)
            chunk = _chunk(run, block, delivery.entries, reader)
            chunk["counts"]["closed"] = _mended(cursor, closed, run.pk)
            _insert(cursor, chunk)

        return record([delivery], write)

    try:
        if run.dry_run:
            _try_block(run, block, receive(reader.incoming(records(block, file_format)), dry_run=True, **arguments).entries, reader)
        else:
            receive(reader.incoming(records(block, file_format)), store=store, **arguments)
    except IntegrityError:
        if not ImportChunk.objects.filter(run=run, index=block.index).exists():
            raise
    except OperationalError as error:
        if is_no_room(error):  # whose cause stays behind in this process
            raise OSError(errno.ENOSPC, str(error)) from error
        raise


def _mended(cursor: CursorWrapper, closed: list[int], run_id: UUID) -> int:
    """How many of the events that gave way were held, of other deliveries, and gave way to what is let in."""
    if not closed:
        return 0
    cursor.execute(
        """
        SELECT count(*) FROM profiles_event AS held JOIN profiles_event AS mend ON mend.id = held.corrected_by_id
        WHERE held.id = ANY(%s) AND held.standing = %s AND held.batch_id <> %s AND mend.standing <> %s
        """,
        [closed, Event.Standing.CORRECTED, run_id, Event.Standing.HELD],
    )
    return int(cursor.fetchone()[0])


def _try_block(run: ImportRun, block: Block, entries: list[Entry], reader: Reader) -> None:
    """Count as duplicates what another block of the file held: the keys of a try are kept until it is finished."""
    keys = {trial_key(entry): entry for entry in entries if entry.result is not None and entry.first is None}
    with transaction.atomic():
        new = _not_tried_before(run, keys)
        for key, entry in keys.items():
            if key not in new:
                entry.first = as_stored(entry)
        created, joined = _customers(run, entries)
        chunk = _chunk(run, block, entries, reader)
        chunk["counts"] |= {"created": len(created), "joined": len(joined)}
        chunk["examples"] = _examples({"created": created, "joined": joined, **_by_outcome(entries)})
        ImportChunk.objects.create(**chunk)


def _not_tried_before(run: ImportRun, keys: Collection[bytes]) -> set[bytes]:
    """Those of the keys that no other block of the try had."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO ingestion_trialkey (run_id, key) SELECT %s, unnest(%s::bytea[]) ON CONFLICT DO NOTHING RETURNING key
            """,
            [run.pk, sorted(keys)],
        )
        return {bytes(key) for (key,) in cursor.fetchall()}


def _customers(run: ImportRun, entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """The first events of customers that there are not yet, and of those that there are; each customer once in a try."""
    firsts: dict[bytes, Entry] = {}
    for entry in entries:
        if entry.status == "accepted" and entry.result is not None and entry.result.subject is not None:
            firsts.setdefault(subject_key(entry.result.subject), entry)
    own = {_CUSTOMER + key: entry for key, entry in firsts.items()}
    new = _not_tried_before(run, own)
    first = [entry for key, entry in own.items() if key in new]
    known = known_among([(entry.result.subject, entry.others) for entry in first if entry.result and entry.result.subject])
    created = [entry for entry, is_known in zip(first, known, strict=True) if not is_known and entry.result.subject.kind == "phone"]  # type: ignore[union-attr]
    return created, [entry for entry, is_known in zip(first, known, strict=True) if is_known]


def _by_outcome(entries: list[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {"changed": [], "duplicate": [], "quarantined": [], "refused": []}
    for entry in entries:
        if entry.status != "accepted":
            found[entry.status].append(entry)
        elif entry.result is not None and entry.result.changes:
            found["changed"].append(entry)
    return found


def _examples(found: dict[str, list[Entry]]) -> dict[str, list[list[Any]]]:
    """{outcome: [[row, its bytes in base64, which event of the row, its first reason]]}; of what failed, by the reasons of most."""
    some = {outcome: _various(entries) if outcome in ("quarantined", "refused") else entries for outcome, entries in found.items()}
    return {
        outcome: [[entry.row, b64encode(entry.original).decode(), item_of(entry), _cause(entry)] for entry in entries[:_EXAMPLES]]
        for outcome, entries in some.items()
        if entries
    }


def _various(entries: list[Entry]) -> list[Entry]:
    alike = defaultdict[str, list[Entry]](list)
    for entry in entries:
        alike[_cause(entry)].append(entry)
    return one_of_each(sorted(alike.values(), key=len, reverse=True), _EXAMPLES)


def one_of_each[One](groups: Collection[list[One]], number: int) -> list[One]:
    """So many of them, one of each group before a second of any."""
    return list(islice(chain((group[0] for group in groups), (one for group in groups for one in group[1:])), number))


def _cause(entry: Entry) -> str:
    found = reasons(entry, most=1)
    return found[0].code if found else ""


def item_of(entry: Entry) -> int | None:
    """Which event of its row it is; None: the only one, or refused."""
    return entry.raw.item if entry.raw else None


# Tells a customer's key in a try from an event's.
_CUSTOMER = b"customer"


def trial_key(entry: Entry) -> bytes:
    """What two rows have in common that are one event: their key, and of a held one what it says, for other words supersede it."""
    assert entry.raw is not None
    return entry.key if entry.status == "accepted" else entry.key + content_hash(entry.raw, as_text=True)


def _chunk(run: ImportRun, block: Block, entries: list[Entry], reader: Reader) -> dict[str, Any]:
    doubtful = [entry for entry in entries if entry.result is None or entry.result.verdict != "accepted" or entry.closes]
    failed = [entry for entry in doubtful if entry.status in ("quarantined", "refused")]
    causes = Counter(code for entry in failed for code in {one.code for one in reasons(entry)})
    return {
        "run_id": run.pk,
        "index": block.index,
        "rows": len(entries),
        "first_row": block.first_row,
        "counts": {**counts(entries), "skipped": reader.skipped},
        "causes": dict(causes),
        "notes": dict(notes_of(entries)),
        "failed_rows": _failed_rows(entries, {entry.row for entry in doubtful}),
        "examples": {},
        "traps": reader.found(),
    }


def _failed_rows(entries: list[Entry], rows: set[int]) -> list[list[Any]]:
    """Of these rows, those that failed: [row, id of the held event or null, reasons] in the file's order.

    A fourth: UNMENDED, of rows that mend nothing of what they name; BESIDE, of what such a row tells of too and counts already.
    """
    found: list[list[Any]] = []
    for row, events in groupby([entry for entry in entries if entry.row in rows] if rows else [], key=attrgetter("row")):
        of_row = list(events)
        if failed := [one for entry in of_row if (one := _failure(entry))]:
            found += failed
            found += [[row, key.hex(), [], BESIDE] for entry in of_row if (key := _counted_key(entry))]
    return found


def _failure(entry: Entry) -> list[Any] | None:
    if entry.status in ("quarantined", "refused"):
        return [entry.row, entry.key.hex() if entry.result else None, _told(entry)]
    if is_unmended(entry):
        assert entry.first is not None
        return [entry.row, entry.first.key.hex(), _told(entry), UNMENDED]
    return None


def _told(entry: Entry) -> list[Any]:
    return [msgspec.to_builtins(one) for one in reasons(entry)]


def _counted_key(entry: Entry) -> bytes | None:
    """The key of an event that counts, where its row does not tell it by an id: sent back in another file it has another key."""
    if entry.raw is None or entry.raw.message_id is not None:
        return None
    if entry.first is not None:
        return entry.first.key if entry.first.standing in (COUNTED, MERGED) else None
    return entry.key if entry.status == "accepted" else None


def is_unmended(entry: Entry) -> bool:
    """Whether a row that names what it mends says what that said, which is held still."""
    return bool(entry.closes) and entry.first is not None and entry.first.standing == HELD


def notes_of(entries: list[Entry]) -> Counter[str]:
    """What was noted of rows that are no duplicates, and held none of them."""
    stored = (entry.result for entry in entries if entry.first is None and entry.result is not None and entry.result.violations)
    return Counter(code for result in stored for code in {one.code for one in result.violations if not one.blocking})


def reasons(entry: Entry, *, most: int = _MOST_REASONS) -> list[Violation]:
    """Why a row failed: its refusal, or what blocks it."""
    if entry.refusal is not None:
        return [Violation(entry.refusal.code, entry.refusal.path, values=entry.refusal.values)]
    assert entry.result is not None
    return [one for one in entry.result.violations if one.blocking][:most]


def _insert(cursor: CursorWrapper, chunk: dict[str, Any]) -> None:
    cursor.execute(
        """
        INSERT INTO ingestion_importchunk (run_id, index, rows, first_row, counts, causes, notes, failed_rows, examples, traps)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [value if not isinstance(value, dict | list) else encode_json(value).decode() for value in chunk.values()],
    )
