"""Reading the past anew: choose it, see what that would change, say why."""

from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from ingestion.accepted.past import Preview, ask_past, preview_past
from ingestion.admin.shown import seal, was_shown
from ingestion.admin.takeback import RIGHT as TAKE_BACK
from ingestion.admin.takeback import Moment
from ingestion.jobs import read_past
from ingestion.models import Replay
from ingestion.ranked import most_first
from profiles.models import Event
from profiles.page import kind_label
from profiles.readable import Readable, readable_to
from profiles.sight import Sight
from profiles.timeline import holder_of
from profiles.told import attributes_told, value_told
from staff.access import log_access
from staff.masking import mask_identifier, shown_to
from staff.models import AccessLog, User
from taxonomy.admin.live import LiveChoiceField
from taxonomy.current import NoRelease, current
from taxonomy.models import Source, Tag
from taxonomy.places import cause_words
from taxonomy.released import named
from taxonomy.request_rights import hidden_in, item_in, rights_in, sources_in
from taxonomy.rights import among
from taxonomy.violations import title_for

WHAT = {
    "tag_id": _("tag"), "attributes": _("attributes"), "extra": _("unplanned attributes"), "subject_id": _("whom it is about"),
    "occurred_at": _("time"), "identifiers": _("identifiers"), "refinements": _("refinements"),
}  # fmt: skip
_MOST = 12
_HIDDEN = _("(not shown to you)")
# (what it is called, before, after)
Row = tuple[Any, str, str]


class PastForm(forms.Form):
    source = LiveChoiceField(Source.objects.none(), label=_("Source"), widget=UnfoldAdminSelectWidget)
    tag = LiveChoiceField(
        Tag.objects.none(), label=_("Tag"), required=False, widget=UnfoldAdminSelectWidget,
        help_text=_("Only events that are read as this tag now. Empty: all of the source."),
    )  # fmt: skip
    since = Moment(_("Received from"))
    until = Moment(_("Received before"))
    why = forms.CharField(
        label=_("Why"), required=False, max_length=300, widget=UnfoldAdminTextInputWidget, help_text=_("It stays with it, with your name.")
    )

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.POST or None, initial={name: request.GET.get(name) for name in ("source", "tag")})
        self.act = request.POST.get("act", "")
        for name, rows in {"source": sources_in(request), "tag": among(Tag.objects.order_by("code"), rights_in(request))}.items():
            self.fields[name].queryset = rows  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since >= until:
            self.add_error("until", _("This is not after the time above. Choose a later one."))
        if self.act == "read" and not (cleaned.get("why") or "").strip():
            self.add_error("why", _("Say why: it stays with it."))
        return cleaned


def may_read_past(request: HttpRequest) -> bool:
    """It changes what counts, as taking back does."""
    return bool(request.user.has_perms(["ingestion.view_replay", "ingestion.add_replay", TAKE_BACK]))


def past_page(request: HttpRequest, *, site: AdminSite, opts: Any) -> HttpResponse:
    if not may_read_past(request):
        raise PermissionDenied
    form = PastForm(request)
    found: Preview | None = None
    release = sealed = ""
    is_whole = request.method == "POST" and form.is_valid()
    if is_whole or form.errors.keys() == {"why"}:
        replay = Replay(**{"why": "", **form.cleaned_data}, started_by=cast(User, request.user))
        try:
            sealed = seal(replay, current().release_id)
            if is_whole and form.act == "read" and was_shown(request, sealed):
                ask_past(replay)
                read_past.defer(replay_id=str(replay.pk))
                return HttpResponseRedirect(reverse("admin:ingestion_replay_change", args=[replay.pk]))
            found, release = preview_past(replay), current().version
        except NoRelease:
            form.add_error(None, _("No standard has been published yet. Publish one first."))
    context = {
        "title": _("Read the past anew"),
        "opts": opts,
        "form": form,
        "found": found,
        "release": release,
        "shown": sealed,
        "was_else": form.act == "read" and bool(found) and not was_shown(request, sealed),
        **(_readable(request, found) if found else {}),
    }
    return TemplateResponse(request, "ingestion/past.html", {**site.each_context(request), **context})


def _readable(request: HttpRequest, found: Preview) -> dict[str, Any]:
    shown, hidden = shown_to(request.user), hidden_in(request, current().plan.items)
    tags = {one: _tag(request, one) for pair in found.tags for one in pair}
    return {
        "tags": [(tags[before], tags[after], count) for (before, after), count in found.tags.most_common(_MOST)],
        "what": [(WHAT[column], count) for column, count in found.what.most_common()],
        "reasons": [
            (title_for(code), shown(cause_words(code, path, found.one_of, hidden)), count)
            for (code, path), count in most_first(found.causes)[:_MOST]
        ],
        "examples": _examples(request, found),
    }


def _examples(request: HttpRequest, found: Preview) -> list[tuple[str, list[Row]]]:
    """What some events say otherwise, by their public ids; to who may not see customers, no more than what differs.

    Whose events are shown is recorded, as on an event's own page.
    """
    if not request.user.has_perm("profiles.view_customer"):
        return [
            (before.public_id, [(WHAT[column], str(_HIDDEN), str(_HIDDEN)) for column in one.what]) for one, before, _ in found.examples
        ]
    person = cast(User, request.user)
    readable, sight = readable_to(person), Sight.of(person)
    shown = []
    for one, before, after in found.examples:
        may = readable is None or {before.tag_id, after.tag_id} <= readable.tags
        if may:
            holder = holder_of(bytes(before.key))
            customer = holder.public_id if holder else None
            log_access(person, AccessLog.Action.ORIGINAL, customer=customer, reason=f"event {before.public_id}")
        shown.append((before.public_id, _differing(request, sight, readable, one.what, before, after, may=may)))
    return shown


def _differing(
    request: HttpRequest, sight: Sight, readable: Readable | None, what: list[str], before: Event, after: Event, *, may: bool
) -> list[Row]:
    """What two readings of an event say otherwise, as the reader may see it. `may`: read the tags of both; else no more than what differs."""
    found: list[Row] = []
    for column in what:
        sides = [_told(request, sight, readable, column, one, other) for one, other in ((before, after), (after, before))]
        rows = {name: label for side in sides for name, (label, _value) in side.items()} if may or column == "tag_id" else {}
        found += [(label, *(side[name][1] if name in side else "" for side in sides)) for name, label in rows.items()] or [
            (WHAT[column], str(_HIDDEN), str(_HIDDEN))
        ]
    return found


def _told(
    request: HttpRequest, sight: Sight, readable: Readable | None, column: str, one: Event, other: Event
) -> dict[str, tuple[Any, str]]:
    """What a reading says in a column otherwise than another: {name: (what it is called, its value)}."""
    match column:
        case "tag_id":
            return {column: (WHAT[column], _tag(request, str(one.tag_id) if one.tag_id else None))}
        case "occurred_at":
            return {column: (WHAT[column], f"{localtime(one.occurred_at):%Y-%m-%d %H:%M:%S}" if one.occurred_at else "")}
        case "subject_id":
            whom = one.subject
            return {column: (WHAT[column], f"{kind_label(whom.kind)} {_identifier(sight, whom.kind, whom.value)}" if whom else "")}
        case "refinements":
            return {column: (WHAT[column], ", ".join(sight.refinements(one)))}
    mine, theirs = getattr(one, column) or {}, getattr(other, column) or {}
    names = [name for name in mine if name not in theirs or value_told(mine[name]) != value_told(theirs[name])]
    if column == "identifiers":
        return {kind: (kind_label(kind), _identifier(sight, kind, mine[kind])) for kind in names}
    values = {name: mine[name] for name in names}
    if column == "extra":
        told = attributes_told(sight.record(values, one), sight, readable=readable)
        return {name: (f"{label} ({WHAT[column]})", value) for name, (label, value) in told.items()}
    return attributes_told(values, sight, readable=readable)


def _identifier(sight: Sight, kind: str, value: Any) -> str:
    return str(value) if sight.unmasked else mask_identifier(kind, str(value))


def _tag(request: HttpRequest, uuid: str | None) -> str:
    tag = item_in(request, "tag", UUID(uuid)) if uuid else None
    return str(tag.label) if tag else str(_HIDDEN)


def about_past(replay: Replay) -> str:
    """Which events, in words."""
    source, tag = named("source", [replay.source_id]).get(replay.source_id), named("tag", [replay.tag_id]).get(replay.tag_id)
    parts = [source.label if source else "–", *([tag.label] if tag else [])]
    parts += [f"{label} {date_format(localtime(at), 'SHORT_DATETIME_FORMAT')}" for label, at in ((_("received from"), replay.since), (_("received before"), replay.until)) if at]  # fmt: skip
    return ", ".join(map(str, parts))
