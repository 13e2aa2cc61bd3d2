"""A drop folder: each file once, whole, moved with its report beside it; killed anywhere and started again nothing is lost or doubled."""

import csv
import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest
from conftest import ROOT
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from test_imports import HEADER, rows, source, write  # noqa: F401

from ingestion.alone import alone_or_not
from ingestion.imports import watch
from ingestion.imports.watch import Inbox, Settled, inboxes, work_through
from ingestion.models import ImportRun, TakeBack
from profiles.models import Event, Tally
from staff.models import User

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = Settled(0)


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.UPLOAD_DIR = tmp_path / "uploads"


@pytest.fixture
def drop(source, tmp_path):  # noqa: F811
    folder = tmp_path / "drop" / "files"
    folder.mkdir(parents=True)
    return folder


def passed(drop: Path, settled: Settled = AT_ONCE) -> list[watch.Result]:
    found, _nobodys = inboxes(drop.parent, [])
    return [result for inbox in found for result in work_through(inbox, settled)]


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir()) if folder.exists() else []


def report_of(path: Path) -> dict:
    return json.loads(path.with_name(path.name + ".report.json").read_text())


def numbered(first: int, count: int) -> list[list[str]]:
    return [[f"m{first + at}", *row[1:]] for at, row in enumerate(rows(count))]


# the usual


def test_a_file_is_imported_and_moved_with_its_reports(drop):
    write(drop / "a.csv", rows(5, quantity={1: "two"}))
    [result] = passed(drop)
    assert (result.source, result.file, result.place) == ("files", "a.csv", "done")
    assert names(drop) == [".working", "done"]
    assert names(drop / ".working") == []
    assert names(drop / "done") == ["a.csv", "a.csv.failed.csv", "a.csv.report.json", "a.csv.report.txt"]
    told = report_of(drop / "done" / "a.csv")
    assert (told["status"], told["accepted"], told["quarantined"], told["causes"]) == ("finished", 4, 1, {"attribute.wrong_type": 1})
    assert told["failed_rows"] == "a.csv.failed.csv" and not told["imported_before"]
    assert "Why rows failed" in (drop / "done" / "a.csv.report.txt").read_text()


def test_the_failed_rows_mended_and_dropped_again_close_what_is_held(drop):
    write(drop / "a.csv", rows(3, quantity={1: "two"}))
    passed(drop)
    failed = list(csv.DictReader((drop / "done" / "a.csv.failed.csv").open(encoding="utf-8-sig")))
    assert len(failed) == 1 and failed[0]["_tagline_id"] and failed[0]["_reason"]
    failed[0] |= {"quantity": "2", "id": ""}
    write(drop / "mended.csv", [list(failed[0].values())], list(failed[0]))
    passed(drop)
    assert report_of(drop / "done" / "mended.csv")["accepted"] == 1
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == 3


def test_a_file_that_cannot_be_read_is_moved_to_failed_with_the_reason(drop):
    (drop / "empty.csv").write_bytes(b"")
    (drop / "broken.csv.gz").write_bytes(b"\x1f\x8bnonsense")
    assert {result.place for result in passed(drop)} == {"failed"}
    assert report_of(drop / "failed" / "empty.csv")["error"]["code"] == "file.empty"
    assert report_of(drop / "failed" / "broken.csv.gz")["error"]["code"] == "file.damaged"
    assert "The file is empty." in (drop / "failed" / "empty.csv.report.txt").read_text()


def test_reports_are_in_the_language_that_was_asked_for(drop, capsys):
    write(drop / "a.csv", rows(2, quantity={1: "two"}))
    call_command("watch", str(drop.parent), once=True, settle=0, language="zh-hans")
    assert "accepted" not in (drop / "done" / "a.csv.report.txt").read_text()
    assert capsys.readouterr().out == "done  files/a.csv\n"


def test_files_in_the_folder_itself_belong_to_the_source_of_their_pattern(drop, capsys):
    root = drop.parent
    write(root / "till-1.csv", rows(2))
    write(root / "other.csv", rows(2))
    call_command("watch", str(root), "--once", "--settle=0", "--match=till-*.csv=files")
    assert names(root / "done") == ["till-1.csv", "till-1.csv.report.json", "till-1.csv.report.txt"]
    assert (root / "other.csv").exists()


def test_the_oldest_file_is_imported_first(drop):
    for age, name in enumerate(["c.csv", "a.csv", "b.csv"]):
        os.utime(write(drop / name, numbered(10 * age, 2)), (1000 + age, 1000 + age))
    assert [result.file for result in passed(drop)] == ["c.csv", "a.csv", "b.csv"]


# what is left alone


@pytest.mark.parametrize(
    "name", [".hidden.csv", "a.csv.tmp", "a.csv.part", "a.csv.filepart", "~$a.xlsx", "a.csv~", "a.csv.done", "A.CSV.TMP"]
)
def test_hidden_and_temporary_files_are_left_alone(drop, name):
    write(drop / name, rows(2))
    assert passed(drop) == []
    assert (drop / name).exists()


def test_a_file_that_changed_a_moment_ago_waits(drop):
    path = write(drop / "a.csv", rows(2))
    os.utime(path, (1000, 1000))  # as a program that keeps the time of the original leaves it
    [inbox] = inboxes(drop.parent, [])[0]
    assert list(work_through(inbox, Settled(30))) == []
    assert [one.place for one in work_through(inbox, Settled(30), now=lambda: time.time() + 31)] == ["done"]


def test_a_marker_says_that_a_file_is_whole_and_is_taken_away_with_it(drop):
    write(drop / "a.csv", rows(2))
    assert passed(drop, Settled(0, by_marker=True)) == []
    (drop / "a.csv.done").touch()
    assert [result.place for result in passed(drop, Settled(999, by_marker=True))] == ["done"]
    assert names(drop) == [".working", "done"]


def test_the_marker_of_a_file_that_was_taken_before_a_kill_says_nothing_of_the_next(drop):
    write(drop / "a.csv", rows(2))
    (drop / "a.csv.done").touch()
    claim = drop / ".working" / "12345678-1234-4234-8234-123456789012"
    claim.mkdir(parents=True)
    (drop / "a.csv").rename(claim / "a.csv")
    write(drop / "a.csv", numbered(10, 1))
    assert [result.place for result in passed(drop, Settled(999))] == ["done"]
    assert names(drop) == [".working", "a.csv", "done"]


def test_a_symbolic_link_is_refused_and_not_followed(drop, tmp_path):
    target = write(tmp_path / "secret.csv", rows(2))
    (drop / "a.csv").symlink_to(target)
    [result] = passed(drop)
    assert result.place == "failed" and report_of(drop / "failed" / "a.csv")["error"]["code"] == "file.link"
    assert target.exists() and not Event.objects.exists()


def test_a_linked_folder_and_one_of_no_source_are_left_alone(drop, tmp_path, capsys):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(elsewhere / "a.csv", rows(2))
    (drop.parent / "website").symlink_to(elsewhere)
    (drop.parent / "nobody").mkdir()
    call_command("watch", str(drop.parent), once=True, settle=0)
    assert (elsewhere / "a.csv").exists()
    assert capsys.readouterr().err == "nobody/ is no source's code; its files are left alone.\n"


def test_a_pipe_is_left_alone(drop):
    os.mkfifo(drop / "pipe.csv")
    assert passed(drop) == []


def test_a_file_that_may_not_be_read_is_moved_to_failed(drop, monkeypatch):
    def refused(_path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(watch, "sha256_of", refused)
    write(drop / "a.csv", rows(2))
    passed(drop)
    assert report_of(drop / "failed" / "a.csv")["error"]["code"] == "file.permission"


# each once


def test_the_same_content_again_is_not_imported_again(drop):
    write(drop / "a.csv", rows(3))
    passed(drop)
    write(drop / "b.csv", rows(3))
    [result] = passed(drop)
    assert result.place == "done" and ImportRun.objects.count() == 1
    told = report_of(drop / "done" / "b.csv")
    assert told["imported_before"] and told["import"] == report_of(drop / "done" / "a.csv")["import"]
    assert "imported before" in (drop / "done" / "b.csv.report.txt").read_text()
    assert sum(tally.received for tally in Tally.objects.all()) == 3


def test_what_was_taken_back_can_be_dropped_again(drop, source):  # noqa: F811
    write(drop / "a.csv", rows(3))
    passed(drop)
    run, now = ImportRun.objects.get(), "2026-03-01T00:00:00Z"
    person = User.objects.create_user("steward@example.com")
    TakeBack.objects.create(
        source=source,
        batch_id=run.pk,
        state="taken",
        looked_by=person,
        decided_by=person,
        decided_at=now,
        reason="wrong",
        received_until=now,
    )
    write(drop / "a.csv", rows(3))
    passed(drop)
    assert ImportRun.objects.count() == 2


def test_a_file_of_the_same_name_takes_the_place_of_none(drop):
    write(drop / "a.csv", rows(3))
    passed(drop)
    write(drop / "a.csv", numbered(10, 2))
    passed(drop)
    files = [name for name in names(drop / "done") if name.endswith(".csv")]
    assert len(files) == 2 and "a.csv" in files
    assert {report_of(drop / "done" / name)["accepted"] for name in files} == {3, 2}


def test_a_file_delivered_while_another_of_its_name_is_imported_is_imported_next(drop, monkeypatch):
    write(drop / "a.csv", rows(3))
    real = watch.run_import

    def delivers(run_id):
        monkeypatch.setattr(watch, "run_import", real)
        write(drop / "a.csv", numbered(10, 2))
        return real(run_id)

    monkeypatch.setattr(watch, "run_import", delivers)
    assert [result.place for result in passed(drop)] == ["done"]
    assert [result.place for result in passed(drop)] == ["done"]
    assert Event.objects.count() == 5


def test_a_file_that_is_written_while_it_is_copied_waits(drop, monkeypatch):
    path = write(drop / "a.csv", rows(3))
    real = watch.take_file

    def grows(taken, **said):
        monkeypatch.setattr(watch, "take_file", real)
        run = real(taken, **said)
        taken.write_bytes(taken.read_bytes() + b"m77,purchase,13800138077,2026-03-01 10:00:00,o,p1,9.90,1\r\n")
        return run

    monkeypatch.setattr(watch, "take_file", grows)
    [result] = passed(drop)
    assert result.place == "" and not ImportRun.objects.exists() and not path.exists()
    assert [result.place for result in passed(drop)] == ["done"]
    assert Event.objects.count() == 4 and ImportRun.objects.count() == 1


def test_a_file_that_grows_while_it_is_imported_is_imported_whole(drop, monkeypatch):
    path = write(drop / "a.csv", rows(3))
    with path.open("ab") as slow:
        real = watch.run_import

        def grows(run_id):
            monkeypatch.setattr(watch, "run_import", real)
            slow.write(b"m77,purchase,13800138077,2026-03-01 10:00:00,o,p1,9.90,1\r\n")
            slow.flush()
            return real(run_id)

        monkeypatch.setattr(watch, "run_import", grows)
        assert [result.place for result in passed(drop)] == [""]
    assert [result.place for result in passed(drop)] == ["done"]
    assert Event.objects.count() == 4
    assert report_of(drop / "done" / "a.csv")["duplicate"] == 3


def test_of_two_watchers_one_takes_the_file(drop, monkeypatch):
    path = write(drop / "a.csv", rows(3))
    [inbox] = inboxes(drop.parent, [])[0]
    seen = watch._whole_files(inbox, AT_ONCE, time.time())
    assert [result.place for result in passed(drop)] == ["done"]
    monkeypatch.setattr(watch, "_whole_files", lambda *_: seen)
    assert not path.exists() and passed(drop) == []
    assert names(drop / ".working") == [] and ImportRun.objects.count() == 1


def test_what_another_watcher_is_at_is_left_to_it(drop):
    claim = "12345678-1234-4234-8234-123456789012"
    (drop / ".working" / claim).mkdir(parents=True)
    write(drop / ".working" / claim / "a.csv", rows(2))
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [UUID(claim).int % 2**63])
            assert passed(drop) == []
            # To close alone would let go of it some time after.
            cursor.execute("SELECT pg_advisory_unlock_all()")
    finally:
        other.close()
    with alone_or_not(UUID(claim)) as is_mine:
        assert is_mine
    assert [result.place for result in passed(drop)] == ["done"]


# what is away for a while


def test_a_file_waits_while_its_source_is_not_released(drop, source, monkeypatch):  # noqa: F811
    monkeypatch.setattr("ingestion.imports.run.plan_of", lambda _pk: (_ for _ in ()).throw(AssertionError))
    monkeypatch.setattr(
        "ingestion.imports.run.current", lambda: (_ for _ in ()).throw(__import__("taxonomy.current", fromlist=["x"]).NoRelease)
    )
    write(drop / "a.csv", rows(2))
    [result] = passed(drop)
    assert result.place == "" and "No standard has been published" in result.told
    monkeypatch.undo()
    assert [result.place for result in passed(drop)] == ["done"]
    assert Event.objects.count() == 2


def test_a_file_waits_while_the_disk_is_full(drop, monkeypatch):
    def full(*_arguments, **_named):
        raise OSError(errno.ENOSPC, "No space left on device")

    write(drop / "a.csv", rows(2, quantity={1: "two"}))
    for place in ("ingestion.imports.run.shutil.copyfile", "ingestion.imports.watch._write"):
        with monkeypatch.context() as patch:
            patch.setattr(place, full)
            [result] = passed(drop)
            assert result.place == "" and "disk is full" in result.told
    assert [result.place for result in passed(drop)] == ["done"]
    assert Event.objects.count() == 2 and ImportRun.objects.count() == 1
    assert len(names(drop / "done")) == 4


def test_a_lost_database_is_told_and_the_file_goes_on(drop, monkeypatch):
    write(drop / "a.csv", rows(2))
    with monkeypatch.context() as patch:
        patch.setattr(watch, "run_import", lambda _run: (_ for _ in ()).throw(OperationalError("gone")))
        with pytest.raises(CommandError, match="database cannot be reached"):
            call_command("watch", str(drop.parent), once=True, settle=0)
    call_command("watch", str(drop.parent), once=True, settle=0)
    assert Event.objects.count() == 2 and ImportRun.objects.count() == 1


def test_a_file_that_breaks_every_import_makes_room_in_the_end(drop, monkeypatch):
    write(drop / "a.csv", rows(2))
    with monkeypatch.context() as patch:
        patch.setattr(watch, "run_import", lambda _run: (_ for _ in ()).throw(RuntimeError("13800138000")))
        results = [result for _ in range(5) for result in passed(drop)]
    assert [result.place for result in results] == ["", "", "", "", "failed"]
    told = report_of(drop / "failed" / "a.csv")
    assert told["error"]["code"] == "import.broke" and "13800138000" not in told["error"]["message"]


def test_once_ends_with_1_where_a_file_failed(drop):
    (drop / "empty.csv").write_bytes(b"")
    with pytest.raises(CommandError) as ended:
        call_command("watch", str(drop.parent), once=True, settle=0)
    assert ended.value.returncode == 1


def test_where_links_are_unknown_the_file_is_copied(drop, monkeypatch):
    def unknown(*_arguments, **_named):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("ingestion.imports.watch.os.link", unknown)
    write(drop / "a.csv", rows(2))
    passed(drop)
    [file] = [name for name in names(drop / "done") if name.endswith(".csv")]
    assert file.startswith("a.") and report_of(drop / "done" / file)["accepted"] == 2
    assert names(drop / ".working") == []


# killed


class Killed(BaseException):
    pass


def killed_at(drop: Path, line: int) -> bool:
    """One pass that ends at the nth line of the watcher that is run; False where it has fewer."""
    seen = 0

    def local(frame, event, _argument):
        nonlocal seen
        if event == "line":
            seen += 1
            if seen == line:
                raise Killed
        return local

    def trace(frame, _event, _argument):
        return local if frame.f_code.co_filename == watch.__file__ else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        passed(drop)
    except Killed:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.proof)])
def test_killed_at_any_line_it_ends_as_if_never_killed(drop, step, record_property):
    line = 3
    times = 0
    while True:
        made = numbered(1000 * line, 3)
        made[1][HEADER.index("quantity")] = "two"
        write(drop / f"{line}.csv", made)
        was_killed = killed_at(drop, line)
        passed(drop)
        told = report_of(drop / "done" / f"{line}.csv")
        assert (told["accepted"], told["quarantined"], told["duplicate"]) == (2, 1, 0), line
        assert told["failed_rows"] and not told["imported_before"]
        assert names(drop / ".working") == [] and names(drop) == [".working", "done"], line
        times += 1
        if not was_killed:
            break
        line += step
    assert len(names(drop / "done")) == 4 * times
    assert ImportRun.objects.count() == times and Event.objects.count() == 3 * times
    assert sum(tally.received for tally in Tally.objects.all()) == 3 * times
    record_property("figure", f"killed at {times - 1} lines: every file once")


@pytest.mark.parametrize("kills", [2, pytest.param(200, marks=pytest.mark.proof)])
def test_killed_by_force_again_and_again_every_file_is_imported_once(drop, process_environment, tmp_path, kills, record_property):
    """Two watchers on one folder, killed in turn, while files are dropped."""
    environment = {**process_environment, "TAGLINE_HOME": str(tmp_path / "home"), "LOG_LEVEL": "CRITICAL"}
    command = [sys.executable, "manage.py", "watch", str(drop.parent), "--settle=0", "--marker", "--every=0.05"]
    chance = random.Random(kills)

    def start() -> subprocess.Popen:
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    watchers, dropped = [start(), start()], 0

    def deliver() -> None:
        nonlocal dropped
        write(drop / f"{dropped}.csv", numbered(10_000 * dropped, 400))
        (drop / f"{dropped}.csv.done").touch()
        dropped += 1

    def is_done(number: int) -> bool:
        return (drop / "done" / f"{number}.csv.report.json").exists()

    try:
        for number in range(kills):
            for _ in range(3):
                deliver()
            until = time.monotonic() + 60
            while not is_done(dropped - 3) and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.2))
            os.killpg(watchers[number % 2].pid, signal.SIGKILL)
            watchers[number % 2].wait()
            watchers[number % 2] = start()
        until = time.monotonic() + 120
        while not all(map(is_done, range(dropped))):
            assert time.monotonic() < until, names(drop)
            time.sleep(0.05)
    finally:
        for watcher in watchers:
            os.killpg(watcher.pid, signal.SIGKILL)
            watcher.wait()
    reports = [report_of(drop / "done" / f"{number}.csv") for number in range(dropped)]
    assert {(told["accepted"], told["duplicate"], told["imported_before"]) for told in reports} == {(400, 0, False)}
    assert names(drop) == [".working", "done"] and len(names(drop / "done")) == 3 * dropped
    assert Event.objects.count() == 400 * dropped == sum(tally.received for tally in Tally.objects.all())
    assert ImportRun.objects.count() == dropped
    record_property("figure", f"{kills} kills of two watchers, {dropped} files of 400 rows: each imported once, none lost")


def test_a_folder_that_is_none_is_named():
    with pytest.raises(CommandError, match="is not a folder"):
        call_command("watch", "/nowhere/at/all", once=True)


def test_the_folder_of_an_inbox_may_be_empty(drop, source):  # noqa: F811
    assert list(work_through(Inbox(drop, source), AT_ONCE)) == []
