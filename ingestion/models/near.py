from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from profiles.models import Event
from taxonomy.models import Source, Tag


class NearDuplicateSetting(models.Model):
    """What a source's near-duplicates are, and what becomes of them. It obeys at once: no release holds it."""

    WINDOW_SECONDS = 10
    MOST_SECONDS = 3_600

    source = models.OneToOneField(Source, models.CASCADE, primary_key=True, db_constraint=False, related_name="+")
    window_seconds = models.PositiveSmallIntegerField(
        _("window in seconds"), default=WINDOW_SECONDS, validators=[MaxValueValidator(MOST_SECONDS)],
        help_text=_("Two events that say the same are near-duplicates when they occurred at most so many seconds apart, such as 10. 0: none are looked for."),
    )  # fmt: skip
    merge = models.BooleanField(
        _("merge by itself"), default=False,
        help_text=_("Count only the first of them. From now on; what was found before is merged with the button below. Each can be let count again."),
    )  # fmt: skip

    class Meta:
        verbose_name = _("setting of near-duplicates")
        verbose_name_plural = _("settings of near-duplicates")
        default_permissions = ()


class NearDuplicate(models.Model):
    """An event that says what another said shortly before or after. Found by ingestion/accepted/near.py alone.

    `of` is no near-duplicate itself: whatever repeats in a row is measured from the one that stands.
    """

    class State(models.TextChoices):
        MARKED = "marked", _("marked")
        MERGED = "merged", _("merged")
        KEPT = "kept", _("both count")

    event = models.OneToOneField(Event, models.CASCADE, primary_key=True, db_constraint=False, related_name="near_duplicate")
    of = models.ForeignKey(Event, models.CASCADE, db_constraint=False, related_name="near_duplicates")
    source = models.ForeignKey(Source, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    tag = models.ForeignKey(Tag, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    window_seconds = models.PositiveSmallIntegerField(help_text="The source's when it was found")
    found_at = models.DateTimeField(_("found"))
    state = models.CharField(_("state"), max_length=6, choices=State)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-found_at", "-event"]
        verbose_name = _("near-duplicate")
        verbose_name_plural = _("near-duplicates")
        default_permissions = ("view", "change")
        indexes = [models.Index(fields=["source", "state", "-found_at"], name="near_of_source")]


class Unpaired(models.Model):
    """A run of event ids that are to be looked at for near-duplicates: new ones, and those that changed since."""

    id = models.BigAutoField(primary_key=True)
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()

    class Meta:
        default_permissions = ()
