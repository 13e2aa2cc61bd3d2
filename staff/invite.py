"""Invitations: an e-mail with a link that works once, until it expires, in the language of whoever is invited."""

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.http import HttpRequest
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from staff.letters import send_letter
from staff.models import User


class InvitationTokenGenerator(PasswordResetTokenGenerator):
    """A link for choosing the first password; it dies when a password is set, or with PASSWORD_RESET_TIMEOUT."""

    key_salt = "staff.invite"


invitation_tokens = InvitationTokenGenerator()


def invitation_path(person: User) -> str:
    uid = urlsafe_base64_encode(force_bytes(person.pk))
    return reverse("accept_invitation", args=[uid, invitation_tokens.make_token(person)])


def send_invitation(person: User, *, invited_by: User, request: HttpRequest) -> None:
    """Raises OSError when the mail server does not take it."""
    link = request.build_absolute_uri(invitation_path(person))
    send_letter(person, "invitation", {"invited_by": invited_by, "link": link})
