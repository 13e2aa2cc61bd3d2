"""The two ways people walk, in a real browser, in both languages."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client
from playwright.sync_api import Page

from ingestion.imports import run_import
from ingestion.models import ImportRun, WriteKey
from profiles.models import Event
from staff.models import User
from taxonomy.models import Source, Tag
from taxonomy.starter.load import load_starter

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.needs("chromium"),
    pytest.mark.needs("fonts"),
]


@pytest.fixture(params=["en", "zh-hans"])
def page(request, chromium, departments, settings, tmp_path, live_server):
    """A steward, logged in through the form, in each language."""
    settings.UPLOAD_DIR = tmp_path / "uploads"
    load_starter()
    User.objects.create_superuser("steward@example.com", "a long password", language=request.param)
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en" if request.param == "en" else "zh-CN")
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(live_server.url + "/admin/login/")
    page.fill("input[name=username]", "steward@example.com")
    page.fill("input[name=password]", "a long password")
    page.press("input[name=password]", "Enter")
    page.wait_for_url(live_server.url + "/admin/")
    yield page
    context.close()
    assert problems == []


def test_from_a_changed_tag_to_the_customer_s_page(page: Page, live_server):
    tag = Tag.objects.get(code="product_view")
    page.goto(f"{live_server.url}/admin/taxonomy/tag/{tag.pk}/change/")
    page.fill("input[name=label_en]", "Look at a product")
    page.fill("input[name=label_zh_hans]", "看商品")
    page.fill("input[name=why]", "said so in the shop")
    page.click("[name=_save]")
    page.goto(f"{live_server.url}/admin/taxonomy/proposal/unreleased/")
    assert page.locator("ins", has_text="Look at a product").count() == 1
    page.check(f"input[name=items][value='{tag.pk}']")
    page.fill("#pick input[name=title]", "Clearer name")
    page.fill("#pick textarea[name=why]", "said so in the shop")
    page.click("#pick [value=propose]")
    page.wait_for_url("**/proposal/*/change/")
    page.click("details:has([value=emergency]) > summary")
    page.fill("textarea[name=reason]", "alone today")
    page.click("[value=emergency]")
    page.wait_for_url("**/proposal/*/change/")

    key = WriteKey(source=Source.objects.get(code="website"))
    secret = key.set_secret()
    key.save()
    sent = {
        "id": "1", "event": "item_detail_view", "phone": "+86 138 0013 8000", "occurred_at": datetime.now(UTC).isoformat(),
        "attributes": {"sku": "SKU-7", "title": "Tea", "sale_price": "9.90"},
    }  # fmt: skip
    answer = Client().post(
        "/api/v1/events", json.dumps(sent), content_type="application/json", headers={"Authorization": f"Bearer {secret}"}
    )
    assert answer.json()["release"] == "1.0.1"  # wording only

    page.goto(live_server.url + "/admin/")
    page.fill(".tl-search input[name=phone]", "138 0013 8000")
    page.press(".tl-search input[name=phone]", "Enter")
    page.wait_for_url("**/customers/*/")
    assert "8000" not in page.url.rpartition("/customers/")[0]
    label = "看商品" if page.locator("html").get_attribute("lang").startswith("zh") else "Look at a product"
    page.get_by_text(label).first.click()
    page.wait_for_url("**/events/*/")
    assert "item_detail_view" in page.content()


def test_failed_rows_are_downloaded_mended_and_sent_again(page: Page, live_server, tmp_path):
    header = ["id", "event", "phone", "occurred_at", "receipt_no", "sku", "item_name", "price_fen", "qty", "total_fen", "store_no"]
    rows = [[f"r{n}", "SALE", f"1380013800{n}", "2026-03-01 10:00:00", f"R{n}", "S1", "Tea", "990", "1", "990", "S01"] for n in range(5)]
    rows[2][8] = "two"
    path = tmp_path / "till.csv"
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([header, *rows])
    upload(page, live_server.url, path)
    with page.expect_download() as download:
        page.click("a.tl-button[href*=failed-rows]")
    failed = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8"))))
    assert [row["receipt_no"] for row in failed] == ["R2"]
    assert failed[0]["_reason"]
    failed[0]["qty"] = "2"
    mended = tmp_path / "mended.csv"
    with mended.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(failed[0]))
        writer.writeheader()
        writer.writerows(failed)
    upload(page, live_server.url, mended)
    assert page.locator("a.tl-button[href*=failed-rows]").count() == 0
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == 5
    assert not Event.objects.filter(standing=Event.Standing.HELD).exists()


def upload(page: Page, url: str, path) -> None:
    """Upload by the page; the job is run here, as the worker would."""
    page.goto(url + "/admin/ingestion/importrun/add/")
    page.select_option(
        "select[name=source]",
        label=Source.objects.get(code="till").label_en
        if page.locator("html").get_attribute("lang") == "en"
        else Source.objects.get(code="till").label_zh_hans,
    )
    page.set_input_files("input[type=file]", str(path))
    page.click("form.tl-form button[type=submit]")
    page.wait_for_url("**/importrun/*/change/")
    run_import(ImportRun.objects.order_by("-created_at").first().pk)
    page.wait_for_function("document.querySelector('#import').hasAttribute('data-done')", timeout=15000)


def test_a_name_that_is_taken_is_found_while_typing_and_read_up_in_the_dictionary(page: Page, live_server):
    page.goto(f"{live_server.url}/admin/taxonomy/tag/add/")
    alike = page.locator("[data-similar]")
    assert alike.is_hidden()
    page.locator("[name=code]").press_sequentially("addToCart")
    alike.get_by_role("link", name="add_to_cart").wait_for()
    assert "1" in alike.get_by_role("status").inner_text()
    page.locator("[name=code]").fill("zzzzzz")
    alike.get_by_role("link").first.wait_for(state="detached")
    page.goto(f"{live_server.url}/dictionary/")
    page.locator("#td-q").press_sequentially("jiaru gouw")
    page.locator("#td-found").get_by_role("link", name="add_to_cart").wait_for()
    page.locator("#td-q").press("Enter")
    page.wait_for_url(f"{live_server.url}/dictionary/tags/add_to_cart/")
    page.emulate_media(media="print")
    assert page.locator("#td-curl").is_visible()
    assert page.locator("header input").first.is_hidden() and page.locator(".td-acts").is_hidden()
    page.set_viewport_size({"width": 360, "height": 800})
    page.emulate_media(media="screen")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
