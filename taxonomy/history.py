"""The history of governed items: each saved state, whole."""

from collections.abc import Collection, Iterable
from typing import Any

from django.db import models

from staff.models import User
from taxonomy.definition import Items, definition, definitions
from taxonomy.models import Revision


def record_revision(
    item: models.Model, *, by: User | None, action: Revision.Action, why: str = "", restores: Revision | None = None
) -> Revision | None:
    """Keep the item's definition as it stands now, unless it is as it was. A deleted item keeps its last one.

    `restores`: the older one that was brought back.
    """
    stands = definition(item)
    before = Revision.objects.filter(item=item.pk).first()
    if before and before.definition == stands and action == Revision.Action.CHANGED:
        return None
    return Revision.objects.create(item=item.pk, kind=stands["kind"], action=action, definition=stands, by=by, why=why, restores=restores)


def record_revisions(items: list[Any], *, created: Collection[Any], by: User | None, why: str = "") -> None:
    """Keep the definitions of rows of one kind as they stand now, but for those that are as they were. A few queries.

    `created`: the ids of those that are new.
    """
    newest = Revision.objects.filter(item__in=[item.pk for item in items]).order_by("item", "-id").distinct("item")
    before = {str(item): one for item, one in newest.values_list("item", "definition")}
    Revision.objects.bulk_create(
        Revision(
            item=item, kind=one["kind"], definition=one, by=by, why=why,
            action=Revision.Action.CREATED if item in created else Revision.Action.CHANGED,
        )
        for item, one in definitions(items).items()
        if item in created or before.get(item) != one
    )  # fmt: skip


def last_states(items: Iterable[str]) -> Items:
    """{item: its newest definition in the history}, of those that have one. One query, none for none."""
    if not (wanted := list(items)):
        return {}
    newest = Revision.objects.filter(item__in=wanted).order_by("item", "-id").distinct("item").values_list("item", "definition")
    return {str(item): one for item, one in newest if one}


def with_places(gone: Items, *plans: Items) -> Items:
    """These, and the newest definitions in the history of where they stood, if that is in none of the plans.

    A rule stands with its source and its tag, a tag in its category, a category below its parent. A query a level.
    """
    found = new = gone
    while new:
        places = {one[place] for one in new.values() for place in ("source", "tag", "category", "parent") if one.get(place)}
        new = last_states(places.difference(found, *plans))
        found = found | new
    return found


def last_saves(items: Iterable[str]) -> dict[str, Revision]:
    """{item: its newest revision}. One query."""
    newest = Revision.objects.filter(item__in=list(items)).order_by("item", "-id").distinct("item").select_related("by").defer("definition")
    return {str(one.item): one for one in newest}
