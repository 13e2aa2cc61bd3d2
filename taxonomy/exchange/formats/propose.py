"""From what a file says to a proposal, and from the plan to a file: where the pure modules meet the database."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from staff.models import Department, User
from taxonomy.definition import Definition, Items, draft_items
from taxonomy.exchange.formats import Choices, Exported, export_as, part_of, read_as, read_files
from taxonomy.exchange.formats.found import LeftOut
from taxonomy.exchange.take import bring_beside_saves, mark_of_draft, mark_outside, propose_or_add, seen_in, takes
from taxonomy.exchange.written import Entry, Written, chosen, read
from taxonomy.models import Proposal
from taxonomy.proposals.propose import NothingChanged
from taxonomy.publish import items_of, newest
from taxonomy.rights import On, Rights, rights_of


class Looked(NamedTuple):
    """What an upload would do: `written` is to be proposed, `base` the draft it was read against, as far as the person may read it.

    `taker`: their open proposal that it would be added to. `mark`: of that draft.
    """

    written: Written
    entries: list[Entry]
    left_out: list[LeftOut]
    base: Items
    taker: Proposal | None
    mark: int


class Proposed(NamedTuple):
    """`was_open`: it was added to a proposal that keeps its title and why."""

    proposal: Proposal
    was_open: bool


def look_at(format: str, uploads: list[tuple[str, bytes]], choices: Choices, *, by: User | None = None) -> Looked:
    """Read files of a format against the draft; nothing is stored. Raises KeyError for an unknown format. `by`: who asks."""
    files, unread = read_files(uploads)
    mark = mark_of_draft()
    base, beyond, rights = _draft_of(by)
    carried = read_as(format, files, base, choices=choices, departments=_departments())
    entries = _compare(carried.written, base, beyond, rights, by)
    taker = takes(entries, by=by) if by else None
    return Looked(carried.written, entries, unread + carried.left_out, base, taker, mark)


def propose_written(written: Written, *, title: str, why: str, by: User, mark: int | None = None) -> Proposed:
    """Propose what the written changes of the draft as it is now. Raises NothingChanged and what propose_or_add does.

    `mark`: of the draft that it was shown on.
    """
    base, beyond, rights = _draft_of(by)
    entries = _compare(written, base, beyond, rights, by)
    wanted = sound(entries, base | beyond)
    if not wanted:
        raise NothingChanged
    taker = takes(entries, by=by)
    proposal = propose_or_add(wanted, seen_in(entries), into=taker, title=title, why=why, by=by, mark=mark)
    return Proposed(proposal, taker is not None)


def sound(entries: list[Entry], base: Items) -> dict[str, Definition | None]:
    """What is to be proposed, without what hangs on something wrong: a rule whose tag is, a tag whose attribute is."""
    wanted = chosen(entries)
    while orphans := [
        item for item, one in wanted.items() if one and not all(other in base or other in wanted for other in _refers_to(one))
    ]:
        for item in orphans:
            del wanted[item]
    return wanted


def export_plan(
    format: str, *, category: str = "", draft: bool = False, hidden: Callable[[Items], Collection[str]] = lambda items: ()
) -> Exported:
    """Write the current release, or the draft, in a format. Raises KeyError for one that is not written. `hidden`: items left out."""
    release = None if draft else newest()
    whole = draft_items() if draft else items_of(release)
    closed = hidden(whole)
    items = {item: one for item, one in whole.items() if item not in closed}
    return export_as(format, part_of(items, category) if category else items, release.version if release else "")


def _draft_of(person: User | None) -> tuple[Items, Items, Rights | None]:
    """(what of the draft the person may read, the rest of it, their rights); all of it for nobody in particular."""
    draft = draft_items()
    if person is None:
        return draft, {}, None
    rights = rights_of(person)
    hidden = On(rights, draft).hidden()
    return {item: one for item, one in draft.items() if item not in hidden}, {item: draft[item] for item in hidden}, rights


def _compare(written: Written, base: Items, beyond: Items, rights: Rights | None, by: User | None) -> list[Entry]:
    entries = read(written, base, departments=_departments(), beyond=beyond)
    bring_beside_saves(entries, by)
    if rights is not None:
        mark_outside(entries, rights, base | beyond)
    return entries


def _departments() -> set[str]:
    return set(Department.objects.values_list("pk", flat=True))


def _refers_to(one: Definition) -> list[str]:
    found = [one.get(name) for name in ("parent", "category", "successor", "source", "tag")]
    return [str(item) for item in (*found, *(use["attribute"] for use in one.get("attributes") or [])) if item]
