"""What a file is packed in, and its bytes, unpacked as they are read. Never more than a few megabytes at once."""

import gzip
import io
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from ingestion.doors.files.formats import UnreadableFile
from ingestion.room import is_no_room

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZIP_MAGIC = b"PK\x03\x04"
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile, NotImplementedError)
# Files that are read by nobody here, by how they begin.
_FOREIGN = {b"\xd0\xcf\x11\xe0": "file.old_excel", b"PK\x05\x06": "file.empty"}
# And what is no table at all, with what people call it.
_OTHERS = {
    b"%PDF": "PDF", b"\x89PNG": "PNG", b"GIF8": "GIF", b"\xff\xd8\xff": "JPEG", b"{\\rt": "RTF", b"Rar!": "RAR", b"7z\xbc\xaf": "7z",
}  # fmt: skip
_PARQUET_MAGIC = b"PAR1"
# A file that unpacks to more than this, and to so many times its size, was made to fill a disk: tables pack 5 to 50 times.
BOMB_BYTES = 256 * 1024 * 1024
BOMB_RATIO = 200


def packing(path: Path) -> str:
    """gzip, zstd, zip or "" (none; a workbook is none). Raises UnreadableFile for what nobody here reads."""
    with path.open("rb") as stored:
        magic = stored.read(4)
    if magic[:2] == GZIP_MAGIC:
        return "gzip"
    if magic == ZSTD_MAGIC:
        return "zstd"
    return "zip" if magic == ZIP_MAGIC and not _is_workbook(path) else _known(magic)


def table_kind(path: Path, compression: str, member: str) -> str:
    """xlsx or parquet, by how the file begins once it is unpacked; "" for text. Raises UnreadableFile for what nobody here reads."""
    with opened(path, compression, member) as (_, stream):
        magic = stream.read(4)
    if magic == ZIP_MAGIC:
        return "xlsx"
    return "parquet" if magic == _PARQUET_MAGIC else _known(magic)


def data_files(path: Path) -> list[str]:
    """The files of a zip that may hold rows, in its order. Raises UnreadableFile where there is none."""
    found = [
        name for name in _names(path) if not name.endswith("/") and not name.startswith("__MACOSX/") and not Path(name).name.startswith(".")
    ]
    if not found:
        raise UnreadableFile("file.empty")
    return found


@contextmanager
def whole(path: Path, compression: str, member: str) -> Iterator[Path]:
    """The file as it is unpacked, on disk: for kinds that are not read from their beginning to their end."""
    if not compression:
        yield path
        return
    with opened(path, compression, member) as (_, stream), tempfile.NamedTemporaryFile() as unpacked:
        shutil.copyfileobj(stream, unpacked)
        unpacked.flush()
        yield Path(unpacked.name)


def _known(magic: bytes) -> str:
    if kind := next((kind for start, kind in _OTHERS.items() if magic.startswith(start)), ""):
        raise UnreadableFile("file.other_kind", kind=kind)
    if magic in _FOREIGN:
        raise UnreadableFile(_FOREIGN[magic])
    return ""


def _is_workbook(path: Path) -> bool:
    return "xl/workbook.xml" in _names(path)


@contextmanager
def opened(path: Path, compression: str = "", member: str = "") -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """(the stored file, whose position says how much of it was read; its unpacked bytes)."""
    with path.open("rb") as stored:
        if compression == "zip":
            with _member(stored, member) as stream:
                yield stored, _bounded(stream, stored)
        else:
            stream = _unpacked(stored, compression)
            yield stored, _bounded(stream, stored) if compression else stream


def damaged(error: BaseException, **values: int) -> UnreadableFile:
    """What a file is refused by that cannot be unpacked. Raises the error itself where the disk is full: the file is good."""
    if is_no_room(error):
        raise error
    return UnreadableFile("file.damaged", **values, detail=type(error).__name__)


def refuse_bomb(unpacked: int, packed: int) -> None:
    """Raises UnreadableFile for a size that only an attack has."""
    if unpacked > BOMB_BYTES and unpacked > BOMB_RATIO * packed:
        raise UnreadableFile("file.bomb")


def _names(path: Path) -> list[str]:
    with path.open("rb") as stored, _zip(stored) as packed:
        return packed.namelist()


@contextmanager
def _zip(stored: BinaryIO) -> Iterator[zipfile.ZipFile]:
    try:
        packed = zipfile.ZipFile(stored)
    except (*DAMAGED, ValueError) as error:  # a name that is not in the encoding it says
        raise damaged(error) from error
    with packed:
        yield packed


@contextmanager
def _member(stored: BinaryIO, name: str) -> Iterator[BinaryIO]:
    with _zip(stored) as packed:
        if name not in packed.namelist():
            raise UnreadableFile("file.no_member", file=name)
        found = packed.getinfo(name)
        if found.flag_bits & 1:
            raise UnreadableFile("file.encrypted")
        refuse_bomb(found.file_size, found.compress_size)
        try:
            stream = packed.open(found)
        except ValueError as error:
            raise damaged(error) from error
        with stream:
            yield cast(BinaryIO, stream)


def _unpacked(stored: BinaryIO, compression: str) -> BinaryIO:
    if compression == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=stored))
    if compression == "zstd":
        return cast(BinaryIO, io.BufferedReader(_Zstd(stored)))
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, stored)))


def _bounded(stream: BinaryIO, stored: BinaryIO) -> BinaryIO:
    return io.BufferedReader(_Bounded(stream, stored), 128 * 1024)


class _Bounded(io.RawIOBase):
    """Unpacked bytes, until they are too many for what was read of the stored file."""

    def __init__(self, stream: BinaryIO, stored: BinaryIO) -> None:
        self._stream, self._stored = stream, stored
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        self._count += len(piece)
        refuse_bomb(self._count, self._stored.tell())
        buffer[: len(piece)] = piece
        return len(piece)


class _Zstd(io.RawIOBase):
    """zstd unpacked. The library's own stream takes a file that is cut off for one that ends."""

    # A few bytes may stand for 128 KB: so much is unpacked at once at the most that 32 MB come of it.
    _PIECE = 1024

    def __init__(self, stored: BinaryIO) -> None:
        self._stored = stored
        self._frame: Any = None
        self._packed, self._waiting = b"", memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not len(self._waiting):
            self._packed = self._packed or self._stored.read(self._PIECE)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the file ends within a zstd frame")
                return 0
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._waiting = memoryview(self._frame.decompress(self._packed))
            self._packed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None
        size = min(len(buffer), len(self._waiting))
        buffer[:size], self._waiting = self._waiting[:size], self._waiting[size:]
        return size
