"""One JSON list of any length, at the top of a file or under a name: where each of its entries ends."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ingestion.doors.files.formats import UnreadableFile

# A whole string, or a sign that opens, closes or parts; a quotation mark alone is a string that is not whole yet.
_SIGNS = re.compile(rb'"(?:[^"\\]|\\.)*+"|["\[\]{},]', re.DOTALL)
# In GB18030 the second byte of a character may be a bracket or a backslash.
_GB_SIGNS = re.compile(rb'"(?:[^"\\\x81-\xfe]|[\x81-\xfe].|\\.)*+"|["\[\]{},]', re.DOTALL)
_QUOTE, _COMMA = b'",'
_OPEN = b"[{"
# No event may be nested so deep; what is, was made to keep the reader counting.
_DEEPEST = 1_000


class Cut(NamedTuple):
    """`end`: after the last whole entry. `is_closed`: the list ended there."""

    end: int
    entries: int
    is_closed: bool


def start_of_list(head: bytes, encoding: str) -> int:
    """Where the entries of the file's list begin: of the outermost, else of the first that holds objects. Raises UnreadableFile."""
    if head.lstrip()[:1] == b"[":
        return head.index(b"[") + 1
    for found in _signs(encoding).finditer(head):
        if found.group() == b"[" and head[found.end() :].lstrip()[:1] == b"{":
            return found.end()
    raise UnreadableFile("file.no_list")


def cut_list(data: bytes, encoding: str, *, last: bool) -> Cut:
    """How far `data`, which begins before an entry, holds whole ones. Of the last data all is taken."""
    entries, end, is_closed = 0, 0, False
    for start, stop, closes in _parts(data, encoding):
        entries += bool(data[start:stop].strip())
        end, is_closed = stop + 1, closes
    if last and not is_closed:
        return Cut(len(data), entries + 1, False)
    return Cut(end, entries, is_closed)


def entries_of(data: bytes, encoding: str, *, last: bool) -> Iterator[tuple[bytes, bool]]:
    """(an entry, whether it is whole) for each of a block; where the file ends before its list, the last is what is there of one."""
    end, is_closed = 0, False
    for start, stop, closes in _parts(data, encoding):
        end, is_closed = stop + 1, closes
        if entry := data[start:stop].strip():
            yield entry, True
    if last and not is_closed:
        yield data[end:].strip(), False


def _parts(data: bytes, encoding: str) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether the list ends there) of each entry that is whole: a comma or the list's end follows."""
    depth = start = 0
    for found in _signs(encoding).finditer(data):
        at = found.start()
        sign = data[at]
        if sign == _QUOTE:
            if found.end() == at + 1:
                return
        elif sign == _COMMA:
            if not depth:
                yield start, at, False
                start = at + 1
        elif sign in _OPEN:
            depth += 1
            if depth > _DEEPEST:
                raise UnreadableFile("file.too_deep")
        elif depth:
            depth -= 1
        else:
            yield start, at, True
            return


def _signs(encoding: str) -> re.Pattern[bytes]:
    return _GB_SIGNS if encoding == "gb18030" else _SIGNS
