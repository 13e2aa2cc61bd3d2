import django.contrib.auth.admin  # noqa: F401 - registers what is taken away here
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from staff.admin.pages import ReadOnly
from staff.roles import ROLES, role_label

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(ModelAdmin):
    """Roles. Those of the product stand in staff/roles.py and are read-only here; a company may add its own."""

    when_empty = _("Roles say what somebody may do at all. Add one for what the product's own roles lack.")
    list_display = ["label", "own"]
    search_fields = ["name"]
    autocomplete_fields = ["permissions"]

    def has_change_permission(self, request, obj=None):
        return super().has_change_permission(request, obj) and getattr(obj, "name", None) not in ROLES

    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and getattr(obj, "name", None) not in ROLES

    @admin.display(description=_("role"), ordering="name")
    def label(self, group):
        return role_label(group.name)

    @admin.display(description=_("made by the company"), boolean=True)
    def own(self, group):
        return group.name not in ROLES


@admin.register(Permission)
class PermissionAdmin(ReadOnly, ModelAdmin):
    """Only so that the roles of a company can be put together by search."""

    search_fields = ["name", "codename"]

    def has_module_permission(self, request):
        return False

    def has_view_permission(self, request, obj=None):
        return request.user.has_perm("auth.view_permission") or request.user.has_perm("auth.change_group")
