"""A table for a source whose records are our own JSON: its columns are the attributes; what an import page tells of it."""

import json
import uuid

import pytest

from ingestion.imports.failed import failed_rows
from ingestion.imports.run import Outcome, outcome, run_import, still_held, take_file
from ingestion.models import ImportRun
from profiles.models import Event
from staff.models import User
from taxonomy.current import refresh
from taxonomy.models import Source
from taxonomy.publish import publish

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "id,event,phone,occurred_at,order_id,product_id,price,quantity,identifier.user_id"
ROW = "m1,purchase,13800138000,2026-03-01 10:00:00,o1,p1,9.90,1,user-1"


@pytest.fixture
def source(standard, settings, tmp_path):
    settings.UPLOAD_DIR = tmp_path / "uploads"
    Source.objects.filter(code="website").update(envelope={}, region="CN", currency="CNY")
    publish(notes="ours", by=None)
    return Source.objects.get(code="website")


@pytest.fixture
def load(source, tmp_path):
    def load(*lines: str, **more) -> tuple[ImportRun, Outcome]:
        path = tmp_path / uuid.uuid4().hex
        path.write_text("\n".join(lines) + "\n")
        run = run_import(take_file(path, source=source, file_name="till.csv", **more).pk)
        return run, outcome(run)

    return load


@pytest.fixture
def page(client, standard):
    """The import page's text for somebody who may see it."""
    client.force_login(User.objects.create_superuser("ann@example.com", "x"))
    return lambda run: client.get(f"/admin/ingestion/importrun/{run.pk}/change/").content.decode()


@pytest.mark.parametrize("dry_run", [True, False])
def test_columns_are_attributes_and_identifiers(load, dry_run):
    found = load(HEADER, ROW, dry_run=dry_run)[1]
    assert (found.counts["accepted"], found.counts["quarantined"]) == (1, 0)
    assert "envelope.unknown_field" not in dict(found.notes)
    if not dry_run:
        event = Event.objects.get()
        assert event.attributes.keys() >= {"order_id", "product_id", "price", "quantity"}
        assert event.identifiers == {"user_id": "user-1"}


def test_a_column_that_no_attribute_has_is_set_aside_and_told(load, page):
    run, found = load(HEADER + ",colour,attributes", ROW + ",red,more")
    assert Event.objects.get().extra == {"colour": "red", "attributes": "more"}
    code, rows = found.notes[0]
    assert rows == 1
    assert f"#{code}" in page(run)


@pytest.mark.parametrize("preset", ["segment", "cloudevents"])
def test_a_table_of_a_source_that_sends_by_a_protocol_is_read_by_our_columns(load, preset):
    Source.objects.filter(code="website").update(envelope={"preset": preset})
    publish(notes="protocol", by=None)
    refresh()
    found = load(HEADER + ",colour", ROW + ",red")[1]
    assert (found.counts["accepted"], found.counts["quarantined"], found.counts["refused"]) == (1, 0, 0)
    event = Event.objects.get()
    assert event.attributes.keys() >= {"order_id", "product_id", "price", "quantity"} and event.extra == {"colour": "red"}
    assert (event.message_id, event.identifiers) == ("m1", {"user_id": "user-1"})


def test_a_protocols_own_names_of_columns_are_read_too(load):
    Source.objects.filter(code="website").update(envelope={"preset": "segment"})
    publish(notes="protocol", by=None)
    refresh()
    load(
        "messageId,event,phone,timestamp,userId,order_id,product_id,price,quantity",
        ROW.replace("o1", "user-1,o1", 1).removesuffix(",user-1"),
    )
    event = Event.objects.get()
    assert (event.message_id, event.identifiers, event.standing) == ("m1", {"user_id": "user-1"}, Event.Standing.COUNTED)
    assert event.occurred_at.isoformat().startswith("2026-03-01T")


def test_fields_of_ours_stay_what_they_are(load):
    load("event,phone,occurred_at,source_version,sent_at", "login,13800138000,2026-03-01 10:00:00,4.2.0,2026-03-01 10:00:01")
    event = Event.objects.get()
    assert (event.source_version, event.extra) == ("4.2.0", None)


def test_lines_of_json_are_read_as_ever(load):
    found = load(json.dumps({"id": "m1", "event": "login", "phone": "13800138000", "colour": "red"}))[1]
    assert dict(found.notes)["envelope.unknown_field"] == 1
    assert Event.objects.get().extra is None


def test_a_page_names_its_file_and_says_how_much_is_still_held(load, page):
    bad = [ROW.replace("m1", f"h{number}").replace("purchase", "bad") for number in range(3)]
    run, _ = load(HEADER, *bad, by=User.objects.create_user("bob@example.com", "x"))
    assert still_held(run) == (3, 0)
    shown = page(run)
    assert "till.csv" in shown.split("<main")[-1]
    assert str(run.started_by) in shown
    assert "no longer held" not in shown
    returned = b"".join(failed_rows(run)).decode().removeprefix("﻿").splitlines()
    load(returned[0], *(line.replace("bad", "purchase") for line in returned[1:3]))
    assert still_held(run) == (1, 0)
    assert "still held: " in page(run)
    assert "2 of them are no longer held. A row that was held is left out of the file once nothing of it is held." in page(run)
    load(returned[0], returned[3].replace("bad", "purchase"))
    assert still_held(run) == (0, 0)
    assert "None of them is held any more" in page(run)
    assert "failed-rows" not in page(run)
