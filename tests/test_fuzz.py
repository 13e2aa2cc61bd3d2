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
from openpyxl import Workbook

from ingestion.doors.files import UnreadableFile, blocks, records, sniff
from ingestion.words import FILE_PROBLEMS
from profiles.models import Tally

SEED = 20261124
ODDITIES = [
    b"null", b"true", b"-0", b"1e999", b"1e-999", b"NaN", b"12345678901234567890.123456789012345678901234567890", b'"\\u0000"', b'"\\ud800"',
    b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b'"' + b"x" * 300 + b'"', b"[" * 40, b"]" * 40, b'{"a":' * 40, b"\xf0\x9f\x98\x80", b",", b":", b"\r\n", b"\t",
    b'""', b"{}", b"[]", b'"event"', b'"phone"', b'"attributes"', b'"occurred_at"', b"1970-01-01T00:00:00Z", b"+86", "１３８".encode(), b"=1+1", b"\\",
]  # fmt: skip
BODIES = [
    json.dumps(one, ensure_ascii=False).encode()
    for one in (
        {"id": "m", "event": "purchase", "phone": "+86 138 0013 8000", "occurred_at": "2026-03-01T10:00:00Z",
         "attributes": {"order_id": "o1", "product_id": "p1", "price": "9.90", "quantity": 1}},
        {"events": [{"event": "product_view_SKU1", "identifiers": {"device": "d1", "email": "a@b.example"}, "region": "CN", "context": {"a": [1]}}, {}]},
        {"event": "item_detail_view", "phone": "138-0013-8000", "attributes": {"sku": "s", "sale_price": {"amount": 1, "currency": "CNY"}}},
    )
]  # fmt: skip
FILES = [
    b"id,event,phone,occurred_at,order_id\r\n" + b'm1,purchase,13800138000,2026-03-01,"o,1"\r\n' * 9,
    b"\n".join([BODIES[0], BODIES[2]] * 5),
    b"a;b\n" + b'1;"x\ny"\n' * 9,
    "编号   手机           门店\n".encode("gb18030") + "m1     13800138000    南京路店\n".encode("gb18030") * 9,
]


def mangled(seed: bytes, chance: random.Random) -> bytes:
    """One to six cuts, swaps, repeats, flips and oddities."""
    body = bytearray(seed)
    for _ in range(chance.randint(1, 6)):
        at, until = sorted((chance.randrange(len(body) + 1), chance.randrange(len(body) + 1)))
        match chance.randrange(5):
            case 0:
                del body[at : min(until, at + 20)]
            case 1:
                body[at:at] = chance.choice(ODDITIES)
            case 2:
                body[at : min(until, at + 12)] = chance.choice(ODDITIES)
            case 3:
                body[at:at] = body[at : min(until, at + 60)]
            case 4 if at < len(body):
                body[at] ^= 1 << chance.randrange(8)
    return bytes(body)


ODD_VALUES = [
    None, True, 0, -1, 2**70, 1.5e300, "", " ", "null", "\x00", "\ud800", "😀" * 9, "x" * 70_000, [], {}, [[[]]], {"a": {"b": [1, None]}}, "1.38E+10", "13800138000.0",
    "0086 138-0013-8000 ext 5", "2026-13-45", "9999-12-31T23:59:59Z", "0", -62135596800, "UTC", "=cmd()", ["p1"], {"amount": "9,90"},
]  # fmt: skip


def bent(value: object, chance: random.Random) -> object:
    """The same record with one value in it, at any depth, replaced by an odd one, or one key more."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        key = chance.choice(list(value))
        return {**value, key: bent(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        return [bent(value[0], chance), *value[1:], *value[:1]]
    if isinstance(value, dict) and chance.random() < 0.5:
        return {**value, chance.choice(["price", "id", "$x", "a" * 300, "", "event "]): chance.choice(ODD_VALUES)}
    return chance.choice(ODD_VALUES)


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
