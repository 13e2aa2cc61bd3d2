import logging
from collections.abc import Iterator
from functools import cache
from zoneinfo import available_timezones

from django import forms
from django.contrib.auth.forms import PasswordResetForm, SetPasswordForm
from django.utils.translation import gettext_lazy as _
from unfold.forms import AuthenticationForm
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from staff.letters import send_letter
from staff.models import WEEKDAYS, User

logger = logging.getLogger(__name__)

COMMON_ZONES = ("Asia/Shanghai", "Asia/Hong_Kong", "Asia/Taipei", "Asia/Singapore", "Asia/Tokyo", "Europe/London", "Europe/Berlin", "America/New_York", "America/Los_Angeles", "UTC")  # fmt: skip


@cache
def zone_names() -> list[str]:
    """The zones most people here need first, then all others by name."""
    others = {zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/", "posix/", "right/"))}
    return [*COMMON_ZONES, *sorted(others - set(COMMON_ZONES))]


def zone_choices() -> Iterator[tuple[str, object]]:
    yield "", _("the company's time zone")
    for zone in zone_names():
        yield zone, zone


class LoginForm(AuthenticationForm):
    error_messages = {
        "invalid_login": _(
            "This e-mail and password do not belong together. Check both, or set a new password by the second button below."
        ),
        "inactive": _("This account is switched off. Ask an administrator to switch it on."),
    }


class ResetForm(PasswordResetForm):
    """Also serves people who were invited and lost the invitation: whoever reads the mailbox may choose a password."""

    email = forms.EmailField(
        label=_("E-mail"),
        max_length=254,
        widget=UnfoldAdminEmailInputWidget(attrs={"autocomplete": "email", "autofocus": True}),
    )

    def get_users(self, email: str) -> Iterator[User]:
        return User.objects.filter(email__iexact=email, is_active=True, is_staff=True).iterator()

    def send_mail(self, subject_template_name, email_template_name, context, *args, **kwargs):
        """The page says the same whether or not this works, so that it tells nobody which addresses are known."""
        try:
            send_letter(context["user"], "password_reset", context)
        except OSError as error:
            logger.error("A password reset could not be sent to colleague %s: %s", context["user"].pk, type(error).__name__)


class ChoosePasswordForm(SetPasswordForm):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
        self.fields["new_password1"].widget.attrs["autofocus"] = True


def language_choices() -> Iterator[tuple[str, object]]:
    yield "", _("the browser's language")
    yield from User.Language.choices


class AccountForm(forms.ModelForm):
    language = forms.ChoiceField(label=_("Language"), choices=language_choices, required=False, widget=UnfoldAdminSelectWidget)
    time_zone = forms.ChoiceField(label=_("Time zone"), choices=zone_choices, required=False, widget=UnfoldAdminSelectWidget)

    reminder_days = forms.TypedMultipleChoiceField(
        label=_("Remind me on"), choices=WEEKDAYS, coerce=int, required=False, widget=forms.CheckboxSelectMultiple(attrs={"class": "tl-days"}),
        help_text=_("Days on which an e-mail lists what waits for you. None: no e-mail."),
    )  # fmt: skip

    class Meta:
        model = User
        fields = ["name", "language", "time_zone", "reminder_days", "reminder_hour"]
        widgets = {"name": UnfoldAdminTextInputWidget, "reminder_hour": UnfoldAdminIntegerFieldWidget}
