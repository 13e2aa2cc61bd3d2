"""What can be put right of a cause: the values seen there, and what staff give instead."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils.crypto import salted_hmac

from ingestion.models import Replay
from ingestion.replay import SAMPLE
from staff.models import in_reader_language
from taxonomy.standardize import Plan, storable
from taxonomy.standardize.plan import TagPlan

# Values shown to be put right one by one; the rest can be pasted.
MOST_VALUES = 100
MOST_PASTED = 5_000
_ENVELOPE = ("event", "phone", "occurred_at")


@dataclass(frozen=True, slots=True)
class Value:
    """A value seen, in how many events; `field` names it in a form without saying it. None: nothing was sent."""

    seen: str | None
    events: int
    field: str


def can_be_given(path: str) -> bool:
    """Whether a value can be given for this place: within a list or an object it cannot."""
    return path in _ENVELOPE or _attribute_of(path) is not None


def values_seen(replay: Replay) -> list[Value]:
    """What stood where the replay's cause says, most frequent first, in its newest events."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT found.value ->> 'seen', count(DISTINCT event.id)
            FROM (
                SELECT event_id FROM ingestion_quarantinereason
                WHERE open AND source_id = %s AND code = %s AND path = %s AND name = %s ORDER BY event_id DESC LIMIT %s
            ) AS reason
            JOIN profiles_event AS event ON event.id = reason.event_id
            CROSS JOIN LATERAL jsonb_array_elements(event.report -> 'violations') AS found (value)
            WHERE found.value ->> 'code' = %s AND coalesce(found.value ->> 'path', '') = %s
            GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s
            """,
            [replay.source_id, replay.code, replay.path, replay.name or "", SAMPLE, replay.code, replay.path, MOST_VALUES],
        )
        return [Value(seen, events, _field(seen)) for seen, events in cursor.fetchall()]


def _field(seen: str | None) -> str:
    return f"value-{salted_hmac('desk', '-' if seen is None else f'={seen}').hexdigest()[:16]}"


def mends_of(path: str, values: Iterable[Value], posted: Any) -> list[dict[str, Any]]:
    """What a posted form gives: a region for all numbers, values one by one, an attribute's value, and pasted lines "wrong, tab, right".

    Raises ValueError with a pasted line that is none.
    """
    mends: list[dict[str, Any]] = []
    if region := posted.get("region", "").strip().upper():
        mends.append({"path": "phone", "any": True, "target": "region", "value": region})
    target = posted.get("target", "").strip() or path
    for value in values:
        if given := str(storable(posted.get(value.field, "").strip())):
            mends.append({"path": path, "seen": value.seen, "target": target, "value": given})
    lines = [line for line in posted.get("pasted", "").splitlines() if line.strip()]
    for line in lines[:MOST_PASTED]:
        wrong, tab, right = str(storable(line)).partition("\t")
        if not tab or not right.strip():
            raise ValueError(line)
        mends.append({"path": path, "seen": wrong.strip(), "target": target, "value": right.strip()})
    return mends


def choices_for(replay: Replay, plan: Plan) -> tuple[str, list[tuple[str, str]]]:
    """What may be given there: the kind of field ("tag", "choice" or "text"), and what to choose from, with labels."""
    if replay.path == "event":
        tags = (tag for tag in plan.tags.values() if tag.status == "active")
        return "tag", sorted((tag.code, in_reader_language(tag.definition["label_en"], tag.definition["label_zh_hans"])) for tag in tags)
    attribute = _attribute_of(replay.path)
    for tag in _tags_named(replay, plan) if attribute else ():
        slot = tag.slots.get(attribute or "")
        if slot is not None and slot.type == "choice":
            return "choice", [(str(one), "") for one in slot.definition.get("constraints", {}).get("choices", [])]
        if slot is not None and slot.type == "boolean":
            return "choice", [("yes", ""), ("no", "")]
    return "text", []


def attributes_missing(replay: Replay, plan: Plan) -> list[str]:
    """Of a tag that wants one of several attributes: which would do."""
    if replay.code != "attribute.missing" or replay.path != "attributes":
        return []
    return sorted({code for tag in _tags_named(replay, plan) for group in tag.one_of for code in group})


def _tags_named(replay: Replay, plan: Plan) -> list[TagPlan]:
    """The tags that the cause's event name can mean to its source."""
    source = plan.sources_by_uuid.get(str(replay.source_id))
    return [meaning.reading.tag for meaning in source.meanings(replay.name or "")] if source else []


def _attribute_of(path: str) -> str | None:
    code = path.removeprefix("attributes.")
    return code if code != path and "." not in code and "[" not in code else None
