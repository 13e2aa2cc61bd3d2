"""What a person reads when a whole file cannot be taken."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

FILE_PROBLEMS: dict[str, Promise | str] = {
    "file.empty": _("The file is empty. Choose a file with at least one row."),
    "file.not_text": _("The file is not UTF-8 text. Save it as CSV UTF-8, then upload it again."),
    "file.damaged": _("The file is damaged: it could not be unpacked to its end. Pack or copy it again, then upload it again."),
    "file.no_header": _("The first line is not a header. Put the column names in the first line."),
    "file.column_unnamed": _("A column of the header has no name. Name every column, then upload the file again."),
    "file.column_repeated": _("Two columns have the same name. Give each its own, then upload the file again."),
    "file.record_too_long": _("A row does not end within 16 MB. Look for a quotation mark that is not closed."),
    "file.json_array": _("The file is one JSON list. Write one JSON object a line instead, such as with: jq -c '.[]' FILE."),
    "file.line_ends": _("The lines end in the way of old Macs. Save the file as CSV UTF-8 with other line ends, then upload it again."),
    "import.stopped": _("The import stopped before its end. What was stored is kept; press “Go on”, or run the command again."),
    "release.none": _("No standard has been published yet. Publish one, then start the import again."),
    "source.unreleased": _("The source is not in the published standard yet. Publish it, then start the import again."),
}


def file_problem(code: str, values: dict[str, Any]) -> str:
    """One sentence with its next step, and what was seen."""
    sentence = str(FILE_PROBLEMS.get(code, code))
    seen = ", ".join(f"{name} {value}" for name, value in values.items())
    return f"{sentence} ({seen})" if seen else sentence
