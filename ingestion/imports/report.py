"""What became of an import, for machines and for people: the same from the command line, in a drop folder and by the API."""

from typing import Any

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils.translation import gettext as _

from ingestion.imports.run import STANDINGS, Outcome, outcome, standing_of
from ingestion.imports.words import file_problem
from ingestion.models import ImportRun
from taxonomy.released import named
from taxonomy.violations import title_for


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
        place = settings.SITE_URL + reverse("admin:ingestion_importrun_change", args=[run.pk])
        lines.append(_("The failed rows can be downloaded at %(place)s.") % {"place": place})
    return "\n".join(lines)


def failed_in(run: ImportRun) -> int:
    """How many of its records were held or refused."""
    counts = outcome(run).counts
    return counts["quarantined"] + counts["refused"]


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
