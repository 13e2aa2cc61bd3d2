"""Attribute types: one table (table.py), and casting what sources send to standard values.

`compile_cast(definition, *constraint_layers)` gives `cast(value, defaults)`, which answers the standard value, ABSENT,
one Fault, or Faults where several parts or constraints are broken. It never raises. Standard values are JSON with
Decimal for decimals; casting one gives it back itself.

What is cast and what is not: docs/attribute-types.md, whose table a test has judged.

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
