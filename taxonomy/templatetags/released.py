from typing import Any
from uuid import UUID

from django import template

from taxonomy.released import Named, named

register = template.Library()


@register.filter
def released(item_id: UUID | None, kind: Any) -> Named | None:
    """What an item is called where it is live: {{ run.source_id|released:"source" }}."""
    return named(kind, [item_id]).get(item_id)
