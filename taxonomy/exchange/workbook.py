"""The plan as sheets, and sheets as a plan: out in the reader's language, in from either, each row marked with what came of it."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from staff.models import Department
from taxonomy.exchange.book import SheetRead, UnreadableBook
from taxonomy.exchange.cells import Cell, Unsaid, Words, read, text_of, written
from taxonomy.exchange.columns import ABOUT, SHEETS, Column, Sheet, columns_of, header, in_languages, sheet_of
from taxonomy.exchange.shapes import Trouble
from taxonomy.exchange.words import STATUSES
from taxonomy.exchange.written import KINDS, Definition, Entry, Items, Written, write
from taxonomy.exchange.xlsx import SheetOut

# Rows of these belong to an item of another sheet: {sheet: (the item's column, what a row is known by)}
PARTS = {
    "tag_attributes": ("tag", "attribute"),
    "refinements": ("tag", "pattern"),
    "modes": ("tag", "source"),
    "rule_rows": ("rule", "target"),
}
_CONDITION = ("path", "operator", "value")
# A mode without a source is that of every other.
_MAY_BE_EMPTY = ("source",)


@dataclass(frozen=True, slots=True)
class Where:
    """What a row of a sheet is: an item, or a part of one by its key."""

    kind: str
    key: str
    part: str = ""


@dataclass(slots=True)
class Reading:
    """What sheets say. `places`: {(sheet, row's place in it): what it is}; `troubles`: those of a row that is no item."""

    written: Written = field(default_factory=lambda: {kind: {} for kind in KINDS})
    sheets: list[tuple[SheetRead, Sheet | None, list[Column | None]]] = field(default_factory=list)
    places: dict[tuple[int, int], Where] = field(default_factory=dict)
    troubles: dict[tuple[int, int], list[Trouble]] = field(default_factory=lambda: defaultdict(list))
    notes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    base: str = ""
    is_selection: bool = False
    whole: set[str] = field(default_factory=set)


def words() -> Words:
    """{department: the names it is written and read by}. One query."""
    return Words({one.code: [one.code, one.label_en, one.label_zh_hans] for one in Department.objects.all()})


def around(items: Items, tags: Collection[str]) -> Items:
    """These tags with what they stand on: their attributes, categories and successors, the rules that lead to them and their sources."""
    found = {item for item in tags if item in items}
    for item in list(found):
        one = items[item]
        found |= {use["attribute"] for use in one["attributes"]} | {one["successor"]} - {None}
        found |= {mode["source"] for mode in one.get("modes") or []} - {""}
        above = one["category"]
        while above in items and above not in found:
            found.add(above)
            above = items[above]["parent"]
    for item, one in items.items():
        if one["kind"] == "rule" and one["tag"] in tags:
            found |= {item, one["source"]}
    return {item: one for item, one in items.items() if item in found}


def sheets_of(items: Items, chosen: Collection[str], said: Words) -> list[SheetOut]:
    """The sheets of the chosen items of a plan, in the reader's language."""
    plan = write(items)
    keys = rule_keys(plan)
    out = []
    for sheet in SHEETS.values():
        labels = [str(column.label) for column in sheet.columns]
        rows = []
        for key, fields in plan[sheet.kind].items():
            if fields["id"] in chosen:
                lines = _lines(sheet, item_cells(sheet, key, plan, keys))
                rows += [[written(column, line.get(column.name), said) for column in sheet.columns] for line in lines]
        out.append(SheetOut(sheet.name, str(sheet.title), labels, list(sheet.columns), rows))
    return out


def item_cells(sheet: Sheet, key: str, plan: Written, keys: dict[str, str] | None = None) -> Definition:
    """An item's values by column."""
    fields = plan[sheet.kind][key]
    if sheet.kind != "rule":
        return {**fields, "code": key}
    return {**fields, **_condition_cells(fields), "rule": (keys or rule_keys(plan))[key]}


def about(*, base: str, is_selection: bool, told: str) -> list[list[str]]:
    """The page of explanations, and what a later reading must know: what the workbook was written from."""
    return [
        [_("The tracking plan of Tagline"), ""],
        [told, ""],
        ["", ""],
        [_("How to change it"), _("Change cells, add rows, and upload the workbook under “In and out”. Nothing changes by uploading: you see what it would change and make a proposal of it.")],
        [_("Something new"), _("Add a row and leave its id empty.")],
        [_("Another code"), _("Change the code and leave the id: it stays the same item, with its history and its rules.")],
        [_("Something that should go"), _("Delete its row, and choose “remove” after the upload. Parts of a tag or a rule go with their rows.")],
        [_("Columns"), _("They may be in any order, in English or Chinese; columns of your own are left aside.")],
        [_("Formulas"), _("They are not read. Paste them as values.")],
        ["", ""],
        ["tagline format", "workbook/1"],
        ["tagline base", base],
        ["tagline selection", "yes" if is_selection else "no"],
    ]  # fmt: skip


def rule_keys(plan: Written) -> dict[str, str]:
    """{a rule's uuid: what it is called in a workbook}: its source and name, and a number where several have them."""
    seen: dict[str, int] = defaultdict(int)
    keys = {}
    for item, fields in plan["rule"].items():
        name = f"{fields['source']}: {fields['name']}"[:200].strip()
        seen[name] += 1
        keys[item] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return keys


def read_sheets(sheets: list[SheetRead], draft: Items, said: Words, *, everything: bool = False) -> Reading:
    """What the sheets of an upload say. Raises UnreadableBook where none is of ours, or a header stands twice.

    `everything`: it is the whole plan, as one written here whole says by itself; what has no row on its sheet then goes.
    """
    reader = _Reader(draft, said)
    for sheet in sheets:
        reader.know(sheet)
    if not reader.reading.is_selection and (everything or reader.is_ours):
        reader.reading.whole = {known.kind for _sheet, known, _columns in reader.reading.sheets if known and known.name not in PARTS}
    if not any(known for _sheet, known, _columns in reader.reading.sheets):
        raise UnreadableBook("book.no_sheet", seen=", ".join(sheet.title for sheet in sheets)[:200], expected=_titles())
    for parts in (False, True):
        for at, (sheet, known, columns) in enumerate(reader.reading.sheets):
            if known and (known.name in PARTS) == parts:
                (reader.parts if parts else reader.items)(at, sheet, known, columns)
    return reader.reading


def place_rules(entries: list[Entry], plan: Written, draft: Items) -> None:
    """Rules added without a position come after those that are there."""
    last: dict[str, int] = defaultdict(lambda: -1)
    for one in (*draft.values(), *(entry.after for entry in entries if entry.kind == "rule" and entry.after)):
        if one["kind"] == "rule":
            last[one["source"]] = max(last[one["source"]], one["position"])
    for entry in entries:
        if entry.kind == "rule" and entry.status == "added" and entry.after and "position" not in plan["rule"].get(entry.key, {}):
            last[entry.after["source"]] += 1
            entry.after = {**entry.after, "position": last[entry.after["source"]]}


class _Reader:
    def __init__(self, draft: Items, said: Words) -> None:
        self.said = said
        self.reading = Reading()
        self.plan = write(draft)
        self.by_id = {fields["id"]: (kind, key) for kind in KINDS for key, fields in self.plan[kind].items()}
        self.by_code = {(kind, key.lower()): key for kind in KINDS[:-1] for key in self.plan[kind]}
        self.rules = {name: item for item, name in rule_keys(self.plan).items()}
        # {(kind, what parts name it by): its key here}
        self.named: dict[tuple[str, str], str] = {}
        self.is_ours = False

    def know(self, sheet: SheetRead) -> None:
        known = sheet_of(sheet.title)
        if known is ABOUT:
            self._about(sheet)
            return
        columns: list[Column | None] = []
        if known is not None:
            headers = columns_of(known)
            columns = [header(text, headers) for text in sheet.header]
            self._refuse(sheet, known, columns)
            ignored = [text for text, column in zip(sheet.header, columns, strict=True) if column is None and text]
            if ignored:
                self.reading.notes.append(("book.columns_ignored", {"sheet": sheet.title, "columns": ", ".join(ignored)}))
        else:
            self.reading.notes.append(("book.sheet_ignored", {"sheet": sheet.title}))
        self.reading.sheets.append((sheet, known, columns))

    def _about(self, sheet: SheetRead) -> None:
        said = {text_of(cells[0]): text_of(cells[1]) for _number, cells in sheet.rows if len(cells) > 1}
        self.is_ours = said.get("tagline format", "") == "workbook/1"
        self.reading.base = said.get("tagline base", "")
        self.reading.is_selection = said.get("tagline selection", "") == "yes"

    def _refuse(self, sheet: SheetRead, known: Sheet, columns: list[Column | None]) -> None:
        found = [column.name for column in columns if column]
        if twice := next((name for name in found if found.count(name) > 1), None):
            raise UnreadableBook("book.header_twice", sheet=sheet.title, header=str(known.column(twice).label) if twice in {c.name for c in known.columns} else twice)  # fmt: skip
        first = [known.columns[0].name] if known.name not in PARTS else list(PARTS[known.name])
        missing = [name for name in first if name not in found and not (name in ("code", "rule") and "id" in found)]
        missing = [] if known.name == "rules" and {"source", "name"} <= set(found) else missing
        if missing:
            labels = ", ".join(str(known.column(name).label) for name in missing)
            raise UnreadableBook("book.header_missing", sheet=sheet.title, header=labels, seen=", ".join(filter(None, sheet.header))[:200])

    def items(self, at: int, sheet: SheetRead, known: Sheet, columns: list[Column | None]) -> None:
        for place, (_number, cells) in enumerate(sheet.rows):
            if self._is_removed(cells, columns):
                continue
            stands = self._stands(known, cells, columns)
            fields = self._fields(cells, columns, stands)
            key = self._key(known, fields, stands, place)
            if key in self.reading.written[known.kind]:
                trouble = Trouble("written.twice", "code", {"code": key})
                self.reading.written[known.kind][key]["twice"] = trouble
                self.reading.troubles[at, place].append(trouble)
                self.reading.places[at, place] = Where(known.kind, key)
                continue
            self.reading.written[known.kind][key] = fields
            self.reading.places[at, place] = Where(known.kind, key)

    def parts(self, at: int, sheet: SheetRead, known: Sheet, columns: list[Column | None]) -> None:
        outer, part = PARTS[known.name]
        of_kind = self.reading.written[known.kind]
        seen: set[tuple[str, str]] = set()
        is_complete = self.is_ours or known.kind in self.reading.whole
        for fields in of_kind.values():
            if is_complete or "id" not in fields:
                fields.setdefault(known.within, [])
        for place, (_number, cells) in enumerate(sheet.rows):
            if self._is_removed(cells, columns):
                continue
            named = text_of(self._at(cells, columns, outer)).strip()
            key = self._named(known.kind, named)
            if key is None:
                self.reading.troubles[at, place].append(Trouble("written.no_such", outer, {"code": named}))
                continue
            part_key = text_of(self._at(cells, columns, part)).strip()
            if known.kind in self.reading.whole and key not in of_kind:
                # its item has no row any more: it goes with it
                self.reading.places[at, place] = Where(known.kind, key, part_key)
                continue
            row = self._fields(cells, columns, self._part_stands(known, key, part, part_key))
            row.pop(outer, None)
            self.reading.places[at, place] = Where(known.kind, key, part_key)
            unread = [one for one in row.values() if isinstance(one, Trouble)]
            if not part_key and part not in _MAY_BE_EMPTY:
                unread.append(Trouble("written.missing", part))
            self.reading.troubles[at, place] += unread
            fields = of_kind.setdefault(key, {})
            said = fields.setdefault(known.within, [] if is_complete else self._parts_there(known, key, fields))
            if unread:
                said += [Trouble(one.code, known.within, one.values) for one in unread]
            else:
                _put(said, part, part_key, row["pattern"] if part == "pattern" else row, is_again=(key, part_key) in seen)
                seen.add((key, part_key))

    def _is_removed(self, cells: list[Cell], columns: list[Column | None]) -> bool:
        """A row that an answer of ours added to show what is missing."""
        told = text_of(self._at(cells, columns, "status_told"))
        return bool(told) and told in in_languages(STATUSES["removed"])

    def _stands(self, known: Sheet, cells: list[Cell], columns: list[Column | None]) -> Definition | None:
        """The item as the draft has it, if the row is of one: by its id, else by its code."""
        given = text_of(self._at(cells, columns, "id")).strip().lower()
        kind, key = self.by_id.get(given, ("", ""))
        if kind != known.kind:
            named = text_of(self._at(cells, columns, "rule" if known.kind == "rule" else "code")).strip()
            key = (self.rules.get(named) if known.kind == "rule" else self.by_code.get((known.kind, named.lower()))) or ""
        stands = self.plan[known.kind].get(key)
        if stands is None:
            return None
        return {**stands, **_condition_cells(stands)} if known.kind == "rule" else {**stands, "code": key}

    def _parts_there(self, known: Sheet, key: str, fields: Definition) -> list[Any]:
        """The parts that the item has in the draft, to which a sheet that is not whole only adds."""
        own = self.by_id.get(str(fields.get("id")), (known.kind, key))[1]
        return list(self.plan[known.kind].get(own, {}).get(known.within) or [])

    def _part_stands(self, known: Sheet, key: str, part: str, part_key: str) -> Definition | None:
        rows = self._parts_there(known, key, self.reading.written[known.kind].get(key, {}))
        return next((row for row in rows if isinstance(row, dict) and row[part] == part_key), None)

    def _fields(self, cells: list[Cell], columns: list[Column | None], stands: Definition | None) -> Definition:
        fields: Definition = {}
        for cell, column in zip(cells, columns, strict=False):
            if column is None or column.name in ("status_told", "reason_told"):
                continue
            try:
                fields[column.name] = read(column, cell, self.said, (stands or {}).get(column.name))
            except Unsaid:
                continue
        return fields

    def _key(self, known: Sheet, fields: Definition, stands: Definition | None, place: int) -> str:
        """What the row is written under; its fields become those of a definition."""
        if not fields.get("id") or isinstance(fields["id"], Trouble):
            fields.pop("id", None)
        if stands is not None and "id" not in fields:
            fields["id"] = stands["id"]
        if known.kind == "rule":
            return self._rule_key(fields, stands, place)
        code = fields.pop("code", (stands or {}).get("code"))
        if isinstance(code, Trouble) or not code:
            fields["code_told"] = code if isinstance(code, Trouble) else Trouble("written.missing", "code")
            code = (stands or {}).get("code") or f"({place + 2})"
        self.named[known.kind, code.lower()] = code
        if stands is not None:
            self.named.setdefault((known.kind, stands["code"].lower()), code)
        return str(code)

    def _rule_key(self, fields: Definition, stands: Definition | None, place: int) -> str:
        told = fields.pop("rule", None)
        given = {name: fields.pop(name) for name in _CONDITION if name in fields}
        if given:
            condition = {**_condition_cells(stands or {}), **given}
            unread = next((one for one in condition.values() if isinstance(one, Trouble)), None)
            fields["condition"] = unread or ({name: condition[name] for name in _CONDITION} if any(condition.values()) else None)
        name = told if isinstance(told, str) and told else f"{fields.get('source')}: {fields.get('name')}"
        key = fields.get("id") or name
        if not fields.get("id") and key in self.reading.written["rule"]:
            key = f"{name} ({place + 2})"
        self.named.setdefault(("rule", name), key)
        return str(key)

    def _named(self, kind: str, named: str) -> str | None:
        """The key under which an item is written that a part names; one of the draft that has no row of its own gets one."""
        if kind == "rule":
            return self.named.get((kind, named)) or self.rules.get(named)
        return self.named.get((kind, named.lower())) or self.by_code.get((kind, named.lower()))

    def _at(self, cells: list[Cell], columns: list[Column | None], name: str) -> Cell:
        return next((cell for cell, column in zip(cells, columns, strict=False) if column and column.name == name), None)


def _put(rows: list[Any], part: str, key: str, row: Any, *, is_again: bool) -> None:
    """Put a row in the place of the one with its key; `is_again`: the key stands a second time in what came in, which is wrong."""
    for at, one in enumerate(rows):
        if not is_again and (one.get(part) if isinstance(one, dict) else one) == key:
            rows[at] = {**one, **row} if isinstance(one, dict) else row
            return
    rows.append(row)


def _lines(sheet: Sheet, fields: Definition) -> list[Definition]:
    if not sheet.within:
        return [fields]
    name = PARTS[sheet.name][0]
    outer = fields["rule"] if name == "rule" else fields["code"]
    return [{**({"pattern": one} if isinstance(one, str) else one), name: outer} for one in fields.get(sheet.within) or []]


def _condition_cells(fields: Definition) -> Definition:
    return {name: (fields.get("condition") or {}).get(name, "") for name in _CONDITION}


def _titles() -> str:
    return ", ".join(str(sheet.title) for sheet in SHEETS.values())
