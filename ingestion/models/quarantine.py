from django.db import models
from django.utils.translation import gettext_lazy as _

from profiles.models import Event
from taxonomy.models import Source


class QuarantineReason(models.Model):
    """Why an event is held: one row per event and reason. Sums of them stand in Cause."""

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(Event, models.CASCADE, db_constraint=False, related_name="reasons")
    source = models.ForeignKey(Source, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    code = models.CharField(_("reason"), max_length=60)
    path = models.CharField(_("where"), max_length=200, blank=True, help_text="Entries of lists as []: attributes.items[].price")
    name = models.CharField(_("event name as sent"), max_length=200, blank=True)
    received_at = models.DateTimeField(_("received"))
    open = models.BooleanField(_("still held"), default=True)
    leads = models.BooleanField(default=True, help_text="Whether it is the first of its event's reasons")
    fixed_at = models.DateTimeField(null=True, help_text="When the event was let in or sent anew; null while held, and where it was let go")

    taken_back = models.BooleanField(db_default=False, help_text="Whether its event is taken back: it counts in no sum then")

    class Meta:
        verbose_name = _("quarantine reason")
        verbose_name_plural = _("quarantine")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["source", "code", "path", "name", "event"], condition=models.Q(open=True), name="reason_open_cause"),
            models.Index(fields=["event"], condition=models.Q(open=True), name="reason_open_event"),
        ]
