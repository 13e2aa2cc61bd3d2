"""Held events read again, by the release of now, with what staff put right: tried first, then done, on all cores.

Every four thousand events are one commit, which also says what became of each: killed anywhere and begun again, a replay
ends as if never interrupted, and doing everything twice changes nothing.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import batched
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Count, F, Max, Sum
from django.utils import timezone

from ingestion.accepted.near import find_near_duplicates, queue_near
from ingestion.alone import alone
from ingestion.models import Cause, Meant, QuarantineReason, Replay, Replayed, ReplayOffer
from ingestion.outgoing.announce import queue_accepted
from ingestion.pool import in_processes
from ingestion.quarantine.causes import add_up
from ingestion.quarantine.reasons import close_reasons, replace_reasons
from ingestion.quarantine.stored import (
    Stored,
    delivery_of,
    done_by,
    entry_of,
    finder,
    in_stretches,
    load,
    not_done,
    read_stored,
    stretches,
    text_seen,
)
from ingestion.ranked import most_first
from ingestion.watching.rollup import roll_up
from profiles.anew import discard, hold_still, read_anew
from profiles.entries import Delivery, Entry
from profiles.link import settle
from profiles.record import again_where_others_write
from profiles.subjects import known
from profiles.untied import tie_anew
from taxonomy.current import Current, current, plan_of, refresh
from taxonomy.places import groups_in
from taxonomy.standardize import Plan, RawEvent, Result, decode_json, general

# Below this they are read in this process: starting others takes longer.
SMALL = 5_000
# What a person waits for while looking at the page.
SAMPLE = 20_000
_EXAMPLES = 5
_MEANT_AT_ONCE = 10_000
# The rollup comes every ten seconds; events it has not counted yet are waited for.
_PATIENCE_SECONDS = 15


@dataclass(slots=True)
class Preview:
    """What reading again would do. `tried` of `in_all` held events; `reasons` are [(code, path, count)] of those that stay.

    `values` count the events of those in which a (code, path, value seen) holds them, `one_of` those that lack one of some
    attributes. `examples` are (what was seen at the replay's place, what is read there), of those let in.
    """

    in_all: int
    tried: int = 0
    fixed: int = 0
    lost: int = 0
    tags: Counter[str] = field(default_factory=Counter)
    causes: Counter[tuple[str, str]] = field(default_factory=Counter)
    values: Counter[tuple[str, str, str | None]] = field(default_factory=Counter)
    one_of: Counter[tuple[str, ...]] = field(default_factory=Counter)
    examples: list[tuple[str | None, Any]] = field(default_factory=list)

    @property
    def held(self) -> int:
        return self.tried - self.fixed - self.lost

    @property
    def reasons(self) -> list[tuple[str, str, int]]:
        return [(code, path, count) for (code, path), count in most_first(self.causes)]


def preview(replay: Replay, *, plan: Plan | None = None, sample: int = SAMPLE) -> Preview:
    """Try an unsaved replay on the newest events of each of its causes. Stores nothing. Raises NoRelease.

    `plan`: another than the release's. `sample`: at most so many events in all.
    """
    found = Preview(how_many(replay))
    newest = newest_of_each_cause(replay, sample)
    plan, finds = plan or current().plan, finder(replay.mends)
    for some in stretches(newest):
        for held, _, result in read_stored(load(some), plan, finds):
            found.tried += 1
            if result is None:
                found.lost += 1
            elif result.verdict == "accepted":
                found.fixed += 1
                found.tags[result.tag_code or ""] += 1
                example = _example(replay, held, result) if len(found.examples) < _EXAMPLES else None
                if example is not None and example not in found.examples:
                    found.examples.append(example)
            else:
                holding = [(one, general(one.path)) for one in result.violations if one.blocking]
                found.causes.update({(one.code, path) for one, path in holding})
                found.values.update({(one.code, path, None if one.seen is None else text_seen(one.seen)) for one, path in holding})
                found.one_of.update(groups_in(one for one, _path in holding))
    return found


def _example(replay: Replay, held: Stored, result: Result) -> tuple[str | None, Any] | None:
    """What was seen at the replay's place, and what is read there now; None where nothing is."""
    said = decode_json(held.report.encode())["violations"] if held.report else []
    seen = [one.get("seen") for one in said if one["code"] == replay.code and general(one.get("path", "")) == replay.path]
    of_envelope = {"event": result.tag_code, "phone": result.phone, "occurred_at": result.occurred_at}
    read = of_envelope.get(replay.path, result.attributes.get(replay.path.removeprefix("attributes.")))
    return (None if seen[0] is None else text_seen(seen[0]), read) if seen and read is not None else None


class Extent(NamedTuple):
    """What a replay is about, up to its newest event. The sum of the ids tells one set from another."""

    newest: int
    events: int
    ids: int


def extent_of(replay: Replay) -> Extent:
    """Just now. One query, through all of them."""
    found = _selected(replay).aggregate(
        newest=Max("event_id"), events=Count("event_id", distinct=True), ids=Sum("event_id", distinct=True, default=0)
    )
    return Extent(found["newest"] or 0, found["events"], int(found["ids"]))


def ids_up_to(replay: Replay, last_event_id: int) -> list[int]:
    """The events that an unsaved replay is about just now, up to one, in order."""
    return list(_selected(replay).filter(event_id__lte=last_event_id).order_by("event_id").values_list("event_id", flat=True).distinct())


def how_many(replay: Replay) -> int:
    """The events it is about, from the kept sums; counted only up to a last one, or where one event can have the code at two places."""
    if replay.event_id:
        return int(_selected(replay).exists())
    add_up(timezone.now())
    causes = Cause.objects.filter(held__gt=0)
    causes = causes.filter(source=replay.source_id) if replay.source_id else causes
    if replay.name is not None:
        causes = causes.filter(code=replay.code, path=replay.path, name=replay.name)
    elif not replay.code:
        return int(causes.aggregate(events=Sum("events"))["events"] or 0)
    causes = causes.filter(code=replay.code)
    if causes.values("source", "name").annotate(places=Count("path")).filter(places__gt=1).exists():
        return int(_selected(replay).aggregate(events=Count("event_id", distinct=True))["events"])
    return int(causes.aggregate(events=Sum("held"))["events"] or 0)


def ask(replay: Replay, events: Sequence[int] | None = None) -> Replay:
    """Save a replay of what is held now, or of just these events. Its job is for the caller to start."""
    if events is None:
        replay.in_all = how_many(replay)
        replay.last_event_id = _selected(replay).order_by("-event_id").values_list("event_id", flat=True).first() or 0
    else:
        replay.in_all, replay.last_event_id = len(events), max(events, default=0)
    with transaction.atomic():
        replay.save(force_insert=True)
        Meant.objects.bulk_create(Meant(replay=replay, events=[*part]) for part in batched(events or (), _MEANT_AT_ONCE))
    return replay


def run_replay(replay_id: UUID) -> Replay:
    """Do what is left of a replay. Safe to call again after any interruption; of two at once the second waits."""
    return run(replay_id, left=_left, do=_do)


def run(replay_id: UUID, *, left: Callable[[Replay], Iterator[list[int]]], do: Callable[[UUID, list[int]], None]) -> Replay:
    """Do stretches of events, `left` to do, on all cores. `do` is one commit, and may be done again."""
    with alone(replay_id):
        replay = Replay.objects.get(pk=replay_id)
        if replay.status in (Replay.Status.FINISHED, Replay.Status.UNDOING, Replay.Status.UNDONE):
            return replay
        if replay.stop_asked:
            return _end(replay, Replay.Status.STOPPED)
        _begin(replay)
        if replay.in_all >= SMALL:
            _count_anew()
        try:
            _wait_until_counted(replay.last_event_id)
            for _, ids in in_processes(do, ((replay.pk, ids) for ids in left(replay)), small=replay.in_all < SMALL):
                Replay.objects.filter(pk=replay.pk).update(seen=F("seen") + len(ids))
                if Replay.objects.filter(pk=replay.pk, stop_asked=True).exists():
                    return _end(replay, Replay.Status.STOPPED)
        except Exception:
            _end(replay, Replay.Status.FAILED)
            raise
        tie_anew()
        find_near_duplicates(timezone.now())
        settle()  # what a killed process left
        return _end(replay, Replay.Status.FINISHED)


def stop(replay: Replay) -> None:
    """Ask it to stop after what it is at, before anything where it waits still. It can go on later."""
    Replay.objects.filter(pk=replay.pk, status__in=(Replay.Status.WAITING, Replay.Status.RUNNING)).update(stop_asked=True)


def go_on(replay: Replay) -> None:
    """Let one go on that stopped, failed or was given up: no stop asked for before counts. Its job is for the caller to start."""
    gone = (Replay.Status.STOPPED, Replay.Status.FAILED, Replay.Status.RUNNING)
    Replay.objects.filter(pk=replay.pk, status__in=gone).update(status=Replay.Status.WAITING, stop_asked=False)


def _begin(replay: Replay) -> None:
    refresh()  # a release published a moment ago counts
    replay.release_id = replay.release_id or current().release_id
    replay.status, replay.finished_at, replay.seen = Replay.Status.RUNNING, None, 0
    replay.save(update_fields=["release", "status", "finished_at", "seen"])  # a stop asked for meanwhile stays


def _count_anew() -> None:
    """What came in the last minute PostgreSQL has not counted yet: not knowing of it, it goes through every reason for each stretch."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE ingestion_quarantinereason, profiles_event")


def _end(replay: Replay, status: str) -> Replay:
    replay.refresh_from_db()
    replay.status, replay.finished_at = status, timezone.now()
    if status == Replay.Status.FINISHED:
        _withdraw_offer(replay)
    replay.untouched = max(0, replay.in_all - replay.fixed - replay.held - replay.discarded)
    replay.save(update_fields=["status", "finished_at", "untouched"])
    return replay


def _withdraw_offer(replay: Replay) -> None:
    """Where it read all again that the source has held, by the release that was offered, or a newer one."""
    of_everything = replay.act == Replay.Act.READ and replay.source_id and not replay.code and replay.name is None
    if of_everything and not _selected(replay).filter(event_id__gt=replay.last_event_id).exists():
        ReplayOffer.objects.filter(source=replay.source_id, release__lte=replay.release_id).delete()


def _wait_until_counted(last_event_id: int) -> None:
    """First verdicts are counted from events as they arrived: before that none is read anew."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        roll_up(timezone.now())
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM profiles_arrival WHERE first_id <= %s)", [last_event_id])
            if not cursor.fetchone()[0]:
                return
        time.sleep(0.2)


def _selected(replay: Replay) -> Any:
    """The open reasons of the events a replay is about."""
    reasons = QuarantineReason.objects.filter(open=True)
    if replay.act == Replay.Act.DISCARD:  # ids are taken ahead, so that what comes later may have a smaller one
        reasons = reasons.filter(received_at__lte=replay.created_at)
    return about(replay, reasons.filter(event_id=replay.event_id) if replay.event_id else reasons)


def about(replay: Replay, rows: Any) -> Any:
    """Of reasons or causes, those a replay is about."""
    if replay.source_id:
        rows = rows.filter(source_id=replay.source_id)
    for column in ("code", "path"):
        if value := getattr(replay, column):
            rows = rows.filter(**{column: value})
    if replay.name is not None:
        rows = rows.filter(name=replay.name)
    return rows


def newest_of_each_cause(replay: Replay, most: int) -> list[int]:
    """Ids of at most so many events, newest first, some of every cause: one of many newer events hides no other.

    Of more causes than that, the ones that hold most. Two queries.
    """
    causes = list(about(replay, Cause.objects.filter(held__gt=0)).order_by("-held", "-id").values_list("id", "held")[:most])
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT newest.event_id FROM ingestion_cause AS cause CROSS JOIN LATERAL (
                SELECT event_id FROM ingestion_quarantinereason AS reason
                WHERE open AND (reason.source_id, reason.code, reason.path, reason.name) = (cause.source_id, cause.code, cause.path, cause.name)
                ORDER BY event_id DESC LIMIT %s
            ) AS newest WHERE cause.id = ANY(%s) ORDER BY newest.event_id DESC LIMIT %s
            """,
            [_of_each([held for _, held in causes], most), [cause_id for cause_id, _ in causes], most],
        )
        return [event_id for (event_id,) in cursor.fetchall()]


def _of_each(held: list[int], most: int) -> int:
    """How many to take of each, so that they are together at most so many: what small ones leave, the others get."""
    left = most
    for taken, count in enumerate(sorted(held)):
        share = left // (len(held) - taken)
        if count > share:
            return share
        left -= count
    return most


def _left(replay: Replay) -> Iterator[list[int]]:
    meant = Meant.objects.filter(replay=replay).order_by("pk").values_list("events", flat=True)
    if not meant.exists():
        yield from in_stretches(replay, _selected(replay), "event_id")
    for events in meant.iterator(chunk_size=1):
        yield from stretches(not_done(replay, events))


def _do(replay_id: UUID, event_ids: list[int]) -> None:
    """One stretch of a replay, in one commit."""
    replay = Replay.objects.get(pk=replay_id)
    if replay.act == Replay.Act.DISCARD:
        again_where_others_write(partial(_discard, replay, event_ids))
        return
    assert replay.release_id is not None
    obeyed, finds = plan_of(replay.release_id), finder(replay.mends)
    read = list(read_stored(load(event_ids), obeyed.plan, finds))
    again_where_others_write(partial(_store, replay, obeyed, read))


def _discard(replay: Replay, event_ids: list[int]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        ids = hold_still(cursor, event_ids)
        discard(cursor, ids, replay.pk)
        close_reasons(cursor, ids, fixed=False)
        note_outcomes(cursor, replay, dict.fromkeys(ids, Replayed.Outcome.DISCARDED))


def _store(replay: Replay, obeyed: Current, read: list[tuple[Stored, RawEvent | None, Result | None]]) -> None:
    deliveries: dict[tuple[UUID, datetime], Delivery] = {}
    with transaction.atomic(), connection.cursor() as cursor:
        still = hold_still(cursor, [held.event_id for held, _, _ in read])
        outcomes: dict[int, int] = {}
        anew: list[tuple[Delivery, Entry]] = []
        for held, raw, result in read:
            if held.event_id not in still:
                continue
            if raw is None or result is None:  # tried, and not to be read
                outcomes[held.event_id] = Replayed.Outcome.HELD
                continue
            outcomes[held.event_id] = Replayed.Outcome.FIXED if result.verdict == "accepted" else Replayed.Outcome.HELD
            if result.verdict == "accepted" or _says_else(result, held.report):
                anew.append((delivery_of(deliveries, held, obeyed), entry_of(held, raw, result, obeyed)))
        ids = read_anew(cursor, anew, replay.pk) if anew else {}
        close_reasons(cursor, [event_id for event_id, outcome in outcomes.items() if outcome == Replayed.Outcome.FIXED], fixed=True)
        otherwise = [(delivery, entry) for delivery, entry in anew if entry.status == "quarantined"]
        replace_reasons(cursor, [entry.event_id for _, entry in otherwise if entry.event_id], with_entries(otherwise))
        let_in = [event_id for event_id in note_outcomes(cursor, replay, outcomes) if outcomes[event_id] == Replayed.Outcome.FIXED]
        queue_accepted(cursor, let_in, let_in)
        queue_near(cursor, let_in, let_in)
    known.learn(ids)


def _says_else(result: Result, report: str | None) -> bool:
    """Whether an event that stays held is held otherwise."""
    before = decode_json(report.encode())["violations"] if report else []
    return [(one.code, one.path, text_seen(one.seen)) for one in result.violations] != [
        (one["code"], one.get("path", ""), text_seen(one.get("seen"))) for one in before
    ]


def with_entries(pairs: list[tuple[Delivery, Entry]]) -> list[Delivery]:
    """The deliveries with these entries of theirs."""
    for delivery, entry in pairs:
        delivery.entries.append(entry)
    return list({id(delivery): delivery for delivery, _ in pairs}.values())


_COLUMN = {Replayed.Outcome.FIXED: "fixed", Replayed.Outcome.HELD: "held", Replayed.Outcome.DISCARDED: "discarded"}


def note_outcomes(cursor: CursorWrapper, replay: Replay, outcomes: Mapping[int, int]) -> list[int]:
    """Say what became of each event, locked by `hold_still`, once: one that this replay told of before is not counted again.

    The ids told of now. By COPY: an INSERT that looks for conflicts takes half as long again.
    """
    before = done_by(cursor, replay.pk, outcomes)
    told = {event_id: int(outcome) for event_id, outcome in sorted(outcomes.items()) if event_id not in before}
    if not told:
        return []
    with cursor.copy("COPY ingestion_replayed (replay_id, event_id, outcome) FROM STDIN") as copy:
        copy.write("".join([f"{replay.pk}\t{event_id}\t{outcome}\n" for event_id, outcome in told.items()]))
    by_outcome = Counter(told.values())
    cursor.execute(
        "UPDATE ingestion_replay SET fixed = fixed + %s, held = held + %s, discarded = discarded + %s WHERE id = %s",
        [*(by_outcome[outcome] for outcome in _COLUMN), replay.pk],
    )
    return list(told)
