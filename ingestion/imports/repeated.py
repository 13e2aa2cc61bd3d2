"""Columns of one name: told apart by their place, but never where that name is read, unless somebody chose which of them counts."""

from dataclasses import replace
from typing import Any

from ingestion.doors.files import FileFormat, UnreadableFile
from ingestion.imports.matchings import fits_envelope
from ingestion.models import FileMatching
from taxonomy.current import NoRelease, current
from taxonomy.models import Source
from taxonomy.standardize import Plan, SourcePlan, record_of_row
from taxonomy.standardize.paths import first_names
from taxonomy.standardize.read import custom_paths


def check_repeated(file_format: FileFormat, source: Source, used: FileMatching | None) -> None:
    """Raises UnreadableFile where two columns have a name that is read: by the source, or by a matching that was made for other columns."""
    if not file_format.named:
        return
    read = _read_by_source(file_format, source) if file_format.matching is None else _read_by_matching(file_format, used)
    if (name := next(filter(read.__contains__, file_format.named), None)) is not None:
        raise file_format.repeats(name)


def suits_envelope(file_format: FileFormat, source: Source) -> bool:
    """Whether the source's own envelope finds an event in its rows, and what it reads in one column each."""
    try:
        check_repeated(replace(file_format, matching=None), source, None)
    except UnreadableFile:
        return False
    return fits_envelope(source, file_format)


def _read_by_matching(file_format: FileFormat, used: FileMatching | None) -> set[str]:
    """Names whose columns a matching reads that does not know all of them."""
    assert file_format.matching is not None
    read, known = {*file_format.matching.headings()}, {*used.headings} if used else set[str]()
    repeated = {*file_format.repeated()}
    columns = [one for one in zip(file_format.named, file_format.columns, strict=True) if one[0] in repeated]
    return {name for name, column in columns if column in read} & {name for name, column in columns if column not in known}


def _read_by_source(file_format: FileFormat, source: Source) -> set[str]:
    """Names that a field of the source's records, an attribute or a rule of the source is read from."""
    try:
        plan = current().plan
    except NoRelease:
        return set()
    known = plan.sources_by_uuid.get(str(source.pk))
    if known is None:
        return set()
    read, names = _names_read(known, plan), file_format.repeated()
    preset = known.envelope.get("preset") or "tagline"
    # Some fields are objects, which only cells of Parquet can be.
    cell: Any = {"x": "x"} if file_format.kind == "parquet" else "x"
    fields = (name for name in names if preset != "custom" and name not in record_of_row({name: cell}, preset)["attributes"])
    return {*fields, *(name for name in names if name in read)}


def _names_read(source: SourcePlan, plan: Plan) -> set[str]:
    """By an envelope of the source's own, the standard's attributes and the source's rules."""
    paths = list(custom_paths(source.envelope).values()) if source.envelope.get("preset") == "custom" else []
    paths += [path.removeprefix("$.").removeprefix("attributes.") for rule in source.rules for path in _paths_of(rule.definition)]
    names = {name for path in {path.removeprefix("$.") for path in paths} if path for name in first_names(path)}
    return names.union(*(tag.slots for tag in plan.tags.values()))


def _paths_of(rule: dict[str, Any]) -> list[str]:
    return [row.get("path") or "" for row in rule.get("rows") or []] + [(rule.get("condition") or {}).get("path") or ""]
