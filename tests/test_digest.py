"""The daily digest of the quarantine and a source's monthly scorecard: to whom, when, and what they say."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.urls import reverse

from ingestion.models import Cause, CauseDay, Digest, Replay
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.causes import add_up
from ingestion.quarantine.replay import ask, run_replay
from ingestion.watching.digest import news_for, send_digests
from ingestion.watching.scorecard import month_before, scorecards
from profiles.models import Tally
from staff.models import Notice, User
from taxonomy.current import current
from taxonomy.models import Grant, Source, Tag
from taxonomy.released import by_code

pytestmark = pytest.mark.django_db
# A Monday, nine o'clock in Shanghai.
MONDAY = datetime(2026, 3, 2, 1, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _zone(settings):
    settings.TIME_ZONE = "Asia/Shanghai"


def hold(*names: str, at=MONDAY, phone="13800138000", source="website") -> None:
    events = [{"id": f"{name}{at}{number}", "event": name, "phone": phone} for number, name in enumerate(names)]
    incoming = [Incoming(json.dumps(one).encode()) for one in events]
    receive(incoming, source_code=source, door="api", received_at=at, current=current())
    add_up(at)


@pytest.fixture
def kim(standard):
    return colleague("kim@example.com", language="zh-hans", department_id="marketing")


def colleague(email: str, **fields) -> User:
    found = User.objects.create_user(email, **{"language": "en", "time_zone": "Asia/Shanghai", **fields})
    found.groups.add(Group.objects.get(name="marketer"))
    return found


def test_new_causes_are_told_to_the_departments_people_in_their_language(kim):
    lee, other = colleague("lee@example.com", department_id="marketing"), colleague("o@example.com", department_id="sales")
    hold("buy_now", "buy_now", "call_13800138000", at=MONDAY - timedelta(hours=3))
    assert send_digests(MONDAY) == 2
    to = {letter.to[0]: letter for letter in mail.outbox}
    assert to.keys() == {kim.email, lee.email}
    assert to[lee.email].subject == "Quarantine: 2 new, 0 growing, 0 fixed"
    assert ["Hello" in to[person.email].body for person in (kim, lee)] == [False, True]
    assert all(cause.get_absolute_url() in to[lee.email].body for cause in Cause.objects.all())
    assert "13800138000" not in to[lee.email].body
    assert "buy_now" in to[lee.email].body
    assert Notice.objects.get(user=lee).link == Digest.objects.get(user=lee).get_absolute_url()
    assert not Notice.objects.filter(user=other).exists()


def test_a_letter_names_some_of_many_and_says_how_many_more_its_page_lists(kim, client):
    hold(*(f"buy_{number}" for number in range(25)), at=MONDAY - timedelta(hours=3))
    send_digests(MONDAY)
    (letter,) = mail.outbox
    assert (letter.body.count("buy_"), "另有 5 项" in letter.body) == (20, True)
    client.force_login(kim)
    page = client.get(Digest.objects.get().get_absolute_url())
    assert len(page.context["news"].new) == Digest.objects.get().news == 25


def test_nobody_is_told_twice_at_another_hour_or_of_nothing(kim):
    hold("buy_now", at=MONDAY - timedelta(hours=3))
    assert [send_digests(MONDAY - timedelta(hours=2)), send_digests(MONDAY), send_digests(MONDAY + timedelta(minutes=10))] == [0, 1, 0]
    assert send_digests(MONDAY + timedelta(days=1)) == 0
    assert Digest.objects.filter(user=kim).count() == 2


def test_who_wants_no_reminders_gets_none(kim):
    User.objects.update(reminder_days=[])
    hold("buy_now", at=MONDAY - timedelta(hours=3))
    assert send_digests(MONDAY) == 0


def test_what_holds_nothing_any_more_is_told_as_fixed(kim):
    hold("buy_now", at=MONDAY - timedelta(days=1))
    cause = Cause.objects.get()
    run_replay(ask(Replay(source_id=cause.source_id, code=cause.code, path=cause.path, name=cause.name, act="discard", why="x")).pk)
    add_up(MONDAY - timedelta(hours=1))
    news = news_for(kim, MONDAY - timedelta(hours=2), MONDAY)
    assert ([group.cause for group in news.fixed], news.new) == ([cause], [])


@pytest.mark.parametrize(("usual", "last", "grows"), [(1, 9, False), (5, 10, True), (6, 11, False), (0, 10, True), (50, 90, False)])
def test_a_cause_grows_when_a_day_is_twice_a_usual_one(kim, usual, last, grows):
    hold("buy_now", at=MONDAY - timedelta(days=9))
    cause = Cause.objects.get()
    CauseDay.objects.all().delete()
    today = date(2026, 3, 2)
    CauseDay.objects.bulk_create(CauseDay(cause=cause, day=today - timedelta(days=back), arrived=usual) for back in range(2, 9))
    CauseDay.objects.create(cause=cause, day=today - timedelta(days=1), arrived=last)
    news = news_for(kim, MONDAY - timedelta(days=1), MONDAY)
    assert [(one.group.cause, one.events) for one in news.growing] == ([(cause, last)] if grows else [])


def test_what_grew_over_a_weekend_is_told_on_monday_and_once(kim):
    hold("buy_now", at=MONDAY - timedelta(days=9))
    cause = Cause.objects.get()
    Cause.objects.update(opened_at=MONDAY - timedelta(days=9))
    CauseDay.objects.all().delete()
    days = {20: 1, 26: 50, 27: 40, 28: 90}  # Thursday's was told on Friday; Friday's and Saturday's are not told yet
    CauseDay.objects.bulk_create(CauseDay(cause=cause, day=date(2026, 2, day), arrived=arrived) for day, arrived in days.items())
    friday = MONDAY - timedelta(days=3)
    Digest.objects.create(user=kim, since=friday - timedelta(days=1), until=friday, news=1)
    (grown,) = news_for(kim, friday, MONDAY).growing
    assert (grown.day, grown.events) == (date(2026, 2, 28), 90)
    User.objects.update(language="en")
    send_digests(MONDAY)
    assert ["90 events on 2026-02-28" in letter.body for letter in mail.outbox].count(True) == 1
    assert not news_for(kim, MONDAY, MONDAY + timedelta(days=1)).growing


def test_sources_that_somebody_may_not_read_are_not_told_of(kim):
    lee = colleague("lee@example.com", department_id="sales")
    hold("buy_now", at=MONDAY - timedelta(hours=3))
    Cause.objects.update(department="sales")
    assert len(news_for(lee, MONDAY - timedelta(days=1), MONDAY)) == 1
    Grant.objects.create(department_id="service", may="read", sources_of_id="marketing")
    assert len(news_for(lee, MONDAY - timedelta(days=1), MONDAY)) == 0


@pytest.fixture
def mail_fails(monkeypatch):
    def fail(*_arguments, **_more):
        raise ConnectionRefusedError("kim@example.com")

    with monkeypatch.context() as patch:
        patch.setattr("staff.letters.send_mail", fail)
        yield patch


def test_a_letter_that_no_mail_server_took_is_tried_again_and_sent_once(kim, mail_fails, caplog):
    colleague("lee@example.com", department_id="marketing")
    hold("buy_now", at=MONDAY - timedelta(hours=3))
    later = [MONDAY + timedelta(minutes=10 * runs) for runs in range(4)]
    assert (send_digests(later[0]), Notice.objects.count()) == (0, 2)
    assert (send_digests(later[1]), "kim@example.com" in caplog.text) == (0, False)
    mail_fails.undo()
    assert [send_digests(at) for at in later[2:]] == [2, 0]
    assert sorted(letter.to[0] for letter in mail.outbox) == [kim.email, "lee@example.com"]
    assert (Digest.objects.count(), Notice.objects.count()) == (2, 2)


def test_what_was_not_sent_all_morning_is_in_the_next_days_letter(kim, mail_fails):
    hold("buy_now", at=MONDAY - timedelta(hours=3))
    send_digests(MONDAY)
    mail_fails.undo()
    assert send_digests(MONDAY + timedelta(hours=9)) == 0  # nobody is written to in the evening
    assert [send_digests(MONDAY + timedelta(days=days)) for days in (1, 2)] == [1, 0]
    assert "buy_now" in mail.outbox[0].body
    assert Notice.objects.count() == 1


def test_a_scorecard_that_no_mail_server_took_is_tried_again_alone(kim, mail_fails):
    judged(2, 89, 10)
    send_digests(datetime(2026, 2, 27, 1, 5, tzinfo=UTC))
    hold("buy_now", at=MONDAY - timedelta(hours=3))
    send_digests(MONDAY)
    digest = Digest.objects.first()
    assert digest.unsent == ["digest", "scorecard"]
    Digest.objects.filter(pk=digest.pk).update(unsent=["scorecard"])
    mail_fails.undo()
    days = [MONDAY + timedelta(days=day) for day in (1, 2)]
    assert [send_digests(at) for at in days] == [1, 0]
    assert ("89.0 %" in mail.outbox[0].body, Notice.objects.filter(link__contains="scorecard").count()) == (True, 1)


def test_scorecards_that_no_mail_server_took_for_over_a_month_are_all_sent(kim, mail_fails):
    judged(2, 89, 10)
    judged(3, 79, 20)
    send_digests(datetime(2026, 2, 27, 1, 5, tzinfo=UTC))
    hold("buy_now", at=MONDAY - timedelta(hours=3))
    april = datetime(2026, 4, 1, 1, 5, tzinfo=UTC)
    assert [send_digests(at) for at in (MONDAY, MONDAY + timedelta(days=1), april)] == [0, 0, 0]
    mail_fails.undo()
    assert [send_digests(april + timedelta(minutes=minutes)) for minutes in (10, 20)] == [3, 0]
    told = [[month in letter.body for month in ("month=2026-02", "month=2026-03")] for letter in mail.outbox]
    assert told == [[True, False], [False, False], [False, True]]


def test_the_page_shows_ones_own_digest(client, kim):
    hold("buy_now", at=MONDAY - timedelta(hours=3))
    send_digests(MONDAY)
    digest = Digest.objects.get()
    client.force_login(kim)
    assert "buy_now" in client.get(digest.get_absolute_url()).content.decode()
    assert client.get(reverse("admin:quarantine_digest")).status_code == 200
    client.force_login(colleague("lee@example.com", department_id="marketing"))
    assert client.get(digest.get_absolute_url()).status_code == 404


def judged(month: int, accepted: int, quarantined: int) -> None:
    source = Source.objects.get(code="website")
    at = datetime(2026, month, 10, tzinfo=UTC)
    Tally.objects.create(
        batch_id=source.pk, source=source, received_at=at, accepted=accepted, quarantined=quarantined, refused=1, duplicate=50
    )


def test_a_scorecard_says_what_a_month_was_like_and_the_one_before(standard):
    judged(1, 79, 20)
    judged(2, 89, 10)
    hold("a", "b", "b", at=datetime(2026, 2, 28, 15, 59, tzinfo=UTC))
    hold("a", "a", at=datetime(2026, 2, 28, 16, 1, tzinfo=UTC))  # March in Shanghai
    Tally.objects.filter(received_at__gte=datetime(2026, 2, 28, tzinfo=UTC)).delete()
    cause = Cause.objects.get(name="b")
    CauseDay.objects.filter(cause=cause).update(fixed=2, fixed_after_seconds=7200)
    february, january = scorecards(by_code("source", "website"), date(2026, 2, 1), months=2, shown=str)
    assert (february.conformity, january.conformity, february.judged) == (89.0, 79.0, 100)
    assert (february.top.cause, february.top_events, february.fixed, february.fixed_after) == (cause, 2, 2, timedelta(hours=1))
    assert (january.top, january.fixed_after) == (None, None)
    (march,) = scorecards(by_code("source", "website"), date(2026, 3, 1), months=1, shown=str)
    assert (march.conformity, march.top.cause.name, march.top_events) == (None, "a", 2)


def test_once_a_month_is_over_its_scorecards_are_sent_to_the_owners_people(kim):
    judged(2, 89, 10)
    last = datetime(2026, 2, 27, 1, 5, tzinfo=UTC)
    assert send_digests(last) == 0
    assert send_digests(MONDAY) == 1
    letter = mail.outbox[0]
    assert ("89.0 %" in letter.body, "month=2026-02" in letter.body) == (True, True)
    assert Notice.objects.filter(user=kim, link__contains="scorecard").count() == 1
    assert send_digests(MONDAY + timedelta(days=1)) == 0


def test_a_scorecard_goes_to_owners_from_whom_no_tag_is_hidden_and_opens_for_them_alone(kim, client):
    lee = colleague("lee@example.com", department_id="marketing")
    judged(2, 89, 10)
    send_digests(datetime(2026, 2, 27, 1, 5, tzinfo=UTC))
    Grant.objects.create(person=kim, may="read", category=Tag.objects.get(code="purchase").category)
    send_digests(MONDAY)
    assert [letter.to for letter in mail.outbox] == [[kim.email]]
    source = Source.objects.get(code="website").pk
    for person, status in ((kim, 200), (lee, 403)):
        client.force_login(person)
        card = reverse("admin:quarantine_scorecard", args=[source])
        assert client.get(card).status_code == status
        assert (card in client.get(reverse("admin:source_health", args=[source])).content.decode()) is (status == 200)


def test_the_scorecards_page_keeps_to_months_that_were(client, kim):
    judged(2, 89, 10)
    client.force_login(kim)
    url = reverse("admin:quarantine_scorecard", args=[Source.objects.get(code="website").pk])
    assert client.get(url, {"month": "2026-02"}).context["card"].conformity == 89.0
    for nonsense in ("2026-13", "x", "9999-01", "0001-01"):
        assert client.get(url, {"month": nonsense}).context["running"]
    assert client.get(reverse("admin:quarantine_scorecard", args=["00000000-0000-0000-0000-000000000000"])).status_code == 404


def test_months_are_counted_over_the_turn_of_a_year():
    assert (month_before(date(2026, 1, 1)), month_before(date(2026, 12, 1), -1), month_before(date(2026, 3, 1), 15)) == (
        date(2025, 12, 1),
        date(2027, 1, 1),
        date(2024, 12, 1),
    )
