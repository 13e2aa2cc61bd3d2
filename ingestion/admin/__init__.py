from ingestion.admin import imports, keys, outgoing, quarantine, requests  # noqa: F401
