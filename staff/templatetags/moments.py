from datetime import datetime

from django import template
from django.utils import timezone

from staff.moments import ago_words

register = template.Library()


@register.filter
def ago(at: datetime | None) -> str:
    """{{ run.created_at|ago }}, such as: 3 hours ago."""
    return ago_words(at, timezone.now()) if at else ""
