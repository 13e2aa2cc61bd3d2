"""What somebody wrote, beside what others changed meanwhile; and the proposal made of it. Never a direct write."""

from collections.abc import Callable, Collection
from typing import Any

from django.db import IntegrityError

from staff.models import Department, User
from taxonomy.definition import Definition, draft_items
from taxonomy.draft import ChangedMeanwhile, refuse_locked, rules_of, write_items, writing
from taxonomy.exchange.written import Entry, Items, Trouble, Written, chosen, line_ends, read
from taxonomy.models import Proposal, Release, Revision
from taxonomy.proposals.authors import saves_since
from taxonomy.proposals.merge import merge
from taxonomy.proposals.propose import EDITABLE, NothingChanged, WrongState, add_items, open_proposals, propose_definitions
from taxonomy.publish import items_of, newest
from taxonomy.rights import May, On, OutsideGrant, Rights, expect
from taxonomy.standardize import Problem, check_plan


class NotTogether(Exception):
    """What was chosen would not hold together without what was not. All the problems; none where only the draft refuses it."""

    def __init__(self, problems: list[Problem], names: Items) -> None:
        super().__init__(", ".join(sorted({problem.code for problem in problems})))
        self.problems, self.names = problems, names


def compare(
    written: Written,
    *,
    draft: Items | None = None,
    base: Items | None = None,
    whole: Collection[str] = (),
    plain: Callable[[str], str] = line_ends,
    full: bool = False,
    settle: Callable[[list[Entry]], Any] | None = None,
    beyond: Items | None = None,
    rights: Rights | None = None,
    by: User | None = None,
) -> list[Entry]:
    """What the written makes of the draft. `base`: what the draft was when it was written out, so that what others changed since stays.

    `settle` may put the entries right, such as the positions of rules, before they are brought together with the draft. `beyond`:
    the rest of the draft, which the person of `rights` may not read; what they may not change is wrong. `by`: whose proposal it
    would be added to, where one of theirs holds some of it; what is not in the base is compared with what they wrote themselves.
    """
    draft = draft_items() if draft is None else draft
    departments = set(Department.objects.values_list("pk", flat=True))
    entries = read(written, draft, departments=departments, whole=whole, plain=plain, full=full, beyond=beyond)
    if settle:
        settle(entries)
    if base is not None:
        own = _theirs_alone(entries, base, by)
        entries = [entry for entry in entries if entry.item in own or _beside(entry, base)]
    bring_beside_saves([entry for entry in entries if base is None or entry.item not in base], by)
    if rights is not None:
        mark_outside(entries, rights, draft | (beyond or {}))
    _mark_held(entries, by)
    return entries


def _mark_held(entries: list[Entry], by: User | None) -> None:
    """What open proposals hold is wrong, unless only one does that this person may edit: it takes the rest too."""
    held = open_proposals(_touched(entries))
    theirs = _holds(held, by)
    takes_all = list(theirs.values()).count("written.own") == 1
    for entry in entries:
        if (proposal := held.get(entry.item)) and not (takes_all and theirs[proposal.pk] == "written.own"):
            entry.status = "wrong"
            entry.troubles.append(Trouble(theirs[proposal.pk], "", {"title": proposal.title, "who": str(proposal.author)}))


def _holds(held: dict[str, Proposal], by: User | None) -> dict[int, str]:
    """{proposal: how it holds what a person wants to change}."""
    return {pk: _hold_of(proposal, by) for pk, proposal in {proposal.pk: proposal for proposal in held.values()}.items()}


def _hold_of(proposal: Proposal, by: User | None) -> str:
    """How a proposal holds what a person wants to change; "written.own": they may edit it as it stands now."""
    if by is None or (by.pk != proposal.author_id and not proposal.co_authors.filter(pk=by.pk).exists()):
        return "written.elsewhere"
    return "written.own" if proposal.state in EDITABLE else "written.own_reviewed"


def _touched(entries: list[Entry]) -> list[str]:
    return [entry.item for entry in entries if entry.status in ("added", "changed", "removed")]


def takes(entries: list[Entry], *, by: User) -> Proposal | None:
    """The open proposal of this person that what came in is added to, whichever of it they choose."""
    found = {proposal.pk: proposal for proposal in open_proposals(_touched(entries)).values()}
    only = next(iter(found.values())) if len(found) == 1 else None
    return only if only is not None and _hold_of(only, by) == "written.own" else None


def _theirs_alone(entries: list[Entry], base: Items, by: User | None) -> set[str]:
    """Items of a proposal that this person may edit, which nobody else saved since `base`: what comes in again may take back what they wrote."""
    held = open_proposals(_touched(entries))
    holds = _holds(held, by)
    theirs = {item for item, proposal in held.items() if holds[proposal.pk] == "written.own"}
    at_base: set[str] = set()
    for item, action, one, who in (
        Revision.objects.filter(item__in=theirs).order_by("-id").values_list("item", "action", "definition", "by")
    ):
        if str(item) in at_base:
            continue
        if (None if action == Revision.Action.DELETED else one) == base.get(str(item)):
            at_base.add(str(item))
        elif by is None or who != by.pk:
            theirs.discard(str(item))
    return theirs


def bring_beside_saves(entries: list[Entry], by: User | None) -> None:
    """Bring what changes unreleased items together with what others saved of them since this person first did.

    Their first save before another's, not their newest: that may hold what the other wrote, which what comes in again never saw.
    """
    if by is None or not entries:
        return
    released = items_of(newest())
    changed = {entry.item: entry for entry in entries if entry.status == "changed" and entry.before != released.get(entry.item)}
    for item, saves in saves_since({item: released.get(item) for item in changed}).items():
        own = None
        for save in sorted(saves, key=lambda one: one.pk):
            if save.by_id == by.pk:
                own = save
            elif own is not None:
                break
        entry, last = changed[item], max(saves, key=lambda one: one.pk)
        if own is not None and own.definition is not None:
            _beside(entry, {item: own.definition})
        elif last.by_id != by.pk:
            entry.notes.append(Trouble("written.changed_meanwhile"))


def mark_outside(entries: list[Entry], rights: Rights, draft: Items) -> None:
    """What grants do not let the person change, as it stands or as it would be, is wrong."""
    after = {item: one for item, one in (draft | chosen(entries, remove=True)).items() if one is not None}
    sides = [On(rights, plan) for plan in (draft, after)] if rights.limited else []
    for entry in entries:
        if entry.status in ("added", "changed", "removed"):
            try:
                for on in sides:
                    on.expect(May.PROPOSE, entry.item)
            except OutsideGrant as error:
                entry.status = "wrong"
                told = {"names": ", ".join(error.names), "place": error.place}
                entry.troubles.append(Trouble("written.outside", "", told) if error.item else Trouble("written.beyond"))


def mark_of_draft() -> int:
    """A mark of the draft as it stands now: its newest revision."""
    return Revision.objects.order_by("-id").values_list("id", flat=True).first() or 0


def base_of(written: str, draft: Items) -> Items | None:
    """What a file was written from: "release 1.2.0", or "draft" and its mark. None where that is not known any more."""
    kind, _space, mark = written.partition(" ")
    if kind == "release":
        release = Release.objects.filter(version=mark).first()
        return items_of(release) if release else None
    if kind != "draft" or not mark.isdecimal() or len(mark) > 18:
        return None
    saved = Revision.objects.filter(id__lte=int(mark)).order_by("item", "-id").distinct("item")
    found = {str(item): (action, one) for item, action, one in saved.values_list("item", "action", "definition")}
    recorded = {str(item) for item in Revision.objects.order_by().values_list("item", flat=True).distinct()}
    stood = {item: one or {} for item, (action, one) in found.items() if action != Revision.Action.DELETED}
    # what was never saved through the product has no history: it stands as it stood
    return stood | {item: one for item, one in draft.items() if item not in recorded}


def propose_entries(
    entries: list[Entry],
    *,
    title: str,
    why: str,
    by: User,
    add: bool = True,
    update: bool = True,
    remove: bool = False,
    into: Proposal | None = None,
    mark: int | None = None,
) -> Proposal:
    """A proposal of the entries chosen, or `into` with them. `mark`: of the draft that they were shown on.

    Raises NothingChanged, NotTogether, and what `propose_or_add` does.
    """
    wanted = chosen(entries, add=add, update=update, remove=remove)
    if not wanted:
        raise NothingChanged
    draft = draft_items()
    after = {item: one for item, one in (draft | wanted).items() if one is not None}
    known = {(problem.code, problem.item) for problem in check_plan(draft)}
    if problems := [problem for problem in check_plan(after) if (problem.code, problem.item) not in known]:
        raise NotTogether(problems, draft | after)
    try:
        return propose_or_add(wanted, seen_in(entries), into=into, title=title, why=why, by=by, mark=mark)
    except IntegrityError as error:
        # Two items that change codes with each other: the draft holds each code once at any moment.
        raise NotTogether([], draft | after) from error


def seen_in(entries: list[Entry]) -> Items:
    """The items as they stood in the draft that what came in was compared with."""
    return {entry.item: entry.before for entry in entries if entry.before is not None}


def propose_or_add(
    wanted: dict[str, Definition | None],
    seen: Items,
    *,
    into: Proposal | None,
    title: str,
    why: str,
    by: User,
    mark: int | None = None,
) -> Proposal:
    """A new proposal; or `into`, which the person may edit, under its own words, with all of it. `seen`: the items as they were.

    `mark`: of the draft that the person looked at; what somebody else saved since is not written over.

    Raises ChangedMeanwhile, and what `propose_definitions` and `add_items` do.
    """
    with writing():
        released, draft = items_of(newest()), draft_items()
        unseen = _saved_by_others(wanted, mark, by) if mark is not None else set()
        if changed := [item for item in wanted if draft.get(item) != seen.get(item) or item in unseen]:
            raise ChangedMeanwhile(changed)
        if into is None:
            return propose_definitions(wanted, title=title, why=why, by=by)
        into.refresh_from_db()
        if _hold_of(into, by) != "written.own":
            raise WrongState
        gone = [item for item, one in wanted.items() if one is None]
        wanted = {rule: released.get(rule) for rule in rules_of(gone)} | wanted
        expect(by, May.PROPOSE, wanted, released, draft)
        refuse_locked(wanted)
        write_items(wanted, by=by, why=title)
        add_items(into, wanted, by=by)
    return into


def _saved_by_others(items: Collection[str], mark: int, by: User) -> set[str]:
    return {str(item) for item in Revision.objects.filter(item__in=items, pk__gt=mark).exclude(by=by).values_list("item", flat=True)}


def _beside(entry: Entry, base: Items) -> bool:
    """Bring an entry together with what others changed since `base`; False where nothing is asked of it any more."""
    was = base.get(entry.item)
    if entry.status == "removed":
        if was is None:
            return False
        if was != entry.before:
            entry.notes.append(Trouble("written.changed_meanwhile"))
    elif entry.status == "added" and was is not None:
        if was == entry.after:
            return False
        entry.notes.append(Trouble("written.gone_meanwhile"))
    elif entry.status == "changed" and was is not None and entry.before is not None and entry.after is not None and was != entry.before:
        conflicts = merge(was, entry.before, entry.after).conflicts
        entry.after = merge(was, entry.before, entry.after, keep_mine=frozenset(conflicts)).definition
        entry.status = "unchanged" if entry.after == entry.before else "changed"
        entry.notes += [Trouble("written.also_changed", field) for field in dict.fromkeys(field for field, _row in conflicts)]
    return True
