"""An attribute and its exported schema judge alike, and whoever reads the schema again gets the attribute."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import SHARED
from test_core_leaves import TYPE_CASES, caster

from taxonomy.exchange.formats import FORMATS
from taxonomy.exchange.formats.json_schema import DRAFT_07, DRAFT_2020_12
from taxonomy.exchange.formats.patterns import from_ecma, to_ecma
from taxonomy.exchange.formats.schema_in import SchemaReader
from taxonomy.exchange.formats.schema_out import CURRENCY, Dialect, as_read, schema_of
from taxonomy.standardize.conditions import compile_pattern
from taxonomy.standardize.spreadsheets import is_cut
from taxonomy.standardize.types import ABSENT, TYPES, Defaults, Fault, Faults, compile_cast
from taxonomy.starter import starter_items

DIALECTS = {"2020-12": DRAFT_2020_12, "07": DRAFT_07}
# What the core refuses and no schema can: whether a number can be dialled, what a database cannot hold, bounds of dates.
# Python's `$` also matches before a last line break, which ECMA-262's does not.
ONLY_HERE = {"attribute.unstorable", "digits", "moment", "newline"}
CHECKER = jsonschema.FormatChecker()


@CHECKER.checks("date-time", raises=ValueError)
def _is_moment(value: Any) -> bool:
    """jsonschema leaves date-time to another package, which is not here."""
    return not isinstance(value, str) or bool(datetime.fromisoformat(value))


def validator(schema: dict[str, Any], dialect: Dialect) -> Any:
    whole = as_read({"$schema": dialect.uri, **schema, dialect.shared: {"currency": CURRENCY}})
    of_draft = jsonschema.validators.validator_for(whole)
    of_draft.check_schema(whole)
    return of_draft(whole, format_checker=CHECKER)


def why_only_here(definition: dict[str, Any], fault: Fault) -> str:
    if fault.code == "attribute.unstorable" or fault.code.startswith("phone."):
        return fault.code.partition(".")[0] if fault.code.startswith("phone.") else fault.code
    if fault.code == "attribute.pattern" and str(fault.seen).endswith("\n"):
        return "newline"
    if fault.code == "attribute.out_of_range" and "digits" in (fault.expected or {}):
        return "digits"
    if fault.code == "attribute.out_of_range" and {definition["type"], definition.get("of")} & {"date", "datetime"}:
        return "moment"
    return ""


def verdicts(group: dict[str, Any], excused: Counter[str]) -> Iterator[tuple[Any, bool]]:
    """The values of a type's cases that a schema can judge, standard where the core takes them, and whether it does."""
    cast, defaults = caster(group)
    for case in group["cases"]:
        read = cast(case["in"], defaults)
        if read is ABSENT or (isinstance(case["in"], str) and is_cut(case["in"])):  # that a spreadsheet cut a number no schema can say
            continue
        if not isinstance(read, Fault | Faults):
            yield read, True
            continue
        reasons = [why_only_here(group["definition"], one) for one in (read if isinstance(read, Faults) else [read])]
        if all(reasons):
            excused.update(reasons)
        else:
            yield case["in"], False


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_case_of_every_type_is_judged_alike(dialect):
    excused: Counter[str] = Counter()
    judged: set[str] = set()
    for group in TYPE_CASES["casts"]:
        schema, _ = schema_of(group["definition"], *group.get("layers", ()), dialect=dialect)
        judge = validator(schema, dialect)
        for value, taken in verdicts(group, excused):
            assert judge.is_valid(value) == taken, (group["name"], value)
            judged.add(f"{group['definition']['type']} {'taken' if taken else 'refused'}")
    assert set(excused) <= ONLY_HERE | {"phone"}
    assert {f"{name} {verdict}" for name in TYPES for verdict in ("taken", "refused")} - {"phone refused"} <= judged


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_right_definition_becomes_a_schema_that_is_one(dialect):
    for definition, layers in TYPE_CASES["valid"]:
        validator(schema_of(definition, *layers, dialect=dialect)[0], dialect)


def test_every_definition_is_read_from_its_schema_as_it_was():
    """Without a word of ours beside it: by the shape of its schema alone, but for texts with choices, which are choices there."""
    compared = 0
    for definition in [*(one for one, _ in TYPE_CASES["valid"]), *(group["definition"] for group in TYPE_CASES["casts"])]:
        schema, missed = schema_of(definition, dialect=DRAFT_2020_12)
        schema = as_read({**schema, "$defs": {"currency": CURRENCY}})
        left_out: list[Any] = []
        read = SchemaReader([("a.json", schema)], left_out).attribute(schema, file="a.json", where="a")
        assert read is not None
        if missed or "choices" in str(definition):
            continue
        compared += 1
        again, _ = schema_of(read[0], dialect=DRAFT_2020_12)
        assert as_read({**again, "$defs": {"currency": CURRENCY}}) == schema
        assert (read[0]["type"], read[0]["of"] or "text") == (definition["type"], definition.get("of") or "text"), definition
        assert left_out == [], definition
    assert compared == 35


@pytest.mark.parametrize("format", ["json-schema", "json-schema-07"])
def test_each_tags_schema_takes_its_example_and_misses_what_is_required(format):
    items = starter_items()
    files = FORMATS[format].write(items, "1.0.0").files
    required = 0
    for one in items.values():
        if one["kind"] != "tag":
            continue
        schema = json.loads(files[f"{one['code']}.schema.json"])
        of_draft = jsonschema.validators.validator_for(schema)
        of_draft.check_schema(schema)
        judge = of_draft(schema)
        event = {items[use["attribute"]]["code"]: example(items[use["attribute"]]) for use in one["attributes"]}
        assert judge.is_valid(event), (one["code"], list(judge.iter_errors(event)))
        for use in one["attributes"]:
            code = items[use["attribute"]]["code"]
            if use["required"]:
                required += 1
                assert not judge.is_valid({name: value for name, value in event.items() if name != code})
        for group in one["one_of"]:
            assert not judge.is_valid({name: value for name, value in event.items() if name not in group})
    assert required == 24


def example(attribute: dict[str, Any]) -> Any:
    """The attribute's own example as the core makes it standard."""
    given = attribute["example"]
    if attribute["type"] in ("list", "object"):
        given = json.loads(given)
    read = compile_cast(attribute)(given, Defaults(timezone="Asia/Shanghai", region="CN", currency="CNY"))
    assert not isinstance(read, Fault | Faults), (attribute["code"], read)
    return read


# What ECMA-262 refuses to read as Unicode, or reads as a range, when it is written as RE2 has it.
PATTERNS = [
    (r"[\w-.]+@\w+", ["a-b.c@d"], ["a,b@c", "a^b@c"]),
    (r"[\s-x]", ["-", "x", " "], ["0"]),
    (r"\@\-\_\"[\-\"]", ['@-_"-', '@-_""'], ["@-_,x"]),
    (r"\{[\w}]{2,3}}{x]", ["{ab}{x]"], ["{a}{x]", "ab"]),
    ("😀", ["😀"], ["😀😀", "x"]),
]


@pytest.mark.parametrize(
    ("pattern", "takes", "refuses"),
    [
        (r"[A-Za-z]{3}", ["CNY"], ["CNYX", "CN", "xCNYx"]),
        (r"\d+", ["12"], ["１２", "a12", ""]),
        (r"a|bc", ["a", "bc"], ["abc", "ab"]),
        (r".", ["x", "\r"], ["\n", "xy"]),
        (r"\w\s\S[^\d]", ["a xx"], ["é xx", "a x1"]),
        *PATTERNS,
    ],
)
def test_a_pattern_asks_the_same_in_both_worlds(pattern, takes, refuses):
    written = to_ecma(pattern)
    judge = jsonschema.Draft202012Validator({"type": "string", "pattern": written})
    again = compile_pattern(from_ecma(written))
    for text in takes:
        assert compile_pattern(pattern).fullmatch(text) and judge.is_valid(text) and again.fullmatch(text), text
    for text in refuses:
        assert not compile_pattern(pattern).fullmatch(text) and not judge.is_valid(text) and not again.fullmatch(text), text


@pytest.mark.parametrize(
    "pattern", [r"(?i)a", r"\pL", r"[[:alpha:]]", r"\x{4e00}", r"a\z", r"(?P<n>a)", r"[]a]", r"[\D]", "\\", "[😀-😂]", "😀+"]
)
def test_what_only_re2_knows_is_not_written(pattern):
    assert to_ecma(pattern) is None


@pytest.mark.parametrize("pattern", [r"(?=a)b", r"(?!x)", r"(a)\1", "(", "a" * 2000, 5, None, r"(?<=a)b"])
def test_what_only_others_know_is_not_read(pattern):
    assert from_ecma(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "takes", "refuses"),
    [
        ("^a|b$", ["ax", "xb"], ["xa", "bx"]),
        ("b", ["abc", "b", "a\nb"], ["ac"]),
        ("^(?:a)|(?:b)$", ["ax", "xb"], ["xax"]),
        (r"^\u4e00+$", ["一一"], ["二"]),
        (r"^a\$", ["a$", "a$b"], ["a"]),
    ],
)
def test_a_pattern_of_others_is_read_as_it_is_meant(pattern, takes, refuses):
    read = compile_pattern(from_ecma(pattern))
    assert all(read.fullmatch(text) for text in takes)
    assert not any(read.fullmatch(text) for text in refuses)


# The JSON-Schema-Test-Suite

# A schema without a type is one of every type: the type is added that its keyword is about.
_ABOUT = {
    "minimum": "number", "maximum": "number", "exclusiveMinimum": "number", "exclusiveMaximum": "number", "minLength": "string",
    "maxLength": "string", "pattern": "string", "format": "string", "minItems": "array", "maxItems": "array", "items": "array",
    "properties": "object", "required": "object",
}  # fmt: skip


def expressible(folder: Path) -> list[tuple[str, dict[str, Any], dict[str, Any], list[dict[str, Any]]]]:
    """(name, schema with its type, definition, tests) of each schema of the suite that the standard can say without loss."""
    found = []
    for path in sorted(folder.glob("*.json")):
        text = path.read_text(encoding="utf-8")
        # jsonschema takes 1.0 for an integer as a float only; the reader wants decimals, as it gets them from a file.
        for group, exact in zip(json.loads(text), json.loads(text, parse_float=Decimal), strict=True):
            schema = exact["schema"]
            if not isinstance(schema, dict):
                continue
            about = next((kind for keyword, kind in _ABOUT.items() if keyword in schema), None)
            typed = {"type": about, **schema} if about else schema
            left_out: list[Any] = []
            read = SchemaReader([("suite", typed)], left_out).attribute(typed, file="suite", where="suite")
            if read is not None and not left_out:
                found.append((f"{path.stem}: {group['description']}", typed, read[0], group["tests"]))
    return found


def takes(definition: dict[str, Any], value: Any) -> bool:
    """Whether the core takes a value as it is: what it would have to cast is of another type."""
    value = json.loads(json.dumps(value), parse_float=Decimal)
    read = compile_cast(definition)(value, Defaults(timezone="UTC", region="", currency=""))
    return (
        read is not ABSENT and not isinstance(read, Fault | Faults) and isinstance(read, bool) == isinstance(value, bool) and read == value
    )


@pytest.mark.needs("shared-data")
@pytest.mark.parametrize(("draft", "schemas", "instances"), [("draft2020-12", 54, 220), ("draft7", 48, 199)])
def test_the_schemas_of_the_suite_that_we_can_say_are_judged_alike(draft, schemas, instances):
    of_draft = jsonschema.Draft7Validator if draft == "draft7" else jsonschema.Draft202012Validator
    dialect = DIALECTS["07" if draft == "draft7" else "2020-12"]
    found = expressible(SHARED / "e01-json-schema-test-suite" / "tests" / draft)
    wrong = []
    for name, schema, definition, tests in found:
        theirs, ours = of_draft(schema, format_checker=CHECKER), validator(schema_of(definition, dialect=dialect)[0], dialect)
        for test in tests:
            verdicts = {theirs.is_valid(test["data"]), ours.is_valid(test["data"]), takes(definition, test["data"])}
            if len(verdicts) > 1:
                wrong.append(
                    (name, test["description"], theirs.is_valid(test["data"]), ours.is_valid(test["data"]), takes(definition, test["data"]))
                )
    assert wrong == [], wrong
    assert (len(found), sum(len(tests) for *_, tests in found)) == (schemas, instances)
