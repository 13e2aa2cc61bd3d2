"""Fields of a form in which people write lines rather than JSON."""

import json
import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import override
from unfold.widgets import UnfoldAdminTextareaWidget

from taxonomy.diff import CONSTRAINTS

_COUNTS = frozenset({"min_length", "max_length", "min_items", "max_items"})
_BETWEEN = re.compile(r"\s*[,，、]\s*")
# Django looks for a widget of the model field's own; this one grows with its text.
LINES = UnfoldAdminTextareaWidget(attrs={"rows": 1, "spellcheck": "false"})


class ConstraintsField(forms.CharField):
    """Constraints, one a line: "minimum = 0". Names may be in either language."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=LINES, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return "\n".join(f"{CONSTRAINTS.get(name, name)} = {_written(one)}" for name, one in value.items())

    def clean(self, value: Any) -> dict[str, Any]:
        known = _names()
        found: dict[str, Any] = {}
        for line in (super().clean(value) or "").splitlines():
            if not line.strip():
                continue
            name, sign, written = re.sub("[=:：＝]", "\0", line, count=1).partition("\0")
            constraint = known.get(name.strip().lower())
            if constraint is None or not sign or not written.strip():
                expected = ", ".join(str(label) for label in CONSTRAINTS.values())
                raise ValidationError(
                    _("“%(line)s”: write a name, =, and a value. Names: %(expected)s.") % {"line": line.strip(), "expected": expected}
                )
            found[constraint] = _read(constraint, written.strip())
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or {}) != self.clean(data))
        except ValidationError:
            return True


class GroupsField(forms.CharField):
    """Groups of codes, one group a line: "price, amount"."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=LINES, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(", ".join(group) for group in value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[list[str]]:
        lines = (super().clean(value) or "").splitlines()
        return [[code for code in _BETWEEN.split(line.strip()) if code] for line in lines if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((initial or []) != self.clean(data))


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
                raise ValidationError(_("These choices cannot be read: %(problem)s") % {"problem": error}) from error
        return [choice for choice in _BETWEEN.split(written) if choice]
    return int(written) if constraint in _COUNTS and written.isdecimal() else written
