from django.conf import settings
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from staff.models import Department
from taxonomy.models.items import Category


class Grant(models.Model):
    """Who may do one thing in one place of the standard. A place without rows for it follows the place above; see taxonomy/rights.py."""

    class May(models.TextChoices):
        READ = "read", _("read it")
        PROPOSE = "propose", _("change and propose")
        REVIEW = "review", _("sign for the own department")
        RELEASE = "release", _("release it")
        EMERGENCY = "emergency", _("release it without sign-off")

    department = models.ForeignKey(
        Department, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("department"),
        help_text=_("Everybody of this department whose role allows it."),
    )  # fmt: skip
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("or one colleague"),
        help_text=_("This colleague alone, if their role allows it."),
    )  # fmt: skip
    may = models.CharField(_("may"), max_length=10, choices=May, help_text=_("Whoever is named here may read it in any case."))
    category = models.ForeignKey(
        Category, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("in this category"),
        help_text=_("Its tags, all categories below it, and attributes that nothing else uses."),
    )  # fmt: skip
    sources_of = models.ForeignKey(
        Department, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("or in the sources of"),
        help_text=_("The sources that this department owns, with their mapping rules. Neither of the two: the whole standard."),
    )  # fmt: skip

    class Meta:
        ordering = ["category__position", "category__code", "sources_of", "may", "department", "person"]
        verbose_name = _("entry of who may what")
        verbose_name_plural = _("who may what")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(department=None) ^ models.Q(person=None), name="grant_to_one",
                violation_error_message=_("Choose a department or a colleague, one of the two."),
            ),
            models.CheckConstraint(
                condition=models.Q(category=None) | models.Q(sources_of=None), name="grant_in_one_place",
                violation_error_message=_("Choose a category or the sources of a department, not both; neither for the whole standard."),
            ),
            models.UniqueConstraint(
                fields=["department", "person", "may", "category", "sources_of"], nulls_distinct=False, name="grant_once",
                violation_error_message=_("This stands here already."),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return gettext("%(who)s: %(what)s in %(place)s") % {"who": self.who, "what": self.get_may_display(), "place": self.place}

    @property
    def who(self) -> str:
        return str(self.person or self.department)

    @property
    def place(self) -> str:
        if self.category:
            return self.category.label
        return gettext("sources of %(department)s") % {"department": self.sources_of} if self.sources_of else gettext("the whole standard")
