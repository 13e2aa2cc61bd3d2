"""The webhook door: /hooks/<source>, for systems that post in a way of their own and prove themselves by a signature.

What was posted is believed after its signature was held against its exact bytes, and answered 2xx once it is on disk.
A JSON list, or JSON by lines, is cut into records of their own; where a record holds many events the source's
envelope says where.
"""

import base64
import binascii
import logging
import re
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ingestion import keys
from ingestion.doors.deliver import (
    REQUEST_BYTES,
    REQUEST_EVENTS,
    body_of,
    cut_list,
    deliver,
    length_of,
    no_length,
    refuse_used_up,
    too_large,
    too_many,
    unpack_gzip,
    with_member,
)
from ingestion.doors.errors import ApiError, error_response, unavailable
from ingestion.doors.files import BOM, GZIP_MAGIC
from ingestion.doors.signatures import MISSING, STALE, Sent, opened, problem_of
from ingestion.models import Hook
from ingestion.pipeline import Incoming, Receipt
from taxonomy.released import by_code
from taxonomy.standardize import Refusal, decode_body, encode_json

_log = logging.getLogger(__name__)
# What WooCommerce posts, unsigned, when a webhook is saved there.
_WOOCOMMERCE_PING = re.compile(rb"webhook_id=\d{1,20}")

_PROBLEMS = {
    MISSING: _("No signature came with the request. Sign it as the webhook's page under Webhooks in says."),
    STALE: _("What was signed is more than five minutes old, or ahead. Correct the clock, then send again."),
}
_WRONG = _("The signature does not fit the request. Check the secret, and that the body is sent exactly as it was signed.")


def hook(request: HttpRequest, source: str, token: str = "") -> HttpResponse:
    """POST /hooks/<source>, GET where a vendor checks the address or sends so; the token may end the address."""
    try:
        return _received(request, source, token)
    except ApiError as error:
        response = error_response(error)
    except (DatabaseError, InterfaceError) as error:
        _log.error("database error in the webhook door: %s", type(error).__name__)
        response = error_response(unavailable())
    # Django would log the address, and a token may stand in it; failed requests are counted instead.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _received(request: HttpRequest, source_code: str, token: str) -> HttpResponse:
    received_at = timezone.now()
    source_id = source_at(source_code)
    try:
        hooks = _hooks(source_id)
        if request.method not in ("GET", "POST", "HEAD"):
            raise ApiError(405, "method_not_allowed", _("Send events with POST."))
        # Mandrill asks so whether there is anything at the address.
        if request.method == "HEAD":
            return HttpResponse()
        body = _posted(request) if request.method == "POST" else _query_of(request)
        proved = _sender(hooks, request, body, token, received_at)
        if proved is None:
            return HttpResponse()
        one, body = proved
        if "echostr" in request.GET and request.method == "GET":
            echo = body if one.scheme == "wechat_aes" else request.GET["echostr"]
            return HttpResponse(echo, content_type="text/plain; charset=utf-8")
        sender = keys.Sender(None, str(one.source_id), test=False, per_second=one.per_second, hook_id=one.pk)
        refuse_used_up(sender)
        incoming = [Incoming(record) for record in records(one, body, request)]
        _note_use(one, received_at)
        receipt = deliver(incoming, sender, door="hook", received_at=received_at) if incoming else None
        return _answer(one, receipt)
    except ApiError as error:
        keys.count_failure(error.code, str(source_id) if source_id else None)
        raise


def source_at(code: str) -> UUID | None:
    """The id of the source at an address: by its released code, by the draft's only where it was never released."""
    found = by_code("source", code)
    return found.pk if found is not None and found.code == code else None


def _hooks(source_id: UUID | None) -> list[Hook]:
    """The hooks of a source that are active. Raises ApiError 404 where there is none."""
    found = list(Hook.objects.filter(source=source_id, active=True).prefetch_related("secrets").order_by("id")) if source_id else []
    if not found:
        raise ApiError(404, "hook.unknown", _("No webhook is taken at this address. Add one for the source under Webhooks in."))
    return found


def _posted(request: HttpRequest) -> bytes:
    """The body of a POST. Raises ApiError 400, 411 or 413.

    Of what comes in pieces a form alone ends like a whole one wherever it is broken off: it has to say its length.
    """
    body = body_of(request)
    is_form = not body.startswith(GZIP_MAGIC) and body.removeprefix(BOM).lstrip()[:1] not in (b"", b"{", b"[", b"<")
    if is_form and length_of(request.META) is None:
        raise no_length()
    return body


def _query_of(request: HttpRequest) -> bytes:
    """What a GET sends, without the token that proves it."""
    parts = request.META.get("QUERY_STRING", "").split("&")
    return "&".join(part for part in parts if not part.startswith("token=")).encode()


def _sender(hooks: list[Hook], request: HttpRequest, body: bytes, token: str, now: datetime) -> tuple[Hook, bytes] | None:
    """The first hook that this request proves, with the body it may be believed to say; None: nothing is sent. Raises ApiError 401."""
    address = request.get_full_path()
    urls = (request.build_absolute_uri(), settings.SITE_URL + address)
    problems = []
    for one in hooks:
        sent = Sent(request.method or "", urls, request.headers, request.GET.dict(), body, token, one.header)
        secrets = one.working_secrets(now)
        problem = problem_of(one.scheme, sent, secrets, now=now.timestamp())
        if not problem:
            return one, opened(one.scheme, sent, secrets)
        if one.scheme == "woocommerce" and problem == MISSING and _WOOCOMMERCE_PING.fullmatch(body):
            return None
        problems.append(problem)
    # The one that came nearest is told.
    told = next((problem for problem in (STALE, *problems) if problem in problems and problem != MISSING), MISSING)
    raise ApiError(401, told, _PROBLEMS.get(told, _WRONG))


def records(one: Hook, body: bytes, request: HttpRequest) -> list[bytes]:
    """Cut a body that was proved into records, each with its exact bytes. Raises ApiError 400 or 413."""
    if body.startswith(GZIP_MAGIC):
        body = unpack_gzip(body, REQUEST_BYTES)
        if len(body) > REQUEST_BYTES:
            raise too_large()
    body = body.removeprefix(BOM).strip()
    if not body:
        return []
    body = _packed(body, one.packed_in) or body
    found = _cut(body)
    if len(found) > REQUEST_EVENTS:
        raise too_many()
    kept = _kept(one.kept_headers, request)
    found = [with_member(record, kept) for record in found] if kept else found
    if sum(map(len, found)) > REQUEST_BYTES:
        raise too_large()
    return found


def _cut(body: bytes) -> list[bytes]:
    if body.startswith(b"["):
        if (items := cut_list(body)) is None:
            raise _unreadable("record.not_json")
        return items
    if (decoded := decode_body(body)) is not None and not isinstance(decoded, Refusal):
        return [body]
    lines = [line for line in body.split(b"\n") if line.strip()]
    if body.startswith(b"{") and len(lines) > 1:
        # By lines: one that is no JSON is refused alone.
        return [line.strip() for line in lines]
    raise _unreadable(decoded.code if isinstance(decoded, Refusal) else "record.not_json")


def _unreadable(code: str) -> ApiError:
    return ApiError(400, code, _("The body is neither JSON, nor a form, nor XML without a document type. Correct it, then send it again."))


def _packed(body: bytes, names: str) -> bytes | None:
    """The JSON that a field holds as its text, plain, in base64, or gzip in base64. None: there is none."""
    fields = decode_body(body) if names else None
    if not isinstance(fields, dict):
        return None
    for name in (one.strip() for one in names.split(",")):
        text = fields.get(name)
        if not isinstance(text, str) or not text.strip():
            continue
        inner = text.strip().encode()
        if inner[:1] not in (b"{", b"["):
            try:
                inner = base64.b64decode(inner.replace(b" ", b"+"), validate=True)
            except binascii.Error:
                continue
            if inner.startswith(GZIP_MAGIC):
                inner = unpack_gzip(inner, REQUEST_BYTES)
        if inner[:1] in (b"{", b"["):
            return inner
    return None


def _kept(names: str, request: HttpRequest) -> bytes:
    """The headers to keep, as the first member of a JSON object: "_request":{…}. Empty: there are none."""
    named = [name.strip() for name in names.split(",") if name.strip()]
    found = {name.lower(): request.headers[name] for name in named if name in request.headers}
    return b'"_request":' + encode_json(found) if found else b""


def _note_use(one: Hook, now: datetime) -> None:
    """Keep the minute of the last use: one write a minute at the most."""
    minute = now.replace(second=0, microsecond=0)
    if one.last_used_at is None or one.last_used_at < minute:
        Hook.objects.filter(pk=one.pk).update(last_used_at=minute)


def _answer(one: Hook, receipt: Receipt | None) -> HttpResponse:
    if one.answer == Hook.Answer.SUCCESS:
        return HttpResponse("success", content_type="text/plain; charset=utf-8")
    told: dict[str, object] = {"received": 0}
    if receipt is not None:
        told = {"batch": str(receipt.batch_id), "release": receipt.version, "received": receipt.received, **receipt.counts}
    if one.answer == Hook.Answer.CODE:
        told = {"code": 0, "msg": "success", **told}
    return HttpResponse(encode_json(told), content_type="application/json")
