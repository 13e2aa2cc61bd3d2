"""Writing to the draft: one writer at a time, never to an item under review, never over a newer save unseen."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connection, models, transaction
from django.db.models.deletion import ProtectedError

from staff.models import User
from taxonomy.definition import KINDS, MODELS, Definition, apply_definitions
from taxonomy.history import record_revision, record_revisions
from taxonomy.models import Proposal, ProposalItem, Revision

# Any two writers of the draft, and a proposal that is submitted, wait for each other on this lock.
_LOCK = 7_201_003


class ItemLocked(Exception):
    """An item is under review: it cannot be edited."""

    def __init__(self, proposal: Proposal) -> None:
        super().__init__(proposal.pk)
        self.proposal = proposal


class ItemInUse(Exception):
    """An item cannot be removed: `users` refer to it."""

    def __init__(self, item: Any, users: list[Any]) -> None:
        super().__init__(str(item))
        self.item, self.users = item, users


@contextmanager
def writing(item_ids: Collection[Any] = ()) -> Iterator[None]:
    """A transaction that alone may write the draft. Raises ItemLocked when one of the items is under review."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        refuse_locked(item_ids)
        yield


def refuse_locked(item_ids: Iterable[Any]) -> None:
    """Raises ItemLocked when one of the items is under review."""
    if proposal := next(iter(locks(item_ids).values()), None):
        raise ItemLocked(proposal)


def locks(item_ids: Iterable[Any]) -> dict[str, Proposal]:
    """{item: the proposal under review that holds it}."""
    held = ProposalItem.objects.filter(item__in=list(item_ids), is_open=True, proposal__state__in=Proposal.LOCKED)
    return {str(one.item): one.proposal for one in held.select_related("proposal__author")}


def last_saved(item_id: Any) -> int:
    """The newest revision's id of an item, 0 if it has none: what a form remembers, to notice a newer save."""
    return Revision.objects.filter(item=item_id).order_by("-id").values_list("id", flat=True).first() or 0


def write_items(wanted: dict[str, Definition | None], *, by: User | None, why: str) -> None:
    """Bring draft rows to definitions, None: remove the row. Within `writing`. Raises ItemInUse."""
    for kind in KINDS:
        if of_kind := {item: one for item, one in wanted.items() if one is not None and one["kind"] == kind}:
            there = {str(pk) for pk in MODELS[kind]._default_manager.filter(pk__in=of_kind).values_list("pk", flat=True)}
            record_revisions(apply_definitions(of_kind), created=of_kind.keys() - there, by=by, why=why)
    gone = [UUID(item) for item, one in wanted.items() if one is None]
    for kind in reversed(KINDS):
        for row in MODELS[kind]._default_manager.filter(pk__in=gone):
            remove(row, by=by, why=why)


def remove(row: models.Model, *, by: User | None, why: str = "") -> None:
    """Delete a draft row and what stands below it, keeping the last state of each in the history."""
    below = list(row.rules.all()) if getattr(row, "kind", "") == "source" else []  # type: ignore[attr-defined]
    for one in (*below, row):
        record_revision(one, by=by, action=Revision.Action.DELETED, why=why)
    try:
        row.delete()
    except ProtectedError as error:
        raise ItemInUse(row, sorted(error.protected_objects, key=str)) from error
