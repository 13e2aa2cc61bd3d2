from ingestion.admin import discovered, health, imports, keys, quarantine, requests  # noqa: F401
