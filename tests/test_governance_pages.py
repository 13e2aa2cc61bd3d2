"""What the pages of governance say where somebody is stopped or nothing has to be done."""

import re
from html import unescape

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override
from test_taxonomy_admin import form_of

from ingestion.models import ViolationDay
from ingestion.pipeline import Incoming, receive
from staff.models import Department, Notice, User
from taxonomy.check_words import WORDS
from taxonomy.current import current
from taxonomy.definition import apply_definition, definition
from taxonomy.draft import last_saved
from taxonomy.history import record_revision
from taxonomy.models import Attribute, CheckSetting, Grant, Proposal, Release, ReviewPolicy, Revision, Source, Tag
from taxonomy.proposals.authors import author_ids
from taxonomy.proposals.propose import join, propose, pull_back, submit
from taxonomy.proposals.review import emergency_release, release_proposal, review_release, standing, vote, waiting_for
from taxonomy.publish import company_day, publish

pytestmark = pytest.mark.django_db


@pytest.fixture
def stewards(standard) -> list[User]:
    found = [User.objects.create_user(f"{name}@example.com", "x", department_id="data", name=name.title()) for name in ("dan", "dora")]
    for person in found:
        person.groups.add(Group.objects.get(name="data_steward"))
    return found


@pytest.fixture
def renamed(stewards) -> tuple[Tag, object]:
    """(a tag with another label, Dan's proposal of it)."""
    tag = Tag.objects.get(code="product_view")
    apply_definition(str(tag.pk), definition(tag) | {"label_en": "See a product"})
    return tag, propose([str(tag.pk)], title="Clearer", why="w", by=stewards[0])


def page(client, person: User, url: str) -> str:
    client.force_login(person, "django.contrib.auth.backends.ModelBackend")
    return client.get(url).content.decode()


def test_words_alone_ask_nothing_of_sources_whose_rules_use_the_tag(client, stewards, renamed):
    assert "no source has to change anything" in page(client, stewards[1], renamed[1].get_absolute_url())


def test_what_was_just_saved_is_ticked_on_the_page_that_proposes_it_however_many_there_are(client, stewards, monkeypatch):
    monkeypatch.setattr("taxonomy.admin.shown.PAGE", 2)
    for tag in Tag.objects.order_by("code"):
        apply_definition(str(tag.pk), definition(tag) | {"label_en": f"{tag.label_en}!"})
    last = Tag.objects.order_by("code").last()
    url, box = reverse("admin:taxonomy_proposal_unreleased"), rf'value="{last.pk}" form="pick" aria-label="[^"]*" checked'
    assert re.search(box, page(client, stewards[1], f"{url}?item={last.pk}")) and not re.search(box, page(client, stewards[1], url))
    assert page(client, stewards[1], f"{url}?item=nonsense&page=1").count(" checked") == 0


def test_a_proposal_names_who_can_sign_it(client, stewards, renamed):
    submit(renamed[1], by=stewards[0])
    assert "waiting for one of Dora" in re.sub(r"\s+", " ", page(client, stewards[1], renamed[1].get_absolute_url()))
    vote(renamed[1], by=stewards[1], choice="approve")
    assert 'value="approve"' not in page(client, stewards[1], renamed[1].get_absolute_url())


def test_only_what_a_source_must_change_stands_under_that_heading(client, stewards):
    view, address = Tag.objects.get(code="product_view"), Attribute.objects.get(code="page_url")
    stricter = definition(view)
    stricter["attributes"] = [use | {"required": use["required"] or use["attribute"] == str(address.pk)} for use in stricter["attributes"]]
    more = definition(purchase := Tag.objects.get(code="purchase"))
    more["refinements"] = [*more["refinements"], {"pattern": "{tag}_at_{category}"}]
    for tag, wanted in ((view, stricter), (purchase, more)):
        apply_definition(str(tag.pk), wanted)
    proposal = propose([str(view.pk), str(purchase.pk)], title="Both", why="w", by=stewards[0])
    made = emergency_release(proposal, by=stewards[0], reason="alone")
    for url in (proposal.get_absolute_url(), reverse("admin:taxonomy_release_change", args=[made.pk])):
        shown = page(client, stewards[1], url)
        must, rest = re.search(r"What sources must change(.*)What else changes for sources(.*?)</section>", shown, re.S).groups()
        assert "is required from now on" in must and "are understood too" not in must
        assert "are understood too" in rest and "is required from now on" not in rest
        assert len(anchors := re.findall(r'id="source-[^"]+"', shown)) == len(set(anchors))


def test_where_nothing_must_change_it_says_so_and_tells_the_rest_apart(client, stewards):
    tag = Tag.objects.get(code="product_view")
    wanted = definition(tag)
    apply_definition(str(tag.pk), wanted | {"refinements": [*wanted["refinements"], {"pattern": "{tag}_at_{category}"}]})
    shown = page(client, stewards[0], propose([str(tag.pk)], title="More", why="w", by=stewards[0]).get_absolute_url())
    assert (
        shown.index("no source has to change anything") < shown.index("What else changes for sources") < shown.index("are understood too")
    )


def test_the_review_of_an_emergency_is_offered_to_others_only(client, stewards, renamed):
    made = emergency_release(renamed[1], by=stewards[0], reason="alone")
    url, act = (reverse(f"admin:taxonomy_release_{name}", args=[made.pk]) for name in ("change", "review"))
    assert act not in page(client, stewards[0], url)
    assert act in page(client, stewards[1], url)


def test_who_picks_what_is_proposed_elsewhere_is_told_which_item_it_is(client, stewards, renamed):
    client.force_login(stewards[1], "django.contrib.auth.backends.ModelBackend")
    other = Tag.objects.get(code="login")
    apply_definition(str(other.pk), definition(other) | {"label_en": "Sign in"})
    picked = {"act": "propose", "items": [str(other.pk), str(renamed[0].pk)], "title": "Both", "why": "w"}
    answer = client.post(reverse("admin:taxonomy_proposal_unreleased"), picked)
    said = [str(message) for message in answer.context["messages"]]
    assert len(said) == 1 and "See a product (product_view)" in said[0] and "Clearer" in said[0]
    assert 'value="Both"' in answer.content.decode()


def test_where_nobody_can_sign_the_page_says_why_and_who_can_help(client, stewards, renamed):
    proposal, service = renamed[1], Department.objects.get(pk="service")
    Tag.objects.filter(pk=renamed[0].pk).update(owner=service)
    publish({str(renamed[0].pk)}, notes="n", by=None)
    apply_definition(str(renamed[0].pk), definition(Tag.objects.get(pk=renamed[0].pk)) | {"label_en": "Look at a product"})
    join(proposal, by=stewards[1])
    helper = User.objects.create_user("ada@example.com", "x", name="Ada")
    helper.groups.add(Group.objects.get(name="administrator"))
    shown = page(client, stewards[0], proposal.get_absolute_url())
    assert "Nobody can sign for Customer service." in shown and "It has no members." in shown
    assert "Ada" in shown and "Add a member" not in shown
    shown = page(client, helper, proposal.get_absolute_url())
    for name, args in (("staff_department_change", ["service"]), ("staff_user_add", [])):
        assert reverse(f"admin:{name}", args=args) in shown
    sam = User.objects.create_user("sam@example.com", "x", department=service)
    assert "None of its members has a role that signs." in page(client, helper, proposal.get_absolute_url())
    sam.groups.add(Group.objects.get(name="service_agent"))
    assert "Nobody can sign for Customer service." not in page(client, helper, proposal.get_absolute_url())
    join(proposal, by=sam)
    assert "Whoever of it could sign has written this proposal." in page(client, helper, proposal.get_absolute_url())
    client.force_login(helper, "django.contrib.auth.backends.ModelBackend")
    assert (
        client.get(reverse("admin:staff_user_add"), {"department": "service"}).context["adminform"].form["department"].value() == "service"
    )
    assert client.get(reverse("admin:staff_user_changelist"), {"department__code__exact": "service"}).context["cl"].result_count == 1


def test_an_emergency_release_is_marked_on_every_page_of_it_until_it_is_reviewed(client, stewards, renamed):
    proposal = renamed[1]
    before = Release.objects.latest("id")
    made = emergency_release(proposal, by=stewards[0], reason="alone")
    addresses = [
        proposal.get_absolute_url(),
        reverse("admin:index"),
        reverse("dictionary"),
        reverse("dictionary_tag", args=["product_view"]),
        f"{reverse('admin:taxonomy_release_change', args=[before.pk])}?with={made.version}",
        reverse("admin:taxonomy_release_change", args=[made.pk]),
    ]
    for url in addresses:
        assert "released without sign-off" in page(client, stewards[1], url), url
    review_release(made, by=stewards[1])
    for url in addresses[:-1]:
        assert "released without sign-off" not in page(client, stewards[1], url), url


def test_the_dashboard_shows_what_waits_for_the_reader_and_where_their_own_proposals_stand(client, stewards, renamed):
    proposal = renamed[1]
    assert "Waiting for your department" not in page(client, stewards[1], reverse("admin:index"))
    submit(proposal, by=stewards[0])
    shown = page(client, stewards[1], reverse("admin:index"))
    assert "Waiting for your department" in shown and proposal.get_absolute_url() in shown and "Your proposals" not in shown
    shown = page(client, stewards[0], reverse("admin:index"))
    assert "Your proposals" in shown and "in review" in shown and "Waiting for your department" not in shown
    made = emergency_release(proposal, by=stewards[0], reason="alone")
    shown = page(client, stewards[1], reverse("admin:index"))
    assert reverse("admin:taxonomy_release_change", args=[made.pk]) in shown and "to be reviewed" in shown
    shown = page(client, stewards[1], reverse("admin:taxonomy_proposal_changelist"))
    assert "to be reviewed" in shown


def test_the_page_names_each_department_one_signs_for_and_why_it_is_asked(client, stewards, renamed):
    tag, proposal = renamed
    Tag.objects.filter(pk=tag.pk).update(owner="service")
    Department.objects.filter(pk="service").update(deputy="data")
    submit(proposal, by=stewards[0])
    client.force_login(stewards[1], "django.contrib.auth.backends.ModelBackend")
    shown = client.get(proposal.get_absolute_url())
    text = shown.content.decode()
    mine = {one["seat"].department.pk: one for one in shown.context["my_seats"]}
    assert "service" in mine and len(mine) == text.count('name="act" value="vote"') > 1
    for one in mine.values():
        assert f"Your word for {one['seat'].department}" in text
    assert "It owns <b>See a product (product_view)</b>" in text
    assert "Data signs for it" in text
    act = reverse("admin:taxonomy_proposal_act", args=[proposal.pk])
    client.post(act, {"act": "vote", "choice": "approve", "department": "service", "seen": mine["service"]["seen"]})
    assert [one.department_id for one in proposal.votes.all()] == ["service"]


def checks_form(client) -> dict[str, str]:
    """What the page of the checks posts as it stands."""
    posted = {}
    for row in client.get(CHECKS).context["rows"]:
        form = row["form"]
        for name, value in {field: form[field].value() for field in ("severity", "only_new", "words", "was")}.items():
            if value is not False:
                posted[form.add_prefix(name)] = "on" if value is True else value or ""
    return posted


CHECKS = "/admin/taxonomy/checksetting/"


def test_a_check_without_words_has_no_label_for_them(client, stewards):
    client.force_login(stewards[0], "django.contrib.auth.backends.ModelBackend")
    page = client.get(CHECKS)
    has_words = [row["has_words"] for row in page.context["rows"]]
    assert page.content.decode().count('<td data-label="words">') == sum(has_words) < len(has_words)


def test_who_saves_an_old_page_of_the_checks_undoes_nobody_elses_setting(client, stewards):
    client.force_login(stewards[0], "django.contrib.auth.backends.ModelBackend")
    old = checks_form(client)
    assert client.post(CHECKS, old).status_code == 302 and not CheckSetting.objects.exists()
    theirs = {"naming.length-severity": "off", "tag.unsent-words": "60", "item.ending-severity": "error"}
    client.post(CHECKS, old | theirs)
    mine = {
        "naming.length-severity": "error",
        "tag.unsent-severity": "error",
        "item.ending-severity": "error",
        "rule.matched_nothing-words": "7",
    }
    answer = client.post(CHECKS, old | mine, follow=True)
    found = {one.pk: (one.severity, one.words) for one in CheckSetting.objects.all()}
    assert found == {
        "naming.length": ("off", ["40"]), "tag.unsent": ("error", ["60"]), "item.ending": ("error", ["14"]), "rule.matched_nothing": ("warning", ["7"]),
    }  # fmt: skip
    *_earlier, said = map(str, answer.context["messages"])
    assert "Somebody else changed" in said and str(WORDS["naming.length"][0]) in said and str(WORDS["tag.unsent"][0]) not in said
    client.post(CHECKS, checks_form(client) | {"naming.length-severity": "error"})
    assert CheckSetting.objects.get(pk="naming.length").severity == "error"


def test_a_page_of_the_checks_that_says_not_what_it_showed_changes_nothing(client, stewards):
    client.force_login(stewards[0], "django.contrib.auth.backends.ModelBackend")
    posted = {name: value for name, value in checks_form(client).items() if not name.endswith("-was")}
    for was in ({}, {"naming.length-was": "[]"}, {"naming.length-was": "{"}):
        client.post(CHECKS, posted | {"naming.length-severity": "error"} | was)
        assert not CheckSetting.objects.exists()


@pytest.mark.parametrize("is_submitted_again", [True, False])
def test_who_signs_on_a_page_of_an_earlier_submission_is_shown_what_stands_now_and_loses_no_word(
    client, stewards, renamed, is_submitted_again
):
    tag, proposal = renamed
    submit(proposal, by=stewards[0])
    client.force_login(stewards[1], "django.contrib.auth.backends.ModelBackend")
    [mine] = client.get(proposal.get_absolute_url()).context["my_seats"]
    pull_back(proposal, by=stewards[0])
    apply_definition(str(tag.pk), definition(tag) | {"label_en": "Never looked at"})
    if is_submitted_again:
        submit(proposal, by=stewards[0])
    said = {"act": "vote", "choice": "approve", "department": mine["seat"].department.pk, "comment": "fine <by> me", "seen": mine["seen"]}
    url = reverse("admin:taxonomy_proposal_act", args=[proposal.pk])
    answer = client.post(url, said)
    shown = answer.content.decode()
    assert not proposal.votes.exists()
    assert "Never looked at" in shown and re.search(r"<textarea[^>]*>fine &lt;by&gt; me</textarea>", shown)
    assert ("It changed after you opened it" in shown) == is_submitted_again
    if is_submitted_again:
        client.post(url, {key: value for key, value in said.items() if key != "seen"})
        assert not proposal.votes.exists(), "a page that says nothing of what it showed"
        client.post(url, said | {"seen": answer.context["my_seats"][0]["seen"]})
        assert proposal.votes.get().choice == "approve"


def test_all_who_saved_are_named(client, stewards, renamed):
    tag = renamed[0]
    for person, label in [(stewards[0], "One"), (stewards[1], "Two")]:
        Tag.objects.filter(pk=tag.pk).update(label_en=label)
        tag.refresh_from_db()
        record_revision(tag, by=person, action=Revision.Action.CHANGED)
    for url in (reverse("admin:taxonomy_proposal_unreleased"), renamed[1].get_absolute_url()):
        assert "Dora, Dan" in page(client, stewards[0], url)
    shown = client.get(renamed[1].get_absolute_url())
    assert shown.context["authors"] == stewards


def test_discarding_what_a_proposal_holds_leads_to_it(client, stewards, renamed):
    client.force_login(stewards[1], "django.contrib.auth.backends.ModelBackend")
    url = reverse("admin:taxonomy_proposal_unreleased")
    answer = client.post(url, {"act": "discard", "items": [str(renamed[0].pk)]})
    said = [str(message) for message in answer.context["messages"]]
    assert len(said) == 1 and "Leave it out there first" in said[0]
    assert f'<a href="{renamed[1].get_absolute_url()}" class="tl-underlined">Clearer</a>' in said[0]
    assert f'<a href="{renamed[1].get_absolute_url()}" class="tl-underlined">Clearer</a>' in answer.content.decode()
    box = re.search(rf'<input[^>]*value="{renamed[0].pk}"[^>]*>', answer.content.decode())
    assert box and "disabled" in box[0]
    assert renamed[1].items.count() == 1


def test_the_reason_for_retiring_what_arrives_is_asked_for_openly(client, stewards, standard):
    login = Tag.objects.get(code="login")
    record = b'{"event": "login", "phone": "+8613800138000"}'
    receive([Incoming(record)], source_code="website", door="api", received_at=timezone.now(), current=current())
    apply_definition(str(login.pk), definition(login) | {"status": "draft"})
    proposal = propose([str(login.pk)], title="t", why="w", by=stewards[0])
    shown = page(client, stewards[0], proposal.get_absolute_url())
    assert "Sources still send" in shown and '<details class="tl-change" open><summary>Edit title and reasons' in shown
    assert "Edit title and reasons</summary>" not in page(client, stewards[1], proposal.get_absolute_url())
    act = reverse("admin:taxonomy_proposal_act", args=[proposal.pk])
    client.force_login(stewards[0], "django.contrib.auth.backends.ModelBackend")
    client.post(act, {"act": "edit", "title": "t", "why": "w", "links": "", "retire_reason": "The app is gone"})
    shown = page(client, stewards[0], proposal.get_absolute_url())
    assert "Sources still send" not in shown and "The app is gone" in shown
    submit(Proposal.objects.get(pk=proposal.pk), by=stewards[0])
    assert "Edit title and reasons" not in page(client, stewards[0], proposal.get_absolute_url())
    answer = client.post(act, {"act": "edit", "title": "Other", "why": "w", "links": "", "retire_reason": ""}, follow=True)
    assert "moved on" in " ".join(str(message) for message in answer.context["messages"])
    assert Proposal.objects.get(pk=proposal.pk).title == "t"


def test_links_are_escaped_in_what_is_said(client, stewards, renamed):
    Proposal.objects.update(title="<b>bold</b>")
    client.force_login(stewards[1], "django.contrib.auth.backends.ModelBackend")
    answer = client.post(reverse("admin:taxonomy_proposal_unreleased"), {"act": "discard", "items": [str(renamed[0].pk)]})
    assert "&lt;b&gt;bold&lt;/b&gt;</a>" in answer.content.decode()
    assert "<b>bold</b>" not in answer.content.decode()


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "ftp://files.example.com/a", "www.example.com", "https://", "https://a b.example.com"]
)
def test_a_link_that_is_no_web_address_is_refused_and_nothing_written_is_lost(client, stewards, renamed, link):
    client.force_login(stewards[0], "django.contrib.auth.backends.ModelBackend")
    wanted = {"act": "edit", "title": "Clearer still", "why": "w", "links": f"https://wiki.example.com/a\n{link}", "retire_reason": ""}
    answer = client.post(reverse("admin:taxonomy_proposal_act", args=[renamed[1].pk]), wanted)
    shown = answer.content.decode()
    assert "is no web address" in shown and 'value="Clearer still"' in shown and '<details class="tl-change" open>' in shown
    assert Proposal.objects.get(pk=renamed[1].pk).title == "Clearer"
    client.post(
        reverse("admin:taxonomy_proposal_act", args=[renamed[1].pk]),
        wanted | {"links": " https://wiki.example.com/a \n\nhttp://b.example/"},
    )
    assert Proposal.objects.get(pk=renamed[1].pk).links == "https://wiki.example.com/a\nhttp://b.example/"
    other = Tag.objects.get(code="login")
    apply_definition(str(other.pk), definition(other) | {"label_en": "Sign in"})
    picked = {"act": "propose", "items": [str(other.pk)], "title": "New", "why": "w", "links": link}
    assert "is no web address" in client.post(reverse("admin:taxonomy_proposal_unreleased"), picked).content.decode()
    assert not Proposal.objects.filter(title="New").exists()


def test_a_way_back_is_titled_for_readers_of_both_languages(client, stewards, renamed):
    first = Release.objects.latest("id")
    publish({str(renamed[0].pk)}, notes="n", by=None)
    Proposal.objects.all().delete()
    User.objects.filter(pk=stewards[0].pk).update(language="zh-hans")
    client.force_login(User.objects.get(pk=stewards[0].pk), "django.contrib.auth.backends.ModelBackend")
    client.post(reverse("admin:taxonomy_release_back", args=[first.pk]), {"why": "it was better"})
    title = Proposal.objects.get().title
    assert f"Back to release {first.version}" in title and " · " in title and not title.isascii()


def test_any_two_releases_can_be_compared_however_many_there_are(client, stewards, renamed):
    made = publish({str(renamed[0].pk)}, notes="n", by=None)
    Release.objects.bulk_create(
        Release(version=f"9.{number}.0", content_hash=made.content_hash, snapshot=made.snapshot, changed_items=[]) for number in range(600)
    )
    newest, first = Release.objects.first(), Release.objects.last()
    url = reverse("admin:taxonomy_release_change", args=[newest.pk])
    shown = page(client, stewards[1], f"{url}?with={first.version}")
    assert f"From {first.version} to {newest.version}:" in shown and "See a product" in shown
    assert '<option value="9.100.0">' in shown and shown.count("<option") == 501
    assert f'<option value="{first.version}" selected>' in shown
    shown = page(client, stewards[1], f"{url}?with=7.7.7")
    assert "There is no release “7.7.7" in shown and "From " not in shown


def test_what_waits_costs_the_same_queries_however_many_proposals_there_are(client, stewards, renamed):
    submit(renamed[1], by=stewards[0])
    url = reverse("admin:index")
    page(client, stewards[1], url)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown = page(client, stewards[1], url)
        assert all(proposal.get_absolute_url() in shown for proposal in Proposal.objects.in_review())
        return len(captured)

    one = queries()
    for code in ("login", "search", "purchase"):
        tag = Tag.objects.get(code=code)
        apply_definition(str(tag.pk), definition(tag) | {"label_en": "Other"})
        submit(propose([str(tag.pk)], title=code, why="w", by=stewards[0]), by=stewards[0])
    page(client, stewards[1], url)
    assert queries() == one


def test_what_waits_is_told_anew_after_each_vote_submission_release_and_change_of_who_signs(client, stewards, renamed):
    proposal = renamed[1]
    submit(proposal, by=stewards[0])
    assert waiting_for(stewards[1]) == [proposal] and waiting_for(stewards[0]) == []
    join(proposal, by=stewards[1])
    assert waiting_for(User.objects.get(pk=stewards[1].pk)) == []
    third = User.objects.create_user("dee@example.com", "x", department_id="data", name="Dee")
    third.groups.add(Group.objects.get(name="data_steward"))
    assert waiting_for(third) == [proposal]
    # where grants limit somebody the plans are looked at; stewards sign whatever they say
    Grant.objects.create(person=stewards[0], may="review")
    assert waiting_for(User.objects.get(pk=third.pk)) == [proposal]
    Grant.objects.all().delete()
    for department in {seat.department.pk for seat in standing(proposal).may_vote(third)}:
        vote(proposal, by=third, choice="approve", department=department)
    assert waiting_for(third) == []


def test_a_department_says_what_it_signs_on_its_page_and_for_others_only_stewards_do(client, stewards):
    mia = User.objects.create_user("mia@example.com", "x", department_id="marketing", name="Mia")
    mia.groups.add(Group.objects.get(name="marketer"))
    nobody = User.objects.create_user("ned@example.com", "x", name="Ned")
    nobody.groups.add(Group.objects.get(name="marketer"))
    add, rows = (reverse(f"admin:taxonomy_reviewpolicy_{name}") for name in ("add", "changelist"))
    client.force_login(nobody)
    assert client.get(add).status_code == 403
    wanted = {"department": "sales", "change": "any", "say": "told"}
    client.force_login(mia)
    client.post(add, wanted)
    assert not ReviewPolicy.objects.exists()
    assert client.post(add, wanted | {"department": "marketing"})["Location"] == rows
    client.force_login(stewards[0])
    assert (
        "by its duty, which cannot be waived"
        in client.post(add, {"department": "data", "change": "breaking", "say": "told"}).content.decode()
    )
    client.post(add, wanted)
    assert [(one.by, one.department_id, one.say) for one in ReviewPolicy.objects.all()] == [
        (stewards[0], "sales", "told"),
        (mia, "marketing", "told"),
    ]
    row = next(one for one in client.get(rows).context["table"] if one["department"].pk == "sales")
    assert [say for _kind, say, _label, _duty in row["cells"]] == ["told", "must", "must"]


def test_a_release_says_whether_and_how_it_was_signed(client, stewards, renamed):
    def said() -> list[str]:
        shown = page(client, stewards[0], reverse("admin:taxonomy_release_changelist"))
        return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"field-sign_off[^>]*>(.*?)</td>", shown, re.S)]

    first = Release.objects.get()
    assert said() == ["without sign-off"]
    assert "without sign-off" in page(client, stewards[0], reverse("admin:taxonomy_release_change", args=[first.pk]))
    emergency_release(renamed[1], by=stewards[0], reason="alone")
    assert said() == ["in an emergency", "without sign-off"]
    apply_definition(str(renamed[0].pk), definition(renamed[0]) | {"label_en": "Look"})
    proposal = propose([str(renamed[0].pk)], title="Again", why="w", by=stewards[0])
    for seat in submit(proposal, by=stewards[0]).missing:
        vote(proposal, by=seat.voters[0], choice="approve", department=seat.department.pk)
    release_proposal(proposal, by=stewards[0])
    assert said() == ["signed", "in an emergency", "without sign-off"]


def test_who_saves_over_a_newer_save_sees_both_and_what_was_brought_together(client, stewards):
    tag = Tag.objects.get(code="product_view")
    url = reverse("admin:taxonomy_tag_change", args=[tag.pk])
    forms = []
    for person in stewards:
        client.force_login(person, "django.contrib.auth.backends.ModelBackend")
        forms.append(form_of(client.get(url)))
    client.force_login(stewards[0], "django.contrib.auth.backends.ModelBackend")
    client.post(url, forms[0] | {"label_en": "By Dan", "label_zh_hans": "丹"})
    client.force_login(stewards[1], "django.contrib.auth.backends.ModelBackend")
    asked = client.post(url, forms[1] | {"label_en": "By Dora", "description_en": "What Dora says of it"})
    assert [(one["theirs"], one["mine"]) for one in asked.context["conflicts"]] == [("By Dan", "By Dora")]
    kept = {one["field"]: (one["whose"], one["theirs"], one["mine"]) for one in asked.context["kept"]}
    assert kept == {
        "name in Chinese": ("theirs", "丹", tag.label_zh_hans),
        "description in English": ("mine", tag.description_en, "What Dora says of it"),
    }
    shown = asked.content.decode()
    assert "What Dora says of it" in shown and "Discard all I changed" in shown
    client.post(reverse("admin:taxonomy_tag_resolve", args=[tag.pk]), {"mine": asked.context["mine"], "choice-1": "label_en."})
    tag.refresh_from_db()
    assert (tag.label_en, tag.label_zh_hans, tag.description_en) == ("By Dora", "丹", "What Dora says of it")


def test_what_two_people_chose_is_checked_like_any_save(client, stewards):
    """Two saves may fit alone and not together; what the page remembers is of its item only."""
    tag = Tag.objects.get(code="product_view")
    url, resolve = (reverse(f"admin:taxonomy_tag_{page}", args=[tag.pk]) for page in ("change", "resolve"))
    forms = []
    for person in stewards:
        client.force_login(person, "django.contrib.auth.backends.ModelBackend")
        forms.append(form_of(client.get(url)))
    client.force_login(stewards[0], "django.contrib.auth.backends.ModelBackend")
    client.post(url, forms[0] | {"label_en": "By Dan"})
    client.force_login(stewards[1], "django.contrib.auth.backends.ModelBackend")
    asked = client.post(url, forms[1] | {"label_en": "By Dora", "code": "seen"})
    kept = {"mine": asked.context["mine"], "choice-1": "label_en."}
    other = Tag.objects.get(code="login")
    assert client.post(reverse("admin:taxonomy_tag_resolve", args=[other.pk]), kept).status_code == 403
    Tag.objects.filter(pk=other.pk).update(code="seen")  # meanwhile
    again = client.post(resolve, kept)
    assert "another item" in again.context["problems"][0] and again.context["problems"][0] in unescape(again.content.decode())
    tag.refresh_from_db()
    assert (tag.label_en, tag.code) == ("By Dan", "product_view")
    Tag.objects.filter(pk=other.pk).update(code="login")
    assert client.post(resolve, {"mine": again.context["mine"], "choice-1": "label_en."}).status_code == 302
    tag.refresh_from_db()
    assert (tag.label_en, tag.code) == ("By Dora", "seen")


def test_what_is_brought_together_by_itself_is_checked_too(client, stewards):
    tag = Tag.objects.get(code="product_view")
    url = reverse("admin:taxonomy_tag_change", args=[tag.pk])
    client.force_login(stewards[0], "django.contrib.auth.backends.ModelBackend")
    client.post(url, form_of(client.get(url)) | {"successor": str(Tag.objects.get(code="login").pk)})
    first = form_of(client.get(url))
    client.force_login(stewards[1], "django.contrib.auth.backends.ModelBackend")
    second = form_of(client.get(url))
    client.force_login(stewards[0], "django.contrib.auth.backends.ModelBackend")
    assert client.post(url, first | {"status": "deprecated"}).status_code == 302
    client.force_login(stewards[1], "django.contrib.auth.backends.ModelBackend")
    shown = client.post(url, second | {"successor": "", "label_en": "By Dora"})
    assert shown.status_code == 200 and "By Dora" in shown.content.decode(), "what was written is still there"
    assert shown.context["adminform"].form.non_field_errors()
    tag.refresh_from_db()
    assert tag.label_en != "By Dora" and tag.successor is not None


def test_who_wrote_old_words_that_a_colleague_restores_does_not_sign_them(client, stewards):
    dan, dora = stewards
    tag = Tag.objects.get(code="product_view")
    url = reverse("admin:taxonomy_tag_change", args=[tag.pk])
    client.force_login(dan, "django.contrib.auth.backends.ModelBackend")
    client.post(url, form_of(client.get(url)) | {"label_en": "By Dan"})
    dans = Revision.objects.filter(item=tag.pk).first()
    client.force_login(dora, "django.contrib.auth.backends.ModelBackend")
    client.post(url, form_of(client.get(url)) | {"label_en": "By Dora"})
    publish(notes="", by=None)
    client.post(reverse("admin:taxonomy_tag_restore", args=[tag.pk, dans.pk]), {"seen": last_saved(tag.pk)})
    proposal = propose([str(tag.pk)], title="t", why="w", by=dora)
    assert author_ids(proposal) == {dan.pk, dora.pk}
    restored = Revision.objects.filter(item=tag.pk).first()
    client.post(url, form_of(client.get(url)) | {"label_en": "Again by Dora"})
    client.post(reverse("admin:taxonomy_tag_restore", args=[tag.pk, restored.pk]), {"seen": last_saved(tag.pk)})
    assert author_ids(proposal) == {dan.pk, dora.pk}, "what was restored twice too"


def test_who_signed_is_told_for_good(client, stewards, renamed):
    _tag, proposal = renamed
    for seat in submit(proposal, by=stewards[0]).missing:
        vote(proposal, by=seat.voters[0], choice="approve", department=seat.department.pk)
    names = {str(one.by) for one in proposal.votes.all()}
    made = release_proposal(proposal, by=stewards[0])
    for url in (proposal.get_absolute_url(), reverse("admin:taxonomy_release_change", args=[made.pk])):
        shown = page(client, stewards[0], url)
        assert names and all(f"signed by {name}" in shown for name in names)
    first = Release.objects.order_by("id").first()
    assert "not in force any more" in page(client, stewards[0], reverse("admin:taxonomy_release_change", args=[first.pk]))


def test_a_form_of_another_departments_item_says_who_will_sign(client, stewards):
    theirs = Tag.objects.exclude(owner="data").first()
    mine = Tag.objects.create(code="ours", label_en="O", label_zh_hans="我", category=theirs.category, owner_id="data")
    said = f"It belongs to {theirs.owner}"
    assert said in page(client, stewards[0], reverse("admin:taxonomy_tag_change", args=[theirs.pk]))
    assert "It belongs to" not in page(client, stewards[0], reverse("admin:taxonomy_tag_change", args=[mine.pk]))


def test_a_new_row_that_nobody_dragged_comes_last(client, stewards):
    tag = Tag.objects.get(code="purchase")
    url = reverse("admin:taxonomy_tag_change", args=[tag.pk])
    client.force_login(stewards[0], "django.contrib.auth.backends.ModelBackend")
    posted = form_of(client.get(url))
    before = [use["attribute"] for use in definition(tag)["attributes"]]
    new = list(Attribute.objects.exclude(pk__in=before)[:2])
    at = int(posted["uses-TOTAL_FORMS"])
    for number, attribute in enumerate(new, at):
        posted |= {f"uses-{number}-attribute": str(attribute.pk), f"uses-{number}-constraints": "", f"uses-{number}-position": "0"}
    posted["uses-TOTAL_FORMS"] = str(at + 2)
    assert client.post(url, posted).status_code == 302
    tag.refresh_from_db()
    assert [use["attribute"] for use in definition(tag)["attributes"]] == [*before, *(str(one.pk) for one in new)]
    empty = Tag.objects.create(code="empty", label_en="E", label_zh_hans="空", category=tag.category, owner_id="data")
    url, new = reverse("admin:taxonomy_tag_change", args=[empty.pk]), list(Attribute.objects.all()[:4])
    posted = form_of(client.get(url))
    for number, attribute in enumerate(new):
        posted |= {f"uses-{number}-attribute": str(attribute.pk), f"uses-{number}-constraints": "", f"uses-{number}-position": "0"}
    assert client.post(url, posted | {"uses-TOTAL_FORMS": "4"}).status_code == 302
    assert [use["attribute"] for use in definition(Tag.objects.get(pk=empty.pk))["attributes"]] == [str(one.pk) for one in new]


def test_an_attributes_form_names_no_tag_and_no_source_that_its_reader_may_not_read(client, stewards):
    purchase, till = Tag.objects.get(code="purchase"), Source.objects.get(code="till")
    shared = next(use.attribute for use in purchase.uses.all() if use.attribute.code == "order_id")
    opened = Tag.objects.exclude(category=purchase.category).first()
    opened.uses.get_or_create(attribute=shared, defaults={"position": 90})
    for tag in (purchase, opened):
        ViolationDay.objects.create(
            day=company_day(),
            tag=tag,
            source=till,
            effect="watched",
            code="attribute.missing",
            path="attributes.order_id",
            count=4711,
        )
    url = reverse("admin:taxonomy_attribute_change", args=[shared.pk])
    pat = User.objects.create_user("pat@example.com", "x", department_id="product")
    pat.groups.add(Group.objects.get(name="product_manager"))
    before = page(client, pat, url)
    assert "purchase" in before and till.label in before
    Grant.objects.create(category=purchase.category, may="read", department_id="data")
    Grant.objects.create(sources_of=till.owner, may="read", department_id="data")
    after = page(client, pat, url)
    assert till.label not in after and "purchase" not in after and opened.code in after


def test_items_lead_to_their_forms_until_they_are_under_review(client, stewards, renamed):
    tag, proposal = renamed
    form = f'href="{reverse("admin:taxonomy_tag_change", args=[tag.pk])}"'
    for url in (reverse("admin:taxonomy_proposal_unreleased"), proposal.get_absolute_url()):
        assert form in page(client, stewards[0], url)
    submit(proposal, by=stewards[0])
    for url in (reverse("admin:taxonomy_proposal_unreleased"), proposal.get_absolute_url()):
        assert form not in page(client, stewards[0], url)


def signer_of(tag) -> User:
    found = User.objects.create_user("sam@example.com", "x", department=tag.owner, name="Sam")
    found.groups.add(Group.objects.get(name="service_agent"))
    return found


def test_who_is_asked_for_changes_reads_what_to_do_next(client, stewards, renamed):
    tag, proposal = renamed
    submit(proposal, by=stewards[0])
    vote(proposal, by=signer_of(tag), choice="changes", comment="shorter")
    assert "then submit again" in page(client, stewards[0], proposal.get_absolute_url())
    assert "to submit it again" in page(client, stewards[1], proposal.get_absolute_url())


def test_an_approved_proposal_says_who_releases_it(client, stewards, renamed):
    tag, proposal = renamed
    submit(proposal, by=stewards[0])
    signer = signer_of(tag)
    vote(proposal, by=signer, choice="approve")
    assert proposal.state == "approved"
    assert re.search(r"Whoever may release it was told:\s*Dan,\s*Dora", page(client, signer, proposal.get_absolute_url()))


def test_what_is_locked_is_read_as_people_write_it(client, stewards):
    tag = Tag.objects.get(code="purchase")
    use = tag.uses.get(attribute__code="quantity")
    use.constraints = {"minimum": 2}
    use.save()
    apply_definition(str(tag.pk), definition(tag) | {"label_en": "Buy", "one_of": [["price", "amount"], ["order_id"]]})
    submit(propose([str(tag.pk)], title="t", why="w", by=stewards[0]), by=stewards[0])
    shown = page(client, stewards[0], reverse("admin:taxonomy_tag_change", args=[tag.pk]))
    assert "price, amount<br>order_id" in shown and "minimum = 2" in shown
    assert "[[" not in re.sub("(?s)<script.*?</script>", "", shown)


def test_a_notice_calls_things_as_its_reader_does(stewards):
    notice = Notice(text="%(source)s sends again.", values={"source": ["Mini program", "小程序"]})
    for language, name in (("en", "Mini program"), ("zh-hans", "小程序")):
        with override(language):
            assert str(notice).startswith(name)


@pytest.mark.parametrize("fields", [
    {"x": {"type": "text", "one_of": [1, 2]}}, {"x": {"type": "text", "owner": {"a": 1}}}, {"x": {"condition": {"path": "a"}}}, {"city": "text"}, [1],
])  # fmt: skip
def test_an_attribute_with_fields_that_are_none_is_shown_like_any_other(client, stewards, fields):
    attribute = Attribute.objects.filter(type="text").first()
    record_revision(attribute, by=stewards[0], action=Revision.Action.CHANGED)
    changed = apply_definition(str(attribute.pk), definition(attribute) | {"fields": fields})
    record_revision(changed, by=stewards[0], action=Revision.Action.CHANGED)
    proposal = propose([str(attribute.pk)], title="t", why="w", by=stewards[0])
    history = reverse("admin:taxonomy_attribute_history", args=[attribute.pk])
    unreleased = reverse("admin:taxonomy_proposal_unreleased")
    for url in (unreleased, proposal.get_absolute_url(), history):
        assert "fields" in page(client, stewards[1], url)
    assert client.get(reverse("admin:taxonomy_proposal_formats_download"), {"format": "json-schema", "draft": "draft"}).status_code == 200
