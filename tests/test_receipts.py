"""A source asks what became of an event, by the id it sent it with: how it stands, why it is held, what read it."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone
from test_replay import map_name, replay

from ingestion.accepted.takeback import decide, look_at_batch, put_back, work_on
from ingestion.models import Replay, WriteKey
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.undo import undo
from profiles.models import Batch, Event, FormerReading
from staff.models import ReadToken, User
from taxonomy.current import current
from taxonomy.models import Source

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def send(standard):
    def sent(event, *, at=NOW, closes=None) -> Batch:
        made = Incoming(json.dumps(event).encode(), closes=closes)
        return Batch.objects.get(pk=receive([made], source_code="website", door="api", received_at=at, current=current()).batch_id)

    return sent


@pytest.fixture
def ask(client, write_key):
    def asked(message_id, *, key=write_key[0]):
        return client.get(f"/api/v1/receipts/{quote(message_id, safe='')}", headers={"Authorization": f"Bearer {key}"})

    return asked


def bought(**more) -> dict:
    return {
        "id": "o-1", "event": "purchase", "phone": "+86 138 0013 8000", "occurred_at": "2026-02-28T10:00:00+08:00",
        "attributes": {"order_id": "1", "product_id": "SKU1", "price": "59.90", "quantity": 2}, **more,
    }  # fmt: skip


def test_an_accepted_event(ask, send, standard):
    batch = send(bought())
    answer = ask("o-1")
    receipt = answer.json()
    assert (receipt["id"], receipt["status"], receipt["verdict"], receipt["tag"]) == ("o-1", "accepted", "accepted", "purchase")
    assert (receipt["release"], receipt["batch"], receipt["changed"]) == (standard.version, str(batch.pk), True)
    assert [change["path"] for change in receipt["changes"]] == ["attributes.price"]
    assert datetime.fromisoformat(receipt["occurred_at"]) == datetime(2026, 2, 28, 2, tzinfo=UTC)
    assert datetime.fromisoformat(receipt["received_at"]) == datetime.fromisoformat(receipt["status_since"]) == NOW
    assert answer.headers["Cache-Control"] == "no-store"
    assert "138" not in answer.content.decode().replace(receipt["event_id"], "").replace(receipt["batch"], "")


def test_it_names_the_tags_refinements(ask, send):
    send(bought(event="product_view_SKU7", attributes={}))
    receipt = ask("o-1").json()
    assert receipt["tag"] == "product_view" and receipt["refinements"] == ["product_view_SKU7"]


def test_a_held_event_says_why_in_words(ask, send):
    send(bought(event="purchse"))
    receipt = ask("o-1").json()
    assert (receipt["status"], receipt["verdict"], receipt["tag"]) == ("quarantined", "quarantined", None)
    assert [(one["code"], one["blocking"]) for one in receipt["violations"]] == [("event.unknown", True)]
    assert "purchse" in receipt["violations"][0]["message"]


def test_a_number_that_cannot_be_read_is_masked_for_a_key_that_stands_in_every_web_page(ask, send):
    send(bought(phone="138 0013 800012"))
    told = ask("o-1")
    assert told.json()["violations"][0]["code"] == "phone.invalid"
    assert "0013" not in told.content.decode()


def test_a_sending_again_changes_no_receipt(ask, send):
    send(bought())
    before = ask("o-1").json()
    send(bought(), at=NOW + timedelta(hours=1))
    assert ask("o-1").json() == before


def test_a_held_event_that_was_corrected(ask, send):
    send(bought(event="purchse"))
    held = ask("o-1").json()["event_id"]
    send(bought(id="o-1b"), at=NOW + timedelta(hours=1), closes=held)
    receipt = ask("o-1").json()
    assert (receipt["status"], receipt["verdict"], receipt["corrected_by"]) == ("corrected", "quarantined", ask("o-1b").json()["event_id"])
    assert datetime.fromisoformat(receipt["status_since"]) == NOW + timedelta(hours=1)
    send(bought(event="purchse", id="o-2"))
    send(bought(id="o-2"))
    assert ask("o-2").json()["status"] == "accepted"


def test_an_event_that_was_taken_back_and_put_back(ask, send):
    steward = User.objects.create_user("steward@example.com", "x")
    act = look_at_batch(send(bought()), by=steward, now=timezone.now())
    work_on(act.pk)
    decide(act, reason="secret of the house", by=steward, now=NOW + timedelta(days=1))
    work_on(act.pk)
    answer = ask("o-1")
    assert (answer.json()["status"], answer.json()["verdict"]) == ("taken_back", "accepted")
    assert datetime.fromisoformat(answer.json()["status_since"]) == NOW + timedelta(days=1)
    assert "secret of the house" not in answer.content.decode()
    put_back(act, reason="why", by=steward, now=timezone.now())
    work_on(act.pk)
    assert ask("o-1").json()["status"] == "accepted"


def test_an_event_that_a_replay_let_in_stands_so_since_then(ask, send):
    send(bought(event="goods_paid"))
    assert datetime.fromisoformat(ask("o-1").json()["status_since"]) == NOW
    map_name("goods_paid", "purchase")
    done = replay(source=Source.objects.get(code="website"), code="event.unknown", path="event", name="goods_paid")
    receipt = ask("o-1").json()
    assert (receipt["status"], receipt["verdict"]) == ("accepted", "quarantined"), "the first verdict stays"
    assert datetime.fromisoformat(receipt["status_since"]) == FormerReading.objects.get().replaced_at > NOW
    undo(done.pk)
    receipt = ask("o-1").json()
    assert (receipt["status"], datetime.fromisoformat(receipt["status_since"])) == ("quarantined", NOW)
    replay(act=Replay.Act.DISCARD, source=Source.objects.get(code="website"))
    receipt = ask("o-1").json()
    assert receipt["status"] == "discarded"
    assert datetime.fromisoformat(receipt["status_since"]) == FormerReading.objects.get().replaced_at


def test_a_batchs_id_is_answered_with_what_is_wanted(ask, send):
    answer = ask(str(send(bought()).pk))
    assert answer.status_code == 404 and "not the id of a batch" in answer.json()["error"]["message"]


def test_a_discarded_event(ask, send):
    send(bought(event="purchse"))
    Event.objects.update(standing=Event.Standing.DISCARDED)
    assert ask("o-1").json()["status"] == "discarded"


def test_an_event_without_an_id_is_asked_for_by_ours(ask, send):
    event = bought()
    del event["id"]
    send(event)
    public_id = Event.objects.get().public_id
    receipt = ask(public_id.upper()).json()
    assert (receipt["id"], receipt["event_id"], receipt["status"]) == (None, public_id, "accepted")


@pytest.mark.parametrize("message_id", ["a b", "a/b", "a?b#c", "50%", "订单 1", "😀", ".."])
def test_ids_of_any_signs(ask, send, message_id):
    send(bought(id=message_id))
    assert ask(message_id).json()["id"] == message_id


def test_an_id_that_looks_like_ours_is_the_senders_first(ask, send):
    send(bought())
    public_id = Event.objects.get().public_id
    send(bought(id=public_id, event="login", attributes={}))
    assert ask(public_id).json()["tag"] == "login"


def test_a_source_reads_its_own_receipts_only(ask, send):
    send(bought())
    public_id = Event.objects.get().public_id
    other = WriteKey(source=Source.objects.exclude(code="website").first())
    secret = other.set_secret()
    other.save()
    for message_id in ("o-1", public_id):
        answer = ask(message_id, key=secret)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "receipt.unknown")


@pytest.mark.parametrize(
    "message_id", ["never-sent", "0" * 32, "x" * 201, "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "%00"]
)
def test_an_unknown_id_is_said_to_be_one(ask, send, message_id):
    send(bought())
    answer = ask(message_id)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "receipt.unknown")
    assert message_id not in answer.json()["error"]["message"]


def test_a_write_key_and_nothing_else_opens_it(ask, send):
    send(bought())
    person = User.objects.create_superuser("root@example.com", "x")
    token = ReadToken(user=person, name="t", scopes=["customers", "plan"], expires_at=timezone.now() + timedelta(days=1))
    secret = token.set_secret()
    token.save()
    assert ask("o-1", key=secret).status_code == 403
    assert ask("o-1", key="tlw_wrong").status_code == 401
