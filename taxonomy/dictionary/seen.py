"""What changed in the standard since somebody last looked."""

from dataclasses import dataclass
from functools import lru_cache

from staff.models import User
from taxonomy.definition import Items
from taxonomy.models import Release
from taxonomy.publish import ItemChange, changes_between, items_of


@dataclass(frozen=True, slots=True)
class News:
    """Between the release a person saw last and the current one; `before` are the items then."""

    since: Release
    before: Items
    changes: list[ItemChange]


def count_news(person: User, current: Release) -> int:
    """How many items releases changed since this person looked. Who never looked has seen the current one. One query."""
    if person.seen_release is None:
        mark_seen(person, current.pk)
    if person.seen_release == current.pk:
        return 0
    changed = Release.objects.filter(pk__gt=person.seen_release).values_list("changed_items", flat=True)
    return len({item for items in changed for item in items})


def news(person: User, current: Release, items: Items) -> News | None:
    """What differs from the release this person saw last; None where that is the current one. Two queries."""
    if person.seen_release is None:
        mark_seen(person, current.pk)
    since = Release.objects.filter(pk__lte=person.seen_release).defer("snapshot").order_by("-id").first()
    if since is None or since.pk == current.pk:
        return None
    before = _items_in(since.pk, since.content_hash)
    return News(since, before, changes_between(before, items))


def mark_seen(person: User, release_id: int) -> None:
    """Remember that this person knows the standard up to this release; never an earlier one than before."""
    if person.seen_release is None or person.seen_release < release_id:
        person.seen_release = release_id
        person.save(update_fields=["seen_release"])


@lru_cache(maxsize=4)
def _items_in(release_id: int, _content_hash: str) -> Items:
    return items_of(Release.objects.get(pk=release_id))
