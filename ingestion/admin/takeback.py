"""Taking wrong events back: choose them, look whom and what that touches, say why, watch it, and put them back."""

from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from ingestion.accepted.takeback import CannotTakeBack, decide, is_idle, look_at, look_at_batch, put_back
from ingestion.accepted.void import has_end
from ingestion.jobs import work_on_take_back
from ingestion.models import ImportRun, TakeBack, WriteKey
from profiles.models import Batch
from profiles.money import money
from staff.admin.pages import Unalterable
from staff.models import User
from taxonomy.admin.live import LiveChoiceField, LiveFilter, OfSource
from taxonomy.models import Source, Tag
from taxonomy.released import named
from taxonomy.request_rights import item_in, of_sources_in, rights_in, sources_in
from taxonomy.rights import among

RIGHT = "ingestion.take_back"
State = TakeBack.State
_TITLES: dict[str, Any] = {State.LOOKING: _("Take events back"), State.READY: _("Take events back"), State.PUT: _("Events put back")}
# A job that waits its turn is no job that was given up.
_MAY_GO_ON_AFTER = timedelta(minutes=1)
# Nothing is received ahead of now; an event may have occurred a day ahead, as the clocks of devices go.
_AHEAD = {"received_since": timedelta(0), "occurred_since": timedelta(days=1)}
_CANNOT = {
    "running": _("The import is still running. Wait until it has ended, or failed; then take it back."),
    "moved": _("The import has gone on since you looked. What taking it back touches is looked at again; decide then."),
    "state": _("This has been decided already. Look at the page again."),
    "reason": _("Say why: it stays with it."),
}


class Moment(forms.DateTimeField):
    def __init__(self, label: Any) -> None:
        super().__init__(label=label, required=False, widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}))


class _KeyField(forms.ModelChoiceField):
    def label_from_instance(self, obj: WriteKey) -> str:
        source = named("source", [obj.source_id])[obj.source_id].label
        return " · ".join(filter(None, (source, obj.name, f"{obj.hint}…")))


class LookForm(forms.Form):
    source = LiveChoiceField(Source.objects.none(), label=_("Source"), widget=UnfoldAdminSelectWidget)
    key = _KeyField(
        WriteKey.objects.none(), label=_("Write key"), required=False, widget=UnfoldAdminSelectWidget,
        help_text=_("Only what was sent with it. Files come without one."),
    )  # fmt: skip
    tag = LiveChoiceField(
        Tag.objects.none(), label=_("Tag"), required=False, widget=UnfoldAdminSelectWidget,
        help_text=_("Only events read as this tag; none that are held as unknown."),
    )  # fmt: skip
    received_since = Moment(_("Received from"))
    received_until = Moment(_("Received before"))
    occurred_since = Moment(_("Occurred from"))
    occurred_until = Moment(_("Occurred before"))

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.POST or None, initial=request.GET.dict())
        sources = sources_in(request)
        choices: dict[str, Any] = {
            "source": sources,
            "key": WriteKey.objects.filter(source__in=sources, test=False),
            "tag": among(Tag.objects.order_by("code"), rights_in(request)),
        }
        for name, rows in choices.items():
            self.fields[name].queryset = rows  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        key = cleaned.get("key")
        if key and cleaned.get("source") and key.source_id != cleaned["source"].pk:
            self.add_error("key", _("This key is of another source. Choose one of the source above, or none."))
        now = timezone.now()
        for name in ("received_since", "occurred_since") if not self.errors else ():
            if cleaned.get(name) and cleaned[name] > now + _AHEAD[name]:
                self.add_error(name, _("This is still to come: nothing of it has arrived. Choose an earlier one."))
        for name in ("received", "occurred"):
            since, until = cleaned.get(f"{name}_since"), cleaned.get(f"{name}_until")
            if since and until and since >= until:
                self.add_error(f"{name}_until", _("This is not after the time above. Choose a later one."))
        if not self.errors and not any(cleaned.get(name) for name in self.fields if name != "source"):
            raise forms.ValidationError(_("Say more than the source: a key, a tag, or a time from which on."))
        return cleaned


@admin.register(TakeBack)
class TakeBackAdmin(Unalterable, OfSource):
    when_empty = _("Here stands what was taken back of wrong events, by whom and why. Begin with the form above, or on an import’s page.")
    list_display = ["chosen", "live_source", "shown_state", "taken", "reason", "decided_by", "decided_at"]
    list_filter = ["state", ("source", LiveFilter)]
    list_select_related = ["decided_by"]
    actions = None

    def get_queryset(self, request: HttpRequest) -> Any:
        found = super().get_queryset(request)
        is_list = request.resolver_match and request.resolver_match.url_name == "ingestion_takeback_changelist"
        return found.filter(decided_at__isnull=False) if is_list else found

    @display(description=_("number of events"))
    def taken(self, one: TakeBack) -> int:
        return one.taken

    @display(description=_("what was taken back"))
    def chosen(self, one: TakeBack) -> str:
        if one.batch_id:
            return str(one.run or _("one delivery"))
        by = [_("key")] * bool(one.key_id) + [_("tag")] * bool(one.tag_id)
        by += [_("time received")] * bool(one.received_since) + [_("time occurred")] * bool(one.occurred_since or one.occurred_until)
        return " · ".join(map(str, by)) or str(_("time received"))

    @display(
        description=_("state"),
        label={"taking": "info", "taken": "warning", "putting": "info", "put": "success", "looking": "info", "ready": "info"},
    )
    def shown_state(self, one: TakeBack) -> tuple[str, str]:
        return one.state, one.get_state_display()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perms([RIGHT, "ingestion.view_takeback"]))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("batch/<uuid:batch_id>/", view(self.batch_view), name="take_back_batch"),
            path("<int:take_back_id>/progress/", view(self.progress_view), name="ingestion_takeback_progress"),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Choose by source, key, tag and time."""
        self._must_take(request)
        form = LookForm(request)
        if request.method == "POST" and form.is_valid():
            wanted = form.cleaned_data
            windows = {name: (wanted[f"{name}_since"], wanted[f"{name}_until"]) for name in ("received", "occurred")}
            one = look_at(
                source=wanted["source"], key=wanted["key"], tag=wanted["tag"], by=cast(User, request.user), now=timezone.now(), **windows
            )
            return self._begin(one)
        context = {**self.admin_site.each_context(request), "title": _("Take events back"), "form": form, "opts": self.opts}
        return TemplateResponse(request, "ingestion/take_back_choose.html", context)

    @method_decorator(require_POST)
    def batch_view(self, request: HttpRequest, batch_id: UUID) -> HttpResponse:
        """Look at what taking back one request or file touches."""
        self._must_take(request)
        batch = get_object_or_404(of_sources_in(Batch.objects.all(), request), pk=batch_id)
        try:
            return self._begin(look_at_batch(batch, by=cast(User, request.user), now=timezone.now()))
        except CannotTakeBack as error:
            messages.error(request, _CANNOT[error.code])
            return HttpResponseRedirect(reverse("admin:ingestion_importrun_change", args=[batch_id]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        one = self._one(request, object_id)
        if request.method == "POST":
            self._must_take(request)
            self._act(request, one)
            return HttpResponseRedirect(request.path)
        shown = _shown(request, one)
        context = {
            **self.admin_site.each_context(request),
            "title": _TITLES.get(one.state, _("Events taken back")),
            "back": reverse("admin:ingestion_importrun_change", args=[shown["run"].pk])
            if shown["run"]
            else reverse("admin:ingestion_takeback_changelist"),
            "opts": self.opts,
            "may": self.has_add_permission(request),
            "may_go_on": self.has_add_permission(request) and _is_given_up(one),
            **shown,
        }
        return TemplateResponse(request, "ingestion/take_back.html", context)

    def progress_view(self, request: HttpRequest, take_back_id: int) -> HttpResponse:
        """The part of the page that changes while it is at work, as HTML in JSON."""
        shown = _shown(request, self._one(request, take_back_id))
        page = TemplateResponse(request, "ingestion/_take_back.html", shown).render()
        return JsonResponse({"html": page.content.decode(), "done": shown["done"]})

    def _act(self, request: HttpRequest, one: TakeBack) -> None:
        reason = request.POST.get("reason", "")[:300]
        said: dict[str, Any] = {"reason": reason, "by": cast(User, request.user), "now": timezone.now()}
        try:
            match request.POST.get("act"):
                case "take":
                    decide(one, **said)
                case "put":
                    put_back(one, **said)
                case "go_on" if one.state in TakeBack.BUSY:
                    messages.info(request, _("It goes on where it stopped."))
                case _:
                    raise CannotTakeBack("state")
        except CannotTakeBack as error:
            messages.error(request, _CANNOT[error.code])
            if error.code == "moved":
                work_on_take_back.defer(take_back_id=one.pk)
        else:
            work_on_take_back.defer(take_back_id=one.pk)

    def _begin(self, one: TakeBack) -> HttpResponse:
        work_on_take_back.defer(take_back_id=one.pk)
        return HttpResponseRedirect(one.get_absolute_url())

    def _must_take(self, request: HttpRequest) -> None:
        if not self.has_add_permission(request):
            raise PermissionDenied

    def _one(self, request: HttpRequest, take_back_id: Any) -> TakeBack:
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = self.get_queryset(request).select_related("source", "looked_by", "decided_by", "put_by")
        one: TakeBack = get_object_or_404(found, pk=int(take_back_id) if str(take_back_id).isdecimal() else 0)
        return one


def _is_given_up(one: TakeBack) -> bool:
    began = one.put_at if one.state == State.PUTTING else one.decided_at or one.looked_at
    return one.state in TakeBack.BUSY and began is not None and began < timezone.now() - _MAY_GO_ON_AFTER and is_idle(one)


def _shown(request: HttpRequest, one: TakeBack) -> dict[str, Any]:
    touches = one.touches
    ids = [UUID(tag) for tag, *_counts in touches.get("tags", []) if tag]
    tags = {str(pk): name for pk in ids if (name := item_in(request, "tag", pk))}
    return {
        "one": one,
        "run": one.run,
        "chosen": _chosen(request, one),
        "done": one.state not in TakeBack.BUSY,
        "percent": _percent(one),
        "touches": touches and {
            **touches,
            **_would_take(touches),
            "money": [(currency, money(amount, currency)) for currency, amount in touches["money"]],
            "first_at": _moment(touches["first_at"]),
            "last_at": _moment(touches["last_at"]),
        },
        "tags": [(tags.get(tag) if tag else None, tag is None, counted, held) for tag, counted, held in touches.get("tags", [])],
        "put": one.put_counted + one.put_held,
        "mended_by": [] if one.put_at else _mended_by(touches.get("mended_by", [])),
        **(_void(one) if touches and not touches["counted"] + touches["held"] else {}),
    }  # fmt: skip


def _would_take(touches: dict[str, Any]) -> dict[str, int]:
    """The numbers the act will come to: what was mended or merged since is taken back too. Nothing where none counts or is held."""
    still = {"still_counted": touches["counted"], "still_held": touches["held"]}
    counted, held = touches["counted"] + touches.get("merged", 0), touches["held"] + touches["corrected"]
    return still | {"counted": counted, "held": held, "events": counted + held if any(still.values()) else 0}


def _mended_by(batches: list[tuple[str, int]]) -> list[tuple[ImportRun | None, int]]:
    """The imports, None for another delivery, whose events count in the place of held ones."""
    runs = {str(run.pk): run for run in ImportRun.objects.filter(pk__in=[batch for batch, _events in batches])}
    return [(runs.get(batch), events) for batch, events in batches]


def _void(one: TakeBack) -> dict[str, Any]:
    """Where nothing was found: what there is with one condition fewer, and the form with what was asked for."""
    asked: dict[str, Any] = {"source": one.source_id, "key": one.key_id, "tag": one.tag_id}
    times = {name: getattr(one, name) for name in ("received_since", "received_until", "occurred_since", "occurred_until")}
    if not has_end(one):
        times["received_until"] = None
    asked |= {name: timezone.localtime(at).strftime("%Y-%m-%dT%H:%M") for name, at in times.items() if at}
    return {
        "away_already": one.touches.get("away", 0),
        "without": [(name, events, _moment(before), _moment(after)) for name, events, before, after in one.touches.get("without", [])],
        "again": f"{reverse('admin:ingestion_takeback_add')}?{urlencode({name: value for name, value in asked.items() if value})}",
    }


def _chosen(request: HttpRequest, one: TakeBack) -> list[tuple[Any, Any]]:
    """What was asked for, in words: [(label, value)]."""
    asked: list[tuple[Any, Any]] = [(_("Source"), named("source", [one.source_id])[one.source_id].label)]
    if one.batch_id:
        return [*asked, (_("File"), one.run.file_name) if one.run else (_("Delivery"), str(one.batch_id)[:8])]
    if one.key_id:
        key = WriteKey.objects.filter(pk=one.key_id).first()
        asked.append((_("Write key"), f"{key.hint}… {key.name}".strip() if key else "–"))
    if one.tag_id:
        tag = item_in(request, "tag", one.tag_id)
        asked.append((_("Tag"), tag.label if tag else _("(not shown to you)")))
    times = [
        (_("Received from"), one.received_since), (_("Received before"), one.received_until),
        (_("Occurred from"), one.occurred_since), (_("Occurred before"), one.occurred_until),
    ]  # fmt: skip
    return [*asked, *((label, at) for label, at in times if at)]


def _percent(one: TakeBack) -> int:
    if one.state == State.PUTTING:
        return min(99, 100 * (one.put_counted + one.put_held) // max(one.taken, 1))
    if one.state == State.TAKING:
        first, last = one.touches["first_id"], one.touches["last_id"]
        return max(0, min(99, 100 * (one.done_until - first) // max(last - first, 1)))
    return 0 if one.state == State.LOOKING else 100


def _moment(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None
