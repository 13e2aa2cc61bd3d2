"""A record as its source sent it, made readable: pretty JSON, or a file's row as a table; as its reader may see it."""

import json
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
    matching = file_format.get("matching") or {}
    matched = [column for one in (matching, *matching.get("events", ())) for column in one.get("columns", ())]
    columns = None if sight.unmasked else matched_columns(matched, sight)
    if file_format.get("columns") and file_format.get("kind") not in _JSON:
        cells = dict(zip(file_format["columns"], import_string(settings.TAGLINE_CELLS)(record, file_format), strict=False))
        if file_format.get("kind") == "fixed" and not sight.unmasked:
            # one text, which no column's name tells apart
            cells = dict.fromkeys(cells, STARS)
        cells = sight.record(cells, event, columns=columns)
        return ShownOriginal("", list(cells.items()), item, len(record))
    text = record.decode(file_format.get("encoding") or "utf-8", "replace")
    return ShownOriginal(_pretty(text, event, sight, columns), None, item, len(record))


def row_words(event: Event, sight: Sight) -> str:
    """A file's row in a line, its cells as their reader may see them; "" for what is no row of a table. Reads event.original and event.batch."""
    original = getattr(event, "original", None)
    cells = shown_original(original, event, sight).cells if original else None
    return " · ".join(filter(None, (" ".join(cell.split()) for _column, cell in cells or ())))


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
