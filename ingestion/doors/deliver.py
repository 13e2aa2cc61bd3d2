"""What doors share: whose key it is, gzip within a limit, cutting a list into records, and the way into the pipeline."""

import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ingestion import keys
from ingestion.commit import coming, store_together
from ingestion.doors.errors import ApiError
from ingestion.pipeline import Incoming, Receipt, UnknownSource, receive
from taxonomy.current import NoRelease, current
from taxonomy.released import has_ended
from taxonomy.standardize import decode_json, encode_json

_split_list = msgspec.json.Decoder(list[msgspec.Raw])
REQUEST_EVENTS = 1_000
REQUEST_BYTES = 5 * 1024 * 1024
# What is left after a gzip member is copied for the next: in small pieces, and not without end.
_PIECE_BYTES = 4_096
_MOST_MEMBERS = 10_000


def body_of(request: HttpRequest) -> bytes:
    """The exact bytes of the body, as sent. Raises ApiError 400, 411 or 413."""
    return read_body(request.META, REQUEST_BYTES, too_large)


def read_body(environ: Mapping[str, Any], limit: int, too_large: Callable[[], ApiError]) -> bytes:
    """A body of `limit` bytes at the most, with its length said or in pieces. Raises `too_large`, and ApiError 400 or 411."""
    length = length_of(environ)
    if length is not None and length > limit:
        raise too_large()
    body: bytes = environ["wsgi.input"].read(limit + 1 if length is None else length)
    if len(body) > limit:
        raise too_large()
    if length is not None and len(body) < length:
        raise ApiError(400, "request.cut_off", _("The body ended before the length that Content-Length says. Send it again, whole."))
    return body


def length_of(environ: Mapping[str, Any]) -> int | None:
    """The bytes of a body; None: it comes in pieces, as Segment's clients for Java and Kotlin send it, and is read to its end.

    Raises ApiError 411 where the server does not say that its reading ends with the body.
    """
    said = environ.get("CONTENT_LENGTH") or ""
    if said.isdecimal() and "HTTP_TRANSFER_ENCODING" not in environ:
        return int(said)
    if environ.get("wsgi.input_terminated"):
        return None
    if said or "HTTP_TRANSFER_ENCODING" in environ:
        raise no_length()
    return 0


def no_length() -> ApiError:
    return ApiError(411, "request.length", _("Send the body whole, with the header Content-Length."))


def too_large() -> ApiError:
    return ApiError(413, "request.too_large", _("The request is larger than 5 MB unpacked. Send fewer events at once."))


def too_many() -> ApiError:
    return ApiError(413, "request.too_many", _("A request may hold 1,000 events. Send the rest in another one."))


def sender_of(secret: str) -> keys.Sender:
    """The sender a write key proves. Raises ApiError 401 or 403."""
    if secret.startswith("tlr_"):
        raise ApiError(403, "key.cannot_send", _("A read token cannot send events. Use a write key of the source."))
    found = keys.sender(secret)
    if found is None:
        raise ApiError(401, "key.unknown", _("The write key is unknown, expired or revoked. Ask for a new one under Write keys."))
    return found


def refuse_used_up(sender: keys.Sender) -> None:
    """Before a key's body is read, or what a webhook proved is cut. Raises ApiError 429 when its allowance is used up."""
    if keys.allowance.is_used_up(sender):
        raise too_fast()


def too_fast() -> ApiError:
    return ApiError(
        429,
        keys.RATE_LIMITED,
        _("The key or webhook sends more events a second than it may. Wait, then send again."),
        retry_after_seconds=1,
    )


def unpack_gzip(body: bytes, limit: int) -> bytes:
    """Unpack gzip, of one member or more, never more than one byte past the limit. Raises ApiError 400."""
    found, packed, at, members = bytearray(), memoryview(body), 0, 0
    while at < len(packed) and len(found) <= limit:
        unpacking, members = zlib.decompressobj(wbits=31), members + 1
        if members > _MOST_MEMBERS:
            raise ApiError(400, "request.not_gzip", _("The gzip body has too many members. Pack it as one."))
        while not unpacking.eof and len(found) <= limit:
            piece = packed[at : at + _PIECE_BYTES]
            if not piece:
                raise ApiError(400, "request.not_gzip", _("The gzip body is cut off. Send it again, whole."))
            try:
                found += unpacking.decompress(piece, limit + 1 - len(found))
            except zlib.error as error:
                raise ApiError(400, "request.not_gzip", _("The body is not gzip, though Content-Encoding says so.")) from error
            at += len(piece) - len(unpacking.unused_data)
    return bytes(found)


def cut_list(body: bytes) -> list[bytes] | None:
    """The items of a JSON list, each with its exact bytes where they can be told apart; None: it is no list."""
    try:
        return [bytes(item) for item in _split_list.decode(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        decoded = decode_json(body)
        return [encode_json(item) for item in decoded] if isinstance(decoded, list) else None


def with_member(record: bytes, member: bytes) -> bytes:
    """A JSON object with one more member, such as "_topic":"a/b", before its own; what is no object is left as it is."""
    if not record.startswith(b"{"):
        return record
    rest = record[1:].lstrip()
    return b"{" + member + (b"" if rest == b"}" else b",") + rest


def deliver(incoming: list[Incoming], sender: keys.Sender, *, door: str, received_at: datetime, dry_run: bool = False) -> Receipt:
    """Hand records to the pipeline as the released source's, within the sender's allowance. Raises ApiError 403, 429 or 503."""
    if not keys.allowance.take(sender, len(incoming)):
        raise too_fast()
    try:
        obeyed = current()
        source = obeyed.plan.sources_by_uuid.get(sender.source_id)
        if source is None:
            raise UnknownSource(sender.source_id)
        with coming():
            return receive(
                incoming, source_code=source.code, door=door, received_at=received_at, current=obeyed,
                key_id=sender.key_id, dry_run=dry_run or sender.test, store=store_together,
            )  # fmt: skip
    except NoRelease as error:
        raise ApiError(
            503, "no_release", _("No standard has been published yet. Publish one, then send again."), retry_after_seconds=30
        ) from error
    except UnknownSource as error:
        if has_ended("source", UUID(sender.source_id)):
            raise ApiError(403, "source.ended", _("The source has ended: the published standard has it no more. Stop sending, or ask its owner to bring it back.")) from error  # fmt: skip
        raise ApiError(
            503,
            "source.unreleased",
            _("The source is not in the published standard yet. Publish it, then send again."),
            retry_after_seconds=30,
        ) from error
