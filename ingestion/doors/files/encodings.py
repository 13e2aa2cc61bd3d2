"""How the characters of a file are written: told by its bytes, and read so that every record keeps its exact bytes.

Lines are cut in bytes. In UTF-8, GB18030 and Windows-1252 the bytes of line ends, quotation marks and commas are never part of
another character; UTF-16 is turned to UTF-8 as it is read, and a record's bytes are turned back.
"""

import codecs
import io
import re
from collections.abc import Callable
from typing import Any, BinaryIO

from ingestion.doors.files.formats import UnreadableFile

ENCODINGS = ("utf-8", "gb18030", "utf-16-le", "utf-16-be", "cp1252")
BOM = codecs.BOM_UTF8
_GB_BOM = "\ufeff".encode("gb18030")
_MARKS = {BOM: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be", _GB_BOM: "gb18030"}
# Two bytes of GB2312, where everyday Chinese stands: signs and full-width forms, and the characters. Four bytes that begin with
# 0x81, which no Western text has, are what GB18030 added, such as the ¥ before each price of a till.
_GB_COMMON = re.compile(rb"[\xa1-\xa9\xb0-\xf7][\xa1-\xfe]|\x81[0-9][\x81-\xfe][0-9]")
# Half of a UTF-16 unit, where the file ends: no UTF-8 has this byte, so the row cannot be read, and nothing of it is lost.
_HALF = b"\xff"
# One zero byte in so many is damage of its row; more are another encoding, or no text.
_FEW = 100
# So far it is looked for a character that tells anything, in a file that begins in ASCII.
_LOOK_BYTES = 64 * 1024 * 1024


def detect_encoding(head: bytes, read: Callable[[int], bytes]) -> str:
    """One of ENCODINGS. `read` gives what comes after the head. Raises UnreadableFile when it is no text."""
    if head[:4] in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        raise UnreadableFile("file.not_text")
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if head.count(0) * _FEW > len(head):
        return _utf_16(head)
    looked = 0
    sample = head
    while sample.isascii() and looked < _LOOK_BYTES and (piece := read(len(head))):
        sample, looked = sample[-4:] + piece, looked + len(piece)
    return "utf-8" if sample.isascii() or _is_utf_8(sample) else _chinese_or_western(sample)


def inner(encoding: str) -> str:
    """The encoding in which the file's lines are cut."""
    return "utf-8" if encoding.startswith("utf-16") else encoding


def without_mark(head: bytes) -> bytes:
    """The beginning, as it is cut, without its byte order mark."""
    return head.removeprefix(BOM).removeprefix(_GB_BOM)


def as_cut(stream: BinaryIO, encoding: str) -> BinaryIO:
    """The file's bytes in the encoding in which lines are cut."""
    return io.BufferedReader(_Utf16(stream, encoding)) if encoding.startswith("utf-16") else stream


def from_original(original: bytes, encoding: str) -> bytes:
    """A record's exact bytes, in the encoding in which lines are cut."""
    if not encoding.startswith("utf-16"):
        return original
    whole = len(original) // 2 * 2
    return original[:whole].decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass") + _half(original[whole:])


def to_original(line: bytes, encoding: str) -> bytes:
    """What was cut, in the file's exact bytes."""
    if not encoding.startswith("utf-16"):
        return line
    text, half, byte = line.partition(_HALF)
    return text.decode("utf-8", "surrogatepass").encode(encoding, "surrogatepass") + (bytes.fromhex(byte.decode()[:2]) if half else b"")


def in_encoding(text: str, encoding: str) -> bytes:
    """Text written in the encoding; bytes that could not be read are the same bytes again."""
    if encoding.startswith("utf-16"):
        return text.encode(encoding, "surrogatepass")
    return text.encode(encoding, "surrogateescape")


class _Utf16(io.RawIOBase):
    """A stream of UTF-16 as UTF-8. Halves of surrogate pairs pass: they make their row unreadable, not the file."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._waiting, self._rest = b"", b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._waiting:
            piece = self._stream.read(64 * 1024)
            read = self._rest + piece
            whole = len(read) // 2 * 2
            # A pair is turned as one.
            if piece and whole and 0xD8 <= read[whole - (1 if self._encoding == "utf-16-le" else 2)] <= 0xDB:
                whole -= 2
            self._waiting, self._rest = read[:whole].decode(self._encoding, "surrogatepass").encode("utf-8", "surrogatepass"), read[whole:]
            if not piece:
                self._waiting, self._rest = self._waiting + _half(self._rest), b""
                break
        size = min(len(buffer), len(self._waiting))
        buffer[:size], self._waiting = self._waiting[:size], self._waiting[size:]
        return size


def _half(rest: bytes) -> bytes:
    return _HALF + rest.hex().encode() if rest else b""


def _utf_16(head: bytes) -> str:
    """UTF-16 without a mark: of ASCII characters, which every file of rows is full of, one byte in two is zero."""
    first, second = head[0::2].count(0), head[1::2].count(0)
    if second > 4 * first and second > len(head) // 40:
        return "utf-16-le"
    if first > 4 * second and first > len(head) // 40:
        return "utf-16-be"
    raise UnreadableFile("file.not_text")


def _is_utf_8(sample: bytes) -> bool:
    """Whether it is UTF-8, but for a byte here and there: those rows are told by themselves."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(sample)
    wrong = text.count("\ufffd")
    return wrong == 0 or sum(1 for character in text if character > "\x7f") - wrong > 10 * wrong


def _chinese_or_western(sample: bytes) -> str:
    """Chinese comes in high bytes by twos; in Western languages a high byte mostly stands alone between letters."""
    pairs = len(_GB_COMMON.findall(sample))
    alone = sum(1 for byte in sample if byte > 0x7F) - 2 * pairs
    return "gb18030" if pairs > alone else "cp1252"
