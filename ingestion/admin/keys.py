import secrets
from datetime import timedelta

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget

from ingestion.models import WriteKey
from ingestion.sending.example import some_example
from staff.admin.pages import MadeOnce, OneButton, already_made, confirm_page, is_sent_again, secret_page
from taxonomy.admin.live import LiveFilter, OfSource
from taxonomy.dictionary.examples import KEY, as_curl
from taxonomy.dictionary.standard import standard
from taxonomy.request_rights import hidden_in

OVERLAPS = [(0, _("not at all")), (1, _("one hour")), (24, _("a day")), (168, _("a week")), (720, _("30 days"))]


class RotateForm(forms.Form):
    hours = forms.TypedChoiceField(
        label=_("The old key works on for"), choices=OVERLAPS, coerce=int, initial=24, widget=UnfoldAdminSelectWidget,
        help_text=_("Time to put the new one in everywhere."),
    )  # fmt: skip


def _first_command(request, source):
    """A command that sends an event which is accepted from this source; "" where there is none, or the source is not released."""
    known = standard()
    plan = known.plan.sources_by_uuid.get(str(source.pk)) if known else None
    if known is None or plan is None:
        return ""
    hidden = hidden_in(request, known.items)
    found = some_example(plan, known.plan, at=timezone.now(), message_id=f"example-{secrets.token_hex(4)}", hidden=hidden)
    return as_curl(found.record, request.build_absolute_uri("/").rstrip("/")) if found else ""


@admin.register(WriteKey)
class WriteKeyAdmin(MadeOnce, OfSource, OneButton):
    """The keys sources send with. A secret is shown once, when it is made."""

    when_empty = _("A write key lets a source send events. Add one for each source; it is shown once.")
    list_display = ["live_source", "name", "hint_shown", "kind", "state", "per_second", "last_used_at"]
    list_filter = [("source", LiveFilter), "test"]
    list_select_related = ["source"]
    fields = [
        "source",
        "name",
        "test",
        "per_second",
        "use",
        "hint",
        "created_at",
        "created_by",
        "expires_at",
        "revoked_at",
        "last_used_at",
    ]
    actions = None
    actions_detail = ["rotate", "revoke"]

    def get_fields(self, request, obj=None):
        return ["live_source", *self.fields[1:]] if obj else self.fields[:4]

    def get_readonly_fields(self, request, obj=None):
        return ["live_source", *(name for name in self.fields[1:] if name not in ("name", "per_second"))] if obj else []

    def has_delete_permission(self, request, obj=None):
        return False

    def save_model(self, request, obj, form, change):
        if not change:
            obj.created_by = request.user
            request.new_secret = obj.set_secret()
        super().save_model(request, obj, form, change)

    def response_add(self, request, obj, post_url_continue=None):
        return self._show(request, obj, request.new_secret)

    def _show(self, request, key, secret):
        return secret_page(
            request,
            secret,
            title=_("The key of %(source)s") % {"source": self.live_source(key)},
            use=_first_command(request, key.source).replace(KEY, secret),
            back_url=reverse("admin:ingestion_writekey_changelist"),
            more=(_("How to send, in eight languages"), reverse("how_to_send", args=[key.source_id])),
        )

    @action(description=_("Rotate"), permissions=["change"], icon="autorenew")
    def rotate(self, request, object_id):
        if is_sent_again(request):
            return already_made(request, reverse("admin:ingestion_writekey_changelist"))
        key = self._usable_key(request, object_id)
        form = RotateForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            successor = WriteKey(source=key.source, name=key.name, test=key.test, per_second=key.per_second, created_by=request.user)
            secret = successor.set_secret()
            successor.save()
            until = timezone.now() + timedelta(hours=form.cleaned_data["hours"])
            key.expires_at = min(until, key.expires_at) if key.expires_at else until
            key.save(update_fields=["expires_at"])
            return self._show(request, successor, secret)
        return confirm_page(
            request,
            title=_("Rotate the key %(key)s") % {"key": key},
            sentences=[
                _("A new key is made for the same source. Both work until the old one ends, so that nothing is lost while you exchange it.")
            ],
            button=_("Make the new key"),
            back_url=reverse("admin:ingestion_writekey_change", args=[key.pk]),
            form=form,
        )

    @action(description=_("Revoke"), permissions=["change"], icon="block")
    def revoke(self, request, object_id):
        key = self._usable_key(request, object_id)
        back = reverse("admin:ingestion_writekey_changelist")
        if request.method == "POST":
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
            messages.success(request, gettext("The key %(key)s does not work any more.") % {"key": key})
            return redirect(back)
        return confirm_page(
            request,
            title=_("Revoke the key %(key)s") % {"key": key},
            sentences=[
                _(
                    "Whatever sends with it gets the answer 401 within a second, and its events are lost unless it keeps them. This cannot be undone."
                ),
                _("To exchange a key without losing anything, rotate it instead."),
            ],
            button=_("Revoke"),
            back_url=reverse("admin:ingestion_writekey_change", args=[key.pk]),
            danger=True,
        )

    def _usable_key(self, request, object_id):
        key = self.get_object(request, object_id)
        if key is None or key.revoked_at:
            raise PermissionDenied
        return key

    def get_actions_detail(self, request, object_id):
        key = self.get_object(request, str(object_id))
        return super().get_actions_detail(request, object_id) if key and not key.revoked_at else []

    @admin.display(description=_("how to send"))
    def use(self, key):
        return format_html(
            '<a class="tl-link" href="{}">{}</a>',
            reverse("how_to_send", args=[key.source_id]),
            gettext("Code to copy, and watch it arrive"),
        )

    @admin.display(description=_("begins with"))
    def hint_shown(self, key):
        return f"{key.hint}…"

    @display(description=_("kind"), label={"test": "info", "live": "primary"})
    def kind(self, key):
        return ("test", gettext("test")) if key.test else ("live", gettext("live"))

    @display(description=_("state"), label={"works": "success", "ending": "warning", "ended": "danger", "revoked": "danger"})
    def state(self, key):
        if key.revoked_at:
            return "revoked", gettext("revoked")
        if key.expires_at is None:
            return "works", gettext("works")
        if key.expires_at > timezone.now():
            return "ending", gettext("works until its end")
        return "ended", gettext("ended")
