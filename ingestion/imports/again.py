"""What of a file has come in before and would count a second time: said before it is imported."""

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ingestion.doors.files import RESERVED, FileFormat, UnreadableFile
from ingestion.imports.chunk import incoming_of
from ingestion.imports.judged import first_records
from ingestion.imports.report import imported_before_words
from ingestion.imports.run import imported_before, named_alike
from ingestion.models import ImportRun
from profiles.models import Event
from taxonomy.current import NoRelease, current
from taxonomy.standardize import SourcePlan
from taxonomy.standardize.paths import plain_names

# So many rows tell whether the others have been mended before.
_LOOKED_AT = 1_000


def again_words(run: ImportRun, file_format: FileFormat | None = None) -> list[str]:
    """Warnings. `file_format`: where the file is to be read otherwise than is kept of it."""
    file_format = file_format or FileFormat(**run.format)
    if not counts_again(run, file_format):
        return [said] if (said := imported_before_words(run)) else []
    if former := imported_before(run):
        return [_("This file was imported on %(day)s. Its rows have no id and this source keeps like rows apart: imported again, every row counts a second time. Take that import back first, or leave it.") % {"day": _day(former)}]  # fmt: skip
    if RESERVED[0] in file_format.columns:
        mended, rows = mended_before(run, file_format)
        said = _("%(mended)s of the first %(rows)s rows stand for held rows that an earlier file mended. They have no id and this source keeps like rows apart: imported again, they count a second time. Take them out of the file, or take that import back first.")  # fmt: skip
        return [said % {"mended": intcomma(mended), "rows": intcomma(rows)}] if mended else []
    if former := named_alike(run):
        return [_("A file of this name was imported on %(day)s. Rows have no id here and this source keeps like rows apart: a row that is in both files counts twice. To mend rows, import only that import’s failed rows, or take it back first.") % {"day": _day(former)}]  # fmt: skip
    return []


def counts_again(run: ImportRun, file_format: FileFormat) -> bool:
    """Whether rows of it that came in before are told from those by nothing: none has an id, and the source keeps like ones apart."""
    try:
        source = current().plan.sources_by_uuid.get(str(run.source_id))
    except NoRelease:
        return False
    return source is not None and source.separate_rows and file_format.has_columns and not _has_ids(file_format, source)


def mended_before(run: ImportRun, file_format: FileFormat) -> tuple[int, int]:
    """Of the first rows of a failed-rows file: (how many name a held event that has been mended, how many were looked at)."""
    try:
        found = [incoming_of(record, file_format) for record in first_records(run, file_format, _LOOKED_AT)]
    except UnreadableFile:
        return 0, 0
    named = [(one.closes or "").split()[:1] for one in found]
    keys = [bytes.fromhex(each[0]) for each in named if each and _is_key(each[0])]
    mended = Event.objects.filter(source_id=run.source_id, key__in=keys, standing=Event.Standing.CORRECTED).values_list("key", flat=True)
    known = {bytes(key) for key in mended}
    return sum(key in known for key in keys), len(found)


def _is_key(text: str) -> bool:
    return len(text) == 32 and all(sign in "0123456789abcdef" for sign in text)


def _has_ids(file_format: FileFormat, source: SourcePlan) -> bool:
    if file_format.matching:
        return bool(file_format.matching.ids())
    is_own = (source.envelope.get("preset") or "") == "custom"
    path = (source.envelope.get("message_id") or "").removeprefix("$.") if is_own else "id"
    return (plain_names(path) or [""])[0] in file_format.columns


def _day(run: ImportRun) -> str:
    return date_format(timezone.localtime(run.created_at), "SHORT_DATETIME_FORMAT")
