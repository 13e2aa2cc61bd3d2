import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from profiles.models import Event
from taxonomy.models import Release, Source, Tag


class Replay(models.Model):
    """Events read again, held ones or those accepted in the past, or let go of: which, by which release, and what came of it."""

    class Act(models.TextChoices):
        READ = "read", _("read again")
        DISCARD = "discard", _("discarded")
        PAST = "past", _("the past read anew")

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        STOPPED = "stopped", _("stopped")
        FINISHED = "finished", _("finished")
        FAILED = "failed", _("failed")
        UNDOING = "undoing", _("being taken back")
        UNDONE = "undone", _("taken back")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    act = models.CharField(_("what"), max_length=8, choices=Act, default=Act.READ)
    # which events: of one source, code, place and name as sent; empty: whatever it is
    source = models.ForeignKey(Source, models.PROTECT, null=True, related_name="+", verbose_name=_("source"))
    code = models.CharField(_("reason"), max_length=60, blank=True)
    path = models.CharField(_("where"), max_length=200, blank=True)
    name = models.CharField(_("event name as sent"), max_length=200, null=True)
    event = models.ForeignKey(
        Event, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+", verbose_name=_("event alone")
    )
    # which of the past: of one source, perhaps of one tag, received in this window
    tag = models.ForeignKey(Tag, models.DO_NOTHING, null=True, db_constraint=False, related_name="+", verbose_name=_("tag"))
    since = models.DateTimeField(_("received from"), null=True)
    until = models.DateTimeField(_("received before"), null=True)
    last_event_id = models.BigIntegerField(help_text="What arrives after it was asked for is not its business")
    mends = models.JSONField(
        default=list,
        help_text='[{"path", "seen" or "any", "target", "value", "key"}]: what to give where a violation saw what, with a key of one event alone',
    )
    why = models.TextField(_("why"), blank=True)
    release = models.ForeignKey(Release, models.PROTECT, null=True, related_name="+", verbose_name=_("release"))
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.WAITING)
    stop_asked = models.BooleanField(default=False)
    seen = models.BigIntegerField(default=0, help_text="Since it last began: how far it is")
    to_undo = models.BigIntegerField(default=0, help_text="Once it is being taken back: the events to look at; `seen` counts them")
    in_all = models.BigIntegerField(_("events"), default=0)
    fixed = models.BigIntegerField(_("fixed"), default=0)
    held = models.BigIntegerField(_("still held"), default=0)
    discarded = models.BigIntegerField(_("discarded"), default=0)
    untouched = models.BigIntegerField(_("untouched"), default=0)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    created_at = models.DateTimeField(_("asked for"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True)
    undone_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("taken back by"))
    undone_at = models.DateTimeField(_("taken back"), null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = _("replay")
        verbose_name_plural = _("replays")
        default_permissions = ("view", "add")

    @property
    def is_of_past(self) -> bool:
        return self.act == self.Act.PAST


class Meant(models.Model):
    """The very events that a replay is about, a part of them in each row; where there is none it is about all that it says which."""

    id = models.BigAutoField(primary_key=True)
    replay = models.ForeignKey(Replay, models.CASCADE, related_name="+")
    events = ArrayField(models.BigIntegerField())

    class Meta:
        default_permissions = ()


class ReplayOffer(models.Model):
    """What the newest release would let in of what a source has held, until somebody reads it again."""

    source = models.OneToOneField(Source, models.CASCADE, related_name="+", primary_key=True)
    release = models.ForeignKey(Release, models.CASCADE, related_name="+")
    events = models.BigIntegerField(help_text="Of those tried, the ones it would let in")
    tried = models.BigIntegerField()
    in_all = models.BigIntegerField()

    class Meta:
        ordering = ["source"]
        default_permissions = ()


class Replayed(models.Model):
    """What one replay made of one event; what it made of none is done again when it goes on."""

    class Outcome(models.IntegerChoices):
        FIXED = 1, _("fixed")
        HELD = 2, _("still held")
        DISCARDED = 3, _("discarded")

    id = models.BigAutoField(primary_key=True)
    # Checked row by row in each commit: 2 µs an event, a twentieth of what the database spends on it. No replay is ever deleted.
    replay = models.ForeignKey(Replay, models.CASCADE, related_name="replayed", db_index=False, db_constraint=False)
    event = models.ForeignKey(Event, models.CASCADE, db_constraint=False, related_name="replayed")
    outcome = models.SmallIntegerField(choices=Outcome)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["replay", "event"], name="replayed_once")]
        indexes = [models.Index(fields=["replay", "event"], condition=models.Q(outcome=2), name="replayed_held")]

    @property
    def is_undone(self) -> bool:
        return self.replay.status == Replay.Status.UNDONE
