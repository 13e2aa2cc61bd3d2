"""Definitions in words, for people without training: types, constraints, envelopes and rules."""

from collections.abc import Iterable

import phonenumbers
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from staff.models import in_reader_language
from taxonomy.definition import Definition
from taxonomy.expected import expected_text
from taxonomy.models import Attribute
from taxonomy.standardize.transforms import TransformError, parse_transforms

TRANSFORMS: dict[str, Promise] = {
    "trim": gettext_lazy("without spaces around it"),
    "lower": gettext_lazy("in small letters"),
    "upper": gettext_lazy("in capital letters"),
    "decimal_comma": gettext_lazy("with the comma read as the decimal point"),
    "whole_number": gettext_lazy("as a whole number"),
    "multiply": gettext_lazy("multiplied by %(first)s"),
    "divide": gettext_lazy("divided by %(first)s"),
    "divide_by": gettext_lazy("divided by what stands in %(first)s"),
    "date_format": gettext_lazy("read as a date written %(first)s"),
    "value_map": gettext_lazy("translated: %(pairs)s"),
    "constant": gettext_lazy("always “%(first)s”"),
    "default": gettext_lazy("“%(first)s” where nothing is sent"),
    "split": gettext_lazy("cut at “%(first)s”: %(piece)s"),
    "extract": gettext_lazy("the part that matches %(first)s"),
    "join": gettext_lazy("its entries joined by “%(first)s”"),
}
TARGETS: dict[str, Promise] = {
    "$phone": gettext_lazy("the customer's phone"),
    "$region": gettext_lazy("the region of the phone"),
    "$occurred_at": gettext_lazy("the time"),
}
RANGES = (
    ("minimum", "maximum", gettext_lazy("%(low)s to %(high)s")),
    ("min_length", "max_length", gettext_lazy("%(low)s to %(high)s characters")),
    ("min_items", "max_items", gettext_lazy("%(low)s to %(high)s entries")),
)
# What an envelope can say, in the order it is told.
ENVELOPE: dict[str, Promise] = {
    "events": gettext_lazy("the events in one record"),
    "event": gettext_lazy("the event name"),
    "phone": gettext_lazy("the customer's phone"),
    "region": gettext_lazy("the region of the phone"),
    "identifiers": gettext_lazy("another identifier of the customer: %(kind)s"),
    "occurred_at": gettext_lazy("the time"),
    "sent_at": gettext_lazy("the time it was sent"),
    "message_id": gettext_lazy("the message id"),
    "source_version": gettext_lazy("the version of the source"),
    "attributes": gettext_lazy("the attributes"),
    "context": gettext_lazy("the context"),
}
TIME_FORMATS: dict[str, Promise] = {
    "epoch_s": gettext_lazy("in seconds since 1970"),
    "epoch_ms": gettext_lazy("in milliseconds since 1970"),
    "epoch_us": gettext_lazy("in microseconds since 1970"),
    "excel": gettext_lazy("as a spreadsheet's number of days since 1900"),
    "excel_1904": gettext_lazy("as a spreadsheet's number of days since 1904"),
    "iso": gettext_lazy("such as 2026-03-01T10:00:00+08:00"),
}
PRESETS: dict[str, Promise] = {
    "tagline": gettext_lazy("It sends Tagline's own JSON: event, phone, occurred_at and attributes."),
    "flat": gettext_lazy("It sends rows of a table, a column for each field: event, phone, occurred_at, and a column for each attribute."),
    "segment": gettext_lazy("It sends the messages of Segment's clients: track, identify, page, screen, alias and group."),
    "cloudevents": gettext_lazy("It sends CloudEvents 1.0: the type is the event's name, the data holds the phone and the attributes."),
    "custom": gettext_lazy("It sends records of its own format. This is where things are found in them:"),
}


def label(one: Definition) -> str:
    return in_reader_language(one["label_en"], one["label_zh_hans"])


def description(one: Definition) -> str:
    return in_reader_language(one.get("description_en") or "", one.get("description_zh_hans") or "")


def first_sentence(text: str) -> str:
    """What a list shows of a description."""
    ends = [at for mark in (". ", "。", ".\n") if (at := text.find(mark)) >= 0]
    return text[: min(ends) + 1] if ends else text


def joined(parts: Iterable[str]) -> str:
    """The parts that say something, with commas as the reader's language has them."""
    return str(_(", ")).join(part for part in parts if part)


def type_words(definition: Definition) -> str:
    """Such as: list of text; object with the fields city (text), street (text, required)."""
    kind = definition["type"]
    if kind == "list":
        return _("a list, each entry: %(type)s") % {"type": type_words({**definition, "type": definition.get("of") or "text"})}
    if kind == "object" and definition.get("fields"):
        fields = joined(_field(name, field) for name, field in definition["fields"].items())
        return _("fields: %(fields)s") % {"fields": fields}
    return _type(kind)


def constraint_words(definition: Definition, tighter: Definition | None = None) -> str:
    """The attribute's constraints with those a tag lays over them, such as: at least 0, at most 5."""
    own = dict(definition.get("constraints") or {})
    tighter = dict(tighter or {})
    # two patterns must both match; of anything else the tag's is the narrower one
    patterns = [one for layer in (own, tighter) if (one := layer.pop("pattern", None))]
    left = own | tighter
    told = [str(said) % {"low": left.pop(low), "high": left.pop(high)} for low, high, said in RANGES if low in left and high in left]
    told += [expected_text(left), *(_("matching %(pattern)s") % {"pattern": one} for one in dict.fromkeys(patterns))]
    return joined(told)


def personal_words(definition: Definition) -> str:
    """The class of personal data; "" for what is none."""
    personal = definition.get("personal") or "none"
    return "" if personal == "none" else str(Attribute.Personal(personal).label)


def row_words(row: Definition) -> dict[str, str]:
    """{"target", "path", "how"}: what one line of a rule fills, from where, changed how."""
    target = row["target"]
    if target.startswith("$identifiers."):
        told = str(ENVELOPE["identifiers"]) % {"kind": target.removeprefix("$identifiers.")}
    else:
        told = str(TARGETS.get(target, target))
    return {"target": told, "code": target, "path": row.get("path") or "", "how": _transforms(row.get("transforms") or "")}


def region_words(region: str) -> str:
    """A country by its calling code, such as +86 (CN)."""
    code = phonenumbers.country_code_for_region(region)
    return f"+{code} ({region})" if code else region


def envelope_words(source: Definition) -> tuple[str, list[tuple[str, str, str]]]:
    """(a sentence, [(what, path, how it is written)]) of where a source's records have things."""
    envelope = source.get("envelope") or {}
    preset = envelope.get("preset") or "tagline"
    places = []
    for key, told in ENVELOPE.items() if preset == "custom" else ():
        if key == "identifiers":
            places += [(str(told) % {"kind": kind}, path, "") for kind, path in (envelope.get(key) or {}).items() if path]
        elif envelope.get(key):
            places.append((str(told), envelope[key], _time_format(envelope) if key == "occurred_at" else ""))
    if preset == "custom" and envelope.get("event_constant"):
        places.insert(0, (str(ENVELOPE["event"]), "", _("always “%(first)s”") % {"first": envelope["event_constant"]}))
    return str(PRESETS[preset]), places


def _time_format(envelope: Definition) -> str:
    written = envelope.get("time_format") or ""
    return str(TIME_FORMATS.get(written, written))


def _field(name: str, field: Definition) -> str:
    told = [type_words(field), constraint_words(field), _("required") if field.get("required") else ""]
    return f"{name} ({joined(told)})"


def _type(kind: str) -> str:
    return str(dict(Attribute.Type.choices).get(kind, kind))


def _transforms(written: str) -> str:
    steps = parse_transforms(written)
    if isinstance(steps, TransformError):
        return written
    return joined(_step(step.name, list(step.arguments)) for step in steps)


def _step(name: str, arguments: list[str]) -> str:
    # the key * of a value map stands for every value it does not name; an odd number of arguments is another transform's
    rest = _("anything else")
    pairs = [f"{rest if key == '*' else key} → {value}" for key, value in zip(arguments[::2], arguments[1::2], strict=False)]
    told = {
        "first": arguments[0] if arguments else "",
        "pairs": joined(pairs),
        "piece": _piece(arguments[1:]) if name == "split" else "",
    }
    return str(TRANSFORMS.get(name, name)) % told


def _piece(arguments: list[str]) -> str:
    """Pieces count from 0, from the end as -1; without a number all of them are taken."""
    if not arguments:
        return _("all pieces, as a list")
    at = int(arguments[0])
    return {0: _("the first piece"), -1: _("the last piece")}.get(at) or _("piece %(number)s") % {"number": at + 1 if at > 0 else at}
