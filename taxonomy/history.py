"""The history of governed items: each saved state, whole."""

from django.db import models

from staff.models import User
from taxonomy.definition import definition
from taxonomy.models import Revision


def record_revision(item: models.Model, *, by: User | None, action: Revision.Action, why: str = "") -> Revision | None:
    """Keep the item's definition as it stands now, unless it is as it was. A deleted item keeps its last one."""
    stands = definition(item)
    before = Revision.objects.filter(item=item.pk).first()
    if before and before.definition == stands and action == Revision.Action.CHANGED:
        return None
    return Revision.objects.create(item=item.pk, kind=stands["kind"], action=action, definition=stands, by=by, why=why)
