"""The words of what came of something written: for whoever uploads it, or reads the answer of a command."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from taxonomy.diff import FIELDS, shown
from taxonomy.exchange.written import Status, Trouble
from taxonomy.problems import DEFINITION, PLAN

STATUSES: dict[Status, Promise | str] = {
    "added": gettext_lazy("added"),
    "changed": gettext_lazy("changed"),
    "unchanged": gettext_lazy("unchanged"),
    "removed": gettext_lazy("removed"),
    "wrong": gettext_lazy("wrong"),
}
TROUBLES: dict[str, Promise | str] = {
    "written.not_fields": gettext_lazy("Expected fields with values, found something else."),
    "written.missing": gettext_lazy("It needs a value."),
    "written.unknown_field": gettext_lazy("There is no such field. Remove it, or correct its name."),
    "written.no_such": gettext_lazy("There is no “%(code)s”. Correct it, or add that one too."),
    "written.wrong_type": gettext_lazy("Expected %(expected)s."),
    "written.twice": gettext_lazy("It is written twice. Remove one of the two."),
}


def trouble_text(trouble: Trouble, names: dict[str, Any]) -> str:
    """One sentence: where, what is wrong, what to do."""
    place = str(FIELDS.get(trouble.field, trouble.field))
    if trouble.code in TROUBLES:
        said = str(TROUBLES[trouble.code]) % {name: _(str(value)) for name, value in trouble.values.items()}
    else:
        sentence = DEFINITION[trouble.code][1] if trouble.code in DEFINITION else PLAN.get(trouble.code, trouble.code)
        told = ", ".join(f"{name}: {shown(value, names)}" for name, value in trouble.values.items() if value)
        said = f"{sentence} ({told})" if told else str(sentence)
    return f"{place}: {said}" if place else said
