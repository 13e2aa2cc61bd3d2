"""What has no message id is listed by its row; a record of many events costs a list no more than one event."""

import json
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from ingestion.doors import files
from ingestion.models import Cause
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.causes import add_up
from profiles import original
from profiles.models import Batch, Event, Original
from profiles.original import row_words
from profiles.sight import Sight
from staff.models import User
from taxonomy.current import current
from taxonomy.models import Source
from tests.test_many_in_one import many

__all__ = ["many"]
pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def row(standard):
    """Events of one row of a table."""

    def row(cells: str, *, events=1, identifiers=None, columns=("id", "who", "note")):
        form = {"kind": "csv", "columns": list(columns), "delimiter": ","}
        source = Source.objects.get(code="website")
        batch = Batch.objects.create(source=source, door="file", received_at=NOW, format=form)
        keys = [f"{Event.objects.count() + number:016}".encode() for number in range(events)]
        made = [
            Event.objects.create(
                key=key, source=source, batch=batch, received_at=NOW, standing=Event.Standing.HELD, identifiers=identifiers
            )
            for key in keys
        ]
        first, *others = [Original(event=event, item=number if events > 1 else None) for number, event in enumerate(made)]
        first.record = cells.encode()
        first.save()
        for one in others:
            one.holder = first
            one.save()
        return list(Event.objects.filter(batch=batch).select_related("batch").order_by("pk"))

    return row


def test_the_events_of_a_record_are_listed_without_reading_it(many, client, monkeypatch):
    lines = [{"event": "login", "attributes": {"n": number}} for number in range(30)]
    body = json.dumps({"lines": lines, "at": "2026-03-01 10:00:00"}).encode()
    receive([Incoming(body)], source_code="website", door="api", received_at=NOW, current=current())
    assert Event.objects.filter(message_id=None, standing=Event.Standing.HELD).count() == 30
    add_up(NOW)
    cause = Cause.objects.get(path="phone")
    person = User.objects.create_user("marketer@example.com", language="en")
    person.groups.add(Group.objects.get(name="marketer"))
    client.force_login(person)
    monkeypatch.setattr(original, "_pretty", lambda *_arguments: pytest.fail("it is no row"))
    desk = f"{reverse('admin:desk')}?cause={cause.pk}"
    assert client.get(cause.get_absolute_url()).status_code == client.get(desk).status_code == 200
    assert len(client.post(desk, {"act": "weigh"}).context["leaving"]["examples"]) == 5
    assert client.get(reverse("admin:desk_table", args=[cause.pk])).status_code == 200


def test_a_row_of_many_events_is_fetched_and_read_once(row, monkeypatch, django_assert_num_queries):
    read = files.all_cells
    times: list[bytes] = []
    monkeypatch.setattr(files, "all_cells", lambda record, form: times.append(record) or read(record, form))
    events = row("R1,x,two", events=20) + row("R2,y,three")
    with django_assert_num_queries(2):
        found = row_words(events, Sight(unmasked=True))
    assert [found[one.pk] for one in events] == ["R1 · x · two"] * 20 + ["R2 · y · three"]
    assert len(times) == 2


def test_what_is_no_row_of_a_table_costs_nothing(row, django_assert_num_queries):
    events = row('{"a": 1}', events=3)
    for one in events:
        one.batch.format = {"kind": "ndjson", "columns": ["a"], "delimiter": ","}
    with django_assert_num_queries(0):
        assert row_words(events, Sight(unmasked=True)) == {}


def test_a_row_in_a_line_is_masked_as_its_event_is_and_long_ones_are_cut(row):
    [one] = row("13800138000,CRM-778899,  two   words", identifiers={"crm_id": "CRM-778899"})
    assert row_words([one], Sight(unmasked=False))[one.pk] == "138****8000 · CR****99 · two words"
    [long] = row(f"R1,{'a b ' * 20}13800138000{'x' * 5_000},{'y' * 500},z", columns=("id", "who", "note", "more"))
    said = row_words([long], Sight(unmasked=False))[long.pk]
    assert (len(said) < 500, "1380013" in said, "138****8000" in said) == (True, False, True)
