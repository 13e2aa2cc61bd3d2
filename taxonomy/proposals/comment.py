"""Remarks on a proposal or one item of it; who is mentioned is told."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.utils.translation import gettext_noop

from staff.models import User
from staff.notices import tell
from taxonomy.models import Comment, Proposal
from taxonomy.proposals.authors import author_ids
from taxonomy.proposals.mentions import Mentions, mentioned_in
from taxonomy.rights import readable_proposals, rights_of

READ = "taxonomy.view_proposal"


@dataclass(frozen=True, slots=True)
class Remark:
    """What was said. `told` were mentioned and are told; `kept_out` were mentioned and may not read the proposal: they are not."""

    comment: Comment
    mentions: Mentions
    told: list[User]
    kept_out: list[User]


def comment(proposal: Proposal, *, by: User, text: str, item: Any = None) -> Remark | None:
    """Add a remark; None when there is nothing in it. @Li Mei, @李梅, @li.mei or @li.mei@example.com tells that colleague.

    Authors are always told; who may not read the proposal never is.
    """
    text = text.strip()
    if not text:
        return None
    made = Comment.objects.create(proposal=proposal, by=by, text=text[:5000], item=item)
    mentions = mentioned_in(text)
    others = [person for person in mentions.people if person.pk != by.pk]
    told = [person for person in others if may_read(person, proposal)]
    link = f"{proposal.get_absolute_url()}#comment-{made.pk}"
    tell(told, gettext_noop("%(who)s mentioned you in “%(title)s”."), link=link, who=str(by), title=proposal.title)
    authors = User.objects.filter(pk__in=author_ids(proposal) - {person.pk for person in told} - {by.pk})
    tell(authors, gettext_noop("%(who)s commented on “%(title)s”."), link=link, who=str(by), title=proposal.title)
    return Remark(made, mentions, told, [person for person in others if person not in told])


def may_read(person: User, proposal: Proposal) -> bool:
    return person.has_perm(READ) and readable_proposals(Proposal.objects.filter(pk=proposal.pk), rights_of(person)).exists()


def who_may_be_told() -> list[User]:
    """Colleagues whose role lets them read proposals, by name: what completes a name while somebody types."""
    return list(ModelBackend().with_perm(READ).order_by("name", "email"))
