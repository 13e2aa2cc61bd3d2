"""Accepted events read anew by the release of now: a reading that differs takes the former's place, which is kept.

An event that the release would hold stays as it is: what was accepted is never held by this. What staff once put right in
an event is put right again.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from ingestion.accepted.near import queue_near
from ingestion.models import Replay, Replayed
from ingestion.quarantine.replay import SAMPLE, note_outcomes, run
from ingestion.quarantine.stored import Finds, delivery_of, entry_of, finder, in_stretches, load, read_stored, stretches
from profiles.anew import Difference, both_readings, differing, hold_still, stage, take_staged
from profiles.entries import COUNTED, MERGED, Delivery, Entry
from profiles.models import Event
from profiles.record import again_where_others_write
from profiles.subjects import known
from profiles.untied import queue_untied
from taxonomy.current import Current, current, plan_of
from taxonomy.places import groups_in
from taxonomy.standardize import Violation

_EXAMPLES = 5
# What counts, and what would if it were not merged into another: together they stay equal.
STAND = (COUNTED, MERGED)


@dataclass(slots=True)
class Preview:
    """What reading anew would do to `tried` of `in_all` events. `tags`: (uuid before, uuid after); `what`: columns of a reading
    that differ; `causes`: codes and paths of what the release would hold, and leaves; `one_of`: attributes of which those lack one;
    `examples`: what differs of one event, its reading and the new one."""

    in_all: int
    tried: int = 0
    changed: int = 0
    held: int = 0
    tags: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    what: Counter[str] = field(default_factory=Counter)
    causes: Counter[tuple[str, str]] = field(default_factory=Counter)
    one_of: Counter[tuple[str, ...]] = field(default_factory=Counter)
    examples: list[tuple[Difference, Event, Event]] = field(default_factory=list)

    @property
    def same(self) -> int:
        return self.tried - self.changed - self.held


def preview_past(replay: Replay) -> Preview:
    """Try an unsaved replay of the past on its newest events, as it would be done, and undo that. Raises NoRelease."""
    found = Preview(_selected(replay).count())
    obeyed = current()
    newest = list(_selected(replay).order_by("-id").values_list("id", flat=True)[:SAMPLE])
    for some in stretches(newest):
        with transaction.atomic(), connection.cursor() as cursor:
            _try(cursor, some, obeyed, found)
            transaction.set_rollback(True)
    return found


def ask_past(replay: Replay) -> Replay:
    """Save a replay of what is accepted now. Its job is for the caller to start."""
    replay.act = Replay.Act.PAST
    replay.last_event_id = _selected(replay).order_by("-id").values_list("id", flat=True).first() or 0
    replay.in_all = _selected(replay).count()
    replay.save(force_insert=True)
    return replay


def run_past(replay_id: UUID) -> Replay:
    """Do what is left of it. Safe to call again after any interruption; of two at once the second waits."""
    return run(replay_id, left=_left, do=_do)


def _selected(replay: Replay) -> Any:
    """The events a replay of the past is about, those that count."""
    asked = {"source": replay.source_id, "tag": replay.tag_id, "received_at__gte": replay.since, "received_at__lt": replay.until}
    return Event.objects.filter(standing__in=STAND, **{name: value for name, value in asked.items() if value is not None})


def _left(replay: Replay) -> Iterator[list[int]]:
    """Those it has not changed or left yet. One that stayed the same is read again: it does no harm."""
    return in_stretches(replay, _selected(replay), "id")


def _try(cursor: CursorWrapper, event_ids: list[int], obeyed: Current, found: Preview) -> None:
    read, held = _read(event_ids, obeyed)
    found.tried += len(read) + len(held)
    found.held += len(held)
    for wrong in held.values():
        found.causes.update({(one.code, one.path) for one in wrong})
        found.one_of.update(groups_in(wrong))
    if not read:
        return
    stage(cursor, read)
    differences = differing(cursor)
    found.changed += len(differences)
    for one in differences:
        found.tags[one.before, one.after] += 1
        found.what.update(one.what)
    some = differences[: _EXAMPLES - len(found.examples)]
    both = both_readings([one.event_id for one in some]) if some else []
    found.examples += [(one, *readings) for one, readings in zip(some, both, strict=True)]


def _do(replay_id: UUID, event_ids: list[int]) -> None:
    """One stretch, in one commit."""
    replay = Replay.objects.get(pk=replay_id)
    assert replay.release_id is not None
    read, held = _read(event_ids, plan_of(replay.release_id))
    again_where_others_write(partial(_store, replay, read, list(held)))


def _store(replay: Replay, read: list[tuple[Delivery, Entry]], held: list[int]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        still = hold_still(cursor, [*(entry.event_id for _, entry in read if entry.event_id), *held], standings=STAND)
        read = [(delivery, entry) for delivery, entry in read if entry.event_id in still]
        ids = stage(cursor, read)
        changed = {one.event_id for one in differing(cursor)}
        queue_untied(cursor, sorted(changed))  # by the subjects that they had
        queue_near(cursor, sorted(changed), sorted(changed))
        take_staged(cursor, [(delivery, entry) for delivery, entry in read if entry.event_id in changed], ids, replay.pk)
        outcomes = dict.fromkeys((event_id for event_id in held if event_id in still), Replayed.Outcome.HELD)
        note_outcomes(cursor, replay, outcomes | dict.fromkeys(changed, Replayed.Outcome.FIXED))
    known.learn(ids)


def _read(event_ids: list[int], obeyed: Current) -> tuple[list[tuple[Delivery, Entry]], dict[int, list[Violation]]]:
    """What the release accepts of these events, and of the others why not; nothing where it finds no such event."""
    deliveries: dict[tuple[UUID, Any], Delivery] = {}
    read: list[tuple[Delivery, Entry]] = []
    left: dict[int, list[Violation]] = {}
    mends, nothing = _mends_of(event_ids), finder(())
    events = load(event_ids, standings=STAND)
    finds = {one.key: mends.get(one.event_id, nothing) for one in events}
    for stored, raw, result in read_stored(events, obeyed.plan, lambda key: finds[key](key)):
        if raw is not None and result is not None and result.verdict == "accepted":
            read.append((delivery_of(deliveries, stored, obeyed), entry_of(stored, raw, result, obeyed)))
        else:
            left[stored.event_id] = [one for one in result.violations if one.blocking] if result else []
    return read, left


def _mends_of(event_ids: list[int]) -> dict[int, Finds]:
    """How staff put these events right, by the last replay that let each in. Two queries."""
    fixed = Replayed.objects.filter(event_id__in=event_ids, outcome=Replayed.Outcome.FIXED, replay__act=Replay.Act.READ)
    fixed = fixed.exclude(replay__status=Replay.Status.UNDONE).exclude(replay__mends=[])
    by = dict(fixed.order_by("replay__created_at", "id").values_list("event_id", "replay_id"))
    finds = {replay.pk: finder(replay.mends) for replay in Replay.objects.filter(pk__in=set(by.values()))}
    return {event_id: finds[replay_id] for event_id, replay_id in by.items()}
