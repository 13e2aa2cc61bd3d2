"""The CloudEvents door: POST /cloudevents, structured, binary or batched; the write key comes as Bearer.

Source: CloudEvents 1.0.2, "HTTP protocol binding", "JSON event format"; "HTTP 1.1 web hooks for event delivery".
"""

import base64
import logging
from typing import Any
from urllib.parse import unquote

import msgspec
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ingestion import keys
from ingestion.answers import answer
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
from ingestion.doors.errors import ApiError, error_response, unavailable
from ingestion.doors.files import BOM
from ingestion.pipeline import Incoming
from taxonomy.standardize import Refusal, decode_json, encode_json
from taxonomy.standardize.cloudevents import is_json, problem_of_event

STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"
_split_list = msgspec.json.Decoder(list[msgspec.Raw])
_log = logging.getLogger(__name__)


def receive_events(request: HttpRequest) -> HttpResponse:
    """Events of the source whose write key comes with them."""
    if request.method == "OPTIONS":
        return _allowed(request)
    try:
        if request.method != "POST":
            raise ApiError(405, "method_not_allowed", _("Send events with POST."))
        return _received(request)
    except ApiError as error:
        return error_response(error)
    except (DatabaseError, InterfaceError) as error:
        _log.error("database error in the CloudEvents door: %s", type(error).__name__)
        return error_response(unavailable())


def _received(request: HttpRequest) -> HttpResponse:
    received_at, sender = timezone.now(), None
    try:
        scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise ApiError(401, "key.missing", _("No write key came with the request. Send it as: Authorization: Bearer <write key>."))
        sender = sender_of(secret.strip())
        refuse_used_up(sender)
        incoming = _cut(request)
        if not incoming:
            return _json({"received": 0, "results": []})
        receipt = deliver(incoming, sender, door="cloudevents", received_at=received_at)
        return _json(answer(receipt, dry_run=sender.test))
    except ApiError as error:
        keys.count_failure(error.code, sender.source_id if sender else None)
        raise


def _cut(request: HttpRequest) -> list[Incoming]:
    """The events of a request, each as a JSON object in the format that structured mode sends. Raises ApiError."""
    body = body_of(request)
    if request.headers.get("Content-Encoding", "").lower() == "gzip":
        body = unpack_gzip(body, REQUEST_BYTES)
        if len(body) > REQUEST_BYTES:
            raise too_large()
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    by_headers = any(name.lower().startswith("ce-") for name in request.headers)
    text = body.removeprefix(BOM).strip()
    # Some say of a whole event, or of a list of them, only that it is JSON.
    whole = media_type == "application/json" and not by_headers
    if media_type == BATCHED or (whole and text.startswith(b"[")):
        return [Incoming(event) for event in _batch(text)]
    if media_type == STRUCTURED or whole:
        return [_one(text)]
    if not by_headers or media_type.startswith("application/cloudevents"):
        raise ApiError(
            415, "cloudevents.mode", _("Send application/cloudevents+json, application/cloudevents-batch+json, or the event's headers ce-….")
        )  # fmt: skip
    return [_one(_of_headers(request, body))]


def _one(event: bytes) -> Incoming:
    """A request's only event: what is wrong with it is said of the whole request."""
    decoded = decode_json(event)
    if isinstance(decoded, Refusal):
        raise ApiError(400, "request.not_json", _("The body is not a JSON object. Send one CloudEvent."))
    problem = problem_of_event(decoded) if isinstance(decoded, dict) else Refusal("record.not_object")
    if problem is not None:
        raise ApiError(
            400, problem.code,
            _("This is no CloudEvent 1.0: it needs specversion 1.0, id, source and type as texts. Correct: %(name)s.") % {"name": problem.path or "JSON"},
        )  # fmt: skip
    return Incoming(event, decoded)


def _batch(body: bytes) -> list[bytes]:
    try:
        events = [bytes(event) for event in _split_list.decode(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        decoded = decode_json(body)
        if not isinstance(decoded, list):
            raise ApiError(400, "request.not_json", _("The body is not a JSON list. Send a list of CloudEvents.")) from None
        events = [encode_json(event) for event in decoded]
    if len(events) > REQUEST_EVENTS:
        raise too_many()
    return events


def _of_headers(request: HttpRequest, body: bytes) -> bytes:
    """Binary mode: the attributes from the headers, the data from the body in its exact bytes where it is JSON or text."""
    event = {name[3:].lower(): _unquoted(value) for name, value in request.headers.items() if name.lower().startswith("ce-")}
    media_type = request.headers.get("Content-Type", "")
    if media_type:
        event["datacontenttype"] = media_type
    for name in ("data", "data_base64"):
        event.pop(name, None)
    if not body:
        return encode_json(event)
    return encode_json(event)[:-1] + (b"," if event else b"") + _data(body, media_type) + b"}"


def _data(body: bytes, media_type: str) -> bytes:
    if is_json(media_type or "application/json") and not isinstance(decode_json(body), Refusal):
        return b'"data":' + body.removeprefix(BOM).strip()
    try:
        return b'"data":' + encode_json(body.decode())
    except UnicodeDecodeError:
        return b'"data_base64":' + encode_json(base64.b64encode(body).decode())


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise ApiError(400, "cloudevents.header", _("A header ce-… is not percent-encoded UTF-8. Correct it, then send again.")) from error


def _allowed(request: HttpRequest) -> HttpResponse:
    """Who asks before sending may send; the key says whether it is let in. Source: web hooks for event delivery, "Abuse protection"."""
    response = HttpResponse(headers={"Allow": "POST, OPTIONS"})
    if origin := request.headers.get("WebHook-Request-Origin"):
        response["WebHook-Allowed-Origin"] = origin if origin.isprintable() and origin.isascii() else "*"
        response["WebHook-Allowed-Rate"] = "*"
    return response


def _json(content: dict[str, Any]) -> HttpResponse:
    return HttpResponse(encode_json(content), content_type="application/json")
