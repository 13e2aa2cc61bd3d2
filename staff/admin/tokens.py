from datetime import timedelta

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from staff.admin.pages import MadeOnce, OneButton, Unalterable, confirm_page, secret_page
from staff.models import ReadToken

SCOPES = [("customers", _("customers, as far as you may see them")), ("plan", _("the tracking plan"))]
LIFETIMES = [(7, _("a week")), (30, _("30 days")), (90, _("90 days")), (365, _("a year"))]


class NewTokenForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(label=_("May read"), choices=SCOPES, widget=UnfoldAdminCheckboxSelectMultipleWidget)
    days = forms.TypedChoiceField(
        label=_("Works for"), choices=LIFETIMES, coerce=int, initial=30, widget=UnfoldAdminSelectWidget,
        help_text=_("After that it stops by itself."),
    )  # fmt: skip

    class Meta:
        model = ReadToken
        fields = ["name", "scopes"]

    def clean_days(self):
        days = self.cleaned_data["days"]
        if days not in dict(LIFETIMES):
            raise ValidationError(_("Choose how long it works."))
        return days


def _example(api: str, token: ReadToken) -> str:
    """A command line that reads with the token, whose secret <token> stands for."""
    if "plan" in token.scopes:
        return f'curl {api}/plan -H "Authorization: Bearer <token>"'
    return (
        f"curl {api}/customers/lookup \\\n"
        '  -H "Authorization: Bearer <token>" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        '  -d \'{"phone": "+86 138 0013 8000"}\''
    )


@admin.register(ReadToken)
class ReadTokenAdmin(MadeOnce, Unalterable, OneButton):
    """A person's own tokens for reading by API; nobody sees another's."""

    when_empty = _("A read token lets a program of yours read what you may read. Add one; it is shown once.")
    list_display = ["name", "hint_shown", "scopes_shown", "state", "expires_at", "last_used_at"]
    fields = ["name", "hint", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at"]
    actions = None
    actions_detail = ["revoke"]

    def get_queryset(self, request):
        return super().get_queryset(request).filter(user=request.user)

    def get_form(self, request, obj=None, change=False, **kwargs):
        if obj is None:
            kwargs["form"] = NewTokenForm
            kwargs["fields"] = ["name", "scopes"]
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request, obj=None):
        return self.fields if obj else ["name", "scopes", "days"]

    def get_readonly_fields(self, request, obj=None):
        return self.fields if obj else []

    def save_model(self, request, obj, form, change):
        obj.user = request.user
        obj.expires_at = timezone.now() + timedelta(days=form.cleaned_data["days"])
        request.new_secret = obj.set_secret()
        super().save_model(request, obj, form, change)

    def response_add(self, request, obj, post_url_continue=None):
        return secret_page(
            request,
            request.new_secret,
            title=_("Your read token: %(name)s") % {"name": obj.name},
            use=_example(request.build_absolute_uri("/api/v1"), obj).replace("<token>", request.new_secret),
            back_url=reverse("admin:staff_readtoken_changelist"),
        )

    @action(description=_("Revoke"), permissions=["view"], icon="block")
    def revoke(self, request, object_id):
        token = self.get_object(request, object_id)
        if token is None:
            raise PermissionDenied
        back = reverse("admin:staff_readtoken_changelist")
        if request.method == "POST":
            ReadToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
            messages.success(request, gettext("The token %(name)s does not work any more.") % {"name": token.name})
            return redirect(back)
        return confirm_page(
            request,
            title=_("Revoke the token %(name)s") % {"name": token.name},
            sentences=[_("Whatever uses it gets the answer 401 from the next request on. This cannot be undone; a new token can be made.")],
            button=_("Revoke"),
            back_url=back,
            danger=True,
        )

    @admin.display(description=_("begins with"))
    def hint_shown(self, token):
        return f"{token.hint}…"

    @admin.display(description=_("may read"))
    def scopes_shown(self, token):
        names = dict(SCOPES)
        return "; ".join(str(names.get(scope, scope)) for scope in token.scopes)

    @display(description=_("state"), label={"works": "success", "expired": "warning", "revoked": "danger"})
    def state(self, token):
        if token.revoked_at:
            return "revoked", gettext("revoked")
        if token.expires_at <= timezone.now():
            return "expired", gettext("expired")
        return "works", gettext("works")
