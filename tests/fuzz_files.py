"""An atheris program, run by tests/test_fuzz_files.py: whatever a file holds, it is read to its end or refused in words.

Coverage of the file door leads it on. The first byte of an input chooses what somebody said of the file and how large its blocks are;
the rest is the file. It is read in small blocks and in larger ones, which must say the same. The door's limits are lowered so that small
files reach them. Parquet is read by a process of its own, which costs as much as a hundred other files: one in 64 is, by its checksum.

    python tests/fuzz_files.py <folder> [options of libFuzzer]
"""

import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz_readers import UNSTORABLE
from spoiled import seeds, spoiled, spoiled_by

from ingestion.imports.words import FILE_PROBLEMS
from taxonomy.standardize import Refusal, decode_json, encode_json

for module in [name for name in sys.modules if name.startswith("ingestion.doors")]:
    del sys.modules[module]
with atheris.instrument_imports(include=["ingestion.doors.files"]):
    from ingestion.doors.files import (
        RESERVED,
        Block,
        Choices,
        FileFormat,
        Record,
        UnreadableFile,
        blocks,
        cells_under,
        check_columns,
        cut,
        decode_row,
        records,
        sheets,
        sniff,
        unpack,
    )  # fmt: skip

guess = sys.modules["ingestion.doors.files.sniff"]
SAID: list[Choices] = [
    {}, {}, {}, {"headers": 0}, {"above": 1, "headers": 2}, {"encoding": "gb18030"}, {"encoding": "utf-16-le"}, {"encoding": "cp1252", "quote": "'"},
    {"delimiter": "||"}, {"delimiter": ",", "quote": ""}, {"widths": [7, 3, 0], "measure": "gb18030"}, {"member": "a/2.csv", "sheet": "Sheet"},
]  # fmt: skip
SMALL, LARGE = (1, 16, 64, 500), 8 * 1024
HEAD_BYTES, RECORD_BYTES, BOMB_BYTES, MOST_ROWS = 512, 64 * 1024, 1024 * 1024, 10_000
# The head, what is left of one record and a piece as long; an empty line for every row that a sheet may have.
LARGEST_BYTES = HEAD_BYTES + 2 * (RECORD_BYTES + LARGE)
PARQUET_ONE_IN = 64
parquet_lines = cut.parquet_lines


@dataclass
class Outcome:
    records: list[Record]
    code: str = ""


def lower_the_limits(folder: Path) -> Path:
    for one in (cut, guess):
        one.HEAD_BYTES = HEAD_BYTES
        one.parquet_lines = seldom
    for one in (cut, sheets):
        one.RECORD_BYTES = RECORD_BYTES
    sheets._MOST_ROWS = MOST_ROWS
    unpack.BOMB_BYTES = sheets._HELD_BYTES = BOMB_BYTES
    return folder / "file"


@contextmanager
def seldom(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    if crc32(path.read_bytes()) % PARQUET_ONE_IN:
        raise UnreadableFile("file.damaged")
    with parquet_lines(path) as found:
        yield found


def look(data: bytes) -> None:
    if not data:
        return
    said, at_once = SAID[data[0] % len(SAID)], SMALL[data[0] // len(SAID) % len(SMALL)]
    PATH.write_bytes(data[1:])
    try:
        found = sniff(PATH, **said)
    except UnreadableFile as error:
        code_of(error)
        return
    assert FileFormat(**found.as_json()) == found
    assert UNSTORABLE.search(encode_json(found.as_json())) is None, "no database text can hold how it is read"
    small, large = read(found, at_once), read(found, LARGE)
    if "file.record_too_long" not in (small.code, large.code):  # a piece may hold a whole one that is too long
        assert small.code == large.code
        for one, same in zip(small.records, large.records, strict=not small.code):
            assert one == same, f"cut otherwise it is another record: {one} {same}"
    for record in small.records:
        assert_read_again(record, found)
    if not small.code:
        assert_exact(small.records, found)
    try:
        check_columns(found)
    except UnreadableFile as error:
        code_of(error)


def code_of(error: UnreadableFile) -> str:
    assert error.code in FILE_PROBLEMS, "nobody has words for it"
    return error.code


def read(found: FileFormat, at_once: int) -> Outcome:
    read: list[Record] = []
    before: Block | None = None
    try:
        for block in blocks(PATH, found, block_bytes=at_once):
            assert len(block.data) <= LARGEST_BYTES + (MOST_ROWS if found.kind == "xlsx" else 0)
            assert block.index == (before.index + 1 if before else 0)
            here = list(records(block, found))
            assert not here or here[0].row >= block.first_row
            read, before = read + here, block
    except UnreadableFile as error:
        return Outcome(read, code_of(error))
    finally:
        assert all(one.row < other.row for one, other in pairwise(read)), "rows are not numbered upward"
    return Outcome(read)


def assert_read_again(record: Record, found: FileFormat) -> None:
    """As a stored record is: by reread.py, and in the admin by its cells."""
    said = decode_row(record.original, found)
    if found.has_names:
        cells, beyond = cells_under(record.original, found)
        assert len(cells) == sum(column not in RESERVED for column in found.columns)
    if record.is_heading:
        return
    if record.cells is not None:
        assert not beyond and said == {column: cell for column, cell in record.cells.items() if column not in RESERVED}
    elif record.refusal is not None and record.refusal.code != "record.cut_off":
        assert said == record.refusal
    elif record.refusal is not None:
        assert isinstance(said, Refusal) or found.kind == "json"


def assert_exact(read: list[Record], found: FileFormat) -> None:
    """Every record has the bytes that the file has, in the file's order."""
    if not found.is_text:
        assert all(type(decode_json(one.original)) is list for one in read)
        return
    at, content = 0, b"\n".join(unpacked(replace(found, member=member)) for member in found.members or [found.member])
    for one in read:
        at = content.find(one.original, at) + len(one.original)
        assert at >= len(one.original), f"the file has no such record: {one}"


def unpacked(found: FileFormat) -> bytes:
    with unpack.opened(PATH, found.compression, found.member) as (_, stream):
        return stream.read()


def change(data: bytes, most: int, seed: int) -> bytes:
    """Half of the time within the packing, which is closed again around it; else as atheris would."""
    chance = random.Random(seed)
    if len(data) > 1 and chance.random() < 0.5:
        own = spoiled_by(chance)
        made = spoiled(data[1:], chance, lambda inner: own(inner) if chance.random() < 0.5 else atheris.Mutate(inner, len(inner) + 64))
        if len(made) < most:
            return data[:1] + made
    return atheris.Mutate(data, most)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for number, begun in enumerate(seeds()):
        (folder / f"begun-{number}").write_bytes(bytes([number % len(SMALL) * len(SAID)]) + begun)
        (folder / f"begun-{number}-said").write_bytes(bytes([number]) + begun)
    with tempfile.TemporaryDirectory() as beside:
        PATH = lower_the_limits(Path(beside))
        atheris.Setup(sys.argv, look, custom_mutator=change)
        atheris.Fuzz()
