"""Invitations: an e-mail with a link that works once, until it expires, in the language of whoever is invited."""

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.mail import send_mail
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from staff.models import User


class InvitationTokenGenerator(PasswordResetTokenGenerator):
    """A link for choosing the first password; it dies when a password is set, or with PASSWORD_RESET_TIMEOUT."""

    key_salt = "staff.invite"


invitation_tokens = InvitationTokenGenerator()


def invitation_path(user: User) -> str:
    return reverse("accept_invitation", args=[urlsafe_base64_encode(force_bytes(user.pk)), invitation_tokens.make_token(user)])


def send_invitation(user: User, *, invited_by: User, request: HttpRequest) -> None:
    """Send the link. Raises OSError (smtplib's errors too) when the mail server does not take it."""
    context = {
        "user": user,
        "invited_by": invited_by,
        "link": request.build_absolute_uri(invitation_path(user)),
        "days": settings.PASSWORD_RESET_TIMEOUT // 86400,
    }
    with translation.override(user.language or settings.LANGUAGE_CODE):
        subject = render_to_string("staff/email/invitation_subject.txt", context).strip()
        body = render_to_string("staff/email/invitation.txt", context)
    send_mail(subject, body, None, [user.email])
