"""The API door: POST /api/v1/events, one event or {"events": […]}; answered per event, after the commit."""

import re
from typing import Any

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiRequest, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from ingestion import keys
from ingestion.answers import ANSWER_EXAMPLE, EVENT_EXAMPLE, REQUEST_SCHEMA, AnswerSchema, ErrorSchema, answer
from ingestion.doors.deliver import (
    REQUEST_BYTES,
    REQUEST_EVENTS,
    body_of,
    deliver,
    refuse_used_up,
    sender_of,
    too_large,
    too_many,
    unpack_gzip,
)
from ingestion.doors.errors import ApiError
from ingestion.pipeline import Incoming
from taxonomy.standardize import Refusal, decode_json, encode_json

TRUE, FALSE = frozenset({"1", "true", "yes", "on", ""}), frozenset({"0", "false", "no", "off"})

_split = msgspec.json.Decoder(dict[str, msgspec.Raw])
_split_list = msgspec.json.Decoder(list[msgspec.Raw])


class EventsView(APIView):
    """Receive events of the source whose write key comes with them."""

    @extend_schema(
        operation_id="send_events",
        parameters=[
            OpenApiParameter("dry_run", bool, description=_("Answer the same and store nothing.")),
        ],
        summary=_("Send events"),
        description=_('One event, or up to 1,000 as {"events": […]}, of the source whose write key comes with them.'),
        tags=["Events"],
        auth=[{"write key": []}],  # type: ignore[list-item]
        request=OpenApiRequest(
            REQUEST_SCHEMA,
            examples=[
                OpenApiExample("One event", EVENT_EXAMPLE, summary=_("One event")),
                OpenApiExample("Many events", {"events": [EVENT_EXAMPLE]}, summary=_("Many events")),
            ],
        ),
        responses={200: AnswerSchema, **dict.fromkeys((400, 401, 403, 411, 413, 415, 429, 503), ErrorSchema)},
        examples=[OpenApiExample("Answer", ANSWER_EXAMPLE, summary=_("Answer"), response_only=True, status_codes=["200"])],
    )
    def post(self, request: Request) -> HttpResponse:
        sender = authenticated(request)
        try:
            refuse_used_up(sender)
            dry_run = sender.test or _asks_for_dry_run(request)
            receipt = deliver(_cut(_body(request)), sender, door="api", received_at=timezone.now(), dry_run=dry_run)
        except ApiError as error:
            keys.count_failure(error.code, sender.source_id)
            raise
        return HttpResponse(encode_json(answer(receipt, dry_run=dry_run)), content_type="application/json")


def authenticated(request: Request) -> keys.Sender:
    """The sender of a request. Raises ApiError 401 or 403."""
    scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer" or not secret.strip():
            raise ApiError(401, "key.missing", _("No write key came with the request. Send it as: Authorization: Bearer <write key>."))
        return sender_of(secret.strip())
    except ApiError as error:
        keys.count_failure(error.code)
        raise


def _asks_for_dry_run(request: Request) -> bool:
    """Loud on what is neither: an event stored by mistake cannot be unstored by its sender."""
    written = request.query_params.get("dry_run", "false").lower()
    if written not in TRUE | FALSE:
        raise ApiError(400, "request.dry_run", _("dry_run is true or false. Correct it, then send again; nothing was stored."))
    return written in TRUE


def _body(request: Request) -> bytes:
    content_type = request.content_type.partition(";")[0].strip().lower()
    if content_type not in ("application/json", "text/json", ""):
        raise ApiError(415, "request.media_type", _("Send JSON, with the header Content-Type: application/json."))
    body = body_of(request._request)
    encoding = request.headers.get("Content-Encoding", "").lower()
    if encoding == "gzip":
        body = unpack_gzip(body, REQUEST_BYTES)
    elif encoding not in ("", "identity"):
        raise ApiError(415, "request.encoding", _("Pack the request with gzip, or not at all."))
    if len(body) > REQUEST_BYTES:
        raise too_large()
    return body


def _cut(body: bytes) -> list[Incoming]:
    """The events of a body, each with its exact bytes. Raises ApiError when the body as a whole is no request."""
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    try:
        fields = _split.decode(body)
        events: list[Any] | None = _split_list.decode(fields["events"]) if "events" in fields and "event" not in fields else None
    except msgspec.ValidationError as error:
        if isinstance(decode_json(body), dict):
            raise ApiError(400, "request.events", _('"events" must be a list of events.')) from error
        raise _not_json() from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        events = _cut_carefully(body)
    if events is None:
        return [Incoming(body)]
    if not events:
        raise ApiError(400, "request.events", _('"events" is empty. Send at least one event.'))
    if len(events) > REQUEST_EVENTS:
        raise too_many()
    return [Incoming(bytes(event)) for event in events]


# A JSON text's strings and punctuation; strings may hold what the fast reader refuses, such as half an emoji. One that is left open
# goes to the end: were it looked for again from each quotation mark in it, a cut-off body would keep a process for minutes.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\(?:.|\Z))*+(?:"|\Z)|[\[\]{},]', re.DOTALL)


def _cut_carefully(body: bytes) -> list[Any] | None:
    """The same of a body that one odd event would spoil for all: that one is refused, held or repaired alone. None: one event."""
    if not isinstance(decode_json(body), dict) and not body.startswith(b"{"):
        raise _not_json()
    depth, start, events, is_list, previous = 0, 0, [], False, b""
    for token in _TOKEN.finditer(body):
        mark = token[0]
        if mark in b"[{":
            depth += 1
            if depth == 2 and mark == b"[" and previous == b'"events"':
                is_list, start = True, token.end()
        elif mark in b"]}":
            if is_list and depth == 2:
                events.append(body[start : token.start()])
                return [event for event in events if event.strip()]
            depth -= 1
        elif mark == b"," and is_list and depth == 2:
            events.append(body[start : token.start()])
            start = token.end()
        if depth == 1:
            previous = mark
    whole = decode_json(body)
    if isinstance(whole, dict) or (isinstance(whole, Refusal) and whole.code == "limit.nesting"):
        return None
    raise _not_json()


def _not_json() -> ApiError:
    return ApiError(400, "request.not_json", _('The body is not a JSON object. Send one event, or {"events": […]}.'))
