from ingestion.admin import discovered, health, imports, keys, outgoing, quarantine, requests, takeback  # noqa: F401
