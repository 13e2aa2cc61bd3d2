"""What differs is told in the reader's words: those of the forms, and the names of departments."""

import pytest
from django.utils.translation import override

from taxonomy.diff import diff, side_by_side

pytestmark = pytest.mark.django_db


def lines(before: dict, after: dict, language: str = "en") -> dict[str, tuple[str, str]]:
    with override(language):
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


EITHER, BOTH = [["price", "amount"]], [["price"], ["amount"]]


@pytest.mark.parametrize(
    ("language", "told"), [("en", ("price or amount", "price; amount")), ("zh-hans", ("price或amount", "price；amount"))]
)
def test_groups_of_which_one_is_asked_are_told_apart(language, told):
    assert list(lines({"one_of": EITHER}, {"one_of": BOTH}, language).values()) == [told]
    with override(language):
        both = side_by_side(("one_of", ""), {"one_of": EITHER}, {"one_of": BOTH}, {})
    assert (both["theirs"], both["mine"]) == told


STOOD = {
    "city": {"type": "text"}, "zip": {"type": "text", "required": True}, "born": {"type": "date"},
    "at": {"type": "object", "fields": {"x": {"type": "decimal"}, "y": {"type": "decimal"}}},
}  # fmt: skip
STANDS = {
    "city": {"type": "text"}, "zip": {"type": "integer", "required": True, "constraints": {"minimum": "1"}}, "street": {"type": "list", "of": "url"},
    "at": {"type": "object", "fields": {"x": {"type": "integer"}, "y": {"type": "decimal"}}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", {
            "fields: zip": ("type text, required yes", "type whole number, required yes, constraints minimum: 1"),
            "fields: street": ("", "type list, list of web address"),
            "fields: at.x": ("type decimal number", "type whole number"),
            "fields: born": ("type date", ""),
        }),
        ("zh-hans", {
            "字段: zip": ("类型 文本, 必填 是", "类型 整数, 必填 是, 约束 最小值: 1"),
            "字段: street": ("", "类型 列表, 列表元素 网址"),
            "字段: at.x": ("类型 小数", "类型 整数"),
            "字段: born": ("类型 日期", ""),
        }),
    ],
)  # fmt: skip
def test_an_object_is_told_by_the_fields_that_differ(language, told):
    assert lines({"fields": STOOD}, {"fields": STANDS}, language) == told
    with override(language):
        both = side_by_side(("fields", ""), {"fields": STOOD}, {"fields": STANDS}, {})
    assert all(after in both["mine"] and before in both["theirs"] for before, after in told.values())


@pytest.mark.parametrize("fields", [{"city": "text"}, {"city": {"type": ["text"], "fields": [1]}}])
def test_fields_that_are_none_are_told_all_the_same(fields):
    assert list(lines({"fields": {}}, {"fields": fields}).values()) == [("", "type text")]


ODD = [
    {"x": {"type": "text", "one_of": [1, 2]}}, {"x": {"type": "text", "owner": {"a": 1}}}, {"x": {"type": "text", "condition": {"path": "a"}}},
    {"x": {"type": {"a": 1}, "of": ["b"], "constraints": [1]}}, {"x": None, "y": 1},
]  # fmt: skip


@pytest.mark.parametrize("fields", ODD)
def test_fields_with_words_of_other_items_are_told_as_they_stand(fields):
    assert lines({"fields": {}}, {"fields": fields})
    assert side_by_side(("fields", ""), {"fields": {}}, {"fields": fields}, {})["mine"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a.b": {"type": "text"}}, {"a": {"type": "object", "fields": {"b": {"type": "text"}}}}, 3),
        ({"a": {"type": "object", "fields": {"b": {"type": "text"}}}, "a.b": {"type": "date"}},
         {"a": {"type": "object", "fields": {"b": {"type": "url"}}}, "a.b": {"type": "date"}}, 1),
        ({"city": "text"}, {"city": {"type": "text"}}, 1),
        ([1], [2], 1),
        ({}, None, 0),
    ],
)  # fmt: skip
def test_no_change_of_fields_is_without_a_line(before, after, told):
    assert len(diff({"fields": before}, {"fields": after}, {})) == told
