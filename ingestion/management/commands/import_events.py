import json as jsonlib
from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from ingestion.doors.files import UnreadableFile
from ingestion.imports import outcome, run_import, take_file
from ingestion.models import ImportRun
from ingestion.words import file_problem
from taxonomy.models import Source


class Command(BaseCommand):
    help = "Import a CSV or NDJSON file, plain, gzip or zstd. Run again after an interruption, it goes on where it stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--source", required=True, help="code of the source whose file it is")
        parser.add_argument("--dry-run", action="store_true", help="report what would happen, store nothing")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: object, file: Path, source: str, dry_run: bool, json: bool, **options: object) -> None:
        if not file.is_file():
            raise CommandError(f"{file} is not a file.")
        owner = Source.objects.filter(code=source).first()
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
        report = {"import": str(run.pk), "status": run.status, "received": found.received, **found.counts, "causes": dict(found.causes)}
        if as_json:
            self.stdout.write(jsonlib.dumps(report))
        else:
            self.stderr.write("")
            for name, value in report.items():
                self.stdout.write(f"{name:12} {value}")
        if run.error:
            raise CommandError(file_problem(run.error, {}))
