"""Storing events, once each, set-based: several deliveries in one commit, whatever their size.

Everything a commit writes is sorted by key before it is written, so that parallel writers wait for each other in one
order. A key that somebody else stored meanwhile shows as a unique violation; the whole is then done again and finds it.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.errors import DeadlockDetected, UniqueViolation

from profiles.copying import copy_events, copy_originals
from profiles.entries import COUNTED, DISCARDED, HELD, MERGED, Delivery, Entry, Pair, Stored, as_stored
from profiles.stored import close, is_accepted, mends, mends_of, same_content, says_otherwise, set_aside, stored_of, supersedes
from profiles.subjects import known, subject_ids
from profiles.tallies import write_batches
from profiles.ties import Ties
from taxonomy.standardize import Subject

_ATTEMPTS = 6
# From here on a delivery is believed to be new, and its keys looked up only when one of them violates.
_MANY_EVENTS = 1_000
_IDS_AT_ONCE = 1_000
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


def find_duplicates(deliveries: list[Delivery]) -> None:
    """What `record` would answer for keys stored already, or repeated in the deliveries; writes nothing."""
    with connection.cursor() as cursor:
        wanted = [(delivery, entry) for delivery in deliveries for entry in delivery.entries if entry.result is not None]
        stored = stored_of(cursor, _keys_of(wanted))
        named_by_rows = _named_by_rows(cursor, wanted, stored)
        seen: dict[bytes, Pair] = {}
        for delivery, entry in wanted:
            before = stored.get(entry.key)
            earlier = seen.get(entry.key)
            if earlier is not None and (earlier[1].status == "accepted" or not mends((delivery, entry), earlier)):
                entry.first, entry.differs = as_stored(earlier[1]), not same_content((delivery, entry), earlier)
            elif earlier is None and before is not None and not supersedes(entry, before, delivery):
                entry.first, entry.differs = before, says_otherwise(entry, before, delivery)
            elif earlier is None and before is None and (named := _named(entry, delivery, named_by_rows)):
                entry.first, entry.differs = named, says_otherwise(entry, named, delivery)
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
            firsts = (entry.first for delivery in deliveries for entry in delivery.entries if entry.first is not None)
            # What a delivery holds twice itself is told without a look: it is stored once, and violates nothing.
            self.all_new = all(first.sent is None for first in firsts)


_lately_new = _LatelyNew()


def expects_new() -> bool:
    """Whether a large delivery would be believed to be new."""
    return _lately_new.all_new


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
        write_batches(cursor, deliveries)
        in_commit(cursor, deliveries, closed)
        wrote_ties = ties.write(cursor)
    known.learn(learned)
    _lately_new.learn(deliveries)
    return wrote_ties


def _store_wave(
    cursor: CursorWrapper, waiting: list[Pair], ties: Ties, learned: dict[Subject, int], closed: list[int], *, believes_new: bool
) -> list[Pair]:
    """Store the first entry of each key; returns the later ones that say something else of a key that is held."""
    firsts: dict[bytes, Pair] = {}
    repeats: list[Pair] = []
    for pair in waiting:
        if firsts.setdefault(pair[1].key, pair) is not pair:
            repeats.append(pair)
    before = {} if believes_new else stored_of(cursor, _keys_of(firsts.values()))
    named = _named_by_rows(cursor, firsts.values(), before)
    new, superseded = _judge(firsts, before, named) if before or named else (list(firsts.values()), [])
    # Numbered as they came, though written by key: what happened at the same time is told in this order.
    for (_, entry), event_id in zip(new, _event_ids(len(new)), strict=True):
        entry.event_id = event_id
    set_aside(cursor, superseded)
    closed += [stands.event_id for stands, _ in superseded]
    closed += close(cursor, firsts.values(), named)
    if new:
        _write_events(cursor, new, ties, learned)
    return _answer_repeats(repeats, firsts)


def _judge(
    firsts: dict[bytes, Pair], before: dict[bytes, Stored], named: dict[bytes, Stored]
) -> tuple[list[Pair], list[tuple[Stored, Entry]]]:
    """What is new, as it came; and what it takes the place of, by key."""
    new: list[Pair] = []
    superseded: list[tuple[Stored, Entry]] = []
    for key, pair in firsts.items():
        delivery, entry = pair
        stands = before.get(key)
        if stands is None:
            if entry.closes:
                entry.first = _named(entry, delivery, named)
            if entry.first is None:
                new.append(pair)
            else:
                entry.differs = says_otherwise(entry, entry.first, delivery)
        elif supersedes(entry, stands, delivery):
            superseded.append((stands, entry))
            new.append(pair)
        else:
            entry.first, entry.differs = stands, says_otherwise(entry, stands, delivery)
    return new, sorted(superseded, key=lambda one: one[0].key)


def _keys_of(pairs: Iterable[Pair]) -> set[bytes]:
    """Their keys, and those of the events that their rows name."""
    keys = {entry.key for _, entry in pairs}
    return keys.union(*[entry.closes for _, entry in pairs if entry.closes])


def _named_by_rows(cursor: CursorWrapper, pairs: Iterable[Pair], stored: dict[bytes, Stored]) -> dict[bytes, Stored]:
    """The events that rows name by the keys they name; in place of one that was mended since, what mended it.

    Not of what rows of the same file mend: several may name one event, and which of them is stored first is chance.
    """
    pairs = [pair for pair in pairs if pair[1].closes]
    named = {key: stored[key] for _, entry in pairs for key in entry.closes if key in stored}
    return named | mends_of(cursor, named.values(), but={delivery.batch_id for delivery, _ in pairs})


def _named(entry: Entry, delivery: Delivery, stored: dict[bytes, Stored]) -> Stored | None:
    """The stored event that an entry is, of those that its row names: without an id or a time it has another key each time.

    One that counts, of the same place in the row; or one held, or let go of, that the row says it mends and says as it was.
    """
    assert entry.raw is not None
    named = ((key, stored[key]) for key in entry.closes if key in stored)
    # What has an id of its own is an event of its own, whatever mended what it names.
    mine = [one for key, one in named if str(one.source_id) == delivery.source_id and (one.key == key or entry.raw.message_id is None)]
    item = entry.raw.item
    counts = (one for one in mine if one.standing in (COUNTED, MERGED) and one.sent is not None and one.sent.item == item)
    if (found := next(counts, None)) is not None or is_accepted(entry):
        return found
    return next((one for one in mine if one.standing in (HELD, DISCARDED) and not says_otherwise(entry, one, delivery)), None)


def _answer_repeats(repeats: list[Pair], firsts: dict[bytes, Pair]) -> list[Pair]:
    left = []
    for delivery, entry in repeats:
        first = firsts[entry.key]
        stands = first[1].first
        if stands is not None:
            gives_way = supersedes(entry, stands, delivery)
        else:
            gives_way = first[1].status == "quarantined" and mends((delivery, entry), first)
        if gives_way:
            left.append((delivery, entry))
        else:
            entry.first = stands or as_stored(first[1])
            entry.differs = not same_content((delivery, entry), first) if stands is None else says_otherwise(entry, stands, delivery)
    return left


def _write_events(cursor: CursorWrapper, new: list[Pair], ties: Ties, learned: dict[Subject, int]) -> None:
    subjects: set[Subject] = set()
    for _, entry in new:
        assert entry.result is not None
        if entry.result.subject is not None:
            subjects.add(entry.result.subject)
            if entry.others and entry.result.verdict == "accepted":
                subjects.update(entry.others)
    ids = subject_ids(cursor, subjects)
    learned |= ids
    copy_events(cursor, new, ids)
    copy_originals(cursor, new)  # nobody else has these ids, so their index grows at its end
    ties.add(new, ids)


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
