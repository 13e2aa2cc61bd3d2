from django.core.management.base import BaseCommand

from taxonomy.starter.load import load_starter


class Command(BaseCommand):
    requires_system_checks = []
    help = "Add what is missing of the starter standard to the draft, and release it if nothing is released yet."

    def handle(self, *args: object, **options: object) -> None:
        loaded = load_starter()
        for name in loaded.kept:
            self.stdout.write(f"Left out, there is one of your own: {name}")
        if loaded.release:
            self.stdout.write(f"Released the starter standard as {loaded.release.version}: {len(loaded.created)} items.")
        elif loaded.created:
            self.stdout.write(f"Added {len(loaded.created)} items to the draft. Look at them and publish.")
        else:
            self.stdout.write("The starter standard is here already.")
