"""How a file was read and what its first rows may hide is told where a person decides: at its columns, with a dry run, in its report."""

import html
import io
import json
import re

import openpyxl
import pytest
from django.core.management import call_command
from django.urls import reverse
from test_file_matching import HEADER, as_csv, kept, rows, till  # noqa: F401
from test_import_pages import steward  # noqa: F401
from test_imports import source  # noqa: F401
from test_match_page import choose, understood, upload  # noqa: F401

from ingestion.admin.reading import reading_words
from ingestion.doors.files import FileFormat, UnreadableFile, blocks
from ingestion.imports import preview
from ingestion.imports.run import follow, outcome, run_import
from ingestion.imports.watch import Settled, inboxes, work_through
from ingestion.models import ImportRun

pytestmark = pytest.mark.django_db(transaction=True)

HURT = "门店日报,,,\n单号,会员手机,姓名,金额\nm1,13800138000,李四,1\n2.10381E+18,13900139000,王\u00a0五,2\n"


def warned(page) -> list[str]:
    """The warnings that are shown, as they are read."""
    shown = re.search(r'<div class="[^"]*tl-traps.*?</div>', page.content.decode(), re.DOTALL)
    return [html.unescape(one) for one in re.findall(r"<li>(.*?)</li>", shown[0] if shown else "")]


@pytest.mark.parametrize(
    ("language", "reading", "cut", "space"),
    [
        (
            "en",
            "How the file is read: CSV · GB18030, GBK (Chinese) · parted by commas · 1 row above the header.",
            "Column “单号”, row 4: “2.10381E+18” has lost its last digits",
            "Column “姓名”, row 4: “王\u00a0五” has a space",
        ),
        (
            "zh-hans",
            "文件的读取方式：CSV · GB18030、GBK（中文） · 逗号分隔 · 表头以上 1 行。",
            "列“单号”第 4 行：“2.10381E+18”",
            "列“姓名”第 4 行：“王\u00a0五”",
        ),
    ],
    ids=["en", "zh-hans"],
)
def test_the_page_where_an_upload_lands_says_how_it_was_read_and_what_it_may_hide(upload, steward, language, reading, cut, space):  # noqa: F811
    steward.defaults["HTTP_ACCEPT_LANGUAGE"] = language
    run, page = upload(HURT.encode("gb18030"))
    assert page.redirect_chain[-1][0] == reverse("admin:ingestion_importrun_match", args=[run.pk])
    assert reading in page.content.decode()
    assert reverse("admin:ingestion_importrun_check", args=[run.pk]) in page.content.decode()
    told = warned(page)
    assert [one[: len(start)] for one, start in zip(told, (cut, space), strict=True)] == [cut, space]
    assert warned(steward.get(reverse("admin:ingestion_importrun_check", args=[run.pk]))) == told


TORN = """id,event,phone,channel
m1,login,13800138000.0,"web
id,event,phone,channel
m3,login,13700137000,"web, app
"""
TOLD = [
    ("quote", "Column “channel”, row 2: a quotation mark opens the cell", 'is read as “"web”'),
    ("quote_refused", "Row 4: a quotation mark opens a cell", '“"web, app”. The row has not as many cells'),
    ("decimal", "Column “phone”, row 2: a spreadsheet has made a decimal", "read as 13800138000;"),
    ("header", "Row 3 is the header once more.", "passed over"),
]


def test_torn_rows_and_phones_as_decimals_are_told_as_they_were_read(upload, steward, source, settings, tmp_path):  # noqa: F811
    run, page = upload(TORN.encode())
    check = steward.get(reverse("admin:ingestion_importrun_check", args=[run.pk]))
    drop = tmp_path / "drop" / "files"
    drop.mkdir(parents=True)
    (drop / "a.csv").write_text(TORN)
    settings.UPLOAD_DIR = tmp_path / "uploads"
    list(work_through(inboxes(drop.parent, [])[0][0], Settled(0)))
    told = json.loads((drop / "done" / "a.csv.report.json").read_text())
    for messages in (warned(page), warned(check), [one["message"] for one in told["traps"]]):
        for (_, start, end), message in zip(TOLD, messages, strict=True):
            assert message.startswith(start) and end in message
    assert [one["code"] for one in told["traps"]] == [code for code, *_ in TOLD]
    assert (told["accepted"], told["refused"], told["skipped"]) == (1, 1, 1)


def as_xlsx(lines: list[list[str]]) -> bytes:
    book, written = openpyxl.Workbook(), io.BytesIO()
    for line in (HEADER, *lines):
        book.active.append(line)
    book.save(written)
    return written.getvalue()


@pytest.mark.parametrize("packed", [as_csv, as_xlsx])
def test_a_sum_at_the_end_can_be_left_out_and_taken_in_again(upload, steward, till, packed):  # noqa: F811
    kept(till)
    lines = [*rows(3), ["合计", *[""] * (len(HEADER) - 2), "36"]]
    run, page = upload(packed(lines))
    assert len(warned(page)) == 1 and 'name="leave_out" value="5"' in page.content.decode()
    page = choose(steward, run, page, leave_out="5")
    assert warned(page) == [] and page.context["left_out"] == ["合计 · 36"]
    page = choose(steward, run, page, leave_out="none")
    assert len(warned(page)) == 1 and page.context["left_out"] == []
    page = choose(steward, run, page, leave_out="5")
    choose(steward, run, page, "try")
    run_import(run.pk)
    tried = steward.get(reverse("admin:ingestion_importrun_change", args=[run.pk]))
    assert "1 row is the header once more, or was left out" in tried.content.decode() and warned(tried) == []
    made, _ = follow(ImportRun.objects.get(pk=run.pk), by=None)
    for _ in range(2):
        found = outcome(run_import(made.pk))
        assert (found.received, found.skipped, found.counts["accepted"]) == (3, 1, 3)


@pytest.mark.parametrize("packed", [as_csv, as_xlsx])
def test_a_sum_below_the_rows_that_are_shown_first_can_be_left_out_after_a_dry_run(upload, steward, till, packed):  # noqa: F811
    kept(till)
    run, page = upload(packed([*rows(1_100), ["合计", *[""] * (len(HEADER) - 2), "36"]]))
    assert warned(page) == []
    choose(steward, run, page, "try")
    run_import(run.pk)
    tried = reverse("admin:ingestion_importrun_change", args=[run.pk])
    assert 'name="leave_out" value="1102"' in steward.get(tried).content.decode()
    for row, left_out in (("7", []), ("1102", ["合计 · 36"])):
        matched = steward.post(tried, {"leave_out": row}, follow=True)
        assert matched.context["left_out"] == left_out
    made = ImportRun.objects.get(pk=matched.context["run"].pk)
    choose(steward, made, matched, "start")
    found = outcome(run_import(made.pk))
    assert (found.received, found.skipped) == (1_100, 1)
    assert 'name="leave_out"' not in steward.get(reverse("admin:ingestion_importrun_change", args=[made.pk])).content.decode()


def test_a_row_is_found_that_stands_before_a_damaged_place(upload, till, monkeypatch):  # noqa: F811
    kept(till)
    lines = rows(3)
    run, _page = upload(as_csv(lines))

    def broken(*asked):
        yield from blocks(*asked)
        raise UnreadableFile("file.damaged")

    monkeypatch.setattr(preview, "blocks", broken)
    assert preview.cells_at(run, 3) == lines[1]
    with pytest.raises(LookupError):
        preview.cells_at(run, 9)


def test_a_second_header_row_is_told_and_left_out_by_one_press(upload, steward, till):  # noqa: F811
    kept(till)
    codes = ["receipt", "line", "phone", "day", "clock", "product", "price", "number", "coupon"]
    run, page = upload(as_csv([codes, *rows(5)]))
    assert [one.split(":")[0] for one in warned(page)] == ["Row 2 looks like a second header row"]
    page = choose(steward, run, page, leave_out="2")
    assert warned(page) == [] and page.context["left_out"] == [" · ".join(codes)]
    choose(steward, run, page, "start")
    found = outcome(run_import(run.pk))
    assert (found.received, found.skipped, found.counts["accepted"]) == (5, 1, 5)


def test_columns_that_nobody_chose_are_read_as_they_look_without_the_rows_left_out(upload, steward, till):  # noqa: F811
    run, page = upload(
        "单号,手机,日期,时间,备注\nno,phone,day,clock,memo\n".encode()
        + "".join(f"{at},1380013800{at},2026-03-0{at},10:0{at}:00,x\n" for at in range(1, 4)).encode()
    )
    assert page.context["chosen"].columns["时间"].target == ""
    page = choose(steward, run, page, leave_out="2", c1_is="identifier.user_id")
    assert understood(page) == {"手机": "identifier.user_id", "日期": "occurred_at", "时间": "time_of_day"}


def test_a_row_that_is_left_out_is_told_by_all_its_cells(upload, steward, till):  # noqa: F811
    kept(till)
    ends = [["合计", *[""] * (len(HEADER) - 2), amount] for amount in ("36", "36", "37")]
    run, page = upload(as_csv([*rows(2), *ends]))
    page = choose(steward, run, page, leave_out="4")
    assert [one.split("“")[0] for one in warned(page)] == ["Row 6 looks like a sum: it says "]
    assert page.context["sums"] == ["6"]
    choose(steward, run, page, leave_out="999")
    assert ImportRun.objects.get().format["left_out"] == [ends[0]]


def test_all_rows_are_looked_through_by_a_dry_run_and_an_import(upload, steward, source, settings, tmp_path):  # noqa: F811
    lines = [f"m{at},login,13800138000,2026-03-04 10:00:00{'Z' if at == 1_200 else ''}" for at in range(1_201)]
    text = "\n".join(["id,event,phone,occurred_at", *lines, ""])
    run, page = upload(text.encode())
    said, zone = "Only the first 1,000 rows were looked through", "such as “2026-03-04 10:00:00Z” in row 1202"
    assert said in page.content.decode() and warned(page) == []
    assert said in steward.get(reverse("admin:ingestion_importrun_check", args=[run.pk])).content.decode()
    choose(steward, run, page, "try", by="envelope")
    run_import(run.pk)
    made, _ = follow(ImportRun.objects.get(pk=run.pk), by=None)
    run_import(made.pk)
    for one in (run, made):
        shown = steward.get(reverse("admin:ingestion_importrun_change", args=[one.pk]))
        assert said not in shown.content.decode() and [zone in told for told in warned(shown)] == [True]
    settings.UPLOAD_DIR = tmp_path / "uploads"
    drop = tmp_path / "drop" / "files"
    drop.mkdir(parents=True)
    for name, length in (("a", 1_202), ("b", 1_201)):
        (drop / f"{name}.csv").write_text("".join(f"{line}\n" for line in text.splitlines()[:length]))
    list(work_through(inboxes(drop.parent, [])[0][0], Settled(0)))
    assert [zone in (drop / "done" / f"{name}.csv.report.txt").read_text() for name in "ab"] == [True, False]


def test_nothing_is_shown_where_nothing_is_hidden(upload):  # noqa: F811
    _, page = upload("手机,姓名\n13800138000,李四\n".encode())
    assert "tl-traps" not in page.content.decode()


def test_which_day_is_meant_is_no_trap_where_the_page_asks_it(upload, steward):  # noqa: F811
    run, page = upload(as_csv(rows(3)))  # 03/04/2026
    assert len(page.context["problems"]) == 2 and warned(page) == []
    for other in (steward.get(reverse("admin:ingestion_importrun_check", args=[run.pk])), choose(steward, run, page, by="envelope")):
        assert ["2026-03-04" in one for one in warned(other)] == [True]


def test_a_dry_run_tells_them_again(upload, steward, till):  # noqa: F811
    kept(till)
    run, page = upload(as_csv(rows(3, 单号={1: "2.10381E+18"})))
    choose(steward, run, page, "try")
    run_import(run.pk)
    told = warned(steward.get(reverse("admin:ingestion_importrun_change", args=[run.pk])))
    assert [one.split(":")[0] for one in told] == ["Column “单号”, row 3"]


def test_a_drop_folder_s_report_tells_them_and_the_watcher_s_output_does_not(source, settings, tmp_path):  # noqa: F811
    settings.UPLOAD_DIR = tmp_path / "uploads"
    drop = tmp_path / "drop" / "files"
    drop.mkdir(parents=True)
    (drop / "a.csv").write_text("id,event,phone\n2.10381E+18,login,13800138000\n")
    [result] = [one for inbox in inboxes(drop.parent, [])[0] for one in work_through(inbox, Settled(0))]
    assert "Column “id”, row 2: “2.10381E+18”" in (drop / "done" / "a.csv.report.txt").read_text()
    assert "2.10381E+18" not in result.told
    [told] = json.loads((drop / "done" / "a.csv.report.json").read_text())["traps"]
    assert (told["code"], told["column"], told["row"]) == ("cut", "id", 2) and "“2.10381E+18”" in told["message"]


def test_the_commands_tell_them_and_only_the_checker_quotes_cells(source, settings, tmp_path, capsys):  # noqa: F811
    settings.UPLOAD_DIR = tmp_path / "uploads"
    (tmp_path / "a.csv").write_text("id,event,phone\nm1,login,13800138000.0\n")
    for command, says in (
        ("check_file", "Column “phone”, row 2: a spreadsheet"),
        ("import_events", "1 thing in its rows may be read otherwise"),
    ):
        call_command(command, str(tmp_path / "a.csv"), source="files")
        told = capsys.readouterr().out
        assert says in told and ("13800138000.0" in told) == (command == "check_file")
        call_command(command, str(tmp_path / "a.csv"), source="files", json=True)
        [trap] = json.loads(capsys.readouterr().out)["traps"]
        assert (trap["code"], trap["column"], trap["row"], "message" in trap) == ("decimal", "phone", 2, command == "check_file")


@pytest.mark.parametrize(
    ("file_format", "words"),
    [
        (FileFormat("csv", "zip", ";", ["a"], heading=[["a"]], member="a.csv"), "CSV · zip · a.csv · UTF-8 · parted by semicolons · header in the first row"),
        (FileFormat("csv", delimiter="+|", quote="'", heading=[]), "CSV · UTF-8 · parted by +| · in single quotation marks · no header"),
        (FileFormat("fixed", encoding="cp1252", above=2, heading=[[], []]), "Columns of fixed width · Windows-1252, Latin-1 (Western) · 2 rows above the header · header of two rows"),
        (FileFormat("xlsx", sheet="May", heading=[["a"]]), "XLSX · May · header in the first row"),
        (FileFormat("parquet"), "Parquet"),
    ],
)  # fmt: skip
def test_how_a_file_is_read_is_said_in_a_line(file_format, words):
    assert reading_words(file_format, has_decimal_comma=False) == words
    assert reading_words(file_format, has_decimal_comma=True) == f"{words} · decimal comma"
