"""The short way in for single events: Segment's calls are answered before Django makes a request of them, and so is the API's 429.

Reading the headers, the address and the answer the long way costs more than reading and storing the event. What is not a
plain POST to one of the calls takes the long way, and is answered the same: tests/test_segment_door.py sends both.
"""

import logging
from collections.abc import Callable, Iterable
from http.client import responses
from traceback import format_tb
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.utils import translation

from ingestion import keys
from ingestion.doors.deliver import too_fast
from ingestion.doors.errors import error_response
from ingestion.doors.segment import CALLS, Answer, answer

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApplication = Callable[[Environ, StartResponse], Iterable[bytes]]
_log = logging.getLogger(__name__)
_BROKEN = Answer(500, b'{"code": "error", "message": "Something broke on our side. Send the request again."}', [("Content-Type", "application/json")])  # fmt: skip
_PATHS = {f"/v1/{call}{slash}": call for call in CALLS for slash in ("", "/")}
_LINES = {status: f"{status} {words}" for status, words in responses.items()}


def answer_calls_early(django: WsgiApplication) -> WsgiApplication:
    """Wrap Django's application."""

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        call = _PATHS.get(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/api/v1/events" and (refused := _refused(environ)):
            start_response(_LINES[refused.status], refused.headers)
            return [refused.body]
        if call is None or environ["REQUEST_METHOD"] != "POST" or not _is_secure_enough(environ):
            return django(environ, start_response)
        made = _answered(environ, call)
        start_response(_LINES[made.status], made.headers)
        return [made.body]

    return application


def _refused(environ: Environ) -> Answer | None:
    """The API's 429, where the key's allowance is known to be used up: what a flood costs beside the events of others."""
    scheme, _space, secret = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer" or environ["REQUEST_METHOD"] != "POST" or not _is_secure_enough(environ):
        return None
    sender = keys.known(secret.strip())
    if sender is None or not keys.allowance.is_used_up(sender):
        return None
    keys.count_failure(keys.RATE_LIMITED, sender.source_id)
    with translation.override(_language(environ)):
        response = error_response(too_fast())
    return Answer(429, response.content, [*response.headers.items(), ("Content-Length", str(len(response.content)))])


def _answered(environ: Environ, call: str) -> Answer:
    try:
        language = _language(environ)
        if language == translation.get_language():  # to set it costs as much as reading the body
            return answer(environ, call)
        with translation.override(language):
            return answer(environ, call)
    except Exception as error:
        # Where it happened, without what it says: that may repeat what was sent.
        _log.error("%s in the Segment door\n%s", type(error).__name__, "".join(format_tb(error.__traceback__)))
        return _BROKEN
    finally:
        close_old_connections()


def _language(environ: Environ) -> str:
    """Of its messages, as Django's middleware would choose it."""
    if "HTTP_ACCEPT_LANGUAGE" not in environ:
        return settings.LANGUAGE_CODE
    return translation.get_language_from_request(SimpleNamespace(META=environ, COOKIES={}))  # type: ignore[arg-type]


def _is_secure_enough(environ: Environ) -> bool:
    """Whether Django would not send it on to https."""
    if not settings.SECURE_SSL_REDIRECT:
        return True
    header = settings.SECURE_PROXY_SSL_HEADER
    return environ.get("wsgi.url_scheme") == "https" or bool(header and environ.get(header[0]) == header[1])
