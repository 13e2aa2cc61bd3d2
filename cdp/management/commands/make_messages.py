from babel.messages.mofile import write_mo
from django.conf import settings
from django.core.management import BaseCommand, call_command

from cdp.messages import STUB, is_translated, read_catalogue, unfold_stub

HEADER = """msgid ""
msgstr ""
"Language: zh_Hans\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"
"""


class Command(BaseCommand):
    help = "Bring locale/zh_Hans up to date with the strings in the code, unfold's included, and compile it."

    def handle(self, *args, **options):
        STUB.write_text(unfold_stub())
        catalogue = settings.BASE_DIR / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
        if not catalogue.exists():
            catalogue.parent.mkdir(parents=True)
            catalogue.write_text(HEADER)
        call_command(
            "makemessages",
            locale=["zh_Hans"],
            extensions=["html", "txt", "py"],
            ignore_patterns=["tests/*", "benchmarks/*", ".venv/*", ".tagline/*", "docs/*"],
            no_wrap=True,
            add_location="file",
            no_obsolete=True,
        )
        with catalogue.with_suffix(".mo").open("wb") as compiled:
            write_mo(compiled, read_catalogue(catalogue))
        missing = [message for message in read_catalogue(catalogue) if message.id and not is_translated(message)]
        self.stdout.write(f"{catalogue.relative_to(settings.BASE_DIR)}: {len(missing)} without a translation")
