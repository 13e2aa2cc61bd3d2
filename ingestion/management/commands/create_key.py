import json
from argparse import ArgumentParser

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from ingestion.models import WriteKey
from taxonomy.models import Source


class Command(BaseCommand):
    requires_system_checks = []
    help = "Make a write key of a source. It is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--source", required=True)
        parser.add_argument("--name", default="")
        parser.add_argument("--test", action="store_true", help="a test key: the same answers, nothing stored")
        parser.add_argument("--per-second", type=int, default=0, help="the most events a second; 0: no limit")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: object, source: str, name: str, test: bool, per_second: int, json: bool, **options: object) -> None:
        owner = Source.objects.filter(code=source).first()
        if owner is None:
            raise CommandError(f"There is no source {source!r}. There are: {', '.join(Source.objects.values_list('code', flat=True))}.")
        key = WriteKey(source=owner, name=name, test=test, per_second=per_second)
        secret = key.set_secret()
        try:
            key.clean_fields()
        except ValidationError as error:
            raise CommandError(" ".join(f"{field}: {' '.join(said)}" for field, said in error.message_dict.items())) from error
        key.save()
        shown = {"source": source, "key": secret, "test": test}
        self.stdout.write(_json(shown) if json else secret)


def _json(shown: dict[str, object]) -> str:
    return json.dumps(shown)
