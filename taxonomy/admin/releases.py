"""What was released: a page for each release, any two compared, a way back."""

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
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

from staff.admin.pages import ReadOnly, id_or_404
from staff.models import in_both_languages
from taxonomy.admin.shown import page_of, shown_changes, shown_effects
from taxonomy.models import Release
from taxonomy.proposals.propose import propose_going_back
from taxonomy.proposals.refused import said_of
from taxonomy.proposals.review import NotAllowed, may_review, review_release
from taxonomy.proposals.senders import native_senders
from taxonomy.proposals.verdict import judge
from taxonomy.proposals.verdict_words import level_shown
from taxonomy.publish import changes_between, items_of, newest
from taxonomy.request_rights import hidden_in, names_shown, proposals_shown, rights_in
from taxonomy.rights import OutsideGrant

# Versions that a page offers, with the one it is compared with; of an older one, its own page offers the newer ones.
OFFERED = 500


@admin.register(Release)
class ReleaseAdmin(ReadOnly, ModelAdmin):
    when_empty = gettext_lazy(
        "A release is the standard as sources obey it. Nothing is accepted before the first one: propose the draft under "
        "“Unreleased changes”, have it signed, then release it."
    )
    list_display = ["version", "published_at", "published_by", "item_count", "sign_off", "short_notes"]
    list_select_related = ["published_by"]
    search_fields = ["version", "notes"]

    def get_search_fields(self, request: HttpRequest) -> Any:
        """Notes may tell of what somebody may not read."""
        return ["version"] if rights_in(request).limited else self.search_fields

    def get_list_display(self, request: HttpRequest) -> Any:
        return [name for name in self.list_display if name != "short_notes" or not rights_in(request).limited]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("snapshot")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:object_id>/review/", view(self.review_view), name="taxonomy_release_review"),
            path("<int:object_id>/back/", view(self.back_view), name="taxonomy_release_back"),
            *super().get_urls(),
        ]

    @admin.display(description=gettext_lazy("items"))
    def item_count(self, release: Release) -> int:
        return len(release.changed_items)

    @admin.display(description=gettext_lazy("notes"))
    def short_notes(self, release: Release) -> str:
        return release.notes.partition("\n")[0][:120]

    @display(
        description=gettext_lazy("sign-off"), label={"awaits": "danger", "reviewed": "warning", "signed": "success", "unsigned": "default"}
    )
    def sign_off(self, release: Release) -> tuple[str, str]:
        if release.signed:
            return "signed", _("signed")
        if release.emergency_reason and not release.awaits_review:
            return "reviewed", _("reviewed afterwards")
        how = _("in an emergency") if release.published_by_id else _("without sign-off")
        return "awaits" if release.awaits_review else "unsigned", how

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What a release changed against the one before it, or against ?with= another by its version."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        release = get_object_or_404(Release.objects.select_related("published_by", "reviewed_by"), pk=id_or_404(Release, object_id))
        previous = Release.objects.filter(pk__lt=release.pk).order_by("-id").first()
        wanted = request.GET.get("with", "").strip()
        chosen = Release.objects.filter(version=wanted).first() if wanted else None
        other = chosen or previous
        before, after = items_of(other), items_of(release)
        verdict = judge(before, after, on=release.day)
        hidden = hidden_in(request, before, after)
        changes = changes_between(before, after)
        readable = [change for change in changes if change.item not in hidden]
        page = page_of(readable, before | after, request.GET.get("page"))
        current = newest()
        offered = list(Release.objects.exclude(pk=release.pk).values_list("version", "published_at")[:OFFERED])
        if other and (other.version, other.published_at) not in offered and other != release:
            offered.append((other.version, other.published_at))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Release %(version)s") % {"version": release.version},
            "opts": self.opts,
            "release": release,
            "other": other,
            "is_compared": other != previous,
            "unknown": wanted if chosen is None else "",
            "versions": offered,
            **level_shown(verdict.level, verdict.breaks_from),
            "groups": shown_changes(page, names_shown(before | after, hidden), verdict),
            "page": page,
            "hidden": len(changes) - len(readable),
            # they may tell of what the reader may not read
            "may_read_notes": not rights_in(request).limited,
            "affected": shown_effects(
                verdict, before, after, native_senders(before, after, verdict.by_item, on=release.day), hidden=hidden
            ),
            "proposals": proposals_shown(release.proposals.select_related("author"), request),
            "is_current": current == release,
            "may_go_back": current != release and request.user.has_perm("taxonomy.add_proposal"),
            "may_review": may_review(release, request.user),  # type: ignore[arg-type]
        }
        return TemplateResponse(request, "taxonomy/release.html", context)

    @method_decorator(require_POST)
    def review_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        release = get_object_or_404(Release, pk=object_id)
        try:
            review_release(release, by=request.user)  # type: ignore[arg-type]
            messages.success(request, _("Marked as reviewed."))
        except (NotAllowed, OutsideGrant) as error:
            messages.error(request, said_of(error, partial(hidden_in, request)) or "")
        return HttpResponseRedirect(reverse("admin:taxonomy_release_change", args=[release.pk]))

    @method_decorator(require_POST)
    def back_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Propose that everything be as it was in this release."""
        if not request.user.has_perm("taxonomy.add_proposal"):
            raise PermissionDenied
        release = get_object_or_404(Release, pk=object_id)
        heading = in_both_languages(gettext_lazy("Back to release %(version)s")) % {"version": release.version}
        why = request.POST.get("why", "").strip() or heading
        try:
            proposal = propose_going_back(release, title=heading, why=why, by=request.user)  # type: ignore[arg-type]
        except Exception as error:
            if (said := said_of(error, partial(hidden_in, request))) is None:
                raise
            messages.error(request, said)
            return HttpResponseRedirect(reverse("admin:taxonomy_release_change", args=[release.pk]))
        messages.success(request, _("The draft is as it was in that release, and this proposal would release it again."))
        return HttpResponseRedirect(proposal.get_absolute_url())
