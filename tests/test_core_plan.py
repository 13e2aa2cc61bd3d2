"""The compiled plan: what may not be published, which rule wins, what is remembered, and how fast it is made."""

from datetime import UTC, datetime
from typing import Any

import pytest
from plans import small_plan_items, uuid_of

from taxonomy.standardize import LIMITS, Plan, check_plan, compile_plan, decode_json, encode_json, read, standardize
from taxonomy.standardize.check import PROBLEMS
from taxonomy.standardize.conditions import compile_test
from taxonomy.standardize.names import parse_refinement

RECEIVED_AT = datetime(2026, 3, 1, tzinfo=UTC)
ITEMS = small_plan_items()
PLAN = compile_plan(small_plan_items())
LOGIN, VIEW, PURCHASE, WEBSITE, APP, CRM, GENERAL, PRICE = (
    uuid_of(ITEMS, kind, code)
    for kind, code in [
        ("tag", "login"), ("tag", "product_view"), ("tag", "purchase"), ("source", "website"), ("source", "app"), ("source", "crm"),
        ("category", "general"), ("attribute", "price"),
    ]
)  # fmt: skip
RULES = [uuid for uuid, item in ITEMS.items() if item["kind"] == "rule"]
ORDER, DETAIL, PATTERN = RULES[0], RULES[2], RULES[3]
OTHER = "00000000-0000-4000-8000-000000000000"


def changed(uuid: str, **changes: Any) -> dict[str, dict[str, Any]]:
    items = small_plan_items()
    items[uuid] = items.get(uuid, {}) | changes
    return items


def row(target: str = "price", path: str = "p", transforms: str = "") -> dict[str, str]:
    return {"target": target, "path": path, "transforms": transforms}


def custom(**envelope: Any) -> dict[str, Any]:
    return {"preset": "custom", "event": "type", **envelope}


CASES = [
    ("code.duplicate", "another tag in other letters", changed(OTHER, **{**ITEMS[LOGIN], "code": "LOGIN"})),
    ("reference.missing", "a category that is not there", changed(LOGIN, category=OTHER)),
    ("reference.missing", "a category that is a tag", changed(LOGIN, category=VIEW)),
    ("reference.missing", "a rule of no source", changed(ORDER, source=OTHER)),
    ("reference.missing", "a rule to no tag", changed(ORDER, tag=OTHER)),
    ("reference.missing", "an attribute that is not there", changed(LOGIN, attributes=[{"attribute": OTHER, "required": False, "constraints": {}}])),
    ("category.cycle", "a category above itself", changed(GENERAL, parent=uuid_of(ITEMS, "category", "product"))
     | {uuid_of(ITEMS, "category", "product"): ITEMS[uuid_of(ITEMS, "category", "product")] | {"parent": GENERAL}}),
    ("attribute.invalid", "a bound that is no number", changed(PRICE, constraints={"minimum": "cheap"})),
    ("attribute.invalid", "a tightening that does not fit", changed(LOGIN, attributes=[{"attribute": PRICE, "required": False, "constraints": {"pattern": "a"}}])),
    ("successor.missing", "deprecated for nothing", changed(LOGIN, status="deprecated", successor=None)),
    ("successor.unusable", "its own successor", changed(LOGIN, status="deprecated", successor=LOGIN)),
    ("successor.unusable", "a successor that is not received", changed(LOGIN, status="deprecated", successor=VIEW)
     | {VIEW: ITEMS[VIEW] | {"status": "draft"}}),
    ("one_of.unknown", "one of what the tag has not", changed(LOGIN, one_of=[["price"]])),
    ("refinement.invalid", "two attributes", changed(PURCHASE, refinements=[{"pattern": "{tag}_{category}_{product_id}"}])),
    ("refinement.invalid", "no attribute", changed(PURCHASE, refinements=[{"pattern": "{tag}_x"}])),
    ("refinement.invalid", "nothing but an attribute", changed(PURCHASE, refinements=[{"pattern": "{category}"}])),
    ("refinement.unknown", "an attribute the tag has not", changed(LOGIN, refinements=[{"pattern": "{tag}_{price}"}])),
    ("refinement.ambiguous", "the same literal twice", changed(PURCHASE, refinements=[{"pattern": "product_view_{category}"}])),
    ("refinement.hides_tag", "a code that reads as another's refinement", changed(LOGIN, code="product_view_list")),
    ("source.invalid", "no such time zone", changed(WEBSITE, timezone="Mars/Base")),
    ("source.invalid", "a folder of time zones", changed(WEBSITE, timezone="Asia")),
    ("source.invalid", "no such region", changed(WEBSITE, region="XX")),
    ("source.invalid", "no such currency", changed(WEBSITE, currency="YUA")),
    ("source.invalid", "no such preset", changed(WEBSITE, envelope={"preset": "xml"})),
    ("source.invalid", "a time format without a year", changed(CRM, envelope=custom(time_format="%H:%M"))),
    ("source.invalid", "no such kind of identifier", changed(CRM, envelope=custom(identifiers={"loyalty": "a"}))),
    ("source.invalid", "nowhere an event name", changed(CRM, envelope={"preset": "custom"})),
    ("path.invalid", "an envelope's path", changed(APP, envelope=custom(phone="user..mobile"))),
    ("path.invalid", "a row's path", changed(DETAIL, rows=[row(path="a[")])),
    ("path.invalid", "a field that raw events have not", changed(DETAIL, rows=[row(path="$.colour")])),
    ("pattern.invalid", "brackets that do not close", changed(PATTERN, name="view_(")),
    ("pattern.invalid", "what RE2 has not", changed(PATTERN, name="(?=a)b")),
    ("condition.invalid", "no such operator", changed(ORDER, condition={"path": "a", "operator": "like", "value": "b"})),
    ("condition.invalid", "a bad pattern", changed(ORDER, condition={"path": "a", "operator": "matches", "value": "("})),
    ("transforms.invalid", "no such transform", changed(DETAIL, rows=[row(transforms="shout")])),
    ("mode.invalid", "no such mode", changed(LOGIN, modes=[{"source": "", "mode": "shrug"}])),
    ("mode.invalid", "a source twice", changed(LOGIN, modes=[{"source": APP, "mode": "note"}, {"source": APP, "mode": "set_aside"}])),
    ("reference.missing", "a mode of no source", changed(LOGIN, modes=[{"source": OTHER, "mode": "note"}])),
    ("date.invalid", "watched until no day", changed(LOGIN, watch_until="soon")),
    ("date.invalid", "a rule until a 30th of February", changed(DETAIL, until="2026-02-30")),
    ("version.invalid", "no version", changed(DETAIL, below_version="the new one")),
    ("rule.duplicate", "two unconditional rules on one name", changed(OTHER, **ITEMS[DETAIL])),
    ("row.target_unknown", "a row into nothing", changed(DETAIL, rows=[row("order_id")])),
    ("row.empty", "neither path nor constant", changed(DETAIL, rows=[row(path="")])),
]  # fmt: skip


@pytest.mark.parametrize(("code", "about", "items"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_what_may_not_be_published(code, about, items):
    assert {problem.code for problem in check_plan(items)} == {code}


def test_every_problem_has_a_case_and_a_sentence():
    from taxonomy.problems import PLAN

    assert {code for code, *_ in CASES} == set(PROBLEMS) == PLAN.keys()


@pytest.mark.parametrize(
    "items",
    [
        changed(LOGIN, attributes=[{"attribute": PRICE, "required": False, "constraints": {"maximum": "9"}}]),
        changed(WEBSITE, envelope=custom(phone="电话.号码", occurred_at="$.at", identifiers={"user_id": "a[0].b"})),
        changed(OTHER, **{**ITEMS[DETAIL], "condition": {"path": "a", "operator": "exists", "value": ""}}),
        changed(OTHER, **{**ITEMS[DETAIL], "source": APP}),
        changed(OTHER, **{**ITEMS[DETAIL], "name": "ITEM_DETAIL_VIEW"}),
        changed(DETAIL, rows=[row(path="", transforms="constant(1)"), row("$phone", "$.context.phone"), row("$identifiers.email", "mail")]),
        changed(LOGIN, code="product_viewed"),
    ],
    ids=["a tightening", "an envelope", "a condition", "another source", "another case", "rows", "a code near a refinement"],
)
def test_what_may(items):
    assert check_plan(items) == []
    compile_plan(items)


def test_the_canonical_text_does_not_depend_on_order():
    items = small_plan_items()
    backwards = {uuid: dict(reversed(item.items())) for uuid, item in reversed(items.items())}
    assert Plan.canonical(items) == Plan.canonical(backwards)
    assert Plan.content_hash(items) == Plan.content_hash(backwards)
    assert len(Plan.content_hash(items)) == 64
    assert Plan.content_hash(changed(LOGIN, owner="sales")) != Plan.content_hash(items)
    assert decode_json(Plan.canonical(items)) == items


def verdict_of(plan: Plan, name: str, source: str = "website") -> tuple[str | None, str | None]:
    original = encode_json({"id": "1", "event": name, "phone": "+8613800138000", "occurred_at": "2026-01-01"})
    (raw,) = read(decode_json(original), plan.sources[source], plan, received_at=RECEIVED_AT, original=original)
    result = standardize(raw, plan)
    return result.tag_code, result.rule


def test_the_first_matching_rule_wins_exact_or_pattern_before_tags_and_refinements():
    exact = changed(OTHER, **{**ITEMS[DETAIL], "name": "view_special", "tag": LOGIN, "position": 9, "rows": []})
    assert verdict_of(compile_plan(exact), "view_special") == ("product_view", PATTERN)
    exact[OTHER]["position"] = 0
    assert verdict_of(compile_plan(exact), "view_special") == ("login", OTHER)
    assert verdict_of(compile_plan(exact), "view_other") == ("product_view", PATTERN)
    exact[OTHER]["name"] = "login"
    exact[OTHER]["tag"] = VIEW
    assert verdict_of(compile_plan(exact), "login") == ("product_view", OTHER)
    assert verdict_of(compile_plan(exact), "Login") == ("login", None)
    assert verdict_of(compile_plan(exact), "login", "partner") == ("login", None)


def test_names_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr("taxonomy.standardize.plan._MAX_NAMES", 5)
    plan = compile_plan(small_plan_items())
    source = plan.sources["website"]
    for index in range(12):
        assert verdict_of(plan, f"product_view_{index}")[0] == "product_view"
        assert len(source.known_meanings) <= 5
    verdict_of(plan, "x" * 1_000)
    assert "x" * 1_000 not in source.known_meanings


def test_steps_are_remembered_by_the_names_sent_together_up_to_a_bound(monkeypatch):
    monkeypatch.setattr("taxonomy.standardize.plan._SETS_OF_NAMES", 2)
    reading = compile_plan(small_plan_items()).tags[VIEW].native
    names = [step.key for step in reading.steps if step.optional]
    assert names
    for name in [*names, *names]:
        for sent in ({name: 1}, {name: None}, {"unplanned": 1, name: 1}, {}):
            found = reading.steps_for(sent)
            assert found == [step for step in reading.steps if step.key in sent or not step.optional]
            assert len(reading._by_names) <= 2
    assert not any("unplanned" in sent for sent in reading._by_names)


@pytest.mark.parametrize(
    ("operator", "value", "holds", "fails"),
    [
        ("eq", "1", [1, "1"], ["1.0", "", None, True, 10]),
        ("eq", "true", [True, "true"], [1, "True", None]),
        ("eq", "12.5", [decode_json(b"12.50"), "12.5"], ["12.50"]),
        ("ne", "a", ["b", None, 1, ""], ["a"]),
        ("in", "a, b ,3", ["a", "b", 3, "3"], ["A", "a, b", None, ""]),
        ("gt", "10", [11, "10.5", decode_json(b"10.01")], [10, "9", "x", None, True, "", [11]]),
        ("gte", "10", [10, "10.0"], [9]),
        ("lt", "2026-02-01", ["2026-01-31", "2026-01-31T10:00:00"], ["2026-02-01", None]),
        ("lte", "10", [10, -5, "3"], [10.5, "11"]),
        ("contains", "b", ["abc", ["a", "b"]], ["B", ["abc"], None]),
        ("starts_with", "ab", ["abc", "ab"], ["xab", None]),
        ("starts_with", "1", [12], [21]),
        ("matches", "a.c", ["abc"], ["abcd", "xabc", None]),
        ("exists", "", [0, False, "x", []], [None, ""]),
        ("missing", "", [None, ""], [0, "x"]),
    ],
)
def test_conditions(operator, value, holds, fails):
    test = compile_test(operator, value)
    assert [one for one in holds if not test(one)] == []
    assert [one for one in fails if test(one)] == []


def test_refinements_are_written_and_read_by_one_pattern():
    refinement = parse_refinement("purchase", "{tag}_category_{category}_sale")
    assert refinement == ("purchase_category_", "category", "_sale")


def large_plan(count: int) -> dict[str, dict[str, Any]]:
    kinds = ["text", "integer", "money", "datetime", "decimal"]
    items: dict[str, dict[str, Any]] = {"general": {"kind": "category", "code": "general", "parent": None}}
    items |= {f"a{index}": {"kind": "attribute", "code": f"attribute_{index}", "type": kinds[index % 5]} for index in range(60)}
    items["shop"] = {
        "kind": "source",
        "code": "shop",
        "region": "CN",
        "timezone": "Asia/Shanghai",
        "currency": "CNY",
        "envelope": {"preset": "flat"},
    }
    for index in range(count):
        uses = [{"attribute": f"a{(index + offset) % 60}", "required": offset == 0, "constraints": {}} for offset in range(6)]
        items[f"t{index}"] = {
            "kind": "tag", "code": f"tag_{index}_x", "category": "general", "status": "active", "attributes": uses, "one_of": [],
            "refinements": [{"pattern": f"{{tag}}_{{attribute_{index % 60}}}"}],
        }  # fmt: skip
        items[f"r{index}"] = {
            "kind": "rule", "source": "shop", "position": index, "match": "pattern" if index % 2 else "exact", "name": f"name {index}",
            "condition": None, "tag": f"t{index}", "rows": [row(f"attribute_{index % 60}", "p.q", "trim")], "keep_unmapped": True,
        }  # fmt: skip
    return items


def test_two_thousand_tags_and_rules_are_checked_and_compiled():
    items = large_plan(2_000)
    assert check_plan(items) == []
    plan = compile_plan(items)
    assert [meaning.reading.rule for meaning in plan.sources["shop"].meanings("name 1999")] == ["r1999"]


def many_plan(**envelope: str):
    """The small plan with a source whose records hold many events and say things about all of them."""
    return compile_plan(changed(APP, envelope={"preset": "custom", "event": "event", "events": "@", **envelope}))


def read_many(plan, record: bytes):
    return read(decode_json(record), plan.sources["app"], plan, received_at=RECEIVED_AT, original=record)


def test_a_key_twice_in_a_list_of_events_is_told():
    (event,) = read_many(many_plan(), b'[{"event": "login", "event": "logout"}]')
    assert [note.code for note in event.notes] == ["record.repeated_key"]


def test_what_the_whole_record_says_of_every_event_obeys_the_limits_too():
    plan = many_plan(events="batch", attributes="$.common")
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    assert [one.code for one in read_many(plan, b'{"batch": [{"event": "login"}], "common": ' + deep + b"}")] == ["limit.nesting"]
    wide = b'{"a": "' + b"x" * 300_000 + b'"}'
    found = read_many(plan, b'{"batch": [{"event": "login"}, {"event": "login"}], "common": ' + wide + b"}")
    assert [one.code for one in found] == ["limit.size", "limit.size"]
    (event,) = read_many(plan, b'{"batch": [{"event": "login"}], "common": {"a": 1}}')
    assert event.attributes == {"a": 1}


def many(number: int, text: bytes) -> bytes:
    return b",".join(text % at if b"%d" in text else text for at in range(number))


@pytest.mark.parametrize(
    "record",
    [
        b'{"event":"purchase","attributes":{"skus":[%s]}}' % many(80_000, b"{}"),
        b'{"event":"purchase","attributes":{"skus":[%s]}}' % many(80_000, b"[]"),
        b'{"event":"login",%s}' % many(20_000, b'"a%d":1'),
        b'{"event":"login","identifiers":{%s}}' % many(20_000, b'"a%d":1'),
        b'{"event":"login","identifiers":{%s}}' % many(15_000, b'"a%d":[1]'),
        b'{"event":"login","attributes":{%s}}' % many(20_000, b'"a":%d'),
        b'{"event":"login","attributes":{%s}}' % many(1_000, b'"a%d":1'),
    ],
    ids=["objects", "lists", "fields", "kinds", "identifiers", "repeated", "unplanned"],
)
def test_one_event_never_has_more_violations_than_the_limit(record):
    (raw,) = read(decode_json(record), PLAN.sources["website"], PLAN, received_at=RECEIVED_AT, original=record)
    found = standardize(raw, PLAN).violations
    assert len(found) <= LIMITS.violations + 1
    assert len(encode_json(found)) < 64 * 1024


def test_notes_that_are_many_hide_no_reason_that_holds_the_event():
    record = b'{"event":"login","attributes":"none",%s}' % many(500, b'"a%d":1')
    (raw,) = read(decode_json(record), PLAN.sources["website"], PLAN, received_at=RECEIVED_AT, original=record)
    result = standardize(raw, PLAN)
    assert result.verdict == "quarantined"
    assert ("envelope.wrong_type", "attributes") in [(one.code, one.path) for one in result.violations]
