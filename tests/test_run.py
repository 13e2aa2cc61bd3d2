"""`make run`: it becomes ready, says how to use it, and leaves nothing behind; a second start goes on where the first was."""

import json
import multiprocessing
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

import psycopg
import pytest
from conftest import ROOT
from django.core.management.base import CommandError
from ports import free_port

from cdp import bootstrap, environment, postgres
from cdp.demo.shop import days
from cdp.management.commands.run import _wait_for_end

SECONDS = 180
_open = build_opener(ProxyHandler({})).open


class Running:
    """`manage.py run` in a home of its own, and everything it has printed."""

    def __init__(self, home: Path, **environment: str) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        kept = {name: value for name, value in os.environ.items() if name not in ("DJANGO_SETTINGS_MODULE", "DEMO")}
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "run"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, env={**kept, "DATABASE_URL": "", "TAGLINE_HOME": str(home), "PORT": str(port), **environment},
        )  # fmt: skip
        self.printed = ""
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, condition: Callable[[], object]) -> None:
        until = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None and time.monotonic() < until, self.printed
            time.sleep(0.05)

    def wait_until_it_says(self, words: str) -> None:
        self.wait_for(lambda: words in self.printed)

    def interrupt(self) -> int:
        """Ctrl-C: its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(SECONDS)

    def processes(self) -> set[int]:
        """The process and all below it."""
        found, parents = {self.process.pid}, pids()
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed += line


def pids() -> dict[int, int]:
    """{pid: its parent} of all that runs, zombies left out."""
    lines = subprocess.run(["ps", "-eo", "stat=,pid=,ppid="], capture_output=True, text=True, check=True).stdout.splitlines()
    return {int(pid): int(parent) for state, pid, parent in map(str.split, lines) if not state.startswith("Z")}


@pytest.fixture(scope="module")
def home():
    folder = Path(tempfile.mkdtemp(prefix="tl-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "h"
    postgres.stop(folder / "h")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def first(home):
    """The first start, which loads the demo."""
    running = Running(home)
    try:
        running.wait_until_it_says("are being loaded")
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()


def rows(home: Path, query: str) -> list[tuple]:
    wanted = postgres.connection_settings(home)
    with psycopg.connect(host=str(wanted["HOST"]), dbname=str(wanted["NAME"]), user=str(wanted["USER"])) as connection:
        return connection.execute(query).fetchall()


def batches(home: Path) -> dict[tuple[str, object], int]:
    """{(source, received_at): events} of what the demo has loaded."""
    counted = rows(home, """
        SELECT s.code, b.received_at, count(e.*) FROM profiles_batch b JOIN taxonomy_source s ON s.id = b.source_id
        LEFT JOIN profiles_event e ON e.batch_id = b.id WHERE b.key_id IS NULL GROUP BY b.id, s.code
    """)  # fmt: skip
    assert len({row[:2] for row in counted}) == len(counted), "the same day of a source was loaded twice"
    return {(source, at): number for source, at, number in counted}


def test_it_says_where_it_is_and_who_may_log_in(first, home):
    accounts = json.loads((home / "demo.json").read_text())["accounts"]
    assert first.address in first.printed and (home / "address").read_text() == first.address
    assert accounts and all(re.search(rf"{re.escape(email)} +{password}\n", first.printed) for email, password in accounts.items())
    with _open(f"{first.address}/readyz", timeout=SECONDS) as answer:
        assert json.load(answer)["release"] == "1.0.0"


def test_only_its_owner_may_read_the_accounts(first, home):
    assert (home / "demo.json").stat().st_mode & 0o777 == 0o600


def test_the_line_it_prints_sends_an_event(first):
    words = shlex.split(first.printed[first.printed.index("curl ") :].partition("\n\n")[0].replace("\\\n", " "))
    given = list(zip(words[2::2], words[3::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in given if option == "-H")
    (body,) = [value for option, value in given if option == "-d"]
    with _open(Request(words[1], body.encode(), headers), timeout=SECONDS) as answer:
        assert json.load(answer)["results"][0]["status"] == "accepted"


def expected(home: Path) -> dict[tuple[str, object], int]:
    today = date.fromisoformat(json.loads((home / "demo.json").read_text())["today"])
    return {(source, at): len(set(records)) for at, source, records in days(today)}


def test_ctrl_c_while_the_demo_loads_stops_all_that_was_started(first, home):
    first.wait_for(lambda: len(batches(home)) > 3)
    started = first.processes()
    assert len(started) > 6  # itself, PostgreSQL's, web and its workers, worker, the demo's loading
    assert first.interrupt() == 0
    assert "Stopping." in first.printed and "Traceback" not in first.printed
    assert not started & set(pids())
    assert not postgres.is_running(home) and not (home / "address").exists()


@pytest.fixture(scope="module")
def second(first, home):
    """The start after a Ctrl-C."""
    assert first.process.poll() is not None
    running = Running(home)
    try:
        running.wait_until_it_says("Ctrl-C stops everything")
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()


def test_the_next_start_goes_on_with_nothing_half_or_twice(second, home):
    accounts = json.loads((home / "demo.json").read_text())["accounts"]
    assert all(password in second.printed for password in accounts.values())
    wanted, before = expected(home), len(batches(home))
    second.wait_for(lambda: len(batches(home)) > min(before + 3, len(wanted) - 1))
    loaded = batches(home)
    assert loaded == {one: wanted[one] for one in loaded}


def test_what_another_process_releases_is_obeyed(second, home):
    secret = json.loads((home / "demo.json").read_text())["write_key"]

    def obeyed() -> str:
        request = Request(f"{second.address}/api/v1/plan", headers={"Authorization": f"Bearer {secret}"})
        with _open(request, timeout=SECONDS) as answer:
            return json.load(answer)["version"]

    before = obeyed()
    script = (
        "import django; django.setup()\n"
        "from taxonomy.models import Tag; from taxonomy.publish import publish\n"
        "tag = Tag.objects.get(code='product_view'); tag.label_en = 'Look at a product'; tag.save()\n"
        "print(publish([str(tag.pk)], notes='by another process', by=None).version)\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "cdp.settings", "DATABASE_URL": "", "TAGLINE_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    released = done.stdout.strip()
    assert released and released != before, done.stderr
    # either web process may answer
    second.wait_for(lambda: all(obeyed() == released for _ in range(12)))


def test_another_database_gets_no_demo_unless_asked(second, home):
    assert second.interrupt() == 0 and "Traceback" not in second.printed
    postgres.ensure_running(home)
    wanted = postgres.connection_settings(home)
    url = f"postgresql://{wanted['USER']}@{str(wanted['HOST']).replace('/', '%2F')}/{wanted['NAME']}"
    before = rows(home, "SELECT id, password FROM staff_user ORDER BY id"), batches(home)
    running = Running(home, DATABASE_URL=url)
    running.wait_until_it_says("DEMO=1")
    assert running.interrupt() == 0
    assert "demo.example" not in running.printed and not list(home.glob("demo-*.json"))
    assert (rows(home, "SELECT id, password FROM staff_user ORDER BY id"), batches(home)) == before
    assert postgres.is_running(home), "it stopped a server that it had not started"


def test_a_part_that_has_done_its_work_leaves_no_process_behind():
    fork = multiprocessing.get_context("fork")
    loading, web = fork.Process(target=lambda: None), fork.Process(target=time.sleep, args=(1,), name="web")
    loading.start()
    web.start()
    with pytest.raises(CommandError):
        _wait_for_end((web,))
    with pytest.raises(ChildProcessError):
        os.waitpid(loading.pid or 0, os.WNOHANG)


@pytest.fixture
def shims(tmp_path, monkeypatch):
    """A PATH of nothing but these programs: make one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))

    def make(name: str, does: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)

    return make


FAILS = "echo 'pyenv: version not installed' >&2; exit 127"


@pytest.mark.parametrize(("status", "told"), [(3, "ended with code 3"), (-11, "ended by signal 11")])
def test_it_says_which_part_ended_and_how(status, told):
    def web() -> None:
        os.kill(os.getpid(), -status) if status < 0 else os._exit(status)

    part = multiprocessing.get_context("fork").Process(target=web, name="web")
    part.start()
    with pytest.raises(CommandError, match=f"“web”.*{told}"):
        _wait_for_end((part,))


def test_a_python_is_found_behind_shims_that_fail(shims):
    shims("python3.14", FAILS)
    shims("python3.13", f'exec "{sys.executable}" "$@"')
    shims("python3", FAILS)
    assert bootstrap.find_python() == "python3.13"


def test_no_python_is_found_where_none_will_do(shims, tmp_path, monkeypatch):
    shims("python3.12", "exit 1")  # one that is too old, or has no venv
    shims("python3", FAILS)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    assert bootstrap.find_python() is None


@pytest.mark.needs("make")
def test_make_enters_through_a_python_that_runs_and_says_what_lacks(shims, tmp_path):
    make = [shutil.which("make", path=os.defpath), "-f", str(ROOT / "Makefile"), "-C", str(tmp_path), "-n", "run"]
    shims("python3", FAILS)
    done = subprocess.run(make, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "Install one" in done.stderr
    shims("python", f'exec "{sys.executable}" "$@"')
    assert "python cdp/bootstrap.py" in subprocess.run(make, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("given", "running", "expected"),
    [
        ({"SITE_URL": "https://tags.example.com/", "PORT": "9000"}, "http://127.0.0.1:8100", "https://tags.example.com/"),
        ({"PORT": "9000"}, "http://127.0.0.1:8100", "http://127.0.0.1:9000"),
        ({}, "http://127.0.0.1:8100", "http://127.0.0.1:8100"),
        ({}, "", "http://127.0.0.1:8000"),
    ],
)
def test_every_link_begins_where_the_site_is(tmp_path, monkeypatch, given, running, expected):
    for name in ("SITE_URL", "PORT"):
        monkeypatch.setenv(name, given[name]) if name in given else monkeypatch.delenv(name, raising=False)
    if running:
        (tmp_path / "address").write_text(running)
    assert environment.site(tmp_path / "address") == expected


def test_a_catalogue_is_compiled_where_its_compiled_one_is_missing_or_older(tmp_path, monkeypatch):
    source = tmp_path / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
    source.parent.mkdir(parents=True)
    source.write_text('msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "yes"\nmsgstr "是"\n')
    monkeypatch.setattr(bootstrap, "ROOT", str(tmp_path))
    compiled = source.with_suffix(".mo")
    bootstrap.compile_translations(sys.executable)
    first = compiled.stat().st_mtime_ns
    bootstrap.compile_translations(sys.executable)
    assert compiled.stat().st_mtime_ns == first and "是".encode() in compiled.read_bytes()
    source.write_text(source.read_text().replace("是", "对"))
    os.utime(source, ns=(first + 10**9, first + 10**9))
    bootstrap.compile_translations(sys.executable)
    assert "对".encode() in compiled.read_bytes()
