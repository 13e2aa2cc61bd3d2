from django.core.management.base import BaseCommand

from cdp.jobs import run_worker


class Command(BaseCommand):
    requires_system_checks = []
    help = "Do background jobs until stopped."

    def handle(self, *args: object, **options: object) -> None:
        run_worker()
