"""The tables under the tests: emptied after a test that commits, and filled anew by COPY with what a set-up makes.

Django's own way truncates every table and makes content types, permissions and roles again: longer than most tests take.
"""

from collections.abc import Callable

from django.db import connection, transaction
from psycopg.sql import SQL, Identifier

Rows = dict[str, bytes]  # {table: its rows as COPY writes them}; tables without rows are left out

# A larger table is truncated: deleting from it would leave it large.
_SMALL_BYTES = 1_000_000
_migrated: Rows = {}
_made: dict[str, Rows] = {}


def remember_as_migrated() -> None:
    """What stands in the tables now is what every test begins with."""
    _migrated.update(_rows_of(*_sizes()))


def bring_back() -> None:
    """Leave what stood there when all was migrated, and nothing else. Waits for whoever is writing."""
    with transaction.atomic(), connection.cursor() as cursor:
        deletes = connection.connection.info.parameter_status("is_superuser") == "on"
        if deletes:
            cursor.execute("SET LOCAL session_replication_role = replica")  # no foreign key is asked, no trigger runs
        if sizes := _sizes():
            cursor.execute(SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(_listed(*sizes)))
        truncated = [table for table, size in sizes.items() if table not in _migrated and (size > _SMALL_BYTES or not deletes)]
        if truncated:
            cursor.execute(SQL("TRUNCATE {} CASCADE").format(_listed(*truncated)))
        for table in sizes.keys() - _migrated.keys() - {*truncated}:
            cursor.execute(SQL("DELETE FROM {}").format(Identifier(table)))
        now = _rows_of(*_migrated)
        for table, rows in _migrated.items():
            if sorted(now.get(table, b"").splitlines()) != sorted(rows.splitlines()):
                cursor.execute(SQL("DELETE FROM {}").format(Identifier(table)))
                _write({table: rows})


def made_once(name: str, make: Callable[[], object]) -> None:
    """Fill the tables as `make` does: by calling it, and from then on with the rows that it made, which keep their ids."""
    if name in _made:
        _write(_made[name])
        return
    before = _rows_of(*_sizes())
    make()
    made = {table: rows for table, rows in _rows_of(*_sizes()).items() if rows != before.get(table)}
    if not made.keys() & before.keys():  # else it is not known which rows are its own
        _made[name] = made


def _sizes() -> dict[str, int]:
    """The tables that hold rows, or held some lately: {name: bytes}."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND relname <> 'django_migrations' AND pg_relation_size(oid) > 0 ORDER BY relname"
        )
        return dict(cursor.fetchall())


def _rows_of(*tables: str) -> Rows:
    found: Rows = {}
    with connection.cursor() as cursor:
        for table in tables:
            with cursor.copy(SQL("COPY {} TO STDOUT").format(Identifier(table))) as copy:
                found[table] = b"".join(copy)
    return {table: rows for table, rows in found.items() if rows}


def _write(rows: Rows) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for table, lines in rows.items():
            with cursor.copy(SQL("COPY {} FROM STDIN").format(Identifier(table))) as copy:
                copy.write(lines)


def _listed(*tables: str) -> object:
    return SQL(", ").join(map(Identifier, tables))
