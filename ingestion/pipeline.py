"""The only way in: records of one source become events, each with its first verdict, on disk when this returns."""

import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from typing import Any
from uuid import UUID, uuid4

import msgspec
from django.db.backends.utils import CursorWrapper

from ingestion.doors.files import FileFormat
from ingestion.quarantine.reasons import write_reasons
from ingestion.reread import decode, reader_of, reread
from profiles.copying import said_by
from profiles.entries import Delivery, Entry, Sent, counts
from profiles.link import settle_soon
from profiles.record import InCommit, expects_new, find_duplicates, record
from taxonomy.current import Current
from taxonomy.standardize import (
    GLOBAL_KINDS,
    RawEvent,
    Refusal,
    Result,
    Subject,
    message_key_of,
    standardize,
    told_apart,
)  # fmt: skip

# Records read, before they are brought to the standard.
READ_AT_ONCE = 256
_PUBLIC_ID = re.compile("[0-9a-fA-F]{32}")


class Incoming(msgspec.Struct, gc=False):
    """One record as a door cut it. `decoded`: None lets the pipeline decode it as its door's; a Refusal is refused as it stands; of a
    row whose columns are matched, a list is its values, one for each column.

    `closes` are the public ids of held events this record mends, and of those it told of beside them, parted by spaces; `row` its
    number in a file.
    """

    original: bytes
    decoded: Any = None
    closes: str | None = None
    row: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery: an entry per event, in order."""

    batch_id: UUID
    source_id: UUID
    version: str
    entries: list[Entry]

    @property
    def counts(self) -> dict[str, int]:
        """Of their first verdicts."""
        return counts(self.entries)

    @property
    def received(self) -> int:
        return len(self.entries)


class UnknownSource(Exception):
    """The source is not in the current release."""


def receive(
    incoming: Iterable[Incoming],
    *,
    source_code: str,
    door: str,
    received_at: datetime,
    current: Current,
    key_id: int | None = None,
    batch_id: UUID | None = None,
    file_format: FileFormat | None = None,
    dry_run: bool = False,
    store: Callable[[Delivery], bool] | None = None,
) -> Receipt:
    """Read, standardize and store. Raises UnknownSource, and OperationalError when the database cannot be reached.

    `store` replaces the commit of its own (a group commit, or one with more in it).
    """
    delivery = evaluate(
        incoming, source_code=source_code, door=door, received_at=received_at, current=current, key_id=key_id,
        batch_id=batch_id, file_format=file_format, ahead=file_format is not None and not dry_run and expects_new(),
    )  # fmt: skip
    if dry_run:
        find_duplicates([delivery])
    elif (store or store_alone)(delivery):
        settle_soon()
    return Receipt(delivery.batch_id, UUID(delivery.source_id), current.version, delivery.entries)


def evaluate(
    incoming: Iterable[Incoming],
    *,
    source_code: str,
    door: str,
    received_at: datetime,
    current: Current,
    key_id: int | None = None,
    batch_id: UUID | None = None,
    file_format: FileFormat | None = None,
    ahead: bool = False,
) -> Delivery:
    """Bring the records to the standard, in memory. `ahead`: and write what of their rows can be written."""
    plan = current.plan
    source = plan.sources.get(source_code)
    if source is None:
        raise UnknownSource(source_code)
    batch_id = batch_id or uuid4()
    namespace = source.definition.get("namespace") or ""
    entries: list[Entry] = []
    of_batch = batch_id.bytes
    read_all = reader_of(source, plan, door=door, received_at=received_at, file_format=file_format)
    # In turns: what each step needs of the processor's caches is there still for the next record, and so are the records.
    for some in batched(incoming, READ_AT_ONCE):
        read: list[Entry] = []
        for one in some:
            decoded = one.decoded if one.decoded is not None else decode(one.original, door=door)
            found = read_all(decoded, one.original)
            closes = _event_keys(one.closes) if one.closes else ()
            place = of_batch + one.row.to_bytes(8) if one.row else b""
            likes: dict[bytes, int] = {}
            for raw in found:
                if isinstance(raw, Refusal):
                    read.append(Entry(one.original, refusal=raw, row=one.row))
                    continue
                row = place if raw.item is None or not place else place + raw.item.to_bytes(4)
                nonce = row or (secrets.token_bytes(16) if raw.message_id is None else b"")
                key = message_key_of(raw, source, nonce=nonce, row=row)
                read.append(
                    Entry(one.original, raw, key=key.key if len(found) == 1 else told_apart(key, likes), closes=closes, row=one.row)
                )
        for entry in read:
            if entry.raw is not None:
                result = entry.result = standardize(entry.raw, plan)
                if result.identifiers and (result.phone is not None or len(result.identifiers) > 1):
                    entry.others = others_of(result, namespace)
                if ahead:
                    entry.said = said_by(entry)
        entries += read

    def read_former(sent: Sent) -> RawEvent | None:
        former_format = FileFormat(**sent.format) if sent.format else None
        found = reread(sent.original, source, plan, door=sent.door, received_at=received_at, file_format=former_format)[sent.item or 0 :]
        return None if not found or isinstance(found[0], Refusal) else found[0]

    return Delivery(
        batch_id, source.uuid, source_code, door, received_at, current.release_id, entries, read_former, key_id,
        dict(file_format.as_json()) if file_format else None,
    )  # fmt: skip


def store_alone(delivery: Delivery, also: Callable[[CursorWrapper], None] | None = None) -> bool:
    """Store one delivery in a commit of its own, with whatever `also` writes. True if ties wait to be settled."""
    return record([delivery], in_commit(also))


def in_commit(also: Callable[[CursorWrapper], None] | None = None) -> InCommit:
    def write(cursor: CursorWrapper, deliveries: list[Delivery], closed: list[int]) -> None:
        write_reasons(cursor, deliveries, closed)
        if also is not None:
            also(cursor)

    return write


def others_of(result: Result, namespace: str) -> list[Subject]:
    """The subjects of an event besides the one it is about."""
    subjects = (Subject(kind, "" if kind in GLOBAL_KINDS else namespace, value) for kind, value in result.identifiers.items())
    return [subject for subject in subjects if subject != result.subject]


def _event_keys(public_ids: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(one) for one in public_ids.split() if _PUBLIC_ID.fullmatch(one))
