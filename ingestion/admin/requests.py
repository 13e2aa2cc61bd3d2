from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ingestion.models import FailedRequest
from staff.admin.pages import ReadOnly
from taxonomy.admin.live import LiveFilter, OfSource


@admin.register(FailedRequest)
class FailedRequestAdmin(ReadOnly, OfSource):
    """Requests that failed as a whole: a wrong key, no JSON, too many at once."""

    when_empty = _("Requests that were refused as a whole are counted here, such as those with a wrong key. None so far.")
    list_display = ["hour", "live_source", "cause", "count"]
    list_filter = ["cause", ("source", LiveFilter)]
    date_hierarchy = "hour"
    actions = None
