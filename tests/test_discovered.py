"""What arrives and is not in the standard: found with what was seen of it, and mapped, added, made or left alone."""

import json
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connections
from django.urls import reverse
from django.utils import timezone

from ingestion.discovery import discover
from ingestion.discovery.adopt import CannotAdopt, add_to_tag, ignore, map_to_tag, path_of
from ingestion.discovery.carried import events_sent
from ingestion.discovery.code_of import code_of
from ingestion.discovery.discovered import lines
from ingestion.discovery.matches import matching_attributes, matching_tags
from ingestion.discovery.values import kind_of, suggest_type
from ingestion.models import Discovered, Ignored, Replay
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.replay import ask, run_replay
from ingestion.watching.rollup import roll_up
from profiles.models import Event, Original
from staff.models import User
from taxonomy.current import current, forget
from taxonomy.definition import draft_items
from taxonomy.models import Attribute, Grant, MappingRule, Proposal, Revision, Source, Tag
from taxonomy.proposals.propose import propose, submit
from taxonomy.publish import items_of, newest, publish, unreleased
from taxonomy.similar import lookalikes
from taxonomy.standardize.paths import compile_path
from taxonomy.weigh import weigh_change

NOW = datetime.now(UTC)
PHONE = "13912345678"
db = pytest.mark.django_db

KINDS = [
    ("red", "text"), ("", "empty"), (None, "empty"), (True, "boolean"), ("true", "boolean"), ("是", "boolean"),
    (3, "integer"), ("3", "integer"), ("-12", "integer"), ("0", "integer"), (2.5, "decimal"), ("259.00", "decimal"),
    # never numbers
    ("007", "digits"), ("20260301000123", "digits"), (20260301000123, "digits"), ("1 234", "digits"), ("310115-22", "digits"),
    (PHONE, "phone"), (int(PHONE), "phone"), ("+86 139 1234 5678", "phone"), ("+1 415 555 0100", "phone"),
    ("6222021234567890128", "bank_card"), ("4111 1111 1111 1111", "bank_card"), ("11010519491231002X", "identity_card"),
    ("zhang@example.com", "email"),
    ("2026-03-01", "date"), ("2026/3/1", "date"), ("2026-03-01T10:00:00Z", "datetime"), ("2026-03-01 10:00", "datetime"),
    ("https://shop.example/p/1", "url"), ([1], "list"), ({"a": 1}, "object"), ("SKU-1001", "text"), ("1,5", "text"), ("1e9", "text"),
    ("９", "digits"),
]  # fmt: skip


@pytest.mark.parametrize("value,kind", KINDS)
def test_a_value_is_of_one_kind(value, kind):
    assert kind_of(value) == kind


SUGGESTED = [
    ({"integer": 9}, "qty", ("integer", "none", "all_alike")),
    ({"integer": 9, "empty": 90}, "qty", ("integer", "none", "all_alike")),
    ({"integer": 9, "decimal": 1}, "price", ("decimal", "none", "wider")),
    ({"date": 3, "datetime": 1}, "at", ("datetime", "none", "wider")),
    ({"boolean": 3}, "vip", ("boolean", "none", "all_alike")),
    ({"list": 3}, "items", ("list", "none", "all_alike")),
    ({"text": 3}, "colour", ("text", "none", "text")),
    ({"text": 1, "integer": 99}, "qty", ("text", "none", "mixed")),
    ({}, "x", ("text", "none", "nothing")),
    ({"empty": 4}, "x", ("text", "none", "nothing")),
    # never a number, whatever most of them look like
    ({"integer": 999, "digits": 1}, "amount", ("text", "none", "digits")),
    ({"integer": 9}, "order_no", ("text", "none", "digits")),
    ({"integer": 9}, "orderId", ("text", "none", "digits")),
    ({"integer": 9}, "卡号", ("text", "none", "digits")),
    ({"integer": 9}, "订单编号", ("text", "none", "digits")),
    ({"integer": 9}, "cardNumber", ("text", "none", "digits")),
    ({"integer": 9}, "手机号", ("text", "none", "digits")),
    ({"integer": 9, "decimal": 1}, "mobile", ("text", "none", "digits")),
    ({"phone": 10}, "contact", ("phone", "contact", "personal.phone")),
    ({"integer": 999, "phone": 1}, "qty", ("text", "contact", "personal.phone")),
    ({"email": 10}, "mail", ("email", "contact", "personal.email")),
    ({"bank_card": 5}, "paid_with", ("text", "sensitive", "personal.bank_card")),
    ({"identity_card": 5, "text": 1}, "who", ("text", "identity", "personal.identity_card")),
    # counted things whose names only end alike
    ({"integer": 9}, "video", ("integer", "none", "all_alike")),
    ({"integer": 9}, "paid", ("integer", "none", "all_alike")),
    ({"integer": 9}, "num", ("integer", "none", "all_alike")),
    ({"decimal": 9}, "order_amount", ("decimal", "none", "all_alike")),
    ({"integer": 9}, "订单金额", ("integer", "none", "all_alike")),
]  # fmt: skip


@pytest.mark.parametrize("kinds,name,suggestion", SUGGESTED, ids=[f"{name} {kinds}" for kinds, name, _ in SUGGESTED])
def test_a_type_is_suggested_from_what_was_seen(kinds, name, suggestion):
    found = suggest_type(kinds, name)
    assert (found.type, found.personal, found.why) == suggestion


@pytest.mark.parametrize("name,code", [
    ("viewGoodsNew", "view_goods_new"), ("CALL_TRANSFER", "call_transfer"), ("item view v2", "item_view_v2"), ("直播间停留", ""),
    ("2nd-click", "nd_click"), ("HTTPError", "http_error"), ("", ""), ("__x__", "x"), ("商品Id", "id"), ("a" * 300, "a" * 80),
])  # fmt: skip
def test_a_code_is_made_of_a_name(name, code):
    assert code_of(name) == code


@pytest.mark.parametrize("name", ["goodsId", "Ticket Subject", "a.b", "订单 号", "$x", "x[0]", "a@b", "count(*)"])
def test_a_row_finds_an_attribute_whatever_its_name(name):
    assert compile_path(path_of(name))({name: 7}) == 7


@pytest.mark.parametrize("name,reason", [('say "x"', "unreadable"), ("a\\b", "unreadable"), ("x" * 200, "cut")])
def test_a_name_no_row_can_find_is_refused(name, reason):
    with pytest.raises(CannotAdopt, match=reason):
        path_of(name)


def send(*events: dict, at=NOW, source="website"):
    base = {"phone": "+8613800138000", "occurred_at": (at - timedelta(minutes=5)).isoformat()}
    receive([Incoming(json.dumps({**base, **event}).encode()) for event in events], source_code=source, door="api", received_at=at, current=current())  # fmt: skip


def count(at=NOW):
    roll_up(at)


def today():
    return timezone.localdate(timezone=timezone.get_default_timezone())


@pytest.fixture
def steward(standard):
    return User.objects.create_superuser("steward@example.com", "x", language="en")


@pytest.fixture
def client_of(client, standard):
    def log_in(role):
        person = User.objects.create_user(f"{role}@example.com", language="en")
        person.groups.add(Group.objects.get(name=role))
        client.force_login(person)
        return client

    return log_in


def unknown(name="viewGoodsNew", **more):
    send({"id": name, "event": name, **more})
    count()
    return Discovered.objects.get(kind="name", name=name)


def unplanned(name="colour", value="red"):
    send({"id": f"a{name}", "event": "login", "attributes": {name: value}})
    count()
    return Discovered.objects.get(kind="attribute", name=name)


def act(client, row, **posted):
    return client.post(reverse("admin:discovered_act", args=[row.pk]), posted, follow=True)


def page(client, row):
    return client.get(reverse("admin:ingestion_discovered_change", args=[row.pk]))


def listed(client, **params):
    return [line["row"].name for line in client.get(reverse("admin:ingestion_discovered_changelist"), params).context["rows"]]


@db
def test_the_list_says_what_how_many_since_when_from_where_and_of_what_share(client_of):
    client = client_of("marketer")
    send(
        *({"id": f"n{number}", "event": "viewGoodsNew"} for number in range(3)),
        *({"id": f"l{number}", "event": "login"} for number in range(7)),
    )
    send({"id": "u", "event": "login", "attributes": {"colour": "red"}})
    count()
    rows = client.get(reverse("admin:ingestion_discovered_changelist")).context["rows"]
    assert [(one["name"], one["row"].count, round(one["percent"], 1), one["row"].source.code) for one in rows] == [
        ("viewGoodsNew", 3, 27.3, "website"), ("colour", 1, 12.5, "website"),
    ]  # fmt: skip
    assert listed(client, kind="attribute") == ["colour"]
    assert listed(client, source="app") == []
    assert listed(client, source="'; --", kind="x", state="x", page="-3") == []


@db
def test_what_came_since_the_row_was_written_is_counted_on_the_pages(client_of):
    client, row = client_of("marketer"), unplanned()
    send({"id": "b", "event": "login", "attributes": {"colour": 4}}, at=NOW + timedelta(minutes=1))
    count(NOW + timedelta(minutes=1))
    row.refresh_from_db()
    assert row.count == 1
    line = page(client, row).context["line"]
    assert (line["row"].count, {str(kind["label"]): kind["count"] for kind in line["kinds"]}) == (2, {"text": 1, "whole number": 1})


@db
def test_personal_data_in_names_and_values_is_masked(client_of):
    client = client_of("marketer")
    name, value = unknown(f"call {PHONE}"), unplanned("note", f"ring {PHONE} or zhang@example.com")
    for row in (name, value):
        shown = page(client, row).content.decode()
        assert PHONE not in shown and "zhang@example" not in shown
    assert PHONE not in client.get(reverse("admin:ingestion_discovered_changelist")).content.decode()
    assert PHONE not in json.dumps(value.examples)
    assert page(client, name).context["new_tag"] == ""


@db
@pytest.mark.parametrize(("role", "made"), [("marketer", 0), ("data_steward", 1)])
def test_a_name_that_is_masked_is_mapped_by_whoever_sees_it_whole(client_of, role, made):
    client, name = client_of(role), unknown(f"call {PHONE}")
    if role == "data_steward":
        User.objects.get(email__startswith=role).user_permissions.add(Permission.objects.get(codename="see_personal_data"))
    shown = page(client, name)
    assert ("Whoever sees it whole can map it" in shown.content.decode()) == (made == 0)
    client.post(reverse("admin:discovered_act", args=[name.pk]), {"act": "map", "tag": Tag.objects.get(code="purchase").pk})
    assert MappingRule.objects.filter(name=name.name).count() == made


@db
def test_a_value_under_a_personal_attribute_s_name_is_hidden_whole(standard):
    Attribute.objects.create(code="nickname", label_en="n", label_zh_hans="n", personal="contact")
    assert unplanned("nickName".lower(), "Old Zhang").examples == ["****"]


@db
def test_an_unknown_name_s_page_shows_what_its_events_carry_masked(client_of):
    client = client_of("marketer")
    send(*({"id": f"n{at}", "event": "viewGoodsNew", "attributes": {"goods": "SKU-1", "priceFen": at, "tel": PHONE}} for at in range(3)))
    send(
        {
            "id": "n9",
            "event": "viewGoodsNew",
            "attributes": {"goods": "SKU-2", "email": "zhang@example.com", "half": "\ud83d", "deep": {"a": [1]}},
        }
    )
    count()
    response = page(client, Discovered.objects.get(name="viewGoodsNew"))
    found = {row["one"].name: (row["one"].percent, row["one"].kind) for row in response.context["carried"]}
    assert list(found)[:3] == ["goods", "priceFen", "tel"]
    assert (found["goods"], found["priceFen"], found["tel"], found["deep"]) == (
        (100, "text"),
        (75, "integer"),
        (75, "phone"),
        (25, "object"),
    )
    assert PHONE not in response.content.decode() and "zhang@example" not in response.content.decode()


@db
def test_mapping_makes_a_draft_rule_with_history_and_its_release_lets_the_name_in(client_of):
    client, row = client_of("marketer"), unknown("sign_me_in")
    login = Tag.objects.get(code="login")
    response = act(client, row, act="map", tag=str(login.pk))
    rule = MappingRule.objects.get(source__code="website", name="sign_me_in")
    assert response.redirect_chain[-1][0] == reverse("admin:taxonomy_mappingrule_change", args=[rule.pk])
    assert (rule.tag, rule.match, rule.condition_path) == (login, "exact", "")
    revision = Revision.objects.get(item=rule.pk)
    assert (revision.action, revision.by.email) == ("created", "marketer@example.com")
    assert [change.item for change in unreleased()] == [str(rule.pk)]
    assert listed(client) == [] and listed(client, state="drafted") == ["sign_me_in"]
    publish(notes="x", by=None)
    forget()
    assert listed(client, state="released") == ["sign_me_in"]
    send({"id": "again", "event": "sign_me_in"})
    assert Event.objects.get(message_id="again").standing == Event.Standing.COUNTED


@db
def test_mapping_fills_the_rule_in_with_reasons_so_that_its_events_are_let_in(client_of):
    client, row = client_of("marketer"), unknown("detailNew", attributes={"sku": "p1", "sale_price": "1,50"})
    view = Tag.objects.get(code="product_view")
    shown = act(client, row, act="map", tag=str(view.pk))
    rule = MappingRule.objects.get(name="detailNew")
    assert [(one.target, one.path, one.transforms) for one in rule.rows.all()] == [("product_id", "sku", ""), ("price", "sale_price", "decimal_comma")]  # fmt: skip
    assert "product_id ← sku, price ← sale_price" in shown.content.decode()
    assert [line["target"] for line in Revision.objects.get(item=rule.pk).definition["rows"]] == ["product_id", "price"]
    publish(notes="x", by=None)
    forget()
    assert run_replay(ask(Replay(source=rule.source)).pk).fixed == 1


@db
def test_the_page_offers_rows_to_choose_from_and_says_what_is_missing(client_of):
    client = client_of("marketer")
    row = unknown("productView2", attributes={"productId": "p1", "page_url": "https://shop.example/"})
    shown = page(client, row)
    match = next(one for one in shown.context["matches"] if one["item"].code == "product_view")
    assert [(one["row"].target, one["row"].path) for one in match["rows"]] == [("product_id", "productId")]
    assert (match["missing"], match["accepted"], match["tried"]) == ([], 1, 1)
    text = shown.content.decode()
    assert 'name="rows" value="product_id" checked' in text and "With these rows 1 of 1 held event would be accepted." in text
    answer = act(client, row, act="map", tag=str(match["item"].pk), chosen="1").content.decode()
    assert not MappingRule.objects.get(name="productView2").rows.exists()
    assert "Still required, and not found in what is sent: product_id" in answer


@db
def test_a_rule_that_the_reader_may_not_read_offers_nothing(client_of):
    client = client_of("marketer")
    row = unknown("detailNew", attributes={"receipt": "r1"})
    cancel = Tag.objects.get(code="order_cancel")
    assert "receipt" in act(client, row, act="map", tag=str(cancel.pk)).content.decode()
    MappingRule.objects.filter(name="detailNew").delete()
    Source.objects.filter(code="till").update(owner="service")
    Grant.objects.create(department_id="service", may="read", sources_of_id="service")
    act(client, row, act="map", tag=str(cancel.pk))
    assert not MappingRule.objects.get(name="detailNew").rows.exists()


@db
def test_mapping_twice_leads_to_the_rule_that_is_there(client_of):
    client, row = client_of("marketer"), unknown()
    first, second = Tag.objects.get(code="login"), Tag.objects.get(code="product_view")
    act(client, row, act="map", tag=str(first.pk))
    act(client, row, act="map", tag=str(second.pk))
    assert MappingRule.objects.get(name="viewGoodsNew").tag == first


@db
def test_what_still_arrives_unknown_after_its_release_is_to_be_decided_again(client_of, steward):
    client, row = client_of("marketer"), unknown("sign_me_in")
    rule, _made = map_to_tag(row, Tag.objects.get(code="login"), by=steward)
    MappingRule.objects.filter(pk=rule.pk).update(condition_path="ok", condition_operator="exists")
    publish(notes="x", by=None)
    forget()
    later = datetime.now(UTC) + timedelta(seconds=5)
    send({"id": "again", "event": "sign_me_in"}, at=later)
    count(later + timedelta(hours=2))
    assert listed(client) == ["sign_me_in"]


@db
@pytest.mark.parametrize("posted", [
    {"act": "map", "tag": ""}, {"act": "map", "tag": "nonsense"}, {"act": "map", "tag": "00000000-0000-4000-8000-000000000000"}, {"act": "map"},
])  # fmt: skip
def test_a_tag_that_is_none_maps_nothing(client_of, posted):
    client, row = client_of("marketer"), unknown()
    before = MappingRule.objects.count()
    assert act(client, row, **posted).status_code == 200
    assert MappingRule.objects.count() == before


@db
@pytest.mark.parametrize("posted", [{"act": ""}, {"act": "drop"}, {}, {"act": "use", "attribute": ""}, {"act": "add", "code": "x"}])
def test_acts_that_are_none_do_nothing(client_of, posted):
    client, row = client_of("marketer"), unknown()
    before = Revision.objects.count()
    assert act(client, row, **posted).status_code in (200, 403)
    assert Revision.objects.count() == before


@db
def test_a_new_attribute_is_added_to_its_tag_with_the_type_a_person_chose(client_of):
    client, row = client_of("marketer"), unplanned("colour", "red")
    shown = page(client, row).context
    assert (shown["suggestion"].type, shown["code"]) == ("text", "colour")
    act(client, row, act="add", code="colour", label_en="Colour", label_zh_hans="颜色", type="text")
    made = Attribute.objects.get(code="colour")
    assert made.uses.get().tag.code == "login" and not made.uses.get().required
    assert {change.kind for change in unreleased()} == {"attribute", "tag"}
    assert listed(client, state="drafted") == ["colour"]
    publish(notes="x", by=None)
    forget()
    send({"id": "again", "event": "login", "attributes": {"colour": "blue"}})
    assert Event.objects.get(message_id="again").attributes["colour"] == "blue"


@db
def test_under_another_name_the_source_s_rules_fill_it(client_of):
    client, row = client_of("marketer"), unplanned("login-way", "sms")
    attribute = Attribute.objects.create(code="way_in", label_en="Way", label_zh_hans="方式")
    response = act(client, row, act="use", attribute=str(attribute.pk))
    rule = MappingRule.objects.get(source__code="website", name="login")
    assert [(one.target, one.path) for one in rule.rows.all()] == [("way_in", "login-way")]
    assert response.redirect_chain[-1][0] == reverse("admin:taxonomy_mappingrule_change", args=[rule.pk])
    publish(notes="x", by=None)
    forget()
    send({"id": "again", "event": "login", "attributes": {"login-way": "sms"}})
    event = Event.objects.get(message_id="again")
    assert (event.attributes["way_in"], event.extra) == ("sms", None)
    act(client, row, act="use", attribute=str(attribute.pk))
    assert rule.rows.count() == 1 and attribute.uses.count() == 1


@db
@pytest.mark.parametrize("given", [
    {"code": "Not A Code"}, {"code": ""}, {"code": "x" * 200}, {"label_en": ""}, {"type": "nonsense"}, {"type": ""}, {"code": "product_id"},
])  # fmt: skip
def test_an_attribute_that_cannot_be_is_not_made(client_of, given):
    client, row = client_of("marketer"), unplanned()
    before = Attribute.objects.count(), Revision.objects.count()
    response = act(client, row, **({"act": "add", "code": "colour", "label_en": "C", "label_zh_hans": "C", "type": "text"} | given))
    assert (Attribute.objects.count(), Revision.objects.count()) == before
    assert [message.level_tag for message in response.context["messages"]] == ["error"]


@db
def test_phones_are_never_offered_as_a_number_and_are_marked_personal(client_of):
    client, row = client_of("marketer"), unplanned("contact_number", int(PHONE))
    shown = page(client, row).context
    assert shown["suggestion"].type == "phone"
    assert not {"integer", "decimal", "money"} & {value for value, _label in shown["types"]}
    act(client, row, act="add", code="contact_number", label_en="C", label_zh_hans="C", type="phone")
    assert Attribute.objects.get(code="contact_number").personal == "contact"
    other = unplanned("second_number", int(PHONE))
    act(client, other, act="add", code="second_number", label_en="C", label_zh_hans="C", type="integer")
    assert not Attribute.objects.filter(code="second_number").exists()


@db
def test_a_tag_under_review_takes_no_attribute(client_of, steward):
    client, row = client_of("marketer"), unplanned()
    tag = Tag.objects.get(code="login")
    Tag.objects.filter(pk=tag.pk).update(description_en="changed")
    proposal = propose([str(tag.pk)], title="t", why="w", by=steward)
    submit(proposal, by=steward)
    act(client, row, act="add", code="colour", label_en="C", label_zh_hans="C", type="text")
    assert not Attribute.objects.filter(code="colour").exists()
    assert Proposal.objects.get().is_locked


@db
def test_a_new_tag_s_form_is_filled_in(client_of):
    client, row = client_of("marketer"), unknown("viewGoodsNew")
    address = page(client, row).context["new_tag"]
    form = client.get(reverse("admin:taxonomy_tag_add") + address).context["adminform"].form
    assert (form["code"].value(), form["label_en"].value(), form["synonyms"].value()) == ("view_goods_new", "viewGoodsNew", "viewGoodsNew")


@db
def test_ignoring_is_shown_undone_and_ends_by_itself(client_of):
    client, row = client_of("marketer"), unknown()
    act(client, row, act="ignore", reason="a test of the app team", until=(today() + timedelta(days=2)).isoformat())
    assert listed(client) == [] and listed(client, state="ignored") == ["viewGoodsNew"]
    assert "a test of the app team" in client.get(reverse("admin:ingestion_discovered_changelist"), {"state": "ignored"}).content.decode()
    act(client, row, act="look_again")
    assert listed(client) == ["viewGoodsNew"]
    assert Ignored.objects.get().undone_by.email == "marketer@example.com"
    last = today() + timedelta(days=1)
    act(client, row, act="ignore", reason="again", until=last.isoformat())
    act(client, row, act="ignore", reason="once more", until=last.isoformat())
    assert Ignored.objects.filter(undone_at=None).count() == 1
    assert [line.row.name for line in lines(last + timedelta(days=1))[0]] == ["viewGoodsNew"]


@db
@pytest.mark.parametrize("reason,until", [("", "2099-01-01"), ("x", ""), ("x", "2001-01-01"), ("x", "soon"), ("x" * 301, "2099-01-01")])
def test_ignoring_needs_a_reason_and_a_day_to_come(client_of, reason, until):
    client, row = client_of("marketer"), unknown()
    act(client, row, act="ignore", reason=reason, until=until)
    assert not Ignored.objects.exists()


@db
def test_the_page_says_when_a_source_s_names_are_no_longer_kept_one_by_one(client_of, monkeypatch):
    monkeypatch.setitem(discover.MOST, "name", 2)
    client = client_of("marketer")
    send(*({"id": f"r{number}", "event": f"random {number}"} for number in range(6)))
    count()
    response = client.get(reverse("admin:ingestion_discovered_changelist"))
    assert [rest.count for rest in response.context["limits"]] == [4]
    assert len(response.context["rows"]) == 2
    rest = Discovered.objects.get(kind="rest")
    assert page(client, rest).status_code == 404


@db
def test_an_attribute_for_which_there_is_no_room_is_counted_with_the_rest_though_another_tag_has_one_of_its_name(standard, monkeypatch):
    """It ended the follow-up with an error, again and again: nothing was counted any more."""
    monkeypatch.setitem(discover.MOST, "attribute", 1)
    send(*({"id": f"l{number}", "event": "login", "attributes": {"colour": "red"}} for number in range(2)))
    send({"id": "v", "event": "product_view", "attributes": {"product_id": "p", "colour": "blue"}})
    count()
    kept, rest = Discovered.objects.get(kind="attribute"), Discovered.objects.get(kind="rest")
    assert (kept.tag.code, kept.count, kept.examples, rest.count) == ("login", 2, ["red"], 1)


@db
def test_readers_see_and_only_editors_act(client_of):
    client, row = client_of("product_manager"), unknown()
    other = unplanned()
    assert not any(page(client, row).context["may"].values())
    login = Tag.objects.get(code="login")
    for target, posted in [
        (row, {"act": "map", "tag": str(login.pk)}), (row, {"act": "ignore", "reason": "x", "until": "2099-01-01"}), (row, {"act": "look_again"}),
        (other, {"act": "use", "attribute": str(Attribute.objects.first().pk)}), (other, {"act": "add", "code": "colour"}),
    ]:  # fmt: skip
        assert act(client, target, **posted).status_code == 403
    assert client.get(reverse("admin:discovered_act", args=[row.pk])).status_code == 405


@db
def test_the_attributes_of_which_one_is_missing_are_named(client_of):
    client = client_of("marketer")
    row = unknown("purchases", attributes={"order_id": "o1", "product_id": "p1", "quantity": 1})
    match = next(one for one in page(client, row).context["matches"] if one["item"].code == "purchase")
    assert [one.partition(" Unit")[1:] for one in match["holds"]] == [(" Unit", " price (price) or Line total (amount)")]


@db
def test_who_may_not_see_the_quarantine_sees_none_of_it(client_of):
    client, row = client_of("compliance_officer"), unknown()
    Group.objects.get(name="compliance_officer").permissions.remove(Permission.objects.get(codename="view_quarantinereason"))
    assert client.get(reverse("admin:ingestion_discovered_changelist")).status_code == 403
    assert page(client, row).status_code == 403
    assert act(client, row, act="map", tag="x").status_code == 403


@db
def test_the_pages_answer_with_nothing_discovered_and_nothing_released(client, departments):
    client.force_login(User.objects.create_superuser("a@example.com", "x"))
    assert client.get(reverse("admin:ingestion_discovered_changelist")).status_code == 200


@db
def test_the_number_of_queries_does_not_grow_with_the_names(client_of, django_assert_max_num_queries):
    client = client_of("marketer")
    send(*({"id": f"r{number}", "event": f"name {number}"} for number in range(60)))
    send(*({"id": f"a{number}", "event": "login", "attributes": {f"attribute {number}": 1}} for number in range(60)))
    count()
    with django_assert_max_num_queries(22):
        assert len(listed(client)) == 50


@db
def test_tags_and_attributes_of_the_draft_are_offered(standard):
    assert matching_tags("productView")[0].item.code == "product_view"
    assert matching_attributes("Product-ID")[0].item.code == "product_id"
    assert matching_tags("\x00" * 50) == []
    rule = MappingRule.objects.create(source=Source.objects.first(), name="lookAtGoods", tag=Tag.objects.get(code="product_view"))
    lookalikes.forget()
    match = matching_tags("lookAtGoodsNew")[0]
    assert match.item == rule.tag and "lookAtGoods" in match.reason


@db
def test_adding_to_the_tag_by_function_tells_which_rules_changed(standard, steward):
    row = unplanned("sku", "S1")
    added = add_to_tag(row, Attribute.objects.get(code="product_id"), by=steward)
    assert [rule.name for rule in added.rules] == ["login"]
    assert Source.objects.get(pk=row.source_id).rules.filter(name="login").exists()


@db
def test_a_rule_within_limits_does_not_take_the_place_of_the_one_that_is_asked_for(steward):
    row, login = unknown(), Tag.objects.get(code="login")
    limits = {"below_version": "4.2"}, {"until": date(2026, 12, 31)}
    for more in limits:
        MappingRule.objects.create(source_id=row.source_id, name=row.name, tag=login, **more)
    made, is_new = map_to_tag(row, login, by=steward)
    assert is_new and not made.limits
    assert map_to_tag(row, login, by=steward) == (made, False)


@db
def test_a_tag_or_attribute_must_be_chosen_before_it_is_sent(client_of):
    client = client_of("marketer")
    for row, name in ((unknown(), "tag"), (unplanned(), "attribute")):
        assert f'<select class="tl-input" name="{name}" required>' in page(client, row).content.decode()


@db
def test_what_belongs_to_a_deleted_tag_is_not_listed(client_of):
    client, row = client_of("marketer"), unplanned()
    Discovered.objects.filter(pk=row.pk).update(tag="00000000-0000-4000-8000-000000000000")
    assert listed(client) == []
    assert page(client, row).status_code == 404
    assert act(client, row, act="add", code="colour").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_two_people_deciding_at_once_make_one_rule_and_one_ignoring(steward):
    row, login = unknown(), Tag.objects.get(code="login")

    def decide() -> None:
        map_to_tag(row, login, by=steward)
        ignore(row, reason="x", until=today(), by=steward)
        connections.close_all()

    threads = [threading.Thread(target=decide) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert MappingRule.objects.filter(name="viewGoodsNew").count() == 1
    assert Revision.objects.filter(kind="rule", action="created").count() == 1
    assert (Ignored.objects.count(), Ignored.objects.filter(undone_at=None).count()) == (4, 1)


@db
def test_events_are_read_as_they_were_sent_whatever_became_of_them(standard):
    attributes = {"product_id": "p1", "colour": "red"}
    send(*({"id": f"v{n}", "event": "product_view", "attributes": attributes} for n in range(8)))
    send({"id": "u", "event": "viewGoodsNew", "attributes": {"goodsId": "g"}}, {"id": "t", "event": "login"})
    website, till = (str(Source.objects.get(code=code).pk) for code in ("website", "till"))
    assert events_sent([till]) == []
    sent = sorted((event.name, sorted(event.attributes)) for _source, event in events_sent([website, till]))
    expected = [("login", []), *[("product_view", ["colour", "product_id"])] * 5, ("viewGoodsNew", ["goodsId"])]
    assert sent == expected
    Original.objects.filter(event__standing=Event.Standing.COUNTED).delete()
    assert sorted((event.name, sorted(event.attributes)) for _source, event in events_sent([website])) == expected


@db
def test_a_rule_is_weighed_by_what_its_source_sends(standard):
    send({"id": "a", "event": "goods_paid", "attributes": {"order_id": "o", "quantity": 1}})
    rule = MappingRule.objects.create(source=Source.objects.get(code="website"), name="goods_paid", tag=Tag.objects.get(code="purchase"), position=99)  # fmt: skip

    def told() -> set[str]:
        return {one.check for one in weigh_change(items_of(newest()), draft_items()) if one.item == str(rule.pk)}

    assert "attribute.not_sent" not in told()
    MappingRule.objects.filter(pk=rule.pk).update(name="goods_ordered")
    assert "attribute.not_sent" in told()
