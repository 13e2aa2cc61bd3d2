"""A proposal tried on recent events: a part of its page."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from ingestion.ranked import most_first
from ingestion.trial import OUTCOMES, Difference, Trial, try_plan
from staff.masking import shown_to
from taxonomy.definition import Items
from taxonomy.models import Proposal, Source
from taxonomy.places import cause_words
from taxonomy.problems import plan_problem
from taxonomy.proposals.propose import proposed
from taxonomy.publish import company_day, items_of, newest
from taxonomy.released import named
from taxonomy.request_rights import hidden_in, names_shown, proposals_shown, rights_in, sources_in, sources_offered_in
from taxonomy.standardize import CODES, check_plan, compile_plan
from taxonomy.violations import title_for

_OUTCOMES = {
    "held": (_("newly held"), _("Accepted now; this would hold them.")),
    "let_in": (_("newly accepted"), _("Held now; this would let them in.")),
    "watched": (_("held from its day on"), _("Only watched so far; from the day it is enforced this would hold them.")),
    "held_otherwise": (_("still held, otherwise"), _("Held before and after, for other reasons.")),
    "otherwise": (_("read otherwise"), _("Accepted before and after, with another tag or other values.")),
}
_COMPARED = {
    "tag": _("tag"), "attributes": _("attributes"), "extra": _("unplanned attributes"), "refinements": _("refinements"),
    "subject": _("whom it is about"), "occurred_at": _("time"), "identifiers": _("identifiers"),
}  # fmt: skip


class TrialForm(forms.Form):
    """Which events a plan is tried on: days of the company, both included, and sources, none for all."""

    first = forms.DateField(label=pgettext_lazy("a day", "from"))
    last = forms.DateField(label=pgettext_lazy("a day", "to"))
    sources = forms.ModelMultipleChoiceField(Source.objects.none(), label=_("sources"), required=False)

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.POST)
        self.fields["sources"].queryset = sources_offered_in(request)  # type: ignore[attr-defined]

    def clean(self) -> None:
        first, last = self.cleaned_data.get("first"), self.cleaned_data.get("last")
        if first and last and first > last:
            raise forms.ValidationError(gettext("The first day comes after the last. Choose them the other way round."))

    @property
    def problems(self) -> list[str]:
        return [
            f"{self.fields[name].label}: {one}" if name in self.fields else str(one) for name, some in self.errors.items() for one in some
        ]

    @property
    def times(self) -> tuple[datetime, datetime]:
        """From the first moment of the first day to the first after the last."""
        zone = timezone.get_default_timezone()
        first, last = self.cleaned_data["first"], self.cleaned_data["last"] + timedelta(days=1)
        return datetime.combine(first, time(), zone), datetime.combine(last, time(), zone)


@require_POST
@permission_required(["taxonomy.view_proposal", "ingestion.view_quarantinereason"], raise_exception=True)
def trial(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """Both plans over the days and sources chosen: an HTML fragment."""
    proposal = get_object_or_404(proposals_shown(Proposal.objects.all(), request), pk=proposal_id)
    form = TrialForm(request)
    if not form.is_valid():
        return render(request, "ingestion/_trial.html", {"problems": form.problems})
    chosen = list(form.cleaned_data["sources"])
    among = chosen or (list(sources_in(request)) if rights_in(request).limited else None)
    before = items_of(newest())
    after = proposed(proposal, before)
    hidden = hidden_in(request, before, after)
    names = names_shown(before | after, hidden)
    context: dict[str, Any] = {"problems": [plan_problem(one, names) for one in check_plan(after)], "chosen": chosen}
    if not context["problems"]:
        sources = None if among is None else [one.pk for one in among]
        since, until = form.times
        done = try_plan(compile_plan(before), compile_plan(after), since=since, until=until, today=company_day(), sources=sources)
        done.differences = _readable(done.differences, before | after, hidden)
        concerned = _tags_of(proposal, before, after) - hidden
        absent = sorted(names[tag]["code"] for tag in concerned if names[tag]["code"] not in done.tags)
        context |= {"absent": absent, "none_concerned": bool(concerned) and len(absent) == len(concerned)}
        context |= {
            "trial": done,
            "groups": _groups(done, shown_to(request.user), hidden),
            "may_open": request.user.has_perm("profiles.view_event"),
        }
    return render(request, "ingestion/_trial.html", context)


def _tags_of(proposal: Proposal, *plans: Items) -> set[str]:
    """The tags that a proposal is about: those it changes, those of its rules, those that use its attributes."""
    changed = {str(item) for item in proposal.items.values_list("item", flat=True)}
    found: set[str] = set()
    for plan in plans:
        for item, one in plan.items():
            if one["kind"] == "tag" and (item in changed or any(use["attribute"] in changed for use in one.get("attributes") or [])):
                found.add(item)
            elif one["kind"] == "rule" and item in changed:
                found.add(one["tag"])
    return found


def _readable(differences: list[Difference], names: Items, hidden: set[str]) -> list[Difference]:
    """Without what is about sources or tags that the reader may not read."""
    codes = {names[item]["code"] for item in hidden if names[item]["kind"] == "tag"}
    return [one for one in differences if one.source not in hidden and not {one.before, one.after} & codes]


def _groups(done: Trial, shown: Callable[[str], str], hidden: set[str]) -> list[dict[str, Any]]:
    labels = {str(one.pk): one.label for one in named("source", {UUID(one.source) for one in done.differences}).values()}
    return [
        {
            "outcome": outcome,
            "label": _OUTCOMES[outcome][0],
            "lead": _OUTCOMES[outcome][1],
            "count": done.count(outcome),
            "rows": [
                {
                    "source": labels.get(one.source, one.source),
                    "before": one.before,
                    "after": one.after,
                    "count": one.count,
                    "reasons": [(shown(_reason(reason, one, hidden)), count) for reason, count in most_first(one.reasons)[:3]],
                    "examples": one.examples,
                }
                for one in done.differences
                if one.outcome == outcome
            ],
        }
        for outcome in OUTCOMES
    ]


def _reason(reason: str, of: Difference, hidden: set[str]) -> str:
    code, _space, path = reason.partition(" ")
    return f"{title_for(code)} {cause_words(code, path, of.one_of, hidden)}".strip() if code in CODES else str(_COMPARED[code])
