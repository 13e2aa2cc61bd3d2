from ingestion.admin import keys, quarantine, requests  # noqa: F401
