import json as jsonlib
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse
from django.utils.translation import gettext as _

from ingestion.doors.files import UnreadableFile
from ingestion.imports import STANDINGS, outcome, run_import, standing_of, take_file
from ingestion.models import ImportRun
from ingestion.words import file_problem
from taxonomy.models import Source
from taxonomy.released import by_code, named
from taxonomy.violations import title_for


class Command(BaseCommand):
    help = """Import a CSV or NDJSON file, plain, gzip or zstd. Run again after an interruption, it goes on where it stopped.

Exit codes:
  0  every row was read; rows held or refused are counted in the summary
  1  the file could not be read, or not to its end; there is no such source; or nothing is published
  2  the command was written wrong"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--source", required=True, help="code of the source whose file it is")
        parser.add_argument("--dry-run", action="store_true", help="report what would happen, store nothing")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: object, file: Path, source: str, dry_run: bool, json: bool, **options: object) -> None:
        if not file.is_file():
            raise CommandError(f"{file} is not a file.")
        found = by_code("source", source)
        owner = Source.objects.filter(pk=found.pk).first() if found else None
        if owner is None:
            codes = ", ".join(Source.objects.values_list("code", flat=True))
            raise CommandError(f"There is no source {source!r}. There are: {codes}.")
        try:
            run = take_file(file, source=owner, file_name=file.name, dry_run=dry_run)
            run = run_import(run.pk, on_progress=None if json else self._progress)
        except UnreadableFile as error:
            raise CommandError(file_problem(error.code, error.values)) from error
        self._report(run, as_json=json)

    def _progress(self, run: ImportRun) -> None:
        self.stderr.write(f"\r{100 * run.read_bytes // max(run.size_bytes, 1):3d} %", ending="")

    def _report(self, run: ImportRun, *, as_json: bool) -> None:
        found = outcome(run)
        standing = standing_of(run)
        if as_json:
            report = {"import": str(run.pk), "status": standing, "received": found.received, **found.counts, "causes": dict(found.causes)}
            self.stdout.write(jsonlib.dumps(report))
        else:
            self.stderr.write("")
            self.stdout.write(
                " · ".join(
                    [
                        run.file_name,
                        named("source", [run.source_id])[run.source_id].label,
                        str(STANDINGS[standing]),
                        *([_("dry run")] if run.dry_run else []),
                    ]
                )
            )
            for label, count in (
                (_("received in all"), found.received),
                (_("accepted"), found.counts["accepted"]),
                (_("of these brought to the standard"), found.counts["changed"]),
                (_("duplicate"), found.counts["duplicate"]),
                (_("quarantined"), found.counts["quarantined"]),
                (_("refused"), found.counts["refused"]),
            ):
                self.stdout.write(f"{intcomma(count):>15}  {label}")
            if found.causes:
                self.stdout.write(_("Why rows failed"))
                for code, count in found.causes:
                    self.stdout.write(f"{intcomma(count):>15}  {title_for(code)} ({code})")
                place = settings.SITE_URL + reverse("admin:ingestion_importrun_change", args=[run.pk])
                self.stdout.write(_("The failed rows can be downloaded at %(place)s.") % {"place": place})
        if run.error:
            raise CommandError(file_problem(run.error, {}))
