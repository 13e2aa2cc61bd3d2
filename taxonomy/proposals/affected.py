"""Which sources an effect of a change concerns: those that must change something, or may. Pure."""

from collections import defaultdict

from taxonomy.proposals.verdict import Effect, Items, Verdict


def effects_by_source(verdict: Verdict, before: Items, after: Items) -> dict[str, list[Effect]]:
    """{source: the effects on what it sends}, for what its rules reach before or after. Wording concerns nobody."""
    reached: dict[str, set[str]] = defaultdict(set)
    for plan in (before, after):
        for item, one in plan.items():
            if one["kind"] == "source":
                reached[item].add(item)
            elif one["kind"] == "rule":
                tag = plan.get(one["tag"], {})
                reached[one["source"]] |= {item, one["tag"], *(use["attribute"] for use in tag.get("attributes") or [])}
    telling = {item: [one for one in effects if one.level != "wording"] for item, effects in verdict.by_item.items()}
    found = {source: [one for item in telling if item in items for one in telling[item]] for source, items in reached.items()}
    return {source: some for source, some in found.items() if some}
