"""Failed rows of columns of fixed width are read back as they came, whatever their reasons say, however the file was measured."""

from collections.abc import Callable

import pytest
from django.utils import translation
from test_imports import HEADER, rows, source  # noqa: F401

from ingestion.doors.files import MEASURES, RESERVED, Column, FileFormat, Matching, RowEvent, cells_under, sniff, widths_of, write_cells
from ingestion.imports.failed import failed_rows
from ingestion.imports.matchings import keep
from ingestion.imports.run import outcome, run_import, take_file
from profiles.models import Event

FAILED = range(10, 40)
WIDTH = 34
STORES = ["南京路店", "Orléans", "静安", "A"]


def laid(lines: list[list[object]], measure: str = "characters", *, encoding: str = "utf-8") -> bytes:
    def cell(text: str) -> str:
        return text + " " * (WIDTH - len(text if measure == "characters" else text.encode(measure)))

    return "".join("".join(cell(str(one)) for one in line).rstrip() + "\r\n" for line in lines).encode(encoding)


def with_stores(lines: list[list[object]]) -> list[list[object]]:
    return [[*HEADER[:2], "门店名称", *HEADER[2:]], *([*line[:2], STORES[at % 4], *line[2:]] for at, line in enumerate(lines))]


def late_store(lines: list[list[object]]) -> list[list[object]]:
    """Only the last row tells how it is measured."""
    return [
        [*HEADER[:2], "store", *HEADER[2:]],
        *([*line[:2], "静安" if at == FAILED[-1] else "A", *line[2:]] for at, line in enumerate(lines)),
    ]


FORMS: dict[str, Callable[[list[list[object]]], bytes]] = {
    "plain": lambda lines: laid([HEADER, *lines]),
    "headerless": lambda lines: laid(lines),
    "characters": lambda lines: laid(with_stores(lines)),
    "bytes": lambda lines: laid(with_stores(lines), "gb18030", encoding="gb18030"),
    "bytes of another encoding": lambda lines: laid(with_stores(lines), "gb18030"),
    "bytes of UTF-8": lambda lines: laid(with_stores(lines), "utf-8"),
    "told late": lambda lines: laid(late_store(lines), "gb18030", encoding="gb18030"),
    "UTF-16": lambda lines: b"\xff\xfe" + laid(with_stores(lines), encoding="utf-16-le"),
    "two headers": lambda lines: laid([["order", *[" "] * (len(HEADER) - 1)], HEADER, *lines]),
    "one name twice": lambda lines: laid([[*HEADER, "note", "note"], *([*line, "left", "right"] for line in lines)]),
}  # fmt: skip


SAID = {"headerless": {"headers": 0, "widths": [WIDTH] * len(HEADER)}, "two headers": {"headers": 2, "above": 0}}


def keep_matching(source, columns: list[str]) -> None:  # noqa: F811
    """Of columns whose names the source's envelope does not know."""
    targets = {"id": "id", "phone": "phone", "occurred_at": "occurred_at"}
    read = [Column(heading, targets.get(name, f"attribute.{name}")) for name, heading in zip(HEADER, columns, strict=True)]
    own = tuple(one for one in read if one.target.startswith("attribute.") and one.target != "attribute.event")
    shared = tuple(one for one in read if not one.target.startswith("attribute."))
    event = RowEvent(column=columns[HEADER.index("event")], columns=own)
    keep(Matching(shared, (event,)), source=source, headings=columns, file_name="", by=None)


def lines_failing(how: str) -> list[list[object]]:
    """Rows of which thirty fail: all for the same reason, or each for one or several of some."""
    lines = [list(line) for line in rows(60, quantity=dict.fromkeys(FAILED, "two"))]
    for at in FAILED if how == "mixed" else ():
        lines[at][HEADER.index("phone")] = "1" * (3 + at % 4) if at % 3 else lines[at][HEADER.index("phone")]
        lines[at][HEADER.index("quantity")] = "two" if at % 2 or not at % 3 else "1"
    return lines


@pytest.fixture
def load(source, tmp_path, settings):  # noqa: F811
    settings.UPLOAD_DIR = tmp_path / "uploads"

    def load(content: bytes, file_name: str = "a.txt", **said):
        (tmp_path / "x").write_bytes(content)
        return run_import(take_file(tmp_path / "x", source=source, file_name=file_name, **said).pk)

    return load


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["alike", "mixed"])
@pytest.mark.parametrize("form", FORMS)
def test_rows_come_back_in_the_columns_they_came_in(load, source, tmp_path, form, how):  # noqa: F811
    said, content = SAID.get(form, {}), FORMS[form](lines_failing(how))
    if said:
        (tmp_path / "x").write_bytes(content)
        keep_matching(source, sniff(tmp_path / "x", **said).columns)
    run = load(content, **said)
    read = FileFormat(**run.format)
    assert (read.kind, outcome(run).counts["quarantined"], len(read.heading)) == ("fixed", 30, said.get("headers", 1))
    (tmp_path / "back").write_bytes(b"".join(failed_rows(run)))
    back = sniff(tmp_path / "back")
    named = read.named or read.columns
    assert (back.columns, back.named or back.columns) == ([*read.columns, *RESERVED], [*named, *RESERVED])
    assert (back.kind, back.above, back.measure) == ("fixed", 0, read.measure if "bytes" in form or form == "told late" else "characters")
    assert sniff(tmp_path / "back", **said) == back
    assert outcome(load((tmp_path / "back").read_bytes(), **said)).counts["duplicate"] == 30


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize(
    "file_name", ["a.txt", "orders  2025.txt", "export, shop, march, 2025.txt", "a;b;c;d;e;f;g;h.txt", "店|月报|三|月|.txt"]
)
def test_thirty_rows_that_failed_for_one_reason_close_what_they_mend(load, file_name, language):
    run = load(FORMS["plain"](lines_failing("alike")), file_name)
    with translation.override(language):
        back = b"".join(failed_rows(run))
    again = load(back.replace(b"two", b"2  "), file_name)
    assert (outcome(again).counts["accepted"], outcome(again).closed) == (30, 30)
    assert not Event.objects.filter(standing=Event.Standing.HELD).exists()


@pytest.mark.parametrize(
    "header", ["a  b  _tagline_id  _reason  c", "a  b  _reason  _tagline_id", "a,b,_tagline_id,_reason", "a  b  _tagline_id _reason"]
)
def test_no_other_header_is_taken_for_that_of_failed_rows(tmp_path, header):
    (tmp_path / "x").write_text(f"{header}\n1  2\n")
    assert sniff(tmp_path / "x").columns != ["a", "b", *RESERVED] or "," in header


@pytest.mark.parametrize("measure", MEASURES)
def test_the_first_rows_that_tell_how_columns_are_measured_may_stand_far_below(tmp_path, measure):
    table = [
        ["a", "b", *RESERVED],
        *([[f"m{at}", "x", "0" * 32, f"Row {at}: 数量"] for at in range(6_000)]),
        ["静安", "寺", "1" * 32, "Row"],
    ]
    widths = widths_of(iter(table), measure)
    (tmp_path / "x").write_text("".join(write_cells(row, widths, measure) + "\r\n" for row in table))
    found = sniff(tmp_path / "x")
    assert found.measure == measure and found.columns == table[0]
    assert cells_under(write_cells(table[-1], widths, measure).encode(), found) == (["静安", "寺"], [])
