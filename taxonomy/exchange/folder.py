"""The plan as a folder of YAML: a file for each tag, attribute and source, its rules in it in their order; the categories in one.

One item a file: its history is the file's, and two branches that add an attribute each never touch the same lines. Categories are
read as a tree, so they stand together. What is the default is left out; the permanent id stands last, so that a rename stays one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from taxonomy.exchange.shapes import LARGEST_POSITION
from taxonomy.exchange.written import DEFAULTS, OPTIONAL, Definition, Entry, Items, Written, write
from taxonomy.exchange.yamls import Text, YamlError, dump, load

FORMAT = "tagline-plan/1"
FOLDERS = {"attribute": "attributes", "tag": "tags", "source": "sources"}
MOST_FILES = 20_000
_LABELS = ("label_en", "label_zh_hans", "description_en", "description_zh_hans")
# The order in which the fields of each kind are written; the id comes last by itself.
_ORDER: dict[str, tuple[str, ...]] = {
    "category": ("code", *_LABELS, "parent", "position"),
    "attribute": ("code", *_LABELS, "type", "of", "fields", "unit", "example", "personal", "constraints", "watch_until"),
    "tag": (
        "code", *_LABELS, "category", "owner", "status", "successor", "synonyms", "attributes", "one_of", "refinements", "modes", "watch_until",
        "system",
    ),
    "source": (
        "code", *_LABELS, "source_kind", "owner", "region", "timezone", "currency", "namespace", "hold_unreadable_phone", "separate_rows", "replay_held",
        "envelope",
    ),
    "rule": ("name", "match", "condition", "below_version", "until", "tag", "keep_unmapped", "note", "rows"),
}  # fmt: skip
_USE = {"required": False, "constraints": {}}
_PLAIN_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,99}", re.IGNORECASE)
# Windows opens a device under these names.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_EXPORTED = re.compile(rb"^id: [0-9a-f-]{36}$", re.MULTILINE)


class NotAPlanFolder(Exception):
    """The folder holds other things under our names, or no plan at all. `path` is what is in the way or missing."""

    def __init__(self, code: str, path: str) -> None:
        super().__init__(code)
        self.code, self.path = code, path


@dataclass(frozen=True, slots=True)
class Mistake:
    """A file that cannot be read: its path in the folder, the line, a code of YamlError's and what it said."""

    file: str
    line: int
    code: str
    values: dict[str, Any]


@dataclass(slots=True)
class Folder:
    """What a folder holds. `release`: the one it was exported from, "" for the draft. `whole`: kinds that have their place in it."""

    written: Written = field(default_factory=dict)
    release: str = ""
    whole: set[str] = field(default_factory=set)
    mistakes: list[Mistake] = field(default_factory=list)
    places: dict[tuple[str, str], "Place"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item is written: its file, its line, and the line of each field."""

    file: str
    line: int
    fields: dict[str, int]

    def of(self, path: str) -> str:
        """Such as tags/login.yaml:4, for a field or a part of one."""
        return f"{self.file}:{self.fields.get(path.partition('.')[0], self.line)}"


def texts(items: Items, *, release: str = "") -> dict[str, str]:
    """{path in the folder: the file's text}; the same items give the same texts."""
    written = write(items)
    found = {"plan.yaml": dump({"format": FORMAT} | ({"release": release} if release else {}))}
    categories = [_tidy("category", fields) for fields in written["category"].values()]
    found["categories.yaml"] = dump({"categories": categories})
    rules: dict[str, list[Definition]] = {}
    for fields in written["rule"].values():
        rules.setdefault(fields["source"], []).append(_tidy("rule", fields))
    for kind, folder in FOLDERS.items():
        for code, fields in written[kind].items():
            tidy = _tidy(kind, fields)
            if kind == "source" and code in rules:
                tidy = {**{name: one for name, one in tidy.items() if name != "id"}, "rules": rules[code], "id": tidy["id"]}
            found[f"{folder}/{file_name(code)}"] = dump(tidy)
    return found


def file_name(code: str) -> str:
    """A file of the same name on every system, whatever the code: no path, no device."""
    if _PLAIN_NAME.fullmatch(code) and not _DEVICES.fullmatch(code):
        return f"{code}.yaml"
    return f"{quote(code, safe='').replace('.', '%2E')[:200] or '%'}_.yaml"


def export(items: Items, folder: Path, *, release: str = "") -> list[str]:
    """Write the folder; files of earlier exports that are no more are removed. Returns the paths that changed.

    Raises NotAPlanFolder rather than writing over what is no plan.
    """
    wanted = {path: text.encode() for path, text in texts(items, release=release).items()}
    if not _is_ours(folder):
        for path in wanted:
            if (folder / path).exists():
                raise NotAPlanFolder("folder.not_ours", path)
    changed = []
    for path, text in wanted.items():
        if not (folder / path).is_file() or (folder / path).read_bytes() != text:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(text)
            changed.append(path)
    for file in _files(folder):
        name = file.relative_to(folder).as_posix()
        if name not in wanted and _EXPORTED.search(file.read_bytes()):
            file.unlink()
            changed.append(name)
    return changed


def read_folder(folder: Path) -> Folder:
    """Everything written in the folder, and every file that cannot be read. Raises NotAPlanFolder where there is no plan."""
    if not _is_ours(folder):
        raise NotAPlanFolder("folder.no_plan", "plan.yaml")
    found = Folder()
    found.release = str(_plain(_document(folder, folder / "plan.yaml", found)[0]).get("release") or "")
    _read_categories(folder, found)
    files = list(_files(folder))
    if len(files) > MOST_FILES:
        found.mistakes.append(Mistake(".", 1, "folder.too_many", {"limit": MOST_FILES}))
        return found
    for kind, name in FOLDERS.items():
        if (folder / name).is_dir():
            found.whole |= {kind, "rule"} if kind == "source" else {kind}
    for path in files:
        kind = next(kind for kind, name in FOLDERS.items() if path.parent.name == name)
        value, lines = _document(folder, path, found)
        if isinstance(value, dict):
            relative = path.relative_to(folder).as_posix()
            code = _code(value.get("code"), path.stem)
            if kind == "source":
                _take_rules(code, value.pop("rules", None), relative, lines, found)
            _take(kind, code, value, Place(relative, 1, _lines_of(lines, (), value)), found)
    return found


def in_order(entries: list[Entry], written: Written) -> None:
    """Give rules that were written in an order the positions of that order, leaving those alone that are right already."""
    last: dict[str, tuple[int, str]] = {}
    for entry in (one for one in entries if one.kind == "rule" and one.after is not None and one.status not in ("removed", "wrong")):
        assert entry.after is not None
        if "position" in written["rule"].get(entry.key, {}):
            continue
        source = entry.after["source"]
        position, item = last.get(source, (-1, ""))
        own = entry.before["position"] if entry.before else -1
        if (own, entry.item) <= (position, item) or entry.before is None:
            own = min(position + 1, LARGEST_POSITION)
        last[source] = own, entry.item
        entry.after = {**entry.after, "position": own}
        if entry.status != "added":
            entry.status = "unchanged" if entry.after == entry.before else "changed"


def _tidy(kind: str, fields: Definition) -> Definition:
    defaults = DEFAULTS[kind] | OPTIONAL.get(kind, {})
    tidy = {name: fields[name] for name in _ORDER[kind] if name in fields and (name == "code" or fields[name] != defaults[name])}
    for name in ("category", "owner", "source", "tag", "parent", "successor"):
        if name in tidy and tidy[name] is None:
            del tidy[name]
    if "attributes" in tidy:
        tidy["attributes"] = [_tidy_use(use) for use in tidy["attributes"]]
    if "rows" in tidy:
        tidy["rows"] = [{name: text for name, text in row.items() if text != ""} for row in tidy["rows"]]
    return {**tidy, "id": fields["id"]}


def _tidy_use(use: Definition) -> Any:
    said = {name: value for name, value in use.items() if name not in _USE or value != _USE[name]}
    return said["attribute"] if len(said) == 1 else said


def _is_ours(folder: Path) -> bool:
    try:
        return f"format: {FORMAT}".encode() in (folder / "plan.yaml").read_bytes()[:4096].splitlines()
    except OSError:
        return False


def _files(folder: Path) -> Iterator[Path]:
    for name in FOLDERS.values():
        yield from sorted(path for path in (folder / name).glob("*.yaml") if path.is_file())


def _document(folder: Path, path: Path, found: Folder) -> tuple[Any, dict[tuple[Any, ...], int]]:
    """The file's value and its lines; {} with a mistake told where it cannot be read."""
    relative = path.relative_to(folder).as_posix()
    try:
        with path.open("rb") as stored:
            document = load(stored.read(2 * 1024 * 1024 + 1))
    except OSError as error:
        found.mistakes.append(Mistake(relative, 1, "yaml.syntax", {"problem": type(error).__name__}))
    except YamlError as error:
        found.mistakes.append(Mistake(relative, error.line, error.code, error.values))
    else:
        if isinstance(document.value, dict):
            return document.value, document.lines
        found.mistakes.append(Mistake(relative, 1, "yaml.not_fields", {}))
    return None if path.name != "plan.yaml" else {}, {}


def _read_categories(folder: Path, found: Folder) -> None:
    path = folder / "categories.yaml"
    if not path.is_file():
        return
    value, lines = _document(folder, path, found)
    if value is None:
        return
    found.whole.add("category")
    listed = value.get("categories")
    for at, fields in enumerate(listed if isinstance(listed, list) else []):
        place = ("categories", at)
        if isinstance(fields, dict) and _code(fields.get("code"), ""):
            _take("category", _code(fields["code"], ""), fields, Place(path.name, lines[place], _lines_of(lines, place, fields)), found)
        else:
            found.mistakes.append(Mistake(path.name, lines[place], "yaml.no_code", {}))
    if listed is not None and not isinstance(listed, list):
        found.mistakes.append(Mistake(path.name, lines["categories",], "yaml.not_list", {}))


def _take_rules(source: str, rules: Any, file: str, lines: dict[tuple[Any, ...], int], found: Folder) -> None:
    if rules is not None and not isinstance(rules, list):
        found.mistakes.append(Mistake(file, lines["rules",], "yaml.not_list", {}))
        return
    for at, fields in enumerate(rules or []):
        place = ("rules", at)
        if not isinstance(fields, dict):
            found.mistakes.append(Mistake(file, lines[place], "yaml.not_fields", {}))
            continue
        key = f"{source}: {_plain(fields.get('name'))} ({at + 1})"
        _take("rule", key, {**fields, "source": source}, Place(file, lines[place], _lines_of(lines, place, fields)), found)


def _take(kind: str, code: str, fields: Definition, place: Place, found: Folder) -> None:
    of_kind = found.written.setdefault(kind, {})
    if code in of_kind:
        found.mistakes.append(Mistake(place.file, place.line, "folder.twice", {"code": code, "other": found.places[kind, code].file}))
        return
    of_kind[code] = {name: _meant(kind, name, value) for name, value in fields.items() if name != "code"}
    found.places[kind, code] = place


def _code(value: Any, otherwise: str) -> str:
    written = value.written if isinstance(value, Text) else value
    return written if isinstance(written, str) and written else otherwise


def _lines_of(lines: dict[tuple[Any, ...], int], place: tuple[Any, ...], fields: Definition) -> dict[str, int]:
    return {name: lines[*place, name] for name in fields}


def _meant(kind: str, name: str, value: Any) -> Any:
    """What a field's value means: without quotes, 12.50 is a text where a text is expected, and a number elsewhere."""
    default = (DEFAULTS[kind] | OPTIONAL.get(kind, {})).get(name, {})
    if (default is None or isinstance(default, str)) and name != "condition":
        return value.written if isinstance(value, Text) else value
    if name in ("synonyms", "refinements", "rows", "one_of", "condition", "modes"):
        return _as_texts(value)
    return _plain(value)


def _as_texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_texts(one) for one in value]
    if isinstance(value, dict):
        return {name: _as_texts(one) for name, one in value.items()}
    return value.written if isinstance(value, Text) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Text):
        return value.value
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value
