"""manage.py plan codegen: writes the typed code of a release to a folder."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from taxonomy.exchange.codegen import LANGUAGES, generate
from taxonomy.models import Release
from taxonomy.publish import items_of

ABOUT = "Write typed code: a function per tag of a release, calling the Segment client of a language."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("language", choices=sorted(LANGUAGES))
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write to; made where it is not there")
    parser.add_argument("--release", default="", metavar="VERSION", help="this release; default: the current one")


def run(command: BaseCommand, *, language: str, out: Path, release: str, **_options: Any) -> None:
    releases = Release.objects.filter(version=release) if release else Release.objects.all()
    found = releases.order_by("-id").first()
    if found is None:
        raise CommandError(f"There is no release {release}." if release else "Nothing was released yet.")
    for path, text in generate(language, items_of(found), found.version).items():
        out.mkdir(parents=True, exist_ok=True)
        (out / path).write_text(text, encoding="utf-8")
        command.stdout.write(f"{out / path}: release {found.version}")
