"""The embedded server starts once, whatever was killed and whoever starts it, and its data outlives it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest
from conftest import python_for_all

from cdp import postgres

ROOT = Path(__file__).resolve().parent.parent
START = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; from cdp import postgres; print(postgres.ensure_running(Path(sys.argv[1])))"


@pytest.fixture
def home():
    """A home of its own, reachable for everybody and short enough for a socket; whatever runs there is stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="tl-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "h"
    postgres.stop(folder / "h")
    shutil.rmtree(folder, ignore_errors=True)


def connect(home: Path) -> psycopg.Connection:
    wanted = postgres.connection_settings(home)
    return psycopg.connect(
        host=str(wanted["HOST"]), dbname=str(wanted["NAME"]), user=str(wanted["USER"]), autocommit=True, **wanted["OPTIONS"]
    )


def server_pid(home: Path) -> int:
    return int((postgres.data_dir(postgres.place(home)) / "postmaster.pid").read_text().split()[0])


def test_it_starts_once_and_is_joined_after(home):
    assert postgres.ensure_running(home) is True
    assert postgres.ensure_running(home) is False
    assert connect(home).execute("SELECT 1").fetchone() == (1,)


def test_two_processes_starting_at_once_share_one_server(home):
    starting = [subprocess.Popen([sys.executable, "-c", START, str(home)], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = sorted(one.communicate(timeout=90)[0].strip() for one in starting)
    assert answers == ["False", "True"]


def test_who_finds_a_server_finds_its_database(home):
    starting = subprocess.Popen([sys.executable, "-c", START, str(home)], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not postgres.is_running(home) and time.monotonic() < until:
        time.sleep(0.002)
    assert connect(home).execute("SELECT 1").fetchone() == (1,)
    assert starting.wait(60) == 0


def test_what_was_committed_outlives_a_kill_of_the_server(home):
    postgres.ensure_running(home)
    connect(home).execute("CREATE TABLE kept AS SELECT 1 AS n")
    os.kill(server_pid(home), signal.SIGKILL)
    time.sleep(0.2)
    assert postgres.ensure_running(home) is True
    assert connect(home).execute("SELECT n FROM kept").fetchone() == (1,)


def test_one_of_its_processes_that_is_ending_and_has_no_command_line_any_more_is_seen(home):
    place = postgres.data_dir(home)
    place.mkdir(parents=True)
    (place / "postmaster.pid").write_text("999999999\n")
    shutil.copy("/bin/sleep", home / "postgres")
    ending = subprocess.Popen(["", "60"], executable=home / "postgres", cwd=place)
    try:
        assert postgres._orphans(home) is (sys.platform == "linux")
    finally:
        ending.kill()
        ending.wait()
    assert not postgres._orphans(home)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_one_that_is_just_ending_is_waited_for(home, how):
    for _ in range(5):
        postgres.ensure_running(home)
        os.kill(server_pid(home), how)
        postgres.ensure_running(home)
        if not postgres.is_running(home):  # it answered still
            postgres.ensure_running(home)
        with connect(home) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_one_that_somebody_is_just_starting_is_joined(home):
    postgres.ensure_running(home)
    os.kill(server_pid(home), signal.SIGKILL)
    pid_file = postgres.data_dir(home) / "postmaster.pid"
    postgres._wait_until(lambda: postgres._server_pid(home) is None and not postgres._orphans(home), "it does not end")
    pid_file.unlink()
    command = [str(postgres._reachable() / "postgres"), "-D", str(postgres.data_dir(home)), "-k", str(postgres.socket_dir(home))]
    server = subprocess.Popen(command, cwd="/", start_new_session=True, **postgres._as_owner())
    postgres._wait_until(pid_file.exists, "it does not start")
    assert not postgres.ensure_running(home)
    assert server_pid(home) == server.pid


def test_a_stale_pid_file_of_somebody_else_is_not_believed(home):
    postgres.ensure_running(home)
    pid_file = postgres.data_dir(postgres.place(home)) / "postmaster.pid"
    lines = pid_file.read_text()
    postgres.stop(home)
    other = subprocess.Popen(["sleep", "60"])
    try:
        pid_file.write_text(lines.replace(lines.split()[0], str(other.pid), 1))
        assert postgres.ensure_running(home) is True
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_kill_during_initialization_leaves_nothing_half_made(home):
    starting = subprocess.Popen([sys.executable, "-c", START, str(home)], stdout=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 30
    while not list(home.glob("initdb-*/*")) and time.monotonic() < until:
        time.sleep(0.005)
    os.killpg(starting.pid, signal.SIGKILL)
    starting.wait()
    assert not postgres.data_dir(home).exists()
    assert postgres.ensure_running(home) is True
    assert not list(home.glob("initdb-*"))


@pytest.mark.needs("root")
def test_the_server_of_root_runs_as_another_account(home):
    postgres.ensure_running(home)
    assert Path(f"/proc/{server_pid(home)}").stat().st_uid != 0


@pytest.mark.needs("root")
def test_a_home_private_to_root_is_served_from_another_place(home):
    home.parent.chmod(0o700)
    postgres.place.cache_clear()
    try:
        assert postgres.place(home) != home
        assert postgres.ensure_running(home) is True
    finally:
        postgres.stop(home)
        shutil.rmtree(postgres.place(home), ignore_errors=True)
        home.parent.chmod(0o755)
        postgres.place.cache_clear()


@pytest.mark.needs("root")
@pytest.mark.needs("python-for-all")
def test_a_plain_user_starts_a_server_of_his_own(home):
    home.parent.chmod(0o777)
    environment = {**os.environ, "POSTGRES_BIN": str(postgres._reachable())}
    command = [str(python_for_all()), "-c", START, str(home)]
    done = subprocess.run(command, user="nobody", capture_output=True, text=True, cwd="/tmp", env=environment)
    assert done.stdout.strip() == "True", done.stderr
    subprocess.run(["pkill", "-INT", "-f", f"postgres -D {home}"], check=False)


@pytest.fixture
def roots_own(monkeypatch):
    """A folder in the place of /var/lib/tagline, with binaries that only root can reach, so that they must be copied to it."""
    folder = Path(tempfile.mkdtemp(prefix="tl-", dir="/var/lib"))
    folder.chmod(0o755)
    found = postgres.binaries()
    monkeypatch.setattr(postgres, "ROOTS_OWN", folder)
    monkeypatch.setattr(postgres, "_can_reach", lambda place: place != found)
    postgres._reachable.cache_clear()
    yield folder
    postgres._reachable.cache_clear()
    shutil.rmtree(folder)


@pytest.mark.needs("root")
def test_binaries_are_copied_where_only_root_writes(roots_own):
    bin_folder = postgres._reachable()
    assert bin_folder.is_relative_to(roots_own)
    done = subprocess.run([bin_folder / "postgres", "--version"], user="nobody", capture_output=True, text=True, cwd="/")
    assert str(postgres.major()) in done.stdout


@pytest.mark.needs("root")
@pytest.mark.parametrize("spoil", ["folder", "program", "mode"])
def test_binaries_that_somebody_else_may_have_changed_are_not_run(roots_own, spoil):
    bin_folder = postgres._reachable()
    postgres._reachable.cache_clear()
    if spoil == "mode":
        (bin_folder / "postgres").chmod(0o777)
    else:
        shutil.chown(bin_folder if spoil == "folder" else bin_folder / "postgres", "nobody")
    with pytest.raises(postgres.PostgresError, match="not root's alone"):
        postgres._reachable()


@pytest.mark.needs("root")
def test_a_socket_folder_that_somebody_else_made_is_not_used(home, monkeypatch):
    monkeypatch.setattr(postgres, "_LONGEST_SOCKET_DIR", 5)
    sockets = postgres.socket_dir(home)
    sockets.mkdir(mode=0o700)
    try:
        os.chown(sockets, 12345, 12345)
        with pytest.raises(postgres.PostgresError, match="not this account's alone"):
            postgres.ensure_running(home)
    finally:
        sockets.rmdir()


def test_a_server_of_another_account_is_not_spoken_to(home):
    postgres.ensure_running(home)
    wanted = {**postgres.connection_settings(home)["OPTIONS"], "requirepeer": "somebody-else"}
    with pytest.raises(psycopg.OperationalError, match="requirepeer"):
        psycopg.connect(host=str(postgres.socket_dir(home)), dbname=postgres.NAME, user=postgres.USER, **wanted)


@pytest.mark.needs("postgresql-15")
def test_binaries_of_the_machine_serve_where_the_wheel_is_absent(home):
    script = START + "; print(postgres.major()); postgres.stop(Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", script, str(home)], capture_output=True, text=True,
        env={**os.environ, "POSTGRES_BIN": "/usr/lib/postgresql/15/bin"},
    )  # fmt: skip
    assert done.stdout.split() == ["True", "15"], done.stderr


def test_backup_and_restore_bring_everything_back(home, tmp_path):
    environment = {**os.environ, "TAGLINE_HOME": str(home), "DATABASE_URL": ""}

    def manage(*command: str, code: int = 0) -> str:
        done = subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done.stderr

    manage("migrate", "-v0", "--skip-checks")
    copy = tmp_path / "copy.dump"
    manage("backup", str(copy))
    assert copy.stat().st_mode & 0o777 == 0o600
    with connect(home) as connection:
        before = connection.execute("SELECT count(*) FROM staff_department").fetchone()
        connection.execute("DELETE FROM staff_department")
        connection.commit()
        assert "1 other connection(s) use this database" in manage("restore", str(copy), "--yes", code=1)
        assert connection.execute("SELECT count(*) FROM staff_department").fetchone() == (0,)
    manage("restore", str(copy), "--yes")
    with connect(home) as connection:
        assert connection.execute("SELECT count(*) FROM staff_department").fetchone() == before
