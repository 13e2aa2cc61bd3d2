"""An event of a tag as a source would send it: envelope and rules read backwards, and never one that is not accepted."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from conftest import publish_starter
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import small_plan_items

from ingestion.doors.files import FileFormat, decode_row
from ingestion.pipeline import Incoming, receive
from ingestion.reread import reader_of
from ingestion.sending.backwards import NoWay, matching, put
from ingestion.sending.example import Example, cells_of, example_of, some_example
from taxonomy.current import current
from taxonomy.standardize import Plan, compile_plan, decode_json, standardize
from taxonomy.standardize.conditions import compile_pattern
from taxonomy.standardize.paths import compile_path
from taxonomy.starter import starter_items

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
STARTER = compile_plan(starter_items())
LABELS = dict.fromkeys(("label_en", "label_zh_hans", "description_en", "description_zh_hans"), "")


def found(tag: str, source: str, plan: Plan = STARTER, **more: Any) -> Example | None:
    return example_of(plan.tags_by_code[tag], plan.sources[source], plan, at=NOW, message_id="example-1", **more)


def incoming(one: Example) -> Incoming:
    """As the door would cut it: a CSV row by its columns, all else as JSON."""
    if not one.is_row:
        return Incoming(json.dumps(one.record, ensure_ascii=False).encode())
    columns, line = cells_of(one.record).encode().splitlines()
    return Incoming(line, decode_row(line, FileFormat("csv", columns=columns.decode().split(","))))


@pytest.mark.django_db
@pytest.mark.parametrize("door", ["api", "segment", "file"])
def test_each_source_of_the_starter_has_an_accepted_record_for_each_of_its_tags_by_a_rule(departments, door):
    publish_starter()
    obeyed = current()
    tried = 0
    for source in obeyed.plan.sources.values():
        for tag in dict.fromkeys(rule.tag for rule in source.rules):
            one = example_of(tag, source, obeyed.plan, at=NOW, message_id="example-1", door=door)
            assert one is not None and one.rule is not None, (source.code, tag.code)
            receipt = receive([incoming(one)], source_code=source.code, door=door, received_at=NOW, current=obeyed, dry_run=True)
            [entry] = receipt.entries
            assert entry.status == "accepted" and entry.result is not None, (source.code, tag.code, one.record)
            assert (entry.result.tag, entry.result.rule is not None) == (tag.uuid, True), (source.code, tag.code, one.record)
            tried += 1
    assert tried == len({(rule["source"], rule["tag"]) for rule in obeyed.plan.items.values() if rule["kind"] == "rule"})


@pytest.mark.parametrize("source", STARTER.sources)
def test_every_other_tag_is_said_by_its_own_code(source):
    for tag in STARTER.tags.values():
        one = found(tag.code, source)
        assert one is not None and judged(one, source, STARTER) == tag.code


def judged(one: Example, source: str, plan: Plan, door: str = "api") -> str | None:
    """The code of the tag as which the core accepts the record."""
    cut = incoming(one)
    decoded = cut.decoded if cut.decoded is not None else decode_json(cut.original)
    [raw] = reader_of(plan.sources[source], plan, door=door, received_at=NOW)(decoded, cut.original)
    result = standardize(raw, plan)
    return result.tag_code if result.verdict == "accepted" else None


def test_it_speaks_as_the_source_does():
    assert found("purchase", "app").record["attributes"] | {"priceFen": 5990, "payFen": 11980, "payWay": "wxpay"} == found("purchase", "app").record["attributes"]  # fmt: skip
    assert found("product_view", "website").record["event"] == "item_detail_view"
    assert found("checkout_start", "website").record["attributes"]["items"] == [{"sku": "SKU10086"}, {"sku": "SKU10010"}]
    assert found("ticket_open", "call_centre").record["eventTime"] == "2026/03/01 10:00:00"
    assert found("view_page", "mini_program").record["ts"] == int(NOW.timestamp() * 1000)
    assert found("refund", "till").record["qty"] == -2
    [report] = found("sms_delivered", "sms").record["reports"]
    assert (report["msgId"], report["status"]) == ("example-1", "DELIVRD")


def test_a_file_of_flat_rows_is_csv_and_of_others_json_lines():
    assert found("purchase", "till", door="file").is_row
    assert not found("purchase", "website", door="file").is_row


def test_a_rule_that_may_not_be_shown_is_not_used():
    [rule] = [one.uuid for one in STARTER.sources["website"].rules if one.tag.code == "product_view"]
    one = found("product_view", "website", hidden={rule})
    assert one.rule is None and one.record["event"] == "product_view"


def test_every_source_has_something_to_show():
    for source in STARTER.sources.values():
        assert some_example(source, STARTER, at=NOW, message_id="x") is not None
    small = compile_plan(small_plan_items())
    for source in small.sources.values():
        one = some_example(source, small, at=NOW, message_id="x")
        assert one is not None and judged(one, source.code, small)


def test_where_there_is_no_way_it_says_so():
    plan = made_up(row={"path": "code"}, attribute={"type": "text", "constraints": {"pattern": "(?:[0-9]{17}|x{18})y"}, "example": ""})
    assert found("do", "s", plan) is None
    assert some_example(plan.sources["s"], plan, at=NOW, message_id="x") is None


def made_up(*, row: dict[str, str], attribute: dict[str, Any], envelope: dict[str, Any] | None = None, **rule: Any) -> Plan:
    """One source, whose one rule takes the one attribute of one tag, which must be there."""
    thing = {"kind": "attribute", "code": "thing", "of": None, "fields": {}, "unit": "", "personal": "none", "constraints": {}, **LABELS}
    return compile_plan(
        {
            "a": thing | attribute,
            "q": thing | {"code": "quantity", "type": "integer", "example": "3"},
            "t": {
                "kind": "tag", "code": "do", "status": "active", "category": None, "owner": None, "successor": None, **LABELS,
                "attributes": [{"attribute": one, "required": one == "a", "constraints": {}} for one in ("a", "q")],
            },
            "s": {"kind": "source", "code": "s", "region": "CN", "timezone": "Asia/Shanghai", "currency": "CNY", "envelope": envelope or {"preset": "tagline"}},
            "r": {
                "kind": "rule", "source": "s", "position": 0, "match": "exact", "name": "done", "condition": None, "tag": "t", "note": "",
                "keep_unmapped": False, "rows": [{"target": "thing", "path": "", "transforms": "", **row}], **rule,
            },
        }
    )  # fmt: skip


TEXT = {"type": "text", "example": "Shoes"}
NUMBER = {"type": "decimal", "example": "12.5"}
WAYS = [
    ({"path": "a.b.c"}, TEXT),
    ({"path": "订单.金额", "transforms": "divide(100)"}, NUMBER),
    ({"path": "Unit Price", "transforms": "decimal_comma"}, NUMBER),
    ({"path": "minutes", "transforms": "trim | multiply(60) | whole_number"}, {"type": "integer", "example": "90"}),
    ({"path": "lines[0].price"}, NUMBER),
    ({"path": "lines[-1].price"}, NUMBER),
    ({"path": "lines[].sku"}, {"type": "list", "of": "text", "example": '["a", "b"]'}),
    ({"path": "lines[*].sku | [0]"}, TEXT),
    ({"path": "lines[?kind=='home'].sku | [0]"}, TEXT),
    ({"path": "sum(lines[].price)"}, NUMBER),
    ({"path": "length(lines)"}, {"type": "integer", "example": "3"}),
    ({"path": "first || second"}, TEXT),
    ({"path": "join('-', [shop, no])"}, {"type": "text", "example": "S1-77"}),
    ({"path": "day", "transforms": "date_format(%d/%m/%Y)"}, {"type": "date", "example": "2026-01-31"}),
    ({"path": "sex", "transforms": "lower | value_map(m=male, f=female)"}, {"type": "choice", "constraints": {"choices": ["female"]}, "example": ""}),
    ({"path": "kind", "transforms": "value_map(1=red, *=blue)"}, {"type": "choice", "constraints": {"choices": ["blue"]}, "example": ""}),
    ({"transforms": "constant(web)"}, TEXT),
    ({"path": "from", "transforms": "default(web)"}, TEXT),
    ({"path": "path", "transforms": 'split(" > ", 2)'}, TEXT),
    ({"path": "path", "transforms": 'split("/", -2)'}, TEXT),
    ({"path": "labels", "transforms": 'split(";")'}, {"type": "list", "of": "text", "example": '["a", "b"]'}),
    ({"path": "labels", "transforms": 'join(", ")'}, TEXT),
    ({"path": "url", "transforms": 'extract("/p/([A-Z]+[0-9]{3})[?]?", 1)'}, {"type": "text", "example": "SKU100"}),
    ({"path": "url", "transforms": 'extract("[A-Z]{2}[0-9]{4}")'}, {"type": "text", "example": "AB1234"}),
    ({"path": "$.context.page.title"}, TEXT),
    ({"path": "$.message_id"}, TEXT),
    ({"path": "$.name"}, TEXT),
    ({"path": "$.identifiers.user_id"}, TEXT),
    ({"path": "$.source_version"}, TEXT),
    ({"path": "$.attributes.deep.down"}, TEXT),
]  # fmt: skip


@pytest.mark.parametrize(("row", "attribute"), WAYS, ids=str)
def test_a_row_is_gone_back(row, attribute):
    plan = made_up(row=row, attribute=attribute)
    one = found("do", "s", plan)
    assert one is not None and one.rule == "r"
    assert judged(one, "s", plan) == "do"


CONDITIONS = [
    {"operator": operator, "value": value}
    for operator, value in [
        ("eq", "7"), ("eq", "paid"), ("ne", "paid"), ("in", "a, b"), ("gt", "5"), ("gte", "5"), ("lt", "-1"), ("lte", "0.5"),
        ("contains", "old"), ("starts_with", "pre"), ("matches", "(?i)t|td"), ("exists", ""), ("missing", ""),
    ]
]  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda one: f"{one['operator']} {one['value']}")
@pytest.mark.parametrize("path", ["state", "order.state", "$.context.state"])
def test_a_condition_is_met(condition, path):
    plan = made_up(row={"path": "thing_no"}, attribute=TEXT, condition={"path": path, **condition})
    one = found("do", "s", plan)
    assert one is not None and one.rule == "r" and judged(one, "s", plan) == "do"


@pytest.mark.parametrize(
    "envelope",
    [
        {"preset": "tagline"},
        {"preset": "flat"},
        {"preset": "segment"},
        {"preset": "custom", "event": "meta.event", "phone": "who.phone", "occurred_at": "meta.at", "message_id": "meta.id", "attributes": "meta.data"},
        {"preset": "custom", "event_constant": "done", "phone": "tel", "occurred_at": "at", "time_format": "%d.%m.%Y %H:%M"},
        {"preset": "custom", "events": "rows", "event": "name", "phone": "tel", "occurred_at": "at", "time_format": "epoch_us"},
        {"preset": "custom", "events": "order.lines", "event": "$.type", "phone": "$.buyer.phone", "occurred_at": "$.order.at", "message_id": "no", "time_format": "epoch_s"},
        {"preset": "custom", "events": "$.rows", "event": "type", "identifiers": {"email": "mail", "openid": "$.wx"}, "message_id": "join('-', [to_string(no), type])"},
        {"preset": "custom", "event": "事件", "phone": "手机", "region": "国家", "source_version": "版本", "context": "环境"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("below", ["", "4.2"])
def test_a_record_is_written_in_every_envelope(envelope, below):
    bound = {"below_version": below} if below and (envelope.get("source_version") or envelope["preset"] in ("tagline", "segment")) else {}
    plan = made_up(row={"path": "item.no"}, attribute=TEXT, envelope=envelope, **bound)
    one = found("do", "s", plan)
    assert one is not None and one.rule == "r" and judged(one, "s", plan) == "do"


def test_a_divisor_comes_before_what_it_divides():
    plan = made_up(
        row={},
        attribute=NUMBER,
        rows=[
            {"target": "thing", "path": "total", "transforms": "divide_by(qty)"},
            {"target": "quantity", "path": "qty", "transforms": ""},
        ],
    )
    assert found("do", "s", plan).record["attributes"] == {"total": 37.5, "qty": 3}


def test_an_optional_attribute_that_cannot_be_gone_back_is_left_out():
    rows = [
        {"target": "thing", "path": "no", "transforms": ""},
        {"target": "quantity", "path": "keys(@) | length(@)", "transforms": "multiply(0)"},
    ]
    one = found("do", "s", made_up(row={}, attribute=TEXT, rows=rows))
    assert one.rule == "r" and one.record["attributes"] == {"no": "Shoes"}


paths = st.sampled_from(["a", "a.b", "a[0]", "a[].b", "b || a", "length(a)", "sum(a[].b)", "$.context.a", "$.name", "max_by(a, &b).c", "keys(@)", "a.*.b", ""])  # fmt: skip
steps = st.lists(
    st.sampled_from(["trim", "upper", "divide(100)", "multiply(0)", "divide_by(a)", "date_format(%Y)", "value_map(1=2, *=3)", "constant(5)",
                     'split(",", 1)', 'extract("(a|b)+(?:c)$", 1)', 'extract("[^a-z]{500}")', 'join("-")', "whole_number"]),
    max_size=3,
).map(" | ".join)  # fmt: skip
kinds = st.sampled_from(["text", "integer", "decimal", "money", "boolean", "date", "datetime", "url", "email", "phone", "list", "object"])
names = st.sampled_from([("exact", "done"), ("pattern", "do(ne|ing)?"), ("pattern", r"\pL+"), ("pattern", "[^a-z]{3,}"), ("exact", "do")])
conditions = st.none() | st.builds(lambda path, one: {"path": path or "a", **one}, paths, st.sampled_from(CONDITIONS))


@settings(max_examples=60, deadline=None)
@given(paths, steps, kinds, names, conditions, st.booleans(), st.sampled_from(["api", "segment", "file"]))
def test_whatever_the_rule_what_is_shown_is_accepted(path, transforms, kind, name, condition, keeps, door):
    attribute = {"type": kind, "example": "", **({"of": "text"} if kind == "list" else {})}
    plan = made_up(
        row={"path": path, "transforms": transforms}, attribute=attribute, match=name[0], name=name[1], condition=condition, keep_unmapped=keeps
    )  # fmt: skip
    one = found("do", "s", plan, door=door)
    if one is not None:
        assert judged(one, "s", plan, door) == "do"


@pytest.mark.parametrize(
    "pattern",
    ["view_.*", "open[A-Z][A-Za-z]*Page", "UNDELIV|REJECTD|[A-Z]{2}:[0-9]{4}", r"(?i)\s*(t|td|退订)\s*", r"\d{3}-\w+", "[^a-z]+", "a?b+c{2,}", "(?P<x>y)z$"],
)  # fmt: skip
def test_a_text_is_found_that_a_pattern_fits(pattern):
    assert compile_pattern(pattern).fullmatch(matching(pattern))


@pytest.mark.parametrize("pattern", ["(", r"\pN+", "a{1000}", r"x\bz(?!y)"])
def test_a_pattern_that_is_none_or_asks_too_much_has_no_text(pattern):
    with pytest.raises(NoWay):
        matching(pattern)


def test_what_stands_there_already_stays():
    there = {"a": {"b": 1}, "lines": [{"sku": "x"}, {"sku": "y"}]}
    for path, value in [("a.c", 2), ("lines[].qty", [1, 2]), ("lines[1].note", "z"), ("new.deep", 3)]:
        there = put(path, there, value)
        assert compile_path(path)(there) == value
    assert compile_path("lines[].sku")(there) == ["x", "y"] and there["a"] == {"b": 1, "c": 2}
    with pytest.raises(NoWay):
        put("a.b.c", there, 1)
