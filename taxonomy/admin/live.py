"""Lists and forms about what is live: sources and tags in them have the names that the newest release gives them, not the draft's."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from taxonomy.models import Source
from taxonomy.released import Named, named
from taxonomy.request_rights import of_sources_in, sources_offered_in


class LiveChoiceField(forms.ModelChoiceField):
    """A choice among rows of the draft by their released names. No query where all are released."""

    def label_from_instance(self, obj: Any) -> str:
        return named(obj.kind, [obj.pk])[obj.pk].label


class LiveFilter(admin.RelatedOnlyFieldListFilter):
    """The sources that rows of the list are of, as they are called where they are live."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        rows = model_admin.get_queryset(request).order_by().values_list(self.field_path, flat=True)
        ids: list[Any] = list(rows.exclude(**{self.field_path: None}).distinct())
        names = named("source", ids)
        return sorted(((pk, names[pk].label) for pk in ids), key=lambda pair: pair[1])


class OfSource(ModelAdmin):
    """Rows of a source that the reader may read. Their column and field of it is `live_source`, their filter LiveFilter's."""

    def get_queryset(self, request: HttpRequest) -> Any:
        return of_sources_in(super().get_queryset(request), request)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.related_model is Source:
            kwargs |= {"queryset": sources_offered_in(request), "form_class": LiveChoiceField}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @admin.display(description=_("source"), ordering="source__code")
    def live_source(self, row: Any) -> Named | None:
        return named("source", [row.source_id]).get(row.source_id)
