from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _


class CheckSetting(models.Model):
    """How the steward weighs one check of the plan. A check without a row is weighed as taxonomy/checks.py says."""

    class Severity(models.TextChoices):
        ERROR = "error", _("error: nothing is published with it")
        WARNING = "warning", _("warning")
        OFF = "off", _("off")

    id = models.CharField(_("check"), primary_key=True, max_length=60, editable=False)
    severity = models.CharField(_("weighed as"), max_length=8, choices=Severity)
    only_new = models.BooleanField(_("only for new items"), default=False, help_text=_("Items that are released already are left alone."))
    words = ArrayField(
        models.CharField(max_length=40), default=list, blank=True, verbose_name=_("words"),
        help_text=_("For checks of names: the words allowed, blocked or wanted first, separated by commas; for the length, a number."),
    )  # fmt: skip

    class Meta:
        ordering = ["id"]
        verbose_name = _("check of the plan")
        verbose_name_plural = _("checks of the plan")
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return self.id
