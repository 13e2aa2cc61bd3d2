"""A record as its source sent it, made readable: pretty JSON, or a file's row as a table; as its reader may see it."""

import csv
import json
from dataclasses import dataclass
from typing import Any

from profiles.models import Batch, Event, Original
from profiles.sight import Sight, matched_columns
from staff.masking import STARS
from taxonomy.standardize import Refusal, decode_body


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
    text = record.decode(file_format.get("encoding") or "utf-8", "replace")
    item = None if original.item is None else original.item + 1
    if file_format.get("columns"):
        cells = dict(zip(file_format["columns"], _row(text, file_format), strict=False))
        matching = file_format.get("matching") or {}
        matched = [column for one in (matching, *matching.get("events", ())) for column in one.get("columns", ())]
        if file_format.get("kind") == "fixed" and not sight.unmasked:
            # one text, which no column's name tells apart
            cells = dict.fromkeys(cells, STARS)
        cells = sight.record(cells, event, columns=None if sight.unmasked else matched_columns(matched, sight))
        return ShownOriginal("", list(cells.items()), item, len(record))
    return ShownOriginal(_pretty(text, event, sight), None, item, len(record))


def _row(text: str, file_format: dict[str, Any]) -> list[str]:
    """The cells of a row: a sheet's and a Parquet file's are kept as a JSON list."""
    if file_format.get("kind") in ("xlsx", "parquet"):
        return [cell if isinstance(cell, str) else "" if cell is None else _json(cell) for cell in json.loads(text, parse_float=_Digits)]
    return next(csv.reader([text], delimiter=file_format.get("delimiter") or ",", quotechar=file_format.get("quote") or '"'), [])


def _pretty(text: str, event: Event, sight: Sight) -> str:
    """Numbers keep their digits; what is no JSON stays as it is, but a webhook's form or XML that is masked is shown as what it says."""
    try:
        record = json.loads(text, parse_float=_Digits, parse_int=_Digits)
    except (ValueError, RecursionError):
        record = Refusal("") if sight.unmasked or event.batch.door != Batch.Door.HOOK else decode_body(text.encode("utf-8", "replace"))
        if isinstance(record, Refusal):
            return sight(text)
    pretty = _json(sight.record(record, event))
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
