"""Columns of one name: told apart by their place, but never where the source reads that name, for nobody said which of them counts."""

from dataclasses import replace
from typing import Any

from ingestion.doors.files import FileFormat, UnreadableFile
from ingestion.imports.matchings import fits_envelope
from taxonomy.current import NoRelease, current
from taxonomy.models import Source
from taxonomy.standardize import Plan, SourcePlan, record_of_row
from taxonomy.standardize.paths import first_names
from taxonomy.standardize.read import used_names


def check_repeated(file_format: FileFormat, source: Source) -> None:
    """Raises UnreadableFile where no matching reads the rows and two columns have a name that the source reads."""
    if file_format.matching is not None or not file_format.named:
        return
    try:
        plan = current().plan
    except NoRelease:
        return
    known = plan.sources_by_uuid.get(str(source.pk))
    read = next((name for name in file_format.repeated() if known and _reads(name, known, plan)), None)
    if read is not None:
        raise file_format.repeats(read)


def suits_envelope(file_format: FileFormat, source: Source) -> bool:
    """Whether the source's own envelope finds an event in its rows, and what it reads in one column each."""
    try:
        check_repeated(replace(file_format, matching=None), source)
    except UnreadableFile:
        return False
    return fits_envelope(source, file_format)


def _reads(name: str, source: SourcePlan, plan: Plan) -> bool:
    """Whether a field of the source's records, an attribute or a rule of the source is read from a column of this name."""
    preset = source.envelope.get("preset") or "tagline"
    in_envelope = used_names(source.envelope) if preset == "custom" else set[str]()
    if name in in_envelope or (preset != "custom" and name not in record_of_row({name: "x"}, preset)["attributes"]):
        return True
    return any(name in tag.slots for tag in plan.tags.values()) or any(name in _names_of(rule.definition) for rule in source.rules)


def _names_of(rule: dict[str, Any]) -> set[str]:
    paths = [row.get("path") or "" for row in rule.get("rows") or []] + [(rule.get("condition") or {}).get("path") or ""]
    return {name for path in paths if path for name in first_names(path.removeprefix("$.").removeprefix("attributes."))}
