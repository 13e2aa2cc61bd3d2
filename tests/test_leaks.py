"""Personal data in attributes that are not declared personal: told from what only looks like it, found, counted, told once, masked."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

from ingestion.models import Discovered, Leak, QuarantineReason
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.causes import cause_of
from ingestion.watching import leaks
from ingestion.watching.leaks import EVENTS_LOOKED_AT, found_leaks
from ingestion.watching.rollup import roll_up
from profiles.models import Customer, Event
from staff.masking import mask_in_text
from staff.models import Notice, ReadToken, User
from staff.personal import personal_in
from taxonomy.current import current
from taxonomy.models import Attribute, Grant, Source

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
PHONE, CARD, IDENTITY = "13912345678", "6222021234567890128", "11010519491231002X"
db = pytest.mark.django_db

PERSONAL = [
    (PHONE, "phone"), ("139 1234 5678", "phone"), ("+86 139-1234-5678", "phone"), ("008613912345678", "phone"),
    ("+1 415 555 0100", "phone"), ("请拨打13912345678联系", "phone"), ("tel13912345678", "phone"), ("手机:13912345678,张三", "phone"),
    (IDENTITY, "identity_card"), (IDENTITY.lower(), "identity_card"), ("身份证11010519491231002X号", "identity_card"),
    (CARD, "bank_card"), ("4111 1111 1111 1111", "bank_card"), ("4111-1111-1111-1111", "bank_card"), ("378282246310005", "bank_card"),
    ("3782 822463 10005", "bank_card"), ("5555555555554444", "bank_card"), ("2223003122003222", "bank_card"), ("6011111111111117", "bank_card"),
    ("3530111333300000", "bank_card"), ("30569309025904", "bank_card"), ("卡号6222021234567890128。", "bank_card"),
    ("4222222222222", "bank_card"), ("6240008631401148", "bank_card"),
]  # fmt: skip
NOT_PERSONAL = [
    # times
    "1794612345", "1794612345123", "1794612345123456", "20261103101500", "2026-11-03 10:15:00", "2026-11-03T10:15:00.123456+08:00",
    # order numbers: with the day before, a run of digits, a mistyped card, parts
    "20261103101500012345", "202611031015000123", "100000000000000001", "6222021234567890129", "4111111111111112", "m-898-202611019081",
    "2026110313912345678", "SO13912345678", "13912345678A", "1391234567800", "0013912345678", "4111 1111 1111 1112", "4111 1111 1111 1111 1",
    # articles: EAN-13 of China, Germany and Japan, of which some pass a card's check digit too; UPC; GTIN-14; ISBN
    "6901234567892", "4006381333931", "4902430735612", "4900000000009", "036000291452", "10012345678902", "9787111075752",
    # a mobile number's length that no operator has, numbers of elsewhere without a plus, parts of decimals
    "12012345678", "11912345678", "15412345678", "02025550123", "0.13912345678", "113912345678.5", "SKU13912345678", "SKU-1234567890123456",
    # identity numbers with a wrong check sign, no such region, no such day
    "110105194912310021", "010105194912310021", "990105194912310023", "110105194902300026",
    "550e8400-e29b-41d4-a716-446655440000", "192.168.100.200", "12345678901", "3.14159265358979",
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind"), PERSONAL)
def test_personal_data_is_known_however_it_is_written(text, kind):
    assert [found.kind for found in personal_in(text) if found.sure] == [kind]
    assert mask_in_text(text) != text


@pytest.mark.parametrize("text", NOT_PERSONAL)
def test_what_only_looks_like_it_is_none(text):
    assert [found for found in personal_in(text) if found.sure] == []


def send(*events: dict, source="website", at=NOW) -> None:
    base = {"phone": "+8613800138000", "occurred_at": (at - timedelta(minutes=5)).isoformat()}
    incoming = [Incoming(json.dumps({**base, **event}).encode()) for event in events]
    receive(incoming, source_code=source, door="api", received_at=at, current=current())


def views(*values, first=0, **more) -> list[dict]:
    """product_view's, with a value each in the planned text `category` and beside the plan in `note`."""
    return [
        {"id": f"m{number}", "event": "product_view", "attributes": {"product_id": "p", "category": value, "note": value}, **more}
        for number, value in enumerate(values, first)
    ]


def arrive(*values, at=NOW, **more) -> None:
    send(*views(*values, **more), at=at)
    roll_up(at)


@pytest.fixture
def officer(standard):
    made = User.objects.create_user("officer@example.com", "x", department_id="compliance")
    made.groups.add(Group.objects.get(name="compliance_officer"))
    return made


def found() -> list[tuple]:
    rows = (
        found_leaks()
        .order_by("kind", "attribute")
        .values_list("source__code", "tag__code", "attribute", "kind", "count", "example", "planned")
    )
    return list(rows)


@db
def test_each_source_tag_attribute_and_kind_is_counted_with_a_masked_example(officer):
    arrive(PHONE, f"card {CARD} of {IDENTITY}", "tea")
    arrive(PHONE, first=9, at=NOW + timedelta(hours=1))
    assert found() == [
        ("website", "product_view", attribute, kind, count, example, planned)
        for kind, count, example in (("bank_card", 1, "****0128"), ("identity_card", 1, "11****2X"), ("phone", 2, "139****5678"))
        for attribute, planned in (("category", True), ("note", False))
    ]
    row = Leak.objects.filter(kind="phone").first()
    assert (row.first_at, row.last_at) == (NOW, NOW + timedelta(hours=1))


@db
def test_it_is_found_at_any_depth_and_as_a_number(officer):
    send(*views({"who": [{"tel": int(PHONE)}]}, attributes={"product_id": "p", "note": {"who": [{"tel": int(PHONE)}]}}))
    roll_up(NOW)
    assert [row[2:4] for row in found()] == [("note", "phone")]


@db
def test_compliance_is_told_of_each_finding_once_and_nobody_else(officer):
    other = User.objects.create_superuser("other@example.com", "x", department_id="marketing")
    away = User.objects.create_user("away@example.com", "x", department_id="compliance")
    arrive(*[PHONE] * 20)
    told = Notice.objects.filter(user=officer).order_by("id")
    assert len(told) == 2 and not Notice.objects.filter(user__in=[other, away]).exists()
    assert {str(one) for one in told} == {
        f"Web shop sends phone numbers in “{one}”, which is not declared personal." for one in ("category", "note")
    }
    arrive(PHONE, "13812345678", first=50)
    assert told.all().count() == 2
    arrive(CARD, first=90)
    assert told.all().count() == 4
    assert not any(PHONE in one.text + json.dumps(one.values) + one.link for one in told)


@db
def test_what_holds_no_personal_data_is_no_finding(officer):
    arrive(*NOT_PERSONAL)
    assert found() == [] and not Notice.objects.exists()


@db
def test_order_numbers_of_which_some_pass_the_check_digit_are_no_cards(officer):
    numbers = [f"62{number:014d}" for number in range(100)]
    assert sum(one.sure for number in numbers for one in personal_in(number)) == 10
    arrive(*numbers)
    assert found() == [] and Leak.objects.get(attribute="note").count == 10
    assert not Notice.objects.exists()


@db
def test_what_is_declared_personal_is_not_looked_at(officer):
    Attribute.objects.filter(code="category").update(personal="contact")
    Attribute.objects.create(code="note", label_en="n", label_zh_hans="n", personal="contact")
    arrive(PHONE)
    assert not Leak.objects.exists()


@db
def test_a_flood_costs_no_more_than_a_sample_of_it(officer):
    arrive(*[PHONE] * (EVENTS_LOOKED_AT + 7))
    assert {row[4] for row in found()} == {EVENTS_LOOKED_AT}


@db
def test_names_beyond_the_limit_are_kept_together(officer, monkeypatch):
    monkeypatch.setattr(leaks, "MOST", 3)
    for number in range(5):
        send({"id": f"x{number}", "event": "login", "attributes": {f"free{number}": PHONE}})
    roll_up(NOW)
    assert Leak.objects.count() == 4
    rest = Leak.objects.get(attribute=Leak.OTHERS)
    assert (rest.tag, rest.count) == (None, 2)


# ── the page


def page(client, **asked):
    return client.get(reverse("admin:ingestion_leak_changelist"), asked)


@db
def test_the_page_lists_them_until_they_are_declared_or_ignored(officer, client):
    arrive(PHONE)
    client.force_login(officer)
    shown = page(client)
    assert {row["row"].attribute for row in shown.context["rows"]} == {"category", "note"}
    assert "139****5678" in shown.content.decode() and PHONE not in shown.content.decode()
    Attribute.objects.filter(code="category").update(personal="contact")
    assert [row["row"].attribute for row in page(client).context["rows"]] == ["note"]
    assert [row["row"].attribute for row in page(client, state="declared").context["rows"]] == ["category"]

    act = reverse("admin:leak_act", args=[Leak.objects.get(attribute="note").pk])
    client.post(act, {"act": "ignore", "reason": "", "until": "2999-01-01"})
    client.post(act, {"act": "ignore", "reason": "r", "until": "2001-01-01"})
    assert [row["row"].attribute for row in page(client).context["rows"]] == ["note"]
    client.post(act, {"act": "ignore", "reason": "the shop's own number", "until": "2999-01-01"})
    assert not page(client).context["rows"]
    assert "the shop&#x27;s own number" in page(client, state="ignored").content.decode()
    Leak.objects.update(ignored_until=date(2001, 1, 1))
    assert [row["row"].attribute for row in page(client).context["rows"]] == ["note"]
    Leak.objects.update(ignored_until=date(2999, 1, 1))
    client.post(act, {"act": "look_again"})
    row = Leak.objects.get(attribute="note")
    assert (row.ignored_until, row.ignored_by, row.count) == (None, None, 1)


@db
def test_the_page_leads_to_where_an_attribute_is_declared(standard, client):
    client.force_login(User.objects.create_superuser("root@example.com", "x"))
    arrive(PHONE)
    links = {row["row"].attribute: row["declare"] for row in page(client).context["rows"]}
    assert (
        links["category"] == reverse("admin:taxonomy_attribute_change", args=[Attribute.objects.get(code="category").pk]) + "#id_personal"
    )
    assert links["note"] == reverse("admin:ingestion_discovered_change", args=[Discovered.objects.get(name="note").pk])
    Discovered.objects.all().delete()
    [link] = [row["declare"] for row in page(client).context["rows"] if row["row"].attribute == "note"]
    assert client.get(link).context["adminform"].form.initial["personal"] == "contact"


@db
def test_a_name_that_is_a_phone_is_masked_and_in_no_address(standard, client):
    client.force_login(User.objects.create_superuser("root@example.com", "x"))
    send({"id": "1", "event": "login", "attributes": {PHONE: CARD}})
    roll_up(NOW)
    shown = page(client)
    assert "139****5678" in shown.content.decode() and PHONE not in shown.content.decode()


@db
def test_a_limited_reader_sees_those_of_what_they_may_read(officer, client):
    arrive(PHONE)
    engineer = User.objects.create_user("engineer@example.com", "x", department_id="product")
    engineer.groups.add(Group.objects.get(name="engineer"))
    client.force_login(engineer)
    assert len(page(client).context["rows"]) == 2
    Grant.objects.create(department_id="sales", may="read", sources_of_id=Source.objects.get(code="website").owner_id)
    assert not page(client).context["rows"]
    assert client.post(reverse("admin:leak_act", args=[Leak.objects.first().pk]), {"act": "look_again"}).status_code == 403


# ── masked in every view for who may not see personal data


@pytest.fixture
def shown(standard, client):
    """What each page and the API say of an event whose undeclared attributes hold all kinds, to somebody with these rights."""
    values = f"{PHONE} {CARD} {IDENTITY}"
    send(
        {"id": "1", "event": "product_view", "attributes": {"product_id": PHONE, "category": values, "note": values, "tel": int(PHONE), "card": int(CARD)}},
        {"id": "2", "event": values, "attributes": {"note": values}},
        {"id": "3", "event": "review_submit", "attributes": {"product_id": "p", "rating": values}},
        {"id": "4", "event": "identify", "attributes": {"note": values}},
    )  # fmt: skip
    roll_up(NOW)
    customer, event = Customer.objects.get(), Event.objects.get(message_id="1")
    assert event.standing == Event.Standing.COUNTED and PHONE in str(event.refinements)

    def look(*more: str) -> dict[str, str]:
        person = User.objects.create_user(f"{len(more)}@example.com", "x")
        names = ["view_customer", "view_quarantinereason", "view_leak", *more]
        person.user_permissions.set(Permission.objects.filter(codename__in=names))
        client.force_login(person)
        token = ReadToken(user=person, name="t", scopes=["customers"], expires_at=datetime.now(UTC) + timedelta(days=1))
        secret = token.set_secret()
        token.save()
        urls = {
            "customer": reverse("customer", args=[customer.public_id]),
            "event": reverse("customer_event", args=[customer.public_id, event.public_id]),
            "latest": reverse("latest"),
            "quarantine": reverse("admin:ingestion_quarantinereason_changelist"),
            "discovered": reverse("admin:ingestion_discovered_changelist"),
            "leaks": reverse("admin:ingestion_leak_changelist"),
            "api customer": reverse("api_customer", args=[customer.public_id]),
            "api timeline": reverse("api_timeline", args=[customer.public_id]),
        }
        for reason in QuarantineReason.objects.all():
            urls[f"cause {reason.pk}"] = reverse("admin:quarantine_cause", args=[cause_of(reason).pk])
            urls[f"held {reason.pk}"] = reverse("admin:quarantine_event", args=[reason.event.public_id])
        for one in Discovered.objects.all():
            urls[f"discovered {one.pk}"] = reverse("admin:ingestion_discovered_change", args=[one.pk])
        answers = {name: client.get(url, headers={"Authorization": f"Bearer {secret}"}) for name, url in urls.items()}
        assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(urls, 200)
        return {name: answer.content.decode() for name, answer in answers.items()}

    return look


@db
def test_no_view_shows_it_to_who_may_not_see_personal_data(shown):
    for name, text in shown().items():
        for secret in (PHONE, CARD, IDENTITY):
            assert secret not in text, f"{name} shows {secret}"


@db
def test_who_may_see_personal_data_sees_it(shown):
    texts = shown("see_personal_data")
    assert [(name, one) for name in ("event", "api timeline") for one in (PHONE, CARD, IDENTITY) if one not in texts[name]] == []
