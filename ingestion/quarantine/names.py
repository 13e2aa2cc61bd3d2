"""The names that a cause's events can get instead: what the source's own rules know, the tags, and what people call tags."""

from collections.abc import Collection
from itertools import islice
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from ingestion.models import Replay
from ingestion.quarantine.replay import Preview
from staff.models import in_reader_language
from taxonomy.places import place_words
from taxonomy.standardize import Plan
from taxonomy.standardize.plan import TagPlan
from taxonomy.violations import WORDS

Mends = list[dict[str, Any]]
# Reasons told of a choice that lets nothing in, and names told to try instead.
_TOLD = 2
_WORTH_A_TRY = 3


def names_for(replay: Replay, plan: Plan) -> list[tuple[str, str]]:
    """What can be given as the event: the names of the source's rules first, then the tags, each with what the tag is called."""
    own = {name: " / ".join(map(_label, tags)) for name, tags in _own_names(replay, plan).items()}
    tags = sorted((tag.code, _label(tag)) for tag in plan.tags.values() if tag.status == "active" and tag.code not in own)
    return [*sorted(own.items()), *tags]


def _own_names(replay: Replay, plan: Plan) -> dict[str, list[TagPlan]]:
    """The tags that each name of the source's rules means; no patterns, which are no names, and not the cause's own."""
    found: dict[str, list[TagPlan]] = {}
    source = plan.sources_by_uuid.get(str(replay.source_id))
    for rule in source.rules if source else ():
        name = rule.definition["name"]
        if rule.definition.get("match") != "pattern" and name != replay.name and rule.tag.receives and rule.tag not in found.get(name, ()):
            found.setdefault(name, []).append(rule.tag)
    return found


def settle_names(mends: Mends, replay: Replay, plan: Plan) -> Mends:
    """Mends in which what people call a tag, in either language, is its code."""
    return [{**one, "value": _code_of(one["value"], plan)} if _is_unknown(one, replay, plan) else one for one in mends]


def unknown_names(mends: Mends, replay: Replay, plan: Plan) -> list[str]:
    """What is given as the event and neither the source's rules nor the tags know."""
    return list(dict.fromkeys(one["value"] for one in mends if _is_unknown(one, replay, plan)))


def _is_unknown(mend: dict[str, Any], replay: Replay, plan: Plan) -> bool:
    source = plan.sources_by_uuid.get(str(replay.source_id))
    return mend["target"] == "event" and source is not None and not source.meanings(mend["value"])


def _code_of(name: str, plan: Plan) -> str:
    """The code of the one tag that is called so, else the name."""
    called = [tag.code for tag in plan.receiving.values() if name.lower() in labels_of(tag.definition)]
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
        happened, where = str(WORDS[code][1]), place_words(path, groups_of(found, code), hidden)
        told.append(_("%(what)s: %(where)s.") % {"what": happened.rstrip(".。"), "where": where} if path else happened)
    return ("" if (get_language() or "").startswith("zh") else " ").join(told)


def groups_of(found: Preview, code: str) -> list[tuple[str, ...]]:
    """The attributes of each of which one is missing, where that is the code."""
    return list(found.one_of) if code == "attribute.missing" else []


def worth_a_try(found: Preview, chosen: str, replay: Replay, plan: Plan) -> list[str]:
    """Where the tag chosen, or those given, lack an attribute: the source's own names for them, whose rules may read it elsewhere."""
    if found.fixed or all(code != "attribute.missing" for code, _path in found.causes):
        return []
    given = {chosen.strip().lower(), *(one["value"].lower() for one in replay.mends if one["target"] == "event")}
    own = _own_names(replay, plan).items()
    fit = (name for name, tags in own if name not in given and any(given & {tag.code, *labels_of(tag.definition)} for tag in tags))
    return list(islice(fit, _WORTH_A_TRY))


def _label(tag: TagPlan) -> str:
    return in_reader_language(tag.definition["label_en"], tag.definition["label_zh_hans"])
