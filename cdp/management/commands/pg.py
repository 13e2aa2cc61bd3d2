from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from cdp import postgres


class Command(BaseCommand):
    requires_system_checks = []
    help = "Start, stop or look at the embedded PostgreSQL."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "status"])

    def handle(self, *args: object, action: str, **options: object) -> None:
        if settings.DATABASE_URL:
            raise CommandError("DATABASE_URL is set: that server is not ours to start or stop.")
        if action == "stop":
            postgres.stop(settings.HOME)
        elif action == "start":
            postgres.ensure_running(settings.HOME)
        running = postgres.is_running(settings.HOME)
        self.stdout.write(
            f"PostgreSQL {postgres.major()} is {'running' if running else 'stopped'}, data in {postgres.place(settings.HOME)}"
        )
