"""The starter standard: complete in both languages, whole as a plan, and each of its rules on a record it is made for."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from taxonomy.definition import KINDS, apply_definition, draft_items
from taxonomy.models import MappingRule, Release, Revision, Source, Tag
from taxonomy.packs import packs
from taxonomy.publish import items_of, publish, unreleased
from taxonomy.similar.names import Index, similar
from taxonomy.standardize import Refusal, check_plan, compile_plan, decode_json, encode_json, read, standardize
from taxonomy.standardize.types import ABSENT, Defaults, Fault, Faults, compile_cast
from taxonomy.starter import starter_items, starter_uuid
from taxonomy.starter.load import load_starter

ITEMS = starter_items()
PLAN = compile_plan(ITEMS)
INDEX = Index(ITEMS)
STARTER_DOCS = (Path(__file__).parent.parent / "docs" / "starter-standard.md").read_text(encoding="utf-8")
CASES = Path(__file__).parent / "cases" / "starter_rules.json"
# "source:key" of a rule: the record, and the tag and attributes it becomes.
RULES = json.loads(CASES.read_text(encoding="utf-8"), parse_float=Decimal)
RECEIVED_AT = datetime(2026, 2, 1, tzinfo=UTC)
HAN = re.compile(r"[\u4e00-\u9fff]")

# What the first issue names, by the top of the tree.
NAMED = {
    "general": """login register view_page search add_to_cart remove_from_cart checkout_start purchase refund
        order_cancel favorite_add share""",
    "product": "product_view category_view review_submit",
    "marketing": """ad_click sms_open sms_delivered email_open email_click push_open coupon_receive coupon_redeem
        unsubscribe""",
    "service": """customer_service_call ticket_open ticket_close complaint_submit feedback_submit return_request""",
    "store": "store_visit",
    "device": "device_bind",
    "system": "profile_update identity_link",
}


def of_kind(kind):
    return {item["code"]: item for item in ITEMS.values() if item["kind"] == kind}


TAGS, ATTRIBUTES = of_kind("tag"), of_kind("attribute")


def example_of(attribute):
    """The example as a source would send it."""
    text = attribute["example"]
    return json.loads(text) if attribute["type"] in ("list", "object") else text


def read_by(source, record):
    original = encode_json(record)
    (raw,) = read(decode_json(original), PLAN.sources[source], PLAN, received_at=RECEIVED_AT, original=original)
    assert not isinstance(raw, Refusal)
    return standardize(raw, PLAN)


def top_of(category):
    parent = ITEMS[category]["parent"]
    return top_of(parent) if parent else ITEMS[category]["code"]


def test_it_has_every_tag_the_company_agreed_on_in_its_place():
    for top, codes in NAMED.items():
        for code in codes.split():
            assert top_of(TAGS[code]["category"]) == top


def test_refinements_are_those_agreed_on():
    patterns = {code: {one["pattern"] for one in tag["refinements"]} for code, tag in TAGS.items()}
    assert "{tag}_category_{category}" in patterns["purchase"]
    assert "{tag}_{product_id}" in patterns["product_view"]
    assert "{tag}_{campaign}" in patterns["ad_click"]
    assert "{tag}_{promotion}" in patterns["sms_open"]


def test_the_docs_say_by_what_each_tag_is_refined_or_why_not():
    refined, _, without = STARTER_DOCS.partition("Without one, and why:")
    told = {code for row in refined.splitlines() if row.startswith("| which") for code in re.findall("`([a-z_]+)`", row.split("|")[2])}
    assert {code for code, tag in TAGS.items() if tag["refinements"]} == told & TAGS.keys()
    why = {code for line in without.splitlines() if line.startswith("- ") for code in re.findall("`([a-z_]+)`", line.partition(":")[0])}
    assert {code for code, tag in TAGS.items() if not tag["refinements"]} == why


@pytest.mark.parametrize("uuid", [uuid for uuid, item in ITEMS.items() if item["kind"] != "rule"])
def test_everything_is_said_in_both_languages(uuid):
    item = ITEMS[uuid]
    for field in ("label", "description"):
        english, chinese = item[f"{field}_en"], item[f"{field}_zh_hans"]
        assert english and not HAN.search(english)
        assert HAN.search(chinese)
    assert item["description_en"].endswith(".")
    assert item["description_zh_hans"].endswith("。")


@pytest.mark.parametrize("code", TAGS)
def test_a_tag_has_synonyms_in_both_languages_that_lead_to_it_alone(code):
    synonyms = TAGS[code]["synonyms"]
    assert any(HAN.search(word) for word in synonyms)
    assert any(not HAN.search(word) for word in synonyms)
    mine = {word.lower() for word in synonyms}
    assert len(mine) == len(synonyms)
    for other, tag in TAGS.items():
        names = {other, tag["label_en"].lower(), tag["label_zh_hans"]} | {word.lower() for word in tag["synonyms"]}
        assert other == code or not mine & names


def test_every_attribute_is_used():
    used = {use["attribute"] for tag in TAGS.values() for use in tag["attributes"]}
    assert {starter_uuid("attribute", code) for code in ATTRIBUTES} == used


@pytest.mark.parametrize("code", ATTRIBUTES)
def test_an_example_is_a_value_of_its_type(code):
    cast = compile_cast(ATTRIBUTES[code])
    value = cast(example_of(ATTRIBUTES[code]), Defaults(timezone="Asia/Shanghai", region="CN", currency="CNY"))
    assert value is not ABSENT and not isinstance(value, Fault | Faults)


def test_traits_that_tell_who_someone_is_are_marked_as_personal():
    traits = [ITEMS[use["attribute"]] for use in TAGS["profile_update"]["attributes"]]
    not_personal = {trait["code"] for trait in traits if trait["personal"] == "none"}
    assert not_personal == {"member_level", "member_since", "language", "interests", "crm_labels"}


def test_it_holds_together_as_a_plan():
    assert check_plan(ITEMS) == []


@pytest.mark.parametrize("code", TAGS)
def test_a_tag_accepts_an_event_made_of_the_examples(code):
    uses = [ITEMS[use["attribute"]] for use in TAGS[code]["attributes"]]
    sent = {attribute["code"]: example_of(attribute) for attribute in uses}
    result = read_by("website", {"id": "1", "event": code, "phone": "13800138000", "occurred_at": "2026-01-31", "attributes": sent})
    assert (result.verdict, result.violations) == ("accepted", [])
    assert result.attributes.keys() == sent.keys()
    assert len(result.refinements) == len(TAGS[code]["refinements"])


@pytest.mark.parametrize("code", [code for code, tag in TAGS.items() if any(use["required"] for use in tag["attributes"]) or tag["one_of"]])
def test_a_tag_holds_an_event_without_what_it_requires(code):
    result = read_by("website", {"id": "1", "event": code, "phone": "13800138000", "occurred_at": "2026-01-31"})
    assert result.verdict == "quarantined"
    assert {violation.code for violation in result.violations} == {"attribute.missing"}


def test_every_rule_has_a_record():
    rules = {uuid for uuid, item in ITEMS.items() if item["kind"] == "rule"}
    assert {starter_uuid("rule", name) for name in RULES} == rules


@pytest.mark.parametrize("name", RULES)
def test_a_rule_brings_its_record_to_the_standard(name):
    case = RULES[name]
    result = read_by(name.partition(":")[0], case["record"])
    assert (result.verdict, result.rule) == ("accepted", starter_uuid("rule", name))
    assert result.tag_code == case["tag"]
    assert result.attributes == case["attributes"]
    assert result.occurred_at == datetime(2026, 1, 31, 2, 5, tzinfo=UTC)
    assert result.subject.value in ("+8613800138000", "lilei@example.com")


@pytest.mark.django_db
class TestLoading:
    @pytest.fixture(autouse=True)
    def _departments(self, departments):
        pass

    def test_it_becomes_the_draft_and_the_first_release(self):
        loaded = load_starter()
        assert draft_items() == ITEMS == items_of(loaded.release)
        assert loaded.created == ITEMS
        assert unreleased() == []
        assert Revision.objects.count() == len(ITEMS)

    def test_a_second_time_changes_nothing(self, django_assert_max_num_queries):
        load_starter()
        with django_assert_max_num_queries(4):
            assert not load_starter().created
        assert Release.objects.count() == 1
        assert Revision.objects.count() == len(ITEMS)

    def test_what_people_edited_or_deleted_stays_so(self):
        load_starter()
        Tag.objects.filter(code="share").update(label_en="Share it")
        MappingRule.objects.filter(name="spamreport").delete()
        assert not load_starter().created
        assert Tag.objects.get(code="share").label_en == "Share it"
        assert not MappingRule.objects.filter(name="spamreport").exists()

    def test_what_is_new_joins_the_draft_but_is_not_released(self):
        without = {uuid: item for uuid, item in ITEMS.items() if item["kind"] != "rule"}
        for uuid, item in sorted(without.items(), key=lambda pair: KINDS.index(pair[1]["kind"])):
            apply_definition(uuid, item)
            Revision.objects.create(item=uuid, kind=item["kind"], action="created", definition=item)
        publish(notes="", by=None)
        loaded = load_starter()
        assert loaded.created.keys() == ITEMS.keys() - without.keys()
        assert loaded.release is None
        assert Release.objects.count() == 1

    def test_an_item_of_the_companys_own_with_the_same_code_takes_its_place(self):
        own = Source.objects.create(code="Website", label_en="Our shop", label_zh_hans="商城", source_kind="website", owner_id="data")
        loaded = load_starter()
        assert loaded.kept == ["source website"]
        assert loaded.release is None
        assert own.rules.filter(name="item_detail_view").exists()
        assert check_plan(draft_items()) == []

    def test_a_rule_of_the_companys_own_for_the_same_name_stays_alone(self):
        load_starter()
        own = MappingRule.objects.get(name="item_detail_view")
        Revision.objects.filter(item=own.pk).delete()
        MappingRule.objects.filter(pk=own.pk).delete()
        MappingRule.objects.create(source=own.source, name=own.name, tag=Tag.objects.get(code="view_page"))
        loaded = load_starter()
        assert (loaded.created, loaded.kept) == ({}, ["rule item_detail_view"])


@pytest.mark.parametrize("rule", packs()["segment_ecommerce"].rules, ids=lambda rule: rule["name"])
def test_segments_own_names_find_their_tags(rule):
    names = ["Product Viewed", "Product Clicked"] if rule.get("match") == "pattern" else [rule["name"]]
    assert [ITEMS[similar(name, INDEX, 1, kinds=("tag",))[0].item]["code"] for name in names] == [rule["tag"]] * len(names)
