"""What became of one event, for the source that sent it: GET /api/v1/receipts/<message id>."""

import re
from typing import Any

import msgspec
from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from ingestion.answers import ANSWER_EXAMPLE, ChangeSchema, ErrorSchema, ViolationSchema, violation
from ingestion.doors.api import authenticated
from ingestion.doors.errors import ApiError
from ingestion.models import TakeBack
from profiles.models import Event
from profiles.sight import Sight
from taxonomy.released import named
from taxonomy.standardize import LIMITS, Violation, encode_json
from taxonomy.standardize.keys import message_key
from taxonomy.violations import is_blocking

_PUBLIC_ID = re.compile("[0-9a-fA-F]{32}")
_STATUSES = {
    Event.Standing.COUNTED: "accepted",
    Event.Standing.HELD: "quarantined",
    Event.Standing.TAKEN_BACK: "taken_back",
    Event.Standing.CORRECTED: "corrected",
    Event.Standing.DISCARDED: "discarded",
    Event.Standing.MERGED: "merged",
}
_EXAMPLE: dict[str, Any] = {
    "id": "o-1001",
    "event_id": ANSWER_EXAMPLE["results"][0]["event_id"],  # type: ignore[index]
    "status": "accepted",
    "status_since": "2026-03-01T02:00:01.520000Z",
    "verdict": "accepted",
    "corrected_by": None,
    "batch": ANSWER_EXAMPLE["batch"],
    "release": "1.0.0",
    "occurred_at": "2026-03-01T02:00:00Z",
    "received_at": "2026-03-01T02:00:01.520000Z",
    **{name: ANSWER_EXAMPLE["results"][0][name] for name in ("changed", "tag", "refinements", "changes", "violations")},  # type: ignore[index]
}
_HELD_EXAMPLE = {
    **_EXAMPLE,
    "id": "o-1002",
    "status": "quarantined",
    "verdict": "quarantined",
    "tag": None,
    "occurred_at": None,
    "changed": False,
    "changes": [],
    "violations": [
        {
            "code": "event.unknown", "blocking": True, "path": "event", "message": "The event “purchse” is not in the standard.",
            "seen": "purchse", "expected": None, "docs": "/docs/codes#event.unknown",
        }
    ],
}  # fmt: skip


class ReceiptSchema(serializers.Serializer[Any]):
    id = serializers.CharField(allow_null=True, help_text=_("The message id as sent; null when none was."))
    event_id = serializers.CharField(help_text=_("32 hex digits: what the event is called here. It works in the place of a message id."))
    status = serializers.ChoiceField(
        ["accepted", "quarantined", "corrected", "discarded", "taken_back", "merged"],
        help_text=_(
            "How it stands now. Only what is accepted counts. What is sent again under its id is answered as a duplicate,"
            " unless it is taken back, or quarantined and says something else."
        ),
    )
    status_since = serializers.DateTimeField(allow_null=True, help_text=_("Since when, as far as it is known."))
    verdict = serializers.ChoiceField(["accepted", "quarantined"], help_text=_("The first one; it never changes."))
    corrected_by = serializers.CharField(allow_null=True, help_text=_("The event_id of the event that corrected it."))
    batch = serializers.UUIDField()
    release = serializers.CharField(allow_null=True, help_text=_("The version of the standard that read it."))
    tag = serializers.CharField(allow_null=True)
    refinements = serializers.ListField(child=serializers.CharField())
    changed = serializers.BooleanField()
    changes = ChangeSchema(many=True)
    violations = ViolationSchema(many=True)
    occurred_at = serializers.DateTimeField(allow_null=True)
    received_at = serializers.DateTimeField()


class ReceiptView(APIView):
    """Read with a write key of the source that sent the event; a read token does not open it."""

    @extend_schema(
        operation_id="read_receipt",
        summary=_("Read a receipt"),
        description=_("What became of one event of this source, and how it stands now."),
        tags=["Events"],
        auth=[{"write key": []}],  # type: ignore[list-item]
        parameters=[
            OpenApiParameter(
                "message_id",
                str,
                OpenApiParameter.PATH,
                description=_("The id that came with the event, percent-encoded; or its event_id."),
            )
        ],
        responses={200: ReceiptSchema, **dict.fromkeys((401, 403, 404), ErrorSchema)},
        examples=[
            OpenApiExample("Accepted", _EXAMPLE, response_only=True, status_codes=["200"]),
            OpenApiExample("Quarantined", _HELD_EXAMPLE, response_only=True, status_codes=["200"]),
        ],
    )
    def get(self, request: Request, message_id: str) -> HttpResponse:
        event = _find(authenticated(request).source_id, message_id)
        if event is None:
            raise ApiError(
                404,
                "receipt.unknown",
                _("This source has no event of this id. What is wanted is the id an event was sent with, or its event_id, not the id of a batch. Check too whether it was answered: what is refused, or sent with a test key or dry_run, is not kept."),
            )  # fmt: skip
        answer = HttpResponse(encode_json(_receipt(event)), content_type="application/json")
        answer.headers["Cache-Control"] = "no-store"
        return answer


def _find(source_id: str, message_id: str) -> Event | None:
    """The event that stands under a message id of this source, else the one of this public id."""
    if len(message_id) > LIMITS.message_id_characters:
        return None
    events = Event.objects.filter(source_id=source_id).select_related("release").defer("release__snapshot")
    found: Event | None = events.filter(key=message_key(source_id, message_id)).first()
    if found is None and _PUBLIC_ID.fullmatch(message_id):
        found = events.filter(key=bytes.fromhex(message_id)).first()
    return found


def _receipt(event: Event) -> dict[str, Any]:
    first = event.former_readings.order_by("id").first() or event
    report, sight = event.report or {}, Sight(unmasked=False)  # a web page's key is everybody's, and ids can be guessed
    violations, changes = report.get("violations", []), report.get("changes", [])
    corrector = Event.objects.filter(pk=event.corrected_by_id).first() if event.corrected_by_id else None
    is_corrected = event.standing == Event.Standing.CORRECTED and corrector is not None
    return {
        "id": event.message_id,
        "event_id": event.public_id,
        "status": _STATUSES[Event.Standing(event.standing)],
        "status_since": _since(event, corrector),
        "verdict": "quarantined" if any(map(is_blocking, (first.report or {}).get("violations", []))) else "accepted",
        "corrected_by": corrector.public_id if is_corrected and corrector else None,
        "batch": str(event.batch_id),
        "release": event.release.version if event.release else None,
        "tag": named("tag", [event.tag_id])[event.tag_id].code if event.tag_id else None,
        "refinements": sight.refinements(event),
        "changed": bool(changes),
        "changes": [sight.change(one, event.source_id) for one in changes],
        "violations": [violation(msgspec.convert(sight.violation(one, event.source_id), Violation)) for one in violations],
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
    }


def _since(event: Event, corrector: Event | None) -> Any:
    if event.standing == Event.Standing.TAKEN_BACK:
        act = TakeBack.objects.filter(pk=event.take_back_id).first() if event.take_back_id else None
        return act.decided_at if act else None
    if event.standing == Event.Standing.CORRECTED:
        return corrector.received_at if corrector else None
    if event.standing in (Event.Standing.COUNTED, Event.Standing.DISCARDED) and event.read_by is not None:
        held = event.former_readings.filter(standing=Event.Standing.HELD).order_by("-id")
        if (until := held.values_list("replaced_at", flat=True).first()) is not None:
            return until
    # what was put back stands as on the first day
    return event.received_at if event.standing in (Event.Standing.COUNTED, Event.Standing.HELD) else None
