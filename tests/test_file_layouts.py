"""What a partner is told of the files that a matching reads: which rows tell of which events, and which tell of none."""

import io
import re

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone
from openpyxl import load_workbook

from ingestion.doors.files import Column, Matching, RowEvent
from ingestion.imports.matchings import keep
from ingestion.imports.spec import spec_of
from ingestion.models import SpecLink
from staff.models import User
from taxonomy.dictionary.standard import standard
from taxonomy.models import MappingRow, MappingRule, Source, Tag
from taxonomy.publish import publish

pytestmark = pytest.mark.django_db
HEADINGS = ["会员手机", "下单日期", "订单编号", "实付", "优惠券", "退款标志", "退款时间"]
ROWS = [
    "13600009001,2026-10-01,ZZ1,5,,是,2026-10-09",
    "13600009002,2026-10-01,ZZ2,5,CPX,Y,2026-10-09",
    "13600009003,2026-10-01,ZZ3,5,,是的,2026-10-09",
    "13600009004,2026-10-01,ZZ4,5,,Y,",
]
ORDERS = Matching(
    (Column("会员手机", "phone"), Column("下单日期", "occurred_at", "%Y-%m-%d"), Column("订单编号", "id")),
    (
        RowEvent("purchase", columns=(Column("订单编号", "attribute.order_id"), Column("实付", "attribute.amount"), Column("优惠券", "attribute.coupon_code"))),
        RowEvent("refund", only_if="退款标志", says=("是", "已退"), columns=(Column("订单编号", "attribute.order_id"), Column("实付", "attribute.amount"), Column("退款时间", "occurred_at", "%Y-%m-%d"))),
        RowEvent("coupon_redeem", only_if="优惠券", columns=(Column("优惠券", "attribute.coupon_code"),)),
    ),
)  # fmt: skip


@pytest.fixture
def till(loaded, db):
    source = Source.objects.get(code="till")
    source.envelope = {"preset": "flat"}
    source.save()
    MappingRule.objects.filter(source=source).delete()
    publish(notes="t", by=None)
    return source


@pytest.fixture
def orders(till):
    return keep(ORDERS, source=till, headings=HEADINGS, file_name="orders.csv", by=None)


@pytest.fixture
def engineer(client, till):
    person = User.objects.create_user("engineer@example.com", language="en", department_id="product")
    person.groups.add(Group.objects.get(name="engineer"))
    client.force_login(person)
    return person


@pytest.fixture
def partner(client, engineer, orders):
    link = SpecLink.objects.create(source=orders.source, created_by=engineer)
    client.logout()
    return f"{link.get_absolute_url()}?language=en"


def told(client, partner, number=1):
    return client.get(f"{partner}&matching={number}").context["spec"]


def uploaded(rows=ROWS):
    return SimpleUploadedFile("a.csv", "\n".join([",".join(HEADINGS), *rows, ""]).encode())


# which rows tell of an event


def test_each_event_says_which_rows_tell_of_it(client, partner):
    assert {event.name: event.when for event in told(client, partner).events} == {
        "purchase": "of every row",
        "refund": "only where “退款标志” says 是, 已退",
        "coupon_redeem": "only where “优惠券” is filled",
    }
    page = client.get(f"{partner}&matching=1").content.decode()
    assert "· only where “优惠券” is filled" in page


def test_a_column_says_of_which_events_the_row_tells_beside_the_others(client, partner):
    spec = told(client, partner)
    [flag] = [column for column in spec.common if column.name == "退款标志"]
    assert flag.tells == "Where it says 是, 已退, the row tells of Refund (refund) too, beside its other events." and flag.told
    coupons = [column for event in spec.events for column in event.columns if column.name == "优惠券"]
    assert {column.tells for column in coupons} == {
        "Where it is filled, the row tells of Redeem a coupon (coupon_redeem) too, beside its other events."
    }
    assert coupons[0].tells in client.get(f"{partner}&matching=1").content.decode()


def test_events_of_which_a_row_tells_one_are_not_said_to_be_beside_others(client, partner, orders):
    either = (RowEvent("purchase", only_if="类", says=("售",)), RowEvent("refund", only_if="类", says=("退",)))
    one = keep(Matching((Column("手机", "phone"),), either), source=orders.source, headings=["手机", "类"], file_name="", by=None)
    assert (
        told(client, partner, one.number).common[-1].tells
        == "Where it says 售, the row tells of Purchase (purchase). Where it says 退, the row tells of Refund (refund)."
    )


def test_the_workbook_tells_of_it_too(client, partner):
    book = load_workbook(io.BytesIO(client.get(partner.replace("?", "template.xlsx?") + "&matching=1").content))
    lines = {(row[0], row[1]): row for row in book.worksheets[1].iter_rows(values_only=True)}
    flag = lines["every event", "退款标志"]
    assert flag[2] and "Refund (refund) too" in flag[4]
    assert ("Refund (refund) · only where “退款标志” says 是, 已退", "退款时间") in lines


def test_the_page_of_a_matching_says_it_in_the_same_words(client, engineer, orders):
    page = client.get(reverse("admin:ingestion_filematching_change", args=[orders.pk])).content.decode()
    assert "only where “退款标志” says 是, 已退" in page and "only where “优惠券” is filled" in page


def test_what_an_event_of_every_row_requires_is_required_wherever_it_is_told(client, partner):
    spec = told(client, partner)
    needs = [column.need for part in (spec, *spec.events) for column in getattr(part, "common", part.columns) if column.name == "订单编号"]
    assert needs == ["required"] * 3
    # of an event that not every row tells of
    coupons = [(event.name, column.need) for event in spec.events for column in event.columns if column.name == "优惠券"]
    assert dict(coupons)["purchase"] == ""


# what a check counts and notes


def test_a_check_counts_events_by_kind(client, partner):
    answer = client.post(partner, {"file": uploaded()})
    assert answer.context["check"].events == [("Purchase", "purchase", 4), ("Redeem a coupon", "coupon_redeem", 1), ("Refund", "refund", 1)]
    assert re.search(r"Refund <code>refund</code> <b>1</b>", answer.content.decode())


def test_words_that_tell_of_no_event_are_noted_with_their_row_and_are_no_fault(client, partner):
    answer = client.post(partner, {"file": uploaded()})
    check = answer.context["check"]
    assert check.found.failed == 0
    assert [(one.row, one.column, one.seen, one.times) for one, _tells in check.unlike] == [
        (3, "退款标志", "Y", 2),
        (4, "退款标志", "是的", 1),
    ]
    text = re.sub(r"\s+", " ", answer.content.decode())
    assert "Row 3, <code>退款标志</code>: <b>Y</b> (2 rows)" in text


@pytest.mark.parametrize("cell", ["是", " 是 ", "已退", "", "  "])
def test_words_that_tell_of_one_and_empty_cells_are_not_noted(client, partner, cell):
    check = client.post(partner, {"file": uploaded([f"13600009001,2026-10-01,ZZ1,5,,{cell},"])}).context["check"]
    assert check.unlike == []


def test_events_that_the_reader_may_not_read_are_counted_without_their_name(client, partner, monkeypatch):
    hidden = {str(Tag.objects.get(code="refund").pk)}
    monkeypatch.setattr("ingestion.imports.spec_page.hidden_from", lambda rights, items: hidden)
    check = client.post(partner, {"file": uploaded()}).context["check"]
    assert check.events[-1] == ("other events", "", 1) and check.unlike == []


def test_the_command_tells_them_too(orders, tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_bytes(uploaded().read())
    call_command("check_file", str(path), source="till")
    printed = capsys.readouterr().out
    assert "row 3, 退款标志: “Y”" in printed and re.search(r"4 +purchase\n", printed)


# what a layout is called, and where its link leads


@pytest.mark.parametrize(("file_name", "called"), [("orders.csv", "orders.csv"), ("", "会员手机, 下单日期, 订单编号")])
def test_a_layout_is_called_by_its_file_or_its_first_columns(client, partner, orders, file_name, called):
    type(orders).objects.update(file_name=file_name)
    page = client.get(f"{partner}&matching=1").content.decode()
    assert f">{called}</a>" in page
    assert f"read as those of “{called}”" in client.post(partner, {"file": uploaded()}).content.decode()


def test_a_link_made_at_a_layout_leads_back_to_it_and_opens_there(client, engineer, orders):
    address = reverse("spec_of_source", args=[orders.source.pk]) + "?matching=1"
    answer = client.post(address, {"act": "make", "name": "Shop"})
    assert answer.headers["Location"] == f"{address}#links"
    assert f"{SpecLink.objects.get().get_absolute_url()}?matching=1</code>" in client.get(address).content.decode()


def test_a_link_to_a_layout_that_was_matched_anew_opens_at_its_successor(client, partner, orders):
    newer = keep(Matching(ORDERS.columns, ORDERS.events[:1]), source=orders.source, headings=HEADINGS, file_name="b.csv", by=None)
    assert client.get(f"{partner}&matching=1").context["layout"] == newer
    assert client.post(partner, {"file": uploaded(), "matching": "1"}).context["check"].found.matching == newer


def test_a_recommended_column_keeps_its_word_on_a_small_screen(client, partner):
    # static/spec.css hides a cell there that has nothing in it
    assert "<td><span>recommended</span></td>" in client.get(f"{partner}&matching=1").content.decode()


def test_other_encodings_are_said_to_be_read(client, partner):
    page = client.get(partner).content.decode()
    assert "GB18030" in page and "XLSX" in page


# the source's own columns


def test_a_name_that_is_two_events_says_when_it_is_which(till):
    for position, (code, status) in enumerate([("refund", "back"), ("purchase", "")], 1):
        MappingRule.objects.create(
            source=till, name="SALE", tag=Tag.objects.get(code=code), position=position,
            condition_path="status" if status else "", condition_operator="eq" if status else "", condition_value=status,
        )  # fmt: skip
    publish(notes="x", by=None)
    spec = spec_of(str(till.pk), standard(), at=timezone.now())
    assert [(event.tag, event.when) for event in spec.events] == [("refund", "status is back"), ("purchase", "otherwise")]


@pytest.mark.parametrize(("transforms", "is_bound"), [("multiply(-1)", False), ("decimal_comma", True), ("", True)])
def test_bounds_of_what_comes_out_are_not_told_of_what_is_written(till, transforms, is_bound):
    rule = MappingRule.objects.create(source=till, name="SALE", tag=Tag.objects.get(code="refund"), position=1)
    MappingRow.objects.create(rule=rule, target="order_id", path="no")
    MappingRow.objects.create(rule=rule, target="amount", path="sum", transforms=transforms)
    publish(notes="x", by=None)
    [event] = spec_of(str(till.pk), standard(), at=timezone.now()).events
    [column] = [column for column in event.columns if column.name == "sum"]
    assert ("at least 0" in column.what or "not below" in column.what) is is_bound
