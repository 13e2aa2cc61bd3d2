"""The whole way of a change, from an idea to a release and back: four people of three departments, each in a browser of their own."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from conftest import wait_until
from django.contrib.auth.models import Group
from django.urls import reverse
from playwright.sync_api import Locator, Page, expect

from ingestion.models import ReplayOffer, WriteKey
from ingestion.pipeline import Incoming, receive
from profiles.models import Event
from staff.models import User
from taxonomy.current import current
from taxonomy.definition import apply_definition, definition
from taxonomy.models import Proposal, Release, Source, Tag
from taxonomy.publish import publish

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.needs("chromium"),
    pytest.mark.needs("fonts"),
]
CAST = {
    "mia": ("marketing", "marketer"), "max": ("marketing", "marketer"), "sue": ("sales", "sales_rep"), "dan": ("data", "data_steward"),
}  # fmt: skip
PASSWORD = "a long password"


@pytest.fixture
def viewing(standard) -> Tag:
    """“View a product”, which needs a product_id: a tag of sales, sent by the data team's web shop and marketing's app.

    So all three sign; while both marketers are authors, the data stewards sign for marketing.
    """
    for item, owner in [(Tag.objects.get(code="product_view"), "sales"), (Source.objects.get(code="website"), "data")]:
        apply_definition(str(item.pk), definition(item) | {"owner": owner})
    publish(notes="", by=None)
    return Tag.objects.get(code="product_view")


@pytest.fixture(params=["en", "zh-hans"])
def pages(request, chromium, viewing, live_server):
    """{name: their page}, each logged in through the form, reading English or Chinese."""
    contexts, problems = [], []
    found: dict[str, Page] = {}
    for name, (department, role) in CAST.items():
        person = User.objects.create_user(
            f"{name}@example.com", PASSWORD, department_id=department, name=name.title(), language=request.param
        )
        person.groups.add(Group.objects.get(name=role))
        contexts.append(chromium.new_context(base_url=live_server.url, locale="en" if request.param == "en" else "zh-CN"))
        found[name] = log_in(contexts[-1], person.email)
        found[name].on("pageerror", lambda error: problems.append(str(error)))
    yield found
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def send(chromium, viewing, live_server):
    """Send a view without a product_id through the API: (status, release)."""
    key = WriteKey(source=Source.objects.get(code="website"))
    secret = key.set_secret()
    key.save()
    shop = chromium.new_context(base_url=live_server.url, extra_http_headers={"Authorization": f"Bearer {secret}"})

    def sent(message_id: str) -> tuple[str, str]:
        seen_at = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
        event = {
            "id": message_id,
            "event": "product_view",
            "phone": "+86 138 0013 8000",
            "occurred_at": seen_at,
            "attributes": {"price": "9.90"},
        }
        answer = shop.request.post("/api/v1/events", data=json.dumps(event), headers={"Content-Type": "application/json"}).json()
        return answer["results"][0]["status"], answer["release"]

    yield sent
    shop.close()


def test_departments_change_the_standard_together_and_go_back(pages: dict[str, Page], viewing: Tag, send: Callable):
    mia, max_, sue, dan = pages["mia"], pages["max"], pages["sue"], pages["dan"]
    first = Release.objects.latest("id")
    assert send("before") == ("quarantined", first.version)

    change_the_tag(mia, viewing, label_en="See a product", needs_product_id=False)
    proposal = propose(mia, viewing, title="Views of lists", why="A list of products is looked at, too")
    join_it(max_, proposal)
    assert completed(max_, proposal, "as @su") == "as @Sue "
    say(max_, proposal, "@sue shall a list count as a view?")
    say(max_, proposal, "@dan does the shop send it so?", about=viewing)
    assert told(sue, "Max", "Views of lists") and told(dan, "Max", "Views of lists")

    act(mia, proposal, "submit")
    assert not may_sign(mia, proposal) and not may_sign(max_, proposal)
    assert locked(max_, viewing)
    sign(sue, proposal, "changes", "Say so in Chinese, too")
    assert told(mia, "Sue", "Views of lists")
    change_the_tag(mia, viewing, label_zh_hans="看商品或列表")
    act(mia, proposal, "submit")
    assert standing_of(proposal) == "in_review"
    sign(dan, proposal, "approve", "The shop is ready")
    assert standing_of(proposal) == "in_review"
    sign(sue, proposal, "approve", "")
    assert standing_of(proposal) == "approved"

    assert let_in_by(mia, proposal, "website") == ["product_view"]
    assert not may_release(mia, proposal)
    act(dan, proposal, "release")
    second = Release.objects.latest("id")
    assert second != first and second.proposals.get() == proposal
    assert told(mia, second.version)
    assert send("after") == ("accepted", second.version)

    back = propose_going_back(mia, first, why="Lists drown the views")
    act(mia, back, "submit")
    assert not may_sign(mia, back)
    for page in (max_, sue):
        sign(page, back, "approve", "")
    assert standing_of(back) == "in_review"
    sign(dan, back, "approve", "")
    act(dan, back, "release")
    third = Release.objects.latest("id")
    assert third.version not in (first.version, second.version)
    assert send("back") == ("quarantined", third.version)
    assert Tag.objects.get(pk=viewing.pk).label_en == "View a product"


def test_a_held_name_is_mapped_from_its_group_and_its_events_are_let_in_once_that_is_released(pages: dict[str, Page], viewing: Tag, worker):
    mia, max_, sue, dan = pages["mia"], pages["max"], pages["sue"], pages["dan"]
    seen = [{"id": f"v{n}", "event": "goods_seen", "phone": "13800138000", "attributes": {"product_id": f"p{n}"}} for n in range(3)]
    receive(
        [Incoming(json.dumps(one).encode()) for one in seen],
        source_code="website", door="api", received_at=datetime.now(UTC), current=current(),
    )  # fmt: skip
    worker()
    mia.goto(reverse("admin:ingestion_quarantinereason_changelist"))
    mia.click("table a:has(strong)")
    mia.click("a.tl-button[href*='/desk/']")
    figures = mia.locator("#outcome .tl-figure")
    expect(figures).to_have_text(["0", "3"])
    mia.fill("#choice-map", viewing.code)
    mia.click("button[value=look][form=remedy-map]")
    expect(figures).to_have_text(["3", "0"])
    assert not Proposal.objects.exists()
    press(mia, mia.locator("[value=propose]"))
    proposal = Proposal.objects.get()
    assert mia.url.endswith(proposal.get_absolute_url())

    act(mia, proposal, "submit")
    for page in (max_, sue, dan):
        sign(page, proposal, "approve", "")
    assert Event.objects.filter(standing=Event.Standing.HELD).count() == 3
    act(dan, proposal, "release")
    wait_until(ReplayOffer.objects.exists)
    mia.goto(reverse("admin:ingestion_quarantinereason_changelist"))
    mia.click("a[href*='/desk/?source=website']")
    expect(figures).to_have_text(["3", "0"])
    press(mia, mia.locator("#outcome [value=read]"))
    mia.locator("[data-progress][data-done]").wait_for(timeout=60_000)
    assert {(one.standing, one.tag) for one in Event.objects.select_related("tag")} == {(Event.Standing.COUNTED, viewing)}
    assert Event.objects.count() == 3


def log_in(context, email: str) -> Page:
    page = context.new_page()
    page.goto("/admin/login/")
    page.fill("input[name=username]", email)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/admin/")
    return page


def change_the_tag(page: Page, tag: Tag, *, needs_product_id: bool | None = None, **labels: str) -> None:
    page.goto(reverse("admin:taxonomy_tag_change", args=[tag.pk]))
    for field, text in labels.items():
        page.fill(f"[name={field}]", text)
    if needs_product_id is not None:
        page.locator("[name=uses-0-required]").set_checked(needs_product_id)
    page.fill("[name=why]", "so that lists count")
    press(page, page.locator("[name=_save]"))
    assert page.url.endswith(reverse("admin:taxonomy_tag_changelist"))


def propose(page: Page, tag: Tag, *, title: str, why: str) -> Proposal:
    page.goto(reverse("admin:taxonomy_proposal_unreleased"))
    page.check(f"input[name=items][value='{tag.pk}']")
    page.fill("#pick [name=title]", title)
    page.fill("#pick [name=why]", why)
    press(page, page.locator("#pick [value=propose]"))
    return Proposal.objects.get(title=title)


def propose_going_back(page: Page, release: Release, *, why: str) -> Proposal:
    page.goto(reverse("admin:taxonomy_release_change", args=[release.pk]))
    back = page.locator("details:has([name=why])")
    back.locator("summary").click()
    back.locator("[name=why]").fill(why)
    press(page, back.locator("button"))
    return Proposal.objects.get(why=why)


def join_it(page: Page, proposal: Proposal) -> None:
    act(page, proposal, "join")
    assert page.locator("[value=join]").count() == 0


def say(page: Page, proposal: Proposal, text: str, *, about: Tag | None = None) -> None:
    page.goto(proposal.get_absolute_url())
    comments = page.locator(f"#item-{about.pk} .tl-comments" if about else "section > .tl-comments")
    comments.locator("[name=text]").fill(text)
    press(page, comments.locator("[value=comment]"))
    assert comments.locator("article", has_text=text).count() == 1


def completed(page: Page, proposal: Proposal, typed: str) -> str:
    """What stands in the field for a comment once the first colleague offered is taken."""
    page.goto(proposal.get_absolute_url())
    field = page.locator("section > .tl-comments [name=text]")
    field.press_sequentially(typed)
    page.locator(".tl-names li").first.wait_for()
    field.press("Enter")
    return field.input_value()


def sign(page: Page, proposal: Proposal, choice: str, comment: str) -> None:
    """Once for each department that the person signs for and that has not spoken so."""
    page.goto(proposal.get_absolute_url())
    for department in [one.get_attribute("value") for one in page.locator("[name=department]").all()]:
        form = page.locator(f"form:has([name=department][value='{department}'])")
        form.locator("[name=comment]").fill(comment)
        press(page, form.locator(f"[name=choice][value={choice}]"))


def act(page: Page, proposal: Proposal, name: str) -> None:
    page.goto(proposal.get_absolute_url())
    press(page, page.locator(f"[name=act][value={name}]"))


def press(page: Page, button: Locator) -> None:
    """Press a button that leads to another page, or to the same page anew."""
    with page.expect_navigation():
        button.click()


def told(page: Page, *words: str) -> bool:
    """Has the person a notice with all these words?"""
    page.goto(reverse("notices"))
    notices = page.locator("main li, .tl-list li").all_inner_texts()
    return any(all(word in notice for word in words) for notice in notices)


def may_sign(page: Page, proposal: Proposal) -> bool:
    page.goto(proposal.get_absolute_url())
    return page.locator("[name=choice]").count() > 0


def may_release(page: Page, proposal: Proposal) -> bool:
    page.goto(proposal.get_absolute_url())
    return page.locator("[name=act][value=release]").count() > 0


def locked(page: Page, tag: Tag) -> bool:
    """Is there nothing to save on the tag's page while it is reviewed?"""
    page.goto(reverse("admin:taxonomy_tag_change", args=[tag.pk]))
    return page.locator("[name=_save]").count() == 0


def standing_of(proposal: Proposal) -> str:
    proposal.refresh_from_db()
    return str(proposal.state)


def let_in_by(page: Page, proposal: Proposal, source: str) -> list[str]:
    """Try the proposal on what one source sent: the tags of events that are held now and would be let in."""
    page.goto(proposal.get_absolute_url())
    page.locator("details:has([name=sources]) > summary").click()
    page.locator(f"[name=sources][value='{Source.objects.get(code=source).pk}']").check()
    page.locator("form[data-into='#trial'] button").click()
    page.locator("#trial table").wait_for()
    assert page.locator("#trial .tl-figures dd").all_inner_texts() == ["0", "1", "0", "0", "0"]
    return page.locator("#trial tbody td:nth-child(2) code:last-child").all_inner_texts()
