"""Formats others use, in one table: what writes each and what reads it. Pure.

A reader gives what the file says (`Found`); carry.py makes of it what can be proposed. Nothing is dropped in silence: what
either side cannot say is in `left_out`.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

from taxonomy.exchange.formats import glean, json_schema, mparticle, odcs, rudderstack, segment, snowplow, table
from taxonomy.exchange.formats.carry import Carried, Choices, carry
from taxonomy.exchange.formats.documents import Files, Unreadable, pack, unpack
from taxonomy.exchange.formats.found import Found, Items, LeftOut, Sent

__all__ = [
    "FORMATS",
    "Carried",
    "Choices",
    "Exported",
    "Format",
    "LeftOut",
    "Unreadable",
    "export_as",
    "part_of",
    "read_as",
    "read_files",
    "unpack",
]


class Format(NamedTuple):
    """`label` is a name of others and stays as it is in every language. Without `write` it is read only."""

    name: str
    label: str
    read: Callable[[Files], Found]
    write: Callable[[Items, str], Sent] | None = None


FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format("json-schema", "JSON Schema (draft 2020-12)", json_schema.read, json_schema.writer(json_schema.DRAFT_2020_12)),
        Format("json-schema-07", "JSON Schema (draft-07)", json_schema.read, json_schema.writer(json_schema.DRAFT_07)),
        Format("segment", "Segment Protocols (JSON)", segment.read, segment.write),
        Format("segment-csv", "Segment Protocols (CSV)", table.read, table.write),
        Format("rudderstack", "RudderStack (rudder/v1, YAML)", rudderstack.read, rudderstack.write),
        Format("mparticle", "mParticle data plan (JSON)", mparticle.read, mparticle.write),
        Format("snowplow", "Snowplow (Iglu)", snowplow.read, snowplow.write),
        Format("odcs", "Open Data Contract Standard (v3.1.0)", odcs.read, odcs.write),
        Format("glean", "Mozilla Glean (YAML)", glean.read),
    )
}


class Exported(NamedTuple):
    """A file to hand out: the one file, or a zip of all."""

    name: str
    body: bytes
    left_out: list[LeftOut]


def export_as(format: str, items: Items, version: str = "") -> Exported:
    """Write items in a format. Raises KeyError for one that is not written."""
    write = FORMATS[format].write
    if write is None:
        raise KeyError(format)
    sent = write(items, version)
    stem = f"tagline-{version}-{format}" if version else f"tagline-{format}"
    if len(sent.files) == 1:
        (name, body), *_ = sent.files.items()
        return Exported(f"{stem}-{name}", body, sent.left_out)
    return Exported(f"{stem}.zip", pack(sent.files), sent.left_out)


def part_of(items: Items, category: str) -> Items:
    """Only the tags of a category, a code, and of those below it, with their attributes; categories stay."""
    wanted = {item for item, one in items.items() if one["kind"] == "category" and one["code"] == category}
    while below := {item for item, one in items.items() if one["kind"] == "category" and one.get("parent") in wanted} - wanted:
        wanted |= below
    tags = {item: one for item, one in items.items() if one["kind"] == "tag" and one.get("category") in wanted}
    used = {use["attribute"] for one in tags.values() for use in one.get("attributes") or []}
    return tags | {item: one for item, one in items.items() if item in wanted or (one["kind"] == "attribute" and item in used)}


def read_files(uploads: Collection[tuple[str, bytes]]) -> tuple[Files, list[LeftOut]]:
    """The files that were given, zips unpacked; those that cannot be are told."""
    files: Files = {}
    left_out = []
    for number, (name, body) in enumerate(uploads, 1):
        try:
            inner = unpack(name, body)
        except Unreadable as error:
            left_out.append(LeftOut(name, "", error.code))
            continue
        # Files of different folders may have one name: Iglu calls them all 1-0-0.
        files |= {path if path not in files else f"{number}/{path}": one for path, one in inner.items()}
    return files, left_out


def read_as(format: str, files: Files, base: Items, *, choices: Choices, departments: Collection[str]) -> Carried:
    """What the files say, as it can be proposed on top of `base`. Raises KeyError for an unknown format."""
    return carry(FORMATS[format].read(files), base, choices=choices, departments=departments)
