from ingestion.models.arrived import AttributeDay, Discovered, Ignored, ReadingDay, Sighting, Stream, ViolationDay
from ingestion.models.imports import ImportChunk, ImportRun, TrialKey
from ingestion.models.keys import FailedRequest, KeyLease, WriteKey
from ingestion.models.quarantine import QuarantineReason

__all__ = [
    "AttributeDay",
    "Discovered",
    "FailedRequest",
    "Ignored",
    "ImportChunk",
    "ImportRun",
    "KeyLease",
    "QuarantineReason",
    "ReadingDay",
    "Sighting",
    "Stream",
    "TrialKey",
    "ViolationDay",
    "WriteKey",
]
