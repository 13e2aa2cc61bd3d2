"""Segment's door over the wire, load generator, web and database on this machine.

Singles by /v1/track: requests/s answered after commit, and the ratio to a no-op DRF view on the same server. Batches of 100
by /v1/batch: events/s, for each request that the no-op view answers (asked: 15,000 on the machine where it does 6,800, 2.2), and the
ratio to INSERT … unnest of as many rows that nothing judges, a commit per hundred. Alone: what sharing a commit adds to the answer of
one client that sends one request after another.
"""

import base64
import json
import socket
import statistics
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import psycopg

from benchmarks.bench_api import ROUNDS, Server, load, read_answer, request
from benchmarks.database import fresh_database

ALONE = 300
BARE_CONNECTIONS, BARE_EVENTS = 4, 60_000


def main() -> None:
    with fresh_database():
        from ingestion.models import WriteKey
        from taxonomy.models import Source

        key = WriteKey(source=Source.objects.get(code="website"))
        secret = key.set_secret()
        key.save()
        noop, singles, batches, alone, alone_noop, bare = [], [], [], [], [], []
        for attempt in range(ROUNDS):
            with Server("benchmarks.noop:application"):
                noop.append(load(secret, f"n{attempt}", 1))
                alone_noop.append(one_client(secret, f"an{attempt}", request))
            bare.append(bare_inserts())
            with Server("cdp.wsgi:application"):
                singles.append(load(secret, f"s{attempt}", 1, track))
                batches.append(load(secret, f"b{attempt}", 100, track) * 100)
                alone.append(one_client(secret, f"a{attempt}", track))
        limit, single, batch, inserts = (statistics.median(rates) for rates in (noop, singles, batches, bare))
        print(f"no-op DRF view        {limit:8,.0f} requests/s")
        print(f"single by /v1/track   {single:8,.0f} requests/s   ratio {single / limit:.2f}")
        print(f"bare INSERT … unnest  {inserts:8,.0f} rows/s")
        print(f"batches by /v1/batch  {batch:8,.0f} events/s     {batch / limit:.2f} a no-op request, ratio to bare {batch / inserts:.2f}")
        print(
            f"one client alone      {statistics.median(alone) * 1000:8.1f} ms at p50, no-op view {statistics.median(alone_noop) * 1000:.1f} ms"
        )


def bare_inserts() -> float:
    """Rows/s of the bodies of batches, a hundred to a statement and commit, over some connections; no row twice, nothing judged."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bare_insert")
        cursor.execute("CREATE TABLE bare_insert (key bytea PRIMARY KEY, record bytea NOT NULL, at timestamptz NOT NULL DEFAULT now())")
    place = connection.settings_dict
    record = track("secret", "bare", 1).partition(b"\r\n\r\n")[2]

    def insert(worker: int) -> None:
        with psycopg.connect(host=place["HOST"], user=place["USER"], dbname=place["NAME"], autocommit=True) as own:
            for start in range(0, BARE_EVENTS // BARE_CONNECTIONS, 100):
                keys = [f"{worker}-{number}".encode() for number in range(start, start + 100)]
                own.execute(
                    "INSERT INTO bare_insert (key, record) SELECT * FROM unnest(%s::bytea[], %s::bytea[]) ON CONFLICT DO NOTHING",
                    [keys, [record] * 100],
                )

    began = time.perf_counter()
    with ThreadPoolExecutor(BARE_CONNECTIONS) as pool:
        list(pool.map(insert, range(BARE_CONNECTIONS)))
    return BARE_EVENTS / (time.perf_counter() - began)


def one_client(secret: str, name: str, request_of) -> float:
    """Seconds from sending to the answer, median, of one client alone."""
    took = []
    with socket.create_connection(("127.0.0.1", 8791)) as connection:
        for number in range(ALONE):
            began = time.perf_counter()
            connection.sendall(request_of(secret, f"{name}-{number}", 1))
            read_answer(connection)
            took.append(time.perf_counter() - began)
    return statistics.median(took)


def track(secret: str, name: str, events: int) -> bytes:
    people = [zlib.crc32(f"{name}-{number}".encode()) % 9_000 for number in range(events)]
    made = [
        {
            "type": "track", "messageId": f"{name}-{number}", "event": "item_detail_view", "userId": f"u{person}",
            "timestamp": "2026-03-01T10:00:00+08:00", "context": {"traits": {"phone": f"+86 138 0000 {person + 1000}"}},
            "properties": {"sku": "SKU-1", "title": "Tea", "sale_price": "9.90"},
        }
        for number, person in enumerate(people)
    ]  # fmt: skip
    path, body = ("track", made[0]) if events == 1 else ("batch", {"batch": made})
    text = json.dumps(body).encode()
    basic = base64.b64encode(f"{secret}:".encode()).decode()
    head = f"POST /v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {basic}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + text


if __name__ == "__main__":
    main()
