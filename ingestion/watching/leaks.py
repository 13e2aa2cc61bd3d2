"""Personal data in attributes that are not declared personal: looked for in a sample of what arrived, after it was counted.

Of each stretch of the rollup the first events of every source and tag are looked at, so that a flood of one hides no other.
PostgreSQL takes them apart and keeps the values with enough digits; only those come here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.backends import ModelBackend
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Length
from django.urls import reverse
from django.utils.translation import gettext_noop

from ingestion.discovery.discover import COUNTED, EVENTS
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
        SELECT event.source_id, event.tag_id, event.received_at, event.standing, event.attributes, event.extra
        FROM profiles_event AS event WHERE event.id IN ({_SAMPLE})
    ), sent AS (
        SELECT source_id, tag_id, true AS planned, left(each.key, {NAME_CHARACTERS}) AS name, left(each.value::text, {_CHARACTERS}) AS value, received_at, standing
        FROM looked_at CROSS JOIN LATERAL jsonb_each(attributes) AS each
        UNION ALL
        SELECT source_id, tag_id, false, left(each.key, {NAME_CHARACTERS}), left(each.value::text, {_CHARACTERS}), received_at, standing
        FROM looked_at CROSS JOIN LATERAL jsonb_each(extra) AS each WHERE extra IS NOT NULL
    ), grouped AS (
        SELECT source_id, tag_id, planned, name, value, count(*) AS count, min(received_at) AS first_at, max(received_at) AS last_at,
            standing = 3 AS is_away,
            row_number() OVER (PARTITION BY source_id, tag_id, planned, name ORDER BY count(*) DESC, value) AS rank
        FROM sent WHERE value ~ %(digits)s AND lower(name) <> ALL(%(personal)s::text[]) GROUP BY 1, 2, 3, 4, 5, is_away
    )
    SELECT source_id, tag_id, planned, name, value, count, first_at, last_at, is_away FROM grouped WHERE rank <= {VALUES_LOOKED_AT}
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
    is_away: bool = False
    is_left: bool = False


def look_for_leaks(cursor: CursorWrapper, firsts: list[int], lasts: list[int], now: datetime) -> None:
    """Count what looks personal among these runs of events, and tell of what is new. One statement where there is nothing."""
    cursor.execute(_VALUES, {"firsts": firsts, "lasts": lasts, "digits": _DIGITS, "personal": sorted(personal_codes())})
    seen: dict[Key, _Seen] = {}
    for source, tag, planned, name, value, count, first_at, last_at, is_away in cursor.fetchall():
        for kind, (sure, example) in kinds_in(value).items():
            one = seen.setdefault((source, tag, name, kind), _Seen(planned, first_at, last_at))
            one.first_at, one.last_at = min(one.first_at, first_at), max(one.last_at, last_at)
            one.count += count * sure
            one.lookalikes += count * (not sure)
            one.example = one.example or (example if sure else "")
            one.is_away |= is_away
            one.is_left |= sure and not is_away
    if seen:
        _write(_limited(seen))
        tell_of_new(now)


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
            former.example, former.is_away = former.example or one.example, former.is_away or one.is_away
            former.is_left |= one.is_left
    return kept


_ANEW = "there.taken_back AND excluded.count > 0 AND NOT excluded.taken_back"


def _write(seen: dict[Key, _Seen]) -> None:
    """One that is taken back is found anew by an event left that surely holds it: by no lookalike, and none taken back before it was counted."""
    rows = [
        (str(source), str(tag) if tag else None, name, kind, one.planned, one.count, one.lookalikes, one.first_at, one.last_at, one.example,
         one.count > 0 and not one.is_left)
        for (source, tag, name, kind), one in seen.items()
    ]  # fmt: skip
    again = [int(one.is_away) for one in seen.values()]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO ingestion_leak AS there
                (source_id, tag_id, attribute, kind, planned, count, lookalikes, first_at, last_at, example, taken_back, again, ignored_reason)
            SELECT *, '' FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::bool[], %s::bigint[], %s::bigint[],
                %s::timestamptz[], %s::timestamptz[], %s::text[], %s::bool[], %s::int[])
            ON CONFLICT ON CONSTRAINT leak_once DO UPDATE SET
                count = there.count + excluded.count, lookalikes = there.lookalikes + excluded.lookalikes,
                first_at = CASE WHEN {_ANEW} THEN excluded.first_at ELSE least(there.first_at, excluded.first_at) END,
                last_at = CASE WHEN {_ANEW} THEN excluded.last_at ELSE greatest(there.last_at, excluded.last_at) END,
                example = CASE WHEN {_ANEW} THEN excluded.example ELSE coalesce(nullif(there.example, ''), excluded.example) END,
                planned = excluded.planned, taken_back = there.taken_back AND NOT ({_ANEW}), again = there.again + excluded.again
            """,
            [*(list(column) for column in zip(*rows, strict=True)), again],
        )


# As they are read now. With a value that was taken back no event is left: grouped apart.
_CARRIED = f"""
    WITH wanted AS (
        SELECT DISTINCT source_id, tag_id, name FROM unnest(%(of)s::uuid[], %(tags)s::uuid[], %(names)s::text[]) AS one (source_id, tag_id, name)
    ), carried AS (
        SELECT event.source_id, event.tag_id, side.planned, wanted.name, left(side.value::text, {_CHARACTERS}) AS value, event.standing = 3 AS is_away, event.received_at
        FROM profiles_event AS event
        JOIN wanted ON wanted.source_id = event.source_id AND wanted.tag_id IS NOT DISTINCT FROM event.tag_id
        CROSS JOIN LATERAL (VALUES (true, event.attributes -> wanted.name), (false, event.extra -> wanted.name)) AS side (planned, value)
        WHERE event.attributes IS NOT NULL AND {COUNTED}
    )
    SELECT source_id, tag_id, name, is_away, value, count(*), min(received_at), max(received_at) FROM carried WHERE value ~ %(digits)s
    GROUP BY source_id, tag_id, planned, name, is_away, value ORDER BY source_id, tag_id, planned, name, count(*) DESC, value
"""
_READ_ANEW = """
    UPDATE ingestion_leak SET again = 0, count = count + count_away - %(away)s, count_away = %(away)s,
        lookalikes = lookalikes + lookalikes_away - %(lookalikes_away)s, lookalikes_away = %(lookalikes_away)s,
        first_at = CASE WHEN first_at < %(former_first)s THEN first_at ELSE %(first)s END,
        last_at = CASE WHEN last_at > %(former_last)s THEN last_at ELSE %(last)s END,
        example = CASE WHEN count > %(former_count)s AND %(example)s = '' THEN example ELSE %(example)s END,
        taken_back = %(gone)s AND count = %(former_count)s
    WHERE id = %(id)s AND again = %(again)s
"""


def mark_to_look_again(take_back: TakeBack) -> None:
    """The leaks of the tags of which it took events back, or put them back. What came under a name not kept, or cut, is found in no event."""
    tags = take_back.withdrawals.values("tag")
    of_it = Leak.objects.filter(Q(tag=None) | Q(tag__in=tags), source=take_back.source_id).exclude(attribute=Leak.OTHERS)
    of_it.annotate(characters=Length("attribute")).filter(characters__lt=NAME_CHARACTERS).update(again=F("again") + 1)


@dataclass(slots=True)
class Carried:
    """How many events hold a leak, left and taken back, each surely or by a lookalike; and of those left, when, and an example.

    `former`: the example until now, which stays where one left holds it.
    """

    former: str
    left: int = 0
    away: int = 0
    left_lookalikes: int = 0
    lookalikes_away: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    example: str = ""

    def add(self, other: tuple[bool, str], *, is_away: bool, count: int, first_at: datetime, last_at: datetime) -> None:
        sure, example = other
        if is_away:
            self.away, self.lookalikes_away = self.away + count * sure, self.lookalikes_away + count * (not sure)
            return
        self.left, self.left_lookalikes = self.left + count * sure, self.left_lookalikes + count * (not sure)
        self.first_at, self.last_at = min(self.first_at or first_at, first_at), max(self.last_at or last_at, last_at)
        if sure and (not self.example or example == self.former):
            self.example = example


def look_who_carries(found: dict[Key, Carried], first_id: int, last_id: int) -> None:
    """Add what a stretch of events holds of these leaks. One statement."""
    if not found:
        return
    sources, tags, names, _kinds = zip(*found, strict=True)
    values: dict[str, Any] = {
        "of": list(sources), "tags": list(tags), "names": list(names), "sources": list(set(sources)), "digits": _DIGITS,
        "first_id": first_id, "last_id": last_id,
    }  # fmt: skip
    with connection.chunked_cursor() as cursor:
        cursor.execute(_CARRIED, values)
        for source, tag, name, is_away, value, count, first_at, last_at in cursor:
            for kind, one in kinds_in(value).items():
                if carried := found.get((source, tag, name, kind)):
                    carried.add(one, is_away=is_away, count=count, first_at=first_at, last_at=last_at)


def read_anew(leak: Leak, carried: Carried) -> None:
    """Write what is left of it; `leak` as it was at the moment of the look: what was counted since stays added.

    The count is of a sample, so of it goes the share of the events that were taken back.
    """
    gone = not carried.left and carried.away > 0
    count, lookalikes = leak.count + leak.count_away, leak.lookalikes + leak.lookalikes_away
    with connection.cursor() as cursor:
        cursor.execute(
            _READ_ANEW,
            {
                "away": _share(count, carried.away, carried.left),
                "lookalikes_away": _share(lookalikes, carried.lookalikes_away, carried.left_lookalikes),
                "former_first": leak.first_at, "first": carried.first_at or leak.first_at, "former_last": leak.last_at,
                "last": carried.last_at or leak.last_at, "former_count": leak.count, "gone": gone,
                "example": carried.example or ("" if carried.away else leak.example), "id": leak.pk, "again": leak.again,
            },
        )  # fmt: skip


def _share(count: int, away: int, left: int) -> int:
    """How many of a count are away: all or none only where all or none are."""
    if not away or not count:
        return 0
    return min(max(round(count * away / (away + left)), 1), count - 1) if left else count


def found_leaks() -> QuerySet[Leak]:
    """What is most likely no numbering: an order number passes a card's check digit one time in ten, cards always."""
    is_found = Q(count__gt=F("lookalikes")) | Q(taken_back=True, count_away__gt=F("lookalikes_away"))
    return Leak.objects.filter(is_found, source__code__isnull=False)


@transaction.atomic
def tell_of_new(now: datetime) -> None:
    """Tell the compliance departments of what they were not told of, each once: who may see it."""
    new = list(found_leaks().filter(told_at=None, taken_back=False, again=0).select_related("source"))
    untold = Leak.objects.select_for_update().filter(pk__in=[one.pk for one in new], told_at=None)
    mine = set(untold.values_list("pk", flat=True)) if new else set()
    if not (new := [one for one in new if one.pk in mine]):
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
