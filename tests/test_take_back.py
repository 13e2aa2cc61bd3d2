"""Wrong events taken back: everything is as if they had never been sent; put back, as if they always counted."""

import itertools
import json
import threading
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connection
from django.db.models import Q
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.accepted import takeback
from ingestion.accepted.takeback import CannotTakeBack, decide, look_at, look_at_batch, put_back, work_on
from ingestion.alone import alone
from ingestion.doors.files import blocks
from ingestion.imports import run
from ingestion.models import ImportRun, QuarantineReason, TakeBack, Withdrawal
from ingestion.pipeline import Incoming, receive
from profiles.link import settle
from profiles.lookup import find_customer
from profiles.models import Batch, Customer, Event, Link, Subject, Tally, Tie
from profiles.summary import summary
from profiles.timeline import timeline
from profiles.untied import tie_anew
from staff.models import User
from taxonomy.current import current
from taxonomy.models import Source, Tag

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
_worlds = itertools.count(1)

# (phone or none, identifiers, minute, what: a look, a purchase, or something nobody knows)
deeds = st.tuples(
    st.sampled_from([None, 1, 2, 3]),
    st.dictionaries(st.sampled_from(["user_id", "email", "device", "anonymous_id"]), st.sampled_from(["x", "y"]), max_size=3),
    st.integers(0, 9),
    st.sampled_from(["product_view", "purchase", "nonsense"]),
)
batches = st.lists(st.lists(deeds, min_size=1, max_size=4), min_size=2, max_size=5)


@pytest.fixture
def steward(standard):
    return User.objects.create_user("steward@example.com", "x")


class World:
    """The same people under names of their own, so that one database holds many worlds."""

    def __init__(self) -> None:
        self.number = next(_worlds)

    def send(self, events: list[dict], *, source: str = "website") -> Batch:
        """One delivery."""
        made = [Incoming(json.dumps(one).encode(), closes=one.pop("closes", None)) for one in events]
        receipt = receive(made, source_code=source, door="api", received_at=NOW, current=current())
        return Batch.objects.get(pk=receipt.batch_id)

    def event(self, name: str, deed: tuple) -> dict:
        phone, identifiers, minute, what = deed
        event = {
            "id": f"w{self.number}-{name}",
            "event": what,
            "identifiers": {kind: f"w{self.number}-{value}@t.example" for kind, value in identifiers.items()},
            "occurred_at": (NOW - timedelta(days=1) + timedelta(minutes=minute)).isoformat(),
            "attributes": {"product_id": "p1", "order_id": name, "price": 5 + minute, "quantity": 2},
        }
        return event | ({"phone": self.phone(phone)} if phone else {})

    def phone(self, digit: int) -> str:
        return f"+86138{self.number:07d}{digit}"

    def shows(self) -> dict:
        """What anybody can see of this world: customers with their numbers and timelines, links, ties, and what is held for what."""
        mine = Subject.objects.filter(Q(value__startswith=f"w{self.number}-") | Q(value__startswith=self.phone(0)[:-1]))
        named = {one.pk: one.value[-1] if one.kind == "phone" else f"{one.kind} {one.value.partition('-')[2]}" for one in mine}
        links = list(Link.objects.filter(subject__in=mine, withdrawn_at=None))
        holder = {link.customer_id: named[link.subject_id] for link in links if link.evidence == "phone"}
        customers = {}
        for digit in (1, 2, 3):
            found = find_customer(self.phone(digit))
            if isinstance(found, Customer):
                events, _next = timeline(found)
                customers[digit] = (self._plain(summary(found)), sorted(one.message_id.partition("-")[2] for one in events))
        # Identifiers of events that do not count are nobody's, so a link of theirs shows nothing.
        tied = {pair for ends in Tie.objects.filter(weaker__in=mine).values_list("weaker_id", "stronger_id") for pair in ends}
        events = Event.objects.filter(message_id__startswith=f"w{self.number}-")
        return {
            "customers": customers,
            "links": {
                (named[link.subject_id], holder[link.customer_id], link.since, link.until) for link in links if link.subject_id in tied
            },
            "loose": {named[link.subject_id] for link in links if link.subject_id not in tied and link.evidence != "phone"},
            "ties": {(named[tie.weaker_id], named[tie.stronger_id], tie.first_at) for tie in Tie.objects.filter(weaker__in=mine)},
            "counted": sorted(self._told(events.filter(standing=Event.Standing.COUNTED))),
            "held": sorted(self._told(events.filter(standing=Event.Standing.HELD))),
            "reasons": sorted(
                f"{reason.event.message_id.partition('-')[2]} {reason.code}"
                for reason in QuarantineReason.objects.filter(open=True, event__in=events).select_related("event")
            ),
        }

    def _told(self, events) -> list[str]:
        """Each event by its id, whether that id is what finds it, and what it says."""
        from taxonomy.standardize.keys import message_key

        return [
            f"{one.message_id.partition('-')[2]} {bytes(one.key) == message_key(str(one.source_id), one.message_id)}"
            f" {one.occurred_at} {one.tag_id} {json.dumps(one.attributes, sort_keys=True)}"
            for one in events
        ]

    def _plain(self, found) -> tuple:
        return (
            found.events,
            found.held,
            found.purchases,
            found.first_at,
            found.last_at,
            found.last_purchase_at,
            found.sums,
            found.by_month,
        )


def taken_back(batch: Batch, by: User) -> TakeBack:
    one = look_at_batch(batch, by=by, now=datetime.now(UTC))
    work_on(one.pk)
    one.refresh_from_db()
    decide(one, reason="sent by mistake", by=by, now=datetime.now(UTC))
    work_on(one.pk)
    one.refresh_from_db()
    assert one.state == "taken"
    return one


def put_again(one: TakeBack, by: User) -> TakeBack:
    put_back(one, reason="it was right after all", by=by, now=datetime.now(UTC))
    work_on(one.pk)
    one.refresh_from_db()
    assert one.state == "put"
    return one


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=batches, draw=st.data())
def test_taken_back_is_never_sent_and_put_back_is_as_sent(steward, told, draw):
    wrong = draw.draw(st.integers(0, len(told) - 1))
    late = draw.draw(st.integers(wrong, len(told) - 1))  # it is taken back once so many have come
    sent, never, always = World(), World(), World()
    mistake = act = None
    for number, deeds_of in enumerate(told):
        batches_of = {}
        for world in (sent, always, *([never] if number != wrong else [])):
            batches_of[world] = world.send([world.event(f"{number}-{at}", deed) for at, deed in enumerate(deeds_of)])
        mistake = batches_of[sent] if number == wrong else mistake
        if number == late:
            act = taken_back(mistake, steward)
    assert act.taken == len(told[wrong])
    assert sent.shows() == never.shows()
    put_again(act, steward)
    assert sent.shows() == always.shows()
    assert act.taken_over == 0


# one message id, held again and again, until it is accepted
corrections = st.lists(st.integers(0, 3), min_size=2, max_size=4)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(good=st.booleans(), length=st.integers(2, 4), draw=st.data())
def test_corrections_are_undone_in_any_order_and_done_again_in_any_order(steward, good, length, draw):
    """Of one event sent again and again, each time with other content, some sendings never were."""
    sent = World()
    said = [(1, {"user_id": "x"}, at, "nonsense" if at < length - 1 or not good else "purchase") for at in range(length)]
    batches_of = [sent.send([sent.event("a", deed)]) for deed in said]
    acts: dict[int, TakeBack] = {}
    for at in draw.draw(st.permutations(range(length)))[: draw.draw(st.integers(1, length))]:
        acts[at] = taken_back(batches_of[at], steward)
        assert sent.shows() == only(said, set(range(length)) - acts.keys())
    for at in draw.draw(st.permutations(sorted(acts))):
        put_again(acts.pop(at), steward)
        assert sent.shows() == only(said, set(range(length)) - acts.keys())


def only(said: list[tuple], kept: set[int]) -> dict:
    world = World()
    for at in sorted(kept):
        world.send([world.event("a", said[at])])
    return world.shows()


# by one example each


def view(world: World, name: str, phone: int = 1, minute: int = 0, **more) -> dict:
    return world.event(name, (phone, {}, minute, "product_view")) | more


def test_a_new_sending_takes_the_key_over_and_is_not_put_back_twice(steward):
    world = World()
    act = taken_back(world.send([view(world, "a"), view(world, "b")]), steward)
    again = world.send([view(world, "a")])
    assert Tally.objects.get(batch_id=again.pk).accepted == 1
    put_again(act, steward)
    assert (act.put_counted, act.taken_over) == (1, 1)
    assert [Event.objects.filter(message_id__endswith=f"-{name}", standing=Event.Standing.COUNTED).count() for name in "ab"] == [1, 1]
    assert Tally.objects.get(batch_id=world.send([view(world, "b")]).pk).duplicate == 1


def test_a_key_taken_over_by_another_correction_is_not_put_back_either(steward):
    world = World()
    world.send([world.event("a", (1, {}, 0, "nonsense"))])
    act = taken_back(world.send([view(world, "a", minute=1)]), steward)
    world.send([view(world, "a", minute=2)])
    put_again(act, steward)
    assert (act.put_counted, act.taken_over) == (0, 1)
    assert [one.occurred_at.minute for one in Event.objects.filter(standing=Event.Standing.COUNTED)] == [2]


def test_what_a_mended_row_closed_is_held_again(steward):
    world = World()
    world.send([world.event("a", (1, {}, 0, "nonsense"))])
    held = Event.objects.get()
    mended = world.send([view(world, "mended") | {"closes": held.public_id}])
    assert not QuarantineReason.objects.filter(open=True).exists()
    act = taken_back(mended, steward)
    held.refresh_from_db()
    assert held.standing == Event.Standing.HELD and QuarantineReason.objects.get(open=True).event_id == held.pk
    put_again(act, steward)
    held.refresh_from_db()
    assert held.standing == Event.Standing.CORRECTED and not QuarantineReason.objects.filter(open=True).exists()


def test_when_it_was_mended_outlives_being_taken_back_and_put_back(steward):
    world = World()
    first = world.send([world.event("a", (1, {}, 0, "nonsense"))])
    world.send([view(world, "mended") | {"closes": Event.objects.get().public_id}])
    QuarantineReason.objects.update(fixed_at=NOW)
    put_again(taken_back(first, steward), steward)
    assert [(one.open, one.fixed_at) for one in QuarantineReason.objects.all()] == [(False, NOW)]


def test_first_verdicts_stay_and_the_ledger_says_what_was_taken_and_put_back(steward):
    world = World()
    batch = world.send([view(world, "a"), view(world, "b"), world.event("c", (1, {}, 0, "nonsense"))])
    before = list(Tally.objects.values())
    act = taken_back(batch, steward)
    assert (act.counted, act.held) == (2, 1)
    assert sorted((one.counted, one.held, one.day) for one in Withdrawal.objects.all()) == [(0, 1, NOW.date()), (2, 0, NOW.date())]
    put_again(act, steward)
    assert sorted((one.counted, one.held) for one in Withdrawal.objects.all()) == [(-2, 0), (0, -1), (0, 1), (2, 0)]
    assert list(Tally.objects.values()) == before


def test_the_look_says_what_it_would_touch_and_changes_nothing(steward):
    world = World()
    batch = world.send(
        [
            world.event("a", (1, {}, 1, "purchase")), world.event("b", (2, {"email": "x"}, 2, "purchase")),
            view(world, "c", 1, 3), world.event("d", (3, {}, 4, "nonsense")), world.event("e", (None, {"device": "z"}, 5, "product_view")),
        ]
    )  # fmt: skip
    world.send([view(world, "other", 3)])
    before = world.shows()
    one = look_at_batch(batch, by=steward, now=datetime.now(UTC))
    work_on(one.pk)
    one.refresh_from_db()
    touches, tags = one.touches, {code: str(pk) for code, pk in Tag.objects.values_list("code", "pk")}
    assert (touches["counted"], touches["held"], touches["customers"]) == (4, 1, 2)
    assert sorted(touches["tags"], key=str) == sorted([[tags["purchase"], 2, 0], [tags["product_view"], 2, 0], [None, 0, 1]], key=str)
    assert [(currency, float(amount)) for currency, amount in touches["money"]] == [("CNY", 26.0)]
    assert datetime.fromisoformat(touches["first_at"]).minute == 1 and datetime.fromisoformat(touches["last_at"]).minute == 5
    assert world.shows() == before and one.state == "ready"


def test_the_look_sums_what_was_told_again_once_as_the_customer_s_page_does(steward):
    world = World()
    line = world.event("a", (1, {}, 1, "purchase"))
    batch = world.send([line, line | {"id": line["id"] + "-again"}, world.event("b", (2, {}, 1, "purchase"))])
    one = look_at_batch(batch, by=steward, now=datetime.now(UTC))
    work_on(one.pk)
    one.refresh_from_db()
    assert one.touches["counted"] == 3 and [float(amount) for _currency, amount in one.touches["money"]] == [24.0]
    assert summary(find_customer(world.phone(1))).sums == {"CNY": 12}


def test_events_are_chosen_by_key_tag_and_windows(steward, write_key):
    world, source = World(), Source.objects.get(code="website")
    batch = world.send([view(world, "a", minute=1), view(world, "b", minute=5), world.event("c", (1, {}, 5, "purchase"))])
    keyed = world.send([view(world, "d", minute=5)])
    Batch.objects.filter(pk=keyed.pk).update(key_id=write_key[1].pk)
    day = NOW - timedelta(days=1)

    def chosen(**more) -> set[str]:
        act = look_at(source=source, by=steward, now=datetime.now(UTC), **more)
        work_on(act.pk)
        act.refresh_from_db()
        decide(act, reason="why", by=steward, now=datetime.now(UTC))
        work_on(act.pk)
        names = {one.message_id[-1] for one in Event.objects.filter(take_back_id=act.pk)}
        act.refresh_from_db()
        put_again(act, steward)
        return names

    assert chosen() == {"a", "b", "c", "d"}
    assert chosen(key=write_key[1]) == {"d"}
    assert chosen(tag=Tag.objects.get(code="purchase")) == {"c"}
    assert chosen(occurred=(day + timedelta(minutes=5), None)) == {"b", "c", "d"}
    assert chosen(occurred=(None, day + timedelta(minutes=5))) == {"a"}
    assert chosen(received=(NOW, NOW + timedelta(seconds=1))) == {"a", "b", "c", "d"}
    assert chosen(received=(NOW + timedelta(seconds=1), None)) == chosen(received=(None, NOW)) == set()
    assert batch.pk != keyed.pk


def test_what_arrives_after_the_look_is_never_taken(steward):
    world = World()
    world.send([view(world, "a")])
    act = look_at(source=Source.objects.get(code="website"), by=steward, now=datetime.now(UTC))
    work_on(act.pk)
    act.refresh_from_db()
    world.send([view(world, "b")])
    decide(act, reason="why", by=steward, now=datetime.now(UTC))
    work_on(act.pk)
    assert Event.objects.get(message_id__endswith="-b").standing == Event.Standing.COUNTED
    assert Event.objects.get(message_id__endswith="-a").standing == Event.Standing.TAKEN_BACK


@pytest.mark.parametrize("kill_at", [0, 1, 2, "ties"])
def test_a_killed_job_goes_on_where_it_stopped(steward, monkeypatch, kill_at):
    monkeypatch.setattr(takeback, "EVENTS_AT_ONCE", 3)
    sent, never, always = World(), World(), World()
    for world in (sent, never, always):
        world.send([world.event(f"0-{at}", (1 + at % 3, {"device": "x", "user_id": "y"}, at, "purchase")) for at in range(4)])
    wrong = {
        world: world.send([world.event(f"1-{at}", (1 + at % 2, {"device": "x"}, 5 + at % 3, "purchase")) for at in range(8)])
        for world in (sent, always)
    }
    mistake = wrong[sent]
    act = look_at_batch(mistake, by=steward, now=datetime.now(UTC))
    work_on(act.pk)
    act.refresh_from_db()
    decide(act, reason="why", by=steward, now=datetime.now(UTC))
    for doing, wanted, name in (("taken", never, "_take_stretch"), ("put", always, "_put_stretch")):
        with monkeypatch.context() as killing:
            real, calls = getattr(takeback, name), itertools.count()

            def killed(take_back_id, real=real, calls=calls):
                if next(calls) == kill_at:
                    raise KeyboardInterrupt
                return real(take_back_id)

            killing.setattr(takeback, name, killed)
            if kill_at == "ties":
                killing.setattr(takeback, "tie_anew", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                work_on(act.pk)
        work_on(act.pk)
        act.refresh_from_db()
        assert (act.state, act.taken) == (doing, 8)
        assert sent.shows() == wanted.shows()
        if doing == "taken":
            put_back(act, reason="why", by=steward, now=datetime.now(UTC))
    assert act.taken_over == 0


def test_a_killed_jobs_ties_are_drawn_by_the_periodic_job_too(steward, monkeypatch):
    sent, never = World(), World()
    for world in (sent, never):
        world.send([world.event("0", (1, {"user_id": "x"}, 0, "product_view"))])
    mistake = sent.send([sent.event("1", (2, {"user_id": "x", "email": "y"}, 3, "product_view"))])
    with monkeypatch.context() as killing:
        killing.setattr(takeback, "tie_anew", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            taken_back(mistake, steward)
    assert tie_anew() == 1 and tie_anew() == 0 and settle() == 0
    assert sent.shows() == never.shows()


def test_it_takes_a_reason_and_the_right_moment(steward):
    world = World()
    act = look_at_batch(world.send([view(world, "a")]), by=steward, now=datetime.now(UTC))
    for wrong in (lambda: decide(act, reason="why", by=steward, now=NOW), lambda: put_back(act, reason="why", by=steward, now=NOW)):
        with pytest.raises(CannotTakeBack) as error:
            wrong()
        assert error.value.code == "state"
    work_on(act.pk)
    with pytest.raises(CannotTakeBack) as error:
        decide(act, reason="  ", by=steward, now=NOW)
    assert error.value.code == "reason"
    assert Event.objects.get().standing == Event.Standing.COUNTED


@pytest.mark.parametrize("minute", [1, 5])
def test_a_tie_is_written_again_after_it_was_taken_back(steward, minute):
    """The tie is gone, or stands only from minute 3 on."""
    sent, never = World(), World()
    pair = (1, {"user_id": "x"})
    mistake = sent.send([sent.event("wrong", (*pair, 0, "product_view"))])
    if minute == 1:
        for world in (sent, never):
            world.send([world.event("later", (*pair, 3, "product_view"))])
    taken_back(mistake, steward)
    for world in (sent, never):
        world.send([world.event("right", (*pair, minute, "product_view"))])
    assert sent.shows() == never.shows()
    assert [at for _weaker, _stronger, at in sent.shows()["ties"]] == [NOW - timedelta(days=1) + timedelta(minutes=minute)]


@pytest.fixture
def broken_off(steward, tmp_path, settings, monkeypatch):
    """An import of ten events, one in a block, that broke off after three."""
    settings.UPLOAD_DIR = tmp_path / "uploads"
    monkeypatch.setattr(run, "blocks", partial(blocks, block_bytes=10))
    world, path = World(), tmp_path / "a.ndjson"
    path.write_text("".join(json.dumps(view(world, str(at))) + "\n" for at in range(10)))
    begun = run.take_file(path, source=Source.objects.get(code="website"), file_name=path.name)
    real, stored = run.store_block, itertools.count()

    def breaking(run_id, block):
        if next(stored) == 3:
            raise MemoryError
        real(run_id, block)

    with monkeypatch.context() as breaks:
        breaks.setattr(run, "store_block", breaking)
        with pytest.raises(MemoryError):
            run.run_import(begun.pk)
    assert Event.objects.count() == 3
    return begun


def looked_at(begun: ImportRun, by: User) -> TakeBack:
    one = look_at_batch(Batch.objects.get(pk=begun.pk), by=by, now=datetime.now(UTC))
    work_on(one.pk)
    one.refresh_from_db()
    return one


def cannot(act: TakeBack, by: User) -> str:
    with pytest.raises(CannotTakeBack) as error:
        decide(act, reason="why", by=by, now=datetime.now(UTC))
    act.refresh_from_db()
    return error.value.code


def test_an_import_that_went_on_after_the_look_is_looked_at_again_and_taken_back_whole(broken_off, steward):
    act = looked_at(broken_off, steward)
    assert act.touches["counted"] == 3
    run.run_import(broken_off.pk)
    assert (cannot(act, steward), act.state) == ("moved", "looking")
    assert (cannot(act, steward), act.state) == ("state", "looking")
    work_on(act.pk)
    act.refresh_from_db()
    assert act.touches["counted"] == 10
    decide(act, reason="why", by=steward, now=datetime.now(UTC))
    work_on(act.pk)
    assert set(Event.objects.values_list("standing", flat=True)) == {Event.Standing.TAKEN_BACK}


def test_an_import_is_taken_back_only_while_it_stands_still_and_goes_on_no_more(broken_off, steward):
    act = looked_at(broken_off, steward)
    begun, ended = threading.Event(), threading.Event()

    def go_on() -> None:
        with alone(broken_off.pk):
            begun.set()
            ended.wait(60)
        connection.close()

    going = threading.Thread(target=go_on)
    going.start()
    begun.wait(60)
    try:
        assert (cannot(act, steward), act.state) == ("running", "ready")
    finally:
        ended.set()
        going.join()
    decide(act, reason="why", by=steward, now=datetime.now(UTC))
    run.run_import(broken_off.pk)
    work_on(act.pk)
    assert list(Event.objects.values_list("standing", flat=True)) == [Event.Standing.TAKEN_BACK] * 3
