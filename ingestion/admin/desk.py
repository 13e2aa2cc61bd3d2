"""The desk: what is held for one cause, what would let it in, and the replays that did."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

import phonenumbers
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from ingestion.admin.discarding import leaving, reason_in
from ingestion.admin.past import about_past, may_read_past, past_page
from ingestion.admin.resuming import releases_for, take_release
from ingestion.admin.reveal import may_ask, of_cause, sight_in
from ingestion.admin.shown import last_shown, seal, seal_set, was_shown
from ingestion.alone import is_idle
from ingestion.discovery.matches import matching_tags
from ingestion.jobs import queue_undo, read_past, replay_held
from ingestion.models import Cause, Replay
from ingestion.quarantine.causes import WHY_OF, why_held
from ingestion.quarantine.desk import (
    MOST_IN_TABLE,
    MOST_VALUES,
    TooMany,
    Value,
    as_pasted,
    attributes_missing,
    can_be_given,
    choices_for,
    mends_of,
    table_of,
    try_with_others,
    values_seen,
    workbook_of,
)
from ingestion.quarantine.names import labels_of, settle_names, tag_shown, unknown_names, why_none, worth_a_try
from ingestion.quarantine.remedy import KINDS as REMEDIES
from ingestion.quarantine.remedy import NoRemedy, effect, offered, propose_change, suggestions
from ingestion.quarantine.replay import SAMPLE, Extent, Preview, ask, extent_of, go_on, ids_up_to, preview, stop
from ingestion.quarantine.stored import AT_ONCE, text_seen
from ingestion.quarantine.undo import ask_undo, undo
from profiles.models import Event
from profiles.money import is_money, money
from profiles.original import row_words
from profiles.sight import Sight
from staff.access import log_access
from staff.admin.pages import Unalterable, id_or_404, number_or_none
from staff.masking import shown_to
from staff.models import AccessLog, User
from taxonomy.admin.live import LiveFilter, OfSource
from taxonomy.current import NoRelease, current
from taxonomy.exchange.book import UnreadableBook
from taxonomy.exchange.words import book_text
from taxonomy.places import cause_words
from taxonomy.proposals.refused import said_of
from taxonomy.released import named
from taxonomy.request_rights import hidden_in, of_sources_in, released_in, rights_in, source_in
from taxonomy.standardize import Plan
from taxonomy.violations import title_for

# Newest events on which a choice is tried: what a person waits for. Reading again does them all.
TRIED = 1_000
# What it takes to propose what would let a cause's events in.
PROPOSES = (
    "ingestion.view_quarantinereason", "ingestion.add_replay", "taxonomy.add_proposal", "taxonomy.change_tag", "taxonomy.change_attribute",
    "taxonomy.add_mappingrule", "taxonomy.change_mappingrule", "taxonomy.change_source",
)  # fmt: skip
_MENDS_SHOWN = 50
_RUNNING = (Replay.Status.WAITING, Replay.Status.RUNNING)
_AT_WORK = (*_RUNNING, Replay.Status.UNDOING)
# A job that waits its turn is no job that was given up.
_MAY_GO_ON_AFTER = timedelta(minutes=1)
_TITLES: dict[str, Any] = {
    Replay.Act.READ: gettext_lazy("Reading held events again"),
    Replay.Act.DISCARD: gettext_lazy("Discarding events"),
    Replay.Act.PAST: gettext_lazy("Reading the past anew"),
}


@admin.register(Replay)
class ReplayAdmin(Unalterable, OfSource):
    when_empty = gettext_lazy(
        "Here stands each time that held events were read again or discarded. Open a cause under Quarantine to begin."
    )
    list_display = ["act", "shown_status", "in_all", "fixed", "held", "discarded", "started_by", "created_at"]
    list_select_related = ["started_by"]
    list_filter = ["act", "status", ("source", LiveFilter)]

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = shown_to(request.user)

        @display(description=gettext_lazy("events"))
        def what(replay: Replay) -> str:
            return about(replay, shown)

        return [what, *self.list_display]

    @display(
        description=gettext_lazy("status"),
        label={"waiting": "info", "running": "info", "undoing": "info", "finished": "success", "failed": "danger", "stopped": "warning"},
    )
    def shown_status(self, replay: Replay) -> tuple[str, str]:
        return replay.status, replay.get_status_display()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may_read_past(request)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Accepted events read anew, tried first."""
        return past_page(request, site=self.admin_site, opts=self.opts)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("desk/", view(self.desk_view), name="desk"),
            path("desk/table/<int:cause_id>/", view(self.table_view), name="desk_table"),
            path("<uuid:replay_id>/progress/", view(self.progress_view), name="ingestion_replay_progress"),
            *super().get_urls(),
        ]

    def desk_view(self, request: HttpRequest) -> HttpResponse:
        """One cause, or all that is held of a source: what reading it again would do, and doing it."""
        if not request.user.has_perm("ingestion.view_quarantinereason"):
            raise PermissionDenied
        act, remedy = request.POST.get("act", ""), request.GET.get("remedy", "")
        may, may_propose = request.user.has_perm("ingestion.add_replay"), request.user.has_perms(PROPOSES)
        if (act and not may) or (act in ("look", "propose") and not may_propose):
            raise PermissionDenied
        if rights_in(request).limited and not request.GET.get("cause") and not request.GET.get("source"):
            messages.info(request, _("Choose a source first."))
            return HttpResponseRedirect(reverse("admin:ingestion_quarantinereason_changelist"))
        replay, back, cause = self._asked(request)
        shown = sight_in(request, of_cause(cause)) if cause else Sight.of(request.user)
        hides_name = shown(replay.name or "") != (replay.name or "")
        fillable = cause is not None and (can_be_given(replay.path) or replay.path == "attributes")
        values = values_seen(replay) if fillable else []
        problem, pasted, sealed = "", "", ""
        if act in ("try", "read"):
            problem, pasted = _take_given(request, replay, values, shown, is_fillable=fillable)
        weighed = act in ("weigh", "discard")
        if weighed:
            replay.act, replay.why = Replay.Act.DISCARD, reason_in(request)
            if act == "discard" and (begun := _discard(request, replay)):
                return begun
            sealed = seal_set(replay, extent_of(replay))
            problem = "" if replay.why or act == "weigh" else _("Say why these events are discarded.")
        others: dict[str, list[Value]] = {}
        looked = cause is not None and act in ("look", "propose")
        try:
            obeyed = current()
            hidden = hidden_in(request, obeyed.plan.items)
            problem = problem or _wrong_name(replay, obeyed.plan, hidden)
            if cause is not None and looked:
                try:
                    if remedy == "map" and hides_name:
                        raise NoRemedy(
                            _("A number or an address stands in this name, and a rule would show it. Whoever sees it whole can map it.")
                        )
                    choice = request.POST.get(f"choice-{remedy}", "")
                    chosen = _tag_of(request, choice) if remedy == "map" else choice
                    found, sealed = effect(remedy, chosen, replay, sample=TRIED), seal(replay, remedy, chosen, obeyed.release_id)
                    if act == "propose" and was_shown(request, sealed):
                        return self._propose(request, remedy, chosen, cause, replay, found)
                except NoRemedy as error:
                    problem, looked = str(error), False
            if act == "read" and cause is None and not problem and was_shown(request, seal(replay, obeyed.release_id)):
                return start(request, replay)
            if not looked:
                found, others = (
                    try_with_others(replay, values, request.POST, sample=TRIED, hidden=hidden)
                    if cause
                    else (preview(replay, sample=TRIED), {})
                )
                problem = problem or _wrong_name(replay, obeyed.plan, hidden)
                sealed = sealed or seal(replay, obeyed.release_id)
            if act == "read" and not problem and was_shown(request, sealed):
                return start(request, replay)
        except NoRelease:
            messages.error(request, _("No standard has been published yet. Publish one, then read held events again."))
            return HttpResponseRedirect(reverse("admin:ingestion_quarantinereason_changelist"))
        kind, options = choices_for(replay, replay.path, obeyed.plan, hidden)
        to_map = _tags_to_map(request) if may_propose and replay.code == "event.unknown" and not hides_name else []
        alike = matching_tags(replay.name or "", hidden=partial(hidden_in, request)) if to_map else []
        given = [(one["seen"], one["value"]) for one in replay.mends if one.get("path") == replay.path and "seen" in one]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Fix and replay"),
            "about": about(replay, shown),
            "replay": replay,
            "cause": cause,
            "may_ask": cause is not None and may_ask(request, of_cause(cause)),
            "back": back,
            "release": obeyed.version,
            "found": found,
            "percent": 100 * found.fixed // max(found.tried, 1),
            "reasons": [
                (title_for(code), code, shown(cause_words(code, where, found.one_of, hidden)), count)
                for code, where, count in found.reasons[:12]
            ],
            "why_none": shown(why_none(found, replay, hidden)) if looked or replay.mends else "",
            "worth_a_try": worth_a_try(found, request.POST.get("choice-map", "") if looked else "", replay, obeyed.plan, hidden),
            "tags": [(tag_shown(code, obeyed.plan, hidden), count) for code, count in found.tags.most_common(8)],
            # what is read of a value that the reader sees masked would tell of it
            "examples": [
                (seen, _read(replay, tag_shown(value, obeyed.plan, hidden) if replay.path == "event" else value, shown))
                for seen, value in found.examples
                if _sees(replay, seen, shown)
            ],
            "values": [_shown(request, replay, replay.path, value, shown) for value in _told_apart(values, shown)],
            "many_values": len(values) >= MOST_VALUES,
            "kind": kind,
            "options": options,
            "others": [
                _beside(request, replay, path, some, obeyed.plan, shown, hidden) | {"list": f"options-{number}"}
                for number, (path, some) in enumerate(others.items())
            ],
            "targets": [(f"attributes.{code}", code) for code in attributes_missing(replay, obeyed.plan)],
            "regions": sorted(phonenumbers.SUPPORTED_REGIONS) if request.POST.get("region") or _lack_region(replay, found) else [],
            "posted": request.POST,
            "pasted": pasted,
            "asked": bool(act),
            "tried": bool(replay.mends),
            "is_refused": bool(problem) and act in ("try", "read", "look", "propose"),
            "looked": remedy if looked else "",
            "leaving": leaving(request, replay, shown, sample=TRIED) if weighed else None,
            "shown": sealed,
            "was_else": act in ("read", "propose", "discard") and not was_shown(request, sealed),
            "problem": problem,
            "may": may,
            "remedies": [one for one in offered(replay, obeyed.plan) if one != "map" or not hides_name] if may_propose and cause else [],
            "suggestions": _suggested(replay, obeyed.plan, values, given, shown),
            "choices": {name: request.POST.get(f"choice-{name}", "") for name in REMEDIES},
            "alike": [one for one in alike if one.item.code in dict(to_map)],
            "tags_to_map": to_map,
        }
        return TemplateResponse(request, "ingestion/desk.html", context)

    def _propose(self, request: HttpRequest, remedy: str, chosen: str, cause: Cause, replay: Replay, found: Preview) -> HttpResponse:
        try:
            made = propose_change(remedy, chosen, cause, replay, found, by=cast(User, request.user))
        except NoRemedy as error:
            messages.error(request, str(error))
        except Exception as error:
            if (said := said_of(error, partial(hidden_in, request))) is None:
                raise
            messages.error(request, said)
        else:
            messages.success(request, _("The draft has the change, and this proposal asks for it. Look it through and submit it."))
            return HttpResponseRedirect(made.get_absolute_url())
        return HttpResponseRedirect(f"{request.path}?cause={cause.pk}")

    def table_view(self, request: HttpRequest, cause_id: int) -> HttpResponse:
        """The values seen of a cause, as a workbook to fill in; masked as on the page."""
        if not request.user.has_perms(["ingestion.view_quarantinereason", "ingestion.add_replay"]):
            raise PermissionDenied
        cause = get_object_or_404(of_sources_in(Cause.objects.all(), request), pk=cause_id)
        replay = Replay(source_id=cause.source_id, code=cause.code, path=cause.path, name=cause.name)
        shown = sight_in(request, of_cause(cause))
        values = values_seen(replay, most=MOST_IN_TABLE, events=SAMPLE)
        log_access(cast(User, request.user), AccessLog.Action.EXPORT, reason=f"held values of {of_cause(cause)}")
        rows = ((_seen(replay, replay.path, value.seen, shown) or "", value) for value in _told_apart(values, shown))
        answer = HttpResponse(workbook_of(rows), content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
        answer["Content-Disposition"] = f'attachment; filename="held-{cause.pk}.xlsx"'
        return answer

    def _asked(self, request: HttpRequest) -> tuple[Replay, str, Cause | None]:
        """The unsaved replay that the address asks for, the page it came from, and its cause if it is of one."""
        if (cause_id := number_or_none(request.GET.get("cause", ""))) is not None:
            cause = get_object_or_404(of_sources_in(Cause.objects.all(), request), pk=cause_id)
            replay = Replay(source_id=cause.source_id, code=cause.code, path=cause.path, name=cause.name)
            return replay, cause.get_absolute_url(), cause
        back = reverse("admin:ingestion_quarantinereason_changelist")
        if code := request.GET.get("source"):
            source = source_in(request, code)
            if source is None:
                raise Http404
            return Replay(source_id=source.pk, code=request.GET.get("code", "")), back, None
        return Replay(code=request.GET.get("code", "")), back, None

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        replay = self._replay(request, id_or_404(Replay, object_id))
        if request.method == "POST":
            if not _may_do(request, replay):
                raise PermissionDenied
            self._do(request, replay)
            return HttpResponseRedirect(request.path)
        may = _may_do(request, replay)
        context = {
            **self.admin_site.each_context(request),
            "title": _TITLES[replay.act],
            "opts": self.opts,
            "about": about(replay, shown_to(request.user)),
            "mended": _mended(request, replay),
            "event": Event.objects.filter(pk=replay.event_id).first() if replay.event_id else None,
            "may_stop": may and replay.status in _RUNNING,
            "may_go_on": may and _may_go_on(replay),
            "releases": [] if replay.status == Replay.Status.UNDOING else releases_for(replay),
            "may_undo": may and replay.status in (Replay.Status.FINISHED, Replay.Status.STOPPED) and _has_done(replay),
            **(_still_held(request, replay) if replay.held and replay.status not in _AT_WORK and not replay.is_of_past else {}),
            **_progress(replay),
        }
        return TemplateResponse(request, "ingestion/replay.html", context)

    def _do(self, request: HttpRequest, replay: Replay) -> None:
        act = request.POST.get("act", "")
        if act == "stop":
            stop(replay)
            messages.info(request, _("It stops after the events it is at."))
        elif act == "go_on" and replay.status == Replay.Status.UNDOING:
            queue_undo(replay.pk)
        elif act == "go_on" and _may_go_on(replay):
            with transaction.atomic():  # without its job it would wait for ever
                take_release(request, replay)
                go_on(replay)
                (read_past if replay.is_of_past else replay_held).defer(replay_id=str(replay.pk))
        elif act == "undo" and ask_undo(replay, by=cast(User, request.user)):
            if _reached(replay) > AT_ONCE:
                queue_undo(replay.pk)
                return
            said = (
                _("%(count)d events are read as they were.") if replay.is_of_past else _("%(count)d events are held again, as they were.")
            )
            messages.success(request, said % {"count": undo(replay.pk)})

    def progress_view(self, request: HttpRequest, replay_id: UUID) -> HttpResponse:
        """The part of the page that changes while it runs, as HTML in JSON."""
        shown = _progress(self._replay(request, replay_id))
        page = TemplateResponse(request, "ingestion/_replay.html", shown).render()
        return JsonResponse({"html": page.content.decode(), "done": shown["done"]})

    def _replay(self, request: HttpRequest, replay_id: UUID) -> Replay:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(self.get_queryset(request).select_related("source", "release", "started_by", "undone_by"), pk=replay_id)


def _mended(request: HttpRequest, replay: Replay) -> list[tuple[str, str | None, str | None]]:
    """What was put right, some of it: (where, what was seen there, None: anything, what was given)."""
    shown, plan = Sight.of(request.user), current().plan if replay.mends else None
    hidden = hidden_in(request, plan.items) if plan else set()

    def told(path: str, value: Any) -> str | None:
        return None if (seen := _seen(replay, path, value, shown)) is None else text_seen(seen)

    def given(path: str, value: Any) -> str | None:
        return tag_shown(value, plan, hidden) if path == "event" and plan else told(path, value)

    return [
        (shown(one["target"]), None if one.get("any") else told(one["path"], one.get("seen")) or "–", given(one["target"], one["value"]))
        for one in replay.mends[:_MENDS_SHOWN]
    ]


def _has_done(replay: Replay) -> bool:
    """Whether there is anything to take back: what it gave may have changed why others are held."""
    return bool(replay.fixed or replay.discarded or (replay.held and replay.mends))


def _reached(replay: Replay) -> int:
    """How many events it came to; taking it back touches no more."""
    return replay.fixed + replay.discarded + replay.held


def start(request: HttpRequest, replay: Replay, events: list[int] | None = None) -> HttpResponse:
    """Ask for an unsaved replay, of just these events where they are given, and show it."""
    replay.started_by = cast(User, request.user)
    ask(replay, events)
    replay_held.defer(replay_id=str(replay.pk))
    return HttpResponseRedirect(reverse("admin:ingestion_replay_change", args=[replay.pk]))


def _discard(request: HttpRequest, replay: Replay) -> HttpResponse | None:
    """Discard the very events that the page showed, where it says why; else nothing."""
    events = ids_up_to(replay, last_shown(request))
    is_shown = was_shown(request, seal_set(replay, Extent(max(events, default=0), len(events), sum(events))))
    return start(request, replay, events) if is_shown and replay.why else None


def _take_given(request: HttpRequest, replay: Replay, values: list[Value], shown: Sight, *, is_fillable: bool) -> tuple[str, str]:
    """Take what was posted, pasted and uploaded into the replay: (what is wrong with it, the rows to show again as pasted)."""
    pasted = request.POST.get("pasted", "")
    try:
        upload = request.FILES.get("table")
        table = table_of(upload.read(), upload.name or "") if upload else []
        known = values_seen(replay, most=MOST_IN_TABLE, events=SAMPLE) if is_fillable and (table or pasted) else values
        replay.mends, gone = mends_of(replay.path, known, request.POST, table, may_name=lambda seen: _sees(replay, seen, shown))
        if gone:
            messages.info(request, _("Rows passed over, as what they are of is not held any more: %(count)d.") % {"count": gone})
        kept = f"{pasted}\n" if pasted and table and not pasted.endswith("\n") else pasted
        return "", kept + as_pasted(table)  # a browser sends no file twice
    except TooMany:
        return _("More than %(most)d values are given. Let these events in by parts.") % {"most": MOST_IN_TABLE}, pasted
    except ValueError as error:
        said = _("This row has not two columns, what was sent and what is right: “%(line)s”.")
        return said % {"line": shown(str(error))[:80]}, pasted
    except UnreadableBook as error:
        return book_text(error.code, error.values), pasted


def _tags_to_map(request: HttpRequest) -> list[tuple[str, str]]:
    """The tags that the reader may read and sources may send: [(code, what it is called)]."""
    return [(one.code, one.label) for one in released_in(request, "tag") if one.definition["status"] == "active"]


def _tag_of(request: HttpRequest, code: str) -> str:
    """The id of the tag of a code, or that is called so in either language; "" for none said. Raises NoRemedy where there is no such."""
    name, tags = code.strip().lower(), released_in(request, "tag")
    found = [one for one in tags if one.code == name] or [one for one in tags if name in labels_of(one.definition)]
    if name and len(found) != 1:
        raise NoRemedy(_("There is no tag “%(name)s”. Choose the tag it means.") % {"name": code.strip()})
    return str(found[0].pk) if name else ""


def _wrong_name(replay: Replay, plan: Plan, hidden: Collection[str]) -> str:
    """Take tags by what they are called too; what is wrong where a name given is none, and then nothing is given."""
    replay.mends = settle_names(replay.mends, replay, plan, hidden)
    unknown = unknown_names(replay.mends, replay, plan, hidden)
    if not unknown:
        return ""
    replay.mends = []
    return _("“%(name)s”: no such tag, and no name that this source's rules know. Choose one of those offered.") % {"name": unknown[0]}


def _suggested(replay: Replay, plan: Plan, values: list[Value], given: list[tuple[str | None, str]], shown: Sight) -> list[tuple[str, int]]:
    """Transforms worth a try; what the reader sees masked makes none."""
    seen = [(value.seen, value.events) for value in values]
    open_ones = [(wrong, right) for wrong, right in given if _sees(replay, wrong, shown)]
    return suggestions(replay, plan, seen, open_ones)


def about(replay: Replay, shown: Any) -> str:
    """Which events, in words: "Web shop: Unknown event, “buy”"."""
    if replay.is_of_past:
        return about_past(replay)
    if replay.event_id:
        return _("%(source)s: %(what)s") % {"source": named("source", [replay.source_id])[replay.source_id], "what": _("one event alone")}
    parts = [title_for(replay.code) if replay.code else _("all that is held")]
    if replay.name:
        parts.append(_("“%(name)s”") % {"name": shown(replay.name)})
    if replay.path and replay.path not in ("event", "attributes"):
        parts.append(str(shown(replay.path)))
    source = named("source", [replay.source_id]).get(replay.source_id) or _("all sources")
    return _("%(source)s: %(what)s") % {"source": source, "what": _(", ").join(map(str, parts))}


def _beside(
    request: HttpRequest, replay: Replay, path: str, values: list[Value], plan: Plan, shown: Sight, hidden: Collection[str]
) -> dict[str, Any]:
    """A place that holds the same events too, with the values seen there."""
    kind, options = choices_for(replay, path, plan, hidden)
    return {
        "path": shown(path),
        "values": [_shown(request, replay, path, value, shown) for value in values],
        "kind": kind,
        "options": options,
    }


def _lack_region(replay: Replay, found: Preview) -> bool:
    """Whether a region would help some of the events."""
    return replay.code == "phone.region_unknown" or any(code == "phone.region_unknown" for code, _path, _seen in found.values)


def _told_apart(values: list[Value], shown: Sight) -> list[Value]:
    """What stands for one event tells of it by its message id, else by its row, as the reader may see them."""
    nameless = [bytes.fromhex(value.key) for value in values if value.key and not value.about]
    events = list(Event.objects.filter(key__in=nameless).select_related("batch")) if nameless else []
    rows = row_words(events, shown)
    said = {event.public_id: rows.get(event.pk, "") for event in events}
    return [replace(value, about=shown(value.about) or said.get(value.key, "")) for value in values]


def _shown(request: HttpRequest, replay: Replay, path: str, value: Value, shown: Sight) -> dict[str, Any]:
    """A value as this reader may see it, and what was posted for it."""
    seen = _seen(replay, path, value.seen, shown)
    given = request.POST.get(value.field, "")
    return {"seen": seen, "events": value.events, "field": value.field, "given": given, "key": value.key, "about": value.about}


def _read(replay: Replay, value: Any, shown: Sight) -> Any:
    """What is read where the cause is, as this reader may see it."""
    if replay.source_id is not None:
        value = shown.value(replay.path, value, replay.source_id)
    if is_money(value):
        return money(value["amount"], value["currency"])
    return value if isinstance(value, str | datetime) else text_seen(value)


def _sees(replay: Replay, seen: str | None, shown: Sight) -> bool:
    """Whether this reader sees it whole."""
    return _seen(replay, replay.path, seen, shown) == seen


def _seen(replay: Replay, path: str, seen: str | None, shown: Sight) -> str | None:
    return seen if replay.source_id is None else shown.value(path, seen, replay.source_id)


def _may_do(request: HttpRequest, replay: Replay) -> bool:
    return may_read_past(request) if replay.is_of_past else request.user.has_perm("ingestion.add_replay")


def _may_go_on(replay: Replay) -> bool:
    if replay.status == Replay.Status.UNDOING:
        return replay.finished_at is not None and replay.finished_at < timezone.now() - _MAY_GO_ON_AFTER and is_idle(replay.pk)
    stuck = replay.status == Replay.Status.RUNNING and is_idle(replay.pk)
    return replay.status in (Replay.Status.STOPPED, Replay.Status.FAILED) or stuck


def _still_held(request: HttpRequest, replay: Replay) -> dict[str, Any]:
    """What holds now what it left held, as this reader may see it."""
    shown = shown_to(request.user)
    causes = [(one, shown(one.path), shown(one.name), events) for one, events in why_held(replay)]
    sampled = WHY_OF if replay.held > WHY_OF else 0
    return {"causes": causes, "sampled": sampled, "may_open": request.user.has_perm("ingestion.view_quarantinereason")}


def _progress(replay: Replay) -> dict[str, Any]:
    done = replay.seen if replay.is_of_past else _reached(replay)
    in_all, over = replay.in_all, replay.status not in _AT_WORK
    if replay.status == Replay.Status.UNDOING:
        done, in_all = replay.seen, replay.to_undo
    return {
        "replay": replay,
        "done": over,
        "percent": 100 if replay.status in (Replay.Status.FINISHED, Replay.Status.UNDONE) else min(99, 100 * done // max(in_all, 1)),
        "ended": replay.status == Replay.Status.FINISHED,
    }


__all__ = ["Preview", "ReplayAdmin"]
