"""What a mapping rule is called, and the limits within which it applies: the same words wherever a rule is named."""

from typing import Any

from django.utils.translation import gettext as _

from staff.moments import day_words
from taxonomy.models.sources import MappingRule


def rule_name(source: str, name: str, tag: str, limits: str = "") -> str:
    """Such as: Till: 售出 → Purchase (below version 4.2). `source` and `tag` are their names."""
    return f"{source}: {name} → {tag} ({limits})" if limits else f"{source}: {name} → {tag}"


def limits_words(rule: dict[str, Any]) -> str:
    """A rule's condition, version and last day, by its definition; "" for a rule without any."""
    told = [condition_words(rule.get("condition"))]
    if rule.get("below_version"):
        told.append(_("below version %(version)s") % {"version": rule["below_version"]})
    if rule.get("until"):
        told.append(_("until %(day)s") % {"day": day_words(rule["until"])})
    return _(", ").join(one for one in told if one)


def condition_words(condition: dict[str, Any] | None) -> str:
    """Such as: status is paid."""
    if not condition:
        return ""
    operators = dict(MappingRule.Operator.choices)
    operator = operators.get(condition["operator"], condition["operator"])
    return f"{condition['path']} {operator} {condition.get('value') or ''}".strip()
