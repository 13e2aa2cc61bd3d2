import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from taxonomy.models import Release, Source


class ImportRun(models.Model):
    """One file being imported, or tried without storing. Its id is its batch's id."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("to be checked")
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        FINISHED = "finished", _("finished")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(Source, models.PROTECT, related_name="imports", verbose_name=_("source"))
    path = models.TextField(_("stored at"), editable=False)
    file_name = models.CharField(_("file"), max_length=255)
    size_bytes = models.BigIntegerField(_("size"), default=0)
    sha256 = models.CharField(_("fingerprint"), max_length=64, blank=True)
    format = models.JSONField(default=dict, help_text="How the file is read: a FileFormat, with its matching")
    matching = models.ForeignKey(
        "ingestion.FileMatching", models.PROTECT, null=True, related_name="imports", verbose_name=_("matching of columns"),
        help_text="Which one the format holds; null: the source's envelope reads the rows",
    )  # fmt: skip
    dry_run = models.BooleanField(_("dry run"), default=False, help_text=_("Report what would happen, store nothing."))
    release = models.ForeignKey(Release, models.PROTECT, null=True, related_name="+", verbose_name=_("release"))
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.WAITING)
    read_bytes = models.BigIntegerField(default=0, help_text="Bytes of the stored file read so far, for progress")
    error = models.TextField(_("error"), blank=True)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    created_at = models.DateTimeField(_("uploaded"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = _("import")
        verbose_name_plural = _("imports")

    def __str__(self) -> str:
        return self.file_name


class TrialKey(models.Model):
    """An event of a file that is only tried, so that the same one in another block counts as its duplicate. Gone when the try ends."""

    run = models.ForeignKey(ImportRun, models.CASCADE, related_name="trial_keys", db_index=False)
    key = models.BinaryField(max_length=32)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="trial_key_once")]
        default_permissions = ()


class ImportChunk(models.Model):
    """A finished stretch of a file, written in the transaction that stored its events: it is done, or it never was."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(ImportRun, models.CASCADE, related_name="chunks")
    index = models.IntegerField(help_text="0-based position in the file")
    rows = models.IntegerField()
    first_row = models.BigIntegerField(help_text="1-based number of its first record")
    counts = models.JSONField(
        default=dict,
        help_text="accepted, changed, duplicate, quarantined, refused; skipped: headers within the file; in a dry run created and joined: customers",
    )
    causes = models.JSONField(default=dict, help_text="{code: count} of reasons in this chunk")
    notes = models.JSONField(default=dict, help_text="{code: rows} of what was only noted in this chunk")
    failed_rows = models.JSONField(default=list, help_text="[[row number, event id or null, [codes]]] of rows held or refused")
    examples = models.JSONField(default=dict, help_text="{what became of it: [[row number, its bytes in base64]]}, in a dry run")
    traps = models.JSONField(
        default=list,
        db_default=models.Value([], models.JSONField()),
        help_text="what may be read otherwise: [[kind, column, row number, cell, [meanings]]]",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "index"], name="chunk_once")]
        default_permissions = ()
