"""Sources and their mapping rules, each with a place to try a record before anything is saved for good."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import RegexValidator
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from staff.admin.pages import confirm_page
from staff.models import Department
from taxonomy.admin.governed import GovernedAdmin, WhyForm
from taxonomy.admin.lines import NewRowsLast
from taxonomy.definition import Items, definition, unsaved_rule
from taxonomy.dictionary.words import TARGETS
from taxonomy.diff import ENVELOPE as ENVELOPE_LABELS
from taxonomy.diff import PRESETS
from taxonomy.draft import ItemLocked
from taxonomy.models import Attribute, MappingRow, MappingRule, Source, Tag, TagMode
from taxonomy.models.items import snake_case
from taxonomy.move import move_rule
from taxonomy.packs import packs
from taxonomy.packs.load import add_rules, load_pack, pack_choices
from taxonomy.proposals.propose import open_proposals
from taxonomy.recent import names_seen, rule_use
from taxonomy.request_rights import rights_in, sources_in, tags_in
from taxonomy.rights import May, OutsideGrant, among
from taxonomy.standardize.check import ENVELOPE_TARGETS
from taxonomy.standardize.paths import PathError, compile_path
from taxonomy.standardize.transforms import TransformError, parse_transforms
from taxonomy.tryout import Tryout, try_record
from taxonomy.winning import Winning, winning

# What an envelope can say: (key, label, example)
_EXAMPLES = {
    "event": "event", "event_constant": "sale", "events": "order.lines", "phone": "customer.mobile", "region": "customer.country",
    "occurred_at": "created_at", "time_format": "iso, epoch_s, epoch_ms, epoch_us, excel, excel_1904 or %d/%m/%Y %H:%M:%S", "sent_at": "sent_at",
    "message_id": "event_id", "source_version": "app.version", "attributes": "data", "context": "context",
}  # fmt: skip
ENVELOPE = [(key, label, _EXAMPLES[key]) for key, label in ENVELOPE_LABELS.items()]
IDENTIFIERS = ("user_id", "crm_id", "openid", "email", "device", "anonymous_id")
_NO_PATHS = frozenset({"event_constant", "time_format"})


class SourceForm(WhyForm):
    """The envelope as fields, so that nobody has to write JSON."""

    preset = forms.ChoiceField(label=gettext_lazy("records are"), choices=[*PRESETS.items()], widget=UnfoldAdminSelectWidget)

    class Meta:
        model = Source
        exclude = ["envelope"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        envelope = self.instance.envelope or {}
        self.fields["preset"].initial = envelope.get("preset", "tagline")
        for key, _label, _example in ENVELOPE:
            self.fields[f"envelope_{key}"].initial = envelope.get(key, "")
        for kind in IDENTIFIERS:
            self.fields[f"identifier_{kind}"].initial = (envelope.get("identifiers") or {}).get(kind, "")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name in (
            *[f"envelope_{key}" for key, *_rest in ENVELOPE if key not in _NO_PATHS],
            *[f"identifier_{kind}" for kind in IDENTIFIERS],
        ):
            try:
                if written := cleaned.get(name, "").removeprefix("$."):
                    compile_path(written)
            except PathError as error:
                self.add_error(name, _("This path cannot be read: %(problem)s") % {"problem": error})
        return cleaned

    def save(self, commit: bool = True) -> Any:
        cleaned = self.cleaned_data
        envelope: dict[str, Any] = {"preset": cleaned["preset"]}
        if cleaned["preset"] == "custom":
            envelope |= {key: cleaned[f"envelope_{key}"] for key, *_rest in ENVELOPE if cleaned.get(f"envelope_{key}")}
            known = {kind: cleaned[f"identifier_{kind}"] for kind in IDENTIFIERS if cleaned.get(f"identifier_{kind}")}
            envelope |= {"identifiers": known} if known else {}
        elif cleaned["preset"] in ("tagline", "flat") and cleaned["envelope_time_format"]:
            envelope["time_format"] = cleaned["envelope_time_format"]
        self.instance.envelope = envelope
        return super().save(commit)


for _key, _label, _example in ENVELOPE:
    SourceForm.base_fields[f"envelope_{_key}"] = forms.CharField(
        label=_label, required=False, max_length=300, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": _example})
    )
for _kind in IDENTIFIERS:
    SourceForm.base_fields[f"identifier_{_kind}"] = forms.CharField(
        label=_kind, required=False, max_length=300, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": f"customer.{_kind}"})
    )
SourceForm.declared_fields = {
    name: field
    for name, field in SourceForm.base_fields.items()
    if name in ("why", "preset") or name.startswith(("envelope_", "identifier_"))
}


class PackForm(forms.Form):
    """Which vendor's pack, and what the new source is called; or which source gets its rules."""

    pack = forms.ChoiceField(label=gettext_lazy("Vendor"), widget=UnfoldAdminSelectWidget)
    source = forms.ModelChoiceField(
        label=gettext_lazy("For a source there is"), required=False, queryset=Source.objects.none(), widget=UnfoldAdminSelectWidget,
        help_text=gettext_lazy("It gets the rules, behind its own, and stays as it is: for Segment's names, which any source may send. Empty: a new source, as said below."),
    )  # fmt: skip
    code = forms.CharField(
        label=gettext_lazy("Code"), required=False, max_length=80, validators=[snake_case], widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy("Empty: the pack's, such as shopify. It stands in the address of its webhook."),
    )  # fmt: skip
    owner = forms.ModelChoiceField(
        label=gettext_lazy("Owner"), required=False, queryset=Department.objects.all(), widget=UnfoldAdminSelectWidget
    )
    region = forms.CharField(
        label=gettext_lazy("Default region"), required=False, max_length=2, validators=[RegexValidator("^[A-Z]{2}$")],
        widget=UnfoldAdminTextInputWidget, help_text=gettext_lazy("Two letters, such as CN: where a number without + is dialled. Empty: the pack's."),
    )  # fmt: skip
    currency = forms.CharField(
        label=gettext_lazy("Currency"), required=False, max_length=3, validators=[RegexValidator("^[A-Z]{3}$")],
        widget=UnfoldAdminTextInputWidget, help_text=gettext_lazy("Of amounts sent without one, such as CNY. Empty: the pack's."),
    )  # fmt: skip

    def __init__(self, sources: QuerySet[Source], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["pack"].choices = pack_choices()  # type: ignore[attr-defined]
        self.fields["source"].queryset = sources  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("source"):
            if "pack" in cleaned and not packs()[cleaned["pack"]].fits_others:
                self.add_error("source", _("This pack's rules read its vendor's own records: leave this empty, and make a source of them."))
            return cleaned
        if not cleaned.get("owner"):
            self.add_error("owner", _("Choose the department that the new source belongs to."))
        if "pack" in cleaned and "code" in cleaned:
            cleaned["code"] = cleaned["code"] or packs()[cleaned["pack"]].source["code"]
            if Source.objects.filter(code__iexact=cleaned["code"]).exists():
                self.add_error("code", _("There is a source “%(code)s” already. Give this one another code.") % {"code": cleaned["code"]})
        return cleaned


class TryForm(forms.Form):
    record = forms.CharField(
        label=gettext_lazy("A record as the source sends it"),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 10, "spellcheck": "false"}), max_length=300_000,
        help_text=gettext_lazy("JSON; for flat rows an object with a key for each column. What comes by webhook may be a form or XML. Nothing is stored."),
    )  # fmt: skip


class Trying(GovernedAdmin):
    """A page where a record is tried on the draft, and a place on the form where it is tried before anything is saved."""

    change_form_outer_after_template = "taxonomy/_try_unsaved.html"

    class Media:
        js = ["try.js"]

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path("<uuid:object_id>/try/", self.admin_site.admin_view(self.try_view), name=f"{name}_try"),
            path("try-unsaved/", self.admin_site.admin_view(self.try_unsaved_view), name=f"{name}_try_unsaved"),
            path("<uuid:object_id>/try-unsaved/", self.admin_site.admin_view(self.try_unsaved_view), name=f"{name}_try_unsaved"),
            *super().get_urls(),
        ]

    def try_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        item = self.get_object(request, str(object_id))
        if item is None or not self.has_view_permission(request, item):
            raise PermissionDenied
        source = item if isinstance(item, Source) else item.source  # type: ignore[union-attr]
        form = TryForm(request.POST or None)
        outcome = None
        if request.method == "POST" and form.is_valid():
            outcome = tried_for(request, try_record(form.cleaned_data["record"].encode(), source.code, received_at=timezone.now()))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Try a record of %(source)s") % {"source": source},
            "opts": self.opts,
            "item": item,
            "form": form,
            "outcome": outcome,
            "names": _names_shown(request, source),
        }
        return TemplateResponse(request, "taxonomy/try.html", context)

    @method_decorator(require_POST)
    def try_unsaved_view(self, request: HttpRequest, object_id: Any = None) -> HttpResponse:
        """The record on the form as it stands in the browser: an HTML fragment. Nothing is saved."""
        item = self.get_object(request, str(object_id)) if object_id else None
        allowed = self.has_change_permission(request, item) if item else self.has_add_permission(request) and not object_id
        if not allowed:
            raise PermissionDenied
        form = self.get_form(request, item, change=item is not None)(request.POST, request.FILES, instance=item)
        trying = TryForm(request.POST)
        formsets, _inlines = self._create_formsets(request, form.instance, change=item is not None)  # type: ignore[attr-defined]
        if not (form.is_valid() and trying.is_valid() and all(formset.is_valid() for formset in formsets)):
            mistakes = [*form.errors.items(), *trying.errors.items()]
            mistakes += [pair for formset in formsets for errors in formset.errors for pair in errors.items()]
            problems = [f"{name}: {' '.join(errors)}" for name, errors in mistakes]
            return TemplateResponse(request, "taxonomy/_tried.html", {"outcome": Tryout([], problems)})
        unsaved, source = self.as_on_form(form, formsets)
        outcome = try_record(trying.cleaned_data["record"].encode(), source.code, received_at=timezone.now(), unsaved=unsaved)
        return TemplateResponse(request, "taxonomy/_tried.html", {"outcome": tried_for(request, outcome)})

    def as_on_form(self, form: Any, formsets: Any) -> tuple[Items, Source]:
        """The definition as the form has it, and the source whose records are tried. The form is valid."""
        raise NotImplementedError


def _names_shown(request: HttpRequest, source: Source) -> list[dict[str, Any]]:
    """The names it sent lately, without those that became a tag which the reader may not read."""
    names = names_seen(source)
    if not rights_in(request).limited:
        return names
    readable = {*tags_in(request).values_list("pk", flat=True)}
    return [one for one in names if readable.issuperset(one["tags"])]


def tried_for(request: HttpRequest, outcome: Tryout) -> Tryout:
    """What the reader may see of it: of a tag that they may not read, only the verdict."""
    rights = rights_in(request)
    if not rights.limited:
        return outcome
    readable = {"", *among(Tag.objects.all(), rights).values_list("code", flat=True)}
    unnamed = _("(not shown to you)")
    return replace(
        outcome,
        events=[
            one if one.tag in readable else replace(one, tag=unnamed, rule="", standard="", changes=[], reasons=[])
            for one in outcome.events
        ],
    )


@admin.register(Source)
class SourceAdmin(Trying):
    when_empty = gettext_lazy(
        "Sources are the systems that send events, such as a web shop or a till. Add the first one, then create a write key for it."
    )
    form = SourceForm
    actions_list = ["from_pack"]
    list_display = ["label", "code", "source_kind", "owner", "region", "rule_count", "released_state"]
    list_filter = ["source_kind", "owner"]
    list_select_related = ["owner"]
    search_fields = ["code", "label_en", "label_zh_hans"]
    ordering = ["code"]
    delete_confirmation_template = "taxonomy/delete_source.html"
    delete_selected_confirmation_template = "taxonomy/delete_sources.html"
    fieldsets = (
        (None, {"fields": ("code", ("label_en", "label_zh_hans"), "description_en", "description_zh_hans", ("source_kind", "owner"))}),
        (gettext_lazy("Defaults"), {"fields": (("region", "timezone", "currency"), "namespace", ("hold_unreadable_phone", "separate_rows"), "replay_held")}),
        (gettext_lazy("Envelope"), {
            "fields": ("preset", *(f"envelope_{key}" for key, *_rest in ENVELOPE)),
            "description": gettext_lazy("Where in a record things are found, such as customer.mobile. Only for a format of its own; the time format for Tagline JSON and flat rows too."),
        }),
        (gettext_lazy("Identifiers"), {"fields": tuple(f"identifier_{kind}" for kind in IDENTIFIERS)}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Source]:
        return super().get_queryset(request).annotate(rule_count=Count("rules"))

    def get_urls(self) -> list[URLPattern]:
        return [
            path("<uuid:object_id>/rules/", self.admin_site.admin_view(self.rules_view), name="taxonomy_source_rules"),
            path("<uuid:object_id>/rules/move/", self.admin_site.admin_view(self.move_view), name="taxonomy_source_move"),
            *super().get_urls(),
        ]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Sources and their rules by name. Their rows stay, so only rules that others hold and tags that name a source stand in the way."""
        rules = list(MappingRule.objects.filter(source__in=objs).select_related("source", "tag"))
        theirs = {*among(MappingRule.objects.filter(source__in=objs), rights_in(request), May.PROPOSE).values_list("pk", flat=True)}
        hidden = [_("a rule that is not shown to you")] if len(theirs) < len(rules) else []
        shown = [rule for rule in rules if rule.pk in theirs]
        held = open_proposals([rule.pk for rule in shown])
        named = {str(rule.pk): str(rule) for rule in shown}
        in_the_way = [
            format_html('{} – <a href="{}" class="tl-underlined">{}</a>, {}', named[rule], one.get_absolute_url(), one.title, one.author)
            for rule, one in held.items()
        ]
        all_modes = TagMode.objects.filter(source__in=objs)
        modes = all_modes.filter(tag__in=tags_in(request)).select_related("tag", "source")
        hidden += [_("a tag that is not shown to you")] if modes.count() < all_modes.count() else []
        in_the_way += [format_html("{}: {}", one.tag.label, one) for one in modes]
        going = [[str(source), [str(rule) for rule in shown if rule.source_id == source.pk]] for source in objs]
        count = {self.opts.verbose_name_plural: len(going), MappingRule._meta.verbose_name_plural: len(rules)}
        return [one for pair in going for one in pair if one], count, set(), in_the_way + hidden

    def has_from_pack_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(["taxonomy.add_source", "taxonomy.add_mappingrule"])

    @action(description=gettext_lazy("Add from a vendor's pack"), permissions=["from_pack"], icon="inventory_2", url_path="from-pack")
    def from_pack(self, request: HttpRequest) -> HttpResponse:
        """A source as its vendor sends, with rules to the standard: a draft, to be proposed."""
        initial = {"owner": request.user.department_id, **{name: request.GET.get(name, "") for name in ("pack", "source")}}  # type: ignore[union-attr]
        form = PackForm(sources_in(request).filter(in_draft=True).order_by("code"), request.POST or None, initial=initial)
        if request.method == "POST" and form.is_valid():
            chosen = form.cleaned_data
            try:
                if chosen["source"]:
                    added = add_rules(packs()[chosen["pack"]], chosen["source"], by=request.user)  # type: ignore[arg-type]
                    return self._rules_added(request, chosen["source"], *added)
                source, missing = load_pack(
                    packs()[chosen["pack"]], code=chosen["code"], owner=chosen["owner"].pk, region=chosen["region"],
                    currency=chosen["currency"], by=request.user,  # type: ignore[arg-type]
                )  # fmt: skip
            except OutsideGrant as error:
                return self._outside(request, error)
            messages.success(request, _("%(source)s is drafted with its rules. Propose it under Unreleased changes; nothing arrives before it is released.") % {"source": source})  # fmt: skip
            return self._to_rules(request, source, missing)
        return confirm_page(
            request,
            title=_("Add a source from a vendor's pack"),
            sentences=[
                _("A pack knows where a vendor's records say what happened, when and about whom, and which tags of the starter standard its events become."),
                _("It makes a draft: look its rules through, then propose it."),
            ],
            button=_("Make the draft"),
            back_url=reverse("admin:taxonomy_source_changelist"),
            form=form,
        )  # fmt: skip

    def _rules_added(self, request: HttpRequest, source: Source, count: int, missing: list[str]) -> HttpResponse:
        if count:
            said = ngettext(
                "%(count)s rule is drafted, behind the source's own. Propose it under Unreleased changes.",
                "%(count)s rules are drafted, behind the source's own. Propose them under Unreleased changes.",
                count,
            )
            messages.success(request, said % {"count": count})
        else:
            messages.info(request, _("%(source)s has all of these rules already.") % {"source": source})
        return self._to_rules(request, source, missing)

    def _to_rules(self, request: HttpRequest, source: Source, missing: list[str]) -> HttpResponse:
        if missing:
            messages.warning(request, _("The standard has no tags with these codes, so their rules are left out: %(codes)s.") % {"codes": ", ".join(missing)})  # fmt: skip
        return HttpResponseRedirect(reverse("admin:taxonomy_source_rules", args=[source.pk]))

    def rules_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """The source's rules in their order, each with what it does on the names that came lately."""
        source = self.get_object(request, str(object_id))
        if source is None or not self.has_view_permission(request, source):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": _("Rules of %(source)s") % {"source": source},
            "opts": self.opts,
            "source": source,
            "winning": self._readable(request, source, winning(source)),
            "may_move": request.user.has_perm("taxonomy.change_mappingrule"),
            "moved": request.GET.get("moved", ""),
        }
        return TemplateResponse(request, "taxonomy/rules.html", context)

    @method_decorator(require_POST)
    def move_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        if not request.user.has_perm("taxonomy.change_mappingrule"):
            raise PermissionDenied
        readable = among(MappingRule.objects.all(), rights_in(request))
        rule = get_object_or_404(readable, pk=request.POST.get("rule"), source=object_id)
        try:
            move_rule(rule, up=request.POST.get("to") == "up", by=request.user)  # type: ignore[arg-type]
        except ItemLocked as error:
            return self._locked(request, error)
        except OutsideGrant as error:
            return self._outside(request, error)
        return HttpResponseRedirect(f"{reverse('admin:taxonomy_source_rules', args=[object_id])}?moved={rule.pk}#rule-{rule.pk}")

    def _readable(self, request: HttpRequest, source: Source, found: Winning) -> Winning:
        """What the reader may see of it: rules to tags that they may not read are left out, and names that become those."""
        rights = rights_in(request)
        if not rights.limited:
            return found
        rules = {*among(MappingRule.objects.all(), rights).values_list("pk", flat=True)}
        tags = {*among(Tag.objects.all(), rights).values_list("code", flat=True)}
        shown = {one["name"] for one in _names_shown(request, source)}
        names = [
            one
            for one in found.names
            if one.name in shown and all(rule.pk in rules for rule in one.rules) and (not one.tag or one.tag in tags)
        ]
        return replace(found, names=names, rules=[one for one in found.rules if one.rule.pk in rules])

    def as_on_form(self, form: Any, formsets: Any) -> tuple[Items, Source]:
        source = form.save(commit=False)
        return {str(source.pk): definition(source)}, source

    @admin.display(description=gettext_lazy("name"), ordering="label_en")
    def label(self, source: Source) -> str:
        return source.label

    @admin.display(description=gettext_lazy("rules"), ordering="rule_count")
    def rule_count(self, source: Any) -> int:
        return int(source.rule_count)


class RowForm(forms.ModelForm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["target"].widget.attrs["list"] = "rule-targets"  # filled by rule.js
        for name, characters in (("target", 20), ("path", 20), ("transforms", 36)):
            self.fields[name].widget.attrs["size"] = characters

    def clean_transforms(self) -> str:
        written: str = self.cleaned_data["transforms"]
        found = parse_transforms(written)
        if isinstance(found, TransformError):
            told = {"position": found.position + 1, "seen": found.seen, "expected": found.expected}
            raise ValidationError(_("At character %(position)s: found %(seen)s, expected %(expected)s.") % told)
        return written

    def clean_path(self) -> str:
        written: str = self.cleaned_data["path"]
        try:
            if written:
                compile_path(written.removeprefix("$."))
        except PathError as error:
            raise ValidationError(_("This path cannot be read: %(problem)s") % {"problem": error}) from error
        return written


class RowInline(TabularInline):
    model = MappingRow
    form = RowForm
    fields = ["target", "path", "transforms", "position"]
    formset = NewRowsLast
    ordering_field = "position"
    hide_ordering_field = True
    extra = 0


@admin.register(MappingRule)
class MappingRuleAdmin(Trying):
    when_empty = gettext_lazy(
        "Mapping rules say how a source's own name becomes a tag, such as item_detail_view → product_view. A source that sends "
        "the standard's names needs none. “Discovered” shows the names that need one."
    )
    list_display = ["name", "condition", "tag", "source", "position", "released_state"]
    list_filter = [("source", admin.RelatedOnlyFieldListFilter), ("tag__category", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["tag", "source"]
    search_fields = ["name", "tag__code", "tag__label_en", "tag__label_zh_hans"]
    autocomplete_fields = ["source", "tag"]
    inlines = [RowInline]
    fieldsets = (
        (None, {"fields": (("source", "position"), ("match", "name"))}),
        (gettext_lazy("Condition"), {"fields": (("condition_path", "condition_operator", "condition_value"),)}),
        (
            gettext_lazy("Only for a while"),
            {
                "fields": (("below_version", "until"),),
                "description": gettext_lazy("For what cannot be updated: how an old version of the source says it, until it is gone."),
            },
        ),
        (gettext_lazy("Becomes"), {"fields": ("tag", "keep_unmapped", "note")}),
    )

    change_form_outer_after_template = "taxonomy/_beneath_rule.html"

    class Media:
        js = ["rule.js"]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.choices_view)
        return [path("choices/", view, name="taxonomy_mappingrule_choices"), *super().get_urls()]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial = super().get_changeform_initial_data(request)
        return {"position": _next_position(initial.get("source", ""))} | initial

    def choices_view(self, request: HttpRequest) -> HttpResponse:
        """For a tag and a source being chosen: {"targets": [[what a row may fill, its name]], "position": the next that is free}."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rights = rights_in(request)
        tag = among(Tag.objects.all(), rights).filter(pk=_uuid(request.GET.get("tag", ""))).first()
        source = sources_in(request).filter(in_draft=True, pk=_uuid(request.GET.get("source", ""))).first()
        attributes = among(Attribute.objects.filter(uses__tag=tag), rights).order_by("code").distinct() if tag else ()
        targets = [
            *((one.code, one.label) for one in attributes),
            *((target, str(TARGETS.get(target, ""))) for target in sorted(ENVELOPE_TARGETS)),
        ]
        return JsonResponse({"targets": targets if tag else [], "position": _next_position(source.pk if source else None)})

    @display(description=gettext_lazy("condition"))
    def condition(self, rule: MappingRule) -> str:
        return rule.limits or _("always")

    def use_of(self, request: HttpRequest, item: MappingRule) -> dict[str, Any]:
        return {"rule_use": rule_use([item.pk]).get(item.pk), "is_rule": True}

    def as_on_form(self, form: Any, formsets: Any) -> tuple[Items, Source]:
        rule = form.save(commit=False)
        rows = [row.cleaned_data for formset in formsets for row in formset.forms if row.has_changed() or row.instance.pk]
        kept = [row for row in rows if row and not row.get("DELETE")]
        return {str(rule.pk): unsaved_rule(rule, kept)}, rule.source


def _next_position(source: Any) -> int:
    """After the last rule of the source."""
    last = MappingRule.objects.filter(source=_uuid(str(source))).aggregate(last=Max("position"))["last"]
    return 0 if last is None else int(last) + 1


def _uuid(written: str) -> UUID:
    """The null uuid, which is nobody's, for what is none."""
    try:
        return UUID(written)
    except ValueError:
        return UUID(int=0)
