import json
import uuid
from decimal import Decimal
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from taxonomy.models import Release, Source, Tag


class Exactly(json.JSONDecoder):
    """Decimals come back with the digits they went in with."""

    def __init__(self, **more: Any) -> None:
        super().__init__(parse_float=Decimal, **more)


class Batch(models.Model):
    """One delivery: a request or a file."""

    class Door(models.TextChoices):
        API = "api", _("API")
        FILE = "file", _("file")
        SEGMENT = "segment", "Segment"
        HOOK = "hook", _("webhook")
        CLOUDEVENTS = "cloudevents", "CloudEvents"
        MQTT = "mqtt", "MQTT"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(Source, models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    door = models.CharField(_("door"), max_length=12, choices=Door)
    key_id = models.BigIntegerField(_("write key"), null=True)
    format = models.JSONField(null=True, help_text="For a file: how its rows are read, e.g. columns and delimiter")
    received_at = models.DateTimeField(_("received"))

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["source", "-received_at"])]


class Event(models.Model):
    """One record that arrived and is no duplicate: what is fixed, its current reading, and its standing.

    Accepted and held events alike live here, so that a source and message id is one event whatever its verdict.
    """

    class Standing(models.IntegerChoices):
        COUNTED = 1, _("counted")
        HELD = 2, _("held")
        TAKEN_BACK = 3, _("taken back")
        CORRECTED = 4, _("corrected by a later sending")
        DISCARDED = 5, _("discarded")
        MERGED = 6, _("merged into another")

    id = models.BigAutoField(primary_key=True)
    key = models.BinaryField(max_length=16, unique=True, help_text="16-byte hash of source and message id")
    source = models.ForeignKey(Source, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    batch = models.ForeignKey(Batch, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="events")
    message_id = models.TextField(_("message id"), null=True, help_text="As sent; null when derived")
    name = models.TextField(_("event name as sent"), null=True)
    received_at = models.DateTimeField(_("received"))
    standing = models.SmallIntegerField(_("standing"), choices=Standing)
    take_back_id = models.BigIntegerField(
        null=True, help_text="The act that took it back; null again when another sending took its key over"
    )
    corrected_by_id = models.BigIntegerField(null=True, help_text="The event that corrected it while it was held")
    # the reading; null while held
    occurred_at = models.DateTimeField(_("occurred"), null=True)
    subject = models.ForeignKey(
        "profiles.Subject", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="events"
    )
    tag = models.ForeignKey(Tag, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    attributes = models.JSONField(null=True, decoder=Exactly)
    extra = models.JSONField(null=True, decoder=Exactly, help_text="Unplanned attributes, set aside; null when none")
    identifiers = models.JSONField(null=True, decoder=Exactly, help_text="{kind: value}, normalized; null when none")
    refinements = ArrayField(models.TextField(), null=True)
    report = models.JSONField(null=True, decoder=Exactly, help_text='{"changes": [...], "violations": [...]}; null when none')
    rule_id = models.UUIDField(null=True)
    release = models.ForeignKey(Release, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    source_version = models.TextField(_("source version"), null=True, help_text="As sent, such as an app's 4.2.0")
    read_by = models.UUIDField(null=True, help_text="The replay that gave this reading; null: read when it arrived")

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["subject", "occurred_at", "id"], name="event_timeline"),
            models.Index(fields=["-received_at", "id"], condition=models.Q(standing=2), name="event_held"),
            models.Index(fields=["id"], condition=models.Q(standing=2), name="event_held_id"),
            models.Index(fields=["take_back_id", "id"], condition=models.Q(take_back_id__isnull=False), name="event_taken_back"),
            models.Index(fields=["corrected_by_id"], condition=models.Q(corrected_by_id__isnull=False), name="event_corrected"),
            # Rows lie in the order they came, so this index of a few pages finds a delivery, or a day, without a pass over all.
            BrinIndex(fields=["received_at"], autosummarize=True, name="event_received"),
        ]

    @property
    def public_id(self) -> str:
        """32 hex digits: what a caller and a failed-rows file know this event by."""
        return bytes(self.key).hex()


class FormerReading(models.Model):
    """A reading that an event had before another took its place. The first one holds its first verdict."""

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(Event, models.CASCADE, db_constraint=False, related_name="former_readings")
    replaced_at = models.DateTimeField(_("replaced"), auto_now_add=True)
    replaced_by = models.UUIDField(help_text="The replay that read it anew")
    read_by = models.UUIDField(null=True)
    standing = models.SmallIntegerField(_("standing"), choices=Event.Standing)
    occurred_at = models.DateTimeField(null=True)
    subject_id = models.BigIntegerField(null=True)
    tag_id = models.UUIDField(null=True)
    attributes = models.JSONField(null=True, decoder=Exactly)
    extra = models.JSONField(null=True, decoder=Exactly)
    identifiers = models.JSONField(null=True, decoder=Exactly)
    refinements = ArrayField(models.TextField(), null=True)
    report = models.JSONField(null=True, decoder=Exactly)
    rule_id = models.UUIDField(null=True)
    release_id = models.BigIntegerField(null=True)

    class Meta:
        default_permissions = ()


class Original(models.Model):
    """The exact bytes of an event's record; of a record with many events they are stored once, with `holder`."""

    event = models.OneToOneField(Event, models.CASCADE, primary_key=True, db_constraint=False, related_name="original")
    record = models.BinaryField(null=True)
    holder = models.ForeignKey("self", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    item = models.IntegerField(null=True, help_text="Which event of the record, when one record holds many")

    class Meta:
        default_permissions = ()

    @property
    def whole_record(self) -> bytes:
        found = self.record if self.holder is None else self.holder.record
        return bytes(found or b"")


class Arrival(models.Model):
    """A run of event ids that one commit stored, until the follow-up has counted them.

    Ids tell nothing of what was committed when: a process takes a thousand at once and may use the last of them hours
    later. So the follow-up takes these rows from a queue, and deletes them in the transaction that holds its counts.
    """

    id = models.BigAutoField(primary_key=True)
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()

    class Meta:
        default_permissions = ()


class Tally(models.Model):
    """First verdicts of one commit, by batch. Rows are only ever added: received is the sum of the four."""

    id = models.BigAutoField(primary_key=True)
    batch_id = models.UUIDField()
    source = models.ForeignKey(Source, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    received_at = models.DateTimeField()
    release = models.ForeignKey(Release, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    accepted = models.IntegerField(default=0)
    changed = models.IntegerField(default=0, help_text="Of the accepted: brought to the standard by a change")
    duplicate = models.IntegerField(default=0)
    quarantined = models.IntegerField(default=0)
    refused = models.IntegerField(default=0)
    refused_causes = models.JSONField(null=True, help_text="{code: count}")
    newest = ArrayField(models.BigIntegerField(), null=True, help_text="The last of its events, held ones before others; at most twenty")

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["source", "received_at"]), models.Index(fields=["batch_id"]), models.Index(fields=["received_at"])]

    @property
    def received(self) -> int:
        return self.accepted + self.duplicate + self.quarantined + self.refused
