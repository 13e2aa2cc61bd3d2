from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from taxonomy.models import Source


def check_filter(text: str) -> None:
    """Raise ValidationError for what a broker would not take. Source: MQTT 5.0, 4.7."""
    levels = text.split("/")
    if text.startswith("$share/"):
        raise ValidationError(_("Leave out $share: the group stands in MQTT_SHARED_GROUP."))
    if any(len(level) > 1 and {"+", "#"} & set(level) for level in levels) or "#" in levels[:-1]:
        raise ValidationError(_("+ stands for one whole level and # for all that follow, at the end, such as shops/+/events or devices/#."))
    if not text.isprintable():
        raise ValidationError(_("A topic holds no control characters."))


class MqttTopic(models.Model):
    """Topics whose messages are a source's events. Of several that fit a topic the most exact is taken."""

    filter = models.CharField(
        _("topic"), max_length=200, unique=True, validators=[check_filter],
        help_text=_("A topic, or many: + stands for one level, # for all that follow, such as shops/+/events or devices/#. Of several that fit, the most exact is taken."),
        error_messages={"unique": _("This topic belongs to a source already. Change that one, or write it more exactly.")},
    )  # fmt: skip
    source = models.ForeignKey(Source, models.PROTECT, related_name="mqtt_topics", verbose_name=_("source"))
    active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("Switched off, the broker is told within a second; what it sends then is counted and dropped."),
    )
    keep_topic = models.BooleanField(
        _("keep the topic"), default=False,
        help_text=_("Adds the topic to each record, as _topic, where it says something of the event, such as a device. For JSON."),
    )  # fmt: skip
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+")
    last_used_at = models.DateTimeField(_("last message"), null=True, editable=False)

    class Meta:
        ordering = ["filter"]
        verbose_name = _("MQTT topic")
        verbose_name_plural = _("MQTT topics")

    def __str__(self) -> str:
        return self.filter

    @property
    def exactness(self) -> tuple[int, ...]:
        """Sorts the more exact first: a level by name before +, + before #."""
        return tuple({"+": 1, "#": 2}.get(level, 0) for level in self.filter.split("/"))
