"""Causes and their sums: kept up to date without a pass over what is held, and seen to by whoever answers for them.

Statements that change reasons leave moves behind, rows of their own in the same commit, so that no writer waits for
another at a sum. Here they are added up, by one at a time, and deleted in the transaction that holds the sums.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_noop

from ingestion.models import Assignment, Cause, CauseDay, QuarantineReason, Replay, Replayed
from staff.models import Department, User
from staff.notices import tell
from taxonomy.current import NoRelease, current
from taxonomy.request_rights import of_sources_in
from taxonomy.standardize import Plan

# One adds up at a time; whoever comes meanwhile shows what was added up last.
_LOCK = 7_201_031
TREND_DAYS = 14
# Of a million left held, what a page may ask about: a tenth of a second.
WHY_OF = 10_000
_CAUSES = 10

# All of its events were taken back, or are held for another reason now: its times are none's, until one comes.
_NONE_LEFT = """
    cause.held <= 0 AND excluded.held > 0
    AND coalesce((SELECT sum(day.arrived) FROM ingestion_causeday AS day WHERE day.cause_id = cause.id), 0) <= 0
"""
_ADD_UP = f"""
    WITH taken AS (DELETE FROM ingestion_causemove RETURNING *),
    moved AS (
        SELECT source_id, code, path, name, sum(held) AS held, sum(events) AS events, min(first_at) AS first_at, max(last_at) AS last_at
        FROM taken GROUP BY source_id, code, path, name
    ), cause AS (
        INSERT INTO ingestion_cause AS cause (source_id, code, path, name, held, events, first_at, last_at, opened_at, emptied_at)
        SELECT source_id, code, path, name, held, events, first_at, last_at, %(now)s, CASE WHEN held <= 0 THEN %(now)s END FROM moved
        ON CONFLICT (source_id, code, path, name) DO UPDATE SET
            held = cause.held + excluded.held, events = cause.events + excluded.events,
            first_at = CASE WHEN {_NONE_LEFT} THEN excluded.first_at ELSE least(cause.first_at, excluded.first_at) END,
            last_at = CASE WHEN {_NONE_LEFT} THEN excluded.last_at ELSE greatest(cause.last_at, excluded.last_at) END,
            opened_at = CASE WHEN cause.held <= 0 AND cause.held + excluded.held > 0 THEN %(now)s ELSE cause.opened_at END,
            emptied_at = CASE WHEN cause.held + excluded.held <= 0 THEN coalesce(cause.emptied_at, %(now)s) END
        RETURNING id, source_id, code, path, name
    )
    INSERT INTO ingestion_causeday AS day (cause_id, day, arrived, fixed, fixed_after_seconds)
    SELECT cause.id, (taken.at AT TIME ZONE %(zone)s)::date, sum(arrived), sum(fixed), sum(fixed_after_seconds)
    FROM taken JOIN cause USING (source_id, code, path, name)
    GROUP BY 1, 2 HAVING sum(arrived) <> 0 OR sum(fixed) <> 0
    ON CONFLICT (cause_id, day) DO UPDATE SET arrived = day.arrived + excluded.arrived, fixed = day.fixed + excluded.fixed,
        fixed_after_seconds = day.fixed_after_seconds + excluded.fixed_after_seconds
"""
# Where a cause's first or last event is taken back, another is: what moved was added up before. Nothing is left of some.
_TIMES = """
    UPDATE ingestion_cause AS cause SET
        first_at = CASE WHEN gone.first_at <= cause.first_at THEN gone.first_left ELSE cause.first_at END,
        last_at = CASE WHEN gone.last_at >= cause.last_at THEN gone.last_left ELSE cause.last_at END
    FROM (
        SELECT code, path, name,
            min(received_at) FILTER (WHERE taken_back) AS first_at, min(received_at) FILTER (WHERE NOT taken_back) AS first_left,
            max(received_at) FILTER (WHERE taken_back) AS last_at, max(received_at) FILTER (WHERE NOT taken_back) AS last_left
        FROM ingestion_quarantinereason WHERE source_id = %(source)s GROUP BY code, path, name HAVING bool_or(taken_back)
    ) AS gone
    WHERE cause.source_id = %(source)s AND (cause.code, cause.path, cause.name) = (gone.code, gone.path, gone.name)
        AND gone.last_left IS NOT NULL AND (gone.first_at <= cause.first_at OR gone.last_at >= cause.last_at)
"""
_WHY_HELD = """
    WITH newest AS MATERIALIZED (
        SELECT event_id FROM ingestion_replayed WHERE replay_id = %s AND outcome = %s AND event_id <= %s ORDER BY event_id DESC LIMIT %s
    )
    SELECT cause.id, count(*) FROM newest JOIN ingestion_quarantinereason AS reason ON reason.open AND reason.event_id = newest.event_id
    JOIN ingestion_cause AS cause USING (source_id, code, path, name) GROUP BY cause.id ORDER BY count(*) DESC, cause.id LIMIT %s
"""


@transaction.atomic
def add_up(now: datetime) -> None:
    """Bring the sums up to what is committed, and give new causes to the departments that answer for them."""
    with connection.cursor() as cursor:
        # by the index: after a large import the table itself is full of rows that are gone
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s) FROM (SELECT id FROM ingestion_causemove ORDER BY id LIMIT 1) AS one", [_LOCK])
        if not (cursor.fetchone() or [False])[0]:
            return
        cursor.execute(_ADD_UP, {"now": now, "zone": settings.TIME_ZONE})
    give_to_owners(Cause.objects.filter(department=None, assigned_at=None))


@transaction.atomic
def tell_times_anew(source: UUID, now: datetime) -> None:
    """After events of a source were taken back: when the first and the last with each cause came, of those left. One pass over its reasons."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute(_ADD_UP, {"now": now, "zone": settings.TIME_ZONE})
        cursor.execute(_TIMES, {"source": source})


def cause_of(reason: QuarantineReason) -> Cause:
    """The cause that a reason counts in."""
    add_up(timezone.now())
    return Cause.objects.get(source=reason.source_id, code=reason.code, path=reason.path, name=reason.name)


def why_held(replay: Replay) -> list[tuple[Cause, int]]:
    """What holds those now that a replay left held, of the newest WHY_OF events: (cause, events), most first. Two queries."""
    add_up(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(_WHY_HELD, [replay.pk, Replayed.Outcome.HELD, replay.last_event_id, WHY_OF, _CAUSES])
        counts: dict[int, int] = dict(cursor.fetchall())
    causes = Cause.objects.in_bulk(counts)
    return [(causes[cause_id], events) for cause_id, events in counts.items()]


def give_to_owners(causes: QuerySet[Cause]) -> None:
    """Give causes that nobody assigned to the departments that own their tag, else their source, by the release of now."""
    try:
        plan = current().plan
    except NoRelease:
        return
    there = set(Department.objects.values_list("pk", flat=True))
    moved = []
    for cause in causes:
        owner = owner_of(plan, cause.source_id, cause.path, cause.name)
        if owner in there and owner != cause.department_id:
            cause.department_id = owner
            moved.append(cause)
    Cause.objects.bulk_update(moved, ["department"], batch_size=1_000)


def owner_of(plan: Plan, source_id: UUID, path: str, name: str) -> str | None:
    """The department that answers: of what is wrong with attributes the tag's owner, of all else the source's."""
    source = plan.sources_by_uuid.get(str(source_id))
    if source is None:
        return None
    if path.startswith("attributes"):
        owners = {meaning.reading.tag.definition.get("owner") for meaning in source.meanings(name)}
        if len(owners) == 1 and (owner := owners.pop()):
            return str(owner)
    return source.definition.get("owner")


def assign(cause: Cause, *, department: Department, person: User | None, note: str, by: User) -> None:
    """Give a cause to a department, and there to one person if named; recorded, and they are told."""
    with transaction.atomic():
        Assignment.objects.create(cause=cause, department=department, person=person, note=note, by=by)
        Cause.objects.filter(pk=cause.pk).update(department=department, person=person, assigned_at=timezone.now())
        people = [person] if person else User.objects.filter(department=department)
        said = gettext_noop("%(who)s asks you to see to a cause in quarantine: %(code)s, %(count)s events.")
        tell((one for one in people if one != by), said, link=cause.get_absolute_url(), who=str(by), code=cause.code, count=str(cause.held))


def who_see_to_causes() -> QuerySet[User]:
    """Who may be given a cause: colleagues with a department who may read held events again."""
    return ModelBackend().with_perm("ingestion.add_replay").filter(department__isnull=False).order_by("name", "email")


def open_causes_of(person: Any) -> QuerySet[Cause]:
    """What still holds events and waits for this person: theirs by name, or their department's and nobody else's by name."""
    mine = Q(person=person.pk)
    if person.department_id:
        mine |= Q(department=person.department_id, person=None)
    return Cause.objects.filter(mine, held__gt=0)


def waiting(request: HttpRequest) -> str:
    """How many of them there are, for the sidebar's badge; empty for none. One query of an index, whatever is held."""
    if not hasattr(request, "waiting_causes"):
        request.waiting_causes = of_sources_in(open_causes_of(request.user), request).count()  # type: ignore[attr-defined]
    return str(request.waiting_causes or "")  # type: ignore[attr-defined]


def trends(cause_ids: Iterable[int], today: date) -> dict[int, list[int]]:
    """{cause: events that arrived with it on each of TREND_DAYS, the oldest first}. One query."""
    first = today - timedelta(days=TREND_DAYS - 1)
    counts = {cause_id: [0] * TREND_DAYS for cause_id in cause_ids}
    rows = CauseDay.objects.filter(cause__in=counts, day__gte=first, day__lte=today).values_list("cause_id", "day", "arrived")
    for cause_id, day, arrived in rows:
        counts[cause_id][(day - first).days] = arrived
    return counts
