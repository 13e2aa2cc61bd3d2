"""The choices of how a file is read, as found, to be corrected."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from ingestion.doors.files import MOST_SIGNS, Choices, FileFormat, is_delimiter
from ingestion.imports.preview import Preview

ENCODINGS = [
    ("utf-8", "UTF-8"), ("gb18030", _("GB18030, GBK (Chinese)")), ("utf-16-le", "UTF-16 LE"), ("utf-16-be", "UTF-16 BE"),
    ("cp1252", _("Windows-1252, Latin-1 (Western)")),
]  # fmt: skip
_SIGNS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
DELIMITERS = [
    ("comma", _("comma ,")),
    ("semicolon", _("semicolon ;")),
    ("tab", _("tab")),
    ("pipe", _("vertical bar |")),
    ("other", _("another")),
]
QUOTES = [('"', _('double "')), ("'", _("single '")), ("", _("none"))]
MEASURES = [("characters", _("characters")), ("gb18030", _("bytes of GB18030: Chinese 2")), ("utf-8", _("bytes of UTF-8: Chinese 3"))]
HEADERS = [("0", _("none: columns are A, B, C …")), ("1", _("one row")), ("2", _("two rows"))]
_KINDS = {
    "csv": "CSV", "fixed": _("Columns of fixed width"), "ndjson": _("JSON, an object a line"), "json": _("JSON, a list"),
    "xlsx": "XLSX", "parquet": "Parquet",
}  # fmt: skip
_PARTED = {
    ",": _("parted by commas"), ";": _("parted by semicolons"), "\t": _("parted by tabs"), "|": _("parted by vertical bars"),
}  # fmt: skip
# What is found out anew where these are changed.
_PARTS = ("encoding", "delimiter", "quote", "widths", "measure")
# What there is to choose in files of a kind.
_OF_KIND = {
    "csv": ("delimiter", "other", "quote", "widths", "measure", "above", "headers"),
    "fixed": ("delimiter", "other", "widths", "measure", "above", "headers"),
    "xlsx": ("above", "headers"),
}


class ReadingForm(forms.Form):
    member = forms.ChoiceField(label=_("File in the zip"), required=False, widget=UnfoldAdminSelectWidget)
    sheet = forms.ChoiceField(label=_("Sheet"), widget=UnfoldAdminSelectWidget)
    encoding = forms.ChoiceField(label=_("Encoding"), choices=ENCODINGS, widget=UnfoldAdminSelectWidget)
    delimiter = forms.ChoiceField(label=_("Cells are parted by"), choices=DELIMITERS, widget=UnfoldAdminSelectWidget)
    other = forms.CharField(
        label=_("Another sign"), required=False, max_length=MOST_SIGNS, strip=False, widget=UnfoldAdminTextInputWidget,
        help_text=_("One to three characters, such as +|, where cells are parted by others."),
    )  # fmt: skip
    quote = forms.ChoiceField(label=_("Quotation mark"), required=False, choices=QUOTES, widget=UnfoldAdminSelectWidget)
    widths = forms.CharField(
        label=_("Widths of the columns"), required=False, max_length=2000, widget=UnfoldAdminTextInputWidget,
        help_text=_("Of columns of fixed width, in their order, such as 8, 11, 20. A last 0: to the line's end. Empty: cells are parted by a sign."),
    )  # fmt: skip
    measure = forms.ChoiceField(label=_("Widths count"), choices=MEASURES, widget=UnfoldAdminSelectWidget)
    above = forms.IntegerField(label=_("Rows above the header"), min_value=0, max_value=99, widget=UnfoldAdminIntegerFieldWidget)
    headers = forms.ChoiceField(label=_("Header"), choices=HEADERS, widget=UnfoldAdminSelectWidget)

    def __init__(self, found: Preview, data: Any = None) -> None:
        file_format = found.file_format
        sign = next((name for name, sign in _SIGNS.items() if sign == file_format.delimiter), "other")
        initial = {
            "member": "" if file_format.members else file_format.member, "sheet": file_format.sheet or file_format.member,
            "widths": ", ".join(map(str, file_format.widths)), "measure": file_format.measure or MEASURES[0][0], "encoding": file_format.encoding, "delimiter": sign,
            "other": file_format.delimiter if sign == "other" else "", "quote": file_format.quote, "above": file_format.above,
            "headers": str(len(file_format.heading)),
        }  # fmt: skip
        super().__init__(data, initial=initial)
        self._keep(found)

    def _keep(self, found: Preview) -> None:
        """Only what there is to choose in such a file."""
        kept = {*_OF_KIND.get(found.file_format.kind, ())} | ({"encoding"} if found.file_format.is_text else set())
        kept |= {"member"} if len(found.members) > 1 else set()
        kept |= {"sheet"} if len(found.sheets) > 1 else set()
        for name in set(self.fields) - kept:
            del self.fields[name]
        if "member" in kept:
            alike = [("", _("all that are read as the first"))]
            self.fields["member"].choices = [*alike, *((one, one) for one in found.members)]  # type: ignore[attr-defined]
        if "sheet" in kept:
            self.fields["sheet"].choices = [(one, one) for one in found.sheets]  # type: ignore[attr-defined]

    def clean_widths(self) -> list[int]:
        parts = [part.strip() for part in self.cleaned_data["widths"].replace("，", ",").split(",") if part.strip()]
        if not all(part.isdecimal() and len(part) < 6 for part in parts) or "0" in parts[:-1]:
            raise ValidationError(_("Give whole numbers with commas between them, such as 8, 11, 20."))
        return [int(part) for part in parts]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("delimiter") == "other":
            sign = cleaned.get("other") or ""
            if not is_delimiter(sign) or sign == cleaned.get("quote"):
                raise ValidationError({"other": _("Give one to three characters that are no letters, digits or quotation marks.")})
        return cleaned

    def said(self) -> Choices:
        """What the person says; what depends on what was changed is found out anew."""
        changed, cleaned = set(self.changed_data), self.cleaned_data
        kept = set(self.fields)
        if changed & {"member", "sheet"}:
            kept = changed | (kept & {"member"})
        elif changed & {*_PARTS, "other"}:
            kept -= {"above", "headers"} - changed
        elif "above" in changed:
            kept -= {"headers"} - changed
        said = Choices()
        if "member" in kept:
            said["member"] = cleaned["member"]
        if "sheet" in kept:
            said["sheet"] = cleaned["sheet"]
        if "widths" in kept and cleaned["widths"]:
            said["widths"], said["measure"] = cleaned["widths"], cleaned["measure"]
        if "encoding" in kept:
            said["encoding"] = cleaned["encoding"]
        if kept & {"delimiter", "other"}:
            said["delimiter"] = _SIGNS.get(cleaned["delimiter"], cleaned["other"])
        if "quote" in kept:
            said["quote"] = cleaned["quote"]
        if "above" in kept:
            said["above"] = cleaned["above"]
        if "headers" in kept:
            said["headers"] = int(cleaned["headers"])
        return said


def kind_words(file_format: FileFormat) -> str:
    """What the file is, with its packing."""
    members = file_format.members
    read = (
        ngettext("%(n)d file read as one", "%(n)d files read as one", len(members)) % {"n": len(members)} if members else file_format.member
    )
    return _listed(_KINDS[file_format.kind], file_format.compression, read, file_format.sheet)


def reading_words(file_format: FileFormat, *, has_decimal_comma: bool) -> str:
    """How a table is read: "CSV · UTF-8 · parted by commas · header in the first row"."""
    encoding = dict(ENCODINGS).get(file_format.encoding, file_format.encoding) if file_format.is_text else ""
    return _listed(
        kind_words(file_format),
        encoding,
        *_cells_words(file_format),
        *(_header_words(file_format) if file_format.kind != "parquet" and not file_format.is_json else ()),
        _("decimal comma") if has_decimal_comma else "",
    )


def _cells_words(file_format: FileFormat) -> Iterator[object]:
    if file_format.kind == "csv":
        yield _PARTED.get(file_format.delimiter) or _("parted by %(sign)s") % {"sign": file_format.delimiter}
        if file_format.quote == "'":
            yield _("in single quotation marks")


def _header_words(file_format: FileFormat) -> Iterator[object]:
    """Rows that are empty are not among those above."""
    if above := file_format.above:
        yield ngettext("%(n)d row above the header", "%(n)d rows above the header", above) % {"n": above}
    match len(file_format.heading):
        case 0:
            yield _("no header")
        case 1 if not above:
            yield _("header in the first row")
        case 2:
            yield _("header of two rows")


def _listed(*parts: object) -> str:
    return " · ".join(str(part) for part in parts if part)
