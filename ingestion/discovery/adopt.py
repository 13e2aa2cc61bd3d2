"""What people do about a discovered name: map it, add it to its tag, leave it alone. Into the draft, with its history."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext_lazy

from ingestion.discovery.fill import Row
from ingestion.models import Discovered, Ignored
from staff.models import User, in_both_languages
from taxonomy.definition import draft_items
from taxonomy.draft import refuse_locked, writing
from taxonomy.history import record_revision
from taxonomy.models import Attribute, MappingRow, MappingRule, Revision, Source, Tag, TagAttribute
from taxonomy.rights import May, expect
from taxonomy.standardize.paths import plain_names

# A name that long was cut when it was kept: a rule for what is left of it would match nothing.
CUT_AT = 200


class CannotAdopt(Exception):
    """Why it cannot be done: "cut", "unreadable" or "ended". The name itself is no part of it."""


@dataclass(frozen=True, slots=True)
class Added:
    """An attribute that became one of the tag's; `rules` now fill it from the name as sent."""

    use: TagAttribute
    rules: list[MappingRule]


def map_to_tag(row: Discovered, tag: Tag, *, by: User, rows: Iterable[Row] = ()) -> tuple[MappingRule, bool]:
    """A draft rule with these rows: this source's name becomes the tag. (the rule, whether it is new); one that is there stays as it is.

    Raises CannotAdopt, and OutsideGrant where grants leave the source to others.
    """
    if len(row.name) >= CUT_AT:
        raise CannotAdopt("cut")
    with writing():
        always = {"match": MappingRule.Match.EXACT, "condition_path": "", "below_version": "", "until": None}
        there = MappingRule.objects.filter(source=row.source_id, name=row.name, **always).first()
        if there is not None:
            return there, False
        rule = _new_rule(row, tag, row.name, by=by, rows=rows)
        expect(by, May.PROPOSE, [rule.pk], draft_items())
        return rule, True


def add_to_tag(row: Discovered, attribute: Attribute, *, by: User) -> Added:
    """The attribute becomes one of the tag's, and where its code is not what was sent, the source's rules fill it.

    A new attribute is saved too. Raises CannotAdopt, ItemLocked when the tag or a rule is under review, and OutsideGrant where
    grants leave one of them to others.
    """
    path = "" if attribute.code == row.name else path_of(row.name)
    why = _found()
    with writing([row.tag_id]):
        assert row.tag is not None
        tag = row.tag
        if attribute._state.adding:
            attribute.save()
            record_revision(attribute, by=by, action=Revision.Action.CREATED, why=why)
        position = tag.uses.aggregate(most=Max("position"))["most"]
        use, _made = TagAttribute.objects.get_or_create(
            tag=tag, attribute=attribute, defaults={"position": 0 if position is None else position + 1}
        )
        record_revision(tag, by=by, action=Revision.Action.CHANGED, why=why)
        added = Added(use, _fill(row, tag, attribute.code, path, by=by) if path else [])
        expect(by, May.PROPOSE, [tag.pk, *(rule.pk for rule in added.rules)], draft_items())
        return added


def ignore(row: Discovered, *, reason: str, until: date, by: User) -> Ignored:
    """Leave a name alone until the end of a day. What was said before gives way."""
    with transaction.atomic():
        Discovered.objects.select_for_update().get(pk=row.pk)
        row.ignorings.filter(undone_at=None).update(undone_at=timezone.now(), undone_by=by)
        return Ignored.objects.create(discovered=row, reason=reason, until=until, by=by)


def look_again(row: Discovered, *, by: User) -> None:
    """Undo the ignoring."""
    row.ignorings.filter(undone_at=None).update(undone_at=timezone.now(), undone_by=by)


def _found() -> str:
    """Why, for whoever reads the history in whatever language."""
    return str(in_both_languages(gettext_lazy("Found in what arrives")))


def path_of(name: str) -> str:
    """The path of a rule's row to an attribute of this name. Raises CannotAdopt."""
    if len(name) >= CUT_AT:
        raise CannotAdopt("cut")
    if plain_names(name) == [name]:
        return name
    quoted = f'"{name}"'
    if plain_names(quoted) != [name]:
        raise CannotAdopt("unreadable")
    return quoted


def _fill(row: Discovered, tag: Tag, target: str, path: str, *, by: User) -> list[MappingRule]:
    """Have the source's rules for the tag fill an attribute; a source that sends the tag's own code gets a rule for it."""
    rules = list(MappingRule.objects.filter(source=row.source_id, tag=tag)) or [_new_rule(row, tag, tag.code, by=by)]
    refuse_locked(rule.pk for rule in rules)
    filled = []
    for rule in rules:
        position = rule.rows.aggregate(most=Max("position"))["most"]
        _row, made = MappingRow.objects.get_or_create(
            rule=rule, target=target, defaults={"path": path, "position": 0 if position is None else position + 1}
        )
        if made:
            record_revision(rule, by=by, action=Revision.Action.CHANGED, why=_found())
            filled.append(rule)
    return filled


def _new_rule(row: Discovered, tag: Tag, name: str, *, by: User, rows: Iterable[Row] = ()) -> MappingRule:
    """Behind the source's other rules: none of them took the name. Raises CannotAdopt for a source that is not in the draft."""
    if not Source.objects.filter(pk=row.source_id).exists():
        raise CannotAdopt("ended")
    last: Any = MappingRule.objects.filter(source=row.source_id).aggregate(most=Max("position"))["most"]
    rule = MappingRule.objects.create(id=uuid4(), source_id=row.source_id, name=name, tag=tag, position=(last or 0) + 1)
    MappingRow.objects.bulk_create(
        MappingRow(rule=rule, position=at, target=one.target, path=one.path, transforms=one.transforms) for at, one in enumerate(rows)
    )
    record_revision(rule, by=by, action=Revision.Action.CREATED, why=_found())
    return rule
