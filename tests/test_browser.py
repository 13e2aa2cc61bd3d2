"""The ways people walk, in a real browser, in both languages; with a keyboard alone, on a screen as narrow as a phone's."""

import csv
import io
import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import publish_starter, wait_until
from django.contrib.auth.models import Group
from django.test import Client
from openpyxl import Workbook, load_workbook
from playwright.sync_api import Locator, Page, TimeoutError, expect
from test_browser_governance import press

from ingestion.models import Hook, ImportRun, WriteKey
from ingestion.pipeline import Incoming, receive
from profiles.models import Event
from staff.models import AccessLog, User
from taxonomy.current import current
from taxonomy.models import Source, Tag

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.needs("chromium"),
    pytest.mark.needs("fonts"),
]


@pytest.fixture(params=["en", "zh-hans"])
def page(request, chromium, departments, settings, tmp_path, live_server):
    """A steward, logged in through the form, in each language."""
    settings.UPLOAD_DIR = tmp_path / "uploads"
    publish_starter()
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
    press(page, page.locator("[name=_save]"))
    page.goto(f"{live_server.url}/admin/taxonomy/proposal/unreleased/")
    assert page.locator("ins", has_text="Look at a product").count() == 1
    page.check(f"input[name=items][value='{tag.pk}']")
    page.fill("#pick input[name=title]", "Clearer name")
    page.fill("#pick textarea[name=why]", "said so in the shop")
    page.click("#pick [value=propose]")
    page.wait_for_url("**/proposal/*/change/")
    page.click("details:has([value=emergency]) > summary")
    page.fill("textarea[name=reason]", "alone today")
    press(page, page.locator("[value=emergency]"))

    assert view_a_product("1", title="Tea")["release"] == "1.0.1"  # wording only

    page.goto(live_server.url + "/admin/")
    page.fill(".tl-search input[name=phone]", "138 0013 8000")
    page.press(".tl-search input[name=phone]", "Enter")
    page.wait_for_url("**/customers/*/")
    assert "8000" not in page.url.rpartition("/customers/")[0]
    label = "Look at a product" if language_of(page) == "en" else "看商品"
    page.get_by_text(label).first.click()
    page.wait_for_url("**/events/*/")
    assert "item_detail_view" in page.content()


def view_a_product(message_id: str, *, title: str) -> dict[str, Any]:
    """The web shop sends a view by the API; the answer."""
    key = WriteKey(source=Source.objects.get(code="website"))
    secret = key.set_secret()
    key.save()
    sent = {
        "id": message_id, "event": "item_detail_view", "phone": "+86 138 0013 8000", "identifiers": {"email": "zhang.wei@mail.example"},
        "occurred_at": datetime.now(UTC).isoformat(), "attributes": {"sku": "SKU-7", "title": title, "sale_price": "9.90"},
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {secret}"}
    return Client().post("/api/v1/events", json.dumps(sent), content_type="application/json", headers=headers).json()


def test_failed_rows_are_downloaded_mended_and_sent_again(page: Page, live_server, tmp_path, worker):
    header = ["id", "event", "phone", "occurred_at", "receipt_no", "sku", "item_name", "price_fen", "qty", "total_fen", "store_no"]
    number = 30_000  # more than one part, stored one after another
    rows = [
        [f"r{n}", "SALE", f"138{n % 500:08d}", "2026-03-01 10:00:00", f"R{n}", f"S{n % 90}", "Green tea", "990", "1", "990", "S01"]
        for n in range(number)
    ]
    wrong = [2, 15_000, number - 1]
    for n in wrong:
        rows[n][8] = "two"
    path = tmp_path / "till.csv"
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([header, *rows])
    # From here to its end nothing is done to the page: it follows the worker by itself.
    run = upload(page, live_server.url, path)
    assert progress(page) == 0
    process = worker()
    wait_until(lambda: ImportRun.objects.get(pk=run.pk).read_bytes > 0)
    process.send_signal(signal.SIGSTOP)
    expect(page.locator("[data-progress] progress")).not_to_have_js_property("value", 0)
    assert 0 < progress(page) < 100 and page.locator("[data-progress][data-done]").count() == 0
    process.send_signal(signal.SIGCONT)
    wait_until_done(page)
    assert progress(page) == 100

    figures = [int(one.replace(",", "")) for one in page.locator(".tl-figures dd").all_inner_texts()]
    assert figures == [number, number - 3, number - 3, 0, 3, 0]
    with page.expect_download() as download:
        page.click("a.tl-button[href*=failed-rows]")
    failed = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))
    assert [row["receipt_no"] for row in failed] == [f"R{n}" for n in wrong]
    assert all(row["_reason"] for row in failed)
    mended = tmp_path / "mended.csv"
    with mended.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(failed[0]))
        writer.writeheader()
        writer.writerows([{**row, "qty": "2"} for row in failed])
    upload(page, live_server.url, mended)
    wait_until_done(page)
    assert page.locator("a.tl-button[href*=failed-rows]").count() == 0
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == number
    assert Event.objects.filter(standing=Event.Standing.CORRECTED).count() == 3
    assert not Event.objects.filter(standing=Event.Standing.HELD).exists()


def test_held_events_are_put_right_let_in_and_held_again(page: Page, live_server, worker):
    till = Source.objects.get(code="till")
    sold = {"event": "SALE", "phone": "13800138000", "receipt_no": "R", "sku": "S1", "price_fen": "990", "total_fen": "990"}
    records = [{**sold, "id": f"h{n}", "receipt_no": f"R{n}", "qty": "two" if n < 3 else "some"} for n in range(4)]
    receive(
        [Incoming(json.dumps(one).encode()) for one in records],
        source_code=till.code, door="api", received_at=datetime.now(UTC), current=current(),
    )  # fmt: skip
    worker()
    page.goto(live_server.url + "/admin/ingestion/quarantinereason/")
    page.click("table a strong")
    page.click("a.tl-button[href*='/desk/']")
    page.wait_for_url("**/desk/?cause=*")
    figures = page.locator("#outcome .tl-figure")
    assert figures.all_inner_texts() == ["0", "4"]
    page.locator("tr", has_text="two").locator("input").fill("2")
    page.click("button[value=try]:visible")
    expect(figures).to_have_text(["3", "1"])
    assert Event.objects.filter(standing=Event.Standing.HELD).count() == 4
    page.click("[value=read]")
    page.wait_for_url("**/replay/*/change/")
    wait_until_done(page)
    assert page.locator(".tl-figures dd").all_inner_texts() == ["4", "3", "1", "0"]
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == 3
    press(page, page.locator("[value=undo]"))
    assert Event.objects.filter(standing=Event.Standing.HELD).count() == 4


@pytest.mark.parametrize("alone", [False, True])
def test_held_events_are_discarded_once_what_that_does_is_shown(page: Page, live_server, worker, alone):
    sold = {"event": "SALE", "phone": "13800138000", "sku": "S1", "price_fen": "990", "total_fen": "990", "qty": "two"}
    receive(
        [Incoming(json.dumps({**sold, "id": f"h{n}", "receipt_no": f"R{n}"}).encode()) for n in range(2)],
        source_code="till", door="api", received_at=datetime.now(UTC), current=current(),
    )  # fmt: skip
    worker()
    page.goto(live_server.url + "/admin/ingestion/quarantinereason/")
    page.click("table a strong")
    page.click("table a strong" if alone else "a.tl-button[href*='/desk/']")
    press(page, page.locator("a[href='?discard=1']" if alone else "[value=weigh]:visible"))
    expect(page.locator("#outcome")).to_be_focused()
    assert Event.objects.filter(standing=Event.Standing.HELD).count() == 2
    page.click("#outcome [value=discard]")  # without a reason: that is asked for where it is to be said
    expect(page.locator("#why")).to_be_focused()
    page.fill("#why", "a test")
    page.click("#outcome [value=discard]")
    page.wait_for_url("**/replay/*/change/")
    wait_until_done(page)
    assert Event.objects.filter(standing=Event.Standing.DISCARDED).count() == (1 if alone else 2)


def test_a_messy_till_export_is_matched_tried_imported_and_taken_back(page: Page, live_server, tmp_path, worker):
    header = ["小票号", "行号", "会员手机", "交易日期", "时间", "商品名称", "数量", "实付金额"]
    rows = [[f"NJ{n // 2}", str(n % 2), f"138{n:08d}\t", f"0{n % 5 + 1}/03/2026", "14:05", "龙井茶", "1", "￥1,250.00"] for n in range(60)]
    rows[3][2], rows[5][6] = "1.38E+10", "两件"
    kind = "csv" if language_of(page) == "en" else "xlsx"
    path = tmp_path / f"till.{kind}"
    write_table(path, [["南京路店 2026年3月销售明细", *[""] * 7], header, *rows])
    choose_file(page, live_server.url, path)
    page.wait_for_url("**/importrun/*/match/")
    assert page.locator("[name=c2-is]").input_value() == "phone"
    assert page.locator("[name=id]:checked").count() == 2
    assert page.locator(".tl-asked li").count() == 2
    page.select_option("#event", "name:purchase")
    page.locator(".tl-asked li").nth(1).wait_for(state="detached")
    assert page.locator("[name=c7-is]").input_value() == "attribute.amount"
    page.select_option("[name=c3-written]", "%d/%m/%Y")
    page.locator(".tl-judged .tl-good").first.wait_for(timeout=60_000)
    expect(page.locator(".tl-asked")).to_have_count(0)
    for checked in (3, 2):  # the keyboard stays where it was when the part is shown again
        with page.expect_response("**/match/"):
            page.locator("[name=id][value='5']").press("Space")
        expect(page.locator("[data-part]")).not_to_have_attribute("aria-busy", "true")
        expect(page.locator("[name=id][value='5']")).to_be_focused()
        expect(page.locator("[name=id]:checked")).to_have_count(checked)
    assert wider_than_a_phone(page) == []
    page.click("button[name=act][value=try]")
    page.wait_for_url("**/importrun/*/change/")
    worker()
    page.goto(live_server.url + "/admin/")  # away, and back
    page.go_back()
    wait_until_done(page)
    assert page.locator(".tl-figures dd").all_inner_texts() == ["60", "58", "58", "58", "0", "0", "2", "0"]
    assert "1.38E+10" in page.content() and "两件" in page.content()
    assert wider_than_a_phone(page) == []
    assert not Event.objects.exists()
    press(page, page.locator("button[name=act][value=import]"))
    assert str(ImportRun.objects.get(dry_run=False).pk) in page.url
    wait_until_done(page)
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == 58
    assert Event.objects.filter(message_id="NJ0-0").get().occurred_at.date().isoformat() == "2026-03-01"
    with page.expect_download() as download:
        page.click("a.tl-button[href*=failed-rows]")
    failed = read_table(Path(download.value.path()), kind)
    assert [row[-1] != "" for row in failed] == [True] * 3
    for row, (column, mended) in zip(failed[1:], [("会员手机", "13800000003"), ("数量", "2")], strict=True):
        row[failed[0].index(column)] = mended
    write_table(tmp_path / f"mended.{kind}", failed)
    first = page.url
    upload(page, live_server.url, tmp_path / f"mended.{kind}")
    wait_until_done(page)
    assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == 60
    assert not Event.objects.filter(standing=Event.Standing.HELD).exists()

    page.goto(first)
    page.click("form[action*=take] button")
    page.wait_for_url("**/takeback/*/change/")
    page.locator("textarea[name=reason]").wait_for(timeout=60_000)
    assert wider_than_a_phone(page, ".tl-by-tag code") == []
    for reason, counted in (("the wrong shop", 2), ("it was the right one", 60)):
        page.locator("textarea[name=reason]").fill(reason, timeout=60_000)
        page.click("form:has([name=reason]) button")
        page.locator(".tl-facts", has_text=reason).wait_for()
        wait_until_done(page)
        assert Event.objects.filter(standing=Event.Standing.COUNTED).count() == counted


def test_enter_in_a_field_of_the_matching_page_shows_it_again_and_leaves_no_row_out(page: Page, live_server, tmp_path):
    header = ["小票号", "行号", "会员手机", "交易日期", "数量", "实付金额"]
    rows = [[f"NJ{n // 2}", str(n % 2), f"138{n:08d}", "2026-03-01 10:00", "1", "12.50"] for n in range(20)]
    write_table(tmp_path / "till.csv", [header, *rows, ["合计", "", "", "", "20", "250"]])
    choose_file(page, live_server.url, tmp_path / "till.csv")
    page.wait_for_url("**/importrun/*/match/")
    page.select_option("#event", "name:purchase")
    page.locator("[name=c5-is]").filter(has=page.locator("[value='attribute.amount']:checked")).wait_for()
    page.click("[name=e1-name]")
    page.select_option("[name=e1-if]", "4")
    says = page.locator("[name=e1-says]")
    says.fill("1")
    page.wait_for_timeout(1_000)  # in less, a form that was sent is not sent again
    for act in (says.blur, lambda: says.press("Enter")):
        with page.expect_response("**/match/"):
            act()
        expect(page.locator("[data-part]")).not_to_have_attribute("aria-busy", "true")
    expect(says).to_be_focused()
    expect(says).to_have_value("1")
    expect(page.locator("[name=leave_out]")).to_have_attribute("value", "22")
    assert not ImportRun.objects.get().format.get("left_out")


def wider_than_a_phone(page: Page, words: str = "no-words") -> list[str]:
    """Tables, and what may scroll, that do not fit a screen of 390 px; and `words` that break there."""
    usual = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    found: list[str] = page.evaluate("""[...document.querySelectorAll("html, .tl-table, .tl-scroll, .tl-card")]
        .filter((one) => one.scrollWidth > Math.min(innerWidth, one.clientWidth)).map((one) => one.className || one.tagName)""")
    found += page.locator(words).evaluate_all("all => all.filter((one) => one.getClientRects().length > 1).map((one) => one.textContent)")
    page.set_viewport_size(usual)
    return found


def test_the_list_of_imports_fits_beside_the_menu(page: Page, live_server):
    User.objects.update(name="Admin")
    for name in ("十月流水.csv", "till-2026-10.csv"):
        ImportRun.objects.create(source=Source.objects.get(code="till"), file_name=name, dry_run=True, started_by=User.objects.get())
    page.goto(live_server.url + "/admin/ingestion/importrun/")
    assert page.locator("#result_list").evaluate("list => list.scrollWidth <= list.parentElement.clientWidth")
    for name in page.locator("#result_list .tl-first a").all():
        assert name.evaluate("link => link.getClientRects().length") == 1 and name.bounding_box()["height"] < 30


def write_table(path: Path, rows: list[list[str]]) -> None:
    if path.suffix == ".xlsx":
        book = Workbook()
        for row in rows:
            book.active.append(row)
        book.save(path)
    else:
        written = io.StringIO()
        csv.writer(written).writerows(rows)
        path.write_bytes(written.getvalue().encode("gb18030"))


def read_table(path: Path, kind: str) -> list[list[str]]:
    """The rows of a file of failed rows: CSV comes in the encoding it was sent in."""
    if kind == "xlsx":
        return [["" if cell is None else str(cell) for cell in row] for row in load_workbook(io.BytesIO(path.read_bytes())).active.values]
    return list(csv.reader(io.StringIO(path.read_bytes().decode("gb18030"))))


def upload(page: Page, url: str, path: Path) -> ImportRun:
    choose_file(page, url, path)
    page.wait_for_url("**/importrun/*/match/")
    page.click("button[name=act][value=start]")
    page.wait_for_url("**/importrun/*/change/")
    return ImportRun.objects.get(file_name=path.name)


def choose_file(page: Page, url: str, path: Path) -> None:
    till = Source.objects.get(code="till")
    page.goto(url + "/admin/ingestion/importrun/add/")
    page.select_option("select[name=source]", label=till.label_en if language_of(page) == "en" else till.label_zh_hans)
    page.set_input_files("input[type=file]", str(path))
    page.click("form.tl-form button[type=submit]")


def progress(page: Page) -> float:
    return page.locator("[data-progress] progress").evaluate("bar => bar.value")


def wait_until_done(page: Page) -> None:
    """Its page is loaded once more at the end: what is looked at afterwards is there, to its last line."""
    page.locator("[data-progress][data-done]").wait_for(timeout=60_000)
    page.wait_for_load_state()


def language_of(page: Page) -> str | None:
    return page.locator("html").get_attribute("lang")


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


@pytest.fixture(params=["en", "zh-hans"])
def on_a_phone(request, chromium, departments, live_server):
    """Log somebody of a role in, by keyboard, on a screen 360 px wide: their page."""
    publish_starter()
    contexts, problems = [], []

    def log_in(role: str) -> Page:
        person = User.objects.create_user(f"{role}@example.com", "a long password", language=request.param)
        person.groups.add(Group.objects.get(name=role))
        contexts.append(
            chromium.new_context(
                viewport={"width": 360, "height": 740}, base_url=live_server.url, locale="en" if request.param == "en" else "zh-CN"
            )
        )
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto("/admin/login/")
        tab_to(page, page.locator("[name=username]"))
        page.keyboard.type(person.email)
        tab_to(page, page.locator("[name=password]"))
        page.keyboard.type("a long password")
        page.keyboard.press("Enter")
        page.wait_for_url("**/admin/")
        assert language_of(page) == request.param
        return page

    yield log_in
    for context in contexts:
        context.close()
    assert problems == []


def test_a_customer_is_looked_up_and_revealed_by_keyboard_on_a_phone(on_a_phone):
    long_title = "https://shop.example/" + "a-name-without-a-space/" * 8
    for number in range(3):
        assert view_a_product(str(number), title=long_title)["accepted"] == 1
    rep = on_a_phone("sales_rep")
    tab_to(rep, rep.locator(".tl-search-link"))
    enter(rep, "**/customers/")
    tab_to(rep, rep.locator("#find-phone"))
    rep.keyboard.type("12")
    enter(rep, "**/customers/")
    assert rep.get_by_role("alert").is_visible()
    tab_to(rep, rep.locator("#find-phone"))
    rep.keyboard.press("Control+A")
    rep.keyboard.type("138 0013 8000")
    enter(rep, "**/customers/*-*/")
    assert "138****8000" in rep.locator("main, #content").first.inner_text()

    tab_to(rep, rep.locator(".cu-events a").nth(1))
    enter(rep, "**/events/*/")
    standard, original = rep.locator(".tl-beside > section").all()
    assert "SKU-7" in standard.inner_text() and "9.90" in standard.inner_text()
    assert "item_detail_view" in original.inner_text() and '"sale_price": "9.90"' in original.inner_text()
    assert "138****8000" in original.inner_text() and "138 0013 8000" not in rep.content()
    assert "zhang.wei" not in rep.content()

    tab_to(rep, original.locator("summary"))
    rep.keyboard.press("Enter")
    tab_to(rep, original.locator("[name=reason]"))
    rep.keyboard.type("calls back about order 1001")
    tab_to(rep, original.locator("button"))
    enter(rep, "**/events/*/#original")
    assert "+86 138 0013 8000" in original.inner_text() and "zhang.wei@mail.example" in original.inner_text()
    tab_to(rep, rep.locator(".tl-back a"), backwards=True)
    enter(rep, "**/customers/*-*/")
    assert "+86 138 0013 8000" in rep.locator(".cu-phone").inner_text()

    actions = AccessLog.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["lookup", "lookup", "view", "original", "reveal", "original", "view"]
    officer = on_a_phone("compliance_officer")
    opener, sidebar = officer.locator("[aria-controls=nav-sidebar]"), officer.locator("#nav-sidebar")
    tab_to(officer, opener)
    officer.keyboard.press("Enter")
    sidebar.locator("button:focus").first.wait_for()
    officer.keyboard.press("Escape")
    sidebar.wait_for(state="hidden")
    assert opener.evaluate(IS_FOCUSED)
    officer.keyboard.press("Enter")
    sidebar.locator("button:focus").first.wait_for()
    tab_to(officer, officer.locator("#nav-sidebar a[href$='/accesslog/']"))
    enter(officer, "**/accesslog/")
    told = officer.locator("tr", has_text="calls back about order 1001")
    assert told.count() == 1 and "sales_rep@example.com" in told.inner_text()


IS_FOCUSED = "one => one === document.activeElement"
# Of what has the focus: it is in sight with nothing before it, it has a name, and it looks as if it had the focus.
_SHOWS_FOCUS = """() => {
    if (document.activeElement === document.body) return true; // around the end
    const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
    const seen = one.contains(document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height, innerHeight) / 2));
    const words = one.cloneNode(true);
    words.querySelectorAll("[aria-hidden=true], option").forEach((hidden) => hidden.remove());
    const name = one.ariaLabel || one.labels?.[0]?.textContent || words.textContent;
    return seen && name.trim() && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
}"""


def tab_to(page: Page, wanted: Locator, *, backwards: bool = False) -> None:
    """Press Tab until `wanted` has the focus; each stop on the way can be seen, has a name and shows its focus."""
    for _ in range(60):
        if wanted.evaluate(IS_FOCUSED):
            return
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        try:
            page.wait_for_function(_SHOWS_FOCUS, timeout=3_000)
        except TimeoutError as error:
            raise AssertionError(page.evaluate("document.activeElement.outerHTML")) from error
    raise AssertionError("the keyboard does not get there")


def enter(page: Page, url: str) -> None:
    """Press Enter, and arrive on a page that is no wider than the screen."""
    with page.expect_navigation(url=url):
        page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), url


def test_a_rule_is_written_with_what_is_offered_and_what_it_does_is_in_view(page: Page, live_server):
    till = Source.objects.get(code="till")
    page.goto(f"{live_server.url}/admin/taxonomy/mappingrule/add/")
    source = till.label_en if page.locator("html").get_attribute("lang") == "en" else till.label_zh_hans
    for name, typed, shown in (("source", "till", source), ("tag", "product_view", "(product_view)")):
        page.click(f".field-{name} .select2-selection")
        page.fill(".select2-search__field", typed)
        page.click(f".select2-results__option:has-text('{shown}')")
    page.wait_for_function("document.querySelector('#rule-targets option[value=product_id]')")
    assert page.locator("#rule-targets option[value='$phone']").count() == 1
    assert int(page.input_value("[name=position]")) == max(till.rules.values_list("position", flat=True)) + 1
    page.fill("[name=name]", "LOOK")
    page.fill("#try-record", json.dumps({"event": "LOOK", "phone": "13800138000", "product_id": "S1"}))
    page.evaluate("window.scrollTo(0, 0); document.querySelector('[data-try] button').click()")
    page.wait_for_selector("[data-tried] .tl-state")
    page.wait_for_function("document.activeElement.matches('[data-tried]')")
    box = page.locator("[data-tried] .tl-state").bounding_box()
    assert box is not None
    assert 0 < box["y"] < 900


def test_a_webhooks_form_asks_only_for_what_its_way_of_signing_uses(page: Page, live_server):
    page.goto(f"{live_server.url}/admin/ingestion/hook/add/")
    scheme = page.locator("select[name=scheme]")
    assert scheme.input_value() == "standard"
    page.locator("input[name=header]").wait_for(state="hidden")

    def shown() -> list[str]:
        return [
            name for name in ("header", "kept_headers", "packed_in", "aes_key", "app_id") if page.locator(f"[name={name}]").is_visible()
        ]

    wait_until(lambda: shown() == ["kept_headers", "packed_in"])
    for chosen, asked in (
        ("plain", ["header", "kept_headers", "packed_in"]),
        ("stripe", []),
        ("mandrill", ["packed_in"]),
        ("wechat_aes", ["aes_key", "app_id"]),
    ):
        scheme.select_option(chosen)
        wait_until(lambda asked=asked: shown() == asked)
    scheme.select_option("plain")
    page.fill("input[name=header]", "X-Token")
    scheme.select_option("stripe")
    wait_until(lambda: shown() == ["header"])  # what is filled in stays in view
    scheme.select_option("standard")
    page.fill("input[name=header]", "")
    page.select_option("select[name=source]", str(Source.objects.get(code="website").pk))
    page.click("[name=_save]")
    assert page.inner_text("#secret-address") == f"{live_server.url}/hooks/website"
    page.goto(f"{live_server.url}/admin/ingestion/hook/{Hook.objects.get().pk}/change/")
    page.locator("input[name=kept_headers]").wait_for()
    assert not page.locator("input[name=header]").count()
    page.goto(f"{live_server.url}/admin/ingestion/hook/")
    assert f"{live_server.url}/hooks/website" in page.inner_text("#result_list")
