"""Vendors' packs: a source as its vendor sends, how its webhook proves itself, and rules to the starter standard, as data in TOML.

`rows`: standard attribute = "path in what the source sends | transforms", as in the starter's rules; the bar has spaces around it,
so that a path may use JMESPath's ||. A rule's tag is meant by its code, whoever's tag that is.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import uuid4

Definition = dict[str, Any]

_BAR = re.compile(r"(?:^| )\|(?!\|)")
_DEFAULTS: Definition = {
    "region": "", "timezone": "UTC", "currency": "", "namespace": "", "hold_unreadable_phone": True, "separate_rows": False,
}  # fmt: skip


@dataclass(frozen=True)
class Pack:
    """`hook`: what a webhook of it is set to, where it sends by webhook."""

    name: str
    source: Definition
    hook: Definition
    rules: list[Definition]

    @property
    def fits_others(self) -> bool:
        """Whether its rules read what other sources send too: its records are in no format of its own."""
        return bool(self.source["envelope"]["preset"] != "custom")

    def items(self, *, code: str, owner: str, tags: dict[str, str]) -> tuple[dict[str, Definition], list[str]]:
        """({uuid: definition} of a new source and its rules; the codes of tags that `tags`, {code: uuid}, does not have, whose rules are left out)."""
        source_id = str(uuid4())
        items = {source_id: {"kind": "source", **_DEFAULTS, **self.source, "code": code, "owner": owner}}
        for rule in self.rules:
            if rule["tag"] in tags:
                items[str(uuid4())] = _rule(source_id, len(items) - 1, tags[rule["tag"]], rule)
        return items, sorted({rule["tag"] for rule in self.rules} - tags.keys())


@cache
def packs() -> dict[str, Pack]:
    """{name: pack}, by name."""
    found = sorted((one for one in files(__name__).iterdir() if one.name.endswith(".toml")), key=lambda one: one.name)
    return {one.name.removesuffix(".toml"): _read(one.name.removesuffix(".toml"), one.read_text(encoding="utf-8")) for one in found}


def _read(name: str, text: str) -> Pack:
    written = tomllib.loads(text)
    return Pack(name, written["source"], written.get("hook", {}), written["rules"])


def _rule(source_id: str, position: int, tag: str, written: Definition) -> Definition:
    condition = written.get("condition")
    return {
        "kind": "rule",
        "source": source_id,
        "position": position,
        "match": written.get("match", "exact"),
        "name": written["name"],
        "condition": dict(condition) if condition else None,
        "tag": tag,
        "rows": [row_of(target, text) for target, text in written.get("rows", {}).items()],
        # What a vendor calls by a name of the standard is rarely what the standard means.
        "keep_unmapped": False,
        "note": "",
    }


def row_of(target: str, text: str) -> Definition:
    bar = _BAR.search(text)
    path, transforms = (text[: bar.start()], text[bar.end() :]) if bar else (text, "")
    return {"target": target, "path": path.strip(), "transforms": transforms.strip()}
