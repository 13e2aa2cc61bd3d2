from ingestion.admin import discovered, health, hooks, imports, keys, outgoing, quarantine, requests  # noqa: F401
