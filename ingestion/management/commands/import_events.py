import json as jsonlib
import os
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ingestion.doors.files import ENCODINGS, MEASURES, MOST_SIGNS, Choices, UnreadableFile, is_delimiter
from ingestion.imports.again import again_words
from ingestion.imports.failed import failed_rows, has_failed_rows
from ingestion.imports.preview import warnings
from ingestion.imports.report import failed_words, has_failed, report, report_text
from ingestion.imports.run import imported_before, run_import, take_file
from ingestion.imports.words import file_problem
from ingestion.management.language import InLanguage
from ingestion.models import ImportRun
from ingestion.room import is_no_room
from taxonomy.models import Source
from taxonomy.released import by_code


def source_of(code: str) -> Source:
    """The source of a code that somebody typed. Raises CommandError."""
    found = by_code("source", code)
    source = Source.every.filter(pk=found.pk).first() if found else None
    if source is None:
        codes = ", ".join(Source.objects.values_list("code", flat=True))
        raise CommandError(f"There is no source {code!r}. There are: {codes}.")
    return source


_SIGNS = {"tab": "\t", "none": ""}


class Command(InLanguage):
    requires_system_checks = []
    help = """Import a file of events: CSV, columns of fixed width, XLSX, Parquet, a JSON list or one JSON object a line; plain,
gzip, zstd or zip. How it is read is found out from its first rows; each option below says one part of it instead.
Run again after an interruption, it goes on where it stopped.

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
        parser.add_argument(
            "--matching", type=int, help="number of the source's matching that reads the columns; 0: its envelope; default: by the headings"
        )
        parser.add_argument("--dry-run", action="store_true", help="report what would happen, store nothing")
        parser.add_argument(
            "--failed",
            type=Path,
            metavar="FILE",
            help="write the rows that failed, now or when it was imported before, to this file, each with its reason",
        )
        reading = parser.add_argument_group("how the file is read", "Each is found out where it is not given.")
        reading.add_argument("--encoding", choices=ENCODINGS, help="of its text; default: told by its bytes")
        reading.add_argument(
            "--delimiter", help="what stands between cells, such as ; or +| or tab; default: the sign that parts most rows alike"
        )
        reading.add_argument("--quote", help='one character around cells, or none; default: " unless cells stand between others')
        reading.add_argument("--above", type=int, help="rows above the header, such as titles; default: those with few cells")
        reading.add_argument(
            "--headers", type=int, choices=(0, 1, 2), help="rows of the header; 0: columns are A, B, C; default: told by the values"
        )
        reading.add_argument("--sheet", help="of a workbook; default: its first")
        reading.add_argument("--member", help="a file of a zip; default: its first, with all that are read just as it is")
        reading.add_argument(
            "--widths", type=_widths, help="of columns of fixed width, such as 8,11,20; default: where blanks stand in every row"
        )
        reading.add_argument(
            "--measure", choices=MEASURES, help="what widths count: characters, or bytes of an encoding; default: what fits the rows"
        )
        parser.add_argument("--json", action="store_true", help="print the report as JSON")
        super().add_arguments(parser)

    def handle(
        self,
        *args: object,
        file: Path,
        source: str,
        matching: int | None,
        dry_run: bool,
        failed: Path | None,
        json: bool,
        **options: object,
    ) -> None:
        if not file.is_file():
            raise CommandError(f"{file} is not a file.")
        if failed is not None and (failed.exists() or not failed.absolute().parent.is_dir()):
            raise CommandError(f"--failed {failed}: expected a file that is not there yet, in a folder that is.")
        owner = source_of(source)
        try:
            run = take_file(file, source=owner, file_name=file.name, dry_run=dry_run, matching=matching, **_said(options))
            for warning in again_words(run):
                self.stderr.write(warning)
            run = run_import(run.pk, on_progress=None if json else self._progress)
        except UnreadableFile as error:
            raise CommandError(file_problem(error.code, error.values)) from error
        except (OSError, DatabaseError) as error:
            if not is_no_room(error):
                raise
            raise CommandError(file_problem("import.no_room", {})) from error
        self._report(run, failed, as_json=json)

    def _progress(self, run: ImportRun) -> None:
        self.stderr.write(f"\r{100 * run.read_bytes // max(run.size_bytes, 1):3d} %", ending="")

    def _report(self, run: ImportRun, failed: Path | None, *, as_json: bool) -> None:
        # what is held already is a duplicate now: its rows are those that failed then
        of = run if has_failed(run) else imported_before(run)
        if failed is None or run.error or of is None or not has_failed_rows(of):
            failed = None  # those of half a file would look like all
        is_kept = failed is None or of is None or _is_written(failed, failed_rows(of))
        if as_json:
            # what quotes cells stands on the page only
            traps = [{"code": one.kind, "column": one.column, "row": one.row} for one in warnings(run)]
            self.stdout.write(jsonlib.dumps({**report(run), "traps": traps}))
        else:
            self.stderr.write("")
            self.stdout.write(report_text(run))
            place = settings.SITE_URL + reverse("admin:ingestion_importrun_change", args=[run.pk])
            if hidden := len(warnings(run)):
                said = ngettext(
                    "%(n)s thing in its rows may be read otherwise than it was meant; check_file tells it with its row, and so does %(place)s.",
                    "%(n)s things in its rows may be read otherwise than they were meant; check_file tells each with its row, and so does %(place)s.",
                    hidden,
                )
                self.stdout.write(said % {"n": intcomma(hidden), "place": place})
            if failed is not None and is_kept:
                self.stdout.write(failed_words(failed))
            elif has_failed(run):
                said = _(
                    "--failed FILE writes the failed rows. Whoever may import and see personal data can also download them at %(place)s."
                )
                self.stdout.write(said % {"place": place})
        if run.error:
            raise CommandError(file_problem(run.error, {}))
        if not is_kept:
            raise CommandError(f"--failed {failed}: it was made by somebody else meanwhile. Run again with another name.")


def _is_written(path: Path, pieces: Iterable[bytes]) -> bool:
    """Whole, or not at all: False where the file is there already."""
    private = partial(os.open, mode=0o600)
    part = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with open(part, "xb", opener=private) as file:
            file.writelines(pieces)
        with open(path, "xb", opener=private):
            part.replace(path)
    except FileExistsError:
        return False
    finally:
        part.unlink(missing_ok=True)
    return True


def _widths(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) for part in parts):
        raise ArgumentTypeError(f"{text!r}: expected the widths of the columns in their order, such as 8,11,20")
    return [int(part) for part in parts]


def _said(options: dict[str, Any]) -> Choices:
    """What was given of how the file is read."""
    given = {name: options[name] for name in Choices.__annotations__ if options.get(name) is not None}
    return cast(Choices, given | {name: _sign(name, given[name]) for name in ("delimiter", "quote") if name in given})


def _sign(option: str, written: str) -> str:
    sign = _SIGNS.get(written, written)
    if option == "delimiter" and not is_delimiter(sign):
        raise CommandError(
            f"--delimiter {written!r}: expected one to {MOST_SIGNS} characters that are no letters, digits or quotation marks, or tab."
        )
    if option == "quote" and (len(sign) > 1 or sign.isalnum() or (sign and sign in "\r\n\0")):
        raise CommandError(f"--quote {written!r}: expected one character that is no letter and no digit, or none.")
    return sign
