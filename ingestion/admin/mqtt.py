from django.conf import settings
from django.contrib import admin
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from ingestion.models import MqttTopic
from staff.admin.pages import OneButton
from taxonomy.admin.live import LiveFilter, OfSource
from taxonomy.dictionary.standard import standard


@admin.register(MqttTopic)
class MqttTopicAdmin(OfSource, OneButton):
    """Which topics of the broker are which source's. `manage.py mqtt` obeys a change within a second."""

    when_empty = _("A topic says whose events its messages are. Add one for each source that sends by MQTT.")
    list_display = ["filter", "live_source", "state", "last_used_at"]
    list_filter = [("source", LiveFilter), "active"]
    search_fields = ["filter"]
    actions = None

    def get_fields(self, request, obj=None):
        return ["filter", "source", "keep_topic", "active", *(["last_used_at", "created_at", "created_by"] if obj else [])]

    def get_readonly_fields(self, request, obj=None):
        # What was subscribed must stay known, so that the broker can be told to stop: another topic is another row.
        return ["filter", "last_used_at", "created_at", "created_by"] if obj else []

    def has_delete_permission(self, request, obj=None):
        return False

    def save_model(self, request, obj, form, change):
        if not change:
            obj.created_by = request.user
        super().save_model(request, obj, form, change)

    @display(description=_("state"), label={"active": "success", "off": "danger", "waits": "warning", "none": "warning"})
    def state(self, topic):
        if not topic.active:
            return "off", gettext("switched off")
        if not settings.MQTT_BROKER:
            return "none", gettext("no broker: MQTT_URL is not set")
        known = standard()
        if known is None or not any(one.uuid == str(topic.source_id) for one in known.plan.sources.values()):
            return "waits", gettext("begins when its source is released")
        return "active", gettext("active")
