"""Searching the standard: by names in every way of writing, then by what descriptions say."""

from dataclasses import dataclass

from taxonomy.definition import Definition
from taxonomy.dictionary.standard import KINDS, Standard
from taxonomy.dictionary.words import description, label
from taxonomy.similar.names import RELATED, similar
from taxonomy.similar.words import reason_text

LIMIT = 12
_SHORTEST = 3


@dataclass(frozen=True, slots=True)
class Hit:
    kind: str
    item: str
    label: str
    code: str
    description: str
    why: str


def search(text: str, standard: Standard, limit: int = LIMIT) -> list[Hit]:
    """What the standard has that is named like the text, or speaks of it."""
    text = text.replace("\0", "").strip()
    matches = similar(text, standard.index, limit, kinds=KINDS, least=RELATED)
    # every hit contains or is what was typed, in some way: only the less obvious ways are worth telling
    told = {match.item: "" if match.reason.how in ("same", "contains") and match.reason.field.startswith(("code", "label")) else reason_text(match.reason, standard.items) for match in matches}  # fmt: skip
    for item in _speaking_of(text, standard) if len(told) < limit else ():
        told.setdefault(item, "")
        if len(told) == limit:
            break
    return [_hit(item, standard.items[item], why) for item, why in told.items()]


def _hit(item: str, one: Definition, why: str) -> Hit:
    return Hit(one["kind"], item, label(one), one["code"], description(one), why)


def _speaking_of(text: str, standard: Standard) -> list[str]:
    wanted = text.casefold()
    if len(wanted) < (_SHORTEST if wanted.isascii() else 2):
        return []
    told = ((item, one) for item, one in standard.items.items() if one["kind"] in KINDS)
    return [item for item, one in told if wanted in one["description_en"].casefold() or wanted in one["description_zh_hans"]]
