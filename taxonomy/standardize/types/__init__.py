"""Attribute types: one table (table.py), and casting what sources send to standard values.

`compile_cast(definition, *constraint_layers)` gives `cast(value, defaults)`, which answers the standard value, ABSENT,
one Fault, or Faults where several parts or constraints are broken. It never raises. Standard values are JSON with
Decimal for decimals; casting one gives it back itself.

| type | standard value | cast | left alone: attribute.wrong_type |
|---|---|---|---|
| text | "SKU123", as written | 17850 → "17850", 17850.0 → "17850.0", true → "true" | lists, objects |
| integer | 3 | "3", " 3 ", "+3", "007", 3.0, "3.0", "1e3" | 3.5, "3,000", "3 pcs", "1_000", "３", true |
| decimal | 12.50 (3 stays 3) | "12.50", ".5", "12.", "1e-5" | "12,50", "¥12", "12%", NaN, Infinity, true |
| boolean | true | the words in texts.YES and texts.NO in any case; 1, 0, 1.0 | 2, "ok", "1.0" |
| date | "2026-01-31" | "20260131", a midnight without a zone | 20260131, "31/01/2026", a time of day or with a zone |
| datetime | "2026-01-31T02:00:00Z" | what times.py reads, its format being "" | "31/01/2026", 20260131, true |
| choice | one of the choices | spaces around it | another choice, another case: attribute.not_allowed |
| money | {"amount": 12.50, "currency": "CNY"} | what a decimal is cast from; "cny" | "CNY 12.50", "¥12.50", other keys |
| phone | "+8613800138000" | any notation; a number's digits | lists, objects; what phone.py cannot read has its codes |
| email | "li.lei@example.com" | spaces around it, capitals in the domain | no @, no dot in the domain, "Li <li@x.cn>" |
| url | "https://shop.example/p/1" | spaces around it | no http:// or https://, spaces inside |
| list | ["red", "blue"] | each entry | one value alone, "red,blue", null entries |
| object | {"city": "Hangzhou"} | each named field; others stay | JSON within a text |

Money's currency is the value's own, else Defaults.currency. null is ABSENT for every type, and so is a blank text for
every type but text. Phone, order and card numbers are never numbers: their types are phone and text. A number has at most
100 digits before the point. NUL and lone surrogates, which jsonb cannot hold, are attribute.unstorable.
"""

from taxonomy.standardize.faults import ABSENT, Defaults, Fault, Faults
from taxonomy.standardize.types.definition import DEFINITION_CODES, DefinitionError, check_definition, compile_cast
from taxonomy.standardize.types.table import ALL_CONSTRAINTS, TYPES, AttributeType, Cast, constraints_for

__all__ = [
    "ABSENT",
    "ALL_CONSTRAINTS",
    "DEFINITION_CODES",
    "TYPES",
    "AttributeType",
    "Cast",
    "Defaults",
    "DefinitionError",
    "Fault",
    "Faults",
    "check_definition",
    "compile_cast",
    "constraints_for",
]
