"""What stands in a column that tells of events, and tells of none there: `Y` where only `是` means a refund. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ingestion.doors.files import Column, FileFormat, Matching, Record, RowEvent, cells_of, compile_matching
from taxonomy.standardize.read import Fields, text_of

_CELL = "cell"
# Of a column; a column of more different values is no flag that somebody fills in.
_MOST = 50


class Unlike(NamedTuple):
    """A value that tells of no event: so often, first in this row. `says`: what would."""

    row: int
    column: str
    seen: str
    times: int
    says: list[str]


@dataclass(slots=True)
class _First:
    row: int
    times: int = 0


class Conditions:
    """The columns of a matching that tell of events by what they say, and what was found in them beside that."""

    def __init__(self, matching: Matching) -> None:
        by_heading: dict[str, list[RowEvent]] = {}
        for event in matching.events:
            if event.only_if:
                by_heading.setdefault(event.only_if, []).append(event)
        # where one of its events asks only that it is filled, whatever is there tells of that
        told = {heading: events for heading, events in by_heading.items() if all(one.says for one in events)}
        self._says = {heading: list(dict.fromkeys(one for event in events for one in event.says)) for heading, events in told.items()}
        # read as an import reads it: once if it is filled, once if it says so
        asked = [
            RowEvent(_CELL, only_if=heading, says=said, columns=(Column(heading, f"attribute.{_CELL}"),))
            for heading, says in self._says.items()
            for said in ((), tuple(says))
        ]
        self._read = compile_matching(Matching((), tuple(asked)))
        self._found: dict[str, dict[str, _First]] = {heading: {} for heading in self._says}

    def note(self, found: Iterable[Record], file_format: FileFormat) -> None:
        if not self._says:
            return
        for record in found:
            if not record.is_heading and (cells := cells_of(record, file_format)) is not None:
                self._note(record.row, self._read(cells))

    def _note(self, row: int, read: list[Fields | None]) -> None:
        for known, filled, fits in zip(self._found.values(), read[::2], read[1::2], strict=True):
            if filled is None or fits is not None:
                continue
            seen = text_of(filled.attributes[_CELL])
            if seen in known or len(known) < _MOST:
                known.setdefault(seen, _First(row)).times += 1

    def unlike(self) -> list[Unlike]:
        """The first of their kind, as the rows have them."""
        every = [
            Unlike(first.row, heading, seen, first.times, self._says[heading])
            for heading, known in self._found.items()
            for seen, first in known.items()
        ]
        return sorted(every)
