from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, Func, IntegerField, Max, Q, Sum
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from ingestion.models import Attempt, Dispatch, Subscriber, Unannounced
from ingestion.outgoing.announce import personal_codes
from ingestion.outgoing.dispatches import TEST, dispatch, send_again
from staff.access import log_access
from staff.admin.pages import MadeOnce, OneButton, ReadOnly, already_made, confirm_page, is_sent_again, secret_page
from staff.masking import Places, mask_in_record, may_see_personal
from staff.models import AccessLog
from taxonomy.request_rights import rights_in
from taxonomy.standardize import decode_json, encode_json

PROBLEMS = {
    "address": _("The address cannot be called: it must begin with https://."),
    "name": _("The name of the host cannot be found."),
    "private": _("The address belongs to a private network, which webhooks may not call here."),
    "connection": _("No connection could be made."),
    "tls": _("The certificate of the host cannot be trusted."),
    "timeout": _("It did not answer in time."),
    "protocol": _("What it answered is no HTTP."),
}


class SubscriberForm(forms.ModelForm):
    events = forms.MultipleChoiceField(
        label=_("Told of"),
        choices=Subscriber.Event.choices,
        initial=[Subscriber.Event.RELEASE],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    # Of the request: whether who edits may allow what, see SubscriberAdmin.get_form.
    may_tell_of_events = may_tell_personal = True

    class Meta:
        model = Subscriber
        fields = ["name", "url", "events", "tags", "sources", "personal", "held_events", "held_minutes", "active"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not self.may_tell_of_events:
            self.fields["events"].choices = [one for one in Subscriber.Event.choices if one[0] not in Subscriber.OF_EVENTS]  # type: ignore[attr-defined]
        if "personal" in self.fields and not self.may_tell_personal:
            self.fields["personal"].disabled = True
            self.fields["personal"].help_text = _("Only who may see personal data themselves can allow this.")

    def clean(self):
        cleaned = super().clean() or self.cleaned_data
        if Subscriber.Event.ACCEPTED in cleaned.get("events", []) and "tags" in cleaned and not cleaned["tags"]:
            self.add_error("tags", _("Choose the tags whose events it is told of."))
        return cleaned


@admin.register(Subscriber)
class SubscriberAdmin(MadeOnce, OneButton):
    """The systems that are told by webhook. A secret is shown once, when it is made.

    Who may not read the whole standard sees only those that are told nothing of events; who may not see personal data
    changes none that is told it, lest it be sent elsewhere.
    """

    when_empty = _("A webhook tells another system when something happens here, such as a release. Add its address, then send a test.")
    form = SubscriberForm
    autocomplete_fields = ["tags", "sources"]
    list_display = ["name", "host", "state", "last_taken_at", "created_at"]
    search_fields = ["name", "url"]
    actions = None
    actions_detail = ["messages_sent", "send_test", "new_secret"]

    def get_fieldsets(self, request, obj=None):
        limited = rights_in(request).limited
        return [
            (None, {"fields": ["name", "url", "events"]}),
            *([] if limited else [
                (_("Accepted events"), {
                    "fields": ["tags", "sources", "personal", *(["personal_by", "personal_at"] if obj else [])],
                    "description": _("Up to 100 in a message, within a few seconds, each with an id of its own. Events let in later from quarantine are told of too; what is taken back is not unsaid."),
                }),
                (_("Many held events"), {
                    "fields": ["held_events", "held_minutes"],
                    "description": _("One message for each cause of a source, and none more of it until it holds fewer again. The sources chosen above count here too."),
                }),
            ]),
            *([(_("State"), {"fields": ["active", "stopped", "waiting_events", "created_at", "created_by"]})] if obj else []),
        ]  # fmt: skip

    def get_readonly_fields(self, request, obj=None):
        return ["stopped", "waiting_events", "created_at", "created_by", "personal_by", "personal_at"] if obj else []

    def get_form(self, request, obj=None, change=False, **kwargs):
        form = super().get_form(request, obj, change=change, **kwargs)
        form.may_tell_of_events = not rights_in(request).limited
        form.may_tell_personal = may_see_personal(request.user)
        return form

    def get_queryset(self, request):
        taken = Max("dispatches__log__at", filter=Q(dispatches__log__status__range=(200, 299)))
        shown = super().get_queryset(request).annotate(taken_at=taken)
        return shown.exclude(events__overlap=list(Subscriber.OF_EVENTS)) if rights_in(request).limited else shown

    def has_change_permission(self, request, obj=None):
        """`obj`: also the id of one, as the buttons' rights are asked for."""
        if not super().has_change_permission(request):
            return False
        if obj is None or may_see_personal(request.user):
            return True
        return not (obj.personal if isinstance(obj, Subscriber) else Subscriber.objects.filter(pk=obj, personal=True).exists())

    def save_model(self, request, obj, form, change):
        if not change:
            obj.created_by = request.user
        elif obj.active:
            obj.stopped_because = ""
        if "personal" in form.changed_data:
            obj.personal_by, obj.personal_at = (request.user, timezone.now()) if obj.personal else (None, None)
        super().save_model(request, obj, form, change)
        if "personal" in form.changed_data and obj.personal:
            log_access(request.user, AccessLog.Action.EXPORT, reason=f"webhook {obj.pk} may be told personal data")

    def get_deleted_objects(self, objs, request):
        """What was sent to it goes along; nobody deletes that by itself."""
        shown, counts, _needed, protected = super().get_deleted_objects(objs, request)
        return shown, counts, set(), protected

    def response_add(self, request, obj, post_url_continue=None):
        return self._show(request, obj, obj.secret)

    def _show(self, request, subscriber, secret):
        return secret_page(
            request,
            secret,
            title=_("The secret of %(name)s") % {"name": subscriber},
            use="# pip install standardwebhooks\nfrom standardwebhooks import Webhook\n\n"
            f'Webhook("{secret}").verify(request.body, request.headers)',
            back_url=reverse("admin:ingestion_subscriber_change", args=[subscriber.pk]),
            sentence=_("Copy it now and keep it safe: it is shown this once. If it gets lost, make a new one."),
        )

    @action(description=_("Messages"), permissions=["view"], icon="list")
    def messages_sent(self, request, object_id):
        return redirect(f"{reverse('admin:ingestion_dispatch_changelist')}?subscriber__id__exact={int(object_id)}")

    @action(description=_("Send a test"), permissions=["change"], icon="send")
    def send_test(self, request, object_id):
        subscriber = get_object_or_404(self.get_queryset(request), pk=object_id)
        back = reverse("admin:ingestion_subscriber_change", args=[subscriber.pk])
        if not subscriber.active:
            messages.error(request, gettext("It is switched off. Make it active first."))
            return redirect(back)
        if request.method == "POST":
            made = dispatch(subscriber, TEST, {"message": "Hello from Tagline"}, at=timezone.now())
            return redirect(reverse("admin:ingestion_dispatch_change", args=[made.pk]))
        return confirm_page(
            request,
            title=_("Send a test to %(name)s") % {"name": subscriber},
            sentences=[_("A message of the type “test” is sent, signed as every other.")],
            button=_("Send a test"),
            back_url=back,
        )

    @action(description=_("New secret"), permissions=["change"], icon="autorenew")
    def new_secret(self, request, object_id):
        subscriber = get_object_or_404(self.get_queryset(request), pk=object_id)
        if is_sent_again(request):
            return already_made(request, reverse("admin:ingestion_subscriber_change", args=[subscriber.pk]))
        if request.method == "POST":
            return self._show(request, subscriber, subscriber.change_secret(timezone.now()))
        return confirm_page(
            request,
            title=_("A new secret for %(name)s") % {"name": subscriber},
            sentences=[_("For a day messages are signed with the old secret too, so that nothing is refused while you exchange it.")],
            button=_("Make the new secret"),
            back_url=reverse("admin:ingestion_subscriber_change", args=[subscriber.pk]),
        )

    @admin.display(description=_("host"))
    def host(self, subscriber):
        return urlsplit(subscriber.url).hostname

    @display(description=_("state"), label={"active": "success", "off": "danger"})
    def state(self, subscriber):
        return ("active", gettext("active")) if subscriber.active else ("off", gettext("switched off"))

    @admin.display(description=_("last taken"))
    def last_taken_at(self, subscriber):
        return subscriber.taken_at

    @admin.display(description=_("events that wait for it"))
    def waiting_events(self, subscriber):
        """Counted in the queue: a receiver that is slow or down has few messages under way, and the rest waits there."""
        rows = Unannounced.objects.filter(subscriber=subscriber)
        return rows.aggregate(events=Sum(Func(F("events"), function="cardinality", output_field=IntegerField())))["events"] or 0

    @admin.display(description=_("switched off because"))
    def stopped(self, subscriber):
        return gettext(subscriber.stopped_because) if subscriber.stopped_because else "-"


class AttemptInline(TabularInline):
    model = Attempt
    extra = 0
    show_title = False
    can_delete = False
    fields = readonly_fields = ["at", "answer", "took_ms"]

    def has_add_permission(self, request, obj=None):
        return False

    def has_view_permission(self, request, obj=None):
        return request.user.has_perm("ingestion.view_dispatch")

    @admin.display(description=_("answer"))
    def answer(self, made):
        return made.status or PROBLEMS.get(made.problem, made.problem)


@admin.register(Dispatch)
class DispatchAdmin(ReadOnly, ModelAdmin):
    """What was sent by webhook, with every attempt."""

    when_empty = _("Every message to a webhook is listed here with its answer. Add a webhook, then send it a test.")
    list_display = ["created_at", "subscriber", "event", "state_shown", "attempts", "next_at"]
    list_filter = ["subscriber", "state"]
    list_select_related = ["subscriber"]
    fields = ["subscriber", "event", "webhook_id", "state", "attempts", "next_at", "created_at", "body_shown"]
    readonly_fields = fields
    inlines = [AttemptInline]
    actions = None
    actions_detail = ["resend"]

    def get_queryset(self, request):
        shown = super().get_queryset(request)
        return shown.exclude(event__in=Subscriber.OF_EVENTS) if rights_in(request).limited else shown

    def get_object(self, request, object_id, from_field=None):
        """With the body as the reader may see it."""
        one = super().get_object(request, object_id, from_field)
        if one is not None:
            one.body_for_reader = one.body
            if one.event in Subscriber.OF_EVENTS and not may_see_personal(request.user):
                masked = mask_in_record(decode_json(one.body.encode()), hidden=Places.of_names({*personal_codes(), "identifiers"}))
                one.body_for_reader = encode_json(masked).decode()
        return one

    def change_view(self, request, object_id, form_url="", extra_context=None):
        """Opening what was said of events, unmasked, is recorded."""
        shown = super().change_view(request, object_id, form_url, extra_context)
        one = shown.context_data.get("original") if shown.status_code == 200 else None
        if one is not None and one.event in Subscriber.OF_EVENTS and may_see_personal(request.user):
            log_access(request.user, AccessLog.Action.ORIGINAL, reason=f"webhook message {one.pk}")
        return shown

    def has_resend_permission(self, request, object_id=None):
        return request.user.has_perm("ingestion.change_subscriber")

    @action(description=_("Send again"), permissions=["resend"], icon="replay")
    def resend(self, request, object_id):
        one = get_object_or_404(self.get_queryset(request).select_related("subscriber"), pk=object_id)
        if not self.has_view_permission(request):
            raise PermissionDenied
        back = reverse("admin:ingestion_dispatch_change", args=[one.pk])
        if not one.subscriber.active:
            messages.error(request, gettext("Its webhook is switched off. Make it active first."))
            return redirect(back)
        if request.method == "POST":
            send_again(one)
            messages.success(request, gettext("It is being sent again, under the same id."))
            return redirect(back)
        return confirm_page(
            request,
            title=_("Send again"),
            sentences=[_("The same message is sent once more, under the same id: a receiver that has taken it will take it for the same.")],
            button=_("Send again"),
            back_url=back,
        )

    @admin.display(description="webhook-id")
    def webhook_id(self, one):
        return one.message_id

    @display(
        description=_("state"),
        label=dict(zip(Dispatch.State.values, ("info", "success", "danger", "warning"), strict=True)),
    )
    def state_shown(self, one):
        return one.state, one.get_state_display()

    @admin.display(description=_("body"))
    def body_shown(self, one):
        return format_html('<pre class="tl-code">{}</pre>', one.body_for_reader)
