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
    del written["tag"]["wifi_connect" if "wifi_connect" in written["tag"] else next(iter(written["tag"]))]
    assert {entry.status for entry in read_all(written, items).values()} == {"unchanged"}
    assert [entry.status for entry in read_all(written, items, whole=["tag"]).values()].count("removed") == 1


def test_two_spellings_of_one_code_are_told(items):
    found = read_all({"attribute": {"Brand": {"label_en": "x"}, "brand": {"label_en": "y"}}}, items)
    assert any(one.code == "written.twice" for entry in found.values() for one in entry.troubles)
