import signal
import time
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, connection

from ingestion.imports.watch import FAILED, Result, Settled, inboxes, work_through
from ingestion.management.commands.import_events import source_of
from ingestion.management.language import InLanguage
from staff.masking import mask_in_text


class Command(InLanguage):
    requires_system_checks = []
    help = """Import what is dropped into a folder, each file once: DIR/<code of the source>/file.csv.

A file counts as whole when nothing of it has changed for --settle seconds, or when file.csv.done lies beside it. It ends in
done/ or failed/ beside where it was dropped, with file.csv.report.json, file.csv.report.txt and, where rows failed,
file.csv.failed.csv. Killed at any moment and started again it goes on; several may watch one folder. See docs/files.md.

Exit codes with --once:
  0  every file that was whole is in done/
  1  a file is in failed/, or waits for what its line says; or the database cannot be reached
  2  the command was written wrong"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dir", type=Path)
        parser.add_argument("--once", action="store_true", help="work through what is there and end, as for cron")
        parser.add_argument(
            "--match", action="append", default=[], type=_pair, metavar="PATTERN=SOURCE",
            help="whose are files that lie in DIR itself, such as 'till-*.csv=till'; may be given several times",
        )  # fmt: skip
        parser.add_argument("--settle", type=_seconds, default=30, metavar="SECONDS", help="30 unless told")
        parser.add_argument("--marker", action="store_true", help="take only files with a marker, file.csv.done, beside them")
        parser.add_argument("--every", type=_seconds, default=5, metavar="SECONDS", help="how often to look; 5 unless told")
        super().add_arguments(parser)

    def handle(
        self, *args: object, dir: Path, once: bool, match: list[tuple[str, str]], settle: float, marker: bool, every: float,
        **options: object,
    ) -> None:  # fmt: skip
        if not dir.is_dir():
            raise CommandError(f"{dir} is not a folder.")
        self.told: set[str] = set()
        settled = Settled(settle, marker)
        if once:
            try:
                if not self._pass(dir, match, settled):
                    raise CommandError("Not everything is in done/.", returncode=1)
            except (DatabaseError, InterfaceError) as error:
                raise CommandError("The database cannot be reached. Nothing is lost; run it again.", returncode=1) from error
            return
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            while True:
                self._pass_when_it_can(dir, match, settled)
                time.sleep(every)
        except KeyboardInterrupt:
            self.stderr.write("Stopped. Started again, it goes on where it was.")

    def _pass_when_it_can(self, root: Path, match: list[tuple[str, str]], settled: Settled) -> None:
        try:
            self._pass(root, match, settled)
            self.told.discard("database")
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            self._tell_once("database", f"The database cannot be reached ({type(error).__name__}); waiting for it.")
        except OSError as error:
            self._tell_once(str(error), f"{type(error).__name__}: {error.strerror}; trying again.")

    def _pass(self, root: Path, match: list[tuple[str, str]], settled: Settled) -> bool:
        """Whether every file that was whole was imported."""
        found, nobodys = inboxes(root, [(pattern, source_of(code)) for pattern, code in match])
        for name in nobodys:
            self._tell_once(name, f"{name}/ is no source's code; its files are left alone.")
        results = [self._tell(result) for inbox in found for result in work_through(inbox, settled)]
        return all(result.place not in ("", FAILED) for result in results)

    def _tell(self, result: Result) -> Result:
        file = f"{result.source}/{mask_in_text(result.file)}"
        if result.place:
            self.stdout.write(f"{result.place}  {file}")
        else:
            self._tell_once(f"{file}: {result.told}", f"waits  {file}: {result.told}")
        return result

    def _tell_once(self, what: str, line: str) -> None:
        """What stays so is not told with every look."""
        if what not in self.told:
            self.told.add(what)
            self.stderr.write(line)


def _pair(written: str) -> tuple[str, str]:
    pattern, equals, source = written.rpartition("=")
    if not (pattern and equals and source):
        raise ArgumentTypeError(f"{written!r}; expected PATTERN=SOURCE, such as 'till-*.csv=till'")
    return pattern, source


def _seconds(written: str) -> float:
    try:
        seconds = float(written)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 86_400:
        raise ArgumentTypeError(f"{written!r}; expected seconds, from 0 to 86400")
    return seconds
