"""While a name is typed, what is named alike is shown beside it."""

from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from taxonomy.admin.governed import GovernedAdmin
from taxonomy.request_rights import hidden_in
from taxonomy.similar.lookalikes import lookalikes

_FIELDS = ("code", "label_en", "label_zh_hans", "synonyms")
_TEXTS = 20


class ShowsLookalikes(GovernedAdmin):
    change_form_outer_after_template = "taxonomy/_similar.html"

    class Media:
        js = ["similar.js"]

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_similar"
        return [path("similar/", self.admin_site.admin_view(self.similar_view), name=name), *super().get_urls()]

    @method_decorator(require_POST)
    def similar_view(self, request: HttpRequest) -> HttpResponse:
        """What is named like the names on the form: an HTML fragment. Posted, so that what people type stands in no log."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        without, hidden = [request.POST.get("item", "")], partial(hidden_in, request)
        found = lookalikes(_texts(request), kind=self.model.kind, without=without, hidden=hidden)
        return TemplateResponse(request, "taxonomy/_similar_found.html", {"found": found, "opts": self.opts})


def _texts(request: HttpRequest) -> list[Any]:
    """The names typed, those of one or two letters left out: they are like everything."""
    written = [request.POST.get(name, "") for name in _FIELDS]
    *names, synonyms = [one.replace("\0", "").strip() for one in written]
    texts = [*names, *(one.strip() for one in synonyms.replace("，", ",").split(","))]
    return [text for text in dict.fromkeys(texts) if len(text) > (2 if text.isascii() else 1)][:_TEXTS]
