"""The pages of taking back: chosen, looked at, decided with a reason, watched, put back; by whom it is allowed and whom it concerns."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from ingestion.accepted.takeback import work_on
from ingestion.models import ImportRun, TakeBack, WriteKey
from ingestion.pipeline import Incoming, receive
from profiles.models import Event
from staff.models import User
from taxonomy.current import current
from taxonomy.models import Grant, Source, Tag

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def log_in_as(client, standard):
    def log_in(role):
        person = User.objects.create_user(f"{role}@example.com", language="en", department_id="marketing")
        person.groups.add(Group.objects.get(name=role))
        client.force_login(person)
        return person

    return log_in


@pytest.fixture
def batch(standard):
    """The delivery of a look and of something unknown."""
    events = [
        {"id": "a", "event": "product_view", "phone": "+8613800138000", "attributes": {"product_id": "p"}},
        {"id": "b", "event": "nonsense", "phone": "+8613800138000"},
    ]
    made = [Incoming(json.dumps(one).encode()) for one in events]
    at = timezone.now() - timedelta(hours=1)
    return receive(made, source_code="website", door="api", received_at=at, current=current()).batch_id


def standings() -> list[int]:
    return sorted(Event.objects.values_list("standing", flat=True))


def of_batch(client, batch_id):
    return client.post(reverse("admin:take_back_batch", args=[batch_id]))


def worked_on() -> TakeBack:
    """The newest act, after its job."""
    work_on(TakeBack.objects.latest("pk").pk)
    return TakeBack.objects.latest("pk")


def test_from_the_choice_to_putting_back(client, log_in_as, batch):
    steward = log_in_as("data_steward")
    answer = client.post(
        reverse("admin:ingestion_takeback_add"), {"source": Source.objects.get(code="website").pk, "received_since": "2020-01-01T00:00"}
    )
    one = TakeBack.objects.get()
    assert answer.headers["Location"] == one.get_absolute_url()
    page = client.get(one.get_absolute_url())
    assert not page.context["done"] and 'name="reason"' not in page.content.decode()

    one = worked_on()
    page = client.get(one.get_absolute_url())
    assert page.context["done"] and (
        page.context["touches"]["counted"],
        page.context["touches"]["held"],
        page.context["touches"]["customers"],
    ) == (1, 1, 1)
    assert Tag.objects.get(code="product_view").pk in [tag and tag.pk for tag, *_ in page.context["tags"]]
    assert standings() == [1, 2]
    client.post(one.get_absolute_url(), {"act": "take", "reason": " "})
    assert TakeBack.objects.get().state == "ready"

    client.post(one.get_absolute_url(), {"act": "take", "reason": "a test that went live"})
    assert TakeBack.objects.get().state == "taking" and standings() == [1, 2]
    one = worked_on()
    assert (one.state, one.reason, one.decided_by, standings()) == ("taken", "a test that went live", steward, [3, 3])
    progress = client.get(reverse("admin:ingestion_takeback_progress", args=[one.pk])).json()
    assert progress["done"] and "Taken back" in progress["html"]
    listed = client.get(reverse("admin:ingestion_takeback_changelist")).content.decode()
    assert "a test that went live" in listed
    dashboard = client.get(reverse("admin:index"))
    assert dashboard.context["withdrawn"] == 2 and sum(verdict.count for verdict in dashboard.context["verdicts"]) == 2

    health = client.get(reverse("admin:source_health", args=[one.source_id]))
    assert health.context["intake"].withdrawn == 2 and "2 of these events were taken back later" in health.content.decode()

    client.post(one.get_absolute_url(), {"act": "put", "reason": "it was no test"})
    one = worked_on()
    assert (one.state, one.put_by, standings()) == ("put", steward, [1, 2])
    assert client.get(reverse("admin:index")).context["withdrawn"] == 0
    assert "it was no test" in client.get(one.get_absolute_url()).content.decode()


def test_each_step_is_taken_once(client, log_in_as, batch):
    log_in_as("data_steward")
    of_batch(client, batch)
    one = worked_on()
    for act in ("put", "nonsense", ""):
        client.post(one.get_absolute_url(), {"act": act, "reason": "why"})
        assert TakeBack.objects.get().state == "ready"
    for _twice in range(2):
        client.post(one.get_absolute_url(), {"act": "take", "reason": "why"})
    work_on(one.pk)
    work_on(one.pk)
    assert TakeBack.objects.get().taken == 2


def test_what_was_only_looked_at_is_not_listed(client, log_in_as, batch):
    log_in_as("data_steward")
    of_batch(client, batch)
    assert client.get(reverse("admin:ingestion_takeback_changelist")).context["cl"].result_count == 0


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "__all__"),
        ({"received_since": "2026-03-02T00:00", "received_until": "2026-03-01T00:00"}, "received_until"),
        ({"occurred_since": "soon"}, "occurred_since"),
        ({"source": ""}, "source"),
        ({"tag": uuid4()}, "tag"),
    ],
)
def test_a_choice_that_means_nothing_is_said_to(client, log_in_as, asked, field):
    log_in_as("data_steward")
    answer = client.post(reverse("admin:ingestion_takeback_add"), {"source": Source.objects.get(code="website").pk, **asked})
    assert field in answer.context["form"].errors and not TakeBack.objects.exists()


def test_a_key_of_another_source_is_said_to_be_one(client, log_in_as, write_key):
    log_in_as("data_steward")
    other = Source.objects.exclude(code="website").first()
    answer = client.post(reverse("admin:ingestion_takeback_add"), {"source": other.pk, "key": write_key[1].pk})
    assert "key" in answer.context["form"].errors
    assert (
        client.post(reverse("admin:ingestion_takeback_add"), {"source": write_key[1].source_id, "key": write_key[1].pk}).status_code == 302
    )
    assert TakeBack.objects.get().key == WriteKey.objects.get()


@pytest.mark.parametrize("role", ["marketer", "engineer", "compliance_officer"])
def test_only_stewards_and_administrators_take_back(client, log_in_as, batch, role):
    log_in_as("data_steward")
    of_batch(client, batch)
    one = worked_on()
    log_in_as(role)
    assert of_batch(client, batch).status_code == 403
    assert client.get(reverse("admin:ingestion_takeback_add")).status_code == 403
    assert client.post(one.get_absolute_url(), {"act": "take", "reason": "why"}).status_code == 403
    assert TakeBack.objects.get().state == "ready"
    seen = client.get(one.get_absolute_url())
    assert seen.status_code == (403 if role == "compliance_officer" else 200)
    assert 'name="reason"' not in seen.content.decode()


def test_an_import_is_taken_back_from_its_page_once_it_has_ended(client, log_in_as, batch):
    log_in_as("data_steward")
    run = ImportRun.objects.create(id=batch, source=Source.objects.get(code="website"), file_name="wrong.csv", path="/nowhere", status="running", format={"kind": "csv", "columns": []})  # fmt: skip
    page = reverse("admin:ingestion_importrun_change", args=[run.pk])
    button = reverse("admin:take_back_batch", args=[run.pk])
    assert button not in client.get(page).content.decode()
    assert of_batch(client, run.pk).headers["Location"] == page and not TakeBack.objects.exists()
    ImportRun.objects.update(status="finished")
    assert button in client.get(page).content.decode()
    of_batch(client, run.pk)
    one = worked_on()
    client.post(one.get_absolute_url(), {"act": "take", "reason": "the wrong file"})
    assert worked_on().taken == 2
    assert one.get_absolute_url() in client.get(page).content.decode()
    assert "wrong.csv" in client.get(reverse("admin:ingestion_takeback_changelist")).content.decode()


def test_an_event_says_how_it_was_taken_back(client, log_in_as, batch):
    log_in_as("data_steward")
    held = Event.objects.get(standing=Event.Standing.HELD)
    page = reverse("admin:quarantine_event", args=[held.public_id])
    assert reverse("admin:take_back_batch", args=[batch]) in client.get(page).content.decode()
    of_batch(client, batch)
    client.post(worked_on().get_absolute_url(), {"act": "take", "reason": "why"})
    one = worked_on()
    shown = client.get(page).content.decode()
    assert one.get_absolute_url() in shown and reverse("admin:take_back_batch", args=[batch]) not in shown


def test_of_sources_that_somebody_may_not_read_nothing_is_taken_or_shown(client, log_in_as, batch):
    """And a tag they may not read is not named."""
    log_in_as("administrator")
    of_batch(client, batch)
    one = worked_on()
    tag = Tag.objects.get(code="product_view")
    Tag.objects.filter(pk=tag.pk).update(owner_id="service")
    Grant.objects.create(department_id="service", may="read", category=tag.category)
    shown = client.get(one.get_absolute_url()).content.decode()
    assert "(not shown to you)" in shown and "product_view" not in shown
    assert str(tag.pk) not in client.get(reverse("admin:ingestion_takeback_add")).content.decode()
    Source.objects.update(owner_id="service")
    Grant.objects.create(department_id="service", may="read", sources_of_id="service")
    assert client.get(one.get_absolute_url()).status_code == 404
    assert client.post(one.get_absolute_url(), {"act": "take", "reason": "why"}).status_code == 404
    assert of_batch(client, batch).status_code == 404
    source = Source.objects.get(code="website")
    asked = client.post(reverse("admin:ingestion_takeback_add"), {"source": source.pk, "received_since": "2020-01-01T00:00"})
    assert "source" in asked.context["form"].errors
    assert standings() == [1, 2]


def test_who_decides_about_an_import_that_went_on_since_is_told_and_it_is_looked_at_again(client, log_in_as, batch, monkeypatch):
    log_in_as("data_steward")
    looked_again = []
    monkeypatch.setattr("ingestion.admin.takeback.work_on_take_back.defer", lambda **said: looked_again.append(said))
    of_batch(client, batch)
    one = worked_on()
    looked_again.clear()
    run = ImportRun.objects.create(id=batch, source_id=one.source_id, path="", file_name="a.csv", status=ImportRun.Status.FINISHED)
    run.chunks.create(index=0, rows=1, first_row=1)
    page = client.post(one.get_absolute_url(), {"act": "take", "reason": "why"}, follow=True)
    assert [str(said) for said in page.context["messages"]] == [
        "The import has gone on since you looked. What taking it back touches is looked at again; decide then."
    ]
    assert looked_again == [{"take_back_id": one.pk}]
    assert worked_on().state == "ready" and standings() == [1, 2]


def test_a_look_tells_money_as_the_readers_language_writes_it(client, log_in_as, standard):
    log_in_as("data_steward")
    bought = {"id": "p", "event": "purchase", "phone": "+8613800138000"}
    bought["attributes"] = {"order_id": "o", "product_id": "p", "price": {"amount": "7493", "currency": "CNY"}, "quantity": 1}
    made = receive(
        [Incoming(json.dumps(bought).encode())], source_code="website", door="api", received_at=timezone.now(), current=current()
    )
    of_batch(client, made.batch_id)
    page = client.get(worked_on().get_absolute_url())
    assert page.context["touches"]["money"] == [("CNY", "CN¥7,493.00")] and "CN¥7,493.00" in page.content.decode()


def looked_for(client, **said):
    """The page of a look, after its job."""
    answer = client.post(reverse("admin:ingestion_takeback_add"), {"source": Source.objects.get(code="website").pk, **said})
    assert answer.status_code == 302, answer.context["form"].errors
    return client.get(worked_on().get_absolute_url())


def test_a_look_that_finds_nothing_says_what_there_is_with_one_condition_fewer(client, log_in_as, batch):
    log_in_as("data_steward")
    purchase = Tag.objects.get(code="purchase").pk
    page = looked_for(client, tag=purchase, received_since="2020-01-01T00:00", received_until="2021-01-01T00:00")
    found = {name: (events, before, after) for name, events, before, after in page.context["without"]}
    first = Event.objects.earliest("received_at").received_at
    assert found["tag"][0] == 0 and found["received"][0] == 0
    assert found[""] == (2, first, first)
    again = client.get(page.context["again"]).context["form"]
    assert str(again["tag"].value()) == str(purchase) and again["received_until"].value() == "2021-01-01T00:00"
    assert "occurred_since=" not in page.context["again"]

    page = looked_for(client, received_since="2020-01-01T00:00", received_until="2021-01-01T00:00")
    assert [one[:2] for one in page.context["without"]] == [("received", 2), ("", 2)]
    assert page.context["without"][0][2:] == (None, first) and "The first after it" in page.content.decode()
    page = looked_for(client, tag=purchase)
    assert [one[:2] for one in page.context["without"]] == [("tag", 2), ("", 2)] and "received_until" not in page.context["again"]


def test_what_is_taken_back_already_is_told(client, log_in_as, batch):
    log_in_as("data_steward")
    of_batch(client, batch)
    client.post(worked_on().get_absolute_url(), {"act": "take", "reason": "x"})
    worked_on()
    page = looked_for(client, received_since="2020-01-01T00:00")
    assert page.context["away_already"] == 2 and "No event of this source counts" in page.content.decode()
    of_batch(client, batch)
    page = client.get(worked_on().get_absolute_url())
    assert page.context["away_already"] == 2 and "Change what is looked for" not in page.content.decode()


@pytest.mark.parametrize(("name", "hours"), [("received_since", 1), ("occurred_since", 30)])
def test_a_window_that_is_still_to_come_is_refused(client, log_in_as, batch, name, hours):
    log_in_as("data_steward")
    to_come = timezone.localtime(timezone.now() + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M")
    answer = client.post(reverse("admin:ingestion_takeback_add"), {"source": Source.objects.get(code="website").pk, name: to_come})
    assert answer.status_code == 200 and name in answer.context["form"].errors


def test_what_another_delivery_mended_is_told_before_its_first_is_taken_back(client, log_in_as, batch):
    log_in_as("data_steward")
    held = Event.objects.get(standing=Event.Standing.HELD)
    record = {"id": "m", "event": "product_view", "phone": "+8613800138000", "attributes": {"product_id": "p"}}
    mended = receive(
        [Incoming(json.dumps(record).encode(), closes=held.public_id)], source_code="website", door="api", received_at=timezone.now(), current=current()
    )  # fmt: skip
    of_batch(client, batch)
    page = client.get(worked_on().get_absolute_url())
    assert page.context["mended_by"] == [(None, 1)] and "was mended by another delivery" in page.content.decode()
    Event.objects.filter(standing=Event.Standing.COUNTED, batch_id=held.batch_id).update(standing=Event.Standing.MERGED)
    of_batch(client, batch)
    page = client.get(worked_on().get_absolute_url()).content.decode()
    assert "mended or merged since" in page and "was mended by another delivery" in page and "nothing was stored" not in page
    of_batch(client, mended.batch_id)
    assert client.get(worked_on().get_absolute_url()).context["mended_by"] == []


@pytest.fixture
def mended(standard):
    """A delivery of two looks, one merged since, and two unknowns without a time, one mended by another delivery since: its id."""
    known = {"event": "product_view", "phone": "+8613800138000", "attributes": {"product_id": "p"}, "occurred_at": "2026-01-05T10:00:00Z"}
    records = [known | {"id": "a"}, known | {"id": "b"}, {"id": "c", "event": "nonsense"}, {"id": "d", "event": "nonsense"}]
    said = {"source_code": "website", "door": "api", "received_at": timezone.now() - timedelta(hours=1), "current": current()}
    first = receive([Incoming(json.dumps(one).encode()) for one in records], **said).batch_id
    held = Event.objects.filter(standing=Event.Standing.HELD).first()
    receive([Incoming(json.dumps(known | {"id": "mended"}).encode(), closes=held.public_id)], **said)
    Event.objects.filter(message_id="b").update(standing=Event.Standing.MERGED)
    return first


def test_a_look_promises_what_the_act_takes_and_what_is_put_back(client, log_in_as, mended):
    log_in_as("data_steward")
    of_batch(client, mended)
    look = client.get(worked_on().get_absolute_url())
    touches, shown = look.context["touches"], look.content.decode()
    assert (touches["counted"], touches["held"], touches["events"]) == (2, 2, 4)
    assert "1 still held or discarded, 1 mended since" in shown and "1 still counted, 1 merged into others since" in shown
    assert "Take 4 events back" in shown and "1 held event of it was mended" in shown
    assert [sum(column) for column in zip(*((counted, held) for *_tag, counted, held in look.context["tags"]), strict=True)] == [2, 2]
    client.post(look.request["PATH_INFO"], {"act": "take", "reason": "why"})
    one = worked_on()
    assert (one.counted, one.held) == (2, 2)
    shown = client.get(one.get_absolute_url()).content.decode()
    assert "still held or discarded" not in shown and "1 held event of it was mended" in shown
    client.post(one.get_absolute_url(), {"act": "put", "reason": "why"})
    one = worked_on()
    assert (one.put_counted, one.put_held) == (2, 2)
    assert "was mended by" not in client.get(one.get_absolute_url()).content.decode()


def test_the_days_of_a_look_are_those_of_the_counted_events(client, log_in_as, mended):
    log_in_as("data_steward")
    of_batch(client, mended)
    touches = client.get(worked_on().get_absolute_url()).context["touches"]
    assert touches["first_at"] == touches["last_at"] == datetime(2026, 1, 5, 10, tzinfo=UTC)
    Event.objects.filter(standing=Event.Standing.COUNTED, batch_id=mended).update(standing=Event.Standing.HELD)
    of_batch(client, mended)
    page = client.get(worked_on().get_absolute_url())
    assert page.context["touches"]["first_at"] is None and "occurred from" not in page.content.decode()


def test_an_import_tells_when_and_by_whom_it_was_put_back(client, log_in_as, batch):
    steward = log_in_as("data_steward")
    run = ImportRun.objects.create(id=batch, source=Source.objects.get(code="website"), file_name="a.csv", path="/nowhere", status="finished", format={"kind": "csv", "columns": []})  # fmt: skip
    of_batch(client, batch)
    taken, put = datetime(2026, 1, 5, 4, 11, tzinfo=UTC), datetime(2026, 1, 6, 4, 22, tzinfo=UTC)
    other = User.objects.create_user("other@example.com")
    TakeBack.objects.update(state="taken", reason="x", decided_at=taken, decided_by=steward)
    page = reverse("admin:ingestion_importrun_change", args=[run.pk])
    assert f"12:11, {steward}" in client.get(page).content.decode()
    TakeBack.objects.update(state="put", put_at=put, put_by=other)
    shown = client.get(page).content.decode()
    assert f"12:22, {other}: put back" in shown and "12:11" not in shown


def test_nothing_is_said_to_be_taken_back_before_it_is_decided_and_there_is_a_way_out(client, log_in_as, batch):
    log_in_as("data_steward")
    of_batch(client, batch)
    page, listed = worked_on().get_absolute_url(), reverse("admin:ingestion_takeback_changelist")
    shown = client.get(page)
    heading = shown.content.decode().partition('id="content"')[0]
    assert "taken back" not in heading.lower() and shown.context["title"] == "Take events back"
    assert shown.context["back"] == listed and f'<a href="{listed}">Cancel</a>' in shown.content.decode()
    run = ImportRun.objects.create(id=batch, source=Source.objects.get(code="website"), file_name="a.csv", path="/nowhere", status="finished", format={"kind": "csv", "columns": []})  # fmt: skip
    assert client.get(page).context["back"] == reverse("admin:ingestion_importrun_change", args=[run.pk])


def test_the_list_names_what_it_counts_and_shows(client, log_in_as, batch):
    log_in_as("data_steward")
    of_batch(client, batch)
    client.post(worked_on().get_absolute_url(), {"act": "take", "reason": "why"})
    client.post(worked_on().get_absolute_url(), {"act": "put", "reason": "why"})
    worked_on()
    shown = client.get(reverse("admin:ingestion_takeback_changelist")).content.decode()
    table = shown.partition('id="result_list"')[2].lower()
    assert "what was taken back" in table and "number of events" in table
    assert "1 take-back" in " ".join(shown.split()) and "1 taken back" not in " ".join(shown.split())
