from ingestion.models.imports import ImportChunk, ImportRun
from ingestion.models.keys import FailedRequest, KeyLease, WriteKey
from ingestion.models.outgoing import Attempt, Dispatch, Subscriber
from ingestion.models.quarantine import QuarantineReason

__all__ = [
    "Attempt", "Dispatch", "FailedRequest", "ImportChunk", "ImportRun", "KeyLease", "QuarantineReason", "Subscriber", "WriteKey",
]  # fmt: skip
