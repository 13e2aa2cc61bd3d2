"""Stored events fetched and read again: in stretches that hold a bound of bytes, by a plan, with what staff put right."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from itertools import batched
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.backends.utils import CursorWrapper

from ingestion.doors.files import FileFormat
from ingestion.models import Replay
from ingestion.pipeline import READ_AT_ONCE, others_of
from ingestion.reread import reread
from profiles.anew import HELD
from profiles.copying import array
from profiles.entries import Delivery, Entry
from taxonomy.current import Current
from taxonomy.standardize import Plan, RawEvent, Refusal, Result, Violation, decode_json, encode_json, general, standardize_mended

# In one commit: a fraction of a second, and little to do again.
AT_ONCE, BYTES_AT_ONCE = 4_000, 16 * 1024 * 1024

Mends = Sequence[dict[str, Any]]
# What is given for a violation: its path and value; and that of the event of a key.
Find = Callable[[Violation], tuple[str, Any] | None]
Finds = Callable[[bytes], Find]


class Stored(NamedTuple):
    """`holder`: the event that its record is stored with. `item`: which event of the record; None where it is the only one."""

    event_id: int
    key: bytes
    source: str
    batch: UUID
    received_at: datetime
    door: str
    format: FileFormat | None
    report: str | None
    record: bytes
    holder: int
    item: int | None


def in_stretches(replay: Replay, selected: Any, column: str) -> Iterator[list[int]]:
    """Ids of events, the column of a selection, that a replay has not done yet, in order.

    What it did is asked of a stretch alone: all of it, gone through for each, would take time by the square of the events.
    """
    after = 0
    while True:
        waiting = selected.filter(**{f"{column}__gt": after, f"{column}__lte": replay.last_event_id})
        ids = list(waiting.order_by(column).values_list(column, flat=True)[:AT_ONCE])
        if not ids:
            return
        after = ids[-1]
        yield from stretches(not_done(replay, ids))


def not_done(replay: Replay, event_ids: list[int]) -> list[int]:
    """Those of these events that a replay has not told of yet, each once."""
    with connection.cursor() as cursor:
        done = done_by(cursor, replay.pk, event_ids)
    return [one for one in dict.fromkeys(event_ids) if one not in done]


def done_by(cursor: CursorWrapper, replay_id: UUID, event_ids: Collection[int]) -> set[int]:
    """Those of these events that a replay has told of already."""
    cursor.execute(
        "SELECT event_id FROM ingestion_replayed WHERE replay_id = %s AND event_id = ANY(%s::bigint[])", [replay_id, array(event_ids)]
    )
    return {event_id for (event_id,) in cursor.fetchall()}


def stretches(event_ids: list[int]) -> Iterator[list[int]]:
    """The same, parted by number, and where their records are large: what is held at once has a bound."""
    for start in range(0, len(event_ids), AT_ONCE):
        part = event_ids[start : start + AT_ONCE]
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT own.event_id, coalesce(own.holder_id, own.event_id), octet_length(coalesce(own.record, holder.record))
                FROM profiles_original AS own LEFT JOIN profiles_original AS holder ON holder.event_id = own.holder_id
                WHERE own.event_id = ANY(%s::bigint[])
                """,
                [array(part)],
            )
            records = {event_id: (holder, size or 0) for event_id, holder, size in cursor.fetchall()}
        some: list[int] = []
        holders, total = set[int](), 0
        for one in part:
            holder, size = records.get(one, (one, 0))
            if some and holder not in holders and total + size > BYTES_AT_ONCE:
                yield some
                some, holders, total = [], set(), 0
            some.append(one)
            total += 0 if holder in holders else size
            holders.add(holder)
        yield some


def load(event_ids: Sequence[int], *, standings: Sequence[int] = (HELD,)) -> list[Stored]:
    """Those of these events that stand so, in the order of their ids. A record of many events is fetched once."""
    with connection.cursor() as cursor:
        # A time costs most to read of all that a row says: one that is its batch's comes with that.
        cursor.execute(
            """
            SELECT e.id, e.key, e.source_id::text, e.batch_id, nullif(e.received_at, b.received_at), e.report::text,
                o.record, coalesce(o.holder_id, e.id), o.item
            FROM profiles_event e JOIN profiles_original o ON o.event_id = e.id LEFT JOIN profiles_batch b ON b.id = e.batch_id
            WHERE e.id = ANY(%s::bigint[]) AND e.standing = ANY(%s) ORDER BY e.id
            """,
            [array(event_ids), list(standings)],
        )
        rows = cursor.fetchall()
        batches = _batches(cursor, {row[3] for row in rows})
        cursor.execute(
            "SELECT event_id, record FROM profiles_original WHERE event_id = ANY(%s::bigint[])",
            [array({holder for *_, record, holder, _item in rows if record is None})],
        )
        held_by = {event_id: bytes(record or b"") for event_id, record in cursor.fetchall()}
    found = []
    for event_id, key, source, batch, at, report, record, holder, item in rows:
        door, file_format, received_at = batches[batch]
        whole = held_by[holder] if record is None else bytes(record)
        found.append(Stored(event_id, bytes(key), source, batch, at or received_at, door, file_format, report, whole, holder, item))
    return found


def _batches(cursor: CursorWrapper, batch_ids: Collection[UUID]) -> dict[UUID, tuple[str, FileFormat | None, Any]]:
    """How these came: (door, how the rows of its file are read, when)."""
    cursor.execute("SELECT id, door, format::text, received_at FROM profiles_batch WHERE id = ANY(%s)", [list(batch_ids)])
    told = {batch: (door, FileFormat(**decode_json(form.encode())) if form else None, at) for batch, door, form, at in cursor.fetchall()}
    return dict.fromkeys(batch_ids, ("", None, None)) | told


def read_stored(events: Iterable[Stored], plan: Plan, finds: Finds) -> Iterator[tuple[Stored, RawEvent | None, Result | None]]:
    """What a plan makes of each; None where it has no such source, or finds no such event in the record.

    A record that holds many is read once for those that follow each other, as those of one record do by their ids.
    """
    last, found = None, list[RawEvent | Refusal]()
    for some in batched(events, READ_AT_ONCE):
        read: list[RawEvent | None] = []
        for one in some:
            source = plan.sources_by_uuid.get(one.source)
            if source is None:
                read.append(None)
                continue
            record = None if one.item is None else (one.holder, one.batch, one.received_at)
            if record is None or record != last:
                found = reread(one.record, source, plan, door=one.door, received_at=one.received_at, file_format=one.format)
                last = record
            item = one.item or 0
            raw = found[item] if item < len(found) else None
            read.append(raw if isinstance(raw, RawEvent) else None)
        for one, raw in zip(some, read, strict=True):
            yield one, raw, standardize_mended(raw, plan, finds(one.key)) if raw else None


def finder(mends: Mends) -> Finds:
    """What mends give: those with the "key" of an event to that one alone, before the others."""
    given: dict[tuple[str, str, str], list[tuple[str, Any]]] = defaultdict(list)
    for one in mends:
        place = one.get("key", ""), one["path"], _ANY if one.get("any") else text_seen(one.get("seen"))
        given[place].append((one["target"], one["value"]))
    keys = {key for key, _path, _seen in given if key}

    def find(own: Sequence[str], violation: Violation) -> tuple[str, Any] | None:
        path, seen = general(violation.path), text_seen(violation.seen)
        # a region is for numbers that have none
        kinds = (seen, _ANY) if violation.code == "phone.region_unknown" else (seen,)
        places = ((key, path, one) for key in own for one in kinds)
        found = next((given[place] for place in places if place in given), None)
        if found is None:
            return None
        target, value = _of_group(violation, found)
        return violation.path if target == path else target, value

    of_any = partial(find, ("",))
    return lambda event: partial(find, (event.hex(), "")) if event.hex() in keys else of_any


def _of_group(violation: Violation, found: list[tuple[str, Any]]) -> tuple[str, Any]:
    """Of what is given for attributes of which one is wanted, what this group wants; else what was given last."""
    group = violation.expected.get("one_of", ()) if isinstance(violation.expected, dict) else ()
    return next((one for one in found if one[0].removeprefix("attributes.") in group), found[-1])


_ANY = "\0any"


def text_seen(seen: Any) -> str:
    """A value seen, as text: what a report holds and what the core says compare equal. Nothing seen is "\\0none"."""
    if seen is None:
        return "\0none"
    return seen if isinstance(seen, str) else f"{seen:f}" if isinstance(seen, Decimal) else encode_json(seen).decode()


def delivery_of(deliveries: dict[tuple[UUID, datetime], Delivery], held: Stored, obeyed: Current) -> Delivery:
    """The delivery an event came with, as far as a reading needs it."""
    key = (held.batch, held.received_at)
    if key not in deliveries:
        deliveries[key] = Delivery(held.batch, held.source, "", held.door, held.received_at, obeyed.release_id, [], lambda _sent: None)
    return deliveries[key]


def entry_of(held: Stored, raw: RawEvent, result: Result, obeyed: Current) -> Entry:
    entry = Entry(held.record, raw, result, key=held.key, event_id=held.event_id)
    source = obeyed.plan.sources[raw.source]
    if result.identifiers:
        entry.others = others_of(result, source.definition.get("namespace") or "")
    return entry
