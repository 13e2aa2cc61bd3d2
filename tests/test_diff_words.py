"""What differs is told in the reader's words: those of the forms, and the names of departments."""

import pytest
from django.utils.translation import override

from taxonomy.diff import diff

pytestmark = pytest.mark.django_db


def lines(before: dict, after: dict) -> dict[str, tuple[str, str]]:
    with override("en"):
        return {one.field: (one.before, one.after) for one in diff(before, after, {})}


def test_a_row_of_a_rule_is_told_as_its_form_asks_it():
    rows = [{"target": "page_path", "path": "page.path", "transforms": "trim"}, {"target": "$phone", "path": "tel", "transforms": ""}]
    assert lines({"rows": []}, {"rows": rows}) == {
        "rows: page_path": ("", "from page.path, transforms trim"),
        "rows: the customer's phone": ("", "from tel"),
    }


def test_an_envelope_is_told_as_its_form_asks_it():
    envelope = {"event": "action", "phone": "mobile", "identifiers": {"openid": "wx.id"}, "preset": "custom"}
    told = lines({"envelope": {"preset": "flat"}}, {"envelope": envelope})["envelope"]
    custom = "records are: its own format, found by the paths below, event name: action, phone: mobile, openid: wx.id"
    assert told == ("records are: flat rows", custom)


def test_an_owner_is_told_by_name(departments):
    assert lines({"owner": "service"}, {"owner": "gone"}) == {"owner": ("Customer service", "gone")}
