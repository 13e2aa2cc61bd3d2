"""Who may not see personal data sees it on no page, in no file and in no answer, whatever a source calls it."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from conftest import publish_starter
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

from ingestion.models import Discovered, QuarantineReason
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.causes import cause_of
from ingestion.watching.rollup import roll_up
from profiles.models import Batch, Customer, Event, Original
from profiles.original import shown_original
from profiles.sight import Sight
from staff.models import AccessLog, ReadToken, User
from taxonomy.current import current, refresh
from taxonomy.models import MappingRow, MappingRule, Source
from taxonomy.personal import Personal, kind_at
from taxonomy.publish import publish
from taxonomy.standardize import decode_body
from taxonomy.standardize.paths import PathError, value_places

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
MEMBER = {"fullName": " 王小明 ", "sex": "1", "birth": "1990/01/02", "mail": "W@E.com", "cityName": "杭州"}
SECRETS = ("王小明", "1990/01/02", "1990-01-02", "W@E", "w@e", "杭州", "13866660001", "6666 0001", "CRM-778899", "五月", "西湖区")
db = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("fullName", {"fullName"}),
        ("订单.Unit Price", {"订单/Unit Price"}),
        ("people[0].name", {"people/name"}),
        ("people[?kind=='m'].name | [0]", {"people/name"}),
        ("join(' ', [first, user.last])", {"first", "user/last"}),
        ("a.{x: b, y: c.d}", {"a/b", "a/c/d"}),
        ("*.name", {"name"}),
        ("by_id.*.name", {"by_id"}),
        ("a || b", {"a", "b"}),
        ("'literal'", set()),
        ("@", set()),
        ("", set()),
    ],
)
def test_the_places_that_a_path_takes_values_from(path, names):
    assert {"/".join(one) for one in value_places(path)} == names


def test_a_path_that_cannot_be_read_has_no_places():
    with pytest.raises(PathError):
        value_places("a[")


def member(number: str, *, phone: str = "13866660001", **fields) -> dict:
    return {
        "action": "MEMBER_UPDATE", "mobile": phone, "memberNo": "CRM-778899", "changedAt": "2026-11-25T10:00:00+08:00",
        "changeNo": number, "fields": {**MEMBER, **fields},
    }  # fmt: skip


def send(*records: dict, source: str = "crm", door: str = "api") -> None:
    receive([Incoming(json.dumps(one).encode()) for one in records], source_code=source, door=door, received_at=NOW, current=current())
    roll_up(NOW)


def log_in(client, role: str) -> User:
    person = User.objects.create_user(f"{role}@example.com", "x", language="en")
    person.groups.add(Group.objects.get(name=role))
    client.force_login(person)
    return person


def held_pages() -> dict[str, str]:
    pages = {"causes": reverse("admin:ingestion_quarantinereason_changelist")}
    for reason in QuarantineReason.objects.all():
        cause = cause_of(reason)
        pages[f"held {reason.event.message_id}"] = reverse("admin:quarantine_event", args=[reason.event.public_id])
        pages[f"cause {reason.path}"] = reverse("admin:quarantine_cause", args=[cause.pk])
        pages[f"desk {reason.path}"] = f"{reverse('admin:desk')}?cause={cause.pk}"
    export = reverse("admin:quarantine_export")
    return pages | {f"export {form}": f"{export}?format={form}" for form in ("ndjson", "csv", "snowplow")}


def texts(client, pages: dict[str, str]) -> dict[str, str]:
    answers = {name: client.get(url) for name, url in pages.items()}
    assert {name: one.status_code for name, one in answers.items()} == dict.fromkeys(pages, 200)
    return {name: b"".join(one).decode() for name, one in answers.items()}


def leaks(found: dict[str, str]) -> set[tuple[str, str]]:
    return {(name, secret) for name, text in found.items() for secret in SECRETS if secret in text}


@pytest.fixture
def starter(db):
    publish_starter()


def test_what_rules_read_into_personal_attributes_is_hidden_on_the_pages_of_an_accepted_event(starter, client):
    send(member("c1", nick="五月"), {**member("c2"), "fields": {"mail": "W@E.com", "street": {"line": "西湖区 1"}}})
    customer = Customer.objects.get()
    pages = {"customer": reverse("customer", args=[customer.public_id]), "latest": reverse("latest")}
    for one in Event.objects.all():
        assert one.standing == Event.Standing.COUNTED
        pages[f"event {one.message_id}"] = reverse("customer_event", args=[customer.public_id, one.public_id])
    log_in(client, "service_agent")
    found = texts(client, pages)
    assert leaks(found) - {("event c1", "五月"), ("event c2", "西湖区")} == set()
    assert "fullName" in found["event c1"]
    log_in(client, "compliance_officer")
    assert {"王小明", "1990/01/02", "杭州", "CRM-778899"} <= {secret for _name, secret in leaks(texts(client, {"e": pages["event c1"]}))}


def test_what_holds_an_event_is_hidden_too_and_in_every_file(starter, client):
    send(
        member("c1", birth="1990/01/02 王小明"),
        member("c2", phone="1-386 666"),
        member("c3", phone="王小明"),
        {**member("c4"), "memberNo": "null"},
        {**member("c5"), "action": "NEW_MEMBER"},
        member("c6", mail="W@E.com 杭州"),
    )
    assert QuarantineReason.objects.count() >= 5
    log_in(client, "service_agent")
    pages = held_pages() | {"latest": reverse("latest")}
    assert leaks(texts(client, pages)) == set()
    log_in(client, "data_steward").user_permissions.add(Permission.objects.get(codename="see_personal_data"))
    assert leaks(texts(client, {"held": pages["held c1"]})) != set()


@pytest.mark.parametrize("name", ["buy\u00a013866660001", "１３８６６６６０００１", "buy\u200b13866660001"])
def test_the_sentence_of_an_odd_name_masks_the_number_in_it(starter, client, name):
    send({"id": "c1", "event": name}, source="website")
    log_in(client, "marketer")
    page = client.get(reverse("admin:quarantine_event", args=[Event.objects.get().public_id]))
    said = str(next(one for one in page.context["reasons"] if one["explained"].code == "event.unknown")["explained"].happened)
    assert "138****0001" in said and "13866660001" not in page.content.decode()
    assert not set("６０").intersection(said), "nor digit by digit, as the signs in it"
    log_in(client, "compliance_officer").user_permissions.add(Permission.objects.get(codename="view_quarantinereason"))
    page = client.get(page.request["PATH_INFO"])
    assert "13866660001" in str(page.context["reasons"][0]["explained"].happened)


def test_what_a_violation_says_besides_is_masked_as_what_it_saw():
    values = {"signs": ["１", "\u00a0"], "plain": "buy 13866660001", "version": "v 13866660001", "from": "x 13866660001", "read_as": "2026-11-25T03:00:00Z"}  # fmt: skip
    limits = {"limits": [{"below_version": "13866660001"}], "draft": "d"}
    one = {"code": "event.unknown", "path": "event", "values": {**values, **limits}}
    shown = Sight(unmasked=False).violation(one, uuid4())["values"]
    assert shown == limits | {
        "signs": ["*", "\u00a0"], "plain": "buy 138****0001", "version": "v 138****0001", "from": "x 138****0001", "read_as": values["read_as"],
    }  # fmt: skip
    assert Sight(unmasked=True).violation(one, uuid4()) == one
    plain = {"code": "event.unknown", "path": "event", "values": {"signs": ["１"], "plain": "buy 1"}}
    assert Sight(unmasked=False).violation(plain, uuid4())["values"] == plain["values"]


def test_the_days_that_a_hidden_date_may_mean_are_not_told(starter, client):
    told = {"id": "c1", "event": "profile_update", "phone": "13866660001", "attributes": {"birthday": "01/02/1990"}}
    send(told, source="website")
    [reason] = QuarantineReason.objects.filter(event__message_id="c1")
    assert "1990-01-02" in json.dumps(reason.event.report)
    log_in(client, "service_agent")
    assert leaks(texts(client, held_pages())) == set()


def test_values_seen_of_a_cause_are_hidden_in_the_table_to_download(starter, client):
    from io import BytesIO

    from openpyxl import load_workbook

    send(member("c1", birth="1990/01/02 王小明"), member("c2", phone="1-386 666"))
    log_in(client, "service_agent")
    for reason in QuarantineReason.objects.all():
        book = client.get(reverse("admin:desk_table", args=[cause_of(reason).pk]))
        said = [str(cell) for row in load_workbook(BytesIO(book.content))["Values"].values for cell in row]
        assert not [cell for cell in said if "1990" in cell or "386 666" in cell]


def test_what_an_unknown_event_carries_is_hidden_by_what_rules_read_elsewhere(starter, client):
    send({**member("c5"), "action": "NEW_MEMBER"}, member("c6", nick="x"))
    log_in(client, "data_steward")
    pages = {f"{one.kind} {one.name}": reverse("admin:ingestion_discovered_change", args=[one.pk]) for one in Discovered.objects.all()}
    assert {"name NEW_MEMBER", "attribute nick"} <= pages.keys()
    assert leaks(texts(client, pages)) == set()


def test_the_reading_api_says_no_personal_attribute_nor_a_refinement_that_does(starter, client):
    send(member("c1"))
    Event.objects.update(refinements=["profile_update_杭州", "profile_update_gold"])
    person = log_in(client, "service_agent")
    token = ReadToken(user=person, name="t", scopes=["customers"], expires_at=datetime.now(UTC) + timedelta(days=1))
    secret = token.set_secret()
    token.save()
    customer = Customer.objects.get()
    for name in ("api_customer", "api_timeline"):
        answer = client.get(reverse(name, args=[customer.public_id]), headers={"Authorization": f"Bearer {secret}"})
        assert leaks({name: answer.content.decode()}) == set()
    assert answer.json()["results"][0]["refinements"] == ["profile_update_gold"]


def test_what_a_rule_read_stays_hidden_in_its_events_when_the_rule_is_gone(starter, client):
    send(member("c1"))
    MappingRule.objects.filter(source__code="crm").delete()
    publish(notes="x", by=None)
    refresh()
    log_in(client, "service_agent")
    one = Event.objects.get()
    page = {"event": reverse("customer_event", args=[Customer.objects.get().public_id, one.public_id])}
    assert "王小明" not in texts(client, page)["event"]


def test_a_rule_of_the_draft_hides_already(starter):
    crm = Source.objects.get(code="crm")
    assert Personal().sent_by(crm.pk).kind_at(("fields", "alias")) is None
    MappingRow.objects.create(rule=MappingRule.objects.filter(source=crm, name="LEVEL_CHANGE").get(), target="nickname", path="alias")
    assert Personal().sent_by(crm.pk).kind_at(("fields", "alias")) == ""
    assert Personal().sent_by(Source.objects.get(code="sms").pk).kind_at(("alias",)) is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("phone", "phone"),
        ("identifiers.crm_id", "crm_id"),
        ("identifiers.unheard_of", ""),
        ("attributes.name", ""),
        ("attributes.fullName", ""),
        ("attributes.address.street", ""),
        ("attributes.address", ""),
        ("attributes.member_level", None),
        ("attributes.grade", None),
        ("event", None),
        ("occurred_at", None),
        ("id", None),
        ("", None),
    ],
)
def test_how_what_a_path_names_is_hidden(starter, path, kind):
    assert kind_at(path, Personal().sent_by(Source.objects.get(code="crm").pk)) == kind


def test_many_events_cost_no_more_queries_than_one(starter, django_assert_num_queries):
    send(*(member(f"c{number}") for number in range(5)))
    events = list(Event.objects.select_related("batch"))
    sight = Sight(unmasked=False)
    with django_assert_num_queries(2):
        for one in events:
            sight.record(MEMBER, one)
            sight.attributes(one.attributes)
            [sight.change(change, one.source_id) for change in one.report["changes"]]


@pytest.mark.parametrize(
    "body",
    [
        "action=NO_SUCH&mobile=%2B8613866660001&memberNo=CRM-778899&fields.fullName=x&fullName=%E7%8E%8B%E5%B0%8F%E6%98%8E&mail=W%40E.com",
        "<m><action>NO_SUCH</action><mobile>13866660001</mobile><memberNo>CRM-778899</memberNo><fields><fullName>王小明</fullName></fields></m>",
    ],
)
def test_a_form_or_xml_is_shown_as_what_it_says_with_what_is_personal_hidden(starter, client, body):
    receive([Incoming(body.encode(), decode_body(body.encode()))], source_code="crm", door="hook", received_at=NOW, current=current())
    roll_up(NOW)
    log_in(client, "service_agent")
    found = texts(client, {"held": reverse("admin:quarantine_event", args=[Event.objects.get().public_id])})
    assert leaks(found) == set()
    assert "NO_SUCH" in found["held"] and "%E7" not in found["held"] and "%2B86" not in found["held"]


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("csv", "W@E.com,王小明,red"),
        ("xlsx", '["W@E.com","王小明","red"]'),
        ("parquet", '["W@E.com","王小明",["red"]]'),
        ("fixed", "W@E.com 王小明   red"),
    ],
)
def test_a_row_of_any_kind_of_file_is_hidden_by_its_columns(starter, kind, record):
    event = Event(
        source=Source.objects.get(code="crm"),
        batch=Batch(format={"kind": kind, "columns": ["mail", "fullName", "color"], "widths": [8, 6, 0], "measure": "characters"}),
    )
    shown = shown_original(Original(record=record.encode()), event, Sight(unmasked=False))
    assert leaks({"row": str(shown.cells)}) == set()
    assert "red" in str(shown.cells) or kind == "fixed"


def test_segments_traits_are_hidden_where_a_rule_reads_them(starter, client):
    send(
        {"type": "identify", "messageId": "s1", "userId": "CRM-778899", "timestamp": "2026-11-25T02:00:00Z",
         "traits": {"phone": "+86 138–6666–0001", "name": "王小明", "email": "W@E.com", "address": {"city": "杭州"}}},
        source="website", door="segment",
    )  # fmt: skip
    log_in(client, "service_agent")
    one = Event.objects.get()
    name = "customer_event" if one.standing == Event.Standing.COUNTED else "admin:quarantine_event"
    arguments = [Customer.objects.get().public_id, one.public_id] if name == "customer_event" else [one.public_id]
    assert leaks(texts(client, {"page": reverse(name, args=arguments)})) == set()
    assert not AccessLog.objects.filter(action=AccessLog.Action.REVEAL).exists()
