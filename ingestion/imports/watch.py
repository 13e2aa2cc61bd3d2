"""A drop folder: each file is imported once, whole, and moved to `done/` or `failed/` with its report beside it.

A watcher takes a file by renaming it into `.working/<claim>/`, which only one of several can. Its import bears the claim's
name, so whoever finds the file there after a kill goes on with that import, and a file that is delivered meanwhile under the
same name is another. The same content again is not imported again: its report tells of the first time.
"""

import fnmatch
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.db import DatabaseError, InterfaceError
from django.utils.translation import gettext as _

from ingestion.alone import alone, alone_or_not
from ingestion.doors.files import UnreadableFile
from ingestion.imports.failed import failed_rows, has_failed_rows
from ingestion.imports.preview import warnings
from ingestion.imports.report import failed_words, problem, report, report_text
from ingestion.imports.run import former_import, run_import, sha256_of, take_file
from ingestion.imports.words import told_traps
from ingestion.models import ImportRun
from ingestion.room import is_no_room
from taxonomy.models import Source
from taxonomy.released import by_code

WORKING, DONE, FAILED = ".working", "done", "failed"
MARKER = ".done"
# What programs call a file that is not whole yet, or is none of anybody's data.
_TEMPORARY_STARTS = (".", "~$")
_TEMPORARY_ENDS = (MARKER, ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~")
# Not the file's fault: it waits until somebody has published.
_WAITS_FOR = frozenset({"release.none", "source.unreleased"})
# So often an import may break before its file is taken for one that breaks every import.
_ATTEMPTS = 5
_ATTEMPTS_FILE = ".attempts"


@dataclass(frozen=True, slots=True)
class Inbox:
    """A folder and whose files those in it are that `pattern` fits."""

    folder: Path
    source: Source
    pattern: str = "*"


@dataclass(frozen=True, slots=True)
class Settled:
    """When a file counts as whole: nothing of it has changed for so many seconds, or, beside it, lies its marker. `by_marker`: only then."""

    seconds: float = 30
    by_marker: bool = False

    def is_whole(self, path: Path, found: os.stat_result, now: float) -> bool:
        """`now` is seconds since 1970. The time of a file's last change of any kind can be set by nobody, unlike that of its content."""
        if path.with_name(path.name + MARKER).is_file():
            return True
        return not self.by_marker and now - max(found.st_ctime, found.st_mtime) >= self.seconds


class Result(NamedTuple):
    """What a pass did with one file. `place` is DONE, FAILED, or "" where it waits; `told` says the rest in a line."""

    source: str
    file: str
    place: str
    told: str


class _Waits(Exception):
    """The file cannot be imported now, and may be later."""


def inboxes(root: Path, patterns: list[tuple[str, Source]]) -> tuple[list[Inbox], list[str]]:
    """(a folder for each source whose code a sub-folder has, and the root for each pattern; sub-folders that are nobody's)."""
    found, nobodys = [Inbox(root, source, pattern) for pattern, source in patterns], []
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."))
    for name in names:
        if name in (DONE, FAILED):
            continue
        named = by_code("source", name)
        source = Source.every.filter(pk=named.pk).first() if named else None
        if source is None:
            nobodys.append(name)
        else:
            found.append(Inbox(root / name, source))
    return found, nobodys


def work_through(inbox: Inbox, settled: Settled, *, now: Callable[[], float] = time.time) -> Iterator[Result]:
    """One pass: first what a watcher left unfinished, then every whole file, the oldest first. Raises DatabaseError when it is away."""
    for claim in _claims(inbox):
        with alone_or_not(claim) as is_mine:
            result = _go_on(claim, inbox) if is_mine else None
        if result is not None:
            yield result
    for path in _whole_files(inbox, settled, now()):
        claim = uuid4()
        with alone_or_not(claim):
            result = _begin(path, claim, inbox)
        if result is not None:
            yield result


def _claims(inbox: Inbox) -> list[UUID]:
    """The claims of this inbox that stand open."""
    found = []
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(inbox.folder / WORKING)):
            with suppress(ValueError):
                found.append(UUID(name))
    return found


def _whole_files(inbox: Inbox, settled: Settled, now: float) -> list[Path]:
    found = []
    with os.scandir(inbox.folder) as entries:
        for entry in entries:
            if entry.name.startswith(_TEMPORARY_STARTS) or entry.name.lower().endswith(_TEMPORARY_ENDS):
                continue
            if not fnmatch.fnmatchcase(entry.name, inbox.pattern):
                continue
            with suppress(FileNotFoundError):  # another watcher was faster
                told = entry.stat(follow_symlinks=False)
                is_link = stat.S_ISLNK(told.st_mode)  # it is refused, with a report
                if is_link or (stat.S_ISREG(told.st_mode) and settled.is_whole(Path(entry.path), told, now)):
                    found.append((told.st_mtime_ns, entry.name))
    return [inbox.folder / name for _when, name in sorted(found)]


def _begin(path: Path, claim: UUID, inbox: Inbox) -> Result | None:
    """Take a file and import it; None where another watcher was faster."""
    folder = inbox.folder / WORKING / str(claim)
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700)
    try:
        path.rename(folder / path.name)
    except FileNotFoundError:
        folder.rmdir()
        return None
    path.with_name(path.name + MARKER).unlink(missing_ok=True)
    return _work_on(folder / path.name, claim, inbox)


def _go_on(claim: UUID, inbox: Inbox) -> Result | None:
    """Finish what was begun; None where that is nothing, or another inbox's."""
    folder = inbox.folder / WORKING / str(claim)
    name = next((one for one in _names_in(folder) if one != _ATTEMPTS_FILE), None)
    if name is None:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    if not fnmatch.fnmatchcase(name, inbox.pattern):
        return None
    marker = inbox.folder / (name + MARKER)
    with suppress(FileNotFoundError):
        if marker.stat().st_mtime <= folder.stat().st_mtime:  # the marker of this file, not of one that came after it
            marker.unlink()
    return _work_on(folder / name, claim, inbox)


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _work_on(path: Path, claim: UUID, inbox: Inbox) -> Result:
    try:
        run = run_import(_run_of(path, claim, inbox.source).pk)
    except UnreadableFile as error:
        return _finish(path, claim, inbox, FAILED, _unread(path, inbox, error))
    except _Waits as waits:
        return Result(inbox.source.code, path.name, "", str(waits))
    except (DatabaseError, InterfaceError):
        raise
    except OSError as error:
        if is_no_room(error):
            return Result(inbox.source.code, path.name, "", _("the disk is full; it waits until there is room"))
        return _broken(path, claim, inbox, error)
    except Exception as error:
        return _broken(path, claim, inbox, error)
    if run.error in _WAITS_FOR:
        return Result(inbox.source.code, path.name, "", problem(run.error)["message"])
    if path.stat().st_size != run.size_bytes:
        return _give_back(path, claim, inbox)
    return _finish(path, claim, inbox, DONE if run.status == ImportRun.Status.FINISHED else FAILED, report(run), run)


def _run_of(path: Path, claim: UUID, source: Source) -> ImportRun:
    """The claim's import, or the one that had this content before. Raises UnreadableFile, _Waits where somebody writes it still."""
    run = ImportRun.objects.filter(pk=claim).first()
    if run is not None:
        if run.started_at is not None or sha256_of(path) == sha256_of(Path(run.path)) == run.sha256:
            return run
        _forget(run)
    before = path.lstat()
    if not stat.S_ISREG(before.st_mode):
        raise UnreadableFile("file.link")
    try:
        fingerprint = sha256_of(path)
    except PermissionError as error:
        raise UnreadableFile("file.permission") from error
    with alone(UUID(fingerprint[:32])):
        run = former_import(source, fingerprint) or take_file(path, source=source, file_name=path.name, run_id=claim)
    if run.pk == claim and (run.sha256 != fingerprint or _changes(before) != _changes(path.lstat())):
        _forget(run)
        raise _Waits(_("it is still being written; it waits"))
    return run


def _changes(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _forget(run: ImportRun) -> None:
    """Of a copy that was made while the file was written nothing was stored yet."""
    run.delete()
    Path(run.path).unlink(missing_ok=True)


def _broken(path: Path, claim: UUID, inbox: Inbox, error: Exception) -> Result:
    """An import broke for no known reason: it is tried again, but a file that breaks every time makes room for the others."""
    attempts = path.with_name(_ATTEMPTS_FILE)
    with attempts.open("ab") as written:
        written.write(b".")
    if attempts.stat().st_size < _ATTEMPTS:
        return Result(inbox.source.code, path.name, "", _("it stopped (%(error)s); it is tried again") % {"error": type(error).__name__})
    return _finish(path, claim, inbox, FAILED, _unread(path, inbox, UnreadableFile("import.broke", error=type(error).__name__)))


def _unread(path: Path, inbox: Inbox, error: UnreadableFile) -> dict[str, Any]:
    return {"file": path.name, "source": inbox.source.code, "status": "failed", "error": problem(error.code, error.values)}


def _give_back(path: Path, claim: UUID, inbox: Inbox) -> Result:
    """More was written to the file after it was taken: it is put back, to be taken whole; what came in already is then a duplicate."""
    _place(path, inbox.folder, claim)
    shutil.rmtree(path.parent)
    return Result(inbox.source.code, path.name, "", _("it grew after it was taken; it is taken again"))


def _finish(path: Path, claim: UUID, inbox: Inbox, place: str, told: dict[str, Any], run: ImportRun | None = None) -> Result:
    """Move the file and write its reports beside it; whatever of that was done before a kill is done again."""
    folder = inbox.folder / place
    folder.mkdir(exist_ok=True)
    try:
        target = _place(path, folder, claim)
        is_again = run is not None and run.pk != claim
        text = report_text(run) if run else f"{path.name} · {inbox.source.label}"
        if is_again:
            text = _("This content was imported before, and was not imported again. What became of it then:") + "\n" + text
        if told["error"]:
            text += "\n" + told["error"]["message"]
        traps = told_traps(warnings(run)) if run else []
        told = {**told, "file": path.name, "imported_before": is_again, "traps": traps, "failed_rows": None}
        if run is not None and not is_again and has_failed_rows(run):
            told["failed_rows"] = f"{target.name}.failed.{run.format['kind']}"
            _write(folder / told["failed_rows"], failed_rows(run))
            text += "\n" + failed_words(told["failed_rows"])
        # What it quotes of cells stands beside the file only, never in the watcher's own output.
        whole = "\n".join([text, *(one["message"] for one in traps)])
        _write(folder / f"{target.name}.report.txt", iter([(whole + "\n").encode()]))
        _write(folder / f"{target.name}.report.json", iter([json.dumps(told, ensure_ascii=False, indent=2).encode() + b"\n"]))
    except OSError as error:
        if not is_no_room(error):
            raise
        return Result(inbox.source.code, path.name, "", _("the disk is full; it waits until there is room"))
    shutil.rmtree(path.parent)
    return Result(inbox.source.code, path.name, place, text)


def _place(path: Path, folder: Path, claim: UUID) -> Path:
    """Give the file its name in `folder` too, never another's: it is there when this returns, under its name or one of its own."""
    own = folder / f"{path.stem}.{claim.hex[:8]}{path.suffix}"
    for target in (folder / path.name, own):
        try:
            os.link(path, target, follow_symlinks=False)
        except FileExistsError:
            if os.path.samestat(target.lstat(), path.lstat()):
                return target
        except OSError as error:
            if is_no_room(error):
                raise
            break  # a file system without links, or somebody else's file
        else:
            return target
    copy = own.with_name(f".{own.name}")
    shutil.copy2(path, copy, follow_symlinks=False)
    copy.rename(own)
    return own


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    """Whole or not at all."""
    written = path.with_name(f".{path.name}")
    with written.open("wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    written.rename(path)
