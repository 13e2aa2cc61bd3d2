"""Mangled bodies and files: every one is answered, nothing breaks, and received is always the sum of the four."""

import gzip
import io
import json
import logging
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import date, datetime

import pytest
import zstandard
from arro3.core import Array, DataType, Table
from arro3.io import write_parquet
from mangle import BODIES, SEED, bent, mangled
from openpyxl import Workbook

from ingestion.doors.files import UnreadableFile, blocks, records, sniff
from ingestion.imports.words import FILE_PROBLEMS
from profiles.models import Tally

FILES = [
    b"id,event,phone,occurred_at,order_id\r\n" + b'm1,purchase,13800138000,2026-03-01,"o,1"\r\n' * 9,
    b"\n".join([BODIES[0], BODIES[2]] * 5),
    b"a;b\n" + b'1;"x\ny"\n' * 9,
    "编号   手机           门店\n".encode("gb18030") + "m1     13800138000    南京路店\n".encode("gb18030") * 9,
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("count", [300, pytest.param(100_000, marks=pytest.mark.proof)])
def test_no_body_breaks_the_api(client, write_key, count, record_property, caplog):
    caplog.set_level(logging.ERROR, "django.request")  # or a warning for each body is kept until the end
    secret, _key = write_key
    chance = random.Random(SEED)
    understood = received = 0
    for _ in range(count):
        body = chance.choice(BODIES)
        body = mangled(body, chance) if chance.random() < 0.5 else json.dumps(bent(json.loads(body), chance)).encode()
        packed = chance.random() < 0.1
        headers = {"authorization": f"Bearer {secret}", **({"content-encoding": "gzip"} if packed else {})}
        sent = mangled(gzip.compress(body), chance) if packed and chance.random() < 0.5 else gzip.compress(body) if packed else body
        answer = client.post("/api/v1/events", sent, content_type="application/json", headers=headers)
        told = answer.json()
        assert answer.status_code in (200, 400, 413), (sent, told)
        if answer.status_code == 200:
            assert (
                told["received"] == told["accepted"] + told["duplicate"] + told["quarantined"] + told["refused"] == len(told["results"])
            ), sent
            understood, received = understood + 1, received + told["received"]
        else:
            assert told["error"]["message"], sent
    assert understood > count // 10
    assert sum(tally.received for tally in Tally.objects.all().iterator()) == received
    record_property("figure", f"{count:,} mangled bodies: {understood:,} understood with {received:,} events, no 5xx")


@pytest.mark.parametrize("count", [400, pytest.param(50_000, marks=pytest.mark.proof)])
def test_no_file_breaks_the_reader(tmp_path, count, record_property):
    chance = random.Random(SEED)
    path = tmp_path / "file"
    read = 0
    refused: list[str] = []
    tracemalloc.start()
    for number in range(count):
        content = mangled(chance.choice(FILES), chance)
        packing = chance.choice([bytes, bytes, gzip.compress, zstandard.ZstdCompressor().compress])
        content = packing(content)
        path.write_bytes(mangled(content, chance) if packing is not bytes and chance.random() < 0.5 else content)
        try:
            found = sniff(path)
            rows = [record for block in blocks(path, found, block_bytes=64) for record in records(block, found)]
        except UnreadableFile as error:
            refused.append(error.code)
            continue
        read += 1
        assert all(record.original is not None for record in rows)
        if number == count // 2:
            tracemalloc.reset_peak()
    peak_megabytes = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    assert read
    assert refused
    assert all(code in FILE_PROBLEMS for code in refused)
    assert peak_megabytes < 20
    record_property("figure", f"{count:,} mangled files: {read:,} read, {len(refused):,} refused in words, {peak_megabytes:.1f} MB at most")


def as_workbook(part: str, change: Callable[[bytes], bytes]) -> bytes:
    """A workbook of texts, numbers and dates, one part of it changed."""
    book, whole, changed = Workbook(), io.BytesIO(), io.BytesIO()
    for row in (["id", "phone", "at"], ["m1", 13800138000, datetime(2026, 3, 1, 10)], ["m2", 6.2e18, date(2026, 3, 1)]):
        book.active.append(row)
    book.save(whole)
    with zipfile.ZipFile(whole) as packed, zipfile.ZipFile(changed, "w") as out:
        for name in packed.namelist():
            out.writestr(name, change(packed.read(name)) if name == part else packed.read(name))
    return changed.getvalue()


PARTS = ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels"]


@pytest.mark.parametrize(
    ("form", "count"),
    [("xlsx", 150), ("parquet", 8), *(pytest.param(form, 5_000, marks=pytest.mark.proof) for form in ("xlsx", "parquet"))],
)
def test_no_table_breaks_the_reader(tmp_path, form, count, record_property):
    chance = random.Random(SEED)
    table = io.BytesIO()
    write_parquet(
        Table.from_pydict({"id": Array(["m1", "m2"] * 50, DataType.utf8()), "n": Array(list(range(100)), DataType.int64())}), table
    )
    read = 0
    refused: list[str] = []
    for _ in range(count):
        content = (
            mangled(table.getvalue(), chance)
            if form == "parquet"
            else as_workbook(chance.choice(PARTS), lambda part: mangled(part, chance))
        )
        path = tmp_path / "file"
        path.write_bytes(content)
        try:
            found = sniff(path)
            read += all(record.original for block in blocks(path, found, block_bytes=64) for record in records(block, found))
        except UnreadableFile as error:
            refused.append(error.code)
    assert refused
    assert all(code in FILE_PROBLEMS for code in refused)
    record_property("figure", f"{count:,} mangled {form} files: {read:,} read, {len(refused):,} refused in words")


def test_the_reader_refuses_what_unpacks_to_far_more_than_a_row(tmp_path):
    path = tmp_path / "bomb.csv.gz"
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as out:
        out.write(b"a,b\n")
        for _ in range(200):
            out.write(b"x" * 1_000_000)
    path.write_bytes(packed.getvalue())
    found = sniff(path)
    with pytest.raises(UnreadableFile) as raised:
        list(blocks(path, found))
    assert raised.value.code == "file.record_too_long"
