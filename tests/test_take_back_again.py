"""Taken back: names and leaks say what the events left say, when they were seen first and last, and of which values."""

from collections import Counter
from datetime import datetime, timedelta
from importlib import import_module
from threading import Thread

import pytest
from django.conf import settings
from django.db import connection, connections

from ingestion.discovery.discover import MOST
from ingestion.discovery.discovered import up_to_now
from ingestion.jobs import look_again_at_what_is_left
from ingestion.models import Discovered, Leak, Sighting, TakeBack, WatchedLess
from ingestion.watching import again
from ingestion.watching import leaks as leaks_found
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


@pytest.fixture(params=["settled", "lately"])
def settled(request, monkeypatch):
    """Whether all that was counted before a look came in long before it."""
    if request.param == "settled":
        monkeypatch.setattr(again, "SETTLED_AFTER", timedelta(days=-30))
    return request.param == "settled"


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


def test_a_name_says_what_the_events_left_say(settled, steward):  # noqa: F811
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


def test_a_leak_says_what_the_events_left_hold(settled, steward):  # noqa: F811
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


def test_taken_back_before_it_was_counted_it_is_never_shown(settled, steward):  # noqa: F811
    arrive(view(colour="red"), view(note=PHONE), at=after(5))
    before = shown()
    act = taken_back(send("wrongfile"), steward)
    Event.objects.filter(take_back_id=act.pk).update(extra={"colour": "9", "note": OTHER})
    assert shown()[0] == before[0]
    roll_up(NOW)
    assert shown() == before


def test_what_is_counted_while_it_is_looked_at_is_added_once(settled, steward, monkeypatch):  # noqa: F811
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
    found = []

    def run():
        found.append(arrive(*events, at=at))
        connections.close_all()

    thread = Thread(target=run)
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


def test_what_waits_while_it_is_looked_at_is_told_with_its_values(settled, steward, monkeypatch):  # noqa: F811
    taken_back(arrive(view(colour="wrong"), at=after(9)), steward)
    waiting = send("product_view", at=after(0))
    Event.objects.filter(batch=waiting).update(extra={"colour": "7"}, report=Event.objects.get(extra={"colour": "wrong"}).report)
    settles = again._while_nobody_counts

    def meanwhile():
        roll_up(NOW)
        return settles()

    monkeypatch.setattr(again, "_while_nobody_counts", meanwhile)
    assert look_again(NOW)  # it begins anew
    assert shown()[0]["colour"] == (1, after(0), after(0), {"integer": 1}, ["7"])


def test_taken_back_once_it_was_looked_at_it_is_looked_at_anew(settled, steward, monkeypatch):  # noqa: F811
    arrive(view(colour="red"), view(category=PHONE), at=after(5))
    before = shown()
    first, second = (arrive(view(colour=value), view(category=PHONE), at=after(at)) for value, at in (("a", 1), ("b", 9)))
    taken_back(first, steward)
    late: list = []
    settles = again._while_nobody_counts

    def meanwhile():
        if not late:
            late.append(taken_back(second, steward))
        return settles()

    monkeypatch.setattr(again, "_while_nobody_counts", meanwhile)
    assert look_again(NOW) and Leak.objects.get().again == 2
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


def test_taken_back_before_it_was_counted_a_leak_is_open_at_no_time(steward):  # noqa: F811
    def sent():
        batch = send("product_view")
        Event.objects.filter(batch=batch).update(extra={"note": PHONE})
        return batch

    acts = [taken_back(sent(), steward)]
    roll_up(NOW)
    assert Leak.objects.get().taken_back
    assert shown()[1] == {} and Leak.objects.get().taken_back
    acts.append(taken_back(sent(), steward))
    roll_up(NOW)
    assert Leak.objects.get().taken_back
    assert shown()[1] == {}
    put_again(acts[0], steward)
    assert shown()[1]["note", "phone"][:2] == (1, 0)
    taken_back(sent(), steward)
    roll_up(NOW)
    assert not Leak.objects.get().taken_back
    assert shown()[1]["note", "phone"][:2] == (1, 0)


def test_taken_back_while_it_is_counted_a_leak_is_open_no_more(steward, monkeypatch):  # noqa: F811
    batch = send("product_view")
    Event.objects.filter(batch=batch).update(extra={"note": PHONE})
    write = leaks_found._write

    def take():
        taken_back(batch, steward)
        connections.close_all()

    beside = Thread(target=take)

    def meanwhile(*given):
        write(*given)
        beside.start()
        beside.join(2)  # which waits for what is counted

    monkeypatch.setattr(leaks_found, "_write", meanwhile)
    roll_up(NOW)
    beside.join()
    assert shown()[1] == {}
    assert Leak.objects.get().taken_back


def test_a_lookalike_finds_no_leak_anew(steward):  # noqa: F811
    act = taken_back(arrive(view(note=f"paid with {CARD}"), at=after(0)), steward)
    assert shown()[1] == {} and Leak.objects.get(kind="bank_card").taken_back
    arrive(view(note="6222021234567890127"), at=after(1))
    one = Leak.objects.get(kind="bank_card")
    assert (one.taken_back, one.lookalikes) == (True, 1)
    assert shown()[1] == {}
    arrive(view(note=f"paid with {CARD}"), view(note=f"with {CARD}"), at=after(2))
    assert shown()[1]["note", "bank_card"][:4] == (2, 1, after(2), after(2))
    put_again(act, steward)
    assert shown()[1]["note", "bank_card"][:4] == (3, 1, after(0), after(2))


def counts() -> dict:
    """{name, or "" of the rest: events}, of those of which any are left, or of which there are fewer than none."""
    look_again(NOW)
    found: Counter = Counter()
    for one in (*Discovered.objects.all(), *Sighting.objects.all()):
        found[one.name] += one.count
    return {name: count for name, count in found.items() if count}


def gibberish(count: int, name: str = "beyond") -> list:
    return [{"event": name}] * count


def test_of_a_name_that_was_beyond_the_limit_what_was_counted_among_the_rest_goes_from_there(settled, steward, monkeypatch):  # noqa: F811
    monkeypatch.setitem(MOST, Discovered.Kind.NAME, 2)
    arrive({"event": "a"}, {"event": "b"})
    batch = arrive(*gibberish(5), *gibberish(1, "other"))
    assert counts() == {"a": 1, "b": 1, "": 6}
    roll_up(NOW + timedelta(days=8))
    assert counts() == {"": 8}
    act = taken_back(batch, steward)
    arrive(*gibberish(4), at=NOW + timedelta(days=8))
    assert counts() == {"beyond": 4, "": 2}
    put_again(act, steward)
    assert counts() == {"beyond": 9, "": 2, "other": 1}
    taken_back(batch, steward)
    assert counts() == {"beyond": 4, "": 2}


def test_as_many_taken_back_as_are_left_of_a_name_hide_it_not(steward, monkeypatch):  # noqa: F811
    monkeypatch.setitem(MOST, Discovered.Kind.NAME, 2)
    arrive({"event": "a"}, {"event": "b"})
    batch = arrive(*gibberish(4))
    roll_up(NOW + timedelta(days=8))
    arrive(*gibberish(4), at=NOW + timedelta(days=8))
    act = taken_back(batch, steward)
    assert counts() == {"beyond": 4, "": 2}
    put_again(act, steward)
    assert counts() == {"beyond": 8, "": 2}


def test_a_name_forgotten_before_it_is_taken_back_goes_from_the_rest(steward, monkeypatch):  # noqa: F811
    monkeypatch.setitem(MOST, Discovered.Kind.NAME, 2)
    batch = arrive({"event": "a"}, {"event": "b"})
    roll_up(NOW + timedelta(days=8))
    act = taken_back(batch, steward)
    assert counts() == {}
    put_again(act, steward)
    assert counts() == {"a": 1, "b": 1}


def test_taken_back_before_it_was_counted_it_is_nowhere_at_the_limit(steward, monkeypatch):  # noqa: F811
    monkeypatch.setitem(MOST, Discovered.Kind.NAME, 1)
    arrive(*gibberish(3, "a"), *gibberish(2, "rest"))
    act = taken_back(send("beyond", "beyond"), steward)
    roll_up(NOW)
    assert counts() == {"a": 3, "": 2}
    monkeypatch.setitem(MOST, Discovered.Kind.NAME, 9)
    other = taken_back(send("new", "new"), steward)
    monkeypatch.setitem(MOST, Discovered.Kind.NAME, 1)
    roll_up(NOW)
    assert counts() == {"a": 3, "": 2}
    put_again(act, steward)
    put_again(other, steward)
    assert counts() == {"a": 3, "new": 2, "": 4}
