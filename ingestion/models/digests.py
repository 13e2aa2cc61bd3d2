from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.urls import reverse


class Digest(models.Model):
    """A stretch of time whose news of the quarantine somebody was told; the next one begins where it ended."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="digests")
    since = models.DateTimeField()
    until = models.DateTimeField()
    unsent = ArrayField(
        models.CharField(max_length=10), default=list, blank=True, help_text="Letters that no mail server has taken yet: digest, scorecard"
    )
    news = models.PositiveIntegerField(help_text="Causes that were new, growing or fixed; of none nobody was written to")

    class Meta:
        ordering = ["-until", "-id"]
        default_permissions = ()
        indexes = [models.Index(fields=["user", "-until"])]

    def get_absolute_url(self) -> str:
        return f"{reverse('admin:quarantine_digest')}?digest={self.pk}"
