"""A plan tried on what really arrived: what it would hold, let in, or read otherwise. Nothing is stored."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from ingestion.doors.files import FileFormat
from ingestion.models import Withdrawal
from ingestion.reread import reread
from profiles.models import Event, Tally
from taxonomy.places import groups_in
from taxonomy.standardize import Plan, RawEvent, Refusal, Result, decode_json, standardize

Outcome = Literal["held", "let_in", "watched", "held_otherwise", "otherwise"]
# Codes and paths of what is wrong.
Reasons = set[tuple[str, str]]
OUTCOMES: tuple[Outcome, ...] = ("held", "let_in", "watched", "held_otherwise", "otherwise")
# Of each standing; what a person waits for while looking at the page.
SAMPLE = 20_000
_EXAMPLES = 3


class Example(NamedTuple):
    """One event by its public id. `reasons`: codes and paths for a held one, what differs for one read otherwise."""

    event: str
    is_held: bool
    reasons: list[tuple[str, str]]


@dataclass(slots=True)
class Difference:
    """Events of one source and tag with which the same would happen. `before` and `after` are codes of tags, "" for none.

    `one_of`: attributes of which they lack one.
    """

    outcome: Outcome
    source: str
    before: str
    after: str
    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    one_of: Counter[tuple[str, ...]] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)


@dataclass(slots=True)
class Trial:
    """`accepted` and `held`: how many of each were tried, of how many there are in the period; differences by weight.

    `tags`: the codes of those that either plan made of any of them.
    """

    accepted: int
    accepted_in_all: int
    held: int
    held_in_all: int
    differences: list[Difference]
    tags: set[str]

    def count(self, outcome: Outcome) -> int:
        return sum(one.count for one in self.differences if one.outcome == outcome)


def try_plan(
    before: Plan,
    after: Plan,
    *,
    since: datetime,
    today: date,
    until: datetime | None = None,
    sources: Collection[UUID] | None = None,
    sample: int = SAMPLE,
) -> Trial:
    """Read the newest events under both plans: accepted ones received in this time, and whatever is held.

    `sources`: only theirs; None: all. `today`: a day of the plan that is over by then is as good as today.
    """
    old, new = _Readings(before), _Readings(after)
    found: dict[tuple[Outcome, str, str, str], Difference] = {}
    tags: set[str] = set()
    tried = {Event.Standing.COUNTED: 0, Event.Standing.HELD: 0}
    for standing in tried:
        for event in _sample(standing, (since, until) if standing == Event.Standing.COUNTED else (None, None), sources, sample):
            tried[standing] += 1
            first, second = old.read(event), new.read(event)
            tags.update(one.tag_code for one in (first, second) if one is not None and one.tag_code)
            was, will = (_held_from(one, event, plan, today) for one, plan in ((first, before), (second, after)))
            watched = _sooner(was, will)
            newly = _holding(second) - {reason for reason, day in was.items() if day <= today}
            if (outcome := _outcome(first, second, watched, newly)) is not None:
                _note(found, outcome, event, first, second, watched, newly, is_held=standing == Event.Standing.HELD)
    held = Event.objects.filter(standing=Event.Standing.HELD)
    held = held.filter(source__in=sources) if sources is not None else held
    return Trial(
        tried[Event.Standing.COUNTED],
        max(_accepted(since, until, sources), tried[Event.Standing.COUNTED]),
        tried[Event.Standing.HELD],
        held.count(),
        sorted(found.values(), key=lambda one: (OUTCOMES.index(one.outcome), -one.count, one.source, one.before, one.after)),
        tags,
    )


def _accepted(since: datetime, until: datetime | None, sources: Collection[UUID] | None) -> int:
    """By first verdicts, without what of these days is taken back."""
    tallies, away = Tally.objects.filter(received_at__gte=since), Withdrawal.objects.filter(day__gte=_day(since))
    if until:
        tallies, away = tallies.filter(received_at__lt=until), away.filter(day__lte=_day(until - timedelta(microseconds=1)))
    if sources is not None:
        tallies, away = tallies.filter(source__in=sources), away.filter(source__in=sources)
    found: int = tallies.aggregate(sum=Sum("accepted", default=0))["sum"] - away.aggregate(sum=Sum("counted", default=0))["sum"]
    return found


def _day(at: datetime) -> date:
    return timezone.localdate(at, timezone.get_default_timezone())


class _Arrived(NamedTuple):
    key: bytes
    source: UUID
    received_at: datetime
    door: str
    format: dict[str, Any] | None
    record: bytes
    holder: int
    item: int | None


def _sample(
    standing: int, times: tuple[datetime | None, datetime | None], sources: Collection[UUID] | None, sample: int
) -> Iterator[_Arrived]:
    """The newest events of a standing with their original records. One query."""
    asked = [
        ("received_at >= %s", times[0]),
        ("received_at < %s", times[1]),
        ("source_id = ANY(%s)", None if sources is None else list(sources)),
    ]
    chosen = [(condition, value) for condition, value in asked if value is not None]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT e.key, e.source_id, e.received_at, coalesce(b.door, ''), b.format, coalesce(o.record, h.record), coalesce(o.holder_id, e.id), o.item
            FROM (
                SELECT * FROM profiles_event WHERE {" AND ".join(["standing = %s", *(condition for condition, _value in chosen)])} ORDER BY id DESC LIMIT %s
            ) AS e
            JOIN profiles_original o ON o.event_id = e.id LEFT JOIN profiles_original h ON h.event_id = o.holder_id LEFT JOIN profiles_batch b ON b.id = e.batch_id
            ORDER BY e.id DESC
            """,
            [standing, *(value for _condition, value in chosen), sample],
        )
        for key, source, received_at, door, file_format, record, holder, item in cursor:
            read_as = decode_json(file_format.encode()) if isinstance(file_format, str) else file_format
            yield _Arrived(bytes(key), source, received_at, door, read_as, bytes(record), holder, item)


class _Readings:
    """What a plan makes of events. Those of one record come one after the other: it is read once for them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._holder = 0
        self._events: list[RawEvent | Refusal] = []

    def read(self, event: _Arrived) -> Result | None:
        """None where the plan has no such source, or finds no such event in the record."""
        source = self._plan.sources_by_uuid.get(str(event.source))
        if source is None:
            return None
        if event.holder != self._holder:
            file_format = FileFormat(**event.format) if event.format else None
            self._events = reread(event.record, source, self._plan, door=event.door, received_at=event.received_at, file_format=file_format)
            self._holder = event.holder
        at = event.item or 0
        raw = self._events[at] if at < len(self._events) else None
        return None if raw is None or isinstance(raw, Refusal) else standardize(raw, self._plan)


def _outcome(first: Result | None, second: Result | None, watched: Reasons, newly: Reasons) -> Outcome | None:
    """`newly`: what would hold it and does not hold its like today. What is not read any more is held without a reason."""
    was, stays = (one is not None and one.verdict == "accepted" for one in (first, second))
    if was != stays:
        return "let_in" if stays else "held" if newly or not _holding(second) else None
    if not was:
        return "held_otherwise" if _holding(first) != _holding(second) else None
    if watched:
        return "watched"
    return "otherwise" if _differs(first, second) else None


def _holding(one: Result | None) -> Reasons:
    return {(found.code, found.path) for found in one.violations if found.blocking} if one else set()


def _held_from(one: Result | None, event: _Arrived, plan: Plan, today: date) -> dict[tuple[str, str], date]:
    """What would hold an accepted event once its day comes: {(code, path): that day}."""
    modes = plan.tags[one.tag].modes if one is not None and one.tag is not None else None
    if one is None or modes is None or one.verdict != "accepted":
        return {}
    found = ((wrong.code, wrong.path) for wrong in one.violations if wrong.mode == "watch")
    days = {reason: modes.held_from(reason[1], str(event.source)) for reason in found}
    return {reason: max(day, today) for reason, day in days.items() if day is not None}


def _sooner(first: dict[tuple[str, str], date], second: dict[tuple[str, str], date]) -> Reasons:
    """What would hold it from its day on and never did before, or only from a later day."""
    return {reason for reason, day in second.items() if reason not in first or day < first[reason]}


_COMPARED = ("tag", "attributes", "extra", "refinements", "subject", "occurred_at", "identifiers")


def _differs(first: Result | None, second: Result | None) -> list[str]:
    return [name for name in _COMPARED if getattr(first, name) != getattr(second, name)]


def _note(
    found: dict[tuple[Outcome, str, str, str], Difference], outcome: Outcome, event: _Arrived, first: Result | None, second: Result | None, watched: Reasons,
    newly: Reasons, *, is_held: bool,
) -> None:  # fmt: skip
    before, after = ((one.tag_code or "") if one else "" for one in (first, second))
    key = (outcome, str(event.source), before, after)
    one = found.setdefault(key, Difference(*key))
    one.count += 1
    if outcome == "otherwise":
        reasons = [(name, "") for name in _differs(first, second)]
    else:
        told = {"watched": watched, "held": newly, "let_in": _holding(first)}
        reasons = sorted(told.get(outcome, _holding(second)))
        read = first if outcome == "let_in" else second
        one.one_of.update(groups_in(wrong for wrong in (read.violations if read else ()) if (wrong.code, wrong.path) in reasons))
    one.reasons.update({f"{code} {path}".strip() for code, path in reasons})
    if len(one.examples) < _EXAMPLES:
        one.examples.append(Example(event.key.hex(), is_held, reasons))
