"""The values of a JSON object by name, as cells of columns: `customer.phone` is one within another; a list is one value. Pure."""

from collections.abc import Iterable
from typing import Any

from taxonomy.standardize import storable
from taxonomy.standardize.decode import NotedRecord


def by_name(record: dict[str, Any]) -> dict[str, Any]:
    """{name: value}, what is said of reading the record kept. Of a name that holds a dot and a place called so, the name counts."""
    if not any(isinstance(value, dict) for value in record.values()):
        return record
    cells: dict[str, Any] = {}
    _put(record, "", cells)
    cells |= {name: value for name, value in record.items() if not isinstance(value, dict) or not value}
    if not isinstance(record, NotedRecord):
        return cells
    noted = NotedRecord(cells)
    noted.notes = record.notes
    return noted


def _put(record: dict[str, Any], before: str, cells: dict[str, Any]) -> None:
    for name, value in record.items():
        if isinstance(value, dict) and value:
            _put(value, f"{before}{name}.", cells)
        else:
            cells[before + name] = value


def names_in(records: Iterable[dict[str, Any]]) -> list[str]:
    """Every name in order of appearance, but for what cannot be kept, and for an object's own where it is null in some records."""
    filled: dict[str, bool] = {}
    for record in records:
        for name, value in by_name(record).items():
            filled[name] = filled.get(name, False) or (value is not None and value != {})
    within = {name[:at] for name in filled for at, sign in enumerate(name) if sign == "."}
    return [name for name, is_filled in filled.items() if name and storable(name) == name and (is_filled or name not in within)]
