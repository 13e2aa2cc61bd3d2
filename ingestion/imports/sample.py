"""A file as a source would send it, to look at before one is made: in the source's own words, tried on the core before it is shown. Pure."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ingestion.sending.example import written_time
from taxonomy.dictionary.examples import examples_of
from taxonomy.dictionary.standard import Standard
from taxonomy.standardize import Refusal, decode_json, read, standardize
from taxonomy.standardize.cloudevents import SPEC_VERSION, data_envelope
from taxonomy.standardize.paths import plain_names
from taxonomy.standardize.read import custom_paths

Record = dict[str, Any]

_ROWS = 3
_TRIED = 30
_PHONE = "+86 138 0013 8000"
_WHEN = datetime(2026, 3, 1, 2, tzinfo=UTC)
_RECEIVED_AT = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sample:
    """`kind` is csv or ndjson. `text` is empty where no record is known that the standard takes."""

    kind: str
    text: str


def sample_of(source: str, known: Standard) -> Sample:
    """A few records, of as many tags, that the released standard takes from this source. `source`: its uuid."""
    records: list[Record] = []
    for record in _offered(source, known):
        if _is_accepted(record, source, known):
            records.append(record)
        if len(records) == _ROWS:
            break
    preset = (known.items[source].get("envelope") or {}).get("preset") or "tagline"
    rows = _as_rows(records) if preset in ("flat", "custom") else None
    if rows and all(_is_accepted(row, source, known) for row in rows):
        written = io.StringIO()
        csv.writer(written, lineterminator="\r\n").writerows([rows[0].keys(), *(row.values() for row in rows)])
        return Sample("csv", written.getvalue())
    return Sample("ndjson", "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records))


def _offered(source: str, known: Standard) -> Iterator[Record]:
    """Records to try: first by the source's rules, then of the tags to which most rules lead, by their own names."""
    one, tags = known.items[source], known.tags_in
    said: set[str] = set()
    for rule in (known.items[item] for item in known.rules_of[source]):
        is_plain = rule.get("match") != "pattern" and not any(rule.get(key) for key in ("condition", "below_version", "until"))
        if is_plain and rule["tag"] not in said and len(said) < _TRIED:
            said.add(rule["tag"])
            yield _record(one, rule["name"], _in_the_words_of(rule, _values(rule["tag"], source, known)), len(said))
    others = sorted(
        (tag for group in tags.values() for tag in group), key=lambda tag: (-len(known.rules_to[tag]), known.items[tag]["code"])
    )
    for number, tag in enumerate([tag for tag in others if known.items[tag].get("status") == "active"][:_TRIED], len(said) + 1):
        yield _record(one, known.items[tag]["code"], _values(tag, source, known), number)


def _values(tag: str, source: str, known: Standard) -> Record:
    found = examples_of(tag, known.items, currency=known.items[source].get("currency") or "").event
    return dict((found or {}).get("attributes") or {})


def _in_the_words_of(rule: Record, values: Record) -> Record:
    """The values where the rule looks for them; its transforms may make other values of them."""
    attributes: Record = {}
    for row in rule.get("rows") or []:
        names = plain_names((row.get("path") or "").removeprefix("$.")) or []
        if names and row["target"] in values:
            _put(attributes, names, values[row["target"]])
    taken = {row["target"] for row in rule.get("rows") or []}
    kept = {code: value for code, value in values.items() if code not in taken} if rule.get("keep_unmapped", True) else {}
    return kept | attributes


def _record(source: Record, name: str, values: Record, number: int) -> Record:
    """An event as the source's envelope has it."""
    envelope = source.get("envelope") or {}
    message_id = f"{source['code']}-{number:04}"
    when = _WHEN.isoformat()
    match envelope.get("preset") or "tagline":
        case "flat":
            cells = {code: value for code, value in values.items() if not isinstance(value, list | dict)}
            return {"id": message_id, "event": name, "phone": _PHONE, "occurred_at": when} | cells
        case "segment":
            return {
                "type": "track", "event": name, "messageId": message_id, "timestamp": when, "context": {"traits": {"phone": _PHONE}},
                "properties": values,
            }  # fmt: skip
        case "cloudevents":
            ids = {"specversion": SPEC_VERSION, "id": message_id, "source": "/example", "type": name, "time": when}
            return {**ids, "data": _by_paths(data_envelope(envelope), {"phone": _PHONE}, values)}
        case "custom":
            said = {
                "event": name,
                "phone": _PHONE,
                "message_id": message_id,
                "occurred_at": written_time(_WHEN, envelope.get("time_format") or "", "UTC"),
            }
            return _by_paths(envelope, said, values)
        case _:
            return {"id": message_id, "event": name, "phone": _PHONE, "occurred_at": when, "attributes": values}


def _by_paths(envelope: Record, said: Record, values: Record) -> Record:
    """The fields where the envelope's plain paths look for them."""
    paths = custom_paths(envelope)
    whole: Record = {}
    item: Record = {} if "events" in paths else whole
    for field, value in (said | {"attributes": values}).items():
        path = paths.get(field, "")
        names = plain_names(path.removeprefix("$."))
        if names:
            _put(whole if path.startswith("$.") else item, names, value)
    if "attributes" not in paths:
        item |= {name: value for name, value in values.items() if name not in item}
    if names := plain_names(paths.get("events", "").removeprefix("$.")):
        _put(whole, names, [item])
    return whole


def _put(record: Record, names: list[str], value: Any) -> None:
    for name in names[:-1]:
        inner = record.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        record = inner
    record.setdefault(names[-1], value)


def _as_rows(records: list[Record]) -> list[dict[str, str]] | None:
    """The records under the same columns, as text; None where one has lists or objects."""
    if any(isinstance(value, list | dict) for one in records for value in one.values()):
        return None
    columns = dict.fromkeys(name for one in records for name in one)
    return [{name: _cell(one.get(name, "")) for name in columns} for one in records]


def _cell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_accepted(record: Record, source: str, known: Standard) -> bool:
    original = json.dumps(record, ensure_ascii=False).encode()
    plan = known.plan
    events = read(decode_json(original), plan.sources[known.items[source]["code"]], plan, received_at=_RECEIVED_AT, original=original)
    return bool(events) and all(not isinstance(one, Refusal) and standardize(one, plan).verdict == "accepted" for one in events)
