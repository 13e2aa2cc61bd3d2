from ingestion.models.imports import ImportChunk, ImportRun, TrialKey
from ingestion.models.keys import FailedRequest, KeyLease, WriteKey
from ingestion.models.quarantine import QuarantineReason

__all__ = ["FailedRequest", "ImportChunk", "ImportRun", "KeyLease", "QuarantineReason", "TrialKey", "WriteKey"]
