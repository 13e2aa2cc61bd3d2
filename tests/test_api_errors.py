"""Every error of the reading API says what to do, in sentences of our own."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from profiles.models import Customer
from staff.models import ReadToken, User

pytestmark = pytest.mark.django_db
LOOKUP = "/api/v1/customers/lookup"


@pytest.fixture
def read(client, standard):
    """read(path, scopes, body=): status and error; scopes None sends no token."""
    admin = User.objects.create_superuser("api@example.com", "x")

    def asked(path: str, scopes: list[str] | None, *, body=None, user=admin):
        headers = {}
        if scopes is not None:
            token = ReadToken(user=user, scopes=scopes, expires_at=datetime.now(UTC) + timedelta(days=1))
            headers["Authorization"] = f"Bearer {token.set_secret()}"
            token.save()
        sent = {} if body is None else {"data": body, "content_type": "application/json"}
        response = (client.get if body is None else client.post)(path, headers=headers, **sent)
        return response.status_code, response.json()["error"]

    return asked


def test_a_token_of_another_scope_is_told_which_it_needs(read):
    status, error = read("/api/v1/plan", ["customers"])
    assert (status, error["code"]) == (403, "permission_denied")
    assert "“plan”" in error["message"] and "My read tokens" in error["message"]
    assert "“customers”" in read(LOOKUP, ["plan"], body={"phone": "1"})[1]["message"]


def test_who_has_no_right_is_told_whom_to_ask(read):
    nobody = User.objects.create_user("nobody@example.com", "x")
    assert "administrator" in read(LOOKUP, ["customers"], body={"phone": "1"}, user=nobody)[1]["message"]


@pytest.mark.parametrize(
    ("path", "scopes", "status", "body", "says"),
    [
        (f"/api/v1/customers/{UUID(int=7)}", None, 401, None, "Authorization: Bearer"),
        (f"/api/v1/customers/{UUID(int=7)}", ["customers"], 404, None, "/api/v1/customers/lookup"),
        (LOOKUP, ["customers"], 400, {}, "+86 138 0013 8000"),
        (LOOKUP, ["customers"], 400, {"phone": None}, "+86 138 0013 8000"),
        (LOOKUP, ["customers"], 400, {"phone": {}}, "+86 138 0013 8000"),
        (LOOKUP, ["customers"], 400, {"phone": "1" * 101}, "+86 138 0013 8000"),
        (LOOKUP, ["customers"], 400, {"phone": "13800138000", "region": "China"}, "CN"),
        (LOOKUP, ["customers"], 400, [1], "“phone”"),
        (LOOKUP, ["customers"], 400, "{", "JSON"),
        (LOOKUP, ["customers"], 405, None, "API"),
        ("/api/v1/plan/tags/nothing", ["plan"], 404, None, "/api/v1/plan"),
        ("/api/v1/releases/0.0.0", ["plan"], 404, None, "/api/v1/releases"),
    ],
)
def test_the_next_step_is_said(read, path, scopes, status, body, says):
    found, error = read(path, scopes, body=body)
    assert found == status
    assert says in error["message"], error
    assert error["docs"] == f"/docs/codes#{error['code']}"
    assert "non_field_errors" not in error["message"]


def test_a_time_that_is_none_is_answered_by_one_that_is(read):
    customer = Customer.objects.create()
    for bound in ("since", "until"):
        status, error = read(f"/api/v1/customers/{customer.public_id}/timeline?{bound}=bad", ["customers"])
        assert (status, error["code"]) == (400, "invalid")
        assert error["message"].startswith(f"{bound}: ") and "2026-03-01T10:00:00+08:00" in error["message"]
