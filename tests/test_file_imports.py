"""Every form of file is imported, whatever interrupts it, in flat memory; its failed rows come back in its form and close what they mend."""

import csv
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from arro3.core import Array, DataType, Field, RecordBatch, Schema, Table
from arro3.io import read_parquet, write_parquet
from openpyxl import Workbook, load_workbook
from test_imports import HEADER, rows, source  # noqa: F401

from ingestion.doors.files import Column, FileFormat, Matching, RowEvent, UnreadableFile, blocks
from ingestion.imports import chunk, repeated
from ingestion.imports.failed import failed_rows
from ingestion.imports.matchings import fingerprint, keep
from ingestion.imports.run import outcome, run_import, take_file
from ingestion.models import QuarantineReason
from profiles.models import Event
from taxonomy.models import MappingRule, Tag
from taxonomy.publish import publish

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.UPLOAD_DIR = tmp_path / "uploads"


def as_csv(lines, *, encoding="utf-8", delimiter=",") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([[*HEADER, "门店"], *([*line, "南京路店"] for line in lines)])
    return text.getvalue().encode(encoding)


def as_objects(lines) -> list[dict[str, str]]:
    return [dict(zip(HEADER, line, strict=True)) for line in lines]


def as_workbook(lines) -> bytes:
    book = Workbook()
    for line in [["门店日报"], [], HEADER, *lines]:
        book.active.append(line)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def as_fixed(lines) -> bytes:
    table = [HEADER, *([str(cell) for cell in line] for line in lines)]
    return "".join("".join(cell.ljust(32) for cell in row).rstrip() + "\r\n" for row in table).encode("gb18030")


def as_parquet(lines) -> bytes:
    written = io.BytesIO()
    write_parquet(
        Table.from_pydict({name: Array([str(line[at]) for line in lines], DataType.utf8()) for at, name in enumerate(HEADER)}), written
    )
    return written.getvalue()


def as_zip(content: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("till.csv", content)
    return written.getvalue()


FORMS = {
    "gb18030": lambda lines: as_csv(lines, encoding="gb18030"),
    "utf-16": lambda lines: as_csv(lines, encoding="utf-16", delimiter="\t"),
    "utf-8": lambda lines: as_csv(lines, encoding="utf-8-sig", delimiter=";"),
    "cp1252": lambda lines: as_csv(lines).replace("门店".encode(), b"caf\xe9").replace("南京路店".encode(), b"Orl\xe9ans"),
    "headerless": lambda lines: as_csv(lines).partition(b"\n")[2],
    "json": lambda lines: json.dumps({"data": as_objects(lines)}, indent=1).encode(),
    "ndjson": lambda lines: "\n".join(map(json.dumps, as_objects(lines))).encode("gb18030"),
    "zip": lambda lines: as_zip(as_csv(lines, encoding="gb18030")),
    "xlsx": as_workbook,
    "fixed": as_fixed,
    "parquet": as_parquet,
}
KNOWN = [form for form in FORMS if form != "headerless"]


def write(tmp_path: Path, form: str, lines) -> Path:
    path = tmp_path / f"file.{form}"
    path.write_bytes(FORMS[form](lines))
    return path


@pytest.mark.parametrize("form", KNOWN)
def test_an_import_that_is_interrupted_ends_as_if_never_interrupted(source, tmp_path, monkeypatch, form):  # noqa: F811
    monkeypatch.setattr("ingestion.imports.run.blocks", lambda path, found: blocks(path, found, block_bytes=2_000))
    path = write(tmp_path, form, rows(200, quantity={150: "many"}))
    run = take_file(path, source=source, file_name=path.name)
    stored: list[int] = []

    def failing(run_id, block):
        if len(stored) == 3:
            raise KeyboardInterrupt
        stored.append(block.index)
        chunk.store_block(run_id, block)

    monkeypatch.setattr("ingestion.imports.run.store_block", failing)
    with pytest.raises(KeyboardInterrupt):
        run_import(run.pk)
    assert 0 < Event.objects.count() < 200
    monkeypatch.setattr("ingestion.imports.run.store_block", chunk.store_block)
    found = outcome(run_import(take_file(path, source=source, file_name=path.name).pk))
    assert (found.received, found.counts["accepted"], found.counts["quarantined"]) == (200, 199, 1)
    assert Event.objects.count() == 200


def with_remarks(form: str, lines) -> bytes:
    table = [[*HEADER, "备注", "备注"], *([*line, "左", "右"] for line in lines)]
    text = io.StringIO()
    if form == "xlsx":
        book, written = Workbook(), io.BytesIO()
        for line in table:
            book.active.append(line)
        book.save(written)
        return written.getvalue()
    if form == "fixed":
        return "".join("".join(cell.ljust(32) for cell in row).rstrip() + "\r\n" for row in table).encode()
    csv.writer(text).writerows(table)
    return text.getvalue().encode("gb18030")


def table_in(form: str, content: bytes) -> list[list[str]]:
    if form == "xlsx":
        return [[cell or "" for cell in row] for row in load_workbook(io.BytesIO(content)).active.values]
    if form == "fixed":
        return [re.split(r" {2,}", line.strip()) for line in content.decode().splitlines()]
    return list(csv.reader(io.StringIO(content.decode("gb18030"))))


@pytest.mark.parametrize("form", ["csv", "fixed", "xlsx"])
def test_two_columns_of_one_name_come_in_and_come_back_under_it(source, tmp_path, form):  # noqa: F811
    path = tmp_path / "a"
    path.write_bytes(with_remarks(form, rows(3, quantity={1: "two"})))
    run = run_import(take_file(path, source=source, file_name="a").pk)
    assert (outcome(run).counts["accepted"], outcome(run).counts["quarantined"]) == (2, 1)
    assert Event.objects.filter(standing=Event.Standing.COUNTED)[0].extra == {"备注": "左", "备注 (2)": "右"}
    header, row = table_in(form, back := b"".join(failed_rows(run)))
    assert header == [*HEADER, "备注", "备注", "_tagline_id", "_reason"] and row[8:10] == ["左", "右"]
    path.write_bytes(back)
    again = run_import(take_file(path, source=source, file_name="b").pk)
    assert fingerprint(again.format["columns"]) == fingerprint(run.format["columns"])
    assert again.format["columns"][-3:] == ["备注 (2)", "_tagline_id", "_reason"]


@pytest.mark.parametrize(
    ("envelope", "header", "column", "positions"),
    [
        ({"preset": "flat"}, "id,event,phone,time,phone", "phone", "3, 5"),
        ({"preset": "flat"}, "id,price,event,phone,price", "price", "2, 5"),
        ({"preset": "flat"}, "event,item,phone,item", "item", "2, 4"),
        ({"preset": "tagline"}, "event,identifier.email,identifier.email", "identifier.email", "2, 3"),
        ({"preset": "segment"}, "event,userId,userId", "userId", "2, 3"),
        ({"preset": "custom", "event": "事件", "phone": "手机"}, "手机,事件,备注,手机,备注", "手机", "1, 4"),
        ({"preset": "custom", "event": "$.evt", "phone": "$.mobile"}, "evt,mobile,mobile", "mobile", "2, 3"),
        ({"preset": "custom", "event": "$.evt", "identifiers": {"email": "$.mail"}}, "evt,mail,mail", "mail", "2, 3"),
        ({"preset": "flat"}, "event" + ",note" * 20 + ",phone" * 20, "phone", "22, 23, 24, 25, 26, 27, 28, 29, 30, 31, …"),
    ],
    ids=[
        "a field",
        "an attribute",
        "of a rule",
        "an identifier",
        "of a protocol",
        "of an envelope of one's own",
        "of a whole record",
        "an identifier of a whole record",
        "many",
    ],
)
def test_two_columns_of_a_name_that_is_read_are_refused_by_their_positions(source, tmp_path, envelope, header, column, positions):  # noqa: F811
    made = MappingRule.objects.create(source=source, name="bought", tag=Tag.objects.get(code="purchase"))
    made.rows.create(target="product_id", path="item")
    source.envelope = envelope
    source.save()
    publish(notes="Envelope", by=None)
    (tmp_path / "a.csv").write_text(f"{header}\n{','.join('1' * len(header.split(',')))}\n")
    with pytest.raises(UnreadableFile) as told:
        take_file(tmp_path / "a.csv", source=source, file_name="a.csv")
    assert (told.value.code, told.value.values) == ("file.column_repeated", {"column": column, "positions": positions})


LOGIN = Matching((Column("tel", "phone"), Column("no", "id")), (RowEvent(name="login"),)).in_order()


@pytest.mark.parametrize(
    ("kept_for", "header", "positions"),
    [
        ("no,tel", "no,tel,tel", "2, 3"),
        ("no,tel,tel (2)", "no,tel,tel,tel", "2, 3, 4"),
        ("no,tel,tel (2)", "no,tel,tel", ""),
        ("no,tel", "no,tel,note,note", ""),
    ],
)
def test_a_matching_reads_no_column_of_several_names_unless_it_was_made_for_them(source, tmp_path, kept_for, header, positions):  # noqa: F811
    used = keep(LOGIN, source=source, headings=kept_for.split(","), file_name="a", by=None)
    (tmp_path / "a.csv").write_text(f"{header}\n1,{','.join(['13800138000'] * header.count(','))}\n")
    if positions:
        with pytest.raises(UnreadableFile) as told:
            take_file(tmp_path / "a.csv", source=source, file_name="a.csv", matching=used.number)
        assert (told.value.code, told.value.values) == ("file.column_repeated", {"column": "tel", "positions": positions})
    else:
        run = run_import(take_file(tmp_path / "a.csv", source=source, file_name="a.csv", matching=used.number).pk)
        assert outcome(run).counts["accepted"] == 1


def parquet_of(path: Path, names: list[str], *rows: list[str]) -> Path:
    fields = [Field(name, DataType.utf8()) for name in names]
    columns = [Array(list(cells), DataType.utf8()) for cells in zip(*rows, strict=True)]
    write_parquet(Table.from_batches([RecordBatch.from_arrays(columns, schema=Schema(fields))]), path)
    return path


def test_two_columns_of_one_name_in_parquet_are_told_apart_as_in_tables(source, tmp_path):  # noqa: F811
    cells = [["login", "13800138000", "left", "right"], ["login", "12", "above", "below"]]
    path = parquet_of(tmp_path / "a", ["event", "phone", "备注", "备注"], *cells)
    run = run_import(take_file(path, source=source, file_name="a").pk)
    assert (outcome(run).counts["accepted"], outcome(run).counts["quarantined"]) == (1, 1)
    assert Event.objects.get(standing=Event.Standing.COUNTED).extra == {"备注": "left", "备注 (2)": "right"}
    path.write_bytes(b"".join(failed_rows(run)))
    assert read_parquet(path).schema.names == ["event", "phone", "备注", "备注", "_tagline_id", "_reason"]
    assert take_file(path, source=source, file_name="b").format["columns"][2:4] == ["备注", "备注 (2)"]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["event", "phone", "phone"], "file.column_repeated"),
        (["event", "phone", "_reason", "_reason"], "file.our_column_repeated"),
    ],
)
def test_two_columns_of_parquet_of_a_name_that_is_read_or_ours_are_refused(source, tmp_path, names, code):  # noqa: F811
    path = parquet_of(tmp_path / "a", names, ["x"] * len(names))
    with pytest.raises(UnreadableFile) as told:
        take_file(path, source=source, file_name="a")
    assert (told.value.code, told.value.values["column"]) == (code, names[-1])


def test_what_is_read_is_looked_up_once_for_all_repeated_names(source, monkeypatch):  # noqa: F811
    asked: list[str] = []
    monkeypatch.setattr(repeated, "first_names", lambda path: asked.append(path) or {path})
    source.envelope = {"preset": "custom", "event": "evt"}
    source.save()
    publish(notes="Envelope", by=None)
    names = ["evt", *(f"c{at}" for at in range(18_000) for _twice in "ab")]
    columns = ["evt", *(f"{name} ({at})" for at, name in enumerate(names[1:]))]
    repeated.check_repeated(FileFormat("csv", columns=columns, named=names), source, None)
    assert asked == ["evt"]


@pytest.mark.parametrize("form", KNOWN)
def test_failed_rows_come_back_in_their_form_and_close_what_they_mend(source, tmp_path, form):  # noqa: F811
    run = run_import(take_file(write(tmp_path, form, rows(6, quantity={1: "two", 4: "three"})), source=source, file_name="a").pk)
    assert outcome(run).counts["quarantined"] == 2
    returned = tmp_path / ("returned.xlsx" if form == "xlsx" else "returned")
    returned.write_bytes(b"".join(failed_rows(run)))
    if form == "xlsx":
        book = load_workbook(returned)
        sheet = book.active
        header = [cell.value for cell in sheet[1]]
        for row in sheet.iter_rows(min_row=2):
            assert row[header.index("_reason")].value
            row[header.index("quantity")].value, row[0].value = 2, ""
        book.save(returned)
    elif form == "parquet":
        table = read_parquet(returned).read_all()
        columns = {name: table.column(name).combine_chunks().to_pylist() for name in table.column_names}
        assert all(columns["_reason"])
        columns |= {"quantity": ["2", "2"], "id": [None, None]}
        write_parquet(Table.from_pydict({name: Array(cells, DataType.utf8()) for name, cells in columns.items()}), returned)
    else:
        codec = {"zip": "gb18030", "fixed": "utf-8", "cp1252": "utf-8", "json": "utf-8", "ndjson": "utf-8", "utf-16": "utf-16-le"}.get(
            form, form
        )
        text = returned.read_bytes().decode(codec)
        mended = text
        for wrong, right in (("two", "2"), ("three", "2"), ("m1", ""), ("m4", "")):
            mended = mended.replace(wrong, right.ljust(len(wrong)), 1) if form == "fixed" else mended.replace(wrong, right)
        returned.write_bytes(mended.encode(codec))
    again = run_import(take_file(returned, source=source, file_name="b").pk)
    assert again.format["kind"] == run.format["kind"]
    assert (outcome(again).received, outcome(again).counts["accepted"]) == (2, 2)
    assert not QuarantineReason.objects.filter(open=True).exists()


def test_failed_rows_are_read_by_their_own_header_whatever_was_said_of_the_file_they_came_of(source, tmp_path):  # noqa: F811
    said = {"above": 1, "headers": 1}
    path = tmp_path / "a.csv"
    path.write_bytes(b"Sales\n" + as_csv(rows(4, quantity={1: "two", 2: "three"})))
    run = run_import(take_file(path, source=source, file_name="a", **said).pk)
    path.write_bytes(b"".join(failed_rows(run)).replace(b"two", b"2").replace(b"three", b"3"))
    assert outcome(run_import(take_file(path, source=source, file_name="a", **said).pk)).closed == 2


def test_failed_rows_of_a_workbook_are_texts_that_calculate_nothing(source, tmp_path):  # noqa: F811
    path = write(tmp_path, "xlsx", rows(1, quantity={0: "'=1+1"}))
    returned = tmp_path / "returned.xlsx"
    returned.write_bytes(b"".join(failed_rows(run_import(take_file(path, source=source, file_name="a").pk))))
    assert {cell.data_type for row in load_workbook(returned).active.iter_rows() for cell in row if cell.value} == {"s"}


def test_a_row_in_a_damaged_encoding_is_refused_and_comes_back_as_it_came(source, tmp_path):  # noqa: F811
    path = write(tmp_path, "gb18030", rows(5))
    path.write_bytes(path.read_bytes().replace(b"m3,", b"m3\xff,"))
    run = run_import(take_file(path, source=source, file_name="a").pk)
    assert (outcome(run).counts["accepted"], outcome(run).causes) == (4, [("record.encoding", 1)])
    assert b"m3\xff,purchase" in b"".join(failed_rows(run))


def test_headers_within_the_file_are_passed_over_and_counted(source, tmp_path):  # noqa: F811
    path = tmp_path / "a.csv"
    path.write_bytes(as_csv(rows(2)) + as_csv(rows(4)))
    found = outcome(run_import(take_file(path, source=source, file_name="a").pk))
    assert (found.received, found.skipped, found.counts["accepted"], found.counts["duplicate"]) == (6, 1, 4, 2)


MEASURE = """
import resource, sys
from pathlib import Path
import django
django.setup()
from ingestion.doors.files import blocks, records, sniff
path = Path(sys.argv[1])
found = sniff(path)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = 0
for block in blocks(path, found):
    for record in records(block, found):
        count += 1
print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(
    ("form", "lines"),
    [
        pytest.param(form, lines // part, marks=[pytest.mark.proof] if part == 1 or form in ("utf-16", "zip") else [])
        for form, lines in [
            ("gb18030", 700_000),
            ("utf-16", 500_000),
            ("json", 280_000),
            ("zip", 700_000),
            ("xlsx", 60_000),
            ("parquet", 300_000),
        ]
        for part in (5, 1)
    ],
)
def test_memory_does_not_grow_with_the_file(tmp_path, form, lines):
    """Reading takes the memory of a few blocks, 1.5 MB each with its cells: a file of 10 MB as cells would take five times as much.

    In the proof, files of more than 50 MB, unpacked (of the workbook 20 MB).
    """
    path = write(tmp_path, form, [*rows(1000)] * (lines // 1000))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True,
        env={"DJANGO_SETTINGS_MODULE": "cdp.settings", "PATH": ""},
    )  # fmt: skip
    count, megabytes = map(int, done.stdout.split())
    assert count == lines
    assert megabytes < 40


@pytest.mark.parametrize("is_matched", [False, True])
def test_only_what_is_lost_of_a_text_is_said_to_be(source, tmp_path, is_matched):  # noqa: F811
    """Every character of UTF-16 has a zero byte."""
    lines = rows(3)
    lines[1][HEADER.index("product_id")] = "a\0b"
    path = tmp_path / "till.csv"
    path.write_bytes(b"\xff\xfe" + as_csv(lines, encoding="utf-16-le"))
    if is_matched:
        columns = (Column("id", "id"), Column("phone", "phone"), Column("occurred_at", "occurred_at"))
        told = RowEvent(column="event", columns=(Column("product_id", "attribute.product_id"),))
        keep(Matching(columns, (told,)), source=source, headings=[*HEADER, "门店"], file_name=path.name, by=None)
    found = outcome(run_import(take_file(path, source=source, file_name=path.name).pk))
    assert (found.received, dict(found.notes).get("text.repaired")) == (3, 1)
