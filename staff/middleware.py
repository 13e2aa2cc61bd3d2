from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

GetResponse = Callable[[HttpRequest], HttpResponse]


def person_middleware(get_response: GetResponse) -> GetResponse:
    """Show pages in the language and time zone of whoever is logged in.

    Stands after LocaleMiddleware and AuthenticationMiddleware: a person's own language goes before the browser's.
    Requests without a session cookie (the API) are not touched, so that they cost no session.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return get_response(request)
        language = getattr(request.user, "language", "")
        if language:
            translation.activate(language)
            request.LANGUAGE_CODE = language
        with timezone.override(_zone(getattr(request.user, "time_zone", ""))):
            return get_response(request)

    return middleware


def _zone(name: str) -> ZoneInfo | None:
    """None, the company's time zone, for a person without one or with one this machine does not know."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None
