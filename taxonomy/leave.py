"""What somebody who leaves has of the standard, and why they may have to stay a little: see staff/leaving.py."""

from collections.abc import Collection, Iterator
from uuid import UUID

from django.contrib.auth.backends import ModelBackend
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from staff.leaving import Belonging, colleagues, taken_over
from staff.models import Department, User
from staff.notices import tell
from taxonomy.definition import Items, draft_items
from taxonomy.diff import title
from taxonomy.draft import writing
from taxonomy.models import Follow, Grant, Proposal, Revision, Vote
from taxonomy.proposals.propose import open_proposals
from taxonomy.proposals.review import SIGN, settle, void_votes, waiting_for
from taxonomy.publish import items_of, newest, unreleased

_PROPOSE = "taxonomy.add_proposal"


def belongings(person: User, *, hold: bool = False) -> list[Belonging]:
    if hold:
        # until the outer transaction ends, nobody writes the draft or signs
        with writing():
            pass
    proposers = colleagues(person, _PROPOSE)
    written = list(Proposal.objects.open().filter(author=person))
    waiting = waiting_for(person)
    theirs = Q(by=person) | Q(pk__in=taken_over(person, "votes"))
    said = list(Vote.objects.filter(theirs, stands=True, proposal__state__in=Proposal.OPEN).select_related("proposal", "department"))
    signers = _signers(person.department, without=person) if person.department else colleagues(person, SIGN)
    changed = _changed_last_by(person)
    names = items_of(newest()) | draft_items()
    followed = list(Follow.objects.filter(user=person))
    granted = list(Grant.objects.filter(person=person).select_related("person", "category", "sources_of"))
    return [
        Belonging("proposals", _("open proposals they wrote"), [(str(one.pk), one.title) for one in written], proposers,
                  lambda to: _give_proposals(written, person, to)),
        Belonging("reviews", _("reviews that wait for them"), [(str(one.pk), one.title) for one in waiting], signers,
                  lambda to: _tell_of_reviews(waiting, person, to)),
        Belonging("votes", _("approvals and requests for changes in open proposals"), [(str(one.pk), f"{one.proposal}: {one}") for one in said],
                  signers, lambda to: _tell_of_votes(said, person, to)),
        Belonging("changes", _("unreleased changes that nobody has proposed"), [(str(one.item), title(one.definition or {}, names)) for one in changed],
                  proposers, lambda to: _give_changes(changed, person, to)),
        Belonging("follows", _("items they follow"), [(str(one.item), _name_of(one.item, names)) for one in followed], colleagues(person),
                  lambda to: _give_follows(followed, to)),
        Belonging("grants", _("rights given to them by name"), [(str(one.pk), str(one)) for one in granted], colleagues(person),
                  lambda to: _give_grants(granted, to)),
    ]  # fmt: skip


def hindrances(person: User) -> Iterator[str]:
    """Being the last who may release, sign for their department, or sign as a steward."""
    told = {"name": person, "department": person.department}
    if person.has_perm("taxonomy.publish_release") and not colleagues(person, "taxonomy.publish_release"):
        yield _("%(name)s is the last who may release the standard. Give another colleague the role of data steward first.") % told
    if person.department is None or not person.has_perm(SIGN):
        return
    if person.department.duty == Department.Duty.STEWARD and not _of_duty(person):
        yield _("%(name)s is the last data steward. Give another colleague of %(department)s the role of data steward first.") % told
    elif not _signers(person.department, without=person):
        yield _(
            "%(name)s is the last who may sign for %(department)s. Give another colleague of it a role that signs, or the department a deputy, first."
        ) % told  # fmt: skip


def _signers(department: Department | None, *, without: User) -> list[User]:
    """Who signs for a department: its own people, else those of the first deputy that has somebody."""
    seen: set[str] = set()
    while department is not None and department.pk not in seen:
        seen.add(department.pk)
        if found := _with_right(department.pk, without):
            return found
        department = department.deputy
    return []


def _with_right(department: str, without: User) -> list[User]:
    return list(ModelBackend().with_perm(SIGN).filter(department=department).exclude(pk=without.pk).order_by("email"))


def _of_duty(person: User) -> list[User]:
    return list(ModelBackend().with_perm(SIGN).filter(department__duty=Department.Duty.STEWARD).exclude(pk=person.pk))


def _changed_last_by(person: User) -> list[Revision]:
    """The newest revision of each unreleased change that they made last and that is in no open proposal."""
    items = [change.item for change in unreleased()]
    held = open_proposals(items)
    newest = Revision.objects.filter(item__in=[item for item in items if item not in held]).order_by("item", "-id").distinct("item")
    return [one for one in newest if one.by_id == person.pk]


def _give_proposals(proposals: Collection[Proposal], person: User, to: User) -> None:
    """Whoever wrote it stays named as a co-author; whoever takes it can no longer sign it."""
    for proposal in proposals:
        proposal.co_authors.remove(to)
        proposal.co_authors.add(person)
        proposal.author = to
        proposal.save(update_fields=["author"])
        fallen = void_votes(proposal, by=to)
        if proposal.is_locked:
            settle(proposal, fallen=fallen)
        tell([to], gettext_noop("“%(title)s” by %(who)s is yours now."), link=proposal.get_absolute_url(), title=proposal.title, who=str(person))  # fmt: skip


def _tell_of_reviews(proposals: Collection[Proposal], person: User, to: User) -> None:
    for proposal in proposals:
        tell([to], gettext_noop("“%(title)s” waited for %(who)s, who leaves; now it waits for you."), link=proposal.get_absolute_url(), title=proposal.title, who=str(person))  # fmt: skip


def _tell_of_votes(votes: Collection[Vote], person: User, to: User) -> None:
    """A department's word stays, with the name of who said it; another of it answers for it, and may say otherwise."""
    for vote in votes:
        tell([to], gettext_noop("You answer now for what %(who)s said to “%(title)s”, and may say otherwise."), link=vote.proposal.get_absolute_url(), title=vote.proposal.title, who=str(person))  # fmt: skip


def _give_changes(changed: Collection[Revision], person: User, to: User) -> None:
    why = _("handed over by %(who)s") % {"who": person}
    for one in changed:
        Revision.objects.create(
            item=one.item, kind=one.kind, action=Revision.Action.HANDED_OVER, definition=one.definition, by=to, why=why[:300]
        )


def _give_follows(follows: Collection[Follow], to: User) -> None:
    for one in follows:
        Follow.objects.get_or_create(user=to, item=one.item)
        one.delete()


def _give_grants(grants: Collection[Grant], to: User) -> None:
    for one in grants:
        Grant.objects.get_or_create(person=to, may=one.may, category=one.category, sources_of=one.sources_of)
        one.delete()


def _name_of(item: UUID, names: Items) -> str:
    last = Revision.objects.filter(item=item).order_by("-id").values_list("definition", flat=True).first()
    return title(last, names) if last else str(item)
