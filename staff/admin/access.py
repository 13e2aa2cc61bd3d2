from django.contrib import admin
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from staff.admin.pages import ReadOnly
from staff.models import AccessLog


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnly, ModelAdmin):
    """Who looked at whose personal data. Nobody changes it; the compliance officer reads it."""

    when_empty = _("Whoever looks at a customer or takes their data out is recorded here. Nobody has so far.")
    list_display = ["at", "user", "action", "customer_link", "reason", "channel"]
    list_filter = ["action", "channel", "user"]
    list_select_related = ["user"]
    date_hierarchy = "at"
    list_per_page = 50
    show_full_result_count = False
    actions = None

    @admin.display(description=_("customer"))
    def customer_link(self, entry):
        if entry.customer is None:
            return "–"
        try:
            url = reverse("customer", args=[entry.customer])
        except NoReverseMatch:
            return str(entry.customer)
        return format_html('<a href="{}">{}</a>', url, str(entry.customer)[:8])
