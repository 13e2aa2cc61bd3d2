"""Whatever is killed while a client sends, every answered event is there exactly once, and the counts add up."""

import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from cdp import postgres

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = 4
FILE_LINES = 40_000


class Product:
    """The web process, the worker, an import of a file and the embedded server of a home of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {**os.environ, "TAGLINE_HOME": str(home), "DATABASE_URL": "", "LOG_LEVEL": "CRITICAL"}
        postgres.ensure_running(home)
        self.manage("migrate", "-v0")
        self.manage("load_starter", "-v0")
        self.key = json.loads(self.manage("create_key", "--source", "website", "--json"))["key"]
        self.file = home / "events.ndjson"
        self.file.write_text("".join(json.dumps(event(f"f-{number}")) + "\n" for number in range(FILE_LINES)))
        self.parts: dict[str, subprocess.Popen] = {}
        for name in ("web", "worker", "importer"):
            self.start(name)

    def manage(self, *command: str) -> str:
        done = subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str) -> None:
        command = {
            "web": [
                "-m", "granian", "--interface", "wsgi", "--port", str(self.port), "--workers", "1", "--blocking-threads", "8",
                "--no-ws", "--log-level", "critical", "cdp.wsgi:application",
            ],
            "worker": ["manage.py", "worker"],
            "importer": ["manage.py", "import_events", str(self.file), "--source", "website", "--json"],
        }[name]  # fmt: skip
        self.parts[name] = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=self.environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self, name: str) -> None:
        """kill -9, then start it again, as a supervisor would."""
        if name == "postgres":
            pid = int((postgres.data_dir(postgres.place(self.home)) / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)
            postgres.ensure_running(self.home)
            return
        with suppress(ProcessLookupError):
            os.killpg(self.parts[name].pid, signal.SIGKILL)
        self.parts[name].wait()
        self.start(name)

    def stop(self) -> None:
        for part in self.parts.values():
            with suppress(ProcessLookupError):  # the importer ends by itself
                os.killpg(part.pid, signal.SIGKILL)
            part.wait()
        postgres.stop(self.home)

    def finish_import(self) -> None:
        """Let the import end, started anew as often as it broke off."""
        for _ in range(5):
            if self.parts["importer"].wait(120) == 0:
                return
            self.start("importer")
        raise AssertionError("the import does not end")


def event(event_id: str) -> dict[str, str]:
    return {"id": event_id, "event": "login", "phone": "+8613800138000", "occurred_at": "2026-03-01T10:00:00Z"}


class Client(threading.Thread):
    """Sends events one after another, each until it is answered with 200; remembers the ids that were."""

    def __init__(self, product: Product, name: str) -> None:
        super().__init__(daemon=True)
        self.product, self.prefix = product, name
        self.answered: list[str] = []
        self.ending = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.ending.is_set():
            number += 1
            event_id = f"{self.prefix}-{number}"
            while not self.send(event_id):
                if self.ending.is_set():
                    return
                time.sleep(0.05)
            self.answered.append(event_id)

    def send(self, event_id: str) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.product.port, timeout=10)
            connection.request(
                "POST", "/api/v1/events", json.dumps(event(event_id)),
                {"Authorization": f"Bearer {self.product.key}", "Content-Type": "application/json"},
            )  # fmt: skip
            answer = connection.getresponse()
            answer.read()
            return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False


@pytest.fixture
def product():
    folder = Path(tempfile.mkdtemp(prefix="tl-", dir="/tmp"))
    folder.chmod(0o755)
    running = Product(folder / "h")
    yield running
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.proof)])
def test_every_answered_event_is_there_exactly_once(product, kills, record_property):
    chance = random.Random(kills)
    clients = [Client(product, f"c{number}") for number in range(CLIENTS)]
    for client in clients:
        client.start()
    order = ["importer", "web", "worker", "postgres"]
    for number in range(kills):
        time.sleep(chance.uniform(0.5, 1.5))
        product.kill(order[number] if number < len(order) else chance.choice(order))
    time.sleep(3)
    product.finish_import()
    for client in clients:
        client.ending.set()
    for client in clients:
        client.join(30)
    answered = [event_id for client in clients for event_id in client.answered]
    assert len(answered) > kills
    wanted = postgres.connection_settings(product.home)
    with psycopg.connect(host=str(wanted["HOST"]), dbname=str(wanted["NAME"]), user=str(wanted["USER"])) as connection:
        stored = [row[0] for row in connection.execute("SELECT message_id FROM profiles_event WHERE standing = 1")]
        tally = connection.execute("SELECT sum(accepted), sum(duplicate), sum(quarantined + refused) FROM profiles_tally").fetchone()
    assert len(stored) == len(set(stored))
    assert set(answered) | {f"f-{number}" for number in range(FILE_LINES)} <= set(stored)
    assert tally[0] == len(stored)
    assert tally[2] == 0
    record_property("figure", f"{kills} kills, {len(answered):,} events answered, {FILE_LINES:,} of a file: all there, once each")
