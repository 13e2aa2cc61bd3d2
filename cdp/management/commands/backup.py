from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from cdp.dump import DumpError, backup


class Command(BaseCommand):
    requires_system_checks = []
    help = "Write the whole database to a file that `restore` reads, also on a newer PostgreSQL."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: object, file: Path, **options: object) -> None:
        try:
            backup(file)
        except DumpError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{file}: {file.stat().st_size} bytes. Keep it safe: it holds personal data.")
