import hashlib
import hmac
import secrets
import uuid
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ingestion.outgoing.signing import secret_text
from taxonomy.models import Source, Tag


def check_url(url: str) -> None:
    """An address that may be called: https, or also http where private addresses are allowed; no password in it."""
    parts = urlsplit(url)
    schemes = ("https", "http") if settings.WEBHOOKS_TO_PRIVATE_ADDRESSES else ("https",)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValidationError(_("Give an address that begins with https://, such as https://shop.example.com/hooks/tagline."))
    if parts.username or parts.password:
        raise ValidationError(_("Leave user and password out of the address: the signature proves who sends."))


def new_salt() -> bytes:
    return secrets.token_bytes(32)


class Subscriber(models.Model):
    """A system that is told of what happens here, by webhook (Standard Webhooks).

    No secret is kept: it is derived from a salt and the SECRET_KEY of this installation.
    """

    class Event(models.TextChoices):
        RELEASE = "release.published", _("a release of the standard")
        ACCEPTED = "events.accepted", _("accepted events of chosen tags")
        HELD = "quarantine.exceeded", _("many events held for one cause")

    # What is said of customers' events, and not only of the standard.
    OF_EVENTS = (Event.ACCEPTED.value, Event.HELD.value)
    OVERLAP = timedelta(days=1)

    name = models.CharField(_("name"), max_length=80, help_text=_("Whose system it is, such as: web shop, plan cache."))
    url = models.CharField(
        _("address"), max_length=500, validators=[check_url],
        help_text=_("Where messages are posted to, such as https://shop.example.com/hooks/tagline."),
    )  # fmt: skip
    events = ArrayField(models.CharField(max_length=40, choices=Event), default=list, verbose_name=_("told of"))
    tags = models.ManyToManyField(
        Tag, blank=True, related_name="+", verbose_name=_("tags"), help_text=_("Whose accepted events it is told of, such as purchase.")
    )
    sources = models.ManyToManyField(
        Source, blank=True, related_name="+", verbose_name=_("sources"), help_text=_("Only of these. Empty: of every source."),
    )  # fmt: skip
    personal = models.BooleanField(
        _("personal data"), default=False,
        help_text=_("Tells phones, identifiers and personal attributes too. Otherwise phones are masked, and the others left out."),
    )  # fmt: skip
    personal_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+", verbose_name=_("personal data allowed by")
    )
    personal_at = models.DateTimeField(_("personal data allowed"), null=True, editable=False)
    held_events = models.PositiveIntegerField(
        _("held events"), default=100, validators=[MinValueValidator(1)], help_text=_("So many held for one cause of one source, or more.")
    )
    held_minutes = models.PositiveIntegerField(
        _("within minutes"), default=60, validators=[MinValueValidator(1), MaxValueValidator(7 * 24 * 60)],
        help_text=_("Counted over the last so many minutes: a week at the most."),
    )  # fmt: skip
    active = models.BooleanField(_("active"), default=True, help_text=_("Switched off by itself after days of failure."))
    stopped_because = models.CharField(_("switched off because"), max_length=200, blank=True, editable=False)
    salt = models.BinaryField(max_length=32, default=new_salt, editable=False)
    former_salt = models.BinaryField(max_length=32, null=True, editable=False)
    former_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+")

    class Meta:
        ordering = ["name", "id"]
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")

    def __str__(self) -> str:
        return self.name

    @property
    def secret(self) -> str:
        """The secret the receiver verifies with, as the standard writes it: shown once."""
        return secret_text(_key_of(self.salt))

    def keys(self, now: datetime) -> list[bytes]:
        """The keys to sign with: the present one, and for a day after a change the former too."""
        salts = [self.salt]
        if self.former_salt is not None and self.former_until is not None and self.former_until > now:
            salts.append(self.former_salt)
        return [_key_of(salt) for salt in salts]

    def change_secret(self, now: datetime) -> str:
        """A new secret; the former signs beside it for a day."""
        self.former_salt, self.former_until, self.salt = self.salt, now + self.OVERLAP, new_salt()
        self.save(update_fields=["salt", "former_salt", "former_until"])
        return self.secret


def _key_of(salt: bytes | memoryview) -> bytes:
    return hmac.digest(settings.SECRET_KEY.encode(), b"webhook" + bytes(salt), hashlib.sha256)


class Unannounced(models.Model):
    """Accepted events that a subscriber will be told of: at most a message's. A queue: rows are added, and taken with the message made."""

    id = models.BigAutoField(primary_key=True)
    subscriber = models.ForeignKey(Subscriber, models.CASCADE, related_name="+")
    events = ArrayField(models.BigIntegerField())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.subscriber_id}: {len(self.events)}"


class Alarm(models.Model):
    """A cause of which a subscriber was told that it holds too many, until it holds fewer again."""

    id = models.BigAutoField(primary_key=True)
    subscriber = models.ForeignKey(Subscriber, models.CASCADE, related_name="alarms")
    source = models.ForeignKey(Source, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    code = models.CharField(max_length=60)
    path = models.CharField(max_length=200, blank=True)
    name = models.CharField(max_length=200, blank=True)
    raised_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["subscriber", "source", "code", "path", "name"], name="alarm_once")]

    def __str__(self) -> str:
        return f"{self.subscriber_id} {self.source_id} {self.code}"


class Dispatch(models.Model):
    """One message to one subscriber, sent until it is taken or given up."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        DELIVERED = "delivered", _("delivered")
        FAILED = "failed", _("given up")
        DROPPED = "dropped", _("not sent: switched off")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subscriber = models.ForeignKey(Subscriber, models.CASCADE, related_name="dispatches", verbose_name=_("webhook"))
    event = models.CharField(_("event"), max_length=40)
    body = models.TextField(_("body"), help_text=_("Exactly what is sent and signed."))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    round = models.PositiveIntegerField(default=0, help_text="How often somebody had it sent again; jobs of former rounds do nothing")
    attempts = models.PositiveIntegerField(_("attempts"), default=0, help_text=_("In this round."))
    next_at = models.DateTimeField(_("next attempt"), null=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        ordering = ["-created_at", "id"]
        verbose_name = _("webhook message")
        verbose_name_plural = _("webhook messages")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["subscriber", "-created_at"]),
            models.Index(fields=["subscriber", "event"], condition=models.Q(state="waiting"), name="dispatch_waiting"),
            models.Index(fields=["created_at"], name="dispatch_created"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.message_id}"

    @property
    def message_id(self) -> str:
        """The same however often it is sent: a receiver takes it once."""
        return f"msg_{self.pk.hex}"


class Attempt(models.Model):
    """One call: what was answered, or why nothing was."""

    dispatch = models.ForeignKey(Dispatch, models.CASCADE, related_name="log")
    at = models.DateTimeField(_("when"), default=timezone.now)
    status = models.PositiveSmallIntegerField(_("answer"), null=True)
    problem = models.CharField(_("problem"), max_length=40, blank=True)
    took_ms = models.PositiveIntegerField(_("milliseconds"))

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.status or self.problem)
