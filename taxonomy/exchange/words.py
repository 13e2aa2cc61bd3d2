"""The words of what came of something written: for whoever uploads it, or reads the answer of a command."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from taxonomy.diff import CHOICES, FIELDS, title
from taxonomy.exchange.written import Status, Trouble
from taxonomy.problems import DEFINITION, expected_words, plan_sentence, told_with_values

STATUSES: dict[Status, Promise | str] = {
    "added": gettext_lazy("added"),
    "changed": gettext_lazy("changed"),
    "unchanged": gettext_lazy("unchanged"),
    "removed": gettext_lazy("removed"),
    "wrong": gettext_lazy("wrong"),
}
TROUBLES: dict[str, Promise | str] = {
    "written.not_fields": gettext_lazy("Expected fields with values, found something else."),
    "written.missing": gettext_lazy("It needs a value."),
    "written.unknown_field": gettext_lazy("There is no such field. Remove it, or correct its name."),
    "written.no_such": gettext_lazy("There is no “%(code)s”. Correct it, or add that one too."),
    "written.wrong_type": gettext_lazy("Expected %(expected)s."),
    "written.twice": gettext_lazy("“%(code)s” is written twice. Remove one of the two."),
    "written.code": gettext_lazy(
        "“%(seen)s”: use small letters, digits and single underscores, beginning with a letter, such as product_view."
    ),
    "written.characters": gettext_lazy("It holds characters that cannot be stored. Type it again."),
    "written.too_long": gettext_lazy("It has %(length)s characters; %(longest)s is the most."),
    "written.not_a_choice": gettext_lazy("“%(seen)s” is none of: %(choices)s."),
    "written.position": gettext_lazy("A position is a whole number, 0 or more."),
    "written.in_use": gettext_lazy("It cannot go: %(item)s still uses it. Let that one go too, or change it."),
    "written.elsewhere": gettext_lazy("“%(title)s” by %(who)s holds it already. Open that proposal and join as a co-author."),
    "written.own": gettext_lazy(
        "It is in your own proposal “%(title)s”, and other rows are in another of yours. Add to each by itself, or withdraw one."
    ),
    "written.own_reviewed": gettext_lazy(
        "It is in your own proposal “%(title)s”, which is under review. Pull that back, and bring this in again; or withdraw it."
    ),
    "written.beyond": gettext_lazy("It is kept for others. Leave it out, or ask an administrator for the right."),
    "written.outside": gettext_lazy("Only %(names)s may change it (%(place)s). Leave it out, or ask them for the change."),
    "written.also_changed": gettext_lazy("Somebody else changed it meanwhile; this replaces what they wrote."),
    "written.changed_meanwhile": gettext_lazy("Somebody else changed it meanwhile."),
    "written.gone_already": gettext_lazy("It was removed meanwhile, and this row is as it was before: it stays removed."),
    "written.gone_meanwhile": gettext_lazy("It was removed meanwhile; this brings it back."),
    "cell.formula": gettext_lazy("The cell holds a formula. Paste its value instead."),
    "cell.error": gettext_lazy("The cell holds the error %(seen)s. Write a value."),
    "cell.date": gettext_lazy("Excel made a date of it: %(seen)s. Format the cell as text and write it again."),
    "cell.lines": gettext_lazy("It cannot be read. %(problem)s"),
    "cell.json": gettext_lazy("“%(seen)s” is not written as JSON."),
    "cell.envelope": gettext_lazy("“%(seen)s”: write one a line, such as phone = customer.mobile."),
    "cell.yes": gettext_lazy("“%(seen)s” is neither yes nor no."),
    "cell.number": gettext_lazy("“%(seen)s” is no whole number."),
}
# Why an upload cannot be read, and what of it was left aside.
BOOKS: dict[str, Promise | str] = {
    "book.too_large": gettext_lazy("The file is larger than %(limit)s MB. Upload fewer sheets at a time."),
    "book.empty": gettext_lazy("The file is empty. Upload a workbook with a header and rows."),
    "book.password": gettext_lazy("The workbook is protected by a password. Remove the password in Excel and save it again."),
    "book.old_excel": gettext_lazy("This is a workbook of an old Excel (.xls). Save it as .xlsx."),
    "book.not_xlsx": gettext_lazy("This is no workbook that can be read, or it is damaged. Save it as .xlsx, or as CSV."),
    "book.macros": gettext_lazy("The workbook holds macros. Save it as .xlsx, without macros."),
    "book.bomb": gettext_lazy("Unpacked, the file is larger than %(limit)s MB. It was not opened."),
    "book.too_many_rows": gettext_lazy("There are more than %(limit)s rows. Upload fewer at a time."),
    "book.too_long": gettext_lazy("The sheet “%(sheet)s” goes on beyond row %(limit)s. Delete the empty rows below the last one."),
    "book.cell_too_long": gettext_lazy("The cell %(cell)s holds more than %(limit)s characters."),
    "book.merged": gettext_lazy("Cells are merged: %(cells)s. Unmerge them and fill in each."),
    "book.csv": gettext_lazy("%(file)s cannot be read as CSV. Look for a quotation mark that is not closed."),
    "book.encoding": gettext_lazy("The letters of %(file)s cannot be read. Save it in UTF-8, UTF-16 or GB18030."),
    "book.no_sheet": gettext_lazy("No sheet is known: there is %(seen)s. Expected one of: %(expected)s."),
    "book.header_twice": gettext_lazy("The sheet “%(sheet)s” has the column “%(header)s” twice. Remove one of the two."),
    "book.header_missing": gettext_lazy("The sheet “%(sheet)s” lacks the column %(header)s in its first row. There is: %(seen)s."),
    "book.columns_ignored": gettext_lazy("Columns left aside in “%(sheet)s”: %(columns)s."),
    "book.sheet_ignored": gettext_lazy("The sheet “%(sheet)s” was left aside."),
}
# Places that are no field of a definition.
_PLACES: dict[str, Promise | str] = {
    "path": gettext_lazy("from"), "operator": FIELDS["condition"], "value": gettext_lazy("value"), "required": gettext_lazy("required"),
    "rule": gettext_lazy("rule"), "pattern": gettext_lazy("pattern"), "target": gettext_lazy("standard attribute"),
    "transforms": gettext_lazy("transforms"), "id": gettext_lazy("id"),
}  # fmt: skip
# Why a file or a folder of the plan cannot be read.
FILES: dict[str, Promise | str] = {
    "yaml.too_large": gettext_lazy("The file is larger than %(limit)s MB."),
    "yaml.not_utf8": gettext_lazy("The file is not in UTF-8. Save it as UTF-8."),
    "yaml.characters": gettext_lazy("The file holds characters that YAML does not allow."),
    "yaml.syntax": gettext_lazy("This is not YAML: %(problem)s."),
    "yaml.alias": gettext_lazy("Anchors and aliases are not read here. Write the value out."),
    "yaml.too_deep": gettext_lazy("It is nested more than %(limit)s levels deep."),
    "yaml.key": gettext_lazy("The name of a field must be a text."),
    "yaml.twice": gettext_lazy("“%(key)s” stands here twice. Remove one of the two."),
    "yaml.tag": gettext_lazy("%(tag)s is not read here: plain values only."),
    "yaml.documents": gettext_lazy("A second document begins here. One file holds one."),
    "yaml.not_fields": gettext_lazy("Expected fields with values, found something else."),
    "yaml.not_list": gettext_lazy("Expected a list, found something else."),
    "yaml.no_code": gettext_lazy("A category needs its code."),
    "folder.too_many": gettext_lazy("There are more than %(limit)s files."),
    "folder.twice": gettext_lazy("“%(code)s” is in %(other)s already. Remove one of the two."),
    "folder.not_ours": gettext_lazy(
        "%(path)s is in the way: the folder holds no plan, and nothing in it was touched. Choose an empty folder."
    ),
    "folder.no_plan": gettext_lazy("There is no plan in this folder: plan.yaml is missing or of another format. Export one first."),
}
# What a field expects, as taxonomy/exchange/written.py says it.
EXPECTED = (
    gettext_lazy("a text"), gettext_lazy("yes or no"), gettext_lazy("a whole number"), gettext_lazy("a list"), gettext_lazy("a list of texts"),
    gettext_lazy("groups of codes"), gettext_lazy("fields"), gettext_lazy("codes of attributes"), gettext_lazy("a list of patterns"),
    gettext_lazy("a source and a mode"),
    gettext_lazy("a list of rows with target, path and transforms"), gettext_lazy("a path, an operator and a value"),
)  # fmt: skip


def trouble_text(trouble: Trouble, names: dict[str, Any]) -> str:
    """One sentence: where, what is wrong, what to do."""
    head, _dot, rest = trouble.field.partition(".")
    place = f"{FIELDS.get(head) or _PLACES.get(head, head)} {rest}".strip()
    if trouble.code in TROUBLES:
        values = {name: _choices(head, value) if name == "choices" else _told(value, names) for name, value in trouble.values.items()}
        said = str(TROUBLES[trouble.code]) % values
    elif trouble.code in DEFINITION:
        said = told_with_values(DEFINITION[trouble.code][1], {"expected": expected_words(trouble.values["expected"])}, names)
    else:
        said = plan_sentence(trouble.code, trouble.values, names)
    return f"{place}: {said}" if place else said


def _choices(field: str, codes: Iterable[str]) -> str:
    """Each by its name, with the code that YAML and workbooks take."""
    labels = CHOICES.get("operator" if field == "condition" else field, {})
    told = [(code, str(labels.get(code, code))) for code in codes]
    return _(", ").join(code if label.lower() == code else f"{label} ({code})" for code, label in told)


def book_text(code: str, values: dict[str, Any]) -> str:
    return str(BOOKS[code]) % values


def _told(value: Any, names: dict[str, Any]) -> str:
    return title(names[value], names) if value in names else _(str(value)) if str(value) else ""


def title_of(name: str, day: date) -> str:
    """What the proposal of an upload is called until somebody says it better: the name of its file, and the day."""
    return _("%(name)s, %(day)s") % {"name": (name.rpartition(".")[0] or name)[:120], "day": date_format(day, "DATE_FORMAT")}
