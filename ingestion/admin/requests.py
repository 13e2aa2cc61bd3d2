from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from ingestion.models import FailedRequest
from taxonomy.admin.limits import of_sources_in


@admin.register(FailedRequest)
class FailedRequestAdmin(ModelAdmin):
    """Requests that failed as a whole: a wrong key, no JSON, too many at once."""

    when_empty = _("Requests that were refused as a whole are counted here, such as those with a wrong key. None so far.")
    list_display = ["hour", "source", "cause", "count"]
    list_filter = ["cause", ("source", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["source"]
    date_hierarchy = "hour"
    actions = None

    def get_queryset(self, request):
        return of_sources_in(super().get_queryset(request), request)

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False
