"""Whatever its encoding, delimiter, header and packing, a file is understood, and every record keeps its exact bytes."""

import gzip
import io
import json
import zipfile
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from arro3.core import Array, DataType, Table
from arro3.io import write_parquet
from openpyxl import Workbook

from ingestion.doors.files import FileFormat, UnreadableFile, blocks, cells_under, check_columns, decode_row, records, sniff, write_row
from taxonomy.standardize import Refusal

CHINESE = "编号,事件,手机,备注\n" + "".join(f"m{n},购买,1380013800{n % 10},门店{n}号“满减”\n" for n in range(40))
WESTERN = "id,event,ville\n" + "".join(f"m{n},achat,Orléans café à côté\n" for n in range(40))


def stored(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


def read(path: Path, found: FileFormat, block_bytes: int = 2_000_000):
    return [record for block in blocks(path, found, block_bytes=block_bytes) for record in records(block, found)]


@pytest.mark.parametrize(
    ("text", "codec", "mark", "encoding"),
    [
        (CHINESE, "utf-8", b"", "utf-8"),
        (CHINESE, "utf-8-sig", b"", "utf-8"),
        (CHINESE, "gb18030", b"", "gb18030"),
        (CHINESE, "gbk", b"", "gb18030"),
        (CHINESE, "utf-16-le", b"\xff\xfe", "utf-16-le"),
        (CHINESE, "utf-16-be", b"\xfe\xff", "utf-16-be"),
        (CHINESE, "utf-16-le", b"", "utf-16-le"),
        (CHINESE, "utf-16-be", b"", "utf-16-be"),
        (WESTERN, "cp1252", b"", "cp1252"),
        (WESTERN, "utf-8", b"", "utf-8"),
        ("id,nom\n1,é\n", "cp1252", b"", "cp1252"),
        ("id,名\n1,李\n", "gb18030", b"", "gb18030"),
        ("id,name\n" + "1,plain\n" * 60_000 + "2,中文字符\n", "gb18030", b"", "gb18030"),
        ("id,name\n1,😀\n2,😀\n", "utf-16-le", b"\xff\xfe", "utf-16-le"),
    ],
)
@pytest.mark.parametrize("block_bytes", [50, 2_000_000])
def test_an_encoding_is_told_by_its_bytes_and_records_keep_them(tmp_path, text, codec, mark, encoding, block_bytes):
    path = stored(tmp_path, mark + text.encode(codec))
    found = sniff(path)
    rows = read(path, found, block_bytes if len(text) < 10_000 else 500_000)
    expected = [line.split(",") for line in text.splitlines()]
    assert found.encoding == encoding
    assert found.columns == expected[0]
    assert [list(row.cells.values()) for row in rows] == expected[1:]
    codec = codec.removesuffix("-sig")
    assert [row.original for row in rows] == [line.encode(codec) for line in text.splitlines()[1:]]
    assert decode_row(rows[-1].original, FileFormat(**asdict(found))) == rows[-1].cells


@pytest.mark.parametrize(
    ("codec", "wrong"), [("utf-8", b"\xff\xfe"), ("gb18030", b"\xff"), ("cp1252", b"\x81"), ("utf-16-le", b"\x00\xd8")], ids=str
)
@pytest.mark.parametrize("is_quoted", [False, True])
def test_a_wrong_byte_is_an_error_of_its_row_alone(tmp_path, codec, wrong, is_quoted):
    text = CHINESE if codec != "cp1252" else WESTERN
    head, last = text.encode(codec), 'm99,"a\nb",c,d\n' if is_quoted else "m99,b,c,d\n"
    last = last if codec != "cp1252" else last.replace(",d\n", "\n")
    comma = ",".encode(codec)
    bad = "m98".encode(codec) + wrong + comma + "b".encode(codec) + comma + "c".encode(codec)
    bad += (comma + "d".encode(codec) if codec != "cp1252" else b"") + "\n".encode(codec)
    path = stored(tmp_path, head + bad + last.encode(codec))
    found = sniff(path)
    *good, damaged, after = read(path, found)
    assert found.encoding == codec
    assert len(good) == 40 and all(row.cells for row in good)
    assert (damaged.row, damaged.refusal.code, damaged.original) == (42, "record.encoding", bad[: -len("\n".encode(codec))])
    assert isinstance(decode_row(damaged.original, found), Refusal)
    assert after.cells["id" if codec == "cp1252" else "编号"] == "m99"


def test_an_encoding_that_was_said_is_believed(tmp_path):
    path = stored(tmp_path, WESTERN.encode("cp1252"))
    assert sniff(path, encoding="gb18030").encoding == "gb18030"


def test_a_file_of_utf_16_that_ends_in_half_a_character_loses_no_row(tmp_path):
    content = b"\xff\xfe" + "a,b\n1,2\n3,4\n".encode("utf-16-le")
    path = stored(tmp_path, content[:-1])
    first, last = read(path, sniff(path))
    assert first.cells == {"a": "1", "b": "2"}
    assert (last.refusal.code, last.original) == ("record.cut_off", content[-8:-1])


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_a_delimiter_is_the_one_that_parts_every_row_alike(tmp_path, sign):
    rows = [["id", "note", "price"], *([str(n), "a; b, c | d" if n % 5 == 0 else "plain", "12,50"] for n in range(30))]
    text = "".join(sign.join(f'"{cell}"' if set(cell) & set(",;|") else cell for cell in row) + "\n" for row in rows)
    path = stored(tmp_path, text.encode())
    found = sniff(path)
    assert (found.delimiter, found.columns) == (sign, rows[0])
    assert [list(record.cells.values()) for record in read(path, found)] == rows[1:]


def test_a_decimal_comma_between_semicolons_parts_nothing(tmp_path):
    path = stored(tmp_path, b"price;id\n" + b"1,50;a\n" * 20)
    assert sniff(path).delimiter == ";"


def test_any_character_may_part_cells_where_it_is_said(tmp_path):
    path = stored(tmp_path, "id¦名\n1¦李\n".encode())
    found = sniff(path, delimiter="¦")
    assert [record.cells for record in read(path, found)] == [{"id": "1", "名": "李"}]


def test_several_characters_may_part_cells_where_they_are_said(tmp_path):
    path = stored(tmp_path, b'7+|5" tube+|a|b&|\n8+|x+|y&|\n')
    found = sniff(path, delimiter="+|")
    assert [list(record.cells.values()) for record in read(path, found)] == [["7", '5" tube', "a|b&|"], ["8", "x", "y&|"]]
    assert write_row(["8", "a+|b", "two\nlines"], found) == b"8+|a b+|two lines\r\n"


def test_a_vertical_bar_that_is_half_a_chinese_character_parts_nothing(tmp_path):
    character = b"\x81|".decode("gb18030")
    path = stored(tmp_path, f"id|名称\n1|门店{character}\n".encode("gb18030"))
    assert [record.cells for record in read(path, sniff(path, encoding="gb18030"))] == [{"id": "1", "名称": f"门店{character}"}]


def test_single_quotation_marks_are_told(tmp_path):
    path = stored(tmp_path, b"id,note\n" + b"1,'a, b'\n" * 5)
    found = sniff(path)
    assert found.quote == "'"
    assert read(path, found)[0].cells == {"id": "1", "note": "a, b"}


def test_without_quotation_marks_a_mark_is_a_character(tmp_path):
    path = stored(tmp_path, b'id,note\n1,"a\n2,b"\n')
    assert [row.cells["note"] for row in read(path, sniff(path, quote=""))] == ['"a', 'b"']


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'n,size,note\n1,5" x,"a\nb"\n2,y,z\n', ['5" x', "a\nb"]),  # three marks, and closed
        (b'n,size,note\n1,5,"a\n2,y,z\n', ["5", '"a']),
        (b'n,size,note\n1,5,"a', ["5", '"a']),
        (b"n,size,note\r\r\n1,5,a\r\r\n", ["5", "a"]),
        (b'n,size,note\r\r\n1,5,"a"\r\r\n', ["5", "a"]),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 2_000_000])
def test_a_row_says_the_same_when_it_is_read_from_its_bytes_alone(tmp_path, content, said, block_bytes):
    path = stored(tmp_path, content)
    found = sniff(path)
    first = read(path, found, block_bytes)[0]
    assert first.cells == decode_row(first.original, found) == dict(zip(("n", "size", "note"), ["1", *said], strict=True))


@pytest.mark.parametrize(
    ("text", "above", "headers", "columns"),
    [
        ("id,phone\n1,13800138000\n2,13900139000\n", 0, 1, ["id", "phone"]),
        ("1,13800138000,login\n2,13900139000,login\n", 0, 0, ["A", "B", "C"]),
        ("2026-01-01 10:00,login\n2026-01-02 10:00,login\n", 0, 0, ["A", "B"]),
        ("login,web\nlogin,app\n", 0, 1, ["login", "web"]),
        ("日报\n\n编号,手机,金额\n1,13800138000,5\n", 1, 1, ["编号", "手机", "金额"]),
        ("日报,,\n打印于 2026,,\n编号,手机,金额\n1,13800138000,5\n2,13800138000,6\n", 2, 1, ["编号", "手机", "金额"]),
        ("订单,,客户\n编号,时间,手机\n1,2026-01-01,13800138000\n", 0, 2, ["订单 编号", "订单 时间", "客户 手机"]),
        ("id,2024\nx,5\ny,6\n", 0, 1, ["id", "2024"]),
    ],
)
def test_titles_and_headers_are_told(tmp_path, text, above, headers, columns):
    if text.startswith("id,2024"):
        said = {"headers": 1}
    else:
        said = {}
    path = stored(tmp_path, text.encode())
    found = sniff(path, **said)
    assert (found.above, len(found.heading), found.columns) == (above, headers, columns)
    lines = [line for line in text.splitlines() if line.strip(",")]
    assert [list(row.cells.values()) for row in read(path, found)] == [line.split(",") for line in lines[above + headers :]]


def test_what_is_said_of_the_header_is_believed(tmp_path):
    path = stored(tmp_path, b"a,b\nc,d\n1,2\n")
    assert sniff(path, headers=0).columns == ["A", "B"]
    assert sniff(path, headers=2).columns == ["a c", "b d"]
    assert sniff(path, above=1).columns == ["c", "d"]


def test_headers_within_the_file_are_no_records(tmp_path):
    path = stored(tmp_path, b"a,b\n1,2\na,b\n3,4\n")
    assert [(row.row, row.is_heading) for row in read(path, sniff(path))] == [(2, False), (3, True), (4, False)]


def test_a_last_row_that_is_cut_off_is_told(tmp_path):
    path = stored(tmp_path, b"a,b,c\n1,2,3\n4,5")
    assert [row.refusal and row.refusal.code for row in read(path, sniff(path))] == [None, "record.cut_off"]
    path = stored(tmp_path, b'{"a":1}\n{"a":')
    assert [row.refusal and row.refusal.code for row in read(path, sniff(path))] == [None, "record.cut_off"]


def test_a_last_row_without_a_line_end_is_whole(tmp_path):
    path = stored(tmp_path, b"a,b,c\n1,2,3")
    assert read(path, sniff(path))[0].cells == {"a": "1", "b": "2", "c": "3"}


ENTRIES = [{"id": n, "note": 'a "quoted", [bracketed] {text} \\', "at": {"list": [1, [2, {"x": "]"}]]}, "名": "李"} for n in range(60)]
DOCUMENTS = [
    json.dumps(ENTRIES),
    json.dumps(ENTRIES, indent=2, ensure_ascii=False),
    "[\n" + ",\n".join(map(json.dumps, ENTRIES)) + "\n]\n",
    json.dumps({"meta": {"tags": ["x", "y"]}, "data": {"items": ENTRIES}, "more": [1]}, indent=1),
    json.dumps({"count": 60, "events": ENTRIES}, ensure_ascii=False).replace("[{", "[\n{", 1),
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=["one line", "indented", "a line each", "nested", "under a name"])
@pytest.mark.parametrize("block_bytes", [3, 100, 1_000_000])
@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "utf-16-be"])
def test_a_json_list_is_cut_into_its_entries(tmp_path, document, block_bytes, codec):
    path = stored(tmp_path, ("\ufeff" if codec == "utf-16-be" else "").encode(codec) + document.encode(codec))
    found = sniff(path)
    rows = read(path, found, block_bytes)
    assert found.kind == "json"
    assert [decode_row(row.original, found) for row in rows] == ENTRIES
    assert [row.row for row in rows] == list(range(1, 61))


@pytest.mark.parametrize("kept", [15, 40, 200])
def test_a_json_list_that_is_cut_off_says_so_in_its_last_row(tmp_path, kept):
    path = stored(tmp_path, json.dumps([{"id": n} for n in range(60)]).encode()[:kept])
    *whole, last = read(path, sniff(path))
    assert all(row.refusal is None for row in whole)
    assert last.refusal.code == "record.cut_off"


def test_an_object_a_line_is_no_list_though_it_holds_one(tmp_path):
    path = stored(tmp_path, b'{"lines":[{"a":1}]}\n{"lines":[{"a":2}]}\n')
    assert sniff(path).kind == "ndjson"
    assert sniff(stored(tmp_path, b'{"lines":[{"a":1}]}\n')).kind == "ndjson"
    assert sniff(stored(tmp_path, b'{"event": "x",\n{"event": "y"}\n')).kind == "ndjson"


def test_lines_of_json_in_gb18030_are_read(tmp_path):
    path = stored(tmp_path, '{"名":"李雷"}\n{"名":"韩梅梅"}\n'.encode("gb18030"))
    found = sniff(path)
    assert [decode_row(row.original, found) for row in read(path, found)] == [{"名": "李雷"}, {"名": "韩梅梅"}]


def zipped(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("__MACOSX/._a", b"x")
        packed.writestr("folder/", b"")
        for name, content in files.items():
            packed.writestr(f"folder/{name}", content)
    return path


@pytest.mark.parametrize("block_bytes", [64, 1_000_000])
def test_the_first_file_of_a_zip_is_read_or_the_one_that_is_said(tmp_path, block_bytes):
    path = zipped(tmp_path / "a.zip", first=CHINESE.encode("gb18030"), second=b"a,b\n1,2\n")
    found = sniff(path)
    assert (found.compression, found.member, found.encoding) == ("zip", "folder/first", "gb18030")
    assert len(read(path, found, block_bytes)) == 40
    assert read(path, sniff(path, member="folder/second"))[0].cells == {"a": "1", "b": "2"}


def workbook(path: Path, *sheets: list[list[object]], formats: dict[str, str] | None = None) -> Path:
    book = Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"表{number}")
        for row in rows:
            sheet.append(row)
    for place, number_format in (formats or {}).items():
        book.worksheets[0][place].number_format = number_format
    book.save(path)
    return path


def test_a_sheet_gives_what_its_cells_show(tmp_path):
    rows = [
        ["门店日报"], [], ["id", "phone", "at", "day", "price", "card", "code", "ok"],
        ["m1", 13800138000, datetime(2026, 3, 1, 10, 5), date(2026, 3, 1), 9.9, 6.22202123456789e18, 123, True],
        [None, None],
        ["m2", 13800138000.0, datetime(2026, 3, 1), None, 0.1 + 0.2, 6222021234567890000, 45],
    ]  # fmt: skip
    path = workbook(tmp_path / "a.xlsx", rows, formats={"D4": "yyyy-mm-dd", "G4": "00000000", "G6": "0"})
    found = sniff(path)
    assert (found.kind, found.above, found.columns) == ("xlsx", 1, rows[2])
    first, second = read(path, found)
    assert list(first.cells.values()) == [
        "m1", "13800138000", "2026-03-01 10:05:00", "2026-03-01", "9.9", "6.22202123456789E+18", "00000123", "TRUE",
    ]  # fmt: skip
    assert list(second.cells.values()) == ["m2", "13800138000", "2026-03-01 00:00:00", "", "0.3", "6.22202123456789E+18", "45", ""]
    assert decode_row(first.original, found) == first.cells


def sharing_texts(path: Path, rows: list[list[str]], spoil: bytes = b"") -> Path:
    """A workbook as Excel writes it: its texts apart, numbered as they come. `spoil` stands after them."""
    workbook(path, [["x"]])
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    texts: dict[str, int] = {}
    lines = ("".join(f'<c t="s"><v>{texts.setdefault(text, len(texts))}</v></c>' for text in row) for row in rows)
    parts["xl/worksheets/sheet1.xml"] = f"<worksheet><sheetData><row>{'</row><row>'.join(lines)}</row></sheetData></worksheet>".encode()
    parts["xl/sharedStrings.xml"] = f"<sst>{''.join(f'<si><t>{text}</t></si>' for text in texts)}".encode() + spoil + b"</sst>"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    return path


def test_shared_texts_are_read_as_far_as_the_rows_that_are_asked_for(tmp_path):
    rows = [["id", "name"], *([f"m{number}", f"李{number % 7}"] for number in range(20_000))]
    path = sharing_texts(tmp_path / "a.xlsx", rows)
    found = sniff(path)
    cut = list(blocks(path, found, block_bytes=100_000))
    assert [list(one.cells.values()) for block in cut for one in records(block, found)] == rows[1:]
    so_far = [block.read_bytes for block in cut]
    assert so_far == sorted(set(so_far)) and so_far[-1] == path.stat().st_size
    spoiled = sharing_texts(tmp_path / "b.xlsx", [*rows, ["last", "<t"]], spoil=b"<")
    assert (sniff(spoiled).columns, next(blocks(spoiled, found, block_bytes=100)).first_row) == (["id", "name"], 2)
    assert code_of(spoiled) == "file.damaged"


@pytest.mark.parametrize("block_bytes", [30, 1_000_000])
def test_the_sheet_that_is_said_is_read(tmp_path, block_bytes):
    path = workbook(tmp_path / "a.xlsx", [["x"]], [["a", "b"], *([n, "z"] for n in range(1, 50))])
    found = sniff(path, sheet="表1")
    assert [row.cells["a"] for row in read(path, found, block_bytes)] == [str(n) for n in range(1, 50)]
    assert [row.row for row in read(path, found, block_bytes)] == list(range(2, 51))


TITLED = b'\xef\xbb\xbf\nreport,,\n,,\na,b,c\n1,"x\ny",2\n\n3,"x",4\n\n\n5,6,7\n'


@pytest.mark.parametrize("block_bytes", [1, 7, 1_000_000])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "gb18030"])
def test_a_row_has_the_number_of_its_line(tmp_path, codec, block_bytes):
    text = TITLED.decode() if codec != "gb18030" else TITLED.decode("utf-8-sig").replace("report", "日报")
    path = stored(tmp_path, text.encode(codec))
    assert [row.row for row in read(path, sniff(path, above=2), block_bytes)] == [5, 8, 11]
    path = stored(tmp_path, b'{"a":1}\n\n{"a":2}\r\n\r\n\r\n{"a":3}')
    assert [row.row for row in read(path, sniff(path), block_bytes)] == [1, 3, 6]
    path = stored(tmp_path, b'[{"a":1},\n\n{"a":2}]')
    assert [row.row for row in read(path, sniff(path), block_bytes)] == [1, 2]


@pytest.mark.parametrize("block_bytes", [1, 30, 1_000_000])
def test_a_row_of_a_sheet_has_the_number_that_excel_shows(tmp_path, block_bytes):
    path = workbook(tmp_path / "a.xlsx", [["report"], [], ["a", "b"], ["1", "x"], [], ["2", "y"], ["3", "z"], [], [], ["4", "z"]])
    assert [row.row for row in read(path, sniff(path), block_bytes)] == [4, 6, 7, 10]


def test_rows_of_several_files_and_of_formats_kept_before_are_counted(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name in ("a.csv", "b.csv"):
            packed.writestr(name, "a,b\n\n1,2\n3,4\n")
    assert [row.row for row in read(path, sniff(path))] == [1, 2, 3, 4]
    path = stored(tmp_path, b"a,b\n\n1,2\n\n3,4\n")
    assert [row.row for row in read(path, sniff(path))] == [3, 5]
    assert [row.row for row in read(path, replace(sniff(path), by_line=False))] == [1, 2]


def parquet(path: Path, columns: dict[str, Array], **said: object) -> Path:
    table = Table.from_pydict(columns)
    write_parquet(table, path, **said)
    return path


def test_a_table_of_parquet_gives_its_values_with_their_types(tmp_path):
    path = parquet(tmp_path / "a", {
        "编号": Array(["m1", None], DataType.utf8()), "phone": Array([13800138000, None], DataType.int64()),
        "card": Array([2**63 + 5, None], DataType.uint64()), "price": Array(["12345678901234567890.12", None], DataType.utf8()).cast(DataType.decimal128(30, 2)),
        "short": Array([9.9, None], DataType.float32()), "at": Array(["2026-03-01T10:05:00", None], DataType.utf8()).cast(DataType.timestamp("us")),
        "zoned": Array(["2026-03-01T02:05:00+08:00", None], DataType.utf8()).cast(DataType.timestamp("us", tz="Asia/Shanghai")), "day": Array(["2026-03-01", None], DataType.utf8()).cast(DataType.date32()),
        "bytes": Array(["李雷".encode(), None], DataType.binary()), "ok": Array([True, None], DataType.bool()),
    })  # fmt: skip
    found = sniff(path)
    assert (found.kind, found.columns[:2]) == ("parquet", ["编号", "phone"])
    first, second = read(path, found)
    assert list(first.cells.values()) == [
        "m1", 13800138000, 2**63 + 5, Decimal("12345678901234567890.12"), Decimal("9.9"), "2026-03-01T10:05:00", "2026-03-01T02:05:00+08:00",
        "2026-03-01", "李雷", True,
    ]  # fmt: skip
    assert set(second.cells.values()) == {None}
    assert decode_row(first.original, found) == first.cells
    assert cells_under(first.original, found)[0][3:6] == ["12345678901234567890.12", "9.9", "2026-03-01T10:05:00"]


@pytest.mark.parametrize("block_bytes", [64, 1_000_000])
@pytest.mark.parametrize("pack", [gzip.compress, None], ids=["gzip", "plain"])
def test_parquet_is_cut_into_the_same_records_packed_or_not(tmp_path, block_bytes, pack):
    path = parquet(
        tmp_path / "a", {"n": Array(list(range(50)), DataType.int64()), "b": Array(["x"] * 50, DataType.utf8())}, max_row_group_size=20
    )
    path = stored(tmp_path, pack(path.read_bytes())) if pack else path
    found = sniff(path)
    assert [(row.row, row.cells["n"]) for row in read(path, found, block_bytes)] == [(n + 1, n) for n in range(50)]


@pytest.mark.parametrize("block_bytes", range(1, 12))
def test_what_stands_after_a_list_is_seen_wherever_a_piece_ends(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr("ingestion.doors.files.cut.HEAD_BYTES", 8)
    path = stored(tmp_path, b'[{"a":1},{"a":2}] x')
    with pytest.raises(UnreadableFile) as raised:
        read(path, sniff(path), block_bytes)
    assert raised.value.code == "file.after_list"


def test_a_parquet_file_of_very_many_columns_is_read(tmp_path):
    names = [f"{number:0100}" for number in range(3_000)]
    path = parquet(tmp_path / "a", {name: Array([1], DataType.int64()) for name in names})
    assert [row.cells for row in read(path, sniff(path))] == [dict.fromkeys(names, 1)]


def test_a_parquet_file_that_is_cut_or_empty_is_told(tmp_path):
    path = parquet(tmp_path / "a", {"n": Array(list(range(500)), DataType.int64())})
    whole = path.read_bytes()
    for kept in (5, len(whole) // 2, len(whole) - 1):
        assert code_of(stored(tmp_path, whole[:kept])) == "file.damaged"
    assert code_of(stored(tmp_path, whole[:20] + b"\xff" * 40 + whole[60:])) == "file.damaged"
    assert code_of(parquet(tmp_path / "b", {"n": Array([], DataType.int64())})) == "file.empty"


def test_a_parquet_file_that_unpacks_to_far_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("ingestion.doors.files.unpack.BOMB_BYTES", 2_000_000)
    path = parquet(tmp_path / "a", {"n": Array(["x" * 1000] * 20_000, DataType.utf8())}, compression="zstd(1)")
    assert code_of(path) == "file.bomb"


@pytest.mark.proof
def test_a_page_of_parquet_that_fills_the_memory_ends_its_reader_alone(tmp_path):
    path = parquet(tmp_path / "a", {"n": Array(["x" * 600_000_000], DataType.utf8())}, compression="zstd(1)", dictionary_enabled=False)
    assert path.stat().st_size < 1_000_000
    assert code_of(path) == "file.bomb"


def test_a_workbook_or_a_parquet_file_in_a_zip_is_read(tmp_path):
    book = workbook(tmp_path / "a.xlsx", [["x"]], [["a", "b"], [1, "z"]]).read_bytes()
    table = parquet(tmp_path / "a.parquet", {"a": Array([1], DataType.int64()), "b": Array(["z"], DataType.utf8())}).read_bytes()
    path = zipped(tmp_path / "a.zip", book=book, table=table)
    found = sniff(path, member="folder/book", sheet="表1")
    assert (found.kind, found.compression, found.member, found.sheet) == ("xlsx", "zip", "folder/book", "表1")
    assert [row.cells for row in read(path, found)] == [{"a": "1", "b": "z"}]
    assert [row.cells for row in read(path, sniff(path, member="folder/table"))] == [{"a": 1, "b": "z"}]


@pytest.mark.parametrize("block_bytes", [64, 1_000_000])
def test_the_files_of_a_zip_that_are_alike_are_read_as_one(tmp_path, block_bytes):
    months = {f"m{month}": CHINESE.replace("购买", f"{month}月").encode("gb18030") for month in range(1, 4)}
    path = zipped(tmp_path / "a.zip", **months, readme="说明".encode("gb18030"))
    found = sniff(path)
    rows = read(path, found, block_bytes)
    assert found.members == ["folder/m1", "folder/m2", "folder/m3"]
    assert [row.row for row in rows] == list(range(1, 121)) and rows[-1].cells["事件"] == "3月"
    assert [block.index for block in blocks(path, found, block_bytes=block_bytes)] == list(
        range(len(list(blocks(path, found, block_bytes=block_bytes))))
    )
    assert len(read(path, sniff(path, member="folder/m2"))) == 40


TILL = [
    ["编号", "事件", "手机", "门店", "金额"],
    *([f"m{n}", "购买", "13800138000", ["南京路店", "A店", "Mall 3"][n % 3], f"{n}.50"] for n in range(12)),
]


def fixed_width(rows: list[list[str]], sizes: list[int], codec: str | None) -> str:
    """Lines padded by characters, or by the bytes of an encoding."""

    def pad(cell: str, size: int) -> str:
        return cell + " " * (size - (len(cell.encode(codec)) if codec else len(cell)))

    return "".join("".join(map(pad, row, sizes)) + "\n" for row in rows)


@pytest.mark.parametrize("measure", [None, "gb18030", "utf-8"])
@pytest.mark.parametrize("encoding", ["gb18030", "utf-8", "utf-16-le"])
@pytest.mark.parametrize("rows", [TILL, TILL[:3]], ids=["many rows", "two rows"])
def test_columns_of_fixed_width_are_found_whatever_they_are_counted_in(tmp_path, measure, encoding, rows):
    path = stored(tmp_path, fixed_width(rows, [8, 8, 14, 14, 6], measure).encode(encoding))
    found = sniff(path, encoding=encoding)
    assert (found.kind, found.columns) == ("fixed", rows[0])
    assert [list(row.cells.values()) for row in read(path, found, 80)] == rows[1:]
    assert decode_row(read(path, found)[0].original, found) == dict(zip(*rows[:2], strict=True))


def test_columns_without_a_blank_between_them_are_those_that_are_said(tmp_path):
    path = stored(tmp_path, fixed_width([["20260301", "13800138000", "南京路店", "9.50"]] * 3, [8, 11, 8, 4], "gb18030").encode("gb18030"))
    found = sniff(path, widths=[8, 11, 8, 4], measure="gb18030", encoding="gb18030")
    assert found.columns == ["A", "B", "C", "D"]
    assert read(path, found)[0].cells == {"A": "20260301", "B": "13800138000", "C": "南京路店", "D": "9.50"}


def test_a_row_of_fixed_width_that_is_shifted_is_told(tmp_path):
    text = fixed_width(TILL, [8, 8, 14, 14, 6], "gb18030") + "m99" + " " * 4 + "购买" + " " * 30 + "\nm98     购买\n"
    found = sniff(stored(tmp_path, fixed_width(TILL, [8, 8, 14, 14, 6], "gb18030").encode("gb18030")))
    path = stored(tmp_path, text.encode("gb18030"))
    shifted, short = read(path, found)[-2:]
    assert (shifted.row, shifted.refusal.code) == (14, "record.columns")
    assert short.cells == {"编号": "m98", "事件": "购买", "手机": "", "门店": "", "金额": ""}


def test_a_comma_here_and_there_parts_no_columns_of_fixed_width(tmp_path):
    rows = [[*row[:3], "Mall 3, B2" if row[0] == "m5" else row[3], row[4]] for row in TILL]
    path = stored(tmp_path, fixed_width(rows, [8, 8, 14, 14, 6], "gb18030").encode("gb18030"))
    assert [list(row.cells.values()) for row in read(path, sniff(path))] == rows[1:]


CDS = ["00001 19970101  1   11.77", "00002 19970112  5   77.00", "00002 19970112  1    9.00", "00003 19970330  2   20.76"] * 4


def test_a_header_that_does_not_stand_over_its_columns_names_them_by_its_words(tmp_path):
    text = " customer_id  date number_of_cds  dollar_value\n" + "".join(f" {line}\n" for line in CDS)
    path = stored(tmp_path, text.encode())
    found = sniff(path)
    assert (found.kind, found.columns) == ("fixed", ["customer_id", "date", "number_of_cds", "dollar_value"])
    assert [list(row.cells.values()) for row in read(path, found)] == [line.split() for line in CDS]


def test_a_number_that_becomes_longer_than_those_above_is_not_cut(tmp_path):
    lines = [*CDS * 10, "08830 19980610 99 1286.01"]
    path = stored(tmp_path, "".join(f"{line}\n" for line in lines).encode())
    assert list(read(path, sniff(path))[-1].cells.values()) == ["08830", "19980610", "99", "1286.01"]


def test_words_with_spaces_are_no_columns(tmp_path):
    path = stored(tmp_path, b"name\nLi Lei\nHan Mei\n")
    assert sniff(path).kind == "csv"


def cut(path: Path) -> None:
    found = sniff(path)
    check_columns(found)
    for _ in blocks(path, found):
        pass


def code_of(path: Path) -> str:
    with pytest.raises(UnreadableFile) as raised:
        cut(path)
    return raised.value.code


def test_a_zip_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("a.csv", "w") as inner:
        inner.write(b"a,b\n")
        for _ in range(300):
            inner.write(b"1,2\n" * 250_000)
    assert code_of(path) == "file.bomb"


@pytest.mark.parametrize(
    ("method", "damage"),
    [
        (zipfile.ZIP_STORED, lambda content: content.replace("表".encode(), b"\xff" * 3)),
        (zipfile.ZIP_STORED, lambda content: content.replace("表".encode(), b"\xff" * 3, 1)),
        (zipfile.ZIP_LZMA, lambda content: content[:45] + b"\xff" * 8 + content[53:]),
    ],
    ids=["names", "name of a part", "lzma"],
)
def test_a_zip_that_is_damaged_is_told(tmp_path, method, damage):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as out:
        out.writestr("表.csv", b"a,b\n" + b"1,2\n" * 9)
    assert code_of(stored(tmp_path, damage(packed.getvalue()))) == "file.damaged"


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_a_packed_bomb_is_refused_before_it_is_read_to_its_end(tmp_path, monkeypatch, pack):
    monkeypatch.setattr("ingestion.doors.files.unpack.BOMB_BYTES", 8_000_000)
    import zstandard

    piece = b"1,2\n" * 250_000
    compress = gzip.compress if pack == "gzip" else zstandard.ZstdCompressor().compress
    path = stored(tmp_path, compress(b"a,b\n") + compress(piece) * 12)
    assert code_of(path) == "file.bomb"


def test_a_locked_zip_is_told(tmp_path):
    path = zipped(tmp_path / "a.zip", first=b"a,b\n1,2\n")
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        where = -1
        while (where := content.find(mark, where + 1)) >= 0:
            content[where + at] |= 1
    path.write_bytes(content)
    assert code_of(path) == "file.encrypted"


@pytest.mark.parametrize(
    "head",
    [
        b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]>',
        b"<!-- " + b"x" * 20_000 + b' --><!DOCTYPE a [<!ENTITY b "c">]>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "c">]>'.encode("utf-16"),
    ],
    ids=["at its head", "far down", "utf-16"],
)
def test_an_xml_bomb_in_a_workbook_is_refused(tmp_path, head):
    path = workbook(tmp_path / "a.xlsx", [["a", "b"], [1, 2]])
    parts = {}
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    parts["xl/worksheets/sheet1.xml"] = head + parts["xl/worksheets/sheet1.xml"]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    assert code_of(path) == "file.bomb"


def test_a_workbook_whose_parts_are_missing_or_cut_is_damaged(tmp_path):
    path = workbook(tmp_path / "a.xlsx", [["a", "b"], [1, 2]])
    whole = path.read_bytes()
    for kept in range(0, len(whole) - 1, len(whole) // 7):
        assert code_of(stored(tmp_path, whole[:kept])) in ("file.damaged", "file.empty", "file.not_text", "file.column_unnamed"), kept
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    for left_out in parts:
        broken = io.BytesIO()
        with zipfile.ZipFile(broken, "w") as packed:
            for name, content in parts.items():
                if name != left_out:
                    packed.writestr(name, content)
        path = stored(tmp_path, broken.getvalue())
        with suppress(UnreadableFile):  # and by nothing else
            cut(path)


@pytest.mark.parametrize("content", [b"[" + b"{" * 40_000_000, b'[{"a":"' + b"x" * 40_000_000, b"x" * 40_000_000, b"[" * 40_000_000])
def test_an_endless_record_is_refused_before_it_fills_the_memory(tmp_path, content):
    assert code_of(stored(tmp_path, content)) in ("file.record_too_long", "file.no_header", "file.too_deep")
