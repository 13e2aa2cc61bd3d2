"""The dictionary: the released standard as pages for everybody, never the draft, in both languages."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from ingestion.pipeline import Incoming, receive
from ingestion.watching.rollup import roll_up
from staff.models import Department, User
from staff.roles import ROLES, ensure_roles
from taxonomy.current import plan_of
from taxonomy.draft import remove, writing
from taxonomy.history import record_revision
from taxonomy.models import Attribute, Category, Follow, MappingRule, Release, Revision, Source, Tag
from taxonomy.publish import publish

NOW = timezone.now()


def person(role: str, email: str = "") -> User:
    ensure_roles()
    made = User.objects.create_user(email or f"{role}@example.com", "x", department=Department.objects.get(pk="marketing"))
    made.groups.add(Group.objects.get(name=role))
    return made


@pytest.fixture
def reader(standard, client):
    client.force_login(person("product_manager"))
    return client


def page(client, name: str, *arguments: str, status: int = 200, language: str = "en", query: str = "") -> str:
    answer = client.get(reverse(name, args=arguments) + query, headers={"Accept-Language": language})
    assert answer.status_code == status, answer.status_code
    return answer.content.decode()


def change(item: Any, **fields: Any) -> Release:
    """Save the draft and release it."""
    with writing():
        for name, value in fields.items():
            setattr(item, name, value)
        item.save()
        record_revision(item, by=None, action=Revision.Action.CHANGED)
    return publish([str(item.pk)], notes="for tests", by=None)


# --- who reads it, and what it is made of


@pytest.mark.parametrize("role", ROLES)
def test_every_role_reads_it_and_has_it_in_the_sidebar(standard, client, role):
    client.force_login(person(role))
    for url in (reverse("dictionary"), reverse("dictionary_tag", args=["purchase"]), reverse("dictionary_source", args=["website"])):
        answer = client.get(url)
        assert answer.status_code == 200
        assert f'href="{reverse("dictionary")}"' in answer.content.decode()


@pytest.mark.parametrize("name", ["dictionary", "dictionary_changes"])
def test_who_may_not_see_tags_may_not_read_it(standard, client, name):
    assert client.get(reverse(name)).status_code == 302
    client.force_login(User.objects.create_user("nobody@example.com", "x"))
    assert client.get(reverse(name)).status_code == 403


@pytest.mark.django_db
def test_before_the_first_release_it_says_so(client, departments):
    client.force_login(User.objects.create_superuser("first@example.com", "x"))
    Release.objects.all().delete()
    assert "Nothing has been released yet" in page(client, "dictionary")
    assert client.get(reverse("dictionary_tag", args=["purchase"])).status_code == 404


def test_it_tells_the_release_and_never_the_draft(reader):
    Tag.objects.filter(code="purchase").update(label_en="Something else", label_zh_hans="别的")
    assert "Something else" not in page(reader, "dictionary") + page(reader, "dictionary_tag", "purchase")


def test_a_new_release_is_told_at_once(reader):
    page(reader, "dictionary_tag", "purchase")
    change(Tag.objects.get(code="purchase"), label_en="Buy")
    assert "Buy" in page(reader, "dictionary_tag", "purchase")


def test_both_languages_are_whole(reader):
    assert "浏览商品" in page(reader, "dictionary", language="zh-hans")
    assert "View a product" in page(reader, "dictionary")
    assert "浏览商品" in page(reader, "dictionary_tag", "product_view", language="zh-hans")


# --- the pages


def test_the_sheet_of_a_tag_tells_everything(reader):
    sheet = page(reader, "dictionary_tag", "purchase")
    tag = Tag.objects.get(code="purchase")
    for use in tag.uses.select_related("attribute"):
        assert use.attribute.code in sheet
    assert "required" in sheet and "curl" in sheet and "analytics.track" in sheet
    for rule in MappingRule.objects.filter(tag=tag):
        assert rule.name in sheet


def test_a_sheet_says_which_sources_sent_the_tag_lately(reader, standard):
    assert "It has not arrived lately" in page(reader, "dictionary_tag", "login")
    record = b'{"event": "login", "phone": "+8613800138000", "id": "a", "occurred_at": "2026-01-01T00:00:00Z"}'
    receive([Incoming(record)], source_code="website", door="api", received_at=NOW, current=plan_of(standard.pk))
    roll_up(NOW)
    sheet = page(reader, "dictionary_tag", "login")
    assert "1 event," in sheet and "13800138000" not in sheet.replace("+86 138 0013 8000", "")


def test_an_attribute_tells_which_tags_have_it(reader):
    sheet = page(reader, "dictionary_attribute", "product_id")
    assert all(tag.code in sheet for tag in Tag.objects.filter(uses__attribute__code="product_id"))


def test_a_source_tells_its_rules_in_order(reader):
    website = Source.objects.get(code="website")
    sheet = page(reader, "dictionary_source", "website")
    places = [sheet.index(rule.name) for rule in website.rules.order_by("position")]
    assert places and all(places)


def test_a_deprecated_tag_names_its_successor(reader):
    sheet = page(reader, "dictionary_tag", "item_view")
    assert reverse("dictionary_tag", args=["product_view"]) in sheet and "on its way out" in sheet
    assert "item_view" in page(reader, "dictionary_tag", "product_view")


def test_a_draft_tag_offers_nothing_to_copy(reader):
    sheet = page(reader, "dictionary_tag", "gift_send")
    assert "cannot send it yet" in sheet and "curl" not in sheet


def test_texts_of_the_standard_are_never_markup(reader):
    change(Tag.objects.get(code="purchase"), label_en="<b>Buy</b>", description_en="<script>alert(1)</script>")
    for text in (page(reader, "dictionary"), page(reader, "dictionary_tag", "purchase"), page(reader, "dictionary", query="?print")):
        assert "<script>alert" not in text and "<b>Buy</b>" not in text


def test_the_whole_dictionary_stands_on_one_page_to_print(reader):
    whole = page(reader, "dictionary", query="?print")
    for kind in (Tag, Attribute, Source):
        assert all(f"<code>{code}</code>" in whole for code in kind.objects.values_list("code", flat=True)), kind
    part = page(reader, "dictionary", query="?print&category=service")
    assert "customer_service_call" in part and "product_view" not in part


def test_a_standard_too_large_for_one_page_is_printed_by_category(reader, monkeypatch):
    monkeypatch.setattr("taxonomy.dictionary.views._ON_ONE_PAGE", 3)
    choice = page(reader, "dictionary", query="?print")
    assert "?print&amp;category=product" in choice and "td-sheet" not in choice
    assert "td-sheet" in page(reader, "dictionary", query="?print&all")
    assert "td-sheet" not in page(reader, "dictionary", query="?print&category=nothing")


# --- searching


def find(client, text: str, **headers: str) -> str:
    return client.post(reverse("dictionary_search"), {"q": text}, headers=headers).content.decode()


@pytest.mark.parametrize("text", ["purchase", "PURCHASE", "购买", "goumai", "purchse", "purch", "goods_bought"])
def test_search_finds_a_tag_by_whatever_name(reader, text):
    assert reverse("dictionary_tag", args=["purchase"]) in find(reader, text, **{"X-Fragment": "1"})


def test_search_finds_attributes_sources_categories_and_descriptions(reader):
    change(Attribute.objects.get(code="order_id"), description_en="The number on the receipt, never reused.")
    for text, link in [
        ("Order", reverse("dictionary_attribute", args=["order_id"])), ("Till", reverse("dictionary_source", args=["till"])),
        ("营销", "#category-marketing"), ("never reused", reverse("dictionary_attribute", args=["order_id"])),
    ]:  # fmt: skip
        assert link in find(reader, text, **{"X-Fragment": "1"}), text


def test_without_scripts_search_answers_a_whole_page(reader):
    answer = find(reader, "购买")
    assert "<html" in answer and answer.count(reverse("dictionary_tag", args=["purchase"])) > 1
    assert "<html" not in find(reader, "购买", **{"X-Fragment": "1"})


@pytest.mark.parametrize("text", ["", "?", "\0", "x" * 100_000, "<script>alert(1)</script>", "%s", "zzzzqqqq"])
def test_search_answers_whatever_is_typed(reader, text):
    answer = find(reader, text, **{"X-Fragment": "1"})
    assert "<script>" not in answer


def test_what_is_searched_stands_in_no_address(reader):
    assert reader.get(reverse("dictionary_search"), {"q": "13800138000"}).status_code == 405


# --- codes that are no more


def test_a_renamed_tag_leads_on_and_says_so(reader):
    change(Tag.objects.get(code="purchase"), label_en="Buy")
    change(Tag.objects.get(code="purchase"), code="order_pay")
    answer = reader.get(reverse("dictionary_tag", args=["purchase"]), follow=True)
    assert answer.redirect_chain == [(reverse("dictionary_tag", args=["order_pay"]), 302)]
    assert "is called “order_pay” now" in answer.content.decode()


def test_a_removed_tag_says_when_and_what_it_was(reader):
    tag = Tag.objects.get(code="gift_send")
    record_revision(tag, by=None, action=Revision.Action.CREATED)
    publish_first = change(tag, label_en="Gift")
    with writing():
        for rule in tag.rules.all():
            remove(rule, by=None)
        remove(tag, by=None)
    gone = publish(None, notes="for tests", by=None)
    text = page(reader, "dictionary_tag", "gift_send", status=410)
    assert gone.version in text and publish_first.version in text and "no longer in the standard" in text
    assert "Gift" in text


def test_an_unknown_code_offers_what_is_named_alike(reader):
    text = page(reader, "dictionary_tag", "productView2", status=404)
    assert reverse("dictionary_tag", args=["product_view"]) in text
    page(reader, "dictionary_attribute", "x" * 300, status=404)
    page(reader, "dictionary_source", "<script>", status=404)


def test_a_code_in_other_letters_leads_to_the_right_address(reader):
    assert reader.get("/dictionary/tags/PURCHASE/").url == reverse("dictionary_tag", args=["purchase"])


def test_a_draft_that_was_never_released_is_unknown(reader):
    tag = Tag.objects.create(code="brand_new", label_en="New", label_zh_hans="新", category=Category.objects.first(), owner_id="data")
    record_revision(tag, by=None, action=Revision.Action.CREATED)
    page(reader, "dictionary_tag", "brand_new", status=404)


# --- history, following, what changed since I last looked


def test_the_history_tells_each_release_that_changed_the_tag(reader, standard):
    tag = Tag.objects.get(code="purchase")
    made = [change(tag, label_en=f"Buy {number}") for number in range(7)]
    change(Tag.objects.get(code="login"), label_en="Sign in")
    text = page(reader, "dictionary_tag", "purchase")
    assert "Buy 5" in text and "Buy 6" in text and made[0].version not in text and "Earlier releases" in text
    text = page(reader, "dictionary_tag", "purchase", query="?history")
    assert "Buy 0" in text and f"<b>{standard.version}</b>" in text


def test_the_history_names_attributes_that_are_no_more(reader):
    tag, coupon = Tag.objects.get(code="purchase"), Attribute.objects.create(code="wrap", label_en="Wrapping", label_zh_hans="包装")
    use = tag.uses.create(attribute=coupon, position=90)
    publish(None, notes="for tests", by=None)
    use.delete()
    coupon.delete()
    publish(None, notes="for tests", by=None)
    assert "Wrapping (wrap)" in page(reader, "dictionary_tag", "purchase")


def test_following_from_a_sheet_and_no_longer(reader):
    url = reverse("dictionary_follow", args=["tag", "purchase"])
    assert reader.get(url).status_code == 405
    assert reader.post(url, {"follow": "yes"}).url == reverse("dictionary_tag", args=["purchase"])
    assert Follow.objects.count() == 1
    assert "Stop following" in page(reader, "dictionary_tag", "purchase")
    reader.post(url, {"follow": "no"})
    assert not Follow.objects.exists()
    assert reader.post(reverse("dictionary_follow", args=["tag", "nothing"])).status_code == 404


def test_only_who_may_edit_is_offered_it(standard, client):
    edit = reverse("admin:taxonomy_tag_change", args=[Tag.objects.get(code="purchase").pk])
    for role, offered in (("product_manager", False), ("marketer", True)):
        client.force_login(person(role))
        assert (edit in page(client, "dictionary_tag", "purchase")) is offered


def test_a_newcomer_has_seen_what_there_is(reader):
    assert "since you last looked" not in page(reader, "dictionary")
    assert "Nothing has changed since" in page(reader, "dictionary_changes")


def test_what_changed_since_i_last_looked_until_i_have_read_it(reader):
    page(reader, "dictionary")
    release = change(Tag.objects.get(code="purchase"), label_en="Buy")
    assert "1 item changed since you last looked" in page(reader, "dictionary")
    text = page(reader, "dictionary_changes")
    assert "Buy" in text and reverse("dictionary_tag", args=["purchase"]) in text
    page(reader, "dictionary")
    assert "Buy" in page(reader, "dictionary_changes"), "looking is not reading"
    reader.post(reverse("dictionary_changes"), {"release": release.pk})
    assert "Nothing has changed since" in page(reader, "dictionary_changes")


@pytest.mark.parametrize("sent", ["", "abc", "-1", "99999999999999999999", "1.5", "²"])
def test_only_a_release_there_is_can_be_read(reader, sent):
    page(reader, "dictionary")
    before = User.objects.get(email="product_manager@example.com").seen_release
    reader.post(reverse("dictionary_changes"), {"release": sent})
    assert User.objects.get(email="product_manager@example.com").seen_release == before


def test_what_was_changed_and_changed_back_is_no_news(reader):
    page(reader, "dictionary")
    tag = Tag.objects.get(code="purchase")
    before = tag.label_en
    change(tag, label_en="Buy")
    change(tag, label_en=before)
    assert 'class="tl-change"' not in page(reader, "dictionary_changes")


# --- speed


def test_the_queries_of_its_pages_do_not_grow(reader):
    page(reader, "dictionary")
    grow(2, releases=6)
    few = {name: _queries(reader, url) for name, url in _urls().items()}
    grow(300, releases=20)
    for name, url in _urls().items():
        reader.get(url)
        assert _queries(reader, url) <= few[name], name


def _urls() -> dict[str, str]:
    return {
        "start": reverse("dictionary"),
        "tag": reverse("dictionary_tag", args=["purchase"]),
        "attribute": reverse("dictionary_attribute", args=["channel"]),
        "source": reverse("dictionary_source", args=["website"]),
        "changes": reverse("dictionary_changes"),
    }


def _queries(client, url: str) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def grow(count: int, *, releases: int) -> None:
    """So many tags that have an attribute, as many rules, and so many releases."""
    category, channel, website = Category.objects.first(), Attribute.objects.get(code="channel"), Source.objects.get(code="website")
    for number in range(count):
        tag = Tag.objects.create(
            code=f"more_{count}_{number}", label_en=f"More {number}", label_zh_hans=f"更多{number}", category=category, owner_id="data", status="active"
        )  # fmt: skip
        tag.uses.create(attribute=channel, position=0)
        MappingRule.objects.create(source=website, name=f"sent {count} {number}", tag=tag, position=number + 100)
    publish(None, notes="more", by=None)
    purchase = Tag.objects.get(code="purchase")
    for number in range(releases):
        change(purchase, label_en=f"Buy {count} {number}")


def test_the_history_of_a_source_and_a_tag_tells_of_their_rules(reader):
    rule = MappingRule.objects.filter(source__code="website").select_related("tag").first()
    named, pk = str(rule.name), str(rule.pk)
    noted = change(rule, note="as of today").version
    with writing():
        remove(rule, by=None)
    gone = publish([pk], notes="for tests", by=None).version
    made = MappingRule.objects.create(source=rule.source, name="brand_new", tag=rule.tag)
    added = publish([str(made.pk)], notes="for tests", by=None).version
    for place in (("dictionary_source", "website"), ("dictionary_tag", rule.tag.code)):
        entries = reader.get(reverse(place[0], args=place[1:])).context["entries"]
        assert [entry.release.version for entry in entries][:3] == [added, gone, noted]
        told = [(one.action, [line.after for line in one.lines]) for entry in entries[:3] for one in entry.rules]
        assert told == [("new", []), ("gone", []), ("changed", ["as of today"])]
        shown = page(reader, *place)
        assert f": {named} → " in shown and ": brand_new → " in shown
    other = reader.get(reverse("dictionary_source", args=["till"])).context["entries"]
    assert added not in [entry.release.version for entry in other]
