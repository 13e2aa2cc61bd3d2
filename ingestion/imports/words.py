"""What a person reads when a whole file cannot be taken."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from msgspec.structs import replace

from ingestion.doors.files import Matching
from ingestion.imports.traps import Looked, Trap
from taxonomy.standardize import Violation

FILE_PROBLEMS: dict[str, Promise | str] = {
    "file.empty": _("The file is empty. Choose a file with at least one row."),
    "file.not_text": _("The file is no text in an encoding that can be read. Save it as CSV UTF-8, then upload it again."),
    "file.damaged": _("The file is damaged: it could not be unpacked to its end. Pack or copy it again, then upload it again."),
    "file.no_header": _("The first line is not a header. Put the column names in the first line."),
    "file.column_unnamed": _("A column of the header has no name. Name every column, then upload the file again."),
    "file.column_repeated": _(
        "Two columns have the same name, and it is read: which of them counts cannot be known. Give each its own, or import the file in the admin and match its columns."
    ),
    "file.our_column_repeated": _(
        "Two columns have a name that only one may have, for failed rows come back with it. Take one of them out or rename it, then upload the file again."
    ),
    "file.record_too_long": _("A row does not end within 16 MB. Look for a quotation mark that is not closed."),
    "file.no_list": _(
        "The file is one JSON object without a list of objects near its beginning. Write the events as a list, or one a line."
    ),
    "file.after_list": _("Something stands after the end of the JSON list. Write one list, or one JSON object a line."),
    "file.too_deep": _("The JSON is nested deeper than 1,000 levels. Flatten it."),
    "file.bomb": _("The file would grow beyond all measure when it is unpacked, so it was not. Pack the data itself, once."),
    "file.encrypted": _("The file is locked with a password. Save it without one, then upload it again."),
    "file.old_excel": _(
        "The file is of an Excel before 2007, or is locked with a password. Save it as XLSX without one, then upload it again."
    ),
    "file.other_kind": _("The file is no table. Save the table as CSV UTF-8 or XLSX, as it is or packed with zip, then upload that."),
    "file.markup": _(
        "The file is a web page or XML under another name, as some systems export for Excel. Open it in Excel and save it as XLSX or CSV UTF-8."
    ),
    "file.no_member": _("The zip holds no such file. Choose another of its files."),
    "file.no_sheet": _("The workbook has no such sheet. Choose another of its sheets."),
    "file.workbook_too_large": _("The texts of the workbook are larger than 256 MB. Save the sheet as CSV UTF-8, then upload that."),
    "file.line_ends": _("The lines end in the way of old Macs. Save the file as CSV UTF-8 with other line ends, then upload it again."),
    "file.no_rows": _("The file has a header and no row below it. Fill in at least one row."),
    "file.link": _("The file is a symbolic link, which is not followed. Put the file itself into the folder."),
    "file.permission": _("The file may not be read by the account that imports. Give it the right to read, then drop the file again."),
    "import.broke": _("Every import of the file broke off. Show its report to an administrator, then drop it again."),
    "file.unmatched": _(
        "The file has other columns than the files of this source that were matched. Import it in the admin and match its columns, or name a matching."
    ),
    "matching.unknown": _("The source has no matching of that number. Name one that it has, or leave it out."),
    "matching.missing": _("Columns that the matching reads are not in the file. Name another matching, or match the file in the admin."),
    "import.begun_otherwise": _(
        "An import of this file has begun and reads it otherwise. Run it again without saying how it is read, or take back what it brought first."
    ),
    "import.under_way": _(
        "An import of this file has begun and has not ended. Open it under Imports: let it end, or press “Go on”. If it read the file wrongly, take it back then."
    ),
    "import.stopped": _("The import stopped before its end. What was stored is kept; press “Go on”, or run the command again."),
    "import.no_room": _(
        "The disk is full. Make room, then press “Go on”, or begin the import again: what was stored is kept, and nothing is stored twice."
    ),
    "release.none": _("No standard has been published yet. Publish one, then start the import again."),
    "source.unreleased": _("The source is not in the published standard, not yet or no longer. Publish it, then start the import again."),
}

# What the values are that stand behind such a sentence.
_VALUES: dict[str, Promise] = {
    "file": pgettext_lazy("of a file", "file"), "sheet": pgettext_lazy("of a file", "sheet"), "row": pgettext_lazy("of a file", "row"),
    "position": pgettext_lazy("of a file", "position"), "positions": pgettext_lazy("of a file", "columns number"), "column": pgettext_lazy("of a file", "column"),
    "columns": pgettext_lazy("of a file", "columns"), "new": pgettext_lazy("of a file", "new"),
    "missing": pgettext_lazy("of a file", "missing"), "number": pgettext_lazy("of a file", "number"),
    "known": pgettext_lazy("of a file", "known"), "detail": pgettext_lazy("of a file", "detail"),
    "error": pgettext_lazy("of a file", "error"), "kind": pgettext_lazy("of a file", "kind"),
}  # fmt: skip

# What a cell of the first rows may hide; a column, a row and the cell as it stands.
TRAPS: dict[str, Promise | str] = {
    "cut": _("Column “%(column)s”, row %(row)d: “%(seen)s” has lost its last digits in a spreadsheet. Such ids are held; export the column as text."),
    "decimal": _("Column “%(column)s”, row %(row)d: a spreadsheet has made a decimal of a number that counts nothing, “%(seen)s”. As a phone it is read as %(means)s; an id or a text stays as it is written."),
    "grouped": _("Column “%(column)s”, row %(row)d: in “%(seen)s” the comma may part thousands or decimals. As a number it is held; write it without."),
    "day_order": _("Column “%(column)s”, row %(row)d: “%(seen)s” may be %(means)s. As a time it is held unless the source's time format says which."),
    "day_number": _("Column “%(column)s”, row %(row)d: “%(seen)s” may be a spreadsheet's number of a day, %(means)s. As a time it is held unless the source's time format is excel or excel_1904."),
    "zones": _("Column “%(column)s”: some times have a time zone and some, such as “%(seen)s” in row %(row)d, are written otherwise. Those without one are read in the zone of the source."),
    "sum": _("Row %(row)d looks like a sum: it says “%(seen)s” in column “%(column)s”. Where it names no customer it will be held; take such rows out."),
    "quote": _("Column “%(column)s”, row %(row)d: a quotation mark opens the cell and is not closed, or is closed before the cell ends. The row ends with its line; the cell is read as “%(seen)s”."),
    "quote_lines": _("Column “%(column)s”, row %(row)d: a quotation mark opens the cell and is closed on another line, before a cell ends. What stands between is read as one cell, “%(seen)s”: rows in it are not rows. Take the mark out, or close it."),
    "quote_refused": _("Row %(row)d: a quotation mark opens a cell and is not closed, or is closed before the cell ends: “%(seen)s”. The row has not as many cells as the header, and is refused."),
    "header": _("Row %(row)d is the header once more. Such rows are passed over and counted."),
    "second_header": _("Row %(row)d looks like a second header row: it says “%(seen)s” in column “%(column)s”, where the rows below have values such as “%(means)s”. As it is read it is a row of its own; leave it out, or read the file with a header of two rows."),
    "full_width": _("Column “%(column)s”, row %(row)d: “%(seen)s” has characters of full width. Numbers, times and phones are read; names and ids are another than in ordinary letters."),
    "odd_space": _("Column “%(column)s”, row %(row)d: “%(seen)s” has a space that does not look like one. Around numbers, times and phones it does no harm; a name or a choice with it is another."),
}  # fmt: skip

_MOST_TRAPS = 12


def with_column(one: Violation, matching: Matching | None) -> Violation:
    """The same, with the file's own column before its path, where the matching knows it."""
    heading = other_heading(one, matching)
    return replace(one, path=f"{heading} ({one.path})") if heading else one


def other_heading(one: Violation, matching: Matching | None) -> str:
    """The heading of the column that it is about, "" where that is called as its place is, or the matching knows none."""
    heading = column_in(one, matching)
    return "" if heading == one.path.rpartition(".")[2] else heading


def column_in(one: Violation, matching: Matching | None) -> str:
    """The heading of the column that it is about, "" where the matching knows none."""
    path = str(one.values.get("from") or one.path)
    heading = matching.heading_of(path) if matching and path else ""
    return heading if matching and heading in matching.headings() else ""


def traps_words(traps: Iterable[Trap]) -> list[str]:
    """As many as anybody reads."""
    return [trap_words(trap) for trap in islice(traps, _MOST_TRAPS)]


def told_traps(traps: Iterable[Trap]) -> list[dict[str, Any]]:
    """The same for machines: [{"code", "column", "row", "message"}]."""
    few = islice(traps, _MOST_TRAPS)
    return [{"code": one.kind, "column": one.column, "row": one.row, "message": trap_words(one)} for one in few]


def looked_words(found: Looked) -> str:
    """How far a file was looked through, "" where that was all of it."""
    if not found.rows:
        return ""
    said = _(
        "Only the first %(rows)s rows were looked through for what may be read otherwise than it was meant, such as times of another zone; a dry run looks through all."
    )
    return str(said) % {"rows": intcomma(found.rows)}


def trap_words(trap: Trap) -> str:
    means = str(_(" or ")).join(trap.means)
    seen = trap.seen.replace("\n", "⏎")
    return str(TRAPS[trap.kind]) % {"column": trap.column, "row": trap.row, "seen": seen, "means": means}


def file_problem(code: str, values: dict[str, Any]) -> str:
    """One sentence with its next step, and what was seen."""
    return with_values(str(FILE_PROBLEMS.get(code, code)), values)


def with_values(sentence: str, values: dict[str, Any]) -> str:
    seen = ", ".join(f"{_VALUES.get(name, name)} {value}" for name, value in values.items())
    return f"{sentence} ({seen})" if seen else sentence
