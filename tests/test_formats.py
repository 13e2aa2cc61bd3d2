"""The plan in the formats of others and back: what returns is the same, and what does not is told."""

import csv
import io
import json
import zipfile
from typing import Any

import jsonschema
import pytest
import yaml

from taxonomy.exchange.formats import FORMATS, Choices, export_as, part_of, read_as, read_files
from taxonomy.exchange.formats.carry import Carried
from taxonomy.exchange.formats.found import place
from taxonomy.exchange.formats.snowplow import schemaver
from taxonomy.exchange.written import Entry, read
from taxonomy.standardize.types import ALL_CONSTRAINTS
from taxonomy.starter import starter_items

DEPARTMENTS = {"marketing", "sales", "service", "product", "data", "compliance"}
CHOICES = Choices(category="general", owner="data")
WRITTEN = [name for name, one in FORMATS.items() if one.write]
# Formats in which a file carries our own uuids, so that it can change what is there.
OURS = ["json-schema", "json-schema-07", "odcs"]


@pytest.fixture(scope="module")
def items() -> dict[str, Any]:
    """The starter standard, with one tag deprecated and one attribute narrowed by a tag."""
    found = starter_items()
    old, new = (next(item for item, one in found.items() if one.get("code") == code) for code in ("search", "login"))
    found[old] |= {"status": "deprecated", "successor": new}
    return found


def carry(format: str, files: dict[str, bytes], base: dict[str, Any], choices: Choices = CHOICES) -> tuple[Carried, list[Entry]]:
    carried = read_as(format, files, base, choices=choices, departments=DEPARTMENTS)
    return carried, read(carried.written, base, departments=DEPARTMENTS)


def one_file(format: str, document: Any, base: dict[str, Any] | None = None, choices: Choices = CHOICES, name: str = "plan.json") -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return carry(format, {name: body}, starter_items() if base is None else base, choices)


@pytest.mark.parametrize("format", WRITTEN)
def test_what_comes_back_is_the_same_or_was_told(format, items):
    """Read into a company that has only the categories and sources: every field of every tag and attribute is equal, or listed."""
    sent = FORMATS[format].write(items, "1.4.2")
    told = {(one.where, one.what) for one in sent.left_out}
    missing = {one.where for one in sent.left_out if one.why == "item"}
    bare = {item: one for item, one in items.items() if one["kind"] in ("category", "source")}
    _, entries = carry(format, sent.files, bare)
    assert not [entry for entry in entries if entry.status == "wrong"]
    after = {(entry.kind, entry.after["code"]): entry.after for entry in entries if entry.after and entry.kind != "rule"}
    names = bare | {entry.item: entry.after for entry in entries if entry.after}
    compared = 0
    for one in items.values():
        if place(one, items) in missing or one["kind"] not in ("tag", "attribute"):
            continue
        back = after[one["kind"], one["code"]]
        for field, value in spelled(one, items).items():
            compared += 1
            if field == "attributes":
                differ(value, spelled(back, names)[field], place(one, items), told, sent.left_out)
            elif spelled(back, names)[field] != value:
                where = place(one, items)
                lost = {what for place_, what in told if place_ == where or place_.startswith(f"{where}.")}
                parts = {field, "config", *(value if field == "constraints" else ALL_CONSTRAINTS if field == "fields" else ())}
                assert parts & lost, (one["code"], field, value, spelled(back, names)[field])
    assert compared > 1500


def spelled(one: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """A definition with codes for uuids, so that two companies' can be compared."""
    found = {name: names[value]["code"] if isinstance(value, str) and value in names else value for name, value in one.items()}
    if one["kind"] == "tag":
        found["attributes"] = {names[use["attribute"]]["code"]: (use["required"], use["constraints"]) for use in one["attributes"]}
    return found


def differ(before: Any, after: Any, where: str, told: set[tuple[str, str]], left_out: Any) -> None:
    assert before.keys() == after.keys(), where
    for code, (required, tightened) in before.items():
        assert after[code][0] == required, (where, code)
        if after[code][1] != tightened:
            assert any(one.where.partition(":")[2].endswith(code) for one in left_out), (where, code, tightened, after[code][1])


@pytest.mark.parametrize("format", WRITTEN)
def test_read_again_where_it_came_from_nothing_changes(format, items):
    _, entries = carry(format, FORMATS[format].write(items, "1.0.0").files, items)
    assert {entry.status for entry in entries} == {"unchanged"}
    assert len(entries) >= 45


@pytest.mark.parametrize("format", WRITTEN)
def test_written_twice_it_is_the_same_bytes_and_packs_and_unpacks(format, items):
    first, second = export_as(format, items, "1.0.0"), export_as(format, items, "1.0.0")
    assert first == second
    if first.name.endswith(".zip"):
        assert read_files([(first.name, first.body)])[0] == FORMATS[format].write(items, "1.0.0").files


@pytest.mark.parametrize("format", WRITTEN)
def test_nothing_to_write_is_written(format):
    sent = export_as(format, {}, "")
    assert sent.left_out == [] and sent.body


def test_a_category_is_written_with_what_stands_below_it(items):
    part = part_of(items, "marketing")
    codes = {one["code"] for one in part.values() if one["kind"] == "tag"}
    assert codes and len(codes) < 30
    assert "purchase" not in codes
    assert {one["kind"] for one in part.values()} == {"category", "attribute", "tag"}


@pytest.mark.parametrize("format", OURS)
def test_a_file_of_ours_changes_what_it_describes(format, items):
    renamed = {item: dict(one) for item, one in items.items()}
    login = next(item for item, one in items.items() if one.get("code") == "login")
    renamed[login] |= {"label_en": "Sign in", "code": "sign_in"}
    _, entries = carry(format, FORMATS[format].write(renamed, "1.0.0").files, items)
    (changed,) = [entry for entry in entries if entry.status != "unchanged"]
    assert (changed.status, changed.item) == ("changed", login)
    assert (changed.after["code"], changed.after["label_en"]) == ("sign_in", "Sign in")


def test_what_an_engineer_changes_in_a_schema_of_ours_counts(items):
    files = FORMATS["json-schema"].write(items, "1.0.0").files
    schema = json.loads(files["login.schema.json"])
    method = next(name for name in schema["properties"] if schema["properties"][name].get("enum"))
    schema["properties"][method]["enum"] = schema["properties"][method]["enum"][:2]
    _, entries = carry("json-schema", {**files, "login.schema.json": json.dumps(schema).encode()}, items)
    changed = [entry for entry in entries if entry.status != "unchanged"]
    assert [entry.kind for entry in changed] in (["attribute"], ["tag"])
    assert "choices" in json.dumps(changed[0].after)


@pytest.mark.parametrize("format", ["segment", "rudderstack", "mparticle", "snowplow", "segment-csv"])
def test_a_file_of_others_only_adds(format, items):
    """A tag that is there keeps its names and what it asks; a new attribute of it comes in as optional."""
    plan = {item: dict(one) for item, one in items.items()}
    login = next(item for item, one in plan.items() if one.get("code") == "login")
    new = "6a0e0f0c-0000-4000-8000-000000000001"
    plan[new] = {**next(one for one in plan.values() if one.get("code") == "brand"), "code": "brand_new", "constraints": {}}
    plan[login] |= {"description_en": "Other words.", "attributes": [{"attribute": new, "required": True, "constraints": {}}]}
    carried, entries = carry(format, FORMATS[format].write(plan, "1.0.0").files, items)
    changed = {entry.key: entry for entry in entries if entry.status != "unchanged"}
    assert set(changed) == {"brand_new", "login"}
    after = changed["login"].after
    assert after["description_en"] == items[login]["description_en"]
    assert after["attributes"][:-1] == items[login]["attributes"]
    assert after["attributes"][-1]["required"] is False
    assert ("attribute:login.brand_new", "required", "tag.kept") in carried.left_out


# Each in the shape that its own tool asks for


def test_snowplow_stands_in_the_layout_of_iglu(items):
    files = FORMATS["snowplow"].write(items, "2.1.3").files
    assert "schemas/com.tagline/login/jsonschema/2-1-3" in files
    for path, body in files.items():
        schema = json.loads(body)
        _, vendor, name, kind, version = path.split("/")
        assert schema["$schema"] == "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#"
        assert schema["self"] == {"vendor": vendor, "name": name, "format": kind, "version": version}
        jsonschema.Draft4Validator.check_schema({key: value for key, value in schema.items() if key != "$schema"})
        assert "$ref" not in str(schema) and schema["description"]
    assert [schemaver(version) for version in ("0.3.0", "1.0.0", "12.4.9", "", "x")] == ["1-3-0", "1-0-0", "12-4-9", "1-0-0", "1-0-0"]


def test_segment_has_rules_as_its_api_and_its_code_generator_want_them(items):
    plan = json.loads(FORMATS["segment"].write(items, "1.0.0").files["tracking-plan.json"])
    assert len({rule["key"] for rule in plan["rules"]}) == len(plan["rules"]) == 45
    for rule in plan["rules"]:
        assert rule["type"] == "TRACK" and rule["version"] == 1
        jsonschema.Draft7Validator.check_schema(rule["jsonSchema"])
        assert rule["jsonSchema"]["properties"].keys() == {"context", "traits", "properties"}
        for name, one in rule["jsonSchema"]["properties"]["properties"]["properties"].items():
            assert one["id"] == f"/properties/properties/properties/{name}"


def test_mparticle_has_a_data_point_for_each_event(items):
    plan = json.loads(FORMATS["mparticle"].write(items, "3.0.0").files["data-plan.json"])
    assert plan["version"] == 3
    for point in plan["version_document"]["data_points"]:
        assert point["match"]["type"] == "custom_event" and point["match"]["criteria"].keys() == {"event_name", "custom_event_type"}
        assert point["validator"]["type"] == "json_schema"
        jsonschema.Draft7Validator.check_schema(point["validator"]["definition"])
        assert "custom_attributes" in point["validator"]["definition"]["properties"]["data"]["properties"]


def test_rudderstacks_references_all_lead_somewhere(items):
    files = FORMATS["rudderstack"].write(items, "1.0.0").files
    documents = {name: yaml.safe_load(body) for name, body in files.items()}
    assert {(one["version"], one["kind"]) for one in documents.values()} == {
        ("rudder/v1", "categories"), ("rudder/v1", "properties"), ("rudder/v1", "events"), ("rudder/v1", "tracking-plan"),
    }  # fmt: skip
    specs = {one["kind"]: one["spec"] for one in documents.values()}
    known = {f"#property:{one['id']}" for one in specs["properties"]["properties"]}
    known |= {f"#event:{one['id']}" for one in specs["events"]["events"]} | {
        f"#category:{one['id']}" for one in specs["categories"]["categories"]
    }
    references = [one["category"] for one in specs["events"]["events"]]
    waiting = list(specs["tracking-plan"]["rules"])
    while waiting:
        one = waiting.pop()
        references += [one[key] for key in ("event", "property") if key in one]
        waiting += one.get("properties", [])
    assert set(references) <= known and len(references) > 300
    names = [(one["name"], one["type"], one.get("item_type")) for one in specs["properties"]["properties"]]
    assert len(names) == len(set(names))
    formats = {one.get("config", {}).get("format") for one in specs["properties"]["properties"]}
    assert formats <= {None, "date-time", "date", "time", "email", "uuid", "hostname", "ipv4", "ipv6"}


def test_what_rudderstack_refuses_is_told():
    """Its command refuses names of events of more than 64 characters, and properties more than three levels below a rule's."""
    fields: dict[str, Any] = {"leaf": {"type": "text"}}
    for level in (4, 3, 2, 1):
        fields = {f"level_{level}": {"type": "object", "fields": fields}}
    code = "a" * 65
    items = {
        "1": {"kind": "attribute", "code": "deep", "type": "object", "fields": fields},
        "2": {"kind": "tag", "code": code, "attributes": [{"attribute": "1", "required": False, "constraints": {}}]},
    }
    sent = FORMATS["rudderstack"].write(items, "1.0.0")
    assert {(one.where, one.what, one.why) for one in sent.left_out} == {
        (f"tag:{code}", "name", "name.long"), ("attribute:deep.level_1.level_2.level_3", "fields", "field"),
    }  # fmt: skip
    (rule,) = yaml.safe_load(sent.files["tracking-plan.yaml"])["spec"]["rules"]
    levels, inner = 0, rule["properties"][0]
    while "properties" in inner:
        levels, inner = levels + 1, inner["properties"][0]
    assert levels == 3


def test_a_table_can_be_opened_in_a_spreadsheet_and_calculates_nothing(items):
    plan = {item: {**one, "description_en": "=HYPERLINK(1)"} if one["kind"] == "tag" else one for item, one in items.items()}
    body = FORMATS["segment-csv"].write(plan, "1.0.0").files["tracking-plan.csv"]
    assert body.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    _, entries = carry("segment-csv", {"plan.csv": body}, {item: one for item, one in items.items() if one["kind"] == "category"})
    assert next(entry for entry in entries if entry.key == "login").after["description_en"] == "=HYPERLINK(1)"


def test_what_came_in_a_zip_is_read_like_the_files(items):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("folder/login.json", json.dumps({"type": "object", "properties": {"x": {"type": "string"}}}))
        archive.writestr("__MACOSX/._login.json", b"\0\0")
        archive.writestr(".DS_Store", b"\0")
    files, left_out = read_files([("plan.zip", packed.getvalue()), ("login.json", b"{}"), ("folder/login.json", b"{}")])
    assert list(files) == ["folder/login.json", "login.json", "3/folder/login.json"] and left_out == []
