from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from cdp.dump import DumpError, restore


class Command(BaseCommand):
    requires_system_checks = []
    help = "Replace the whole database by what `backup` wrote."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: object, file: Path, yes: bool, **options: object) -> None:
        if not yes and input("This replaces everything in the database. Type yes to go on: ") != "yes":
            raise CommandError("Nothing was changed.")
        try:
            restore(file)
        except DumpError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Restored.")
