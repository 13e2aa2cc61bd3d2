from ingestion.models.arrived import AttributeDay, Discovered, Ignored, ReadingDay, Sighting, Stopped, StoredHour, Stream, ViolationDay
from ingestion.models.causes import Assignment, Cause, CauseDay, CauseMove
from ingestion.models.digests import Digest
from ingestion.models.hooks import Hook, HookLease, HookSecret
from ingestion.models.imports import ImportChunk, ImportRun, TrialKey
from ingestion.models.keys import FailedRequest, KeyLease, WriteKey
from ingestion.models.leaks import Leak
from ingestion.models.links import SpecLink
from ingestion.models.matching import FileMatching
from ingestion.models.mqtt import MqttTopic
from ingestion.models.near import NearDuplicate, NearDuplicateSetting, Unpaired
from ingestion.models.outgoing import Alarm, Attempt, Dispatch, Subscriber, Unannounced
from ingestion.models.quarantine import QuarantineReason
from ingestion.models.replay import Meant, Replay, Replayed, ReplayOffer
from ingestion.models.takeback import TakeBack, WatchedLess, Withdrawal
from ingestion.models.uploads import Upload

__all__ = [
    "Alarm",
    "Assignment",
    "Attempt",
    "AttributeDay",
    "Cause",
    "CauseDay",
    "CauseMove",
    "Digest",
    "Discovered",
    "Dispatch",
    "FailedRequest",
    "FileMatching",
    "Hook",
    "HookLease",
    "HookSecret",
    "Ignored",
    "ImportChunk",
    "ImportRun",
    "KeyLease",
    "Leak",
    "Meant",
    "MqttTopic",
    "NearDuplicate",
    "NearDuplicateSetting",
    "QuarantineReason",
    "ReadingDay",
    "Replay",
    "ReplayOffer",
    "Replayed",
    "Sighting",
    "SpecLink",
    "Stopped",
    "StoredHour",
    "Stream",
    "Subscriber",
    "TakeBack",
    "TrialKey",
    "Unannounced",
    "Unpaired",
    "Upload",
    "ViolationDay",
    "WatchedLess",
    "Withdrawal",
    "WriteKey",
]
