"""Saving sheets as an .xlsx workbook or as CSV: frozen headers, lists to choose from, colors for what came of each row."""

import csv
import io
import re
import zipfile
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter, quote_sheetname
from openpyxl.worksheet.datavalidation import DataValidation

from taxonomy.exchange.book import escaped
from taxonomy.exchange.cells import CELL_LONGEST, Words
from taxonomy.exchange.columns import SHEETS, Column

# Rows that a list to choose from is offered in and taken from: room for what is added by hand.
_ROOM = 5_000
# Excel's own way to hold a control character, and to hold a text that looks like one.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|_x[0-9A-Fa-f]{4}_")
_COLORS = {"added": "C6EFCE", "changed": "FFEB9C", "removed": "D9D9D9", "wrong": "FFC7CE"}
ENCODINGS = {"utf-8": ("utf-8-sig", ","), "gb18030": ("gb18030", ","), "utf-16": ("utf-16", "\t")}


@dataclass(slots=True)
class SheetOut:
    """A sheet to write. `columns`: what is known of each column, None for one of the uploader's own; `statuses`: one a row, or none."""

    name: str
    title: str
    header: list[str]
    columns: list[Column | None]
    rows: list[list[str]] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)


def save_xlsx(sheets: Sequence[SheetOut], about: list[list[str]], words: Words) -> bytes:
    """The workbook, its page of explanations first. Every cell is a text, so that nothing of it is a formula."""
    book = Workbook(write_only=True)
    styles = _Styles(book)
    _write_about(book, about, styles)
    taken = {styles.sheet.title.lower()}
    lists = _Lists(_title(_("Lists"), taken), sheets, words)
    for sheet in sheets:
        sheet.title = _title(sheet.title, taken)
    for sheet in sheets:
        _write_sheet(book, sheet, styles, lists)
    lists.write(book)
    stored = io.BytesIO()
    book.save(stored)
    return stored.getvalue()


def save_csv(sheets: Sequence[SheetOut], about: list[list[str]], *, encoding: str) -> bytes:
    """A zip with a CSV for each sheet. `encoding`: a key of ENCODINGS."""
    codec, delimiter = ENCODINGS[encoding]
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, rows in [("about", about), *((sheet.name, [sheet.header, *sheet.rows]) for sheet in sheets)]:
            text = io.StringIO(newline="")
            csv.writer(text, delimiter=delimiter).writerows([escaped(cell) for cell in row] for row in rows)
            packed.writestr(f"{name}.csv", text.getvalue().encode(codec, "replace"))
    return stored.getvalue()


class _Styles:
    """One cell of each look, made once: giving a cell its style anew takes longer than writing it."""

    def __init__(self, book: Any) -> None:
        self.sheet = book.create_sheet(_("Read me"))
        top = Alignment(vertical="top", wrap_text=True)
        self.header = self._look(Font(bold=True, color="FFFFFF"), PatternFill("solid", fgColor="0F6E6E"), Alignment(vertical="center", wrap_text=True))  # fmt: skip
        self.plain = self._look(Font(), None, top)
        self.grey = self._look(Font(color="999999"), None, Alignment(vertical="top"))
        self.bold = self._look(Font(bold=True, size=14), None, None)
        self.of_status = {
            status: self._look(Font(bold=status == "wrong"), PatternFill("solid", fgColor=color), top) for status, color in _COLORS.items()
        }

    def _look(self, font: Font, fill: PatternFill | None, alignment: Alignment | None) -> Any:
        cell: Any = WriteOnlyCell(self.sheet, value="")
        cell.font, cell.number_format = font, "@"
        if fill:
            cell.fill = fill
        if alignment:
            cell.alignment = alignment
        return cell._style

    def cell(self, text: str, look: Any) -> Any:
        cell: Any = WriteOnlyCell(self.sheet)
        cell._value, cell.data_type = _storable(text[:CELL_LONGEST]), "s"
        cell._style = copy(look)
        return cell


def _storable(text: str) -> str:
    return _CONTROL.sub(lambda found: f"_x{ord(found.group()):04X}_" if len(found.group()) == 1 else f"_x005F{found.group()}", text)


def _write_about(book: Any, about: list[list[str]], styles: _Styles) -> None:
    sheet = styles.sheet
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 28, 90
    for at, row in enumerate(about):
        sheet.append([styles.cell(text, styles.bold if at == 0 else styles.grey if row[0].startswith("tagline ") else styles.plain) for text in row])  # fmt: skip


def _write_sheet(book: Any, sheet: SheetOut, styles: _Styles, lists: "_Lists") -> None:
    stored = book.create_sheet(sheet.title)
    stored.freeze_panes = "B2"
    for at, column in enumerate(sheet.columns, 1):
        stored.column_dimensions[get_column_letter(at)].width = column.width if column else 18
    if sheet.header:
        stored.auto_filter.ref = f"A1:{get_column_letter(len(sheet.header))}{len(sheet.rows) + 1}"
    for validation in lists.validations(sheet):
        stored.data_validations.append(validation)
    stored.append([styles.cell(text, styles.header) for text in sheet.header])
    looks = [styles.grey if column and column.form == "id" else styles.plain for column in sheet.columns]
    for at, row in enumerate(sheet.rows):
        status = sheet.statuses[at] if sheet.statuses else ""
        marked = [styles.of_status[status]] * 2 if status in styles.of_status else []
        stored.append(
            [styles.cell(text, look) if text else None for text, look in zip(row, [*marked, *looks[len(marked) :]], strict=False)]
        )


def _title(title: str, taken: set[str]) -> str:
    """A title that Excel takes, and no other sheet has."""
    short = re.sub(r"[\[\]:*?/\\]", " ", title).strip("' ")[:28] or "Sheet"
    found = next(one for one in (short, *(f"{short} {number}" for number in range(2, 2_000))) if one.lower() not in taken)
    taken.add(found.lower())
    return found


class _Lists:
    """What each column may be chosen from: a hidden sheet of words, and the columns of codes on the sheets themselves."""

    def __init__(self, title: str, sheets: Sequence[SheetOut], words: Words) -> None:
        self.title = title
        self.columns: list[list[str]] = []
        self.places: dict[str, str] = {}
        self.sheets = {sheet.name: sheet for sheet in sheets}
        self.words = words

    def validations(self, sheet: SheetOut) -> list[DataValidation]:
        found = []
        for at, column in enumerate(sheet.columns, 1):
            if column is None:
                continue
            source = self._source(column)
            about = str(column.about)[:250]
            if not source and not about:
                continue
            validation = DataValidation(
                type="list" if source else None, formula1=source or None, allow_blank=True, showErrorMessage=bool(source)
            )
            validation.errorStyle = "stop" if column.form in ("choice", "yes", "owner") else "warning"
            if about:
                validation.showInputMessage, validation.prompt = True, about
            letter = get_column_letter(at)
            validation.add(f"{letter}2:{letter}{_ROOM}")
            found.append(validation)
        return found

    def _source(self, column: Column) -> str:
        if column.form in ("choice", "yes", "owner"):
            key = column.name
            if key not in self.places:
                choices = self._choices(column)
                self.columns.append(choices)
                letter = get_column_letter(len(self.columns))
                self.places[key] = f"{quote_sheetname(self.title)}!${letter}$1:${letter}${len(choices)}"
            return self.places[key]
        target = self.sheets.get(column.of) if isinstance(column.of, str) else None
        if target is None:
            return ""
        name = SHEETS[target.name].columns[0].name
        at = next((at for at, one in enumerate(target.columns, 1) if one and one.name == name), None)
        return f"{quote_sheetname(target.title)}!${get_column_letter(at)}$2:${get_column_letter(at)}${_ROOM}" if at else ""

    def _choices(self, column: Column) -> list[str]:
        if column.form == "yes":
            return [_("yes"), _("no")]
        if column.form == "owner":
            return [self.words.label(column, code) for code in self.words.departments]
        return [str(label) for label in column.of.labels]

    def write(self, book: Any) -> None:
        if not self.columns:
            return
        sheet = book.create_sheet(self.title)
        sheet.sheet_state = "hidden"
        for at in range(max(map(len, self.columns))):
            sheet.append([one[at] if at < len(one) else None for one in self.columns])
