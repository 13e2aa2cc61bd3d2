"""Files of others, good and hostile: names become codes, types the standard's, and each loss is told with its reason."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_formats import carry, one_file

from taxonomy.exchange.formats import FORMATS, Choices
from taxonomy.exchange.formats.names import clean, code_of, free_code, is_code
from taxonomy.exchange.formats.words import REASONS
from taxonomy.standardize import compile_plan, standardize
from taxonomy.standardize.structs import RawEvent
from taxonomy.starter import starter_items

SOURCED = Choices(category="general", owner="data", source="website")


@pytest.fixture(scope="module")
def items():
    return starter_items()


def schema_of(**properties):
    return {"type": "object", "properties": properties}


def told(carried):
    return {(one.what, one.why) for one in carried.left_out}


# Names


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("product_view", "product_view"), ("Order Completed", "order_completed"), ("isCI", "is_ci"), ("XMLHttpRequest", "xml_http_request"),
        ("加购", "jia_gou"), ("点击Banner", "dian_ji_banner"), ("3D view", "x_3d_view"), ("__a--b__", "a_b"), ("$MPViewScreen", "mp_view_screen"),
        ('42_--terrible=="event\'++name~!3', "x_42_terrible_event_name_3"),
    ],
)  # fmt: skip
def test_a_name_becomes_the_code_that_reads_like_it(name, code):
    assert code_of(name) == code


@given(st.text(st.characters(), max_size=400), st.sampled_from([80, 120]))
def test_every_name_becomes_a_valid_code_and_always_the_same(name, limit):
    code = code_of(name, limit)
    assert is_code(code, limit) and code_of(name, limit) == code
    taken = {code}
    assert is_code(free_code(code, taken, limit), limit) and len(taken) == 2
    clean(name).encode()


def test_long_names_are_cut_and_still_told_apart():
    assert code_of("a" * 500 + "b") != code_of("a" * 500 + "c")
    assert len(code_of("a" * 100_000)) <= 80


# What a source says


def test_the_names_of_a_chosen_source_become_its_rules_and_its_events_arrive(items):
    plan = {
        "rules": [
            {
                "key": "Recipe Cooked!", "type": "TRACK", "version": 1,
                "jsonSchema": schema_of(properties={**schema_of(**{"Dish Name": {"type": "string"}, "minutes": {"type": "integer", "minimum": 1}}), "required": ["minutes"]}),
            }
        ]
    }  # fmt: skip
    carried, entries = one_file("segment", plan, items, SOURCED)
    assert {entry.status for entry in entries} == {"added"} and not carried.left_out
    tag = next(entry for entry in entries if entry.kind == "tag")
    rule = next(entry for entry in entries if entry.kind == "rule")
    assert (tag.after["code"], tag.after["status"], tag.after["synonyms"]) == ("recipe_cooked", "draft", ["Recipe Cooked!"])
    assert (tag.after["owner"], tag.after["label_en"]) == ("data", "Recipe Cooked!")
    assert rule.after["rows"] == [{"target": "dish_name", "path": '"Dish Name"', "transforms": ""}]
    after = items | {entry.item: entry.after for entry in entries} | {tag.item: {**tag.after, "status": "active"}}
    compiled = compile_plan(after, version="1")
    result = standardize(raw("Recipe Cooked!", {"Dish Name": "Noodles", "minutes": 12}), compiled)
    assert (result.verdict, result.tag, result.attributes) == ("accepted", tag.item, {"dish_name": "Noodles", "minutes": 12})


def raw(name, attributes):
    return RawEvent(
        source="website", name=name, phone="+8613800138000", region=None, identifiers={}, occurred_at="2026-01-31T02:00:00Z", sent_at=None,
        received_at=datetime(2026, 1, 31, 2, 0, 1, tzinfo=UTC), message_id="1", source_version=None, attributes=attributes, context={}, original=b"{}", notes=[],
    )  # fmt: skip


def test_a_name_that_the_source_has_a_rule_for_is_that_rules_tag(items):
    rule = next(one for one in items.values() if one["kind"] == "rule" and one["match"] == "exact" and not one["condition"])
    tag, source = items[rule["tag"]], items[rule["source"]]["code"]
    plan = {"rules": [{"key": rule["name"], "type": "TRACK", "jsonSchema": schema_of()}]}
    carried, entries = one_file("segment", plan, items, Choices("general", "data", source))
    assert [(entry.kind, entry.key) for entry in entries] == [("tag", tag["code"])]
    assert (tag["code"], "rule.followed") in told(carried)


def test_one_name_twice_is_one_rule(items):
    files = {
        "schemas/a/song_play/jsonschema/1-0-0": json.dumps({"self": {"vendor": "com.a", "name": "songPlay", "version": "1-0-0"}, **schema_of()}).encode(),
        "schemas/b/song_play/jsonschema/1-0-0": json.dumps({"self": {"vendor": "com.b", "name": "songPlay", "version": "1-0-0"}, **schema_of()}).encode(),
    }  # fmt: skip
    carried, entries = carry("snowplow", files, items, SOURCED)
    assert sorted((entry.kind, entry.key) for entry in entries) == [
        ("rule", "website: songPlay"),
        ("tag", "a_song_play"),
        ("tag", "b_song_play"),
    ]
    assert ("songPlay", "rule.there") in told(carried)


def test_two_names_of_one_code_stay_two_tags(items):
    plan = {"rules": [{"key": key, "type": "TRACK", "jsonSchema": schema_of()} for key in ("Song Played", "song played", "SONG_PLAYED")]}
    _, entries = one_file("segment", plan, items)
    assert {entry.key for entry in entries} == {"song_played", "v2_song_played", "v3_song_played"}
    assert {entry.status for entry in entries} == {"added"}


def test_a_name_that_would_read_as_a_refinement_comes_in_under_another(items):
    carried, entries = one_file("segment", {"rules": [{"key": "product_view_360", "type": "TRACK", "jsonSchema": schema_of()}]}, items)
    assert [(entry.key, entry.status) for entry in entries] == [("event_product_view_360", "added")]
    assert ("event_product_view_360", "tag.renamed") in told(carried)


# Attributes


def test_the_standards_own_attribute_is_used_where_it_can_take_the_values(items):
    schema = schema_of(
        price={"type": "number"},
        email={"type": "string"},
        product_id={"type": "string"},
        brand={"type": "array", "items": {"type": "string"}},
    )
    carried, entries = one_file("json-schema", schema, items, name="song_play.json")
    used = [use["attribute"] for use in next(entry for entry in entries if entry.kind == "tag").after["attributes"]]
    codes = [items[item]["code"] if item in items else "new" for item in used]
    assert codes == ["price", "email", "product_id", "new"]
    assert {("money", "attribute.standard"), ("email", "attribute.standard"), ("song_play_brand", "attribute.renamed")} <= told(carried)
    assert {entry.status for entry in entries if entry.key in ("price", "email", "product_id")} == {"unchanged"}


def test_one_name_of_two_types_becomes_two_attributes(items):
    files = {
        "a_play.json": json.dumps(schema_of(loudness={"type": "integer", "minimum": 3})).encode(),
        "b_play.json": json.dumps(schema_of(loudness={"type": "integer", "minimum": 5})).encode(),
        "c_play.json": json.dumps(schema_of(loudness={"type": "string"})).encode(),
    }
    _, entries = carry("json-schema", files, items)
    found = {entry.key: entry.after for entry in entries}
    assert found["loudness"]["constraints"] == {"minimum": "3"} and found["c_play_loudness"]["type"] == "text"
    assert found["a_play"]["attributes"][0]["constraints"] == {}
    assert found["b_play"]["attributes"][0]["constraints"] == {"minimum": "5"}


@pytest.mark.parametrize(
    ("schema", "definition", "reasons"),
    [
        ({"type": "string", "maxLength": 5}, {"type": "text", "constraints": {"max_length": 5}}, set()),
        ({"type": ["string", "null"]}, {"type": "text"}, set()),
        ({"type": "string", "enum": ["a", "b"]}, {"type": "choice", "constraints": {"choices": ["a", "b"]}}, set()),
        ({"enum": ["a", None]}, {"type": "choice", "constraints": {"choices": ["a"]}}, set()),
        ({"const": "a"}, {"type": "choice", "constraints": {"choices": ["a"]}}, set()),
        ({"const": 5}, {"type": "integer", "constraints": {"minimum": "5", "maximum": "5"}}, set()),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "constraints": {"minimum": "1"}}, set()),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, {"type": "integer", "constraints": {"minimum": "1"}}, set()),
        ({"type": "number", "exclusiveMaximum": 9.5}, {"type": "decimal", "constraints": {"maximum": "9.5"}}, {"bound.exclusive"}),
        ({"type": "number", "multipleOf": 0.01}, {"type": "decimal"}, {"keyword"}),
        ({"type": "number", "minimum": 5, "maximum": 1}, {"type": "decimal", "constraints": {"minimum": "5"}}, {"bound.unreadable"}),
        ({"type": "string", "format": "date-time"}, {"type": "datetime"}, set()),
        ({"type": "string", "format": "uri"}, {"type": "url"}, {"format.narrower"}),
        ({"type": "string", "format": "hostname"}, {"type": "text"}, {"format.unknown"}),
        ({"type": "string", "pattern": "(?=x)"}, {"type": "text"}, {"pattern.dialect"}),
        ({"type": "array", "items": {"type": "number"}, "minItems": 1}, {"type": "list", "of": "decimal", "constraints": {"min_items": 1}}, set()),
        ({"type": "array"}, {"type": "list", "of": "text"}, {"type.any"}),
        ({"type": "array", "items": [{"type": "number"}]}, {"type": "list", "of": "text"}, {"type.any", "keyword"}),
        ({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, None, {"type.nested_list"}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"type": "integer"}, set()),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, {"type": "text"}, {"type.any", "keyword"}),
        ({"type": ["string", "integer"]}, {"type": "text"}, {"type.several"}),
        ({"allOf": [{"type": "string"}, {"maxLength": 3}]}, {"type": "text", "constraints": {"max_length": 3}}, set()),
        ({"type": "object", "properties": {"amount": {"type": "number"}, "currency": {"type": "string"}}}, {"type": "money"}, {"type.money"}),
        ({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]},
         {"type": "object", "fields": {"a": {"type": "boolean", "required": True, "constraints": {}}}}, set()),
        ({"type": "object", "required": ["ghost"]}, {"type": "object"}, {"required.unknown"}),
        ({}, {"type": "text"}, {"type.any"}),
        (True, {"type": "text"}, {"type.any"}),
        (False, None, {"type.none"}),
        ({"type": "null"}, None, {"type.none"}),
        ({"type": "currency"}, None, {"type.unknown"}),
        ("string", None, {"schema.none"}),
        (5, None, {"schema.none"}),
        ({"$ref": "https://example.com/x.json"}, None, {"ref.remote"}),
        ({"$ref": "../../../../etc/passwd"}, None, {"ref.remote"}),
        ({"$ref": "#/nowhere"}, None, {"ref.missing"}),
        ({"$ref": "#/properties/it"}, None, {"ref.circle"}),
        ({"$ref": 5}, {"type": "text"}, {"type.any"}),
        ({"type": "string", "enum": "abc"}, {"type": "text"}, {"type.enum"}),
        ({"type": "string", "maxLength": "five", "minLength": -1, "pattern": 7}, {"type": "text"}, {"pattern.dialect"}),
        ({"type": "integer", "minimum": "0", "maximum": True}, {"type": "integer"}, set()),
        ({"type": "object", "properties": [1, 2]}, {"type": "object"}, set()),
        ({"type": 7}, {"type": "text"}, {"type.any"}),
    ],
)  # fmt: skip
def test_a_property_becomes_an_attribute_and_what_it_loses_is_told(items, schema, definition, reasons):
    carried, entries = one_file("json-schema", schema_of(it=schema), {}, name="song_play.json")
    assert {why for _, why in told(carried)} == reasons
    found = {entry.key: entry.after for entry in entries if entry.kind == "attribute"}
    if definition is None:
        assert found == {}
    else:
        given = {name: found["it"][name] for name in ("type", "of", "fields", "constraints")}
        assert given == {"of": None, "fields": {}, "constraints": {}} | definition


def test_a_required_null_is_optional_here(items):
    schema = {**schema_of(loudness={"type": ["integer", "null"]}), "required": ["loudness", "ghost"]}
    carried, entries = one_file("json-schema", schema, items, name="song_play.json")
    assert next(entry for entry in entries if entry.kind == "tag").after["attributes"][0]["required"] is False
    assert {("required", "required.nullable"), ("ghost", "required.unknown")} <= told(carried)


def test_references_lead_through_the_given_files_only(items):
    files = {
        "events/song_play.json": json.dumps(schema_of(a={"$ref": "../parts/common.json#/$defs/loud"}, b={"$ref": "urn:company:mood"}, c={"$ref": "#/$defs/own"}) | {"$defs": {"own": {"type": "boolean"}}}).encode(),
        "parts/common.json": json.dumps({"$defs": {"loud": {"type": "integer", "minimum": 1}}}).encode(),
        "parts/mood.yaml": b"$id: urn:company:mood\ntype: string\nenum: [happy, sad]\n",
    }  # fmt: skip
    carried, entries = carry("json-schema", files, items)
    found = {entry.key: entry.after for entry in entries if entry.kind == "attribute"}
    assert {code: one["type"] for code, one in found.items()} == {"a": "integer", "b": "choice", "c": "boolean"}
    assert {why for _, why in told(carried)} == {"file.no_plan", "event.no_object"}


def test_a_bundle_of_schemas_is_a_tag_each(items):
    bundle = {"$defs": {"song_play": schema_of(a={"type": "integer"}), "song_stop": schema_of(), "loud": {"type": "integer"}}}
    _, entries = one_file("json-schema", bundle, items)
    assert {entry.key for entry in entries if entry.kind == "tag"} == {"song_play", "song_stop"}


def test_at_least_one_of_is_read(items):
    groups = [{"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"anyOf": [{"required": ["b"]}, {"required": ["c"]}]}]
    schema = {**schema_of(a={"type": "integer"}, b={"type": "integer"}, c={"type": "integer"}), "allOf": groups}
    carried, entries = one_file("json-schema", schema, items, name="song_play.json")
    assert next(entry for entry in entries if entry.kind == "tag").after["one_of"] == [["a", "b"], ["b", "c"]] and not carried.left_out


def test_an_id_that_is_not_what_it_claims_changes_nothing(items):
    """A tag with an attribute's id, an attribute with a rule's, ids that are none."""
    ids = {one["kind"]: item for item, one in items.items()}
    for given_ in (ids["attribute"], ids["rule"], "nonsense", ""):
        schema = schema_of(loudness={"type": "integer", "x-tagline": {"id": ids["tag"], "definition": {"type": "text"}, "tightened": 5}})
        schema |= {
            "deprecated": True,
            "x-tagline": {"id": given_, "code": "song_play", "status": "deprecated", "synonyms": 5, "category": "nowhere"},
        }
        _, entries = one_file("json-schema", schema, items)
        assert {(entry.kind, entry.key, entry.status) for entry in entries} == {
            ("attribute", "loudness", "added"),
            ("tag", "song_play", "added"),
        }
        assert not {entry.item for entry in entries} & set(items)


# The words


def test_every_reason_that_is_given_has_words():
    sources = Path(FORMATS["odcs"].read.__code__.co_filename).parent.glob("*.py")
    given_ = {code for path in sources if path.name != "words.py" for code in re.findall(r'"((?:attribute|bound|event|file|format|name|pattern|ref|required|rudder|rule|schema|tag|type|version)\.[a-z_]+)"', path.read_text(encoding="utf-8"))}  # fmt: skip
    assert given_ | {"item", "field", "keyword"} == set(REASONS)
