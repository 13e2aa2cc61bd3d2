"""From a cause, without code: what would let its events in for good, seen first, then proposed."""

import io
import json
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from openpyxl import load_workbook
from plans import uuid_of
from test_desk import take

from ingestion.models import QuarantineReason, Replay
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.causes import cause_of
from ingestion.quarantine.remedy import NoRemedy, change, effect, offered, suggestions
from ingestion.quarantine.replay import ask, run_replay
from profiles.models import Original
from staff.models import User
from taxonomy.current import current, refresh
from taxonomy.models import MappingRule, Proposal, Source, Tag
from taxonomy.publish import publish
from taxonomy.standardize import compile_plan

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def hold(*events: dict, source="website", at=NOW) -> None:
    incoming = [Incoming(json.dumps(event).encode()) for event in events]
    receipt = receive(incoming, source_code=source, door="api", received_at=at, current=current())
    assert receipt.counts["quarantined"] == len(events)


def event(number: int, name="purchase", **attributes) -> dict:
    return {"id": f"m{number}", "event": name, "phone": "13800138000", "attributes": attributes}


def purchase(number: int, **attributes) -> dict:
    return event(number, **{"order_id": f"o{number}", "product_id": "p1", "price": "9.90", **attributes})


def cause_at(path: str):
    return cause_of(QuarantineReason.objects.filter(path=path).first())


def replay_of(path: str) -> Replay:
    cause = cause_at(path)
    return Replay(source_id=cause.source_id, code=cause.code, path=cause.path, name=cause.name)


@pytest.fixture
def marketer(client, standard):
    person = User.objects.create_user("kim@example.com", language="en", department_id="marketing")
    person.groups.add(Group.objects.get(name="marketer"))
    client.force_login(person)
    return person


@pytest.fixture(autouse=True)
def _deferred(monkeypatch):
    monkeypatch.setattr("ingestion.admin.desk.replay_held.defer", lambda **_arguments: None)


def desk(path: str, remedy: str = "") -> str:
    return f"{reverse('admin:desk')}?cause={cause_at(path).pk}" + (f"&remedy={remedy}" if remedy else "")


def test_an_attribute_is_made_optional_by_a_proposal_whose_effect_is_shown_first(client, marketer):
    hold(event(1, price="1", quantity=1), event(2, price="1", quantity=1))
    path = "attributes.order_id"
    assert client.get(desk(path)).context["remedies"] == ["optional", "transform"]
    looked = client.post(desk(path, "optional"), {"act": "look"})
    assert (looked.context["found"].fixed, looked.context["looked"], Proposal.objects.count()) == (2, "optional", 0)
    assert b'value="propose"' in looked.content
    done = take(client, desk(path, "optional"), {}, show="look", act="propose")
    proposal = Proposal.objects.get()
    assert done.redirect_chain[0][0] == proposal.get_absolute_url()
    assert (proposal.author, proposal.state, "order_id" in proposal.title, "2 events" in proposal.why) == (marketer, "draft", True, True)
    assert cause_at(path).get_absolute_url() in proposal.links
    assert not Tag.objects.get(code="purchase").uses.get(attribute__code="order_id").required
    publish(notes="t", by=None)
    refresh()
    assert client.get(desk(path)).context["found"].fixed == 2


def test_a_name_is_mapped_to_a_tag_by_a_proposal(client, marketer):
    hold(event(1, "buy_now", order_id="1", price="1", quantity=1))
    assert client.get(desk("event")).context["remedies"] == ["map"]
    looked = client.post(desk("event", "map"), {"act": "look", "choice-map": "purchase"})
    assert looked.context["tags"] == [("purchase", 1)]
    assert not MappingRule.objects.filter(name="buy_now").exists()
    take(client, desk("event", "map"), {"choice-map": "purchase"}, show="look", act="propose")
    assert MappingRule.objects.get(name="buy_now").tag.code == "purchase"
    again = take(client, desk("event", "map"), {"choice-map": "purchase"}, show="look", act="propose")
    assert "has a rule for this name already" in again.content.decode()


def test_a_change_that_was_not_shown_is_shown_before_it_is_proposed(client, marketer):
    hold(event(1, "buy_now", order_id="1", price="1", quantity=1))
    looked = client.post(desk("event", "map"), {"act": "look", "choice-map": "product_view"})
    other = client.post(desk("event", "map"), {"act": "propose", "choice-map": "purchase", "shown": looked.context["shown"]})
    assert (other.context["looked"], other.context["was_else"], other.context["tags"]) == ("map", True, [("purchase", 1)])
    assert not Proposal.objects.exists()
    client.post(desk("event", "map"), {"act": "propose", "choice-map": "purchase", "shown": other.context["shown"]})
    assert Proposal.objects.exists()


def test_a_tag_that_is_none_is_said_so(client, marketer):
    hold(event(1, "buy_now"))
    for choice in ("nothing", ""):
        assert "Choose the tag" in client.post(desk("event", "map"), {"act": "look", "choice-map": choice}).context["problem"]


def test_a_proposal_that_would_let_nothing_in_says_so_beside_its_button(client, marketer):
    hold(event(1, "item_seen", sku="p1"))
    looked = client.post(desk("event", "map"), {"act": "look", "choice-map": "浏览商品"})
    assert (looked.context["looked"], looked.context["found"].fixed, looked.context["worth_a_try"]) == ("map", 0, ["item_detail_view"])
    assert "would let in none of these events" in looked.content.decode().partition('value="propose"')[2]


@pytest.mark.parametrize(
    ("remedy", "path", "sent", "choice", "field", "wrong"),
    [
        ("region", "phone", {"phone": "13800138000"}, "cn", lambda source: source.region, ("", "China", "XX")),
        ("time_format", "occurred_at", {"occurred_at": "03/04/2026 10:00"}, "%d/%m/%Y %H:%M", lambda source: source.envelope["time_format"], ("", "yesterday", "%Q")),
    ],
)  # fmt: skip
def test_a_source_s_region_and_time_format_are_proposed_so_that_tomorrow_s_file_is_let_in(client, marketer, remedy, path, sent, choice, field, wrong):  # fmt: skip
    if remedy == "region":
        Source.objects.filter(code="website").update(region="")
        publish(notes="", by=None)
        refresh()
    later = datetime(2026, 5, 1, tzinfo=UTC)
    hold(*({**purchase(number, quantity=1), **sent} for number in (1, 2)), at=later)
    assert client.get(desk(path)).context["remedies"] == [remedy]
    for one in wrong:
        assert client.post(desk(path, remedy), {"act": "look", f"choice-{remedy}": one}).context["problem"]
    looked = client.post(desk(path, remedy), {"act": "look", f"choice-{remedy}": choice})
    assert (looked.context["found"].fixed, looked.context["looked"], Proposal.objects.count()) == (2, remedy, 0)
    done = take(client, desk(path, remedy), {f"choice-{remedy}": choice}, show="look", act="propose")
    proposal = Proposal.objects.get()
    assert (done.redirect_chain[0][0], proposal.state, choice in proposal.title) == (proposal.get_absolute_url(), "draft", True)
    source = Source.objects.get(code="website")
    assert field(source) in (choice, "CN")
    publish([str(source.pk)], notes="", by=None)
    refresh()
    receipt = receive([Incoming(json.dumps({**purchase(3, quantity=1), **sent}).encode())], source_code="website", door="api", received_at=later, current=current())  # fmt: skip
    assert receipt.counts["accepted"] == 1
    again = take(client, desk(path, remedy), {f"choice-{remedy}": choice}, show="look", act="propose")
    assert "draft of the standard is so already" in again.content.decode()


def test_time_formats_that_would_read_the_values_are_suggested(client, marketer):
    hold({**purchase(1), "occurred_at": "13/02/2026 10:00"}, {**purchase(2), "occurred_at": "03/02/2026 10:00"})
    assert client.get(desk("occurred_at")).context["suggestions"] == [("%d/%m/%Y %H:%M", 2), ("%m/%d/%Y %H:%M", 1)]
    done = take(client, desk("occurred_at", "time_format"), {"choice-time_format": "%Y%m%d"}, show="look", act="propose")
    assert "None of these times is read so" in done.content.decode()
    assert not Proposal.objects.exists()


def test_a_time_format_that_reads_none_is_told_so_of_events_whose_record_is_there(client, marketer):
    hold({**purchase(1), "occurred_at": "13/02/2026 10:00"}, {**purchase(2), "occurred_at": "14/02/2026 10:00"})
    address = desk("occurred_at", "time_format")

    def told(choice: str) -> bool:
        done = take(client, address, {"choice-time_format": choice}, show="look", act="propose")
        return "None of these times is read so" in done.content.decode()

    Original.objects.earliest("pk").delete()
    assert told("%Y%m%d")
    run_replay(ask(Replay(act="discard", why="a test")).pk)
    assert not told("%d/%m/%Y %H:%M")
    assert Proposal.objects.count() == 1


def test_no_time_format_is_offered_where_the_form_of_the_records_says_how_times_are(standard):
    items = dict(current().plan.items)
    source = uuid_of(items, "source", "website")
    replay = Replay(source_id=source, code="time.invalid", path="occurred_at", name="purchase")
    for preset, remedies in (("flat", ["time_format"]), ("segment", []), ("cloudevents", [])):
        items[source] = {**items[source], "envelope": {"preset": preset}}
        assert offered(replay, compile_plan(items)) == remedies


def test_a_transform_is_added_to_the_rule_that_read_it(client, marketer):
    hold(event(1, "goods_bought", id="1", price="12 yuan"))
    path = "attributes.price"
    wrong = client.post(desk(path, "transform"), {"act": "look", "choice-transform": "no_such"})
    assert wrong.context["problem"]
    number = 'extract("[0-9]+", 0)'
    assert client.post(desk(path, "transform"), {"act": "look", "choice-transform": number}).context["found"].fixed == 1
    take(client, desk(path, "transform"), {"choice-transform": number}, show="look", act="propose")
    assert MappingRule.objects.get(name="goods_bought").rows.get(target="price").transforms == number
    assert Proposal.objects.get().items.count() == 1


def test_a_transform_of_what_a_source_sends_under_the_tags_own_code_makes_it_a_rule(client, marketer):
    hold(purchase(1, quantity="2 pieces"))
    found = effect("transform", 'extract("[0-9]+", 0)', replay_of("attributes.quantity"), sample=10)
    assert found.fixed == 1
    wanted = change("transform", "trim", replay_of("attributes.quantity"), current().plan.items)
    (rule,) = wanted.values()
    assert (rule["name"], rule["rows"]) == ("purchase", [{"target": "quantity", "path": "quantity", "transforms": "trim"}])


def test_transforms_that_would_read_the_values_are_suggested(standard):
    hold(purchase(1, price="12,50"), purchase(2, price="abc"))
    found = dict(suggestions(replay_of("attributes.price"), current().plan, [("12,50", 1), ("abc", 1)]))
    assert found["decimal_comma"] == 1
    table = suggestions(replay_of("attributes.price"), current().plan, [("12,50", 1), ("abc", 3)], [("abc", "1")])
    assert table[0] == ('value_map("abc"="1")', 3)


def test_one_of_several_is_asked_for_no_longer(client, marketer):
    hold(event(1, order_id="1", quantity=1))
    assert effect("optional", "", replay_of("attributes"), sample=10).fixed == 1


def test_a_field_within_a_list_is_made_optional_where_the_attribute_is_defined(standard):
    items = dict(current().plan.items)
    attribute = {
        "kind": "attribute",
        "code": "lines",
        "type": "list",
        "of": "object",
        "fields": {"price": {"type": "decimal", "required": True}},
    }
    tag = uuid_of(items, "tag", "purchase")
    items["x"] = attribute
    items[tag] = {**items[tag], "attributes": [*items[tag]["attributes"], {"attribute": "x", "required": False, "constraints": {}}]}
    replay = Replay(
        source_id=uuid_of(items, "source", "website"), code="attribute.missing", path="attributes.lines[].price", name="purchase"
    )
    assert change("optional", "", replay, items)["x"]["fields"]["price"]["required"] is False
    assert attribute["fields"]["price"]["required"] is True


@pytest.mark.parametrize(("code", "path", "name"), [("phone.invalid", "phone", "purchase"), ("event.unknown", "event", "x" * 200), ("attribute.missing", "attributes.price", "nonsense")])  # fmt: skip
def test_nothing_is_offered_where_no_such_change_helps(standard, code, path, name):
    source = uuid_of(current().plan.items, "source", "website")
    assert offered(Replay(source_id=source, code=code, path=path, name=name), current().plan) == []
    with pytest.raises(NoRemedy):
        change("optional", "", Replay(source_id=source, code=code, path=path, name=name), current().plan.items)


def test_the_effect_is_that_of_the_whole_plan(standard):
    from ingestion.quarantine.replay import preview

    hold(event(1, product_id="p", price="1"), event(2, "purchase", price="x"))
    replay = replay_of("attributes.order_id")
    whole = preview(replay, plan=compile_plan({**current().plan.items, **change("optional", "", replay, current().plan.items)}))
    narrow = effect("optional", "", replay, sample=100)
    assert (whole.fixed, whole.causes, whole.tags) == (narrow.fixed, narrow.causes, narrow.tags)


def test_who_may_not_change_the_standard_is_offered_no_change(client, standard):
    person = User.objects.create_user("p@example.com", language="en")
    person.groups.add(Group.objects.get(name="product_manager"))
    client.force_login(person)
    hold(event(1, product_id="p", price="1"))
    assert client.get(desk("attributes.order_id")).context["remedies"] == []
    for act in ("look", "propose"):
        assert client.post(desk("attributes.order_id", "optional"), {"act": act}).status_code == 403


def test_the_values_are_taken_home_as_a_workbook_and_come_back_filled_in(client, marketer):
    hold(purchase(1, quantity="two"), purchase(2, quantity="two"), purchase(3, quantity="=1+1"), purchase(4, phone=1, quantity="13800138000 pieces"))  # fmt: skip
    path = "attributes.quantity"
    answer = client.get(reverse("admin:desk_table", args=[cause_at(path).pk]))
    book = load_workbook(io.BytesIO(answer.content))
    sheet = book.worksheets[-1]
    rows = {sheet.cell(at, 2).value: at for at in range(2, sheet.max_row + 1)}
    assert not any("13800138000" in str(value) for value in rows)
    for at in rows.values():
        sheet.cell(at, 4).value = "2"
    stored = io.BytesIO()
    book.save(stored)
    tried = client.post(desk(path), {"act": "try", "table": upload("filled.xlsx", stored.getvalue())})
    assert tried.context["found"].fixed == 4, tried.context["problem"]
    client.post(desk(path), {"act": "read", "shown": tried.context["shown"], "pasted": tried.context["pasted"]})
    assert run_replay(Replay.objects.get().pk).fixed == 4


@pytest.mark.parametrize(("name", "content", "fixed"), [("t.csv", "two,2\nthree,3\n", 2), ("t.csv", "sent;right\ntwo;2\n", 1), ("t.csv", "two\n", 0), ("t.xlsx", "PK", 0)])  # fmt: skip
def test_a_csv_of_two_columns_does_too(client, marketer, name, content, fixed):
    hold(purchase(1, quantity="two"), purchase(2, quantity="three"))
    page = client.post(desk("attributes.quantity"), {"act": "try", "table": upload(name, content.encode())})
    assert (page.context["found"].fixed, bool(page.context["problem"])) == (fixed, not fixed)


def upload(name: str, content: bytes):
    from django.core.files.uploadedfile import SimpleUploadedFile

    return SimpleUploadedFile(name, content)


@pytest.mark.parametrize(
    ("seen", "reads"),
    [("9.90 yuan", True), ("12.5元", True), ("RMB 12", True), ("9,90 yuan", False), ("1,299.00 yuan", False), ("1.299,00", False), ("2 x 3", False), ("v1.2.3", False)],
)  # fmt: skip
def test_no_part_of_a_number_is_taken_for_it(standard, seen, reads):
    hold(purchase(1, price="free"))
    found = dict(suggestions(replay_of("attributes.price"), current().plan, [(seen, 1)]))
    assert any(text.startswith("extract") for text in found) is reads
