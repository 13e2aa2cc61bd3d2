"""What would let a cause's events in for good: changes of the standard, tried on the events themselves, then proposed.

Whatever only mends the events that are held is the desk's; here the standard changes, so that it ends in a proposal.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.utils.translation import gettext as _

from ingestion.discovery.adopt import CUT_AT
from ingestion.models import Cause, Replay
from ingestion.quarantine.replay import Preview, preview
from staff.models import User
from taxonomy.current import current
from taxonomy.definition import Definition, Items, draft_items
from taxonomy.models import Proposal
from taxonomy.problems import plan_problem
from taxonomy.proposals.propose import propose_definitions
from taxonomy.released import named
from taxonomy.standardize import Plan, check_plan, compile_plan
from taxonomy.standardize.phone import normalize_region
from taxonomy.standardize.plan import Meaning, Slot
from taxonomy.standardize.times import compile_time
from taxonomy.standardize.transforms import WrongTransforms, compile_transforms
from taxonomy.standardize.types import ABSENT, Defaults, Fault, Faults
from taxonomy.violations import title_for

KINDS = ("map", "optional", "transform", "region", "time_format")
# Whole, with nothing of a number beside it: of "9,90 yuan" or "1,299.00" a part would be another number.
_NUMBER = 'extract("^[^0-9.,-]*([0-9]+(?:[.][0-9]+)?)[^0-9.,-]*$", 1)'
# Transforms that often put values of a type right.
_OFTEN: dict[str, Sequence[str]] = {
    "money": ("decimal_comma", _NUMBER),
    "decimal": ("decimal_comma", _NUMBER),
    "integer": ("whole_number", "decimal_comma", _NUMBER),
    "choice": ("trim | lower", "trim | upper"),
    "text": ('join(", ")',),
    "list": ('split(",")', 'split(";")'),
    "date": ("date_format(%d/%m/%Y)", "date_format(%m/%d/%Y)", "date_format(%d.%m.%Y)", "date_format(%Y年%m月%d日)", "date_format(%Y%m%d)"),
    "datetime": ("date_format(%d/%m/%Y %H:%M:%S)", "date_format(%d/%m/%Y %H:%M)", "date_format(%m/%d/%Y %H:%M)"),
}
_TIMES = (
    "epoch_s", "epoch_ms", "epoch_us", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y%m%d%H%M%S", "%Y%m%d%H%M", "%y/%m/%d %H:%M:%S", "excel",
)  # fmt: skip
# Records whose form is another's: so are their times.
_TIMES_FIXED = ("segment", "cloudevents")


class NoRemedy(Exception):
    """Why a change is not possible, in a sentence."""


def offered(replay: Replay, plan: Plan) -> list[str]:
    """Which changes the standard offers for a cause."""
    if replay.code == "event.unknown" and replay.name and len(replay.name) < CUT_AT:
        return ["map"]
    source = plan.sources_by_uuid.get(str(replay.source_id))
    if replay.code == "phone.region_unknown" and replay.path == "phone" and source:
        return ["region"]
    if replay.code == "time.invalid" and replay.path == "occurred_at" and source and source.envelope.get("preset") not in _TIMES_FIXED:
        return ["time_format"]
    if not replay.path.startswith("attributes") or not meanings(replay, plan):
        return []
    found = ["optional"] if replay.code == "attribute.missing" else []
    if slots(replay, plan) and _ruled(replay, plan):
        found.append("transform")
    return found


def meanings(replay: Replay, plan: Plan) -> list[Meaning]:
    """What the cause's event name can mean to its source."""
    source = plan.sources_by_uuid.get(str(replay.source_id))
    return source.meanings(replay.name or "") if source else []


def slots(replay: Replay, plan: Plan) -> list[Slot]:
    """The attribute that the cause is about, as each of these tags uses it; a place within one has none."""
    code = replay.path.removeprefix("attributes.")
    tags = (meaning.reading.tag for meaning in meanings(replay, plan))
    return [tag.slots[code] for tag in tags if code in tag.slots]


def change(kind: str, choice: str, replay: Replay, items: Items) -> Items:
    """Definitions of `items` as the change would have them. Raises NoRemedy.

    `choice`: a tag's id to map to, transforms, a region, or a time format.
    """
    plan = current().plan
    if kind not in offered(replay, plan):
        raise NoRemedy(_("The standard offers no such change for this cause any more."))
    ways = {"map": _mapped, "optional": _optional, "transform": _transformed, "region": _in_region, "time_format": _timed}
    wanted = ways[kind](choice.strip(), replay, plan, items)
    if not wanted:
        raise NoRemedy(_("The draft of the standard is so already. Propose what it changes, and release it."))
    return wanted


def effect(kind: str, choice: str, replay: Replay, *, sample: int) -> Preview:
    """What the change of what is released would do to the cause's newest events. Raises NoRemedy."""
    obeyed = current()
    wanted = change(kind, choice, replay, obeyed.plan.items)
    items = _narrowed(replay, obeyed.plan, wanted)
    if problems := list(check_plan(items)):
        raise NoRemedy(plan_problem(problems[0], items))
    return preview(replay, plan=compile_plan(items), sample=sample)


def propose_change(kind: str, choice: str, cause: Cause, replay: Replay, found: Preview, *, by: User) -> Proposal:
    """A draft of the change and its proposal, saying why. Raises NoRemedy, and what `propose_definitions` does."""
    source = named("source", [cause.source_id])[cause.source_id]
    what = {
        "map": _("Map a name of %(source)s to a tag"), "optional": _("Ask no longer for %(path)s"), "transform": _("Transform %(path)s of %(source)s"),
        "region": _("Default region of %(source)s: %(choice)s"), "time_format": _("Time format of %(source)s: %(choice)s"),
    }  # fmt: skip
    path = replay.path.removeprefix("attributes.").removeprefix("attributes")
    title = what[kind] % {"source": source, "path": path, "choice": choice.strip()}
    why = _("%(count)s events of %(source)s are held: %(title)s. Of the newest %(tried)s this lets %(fixed)s in.") % {
        "count": f"{cause.held:,}", "source": source, "title": title_for(cause.code), "tried": f"{found.tried:,}", "fixed": f"{found.fixed:,}",
    }  # fmt: skip
    if kind == "time_format" and 0 < found.tried - found.lost == found.causes[(cause.code, cause.path)]:
        raise NoRemedy(_("None of these times is read so. Of files whose columns are matched, the matching says how times are written."))
    link = settings.SITE_URL.rstrip("/") + cause.get_absolute_url()
    return propose_definitions(dict(change(kind, choice, replay, draft_items())), title=title.strip(), why=why, by=by, links=link)


def suggestions(replay: Replay, plan: Plan, seen: Iterable[tuple[str | None, int]], given: Sequence[tuple[str | None, str]] = ()) -> list[tuple[str, int]]:  # fmt: skip
    """What would read the values seen, [(value, events)], best first: [(transforms or time format, events)]. `given`: wrong → right."""
    if "time_format" in offered(replay, plan):
        zone = plan.sources_by_uuid[str(replay.source_id)].timezone
        return _best(_TIMES, seen, lambda text, value: not isinstance(compile_time(text, zone)(value), Fault))
    found = slots(replay, plan)
    if not found:
        return []
    pairs = [(wrong, right) for wrong, right in given if wrong is not None]
    often = ["trim", *_OFTEN.get(found[0].type, ())] if replay.code != "attribute.missing" else []
    tried = [*([f"value_map({', '.join(f'{_quoted(wrong)}={_quoted(right)}' for wrong, right in pairs)})"] if pairs else []), *often]
    return _best(tried, seen, lambda text, value: _reads(text, value, found[0]))


def _best(tried: Iterable[str], seen: Iterable[tuple[str | None, int]], reads: Callable[[str, str], bool]) -> list[tuple[str, int]]:
    values = [(value, events) for value, events in seen if value is not None]
    counted = ((text, sum(events for value, events in values if reads(text, value))) for text in tried)
    return sorted(((text, events) for text, events in counted if events), key=lambda one: -one[1])


def _reads(transforms: str, value: str, slot: Slot) -> bool:
    try:
        read = compile_transforms(transforms)(value, {})
    except WrongTransforms:
        return False
    standard = read if isinstance(read, Fault) or read is ABSENT or read is None else slot.cast(read, Defaults("UTC", "", "CNY"))
    return standard is not None and standard is not ABSENT and not isinstance(standard, Fault | Faults)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def _mapped(choice: str, replay: Replay, _plan: Plan, items: Items) -> Items:
    tag = items.get(choice)
    if tag is None or tag["kind"] != "tag":
        raise NoRemedy(_("Choose the tag it means."))
    there = [
        one for one in items.values()
        if one["kind"] == "rule" and one["source"] == str(replay.source_id) and one["match"] == "exact" and one["name"] == replay.name and not one["condition"]
    ]  # fmt: skip
    if there:
        raise NoRemedy(_("The draft has a rule for this name already. Propose it, and release it."))
    return {str(uuid4()): _new_rule(replay, choice, items, [])}


def _optional(_choice: str, replay: Replay, plan: Plan, items: Items) -> Items:
    wanted: Items = {}
    for uuid in dict.fromkeys(meaning.reading.tag.uuid for meaning in meanings(replay, plan) if meaning.reading.tag.uuid in items):
        tag = items[uuid]
        code, _point, place = replay.path.removeprefix("attributes").removeprefix(".").replace("[]", ".").partition(".")
        used = {items[use["attribute"]]["code"]: use["attribute"] for use in tag["attributes"] if use["attribute"] in items}
        if not code:
            wanted[uuid] = {**tag, "one_of": []}
        elif place and code in used:
            attribute = deepcopy(items[used[code]])
            _ask_no_longer(attribute, [name for name in place.split(".") if name])
            wanted[used[code]] = attribute
        elif code in used:
            uses = [{**use, "required": use["required"] and use["attribute"] != used[code]} for use in tag["attributes"]]
            wanted[uuid] = {**tag, "attributes": uses}
    return {item: one for item, one in wanted.items() if one != items[item]}


def _ask_no_longer(definition: Definition, names: list[str]) -> None:
    """Make a field of an object optional, in the definition itself."""
    for name in names[:-1]:
        definition = (definition.get("fields") or {}).get(name, {})
    if field := (definition.get("fields") or {}).get(names[-1]):
        field["required"] = False


def _transformed(choice: str, replay: Replay, plan: Plan, items: Items) -> Items:
    if not choice:
        raise NoRemedy(_("Say which transforms, such as decimal_comma."))
    code = replay.path.removeprefix("attributes.")
    wanted: Items = {}
    for meaning in _ruled(replay, plan):
        tag, rule = meaning.reading.tag, items.get(meaning.reading.rule or "")
        if code not in tag.slots:
            continue
        if rule is None:
            wanted[str(uuid4())] = _new_rule(replay, tag.uuid, items, [{"target": code, "path": code, "transforms": choice}])
            continue
        rows = deepcopy(rule["rows"])
        row = next((one for one in rows if one["target"] == code), None)
        if row is None:
            rows.append({"target": code, "path": code, "transforms": choice})
        else:
            # where a transform failed, the new one goes before it; where the cast did, behind
            steps = [choice, row["transforms"]] if replay.code == "attribute.transform" else [row["transforms"], choice]
            row["transforms"] = " | ".join(step for step in steps if step.strip())
        wanted[str(meaning.reading.rule)] = {**rule, "rows": rows}
    return wanted


def _in_region(choice: str, replay: Replay, _plan: Plan, items: Items) -> Items:
    region = normalize_region(choice)
    if not region:
        raise NoRemedy(_("Give a country in two letters, such as CN."))
    return _of_source(replay, items, {"region": region})


def _timed(choice: str, replay: Replay, _plan: Plan, items: Items) -> Items:
    try:
        compile_time(choice or "-", "UTC")
    except ValueError:
        raise NoRemedy(_("Say how times are written, such as %d/%m/%Y %H:%M:%S or epoch_s.")) from None
    envelope = items.get(str(replay.source_id), {}).get("envelope") or {}
    return _of_source(replay, items, {"envelope": {**envelope, "time_format": choice}})


def _of_source(replay: Replay, items: Items, fields: dict[str, Any]) -> Items:
    uuid = str(replay.source_id)
    return {uuid: {**items[uuid], **fields}} if uuid in items and items[uuid] != {**items[uuid], **fields} else {}


def _ruled(replay: Replay, plan: Plan) -> list[Meaning]:
    """The meanings that a rule gives, or would give if there were one for the tag's own code."""
    found = meanings(replay, plan)
    return [one for one in found if one.reading.rule or (one.refined is None and one.reading.tag.code == (replay.name or "").lower())]


def _new_rule(replay: Replay, tag: str, items: Items, rows: list[dict[str, str]]) -> Definition:
    source = str(replay.source_id)
    last = max((one["position"] for one in items.values() if one["kind"] == "rule" and one["source"] == source), default=0)
    return {
        "kind": "rule", "source": source, "position": last + 1, "match": "exact", "name": replay.name or "", "condition": None,
        "tag": tag, "rows": rows, "keep_unmapped": True,
    }  # fmt: skip


def _narrowed(replay: Replay, plan: Plan, wanted: Items) -> Items:
    """Of the plan what one name of one source needs, with the change: a large plan takes longer to compile than people wait."""
    items = plan.items | wanted
    if not replay.name or len(replay.name) >= CUT_AT:
        return items
    source = str(replay.source_id)
    tags = {meaning.reading.tag.uuid for meaning in meanings(replay, plan)} | {
        one["tag"] for one in wanted.values() if one["kind"] == "rule"
    }
    for tag in list(tags):
        while (tag := items[tag].get("successor")) and tag not in tags:
            tags.add(tag)
    attributes = {use["attribute"] for tag in tags for use in items[tag]["attributes"]}
    return {
        item: one for item, one in items.items()
        if item in tags or item in attributes or item == source or one["kind"] == "category"
        or (one["kind"] == "rule" and one["source"] == source and one["tag"] in tags)
    }  # fmt: skip
