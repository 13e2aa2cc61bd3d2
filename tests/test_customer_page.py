"""One page per phone number shows what this person did everywhere; who looked is recorded; numbers stay masked."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from conftest import publish_starter
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

from ingestion.models import QuarantineReason
from ingestion.pipeline import Incoming, receive
from ingestion.quarantine.causes import cause_of
from profiles.models import Customer, Event
from profiles.page import gist
from profiles.sight import Sight
from profiles.summary import held_of, summary
from profiles.timeline import event_of, holder_of, timeline
from staff.models import AccessLog, ReadToken, User
from taxonomy.current import current, refresh
from taxonomy.models import MappingRule, Source, Tag
from taxonomy.publish import publish

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def send(*events: dict, source="website") -> None:
    receive([Incoming(json.dumps(one).encode()) for one in events], source_code=source, door="api", received_at=NOW, current=current())


def event(number: int, **more) -> dict:
    at = NOW - timedelta(hours=number)
    return {
        "id": f"m{number}",
        "event": "product_view",
        "phone": "+86 138 0013 8000",
        "occurred_at": at.isoformat(),
        "attributes": {"product_id": f"p{number}"},
        **more,
    }


@pytest.fixture
def starter(departments):
    publish_starter()
    refresh()


@pytest.fixture
def customer(standard):
    send(
        *[event(number) for number in range(120)],
        event(200, event="purchase", attributes={"order_id": "o1", "product_id": "p", "price": "10.50", "quantity": 2}),
        event(201, event="nonsense"),
    )
    return Customer.objects.get()


@pytest.fixture
def agent(standard, client):
    user = User.objects.create_superuser("agent@example.com", "x")
    client.force_login(user)
    return client


@pytest.fixture
def rep(standard, client):
    """Somebody who may look customers up and not see numbers."""
    user = User.objects.create_user("rep@example.com", "x")
    user.user_permissions.add(Permission.objects.get(codename="view_customer"))
    client.force_login(user)
    client.user = user
    return client


@pytest.mark.parametrize("typed", ["13800138000", "+86 138-0013-8000", "0086 138 0013 8000", "１３８００１３８０００"])
def test_any_notation_finds_the_customer_and_no_number_is_in_the_address(rep, customer, typed):
    response = rep.post(reverse("customer_search"), {"phone": typed, "region": "CN"})
    assert response.headers["Location"] == reverse("customer", args=[customer.public_id])
    assert AccessLog.objects.filter(action="lookup", customer=customer.public_id).exists()


@pytest.mark.parametrize(("typed", "words"), [("12", "no phone number"), ("13900139000", "Nobody")])
def test_an_unknown_number_says_what_to_do(rep, customer, typed, words):
    assert words in rep.post(reverse("customer_search"), {"phone": typed, "region": "CN"}).content.decode()


def test_the_page_masks_the_number_until_a_reason_is_given(rep, customer):
    url = reverse("customer", args=[customer.public_id])
    before = rep.get(url).content.decode()
    assert "138****8000" in before
    assert "13800138000" not in before.replace(" ", "")
    rep.post(reverse("customer_reveal", args=[customer.public_id]), {"reason": "calls back"})
    assert "138 0013 8000" in rep.get(url).content.decode()
    assert AccessLog.objects.get(action="reveal").reason == "calls back"


def test_a_number_revealed_on_an_event_s_page_is_shown_there(rep, customer):
    newest = timeline(customer)[0][0]
    url = reverse("customer_event", args=[customer.public_id, newest.public_id])
    assert "138 0013 8000" not in rep.get(url).content.decode()
    asked = rep.post(reverse("customer_reveal", args=[customer.public_id]), {"reason": "calls back", "event": newest.public_id})
    assert asked.headers["Location"] == url + "#original"
    assert "+86 138 0013 8000" in rep.get(url).content.decode()


@pytest.mark.parametrize("event_id", ["", "https://elsewhere.example/", "../", "f" * 31, "F" * 32])
def test_whatever_else_asks_to_reveal_leads_to_the_customer(rep, customer, event_id):
    asked = rep.post(reverse("customer_reveal", args=[customer.public_id]), {"reason": "calls back", "event": event_id})
    assert asked.headers["Location"] == reverse("customer", args=[customer.public_id])


def test_without_the_right_there_is_no_page(client, customer):
    url = reverse("customer", args=[customer.public_id])
    assert reverse("admin:login") in client.get(url).headers["Location"]
    engineer = User.objects.create_user("engineer@example.com", "x")
    engineer.groups.add(Group.objects.get(name="engineer"))
    client.force_login(engineer, "django.contrib.auth.backends.ModelBackend")
    refused = client.get(url)
    assert refused.status_code == 403 and "13800138000" not in refused.content.decode()


def test_what_was_bought_is_counted_whatever_its_quantity_is(standard):
    send(bought("a1", attributes={"quantity": 3}))
    Event.objects.filter(message_id="a1").update(attributes={"price": {"amount": 10, "currency": "CNY"}, "quantity": "2 kg"})
    assert sums() == (1, {"CNY": 10.0})


def test_the_page_says_how_much_and_what_is_held(agent, customer):
    page = agent.get(reverse("customer", args=[customer.public_id]))
    assert page.context["summary"].purchases == 1
    assert {currency: float(total) for currency, total in page.context["summary"].sums.items()} == {"CNY": 21.0}
    assert page.context["summary"].held == 1


def bought(id: str, **more) -> dict:
    attributes = {"order_id": "o9", "product_id": "p", "price": "10.00", "quantity": 1, **more.pop("attributes", {})}
    return event(300, id=id, event="purchase", attributes=attributes, phone="+8613900139000", **more)


def sums() -> tuple[int, dict[str, float]]:
    found = summary(Customer.objects.get(links__subject__value="+8613900139000"))
    return found.purchases, {currency: float(total) for currency, total in found.sums.items()}


def test_an_order_told_twice_counts_once(standard):
    send(bought("a1"), bought("a2", attributes={"product_id": "q"}), bought("again"))
    assert sums() == (1, {"CNY": 20.0})
    at_the_till = {"id": "t", "event": "purchase", "phone": "13900139000", "occurred_at": "2026-03-01 09:00:00"}
    send({**at_the_till, "order_id": "o9", "product_id": "p", "price": "10.00", "quantity": "1"}, source="till")
    assert Event.objects.filter(standing=1, source__code="till").count() == 1
    assert sums() == (1, {"CNY": 20.0})


def test_like_lines_are_separate_where_the_source_says_so(standard):
    send(bought("a1"), bought("a2"))
    Source.objects.filter(code="website").update(separate_rows=True)
    publish(notes="t", by=None)
    refresh()
    assert sums() == (1, {"CNY": 20.0})


WHOLE = {"product_id": None, "price": None, "quantity": None}


def whole(id: str, amount: str, *, hours_ago: int, event="purchase", **attributes) -> dict:
    at = (NOW - timedelta(hours=hours_ago)).isoformat()
    return bought(id, attributes={**WHOLE, "amount": amount, **attributes}) | {"event": event, "occurred_at": at}


def test_of_an_order_told_whole_the_newest_telling_counts(starter):
    send(whole("w1", "50.00", hours_ago=9), whole("w3", "45.00", hours_ago=2), whole("w2", "50.00", hours_ago=5))
    assert Event.objects.filter(standing=1).count() == 3 and sums() == (1, {"CNY": 45.0})
    send(whole("other", "1.00", hours_ago=2, order_id="o10"))
    assert sums() == (2, {"CNY": 46.0})
    send(
        bought("line", attributes={"order_id": "o11"}),
        bought("named", attributes={**WHOLE, "order_id": "o11", "amount": "2.00", "product_name": "q"}),
    )
    assert sums() == (3, {"CNY": 58.0})
    send(bought("named too", attributes={**WHOLE, "order_id": "o11", "amount": "3.00", "product_name": "r"}))
    assert sums() == (3, {"CNY": 61.0})


def test_an_order_told_again_is_separate_where_the_source_says_so(starter):
    Source.objects.filter(code="website").update(separate_rows=True)
    publish(notes="t", by=None)
    refresh()
    send(whole("w1", "50.00", hours_ago=9), whole("w2", "50.00", hours_ago=9))
    assert sums() == (1, {"CNY": 100.0})


def test_partial_refunds_are_separate_and_one_told_again_is_one(starter):
    send(whole("w", "50.00", hours_ago=9))
    send(*[whole(f"r{number}", "10.00", hours_ago=8 - number, event="refund", refund_id=f"R{number}") for number in range(2)])
    assert sums() == (1, {"CNY": 30.0})
    send(whole("again", "10.00", hours_ago=1, event="refund", refund_id="R1"))
    assert sums() == (1, {"CNY": 30.0})
    line = {"event": "refund", "refund_id": "R7", "product_id": "p"}
    send(whole("l1", "4.00", hours_ago=3, **line), whole("l2", "6.00", hours_ago=2, **line))
    assert sums() == (1, {"CNY": 24.0}), "of one product in one refund the newest counts"
    nameless = whole("n1", "5.00", hours_ago=4, event="refund")
    send(nameless, nameless | {"id": "n2"}, whole("n3", "5.00", hours_ago=3, event="refund"))
    assert Event.objects.filter(standing=1).count() == 9 and sums() == (1, {"CNY": 14.0})


@pytest.mark.parametrize("query", ["source=nope", "category=nope", "source=%00", "source=nope&category=nope"])
def test_a_filter_of_something_unknown_finds_nothing(rep, customer, query):
    assert rep.get(reverse("customer", args=[customer.public_id]) + "?" + query).context["days"] == []


def test_what_a_shared_device_did_later_is_only_its_holders(standard):
    def on(day: int, **more):
        at = NOW + timedelta(days=day)
        sent = {"id": f"d{day}", "event": "product_view", "identifiers": {"device": "till-1"}, "occurred_at": at.isoformat()}
        send({**sent, "attributes": {"product_id": "p"}, **more})

    on(-20, phone="+8613800138000")
    on(-10, phone="+8613900139000")
    on(-2)
    on(-1, event="nonsense")
    first, second = (Customer.objects.get(links__subject__value=phone) for phone in ("+8613800138000", "+8613900139000"))
    later = Event.objects.get(message_id="d-2")
    assert (event_of(first, bytes(later.key)), event_of(second, bytes(later.key))) == (None, later)
    assert (held_of(first).count(), held_of(second).count()) == (0, 1)


def test_every_page_of_a_timeline_is_recorded(rep, customer):
    url = reverse("customer", args=[customer.public_id])
    rep.get(url, headers={"X-Fragment": "1"})
    assert AccessLog.objects.filter(action="view", customer=customer.public_id).count() == 1


def test_the_chart_tells_categories_and_sources(agent, customer):
    url = reverse("customer", args=[customer.public_id])
    assert len(agent.get(url).context["charts"]) == 1
    send({"id": "t", "event": "login", "phone": "13800138000", "occurred_at": "2026-03-01 09:00:00"}, source="till")
    by_category, by_source = agent.get(url).context["charts"]
    assert {series.label for series in by_source[1].series} >= {Source.objects.get(code=code).label for code in ("website", "till")}
    assert sum(series.total for series in by_source[1].series) == sum(series.total for series in by_category[1].series) == 122


def test_the_rule_that_read_an_event_is_told_as_it_was(rep, standard):
    rule = MappingRule.objects.filter(source__code="website", condition_path="", match="exact", keep_unmapped=True).first()
    assert rule is not None
    send(
        event(
            1,
            event=rule.name,
            attributes={"sku": "s", "product_id": "p", "total": "1", "price": 1, "no": "n", "order_id": "o", "quantity": 1},
        )
    )
    found = Event.objects.get()
    assert found.rule_id == rule.pk
    one = holder_of(bytes(found.key))
    assert one is not None
    told = f"{rule.name} → {rule.tag.code}"
    rule.rows.all().delete()
    rule.delete()
    assert rep.get(reverse("customer_event", args=[one.public_id, found.public_id])).context["rule"] == told


def test_a_name_that_is_a_phone_is_masked_everywhere(rep, customer):
    rep.user.user_permissions.add(Permission.objects.get(codename="view_quarantinereason"))
    rep.user.is_staff = True
    rep.user.save()
    send(event(400, event="13800138000"), event(401, event="call_13800138000"), event(402, event="电话13800138000号"))
    pages = [reverse("admin:index"), reverse("admin:ingestion_quarantinereason_changelist")]
    pages += [reverse("admin:quarantine_cause", args=[cause_of(reason).pk]) for reason in QuarantineReason.objects.all()]
    pages += [reverse("admin:quarantine_event", args=[held.public_id]) for held in Event.objects.filter(standing=2)]
    assert len(pages) > 6
    for page in pages:
        assert "13800138000" not in rep.get(page).content.decode()
    shown = "".join(rep.get(page).content.decode() for page in pages)
    assert "call_138****8000" in shown


def test_a_number_without_plus_is_looked_up_where_most_sources_are(rep, customer):
    send(event(500, phone="+1 202 555 0123"))
    assert rep.get(reverse("customer_search")).context["region"] == "CN"
    Source.objects.update(region="US")
    publish(notes="t", by=None)
    refresh()
    assert rep.post(reverse("customer_search"), {"phone": "(202) 555-0123"}).status_code == 302
    regions = rep.get(reverse("customer_search")).context["regions"]
    assert regions[0] == "US"
    assert len(regions) == len(set(regions))


def test_held_events_of_a_readable_phone_have_a_customer_too(rep, standard):
    send(event(1, event="nonsense", phone="+8613900139000"))
    assert rep.post(reverse("customer_search"), {"phone": "13900139000", "region": "CN"}).status_code == 302


def test_pages_of_a_timeline_hold_every_event_once(customer):
    seen, after = [], None
    while True:
        events, after = timeline(customer, after=after, limit=50)
        seen += [one.pk for one in events]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 121


def test_an_event_shows_the_original_beside_the_standard(rep, customer):
    newest = timeline(customer)[0][0]
    page = rep.get(reverse("customer_event", args=[customer.public_id, newest.public_id])).content.decode()
    assert "p0" in page
    assert "138 0013 8000" not in page


def test_the_page_answers_in_chinese_with_few_queries(agent, customer, django_assert_max_num_queries):
    with django_assert_max_num_queries(26):
        response = agent.get(reverse("customer", args=[customer.public_id]), headers={"Accept-Language": "zh-hans"})
    assert response.status_code == 200


def token_of(user, scopes=("customers",)) -> dict:
    token = ReadToken(user=user, name="t", scopes=list(scopes), expires_at=datetime.now(UTC) + timedelta(days=1))
    secret = token.set_secret()
    token.save()
    return {"Authorization": f"Bearer {secret}"}


def test_a_read_token_reads_masked_pages(rep, customer):
    headers = token_of(rep.user)
    found = rep.post("/api/v1/customers/lookup", {"phone": "13800138000", "region": "CN"}, content_type="application/json", headers=headers)
    assert found.json() == {"id": str(customer.public_id)}
    one = rep.get(f"/api/v1/customers/{customer.public_id}", headers=headers).json()
    assert one["identifiers"][0]["value"] == "+86 138****8000"
    assert one["sums"] == {"CNY": "21.00"} or float(one["sums"]["CNY"]) == 21
    page = rep.get(f"/api/v1/customers/{customer.public_id}/timeline?limit=100&tag=product_view", headers=headers).json()
    assert len(page["results"]) == 100
    following = rep.get(
        f"/api/v1/customers/{customer.public_id}/timeline?limit=100&tag=product_view&after={page['next']}", headers=headers
    ).json()
    assert (len(following["results"]), following["next"]) == (20, None)
    assert AccessLog.objects.filter(channel="api").count() == 4


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "limit"),
        ("after=x", "after"),
        ("since=yesterday", "since"),
        ("limit=9999", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("after=1." + "f" * 4000, "after"),
        ("after=1.-1", "after"),
    ],
)
def test_a_wrong_parameter_is_named(rep, customer, query, path):
    response = rep.get(f"/api/v1/customers/{customer.public_id}/timeline?{query}", headers=token_of(rep.user))
    assert response.status_code == 400
    assert path in response.json()["error"]["message"]


def test_a_write_key_reads_no_customer(client, customer, write_key):
    secret, _key = write_key
    response = client.get(f"/api/v1/customers/{customer.public_id}", headers={"Authorization": f"Bearer {secret}"})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "key.cannot_read")


def test_no_token_wrong_token_and_wrong_scope_are_told_apart(rep, customer):
    url = f"/api/v1/customers/{customer.public_id}"
    assert rep.get(url).status_code in (401, 403)
    wrong = rep.get(url, headers={"Authorization": "Bearer tlr_wrong"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "key.unknown")
    assert rep.get(url, headers=token_of(rep.user, scopes=["plan"])).status_code == 403


def test_what_looks_personal_in_a_trait_is_masked_for_who_may_not_see_it(rep, standard):
    """Whatever attribute it stands in: one of a personal class is hidden whole."""
    Tag.objects.filter(code="profile_update").update(code="profile_former")
    Tag.objects.filter(code="product_view").update(code="profile_update")
    publish(notes="traits", by=None)
    refresh()
    given = {"product_id": "13800138999", "category": "write to ann.li@example.com", "price": "12345678.00"}
    send(event(1, event="profile_update", identifiers={"user_id": "member-77"}, attributes=given))
    send(event(2, event="profile_update", attributes={"product_id": "member-77"}), event(3, event="nonsense"))
    one = Customer.objects.get()
    headers = token_of(rep.user)

    def seen() -> tuple[str, dict]:
        page = rep.get(reverse("customer", args=[one.public_id])).content.decode()
        return page.partition("Traits")[2].partition("</section>")[0], rep.get(
            f"/api/v1/customers/{one.public_id}", headers=headers
        ).json()["traits"]

    page, traits = seen()
    assert (traits["product_id"], traits["category"]) == ("138****8999", "write to a***@example.com")
    assert "13800138999" not in page
    assert "ann.li" not in page
    assert "12,345,678" in page
    send(event(0, event="profile_update", attributes={"product_id": "member-77"}))
    page, traits = seen()
    assert "member-77" not in page + traits["product_id"]
    rep.user.user_permissions.add(Permission.objects.get(codename="see_personal_data"))
    page, traits = seen()
    assert traits["product_id"] == "member-77"
    assert "ann.li@example.com" in page


def test_what_is_held_of_a_customer_is_one_click_away_and_only_that(agent, customer):
    send(event(202, event="nonsense", phone="+86 139 0013 9000"))
    page = agent.get(reverse("customer", args=[customer.public_id])).content.decode()
    link = reverse("admin:quarantine_customer", args=[customer.public_id])
    assert f'href="{link}"' in page
    answer = agent.get(link)
    (held,) = Event.objects.filter(standing=Event.Standing.HELD, message_id="m201")
    assert [one.pk for one, _name, _titles in answer.context["events"]] == [held.pk]
    assert held.public_id in answer.content.decode()
    assert AccessLog.objects.filter(action="view", customer=customer.public_id).count() == 2


def test_who_may_not_see_the_quarantine_is_told_and_not_led_there(rep, customer):
    page = rep.get(reverse("customer", args=[customer.public_id])).content.decode()
    assert "1 event of this customer is held" in page
    link = reverse("admin:quarantine_customer", args=[customer.public_id])
    assert link not in page
    assert rep.get(link).status_code == 403


def test_a_line_of_the_timeline_begins_with_what_was_paid(agent, customer):
    told = Event.objects.get(message_id="m200")
    assert "10.50" in gist(told, Sight(unmasked=True)).partition(" · ")[0]


def test_the_pages_open_whatever_an_amount_is(agent, customer):
    """A price may have a hundred digits, and what nobody planned for may only be named like money."""
    attributes = {"order_id": "o9", "product_id": "p", "price": "1e98", "quantity": 3, "haggled": {"amount": 5, "currency": 156}}
    send(event(0, id="huge", event="purchase", attributes=attributes))
    page = agent.get(reverse("customer", args=[customer.public_id]))
    assert page.status_code == 200 and f"300{',000' * 20}" in page.content.decode()
    huge = Event.objects.get(message_id="huge")
    assert huge.standing == Event.Standing.COUNTED
    shown = agent.get(reverse("customer_event", args=[customer.public_id, huge.public_id])).content.decode()
    assert f"100{',000' * 32}" in shown and "156" in shown
