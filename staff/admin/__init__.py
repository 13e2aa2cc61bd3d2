from staff.admin import access, departments, groups, tokens, users  # noqa: F401
