from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ingestion.doors.files import Matching
from taxonomy.models import Source

# How the fingerprints of layouts of JSON begin.
JSON = "json:"


class FileMatchingQuerySet(models.QuerySet["FileMatching"]):
    def newest_of_each(self) -> "FileMatchingQuerySet":
        """Those in force: of each source and layout the newest."""
        newest = self.model.objects.filter(source=models.OuterRef("source"), fingerprint=models.OuterRef("fingerprint"))
        return self.filter(number=models.Subquery(newest.order_by("-number").values("number")[:1]))


class FileMatching(models.Model):
    """What the columns of one of a source's files mean. Never changed: another is made, and the newest of a layout is in force."""

    source = models.ForeignKey(Source, models.PROTECT, related_name="matchings", verbose_name=_("source"))
    number = models.PositiveIntegerField(_("number"), help_text=_("Counted for each source."))
    headings = models.JSONField(default=list, help_text="The columns of the layout, in the order of the file it was made with")
    fingerprint = models.CharField(max_length=32, help_text="Of the headings in any order, see ingestion/imports/matchings.py")
    definition = models.JSONField(default=dict, help_text="A Matching")
    again = models.PositiveIntegerField(_("as number"), null=True, help_text=_("The earlier matching that it brings back."))
    file_name = models.CharField(_("made with"), max_length=255, blank=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    made_at = models.DateTimeField(_("made"), default=timezone.now)

    objects = FileMatchingQuerySet.as_manager()

    class Meta:
        ordering = ["-made_at", "-id"]
        default_permissions = ("view", "add")
        verbose_name = _("matching of columns")
        verbose_name_plural = _("matchings of columns")
        constraints = [models.UniqueConstraint(fields=["source", "number"], name="file_matching_once")]
        indexes = [models.Index(fields=["source", "fingerprint", "-number"], name="file_matching_layout")]

    def __str__(self) -> str:
        return _("matching %(number)s") % {"number": self.number}

    @property
    def called(self) -> str:
        """As whoever sends such files knows it: the file it was made with, else the first headings."""
        return self.file_name or ", ".join(self.headings[:3])

    @property
    def is_json(self) -> bool:
        """Whether it was made with objects of JSON, which need not all have every name."""
        return self.fingerprint.startswith(JSON)

    @property
    def matching(self) -> Matching:
        return Matching.of(self.definition)
