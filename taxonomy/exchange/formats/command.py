"""`plan write` and `plan read`: the formats of others on the command line. The command `plan` attaches them."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from staff.models import User
from taxonomy.exchange.formats import FORMATS, Choices, Exported, unpack
from taxonomy.exchange.formats.found import LeftOut
from taxonomy.exchange.formats.propose import export_plan, look_at, propose_written
from taxonomy.exchange.formats.words import told
from taxonomy.exchange.words import STATUSES, trouble_text
from taxonomy.propose import ElsewhereProposed, NothingChanged


def add_arguments(acts: Any) -> None:
    """Add `write` and `read` to what argparse's add_subparsers gave."""
    write = acts.add_parser("write", help="write the current release in another format")
    _add_format(write, [one.name for one in FORMATS.values() if one.write])
    write.add_argument("--out", required=True, help="a file, a .zip, or a folder for formats of several files")
    write.add_argument("--category", default="", metavar="CODE", help="only the tags of this category and those below it")
    write.add_argument("--draft", action="store_true", help="the draft instead of the current release")
    read = acts.add_parser("read", help="propose what files of another format say")
    _add_format(read, list(FORMATS))
    read.add_argument("paths", nargs="+", metavar="PATH", help="files, zips or folders")
    read.add_argument("--title", help="of the proposal")
    read.add_argument("--why", default="", help="of the proposal")
    read.add_argument("--as", dest="author", metavar="EMAIL", help="whose proposal it is")
    read.add_argument("--category", default="", metavar="CODE", help="of new tags that the files put into none")
    read.add_argument("--owner", default="", metavar="DEPARTMENT", help="of new tags that the files give none")
    read.add_argument("--source", default="", metavar="CODE", help="the source that says it so: names become its mapping rules")
    read.add_argument("--dry-run", action="store_true", help="say what would be proposed, and store nothing")


def handle(options: dict[str, Any], say: Any) -> None:
    """Do `write` or `read`, by options["act"]; `say` writes a line."""
    if options["act"] == "write":
        _write(options, say)
    else:
        _read(options, say)


def _add_format(parser: ArgumentParser, names: list[str]) -> None:
    parser.add_argument("--format", required=True, choices=names, help="such as json-schema or segment")


def _write(options: dict[str, Any], say: Any) -> None:
    exported = export_plan(options["format"], category=options["category"], draft=options["draft"])
    out = Path(options["out"])
    paths = _save(exported, out)
    say(f"{len(paths)} files: {out}")
    _tell(exported.left_out, say)


def _save(exported: Exported, out: Path) -> list[Path]:
    is_zip = exported.name.endswith(".zip")
    if out.suffix and not out.is_dir() and out.suffix == Path(exported.name).suffix:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(exported.body)
        return [out]
    files = unpack(exported.name, exported.body) if is_zip else {exported.name: exported.body}
    for name, body in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(body)
    return [out / name for name in files]


def _read(options: dict[str, Any], say: Any) -> None:
    choices = Choices(options["category"], options["owner"], options["source"])
    looked = look_at(options["format"], _uploads(options["paths"]), choices)
    for entry in looked.entries:
        if entry.status != "unchanged":
            say(f"{STATUSES[entry.status]}  {entry.kind} {entry.key}")
            for trouble in entry.troubles:
                say(f"    {trouble_text(trouble, looked.base)}")
    _tell(looked.left_out, say)
    if options["dry_run"]:
        return
    author = User.objects.filter(email__iexact=options["author"] or "", is_active=True).first()
    if author is None or not options["title"]:
        raise CommandError("Give --title, and --as with the e-mail address of a colleague; or --dry-run.")
    try:
        proposal = propose_written(looked.written, title=options["title"], why=options["why"], by=author)
    except NothingChanged as error:
        raise CommandError("Nothing of it differs from the current release.") from error
    except ElsewhereProposed as error:
        held = next(iter(error.found.values()))
        raise CommandError(f"Proposal {held.pk}, {held.title}, holds one of these items already.") from error
    say(f"Proposal {proposal.pk}: {proposal.items.count()} items. {proposal.get_absolute_url()}")


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
            raise CommandError(f"{given}: no such file or folder.")
    return uploads


def _tell(left_out: list[LeftOut], say: Any) -> None:
    """Everything that was not carried over, whole: here nobody has to scroll a page."""
    for one in told(left_out, shown=len(left_out)):
        say(f"not carried: {one.what + ': ' if one.what else ''}{one.reason}")
        say(f"    {', '.join(one.places)}")
