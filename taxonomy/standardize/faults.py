"""What the leaves of the core answer when a value does not fit. Data only: the sentences live at the edge."""

from enum import Enum
from typing import Any, Final, Literal

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One reason why a value does not fit.

    `path` is where inside the value: "" for the value itself, else such as "[2]" or ".city".
    `seen` is the raw value; `expected` what would have fitted, such as {"minimum": "0"};
    `values` is what else a sentence about it needs.
    """

    code: str
    path: str = ""
    seen: Any = None
    expected: Any = None
    values: dict[str, Any] = {}

    def under(self, path: str) -> "Fault":
        """The same fault, seen from the container that holds the value at `path`."""
        return Fault(self.code, path + self.path, self.seen, self.expected, self.values)


class Faults(tuple[Fault, ...]):
    """Several reasons, in the order of the value's parts."""

    __slots__ = ()


class Defaults(msgspec.Struct, frozen=True):
    """What a value leaves unsaid: the source's time zone (IANA name), region and currency, or the event's own."""

    timezone: str = "UTC"
    region: str = ""
    currency: str = ""


class _Absent(Enum):
    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


# The value says that there is none: null, or a blank text where a text cannot be the value.
ABSENT: Final[Literal[_Absent.ABSENT]] = _Absent.ABSENT
