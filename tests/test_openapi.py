"""Our own description of the API is true: it is valid, and no request made from it ends in a 5xx."""

import io
from collections import Counter
from datetime import timedelta

import pytest
import schemathesis
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error

from cdp.wsgi import application
from ingestion.doors.uploads import PART_TYPE
from ingestion.imports.run import run_import, take_file
from ingestion.models import Upload
from profiles.lookup import find_customer
from profiles.models import Customer
from staff.models import ReadToken, User
from taxonomy.publish import newest

pytestmark = pytest.mark.django_db(transaction=True)

PHONE = "+8613800138000"
schemathesis.serializer.alias(PART_TYPE, "application/octet-stream")


@pytest.fixture
def customer(client, write_key):
    """Somebody who did something."""
    sent = {"id": "m 1/2", "event": "login", "phone": PHONE, "occurred_at": "2026-03-01T10:00:00Z"}
    answer = client.post("/api/v1/events", sent, content_type="application/json", headers={"Authorization": f"Bearer {write_key[0]}"})
    assert answer.json()["accepted"] == 1, answer.json()
    found = find_customer(PHONE, "")
    assert isinstance(found, Customer)
    return found


@pytest.fixture
def read_token(db):
    """The secret of a token of somebody who may see customers."""
    person = User.objects.create_user("reader@example.com", "x")
    person.user_permissions.add(Permission.objects.get(content_type__app_label="profiles", codename="view_customer"))
    token = ReadToken(user=person, name="t", scopes=["customers", "plan"], expires_at=timezone.now() + timedelta(days=1))
    secret = token.set_secret()
    token.save()
    return secret


def test_every_operation_has_a_short_summary_and_stands_under_a_heading():
    from drf_spectacular.generators import SchemaGenerator

    operations = [one for path in SchemaGenerator().get_schema(public=True)["paths"].values() for one in path.values()]
    assert len(operations) >= 9
    assert {
        one["operationId"]: one.get("tags")
        for one in operations
        if one.get("tags") not in (["Events"], ["Plan"], ["Customers"], ["Imports"])
    } == {}
    assert [one["operationId"] for one in operations if not 5 < len(one.get("summary", "")) <= 40] == []


def test_the_description_is_valid():
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=io.StringIO())


def test_its_page_loads_nothing_from_elsewhere(client):
    page = client.get("/api/docs").content.decode()
    assert "http://" not in page.replace("http://testserver", "").replace("http://www.w3.org", "")
    assert "https://" not in page
    assert f'<a href="{reverse("admin:index")}"' in page


def test_the_plan_is_read_once_and_then_answered_with_304(client, write_key):
    headers = {"Authorization": f"Bearer {write_key[0]}"}
    first = client.get("/api/v1/plan", headers=headers)
    assert first.json()["content_hash"] == newest().content_hash
    assert client.get("/api/v1/plan", headers={**headers, "If-None-Match": first.headers["ETag"]}).status_code == 304
    assert client.get("/api/v1/plan").status_code == 401


@pytest.fixture
def sent_files(write_key, tmp_path, monkeypatch):
    """(an upload of which nothing came yet, one whose import has ended)."""
    monkeypatch.setattr("django.conf.settings.UPLOAD_DIR", tmp_path / "uploads")
    monkeypatch.setattr("ingestion.imports.uploads.MOST_OPEN", 1_000)
    source, path = write_key[1].source, tmp_path / "a.ndjson"
    path.write_text('{"event": "nonsense", "phone": "12"}\n')
    run = run_import(take_file(path, source=source, file_name="a.ndjson").pk)
    ended = Upload.objects.create(source=source, file_name="a.ndjson", size_bytes=1, received_bytes=1, run=run)
    return Upload.objects.create(source=source, file_name="b.csv", size_bytes=10**6), ended


def test_no_request_of_the_description_ends_in_a_5xx(standard, write_key, customer, read_token, sent_files):
    """Each with a credential that opens it and, more often than not, with values that exist: every operation has to answer 200 too."""
    part, ended = sent_files
    schema = schemathesis.openapi.from_wsgi("/api/schema?format=json", application)
    existing = {
        "read_customer": {"path": {"public_id": str(customer.public_id)}},
        "read_timeline": {"path": {"public_id": str(customer.public_id)}, "query": {}},
        "lookup_customer": {"body": {"phone": PHONE, "region": "CN"}},
        "send_events": {"query": {}, "body": {"event": "login", "phone": PHONE}},
        "read_receipt": {"path": {"message_id": "m 1/2"}},
        "read_tag": {"path": {"code": "login"}},
        "read_release": {"path": {"version": standard.version}},
        "list_releases": {"query": {}},
        "diff_releases": {"path": {"before": standard.version, "after": standard.version}},
        "read_plan": {},
        "announce_import": {"body": {"file": "a.csv", "size_bytes": 10}},
        "send_part": {"path": {"upload_id": str(part.pk)}, "headers": {"Upload-Offset": "0"}, "body": b"1", "media_type": PART_TYPE},
        **{name: {"path": {"upload_id": str(ended.pk)}, "query": {}} for name in ("read_import", "read_failed_rows", "list_findings")},
    }
    answered = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        name = operation.definition.raw["operationId"]
        secret = read_token if "/customers/" in operation.path else write_key[0]
        answered[name] = statuses(operation, secret, existing[name])
    assert answered.keys() == existing.keys()
    assert not {name: dict(seen) for name, seen in answered.items() if not seen[200] + seen[201] + seen[204]}


def statuses(operation, secret, values) -> Counter[int]:
    """How often each status was answered: to what is drawn; to that with a path that exists; and with all of it existing."""
    seen: Counter[int] = Counter()

    @settings(max_examples=40, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(), exists=st.sampled_from(["all", "path", "nothing"]))
    def run(case, exists):
        if exists != "nothing" and "path" in values:
            case.path_parameters = values["path"]
        if exists == "all":
            case.query, case.headers = values.get("query", case.query), values.get("headers", {})
            if "body" in values:
                case.body, case.media_type = values["body"], values.get("media_type", "application/json")
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {secret}"}
        seen[case.call_and_validate(checks=[not_a_server_error]).status_code] += 1

    run()
    return seen
