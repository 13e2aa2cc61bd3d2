"""Held events read again, all cores, against the importer's rate on the same events in the same run; memory against a tenth of them.

The file names every event so that nothing knows it. It is imported, held whole; then a rule is released that maps the name,
and all are read again. For the peer the same lines, now understood, are imported under other ids.
"""

import sys
import time

from benchmarks.bench_import import PeakMemory
from benchmarks.database import fresh_database, load_events


def main(events: int) -> None:
    with fresh_database():
        from django.utils import timezone

        from ingestion.models import Replay
        from ingestion.quarantine.causes import add_up
        from ingestion.quarantine.held import held_causes, held_groups
        from ingestion.quarantine.replay import ask, preview, run_replay
        from ingestion.watching.rollup import roll_up
        from taxonomy.current import refresh
        from taxonomy.models import MappingRule, Source, Tag
        from taxonomy.publish import publish

        source = Source.objects.get(code="website")

        def load(name: str, number: int) -> float:
            _, found, seconds = load_events(source, name, number, event)
            if found.received != number:
                raise RuntimeError(f"{found} of {number}")
            return number / seconds

        def replay(number: int) -> tuple[float, float]:
            asked = ask(Replay(source=source))
            with PeakMemory() as memory:
                began = time.perf_counter()
                done = run_replay(asked.pk)
                seconds = time.perf_counter() - began
                if done.fixed != number:
                    raise RuntimeError(f"{done.fixed} fixed of {number}")
                return number / seconds, memory.peak_megabytes()

        load("held", events)
        roll_up(timezone.now())  # as the worker has long done of what waits in quarantine
        desk = time.perf_counter()
        add_up(timezone.now())
        held_groups(held_causes())
        desk = time.perf_counter() - desk
        tried = time.perf_counter()
        preview(Replay(source=source))
        tried = time.perf_counter() - tried
        MappingRule.objects.create(source=source, position=999, match="exact", name="goods_paid", tag=Tag.objects.get(code="product_view"))
        publish(notes="bench", by=None)
        refresh()
        rate, large = replay(events)
        peer = load("peer", events)
        MappingRule.objects.filter(position=999).update(name="other")
        publish(notes="bench", by=None)
        refresh()
        load("small", events // 10)
        roll_up(timezone.now())
        MappingRule.objects.filter(position=999).update(name="goods_paid")
        publish(notes="bench", by=None)
        refresh()
        _, small = replay(events // 10)
        print(f"replay                {rate:8,.0f} events/s   ratio to the importer {rate / peer:.2f} ({peer:,.0f} events/s)")
        print(f"memory                {large:8,.0f} MB         ratio to a tenth of the events {large / small:.2f}")
        print(f"causes of {events:,} held  {desk * 1000:6.0f} ms   preview {tried:.1f} s")


def event(message_id: str, number: int) -> dict[str, object]:
    return {
        "id": message_id, "event": "goods_paid", "phone": f"138{number % 60_000:08d}", "occurred_at": "2026-03-01T10:00:00+08:00",
        "attributes": {"product_id": f"SKU-{number % 500}", "price": "9.90"},
    }  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
