"""What of the standard a reader of customers may read: events of other tags and sources are not shown to them."""

from dataclasses import dataclass
from uuid import UUID

from staff.models import User
from taxonomy.models import Attribute, Category, Source, Tag
from taxonomy.released import codes_of
from taxonomy.rights import among, rights_of


@dataclass(frozen=True, slots=True)
class Readable:
    """Ids, and the codes of attributes that may not be read, as the draft and as the release has them."""

    tags: frozenset[UUID]
    sources: frozenset[UUID]
    categories: frozenset[UUID]
    unread_attributes: frozenset[str]

    def shows(self, tag_id: UUID | None, source_id: UUID) -> bool:
        return (tag_id is None or tag_id in self.tags) and source_id in self.sources


def readable_to(person: User) -> Readable | None:
    """None: everything. One query where nothing is granted, none for a superuser."""
    rights = rights_of(person)
    if not rights.limited:
        return None
    tags, sources, categories = (
        frozenset(among(model.objects.all(), rights).values_list("pk", flat=True))  # type: ignore[attr-defined]
        for model in (Tag, Source, Category)
    )
    attributes = Attribute.objects.exclude(pk__in=among(Attribute.objects.all(), rights).values("pk"))
    return Readable(tags, sources, categories, codes_of(attributes))
