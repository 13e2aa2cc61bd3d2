"""From a change to a release: who must sign, who may not, what is locked, and what becomes of approvals."""

from datetime import date, datetime, timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from ingestion.models import ReadingDay
from ingestion.pipeline import Incoming, receive
from staff.models import Department, Notice, User
from taxonomy.current import current
from taxonomy.definition import apply_definition, definition, draft_items
from taxonomy.draft import ItemInUse, ItemLocked, remove, writing
from taxonomy.ending import warn_of_endings
from taxonomy.history import record_revision
from taxonomy.models import Attribute, CheckSetting, MappingRule, Proposal, Release, ReviewPolicy, Revision, Source, Tag, Vote
from taxonomy.proposals.authors import author_ids
from taxonomy.proposals.comment import comment
from taxonomy.proposals.policy import set_policy
from taxonomy.proposals.propose import (
    ElsewhereProposed,
    NothingChanged,
    StillProposed,
    WrongState,
    add_items,
    describe,
    discard,
    drop_item,
    join,
    propose,
    propose_definitions,
    propose_going_back,
    pull_back,
    submit,
    withdraw,
)
from taxonomy.proposals.remind import remind
from taxonomy.proposals.review import (
    NotAllowed,
    NotReady,
    Overtaken,
    StillArrives,
    emergency_release,
    may_review,
    release_proposal,
    releases_waiting_for,
    review_release,
    settle_approved,
    standing,
    vote,
    waiting_for,
)
from taxonomy.proposals.tell import follow, tell_of_release
from taxonomy.proposals.verdict import next_version
from taxonomy.publish import NotPublishable, company_day, items_of, newest, publish, unreleased

pytestmark = pytest.mark.django_db
APPROVE, CHANGES = Vote.Choice.APPROVE, Vote.Choice.CHANGES


@pytest.fixture
def people(standard):
    """{name: colleague}: two of marketing and of data, one each of service, sales, product and compliance."""
    roles = {"marketing": "marketer", "sales": "sales_rep", "service": "service_agent", "data": "data_steward", "product": "product_manager", "compliance": "compliance_officer"}  # fmt: skip
    found = {}
    for name, department in [
        ("mia", "marketing"), ("max", "marketing"), ("sam", "service"), ("sue", "sales"), ("dan", "data"), ("dora", "data"), ("pat", "product"), ("cleo", "compliance"),
    ]:  # fmt: skip
        person = User.objects.create_user(f"{name}@example.com", "x", department_id=department, name=name.title())
        person.groups.add(Group.objects.get(name=roles[department]))
        found[name] = person
    return found


def changed(item, **fields) -> str:
    """Write something else to a draft row; its id."""
    apply_definition(str(item.pk), definition(item) | fields)
    return str(item.pk)


def tag_of(department: str) -> Tag:
    return Tag.objects.filter(owner=department, status="active").exclude(rules__source__owner__isnull=False).first() or Tag.objects.create(
        code=f"{department}_thing", label_en="x", label_zh_hans="x", category=Tag.objects.first().category, owner_id=department, status="active"
    )  # fmt: skip


@pytest.fixture
def wording(people):
    """A proposal by Mia of marketing that renames a tag of the service department, not yet submitted."""
    tag = tag_of("service")
    publish(notes="", by=None) if unreleased() else None
    return propose([changed(tag, label_en="Another name")], title="Better name", why="it says what it is", by=people["mia"])


def test_the_owner_of_an_item_must_sign_and_its_author_cannot(people, wording):
    signed = submit(wording, by=people["mia"])
    assert [(code, seat.must) for code, seat in signed.seats.items()] == [("service", True)]
    assert [person.name for person in signed.seats["service"].voters] == ["Sam"]
    with pytest.raises(NotAllowed, match="author"):
        vote(wording, by=people["mia"], choice=APPROVE)
    with pytest.raises(NotAllowed, match="department"):
        vote(wording, by=people["max"], choice=APPROVE)
    vote(wording, by=people["sam"], choice=APPROVE)
    assert wording.state == Proposal.State.APPROVED
    made = release_proposal(wording, by=people["dan"])
    assert made.notes.startswith("Better name")
    assert items_of(made)[made.changed_items[0]]["label_en"] == "Another name"
    assert made.signed and not made.emergency_reason


def test_a_superuser_cannot_sign_what_they_wrote(people, wording):
    root = User.objects.create_superuser("root@example.com", "x", department_id="service")
    join(wording, by=root)
    submit(wording, by=root)
    with pytest.raises(NotAllowed, match="author"):
        vote(wording, by=root, choice=APPROVE)
    with pytest.raises(NotReady):
        release_proposal(wording, by=root)


def test_a_word_is_for_the_submission_that_was_looked_at(people, wording):
    submit(wording, by=people["mia"])
    looked_at = Proposal.objects.get(pk=wording.pk)
    pull_back(wording, by=people["mia"])
    submit(wording, by=people["mia"])
    for choice in (APPROVE, CHANGES):
        with pytest.raises(NotAllowed, match="seen"):
            vote(Proposal(pk=wording.pk, submitted_at=looked_at.submitted_at), by=people["sam"], choice=choice, comment="w")
    assert not wording.votes.exists()


@pytest.fixture
def tightened(people):
    """(an attribute that no tag uses, Mia's proposal to let it hold less: under review)."""
    attribute = Attribute.objects.create(code="nick", label_en="n", label_zh_hans="n")
    publish(notes="", by=None)
    proposal = propose([changed(attribute, constraints={"max_length": 5})], title="Better name", why="w", by=people["mia"])
    submit(proposal, by=people["mia"])
    return attribute, proposal


def use(attribute: Attribute) -> None:
    """Release that a tag of the sales department uses it."""
    publish(
        {changed(tag_of("sales"), attributes=[{"attribute": str(attribute.pk), "required": False, "constraints": {}}])}, notes="", by=None
    )


def test_an_approval_of_what_was_harmless_counts_no_more_once_a_release_makes_it_breaking(people, tightened, client):
    attribute, proposal = tightened
    vote(proposal, by=people["dora"], choice=APPROVE)
    assert proposal.state == Proposal.State.APPROVED
    use(attribute)
    assert {code for code, seat in standing(proposal).seats.items() if seat.must} == {"data", "sales"}
    vote(proposal, by=people["sue"], choice=APPROVE)
    client.force_login(people["dan"])
    assert "Dora approved it on" in client.get(proposal.get_absolute_url()).content.decode()
    with pytest.raises(NotReady):
        release_proposal(proposal, by=people["dan"])
    proposal.refresh_from_db()
    assert proposal in waiting_for(people["dora"]) and proposal not in waiting_for(people["sue"])
    vote(proposal, by=people["dora"], choice=APPROVE)
    assert "approved it on" not in client.get(proposal.get_absolute_url()).content.decode()
    assert release_proposal(proposal, by=people["dan"]).signed


def test_what_a_release_makes_breaking_waits_for_its_signer_at_once(people, tightened):
    attribute, proposal = tightened
    vote(proposal, by=people["dora"], choice=APPROVE)
    before = ProcrastinateJob.objects.filter(task_name="taxonomy.jobs.look_at_approved").count()
    use(attribute)
    assert ProcrastinateJob.objects.filter(task_name="taxonomy.jobs.look_at_approved").count() == before + 1
    settle_approved()
    proposal.refresh_from_db()
    assert proposal.state == Proposal.State.IN_REVIEW and proposal in waiting_for(people["dora"])
    assert Notice.objects.filter(user=people["dora"], text__contains="needs one more").exists()


def test_what_counted_no_more_is_no_signature_of_an_emergency_release(people, tightened):
    attribute, proposal = tightened
    vote(proposal, by=people["dora"], choice=APPROVE)
    use(attribute)
    made = emergency_release(proposal, by=User.objects.create_superuser("root@example.com", "x"), reason="now")
    assert not Proposal.objects.get(release=made).signatures.exists()


def test_an_approval_stands_when_there_is_less_to_sign_and_where_what_it_was_for_is_not_known(people, tightened):
    attribute, proposal = tightened
    use(attribute)
    vote(proposal, by=people["dora"], choice=APPROVE)
    given = proposal.votes.get()
    assert given.asked == {"breaking": [str(attribute.pk)]}
    publish({changed(tag_of("sales"), attributes=[])}, notes="", by=None)
    assert standing(proposal).seats["data"].concern.changes.keys() == {"any"}
    assert standing(proposal).seats["data"].approved
    use(attribute)
    Vote.objects.update(asked={"any": [str(attribute.pk)]})
    assert standing(proposal).seats["data"].outgrown == given
    Vote.objects.update(asked=None)
    assert standing(proposal).seats["data"].approved


def test_a_page_that_showed_a_change_as_harmless_does_not_sign_it_as_breaking(people, tightened, client):
    attribute, proposal = tightened
    client.force_login(people["dora"])
    [mine] = client.get(proposal.get_absolute_url()).context["my_seats"]
    use(attribute)
    said = {"act": "vote", "choice": "approve", "department": "data", "seen": mine["seen"]}
    assert client.post(f"/admin/taxonomy/proposal/{proposal.pk}/act/", said).status_code == 200
    assert not proposal.votes.exists()


def test_whoever_joins_takes_back_what_they_signed(people, wording):
    submit(wording, by=people["mia"])
    vote(wording, by=people["sam"], choice=APPROVE)
    join(wording, by=people["sam"])
    wording.refresh_from_db()
    assert wording.state == Proposal.State.IN_REVIEW
    assert not standing(wording).seats["service"].approved


def test_breaking_asks_the_stewards_and_personal_data_asks_compliance(people):
    tag, attribute = tag_of("service"), Attribute.objects.create(code="nick", label_en="n", label_zh_hans="n")
    publish(notes="", by=None)
    changed(attribute, personal="identity")
    changed(tag, code="renamed_by_us")
    signed = submit(propose([str(tag.pk), str(attribute.pk)], title="t", why="w", by=people["mia"]), by=people["mia"])
    assert {code for code, seat in signed.seats.items() if seat.must} == {"service", "data", "compliance"}
    assert signed.seats["compliance"].items == {str(attribute.pk)}
    assert signed.seats["data"].concern.changes["breaking"] == {str(tag.pk)}


def test_a_rule_concerns_the_owners_of_its_source_and_its_tag(people):
    source = Source.objects.exclude(owner=None).first()
    tag = tag_of("marketing")
    rule = MappingRule.objects.create(source=source, name="brand_new", tag=tag, position=999)
    signed = submit(propose([str(rule.pk), str(tag.pk)], title="t", why="w", by=people["pat"]), by=people["pat"])
    assert {source.owner_id, "marketing"} <= set(signed.seats)


def says(by: User, department: str, change: str, say: str) -> None:
    set_policy(ReviewPolicy(department_id=department, change=change, say=say), by=by)


def must_sign(proposal: Proposal) -> set[str]:
    return {code for code, seat in standing(proposal).seats.items() if seat.must}


def test_a_department_says_when_it_is_asked(people, wording):
    says(people["sam"], "service", "any", "told")
    signed = submit(wording, by=people["mia"])
    assert not signed.seats["service"].must
    # somebody else signs at any rate
    assert [code for code, seat in signed.seats.items() if seat.must] == ["data"]
    pull_back(wording, by=people["mia"])
    says(people["sam"], "service", "any", "nothing")
    assert list(standing(wording).seats) == ["data"]
    says(people["sam"], "service", "any", "must")
    assert must_sign(wording) == {"service"}


def test_what_departments_want_from_now_on_leaves_what_is_in_review_alone(people, wording):
    submit(wording, by=people["mia"])
    says(people["sam"], "service", "any", "nothing")
    stale = Proposal.objects.get(pk=wording.pk)
    assert must_sign(wording) == {"service"}
    assert waiting_for(people["sam"]) == [wording] and waiting_for(people["dora"]) == []
    pull_back(wording, by=people["mia"])
    submit(wording, by=people["mia"])
    assert must_sign(wording) == {"data"}
    assert waiting_for(people["sam"]) == [] and waiting_for(people["dora"]) == [wording]
    with pytest.raises(NotAllowed, match="department"):
        vote(stale, by=people["sam"], choice=APPROVE)


@pytest.mark.parametrize(
    ("name", "department", "may"),
    [("sam", "service", True), ("mia", "service", False), ("cleo", "service", False), ("dan", "service", True), ("ada", "service", True)],
)
def test_a_department_is_told_what_it_signs_and_by_whom_only_stewards_and_administrators_say_it_for_others(people, name, department, may):
    people["ada"] = User.objects.create_user("ada@example.com", "x", name="Ada")
    people["ada"].groups.add(Group.objects.get(name="administrator"))
    sid = User.objects.create_user("sid@example.com", "x", department_id="service")
    if not may:
        with pytest.raises(NotAllowed, match="right"):
            says(people[name], department, "any", "nothing")
    else:
        says(people[name], department, "any", "nothing")
        assert [(str(one.department_id), one.by.name, one.say) for one in ReviewPolicy.objects.all()] == [
            ("service", name.title(), "nothing")
        ]
        assert f"{name.title()} set what your department signs: any change: nothing" in said_to(sid)[0]
    assert bool(said_to(people["sam"])) is (may and name != "sam")


@pytest.mark.parametrize(("department", "change"), [("data", "breaking"), ("compliance", "personal")])
def test_what_a_department_signs_by_its_duty_nobody_waives(people, department, change):
    for by in (people["dan"], people["cleo"], User.objects.create_superuser("root@example.com", "x")):
        for say in ("told", "nothing"):
            with pytest.raises((ValidationError, NotAllowed)):
                says(by, department, change, say)
    says(people["dan"], department, "any", "told")
    # a department that gets the duty after it said so
    ReviewPolicy.objects.create(department_id=department, change=change, say="nothing")
    tag, attribute = tag_of("service"), Attribute.objects.create(code="nick", label_en="n", label_zh_hans="n")
    publish(notes="", by=None)
    changed(attribute, personal="identity")
    changed(tag, code="renamed_by_us")
    proposal = propose([str(tag.pk), str(attribute.pk)], title="t", why="w", by=people["mia"])
    assert {"data", "compliance"} <= must_sign(proposal)


def test_nothing_is_approved_by_nobody(people, client):
    """A category has no owner: only the stewards sign it."""
    category = Tag.objects.first().category
    Department.objects.filter(duty="steward").update(duty="")
    proposal = propose([changed(category, label_en="Other")], title="t", why="w", by=people["mia"])
    assert submit(proposal, by=people["mia"]).seats == {}
    assert proposal.state == Proposal.State.IN_REVIEW
    client.force_login(people["dan"])
    assert "no department has the duty of the data stewards" in client.get(proposal.get_absolute_url()).content.decode()
    # approved once by whom it no longer asks
    Proposal.objects.filter(pk=proposal.pk).update(state=Proposal.State.APPROVED)
    with pytest.raises(NotReady):
        release_proposal(proposal, by=people["dan"])
    proposal.refresh_from_db()
    assert proposal.state == Proposal.State.IN_REVIEW

    Department.objects.filter(pk="data").update(duty="steward")
    assert "no department has the duty" not in client.get(proposal.get_absolute_url()).content.decode()
    vote(proposal, by=people["dan"], choice=APPROVE)
    assert proposal.state == Proposal.State.APPROVED
    assert release_proposal(proposal, by=people["dan"]).signed


def test_an_owner_that_wants_nothing_is_no_signature(people, wording):
    says(people["sam"], "service", "any", "told")
    Department.objects.filter(duty="steward").update(duty="")
    signed = submit(wording, by=people["mia"])
    assert [(code, seat.must) for code, seat in signed.seats.items()] == [("service", False)]
    assert wording.state == Proposal.State.IN_REVIEW
    vote(wording, by=people["sam"], choice=APPROVE)
    assert wording.state == Proposal.State.APPROVED


def test_without_compliance_the_stewards_sign_for_personal_data(people):
    Department.objects.filter(duty="compliance").update(duty="")
    attribute = Attribute.objects.create(code="nick", label_en="n", label_zh_hans="n")
    tag = tag_of("service")
    tag.uses.create(attribute=attribute)
    publish(notes="", by=None)
    says(people["dan"], "data", "any", "nothing")
    item = changed(attribute, personal="identity")
    signed = submit(propose([item], title="t", why="w", by=people["mia"]), by=people["mia"])
    assert [code for code, seat in signed.seats.items() if seat.must] == ["data", "service"]
    assert signed.seats["data"].concern.reasons == {"personal": {item}}


def test_a_department_without_another_member_is_stood_in_for(people, wording):
    Department.objects.filter(pk="service").update(deputy="sales")
    join(wording, by=people["sam"])
    signed = submit(wording, by=people["mia"])
    assert signed.seats["service"].deputy.pk == "sales"
    vote(wording, by=people["sue"], choice=APPROVE)
    assert wording.state == Proposal.State.APPROVED
    assert wording.votes.get().department_id == "service"


def test_without_a_deputy_the_stewards_sign_and_at_last_nobody_can(people, wording):
    join(wording, by=people["sam"])
    assert submit(wording, by=people["mia"]).seats["service"].deputy.pk == "data"
    User.objects.filter(department="data").update(is_active=False)
    assert [seat.department.pk for seat in standing(wording).stuck] == ["service"]


def test_what_is_under_review_cannot_be_edited_until_it_is_pulled_back(people, wording):
    submit(wording, by=people["mia"])
    item = str(wording.items.get().item)
    with pytest.raises(ItemLocked), writing([item]):
        pass
    with pytest.raises(ItemLocked):
        discard([item], by=people["sam"])
    pull_back(wording, by=people["mia"])
    with writing([item]):
        pass


def test_an_edit_voids_the_approvals_it_touches_and_only_those(people):
    of_service, of_sales = tag_of("service"), tag_of("sales")
    publish(notes="", by=None) if unreleased() else None
    proposal = propose([changed(of_service, label_en="One"), changed(of_sales, label_en="Two")], title="t", why="w", by=people["mia"])
    submit(proposal, by=people["mia"])
    for name in ("sam", "sue"):
        vote(proposal, by=people[name], choice=APPROVE)
    pull_back(proposal, by=people["mia"])
    changed(of_service, label_en="Three")
    signed = submit(proposal, by=people["mia"])
    assert not signed.seats["service"].approved
    assert signed.seats["sales"].approved
    assert proposal.state == Proposal.State.IN_REVIEW


def approved_by_service(people, wording) -> str:
    """The item that the service department has approved in it, out of review again."""
    submit(wording, by=people["mia"])
    vote(wording, by=people["sam"], choice=APPROVE)
    pull_back(wording, by=people["mia"])
    return str(wording.items.get().item)


def rule_gone(item: str, by: User) -> str:
    """A rule that leads to a tag, removed from the draft; its id."""
    rule = MappingRule.objects.create(source=Source.objects.first(), name="brand_new", tag_id=item, position=999)
    publish([str(rule.pk)], notes="", by=None)
    written = str(rule.pk)
    remove(rule, by=by)
    return written


@pytest.mark.parametrize("changes_asked", [False, True])
def test_an_approval_falls_with_a_deletion_added_after_it(people, wording, changes_asked):
    of_sales = changed(tag_of("sales"), label_en="Two")
    add_items(wording, [of_sales], by=people["mia"])
    submit(wording, by=people["mia"])
    vote(wording, by=people["sam"], choice=APPROVE)
    if changes_asked:
        vote(wording, by=people["sue"], choice=CHANGES, comment="no")
    else:
        pull_back(wording, by=people["mia"])
    service = next(str(row.item) for row in wording.items.all() if str(row.item) != of_sales)
    add_items(wording, [rule_gone(service, people["mia"])], by=people["mia"])
    assert not submit(wording, by=people["mia"]).seats["service"].approved
    assert wording.state == Proposal.State.IN_REVIEW


def test_an_approval_falls_when_what_it_signed_is_left_out_or_undone(people, wording):
    other = Tag.objects.create(
        code="of_service_too", label_en="x", label_zh_hans="x", category=Tag.objects.first().category, owner_id="service"
    )
    publish([str(other.pk)], notes="", by=None)
    add_items(wording, [changed(other, label_en="y")], by=people["mia"])
    submit(wording, by=people["mia"])
    vote(wording, by=people["sam"], choice=APPROVE)
    pull_back(wording, by=people["mia"])
    drop_item(wording, other.pk, by=people["mia"])
    assert not submit(wording, by=people["mia"]).seats["service"].approved
    pull_back(wording, by=people["mia"])
    add_items(wording, [str(other.pk)], by=people["mia"])
    submit(wording, by=people["mia"])
    vote(wording, by=people["sam"], choice=APPROVE)
    pull_back(wording, by=people["mia"])
    changed(other, label_en="x")
    assert not submit(wording, by=people["mia"]).seats["service"].approved


def test_an_approval_stands_when_what_is_added_or_left_out_is_not_of_its_department(people, wording):
    approved_by_service(people, wording)
    of_sales = changed(tag_of("sales"), label_en="Two")
    add_items(wording, [of_sales], by=people["mia"])
    assert submit(wording, by=people["mia"]).seats["service"].approved
    pull_back(wording, by=people["mia"])
    drop_item(wording, of_sales, by=people["mia"])
    assert submit(wording, by=people["mia"]).seats["service"].approved


def test_changes_are_asked_for_made_and_signed(people, wording):
    submit(wording, by=people["mia"])
    vote(wording, by=people["sam"], choice=CHANGES, comment="shorter")
    assert wording.state == Proposal.State.CHANGES_REQUESTED
    item = wording.items.get().item
    changed(Tag.objects.get(pk=item), label_en="Short")
    submit(wording, by=people["mia"])
    assert wording.state == Proposal.State.IN_REVIEW
    vote(wording, by=people["sam"], choice=APPROVE)
    assert release_proposal(wording, by=people["dan"]).version
    assert [one.choice for one in wording.votes.all()] == [CHANGES, APPROVE]


def test_rejecting_and_withdrawing_leave_the_release_alone(people, wording):
    before = newest()
    submit(wording, by=people["mia"])
    vote(wording, by=people["sam"], choice=CHANGES, comment="no")
    withdraw(wording, by=people["mia"])
    assert newest() == before
    item = str(wording.items.get().item)
    assert draft_items()[item] != items_of(before)[item]
    discard([item], by=people["sam"])
    assert draft_items()[item] == items_of(before)[item]
    assert unreleased() == []


def test_discarding_removes_what_was_never_released_and_says_what_uses_it(people):
    attribute = Attribute.objects.create(code="brand_new", label_en="n", label_zh_hans="n")
    tag = tag_of("service")
    publish(notes="", by=None) if [one for one in unreleased() if one.item == str(tag.pk)] else None
    attribute = Attribute.objects.create(code="newer_still", label_en="n", label_zh_hans="n")
    tag.uses.create(attribute=attribute)
    with pytest.raises(ItemInUse):
        discard([str(attribute.pk)], by=people["mia"])
    discard([str(attribute.pk), str(tag.pk)], by=people["mia"])
    assert not Attribute.objects.filter(pk=attribute.pk).exists()


def test_an_item_is_in_one_open_proposal(people, wording):
    item = str(wording.items.get().item)
    with pytest.raises(ElsewhereProposed) as raised:
        propose([item], title="mine", why="w", by=people["max"])
    assert raised.value.found[item] == wording
    withdraw(wording, by=people["mia"])
    assert propose([item], title="mine", why="w", by=people["max"]).items.count() == 1


def test_only_authors_edit_and_only_what_is_not_under_review(people, wording):
    with pytest.raises(PermissionError):
        submit(wording, by=people["max"])
    submit(wording, by=people["mia"])
    with pytest.raises(WrongState):
        add_items(wording, [str(tag_of("sales").pk)], by=people["mia"])
    with pytest.raises(NothingChanged):
        propose([str(Tag.objects.first().pk)], title="t", why="w", by=people["max"])


def test_a_plan_that_would_not_hold_together_is_not_submitted(people):
    tag = tag_of("service")
    changed(tag, status="deprecated", successor=None)
    proposal = propose([str(tag.pk)], title="t", why="w", by=people["mia"])
    with pytest.raises(NotPublishable) as raised:
        submit(proposal, by=people["mia"])
    assert [problem.code for problem in raised.value.problems] == ["successor.missing"]
    assert proposal.state == Proposal.State.DRAFT


def test_a_check_that_is_an_error_keeps_a_change_back(people):
    attribute = Attribute.objects.create(code="contact", label_en="c", label_zh_hans="c", example="li.mei@example.com")
    proposal = propose([str(attribute.pk)], title="t", why="w", by=people["mia"])
    with pytest.raises(NotPublishable) as raised:
        submit(proposal, by=people["mia"])
    assert [finding.check for finding in raised.value.findings] == ["attribute.looks_personal"]


def test_an_emergency_release_needs_the_right_and_a_reason_and_is_marked(people, wording):
    with pytest.raises(NotAllowed, match="right"):
        emergency_release(wording, by=people["mia"], reason="now")
    with pytest.raises(NotReady):
        emergency_release(wording, by=people["dan"], reason=" ")
    made = emergency_release(wording, by=people["dan"], reason="the till sends nonsense")
    assert made.awaits_review and not made.signed
    for name in ("dan", "mia"):
        with pytest.raises(NotAllowed, match="author"):
            review_release(made, by=people[name])
    review_release(made, by=people["sam"])
    made.refresh_from_db()
    assert not made.awaits_review and not made.signed
    assert made.reviewed_by == people["sam"]


def test_only_a_department_that_would_have_signed_an_emergency_release_reviews_it(people, wording):
    made = emergency_release(wording, by=people["dan"], reason="now")
    # by what it wanted then
    says(people["dan"], "service", "any", "nothing")
    for name in ("max", "sue", "dora", "cleo"):
        assert not may_review(made, people[name])
        with pytest.raises(NotAllowed, match="not_asked"):
            review_release(made, by=people[name])
    assert may_review(made, people["sam"])
    review_release(made, by=people["sam"])


def test_who_wrote_what_the_command_line_released_does_not_review_it(people):
    User.objects.create_user("sid@example.com", "x", department_id="service", name="Sid").groups.add(
        Group.objects.get(name="service_agent")
    )
    publish(notes="", by=None) if unreleased() else None
    saved(tag_of("service"), people["sam"], label_en="Another")
    call_command("publish", "--notes", "by hand")
    made = newest()
    with pytest.raises(NotAllowed, match="author"):
        review_release(made, by=people["sam"])
    review_release(made, by=User.objects.get(name="Sid"))


def test_where_the_one_who_made_an_emergency_release_is_its_only_signer_a_deputy_reviews_it(people, wording):
    Department.objects.filter(pk="service").update(deputy="sales")
    people["sam"].groups.set(Group.objects.filter(name="data_steward"))
    made = emergency_release(wording, by=User.objects.get(pk=people["sam"].pk), reason="now")
    assert may_review(made, people["sue"])


def test_what_was_released_otherwise_meanwhile_is_looked_at_again(people, wording):
    submit(wording, by=people["mia"])
    vote(wording, by=people["sam"], choice=APPROVE)
    item = str(wording.items.get().item)
    tag = Tag.objects.get(pk=item)
    mine = definition(tag)
    changed(tag, label_en="By the command line")
    publish([item], notes="", by=None)
    apply_definition(item, mine)
    with pytest.raises(Overtaken):
        release_proposal(wording, by=people["dan"])


def test_a_proposal_releases_its_own_items_on_top_of_others(people, wording):
    other = tag_of("sales")
    submit(wording, by=people["mia"])
    vote(wording, by=people["sam"], choice=APPROVE)
    changed(other, label_en="Not proposed")
    release_proposal(wording, by=people["dan"])
    assert [change.item for change in unreleased()] == [str(other.pk)]


def test_going_back_is_a_proposal_of_earlier_definitions(people, wording):
    first = newest()
    item = str(wording.items.get().item)
    emergency_release(wording, by=people["dan"], reason="now")
    proposal = propose_going_back(first, title="Back", why="it was better", by=people["mia"])
    assert [str(one.item) for one in proposal.items.all()] == [item]
    submit(proposal, by=people["mia"])
    vote(proposal, by=people["sam"], choice=APPROVE)
    made = release_proposal(proposal, by=people["dan"])
    assert items_of(made) == items_of(first)
    assert made.version != first.version


def test_definitions_come_in_as_a_proposal_new_ones_and_removals_too(people):
    rule = MappingRule.objects.first()
    attribute = Attribute.objects.first()
    wanted = {
        str(rule.pk): None,
        "11111111-1111-4111-8111-111111111111": definition(attribute) | {"code": "brand_new"},
    }
    proposal = propose_definitions(wanted, title="t", why="w", by=people["mia"])
    assert proposal.items.count() == 2
    assert not MappingRule.objects.filter(pk=rule.pk).exists()
    assert Attribute.objects.filter(code="brand_new").exists()


def test_who_is_concerned_is_told(people, wording):
    submit(wording, by=people["mia"])
    assert str(Notice.objects.get(user=people["sam"])) == "“Better name” by Mia waits for your department."
    assert waiting_for(people["sam"]) == [wording]
    vote(wording, by=people["sam"], choice=APPROVE)
    assert waiting_for(people["sam"]) == []
    assert "approved" in str(Notice.objects.get(user=people["mia"]))
    comment(wording, by=people["sam"], text="@max and @sue@example.com: look. @nobody", item=wording.items.get().item)
    assert [Notice.objects.filter(user=people[name]).count() for name in ("max", "sue", "mia")] == [1, 1, 2]


def test_the_command_line_releases_without_sign_off_and_says_so(standard):
    changed(Tag.objects.first(), label_en="Another")
    call_command("publish", "--notes", "by hand")
    assert Release.objects.first().awaits_review


@pytest.mark.parametrize(
    ("now", "times"),
    [
        ("2026-11-23T09:05:00+08:00", 1),  # a Monday
        ("2026-11-23T08:55:00+08:00", 0),
        ("2026-11-23T13:00:00+08:00", 0),
        ("2026-11-22T09:05:00+08:00", 0),
    ],
)
def test_reviewers_are_reminded_on_their_days_at_their_hour_once(people, wording, mailoutbox, now, times):
    submit(wording, by=people["mia"])
    for _ in range(2):
        remind(datetime.fromisoformat(now))
    assert [(letter.to, "Better name" in letter.body) for letter in mailoutbox] == [(["sam@example.com"], True)] * times


def test_what_waits_is_told_in_the_product_too_once_a_day_though_no_letter_goes_out(people, wording, monkeypatch, mailoutbox):
    def waits() -> list[str]:
        return [said for said in said_to(people["sam"]) if said.startswith("Waiting")]

    submit(wording, by=people["mia"])
    with monkeypatch.context() as patch:
        patch.setattr("taxonomy.proposals.remind.send_letter", lambda *_args: (_ for _ in ()).throw(OSError))
        for now in ("08:55", "09:05", "09:15"):
            assert remind(datetime.fromisoformat(f"2026-11-23T{now}:00+08:00")) == 0
    remind(datetime.fromisoformat("2026-11-23T09:25:00+08:00"))
    assert len(mailoutbox) == 1
    assert waits() == ["Waiting for your department's word: “Better name”."]
    assert not any(said.startswith("Waiting") for name in ("mia", "dan") for said in said_to(people[name]))
    remind(datetime.fromisoformat("2026-11-24T09:05:00+08:00"))
    assert len(waits()) == 2
    vote(wording, by=people["sam"], choice=APPROVE)
    remind(datetime.fromisoformat("2026-11-25T09:05:00+08:00"))
    assert len(waits()) == 2


def test_nobody_is_reminded_who_wants_no_days(people, wording, mailoutbox):
    User.objects.update(reminder_days=[])
    submit(wording, by=people["mia"])
    assert remind(datetime.fromisoformat("2026-11-23T09:05:00+08:00")) == 0
    assert mailoutbox == []


def test_retiring_a_tag_that_still_arrives_needs_a_reason(people):
    login = Tag.objects.get(code="login")
    record = b'{"event": "login", "phone": "+8613800138000"}'
    receive([Incoming(record)], source_code="website", door="api", received_at=timezone.now(), current=current())
    proposal = propose([changed(login, status="draft")], title="t", why="w", by=people["mia"])
    with pytest.raises(StillArrives) as refused:
        submit(proposal, by=people["mia"])
    assert refused.value.tags == [str(login.pk)]
    describe(proposal, by=people["mia"], title="t", why="w", links="", retire_reason="the app is gone")
    submit(proposal, by=people["mia"])
    assert proposal.state == Proposal.State.IN_REVIEW


def test_what_arrives_since_it_was_submitted_is_not_retired_without_a_reason_either(people):
    login = Tag.objects.get(code="login")
    proposal = propose([changed(login, status="draft")], title="t", why="w", by=people["mia"])
    signed = submit(proposal, by=people["mia"])
    for seat in signed.seats.values():
        vote(proposal, by=seat.voters[0], choice=APPROVE, department=seat.department.pk)
    assert proposal.state == Proposal.State.APPROVED
    record = b'{"event": "login", "phone": "+8613800138000"}'
    receive([Incoming(record)], source_code="website", door="api", received_at=timezone.now(), current=current())
    with pytest.raises(StillArrives):
        release_proposal(proposal, by=people["dan"])
    with pytest.raises(StillArrives):
        emergency_release(proposal, by=people["dan"], reason="now")


def test_title_and_reasons_are_locked_under_review_and_other_words_need_other_approvals(people, wording):
    words = {"title": "Other", "why": "w", "links": "", "retire_reason": ""}
    submit(wording, by=people["mia"])
    vote(wording, by=people["sam"], choice=APPROVE)
    with pytest.raises(WrongState):
        describe(wording, by=people["mia"], **words)
    pull_back(wording, by=people["mia"])
    with pytest.raises(PermissionError):
        describe(wording, by=people["max"], **words)
    describe(wording, by=people["mia"], title=wording.title, why=wording.why, links=wording.links, retire_reason="")
    assert submit(wording, by=people["mia"]).seats["service"].approved
    pull_back(wording, by=people["mia"])
    describe(wording, by=people["mia"], **words)
    assert not submit(wording, by=people["mia"]).seats["service"].approved
    wording.refresh_from_db()
    assert (wording.title, wording.state) == ("Other", Proposal.State.IN_REVIEW)


def test_asking_for_changes_needs_words(people, wording):
    submit(wording, by=people["mia"])
    with pytest.raises(NotAllowed, match="words"):
        vote(wording, by=people["sam"], choice=CHANGES, comment=" ")
    assert not wording.votes.exists()


def test_who_signs_for_two_departments_speaks_for_each(people):
    Department.objects.filter(pk="service").update(deputy="sales")
    of_service, of_sales = tag_of("service"), tag_of("sales")
    publish(notes="", by=None) if unreleased() else None
    proposal = propose([changed(of_service, label_en="One"), changed(of_sales, label_en="Two")], title="t", why="w", by=people["sam"])
    signed = submit(proposal, by=people["sam"])
    assert {seat.department.pk for seat in signed.may_vote(people["sue"])} == {"service", "sales"}
    vote(proposal, by=people["sue"], choice=APPROVE, department="service")
    assert [one.department_id for one in proposal.votes.all()] == ["service"]
    assert proposal.state == Proposal.State.IN_REVIEW
    with pytest.raises(NotAllowed, match="department"):
        vote(proposal, by=people["sue"], choice=APPROVE, department="data")
    vote(proposal, by=people["sue"], choice=APPROVE, department="sales")
    assert proposal.state == Proposal.State.APPROVED


def said_to(person) -> list[str]:
    return [str(notice) for notice in Notice.objects.filter(user=person).order_by("id")]


def test_who_may_release_is_told_of_the_approval_and_its_authors_of_the_release(people, wording):
    submit(wording, by=people["mia"])
    assert said_to(people["dan"]) == []
    vote(wording, by=people["sam"], choice=APPROVE)
    vote(wording, by=people["sam"], choice=APPROVE)
    assert said_to(people["dan"]) == ["“Better name” is approved and can be released."]
    assert said_to(people["max"]) == []
    made = release_proposal(wording, by=people["dan"])
    assert f"“Better name” is released as {made.version}." in said_to(people["mia"])
    assert "“Better name” is released as {made.version}." not in said_to(people["dan"])


AGAIN = "“Better name” by Mia has lost an approval or needs one more; it waits for your department."


def test_whose_department_must_sign_again_is_told_when_an_approved_proposal_is_joined(people, wording):
    submit(wording, by=people["mia"])
    vote(wording, by=people["sam"], choice=APPROVE)
    join(wording, by=people["sam"])
    assert wording.state == Proposal.State.IN_REVIEW
    assert [said_to(people[name]).count(AGAIN) for name in ("dan", "dora", "sam", "sue", "mia")] == [1, 1, 0, 0, 0], "stewards stand in"
    join(wording, by=people["sue"])
    assert said_to(people["dan"]).count(AGAIN) == 1, "nothing fell with it"


def test_who_must_sign_in_the_place_of_who_joins_is_told_while_others_are_missing_too(people):
    tags = [tag_of(department) for department in ("service", "sales")]
    publish(notes="", by=None) if unreleased() else None
    sid = User.objects.create_user("sid@example.com", "x", department_id="service", name="Sid")
    sid.groups.add(Group.objects.get(name="service_agent"))
    proposal = propose([changed(tag, label_en="Another name") for tag in tags], title="Better name", why="w", by=people["mia"])
    submit(proposal, by=people["mia"])
    vote(proposal, by=people["sam"], choice=APPROVE, department="service")
    assert proposal.state == Proposal.State.IN_REVIEW
    join(proposal, by=people["sam"])
    assert [said_to(one).count(AGAIN) for one in (sid, people["sue"], people["sam"])] == [1, 0, 0]


def test_who_must_sign_what_an_approved_proposal_has_become_is_told_when_its_release_is_refused(people, wording):
    submit(wording, by=people["mia"])
    vote(wording, by=people["sam"], choice=APPROVE)
    source = Source.objects.get(code="website")
    publish({changed(source, owner="sales")}, notes="", by=None)
    tag = Tag.objects.get(pk=wording.items.get().item)
    rule = MappingRule.objects.create(source=source, name="sent_so", tag=tag, position=99)
    publish({str(rule.pk)}, notes="", by=None)
    with pytest.raises(NotReady):
        release_proposal(wording, by=people["dan"])
    wording.refresh_from_db()
    assert wording.state == Proposal.State.IN_REVIEW
    assert [said_to(people[name]).count(AGAIN) for name in ("sue", "sam", "dan")] == [1, 0, 0]


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ({}, ": {}."),
        ({"required": True}, ": {}. What sources send must change now."),
        ({"required": True, "watch_until": "2030-01-31"}, ": {}. What sources send must change by 31 Jan 2030."),
    ],
)
def test_who_follows_an_item_is_told_what_changes_and_by_when(people, use, said):
    publish(notes="", by=None) if unreleased() else None
    tag = Tag.objects.get(code="product_view")
    attributes = [dict(one) for one in definition(tag)["attributes"]]
    next(one for one in attributes if not one["required"]).update(use)
    follow(people["max"], tag.pk, yes=True)
    before = items_of(newest())
    changed(tag, attributes=attributes) if use else changed(tag, label_en="Looks at")
    label = "Looks at" if not use else tag.label_en
    tell_of_release(publish(notes="", by=None), before)
    assert [one.partition("follow")[2] for one in said_to(people["max"]) if "follow" in one] == [said.format(label)]


def test_who_would_have_had_to_sign_an_emergency_release_is_told_and_reminded_until_somebody_reviews_it(people, wording, mailoutbox):
    made = emergency_release(wording, by=people["dan"], reason="now")
    assert any(made.version in said and "without your department's word" in said for said in said_to(people["sam"]))
    assert not any("without your department's word" in said for name in ("mia", "dan", "sue") for said in said_to(people[name]))
    assert releases_waiting_for(people["sam"]) == [made]
    for name in ("mia", "dan", "sue"):
        assert releases_waiting_for(people[name]) == []
    remind(datetime.fromisoformat("2026-11-23T09:05:00+08:00"))
    assert [(letter.to, made.version in letter.body) for letter in mailoutbox] == [(["sam@example.com"], True)]
    review_release(made, by=people["sam"])
    assert releases_waiting_for(people["sam"]) == []


def test_what_an_open_proposal_holds_is_not_discarded_and_whose_saves_are_lost_is_told(people):
    tag = tag_of("service")
    publish(notes="", by=None) if unreleased() else None
    item = saved(tag, people["sam"], label_en="Sam's")
    proposal = propose([item], title="t", why="w", by=people["mia"])
    for name in ("max", "mia"):
        with pytest.raises(StillProposed) as refused:
            discard([item], by=people[name])
        assert refused.value.found == {item: proposal}
    assert proposal.items.count() == 1
    withdraw(proposal, by=people["mia"])
    discard([item], by=people["max"])
    assert said_to(people["sam"]) == ["Max discarded what you had changed of Sam's."]
    assert said_to(people["max"]) == []


def test_deprecating_one_needs_none(people):
    login = Tag.objects.get(code="login")
    other = Tag.objects.exclude(pk=login.pk).filter(status="active").first()
    submit(propose([changed(login, status="deprecated", successor=str(other.pk))], title="t", why="w", by=people["mia"]), by=people["mia"])


def test_owners_are_warned_before_what_holds_for_a_while_ends(people):
    rule = MappingRule.objects.select_related("source", "tag").filter(condition_path="").first()
    MappingRule.objects.filter(pk=rule.pk).update(until=date(2026, 12, 31), below_version="4.2")
    publish(notes="", by=None)
    for today, warned in [
        (date(2026, 12, 16), 0),
        (date(2026, 12, 17), 1),
        (date(2026, 12, 24), 1),
        (date(2026, 12, 30), 1),
        (date(2026, 12, 31), 0),
    ]:
        before = list(Notice.objects.values_list("pk", flat=True))
        assert warn_of_endings(today) == warned
        asked = {notice.user.department_id for notice in Notice.objects.exclude(pk__in=before).select_related("user")}
        assert asked == ({rule.source.owner_id, rule.tag.owner_id} & {"marketing", "sales", "service", "data", "product", "compliance"} if warned else set())  # fmt: skip


ENDS = date(2026, 12, 31)


@pytest.mark.parametrize(
    ("left", "warned"),
    [
        # the machine was off on the very day
        ([15, 13, 12, 6, 2, 1], [0, 1, 0, 1, 0, 1]),
        ([13, 13, 5, 5, 1, 1, 1], [1, 0, 1, 0, 1, 0, 0]),
        # released with six days to go: told at once, and of what is over only the last
        ([6, 6, 5, 2, 1], [1, 0, 0, 0, 1]),
        ([30, 3, 0], [0, 1, 0]),
    ],
)
def test_no_warning_is_missed_and_none_is_given_twice(people, left, warned):
    tag = tag_of("service")
    changed(tag, watch_until=ENDS.isoformat())
    publish(notes="", by=None)
    assert [warn_of_endings(ENDS - timedelta(days=days)) for days in left] == warned
    assert Notice.objects.filter(user=people["sam"]).count() == sum(warned)


def test_a_rule_is_warned_of_on_its_last_day_and_another_day_is_told_anew(people):
    rule = MappingRule.objects.filter(source__owner="service").first() or MappingRule.objects.first()
    MappingRule.objects.filter(pk=rule.pk).update(until=ENDS)
    publish(notes="", by=None)
    assert [warn_of_endings(ENDS), warn_of_endings(ENDS), warn_of_endings(ENDS + timedelta(days=1))] == [1, 0, 0]
    MappingRule.objects.filter(pk=rule.pk).update(until=ENDS + timedelta(days=10))
    publish(notes="", by=None)
    assert [warn_of_endings(ENDS), warn_of_endings(ENDS)] == [1, 0]


def test_many_definitions_are_written_with_as_many_queries_as_few(people, django_assert_max_num_queries):
    first = Attribute.objects.first()
    wanted = {f"11111111-1111-4111-8111-{number:012}": definition(first) | {"code": f"brand_new_{number}"} for number in range(300)}
    with django_assert_max_num_queries(60):
        proposal = propose_definitions(wanted, title="t", why="w", by=people["mia"])
    assert proposal.items.count() == 300
    assert Revision.objects.filter(item__in=wanted, action=Revision.Action.CREATED, by=people["mia"]).count() == 300


def test_what_is_written_as_it_stands_leaves_no_history(people):
    first = Attribute.objects.first()
    proposal = propose_definitions({str(first.pk): definition(first) | {"label_en": "New"}}, title="t", why="w", by=people["mia"])
    revision = Revision.objects.get(item=first.pk)
    assert (revision.action, revision.definition["label_en"]) == ("changed", "New")
    first.refresh_from_db()
    created, changed = first.created_at, first.updated_at
    withdraw(proposal, by=people["mia"])
    discard([str(first.pk)], by=people["mia"])
    discard([str(first.pk)], by=people["mia"])
    first.refresh_from_db()
    assert Revision.objects.filter(item=first.pk).count() == 2
    assert first.created_at == created and first.updated_at > changed


def test_sources_are_told_by_when_they_must_change(people):
    tag = Tag.objects.get(code="purchase")
    uses = definition(tag)["attributes"]
    CheckSetting.objects.create(pk="attribute.unfilled", severity="off")
    strict = [{**use, "required": True, "watch_until": "2099-01-31"} for use in uses]
    item = changed(tag, attributes=strict)
    proposal = propose([item], title="t", why="w", by=people["pat"])
    signed = submit(proposal, by=people["pat"])
    # nobody is asked again on that day: whoever signs what breaks, signs now
    assert item in signed.seats["data"].concern.changes["breaking"]
    for code in list(signed.seats):
        for person in User.objects.filter(department=code).exclude(pk=people["pat"].pk)[:1]:
            vote(proposal, by=person, choice=APPROVE)
    proposal.refresh_from_db()
    before = newest().version
    made = release_proposal(proposal, by=people["dan"])
    assert made.version == next_version(before, "additive")
    told = {notice.values["day"] for notice in Notice.objects.filter(text__contains="must change what it sends by")}
    assert told == {"2099-01-31"}


def saved(item, by, **fields) -> str:
    """What `changed` does, as somebody's save in the admin."""
    written = changed(item, **fields)
    item.refresh_from_db()
    record_revision(item, by=by, action=Revision.Action.CHANGED)
    return written


def test_who_saved_what_a_proposal_holds_does_not_sign_it(people):
    tag = tag_of("service")
    proposal = propose([saved(tag, people["sam"], label_en="Sam's")], title="t", why="w", by=people["mia"])
    assert author_ids(proposal) == {people["mia"].pk, people["sam"].pk}
    signed = submit(proposal, by=people["mia"])
    assert people["sam"] not in signed.seats["service"].voters
    with pytest.raises(NotAllowed, match="author"):
        vote(proposal, by=people["sam"], choice=APPROVE)
    vote(proposal, by=people["dan"], choice=APPROVE)
    made = release_proposal(proposal, by=people["dan"])
    assert author_ids(proposal) == {people["mia"].pk, people["sam"].pk}
    # what was released is nobody's any more
    again = propose([saved(tag, people["max"], label_en="Max's")], title="t", why="w", by=people["max"])
    assert author_ids(again) == {people["max"].pk}
    assert author_ids(made.proposals.get()) == {people["mia"].pk, people["sam"].pk}


def test_who_saved_what_was_brought_back_may_sign_what_came_after(people):
    tag = tag_of("service")
    publish(notes="", by=None) if unreleased() else None
    item = saved(tag, people["sam"], label_en="Sam's")
    discard([item], by=people["sam"])
    proposal = propose([saved(tag, people["mia"], label_en="Mia's")], title="t", why="w", by=people["mia"])
    assert author_ids(proposal) == {people["mia"].pk}


def test_who_restores_what_a_colleague_saved_does_not_make_it_theirs_alone(people):
    tag = tag_of("service")
    publish(notes="", by=None) if unreleased() else None
    item = saved(tag, people["sam"], label_en="Sam's")
    discard([item], by=people["max"])
    tag.refresh_from_db()
    proposal = propose([saved(tag, people["mia"], label_en="Sam's")], title="t", why="w", by=people["mia"])
    assert author_ids(proposal) == {people["mia"].pk, people["sam"].pk}


def test_who_wrote_a_part_of_what_was_brought_back_and_written_again_does_not_sign_it(people):
    tag = tag_of("service")
    publish(notes="", by=None) if unreleased() else None
    item = saved(tag, people["sam"], label_en="Sam's", description_en="Also Sam's")
    saved(tag, people["sue"], label_en="Sue's")
    discard([item], by=people["max"])
    for field, value, writers in [
        ("label_zh_hans", "咪", {"mia"}),
        ("label_en", "Sue's", {"mia", "sue"}),
        ("label_en", "Sam's", {"mia", "sam"}),
        ("description_en", "Also Sam's", {"mia", "sam", "sue"}),  # she saved it with hers
    ]:
        tag.refresh_from_db()
        proposal = propose([saved(tag, people["mia"], **{field: value})], title="t", why="w", by=people["mia"])
        assert author_ids(proposal) == {people[name].pk for name in writers}
        withdraw(proposal, by=people["mia"])
        discard([item], by=people["mia"])


def test_who_only_put_the_attributes_in_another_order_wrote_that(people):
    tag = Tag.objects.get(code="purchase")
    order = definition(tag)["attributes"][::-1]
    item = saved(tag, people["sam"], attributes=order)
    discard([item], by=people["sam"])
    tag.refresh_from_db()
    assert author_ids(propose([saved(tag, people["mia"], attributes=order)], title="t", why="w", by=people["mia"])) == {
        people["mia"].pk, people["sam"].pk
    }  # fmt: skip


def test_an_approval_falls_when_its_giver_edits_what_is_proposed(people):
    of_service, of_sales = tag_of("service"), tag_of("sales")
    publish(notes="", by=None) if unreleased() else None
    proposal = propose([changed(of_service, label_en="One"), changed(of_sales, label_en="Two")], title="t", why="w", by=people["mia"])
    submit(proposal, by=people["mia"])
    vote(proposal, by=people["sam"], choice=APPROVE)
    pull_back(proposal, by=people["mia"])
    saved(of_sales, people["sam"], label_en="Three")
    signed = submit(proposal, by=people["mia"])
    assert not signed.seats["service"].approved
    assert people["sam"] not in signed.seats["service"].voters


def test_who_saved_it_does_not_review_its_emergency_release(people):
    proposal = propose([saved(tag_of("service"), people["dora"], label_en="x")], title="t", why="w", by=people["mia"])
    made = emergency_release(proposal, by=people["dan"], reason="now")
    with pytest.raises(NotAllowed, match="author"):
        review_release(made, by=people["dora"])


def test_owners_of_sources_whose_rules_fill_an_attribute_are_asked(people):
    source = Source.objects.create(code="mini", label_en="m", label_zh_hans="m", owner_id="marketing")
    tag, other = tag_of("service"), tag_of("sales")
    through, filled, kept_out = (
        Attribute.objects.create(code=code, label_en=code, label_zh_hans=code) for code in ("through", "filled", "kept_out")
    )
    tag.uses.create(attribute=through)
    other.uses.create(attribute=filled)
    other.uses.create(attribute=kept_out)
    MappingRule.objects.create(source=source, name="one", tag=tag, position=998)
    mapped = MappingRule.objects.create(source=source, name="two", tag=other, position=999, keep_unmapped=False)
    mapped.rows.create(target="filled", path="a")
    publish(notes="", by=None)
    for attribute, asked in [(through, True), (filled, True), (kept_out, False)]:
        proposal = propose([changed(attribute, label_en="changed")], title="t", why="w", by=people["pat"])
        seats = standing(proposal).seats
        assert ("marketing" in seats) is asked
        assert {"service", "sales"} & set(seats)
        if asked:
            assert seats["marketing"].concern.reasons == {"fills": {str(attribute.pk)}}


def test_a_new_use_of_a_personal_attribute_concerns_compliance(people):
    tag = tag_of("service")
    nick = Attribute.objects.create(code="nick", label_en="n", label_zh_hans="n", personal="identity")
    plain = Attribute.objects.create(code="plain", label_en="n", label_zh_hans="n")
    publish(notes="", by=None)
    item = str(tag.pk)
    for attribute, asked in [(plain, False), (nick, True)]:
        tag.uses.create(attribute=attribute)
        proposal = propose([item], title="t", why="w", by=people["mia"])
        assert ("compliance" in standing(proposal).seats) is asked
        withdraw(proposal, by=people["mia"])
    proposal = propose([item], title="t", why="w", by=people["mia"])
    assert standing(proposal).seats["compliance"].concern.reasons == {"personal": {item}}
    withdraw(proposal, by=people["mia"])
    publish(notes="", by=None)
    # used before already
    proposal = propose([changed(tag, label_en="Another")], title="t", why="w", by=people["mia"])
    assert "compliance" not in standing(proposal).seats


def sent_natively(tag: Tag, source: Source, *, day: date | None = None, rule=None) -> None:
    ReadingDay.objects.create(
        day=day or company_day(), source=source, tag=tag, rule=rule, accepted=True, count=1, last_at=timezone.now()
    )  # fmt: skip


def test_who_sends_a_tag_by_its_own_name_signs_what_breaks_it_and_is_told(people):
    """No rule of theirs reaches it: that is the documented normal way."""
    source, till = (Source.objects.create(code=code, label_en=code, label_zh_hans=code, owner_id="sales") for code in ("mini", "till9"))
    tag, wanted = tag_of("service"), Attribute.objects.create(code="wanted", label_en="w", label_zh_hans="w")
    tag.uses.create(attribute=wanted)
    publish(notes="", by=None)
    CheckSetting.objects.create(pk="attribute.unfilled", severity="off")
    # by a rule, of another tag, or too long ago: near misses
    sent_natively(tag, till, rule=tag.pk)
    sent_natively(tag_of("sales"), till)
    sent_natively(tag, till, day=company_day() - timedelta(days=46))
    item = changed(tag, attributes=[{**use, "required": True} for use in definition(tag)["attributes"]])
    proposal = propose([item], title="t", why="w", by=people["mia"])
    assert "sales" not in standing(proposal).seats
    sent_natively(tag, source)
    signed = submit(proposal, by=people["mia"])
    assert signed.seats["sales"].concern.reasons == {"sends": {item}}
    assert item in signed.seats["sales"].concern.changes["breaking"]
    assert proposal in waiting_for(people["sue"])
    made = emergency_release(proposal, by=people["dan"], reason="now")
    said = f"Release {made.version}: the source mini must change what it sends now."
    assert said in [str(notice) for notice in Notice.objects.filter(user=people["sue"])]
    assert made in releases_waiting_for(people["sue"])
    proposal = propose([changed(wanted, watch_until="2099-01-31")], title="t", why="w", by=people["pat"])
    assert standing(proposal).seats["sales"].concern.reasons == {"fills": {str(wanted.pk)}}
    publish(notes="", by=None)
    Notice.objects.all().delete()
    # so long before, they are warned of the day on which it begins
    sent_natively(tag, source, day=date(2099, 1, 1))
    assert warn_of_endings(date(2099, 1, 30)) == 1
    assert Notice.objects.filter(user=people["sue"]).count() == 1


def test_a_phone_that_is_declared_not_personal_still_concerns_compliance(people):
    tag = tag_of("service")
    phone, mail = (Attribute.objects.create(code=code, label_en=code, label_zh_hans=code, type=code) for code in ("phone", "email"))
    plain = Attribute.objects.create(code="plain", label_en="n", label_zh_hans="n")
    CheckSetting.objects.create(pk="attribute.looks_personal", severity="off")
    publish(notes="", by=None)
    for attribute, asked in [(plain, False), (phone, True), (mail, True)]:
        tag.uses.create(attribute=attribute)
        proposal = propose([str(tag.pk)], title="t", why="w", by=people["mia"])
        assert ("compliance" in standing(proposal).seats) is asked
        withdraw(proposal, by=people["mia"])
        tag.uses.filter(attribute=attribute).delete()
    proposal = propose([changed(plain, type="phone")], title="t", why="w", by=people["mia"])
    assert standing(proposal).seats["compliance"].concern.reasons == {"personal": {str(plain.pk)}}


@pytest.mark.parametrize(("target", "asked"), [("$phone", True), ("$identifiers.openid", True), ("$occurred_at", False)])
def test_a_row_that_finds_the_person_elsewhere_is_signed_by_compliance_and_steward(people, target, asked):
    rule = MappingRule.objects.exclude(rows__target=target).first()
    publish(notes="", by=None) if unreleased() else None
    rows = [*definition(rule)["rows"], {"target": target, "path": "receiver", "transforms": ""}]
    seats = standing(propose([changed(rule, rows=rows)], title="t", why="w", by=people["pat"])).seats
    assert ("compliance" in seats) is asked
    assert str(rule.pk) in seats["data"].concern.changes["breaking"]


def test_nobody_chooses_who_signs_by_asking_for_less_just_before(people):
    tag = tag_of("service")
    publish(notes="", by=None) if unreleased() else None
    proposal = propose([saved(tag, people["dan"], label_en="Dan's")], title="t", why="w", by=people["dan"])
    set_policy(ReviewPolicy(department_id="service", change="any", say="nothing"), by=people["dan"])
    assert standing(proposal).seats["service"].must, "he wrote it"
    withdraw(proposal, by=people["dan"])
    other = propose([str(tag.pk)], title="t", why="w", by=people["mia"])
    assert standing(other).seats["service"].must, "he saved it"
    withdraw(other, by=people["mia"])
    publish(notes="", by=None, emergency_reason="x") if unreleased() else None
    mias = propose([saved(Tag.objects.get(pk=tag.pk), people["mia"], label_en="Mia's")], title="t", why="w", by=people["mia"])
    assert "service" not in standing(mias).seats


def test_an_approval_outlives_edits_of_other_items_though_an_author_once_asked_for_less(people):
    of_service, of_sales = tag_of("service"), tag_of("sales")
    publish(notes="", by=None) if unreleased() else None
    sid = User.objects.create_user("sid@example.com", "x", department_id="service", name="Sid")
    sid.groups.add(Group.objects.get(name="service_agent"))
    set_policy(ReviewPolicy(department_id="service", change="any", say="nothing"), by=people["sam"])
    both = [saved(tag, people["sam"], label_en="Sam's") for tag in (of_service, of_sales)]
    proposal = propose(both, title="t", why="w", by=people["sam"])
    submit(proposal, by=people["sam"])
    vote(proposal, by=sid, choice=APPROVE)
    pull_back(proposal, by=people["sam"])
    saved(of_sales, people["sam"], label_en="Sam's again")
    assert submit(proposal, by=people["sam"]).seats["service"].approved
    pull_back(proposal, by=people["sam"])
    drop_item(proposal, of_service.pk, by=people["sam"])
    assert not proposal.votes.filter(stands=True, by=sid).exists()


def test_a_tag_that_came_on_one_of_the_last_days_is_not_retired_without_a_reason(people):
    tag = tag_of("service")
    publish(notes="", by=None) if unreleased() else None
    source = Source.objects.get(code="till")
    ReadingDay.objects.create(
        day=timezone.localdate() - timedelta(days=20), source=source, tag=tag, count=5, accepted=True, last_at=timezone.now()
    )
    proposal = propose([changed(tag, status="draft")], title="t", why="w", by=people["mia"])
    with pytest.raises(StillArrives):
        submit(proposal, by=people["mia"])


def test_going_back_tells_whose_drafts_are_lost(people):
    tag = tag_of("service")
    publish(notes="", by=None) if unreleased() else None
    first = newest()
    changed(tag, label_en="Later")
    publish(notes="", by=None)
    tag.refresh_from_db()
    saved(tag, people["sue"], label_en="Sue's")
    propose_going_back(first, why="w", by=people["mia"], title="back")
    assert [(one.user, one.values["who"]) for one in Notice.objects.all()] == [(people["sue"], str(people["mia"]))]


def test_the_command_releases_nothing_that_a_proposal_holds_and_tells_whom_it_concerns(people):
    tag = tag_of("service")
    publish(notes="", by=None) if unreleased() else None
    proposal = propose([changed(tag, label_en="Mia's")], title="Her title", why="w", by=people["mia"])
    with pytest.raises(CommandError, match="Her title"):
        call_command("publish", "--notes", "by hand")
    withdraw(proposal, by=people["mia"])
    with pytest.raises(CommandError, match="--notes"):
        call_command("publish")
    follow(people["max"], tag.pk, yes=True)
    Notice.objects.all().delete()
    call_command("publish", "--notes", "by hand")
    assert newest().emergency_reason == "by hand"
    told = {one.user for one in Notice.objects.all()}
    assert people["max"] in told and people["sam"] in told, "who follows it, and who would have signed"


def test_a_new_source_is_signed_by_compliance_since_it_tells_of_persons(people):
    publish(notes="", by=None) if unreleased() else None
    source = apply_definition(str(uuid4()), definition(Source.objects.get(code="till")) | {"code": "kiosk"})
    seats = standing(propose([str(source.pk)], title="t", why="w", by=people["pat"])).seats
    assert str(source.pk) in seats["compliance"].concern.changes["personal"]


@pytest.mark.parametrize(
    ("envelope", "asked"),
    [({"phone": "staff.mobile"}, True), ({"identifiers": {"email": "staff.mail"}}, True), ({"occurred_at": "at"}, False)],
)
def test_an_envelope_that_finds_the_person_elsewhere_is_signed_by_compliance(people, envelope, asked):
    source = Source.objects.get(code="till")
    publish(notes="", by=None) if unreleased() else None
    changed_to = {**definition(source)["envelope"], **envelope}
    seats = standing(propose([changed(source, envelope=changed_to)], title="t", why="w", by=people["pat"])).seats
    assert ("compliance" in seats) is asked


def test_stewards_are_warned_where_nobody_of_the_owners_is_left(people):
    changed(tag_of("service"), watch_until=ENDS.isoformat())
    publish(notes="", by=None)
    User.objects.exclude(department_id="data").update(is_active=False)
    assert [warn_of_endings(ENDS - timedelta(days=7)) for _hour in range(2)] == [1, 0]
    told = Notice.objects.filter(values__has_key="step").values_list("user__department", flat=True)
    assert set(told) == {"data"}
