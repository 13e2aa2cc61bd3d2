"""Backup and restore of the whole database by pg_dump and pg_restore."""

import os
import subprocess
from pathlib import Path
from typing import Any

from django.db import connection

from cdp import postgres


class DumpError(Exception):
    """What pg_dump or pg_restore said."""


def backup(file: Path) -> None:
    """Write the database to `file`, mode 0600: whole, or not at all."""
    made = file.with_name(file.name + ".part")
    made.touch(mode=0o600)
    with made.open("wb") as out:
        done = _run("pg_dump", "--format=custom", "--no-owner", stdout=out)
    if done.returncode:
        made.unlink()
        raise DumpError(f"pg_dump: {done.stderr.decode(errors='replace').strip()}")
    made.rename(file)


def restore(file: Path) -> None:
    """Replace what the database holds, in one transaction: all of the backup, or what was there before."""
    if not file.is_file():
        raise DumpError(f"{file} is not there. Give the file that backup wrote.")
    if others := _others():
        raise DumpError(
            f"{others} other connection(s) use this database. Stop web, worker and mqtt first: they remember numbers that it gave."
        )
    with file.open("rb") as stored:
        done = _run(
            "pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", "--dbname", _settings()["PGDATABASE"],
            stdin=stored,
        )  # fmt: skip
    if done.returncode:
        raise DumpError(f"pg_restore: {done.stderr.decode(errors='replace').strip()}")


def _others() -> int:
    """Connections of others to this database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND coalesce(backend_type, 'client backend') = 'client backend'"
        )
        return int(cursor.fetchone()[0])


def _settings() -> dict[str, str]:
    wanted = connection.settings_dict
    given = {
        "PGHOST": wanted["HOST"], "PGPORT": str(wanted["PORT"]), "PGUSER": wanted["USER"], "PGPASSWORD": wanted["PASSWORD"],
        "PGDATABASE": wanted["NAME"],
    }  # fmt: skip
    given |= {f"PG{name.upper()}": str(value) for name, value in wanted.get("OPTIONS", {}).items() if name.startswith("ssl")}
    return {name: value for name, value in given.items() if value}


def _run(program: str, *arguments: str, stdin: Any = None, stdout: Any = subprocess.DEVNULL) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [str(postgres.binaries() / program), *arguments],
        env={**os.environ, **_settings()},
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )
