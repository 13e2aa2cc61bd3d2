"""Warning the owners of what ends soon: a rule for a while, an attribute or tag that is only watched."""

from collections import defaultdict
from collections.abc import Collection
from datetime import date
from uuid import UUID

from django.utils.translation import gettext_noop

from staff.models import Department, Notice, User
from staff.notices import tell
from taxonomy.checks import endings
from taxonomy.definition import Items
from taxonomy.diff import called
from taxonomy.proposals.concern import Owners
from taxonomy.proposals.senders import native_senders
from taxonomy.proposals.tell import item_link
from taxonomy.publish import items_of, newest
from taxonomy.recent import rule_use

# Days before the end from which its owners are told, once each.
STEPS = (14, 7, 1)
_RULE = gettext_noop("The rule for %(item)s ends on %(day)s. It has read %(count)s events so far.")
_WATCHED = gettext_noop("%(item)s is enforced from %(day)s; until then what breaks its rules is only recorded.")


def warn_of_endings(today: date) -> int:
    """Tell the owners of what ends soon, or the stewards where nobody of theirs is left, of each step once; how many things they are told of. Whenever it runs, none is missed."""
    items = items_of(newest())
    soon = [(item, day, step) for item, day in endings(items) if (step := _step(day, today, items[item]["kind"]))]
    links = {item: item_link(items[item]["kind"], item) for item, _day, _step in soon}
    told = _told(links.values())
    due = [(item, day, step) for item, day, step in soon if step not in told[links[item], day.isoformat()]]
    if not due:
        return 0
    uses = {str(rule): use for rule, use in rule_use([UUID(item) for item, *_rest in due if items[item]["kind"] == "rule"]).items()}
    owners = Owners(items, native_senders(items, items, {item for item, *_rest in due}, on=today))
    for item, day, step in due:
        count = uses[item].events if item in uses else 0
        _warn(item, day, step, items=items, owners=owners, count=count)
    return len(due)


def _step(day: date, today: date, kind: str) -> int | None:
    """The step that was passed last. A rule still reads on its last day; what is watched is enforced on it."""
    left = (day - today).days
    return min((step for step in STEPS if (0 if kind == "rule" else 1) <= left <= step), default=None)


def _told(links: Collection[str]) -> dict[tuple[str, str], set[int]]:
    """{(link to an item, its day): the steps its owners were told of}. One query."""
    found: dict[tuple[str, str], set[int]] = defaultdict(set)
    told = Notice.objects.filter(text__in=(_RULE, _WATCHED), link__in=set(links), values__has_key="step")
    for link, day, step in told.values_list("link", "values__day", "values__step").order_by().distinct():
        found[link, day].add(step)
    return found


def _warn(item: str, day: date, step: int, *, items: Items, owners: Owners, count: int) -> None:
    """`count`: the events that a rule has read."""
    one = items[item]
    active = User.objects.filter(is_active=True)
    people = active.filter(department__in=owners.of(item)) or active.filter(department__duty=Department.Duty.STEWARD)
    values = {"item": called(one, items), "day": day.isoformat(), "step": step}
    if one["kind"] == "rule":
        tell(people, _RULE, link=item_link("rule", item), **values, count=count)
    else:
        tell(people, _WATCHED, link=item_link(one["kind"], item), **values)
