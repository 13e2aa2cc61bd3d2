from ingestion.admin import desk, discovered, health, imports, keys, outgoing, quarantine, requests, takeback  # noqa: F401
