"""The plan as code: manage.py plan export|diff|propose|codegen|write|read."""

import os
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from staff.models import Department
from taxonomy.definition import draft_items
from taxonomy.diff import diff, title
from taxonomy.exchange import folder as folders
from taxonomy.exchange.codegen import command as codegen
from taxonomy.exchange.command import (
    DIFFERENT,
    TROUBLE,
    WAS_OPEN,
    Say,
    add_plan,
    add_proposal,
    colleague,
    language_of,
    plan_of,
    refused,
    say_json,
    say_proposal,
    told,
)  # fmt: skip
from taxonomy.exchange.formats import command as formats
from taxonomy.exchange.formats.words import KINDS
from taxonomy.exchange.take import NotTogether, base_of, compare, propose_entries, takes
from taxonomy.exchange.words import FILES, STATUSES, trouble_text
from taxonomy.exchange.written import Entry, Items, Status, read
from taxonomy.problems import plan_problem

_SIGNS = {"added": "+", "changed": "~", "removed": "-", "wrong": "!"}
_COUNTED: tuple[Status, ...] = ("added", "changed", "removed", "unchanged", "wrong")


class Command(BaseCommand):
    requires_system_checks = []
    help = "The plan as code: to a folder of YAML and back as a proposal, to and from the formats of others, and as typed code."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        with override(language_of(os.environ)):
            return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name, (about, arguments, _run) in _ACTIONS.items():
            action = actions.add_parser(name, help=str(about), description=str(about))
            arguments(action)
            action.add_argument("--json", action="store_true", help=_("print the answer as JSON"))
            action.add_argument("--language", choices=["en", "zh-hans"], help=_("of what is said; default: as LANG says"))

    def handle(self, *args: object, action: str, language: str | None, **options: Any) -> None:
        with override(language or language_of(os.environ)):
            _ACTIONS[action][2](self.stdout.write, **options)


def _export_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help=_("the folder to write to; made where it is not there"))
    add_plan(parser)


def _export(say: Say, *, out: Path, release: str, draft: bool, json: bool, **_options: Any) -> None:
    items, version = plan_of(release, draft=draft)
    try:
        changed = folders.export(items, out, release=version)
    except folders.NotAPlanFolder as error:
        raise CommandError(str(FILES[error.code]) % {"path": error.path}, returncode=TROUBLE) from error
    if json:
        say_json({"out": str(out), "release": version, "items": len(items), "changed": changed}, say)
        return
    of = _("release %(version)s") % {"version": version} if version else _("the draft")
    values = {"folder": out, "items": len(items), "of": of, "changed": len(changed)}
    say(_("%(folder)s: %(items)s items of %(of)s, %(changed)s files changed.") % values)


def _diff_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help=_("a folder that was exported"))
    add_plan(parser)


def _diff(say: Say, *, folder: Path, release: str, draft: bool, json: bool, **_options: Any) -> None:
    """What the folder would change. Ends with 0 where nothing does, 1 where it differs, 2 where something is wrong."""
    found = _read(folder)
    base, _version = plan_of(release, draft=draft)
    departments = set(Department.objects.values_list("pk", flat=True))
    entries = read(found.written, base, departments=departments, whole=found.whole, full=True)
    folders.in_order(entries, found.written)
    _tell(say, found, entries, base, json=json)
    if _is_wrong(found, entries):
        sys.exit(TROUBLE)
    if any(entry.status != "unchanged" for entry in entries):
        sys.exit(DIFFERENT)


def _propose_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help=_("a folder that was exported"))
    add_proposal(parser, required=True)
    parser.add_argument("--no-add", action="store_true", help=_("leave out what is new"))
    parser.add_argument("--no-update", action="store_true", help=_("leave out what differs"))
    parser.add_argument("--remove", action="store_true", help=_("propose that what is missing in the folder goes"))
    parser.add_argument("--leave-out-wrong", action="store_true", help=_("propose the rest where something is wrong"))


def _propose(
    say: Say,
    *,
    folder: Path,
    title: str,
    why: str,
    email: str,
    no_add: bool,
    no_update: bool,
    remove: bool,
    leave_out_wrong: bool,
    json: bool,
    **_options: Any,
) -> None:
    by = colleague(email)
    found = _read(folder)
    draft = draft_items()
    entries = compare(
        found.written,
        draft=draft,
        base=base_of(f"release {found.release}", draft),
        whole=found.whole,
        full=True,
        settle=lambda entries: folders.in_order(entries, found.written),
        by=by,
    )
    if _is_wrong(found, entries) and not leave_out_wrong:
        _tell(say, found, entries, draft_items(), json=json)
        raise CommandError(_("Nothing was proposed. Correct what is wrong, or say --leave-out-wrong."), returncode=TROUBLE)
    already = takes(entries, by=by)
    try:
        made = propose_entries(entries, title=title, why=why, by=by, add=not no_add, update=not no_update, remove=remove, into=already)
    except NotTogether as error:
        problems = [plan_problem(problem, error.names) for problem in error.problems]
        raise CommandError("\n".join([_("What was chosen does not hold together."), *problems]), returncode=TROUBLE) from error
    except Exception as error:
        raise refused(error) from error
    _tell(say, found, entries, draft_items(), json=json, proposal=told(made))
    if made == already and not json:
        say(WAS_OPEN)


# name: (what it does, its arguments, what runs)
_ACTIONS: dict[str, tuple[Promise | str, Callable[[ArgumentParser], None], Callable[..., None]]] = {
    "export": (gettext_lazy("Write the plan to a folder of YAML files."), _export_arguments, _export),
    "diff": (gettext_lazy("Show what a folder would change."), _diff_arguments, _diff),
    "propose": (gettext_lazy("Make a proposal of what a folder changes."), _propose_arguments, _propose),
    "codegen": (codegen.ABOUT, codegen.add_arguments, codegen.run),
    "write": (formats.WRITE, formats.write_arguments, formats.write),
    "read": (formats.READ, formats.read_arguments, formats.read),
}


def _read(folder: Path) -> folders.Folder:
    try:
        return folders.read_folder(folder)
    except folders.NotAPlanFolder as error:
        raise CommandError(str(FILES[error.code]) % {"path": error.path}, returncode=TROUBLE) from error


def _is_wrong(found: folders.Folder, entries: list[Entry]) -> bool:
    return bool(found.mistakes) or any(entry.status == "wrong" for entry in entries)


def _tell(
    say: Say, found: folders.Folder, entries: list[Entry], base: Items, *, json: bool, proposal: dict[str, Any] | None = None
) -> None:
    """What the folder changes, item by item with file and line, and how many of each."""
    names = base | {entry.item: entry.after for entry in entries if entry.after is not None}
    counts = Counter(entry.status for entry in entries)
    mistakes = [{"file": one.file, "line": one.line, "text": str(FILES[one.code]) % one.values} for one in found.mistakes]
    changes = [_told(found, entry, names) for entry in entries if entry.status != "unchanged"]
    if json:
        say_json({"counts": counts, "mistakes": mistakes, "changes": changes, "proposal": proposal}, say)
        return
    for one in mistakes:
        say(f"! {one['file']}:{one['line']}: {one['text']}")
    for change in changes:
        say(f"{_SIGNS[change['status']]} {KINDS[change['kind']]} {change['title']}")
        for text in (*change["lines"], *change["reasons"]):
            say(f"    {text}")
    say(_(", ").join(f"{counts[status]} {STATUSES[status]}" for status in _COUNTED))
    if proposal:
        say_proposal(proposal, say)


def _told(found: folders.Folder, entry: Entry, names: Items) -> dict[str, Any]:
    place = found.places.get((entry.kind, entry.key))
    lines = diff(entry.before, entry.after, names) if entry.status == "changed" else []
    return {
        "status": entry.status,
        "kind": entry.kind,
        "item": entry.item,
        "title": title(entry.after or entry.before or {"kind": "rule", "name": entry.key}, names),
        "file": place.of("") if place else "",
        "lines": [f"{line.field}: {line.before or '-'} → {line.after or '-'}" for line in lines],
        "reasons": [f"{place.of(one.field)}: {trouble_text(one, names)}" if place else trouble_text(one, names) for one in entry.troubles]
        + [trouble_text(one, names) for one in entry.notes],
    }
