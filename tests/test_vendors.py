"""What vendors really post, through the webhook door, held against what RudderStack made of the same request. See vendors.py."""

import base64
import hmac
import json
from datetime import datetime
from urllib.parse import urlencode

import pytest
from tables import made_once
from vendors import B01, PAGE, Case, Comparison, cases, page, read_of, source_items, vendors

from ingestion.models import Hook
from ingestion.reread import decode, reread
from profiles.models import Event, Original
from taxonomy.current import current
from taxonomy.definition import Definition, apply_definition
from taxonomy.packs import packs
from taxonomy.publish import publish
from taxonomy.standardize import RawEvent, check_plan
from taxonomy.starter import starter_items
from taxonomy.starter.load import load_starter
from taxonomy.violations import is_blocking

TOKEN = "the-token-of-all-of-them"
TAG = "7e000000-0000-4000-8000-000000000001"


def _items() -> tuple[dict[str, Definition], dict[str, str]]:
    """A tag for whatever a vendor sends, and each vendor's source with its rules; {vendor: uuid of its source}."""
    starter = starter_items()
    like = next(item for item in starter.values() if (item["kind"], item["code"]) == ("tag", "login"))
    items = {TAG: {**like, "code": "vendor_event", "synonyms": [], "attributes": [], "one_of": [], "refinements": []}}
    tags = {item["code"]: uuid for uuid, item in (starter | items).items() if item["kind"] == "tag"}
    sources = {}
    for number, name in enumerate(vendors()):
        mine = source_items(name, number, tags)
        sources[name], items = next(iter(mine)), items | mine
    return items, sources


def test_every_vendors_source_is_one_that_can_be_released():
    items, _sources = _items()
    assert check_plan(starter_items() | items) == []


def _make_vendors() -> None:
    load_starter()
    items, sources = _items()
    for uuid, item in items.items():
        apply_definition(uuid, item)
    publish(notes="vendors", by=None)
    for name, source in sources.items():
        pack = vendors()[name].get("pack")
        settings = {"scheme": "plain", **(packs()[pack].hook if pack else {})}
        Hook.objects.create(source_id=source, **settings).add_secret(TOKEN)


def _send(client, vendor: str, case: Case):
    """As the vendor does: by GET where all stands in the address, signed where it has a way to."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    if vendors()[vendor].get("get") and case.parameters:
        return client.get(f"/hooks/{vendor}?{urlencode(case.parameters)}", headers=headers)
    if vendor == "shopify":
        digest = hmac.digest(TOKEN.encode(), case.body, "sha256")
        headers = {"X-Shopify-Webhook-Id": case.label, "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode()}
        if topic := case.parameters.get("topic"):
            # RudderStack has Shopify call an address with the topic in it, its stroke written as a line.
            headers["X-Shopify-Topic"] = topic.replace("_", "/", 1)
    return client.post(f"/hooks/{vendor}", case.body, content_type="application/json", headers=headers)


def _events(vendor: str) -> list[tuple[Event, RawEvent]]:
    """What was stored, with what is read of its record."""
    plan = current().plan
    found = []
    for event in Event.objects.select_related("original").order_by("id"):
        record = event.original.whole_record
        every = reread(record, plan.sources[vendor], plan, door="hook", received_at=event.received_at)
        raw = every[event.original.item or 0]
        assert isinstance(raw, RawEvent) and (raw.name, raw.message_id) == (event.name, event.message_id)
        found.append((event, raw))
    return found


def _outcome(answer, case: Case, events: list[tuple[Event, RawEvent]]) -> str:
    """Why it was held, or answered with an error: codes; empty where all was accepted."""
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.json()['error']['code']}"
    counts = answer.json()
    assert counts["received"] == counts["accepted"] + counts["quarantined"] == len(events) >= 1, (case.label, counts)
    held = {
        one["code"]
        for event, _raw in events
        if event.standing == Event.Standing.HELD
        for one in event.report["violations"]
        if is_blocking(one)
    }
    assert bool(held) == bool(counts["quarantined"])
    return " ".join(sorted(held))


@pytest.mark.needs("shared-data")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("vendor", vendors())
def test_what_a_vendor_posts_is_read_as_it_is_meant(vendor, client):
    made_once("vendors", _make_vendors)
    one, comparison = vendors()[vendor], Comparison(vendor)
    outcomes: dict[str, str] = {}
    calls, ids = 0, set()
    for case in cases(vendor):
        answer = _send(client, vendor, case)
        events = _events(vendor)
        outcomes[case.label] = _outcome(answer, case, events)
        assert outcomes[case.label] or not case.is_error or case.label in one.get("taken", {}), case.label
        calls += len(case.recorded)
        ids |= {event.message_id for event, _raw in events}
        _compare(vendor, case, events, comparison)
        # Each begins anew: many have the ids of others.
        Original.objects.all().delete()
        Event.objects.all().delete()
    assert not comparison.departures, "\n".join(comparison.departures)
    assert {label: why for label, why in outcomes.items() if why} == one.get("held", {})
    assert (len(outcomes), calls) == (one["cases"], one["calls"])
    assert not comparison.unused()
    assert bool(ids - {None}) == bool(one.get("pack") == "shopify" or one.get("envelope", {}).get("message_id"))
    assert all(not outcomes[label] for label in one.get("taken", {}))


def _compare(vendor: str, case: Case, events: list[tuple[Event, RawEvent]], comparison: Comparison) -> None:
    if not case.recorded:
        return
    source = current().plan.sources[vendor]
    together = vendors()[vendor].get("together") and len(events) == 1
    assert together or len(events) == len(case.recorded), (case.label, len(events))
    for at, call in enumerate(case.recorded):
        event, raw = events[0 if together else at]
        body = decode(event.original.whole_record, door="hook")
        if vendors()[vendor].get("as_is"):
            comparison.as_is(case, call, body)
            continue
        read_at = source.own_envelope.parse_time(raw.occurred_at)
        time = read_at if isinstance(read_at, datetime) else None
        if event.standing == Event.Standing.COUNTED and time:
            assert event.occurred_at == time
        if not (together and at):
            comparison.name(case, call, raw.name)
        comparison.call(case, call, read_of(raw, body, time, event.identifiers))


@pytest.mark.needs("shared-data")
def test_no_vendor_of_the_recordings_is_left_out():
    assert {one.get("file", name) for name, one in vendors().items()} == {path.stem for path in B01.glob("*.json")}
    assert sum(one["cases"] for one in vendors().values()) == sum(len(json.loads(path.read_bytes())) for path in B01.glob("*.json"))


def test_the_page_is_written_from_the_cases():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: PYTHONPATH=. python tests/vendors.py"
