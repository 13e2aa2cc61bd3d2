"""The API over the wire, load generator, web and database on this machine.

Singles: requests/s answered after commit, and the ratio to a no-op DRF view on the same server. Batches of 100: events/s,
and the ratio to the importer's on the same events, in turns with it.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.database import fresh_database

PORT = 8791
SECONDS = 6
CLIENTS = 64
ROUNDS = int(os.environ.get("BENCH_ROUNDS", 3))
IMPORTED = 100_000


def main() -> None:
    with fresh_database():
        from ingestion.models import WriteKey
        from taxonomy.models import Source

        key = WriteKey(source=Source.objects.get(code="website"))
        secret = key.set_secret()
        key.save()
        noop, singles, batches, imports = [], [], [], []
        for attempt in range(ROUNDS):
            with Server("benchmarks.noop:application"):
                noop.append(load(secret, f"n{attempt}", 1))
            with Server("cdp.wsgi:application"):
                singles.append(load(secret, f"s{attempt}", 1))
                batches.append(load(secret, f"b{attempt}", 100) * 100)
            imports.append(import_rate(f"i{attempt}"))
        limit, single, batch, imported = (statistics.median(rates) for rates in (noop, singles, batches, imports))
        print(f"no-op DRF view        {limit:8,.0f} requests/s")
        print(f"single events         {single:8,.0f} requests/s   ratio {single / limit:.2f}")
        print(f"importer              {imported:8,.0f} events/s")
        print(f"batches of 100        {batch:8,.0f} events/s     ratio {batch / imported:.2f}")


def import_rate(name: str) -> float:
    """Events/s of the importer, all cores, on a file of IMPORTED lines of the same events."""
    from ingestion.imports.run import outcome, run_import, take_file
    from taxonomy.models import Source

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.ndjson"
        path.write_text("".join(f"{json.dumps(event(name, number))}\n" for number in range(IMPORTED)))
        run = take_file(path, source=Source.objects.get(code="website"), file_name=path.name)
    began = time.perf_counter()
    found = outcome(run_import(run.pk))
    seconds = time.perf_counter() - began
    if found.counts.get("accepted") != IMPORTED:
        raise RuntimeError(f"of {IMPORTED} events {found.counts} were imported")
    return IMPORTED / seconds


class Server:
    def __init__(self, application: str) -> None:
        self.application = application

    def __enter__(self) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(PORT), "--workers", "2",
                "--blocking-threads", "32", "--no-ws", "--log-level", "critical", self.application,
            ],
            env={**os.environ, "LOG_LEVEL": "CRITICAL"}, start_new_session=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(200):
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", PORT)) == 0:
                    time.sleep(0.5)
                    return
            time.sleep(0.05)
        raise RuntimeError("the server did not start")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


def load(secret: str, name: str, events: int, request_of: Callable[[str, str, int], bytes] | None = None) -> float:
    """Requests/s of CLIENTS connections that stay open, each waiting for its answer. Fails on any answer but 200."""
    counts = [0] * CLIENTS
    until = 0.0

    def start() -> None:
        nonlocal until, began
        began = time.monotonic()
        until = began + SECONDS

    began = 0.0
    warm = threading.Barrier(CLIENTS, start)

    def send(client: int) -> None:
        with socket.create_connection(("127.0.0.1", PORT)) as connection:
            try:
                connection.sendall((request_of or request)(secret, f"{name}-{client}-warm", events))
                read_answer(connection)
            except BaseException:
                warm.abort()
                raise
            warm.wait(timeout=60)
            while time.monotonic() < until:
                connection.sendall((request_of or request)(secret, f"{name}-{client}-{counts[client]}", events))
                read_answer(connection)
                counts[client] += 1

    threads = [threading.Thread(target=send, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


def event(name: str, number: int) -> dict[str, Any]:
    return {
        "id": f"{name}-{number}", "event": "item_detail_view", "phone": f"+86 138 0000 {number * 37 % 9000 + 1000}",
        "occurred_at": "2026-03-01T10:00:00+08:00", "attributes": {"sku": "SKU-1", "title": "Tea", "sale_price": "9.90"},
    }  # fmt: skip


def request(secret: str, name: str, events: int) -> bytes:
    made = [event(name, number) for number in range(events)]
    body = json.dumps(made[0] if events == 1 else {"events": made}).encode()
    head = f"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def read_answer(connection: socket.socket) -> None:
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise RuntimeError(head.split(b"\r\n", 1)[0].decode())
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)


if __name__ == "__main__":
    main()
