"""Two writers of one identifier's ties at once: what the first added counts for the second, which waited for it."""

import threading
import time
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from profiles.models import Subject, Tie
from profiles.ties import Ties

NOW = datetime(2026, 3, 1, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


def test_a_writer_that_waited_sees_the_tie_that_the_other_added():
    device, first, second = (Subject.objects.create(kind=kind, value=kind, key=kind.encode()) for kind in ("device", "one", "two"))
    known = Tie.objects.create(weaker=device, stronger=first, first_at=NOW, event_id=1, settled=True)
    asked = []

    def write() -> None:
        ties = Ties()
        ties._seen = {(device.pk, first.pk): (NOW, 2)}
        with transaction.atomic(), connection.cursor() as cursor:
            asked.append(ties.write(cursor))
        connection.close()

    waiting = threading.Thread(target=write)
    with transaction.atomic():
        Tie.objects.select_for_update().get(pk=known.pk)
        Tie.objects.create(weaker=device, stronger=second, first_at=NOW, event_id=3, settled=False)
        waiting.start()
        until_it_waits()
    waiting.join(60)
    assert asked == [True]
    known.refresh_from_db()
    assert not known.settled


def until_it_waits() -> None:
    until = time.monotonic() + 60
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()")
            if cursor.fetchone()[0]:
                return
            time.sleep(0.01)
    raise AssertionError("the other writer did not wait")
