"""What people change in the draft changes nothing live: doors, customer pages, API and health go by the newest release."""

import json
import re
import time
from datetime import UTC, date, datetime, timedelta
from html import unescape

import pytest
from conftest import make_write_key
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.urls import reverse
from django.utils import timezone

from ingestion import keys
from ingestion.models import FailedRequest, Hook, Leak, MqttTopic, TakeBack, WriteKey
from ingestion.outgoing import announce, signing
from ingestion.pipeline import Incoming, receive
from ingestion.watching.rollup import roll_up
from ingestion.watching.streams import judge_streams
from profiles.models import Customer, Event, Subject
from profiles.untied import queue_untied, tie_anew
from staff.models import ReadToken, User
from taxonomy.current import current, refresh
from taxonomy.definition import draft_items
from taxonomy.draft import remove
from taxonomy.models import Attribute, Category, MappingRow, MappingRule, Refinement, Release, Source, Tag, TagAttribute, TagMode
from taxonomy.publish import items_of, publish
from taxonomy.released import by_code, named, personal_codes

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "whsec_" + "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
PHONE = "+86 138 0013 8000"
SENT = [
    {"id": "1", "event": "product_view", "phone": PHONE, "attributes": {"product_id": "p1", "category": "shoes", "colour": "red"}},
    {"id": "2", "event": "purchase", "phone": PHONE, "attributes": {"order_id": "o1", "product_id": "p1", "price": "10.50", "quantity": 2}},
    {"id": "3", "event": "profile_update", "phone": PHONE, "identifiers": {"user_id": "u1"}, "attributes": {"address": {"city": "Nowhere"}, "member": True}},
    {"id": "4", "event": "purchase", "phone": PHONE, "attributes": {}},
    {"id": "5", "event": "nonsense", "phone": PHONE},
    {"id": "6", "event": "item_detail_view", "phone": "138 0013 8000", "attributes": {"product_id": "p2", "id": "p2"}},
]  # fmt: skip
CODE = Concat(Value("drafted_"), F("code"))
WORDS = {"label_en": "Drafted", "label_zh_hans": "草稿", "description_en": "drafted", "description_zh_hans": "草稿"}
# Every field of every kind: the test says so when one is added.
DRAFTED = {
    Category: WORDS | {"code": CODE, "position": 99, "parent": None},
    Attribute: WORDS | {
        "code": CODE, "type": "object", "of": "text", "fields": {"x": {"type": "text"}}, "unit": "km", "example": "e", "personal": "none",
        "constraints": {"maximum": 1}, "watch_until": date(2030, 1, 1),
    },
    Tag: WORDS | {
        "code": CODE, "category": None, "owner": "service", "status": "draft", "successor": None, "synonyms": ["x"], "one_of": [["x"]],
        "watch_until": date(2030, 1, 1), "system": False,
    },
    Source: WORDS | {
        "code": CODE, "source_kind": "partner", "owner": "service", "region": "US", "timezone": "Asia/Tokyo", "currency": "JPY",
        "namespace": "drafted", "hold_unreadable_phone": False, "separate_rows": True, "replay_held": True, "envelope": {"preset": "flat"},
    },
    MappingRule: {
        "source": None, "position": 99, "match": "exact", "name": Concat(Value("drafted_"), F("name")), "below_version": "1", "until": date(2020, 1, 1),
        "condition_path": "", "condition_operator": "", "condition_value": "", "tag": None, "keep_unmapped": False, "note": "drafted",
    },
}  # fmt: skip


@pytest.fixture
def sent(standard, settings):
    """What every door holds before anybody touches the draft; a write key of the website and a webhook."""
    # so that "3 days ago" is what pages say for as long as the test takes
    received_at = timezone.now() - timedelta(days=3, minutes=30)
    Release.objects.update(published_at=received_at)
    incoming = [Incoming(json.dumps(one).encode()) for one in SENT]
    for source in ("website", "till"):
        receive(incoming, source_code=source, door="api", received_at=received_at, current=current())
    roll_up(timezone.now())
    judge_streams(received_at)
    FailedRequest.objects.create(source=Source.objects.get(code="website"), cause="key.unknown", hour=timezone.now(), count=1)
    hook = Hook.objects.create(source=Source.objects.get(code="website"), scheme="standard")
    hook.add_secret(SECRET)
    # what a test key sends is answered and not stored
    secret, key = make_write_key()
    key.test = True
    key.save()
    return secret


@pytest.fixture
def agent(client):
    """Somebody who sees customers and what arrives, and no personal data."""
    person = User.objects.create_user("agent@example.com", "x", language="en")
    names = ("view_customer", "view_quarantinereason", "view_importrun", "view_source")
    person.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(person)
    token = ReadToken(user=person, name="t", scopes=["customers"], expires_at=datetime.now(UTC) + timedelta(days=1))
    client.token = token.set_secret()
    token.save()
    return client


def doors(client, secret) -> dict:
    """What they answer: to what was sent before, to what is new, and of what became of it."""
    keys.forget()
    bearer = {"Authorization": f"Bearer {secret}"}
    again = [*SENT, *({**one, "id": f"new {one['id']}"} for one in SENT)]
    said = {"api": client.post("/api/v1/events?dry_run=1", {"events": again}, content_type="application/json", headers=bearer).json()}
    cloud = {"specversion": "1.0", "id": "1", "source": "/website", "type": "product_view", "data": SENT[0]}
    said["cloudevents"] = client.post("/cloudevents", json.dumps(cloud), content_type="application/cloudevents+json", headers=bearer).json()
    message = {"type": "track", "event": "login", "userId": "u1", "messageId": "m1", "writeKey": secret}
    said["segment"] = client.post("/v1/track", message, content_type="application/json").json()
    body = json.dumps(SENT[0]).encode()
    signed = signing.headers([signing.key_of(SECRET)], "1", int(time.time()), body)
    said["hook"] = client.post("/hooks/website", body, content_type="application/json", headers=signed).json()
    elsewhere = client.post("/hooks/drafted_website", body, content_type="application/json", headers=signed)
    said["hook elsewhere"] = elsewhere.status_code
    said["receipts"] = [client.get(f"/api/v1/receipts/{one['id']}", headers=bearer).json() for one in SENT]
    for answer in ("api", "cloudevents", "segment", "hook"):
        assert said[answer].pop("batch", None)
    FailedRequest.objects.filter(source=None).delete()
    return said


def pages(client) -> dict[str, list[str]]:
    """What people and their programs read, line by line."""
    one = Customer.objects.get()
    customer, event = reverse("customer", args=[one.public_id]), Event.objects.order_by("id")[2]
    website, view = Source.every.filter(code__endswith="website").get().pk, named_of("tag", "product_view")
    addresses = [
        customer, f"{customer}?category=product", f"{customer}?source=till", reverse("customer_event", args=[one.public_id, event.public_id]),
        reverse("latest"), reverse("latest") + "?source=website", reverse("admin:ingestion_stream_changelist"),
        reverse("admin:ingestion_stream_changelist") + "?of=source", reverse("admin:tag_health", args=[view]),
        reverse("admin:source_health", args=[website]), reverse("admin:ingestion_quarantinereason_changelist"),
        reverse("admin:ingestion_quarantinereason_changelist") + "?source=till", reverse("admin:index"), reverse("customer_search"),
    ]  # fmt: skip
    said = {}
    for language in ("en", "zh-hans"):
        User.objects.update(language=language)
        said |= {f"{language} {address}": lines(client.get(address)) for address in addresses}
    api = f"/api/v1/customers/{one.public_id}"
    for path in ("", "/timeline", "/timeline?tag=product_view", "/timeline?source=till", "/timeline?category=marketing"):
        said[path] = [client.get(api + path, headers={"Authorization": f"Bearer {client.token}"}).content.decode()]
    return said


def named_of(kind, code):
    return by_code(kind, code).pk


def lines(response) -> list[str]:
    """The content of a page as text."""
    assert response.status_code == 200, response.status_code
    main = re.sub(r"(?s)<(script|style|head|nav|aside)\b.*?</\1>", "", response.content.decode())
    return [
        text
        for one in re.sub(r"<option value=\"([^\"]*)\"", r"\1 <option", main).split("\n")
        if (text := unescape(re.sub(r"<[^>]*>", " ", one)).strip())
    ]


def edit_everything() -> None:
    before = draft_items()
    others = {Tag: {"category": Category.objects.last(), "successor": Tag.objects.last()}}
    others[MappingRule] = {"source": Source.objects.get(code="partner"), "tag": Tag.objects.first()}
    for model, fields in DRAFTED.items():
        names = {field.name for field in model._meta.concrete_fields} - {"id", "created_at", "updated_at", "in_draft"}
        assert names == fields.keys(), model
        model.objects.update(**fields | others.get(model, {}))
    for inline in (TagAttribute, TagMode, Refinement, MappingRow):
        inline.objects.all().delete()
    after = draft_items()
    assert before.keys() == after.keys()
    assert all(before[item] != after[item] for item in before)


def test_no_field_of_the_draft_changes_an_answer_or_a_page(sent, agent):
    answered, shown = doors(agent, sent), pages(agent)
    assert [one["status"] for one in answered["api"]["results"][:3]] == ["duplicate"] * 3
    assert answered["hook"]["duplicate"] == 1
    assert answered["hook elsewhere"] == 404
    edit_everything()
    for address, content in pages(agent).items():
        assert content == shown[address], address
    assert doors(agent, sent) == answered


def test_lists_and_forms_about_what_is_live_have_its_released_names(sent, client):
    """Wherever a source or tag is named that something was sent, made or is chosen for."""
    root = User.objects.create_superuser("root@example.com", "x")
    MqttTopic.objects.create(filter="shops/#", source=Source.objects.get(code="website"))
    TakeBack.objects.create(
        source=Source.objects.get(code="website"), tag=Tag.objects.get(code="login"), received_until=timezone.now(), looked_at=timezone.now(),
        decided_at=timezone.now(), state="taken", looked_by=root, decided_by=root, reason="r", taken_at=timezone.now(),
    )  # fmt: skip
    Leak.objects.create(
        source=Source.objects.get(code="website"), tag=Tag.objects.get(code="login"), attribute="note", kind="phone", count=3, lookalikes=0,
        planned=True, first_at=timezone.now(), last_at=timezone.now(), example="138****8000",
    )  # fmt: skip
    key, hook = WriteKey.objects.get(), Hook.objects.get()
    edit_everything()
    client.force_login(root)
    lists = ("writekey", "hook", "mqtttopic", "importrun", "takeback", "replay", "failedrequest", "leak")
    addresses = [reverse(f"admin:ingestion_{one}_changelist") for one in lists]
    addresses += [reverse(f"admin:ingestion_{one}_add") for one in ("writekey", "hook", "mqtttopic", "importrun", "takeback")]
    addresses += [reverse("admin:ingestion_writekey_change", args=[key.pk]), reverse("admin:ingestion_hook_change", args=[hook.pk])]
    for address in addresses:
        assert not [line for line in lines(client.get(address)) if "rafted" in line], address


def test_personal_data_is_left_out_of_webhooks_until_a_release_says_otherwise(sent):
    assert "address" in announce.personal_codes()
    Attribute.objects.update(personal="none", type="text", of="")
    assert "address" in announce.personal_codes()


def test_what_the_draft_deletes_stays_live(sent, agent):
    answered, shown = doors(agent, sent), pages(agent)
    MappingRule.objects.all().delete()
    Tag.objects.update(successor=None)
    for model in (Tag, Attribute):
        for row in model.objects.all():
            remove(row, by=None)
    Category.objects.update(parent=None)
    Category.objects.all().delete()
    for row in Source.objects.all():
        remove(row, by=None)
    assert not draft_items()
    for address, content in pages(agent).items():
        assert content == shown[address], address
    assert doors(agent, sent) == answered


def test_ties_drawn_anew_go_by_the_released_numbering(sent):
    tied = set(Event.objects.filter(subject__isnull=False).values_list("id", "subject__namespace"))
    Source.objects.update(namespace="drafted")
    before = set(Subject.objects.values_list("kind", "namespace", "value"))
    with connection.cursor() as cursor:
        queue_untied(cursor, list(Event.objects.values_list("id", flat=True)))
    assert tie_anew()
    assert set(Subject.objects.values_list("kind", "namespace", "value")) == before
    assert set(Event.objects.filter(subject__isnull=False).values_list("id", "subject__namespace")) == tied


def test_an_attribute_is_hidden_as_soon_as_the_draft_calls_it_personal_and_shown_again_by_a_release_alone(sent, agent):
    product = Attribute.objects.get(code="product_id")
    address = Attribute.objects.get(code="address")
    assert "product_id" not in personal_codes()
    product.personal, product.code = "identity", "goods_id"
    product.save()
    assert {"product_id", "goods_id"} <= personal_codes()
    one = Customer.objects.get()
    timeline = agent.get(f"/api/v1/customers/{one.public_id}/timeline", headers={"Authorization": f"Bearer {agent.token}"}).json()
    assert not any("product_id" in event["attributes"] for event in timeline["results"])
    product.personal, product.code = "none", "product_id"
    product.save()
    assert "product_id" not in personal_codes()
    address.personal = "none"
    address.save()
    assert "address" in personal_codes()
    publish(notes="t", by=None)
    refresh()
    assert "address" not in personal_codes()


def test_what_a_release_took_out_keeps_the_name_it_had(sent):
    tag = Tag.objects.get(code="gift_send")
    pk = tag.pk
    assert named("tag", [pk])[pk].code == "gift_send"
    MappingRule.objects.filter(tag=tag).delete()
    Tag.objects.filter(successor=tag).update(successor=None)
    tag.delete()
    publish(notes="t", by=None)
    refresh()
    assert str(pk) not in items_of(Release.objects.first())
    assert named("tag", [pk])[pk].code == "gift_send"
