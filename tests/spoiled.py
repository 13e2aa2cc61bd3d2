"""Small files of every kind and packing, bombs among them, and the same spoiled within their packing."""

import gzip
import io
import json
import random
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import date, datetime

import zstandard
from arro3.core import Array, DataType, Table
from arro3.io import write_parquet
from mangle import BODIES, bent, mangled
from openpyxl import Workbook

Spoil = Callable[[bytes], bytes]
# What is not looked into: it is unpacked no further.
MOST_UNPACKED = 16 * 1024
TABLE = 'id,event,phone,at\r\nm1,购买,13800138000,"2026-03-01\r\n10:00"\r\nm2,登录,13900139000,2026-03-02\r\n'
WESTERN = "id;prénom;ville\nm1;Zoé;Orléans\nm2;Gaël;Nîmes\n" * 3
WIDE = "编号   手机           门店\n" + "m1     13800138000    南京路店\nm22    13900139000    人民广场店\n" * 4
SIGNS = [
    b'"', b"'", b"\n", b"\r", b"\r\n", b'"\n"', b'""', b",", b";", b"\t", b"|", b"\xff", b"\x81", b"\x81\x30\x81\x30", b"\xd8\x00", b"\x00\xd8", b"\x00", b"\xff\xfe",
    b"\xfe\xff", b"\xef\xbb\xbf", b"{", b"}", b"[", b"]", b'{"a":1}', b"},\n{", b'{"_record":"', b"_tagline_id", b"_reason", b"\\", b"\x1a", b"\x85", "\u2028\u3000".encode(),
    b"<c>", b"</c>", b"<row>", b"</row>", b'<row r="9">', b'<c r="ZZ9" t="s"><v>-1</v></c>', b'<c t="inlineStr"><is><t>_xD800__x0000_</t></is></c>', b"<v>1e400</v>",
    b"<v>nan</v>", b"<v>" + b"9" * 5000 + b"</v>", b' t="d"', b' s="9"', b' r="XFD1"', b"&#x9;", b"&lt;", b"]]>", b"<!DOCTYPE a>", b"<rPh><t>", b"<?xml?>", "１٣".encode(),
]  # fmt: skip

# What a cell, an attribute of one, a style or a relation may say.
XML_VALUES = [
    b"", b"0", b"1", b"-1", b"-0", b"60", b"2958466", b"1E15", b"1e400", b"nan", b"0.1", b"9" * 20, b"9" * 5000, "１٣".encode(), b"_xD800_", b"_x0000_x_xFFFF_", b"&#x9;&#xA;",
    b"&#x1F600;", b"A", b"A1", b"C2", b"XFD1", b"ZZZZ9", b"s", b"d", b"b", b"e", b"n", b"str", b"inlineStr", b"true", b"General", b"yyyy-mm-dd", b"h:mm", b"[h]:mm:ss",
    b"00000", b"0.00%", b"rId1", b"/xl/worksheets/sheet1.xml", b"../worksheets/sheet1.xml", b"xl/workbook.xml", b" ", b"2026-03-01T10:00:00", b"_tagline_id", b"#N/A", b"9999",
]  # fmt: skip
_SAID = re.compile(rb'(?<=>)[^<>]*(?=<)|(?<=")[^"<>]*(?=")')
_ELEMENT = re.compile(rb"<(c|row|si|t|r|v|xf|numFmt|sheet|Relationship|workbookPr|cellXfs|is)\b[^<>]*?(?:/>|>.*?</\1>)", re.DOTALL)


def texts() -> Iterator[bytes]:
    for text, codec in (
        (TABLE, "utf-8-sig"),
        (TABLE, "gb18030"),
        (TABLE, "utf-16"),
        (WESTERN, "latin-1"),
        (WIDE, "gb18030"),
        (WIDE, "utf-8"),
    ):
        yield text.encode(codec)
    yield TABLE.replace(",", "\t").encode("utf-16-be")
    yield TABLE.encode("utf-16")[:-1]
    yield TABLE.partition("\n")[2].encode()  # no header
    yield ("\n报表\n\n" + TABLE).encode()
    yield b"a||b\n1||'x\ny'\n" * 9
    lists = [json.loads(body) for body in BODIES]
    yield b"\n".join([BODIES[0], BODIES[2]] * 3)
    yield "\n".join(json.dumps(one, ensure_ascii=False) for one in lists).encode("utf-16")
    yield json.dumps(lists, ensure_ascii=False).encode("gb18030")
    yield json.dumps({"page": 1, "events": lists[::2]}, indent=1).encode()
    yield b"[" + b'{"a":' * 1_100
    yield b"\n".join([b'{"a":' * 1_100, b"[" * 1_100])


def workbook() -> bytes:
    book, stored = Workbook(), io.BytesIO()
    for row in (
        ["id", "phone", "at", "is"],
        ["m1", 13800138000, datetime(2026, 3, 1, 10), True],
        [],
        ["m2", 6.2e18, date(2026, 3, 1), 0.1],
    ):
        book.active.append(row)
    book.save(stored)
    with zipfile.ZipFile(stored) as packed:
        return zipped({name: packed.read(name) for name in packed.namelist() if "theme" not in name and "docProps" not in name})


def tables() -> Iterator[bytes]:
    yield workbook()
    stored = io.BytesIO()
    write_parquet(
        Table.from_pydict({"id": Array(["m1", "m2"], DataType.utf8()), "n": Array([1, 2], DataType.int64())}), stored, compression="zstd(1)"
    )
    yield stored.getvalue()


def bombs() -> Iterator[bytes]:
    yield gzip.compress(b"a,b\n" + b"1,2\n" * 1_000_000)
    yield zstandard.compress(b"a,b\n" + b"x" * 4_000_000)
    yield zipped({"a.csv": b"a,b\n" + b" " * 4_000_000})
    yield gzip.compress(b"a,b\n1," + b"x" * 300_000 + b"\n1,2\n")  # no bomb, but a row too long
    yield gzip.compress(("a,bc\n" + ("1," + "😀" * 9_999 + "\n") * 2).encode("utf-16"))  # a pair where a piece ends
    lol = b'<!DOCTYPE l [<!ENTITY a "lol">' + b"".join(b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)) + b"]>"
    for part in ("xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels"):
        yield within(workbook(), lambda inner: lol + inner, part)
        yield within(workbook(), lambda inner: inner.replace(b"<sheet", b"<a>" * 4_000 + b"<sheet", 1), part)
    sheet = "xl/worksheets/sheet1.xml"
    yield within(workbook(), lambda inner: inner.replace(b'<row r="4"', b'<row r="9999"'), sheet)
    yield within(workbook(), lambda inner: inner.replace(b'r="D1"', b'r="XFD1"'), sheet)
    yield within(workbook(), lambda inner: inner.replace(b"<v>0.1<", b"<v>" + b"9" * 50_000 + b"<"), sheet)


def seeds() -> Iterator[bytes]:
    plain = [*texts(), *tables()]
    packed = [workbook(), plain[0], plain[2], plain[4], plain[-1]]
    yield from plain
    for pack in (gzip.compress, zstandard.compress):
        yield from (pack(one) for one in packed)
        yield pack(plain[0][:90]) + pack(plain[0][90:])
    yield zipped({"a/1.csv": plain[1], "a/2.csv": plain[1], "3.txt": plain[3]})
    yield zipped({"表.xlsx": plain[-2], "b.parquet": plain[-1]})
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield zipped({"a.csv": plain[0]}, method)
    yield from bombs()


def zipped(parts: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", method) as out:
        for name, content in parts.items():
            out.writestr(name, content)
    return stored.getvalue()


def spoiled(content: bytes, chance: random.Random, spoil: Spoil) -> bytes:
    """As deep within its packing as there is one, but for one time in eight; what cannot be unpacked, as it stands."""
    if chance.random() < 0.125:
        return spoil(content)
    try:
        if content[:2] == b"\x1f\x8b":
            inner = zlib.decompressobj(31).decompress(content, MOST_UNPACKED)
            return gzip.compress(spoiled(inner, chance, spoil), 1, mtime=0)
        if content[:4] == b"\x28\xb5\x2f\xfd":
            inner = zstandard.ZstdDecompressor().stream_reader(content).read(MOST_UNPACKED)
            return zstandard.compress(spoiled(inner, chance, spoil), 1)
        if content[:4] == b"PK\x03\x04":
            return within(content, lambda inner: spoiled(inner, chance, spoil), chance)
    except Exception:  # whatever unpackers say of a file that was spoiled before
        pass
    return spoil(content)


def within(content: bytes, change: Spoil, which: str | random.Random) -> bytes:
    """A zip with one of its parts changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        parts = {}
        for one in packed.infolist():
            with packed.open(one) as part:
                parts[one.filename] = part.read(MOST_UNPACKED)
        name = which if isinstance(which, str) else which.choice([*parts])
        return zipped({**parts, name: change(parts[name])})


def spoiled_by(chance: random.Random) -> Spoil:
    """One way to spoil bytes: so that their grammar stays, as any client might, or with a sign where readers look for one."""

    def spoil(content: bytes) -> bytes:
        kind = content.lstrip()[:1]
        if kind == b"<" and chance.random() < 0.8:
            return bent_xml(content, chance)
        if kind in (b"{", b"[") and chance.random() < 0.4:
            return bent_json(content, chance)
        if chance.random() < 0.5:
            return mangled(content, chance)
        at = chance.randrange(len(content) + 1)
        return content[:at] + chance.choice(SIGNS) * chance.choice((1, 1, 1, 2, 99)) + content[at + chance.choice((0, 0, 1, 9)) :]

    return spoil


def bent_json(content: bytes, chance: random.Random) -> bytes:
    """A list or its lines, one of them bent."""
    lines = [content] if content[:1] == b"[" else content.split(b"\n")
    at = chance.randrange(len(lines))
    try:
        lines[at] = json.dumps(bent(json.loads(lines[at]), chance), ensure_ascii=chance.random() < 0.9).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return mangled(content, chance)
    return b"\n".join(lines)


def bent_xml(content: bytes, chance: random.Random) -> bytes:
    """One to four texts and attributes exchanged, elements taken away, doubled or put elsewhere."""
    for _ in range(chance.randint(1, 4)):
        found = [*chance.choice((_SAID, _SAID, _ELEMENT)).finditer(content)]
        if not found:
            continue
        one, other = chance.choice(found), chance.choice(found)
        by = [other.group(), *([b"", one.group() * 2] if one.re is _ELEMENT else XML_VALUES)]
        content = content[: one.start()] + chance.choice(by) + content[one.end() :]
    return content
