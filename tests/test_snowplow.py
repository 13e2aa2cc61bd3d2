"""Held events in Snowplow's form, held against the schemas that Snowplow publishes."""

import json
import subprocess
from datetime import UTC, datetime
from functools import cache

import pytest
from conftest import SHARED
from django.contrib.auth.models import Group
from django.urls import reverse
from jsonschema import Draft4Validator, FormatChecker

from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.export import FORMS, Reason, Told
from ingestion.quarantine.held import Attempts
from staff.models import User
from taxonomy.current import current

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@cache
def schema(uri: str) -> dict:
    """A published schema by its iglu address."""
    packed = SHARED / "c01-iglu-central" / "schemas.tar.zst"
    name = f"schemas/{uri.removeprefix('iglu:')}"
    found = subprocess.run(["tar", "--zstd", "-xOf", str(packed), name], capture_output=True, check=True).stdout
    return json.loads(found)


def checked(lines: list[bytes]) -> list[tuple[str, dict]]:
    rows = [json.loads(line) for line in lines]
    for row in rows:
        rules = {key: value for key, value in schema(row["schema"]).items() if key != "$schema"}
        Draft4Validator(rules, format_checker=FormatChecker()).validate(row["data"])
    return [(row["schema"].split("/")[1], row["data"]) for row in rows]


def exported(client, **params) -> list[bytes]:
    answer = client.get(reverse("admin:quarantine_export"), {"format": "snowplow", **params})
    assert "failed-events" in answer["Content-Disposition"]
    return b"".join(answer.streaming_content).splitlines()


@pytest.mark.needs("shared-data")
def test_held_events_are_valid_failed_events_with_all_their_reasons(client, standard):
    person = User.objects.create_user("kim@example.com", language="en")
    person.groups.add(Group.objects.get(name="marketer"))
    client.force_login(person)
    events = [
        {"id": "1", "event": "nonsense", "phone": "13800138000"},
        {"id": "2", "event": "purchase", "phone": "12", "attributes": {"order_id": "1", "price": "x", "quantity": "two"}},
        {"id": "3", "event": "product_view", "phone": "1", "attributes": {"product_id": "1"}},
        {"id": "4", "event": "a b/ü" * 60, "phone": "13800138000", "time": "then"},
    ]
    receive([Incoming(json.dumps(one).encode()) for one in events], source_code="website", door="api", received_at=NOW, current=current())
    rows = checked(exported(client))
    assert sorted(name for name, _row in rows) == ["adapter_failures", "adapter_failures", "adapter_failures", "schema_violations"]
    (violation,) = next(row for name, row in rows if name == "schema_violations")["failure"]["messages"]
    assert {one["path"] for one in violation["error"]["dataReports"]} == {"$.attributes.price", "$.attributes.quantity", "$.phone"}
    assert "nonsense" in [one.get("actual") for _name, row in rows for one in row["failure"]["messages"]]
    assert "13800138000" not in b"".join(exported(client)).decode()
    assert len(exported(client, code="event.unknown")) == 2


@pytest.mark.needs("shared-data")
def test_what_is_longer_than_snowplow_allows_is_cut():
    reasons = [Reason("event.unknown", "event", "n" * 300, "e" * 300, "s" * 300), Reason("phone.invalid", "p" * 300, "", "", "says")]
    one = Told("00" * 16, "website", "segment_browser_plugin", NOW.isoformat(), "", "n" * 300, 0, reasons, {"phone": "1"}, Attempts())
    (row,) = checked(list(FORMS["snowplow"].write([one])))
    assert row[0] == "adapter_failures"
