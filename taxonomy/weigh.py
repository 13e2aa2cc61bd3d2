"""The checks as the steward weighs them, on a plan that holds together."""

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from uuid import UUID

from django.utils import timezone

from taxonomy.checks import CHECKS, Finding, Seen, Setting, check
from taxonomy.definition import Items
from taxonomy.models import CheckSetting
from taxonomy.recent import events_sent, rule_use, seen_lately, tag_use
from taxonomy.standardize import compile_plan

SEVERITIES = ("error", "warning")


def settings() -> dict[str, Setting]:
    """{check: how it is weighed}, for every check."""
    chosen = {one.pk: Setting(one.severity, one.only_new, tuple(one.words)) for one in CheckSetting.objects.all()}  # type: ignore[arg-type]
    return {name: chosen.get(name, default) for name, (_run, default) in CHECKS.items()}


def weigh(items: Items, *, severities: Collection[str] = SEVERITIES) -> list[Finding]:
    """What the checks find in a plan as it stands, errors first."""
    return _weigh(items, {}, _seen(items), _weighed(severities))


def weigh_change(before: Items, after: Items, *, severities: Collection[str] = SEVERITIES) -> list[Finding]:
    """What a change of the plan brings about: what was found before already does not stand in its way."""
    seen = _seen(before | after)
    wanted = _weighed(severities)
    found = _weigh(after, before, seen, wanted)
    if not found or not before:
        return found
    told = {one.check: wanted[one.check] for one in found}
    known = {(one.check, one.item, str(one.values)) for one in _weigh(before, before, seen, told)}
    return [one for one in found if (one.check, one.item, str(one.values)) not in known]


def _seen(items: Items) -> Seen:
    """What arrived lately, and when each rule and tag last did."""
    rules, tags = ([UUID(item) for item, one in items.items() if one["kind"] == kind] for kind in ("rule", "tag"))
    last_days = {str(rule): use.last_day for rule, use in rule_use(rules).items()}
    last_days |= {str(tag): max(use.last_day for use in uses.values()) for tag, uses in tag_use(tags).items()}
    return replace(seen_lately(), last_days=last_days, sent=events_sent)


def _weighed(severities: Collection[str]) -> dict[str, Setting]:
    return {name: one for name, one in settings().items() if one.severity in severities}


def _weigh(items: Items, before: Items, seen: Seen, wanted: dict[str, Setting]) -> list[Finding]:
    return check(items, partial(compile_plan, items), before=before, settings=wanted, seen=seen, today=timezone.localdate())
