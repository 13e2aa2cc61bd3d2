"""The plan as code: manage.py plan export|diff|propose."""

import json as jsonlib
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from staff.models import Department, User
from taxonomy.admin.proposals import said_of
from taxonomy.definition import draft_items
from taxonomy.diff import diff, title
from taxonomy.exchange import folder as folders
from taxonomy.exchange.codegen import command as codegen
from taxonomy.exchange.formats import command as formats
from taxonomy.exchange.take import NotTogether, base_of, compare, propose_entries
from taxonomy.exchange.words import FILES, trouble_text
from taxonomy.exchange.written import Entry, Items, read
from taxonomy.models import Release
from taxonomy.problems import plan_problem
from taxonomy.publish import items_of, newest

_SIGNS = {"added": "+", "changed": "~", "removed": "-", "wrong": "!"}
# As diff(1): 0 is the same, 1 is different, 2 is trouble.
DIFFERENT, TROUBLE = 1, 2


class Command(BaseCommand):
    help = "The plan as code: write it to a folder of YAML, compare a folder with it, propose what a folder says; typed code."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name, (about, arguments, _run) in _ACTIONS.items():
            action = actions.add_parser(name, help=about, description=about)
            arguments(action)
            if arguments is not codegen.add_arguments:
                action.add_argument("--json", action="store_true", help="print the answer as JSON")
        formats.add_arguments(actions)

    def handle(self, *args: object, action: str, **options: Any) -> None:
        if action not in _ACTIONS:
            formats.handle({**options, "act": action}, self.stdout.write)
            return
        _about, _arguments, run = _ACTIONS[action]
        run(self, **options)


def _export_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--release", default="", metavar="VERSION", help="this release; default: the current one")
    which.add_argument("--draft", action="store_true", help="the draft, with what is not released")


def _export(command: BaseCommand, *, folder: Path, release: str, draft: bool, json: bool, **_options: Any) -> None:
    items, version = (draft_items(), "") if draft else _released(release)
    try:
        changed = folders.export(items, folder, release=version)
    except folders.NotAPlanFolder as error:
        raise CommandError(FILES[error.code] % {"path": error.path}, returncode=TROUBLE) from error
    if json:
        command.stdout.write(jsonlib.dumps({"folder": str(folder), "release": version, "items": len(items), "changed": changed}))
    else:
        command.stdout.write(f"{folder}: {len(items)} items of {version or 'the draft'}, {len(changed)} files changed.")


def _diff_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path)
    parser.add_argument("--against", choices=["release", "draft"], default="release", help="default: the current release")


def _diff(command: BaseCommand, *, folder: Path, against: str, json: bool, **_options: Any) -> None:
    """What the folder would change. Ends with 0 where nothing does, 1 where it differs, 2 where something is wrong."""
    found = _read(folder)
    base = draft_items() if against == "draft" else _released("")[0]
    departments = set(Department.objects.values_list("pk", flat=True))
    entries = read(found.written, base, departments=departments, whole=found.whole, full=True)
    folders.in_order(entries, found.written)
    _tell(command, found, entries, base, json=json)
    if _is_wrong(found, entries):
        sys.exit(TROUBLE)
    if any(entry.status != "unchanged" for entry in entries):
        sys.exit(DIFFERENT)


def _propose_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path)
    parser.add_argument("--title", required=True, help="what changes, in a few words")
    parser.add_argument("--why", required=True, help="what is better with it")
    parser.add_argument("--as", required=True, dest="email", metavar="EMAIL", help="the colleague whose proposal it is")
    parser.add_argument("--no-add", action="store_true", help="leave out what is new")
    parser.add_argument("--no-update", action="store_true", help="leave out what differs")
    parser.add_argument("--remove", action="store_true", help="propose that what is missing in the folder goes")
    parser.add_argument("--leave-out-wrong", action="store_true", help="propose the rest where something is wrong")


def _propose(
    command: BaseCommand,
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
    by = _colleague(email)
    found = _read(folder)
    draft = draft_items()
    entries = compare(
        found.written,
        draft=draft,
        base=base_of(f"release {found.release}", draft),
        whole=found.whole,
        full=True,
        settle=lambda entries: folders.in_order(entries, found.written),
    )
    if _is_wrong(found, entries) and not leave_out_wrong:
        _tell(command, found, entries, draft_items(), json=json)
        raise CommandError("Nothing was proposed. Correct what is wrong, or say --leave-out-wrong.", returncode=TROUBLE)
    try:
        made = propose_entries(entries, title=title, why=why, by=by, add=not no_add, update=not no_update, remove=remove)
    except NotTogether as error:
        problems = [plan_problem(problem, error.names) for problem in error.problems]
        raise CommandError("\n".join(["What was chosen does not hold together.", *problems]), returncode=TROUBLE) from error
    except Exception as error:
        if (said := said_of(error)) is None:
            raise
        raise CommandError(said, returncode=TROUBLE) from error
    _tell(command, found, entries, draft_items(), json=json, proposal={"id": made.pk, "url": made.get_absolute_url(), "title": made.title})


# name: (what it does, its arguments, what runs)
_ACTIONS: dict[str, tuple[str, Callable[[ArgumentParser], None], Callable[..., None]]] = {
    "export": ("Write the plan to a folder of YAML files.", _export_arguments, _export),
    "diff": ("Show what a folder would change.", _diff_arguments, _diff),
    "propose": ("Make a proposal of what a folder changes.", _propose_arguments, _propose),
    "codegen": (codegen.ABOUT, codegen.add_arguments, codegen.run),
}


def _released(version: str) -> tuple[Items, str]:
    release = Release.objects.filter(version=version).first() if version else newest()
    if release is None:
        known = ", ".join(Release.objects.values_list("version", flat=True)[:10])
        raise CommandError(f"There is no release {version}. The newest: {known}." if known else "Nothing was released yet. Say --draft.", returncode=TROUBLE)  # fmt: skip
    return items_of(release), release.version


def _colleague(email: str) -> User:
    by = User.objects.filter(email__iexact=email, is_active=True).first()
    if by is None:
        raise CommandError(f"There is no colleague {email}.", returncode=TROUBLE)
    if not by.has_perm("taxonomy.add_proposal"):
        raise CommandError(f"{email} may not propose. An administrator can give the right to a role.", returncode=TROUBLE)
    return by


def _read(folder: Path) -> folders.Folder:
    try:
        return folders.read_folder(folder)
    except folders.NotAPlanFolder as error:
        raise CommandError(FILES[error.code] % {"path": error.path}, returncode=TROUBLE) from error


def _is_wrong(found: folders.Folder, entries: list[Entry]) -> bool:
    return bool(found.mistakes) or any(entry.status == "wrong" for entry in entries)


def _tell(
    command: BaseCommand, found: folders.Folder, entries: list[Entry], base: Items, *, json: bool, proposal: dict[str, Any] | None = None
) -> None:
    """What the folder changes, item by item with file and line, and how many of each."""
    names = base | {entry.item: entry.after for entry in entries if entry.after is not None}
    counts = Counter(entry.status for entry in entries)
    mistakes = [{"file": one.file, "line": one.line, "text": str(FILES[one.code]) % one.values} for one in found.mistakes]
    changes = [_told(found, entry, names) for entry in entries if entry.status != "unchanged"]
    if json:
        command.stdout.write(jsonlib.dumps({"counts": counts, "mistakes": mistakes, "changes": changes, "proposal": proposal}))
        return
    for one in mistakes:
        command.stdout.write(f"! {one['file']}:{one['line']}: {one['text']}")
    for change in changes:
        command.stdout.write(f"{_SIGNS[change['status']]} {change['kind']} {change['title']}")
        for text in (*change["lines"], *change["reasons"]):
            command.stdout.write(f"    {text}")
    command.stdout.write(", ".join(f"{counts[status]} {status}" for status in ("added", "changed", "removed", "unchanged", "wrong")))
    if proposal:
        command.stdout.write(f"Proposal {proposal['id']}: {proposal['title']}, {proposal['url']}")


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
