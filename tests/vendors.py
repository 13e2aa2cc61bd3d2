"""Vendors' requests against what RudderStack made of the same: cases/vendors.toml read, compared, and told in docs/vendors-by-hand.md."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from conftest import SHARED
from plans import CASES

from taxonomy.packs import Definition, packs
from taxonomy.packs.page import fields_of, in_code
from taxonomy.standardize import RawEvent, decode_json

B01 = SHARED / "b01-webhooks-30-saas"
PAGE = Path(__file__).resolve().parent.parent / "docs" / "vendors-by-hand.md"
Leaves = dict[str, Any]


class Case(NamedTuple):
    """`recorded`: the calls that RudderStack made of the request."""

    label: str
    body: bytes
    parameters: dict[str, str]
    recorded: list[dict[str, Any]]
    is_error: bool


@cache
def vendors() -> dict[str, Definition]:
    """{vendor: how it is set up and compared}."""
    return {name: one for name, one in _written().items() if name != "everywhere"}


def _written() -> dict[str, Definition]:
    return tomllib.loads((CASES / "vendors.toml").read_text(encoding="utf-8"))


def cases(vendor: str) -> list[Case]:
    """A vendor's requests, in order, each under its number; the second of one number is "4.2"."""
    one = vendors()[vendor]
    seen: dict[str, int] = {}
    found = []
    for row in decode_json((B01 / f"{one.get('file', vendor)}.json").read_bytes()):
        number = row["case"].partition("#")[2]
        seen[number] = nth = seen.get(number, 0) + 1
        body = row["raw_request"]["body"]
        if one.get("has", "") not in body or one.get("lacks", "\0") in body:
            continue
        answer = row["expected_response"][min(nth, len(row["expected_response"])) - 1]
        parameters = {key: values[0] for key, values in row["raw_request"].get("query_parameters", {}).items() if values}
        label = number if nth == 1 else f"{number}.{nth}"
        found.append(Case(label, body.encode(), parameters, answer.get("output", {}).get("batch", []), "error" in answer))
    return found


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of each text, number and truth value; what is empty says nothing."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{at}]")
    elif value is not None and value != "":
        yield path, value


def read_of(raw: RawEvent, body: Any, time: datetime | None, stored: dict[str, str] | None) -> Leaves:
    """All that we read of an event, {path: value}. `stored`: the identifiers it was stored with, which a rule may have found."""
    found = {
        "event": raw.name, "phone": raw.phone, "identifiers": raw.identifiers, "id": raw.message_id, "time": time, "attributes": raw.attributes,
        "context": raw.context, "body": body, "stored": stored,
    }  # fmt: skip
    return dict(leaves(found))


def _spelt_alike(path: str) -> str:
    """firstName and first_name are one name."""
    return path.replace("_", "").lower()


def is_same(recorded: Any, ours: Any) -> bool:
    """By meaning: numbers by value, an id as a text or a number, a moment in whatever notation."""
    if isinstance(recorded, bool) or isinstance(ours, bool):
        return recorded is ours
    if isinstance(ours, datetime) or (isinstance(recorded, str) and isinstance(ours, str) and recorded != ours):
        moment = _moment(ours)
        return moment is not None and moment == _moment(recorded)
    if isinstance(recorded, str) and isinstance(ours, str):
        return recorded == ours
    try:
        return Decimal(recorded) == Decimal(ours)
    except (ArithmeticError, TypeError, ValueError):
        return False


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Comparison:
    """A vendor's events against the recorded calls. `departures`: what is not so; `used`: the declarations that were needed."""

    def __init__(self, vendor: str) -> None:
        self.one, everywhere = vendors()[vendor], _written()["everywhere"]
        people, own, rest = everywhere["people"], self.one.get("stands", {}), everywhere["stands"]
        # The first that fits decides: else an address that the envelope does not find would be found somewhere.
        self.stands = people | own | {pattern: to for pattern, to in rest.items() if pattern not in own}
        self.unlike = [*self.one.get("unlike", []), *everywhere["unlike"]]
        self.departures: list[str] = []
        self.used: set[str] = set()

    def name(self, case: Case, call: dict[str, Any], ours: str | None) -> None:
        recorded = call.get("event") if call.get("type") == "track" else call.get("type")
        declared = self.one.get("names", {}).get(ours, ours)
        if recorded in (declared if isinstance(declared, list) else [declared]):
            self.used |= {f"names {ours}"}
        else:
            self.departures.append(f"{case.label}: the name {ours!r}, recorded {recorded!r}")

    def as_is(self, case: Case, call: dict[str, Any], body: Any) -> None:
        ours = dict(leaves(body))
        self.departures += [
            f"{case.label}: {path} = {value!r}, ours {ours.get(path)!r}" for path, value in leaves(call) if ours.get(path) != value
        ]

    def call(self, case: Case, call: dict[str, Any], ours: Leaves) -> None:
        """Each recorded value is ours too, and whom we take it to be about is recorded."""
        alike = {_spelt_alike(path): value for path, value in ours.items()}
        recorded = {path: value for path, value in leaves(call) if path not in ("event", "type")}
        for path, value in recorded.items():
            self._value(case, path, value, ours, alike)
        known = {str(value) for value in recorded.values()}
        for path, value in ours.items():
            if (path == "phone" or path.startswith("identifiers.")) and str(value) not in known:
                if not self._declared("ours", path):
                    self.departures.append(f"{case.label}: ours alone {path} = {value!r}")

    def _value(self, case: Case, path: str, value: Any, ours: Leaves, alike: Leaves) -> None:
        pattern, places = self._places(path)
        tried = {place: ours.get(place, alike.get(_spelt_alike(place))) for place in places}
        if any(found is not None and self._is_same(value, found) for found in tried.values()):
            self.used.add(f"stands {pattern}")
            return
        for at, one in enumerate(self.unlike):
            if not re.fullmatch(one["path"], path) or not re.fullmatch(one.get("value", "(?s).*"), str(value)):
                continue
            if not (one.get("made_up") and (str(value).encode() in case.body or value in case.parameters.values())):
                self.used.add(f"unlike {at}")
                return
        self.departures.append(f"{case.label}: {path} = {value!r}, ours {tried}")

    def _places(self, path: str) -> tuple[str, list[str]]:
        for pattern, to in self.stands.items():
            if found := re.fullmatch(pattern, path):
                return pattern, [found.expand(place) for place in (to if isinstance(to, list) else [to])]
        return "", []

    def _is_same(self, recorded: Any, ours: Any) -> bool:
        if self.one.get("whole_seconds") and isinstance(ours, datetime):
            ours = ours.replace(microsecond=0)
        return is_same(recorded, ours)

    def _declared(self, kind: str, path: str) -> bool:
        for pattern in self.one.get(kind, {}):
            if re.fullmatch(pattern, path):
                self.used.add(f"{kind} {pattern}")
                return True
        return False

    def unused(self) -> set[str]:
        """What is declared of this vendor and was never needed."""
        declared = {f"{kind} {key}" for kind in ("names", "stands", "ours") for key in self.one.get(kind, {})}
        return (declared | {f"unlike {at}" for at in range(len(self.one.get("unlike", [])))}) - self.used


def source_items(vendor: str, number: int, tags: dict[str, str], currency: str = "USD") -> dict[str, Definition]:
    """A vendor's source with its rules, {uuid: definition}: its pack's, else its envelope and one rule that takes every name."""
    one = vendors()[vendor]
    if "pack" in one:
        items = packs()[one["pack"]].items(code=vendor, owner="marketing", tags=tags)[0]
        next(iter(items.values()))["currency"] = currency
        return items
    source_id, rule_id = (f"{kind}000000-0000-4000-8000-{number:012}" for kind in ("5e", "1e"))
    source = {
        "kind": "source", "code": vendor, "label_en": one["label"], "label_zh_hans": one["label"], "description_en": "", "description_zh_hans": "",
        "source_kind": "other", "owner": "marketing", "region": "", "timezone": "UTC", "currency": currency, "namespace": vendor,
        "hold_unreadable_phone": True, "separate_rows": False, "envelope": {"preset": "custom", **one["envelope"]}, **one.get("source", {}),
    }  # fmt: skip
    rule = {
        "kind": "rule", "source": source_id, "position": 0, "match": "pattern", "name": ".+", "condition": None,
        "tag": tags["vendor_event"], "rows": [], "keep_unmapped": True, "note": "",
    }  # fmt: skip
    return {source_id: source, rule_id: rule}


_HEAD = """# Vendors set up by hand

For a vendor without a [pack](vendors.md): a source whose format is *custom*, with paths like these, and a webhook that proves itself as
the vendor can. Names become rules, one for each that is wanted; the rest is held as `event.unknown`.

Each was tried on requests of the vendor's, with one rule that takes every name, and what was read held against what RudderStack makes of
the same ones: names, times, whom it is about, every value. Written by `PYTHONPATH=. python tests/vendors.py` from
`tests/cases/vendors.toml`; a test fails where this page says something else.

What paths cannot say:

- What stands in the address of a POST is not read, other than the token; a GET is read whole.
- A path is counted from the event, or with `$.` from the whole record, never both: no id can be joined of the two.
- Part of a text is cut out by a rule's `extract`.

And what differs for all: an event that names nobody is held as `phone.missing`, where RudderStack makes up an anonymous id; an event
without a time has that of its arrival. Where the name is a constant, an empty object is an event about nobody.
"""


def page() -> str:
    lines = [_HEAD, "| vendor | requests | accepted | held or 400 | set up with |", "|---|---|---|---|---|"]
    for one in vendors().values():
        held = len(one.get("held", {}))
        lines.append(f"| {one['label']} | {one['cases']} | {one['cases'] - held} | {held} | {_set_up(one)} |")
    for one in vendors().values():
        lines += ["", f"## {one['label']}", "", one["about"], *_section(one)]
    return "\n".join(lines) + "\n"


def _set_up(one: Definition) -> str:
    return f"the pack `{one['pack']}`" if "pack" in one else "these paths"


def _section(one: Definition) -> Iterator[str]:
    if envelope := one.get("envelope"):
        yield from ("", "| field | found at |", "|---|---|", *(f"| {field} | {in_code(path)} |" for field, path in fields_of(envelope)))
    if names := one.get("names"):
        yield from ("", "| what arrives | RudderStack has it as |", "|---|---|")
        for ours, recorded in names.items():
            yield f"| `{ours}` | {', '.join(f'`{name}`' for name in (recorded if isinstance(recorded, list) else [recorded]))} |"
    told = [
        *(f"request {label}: {why}" for label, why in one.get("taken", {}).items()),
        *one.get("ours", {}).values(),
        *([one["together"]] if "together" in one else []),
        *(unlike["why"] for unlike in one.get("unlike", [])),
    ]
    if told:
        yield from ("", "Unlike RudderStack:", "", *(f"- {why}" for why in told))
    if held := Counter(one.get("held", {}).values()):
        yield from (
            "",
            "Held: " + "; ".join(f"{count} × {', '.join(f'`{code}`' for code in why.split())}" for why, count in held.items()) + ".",
        )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
