"""Fields of a form in which people write lines rather than JSON."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.models import BaseInlineFormSet
from unfold.widgets import INPUT_CLASSES, UnfoldAdminTextareaWidget

from taxonomy.lines import LineError, read_constraints, read_groups, written_constraints, written_groups

# Django looks for a widget of the model field's own; this one grows with its text.
LINES = UnfoldAdminTextareaWidget(attrs={"rows": 1, "spellcheck": "false"})


# Of fields in which lines are written, the column that shows them where nothing can be changed.
_READ = {"one_of": "one_of_written", "constraints": "constraints_written"}


def as_read(fields: Any) -> Any:
    """Fields or fieldsets of a form as they are for who may only read it."""
    if isinstance(fields, dict):
        return {name: as_read(one) if name == "fields" else one for name, one in fields.items()}
    if isinstance(fields, list | tuple):
        return [as_read(one) for one in fields]
    return _READ.get(fields, fields) if isinstance(fields, str) else fields


class DayInput(forms.DateInput):
    """The browser's own choice of a day."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d", attrs={"class": " ".join(INPUT_CLASSES)})


DAYS: Any = {models.DateField: {"widget": DayInput}}


class ConstraintsField(forms.CharField):
    """Constraints, one a line: "minimum = 0". Names may be in either language."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=LINES, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return written_constraints(value) if isinstance(value, dict) else value

    def clean(self, value: Any) -> dict[str, Any]:
        try:
            return read_constraints(super().clean(value) or "")
        except LineError as error:
            raise ValidationError(str(error)) from error

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
        return written_groups(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[list[str]]:
        return read_groups(super().clean(value) or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((initial or []) != self.clean(data))


class NewRowsLast(BaseInlineFormSet):  # type: ignore[type-arg]
    """A row that nobody dragged has the place of the first one; it comes last instead."""

    def save_new(self, form: Any, commit: bool = True) -> Any:
        before = self.forms[: self.forms.index(form)]
        places = [one.cleaned_data.get("position") or 0 for one in before if one.cleaned_data and not one.cleaned_data.get("DELETE")]
        if (form.cleaned_data.get("position") or 0) in places:
            form.instance.position = form.cleaned_data["position"] = max(places) + 1
        return super().save_new(form, commit=commit)
