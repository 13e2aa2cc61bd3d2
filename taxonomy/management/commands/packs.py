from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from taxonomy.packs.page import page


class Command(BaseCommand):
    requires_system_checks = []
    help = "Print what each vendor's pack makes of what arrives, as in docs/vendors.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--write", action="store_true", help="write it to docs/vendors.md instead")

    def handle(self, *, write: bool, **options: Any) -> None:
        if write:
            (settings.BASE_DIR / "docs" / "vendors.md").write_text(page(), encoding="utf-8")
        else:
            self.stdout.write(page())
