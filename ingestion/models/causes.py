from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from staff.models import Department
from taxonomy.models import Source
from taxonomy.violations import title_for


class Cause(models.Model):
    """Why events of one source are held: a code, a place, a name as sent. Sums of its reasons, kept for the desk's pages.

    Every statement that changes reasons leaves moves behind (a trigger of the database); `ingestion.quarantine.causes` adds them up here.
    """

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+", verbose_name=_("source"))
    code = models.CharField(_("reason"), max_length=60)
    path = models.CharField(_("where"), max_length=200, blank=True, help_text="Entries of lists as []: attributes.items[].price")
    name = models.CharField(_("event name as sent"), max_length=200, blank=True)
    held = models.BigIntegerField(default=0, help_text="Events that it holds now")
    events = models.BigIntegerField(default=0, help_text="Of these, the ones of which it is the first reason: they sum up to events")
    first_at = models.DateTimeField(help_text="When the first event with it arrived, whether held still or not")
    last_at = models.DateTimeField()
    opened_at = models.DateTimeField(help_text="When it began to hold events, having held none")
    emptied_at = models.DateTimeField(null=True, help_text="When it held none any more; null while it holds some")
    department = models.ForeignKey(Department, models.SET_NULL, null=True, related_name="+", verbose_name=_("department"))
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("person"))
    assigned_at = models.DateTimeField(null=True, help_text="When somebody assigned it; null: its department follows the owner")

    class Meta:
        verbose_name = _("cause")
        verbose_name_plural = _("causes")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["source", "code", "path", "name"], name="cause_once")]
        indexes = [
            models.Index(fields=["-held", "id"], condition=Q(held__gt=0), name="cause_held"),
            models.Index(fields=["department", "person"], condition=Q(held__gt=0), name="cause_assigned"),
        ]

    def get_absolute_url(self) -> str:
        return reverse("admin:quarantine_cause", args=[self.pk])

    @property
    def title(self) -> str:
        return title_for(self.code)


class CauseDay(models.Model):
    """One cause and day (the company's): events that arrived with it, and events it was put right of on that day; none that are taken back."""

    id = models.BigAutoField(primary_key=True)
    cause = models.ForeignKey(Cause, models.CASCADE, db_index=False, related_name="days")
    day = models.DateField()
    arrived = models.BigIntegerField(default=0)
    fixed = models.BigIntegerField(default=0)
    fixed_after_seconds = models.FloatField(default=0, help_text="The sum of how long those fixed were held")

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["cause", "day"], name="cause_day_once")]
        indexes = [models.Index(fields=["day"])]


class CauseMove(models.Model):
    """What one statement changed of a cause's sums, until they are added up. Written by the database alone."""

    id = models.BigAutoField(primary_key=True)
    source_id = models.UUIDField()
    code = models.CharField(max_length=60)
    path = models.CharField(max_length=200)
    name = models.CharField(max_length=200)
    at = models.DateTimeField(help_text="A quarter of an hour, within one day of every time zone")
    arrived = models.BigIntegerField()
    held = models.BigIntegerField()
    events = models.BigIntegerField()
    fixed = models.BigIntegerField()
    fixed_after_seconds = models.FloatField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        default_permissions = ()


class Assignment(models.Model):
    """Who was to see to a cause, by whose word. Rows are only ever added."""

    id = models.BigAutoField(primary_key=True)
    cause = models.ForeignKey(Cause, models.CASCADE, related_name="assignments")
    department = models.ForeignKey(Department, models.PROTECT, related_name="+", verbose_name=_("department"))
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("person"))
    note = models.CharField(_("note"), max_length=300, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("when"), default=timezone.now)

    class Meta:
        ordering = ["-at", "-id"]
        default_permissions = ()
