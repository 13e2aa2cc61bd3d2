"""One shape for every error of the API: {"error": {"code", "message", "docs"}}."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, InterfaceError
from django.http import Http404, JsonResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.settings import api_settings

from ingestion.request_codes import explain_request_code

# Of these DRF writes the sentence itself, and says no next step.
_NO_NEXT_STEP = (exceptions.MethodNotAllowed, exceptions.UnsupportedMediaType)

_log = logging.getLogger(__name__)


class ApiError(exceptions.APIException):
    """A request that fails as a whole. `code` is stable, `detail` a sentence with the next step."""

    def __init__(self, status_code: int, code: str, detail: str | Promise, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(str(detail), code)
        self.status_code = status_code
        self.code = code
        self.retry_after_seconds = retry_after_seconds


def unavailable() -> ApiError:
    """Whether it was stored is not known: the answer of a commit may be what was lost."""
    return ApiError(
        503, "unavailable", _("The database cannot be reached. Send the same request again; no event that has an id or a time is counted twice."),
        retry_after_seconds=2,
    )  # fmt: skip


def error_response(error: ApiError) -> JsonResponse:
    """The same shape, for views that are not DRF's."""
    response = JsonResponse(_body(error.code, str(error.detail)), status=error.status_code)
    if error.retry_after_seconds:
        response["Retry-After"] = str(error.retry_after_seconds)
    if error.status_code == 405:
        response["Allow"] = "POST"
    return response


def _body(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "docs": f"/docs/codes#{code}"}}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(error, (DatabaseError, InterfaceError)):
        _log.error("database error in %s: %s", type(context.get("view")).__name__, type(error).__name__)
        error = unavailable()
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    headers = {}
    if retry := getattr(error, "retry_after_seconds", None) or getattr(error, "wait", None):
        headers["Retry-After"] = str(int(retry))
    if error.status_code == status.HTTP_401_UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(_body(_code(error), _message(error)), status=error.status_code, headers=headers)


def _code(error: exceptions.APIException) -> str:
    codes = error.get_codes()
    return codes if isinstance(codes, str) else str(error.default_code)


def _message(error: exceptions.APIException) -> str:
    if isinstance(error.detail, dict):
        return "; ".join(_of_field(name, _first(problem)) for name, problem in error.detail.items())
    if isinstance(error, _NO_NEXT_STEP) or str(error.detail) == str(error.default_detail):
        words = explain_request_code(_code(error))
        return f"{words.happened} {words.next}" if words else _first(error.detail)
    return _first(error.detail)


def _of_field(name: str, problem: str) -> str:
    return problem if name == api_settings.NON_FIELD_ERRORS_KEY else f"{name}: {problem}"


def _first(problem: Any) -> str:
    return str(problem[0]) if isinstance(problem, list) and problem else str(problem)
