"""Quotes that go astray: rows of a file are told apart as by reading on from each of them, without the time that would take."""

import csv
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingestion.doors.files import rows as module
from ingestion.doors.files.formats import FileFormat

FORMAT = FileFormat("csv", columns=["a", "b"], delimiter=",", quote='"')


def told(data: bytes, width: int, *, last: bool) -> list[tuple[int, bytes, list[str], int]]:
    return [(end, row.line, row.cells, row.at) for end, row in module._quoted_rows(data, FORMAT, width, last=last)]


def by_reading_on(data: bytes, width: int, *, last: bool) -> Iterator[tuple[int, bytes, list[str], int]]:
    """From each row's first line as far as its quote goes; where that is too far, the line alone."""
    lines = data.split(b"\n")
    taken = offset = 0
    while taken < len(lines):
        first = taken
        reader = csv.reader((line.decode() + "\n" for line in lines[first:]), quotechar='"')
        try:
            cells = next(reader, [])
        except csv.Error:
            cells = None
        taken = first + reader.line_num
        line = b"\n".join(lines[first:taken])
        closed = csv.reader([*(one.decode() + "\n" for one in lines[first:taken]), "x\n"], quotechar='"')
        is_unclosed = cells is not None and taken == len(lines) and len(list(_until_error(closed))) == 1
        is_off = len(line) > module.LIMITS.event_bytes or bool(width and cells and len(cells) != width and (last or taken < len(lines)))
        if cells is None or (is_off and taken > first + 1) or (last and is_unclosed):
            line, taken = lines[first], first + 1
            cells = line.rstrip(b"\r").decode().split(",")
        offset += len(line) + 1
        if line.strip():
            yield min(offset, len(data)), line.rstrip(b"\r"), cells, first


def _until_error(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error:
        return


LINES = st.lists(st.text('",ax\r', max_size=7), max_size=12).map("\n".join)


@given(LINES, st.integers(0, 3), st.booleans(), st.sampled_from([6, 30, 1_000]))
@example('1,"a\n2,b\n3,c', 2, True, 1_000)
@example('"\naaaaa,"', 0, False, 6)
@example('5" ,"x\n' * 5, 2, True, 1_000)
@example('a,"b\n",c\n"\r"x\n', 2, False, 1_000)
def test_rows_are_what_reading_on_from_each_line_makes_of_them(text, width, last, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LIMITS", type("Limits", (), {"event_bytes": most}))
        found = told(text.encode(), width, last=last)
        assert found == list(by_reading_on(text.encode(), width, last=last))
        only_ends = module._quoted_rows(text.encode(), FORMAT, width, last=last, only_ends=True)
        assert [end for end, _ in only_ends] == [end for end, *_ in found]


@pytest.mark.parametrize("line", ['5" ,"x', 'a,"b', '"a', '"a,b,c', 'a,b,"c""'])
@pytest.mark.parametrize("width", [0, 2])
def test_lines_are_read_a_few_times_however_many_quotes_go_astray(line, width, monkeypatch):
    read = [0]
    real = csv.reader

    def counted(lines, **said):
        def each():
            for one in lines:
                read[0] += 1
                yield one

        return real(each(), **said)

    monkeypatch.setattr(module.csv, "reader", counted)
    data = "\n".join([line] * 2_000).encode()
    for last in (False, True):
        read[0] = 0
        assert b"\n".join(row.line for _, row in module._quoted_rows(data, FORMAT, width, last=last)) == data
        assert read[0] < 8 * 2_000
