"""The latest events: each with its verdict and reasons, of the sources that the reader may see, by a fixed number of queries."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ingestion import keys
from ingestion.models import FailedRequest
from ingestion.pipeline import Incoming, receive
from ingestion.watching.latest import Reader, latest, with_id
from profiles.models import Event, Tally
from staff.models import User
from taxonomy.current import current
from taxonomy.models import Grant, Source, Tag

pytestmark = pytest.mark.django_db


def view(number=1, **more):
    return {"id": f"v{number}", "event": "product_view", "phone": "+8613800138000", "attributes": {"product_id": f"p{number}"}, **more}


@pytest.fixture
def send(standard):
    """Records through the pipeline, so many seconds ago."""

    def send(*records, source="website", ago=0, **more):
        at = timezone.now() - timedelta(seconds=ago)
        incoming = [Incoming(json.dumps(one).encode() if isinstance(one, dict) else one) for one in records]
        return receive(incoming, source_code=source, door="api", received_at=at, current=current(), **more)

    return send


@pytest.fixture
def engineer(client):
    person = User.objects.create_user("engineer@example.com", language="en", department_id="product")
    person.groups.add(Group.objects.get(name="engineer"))
    client.force_login(person)
    return person


def lines(verdict="", sources=None, **more):
    return latest(sources, verdict, Reader(**more))


def test_the_newest_come_first_each_with_its_verdict_and_reasons(send):
    send(view(1), ago=30)
    send({"id": "x", "event": "nonsense", "phone": "+8613800138000"}, ago=20)
    send({**view(2), "attributes": {}}, ago=10)
    third, second, first = lines()
    assert (first.verdict, first.name, first.tag.code, first.holding) == ("accepted", "product_view", "product_view", [])
    assert (second.verdict, second.name, second.tag) == ("quarantined", "nonsense", None)
    assert [title for title, _sentence in second.holding] == ["Unknown event"]
    assert third.verdict == "quarantined" and third.tag.code == "product_view" and len(third.holding) == 1


def test_events_of_one_delivery_show_newest_first(send):
    send(*(view(n) for n in range(1, 4)))
    assert [one.event.message_id for one in lines()] == ["v3", "v2", "v1"]


def test_what_was_sent_before_and_what_was_no_event_is_told_with_its_delivery(send):
    send(view(1), ago=20)
    send(view(1), b"[]", ago=10)
    duplicate, refused, first = lines()
    assert (duplicate.verdict, duplicate.count, refused.verdict, refused.count, first.verdict) == ("duplicate", 1, "refused", 1, "accepted")
    assert refused.holding[0][1]


def test_a_dry_run_leaves_nothing_to_see(send):
    send(view(1), dry_run=True)
    assert lines() == []


def test_of_a_large_delivery_some_are_shown_the_held_ones_first_and_the_rest_counted(send):
    send(*(view(n) for n in range(60)), {"id": "x", "event": "nonsense", "phone": "+8613800138000"}, *(view(n) for n in range(60, 70)))
    found = lines()
    assert "nonsense" in [one.name for one in found] and found[-1].count == 71 - 20
    assert len(Tally.objects.get().newest) == 20


def test_another_process_s_old_ids_hide_nothing(send):
    """Ids tell nothing of what came when: a process may use today one that it took yesterday."""
    send(view(1), ago=20)
    send(*(view(n) for n in range(2, 32)), ago=10)
    send(view(50))
    late = Event.objects.get(message_id="v50")
    Event.objects.filter(pk=late.pk).update(id=1)
    Tally.objects.filter(newest=[late.pk]).update(newest=[1])
    assert lines()[0].event.message_id == "v50"


@pytest.mark.parametrize("verdict", ["accepted", "quarantined", "duplicate", "refused"])
def test_one_verdict_alone(send, verdict):
    send(view(1), {"id": "x", "event": "nonsense", "phone": "+8613800138000"}, b"[]", ago=20)
    send(view(1), ago=10)
    assert {one.verdict for one in lines(verdict)} == {verdict}


def test_what_was_mended_is_said_to_be(send):
    send({**view(1), "attributes": {}}, ago=20)
    send(view(1), ago=10)
    assert [(one.verdict, one.state) for one in lines()] == [("accepted", ""), ("", "corrected by a later sending")]


def test_one_source_alone(send):
    send(view(1))
    send({"event": "SALE"}, source="till")
    assert {one.source.code for one in lines(sources=Source.objects.filter(code="till"))} == {"till"}


def test_the_page_asks_the_same_few_questions_however_much_there_is(send, client, engineer, django_assert_num_queries):
    url = reverse("latest") + "?source=website"
    send(view(1), {"event": "nonsense"})
    client.get(url)
    with CaptureQueriesContext(connection) as few:
        client.get(url, headers={"X-Fragment": "1"})
    for number in range(2, 40):
        send(view(number), {"event": f"nonsense {number}"}, b"[]")
    with django_assert_num_queries(len(few)):
        answer = client.get(url, headers={"X-Fragment": "1"})
    assert answer.content.count(b"<tr data-key") == 50
    assert len(few) <= 12, [one["sql"][:120] for one in few]


def test_a_name_that_holds_a_phone_is_masked(send, client, engineer):
    send({"id": "1", "event": "call 13800138000", "phone": "+8613800138000", "attributes": {"x": 1}})
    page = client.get(reverse("latest")).content.decode()
    assert "13800138000" not in page and "138****8000" in page


def test_events_link_to_where_they_may_be_opened(send, client, engineer):
    send(view(1), {"id": "x", "event": "nonsense", "phone": "+8613800138000"})
    held, accepted = Event.objects.get(standing=2), Event.objects.get(standing=1)
    page = client.get(reverse("latest")).content.decode()
    assert reverse("admin:quarantine_event", args=[held.public_id]) in page
    assert reverse("event", args=[accepted.public_id]) not in page, "an engineer may not see customers"
    engineer.groups.add(Group.objects.get(name="marketer"))
    page = client.get(reverse("latest")).content.decode()
    assert reverse("event", args=[accepted.public_id]) in page
    assert client.get(reverse("event", args=[accepted.public_id]), follow=True).status_code == 200


def test_one_event_is_found_by_the_id_it_was_sent_with_or_by_ours(send, client, engineer, django_assert_num_queries):
    send(view(1), view(2), {"id": "h1", "event": "nonsense", "phone": "+8613800138000"})
    send({"id": "v1", "event": "login", "phone": "+8613800138000"}, source="till")
    website, till = (Source.objects.get(code=code) for code in ("website", "till"))
    held = Event.objects.get(message_id="h1")

    def found(text, sources=None, verdict=""):
        return [(line.source.code, line.event.message_id) for line in with_id(sources, text, verdict, Reader())]

    assert found("v2") == found(Event.objects.get(message_id="v2").public_id.upper()) == [("website", "v2")]
    assert sorted(found("v1")) == [("till", "v1"), ("website", "v1")] and found("v1", [till.pk]) == [("till", "v1")]
    assert found(held.public_id, [till.pk]) == found("h1", verdict="accepted") == found("v9") == found("x" * 300) == []
    page = client.get(reverse("latest"), {"source": website.code, "id": "h1"}).content.decode()
    assert page.count("<tr data-key=") == 1 and reverse("admin:quarantine_event", args=[held.public_id]) in page
    assert "id=h1" in page and 'value="h1"' in page, "asked for again by the script"
    page = client.get(reverse("latest"), {"source": website.code, "id": "v9"}).content.decode()
    assert "<tr data-key=" not in page and "No event with this id is here" in page
    with django_assert_num_queries(2):
        found("v1")


def test_what_grants_hide_is_not_found_by_its_id(send, client, engineer):
    send(view(1))
    Grant.objects.create(department_id="service", may="read", sources_of_id=Source.objects.get(code="website").owner_id)
    engineer.department_id = "sales"
    engineer.save()
    assert "<tr data-key=" not in client.get(reverse("latest"), {"id": "v1"}).content.decode()


def test_what_grants_keep_from_a_reader_does_not_show(send, client, engineer):
    send(view(1), {"event": "viewGoodsSecretly"})
    send({"event": "tillSecret"}, source="till")
    category = Tag.objects.get(code="product_view").category
    Grant.objects.create(department_id="service", may="read", category=category)
    page = client.get(reverse("latest")).content.decode()
    assert "product_view" not in page and "viewGoodsSecretly" in page and "tillSecret" in page
    till = Source.objects.get(code="till")
    Grant.objects.create(department_id="service", may="read", sources_of_id=till.owner_id)
    engineer.department_id = next(code for code in ("sales", "marketing", "compliance") if code != till.owner_id)
    engineer.save()
    page = client.get(reverse("latest")).content.decode()
    assert "tillSecret" not in page
    assert client.get(reverse("latest") + "?source=till").content.decode().count("tillSecret") == 0


def test_requests_that_failed_as_a_whole_show_with_their_cause(send, client, engineer):
    source = Source.objects.get(code="website")
    keys.count_failure("key.unknown")
    keys.count_failure("request.not_json", str(source.pk))
    keys.count_failure("request.length", str(Source.objects.get(code="till").pk))
    FailedRequest.objects.create(source=source, cause="request.events", hour=timezone.now() - timedelta(days=1), count=1)
    page = client.get(reverse("latest") + "?source=website").content.decode()
    assert "Unknown key" in page and "Body is not JSON" in page
    assert "Length missing" not in page and "No list of events" not in page


def test_the_lines_alone_come_for_the_script(send, client, engineer):
    send(view(1))
    part = client.get(reverse("latest"), headers={"X-Fragment": "1"}).content.decode()
    assert "<html" not in part and "product_view" in part
