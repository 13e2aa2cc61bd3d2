import secrets
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ingestion.doors.signatures import SCHEMES
from ingestion.models.keys import Lease
from ingestion.outgoing.sealing import seal, unseal
from ingestion.outgoing.signing import secret_text
from staff.models import User
from taxonomy.models import Source
from taxonomy.released import named


class Hook(models.Model):
    """A system that sends a source's events by webhook, to /hooks/<source>: how it proves itself, and what of its requests is read."""

    class Answer(models.TextChoices):
        COUNTS = "counts", _("the counts, as JSON")
        SUCCESS = "success", _("the word “success”, as WeChat wants it")
        CODE = "code", _("{\"code\": 0}, as Alibaba Cloud wants it")  # fmt: skip

    source = models.ForeignKey(Source, models.PROTECT, related_name="hooks", verbose_name=_("source"))
    name = models.CharField(_("name"), max_length=80, blank=True, help_text=_("Whose system it is, such as: Shopify, main shop."))
    scheme = models.CharField(
        _("proves itself by"), max_length=16, choices=[(key, one.label) for key, one in SCHEMES.items()], default="plain",
        help_text=_("How each request is signed. A token as it is proves least: whoever sees it can send."),
    )  # fmt: skip
    header = models.CharField(
        _("in the header"), max_length=80, blank=True,
        help_text=_("For a token or the HMAC of the body: the header it comes in. Empty: Authorization for a token, X-Hub-Signature-256 for the HMAC."),
    )  # fmt: skip
    kept_headers = models.CharField(
        _("headers to read"), max_length=300, blank=True,
        help_text=_("Headers that say something of the event, with commas between, such as X-Shopify-Topic. Found under _request, the name in small letters. For JSON."),
    )  # fmt: skip
    packed_in = models.CharField(
        _("events packed in"), max_length=120, blank=True,
        help_text=_("Fields whose text is the events as JSON, with commas between, such as mandrill_events. Base64 and gzip are unpacked too."),
    )  # fmt: skip
    answer = models.CharField(_("is answered"), max_length=8, choices=Answer, default=Answer.COUNTS)
    per_second = models.PositiveIntegerField(
        _("events a second"), default=0, help_text=_("The most it may send, over all processes. 0: no limit.")
    )
    active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+")
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    class Meta:
        ordering = ["source", "id"]
        verbose_name = _("webhook in")
        verbose_name_plural = _("webhooks in")

    def __str__(self) -> str:
        return self.name or f"{named('source', [self.source_id])[self.source_id].code} ({self.get_scheme_display()})"

    def clean(self) -> None:
        """What is read of a request is kept with its events, and no secret may be."""
        kept = {name.strip().lower() for name in self.kept_headers.split(",")}
        if kept & {"authorization", "cookie", "proxy-authorization", self.header.strip().lower() or "authorization"}:
            raise ValidationError({"kept_headers": _("A header that proves who sends is a secret: leave it out here.")})

    def add_secret(self, text: str, *, by: User | None = None, former_until: datetime | None = None) -> "HookSecret":
        """Keep a secret. Those there are before it work until `former_until`; None: as long as they would."""
        if former_until is not None:
            self.secrets.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=former_until)).update(expires_at=former_until)
        return HookSecret.objects.create(hook=self, sealed=seal(text), hint=hint_of(text), created_by=by)

    def working_secrets(self, now: datetime) -> list[str]:
        """Its secrets that are good now, as texts; those sealed under another SECRET_KEY are lost. Of prefetched rows: no query."""
        good = [one for one in self.secrets.all() if one.expires_at is None or one.expires_at > now]
        return [text for one in good if (text := unseal(one.sealed)) is not None]

    def new_secret(self) -> str:
        """A secret as senders of this scheme take it."""
        if self.scheme == "standard":
            return secret_text(secrets.token_bytes(24))
        # WeChat takes letters and digits, 32 at the most.
        return secrets.token_hex(16)


class HookLease(Lease):
    hook = models.OneToOneField(Hook, models.CASCADE, primary_key=True, related_name="+")


def hint_of(text: str) -> str:
    """Enough of a secret to tell it from another, where that leaves enough of it untold."""
    return f"…{text[-4:]}" if len(text) >= 20 else "…"


class HookSecret(models.Model):
    """One secret of a hook, sealed: a copy of the database does not tell it."""

    hook = models.ForeignKey(Hook, models.CASCADE, related_name="secrets", verbose_name=_("webhook in"))
    sealed = models.BinaryField(editable=False)
    hint = models.CharField(_("ends with"), max_length=8, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+")
    expires_at = models.DateTimeField(_("works until"), null=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = _("secret")
        verbose_name_plural = _("secrets")
        default_permissions = ()

    def __str__(self) -> str:
        return self.hint
