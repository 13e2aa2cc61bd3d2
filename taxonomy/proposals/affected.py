"""Which sources an effect of a change concerns: those that must change something, or may. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from taxonomy.proposals.verdict import Effect, Items, Verdict

# {tag: the sources that send it by its own name}, which no rule tells of.
Senders = Mapping[str, Collection[str]]


def effects_by_source(verdict: Verdict, before: Items, after: Items, senders: Senders) -> dict[str, list[Effect]]:
    """{source: the effects on what it sends}, for what it sends by its own name, or its rules reach. Wording concerns nobody."""
    reached: dict[str, set[str]] = defaultdict(set)
    for plan in (before, after):
        for item, one in plan.items():
            if one["kind"] == "source":
                reached[item].add(item)
            elif one["kind"] == "rule":
                reached[one["source"]] |= {item, one["tag"], *_attributes(one["tag"], plan)}
        for tag, sources in senders.items():
            for source in sources:
                reached[source] |= {tag, *_attributes(tag, plan)}
    telling = {item: [one for one in effects if one.level != "wording"] for item, effects in verdict.by_item.items()}
    found = {source: [one for item in telling if item in items for one in telling[item]] for source, items in reached.items()}
    return {source: some for source, some in found.items() if some}


def _attributes(tag: str, items: Items) -> Iterator[str]:
    return (use["attribute"] for use in items.get(tag, {}).get("attributes") or [])
