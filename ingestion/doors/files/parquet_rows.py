"""The rows of a Parquet file, read in a process of its own: a page made to fill the memory ends this process and no other.

`parquet_rows.py < FILE`: the columns' names, then every row, each a line with a JSON list.
`parquet_rows.py OUT FILE …`: the rows that standard input names, a line `[row, event ids, reason]` each, written to OUT with their types.

It is run by its path, so that it imports nothing of the project and starts at once.
"""

import os
import resource
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import msgspec
from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import read_parquet, write_parquet

# A page is unpacked whole; writers make them of 1 MB, the most careless of a row group, 128 MB.
_MEMORY_BYTES = 512 * 1024 * 1024
_BATCH_ROWS = 4096
_OURS = ("_tagline_id", "_reason")
_encoder = msgspec.json.Encoder(decimal_format="number")


def write_lines() -> None:
    reader = read_parquet(sys.stdin.buffer, batch_size=_BATCH_ROWS)
    out = sys.stdout.buffer
    out.write(_encoder.encode(reader.schema.names) + b"\n")
    for batch in reader:
        out.write(_encoder.encode_lines(list(zip(*(_values(batch.column(at)) for at in range(batch.num_columns)), strict=True))))


def write_chosen(out: str, *paths: str) -> None:
    """Rows are numbered through all the files; the types are those of the first."""
    first = read_parquet(paths[0]).schema
    kept = [at for at, name in enumerate(first.names) if name not in _OURS]
    schema = Schema([*(first.field(at) for at in kept), *(Field(name, DataType.utf8()) for name in _OURS)])
    batches = chain.from_iterable(read_parquet(path, batch_size=_BATCH_ROWS) for path in paths)
    write_parquet(RecordBatchReader.from_batches(schema, _chosen(batches, kept, schema)), out)


def _chosen(batches: Iterable[RecordBatch], kept: list[int], schema: Schema) -> Iterator[RecordBatch]:
    wanted = (msgspec.json.decode(line) for line in sys.stdin.buffer)
    following = next(wanted, None)
    before = 1
    for batch in batches:
        here: list[list[Any]] = []
        while following is not None and following[0] < before + batch.num_rows:
            here.append(following)
            following = next(wanted, None)
        if here:
            taken = batch.take(Array([row - before for row, _, _ in here], DataType.int64()))
            ours = [Array([told[at] for told in here], DataType.utf8()) for at in (1, 2)]
            yield RecordBatch.from_arrays([*(taken.column(at) for at in kept), *ours], schema=schema)
        before += batch.num_rows


def _values(column: Any) -> list[Any]:
    """What JSON can say: bytes that are text as text, and of a short float the digits it was written from."""
    if DataType.is_float32(column.type):
        return [None if text is None else float(text) for text in column.cast(DataType.utf8()).to_pylist()]
    values: list[Any] = column.to_pylist()
    return [_text(value) if isinstance(value, bytes) else value for value in values] if DataType.is_binary(column.type) else values


def _text(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        write_chosen(*sys.argv[1:]) if len(sys.argv) > 1 else write_lines()
    except MemoryError:
        os.abort()
