"""What breaks the plan and is not held for now: watched, accepted and noted, or set aside; and rules for old versions, for a while."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from plans import small_plan_items, uuid_of

from taxonomy.standardize import compile_plan, encode_json, read, standardize
from taxonomy.standardize.versions import is_below
from taxonomy.violations import message_for

ITEMS = small_plan_items()
PURCHASE, WEBSITE, APP, QUANTITY = (
    uuid_of(ITEMS, kind, code) for kind, code in [("tag", "purchase"), ("source", "website"), ("source", "app"), ("attribute", "quantity")]
)
RECEIVED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def plan(**changes: Any):
    return compile_plan(ITEMS | {PURCHASE: ITEMS[PURCHASE] | changes})


def purchase(made, *, received_at: datetime = RECEIVED_AT, source: str = "website", **attributes: Any):
    sent = {"order_id": "1", "product_id": "P1", "price": "10", "quantity": 1} | attributes
    record = {"id": "m", "event": "purchase", "phone": "+8613800138000", "occurred_at": "2026-02-01T10:00:00+08:00"}
    record["attributes"] = {name: value for name, value in sent.items() if value is not None}
    (raw,) = read(record, made.sources[source], made, received_at=received_at, original=encode_json(record))
    return standardize(raw, made)


def told(result) -> set[tuple[str, str]]:
    return {(one.code, one.mode) for one in result.violations if one.path.startswith("attributes")}


def test_without_a_mode_the_event_is_held():
    result = purchase(plan(), quantity=1000)
    assert result.verdict == "quarantined" and told(result) == {("attribute.out_of_range", "")}


def test_a_noted_value_that_breaks_only_its_bounds_stays():
    result = purchase(plan(modes=[{"source": WEBSITE, "mode": "note"}]), quantity="1000")
    assert result.verdict == "accepted" and told(result) == {("attribute.out_of_range", "note")}
    assert result.attributes["quantity"] == 1000 and not result.extra
    assert list(result.attributes) == [code for code in plan().tags[PURCHASE].slots if code in result.attributes]


def test_a_noted_value_of_another_type_stands_aside():
    result = purchase(plan(modes=[{"source": WEBSITE, "mode": "note"}]), quantity="many")
    assert result.verdict == "accepted" and told(result) == {("attribute.wrong_type", "note")}
    assert "quantity" not in result.attributes and result.extra == {"quantity": "many"}


def test_what_is_set_aside_stands_aside_whatever_is_wrong():
    result = purchase(plan(modes=[{"source": WEBSITE, "mode": "set_aside"}]), quantity=1000)
    assert result.verdict == "accepted" and result.extra == {"quantity": 1000} and "quantity" not in result.attributes


def test_a_missing_attribute_is_only_noted():
    result = purchase(plan(modes=[{"source": "", "mode": "note"}]), order_id=None)
    assert result.verdict == "accepted" and told(result) == {("attribute.missing", "note")}


def test_a_source_that_is_named_goes_before_all_others():
    made = plan(modes=[{"source": "", "mode": "note"}, {"source": WEBSITE, "mode": "quarantine"}])
    assert purchase(made, quantity=1000).verdict == "quarantined"
    assert plan(modes=[{"source": APP, "mode": "note"}]).tags[PURCHASE].modes is not None
    assert purchase(plan(modes=[{"source": APP, "mode": "note"}]), quantity=1000).verdict == "quarantined"


@pytest.mark.parametrize(
    ("until", "received_at", "verdict"),
    [
        ("2026-03-02", RECEIVED_AT, "accepted"),
        ("2026-03-01", RECEIVED_AT, "quarantined"),
        # the day begins where the source is: it is the 2nd in Shanghai already
        ("2026-03-02", datetime(2026, 3, 1, 16, tzinfo=UTC), "quarantined"),
        ("2026-03-02", datetime(2026, 3, 1, 15, 59, tzinfo=UTC), "accepted"),
    ],
)
@pytest.mark.parametrize("where", ["tag", "use", "attribute"])
def test_what_is_watched_is_enforced_from_its_day(where, until, received_at, verdict):
    items = dict(ITEMS)
    if where == "tag":
        items[PURCHASE] = {**items[PURCHASE], "watch_until": until}
    elif where == "attribute":
        items[QUANTITY] = {**items[QUANTITY], "watch_until": until}
    else:
        uses = [{**use, "watch_until": until} if use["attribute"] == QUANTITY else use for use in items[PURCHASE]["attributes"]]
        items[PURCHASE] = {**items[PURCHASE], "attributes": uses}
    result = purchase(compile_plan(items), quantity=1000, received_at=received_at)
    assert result.verdict == verdict
    assert told(result) == {("attribute.out_of_range", "watch" if verdict == "accepted" else "")}


def test_watching_one_attribute_excuses_no_other():
    uses = [{**use, "watch_until": "2027-01-01"} if use["attribute"] == QUANTITY else use for use in ITEMS[PURCHASE]["attributes"]]
    result = purchase(plan(attributes=uses), quantity=1000, price="cheap")
    assert result.verdict == "quarantined"
    assert {("attribute.out_of_range", "watch"), ("attribute.wrong_type", "")} <= told(result)


def test_no_mode_excuses_a_phone_or_a_time():
    made = plan(modes=[{"source": "", "mode": "note"}], watch_until="2027-01-01")
    record = {"id": "m", "event": "purchase", "phone": "12", "occurred_at": "never", "attributes": {}}
    (raw,) = read(record, made.sources["website"], made, received_at=RECEIVED_AT, original=encode_json(record))
    result = standardize(raw, made)
    assert {one.code for one in result.violations if one.blocking} == {"phone.invalid", "time.invalid"}


RULE = {
    "kind": "rule", "source": WEBSITE, "position": 0, "match": "exact", "name": "purchase", "condition": None, "tag": PURCHASE, "keep_unmapped": True,
    "note": "", "rows": [{"target": "price", "path": "amt", "transforms": "divide(100)"}],
}  # fmt: skip


def old_version(version: str | None, *, received_at: datetime = RECEIVED_AT, **rule: Any):
    made = compile_plan(ITEMS | {"00000000-0000-4000-8000-000000000001": RULE | rule})
    record = {"id": "m", "event": "purchase", "phone": "+8613800138000", "occurred_at": "2026-02-01T10:00:00+08:00", "source_version": version,
              "attributes": {"order_id": "1", "product_id": "P1", "amt": 1250, "price": None, "quantity": 1}}  # fmt: skip
    (raw,) = read(record, made.sources["website"], made, received_at=received_at, original=encode_json(record))
    return standardize(raw, made).attributes.get("price")


def test_a_rule_for_old_versions_is_left_alone_by_new_ones():
    assert old_version("4.1.9", below_version="4.2")["amount"] == Decimal("12.50")
    assert old_version("4.2", below_version="4.2") is None
    assert old_version("4.10", below_version="4.2") is None
    assert old_version(None, below_version="4.2") is None


def test_a_rule_ends_with_its_last_day():
    assert old_version(None, until="2026-03-01") is not None
    assert old_version(None, until="2026-02-28") is None
    assert old_version("4.1", below_version="4.2", until="2026-02-28") is None


def unknown(version: str | None, *rules: dict[str, Any]) -> str:
    """What is said of an event whose name only these rules know."""
    made = compile_plan(
        ITEMS | {f"00000000-0000-4000-8000-00000000000{at}": RULE | {"name": "bought"} | rule for at, rule in enumerate(rules)}
    )
    record = {"id": "m", "event": "bought", "phone": "+8613800138000", "source_version": version, "attributes": {}}
    (raw,) = read(record, made.sources["website"], made, received_at=RECEIVED_AT, original=encode_json(record))
    return message_for(next(one for one in standardize(raw, made).violations if one.code == "event.unknown"))


def test_an_unknown_name_tells_of_rules_that_have_it_within_limits():
    paid = {"condition": {"path": "status", "operator": "eq", "value": "paid"}}
    told = unknown("5.0", {"below_version": "4.2"}, paid | {"until": "2026-12-31"})
    assert "it applies only within limits: below version 4.2; status is paid, until 31 Dec 2026." in told
    assert "The event came from version 5.0." in told and "Widen the limits" in told
    assert "version" not in unknown("5.0", paid)
    assert "within limits: view" not in unknown(None, {"match": "pattern", "name": "view.*", "until": "2026-01-01"})
    assert "below version 4.2" in unknown(None, {"below_version": "4.2", "match": "pattern", "name": "b.*"})


def test_what_no_rule_has_is_told_as_before():
    assert "No rule of the source" in unknown("5.0", {"name": "sold", "until": "2026-01-01"})
    assert unknown(None, *({"until": f"2026-01-0{day}"} for day in range(1, 7))).count("until") == 3


@pytest.mark.parametrize(
    ("version", "bound", "below"),
    [
        ("4.1", "4.2", True), ("4.2", "4.2", False), ("4.2.0", "4.2", False), ("4.10", "4.9", False), ("4.2-beta", "4.2", True),
        ("4.2rc1", "4.2", True), ("4.2+build7", "4.2", False), ("v4.1", "4.2", True), ("V 4.1", "4.2", True), ("4_1_9", "4.2", True),
        ("10", "9.9", False), ("", "4.2", False), (None, "4.2", False), ("unknown", "4.2", False), ("4.1 (23)", "4.2", True),
        ("99999999999999999999", "4.2", False), ("4.2b", "4.2", True), ("4.2 build", "4.2", False),
    ],
)  # fmt: skip
def test_versions_compare_as_people_mean_them(version, bound, below):
    assert is_below(version, bound) is below
