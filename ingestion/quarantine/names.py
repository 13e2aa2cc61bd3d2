"""The names that a cause's events can get instead: what the source's own rules know, the tags, and what people call tags.

`hidden`: the items that the reader may not read. What is among them is offered to nobody who types, and is no name they can give.
"""

from collections.abc import Collection
from itertools import islice
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from ingestion.models import Replay
from ingestion.quarantine.replay import Preview
from staff.models import in_reader_language
from taxonomy.places import cause_words
from taxonomy.standardize import Plan
from taxonomy.standardize.plan import TagPlan
from taxonomy.violations import WORDS

Mends = list[dict[str, Any]]
# Reasons told of a choice that lets nothing in, and names told to try instead.
_TOLD = 2
_WORTH_A_TRY = 3


def names_for(replay: Replay, plan: Plan, hidden: Collection[str] = ()) -> list[tuple[str, str]]:
    """What can be given as the event: the names of the source's rules first, then the tags, each with what the tag is called."""
    own = {name: " / ".join(map(_label, tags)) for name, tags in _own_names(replay, plan, hidden).items()}
    open_ones = (tag for tag in plan.tags.values() if tag.status == "active" and tag.uuid not in hidden)
    tags = sorted((tag.code, _label(tag)) for tag in open_ones if tag.code not in own)
    return [*sorted(own.items()), *tags]


def _own_names(replay: Replay, plan: Plan, hidden: Collection[str]) -> dict[str, list[TagPlan]]:
    """The tags that each name of the source's rules means; no patterns, which are no names, and not the cause's own."""
    found: dict[str, list[TagPlan]] = {}
    source = plan.sources_by_uuid.get(str(replay.source_id))
    for rule in source.rules if source else ():
        name = rule.definition["name"]
        is_name = rule.definition.get("match") != "pattern" and name != replay.name and not _is_hidden(rule.uuid, rule.tag, hidden)
        if is_name and rule.tag.receives and rule.tag not in found.get(name, ()):
            found.setdefault(name, []).append(rule.tag)
    return found


def settle_names(mends: Mends, replay: Replay, plan: Plan, hidden: Collection[str] = ()) -> Mends:
    """Mends in which what people call a tag, in either language, is its code."""
    return [{**one, "value": _code_of(one["value"], plan, hidden)} if _is_unknown(one, replay, plan, hidden) else one for one in mends]


def unknown_names(mends: Mends, replay: Replay, plan: Plan, hidden: Collection[str] = ()) -> list[str]:
    """What is given as the event and neither the source's rules nor the tags know."""
    return list(dict.fromkeys(one["value"] for one in mends if _is_unknown(one, replay, plan, hidden)))


def _is_unknown(mend: dict[str, Any], replay: Replay, plan: Plan, hidden: Collection[str]) -> bool:
    source = plan.sources_by_uuid.get(str(replay.source_id))
    if mend["target"] != "event" or source is None:
        return False
    read = (meaning.reading for meaning in source.meanings(mend["value"]))
    return all(_is_hidden(one.rule, one.tag, hidden) for one in read)


def _is_hidden(rule: str | None, tag: TagPlan, hidden: Collection[str]) -> bool:
    return tag.uuid in hidden or rule in hidden


def _code_of(name: str, plan: Plan, hidden: Collection[str]) -> str:
    """The code of the one tag that is called so, else the name."""
    open_ones = (tag for tag in plan.receiving.values() if tag.uuid not in hidden)
    called = [tag.code for tag in open_ones if name.lower() in labels_of(tag.definition)]
    return called[0] if len(called) == 1 else name


def labels_of(definition: dict[str, Any]) -> set[str]:
    """What an item is called, in both languages, in small letters."""
    return {definition[label].strip().lower() for label in ("label_en", "label_zh_hans") if definition.get(label)}


def why_none(found: Preview, replay: Replay, hidden: Collection[str] = ()) -> str:
    """Why a choice lets none of what was tried in, in a sentence or two; "" where it does."""
    if found.fixed or not found.tried:
        return ""
    told = [_("It would let in none of these events.")]
    for code, path, _count in found.reasons[:_TOLD]:
        if code == "event.unknown" and any(one["target"] == "event" for one in replay.mends):
            told.append(_("The rules for the name given apply only within limits, which these events do not keep."))
            continue
        happened, where = str(WORDS[code][1]), cause_words(code, path, found.one_of, hidden)
        told.append(_("%(what)s: %(where)s.") % {"what": happened.rstrip(".。"), "where": where} if path else happened)
    return ("" if (get_language() or "").startswith("zh") else " ").join(told)


def worth_a_try(found: Preview, chosen: str, replay: Replay, plan: Plan, hidden: Collection[str] = ()) -> list[str]:
    """Where the tag chosen, or those given, lack an attribute: the source's own names for them, whose rules may read it elsewhere."""
    if found.fixed or all(code != "attribute.missing" for code, _path in found.causes):
        return []
    given = {chosen.strip().lower(), *(one["value"].lower() for one in replay.mends if one["target"] == "event")}
    own = _own_names(replay, plan, hidden).items()
    fit = (name for name, tags in own if name not in given and any(given & {tag.code, *labels_of(tag.definition)} for tag in tags))
    return list(islice(fit, _WORTH_A_TRY))


def tag_shown(code: str | None, plan: Plan, hidden: Collection[str]) -> str:
    """The tag of a code, or the name of none, as the reader may see it."""
    tag = plan.tags_by_code.get((code or "").lower())
    return _("(not shown to you)") if tag is not None and tag.uuid in hidden else code or ""


def _label(tag: TagPlan) -> str:
    return in_reader_language(tag.definition["label_en"], tag.definition["label_zh_hans"])
