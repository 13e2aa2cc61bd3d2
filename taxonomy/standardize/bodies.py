"""Bodies of webhooks: what is not JSON becomes the same shapes. Told apart by the first byte, so that they can be read again.

| body | becomes |
|---|---|
| JSON | itself |
| a form | an object of texts; of a name given more than once, a list of texts |
| XML | what its root holds: an element with elements in it is an object of them by name, another its text; a name there more than once is a list; attributes are under "@name", text beside either under "#text"; prefixes of names are dropped |

XML with a document type is refused: nothing in it can then be declared, expanded or fetched.
"""

from typing import Any
from urllib.parse import parse_qsl
from xml.parsers import expat

from taxonomy.standardize.decode import decode_json
from taxonomy.standardize.limits import LIMITS
from taxonomy.standardize.structs import Refusal

_BOM = b"\xef\xbb\xbf"


def decode_body(body: bytes) -> Any:
    """Decode one record of a webhook. Returns a Refusal when it is none of the three."""
    first = body.removeprefix(_BOM).lstrip()[:1]
    if first == b"<":
        return _decode_xml(body)
    return decode_json(body) if first in (b"{", b"[", b"") else _decode_form(body)


def _decode_form(body: bytes) -> Any:
    if b"=" not in body:
        return Refusal("record.not_form")
    try:
        pairs = parse_qsl(body.decode().strip(), keep_blank_values=True, errors="strict", max_num_fields=LIMITS.attributes)
    except ValueError:
        return Refusal("record.not_form")
    fields: dict[str, Any] = {}
    for name, value in pairs:
        _add(fields, name, value)
    return fields


def _add(fields: dict[str, Any], name: str, value: Any) -> None:
    if name not in fields:
        fields[name] = value
    elif type(fields[name]) is list:
        fields[name].append(value)
    else:
        fields[name] = [fields[name], value]


class _Refused(Exception):
    pass


class _Reader:
    """Builds objects while the parser walks; the innermost open element stands last."""

    def __init__(self) -> None:
        self.root: Any = {}
        self._open: list[tuple[str, dict[str, Any], list[str]]] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > LIMITS.nesting:
            raise _Refused
        self._open.append((_local(name), {f"@{_local(key)}": value for key, value in attributes.items() if not _declares(key)}, []))

    def text(self, text: str) -> None:
        self._open[-1][2].append(text)

    def end(self, _name: str) -> None:
        name, fields, texts = self._open.pop()
        text = "".join(texts).strip()
        if fields and text:
            _add(fields, "#text", text)
        if self._open:
            _add(self._open[-1][1], name, fields or text)
        else:
            self.root = fields or text

    def refuse(self, *_what: Any) -> None:
        raise _Refused


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _declares(name: str) -> bool:
    return name == "xmlns" or name.startswith("xmlns:")


def _decode_xml(body: bytes) -> Any:
    reader, parser = _Reader(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = reader.start, reader.end, reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    try:
        parser.Parse(body.strip(), True)
    except (expat.ExpatError, _Refused, ValueError, LookupError):
        return Refusal("record.not_xml")
    return reader.root
