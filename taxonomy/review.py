"""Sign-off: which departments must sign a proposal, what they said, and its release."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.contrib.auth.backends import ModelBackend
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from staff.models import Department, User
from staff.notices import tell
from taxonomy.concern import COMPLIANCE, STEWARD, Change, Concern, concerns
from taxonomy.definition import Items
from taxonomy.draft import writing
from taxonomy.models import Proposal, Release, ReviewPolicy, Vote
from taxonomy.publish import company_day, items_of, newest, release
from taxonomy.rights import May, On, expect, rights_of_each
from taxonomy.tell import tell_of_release
from taxonomy.verdict import Verdict, judge

SIGN = "taxonomy.review_proposal"
_WEIGHT: dict[str, int] = {ReviewPolicy.Say.NOTHING: 0, ReviewPolicy.Say.TOLD: 1, ReviewPolicy.Say.MUST: 2}


class NotAllowed(Exception):
    """This person may not do this here. `code` says why: "author", "department" or "right"."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotReady(Exception):
    """Signatures are missing for what the proposal has become."""


class Overtaken(Exception):
    """Items of the proposal were released otherwise since it was submitted."""

    def __init__(self, items: list[str]) -> None:
        super().__init__(len(items))
        self.items = items


@dataclass(slots=True)
class Seat:
    """One department's part in a sign-off. `voters` may sign for it: its own people, else those of a deputy."""

    department: Department
    must: bool
    concern: Concern
    voters: list[User]
    vote: Vote | None = None
    deputy: Department | None = None

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

    def may_vote(self, person: User) -> list[Seat]:
        return [seat for seat in self.seats.values() if any(voter.pk == person.pk for voter in seat.voters)]


def standing(proposal: Proposal) -> Standing:
    """Computed from the plan as it is released now and as the proposal would make it."""
    from taxonomy.propose import proposed

    released = items_of(newest())
    changed = [str(item) for item in proposal.items.values_list("item", flat=True)]
    after = proposed(proposal, released)
    verdict = judge(released, after, on=company_day())
    return Standing(verdict, seats(proposal, concerns(released, after, changed, verdict), released, after))


def seats(proposal: Proposal, concerned: dict[str, Concern], *plans: Items) -> dict[str, Seat]:
    """{department's code: its seat}. At least one department signs: the data stewards, where no other must.

    Only those sign who may, of all the items their department is asked about, in each of the plans.
    """
    departments = {one.pk: one for one in Department.objects.all()}
    policies = {(one.department_id, one.change): one.say for one in ReviewPolicy.objects.all()}
    votes = {one.department_id: one for one in proposal.votes.filter(stands=True).select_related("by")}
    voters = Voters(proposal.author_ids(), plans)
    found: dict[str, Seat] = {}
    for code, concern in _by_department(concerned, departments.values()).items():
        say = max((policies.get((code, change), ReviewPolicy.Say.MUST) for change in concern.changes), key=lambda one: _WEIGHT[one])
        if say != ReviewPolicy.Say.NOTHING:
            found[code] = _seat(departments, voters, code, concern, must=say == ReviewPolicy.Say.MUST)
    if not any(seat.must for seat in found.values()):
        changed: dict[Change, set[str]] = {"any": {item for concern in concerned.values() for item in concern.items}}
        for code in _with_duty(STEWARD, departments.values())[:1]:
            found[code] = _seat(departments, voters, code, Concern(changed), must=True)
    for code, seat in found.items():
        seat.vote = votes.get(code)
    return dict(sorted(found.items(), key=lambda pair: (not pair[1].must, pair[0])))


def vote(proposal: Proposal, *, by: User, choice: str, comment: str = "") -> None:
    """Sign, or ask for changes, for every department this person may speak for. Raises NotAllowed."""
    with writing():
        proposal.refresh_from_db(fields=["state"])
        if by.pk in proposal.author_ids():
            raise NotAllowed("author")
        if not by.has_perm(SIGN):
            raise NotAllowed("right")
        signed = standing(proposal)
        mine = signed.may_vote(by)
        if not mine or not proposal.is_locked:
            raise NotAllowed("department")
        for seat in mine:
            proposal.votes.filter(department=seat.department, stands=True).update(stands=False)
            Vote.objects.create(proposal=proposal, department=seat.department, by=by, choice=choice, comment=comment)
        settle(proposal)
        authors = User.objects.filter(pk__in=proposal.author_ids())
        said = gettext_noop("%(who)s approved “%(title)s”.") if choice == Vote.Choice.APPROVE else gettext_noop("%(who)s asks for changes to “%(title)s”.")  # fmt: skip
        tell(authors, said, link=proposal.get_absolute_url(), who=str(by), title=proposal.title)


def settle(proposal: Proposal) -> None:
    """Bring the state of a proposal under review to what its votes say."""
    signed = standing(proposal)
    if any(one.choice == Vote.Choice.CHANGES for one in proposal.votes.filter(stands=True)):
        state = Proposal.State.CHANGES_REQUESTED
    else:
        state = Proposal.State.IN_REVIEW if signed.missing else Proposal.State.APPROVED
    proposal.state = state
    proposal.save(update_fields=["state"])


def release_proposal(proposal: Proposal, *, by: User) -> Release:
    """Release an approved proposal's items on top of what is released now; signatures and plan are checked again.

    Raises NotAllowed, OutsideGrant, NotReady, Overtaken or NotPublishable.
    """
    if not by.has_perm("taxonomy.publish_release"):
        raise NotAllowed("right")
    with writing():
        proposal.refresh_from_db(fields=["state"])
        if proposal.state != Proposal.State.APPROVED:
            raise NotReady
        _expect_for_all(proposal, by, May.RELEASE)
        short = bool(standing(proposal).missing)
        if not short:
            return _release(proposal, by=by, emergency_reason="")
        settle(proposal)
    raise NotReady


def emergency_release(proposal: Proposal, *, by: User, reason: str) -> Release:
    """Release an open proposal without sign-off; it stays marked until somebody else reviews it. Raises as release_proposal."""
    if not by.has_perm("taxonomy.emergency_release"):
        raise NotAllowed("right")
    with writing():
        proposal.refresh_from_db(fields=["state"])
        if not proposal.is_open or not reason.strip():
            raise NotReady
        _expect_for_all(proposal, by, May.EMERGENCY)
        if not proposal.is_locked:
            _freeze(proposal)
        return _release(proposal, by=by, emergency_reason=reason.strip())


def review_release(made: Release, *, by: User) -> None:
    """Look at an emergency release afterwards: somebody else than who made or wrote it. Raises NotAllowed or OutsideGrant."""
    with transaction.atomic():
        made = Release.objects.select_for_update().get(pk=made.pk)
        if is_own(made, by):
            raise NotAllowed("author")
        if not by.has_perm(SIGN):
            raise NotAllowed("right")
        before = Release.objects.filter(pk__lt=made.pk).order_by("-id").first()
        expect(by, May.REVIEW, made.changed_items, items_of(before), items_of(made))
        if made.awaits_review:
            made.reviewed_by, made.reviewed_at = by, timezone.now()
            made.save(update_fields=["reviewed_by", "reviewed_at"])


def is_own(made: Release, person: User) -> bool:
    """Did this person make the release, or write what is in it?"""
    return person.pk == made.published_by_id or any(person.pk in proposal.author_ids() for proposal in made.proposals.all())


def waiting_for(person: User) -> list[Proposal]:
    """The proposals under review that this person can sign and whose department has not spoken."""
    if not person.has_perm(SIGN):
        return []
    found = []
    for proposal in Proposal.objects.in_review().select_related("author"):
        if any(seat.must and seat.vote is None for seat in standing(proposal).may_vote(person)):
            found.append(proposal)
    return found


def _release(proposal: Proposal, *, by: User, emergency_reason: str) -> Release:
    released = items_of(newest())
    rows = list(proposal.items.all())
    if overtaken := [str(row.item) for row in rows if released.get(str(row.item)) != row.before]:
        raise Overtaken(overtaken)
    made = release(
        {str(row.item): row.after for row in rows},
        notes=f"{proposal.title}\n\n{proposal.why}", by=by, emergency_reason=emergency_reason,
    )  # fmt: skip
    proposal.state, proposal.release = Proposal.State.RELEASED, made
    proposal.save(update_fields=["state", "release"])
    proposal.items.update(is_open=False)
    tell_of_release(made, released)
    return made


def _expect_for_all(proposal: Proposal, by: User, act: str) -> None:
    """Raises OutsideGrant unless the person may do this to each item, as it is and as it would be."""
    from taxonomy.propose import proposed

    released = items_of(newest())
    expect(by, act, [row.item for row in proposal.items.all()], released, proposed(proposal, released))


def _freeze(proposal: Proposal) -> None:
    """Keep the definitions of a proposal that was not submitted."""
    from taxonomy.definition import draft_items

    released, draft = items_of(newest()), draft_items()
    for row in proposal.items.all():
        row.before, row.after = released.get(str(row.item)), draft.get(str(row.item))
        row.save(update_fields=["before", "after"])


def _by_department(concerned: dict[str, Concern], departments: Iterable[Department]) -> dict[str, Concern]:
    """Duties resolved to the departments that have them; departments that are no more give way to the stewards."""
    known = {one.pk for one in departments}
    found: dict[str, Concern] = {}
    for name, concern in concerned.items():
        codes = [name] if name in known else _with_duty(name if name in (STEWARD, COMPLIANCE) else STEWARD, departments)
        for code in codes:
            for change, items in concern.changes.items():
                found.setdefault(code, Concern()).changes[change] |= items
    return found


def _with_duty(duty: str, departments: Iterable[Department]) -> list[str]:
    return [one.pk for one in departments if f"duty:{one.duty}" == duty]


class Voters:
    """Those who may sign, by department, without some people. A fixed number of queries."""

    def __init__(self, without: Collection[int], plans: Iterable[Items] = ()) -> None:
        people = ModelBackend().with_perm(SIGN).filter(department__isnull=False)
        self._of: dict[str, list[tuple[User, list[On]]]] = defaultdict(list)
        for rights in rights_of_each(people.exclude(pk__in=without).select_related("department")):
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
