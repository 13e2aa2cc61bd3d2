"""A record as its source sent it, made readable: pretty JSON, or a file's row as a table; as its reader may see it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from profiles.models import Batch, Event, Original
from profiles.sight import Sight, matched_columns
from staff.masking import STARS
from taxonomy.standardize import Refusal, decode_body

# Files whose rows are objects.
_JSON = ("json", "ndjson")
# Of a row in a line: signs in all, of one cell, and of those that are looked through for what is masked in it.
_OF_ROW, _OF_CELL, _LOOKED_AT = 1_000, 100, 1_000
# Records held at a time.
_AT_ONCE = 50


@dataclass(frozen=True)
class ShownOriginal:
    """`cells` of a file's row by column, else `text`. `item`: which event of the record, counted from 1."""

    text: str
    cells: list[tuple[str, str]] | None
    item: int | None
    size_bytes: int


def shown_original(original: Original, event: Event, sight: Sight) -> ShownOriginal:
    record = original.whole_record
    file_format = event.batch.format or {}
    item = None if original.item is None else original.item + 1
    if _is_table(file_format):
        cells = _shown_cells(_cells(record, file_format), event, sight)
        return ShownOriginal("", list(cells.items()), item, len(record))
    text = record.decode(file_format.get("encoding") or "utf-8", "replace")
    return ShownOriginal(_pretty(text, event, sight, _hidden_columns(file_format, sight)), None, item, len(record))


def row_words(events: Iterable[Event], sight: Sight) -> dict[int, str]:
    """Rows of tables in a line, the first of their cells as the reader may see them: {event id: line}, none for what is no such row.

    Reads event.batch. However many events a record holds, it is fetched and read once. Two queries, or none.
    """
    rows = {one.pk: one for one in events if _is_table(one.batch.format or {})}
    said: dict[int, str] = {}
    if not rows:
        return said
    told_of: dict[int, list[Event]] = {}
    for event_id, holder_id in Original.objects.filter(pk__in=rows).values_list("event_id", "holder_id"):
        told_of.setdefault(holder_id or event_id, []).append(rows[event_id])
    for holder_id, record in Original.objects.filter(pk__in=told_of).values_list("pk", "record").iterator(chunk_size=_AT_ONCE):
        cells = _first_cells(_cells(bytes(record or b""), told_of[holder_id][0].batch.format or {}))
        for one in told_of[holder_id]:
            shown = (" ".join(cell.split())[:_OF_CELL] for cell in _shown_cells(cells, one, sight).values())
            said[one.pk] = " · ".join(filter(None, shown))
    return said


def _is_table(file_format: dict[str, Any]) -> bool:
    return bool(file_format.get("columns")) and file_format.get("kind") not in _JSON


def _cells(record: bytes, file_format: dict[str, Any]) -> dict[str, str]:
    return dict(zip(file_format["columns"], import_string(settings.TAGLINE_CELLS)(record, file_format), strict=False))


def _first_cells(cells: dict[str, str]) -> dict[str, str]:
    """As many as a line takes. What is cut away of one is too far behind to be a part of what is shown."""
    found: dict[str, str] = {}
    left = _OF_ROW
    for column, cell in cells.items():
        if cell and left > 0:
            found[column] = cell[:_LOOKED_AT]
            left -= len(found[column])
    return found


def _shown_cells(cells: dict[str, str], event: Event, sight: Sight) -> dict[str, str]:
    file_format = event.batch.format or {}
    if file_format.get("kind") == "fixed" and not sight.unmasked:
        # one text, which no column's name tells apart
        cells = dict.fromkeys(cells, STARS)
    shown: dict[str, str] = sight.record(cells, event, columns=_hidden_columns(file_format, sight))
    return shown


def _hidden_columns(file_format: dict[str, Any], sight: Sight) -> dict[str, str] | None:
    """How the columns of a file are hidden by what they were matched to."""
    matching = file_format.get("matching") or {}
    matched = [column for one in (matching, *matching.get("events", ())) for column in one.get("columns", ())]
    return None if sight.unmasked else matched_columns(matched, sight)


def _pretty(text: str, event: Event, sight: Sight, columns: dict[str, str] | None) -> str:
    """Numbers keep their digits; what is no JSON stays as it is, but a webhook's form or XML that is masked is shown as what it says."""
    try:
        record = json.loads(text, parse_float=_Digits, parse_int=_Digits)
    except (ValueError, RecursionError):
        record = Refusal("") if sight.unmasked or event.batch.door != Batch.Door.HOOK else decode_body(text.encode("utf-8", "replace"))
        if isinstance(record, Refusal):
            return sight(text)
    pretty = _json(sight.record(record, event, columns=columns))
    return pretty.encode("utf-8", "backslashreplace").decode()


class _Digits(str):
    """A number as written: 12.50 stays 12.50."""


def _json(value: Any, indent: str = "") -> str:
    deeper = indent + "  "
    if isinstance(value, _Digits):
        return str(value)
    if isinstance(value, dict) and value:
        lines = [f"{deeper}{json.dumps(key, ensure_ascii=False)}: {_json(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(deeper + _json(item, deeper) for item in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)
