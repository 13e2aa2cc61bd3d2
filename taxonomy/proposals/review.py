"""Sign-off: which departments must sign a proposal, what they said, and its release."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.contrib.auth.backends import ModelBackend
from django.db import transaction
from django.db.models import prefetch_related_objects
from django.utils import timezone
from django.utils.translation import gettext_noop

from staff.models import Department, User
from staff.notices import tell
from taxonomy.definition import Definition, Items, draft_items
from taxonomy.draft import writing
from taxonomy.models import Proposal, ProposalItem, Release, ReviewPolicy, Vote
from taxonomy.proposals.affected import Senders
from taxonomy.proposals.authors import author_ids, saves_of, saves_since
from taxonomy.proposals.concern import STEWARD, Change, Concern, Reason, concerns
from taxonomy.proposals.senders import SENT_WITHIN, native_senders
from taxonomy.proposals.tell import release_link, tell_of_release
from taxonomy.proposals.verdict import Verdict, judge
from taxonomy.publish import company_day, items_of, newest, publish, release, unreleased
from taxonomy.recent import seen_lately, tag_use
from taxonomy.rights import May, On, Rights, expect, rights_of_each

SIGN = "taxonomy.review_proposal"
_OF_DUTY: set[Reason] = {"breaking", "personal"}
_GRAVE: tuple[Change, ...] = ("breaking", "personal")
_WEIGHT: dict[str, int] = {ReviewPolicy.Say.NOTHING: 0, ReviewPolicy.Say.TOLD: 1, ReviewPolicy.Say.MUST: 2}


class NotAllowed(Exception):
    """This person may not do this here. `code` says why: "author", "department", "not_asked", "right", "seen" or "words"."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotReady(Exception):
    """Signatures are missing for what the proposal has become."""


class StillArrives(Exception):
    """Tags that sources still send would be retired, and no reason is given."""

    def __init__(self, tags: list[str]) -> None:
        super().__init__(len(tags))
        self.tags = tags


class Overtaken(Exception):
    """Items of the proposal were released otherwise since it was submitted."""

    def __init__(self, items: list[str]) -> None:
        super().__init__(len(items))
        self.items = items


@dataclass(slots=True)
class Seat:
    """One department's part in a sign-off. `voters` may sign for it: its own people, else those of a deputy.

    `outgrown`: an approval that counts no more, as what it was given for has become graver since.
    """

    department: Department
    must: bool
    concern: Concern
    voters: list[User]
    vote: Vote | None = None
    deputy: Department | None = None
    outgrown: Vote | None = None

    @property
    def asked(self) -> dict[str, list[str]]:
        """{kind of change: its items}, sorted."""
        return {change: sorted(items) for change, items in sorted(self.concern.changes.items())}

    def hear(self, vote: Vote | None) -> None:
        """Take what the department said, unless it approved before something was breaking or of personal data."""
        if vote and vote.choice == Vote.Choice.APPROVE and vote.asked is not None:
            if any(self.concern.changes.get(change, set()) - set(vote.asked.get(change, ())) for change in _GRAVE):
                vote, self.outgrown = None, vote
        self.vote = vote

    @property
    def items(self) -> set[str]:
        return self.concern.items

    @property
    def approved(self) -> bool:
        return self.vote is not None and self.vote.choice == Vote.Choice.APPROVE


@dataclass(slots=True)
class Standing:
    """Where a proposal stands: its verdict, and the departments that are asked or told, by code."""

    verdict: Verdict
    seats: dict[str, Seat] = field(default_factory=dict)

    @property
    def missing(self) -> list[Seat]:
        return [seat for seat in self.seats.values() if seat.must and not seat.approved]

    @property
    def stuck(self) -> list[Seat]:
        """Those for whom nobody can sign."""
        return [seat for seat in self.missing if not seat.voters]

    @property
    def is_signed(self) -> bool:
        """Whether nobody is missing who must sign, and somebody has: what nobody is asked about is not signed either."""
        return not self.missing and any(seat.approved for seat in self.seats.values())

    def may_vote(self, person: User) -> list[Seat]:
        return [seat for seat in self.seats.values() if any(voter.pk == person.pk for voter in seat.voters)]


def standing(proposal: Proposal, authors: Collection[int] | None = None) -> Standing:
    """Computed from the plan as it is released now and as the proposal would make it. `authors`: where they are at hand."""
    from taxonomy.proposals.propose import proposed

    released = items_of(newest())
    after = proposed(proposal, released)
    verdict = judge(released, after, on=company_day())
    senders = native_senders(released, after, verdict.by_item, on=company_day())
    return standing_between(proposal, released, after, verdict, senders, authors)


def standing_between(
    proposal: Proposal, released: Items, after: Items, verdict: Verdict, senders: Senders, authors: Collection[int] | None = None
) -> Standing:
    """The same of plans, a verdict and senders that are at hand."""
    concerned = concerns(released, after, [str(row.item) for row in proposal.items.all()], verdict, senders)
    authors = author_ids(proposal) if authors is None else authors
    votes = {one.department_id: one for one in proposal.votes.filter(stands=True).exclude(by__in=authors).select_related("by")}
    return Standing(verdict, seats(concerned, released, after, without=authors, votes=votes, at=submitted_at(proposal)))


def submitted_at(proposal: Proposal) -> datetime | None:
    """Since when it is under review: by what departments wanted then, they are asked. None: by what they want now."""
    return proposal.submitted_at if proposal.is_locked else None


def on_top(released: Items, wanted: Mapping[str, Definition | None]) -> Items:
    """What is released with some definitions in the place of its own; None: the item goes."""
    after = released | {item: one for item, one in wanted.items() if one is not None}
    return {item: one for item, one in after.items() if wanted.get(item, one) is not None}


def seats_of(
    wanted: Mapping[str, Definition | None], released: Items, *, at: datetime | None, authors: Collection[int] = ()
) -> dict[str, Seat]:
    """Who is asked about these definitions of `authors`, themselves among them, and whatever was said."""
    after = on_top(released, wanted)
    day = company_day()
    senders = native_senders(released, after, wanted, on=day)
    concerned = concerns(released, after, wanted, judge(released, after, on=day), senders)
    return seats(concerned, released, after, without=(), votes={}, at=at, authors=authors)


def seats(
    concerned: dict[str, Concern],
    *plans: Items,
    without: Collection[int],
    votes: dict[str, Vote],
    at: datetime | None,
    signing: "Signing | None" = None,
    authors: Collection[int] | None = None,
) -> dict[str, Seat]:
    """{department's code: its seat}, by what departments wanted at a moment, None: now. `authors`: where they are not `without`.

    At least one signs: the data stewards, where no other must. What is breaking or personal is signed by those with the
    duty, whatever they want; what is personal by the stewards, where nobody has the duty of compliance. Only those sign who may, of all the items their department is asked about, in each of the
    plans; nobody of `without`.
    """
    signing = signing or Signing()
    departments, policies = signing.departments, signing.policies(at, without if authors is None else authors)
    voters = Voters(signing.people, without, plans)
    found: dict[str, Seat] = {}
    for code, concern in _by_department(concerned, departments.values()).items():
        wants = [policies.get((code, change), ReviewPolicy.Say.MUST) for change in concern.changes]
        say = ReviewPolicy.Say.MUST if _OF_DUTY & concern.reasons.keys() else max(wants, key=lambda one: _WEIGHT[one])
        if say != ReviewPolicy.Say.NOTHING:
            found[code] = _seat(departments, voters, code, concern, must=say == ReviewPolicy.Say.MUST)
    if not any(seat.must for seat in found.values()):
        changed: dict[Change, set[str]] = {"any": {item for concern in concerned.values() for item in concern.items}}
        for code in _with_duty(STEWARD, departments.values())[:1]:
            found[code] = _seat(departments, voters, code, Concern(changed, {"only": changed["any"]}), must=True)
    for code, seat in found.items():
        seat.hear(votes.get(code))
    return dict(sorted(found.items(), key=lambda pair: (not pair[1].must, pair[0])))


class Signing:
    """By what rules departments sign, and who may: the same for every proposal. A fixed number of queries."""

    def __init__(self) -> None:
        self.departments = {one.pk: one for one in Department.objects.all()}
        self._said = list(ReviewPolicy.objects.order_by("id"))
        people = ModelBackend().with_perm(SIGN).filter(department__isnull=False)
        self.people = rights_of_each(people.select_related("department"))

    def policies(self, at: datetime | None, without: Collection[int] = ()) -> dict[tuple[str, str], str]:
        """{(department, kind of change): what it wanted at a moment}, None: what it wants now.

        Where one of `without` asked for less than before, that does not count: authors choose nobody out.
        """
        found: dict[tuple[str, str], str] = {}
        for one in self._said:
            place = one.department_id, one.change
            is_less = _WEIGHT[one.say] < _WEIGHT[found.get(place, ReviewPolicy.Say.MUST)]
            if (at is None or one.at <= at) and not (is_less and one.by_id in without):
                found[place] = one.say
        return found


def seen_of(proposal: Proposal, seat: Seat) -> str:
    """What a page shows that asks for a seat's word, as a mark: the submission, and what of it is breaking or of personal data."""
    grave = [seat.asked.get(change) for change in _GRAVE]
    return sha256(f"{proposal.submitted_at and proposal.submitted_at.isoformat()} {grave}".encode()).hexdigest()


def vote(proposal: Proposal, *, by: User, choice: str, comment: str = "", department: str | None = None, seen: str | None = None) -> None:
    """Sign, or ask for changes and say which, for a department (None: every one) this person may speak for.

    `seen`: the mark of what they looked at, None: the proposal as the caller has it. Raises NotAllowed.
    """
    with writing():
        looked_at = proposal.submitted_at
        proposal.refresh_from_db(fields=["state", "submitted_at"])
        if by.pk in author_ids(proposal):
            raise NotAllowed("author")
        if not by.has_perm(SIGN):
            raise NotAllowed("right")
        signed = standing(proposal)
        mine = [seat for seat in signed.may_vote(by) if department in (None, seat.department.pk)]
        if not mine or not proposal.is_locked:
            raise NotAllowed("department")
        if looked_at != proposal.submitted_at or any(seen not in (None, seen_of(proposal, seat)) for seat in mine):
            raise NotAllowed("seen")
        if choice == Vote.Choice.CHANGES and not comment.strip():
            raise NotAllowed("words")
        for seat in mine:
            proposal.votes.filter(department=seat.department, stands=True).update(stands=False)
            Vote.objects.create(proposal=proposal, department=seat.department, by=by, choice=choice, comment=comment, asked=seat.asked)
        settle(proposal)
        authors = User.objects.filter(pk__in=author_ids(proposal))
        said = gettext_noop("%(who)s approved “%(title)s”.") if choice == Vote.Choice.APPROVE else gettext_noop("%(who)s asks for changes to “%(title)s”.")  # fmt: skip
        tell(authors, said, link=proposal.get_absolute_url(), who=str(by), title=proposal.title)


def settle(proposal: Proposal, *, fallen: Collection[str] = ()) -> None:
    """Bring the state of a proposal under review to what its votes say; who may release it is told once it is approved.

    Where it is approved no longer, those are told whom it waits for; else those of the departments whose approval has `fallen`.
    """
    signed, was = standing(proposal), proposal.state
    if any(one.choice == Vote.Choice.CHANGES for one in proposal.votes.filter(stands=True)):
        state = Proposal.State.CHANGES_REQUESTED
    else:
        state = Proposal.State.APPROVED if signed.is_signed else Proposal.State.IN_REVIEW
    proposal.state = state
    proposal.save(update_fields=["state"])
    if state == Proposal.State.APPROVED != was:
        tell(releasers(proposal), gettext_noop("“%(title)s” is approved and can be released."), link=proposal.get_absolute_url(), title=proposal.title)  # fmt: skip
    if state == Proposal.State.IN_REVIEW:
        again = [seat for seat in signed.missing if was == Proposal.State.APPROVED or seat.department.pk in fallen]
        people = [person for seat in again for person in seat.voters]
        tell(people, gettext_noop("“%(title)s” by %(who)s has lost an approval or needs one more; it waits for your department."), link=proposal.get_absolute_url(), title=proposal.title, who=str(proposal.author))  # fmt: skip


def settle_approved() -> None:
    """After a release: what that made to need another word waits for it at once, not until somebody wants to release it."""
    for proposal in Proposal.objects.filter(state=Proposal.State.APPROVED):
        with writing():
            proposal.refresh_from_db(fields=["state", "submitted_at"])
            if proposal.state == Proposal.State.APPROVED:
                settle(proposal)


def void_votes(proposal: Proposal, *, by: User) -> list[str]:
    """What somebody said, who is an author now, stands no longer; the departments whose approval has fallen with it."""
    said = proposal.votes.filter(by=by, stands=True)
    fallen = list(said.filter(choice=Vote.Choice.APPROVE).values_list("department_id", flat=True))
    said.update(stands=False)
    return fallen


def releasers(proposal: Proposal) -> list[User]:
    """Who may release all of it."""
    from taxonomy.proposals.propose import proposed

    released = items_of(newest())
    plans, items = (released, proposed(proposal, released)), [str(row.item) for row in proposal.items.all()]
    each = rights_of_each(ModelBackend().with_perm("taxonomy.publish_release").select_related("department"))
    return [rights.person for rights in each if all(On(rights, plan).may(May.RELEASE, item) for plan in plans for item in items)]


def release_proposal(proposal: Proposal, *, by: User) -> Release:
    """Release an approved proposal's items on top of what is released now; signatures and plan are checked again.

    Raises NotAllowed, OutsideGrant, NotReady, Overtaken, StillArrives or NotPublishable.
    """
    if not by.has_perm("taxonomy.publish_release"):
        raise NotAllowed("right")
    with writing():
        proposal.refresh_from_db(fields=["state", "submitted_at"])
        if proposal.state != Proposal.State.APPROVED:
            raise NotReady
        _expect_for_all(proposal, by, May.RELEASE)
        if (signed := standing(proposal)).is_signed:
            return _release(proposal, signed, by=by, emergency_reason="")
        settle(proposal)
    raise NotReady


def emergency_release(proposal: Proposal, *, by: User, reason: str) -> Release:
    """Release an open proposal without sign-off; it stays marked until somebody else reviews it. Raises as release_proposal.

    Those who would have had to sign are told.
    """
    if not by.has_perm("taxonomy.emergency_release"):
        raise NotAllowed("right")
    with writing():
        proposal.refresh_from_db(fields=["state", "submitted_at"])
        if not proposal.is_open or not reason.strip():
            raise NotReady
        _expect_for_all(proposal, by, May.EMERGENCY)
        if not proposal.is_locked:
            _freeze(proposal)
        signed = standing(proposal)
        asked = [seat for seat in signed.seats.values() if seat.must]
        made = _release(proposal, signed, by=by, emergency_reason=reason.strip())
        people = {person.pk: person for seat in asked for person in seat.voters if person.pk != by.pk}
        tell(people.values(), gettext_noop("%(who)s released %(version)s without your department's word. Look at it, and mark it as reviewed."), link=release_link(made), who=str(by), version=made.version)  # fmt: skip
        return made


def release_unsigned(item_ids: Collection[str] | None, *, notes: str, retire_reason: str) -> Release:
    """Release the draft's items (None: all) by the machine's own hand; the release stays marked, and those are told whom it concerns.

    Raises ElsewhereProposed where open proposals hold some of them, StillArrives, NothingToPublish or NotPublishable.
    """
    from taxonomy.proposals.propose import ElsewhereProposed, open_proposals

    with writing():
        before = items_of(newest())
        wanted = {change.item: change.after for change in unreleased() if item_ids is None or change.item in item_ids}
        if found := open_proposals(wanted):
            raise ElsewhereProposed(found)
        if not retire_reason.strip() and (retired := retired_but_sent(before, on_top(before, wanted))):
            raise StillArrives(retired)
        asked = [seat for seat in seats_of(wanted, before, at=None).values() if seat.must]
        made = publish(wanted, notes="\n\n".join(filter(None, (notes, retire_reason))), by=None, emergency_reason=notes)
        tell_of_release(made, before)
        tell({person.pk: person for seat in asked for person in seat.voters}.values(), gettext_noop("%(who)s released %(version)s without your department's word. Look at it, and mark it as reviewed."), link=release_link(made), who="manage.py publish", version=made.version)  # fmt: skip
    return made


def review_release(made: Release, *, by: User) -> None:
    """Look at an emergency release afterwards: somebody who would have been asked to sign it, and neither made nor wrote it.

    Raises NotAllowed or OutsideGrant.
    """
    with transaction.atomic():
        made = Release.objects.select_for_update().get(pk=made.pk)
        before, without = items_of(_before(made)), writers_of(made)
        if by.pk in without:
            raise NotAllowed("author")
        if not by.has_perm(SIGN):
            raise NotAllowed("right")
        expect(by, May.REVIEW, made.changed_items, before, items_of(made))
        if not _would_sign(made, by, before, without):
            raise NotAllowed("not_asked")
        if made.awaits_review:
            made.reviewed_by, made.reviewed_at = by, timezone.now()
            made.save(update_fields=["reviewed_by", "reviewed_at"])


def may_review(made: Release, person: User) -> bool:
    """Whether somebody has still to review the release, and this person may."""
    if not made.awaits_review or not person.has_perm(SIGN):
        return False
    without = writers_of(made)
    return person.pk not in without and _would_sign(made, person, items_of(_before(made)), without)


def writers_of(made: Release) -> set[int]:
    """Who made the release, or wrote what is in it."""
    before = items_of(_before(made))
    saves = saves_since({item: before.get(item) for item in made.changed_items}, until=made)
    wrote = {one.by_id for some in saves.values() for one in some} | {made.published_by_id}
    return wrote.union(*(author_ids(proposal, {}) for proposal in made.proposals.all())) - {None}  # type: ignore[return-value]


def _would_sign(made: Release, person: User, before: Items, without: Collection[int]) -> bool:
    """Whether this person could have signed it, had it been asked for; of a proposal, as its departments wanted when it was frozen."""
    after, asked = items_of(made), [proposal.submitted_at for proposal in made.proposals.all() if proposal.submitted_at]
    senders = native_senders(before, after, made.changed_items, on=made.day)
    concerned = concerns(before, after, made.changed_items, judge(before, after, on=made.day), senders)
    found = seats(concerned, before, after, without=without, votes={}, at=min([made.published_at, *asked]))
    return any(voter.pk == person.pk for seat in found.values() if seat.must for voter in seat.voters)


def _before(made: Release) -> Release | None:
    return Release.objects.filter(pk__lt=made.pk).order_by("-id").first()


def waiting_for(person: User) -> list[Proposal]:
    """The proposals under review that this person can sign and whose department has not spoken. A fixed number of queries, once known."""
    from taxonomy.proposals.propose import proposed

    proposals = list(Proposal.objects.in_review().select_related("author").prefetch_related("co_authors", "votes"))
    if not proposals or not person.has_perm(SIGN):
        return []
    signing, released = Signing(), cache(lambda: items_of(newest()))
    # only grants look at what the plans say
    limited = any(rights.limited for rights in signing.people)
    if limited:
        prefetch_related_objects(proposals, "items")
    found = []
    for proposal, asked in zip(proposals, _asked_in_review(proposals, released), strict=True):
        without = {proposal.author_id, *(author.pk for author in proposal.co_authors.all()), *asked.saved_by}
        votes = {vote.department_id: vote for vote in proposal.votes.all() if vote.stands and vote.by_id not in without}
        plans = (released(), proposed(proposal, released())) if limited else ()
        here = Standing(
            asked.verdict, seats(asked.concerned, *plans, without=without, votes=votes, at=proposal.submitted_at, signing=signing)
        )
        if any(seat.must and seat.vote is None for seat in here.may_vote(person)):
            found.append(proposal)
    return found


@dataclass(frozen=True, slots=True)
class _Asked:
    """What of a proposal under review stays as it is until it is submitted anew or something is released."""

    verdict: Verdict
    concerned: dict[str, Concern]
    saved_by: set[int]


# {(proposal, when it was submitted, release, day): what is asked}: computing it reads the whole plan, for each proposal.
_asked: dict[tuple[Any, ...], _Asked] = {}


def _asked_in_review(proposals: list[Proposal], released: Callable[[], Items]) -> list[_Asked]:
    """What each asks, remembered by the process; of what is under review no longer, it is forgotten."""
    from taxonomy.proposals.propose import proposed

    release_id, day = Release.objects.order_by("-id").values_list("id", flat=True).first(), company_day()
    found: dict[tuple[Any, ...], _Asked] = {}
    for proposal in proposals:
        key = (proposal.pk, proposal.submitted_at, release_id, day)
        one = _asked.get(key)
        if one is None:
            after, saves = proposed(proposal, released()), saves_of(proposal)
            verdict = judge(released(), after, on=day)
            senders = native_senders(released(), after, verdict.by_item, on=day)
            concerned = concerns(released(), after, [str(row.item) for row in proposal.items.all()], verdict, senders)
            one = _Asked(verdict, concerned, {save.by_id for some in saves.values() for save in some if save.by_id is not None})
        found[key] = one
    _asked.clear()
    _asked.update(found)
    return list(found.values())


def releases_waiting_for(person: User) -> list[Release]:
    """The emergency releases that nobody has reviewed and for which this person would have been asked to sign."""
    if not person.has_perm(SIGN):
        return []
    return [made for made in Release.objects.filter(reviewed_at=None).exclude(emergency_reason="") if may_review(made, person)]


def expect_reason(proposal: Proposal, before: Items, after: Items) -> None:
    """Raises StillArrives where tags that sources still send would go without a word why."""
    if not proposal.retire_reason.strip() and (retired := retired_but_sent(before, after)):
        raise StillArrives(retired)


def retired_but_sent(before: Items, after: Items) -> list[str]:
    """Tags that are received now, would be no longer, and arrived lately: among the newest events, or on one of the last days."""
    retired = [item for item, one in before.items() if _is_received(one) and not _is_received(after.get(item))]
    if not retired:
        return []
    since, uses = company_day() - SENT_WITHIN, tag_use([UUID(item) for item in retired])
    sent = {str(tag) for tag, sources in uses.items() if any(use.last_day >= since for use in sources.values())}
    return [item for item in retired if item in sent | set(seen_lately().tags)]


def _is_received(one: Definition | None) -> bool:
    return one is not None and one["kind"] == "tag" and one.get("status") != "draft"


def _release(proposal: Proposal, signed: Standing, *, by: User, emergency_reason: str) -> Release:
    released = items_of(newest())
    rows = list(proposal.items.all())
    if overtaken := [str(row.item) for row in rows if released.get(str(row.item)) != row.before]:
        raise Overtaken(overtaken)
    wanted = {str(row.item): row.after for row in rows}
    expect_reason(proposal, released, on_top(released, wanted))
    made = release(
        wanted,
        notes=f"{proposal.title}\n\n{proposal.why}", by=by, emergency_reason=emergency_reason, signed=not emergency_reason,
    )  # fmt: skip
    # What counted no more when it was released is no signature of it.
    proposal.votes.filter(pk__in=[seat.outgrown.pk for seat in signed.seats.values() if seat.outgrown]).update(stands=False)
    proposal.state, proposal.release = Proposal.State.RELEASED, made
    proposal.save(update_fields=["state", "release"])
    proposal.items.update(is_open=False)
    tell_of_release(made, released)
    authors = User.objects.filter(pk__in=author_ids(proposal) - {by.pk})
    tell(
        authors,
        gettext_noop("“%(title)s” is released as %(version)s."),
        link=release_link(made),
        title=proposal.title,
        version=made.version,
    )
    return made


def _expect_for_all(proposal: Proposal, by: User, act: str) -> None:
    """Raises OutsideGrant unless the person may do this to each item, as it is and as it would be."""
    from taxonomy.proposals.propose import proposed

    released = items_of(newest())
    expect(by, act, [row.item for row in proposal.items.all()], released, proposed(proposal, released))


def _freeze(proposal: Proposal) -> None:
    """Keep the definitions of a proposal that was not submitted."""
    freeze(proposal.items.all())
    proposal.submitted_at = timezone.now()
    proposal.save(update_fields=["submitted_at"])


def freeze(rows: Iterable[ProposalItem]) -> None:
    """Keep in rows of a proposal what is released and what the draft has."""
    released, draft = items_of(newest()), draft_items()
    for row in rows:
        row.before, row.after = released.get(str(row.item)), draft.get(str(row.item))
        row.save(update_fields=["before", "after"])


def _by_department(concerned: dict[str, Concern], departments: Iterable[Department]) -> dict[str, Concern]:
    """Duties resolved to the departments that have them; what is of nobody, or of departments that are no more, is the stewards'."""
    known = {one.pk for one in departments}
    found: dict[str, Concern] = {}
    for name, concern in concerned.items():
        codes = [name] if name in known else _with_duty(name, departments) or _with_duty(STEWARD, departments)
        for code in codes:
            for change, items in concern.changes.items():
                found.setdefault(code, Concern()).changes[change] |= items
            for reason, items in concern.reasons.items():
                found.setdefault(code, Concern()).reasons[reason] |= items
    return found


def _with_duty(duty: str, departments: Iterable[Department]) -> list[str]:
    return [one.pk for one in departments if f"duty:{one.duty}" == duty]


class Voters:
    """Those who may sign, by department, without some people."""

    def __init__(self, people: Iterable[Rights], without: Collection[int], plans: Iterable[Items] = ()) -> None:
        plans = list(plans)
        self._of: dict[str, list[tuple[User, list[On]]]] = defaultdict(list)
        for rights in people:
            if rights.person.pk not in without:
                self._of[str(rights.person.department_id)].append((rights.person, [On(rights, plan) for plan in plans]))

    def of(self, department: str, items: Iterable[str] = ()) -> list[User]:
        """Those of a department who may sign for all these items."""
        return [person for person, sides in self._of[department] if all(on.may(May.REVIEW, item) for on in sides for item in items)]


def _seat(departments: dict[str, Department], voters: Voters, code: str, concern: Concern, *, must: bool) -> Seat:
    """The seat of a department, filled by the first of it and its deputies that has somebody to sign, at last by the stewards."""
    seen: list[str] = []
    chain = [code]
    while chain:
        candidate = chain.pop()
        if people := voters.of(candidate, concern.items):
            deputy = departments[candidate] if candidate != code else None
            return Seat(departments[code], must, concern, people, deputy=deputy)
        seen.append(candidate)
        after = departments[candidate].deputy_id
        chain += [after] if after and after not in seen else [one for one in _with_duty(STEWARD, departments.values()) if one not in seen]
    return Seat(departments[code], must, concern, [])
