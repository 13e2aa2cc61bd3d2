"""Plans that other people wrote, read as they are: how many events and attributes, and of what kind each loss is."""

import io
import tarfile
from collections import Counter
from functools import cache

import pytest
import zstandard
from conftest import SHARED
from test_formats import carry

from taxonomy.exchange.formats import FORMATS, Choices
from taxonomy.starter import starter_items

pytestmark = pytest.mark.needs("shared-data")
CHOICES = Choices(category="general", owner="data", source="website")


@cache
def read_data(format, *patterns):
    """(found, carried, entries) of files of the shared data, on top of the starter standard."""
    files = {
        str(path.relative_to(SHARED)): path.read_bytes() for pattern in patterns for path in sorted(SHARED.glob(pattern)) if path.is_file()
    }
    assert files
    carried, entries = carry(format, files, starter_items(), CHOICES)
    return FORMATS[format].read(files), carried, entries


def counted(entries):
    return dict(Counter((entry.kind, entry.status) for entry in entries))


def reasons(carried):
    return dict(Counter(one.why for one in carried.left_out))


@cache
def iglu_central():
    packed = (SHARED / "c01-iglu-central" / "schemas.tar.zst").read_bytes()
    with zstandard.ZstdDecompressor().stream_reader(packed) as stream, tarfile.open(fileobj=io.BytesIO(stream.read())) as archive:
        files = {one.name: archive.extractfile(one).read() for one in archive.getmembers() if one.isfile()}
    carried, entries = carry("snowplow", files, starter_items(), CHOICES)
    return files, FORMATS["snowplow"].read(files), carried, entries


def test_iglu_centrals_660_schemas():
    files, found, carried, entries = iglu_central()
    assert (len(files), len(found.tags), sum(len(tag.attributes) for tag in found.tags)) == (660, 516, 3156)
    assert counted(entries) == {
        ("attribute", "added"): 1656, ("attribute", "unchanged"): 37, ("tag", "added"): 510, ("tag", "changed"): 6, ("rule", "added"): 289,
    }  # fmt: skip
    assert reasons(carried) == {
        "attribute.own": 7, "attribute.renamed": 227, "attribute.standard": 50, "attribute.stricter": 144, "event.no_object": 3, "field": 1089,
        "format.narrower": 72, "format.unknown": 8, "keyword": 355, "ref.remote": 2, "required.nullable": 67, "required.unknown": 1,
        "rule.followed": 1, "rule.there": 43, "tag.kept": 4, "tag.renamed": 1, "type.any": 43, "type.none": 3, "type.null_entry": 11,
        "type.several": 24, "version.older": 141,
    }  # fmt: skip


def test_iglu_centrals_newest_version_counts_and_the_earlier_are_told():
    _, found, carried, _ = iglu_central()
    older = [one for one in carried.left_out if one.why == "version.older"]
    assert len(older) == 141
    log = next(tag for tag in found.tags if tag.name == "wd_access_log")
    assert len(log.attributes) == 25
    assert sum("wd_access_log" in one.where for one in older) == 6
    delivered = [tag.code for tag in found.tags if tag.name == "message_delivered"]
    assert delivered == ["mailgun_message_delivered", "mandrill_message_delivered"]


@pytest.mark.parametrize(
    ("folder", "tags", "attributes", "unused", "categories"),
    [
        ("tests/testdata/project/create/*.yaml", 6, 10, 10, 2),
        ("tests/testdata/project/update/*.yaml", 6, 16, 7, 4),
        ("internal/typer/plan/testdata/project/*.yaml", 8, 24, 0, 1),
    ],
)
def test_rudderstacks_own_projects(folder, tags, attributes, unused, categories):
    found, _, entries = read_data("rudderstack", f"c03-rudder-tracking-plans/{folder}")
    counts = (len(found.tags), sum(len(tag.attributes) for tag in found.tags), len(found.attributes), len(found.categories))
    assert counts == (tags, attributes, unused, categories)
    assert not [entry for entry in entries if entry.status == "wrong"]


def test_rudderstacks_update_differs_from_its_create_as_written():
    before, after = (
        read_data("rudderstack", f"c03-rudder-tracking-plans/tests/testdata/project/{one}/*.yaml")[0] for one in ("create", "update")
    )
    checkout = [next(tag for tag in found.tags if tag.name == "Checkout") for found in (before, after)]
    assert [[one.name for one in tag.attributes] for tag in checkout] == [[], ["User Email"]]
    assert checkout[1].attributes[0].required


def test_rudderstacks_nested_properties_and_custom_types():
    found, carried, _ = read_data("rudderstack", "c03-rudder-tracking-plans/internal/typer/plan/testdata/project/*.yaml")
    event = next(tag for tag in found.tags if tag.name == "Some Track Event")
    nested = next(one for one in event.attributes if one.name == "someNestedObject").definition
    assert set(nested["fields"]["someNestedLevel1"]["fields"]["someNestedLevel2"]["fields"]) == {
        "someString",
        "someInteger",
        "someNumber",
        "someBoolean",
        "someObject",
    }
    custom = next(one for one in event.attributes if one.name == "someCustomObject").definition
    assert custom["fields"]["someCustomString"]["required"] is True
    assert ("variants", "keyword") in {(one.what, one.why) for one in carried.left_out}


def test_all_of_rudderstacks_files_at_once_tell_what_is_no_plan():
    _, carried, entries = read_data("rudderstack", "c03-rudder-tracking-plans/**/*.yaml")
    assert reasons(carried)["file.no_plan"] == 41
    assert not [entry for entry in entries if entry.status == "wrong"]


def test_segments_plan_of_its_own_code_generator():
    found, carried, entries = read_data("segment", "c04-segment-protocols-plans/*.json")
    assert [tag.name for tag in found.tags] == [
        "Command Build",
        "Command Error",
        "Command Help",
        "Command Init",
        "KitchenSink",
        "VersionCommand",
    ]
    assert sum(len(tag.attributes) for tag in found.tags) == 28
    sink = {one.name: one.definition["type"] for tag in found.tags if tag.name == "KitchenSink" for one in tag.attributes}
    assert sink == {
        "aBoolean": "boolean", "aDate": "datetime", "aNumber": "decimal", "aString": "text", "anArray": "list", "anEnum": "choice",
        "anInteger": "integer", "anObject": "object", "anything": "text",
    }  # fmt: skip
    codes = {entry.after["code"]: entry.after for entry in entries if entry.after and "code" in entry.after}
    assert {"is_ci", "raw_command", "kitchen_sink", "version_command"} <= set(codes)
    rules = {entry.after["name"]: entry.after["rows"] for entry in entries if entry.kind == "rule"}
    assert len(rules) == 6 and {"target": "is_ci", "path": "isCI", "transforms": ""} in rules["Command Build"]
    assert reasons(carried) == {
        "attribute.renamed": 1,
        "attribute.standard": 1,
        "attribute.stricter": 1,
        "field": 22,
        "keyword": 1,
        "type.any": 2,
    }


def test_gleans_events_with_their_groups_and_what_governs_them():
    found, carried, entries = read_data("glean", "c05-glean-metrics/*.yaml")
    assert (len(found.tags), sum(len(tag.attributes) for tag in found.tags), len(found.categories)) == (11, 95, 5)
    assert {"email_mask_deleted", "phone_text_received"} <= {tag.code for tag in found.tags}
    told = Counter((one.what, one.why) for one in carried.left_out)
    assert told[("bugs", "keyword")] == told[("data_reviews", "keyword")] == told[("notification_emails", "keyword")] == 11
    assert counted(entries)[("category", "added")] == 5
    # Nobody's address is shown where it was only counted.
    assert not [one for one in carried.left_out if "@" in one.what]


def test_a_small_teams_table():
    found, carried, entries = read_data("segment-csv", "c08-small-tracking-plans/*.csv")
    assert (len(found.tags), sum(len(tag.attributes) for tag in found.tags)) == (10, 23)
    assert [one.name for one in next(tag for tag in found.tags if tag.name == "purchase").attributes] == [
        "product_id",
        "category",
        "revenue",
    ]
    assert {entry.key for entry in entries if entry.kind == "tag" and entry.status == "changed"} == {"add_to_cart", "purchase", "search"}
    told = Counter((one.what, one.why) for one in carried.left_out)
    assert told[("platform", "keyword")] == told[("priority", "keyword")] == told[("skan_mapping", "keyword")] == 10


def test_snowplows_data_structures_and_data_products():
    found, carried, _ = read_data("snowplow", "c08-small-tracking-plans/snowplow-cli/*")
    assert [tag.name for tag in found.tags] == ["event spec 1", "event spec 1", "james_cli_test"]
    assert {"file.no_plan", "ref.remote", "version.older"} <= set(reasons(carried))
