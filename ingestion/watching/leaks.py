"""Personal data in attributes that are not declared personal: looked for in a sample of what arrived, after it was counted.

Of each stretch of the rollup the first events of every source and tag are looked at, so that a flood of one hides no other.
PostgreSQL takes them apart and keeps the values with enough digits; only those come here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth.backends import ModelBackend
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import F, Max, Min, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext_noop

from ingestion.discovery.discover import EVENTS
from ingestion.models import Leak, TakeBack
from staff.masking import STARS, mask_in_text, mask_phone
from staff.models import Department
from staff.notices import tell
from staff.personal import personal_in
from taxonomy.definition import definitions
from taxonomy.models import Source, Tag
from taxonomy.released import named, personal_codes
from taxonomy.rights import May, On, rights_of_each

VIEW = "ingestion.view_leak"
# Looked at in a stretch: events of one source and tag, and different values of one attribute.
EVENTS_LOOKED_AT, VALUES_LOOKED_AT = 300, 100
# Kept of one source; what arrives beside the plan has names of the sender's choice.
MOST = 500
_CHARACTERS = 2_000
NAME_CHARACTERS = 200
# Of one leak, looked at to see whether it is still there.
_CARRIERS = 2_000
_KINDS = frozenset(Leak.Kind.values)

_TEXTS = {
    Leak.Kind.PHONE: gettext_noop("%(source)s sends phone numbers in “%(attribute)s”, which is not declared personal."),
    Leak.Kind.IDENTITY_CARD: gettext_noop("%(source)s sends identity card numbers in “%(attribute)s”, which is not declared personal."),
    Leak.Kind.BANK_CARD: gettext_noop("%(source)s sends bank card numbers in “%(attribute)s”, which is not declared personal."),
}

# Numbers ranked by id alone: the attributes of what is not looked at are not read.
_SAMPLE = f"""
    SELECT id FROM (
        SELECT event.id, row_number() OVER (PARTITION BY event.source_id, event.tag_id ORDER BY event.id) AS place
        {EVENTS} WHERE event.attributes IS NOT NULL
    ) AS ranked WHERE place <= {EVENTS_LOOKED_AT}
"""
# Eleven digits or more, with at most one sign between two; a plus and nine for numbers of other countries.
_DIGITS = r"([0-9][ -]?){10}[0-9Xx]|\+[0-9]([ -]?[0-9]){8}"
_VALUES = f"""
    WITH looked_at AS MATERIALIZED (
        SELECT event.source_id, event.tag_id, event.received_at, event.attributes, event.extra
        FROM profiles_event AS event WHERE event.id IN ({_SAMPLE})
    ), sent AS (
        SELECT source_id, tag_id, true AS planned, left(each.key, {NAME_CHARACTERS}) AS name, left(each.value::text, {_CHARACTERS}) AS value, received_at
        FROM looked_at CROSS JOIN LATERAL jsonb_each(attributes) AS each
        UNION ALL
        SELECT source_id, tag_id, false, left(each.key, {NAME_CHARACTERS}), left(each.value::text, {_CHARACTERS}), received_at
        FROM looked_at CROSS JOIN LATERAL jsonb_each(extra) AS each WHERE extra IS NOT NULL
    ), grouped AS (
        SELECT source_id, tag_id, planned, name, value, count(*) AS count, min(received_at) AS first_at, max(received_at) AS last_at,
            row_number() OVER (PARTITION BY source_id, tag_id, planned, name ORDER BY count(*) DESC, value) AS rank
        FROM sent WHERE value ~ %(digits)s AND lower(name) <> ALL(%(personal)s::text[]) GROUP BY 1, 2, 3, 4, 5
    )
    SELECT source_id, tag_id, planned, name, value, count, first_at, last_at FROM grouped WHERE rank <= {VALUES_LOOKED_AT}
    ORDER BY source_id, tag_id, planned, name, rank
"""

Key = tuple[UUID, UUID | None, str, str]


@dataclass(slots=True)
class _Seen:
    planned: bool
    first_at: datetime
    last_at: datetime
    count: int = 0
    lookalikes: int = 0
    example: str = ""


def look_for_leaks(cursor: CursorWrapper, firsts: list[int], lasts: list[int], now: datetime) -> None:
    """Count what looks personal among these runs of events, and tell of what is new. One statement where there is nothing."""
    cursor.execute(_VALUES, {"firsts": firsts, "lasts": lasts, "digits": _DIGITS, "personal": sorted(personal_codes())})
    seen: dict[Key, _Seen] = {}
    for source, tag, planned, name, value, count, first_at, last_at in cursor.fetchall():
        for kind, (sure, example) in kinds_in(value).items():
            one = seen.setdefault((source, tag, name, kind), _Seen(planned, first_at, last_at))
            one.first_at, one.last_at = min(one.first_at, first_at), max(one.last_at, last_at)
            one.count += count * sure
            one.lookalikes += count * (not sure)
            one.example = one.example or (example if sure else "")
    if seen:
        _write(_limited(seen))
        _tell(now)


def kinds_in(value: str) -> dict[str, tuple[bool, str]]:
    """{kind: (whether one is sure, masked example of it)} of one value as JSON."""
    found: dict[str, tuple[bool, str]] = {}
    for kind, text, sure in personal_in(value):
        if kind in _KINDS and not found.get(kind, (False, ""))[0]:
            found[kind] = (sure, _masked(kind, text))
    return found


def _masked(kind: str, text: str) -> str:
    if kind == Leak.Kind.PHONE:
        return mask_phone(text if text.startswith("+") else text.removeprefix("00"))
    return f"{text[:2]}{STARS}{text[-2:]}" if kind == Leak.Kind.IDENTITY_CARD else f"{STARS}{text[-4:]}"


def _limited(seen: dict[Key, _Seen]) -> dict[Key, _Seen]:
    """The same, names beyond what is kept of a source put together."""
    known: dict[UUID, set[tuple[UUID | None, str, str]]] = {}
    rows = Leak.objects.filter(source__in={key[0] for key in seen})
    for source, *rest in rows.values_list("source_id", "tag_id", "attribute", "kind"):
        known.setdefault(source, set()).add(tuple(rest))  # type: ignore[arg-type]
    kept: dict[Key, _Seen] = {}
    for (source, tag, name, kind), one in seen.items():
        there = known.setdefault(source, set())
        if (tag, name, kind) not in there and len(there) >= MOST:
            tag, name = None, Leak.OTHERS
        there.add((tag, name, kind))
        former = kept.setdefault((source, tag, name, kind), one)
        if former is not one:
            former.first_at, former.last_at = min(former.first_at, one.first_at), max(former.last_at, one.last_at)
            former.count, former.lookalikes = former.count + one.count, former.lookalikes + one.lookalikes
            former.example = former.example or one.example
    return kept


def _write(seen: dict[Key, _Seen]) -> None:
    rows = [
        (str(source), str(tag) if tag else None, name, kind, one.planned, one.count, one.lookalikes, one.first_at, one.last_at, one.example)
        for (source, tag, name, kind), one in seen.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO ingestion_leak AS there
                (source_id, tag_id, attribute, kind, planned, count, lookalikes, first_at, last_at, example, ignored_reason)
            SELECT *, '' FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::bool[], %s::bigint[], %s::bigint[],
                %s::timestamptz[], %s::timestamptz[], %s::text[])
            ON CONFLICT ON CONSTRAINT leak_once DO UPDATE SET
                count = there.count + excluded.count, lookalikes = there.lookalikes + excluded.lookalikes,
                first_at = least(there.first_at, excluded.first_at), last_at = greatest(there.last_at, excluded.last_at),
                planned = excluded.planned, taken_back = false, example = coalesce(nullif(there.example, ''), excluded.example)
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


# Carried by what is not taken back, or by what is, in the attributes or beside them.
_CARRIED = """
    SELECT left(side.value::text, %(characters)s)
    FROM profiles_event AS event CROSS JOIN LATERAL (VALUES (event.attributes -> %(name)s), (event.extra -> %(name)s)) AS side (value)
    WHERE event.source_id = %(source)s AND event.tag_id IS NOT DISTINCT FROM %(tag)s AND event.received_at BETWEEN %(first)s AND %(last)s
        AND (event.standing = 3) = %(taken_back)s AND left(side.value::text, %(characters)s) ~ %(digits)s LIMIT %(most)s
"""


def tell_what_still_leaks(take_back: TakeBack) -> None:
    """Mark the leaks of which every event is taken back now, and unmark those of which some are put back. A look at events for each."""
    days = take_back.withdrawals.aggregate(first=Min("day"), last=Max("day"))
    if days["first"] is None:
        return
    rows = Leak.objects.filter(source=take_back.source_id, first_at__date__lte=days["last"], last_at__date__gte=days["first"])
    for leak in rows:
        if leak.attribute == Leak.OTHERS or len(leak.attribute) >= NAME_CHARACTERS:
            continue  # what was counted under a name that is not kept, or cut, is found in no event
        gone = not _carries(leak, taken_back=False) and _carries(leak, taken_back=True)
        # Where one more has come meanwhile, the rollup has unmarked it.
        Leak.objects.filter(pk=leak.pk, count=leak.count).update(taken_back=gone)


def _carries(leak: Leak, *, taken_back: bool) -> bool:
    """Whether one of the events is sure to; where so many only look like it that not all are looked at, one may."""
    with connection.cursor() as cursor:
        cursor.execute(
            _CARRIED,
            {
                "characters": _CHARACTERS, "name": leak.attribute, "source": leak.source_id, "tag": leak.tag_id, "first": leak.first_at,
                "last": leak.last_at, "taken_back": taken_back, "digits": _DIGITS, "most": _CARRIERS,
            },
        )  # fmt: skip
        values = [value for (value,) in cursor.fetchall()]
    return len(values) == _CARRIERS or any(kinds_in(value).get(leak.kind, (False, ""))[0] for value in values)


def found_leaks() -> QuerySet[Leak]:
    """What is most likely no numbering: an order number passes a card's check digit one time in ten, cards always."""
    return Leak.objects.filter(count__gt=F("lookalikes"), source__code__isnull=False)


def _tell(now: datetime) -> None:
    """Tell the compliance departments of what they were not told of, each once: who may see it."""
    new = list(found_leaks().filter(told_at=None).select_related("source"))
    if not new:
        return
    tags = Tag.objects.in_bulk([one.tag_id for one in new if one.tag_id])
    people = ModelBackend().with_perm(VIEW).filter(department__duty=Department.Duty.COMPLIANCE)
    plan = definitions([one.source for one in new]) | definitions(list(tags.values()))
    names = named("source", {one.source_id for one in new})
    readers = [(rights.person, On(rights, plan)) for rights in rights_of_each(people)]
    for one in new:
        items = [str(item) for item in (one.source_id, one.tag_id) if item in {one.source_id, *tags}]
        to = [person for person, on in readers if all(on.may(May.READ, item) for item in items)]
        link = reverse("admin:ingestion_leak_changelist") + f"#leak-{one.pk}"
        tell(to, _TEXTS[Leak.Kind(one.kind)], link=link, source=names[one.source_id].labels, attribute=mask_in_text(one.attribute))
    Leak.objects.filter(pk__in=[one.pk for one in new]).update(told_at=now)


def of_readable(rows: QuerySet[Leak], sources: Iterable[Source], tags: QuerySet[Tag]) -> QuerySet[Leak]:
    return rows.filter(Q(tag=None) | Q(tag__in=tags), source__in=sources)
