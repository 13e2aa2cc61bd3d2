"""Our exports, read and judged by the tools of those whose formats they are."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from installed import node_locked, python_locked, run
from test_core_leaves import TYPE_CASES
from test_formats_judge import PATTERNS, example, verdicts

from taxonomy.exchange.formats import FORMATS
from taxonomy.starter import starter_items

CLIENTS = Path(__file__).parent / "clients"
ITEMS = starter_items()
TAGS = {one["code"]: one for one in ITEMS.values() if one["kind"] == "tag"}


def typed_items() -> tuple[dict[str, Any], dict[str, list[tuple[Any, bool]]]]:
    """A plan with a tag for each definition among the cases, which asks for its one attribute, `value_0`; and its values' verdicts."""
    groups = [group for group in TYPE_CASES["casts"] if len(group.get("layers", ())) < 2]
    judged = [list(verdicts(group, Counter())) for group in groups]
    for pattern, takes, refuses in PATTERNS:
        groups.append({"definition": {"type": "text", "constraints": {"pattern": pattern}}})
        judged.append([(text, True) for text in takes] + [(text, False) for text in refuses])
    items: dict[str, Any] = {}
    for number, group in enumerate(groups):
        use = {"attribute": f"a{number}", "required": True, "constraints": (group.get("layers") or [{}])[0]}
        named = {"kind": "attribute", "code": f"value_{number}", "label_en": '"*/', "description_en": "\\"}
        items[f"a{number}"] = named | group["definition"]
        items[f"t{number}"] = {"kind": "tag", "code": f"tag_{number}", "status": "active", "attributes": [use]}
    return items, {f"tag_{number}": one for number, one in enumerate(judged)}


TYPED, VERDICTS = typed_items()


def written(format: str, items: dict[str, Any]) -> dict[str, Any]:
    return {name: yaml.safe_load(body) for name, body in FORMATS[format].write(items, "2.1.0").files.items()}


def node(*command: str | Path) -> str:
    done = run("node", *command, NODE_PATH=str(node_locked(CLIENTS / "plan_tools") / "node_modules"))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def save(path: Path, document: Any) -> Path:
    text = json.dumps(document, default=lambda value: float(value) if isinstance(value, Decimal) else str(value))
    path.write_text(text, encoding="utf-8")
    return path


def check_types(folder: Path, file: str) -> None:
    modules = node_locked(CLIENTS / "plan_tools") / "node_modules"
    (folder / "node_modules").symlink_to(modules)
    options = ("--strict", "--noEmit", "--skipLibCheck", "--module", "commonjs", "--moduleResolution", "node10")
    done = run("node", modules / "typescript/bin/tsc", *options, file, cwd=folder)
    assert done.returncode == 0, done.stdout


def test_a_data_contract_is_one_by_the_standards_own_schema():
    python = python_locked(CLIENTS / "odcs.txt")
    (path,) = python.parent.parent.glob("lib/*/site-packages/open_data_contract_standard/schema.json")
    schema = json.loads(path.read_text(encoding="utf-8"))
    assert schema["properties"]["apiVersion"]["default"] == "v3.1.0"
    judge = jsonschema.validators.validator_for(schema)(schema)
    for items in (ITEMS, TYPED, {}):
        (contract,) = written("odcs", items).values()
        assert [(list(fault.path), fault.message) for fault in judge.iter_errors(contract)] == []
    (contract,) = written("odcs", TYPED).values()
    assert (contract["apiVersion"], contract["kind"], contract["version"]) == ("v3.1.0", "DataContract", "2.1.0")
    options = [one["properties"][0].get("logicalTypeOptions", {}) for one in contract["schema"]]
    assert {one.get("format") for one in options} == {None, "email", "uri"}
    for part in (contract, contract["schema"][0], contract["schema"][0]["properties"][0]):
        part["tagline"] = 1
        assert not judge.is_valid(contract)
        del part["tagline"]


def custom_event(name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    return {"event_type": "custom_event", "data": {"event_name": name, "custom_event_type": "other", "custom_attributes": attributes}}


# It counts no days of a month, and is given no list of currencies, which would stand in every attribute of money.
ONLY_HERE = ["2026-02-30", "2025-02-29", "2026-02-30T00:00:00Z", *(str({"amount": 1, "currency": code}) for code in ("RMB", "CNH"))]


@pytest.mark.needs("npm")
def test_mparticles_validator_judges_as_the_core_does(tmp_path):
    plan = save(tmp_path / "plan.json", written("mparticle", TYPED)["data-plan.json"])
    rows = [(tag, value, taken) for tag, judged in VERDICTS.items() for value, taken in judged if value is not None]
    events = [custom_event(tag, {tag.replace("tag", "value"): value}) for tag, value, _ in rows]
    judged = json.loads(node(CLIENTS / "mparticle.cjs", plan, save(tmp_path / "events.json", events)))
    other = [str(value) for (_, value, taken), wrong in zip(rows, judged, strict=True) if taken != (not wrong)]
    assert other == ONLY_HERE


@pytest.mark.needs("npm")
def test_mparticles_validator_takes_every_example_and_tells_what_is_not_planned(tmp_path):
    plan = save(tmp_path / "plan.json", written("mparticle", ITEMS)["data-plan.json"])
    events, expected = [], []
    for code, tag in TAGS.items():
        used = {ITEMS[use["attribute"]]["code"]: (example(ITEMS[use["attribute"]]), use["required"]) for use in tag["attributes"]}
        right = {name: value for name, (value, _) in used.items()}
        events += [custom_event(code, right), custom_event(code, {**right, "colour_of_eyes": "x"}), custom_event(f"{code}s", right)]
        expected += [[], ["unplanned"], ["unplanned"]]
        for missing in (name for name, (_, required) in used.items() if required):
            events.append(custom_event(code, {name: value for name, value in right.items() if name != missing}))
            expected.append(["missing_required"])
    assert json.loads(node(CLIENTS / "mparticle.cjs", plan, save(tmp_path / "events.json", events))) == expected
    assert expected.count(["missing_required"]) == 24


# Enums as the texts that stand in JSON.
TYPES = """
import type { DataPlanVersion, DataPlanPoint, DataPlanMatch, CustomEventCriteria } from '@mparticle/data-planning-models'
type Written<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Written<T[K]> } : T
type Match = Omit<DataPlanMatch, 'criteria'> & { criteria: CustomEventCriteria }
type Point = Required<Omit<DataPlanPoint, 'match'>> & { match: Match }
const version: Written<Omit<DataPlanVersion, 'version_document'> & { version_document: { data_points: Point[] } }> = VERSION
// @ts-expect-error no field of a version
const other: Written<DataPlanVersion> = { plan_id: 'x' }
// @ts-expect-error no type of a match
const match: Written<DataPlanMatch> = { type: 'custom' }
"""


@pytest.mark.needs("npm")
def test_a_data_plan_is_of_mparticles_types(tmp_path):
    version = json.dumps(written("mparticle", ITEMS)["data-plan.json"])
    (tmp_path / "plan.ts").write_text(TYPES.replace("VERSION", version), encoding="utf-8")
    check_types(tmp_path, "plan.ts")


@pytest.mark.needs("npm")
def test_ajv_judges_as_the_core_does(tmp_path):
    asked, rows = [], []
    for format in ("json-schema", "json-schema-07"):
        files = written(format, TYPED)
        for tag, judged in VERDICTS.items():
            schema = files[f"{tag}.schema.json"]
            asked.append({"schema": schema, "values": [{tag.replace("tag", "value"): value} for value, _ in judged]})
            rows.append([(format, tag, value, taken) for value, taken in judged])
        asked += [{"schema": schema, "values": []} for schema in written(format, ITEMS).values()]
        rows += [[]] * len(TAGS)
    answers = json.loads(node(CLIENTS / "ajv.cjs", save(tmp_path / "asked.json", asked)))
    assert [row for known, taken in zip(rows, answers, strict=True) for row, one in zip(known, taken, strict=True) if row[3] != one] == []


CALLS = """
import * as plan from './segment'

const me = { userId: 'u1' }
plan.login({ ...me, properties: {} })
plan.purchase({ ...me, properties: { order_id: 'o', price: { amount: 9.9, currency: 'CNY' } } })
// @ts-expect-error no order
plan.purchase({ ...me, properties: { price: { amount: 9.9, currency: 'CNY' } } })
// @ts-expect-error a number for a text
plan.purchase({ ...me, properties: { order_id: 7 } })
// @ts-expect-error no currency
plan.purchase({ ...me, properties: { order_id: 'o', price: { amount: 9.9 } } })
// @ts-expect-error no such tag
plan.purchases({ ...me, properties: {} })
"""


@pytest.mark.needs("npm")
@pytest.mark.parametrize(("items", "calls"), [(ITEMS, CALLS), (TYPED, "import './segment'")], ids=["starter", "typed"])
def test_segments_code_generator_writes_types_from_the_tracking_plan(tmp_path, items, calls):
    save(tmp_path / "plan.json", written("segment", items)["tracking-plan.json"])
    node(CLIENTS / "typewriter.cjs", tmp_path)
    (tmp_path / "calls.ts").write_text(calls, encoding="utf-8")
    check_types(tmp_path, "calls.ts")
