"""The one table of codes: what each does to an event. Its anchor in docs/codes.md is the code itself.

The sentences live at the edge (taxonomy/violations.py); the core knows no language.
"""

from typing import Literal

import msgspec

Effect = Literal["refused", "held", "noted", "change"]


class Code(msgspec.Struct, frozen=True):
    code: str
    effect: Effect

    @property
    def slug(self) -> str:
        return self.code


_BY_EFFECT: dict[Effect, tuple[str, ...]] = {
    "refused": (
        "record.not_json",
        "record.not_utf8",
        "record.not_form",
        "record.not_xml",
        "record.not_cloudevent",
        "record.not_object",
        "record.empty",
        "record.columns",
        "record.encoding",
        "record.cut_off",
        "limit.size",
        "limit.nesting",
        "limit.attributes",
        "limit.message_id",
        "limit.events",
    ),
    "held": (
        "record.repeated_key",
        "envelope.wrong_type",
        "event.name_missing",
        "event.unknown",
        "phone.missing",
        "phone.invalid",
        "phone.region_unknown",
        "phone.conflict",
        "time.invalid",
        "time.impossible",
        "attribute.missing",
        "attribute.wrong_type",
        "attribute.not_allowed",
        "attribute.out_of_range",
        "attribute.length",
        "attribute.pattern",
        "attribute.currency_missing",
        "attribute.unstorable",
        "attribute.transform",
        "refinement.conflict",
    ),
    "noted": (
        "text.repaired",
        "envelope.unknown_field",
        "tag.deprecated",
        "phone.unreadable",
        "time.missing",
        "time.ahead",
        "time.skewed",
        "message_id.missing",
        "message_id.reused",
        "limit.violations",
        "identifier.junk",
        "identifier.unknown_kind",
        "attribute.unplanned",
        "attribute.set_aside",
    ),
    "change": (
        "tag.mapped",
        "tag.case",
        "tag.refinement",
        "attribute.renamed",
        "attribute.transformed",
        "value.mended",
        "attribute.cast",
        "attribute.added",
    ),
}

CODES: dict[str, Code] = {code: Code(code, effect) for effect, codes in _BY_EFFECT.items() for code in codes}

HELD: frozenset[str] = frozenset(_BY_EFFECT["held"])
