"""The matching page: what each column is understood as and why, what somebody must choose, what the first rows become."""

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from procrastinate.contrib.django.models import ProcrastinateJob
from test_file_matching import HEADER, PURCHASE, as_csv, kept, rows, till  # noqa: F401
from test_import_pages import steward  # noqa: F401

from ingestion.doors.files import Column, Matching, RowEvent, compile_matching
from ingestion.doors.files.matching import COMMA, POINT
from ingestion.imports.columns import ASK, clock_of, look, repeats, ways_of, when
from ingestion.imports.run import outcome, run_import
from ingestion.imports.suggest import suggest
from ingestion.models import FileMatching, ImportRun
from profiles.models import Event
from staff.models import User

pytestmark = pytest.mark.django_db(transaction=True)

# pure


@pytest.mark.parametrize(
    ("values", "days"),
    [
        (["03/04/05", "04/05/06"], ["2003-04-05", "2005-04-03", "2005-03-04"]),
        (["03/04/2026"], ["2026-04-03", "2026-03-04"]),
        (["03/04/2026", "25/04/2026"], ["2026-04-03"]),
        (["03/04/2026 9:05", "04/25/2026 10:00"], ["2026-03-04"]),
        (["2026-03-04 14:05:00"], ["2026-03-04"]),
        (["1767225600000"], ["2026-01-01"]),
        (["2026年3月4日 14:05"], ["2026-03-04"]),
        (["２０２６/3/4"], ["2026-03-04"]),
        (["20260304"], ["2026-03-04"]),
        (["45292.5", "45293.25"], ["2024-01-01"]),
        ([*(f"03/04/2026 10:0{minute}" for minute in range(5)), "合计"], ["2026-04-03", "2026-03-04"]),
        (["03/04/2026", "合计"], []),
        (["13800138000"], []),
        (["12", "20000"], []),
        (["tea"], []),
    ],
    ids=str,
)
def test_days_that_can_be_read_in_several_ways_are_not_guessed(values, days):
    assert [next(when(values[:1], way)).date().isoformat() for way in ways_of(values)] == days


def test_a_column_is_known_by_its_values():
    seen = look(["a", "b", "c", "d"], [["13800138000\t", "9:05", "¥1,200.50", "x"], ["13900138000", "10:00", "12", "x"]])
    assert (seen["a"].phones, seen["b"].clock, seen["c"].numbers, seen["d"].names) == (1, "%H:%M", "1,234.50", {"x": 2})
    assert [seen[name].is_unique for name in "abcd"] == [True, True, True, False]


def test_times_of_day_that_are_written_in_two_ways_are_known_and_read():
    assert clock_of(["20:41:59", "09:57", "8:05"]) == "%H:%M:%S|%H:%M"
    assert clock_of(["20:41:59", "later", "09:57"]) == ""
    assert clock_of(["24:00"]) == "%H:%M"
    way = clock_of(["20:41:59", "09:57"])
    read = compile_matching(Matching((Column("a", "occurred_at", "%d/%m/%Y"), Column("b", "time_of_day", way)), (RowEvent(name="x"),)))
    times = [read({"a": "03/04/2026", "b": clock})[0].occurred_at for clock in ("20:41:59", "9:57", "later")]
    assert times == ["2026-04-03 20:41:59", "2026-04-03 09:57:00", "03/04/2026 later"]


@pytest.mark.parametrize(
    ("values", "notation"),
    [
        (["1,234", "2,500"], ASK),
        (["500", "1,234"], ASK),
        (["¥1,234", "-2,500元"], ASK),
        (["1,234", "1.234"], ASK),
        (["1,234", "12.50"], POINT),
        (["1,234", "1,234,567"], POINT),
        (["1 234", "5 000"], POINT),
        (["¥12", "¥100"], POINT),
        (["1,234", "12,50"], COMMA),
        (["0,125", "1,250"], COMMA),
        (["1.234", "1.234.567"], COMMA),
        (["1.234", "2.500"], ASK),
        (["500", "-1.234"], ASK),
        (["1.234", "2.5"], ""),
        (["1.234", "0.125"], ""),
        (["1.234", "0"], ASK),
        (["500", "12.50"], ""),
        (["12", "tea"], ""),
    ],
    ids=str,
)
def test_numbers_that_can_be_read_in_two_ways_are_not_guessed(values, notation):
    assert look(["a"], [[value] for value in values])["a"].numbers == notation


def test_rows_told_apart_by_two_columns_do_not_repeat():
    lines = [["R1", "1"], ["R1", "2"], ["R2", "1"], ["", "1"]]
    assert (repeats(lines, ["a", "b"], ["a"]), repeats(lines, ["a", "b"], ["a", "b"])) == (1, 0)


@pytest.mark.parametrize("heading", ["下单日期", "成交日期", "下单时间", "成交时间", "付款时间"])
def test_the_time_of_a_purchase_goes_before_another(heading):
    lines = [["2026-10-01", "2026-10-05"], ["2026-10-02", "2026-10-06"]]
    found = suggest(look([heading, "退款时间"], lines), lines, source="", known=None, earlier=[])
    assert [guess.target for guess in found.columns.values()] == ["occurred_at", ""]


# the page


@pytest.fixture
def upload(till, steward):  # noqa: F811
    """Uploads rows and follows to the page: (the run, the page)."""

    def upload(content: bytes, client: Client = steward):
        file = SimpleUploadedFile("till.csv", content)
        page = client.post(reverse("admin:ingestion_importrun_add"), {"source": till.pk, "file": file}, follow=True)
        return ImportRun.objects.get(status=ImportRun.Status.DRAFT), page

    return upload


def form_of(page) -> dict:
    """The page's form as it stands."""
    form: dict = {"event_before": page.context["chosen"].event, "event": page.context["chosen"].event, "by": "columns", "id": []}
    for column in page.context["columns"]:
        form |= {f"c{column.at}-is": column.target, f"c{column.at}-written": column.written}
        form["id"] += [str(column.at)] if column.is_id else []
    return form


def choose(client: Client, run: ImportRun, page, act: str = "show", **changed):
    said = form_of(page) | {
        name.replace("_", "-", 1) if name[0] in "ce" and name[1].isdigit() else name: value for name, value in changed.items()
    }
    return client.post(reverse("admin:ingestion_importrun_match", args=[run.pk]), {**said, "act": act})


def understood(page) -> dict[str, str]:
    return {column.heading: column.target for column in page.context["columns"] if column.target}


def test_columns_are_understood_with_reasons_and_what_is_open_is_asked(upload):
    _, page = upload(as_csv(rows(8)))
    assert understood(page) == {"会员手机": "phone", "日期": "occurred_at", "时间": "time_of_day"}
    shown = {column.heading: column for column in page.context["columns"]}
    assert shown["会员手机"].why and shown["日期"].written == "?" and len(shown["日期"].ways) == 2
    assert [column.heading for column in page.context["columns"] if column.is_id] == ["单号", "行号"]
    assert len(page.context["problems"]) == 2  # the event, and which day it is
    assert {one.verdict for one in page.context["events"]} == {"quarantined"}


def test_columns_of_one_name_are_matched_each_by_itself(upload, steward, till):  # noqa: F811
    content = "手机,备注,手机,备注\n" + "".join(f"1380013800{at},a,1390013900{at},b\n" for at in range(4))
    run, page = upload(content.encode())
    assert [column.heading for column in page.context["columns"]] == ["手机", "备注", "手机 (2)", "备注 (2)"]
    chosen = {"event": "name:login", "c0_is": "", "c2_is": "phone"}
    assert choose(steward, run, page, "start", **chosen).status_code == 302
    run_import(run.pk)
    kept = FileMatching.objects.get()
    assert {column.target: column.heading for column in kept.matching.columns}["phone"] == "手机 (2)"
    assert kept.headings == ["手机", "备注", "手机 (2)", "备注 (2)"]
    assert set(Event.objects.values_list("subject__value", flat=True)) == {f"+861390013900{at}" for at in range(4)}


def test_a_source_s_own_form_is_not_offered_where_two_columns_have_a_name_that_it_reads(upload, steward, till):  # noqa: F811
    run, page = upload(b"id,evt,tel,tel\n1,login,13800138000,13900139000\n")
    assert not page.context["may_be_envelope"] and not page.context["by_envelope"]
    refused = choose(steward, run, page, "start", by="envelope")
    assert refused.status_code == 200 and "3, 4" in refused.content.decode()
    assert ImportRun.objects.get().status == ImportRun.Status.DRAFT


def test_nothing_is_imported_while_something_is_open(upload, steward):  # noqa: F811
    run, page = upload(as_csv(rows(8)))
    again = choose(steward, run, page, "start")
    assert again.status_code == 200 and again.context["problems"]
    assert not FileMatching.objects.exists()
    assert not ProcrastinateJob.objects.filter(args__run_id=str(run.pk)).exists()


def test_a_chosen_event_brings_its_attributes_and_the_rows_are_judged_anew(upload, steward):  # noqa: F811
    run, page = upload(as_csv(rows(8)))
    page = choose(steward, run, page, event="name:purchase")
    assert {"attribute.order_id", "attribute.price", "attribute.quantity"} <= {*understood(page).values()}
    at = HEADER.index("日期")
    page = choose(steward, run, page, **{f"c{at}-written": "%d/%m/%Y"}, **{f"c{HEADER.index('商品')}-is": "attribute.product_id"},
                  **{f"c{HEADER.index('单价')}-is": "attribute.price"}, **{f"c{HEADER.index('单价')}-written": "1,234.50"},
                  **{f"c{HEADER.index('数量')}-is": "attribute.quantity"}, **{f"c{HEADER.index('单号')}-is": "attribute.order_id"})  # fmt: skip
    assert page.context["problems"] == []
    assert {one.verdict for one in page.context["events"]} == {"accepted"}
    begun = choose(steward, run, page, "start")
    assert begun.url == reverse("admin:ingestion_importrun_change", args=[run.pk])
    assert FileMatching.objects.get().matching.columns == PURCHASE.columns
    assert outcome(run_import(run.pk)).counts["accepted"] == 8


OPEN = {"单价": {0: "1,234", 1: "2,500"}}
AT = HEADER.index("单价")


def test_how_numbers_are_written_is_asked_where_it_may_be_thousands_or_decimals(upload, steward, till):  # noqa: F811
    run, page = upload(as_csv(rows(2, **OPEN)))
    page = choose(steward, run, page, event="name:purchase")
    page = choose(steward, run, page, **{f"c{HEADER.index('日期')}-written": "%d/%m/%Y"})
    shown = page.context["columns"][AT]
    assert (shown.target, shown.written, len(page.context["problems"])) == ("attribute.price", ASK, 1)
    assert [words for _way, words in shown.ways] == ["numbers as they stand", "1,234 is 1234", "1,234 is 1.234"]
    assert "Which number is it?" in page.content.decode() and '<tr class="tl-ask">' in page.content.decode()
    assert choose(steward, run, page, "start").status_code == 200
    page = choose(steward, run, page, **{f"c{AT}-written": COMMA})
    assert page.context["problems"] == []
    choose(steward, run, page, "start")
    assert outcome(run_import(run.pk)).received == 2
    assert Column("单价", "attribute.price", COMMA) in FileMatching.objects.get().matching.events[0].columns
    _, page = upload(as_csv(rows(3, 单价=dict.fromkeys(range(3), "1,234"))))
    assert page.context["problems"] == [], "it was said before"


def test_points_that_may_part_thousands_are_asked_as_commas_are(upload, steward, till):  # noqa: F811
    run, page = upload(as_csv(rows(2, 单价={0: "1.234", 1: "2.500"})))
    page = choose(steward, run, page, event="name:purchase")
    page = choose(steward, run, page, **{f"c{HEADER.index('日期')}-written": "%d/%m/%Y"})
    shown = page.context["columns"][AT]
    assert (shown.written, [words for _way, words in shown.ways]) == (ASK, ["numbers as they stand", "1.234 is 1.234", "1.234 is 1234"])
    assert page.context["problems"] == ["Choose how the numbers in “单价” are written."]
    page = choose(steward, run, page, **{f"c{AT}-written": COMMA}, **{f"c{HEADER.index('商品')}-is": "attribute.product_id"})
    choose(steward, run, page, "start")
    run_import(run.pk)
    assert [event.attributes["price"]["amount"] for event in Event.objects.order_by("id")] == [1234, 2500]
    _, page = upload(as_csv(rows(3, 单价=dict.fromkeys(range(3), "1.234"))))
    assert page.context["problems"] == [], "it was said before"


def test_numbers_are_asked_of_a_column_that_becomes_an_attribute(upload, steward):  # noqa: F811
    run, page = upload(as_csv(rows(2, **OPEN)))
    assert "Which number is it?" not in page.content.decode()
    page = choose(steward, run, page, **{f"c{AT}-is": "attribute.price"})
    assert page.context["columns"][AT].written == ASK
    page = choose(steward, run, page, **{f"c{AT}-written": ""})
    assert page.context["columns"][AT].written == "", "they may stay as they stand"


def test_numbers_of_a_further_event_are_asked_at_their_column(upload, steward, till):  # noqa: F811
    kept(till, Matching(PURCHASE.columns, (RowEvent(name="login"),)))
    run, page = upload(as_csv(rows(2, **OPEN)))
    said = {"e1-name": "name:purchase", "e1-a-price": str(AT)}
    page = choose(steward, run, page, **said)
    assert (page.context["columns"][AT].written, len(page.context["problems"])) == (ASK, 1)
    page = choose(steward, run, page, **said, **{f"c{AT}-written": POINT})
    assert (page.context["columns"][AT].written, page.context["problems"]) == (POINT, [])
    choose(steward, run, page, "start", **said)
    assert FileMatching.objects.order_by("-number").first().matching.events[1].columns == (Column("单价", "attribute.price", POINT),)


def test_the_next_file_with_these_columns_needs_no_choice(upload, steward, till):  # noqa: F811
    kept(till)
    run, page = upload(as_csv(rows(5)))
    assert page.context["problems"] == []
    assert {one.verdict for one in page.context["events"]} == {"accepted"}
    choose(steward, run, page, "try")
    run = run_import(run.pk)
    assert (run.dry_run, run.matching.number, outcome(run).created) == (True, 1, 5)
    assert not Event.objects.exists()


def test_a_row_that_stands_twice_is_shown_once_and_as_a_duplicate(upload, steward, till):  # noqa: F811
    kept(till)
    first, second = rows(2, 数量={1: "many"})
    run, page = upload(as_csv([first, first, second, second]))
    seen = [one.verdict for one in page.context["events"]]
    assert seen == ["accepted", "duplicate", "quarantined", "duplicate"]
    choose(steward, run, page, "start")
    found = outcome(run_import(run.pk)).counts
    assert {one: found[one] for one in set(seen)} == {one: seen.count(one) for one in seen}


def test_a_file_with_a_new_column_is_suggested_what_was_before_and_must_be_looked_at(upload, till):  # noqa: F811
    kept(till)
    run, page = upload(as_csv([[*row, "7"] for row in rows(5)], [*HEADER, "积分"]))
    assert run.matching is None
    assert understood(page)["会员手机"] == "phone"
    assert {one.verdict for one in page.context["events"]} == {"accepted"}


WITHOUT_ID = Matching(tuple(column for column in PURCHASE.columns if column.target != "id"), PURCHASE.events)


def ids(page) -> list[str]:
    return [column.heading for column in page.context["columns"] if column.is_id]


def test_a_matching_used_again_keeps_its_own_ids_and_no_other_is_suggested(upload, steward, till):  # noqa: F811
    kept(till, WITHOUT_ID)
    run, page = upload(as_csv([[f"R{at}", *row[1:]] for at, row in enumerate(rows(5))]))
    assert ids(page) == [] and page.context["replaces"] is None
    choose(steward, run, page, "start")
    assert FileMatching.objects.count() == 1


@pytest.mark.parametrize("header", [["手机", "流水号"], ["手机", "流水号", "_tagline_id", "_reason"]], ids=["first", "mended"])
def test_no_id_is_suggested_for_a_file_that_names_what_it_mends(upload, header):
    _, page = upload(as_csv([[f"1380013800{at}", f"T{at}", "", ""][: len(header)] for at in range(5)], header))
    assert ids(page) == ([] if "_tagline_id" in header else ["流水号"])


def test_another_id_than_before_is_warned_of_and_becomes_a_new_matching(upload, steward, till):  # noqa: F811
    kept(till)
    run, page = upload(as_csv(rows(5)))
    assert (page.context["doubts"], page.context["replaces"]) == ([], None)
    page = choose(steward, run, page, id=[])
    assert ["count again, as other events" in one for one in page.context["doubts"]] == [True]
    assert page.context["replaces"] == 1 and "becomes a new matching" in page.content.decode()


def test_many_rows_with_the_same_id_are_told_at_the_buttons_and_of_the_try(upload, steward, till):  # noqa: F811
    by_receipt = Matching((*WITHOUT_ID.columns, Column("单号", "id")), PURCHASE.events).in_order()
    kept(till, by_receipt)
    run, page = upload(as_csv(rows(4)))
    assert "3 of the first 4 rows" in page.content.decode().partition("</table>")[2]
    choose(steward, run, page, "try")
    run_import(run.pk)
    told = steward.get(reverse("admin:ingestion_importrun_change", args=[run.pk]))
    assert "3 of 4 rows say the same in 单号" in told.content.decode()


def test_rows_that_say_all_the_same_are_told_of_the_try(upload, steward, till):  # noqa: F811
    kept(till, WITHOUT_ID)
    once = rows(3)
    run, page = upload(as_csv([*once, once[1]]))
    choose(steward, run, page, "try")
    run_import(run.pk)
    told = steward.get(reverse("admin:ingestion_importrun_change", args=[run.pk])).content.decode()
    assert "1 of 4 rows say all the same" in told and "identical rows are separate" in told


def test_no_row_is_judged_before_the_event_is_chosen(upload, steward):  # noqa: F811
    run, page = upload(as_csv(rows(2)))
    assert "Choose first what gives the event." in page.content.decode() and "tl-judged" not in page.content.decode()
    page = choose(steward, run, page, event="name:purchase")
    assert "tl-judged" in page.content.decode()


def test_a_time_of_day_is_proposed_when_its_date_is_chosen_and_only_then(upload, steward):  # noqa: F811
    run, page = upload(as_csv([[f"1380013800{at}", "03/04/2026", "20:41:59" if at else "09:57"] for at in range(5)], ["手机", "a", "时间"]))
    assert understood(page) == {"手机": "phone", "a": "occurred_at", "时间": "time_of_day"}
    page = choose(steward, run, page, time_before="a", **{"c1-is": "", "c2-is": ""})
    assert understood(page) == {"手机": "phone"}
    page = choose(steward, run, page, time_before="", **{"c1-is": "occurred_at"})
    assert understood(page)["时间"] == "time_of_day"
    page = choose(steward, run, page, time_before="a", **{"c2-is": ""})
    assert "时间" not in understood(page)


def test_a_column_that_a_matching_left_unused_stays_so_when_it_is_used_again(upload, till):  # noqa: F811
    kept(till, Matching(tuple(one for one in PURCHASE.columns if one.target != "time_of_day"), PURCHASE.events))
    _, page = upload(as_csv(rows(3)))
    assert "时间" not in understood(page) and page.context["replaces"] is None


def test_a_small_file_does_not_change_how_times_are_written(upload, steward, till):  # noqa: F811
    def written(column: Column) -> Column:
        return {"日期": Column("日期", "occurred_at", "%m/%d/%Y"), "时间": Column("时间", "time_of_day", "%H:%M:%S|%H:%M")}.get(
            column.heading, column
        )

    kept(till, Matching(tuple(map(written, PURCHASE.columns)), PURCHASE.events))
    run, page = upload(as_csv(rows(1, 日期={0: "04/04/2026"})))
    assert choose(steward, run, page).context["replaces"] is None


@pytest.mark.parametrize(
    ("heading", "target"),
    [
        ("货号", "product_id"),
        ("商品货号", "product_id"),
        ("实付", "amount"),
        ("实付金额（元）", "amount"),
        ("实收金额", "amount"),
    ],
)
def test_what_tills_call_an_attribute_is_known(upload, steward, heading, target):  # noqa: F811
    header = [heading if name == "券" else "x" if name == "商品" else name for name in HEADER]
    run, page = upload(as_csv(rows(2, 券={0: "8", 1: "9"}), header))
    page = choose(steward, run, page, event="name:purchase")
    assert understood(page)[heading] == f"attribute.{target}"


def test_a_further_event_is_suggested_its_attributes_too(upload, steward, till):  # noqa: F811
    kept(till)
    run, page = upload(as_csv(rows(2)))
    page = choose(steward, run, page, **{"e1-name": "", "e1-before": ""})
    assert 'name="e1-before" value=""' in page.content.decode()
    page = choose(steward, run, page, **{"e1-name": "name:purchase", "e1-before": ""})
    held = {code: at for code, _label, at in page.context["others"][0].attributes if at}
    assert held["order_id"] == str(HEADER.index("单号")) and held["quantity"] == str(HEADER.index("数量"))
    kept_as = {"e1-name": "name:purchase", "e1-before": "name:purchase", "e1-a-quantity": str(HEADER.index("数量"))}
    page = choose(steward, run, page, **kept_as)
    assert [code for code, _label, at in page.context["others"][0].attributes if at] == ["quantity"], "what somebody took out stays out"


def test_of_a_group_the_attributes_are_named_of_which_one_is_missing(upload, steward, till):  # noqa: F811
    bought = tuple(column for column in PURCHASE.events[0].columns if column.heading != "单价")
    kept(till, Matching(PURCHASE.columns, (RowEvent(name="purchase", columns=bought),)))
    run, page = upload(as_csv(rows(2)))
    assert [short for short, _ in page.context["events"][0].why] == ["Attribute missing: Unit price (price) or Line total (amount)"]
    choose(steward, run, page, "start")
    run_import(run.pk)
    page = steward.get(reverse("admin:ingestion_importrun_change", args=[run.pk]))
    assert {code: places for code, *_, places in page.context["causes"]}["attribute.missing"] == [
        ("Unit price (price) or Line total (amount)", 2)
    ]


def test_attributes_are_shown_by_what_they_are_called(upload, till):  # noqa: F811
    kept(till)
    _, page = upload(as_csv(rows(2)))
    assert ("Quantity (quantity)", "1") in page.context["events"][0].attributes


def test_a_further_event_of_the_row_is_matched(upload, steward, till):  # noqa: F811
    kept(till)
    run, page = upload(as_csv(rows(2, 券={0: "C1"})))
    at = str(HEADER.index("券"))
    page = choose(steward, run, page, **{"e1-name": "name:login", "e1-if": at, "e1-at": "", "e1-written": ""})
    assert [(one.row, one.name) for one in page.context["events"]] == [(2, "purchase"), (2, "login"), (3, "purchase")]
    choose(steward, run, page, "start", **{"e1-name": "name:login", "e1-if": at, "e1-at": "", "e1-written": ""})
    assert outcome(run_import(run.pk)).counts["accepted"] == 3
    assert FileMatching.objects.order_by("-number").first().matching.events[1].name == "login"


def test_a_further_event_is_told_only_where_a_column_says_so(upload, steward, till):  # noqa: F811
    kept(till)
    run, page = upload(as_csv(rows(3, 券={0: "1", 1: "0"})))
    said = {"e1-name": "name:login", "e1-if": str(HEADER.index("券")), "e1-says": "1， yes", "e1-at": "", "e1-written": ""}
    page = choose(steward, run, page, **said)
    assert [(one.row, one.name) for one in page.context["events"]] == [(2, "purchase"), (2, "login"), (3, "purchase"), (4, "purchase")]
    assert 'name="e1-says" value="1, yes"' in page.content.decode()
    choose(steward, run, page, "start", **said)
    made = FileMatching.objects.order_by("-number").first()
    assert made.matching.events[1].says == ("1", "yes")
    assert "says 1, yes" in steward.get(reverse("admin:ingestion_filematching_change", args=[made.pk])).content.decode()


def test_a_file_in_the_source_s_own_form_needs_no_matching(upload, steward):  # noqa: F811
    run, page = upload(as_csv([["purchase", "13800138000", "1767225600000"]], ["evt", "tel", "at"]))
    assert page.context["by_envelope"] and page.context["problems"] == []
    choose(steward, run, page, "start", by="envelope")
    assert outcome(run_import(run.pk)).received == 1
    assert not FileMatching.objects.exists()


def test_a_column_that_gives_the_event_tells_what_each_value_becomes(upload, steward):  # noqa: F811
    header = ["手机", "类型"]
    _, page = upload(as_csv([["13800138000", "purchase"], ["13800138000", "退货"]], header))
    assert page.context["chosen"].event == "column:类型"
    assert [(value, bool(tag)) for value, _count, tag in page.context["values"]] == [("purchase", True), ("退货", False)]


def test_a_try_shows_examples_and_is_then_imported_without_another_upload(upload, steward, till):  # noqa: F811
    kept(till)
    run, page = upload(as_csv(rows(3, 数量={1: "many"})))
    choose(steward, run, page, "try")
    run_import(run.pk)
    place = reverse("admin:ingestion_importrun_change", args=[run.pk])
    told = steward.get(place)
    assert [len(events) for _, events in told.context["examples"]] == [2, 2, 1] or [
        len(events) for _, events in told.context["examples"]
    ] == [2, 1]
    made = steward.post(place, {"act": "import"})
    real = ImportRun.objects.get(dry_run=False)
    assert made.url == reverse("admin:ingestion_importrun_change", args=[real.pk])
    assert outcome(run_import(real.pk)).counts["accepted"] == 2
    again = steward.post(place, {"act": "match"}, follow=True)
    assert again.redirect_chain[-1][0].endswith("/match/")
    assert steward.get(place).context["may_import"]


def test_what_is_matched_while_the_file_is_being_imported_waits_and_is_not_kept(upload, steward, till):  # noqa: F811
    kept(till)
    run, page = upload(as_csv(rows(3)))
    choose(steward, run, page, "try")
    run_import(run.pk)
    place = reverse("admin:ingestion_importrun_change", args=[run.pk])
    steward.post(place, {"act": "import"})
    again = steward.post(place, {"act": "match"}, follow=True)
    draft = ImportRun.objects.get(status=ImportRun.Status.DRAFT)
    refused = choose(steward, draft, again, "start", **{f"c{HEADER.index('券')}-is": "attribute.coupon_code"})
    assert refused.status_code == 200 and "has begun and has not ended" in refused.content.decode()
    assert FileMatching.objects.count() == 1
    assert choose(steward, draft, again, "try").url == reverse("admin:ingestion_importrun_change", args=[draft.pk])


def test_a_file_imported_before_is_told_and_more_so_where_it_was_matched_otherwise(upload, steward, till):  # noqa: F811
    kept(till)
    run, page = upload(as_csv(rows(2)))
    choose(steward, run, page, "start")
    run_import(run.pk)
    run, page = upload(as_csv(rows(2)))
    assert ["is not counted again" in one for one in page.context["doubts"]] == [True]
    page = choose(steward, run, page, **{f"c{HEADER.index('券')}-is": "attribute.券"})
    assert ["read otherwise" in one for one in page.context["doubts"]] == [True]


def test_a_dry_run_of_a_file_imported_before_says_so_beside_the_button_that_imports_it(upload, steward, till):  # noqa: F811
    kept(till)
    for act in ("start", "try"):
        run, page = upload(as_csv(rows(2)))
        choose(steward, run, page, act)
        run_import(run.pk)
    page = steward.get(reverse("admin:ingestion_importrun_change", args=[run.pk]))
    assert page.context["may_import"] and ["is not counted again" in one for one in page.context["again"]] == [True]


@pytest.mark.parametrize(("wrong", "is_told"), [(20, True), (18, True), (17, False)])
def test_a_fault_that_nearly_every_row_has_is_laid_to_the_matching(upload, steward, till, wrong, is_told):  # noqa: F811
    kept(till)
    run, page = upload(as_csv(rows(20, 数量=dict.fromkeys(range(wrong), "two"))))
    choose(steward, run, page, "try")
    run_import(run.pk)
    page = steward.get(reverse("admin:ingestion_importrun_change", args=[run.pk]))
    assert [place for _title, place in page.context["all_alike"]] == (["数量"] if is_told else [])
    assert ("match this column otherwise" in page.content.decode()) == is_told


def test_a_matching_is_gone_back_to_on_its_page(till, steward):  # noqa: F811
    first = kept(till)
    kept(till, PURCHASE.__class__(PURCHASE.columns, (PURCHASE.events[0].__class__(name="login"),)))
    place = reverse("admin:ingestion_filematching_change", args=[first.pk])
    assert not steward.get(place).context["is_in_force"]
    after = steward.post(place, follow=True)
    assert after.context["one"].number == 3 and after.context["is_in_force"]
    page = steward.get(reverse("admin:ingestion_filematching_changelist"))
    assert page.status_code == 200


def test_who_may_not_match_imports_only_by_what_is_kept(upload, till):  # noqa: F811
    other = User.objects.create_user("other@example.com", "x", is_staff=True)
    other.user_permissions.set(Permission.objects.filter(codename__in=["view_importrun", "add_importrun"]))
    client = Client()
    client.force_login(other)
    kept(till)
    run, page = upload(as_csv(rows(2)), client)
    refused = choose(client, run, page, "start", **{f"c{HEADER.index('券')}-is": "attribute.券"})
    assert refused.status_code == 403
    assert choose(client, run, page, "start").status_code == 302


def test_rows_of_somebody_else_are_not_matched(upload):
    run, _ = upload(as_csv(rows(2)))
    other = User.objects.create_user("other@example.com", "x", is_staff=True)
    other.user_permissions.set(Permission.objects.filter(codename__in=["view_importrun", "add_importrun", "add_filematching"]))
    client = Client()
    client.force_login(other)
    assert client.get(reverse("admin:ingestion_importrun_match", args=[run.pk])).status_code == 403


def test_a_form_that_somebody_made_up_breaks_nothing(upload, steward):  # noqa: F811
    run, _ = upload(as_csv(rows(2)))
    place = reverse("admin:ingestion_importrun_match", args=[run.pk])
    odd = {
        "event": "column:nothing",
        "c0-is": "identifier.nobody",
        "c1-is": "what",
        "id": ["99", "x"],
        "e1-name": "x",
        "e1-at": "99",
        "act": "start",
    }
    assert steward.post(place, odd).status_code == 200
    assert not FileMatching.objects.exists()
