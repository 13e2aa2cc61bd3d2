"""A record as its source sent it, made readable: pretty JSON, or a file's row as a table; masked unless permitted."""

import csv
import json
from dataclasses import dataclass
from typing import Any

from profiles.models import Event, Original
from staff.masking import STARS, mask_in_record, mask_in_text
from taxonomy.released import personal_codes


@dataclass(frozen=True)
class ShownOriginal:
    """`cells` of a file's row by column, else `text`. `item`: which event of the record, counted from 1."""

    text: str
    cells: list[tuple[str, str]] | None
    item: int | None
    size_bytes: int


def shown_original(original: Original, event: Event, *, unmasked: bool) -> ShownOriginal:
    record = original.whole_record
    file_format = event.batch.format or {}
    text = record.decode(file_format.get("encoding") or "utf-8", "replace")
    item = None if original.item is None else original.item + 1
    if file_format.get("columns"):
        cells = dict(zip(file_format["columns"], _row(text, file_format), strict=False))
        cells = cells if unmasked else _masked_cells(cells, event, file_format.get("matching") or {})
        return ShownOriginal("", list(cells.items()), item, len(record))
    return ShownOriginal(_pretty(text, event, unmasked=unmasked), None, item, len(record))


def _row(text: str, file_format: dict[str, Any]) -> list[str]:
    """The cells of a row: a sheet's are kept as a JSON list."""
    if file_format.get("kind") == "xlsx":
        cells: list[str] = json.loads(text)
        return cells
    return next(csv.reader([text], delimiter=file_format.get("delimiter") or ",", quotechar=file_format.get("quote") or '"'), [])


def _masked_cells(cells: dict[str, str], event: Event, matching: dict[str, Any]) -> dict[str, str]:
    """As `_masked`; cells of columns that were matched to personal attributes or to identifiers are hidden whole too."""
    columns = [column for one in (matching, *matching.get("events", ())) for column in one.get("columns", ())]
    personal = personal_codes()
    hidden = {
        column["heading"]
        for column in columns
        if column["target"].startswith("identifier.") or column["target"].removeprefix("attribute.").lower() in personal
    }
    masked: dict[str, str] = _masked(cells, event)
    return {heading: STARS if heading in hidden and cell else cell for heading, cell in masked.items()}


def _pretty(text: str, event: Event, *, unmasked: bool) -> str:
    """Numbers keep their digits; what is no JSON stays as it is."""
    try:
        record = json.loads(text, parse_float=_Digits, parse_int=_Digits)
    except (ValueError, RecursionError):
        return text if unmasked else mask_in_text(text)
    pretty = _json(record if unmasked else _masked(record, event))
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


def _masked(record: Any, event: Event) -> Any:
    """Mask phones, e-mails and ids, what stands under the name of a personal attribute, and the event's identifiers."""
    return mask_in_record(record, hidden_keys=personal_codes(), hidden_values=frozenset((event.identifiers or {}).values()))
