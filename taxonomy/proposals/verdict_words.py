"""What each effect of a change means, in the words of what a source must change."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from staff.moments import day_words
from taxonomy.diff import CHOICES, CONSTRAINTS, FIELDS, shown, title
from taxonomy.models import TagMode
from taxonomy.proposals.verdict import Effect, Items, Level

LEVELS: dict[str, Promise | str] = {
    "none": _("no change"),
    "wording": _("wording"),
    "additive": _("additive"),
    "breaking": _("breaking"),
}

# How a change is marked that breaks something only later.
LATER = "later"
_MODES = dict(TagMode.Mode.choices)
_OF_TYPES = frozenset({"attribute.type_narrowed", "attribute.type_widened", "attribute.read_otherwise"})
EFFECTS: dict[str, Promise | str] = {
    "wording": _("Only words change. No source has to do anything."),
    "category.added": _("A new category. No source has to do anything."),
    "category.removed": _("The category goes. No source has to do anything."),
    "category.renamed": _("The category's code %(before)s becomes %(after)s. No source has to do anything."),
    "tag.added": _("The tag is accepted from now on."),
    "tag.removed": _("The tag is unknown from now on: its events are held. Stop sending it, or map its name to another tag."),
    "tag.renamed": _("%(before)s is unknown from now on, %(after)s is accepted. Send the new name, or map the old one to it."),
    "tag.drafted": _("The tag is a draft again: its events are held. Stop sending it, or map its name to another tag."),
    "tag.deprecated": _("The tag is still accepted. Change over to %(successor)s."),
    "tag.moved": _("The tag stands in another category. No source has to do anything."),
    "tag.attribute_required": _("%(attribute)s is required from now on: send it with every event, or the event is held."),
    "tag.attribute_added": _("%(attribute)s may be sent too."),
    "tag.attribute_removed": _("%(attribute)s is no longer read: it is set aside. Stop sending it."),
    "tag.attribute_optional": _("%(attribute)s need not be sent any longer."),
    "tag.one_of_tightened": _("At least one of %(codes)s is required from now on, or the event is held."),
    "tag.one_of_loosened": _("At least one of %(codes)s is no longer asked for."),
    "tag.refinement_added": _("Names such as %(pattern)s are understood too."),
    "tag.refinement_removed": _("Names such as %(pattern)s are unknown from now on. Send the tag with the attribute instead."),
    "tag.stricter": _("%(source)s: what breaks a rule of its attributes was “%(before)s” and is “%(after)s” from now on."),
    "tag.milder": _("%(source)s: what breaks a rule of its attributes was “%(before)s” and is “%(after)s”."),
    "attribute.added": _("A new attribute, for tags to use."),
    "attribute.removed": _("The attribute is no longer read: it is set aside. Stop sending it."),
    "attribute.renamed": _("%(before)s is set aside from now on, %(after)s is read. Send the new name, or add a row to the rule."),
    "attribute.type_narrowed": _("Send it as %(after)s instead of %(before)s, or the event is held."),
    "attribute.type_widened": _("It may be %(after)s from now on; %(before)s still fits."),
    "attribute.read_otherwise": _("It was %(before)s and is %(after)s from now on: what is sent is taken as before, but becomes another value. Check what compares it."),
    "attribute.tightened": _("It takes less than before: %(constraint)s was “%(before)s”, is “%(after)s”. Other values are held."),
    "attribute.loosened": _("It takes more than before: %(constraint)s was “%(before)s”, is “%(after)s”."),
    "attribute.unit": _("Its unit was %(before)s and is %(after)s: send the value in the new unit."),
    "attribute.personal": _("Its class of personal data changes: who sees it, and how, changes with it."),
    "source.added": _("A new source may send."),
    "source.removed": _("The source may no longer send: its requests are refused."),
    "source.renamed": _("The source's code %(before)s becomes %(after)s. Name the new one in imports and commands."),
    "source.read_otherwise": _("Its records are read in another way: %(field)s changes. Check what it sends."),
    "source.default_given": _("What came without %(field)s is understood now."),
    "source.holds_more": _("An event whose phone cannot be read is held from now on, even with another identifier."),
    "source.holds_less": _("An event whose phone cannot be read is accepted under its other identifier."),
    "rule.added": _("%(name)s is understood now."),
    "rule.overrides": _("%(name)s was understood before and is read by this rule from now on."),
    "rule.removed": _("%(name)s is no longer mapped. Send the standard's name, or it is held."),
    "rule.matches_otherwise": _("The rule takes other events than before. Check what the source sends as %(name)s."),
    "rule.means_otherwise": _("%(name)s becomes %(after)s instead of %(before)s."),
    "rule.order": _("%(name)s is now tried after %(other)s, which may take its events."),
    "rule.row_added": _("%(name)s: %(target)s is filled now."),
    "rule.row_preferred": _("%(name)s: %(target)s is filled from %(other)s now; what is sent as %(target)s counts only where that is missing."),
    "rule.row_takes": _("%(name)s: what is sent as %(other)s fills %(target)s now, and no longer %(other)s. Check both values."),
    "rule.row_removed": _("%(name)s: %(target)s is no longer filled by this rule."),
    "rule.row_changed": _("%(name)s: %(target)s is filled in another way. Check its values."),
    "rule.takes_rest": _("%(name)s: attributes under the standard's own names are taken too."),
    "rule.leaves_rest": _("%(name)s: attributes that no row takes are set aside from now on."),
}  # fmt: skip

# Where what breaks it is only recorded until a day; of other codes that day changes nothing that this release asks.
FROM_A_DAY: dict[str, Promise | str] = {
    "tag.attribute_required": _("%(attribute)s is required from %(from)s on: send it with every event by then, or the event is held. Until then it is only recorded where it is missing."),
    "tag.attribute_added": _("%(attribute)s may be sent too. Until %(from)s what breaks its rules is only recorded, and held from that day on."),
    "tag.one_of_tightened": _("At least one of %(codes)s is required from %(from)s on, or the event is held. Until then it is only recorded where all are missing."),
    "tag.stricter": _("%(source)s: what breaks a rule of its attributes was “%(before)s” and is “%(after)s” from %(from)s on. Until then it is only recorded."),
    "tag.milder": _("%(source)s: what breaks a rule of its attributes was “%(before)s” and is “%(after)s”. Until %(from)s it is only recorded."),
    "attribute.type_narrowed": _("From %(from)s on send it as %(after)s instead of %(before)s, or the event is held. Until then it is only recorded."),
    "attribute.tightened": _("From %(from)s on it takes less than before: %(constraint)s was “%(before)s”, is “%(after)s”. Other values are held then; until then they are only recorded."),
}  # fmt: skip
# A day until which violations are only recorded has no bounds to tell of; by whether there is such a day after the change.
WATCHING = {
    True: _("Until %(after)s what breaks its rules is only recorded, and held from that day on."),
    False: _("What breaks its rules is held from now on; until %(before)s it would only have been recorded."),
}


def level_shown(level: Level, breaks_from: str) -> dict[str, str]:
    """{"level", "level_label"}: a change that breaks something only later says from when."""
    if level == "breaking" or not breaks_from:
        return {"level": level, "level_label": str(LEVELS[level])}
    day = day_words(breaks_from)
    return {"level": LATER, "level_label": _("breaking from %(day)s") % {"day": day}}


def effect_text(effect: Effect, names: Items) -> str:
    """One sentence; for a field within an attribute, or an attribute of a tag that is watched, led by it."""
    if effect.values.get("constraint") == "watch_until":
        sentence = str(WATCHING[bool(effect.values["after"])] % effect.values)
        attribute = effect.values.get("attribute")
        return f"{title(names[attribute], names)}: {sentence}" if attribute in names else sentence
    values: dict[str, Any] = {**dict.fromkeys(("before", "after", "constraint"), ""), "source": _("every source")}
    values |= {name: _value(name, value, names) for name, value in effect.values.items()}
    if effect.code in _OF_TYPES:
        values |= {name: str(CHOICES["type"].get(values[name], values[name])) for name in ("before", "after")}
    said = FROM_A_DAY if effect.values.get("from") else EFFECTS
    sentence = str(said.get(effect.code, EFFECTS[effect.code])) % values
    return f"{effect.values['path']}: {sentence}" if effect.values.get("path") else sentence


def _value(name: str, value: Any, names: Items) -> str:
    if name == "source" and not value:
        return str(_("every other source"))
    if name in ("before", "after") and value in _MODES:
        return str(_MODES[value])
    if name in ("constraint", "field"):
        return str(FIELDS.get(value) or CONSTRAINTS.get(value, value))
    if name in ("attribute", "successor") and value in names:
        return title(names[value], names)
    return shown(value, names)
