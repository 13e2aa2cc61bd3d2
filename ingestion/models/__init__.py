from ingestion.models.arrived import AttributeDay, Discovered, Ignored, ReadingDay, Sighting, Stream, ViolationDay
from ingestion.models.hooks import Hook, HookSecret
from ingestion.models.imports import ImportChunk, ImportRun, TrialKey
from ingestion.models.keys import FailedRequest, KeyLease, WriteKey
from ingestion.models.outgoing import Attempt, Dispatch, Subscriber
from ingestion.models.quarantine import QuarantineReason

__all__ = [
    "Attempt",
    "AttributeDay",
    "Discovered",
    "Dispatch",
    "FailedRequest",
    "Hook",
    "HookSecret",
    "Ignored",
    "ImportChunk",
    "ImportRun",
    "KeyLease",
    "QuarantineReason",
    "ReadingDay",
    "Sighting",
    "Stream",
    "Subscriber",
    "TrialKey",
    "ViolationDay",
    "WriteKey",
]
