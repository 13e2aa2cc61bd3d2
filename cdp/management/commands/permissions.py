from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand

from cdp.permissions import table


class Command(BaseCommand):
    requires_system_checks = []
    help = "Print who may open which page and do which act, as docs/permissions.md has it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--write", action="store_true", help="write docs/permissions.md instead")

    def handle(self, *args: object, write: bool, **options: object) -> None:
        if write:
            (settings.BASE_DIR / "docs" / "permissions.md").write_text(table(), encoding="utf-8")
        else:
            self.stdout.write(table())
