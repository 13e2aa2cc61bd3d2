from django.contrib import admin
from django.db.models import Count
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from staff.models import Department


@admin.register(Department)
class DepartmentAdmin(ModelAdmin):
    when_empty = _("Departments own tags and sign changes. Add those that agree on the standard, such as Marketing and Sales.")
    list_display = ["label", "code", "members"]
    search_fields = ["code", "label_en", "label_zh_hans"]
    compressed_fields = True

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(member_count=Count("members"))

    def get_readonly_fields(self, request, obj=None):
        return ["code"] if obj else []

    def get_deleted_objects(self, objs, request):
        """A duty that no other department has protects the department, as what refers to it does."""
        going, counts, lacking, protected = super().get_deleted_objects(objs, request)
        last = Department.objects.filter(pk__in=[one.pk for one in objs]).last_of_duty()
        return going, counts, lacking, [*protected, *(one.why_it_stays for one in last)]

    @admin.display(description=_("name"), ordering="label_en")
    def label(self, department):
        return department.label

    @admin.display(description=_("colleagues"), ordering="member_count")
    def members(self, department):
        return department.member_count
