import json as jsonlib
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ingestion.doors.files import UnreadableFile
from ingestion.imports import run_import, take_file
from ingestion.models import ImportRun
from ingestion.report import report, report_text
from ingestion.words import file_problem
from taxonomy.models import Source
from taxonomy.released import by_code


def source_of(code: str) -> Source:
    """The source of a code that somebody typed. Raises CommandError."""
    found = by_code("source", code)
    source = Source.objects.filter(pk=found.pk).first() if found else None
    if source is None:
        codes = ", ".join(Source.objects.values_list("code", flat=True))
        raise CommandError(f"There is no source {code!r}. There are: {codes}.")
    return source


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
        owner = source_of(source)
        try:
            run = take_file(file, source=owner, file_name=file.name, dry_run=dry_run)
            run = run_import(run.pk, on_progress=None if json else self._progress)
        except UnreadableFile as error:
            raise CommandError(file_problem(error.code, error.values)) from error
        self._report(run, as_json=json)

    def _progress(self, run: ImportRun) -> None:
        self.stderr.write(f"\r{100 * run.read_bytes // max(run.size_bytes, 1):3d} %", ending="")

    def _report(self, run: ImportRun, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(jsonlib.dumps(report(run)))
        else:
            self.stderr.write("")
            self.stdout.write(report_text(run))
        if run.error:
            raise CommandError(file_problem(run.error, {}))
