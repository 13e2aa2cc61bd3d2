"""A record as its source sent it, made readable: pretty JSON, or a file's row as a table; masked unless permitted."""

import csv
import json
from dataclasses import dataclass
from typing import Any

from profiles.models import Event, Original
from staff.masking import mask_in_record, mask_in_text
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
    text = record.decode("utf-8", "replace")
    item = None if original.item is None else original.item + 1
    file_format = event.batch.format or {}
    if file_format.get("columns"):
        row = next(csv.reader([text], delimiter=file_format.get("delimiter") or ","), [])
        cells = dict(zip(file_format["columns"], row, strict=False))
        cells = cells if unmasked else _masked(cells, event)
        return ShownOriginal("", list(cells.items()), item, len(record))
    return ShownOriginal(_pretty(text, event, unmasked=unmasked), None, item, len(record))


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
