"""Held events as files: each whole, with all its reasons, as lines of JSON, as a table, or in Snowplow's form of failed events."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ingestion.doors.files import BOM, FileFormat, write_row
from ingestion.quarantine.held import Attempts
from profiles.models import Event
from profiles.original import shown_original
from profiles.sight import Sight
from taxonomy.exchange.book import escaped
from taxonomy.released import named
from taxonomy.standardize import encode_json
from taxonomy.violations import expected_text, explain, is_blocking, title_for

_CSV = FileFormat("csv")


@dataclass(frozen=True, slots=True)
class Reason:
    """`says`: what happened, in a sentence."""

    code: str
    path: str
    seen: str
    expected: str
    says: str


@dataclass(frozen=True, slots=True)
class Told:
    """A held event as its reader may see it. `record`: text, or {column: cell} of a file's row. `release`: 0 for none."""

    public_id: str
    source: str
    door: str
    received_at: str
    message_id: str
    name: str
    release: int
    reasons: list[Reason]
    record: str | dict[str, str]
    attempts: Attempts


@dataclass(frozen=True, slots=True)
class Form:
    write: Callable[[Iterable[Told]], Iterator[bytes]]
    content_type: str
    file_name: str


def told(event: Event, attempts: Attempts, sight: Sight) -> Told:
    original = shown_original(event.original, event, sight)
    held = [one for one in (event.report or {}).get("violations", []) if is_blocking(one)]
    return Told(
        event.public_id,
        named("source", [event.source_id])[event.source_id].code,
        event.batch.door,
        event.received_at.isoformat(),
        sight(event.message_id or ""),
        sight(event.name or ""),
        event.release_id or 0,
        [_reason(sight.violation(one, event.source_id)) for one in held],
        dict(original.cells) if original.cells else original.text,
        attempts,
    )


def _reason(violation: dict[str, Any]) -> Reason:
    code, seen = violation["code"], violation.get("seen")
    expected = expected_text(violation.get("expected")) or str(explain(code, violation.get("values")).expected)
    return Reason(code, violation.get("path", ""), "" if seen is None else str(seen), expected, str(title_for(code)))


def _lines(events: Iterable[Told]) -> Iterator[bytes]:
    for one in events:
        last_at = one.attempts.last_at.isoformat() if one.attempts.last_at else None
        reasons = [{"code": why.code, "path": why.path, "seen": why.seen, "expected": why.expected} for why in one.reasons]
        yield encode_json(
            {
                "_tagline_id": one.public_id, "source": one.source, "received_at": one.received_at, "message_id": one.message_id,
                "event": one.name, "reasons": reasons, "attempts": one.attempts.times, "last_attempt_at": last_at, "record": one.record,
            }
        ) + b"\n"  # fmt: skip


def _table(events: Iterable[Told]) -> Iterator[bytes]:
    """For a spreadsheet: with a byte order mark, and nothing that it would take for a formula."""
    yield BOM
    yield write_row(["_tagline_id", "source", "received_at", "message_id", "event", "_reason", "record"], _CSV)
    for one in events:
        reasons = " ".join(f"{why.says}: {why.path} {why.seen}".strip() for why in one.reasons)
        record = one.record if isinstance(one.record, str) else encode_json(one.record).decode()
        cells = [one.public_id, one.source, one.received_at, one.message_id, one.name, reasons, record]
        yield write_row([escaped(cell) for cell in cells], _CSV)


# Snowplow's schemas of failed events: iglu:com.snowplowanalytics.snowplow.badrows/…, in Iglu Central; its limits of length too.
_BADROWS = "iglu:com.snowplowanalytics.snowplow.badrows"
_PROCESSOR = {"artifact": "tagline", "version": "0.1.0"}
_VENDOR = "tagline"


def _snowplow(events: Iterable[Told]) -> Iterator[bytes]:
    """What breaks a tag's schema as schema_violations; what does not come so far, such as an unknown event, as adapter_failures."""
    for one in events:
        breaks_schema = any(why.path.startswith("attributes") for why in one.reasons)
        schema, row = (
            ("schema_violations/jsonschema/2-0-1", _violations) if breaks_schema else ("adapter_failures/jsonschema/1-0-0", _failures)
        )
        yield encode_json({"schema": f"{_BADROWS}/{schema}", "data": {**row(one), "processor": _PROCESSOR}}) + b"\n"


def _failures(one: Told) -> dict[str, Any]:
    return {
        "failure": {
            "timestamp": one.received_at, "vendor": _VENDOR, "version": one.door[:16], "messages": [_message(why, one) for why in one.reasons],
        },
        "payload": {
            "vendor": _VENDOR, "version": one.door[:16], "querystring": None, "contentType": None, "body": _text_of(one), "collector": _VENDOR,
            "encoding": "UTF-8", "hostname": None, "timestamp": one.received_at, "ipAddress": None, "useragent": None, "refererUri": None,
            "headers": None, "networkUserId": None,
        },
    }  # fmt: skip


def _message(why: Reason, one: Told) -> dict[str, Any]:
    if why.code == "event.unknown":
        return {"actual": one.name[:256], "expectedMapping": {}, "expectation": f"{why.says} {why.expected}"[:256]}
    return {"field": why.path[:64], "value": why.seen or None, "expectation": f"{why.says} {why.expected}"[:256]}


def _violations(one: Told) -> dict[str, Any]:
    name = re.sub(r"[^A-Za-z0-9_-]", "_", one.name) or "event"
    reports = [
        {"message": why.says, "path": f"$.{why.path}", "keyword": why.code, "targets": [why.expected] if why.expected else None}
        for why in one.reasons
    ]
    schema = f"iglu:{_VENDOR}/{name}/jsonschema/{max(one.release, 1)}-0-0"
    return {
        "failure": {
            "timestamp": one.received_at,
            "messages": [{"schemaKey": schema, "error": {"error": "ValidationError", "dataReports": reports}}],
        },
        "payload": {
            "raw": {
                "vendor": _VENDOR, "version": one.door[:16], "parameters": None, "contentType": None, "loaderName": _VENDOR,
                "encoding": "UTF-8", "hostname": None, "timestamp": one.received_at, "ipAddress": None, "useragent": None,
                "refererUri": None, "headers": None, "userId": None,
            },
            "enriched": {
                "app_id": one.source, "event_id": str(UUID(one.public_id)), "event_vendor": _VENDOR, "event_name": one.name,
                "collector_tstamp": one.received_at, "unstruct_event": _text_of(one),
            },
        },
    }  # fmt: skip


def _text_of(one: Told) -> str:
    return one.record if isinstance(one.record, str) else encode_json(one.record).decode()


FORMS: dict[str, Form] = {
    "ndjson": Form(_lines, "application/x-ndjson", "held.ndjson"),
    "csv": Form(_table, "text/csv; charset=utf-8", "held.csv"),
    "snowplow": Form(_snowplow, "application/x-ndjson", "failed-events.ndjson"),
}
