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

_log = logging.getLogger(__name__)


class ApiError(exceptions.APIException):
    """A request that fails as a whole. `code` is stable, `detail` a sentence with the next step."""

    def __init__(self, status_code: int, code: str, detail: str | Promise, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(str(detail), code)
        self.status_code = status_code
        self.code = code
        self.retry_after_seconds = retry_after_seconds


def unavailable() -> ApiError:
    return ApiError(
        503, "unavailable", _("The database cannot be reached. Nothing was stored; send the same request again."),
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
        return "; ".join(f"{name}: {_first(problem)}" for name, problem in error.detail.items())
    return _first(error.detail)


def _first(problem: Any) -> str:
    return str(problem[0]) if isinstance(problem, list) and problem else str(problem)
