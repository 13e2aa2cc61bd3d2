"""The quarantine: causes with counts, and each held event whole beside its reasons."""

import hashlib
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.urls import reverse
from django.utils import timezone

from ingestion.models import QuarantineReason, Replay, Replayed, Subscriber, WriteKey
from ingestion.quarantine.causes import add_up, cause_of
from ingestion.quarantine.held import held_causes, held_groups
from profiles.models import Batch, Event, Original
from staff.models import AccessLog, User
from taxonomy.current import refresh
from taxonomy.models import Grant, Release, Source
from taxonomy.publish import publish

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("departments")]
PHONE = "139 1234 5678"


@pytest.fixture
def shop(db):
    return Source.objects.create(code="test_shop", label_en="Shop", label_zh_hans="商城", source_kind="website", owner_id="data")


@pytest.fixture
def till(db):
    return Source.objects.create(code="test_till", label_en="Till", label_zh_hans="收银", source_kind="till", owner_id="data")


@pytest.fixture
def log_in_as(client):
    def log_in(role, **fields):
        person = User.objects.create_user(f"{role}@example.com", language="en", **fields)
        if role != "superuser":
            person.groups.add(Group.objects.get(name=role))
        client.force_login(person)
        return person

    return log_in


@pytest.fixture
def hold():
    """Hold an event with the given (code, path) reasons."""

    def hold(source, *reasons, name="item_view", record=None, columns=None, minutes_ago=0):
        number = Event.objects.count()
        received_at = timezone.now() - timedelta(minutes=minutes_ago)
        batch = Batch.objects.create(
            source=source, door="file" if columns else "api", received_at=received_at,
            format={"kind": "csv", "columns": columns, "delimiter": ","} if columns else None,
        )  # fmt: skip
        violations = [{"code": code, "path": path, "seen": PHONE if code.startswith("phone") else "x"} for code, path in reasons]
        event = Event.objects.create(
            key=hashlib.blake2b(str(number).encode(), digest_size=16).digest(), source=source, batch=batch, name=name,
            message_id=f"m{number}", received_at=received_at, standing=Event.Standing.HELD, report={"violations": violations},
        )  # fmt: skip
        Original.objects.create(event=event, record=record or json.dumps({"phone": PHONE, "event": name}).encode())
        QuarantineReason.objects.bulk_create(
            QuarantineReason(event=event, source=source, code=code, path=path, name=name, received_at=received_at, leads=not at)
            for at, (code, path) in enumerate(reasons)
        )
        return event

    return hold


def groups(**asked):
    add_up(timezone.now())
    return held_groups(held_causes(**asked))


def causes(client, **params):
    return client.get(reverse("admin:ingestion_quarantinereason_changelist"), params)


def event_page(client, event):
    return client.get(reverse("admin:quarantine_event", args=[event.public_id]))


def test_events_are_grouped_by_source_code_path_and_name(shop, till, hold):
    for _ in range(3):
        hold(shop, ("attribute.missing", "attributes.price"))
    hold(shop, ("attribute.missing", "attributes.order_id"))
    hold(shop, ("attribute.missing", "attributes.price"), name="other")
    hold(till, ("attribute.missing", "attributes.price"))
    found = groups()
    assert [group.cause.held for group in found] == [3, 1, 1, 1]
    assert (found[0].source.pk, found[0].cause.code, found[0].path, found[0].name) == (
        shop.pk,
        "attribute.missing",
        "attributes.price",
        "item_view",
    )


def test_a_group_says_when_it_was_first_and_last_seen(shop, hold):
    old, new = hold(shop, ("event.unknown", ""), minutes_ago=90), hold(shop, ("event.unknown", ""), minutes_ago=5)
    [group] = groups()
    assert (group.cause.first_at, group.cause.last_at) == (old.received_at, new.received_at)


def test_what_is_held_no_more_is_not_counted(client, log_in_as, shop, hold):
    closed = hold(shop, ("event.unknown", ""))
    closed.reasons.update(open=False)
    log_in_as("marketer")
    assert causes(client).context["lines"] == []


def test_an_event_with_two_reasons_is_one_held_event_in_two_groups(client, log_in_as, shop, hold):
    hold(shop, ("attribute.missing", "attributes.price"), ("phone.invalid", "phone"))
    log_in_as("marketer")
    context = causes(client).context
    assert len(context["lines"]) == 2
    assert context["held"] == 1


def test_causes_are_filtered_by_source_and_code(client, log_in_as, shop, till, hold):
    hold(shop, ("event.unknown", ""))
    hold(till, ("event.unknown", ""))
    hold(till, ("phone.invalid", "phone"))
    log_in_as("marketer")
    assert len(causes(client, source="test_till").context["lines"]) == 2
    assert len(causes(client, source="test_till", code="phone.invalid").context["lines"]) == 1
    assert len(causes(client, code="event.unknown").context["lines"]) == 2
    assert causes(client, source="nobody", page="x").context["lines"] == []


def test_causes_are_found_by_what_their_name_or_place_holds_and_ordered(client, log_in_as, shop, till, hold):
    for _ in range(2):
        hold(shop, ("event.unknown", ""), name="checkout started", minutes_ago=1)
    for _ in range(3):
        hold(till, ("attribute.missing", "attributes.price"), name="sale", minutes_ago=30)
    hold(shop, ("event.unknown", ""), name="call 13912345678", minutes_ago=60)
    log_in_as("marketer")

    def names(**asked):
        return [group.cause.name for group, *_ in causes(client, **asked).context["lines"]]

    assert names() == names(order="nonsense") == ["sale", "checkout started", "call 13912345678"]
    assert names(order="last") == names(order="first") == ["checkout started", "sale", "call 13912345678"]
    assert (names(q="Checkout"), names(q="price"), names(q="nothing")) == (["checkout started"], ["sale"], [])
    assert (names(q="call"), names(q="139")) == ([], []), "no number is guessed by searching"
    assert causes(client, q="13912345678").headers["Location"] == reverse("admin:ingestion_quarantinereason_changelist")
    assert b"Read all of these" in causes(client).content and b"Read all of these" not in causes(client, q="call").content


def test_a_held_event_leads_to_its_desk_and_one_let_go_of_does_not(client, log_in_as, shop, hold):
    event = hold(shop, ("event.unknown", "event"))
    log_in_as("marketer")
    groups()
    link = f"{reverse('admin:desk')}?cause={cause_of(event.reasons.get()).pk}"
    assert link in event_page(client, event).content.decode()
    Event.objects.update(standing=Event.Standing.DISCARDED)
    assert link not in event_page(client, event).content.decode()


def test_a_cause_lists_its_events_newest_first_page_by_page(client, log_in_as, shop, hold):
    for minutes in range(53, 0, -1):
        hold(shop, ("event.unknown", ""), minutes_ago=minutes)
    log_in_as("marketer")
    url = reverse("admin:quarantine_cause", args=[groups()[0].cause.pk])
    first, page = (answer := client.get(url)).context, answer.content.decode()
    assert "More events" in page and "Back to the first events" not in page
    second, page = (answer := client.get(url, {"before": first["next_before"]})).context, answer.content.decode()
    assert "More events" not in page and f'<a href="{url}">← Back to the first events</a>' in page
    seen = [line["event"].pk for line in [*first["events"], *second["events"]]]
    assert len(seen) == len(set(seen)) == 53
    assert seen == sorted(seen, reverse=True)
    assert second["next_before"] is None
    beyond = client.get(url, {"before": seen[-1]}).content.decode()
    assert "No more events are held" in beyond and "Back to the first events" in beyond


def test_no_name_path_or_phone_stands_in_a_url(client, log_in_as, shop, hold):
    hold(shop, ("phone.invalid", "phone"), name="call_13800138000")
    log_in_as("marketer")
    hrefs = [part.split('"')[0] for part in causes(client).content.decode().split('href="')[1:]]
    assert not [href for href in hrefs if "13800138000" in href]


def test_the_whole_event_stands_beside_all_its_reasons(client, log_in_as, shop, hold):
    event = hold(
        shop,
        ("attribute.missing", "attributes.price"),
        ("phone.invalid", "phone"),
        record=b'{"a": 12.50, "b": 12345678901234567890}',
    )
    log_in_as("marketer")
    answer = event_page(client, event)
    assert [reason["explained"].code for reason in answer.context["reasons"]] == ["attribute.missing", "phone.invalid"]
    assert all(reason["holds"] for reason in answer.context["reasons"])
    assert '"a": 12.50' in answer.context["original"].text
    assert "12345678901234567890" in answer.context["original"].text


def test_what_holds_the_event_stands_before_what_was_only_noted(client, log_in_as, shop, hold):
    event = hold(shop, ("attribute.unplanned", "attributes.x"), ("attribute.missing", "attributes.price"))
    log_in_as("marketer")
    assert [reason["holds"] for reason in event_page(client, event).context["reasons"]] == [True, False]


def test_an_event_that_was_never_held_is_no_page_of_the_quarantine(client, log_in_as, shop, hold):
    event = hold(shop)
    log_in_as("marketer")
    assert event_page(client, event).status_code == 404


def test_personal_data_is_masked_from_who_may_not_see_it(client, log_in_as, shop, hold):
    record = {"phone": PHONE, "tel": 13912345678, "mail": "li@example.com"}
    event = hold(shop, ("phone.invalid", "phone"), record=json.dumps(record).encode())
    log_in_as("marketer")
    page = event_page(client, event).content.decode()
    assert "1234 5678" not in page
    assert "13912345678" not in page
    assert "li@example.com" not in page
    assert "139****5678" in page
    cause = client.get(reverse("admin:quarantine_cause", args=[cause_of(event.reasons.get()).pk])).content.decode()
    assert "1234 5678" not in cause


def test_who_may_see_it_sees_it_and_leaves_a_trace(client, log_in_as, shop, hold):
    event = hold(shop, ("phone.invalid", "phone"))
    person = log_in_as("superuser", is_superuser=True)
    assert PHONE in event_page(client, event).content.decode()
    assert AccessLog.objects.get().user == person
    assert AccessLog.objects.get().action == AccessLog.Action.ORIGINAL


def test_a_row_of_a_file_is_shown_by_its_columns(client, log_in_as, shop, hold):
    event = hold(shop, ("phone.invalid", "phone"), record=b'm1,"a, b",13800138000', columns=["id", "title", "phone"])
    log_in_as("marketer")
    assert event_page(client, event).context["original"].cells == [("id", "m1"), ("title", "a, b"), ("phone", "138****8000")]


@pytest.mark.parametrize("record", [b"\xff\xfe not json", b"{" * 5000, b"", b'{"a": NaN}', b'[1, "x", null]', b'{"a": "\\ud800"}'])
def test_a_record_of_any_bytes_is_shown(client, log_in_as, shop, hold, record):
    event = hold(shop, ("record.repeated_key", ""), record=record or b" ")
    log_in_as("marketer")
    assert event_page(client, event).status_code == 200


def test_markup_in_an_event_is_text(client, log_in_as, shop, hold):
    event = hold(shop, ("event.unknown", ""), name="<script>alert(1)</script>", record=b'{"a": "<img src=x>"}')
    log_in_as("marketer")
    for answer in (causes(client), event_page(client, event)):
        assert "<script>alert" not in answer.content.decode()
        assert "<img src=x>" not in answer.content.decode()


def test_an_event_that_does_not_exist_is_not_found(client, log_in_as):
    log_in_as("marketer")
    for public_id in ("0" * 32, "zz", "00"):
        assert client.get(f"/admin/ingestion/quarantinereason/event/{public_id}/").status_code == 404


def test_who_may_not_see_the_quarantine_gets_none_of_its_pages(client, log_in_as, shop, hold):
    event = hold(shop, ("event.unknown", ""))
    log_in_as("compliance_officer")
    Group.objects.get(name="compliance_officer").permissions.remove(Permission.objects.get(codename="view_quarantinereason"))
    assert causes(client).status_code == 403
    assert event_page(client, event).status_code == 403
    assert client.get(reverse("admin:quarantine_cause", args=[cause_of(event.reasons.get()).pk])).status_code == 403


def test_pages_ask_the_database_no_more_often_when_more_is_held(client, log_in_as, shop, till, hold, django_assert_max_num_queries):
    for i in range(20):
        hold(shop if i % 2 else till, ("event.unknown", ""), ("attribute.missing", f"attributes.a{i}"), name=f"name{i}")
    publish(notes="t", by=None)
    refresh()
    log_in_as("marketer")
    causes(client)  # adds up what is new
    with django_assert_max_num_queries(20):
        assert causes(client).status_code == 200


# write keys


def test_a_form_whose_answer_showed_a_key_makes_no_second_one(client, log_in_as, shop):
    log_in_as("engineer")
    form = {"source": shop.pk, "name": "my laptop", "per_second": "0", "csrfmiddlewaretoken": "x" * 64}
    place = reverse("admin:ingestion_writekey_add")
    assert client.post(place, form).status_code == 200
    again = client.post(place, form, follow=True)
    assert WriteKey.objects.filter(name="my laptop").count() == 1 and "made already" in again.content.decode()
    rotate = reverse("admin:ingestion_writekey_rotate", args=[WriteKey.objects.get(name="my laptop").pk])
    for _ in range(2):
        client.post(rotate, {"hours": "24", "csrfmiddlewaretoken": "y" * 64})
    assert WriteKey.objects.filter(name="my laptop").count() == 2
    for _ in range(2):
        client.post(reverse("how_to_send", args=[shop.pk]), {"make": "live", "csrfmiddlewaretoken": "z" * 64})
    assert WriteKey.objects.count() == 3
    subscriber = Subscriber.objects.create(url="https://example.com/x")
    for _ in range(2):
        client.post(reverse("admin:ingestion_subscriber_new_secret", args=[subscriber.pk]), {"csrfmiddlewaretoken": "s" * 64})
    after = Subscriber.objects.get(pk=subscriber.pk)
    assert after.salt != subscriber.salt and after.former_salt == subscriber.salt, "the receiver's secret works for a day"


def test_a_write_key_is_shown_once(client, log_in_as, shop):
    person = log_in_as("engineer")
    answer = client.post(reverse("admin:ingestion_writekey_add"), {"source": shop.pk, "name": "live", "per_second": "0"})
    secret = answer.context["secret"]
    key = WriteKey.objects.get()
    assert secret.startswith(WriteKey.PREFIX)
    assert hashlib.sha256(secret.encode()).digest() == bytes(key.hash)
    assert key.created_by == person
    assert secret not in client.get(reverse("admin:ingestion_writekey_change", args=[key.pk])).content.decode()


def test_a_test_key_is_marked(client, log_in_as, shop):
    log_in_as("engineer")
    answer = client.post(reverse("admin:ingestion_writekey_add"), {"source": shop.pk, "test": "on", "per_second": "0"})
    assert answer.context["secret"].startswith(WriteKey.TEST_PREFIX)


@pytest.fixture
def key(shop):
    key = WriteKey(source=shop, name="live", per_second=50)
    key.set_secret()
    key.save()
    return key


def test_a_rotation_makes_a_new_key_and_lets_the_old_one_work_on(client, log_in_as, key):
    log_in_as("engineer")
    url = reverse("admin:ingestion_writekey_rotate", args=[key.pk])
    client.get(url)
    assert WriteKey.objects.count() == 1
    answer = client.post(url, {"hours": "24"})
    assert answer.context["secret"]
    successor = WriteKey.objects.exclude(pk=key.pk).get()
    key.refresh_from_db()
    assert (successor.source, successor.per_second, successor.expires_at) == (key.source, 50, None)
    assert timedelta(hours=23) < key.expires_at - timezone.now() < timedelta(hours=25)


def test_a_revoked_key_stays_revoked(client, log_in_as, key):
    log_in_as("engineer")
    client.post(reverse("admin:ingestion_writekey_revoke", args=[key.pk]))
    key.refresh_from_db()
    assert key.revoked_at
    assert client.post(reverse("admin:ingestion_writekey_rotate", args=[key.pk]), {"hours": "24"}).status_code == 403


def test_who_only_reads_keys_cannot_rotate_or_revoke(client, log_in_as, key):
    log_in_as("marketer")
    assert client.get(reverse("admin:ingestion_writekey_change", args=[key.pk])).status_code == 200
    assert client.post(reverse("admin:ingestion_writekey_rotate", args=[key.pk]), {"hours": "24"}).status_code == 403
    assert client.post(reverse("admin:ingestion_writekey_revoke", args=[key.pk])).status_code == 403


@pytest.mark.parametrize(("role", "told"), [("marketer", False), ("compliance", True)])
def test_what_is_held_is_taken_home_with_all_reasons_masked_as_on_the_page(client, log_in_as, shop, till, hold, role, told):
    log_in_as("superuser", is_superuser=True, is_staff=True) if told else log_in_as(role)
    held = hold(shop, ("phone.invalid", "phone"), ("attribute.missing", "attributes.price"))
    hold(till, ("event.unknown", "event"), name="=HYPERLINK(1)")
    url = reverse("admin:quarantine_export")
    rows = [json.loads(line) for line in client.get(url).getvalue().splitlines()]
    assert [(row["source"], [one["code"] for one in row["reasons"]]) for row in rows] == [
        ("test_shop", ["phone.invalid", "attribute.missing"]),
        ("test_till", ["event.unknown"]),
    ]
    assert rows[0]["_tagline_id"] == held.public_id
    assert ("139 1234 5678" in json.dumps(rows)) == told
    written = client.get(url, {"format": "csv", "source": "test_till"}).getvalue().decode("utf-8-sig")
    assert written.count("\n") >= 2
    assert "test_shop" not in written
    assert ",=HYPERLINK" not in written
    assert AccessLog.objects.filter(action="export").count() == 2


def test_every_attempt_to_let_an_event_in_is_told_newest_first_and_counted_in_the_file(client, log_in_as, shop, hold):
    person = log_in_as("marketer")
    held, other = hold(shop, ("event.unknown", "event")), hold(shop, ("event.unknown", "event"))
    publish(notes="t", by=None)
    release, now = Release.objects.get(), timezone.now()
    told = [("finished", 2, 3), ("undone", 1, 2), ("finished", 2, 1)]
    replays = [
        Replay.objects.create(source=shop, last_event_id=held.pk, status=status, release=release, started_by=person, created_at=now - timedelta(days=days))
        for status, _outcome, days in told
    ]  # fmt: skip
    for replay, (_status, outcome, _days) in zip(replays, told, strict=True):
        Replayed.objects.create(replay=replay, event=held, outcome=outcome)
    page = event_page(client, held)
    assert [(one.replay, one.outcome, one.is_undone) for one in page.context["attempts"]] == [
        (replays[2], 2, False), (replays[1], 1, True), (replays[0], 2, False),
    ]  # fmt: skip
    text = page.content.decode()
    assert "fixed, taken back" in text and reverse("admin:ingestion_replay_change", args=[replays[0].pk]) in text
    assert f"release {release.version} · {person}" in text
    assert "Attempts" not in event_page(client, other).content.decode()
    rows = [json.loads(line) for line in client.get(reverse("admin:quarantine_export")).getvalue().splitlines()]
    assert [(row["attempts"], row["last_attempt_at"]) for row in rows] == [(3, replays[2].created_at.isoformat()), (0, None)]


def reveal(client, event=None, cause=None, **posted):
    url = reverse("admin:quarantine_event_reveal", args=[event]) if event else reverse("admin:quarantine_cause_reveal", args=[cause])
    return client.post(url, posted)


def test_an_event_s_number_is_shown_to_whoever_says_why_and_the_why_is_kept(client, log_in_as, shop, hold):
    person = log_in_as("data_steward")
    event, other = hold(shop, ("phone.invalid", "phone")), hold(shop, ("phone.invalid", "phone"))
    assert PHONE not in event_page(client, event).content.decode()
    answer = reveal(client, event=event.public_id, reason="which digit is missing")
    assert answer.headers["Location"] == reverse("admin:quarantine_event", args=[event.public_id])
    assert PHONE in event_page(client, event).content.decode()
    assert PHONE not in event_page(client, other).content.decode()
    entry = AccessLog.objects.get(action="reveal")
    assert (entry.user, entry.reason) == (person, f"held event {event.public_id}: which digit is missing")
    client.logout()
    client.force_login(person)
    assert PHONE not in event_page(client, event).content.decode()


def test_a_cause_and_its_desk_are_shown_once_it_is_said_why(client, log_in_as, shop, hold, standard):
    log_in_as("data_steward")
    event = hold(shop, ("phone.invalid", "phone"))
    cause = cause_of(QuarantineReason.objects.get())
    pages = [reverse("admin:quarantine_cause", args=[cause.pk]), f"{reverse('admin:desk')}?cause={cause.pk}"]
    for page in pages:
        shown = client.get(page).content.decode()
        assert PHONE not in shown
        assert reverse("admin:quarantine_cause_reveal", args=[cause.pk]) in shown
    assert reveal(client, cause=cause.pk, back="desk", reason="calling the shop").headers["Location"] == pages[1]
    for page in pages:
        shown = client.get(page).content.decode()
        assert PHONE in shown
        assert reverse("admin:quarantine_cause_reveal", args=[cause.pk]) not in shown
    assert PHONE not in event_page(client, event).content.decode()
    assert AccessLog.objects.get(action="reveal").reason == f"held cause {cause.pk}: calling the shop"


def test_without_a_why_nothing_is_shown(client, log_in_as, shop, hold):
    log_in_as("data_steward")
    event = hold(shop, ("phone.invalid", "phone"))
    reveal(client, event=event.public_id, reason=" x ")
    assert PHONE not in event_page(client, event).content.decode()
    assert not AccessLog.objects.filter(action="reveal").exists()


def test_who_may_not_see_customers_is_not_asked_and_not_shown(client, log_in_as, shop, hold):
    log_in_as("product_manager")
    event = hold(shop, ("phone.invalid", "phone"))
    assert reverse("admin:quarantine_event_reveal", args=[event.public_id]) not in event_page(client, event).content.decode()
    assert reveal(client, event=event.public_id, reason="curious").status_code == 403


@pytest.mark.parametrize("posted", [{"event": "zz"}, {"event": "00" * 16}, {"cause": 0}, {"cause": 10**30}])
def test_what_is_not_held_cannot_be_shown(client, log_in_as, posted):
    log_in_as("data_steward")
    assert reveal(client, reason="looking", **posted).status_code == 404


def test_what_a_limited_reader_may_not_read_cannot_be_shown_nor_discarded(client, log_in_as, shop, till, hold):
    Grant.objects.create(department_id="sales", sources_of_id="data", may="read")
    log_in_as("data_steward", department_id="service")
    event = hold(shop, ("phone.invalid", "phone"))
    assert reveal(client, event=event.public_id, reason="looking").status_code == 404
    assert reveal(client, cause=cause_of(QuarantineReason.objects.get()).pk, reason="looking").status_code == 404
    assert client.post(reverse("admin:quarantine_event_discard", args=[event.public_id]), {"why": "a test"}).status_code == 404
