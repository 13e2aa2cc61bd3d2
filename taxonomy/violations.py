"""The words of the core's codes: a title, what happened, what was expected, the next step, in the reader's language."""

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from taxonomy.expected import expected_text
from taxonomy.rule_words import limits_words
from taxonomy.standardize import Violation
from taxonomy.standardize.codes import HELD

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the page of codes says of one code."""

    code: str
    title: Text
    happened: Text
    expected: Text
    next: Text


# code: (title, what happened, what was expected, next step)
WORDS: dict[str, tuple[Text, Text, Text, Text]] = {
    "record.not_json": (_("Not JSON"), _("The record could not be decoded as JSON."), _("One JSON object."), _("Send the record as JSON, in UTF-8.")),
    "record.not_utf8": (_("Not UTF-8"), _("The record holds bytes that are no UTF-8 text."), _("UTF-8."), _("Save or send the text as UTF-8.")),
    "record.not_form": (_("Not a form"), _("The record is no JSON and no XML, and cannot be read as the fields of a form."), _("name=value&name=value, in UTF-8."), _("Send JSON, a form or XML.")),
    "record.not_xml": (_("Not XML"), _("The record could not be read as XML, or brings a document type with it."), _("XML without a document type, nested 32 levels at the most."), _("Send the record as XML in UTF-8.")),
    "record.not_cloudevent": (_("Not a CloudEvent"), _("The record lacks what a CloudEvent must say, or says it in another version."), _("specversion 1.0, id, source and type as texts; data or data_base64, not both."), _("Add or correct the attribute that the path names.")),
    "record.not_object": (_("Not an object"), _("The record is JSON, but no object with named fields."), _('An object such as {"event": "login"}.'), _("Send each event as an object.")),
    "record.empty": (_("Empty record"), _("The record holds no event."), _("At least one event."), _("Check the envelope of the source, or leave such records out.")),
    "record.columns": (_("Row of another width"), _("The row has more or fewer cells than the header."), _("As many cells as the header has columns."), _("Look for a separator or a quotation mark inside a cell, or for a shifted column of fixed width; mend the row and send it again.")),
    "record.encoding": (_("Not in the file's encoding"), _("The row holds bytes that are no characters in the encoding of the file."), _("Every row in the encoding the file is read in."), _("Correct the damaged characters of this row; if many rows fail so, import the file in another encoding.")),
    "record.cut_off": (_("Cut off"), _("The file ends in the middle of its last row."), _("A whole row."), _("Copy or export the file again to its end, or complete the row and send it again.")),
    "record.repeated_key": (_("Repeated key"), _("The same key stands twice in the record with different values."), _("Each key once."), _("Let the source send each key once; which value was meant cannot be known.")),
    "limit.size": (_("Too large"), _("The event is larger than 256 KB."), _("At most 256 KB."), _("Send large contents elsewhere and a link to them here.")),
    "limit.nesting": (_("Nested too deep"), _("The event is nested deeper than 32 levels."), _("At most 32 levels."), _("Flatten what is sent.")),
    "limit.attributes": (_("Too many attributes"), _("The event has more than 1,000 attributes."), _("At most 1,000."), _("Send lists as lists, not as numbered attributes.")),
    "limit.message_id": (_("Message id too long"), _("The message id is longer than 200 characters."), _("At most 200 characters."), _("Send a shorter id, such as a UUID.")),
    "limit.events": (_("Too many events in a record"), _("One record holds more than 2,500 events."), _("At most 2,500."), _("Split the record.")),
    "limit.violations": (_("More than is told"), _("The event departs from the standard in more ways than the 100 told here."), _("At most 100."), _("Mend what is told, then send again; the rest is told then.")),
    "envelope.wrong_type": (_("Envelope field of another type"), _("A field of the envelope is not of the type it must have."), _("Text for names, ids and phones; an object for identifiers and attributes."), _("Correct the field, or the envelope of the source.")),
    "envelope.unknown_field": (_("Unknown field"), _("The record has a field the envelope does not know; it was left aside."), _("Only fields of the envelope; everything else under attributes."), _("Move the field under attributes if it matters.")),
    "event.name_missing": (_("Event name missing"), _("The record does not say what happened."), _("An event name where the envelope says it is."), _("Send the name, or correct the envelope of the source.")),
    "event.unknown": (_("Unknown event"), _("No rule of the source, no tag and no refinement has this name."), _("A name of the standard, or one that a mapping rule knows."), _("Correct the name at the source, or add a mapping rule for it.")),
    "phone.missing": (_("Phone missing"), _("The event has neither a phone number nor another identifier."), _("A phone number, or an identifier such as user_id."), _("Send the phone number or an identifier, or correct the envelope.")),
    "phone.invalid": (_("Phone cannot be read"), _("What was sent as the phone is no phone number."), _("A number such as +86 138 0013 8000."), _("Correct the number, or the column it is read from.")),
    "phone.region_unknown": (_("Phone without a region"), _("The number has no country code and the source no default region; it could belong to several countries."), _("A number with + and country code, or a region."), _("Send the region, or set the default region of the source.")),
    "phone.conflict": (_("Two phones"), _("The event names two different phone numbers."), _("One phone number."), _("Let the source send one number, or map the other to an attribute.")),
    "phone.unreadable": (_("Phone set aside"), _("The phone cannot be read; another identifier is used, as the source allows."), _("A number such as +86 138 0013 8000."), _("Correct the number at the source.")),
    "time.missing": (_("Time missing"), _("The event has no time of its own; the time it was received is used."), _("The time it happened."), _("Let the source send the time.")),
    "time.invalid": (_("Time cannot be read"), _("What was sent as the time is no time in the format of the source."), _("A time such as 2026-03-01T10:00:00+08:00, or in the format of the envelope."), _("Correct the time, or the time format of the source.")),
    "time.impossible": (_("Impossible time"), _("The time is more than 24 hours ahead of its arrival, or before 1990."), _("A time in the past, 24 hours ahead at the most."), _("Correct the clock or the time format of the source.")),
    "time.ahead": (_("Time ahead"), _("The time was ahead of its arrival; the time it was received is used."), _("A time in the past."), _("Correct the clock of the source.")),
    "time.skewed": (_("Clock of the sender wrong"), _("By its own clock the sender sent this more than a minute before or after it arrived; the time was corrected by as much."), _("A clock that is right to the minute."), _("Nothing is lost. Set the clock of the source if it is yours.")),
    "message_id.missing": (_("Message id missing"), _("The event has no id and no time, so a second sending cannot be told from a second event."), _("An id that stays the same when the event is sent again."), _("Let the source send an id.")),
    "message_id.reused": (_("Message id used again"), _("The source sent this id before with other content; the first stays, and this content was dropped."), _("One id for each event."), _("Give each event an id of its own, and send the same content when you send again.")),
    "attribute.missing": (_("Attribute missing"), _("An attribute that the tag requires is not there."), _("The attribute, of its type."), _("Let the source send it, map it from another field, or make it optional.")),
    "attribute.wrong_type": (_("Wrong type"), _("A value is not of the attribute's type and cannot be taken as such without guessing."), _("A value of the attribute's type."), _("Correct the value, or add a transform to the rule of the source.")),
    "attribute.not_allowed": (_("Value not allowed"), _("The value is not among the choices of the attribute."), _("One of the choices."), _("Send one of the choices, map the value with value_map, or add it to the choices.")),
    "attribute.out_of_range": (_("Out of range"), _("The value is below the minimum or above the maximum."), _("A value within the range."), _("Correct the value, divide or multiply it in the rule, or widen the range.")),
    "attribute.length": (_("Wrong length"), _("The text or list is shorter or longer than the attribute allows."), _("A length within the bounds."), _("Correct the value, or widen the bounds.")),
    "attribute.pattern": (_("Pattern not matched"), _("The text does not match the pattern of the attribute."), _("A text that matches the pattern."), _("Correct the value, or the pattern.")),
    "attribute.currency_missing": (_("Currency missing"), _("An amount came without a currency, and the source has no default."), _("A currency of three letters, such as CNY."), _("Send the currency, or set the currency of the source.")),
    "attribute.unstorable": (_("Unstorable text"), _("The text holds characters that no text may hold, such as NUL or half of an emoji."), _("Text in UTF-8."), _("Correct the encoding at the source.")),
    "attribute.transform": (_("Transform failed"), _("A transform of the rule cannot be applied to this value."), _("A value the transform understands."), _("Correct the transform in the rule, or the value at the source.")),
    "attribute.unplanned": (_("Unplanned attribute"), _("The attribute is not of this tag; it is kept beside the event."), _("Attributes of the tag."), _("Add it to the tag or map it, if it matters.")),
    "attribute.set_aside": (_("Attribute set aside"), _("The value stands aside because a rule fills the attribute from another field."), _("One value for the attribute."), _("Nothing needs doing, unless the rule is wrong.")),
    "attribute.renamed": (_("Renamed"), _("The attribute was sent under another name."), "", ""),
    "attribute.transformed": (_("Transformed"), _("The rule's transforms changed the value."), "", ""),
    "value.mended": (_("Put right"), _("A colleague put the value right while the event was held."), "", ""),
    "attribute.cast": (_("Converted"), _("The value was brought to the attribute's type."), "", ""),
    "attribute.added": (_("Filled in"), _("The rule filled the attribute in."), "", ""),
    "refinement.conflict": (_("Refinement conflict"), _("The finer tag and the attribute say different things."), _("The same value in both."), _("Let the source send one of them.")),
    "tag.deprecated": (_("Deprecated tag"), _("The tag is on its way out; its events are still accepted."), _("Its successor."), _("Let the source send the successor.")),
    "tag.mapped": (_("Mapped"), _("A mapping rule brought the source's name to the tag."), "", ""),
    "tag.case": (_("Case adjusted"), _("The tag's code was sent in other letters."), "", ""),
    "tag.refinement": (_("Refinement read"), _("A finer tag was read back as its tag and attribute."), "", ""),
    "text.repaired": (_("Text repaired"), _("Characters that cannot be stored were replaced."), _("Text in UTF-8."), _("Correct the encoding at the source.")),
    "identifier.junk": (_("Meaningless identifier"), _("The identifier is a filler such as null or 0; it was left out."), _("A real identifier."), _("Leave empty identifiers out at the source.")),
    "identifier.unknown_kind": (_("Unknown kind of identifier"), _("The kind of identifier is not known; it was left out."), _("user_id, crm_id, openid, email, device or anonymous_id."), _("Use one of these kinds in the envelope.")),
}  # fmt: skip


def is_blocking(one: dict[str, Any]) -> bool:
    """Whether a violation of a stored report holds its event."""
    return one["code"] in HELD and not one.get("mode")


def title_for(code: str) -> str:
    return str(WORDS[code][0]) if code in WORDS else code


def explain(code: str, values: dict[str, Any] | None = None) -> Explanation:
    """What is said of a code; with a violation's values, of that violation."""
    title, happened, expected, next_step = WORDS[code]
    told = _TOLD_OTHERWISE[code](values) if values and code in _TOLD_OTHERWISE else None
    return Explanation(code, title, *(told or (happened, expected, next_step)))


def message_for(one: Violation | dict[str, Any]) -> str:
    """What happened, where, the value seen, what was expected, and the next step."""
    found = one if isinstance(one, Violation) else Violation(**one)
    told = explain(found.code, found.values)
    sentences: list[str] = [str(told.happened)]
    if found.path:
        sentences.append(_where(found))
    if found.seen is not None:
        sentences.append(gettext("Seen: %(seen)s.") % {"seen": found.seen})
    wanted = expected_text(found.expected) or str(told.expected)
    if wanted:
        sentences.append(gettext("Expected: %(expected)s.") % {"expected": wanted.rstrip(".。")})
    sentences.append(str(told.next))
    return ("" if (get_language() or "").startswith("zh") else " ").join(sentence for sentence in sentences if sentence)


def _unknown(values: dict[str, Any]) -> tuple[Text, Text, Text] | None:
    """Of a name that rules have and none applies, of one whose tag is a draft, and of one that looks like another: what happened, was expected, comes next."""
    if "draft" in values:
        happened = gettext("The name means the tag %(tag)s, which is still a draft.") % {"tag": values["draft"]}
        return happened, WORDS["event.unknown"][2], _("Make the tag active and release it, or map the name to another tag.")
    if "signs" in values:
        return _odd(values)
    if "limits" not in values:
        return None
    limits = gettext("; ").join(limits_words(one) for one in values["limits"])
    happened = gettext("There is a rule for this name, but it applies only within limits: %(limits)s.") % {"limits": limits}
    if "version" in values:
        space = "" if (get_language() or "").startswith("zh") else " "
        happened += space + gettext("The event came from version %(version)s.") % {"version": values["version"]}
    return happened, WORDS["event.unknown"][2], _("Widen the limits of the rule, or add another rule for this name.")


# What cannot be seen, or told from a plain sign.
_SIGNS = {
    "\u00a0": _("a no-break space"), "\u2007": _("a space as wide as a digit"), "\u200b": _("a space of no width"),
    "\u202f": _("a narrow no-break space"), "\u3000": _("a space of full width"), "\ufeff": _("a byte order mark"),
    " ": _("a space at its end or beginning"),
}  # fmt: skip


def _odd(values: dict[str, Any]) -> tuple[Text, Text, Text]:
    """Of a name that looks like another."""
    signs = gettext(", ").join(str(_SIGNS.get(sign) or _sign(sign)) for sign in values["signs"])
    happened = gettext(
        "No rule of the source, no tag and no refinement has this name. It holds %(signs)s; in plain signs it would be “%(plain)s”."
    )
    next_step = _("Send the name in plain signs, or add a mapping rule for it just as it comes.")
    return happened % {"signs": signs, "plain": values["plain"]}, WORDS["event.unknown"][2], next_step


def _sign(sign: str) -> str:
    return gettext("“%(sign)s” of full width") % {"sign": sign} if sign.strip() else f"U+{ord(sign):04X}"


def _derived(values: dict[str, Any]) -> tuple[Text, Text, Text] | None:
    """Of an id that the source did not send."""
    if "derived" not in values:
        return None
    happened = gettext("The event came without an id, so one was derived from its source, name, phone, identifiers, time and attributes. An event with all these the same was received before, with something else about it otherwise, such as its region or context; the first stays, and this content was dropped.")  # fmt: skip
    return (
        happened,
        WORDS["message_id.reused"][2],
        _("Let the source send an id with each event; then it is told from others by that alone."),
    )


def _other_width(values: dict[str, Any]) -> tuple[Text, Text, Text] | None:
    if not {"seen", "expected"} <= values.keys():
        return None
    _title, _happened, expected, next_step = WORDS["record.columns"]
    happened = gettext("The row has %(seen)s cells and the header %(expected)s columns.")
    return happened % {"seen": values["seen"], "expected": values["expected"]}, expected, next_step


_TOLD_OTHERWISE = {"event.unknown": _unknown, "message_id.reused": _derived, "record.columns": _other_width}


def _where(found: Violation) -> str:
    if "from" in found.values:
        return gettext("Where: %(path)s, which the rule takes from %(origin)s.") % {"path": found.path, "origin": found.values["from"]}
    return gettext("Where: %(path)s.") % {"path": found.path}
