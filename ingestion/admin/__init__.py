from ingestion.admin import desk, discovered, health, hooks, imports, keys, outgoing, quarantine, requests, takeback  # noqa: F401
