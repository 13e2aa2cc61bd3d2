from babel.messages.mofile import write_mo
from django.conf import settings
from django.core.management import BaseCommand, call_command

from cdp.messages import STUB, read_catalogue, unfold_stub


class Command(BaseCommand):
    help = "Bring locale/zh_Hans up to date with the strings in the code, unfold's included, and compile it."

    def handle(self, *args, **options):
        STUB.write_text(unfold_stub())
        call_command(
            "makemessages",
            locale=["zh_Hans"],
            extensions=["html", "txt", "py"],
            ignore_patterns=["tests/*", "benchmarks/*", ".venv/*", ".tagline/*", "docs/*"],
            no_wrap=True,
            add_location="file",
            no_obsolete=True,
        )
        catalogue = settings.BASE_DIR / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
        with catalogue.with_suffix(".mo").open("wb") as compiled:
            write_mo(compiled, read_catalogue(catalogue))
        missing = sum(1 for message in read_catalogue(catalogue) if message.id and (message.fuzzy or not any(message.string)))
        self.stdout.write(f"{catalogue.relative_to(settings.BASE_DIR)}: {missing} without a translation")
