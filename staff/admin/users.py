from axes.utils import reset as unlock_log_ins
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelect2Widget

from staff.admin.leaving import close_page
from staff.admin.pages import OneButton, confirm_page
from staff.forms import zone_choices
from staff.invite import send_invitation
from staff.leaving import hindrances
from staff.models import User
from staff.roles import role_label


class RolesField(forms.ModelMultipleChoiceField):
    def label_from_instance(self, group):
        return role_label(group.name)


class UserForm(forms.ModelForm):
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=zone_choices,
        required=False,
        widget=UnfoldAdminSelect2Widget,
        help_text=_("Times are shown in it."),
    )
    groups = RolesField(
        label=_("Roles"),
        queryset=Group.objects.order_by("name"),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("What this person may see and do. Without a role: nothing but their own account."),
    )

    class Meta:
        model = User
        fields = ["email", "name", "department", "groups", "language", "time_zone", "is_superuser"]


@admin.register(User)
class UserAdmin(OneButton):
    """Colleagues. Nobody sets another's password: whoever is invited chooses it by a link sent to their mailbox."""

    when_empty = _("Colleagues are invited by e-mail and choose their own password. Invite the first one.")
    form = UserForm
    list_display = ["name_shown", "email", "department", "roles", "state"]
    list_filter = ["department", "groups", "is_active"]
    list_select_related = ["department"]
    search_fields = ["name"]
    search_help_text = _("By name")
    actions = None
    actions_detail = ["invite_again", "unlock", "close_account"]
    compressed_fields = True

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("groups")

    def get_fieldsets(self, request, obj=None):
        rights = ["groups"]
        if request.user.is_superuser:
            rights.append("is_superuser")
        return [
            (
                None,
                {
                    "fields": ["email", "name", "department"],
                    "description": None if obj else _("An invitation goes to this address; whoever reads it chooses their own password."),
                },
            ),
            (_("May do"), {"fields": rights}),
            (_("Reads"), {"fields": ["language", "time_zone"]}),
        ]

    def get_form(self, request, obj=None, change=False, **kwargs):
        form = super().get_form(request, obj, change=change, **kwargs)
        if obj is None and "language" in form.base_fields:
            form.base_fields["language"].help_text = _("The invitation is written in it. Empty: the company's.")
        return form

    # a superuser is changed by superusers only; a person with a past is switched off, not deleted

    def has_change_permission(self, request, obj=None):
        if isinstance(obj, User) and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request, obj=None):
        if isinstance(obj, User) and (obj.last_login is not None or obj == request.user or any(hindrances(obj, by=request.user))):
            return False
        return super().has_delete_permission(request, obj)

    def save_model(self, request, obj, form, change):
        if not change:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)

    def response_add(self, request, obj, post_url_continue=None):
        self._invite(request, obj)
        return redirect("admin:staff_user_changelist")

    def _invite(self, request, person):
        try:
            send_invitation(person, invited_by=request.user, request=request)
        except OSError:
            messages.error(
                request,
                gettext(
                    "The account was made, but the mail server did not take the invitation. Check the EMAIL settings, then invite again."
                ),
            )
        else:
            messages.success(request, gettext("An invitation is on its way to %(name)s.") % {"name": person})

    @action(description=_("Invite again"), permissions=["change"], icon="forward_to_inbox")
    def invite_again(self, request, object_id):
        person = self._person(request, object_id)
        back = reverse("admin:staff_user_change", args=[person.pk])
        if request.method == "POST":
            self._invite(request, person)
            return redirect(back)
        return confirm_page(
            request,
            title=_("Invite again"),
            sentences=[_("A new link goes to %(email)s. It lets them choose a password, once.") % {"email": person.email}],
            button=_("Send the invitation"),
            back_url=back,
        )

    @action(description=_("Unlock"), permissions=["change"], icon="lock_open")
    def unlock(self, request, object_id):
        person = self._person(request, object_id)
        back = reverse("admin:staff_user_change", args=[person.pk])
        if request.method == "POST":
            unlock_log_ins(username=person.email.lower())
            messages.success(request, gettext("%(name)s can log in again.") % {"name": person})
            return redirect(back)
        return confirm_page(
            request,
            title=_("Unlock"),
            sentences=[_("Forget the failed log-ins of %(name)s, so that they can try again at once.") % {"name": person}],
            button=_("Unlock"),
            back_url=back,
        )

    @action(description=_("Close or open the account"), permissions=["change"], icon="person_off")
    def close_account(self, request, object_id):
        return close_page(request, self._person(request, object_id))

    def _person(self, request, object_id):
        person = self.get_object(request, object_id)
        if person is None or not self.has_change_permission(request, person):
            raise PermissionDenied
        return person

    @admin.display(description=_("name"), ordering="name")
    def name_shown(self, person):
        return person.get_full_name()

    @admin.display(description=_("roles"))
    def roles(self, person):
        names = [role_label(group.name) for group in person.groups.all()]
        return ", ".join(([gettext("superuser")] if person.is_superuser else []) + names) or "–"

    @display(description=_("state"), label={"active": "success", "invited": "info", "off": "danger"})
    def state(self, person):
        if not person.is_active:
            return "off", gettext("switched off")
        if not person.has_usable_password():
            return "invited", gettext("invited")
        return "active", gettext("active")
