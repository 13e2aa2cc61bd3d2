"""Files that are damaged, endless, twisted or no plan at all: each is told with its reason, and the others go on."""

import io
import json
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_formats import DEPARTMENTS, carry, one_file
from test_formats_read import SOURCED, schema_of

from taxonomy.exchange.formats import FORMATS, read_as, read_files
from taxonomy.exchange.formats.documents import MAX_DEPTH, Unreadable, parse_json, parse_yaml
from taxonomy.exchange.formats.words import REASONS
from taxonomy.exchange.written import read
from taxonomy.starter import starter_items


@pytest.fixture(scope="module")
def items():
    return starter_items()


DEEP = "[" * 5000 + "]" * 5000
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9))
MERGES = "a: &a {k: v}\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} {{<<: [{','.join(['*' + chr(97 + n)] * 9)}]}}\n" for n in range(9))


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("plan.json", b"", "file.not_json"),
        ("plan.json", b"{", "file.not_json"),
        ("plan.json", b"\xff\xff\xff\x00\x80", "file.encoding"),
        ("plan.json", b'{"a": NaN}', "file.not_json"),
        ("plan.json", DEEP.encode(), "file.too_deep"),
        ("plan.json", b"[" * 500_000, "file.not_json"),
        ("plan.json", ("[" * 80 + "]" * 80).encode(), "file.too_deep"),
        ("plan.json", b"[" + b"1," * 400_000 + b"1]", "file.too_large"),
        ("plan.json", b"1" * 5000, "file.not_json"),
        ("plan.yaml", LAUGHS.encode(), "file.expands"),
        ("plan.yaml", MERGES.encode(), "file.expands"),
        ("plan.yaml", b"a: &a [*a]", "file.expands"),
        ("plan.yaml", DEEP.encode(), "file.too_deep"),
        ("plan.yaml", b"a: !!python/object/apply:os.system [ls]", "file.not_yaml"),
        ("plan.yaml", b"a: [", "file.not_yaml"),
        ("plan.yaml", b"? [a, b]\n: c", "file.not_yaml"),
        ("plan.yaml", b"x" * (6 * 1024 * 1024), "file.too_large"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_and_the_others_go_on(items, name, body, why):
    good = json.dumps(schema_of(loudness={"type": "integer"})).encode()
    carried, entries = carry("json-schema", {name: body, "song_play.json": good}, items)
    assert [(one.where, one.why) for one in carried.left_out] == [(name, why)]
    assert {entry.key for entry in entries} == {"song_play", "loudness"}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        None,
        5,
        "x",
        [[]],
        {"rules": 5},
        {"rules": [None, {"key": 5}]},
        {"properties": {"a": None}},
        {"kind": "DataContract", "schema": [1]},
    ],
)
def test_what_is_no_plan_of_the_format_breaks_nothing_and_is_told(items, format, document):
    for name in ("plan.json", "plan.yaml", "1-0-0"):
        carried, entries = one_file(format, document, items, SOURCED, name=name)
        assert carried.left_out or entries


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["type", "properties", "required", "items", "enum", "$ref", "allOf", "anyOf", "format", "pattern", "minimum", "self", "x-tagline", "id", "definition", "name", "a b"]) | st.text(max_size=6), inner, max_size=6),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(FORMATS)), json_values, st.data())
def test_no_shape_of_json_makes_a_reader_stumble(format, value, data):
    frames = {
        "segment": lambda one: {"rules": [{"key": "x", "type": "TRACK", "jsonSchema": one}]},
        "mparticle": lambda one: {"version_document": {"data_points": [{"match": {"type": "custom_event", "criteria": {"event_name": "x"}}, "validator": one}]}},
        "snowplow": lambda one: {"self": {"vendor": "a", "name": "b", "version": "1-0-0"}, "properties": one},
        "rudderstack": lambda one: {"version": "rudder/v1", "kind": data.draw(st.sampled_from(["properties", "events", "tracking-plan", "custom-types"])), "spec": one},
        "odcs": lambda one: {"kind": "DataContract", "schema": [{"name": "x", "properties": one if isinstance(one, list) else [one]}]},
        "glean": lambda one: {"$schema": "moz://mozilla.org/schemas/glean/metrics/2-0-0", "a": {"b": one}},
    }  # fmt: skip
    document = frames.get(format, lambda one: {"type": "object", "properties": one})(value)
    name = "plan.yaml" if format in ("rudderstack", "glean", "odcs") else "plan.json"
    carried = read_as(format, {name: json.dumps(document).encode()}, starter(), choices=SOURCED, departments=DEPARTMENTS)
    read(carried.written, starter(), departments=DEPARTMENTS)
    assert {one.why for one in carried.left_out} <= set(REASONS)


_STARTER = starter_items()


def starter():
    return _STARTER


def test_a_zip_that_is_none_or_holds_too_much_is_told():
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", b"0" * (60 * 1024 * 1024))
    files, left_out = read_files([("bomb.zip", bomb.getvalue()), ("broken.zip", b"PK\x03\x04 broken"), ("fine.json", b"{}")])
    assert list(files) == ["fine.json"]
    assert {(one.where, one.why) for one in left_out} == {("bomb.zip", "file.too_large"), ("broken.zip", "file.not_zip")}


def test_yaml_names_stay_what_they_look_like():
    assert parse_yaml(b"on: no\n2026-01-31: 2026-01-31\nyes: true\n~: 1.10\n") == [
        {"on": "no", "2026-01-31": "2026-01-31", "yes": True, "None": parse_json(b"1.10")}
    ]
    assert parse_yaml("名: 加购\n".encode("gb18030")) == [{"名": "加购"}]
    with pytest.raises(Unreadable):
        parse_json(b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2))
