from datetime import timedelta
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Value
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from ingestion.admin.keys import OVERLAPS
from ingestion.doors.signatures import SCHEMES, WeChatSecret, public_key
from ingestion.models import Hook
from ingestion.outgoing.sealing import unseal
from ingestion.outgoing.signing import key_of
from staff.admin.pages import MadeOnce, OneButton, already_made, confirm_page, is_sent_again, secret_page
from taxonomy.admin.live import LiveFilter, OfSource
from taxonomy.packs import packs
from taxonomy.packs.load import pack_choices
from taxonomy.released import named

_MAX_CHARACTERS = 300
# The ways of proving oneself that a field is for.
USED_BY = {
    "header": ["plain", "hmac"],
    "kept_headers": ["standard", "plain", "hmac", "shopify", "woocommerce"],
    "packed_in": ["standard", "plain", "hmac", "mandrill"],
    "aes_key": ["wechat_aes"],
    "app_id": ["wechat_aes"],
}


def secret_field(**more):
    return forms.CharField(
        label=_("Secret"), required=False, max_length=_MAX_CHARACTERS, widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text=_("The signing secret that the sender shows you; of SendGrid its verification key, of WeChat the token. Empty: one is made, to be entered at the sender. It is not shown again."),
        **more,
    )  # fmt: skip


def aes_key_field():
    return forms.CharField(
        label="EncodingAESKey", required=False, max_length=43, widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text=_("For WeChat, encrypted, alone: the 43 letters and digits beside the token. It is not shown again."),
    )  # fmt: skip


def app_id_field():
    return forms.CharField(
        label=_("App id"), required=False, max_length=64, widget=UnfoldAdminTextInputWidget,
        help_text=_("For WeChat, encrypted, alone: the AppID of the account, such as wx2c2769f8efd9abc2, or the CorpID of the company."),
    )  # fmt: skip


def joined(scheme, cleaned):
    """The secret that the fields say together."""
    parts = [cleaned.get(name, "").strip() for name in ("secret", "aes_key", "app_id")]
    return " ".join(parts) if scheme == "wechat_aes" else parts[0]


def check_secret(scheme, secret):
    """Raise ValidationError for what cannot be a secret of this scheme."""
    if scheme == "wechat_aes":
        try:
            WeChatSecret.parse(secret)
        except ValueError as error:
            raise ValidationError(
                _("Enter the token, the EncodingAESKey of 43 letters and digits, and the app id, as WeChat shows them.")
            ) from error
        return
    if not secret:
        if SCHEMES[scheme].given_to_us:
            raise ValidationError(_("Enter the signing secret that the sender shows you."))
        return
    if scheme == "standard":
        try:
            if not key_of(secret):
                raise ValueError
        except ValueError as error:
            raise ValidationError(_("Such a secret is base64, often after whsec_. Copy it whole.")) from error
    elif scheme == "sendgrid":
        try:
            public_key(secret)
        except ValueError as error:
            raise ValidationError(_("This is no verification key of SendGrid: it begins with MFkw. Copy it whole.")) from error
    elif scheme == "plain" and len(secret) < 16:
        raise ValidationError(_("A token of fewer than 16 characters can be guessed. Leave this empty to have one made."))


class HookForm(forms.ModelForm):
    secret = secret_field()
    aes_key = aes_key_field()
    app_id = app_id_field()

    class Meta:
        model = Hook
        fields = ["source", "name", "scheme", "header", "kept_headers", "packed_in", "answer", "per_second"]

    def clean(self):
        cleaned = super().clean() or {}
        if not self.instance.pk and "scheme" in cleaned:
            cleaned["secret"] = joined(cleaned["scheme"], cleaned)
            try:
                check_secret(cleaned["scheme"], cleaned["secret"])
            except ValidationError as error:
                self.add_error("secret", error)
        return cleaned


class NewSecretForm(forms.Form):
    secret = secret_field()
    aes_key = aes_key_field()
    app_id = app_id_field()
    hours = forms.TypedChoiceField(
        label=_("The old secret works on for"), choices=OVERLAPS, coerce=int, initial=24, widget=UnfoldAdminSelectWidget,
        help_text=_("Time to put the new one in everywhere."),
    )  # fmt: skip

    def __init__(self, scheme, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        if scheme != "wechat_aes":
            del self.fields["aes_key"], self.fields["app_id"]

    def clean(self):
        cleaned = super().clean() or {}
        cleaned["secret"] = joined(self.scheme, cleaned)
        try:
            check_secret(self.scheme, cleaned["secret"])
        except ValidationError as error:
            self.add_error("secret", error)
        return cleaned


class VendorForm(forms.Form):
    pack = forms.ChoiceField(label=_("Vendor"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["pack"].choices = pack_choices(by_webhook=True)  # type: ignore[attr-defined]


@admin.register(Hook)
class HookAdmin(MadeOnce, OfSource, OneButton):
    """The systems that send by webhook. A secret is shown once, when it is made here; one given to us never."""

    form = HookForm
    when_empty = _(
        "Shops, payment and mail services report what happened here, each signed in its own way. Add a webhook for a source, then give its address to the sender."
    )
    list_display = ["live_source", "name", "address", "scheme", "state", "last_used_at"]
    list_filter = [("source", LiveFilter), "scheme"]
    list_select_related = ["source"]
    actions = None
    actions_list = ["of_vendor"]
    actions_detail = ["new_secret"]
    # What is filled in is shown, whatever is chosen; of one that is there `scheme` is no field.
    conditional_fields = {
        name: f"typeof scheme === 'undefined' || {schemes}.includes(scheme) || {name}" for name, schemes in USED_BY.items()
    }

    def get_fields(self, request, obj=None):
        read = ["header", "kept_headers", "packed_in", "answer", "per_second"]
        if obj is None:
            return ["source", "name", "scheme", "secret", "aes_key", "app_id", *read]
        read = [name for name in read if obj.scheme in USED_BY.get(name, SCHEMES) or getattr(obj, name)]
        return ["live_source", "address", "scheme", "name", "active", *read, "secrets_kept", "last_used_at", "created_at", "created_by"]

    def get_readonly_fields(self, request, obj=None):
        return ["live_source", "address", "scheme", "secrets_kept", "last_used_at", "created_at", "created_by"] if obj else []

    def get_form(self, request, obj=None, change=False, **kwargs):
        # Its own form has the field that only a new one asks for.
        return super().get_form(request, obj, change, **(kwargs | ({"form": forms.ModelForm} if obj else {})))

    def get_queryset(self, request):
        root = request.build_absolute_uri("/").removesuffix("/")
        return super().get_queryset(request).prefetch_related("secrets").annotate(root=Value(root))

    def get_changeform_initial_data(self, request):
        """The standard's way, and with ?pack=<name> what that vendor's webhook is set to."""
        given = super().get_changeform_initial_data(request)
        pack = packs().get(given.pop("pack", ""))
        return {"scheme": "standard", **(pack.hook if pack else {}), **({"name": pack.source["label_en"]} if pack else {}), **given}

    @action(description=_("Add one of a vendor"), permissions=["add"], icon="inventory_2", url_path="of-vendor")
    def of_vendor(self, request):
        """Choose whose webhook it is: how it proves itself, and what of it is read, is then filled in."""
        form = VendorForm(request.POST or None)
        add = reverse("admin:ingestion_hook_add")
        if request.method == "POST" and form.is_valid():
            return redirect(f"{add}?{urlencode({'pack': form.cleaned_data['pack']})}")
        sentences = [
            _("The fields are filled in as this vendor signs and sends; look them through."),
            _("Segment's clients use no webhook but a write key: add Segment's names under Sources, “Add from a vendor's pack”."),
        ]
        return confirm_page(
            request, title=_("Add the webhook of a vendor"), sentences=sentences,
            button=_("Go on"), back_url=reverse("admin:ingestion_hook_changelist"), form=form,
        )  # fmt: skip

    def has_delete_permission(self, request, obj=None):
        return False

    def save_model(self, request, obj, form, change):
        if not change:
            obj.created_by = request.user
        super().save_model(request, obj, form, change)
        if not change:
            given = form.cleaned_data["secret"]
            request.new_secret = "" if given else obj.new_secret()
            obj.add_secret(given or request.new_secret, by=request.user)

    def response_add(self, request, obj, post_url_continue=None):
        return self._made(request, obj, request.new_secret)

    def _made(self, request, hook, secret):
        """A secret made here is shown; one that was given is not."""
        back = reverse("admin:ingestion_hook_change", args=[hook.pk])
        if not secret:
            messages.success(request, gettext("The secret is kept. Enter the address below at the sender."))
            return redirect(back)
        return secret_page(
            request,
            secret,
            title=_("The secret of %(name)s") % {"name": hook},
            use=self._use(request, hook, secret),
            address=address_of(request, hook),
            back_url=back,
            sentence=_("Enter it at the sender with the address below: it is shown this once. If it gets lost, make a new one."),
        )

    def _use(self, request, hook, secret):
        if hook.scheme != "plain":
            return ""
        header = hook.header or "Authorization"
        return f"{header}: {'Bearer ' if header == 'Authorization' else ''}{secret}\n\n{address_of(request, hook)}/{secret}"

    @action(description=_("New secret"), permissions=["change"], icon="autorenew")
    def new_secret(self, request, object_id):
        hook = self.get_object(request, object_id)
        if hook is None:
            raise PermissionDenied
        if is_sent_again(request):
            return already_made(request, reverse("admin:ingestion_hook_change", args=[hook.pk]))
        form = NewSecretForm(hook.scheme, request.POST or None)
        if request.method == "POST" and form.is_valid():
            made = "" if form.cleaned_data["secret"] else hook.new_secret()
            until = timezone.now() + timedelta(hours=form.cleaned_data["hours"])
            hook.add_secret(form.cleaned_data["secret"] or made, by=request.user, former_until=until)
            return self._made(request, hook, made)
        return confirm_page(
            request,
            title=_("A new secret for %(name)s") % {"name": hook},
            sentences=[_("Both secrets are taken until the old one ends, so that nothing is refused while you exchange it.")],
            button=_("Keep the new secret"),
            back_url=reverse("admin:ingestion_hook_change", args=[hook.pk]),
            form=form,
        )

    @admin.display(description=_("address"))
    def address(self, hook):
        return format_html("<code>{}</code>", hook.root + _path_of(hook))

    @admin.display(description=_("secrets"))
    def secrets_kept(self, hook):
        rows = [
            (one.hint, date_format(timezone.localtime(one.created_at), "SHORT_DATETIME_FORMAT"), _state_of(one))
            for one in hook.secrets.all()
        ]
        return format_html_join(mark_safe("<br>"), "<code>{}</code> {} · {}", rows) if rows else "-"

    @display(description=_("state"), label={"active": "success", "off": "danger", "none": "danger"})
    def state(self, hook):
        if not hook.active:
            return "off", gettext("switched off")
        return ("active", gettext("active")) if hook.working_secrets(timezone.now()) else ("none", gettext("has no secret that works"))


def address_of(request, hook):
    return request.build_absolute_uri(_path_of(hook))


def _path_of(hook):
    return reverse("hook", args=[named("source", [hook.source_id])[hook.source_id].code])


def _state_of(secret):
    if unseal(secret.sealed) is None:
        return gettext("lost: the SECRET_KEY of this installation has changed")
    if secret.expires_at is None:
        return gettext("works")
    until = date_format(timezone.localtime(secret.expires_at), "SHORT_DATETIME_FORMAT")
    return (gettext("works until %(time)s") if secret.expires_at > timezone.now() else gettext("ended %(time)s")) % {"time": until}
