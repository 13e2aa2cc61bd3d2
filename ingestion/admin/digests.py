"""What somebody was told of the quarantine, and a source's months, as pages."""

from datetime import date, timedelta
from typing import Any, cast
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from ingestion.admin.health import duration_text
from ingestion.models import Digest
from ingestion.quarantine.causes import add_up
from ingestion.watching.digest import news_for
from ingestion.watching.scorecard import Scorecard, month_before, month_of, scorecards
from profiles.charts import stacked_bars
from staff.admin.pages import number_or_none
from staff.masking import shown_to
from staff.models import User
from taxonomy.request_rights import item_in, rights_in
from taxonomy.rights import reads_every_tag

MONTHS = 6


def digest_page(request: HttpRequest) -> HttpResponse:
    """One's own digest: the one asked for, else what is new since the last, or since yesterday."""
    add_up(timezone.now())
    person, now = cast(User, request.user), timezone.now()
    mine = Digest.objects.filter(user=person)
    if asked := number_or_none(request.GET.get("digest", "")):
        digest = get_object_or_404(mine, pk=asked)
        since, until = digest.since, digest.until
    else:
        last = mine.first()
        since, until = last.until if last else now - timedelta(days=1), now
    context = {
        "title": _("New in quarantine"),
        "news": news_for(person, since, until, shown=shown_to(person)),
        "since": since,
        "until": until,
        "earlier": mine.filter(news__gt=0, until__lt=until)[:10],
        "department": person.department,
    }
    return _render(request, "ingestion/digest.html", context)


def scorecard_page(request: HttpRequest, source_id: UUID) -> HttpResponse:
    """A source's month beside the one before, and how its months went."""
    source = item_in(request, "source", source_id)
    if source is None:
        raise Http404
    if not reads_every_tag(rights_in(request)):
        # verdicts are not parted by tag: they would tell of what the reader may not see
        raise PermissionDenied
    add_up(timezone.now())
    this = month_of(timezone.localdate(timezone=timezone.get_default_timezone()))
    month = _month(request.GET.get("month", ""), this)
    cards = scorecards(source, month, months=MONTHS, shown=shown_to(request.user))
    context = {
        "title": _("Scorecard of %(source)s") % {"source": source},
        "source": source,
        "card": cards[0],
        "before": cards[1],
        "fixed_after": [card.fixed_after and duration_text(card.fixed_after) for card in cards[:2]],
        "better": _difference(cards[0], cards[1]),
        "chart": _chart(cards) if any(card.judged for card in cards) else None,
        "running": month == this,
        "earlier": month_before(month),
        "later": month_before(month, -1) if month < this else None,
    }
    return _render(request, "ingestion/scorecard.html", context)


def _month(written: str, this: date) -> date:
    """The month of "2026-10", this one for nonsense, the future, or times before there were computers."""
    try:
        found = date.fromisoformat(f"{written}-01")
    except ValueError:
        return this
    return found if date(1990, 1, 1) <= found <= this else this


def _difference(card: Scorecard, before: Scorecard) -> float | None:
    """Percentage points of conformity, against the month before."""
    if card.conformity is None or before.conformity is None:
        return None
    return card.conformity - before.conformity


def _chart(cards: list[Scorecard]) -> Any:
    months = list(reversed(cards))
    labels = {"accepted": _("accepted"), "quarantined": _("quarantined"), "refused": _("refused")}
    values = {label: [getattr(card, name) for card in months] for name, label in labels.items()}
    return stacked_bars([f"{card.month:%Y-%m}" for card in months], values, other=_("others"), as_given=True)


def _render(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    request.current_app = admin.site.name  # type: ignore[attr-defined]
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context})
