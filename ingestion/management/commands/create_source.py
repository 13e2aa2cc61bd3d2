from argparse import ArgumentParser

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from staff.models import Department
from taxonomy.history import record_revision
from taxonomy.models import Revision, Source


class Command(BaseCommand):
    requires_system_checks = []
    help = "Add a source to the draft of the standard. It can send after the next publication."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("code")
        parser.add_argument("--kind", required=True, choices=Source.Kind.values)
        parser.add_argument("--owner", required=True, help="code of a department")
        parser.add_argument("--label-en", default="")
        parser.add_argument("--label-zh-hans", default="")
        parser.add_argument("--region", default="", help="such as CN")
        parser.add_argument("--timezone", default="UTC", help="such as Asia/Shanghai")
        parser.add_argument("--currency", default="", help="such as CNY")
        parser.add_argument("--preset", default="tagline", choices=["tagline", "flat", "segment"])

    def handle(self, *args: object, code: str, kind: str, owner: str, preset: str, **options: str) -> None:
        if not Department.objects.filter(pk=owner).exists():
            raise CommandError(
                f"There is no department {owner!r}. There are: {', '.join(Department.objects.values_list('pk', flat=True))}."
            )
        fields = {name: options[name] for name in ("region", "timezone", "currency")}
        source = Source(
            code=code, source_kind=kind, owner_id=owner, envelope={"preset": preset},
            label_en=options["label_en"] or code, label_zh_hans=options["label_zh_hans"] or code, **fields,
        )  # fmt: skip
        try:
            source.full_clean()
        except ValidationError as error:
            raise CommandError("; ".join(f"{name}: {' '.join(problems)}" for name, problems in error.message_dict.items())) from error
        source.save()
        record_revision(source, by=None, action=Revision.Action.CREATED, why="create_source")
        self.stdout.write(f"{code} is in the draft. Publish it: manage.py publish --items {code} --notes 'Add {code}'")
