"""Whatever is killed while a client sends, every answered event is there exactly once, and the counts add up."""

import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ports import free_port

from cdp import postgres

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = 4
FILE_LINES = 40_000
# Beyond 4 MB a file is stored by several processes.
UPLOAD_LINES = 30_000
PHONES = 40
# A killed worker's job is given to another by a job of each minute, 30 s after the last sign of life; some are killed again.
WAIT_SECONDS = 300
COUNTED, HELD = 1, 2

# What the upload page does with a file.
UPLOAD = """
from pathlib import Path
from ingestion.imports.run import take_file
from ingestion.jobs import import_file
from taxonomy.models import Source
run = take_file(Path({path!r}), source=Source.objects.get(code="website"), file_name="upload.ndjson")
import_file.defer(run_id=str(run.pk))
print(run.pk)
"""
# In the groups of the desk: (events, of them held).
WAITING = """
    SELECT count(DISTINCT event_id), count(DISTINCT event_id) FILTER (WHERE standing = 2)
    FROM ingestion_quarantinereason JOIN profiles_event AS event ON event.id = event_id WHERE open
"""
# Draw all links anew from all the evidence; how many are then added or withdrawn.
DRAW_ANEW = """
from profiles.link import relink
from profiles.models import Link, Subject
before = set(Link.objects.filter(withdrawn_at=None).values_list("pk", flat=True))
relink(Subject.objects.values_list("pk", flat=True))
print(len(before ^ set(Link.objects.filter(withdrawn_at=None).values_list("pk", flat=True))))
"""


def phone_of(who: int) -> str:
    return f"+86138001380{10 + who}"


def event(event_id: str, number: int) -> dict[str, Any]:
    """One of forty people's: most tell a phone and a browser; some no phone, a family's tablet, or an account of two; some are wrong."""
    who = number // 10 % PHONES
    one: dict[str, Any] = {
        "id": event_id, "event": "login", "phone": phone_of(who), "identifiers": {"anonymous_id": f"browser-{who:02d}"},
        "occurred_at": f"2026-03-01T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z",
    }  # fmt: skip
    match number % 10:
        case 1 | 2:
            del one["phone"]
        case 3:
            one["identifiers"] = {"device": f"tablet-{who // 4}"}
        case 4:
            one["identifiers"]["user_id"] = f"account-{who // 2}"
        case 5:
            one |= {"event": "no_such_thing"} if number % 20 == 5 else {"phone": "138-oops"}
    return one


def standing_of(number: int) -> int:
    return HELD if number % 10 == 5 else COUNTED


def write_file(path: Path, prefix: str, lines: int) -> dict[str, int]:
    """A file of events; how each must end."""
    path.write_text("".join(json.dumps(event(f"{prefix}-{number}", number)) + "\n" for number in range(lines)))
    return {f"{prefix}-{number}": standing_of(number) for number in range(lines)}


class Product:
    """The web process, the worker, an import of a file and the embedded server of a home of their own."""

    names: tuple[str, ...] = ("web", "worker", "importer")

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.environment = {**os.environ, "TAGLINE_HOME": str(home), "DATABASE_URL": "", "LOG_LEVEL": "CRITICAL"}
        postgres.ensure_running(home)
        self.manage("migrate", "-v0", "--skip-checks")
        self.manage("load_starter", "-v0")
        self.parts: dict[str, subprocess.Popen] = {}
        self.prepare()
        for name in self.names:
            self.start(name)

    def prepare(self) -> None:
        self.key = json.loads(self.manage("create_key", "--source", "website", "--json"))["key"]
        self.file = self.home / "events.ndjson"
        self.in_files = write_file(self.file, "file", FILE_LINES)
        self.uploads: dict[str, int] = {}  # run: how many of its lines must be held

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
            "importer": ["manage.py", "import_events", str(self.home / "events.ndjson"), "--source", "website", "--json"],
        }.get(name, ["manage.py", name])  # fmt: skip
        with (self.home / f"{name}.said").open("ab") as said:
            self.parts[name] = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=self.environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=said
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

    def kill_worker_at_work(self) -> None:
        run = self.upload_until_at_work()
        self.kill("worker")
        assert self.ask("SELECT status FROM ingestion_importrun WHERE id = %s", run) == [("running",)]

    def upload_until_at_work(self) -> str:
        """Upload a file and wait until the worker has stored a part of it."""
        number = len(self.uploads)
        path = self.home / f"upload-{number}.ndjson"
        wanted = write_file(path, f"upload{number}", UPLOAD_LINES)
        self.in_files |= wanted
        run = self.manage("shell", "-c", UPLOAD.format(path=str(path))).split()[-1]
        self.uploads[run] = Counter(wanted.values())[HELD]
        self.wait_until(lambda: self.ask("SELECT count(*) FROM ingestion_importchunk WHERE run_id = %s", run) > [(0,)], "no part is stored")
        return run

    def call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Message, bytes] | None:
        """Status, headers and body of the web process's answer; None: none came."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException):
            return None

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        wanted = postgres.connection_settings(self.home)
        with psycopg.connect(host=str(wanted["HOST"]), dbname=str(wanted["NAME"]), user=str(wanted["USER"])) as connection:
            return connection.execute(query, values).fetchall()

    def wait_until(self, is_so: Callable[[], bool], otherwise: str) -> None:
        until = time.monotonic() + WAIT_SECONDS
        while not is_so():
            ended = {name: part.returncode for name, part in self.parts.items() if name != "importer" and part.poll() is not None}
            said = [(self.home / f"{name}.said").read_text(errors="replace")[-2_000:] for name in ended]
            assert not ended, f"ended by themselves: {ended}: {said}"
            assert time.monotonic() < until, otherwise
            time.sleep(0.02)

    def stop(self) -> None:
        for part in self.parts.values():
            with suppress(ProcessLookupError):  # the importer ends by itself
                os.killpg(part.pid, signal.SIGKILL)
            part.wait()
        postgres.stop(self.home)

    def finish(self) -> None:
        """Let the command's import end, started anew as often as it broke off; the worker's, its ties and its counting end by themselves."""
        for _ in range(5):
            if self.parts["importer"].wait(120) == 0:
                break
            self.start("importer")
        else:
            raise AssertionError("the import does not end")
        self.wait_until_done()

    def wait_until_done(self) -> None:
        for query, otherwise in [
            ("SELECT count(*) FROM ingestion_importrun WHERE status <> 'finished'", "an upload does not end"),
            ("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 'imports'", "the job of an upload does not end"),
            ("SELECT count(*) FROM profiles_tie WHERE NOT settled", "a tie is not settled"),
            ("SELECT count(*) FROM profiles_arrival", "what arrived is not counted"),
        ]:
            self.wait_until(lambda query=query: self.ask(query) == [(0,)], otherwise)


class Client(threading.Thread):
    """Sends events one after another, each until it is answered with 200; remembers how often it sent, and each answer."""

    def __init__(self, product: Product, name: str) -> None:
        super().__init__(daemon=True)
        self.product, self.prefix = product, name
        self.answered: dict[str, int] = {}
        self.answers = Counter[str]()
        self.sent = 0
        self.ending = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.ending.is_set():
            number += 1
            event_id = f"{self.prefix}-{number}"
            while not self.send(event(event_id, number)):
                time.sleep(0.05)
            self.answered[event_id] = standing_of(number)

    def send(self, one: dict[str, Any]) -> bool:
        self.sent += 1
        headers = {"Authorization": f"Bearer {self.product.key}", "Content-Type": "application/json"}
        answer = self.product.call("POST", "/api/v1/events", json.dumps(one).encode(), headers)
        if answer is None or answer[0] != 200:
            return False
        self.answers[json.loads(answer[2])["results"][0]["status"]] += 1
        return True


@contextmanager
def home() -> Iterator[Path]:
    """A short path: a socket's may have only 107 characters."""
    folder = Path(tempfile.mkdtemp(prefix="tl-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "h"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def product():
    with home() as place:
        running = Product(place)
        yield running
        running.stop()


@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.proof)])
def test_every_answered_event_is_there_exactly_once(product, kills, record_property):
    chance = random.Random(kills)
    clients = [Client(product, f"client{number}") for number in range(CLIENTS)]
    for client in clients:
        client.start()
    order = ["importer", "web", "worker", "postgres"]
    for number in range(kills):
        time.sleep(chance.uniform(0.5, 1.5))
        name = order[number] if number < len(order) else chance.choice(order)
        if name == "worker":
            product.kill_worker_at_work()
        else:
            product.kill(name)
    time.sleep(3)
    for client in clients:
        client.ending.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive()
    product.finish()
    answered = {event_id: standing for client in clients for event_id, standing in client.answered.items()}
    assert len(answered) > kills
    wanted = answered | product.in_files

    stored = product.ask("SELECT message_id, standing FROM profiles_event")
    assert len(stored) == len(wanted) and dict(stored) == wanted
    assert product.ask("SELECT count(*) FROM profiles_original WHERE record IS NOT NULL") == [(len(wanted),)]

    held = Counter(wanted.values())[HELD]
    assert product.ask(WAITING) == [(held, held)]
    assert held and product.ask("SELECT sum(accepted), sum(quarantined), sum(refused) FROM profiles_tally") == [
        (len(wanted) - held, held, 0)
    ]
    assert product.ask("SELECT accepted, sum(count)::int FROM ingestion_readingday GROUP BY 1 ORDER BY 1") == [
        (False, held), (True, len(wanted) - held),
    ]  # fmt: skip
    tallies = """
        SELECT sum(tally.accepted + tally.duplicate + tally.quarantined + tally.refused), sum(tally.duplicate)
        FROM profiles_tally AS tally JOIN profiles_batch AS batch ON batch.id = tally.batch_id WHERE batch.door = %s
    """
    # An importer that is started again after its end imports the file again.
    [(again,)] = product.ask("SELECT count(*) - 1 FROM ingestion_importrun WHERE file_name = %s", product.file.name)
    assert product.ask(tallies, "file") == [(len(product.in_files) + again * FILE_LINES, again * FILE_LINES)]
    [(received, duplicate)] = product.ask(tallies, "api")
    assert len(answered) <= received <= sum(client.sent for client in clients)
    assert received - duplicate == len(answered)
    assert duplicate >= sum(client.answers["duplicate"] for client in clients)

    for run, held_of_it in product.uploads.items():
        [(rows, counts)] = product.ask("SELECT sum(rows), array_agg(counts) FROM ingestion_importchunk WHERE run_id = %s", run)
        told = Counter[str]()
        for one in counts:
            told.update(one)
        assert (rows, told["accepted"], told["quarantined"]) == (UPLOAD_LINES, UPLOAD_LINES - held_of_it, held_of_it)
        assert told["duplicate"] == told["refused"] == 0
        assert product.ask(
            "SELECT sum(accepted), sum(quarantined), sum(duplicate + refused) FROM profiles_tally WHERE batch_id = %s", run
        ) == [(UPLOAD_LINES - held_of_it, held_of_it, 0)]
    everyone_s_own_browser_and_no_tablet_is_linked(product)
    record_property(
        "figure",
        f"{kills} kills, {len(product.uploads)} of them of a worker at an upload; {len(answered):,} events answered, {len(product.in_files):,} of"
        f" files, {held:,} of all held: all there, once each",
    )


def everyone_s_own_browser_and_no_tablet_is_linked(product: Product) -> None:
    """A browser is its one phone's, a tablet of four phones nobody's; and all links are what all the evidence asks for."""
    linked = product.ask("""
        SELECT subject.value, phone.value FROM profiles_subject AS subject
        JOIN profiles_link AS link ON link.subject_id = subject.id AND link.withdrawn_at IS NULL
        JOIN profiles_link AS of_phone ON of_phone.customer_id = link.customer_id AND of_phone.withdrawn_at IS NULL
        JOIN profiles_subject AS phone ON phone.id = of_phone.subject_id AND phone.kind = 'phone'
        WHERE subject.kind IN ('anonymous_id', 'device') ORDER BY 1, 2
    """)
    assert linked == [(f"browser-{who:02d}", phone_of(who)) for who in range(PHONES)]
    assert product.manage("shell", "-c", DRAW_ANEW).split()[-1] == "0"
