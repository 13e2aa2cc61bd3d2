"""Parquet files, streamed page by page. A record's bytes are a JSON list of its cells, typed."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from ingestion.doors.files.formats import UnreadableFile
from ingestion.doors.files.unpack import refuse_bomb
from taxonomy.standardize import encode_json

_SCRIPT = str(Path(__file__).with_name("parquet_rows.py"))


@contextmanager
def parquet_lines(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """(the stored file, whose position says how much of it was read; the columns' names and every row, each a line with a JSON list).

    Reading raises UnreadableFile where the file is damaged.
    """
    with (
        path.open("rb", buffering=0) as stored,
        # The file is its standard input, so that both have one position.
        subprocess.Popen([sys.executable, _SCRIPT], stdin=stored, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process,
    ):
        try:
            yield cast(BinaryIO, stored), io.BufferedReader(_Lines(process, path.stat().st_size), 128 * 1024)
        finally:
            process.kill()


def write_chosen(paths: list[Path], out: Path, chosen: Iterable[tuple[int, str, str]]) -> None:
    """Write rows of files, numbered through, to another, with the columns that are ours. `chosen`: (row, event ids, reason) in order."""
    with subprocess.Popen(
        [sys.executable, _SCRIPT, str(out), *map(str, paths)], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        for one in chosen:
            process.stdin.write(encode_json(one) + b"\n")
        process.stdin.close()
        _check_end(process)


class _Lines(io.RawIOBase):
    def __init__(self, process: "subprocess.Popen[bytes]", size_bytes: int) -> None:
        self._process, self._size_bytes = process, size_bytes
        self._stream = cast(BinaryIO, process.stdout)
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = os.read(self._stream.fileno(), len(buffer))
        if not piece:
            _check_end(self._process)
        self._count += len(piece)
        refuse_bomb(self._count, self._size_bytes)
        buffer[: len(piece)] = piece
        return len(piece)


def _check_end(process: "subprocess.Popen[bytes]") -> None:
    """Raises UnreadableFile where the process did not end well; one that asked for more memory than it may have is aborted."""
    ended = process.wait()
    if ended:
        raise UnreadableFile("file.bomb" if ended in (-signal.SIGABRT, -signal.SIGKILL) else "file.damaged")
