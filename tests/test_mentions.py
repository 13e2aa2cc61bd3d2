"""Who is told when somebody writes @ and a name, in whatever script."""

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from staff.models import Notice, User
from taxonomy.definition import apply_definition, definition
from taxonomy.models import Grant, Proposal, Tag
from taxonomy.proposals.comment import comment
from taxonomy.proposals.mentions import mentioned_in
from taxonomy.proposals.propose import propose

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(standard) -> dict[str, User]:
    found = {}
    for email, name in [
        ("chen.lei", "陈磊"), ("chen.leiming", "陈磊明"), ("maya", "Maya Brown"), ("dan", "Dan"), ("daniel", "Daniel"), ("zoe", "Zoë"),
        ("one", "Kim"), ("two", "Kim"), ("linyue", "Lin Yue 林悦"),
    ]:  # fmt: skip
        person = User.objects.create_user(f"{email}@example.com", "x", department_id="sales", name=name)
        person.groups.add(Group.objects.get(name="sales_rep"))
        found[email] = person
    return found


@pytest.mark.parametrize(
    ("text", "meant", "unknown", "several"),
    [
        ("@陈磊请看一下这个映射", ["chen.lei"], [], []),
        ("请@陈磊明看", ["chen.leiming"], [], []),
        ("请看，＠陈磊。", ["chen.lei"], [], []),
        ("@Maya Brown please look", ["maya"], [], []),
        ("@maya  and @MAYABROWN", ["maya"], [], []),
        ("@maya看", ["maya"], [], []),
        ("@dan, @daniel", ["dan", "daniel"], [], []),
        ("@Dan.", ["dan"], [], []),
        ("@danger", [], ["danger"], []),
        ("@dan_x", [], ["dan_x"], []),
        ("@Zoë", ["zoe"], [], []),
        ("@zoe and @chen.lei@example.com", ["zoe", "chen.lei"], [], []),
        ("@chen.lei: look", ["chen.lei"], [], []),
        ("@dan@elsewhere.org", [], ["dan"], []),
        ("write to dan@daniel.example.com", [], [], []),
        ("@王五在吗 @陈磊", ["chen.lei"], ["王五在吗"], []),
        ("@Kim", [], [], ["Kim"]),
        ("@one and @two@example.com", ["one", "two"], [], []),
        ("@林悦看 @Lin Yue 林悦", ["linyue"], [], []),
        ("@lin yue: look", ["linyue"], [], []),
        ("no one @ all", [], [], []),
    ],
)
def test_the_longest_known_name_after_the_sign_is_meant(people, text, meant, unknown, several):
    found = mentioned_in(text)
    assert found.people == [people[name] for name in meant]
    assert (found.unknown, found.several) == (unknown, several)


@pytest.fixture
def proposal(people) -> Proposal:
    tag = Tag.objects.get(code="product_view")
    apply_definition(str(tag.pk), definition(tag) | {"label_en": "See a product", "owner": "marketing"})
    return propose([str(tag.pk)], title="Secret plans", why="w", by=people["dan"])


def test_who_may_not_read_the_proposal_is_told_nothing(people, proposal):
    Grant.objects.create(person=people["dan"], may="read", category=Tag.objects.get(code="product_view").category)
    no_role = User.objects.create_user("nora@example.com", "x", department_id="sales", name="Nora")
    made = comment(proposal, by=people["dan"], text="@陈磊 @nora look")
    assert made.told == []
    assert made.kept_out == [people["chen.lei"], no_role]
    assert not Notice.objects.filter(user__in=[people["chen.lei"], no_role]).exists()


def test_the_page_says_who_was_told_and_who_is_unknown(client, people, proposal):
    client.force_login(people["dan"], "django.contrib.auth.backends.ModelBackend")
    act = reverse("admin:taxonomy_proposal_act", args=[proposal.pk])
    answer = client.post(act, {"act": "comment", "text": "@陈磊请看 @王五 @Kim"}, follow=True)
    said = " ".join(str(message) for message in answer.context["messages"])
    assert "Told: 陈磊." in said and "@王五" in said and "Several are called so, and none was told: @Kim." in said
    assert str(Notice.objects.get(user=people["chen.lei"])) == "Dan mentioned you in “Secret plans”."
    assert '<option value="Maya Brown">' in answer.content.decode()
