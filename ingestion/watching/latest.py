"""What arrived last, of one source or of all: each event with its verdict and reasons, as one reader may see it."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ingestion.models import FailedRequest
from ingestion.request_codes import WORDS
from profiles.models import Event, Tally
from profiles.sight import Sight
from taxonomy.models import Source
from taxonomy.released import Named, named
from taxonomy.standardize import LIMITS
from taxonomy.standardize.keys import message_key
from taxonomy.violations import is_blocking, message_for, title_for

VERDICTS = ("accepted", "quarantined", "duplicate", "refused")
# On the page of the latest events, and below the code of one source.
SHOWN, FEW = 50, 10
# Deliveries looked through for a verdict: enough for days of most sources, few enough to answer every two seconds.
LOOKED_THROUGH = 2_000
_FAILED_HOURS = timedelta(hours=2)
_PUBLIC_ID = re.compile("[0-9a-fA-F]{32}")
# Ids of sources, or the sources; None: all.
Of = Collection[UUID] | QuerySet[Source] | None
_EVENT_OF = {"accepted": Event.Standing.COUNTED, "quarantined": Event.Standing.HELD}
_VERDICT_OF = {standing: verdict for verdict, standing in _EVENT_OF.items()}


@dataclass(frozen=True, slots=True)
class Line:
    """One event, or (`count`) several of a delivery that are told together: duplicates, refused ones, the rest of many.

    `state`: said instead of the verdict when the event has been mended, taken back or the like. `holding`: (title, sentence) of
    each reason that holds it; `notes`: titles of the rest.
    """

    received_at: datetime
    source: Named | None
    verdict: str
    event: Event | None = None
    name: str = ""
    tag: Named | None = None
    state: str = ""
    changed: bool = False
    holding: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    url: str = ""
    count: int = 0
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Reader:
    """What somebody may see: how events are shown to them, the tags hidden from them, and which pages they may open."""

    sight: Sight = field(default_factory=lambda: Sight(unmasked=True))
    hidden_tags: Collection[UUID] = frozenset()
    may_open_accepted: bool = True
    may_open_held: bool = True


def latest(sources: Of, verdict: str, reader: Reader, limit: int = SHOWN) -> list[Line]:
    """The newest lines first. `sources`: only theirs, None: all; `verdict`: only of this, "": any. Two queries."""
    deliveries = _deliveries(sources, verdict, limit)
    wanted = [one for delivery in deliveries for one in delivery.newest or ()]
    events = Event.objects.in_bulk(wanted)
    sources_named = named("source", (one.source_id for one in deliveries))
    tags = named("tag", (one.tag_id for one in events.values()))
    lines: list[Line] = []
    for delivery in deliveries:
        if len(lines) >= limit:
            break
        of_it = [events[one] for one in reversed(delivery.newest or ()) if one in events]
        source = sources_named[delivery.source_id]
        told = [_event_line(one, source, tags.get(one.tag_id), reader) for one in of_it]
        told = [one for one in told if verdict in ("", one.verdict)]
        lines += [*told, *_counted(delivery, source, verdict, [_first_verdict(one) for one in of_it])]
    return lines[:limit]


def with_id(sources: Of, text: str, verdict: str, reader: Reader) -> list[Line]:
    """The events that were sent with this id, or have it as their event_id: of each source one at the most. Two queries."""
    if not 0 < len(text) <= LIMITS.message_id_characters:
        return []
    known = Source.every.all() if sources is None else sources
    ids = list(known.values_list("pk", flat=True)) if isinstance(known, QuerySet) else known
    wanted = [message_key(str(one), text) for one in ids] + ([bytes.fromhex(text)] if _PUBLIC_ID.fullmatch(text) else [])
    events = list(Event.objects.filter(key__in=wanted, source__in=ids).order_by("-received_at", "-id"))
    sources_named = named("source", (one.source_id for one in events))
    tags = named("tag", (one.tag_id for one in events))
    told = [_event_line(one, sources_named[one.source_id], tags.get(one.tag_id), reader) for one in events]
    return [one for one in told if verdict in ("", one.verdict)]


def _deliveries(sources: Of, verdict: str, limit: int) -> list[Tally]:
    found = Tally.objects.order_by("-received_at", "-id")
    if sources is not None:
        found = found.filter(source__in=sources)
    if verdict:
        newest = found.values("pk")[:LOOKED_THROUGH]
        found = found.filter(pk__in=newest, **{f"{verdict}__gt": 0})
    return list(found[:limit])


def _event_line(event: Event, source: Named, tag: Named | None, reader: Reader) -> Line:
    verdict = _VERDICT_OF.get(event.standing, "")  # type: ignore[call-overload]
    state = "" if verdict else event.get_standing_display()
    if event.tag_id in reader.hidden_tags:
        return Line(event.received_at, source, verdict, name=_("(not shown to you)"), state=state)
    report = event.report or {}
    violations = report.get("violations", [])
    held = verdict == "quarantined"
    url = ""
    if held and reader.may_open_held:
        url = reverse("admin:quarantine_event", args=[event.public_id])
    elif verdict == "accepted" and event.subject_id and reader.may_open_accepted:
        url = reverse("event", args=[event.public_id])
    return Line(
        event.received_at, source, verdict, event, reader.sight(event.name or ""), tag, state, verdict == "accepted" and bool(report.get("changes")),
        [(title_for(one["code"]), reader.sight.sentence(one, event.source_id)) for one in violations if is_blocking(one)],
        list(dict.fromkeys(title_for(one["code"]) for one in violations if not is_blocking(one))), url,
    )  # fmt: skip


def _first_verdict(event: Event) -> str:
    return "quarantined" if any(is_blocking(one) for one in (event.report or {}).get("violations", [])) else "accepted"


def _counted(delivery: Tally, source: Named, verdict: str, told: list[str]) -> list[Line]:
    """What a delivery held besides the events that are told of, whose first verdicts these are."""
    lines = []
    rest = sum(getattr(delivery, one) - told.count(one) for one in _EVENT_OF if verdict in ("", one))
    if rest > 0:
        sentence = ngettext("and %(count)s more event of this delivery", "and %(count)s more events of this delivery", rest) % {
            "count": rest
        }
        lines.append(Line(delivery.received_at, source, "", count=rest, sentence=sentence))
    if delivery.duplicate and verdict in ("", "duplicate"):
        sentence = ngettext("Sent before: its id is known, nothing was stored again.", "Sent before: their ids are known, nothing was stored again.", delivery.duplicate)  # fmt: skip
        lines.append(Line(delivery.received_at, source, "duplicate", count=delivery.duplicate, sentence=sentence))
    if delivery.refused and verdict in ("", "refused"):
        causes = [(title_for(code), message_for({"code": code})) for code in delivery.refused_causes or {}]
        lines.append(Line(delivery.received_at, source, "refused", count=delivery.refused, holding=causes))
    return lines


@dataclass(frozen=True, slots=True)
class Failed:
    """Requests of an hour that failed as a whole. `source` None: their key was none of ours, so nobody knows whose they were."""

    source: Named | None
    cause: str
    title: str
    sentence: str
    count: int
    hour: datetime


def failed_lately(sources: Of, now: datetime) -> list[Failed]:
    """Of the last two hours, the newest first, with those of nobody's. One query."""
    found = FailedRequest.objects.filter(hour__gte=now - _FAILED_HOURS).order_by("-hour", "cause", "source_id")
    if sources is not None:
        found = found.filter(Q(source__in=sources) | Q(source=None))
    rows = list(found[:20])
    names = named("source", (one.source_id for one in rows))
    return [
        Failed(names.get(one.source_id), one.cause, *_words(one.cause), one.count, one.hour)
        for one in rows
    ]  # fmt: skip


def _words(cause: str) -> tuple[str, str]:
    """Title and what to do next."""
    if cause not in WORDS:
        return cause, ""
    title, happened, _expected, next_step = WORDS[cause]
    return str(title), f"{happened} {next_step}"
