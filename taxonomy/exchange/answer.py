"""The answer to an upload: its own sheets, each row with what came of it and why."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from taxonomy.diff import diff, title
from taxonomy.exchange.book import SheetRead
from taxonomy.exchange.cells import Words, text_of, written
from taxonomy.exchange.columns import REASON, STATUS, Column, Sheet
from taxonomy.exchange.shapes import Trouble
from taxonomy.exchange.words import STATUSES, trouble_text
from taxonomy.exchange.workbook import PARTS, Reading, Where, item_cells, rule_keys
from taxonomy.exchange.written import Definition, Entry, Items, write
from taxonomy.exchange.xlsx import SheetOut

_OURS = (STATUS.name, REASON.name)


def answer(reading: Reading, entries: list[Entry], draft: Items, said: Words, names: Items | None = None) -> list[SheetOut]:
    """The uploaded sheets, without what an earlier answer added; what is missing in them stands at the end of each.

    `names`: of items to tell of, where some are not in the draft that was compared.
    """
    teller = _Teller(reading, entries, draft, said, names_of(entries, draft) if names is None else names)
    return [teller.sheet(at, sheet, known, columns) for at, (sheet, known, columns) in enumerate(reading.sheets)]


def names_of(entries: list[Entry], draft: Items) -> Items:
    return draft | {entry.item: entry.after for entry in entries if entry.after is not None}


def reasons(entry: Entry, names: Items) -> list[str]:
    """Why it is wrong, else what changes; and what one should know of it."""
    told = [trouble_text(one, names) for one in entry.troubles]
    if entry.status == "changed":
        told += [f"{line.field}: {line.before or '–'} → {line.after or '–'}" for line in diff(entry.before, entry.after, names)]
    return told + [trouble_text(one, names) for one in entry.notes]


class _Teller:
    def __init__(self, reading: Reading, entries: list[Entry], draft: Items, said: Words, names: Items) -> None:
        self.reading, self.entries, self.said = reading, entries, said
        self.names = names
        self.by_key = {(entry.kind, entry.key): entry for entry in entries}
        self.plan = write(draft)
        self.rules = rule_keys(self.plan)

    def sheet(self, at: int, sheet: SheetRead, known: Sheet | None, columns: list[Column | None]) -> SheetOut:
        kept = [place for place, _text in enumerate(sheet.header) if known is None or not (columns[place] and columns[place].name in _OURS)]  # type: ignore[union-attr]
        head = [sheet.header[place] for place in kept]
        if known is None:
            return SheetOut("", sheet.title, head, [None] * len(head), [[text_of(cell) for cell in cells] for _number, cells in sheet.rows])
        own: list[Column | None] = [columns[place] for place in kept]
        out = SheetOut(known.name, sheet.title, [str(STATUS.label), str(REASON.label), *head], [STATUS, REASON, *own])
        for place, (_number, cells) in enumerate(sheet.rows):
            where = self.reading.places.get((at, place))
            troubles = self.reading.troubles.get((at, place), [])
            if where is None and not troubles:
                continue
            status, why = self._row(where, known, troubles)
            texts = [text_of(cells[one]) if one < len(cells) else "" for one in kept]
            self._add(out, status, why, texts)
        for status, why, fields in self._missing(known):
            self._add(out, status, why, [written(one, fields.get(one.name), self.said) if one else "" for one in own])
        return out

    def _add(self, out: SheetOut, status: str, why: list[str], texts: list[str]) -> None:
        out.rows.append([str(STATUSES[status]), "\n".join(why), *texts])  # type: ignore[index]
        out.statuses.append(status)

    def _row(self, where: Where | None, known: Sheet, troubles: list[Trouble]) -> tuple[str, list[str]]:
        if troubles or where is None:
            return "wrong", [trouble_text(one, self.names) for one in troubles]
        entry = self.by_key.get((where.kind, where.key))
        if entry is None:
            return "unchanged", [trouble_text(Trouble("written.gone_already"), self.names)]
        if known.name not in PARTS:
            return entry.status, reasons(entry, self.names)
        if entry.after is None and entry.before is not None:
            return entry.status, self._left_out(entry) if entry.status == "wrong" else []
        about = [one for one in entry.troubles if self._is_about(one, known, where.part)]
        if about:
            return "wrong", [trouble_text(one, self.names) for one in about]
        if entry.status == "wrong":
            return "wrong", self._left_out(entry)
        before, after = (self._parts(one, known).get(where.part) for one in (entry.before, entry.after))
        if before is None:
            return "added", []
        lines = diff({"kind": entry.kind, known.within: [before]}, {"kind": entry.kind, known.within: [after]}, self.names) if after else []
        return ("unchanged", []) if before == after else ("changed", [f"{line.before or '–'} → {line.after or '–'}" for line in lines])

    def _left_out(self, entry: Entry) -> list[str]:
        """Why a part is not taken though nothing is wrong with it: what is wrong with its item."""
        one = entry.after or entry.before or {}
        named = title(one, self.names) if one.get("label_en") or one.get("source") else entry.key
        return [_("Left out: something else of %(item)s is wrong.") % {"item": named}, *reasons(entry, self.names)]

    def _is_about(self, trouble: Trouble, known: Sheet, part: str) -> bool:
        told = [str(value) for value in trouble.values.values()]
        return trouble.field == f"{known.within}.{part}" or (trouble.field.partition(".")[0] == known.within and part in told)

    def _parts(self, one: Definition | None, known: Sheet) -> dict[str, Definition]:
        key = PARTS[known.name][1]
        rows = (one or {}).get(known.within) or []
        return {
            (self.names[row[key]]["code"] if key in ("attribute", "source") and row[key] in self.names else row[key]): row for row in rows
        }

    def _missing(self, known: Sheet) -> Iterator[tuple[str, list[str], dict[str, Any]]]:
        """What goes: items of the sheet, and parts of items that stay. (status, reasons, values by column)."""
        if known.name not in PARTS:
            for entry in self.entries:
                if entry.after is None and entry.before is not None and entry.kind == known.kind:
                    key = entry.item if entry.kind == "rule" else entry.before["code"]
                    yield entry.status, reasons(entry, self.names), item_cells(known, key, self.plan, self.rules)
            return
        outer, part = PARTS[known.name]
        for entry in self.entries:
            if entry.kind == known.kind and entry.status == "changed":
                after = self._parts(entry.after, known)
                for key, row in self._parts(entry.before, known).items():
                    if key not in after:
                        yield "removed", [], {**row, outer: self.rules.get(entry.item, entry.key), part: key}
