"""What arrived, counted by day: first verdicts, by the company's days of `received_at`. Written by ingestion/watching/rollup.py alone."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from taxonomy.models import Release, Source, Tag


class Daily(models.Model):
    id = models.BigAutoField(primary_key=True)
    day = models.DateField(_("day"))
    source = models.ForeignKey(Source, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    tag = models.ForeignKey(Tag, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    count = models.BigIntegerField(default=0)

    class Meta:
        abstract = True
        default_permissions = ()


class ReadingDay(Daily):
    """Events by how they were read. `hours`: bit n is set when some came in hour n of that day."""

    rule = models.UUIDField(null=True)
    release = models.ForeignKey(Release, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    source_version = models.CharField(max_length=40, default="")
    accepted = models.BooleanField()
    hours = models.IntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta(Daily.Meta):
        abstract = False
        constraints = [
            models.UniqueConstraint(
                fields=["day", "source", "tag", "rule", "release", "source_version", "accepted"], name="reading_day_once",
                nulls_distinct=False,
            )
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["source", "day"]),
            models.Index(fields=["tag", "day"]),
            models.Index(fields=["rule"], condition=models.Q(rule__isnull=False), name="reading_day_rule"),
        ]


class StoredHour(models.Model):
    """Events stored, by first verdict and the clock's hour in the company's zone: what answers are held against. Kept two days."""

    source = models.ForeignKey(Source, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    hour = models.DateTimeField()
    accepted = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["source", "hour"], name="stored_hour_once")]


class ViolationDay(Daily):
    """Violations by kind. A path that the sender can choose freely is left out, lest the table grow at its will."""

    class Effect(models.TextChoices):
        HELD = "held", _("held the event")
        NOTED = "noted", _("only noted")
        WATCHED = "watched", _("watched: would have held it")

    code = models.CharField(max_length=60)
    path = models.CharField(max_length=200, default="")
    release = models.ForeignKey(Release, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    source_version = models.CharField(max_length=40, default="")
    effect = models.CharField(max_length=8, choices=Effect)

    class Meta(Daily.Meta):
        abstract = False
        constraints = [
            models.UniqueConstraint(
                fields=["day", "source", "tag", "code", "path", "release", "source_version", "effect"], name="violation_day_once",
                nulls_distinct=False,
            )
        ]  # fmt: skip
        indexes = [models.Index(fields=["source", "day"]), models.Index(fields=["tag", "day"])]


class AttributeDay(Daily):
    """Accepted events of a tag that carried an attribute, by its code."""

    attribute = models.CharField(max_length=120)

    class Meta(Daily.Meta):
        abstract = False
        constraints = [
            models.UniqueConstraint(fields=["day", "source", "tag", "attribute"], name="attribute_day_once", nulls_distinct=False)
        ]
        indexes = [models.Index(fields=["tag", "day"])]


class Seen(models.Model):
    """An event name or attribute that the standard does not know, and what is known of it."""

    class Kind(models.TextChoices):
        NAME = "name", _("event name")
        ATTRIBUTE = "attribute", _("attribute")
        # what came of a source under names beyond the first few hundred: it has no name
        REST = "rest", _("names beyond the limit")

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    source = models.ForeignKey(Source, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+", verbose_name=_("source"))
    tag = models.ForeignKey(Tag, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+", verbose_name=_("tag"))
    name = models.CharField(_("as sent"), max_length=200, default="")
    count = models.BigIntegerField(_("events"), default=0)
    first_at = models.DateTimeField(_("first seen"))
    last_at = models.DateTimeField(_("last seen"))
    kinds = models.JSONField(default=dict, help_text="{kind of value: how many}, see ingestion/discovery/values.py")
    examples = models.JSONField(default=list, help_text="A few values, masked")

    class Meta:
        abstract = True
        default_permissions = ()


class DiscoveredQuerySet(models.QuerySet["Discovered"]):
    def to_decide_on(self) -> "DiscoveredQuerySet":
        """Names and attributes, with their source and tag; without those whose source or tag was deleted meanwhile."""
        named = self.exclude(kind=Seen.Kind.REST).select_related("source", "tag")
        return named.filter(models.Q(kind=Seen.Kind.NAME) | models.Q(tag__code__isnull=False), source__code__isnull=False)


class Discovered(Seen):
    """One row a name; written once an hour at most, see Sighting."""

    EXAMPLES = 3

    written_at = models.DateTimeField()

    objects = DiscoveredQuerySet.as_manager()

    class Meta(Seen.Meta):
        abstract = False
        ordering = ["-count", "id"]
        verbose_name = _("discovered name")
        verbose_name_plural = _("discovered names")
        constraints = [models.UniqueConstraint(fields=["source", "kind", "tag", "name"], name="discovered_once", nulls_distinct=False)]

    def __str__(self) -> str:
        return self.name

    def add(self, one: "Sighting") -> None:
        """Take in what was seen since; the caller saves."""
        self.count += one.count
        if one.again:
            return
        self.first_at, self.last_at = min(self.first_at, one.first_at), max(self.last_at, one.last_at)
        self.kinds = {kind: self.kinds.get(kind, 0) + one.kinds.get(kind, 0) for kind in self.kinds | one.kinds}
        self.examples = [*self.examples, *(example for example in one.examples if example not in self.examples)][: self.EXAMPLES]


class Sighting(Seen):
    """What was seen of a name since its row was last written; below zero what was taken back. Rows are only added, and taken when their hour has come."""

    # whether events of it were taken back or put back: but for the count, what is left is read again
    again = models.BooleanField(db_default=False, default=False)

    class Meta(Seen.Meta):
        abstract = False


class Ignored(models.Model):
    """A discovered name left alone on purpose, until a date. Undone or over, it stays as history."""

    discovered = models.ForeignKey(Discovered, models.CASCADE, related_name="ignorings")
    reason = models.CharField(_("why"), max_length=300)
    until = models.DateField(_("until"))
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("when"), default=timezone.now)
    undone_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    undone_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["discovered"], condition=models.Q(undone_at=None), name="ignored_once"),
        ]

    def __str__(self) -> str:
        return self.reason


class Stream(models.Model):
    """What comes of one tag from one source, judged against its own rhythm. No tag: all of the source; no source: all of the tag."""

    class State(models.TextChoices):
        NEW = "new", _("too new to judge")
        ALIVE = "alive", _("as usual")
        STOPPED = "stopped", _("has stopped")
        GONE = "gone", _("gone for long")

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    tag = models.ForeignKey(Tag, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    state = models.CharField(_("state"), max_length=8, choices=State)
    usual = models.CharField(max_length=12, default="", help_text="Its rhythm, see ingestion/watching/rhythm.py")
    usual_days = models.FloatField(default=0, help_text="Days between two active days, in the middle")
    first_day = models.DateField()
    last_at = models.DateTimeField()
    week = models.BigIntegerField(default=0, help_text="Events of the last seven days")
    week_before = models.BigIntegerField(default=0)
    judged_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["source", "tag"], name="stream_once", nulls_distinct=False)]

    def __str__(self) -> str:
        return f"{self.source_id} {self.tag_id} {self.state}"


class Stopped(models.Model):
    """A stream that has stopped and of which its owners were told, until it is back. Over, it stays as history."""

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    tag = models.ForeignKey(Tag, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    last_at = models.DateTimeField(help_text="When the last event came before it stopped")
    stopped_at = models.DateTimeField(help_text="When it was judged to have stopped")
    back_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["source", "tag"], condition=models.Q(back_at=None), name="stopped_once", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return f"{self.source_id} {self.tag_id} {self.stopped_at}"
