"""The pages of what arrives and is not in the standard: the list, and one name with what can be done about it."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin

from ingestion.discovery.adopt import CannotAdopt, add_to_tag, ignore, look_again, map_to_tag
from ingestion.discovery.carried import SAMPLE, carried, events_held
from ingestion.discovery.code_of import code_of
from ingestion.discovery.discover import MOST
from ingestion.discovery.discovered import STATES, Line, add_shares, limits_hit, line_of, lines, up_to_now
from ingestion.discovery.fill import Filling, filling
from ingestion.discovery.matches import matching_attributes, matching_tags
from ingestion.discovery.seen_words import CANNOT_ADOPT, KINDS, SUGGESTED
from ingestion.discovery.seen_words import STATES as STATE_WORDS
from ingestion.discovery.values import suggest_type
from ingestion.models import Cause, Discovered
from ingestion.quarantine.causes import add_up
from ingestion.ranked import most_first
from staff.admin.pages import ReadOnly
from staff.masking import STARS, mask_in_text, may_see_personal
from taxonomy.definition import Items, draft_items
from taxonomy.diff import title
from taxonomy.draft import ItemLocked
from taxonomy.models import Attribute, Tag
from taxonomy.personal import Personal
from taxonomy.places import cause_words
from taxonomy.publish import items_of, newest
from taxonomy.request_rights import hidden_in, of_sources_in, released_in, rights_in, said_outside, sources_in, tags_in
from taxonomy.rights import OutsideGrant, among
from taxonomy.standardize import RawEvent
from taxonomy.violations import title_for

PAGE = 50
IGNORE_DAYS = 90
_COUNTING = {Attribute.Type.INTEGER, Attribute.Type.DECIMAL, Attribute.Type.MONEY}
_MAP = ["taxonomy.add_mappingrule"]
_USE = ["taxonomy.change_tag", "taxonomy.add_tagattribute", "taxonomy.add_mappingrule", "taxonomy.change_mappingrule"]
ACTS = {"map": _MAP, "use": _USE, "add": [*_USE, "taxonomy.add_attribute"], "ignore": _MAP, "look_again": _MAP}
# What writes the name into the standard, where everybody reads it.
_WRITING = {"map", "use", "add"}
_MASKED = gettext_lazy("A number or an address stands in this name, and a rule would show it. Whoever sees it whole can map it.")


class IgnoreForm(forms.Form):
    reason = forms.CharField(max_length=300)
    until = forms.DateField()

    def clean_until(self) -> date:
        until: date = self.cleaned_data["until"]
        if until < timezone.localdate(timezone=timezone.get_default_timezone()):
            raise ValidationError(_("Choose a day that is still to come."))
        return until


@admin.register(Discovered)
class DiscoveredAdmin(ReadOnly, ModelAdmin):
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("ingestion.view_quarantinereason")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view
        return [
            path("", page(self.list_view), name="ingestion_discovered_changelist"),
            path("<int:discovered_id>/", page(self.one_view), name="ingestion_discovered_change"),
            path("<int:discovered_id>/act/", page(self.act_view), name="discovered_act"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """Names and attributes in one state, most events first."""
        self._must_view(request)
        chosen = {name: request.GET.get(name, "") for name in ("source", "kind", "state")}
        chosen["state"] = chosen["state"] if chosen["state"] in STATES else STATES[0]
        found, counts = lines(_today(), among=_rows(request), **chosen)
        page = Paginator(found, PAGE).get_page(request.GET.get("page"))
        add_shares(page)
        seen = set(Discovered.objects.values_list("source_id", flat=True).distinct())
        context = {
            "title": _("Discovered"),
            "page": page,
            "rows": [_shown(request, line) for line in page],
            "states": [(state, STATE_WORDS[state], count) for state, count in counts.items()],
            "kinds": Discovered.Kind.choices[:2],
            "sources": [one for one in released_in(request, "source") if one.pk in seen],
            "query": urlencode({name: value for name, value in chosen.items() if value}),
            "limits": limits_hit(sources_in(request)).values(),
            "most": MOST,
            **chosen,
        }
        return self._render(request, "ingestion/discovered.html", context)

    def one_view(self, request: HttpRequest, discovered_id: int) -> HttpResponse:
        self._must_view(request)
        row = _row(request, discovered_id)
        line = line_of(row, _today())
        is_name = row.kind == Discovered.Kind.NAME
        shown = _shown(request, line)
        is_masked = shown["name"] != row.name
        context = {
            "title": _("Discovered"),
            "line": shown,
            "is_name": is_name,
            "may": {act: request.user.has_perms(rights) and not (is_masked and act in _WRITING) for act, rights in ACTS.items()},
            "masked": _MASKED if is_masked else "",
            "may_make_tags": request.user.has_perm("taxonomy.add_tag"),
            "until": _today() + timedelta(days=IGNORE_DAYS),
            "today": _today(),
            "held_as": _held_as(row) if is_name else None,
            "history": row.ignorings.select_related("by", "undone_by"),
        }
        context |= _for_a_name(request, row) if is_name else _for_an_attribute(request, row)
        return self._render(request, "ingestion/discovered_one.html", context)

    @method_decorator(require_POST)
    def act_view(self, request: HttpRequest, discovered_id: int) -> HttpResponse:
        row = _row(request, discovered_id)
        act = request.POST.get("act", "")
        if act not in ACTS or not self.has_view_permission(request) or not request.user.has_perms(ACTS[act]):
            raise PermissionDenied
        if act in _WRITING and _name(request, row) != row.name:
            messages.error(request, _MASKED)
            return HttpResponseRedirect(reverse("admin:ingestion_discovered_change", args=[row.pk]))
        acts: dict[str, Callable[[HttpRequest, Discovered], str | None]] = {
            "map": _map, "use": _use, "add": _add, "ignore": _ignore, "look_again": _look_again,
        }  # fmt: skip
        try:
            went = acts[act](request, row)
        except CannotAdopt as error:
            messages.error(request, CANNOT_ADOPT[str(error)])
            went = None
        except OutsideGrant as error:
            messages.error(request, said_outside(error))
            went = None
        except ItemLocked as error:
            said = _("It is under review in “%(title)s” and cannot be edited until that ends. Your change was not saved.")
            messages.error(request, said % {"title": error.proposal.title})
            went = None
        return HttpResponseRedirect(went or reverse("admin:ingestion_discovered_change", args=[row.pk]))

    def _must_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name  # type: ignore[attr-defined]
        return TemplateResponse(request, template, {**self.admin_site.each_context(request), **context})


def _rows(request: HttpRequest) -> QuerySet[Discovered]:
    """What is to be decided on, of the sources and tags that the reader may read."""
    rows = of_sources_in(Discovered.objects.to_decide_on(), request)
    return rows.filter(Q(tag=None) | Q(tag__in=tags_in(request))) if rights_in(request).limited else rows


def _row(request: HttpRequest, discovered_id: int) -> Discovered:
    return up_to_now(get_object_or_404(_rows(request), pk=discovered_id))


def _today() -> date:
    return timezone.localdate(timezone=timezone.get_default_timezone())


def _shown(request: HttpRequest, line: Line) -> dict[str, Any]:
    """What a page says of a line; a name may itself be a phone number."""
    row = line.row
    looked_at = sum(row.kinds.values())
    kinds = most_first(row.kinds)
    return {
        "row": row,
        "name": _name(request, row),
        "state": line.state,
        "state_label": STATE_WORDS[line.state],
        "ignored": line.ignored,
        "percent": None if line.share is None else 100 * line.share,
        "kinds": [{"label": KINDS[kind], "count": count, "percent": 100 * count / looked_at} for kind, count in kinds],
    }


def _name(request: HttpRequest, row: Discovered) -> str:
    return row.name if may_see_personal(request.user) else mask_in_text(row.name)


def _held_as(row: Discovered) -> Cause | None:
    """The cause in the quarantine; None when no event is held for it any more."""
    add_up(timezone.now())
    return Cause.objects.filter(held__gt=0, source=row.source_id, code="event.unknown", path="event", name=row.name).first()


def _for_a_name(request: HttpRequest, row: Discovered) -> dict[str, Any]:
    """The tags it may mean, all of them to choose from, and the address of a new tag's form filled in."""
    label = "label_en" if row.name.isascii() else "label_zh_hans"
    given = {"code": code_of(row.name), label: row.name[:120], "synonyms": row.name[:120].replace(",", " ")}
    tags = tags_in(request).exclude(status=Tag.Status.DEPRECATED)
    matches = matching_tags(row.name, hidden=partial(hidden_in, request))
    held = events_held(row)
    items = _draft_shown(request) if matches else {}
    return {
        "carried": [{"one": one, "kind": KINDS[one.kind]} for one in carried(held, row.source_id)],
        "sample": SAMPLE,
        "matches": [
            {"item": one.item, "reason": one.reason, **_filling_shown(request, _filling(row, one.item, items, held), items)}
            for one in matches
        ],
        "tags": tags,
        # a name that looks personal stays out of addresses
        "new_tag": "?" + urlencode(given) if mask_in_text(row.name) == row.name else "",
    }


def _draft_shown(request: HttpRequest) -> Items:
    """What of the draft the reader may read."""
    draft = draft_items()
    hidden = hidden_in(request, draft)
    return {item: one for item, one in draft.items() if item not in hidden}


def _filling(row: Discovered, tag: Tag, items: Items, held: list[RawEvent]) -> Filling:
    return filling(row.name, str(tag.pk), source=str(row.source_id), items=items, events=held)


def _filling_shown(request: HttpRequest, found: Filling, items: Items) -> dict[str, Any]:
    """What a page says of the rows to be made."""
    hidden = hidden_in(request, items_of(newest())) if rights_in(request).limited else set()
    names = {one["code"]: title(one, items) for one in items.values() if one["kind"] == "attribute"}
    return {
        "rows": [{"row": row, "name": names.get(row.target, row.target)} for row in found.rows],
        "kept": [names[code] for code in found.kept],
        "missing": [names[code] for code in found.missing],
        "accepted": found.accepted,
        "tried": found.tried,
        "holds": [
            f"{title_for(code)} {cause_words(code, path, found.one_of, hidden)}".strip() for (code, path), _count in found.reasons[:5]
        ],
    }


def _for_an_attribute(request: HttpRequest, row: Discovered) -> dict[str, Any]:
    """The attributes it may mean, and what a new one would be like."""
    suggestion = suggest_type(row.kinds, row.name)
    attributes = among(Attribute.objects.all(), rights_in(request))
    matches = matching_attributes(row.name, hidden=partial(hidden_in, request))
    places = Personal().sent_by(row.source_id)
    return {
        "examples": [STARS if places.hides(row.name, one) else one for one in row.examples],
        "matches": [{"item": one.item, "reason": one.reason} for one in matches],
        "attributes": attributes,
        "code": code_of(row.name),
        "suggestion": suggestion,
        "suggestion_label": Attribute.Type(suggestion.type).label,
        "why": SUGGESTED[suggestion.why],
        "types": [(value, label) for value, label in Attribute.Type.choices if suggestion.may_count or value not in _COUNTING],
    }


def _map(request: HttpRequest, row: Discovered) -> str | None:
    if row.kind != Discovered.Kind.NAME:
        raise PermissionDenied
    tag = _chosen(tags_in(request), request.POST.get("tag", ""))
    if tag is None:
        messages.error(request, _("Choose the tag it means."))
        return None
    items = _draft_shown(request)
    found = _filling(row, tag, items, events_held(row))
    wanted = set(request.POST.getlist("rows")) if "chosen" in request.POST else {one.target for one in found.rows}
    rows = [one for one in found.rows if one.target in wanted]
    rule, made = map_to_tag(row, tag, by=request.user, rows=rows)  # type: ignore[arg-type]
    if made:
        shown = _filling_shown(request, found, items)
        filled = ", ".join(f"{one.target} ← {one.path or one.transforms}" for one in rows)
        messages.success(
            request, _("A draft rule maps it to %(tag)s. Look at where its attributes come from, then propose it.") % {"tag": tag}
        )
        if filled:
            messages.info(request, _("Filled in: %(rows)s.") % {"rows": filled})
        if lacking := [*shown["missing"], *(one.target for one in found.rows if one not in rows and one.target in _required(tag))]:
            said = _("Still required, and not found in what is sent: %(attributes)s. Say here where it is, or have the source send it.")
            messages.warning(request, said % {"attributes": ", ".join(lacking)})
    else:
        messages.warning(request, _("The draft has a rule for this name already: this one. It was left as it is."))
    return reverse("admin:taxonomy_mappingrule_change", args=[rule.pk])


def _required(tag: Tag) -> set[str]:
    return set(tag.uses.filter(required=True).values_list("attribute__code", flat=True))


def _use(request: HttpRequest, row: Discovered) -> str | None:
    """Add an attribute of the library to the tag."""
    attribute = _chosen(among(Attribute.objects.all(), rights_in(request)), request.POST.get("attribute", ""))
    if attribute is None:
        messages.error(request, _("Choose the attribute it means."))
        return None
    return _added(request, row, attribute)


def _add(request: HttpRequest, row: Discovered) -> str | None:
    """Make a new attribute, of the type a person chose, and add it to the tag."""
    typed = request.POST.get("type", "")
    suggestion = suggest_type(row.kinds, row.name)
    if typed in _COUNTING and not suggestion.may_count:
        messages.error(request, SUGGESTED[suggestion.why])
        return None
    attribute = Attribute(
        code=request.POST.get("code", "").strip(), type=typed, label_en=request.POST.get("label_en", "").strip(),
        label_zh_hans=request.POST.get("label_zh_hans", "").strip(), personal=suggestion.personal,
        of=Attribute.Type.TEXT if typed == Attribute.Type.LIST else "",
    )  # fmt: skip
    try:
        attribute.full_clean()
    except ValidationError as error:
        for field, problems in error.message_dict.items():
            label = "" if field == "__all__" else f"{Attribute._meta.get_field(field).verbose_name}: "  # type: ignore[union-attr]
            messages.error(request, f"{label}{' '.join(problems)}")
        return None
    if typed == Attribute.Type.CHOICE:
        messages.info(request, _("Write down the choices of the attribute before you propose it."))
    return _added(request, row, attribute)


def _added(request: HttpRequest, row: Discovered, attribute: Attribute) -> str:
    if row.kind != Discovered.Kind.ATTRIBUTE:
        raise PermissionDenied
    added = add_to_tag(row, attribute, by=request.user)  # type: ignore[arg-type]
    said = _("%(attribute)s is one of the draft's attributes of %(tag)s now. Propose it, so that sources obey it once it is released.")
    messages.success(request, said % {"attribute": attribute, "tag": row.tag})
    if added.rules:
        messages.info(
            request,
            _("This rule of %(source)s fills it from what is sent. See whether the value needs a transform.") % {"source": row.source},
        )
        return reverse("admin:taxonomy_mappingrule_change", args=[added.rules[0].pk])
    return reverse("admin:taxonomy_tag_change", args=[row.tag_id])


def _ignore(request: HttpRequest, row: Discovered) -> str | None:
    form = IgnoreForm(request.POST)
    if not form.is_valid():
        for name, problems in form.errors.items():
            messages.error(request, f"{_('reason') if name == 'reason' else _('until')}: {' '.join(str(one) for one in problems)}")
        return None
    ignore(row, reason=form.cleaned_data["reason"], until=form.cleaned_data["until"], by=request.user)  # type: ignore[arg-type]
    messages.success(request, _("It is left alone until then. It stands under “ignored”, where you can undo it."))
    return reverse("admin:ingestion_discovered_changelist")


def _look_again(request: HttpRequest, row: Discovered) -> str | None:
    look_again(row, by=request.user)  # type: ignore[arg-type]
    messages.success(request, _("It stands among what is to be decided again."))
    return None


def _chosen(rows: Any, written: str) -> Any:
    try:
        return rows.filter(pk=written).first()
    except ValidationError:
        return None
