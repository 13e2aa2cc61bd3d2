import hashlib
import secrets
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import connection, models, transaction
from django.db.models.deletion import ProtectedError
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext, override
from django.utils.translation import gettext_lazy as _

from staff.moments import day_words


def in_reader_language(english: str, chinese: str) -> str:
    """Choose the text of the reader's language, else the other one when it is empty."""
    if (get_language() or "en").startswith("zh"):
        return chinese or english
    return english or chinese


def in_languages(text: str | Promise) -> list[str]:
    """A lazy text in English and in Chinese."""
    found = []
    for language in ("en", "zh-hans"):
        with override(language):
            found.append(str(text))
    return found


def in_both_languages(text: str | Promise) -> str:
    """A text that is kept, and read by everybody, such as "Back · 返回"."""
    return " · ".join(dict.fromkeys(in_languages(text)))


# Duties are taken from departments one after the other: else two administrators could take the last two at once.
_DUTIES_LOCK = 7_201_013


def _alone_with_duties() -> None:
    """Wait for whoever else may be taking a duty away; until the transaction ends nobody else does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_DUTIES_LOCK])


class DepartmentQuerySet(models.QuerySet["Department"]):
    def last_of_duty(self) -> list["Department"]:
        """Those of them whose duty no other department has, as it is stored."""
        kept = set(Department.objects.exclude(pk__in=self.values("pk")).values_list("duty", flat=True))
        return [one for one in self.exclude(duty="") if one.duty not in kept]

    @transaction.atomic
    def delete(self) -> tuple[int, dict[str, int]]:
        """Raises ProtectedError where a duty would go with them."""
        _alone_with_duties()
        if last := self.last_of_duty():
            raise ProtectedError(" ".join(one.why_it_stays for one in last), set(last))
        return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


class Department(models.Model):
    """A part of the company that owns tags and sources and signs off their changes."""

    class Duty(models.TextChoices):
        STEWARD = "steward", _("data steward")
        COMPLIANCE = "compliance", _("compliance")

    code = models.SlugField(_("code"), primary_key=True, max_length=40, help_text=_("A short name for machines, such as marketing."))
    label_en = models.CharField(_("name in English"), max_length=80)
    label_zh_hans = models.CharField(_("name in Chinese"), max_length=80)

    duty = models.CharField(
        _("duty"), max_length=12, choices=Duty, blank=True,
        help_text=_("Stewards sign whatever breaks something, compliance whatever concerns personal data."),
    )  # fmt: skip
    deputy = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("deputy"),
        help_text=_("The department that signs for it where none of its own people may."),
    )  # fmt: skip

    objects = DepartmentQuerySet.as_manager()

    class Meta:
        ordering = ["code"]
        verbose_name = _("department")
        verbose_name_plural = _("departments")

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        return in_reader_language(self.label_en, self.label_zh_hans)

    @property
    def why_it_stays(self) -> str:
        told = {"department": self, "duty": self.get_duty_display()}
        return gettext("%(department)s is the only department with the duty “%(duty)s”: without it nobody would sign such changes. Give the duty to another department first.") % told  # fmt: skip

    def clean(self) -> None:
        """Within the transaction that saves it."""
        _alone_with_duties()
        for stored in Department.objects.filter(pk=self.pk).last_of_duty():
            if stored.duty != self.duty:
                raise ValidationError({"duty": stored.why_it_stays})

    @transaction.atomic
    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises ProtectedError where its duty would go with it."""
        _alone_with_duties()
        if Department.objects.filter(pk=self.pk).last_of_duty():
            raise ProtectedError(self.why_it_stays, {self})
        return super().delete(*args, **kwargs)


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)

    def create_user(self, email: str, password: str | None = None, **fields) -> "User":
        user = self.model(email=email.strip(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


WEEKDAYS = [
    (1, _("Monday")), (2, _("Tuesday")), (3, _("Wednesday")), (4, _("Thursday")), (5, _("Friday")), (6, _("Saturday")), (7, _("Sunday")),
]  # fmt: skip


def workdays() -> list[int]:
    return [1, 2, 3, 4, 5]


class User(AbstractBaseUser, PermissionsMixin):
    """A colleague who logs in by e-mail address."""

    class Language(models.TextChoices):
        ENGLISH = "en", "English"
        CHINESE = "zh-hans", "简体中文"

    email = models.EmailField(_("e-mail"), unique=True, help_text=_("The address this person logs in with; invitations go there."))
    name = models.CharField(_("name"), max_length=120, blank=True)
    department = models.ForeignKey(Department, models.PROTECT, null=True, blank=True, related_name="members", verbose_name=_("department"))
    language = models.CharField(
        _("language"), max_length=10, choices=Language, blank=True, help_text=_("Empty: the language of the browser.")
    )
    time_zone = models.CharField(
        _("time zone"), max_length=60, blank=True, help_text=_("Such as Asia/Shanghai. Empty: the company's time zone.")
    )
    reminder_days = ArrayField(
        models.PositiveSmallIntegerField(choices=WEEKDAYS), default=workdays, blank=True, verbose_name=_("remind me on"),
        help_text=_("Days on which an e-mail and a notice list what waits for you. None: neither."),
    )  # fmt: skip
    reminder_hour = models.PositiveSmallIntegerField(
        _("at this hour"), default=9, validators=[MaxValueValidator(23)], help_text=_("0 to 23, in your time zone.")
    )
    reminded_at = models.DateTimeField(null=True, editable=False)
    seen_release = models.PositiveBigIntegerField(
        null=True, editable=False, help_text="The release up to which this person knows what changed in the dictionary"
    )
    is_staff = models.BooleanField(_("may log in"), default=True)
    is_active = models.BooleanField(_("active"), default=True)
    joined_at = models.DateTimeField(_("joined"), default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        ordering = ["email"]
        verbose_name = _("colleague")
        verbose_name_plural = _("colleagues")
        permissions = [("see_personal_data", _("Can see phone numbers and e-mail addresses unmasked"))]
        constraints = [
            models.UniqueConstraint(
                Lower("email"), name="user_email_unique", violation_error_message=_("Someone already uses this e-mail.")
            )
        ]

    def __str__(self) -> str:
        return self.name or self.email

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name or self.email.partition("@")[0]


class AccessLog(models.Model):
    """Who looked at whose personal data, when and why. Rows are only ever added."""

    class Action(models.TextChoices):
        LOOKUP = "lookup", _("looked up by phone")
        VIEW = "view", _("opened the customer")
        REVEAL = "reveal", _("revealed personal data")
        ORIGINAL = "original", _("opened an original record")
        EXPORT = "export", _("exported")

    user = models.ForeignKey(User, models.PROTECT, null=True, related_name="+", verbose_name=_("who"))
    action = models.CharField(_("what"), max_length=12, choices=Action)
    customer = models.UUIDField(_("customer"), null=True, help_text=_("The customer's public id."))
    reason = models.CharField(_("why"), max_length=300, blank=True)
    channel = models.CharField(_("through"), max_length=12, default="page", help_text=_("page or api"))
    at = models.DateTimeField(_("when"), default=timezone.now)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name = _("access log entry")
        verbose_name_plural = _("access log")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["-at"]), models.Index(fields=["customer", "-at"])]

    def __str__(self) -> str:
        return f"{self.user} {self.get_action_display()}"


class Notice(models.Model):
    """Something a colleague should know, said in the product. Personal data never stands in it."""

    user = models.ForeignKey(User, models.CASCADE, related_name="notices", verbose_name=_("for"))
    text = models.TextField(help_text="A message of the catalogue, untranslated; `values` fill it")
    # texts; what has a name in either language as [English, Chinese]
    values = models.JSONField(default=dict)
    link = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(_("when"), default=timezone.now)
    read_at = models.DateTimeField(_("read"), null=True)

    class Meta:
        ordering = ["-at", "-id"]
        default_permissions = ()
        indexes = [models.Index(fields=["user", "-at"])]

    def __str__(self) -> str:
        told = {name: in_reader_language(*value) if isinstance(value, list) else value for name, value in self.values.items()}
        if day := told.get("day"):
            told["day"] = day_words(day)
        return gettext(self.text) % told


class Handover(models.Model):
    """What of one kind went from somebody who left to whom. Rows are only ever added."""

    person = models.ForeignKey(User, models.PROTECT, related_name="handed_over", verbose_name=_("who left"))
    key = models.CharField(max_length=40, help_text="The kind, such as proposals")
    label = models.CharField(_("what"), max_length=120)
    entries = models.JSONField(default=list, help_text="[[id, what to call it]]")
    to = models.ForeignKey(User, models.PROTECT, null=True, related_name="taken_over", verbose_name=_("to whom"))
    by = models.ForeignKey(User, models.PROTECT, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("when"), default=timezone.now)

    class Meta:
        ordering = ["-at", "-id"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.label}: {self.person} → {self.to or '–'}"


class ReadToken(models.Model):
    """A person's credential for reading by API. It obeys that person's rights; only its hash is kept."""

    PREFIX = "tlr_"

    user = models.ForeignKey(User, models.CASCADE, related_name="read_tokens", verbose_name=_("person"))
    name = models.CharField(_("name"), max_length=80, help_text=_("What it is for, such as: sales dashboard."))
    hash = models.BinaryField(max_length=32, unique=True, editable=False)
    hint = models.CharField(_("begins with"), max_length=12, editable=False)
    scopes = models.JSONField(_("scopes"), default=list, help_text=_('What it may read: a list of "customers", "plan".'))
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = _("read token")
        verbose_name_plural = _("read tokens")

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    def set_secret(self) -> str:
        """Make a secret, keep its hash, and return the secret: the only time it can be shown."""
        secret = self.PREFIX + secrets.token_urlsafe(32)
        self.hash = hashlib.sha256(secret.encode()).digest()
        self.hint = secret[:10]
        return secret
