"""The words of the dictionary, and its examples: each is accepted by the core as it stands."""

import json
import shlex
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import translation

from taxonomy.dictionary.examples import SEGMENT_ENVELOPE, as_csv, as_curl, as_track, examples_of
from taxonomy.dictionary.words import TRANSFORMS, constraint_words, envelope_words, row_words, type_words
from taxonomy.standardize import compile_plan, decode_json, read, standardize
from taxonomy.standardize.transforms import TRANSFORMS as KNOWN_TRANSFORMS
from taxonomy.starter import starter_items

NOW = datetime(2026, 6, 1, tzinfo=UTC)
STARTER = starter_items()


def test_every_transform_has_words_in_both_languages():
    assert TRANSFORMS.keys() == KNOWN_TRANSFORMS.keys()
    for language in ("en", "zh-hans"):
        with translation.override(language):
            for row in KNOWN_TRANSFORMS.values():
                told = row_words({"target": "x", "path": "y", "transforms": row.example[0]})["how"]
                assert told and "%(" not in told and told != row.example[0], row.name


@pytest.mark.parametrize(
    ("attribute", "told"),
    [
        ({"type": "text"}, "text"),
        ({"type": "list", "of": "integer"}, "a list, each entry: whole number"),
        (
            {"type": "object", "fields": {"city": {"type": "text", "required": True}, "zip": {"type": "text", "constraints": {"max_length": 6}}}},
            "fields: city (text, required), zip (text, at most 6 characters)",
        ),
        ({"type": "list", "of": "object", "fields": {"sku": {"type": "text"}}}, "a list, each entry: fields: sku (text)"),
    ],
)  # fmt: skip
def test_types_are_told_in_words(attribute, told):
    with translation.override("en"):
        assert type_words(attribute) == told


def test_constraints_are_told_with_what_a_tag_lays_over_them():
    with translation.override("en"):
        assert constraint_words({"constraints": {"minimum": "0", "maximum": "9"}}, {"maximum": "5"}) == "0 to 5"
        assert constraint_words({"constraints": {"minimum": "0"}}) == "at least 0"
        assert constraint_words({"constraints": {"min_length": 1}}, {"max_length": 9}) == "1 to 9 characters"
        assert constraint_words({"constraints": {"pattern": "[A-Z]+"}}, {"pattern": "A.*"}) == "matching [A-Z]+, matching A.*"
        assert constraint_words({}) == ""


def test_every_envelope_of_the_starter_standard_is_told_in_words():
    for one in STARTER.values():
        if one["kind"] == "source":
            sentence, places = envelope_words(one)
            assert sentence and bool(places) == (one["envelope"]["preset"] == "custom")


def doors() -> dict[str, dict[str, Any]]:
    envelopes = {"api": {"preset": "tagline"}, "file": {"preset": "flat"}, "segment": SEGMENT_ENVELOPE}
    return {door: {"kind": "source", "code": door, "currency": "CNY", "envelope": envelope} for door, envelope in envelopes.items()}


DOORS = compile_plan({**STARTER, **doors()})


def verdict(record: Any, door: str) -> Any:
    original = json.dumps(record, ensure_ascii=False).encode()
    [raw] = read(decode_json(original), DOORS.sources[door], DOORS, received_at=NOW, original=original)
    return standardize(raw, DOORS)


@pytest.mark.parametrize("tag", [item for item, one in STARTER.items() if one["kind"] == "tag"], ids=lambda item: STARTER[item]["code"])
def test_every_example_of_the_starter_standard_is_accepted_as_it_stands(tag):
    found = examples_of(tag, STARTER, currency="CNY")
    assert not found.lacking
    for record, door in ((found.event, "api"), (found.row, "file"), (found.track, "segment")):
        result = verdict(record, door)
        assert (result.verdict, result.tag, result.phone) == ("accepted", tag, "+8613800138000"), result.violations
        assert not result.extra
        assert set(result.attributes) >= {code for code, slot in DOORS.tags[tag].slots.items() if slot.required}


def test_what_is_shown_is_what_was_tried():
    tag = DOORS.tags_by_code["purchase"].uuid
    found = examples_of(tag, STARTER)
    assert json.loads(as_curl(found.event, "http://x").partition("-d '")[2].removesuffix("'")) == found.event
    header, row = as_csv(found.row).splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True)) == found.row
    assert json.loads(as_track(found.track).removeprefix("analytics.track(").removesuffix(")")) == found.track


def test_quotation_marks_in_an_example_survive_a_shell():
    told = as_curl({"event": "say", "attributes": {"text": 'it\'s "so" $HOME `x`'}}, "http://x")
    words = shlex.split(told.replace("\\\n", " "))
    assert json.loads(words[words.index("-d") + 1])["attributes"]["text"] == 'it\'s "so" $HOME `x`'


def made_up(**attribute: Any) -> dict[str, dict[str, Any]]:
    labels = dict.fromkeys(("label_en", "label_zh_hans", "description_en", "description_zh_hans"), "")
    use = {"attribute": "a", "required": True, "constraints": attribute.pop("tighter", {})}
    return {
        "a": {"kind": "attribute", "code": "thing", "type": "text", "of": None, "fields": {}, "unit": "", "example": "", "personal": "none", "constraints": {}, **labels, **attribute},
        "t": {"kind": "tag", "code": "do", "status": "active", "synonyms": [], "one_of": [], "refinements": [], "attributes": [use], "category": None, "owner": None, "successor": None, **labels},
    }  # fmt: skip


@pytest.mark.parametrize(
    "attribute",
    [
        {"type": "choice", "constraints": {"choices": ["red", "blue"]}},
        {"type": "choice", "constraints": {"choices": ["red", "blue"]}, "example": "red", "tighter": {"choices": ["blue"]}},
        {"type": "integer", "constraints": {"minimum": "100"}},
        {"type": "decimal", "example": "not a number"},
        {"type": "money", "example": "1.5"},
        {"type": "boolean"},
        {"type": "date"},
        {"type": "datetime"},
        {"type": "phone"},
        {"type": "email"},
        {"type": "url"},
        {"type": "list", "of": "integer"},
        {"type": "list", "of": "text", "example": '["a", "b"]'},
        {"type": "object", "fields": {"city": {"type": "text"}}},
    ],
    ids=str,
)
def test_an_example_is_found_for_every_type_even_where_none_is_given(attribute):
    found = examples_of("t", made_up(**attribute))
    assert found.event and not found.lacking


def test_where_no_value_is_known_it_says_so():
    found = examples_of("t", made_up(type="text", constraints={"pattern": "[0-9]{17}"}))
    assert found.event is None and found.lacking == ["thing"]


def test_a_list_that_must_be_there_makes_no_row_of_a_file():
    found = examples_of("t", made_up(type="list", of="text", example='["a"]'))
    assert found.row is None and found.event
