"""Taking wrong events back, and putting them back: a look first, then stretch by stretch, each a short commit.

A stretch and how far it came are one commit, so a killed job goes on where it stopped. What a correction did is undone
with it: the held event it had closed is held again, under its own key, until the correction is put back.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from ingestion.accepted.near import find_near_duplicates, queue_near
from ingestion.accepted.touched import STANDINGS, selection, touched
from ingestion.accepted.void import without
from ingestion.alone import alone_or_not
from ingestion.discovery.discover import see_less
from ingestion.models import ImportChunk, ImportRun, TakeBack, WriteKey
from ingestion.quarantine.causes import tell_times_anew
from ingestion.quarantine.reasons import open_reasons_again
from ingestion.watching.leaks import mark_to_look_again
from ingestion.watching.rollup import watch_less
from profiles.entries import CORRECTED, COUNTED, DISCARDED, HELD, TAKEN_BACK
from profiles.models import Batch
from profiles.stored import freed_key
from profiles.untied import queue_untied, tie_anew
from staff.models import User
from taxonomy.models import Source, Tag

# A commit of a few tenths of a second: nobody who sends meanwhile waits longer for one of its rows.
EVENTS_AT_ONCE = 5_000
_LOCK = 7_201_017
# A look that nobody decided on is forgotten after this.
_LOOKS_KEPT = timedelta(days=7)
State = TakeBack.State
# Of an event that is neither taken back nor corrected (any more), and does not count.
_STANDS = """
    CASE WHEN EXISTS (SELECT FROM ingestion_replay AS act WHERE act.id = event.read_by AND act.act = 'discard') THEN 5 ELSE 2 END
"""


class CannotTakeBack(Exception):
    """`code`: running (the import still runs), moved (it has gone on since it was looked at), state (not now), reason (none given)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def look_at_batch(batch: Batch, *, by: User, now: datetime) -> TakeBack:
    """Begin to look at what taking back a delivery touches, all blocks of a file. Raises CannotTakeBack."""
    run = ImportRun.objects.filter(pk=batch.pk).first()
    if run is not None and run.status in (ImportRun.Status.WAITING, ImportRun.Status.RUNNING):
        raise CannotTakeBack("running")
    return _looking(TakeBack(source_id=batch.source_id, batch_id=batch.pk, received_until=now, looked_by=by), now)


def look_at(
    *,
    source: Source,
    by: User,
    now: datetime,
    key: WriteKey | None = None,
    tag: Tag | None = None,
    received: tuple[datetime | None, datetime | None] = (None, None),
    occurred: tuple[datetime | None, datetime | None] = (None, None),
) -> TakeBack:
    """The same of a source's events by key, tag and windows of time. What arrives from now on is never among them."""
    until = min(received[1], now) if received[1] else now
    wanted = TakeBack(
        source=source, key=key, tag=tag, received_since=received[0], received_until=until, occurred_since=occurred[0],
        occurred_until=occurred[1], looked_by=by,
    )  # fmt: skip
    return _looking(wanted, now)


def _looking(wanted: TakeBack, now: datetime) -> TakeBack:
    TakeBack.objects.filter(decided_at=None, looked_at__lt=now - _LOOKS_KEPT).delete()
    wanted.looked_at = now
    wanted.save(force_insert=True)
    return wanted


def decide(take_back: TakeBack, *, reason: str, by: User, now: datetime) -> None:
    """Have it taken back; the job does it. Raises CannotTakeBack; where the import has gone on, the job looks at it again."""
    if not reason.strip():
        raise CannotTakeBack("reason")
    ready = TakeBack.objects.filter(pk=take_back.pk, state=State.READY)
    # An import goes on behind the same lock, and not where it is being taken back.
    with alone_or_not(take_back.batch_id) if take_back.batch_id else nullcontext(True) as stands_still:
        if not stands_still:
            raise CannotTakeBack("running")
        if take_back.touches.get("blocks", 0) != _blocks(take_back) and ready.update(state=State.LOOKING, looked_at=now):
            raise CannotTakeBack("moved")
        if not ready.update(state=State.TAKING, reason=reason.strip(), decided_by=by, decided_at=now, done_until=0):
            raise CannotTakeBack("state")


def _blocks(take_back: TakeBack) -> int:
    """How much of the import it is about is stored."""
    return ImportChunk.objects.filter(run_id=take_back.batch_id).count() if take_back.batch_id else 0


def put_back(take_back: TakeBack, *, reason: str, by: User, now: datetime) -> None:
    """Have it put back; the job does it. Raises CannotTakeBack."""
    if not reason.strip():
        raise CannotTakeBack("reason")
    changed = TakeBack.objects.filter(pk=take_back.pk, state=State.TAKEN).update(
        state=State.PUTTING, put_reason=reason.strip(), put_by=by, put_at=now, done_until=0
    )
    if not changed:
        raise CannotTakeBack("state")


def work_on(take_back_id: int) -> None:
    """Do what is left of what its state asks for. Safe to call again after any interruption; of two at once the second waits."""
    with _only_one(take_back_id):
        take_back = TakeBack.objects.get(pk=take_back_id)
        if take_back.state == State.LOOKING:
            blocks = _blocks(take_back)  # before the look: what is stored during it makes it void
            found = touched(take_back) | {"blocks": blocks}
            nothing = {} if found["counted"] or found["held"] else without(take_back)
            take_back.touches, take_back.state = found | nothing, State.READY
            take_back.save(update_fields=["touches", "state"])
        elif take_back.state == State.TAKING:
            while _take_stretch(take_back_id):
                pass
            _follow_up(take_back)
            TakeBack.objects.filter(pk=take_back_id).update(state=State.TAKEN, taken_at=timezone.now())
        elif take_back.state == State.PUTTING:
            while _put_stretch(take_back_id):
                pass
            _follow_up(take_back)
            TakeBack.objects.filter(pk=take_back_id).update(state=State.PUT)


def _follow_up(take_back: TakeBack) -> None:
    tie_anew()
    find_near_duplicates(timezone.now())
    tell_times_anew(take_back.source_id, timezone.now())
    mark_to_look_again(take_back)


def is_idle(take_back: TakeBack) -> bool:
    """Whether no process is at work on it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", _lock_of(take_back.pk))
        return bool(cursor.fetchone()[0])


def _take_stretch(take_back_id: int) -> bool:
    """Take back the events meant of the next stretch of ids, with how far that came. False when the last was reached."""
    with transaction.atomic(), connection.cursor() as cursor:
        take_back = TakeBack.objects.get(pk=take_back_id)
        first, last = take_back.touches["first_id"], take_back.touches["last_id"]
        after = max(take_back.done_until, first - 1)
        if after >= last:
            return False
        meant, values = selection(take_back)
        until = min(after + EVENTS_AT_ONCE, last)
        cursor.execute(
            f"""
            UPDATE profiles_event AS event SET standing = 3, take_back_id = %(act)s
            WHERE {meant} AND event.standing IN {STANDINGS} AND event.id > %(after)s AND event.id <= %(until)s RETURNING event.id
            """,
            {**values, "act": take_back_id, "after": after, "until": until},
        )
        if ids := [event_id for (event_id,) in cursor.fetchall()]:
            counts = _count(cursor, take_back, ids)
            cursor.execute("UPDATE ingestion_quarantinereason SET open = false, taken_back = true WHERE event_id = ANY(%s)", [ids])
            _settle_corrections(cursor, ids)
            queue_untied(cursor, ids)
            queue_near(cursor, ids, ids)
            take_back.counted, take_back.held = take_back.counted + counts[0], take_back.held + counts[1]
        take_back.done_until = until
        take_back.save(update_fields=["counted", "held", "done_until"])
    return True


def _put_stretch(take_back_id: int) -> bool:
    """Put the next events back that still stand as this act left them. False when none were left."""
    with transaction.atomic(), connection.cursor() as cursor:
        take_back = TakeBack.objects.get(pk=take_back_id)
        cursor.execute(
            """
            SELECT id FROM profiles_event WHERE take_back_id = %s AND standing = 3 AND id > %s ORDER BY id LIMIT %s FOR UPDATE
            """,
            [take_back_id, take_back.done_until, EVENTS_AT_ONCE],
        )
        ids = [event_id for (event_id,) in cursor.fetchall()]
        if not ids:
            return False
        # A held event has no attributes, an accepted one always some, if only {}.
        cursor.execute(
            f"""
            UPDATE profiles_event AS event SET take_back_id = NULL, standing = CASE WHEN attributes IS NULL THEN {_STANDS} ELSE 1 END
            WHERE id = ANY(%s)
            """,
            [ids],
        )
        cursor.execute("UPDATE ingestion_quarantinereason SET taken_back = false WHERE taken_back AND event_id = ANY(%s)", [ids])
        _settle_corrections(cursor, ids)  # before reasons open: those of a corrected event keep when they were fixed
        open_reasons_again(cursor, ids)
        queue_untied(cursor, ids)
        queue_near(cursor, ids, ids)
        counts = _count(cursor, take_back, ids, sign=-1)
        take_back.put_counted, take_back.put_held = take_back.put_counted + counts[0], take_back.put_held + counts[1]
        take_back.done_until = ids[-1]
        take_back.save(update_fields=["put_counted", "put_held", "done_until"])
    return True


def _count(cursor: CursorWrapper, take_back: TakeBack, ids: list[int], *, sign: int = 1) -> tuple[int, int]:
    """Write these events into the ledger by their first verdict. (counted, held) by the present one: a held event has no attributes.

    Readings are sorted by `id + 0`, which no index has: while PostgreSQL does not know how many are new, it went through all of them by id.
    """
    cursor.execute(
        """
        WITH event AS (
            SELECT event.source_id, (event.received_at AT TIME ZONE %(zone)s)::date AS day, event.attributes IS NOT NULL AS counts,
                coalesce(first.counted, event.attributes IS NOT NULL) AS counted_first,
                CASE WHEN first.counted IS NULL THEN event.tag_id ELSE first.tag_id END AS tag_id,
                CASE WHEN first.counted IS NULL THEN event.rule_id ELSE first.rule_id END AS rule
            FROM profiles_event AS event LEFT JOIN LATERAL (
                SELECT (array_agg(tag_id ORDER BY id + 0))[1] AS tag_id, (array_agg(rule_id ORDER BY id + 0))[1] AS rule_id,
                    (array_agg(attributes IS NOT NULL ORDER BY id + 0))[1] AS counted
                FROM profiles_formerreading AS former WHERE former.event_id = event.id
            ) AS first ON true WHERE event.id = ANY(%(ids)s)
        ), written AS (
            INSERT INTO ingestion_withdrawal (take_back_id, source_id, tag_id, rule, day, counted, held, at)
            SELECT %(act)s, source_id, tag_id, rule, day, %(sign)s * count(*) FILTER (WHERE counted_first),
                %(sign)s * count(*) FILTER (WHERE NOT counted_first), now()
            FROM event GROUP BY source_id, tag_id, rule, day
        )
        SELECT count(*) FILTER (WHERE counts), count(*) FILTER (WHERE NOT counts) FROM event
        """,
        {"zone": settings.TIME_ZONE, "ids": ids, "act": take_back.pk, "sign": sign},
    )
    counted, held = cursor.fetchone()
    see_less(cursor, ids, sign=sign)
    watch_less(cursor, take_back.pk, ids, sign=sign)
    return int(counted), int(held)


_CHAIN = f"""
    WITH RECURSIVE earlier (id) AS (
        SELECT id FROM profiles_event WHERE corrected_by_id = ANY(%(ids)s)
        UNION SELECT id FROM profiles_event WHERE id = ANY(%(ids)s) AND corrected_by_id IS NOT NULL
        UNION SELECT event.id FROM earlier JOIN profiles_event AS event ON event.corrected_by_id = earlier.id
    ), chain (id) AS (
        SELECT id FROM earlier
        UNION SELECT event.corrected_by_id FROM chain JOIN profiles_event AS event ON event.id = chain.id
        WHERE event.corrected_by_id IS NOT NULL
    )
    SELECT id, key, standing, corrected_by_id, {_STANDS} FROM profiles_event AS event WHERE id IN (SELECT id FROM chain)
    ORDER BY id FOR UPDATE
"""


def _settle_corrections(cursor: CursorWrapper, ids: list[int]) -> None:
    """An event held, or let go of, stands corrected while one of the events that corrected it, one after the other, is not taken back."""
    cursor.execute(_CHAIN, {"ids": ids})
    chain = {row[0]: _Link(*row) for row in cursor.fetchall()}
    if not chain:
        return
    for one in chain.values():
        if one.corrected_by is not None and one.standing in (HELD, DISCARDED, CORRECTED):
            one.becomes = CORRECTED if any(chain[later].standing != TAKEN_BACK for later in _later(one, chain)) else one.alone
    changed = [one for one in chain.values() if one.becomes != one.standing]
    cursor.execute(
        "UPDATE profiles_event AS event SET standing = wanted.standing FROM unnest(%s::bigint[], %s::int[]) AS wanted (id, standing)"
        " WHERE event.id = wanted.id",
        [[one.id for one in changed], [one.becomes for one in changed]],
    )
    for becomes, is_open in ((HELD, True), (CORRECTED, False)):
        cursor.execute(
            "UPDATE ingestion_quarantinereason SET open = %s, fixed_at = CASE WHEN NOT %s THEN coalesce(fixed_at, now()) END"
            " WHERE event_id = ANY(%s)",
            [is_open, is_open, [one.id for one in changed if one.becomes == becomes]],
        )
    _give_keys_back(cursor, chain)


class _Link:
    """An event of a chain of corrections. `alone`: how it stands where nothing corrects it."""

    def __init__(self, event_id: int, key: bytes, standing: int, corrected_by: int | None, alone: int) -> None:
        self.id, self.key, self.standing, self.corrected_by = event_id, bytes(key), standing, corrected_by
        self.becomes, self.alone = standing, alone


def _later(one: _Link, chain: dict[int, _Link]) -> Iterator[int]:
    while one.corrected_by is not None and one.corrected_by in chain:
        one = chain[one.corrected_by]
        yield one.id


def _give_keys_back(cursor: CursorWrapper, chain: dict[int, _Link]) -> None:
    """Where an event stands again whose key a correction had taken over, they exchange keys: the sender's id means what stands."""
    pairs = [pair for one in chain.values() for later in _later(one, chain) for pair in ((one, chain[later]), (chain[later], one))]
    changing = [
        (stands, aside)
        for stands, aside in pairs
        if stands.becomes in (COUNTED, HELD, DISCARDED)
        and aside.becomes in (TAKEN_BACK, CORRECTED)
        and stands.key == freed_key(aside.key, stands.id)
    ]
    # first those that give a key: no two rows may have one key
    for keys in (
        {aside.id: freed_key(aside.key, aside.id) for _stands, aside in changing},
        {stands.id: aside.key for stands, aside in changing},
    ):
        cursor.execute(
            "UPDATE profiles_event AS event SET key = given.key FROM unnest(%s::bigint[], %s::bytea[]) AS given (id, key) WHERE event.id = given.id",
            [list(keys), list(keys.values())],
        )


def _lock_of(take_back_id: int) -> list[int]:
    return [_LOCK, take_back_id % 2**31]


@contextmanager
def _only_one(take_back_id: int) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", _lock_of(take_back_id))
        try:
            yield
        finally:
            with suppress(DatabaseError, InterfaceError):  # a connection that is gone took its locks along
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", _lock_of(take_back_id))
