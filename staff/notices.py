"""Telling colleagues something, in the product: the bell in the page's frame."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest

from staff.models import Notice, User


def tell(people: Iterable[User], text: str, *, link: str, **values: Any) -> None:
    """Leave each of them a notice once. `text` is a message of the catalogue, marked with gettext_noop where it is written."""
    told = {person.pk for person in people if person.is_active}
    Notice.objects.bulk_create(Notice(user_id=one, text=text, link=link, values=values) for one in sorted(told))


def unread(request: HttpRequest) -> str:
    """How many notices this person has not read, for the sidebar's badge; empty for none."""
    if not hasattr(request, "unread_notices"):
        request.unread_notices = Notice.objects.filter(user=request.user.pk, read_at=None).count()  # type: ignore[attr-defined]
    return str(request.unread_notices or "")  # type: ignore[attr-defined]
