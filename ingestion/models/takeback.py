from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Sum
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ingestion.models.imports import ImportRun
from ingestion.models.keys import WriteKey
from taxonomy.models import Source, Tag
from taxonomy.released import named


class TakeBackQuerySet(models.QuerySet["TakeBack"]):
    def done(self) -> "TakeBackQuerySet":
        """Those that somebody decided on, not only looked at."""
        return self.exclude(decided_at=None)

    def of_imports(self, runs: Iterable[ImportRun]) -> "dict[UUID, TakeBack]":
        """{import: the act that takes it back, has taken it back, or is putting it back}. One query."""
        away = self.filter(batch_id__in=[run.pk for run in runs], state__in=["taking", "taken", "putting"]).order_by("pk")
        return {one.batch_id: one for one in away if one.batch_id}


class TakeBack(models.Model):
    """Events that do not count any more, because somebody took them back: which, why, who, and what became of it.

    Its events are those whose `take_back_id` is its id. First verdicts never change; `Withdrawal` is the ledger of this.
    """

    class State(models.TextChoices):
        LOOKING = "looking", _("looking at what it touches")
        READY = "ready", _("waits for your decision")
        TAKING = "taking", _("taking back")
        TAKEN = "taken", _("taken back")
        PUTTING = "putting", _("putting back")
        PUT = "put", _("put back")

    # states in which a job is at work
    BUSY: ClassVar = (State.LOOKING, State.TAKING, State.PUTTING)

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, models.PROTECT, related_name="+", verbose_name=_("source"))
    batch_id = models.UUIDField(_("delivery"), null=True, help_text="One request or file; null: chosen by what follows")
    # Neither is set to null when it is deleted: less would be asked of an event, and more taken back.
    key = models.ForeignKey(WriteKey, models.DO_NOTHING, null=True, db_constraint=False, related_name="+", verbose_name=_("write key"))
    tag = models.ForeignKey(Tag, models.DO_NOTHING, null=True, db_constraint=False, related_name="+", verbose_name=_("tag"))
    received_since = models.DateTimeField(_("received from"), null=True)
    received_until = models.DateTimeField(_("received before"), help_text="Exclusive; the moment it was looked at when nobody said")
    occurred_since = models.DateTimeField(_("occurred from"), null=True)
    occurred_until = models.DateTimeField(_("occurred before"), null=True)

    state = models.CharField(_("state"), max_length=8, choices=State, default=State.LOOKING)
    touches = models.JSONField(default=dict, help_text="What it would take back, see ingestion/accepted/touched.py")
    # events before this id are done with, in the state it is in
    done_until = models.BigIntegerField(default=0)
    counted = models.BigIntegerField(_("counted events"), default=0, help_text="That it took back")
    held = models.BigIntegerField(_("held events"), default=0, help_text="That it took back")
    put_counted = models.BigIntegerField(default=0)
    put_held = models.BigIntegerField(default=0)

    looked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("looked at by"))
    looked_at = models.DateTimeField(_("looked at"), default=timezone.now)
    reason = models.CharField(_("why"), max_length=300, blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    decided_at = models.DateTimeField(_("decided"), null=True)
    taken_at = models.DateTimeField(_("taken back"), null=True)
    put_reason = models.CharField(_("why put back"), max_length=300, blank=True)
    put_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("put back by"))
    put_at = models.DateTimeField(_("put back"), null=True)

    objects = TakeBackQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("take-back")
        verbose_name_plural = _("take-backs")
        default_permissions = ("view",)
        permissions = [("take_back", "Can take events back and put them back")]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["looking", "ready"]) | (Q(decided_at__isnull=False, decided_by__isnull=False) & ~Q(reason="")),
                name="take_back_says_who_and_why",
            ),
        ]

    def __str__(self) -> str:
        return f"{named('source', [self.source_id])[self.source_id].code} {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("admin:ingestion_takeback_change", args=[self.pk])

    @property
    def taken(self) -> int:
        return self.counted + self.held

    @property
    def taken_over(self) -> int:
        """Once put back: events that stay taken back, because another sending took their place meanwhile."""
        return self.taken - self.put_counted - self.put_held

    @property
    def run(self) -> ImportRun | None:
        return ImportRun.objects.filter(pk=self.batch_id).first() if self.batch_id else None


class WithdrawalQuerySet(models.QuerySet["Withdrawal"]):
    def events(self) -> int:
        """How many of these days' events are taken back now."""
        return self.aggregate(events=Sum(F("counted") + F("held"), default=0))["events"]


class Withdrawal(models.Model):
    """The ledger: what one commit of an act took back, or (below zero) put back, by the day it was received, and by its first verdict, its tag and its rule then. Rows are only added."""

    id = models.BigAutoField(primary_key=True)
    take_back = models.ForeignKey(TakeBack, models.PROTECT, related_name="withdrawals")
    source = models.ForeignKey(Source, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    tag = models.ForeignKey(Tag, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    rule = models.UUIDField(null=True)
    day = models.DateField(help_text="The company's day of received_at")
    counted = models.IntegerField()
    held = models.IntegerField()
    at = models.DateTimeField(default=timezone.now)

    objects = WithdrawalQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["day"])]


class WatchedLess(models.Model):
    """The same of violations that were only watched, by tag, code and path. Rows are only added."""

    id = models.BigAutoField(primary_key=True)
    take_back = models.ForeignKey(TakeBack, models.PROTECT, db_index=False, related_name="+")
    day = models.DateField(help_text="The company's day of received_at")
    source = models.ForeignKey(Source, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    tag = models.ForeignKey(Tag, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    code = models.CharField(max_length=60)
    path = models.CharField(max_length=200)
    count = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["tag", "day"])]
