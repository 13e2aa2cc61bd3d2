"""Closing the account of somebody who leaves: what is theirs goes to colleagues first, in one transaction.

Higher apps know what a person may have: settings.TAGLINE_BELONGINGS and TAGLINE_HINDRANCES name their functions.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.db import connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from staff.models import Handover, ReadToken, User

# Two accounts are closed one after the other: else two last signers could leave at once.
_LOCK = 7_201_014


@dataclass(frozen=True, slots=True)
class Belonging:
    """What of one kind is a person's. `entries`: (its id, what to call it); `takers`: who could have it, the likeliest first."""

    key: str
    label: str
    entries: list[tuple[str, str]]
    takers: list[User]
    hand_over: Callable[[User], None]


class Hindered(Exception):
    """The account cannot be closed yet: sentences that say why, and what to do first."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__(len(sentences))
        self.sentences = sentences


class NotHandedOver(Exception):
    """Belongings without a colleague who takes them: their labels."""

    def __init__(self, labels: list[str]) -> None:
        super().__init__(", ".join(labels))
        self.labels = labels


def belongings(person: User, *, hold: bool = False) -> list[Belonging]:
    """What must be handed over, by kind. `hold`: keep it as it is until the transaction ends."""
    return [one for name in settings.TAGLINE_BELONGINGS for one in import_string(name)(person, hold=hold) if one.entries]


def hindrances(person: User, *, by: User) -> list[str]:
    """Why the account cannot be closed yet, each with what to do first."""
    return [*_own_hindrances(person, by), *(one for name in settings.TAGLINE_HINDRANCES for one in import_string(name)(person))]


def close_account(person: User, *, by: User, to: Mapping[str, User]) -> None:
    """Hand over, end the person's tokens, and switch the account off. `to`: {key of a belonging: who takes it}.

    Raises Hindered, or NotHandedOver where somebody is missing or cannot take it; nothing has changed then.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        person.refresh_from_db()
        if not person.is_active:
            return
        theirs = belongings(person, hold=True)
        if sentences := hindrances(person, by=by):
            raise Hindered(sentences)
        if missing := [one.label for one in theirs if to.get(one.key) not in one.takers]:
            raise NotHandedOver(missing)
        for one in theirs:
            one.hand_over(to[one.key])
            _note(person, one.key, one.label, one.entries, to=to[one.key], by=by)
        tokens = ReadToken.objects.filter(user=person, revoked_at=None)
        if ended := [(str(token.pk), str(token)) for token in tokens]:
            tokens.update(revoked_at=timezone.now())
            _note(person, "read_tokens", _("read tokens, ended"), ended, to=None, by=by)
        person.is_active = False
        person.save(update_fields=["is_active"])


def open_account(person: User) -> None:
    """Let somebody in again. What was handed over stays where it is, and ended tokens stay ended."""
    person.is_active = True
    person.save(update_fields=["is_active"])


def colleagues(person: User, permission: str = "") -> list[User]:
    """Everybody else who is active, and may do something; those of the same department first."""
    people = ModelBackend().with_perm(permission) if permission else User.objects.filter(is_active=True)
    others = people.exclude(pk=person.pk).select_related("department").order_by("email")
    return sorted(others, key=lambda one: person.department_id is None or one.department_id != person.department_id)


def taken_over(person: User, key: str) -> list[str]:
    """The ids of what was handed over to a person by others who left."""
    rows = Handover.objects.filter(to=person, key=key).values_list("entries", flat=True)
    return [item for entries in rows for item, _title in entries]


def _note(person: User, key: str, label: str, entries: list[tuple[str, str]], *, to: User | None, by: User) -> None:
    Handover.objects.create(person=person, key=key, label=label, entries=entries, to=to, by=by)


def _own_hindrances(person: User, by: User) -> Iterator[str]:
    told: dict[str, Any] = {"name": person}
    if person == by:
        yield _("Nobody closes their own account. Ask another administrator.")
    if person.has_perm("staff.change_user") and not colleagues(person, "staff.change_user"):
        yield _("%(name)s is the last who may manage accounts. Give another colleague the role of administrator first.") % told
