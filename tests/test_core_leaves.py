"""The leaves of the core: attribute types, transforms, phones, times and identifiers, by cases and by chance."""

import csv
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taxonomy.standardize.codes import CODES
from taxonomy.standardize.decode import decode_json, encode_json
from taxonomy.standardize.identifiers import KINDS, normalize_identifier
from taxonomy.standardize.paths import compile_path
from taxonomy.standardize.phone import MAX_CHARACTERS, PhoneReading, parse_phone
from taxonomy.standardize.times import compile_strptime, compile_time
from taxonomy.standardize.transforms import (
    TRANSFORM_CODES,
    TRANSFORMS,
    TransformError,
    compile_transforms,
    parse_transforms,
)
from taxonomy.standardize.types import (
    ABSENT,
    DEFINITION_CODES,
    TYPES,
    Defaults,
    DefinitionError,
    Fault,
    Faults,
    check_definition,
    compile_cast,
    constraints_for,
)

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
SHANGHAI = Defaults(timezone="Asia/Shanghai", region="CN", currency="CNY")


def load(name: str) -> Any:
    return json.loads((ROOT / "tests" / "cases" / name).read_text(encoding="utf-8"), parse_float=Decimal)


def exact(value: Any) -> Any:
    """A form in which 1, 1.0, 1.00, "1" and true are five values."""
    if isinstance(value, dict):
        return {key: exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return "number" if type(value) in (int, Decimal) else type(value), str(value)


def ids(case: Any) -> str:
    return ascii(case)[:70]


# Types

TYPE_CASES = load("types.json")
CASTS = [(group, case) for group in TYPE_CASES["casts"] for case in group["cases"]]


def caster(group: dict[str, Any]) -> tuple[Any, Defaults]:
    defaults = Defaults(**({"timezone": "Asia/Shanghai", "region": "CN", "currency": "CNY"} | group.get("defaults", {})))
    return compile_cast(group["definition"], *group.get("layers", ())), defaults


@pytest.mark.parametrize(("group", "case"), CASTS, ids=lambda part: ids(part.get("in", part.get("name"))))
def test_a_value_is_cast_or_left_alone_as_the_case_says(group: dict[str, Any], case: dict[str, Any]) -> None:
    cast, defaults = caster(group)
    standard = cast(case["in"], defaults)
    if "out" in case:
        assert exact(standard) == exact(case["out"])
        assert cast(standard, defaults) is standard
    elif "absent" in case:
        assert standard is ABSENT
    elif "codes" in case:
        assert type(standard) is Faults
        assert [[fault.code, fault.path] for fault in standard] == case["codes"]
    else:
        assert type(standard) is Fault
        assert (standard.code, standard.path) == (case["code"], case.get("path", ""))


def test_every_type_has_cases_of_both_kinds() -> None:
    for name in TYPES:
        cases = [case for group, case in CASTS if group["definition"]["type"] == name]
        assert sum("out" in case for case in cases) >= 2, name
        assert sum("code" in case for case in cases) >= 2, name


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity")])
@pytest.mark.parametrize("kind", ["integer", "decimal", "money", "text", "boolean", "datetime"])
def test_what_is_no_number_is_of_the_wrong_type(kind: str, value: Any) -> None:
    assert compile_cast({"type": kind})(value, SHANGHAI).code == "attribute.wrong_type"


@pytest.mark.parametrize(("definition", "layers"), TYPE_CASES["valid"], ids=ids)
def test_a_right_definition_has_no_problems(definition: dict[str, Any], layers: list[Any]) -> None:
    assert check_definition(definition, *layers) == []
    compile_cast(definition, *layers)


@pytest.mark.parametrize(("definition", "layers", "code"), TYPE_CASES["invalid"], ids=ids)
def test_a_wrong_definition_is_told_and_does_not_compile(definition: dict[str, Any], layers: list[Any], code: str) -> None:
    assert [problem.code for problem in check_definition(definition, *layers)] == [code]
    with pytest.raises(DefinitionError):
        compile_cast(definition, *layers)


def test_every_way_a_definition_can_be_wrong_has_a_case() -> None:
    assert {case[2] for case in TYPE_CASES["invalid"]} == set(DEFINITION_CODES)


def test_a_list_takes_the_constraints_of_its_entries() -> None:
    assert constraints_for("list", "decimal") == {"min_items", "max_items", "minimum", "maximum"}
    assert constraints_for("boolean") == constraints_for("no_such_type") == frozenset()


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(st.characters())
json_like = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=8,
)
lookalikes = st.from_regex(
    re.compile(r"[+-]?[0-9]{1,14}([.,][0-9]{1,3})?(e-?[0-9]{1,6})?|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]?([0-9]{2}:[0-9]{2})?Z?", re.ASCII),
    fullmatch=True,
)
DEFINITIONS = [group for group in TYPE_CASES["casts"] if "defaults" not in group]


@given(st.sampled_from(DEFINITIONS), json_like | lookalikes)
@example(next(group for group in DEFINITIONS if group["definition"] == {"type": "object"}), {"": 1e100})
def test_casting_never_raises_and_a_standard_value_stays_itself(group: dict[str, Any], value: Any) -> None:
    cast, defaults = caster(group)
    standard = cast(value, defaults)
    if standard is not ABSENT and not isinstance(standard, Fault | Faults):
        assert cast(standard, defaults) is standard
        assert exact(cast(decode_json(encode_json(standard)), defaults)) == exact(decode_json(encode_json(standard)))


# Transforms

TRANSFORM_CASES = load("transforms.json")


@pytest.mark.parametrize("case", TRANSFORM_CASES["cases"], ids=ids)
def test_a_value_is_transformed_or_left_alone_as_the_case_says(case: dict[str, Any]) -> None:
    result = transform(case["transforms"], case["in"], case.get("sent", {}))
    if "out" in case:
        assert exact(result) == exact(case["out"])
    else:
        assert (result.code, result.path) == (case["code"], case.get("path", ""))


def transform(text: str, value: Any, sent: Any) -> Any:
    return compile_transforms(text)(value, sent)


@pytest.mark.parametrize(("text", "code", "position"), TRANSFORM_CASES["errors"], ids=ids)
def test_wrong_transforms_are_told_with_their_position(text: str, code: str, position: int) -> None:
    error = parse_transforms(text)
    assert isinstance(error, TransformError)
    assert (error.code, error.position) == (code, position)
    with pytest.raises(ValueError, match=code):
        compile_transforms(text)


def test_every_way_transforms_can_be_wrong_has_a_case() -> None:
    assert {case[1] for case in TRANSFORM_CASES["errors"]} == set(TRANSFORM_CODES)


@pytest.mark.parametrize("row", TRANSFORMS.values(), ids=lambda row: row.name)
def test_the_example_of_a_transform_is_true(row: Any) -> None:
    text, before, after = row.example
    assert transform(text, before, {"quantity": 2}) == after


@given(st.sampled_from([case["transforms"] for case in TRANSFORM_CASES["cases"]]), json_like | lookalikes)
def test_transforming_never_raises(text: str, value: Any) -> None:
    transform(text, value, {"quantity": value})


@given(st.text(st.sampled_from('trimdve|(),="\\5 *%')) | st.text())
def test_parsing_transforms_never_raises(text: str) -> None:
    parse_transforms(text)


@given(st.text(), st.text(min_size=1))
def test_a_quoted_argument_is_taken_as_it_is(text: str, separator: str) -> None:
    quoted = separator.replace('"', '\\"')
    if not quoted.endswith("\\") and "\\" not in separator:
        assert transform(f'join("{quoted}")', [text, text], {}) == text + separator + text


# Phones


@pytest.mark.parametrize("case", load("phones.json"), ids=ids)
def test_a_phone_is_read_or_held_as_the_case_says(case: dict[str, Any]) -> None:
    reading = parse_phone(case["in"], case["region"])
    if "out" in case:
        assert isinstance(reading, PhoneReading)
        assert (reading.e164, reading.extension) == (case["out"], case.get("extension", ""))
        assert reading.region == case.get("number_region", reading.region)
        assert parse_phone(reading.e164) == PhoneReading(reading.e164, reading.region)
    else:
        assert isinstance(reading, Fault)
        expected = reading.expected or {}
        assert reading.code == case["code"]
        assert expected.get("kind") == case.get("kind", expected.get("kind"))
        assert expected.get("candidates") == case.get("candidates", expected.get("candidates"))


def rows(folder: str, name: str) -> list[dict[str, str]]:
    with (DATA / folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.needs("shared-data")
@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("d01-libphonenumber", "parse-cases.csv"),
        ("d02-messy-phones", "adventureworks.csv"),
        ("d02-messy-phones", "chicago-early-childhood.csv"),
        ("d02-messy-phones", "chinook-northwind.csv"),
    ],
)
def test_it_reads_what_the_oracle_finds_valid_and_nothing_else(folder: str, name: str) -> None:
    differing = []
    for row in rows(folder, name):
        reading = parse_phone(row["raw"], row["default_region"])
        valid, _, extension = row["e164"].partition(";ext=") if row["is_valid"] == "1" else ("", "", "")
        read = (reading.e164, reading.extension) if isinstance(reading, PhoneReading) else ("", "")
        if read != (valid, extension):
            differing.append((row, reading))
    assert differing == []


@pytest.mark.needs("shared-data")
def test_it_reads_every_example_number_in_every_notation() -> None:
    differing = []
    for row in rows("d01-libphonenumber", "example-numbers.csv"):
        expected = "" if row["type"] == "INVALID_EXAMPLE" else row["e164"]
        for text, region in (
            (row["e164"], ""),
            (row["international"], ""),
            (row["rfc3966"], ""),
            (row["national"], row["region"]),
        ):
            reading = parse_phone(text, region)
            if (reading.e164 if isinstance(reading, PhoneReading) else "") != expected:
                differing.append((row, text, reading))
    assert differing == []


@given(
    st.text(st.sampled_from("0123456789０１+-() .xe/;=tl:ext*#~\u202a")) | st.text(st.characters()),
    st.sampled_from(["", "CN", "US", "??"]),
)
def test_reading_a_phone_never_raises(text: str, region: str) -> None:
    reading = parse_phone(text, region)
    if isinstance(reading, PhoneReading):
        assert re.fullmatch(r"\+[1-9][0-9]{4,14}", reading.e164)


def test_a_hostile_phone_is_refused_at_once_and_not_remembered() -> None:
    reading = parse_phone("1" * (MAX_CHARACTERS + 1) * 1000, "CN")
    assert isinstance(reading, Fault)
    assert reading.expected["kind"] == "too_long"


# Times

TIME_CASES = load("times.json")


@pytest.mark.parametrize("case", TIME_CASES["cases"], ids=ids)
def test_a_time_is_read_or_held_as_the_case_says(case: dict[str, Any]) -> None:
    moment = compile_time(case["format"], case["zone"])(case["in"])
    if "out" in case:
        assert isinstance(moment, datetime)
        assert moment.tzinfo is UTC
        assert moment.isoformat().replace("+00:00", "Z") == case["out"]
    else:
        assert isinstance(moment, Fault)
        assert moment.code == case["code"]


@pytest.mark.parametrize("format", TIME_CASES["invalid_formats"])
def test_a_format_that_is_none_does_not_compile(format: str) -> None:
    with pytest.raises(ValueError, match="Time format"):
        compile_time(format, "UTC")


@given(st.sampled_from(["", "iso", "epoch_s", "epoch_ms", "epoch_us", "%d/%m/%Y %H:%M", "%d %b %Y %z"]), json_like | lookalikes)
def test_reading_a_time_never_raises(format: str, value: Any) -> None:
    moment = compile_time(format, "America/New_York")(value)
    assert isinstance(moment, Fault) or moment.tzinfo is UTC


@given(
    st.datetimes(min_value=datetime(1900, 1, 2), max_value=datetime(2100, 1, 1)),
    st.sampled_from(["Asia/Shanghai", "Europe/London"]),
)
def test_local_time_is_the_zones_own_arithmetic(local: datetime, zone: str) -> None:
    expected = local.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
    assert compile_time("", zone)(local.isoformat()) == expected
    assert compile_time("", zone)(expected.isoformat()) == expected


@given(
    st.sampled_from(["%Y-%m-%d %H:%M:%S", "%d/%m/%Y", "%m/%d/%y %H:%M", "%Y%m%d%H%M%S", "%Y-%m-%dT%H:%M:%S.%f", "%%%Y.%m"]),
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2068, 1, 1)),
    st.integers(0, 30),
    st.sampled_from(["", "0", "9", " ", "x"]),
)
def test_formats_fit_exactly_what_strptime_fits(format: str, moment: datetime, position: int, noise: str) -> None:
    text = moment.strftime(format)
    text = text[:position] + noise + text[position + 1 :]
    try:
        expected: datetime | None = datetime.strptime(text, format)
    except ValueError:
        expected = None
    try:
        parsed = compile_strptime(format)(text)
    except ValueError:
        parsed = None
    assert parsed == expected


# Identifiers


@pytest.mark.parametrize("case", load("identifiers.json"), ids=ids)
def test_an_identifier_is_normalized_or_dropped_as_the_case_says(case: dict[str, Any]) -> None:
    assert normalize_identifier(case["kind"], case["in"]) == case["out"]


def test_kinds_stand_in_order_of_strength() -> None:
    assert list(KINDS) == ["phone", "user_id", "crm_id", "openid", "email", "device", "anonymous_id"]
    assert {name for name, kind in KINDS.items() if kind.is_global} == {"phone", "openid", "email"}


@given(st.sampled_from(list(KINDS)), st.text(st.characters()))
def test_normalizing_an_identifier_never_raises_and_is_final(kind: str, text: str) -> None:
    once = normalize_identifier(kind, text)
    assert once is None or normalize_identifier(kind, once) == once


# What people read


def test_every_code_a_leaf_answers_is_in_the_table() -> None:
    sources = (ROOT / "taxonomy" / "standardize").rglob("*.py")
    found = {code for path in sources for code in re.findall(r'Fault\(\s*"((?:attribute|phone|time)\.\w+)"', path.read_text())}
    assert found <= set(CODES)


@pytest.mark.parametrize(("page", "names"), [("attribute-types.md", TYPES), ("transforms.md", TRANSFORMS)])
def test_the_page_names_every_row_of_its_table(page: str, names: dict[str, Any]) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert [name for name in names if f"| `{name}" not in text] == []


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("sum(items[].price)", {"items": [{"price": 3}, {"price": Decimal("12.50")}]}, Decimal("15.50")),
        ("max(items[].price)", {"items": [{"price": 3}, {"price": Decimal("12.50")}]}, Decimal("12.50")),
        ("avg(items[].price)", {"items": [{"price": 3}, {"price": Decimal("12.50")}]}, Decimal("7.75")),
        ("sort_by(items, &price)[0].price", {"items": [{"price": Decimal("12.50")}, {"price": 3}]}, 3),
        ("items[?price > `5`] | [0].price", {"items": [{"price": 3}, {"price": Decimal("12.50")}]}, Decimal("12.50")),
        ("to_string(total)", {"total": Decimal("16.00")}, "16.00"),
        ("to_string(total)", {"total": 16}, "16"),
        ("to_number(total)", {"total": "16.50"}, Decimal("16.50")),
        ("to_number(total)", {"total": Decimal("16.50")}, Decimal("16.50")),
        ("to_number(total)", {"total": "-7"}, -7),
        ("to_number(total)", {"total": "NaN"}, None),
        ("sum(items[].price)", {"items": [{"price": "3"}]}, None),
        ("join('-', [to_string(id), to_string(status)])", {"id": 7, "status": "0"}, "7-0"),
    ],
)
def test_paths_count_with_decimals(path, value, found):
    got = compile_path(path)(value)
    assert got == found and type(got) is type(found)


def test_money_tells_both_of_its_faults():
    cast = compile_cast({"type": "money"})
    faults = cast({"amount": "abc", "currency": "ZZZ"}, Defaults())
    assert [(one.code, one.path) for one in faults] == [("attribute.wrong_type", ".amount"), ("attribute.not_allowed", ".currency")]
    assert cast({"amount": "abc", "currency": "CNY"}, Defaults()).path == ".amount"


@pytest.mark.parametrize("definition", [
    {"type": "text", "fields": {"city": "text"}}, {"type": "text", "fields": [1]}, {"type": "list", "of": "url", "fields": {"a": {"type": "text"}}},
    {"type": "object", "fields": {"a": {"type": "date", "fields": {"b": {"type": "text"}}}}},
])  # fmt: skip
def test_fields_of_a_type_that_has_none_are_refused_but_a_plan_with_them_is_read(definition: dict[str, Any]) -> None:
    assert [problem.code for problem in check_definition(definition)] == ["definition.fields"]
    compile_cast(definition)
