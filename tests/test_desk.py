"""The desk: what is held for one cause, what would let it in, tried first, then done by a replay."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone
from openpyxl import load_workbook

from ingestion.models import Discovered, QuarantineReason, Replay
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine import undo as undoing
from ingestion.quarantine.causes import cause_of
from ingestion.quarantine.desk import values_seen
from ingestion.quarantine.replay import ask, run_replay
from ingestion.quarantine.stored import finder
from ingestion.quarantine.undo import undo
from profiles.models import Event
from staff.models import User
from taxonomy.current import current, refresh
from taxonomy.models import Attribute, Category, Grant, MappingRule, Source, Tag
from taxonomy.publish import newest, publish
from taxonomy.standardize import Violation

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def hold(*events: dict, source="website") -> None:
    incoming = [Incoming(json.dumps(event).encode()) for event in events]
    receipt = receive(incoming, source_code=source, door="api", received_at=NOW, current=current())
    assert receipt.counts["quarantined"] == len(events)


def purchase(number: int, quantity="two", **more) -> dict:
    attributes = {"order_id": f"o{number}", "product_id": "p1", "price": "9.90", "quantity": quantity}
    return {"id": f"m{number}", "event": "purchase", "phone": "13800138000", "attributes": attributes, **more}


@pytest.fixture
def log_in(client, standard):
    def log_in(role, **more):
        person = User.objects.create_user(f"{role}@example.com", language="en", **more)
        person.groups.add(Group.objects.get(name=role))
        client.force_login(person)
        return person

    return log_in


@pytest.fixture(autouse=True)
def _deferred(monkeypatch):
    """Replays are asked for; the test runs them itself."""
    monkeypatch.setattr("ingestion.admin.desk.replay_held.defer", lambda **_arguments: None)


def desk(path: str = "attributes.quantity") -> str:
    return f"{reverse('admin:desk')}?cause={cause_of(QuarantineReason.objects.filter(path=path).first()).pk}"


def take(client, url: str, given: dict, *, show="try", act="read"):
    """As the page does it: shown first, then that is posted to be done."""
    shown = client.post(url, {"act": show, **given}).context["shown"]
    return client.post(url, {"act": act, "shown": shown, **given}, follow=True)


def field_of(page, seen: str) -> str:
    return next(value["field"] for value in page.context["values"] if value["seen"] == seen)


def test_the_page_says_at_once_what_reading_again_would_do(client, log_in):
    log_in("marketer")
    hold(purchase(1), purchase(2), purchase(3, "x"))
    page = client.get(desk())
    assert (page.context["found"].in_all, page.context["found"].fixed, page.context["found"].held) == (3, 0, 3)
    assert [(value["seen"], value["events"]) for value in page.context["values"]] == [("two", 2), ("x", 1)]
    assert b'value="read"' not in page.content
    assert b'<input type="text" disabled hidden>' in page.content.partition(b'type="file"')[2], "unfold's script wants one beside the file"


def test_values_are_tried_then_given(client, log_in):
    person = log_in("marketer")
    hold(purchase(1), purchase(2), purchase(3, "x"))
    field = field_of(client.get(desk()), "two")
    tried = client.post(desk(), {"act": "try", field: "2"})
    assert (tried.context["found"].fixed, tried.context["found"].held, Replay.objects.count()) == (2, 1, 0)
    assert b"Let 2 events in" in tried.content
    done = client.post(desk(), {"act": "read", "shown": tried.context["shown"], field: "2"})
    replay = run_replay(Replay.objects.get().pk)
    assert done.headers["Location"] == reverse("admin:ingestion_replay_change", args=[replay.pk])
    assert (replay.fixed, replay.held, replay.started_by) == (2, 1, person)
    page = client.get(done.headers["Location"])
    assert page.context["percent"] == 100
    assert b"Take it back" in page.content
    client.post(done.headers["Location"], {"act": "undo"})
    assert Event.objects.filter(standing=Event.Standing.HELD).count() == 3


def test_what_was_not_shown_is_shown_before_it_is_taken(client, log_in):
    log_in("marketer")
    hold(purchase(1), purchase(2), purchase(3, "x"))
    two, other = (field_of(client.get(desk()), seen) for seen in ("two", "x"))
    shown = client.post(desk(), {"act": "try", two: "2"}).context["shown"]
    for unseen in ({two: "2"}, {"shown": shown, two: "3"}, {"shown": shown, two: "2", other: "9"}):
        page = client.post(desk(), {"act": "read", **unseen})
        assert (page.context["was_else"], page.context["problem"], Replay.objects.exists()) == (True, "", False)
        assert b"Nothing is done yet" in page.content
    assert page.context["found"].fixed == 3
    client.post(desk(), {"act": "read", "shown": page.context["shown"], two: "2", other: "9"})
    assert run_replay(Replay.objects.get().pk).fixed == 3


def test_what_another_release_would_do_is_shown_before_it_is_taken(client, log_in):
    log_in("marketer")
    hold(purchase(1))
    given = {field_of(client.get(desk()), "two"): "2"}
    shown = client.post(desk(), {"act": "try", **given}).context["shown"]
    Source.objects.update(region="US")
    publish(notes="t", by=None)
    refresh()
    assert client.post(desk(), {"act": "read", "shown": shown, **given}).context["was_else"]
    assert not Replay.objects.exists()


def test_all_that_a_source_has_held_is_shown_before_it_is_read_again(client, log_in):
    log_in("marketer")
    hold(purchase(1))
    page = f"{reverse('admin:desk')}?source=website"
    shown = client.get(page).context["shown"]
    assert client.post(page, {"act": "read"}).context["was_else"]
    assert client.post(page, {"act": "read", "shown": shown}).status_code == 302


def test_what_else_holds_the_events_is_put_right_with_it(client, log_in):
    log_in("marketer")
    hold(purchase(1, phone="+86 1380013"), purchase(2, "x", event="buuy"))
    own = field_of(client.get(desk()), "two")
    beside = client.get(desk()).context["others"]
    assert [(place["path"], len(place["values"])) for place in beside] == [("phone", 1)]
    (phone,) = beside[0]["values"]
    assert "1380013" not in phone["seen"]
    half = client.post(desk(), {"act": "try", own: "2"})
    assert (half.context["found"].fixed, half.context["others"][0]["values"][0]["field"]) == (0, phone["field"])
    both = {own: "2", phone["field"]: "13800138000"}
    tried = client.post(desk(), {"act": "try", **both})
    assert tried.context["found"].fixed == 1 and tried.context["others"][0]["values"][0]["given"] == "13800138000"
    client.post(desk(), {"act": "read", "shown": tried.context["shown"], **both})
    assert run_replay(Replay.objects.get().pk).fixed == 1


def test_what_a_name_put_right_shows_to_hold_next_is_put_right_with_it(client, log_in):
    log_in("marketer")
    hold(purchase(1, event="purchse"))
    own = field_of(client.get(desk("event")), "purchse")
    assert client.get(desk("event")).context["others"] == []
    tried = client.post(desk("event"), {"act": "try", own: "purchase"})
    ((place),) = tried.context["others"]
    assert (place["path"], [value["seen"] for value in place["values"]]) == ("attributes.quantity", ["two"])
    both = {own: "purchase", place["values"][0]["field"]: "2"}
    assert client.post(desk("event"), {"act": "try", **both}).context["tags"] == [("purchase", 1)]
    wrong = client.post(desk("event"), {"act": "try", **both, place["values"][0]["field"]: "many"})
    assert wrong.context["found"].fixed == 0
    assert [value["seen"] for place in wrong.context["others"] for value in place["values"]] == ["two"], "what was given is no value sent"


def test_of_several_attributes_one_is_given_for_what_a_name_put_right_lacks(client, log_in):
    log_in("marketer")
    sent = purchase(1, 1, event="purchse")
    del sent["attributes"]["price"]
    hold(sent)
    own = field_of(client.get(desk("event")), "purchse")
    tried = client.post(desk("event"), {"act": "try", own: "purchase"})
    fields = {place["path"]: place["values"][0]["field"] for place in tried.context["others"]}
    assert fields.keys() >= {"attributes.price", "attributes.amount"}
    both = client.post(desk("event"), {"act": "try", own: "purchase", fields["attributes.amount"]: "9.90"})
    assert (both.context["found"].fixed, both.context["examples"]) == (1, [("purchse", "purchase")])


def test_what_is_let_in_is_shown_as_it_is_read(client, log_in):
    log_in("marketer")
    hold(purchase(1, phone="+86 1380013"), purchase(2, "two"))
    phone = client.get(desk("phone"))
    own, other = phone.context["values"][0]["field"], phone.context["others"][0]["values"][0]["field"]
    shown = client.post(desk("phone"), {"act": "try", own: "13800138000", other: "2"})
    assert (shown.context["found"].fixed, shown.context["examples"]) == (1, []), "what is seen masked is not told by what is read of it"
    assert "13800138000" not in shown.content.decode().replace('value="13800138000"', "")
    quantity = client.get(desk())
    shown = client.post(desk(), {"act": "try", field_of(quantity, "two"): "2"})
    assert shown.context["examples"] == [("two", "2")]


def test_a_name_that_is_like_a_tag_is_offered_on_the_desk_and_leads_to_what_was_discovered(client, log_in):
    log_in("data_steward")
    hold(purchase(1, 1, event="purchases"))
    page = client.get(desk("event"))
    assert "purchase" in [one.item.code for one in page.context["alike"]]
    cause = cause_of(QuarantineReason.objects.get(code="event.unknown"))
    row = Discovered.objects.create(
        source_id=cause.source_id, kind=Discovered.Kind.NAME, name="purchases", count=1, first_at=NOW, last_at=NOW, written_at=NOW
    )
    assert reverse("admin:ingestion_discovered_change", args=[row.pk]) in client.get(cause.get_absolute_url()).content.decode()


def test_a_region_given_beside_another_cause_is_for_numbers_without_one_and_stays_in_the_form(client, log_in):
    log_in("marketer")
    event = {"event": "purchase", "attributes": {"order_id": "o", "product_id": "p", "price": "1", "currency": "CNY", "quantity": "two"}}
    hold({"id": "a", "phone": "13800138000", **event}, {"id": "b", "phone": "13800138000", "region": "HK", **event}, source="partner")
    page = client.get(desk())
    given = {field_of(page, "two"): "2", "region": "cn"}
    tried = client.post(desk(), {"act": "try", **given})
    assert (tried.context["found"].fixed, tried.context["found"].held) == (1, 1)
    assert 'name="region"' in tried.content.decode() and 'value="cn"' in tried.content.decode()


def test_rows_given_in_a_table_stay_for_letting_in_and_those_of_what_is_gone_are_passed_over(client, log_in):
    log_in("marketer")
    hold(*(purchase(number, 1, phone="10") for number in range(3)))
    cause = cause_of(QuarantineReason.objects.filter(path="phone").first())
    book = load_workbook(io.BytesIO(client.get(reverse("admin:desk_table", args=[cause.pk])).content))
    sheet = book.worksheets[-1]
    for number, row in enumerate(sheet.iter_rows(min_row=2)):
        row[3].value = f"1380013800{number}"
    out = io.BytesIO()
    book.save(out)
    tried = client.post(desk("phone"), {"act": "try", "table": SimpleUploadedFile("t.xlsx", out.getvalue())})
    assert tried.context["found"].fixed == 3
    client.post(desk("phone"), {"act": "read", "shown": tried.context["shown"], "pasted": tried.context["pasted"]})
    assert run_replay(Replay.objects.get().pk).fixed == 3
    hold(purchase(9, 1, phone="10"))
    again = client.post(desk("phone"), {"act": "try", "table": SimpleUploadedFile("t.xlsx", out.getvalue())})
    assert again.context["problem"] == "" and again.context["found"].fixed == 0
    assert "not held any more: 3." in again.content.decode()


def test_what_a_table_says_is_let_in_just_as_it_was_tried(client, log_in):
    log_in("marketer")
    odd = ["two  pieces", "a\tb", "one\nline", "one\r\nend", "\u2028x\x85y", 'a "b" ', "x"]
    hold(*(purchase(number, value) for number, value in enumerate(odd)), purchase(20, "two"))
    out = io.StringIO()
    csv.writer(out).writerows([["sent", "right"], *([value, str(number + 1)] for number, value in enumerate(odd))])
    table = SimpleUploadedFile("t.csv", out.getvalue().encode(), "text/csv")
    tried = client.post(desk(), {"act": "try", "table": table, "pasted": "two\t2"})
    mended = tried.context["replay"].mends
    sent = re.sub("\r\n|\r|\n", "\r\n", tried.context["pasted"])  # as browsers do
    done = client.post(desk(), {"act": "read", "shown": tried.context["shown"], "pasted": sent})
    assert done.status_code == 302
    assert Replay.objects.get().mends == mended and {"two  pieces", "a\tb", "two"} <= {one["seen"] for one in mended}
    assert run_replay(Replay.objects.get().pk).fixed == tried.context["found"].fixed >= 6


def test_more_than_one_of_several_groups_is_given():
    group = Violation("attribute.missing", "attributes", None, {"one_of": ["price", "amount"]})
    other = Violation("attribute.missing", "attributes", None, {"one_of": ["sku"]})
    mends = [{"path": "attributes", "seen": None, "target": f"attributes.{code}", "value": code} for code in ("amount", "sku")]
    find = finder(mends)(b"k")
    assert (find(group), find(other)) == (("attributes.amount", "amount"), ("attributes.sku", "sku"))


def test_whoever_sees_values_masked_cannot_name_them_by_guessing(client, log_in):
    log_in("marketer")
    hold(purchase(1, 1, phone="+86 1380013"))
    guessed = client.post(desk("phone"), {"act": "try", "pasted": "+86 1380013\t13800138000\n"})
    assert guessed.context["found"].fixed == 0


def test_a_table_is_pasted_from_a_spreadsheet(client, log_in):
    log_in("marketer")
    hold(purchase(1), purchase(2, "three"))
    page = client.post(desk(), {"act": "try", "pasted": "two\t2\r\nthree\t3\r\n"})
    assert page.context["found"].fixed == 2
    wrong = client.post(desk(), {"act": "read", "pasted": "two 2"})
    assert "not two columns" in wrong.context["problem"]
    assert not Replay.objects.exists()


def test_personal_values_are_masked_and_can_still_be_put_right(client, log_in):
    log_in("marketer")
    hold(purchase(1, 1, phone="+86 1380013"))
    page = client.get(desk("phone"))
    (value,) = page.context["values"]
    assert "1380013" not in value["seen"]
    assert "1380013" not in page.content.decode()
    take(client, desk("phone"), {value["field"]: "13800138000"})
    assert run_replay(Replay.objects.get().pk).fixed == 1


def test_numbers_that_say_nothing_of_whose_they_are_are_given_event_by_event(client, log_in):
    log_in("marketer", department_id="sales")
    hold(
        *(purchase(number, 1, phone=phone) for number, phone in enumerate(["1.38E+10", "1.38E+10", "10", "10", "+861380013", "+861380013"]))
    )
    page = client.get(desk("phone"))
    values = page.context["values"]
    assert [(value["events"], value["about"]) for value in values] == [(2, ""), (1, "m3"), (1, "m2"), (1, "m1"), (1, "m0")]
    assert reverse("admin:quarantine_event", args=[Event.objects.get(message_id="m0").public_id]) in page.content.decode()
    given = {values[4]["field"]: "13800138000", values[3]["field"]: "13900139000", values[0]["field"]: "13700137000"}
    assert client.post(desk("phone"), {"act": "try", **given}).context["found"].fixed == 4
    take(client, desk("phone"), given)
    replay = run_replay(Replay.objects.get().pk)
    assert (replay.fixed, replay.held) == (4, 2)
    whose = {
        event.message_id: event.subject.value for event in Event.objects.filter(standing=Event.Standing.COUNTED).select_related("subject")
    }
    assert whose == {"m0": "+8613800138000", "m1": "+8613900139000", "m4": "+8613700137000", "m5": "+8613700137000"}
    ask_again = run_replay(ask(Replay(code="phone.invalid", mends=replay.mends)).pk)
    assert (ask_again.fixed, ask_again.held) == (0, 2)


def test_a_region_is_chosen_for_numbers_without_one(client, log_in):
    log_in("service_agent")
    hold({"id": "1", "event": "product_view", "phone": "13800138000", "attributes": {"product_id": "1"}}, source="partner")
    page = client.post(desk("phone"), {"act": "try", "region": "cn"})
    assert page.context["found"].fixed == 1
    assert "CN" in page.context["regions"]


def test_a_name_is_read_as_a_tag(client, log_in):
    log_in("sales_rep")
    hold(purchase(1, 1, event="purchse"))
    page = client.get(desk("event"))
    assert (page.context["kind"], ("purchase", "Purchase") in page.context["options"]) == ("tag", True)
    field = field_of(page, "purchse")
    assert client.post(desk("event"), {"act": "try", field: "purchase"}).context["tags"] == [("purchase", 1)]


def view(number: int, event: str, **attributes) -> dict:
    return {"id": f"v{number}", "event": event, "phone": "13800138000", "attributes": attributes}


def test_the_source_s_own_names_are_offered_first_with_what_they_mean(client, log_in):
    log_in("sales_rep")
    hold(view(1, "item_seen", sku="p1"))
    page = client.get(desk("event"))
    names = [name for name, _label in page.context["options"]]
    assert ("item_detail_view", "View a product") in page.context["options"]
    assert names.index("item_detail_view") < names.index("ad_click") and "viewProduct" not in names, "the app's"
    assert client.post(desk("event"), {"act": "try", field_of(page, "item_seen"): "item_detail_view"}).context["found"].fixed == 1


@pytest.mark.parametrize("given", ["product_view", "浏览商品", "View a PRODUCT"])
def test_a_tag_given_by_what_it_is_called_says_why_it_lets_nothing_in_and_which_own_name_may(client, log_in, given):
    log_in("sales_rep")
    hold(view(1, "item_seen", sku="p1"))
    tried = client.post(desk("event"), {"act": "try", field_of(client.get(desk("event")), "item_seen"): given})
    assert tried.context["reasons"][0][1:3] == ("attribute.missing", "Product (product_id)")
    assert "requires is not there: Product (product_id)." in tried.context["why_none"]
    assert "item_detail_view" in tried.context["worth_a_try"]


def test_a_name_that_nothing_knows_is_said_so_at_once(client, log_in):
    log_in("sales_rep")
    hold(view(1, "item_seen", sku="p1"))
    field = field_of(client.get(desk("event")), "item_seen")
    for act in ("try", "read"):
        page = client.post(desk("event"), {"act": act, field: "goods_seen"})
        assert "no such tag" in page.context["problem"]
        assert 'id="outcome"' not in page.content.decode()
    assert not Replay.objects.exists()


def test_the_attributes_of_which_one_is_missing_are_named(client, log_in):
    log_in("sales_rep")
    hold({"id": "m1", "event": "purchse", "phone": "13800138000", "attributes": {"order_id": "1", "product_id": "p1", "quantity": 1}})
    tried = client.post(desk("event"), {"act": "try", field_of(client.get(desk("event")), "purchse"): "purchase"})
    assert [where for _title, _code, where, _count in tried.context["reasons"]] == ["Unit price (price) or Line total (amount)"]


def test_the_attributes_of_which_one_is_missing_are_named_in_the_list_and_on_the_page_of_their_cause(client, log_in, monkeypatch):
    log_in("sales_rep")
    hold(*({**purchase(number), "attributes": {"order_id": "1", "product_id": "p1", "quantity": 1}} for number in (1, 2)))
    words = "Unit price (price) or Line total (amount)"
    lines = client.get(reverse("admin:ingestion_quarantinereason_changelist")).context["lines"]
    assert [group.path for group, _trend, _heading in lines] == [words]
    assert client.get(lines[0][0].cause.get_absolute_url()).context["place"] == words
    amount = str(Attribute.objects.get(code="amount").pk)
    monkeypatch.setattr("ingestion.admin.quarantine.hidden_in", lambda _request, _items: {amount})
    assert client.get(lines[0][0].cause.get_absolute_url()).context["place"] == "Unit price (price) or amount"


def test_what_is_no_longer_asked_for_is_named_where_one_of_several_attributes_is_missing(client, log_in):
    log_in("data_steward")
    hold({"id": "m1", "event": "purchase", "phone": "13800138000", "attributes": {"order_id": "1", "product_id": "p1", "quantity": 1}})
    page = client.get(desk("attributes"))
    assert "one of: <code>amount</code>, <code>price</code>" in page.content.decode()
    assert page.context["about"].endswith("“purchase”")


def test_discarding_asks_why(client, log_in):
    log_in("data_steward")
    hold(purchase(1))
    assert take(client, desk(), {"why": " "}, show="weigh", act="discard").context["problem"]
    assert not Replay.objects.exists()
    take(client, desk(), {"why": "a test"}, show="weigh", act="discard")
    assert run_replay(Replay.objects.get().pk).discarded == 1


def test_what_discarding_does_is_shown_before_it_is_done(client, log_in):
    log_in("marketer")
    hold(purchase(1, phone="+86 1380013"), purchase(2), purchase(3, event="13912345678"), purchase(4))
    posted = client.post(desk(), {"act": "discard", "why": "a test"})
    assert (posted.context["was_else"], Replay.objects.exists()) == (True, False)
    page = client.post(desk(), {"act": "weigh"})
    leaving = page.context["leaving"]
    assert (leaving["found"].in_all, leaving["found"].beside) == (3, 1)
    assert [(cause.code, place, events) for cause, place, _name, events in leaving["causes"]] == [("phone.invalid", "phone", 1)]
    assert [(line["message_id"], line["seen"]) for line in leaving["examples"]] == [("m4", "two"), ("m2", "two"), ("m1", "two")]
    told = page.content.decode()
    assert "leave every count" in told and "Discard 3 events" in told
    assert (page.context["was_else"], 'tabindex="-1" autofocus' in told, b'value="discard"' in client.get(desk()).content) == (
        False,
        True,
        False,
    )
    client.post(desk(), {"act": "discard", "why": "a test", "shown": page.context["shown"]})
    assert run_replay(Replay.objects.get().pk).discarded == 3


def test_what_came_after_it_was_shown_is_not_discarded(client, log_in):
    log_in("marketer")
    hold(purchase(1))
    everything = f"{reverse('admin:desk')}?source=website"
    for url in (desk(), everything):
        page = client.post(url, {"act": "weigh"})
        came = Event.objects.count()
        hold(*(purchase(came + number) for number in range(1, 8)))
        client.post(url, {"act": "discard", "why": "a test", "shown": page.context["shown"]})
        asked = Replay.objects.get(status="waiting")
        assert f"Discard {asked.in_all} event" in page.content.decode()
        replay = run_replay(asked.pk)
        assert (replay.in_all, replay.discarded, replay.untouched) == (page.context["leaving"]["found"].in_all, asked.in_all, 0)
        assert Event.objects.filter(standing=Event.Standing.HELD).count() == 7


@pytest.mark.parametrize("change", ["fewer", "others"])
def test_other_events_than_were_shown_are_shown_before_they_are_discarded(client, log_in, change):
    log_in("marketer")
    hold(*(purchase(number) for number in range(5)))
    first, second, *_others, last = QuarantineReason.objects.order_by("event_id")
    if change == "others":
        QuarantineReason.objects.filter(pk=first.pk).update(open=False)
    page = client.post(desk(), {"act": "weigh"})
    QuarantineReason.objects.filter(pk=second.pk).update(open=False)
    QuarantineReason.objects.filter(pk=first.pk).update(open=True)  # an id that was taken ahead
    if change == "fewer":
        QuarantineReason.objects.filter(pk=last.pk).update(open=False)
    again = client.post(desk(), {"act": "discard", "why": "a test", "shown": page.context["shown"]})
    assert (again.context["was_else"], Replay.objects.exists()) == (True, False)
    assert client.post(desk(), {"act": "discard", "why": "a test", "shown": again.context["shown"]}).status_code == 302
    for wrong in ("", ".", "x.y", f"{2**80}.{page.context['shown']}", page.context["shown"].partition(".")[2]):
        assert client.post(desk(), {"act": "discard", "why": "a test", "shown": wrong}).context["was_else"]


def test_an_id_taken_ahead_is_not_discarded_where_its_event_comes_later(standard):
    hold(purchase(1), purchase(2))
    first, _second = QuarantineReason.objects.order_by("event_id")
    QuarantineReason.objects.filter(pk=first.pk).update(received_at=timezone.now() + timedelta(seconds=5))
    assert run_replay(ask(Replay(act="discard", why="a test")).pk).discarded == 1


def test_what_comes_between_the_press_and_the_job_is_not_discarded_whatever_its_id(client, log_in):
    log_in("marketer")
    hold(*(purchase(number) for number in range(5)))
    ahead, *_others = QuarantineReason.objects.order_by("event_id")
    QuarantineReason.objects.filter(pk=ahead.pk).update(open=False)
    page = client.post(desk(), {"act": "weigh"})
    client.post(desk(), {"act": "discard", "why": "a test", "shown": page.context["shown"]})
    QuarantineReason.objects.filter(pk=ahead.pk).update(open=True)
    replay = run_replay(Replay.objects.get().pk)
    assert (replay.in_all, replay.discarded, replay.untouched) == (4, 4, 0)
    assert [one.pk for one in Event.objects.filter(standing=Event.Standing.HELD)] == [ahead.event_id]


def test_what_discarding_does_is_looked_at_on_the_newest_and_masked(client, log_in, monkeypatch):
    monkeypatch.setattr("ingestion.admin.desk.TRIED", 2)
    log_in("marketer")
    hold(*(purchase(number, phone="+86 1380013", event="13912345678") for number in range(3)))
    page = client.post(desk("phone"), {"act": "weigh"})
    leaving = page.context["leaving"]
    assert (leaving["found"].in_all, leaving["found"].looked_at, leaving["found"].beside) == (3, 2, 2)
    assert {name for _cause, _place, name, _events in leaving["causes"]} == {"139****5678"}
    assert "of the newest 2 of 3 events" in page.content.decode()
    assert not re.search("1380013|13912345678", page.content.decode())


def test_what_shows_reading_again_discards_nothing_nor_the_other_way_round(client, log_in):
    log_in("marketer")
    hold(purchase(1))
    tried, weighed = (client.post(desk(), {"act": act}).context["shown"] for act in ("try", "weigh"))
    for act, shown in (("discard", tried), ("read", weighed)):
        assert client.post(desk(), {"act": act, "why": "x", "shown": shown}).context["was_else"]
    assert not Replay.objects.exists()


def alone(event: Event) -> tuple[str, str]:
    """The page of a held event, and where it is discarded."""
    return tuple(reverse(f"admin:quarantine_event{does}", args=[event.public_id]) for does in ("", "_discard"))  # type: ignore[return-value]


def test_one_event_is_discarded_alone_with_a_reason_and_that_is_taken_back(client, log_in):
    person = log_in("data_steward")
    hold(purchase(1), purchase(2, phone="+86 1380013"))
    one, other = Event.objects.get(message_id="m2"), Event.objects.get(message_id="m1")
    page, discards = alone(one)
    done = client.post(discards, {"why": "a monitor’s", "shown": client.get(page, {"discard": 1}).context["shown"]}).headers["Location"]
    replay = run_replay(Replay.objects.get().pk)
    assert (replay.event_id, replay.in_all, replay.discarded, replay.untouched, replay.started_by) == (one.pk, 1, 1, 0, person)
    assert set(Event.objects.values_list("message_id", "standing")) == {("m1", Event.Standing.HELD), ("m2", Event.Standing.DISCARDED)}
    assert list(QuarantineReason.objects.filter(open=True).values_list("event_id", flat=True)) == [other.pk]
    shown, told = client.get(done).content.decode(), client.get(page).content.decode()
    assert "one event alone" in shown and page in shown
    assert "a monitor’s" in told and "?discard=1" not in told and done in told
    client.post(done, {"act": "undo"})
    assert Event.objects.filter(standing=Event.Standing.HELD).count() == 2
    assert QuarantineReason.objects.filter(open=True, event=one).count() == 2
    assert "?discard=1" in client.get(page).content.decode()


def test_the_groups_that_one_event_leaves_are_shown_before_it_is_discarded(client, log_in):
    log_in("data_steward")
    hold(purchase(1), purchase(2, phone="+86 1380013"))
    page, discards = alone(Event.objects.get(message_id="m2"))
    assert client.post(discards, {"why": "a test"}).headers["Location"] == f"{page}?discard=1"
    assert not Replay.objects.exists()
    shown = client.get(page, {"discard": 1})
    codes = [(cause.code, events) for cause, _place, _name, events in shown.context["leaving"]["causes"]]
    assert sorted(codes) == [("attribute.wrong_type", 1), ("phone.invalid", 1)]
    assert 'tabindex="-1" autofocus' in shown.content.decode() and "Nothing is done yet" in shown.content.decode()
    other = client.get(alone(Event.objects.get(message_id="m1"))[0], {"discard": 1}).context["shown"]
    assert client.post(discards, {"why": "a test", "shown": other}).headers["Location"] == f"{page}?discard=1"


@pytest.mark.parametrize(("why", "held"), [(" ", True), ("a test", False)])
def test_an_event_is_not_discarded_without_a_reason_nor_once_it_is_not_held(client, log_in, why, held):
    log_in("data_steward")
    hold(purchase(1))
    page, discards = alone(Event.objects.get())
    shown = client.get(page, {"discard": 1}).context["shown"]
    Event.objects.update(standing=Event.Standing.HELD if held else Event.Standing.COUNTED)
    assert client.post(discards, {"why": why, "shown": shown}).headers["Location"] == (f"{page}?discard=1" if held else page)
    assert not Replay.objects.exists()


def test_who_may_not_discard_a_cause_discards_no_event_of_it(client, log_in):
    log_in("product_manager")
    hold(purchase(1))
    page, discards = alone(Event.objects.get())
    assert "?discard=1" not in client.get(page).content.decode()
    assert discards not in client.get(page, {"discard": 1}).content.decode()
    assert client.post(discards, {"why": "x"}).status_code == 403
    log_in("data_steward")
    assert client.get(discards).status_code == 405
    assert client.post(reverse("admin:quarantine_event_discard", args=["00" * 16]), {"why": "x"}).status_code == 404


def test_what_mends_a_held_event_stands_before_taking_back_its_delivery(client, log_in):
    log_in("data_steward")
    hold(purchase(1))
    page = client.get(alone(Event.objects.get())[0]).content.decode()
    assert page.index("Fix and replay") < page.index("Discard this event alone") < page.index("Take back what it was delivered with")


def test_who_may_only_look_is_offered_nothing(client, log_in):
    log_in("product_manager")
    hold(purchase(1))
    page = client.get(desk())
    assert page.status_code == 200
    assert b'name="act"' not in page.content
    for act in ("try", "read", "weigh", "discard"):
        assert client.post(desk(), {"act": act, "why": "x"}).status_code == 403


def test_all_that_a_source_has_held_is_read_again(client, log_in):
    log_in("marketer")
    hold(purchase(1), purchase(2, 1, event="nonsense"))
    page = client.get(f"{reverse('admin:desk')}?source=website")
    assert page.context["found"].in_all == 2
    assert "all that is held" in page.context["about"]


def test_all_of_a_source_can_be_read_again_where_what_was_tried_of_each_cause_stays_held(client, log_in, monkeypatch):
    monkeypatch.setattr("ingestion.admin.desk.TRIED", 2)
    log_in("marketer")
    hold(*(purchase(number) for number in range(5)), purchase(9, 1, event="nonsense"))
    page = client.get(f"{reverse('admin:desk')}?source=website")
    assert page.context["found"].causes.keys() == {("attribute.wrong_type", "attributes.quantity"), ("event.unknown", "event")}
    assert page.context["found"].fixed == 0
    assert b'value="read"' in page.content


def test_a_large_replay_is_taken_back_in_the_background_and_shows_how_far_it_is(client, log_in, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr("ingestion.admin.desk.AT_ONCE", 2)
    monkeypatch.setattr("ingestion.admin.desk.queue_undo", asked.append)
    log_in("marketer")
    hold(*(purchase(number, 1, event="purchse") for number in range(3)))
    mends = [{"path": "event", "seen": "purchse", "target": "event", "value": "purchase"}]
    replay = run_replay(ask(Replay(source=Source.objects.get(code="website"), mends=mends)).pk)
    page = reverse("admin:ingestion_replay_change", args=[replay.pk])
    client.post(page, {"act": "undo"})
    client.post(page, {"act": "undo"})
    assert (asked, Event.objects.filter(standing=Event.Standing.HELD).count()) == ([replay.pk], 0)
    Replay.objects.update(seen=1, to_undo=3)
    shown = client.get(page)
    assert (shown.context["done"], shown.context["percent"], shown.context["may_go_on"], shown.context["may_undo"]) == (
        False,
        33,
        False,
        False,
    )
    assert client.get(reverse("admin:ingestion_replay_progress", args=[replay.pk])).json()["done"] is False
    Replay.objects.update(finished_at=NOW)
    assert client.get(page).context["may_go_on"], "its job was given up"
    client.post(page, {"act": "go_on"})
    assert asked == [replay.pk] * 2
    assert run_replay(replay.pk).status == "undoing", "it is not read again meanwhile"
    assert undo(replay.pk) == 3
    shown = client.get(page)
    assert (shown.context["done"], shown.context["percent"], shown.context["replay"].status) == (True, 100, "undone")


def test_how_far_taking_back_is_counts_only_what_it_looks_at(client, log_in, monkeypatch):
    log_in("marketer")
    hold(*(purchase(number) for number in range(8)), purchase(8, 1, event="purchse"), purchase(9, 1, event="purchse"))
    replay = run_replay(ask(Replay(mends=[{"path": "event", "seen": "purchse", "target": "event", "value": "purchase"}])).pk)
    assert (replay.fixed, replay.held) == (2, 8)
    real, shown = undoing.queue_near, []

    def look(*arguments):
        shown.append(client.get(reverse("admin:ingestion_replay_change", args=[replay.pk])).context["percent"])
        return real(*arguments)

    monkeypatch.setattr(undoing, "AT_ONCE", 1)
    monkeypatch.setattr(undoing, "queue_near", look)
    assert undo(replay.pk) == 2
    assert shown == [0, 50]


def test_a_replay_says_what_holds_now_what_it_left_held(client, log_in, monkeypatch):
    log_in("marketer")
    hold(purchase(1, event="purchse"), purchase(2, event="purchse"), purchase(3, 1, event="13912345678"), purchase(4))
    mends = [{"path": "event", "seen": "purchse", "target": "event", "value": "purchase"}]
    replay = run_replay(ask(Replay(source=Source.objects.get(code="website"), code="event.unknown", mends=mends)).pk)
    page = client.get(reverse("admin:ingestion_replay_change", args=[replay.pk]))
    assert replay.held == 3
    assert [(cause.code, place, name, events) for cause, place, name, events in page.context["causes"]] == [
        ("attribute.wrong_type", "attributes.quantity", "purchse", 2), ("event.unknown", "event", "139****5678", 1),
    ]  # fmt: skip
    assert page.context["causes"][0][0].get_absolute_url() in page.content.decode()
    assert b"Counted on" not in page.content
    monkeypatch.setattr("ingestion.admin.desk.WHY_OF", 1)
    monkeypatch.setattr("ingestion.quarantine.causes.WHY_OF", 1)
    page = client.get(reverse("admin:ingestion_replay_change", args=[replay.pk]))
    assert [(cause.code, events) for cause, _place, _name, events in page.context["causes"]] == [("event.unknown", 1)]
    assert b"Counted on the newest 1 " in page.content


@pytest.mark.parametrize(("chosen", "takes"), [("", 0), ("newest", 1)])
def test_a_stopped_replay_goes_on_by_the_release_it_began_with_or_by_the_newest(client, log_in, chosen, takes):
    log_in("marketer")
    began = newest()
    replay = Replay.objects.create(last_event_id=0, release=began, status=Replay.Status.STOPPED)
    page = reverse("admin:ingestion_replay_change", args=[replay.pk])
    assert client.get(page).context["releases"] == []
    Source.objects.update(region="US")
    publish(notes="t", by=None)
    assert client.get(page).context["releases"] == (both := [began, newest()])
    Replay.objects.update(stop_asked=True)
    client.post(page, {"act": "go_on", "release": chosen})
    replay.refresh_from_db()
    assert (replay.release, replay.status, replay.stop_asked) == (both[takes], "waiting", False)


def test_the_number_of_queries_does_not_grow_with_the_events(client, log_in, django_assert_max_num_queries):
    log_in("marketer")
    hold(*(purchase(number, f"{number}x") for number in range(60)))
    client.get(desk())
    with django_assert_max_num_queries(30):
        client.get(desk())


@pytest.mark.parametrize(("path", "can"), [("attributes.items[].price", True), ("attributes.address.city", True), ("record", False), ("identifiers.email", False)])  # fmt: skip
def test_values_are_given_for_the_envelope_and_attributes_and_what_is_in_them(path, can):
    from ingestion.quarantine.desk import can_be_given

    assert can_be_given(path) is can


def test_values_of_another_cause_are_not_shown(standard):
    hold(purchase(1), purchase(2, "x", event="other"))
    reason = QuarantineReason.objects.get(code="attribute.wrong_type", name="purchase")
    source = Source.objects.get(code="website")
    found = values_seen(Replay(source=source, code=reason.code, path=reason.path, name=reason.name))
    assert [(value.seen, value.events) for value in found] == [("two", 1)]


@pytest.fixture
def kept(standard):
    """A tag, its source's name for it, and an attribute of it, that marketing alone reads; and a source that is open."""
    category = Category.objects.create(code="kept", label_en="Kept", label_zh_hans="留")
    tag = Tag.objects.create(
        code="kept_tag", label_en="Kept tag", label_zh_hans="留存", category=category, owner_id="marketing", status="active"
    )
    tag.uses.create(attribute=Attribute.objects.create(code="kept_field", label_en="Kept", label_zh_hans="留"), required=True, position=0)
    MappingRule.objects.create(source=Source.objects.get(code="website"), name="keptName", tag=tag, position=900)
    publish(notes="", by=None)
    Grant.objects.create(department_id="marketing", may="read", category=category)
    return tag


@pytest.mark.parametrize("department", ["marketing", "sales"])
@pytest.mark.parametrize("given", ["kept_tag", "KEPT TAG", "留存", "keptName"])
def test_a_tag_that_is_hidden_from_the_reader_is_neither_offered_nor_given(client, log_in, kept, department, given):
    log_in("marketer", department_id=department)
    Source.objects.filter(code="website").update(owner="sales")
    hold(view(1, "unheard"))
    page = client.get(desk("event"))
    may = department == "marketing"
    assert {name for name, _label in page.context["options"]}.issuperset({"kept_tag", "keptName"}) is may
    assert bool({"kept_tag", "Kept tag", "keptName"} & {*re.split('[<>"]', page.content.decode())}) is may
    shown = ""
    for act in ("try", "read"):
        tried = client.post(desk("event"), {"act": act, "shown": shown, field_of(page, "unheard"): given})
        shown = tried.context["shown"] if act == "try" else ""
        if may and act == "try":
            assert (tried.context["problem"], tried.context["reasons"][0][1]) == ("", "attribute.missing")
        elif not may:
            assert "no such tag" in tried.context["problem"]
            assert "kept_field" not in tried.content.decode()
            assert given not in tried.content.decode().replace(f"“{given}”", "").replace(f'value="{given}"', "")
    assert Replay.objects.exists() is may
    for choice in (given, str(kept.pk)) if given != "keptName" else ():
        looked = client.post(f"{desk('event')}&remedy=map", {"act": "look", "choice-map": choice})
        assert bool(looked.context["looked"]) is (may and choice == given)


def test_what_is_read_as_a_hidden_tag_is_told_without_its_name(client, log_in, kept):
    log_in("marketer", department_id="sales")
    hold(view(1, "unheard"))
    kept.uses.all().delete()
    MappingRule.objects.create(source=Source.objects.get(code="website"), name="unheard", tag=kept, position=901)
    publish(notes="", by=None)
    refresh()
    page = client.get(desk("event"))
    assert (page.context["tags"], page.context["examples"]) == ([("(not shown to you)", 1)], [("unheard", "(not shown to you)")])
    mends = [{"path": "event", "seen": "unheard", "target": "event", "value": "kept_tag"}]
    made = Replay.objects.create(source=Source.objects.get(code="website"), last_event_id=0, status="finished", mends=mends)
    assert client.get(reverse("admin:ingestion_replay_change", args=[made.pk])).context["mended"] == [
        ("event", "unheard", "(not shown to you)")
    ]


def test_a_name_that_the_reader_sees_masked_is_mapped_by_whoever_sees_it_whole(client, log_in):
    log_in("marketer", department_id="marketing")
    hold({"id": "m1", "event": "buy 13912345678", "phone": "13800138000"})
    url = f"{desk('event')}&remedy=map"
    page = client.get(url)
    assert "map" not in page.context["remedies"]
    for act in ("look", "propose"):
        page = client.post(url, {"act": act, "choice-map": "login"})
        assert "a rule would show it" in page.context["problem"] and "13912345678" not in page.content.decode()
    assert not MappingRule.objects.filter(name="buy 13912345678").exists()
    cause = cause_of(QuarantineReason.objects.get())
    client.post(reverse("admin:quarantine_cause_reveal", args=[cause.pk]), {"reason": "to map it"})
    assert "map" in client.get(url).context["remedies"]
    take(client, url, {"choice-map": "login"}, show="look", act="propose")
    assert MappingRule.objects.filter(name="buy 13912345678").exists()


def test_where_something_was_put_right_is_masked_on_the_page_of_a_replay(client, log_in):
    log_in("marketer")
    mends = [{"path": "attributes.13912345678", "seen": "x", "target": "attributes.13912345678", "value": "y"}]
    made = Replay.objects.create(source=Source.objects.get(code="website"), last_event_id=0, status="finished", mends=mends)
    page = client.get(reverse("admin:ingestion_replay_change", args=[made.pk]))
    assert "139****5678" in page.content.decode() and "13912345678" not in page.content.decode()
