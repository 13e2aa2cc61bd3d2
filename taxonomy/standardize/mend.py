"""What staff put right in one held event: values given in place of what was found, by the path of the violation.

Paths are "event", "phone", "region", "occurred_at", "attributes.<code>", and places within an attribute such as
"attributes.items[0].price". A value given is cast and checked like any other.
"""

from collections.abc import Callable
from typing import Any

from taxonomy.standardize.plan import Plan
from taxonomy.standardize.standardize import standardize
from taxonomy.standardize.structs import RawEvent, Result, Violation

# A name put right shows what its attributes lack, a region what its number lacks; and of a long list each reading tells
# of LIMITS.violations entries: so many of them are put right.
_ROUNDS = 20


def standardize_mended(raw: RawEvent, plan: Plan, find: Callable[[Violation], tuple[str, Any] | None]) -> Result:
    """Read an event, putting right what holds it. `find` gives the path and the value for a violation, or None."""
    mended: dict[str, Any] = {}
    result = standardize(raw, plan)
    for _ in range(_ROUNDS):
        given = dict(found for one in result.violations if one.blocking and (found := find(one)) is not None and found[0] not in mended)
        if not given:
            break
        mended |= given
        result = standardize(raw, plan, mended)
    return result
