"""Standardizing: one raw event becomes the standard event, or every reason why it cannot."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from taxonomy.standardize.codes import HELD
from taxonomy.standardize.decode import encode_json, storable
from taxonomy.standardize.identifiers import KINDS, normalize_identifier
from taxonomy.standardize.limits import LIMITS
from taxonomy.standardize.phone import PhoneReading, parse_phone
from taxonomy.standardize.plan import Plan, Reading, SourcePlan, Step, TagPlan
from taxonomy.standardize.read import shorten, text_of
from taxonomy.standardize.sameness import same_value
from taxonomy.standardize.structs import Change, RawEvent, Result, Subject, Violation
from taxonomy.standardize.types import ABSENT, Defaults, Fault, Faults

# Kinds whose values are unique in the world; all others are unique within their source's namespace.
GLOBAL_KINDS = frozenset(kind.name for kind in KINDS.values() if kind.is_global)

_LONGEST_REFINEMENT = 200


def standardize(raw: RawEvent, plan: Plan) -> Result:
    """Read one raw event by the plan. Never raises for what a source sent; `raw.source` must be in the plan."""
    source = plan.sources[raw.source]
    violations = raw.notes.copy()
    changes: list[Change] = []
    attributes: dict[str, Any] = {}
    extra: dict[str, Any] = {}

    reading, refined = _find_reading(raw, source, changes, violations)
    phone, region, written_time, identifiers = raw.phone, raw.region, raw.occurred_at, raw.identifiers
    if reading is not None and reading.envelope_rows:
        phone, region, written_time, identifiers = _mapped_envelope(reading, raw, violations)
    known_as = _read_identifiers(identifiers, violations) if identifiers else {}
    e164, phone_region = _read_phone(phone, region, identifiers, known_as, source, violations)
    occurred_at = _read_time(written_time, raw, source, violations)
    if raw.message_id is None and raw.occurred_at is None:
        violations.append(Violation("message_id.missing", "id"))
    if reading is not None:
        sent = raw.attributes if refined is None else _with_refined(refined, raw.attributes, changes)
        defaults = source.defaults
        if reading.needs_defaults and (region is not None or reading.finds_currency or "currency" in sent):
            defaults = _defaults_for(reading, source, region, sent, raw)
        attributes = _read_attributes(reading, sent, raw, defaults, changes, violations, extra)
        if refined is not None:
            _check_refined(refined, reading.tag, attributes, defaults, violations)
        if not sent.keys() <= reading.known:
            _set_aside(reading, sent, violations, extra)

    held = bool(violations) and any(violation.code in HELD for violation in violations)
    tag = reading.tag if reading is not None else None
    return Result(
        "quarantined" if held else "accepted",
        tag.uuid if tag is not None else None,
        tag.code if tag is not None else None,
        e164,
        phone_region,
        known_as,
        _subject(e164, known_as, source),
        occurred_at,
        attributes,
        extra,
        _refinements(tag, attributes) if tag is not None and tag.refinements else [],
        reading.rule if reading is not None else None,
        changes,
        violations,
    )


def _find_reading(
    raw: RawEvent, source: SourcePlan, changes: list[Change], violations: list[Violation]
) -> tuple[Reading | None, tuple[str, str] | None]:
    """Resolve the name: the source's rules, a tag's code, a refinement. The second is (attribute, value) by refinement."""
    name = raw.name
    if name is None:
        if not any(violation.path == "event" for violation in violations):
            violations.append(Violation("event.name_missing", "event"))
        return None, None
    known = source.known_meanings.get(name)
    for meaning in source.meanings(name) if known is None else known:
        if meaning.condition is None or meaning.condition(raw.attributes, raw):
            break
    else:
        violations.append(Violation("event.unknown", "event", shorten(name)))
        return None, None
    _, reading, change, refined = meaning
    tag = reading.tag
    if tag.status != "active":
        if not tag.receives:
            violations.append(Violation("event.unknown", "event", shorten(name), None, {"draft": tag.code}))
            return None, None
        violations.append(Violation("tag.deprecated", "event", tag.code, tag.successor))
    if change is not None:
        changes.append(change)
    return reading, refined


def _read_attributes(
    reading: Reading, sent: dict[str, Any], raw: RawEvent, defaults: Defaults,
    changes: list[Change], violations: list[Violation], extra: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Take the tag's attributes out of what was sent, in the plan's order. The one hot loop: what is rarer is elsewhere."""
    attributes: dict[str, Any] = {}
    for code, key, find, cast, renamed, fallback, step in reading.steps:
        value = sent.get(key) if find is None else find(sent, raw)
        if value is None or (fallback and code in sent):
            standard = _read_rarer(step, sent, raw, defaults, changes, violations, extra)
            if standard is not None:
                attributes[code] = standard
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
            if renamed is not None:
                changes.append(renamed)
            if not same_value(value, standard, step.notation):
                changes.append(_cast_change(step, value, standard))
    for group in reading.tag.one_of:
        if not any(code in attributes or _is_reported(code, violations) for code in group):
            violations.append(Violation("attribute.missing", "attributes", None, {"one_of": group}))
    return attributes


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


def _set_aside(reading: Reading, sent: dict[str, Any], violations: list[Violation], extra: dict[str, Any]) -> None:
    for name in sorted(sent.keys() - reading.known):
        value = sent[name]
        if value is None or value == "":
            continue
        extra[name] = value
        code = "attribute.set_aside" if name in reading.tag.slots else "attribute.unplanned"
        violations.append(Violation(code, f"attributes.{storable(name[:100])}", shorten(value)))


def _with_refined(refined: tuple[str, str], sent: dict[str, Any], changes: list[Change]) -> dict[str, Any]:
    """What was sent, the attribute that the name said filled in."""
    code, value = refined
    given = sent.get(code)
    if given is not None and given != "":
        return sent
    changes.append(Change("attribute.added", f"attributes.{code}", None, shorten(value)))
    return {**sent, code: value}


def _check_refined(
    refined: tuple[str, str], tag: TagPlan, attributes: dict[str, Any], defaults: Defaults, violations: list[Violation]
) -> None:
    code, value = refined
    if code in attributes and not same_value(tag.slots[code].cast(value, defaults), attributes[code]):
        violations.append(Violation("refinement.conflict", f"attributes.{code}", shorten(attributes[code]), shorten(value)))


def _refinements(tag: TagPlan, attributes: dict[str, Any]) -> list[str]:
    """The finer tags an accepted event also is, such as product_view_SKU123."""
    names = []
    for prefix, attribute, suffix in tag.refinements:
        value = attributes.get(attribute)
        if value is None or type(value) is dict or type(value) is list:
            continue
        name = f"{prefix}{value if type(value) is str else text_of(value)}{suffix}"
        if len(name) <= _LONGEST_REFINEMENT:
            names.append(name)
    return names


def _mapped_envelope(reading: Reading, raw: RawEvent, violations: list[Violation]) -> tuple[str | None, str | None, Any, dict[str, str]]:
    """Phone, region, time and identifiers, with what the rule's rows find in place of what the envelope found."""
    phone, region, occurred_at, identifiers = raw.phone, raw.region, raw.occurred_at, raw.identifiers
    for target, find, transform in reading.envelope_rows:
        value = find(raw.attributes, raw)
        if transform is not None:
            value = transform(value, raw.attributes)
        if type(value) is Fault:
            violations.append(Violation(value.code, target[1:], shorten(value.seen), value.expected, value.values))
            continue
        if value is None or value is ABSENT or value == "":
            continue
        if target == "$occurred_at":
            occurred_at = value
        elif isinstance(value, dict | list):
            violations.append(Violation("envelope.wrong_type", target[1:], shorten(value), "text"))
        elif target == "$phone":
            phone = text_of(value)
        elif target == "$region":
            region = text_of(value)
        else:
            identifiers = {**identifiers, target.removeprefix("$identifiers."): text_of(value)}
    return phone, region, occurred_at, identifiers


def _read_identifiers(written: dict[str, str], violations: list[Violation]) -> dict[str, str]:
    """Normalize the identifiers besides the phone, strongest kind first."""
    identifiers: dict[str, str] = {}
    for kind in written if len(written) == 1 else sorted(written, key=_strength):
        if kind == "phone":
            continue
        normal = normalize_identifier(kind, written[kind])
        if normal is not None:
            identifiers[kind] = normal
        elif kind in KINDS:
            violations.append(Violation("identifier.junk", f"identifiers.{kind}", shorten(written[kind])))
        else:
            path = f"identifiers.{storable(kind[:100])}"
            violations.append(Violation("identifier.unknown_kind", path, shorten(written[kind]), list(KINDS)))
    return identifiers


_RANKS = {kind: rank for rank, kind in enumerate(KINDS)}


def _strength(kind: str) -> tuple[int, str]:
    return _RANKS.get(kind, len(_RANKS)), kind


def _read_phone(
    written: str | None, region: str | None, identifiers: dict[str, str], known_as: dict[str, str],
    source: SourcePlan, violations: list[Violation],
) -> tuple[str | None, str | None]:  # fmt: skip
    """The E.164 number and its region. A number that was given and cannot be read holds the event, unless the source says not."""
    region = region or source.region
    other = identifiers.get("phone") if identifiers else None
    found = parse_phone(written or other, region)
    if type(found) is PhoneReading:
        if written and other:
            _check_other_phone(found, other, region, violations)
        return found.e164, found.region
    assert isinstance(found, Fault)
    if found.code == "phone.missing":
        if written and other:
            return _read_phone(None, region, identifiers, known_as, source, violations)
        if not known_as:
            if not any(violation.path == "phone" for violation in violations):
                violations.append(Violation("phone.missing", "phone", shorten(written)))
        elif written:
            violations.append(Violation("identifier.junk", "phone", shorten(written)))
    elif known_as and not source.hold_unreadable_phone:
        violations.append(Violation("phone.unreadable", "phone", shorten(written), found.expected, found.values))
    else:
        violations.append(Violation(found.code, "phone", shorten(found.seen), found.expected, found.values))
    return None, None


def _check_other_phone(found: PhoneReading, other: str, region: str, violations: list[Violation]) -> None:
    second = parse_phone(other, region)
    if type(second) is not PhoneReading or second.e164 != found.e164:
        violations.append(Violation("phone.conflict", "identifiers.phone", shorten(other)))


def _defaults_for(reading: Reading, source: SourcePlan, region: str | None, sent: dict[str, Any], raw: RawEvent) -> Defaults:
    """The source's defaults, with the region and currency that this event states. What is no currency is the cast's to refuse."""
    currency = sent.get("currency")
    if reading.finds_currency is not None:
        found = reading.finds_currency(sent, raw)
        currency = found if found is not None and type(found) is not Fault else currency
    if type(currency) is not str or not currency.strip():
        currency = source.currency
    return Defaults(timezone=source.timezone, region=region or source.region, currency=currency)


def _subject(phone: str | None, identifiers: dict[str, str], source: SourcePlan) -> Subject | None:
    if phone is not None:
        # Half the time that calling the class takes.
        return tuple.__new__(Subject, ("phone", "", phone))
    for kind, value in identifiers.items():
        return Subject(kind, "" if kind in GLOBAL_KINDS else source.namespace, value)
    return None


def _read_time(written: Any, raw: RawEvent, source: SourcePlan, violations: list[Violation]) -> datetime | None:
    occurred_at = source.parse_time(written) if written is not None else None
    if occurred_at is None or isinstance(occurred_at, Fault):
        if occurred_at is None or occurred_at.code == "time.missing":
            violations.append(Violation("time.missing", "occurred_at"))
            return raw.received_at
        violations.append(Violation(occurred_at.code, "occurred_at", shorten(written), occurred_at.expected, occurred_at.values))
        return None
    received_at = raw.received_at
    if occurred_at > received_at:
        if occurred_at - received_at > LIMITS.ahead:
            violations.append(_impossible(written, occurred_at, {"at_most": _iso(received_at + LIMITS.ahead)}))
            return None
        violations.append(Violation("time.ahead", "occurred_at", shorten(written), _iso(received_at)))
        return received_at
    if occurred_at < LIMITS.earliest:
        violations.append(_impossible(written, occurred_at, {"at_least": _iso(LIMITS.earliest)}))
        return None
    return occurred_at


def _impossible(written: Any, read_as: datetime, expected: dict[str, str]) -> Violation:
    return Violation("time.impossible", "occurred_at", shorten(written), expected, {"read_as": _iso(read_as)})


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
