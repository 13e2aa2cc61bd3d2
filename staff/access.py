import uuid
from typing import Any

from staff.models import AccessLog, User


def log_access(user: Any, action: str, *, customer: uuid.UUID | None = None, reason: str = "", channel: str = "page") -> AccessLog:
    """Record that someone looked at personal data; call it before showing what they asked for."""
    who = user if isinstance(user, User) else None
    return AccessLog.objects.create(
        user=who, action=AccessLog.Action(action), customer=customer, reason=reason.replace("\0", "").strip()[:300], channel=channel
    )
