"""A tag's attributes out of what was sent: found, transformed, cast; and what its refinements say."""

from decimal import Decimal
from functools import lru_cache
from typing import Any

from taxonomy.standardize.codes import HELD
from taxonomy.standardize.decode import decode_json, encode_json, storable
from taxonomy.standardize.limits import LIMITS
from taxonomy.standardize.plan import Known, Reading, Slot, Step, TagPlan
from taxonomy.standardize.read import shorten, text_of
from taxonomy.standardize.sameness import same_value
from taxonomy.standardize.structs import Change, RawEvent, Violation
from taxonomy.standardize.types import ABSENT, Cast, Defaults, Fault, Faults, compile_cast

_LONGEST_REFINEMENT = 200
# Of one attribute of a tag, as a source's rule fills it. The same few texts come again and again: to look one up takes a tenth of
# reading it. No more of each, for there may be hundreds.
_REMEMBERED, _REMEMBERED_CHARACTERS = 1_024, 32


def read_attributes(
    reading: Reading, sent: dict[str, Any], raw: RawEvent, defaults: Defaults,
    changes: list[Change], violations: list[Violation], extra: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Take the tag's attributes out of what was sent, in the plan's order. The one hot loop: what is rarer is elsewhere."""
    attributes: dict[str, Any] = {}
    get = sent.get
    for code, key, find, cast, renamed, fallback, optional, casts, step in reading.steps_for(sent):
        value = get(key) if find is None else find(sent, raw)
        if value is None and optional:
            continue
        if value is None or (fallback and code in sent):
            standard = _read_rarer(step, sent, raw, defaults, changes, violations, extra)
            if standard is not None:
                attributes[code] = standard
            continue
        if casts is not None and type(value) is str:
            known = casts.get(value)
            if known is not None and (known[0] is defaults or known[0] == defaults):
                attributes[code] = known[1]
                changes += known[2]
                continue
        standard = cast(value, defaults)
        if standard is value:
            attributes[code] = value
            if renamed is not None:
                changes.append(renamed)
        elif type(standard) in _NO_VALUE:
            _report(standard, step, violations)
        else:
            attributes[code] = standard
            told = [renamed] if renamed is not None else []
            if not same_value(value, standard, step.notation):
                told.append(_cast_change(step, value, standard))
            changes += told
            if casts is not None:
                _remember(casts, value, (defaults, standard, told))
    for group in reading.tag.one_of:
        if attributes.keys().isdisjoint(group) and not any(_is_reported(code, violations) for code in group):
            violations.append(Violation("attribute.missing", "attributes", None, {"one_of": group}))
    return attributes


def _remember(casts: dict[str, Known], value: Any, known: Known) -> None:
    if type(value) is str and len(value) <= _REMEMBERED_CHARACTERS:
        if len(casts) >= _REMEMBERED:
            casts.clear()
        casts[value] = known


def _read_rarer(
    step: Step, sent: dict[str, Any], raw: RawEvent, defaults: Defaults,
    changes: list[Change], violations: list[Violation], extra: dict[str, Any],
) -> Any:  # fmt: skip
    """One attribute that is absent, transformed, or also sent under its own name. Answers None when it has no value."""
    renamed, transform = step.renamed, step.transform
    value = found = step.find(sent, raw)
    if transform is not None:
        value = transform(found, sent)
    elif found is None and not step.fallback:
        if step.required:
            _report(ABSENT, step, violations)
        return None
    own = sent.get(step.code) if step.fallback else None
    if own is not None and own != "":
        if value is None or value is ABSENT or value == "":
            value = found = own
            renamed = transform = None
        else:
            extra[step.code] = own
            violations.append(Violation("attribute.set_aside", step.path, shorten(own)))
    standard = value if type(value) in _NO_VALUE else step.cast(value, defaults)
    if type(standard) in _NO_VALUE:
        _report(standard, step, violations)
        return None
    if renamed is not None:
        changes.append(renamed)
    if transform is not None and not same_value(found, value, step.notation):
        code = "attribute.added" if found is None else "attribute.transformed"
        changes.append(Change(code, step.path, _brief(found), _brief(value)))
    if standard is not value and not same_value(value, standard, step.notation):
        changes.append(_cast_change(step, value, standard))
    return standard


def _cast_change(step: Step, value: Any, standard: Any) -> Change:
    if step.small:
        return Change("attribute.cast", step.path, value if type(value) in _NUMBERS else _brief(value), standard)
    return Change("attribute.cast", step.path, _brief(value), _brief(standard))


def _is_reported(code: str, violations: list[Violation]) -> bool:
    path = f"attributes.{code}"
    return any(one.code in HELD and (one.path == path or one.path.startswith((path + ".", path + "["))) for one in violations)


_NO_VALUE = frozenset({type(ABSENT), Fault, Faults})
_NUMBERS = frozenset({int, Decimal})


def _report(standard: Any, step: Step, violations: list[Violation]) -> None:
    """Say what is wrong with a value; or, where it has none, that it is missing if it is required."""
    if standard is ABSENT:
        if step.required:
            violations.append(Violation("attribute.missing", step.path, None, None, _origin(step)))
        return
    for one in standard if isinstance(standard, Faults) else (standard,):
        violations.append(Violation(one.code, step.path + one.path, shorten(one.seen), one.expected, {**one.values, **_origin(step)}))


def _origin(step: Step) -> dict[str, Any]:
    return {"from": step.origin} if step.origin else {}


def _brief(value: Any) -> Any:
    """A value as a change shows it: short ones whole."""
    if type(value) is dict or type(value) is list:
        return value if len(encode_json(value)) <= LIMITS.seen_characters else shorten(value)
    return shorten(value)


def keep_softened(
    softened: dict[str, str], reading: Reading, sent: dict[str, Any], raw: RawEvent, defaults: Defaults,
    attributes: dict[str, Any], extra: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """The attributes with values that break only their bounds, in the plan's order; values of another type stand aside."""
    kept = dict(attributes)
    for code, mode in softened.items():
        step = next((quick.step for quick in reading.steps if quick.code == code), None)
        value = value_of(step, sent, raw) if step is not None else None
        if value is None or value == "" or code in attributes:
            continue
        standard = ABSENT if mode == "set_aside" else unbound_cast(reading.tag.slots[code])(value, defaults)
        if type(standard) in _NO_VALUE:
            extra[code] = value
        else:
            kept[code] = standard
    return {code: kept[code] for code in reading.tag.slots if code in kept}


def value_of(step: Step, sent: dict[str, Any], raw: RawEvent) -> Any:
    """What the source sent for an attribute, transformed where its transforms can be."""
    found = step.find(sent, raw)
    if found is None and step.fallback:
        return sent.get(step.code)
    value = step.transform(found, sent) if step.transform is not None else found
    return found if type(value) in _NO_VALUE else value


def unbound_cast(slot: Slot) -> Cast:
    """The attribute's cast without its constraints and required fields: whether a value is of the type at all."""
    return _unbound(encode_json(_without_bounds(slot.definition)))


@lru_cache(maxsize=1024)
def _unbound(definition: bytes) -> Cast:
    return compile_cast(decode_json(definition))


def _without_bounds(definition: dict[str, Any]) -> dict[str, Any]:
    fields = {name: _without_bounds(field) for name, field in (definition.get("fields") or {}).items()}
    kind = "text" if definition["type"] == "choice" else definition["type"]
    of = "text" if definition.get("of") == "choice" else definition.get("of")
    return {"type": kind, "of": of, "fields": fields}


def set_aside(reading: Reading, sent: dict[str, Any], violations: list[Violation], extra: dict[str, Any]) -> None:
    slots = reading.tag.slots
    for name in sorted(sent.keys() - reading.known):
        value = sent[name]
        if value is None or value == "":
            continue
        extra[name] = value
        is_short = type(value) is str and len(value) + len(name) <= 2 * _REMEMBERED_CHARACTERS
        violations.append((_remembered_aside if is_short else _aside)(name, value, name in slots))


def _aside(name: str, value: Any, planned: bool) -> Violation:
    return Violation("attribute.set_aside" if planned else "attribute.unplanned", _path_of(name[:100]), shorten(value))


_remembered_aside = lru_cache(maxsize=_REMEMBERED)(_aside)


@lru_cache(maxsize=4096)
def _path_of(name: str) -> str:
    return f"attributes.{storable(name)}"


def with_refined(refined: tuple[str, str], sent: dict[str, Any], changes: list[Change]) -> dict[str, Any]:
    """What was sent, the attribute that the name said filled in."""
    code, value = refined
    given = sent.get(code)
    if given is not None and given != "":
        return sent
    changes.append(Change("attribute.added", f"attributes.{code}", None, shorten(value)))
    return {**sent, code: value}


def check_refined(
    refined: tuple[str, str], tag: TagPlan, attributes: dict[str, Any], defaults: Defaults, violations: list[Violation]
) -> None:
    code, value = refined
    if code in attributes and not same_value(tag.slots[code].cast(value, defaults), attributes[code]):
        violations.append(Violation("refinement.conflict", f"attributes.{code}", shorten(attributes[code]), shorten(value)))


def refinements_of(tag: TagPlan, attributes: dict[str, Any]) -> list[str]:
    """The finer tags an accepted event also is, such as product_view_SKU123."""
    names = []
    for prefix, attribute, suffix in tag.refinements:
        value = attributes.get(attribute)
        if value is None or value == "" or type(value) is dict or type(value) is list:
            continue
        name = f"{prefix}{value if type(value) is str else text_of(value)}{suffix}"
        if len(name) <= _LONGEST_REFINEMENT:
            names.append(name)
    return names
