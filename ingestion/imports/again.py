"""What of a file has come in before and would count a second time: said before it is imported."""

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ingestion.doors.files import FileFormat
from ingestion.imports.report import imported_before_words
from ingestion.imports.run import imported_before, named_alike
from ingestion.models import ImportRun
from taxonomy.current import NoRelease, current
from taxonomy.standardize import SourcePlan, record_of_row
from taxonomy.standardize.paths import first_names


def again_words(run: ImportRun, file_format: FileFormat | None = None) -> list[str]:
    """Warnings. `file_format`: where the file is to be read otherwise than is kept of it."""
    file_format = file_format or FileFormat(**run.format)
    if not counts_again(run, file_format):
        return [said] if (said := imported_before_words(run)) else []
    if "_tagline_id" in file_format.columns:  # what it names tells a row from others
        if former := imported_before(run):
            return [_("This file was imported on %(day)s. Rows that name nothing under _tagline_id count a second time. Take that import back first, or leave it.") % {"day": _day(former)}]  # fmt: skip
        return []
    if former := imported_before(run):
        return [_("This file was imported on %(day)s. Its rows have no id and this source keeps like rows apart: imported again, every row counts a second time. Take that import back first, or leave it.") % {"day": _day(former)}]  # fmt: skip
    if former := named_alike(run):
        return [_("A file of this name was imported on %(day)s. Rows have no id here and this source keeps like rows apart: a row that is in both files counts twice. To mend rows, import only that import’s failed rows, or take it back first.") % {"day": _day(former)}]  # fmt: skip
    return []


def counts_again(run: ImportRun, file_format: FileFormat) -> bool:
    """Whether rows of it that came in before are told from those by nothing: none has an id, and the source keeps like ones apart."""
    try:
        source = current().plan.sources_by_uuid.get(str(run.source_id))
    except NoRelease:
        return False
    return source is not None and source.separate_rows and file_format.is_read_by_column and not _has_ids(file_format, source)


def _has_ids(file_format: FileFormat, source: SourcePlan) -> bool:
    if file_format.matching:
        return bool(file_format.matching.ids())
    preset = source.envelope.get("preset") or "tagline"
    if preset == "custom":
        path = (source.envelope.get("message_id") or "").removeprefix("$.")
        return bool(path) and bool(first_names(path) & {*file_format.columns})
    return "id" in record_of_row(dict.fromkeys(file_format.columns, "x"), preset)


def _day(run: ImportRun) -> str:
    return date_format(timezone.localtime(run.created_at), "SHORT_DATETIME_FORMAT")
