"""Who signs: what each department wants now, what was said of it by whom, and saying otherwise."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy

from staff.admin.pages import OneButton, Unalterable
from staff.models import Department
from taxonomy.models import ReviewPolicy
from taxonomy.proposals.policy import policies_now, set_policy, settable_by


@admin.register(ReviewPolicy)
class ReviewPolicyAdmin(Unalterable, OneButton):
    when_empty = gettext_lazy("Every department signs as said above. Add a row where one shall only be told, or nothing.")
    change_list_template = "taxonomy/policies.html"
    list_display = ["department", "change", "say", "by", "at"]
    list_select_related = ["department", "by"]
    list_filter = ["department"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and settable_by(request.user).exists()  # type: ignore[arg-type]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"kinds": ReviewPolicy.Change.labels, "table": _table(), **(extra_context or {})})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"department": request.user.department_id, **super().get_changeform_initial_data(request)}  # type: ignore[union-attr]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "department":
            kwargs["queryset"] = settable_by(request.user)  # type: ignore[arg-type]
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: ReviewPolicy, form: Any, change: bool) -> None:
        set_policy(obj, by=request.user)  # type: ignore[arg-type]


def _table() -> list[dict[str, Any]]:
    """Each department with what it wants of each kind of change: [{"department", "cells": [(kind, state, in words, by duty)]}]."""
    now = policies_now()
    return [
        {"department": one, "cells": [_cell(one, change, now.get(one.pk, {}).get(change, "must")) for change in ReviewPolicy.Change]}
        for one in Department.objects.all()
    ]


def _cell(department: Department, change: ReviewPolicy.Change, say: str) -> tuple[str, str, str, bool]:
    of_duty = ReviewPolicy.OF_DUTY.get(department.duty) == change
    say = ReviewPolicy.Say.MUST if of_duty else say
    return str(change.label), say, str(ReviewPolicy.Say(say).label), of_duty
