"""What became of an import, for machines and for people: the same from the command line, in a drop folder and by the API."""

from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ingestion.imports.run import STANDINGS, Outcome, imported_before, outcome, standing_of
from ingestion.imports.words import file_problem
from ingestion.models import ImportChunk, ImportRun
from taxonomy.models import Source
from taxonomy.released import named
from taxonomy.violations import title_for

# Of a try's rows, so many that repeat an earlier one's id are told of.
_MANY = 0.1


def report(run: ImportRun) -> dict[str, Any]:
    """{"import", "file", "source", "status", "dry_run", "received", each verdict's count, "skipped", "causes", "notes", "error", times}.

    `causes` and `notes` are {code: records}; `error` is {"code", "message"} where the file as a whole failed, else None.
    """
    found, standing = outcome(run), standing_of(run)
    return {
        "import": str(run.pk),
        "file": run.file_name,
        "source": named("source", [run.source_id])[run.source_id].code,
        "status": standing,
        "dry_run": run.dry_run,
        "received": found.received,
        **found.counts,
        "skipped": found.skipped,
        "causes": dict(found.causes),
        "notes": dict(found.notes),
        "error": problem(run.error or "import.stopped") if standing in ("stopped", "failed") else None,
        "size_bytes": run.size_bytes,
        "sha256": run.sha256,
        "release": run.release.version if run.release else None,
        "created_at": run.created_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
    }


def problem(code: str, values: dict[str, Any] | None = None) -> dict[str, str]:
    return {"code": code, "message": file_problem(code, values or {})}


def report_text(run: ImportRun) -> str:
    """The same to read, in the reader's language."""
    found, standing = outcome(run), standing_of(run)
    head = [run.file_name, named("source", [run.source_id])[run.source_id].label, str(STANDINGS[standing])]
    lines = [" · ".join([*head, *([_("dry run")] if run.dry_run else [])]), *_counts(found)]
    if found.causes:
        lines.append(_("Why rows failed"))
        lines += [f"{intcomma(count):>15}  {title_for(code)} ({code})" for code, count in found.causes]
    return "\n".join(lines)


def imported_before_words(run: ImportRun) -> str:
    """A warning where the same content was imported before, else ""."""
    former = imported_before(run)
    if former is None:
        return ""
    said = _("This file was imported on %(day)s. What has an id or a time is not counted again; rows with neither are, and so are like rows of a source that keeps them apart. Take that import back first if this one shall take its place.")  # fmt: skip
    return said % {"day": date_format(timezone.localtime(former.created_at), "SHORT_DATETIME_FORMAT")}


def repeats_words(run: ImportRun, found: Outcome) -> str:
    """A warning where rows of a run say all the same as others, or many do in the columns that name them; else ""."""
    again = found.counts["duplicate"]
    if not run.matching or not again or "_tagline_id" in run.format["columns"]:
        return ""
    named_by = run.matching.matching.ids()
    if not named_by:
        said = _("%(again)s of %(rows)s rows say all the same as one before, in this file or an earlier one, and count as its duplicates. If each counts by itself, such as an article that was scanned twice, match the file otherwise: let a column that numbers the lines name the row. Where there is none, “%(setting)s” of the source counts them all.")  # fmt: skip
        setting = Source._meta.get_field("separate_rows").verbose_name
        return said % {"again": intcomma(again), "rows": intcomma(found.received), "setting": setting}
    if again < _MANY * found.received:
        return ""
    said = _("%(again)s of %(rows)s rows say the same in %(columns)s as one before, in this file or an earlier one, and count as its duplicates. If each is an event of its own, such as the lines of a receipt, match the file otherwise: name the row by more columns, or by none.")  # fmt: skip
    return said % {"again": intcomma(again), "rows": intcomma(found.received), "columns": ", ".join(named_by)}


def failed_words(file: object) -> str:
    return _("The failed rows, each with its reason, are in %(file)s. Mend them, then import that file.") % {"file": file}


def has_failed(run: ImportRun) -> bool:
    """Whether records of it were held or refused, or mended nothing of the held events that they name."""
    return ImportChunk.objects.filter(run=run).exclude(failed_rows=[]).exists()


def _counts(found: Outcome) -> list[str]:
    told = (
        (_("received in all"), found.received),
        (_("accepted"), found.counts["accepted"]),
        (_("of these brought to the standard"), found.counts["changed"]),
        (_("duplicate"), found.counts["duplicate"]),
        (_("quarantined"), found.counts["quarantined"]),
        (_("refused"), found.counts["refused"]),
    )
    return [f"{intcomma(count):>15}  {label}" for label, count in told]
