"""From a change to a release: what is not released, and the page of a proposal."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display

from staff.admin.pages import Unalterable, id_or_404, number_or_none
from staff.models import User
from taxonomy.admin.shown import deleted_lately, deleted_of, edit_forms, histories, page_of, shown_changes, shown_effects
from taxonomy.check_words import finding_text
from taxonomy.current import known_items
from taxonomy.definition import Items, draft_items
from taxonomy.diff import title
from taxonomy.history import last_saves, last_states, with_places
from taxonomy.models import Proposal, Release, Revision, Tag, Vote
from taxonomy.problems import plan_problem
from taxonomy.proposals.authors import author_ids, names_of, saves_of, saves_since
from taxonomy.proposals.comment import Remark, comment, who_may_be_told
from taxonomy.proposals.concern_words import REASONS
from taxonomy.proposals.propose import (
    EDITABLE,
    add_items,
    describe,
    discard,
    drop_item,
    join,
    open_proposals,
    propose,
    proposed,
    pull_back,
    sides,
    submit,
    withdraw,
)
from taxonomy.proposals.refused import said_of
from taxonomy.proposals.review import (
    NotAllowed,
    Seat,
    Standing,
    emergency_release,
    release_proposal,
    releasers,
    releases_waiting_for,
    retired_but_sent,
    seen_of,
    standing_between,
    vote,
    waiting_for,
)
from taxonomy.proposals.senders import native_senders
from taxonomy.proposals.stuck import ADD_MEMBER, NAME_DEPUTY, stuck_seats
from taxonomy.proposals.tell import follow
from taxonomy.proposals.verdict import judge, next_version
from taxonomy.proposals.verdict_words import level_shown
from taxonomy.publish import ItemChange, changes_between, company_day, items_of, newest, unreleased
from taxonomy.request_rights import hidden_in, names_shown, proposals_shown, rights_in, sources_offered_in
from taxonomy.rights import May, On
from taxonomy.standardize import check_plan
from taxonomy.weigh import weigh_change

# of the items for which a department is asked, as many are named
_NAMED = 20
_STATES = {
    "draft": "info", "in_review": "warning", "changes_requested": "danger", "approved": "success", "released": "success", "withdrawn": "default",
}  # fmt: skip


class ProposalForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Proposal
        fields = ["title", "why", "links", "retire_reason"]

    def clean_links(self) -> str:
        """What a page would not show as a link is refused rather than kept unseen."""
        links = [line.strip() for line in self.cleaned_data["links"].splitlines() if line.strip()]
        if other := [line for line in links if not _is_link(line)]:
            said = _("“%(line)s” is no web address. Write it in full, beginning with https:// or http://, one a line.")
            raise forms.ValidationError([said % {"line": line[:80]} for line in other[:5]])
        return "\n".join(links)


def _is_link(line: str) -> bool:
    """Whether it is an address of the web, and nothing else, such as a script."""
    try:
        parts = urlsplit(line)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not any(one.isspace() for one in line)


class Unsaved(Exception):
    """Title and reasons cannot be saved as written: `form` says why."""

    def __init__(self, form: ProposalForm) -> None:
        super().__init__(", ".join(form.errors))
        self.form = form


@admin.register(Proposal)
class ProposalAdmin(Unalterable, ModelAdmin):
    when_empty = gettext_lazy(
        "A proposal takes changes of the standard to those who sign them. Change a tag or a rule first, then propose it under "
        "“Unreleased changes”."
    )
    list_display = ["title", "shown_state", "author", "item_count", "submitted_at", "release"]
    list_filter = ["state", "author__department"]
    list_select_related = ["author", "release"]
    search_fields = ["title", "why"]
    change_list_template = "taxonomy/proposals.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Proposal]:
        proposals = super().get_queryset(request).defer("release__snapshot").annotate(number_of_items=Count("items"))
        return proposals_shown(proposals, request)

    def get_urls(self) -> list[URLPattern]:
        # They say what went wrong in this module's words.
        from taxonomy.admin.formats import formats_urls

        view = self.admin_site.admin_view
        return [
            *formats_urls(self),
            path("unreleased/", view(self.unreleased_view), name="taxonomy_proposal_unreleased"),
            path("follow/<uuid:item>/", view(self.follow_view), name="taxonomy_proposal_follow"),
            path("<int:object_id>/act/", view(self.act_view), name="taxonomy_proposal_act"),
            path("<int:object_id>/checks/", view(self.checks_view), name="taxonomy_proposal_checks"),
            *super().get_urls(),
        ]

    @display(description=gettext_lazy("state"), ordering="state", label=_STATES)
    def shown_state(self, proposal: Proposal) -> tuple[str, str]:
        return proposal.state, proposal.get_state_display()

    @admin.display(description=gettext_lazy("items"), ordering="number_of_items")
    def item_count(self, proposal: Any) -> int:
        return int(proposal.number_of_items)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**waiting_in(request), **(extra_context or {})})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(reverse("admin:taxonomy_proposal_unreleased"))

    def unreleased_view(self, request: HttpRequest) -> HttpResponse:
        """Everything that differs from the current release, by whom; picked into a proposal, or discarded."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = ProposalForm(request.POST if request.POST.get("act") == "propose" else None)
        if request.method == "POST":
            if not self.has_add_permission(request):
                raise PermissionDenied
            made = self._pick(request, form)
            if made is not None:
                return HttpResponseRedirect(made)
        current = newest()
        released, draft = known_items(current), draft_items()
        hidden = hidden_in(request, released, draft)
        changes = [change for change in changes_between(released, draft) if change.item not in hidden]
        names = names_shown(released | draft, hidden)
        asked = request.GET.get("item", "")
        page = page_of(changes, names, request.GET.get("page"), holding=asked)
        items = [change.item for change in page]
        in_proposals = open_proposals(items)
        mine_to_change = self._theirs(request, items, released, draft)
        outside = {item: item not in mine_to_change for item in items}
        mine = Proposal.objects.open().filter(author=_person(request), state__in=("draft", "changes_requested"))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Unreleased changes"),
            "opts": self.opts,
            "current": current,
            "groups": shown_changes(
                page,
                names,
                judge(released, draft, on=company_day()),
                last=last_saves(items),
                savers=_savers(saves_since({item: released.get(item) for item in items})),
                proposal=in_proposals,
                outside=outside,
                history=histories(request, page),
                edit=edit_forms(request, [one for one in page if one.item not in in_proposals or not in_proposals[one.item].is_locked]),
            ),
            "deleted": deleted_lately(request, released, draft, names),
            "page": page,
            "may_propose": self.has_add_permission(request),
            "form": form,
            "mine": mine,
            "chosen": set(request.POST.getlist("items") if request.method == "POST" else [asked]),
        }
        return TemplateResponse(request, "taxonomy/unreleased.html", context)

    def _pick(self, request: HttpRequest, form: ProposalForm) -> str | None:
        """Do what was asked with the ticked items; where to go then, None to show the page again."""
        items, by = [str(id_or_404(Tag, one)) for one in request.POST.getlist("items")], _person(request)
        if request.POST.get("all"):
            items = self._theirs(request, [change.item for change in unreleased()], items_of(newest()), draft_items())
            held = open_proposals(items)
            items = [item for item in items if item not in held]
        if not items:
            messages.warning(request, _("Tick at least one change."))
            return None
        try:
            match request.POST.get("act"):
                case "discard":
                    discard(items, by=by, why=_("discarded"))
                    messages.success(request, _("The draft is as released again for what was ticked."))
                    return reverse("admin:taxonomy_proposal_unreleased")
                case "add":
                    proposal = get_object_or_404(self.get_queryset(request), pk=number_or_none(request.POST.get("to", "")))
                    add_items(proposal, items, by=by)
                    return proposal.get_absolute_url()
                case _ if form.is_valid():
                    return propose(items, by=by, **form.cleaned_data).get_absolute_url()
        except Exception as error:
            if (said := said_of(error, partial(hidden_in, request))) is None:
                raise
            messages.error(request, said)
        return None

    def _theirs(self, request: HttpRequest, items: list[str], *plans: Items) -> list[str]:
        """Those of these items that grants let the person change."""
        sides = [On(rights_in(request), plan) for plan in plans]
        return [item for item in items if all(on.may(May.PROPOSE, item) for on in sides)]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        proposals = self.get_queryset(request).select_related("author").prefetch_related("items", "co_authors")
        return self._page(request, get_object_or_404(proposals, pk=id_or_404(Proposal, object_id)), None)

    def _page(self, request: HttpRequest, proposal: Proposal, form: ProposalForm | None) -> HttpResponse:
        """The proposal's page. `form`: what was written for its title and reasons, where that could not be saved."""
        current = newest()
        if proposal.release_id:
            made = Release.objects.get(pk=proposal.release_id)
            released = items_of(Release.objects.filter(pk__lt=made.pk).order_by("-id").first())
        else:
            released = known_items(current)
        before, after = sides(proposal, released)
        rows = {str(one.item): one for one in proposal.items.all()}
        deleted = [one for item, one in rows.items() if item not in before and item not in after]
        last = with_places(last_states(str(one.item) for one in deleted), before, after)
        hidden = hidden_in(request, *([] if before is released else [released]), before, after, before | after | last)
        names = names_shown(before | after | last, hidden)
        changes = [
            ItemChange(item, before.get(item), after.get(item)) for item in rows if item not in hidden and (item in before or item in after)
        ]
        person, saves = _person(request), saves_of(proposal)
        written_by = author_ids(proposal, saves)
        authors = list(User.objects.filter(pk__in=written_by))
        comments: dict[str, list[Any]] = {}
        for one in proposal.comments.select_related("by"):
            comments.setdefault(str(one.item) if one.item else "", []).append(one)
        on = Release.objects.get(pk=proposal.release_id).day if proposal.release_id else company_day()
        verdict = judge(before, after, on=on)
        senders = native_senders(before, after, verdict.by_item, on=on)
        signed = standing_between(proposal, before, after, verdict, senders, written_by) if proposal.is_open else Standing(verdict)
        page = page_of(changes, names, request.GET.get("page"))
        mine = _to_sign(signed, person) if proposal.is_locked else []
        typed = request.POST if request.POST.get("act") == "vote" else {}
        forms_to_edit = edit_forms(request, page) if proposal.is_open and not proposal.is_locked else {}
        context = {
            **self.admin_site.each_context(request),
            "title": proposal.title,
            "opts": self.opts,
            "proposal": proposal,
            "authors": authors,
            "is_author": person in authors,
            "is_editable": person in authors and proposal.state in EDITABLE,
            "has_approvals": proposal.votes.filter(stands=True, choice=Vote.Choice.APPROVE).exists(),
            "retired": _retired(proposal, before, after, names, hidden),
            "colleagues": who_may_be_told(),
            **level_shown(verdict.level, verdict.breaks_from),
            "version": next_version(current.version if current else None, verdict.level) if proposal.is_open else "",
            "groups": shown_changes(page, names, verdict, comments=comments, savers=_savers(saves), edit=forms_to_edit),
            "releasers": releasers(proposal) if proposal.state == Proposal.State.APPROVED else [],
            "page": page,
            "deleted": deleted_of(request, [one for one in deleted if str(one.item) not in hidden], last, names, comments),
            "hidden": len(hidden & rows.keys()),
            "comments": comments.get("", []),
            "votes": proposal.votes.select_related("by", "department"),
            "seats": [{"seat": seat, "reasons": _reasons(seat, names, hidden)} for seat in signed.seats.values()],
            "stuck": stuck_seats(signed.stuck, written_by),
            "may_help": {"member": request.user.has_perms(ADD_MEMBER), "deputy": request.user.has_perm(NAME_DEPUTY)},
            "my_seats": [{"seat": seat, "seen": seen_of(proposal, seat)} for seat in mine],
            "typed": typed,
            # of a word that is not asked for any more
            "left_over": typed.get("comment", "") if typed.get("department") not in {seat.department.pk for seat in mine} else "",
            "affected": shown_effects(verdict, before, after, senders, hidden=hidden),
            "form": form or ProposalForm(instance=proposal),
            "trial_first": company_day() - timedelta(days=6),
            "trial_last": company_day(),
            "sources": sources_offered_in(request),
            "links": [line.strip() for line in proposal.links.splitlines() if _is_link(line.strip())],
            "may": {name: request.user.has_perm(f"taxonomy.{name}") for name in ("publish_release", "emergency_release", "add_proposal")},
        }
        return TemplateResponse(request, "taxonomy/proposal.html", context)

    def checks_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """What the checks of the plan say of the proposal: an HTML fragment, fetched after the page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        proposal = get_object_or_404(self.get_queryset(request), pk=object_id)
        before = known_items(newest())
        after = proposed(proposal, before)
        hidden = hidden_in(request, before, after)
        names = names_shown(before | after, hidden)
        problems = check_plan(after)
        findings = [] if problems else [one for one in weigh_change(before, after) if one.item not in hidden]
        told = [{"severity": one.severity, "check": one.check, "item": one.item, "title": title(names[one.item], names), "text": finding_text(one, names)} for one in findings]  # fmt: skip
        return TemplateResponse(
            request, "taxonomy/_findings.html", {"findings": told, "problems": [plan_problem(problem, names) for problem in problems]}
        )

    @method_decorator(require_POST)
    def act_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """One act on a proposal, then its page again."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        proposal = get_object_or_404(self.get_queryset(request), pk=object_id)
        act = ACTS.get(request.POST.get("act", ""))
        if act is None:
            raise PermissionDenied
        try:
            if act in _OF_AUTHORS and not self.has_add_permission(request):
                raise NotAllowed("right")
            said = act(proposal, request)
        except Unsaved as error:
            return self._page(request, proposal, error.form)
        except Exception as error:
            if (failed := said_of(error, partial(hidden_in, request))) is None:
                raise
            messages.error(request, failed)
            if act is _vote:  # with what was typed
                return self._page(request, get_object_or_404(self.get_queryset(request), pk=object_id), None)
        else:
            if said:
                messages.success(request, said)
        return HttpResponseRedirect(proposal.get_absolute_url())

    @method_decorator(require_POST)
    def follow_view(self, request: HttpRequest, item: Any) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if str(item) in hidden_in(request, items_of(newest()), draft_items()):
            raise PermissionDenied
        follow(_person(request), item, yes=request.POST.get("follow") == "yes")
        messages.success(
            request,
            _("You are told when a release changes it.") if request.POST.get("follow") == "yes" else _("You are not told of it any more."),
        )
        kind = last_saves([str(item)]).get(str(item))
        return HttpResponseRedirect(reverse(f"admin:taxonomy_{_MODEL_NAMES[kind.kind]}_change", args=[item]) if kind else reverse("admin:index"))  # fmt: skip


_MODEL_NAMES = {"category": "category", "attribute": "attribute", "tag": "tag", "source": "source", "rule": "mappingrule"}


def waiting_in(request: HttpRequest) -> dict[str, Any]:
    """What waits for the reader's department, as taxonomy/_waiting.html shows it."""
    person = _person(request)
    return {"waiting": waiting_for(person), "to_review": releases_waiting_for(person)}


def _person(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]


def _item_in(request: HttpRequest) -> str:
    return str(id_or_404(Tag, request.POST.get("item", "")))


def _savers(saves: dict[str, list[Revision]]) -> dict[str, str]:
    return {item: names_of(some) for item, some in saves.items()}


def _to_sign(signed: Standing, person: User) -> list[Seat]:
    """The departments one signs for, those that have not spoken first."""
    return sorted(signed.may_vote(person), key=lambda seat: seat.vote is not None)


def _retired(proposal: Proposal, before: Items, after: Items, names: Items, hidden: set[str]) -> list[str]:
    """The tags that would go though sources still send them, where no reason is given."""
    if not proposal.is_open or proposal.retire_reason.strip():
        return []
    return [title(names[item], names) for item in retired_but_sent(before, after) if item not in hidden]


def _reasons(seat: Seat, names: Items, hidden: set[str]) -> list[dict[str, Any]]:
    """Why a department is asked: [{"label", "names", "more"}], the items by name, those that the reader may read."""
    found = []
    for reason, label in REASONS.items():
        items = seat.concern.reasons.get(reason, set()) - hidden  # type: ignore[call-overload]
        titles = sorted(title(names[item], names) for item in items if item in names)
        if titles:
            found.append({"label": label, "names": titles[:_NAMED], "more": len(titles[_NAMED:])})
    return found


def _submit(proposal: Proposal, request: HttpRequest) -> str:
    signed = submit(proposal, by=_person(request))
    if signed.stuck:
        names = ", ".join(str(seat.department) for seat in signed.stuck)
        return _("Submitted. Nobody can sign for %(departments)s; this page says who can help.") % {"departments": names}
    return _("Submitted. The departments concerned were told.")


def _pull_back(proposal: Proposal, request: HttpRequest) -> str:
    pull_back(proposal, by=_person(request))
    return _("It is out of review. Approvals stay unless your edits touch what they signed.")


def _withdraw(proposal: Proposal, request: HttpRequest) -> str:
    withdraw(proposal, by=_person(request))
    return _("Withdrawn. The draft keeps its changes until you discard them.")


def _vote(proposal: Proposal, request: HttpRequest) -> str:
    choice = request.POST.get("choice", "")
    if choice not in Vote.Choice.values:
        raise PermissionDenied
    comment, department, seen = (request.POST.get(name, "") for name in ("comment", "department", "seen"))
    vote(proposal, by=_person(request), choice=choice, comment=comment, department=department, seen=seen)
    return _("Your department's word is kept.")


def _comment(proposal: Proposal, request: HttpRequest) -> str:
    made = comment(
        proposal, by=_person(request), text=request.POST.get("text", ""), item=_item_in(request) if request.POST.get("item") else None
    )
    if made is None:
        return ""
    for said in _told_nobody(made):
        messages.warning(request, said)
    return _("Told: %(names)s.") % {"names": ", ".join(map(str, made.told))} if made.told else ""


def _told_nobody(made: Remark) -> list[str]:
    """Which @names told nobody, and why."""
    names = [
        (_("Not told, as they may not read this proposal: %(names)s."), [str(person) for person in made.kept_out]),
        (_("Nobody is called so: %(names)s. Write a name, or an e-mail address, after the @."), [f"@{name}" for name in made.mentions.unknown]),
        (_("Several are called so, and none was told: %(names)s. Write an e-mail address."), [f"@{name}" for name in made.mentions.several]),
    ]  # fmt: skip
    return [said % {"names": ", ".join(some)} for said, some in names if some]


def _edit(proposal: Proposal, request: HttpRequest) -> str:
    if _person(request).pk not in author_ids(proposal):
        raise PermissionError
    form = ProposalForm(request.POST)
    if not form.is_valid():
        raise Unsaved(form)
    describe(proposal, by=_person(request), **form.cleaned_data)
    return _("Saved.")


def _release(proposal: Proposal, request: HttpRequest) -> str:
    made = release_proposal(proposal, by=_person(request))
    return _("Release %(version)s is out; sources obey it now.") % {"version": made.version}


def _emergency(proposal: Proposal, request: HttpRequest) -> str:
    made = emergency_release(proposal, by=_person(request), reason=request.POST.get("reason", ""))
    return _("Release %(version)s is out without sign-off. It stays marked until somebody else has reviewed it.") % {
        "version": made.version
    }


def _join(proposal: Proposal, request: HttpRequest) -> str:
    join(proposal, by=_person(request))
    return _("You are a co-author now: you may edit it, and no longer sign it.")


def _drop(proposal: Proposal, request: HttpRequest) -> str:
    drop_item(proposal, _item_in(request), by=_person(request))
    return _("Left out. Its draft stays as it is.")


ACTS: dict[str, Callable[[Proposal, HttpRequest], str]] = {
    "submit": _submit, "pull_back": _pull_back, "withdraw": _withdraw, "vote": _vote, "comment": _comment, "edit": _edit,
    "release": _release, "emergency": _emergency, "join": _join, "drop": _drop,
}  # fmt: skip
# what only those may do whose role lets them propose
_OF_AUTHORS = frozenset({_submit, _pull_back, _withdraw, _edit, _drop, _join})
