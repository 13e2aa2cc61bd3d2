"""What is equal stands in one order, whatever order it was counted, stored or answered in."""

import json
from datetime import UTC, datetime

import pytest

from ingestion.discovery.discovered import lines
from ingestion.imports.run import outcome
from ingestion.models import Discovered, ImportChunk, ImportRun, Leak, Stream
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.replay import Preview
from ingestion.ranked import most_first
from ingestion.watching.health import overview
from ingestion.watching.rollup import roll_up
from profiles.charts import stacked_bars
from profiles.recent import names_seen
from taxonomy.current import current
from taxonomy.models import Source, Tag
from taxonomy.released import released

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
db = pytest.mark.django_db


def arrive(*events: dict) -> None:
    base = {"phone": "+8613800138000", "occurred_at": NOW.isoformat()}
    incoming = [Incoming(json.dumps({**base, "id": str(number), **event}).encode()) for number, event in enumerate(events)]
    receive(incoming, source_code="website", door="api", received_at=NOW, current=current())
    roll_up(NOW)


@pytest.mark.parametrize(
    ("counts", "ordered"),
    [
        ({}, []),
        ({"b": 1, "c": 2, "a": 1}, [("c", 2), ("a", 1), ("b", 1)]),
        ({("x", None): 1, ("x", "b"): 1, ("x", "a"): 1}, [(("x", "a"), 1), (("x", "b"), 1), (("x", None), 1)]),
    ],
)
def test_most_first_then_by_how_it_is_written(counts, ordered):
    assert most_first(counts) == ordered


@db
def test_causes_of_an_import_stand_alike_whichever_block_ends_first(standard):
    source = Source.objects.get(code="till")
    found = []
    for blocks in (["b", "a"], ["a", "b"]):
        run = ImportRun.objects.create(source=source, file_name="a.csv")
        for index, code in enumerate(blocks):
            ImportChunk.objects.create(run=run, index=index, rows=1, first_row=index + 1, causes={code: 1}, notes={code: 1})
        found.append((outcome(run).causes, outcome(run).notes))
    assert found == [([("a", 1), ("b", 1)],) * 2] * 2


def test_reasons_of_what_stays_held_stand_alike():
    found = Preview(2)
    found.causes.update([("b", "x"), ("a", "y"), ("a", "x")])
    assert found.reasons == [("a", "x", 1), ("a", "y", 1), ("b", "x", 1)]


@pytest.mark.parametrize("names", ["abcdefgh", "hgfedcba", "dgahcfbe"])
def test_series_as_high_as_each_other_keep_their_colors(names):
    chart = stacked_bars(["day"], {name: [1] for name in names}, other="others")
    assert [one.label for one in chart.series] == ["a", "b", "c", "d", "e", "f", "others"]


@db
def test_parts_that_stopped_stand_by_their_codes(standard):
    source = Source.objects.get(code="till")
    tags = list(Tag.objects.order_by("-code")[:5])
    for tag in tags:
        Stream.objects.create(source=source, tag=tag, state="stopped", first_day=NOW.date(), last_at=NOW, judged_at=NOW)
    found = {one.item.pk: one for one in overview("source", released("source").values(), released("tag").values())}
    assert [one.code for one in found[source.pk].stopped] == sorted(tag.code for tag in tags)


@db
def test_names_that_arrive_alike_often_stand_by_name(standard):
    arrive(*({"event": f"unknown_{name}"} for name in "dbca"))
    wanted = [f"unknown_{name}" for name in "abcd"]
    assert list(Discovered.objects.order_by("id").values_list("name", flat=True)) == wanted
    assert [line.row.name for line in lines(NOW.date())[0]] == wanted
    assert [one["name"] for one in names_seen(Source.objects.get(code="website").pk)] == wanted


@db
def test_of_values_that_arrive_alike_often_the_same_are_shown(standard):
    values = ["tea", "rice", "milk", "salt", "plum", "mint"]
    arrive(*({"event": "product_view", "attributes": {"product_id": "p", "note": value}} for value in values))
    assert Discovered.objects.get(name="note").examples == sorted(values)[: Discovered.EXAMPLES]


@db
def test_leaks_found_at_once_are_told_in_one_order(standard):
    names = ["d", "b", "c", "a"]
    phones = [dict.fromkeys(names, f"1391234567{number}") for number in (9, 8, 7)]
    arrive(*({"event": "product_view", "attributes": {"product_id": "p", **one}} for one in phones))
    assert list(Leak.objects.order_by("id").values_list("attribute", "example")) == [(name, "139****5677") for name in sorted(names)]


@db
def test_sources_that_had_one_code_stand_by_their_ids(standard):
    for number in (2, 1, 3):
        Source.every.create(
            id=f"00000000-0000-4000-8000-00000000000{number}", code="kiosk", label_en="K", label_zh_hans="K", source_kind="till", owner_id="data", in_draft=False
        )  # fmt: skip
    assert [str(one.pk)[-1] for one in Source.every.filter(code="kiosk")] == ["1", "2", "3"]
