"""What is equal stands in one order, whatever order it was counted, stored or answered in."""

import json
from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.db.models import Model, UniqueConstraint

from ingestion.discovery.carried import events_held, events_sent
from ingestion.discovery.discovered import lines
from ingestion.imports.run import outcome
from ingestion.models import Discovered, Dispatch, FailedRequest, ImportChunk, ImportRun, Leak, ReplayOffer, Stream, Subscriber
from ingestion.outgoing.alarms import raise_alarms
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.replay import Preview
from ingestion.ranked import most_first
from ingestion.watching.health import overview
from ingestion.watching.latest import failed_lately
from ingestion.watching.rollup import roll_up
from profiles.charts import stacked_bars
from profiles.models import Customer
from profiles.recent import names_seen
from profiles.summary import summary
from taxonomy.current import current
from taxonomy.models import Release, Source, Tag
from taxonomy.released import released

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
PRICES = [{"amount": "9", "currency": currency} for currency in ("USD", "CNY", "JPY", "EUR")]
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
def test_what_is_read_again_comes_newest_first(standard):
    for number, name in enumerate("abcaa"):
        arrive({"event": f"unknown_{name}", "id": f"m{number}"})
    source = str(Source.objects.get(code="website").pk)
    assert [event.message_id for _source, event in events_sent([source])] == ["m4", "m2", "m1", "m3", "m0"]
    assert [event.message_id for event in events_held(Discovered.objects.get(name="unknown_a"))] == ["m4", "m3", "m0"]


@db
def test_leaks_found_at_once_are_told_in_one_order(standard):
    names = ["d", "b", "c", "a"]
    phones = [dict.fromkeys(names, f"1391234567{number}") for number in (9, 8, 7)]
    arrive(*({"event": "product_view", "attributes": {"product_id": "p", **one}} for one in phones))
    assert list(Leak.objects.order_by("id").values_list("attribute", "example")) == [(name, "139****5677") for name in sorted(names)]


@db
def test_causes_over_the_limit_at_once_are_told_in_the_order_they_came(standard):
    Subscriber.objects.create(
        name="ops", url="https://ops.example.com/hook", events=["quarantine.exceeded"], held_events=1, held_minutes=60
    )
    names = ["d", "b", "c", "a"]
    for name in names:
        arrive({"event": f"unknown_{name}", "id": name})
    assert raise_alarms(NOW) == len(names)
    told = [json.loads(body)["data"]["name"] for body in Dispatch.objects.order_by("created_at").values_list("body", flat=True)]
    assert told == [f"unknown_{name}" for name in names]


@db
def test_requests_that_failed_alike_stand_by_their_sources(standard):
    sources = list(Source.objects.order_by("-id")[:4])
    for source in sources:
        FailedRequest.objects.create(source=source, cause="x", hour=NOW, count=1)
    assert [one.source.pk for one in failed_lately(None, NOW) if one.source] == sorted(source.pk for source in sources)


@db
def test_offers_stand_by_their_sources(standard):
    sources = list(Source.objects.order_by("-code"))
    for source in sources:
        ReplayOffer.objects.create(source=source, release=Release.objects.get(), events=1, tried=1, in_all=1)
    assert [one.source.code for one in ReplayOffer.objects.all()] == sorted(source.code for source in sources)


def test_no_two_rows_stand_equal_in_the_order_of_their_model():
    ours = [one for one in apps.get_models() if one.__module__.partition(".")[0] in ("ingestion", "profiles", "taxonomy", "staff")]
    assert [one.__name__ for one in ours if one._meta.ordering and not tells_apart(one)] == []


def tells_apart(model: type[Model]) -> bool:
    meta, names = model._meta, {name.lstrip("-").partition("__")[0] for name in model._meta.ordering}
    once = [{meta.pk.name}, *({field.name} for field in meta.fields if field.unique)]
    for one in meta.constraints:
        if isinstance(one, UniqueConstraint) and one.condition is None:
            once.append({*one.fields, *(field.name for lower in one.expressions for field in lower.get_source_expressions())})
    return any(fields <= names for fields in once)


@db
def test_sums_stand_by_their_currencies(standard):
    orders = [{"order_id": f"o{number}", "product_id": "p", "quantity": 1, "price": price} for number, price in enumerate(PRICES)]
    arrive(*({"event": "purchase", "attributes": one} for one in orders))
    assert list(summary(Customer.objects.get()).sums) == ["CNY", "EUR", "JPY", "USD"]


@db
def test_sources_that_had_one_code_stand_by_their_ids(standard):
    for number in (2, 1, 3):
        Source.every.create(
            id=f"00000000-0000-4000-8000-00000000000{number}", code="kiosk", label_en="K", label_zh_hans="K", source_kind="till", owner_id="data", in_draft=False
        )  # fmt: skip
    assert [str(one.pk)[-1] for one in Source.every.filter(code="kiosk")] == ["1", "2", "3"]
