"""A database of its own for a benchmark, with the starter standard, dropped at the end."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django


@contextmanager
def fresh_database(name: str = "tagline_bench") -> Iterator[None]:
    """Point Django at a new, migrated, empty database on the configured server."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")
    from django.conf import settings

    if not settings.DATABASE_URL:
        from cdp.postgres import ensure_running

        ensure_running(settings.HOME)
    django.setup()
    from django.core.management import call_command
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {name}")
    old = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    host, user = connection.settings_dict["HOST"], connection.settings_dict["USER"]
    os.environ["DATABASE_URL"] = f"postgresql://{user}@{host.replace('/', '%2F')}/{name}"
    try:
        call_command("migrate", verbosity=0)
        call_command("load_starter", verbosity=0)
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = old
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def load_events(source: Any, name: str, number: int, event: Callable[[str, int], dict[str, object]]) -> tuple[Any, Any, float]:
    """Import so many events as a file: (the run, what became of them, seconds)."""
    from ingestion.imports.run import outcome, run_import, take_file

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{name}.ndjson")
        with path.open("w") as out:
            out.writelines(json.dumps(event(f"{name}-{at}", at)) + "\n" for at in range(number))
        run = take_file(path, source=source, file_name=path.name)
        began = time.perf_counter()
        found = outcome(run_import(run.pk))
        return run, found, time.perf_counter() - began
