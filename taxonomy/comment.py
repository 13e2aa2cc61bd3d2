"""Remarks on a proposal or one item of it; who is mentioned is told."""

import re
from typing import Any

from django.utils.translation import gettext_noop

from staff.models import User
from staff.notices import tell
from taxonomy.models import Comment, Proposal

_MENTION = re.compile(r"@([\w.+-]+(?:@[\w.-]+\w)?)")


def comment(proposal: Proposal, *, by: User, text: str, item: Any = None) -> Comment | None:
    """Add a remark; None when there is nothing in it. @li.mei or @li.mei@example.com tells that colleague, authors are always told."""
    text = text.strip()
    if not text:
        return None
    made = Comment.objects.create(proposal=proposal, by=by, text=text[:5000], item=item)
    mentioned = [person for person in mentioned_in(text) if person.pk != by.pk]
    told = {person.pk for person in mentioned}
    link = f"{proposal.get_absolute_url()}#comment-{made.pk}"
    tell(mentioned, gettext_noop("%(who)s mentioned you in “%(title)s”."), link=link, who=str(by), title=proposal.title)
    authors = User.objects.filter(pk__in=proposal.author_ids() - told - {by.pk})
    tell(authors, gettext_noop("%(who)s commented on “%(title)s”."), link=link, who=str(by), title=proposal.title)
    return made


def mentioned_in(text: str) -> list[User]:
    """Colleagues named after an @: by e-mail address, the part of it before the @, or name without spaces, where that is one person's."""
    names = {name.lower().rstrip(".") for name in _MENTION.findall(text)}
    if not names:
        return []
    found: dict[str, list[User]] = {}
    for person in User.objects.filter(is_active=True):
        email = person.email.lower()
        for name in {email, email.partition("@")[0], person.name.lower().replace(" ", "")} - {""}:
            found.setdefault(name, []).append(person)
    return [people[0] for name in sorted(names) if len(people := found.get(name, [])) == 1]
