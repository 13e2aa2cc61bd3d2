"""The checks of the plan: how each is weighed, and what it finds now."""

from collections import defaultdict
from dataclasses import asdict
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin

from taxonomy.check_words import WORDS, finding_text
from taxonomy.checks import CHECKS, Finding, Setting
from taxonomy.definition import draft_items
from taxonomy.diff import title
from taxonomy.draft import writing
from taxonomy.models import CheckSetting
from taxonomy.request_rights import hidden_in, names_shown
from taxonomy.standardize import check_plan
from taxonomy.weigh import settings, weigh

# Findings shown of each check; their number is told in full.
_SHOWN = 50


class SettingForm(forms.ModelForm):  # type: ignore[type-arg]
    # what it stood at on the page, by field: only what differs from that was changed by whoever saves
    was = forms.JSONField(required=False, widget=forms.HiddenInput)

    def clean_was(self) -> dict[str, Any]:
        was = self.cleaned_data["was"]
        return was if isinstance(was, dict) else {}

    class Meta:
        model = CheckSetting
        fields = ["severity", "only_new", "words"]


@admin.register(CheckSetting)
class CheckSettingAdmin(ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Every check with its weight, and what it finds in the draft."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        weights = settings()
        forms_by_check = {name: _form(name, weights[name], request.POST if request.method == "POST" else None) for name in CHECKS}
        if request.method == "POST":
            if not self.has_change_permission(request):
                raise PermissionDenied
            if all(form.is_valid() for form in forms_by_check.values()):
                if kept := _save(forms_by_check):
                    said = _("Somebody else changed this meanwhile, and it stays as they left it: %(checks)s. All else is saved.")
                    messages.warning(request, said % {"checks": ", ".join(str(WORDS[name][0]) for name in kept)})
                else:
                    messages.success(request, _("Saved. The next release is checked so."))
                return HttpResponseRedirect(reverse("admin:taxonomy_checksetting_changelist"))
        items = draft_items()
        found: dict[str, list[Finding]] = defaultdict(list)
        hidden = hidden_in(request, items)
        names = names_shown(items, hidden)
        for one in weigh(items) if not check_plan(items) else []:
            if one.item not in hidden:
                found[one.check].append(one)
        rows = [
            {
                "check": name,
                "title": WORDS[name][0],
                "hint": WORDS[name][2],
                "form": form,
                "has_words": bool(CHECKS[name][1].words) or name == "naming.allowed_word",
                "count": len(found[name]),
                "findings": [(title(items[one.item], items), finding_text(one, names)) for one in found[name][:_SHOWN]],
            }
            for name, form in forms_by_check.items()
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Checks of the plan"),
            "opts": self.opts,
            "rows": rows,
            "may_change": self.has_change_permission(request),
        }
        return TemplateResponse(request, "taxonomy/checks.html", context)

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:taxonomy_checksetting_changelist"))


def _form(name: str, weight: Setting, posted: Any) -> SettingForm:
    now = _fields(weight)
    return SettingForm(posted, instance=CheckSetting(pk=name, **now), initial={"was": now}, prefix=name)


def _fields(weight: Setting) -> dict[str, Any]:
    return {**asdict(weight), "words": list(weight.words)}


def _save(chosen: dict[str, SettingForm]) -> list[str]:
    """Write what was changed on the page; the checks of which somebody else changed the same meanwhile, and left it so."""
    kept = []
    with writing():
        for name, weight in settings().items():
            now, said = _fields(weight), chosen[name].cleaned_data
            mine = {field: said[field] for field in now if said[field] not in (said["was"].get(field), now[field])}
            free = {field: value for field, value in mine.items() if now[field] == said["was"].get(field)}
            if len(free) < len(mine):
                kept.append(name)
            if free:
                CheckSetting.objects.update_or_create(pk=name, defaults=now | free)
    return kept
