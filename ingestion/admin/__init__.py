from ingestion.admin import discovered, health, imports, keys, outgoing, quarantine, requests  # noqa: F401
