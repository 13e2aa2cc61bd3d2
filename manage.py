#!/usr/bin/env python
import os
import sys

# Commands that need no database; every other one starts the embedded PostgreSQL or joins it.
WITHOUT_DATABASE = {"help", "version", "collectstatic", "compilemessages", "makemessages", "make_messages", "pg", "run"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")
    if sys.argv[1:2] == ["run"]:
        from cdp.bootstrap import compile_translations

        compile_translations(sys.executable)
        os.environ.setdefault("PORT", "8000")  # it says where the site is, and asks no other run
    from django.conf import settings
    from django.core.management import execute_from_command_line

    if not settings.DATABASE_URL and not WITHOUT_DATABASE.intersection(sys.argv[1:2]):
        from cdp.postgres import PostgresError, ensure_running

        try:
            ensure_running(settings.HOME)
        except PostgresError as error:
            sys.exit(str(error))
    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
