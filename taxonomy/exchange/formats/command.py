"""`plan write` and `plan read`: the formats of others on the command line. The command `plan` attaches them."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from staff.models import User
from taxonomy.exchange.command import (
    TROUBLE,
    WAS_OPEN,
    Say,
    add_plan,
    add_proposal,
    colleague,
    plan_of,
    refused,
    say_json,
    say_proposal,
    told,
)
from taxonomy.exchange.formats import FORMATS, Choices, Exported, export_as, part_of, unpack
from taxonomy.exchange.formats.documents import pack
from taxonomy.exchange.formats.found import LeftOut
from taxonomy.exchange.formats.propose import Looked, Proposed, look_at, propose_written
from taxonomy.exchange.formats.words import KINDS
from taxonomy.exchange.formats.words import told as told_left_out
from taxonomy.exchange.words import STATUSES, trouble_text
from taxonomy.exchange.written import Entry

WRITE = gettext_lazy("Write the plan in a format of another tool.")
READ = gettext_lazy("Propose what files of another tool's format say.")


def write_arguments(parser: ArgumentParser) -> None:
    _add_format(parser, [one.name for one in FORMATS.values() if one.write])
    parser.add_argument(
        "--out", required=True, type=Path, metavar="PATH", help=_("a file, a .zip, or a folder for formats of several files")
    )
    parser.add_argument("--category", default="", metavar="CODE", help=_("only the tags of this category and those below it"))
    add_plan(parser)


def read_arguments(parser: ArgumentParser) -> None:
    _add_format(parser, list(FORMATS))
    parser.add_argument("paths", nargs="+", metavar="PATH", help=_("files, zips or folders"))
    add_proposal(parser, required=False)
    parser.add_argument("--category", default="", metavar="CODE", help=_("of new tags that the files put into none"))
    parser.add_argument("--owner", default="", metavar="DEPARTMENT", help=_("of new tags that the files give none"))
    parser.add_argument("--source", default="", metavar="CODE", help=_("the source that says it so: names become its mapping rules"))
    parser.add_argument("--dry-run", action="store_true", help=_("say what would be proposed, and store nothing"))


def _add_format(parser: ArgumentParser, names: list[str]) -> None:
    parser.add_argument("--format", required=True, choices=names, help=_("such as json-schema or segment"))


def write(say: Say, *, format: str, out: Path, category: str, release: str, draft: bool, json: bool, **_options: Any) -> None:
    items, version = plan_of(release, draft=draft)
    exported = export_as(format, part_of(items, category) if category else items, version)
    paths = _save(exported, out)
    if json:
        say_json({"out": str(out), "release": version, "files": [str(one) for one in paths], "left_out": _left_out(exported.left_out)}, say)
        return
    say(ngettext("%(number)s file: %(out)s", "%(number)s files: %(out)s", len(paths)) % {"number": len(paths), "out": out})
    _say_left_out(exported.left_out, say)


def _save(exported: Exported, out: Path) -> list[Path]:
    """To the file that `out` names, a zip where it ends so; else into the folder of that name."""
    is_zip = exported.name.endswith(".zip")
    wanted = out.suffix.lower()
    if not out.is_dir() and wanted in (".zip", Path(exported.name).suffix):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(exported.body if is_zip or wanted != ".zip" else pack({exported.name: exported.body}))
        return [out]
    files = unpack(exported.name, exported.body) if is_zip else {exported.name: exported.body}
    for name, body in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(body)
    return [out / name for name in files]


def read(
    say: Say, *, format: str, paths: list[str], category: str, owner: str, source: str, title: str, why: str, email: str, dry_run: bool,
    json: bool, **_options: Any,
) -> None:  # fmt: skip
    by = colleague(email) if email else None
    looked = look_at(format, _uploads(paths), Choices(category, owner, source), by=by)
    if not json:
        _say_looked(looked, say)
    made = None if dry_run else _propose(looked, title=title, why=why, by=by)
    proposal = told(made.proposal) if made else None
    if json:
        changes = [
            {"status": entry.status, "kind": entry.kind, "code": entry.key, "reasons": _reasons(entry, looked)}
            for entry in looked.entries
            if entry.status != "unchanged"
        ]  # fmt: skip
        say_json({"changes": changes, "left_out": _left_out(looked.left_out), "proposal": proposal}, say)
    elif made and proposal:
        say_proposal(proposal, say)
        if made.was_open:
            say(WAS_OPEN)


def _propose(looked: Looked, *, title: str, why: str, by: User | None) -> Proposed:
    if by is None or not title:
        raise CommandError(_("Give --title, and --as with the e-mail address of a colleague; or --dry-run."), returncode=TROUBLE)
    try:
        return propose_written(looked.written, title=title, why=why, by=by)
    except Exception as error:
        raise refused(error) from error


def _uploads(paths: list[str]) -> list[tuple[str, bytes]]:
    uploads = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            inner = [
                one
                for one in sorted(path.rglob("*"))
                if one.is_file() and not any(part.startswith(".") for part in one.relative_to(path).parts)
            ]
            uploads += [(str(one.relative_to(path)), one.read_bytes()) for one in inner]
        elif path.is_file():
            uploads.append((path.name, path.read_bytes()))
        else:
            raise CommandError(_("%(path)s: no such file or folder.") % {"path": given}, returncode=TROUBLE)
    return uploads


def _say_looked(looked: Looked, say: Say) -> None:
    for entry in looked.entries:
        if entry.status != "unchanged":
            say(f"{STATUSES[entry.status]}  {KINDS[entry.kind]} {entry.key}")
            for reason in _reasons(entry, looked):
                say(f"    {reason}")
    _say_left_out(looked.left_out, say)


def _reasons(entry: Entry, looked: Looked) -> list[str]:
    return [trouble_text(one, looked.base) for one in (*entry.troubles, *entry.notes)]


def _say_left_out(left_out: list[LeftOut], say: Say) -> None:
    """Everything that was not carried over, whole, a line for each place: here nobody has to scroll a page."""
    for one in _left_out(left_out):
        say(_("not carried over: %(what)s") % {"what": f"{one['what']}: {one['reason']}" if one["what"] else one["reason"]})
        for place in one["places"]:
            say(f"    {place}")


def _left_out(left_out: list[LeftOut]) -> list[dict[str, Any]]:
    return [{"what": one.what, "reason": one.reason, "places": one.places} for one in told_left_out(left_out, shown=len(left_out))]
