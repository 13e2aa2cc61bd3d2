"""Lists of a type and objects with fields: every fault of every part, each with its path."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

from taxonomy.standardize.decode import is_storable
from taxonomy.standardize.faults import ABSENT, Defaults, Fault, Faults
from taxonomy.standardize.limits import LIMITS
from taxonomy.standardize.types.constraints import Constraints, check_count
from taxonomy.standardize.types.numbers import MAX_DIGITS, is_writable

Cast = Callable[[Any, Defaults], Any]


def compile_list(cast_item: Cast, constraints: Constraints) -> Cast:
    low, high = constraints.min_items, constraints.max_items

    def cast(value: Any, defaults: Defaults) -> Any:
        if not isinstance(value, list):
            return _no_container(value, "list")
        faults: list[Fault] = []
        count = check_count(len(value), None, low, high, "items")
        if count is not None:
            faults.append(count)
        items = [cast_item(item, defaults) for item in value]
        for index, item in enumerate(items):
            if item is ABSENT and len(faults) <= LIMITS.violations:
                faults.append(Fault("attribute.wrong_type", f"[{index}]", value[index], {"type": "list"}))
            elif item is not ABSENT:
                collect(item, f"[{index}]", faults)
        return _answer(value, items, faults, all(map(_is, items, value)))

    return cast


def compile_object(fields: Mapping[str, tuple[Cast, bool]]) -> Cast:
    """`fields` says how each is cast and whether it is required. Fields nobody named stay as they are."""

    def cast(value: Any, defaults: Defaults) -> Any:
        if not isinstance(value, dict):
            return _no_container(value, "object")
        faults: list[Fault] = []
        standard = {}
        for key, inner in value.items():
            if key not in fields:
                fault = find_unstorable(key, inner)
                if fault is not None:
                    collect(fault, "", faults)
                standard[key] = inner
                continue
            read = fields[key][0](inner, defaults)
            if read is not ABSENT:
                collect(read, f".{key}", faults)
                standard[key] = read
        faults += [Fault("attribute.missing", f".{name}") for name, (_, required) in fields.items() if required and name not in standard]
        same = len(standard) == len(value) and all(map(_is, standard.values(), value.values()))
        return _answer(value, standard, faults, same)

    return cast


def collect(read: Any, path: str, faults: list[Fault]) -> None:
    """Add what is wrong with the part at `path`, if anything; no more than an event may have, and one that tells of more."""
    if len(faults) > LIMITS.violations:
        return
    if type(read) is Fault:
        faults.append(read.under(path))
    elif type(read) is Faults:
        faults.extend(fault.under(path) for fault in read)


def find_unstorable(key: Any, value: Any) -> Fault | None:
    """The first part of a free field that JSON in the database cannot hold, nested keys included."""
    waiting: list[tuple[str, Any]] = [("", {key: value})]
    while waiting:
        path, inner = waiting.pop()
        if isinstance(inner, dict):
            for name, part in inner.items():
                if not isinstance(name, str) or not is_storable(name):
                    return Fault("attribute.unstorable", path, name if isinstance(name, str) else None, {"type": "text"})
                waiting.append((f"{path}.{name}", part))
        elif isinstance(inner, list):
            waiting += [(f"{path}[{index}]", part) for index, part in enumerate(inner)]
        else:
            fault = _scalar_fault(path, inner)
            if fault is not None:
                return fault
    return None


def _scalar_fault(path: str, value: Any) -> Fault | None:
    if isinstance(value, str):
        return None if is_storable(value) else Fault("attribute.unstorable", path, value, {"type": "text"})
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, float) and isfinite(value):
        value = Decimal(repr(value))
    if isinstance(value, int | Decimal):
        return None if is_writable(value) else Fault("attribute.out_of_range", path, value, {"digits": MAX_DIGITS})
    return Fault("attribute.unstorable", path, None, {"type": "text"})


def _no_container(value: Any, expected: str) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        return ABSENT
    return Fault("attribute.wrong_type", seen=value, expected={"type": expected})


def _is(one: Any, other: Any) -> bool:
    return one is other


def _answer(value: Any, standard: Any, faults: list[Fault], same: bool) -> Any:
    if not faults:
        return value if same else standard
    return faults[0] if len(faults) == 1 else Faults(faults)
