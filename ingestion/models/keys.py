import hashlib
import secrets

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from taxonomy.models import Source
from taxonomy.released import named


class WriteKey(models.Model):
    """A source's credential for sending. Only its hash is kept; it cannot read customers."""

    PREFIX = "tlw_"
    TEST_PREFIX = "tlt_"

    source = models.ForeignKey(Source, models.PROTECT, related_name="keys", verbose_name=_("source"))
    name = models.CharField(_("name"), max_length=80, blank=True, help_text=_("Which machine or page uses it, such as: live shop."))
    hash = models.BinaryField(max_length=32, unique=True, editable=False)
    hint = models.CharField(_("begins with"), max_length=12, editable=False)
    test = models.BooleanField(_("test key"), default=False, help_text=_("Gives the same answers, stores nothing."))
    per_second = models.PositiveIntegerField(
        _("events a second"), default=0, help_text=_("The most it may send, over all processes. 0: no limit.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+")
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True, help_text=_("After a rotation the old key works until then."))
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    class Meta:
        ordering = ["source", "-created_at", "-id"]
        verbose_name = _("write key")
        verbose_name_plural = _("write keys")

    def __str__(self) -> str:
        return f"{named('source', [self.source_id])[self.source_id].code} {self.hint}…"

    def set_secret(self) -> str:
        """Make a secret, keep its hash, and return the secret: the only time it can be shown."""
        secret = (self.TEST_PREFIX if self.test else self.PREFIX) + secrets.token_urlsafe(24)
        self.hash = hashlib.sha256(secret.encode()).digest()
        self.hint = secret[:10]
        return secret


class FailedRequest(models.Model):
    """Requests that failed as a whole, counted by hour, source and cause."""

    source = models.ForeignKey(Source, models.CASCADE, null=True, related_name="+", verbose_name=_("source"))
    cause = models.CharField(_("cause"), max_length=60)
    hour = models.DateTimeField(_("hour"))
    count = models.BigIntegerField(_("count"), default=0)

    class Meta:
        ordering = ["-hour", "-id"]
        verbose_name = _("failed request")
        verbose_name_plural = _("failed requests")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["source", "cause", "hour"], name="failed_request_once", nulls_distinct=False)]


class Lease(models.Model):
    """What all processes have taken of an allowance: it has come back at `spent_until`, in seconds since 1970.

    That is at most a second ahead. `granted`: to who asked last.
    """

    spent_until = models.FloatField()
    granted = models.IntegerField()

    class Meta:
        abstract = True
        default_permissions = ()


class KeyLease(Lease):
    key = models.OneToOneField(WriteKey, models.CASCADE, primary_key=True, related_name="+")
