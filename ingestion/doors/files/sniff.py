"""Tell how a file is to be read from its first bytes, as far as nobody has said it."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypedDict, Unpack

from ingestion.doors.files.arrays import start_of_list
from ingestion.doors.files.cut import first_objects
from ingestion.doors.files.encodings import as_cut, detect_encoding, inner, without_mark
from ingestion.doors.files.fixed import CHARACTERS, find_widths, is_of_failed_rows, widths_under
from ingestion.doors.files.formats import HEAD_BYTES, RESERVED, FileFormat, UnreadableFile
from ingestion.doors.files.names import names_in
from ingestion.doors.files.parquet import parquet_lines
from ingestion.doors.files.rows import cut_rows, read_rows
from ingestion.doors.files.sheets import sheet_names, sheet_rows
from ingestion.doors.files.unpack import DAMAGED, damaged, data_files, opened, packing, table_kind, whole
from taxonomy.standardize import LIMITS, decode_json, storable

DELIMITERS = (",", ";", "\t", "|")
QUOTES = ('"', "'")
# So many rows tell how the others are.
_ROWS = 100
# So many lines are looked at for a character that tells how columns are measured.
_MOST_LINES = 100_000
# Rows of two cells are parted by 0.5; a comma in a text here and there parts less than this.
_PARTS = 0.25
# A title and what stands around it, above the header.
_MOST_ABOVE = 20
# A number, a sum of money, a phone or a time: what stands in rows, and in no header.
_VALUE = re.compile(r"[-+(]?[¥$€£]?\d[\d\s.,:/()+-]*(?:T[\d:.]+Z?|[eE][-+]?\d+|%|年.*|元)?")

# Tills and web shops export such pages, and call them a workbook.
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|\?xml|html|head|meta|style|table)\b", re.IGNORECASE)


class Choices(TypedDict, total=False):
    """What somebody says of a file, where it is not to be found out. `headers` counts the header's rows.

    `member`: the one file of a zip, "" for all that are alike. `widths` and `measure`: the columns of fixed width.
    """

    encoding: str
    delimiter: str
    quote: str
    above: int
    headers: int
    member: str
    sheet: str
    widths: list[int]
    measure: str


def sniff(path: Path, **said: Unpack[Choices]) -> FileFormat:
    """How the file is to be read. Raises UnreadableFile; a header that cannot be one is left to `check_columns`.

    Of a zip: the file that was said, else the first with all that are read just as it is.
    """
    compression = packing(path)
    if compression != "zip" or said.get("member"):
        return _sniff_one(path, compression, said.get("member", ""), said)
    names = data_files(path)
    found = _sniff_one(path, compression, names[0], said)
    alike = [name for name in names[1:] if _is_alike(path, name, found, said)]
    return replace(found, members=[names[0], *alike], by_line=False) if alike else found


def _is_alike(path: Path, name: str, first: FileFormat, said: Choices) -> bool:
    try:
        found = replace(_sniff_one(path, "zip", name, said), member=first.member)
        return (replace(found, columns=first.columns) if first.is_json else found) == first
    except UnreadableFile:
        return False


def _sniff_one(path: Path, compression: str, member: str, said: Choices) -> FileFormat:
    try:
        kind = table_kind(path, compression, member)
        if kind == "":
            found = _sniff_text(path, FileFormat("", compression, member=member), said)
            return replace(found, by_line=found.kind != "json")
        with whole(path, compression, member) as unpacked:
            found = FileFormat(kind, compression, member=member, by_line=kind == "xlsx")
            return _sniff_sheet(unpacked, found, said) if kind == "xlsx" else _sniff_table(unpacked, found)
    except DAMAGED as error:
        raise damaged(error) from error


def _sniff_sheet(path: Path, found: FileFormat, said: Choices) -> FileFormat:
    sheet = said.get("sheet") or next(iter(sheet_names(path)), "")
    rows = [cells for _, cells, _ in islice(sheet_rows(path, sheet), _ROWS)] if sheet else []
    if not rows:
        raise UnreadableFile("file.empty")
    width = max(map(len, rows))
    return _with_header(replace(found, sheet=sheet), [[*row, *[""] * (width - len(row))] for row in rows], said)


def _sniff_table(path: Path, found: FileFormat) -> FileFormat:
    with parquet_lines(path) as (_, stream):
        names, first = stream.readline(), stream.read(1)
    if not first:
        raise UnreadableFile("file.empty")
    return _with_names(found, [name.strip() for name in decode_json(names)])


def _sniff_text(path: Path, found: FileFormat, said: Choices) -> FileFormat:
    encoding, head, is_whole = _head(path, found.compression, found.member, said.get("encoding", ""))
    if not head.strip():
        raise UnreadableFile("file.empty")
    if _MARKUP.match(head):
        raise UnreadableFile("file.markup")
    found = replace(found, kind=_kind(head, encoding), encoding=encoding)
    if found.kind == "json" and head.lstrip()[1:].lstrip()[:1] == b"]":
        raise UnreadableFile("file.empty")
    if found.kind != "csv":
        return replace(found, columns=_names(head, found, is_whole))
    if b"\r" in head and b"\n" not in head:
        raise UnreadableFile("file.line_ends")
    text = _whole_lines(head, is_whole).decode(inner(encoding), "replace")
    header = text.partition("\n")[0].rstrip("\r")
    if is_of_failed_rows(header) and not said.get("delimiter"):
        found = _fixed(found, *widths_under(header, _lines_below(path, found)))
    else:
        found = _parted(text, found, said)
    lines = head if is_whole else head[: cut_rows(head, found, last=False)[0]]
    rows = list(islice(read_rows(lines, found), _ROWS))
    if not rows:
        raise UnreadableFile("file.no_header")
    found = _with_header(found, [row.cells for row in rows], said)
    if found.kind == "fixed" and len(found.heading) == 1:
        words = rows[found.above].line.decode(inner(encoding), "replace").split()
        if len(words) == len(found.columns):  # a header need not stand over its columns
            found = _with_names(found, words)
    return found


def _names(head: bytes, found: FileFormat, is_whole: bool) -> list[str]:
    """Of the values in the first objects. What cannot be cut is told when it is read."""
    with suppress(UnreadableFile):
        return names_in(islice(first_objects(head, found, is_whole=is_whole), _ROWS))[: LIMITS.attributes]
    return []


def _parted(text: str, found: FileFormat, said: Choices) -> FileFormat:
    """By a delimiter; or by fixed widths, where nothing parts the rows and they stand in columns."""
    quote = said.get("quote") if "quote" in said else _quote(text)
    if len(said.get("delimiter", "")) > 1:  # such files quote nothing
        quote = ""
    parted = replace(found, quote=quote or "")
    parted = replace(parted, delimiter=said.get("delimiter") or _delimiter(text, parted))
    widths, measure = said.get("widths") or [], said.get("measure") or ""
    # A header without it: the delimiter stands within texts, such as reasons that all hold a comma.
    is_parted = _regularity(text, parted.delimiter, parted.quote) >= _PARTS and parted.delimiter in text.partition("\n")[0]
    if not widths and not said.get("delimiter") and not is_parted:
        widths, measure = find_widths(text.splitlines()[:_ROWS])
    if not widths:
        return parted
    return _fixed(found, widths, measure or CHARACTERS)


def _fixed(found: FileFormat, widths: list[int], measure: str) -> FileFormat:
    return replace(found, kind="fixed", quote="", widths=widths, measure=measure)


def _lines_below(path: Path, found: FileFormat) -> Iterator[str]:
    """The lines below the first, as many as are looked at."""
    with opened(path, found.compression, found.member) as (_, stream):
        cut = as_cut(stream, found.encoding)
        for line in islice(iter(partial(cut.readline, HEAD_BYTES), b""), 1, _MOST_LINES):
            yield line.decode(inner(found.encoding), "replace")


def check_columns(file_format: FileFormat) -> None:
    """Raises UnreadableFile where a column has no name, or two have the same and cannot be told apart."""
    columns = file_format.columns
    if "" in columns:
        raise UnreadableFile("file.column_unnamed", position=columns.index("") + 1)
    if len({*columns}) < len(columns):
        raise file_format.repeats(next(name for name, count in Counter(columns).items() if count > 1))


def decimal_sign(rows: list[list[str]]) -> str:
    """ "," where more numbers have a decimal comma than a point, else "."."""
    cells = [cell for row in rows for cell in row]
    commas = sum(1 for cell in cells if re.fullmatch(r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d{1,2}", cell))
    points = sum(1 for cell in cells if re.fullmatch(r"[-+]?(\d+|\d{1,3}(,\d{3})+)\.\d+", cell))
    return "," if commas > points else "."


def _head(path: Path, compression: str, member: str, encoding: str) -> tuple[str, bytes, bool]:
    """(the encoding; the beginning as it is cut, without mark and blank lines; whether that is the whole file)."""
    with opened(path, compression, member) as (_, stream):
        encoding = encoding or detect_encoding(stream.read(HEAD_BYTES), stream.read)
    with opened(path, compression, member) as (_, stream):
        cut = as_cut(stream, encoding)
        head = cut.read(HEAD_BYTES)
        return encoding, without_mark(head).lstrip(b"\r\n"), len(head) < HEAD_BYTES


def _kind(head: bytes, encoding: str) -> str:
    """ndjson, json or csv. An object whose first line is left open is a document, unless other lines are objects of their own."""
    start = head.lstrip()
    if start[:1] == b"[" and start[1:].lstrip()[:1] in (b"{", b"[", b"]", b""):
        return "json"
    if start[:1] != b"{":
        return "csv"
    first, *others = [line.strip() for line in start.split(b"\n") if line.strip()][:_ROWS]
    if _is_object(first, encoding) or (first[-1:] in b"," and any(_is_object(line, encoding) for line in others)):
        return "ndjson"
    if first[-1:] in b"{[,:" or (not others and _has_list(head, encoding)):
        start_of_list(head, encoding)
        return "json"
    return "ndjson"


def _has_list(head: bytes, encoding: str) -> bool:
    try:
        start_of_list(head, encoding)
    except UnreadableFile:
        return False
    return True


def _is_object(line: bytes, encoding: str) -> bool:
    try:
        return isinstance(decode_json(line.decode(inner(encoding)).encode()), dict)
    except UnicodeDecodeError:
        return False


def _whole_lines(head: bytes, is_whole: bool) -> bytes:
    return head if is_whole else head[: head.rfind(b"\n") + 1]


def _quote(text: str) -> str:
    """' where cells stand between such and none between quotation marks."""
    if '"' in text:
        return '"'
    lines = text.splitlines()[:_ROWS]
    quoted = sum(1 for line in lines if re.search(r"(?:^|[,;\t|])'[^']*'(?:[,;\t|]|$)", line))
    return "'" if lines and quoted * 2 > len(lines) else '"'


def _delimiter(text: str, file_format: FileFormat) -> str:
    """The one that parts most rows into as many cells; of several such the one that makes more of them."""
    return max(DELIMITERS, key=lambda sign: _regularity(text, sign, file_format.quote))


def _regularity(text: str, delimiter: str, quote: str) -> float:
    """The share of rows of one width, less where they have few cells."""
    widths = Counter(len(cells) for cells in islice(_sample(text, delimiter, quote), _ROWS) if cells)
    return max((rows * (1 - 1 / width) for width, rows in widths.items()), default=0) / max(1, widths.total())


def _sample(text: str, delimiter: str, quote: str) -> Iterator[list[str]]:
    try:
        if quote:
            yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote)
        else:
            yield from (line.split(delimiter) for line in text.splitlines() if line.strip())
    except csv.Error:
        return


def _with_header(found: FileFormat, rows: list[list[str]], said: Choices) -> FileFormat:
    if rows[0][-len(RESERVED) :] == [*RESERVED]:  # failed rows, sent again as the file they came of may have been
        said = {**said, "above": 0, "headers": 1}
    above = min(said.get("above", _above(rows)), len(rows) - 1)
    below = rows[above:]
    headers = min(said.get("headers", _headers(below)), len(below))
    heading = below[:headers]
    columns = _joined(heading) if heading else [_letter(at) for at in range(_width(below))]
    return _with_names(replace(found, above=above, heading=storable(heading)), columns)


def _with_names(found: FileFormat, names: list[str]) -> FileFormat:
    """With these columns; of several of one name the second and further ones get a number that no other is called by. Ours have none."""
    named = storable(names)
    columns, taken, last = list[str](), {*named}, dict[str, int]()
    for name in named:
        number = last.get(name, 0) + 1
        told = name if number == 1 or name in ("", *RESERVED) else f"{name} ({number})"
        while number > 1 and told != name and told in taken:
            number += 1
            told = f"{name} ({number})"
        last[name] = number
        taken.add(told)
        columns.append(told)
    return replace(found, columns=columns, named=[] if columns == named else named)


def _above(rows: list[list[str]]) -> int:
    """How many rows at the top have too few cells filled for a header or a row: titles."""
    width = _width(rows)
    most = max(1, width // 3)
    if width == 1:
        return 0
    for number, row in enumerate(rows[:_MOST_ABOVE]):
        filled = sum(1 for cell in row if cell.strip())
        if filled > most or (width == 2 and len(row) == 2):
            return number
    return 0


def _headers(rows: list[list[str]]) -> int:
    """How many rows the header has: none where values stand in the first as in the next, two where the first has gaps that the second fills."""
    first, rest = rows[0], rows[1:]
    if any(is_value(cell) and any(is_value(_at(row, at)) for row in rest[:10]) for at, cell in enumerate(first)):
        return 0 if sum(map(is_value, first)) >= sum(map(is_value, rest[0])) * 3 / 4 else 1
    if len(rest) > 1 and "" in [cell.strip() for cell in first] and len(rest[0]) == len(first):
        is_second = all(cell.strip() for cell in rest[0]) and not any(map(is_value, rest[0]))
        return 2 if is_second and any(map(is_value, rest[1])) else 1
    return 1


def _joined(heading: list[list[str]]) -> list[str]:
    """The names of the columns; of two rows, the upper's counts for the gaps after it."""
    if len(heading) == 1:
        return [name.strip() for name in heading[0]]
    names, upper = [], ""
    top, bottom = heading
    for at in range(max(len(top), len(bottom))):
        upper = _at(top, at).strip() or upper
        names.append(" ".join(part for part in dict.fromkeys((upper, _at(bottom, at).strip())) if part))
    return names


def is_value(cell: str) -> bool:
    return _VALUE.fullmatch(cell.strip()) is not None


def _at(row: list[str], at: int) -> str:
    return row[at] if at < len(row) else ""


def _width(rows: list[list[str]]) -> int:
    return Counter(map(len, rows)).most_common(1)[0][0]


def _letter(at: int) -> str:
    """A, B … Z, AA, as spreadsheets name their columns."""
    return (_letter(at // 26 - 1) if at >= 26 else "") + chr(ord("A") + at % 26)
