from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from taxonomy.models import Source, Tag


class Leak(models.Model):
    """Personal data that arrives in an attribute not declared personal. Found and counted by ingestion/watching/leaks.py alone."""

    class Kind(models.TextChoices):
        PHONE = "phone", _("phone number")
        IDENTITY_CARD = "identity_card", _("identity card number")
        BANK_CARD = "bank_card", _("bank card number")

    # What came under names beyond the first few hundred of a source.
    OTHERS = "…"

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+", verbose_name=_("source"))
    tag = models.ForeignKey(Tag, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+", verbose_name=_("tag"))
    attribute = models.CharField(_("attribute"), max_length=200)
    planned = models.BooleanField(help_text="Whether it stood among the event's attributes, rather than beside them")
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    count = models.BigIntegerField(_("events"), default=0)
    lookalikes = models.BigIntegerField(default=0, help_text="Values of its shape that are none, by their check digit")
    first_at = models.DateTimeField(_("first seen"))
    last_at = models.DateTimeField(_("last seen"))
    example = models.CharField(_("such as"), max_length=80, help_text="Masked")
    # already taken from the two above, to be given back with the events
    count_away = models.BigIntegerField(db_default=0, default=0)
    lookalikes_away = models.BigIntegerField(db_default=0, default=0)
    again = models.IntegerField(db_default=0, default=0, help_text="How often events were taken back or put back since it was read again")
    taken_back = models.BooleanField(db_default=False, help_text="Whether all events that hold it are taken back")
    told_at = models.DateTimeField(null=True)
    ignored_until = models.DateField(_("ignored until"), null=True)
    ignored_reason = models.CharField(_("why"), max_length=300, blank=True)
    ignored_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["-last_at", "-id"]
        verbose_name = _("leak")
        verbose_name_plural = _("leaks")
        default_permissions = ("view", "change")
        constraints = [models.UniqueConstraint(fields=["source", "tag", "attribute", "kind"], name="leak_once", nulls_distinct=False)]

    def __str__(self) -> str:
        return f"{self.source_id} {self.tag_id} {self.kind}"
