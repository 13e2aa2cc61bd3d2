from ingestion.admin import imports, keys, quarantine, requests  # noqa: F401
