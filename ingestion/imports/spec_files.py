"""The template of a source's files to download, empty and with an example of each event: CSV, XLSX with lists to choose from, NDJSON."""

import io
import json
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from ingestion.doors.files import BOM, FileFormat, write_row
from ingestion.imports.spec import Column, Event, Spec

_LAST_ROW = 1_048_576
_NUMBERS: dict[str, Any] = {"integer": "whole", "decimal": "decimal"}
_LARGEST = 10**15
# What a sheet calls the lists that its cells choose from; nobody sees it.
_LISTS = "lists"


def template_csv(spec: Spec) -> bytes:
    """The header alone, in UTF-8 with a mark, so that Excel reads it as such."""
    return BOM + write_row([column.name for column in spec.columns], FileFormat("csv"))


def example_csv(spec: Spec) -> bytes:
    """A row of each event, each accepted as it stands."""
    columns = [column.name for column in spec.columns]
    columns += [name for row in spec.rows for name in row if name not in columns]
    names = list(dict.fromkeys(columns))
    used = [name for name in names if any(name in row for row in spec.rows)]
    return BOM + b"".join(
        write_row(cells, FileFormat("csv")) for cells in [used, *([row.get(name, "") for name in used] for row in spec.rows)]
    )


def example_ndjson(spec: Spec) -> bytes:
    return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in spec.lines)


def template_xlsx(spec: Spec) -> bytes:
    """The header, cells that keep what is typed, lists to choose from and checks of numbers; a second sheet tells of the columns."""
    book = Workbook()
    sheet: Any = book.active
    told, lists = book.create_sheet(_("Columns")), book.create_sheet(_LISTS)
    sheet.title = _("Rows")
    lists.sheet_state = "hidden"
    for at, column in enumerate(spec.columns, 1):
        _put(sheet, 1, at, column.name, bold=True)
        letter = get_column_letter(at)
        sheet.column_dimensions[letter].width = max(14, min(40, len(column.name) + 4))
        if column.type not in _NUMBERS:
            sheet.column_dimensions[letter].number_format = "@"
        check = _check_of(column, lists)
        if check is not None:
            sheet.add_data_validation(check)
            check.add(f"{letter}2:{letter}{_LAST_ROW}")
    sheet.freeze_panes = "A2"
    _tell(told, spec)
    stored = io.BytesIO()
    book.save(stored)
    return stored.getvalue()


def _check_of(column: Column, lists: Worksheet) -> DataValidation | None:
    if column.choices:
        at = lists.max_column + (1 if lists.cell(1, 1).value is not None else 0)
        for row, choice in enumerate(column.choices, 1):
            _put(lists, row, at, choice)
        letter = get_column_letter(at)
        check = DataValidation(type="list", formula1=f"={_LISTS}!${letter}$1:${letter}${len(column.choices)}", allow_blank=True)
        # An event may also be said by another name of the standard.
        check.errorStyle = "warning" if column.field == "event" else "stop"
        check.error = _("Choose one of the list.")
    elif column.type in _NUMBERS and not column.how:
        check = DataValidation(
            type=_NUMBERS[column.type], operator="between", formula1=str(-_LARGEST), formula2=str(_LARGEST), allow_blank=True
        )
        check.error = _("This must be a number.")
    else:
        return None
    check.showErrorMessage = True
    return check


def _tell(sheet: Worksheet, spec: Spec) -> None:
    for row, cells in enumerate(_lines(spec), 1):
        for at, text in enumerate(cells, 1):
            _put(sheet, row, at, text, bold=row == 1)
    for letter, width in zip("ABCDEF", (24, 24, 26, 14, 44, 28), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "A2"


def _lines(spec: Spec) -> Iterator[list[str]]:
    words = {"required": _("required"), "recommended": _("recommended"), "": ""}
    yield [_("Event"), _("Column"), _("Meaning"), _("Needed"), _("What it holds"), _("Example")]
    for column in spec.common:
        yield [
            _("every event"),
            column.name,
            column.told,
            words[column.need],
            "; ".join(filter(None, (column.what, column.how, column.tells))),
            column.example,
        ]
    for event in spec.events:
        for column in event.columns:
            holds = [part for part in (column.what, column.how, " / ".join(column.choices), column.tells) if part]
            yield [_named(event), column.name, column.told, words[column.need], "; ".join(holds), column.example]


def _named(event: Event) -> str:
    name = f"{event.label} ({event.name})"
    return f"{name} · {event.when}" if event.when else name


def _put(sheet: Worksheet, row: int, at: int, text: str, *, bold: bool = False) -> None:
    """As a text, whatever it begins with: nothing of it is calculated. What a workbook cannot hold is shown as U+FFFD."""
    cell: Any = sheet.cell(row, at, ILLEGAL_CHARACTERS_RE.sub("\ufffd", text))
    cell.data_type, cell.number_format = "s", "@"
    cell.alignment = Alignment(wrap_text=row > 1, vertical="top")
    if bold:
        cell.font = Font(bold=True)
