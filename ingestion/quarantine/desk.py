"""What can be put right of a cause: the values seen there, and what staff give instead."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from ingestion.models import QuarantineReason, Replay
from ingestion.quarantine.names import names_for, settle_names, unknown_names
from ingestion.quarantine.remedy import meanings
from ingestion.quarantine.replay import Preview, preview
from ingestion.quarantine.stored import text_seen
from ingestion.ranked import most_first
from profiles.models import Event
from taxonomy.current import current
from taxonomy.exchange.book import open_book
from taxonomy.exchange.cells import Words
from taxonomy.exchange.xlsx import SheetOut, save_xlsx
from taxonomy.standardize import Plan, storable
from taxonomy.standardize.plan import TagPlan
from taxonomy.standardize.spreadsheets import is_cut

# Values shown to be put right one by one; the rest stand in the table to download.
MOST_VALUES = 100
MOST_IN_TABLE = 5_000
# Places that hold a cause's events besides, and values of each, offered to be put right with it.
MOST_PLACES = 6
MOST_BESIDE = 20
# Newest events of a cause whose values are looked at: what a person waits for while looking at the page.
LOOKED_AT = 2_000
# A workbook's column that names a value without saying it: of a masked one the reader knows no more.
_KEY = "_key"
_KEYED = re.compile("value-[0-9a-f]{16}")
# What would part cells or rows of what is pasted. A browser sends every line end as one of these.
_PICTURES = {"\t": "␉", "\n": "␊", "\r": "␍"}
_AS_PICTURES, _FROM_PICTURES = str.maketrans(_PICTURES), str.maketrans({picture: sign for sign, picture in _PICTURES.items()})
_LINE_END = re.compile(r"\r\n|\r|\n")
# Fewer digits than a number has anywhere say nothing of whose it is, nor do those that only fill a field, such as 11111111111.
_NAMING_DIGITS, _FILLING_DIGITS = 7, 2
_ENVELOPE = ("event", "phone", "occurred_at")


@dataclass(frozen=True, slots=True)
class Value:
    """A value seen, in how many events; `field` names it in a form without saying it. None: nothing was sent.

    `key`: of the only event that it is meant of, told to people by `about`.
    """

    seen: str | None
    events: int
    field: str
    key: str = ""
    about: str = ""


def can_be_given(path: str) -> bool:
    """Whether a value can be given for this place."""
    return path in _ENVELOPE or path.startswith("attributes.")


def values_seen(replay: Replay, *, most: int = MOST_VALUES, events: int = LOOKED_AT) -> list[Value]:
    """What stood where the replay's cause says, most frequent first, in its newest `events`.

    A phone that is not there, or of which digits are lost, says nothing of whose it is: there each event stands for itself.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            r"""
            SELECT found.value ->> 'seen', count(DISTINCT event.id)
            FROM (
                SELECT event_id FROM ingestion_quarantinereason
                WHERE open AND source_id = %s AND code = %s AND path = %s AND name = %s ORDER BY event_id DESC LIMIT %s
            ) AS reason
            JOIN profiles_event AS event ON event.id = reason.event_id
            CROSS JOIN LATERAL jsonb_array_elements(event.report -> 'violations') AS found (value)
            WHERE found.value ->> 'code' = %s AND regexp_replace(coalesce(found.value ->> 'path', ''), '\[\d+\]', '[]', 'g') = %s
            GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s
            """,
            [replay.source_id, replay.code, replay.path, replay.name or "", events, replay.code, replay.path, most],
        )
        values = [Value(seen, count, _field(replay.path, seen)) for seen, count in cursor.fetchall()]
    apart = {one.seen for one in values if replay.path == "phone" and not _names_one(replay.code, one.seen)}
    return [one for one in values if one.seen not in apart] + (_one_by_one(replay, apart, most=most, events=events) if apart else [])


def _names_one(code: str, seen: str | None) -> bool:
    """Whether those who sent this in the phone's place are likely one person."""
    digits = [one for one in seen or "" if one.isdigit()]
    return code != "phone.missing" and not is_cut(seen or "") and len(digits) >= _NAMING_DIGITS and len(set(digits)) > _FILLING_DIGITS


def _one_by_one(replay: Replay, apart: Collection[str | None], *, most: int, events: int) -> list[Value]:
    """Of the replay's newest `events` those that sent one of these values, newest first."""
    reasons = QuarantineReason.objects.filter(open=True, source=replay.source_id, code=replay.code, path="phone", name=replay.name or "")
    newest = Event.objects.filter(pk__in=reasons.order_by("-event_id").values("event_id")[:events]).order_by("-id")
    found: list[Value] = []
    for one in newest.only("key", "message_id", "report").iterator():
        said = (one.report or {}).get("violations", [])
        seen = [each.get("seen") for each in said if each["code"] == replay.code and each.get("path") == "phone"]
        text = text_seen(seen[0]) if seen and seen[0] is not None else None
        if seen and text in apart:
            found.append(Value(text, 1, _field(f"phone#{one.public_id}", text), one.public_id, one.message_id or ""))
        if len(found) == most:
            break
    return found


def _field(path: str, seen: str | None) -> str:
    return f"value-{salted_hmac('desk', f'{path}-' if seen is None else f'{path}={seen}').hexdigest()[:16]}"


def try_with_others(
    replay: Replay, values: Iterable[Value], posted: Any, *, sample: int, hidden: Collection[str] = ()
) -> tuple[Preview, dict[str, list[Value]]]:
    """Try an unsaved replay of a cause, with what is posted for whatever else holds its events: {path: values seen there}.

    `replay.mends` grows by what is posted. What is given can show what holds an event next, so that it takes rounds; a name
    that is none, or that means what is `hidden` from the reader, shows nothing.
    """
    own, others = {value.seen for value in values}, dict[str, dict[str | None, Value]]()
    while True:
        found, more = preview(replay, sample=sample), list[dict[str, Any]]()
        given = {(one["target"], one["value"]) for one in replay.mends}
        for (code, path, seen), events in most_first(found.values):
            is_own = path == replay.path and (code == replay.code or seen in own)
            if is_own or not can_be_given(path) or (path, seen) in given or (path == "phone" and not _names_one(code, seen)):
                continue
            more += _offer(others, path, Value(seen, events, _field(path, seen)), path, posted)
        for group, events in found.one_of.items() if replay.path != "attributes" else ():
            for code in group:
                more += _offer(others, f"attributes.{code}", Value(None, events, _field(f"attributes.{code}", None)), "attributes", posted)
        if not more:
            return found, {path: list(there.values()) for path, there in others.items()}
        plan = current().plan
        more = settle_names(more, replay, plan, hidden)
        replay.mends = [*replay.mends, *more]
        if unknown_names(more, replay, plan, hidden):
            return found, {path: list(there.values()) for path, there in others.items()}


def _offer(others: dict[str, dict[str | None, Value]], path: str, value: Value, seen_at: str, posted: Any) -> list[dict[str, Any]]:
    """Offer a value at a path, once, and as many as can be looked through; whatever somebody gave something for stays. What is given."""
    there, right = others.get(path, {}), posted.get(value.field, "")
    if value.seen in there or not (right or (len(there) < MOST_BESIDE and len(others.keys() | {path}) <= MOST_PLACES)):
        return []
    others.setdefault(path, {})[value.seen] = value
    return _mend(seen_at, value.seen, path, right)


def _mend(path: str, seen: str | None, target: str, right: str, key: str = "") -> list[dict[str, Any]]:
    """What is given where this was seen; nothing where it is left empty."""
    given = str(storable(right)).strip()
    return [{"path": path, "seen": seen, "target": target, "value": given} | ({"key": key} if key else {})] if given else []


class TooMany(Exception):
    """More values are given at once than one replay takes."""


def mends_of(
    path: str,
    values: Iterable[Value],
    posted: Any,
    table: Iterable[list[str]] = (),
    *,
    may_name: Callable[[str], bool] = lambda _seen: True,
) -> tuple[list[dict[str, Any]], int]:
    """What a posted form gives: a region for all numbers, values one by one, an attribute's value, and rows "wrong, right".

    Rows come pasted, with tabs between, and from an uploaded `table` (`table_of`); how many of them are of nothing that is held
    any more, the second tells. `may_name`: whether who asks sees such a value whole; others name it by its key alone. Raises
    ValueError with a row that is none, and TooMany.
    """
    mends: list[dict[str, Any]] = []
    if region := posted.get("region", "").strip().upper():
        mends.append({"path": "phone", "any": True, "target": "region", "value": region})
    target = posted.get("target", "").strip() or path
    by_field = {value.field: value for value in values}
    pairs = [(value, posted.get(field, "")) for field, value in by_field.items()]
    rows = [*_pasted(posted.get("pasted", "")), *table]
    current = [row for row in rows if row[0] in by_field or not _KEYED.fullmatch(row[0])]
    pairs += [_pair(row, by_field, may_name) for row in current]
    for value, right in pairs:
        mends += _mend(path, value.seen, target, right, value.key)
    if len(mends) > MOST_IN_TABLE + MOST_VALUES:
        raise TooMany
    return mends, len(rows) - len(current)


def _pair(row: list[str], by_field: dict[str, Value], may_name: Callable[[str], bool]) -> tuple[Value, str]:
    """(what was sent, what is right) of "wrong, right", or of a row as downloaded: key, wrong, events, right."""
    if row[0] in by_field:
        return by_field[row[0]], row[3] if len(row) > 3 else ""
    if len(row) < 2 or not row[1].strip():
        raise ValueError(" ".join(row))
    wrong = str(storable(row[0])).strip()
    return Value(wrong, 0, ""), row[1] if may_name(wrong) else ""


def as_pasted(table: Iterable[list[str]]) -> str:
    """Rows of a table as they may be pasted: just what they say, tabs and line ends within a cell by their pictures."""
    return "".join("\t".join(str(storable(cell)).translate(_AS_PICTURES) for cell in row[:4]) + "\n" for row in table)


def _pasted(text: str) -> list[list[str]]:
    lines = (line for line in _LINE_END.split(text) if line.strip())
    return [[cell.translate(_FROM_PICTURES) for cell in line.split("\t")] for line in lines]


def table_of(content: bytes, name: str) -> list[list[str]]:
    """The rows of an uploaded workbook or CSV, the header too where it is none of ours. Raises UnreadableBook."""
    sheet = open_book(content, name)[-1]
    rows = [[str(cell or "") for cell in row] for _number, row in sheet.rows]
    return rows if sheet.header[0] == _KEY else [sheet.header, *rows]


def workbook_of(values: Iterable[tuple[str, Value]]) -> bytes:
    """The table to fill in: the values seen, as the reader may see them, with a column for what is right."""
    header = [_KEY, _("Sent"), _("Events"), _("Is right as"), _("Message id, or the row")]
    rows = [[value.field, shown, str(value.events), "", value.about] for shown, value in values]
    about = [[_("Fill in the last column of the next sheet, and upload the workbook where you got it. Leave the first column as it is.")]]
    return save_xlsx([SheetOut("values", _("Values"), header, [None] * 5, rows)], about, Words())


def choices_for(replay: Replay, path: str, plan: Plan, hidden: Collection[str] = ()) -> tuple[str, list[tuple[str, str]]]:
    """What may be given at a path: the kind of field ("tag", "choice" or "text"), and what to choose from, with labels."""
    if path == "event":
        return "tag", names_for(replay, plan, hidden)
    for tag in (one for one in _tags_named(replay, plan) if one.uuid not in hidden):
        definition = _definition_at(tag, path)
        kind = definition.get("type")
        kind = definition.get("of") if kind == "list" and path.endswith("[]") else kind
        if kind == "choice":
            return "choice", [(str(one), "") for one in (definition.get("constraints") or {}).get("choices", [])]
        if kind == "boolean":
            return "choice", [("yes", ""), ("no", "")]
    return "text", []


def attributes_missing(replay: Replay, plan: Plan) -> list[str]:
    """Of a tag that wants one of several attributes: which would do."""
    if replay.code != "attribute.missing" or replay.path != "attributes":
        return []
    return sorted({code for tag in _tags_named(replay, plan) for group in tag.one_of for code in group})


def _tags_named(replay: Replay, plan: Plan) -> list[TagPlan]:
    """The tags that the cause's event name can mean to its source."""
    return [meaning.reading.tag for meaning in meanings(replay, plan)]


def _definition_at(tag: TagPlan, path: str) -> dict[str, Any]:
    """How the attribute, or the field of an object, that a path names is defined; {} where it is not."""
    code, *names = [name.removesuffix("[]") for name in path.removeprefix("attributes.").split(".")]
    definition: dict[str, Any] = tag.slots[code].definition if code in tag.slots else {}
    for name in names:
        definition = (definition.get("fields") or {}).get(name) or {}
    return definition
