"""The Segment door: every Segment and RudderStack client sends here, with its host set to ours and one of our write keys.

Source: Segment's HTTP tracking API. Its clients drop what is answered 400, so only what no second sending could mend
is; they keep and send again what is answered 401, 429 or 5xx.
"""

import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import msgspec
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ingestion import keys
from ingestion.doors.deliver import deliver, read_body, refuse_used_up, sender_of, unpack_gzip
from ingestion.doors.errors import ApiError, unavailable
from ingestion.doors.files import BOM, GZIP_MAGIC
from ingestion.models import WriteKey
from ingestion.pipeline import Incoming, Receipt
from profiles.entries import counts
from taxonomy.standardize import Refusal, decode_json, encode_json
from taxonomy.standardize.segment import OUTER_FIELDS

CALLS = {
    "track": "track", "identify": "identify", "page": "page", "screen": "screen", "group": "group", "alias": "alias",
    "batch": "", "import": "",
    "t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias", "b": "",
}  # fmt: skip
REQUEST_BYTES = 500 * 1024
MESSAGE_BYTES = 32 * 1024
REQUEST_MESSAGES = 2_500
# With the context of the whole repeated in each: a small body must not become a large one.
UNFOLDED_BYTES = 5 * 1024 * 1024

_split = msgspec.json.Decoder(dict[str, msgspec.Raw])
_split_list = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_log = logging.getLogger(__name__)
Environ = Mapping[str, Any]


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: list[tuple[str, str]]


def calls(request: HttpRequest, call: str) -> HttpResponse:
    """POST /v1/<call>: messages of the source whose write key comes with them."""
    if request.method == "OPTIONS":
        return _preflight(request)
    if call not in CALLS:
        return _respond(
            _failure(
                ApiError(404, "not_found", _("There is no such call. The calls are track, identify, page, screen, group, alias and batch."))
            )
        )
    if request.method != "POST":
        return _respond(_failure(ApiError(405, "method_not_allowed", _("Send messages with POST."))))
    return _respond(answer(request.META, call))


def answer(environ: Environ, call: str) -> Answer:
    """Take the messages of a POST to one of CALLS in."""
    try:
        return _success(_received(environ, CALLS[call]))
    except ApiError as error:
        return _failure(error)
    except (DatabaseError, InterfaceError) as error:
        _log.error("database error in the Segment door: %s", type(error).__name__)
        return _failure(unavailable())


def settings(request: HttpRequest, key: str) -> HttpResponse:
    """GET /v1/projects/<key>/settings: what Segment's clients of browsers and phones ask before they send."""
    return _told(request, key, lambda _sender: _settings(request, key))


def source_config(request: HttpRequest) -> HttpResponse:
    """GET /sourceConfig: what RudderStack's clients of browsers and phones ask before they send, of their "control plane"."""
    key = _basic_key(request.headers.get("Authorization", "")) or request.GET.get("writeKey", "").strip()
    return _told(request, key, lambda sender: _source_config(sender, key))


def _told(request: HttpRequest, key: str, content: Callable[[keys.Sender], dict[str, Any]]) -> HttpResponse:
    if request.method == "OPTIONS":
        return _preflight(request)
    try:
        return _respond(_answer(200, content(sender_of(key) if key else _nobody())))
    except ApiError as error:
        return _respond(_failure(error))
    except (DatabaseError, InterfaceError):
        return _respond(_failure(unavailable()))


def _settings(request: HttpRequest, key: str) -> dict[str, Any]:
    return {
        "integrations": {
            "Segment.io": {
                "apiKey": key,
                "apiHost": f"{request.get_host()}/v1",
                "protocol": "https" if request.is_secure() else "http",
                "unbundledIntegrations": [],
                "addBundledMetadata": True,
                "maybeBundledConfigIds": {},
            }
        },
        "plan": {
            "track": {"__default": {"enabled": True, "integrations": {}}},
            "identify": {"__default": {"enabled": True}},
            "group": {"__default": {"enabled": True}},
        },
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        # Counts about the client itself, which it would send to Segment.
        "metrics": {"sampleRate": 0},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }


def _source_config(sender: keys.Sender, key: str) -> dict[str, Any]:
    """Each of these some client does not do without. Source: the parsers of rudder-sdk-android, -ios, -js, -kotlin and -swift."""
    return {
        "source": {
            "id": sender.source_id,
            "name": sender.source_id,
            "writeKey": key,
            "enabled": True,
            "workspaceId": "tagline",
            "updatedAt": timezone.now().isoformat(),
            # Counts and errors of the client itself, which it would send to RudderStack.
            "config": {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}},
            "destinations": [],
        }
    }


def _received(environ: Environ, call: str) -> Receipt | None:
    """None: the batch is empty."""
    received_at = timezone.now()
    secret, sender = _basic_key(environ.get("HTTP_AUTHORIZATION", "")), None
    try:
        if secret:
            sender = sender_of(secret)
            refuse_used_up(sender)
        body = _body(environ)
        fields = _fields(body)
        named = _body_key(fields)
        if sender is None:
            sender = sender_of(named) if named else _nobody()
        for one in {secret, named}:
            if one.startswith((WriteKey.PREFIX, WriteKey.TEST_PREFIX)) and one.encode() in body:
                body = body.replace(one.encode(), one[:10].encode())
                fields = _fields(body)
        incoming = _cut(body, fields, call)
        return deliver(incoming, sender, door="segment", received_at=received_at) if incoming else None
    except ApiError as error:
        keys.count_failure(error.code, sender.source_id if sender else None)
        raise


def _nobody() -> NoReturn:
    raise ApiError(
        401, "key.missing", _("No write key came with the request. Send it as the user of Basic auth, or as writeKey in the body.")
    )


def _basic_key(authorization: str) -> str:
    """The user of Basic auth, whose password is empty or ignored; "" where there is none."""
    scheme, _space, given = authorization.partition(" ")
    if scheme.lower() != "basic":
        return given.strip() if scheme.lower() == "bearer" else ""
    try:
        return base64.b64decode(given.strip(), validate=True).decode().partition(":")[0].strip()
    except (binascii.Error, ValueError):
        return ""


def _body(environ: Environ) -> bytes:
    """The body, unpacked where its bytes are gzip, whatever the headers say of either."""
    body = read_body(environ, REQUEST_BYTES, _too_large)
    if body.startswith(GZIP_MAGIC):
        body = unpack_gzip(body, REQUEST_BYTES)
    if len(body) > REQUEST_BYTES:
        raise _too_large()
    return body.removeprefix(BOM)


def _too_large() -> ApiError:
    return ApiError(400, "segment.too_large", _("The request is larger than 500 KB unpacked. Send fewer messages at once."))


def _fields(body: bytes) -> dict[str, bytes]:
    """The fields of the body, each in its exact bytes. Raises ApiError when it is no JSON object."""
    try:
        return {key: bytes(value) for key, value in _split.decode(body).items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # What clients write though it is no JSON, such as NaN, is put up with as everywhere.
        decoded = decode_json(body)
    if not isinstance(decoded, dict):
        raise ApiError(400, "request.not_json", _('The body is not a JSON object. Send one message, or {"batch": […]}.'))
    return {key: encode_json(value) for key, value in decoded.items()}


def _body_key(fields: dict[str, bytes]) -> str:
    try:
        return _text.decode(fields["writeKey"]).strip()
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def _cut(body: bytes, fields: dict[str, bytes], call: str) -> list[Incoming]:
    """The messages of a body, each a record of its own: as it stands, or, where the body says more about it, as a batch of one."""
    if "batch" not in fields:
        if not call and "type" not in fields:
            raise ApiError(400, "segment.batch", _('"batch" must be a list of messages.'))
        if len(body) > MESSAGE_BYTES:
            raise ApiError(400, "segment.message_too_large", _("The message is larger than 32 KB."))
        if "type" in fields or not call:
            return [Incoming(body.strip())]
        return [_unfolded(body.strip(), b'"type":"%b",' % call.encode())]
    try:
        messages = _split_list.decode(fields["batch"])
    except msgspec.MsgspecError as error:
        raise ApiError(400, "segment.batch", _('"batch" must be a list of messages.')) from error
    if len(messages) > REQUEST_MESSAGES:
        raise ApiError(400, "segment.too_many", _("A request may hold 2,500 messages. Send the rest in another one."))
    common = b"".join(b'"%b":%b,' % (field.encode(), fields[field]) for field in OUTER_FIELDS if field in fields)
    if len(messages) * len(common) > UNFOLDED_BYTES:
        raise _too_large()
    return [_unfolded(bytes(message), common) for message in messages]


def _unfolded(message: bytes, common: bytes) -> Incoming:
    """One message with what its body says of all. Too large a one is refused alone, not the others with it."""
    refusal = Refusal("limit.size", values={"seen": len(message), "limit": MESSAGE_BYTES}) if len(message) > MESSAGE_BYTES else None
    return Incoming(b'{%b"batch":[%b]}' % (common, message) if common else message, refusal)


def _success(receipt: Receipt | None) -> Answer:
    if receipt is None:
        return _answer(200, {"success": True, "received": 0, **counts([])})
    told = {"success": True, "batch": str(receipt.batch_id), "release": receipt.version, "received": receipt.received, **receipt.counts}
    return _answer(200, told)


def _failure(error: ApiError) -> Answer:
    made = _answer(error.status_code, {"code": error.code, "message": str(error.detail)})
    if error.retry_after_seconds:
        made.headers.append(("Retry-After", str(error.retry_after_seconds)))
    if error.status_code == 405:
        made.headers.append(("Allow", "POST, OPTIONS"))
    return made


def _answer(status: int, content: dict[str, object]) -> Answer:
    body = encode_json(content)
    # A key proves who sends, and no cookie counts: any page may.
    headers = [
        ("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Expose-Headers", "Retry-After"), ("X-Content-Type-Options", "nosniff"),
    ]  # fmt: skip
    return Answer(status, body, headers)


def _respond(answer: Answer) -> HttpResponse:
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))


def _preflight(request: HttpRequest) -> HttpResponse:
    return HttpResponse(
        status=204,
        headers={
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding, X-Retry-Count, AnonymousId",
            "Access-Control-Max-Age": "86400",
        },
    )
