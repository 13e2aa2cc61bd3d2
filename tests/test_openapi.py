"""Our own description of the API is true: it is valid, and no request made from it ends in a 5xx."""

import io

import pytest
import schemathesis
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error

from cdp.wsgi import application
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
