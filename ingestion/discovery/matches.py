"""What in the standard an unknown name may mean: the nearest tags or attributes, each with the reason."""

from dataclasses import dataclass
from typing import Any

from taxonomy.models import Attribute, Tag
from taxonomy.similar.lookalikes import Hidden, alike_in_draft


@dataclass(frozen=True, slots=True)
class Match:
    """`score`: 1 is the same. `reason` is for people."""

    item: Any
    score: float
    reason: str


def matching_tags(text: str, limit: int = 3, hidden: Hidden | None = None) -> list[Match]:
    """Tags of the draft that the name may mean, best first; by their own names, or by what rules of any source map to them."""
    return _matches(Tag.objects.exclude(status=Tag.Status.DEPRECATED), text, limit, hidden=hidden)


def matching_attributes(text: str, limit: int = 3, hidden: Hidden | None = None) -> list[Match]:
    """Attributes of the library that the name may mean, best first."""
    return _matches(Attribute.objects.all(), text, limit, hidden=hidden)


def _matches(rows: Any, text: str, limit: int, hidden: Hidden | None = None) -> list[Match]:
    found = alike_in_draft(text, rows.model.kind, limit=limit * 2, hidden=hidden)
    by_id = {str(row.pk): row for row in rows.filter(pk__in=[item for item, _score, _why in found])}
    return [Match(by_id[item], score, why) for item, score, why in found if item in by_id][:limit]
