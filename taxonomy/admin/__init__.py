from taxonomy.admin import checks, grants, items, policies, proposals, releases, sources  # noqa: F401
