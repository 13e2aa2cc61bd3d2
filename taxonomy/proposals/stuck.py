"""What can be done where nobody can sign for a department: why it is so, and who can help."""

from collections.abc import Collection
from dataclasses import dataclass

from django.contrib.auth.backends import ModelBackend
from django.utils.translation import gettext as _

from staff.models import Department, User
from taxonomy.proposals.review import SIGN, Seat

ADD_MEMBER, NAME_DEPUTY = ("staff.add_user", "staff.change_user"), "staff.change_department"


@dataclass(frozen=True, slots=True)
class Stuck:
    department: Department
    why: str
    helpers: list[User]


def stuck_seats(seats: Collection[Seat], authors: Collection[int]) -> list[Stuck]:
    """Of each seat that nobody can fill, why, and the colleagues who may add a member or name a deputy."""
    if not seats:
        return []
    may = [set(ModelBackend().with_perm(right)) for right in (*ADD_MEMBER, NAME_DEPUTY)]
    helpers = sorted((may[0] & may[1]) | may[2], key=lambda one: (one.name, one.email))
    return [Stuck(seat.department, _why(seat.department, authors), helpers) for seat in seats]


def _why(department: Department, authors: Collection[int]) -> str:
    members = User.objects.filter(department=department, is_active=True)
    signers = ModelBackend().with_perm(SIGN).filter(department=department)
    if not members.exists():
        return _("It has no members.")
    if not signers.exists():
        return _("None of its members has a role that signs.")
    if not signers.exclude(pk__in=authors).exists():
        return _("Whoever of it could sign has written this proposal.")
    return _("None of its members may sign for these items.")
