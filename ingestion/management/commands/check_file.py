import json as jsonlib
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ingestion.doors.files import UnreadableFile
from ingestion.imports.check_file import Checked, as_json, check_file
from ingestion.imports.words import file_problem
from ingestion.management.commands.import_events import source_of
from ingestion.management.language import InLanguage
from ingestion.ranked import most_first
from taxonomy.current import NoRelease, current
from taxonomy.violations import title_for


class Command(InLanguage):
    requires_system_checks = []
    help = """Tell what is wrong with a file of a source, row by row, and store nothing.

Exit codes:
  0  every row would be accepted
  1  rows would be held or refused, or the file cannot be read; there is no such source; or nothing is published
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
        parser.add_argument("--json", action="store_true", help="print what was found as JSON")
        parser.add_argument("--most", type=int, default=1_000, help="how many departures to tell; 1000 unless told")
        super().add_arguments(parser)

    def handle(self, *args: object, file: Path, source: str, matching: int | None, json: bool, most: int, **options: object) -> None:
        if not file.is_file():
            raise CommandError(f"{file} is not a file.")
        owner = source_of(source)
        try:
            obeyed = current()
            if (plan := obeyed.plan.sources_by_uuid.get(str(owner.pk))) is None:
                raise CommandError(file_problem("source.unreleased", {}))
            checked = check_file(file, plan, current=obeyed, received_at=timezone.now(), most_findings=most, matching=matching)
        except NoRelease as error:
            raise CommandError(file_problem("release.none", {})) from error
        except UnreadableFile as error:
            raise CommandError(file_problem(error.code, error.values)) from error
        if json:
            self.stdout.write(jsonlib.dumps(as_json(checked), ensure_ascii=False, default=str))
        else:
            self._print(checked)
        if checked.failed:
            raise CommandError(_("%(n)s of %(all)s rows fail.") % {"n": intcomma(checked.failed), "all": intcomma(checked.received)})

    def _print(self, checked: Checked) -> None:
        if checked.matching:
            self.stdout.write(_("Columns read by: %(matching)s") % {"matching": checked.matching})
        for one in checked.findings:
            place = _("row %(row)s") % {"row": intcomma(one.row)} + (f", {one.column}" if one.column else "")
            self.stdout.write(f"{place}: {one.message} ({one.code})")
        if checked.more:
            self.stdout.write(ngettext("and %(n)s more", "and %(n)s more", checked.more) % {"n": intcomma(checked.more)})
        for code, count in most_first(checked.notes):
            self.stdout.write(f"{intcomma(count):>15}  {title_for(code)} ({code})")
        for unlike in checked.unlike:
            place = _("row %(row)s") % {"row": intcomma(unlike.row)} + f", {unlike.column}"
            told = _("“%(seen)s” tells of no event, %(times)s times; these would: %(says)s")
            self.stdout.write(f"{place}: " + told % {"seen": unlike.seen, "times": intcomma(unlike.times), "says": ", ".join(unlike.says)})
        for told in checked.trap_words:
            self.stdout.write(told)
        for code, count in most_first(checked.events):
            self.stdout.write(f"{intcomma(count):>15}  {code}")
        self.stdout.write(f"{intcomma(checked.received):>15}  {_('received in all')}")
        self.stdout.write(f"{intcomma(checked.received - checked.failed):>15}  {_('without a fault')}")
