"""An event's attributes in words, as one reader may see them."""

import json
from typing import Any

from profiles.money import is_money, money
from profiles.readable import Readable
from profiles.sight import Sight
from taxonomy.released import by_codes


def attributes_told(values: dict[str, Any], sight: Sight, *, readable: Readable | None = None) -> dict[str, tuple[str, str]]:
    """{code: (what it is called, its value)}."""
    known = by_codes("attribute", values.keys())
    values = {code: value for code, value in values.items() if not readable or code not in readable.unread_attributes}
    shown = sight.attributes(values)
    told = {}
    for code, value in values.items():
        label = known[code].label if code in known else sight(code)
        told[code] = (
            label,
            value_told(value)[:1] + "***" if sight.is_hidden(code) else value_told(value if is_money(value) else shown[code]),
        )
    return told


def value_told(value: Any) -> str:
    if is_money(value):
        return money(**value)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
