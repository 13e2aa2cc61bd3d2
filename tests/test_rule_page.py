"""Which rule wins is seen, a rule is tried before it is saved, and its order is changed with a line in its history."""

import json
from datetime import UTC, date, datetime

import pytest
from django.urls import reverse

from ingestion.pipeline import Incoming, receive
from staff.models import User
from taxonomy.current import current
from taxonomy.definition import draft_items
from taxonomy.diff import title
from taxonomy.models import MappingRule, Revision, Source, Tag
from taxonomy.publish import publish
from taxonomy.winning import winning

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def website(standard) -> Source:
    return Source.objects.get(code="website")


@pytest.fixture
def steward(client, standard) -> User:
    user = User.objects.create_superuser("steward@tagline.example", "x")
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return user


def rule(source: Source, name: str, tag: str = "product_view", position: int = 50, **more) -> MappingRule:
    return MappingRule.objects.create(source=source, name=name, tag=Tag.objects.get(code=tag), position=position, **more)


def arrive(*names: str) -> None:
    events = [{"id": f"{at}", "event": name, "phone": "+8613800138000", "attributes": {"product_id": "p"}} for at, name in enumerate(names)]
    receive([Incoming(json.dumps(one).encode()) for one in events], source_code="website", door="api", received_at=NOW, current=current())


def test_a_rule_that_comes_after_one_that_takes_its_every_name_never_gets_its_turn(website):
    first = rule(website, "seen_.*", position=900, match="pattern")
    late = rule(website, "seen_it", position=901)
    conditional = rule(website, "look", position=902, condition_path="a", condition_operator="exists")
    after = rule(website, "look", position=903)
    arrive("seen_it", "look", "nobody_knows")
    found = winning(website)
    by_rule = {seen.rule.pk: seen for seen in found.rules}
    by_name = {seen.name: seen for seen in found.names}
    assert by_rule[late.pk].shadowed_by == first
    assert by_rule[first.pk].shadowed_by is None
    assert by_rule[after.pk].shadowed_by is None
    assert [one.pk for one in by_name["look"].rules] == [conditional.pk, after.pk]
    assert (by_name["nobody_knows"].rules, by_name["nobody_knows"].tag) == ([], "")


def test_the_page_shows_what_wins_and_what_never_gets_its_turn(client, steward, website):
    rule(website, "seen_.*", position=900, match="pattern")
    rule(website, "seen_it", position=901)
    arrive("seen_it")
    shown = client.get(reverse("admin:taxonomy_source_rules", args=[website.pk])).content.decode()
    assert "never gets its turn" in shown
    assert "seen_.* comes before it" in shown


def test_moving_a_rule_changes_its_place_and_its_history(client, steward, website):
    above, below = rule(website, "one", position=900), rule(website, "two", position=900)
    above, below = sorted((above, below), key=lambda one: str(one.pk))
    client.post(reverse("admin:taxonomy_source_move", args=[website.pk]), {"rule": below.pk, "to": "up"})
    order = list(website.rules.order_by("position", "id").values_list("pk", flat=True))
    assert order.index(below.pk) + 1 == order.index(above.pk)
    assert len(set(website.rules.values_list("position", flat=True))) == website.rules.count()
    assert Revision.objects.filter(item=below.pk, by=steward).exists()


def test_who_may_only_look_cannot_move(client, website):
    from django.contrib.auth.models import Group

    from staff.roles import ensure_roles

    ensure_roles()
    reader = User.objects.create_user("reader@tagline.example", "x")
    reader.groups.add(Group.objects.get(name="product_manager"))
    client.force_login(reader, "django.contrib.auth.backends.ModelBackend")
    one = rule(website, "one", position=900)
    assert client.get(reverse("admin:taxonomy_source_rules", args=[website.pk])).status_code == 200
    assert client.post(reverse("admin:taxonomy_source_move", args=[website.pk]), {"rule": one.pk, "to": "up"}).status_code == 403
    assert client.post(reverse("admin:taxonomy_mappingrule_try_unsaved", args=[one.pk]), form(website, one.tag)).status_code == 403


def form(source: Source, tag: Tag, record: str = "", *rows: tuple[str, str, str], **more) -> dict[str, str]:
    """What the browser posts of a rule's form."""
    made = {
        "source": str(source.pk), "position": "5", "match": "exact", "name": "odd_name", "tag": str(tag.pk), "keep_unmapped": "on",
        "rows-TOTAL_FORMS": str(len(rows)), "rows-INITIAL_FORMS": "0", "rows-MIN_NUM_FORMS": "0", "rows-MAX_NUM_FORMS": "1000",
        "record": record, **more,
    }  # fmt: skip
    for at, (target, path, transforms) in enumerate(rows):
        made |= {f"rows-{at}-target": target, f"rows-{at}-path": path, f"rows-{at}-transforms": transforms, f"rows-{at}-position": str(at)}
    return made


def test_a_rule_is_tried_before_it_is_saved(client, steward, website):
    record = json.dumps({"event": "odd_name", "phone": "+8613800138000", "attributes": {"sku": " s-1 "}})
    tag = Tag.objects.get(code="product_view")
    address = reverse("admin:taxonomy_mappingrule_try_unsaved")
    shown = client.post(address, form(website, tag, record, ("product_id", "sku", "trim | upper"))).content.decode()
    assert "accepted" in shown
    assert "S-1" in shown
    assert not MappingRule.objects.filter(name="odd_name").exists()


@pytest.mark.parametrize("record", ["", "{", "null", "[1]", '{"event": "\\u0000"}', "[" * 5_000])
def test_whatever_is_tried_gets_an_answer(client, steward, website, record):
    tag = Tag.objects.get(code="product_view")
    answer = client.post(reverse("admin:taxonomy_mappingrule_try_unsaved"), form(website, tag, record))
    assert answer.status_code == 200
    assert "tl-" in answer.content.decode()


def test_a_mistake_in_the_form_is_told_instead(client, steward, website):
    tag = Tag.objects.get(code="product_view")
    posted = form(website, tag, "{}", ("product_id", "sku", "tirm"))
    assert "tirm" in client.post(reverse("admin:taxonomy_mappingrule_try_unsaved"), posted).content.decode()


def test_a_source_s_envelope_is_tried_before_it_is_saved(client, steward, website):
    from django.forms import model_to_dict

    changed = {key: value for key, value in model_to_dict(website).items() if value not in (None, False) and key != "envelope"}
    posted = {
        **changed, "code": website.code, "label_en": "W", "label_zh_hans": "网", "preset": "custom", "envelope_event": "what",
        "envelope_phone": "who", "record": json.dumps({"what": "view_page", "who": "+8613800138000"}),
    }  # fmt: skip
    shown = client.post(reverse("admin:taxonomy_source_try_unsaved", args=[website.pk]), posted).content.decode()
    assert "+8613800138000" in shown
    website.refresh_from_db()
    assert website.envelope.get("preset") != "custom"


def test_two_rules_without_condition_on_one_name_are_refused_in_words(client, steward, website):
    rule(website, "odd_name")
    answer = client.post(reverse("admin:taxonomy_mappingrule_add"), form(website, Tag.objects.get(code="product_view")))
    assert "unconditional rule for exactly this name already" in answer.content.decode()
    assert MappingRule.objects.filter(name="odd_name").count() == 1


def test_a_new_rule_comes_last_and_its_rows_are_offered_the_tag_s_attributes(client, steward, website):
    rule(website, "late", position=77)
    page = client.get(f"{reverse('admin:taxonomy_mappingrule_add')}?source={website.pk}")
    assert page.context["adminform"].form["position"].value() == 78
    tag = Tag.objects.get(code="product_view")
    offered = client.get(reverse("admin:taxonomy_mappingrule_choices"), {"tag": tag.pk, "source": website.pk}).json()
    assert offered["position"] == 78
    targets = [value for value, _label in offered["targets"]]
    assert {*tag.uses.values_list("attribute__code", flat=True)} | {"$phone", "$identifiers.email"} <= {*targets}
    assert "order_id" not in targets
    nothing = client.get(reverse("admin:taxonomy_mappingrule_choices"), {"tag": "x", "source": ""}).json()
    assert nothing == {"targets": [], "position": 0}


def test_what_may_not_be_read_is_not_offered(client, website):
    from django.contrib.auth.models import Group

    from staff.roles import ensure_roles
    from taxonomy.models import Grant

    ensure_roles()
    sales = User.objects.create_user("rita@tagline.example", "x", department_id="sales")
    sales.groups.add(Group.objects.get(name="marketer"))
    tag = Tag.objects.get(code="product_view")
    Grant.objects.create(department_id="service", may="read", category=tag.category)
    client.force_login(sales, "django.contrib.auth.backends.ModelBackend")
    offered = client.get(reverse("admin:taxonomy_mappingrule_choices"), {"tag": tag.pk, "source": website.pk}).json()
    assert offered["targets"] == []


def test_a_rule_is_named_with_its_source_its_tag_and_its_limits(website):
    plain = rule(website, "looked")
    bounded = rule(
        website, "looked", position=40, below_version="4.2", until=date(2026, 12, 31),
        condition_path="kind", condition_operator="eq", condition_value="new",
    )  # fmt: skip
    named = {item: title(one, draft_items()) for item, one in draft_items().items() if one["kind"] == "rule"}
    assert named[str(plain.pk)] == str(plain) == "Web shop: looked → View a product"
    assert named[str(bounded.pk)] == str(bounded)
    assert str(bounded) == "Web shop: looked → View a product (kind is new, below version 4.2, until 31 Dec 2026)"


def test_of_a_rule_that_is_not_shown_nothing_is_named():
    assert title({"kind": "rule", "name": "(not shown to you)"}, {}) == "(not shown to you)"
    gone = {"kind": "rule", "name": "x", "source": "1", "tag": "2", "condition": None}
    assert title(gone, {"1": {"kind": "rule", "name": "(not shown to you)"}}) == "(not shown to you): x → –"


def test_the_limits_stand_in_the_order_of_rules_and_in_the_dictionary(client, steward, website):
    made = rule(website, "looked", position=900, below_version="4.2", until=date(2026, 12, 31))
    publish({str(made.pk)}, notes="limits", by=steward)
    for page in (
        reverse("admin:taxonomy_source_rules", args=[website.pk]),
        reverse("admin:taxonomy_mappingrule_changelist") + "?q=looked",
        reverse("dictionary_source", args=["website"]) + "?page=last",
        reverse("dictionary_tag", args=["product_view"]),
    ):
        assert "below version 4.2, until 31 Dec 2026" in client.get(page).content.decode(), page
