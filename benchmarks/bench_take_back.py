"""An import of 500,000 events with ties taken back and put back, against its import in the same run, while others send.

Asked: taken back in under 60 s, others unharmed: what another import brought counts as before, and 100 single events a second are
answered meanwhile as beside an import (`bench_beside`).
"""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from benchmarks.bench_beside import P99, beside
from benchmarks.database import fresh_database, load_events

if TYPE_CHECKING:
    from ingestion.models import TakeBack

SECONDS = 60
_OTHERS = 20_000


def main(events: int) -> None:
    with fresh_database():
        from django.utils import timezone

        from ingestion.accepted.takeback import decide, look_at_batch, put_back
        from ingestion.models import TakeBack, WriteKey
        from ingestion.watching.rollup import roll_up
        from profiles.models import Batch, Event
        from staff.models import User
        from taxonomy.models import Source

        source = Source.objects.get(code="website")
        staff = User.objects.create_user("steward@example.com", "x")
        key = WriteKey(source=source)
        secret = key.set_secret()
        key.save()

        def load(name: str, number: int) -> tuple[Batch, float]:
            run, found, seconds = load_events(source, name, number, event)
            if found.counts["accepted"] != number:
                raise RuntimeError(f"{found} of {number}")
            return Batch.objects.get(pk=run.pk), seconds

        def counting(batch: Batch) -> int:
            return Event.objects.filter(batch=batch, standing=Event.Standing.COUNTED).count()

        def look() -> tuple[TakeBack, float]:
            one = look_at_batch(wrong, by=staff, now=timezone.now())
            seconds = work(one)
            one.refresh_from_db()
            decide(one, reason="wrong till", by=staff, now=timezone.now())
            return one, seconds

        others, _ = load("others", _OTHERS)
        wrong, imported = load("wrong", events)
        roll_up(timezone.now())  # as the worker has long done
        one, looked = look()
        taken = work(one)
        left = counting(wrong), counting(others)
        if left != (0, _OTHERS):
            raise RuntimeError(f"{left} count")
        put_back(one, reason="was right", by=staff, now=timezone.now())
        put = work(one)
        if counting(wrong) != events:
            raise RuntimeError(f"{counting(wrong)} of {events} put back")
        print(f"{events:,} events imported in {imported:.1f} s, looked at in {looked:.1f} s, put back in {put:.1f} s")
        print(f"taken back in {taken:.1f} s (asked: {SECONDS})   ratio to the import {taken / imported:.2f}")
        told, seconds = beside(secret, command(look()[0]))
        print(f"{told} (asked: {P99})   taken back in about {seconds:.0f} s")


def work(take_back: "TakeBack") -> float:
    began = time.perf_counter()
    subprocess.run(command(take_back), check=True)
    return time.perf_counter() - began


def command(take_back: "TakeBack") -> list[str]:
    return [sys.executable, "-m", "benchmarks.bench_take_back", "work", str(take_back.pk)]


_FIRST = datetime(2026, 3, 1, tzinfo=UTC)


def event(message_id: str, number: int) -> dict[str, object]:
    """A view or a purchase by one of 60,000 numbers, seen on a device that a tenth of them share with another."""
    phone = number % 60_000
    device = phone - 1 if phone % 10 == 1 else phone
    bought = {"order_id": message_id, "amount": {"amount": "19.90", "currency": "CNY"}} if number % 10 == 0 else {}
    return {
        "id": message_id, "event": "purchase" if bought else "product_view", "phone": f"+86138{phone:08d}",
        "identifiers": {"device": f"device-{device}"}, "occurred_at": (_FIRST + timedelta(seconds=number)).isoformat(),
        "attributes": {"product_id": f"SKU-{number % 500}"} | bought,
    }  # fmt: skip


def work_on_one(take_back_id: str) -> None:
    import django

    django.setup()
    from ingestion.accepted.takeback import work_on

    work_on(int(take_back_id))


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        work_on_one(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 500_000)
