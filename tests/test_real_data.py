"""The four-platform story on real data others wrote: samples here, whole files by `make proof`.

The figures asserted are those of the data's own README.
"""

import csv
import io
import json
from decimal import Decimal, localcontext
from pathlib import Path

import pytest
import zstandard
from conftest import publish_starter
from django.db import connection
from django.db.models import Count
from sets import write_row
from story import DATA, make_sources

from ingestion.imports.run import Outcome, outcome, run_import, take_file
from profiles.models import Event, Original, Tally
from taxonomy.models import Source
from taxonomy.publish import publish

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.needs("shared-data")]

LINKS = {
    "grocery_crm": "x01-phone-maps/a01-household-phone.csv",
    "gift_crm": "x01-phone-maps/a02-customer-phone.csv",
    "web_crm": "x01-phone-maps/a07-user-phone.csv",
    "helpdesk_crm": "x01-phone-maps/a09-email-phone.csv",
}
EVENTS = {
    "grocery": "a01-completejourney/transactions.csv.zst",
    "gift_shop": "a02-uci-online-retail/online-retail.csv.zst",
    "web_clicks": "a07-retentioneering-ecom/ecom.csv.zst",
    "helpdesk": "a09-support-tickets/customer_support_tickets.csv.zst",
}


@pytest.fixture
def story(departments, settings, tmp_path):
    settings.UPLOAD_DIR = tmp_path / "uploads"
    publish_starter()
    make_sources()
    publish(notes="story", by=None)


def load(source: str, path: Path) -> Outcome:
    found = outcome(run_import(take_file(path, source=Source.objects.get(code=source), file_name=path.name).pk))
    counts = found.counts
    assert found.received == counts["accepted"] + counts["duplicate"] + counts["quarantined"] + counts["refused"]
    return found


def sample(name: str, lines: int, folder: Path) -> Path:
    """The first lines of a packed file, as a plain one."""
    path = folder / Path(name).stem
    with (DATA / name).open("rb") as packed, path.open("wb") as out:
        for number, line in enumerate(io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(packed))):
            if number > lines:
                break
            out.write(line)
    return path


def people_on_all_platforms() -> int:
    """Customers who are known on all four: by the grocer's, the gift shop's and the web's number and an e-mail address."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FROM (
                SELECT customer_id FROM profiles_link AS link JOIN profiles_subject AS subject ON subject.id = link.subject_id
                WHERE withdrawn_at IS NULL GROUP BY customer_id
                HAVING bool_or(namespace = 'grocery') AND bool_or(namespace = 'gift') AND bool_or(namespace = 'clicks') AND bool_or(kind = 'email')
            ) AS everywhere
            """
        )
        return int(cursor.fetchone()[0])


def test_one_person_per_phone_over_four_platforms_in_four_notations(story, tmp_path):
    received = 0
    for source, name in LINKS.items():
        found = load(source, DATA / name)
        assert found.counts["accepted"] == found.received, (source, found)
        received += found.received
    assert people_on_all_platforms() == 266
    cells = {}
    for source, name in EVENTS.items():
        path = sample(name, 3_000, tmp_path)
        received += load(source, path).received
        cells[source] = list(csv.DictReader(path.read_text().splitlines()))
    assert subjects("grocery") == people_with_events_of(["grocery"]) == len({row["household_id"] for row in cells["grocery"]})
    assert subjects("gift_shop") == len({row["CustomerID"] for row in cells["gift_shop"]} - {""})
    assert zeros("grocery", QUANTITY) == sum(float(row["quantity"]) == 0 for row in cells["grocery"])
    free = {tuple(row.values()) for row in cells["gift_shop"] if float(row["UnitPrice"]) == 0}
    assert zeros("gift_shop", PRICE) + held_without_a_price("gift_shop") == len(free)
    assert sum(tally.received for tally in Tally.objects.all()) == received
    assert not Event.objects.filter(standing=1, tag__code="purchase", attributes__quantity__lt=0).exists()


def test_orders_with_their_lines_become_an_event_for_each_line(story, tmp_path):
    """a14: 59 customers known by phone alone, in the notations of 24 countries; one record holds an invoice's lines."""
    folder = DATA / "a14-chinook-northwind" / "chinook"
    tables = {name: json.loads((folder / f"{name}.json").read_bytes()) for name in ("Customer", "Invoice", "InvoiceLine")}
    customers = {one["CustomerId"]: one for one in tables["Customer"]}
    path = tmp_path / "invoices.ndjson"
    with path.open("w") as out:
        for invoice in tables["Invoice"]:
            customer = customers[invoice["CustomerId"]]
            lines = [one for one in tables["InvoiceLine"] if one["InvoiceId"] == invoice["InvoiceId"]]
            out.write(json.dumps({"customer": customer, "region": "", "invoice": invoice, "lines": lines}) + "\n")
    found = load("music_shop", path)
    assert found.received == 2_240
    assert set(found.causes) <= {("phone.invalid", found.counts["quarantined"])}
    bought = Event.objects.filter(source__code="music_shop", standing=1)
    orders = bought.values("attributes__order_id").distinct().count()
    held = {one["Phone"] for one in customers.values()} - {
        json.loads(bytes(original))["customer"]["Phone"] for original in _originals(bought)
    }
    assert orders == 412 - 7 * len(held)
    assert bought.values("subject").distinct().count() == 59 - len(held)


def _originals(events) -> list[bytes]:
    return [one.whole_record for one in Original.objects.filter(event__in=events).select_related("holder")]


def sum_of_amounts(source: str) -> Decimal:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT sum((attributes->'amount'->>'amount')::numeric) FROM profiles_event AS event JOIN taxonomy_source AS source ON source.id = source_id
            WHERE source.code = %s AND standing = 1
            """,
            [source],
        )
        return Decimal(cursor.fetchone()[0])


def sum_of_column(path: Path, column: str) -> Decimal:
    with path.open("rb") as packed:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), encoding="utf-8", newline="")
        with localcontext(prec=60):  # to the last digit
            return sum((Decimal(row[column]) for row in csv.DictReader(text)), Decimal())


def people_with_events_of(sources) -> int:
    """Customers whose timeline holds events of every one of these sources."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FROM (
                SELECT link.customer_id FROM profiles_link AS link
                JOIN profiles_event AS event ON event.subject_id = link.subject_id AND event.standing = 1
                    AND event.occurred_at >= coalesce(link.since, '-infinity') AND event.occurred_at < coalesce(link.until, 'infinity')
                JOIN taxonomy_source AS source ON source.id = event.source_id
                WHERE link.withdrawn_at IS NULL AND source.code = ANY(%s)
                GROUP BY link.customer_id HAVING count(DISTINCT source.code) = %s
            ) AS everywhere
            """,
            [list(sources), len(sources)],
        )
        return int(cursor.fetchone()[0])


def subjects(source: str) -> int:
    """How many different people a source's accepted events name."""
    return Event.objects.filter(source__code=source, standing=Event.Standing.COUNTED).values("subject").distinct().count()


def zeros(source: str, amount: str) -> int:
    """Accepted events of a source whose amount, an SQL expression, is zero."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT count(*) FROM profiles_event AS event JOIN taxonomy_source AS source ON source.id = source_id
            WHERE source.code = %s AND standing = 1 AND ({amount})::numeric = 0
            """,
            [source],
        )
        return int(cursor.fetchone()[0])


QUANTITY, PRICE = "attributes->>'quantity'", "attributes->'price'->>'amount'"


def held_without_a_price(source: str) -> int:
    """Held events whose line, as it was stored, tells a price of zero in its sixth cell."""
    held = Original.objects.filter(event__source__code=source, event__standing=Event.Standing.HELD).values_list("record", flat=True)
    return sum(Decimal(row[5]) == 0 for row in csv.reader(bytes(record).decode() for record in held.iterator()))


@pytest.mark.proof
def test_the_whole_story_adds_up(story, record_property):
    for source, name in LINKS.items():
        load(source, DATA / name)
    gift = load("gift_shop", DATA / EVENTS["gift_shop"])
    assert gift.received == 541_909
    assert gift.counts["duplicate"] == 5_268
    assert dict(gift.causes)["phone.missing"] == 135_080 - 43
    # of 9,288 cancelled lines 37 are exact duplicates; lines without a customer are held, stock corrections all of them
    gifts = Event.objects.filter(source__code="gift_shop").values_list("tag__code", "standing").annotate(Count("id")).order_by()
    assert {(tag, standing): count for tag, standing, count in gifts} == {
        ("purchase", 1): 392_732, ("purchase", 2): 133_322, ("refund", 1): 8_872, ("refund", 2): 379, ("stock_correction", 2): 1_336,
    }  # fmt: skip
    assert not Event.objects.filter(source__code="gift_shop", standing=1, tag__code="purchase", attributes__quantity__lte=0).exists()
    assert subjects("gift_shop") == 4_372
    assert people_with_events_of(["gift_shop"]) == 3_519  # the others have no phone in x01
    # of 2,515 lines without a price five are exact duplicates
    assert (zeros("gift_shop", PRICE), held_without_a_price("gift_shop")) == (40, 2_515 - 5 - 40)
    grocery = load("grocery", DATA / EVENTS["grocery"])
    assert subjects("grocery") == people_with_events_of(["grocery"]) == 2_469
    assert zeros("grocery", QUANTITY) == 8_869
    assert grocery.counts == {"accepted": 1_469_307, "changed": 1_469_307, "duplicate": 0, "quarantined": 0, "refused": 0}
    write_row("a01 transactions", grocery.received, grocery)
    write_row("a02 online-retail", gift.received, gift)
    assert sum_of_amounts("grocery") == sum_of_column(DATA / EVENTS["grocery"], "sales_value")
    assert load("helpdesk", DATA / EVENTS["helpdesk"]).received == 8_469
    assert load("web_clicks", DATA / EVENTS["web_clicks"]).received == 31_106
    assert people_on_all_platforms() == 266
    assert people_with_events_of(EVENTS) == 266
    record_property(
        "figure",
        f"{sum(tally.received for tally in Tally.objects.all()):,} records of eight files, 266 people with events of all four platforms",
    )
