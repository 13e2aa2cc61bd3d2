"""YAML that reads well and diffs well, and back: plain values only, one way to write each, and lines for what is wrong."""

import re
from typing import Any, NamedTuple

import yaml

FILE_BYTES = 2 * 1024 * 1024
DEPTH = 32
# Other YAML readers take these for numbers, dates or booleans, though the one used here may not.
_LOOKS_TYPED = re.compile(
    r"[-+]?\d[\d_]*(:\d+)*\.?\d*(e[-+]?\d+)?|[-+]?\.\d+(e[-+]?\d+)?|0[xob][\da-f_]+|\d{4}-\d\d?-\d\d?([t ].*)?"
    r"|y|n|yes|no|on|off|true|false|null|none|~|[-+]?\.(inf|nan)",
    re.IGNORECASE,
)
# Line breaks of YAML that a block would turn into others.
_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")


class YamlError(Exception):
    """The text is no YAML of ours. `code` is stable, `line` counts from 1."""

    def __init__(self, code: str, line: int, **values: Any) -> None:
        super().__init__(code)
        self.code, self.line, self.values = code, line, values


class Text(NamedTuple):
    """A text or number without quotes, as it is written: the reader says which of the two is meant."""

    written: str
    value: Any


class Read(NamedTuple):
    """A document: a value of dicts, lists, texts, numbers and Texts, and {path: line}, the path being keys and places."""

    value: Any
    lines: dict[tuple[Any, ...], int]


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if _OTHER_BREAKS.search(text):
        style = '"'
    elif "\n" in text:
        style = "|"
    elif _LOOKS_TYPED.fullmatch(text):
        style = "'"
    else:
        style = ""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style or None)


_Dumper.add_representer(str, _represent_text)


def dump(value: dict[str, Any]) -> str:
    """One document; keys in their order, every list and mapping in block style, lines as long as their texts."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1_000_000_000)


# libyaml where it is: ten times as fast on a folder of 2,000 tags
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(text: bytes) -> Read:
    """Read one document. Raises YamlError for what is too large, no YAML, or uses what plans never need."""
    if len(text) > FILE_BYTES:
        raise YamlError("yaml.too_large", 1, limit=FILE_BYTES // 1024 // 1024)
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlError("yaml.not_utf8", text[: error.start].count(b"\n") + 1) from error
    reader = _Reader(decoded)
    try:
        return reader.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError("yaml.syntax", mark.line + 1 if mark else 1, problem=error.problem or error.context) from error
    except yaml.reader.ReaderError as error:
        line = decoded[: error.position].count("\n") + 1 if isinstance(error.position, int) else 1
        raise YamlError("yaml.characters", line) from error
    finally:
        reader.loader.dispose()


class _Reader:
    """Reads event by event, and stops at what is nested too deep: composing it whole would exhaust the stack of libyaml's binding."""

    def __init__(self, text: str) -> None:
        self.loader = _Loader(text)
        self.lines: dict[tuple[Any, ...], int] = {}

    def document(self) -> Read:
        self.loader.get_event()
        if self.loader.check_event(yaml.StreamEndEvent):
            return Read(None, {})
        self.loader.get_event()
        value = self.value((), self.loader.get_event())
        self.loader.get_event()
        if not self.loader.check_event(yaml.StreamEndEvent):
            raise YamlError("yaml.documents", self.loader.peek_event().start_mark.line + 1)
        return Read(value, self.lines)

    def value(self, path: tuple[Any, ...], event: Any) -> Any:
        line = event.start_mark.line + 1
        self.lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent):
            raise YamlError("yaml.alias", line)
        if len(path) > DEPTH:
            raise YamlError("yaml.too_deep", line, limit=DEPTH)
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, line)
        if event.tag is not None:
            raise YamlError("yaml.tag", line, tag=event.tag)
        return self.mapping(path) if isinstance(event, yaml.MappingStartEvent) else self.sequence(path)

    def sequence(self, path: tuple[Any, ...]) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := self.loader.get_event(), yaml.SequenceEndEvent):
            found.append(self.value((*path, len(found)), event))
        return found

    def mapping(self, path: tuple[Any, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := self.loader.get_event(), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent):
                raise YamlError("yaml.key", line)
            if event.value in found:
                raise YamlError("yaml.twice", line, key=event.value)
            self.lines[*path, event.value] = line
            found[event.value] = self.value((*path, event.value), self.loader.get_event())
        return found

    def scalar(self, event: Any, line: int) -> Any:
        tag = event.tag or self.loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        match tag.removeprefix("tag:yaml.org,2002:"):
            case "str" | "timestamp" | "value" | "merge" | "!":
                return event.value
            case "null":
                return None
            case "bool":
                return Text(event.value, event.value.lower() in ("true", "yes", "on"))
            case "int" | "float" as kind:
                return Text(event.value, _number(event.value, kind))
        raise YamlError("yaml.tag", line, tag=tag)


def _number(written: str, kind: str) -> Any:
    """The number of JSON's kind; what is a number to YAML 1.1 only, such as 12:30, is a text."""
    try:
        return int(written) if kind == "int" else float(written)
    except ValueError:
        return written
