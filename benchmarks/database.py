"""A database of its own for a benchmark, with the starter standard, dropped at the end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

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
