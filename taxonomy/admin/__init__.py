from taxonomy.admin import checks, grants, items, proposals, releases, sources  # noqa: F401
