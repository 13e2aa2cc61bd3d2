import secrets
import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from taxonomy.models import Source


def _token() -> str:
    return secrets.token_urlsafe(24)


class SpecLink(models.Model):
    """Opens a source's file specification, and the check of its files, to whoever has the address. It shows what its maker may read."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(Source, models.PROTECT, related_name="+", verbose_name=_("source"))
    token = models.CharField(max_length=40, unique=True, default=_token, editable=False)
    name = models.CharField(_("for whom"), max_length=80, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    revoked_at = models.DateTimeField(_("revoked"), null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("add", "change")
        verbose_name = _("link for a partner")
        verbose_name_plural = _("links for partners")

    def __str__(self) -> str:
        return self.name or self.source.code

    def get_absolute_url(self) -> str:
        return reverse("spec_of_partner", args=[self.token])
