"""Vendors' packs: whole as a plan, and what they make of what vendors really send."""

import base64
import hashlib
import hmac
import io
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import batched
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import zstandard
from conftest import SHARED, publish_starter
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.urls import reverse

from ingestion.admin.hooks import USED_BY
from ingestion.doors.deliver import REQUEST_BYTES
from ingestion.doors.segment import CALLS, MESSAGE_BYTES
from ingestion.doors.signatures import SCHEMES
from ingestion.models import Hook, WriteKey
from profiles.models import Customer, Event
from profiles.summary import summary
from staff.models import User
from taxonomy import current as releases
from taxonomy.definition import definition
from taxonomy.models import MappingRule, Release, Revision, Source
from taxonomy.packs import packs, row_of
from taxonomy.packs.load import add_rules, load_pack
from taxonomy.packs.page import page
from taxonomy.publish import publish, unreleased
from taxonomy.standardize import Refusal, check_plan, compile_plan, decode_body, encode_json, message_key_of, read, standardize, told_apart
from taxonomy.starter import starter_items

RECEIVED_AT = datetime(2026, 11, 1, tzinfo=UTC)
ITEMS = starter_items()
TAGS = {item["code"]: uuid for uuid, item in ITEMS.items() if item["kind"] == "tag"}
for _name, _pack in packs().items():
    _made, _missing = _pack.items(code=_name, owner="marketing", tags=TAGS)
    assert not _missing, _name
    # As a company in the United States would set the shop that names neither.
    next(iter(_made.values()))["currency"] = next(iter(_made.values()))["currency"] or "USD"
    ITEMS |= _made
PLAN = compile_plan(ITEMS)


def results(vendor: str, record: Any) -> Iterator[tuple[str | None, Any]]:
    """(the name as sent, its result or refusal) of each event in a record."""
    original = record if isinstance(record, bytes) else encode_json(record)
    for raw in read(decode_body(original), PLAN.sources[vendor], PLAN, received_at=RECEIVED_AT, original=original):
        yield (None, raw) if isinstance(raw, Refusal) else (raw.name, standardize(raw, PLAN))


def only(vendor: str, record: Any) -> Any:
    ((_name, result),) = results(vendor, record)
    return result


def test_every_pack_is_whole_and_holds_together():
    assert check_plan(ITEMS) == []
    for pack in packs().values():
        assert pack.hook.get("scheme", "plain") in SCHEMES and pack.hook.keys() <= {"scheme", "kept_headers", "packed_in", "answer"}
        assert pack.hook.get("answer", "counts") in Hook.Answer
        for label in ("label_en", "label_zh_hans", "description_en", "description_zh_hans"):
            assert pack.source[label]


def test_the_page_is_written_from_the_packs():
    written = (Path(__file__).resolve().parent.parent / "docs" / "vendors.md").read_text(encoding="utf-8")
    assert written == page(), "run: manage.py packs --write"


@pytest.mark.parametrize(
    ("text", "path", "transforms"),
    [("a", "a", ""), ("a || b", "a || b", ""), ("a || b | upper", "a || b", "upper"), ("| constant(x)", "", "constant(x)"), ("a | b | c", "a", "b | c")],
)  # fmt: skip
def test_a_row_is_a_path_and_transforms(text, path, transforms):
    assert row_of("t", text) == {"target": "t", "path": path, "transforms": transforms}


def shopify(topic: str, **body) -> dict:
    return {"_request": {"x-shopify-topic": topic, "x-shopify-webhook-id": "w1"}, "updated_at": "2026-01-01T00:00:00Z", **body}


CUSTOMER = {"id": 7, "email": "kim@example.com", "phone": "+12025550123"}
ORDER = {
    "id": 5, "total_price": "59.90", "currency": "USD", "financial_status": "paid", "customer": CUSTOMER, "line_items": [{"product_id": 9, "quantity": 2}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("vendor", "record", "tag", "attributes"),
    [
        ("shopify", shopify("orders/paid", **ORDER), "purchase", {"order_id": "5", "quantity": 2}),
        ("shopify", shopify("orders/create", **ORDER), "purchase", {"order_id": "5"}),
        ("shopify", shopify("orders/create", **{**ORDER, "financial_status": "pending"}), "checkout_start", {"product_ids": ["9"]}),
        ("shopify", shopify("checkouts/update", **ORDER), "checkout_start", {"item_count": 1}),
        ("shopify", shopify("orders/cancelled", **ORDER, cancel_reason="fraud"), "order_cancel", {"cancelled_by": "merchant"}),
        ("stripe", {"id": "evt", "type": "charge.succeeded", "created": 1700000000, "data": {"object": {"id": "ch", "payment_intent": "pi", "amount": 1099, "currency": "usd", "billing_details": {"email": "kim@example.com"}}}}, "purchase", {"order_id": "pi", "currency": "USD"}),
        ("stripe", {"id": "evt", "type": "charge.refunded", "created": 1700000000, "data": {"object": {"id": "ch", "amount": 1000, "amount_refunded": 500, "currency": "jpy", "receipt_email": "kim@example.com"}}}, "refund", {"order_id": "ch"}),
        ("vonage", b"msisdn=12025550123&to=1&messageId=m&text=+STOP&type=text&message-timestamp=2026-01-01+00:00:00", "unsubscribe", {"message_channel": "sms", "reason": "STOP"}),
        ("wechat", b"<xml><FromUserName>o6_bmjrPTlm6_2sgVt7hMZOPfL2M</FromUserName><CreateTime>1700000000</CreateTime><MsgType>event</MsgType><Event>subscribe</Event><EventKey>qrscene_spring</EventKey></xml>", "ad_click", {"campaign": "spring"}),
        ("wechat", "<xml><FromUserName>o6_bmjrPTlm6_2sgVt7hMZOPfL2M</FromUserName><CreateTime>1700000000</CreateTime><MsgType>text</MsgType><Content>退订</Content><MsgId>1</MsgId></xml>".encode(), "unsubscribe", {"message_channel": "wechat"}),
        ("aliyun_sms", {"phone_number": "13800138000", "content": "TD", "send_time": "2026-01-01 00:00:00", "sequence_id": 12}, "unsubscribe", {"reason": "TD"}),
        ("aliyun_sms", {"phone_number": "13800138000", "success": False, "err_code": "MOBILE_NOT_ON_SERVICE", "report_time": "20260101000000", "biz_id": "b"}, "sms_failed", {"error_code": "MOBILE_NOT_ON_SERVICE"}),
        ("woocommerce", {"_request": {"x-wc-webhook-topic": "order.updated"}, "id": 5, "status": "cancelled", "total": "1.00", "currency": "USD", "date_modified_gmt": "2026-01-01T00:00:00", "billing": {"email": "kim@example.com"}}, "order_cancel", {"order_id": "5"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_a_vendor_sends_is_what_it_means(vendor, record, tag, attributes):
    result = only(vendor, record)
    assert (result.verdict, result.tag_code) == ("accepted", tag), result.violations
    assert {key: result.attributes[key] for key in attributes} == attributes


def stripe(name: str, *, before: dict | None = None, **object) -> dict:
    told = {"receipt_email": "kim@example.com", "currency": "usd", **object}
    return {"id": "evt", "type": name, "created": 1700000000, "data": {"object": told, "previous_attributes": before}}


@pytest.mark.parametrize(
    ("currency", "amount"), [("usd", "51.24"), ("jpy", "5124"), ("ugx", "51.24"), ("isk", "51.24"), ("kwd", "5.124"), ("tnd", "5.124")]
)
def test_an_amount_in_the_smallest_unit_is_divided_where_there_is_one(currency, amount):
    for record in (
        stripe("charge.succeeded", id="ch", amount=5124, currency=currency),
        stripe("checkout.session.completed", id="cs", payment_status="paid", mode="payment", amount_total=5124, currency=currency),
        stripe("charge.refunded", id="ch", amount_refunded=5124, currency=currency),
    ):
        assert only("stripe", record).attributes["amount"]["amount"] == Decimal(amount)


@pytest.mark.parametrize(
    ("name", "object", "tag", "order"),
    [
        ("checkout.session.completed", {"payment_status": "paid", "payment_intent": "pi"}, "purchase", "pi"),
        ("checkout.session.completed", {"payment_status": "unpaid", "payment_intent": "pi"}, "checkout_start", "pi"),
        ("checkout.session.async_payment_succeeded", {"payment_status": "paid", "payment_intent": "pi"}, "purchase", "pi"),
        ("checkout.session.async_payment_failed", {"payment_status": "unpaid", "payment_intent": "pi"}, "order_cancel", "pi"),
        ("checkout.session.completed", {"payment_status": "paid", "mode": "subscription", "invoice": "in"}, "checkout_start", "in"),
        ("charge.succeeded", {"payment_intent": "pi", "invoice": "in"}, "purchase", "pi"),
        ("charge.succeeded", {"payment_intent": "pi", "captured": True, "amount_captured": 1000, "amount_refunded": 0}, "purchase", "pi"),
        ("charge.succeeded", {"payment_intent": "pi", "captured": False, "amount_captured": 0}, "checkout_start", "pi"),
        ("charge.captured", {"payment_intent": "pi", "captured": True, "amount_captured": 1000}, "purchase", "pi"),
        ("charge.refunded", {"payment_intent": "pi", "captured": False, "amount_refunded": 1000}, "order_cancel", "pi"),
        ("charge.expired", {"payment_intent": "pi", "captured": False}, "order_cancel", "pi"),
    ],
)
def test_only_a_payment_at_stripe_is_a_purchase(name, object, tag, order):
    result = only("stripe", stripe(name, **{"id": "cs", "mode": "payment", "amount": 1000, "amount_total": 1000, **object}))
    assert (result.verdict, result.tag_code, result.attributes["order_id"]) == ("accepted", tag, order), result.violations


def test_each_refund_at_stripe_is_told_with_its_own_amount_and_number():
    first = stripe("charge.refunded", id="ch", amount_refunded=1000, before={"amount_refunded": 0})
    second = stripe("charge.refunded", id="ch", amount_refunded=2500, before={"amount_refunded": 1000})
    embedded = stripe(
        "charge.refunded", id="ch", amount_refunded=2500, refunds={"data": [{"id": "re_2", "amount": 1500}, {"id": "re_1", "amount": 1000}]}
    )
    found = [only("stripe", record).attributes for record in (first, second, embedded)]
    assert [(one["refund_id"], float(one["amount"]["amount"])) for one in found] == [("ch-1000", 10), ("ch-2500", 15), ("re_2", 15)]


@pytest.mark.parametrize(("version", "told_as_refunded"), [("2024-12-18.acacia", 400), ("2025-03-31.basil", 0)])
def test_of_a_payment_captured_in_part_only_that_part_is_paid(version, told_as_refunded):
    charge = {
        "id": "ch",
        "payment_intent": "pi",
        "captured": True,
        "amount": 1000,
        "amount_captured": 600,
        "amount_refunded": told_as_refunded,
    }
    told = [stripe("charge.captured", **charge), stripe("payment_intent.succeeded", id="pi", amount=1000, amount_received=600)]
    if told_as_refunded:
        told.append(stripe("charge.refunded", before={"amount_refunded": 0}, **charge))
    amounts = {"purchase": set(), "refund": {Decimal()}}
    for result in (only("stripe", record | {"api_version": version}) for record in told):
        if result.tag_code in amounts:
            amounts[result.tag_code].add(result.attributes["amount"]["amount"])
    (paid,) = amounts["purchase"]
    assert paid - max(amounts["refund"]) == 6


def test_a_phone_typed_at_a_checkout_does_not_hold_the_order():
    order = {**ORDER, "customer": {**CUSTOMER, "phone": "call me"}}
    result = only("shopify", shopify("orders/paid", **order))
    assert result.verdict == "accepted" and result.subject.kind == "user_id" and result.phone is None
    assert "phone.unreadable" in {one.code for one in result.violations}


# ── what vendors really send


def _json(path: str) -> Any:
    return json.loads((SHARED / path).read_text(encoding="utf-8"))


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _mails(vendor: str) -> Iterator[Any]:
    for case in _json(f"b07-email-webhooks/{vendor}_webhooks.json"):
        yield from _each(case["body"])


def _shopify() -> Iterator[Any]:
    topics = {"order": ("orders/paid", "orders/create", "orders/cancelled"), "customer": ("customers/create", "customers/update")}
    for kind, named in topics.items():
        for topic in named:
            yield {
                "_request": {"x-shopify-topic": topic, "x-shopify-webhook-id": topic},
                **_json(f"b04-shopify/fixtures/{kind}.json")[kind],
            }


def _woocommerce() -> Iterator[Any]:
    for folder, topic in (("orders", "order.updated"), ("customers", "customer.updated")):
        for path in sorted((SHARED / "b05-woocommerce" / folder).glob("*.json")):
            for one in _each(json.loads(path.read_text())):
                if isinstance(one, dict) and "billing" in one:
                    yield {"_request": {"x-wc-webhook-topic": topic}, **one}


def _stripe() -> Iterator[Any]:
    objects = _json("b06-stripe/fixtures3.json")["resources"]
    known = ("checkout.session", "charge", "payment_intent", "customer")
    for path in sorted((SHARED / "b06-stripe/triggers").glob("*.json")):
        kind = next((one for one in known if path.stem.rpartition(".")[0] == one), "")
        if kind:
            # Each a customer of theirs: the samples name none.
            yield {"id": path.stem, "type": path.stem, "created": 1700000000, "data": {"object": {"customer": "cus_1", **{key: value for key, value in objects[kind].items() if value is not None}}}}  # fmt: skip


def _vonage() -> Iterator[bytes]:
    for path in sorted((SHARED / "b08-vonage-sms-voice").rglob("*.txt")):
        head, _gap, body = path.read_text().replace("\r\n", "\n").partition("\n\n")
        yield (body.strip() or head.split()[1].partition("?")[2]).encode()


def _wechat() -> Iterator[bytes]:
    for path in sorted((SHARED / "b09-wechat-events").rglob("*.xml")):
        yield path.read_bytes()


def _cn(folder: str) -> Iterator[Any]:
    for path in sorted((SHARED / "b10-cn-and-sms-callbacks" / folder).glob("*.json")):
        yield from _each(json.loads(path.read_text(encoding="utf-8")))


def _segment_spec() -> Iterator[Any]:
    for line in (SHARED / "b03-segment-spec/json-payloads.ndjson").read_text().splitlines():
        yield json.loads(line)["payload"]
    for line in (SHARED / "b03-segment-spec/js-calls.ndjson").read_text().splitlines():
        call = json.loads(line)
        if call["call"] == "track" and call["args"] and isinstance(call["args"][0], str):
            properties = call["args"][1] if len(call["args"]) > 1 and isinstance(call["args"][1], dict) else {}
            yield {"type": "track", "userId": "u", "event": call["args"][0], "properties": properties}


def _rudder() -> Iterator[Any]:
    with (SHARED / "b02-rudder-events/events.dev.ndjson.zst").open("rb") as packed:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), encoding="utf-8"):
            yield json.loads(line)["message"]


SENT = {
    "shopify": _shopify, "woocommerce": _woocommerce, "stripe": _stripe, "vonage": _vonage, "wechat": _wechat,
    "sendgrid": lambda: _mails("sendgrid"), "mailgun": lambda: _mails("mailgun"), "postmark": lambda: _mails("postmark"),
    "ses": lambda: _mails("amazon_ses"), "mandrill": lambda: _mails("mandrill"),
    "sensors": lambda: _cn("sensors"), "aliyun_sms": lambda: _cn("aliyun"), "ga4": lambda: _cn("ga4"),
    "segment_ecommerce": _segment_spec, "segment_ecommerce (rudder)": _rudder,
}  # fmt: skip
# By their first reason. Names without a tag are the most of what is held: what a company does not need, it switches off at the vendor.
EXPECTED: dict[str, dict[str, Any]] = {
    "shopify": {"accepted": {"checkout_start": 1, "order_cancel": 1, "profile_update": 1, "purchase": 1, "register": 1}, "held": {}},
    "woocommerce": {"accepted": {"profile_update": 6, "purchase": 6, "refund": 2}, "held": {}},
    "stripe": {"accepted": {"checkout_start": 2, "order_cancel": 4, "profile_update": 2, "purchase": 2}, "held": {"attribute.missing": 1, "event.unknown": 8}},
    "vonage": {"accepted": {"customer_service_call": 2, "feedback_submit": 4, "sms_delivered": 3}, "held": {"event.name_missing": 7, "event.unknown": 8, "record.not_form": 1}},
    "wechat": {"accepted": {"customer_service_chat": 1, "feedback_submit": 1}, "held": {"event.unknown": 42, "time.impossible": 7}},
    "sendgrid": {"accepted": {"email_bounce": 3, "email_click": 1, "email_delivered": 2, "email_open": 1}, "held": {"event.unknown": 2, "phone.missing": 1}},
    "mailgun": {"accepted": {"email_bounce": 3, "email_click": 1, "email_delivered": 1, "email_open": 1, "unsubscribe": 2}, "held": {"event.name_missing": 11, "event.unknown": 2}},
    "postmark": {"accepted": {"email_bounce": 1, "email_click": 1, "email_delivered": 1, "email_open": 1, "unsubscribe": 3}, "held": {"event.unknown": 1, "phone.missing": 1}},
    "ses": {"accepted": {"email_bounce": 3, "email_click": 1, "email_delivered": 1, "email_open": 1, "unsubscribe": 1}, "held": {"event.unknown": 13}},
    "mandrill": {"accepted": {"email_bounce": 1, "email_click": 1, "email_delivered": 2}, "held": {"event.unknown": 1}},
    "sensors": {"accepted": {"identity_link": 2, "product_view": 1, "profile_update": 2}, "held": {"event.unknown": 7}},
    "aliyun_sms": {"accepted": {"sms_delivered": 2}, "held": {}},
    "ga4": {"accepted": {"purchase": 1}, "held": {}},
    "segment_ecommerce": {"accepted": {"ad_click": 2, "add_to_cart": 2, "category_view": 2, "checkout_start": 2, "favorite_add": 2, "login": 1, "order_cancel": 2, "product_view": 4, "profile_update": 1, "purchase": 2, "refund": 2, "register": 2, "remove_from_cart": 2, "review_submit": 4, "search": 2, "share": 2, "view_page": 2}, "held": {"attribute.pattern": 1, "event.unknown": 81, "phone.missing": 3}},
    "segment_ecommerce (rudder)": {"accepted": {"add_to_cart": 5, "category_view": 3, "checkout_start": 7, "identity_link": 89, "order_cancel": 2, "product_view": 12, "profile_update": 187, "purchase": 27, "refund": 3, "register": 1, "remove_from_cart": 1, "review_submit": 11, "view_page": 78}, "held": {"attribute.missing": 83, "attribute.not_allowed": 7, "attribute.pattern": 17, "attribute.wrong_type": 29, "envelope.wrong_type": 4, "event.name_missing": 40, "event.unknown": 622, "phone.invalid": 31, "phone.missing": 40, "phone.region_unknown": 88, "time.impossible": 32, "time.invalid": 12}},
}  # fmt: skip


@pytest.mark.needs("shared-data")
@pytest.mark.parametrize("sent", SENT)
def test_what_vendors_really_send_is_accepted_or_held_for_a_reason(sent):
    tags, held = Counter[str](), Counter[str]()
    for record in SENT[sent]():
        for _name, result in results(sent.partition(" ")[0], record):
            if isinstance(result, Refusal):
                held[result.code] += 1
            elif result.verdict == "accepted":
                tags[result.tag_code] += 1
            else:
                held[next(one.code for one in result.violations if one.blocking)] += 1
    assert {"accepted": dict(sorted(tags.items())), "held": dict(sorted(held.items()))} == EXPECTED[sent]


# ── in the admin


@pytest.fixture
def starter(departments):
    publish_starter()


@pytest.mark.django_db
def test_a_pack_becomes_a_draft_and_never_a_release(starter, admin_client):
    before = Release.objects.count()
    url = reverse("admin:taxonomy_source_from_pack")
    assert admin_client.get(url).status_code == 200
    answer = admin_client.post(url, {"pack": "shopify", "code": "", "owner": "marketing", "region": "US", "currency": "USD"})
    source = Source.objects.get(code="shopify")
    assert answer["Location"] == reverse("admin:taxonomy_source_rules", args=[source.pk])
    assert (source.region, source.currency, source.owner_id) == ("US", "USD", "marketing")
    rules = MappingRule.objects.filter(source=source)
    assert rules.count() == len(packs()["shopify"].rules) and [one.position for one in rules] == list(range(rules.count()))
    assert {str(source.pk), *map(str, rules.values_list("pk", flat=True))} <= {str(change.item) for change in unreleased()}
    why = Revision.objects.get(item=source.pk).why
    assert all(packs()["shopify"].source[label] in why for label in ("label_en", "label_zh_hans")), why
    assert Release.objects.count() == before
    again = admin_client.post(url, {"pack": "shopify", "code": "", "owner": "marketing"})
    assert again.status_code == 200 and Source.objects.filter(code="shopify").count() == 1
    assert admin_client.post(url, {"pack": "shopify", "code": "shopify_two", "owner": "marketing"}).status_code == 302


@pytest.mark.django_db
def test_a_rule_to_a_tag_that_the_company_does_not_have_is_left_out(standard, admin_client):
    admin_client.post(reverse("admin:taxonomy_source_from_pack"), {"pack": "sendgrid", "owner": "marketing"})
    tags = {one.tag.code for one in MappingRule.objects.filter(source__code="sendgrid")}
    assert tags < {rule["tag"] for rule in packs()["sendgrid"].rules}


@pytest.mark.django_db
def test_segments_names_are_added_to_a_source_there_is(starter, admin_client):
    source = Source.objects.get(code="website")
    own, before = list(source.rules.values_list("pk", flat=True)), Source.objects.count()
    link = f"{reverse('admin:taxonomy_source_from_pack')}?pack=segment_ecommerce&amp;source={source.pk}"
    assert link in admin_client.get(reverse("admin:taxonomy_source_rules", args=[source.pk])).content.decode()
    page = admin_client.get(link.replace("&amp;", "&")).content.decode()
    assert 'value="segment_ecommerce" selected' in page and f'value="{source.pk}" selected' in page
    url = reverse("admin:taxonomy_source_from_pack")
    answer = admin_client.post(url, {"pack": "segment_ecommerce", "source": source.pk})
    assert answer["Location"] == reverse("admin:taxonomy_source_rules", args=[source.pk])
    rules = list(source.rules.order_by("position"))
    assert [one.pk for one in rules[: len(own)]] == own and Source.objects.count() == before
    assert [one.name for one in rules[len(own) :]] == [rule["name"] for rule in packs()["segment_ecommerce"].rules]
    assert next(one for one in rules if one.name == "Order Completed").tag.code == "purchase"
    admin_client.post(url, {"pack": "segment_ecommerce", "source": source.pk})
    assert source.rules.count() == len(rules)


@pytest.mark.django_db
def test_rules_for_a_vendors_own_records_are_for_no_other_source(starter, admin_client):
    source = Source.objects.get(code="website")
    before = source.rules.count()
    answer = admin_client.post(reverse("admin:taxonomy_source_from_pack"), {"pack": "shopify", "source": source.pk})
    assert answer.status_code == 200 and "source" in answer.context["form"].errors and source.rules.count() == before
    answer = admin_client.post(reverse("admin:taxonomy_source_from_pack"), {"pack": "shopify", "code": "mine"})
    assert "owner" in answer.context["form"].errors


@pytest.mark.django_db(transaction=True)
def test_an_order_by_segments_client_counts_for_a_source_that_got_segments_names(starter, client):
    by, source = User.objects.create_superuser("steward@example.com", "x"), Source.objects.get(code="website")
    add_rules(packs()["segment_ecommerce"], source, by=by)
    publish({str(one.pk): definition(one) for one in source.rules.all()}, notes="t", by=None)
    releases.forget()
    key = WriteKey(source=source)
    secret = key.set_secret()
    key.save()
    order = {
        "type": "track", "event": "Order Completed", "messageId": "m-1", "userId": "7", "context": {"traits": {"phone": "+8613800138000"}},
        "properties": {"order_id": "o-1", "total": 59.9, "currency": "CNY"},
    }  # fmt: skip
    basic = base64.b64encode(f"{secret}:".encode()).decode()
    assert client.post("/v1/track", order, content_type="application/json", headers={"Authorization": f"Basic {basic}"}).status_code == 200
    event = Event.objects.get(name="Order Completed")
    assert (event.standing, event.tag.code, event.attributes["order_id"]) == (Event.Standing.COUNTED, "purchase", "o-1"), event.report


@pytest.mark.django_db
def test_a_vendors_webhook_is_filled_in_and_its_secret_not_shown_again(starter, admin_client):
    source = Source.objects.get(code="website")
    assert "Segment" in admin_client.get(reverse("admin:ingestion_hook_of_vendor")).content.decode(), "told where its names are"
    chosen = admin_client.post(reverse("admin:ingestion_hook_of_vendor"), {"pack": "shopify"})
    form = admin_client.get(chosen["Location"]).context["adminform"].form
    assert form.initial["scheme"] == "shopify" and "X-Shopify-Topic" in form.initial["kept_headers"]
    sent = {
        "source": str(source.pk),
        "name": "",
        "scheme": "shopify",
        "secret": "",
        "kept_headers": "",
        "packed_in": "",
        "answer": "counts",
        "per_second": "0",
        "header": "",
    }
    add = reverse("admin:ingestion_hook_add")
    assert "secret" in admin_client.post(add, sent).context["adminform"].form.errors
    answer = admin_client.post(add, {**sent, "secret": "the-secret-of-shopify"}, follow=True)
    hook = Hook.objects.get()
    assert hook.working_secrets(RECEIVED_AT.replace(year=2030)) == ["the-secret-of-shopify"]
    page = answer.content.decode()
    assert "/hooks/website" in page and "the-secret-of-shopify" not in page and "…pify" in page


@pytest.mark.django_db
def test_a_secret_made_here_is_shown_once_and_can_be_exchanged(starter, admin_client):
    source = Source.objects.get(code="website")
    sent = {"source": str(source.pk), "scheme": "standard", "secret": "", "answer": "counts", "per_second": "0"}
    shown = admin_client.post(reverse("admin:ingestion_hook_add"), sent)
    (secret,) = (hook := Hook.objects.get()).working_secrets(RECEIVED_AT)
    assert secret.startswith("whsec_") and secret in shown.content.decode() and "no-store" in shown["Cache-Control"]
    assert secret not in admin_client.get(reverse("admin:ingestion_hook_change", args=[hook.pk])).content.decode()
    url = reverse("admin:ingestion_hook_new_secret", args=[hook.pk])
    assert admin_client.get(url).status_code == 200
    assert admin_client.post(url, {"secret": "not base64!", "hours": "24"}).status_code == 200
    assert hook.secrets.count() == 1
    admin_client.post(url, {"secret": "", "hours": "24"})
    now = datetime.now(UTC)
    hook = Hook.objects.get()
    assert len(hook.working_secrets(now)) == 2 and len(hook.working_secrets(now.replace(year=now.year + 1))) == 1


@pytest.mark.django_db
def test_a_webhook_is_of_the_standard_unless_chosen_otherwise_and_its_address_is_at_hand(starter, admin_client):
    source, add = Source.objects.get(code="website"), reverse("admin:ingestion_hook_add")
    assert admin_client.get(add).context["adminform"].form["scheme"].value() == "standard"
    for scheme, names in USED_BY.items():
        assert set(names) <= SCHEMES.keys(), scheme
    for pack in packs().values():
        assert all(pack.hook["scheme"] in USED_BY[name] for name in pack.hook if name in USED_BY), pack.name
    for scheme in ("standard", "plain"):
        sent = {"source": str(source.pk), "scheme": scheme, "secret": "", "answer": "counts", "per_second": "5"}
        shown = admin_client.post(add, sent).content.decode()
        assert '<code id="secret-address">http://testserver/hooks/website</code>' in shown and 'data-copy="#secret-address"' in shown
        assert ("Authorization: Bearer" in shown) == (scheme == "plain")
    assert admin_client.get(reverse("admin:ingestion_hook_changelist")).content.decode().count("http://testserver/hooks/website<") == 2
    (standard,) = Hook.objects.filter(scheme="standard")
    assert standard.per_second == 5
    Hook.objects.filter(pk=standard.pk).update(scheme="stripe", packed_in="data")
    page = admin_client.get(reverse("admin:ingestion_hook_change", args=[standard.pk])).content.decode()
    assert "http://testserver/hooks/website" in page
    assert [name for name in ("header", "kept_headers", "packed_in") if f'name="{name}"' in page] == ["packed_in"]
    assert 'name="per_second"' in page


WECHAT = {"secret": "token", "aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "app_id": "wx2c2769f8efd9abc2"}


@pytest.mark.django_db
def test_what_wechat_encrypts_with_is_asked_for_whole(starter, admin_client):
    sent = {"source": str(Source.objects.get(code="website").pk), "scheme": "wechat_aes", "answer": "success", "per_second": "0"}
    add = reverse("admin:ingestion_hook_add")
    for gone in WECHAT:
        answer = admin_client.post(add, sent | WECHAT | {gone: ""})
        assert "secret" in answer.context["adminform"].form.errors and WECHAT["aes_key"] not in answer.content.decode()
    admin_client.post(add, sent | WECHAT)
    hook = Hook.objects.get()
    assert hook.working_secrets(RECEIVED_AT) == [" ".join(WECHAT.values())]
    url = reverse("admin:ingestion_hook_new_secret", args=[hook.pk])
    assert admin_client.post(url, {"secret": "other", "hours": "24"}).status_code == 200 and hook.secrets.count() == 1
    admin_client.post(url, WECHAT | {"secret": "other", "hours": "24"})
    assert hook.secrets.count() == 2


@pytest.mark.django_db
def test_sendgrids_verification_key_must_be_one(starter, admin_client):
    key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
    sent = {"source": str(Source.objects.get(code="website").pk), "scheme": "sendgrid", "answer": "counts", "per_second": "0"}
    add = reverse("admin:ingestion_hook_add")
    for wrong in ("", "a-token-of-my-own-making", key[:-8]):
        assert "secret" in admin_client.post(add, sent | {"secret": wrong}).context["adminform"].form.errors
    admin_client.post(add, sent | {"secret": key})
    assert Hook.objects.get().working_secrets(RECEIVED_AT) == [key]


# ── whole: a pack drafted, released, and its vendor's requests through the door


@pytest.fixture
def vendor(starter, client):
    """Release a vendor's pack with a webhook of one secret; answers how its requests are posted."""

    def make(name: str):
        by = User.objects.create_superuser("steward@example.com", "x")
        source, _missing = load_pack(packs()[name], code=name, owner="marketing", currency="USD", by=by)
        items = {str(one.pk): definition(one) for one in (source, *source.rules.all())}
        publish(items, notes="t", by=None)
        releases.forget()
        Hook.objects.create(source=source, **packs()[name].hook).add_secret("the-secret-of-both")
        return partial(client.post, f"/hooks/{name}")

    return make


def _signed(digest: str, text: bytes) -> str:
    return base64.b64encode(hmac.digest(b"the-secret-of-both", text, digest)).decode()


@pytest.mark.django_db(transaction=True)
def test_shopify_is_taken_from_its_signature_to_the_purchase(vendor):
    post, body = vendor("shopify"), json.dumps(ORDER | {"updated_at": "2026-01-01T00:00:00Z"}).encode()
    headers = {"X-Shopify-Topic": "orders/paid", "X-Shopify-Webhook-Id": "w-1", "X-Shopify-Hmac-Sha256": _signed("sha256", body)}
    assert post(body, content_type="application/json", headers=headers).json()["accepted"] == 1
    assert post(body, content_type="application/json", headers=headers).json()["duplicate"] == 1
    assert post(body + b" ", content_type="application/json", headers=headers).status_code == 401
    event = Event.objects.get()
    assert (event.tag.code, event.message_id, event.attributes["order_id"]) == ("purchase", "w-1", "5")


def sums() -> dict[str, float]:
    found = summary(Customer.objects.get(links__subject__kind="phone"))
    return {currency: float(total) for currency, total in found.sums.items()}


@pytest.mark.django_db(transaction=True)
def test_an_order_of_shopify_is_summed_once_and_each_refund_by_its_own(vendor):
    post = vendor("shopify")

    def tell(topic, number, **body):
        text = json.dumps({"customer": CUSTOMER, "updated_at": f"2026-01-01T00:00:0{number}Z", **body}).encode()
        headers = {"X-Shopify-Topic": topic, "X-Shopify-Webhook-Id": f"w-{number}", "X-Shopify-Hmac-Sha256": _signed("sha256", text)}
        assert post(text, content_type="application/json", headers=headers).json()["accepted"] == 1

    tell("orders/create", 1, **ORDER)
    tell("orders/paid", 2, **ORDER)
    assert sums() == {"USD": 59.9}
    for number, refund in ((3, 71), (4, 72), (5, 72)):
        tell("refunds/create", number, id=refund, order_id=5, transactions=[{"amount": "10.00", "currency": "USD"}])
    assert sums() == {"USD": 39.9}


@pytest.fixture
def save(vendor):
    """Post an order of WooCommerce as it stands; `new`: how many of its events are."""
    post = vendor("woocommerce")

    def save(status, number, total="59.90", refunds=(), new=1):
        order = {"id": 5, "status": status, "total": total, "currency": "USD", "date_modified_gmt": f"2026-01-01T00:00:0{number}"}
        order["refunds"] = [{"id": one, "reason": "", "total": amount} for one, amount in refunds]
        text = json.dumps(order | {"billing": {"phone": "+12025550123", "email": "kim@example.com", "country": "US"}}).encode()
        headers = {
            "X-WC-Webhook-Topic": "order.updated",
            "X-WC-Webhook-Delivery-ID": str(number),
            "X-WC-Webhook-Signature": _signed("sha256", text),
        }
        assert post(text, content_type="application/json", headers=headers).json()["accepted"] == new

    return save


@pytest.mark.django_db(transaction=True)
def test_an_order_of_woocommerce_is_summed_once_however_often_it_is_saved(save):
    save("processing", 1)
    save("completed", 3, total="49.90")
    save("processing", 2)
    assert sums() == {"USD": 49.9}
    save("refunded", 4, total="49.90")
    save("refunded", 5, total="49.90")
    assert sums() == {"USD": 0} and Event.objects.filter(standing=1).count() == 5


@pytest.mark.django_db(transaction=True)
def test_each_refund_of_an_order_of_woocommerce_is_told_once(save):
    save("completed", 1)
    save("completed", 2, refunds=[(71, "-10.00")], new=2)
    assert sums() == {"USD": 49.9}
    save("completed", 3, refunds=[(72, "-10.00"), (71, "-10.00")], new=2)
    save("completed", 4, refunds=[(72, "-10.00"), (71, "-10.00")])
    assert sums() == {"USD": 39.9}
    save("refunded", 5, refunds=[(73, "-39.90"), (72, "-10.00"), (71, "-10.00")])
    assert sums() == {"USD": 0} and Event.objects.filter(tag__code="refund").count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_payment_at_stripe_is_summed_once_whichever_of_its_events_come(vendor):
    post = vendor("stripe")

    def tell(name, number, before=None, **object):
        told = {"currency": "usd", "customer": "cus_1", "billing_details": {"phone": "+12025550123"}, **object}
        at = 1700000000 + number
        text = json.dumps(
            {"id": f"evt_{number}", "type": name, "created": at, "data": {"object": told, "previous_attributes": before}}
        ).encode()
        signed_at = int(time.time())
        mac = hmac.new(b"the-secret-of-both", f"{signed_at}.".encode() + text, "sha256").hexdigest()
        answer = post(text, content_type="application/json", headers={"Stripe-Signature": f"t={signed_at},v1={mac}"})
        assert answer.json()["accepted"] == 1, answer.json()

    tell("checkout.session.completed", 1, id="cs", payment_intent="pi", mode="payment", payment_status="paid", amount_total=5000)
    tell("payment_intent.succeeded", 2, id="pi", amount=5000)
    tell("charge.succeeded", 3, id="ch", payment_intent="pi", amount=5000)
    assert sums() == {"USD": 50}
    tell("charge.refunded", 4, {"amount_refunded": 0}, id="ch", payment_intent="pi", amount_refunded=1000)
    tell("charge.refunded", 5, {"amount_refunded": 1000}, id="ch", payment_intent="pi", amount_refunded=2000)
    assert sums() == {"USD": 30}
    tell("checkout.session.completed", 6, id="cs_2", mode="subscription", invoice="in", payment_status="paid", amount_total=900)
    tell("charge.succeeded", 7, id="ch_2", payment_intent="pi_2", amount=900)
    assert sums() == {"USD": 39}


@pytest.mark.django_db(transaction=True)
def test_mandrill_is_taken_from_its_form(vendor):
    events = json.dumps([{"event": "open", "_id": "m", "ts": 1700000000, "msg": {"email": "kim@example.com"}}])
    headers = {"X-Mandrill-Signature": _signed("sha1", f"http://testserver/hooks/mandrillmandrill_events{events}".encode())}
    answer = vendor("mandrill")(urlencode({"mandrill_events": events}), content_type="application/x-www-form-urlencoded", headers=headers)
    assert answer.json()["accepted"] == 1 and Event.objects.get().tag.code == "email_open"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("of_request", [True, False])
def test_a_request_of_ga4_sent_again_counts_once(vendor, of_request):
    post, at = vendor("ga4"), {"timestamp_micros": "1767225600250000"}
    names = ("login", "login", "sign_up")
    events = [{"name": name, "params": {}, **({} if of_request else at)} for name in names]
    body = json.dumps({"client_id": "c", "user_id": "u", **(at if of_request else {}), "events": events})
    told = [post(body, content_type="application/json", headers={"Authorization": "Bearer the-secret-of-both"}).json() for _ in range(2)]
    assert (told[0]["accepted"], told[1]["duplicate"]) == (3, 3), told
    assert {one.occurred_at for one in Event.objects.all()} == {datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)}


def test_an_event_of_ga4_has_its_own_time_before_that_of_its_request():
    events = [{"name": "login", "timestamp_micros": 1767225601000000}, {"name": "login"}]
    found = results("ga4", {"user_id": "u", "timestamp_micros": 1767225600000000, "events": events})
    assert [result.occurred_at.second for _name, result in found] == [1, 0]


@pytest.mark.needs("shared-data")
@pytest.mark.django_db(transaction=True)
def test_sensors_is_taken_as_its_sdks_pack_it(vendor):
    post = vendor("sensors")
    for packed, events in (("wire-gzip0-data_list", 3), ("wire-gzip1-data_list", 3)):
        body = (SHARED / f"b10-cn-and-sms-callbacks/sensors/{packed}.form.txt").read_bytes().strip()
        headers = {"Authorization": "Bearer the-secret-of-both"}
        answer = post(body, content_type="application/x-www-form-urlencoded", headers=headers).json()
        assert (answer["received"], answer["refused"]) == (events, 0), packed


# ── whole: all that vendors really send, through the doors


def _signature(scheme: str, body: bytes, key: ec.EllipticCurvePrivateKey) -> tuple[dict[str, str], dict[str, str]]:
    """(headers, query) of a body as the vendor's scheme proves it; the token where the scheme is plain."""
    at = int(RECEIVED_AT.timestamp())
    if scheme in ("shopify", "woocommerce"):
        return {"X-Shopify-Hmac-Sha256" if scheme == "shopify" else "X-WC-Webhook-Signature": _signed("sha256", body)}, {}
    if scheme == "stripe":
        mac = hmac.digest(b"the-secret-of-both", f"{at}.".encode() + body, "sha256").hex()
        return {"Stripe-Signature": f"t={at},v1={mac}"}, {}
    if scheme == "mandrill":
        fields = "".join(name + value for name, value in parse_qsl(body.decode()))
        return {"X-Mandrill-Signature": _signed("sha1", f"http://testserver/hooks/mandrill{fields}".encode())}, {}
    if scheme == "sendgrid":
        signature = base64.b64encode(key.sign(f"{at}".encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
        return {f"X-Twilio-Email-Event-Webhook-{part}": told for part, told in (("Signature", signature), ("Timestamp", str(at)))}, {}
    if scheme == "wechat":
        signature = hashlib.sha1("".join(sorted(["the-secret-of-both", str(at), "n"])).encode()).hexdigest()
        return {}, {"signature": signature, "timestamp": str(at), "nonce": "n"}
    return ({} if scheme == "mailgun" else {"Authorization": "Bearer the-secret-of-both"}), {}


def _requests(sent: str) -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    """(method, path, what its headers tell, body) of each request in which a vendor sends what it sends, not proved yet."""
    vendor, records = sent.partition(" ")[0], SENT[sent]()
    here = f"/hooks/{vendor}"
    if sent == "segment_ecommerce":
        for message in records:
            call = message.get("type")
            yield "POST", f"/v1/{call if call in CALLS else 'batch'}", {}, encode_json(message if call in CALLS else {"batch": [message]})
    elif vendor == "segment_ecommerce":
        for messages in batched(records, 100):
            yield "POST", "/v1/batch", {}, encode_json({"batch": list(messages)})
    elif vendor == "vonage":
        for path in sorted((SHARED / "b08-vonage-sms-voice").rglob("*.txt")):
            head, _gap, body = path.read_text().replace("\r\n", "\n").partition("\n\n")
            (method, target, _version), *lines = (line.split(" " if not at else ": ") for at, line in enumerate(head.split("\n")))
            # The length is of the body before names were taken out of it.
            headers = {name: value for name, value in lines if name not in ("Host", "Content-Length")}
            yield method, f"{here}?{target.partition('?')[2]}", headers, body.encode()
    elif vendor == "mandrill":
        yield "POST", here, {}, urlencode({"mandrill_events": encode_json(list(records))}).encode()
    elif vendor == "sendgrid":
        yield "POST", here, {}, encode_json(list(records))
    else:
        for record in records:
            headers = record.get("_request", {}) if isinstance(record, dict) else {}
            if vendor == "mailgun":
                at, token = str(int(RECEIVED_AT.timestamp())), "token"
                mac = hmac.digest(b"the-secret-of-both", (at + token).encode(), "sha256").hex()
                record = record | {"signature": {"timestamp": at, "token": token, "signature": mac}}
            body = record if isinstance(record, bytes) else encode_json({name: record[name] for name in record if name != "_request"})
            yield "POST", here, headers, body


def _first_accepted(sent: str) -> Counter[str]:
    """The tags of what is accepted of all that a vendor sends, once for each id: some of the samples are sent under one.

    One sample is larger than a message may be at Segment's door.
    """
    source, found = PLAN.sources[sent.partition(" ")[0]], dict[bytes, str]()
    most = MESSAGE_BYTES if sent.startswith("segment") else REQUEST_BYTES
    for number, record in enumerate(SENT[sent]()):
        original, likes = record if isinstance(record, bytes) else encode_json(record), dict[bytes, int]()
        for raw in read(decode_body(original), source, PLAN, received_at=RECEIVED_AT, original=original) if len(original) <= most else ():
            if isinstance(raw, Refusal):
                continue
            key = told_apart(message_key_of(raw, source, nonce=b"%d" % number), likes)
            if (result := standardize(raw, PLAN)).verdict == "accepted":
                found.setdefault(key, result.tag_code)
    return Counter(found.values())


@pytest.fixture
def all_packs(departments):
    """The starter standard with every vendor's pack in one release, and ways in: {as in SENT: (source, a write key)}, SendGrid's private key."""
    publish_starter()
    by, key = User.objects.create_superuser("steward@example.com", "x"), ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ways = {}
    for sent in SENT:
        pack, code = packs()[sent.partition(" ")[0]], re.sub(r"\W+", "_", sent).strip("_")
        source, _missing = load_pack(pack, code=code, owner="marketing", currency=pack.source.get("currency") or "USD", by=by)
        if pack.hook:
            secret = base64.b64encode(public).decode() if pack.hook["scheme"] == "sendgrid" else "the-secret-of-both"
            Hook.objects.create(source=source, **pack.hook).add_secret(secret)
        write_key = WriteKey(source=source)
        ways[sent] = source, write_key.set_secret()
        write_key.save()
    items = [one for source, _write_key in ways.values() for one in (source, *source.rules.all())]
    publish({str(one.pk): definition(one) for one in items}, notes="t", by=None)
    releases.forget()
    return ways, key


@pytest.mark.needs("shared-data")
@pytest.mark.django_db(transaction=True)
def test_what_vendors_really_send_is_taken_at_the_doors_and_stored_as_the_table_says(all_packs, client, monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: RECEIVED_AT)
    ways, private_key = all_packs
    for sent, expected in EXPECTED.items():
        vendor, counts, (source, write_key) = sent.partition(" ")[0], Counter[str](), ways[sent]
        basic = {"Authorization": "Basic " + base64.b64encode(f"{write_key}:".encode()).decode()}
        for method, path, headers, body in _requests(sent):
            proof, query = _signature(packs()[vendor].hook["scheme"], body, private_key) if packs()[vendor].hook else (basic, {})
            if query:
                path += "?" + urlencode(query)
            content_type = headers.get("Content-Type", "application/json")
            answer = client.generic(method, path, body, content_type=content_type, headers={**headers, **proof})
            assert answer.status_code == 200, (sent, path, answer.content)
            if answer.content != b"success":
                counts.update({name: value for name, value in answer.json().items() if name in ("received", "duplicate", "refused")})
        stored = Event.objects.filter(source=source)
        tags = Counter(stored.filter(standing=Event.Standing.COUNTED).values_list("tag__code", flat=True))
        assert tags == _first_accepted(sent) and tags <= Counter(expected["accepted"]), sent
        if vendor != "wechat":  # which is answered "success", whatever came of it
            assert stored.count() == counts["received"] - counts["duplicate"] - counts["refused"], sent
            told = sum(expected["accepted"].values()) + sum(expected["held"].values())
            # One recorded request of Vonage's says nothing: it is a GET with a body and no query.
            assert counts["received"] == told - (vendor == "vonage"), sent
