"""Warning the owners of what ends soon: a rule for a while, an attribute or tag that is only watched."""

from datetime import date
from uuid import UUID

from django.utils.translation import gettext_noop

from staff.models import User
from staff.notices import tell
from taxonomy.checks import endings
from taxonomy.diff import called
from taxonomy.proposals.concern import Owners
from taxonomy.proposals.senders import native_senders
from taxonomy.proposals.tell import item_link
from taxonomy.publish import items_of, newest
from taxonomy.recent import rule_use

# Days before the end on which its owners are told.
TOLD_BEFORE = (14, 7, 1)


def warn_of_endings(today: date) -> int:
    """Tell the owners of what ends in so many days; how many things end. Run once a day."""
    items = items_of(newest())
    due = [(item, day) for item, day in endings(items) if (day - today).days in TOLD_BEFORE]
    uses = {str(rule): use for rule, use in rule_use([UUID(item) for item, _day in due if items[item]["kind"] == "rule"]).items()}
    owners = Owners(items, native_senders(items, items, {item for item, _day in due}, on=today))
    for item, day in due:
        one = items[item]
        people = User.objects.filter(department__in=owners.of(item))
        values = {"item": called(one, items), "day": day.isoformat()}
        if one["kind"] == "rule":
            count = uses[item].events if item in uses else 0
            said = gettext_noop("The rule for %(item)s ends on %(day)s. It has read %(count)s events so far.")
            tell(people, said, link=item_link(one["kind"], item), **values, count=count)
        else:
            said = gettext_noop("%(item)s is enforced from %(day)s; until then what breaks its rules is only recorded.")
            tell(people, said, link=item_link(one["kind"], item), **values)
    return len(due)
