"""Fairness over the wire: one source at ten times its key's limit beside a normal one, load, web and database on this machine.

The normal source sends 100 single events a second, alone and then beside a flood of 1,000 a second from a key that may send 100.
Asked: with the flood, the normal one's median is at most 1.3 times what it is alone, its p99 at most twice. The load comes from
processes of its own and keeps its pace whatever the answers, so that a slow answer delays no later request.
"""

import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter

from benchmarks.bench_api import PORT, ROUNDS, Server, request
from benchmarks.database import fresh_database

NORMAL, FLOOD, LIMIT = 100, 1_000, 100
SECONDS = int(os.environ.get("BENCH_SECONDS", 10))
MEDIAN, P99 = 1.3, 2.0
# Seconds at the beginning that do not count: connections and caches.
_WARM = 1
# Seconds by which the flood is ahead: it is under way when the normal source begins, and still when it ends.
_AHEAD = 4


def main() -> None:
    with fresh_database():
        from ingestion.models import WriteKey
        from taxonomy.models import Source

        normal, flood = (
            WriteKey(source=Source.objects.get(code="website")),
            WriteKey(source=Source.objects.get(code="app"), per_second=LIMIT),
        )
        secrets = [key.set_secret() for key in (normal, flood)]
        normal.save(), flood.save()
        alone: list[float] = []
        beside: list[float] = []
        ratios = []
        with Server("cdp.wsgi:application"):
            for attempt in range(ROUNDS):
                pair = []
                for with_flood in (False, True):
                    other = start(secrets[1], f"f{attempt}", FLOOD, _AHEAD) if with_flood else None
                    time.sleep(_AHEAD if with_flood else 0)
                    told = start(secrets[0], f"n{attempt}{with_flood:d}", NORMAL).communicate()[0].splitlines()
                    took = [float(one) for one in told[1].split()]
                    pair.append(figures(took))
                    (beside if with_flood else alone).extend(took)
                    if other is not None:
                        print(f"round {attempt + 1}: flood answered {other.communicate()[0].splitlines()[0]}")
                ratios.append([later / before for before, later in zip(*pair, strict=True)])
        for name, took in (("alone", alone), ("beside the flood", beside)):
            print(f"normal {name:17} median {figures(took)[0]:7.1f} ms   p99 {figures(took)[1]:7.1f} ms   ({len(took):,} requests)")
        median, p99 = (statistics.median(one) for one in zip(*ratios, strict=True))
        print(f"ratio, median of {ROUNDS}: median {median:.2f} (asked: {MEDIAN})   p99 {p99:.2f} (asked: {P99})")


def figures(took: list[float]) -> tuple[float, float]:
    """(median, p99), in milliseconds."""
    ordered = sorted(took)
    return statistics.median(ordered), ordered[int(len(ordered) * 0.99)]


def start(secret: str, name: str, per_second: int, longer: int = 0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.bench_fair", secret, name, str(per_second), str(longer)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def send(secret: str, name: str, per_second: int, longer: int) -> tuple[Counter[str], list[float]]:
    """So many single events a second, each begun when its time has come: (answers by status, milliseconds from then to the answer)."""
    clients = max(8, per_second // 16)
    bodies = [request(secret, f"{name}-{number}", 1) for number in range(per_second * (SECONDS + _WARM + longer))]
    due = [number / per_second for number in range(len(bodies))]
    waiting, lock = iter(range(len(bodies))), threading.Lock()
    statuses: Counter[str] = Counter()
    took: list[float] = []
    began = time.perf_counter() + 0.2

    def client() -> None:
        with socket.create_connection(("127.0.0.1", PORT)) as connection:
            while True:
                with lock:
                    number = next(waiting, None)
                if number is None:
                    return
                at = began + due[number]
                time.sleep(max(0.0, at - time.perf_counter()))
                connection.sendall(bodies[number])
                status = _status(connection)
                ended = time.perf_counter()
                with lock:
                    if due[number] >= _WARM:
                        statuses[status] += 1
                        took.append(1000 * (ended - at))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses, took


def _status(connection: socket.socket) -> str:
    answer = b""
    while b"\r\n\r\n" not in answer:
        if not (more := connection.recv(65536)):
            raise RuntimeError("the server closed the connection")
        answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head.split(b" ", 2)[1].decode()


if __name__ == "__main__":
    if len(sys.argv) == 5:
        answers, times = send(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
        print(" ".join(f"{status}: {count}" for status, count in sorted(answers.items())))
        print(" ".join(f"{one:.3f}" for one in times))
    else:
        main()
