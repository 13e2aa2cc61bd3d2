"""Each check of a plan finds what it is for, and leaves a near miss alone."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import pytest
from django.utils import translation
from plans import small_plan_items, uuid_of

from taxonomy.check_words import WORDS, finding_text
from taxonomy.checks import CHECKS, Seen, Setting, check
from taxonomy.standardize import RawEvent, compile_plan

TODAY, NOW = date(2026, 6, 30), datetime(2026, 6, 30, tzinfo=UTC)
ITEMS = small_plan_items()
PURCHASE, LOGIN, WEBSITE, PRICE, COUPON = (
    uuid_of(ITEMS, kind, code) for kind, code in [("tag", "purchase"), ("tag", "login"), ("source", "website"), ("attribute", "price"), ("attribute", "coupon")]
)  # fmt: skip
RULE = next(item for item, one in ITEMS.items() if one["kind"] == "rule" and one["name"] == "goods_bought")
SEEN = Seen({WEBSITE: [ITEMS[RULE]["name"], "page"]}, [PURCHASE], [RULE], {})


def found(name: str, item: str, changes: dict[str, Any] | None = None, *, seen: Seen = SEEN, words: tuple[str, ...] = (), only_new: bool = False, before: Any = None):  # fmt: skip
    """What one check finds of one item, changed so."""
    items = deepcopy(ITEMS)
    items[item] = {**items.get(item, {}), **(changes or {})}
    setting = replace(CHECKS[name][1], severity="warning", only_new=only_new, words=words or CHECKS[name][1].words)
    told = check(
        items, partial(compile_plan, items), before=ITEMS if before is None else before, settings={name: setting}, seen=seen, today=TODAY
    )
    for language in ("en", "zh-hans"):
        with translation.override(language):
            assert all("%(" not in finding_text(one, items) for one in told)
    return {one.item for one in told if one.item == item}


LABELED = {"label_en": "L", "label_zh_hans": "名", "description_en": "d", "description_zh_hans": "d"}
# (check, item, what is wrong with it, a near miss, more)
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("naming.snake_case", LOGIN, {"code": "logIn"}, {"code": "log_in_2"}, {}),
    ("naming.blocked_word", LOGIN, {"code": "test_login"}, {"code": "contest_login"}, {}),
    ("naming.allowed_word", LOGIN, {"code": "login_now"}, {"code": "login"}, {"words": ("login",)}),
    ("naming.verb_first", LOGIN, {"code": "page_view"}, {"code": "view_page"}, {}),
    ("naming.length", LOGIN, {"code": "l" * 41}, {"code": "l" * 40}, {}),
    ("description.missing", LOGIN, {"description_zh_hans": " ", "description_en": "d"}, {"description_zh_hans": "说明", "description_en": "d"}, {}),
    ("owner.missing", LOGIN, {"owner": None}, {"owner": "data"}, {}),
    ("example.missing", COUPON, {"example": "", "type": "text"}, {"example": "Acme", "type": "text"}, {}),
    ("attribute.same_meaning", "new", {**ITEMS[PRICE], "code": "pri_ce", "type": "text"}, {**ITEMS[PRICE], "code": "other", "label_en": "o", "label_zh_hans": "其他", "type": "text"}, {}),
    ("attribute.unfilled", RULE, {"tag": PURCHASE, "keep_unmapped": False, "rows": []}, {"tag": PURCHASE, "keep_unmapped": True, "rows": []}, {}),
    ("attribute.looks_personal", COUPON, {"example": "13800138000"}, {"example": "1380013800"}, {}),
    ("attribute.looks_personal", COUPON, {"type": "phone", "example": ""}, {"type": "phone", "example": "", "personal": "contact"}, {}),
    ("attribute.looks_personal", COUPON, {"type": "list", "of": "email", "example": ""}, {"type": "list", "of": "text", "example": ""}, {}),
    ("attribute.looks_personal", COUPON, {"type": "object", "fields": {"to": {"type": "phone"}}}, {"type": "object", "fields": {"to": {"type": "text"}}}, {}),
    ("item.ending", RULE, {"until": "2026-07-14"}, {"until": "2026-07-15"}, {}),
    ("item.ending", PRICE, {"watch_until": "2026-07-01"}, {"watch_until": "2026-12-31"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "item", "wrong", "near", "more"), CASES)
def test_it_finds_what_is_wrong_and_leaves_a_near_miss_alone(name, item, wrong, near, more):
    assert found(name, item, wrong, **more) == {item}
    assert found(name, item, near, **more) == set()


def sending(name: str, *attributes: dict[str, Any], source: str = WEBSITE) -> Seen:
    events = [RawEvent("website", name, None, None, {}, None, None, NOW, None, None, one, {}, b"", []) for one in attributes]
    return replace(SEEN, sent=lambda sources: [(source, one) for one in events if source in sources])


ORDER = {"order_id": "o", "quantity": 1, "price": "9"}
KEEPS = {"tag": PURCHASE, "keep_unmapped": True, "rows": []}


@pytest.mark.parametrize(
    ("changes", "events", "is_missing"),
    [
        ({}, [ORDER], False),
        ({}, [{"order_id": "o"}, {"quantity": 2}], False),
        ({}, [{"order_id": "o"}], True),
        ({}, [{"orderId": "o", "quantity": 1}], True),
        ({}, [{**ORDER, "quantity": ""}], True),
        ({}, [], True),
        # what a row takes elsewhere is not there any more; what it fills need not be sent
        ({"rows": [{"target": "amount", "path": "quantity", "transforms": ""}]}, [ORDER], True),
        ({"rows": [{"target": "quantity", "path": "qty", "transforms": ""}]}, [{"order_id": "o", "qty": 1}], False),
        ({"rows": [{"target": "quantity", "path": "", "transforms": "constant(1)"}]}, [{"order_id": "o"}], False),
        # only what the rule reads counts
        ({"condition": {"path": "paid", "operator": "eq", "value": "yes"}}, [ORDER, {"order_id": "o", "paid": "yes"}], True),
        ({"condition": {"path": "paid", "operator": "eq", "value": "yes"}}, [{"order_id": "o"}, {**ORDER, "paid": "yes"}], False),
        # without it a row must fill: another check says so
        ({"keep_unmapped": False}, [ORDER], False),
    ],
)
def test_what_a_tag_requires_is_filled_by_a_row_or_carried_by_what_the_rule_reads(changes, events, is_missing):
    told = found("attribute.not_sent", RULE, {**KEEPS, **changes}, seen=sending("goods_bought", *events))
    assert told == ({RULE} if is_missing else set())


def test_other_names_and_other_sources_say_nothing_of_what_a_rule_reads():
    assert found("attribute.not_sent", RULE, KEEPS, seen=sending("purchase", ORDER)) == {RULE}
    till = uuid_of(ITEMS, "source", "till")
    assert found("attribute.not_sent", RULE, KEEPS, seen=sending("goods_bought", ORDER, source=till)) == {RULE}
    assert CHECKS["attribute.not_sent"][1].severity == "warning"


def test_personal_data_is_found_in_what_arrives_too():
    assert found("attribute.looks_personal", COUPON, seen=replace(SEEN, values={"coupon": ["Acme", "li@example.com"]})) == {COUPON}
    assert (
        found("attribute.looks_personal", COUPON, {"personal": "contact"}, seen=replace(SEEN, values={"coupon": ["li@example.com"]}))
        == set()
    )


def test_a_rule_is_silent_after_so_many_days_while_its_source_sends():
    silent = replace(SEEN, rules=[])
    assert found("rule.matched_nothing", RULE, seen=silent) == {RULE}
    assert found("rule.matched_nothing", RULE, seen=SEEN) == set()
    assert found("rule.matched_nothing", RULE, seen=replace(silent, last_days={RULE: date(2026, 5, 31)})) == set()
    assert found("rule.matched_nothing", RULE, seen=replace(silent, last_days={RULE: date(2026, 5, 30)})) == {RULE}
    assert found("rule.matched_nothing", RULE, seen=replace(silent, last_days={RULE: date(2026, 5, 30)}), words=("90",)) == set()
    assert found("rule.matched_nothing", RULE, seen=replace(silent, names={})) == set()
    assert found("rule.matched_nothing", RULE, seen=silent, before={"x": ITEMS[LOGIN]}) == set()  # new: it had no chance yet


def test_a_tag_is_unsent_after_so_many_days():
    assert found("tag.unsent", LOGIN) == {LOGIN}
    assert found("tag.unsent", PURCHASE) == set()
    assert found("tag.unsent", LOGIN, seen=replace(SEEN, last_days={LOGIN: date(2026, 6, 1)})) == set()
    assert found("tag.unsent", LOGIN, {"status": "draft"}) == set()


def test_a_rule_is_shadowed_by_an_earlier_one_on_every_name_seen():
    first = {**ITEMS[RULE], "match": "pattern", "name": ".*", "position": -1, "condition": None}
    assert found("rule.shadowed", RULE) == set()
    items = {**ITEMS, "00000000-0000-4000-8000-000000000009": first}
    told = check(items, partial(compile_plan, items), before=ITEMS, settings={"rule.shadowed": Setting("warning")}, seen=SEEN, today=TODAY)
    assert RULE in {one.item for one in told}


def test_only_new_items_are_weighed_where_the_steward_says_so():
    assert found("naming.snake_case", LOGIN, {"code": "logIn"}, only_new=True) == set()
    assert found("naming.snake_case", "new", {**ITEMS[LOGIN], "code": "logIn"}, only_new=True) == {"new"}


def test_what_is_off_is_not_run_and_errors_come_first():
    items = deepcopy(ITEMS)
    items[LOGIN] = {**items[LOGIN], "code": "test_logIn", "owner": None}
    settings = {
        "naming.blocked_word": CHECKS["naming.blocked_word"][1],
        "owner.missing": Setting("error"),
        "naming.snake_case": Setting("off"),
    }
    told = check(items, partial(compile_plan, items), before={"x": ITEMS[PRICE]}, settings=settings, seen=None, today=TODAY)
    assert [one.check for one in told if one.item == LOGIN] == ["owner.missing", "naming.blocked_word"]


def test_every_check_has_words_and_a_case():
    assert WORDS.keys() == CHECKS.keys()
    tested = {name for name, *_rest in CASES} | {"rule.matched_nothing", "tag.unsent", "rule.shadowed", "attribute.not_sent"}
    assert tested == set(CHECKS)
