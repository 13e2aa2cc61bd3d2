from ingestion.models.imports import ImportChunk, ImportRun
from ingestion.models.keys import FailedRequest, WriteKey
from ingestion.models.quarantine import QuarantineReason

__all__ = ["FailedRequest", "ImportChunk", "ImportRun", "QuarantineReason", "WriteKey"]
