from ingestion.admin import desk, discovered, health, hooks, imports, keys, leaks, outgoing, quarantine, requests, takeback  # noqa: F401
