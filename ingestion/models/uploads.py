import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ingestion.models.imports import ImportRun
from taxonomy.models import Source


class Upload(models.Model):
    """A file that a source sends by the API, part by part. Once it is whole, it is an import; what the caller knows is this id."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(Source, models.PROTECT, related_name="+", verbose_name=_("source"))
    file_name = models.CharField(_("file"), max_length=255)
    size_bytes = models.BigIntegerField(_("size"))
    # As far as it is on disk: what a killed process wrote beyond it is written again.
    received_bytes = models.BigIntegerField(default=0)
    said = models.JSONField(default=dict, help_text="How the caller says the file is to be read: Choices")
    dry_run = models.BooleanField(_("dry run"), default=False)
    run = models.ForeignKey(ImportRun, models.SET_NULL, null=True, related_name="+")
    error = models.CharField(max_length=60, blank=True, help_text="Code of why the whole file could not be read")
    error_values = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), help_text="What was seen, by name")
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    changed_at = models.DateTimeField(_("changed"), default=timezone.now)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["source", "changed_at"], name="upload_by_source")]

    @property
    def is_whole(self) -> bool:
        return self.received_bytes >= self.size_bytes
