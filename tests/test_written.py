"""The plan written with codes and read again: what every format in and out stands on."""

import pytest

from taxonomy.exchange.written import KINDS, chosen, read, write
from taxonomy.starter import starter_items

DEPARTMENTS = {"marketing", "sales", "service", "product", "data", "compliance"}


@pytest.fixture(scope="module")
def items():
    return starter_items()


def read_all(written, base, **more):
    return {(entry.kind, entry.key): entry for entry in read(written, base, departments=DEPARTMENTS, **more)}


def test_what_is_written_reads_as_it_was(items):
    assert {entry.status for entry in read_all(write(items), items, whole=KINDS).values()} == {"unchanged"}
    fresh = read(write(items), {}, departments=DEPARTMENTS)
    assert {entry.item: entry.after for entry in fresh} == items


def test_without_ids_codes_and_rules_are_found_again(items):
    written = write(items)
    for kind in KINDS:
        for fields in written[kind].values():
            del fields["id"]
    written["rule"] = {f"rule {number}": fields for number, fields in enumerate(written["rule"].values())}
    assert {entry.status for entry in read_all(written, items, whole=KINDS).values()} == {"unchanged"}


def test_a_rename_stays_the_same_item(items):
    written = write(items)
    written["tag"] = {"log_in" if key == "login" else key: fields for key, fields in written["tag"].items()}
    entry = read_all(written, items, whole=KINDS)["tag", "log_in"]
    assert entry.status == "changed" and entry.before["code"] == "login"


def test_what_is_not_said_stays_and_a_new_item_gets_the_defaults(items):
    found = read_all({"tag": {"login": {"label_en": "Sign in"}, "wave": {"category": "account", "owner": "data"}}}, items)
    changed, added = found["tag", "login"], found["tag", "wave"]
    assert changed.after == {**changed.before, "label_en": "Sign in"}
    assert added.status == "added" and added.after["status"] == "active"
    assert set(chosen(list(found.values()), update=False)) == {added.item}


@pytest.mark.parametrize(
    ("kind", "fields", "code", "field"),
    [
        ("tag", "nonsense", "written.not_fields", ""),
        ("tag", {"category": "account"}, "written.missing", "owner"),
        ("tag", {"category": "nowhere", "owner": "data"}, "written.no_such", "category"),
        ("tag", {"category": "account", "owner": "nobody"}, "written.no_such", "owner"),
        ("tag", {"category": "account", "owner": "data", "colour": "red"}, "written.unknown_field", "colour"),
        ("tag", {"category": "account", "owner": "data", "attributes": "price"}, "written.wrong_type", "attributes"),
        ("tag", {"category": "account", "owner": "data", "synonyms": "a, b"}, "written.wrong_type", "synonyms"),
        ("tag", {"category": "account", "owner": "data", "refinements": ["x"]}, "refinement.invalid", "refinements"),
        ("attribute", {"type": "nonsense"}, "definition.type", "type"),
        ("attribute", {"type": "choice"}, "definition.choices", "constraints"),
        ("rule", {"source": "website", "tag": "login", "name": "x", "rows": [{"target": "zz", "path": "a"}]}, "row.target_unknown", "rows"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(items, kind, fields, code, field):
    entry = read_all({kind: {"brand_new": fields}}, items)[kind, "brand_new"]
    assert entry.status == "wrong"
    assert (code, field) in {(one.code, one.field.split("[")[0].split(".")[0]) for one in entry.troubles}


def test_what_is_left_out_goes_only_when_the_whole_was_written(items):
    written = write(items)
    used = {rule["tag"] for rule in written["rule"].values()}
    del written["tag"][next(code for code in written["tag"] if code not in used)]
    assert {entry.status for entry in read_all(written, items).values()} == {"unchanged"}
    assert [entry.status for entry in read_all(written, items, whole=["tag"]).values()].count("removed") == 1


def test_two_spellings_of_one_code_are_told(items):
    found = read_all({"attribute": {"Brand": {"label_en": "x"}, "brand": {"label_en": "y"}}}, items)
    assert any(one.code == "written.twice" for entry in found.values() for one in entry.troubles)


def test_the_shapes_are_what_the_models_hold():
    from taxonomy.definition import MODELS
    from taxonomy.exchange.shapes import CHOICES, LONGEST
    from taxonomy.models import MappingRow, MappingRule, Refinement, Tag

    def field(kind, path):
        name, _dot, inner = path.partition(".")
        match name:
            case "condition":
                return MappingRule._meta.get_field(f"condition_{inner}")
            case "rows":
                return MappingRow._meta.get_field(inner)
            case "refinements":
                return Refinement._meta.get_field(inner)
            case "synonyms":
                return Tag._meta.get_field("synonyms").base_field
            case _:
                return MODELS[kind]._meta.get_field(name)

    assert {place: field(*place).max_length for place in LONGEST} == LONGEST
    assert {place: tuple(value for value, _label in field(*place).choices) for place in CHOICES} == CHOICES


NEW_TAG = {"category": "account", "owner": "data"}
NEW_RULE = {"source": "website", "tag": "login", "name": "x"}


@pytest.mark.parametrize(
    ("kind", "fields", "code", "field"),
    [
        ("tag", {**NEW_TAG, "label_en": "x" * 121}, "written.too_long", "label_en"),
        ("tag", {**NEW_TAG, "label_en": "a\x00"}, "written.characters", "label_en"),
        ("tag", {**NEW_TAG, "synonyms": ["\ud800"]}, "written.characters", "synonyms"),
        ("tag", {**NEW_TAG, "status": "gone"}, "written.not_a_choice", "status"),
        ("tag", {**NEW_TAG, "one_of": ["price"]}, "written.wrong_type", "one_of"),
        ("tag", {**NEW_TAG, "attributes": ["price", "price"]}, "written.twice", "attributes"),
        ("tag", {**NEW_TAG, "attributes": [{"attribute": "price", "required": "yes"}]}, "written.wrong_type", "attributes"),
        ("tag", {**NEW_TAG, "attributes": [{"attribute": "price", "more": 1}]}, "written.wrong_type", "attributes"),
        ("category", {"position": -1}, "written.position", "position"),
        ("category", {"position": True}, "written.wrong_type", "position"),
        ("attribute", {"constraints": "longest = 3"}, "written.wrong_type", "constraints"),
        ("attribute", {"constraints": {"minimum": float("nan")}, "type": "decimal"}, "written.characters", "constraints"),
        ("source", {"source_kind": "moon", "owner": "data"}, "written.not_a_choice", "source_kind"),
        ("rule", {**NEW_RULE, "condition": "price > 3"}, "written.wrong_type", "condition"),
        ("rule", {**NEW_RULE, "condition": {"path": "a", "operator": "near", "value": "b"}}, "written.not_a_choice", "condition"),
        ("rule", {**NEW_RULE, "rows": [1]}, "written.wrong_type", "rows"),
        ("rule", {**NEW_RULE, "rows": [{"target": "a"}, {"target": "a"}]}, "written.twice", "rows"),
    ],
)  # fmt: skip
def test_what_the_draft_could_not_hold_is_told_before_it_is_written(items, kind, fields, code, field):
    entry = read_all({kind: {"brand_new": fields}}, items)[kind, "brand_new"]
    assert entry.status == "wrong"
    assert (code, field) in {(one.code, one.field) for one in entry.troubles}


def test_a_code_in_other_letters_is_told_for_a_new_one_only(items):
    odd = {item: {**one, "code": "Odd Code"} if one.get("code") == "login" else one for item, one in items.items()}
    assert {entry.status for entry in read_all(write(odd), odd, whole=KINDS).values()} == {"unchanged"}
    assert read_all({"tag": {"Odd One": NEW_TAG}}, items)["tag", "Odd One"].troubles[0].code == "written.code"


def test_what_stands_on_something_wrong_is_wrong_too(items):
    found = read_all(
        {
            "attribute": {"brand_new": {"type": "nonsense"}},
            "tag": {"wave": {**NEW_TAG, "attributes": ["brand_new"]}},
            "rule": {"one": {**NEW_RULE, "tag": "wave"}},
        },
        items,
    )
    assert {entry.status for entry in found.values()} == {"wrong"}


def test_what_is_still_used_cannot_go(items):
    written = write(items)
    del written["attribute"]["brand"]
    entry = read_all(written, items, whole=KINDS)["attribute", "brand"]
    assert (entry.status, entry.troubles[0].code) == ("wrong", "written.in_use")


def test_what_an_item_needs_cannot_be_emptied(items):
    entry = read_all({"tag": {"login": {"owner": ""}}}, items)["tag", "login"]
    assert [(one.code, one.field) for one in entry.troubles] == [("written.missing", "owner")]


def test_line_ends_of_a_browser_change_nothing(items):
    windows = {item: {**one, "description_en": "a\r\nb"} if one.get("code") == "login" else one for item, one in items.items()}
    assert read_all({"tag": {"login": {"description_en": "a\nb"}}}, windows)["tag", "login"].status == "unchanged"


def test_every_trouble_has_its_sentence(items):
    import re

    from django.conf import settings

    from taxonomy.exchange.words import EXPECTED, TROUBLES, trouble_text

    text = "".join(
        (settings.BASE_DIR / "taxonomy/exchange" / f"{name}.py").read_text()
        for name in ("written", "shapes", "take", "cells", "workbook", "answer")
    )
    assert set(re.findall(r'"((?:written|cell)\.[a-z_]+)"', text)) | {"cell.formula", "cell.error"} == set(TROUBLES)
    assert set(re.findall(r'_wrong\("[a-z]+", "([^"]+)"', text)) <= set(map(str, EXPECTED))
    wrong = read_all({"tag": {"a b": {**NEW_TAG, "synonyms": 3, "status": "x"}}}, items)["tag", "a b"]
    assert all("%(" not in trouble_text(one, items) for one in wrong.troubles)
