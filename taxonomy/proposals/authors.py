"""Who wrote a change: whoever saved an item since it was last released, and who put it into a proposal. None of them signs it."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from taxonomy.definition import Definition
from taxonomy.models import Proposal, Release, Revision
from taxonomy.proposals.merge import Part, parts_written


def author_ids(proposal: Proposal, saves: Mapping[str, list[Revision]] | None = None) -> set[int]:
    """Its author, its co-authors, and whoever saved what it holds; of a released proposal, up to its release.

    `saves`: those of `saves_of`, where they are at hand.
    """
    found = saves_of(proposal) if saves is None else saves
    saved = {one.by_id for some in found.values() for one in some if one.by_id is not None}
    return {proposal.author_id, *(person.pk for person in proposal.co_authors.all()), *saved}


def saves_of(proposal: Proposal) -> dict[str, list[Revision]]:
    """{item: the saves that made it what the proposal holds, the newest first}."""
    from taxonomy.publish import items_of, newest

    rows = {str(one.item): one.before for one in proposal.items.all()}
    if proposal.is_open and not proposal.is_locked and rows:
        released = items_of(newest())
        rows = {item: released.get(item) for item in rows}
    return saves_since(rows, until=proposal.release)


def saves_since(released: Mapping[str, Definition | None], *, until: Release | None = None) -> dict[str, list[Revision]]:
    """{item: its saves since it last was as released, the newest first}. Two queries, three where a save restored another.

    `released`: how each item stands in the release, None where it does not. What was brought back to that, and what was
    released in between, is nobody's any more; any part of it that was written again since is its first writer's too, and
    what restored an older save is also whose that was.
    """
    changes = _changes_of(released, until)
    before = {item: times[-1] for item, times in changes.items()}
    revisions = Revision.objects.filter(item__in=list(released)).select_related("by").order_by("-id")
    if until is not None:
        revisions = revisions.filter(at__lte=until.published_at)
    if before and len(before) == len(released):
        revisions = revisions.filter(at__gt=min(before.values()))
    found: dict[str, list[Revision]] = {}
    settled: set[str] = set()
    written: dict[str, set[Part]] = defaultdict(set)
    for one in revisions:
        item = str(one.item)
        if item in before and one.at <= before[item]:
            continue
        stands = None if one.action == Revision.Action.DELETED else one.definition
        parts = parts_written(released[item], stands)
        if stands == released[item]:
            settled.add(item)
        elif item not in settled:
            found.setdefault(item, []).append(one)
            written[item] |= parts
        elif parts & written[item]:
            found[item].append(one)
    _add_restored(found, released, changes)
    return found


def _add_restored(
    found: dict[str, list[Revision]], released: Mapping[str, Definition | None], changes: Mapping[str, list[datetime]]
) -> None:
    """Add to the saves those of what they restored, back to the release before it, as far as they wrote what it brings back."""
    waiting = [one for some in found.values() for one in some if one.restores_id is not None]
    if not waiting:
        return
    older: dict[str, list[Revision]] = defaultdict(list)
    for one in Revision.objects.filter(item__in={one.item for one in waiting}).select_related("by").order_by("-id"):
        older[str(one.item)].append(one)
    for again in waiting:
        item, times = str(again.item), changes.get(str(again.item), [])
        restored = next(one for one in older[item] if one.pk == again.restores_id)
        earlier = times[: bisect_left(times, restored.at)]
        parts = parts_written(released[item], restored.definition)
        known = {one.pk for one in found[item]}
        behind = [
            one
            for one in older[item]
            if one.pk <= restored.pk
            and one.pk not in known
            and (not earlier or one.at > earlier[-1])
            and parts & parts_written(released[item], None if one.action == Revision.Action.DELETED else one.definition)
        ]
        found[item] += behind
        waiting += [one for one in behind if one.restores_id is not None]


def names_of(saves: Iterable[Revision]) -> str:
    """The names of who saved, each once, the newest first."""
    return ", ".join(dict.fromkeys(str(one.by or "Tagline") for one in saves))


def _changes_of(items: Mapping[str, object], until: Release | None) -> dict[str, list[datetime]]:
    """{item: when releases changed it, the oldest first}, of those that one ever did."""
    releases = Release.objects.filter(changed_items__has_any_keys=list(items)).order_by("id")
    if until is not None:
        releases = releases.filter(pk__lt=until.pk)
    found: dict[str, list[datetime]] = defaultdict(list)
    for published_at, changed in releases.values_list("published_at", "changed_items"):
        for item in changed:
            if item in items:
                found[item].append(published_at)
    return found
