"""Whom events are about, reversibly: an event names a subject; links tie subjects to customers for a time."""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Customer(models.Model):
    """One person, known by a phone number for as long as the number is theirs."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(_("public id"), default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.public_id)


class Subject(models.Model):
    """What an event itself says it is about: the bare phone, else its strongest identifier."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(_("kind"), max_length=12)
    namespace = models.CharField(_("namespace"), max_length=40, blank=True)
    value = models.TextField(_("value"))
    key = models.BinaryField(max_length=16, unique=True, help_text="16-byte hash of kind, namespace and value")

    class Meta:
        verbose_name = _("identifier")
        verbose_name_plural = _("identifiers")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Tie(models.Model):
    """Evidence that two subjects are one person: events carried both. `stronger` is the stronger kind, what they are about."""

    id = models.BigAutoField(primary_key=True)
    stronger = models.ForeignKey(Subject, models.CASCADE, related_name="weaker_ties")
    weaker = models.ForeignKey(Subject, models.CASCADE, related_name="stronger_ties")
    first_at = models.DateTimeField(_("first seen together"))
    event_id = models.BigIntegerField(_("first event"), null=True)
    settled = models.BooleanField(default=False, help_text="Whether the links already follow from this evidence")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["weaker", "stronger"], name="tie_unique")]
        indexes = [models.Index(fields=["id"], condition=models.Q(settled=False), name="tie_unsettled")]


class Untied(models.Model):
    """A subject some of whose events count no more, or count again, until its ties are drawn from what counts now.

    A queue: rows are only added, and deleted in the transaction that draws the ties.
    """

    id = models.BigAutoField(primary_key=True)
    subject_id = models.BigIntegerField(db_index=True)

    class Meta:
        default_permissions = ()


class Link(models.Model):
    """From `since` until `until` (exclusive; null: without end) this subject's events are this customer's."""

    class Evidence(models.TextChoices):
        PHONE = "phone", _("the phone number itself")
        TIE = "tie", _("an event carried both")
        PERSON = "person", _("decided by a colleague")

    id = models.BigAutoField(primary_key=True)
    subject = models.ForeignKey(Subject, models.CASCADE, related_name="links")
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="links")
    since = models.DateTimeField(_("since"), null=True, help_text="null: from the beginning")
    until = models.DateTimeField(_("until"), null=True)
    evidence = models.CharField(_("how"), max_length=8, choices=Evidence)
    tie = models.ForeignKey(Tie, models.SET_NULL, null=True)
    created_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True, help_text="When later evidence or a person set this link aside")

    class Meta:
        indexes = [models.Index(fields=["subject"]), models.Index(fields=["customer"])]
