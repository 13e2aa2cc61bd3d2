"""What a caller reads of a delivery: per event in order, in the reader's language."""

from typing import Any
from uuid import UUID

import msgspec
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from ingestion.pipeline import Receipt
from profiles.entries import Entry
from profiles.sight import Sight
from taxonomy.released import named
from taxonomy.standardize import Violation
from taxonomy.violations import message_for

EVENT_EXAMPLE = {
    "id": "o-1001",
    "event": "purchase",
    "phone": "+86 138 0013 8000",
    "occurred_at": "2026-03-01T10:00:00+08:00",
    "attributes": {"order_id": "1001", "product_id": "SKU123", "price": "59.90", "quantity": 2},
}
_TEXT = {"type": "string"}
_TIME: dict[str, Any] = {"oneOf": [_TEXT, {"type": "number"}]}
_EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {**_TEXT, "maxLength": 200, "description": _("Stays the same when the event is sent again.")},
        "event": {**_TEXT, "description": _("As the source says it, or a tag's code.")},
        "phone": {**_TEXT, "description": _("In any notation; without + it is read in the region.")},
        "region": {**_TEXT, "description": _("Two letters, such as CN.")},
        "identifiers": {
            "type": "object",
            "properties": dict.fromkeys(("user_id", "crm_id", "openid", "email", "device", "anonymous_id"), _TEXT),
            "description": _("Other names of the same customer."),
        },
        "occurred_at": {**_TIME, "description": _("Without a zone it is in the source's. Absent: now.")},
        "sent_at": _TIME,
        "source_version": {**_TEXT, "description": _("Of the app or system that sends.")},
        "attributes": {"type": "object", "additionalProperties": True},
        "context": {"type": "object", "additionalProperties": True},
    },
}
REQUEST_SCHEMA: dict[str, Any] = {
    "oneOf": [
        {**_EVENT_SCHEMA, "required": ["event"], "title": "One event"},
        {
            "type": "object",
            "title": "Many events",
            "properties": {"events": {"type": "array", "items": _EVENT_SCHEMA, "minItems": 1, "maxItems": 1000}},
            "required": ["events"],
        },
    ]
}
ANSWER_EXAMPLE = {
    "batch": "0b9d4d0e-6d4b-4a86-9f0a-2f6f5a5c8a11",
    "release": "1.0.0",
    "received": 1,
    "accepted": 1,
    "changed": 1,
    "duplicate": 0,
    "quarantined": 0,
    "refused": 0,
    "dry_run": False,
    "results": [
        {
            "index": 0,
            "id": "o-1001",
            "event_id": "7f1e0c6a5b7d4a1f9a3b2c1d0e9f8a7b",
            "status": "accepted",
            "changed": True,
            "tag": "purchase",
            "refinements": [],
            "changes": [
                {"code": "attribute.cast", "path": "attributes.price", "from": "59.90", "to": {"amount": 59.90, "currency": "CNY"}}
            ],
            "violations": [],
        }
    ],
}


class ChangeSchema(serializers.Serializer[Any]):
    code = serializers.CharField()
    path = serializers.CharField()

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": serializers.JSONField(), "to": serializers.JSONField()}


class ViolationSchema(serializers.Serializer[Any]):
    code = serializers.CharField()
    blocking = serializers.BooleanField(help_text=_("Whether it holds or refuses the event; else it is a note."))
    path = serializers.CharField()
    message = serializers.CharField()
    seen = serializers.JSONField()
    expected = serializers.JSONField()
    docs = serializers.CharField()


class ResultSchema(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    id = serializers.CharField(allow_null=True, help_text=_("The id as sent."))
    event_id = serializers.CharField(
        allow_null=True,
        help_text=_(
            "32 hex digits: what the event is called here, of a duplicate the first one; null of what is refused. Its receipt is found by it, unless nothing was stored: in a dry run, with a test key."
        ),
    )
    status = serializers.ChoiceField(["accepted", "duplicate", "quarantined", "refused"])
    verdict = serializers.ChoiceField(["accepted", "quarantined"], required=False, help_text=_("Of a duplicate: its first verdict."))
    changed = serializers.BooleanField()
    tag = serializers.CharField(allow_null=True)
    refinements = serializers.ListField(child=serializers.CharField())
    changes = ChangeSchema(many=True)
    violations = ViolationSchema(many=True)


class AnswerSchema(serializers.Serializer[Any]):
    batch = serializers.UUIDField()
    release = serializers.CharField()
    received = serializers.IntegerField()
    accepted = serializers.IntegerField()
    changed = serializers.IntegerField(help_text=_("Of the accepted: those brought to the standard by a change."))
    duplicate = serializers.IntegerField()
    quarantined = serializers.IntegerField()
    refused = serializers.IntegerField()
    dry_run = serializers.BooleanField(help_text=_("Whether nothing was stored."))
    results = ResultSchema(many=True)


class ErrorBodySchema(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    docs = serializers.CharField()


class ErrorSchema(serializers.Serializer[Any]):
    error = ErrorBodySchema()


def answer(receipt: Receipt, *, dry_run: bool = False) -> dict[str, Any]:
    codes = _tag_codes(receipt)
    return {
        "batch": str(receipt.batch_id),
        "release": receipt.version,
        "received": receipt.received,
        **receipt.counts,
        "dry_run": dry_run,
        "results": [_result(index, entry, codes, receipt.source_id) for index, entry in enumerate(receipt.entries)],
    }


def _tag_codes(receipt: Receipt) -> dict[Any, str]:
    """Codes of the tags that duplicates were first read as."""
    found = named("tag", (entry.first.tag_id for entry in receipt.entries if entry.first is not None))
    return {pk: one.code for pk, one in found.items()}


def _result(index: int, entry: Entry, codes: dict[Any, str], source_id: UUID) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "index": index,
        "id": entry.raw.message_id if entry.raw else None,
        "event_id": entry.public_id,
        "status": entry.status,
    }
    if entry.refusal is not None:
        refused = Violation(entry.refusal.code, entry.refusal.path, values=entry.refusal.values)
        return shown | {
            "changed": False,
            "tag": None,
            "refinements": [],
            "changes": [],
            "violations": [violation(refused) | {"blocking": True}],
        }
    if entry.first is not None:
        first = entry.first
        changes, found, refinements = first.report.get("changes", []), first.report.get("violations", []), first.refinements
        if entry.differs:
            # Who says something else under an id need not be who sent the first: a web page's key is everybody's, and ids can be guessed.
            sight = Sight(unmasked=False)
            changes = [sight.change(one, source_id) for one in changes]
            found = [sight.violation(one, source_id) for one in found]
            refinements = []
        violations = [violation(msgspec.convert(one, Violation)) for one in found]
        violations += [violation(_reused(entry))] if entry.differs else []
        return shown | {
            "verdict": first.verdict,
            "changed": bool(changes),
            "tag": codes.get(first.tag_id),
            "refinements": refinements,
            "changes": changes,
            "violations": violations,
        }
    assert entry.result is not None
    result = entry.result
    return shown | {
        "changed": result.changed,
        "tag": result.tag_code,
        "refinements": result.refinements,
        "changes": result.changes,
        "violations": [violation(one) for one in result.violations],
    }


def _reused(entry: Entry) -> Violation:
    sent = entry.raw is not None and entry.raw.message_id is not None
    return Violation("message_id.reused", "id", values={} if sent else {"derived": True})


def violation(one: Violation) -> dict[str, Any]:
    return {
        "code": one.code,
        "blocking": one.blocking,
        "path": one.path,
        "message": str(message_for(one)),
        "seen": one.seen,
        "expected": one.expected,
        "docs": f"/docs/codes#{one.code}",
    }
