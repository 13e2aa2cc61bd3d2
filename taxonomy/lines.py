"""Constraints, groups and words as people write them, a line or a comma each, rather than JSON; names in either language."""

import json
import re
from functools import cache
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import override

from taxonomy.diff import CONSTRAINTS

_COUNTS = frozenset({"min_length", "max_length", "min_items", "max_items"})
_BETWEEN = re.compile(r"\s*[,，、]\s*")


class LineError(ValueError):
    """What was written cannot be read; the text says why, in the reader's language."""


def written_constraints(constraints: dict[str, Any]) -> str:
    """One a line: "minimum = 0"."""
    return "\n".join(f"{CONSTRAINTS.get(name, name)} = {_written(one)}" for name, one in constraints.items())


def read_constraints(text: str) -> dict[str, Any]:
    """Names may be in either language. Raises LineError."""
    known = _names()
    found: dict[str, Any] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, sign, written = re.sub("[=:：＝]", "\0", line, count=1).partition("\0")
        constraint = known.get(name.strip().lower())
        if constraint is None or not sign or not written.strip():
            expected = ", ".join(str(label) for label in CONSTRAINTS.values())
            raise LineError(
                _("“%(line)s”: write a name, =, and a value. Names: %(expected)s.") % {"line": line.strip(), "expected": expected}
            )
        found[constraint] = _read(constraint, written.strip())
    return found


def written_groups(groups: list[list[str]]) -> str:
    """A group a line: "price, amount"."""
    return "\n".join(", ".join(group) for group in groups)


def read_groups(text: str) -> list[list[str]]:
    return [read_words(line) for line in text.splitlines() if line.strip()]


def read_words(text: str) -> list[str]:
    return [word for word in _BETWEEN.split(text.strip()) if word]


@cache
def _names() -> dict[str, str]:
    """{a constraint's name in code, English or Chinese: its name in code}."""
    known = {name: name for name in CONSTRAINTS}
    for language in ("en", "zh-hans"):
        with override(language):
            known |= {str(label).lower(): name for name, label in CONSTRAINTS.items()}
    return known


def _written(value: Any) -> str:
    if isinstance(value, list):
        plain = not any(_BETWEEN.search(str(one)) for one in value)
        return ", ".join(map(str, value)) if plain else json.dumps(value, ensure_ascii=False)
    return str(value)


def _read(constraint: str, written: str) -> Any:
    if constraint == "choices":
        if written.startswith("["):
            try:
                return json.loads(written)
            except ValueError as error:
                raise LineError(_("These choices cannot be read: %(problem)s") % {"problem": error}) from error
        return read_words(written)
    return int(written) if constraint in _COUNTS and written.isdecimal() else written
