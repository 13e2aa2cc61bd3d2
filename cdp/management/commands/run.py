"""Serve Tagline on this machine: database, migrations, demo, web and worker, until Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.error import URLError
from urllib.request import urlopen

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from cdp import demo, environment, postgres

STOP_SECONDS = 10


class Command(BaseCommand):
    help = "Serve Tagline on this machine, with demo data. PORT= changes the port."

    def handle(self, *args: object, **options: object) -> None:
        if settings.PRODUCTION:
            raise CommandError("manage.py run makes demo data and accounts. In production run granian and manage.py worker; see README.md.")
        port = environment.whole_number("PORT", 8000, least=1, most=65_535)
        _refuse_taken(port)
        started_postgres = not settings.DATABASE_URL and self._start_postgres()
        children: list[subprocess.Popen[bytes]] = []
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
            call_command("migrate", verbosity=0, interactive=False)
            shown = demo.prepare(settings.HOME)
            children += [_start("web", *_web(port)), _start("worker", sys.executable, "manage.py", "worker")]
            _wait_until_ready(port, children)
            self.stdout.write(demo.greeting(shown, port))
            threading.Thread(target=demo.load_in_background, args=(settings.HOME, self.stdout.write), daemon=True).start()
            _wait_for_end(children)
        except KeyboardInterrupt:
            self.stdout.write("\nStopping.")
        finally:
            _stop(children)
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


def _web(port: int) -> list[str]:
    return [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
        "--workers", str(environment.whole_number("WEB_WORKERS", 2, least=1)), "--blocking-threads", "32",
        "--no-ws", "--log-level", "error", "--respawn-failed-workers", "cdp.wsgi:application",
    ]  # fmt: skip


def _start(name: str, *command: str) -> "subprocess.Popen[bytes]":
    """A child in a group of its own, that ends when this process is killed."""
    return subprocess.Popen(command, cwd=settings.BASE_DIR, start_new_session=True, preexec_fn=_end_with_parent)


def _end_with_parent() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _wait_until_ready(port: int, children: "list[subprocess.Popen[bytes]]") -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if any(child.poll() is not None for child in children):
            raise CommandError("The server ended at once; its reason stands above.")
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise CommandError("The server did not answer within 60 seconds.")


def _wait_for_end(children: "list[subprocess.Popen[bytes]]") -> None:
    """Until Ctrl-C; a child that ends is started anew by nobody, so its end is the end."""
    while all(child.poll() is None for child in children):
        time.sleep(0.3)
    raise CommandError("A part of the server ended; its reason stands above.")


def _stop(children: "list[subprocess.Popen[bytes]]") -> None:
    for child in children:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
    for child in children:
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
