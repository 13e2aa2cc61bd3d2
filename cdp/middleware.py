import logging
from collections.abc import Callable
from traceback import format_tb

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.response import SimpleTemplateResponse
from django.urls import Resolver404, resolve
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

GetResponse = Callable[[HttpRequest], HttpResponse]
API = ("/api/v1/", "/v1/", "/hooks/", "/cloudevents", "/js/", "/sourceConfig")
logger = logging.getLogger(__name__)


def answer_api_early(get_response: GetResponse) -> GetResponse:
    """Call API views before the middleware that only pages need: sessions, CSRF, log-in, messages, CSP.

    That is a quarter of what a single event costs. API views know their caller by a key or a token, never by a cookie.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(API):
            return get_response(request)
        try:
            view, arguments, named = request.resolver_match = resolve(request.path_info)
        except Resolver404:
            return _error(404, "not_found", _("There is nothing at this address. Check it in the API documentation, /api/docs."))
        try:
            response: HttpResponse = view(request, *arguments, **named)
        except Exception as error:
            # Where it happened, without what it says: that may repeat what was sent.
            logger.error("%s in %s\n%s", type(error).__name__, request.resolver_match.view_name, "".join(format_tb(error.__traceback__)))
            return _error(500, "error", _("Something broke on our side. Send the request again; tell an administrator when it stays."))
        return response.render() if isinstance(response, SimpleTemplateResponse) else response

    return middleware


def refuse_nul(get_response: GetResponse) -> GetResponse:
    """No text of PostgreSQL holds NUL: an address of the admin with one names nothing."""

    def middleware(request: HttpRequest) -> HttpResponse:
        asked = request.path_info, request.META.get("QUERY_STRING", "")
        if asked[0].startswith("/admin/") and ("\0" in asked[0] or "%00" in asked[1]):
            raise Http404
        return get_response(request)

    return middleware


def _error(status: int, code: str, message: Promise | str) -> JsonResponse:
    """In the one shape of the API's errors; ingestion/doors/errors.py makes those of its views."""
    return JsonResponse({"error": {"code": code, "message": str(message), "docs": f"/docs/codes#{code}"}}, status=status)
