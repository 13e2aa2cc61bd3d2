"""Every rule of compatibility, each with a near miss that must be left alone."""

from copy import deepcopy
from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.proposals.verdict import CODES, Effect, judge, next_version
from taxonomy.proposals.verdict_words import EFFECTS, LEVELS, effect_text, level_shown
from taxonomy.standardize.types import ABSENT, TYPES, Defaults, Fault, Faults, compile_cast

TODAY = date(2026, 3, 1)
LABELS = {"label_en": "L", "label_zh_hans": "名", "description_en": "", "description_zh_hans": ""}
PLAN: dict[str, dict[str, Any]] = {
    "c": {"kind": "category", "code": "general", "parent": None, "position": 0, **LABELS},
    "price": {"kind": "attribute", "code": "price", "type": "decimal", "of": None, "fields": {}, "unit": "yuan", "example": "1", "personal": "none",
              "constraints": {"minimum": "0", "maximum": "10"}, **LABELS},
    "color": {"kind": "attribute", "code": "color", "type": "choice", "of": None, "fields": {}, "unit": "", "example": "", "personal": "none",
              "constraints": {"choices": ["red", "blue"]}, **LABELS},
    "spare": {"kind": "attribute", "code": "spare", "type": "text", "of": None, "fields": {}, "unit": "", "example": "", "personal": "none",
              "constraints": {}, **LABELS},
    "place": {"kind": "attribute", "code": "place", "type": "object", "of": None, "unit": "", "example": "", "personal": "none", "constraints": {},
              "fields": {"city": {"type": "text"}, "born": {"type": "date"}, "zip": {"type": "text", "required": True}}, **LABELS},
    "count": {"kind": "attribute", "code": "count", "type": "integer", "constraints": {}, **LABELS},
    "mail": {"kind": "attribute", "code": "mail", "type": "email", "constraints": {}, **LABELS},
    "sizes": {"kind": "attribute", "code": "sizes", "type": "list", "of": "integer", "constraints": {}, **LABELS},
    "buy": {"kind": "tag", "code": "buy", "category": "c", "owner": "sales", "status": "active", "successor": None, "synonyms": [], "one_of": [["price", "color"]],
            "attributes": [{"attribute": one, "required": one == "price", "constraints": {}} for one in ("price", "color", "place", "count", "mail", "sizes")],
            "refinements": [{"pattern": "{tag}_{color}"}], **LABELS},
    "lax": {"kind": "tag", "code": "lax", "category": "c", "owner": "sales", "status": "active", "successor": None, "synonyms": [], "one_of": [],
            "attributes": [], "refinements": [], "modes": [{"source": "", "mode": "note"}], "watch_until": "2026-12-31", **LABELS},
    "see": {"kind": "tag", "code": "see", "category": "c", "owner": "sales", "status": "draft", "successor": None, "synonyms": [], "one_of": [],
            "attributes": [], "refinements": [], **LABELS},
    "web": {"kind": "source", "code": "web", "owner": "sales", "source_kind": "website", "region": "", "timezone": "UTC", "currency": "CNY", "namespace": "",
            "hold_unreadable_phone": True, "separate_rows": False, "envelope": {"preset": "tagline"}, **LABELS},
    "till": {"kind": "source", "code": "till", "hold_unreadable_phone": False, "envelope": {}, **LABELS},
    "r1": {"kind": "rule", "source": "web", "position": 1, "match": "exact", "name": "bought", "condition": {"path": "a", "operator": "exists", "value": ""},
           "tag": "buy", "rows": [{"target": "price", "path": "amt", "transforms": ""}], "keep_unmapped": True, "note": ""},
    "r2": {"kind": "rule", "source": "web", "position": 2, "match": "exact", "name": "bought", "condition": None, "tag": "buy", "rows": [], "keep_unmapped": False, "note": ""},
    "r4": {"kind": "rule", "source": "web", "position": 4, "match": "pattern", "name": "pay_.*", "condition": None, "tag": "buy", "rows": [], "keep_unmapped": True, "note": ""},
    "r3": {"kind": "rule", "source": "web", "position": 3, "match": "exact", "name": "other", "condition": None, "tag": "buy", "rows": [], "keep_unmapped": False, "note": ""},
}  # fmt: skip


def rule(name: str, position: int, **more: Any) -> dict[str, Any]:
    return {**PLAN["r3"], "name": name, "position": position, **more}


# (path from the item, what stands there afterwards, the codes) - None removes what stands at the path
CASES: list[tuple[tuple[Any, ...], Any, set[str]]] = [
    (("c", "label_en"), "Other", {"wording"}),
    (("c", "code"), "common", {"category.renamed"}),
    (("buy", "description_en"), "Says more", {"wording"}),
    (("buy", "synonyms"), ["pay"], {"wording"}),
    (("buy", "owner"), "service", {"wording"}),
    (("buy", "code"), "purchase", {"tag.renamed"}),
    (("see", "code"), "look", {"wording"}),  # a draft is unknown under either name
    (("buy", "status"), "draft", {"tag.drafted"}),
    (("see", "status"), "active", {"tag.added"}),
    (("buy", "status"), "deprecated", {"tag.deprecated"}),
    (("buy", "attributes", 0, "required"), False, {"tag.attribute_optional"}),
    (("buy", "attributes", 1, "required"), True, {"tag.attribute_required"}),
    (("buy", "attributes"), [*PLAN["buy"]["attributes"], {"attribute": "spare", "required": False, "constraints": {}}], {"tag.attribute_added"}),
    (("buy", "attributes"), [*PLAN["buy"]["attributes"], {"attribute": "spare", "required": True, "constraints": {}}], {"tag.attribute_required"}),
    (("buy", "attributes"), PLAN["buy"]["attributes"][:2], {"tag.attribute_removed"}),
    (("buy", "attributes"), PLAN["buy"]["attributes"][::-1], {"wording"}),
    (("buy", "attributes", 0, "constraints"), {"minimum": "1"}, {"attribute.tightened"}),
    (("buy", "one_of"), [["price"]], {"tag.one_of_tightened"}),
    (("buy", "one_of"), [["place"]], {"tag.one_of_tightened", "tag.one_of_loosened"}),
    (("buy", "category"), "d", {"tag.moved"}),
    (("buy", "one_of"), [["price", "color", "place"]], {"tag.one_of_loosened"}),
    (("buy", "one_of"), [["color", "price"]], {"wording"}),
    (("buy", "one_of"), [], {"tag.one_of_loosened"}),
    (("buy", "refinements"), [], {"tag.refinement_removed"}),
    (("buy", "refinements"), [{"pattern": "{tag}_{color}"}, {"pattern": "{tag}_at_{price}"}], {"tag.refinement_added"}),
    (("buy", "modes"), [{"source": "web", "mode": "note"}], {"tag.milder"}),
    (("buy", "modes"), [{"source": "", "mode": "set_aside"}, {"source": "web", "mode": "quarantine"}], {"tag.milder"}),
    (("buy", "modes"), [{"source": "web", "mode": "quarantine"}], {"wording"}),  # as it is without
    (("see", "modes"), [{"source": "web", "mode": "note"}], {"wording"}),
    (("lax", "modes"), [], {"tag.stricter"}),
    (("lax", "modes"), [{"source": "", "mode": "note"}, {"source": "web", "mode": "set_aside"}], {"tag.stricter"}),
    (("buy", "watch_until"), "2027-01-01", {"tag.milder"}),
    (("lax", "watch_until"), "2026-06-30", {"tag.stricter"}),
    (("buy", "attributes", 0, "watch_until"), "2027-01-01", {"attribute.loosened"}),
    (("price", "watch_until"), "2027-01-01", {"attribute.loosened"}),
    (("r1", "below_version"), "4.2", {"rule.matches_otherwise"}),
    (("r1", "until"), "2027-01-01", {"rule.matches_otherwise"}),
    (("price", "code"), "amount", {"attribute.renamed"}),
    (("spare", "code"), "rest", {"wording"}),  # no tag has it
    (("price", "type"), "integer", {"attribute.type_narrowed"}),
    (("price", "type"), "text", {"attribute.type_narrowed"}),
    (("color", "type"), "text", {"attribute.type_widened"}),
    (("price", "constraints"), {"minimum": "1", "maximum": "10"}, {"attribute.tightened"}),
    (("price", "constraints"), {"minimum": "-1", "maximum": "10"}, {"attribute.loosened"}),
    (("price", "constraints"), {"minimum": "0.0", "maximum": "10.00"}, {"wording"}),
    (("price", "constraints"), {"minimum": "0", "maximum": "9"}, {"attribute.tightened"}),
    (("price", "constraints"), {"minimum": "0", "maximum": "11"}, {"attribute.loosened"}),
    (("price", "constraints"), {"minimum": "0"}, {"attribute.loosened"}),
    (("spare", "constraints"), {"pattern": "[A-Z]"}, {"wording"}),
    (("color",), {**PLAN["color"], "type": "text", "constraints": {"choices": ["red"]}}, {"attribute.type_widened", "attribute.tightened"}),
    (("color",), {**PLAN["color"], "type": "text", "constraints": {}}, {"attribute.type_widened", "attribute.loosened"}),
    (("count",), {**PLAN["count"], "type": "decimal"}, {"attribute.type_widened"}),
    (("count",), {**PLAN["count"], "type": "decimal", "constraints": {"maximum": "5"}}, {"attribute.type_widened", "attribute.tightened"}),
    (("mail",), {**PLAN["mail"], "type": "text"}, {"attribute.read_otherwise"}),
    (("mail",), {**PLAN["mail"], "type": "text", "constraints": {"max_length": 3}}, {"attribute.read_otherwise", "attribute.tightened"}),
    (("sizes",), {**PLAN["sizes"], "of": "decimal"}, {"attribute.type_widened"}),
    (("sizes",), {**PLAN["sizes"], "of": "decimal", "constraints": {"max_items": 1}}, {"attribute.type_widened", "attribute.tightened"}),
    (("sizes",), {**PLAN["sizes"], "of": "text", "constraints": {"max_items": 1}}, {"attribute.type_narrowed"}),
    (("place", "fields", "born", "type"), "text", {"attribute.read_otherwise"}),
    (("color", "constraints"), {"choices": ["red"]}, {"attribute.tightened"}),
    (("color", "constraints"), {"choices": ["blue", "red", "green"]}, {"attribute.loosened"}),
    (("color", "constraints"), {"choices": ["blue", "red"]}, {"wording"}),
    (("place", "fields", "city", "required"), True, {"attribute.tightened"}),
    (("place", "fields", "zip", "required"), False, {"attribute.loosened"}),
    (("place", "fields", "zip"), None, {"attribute.tightened"}),
    (("place", "fields", "street"), {"type": "text"}, {"attribute.loosened"}),
    (("place", "fields", "street"), {"type": "text", "required": True}, {"attribute.tightened"}),
    (("place", "fields", "zip", "type"), "integer", {"attribute.type_narrowed"}),
    (("price", "unit"), "fen", {"attribute.unit"}),
    (("color", "unit"), "name", {"wording"}),  # it had none
    (("price", "personal"), "contact", {"attribute.personal"}),
    (("price", "example"), "2", {"wording"}),
    (("web", "code"), "shop", {"source.renamed"}),
    (("web", "envelope"), {"preset": "flat"}, {"source.read_otherwise"}),
    (("web", "region"), "CN", {"source.default_given"}),
    (("web", "currency"), "USD", {"source.read_otherwise"}),
    (("web", "hold_unreadable_phone"), False, {"source.holds_less"}),
    (("till", "hold_unreadable_phone"), True, {"source.holds_more"}),
    (("web", "source_kind"), "app", {"wording"}),
    (("r2", "keep_unmapped"), True, {"rule.takes_rest"}),
    (("r1", "keep_unmapped"), False, {"rule.leaves_rest"}),
    (("r1", "note"), "Why", {"wording"}),
    (("r1", "name"), "paid", {"rule.matches_otherwise"}),
    (("r1", "condition"), None, {"rule.matches_otherwise"}),
    (("r1", "tag"), "see", {"rule.means_otherwise"}),
    (("r1", "rows", 0, "transforms"), "trim", {"rule.row_changed"}),
    (("r1", "rows"), [], {"rule.row_removed"}),
    (("r2", "rows"), [{"target": "price", "path": "p", "transforms": ""}], {"rule.row_added"}),
    # r4 takes what is sent under the attributes' own names too: such a value may have been there
    (("r4", "rows"), [{"target": "price", "path": "p", "transforms": ""}], {"rule.row_preferred"}),
    (("r4", "rows"), [{"target": "spare", "path": "p", "transforms": ""}], {"rule.row_added"}),
    (("r4", "rows"), [{"target": "price", "path": "price", "transforms": ""}], {"rule.row_added"}),
    (("r4", "rows"), [{"target": "price", "path": "price", "transforms": "trim"}], {"rule.row_changed"}),
    (("r4", "rows"), [{"target": "price", "path": "price.amount", "transforms": ""}], {"rule.row_changed"}),
    (("r4", "rows"), [{"target": "spare", "path": "color", "transforms": ""}], {"rule.row_takes"}),
    (("r2", "rows"), [{"target": "spare", "path": "color", "transforms": ""}], {"rule.row_added"}),
    (("r4", "rows"), [{"target": "price", "path": "a[", "transforms": ""}], {"rule.row_preferred"}),
    # whose event it is, or when, and what stood in the envelope no longer counts
    (("r2", "rows"), [{"target": "$phone", "path": "receiver_phone", "transforms": ""}], {"rule.row_changed"}),
    (("r2", "rows"), [{"target": "$identifiers.openid", "path": "o", "transforms": ""}], {"rule.row_changed"}),
    (("r2", "rows"), [{"target": "$occurred_at", "path": "paid_at", "transforms": ""}], {"rule.row_changed"}),
    (("r1", "position"), 9, {"wording", "rule.order"}),
    (("r3", "position"), 0, {"wording"}),  # it meets no other rule's name
    (("new",), rule("bought", 0), {"rule.overrides"}),
    (("new",), rule("BUY", 7), {"rule.overrides"}),
    (("new",), rule("bought", 7), {"rule.added"}),
    (("new",), rule("fresh", 0), {"rule.added"}),
    (("new",), rule("buy", 0, source="fresh"), {"rule.added"}),  # a source that sent nothing before
    (("new",), rule("BUY_red", 0), {"rule.overrides"}),
    (("new",), rule("see_red", 0), {"rule.added"}),
    (("new",), rule("pay_now", 3), {"rule.overrides"}),
    (("new",), rule("pay_now", 5), {"rule.added"}),
    (("new",), rule("repay_now", 3), {"rule.added"}),
    (("new",), rule("b.y", 9, match="pattern"), {"rule.overrides"}),
    (("new",), rule("s.e", 9, match="pattern"), {"rule.added"}),  # a draft
    (("new",), rule("buy_[a-z]+", 9, match="pattern"), {"rule.overrides"}),
    (("new",), rule("buy_[0-9]+", 9, match="pattern"), {"rule.added"}),  # no choice of the color
    (("new",), rule("oth.+", 2, match="pattern"), {"rule.overrides"}),
    (("new",), rule("oth.+", 4, match="pattern"), {"rule.added"}),
    (("new",), rule("pa.+", 3, match="pattern"), {"rule.overrides"}),
    (("new",), rule("po.+", 3, match="pattern"), {"rule.added"}),
    (("new",), rule(r"\Aother\z", 2, match="pattern"), {"rule.overrides"}),
    (("new",), rule("oth(", 2, match="pattern"), {"rule.added"}),
    (("new",), {**PLAN["buy"], "code": "new_tag"}, {"tag.added"}),
    (("new",), {**PLAN["see"], "code": "new_tag"}, {"wording"}),
    (("new",), {**PLAN["spare"], "code": "new_attribute"}, {"attribute.added"}),
    (("new",), {**PLAN["c"], "code": "new_category"}, {"category.added"}),
    (("new",), {**PLAN["web"], "code": "new_source"}, {"source.added"}),
    (("c",), None, {"category.removed"}),
    (("buy",), None, {"tag.removed"}),
    (("see",), None, {"wording"}),
    (("price",), None, {"attribute.removed"}),
    (("spare",), None, {"wording"}),
    (("web",), None, {"source.removed"}),
    (("r3",), None, {"rule.removed"}),
]  # fmt: skip


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    plan = deepcopy(PLAN)
    at: Any = plan
    for step in path[:-1]:
        at = at[step]
    if value is None and path[-1] != "condition":
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return plan


@pytest.mark.parametrize(("path", "value", "codes"), CASES)
def test_each_change_has_its_effect_and_no_other(path, value, codes):
    verdict = judge(PLAN, changed(path, value), on=TODAY)
    assert {effect.code for effect in verdict.effects} == codes
    assert LEVELS[verdict.level]


# What sources write, of every type.
WRITTEN: list[Any] = [
    "red", "1", "1.5", "007", "1E+18", "true", "是", "2026-01-31", "20260131", "2026-01-31T02:00:00+08:00", "13800138000", "+86 138-0013-8000", "a@B.COM",
    "HTTP://X.com", 1, 0, Decimal("1.50"), True, 1769824800, {"amount": "1", "currency": "CNY"}, ["a"], [1], {}, {"a": 1},
]  # fmt: skip


def read_as(kind: str, value: Any, currency: str) -> Any:
    """The standard value, of a source in a currency; None where it is held."""
    found = compile_cast({"type": kind, "constraints": CHOOSES.get(kind, {})})(
        value, Defaults(timezone="UTC", region="CN", currency=currency)
    )
    return None if found is ABSENT or isinstance(found, Fault | Faults) else found


CHOOSES = {"choice": {"choices": ["red", "1", "true"]}}


@pytest.mark.parametrize("before", TYPES)
@pytest.mark.parametrize("after", TYPES)
def test_each_pair_of_types_is_judged_by_what_becomes_of_values(before, after):
    """As far as it is written without spaces around it."""
    sent = list(enumerate(product(WRITTEN, ("", "CNY"))))
    took = {at: found for at, one in sent if (found := read_as(before, *one)) is not None}
    takes = {at: read_as(after, *one) for at, one in sent if at in took}
    assert took
    if before == after:
        expected = set()
    elif None in takes.values():
        expected = {"attribute.type_narrowed"}
    else:
        expected = {"attribute.type_widened" if takes == took else "attribute.read_otherwise"}
    plans = [deepcopy(PLAN), deepcopy(PLAN)]
    for plan, kind in zip(plans, (before, after), strict=True):
        plan["mail"] |= {"type": kind, "constraints": CHOOSES.get(kind, {})}
        plan["sizes"] |= {"of": kind}
    effects = judge(*plans, on=TODAY).effects
    for item in ("mail", "sizes"):
        assert {one.code for one in effects if one.item == item} - {"attribute.loosened", "attribute.tightened"} == expected


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("buy", "watch_until"), "2027-01-01", "Until 2027-01-01"),
        (("buy", "attributes", 0, "watch_until"), "2027-01-01", "L (price): Until 2027-01-01"),
        (("price", "watch_until"), "2027-01-01", "Until 2027-01-01"),
        (("lax", "watch_until"), "2026-06-30", "Until 2026-06-30"),
        (("lax", "watch_until"), "", "until 2026-12-31 it would"),
    ],
)
def test_watching_is_told_by_its_day(path, value, said):
    plan = changed(path, value)
    (effect,) = judge(PLAN, plan, on=TODAY).effects
    text = effect_text(effect, plan)
    assert said in text and "“" not in text


def watched(until: str, *path: Any, item: str = "buy") -> dict[str, Any]:
    """The plan where something is watched until a day; and what is asked beside it: `path`, the last being the value."""
    plan = deepcopy(PLAN)
    plan[item]["watch_until"] = until
    at = plan
    for step in path[:-2]:
        at = at[step]
    at[path[-2]] = path[-1]
    return plan


SPARE = {"attribute": "spare", "required": True, "constraints": {}}
NEW_USE = ("buy", "attributes", [*PLAN["buy"]["attributes"], SPARE])
# (the plan afterwards, level, from when it breaks)
LATER: list[tuple[dict[str, Any], str, str]] = [
    (changed(NEW_USE[:2], [*PLAN["buy"]["attributes"], SPARE | {"watch_until": "2026-06-01"}]), "additive", "2026-06-01"),
    (watched("2026-06-01", *NEW_USE), "additive", "2026-06-01"),
    (watched("2026-06-01", *NEW_USE, item="spare"), "additive", "2026-06-01"),
    # a day that is over, or today, excuses nothing
    (watched("2026-03-01", *NEW_USE), "breaking", ""),
    (watched("2026-03-02", *NEW_USE), "additive", "2026-03-02"),
    (watched("2026-01-01", *NEW_USE, item="spare"), "breaking", ""),
    (watched("2026-06-01", "buy", "attributes", 1, "required", True), "additive", "2026-06-01"),
    (watched("2026-06-01", "buy", "attributes", 0, "constraints", {"minimum": "1"}), "additive", "2026-06-01"),
    (watched("2026-06-01", "buy", "one_of", [["price"]]), "additive", "2026-06-01"),
    # what is asked of several attributes is excused by the tag's day alone
    (watched("2026-06-01", "buy", "one_of", [["price"]], item="price"), "breaking", ""),
    (watched("2026-06-01", "price", "type", "integer", item="price"), "additive", "2026-06-01"),
    (watched("2026-06-01", "price", "constraints", {"minimum": "1"}, item="price"), "additive", "2026-06-01"),
    (watched("2026-06-01", "place", "fields", "city", "required", True, item="place"), "additive", "2026-06-01"),
    # no watching brings back a name, or a value's meaning
    (watched("2026-06-01", "mail", "type", "text", item="mail"), "breaking", ""),
    (watched("2026-06-01", "price", "code", "amount", item="price"), "breaking", ""),
    (watched("2026-06-01", "price", "unit", "fen", item="price"), "breaking", ""),
    (watched("2026-06-01", "buy", "code", "pay"), "breaking", ""),
    (watched("2026-06-01", "buy", "refinements", []), "breaking", ""),
    (watched("2026-06-01", "lax", "modes", [], item="lax"), "additive", "2026-06-01"),
    (changed(("lax", "watch_until"), "2026-06-30"), "additive", "2026-06-30"),
    (changed(("lax", "watch_until"), None), "breaking", ""),
    (changed(("lax", "watch_until"), "2026-02-01"), "breaking", ""),
    (changed(("buy", "watch_until"), "2026-02-01"), "wording", ""),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "level", "day"), LATER)
def test_what_is_only_watched_breaks_from_its_day(plan, level, day):
    verdict = judge(PLAN, plan, on=TODAY)
    assert (verdict.level, verdict.breaks_from) == (level, day)
    item = next(one for one in plan if plan[one] != PLAN[one] and (verdict.of_later(one) or verdict.of(one) == level))
    assert verdict.breaks(item) == bool(day or level == "breaking")
    for effect in verdict.effects:
        assert not effect.breaks_from or effect.breaks_from in effect_text(effect, PLAN | plan)
        assert not effect.breaks_from or "now" not in effect_text(effect, PLAN | plan)


def test_a_day_that_is_over_makes_no_difference_when_it_goes():
    over = changed(("lax", "watch_until"), "2026-02-01")
    gone = changed(("lax", "watch_until"), None)
    assert judge(over, gone, on=TODAY).level == "wording"


def test_what_breaks_now_is_not_told_as_breaking_later():
    plan = watched("2026-06-01", *NEW_USE) | {"r3": None}
    del plan["r3"]
    verdict = judge(PLAN, plan, on=TODAY)
    assert (verdict.level, verdict.breaks_from) == ("breaking", "2026-06-01")
    assert level_shown(verdict.level, verdict.breaks_from)["level_label"] == "breaking"
    assert level_shown("additive", "2026-06-01") == {"level": "later", "level_label": "breaking from 1 Jun 2026"}
    assert level_shown("additive", "") == {"level": "additive", "level_label": "additive"}


def test_every_effect_has_a_case():
    assert {code for *_rest, codes in CASES for code in codes} == set(CODES)


def test_nothing_changed_is_no_effect():
    assert judge(PLAN, deepcopy(PLAN), on=TODAY).level == "none"


@given(st.lists(st.sampled_from(CASES), max_size=4))
def test_the_whole_is_never_judged_milder_than_a_part(cases):
    plan = deepcopy(PLAN)
    for path, value, _codes in cases:
        plan = {**plan, path[0]: changed(path, value).get(path[0])}
    plan = {item: definition for item, definition in plan.items() if definition is not None}
    verdict = judge(PLAN, plan, on=TODAY)
    assert {effect.item for effect in verdict.effects} == {item for item in PLAN | plan if PLAN.get(item) != plan.get(item)}


@pytest.mark.parametrize(
    ("version", "level", "after"),
    [(None, "wording", "1.0.0"), ("1.2.3", "breaking", "2.0.0"), ("1.2.3", "additive", "1.3.0"), ("1.2.3", "wording", "1.2.4")],
)
def test_the_level_says_the_next_version(version, level, after):
    assert next_version(version, level) == after


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_effect_has_a_sentence_in_both_languages(language):
    assert EFFECTS.keys() == CODES.keys()
    values = dict.fromkeys(
        ("before", "after", "attribute", "successor", "codes", "pattern", "constraint", "field", "name", "other", "target"), "buy"
    )
    with translation.override(language):
        for code in CODES:
            assert effect_text(Effect("buy", code, values), PLAN)
            assert effect_text(Effect("buy", code, values | {"from": "2026-06-01"}), PLAN)


def test_types_are_told_by_name():
    plan = changed(("price", "type"), "integer")
    (effect,) = judge(PLAN, plan, on=TODAY).effects
    assert effect_text(effect, plan) == "Send it as whole number instead of decimal number, or the event is held."


@pytest.mark.parametrize("fields", [{"city": "text"}, {"city": {"type": ["text"], "constraints": [1]}}, [1], "x"])
@pytest.mark.parametrize("kind", ["text", "object"])
def test_fields_that_are_none_are_judged_all_the_same(kind, fields):
    plan = changed(("price", "type"), kind)
    plan["price"].pop("constraints", None)
    odd = deepcopy(plan)
    odd["price"]["fields"] = fields
    is_told = kind == "object" and isinstance(fields, dict)
    for before, after in ((plan, odd), (odd, plan)):
        verdict = judge(before, after, on=TODAY)
        assert {effect.code for effect in verdict.effects} <= ({"attribute.loosened", "attribute.tightened"} if is_told else {"wording"})
    assert judge(odd, odd | {"price": odd["price"] | {"label_en": "New"}}, on=TODAY).level == "wording"
