"""The API door: POST /api/v1/events, one event or {"events": […]}; answered per event, after the commit."""

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiRequest, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from ingestion import keys
from ingestion.answers import ANSWER_EXAMPLE, EVENT_EXAMPLE, AnswerSchema, ErrorSchema, answer
from ingestion.doors.deliver import deliver, sender_of, unpack_gzip
from ingestion.doors.errors import ApiError
from ingestion.pipeline import Incoming
from taxonomy.standardize import encode_json

REQUEST_EVENTS = 1_000
REQUEST_BYTES = 5 * 1024 * 1024

_split = msgspec.json.Decoder(dict[str, msgspec.Raw])
_split_list = msgspec.json.Decoder(list[msgspec.Raw])


class EventsView(APIView):
    """Receive events of the source whose write key comes with them."""

    @extend_schema(
        operation_id="send_events",
        parameters=[
            OpenApiParameter("dry_run", bool, description="Answer the same and store nothing."),
            OpenApiParameter("Authorization", str, OpenApiParameter.HEADER, description="Bearer <write key>", required=True),
        ],
        request=OpenApiRequest({"type": "object", "additionalProperties": True}, examples=[OpenApiExample("One event", EVENT_EXAMPLE)]),
        responses={200: AnswerSchema, **dict.fromkeys((400, 401, 403, 413, 415, 429, 503), ErrorSchema)},
        examples=[OpenApiExample("Answer", ANSWER_EXAMPLE, response_only=True, status_codes=["200"])],
    )
    def post(self, request: Request) -> HttpResponse:
        sender = authenticated(request)
        dry_run = request.query_params.get("dry_run", "").lower() in ("1", "true", "yes")
        try:
            receipt = deliver(_cut(_body(request)), sender, door="api", received_at=timezone.now(), dry_run=dry_run)
        except ApiError as error:
            keys.count_failure(error.code, sender.source_id)
            raise
        return HttpResponse(encode_json(answer(receipt)), content_type="application/json")


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


def _body(request: Request) -> bytes:
    content_type = request.content_type.partition(";")[0].strip().lower()
    if content_type not in ("application/json", "text/json", ""):
        raise ApiError(415, "request.media_type", _("Send JSON, with the header Content-Type: application/json."))
    if int(request.META.get("CONTENT_LENGTH") or 0) > REQUEST_BYTES:
        raise _too_large()
    body = request._request.read(REQUEST_BYTES + 1)
    encoding = request.headers.get("Content-Encoding", "").lower()
    if encoding == "gzip":
        body = unpack_gzip(body, REQUEST_BYTES)
    elif encoding not in ("", "identity"):
        raise ApiError(415, "request.encoding", _("Pack the request with gzip, or not at all."))
    if len(body) > REQUEST_BYTES:
        raise _too_large()
    return body


def _too_large() -> ApiError:
    return ApiError(413, "request.too_large", _("The request is larger than 5 MB unpacked. Send fewer events at once."))


def _cut(body: bytes) -> list[Incoming]:
    """The events of a body, each with its exact bytes. Raises ApiError when the body as a whole is no request."""
    try:
        fields = _split.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "request.not_json", _('The body is not a JSON object. Send one event, or {"events": […]}.')) from error
    if "events" not in fields or "event" in fields:
        return [Incoming(body.strip())]
    try:
        events = _split_list.decode(fields["events"])
    except msgspec.MsgspecError as error:
        raise ApiError(400, "request.events", _('"events" must be a list of events.')) from error
    if not events:
        raise ApiError(400, "request.events", _('"events" is empty. Send at least one event.'))
    if len(events) > REQUEST_EVENTS:
        raise ApiError(413, "request.too_many", _("A request may hold 1,000 events. Send the rest in another one."))
    return [Incoming(bytes(event)) for event in events]
