from ingestion.admin import desk, discovered, health, imports, keys, outgoing, quarantine, requests  # noqa: F401
