"""Whether an attribute is personal data: by what is declared, or by its type whatever is declared. Pure."""

from typing import Any

Definition = dict[str, Any]
_TYPES = ("phone", "email")


def is_personal(attribute: Definition) -> bool:
    return attribute.get("personal", "none") != "none" or bool(personal_type(attribute))


def personal_type(attribute: Definition) -> str:
    """The type that makes its values personal, its entries or a field within; "" where none does."""
    if found := next((one for one in (attribute.get("type"), attribute.get("of")) if one in _TYPES), ""):
        return found
    fields = attribute.get("fields")
    within = fields.values() if isinstance(fields, dict) else ()
    return next(filter(None, (personal_type(one) for one in within if isinstance(one, dict))), "")
