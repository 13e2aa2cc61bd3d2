"""The file door cuts a file into whole records, the same way every time, whatever is quoted in it."""

import csv
import gzip
import io
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.doors.files import FileFormat, UnreadableFile, blocks, check_columns, records, sniff


def cut(path: Path, block_bytes: int = 2_000_000) -> list[dict[str, str] | None]:
    found = sniff(path)
    check_columns(found)
    return [record.cells for block in blocks(path, found, block_bytes=block_bytes) for record in records(block, found)]


def test_it_reads_quoted_line_ends_and_keeps_each_record_s_bytes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,note\r\n1,"two\nlines, ""quoted"""\r\n\r\n2,plain\r\n')
    found = sniff(path)
    rows = [record for block in blocks(path, found) for record in records(block, found)]
    assert [row.cells for row in rows] == [{"id": "1", "note": 'two\nlines, "quoted"'}, {"id": "2", "note": "plain"}]
    assert [row.original for row in rows] == [b'1,"two\nlines, ""quoted"""', b"2,plain"]
    assert [row.row for row in rows] == [2, 5]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
@pytest.mark.parametrize("block_bytes", [7, 64, 1_000_000])
def test_it_cuts_the_same_records_whatever_the_block_size(tmp_path, pack, block_bytes):
    rows = [{"a": str(n), "b": 'x,"\n' * (n % 4)} for n in range(50)]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["a", "b"])
    writer.writeheader()
    writer.writerows(rows)
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + pack(text.getvalue().encode()) if pack is bytes else pack(text.getvalue().encode()))
    assert cut(path, block_bytes) == rows


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8), st.sampled_from(["x", 'q"', "n\nn"])),
        min_size=1,
    )
)
@settings(max_examples=200)
def test_what_the_csv_module_wrote_comes_back(tmp_path_factory, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b"), *rows])
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(text.getvalue().encode())
    found = FileFormat("csv", "", ",", ["a", "b"], heading=[["a", "b"]])
    assert [tuple((r.cells or {}).values()) for b in blocks(path, found, block_bytes=16) for r in records(b, found)] == rows


def test_a_stray_quote_costs_its_own_row_and_no_other(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,note\n1,"never closed\n' + b"2,fine\n" * 60_000)
    rows = cut(path)
    assert len(rows) == 60_001
    assert rows[-1] == {"id": "2", "note": "fine"}


def test_a_stray_quote_at_the_end_of_a_small_file_swallows_no_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,note\n1,fine\n"2,never closed\n3,fine\n4,fine\n')
    assert cut(path) == [
        {"id": "1", "note": "fine"},
        {"id": '"2', "note": "never closed"},
        {"id": "3", "note": "fine"},
        {"id": "4", "note": "fine"},
    ]


def test_blank_lines_before_the_header_are_no_header(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\r\n\nid,note\n1,a\n")
    assert cut(path) == [{"id": "1", "note": "a"}]


def test_a_file_of_several_zstd_frames_is_read_whole(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"".join(map(zstandard.ZstdCompressor().compress, [b"id,note\n1,a\n", b"2,b\n"])))
    assert [row["id"] for row in cut(path)] == ["1", "2"]


def test_a_zstd_file_cut_off_at_any_place_is_told(tmp_path):
    path = tmp_path / "a.csv"
    packed = zstandard.ZstdCompressor().compress(b"id,note\n" + b"".join(b"%d,%d\n" % (n, n * 7919) for n in range(50_000)))
    for kept in range(len(packed) // 10, len(packed), len(packed) // 10):
        path.write_bytes(packed[:kept])
        with pytest.raises(UnreadableFile, match=r"file\.damaged"):
            cut(path)


def test_a_row_of_another_width_is_kept_and_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,note\n1,a,b\n2,c\n")
    found = sniff(path)
    first = next(record for block in blocks(path, found) for record in records(block, found))
    assert (first.cells, first.refusal.values["seen"], first.original) == (None, 3, b"1,a,b")


def test_ndjson_is_told_by_its_first_byte(tmp_path):
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"a":1}\n\n{"a":2}')
    found = sniff(path)
    assert found.kind == "ndjson"
    assert [r.original for b in blocks(path, found, block_bytes=4) for r in records(b, found)] == [b'{"a":1}', b'{"a":2}']


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("手机,备注,备注", ["手机", "备注", "备注 (2)"]),
        ("备注,备注,备注 (2),备注", ["备注", "备注 (3)", "备注 (2)", "备注 (4)"]),
        ("备注,备注 (2),备注 (2)", ["备注", "备注 (2)", "备注 (2) (2)"]),
    ],
)
def test_columns_of_one_name_are_told_by_a_number_that_none_is_called_by(tmp_path, header, columns):
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n{','.join(map(str, range(len(columns))))}\n")
    found = sniff(path)
    assert (found.columns, found.named, found.heading) == (columns, header.split(","), [header.split(",")])
    assert cut(path) == [dict(zip(columns, map(str, range(len(columns))), strict=True))]
    (tmp_path / "b.csv").write_text(",".join(columns) + "\n")
    assert sniff(tmp_path / "b.csv").columns == columns


def test_columns_of_one_name_in_a_header_of_two_rows_are_told_by_a_number(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("会员,,交易,\n手机,备注,时间,金额\n13800138000,a,2026-03-01,9.9\n".replace("备注", "手机"))
    assert sniff(path).columns == ["会员 手机", "会员 手机 (2)", "交易 时间", "交易 金额"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file.empty"),
        (b" \n\n", "file.empty"),
        (b"a\0b\0\0\0\0\1,1\n", "file.not_text"),
        (b"a,,b\n1,2,3\n", "file.column_unnamed"),
        (b"a,_tagline_id,_tagline_id\n1,2,3\n", "file.our_column_repeated"),
        (b"_reason,a,_reason\n1,2,3\n", "file.our_column_repeated"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "file.damaged"),
        (zstandard.ZstdCompressor().compress(b"a,b\n" + bytes(range(33, 127)) * 40)[:-9], "file.damaged"),
        (zstandard.ZstdCompressor().compress(b"a,b\n1,2\n") + b"no zstd", "file.damaged"),
        (b'{\n "event": "login"\n}', "file.no_list"),
        (b'[{"event": "login"}][]', "file.after_list"),
        (b"PAR1....", "file.damaged"),
        (b"\xd0\xcf\x11\xe0....", "file.old_excel"),
        (b"%PDF-1.7\n1 0 obj\n", "file.other_kind"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "file.other_kind"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "file.other_kind"),
        (gzip.compress(b"%PDF-1.7\n1 0 obj\n", mtime=0), "file.other_kind"),
        (b"<html><body><table><tr><td>event</td></tr></table>", "file.markup"),
        ("\ufeff\n<!DOCTYPE html>\n".encode(), "file.markup"),
        (b"a,b\r1,2\r", "file.line_ends"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, content, code):
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile) as raised:
        cut(path)
    assert raised.value.code == code


@pytest.mark.parametrize("content", [b"<5,b\n1,2\n", b"<tablets>,b\n1,2\n", b"GIF,JPEG\n1,2\n", b"PDF %,b\n1,2\n"])
def test_a_header_may_begin_nearly_as_a_file_of_another_kind(tmp_path, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    assert len(sniff(path).columns) == 2


def test_a_file_without_line_ends_is_refused_before_it_fills_the_memory(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" + b"x" * 40_000_000)
    with pytest.raises(UnreadableFile) as raised:
        cut(path)
    assert raised.value.code == "file.record_too_long"


@pytest.mark.parametrize("rows", [1, 8, 20, 500])
def test_a_till_s_yen_signs_make_no_western_file_of_a_chinese_one(tmp_path, rows):
    path = tmp_path / "a.csv"
    path.write_bytes(("单号,单价\n" + "".join(f"R{at},¥{at}.50\n" for at in range(rows))).encode("gb18030"))
    assert sniff(path).columns == ["单号", "单价"]


@pytest.mark.parametrize("text", ["prix,ville\n£5£6,Orléans\n", "né,à\n1„2,3\n", "Straße,Größe\n‚1‘ ƒ2,Ä1Ö2\n"])
def test_western_signs_between_digits_stay_western(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("cp1252"))
    assert sniff(path).encoding == "cp1252"
