"""The groups of calls in the description of the API, by name in the reader's language."""

from typing import Any

from django.utils.translation import gettext_lazy as _

_GROUPS = {"Events": _("Events"), "Plan": _("Plan"), "Customers": _("Customers"), "Imports": _("Imports")}


def name_groups(result: dict[str, Any], **_more: Any) -> dict[str, Any]:
    for path in result["paths"].values():
        for operation in path.values():
            operation["tags"] = [str(_GROUPS.get(tag, tag)) for tag in operation.get("tags", [])]
    return result
