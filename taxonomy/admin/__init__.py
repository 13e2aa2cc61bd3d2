from taxonomy.admin import items, releases, sources  # noqa: F401
