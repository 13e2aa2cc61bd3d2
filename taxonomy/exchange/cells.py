"""Cells of a workbook: how each form of value is written, and read again. Never evaluated, never guessed."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from staff.models import in_reader_language
from taxonomy.exchange.columns import Column, in_languages
from taxonomy.exchange.shapes import Trouble
from taxonomy.lines import LineError, read_constraints, read_groups, read_words, written_constraints, written_groups

# A text that no cell can hold stands as this, and stays as it is.
KEPT = "⟨…⟩"
# What Excel holds in a cell, in characters.
CELL_LONGEST = 32_767
# How a workbook writes a character that XML cannot hold.
_ESCAPE = re.compile("_x005F(?=_x)|_x[0-9A-Fa-f]{4}_")
_YES = frozenset({"yes", "y", "true", "1", "x", "✓", "✔", "√", "是", "对"})
_NO = frozenset({"no", "n", "false", "0", "✗", "×", "否", "不", "-"})


class Odd(NamedTuple):
    """What a cell holds besides a text: "formula", "date" or "error", and how it is written."""

    odd: str
    text: str


Cell = str | int | float | bool | None | Odd


class Unsaid(Exception):
    """The cell says nothing: the field stays as it is, or has its default."""


@dataclass(slots=True)
class Words:
    """What is written for a choice in the reader's language, and what is read for it in either. `departments`: {code: [code, English, Chinese]}."""

    departments: dict[str, list[str]] = field(default_factory=dict)
    _spoken: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def label(self, column: Column, value: str) -> str:
        if column.form == "owner":
            names = self.departments.get(value) or [value]
            label = in_reader_language(names[min(1, len(names) - 1)], names[-1])
            return label if self.value(column, label) == value else value
        return str(column.of(value).label) if value in column.of.values else value

    def value(self, column: Column, written: str) -> str:
        if column.form == "owner":
            found = [code for code, names in self.departments.items() if _same(written, names)]
            return found[0] if len(found) == 1 else written
        if written in column.of.values:
            return written
        if column.name not in self._spoken:
            self._spoken[column.name] = {value: in_languages(column.of(value).label) for value in column.of.values}
        return next((value for value, names in self._spoken[column.name].items() if _same(written, names)), written)


def written(column: Column, value: Any, words: Words) -> str:
    """The text of a cell. `KEPT` for one that no cell can hold."""
    text = _written(column, value, words)
    return KEPT if len(text) > CELL_LONGEST or text == KEPT else text


def read(column: Column, cell: Cell, words: Words, stands: Any = None) -> Any:
    """A cell's value, or a Trouble. `stands`: the value as it is, which a cell that still says so means exactly. Raises Unsaid."""
    if isinstance(cell, Odd) and cell.odd != "date":
        return Trouble(f"cell.{cell.odd}", column.name, {"seen": cell.text})
    text = text_of(cell)
    if text == KEPT or (text == "" and column.form in ("choice", "yes", "number", "envelope") and column.name not in ("of", "operator")):
        raise Unsaid
    if stands is not None and plain(text) == plain(_written(column, stands, words)):
        return stands
    if isinstance(cell, Odd) and column.name != "example":
        return Trouble("cell.date", column.name, {"seen": cell.text})
    try:
        return _READERS[column.form](column, text, words)
    except LineError as error:
        return Trouble("cell.lines", column.name, {"problem": str(error)})
    except ValueError as error:
        return Trouble(str(error), column.name, {"seen": text[:80]})


def text_of(cell: Cell) -> str:
    """1.0 is 1: to Excel every number has a fraction."""
    if isinstance(cell, Odd):
        return cell.text
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return "TRUE" if cell is True else "FALSE" if cell is False else str(cell)


def plain(text: str) -> str:
    """What is left of a text on its way through a workbook: no control characters, one kind of line end, no blanks around it."""
    unified = _ESCAPE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(one for one in unified if one >= " " or one in "\t\n").strip()


def _written(column: Column, value: Any, words: Words) -> str:
    if value is None:
        return ""
    match column.form:
        case "choice" | "owner":
            return words.label(column, value)
        case "yes":
            return words_for(value)
        case "words":
            return _unless_other(", ".join(value), value, read_words)
        case "groups":
            return _unless_other(written_groups(value), value, read_groups)
        case "constraints":
            # 0 and "0" are one bound: the cell that still says so keeps the one it was
            return written_constraints(value) if _reads(read_constraints, written_constraints(value), value) else _json(value)
        case "envelope":
            return _unless_other(_envelope_lines(value), value, _read_envelope)
        case "json":
            return _json(value) if value else ""
        case _:
            return str(value)


def words_for(value: bool) -> str:
    from django.utils.translation import gettext as _

    return _("yes") if value else _("no")


def _reads(reader: Callable[[str], Any], text: str, value: Any) -> bool:
    try:
        found = reader(text)
    except LineError:
        return False
    return json.dumps(found, default=str) == json.dumps({name: one if name in _TYPED else _texts(one) for name, one in value.items()})


_TYPED = frozenset({"min_length", "max_length", "min_items", "max_items", "choices"})


def _texts(value: Any) -> Any:
    return value if isinstance(value, (list, dict)) else str(value)


def _unless_other(text: str, value: Any, reader: Callable[[str], Any]) -> str:
    """The text, unless it would be read as something else: then JSON."""
    return text if not text.startswith(("[", "{")) and reader(text) == value else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _read_json(text: str, expected: type) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("cell.json") from None
    if not isinstance(found, expected):
        raise ValueError("cell.json")
    return found


def _or_json(reader: Callable[[str], Any], opening: str, expected: type) -> Callable[[Column, str, Words], Any]:
    return lambda column, text, words: _read_json(text, expected) if text.lstrip().startswith(opening) else reader(text)


def _envelope_lines(value: dict[str, Any]) -> str:
    flat: list[tuple[str, Any]] = []
    for name, one in value.items():
        flat += [(f"{name}.{inner}", two) for inner, two in one.items()] if isinstance(one, dict) else [(name, one)]
    return "\n".join(f"{name} = {one}" for name, one in flat)


def _read_envelope(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in text.splitlines():
        name, sign, value = (part.strip() for part in line.partition("="))
        if not line.strip():
            continue
        if not sign or not name:
            raise ValueError("cell.envelope")
        outer, _dot, inner = name.partition(".")
        if not inner:
            found[name] = value
        elif isinstance(found.setdefault(outer, {}), dict):
            found[outer][inner] = value
        else:
            raise ValueError("cell.envelope")
    return found


def _read_yes(column: Column, text: str, words: Words) -> bool:
    said = text.strip().lower()
    if said in _YES or said in _NO:
        return said in _YES
    raise ValueError("cell.yes")


def _read_number(column: Column, text: str, words: Words) -> int:
    if not text.strip().isdecimal() or len(text.strip()) > 10:
        raise ValueError("cell.number")
    return int(text)


def _same(written: str, names: Iterable[str]) -> bool:
    return written.strip().lower() in {name.strip().lower() for name in names}


_READERS: dict[str, Callable[[Column, str, Words], Any]] = {
    "text": lambda column, text, words: text.strip(),
    "code": lambda column, text, words: text.strip(),
    "id": lambda column, text, words: text.strip().lower(),
    "choice": lambda column, text, words: words.value(column, text.strip()),
    "owner": lambda column, text, words: words.value(column, text.strip()),
    "yes": _read_yes,
    "number": _read_number,
    "words": _or_json(lambda text: read_words(text.replace("\n", ",").replace(";", ",").replace("；", ",")), "[", list),
    "groups": _or_json(read_groups, "[", list),
    "constraints": _or_json(read_constraints, "{", dict),
    "envelope": _or_json(_read_envelope, "{", dict),
    "json": lambda column, text, words: _read_json(text, dict) if text.strip() else {},
}
