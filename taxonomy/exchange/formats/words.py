"""The words of what was not carried over: for whoever exports or imports a plan."""

from collections.abc import Iterable
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from taxonomy.diff import CONSTRAINTS, FIELDS
from taxonomy.exchange.formats.carry import count_by
from taxonomy.exchange.formats.found import LeftOut

REASONS: dict[str, Promise | str] = {
    "item": _("The other format has no place for it. It stays here only."),
    "field": _("The other side has no place for this. It was left out."),
    "keyword": _("The standard has no word for this. It was left out; the rest is carried."),
    "attribute.own": _("The standard's own attribute cannot be narrowed so. It was left out."),
    "attribute.renamed": _("The name means something else elsewhere. It came in under this name."),
    "attribute.standard": _("The standard's own attribute is used, whose type is another one."),
    "attribute.stricter": _("The standard's own attribute asks for more here, and stays so."),
    "attribute.twice": _("The name stands there twice. The first one counts."),
    "bound.digits": _("The number cannot be written exactly on the other side. It was left out."),
    "bound.exclusive": _("“Greater than” and “less than” become “at least” and “at most”."),
    "bound.moment": _("JSON Schema cannot judge bounds of dates and times. They hold here only."),
    "bound.unreadable": _("The bound does not fit the type or another bound. It was left out."),
    "event.entity": _("It describes something that goes with events, and no event."),
    "event.no_object": _("It does not describe an event with named fields. It was left out."),
    "event.other": _("This is no event, or one without fields of its own. It was left out."),
    "file.encoding": _("The file's encoding cannot be read. Save it as UTF-8."),
    "file.expands": _("Its aliases stand for far more than the file holds. Write them out, or leave them away."),
    "file.no_plan": _("The file is not of this format. Choose the format it is of, or leave it away."),
    "file.not_csv": _("The file cannot be read as a table."),
    "file.not_json": _("The file cannot be read as JSON."),
    "file.not_yaml": _("The file cannot be read as YAML."),
    "file.not_zip": _("The zip is damaged or locked. Pack it again, without a password."),
    "file.too_deep": _("The file is nested too deeply, more than 64 levels."),
    "file.too_large": _("The file is too large. Send it in parts."),
    "format.narrower": _("A web address must begin with http:// or https:// here."),
    "format.unknown": _("The standard does not check this format. It came in as plain text."),
    "name.long": _("The name is longer than the other side allows."),
    "name.unusable": _("The name is empty, too long or holds signs that cannot be kept."),
    "pattern.dialect": _("The pattern uses what the other side's regular expressions do not know. It was left out."),
    "ref.circle": _("The references go round in a circle. What they stand for was left out."),
    "ref.missing": _("It refers to something that is not in these files. Add the file that holds it."),
    "ref.remote": _("It refers to another address. Nothing is fetched: add that file to the upload."),
    "required.nullable": _("It is required but may be null, which counts as absent here. It came in as optional."),
    "required.unknown": _("It is required but not described. It was left out."),
    "rudder.no_id": _("An entry without an id cannot be referred to. It was left out."),
    "rudder.one_per_name": _("RudderStack has one property of each name and type. The limits of the first one are written."),
    "rudder.variable": _("The name is filled in elsewhere by a variable. Its id was taken instead."),
    "rule.followed": _("The source has a rule for this name already. The event is the tag that it names."),
    "rule.there": _("The source has a rule for this name already. That rule stays."),
    "schema.none": _("This is no schema. It was left out."),
    "tag.kept": _("The tag is in the standard already, where this is optional. It stays so."),
    "tag.no_successor": _("A deprecated tag needs a successor, which is not said. It came in as a draft."),
    "tag.renamed": _("The standard would read the name as a refinement of another tag. It came in under this name."),
    "tag.twice": _("Another plan in these files holds this event too. The first one counts."),
    "tag.unknown": _("There is no such one here. The one chosen was taken."),
    "type.any": _("Any type is allowed there. It came in as text."),
    "type.enum": _("The choices are not all texts without spaces around them. They were left out."),
    "type.money": _("An amount and a currency are money here, and the currency must be one of ISO 4217."),
    "type.nested_list": _("A list of lists cannot be an attribute. It was left out."),
    "type.none": _("No value is allowed there. It was left out."),
    "type.null_entry": _("Entries of a list may be null there, but not here."),
    "type.several": _("Several types are allowed there. It came in as the widest that there is here."),
    "type.too_deep": _("It is nested more than eight levels deep. What lies deeper was left out."),
    "type.unknown": _("There is no such type. It was left out, or came in as text."),
    "version.older": _("A newer version of this event is there too. The newest counts."),
    "version.unreadable": _("The version is not written as 1-0-0. It was left out."),
}
KINDS: dict[str, Promise | str] = {
    "category": _("category"), "attribute": _("attribute"), "tag": _("tag"), "source": _("source"), "rule": _("mapping rule"),
}  # fmt: skip


class Told(NamedTuple):
    """One reason with everything it is about. `places` are the first ones, `more` how many others there are."""

    reason: str
    what: str
    places: list[str]
    more: int
    number: int


# Of a long list a reader wants to see of what kind it is; the whole is in the command's answer.
SHOWN = 8


def told(left_out: Iterable[LeftOut], *, shown: int = SHOWN) -> list[Told]:
    """What was left out, by reason and what it is, the most frequent first."""
    return [
        Told(str(REASONS.get(why, why)), _what(what), [place_text(one) for one in places[:shown]], max(len(places) - shown, 0), len(places))
        for why, what, places in count_by(left_out)
    ]


def place_text(place: str) -> str:
    """`tag:login` as a reader says it; a file's path stays."""
    kind, colon, name = place.partition(":")
    return f"{KINDS[kind]} {name}" if colon and kind in KINDS else place


def _what(what: str) -> str:
    return str(FIELDS.get(what) or CONSTRAINTS.get(what) or what)
