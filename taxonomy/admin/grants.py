"""Who may what: where in the standard the rights of the roles hold."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelect2Widget

from staff.models import User
from taxonomy.models import Category, Grant


class CategoryField(forms.ModelChoiceField):
    """Every category by its path, whatever the administrator may read themselves."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            Category.objects.all(), label=gettext_lazy("in this category"), required=False, widget=UnfoldAdminSelect2Widget,
            help_text=Grant._meta.get_field("category").help_text, **kwargs,
        )  # fmt: skip

    def label_from_instance(self, category: Any) -> str:
        return path_of(category)


class GrantForm(forms.ModelForm):  # type: ignore[type-arg]
    category = CategoryField()
    person = forms.ModelChoiceField(
        User.objects.filter(is_active=True), label=gettext_lazy("or one colleague"), required=False, widget=UnfoldAdminSelect2Widget,
        help_text=Grant._meta.get_field("person").help_text,
    )  # fmt: skip

    class Meta:
        model = Grant
        fields = ["department", "person", "may", "category", "sources_of"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("person", "category"):
            self.fields[name].label = capfirst(self.fields[name].label)
            self.fields[name].empty_label = _("Select value")  # type: ignore[attr-defined]


@admin.register(Grant)
class GrantAdmin(ModelAdmin):
    when_empty = gettext_lazy(
        "Without rows, everybody's role decides alone. A row closes a place of the standard to all but those it names."
    )
    form = GrantForm
    list_display = ["place_shown", "may_shown", "who_shown"]
    list_display_links = ["place_shown"]
    list_filter = ["may", "department"]
    list_select_related = ["department", "person", "category", "sources_of"]
    list_per_page = 100
    change_list_template = "taxonomy/grants.html"
    fieldsets = (
        (gettext_lazy("Who"), {"fields": (("department", "person"),)}),
        (gettext_lazy("What"), {"fields": ("may",)}),
        (gettext_lazy("Where"), {"fields": (("category", "sources_of"),)}),
    )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        acts, table = overview()
        return super().changelist_view(request, {"acts": acts, "table": table, **(extra_context or {})})

    @admin.display(description=gettext_lazy("where"))
    def place_shown(self, grant: Grant) -> str:
        return path_of(grant.category) if grant.category else grant.place

    @display(description=gettext_lazy("may"), label={"read": "info", "propose": "success", "emergency": "danger"})
    def may_shown(self, grant: Grant) -> tuple[str, str]:
        return grant.may, grant.get_may_display()

    @admin.display(description=gettext_lazy("who"))
    def who_shown(self, grant: Grant) -> str:
        return grant.who


def overview() -> tuple[list[str], list[dict[str, Any]]]:
    """The acts, and for each place with entries who may do each: [{"place", "cells": [(act, names)]}], empty names: as above it."""
    places: dict[str, dict[str, list[str]]] = {_("the whole standard"): {}}
    for row in Grant.objects.select_related("department", "person", "category", "sources_of"):
        place = path_of(row.category) if row.category else row.place
        places.setdefault(place, {}).setdefault(row.may, []).append(row.who)
    acts = [str(label) for _value, label in Grant.May.choices]
    whole = _("the whole standard")
    return acts, [
        {"place": place, "is_whole": place == whole, "cells": [(label, found.get(act, [])) for act, label in Grant.May.choices]}
        for place, found in places.items()
    ]


def path_of(category: Category) -> str:
    """The category behind those above it."""
    names, seen = [category.label], {category.pk}
    while category.parent_id and category.parent_id not in seen and category.parent:
        category = category.parent
        seen.add(category.pk)
        names.insert(0, category.label)
    return " › ".join(names)
