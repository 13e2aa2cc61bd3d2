from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Max, Q
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from ingestion.models import Attempt, Dispatch, Subscriber
from ingestion.outgoing import TEST, dispatch, send_again
from staff.admin.pages import OneButton, confirm_page, secret_page

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

    class Meta:
        model = Subscriber
        fields = ["name", "url", "events", "active"]


@admin.register(Subscriber)
class SubscriberAdmin(OneButton):
    """The systems that are told by webhook. A secret is shown once, when it is made."""

    when_empty = _("A webhook tells another system when something happens here, such as a release. Add its address, then send a test.")
    form = SubscriberForm
    list_display = ["name", "host", "state", "last_taken_at", "created_at"]
    search_fields = ["name", "url"]
    actions = None
    actions_detail = ["messages_sent", "send_test", "new_secret"]

    def get_fields(self, request, obj=None):
        return ["name", "url", "events"] if obj is None else ["name", "url", "events", "active", "stopped", "created_at", "created_by"]

    def get_readonly_fields(self, request, obj=None):
        return ["stopped", "created_at", "created_by"] if obj else []

    def get_queryset(self, request):
        taken = Max("dispatches__log__at", filter=Q(dispatches__log__status__range=(200, 299)))
        return super().get_queryset(request).annotate(taken_at=taken)

    def get_deleted_objects(self, objs, request):
        """What was sent to it goes along; nobody deletes that by itself."""
        shown, counts, _needed, protected = super().get_deleted_objects(objs, request)
        return shown, counts, set(), protected

    def save_model(self, request, obj, form, change):
        if not change:
            obj.created_by = request.user
        elif obj.active:
            obj.stopped_because = ""
        super().save_model(request, obj, form, change)

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
        subscriber = get_object_or_404(Subscriber, pk=object_id)
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
        subscriber = get_object_or_404(Subscriber, pk=object_id)
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
class DispatchAdmin(ModelAdmin):
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

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False

    def has_resend_permission(self, request, object_id=None):
        return request.user.has_perm("ingestion.change_subscriber")

    @action(description=_("Send again"), permissions=["resend"], icon="replay")
    def resend(self, request, object_id):
        one = get_object_or_404(Dispatch.objects.select_related("subscriber"), pk=object_id)
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
        return format_html('<pre class="tl-code">{}</pre>', one.body)
