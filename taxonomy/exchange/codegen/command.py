"""manage.py plan codegen: writes the typed code of a release to a folder."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from taxonomy.exchange.codegen import LANGUAGES, generate
from taxonomy.exchange.command import Say, add_plan, plan_of, say_json

ABOUT = gettext_lazy("Write typed code: a function per tag of a release, calling the Segment client of a language.")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("code", choices=sorted(LANGUAGES), help=_("the language of the code"))
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help=_("the folder to write to; made where it is not there"))
    add_plan(parser, draft=False)


def run(say: Say, *, code: str, out: Path, release: str, json: bool, **_options: Any) -> None:
    items, version = plan_of(release)
    written = []
    for path, text in generate(code, items, version).items():
        out.mkdir(parents=True, exist_ok=True)
        (out / path).write_text(text, encoding="utf-8")
        written.append(str(out / path))
    if json:
        say_json({"out": str(out), "release": version, "files": written}, say)
        return
    for one in written:
        say(_("%(file)s: release %(version)s") % {"file": one, "version": version})
