"""Files as they come in: unpacked, decoded and parsed within limits, never reaching beyond what was given. Pure."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import yaml

Files = dict[str, bytes]

MAX_FILES = 5_000
MAX_BYTES = 50 * 1024 * 1024
# A megabyte of YAML takes a second to read; the largest published plans are smaller.
MAX_YAML_BYTES = 5 * 1024 * 1024
MAX_DEPTH = 64
# Values of one document, aliases counted as often as they are used.
MAX_VALUES = 300_000
_BOOLEAN = re.compile("true|True|TRUE|false|False|FALSE")
# Reserved for folders of macOS and of editors, which zip puts beside the files.
_IGNORED = ("__MACOSX/", ".")


class Unreadable(Exception):
    """A file that cannot be read. `code` is one of taxonomy/exchange/formats/words.py."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def unpack(name: str, body: bytes) -> Files:
    """The files of a zip, or the file itself. Raises Unreadable."""
    if not body.startswith(b"PK\x03\x04"):
        if len(body) > MAX_BYTES:
            raise Unreadable("file.too_large")
        return {name: body}
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = [one for one in archive.infolist() if not one.is_dir() and not _is_ignored(one.filename)]
            if len(members) > MAX_FILES or sum(one.file_size for one in members) > MAX_BYTES:
                raise Unreadable("file.too_large")
            return dict(_members(archive, members))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise Unreadable("file.not_zip") from error


def _members(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> Iterator[tuple[str, bytes]]:
    left = MAX_BYTES
    for one in members:
        with archive.open(one) as stream:
            # The sizes in a zip's own list are claims.
            body = stream.read(left + 1)
        left -= len(body)
        if left < 0:
            raise Unreadable("file.too_large")
        yield str(PurePosixPath(one.filename)), body


def _is_ignored(path: str) -> bool:
    return path.startswith(_IGNORED) or "/." in path


def pack(files: Files) -> bytes:
    """A zip of the files, the same bytes for the same files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, body in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path, date_time=(1980, 1, 1, 0, 0, 0)), body, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def parse(path: str, body: bytes) -> list[Any]:
    """The documents of a JSON or YAML file, by its name: plain values, decimals exact. Raises Unreadable."""
    if path.endswith((".yaml", ".yml")):
        return parse_yaml(body)
    return [parse_json(body)]


def parse_json(body: bytes) -> Any:
    try:
        found = json.loads(decoded(body), parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Unreadable("file.not_json") from error
    _check_size(found)
    return found


def parse_yaml(body: bytes) -> list[Any]:
    text = decoded(body)
    if len(body) > MAX_YAML_BYTES:
        raise Unreadable("file.too_large")
    try:
        _check_depth(text)
        loader = _Loader(text)
        documents = []
        while loader.check_node():
            node = loader.get_node()
            _expanded(node, {}, set())
            documents.append(_plain(loader.construct_document(node)))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise Unreadable("file.not_yaml") from error
    return documents


def parse_rows(body: bytes) -> list[list[str]]:
    """The rows of a CSV, separated by comma, semicolon or tab."""
    text = decoded(body)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise Unreadable("file.not_csv") from error


def decoded(body: bytes) -> str:
    """UTF-8, with a BOM or without, UTF-16 with one, else GB18030. Raises Unreadable."""
    encodings = ["utf-16"] if body.startswith((b"\xff\xfe", b"\xfe\xff")) else ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Unreadable("file.encoding")


def dump_json(document: Any) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def dump_yaml(document: Any) -> bytes:
    return str(yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=140)).encode()


def _refuse(text: str) -> Any:
    raise ValueError(text)


def _check_size(value: Any) -> None:
    waiting, count = [(value, 0)], 0
    while waiting:
        one, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise Unreadable("file.too_deep")
        if count > MAX_VALUES:
            raise Unreadable("file.too_large")
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        waiting += [(part, depth + 1) for part in inner]


# libyaml is ten times faster; where PyYAML was built without it, Python's own will do.
_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_SAFE_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_SAFE_DUMPER):  # type: ignore[misc]
    """Writes what is used twice twice, where YAML would put an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Loader(_SAFE):  # type: ignore[misc]
    """Dates and words such as `no` and `on` stay what they look like: they are names in a plan."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in rules if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")]
    for letter, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _letter in "tTfF":
    _Loader.yaml_implicit_resolvers.setdefault(_letter, []).append(("tag:yaml.org,2002:bool", _BOOLEAN))


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_SAFE):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise Unreadable("file.too_deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _expanded(node: Any, known: dict[int, int], above: set[int]) -> int:
    """How many values a node stands for once its aliases are written out. Raises Unreadable for too many, and for a circle."""
    if id(node) in above:
        raise Unreadable("file.expands")
    if id(node) in known or isinstance(node, yaml.ScalarNode):
        return known.get(id(node), 1)
    parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    above.add(id(node))
    total = 1
    for part in parts:
        total += _expanded(part, known, above)
        if total > MAX_VALUES:
            raise Unreadable("file.expands")
    above.discard(id(node))
    known[id(node)] = total
    return total


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return Decimal(repr(value))
    return value if value is None or isinstance(value, str | int) else str(value)
