"""The words of what is wrong with a definition, a transform or a whole plan: for whoever edits or publishes it."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from taxonomy.definition import Items
from taxonomy.diff import CONSTRAINTS, shown, title
from taxonomy.expected import expected_text
from taxonomy.models import Attribute
from taxonomy.standardize import Problem

PLAN: dict[str, Promise | str] = {
    "attribute.invalid": gettext_lazy("The attribute's type and constraints do not fit together."),
    "category.cycle": gettext_lazy("The category stands below itself. Choose another one above it."),
    "code.duplicate": gettext_lazy("Two items have this code, whatever the case. Give one another code."),
    "date.invalid": gettext_lazy("This is no day. Write it such as 2026-12-31."),
    "mode.invalid": gettext_lazy("There is no such mode, or a source has two."),
    "version.invalid": gettext_lazy("This is no version. Write it such as 4.2."),
    "condition.invalid": gettext_lazy("The condition cannot be read. Correct its path, operator or value."),
    "one_of.unknown": gettext_lazy('"At least one of" names an attribute that the tag does not have. Add it to the tag.'),
    "path.invalid": gettext_lazy("A path cannot be read. Write it as JMESPath, such as item.price."),
    "pattern.invalid": gettext_lazy("The pattern is not a regular expression. Correct it."),
    "reference.missing": gettext_lazy("It refers to an item that is not in the release. Choose that one too."),
    "refinement.ambiguous": gettext_lazy("Two refinements could mean the same name. Change one of the patterns."),
    "refinement.hides_tag": gettext_lazy("A tag's code looks like this refinement. Change the pattern or the code."),
    "refinement.invalid": gettext_lazy("The pattern must be {tag}, text, and one attribute in braces."),
    "refinement.unknown": gettext_lazy("The refinement names an attribute that the tag does not have. Add it to the tag."),
    "row.empty": gettext_lazy("A row says neither where the value is nor what it is. Give a path or a constant."),
    "row.target_unknown": gettext_lazy("A row fills an attribute that the tag does not have. Add it to the tag, or correct the row."),
    "rule.duplicate": gettext_lazy("Two rules without a condition match the same name. Add a condition to the first, or remove one."),
    "source.invalid": gettext_lazy("The source's region, time zone, currency or envelope cannot be read."),
    "successor.missing": gettext_lazy("A deprecated tag needs a successor."),
    "successor.unusable": gettext_lazy(
        "The successor is the tag itself, or a tag that is not received yet. Name one that sources can send."
    ),
    "transforms.invalid": gettext_lazy("A transform cannot be read. Write such as: trim | divide(100)."),
}
DEFINITION: dict[str, tuple[str, Promise | str]] = {
    "definition.bound": ("constraints", gettext_lazy("A minimum or maximum is not of the attribute's type.")),
    "definition.choices": ("constraints", gettext_lazy("A choice needs choices, such as: choices = red, blue.")),
    "definition.constraint_unknown": ("constraints", gettext_lazy("This type has no such constraint.")),
    "definition.count": ("constraints", gettext_lazy("A length or number of entries must be a whole number, 0 or more.")),
    "definition.crossed": ("constraints", gettext_lazy("The minimum is above the maximum.")),
    "definition.fields": ("fields", gettext_lazy('Only an object has fields, written as {"city": {"type": "text"}}.')),
    "definition.of": ("of", gettext_lazy("Say what the list is of.")),
    "definition.pattern": ("constraints", gettext_lazy("The pattern is not a regular expression.")),
    "definition.type": ("type", gettext_lazy("There is no such type.")),
}


# What a problem's values are called, and the kinds of item it may speak of.
VALUES: dict[str, Promise | str] = {
    "attribute": gettext_lazy("attribute"), "code": gettext_lazy("code"), "expected": gettext_lazy("expected"),
    "kind": gettext_lazy("kind"), "name": gettext_lazy("name"), "other": gettext_lazy("the other one"),
    "pattern": gettext_lazy("pattern"), "problem": gettext_lazy("found"), "seen": gettext_lazy("found"), "source": gettext_lazy("source"),
    "tag": gettext_lazy("tag"), "target": gettext_lazy("named"), "value": gettext_lazy("value"),
}  # fmt: skip
_KINDS: dict[str, Promise | str] = {
    "category": gettext_lazy("category"), "attribute": gettext_lazy("attribute"), "tag": gettext_lazy("tag"), "source": gettext_lazy("source"),
    "rule": gettext_lazy("mapping rule"),
}  # fmt: skip
_WORDS = {**dict(Attribute.Type.choices), **CONSTRAINTS}


def definition_problem(problem: Any) -> tuple[str, str]:
    """(form field, sentence) of what check_definition found."""
    field, sentence = DEFINITION.get(problem.code, ("constraints", problem.code))
    told = expected_words(problem.expected)
    return field, f"{sentence} {_('Expected: %(expected)s') % {'expected': told}}" if told else str(sentence)


def plan_sentence(code: str, values: dict[str, Any], items: Items) -> str:
    """What is wrong, what to do, and what was seen."""
    if code == "reference.missing" and values.get("target") in items:
        said = _("It stands on %(target)s, which goes or is wrong itself. Put that right first, or choose another.")
        return said % {"target": title(items[values["target"]], items)}
    return told_with_values(PLAN.get(code, code), values, items)


def plan_problem(problem: Problem, items: Items) -> str:
    """One sentence: which item, what is wrong, what to do."""
    item = items.get(problem.item)
    where = title(item, items) if item else problem.item
    return f"{where}: {plan_sentence(problem.code, problem.values, items)}"


def told_with_values(sentence: Promise | str, values: dict[str, Any], names: Items) -> str:
    """The sentence, and in brackets what was found, expected, named."""
    parts = {name: _value_words(name, value, names) for name, value in values.items()}
    told = _(", ").join(_("%(name)s: %(value)s") % {"name": VALUES.get(name, name), "value": part} for name, part in parts.items() if part)
    return _("%(sentence)s (%(values)s)") % {"sentence": sentence, "values": told} if told else str(sentence)


def expected_words(expected: Any) -> str:
    """What check_definition expected: types and constraints by their names, or a value that is described."""
    if isinstance(expected, dict):
        return expected_text(expected)
    return _(", ").join(str(_WORDS.get(one, one)) for one in expected or [])


def _value_words(name: str, value: Any, names: Items) -> str:
    return str(_KINDS.get(value, value)) if name == "kind" else shown(value, names)
