"""Storing events, once each, set-based: several deliveries in one commit, whatever their size.

Everything a commit writes is sorted by key before it is written, so that parallel writers wait for each other in one
order. A key that somebody else stored meanwhile shows as a unique violation; the whole is then done again and finds it.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.errors import DeadlockDetected, UniqueViolation

from profiles.copying import array, copy_events, copy_originals, hex_array
from profiles.models import Event
from profiles.subjects import known, subject_ids
from profiles.ties import Ties
from taxonomy.standardize import RawEvent, Refusal, Result, Subject, content_hash, decode_json, encode_json
from taxonomy.violations import is_blocking

COUNTED, HELD, TAKEN_BACK, CORRECTED = (
    int(Event.Standing.COUNTED), int(Event.Standing.HELD), int(Event.Standing.TAKEN_BACK), int(Event.Standing.CORRECTED),
)  # fmt: skip
_ATTEMPTS = 6
# From here on a delivery is believed to be new, and its keys looked up only when one of them violates.
_MANY_EVENTS = 1_000
_IDS_AT_ONCE = 1_000
# A delivery's events that its tally names, of so many looked at.
_NEWEST, _LOOKED_AT = 20, 1_000


@dataclass(slots=True)
class Entry:
    """One raw event with its reading, or a refusal; after `record`, what became of it.

    `others` are the identifiers it came with besides its subject. `closes` are the keys of held events that this one
    corrects. `first` is the stored event a duplicate was answered with, `differs` whether that says something else.
    """

    original: bytes
    raw: RawEvent | None = None
    result: Result | None = None
    refusal: Refusal | None = None
    key: bytes = b""
    others: list[Subject] = field(default_factory=list)
    closes: tuple[bytes, ...] = ()
    row: int = 0
    event_id: int | None = None
    first: "Stored | None" = None
    differs: bool = False

    @property
    def status(self) -> str:
        if self.refusal is not None:
            return "refused"
        if self.first is not None:
            return "duplicate"
        assert self.result is not None
        return self.result.verdict


@dataclass(frozen=True, slots=True)
class Sent:
    """A record as it came, and what its bytes are read with: the same bytes in a file with other columns say something else."""

    original: bytes
    item: int | None
    door: str
    format: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What is on disk of an event sent before. `sent`: None of one that this very delivery brought."""

    event_id: int
    source_id: UUID | None
    key: bytes
    standing: int
    corrected_by_id: int | None
    tag_id: UUID | None
    refinements: list[str]
    # Of its first reading, whatever replays made of it since.
    report: dict[str, Any]
    sent: Sent | None = None

    @property
    def verdict(self) -> str:
        """The first one: what mended it later does not change it."""
        return "quarantined" if any(map(is_blocking, self.report.get("violations", []))) else "accepted"


@dataclass(slots=True)
class Delivery:
    """The entries of one request or one block of a file."""

    batch_id: UUID
    source_id: str
    source_code: str
    door: str
    received_at: datetime
    release_id: int
    entries: list[Entry]
    reread: Callable[[Sent], RawEvent | None]
    key_id: int | None = None
    format: dict[str, Any] | None = None


# Runs inside the commit, after its events are written: (cursor, deliveries, ids of held events closed).
InCommit = Callable[[CursorWrapper, list[Delivery], list[int]], None]


def record(deliveries: list[Delivery], in_commit: InCommit) -> bool:
    """Store the deliveries' events in one commit and fill in each entry's outcome. True if it wrote ties to be settled.

    Raises OperationalError when the database cannot be reached.
    """
    believes = iter([_lately_new.believes(deliveries)])
    return again_where_others_write(lambda: _record_once(deliveries, in_commit, believes_new=next(believes, False)))


def again_where_others_write[T](write: Callable[[], T]) -> T:
    """Run a transaction; once more where another writer came in between."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with connection.wrap_database_errors:
                return write()
        except (IntegrityError, OperationalError) as error:
            if attempt == _ATTEMPTS or not isinstance(error.__cause__, (UniqueViolation, DeadlockDetected)):
                raise
    raise AssertionError("unreachable")


def counts(entries: Iterable[Entry]) -> dict[str, int]:
    """First verdicts: accepted, changed (of the accepted), duplicate, quarantined, refused."""
    found = {"accepted": 0, "changed": 0, "duplicate": 0, "quarantined": 0, "refused": 0}
    for entry in entries:
        found[entry.status] += 1
        if entry.first is None and entry.result is not None and entry.result.verdict == "accepted" and entry.result.changes:
            found["changed"] += 1
    return found


def find_duplicates(deliveries: list[Delivery]) -> None:
    """What `record` would answer for keys stored already, or repeated in the deliveries; writes nothing."""
    with connection.cursor() as cursor:
        wanted = [(delivery, entry) for delivery in deliveries for entry in delivery.entries if entry.result is not None]
        stored = _stored(cursor, _keys_of(wanted))
        seen: dict[bytes, Pair] = {}
        for delivery, entry in wanted:
            before = stored.get(entry.key)
            earlier = seen.get(entry.key)
            if earlier is not None and (earlier[1].status == "accepted" or not _mends((delivery, entry), earlier)):
                entry.first, entry.differs = as_stored(earlier[1]), not _same_content((delivery, entry), earlier)
            elif earlier is None and before is not None and not _supersedes(entry, before, delivery):
                entry.first, entry.differs = before, _says_otherwise(entry, before, delivery)
            elif earlier is None and before is None and (unmended := _unmended(entry, delivery, stored)):
                entry.first = unmended
            else:
                seen[entry.key] = delivery, entry


class _LatelyNew:
    """Whether this process's last large delivery held no event sent before, so that the next one hardly will.

    Looking up 20,000 keys costs a sixth of storing them; a violation costs the rows copied before it.
    """

    def __init__(self) -> None:
        self.all_new = True

    def believes(self, deliveries: list[Delivery]) -> bool:
        if not self.all_new or sum(len(delivery.entries) for delivery in deliveries) < _MANY_EVENTS:
            return False
        return not any(entry.closes for delivery in deliveries for entry in delivery.entries)

    def learn(self, deliveries: list[Delivery]) -> None:
        if sum(len(delivery.entries) for delivery in deliveries) >= _MANY_EVENTS:
            self.all_new = not any(entry.first is not None for delivery in deliveries for entry in delivery.entries)


_lately_new = _LatelyNew()


def _record_once(deliveries: list[Delivery], in_commit: InCommit, *, believes_new: bool) -> bool:
    ties = Ties()
    learned: dict[Subject, int] = {}
    closed: list[int] = []
    for delivery in deliveries:
        for entry in delivery.entries:
            entry.first, entry.event_id, entry.differs = None, None, False
    with transaction.atomic(), connection.cursor() as cursor:
        waiting = [(delivery, entry) for delivery in deliveries for entry in delivery.entries if entry.result is not None]
        while waiting:
            waiting = _store_wave(cursor, waiting, ties, learned, closed, believes_new=believes_new)
            believes_new = False
        _write_batches(cursor, deliveries)
        in_commit(cursor, deliveries, closed)
        wrote_ties = ties.write(cursor)
    known.learn(learned)
    _lately_new.learn(deliveries)
    return wrote_ties


Pair = tuple[Delivery, Entry]


def _store_wave(
    cursor: CursorWrapper, waiting: list[Pair], ties: Ties, learned: dict[Subject, int], closed: list[int], *, believes_new: bool
) -> list[Pair]:
    """Store the first entry of each key; returns the later ones that say something else of a key that is held."""
    firsts: dict[bytes, Pair] = {}
    repeats: list[Pair] = []
    for pair in waiting:
        if firsts.setdefault(pair[1].key, pair) is not pair:
            repeats.append(pair)
    before = {} if believes_new else _stored(cursor, _keys_of(firsts.values()))
    new: list[Pair] = []
    superseded: list[tuple[Stored, Entry]] = []
    for key in sorted(firsts):
        delivery, entry = firsts[key]
        stands = before.get(key)
        if stands is None:
            entry.first = _unmended(entry, delivery, before)
            if entry.first is None:
                new.append((delivery, entry))
        elif _supersedes(entry, stands, delivery):
            superseded.append((stands, entry))
            new.append((delivery, entry))
        else:
            entry.first, entry.differs = stands, _says_otherwise(entry, stands, delivery)
    for (_, entry), event_id in zip(new, _event_ids(len(new)), strict=True):
        entry.event_id = event_id
    _set_aside(cursor, superseded)
    closed += [stands.event_id for stands, _ in superseded]
    closed += _close(cursor, firsts.values())
    if new:
        _write_events(cursor, new, ties, learned)
    return _answer_repeats(repeats, firsts)


def _keys_of(pairs: Iterable[Pair]) -> set[bytes]:
    """Their keys, and those of the held events that they say they mend."""
    return {key for _, entry in pairs for key in (entry.key, *entry.closes)}


def _unmended(entry: Entry, delivery: Delivery, stored: dict[bytes, Stored]) -> Stored | None:
    """The held event that a row says it mends, where the row is as it was: one without an id or a time has another key each time."""
    assert entry.result is not None
    if not entry.closes or entry.result.verdict == "accepted":
        return None
    named = (stored[key] for key in entry.closes if key in stored)
    mine = (one for one in named if one.standing == HELD and str(one.source_id) == delivery.source_id)
    return next((one for one in mine if not _says_otherwise(entry, one, delivery)), None)


def _answer_repeats(repeats: list[Pair], firsts: dict[bytes, Pair]) -> list[Pair]:
    left = []
    for delivery, entry in repeats:
        first = firsts[entry.key]
        stands = first[1].first
        if stands is not None:
            supersedes = _supersedes(entry, stands, delivery)
        else:
            supersedes = first[1].status == "quarantined" and _mends((delivery, entry), first)
        if supersedes:
            left.append((delivery, entry))
        else:
            entry.first = stands or as_stored(first[1])
            entry.differs = not _same_content((delivery, entry), first) if stands is None else _says_otherwise(entry, stands, delivery)
    return left


def _same_content(one: Pair, other: Pair) -> bool:
    """Whether they say the same, by whatever door: a number and its digits as text do."""
    return _sent(*one) == _sent(*other) or _content(one[1]) == _content(other[1])


def _mends(pair: Pair, held: Pair) -> bool:
    """Whether it takes the place of what is held: it says otherwise, or says it in types that are accepted."""
    entry, former = pair[1], held[1]
    if _same_content(pair, held):
        assert entry.raw is not None and former.raw is not None
        return _is_accepted(entry) and content_hash(entry.raw) != content_hash(former.raw)
    return True


def _is_accepted(entry: Entry) -> bool:
    return entry.result is not None and entry.result.verdict == "accepted"


def _sent(delivery: Delivery, entry: Entry) -> Sent:
    assert entry.raw is not None
    return Sent(entry.original, entry.raw.item, delivery.door, delivery.format)


def _content(entry: Entry) -> bytes:
    assert entry.raw is not None
    return content_hash(entry.raw, as_text=True)


def _supersedes(entry: Entry, stands: Stored, delivery: Delivery) -> bool:
    """Whether an entry takes the place of what is stored under its key: taken back, or held and now said otherwise."""
    if stands.standing == TAKEN_BACK:
        return True
    return stands.standing == HELD and _says_otherwise(entry, stands, delivery, exactly=_is_accepted(entry))


def _says_otherwise(entry: Entry, stands: Stored, delivery: Delivery, *, exactly: bool = False) -> bool:
    """Whether it and what is stored say different things, each read as its own door and its own file's columns have it.

    `exactly`: other types are another thing too.
    """
    assert stands.sent is not None
    if _sent(delivery, entry) == stands.sent:
        return False
    former = delivery.reread(stands.sent)
    assert entry.raw is not None
    return former is None or content_hash(entry.raw, as_text=not exactly) != content_hash(former, as_text=not exactly)


def as_stored(entry: Entry) -> Stored:
    assert entry.result is not None
    result = entry.result
    return Stored(
        entry.event_id or 0, None, entry.key, HELD if result.verdict == "quarantined" else COUNTED, None,
        UUID(result.tag) if result.tag else None, result.refinements,
        {"changes": _plain(result.changes), "violations": _plain(result.violations)},
    )  # fmt: skip


def _plain(found: list[Any]) -> Any:
    """As a stored report gives it back: decimals exactly."""
    return msgspec.to_builtins(found, builtin_types=(Decimal,))


def _stored(cursor: CursorWrapper, keys: Iterable[bytes]) -> dict[bytes, Stored]:
    wanted = list(keys)
    if not wanted:
        return {}
    # What is new, as nearly all is, asks no more: planning the question below costs more than storing an event.
    cursor.execute("SELECT key FROM profiles_event WHERE key = ANY(%s::bytea[])", [hex_array(wanted)])
    wanted = [bytes(key) for (key,) in cursor.fetchall()]
    if not wanted:
        return {}
    cursor.execute(
        """
        SELECT event.id, event.source_id, key, standing, corrected_by_id, tag_id, refinements,
            (CASE WHEN read_by IS NULL THEN report ELSE (
                SELECT former.report FROM profiles_formerreading AS former WHERE former.event_id = event.id ORDER BY former.id LIMIT 1
            ) END)::text, coalesce(original.record, holder.record), original.item, batch_id
        FROM profiles_event AS event LEFT JOIN profiles_original AS original ON original.event_id = event.id
        LEFT JOIN profiles_original AS holder ON holder.event_id = original.holder_id
        WHERE key = ANY(%s)
        """,
        [wanted],
    )
    found = cursor.fetchall()
    read_with = _read_with(cursor, {batch_id for *_, batch_id in found})
    return {
        bytes(key): Stored(
            event_id,
            source_id,
            bytes(key),
            standing,
            corrected_by_id,
            tag_id,
            refinements or [],
            decode_json(report.encode()) if report else {},
            Sent(bytes(original or b""), item, *read_with.get(batch_id, ("", None))),
        )
        for event_id, source_id, key, standing, corrected_by_id, tag_id, refinements, report, original, item, batch_id in found
    }


def _read_with(cursor: CursorWrapper, batch_ids: set[UUID]) -> dict[UUID, tuple[str, dict[str, Any] | None]]:
    """Door and file format of batches. Asked apart, so that what is new asks nothing and a file's columns come once."""
    if not batch_ids:
        return {}
    cursor.execute("SELECT id, door, format::text FROM profiles_batch WHERE id = ANY(%s)", [list(batch_ids)])
    return {batch_id: (door, decode_json(form.encode()) if form else None) for batch_id, door, form in cursor.fetchall()}


def _set_aside(cursor: CursorWrapper, superseded: list[tuple[Stored, Entry]]) -> None:
    """Free the keys of events that give way. A held one is thereby corrected; what was taken back stays so, and for good.

    One that stands otherwise by now keeps its key: storing it again is then a unique violation, and the whole is done again.
    """
    if not superseded:
        return
    if held_again := [stands.event_id for stands, _ in superseded if stands.corrected_by_id is not None]:
        _release(cursor, held_again)
    cursor.execute(
        """
        UPDATE profiles_event AS event
        SET key = freed.key, take_back_id = NULL, standing = CASE WHEN was = %(held)s THEN %(corrected)s ELSE was END,
            corrected_by_id = CASE WHEN was = %(held)s THEN freed.by ELSE corrected_by_id END
        FROM unnest(%(ids)s::bigint[], %(keys)s::bytea[], %(by)s::bigint[], %(was)s::int[]) AS freed (id, key, by, was)
        WHERE event.id = freed.id AND event.standing = was
        """,
        {
            "held": HELD, "corrected": CORRECTED,
            "ids": [stands.event_id for stands, _ in superseded],
            "keys": [freed_key(stands.key, stands.event_id) for stands, _ in superseded],
            "by": [entry.event_id for _, entry in superseded],
            "was": [stands.standing for stands, _ in superseded],
        },
    )  # fmt: skip


def _release(cursor: CursorWrapper, held_again: list[int]) -> None:
    """Of events held again because their corrections were taken back: those corrections cannot be put back any more."""
    cursor.execute(
        """
        WITH RECURSIVE later (id) AS (
            SELECT corrected_by_id FROM profiles_event WHERE id = ANY(%s)
            UNION SELECT event.corrected_by_id FROM later JOIN profiles_event AS event ON event.id = later.id
        )
        UPDATE profiles_event SET take_back_id = NULL WHERE id IN (SELECT id FROM later) AND standing = %s
        """,
        [held_again, TAKEN_BACK],
    )


def freed_key(key: bytes, event_id: int) -> bytes:
    """The key of an event that gave its own to another."""
    return blake2b(key + event_id.to_bytes(8), digest_size=16, person=b"freed").digest()


def _close(cursor: CursorWrapper, pairs: Iterable[Pair]) -> list[int]:
    """Close the held events that mended rows name, of the same source; their ids. A row that came before in order closes too.

    Of a row that tells of several events each closes only what was held of its own place in the row.
    """
    closing = [
        (key, delivery.source_id, entry.first.event_id if entry.first else entry.event_id, entry.raw.item if entry.raw else None)
        for delivery, entry in pairs
        if entry.closes and (entry.first is None or entry.first.verdict == "accepted")
        for key in entry.closes
        if key != entry.key
    ]
    if not closing:
        return []
    cursor.execute(
        """
        UPDATE profiles_event AS event SET standing = %s, corrected_by_id = closing.by
        FROM unnest(%s::bytea[], %s::uuid[], %s::bigint[], %s::int[]) AS closing (key, source_id, by, item)
        WHERE event.key = closing.key AND event.source_id = closing.source_id AND standing = %s AND NOT EXISTS (
            SELECT FROM profiles_original AS original WHERE original.event_id = event.id AND original.item <> closing.item
        ) RETURNING event.id
        """,
        [CORRECTED, *[list(column) for column in zip(*closing, strict=True)], HELD],
    )
    return [event_id for (event_id,) in cursor.fetchall()]


def _write_events(cursor: CursorWrapper, new: list[Pair], ties: Ties, learned: dict[Subject, int]) -> None:
    subjects: set[Subject] = set()
    for _, entry in new:
        assert entry.result is not None
        if entry.result.subject is not None:
            subjects.add(entry.result.subject)
            if entry.result.verdict == "accepted":
                subjects.update(entry.others)
    ids = subject_ids(cursor, subjects)
    learned |= ids
    copy_events(cursor, new, ids)
    copy_originals(cursor, new)
    ties.add(new, ids)


def _write_batches(cursor: CursorWrapper, deliveries: list[Delivery]) -> None:
    """The batch of each delivery, unless an earlier block wrote it, its tally, and the arrivals: one statement, however many."""
    arrived = _runs(sorted(entry.event_id for one in deliveries for entry in one.entries if entry.event_id is not None))
    rows = [
        (
            one.batch_id, one.source_id, one.received_at, one.door, one.key_id, encode_json(one.format).decode() if one.format else None,
            one.release_id, *counts(one.entries).values(), _refused_causes(one), _newest(one),
        )
        for one in deliveries
    ]  # fmt: skip
    cursor.execute(
        """
        WITH given AS (
            SELECT * FROM unnest(
                %s::uuid[], %s::uuid[], %s::timestamptz[], %s::text[], %s::bigint[], %s::jsonb[],
                %s::bigint[], %s::int[], %s::int[], %s::int[], %s::int[], %s::int[], %s::jsonb[], %s::text[]
            ) AS given (batch_id, source_id, received_at, door, key_id, format,
                release_id, accepted, changed, duplicate, quarantined, refused, refused_causes, newest)
        ), batches AS (
            INSERT INTO profiles_batch (id, source_id, door, key_id, format, received_at)
            SELECT batch_id, source_id, door, key_id, format, received_at FROM given ON CONFLICT (id) DO NOTHING
        ), arrivals AS (
            INSERT INTO profiles_arrival (first_id, last_id) SELECT * FROM unnest(%s::bigint[], %s::bigint[])
        )
        INSERT INTO profiles_tally
            (batch_id, source_id, received_at, release_id, accepted, changed, duplicate, quarantined, refused, refused_causes, newest)
        SELECT batch_id, source_id, received_at, release_id, accepted, changed, duplicate, quarantined, refused, refused_causes,
            newest::bigint[]
        FROM given
        """,
        [*(array(column) for column in zip(*rows, strict=True)), array(first for first, _ in arrived), array(last for _, last in arrived)],
    )


def _runs(ids: list[int]) -> list[tuple[int, int]]:
    """The runs in ascending numbers: [3, 4, 5, 9] is [(3, 5), (9, 9)]."""
    found: list[tuple[int, int]] = []
    for one in ids:
        if found and one == found[-1][1] + 1:
            found[-1] = (found[-1][0], one)
        else:
            found.append((one, one))
    return found


def _refused_causes(delivery: Delivery) -> str | None:
    causes: dict[str, int] = {}
    for entry in delivery.entries:
        if entry.refusal is not None:
            causes[entry.refusal.code] = causes.get(entry.refusal.code, 0) + 1
    return encode_json(causes).decode() if causes else None


def _newest(delivery: Delivery) -> str | None:
    """Ids of some of its events as PostgreSQL writes an array: what a page of the latest events shows of it, in the order sent.

    Ids say nothing of when they were used, and events have no index by source: this is how the newest of one are found.
    """
    stored = [entry for entry in delivery.entries if entry.event_id is not None]
    if len(stored) > _NEWEST:
        last = stored[-_LOOKED_AT:]
        # The sort leaves what is alike in its order, so of each kind the last stand last.
        kept = {entry.event_id for entry in sorted(last, key=lambda entry: entry.status == "quarantined")[-_NEWEST:]}
        stored = [entry for entry in last if entry.event_id in kept]
    return "{" + ",".join(str(entry.event_id) for entry in stored) + "}" if stored else None


_ids_lock = threading.Lock()
_ids_left: Iterator[int] = iter(())


def _event_ids(number: int) -> list[int]:
    """Take ids from this process's share of the sequence. A share lost with its process leaves a gap, nothing else."""
    global _ids_left
    with _ids_lock:
        taken = list(islice(_ids_left, number))
        if len(taken) < number:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT nextval('profiles_event_id_seq') FROM generate_series(1, %s)", [max(_IDS_AT_ONCE, number - len(taken))]
                )
                _ids_left = iter([event_id for (event_id,) in cursor.fetchall()])
            taken += islice(_ids_left, number - len(taken))
    return taken
