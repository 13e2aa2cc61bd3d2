"""From changes of the draft to a proposal, and back: made, submitted, pulled back, withdrawn, discarded."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_noop

from staff.models import User
from staff.notices import tell
from taxonomy.definition import MODELS, Definition, Items, draft_items
from taxonomy.diff import called
from taxonomy.draft import refuse_locked, rules_of, write_items, writing
from taxonomy.models import Proposal, ProposalItem, Revision, Vote
from taxonomy.proposals.authors import author_ids, saves_since
from taxonomy.proposals.review import Standing, expect_reason, freeze, on_top, seats_of, settle, standing, void_votes
from taxonomy.publish import NotPublishable, items_of, newest, problems_of
from taxonomy.rights import May, expect


class ElsewhereProposed(Exception):
    """Items are in another open proposal: {item: that proposal}. Join it as a co-author."""

    def __init__(self, found: dict[str, Proposal]) -> None:
        super().__init__(len(found))
        self.found = found


class NothingChanged(Exception):
    """None of the items differs from the current release."""


class StillProposed(ElsewhereProposed):
    """Items cannot be discarded while an open proposal holds them: {item: that proposal}."""


class InTheWay(ElsewhereProposed):
    """The way back would change what open proposals hold: {item: that proposal}."""


class WrongState(Exception):
    """The proposal has moved on: what was asked is not possible any more."""


def propose(item_ids: Collection[str], *, title: str, why: str, by: User, links: str = "", retire_reason: str = "") -> Proposal:
    """A new proposal of what the draft changes in these items. Raises NothingChanged, ElsewhereProposed or OutsideGrant."""
    with writing():
        proposal = Proposal.objects.create(title=title, why=why, links=links, retire_reason=retire_reason, author=by)
        add_items(proposal, item_ids, by=by)
        if not proposal.items.exists():
            raise NothingChanged
    return proposal


def propose_definitions(wanted: dict[str, Definition | None], *, title: str, why: str, by: User, links: str = "") -> Proposal:
    """Write definitions to the draft (None: the item goes) and propose them. Raises what `propose` does, ItemLocked, ItemInUse."""
    with writing():
        released, draft = items_of(newest()), draft_items()
        wanted = _rules_along([item for item, one in wanted.items() if one is None], released) | wanted
        # before any word of proposals, which may be of what the person may not read
        expect(by, May.PROPOSE, wanted, released, draft)
        refuse_locked(wanted)
        if found := open_proposals(wanted):
            raise ElsewhereProposed(found)
        write_items(wanted, by=by, why=title)
        return propose(wanted, title=title, why=why, by=by, links=links)


def propose_going_back(release: Any, *, why: str, by: User, title: str) -> Proposal:
    """Propose that everything be as it was in an earlier release; whose unreleased saves are lost is told.

    Raises as `propose_definitions`, and InTheWay.
    """
    with writing():
        current, earlier, draft = items_of(newest()), items_of(release), draft_items()
        wanted = {item: earlier.get(item) for item in current | earlier if current.get(item) != earlier.get(item)}
        lost = saves_since({item: current.get(item) for item in wanted if draft.get(item) not in (current.get(item), wanted[item])})
        try:
            made = propose_definitions(wanted, title=title, why=why, by=by)
        except ElsewhereProposed as error:
            raise InTheWay(error.found) from error
        _tell_of_loss(lost, by, draft)
    return made


def open_proposals(item_ids: Collection[Any]) -> dict[str, Proposal]:
    """{item: the open proposal it is in}. One query."""
    found = ProposalItem.objects.filter(item__in=list(item_ids), is_open=True).select_related("proposal__author")
    return {str(one.item): one.proposal for one in found}


def add_items(proposal: Proposal, item_ids: Collection[str], *, by: User) -> None:
    """Add what the draft changes in these items. The proposal is open and not under review."""
    with writing():
        _expect(proposal, *EDITABLE, by=by)
        released, draft = items_of(newest()), draft_items()
        expect(by, May.PROPOSE, item_ids, released, draft)
        if found := {item: other for item, other in open_proposals(item_ids).items() if other.pk != proposal.pk}:
            raise ElsewhereProposed(found)
        here = {str(one) for one in proposal.items.values_list("item", flat=True)}
        ProposalItem.objects.bulk_create(
            ProposalItem(proposal=proposal, item=item, kind=(draft.get(item) or released[item])["kind"])
            for item in dict.fromkeys(map(str, item_ids))
            if item not in here and draft.get(item) != released.get(item)
        )


def drop_item(proposal: Proposal, item_id: Any, *, by: User) -> None:
    """Leave an item out; its draft stays as it is. Approvals that signed it are void."""
    with writing():
        _expect(proposal, *EDITABLE, by=by)
        submitted = _as_submitted(proposal)
        if str(item_id) in submitted:
            signed = seats_of(submitted, items_of(newest()), at=proposal.submitted_at, authors=author_ids(proposal))
            touched = [code for code, seat in signed.items() if str(item_id) in seat.items]
            proposal.votes.filter(stands=True, choice=Vote.Choice.APPROVE, department__in=touched).update(stands=False)
        proposal.items.filter(item=item_id).delete()


def join(proposal: Proposal, *, by: User) -> None:
    """Become a co-author: one who may edit it, and no longer sign it."""
    with writing():
        _expect(proposal, *Proposal.OPEN)
        released = items_of(newest())
        expect(by, May.READ, [row.item for row in proposal.items.all()], released, proposed(proposal, released))
        if by.pk != proposal.author_id and not proposal.co_authors.filter(pk=by.pk).exists():
            proposal.co_authors.add(by)
            fallen = void_votes(proposal, by=by)
            if proposal.is_locked:
                settle(proposal, fallen=fallen)
            tell([proposal.author], gettext_noop("%(who)s joined “%(title)s” as a co-author."), link=proposal.get_absolute_url(), who=str(by), title=proposal.title)  # fmt: skip


def submit(proposal: Proposal, *, by: User) -> Standing:
    """Keep the definitions as they stand and ask the departments concerned. Approvals that edits touched are void.

    Raises NotPublishable with every problem of the plan as it would be, NothingChanged or StillArrives.
    """
    with writing():
        _expect(proposal, *EDITABLE, by=by)
        earlier = _as_submitted(proposal)
        released, draft = items_of(newest()), draft_items()
        edited = _keep_definitions(proposal, earlier, released, draft)
        if not proposal.items.exists():
            raise NothingChanged
        after = proposed(proposal, released)
        expect_reason(proposal, released, after)
        problems, findings = problems_of(released, after)
        if problems or findings:
            raise NotPublishable(problems, findings)
        signed, authors = standing(proposal), author_ids(proposal)
        was_signed = seats_of(earlier, released, at=proposal.submitted_at, authors=authors) if earlier else {}
        for vote in proposal.votes.filter(stands=True):
            now, was = signed.seats.get(vote.department_id), was_signed.get(vote.department_id)
            touched = now is None or was is None or (now.items | was.items) & edited
            if vote.choice == Vote.Choice.CHANGES or vote.by_id in authors or touched:
                Vote.objects.filter(pk=vote.pk).update(stands=False)
        proposal.state, proposal.submitted_at = Proposal.State.IN_REVIEW, timezone.now()
        proposal.save(update_fields=["state", "submitted_at"])
        settle(proposal)
        signed = standing(proposal)
        waiting = [person for seat in signed.seats.values() if seat.must and not seat.approved for person in seat.voters]
        told = [person for seat in signed.seats.values() if not seat.must for person in seat.voters]
        link = proposal.get_absolute_url()
        tell(waiting, gettext_noop("“%(title)s” by %(who)s waits for your department."), link=link, title=proposal.title, who=str(by))
        tell(told, gettext_noop("“%(title)s” by %(who)s is proposed; it concerns your department."), link=link, title=proposal.title, who=str(by))  # fmt: skip
    return signed


def pull_back(proposal: Proposal, *, by: User) -> None:
    """Take it out of review to edit it. Approvals stay, until a submission shows which of them the edits touched."""
    with writing():
        _expect(proposal, *Proposal.LOCKED, by=by)
        _move(proposal, Proposal.State.DRAFT)


def withdraw(proposal: Proposal, *, by: User) -> None:
    """Give it up. What is released stays, and the draft stays as it is until its changes are discarded."""
    with writing():
        _expect(proposal, *Proposal.OPEN, by=by)
        if unsubmitted := [row for row in proposal.items.all() if row.before is None and row.after is None]:
            freeze(unsubmitted)
        proposal.items.update(is_open=False)
        _move(proposal, Proposal.State.WITHDRAWN)


def describe(proposal: Proposal, *, by: User, title: str, why: str, links: str, retire_reason: str) -> None:
    """Say otherwise what it changes and why. Locked under review like its items; approvals were given to other words, and fall."""
    wanted = {"title": title, "why": why, "links": links, "retire_reason": retire_reason}
    with writing():
        _expect(proposal, *EDITABLE, by=by)
        if Proposal.objects.filter(pk=proposal.pk).exclude(**wanted).update(**wanted):
            proposal.votes.filter(stands=True, choice=Vote.Choice.APPROVE).update(stands=False)
    proposal.refresh_from_db(fields=list(wanted))


def discard(item_ids: Collection[str], *, by: User, why: str = "") -> None:
    """Bring draft rows back to what is released; rows that never were are removed, a source with its rules.

    A rule that was deleted with its source comes back with it. Colleagues whose saves are lost are told. Raises ItemLocked, StillProposed, ItemInUse or OutsideGrant.
    """
    with writing():
        released, draft = items_of(newest()), draft_items()
        gone = [item for item in item_ids if item not in released]
        item_ids = list(dict.fromkeys([*_sources_along(item_ids, released, draft), *item_ids, *_rules_along(gone, released)]))
        expect(by, May.PROPOSE, item_ids, released, draft)
        refuse_locked(item_ids)
        if found := open_proposals(item_ids):
            raise StillProposed(found)
        lost = saves_since({item: released.get(item) for item in item_ids})
        write_items({item: released.get(item) for item in item_ids if released.get(item) != draft.get(item)}, by=by, why=why)
        _tell_of_loss(lost, by, draft)


def _rules_along(gone: list[str], released: Items) -> dict[str, Definition | None]:
    """{rule of a source that goes: as it is released}: a rule that was moved to that source goes back to its own."""
    return {rule: released.get(rule) for rule in rules_of(gone)}


def _sources_along(back: Collection[str], released: Items, draft: Items) -> list[str]:
    """Sources without which rules that come back would stand alone."""
    return [one["source"] for item in back if (one := released.get(item, {})).get("kind") == "rule" and one["source"] not in draft]


def _tell_of_loss(lost: dict[str, list[Revision]], by: User, draft: Items) -> None:
    """One notice for each colleague, with the names of what is lost."""
    of_each: dict[User, dict[str, list[str]]] = defaultdict(dict)
    names = items_of(newest()) | draft
    for item, saves in lost.items():
        for save in saves:
            if save.by is not None and save.by_id != by.pk:
                of_each[save.by].setdefault(item, called(save.definition or {}, names))
    for person, lost_names in of_each.items():
        item = next(iter(lost_names))
        link = reverse(f"admin:taxonomy_{MODELS[lost[item][0].kind]._meta.model_name}_history", args=[item])
        tell([person], gettext_noop("%(who)s discarded what you had changed of %(items)s."), link=link, who=str(by), items=[", ".join(some) for some in zip(*lost_names.values(), strict=True)])  # fmt: skip


def proposed(proposal: Proposal, released: Items) -> Items:
    """The plan as it would be: what is released, with the proposal's definitions as submitted, else as the draft has them."""
    rows = list(proposal.items.all())
    wanted = {str(one.item): one.after for one in rows}
    if not proposal.is_locked and proposal.is_open:
        draft = draft_items()
        wanted = {item: draft.get(item) for item in wanted}
    return on_top(released, wanted)


def sides(proposal: Proposal, released: Items) -> tuple[Items, Items]:
    """The plan without a proposal and with it; of one that was given up, as its items were then."""
    if proposal.state == Proposal.State.WITHDRAWN:
        released = on_top(released, {str(row.item): row.before for row in proposal.items.all()})
    return released, proposed(proposal, released)


EDITABLE = (Proposal.State.DRAFT, Proposal.State.CHANGES_REQUESTED)


def _as_submitted(proposal: Proposal) -> dict[str, Definition | None]:
    """{item: its definition at the last submission}, None: it goes. Of what was added since, neither before nor after is kept."""
    return {str(row.item): row.after for row in proposal.items.all() if row.before is not None or row.after is not None}


def _keep_definitions(proposal: Proposal, earlier: dict[str, Definition | None], released: Items, draft: Items) -> set[str]:
    """Store before and after of each item; drop those that change nothing. Returns what differs from the last submission."""
    kept: dict[str, Definition | None] = {}
    for row in proposal.items.all():
        item = str(row.item)
        if released.get(item) == draft.get(item):
            row.delete()
            continue
        row.before, row.after = released.get(item), draft.get(item)
        row.save(update_fields=["before", "after"])
        kept[item] = row.after
    return {item for item in kept | earlier if item not in kept or item not in earlier or kept[item] != earlier[item]}


def _expect(proposal: Proposal, *states: str, by: User | None = None) -> None:
    """Raises WrongState unless the proposal stands so now, PermissionError unless the person is one of its authors."""
    proposal.refresh_from_db(fields=["state", "submitted_at"])
    if by is not None and by.pk not in author_ids(proposal):
        raise PermissionError
    if proposal.state not in states:
        raise WrongState


def _move(proposal: Proposal, state: str) -> None:
    proposal.state = state
    proposal.save(update_fields=["state"])
