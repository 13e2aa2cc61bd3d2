"""Serve Tagline on this machine: database, migrations, demo, web, worker and the subscriber of MQTT_URL, until Ctrl-C."""

import json
import multiprocessing
import signal
import socket
import time
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from cdp import demo, environment, parts, postgres

READY_SECONDS = 60


class Command(BaseCommand):
    help = "Serve Tagline on this machine, with demo data. PORT= changes the port, DEMO=0 leaves the demo data out."
    # The tests run the checks; here they would take a third of the time until it is ready.
    requires_system_checks = []

    def handle(self, *args: object, **options: object) -> None:
        if settings.PRODUCTION:
            raise CommandError("manage.py run makes demo data and accounts. In production run granian and manage.py worker; see README.md.")
        port = environment.port()
        workers = environment.whole_number("WEB_WORKERS", 2, least=1)
        # Somebody else's database may hold real customers: there, demo data only when asked for.
        with_demo = environment.flag("DEMO", default=not settings.DATABASE_URL)
        _refuse_taken(port)
        running: list[BaseProcess] = []
        address = settings.HOME / "address"
        started_postgres = False
        for end in parts.ENDS:
            signal.signal(end, signal.default_int_handler)
        try:
            started_postgres = not settings.DATABASE_URL and self._start_postgres()
            settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
            call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
            greeting = demo.greeting(demo.prepare(settings.HOME), port) if with_demo else demo.plain_greeting(port)
            parts.load_product()
            parts.start(running, parts.web, port, workers)
            parts.start(running, parts.worker)
            serving = tuple(running)
            _wait_until_ready(port, serving)
            address.write_text(settings.SITE_URL)
            self.stdout.write(greeting)
            if settings.MQTT_BROKER:
                parts.start(running, parts.mqtt)
            if with_demo:
                parts.start(running, parts.load_demo, settings.HOME)
            _wait_for_end(serving)
        except KeyboardInterrupt:
            self.stdout.write("\nStopping.")
        finally:
            # Nobody's second Ctrl-C leaves a part running.
            for end in parts.ENDS:
                signal.signal(end, signal.SIG_IGN)
            parts.stop(running)
            address.unlink(missing_ok=True)
            if started_postgres:
                postgres.stop(settings.HOME)

    def _start_postgres(self) -> bool:
        try:
            return postgres.ensure_running(settings.HOME)
        except postgres.PostgresError as error:
            raise CommandError(str(error)) from error


def _refuse_taken(port: int) -> None:
    with socket.socket() as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"Port {port} is taken by another program. Stop it, or run: PORT={port + 1} make run") from error


def _wait_until_ready(port: int, serving: tuple[BaseProcess, ...]) -> None:
    """Until it can do its work. A standard that nobody has released yet is people's work, not this server's."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if (ended := _ended(serving)) is not None:
            raise CommandError(_told(ended))
        told = _readiness(port)
        if told.get("database") and told.get("migrations"):
            return
        time.sleep(0.05)
    raise CommandError(f"The server was not ready within {READY_SECONDS} seconds.")


def _readiness(port: int) -> dict[str, Any]:
    """What /readyz says; empty while nothing answers. A proxy of the environment is not asked."""
    with suppress(URLError, OSError, ValueError):
        try:
            answer = build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/readyz", timeout=5)
        except HTTPError as error:
            answer = error
        with answer:
            return dict(json.load(answer))
    return {}


def _wait_for_end(serving: tuple[BaseProcess, ...]) -> None:
    """Until Ctrl-C; a part that ends is started anew by nobody, so its end is the end."""
    while (ended := _ended(serving)) is None:
        multiprocessing.active_children()  # which lets go of what has done its work: the demo's loading
        time.sleep(0.3)
    raise CommandError(_told(ended))


def _ended(serving: tuple[BaseProcess, ...]) -> BaseProcess | None:
    return next((one for one in serving if one.exitcode is not None), None)


def _told(ended: BaseProcess) -> str:
    """Which part ended and how, as far as its own last lines do not say it."""
    code = ended.exitcode or 0
    how = f"was ended by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"ended with code {code}"
    return f"The part “{ended.name}” {how}; what it said last stands above. Nothing stored is lost: run it again, and report it if that ends so too."
