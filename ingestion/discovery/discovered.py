"""What stands on the page of discovered names: each with its numbers up to now, and what became of it."""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Max, Q, QuerySet, Sum

from ingestion.discovery.discover import Key
from ingestion.models import Discovered, Ignored, Sighting
from taxonomy.current import plan_of
from taxonomy.models import MappingRow, MappingRule, Source, Tag, TagAttribute
from taxonomy.publish import items_of, newest
from taxonomy.released import by_code
from taxonomy.standardize import storable
from taxonomy.standardize.paths import first_names

State = Literal["open", "drafted", "released", "ignored", "taken_back"]
STATES: tuple[State, ...] = ("open", "drafted", "released", "ignored", "taken_back")


@dataclass(slots=True)
class Line:
    """A discovered name. `share`: of the source's events, or of its tag's events from that source, since it was first seen."""

    row: Discovered
    state: State
    ignored: Ignored | None
    share: float | None = None


def lines(
    today: date, *, source: str = "", kind: str = "", state: str = "open", among: QuerySet[Discovered] | None = None
) -> tuple[list[Line], dict[State, int]]:
    """(those in a state, most events first; how many are in each state). A fixed number of queries. `among`: of these rows only."""
    judged = _judged(_with_pending(Discovered.objects.to_decide_on() if among is None else among, source, kind), today)
    counts: dict[State, int] = dict.fromkeys(STATES, 0)
    for line in judged:
        counts[line.state] += 1
    chosen = [line for line in judged if line.state == state]
    return sorted(chosen, key=lambda line: _weight(line.row)), counts


def _weight(row: Discovered) -> tuple[Any, ...]:
    return -row.count, row.name, row.kind, str(row.source_id), str(row.tag_id)


def up_to_now(row: Discovered) -> Discovered:
    """The row with what was seen since it was written. It is not to be saved."""
    for one in Sighting.objects.filter(kind=row.kind, source=row.source_id, tag=row.tag_id, name=row.name).order_by("id"):
        row.add(one)
    row.count = max(row.count, 0)  # taken back before it was counted
    return row


def line_of(row: Discovered, today: date) -> Line:
    """One row's line; the row as `up_to_now` gives it."""
    [line] = _judged([row], today)
    add_shares([line])
    return line


def add_shares(some: Iterable[Line]) -> None:
    """What share of the events carried it, for the lines of a page. One query."""
    wanted = list(some)
    if not wanted:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT at, (
                SELECT sum(day.count) FROM (
                    SELECT source_id, tag_id, day, count FROM ingestion_readingday
                    UNION ALL SELECT source_id, tag_id, day, -(counted + held) FROM ingestion_withdrawal
                ) AS day WHERE day.source_id = given.source_id
                    AND (given.tag_id IS NULL OR day.tag_id = given.tag_id) AND day.day >= (given.first_at AT TIME ZONE %s)::date
            ) FROM unnest(%s::int[], %s::uuid[], %s::uuid[], %s::timestamptz[]) AS given (at, source_id, tag_id, first_at)
            """,
            [
                settings.TIME_ZONE, list(range(len(wanted))), [one.row.source_id for one in wanted], [one.row.tag_id for one in wanted],
                [one.row.first_at for one in wanted],
            ],
        )  # fmt: skip
        for at, events in cursor.fetchall():
            if events and events > 0:
                wanted[at].share = min(1.0, wanted[at].row.count / float(events))


def _with_pending(rows: QuerySet[Discovered], source: str, kind: str) -> list[Discovered]:
    """The rows with what was seen since they were written."""
    if source:
        one = by_code("source", storable(source))
        rows = rows.filter(source=one.pk) if one else rows.none()
    if kind:
        rows = rows.filter(kind=kind)
    pending: dict[Key, dict[str, Any]] = {
        (one["kind"], one["source_id"], one["tag_id"], one["name"]): dict(one)
        for one in Sighting.objects.order_by()
        .values("kind", "source_id", "tag_id", "name")
        .annotate(events=Sum("count"), last=Max("last_at", filter=Q(again=False)))
    }
    found = list(rows)
    for row in found:
        more = pending.get((row.kind, row.source_id, row.tag_id, row.name))
        if more is not None:
            row.count = max(row.count + more["events"], 0)
            row.last_at = max(row.last_at, more["last"] or row.last_at)
    return found


def _judged(rows: list[Discovered], today: date) -> list[Line]:
    ignored = {one.discovered_id: one for one in Ignored.objects.filter(undone_at=None, until__gte=today).select_related("by")}
    standard = _Standard(rows)
    return [Line(row, _state(row, ignored, standard), ignored.get(row.pk)) for row in rows]


def _state(row: Discovered, ignored: Container[int], standard: "_Standard") -> State:
    """What is left of none of its events is nothing to decide on."""
    if row.count <= 0:
        return "taken_back"
    return "ignored" if row.pk in ignored else standard.state_of(row)


class _Standard:
    """What draft and release say of names and attributes. A handful of queries, whatever the rows."""

    def __init__(self, rows: list[Discovered]) -> None:
        release = newest()
        self.published_at: datetime | None = release.published_at if release else None
        released = items_of(release)
        self.plan = plan_of(release.pk).plan if release else None
        sources = {row.source_id for row in rows}
        self.rules = {
            (source, name): str(rule)
            for rule, source, name in MappingRule.objects.filter(source__in=sources).values_list("pk", "source_id", "name")
        }
        self.tags = {code.lower(): str(pk) for pk, code in Tag.objects.exclude(status=Tag.Status.DRAFT).values_list("pk", "code")}
        self.uses = set(TagAttribute.objects.filter(tag__in={row.tag_id for row in rows}).values_list("tag_id", "attribute__code"))
        paths = MappingRow.objects.filter(rule__source__in=sources).values_list("rule__source_id", "rule__tag_id", "path")
        self.paths = {(source, tag, name) for source, tag, path in paths for name in _names_in(path)}
        codes = {item: one["code"] for item, one in released.items() if one["kind"] == "attribute"}
        self.released_uses = {
            (item, codes.get(use["attribute"])) for item, one in released.items() if one["kind"] == "tag" for use in one["attributes"]
        }
        self.released_paths = {
            (one["source"], one["tag"], name)
            for one in released.values()
            if one["kind"] == "rule"
            for row in one["rows"]
            for name in _names_in(row["path"])
        }

    def state_of(self, row: Discovered) -> State:
        """Released only until it comes once more: then what was released does not take it."""
        released, drafted = self._name(row) if row.kind == Discovered.Kind.NAME else self._attribute(row)
        if released and self.published_at is not None and row.last_at <= self.published_at:
            return "released"
        return "drafted" if drafted and not released else "open"

    def _name(self, row: Discovered) -> tuple[bool, bool]:
        source = self.plan.sources_by_uuid.get(str(row.source_id)) if self.plan else None
        released = source is not None and bool(source.meanings(row.name))
        return released, (row.source_id, row.name) in self.rules or row.name.lower() in self.tags

    def _attribute(self, row: Discovered) -> tuple[bool, bool]:
        released = (str(row.tag_id), row.name) in self.released_uses or (
            str(row.source_id),
            str(row.tag_id),
            row.name,
        ) in self.released_paths
        return released, (row.tag_id, row.name) in self.uses or (row.source_id, row.tag_id, row.name) in self.paths


def _names_in(path: str) -> set[str]:
    """The attributes a row's path begins at; a draft's may not be readable."""
    try:
        return first_names(path) if path and not path.startswith("$") else set()
    except ValueError:
        return set()


def limits_hit(sources: QuerySet[Source]) -> dict[UUID, Discovered]:
    """{source: what came of it under names beyond the limit}, up to now."""
    rest = _with_pending(Discovered.objects.filter(kind=Discovered.Kind.REST, source__in=sources).select_related("source"), "", "")
    return {row.source_id: row for row in rest if row.count > 0}
