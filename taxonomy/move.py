"""The order of a source's rules: the first that matches wins."""

from staff.models import User
from taxonomy.definition import draft_items
from taxonomy.draft import refuse_locked, writing
from taxonomy.history import record_revision
from taxonomy.models import MappingRule, Revision
from taxonomy.rights import May, expect


def move_rule(rule: MappingRule, *, up: bool, by: User) -> None:
    """Change places with the rule before or after it. Every rule whose position changes gets a line in its history.

    Raises ItemLocked when one of those is under review, OutsideGrant when the person may not change one.
    """
    with writing():
        _move(rule, up=up, by=by)


def _move(rule: MappingRule, *, up: bool, by: User) -> None:
    ordered = list(MappingRule.objects.filter(source=rule.source_id).order_by("position", "id"))
    at = next(index for index, one in enumerate(ordered) if one.pk == rule.pk)
    other = at - 1 if up else at + 1
    if not 0 <= other < len(ordered):
        return
    ordered[at], ordered[other] = ordered[other], ordered[at]
    positions = sorted(one.position for one in ordered)
    if len(set(positions)) < len(positions):
        positions = list(range(1, len(positions) + 1))
    moved = [(one, position) for position, one in zip(positions, ordered, strict=True) if one.position != position]
    refuse_locked(one.pk for one, _position in moved)
    expect(by, May.PROPOSE, [one.pk for one, _position in moved], draft_items())
    for one, position in moved:
        one.position = position
        one.save(update_fields=["position", "updated_at"])
        record_revision(one, by=by, action=Revision.Action.CHANGED)
