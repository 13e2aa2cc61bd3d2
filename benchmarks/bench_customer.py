"""The customer page and the timeline API: median server time at 1.5 million events, and its ratio to 150,000.

The demo's events are multiplied in SQL by giving them to further people; one customer's history is made 5,000 events long.
"""

import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.database import fresh_database

SMALL, LARGE = 150_000, 1_500_000
CUSTOMERS = 60
LONG = 5_000


def main(large: int = LARGE) -> None:
    with fresh_database():
        from datetime import UTC, datetime

        from cdp.demo.shop import days
        from ingestion.pipeline import Incoming, receive
        from taxonomy.current import current

        for received_at, source, made in days(datetime(2026, 6, 1, tzinfo=UTC).date()):
            receive([Incoming(record) for record in made], source_code=source, door="api", received_at=received_at, current=current())
        page, timeline = callers()
        figures = []
        for events in (SMALL, large):
            multiply(events)
            if events == large:
                lengthen()
            people = some_customers()
            figures.append((statistics.median(timed(page, people)), statistics.median(timed(timeline, people))))
            print(
                f"{stored():9,} events: page {figures[-1][0]:6.1f} ms   timeline {figures[-1][1]:6.1f} ms   (medians of {CUSTOMERS} customers)"
            )
        longest = some_customers(1)
        print(
            f"one customer of {LONG:,} events: page {min(timed(page, longest * 5)):.1f} ms   timeline {min(timed(timeline, longest * 5)):.1f} ms"
        )
        print(f"ratio of the page {figures[1][0] / figures[0][0]:.2f}   of the timeline {figures[1][1] / figures[0][1]:.2f}")


def callers() -> tuple[Callable[[str], int], Callable[[str], int]]:
    """What asks for the page, and for the timeline, of a public id: each answers with the status."""
    from datetime import timedelta

    from django.test import Client
    from django.utils import timezone

    from staff.models import ReadToken, User

    person = User.objects.create_superuser("bench@tagline.example", "bench")
    token = ReadToken(user=person, name="bench", scopes=["customers"], expires_at=timezone.now() + timedelta(days=1))
    secret = token.set_secret()
    token.save()
    client = Client(headers={"host": "localhost"})
    client.force_login(person, "django.contrib.auth.backends.ModelBackend")
    bearer = {"authorization": f"Bearer {secret}", "host": "localhost"}
    return (
        lambda public_id: client.get(f"/customers/{public_id}/").status_code,
        lambda public_id: client.get(f"/api/v1/customers/{public_id}/timeline", headers=bearer).status_code,
    )


def timed(ask: Callable[[str], int], people: list[str]) -> list[float]:
    """Milliseconds of each, the second time it is asked."""
    taken = []
    for public_id in people:
        for _ in range(2):
            began = time.perf_counter()
            assert ask(public_id) == 200
            last = time.perf_counter() - began
        taken.append(last * 1000)
    return taken


def some_customers(count: int = CUSTOMERS) -> list[str]:
    """Public ids of the demo's own customers with the longest histories, the same at every size."""
    return [
        str(public_id)
        for (public_id,) in rows(
            """
            SELECT public_id FROM profiles_customer AS customer JOIN profiles_link AS link ON link.customer_id = customer.id
            JOIN profiles_event AS event ON event.subject_id = link.subject_id
            WHERE customer.id <= 2400 GROUP BY public_id ORDER BY count(*) DESC, public_id LIMIT %s
            """,
            count,
        )
    ]


def stored() -> int:
    return int(rows("SELECT count(*) FROM profiles_event")[0][0])


def multiply(events: int) -> None:
    """Give copies of the demo's events to further people until there are as many as asked."""
    if not rows("SELECT to_regclass('own_event')")[0][0]:
        run("CREATE TABLE own_event AS SELECT * FROM profiles_event")
        run("CREATE TABLE own_original AS SELECT * FROM profiles_original")
        run("CREATE TABLE own_subject AS SELECT * FROM profiles_subject WHERE kind = 'phone'")
    own = int(rows("SELECT count(*) FROM own_event")[0][0])
    for copy in range(stored() // own, events // own):
        values = {"copy": copy, "offset": copy * 10_000_000}
        run("INSERT INTO profiles_customer (public_id, created_at) SELECT gen_random_uuid(), now() FROM own_subject", values)
        run(
            """
            WITH made AS (
                INSERT INTO profiles_subject (id, kind, namespace, value, key) OVERRIDING SYSTEM VALUE
                SELECT id + %(offset)s, kind, namespace, value || %(copy)s, decode(md5(key || int4send(%(copy)s)), 'hex') FROM own_subject
                RETURNING id
            )
            INSERT INTO profiles_link (subject_id, customer_id, evidence, created_at)
            SELECT made.id, customer.id, 'phone', now()
            FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM made) AS made
            JOIN (SELECT id, row_number() OVER (ORDER BY id DESC) AS place FROM profiles_customer) AS customer USING (place)
            """,
            values,
        )
        columns = (
            "source_id, batch_id, message_id, name, received_at, standing, occurred_at, tag_id, attributes, extra, identifiers,"
            " refinements, report, rule_id, release_id"
        )
        run(
            f"""
            INSERT INTO profiles_event (id, key, subject_id, {columns}) OVERRIDING SYSTEM VALUE
            SELECT id + %(offset)s, decode(md5(key || int4send(%(copy)s)), 'hex'), subject_id + %(offset)s, {columns} FROM own_event
            """,
            values,
        )
        run("INSERT INTO profiles_original SELECT event_id + %(offset)s, record, item FROM own_original", values)
    run("VACUUM ANALYZE")


def lengthen() -> None:
    """Make the longest history of the demo's own customers LONG events, spread over the years before."""
    longest = some_customers(1)[0]
    run(
        """
        INSERT INTO profiles_event (id, key, subject_id, source_id, batch_id, received_at, standing, occurred_at, tag_id, attributes)
        OVERRIDING SYSTEM VALUE
        SELECT 900000000000 + number, decode(md5(number::text), 'hex'), event.subject_id, source_id, batch_id, received_at, 1,
            occurred_at - number * interval '3 hours', tag_id, attributes
        FROM generate_series(1, %(long)s) AS number, LATERAL (
            SELECT event.* FROM profiles_event AS event JOIN profiles_link AS link USING (subject_id)
            JOIN profiles_customer AS customer ON customer.id = link.customer_id
            WHERE customer.public_id = %(customer)s AND standing = 1 LIMIT 1
        ) AS event
        """,
        {"long": LONG, "customer": longest},
    )
    run("VACUUM ANALYZE profiles_event")


def rows(statement: str, *values: object) -> list[tuple]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def run(statement: str, values: dict[str, object] | None = None) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, values)


if __name__ == "__main__":
    main(*[int(one) for one in sys.argv[1:2]])
