"""What a source's files hold: told to partners from the released plan, with templates that work, and a check that stores nothing."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone
from openpyxl import load_workbook

from ingestion.doors.files import Column, Matching, RowEvent, UnreadableFile
from ingestion.imports.check_file import check_file
from ingestion.imports.matchings import keep
from ingestion.imports.spec import spec_of
from ingestion.imports.spec_files import example_csv, example_ndjson, template_csv, template_xlsx
from ingestion.models import ImportRun, SpecLink
from profiles.models import Event
from staff.models import User
from taxonomy.current import current
from taxonomy.dictionary.standard import standard as known_standard
from taxonomy.models import Attribute, Grant, MappingRow, MappingRule, Source, Tag
from taxonomy.publish import publish

pytestmark = pytest.mark.django_db

SOURCES = ["website", "mini_program", "till", "call_centre", "crm", "sms", "email"]


@pytest.fixture
def starter(loaded, db):
    return None


def log_in(client, role, language="en"):
    person = User.objects.create_user(f"{role}@example.com", language=language, department_id="product")
    person.groups.add(Group.objects.get(name=role))
    client.force_login(person)
    return person


def spec(code: str):
    return spec_of(str(Source.objects.get(code=code).pk), known_standard(), at=timezone.now())


def checked(path: Path, code: str, **more):
    obeyed = current()
    return check_file(path, obeyed.plan.sources[code], current=obeyed, received_at=timezone.now(), **more)


def stored(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def uploaded(content: str, name: str = "a.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content.encode())


@pytest.fixture
def till(starter):
    """Files of rows, with a rule that has its own words."""
    source = Source.objects.get(code="till")
    source.envelope = {"preset": "flat"}
    source.save()
    MappingRule.objects.filter(source=source).delete()
    rule = MappingRule.objects.create(source=source, name="销售", tag=Tag.objects.get(code="purchase"), position=1)
    for target, path, transforms in [("order_id", "单号", ""), ("amount", "金额", ""), ("payment_method", "支付方式", "value_map(微信=wechat, 支付宝=alipay)")]:  # fmt: skip
        if Attribute.objects.filter(code=target).exists():
            MappingRow.objects.create(rule=rule, target=target, path=path, transforms=transforms)
    publish(notes="t", by=None)
    return source


# what is offered works


@pytest.mark.parametrize("code", SOURCES)
def test_every_row_of_the_example_is_accepted(starter, tmp_path, code):
    told = spec(code)
    assert told.events
    if told.is_table:
        found = checked(stored(tmp_path, "a.csv", example_csv(told)), code)
        assert (found.failed, found.received, found.causes) == (0, len(told.rows), {})
    else:
        found = checked(stored(tmp_path, "a.ndjson", example_ndjson(told)), code)
        assert found.failed == 0 and found.received


def test_of_our_own_json_tables_are_told_too(starter, tmp_path):
    told = spec("website")
    assert told.is_table
    assert {"event", "phone", "occurred_at", "id"} <= {column.name for column in told.common}
    assert {column.name: column.need for column in told.common}["phone"] == "required"


def test_columns_are_in_the_source_s_own_words(till, tmp_path):
    [event] = spec("till").events
    assert event.name == "销售" and event.tag == "purchase"
    names = [column.name for column in event.columns]
    assert "单号" in names and "金额" in names and "order_id" not in names
    assert next(column for column in event.columns if column.name == "单号").need == "required"


def test_every_choice_is_accepted_in_the_place_of_the_example(starter, tmp_path):
    tried = 0
    for code in SOURCES:
        told = spec(code)
        for event in told.events:
            for column in event.columns:
                for choice in column.choices:
                    row = {**event.row, column.name: choice}
                    text = io.StringIO()
                    csv.writer(text).writerows([row.keys(), row.values()])
                    found = checked(stored(tmp_path, "a.csv", text.getvalue().encode()), code)
                    assert found.failed == 0, (event.name, column.name, choice)
                    tried += 1
    assert tried


def test_a_row_without_what_is_required_is_held(starter, tmp_path):
    told = spec("website")
    event = next(one for one in told.events if one.row and any(column.need for column in one.columns))
    for column in [*told.common, *event.columns]:
        if column.need == "required":
            row = {name: cell for name, cell in event.row.items() if name != column.name}
            text = io.StringIO()
            csv.writer(text).writerows([row.keys(), row.values()])
            assert checked(stored(tmp_path, "a.csv", text.getvalue().encode()), "website").failed == 1, column.name


def test_the_csv_template_is_the_header_with_a_mark(till):
    assert template_csv(spec("till")).startswith("\ufeffevent,phone,".encode())
    assert template_csv(spec("till")).count(b"\n") == 1


def test_the_workbook_offers_choices_keeps_phones_and_is_read_as_it_is(till, tmp_path):
    told = spec("till")
    path = stored(tmp_path, "a.xlsx", template_xlsx(told))
    book = load_workbook(path)
    sheet = book.worksheets[0]
    header = [cell.value for cell in sheet[1]]
    assert header == [column.name for column in told.columns]
    lists = {
        next(iter(check.sqref.ranges)).min_col: check.formula1 for check in sheet.data_validations.dataValidation if check.type == "list"
    }
    assert lists[header.index("event") + 1].startswith("=lists!$A$1")
    assert book["lists"].sheet_state == "hidden" and book["lists"]["A1"].value == "销售"
    assert sheet.column_dimensions["B"].number_format == "@"
    assert book.worksheets[1]["B2"].value == "event"
    with pytest.raises(UnreadableFile, match=r"file\.no_rows"):
        checked(path, "till")
    row = told.events[0].row
    for at, name in enumerate(header, 1):
        sheet.cell(2, at, row.get(name, ""))
    book.save(path)
    assert checked(path, "till").failed == 0


# the check


BAD = "id,event,phone,occurred_at,单号,金额\n1,销售,13800138000,2026-03-01 10:00:00,o1,9.90\n2,销售,12,2026-03-01 10:00:00,,many\n2,销售\n"


def test_every_fault_is_told_with_row_column_seen_and_expected(till, tmp_path):
    found = checked(stored(tmp_path, "a.csv", BAD.encode()), "till")
    assert (found.received, found.counts["accepted"], found.failed) == (3, 1, 2)
    told = {(one.row, one.column, one.code): one for one in found.findings}
    assert {(row, column) for row, column, _code in told} >= {(3, "phone"), (3, "单号"), (3, "金额"), (4, "")}
    wrong = told[3, "金额", "attribute.wrong_type"]
    assert wrong.seen == "many" and wrong.expected and wrong.message
    assert (4, "", "record.columns") in told
    assert not Event.objects.exists()


def test_a_second_row_of_the_same_is_a_duplicate(till, tmp_path):
    row = "1,销售,13800138000,2026-03-01 10:00:00,o1,9.90\n"
    found = checked(stored(tmp_path, "a.csv", (BAD.splitlines(True)[0] + row + row).encode()), "till")
    assert (found.counts["accepted"], found.counts["duplicate"]) == (1, 1)


def test_the_check_and_a_dry_run_say_the_same(till, tmp_path, settings):
    from ingestion.imports.run import outcome, run_import, take_file

    settings.UPLOAD_DIR = tmp_path / "uploads"
    path = stored(tmp_path, "a.csv", BAD.encode())
    tried = outcome(run_import(take_file(path, source=till, file_name="a.csv", dry_run=True).pk))
    found = checked(path, "till")
    assert dict(tried.causes) == dict(found.causes)
    assert tried.counts == {name: found.counts[name] for name in tried.counts}


def test_faults_beyond_so_many_are_counted_and_rows_beyond_so_many_left_out(till, tmp_path):
    lines = BAD.splitlines(True)
    path = stored(tmp_path, "a.csv", (lines[0] + "".join(f"{n},销售,12,2026-03-01 10:00:00,o{n},1\n" for n in range(20_000))).encode())
    found = checked(path, "till", most_findings=5, most_rows=50)
    assert (len(found.findings), found.more, found.received, found.is_cut) == (5, 45, 50, True)


def test_the_command_prints_faults_and_ends_with_1(till, tmp_path, capsys):
    path = stored(tmp_path, "a.csv", BAD.encode())
    with pytest.raises(CommandError, match="2 of 3 rows fail"):
        call_command("check_file", str(path), source="till")
    assert "row 3, 金额:" in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("check_file", str(path), source="till", json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["quarantined"] + told["refused"] == 2
    assert {"row", "column", "code", "seen", "expected", "message"} <= told["findings"][0].keys()
    call_command("check_file", str(stored(tmp_path, "b.csv", "".join(BAD.splitlines(True)[:2]).encode())), source="till")
    assert "without a fault" in capsys.readouterr().out
    with pytest.raises(CommandError, match="3 行中有 2 行不通过"):
        call_command("check_file", str(path), source="till", language="zh-hans")
    assert "第 3 行, 金额：" in capsys.readouterr().out.replace(": ", "：")


# the pages


@pytest.fixture
def link(till):
    return SpecLink.objects.create(source=till, name="Shops", created_by=User.objects.create_user("maker@example.com", is_superuser=True))


@pytest.mark.parametrize(("language", "said"), [("en", "Check a file"), ("zh-hans", "金额")])
def test_a_partner_reads_and_checks_without_an_account(client, link, language, said):
    address = link.get_absolute_url()
    page = client.get(address, {"language": language})
    assert page.status_code == 200 and said in page.content.decode() and "销售" in page.content.decode()
    assert page.headers["X-Robots-Tag"] == "noindex" and page.headers["Content-Language"] == language
    answer = client.post(f"{address}?language={language}", {"file": uploaded(BAD)})
    text = re.sub(r"\s+", " ", answer.content.decode())
    assert "many" in text and "attribute.wrong_type" in text
    assert not Event.objects.exists() and not ImportRun.objects.exists()


def test_a_partner_s_upload_needs_no_token_of_a_form(link):
    from django.test import Client

    assert Client(enforce_csrf_checks=True).post(link.get_absolute_url(), {"file": uploaded(BAD)}).status_code == 200


@pytest.mark.parametrize("file", ["template.xlsx", "template.csv", "example.csv", "example.ndjson"])
def test_a_partner_downloads_the_templates(client, link, file):
    answer = client.get(reverse("spec_partner_download", args=[link.token, file]))
    assert answer.status_code == 200 and file in answer.headers["Content-Disposition"] and answer.content


def test_a_revoked_or_guessed_link_opens_nothing(client, link):
    link.revoked_at = timezone.now()
    link.save()
    for address in (link.get_absolute_url(), "/files/guessed/", reverse("spec_partner_download", args=[link.token, "template.csv"])):
        assert client.get(address).status_code == 404
        assert client.post(address, {"file": uploaded(BAD)}).status_code in (404, 405)
    assert client.get(reverse("spec_partner_download", args=["x", "nothing.exe"])).status_code == 404


def test_what_the_maker_may_not_read_the_link_does_not_show(client, till):
    maker = User.objects.create_user("maker@example.com", department_id="product")
    maker.groups.add(Group.objects.get(name="engineer"))
    tag = Tag.objects.get(code="purchase")
    address = SpecLink.objects.create(source=till, created_by=maker).get_absolute_url()
    assert "销售" in client.get(address).content.decode()
    Grant.objects.create(category=tag.category, department_id="sales", may="read")
    assert "销售" not in client.get(address).content.decode()


def test_a_file_that_is_too_large_is_not_read(client, link, monkeypatch):
    monkeypatch.setattr("ingestion.imports.spec_page.CHECK_BYTES", 1)
    answer = client.post(link.get_absolute_url(), {"file": uploaded(BAD * 1_000)})
    assert "larger than" in answer.content.decode()


@pytest.mark.parametrize("posted", [{}, {"file": ""}, {"file": uploaded("")}, {"file": uploaded("_reason,_reason\n1,2\n")}])
def test_what_cannot_be_read_is_told_on_the_page(client, link, posted):
    answer = client.post(link.get_absolute_url(), posted)
    assert answer.status_code == 200 and "It cannot be read" in answer.content.decode()


def test_staff_make_a_link_and_revoke_it(client, till):
    log_in(client, "engineer")
    address = reverse("spec_of_source", args=[till.pk])
    client.post(address, {"act": "make", "name": "Shops"})
    link = SpecLink.objects.get()
    assert link.get_absolute_url() in client.get(address).content.decode() and len(link.token) >= 32
    client.post(address, {"act": "revoke", "link": link.token})
    assert client.get(link.get_absolute_url()).status_code == 404
    assert link.token not in client.get(address).content.decode()


def test_the_field_of_the_file_has_the_text_field_beside_it_that_the_script_of_the_admin_writes_to(client, link):
    page = client.get(link.get_absolute_url()).content.decode()
    form = page.partition('id="check"')[2].partition("</section>")[0]
    assert re.search(r'<label[^>]*>(?:(?!</label>).)*type="file"', form) and re.search(r'<input type="text" disabled', form)


def test_staff_check_a_file(client, till):
    log_in(client, "engineer")
    answer = client.post(reverse("spec_of_source", args=[till.pk]), {"act": "check", "file": uploaded(BAD)})
    assert "2 rows have a fault" in answer.content.decode()


def test_a_source_that_is_not_released_says_so(client, starter):
    log_in(client, "engineer")
    source = Source.objects.create(code="new_one", label_en="New", label_zh_hans="新", owner_id="data")
    page = client.get(reverse("spec_of_source", args=[source.pk]))
    assert page.status_code == 200 and "not in the published standard yet" in page.content.decode()
    assert client.get(reverse("spec_download", args=[source.pk, "template.csv"])).status_code == 404


# files that a matching reads


@pytest.fixture
def matched(till):
    """Two layouts of the till's files: one that names its event, and one of receipts."""
    receipts = Matching(
        (
            Column("小票号", "id"),
            Column("日期", "occurred_at", "%y/%m/%d"),
            Column("时间", "time_of_day", "%H:%M"),
            Column("会员手机", "phone"),
        ),
        (RowEvent("purchase", columns=(Column("小票号", "attribute.order_id"), Column("实收", "attribute.amount", "1,234.50"))),),
    )
    journal = Matching((Column("手机", "phone"), Column("时点", "occurred_at")), (RowEvent(column="类型", columns=(Column("号", "attribute.单号"),)),))  # fmt: skip
    return [
        keep(receipts, source=till, headings=["小票号", "日期", "时间", "会员手机", "实收", "备注"], file_name="a.csv", by=None),
        keep(journal, source=till, headings=["类型", "手机", "时点", "号"], file_name="b.csv", by=None),
    ]


RECEIPTS = '小票号,日期,时间,会员手机,实收,备注\nR1,26/10/05,09:30,13800138000,"1,200.00",\n'


@pytest.fixture
def partner(client, matched):
    link = SpecLink.objects.create(source=matched[0].source, created_by=log_in(client, "engineer"))
    client.logout()
    return link.get_absolute_url()


def test_each_layout_is_offered_with_its_templates(client, partner, matched):
    page = client.get(partner).content.decode()
    for one in matched:
        assert f"matching={one.number}#layouts" in page and f'<option value="{one.number}">' in page
        header = client.get(f"{partner}template.csv?matching={one.number}").content.decode("utf-8-sig").strip()
        assert header.split(",") == one.headings
        book = load_workbook(io.BytesIO(client.get(f"{partner}template.xlsx?matching={one.number}").content))
        assert [cell.value for cell in book.worksheets[0][1]] == one.headings
    assert client.get(f"{partner}template.csv?matching=77").status_code == 404


def test_a_source_without_matchings_asks_for_none(client, till):
    link = SpecLink.objects.create(source=till, created_by=log_in(client, "engineer"))
    page = client.get(link.get_absolute_url()).content.decode()
    assert 'name="matching"' not in page and 'id="layouts"' not in page
    check = client.post(link.get_absolute_url(), {"file": uploaded("phone,amount\n13800138000,5\n")}).context["check"]
    assert check.by_itself and check.found.failed == 1


def test_a_layout_is_told_in_its_own_words(client, partner, matched):
    answer = client.get(f"{partner}?matching=1&language=en")
    told = answer.context["spec"]
    assert [column.name for column in told.common] == ["小票号", "日期", "时间", "会员手机", "备注"]
    [event] = told.events
    assert (event.tag, [column.name for column in event.columns]) == ("purchase", ["小票号", "实收"])
    assert event.columns[0].need == "required"
    page = answer.content.decode()
    assert "26/03/31 is" in page and "14:05" in page and "1,234.50" in page
    journal = client.get(f"{partner}?matching=2").context["spec"]
    assert [event.name for event in journal.events] == ["销售"] and journal.common[0].field == "event"
    assert [column.name for column in journal.events[0].columns] == ["号"]


def test_the_workbook_of_a_layout_offers_what_may_stand_in_its_columns(client, till, partner):
    paid = Matching(
        (Column("手机", "phone"), Column("时点", "occurred_at")),
        (RowEvent("purchase", columns=(Column("号", "attribute.order_id"), Column("支付", "attribute.payment_method"))),),
    )
    one = keep(paid, source=till, headings=["手机", "时点", "号", "支付"], file_name="c.csv", by=None)
    sheet = load_workbook(io.BytesIO(client.get(f"{partner}template.xlsx?matching={one.number}").content))
    [check] = [check for check in sheet.worksheets[0].data_validations.dataValidation if check.type == "list"]
    assert str(check.sqref).startswith("D2:")
    assert "wechat_pay" in [cell.value for cell in sheet["lists"]["A"]]


def test_a_file_is_checked_by_the_layout_that_its_headings_are_of(client, partner, matched):
    answer = client.post(partner, {"file": uploaded(RECEIPTS), "act": "check"})
    check = answer.context["check"]
    assert (check.found.matching, check.found.failed, check.by_itself) == (matched[0], 0, True)
    assert answer.context["layout"] == matched[0]


def test_a_file_with_one_column_more_is_checked_by_the_layout_it_fits_and_told_so(client, partner, matched):
    check = client.post(partner, {"file": uploaded(RECEIPTS.replace("备注", "备注,店员").replace('",\n', '",,\n'))}).context["check"]
    assert (check.found.matching, check.found.failed, check.by_itself) == (matched[0], 0, False)


def test_a_file_is_checked_by_the_layout_that_was_chosen(client, partner, matched):
    file = "event,类型,手机,时点,号\nSALE,销售,13800138000,2026-10-05 09:30,R1\n"
    alone = client.post(partner, {"file": uploaded(file)}).context["check"]
    assert alone.found.matching is None and alone.fits == matched[1]
    chosen = client.post(partner, {"file": uploaded(file), "matching": "2"}).context["check"]
    assert (chosen.found.matching, chosen.by_itself) == (matched[1], False)


def test_whoever_has_no_account_is_not_sent_to_the_admin(client, partner, matched):
    for said in ({}, {"matching": "2"}):
        answer = client.post(f"{partner}?language=en", {"file": uploaded("姓名,积分\n张三,5\n"), **said})
        assert answer.context["check"].problem and "admin" not in answer.context["check"].problem
    for nonsense in ("77", "9" * 40, "x", "-1"):
        assert client.post(partner, {"file": uploaded(RECEIPTS), "matching": nonsense}).context["check"].found.matching == matched[0]


def test_a_layout_tells_nothing_of_a_tag_that_the_link_s_maker_may_not_read(client, partner, matched, monkeypatch):
    hidden = {str(Tag.objects.get(code="purchase").pk)}
    monkeypatch.setattr("ingestion.imports.spec_page.hidden_from", lambda rights, items: hidden)
    told = client.get(f"{partner}?matching=1").context["spec"]
    assert told.events == [] and "实收" in [column.name for column in told.common]


@pytest.mark.parametrize("is_hidden", [True, False])
def test_a_column_that_tells_of_an_event_names_it_to_readers_of_that_and_takes_other_words(
    client, partner, matched, monkeypatch, is_hidden
):
    source = matched[0].source
    refunds = (RowEvent("销售"), RowEvent("refund", only_if="状态", says=("已退",)))
    number = keep(
        Matching((Column("手机", "phone"),), refunds), source=source, headings=["手机", "状态"], file_name="c.csv", by=None
    ).number
    hidden = {str(Tag.objects.get(code="refund").pk)} if is_hidden else set()
    monkeypatch.setattr("ingestion.imports.spec_page.hidden_from", lambda rights, items: hidden)
    told = client.get(f"{partner}?matching={number}&language=en").context["spec"].common[-1]
    words = "Where it says 已退, the row tells of Refund (refund) too, beside its other events."
    assert (told.name, told.choices, told.tells) == ("状态", [], "" if is_hidden else words)


def test_one_of_more_layouts_than_are_offered_has_its_template_too(client, partner, matched, monkeypatch):
    monkeypatch.setattr("ingestion.imports.matchings._OFFERED", 1)
    answer = client.post(partner, {"file": uploaded(RECEIPTS), "act": "check"})
    assert answer.context["layout"] == matched[0] and answer.context["layouts"] == [matched[1], matched[0]]
    assert client.get(f"{partner}template.csv?matching={matched[0].number}").status_code == 200


def test_a_heading_that_no_workbook_can_hold_is_shown_in_its_template(client, partner, matched):
    keep(
        Matching((Column("ph\x0bone", "phone"),), (RowEvent("销售"),)),
        source=matched[0].source,
        headings=["ph\x0bone"],
        file_name="d.csv",
        by=None,
    )
    book = load_workbook(io.BytesIO(client.get(f"{partner}template.xlsx?matching=3").content))
    assert [cell.value for cell in book.worksheets[0][1]] == ["ph\ufffdone"]


@pytest.mark.parametrize("is_separate", [True, False])
def test_it_is_told_whether_a_row_sent_again_counts_again(client, till, is_separate):
    till.separate_rows = is_separate
    till.save()
    if is_separate:
        publish(notes="x", by=None)
    link = SpecLink.objects.create(source=till, created_by=log_in(client, "engineer"))
    page = client.get(f"{link.get_absolute_url()}?language=en").content.decode()
    assert ("send no file twice" in page, "The same row sent again counts once" in page) == (is_separate, not is_separate)
