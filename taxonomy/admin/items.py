import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import linebreaksbr
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import TabularInline
from unfold.decorators import display

from taxonomy.admin.alike import ShowsLookalikes
from taxonomy.admin.governed import GovernedAdmin, WhyForm
from taxonomy.admin.lines import DAYS, ConstraintsField, GroupsField, NewRowsLast
from taxonomy.lines import written_constraints, written_groups
from taxonomy.models import Attribute, Category, Refinement, Source, Tag, TagAttribute, TagMode
from taxonomy.problems import definition_problem
from taxonomy.recent import Watched, tag_use, watched
from taxonomy.request_rights import of_sources_in, rights_in, sources_in, tags_in
from taxonomy.standardize.names import parse_refinement
from taxonomy.standardize.types import check_definition
from taxonomy.violations import title_for

NAMES = (("label_en", "label_zh_hans"), "description_en", "description_zh_hans")


@admin.register(Category)
class CategoryAdmin(GovernedAdmin):
    when_empty = gettext_lazy("Categories sort the tags, such as Marketing or Customer service. Add the first one, then put tags into it.")
    list_display = ["indented", "code", "tag_count", "released_state"]
    search_fields = ["code", "label_en", "label_zh_hans"]
    ordering = ["position", "code"]
    autocomplete_fields = ["parent"]
    list_per_page = 500
    fieldsets = ((None, {"fields": ("code", *NAMES, ("parent", "position"))}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Category]:
        return super().get_queryset(request).select_related("parent").annotate(tag_count=Count("tags"))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The tree from its top, each branch below its stem."""
        changes = super().get_changelist_instance(request)
        if not request.GET.get("q"):
            changes.result_list = _as_tree(changes.result_list)
        return changes

    @admin.display(description=gettext_lazy("name"))
    def indented(self, category: Category) -> str:
        return "    " * getattr(category, "depth", 0) + category.label

    @admin.display(description=gettext_lazy("tags"), ordering="tag_count")
    def tag_count(self, category: Any) -> int:
        return int(category.tag_count)


def _as_tree(categories: list[Category]) -> list[Category]:
    below: dict[Any, list[Category]] = {}
    here = {category.pk for category in categories}
    for category in categories:
        below.setdefault(category.parent_id if category.parent_id in here else None, []).append(category)

    def walk(parent: Any, depth: int) -> list[Category]:
        found = []
        for category in below.get(parent, []):
            category.depth = depth  # type: ignore[attr-defined]
            found += [category, *walk(category.pk, depth + 1)]
        return found

    return walk(None, 0)


class AttributeForm(WhyForm):
    constraints = ConstraintsField(
        label=gettext_lazy("constraints"),
        help_text=gettext_lazy("One a line, such as: minimum = 0, or longest = 40, or pattern = [A-Z]{3}, or choices = red, blue."),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        wanted = {name: cleaned.get(name) for name in ("type", "fields", "constraints")} | {"of": cleaned.get("of") or None}
        for problem in check_definition(wanted):
            self.add_error(*definition_problem(problem))
        return cleaned


def _watched_shown(request: HttpRequest, found: list[Watched]) -> list[tuple[str, str, str, Watched]]:
    labels = _labels(request, {one.source for one in found})
    return [(labels[one.source], one.path, title_for(one.code), one) for one in found if one.source in labels]


def _labels(request: HttpRequest, ids: Iterable[UUID]) -> dict[UUID, str]:
    """{source: its name}, of those that the reader may read."""
    return {source.pk: source.label for source in sources_in(request).filter(pk__in=list(ids))}


@admin.register(Attribute)
class AttributeAdmin(ShowsLookalikes):
    when_empty = gettext_lazy(
        "Attributes are what an event can say, such as price or order_id. Add those that several tags share, then choose them on the tags."
    )
    form = AttributeForm
    list_display = ["label", "code", "type", "personal", "use_count", "released_state"]
    list_filter = ["type", "personal"]
    search_fields = ["code", "label_en", "label_zh_hans"]
    ordering = ["code"]
    readonly_fields = ["used_by", "constraints_written"]
    fieldsets = (
        (None, {"fields": ("code", *NAMES, "used_by")}),
        (gettext_lazy("Value"), {"fields": (("type", "of"), ("unit", "example"), "constraints", "fields", "personal", "watch_until")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attribute]:
        shown = Q(uses__tag__in=tags_in(request)) if rights_in(request).limited else None
        return super().get_queryset(request).annotate(use_count=Count("uses", filter=shown))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """With its uses that the reader knows of."""
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            found.readable_uses = found.uses.filter(tag__in=tags_in(request)).select_related("tag")
        return found

    def use_of(self, request: HttpRequest, item: Attribute) -> dict[str, Any]:
        """What would have been held for its sake, but for a mode, wherever it is used that the reader knows of."""
        tags = [use.tag_id for use in item.uses.filter(tag__in=tags_in(request))]
        found = [one for one in watched(tags) if re.split(r"[.\[]", one.path.removeprefix("attributes."))[0] == item.code] if tags else []
        return {"watched": _watched_shown(request, found)}

    @admin.display(description=gettext_lazy("name"), ordering="label_en")
    def label(self, attribute: Attribute) -> str:
        return attribute.label

    @admin.display(description=gettext_lazy("constraints"))
    def constraints_written(self, attribute: Attribute) -> str:
        return linebreaksbr(written_constraints(attribute.constraints))

    @admin.display(description=gettext_lazy("used by tags"), ordering="use_count")
    def use_count(self, attribute: Any) -> int:
        return int(attribute.use_count)

    @admin.display(description=gettext_lazy("used by"))
    def used_by(self, attribute: Any) -> str:
        uses = () if attribute._state.adding else attribute.readable_uses
        return ", ".join(f"{use.tag.code}{' *' if use.required else ''}" for use in uses) or _("no tag yet")


class TagAttributeForm(forms.ModelForm):  # type: ignore[type-arg]
    constraints = ConstraintsField(label=gettext_lazy("tighter here"), help_text=gettext_lazy("Such as: minimum = 1."))


class TagAttributeInline(TabularInline):
    model = TagAttribute
    form = TagAttributeForm
    formfield_overrides = DAYS
    autocomplete_fields = ["attribute"]
    fields = ["attribute", "required", "constraints", "watch_until", "position"]
    readonly_fields = ["constraints_written"]
    formset = NewRowsLast
    ordering_field = "position"
    hide_ordering_field = True
    extra = 0
    tab = False

    @admin.display(description=gettext_lazy("tighter here"))
    def constraints_written(self, use: TagAttribute) -> str:
        return linebreaksbr(written_constraints(use.constraints))


class RefinementForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_pattern(self) -> str:
        pattern: str = self.cleaned_data["pattern"]
        if parse_refinement("tag", pattern) is None:
            raise ValidationError(_("Write {tag}, then text and one attribute in braces, such as {tag}_{product_id}."))
        return pattern


class RefinementInline(TabularInline):
    model = Refinement
    form = RefinementForm
    fields = ["pattern", "position"]
    formset = NewRowsLast
    ordering_field = "position"
    hide_ordering_field = True
    extra = 0


class TagModeForm(forms.ModelForm):  # type: ignore[type-arg]
    def has_changed(self) -> bool:
        """A row that was added says something as it is: note, for every source."""
        return self.instance._state.adding or super().has_changed()


class EachSourceOnce(BaseInlineFormSet):  # type: ignore[type-arg]
    """Django's own check of rows against each other passes over those without a source."""

    def clean(self) -> None:
        seen: set[Source | None] = set()
        for form in self.forms:
            if "source" not in form.cleaned_data or form.cleaned_data.get("DELETE"):
                continue
            if (source := form.cleaned_data["source"]) in seen:
                form.add_error(
                    "source",
                    _("Another row here is for this source. Empty stands for every source that is not named; that is one row too."),
                )
            seen.add(source)
        super().clean()


class TagModeInline(TabularInline):
    model = TagMode
    form = TagModeForm
    formset = EachSourceOnce
    fields = ["source", "mode"]
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[TagMode]:
        """A row of a source that cannot be chosen would come back without one, and stand for every source."""
        return of_sources_in(super().get_queryset(request), request)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "source":
            kwargs["queryset"] = sources_in(request).filter(in_draft=True)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class TagForm(WhyForm):
    one_of = GroupsField(
        label=gettext_lazy("at least one of"),
        help_text=gettext_lazy("Attributes of which one must be present, a group a line, such as: price, amount."),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("status") == Tag.Status.DEPRECATED and not cleaned.get("successor"):
            self.add_error("successor", _("Name the tag that sources should send instead."))
        return cleaned


@admin.register(Tag)
class TagAdmin(ShowsLookalikes):
    when_empty = gettext_lazy(
        "Tags are the standard names of what customers do, such as purchase. Add the first one, or bring a workbook in under “In and out”."
    )
    form = TagForm
    list_display = ["label", "code", "category", "owner", "shown_status", "attribute_count", "released_state"]
    list_filter = ["status", "owner", ("category", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["category", "owner"]
    search_fields = ["code", "label_en", "label_zh_hans", "synonyms"]
    ordering = ["code"]
    autocomplete_fields = ["category", "successor"]
    inlines = [TagAttributeInline, RefinementInline, TagModeInline]
    readonly_fields = ["one_of_written"]
    actions = ["download_workbook"]
    delete_confirmation_template = "taxonomy/delete_tag.html"
    delete_selected_confirmation_template = "taxonomy/delete_tags.html"
    reading_actions = frozenset({"download_workbook"})
    fieldsets = (
        (None, {"fields": ("code", *NAMES, "synonyms")}),
        (gettext_lazy("Place"), {"fields": (("category", "owner"), ("status", "successor"), "one_of", "watch_until")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tag]:
        return super().get_queryset(request).annotate(attribute_count=Count("uses"))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        tag = self.get_object(request, object_id)
        uses = tag_use([tag.pk]).get(tag.pk, {}) if tag else {}
        place = reverse("admin:taxonomy_tag_change", args=[object_id]) + "#id_status"
        told = {"events": sum(use.events for use in uses.values()), "change_url": place}
        return super().delete_view(request, object_id, {**told, **(extra_context or {})})

    def use_of(self, request: HttpRequest, item: Tag) -> dict[str, Any]:
        """What would have been held but for a mode; of a deprecated tag, who still sends it."""
        found = watched([item.pk])
        uses = tag_use([item.pk]).get(item.pk, {}) if item.status == Tag.Status.DEPRECATED else {}
        labels = _labels(request, uses)
        return {
            "watched": _watched_shown(request, found),
            "still_sent": [(labels[source], use) for source, use in uses.items() if source in labels],
        }

    @admin.display(description=gettext_lazy("at least one of"))
    def one_of_written(self, tag: Tag) -> str:
        return linebreaksbr(written_groups(tag.one_of))

    @admin.action(description=gettext_lazy("Download as a workbook, with attributes and rules"), permissions=["view"])
    def download_workbook(self, request: HttpRequest, queryset: QuerySet[Tag]) -> HttpResponse:
        from taxonomy.exchange_page import plan_file

        return plan_file(request, tags=[str(pk) for pk in queryset.values_list("pk", flat=True)])

    @admin.display(description=gettext_lazy("name"), ordering="label_en")
    def label(self, tag: Tag) -> str:
        return tag.label

    @display(description=gettext_lazy("status"), ordering="status", label={"active": "success", "draft": "info", "deprecated": "warning"})
    def shown_status(self, tag: Tag) -> tuple[str, str]:
        return tag.status, tag.get_status_display()

    @admin.display(description=gettext_lazy("attributes"), ordering="attribute_count")
    def attribute_count(self, tag: Any) -> int:
        return int(tag.attribute_count)
