"""Our own description of the API is true: it is valid, and no request made from it ends in a 5xx."""

import io
import json
from collections import Counter
from datetime import timedelta

import pytest
import schemathesis
from django.core.management import call_command
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error

from cdp.wsgi import application
from ingestion.pipeline import Incoming, receive
from profiles.models import Customer
from staff.models import ReadToken, User
from taxonomy.current import current
from taxonomy.publish import newest

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_description_is_valid():
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=io.StringIO())


def test_its_page_loads_nothing_from_elsewhere(client):
    page = client.get("/api/docs").content.decode()
    assert "http://" not in page.replace("http://testserver", "").replace("http://www.w3.org", "")
    assert "https://" not in page


def test_the_plan_is_read_once_and_then_answered_with_304(client, write_key):
    headers = {"Authorization": f"Bearer {write_key[0]}"}
    first = client.get("/api/v1/plan", headers=headers)
    assert first.json()["content_hash"] == newest().content_hash
    assert client.get("/api/v1/plan", headers={**headers, "If-None-Match": first.headers["ETag"]}).status_code == 304
    assert client.get("/api/v1/plan").status_code == 401


def test_no_request_of_the_description_ends_in_a_5xx(write_key):
    schema = schemathesis.openapi.from_wsgi("/api/schema?format=json", application)

    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def run(case):
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {write_key[0]}"}
            case.call_and_validate(checks=[not_a_server_error])

        run()


def read_at_random(operation, secret: str, public_id: str) -> int:
    """Read with requests made by chance, half of them of the customer who is there; how many were answered 200."""
    good = []

    @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(), known=st.booleans())
    def run(case, known):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {secret}"}
        if known and "public_id" in (case.path_parameters or {}):
            case.path_parameters, case.query = {"public_id": public_id}, {}
        if known and operation.path.endswith("/lookup"):
            case.body = {"phone": "+8613800138000"}
        good.append(case.call_and_validate(checks=[not_a_server_error]).status_code == 200)

    run()
    return sum(good)


def test_no_reading_of_the_description_ends_in_a_5xx(write_key):
    """With a person's read token and a customer who is there, so that reading really answers."""
    body = json.dumps({"id": "a", "event": "login", "phone": "+8613800138000"}).encode()
    receive([Incoming(body)], source_code="website", door="api", received_at=timezone.now(), current=current())
    public_id = str(Customer.objects.get().public_id)
    reader = User.objects.create_superuser("reader@example.com", "x")
    token = ReadToken(user=reader, name="t", scopes=["customers", "plan"], expires_at=timezone.now() + timedelta(days=1))
    secret = token.set_secret()
    token.save()
    schema = schemathesis.openapi.from_wsgi("/api/schema?format=json", application)
    answered: Counter[str] = Counter()
    operations = [one.ok() for one in schema.get_all_operations()]
    reading = [one for one in operations if "/customers" in one.path or one.method.upper() == "GET"]
    for operation in reading:
        answered[operation.path] += read_at_random(operation, secret, public_id)
    customers = [one.path for one in reading if "/customers" in one.path]
    assert len(customers) == 3 and all(answered[path] for path in customers), answered
