"""From what a file says to a proposal, and from the plan to a file: where the pure modules meet the database."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from staff.models import Department, User
from taxonomy.definition import Definition, Items, draft_items
from taxonomy.exchange.formats import Choices, Exported, export_as, part_of, read_as, read_files
from taxonomy.exchange.formats.found import LeftOut
from taxonomy.exchange.written import Entry, Written, chosen, read
from taxonomy.models import Proposal
from taxonomy.propose import NothingChanged, propose_definitions
from taxonomy.publish import items_of, newest


class Looked(NamedTuple):
    """What an upload would do: `written` is to be proposed, `base` the draft it was read against."""

    written: Written
    entries: list[Entry]
    left_out: list[LeftOut]
    base: Items


def look_at(format: str, uploads: list[tuple[str, bytes]], choices: Choices) -> Looked:
    """Read files of a format against the draft; nothing is stored. Raises KeyError for an unknown format."""
    files, unread = read_files(uploads)
    base, departments = draft_items(), _departments()
    carried = read_as(format, files, base, choices=choices, departments=departments)
    return Looked(carried.written, read(carried.written, base, departments=departments), unread + carried.left_out, base)


def propose_written(written: Written, *, title: str, why: str, by: User) -> Proposal:
    """Propose what the written changes of the draft as it is now. Raises NothingChanged and what propose_definitions does."""
    base = draft_items()
    wanted = sound(read(written, base, departments=_departments()), base)
    if not wanted:
        raise NothingChanged
    return propose_definitions(wanted, title=title, why=why, by=by)


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


def _departments() -> set[str]:
    return set(Department.objects.values_list("pk", flat=True))


def _refers_to(one: Definition) -> list[str]:
    found = [one.get(name) for name in ("parent", "category", "successor", "source", "tag")]
    return [str(item) for item in (*found, *(use["attribute"] for use in one.get("attributes") or [])) if item]
