"""Writing to the draft: one writer at a time, never to an item under review, never over a newer save unseen."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connection, models, transaction
from django.db.models.deletion import ProtectedError
from django.db.models.functions import Cast, Concat

from staff.models import User
from taxonomy.definition import KINDS, MODELS, Definition, apply_definitions
from taxonomy.history import record_revision, record_revisions
from taxonomy.models import MappingRule, Proposal, ProposalItem, Revision, Source, TagMode

# Any two writers of the draft, and a proposal that is submitted, wait for each other on this lock.
_LOCK = 7_201_003


class ItemLocked(Exception):
    """Items are under review and cannot be edited: `held` is {item: the proposal that holds it}, `proposal` the first of them."""

    def __init__(self, held: dict[str, Proposal]) -> None:
        super().__init__(", ".join(held))
        self.held, self.proposal = held, next(iter(held.values()))


class ChangedMeanwhile(Exception):
    """Somebody saved items since what is to be written was made of them: `items`."""

    def __init__(self, items: list[str]) -> None:
        super().__init__(", ".join(items))
        self.items = items


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
    if held := locks(item_ids):
        raise ItemLocked(held)


def locks(item_ids: Iterable[Any]) -> dict[str, Proposal]:
    """{item: the proposal under review that holds it}."""
    held = ProposalItem.objects.filter(item__in=list(item_ids), is_open=True, proposal__state__in=Proposal.LOCKED)
    return {str(one.item): one.proposal for one in held.select_related("proposal__author")}


def last_saved(item_id: Any) -> int:
    """The newest revision's id of an item, 0 if it has none: what a form remembers, to notice a newer save."""
    return Revision.objects.filter(item=item_id).order_by("-id").values_list("id", flat=True).first() or 0


def write_items(wanted: dict[str, Definition | None], *, by: User | None, why: str) -> None:
    """Bring draft rows to definitions, None: remove the row. Within `writing`.

    Raises ItemInUse, and IntegrityError where a code is another's that stays, or what is referred to is not there.
    """
    ids = [UUID(item) for item, one in wanted.items() if one is None]
    gone = {kind: list(MODELS[kind]._default_manager.filter(pk__in=ids)) for kind in KINDS}
    for kind in KINDS:
        of_kind = {item: one for item, one in wanted.items() if one is not None and one["kind"] == kind}
        there = _let_go_of_names(kind, of_kind, gone[kind])
        if of_kind:
            record_revisions(apply_definitions(of_kind), created=of_kind.keys() - there, by=by, why=why)
    for kind in reversed(KINDS):
        for row in gone[kind]:
            remove(row, by=by, why=why)
    connection.check_constraints()  # here, where it can be told, not when the transaction ends


def _let_go_of_names(kind: str, wanted: dict[str, Definition], gone: list[Any]) -> set[str]:
    """Give what goes or is called otherwise a stand-in for its code, so that another may have it in the same act. Those that are there."""
    rows, name = MODELS[kind]._default_manager, "name" if kind == "rule" else "code"
    standing = {str(pk): text for pk, text in rows.filter(pk__in=wanted).values_list("pk", name)}
    moved = [item for item, text in standing.items() if text != wanted[item][name]]
    if moved or gone:
        stand_in = Concat(models.Value("~"), Cast("pk", models.CharField()))
        rows.filter(pk__in=[*moved, *(row.pk for row in gone)]).update(**{name: stand_in})
    return standing.keys()  # type: ignore[return-value]


def rules_of(item_ids: Iterable[Any]) -> list[str]:
    """The draft's rules of those of the items that are sources: what goes with them."""
    return [str(pk) for pk in MappingRule.objects.filter(source__in=list(item_ids)).values_list("pk", flat=True)]


def remove(row: models.Model, *, by: User | None, why: str = "") -> None:
    """Take a row and what stands below it from the draft, keeping the last state of each in the history. Raises ItemInUse.

    A source's row stays outside the draft: what it sent, and what lets it send, refer to it.
    """
    below = list(row.rules.all()) if isinstance(row, Source) else []
    for one in (*below, row):
        record_revision(one, by=by, action=Revision.Action.DELETED, why=why)
    if isinstance(row, Source):
        if modes := list(TagMode.objects.filter(source=row).select_related("tag", "source")):
            raise ItemInUse(row, modes)
        row.leave_draft()
        return
    try:
        row.delete()
    except ProtectedError as error:
        raise ItemInUse(row, sorted(error.protected_objects, key=str)) from error
