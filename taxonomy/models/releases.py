from datetime import date

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Release(models.Model):
    """A published version of the plan: an immutable map of item definitions. Ingestion obeys the newest."""

    id = models.BigAutoField(primary_key=True)
    version = models.CharField(_("version"), max_length=40, unique=True, help_text=_("Such as 1.4.0."))
    content_hash = models.CharField(_("content hash"), max_length=64, help_text=_("SHA-256 of the canonical JSON of its items."))
    snapshot = models.BinaryField(help_text="zstd-compressed canonical JSON: {uuid: definition}", editable=False)
    changed_items = models.JSONField(_("changed items"), default=list, help_text=_("The items that differ from the release before."))
    notes = models.TextField(_("notes"), blank=True)
    published_at = models.DateTimeField(_("published"), default=timezone.now)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("published by"))

    signed = models.BooleanField(_("signed"), default=False, help_text=_("Whether every department concerned had approved its proposal."))
    emergency_reason = models.TextField(_("why without sign-off"), blank=True, help_text=_("Empty: signed, or the starter."))
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("reviewed afterwards by")
    )
    reviewed_at = models.DateTimeField(_("reviewed afterwards"), null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("release")
        verbose_name_plural = _("releases")
        default_permissions = ("view",)
        permissions = [("publish_release", _("Can publish a release"))]

    def __str__(self) -> str:
        return self.version

    @property
    def day(self) -> date:
        """The company's day on which it was published."""
        return timezone.localdate(self.published_at, timezone.get_default_timezone())

    @property
    def awaits_review(self) -> bool:
        return bool(self.emergency_reason) and self.reviewed_at is None


class Revision(models.Model):
    """One saved state of one governed item: its whole definition, inlines included. Rows are only ever added."""

    class Action(models.TextChoices):
        CREATED = "created", pgettext_lazy("what somebody did", "created")
        CHANGED = "changed", _("changed")
        DELETED = "deleted", _("deleted")
        RESTORED = "restored", _("restored")
        HANDED_OVER = "handed", _("handed over")

    item = models.UUIDField(_("item"))
    kind = models.CharField(_("kind"), max_length=12)
    action = models.CharField(_("action"), max_length=10, choices=Action)
    definition = models.JSONField(_("definition"), null=True)
    why = models.CharField(_("why"), max_length=300, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("when"), default=timezone.now)
    restores = models.ForeignKey("self", models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name = _("revision")
        verbose_name_plural = _("revisions")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["item", "-at"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.action}"


class Follow(models.Model):
    """A colleague who wants to be told when a release changes an item."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    item = models.UUIDField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["item", "user"], name="follow_once")]

    def __str__(self) -> str:
        return f"{self.user} {self.item}"
