"""Taken back: names and leaks say what the events left say, when they were seen first and last, and of which values."""

from datetime import datetime, timedelta
from importlib import import_module

import pytest
from django.conf import settings
from django.db import connection

from ingestion.discovery.discovered import up_to_now
from ingestion.jobs import look_again_at_what_is_left
from ingestion.models import Discovered, Leak, Sighting, TakeBack, WatchedLess
from ingestion.watching import again
from ingestion.watching.again import look_again
from ingestion.watching.leaks import found_leaks
from ingestion.watching.rollup import roll_up
from profiles.models import Event
from taxonomy import recent
from taxonomy.released import by_code
from tests.test_take_back import put_again, taken_back
from tests.test_take_back_counts import NOW, arrive, send, steward  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)
PHONE, OTHER, CARD = "13912345678", "13787654321", "6222021234567890128"


def view(**attributes) -> dict:
    return {"event": "product_view", "attributes": {"product_id": "p1", **attributes}}


def after(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


def names() -> dict:
    """Of each of which anything is left: events, first, last, kinds of values and examples."""
    rows = [up_to_now(one) for one in Discovered.objects.exclude(kind="rest")]
    return {one.name: (one.count, one.first_at, one.last_at, one.kinds, sorted(one.examples)) for one in rows if one.count}


def leaks() -> dict:
    rows = found_leaks().filter(taken_back=False)
    return {(one.attribute, one.kind): (one.count, one.lookalikes, one.first_at, one.last_at, one.example) for one in rows}


def shown() -> tuple:
    look_again(NOW)
    assert not look_again(NOW)
    return names(), leaks()


def test_a_name_says_what_the_events_left_say(steward):  # noqa: F811
    arrive(view(colour="red"), {"event": "gibberish"}, at=after(5))
    before = shown()
    first = arrive(view(colour="12", size="XL"), view(colour="wrong"), {"event": "gibberish"}, {"event": "wrongfile"}, at=after(0))
    one = shown()
    second = arrive(view(colour="2026-03-01", size=3), view(size="S"), {"event": "gibberish"}, at=after(9))
    both = shown()
    assert (both[0]["colour"][0], both[0]["colour"][3]) == (4, {"text": 2, "integer": 1, "date": 1})
    assert both[0]["gibberish"][:3] == (3, after(0), after(9))
    acts = [taken_back(first, steward)]
    other = shown()[0]
    assert other["colour"] == (2, after(5), after(9), {"text": 1, "date": 1}, ["2026-03-01", "red"])
    assert other["size"] == (2, after(9), after(9), {"integer": 1, "text": 1}, ["3", "S"])
    assert other["gibberish"] == (2, after(5), after(9), {}, []) and "wrongfile" not in other
    acts.append(taken_back(second, steward))
    assert shown() == before
    assert {one.name: (one.kinds, one.examples) for one in Discovered.objects.filter(count=0)} == {"size": ({}, []), "wrongfile": ({}, [])}
    put_again(acts[0], steward)
    assert shown()[0] == one[0]
    put_again(acts[1], steward)
    assert {name: told[:4] for name, told in shown()[0].items()} == {name: told[:4] for name, told in both[0].items()}


def test_a_leak_says_what_the_events_left_hold(steward):  # noqa: F811
    arrive(view(category=PHONE), view(note=f"call {OTHER}"), at=after(5))
    before = shown()
    first = arrive(view(category=OTHER), view(category=OTHER), view(note=f"paid with {CARD}"), at=after(0))
    one = shown()
    second = arrive(view(category=PHONE, note=f"call {PHONE}"), view(note="4111111111111112"), at=after(9))
    both = shown()
    assert both[1]["category", "phone"][:4] == (4, 0, after(0), after(9))
    acts = [taken_back(second, steward)]
    assert shown() == one
    acts.append(taken_back(first, steward))
    assert shown() == before
    assert set(Leak.objects.filter(taken_back=True).values_list("attribute", "kind", "count")) == {("note", "bank_card", 0)}
    put_again(acts[1], steward)
    assert shown() == one
    put_again(acts[0], steward)
    assert shown()[1] == both[1]


def test_what_comes_of_a_leak_all_of_which_is_taken_back_begins_anew(steward):  # noqa: F811
    act = taken_back(arrive(view(note=f"call {OTHER}"), at=after(0)), steward)
    assert shown()[1] == {}
    arrive(view(note=f"call {PHONE}"), at=after(9))
    assert shown()[1] == {("note", "phone"): (1, 0, after(9), after(9), "139****5678")}
    put_again(act, steward)
    assert shown()[1]["note", "phone"][:4] == (2, 0, after(0), after(9))


def test_of_a_sampled_leak_goes_the_share_that_is_taken_back(steward, monkeypatch):  # noqa: F811
    batch = arrive(*[view(note=f"call {PHONE}")] * 3, at=after(0))
    arrive(view(note=f"call {PHONE}"), at=after(1))
    Leak.objects.update(count=2)  # as if half had been looked at
    act = taken_back(batch, steward)
    assert shown()[1]["note", "phone"][:4] == (1, 0, after(1), after(1))
    put_again(act, steward)
    assert shown()[1]["note", "phone"][:4] == (2, 0, after(0), after(1))


def test_taken_back_before_it_was_counted_it_is_never_shown(steward):  # noqa: F811
    arrive(view(colour="red"), view(note=PHONE), at=after(5))
    before = shown()
    act = taken_back(send("wrongfile"), steward)
    Event.objects.filter(take_back_id=act.pk).update(extra={"colour": "9", "note": OTHER})
    assert shown()[0] == before[0]
    roll_up(NOW)
    assert shown() == before


def test_what_is_counted_while_it_is_looked_at_is_added_once(steward, monkeypatch):  # noqa: F811
    arrive(view(colour="red"), view(category=PHONE), at=after(5))
    batch = arrive(view(colour="wrong"), view(category=PHONE), at=after(0))
    act = taken_back(batch, steward)
    late: list = []
    see_again = again.see_again

    def meanwhile(*given):
        found = see_again(*given)
        if not late:
            late.append(arrive_beside(view(colour="blue"), view(category=PHONE), at=after(9)))
        return found

    monkeypatch.setattr(again, "see_again", meanwhile)
    look_again(NOW)
    monkeypatch.undo()
    seen = shown()
    assert seen[0]["colour"] == (2, after(5), after(9), {"text": 2}, ["blue", "red"])
    assert seen[1]["category", "phone"][:4] == (2, 0, after(5), after(9))
    put_again(act, steward)
    assert shown()[0]["colour"][:4] == (3, after(0), after(9), {"text": 3})
    assert shown()[1]["category", "phone"][:4] == (3, 0, after(0), after(9))


def arrive_beside(*events: dict, at: datetime):
    """By another connection, and counted."""
    import threading

    from django.db import connections

    found = []

    def run():
        found.append(arrive(*events, at=at))
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_taken_back_while_it_is_looked_at_it_is_looked_at_again(steward, monkeypatch):  # noqa: F811
    arrive(view(colour="red"), view(category=PHONE), at=after(5))
    before = shown()
    first, second = (arrive(view(colour=value), view(category=PHONE), at=after(at)) for value, at in (("a", 1), ("b", 9)))
    taken_back(first, steward)
    write_names = again._write_names

    def meanwhile(*given):
        if TakeBack.objects.count() == 1:
            taken_back(second, steward)
        write_names(*given)

    monkeypatch.setattr(again, "_write_names", meanwhile)
    assert look_again(NOW) and look_again(NOW)
    assert shown() == before


@pytest.mark.parametrize("at", ["see_again", "_write_names", "write"])
def test_killed_midway_it_begins_anew(steward, monkeypatch, at):  # noqa: F811
    arrive(view(colour="red"), view(category=PHONE), {"event": "gibberish"}, at=after(5))
    before = shown()
    taken_back(arrive(view(colour="wrong"), view(category=PHONE), {"event": "gibberish"}, at=after(0)), steward)

    def killed(*_given):
        raise KeyboardInterrupt

    monkeypatch.setattr(again, at, killed)
    with pytest.raises(KeyboardInterrupt):
        look_again(NOW)
    monkeypatch.undo()
    look_again_at_what_is_left(timestamp=int(NOW.timestamp()))
    assert shown() == before
    assert not Sighting.objects.filter(again=True).exists()


def test_it_waits_until_the_act_is_done(steward):  # noqa: F811
    arrive(view(colour="red"), at=after(5))
    act = taken_back(arrive(view(colour="wrong"), at=after(0)), steward)
    TakeBack.objects.filter(pk=act.pk).update(state="taking")
    assert not look_again(NOW)
    roll_up(NOW + timedelta(hours=3))
    assert names()["colour"][0] == 1
    TakeBack.objects.filter(pk=act.pk).update(state="taken")
    assert look_again(NOW)
    assert names()["colour"] == (1, after(5), after(5), {"text": 1}, ["red"])


def test_what_was_watched_is_told_without_what_is_taken_back(steward):  # noqa: F811
    tag, source = by_code("tag", "product_view").pk, by_code("source", "website").pk
    missing = {"changes": [], "violations": [{"code": "attribute.missing", "path": "attributes.items[3].price"}]}

    def violated(count: int, at: datetime):
        batch = send(*["product_view"] * count, at=at)
        Event.objects.filter(batch=batch).update(report=missing)
        roll_up(at)
        return batch

    def watched():
        return [tuple(one) for one in recent.watched([tag])]

    told = (source, "attributes.items[].price", "attribute.missing")
    violated(2, NOW - timedelta(days=3))
    before = watched()
    batch = violated(3, NOW)
    both = watched()
    assert (before, both) == ([(*told, 2, (NOW - timedelta(days=3)).date())], [(*told, 5, NOW.date())])
    act = taken_back(batch, steward)
    assert watched() == before
    # what was taken back before there was a ledger of it
    WatchedLess.objects.all().delete()
    migration = import_module("ingestion.migrations.0018_read_again")
    with connection.cursor() as cursor:
        cursor.execute(migration._WATCHED_LESS, [settings.TIME_ZONE, migration._FREE_PATHS, list(migration.HELD)])
    assert watched() == before
    put_again(act, steward)
    assert watched() == both


def test_what_was_taken_back_before_it_was_read_again_is_from_then_on(steward):  # noqa: F811
    arrive(view(colour="red"), view(category=PHONE), at=after(5))
    before = shown()
    taken_back(arrive(view(colour="wrong", category=OTHER), at=after(0)), steward)
    Sighting.objects.update(again=False)
    roll_up(NOW + timedelta(hours=3))
    Discovered.objects.update(first_at=after(0), kinds={"text": 2}, examples=["red", "wrong"])
    Leak.objects.update(again=0)
    migration = import_module("ingestion.migrations.0018_read_again")
    with connection.cursor() as cursor:
        cursor.execute(migration._NAMES)
        cursor.execute(migration._LEAKS)
    assert shown() == before


def test_less_is_seen_once_however_often_the_migration_is_applied(steward):  # noqa: F811
    arrive({"event": "gibberish"})
    act = taken_back(arrive({"event": "gibberish"}, {"event": "wrongfile"}), steward)
    less = {"gibberish": 1}
    migration = import_module("ingestion.migrations.0016_less_seen")
    for _time in range(2):
        with connection.cursor() as cursor:
            cursor.execute(migration._MORE)
            cursor.execute(migration._LESS)
    assert {name: told[0] for name, told in shown()[0].items()} == less
    put_again(act, steward)
    assert {name: told[0] for name, told in shown()[0].items()} == {"gibberish": 2, "wrongfile": 1}


def test_nobody_is_told_of_a_leak_that_only_taken_back_events_hold(steward):  # noqa: F811
    act = taken_back(send("product_view"), steward)
    Event.objects.filter(take_back_id=act.pk).update(extra={"note": PHONE})
    roll_up(NOW)
    look_again(NOW)
    assert Leak.objects.get().told_at is None
    put_again(act, steward)
    look_again(NOW)
    assert Leak.objects.get().told_at == NOW
