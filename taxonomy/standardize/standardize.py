"""Standardizing: one raw event becomes the standard event, or every reason why it cannot."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from taxonomy.standardize.attributes import check_refined, keep_softened, read_attributes, refinements_of, set_aside, value_of, with_refined
from taxonomy.standardize.decode import storable
from taxonomy.standardize.identifiers import KINDS, normalize_identifier
from taxonomy.standardize.limits import LIMITS
from taxonomy.standardize.phone import PhoneReading, parse_phone
from taxonomy.standardize.places import put
from taxonomy.standardize.plan import Plan, Reading, SourcePlan, Step
from taxonomy.standardize.read import CUT, shorten, text_of
from taxonomy.standardize.spreadsheets import is_cut, odd_signs, plain_name
from taxonomy.standardize.structs import Change, RawEvent, Result, Subject, Violation
from taxonomy.standardize.times import by_our_clock
from taxonomy.standardize.types import ABSENT, Defaults, Fault

# Kinds whose values are unique in the world; all others are unique within their source's namespace.
GLOBAL_KINDS = frozenset(kind.name for kind in KINDS.values() if kind.is_global)

# Of what is odd in one name, so much is told.
_MOST_SIGNS = 5


def standardize(raw: RawEvent, plan: Plan, mended: Mapping[str, Any] | None = None) -> Result:
    """Read one raw event by the plan. Never raises for what a source sent; `raw.source` must be in the plan.

    `mended`: values given by staff in place of what was found, by path: "event", "phone", "region", "occurred_at",
    "attributes.<code>", or a place within one.
    """
    source = plan.sources[raw.source]
    violations = raw.notes.copy()
    changes: list[Change] = []
    attributes: dict[str, Any] = {}
    extra: dict[str, Any] = {}

    if mended and "event" in mended:
        changes.append(Change("value.mended", "event", shorten(raw.name), mended["event"]))
        raw = msgspec.structs.replace(raw, name=str(mended["event"]))
    reading, refined = _find_reading(raw, source, changes, violations)
    phone, region, written_time, identifiers = raw.phone, raw.region, raw.occurred_at, raw.identifiers
    if reading is not None and reading.envelope_rows:
        phone, region, written_time, identifiers = _mapped_envelope(reading, raw, violations)
    if mended:
        phone, region, written_time = _mended_envelope(mended, (phone, region, written_time), changes, violations)
    known_as = _read_identifiers(identifiers, violations) if identifiers else {}
    e164, phone_region = _read_phone(phone, region, identifiers, known_as, source, violations)
    occurred_at = _read_time(written_time, raw, source, violations, is_given=mended is not None and "occurred_at" in mended)
    if raw.message_id is None and raw.occurred_at is None:
        violations.append(Violation("message_id.missing", "id"))
    if reading is not None:
        sent = raw.attributes if refined is None else with_refined(refined, raw.attributes, changes)
        if mended:
            reading, sent = _mended_reading(mended, reading, sent, raw, changes)
        defaults = source.defaults
        if reading.needs_defaults and (region is not None or reading.finds_currency or "currency" in sent):
            defaults = _defaults_for(reading, source, region, sent, raw)
        attributes = read_attributes(reading, sent, raw, defaults, changes, violations, extra)
        if refined is not None:
            check_refined(refined, reading.tag, attributes, defaults, violations)
        if not sent.keys() <= reading.known:
            set_aside(reading, sent, violations, extra)
        if violations and reading.tag.modes is not None:
            softened = reading.tag.modes.soften(violations, source.uuid, source.timezone, raw.received_at)
            if softened:
                attributes = keep_softened(softened, reading, sent, raw, defaults, attributes, extra)

    held = False
    for one in violations:  # any() would take twice as long
        if one.blocking:
            held = True
            break
    if len(violations) > LIMITS.violations:
        violations = _first_ones(violations)
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
        refinements_of(tag, attributes) if tag is not None and tag.refinements else [],
        reading.rule if reading is not None else None,
        changes,
        violations,
    )


def _mended_envelope(
    mended: Mapping[str, Any], found: tuple[str | None, str | None, Any], changes: list[Change], violations: list[Violation]
) -> tuple[str | None, str | None, Any]:
    """Phone, region and time, as given where they were. What was said of the places that are given is said no more."""
    violations[:] = [one for one in violations if one.path not in mended or one.path == "event"]
    values = list(found)
    for index, path in enumerate(("phone", "region", "occurred_at")):
        if path in mended:
            changes.append(Change("value.mended", path, shorten(values[index]), shorten(mended[path])))
            values[index] = mended[path]
    return values[0], values[1], values[2]


def _mended_reading(
    mended: Mapping[str, Any], reading: Reading, sent: dict[str, Any], raw: RawEvent, changes: list[Change]
) -> tuple[Reading, dict[str, Any]]:
    """The reading and what was sent, with the attributes, or places within them, that are given in place of what was found."""
    given: dict[str, Any] = {}
    for path in sorted(path for path in mended if path.startswith("attributes.")):
        step = _step_at(reading, path)
        if step is None:
            # what no attribute of the tag takes, others may look for: a currency
            given[path.removeprefix("attributes.")] = mended[path]
            continue
        value, place = mended[path], path[len(step.path) :]
        whole = given[step.code] if step.code in given else value_of(step, sent, raw)
        try:
            given[step.code], found = put(whole, place, value)
        except LookupError:
            continue
        changes.append(Change("value.mended", path, shorten(found), shorten(value)))
    return reading.given(given), {**sent, **given}


def _step_at(reading: Reading, path: str) -> Step | None:
    """The attribute that a path is in."""
    steps = (quick.step for quick in reading.steps)
    return next((step for step in steps if path == step.path or path.startswith((f"{step.path}.", f"{step.path}["))), None)


def _first_ones(violations: list[Violation]) -> list[Violation]:
    """As many as one event may have, those that hold it first, and a note that there are more."""
    kept = sorted(violations, key=lambda violation: not violation.blocking)[: LIMITS.violations]
    return [*kept, Violation("limit.violations", values={"limit": LIMITS.violations})]


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
        violations.append(Violation("event.unknown", "event", shorten(name), None, _why_not(raw, source.limits_of(name))))
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


def _why_not(raw: RawEvent, limits: list[dict[str, Any]]) -> dict[str, Any]:
    """What the sentence needs where rules have the name and none applies: their limits, and the version that came; else what is odd in it."""
    if not limits:
        signs = odd_signs(raw.name or "")
        return {"signs": signs[:_MOST_SIGNS], "plain": shorten(plain_name(raw.name or ""))} if signs else {}
    version = raw.source_version if any("below_version" in one for one in limits) else None
    return {"limits": limits} | ({"version": shorten(version)} if version else {})


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
    if len(written) == 1:  # nearly always
        ((kind, text),) = written.items()
        if kind != "phone" and "E+" not in text and (normal := normalize_identifier(kind, text)) is not None:
            return written if normal == text else {kind: normal}
    identifiers: dict[str, str] = {}
    for kind in written if len(written) == 1 else sorted(written, key=_strength):
        if kind == "phone":
            continue
        if is_cut(written[kind]) and kind in KINDS:
            violations.append(Violation("envelope.wrong_type", f"identifiers.{kind}", shorten(written[kind]), CUT))
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
    if written is None and known_as and "phone" not in identifiers:
        return None, None
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
    # Half the time that calling the class takes.
    if phone is not None:
        return tuple.__new__(Subject, ("phone", "", phone))
    for kind, value in identifiers.items():
        return tuple.__new__(Subject, (kind, "" if kind in GLOBAL_KINDS else source.namespace, value))
    return None


def _read_time(written: Any, raw: RawEvent, source: SourcePlan, violations: list[Violation], *, is_given: bool) -> datetime | None:
    """`is_given`: by staff, who may write it as the standard does, whatever the source's way is, and not by the sender's clock."""
    parse = (source.protocol_envelope(raw.preset) if raw.preset else source.own_envelope).parse_time
    occurred_at = parse(written) if written is not None else None
    if is_given and isinstance(occurred_at, Fault):
        occurred_at = source.protocol_envelope("tagline").parse_time(written)
    if occurred_at is None or isinstance(occurred_at, Fault):
        if occurred_at is None or occurred_at.code == "time.missing":
            violations.append(Violation("time.missing", "occurred_at"))
            return raw.received_at
        violations.append(Violation(occurred_at.code, "occurred_at", shorten(written), occurred_at.expected, occurred_at.values))
        return None
    if raw.sent_at is not None and not is_given:
        occurred_at = _by_our_clock(occurred_at, parse(raw.sent_at), raw, violations)
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


def _by_our_clock(occurred_at: datetime, sent_at: datetime | Fault, raw: RawEvent, violations: list[Violation]) -> datetime:
    """The time corrected by the error of the sender's clock; as it is where the sending time cannot be read."""
    if isinstance(sent_at, Fault):
        return occurred_at
    corrected = by_our_clock(occurred_at, sent_at, raw.received_at)
    if abs(corrected - occurred_at) > LIMITS.skew:
        violations.append(Violation("time.skewed", "occurred_at", _iso(occurred_at), _iso(corrected)))
    return corrected


def _impossible(written: Any, read_as: datetime, expected: dict[str, str]) -> Violation:
    return Violation("time.impossible", "occurred_at", shorten(written), expected, {"read_as": _iso(read_as)})


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
