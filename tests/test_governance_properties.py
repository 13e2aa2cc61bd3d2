"""Whatever people do, in whatever order and at the same time: only releases change the release, and it is the sum of them."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connections, transaction
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_taxonomy_admin import form_of

from staff.models import User
from taxonomy.definition import apply_definition, draft_items
from taxonomy.draft import ItemInUse, ItemLocked, remove, writing
from taxonomy.history import record_revision
from taxonomy.models import MappingRule, Proposal, ProposalItem, Release, Revision, Tag, Vote
from taxonomy.proposals.authors import author_ids
from taxonomy.proposals.propose import (
    ElsewhereProposed,
    NothingChanged,
    WrongState,
    add_items,
    discard,
    drop_item,
    join,
    propose,
    propose_going_back,
    pull_back,
    submit,
    withdraw,
)
from taxonomy.proposals.review import NotAllowed, NotReady, Overtaken, emergency_release, release_proposal, standing, vote
from taxonomy.publish import NothingToPublish, NotPublishable, items_of, newest

REFUSALS = (
    ElsewhereProposed, ItemInUse, ItemLocked, NotAllowed, NothingChanged, NothingToPublish, NotPublishable, NotReady, Overtaken,
    PermissionError, WrongState,
)  # fmt: skip
PEOPLE = ("mia", "sam", "dan", "dora", "root")


@pytest.fixture
def people(standard):
    roles = {"marketing": "marketer", "service": "service_agent", "data": "data_steward"}
    found = {}
    for name, department in [("mia", "marketing"), ("sam", "service"), ("dan", "data"), ("dora", "data"), ("root", "service")]:
        person = User.objects.create_user(f"{name}@example.com", "x", department_id=department, name=name, is_superuser=name == "root")
        person.groups.add(Group.objects.get(name=roles[department]))
        found[name] = person
    return found


@pytest.fixture
def items(people):
    """Two tags of different departments, one rule, one category: ids in a fixed order."""
    tags = list(Tag.objects.filter(status="active", predecessors=None).order_by("code")[:2])
    for tag, owner in zip(tags, ("marketing", "service"), strict=True):
        Tag.objects.filter(pk=tag.pk).update(owner=owner)
    from taxonomy.publish import publish, unreleased

    publish(notes="", by=None) if unreleased() else None
    return [str(tags[0].pk), str(tags[1].pk), str(MappingRule.objects.order_by("pk").first().pk), str(tags[0].category_id)]


def write(item: str, text: str, by: User) -> None:
    """Save something else to an item as a form does, or bring back its row where it was removed."""
    with writing([item]):
        found = draft_items().get(item) or Revision.objects.filter(item=item).first().definition
        field = "note" if found["kind"] == "rule" else "label_en"
        record_revision(apply_definition(item, found | {field: text}), by=by, action=Revision.Action.CHANGED)


def remove_item(item: str, by: User) -> None:
    with writing([item]):
        for model in (MappingRule, Tag):
            for row in model.objects.filter(pk=item):
                remove(row, by=by)


class World:
    """The acts of people, by number, on one database; what must be true is looked at after each."""

    def __init__(self, people: dict[str, User], items: list[str]) -> None:
        self.people, self.items = people, items
        self.plan = items_of(newest())
        self.releases = Release.objects.count()
        self.signed: dict[int, dict[str, Any]] = {}
        self.widened = 0

    def act(self, what: str, who: int, which: int, text: int) -> None:
        by = self.people[PEOPLE[who]]
        item = self.items[which % len(self.items)]
        chosen = self.items[: which % len(self.items) + 1] if text % 2 else [item]
        proposal = self._proposal(what, text)
        if proposal is not None and who < 3:
            by = self._fit(what, proposal) or by
        acts: dict[str, Callable[[], Any]] = {
            "write": lambda: write(item, f"text {text}", by),
            "remove": lambda: remove_item(self.items[2] if text % 2 else item, by),
            "propose": lambda: propose(chosen, title="t", why="w", by=by),
            "discard": lambda: discard(chosen, by=by),
            "back": lambda: propose_going_back(Release.objects.order_by("id")[text % self.releases], title="t", why="w", by=by),
        }
        if proposal is not None:
            acts |= {
                "add": lambda: add_items(proposal, chosen, by=by),
                "drop": lambda: drop_item(proposal, item, by=by),
                "widen": lambda: self._widen(proposal, item, by, gone=text % 2 == 0),
                "join": lambda: join(proposal, by=by),
                "submit": lambda: submit(proposal, by=by),
                "pull_back": lambda: pull_back(proposal, by=by),
                "withdraw": lambda: withdraw(proposal, by=by),
                "approve": lambda: vote(proposal, by=by, choice=Vote.Choice.APPROVE),
                "sign": lambda: sign(proposal),
                "reject": lambda: vote(proposal, by=by, choice=Vote.Choice.CHANGES, comment="not so"),
                "release": lambda: self._release(proposal, lambda: release_proposal(proposal, by=by), signed=True),
                "emergency": lambda: self._release(proposal, lambda: emergency_release(proposal, by=by, reason="now"), signed=False),
            }
        if what not in acts:
            return
        try:
            with transaction.atomic():
                acts[what]()
        except REFUSALS:
            pass
        else:
            if what == "discard":
                draft = draft_items()
                assert {one: draft.get(one) for one in chosen} == {one: self.plan.get(one) for one in chosen}
        self.look()

    def _proposal(self, what: str, text: int) -> Proposal | None:
        """Mostly one that stands so that the act is possible."""
        newest_ones = list(Proposal.objects.order_by("-id")[:6])
        fit = [one for one in newest_ones if one.state in FIT.get(what, Proposal.OPEN)]
        among = fit if fit and text < 4 else newest_ones
        return among[text % len(among)] if among else None

    def _fit(self, what: str, proposal: Proposal) -> User | None:
        """Somebody who may do it, as far as that is known."""
        if what in ("submit", "add", "drop", "pull_back", "withdraw", "widen"):
            return proposal.author
        if what == "release":
            return self.people["dan"]
        if what in ("approve", "reject") and proposal.is_locked:
            return next((seat.voters[0] for seat in standing(proposal).missing if seat.voters), None)
        return None

    def _widen(self, proposal: Proposal, item: str, by: User, *, gone: bool) -> None:
        """Add an item to what is signed, or take one away, and submit it again."""
        if proposal.is_locked:
            pull_back(proposal, by=by)
        if gone:
            remove_item(item, by)
        else:
            write(item, "added", by)
        add_items(proposal, [item], by=by)
        submit(proposal, by=by)
        self.widened += 1

    def _release(self, proposal: Proposal, release: Callable[[], Release], *, signed: bool) -> None:
        ready = standing(proposal)
        made = release()
        assert not signed or (ready.seats and not ready.missing)
        assert (bool(made.emergency_reason), made.signed) == (not signed, signed)
        proposal.refresh_from_db()
        wanted = {str(row.item): row.after for row in proposal.items.all()}
        self.plan = {item: one for item, one in (self.plan | wanted).items() if one is not None}
        self.releases += 1

    def look(self) -> None:
        assert Release.objects.count() == self.releases
        assert items_of(newest()) == self.plan
        opened = list(ProposalItem.objects.filter(is_open=True).values_list("item", flat=True))
        assert len(opened) == len(set(opened))
        assert not ProposalItem.objects.filter(is_open=True).exclude(proposal__state__in=Proposal.OPEN).exists()
        for one in Vote.objects.filter(stands=True, proposal__state__in=Proposal.LOCKED).select_related("proposal"):
            assert one.by_id not in author_ids(one.proposal)
            holds = {str(row.item): row.after for row in one.proposal.items.all()}
            saw = self.signed.setdefault(one.pk, holds)
            for item in standing(one.proposal).seats[one.department_id].items if one.choice == Vote.Choice.APPROVE else ():
                assert item in saw and saw[item] == holds[item], "an approval stands for what its department never saw"


def sign(proposal: Proposal) -> None:
    """Every department that must signs, where it has somebody."""
    for seat in standing(proposal).missing if proposal.is_locked else []:
        if seat.voters and seat.department.pk in {one.department.pk for one in standing(proposal).missing}:
            vote(proposal, by=seat.voters[0], choice=Vote.Choice.APPROVE)


def replayed() -> dict[str, Any]:
    """The plan as the releases add up, each taken for nothing but what it says it changed."""
    plan: dict[str, Any] = {}
    for one in Release.objects.order_by("id"):
        made = items_of(one)
        plan = {item: definition for item, definition in plan.items() if item not in one.changed_items}
        plan |= {item: made[item] for item in one.changed_items if item in made}
    return plan


def in_order(versions: list[str]) -> bool:
    numbers = [tuple(int(part) for part in one.split(".")) for one in versions]
    return numbers == sorted(set(numbers))


FIT = {
    "submit": ("draft", "changes_requested"), "sign": ("in_review",), "approve": ("in_review",), "reject": ("in_review",), "release": ("approved",),
    "pull_back": ("in_review", "approved"), "add": ("draft",), "drop": ("draft",), "widen": ("in_review", "approved"),
}  # fmt: skip
# as often as an act is likely to be possible
ACTS = ["write"] * 4 + ["propose"] * 3 + ["submit"] * 3 + ["sign"] * 4 + ["release"] * 4 + ["discard", "back", "add", "drop", "join", "pull_back", "withdraw", "approve", "reject", "emergency"] + ["remove", "widen"] * 2  # fmt: skip
steps = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 4), st.integers(0, 3), st.integers(0, 5)), min_size=12, max_size=40)


@pytest.mark.django_db
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_the_release_is_the_sum_of_the_releases_whatever_people_do(people, items, steps):
    with transaction.atomic():
        world = World(people, items)
        for one in steps:
            world.act(*one)
        assert replayed() == world.plan
        assert in_order(list(Release.objects.order_by("id").values_list("version", flat=True)))
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_the_way_to_a_release_is_among_what_the_property_tries(people, items):
    """Else it could hold because nothing ever happens."""
    world = World(people, items)
    before = world.releases
    for one in [("write", 0, 0, 0), ("propose", 1, 0, 0), ("submit", 1, 0, 0), ("approve", 0, 0, 0), ("release", 2, 0, 0), ("write", 0, 1, 2), ("propose", 0, 1, 0), ("emergency", 2, 0, 0)]:  # fmt: skip
        world.act(*one)
    assert world.releases == before + 2
    for one in [("write", 0, 0, 4), ("propose", 0, 0, 0), ("submit", 0, 0, 0), ("approve", 0, 0, 0), ("widen", 0, 2, 0)]:
        world.act(*one)
    assert world.widened == 1


# at the same time


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Do all of it at once, each in a thread with a connection of its own: what each returned or raised, in order."""
    start, outcomes = threading.Barrier(len(acts)), [None] * len(acts)

    def run(at: int, act: Callable[[], Any]) -> None:
        try:
            start.wait()
            outcomes[at] = act()
        except Exception as error:
            outcomes[at] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return outcomes


def releasing(proposal: Proposal, by: User) -> Callable[[], Release]:
    return lambda: release_proposal(Proposal.objects.get(pk=proposal.pk), by=by)


def voting(proposal: Proposal, by: User, choice: str) -> Callable[[], None]:
    return lambda: vote(Proposal.objects.get(pk=proposal.pk), by=by, choice=choice, comment="w")


def approved(item: str, text: str, people: dict[str, User]) -> Proposal:
    """A proposal by the second steward, signed by whoever must."""
    write(item, text, people["dora"])
    proposal = propose([item], title=text, why="w", by=people["dora"])
    for seat in submit(proposal, by=people["dora"]).missing:
        vote(proposal, by=seat.voters[0], choice=Vote.Choice.APPROVE)
    proposal.refresh_from_db()
    assert proposal.state == Proposal.State.APPROVED
    return proposal


ROUNDS = range(4)


@pytest.mark.django_db(transaction=True)
def test_proposals_released_at_once_come_one_after_another_and_none_is_lost(people, items):
    for number in ROUNDS:
        proposals = [approved(item, f"round {number}", people) for item in items[:2]]
        made = at_once(*(releasing(one, people["dan"]) for one in proposals))
        assert all(isinstance(one, Release) for one in made), made
        plan = items_of(newest())
        assert [plan[item]["label_en"] for item in items[:2]] == [f"round {number}"] * 2
    assert replayed() == items_of(newest())
    assert in_order(list(Release.objects.order_by("id").values_list("version", flat=True)))


@pytest.mark.django_db(transaction=True)
def test_one_proposal_released_twice_at_once_is_released_once(people, items):
    for number in ROUNDS:
        proposal, before = approved(items[0], f"round {number}", people), Release.objects.count()
        in_emergency = partial(emergency_release, Proposal.objects.get(pk=proposal.pk), by=people["dan"], reason="now")
        made = at_once(releasing(proposal, people["dan"]), releasing(proposal, people["dan"]), in_emergency)
        assert [type(one) for one in made].count(Release) == 1, made
        assert Release.objects.count() == before + 1


@pytest.mark.django_db(transaction=True)
def test_an_item_proposed_twice_at_once_is_in_one_proposal(people, items):
    for number in ROUNDS:
        write(items[0], f"round {number}", people["mia"])
        made = at_once(*(partial(propose, [items[0]], title=name, why="w", by=people[name]) for name in ("mia", "sam", "dan")))
        assert sorted(type(one).__name__ for one in made) == ["ElsewhereProposed", "ElsewhereProposed", "Proposal"], made
        withdraw(next(one for one in made if isinstance(one, Proposal)), by=next(one for one in made if isinstance(one, Proposal)).author)


@pytest.mark.django_db(transaction=True)
def test_a_department_that_speaks_twice_at_once_has_one_word(people, items):
    for number in ROUNDS:
        write(items[1], f"round {number}", people["mia"])
        proposal = propose([items[1]], title="t", why="w", by=people["mia"])
        submit(proposal, by=people["mia"])
        at_once(voting(proposal, people["sam"], Vote.Choice.APPROVE), voting(proposal, people["root"], Vote.Choice.CHANGES))
        word = proposal.votes.get(stands=True)
        proposal.refresh_from_db()
        assert proposal.state == ("approved" if word.choice == Vote.Choice.APPROVE else "changes_requested")
        withdraw(proposal, by=people["mia"])
        discard([items[1]], by=people["mia"])


@pytest.mark.django_db(transaction=True)
def test_what_is_submitted_while_it_is_edited_is_one_of_the_two_whole(people, items):
    for number in ROUNDS:
        write(items[0], f"before {number}", people["mia"])
        proposal = propose([items[0]], title="t", why="w", by=people["mia"])
        outcomes = at_once(
            partial(submit, Proposal.objects.get(pk=proposal.pk), by=people["mia"]),
            partial(write, items[0], f"after {number}", people["sam"]),
        )
        after = proposal.items.get().after
        if isinstance(outcomes[1], ItemLocked):
            assert after["label_en"] == f"before {number}"
        else:
            assert outcomes[1] is None
            assert after["label_en"] == f"after {number}"
        assert after == draft_items()[items[0]]
        withdraw(Proposal.objects.get(pk=proposal.pk), by=people["mia"])


def form_posted(person: User, url: str, **fields: str) -> Callable[[], Any]:
    """A form that was opened now, to be sent later."""
    browser = Client()
    browser.force_login(person)
    posted = form_of(browser.get(url)) | fields
    return lambda: browser.post(url, posted)


@pytest.mark.django_db(transaction=True)
def test_two_who_save_one_item_at_once_lose_nothing(people, items):
    url = reverse("admin:taxonomy_tag_change", args=[items[0]])
    for number in ROUNDS:
        answers = at_once(
            form_posted(people["mia"], url, label_en=f"English {number}"), form_posted(people["dan"], url, label_zh_hans=f"中文 {number}")
        )
        assert [one.status_code for one in answers] == [302, 302]
        tag = Tag.objects.get(pk=items[0])
        assert (tag.label_en, tag.label_zh_hans) == (f"English {number}", f"中文 {number}")


@pytest.mark.django_db(transaction=True)
def test_two_who_save_the_same_field_at_once_are_asked(people, items):
    url = reverse("admin:taxonomy_tag_change", args=[items[0]])
    for number in ROUNDS:
        names = (f"by Mia {number}", f"by Dan {number}")
        answers = at_once(*(form_posted(people[who], url, label_en=name) for who, name in zip(("mia", "dan"), names, strict=True)))
        assert sorted(one.status_code for one in answers) == [200, 302]
        first = next(at for at, one in enumerate(answers) if one.status_code == 302)
        asked = answers[1 - first].content.decode()
        assert Tag.objects.get(pk=items[0]).label_en == names[first]
        assert names[0] in asked
        assert names[1] in asked
