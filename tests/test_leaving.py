"""Someone leaves: what is theirs goes to colleagues first, whole or not at all, and the history keeps who did what."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connections
from django.urls import reverse
from django.utils import timezone

from ingestion.models import ImportRun, WriteKey
from staff.leaving import Hindered, NotHandedOver, belongings, close_account, hindrances, open_account
from staff.models import Department, Handover, Notice, ReadToken, User
from taxonomy.definition import apply_definition, definition
from taxonomy.history import record_revision
from taxonomy.models import Follow, Grant, Proposal, Revision, Source, Tag, Vote
from taxonomy.proposals.authors import author_ids
from taxonomy.proposals.propose import propose, submit
from taxonomy.proposals.review import NotAllowed, release_proposal, standing, vote, waiting_for
from taxonomy.publish import publish, unreleased

pytestmark = pytest.mark.django_db
APPROVE = Vote.Choice.APPROVE


@pytest.fixture
def people(standard):
    """Two of marketing and of data, one of service with a deputy, one of sales without, an engineer, two administrators."""
    roles = {"marketing": "marketer", "sales": "sales_rep", "service": "service_agent", "data": "data_steward", "product": "engineer"}
    found = {}
    for name, department in [
        ("mia", "marketing"), ("max", "marketing"), ("sam", "service"), ("sue", "sales"), ("dan", "data"), ("dora", "data"), ("eve", "product"),
        ("adam", None), ("ada", None),
    ]:  # fmt: skip
        person = User.objects.create_user(f"{name}@example.com", "x", department_id=department, name=name.title())
        person.groups.add(Group.objects.get(name=roles.get(department, "administrator")))
        found[name] = person
    Department.objects.filter(pk="service").update(deputy="marketing")
    return found


def edit(tag: Tag, by: User, **fields) -> str:
    record_revision(apply_definition(str(tag.pk), definition(tag) | fields), by=by, action=Revision.Action.CHANGED)
    return str(tag.pk)


@pytest.fixture
def desk(people):
    """What Mia of marketing has: {key of a belonging: what}."""
    mia, tags = people["mia"], list(Tag.objects.order_by("code")[:4])
    Tag.objects.filter(pk__in=[one.pk for one in tags]).update(owner="marketing")
    publish(notes="", by=None) if unreleased() else None
    for one in tags:
        one.refresh_from_db()
    proposal = propose([edit(tags[0], mia, label_en="Hers")], title="Hers", why="w", by=mia)
    waiting = propose([edit(tags[1], people["sue"], label_en="Waits")], title="Waits", why="w", by=people["sue"])
    submit(waiting, by=people["sue"])
    said = propose([edit(tags[2], people["sue"], label_en="Said")], title="Said", why="w", by=people["sue"])
    submit(said, by=people["sue"])
    vote(said, by=mia, choice=APPROVE)
    edit(tags[3], mia, label_en="Left lying")
    Follow.objects.create(user=mia, item=tags[3].pk)
    grant = Grant.objects.create(person=mia, may="release", category=tags[3].category)
    key = WriteKey(source=Source.objects.first(), created_by=mia)
    key.set_secret()
    key.save()
    run = ImportRun.objects.create(source=Source.objects.first(), file_name="x.csv", path="/x", started_by=mia, status="failed")
    return {"proposals": proposal, "reviews": waiting, "votes": said, "changes": tags[3], "follows": tags[3], "grants": grant, "write_keys": key, "imports": run}  # fmt: skip


def takers(people, person) -> dict[str, User]:
    to = {"write_keys": people["eve"], "imports": people["eve"], "follows": people["max"], "grants": people["max"]}
    return {one.key: to.get(one.key, people["max"]) for one in belongings(person)}


def test_everything_that_is_theirs_is_shown(people, desk):
    assert {one.key for one in belongings(people["mia"])} == set(desk)
    assert belongings(people["max"])[0].key == "reviews"
    assert hindrances(people["mia"], by=people["adam"]) == []


def test_everything_goes_to_whom_it_was_given_and_the_past_stays(people, desk):
    mia, max_ = people["mia"], people["max"]
    close_account(mia, by=people["adam"], to=takers(people, mia))
    mia.refresh_from_db()
    assert not mia.is_active
    proposal = Proposal.objects.get(pk=desk["proposals"].pk)
    assert proposal.author == max_
    assert mia.pk in author_ids(proposal)
    assert Revision.objects.filter(item=desk["changes"].pk).first().by == max_
    assert [one.by for one in Revision.objects.filter(item=desk["changes"].pk)] == [max_, mia]
    assert Follow.objects.get().user == max_
    assert Grant.objects.get().person == max_
    assert WriteKey.objects.get(pk=desk["write_keys"].pk).created_by == mia
    # the department's word stands, said by whom it was said
    assert Vote.objects.get(stands=True).by == mia
    assert {one.key for one in Handover.objects.all()} == set(desk)
    assert Notice.objects.filter(user=max_, text__contains="now it waits for you").count() == 1
    assert Notice.objects.filter(user=people["eve"]).count() == 2
    assert {"proposals", "votes", "changes", "follows", "grants"} <= {one.key for one in belongings(max_)}


def test_what_was_taken_over_is_handed_over_again(people, desk):
    close_account(people["mia"], by=people["adam"], to=takers(people, people["mia"]))
    assert [(one.key, [item for item, _name in one.entries]) for one in belongings(people["eve"])] == [
        ("write_keys", [str(desk["write_keys"].pk)]), ("imports", [str(desk["imports"].pk)]),
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", ["nobody", "themself", "who may not", "who left"])
def test_nothing_changes_until_everything_has_a_taker(people, desk, wrong):
    to = takers(people, people["mia"])
    User.objects.filter(pk=people["sue"].pk).update(is_active=False)
    left = User.objects.get(pk=people["sue"].pk)
    to["proposals"] = {"themself": people["mia"], "who may not": people["ada"], "who left": left}.get(wrong)
    with pytest.raises(NotHandedOver) as raised:
        close_account(people["mia"], by=people["adam"], to=to)
    assert len(raised.value.labels) == 1
    people["mia"].refresh_from_db()
    assert people["mia"].is_active
    assert not Handover.objects.exists()
    assert Follow.objects.get().user == people["mia"]


def test_whoever_takes_a_proposal_cannot_sign_it_any_more(people):
    tag = Tag.objects.filter(status="active").first()
    Tag.objects.filter(pk=tag.pk).update(owner="marketing")
    publish(notes="", by=None) if unreleased() else None
    tag.refresh_from_db()
    proposal = propose([edit(tag, people["sam"], label_en="x")], title="t", why="w", by=people["sam"])
    submit(proposal, by=people["sam"])
    vote(proposal, by=people["max"], choice=APPROVE)
    assert proposal.state == Proposal.State.APPROVED
    to = {one.key: people["max"] for one in belongings(people["sam"])}
    close_account(people["sam"], by=people["adam"], to=to)
    proposal.refresh_from_db()
    assert proposal.state == Proposal.State.IN_REVIEW
    with pytest.raises(NotAllowed, match="author"):
        vote(proposal, by=people["max"], choice=APPROVE)
    assert [person.name for person in standing(proposal).seats["marketing"].voters] == ["Mia"]
    assert waiting_for(people["mia"]) == [proposal]
    assert "waits for your department" in str(Notice.objects.filter(user=people["mia"]).last())
    vote(proposal, by=people["mia"], choice=APPROVE)
    assert release_proposal(proposal, by=people["dan"]).version


def test_their_tokens_and_log_ins_end_at_once(people, client):
    token = ReadToken(user=people["mia"], name="t", scopes=["plan"], expires_at=timezone.now() + timedelta(days=1))
    secret = token.set_secret()
    token.save()
    client.force_login(people["mia"])
    assert client.get(reverse("account")).status_code == 200
    assert client.get(reverse("plan"), HTTP_AUTHORIZATION=f"Bearer {secret}").status_code == 200
    close_account(people["mia"], by=people["adam"], to={})
    assert client.get(reverse("account")).status_code == 302
    assert client.get(reverse("plan"), HTTP_AUTHORIZATION=f"Bearer {secret}").status_code in (401, 403)
    open_account(people["mia"])
    assert client.get(reverse("plan"), HTTP_AUTHORIZATION=f"Bearer {secret}").status_code in (401, 403)


@pytest.mark.parametrize(
    ("name", "before", "said"),
    [
        ("sue", None, "last who may sign for Sales"),
        ("sam", None, None),  # its deputy signs
        ("dan", None, None),
        ("dan", "dora", "last data steward"),
        ("adam", "ada", "last who may manage accounts"),
        ("ada", None, "own account"),
    ],
)
def test_the_last_of_their_kind_stays_until_there_is_another(people, name, before, said):
    if before:
        User.objects.filter(pk=people[before].pk).update(is_active=False)
    sentences = hindrances(people[name], by=people["ada"])
    assert (said is None and sentences == []) or any(said in one for one in sentences)
    if said:
        with pytest.raises(Hindered):
            close_account(people[name], by=people["ada"], to={})
        people[name].refresh_from_db()
        assert people[name].is_active


def test_a_superuser_who_is_the_last_to_sign_stays_too(people):
    root = User.objects.create_superuser("root@example.com", "x", department_id="compliance", name="Root")
    with pytest.raises(Hindered) as raised:
        close_account(root, by=people["adam"], to={})
    assert "last who may sign for Compliance" in raised.value.sentences[0]


def test_the_page_shows_asks_and_closes(people, desk, client):
    client.force_login(people["adam"])
    url = reverse("admin:staff_user_close_account", args=[people["mia"].pk])
    page = client.get(url).content.decode()
    assert "Left lying" in page
    assert f'<option value="{people["max"].pk}" selected' in page
    client.post(url, {"to-proposals": "999999999999999999999", "to-reviews": "x"})
    people["mia"].refresh_from_db()
    assert people["mia"].is_active
    chosen = {f"to-{key}": one.pk for key, one in takers(people, people["mia"]).items()}
    assert client.post(url, chosen).status_code == 302
    people["mia"].refresh_from_db()
    assert not people["mia"].is_active
    assert "Left lying" in client.get(url).content.decode()
    client.post(url, {"open": "1"})
    people["mia"].refresh_from_db()
    assert people["mia"].is_active


def test_an_account_is_not_switched_off_on_the_form(people, client):
    client.force_login(people["adam"])
    client.post(reverse("admin:staff_user_change", args=[people["mia"].pk]), {"email": "mia@example.com", "name": "M", "is_active": ""})
    people["mia"].refresh_from_db()
    assert people["mia"].name == "M"
    assert people["mia"].is_active


def test_the_last_signer_is_not_deleted_either(people, client):
    """Who never logged in may be deleted, but not past the question of who signs."""
    client.force_login(people["adam"])
    assert client.post(reverse("admin:staff_user_delete", args=[people["sue"].pk]), {"post": "yes"}).status_code == 403
    assert client.post(reverse("admin:staff_user_delete", args=[people["max"].pk]), {"post": "yes"}).status_code in (302, 403)
    assert User.objects.filter(pk=people["sue"].pk).exists()


def test_an_administrator_closes_no_superuser(people, client):
    root = User.objects.create_superuser("root@example.com", "x")
    client.force_login(people["adam"])
    assert client.post(reverse("admin:staff_user_close_account", args=[root.pk])).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_two_last_stewards_do_not_leave_at_once(people):
    """Each is not the last while the other is there: one of the two closings must find that out."""
    start, outcomes = threading.Barrier(2), []

    def close(name: str) -> None:
        try:
            start.wait()
            close_account(User.objects.get(pk=people[name].pk), by=User.objects.get(pk=people["adam"].pk), to={})
            outcomes.append("closed")
        except Hindered:
            outcomes.append("stays")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=close, args=[name]) for name in ("dan", "dora")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(outcomes) == ["closed", "stays"]
