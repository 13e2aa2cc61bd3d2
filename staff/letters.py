from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import translation

from staff.models import User


def send_letter(person: User, template: str, context: dict[str, Any]) -> None:
    """Write to a colleague in their language: staff/email/<template>.txt and …_subject.txt.

    Raises OSError (smtplib's errors too) when the mail server does not take it; its text may hold the address, so
    it must not be logged.
    """
    context = {**context, "user": person, "days": settings.PASSWORD_RESET_TIMEOUT // 86400}
    with translation.override(person.language or translation.get_language() or settings.LANGUAGE_CODE):
        subject = render_to_string(f"staff/email/{template}_subject.txt", context).strip()
        body = render_to_string(f"staff/email/{template}.txt", context)
    send_mail(subject, body, None, [person.email])
