from ingestion.admin import desk, discovered, health, hooks, imports, keys, leaks, matching, mqtt, outgoing, quarantine, requests, takeback  # noqa: F401
