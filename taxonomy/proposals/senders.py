"""Which sources send what a change touches by its own name."""

from collections.abc import Collection
from datetime import date, timedelta
from uuid import UUID

from taxonomy.definition import Items
from taxonomy.proposals.affected import Senders
from taxonomy.recent import tags_sent

# Longer than what comes monthly takes to come again. 300 tags that two sources send daily: 30 ms.
SENT_WITHIN = timedelta(days=45)


def native_senders(before: Items, after: Items, changed: Collection[str], *, on: date) -> Senders:
    """{tag: its sources} in the 45 days before a day, and since, of the tags that a change of these items touches. One query."""
    touched = {
        item
        for plan in (before, after)
        for item, one in plan.items()
        if one["kind"] == "tag" and (item in changed or any(use["attribute"] in changed for use in one.get("attributes") or []))
    }
    found: dict[str, list[str]] = {}
    for tag, source in tags_sent([UUID(item) for item in touched], on - SENT_WITHIN):
        if str(source) in before or str(source) in after:
            found.setdefault(str(tag), []).append(str(source))
    return found
