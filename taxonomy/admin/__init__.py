from taxonomy.admin import checks, items, proposals, releases, sources  # noqa: F401
