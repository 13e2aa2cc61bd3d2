from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from unfold.sites import UnfoldAdminSite


class TaglineAdminSite(UnfoldAdminSite):
    """The one shell around every page."""

    def search(self, request: HttpRequest, extra_context: dict | None = None) -> TemplateResponse:
        """Unfold's command palette is off: it would put what people type, phone numbers too, into URLs and a cache."""
        raise Http404
