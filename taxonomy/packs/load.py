"""Write a vendor's pack into the draft: a new source with its rules, to be proposed like whatever else is drafted."""

from django.utils.functional import lazy
from django.utils.translation import get_language, gettext

from staff.models import User, in_both_languages, in_reader_language
from taxonomy.definition import draft_items
from taxonomy.draft import write_items, writing
from taxonomy.models import MappingRule, Source, Tag
from taxonomy.packs import Definition, Pack, packs
from taxonomy.publish import items_of, newest
from taxonomy.rights import May, expect


def pack_choices(*, by_webhook: bool = False) -> list[tuple[str, str]]:
    """[(name, label in the reader's language)], by label. `by_webhook`: only those that send so."""
    label = "label_zh_hans" if (get_language() or "").startswith("zh") else "label_en"
    found = [(name, str(pack.source[label])) for name, pack in packs().items() if pack.hook or not by_webhook]
    return sorted(found, key=lambda pair: pair[1].lower())


def load_pack(pack: Pack, *, code: str, owner: str, region: str = "", currency: str = "", by: User) -> tuple[Source, list[str]]:
    """The source made, and the codes of tags that the draft does not have, whose rules are left out. Raises OutsideGrant.

    `region` and `currency`: in place of the pack's, where given.
    """
    items, missing = pack.items(code=code, owner=owner, tags=_tags())
    source_id = next(iter(items))
    items[source_id] |= {key: value for key, value in (("region", region), ("currency", currency)) if value}
    with writing(items):
        _write(pack, items, by)
    return Source.objects.get(pk=source_id), missing


def add_rules(pack: Pack, source: Source, *, by: User) -> tuple[int, list[str]]:
    """How many of its rules the source got, behind its own and without those it has; and what `load_pack` left out. Raises OutsideGrant."""
    made, missing = pack.items(code=source.code, owner="", tags=_tags())
    with writing():
        there = list(MappingRule.objects.filter(source=source).values_list("match", "name", "position"))
        known, after = {(match, name) for match, name, _position in there}, max((one[-1] for one in there), default=-1) + 1
        new = {item: one for item, one in made.items() if one["kind"] == "rule" and (one["match"], one["name"]) not in known}
        rules = {item: {**one, "source": str(source.pk), "position": after + at} for at, (item, one) in enumerate(new.items())}
        _write(pack, rules, by)
    return len(rules), missing


def _tags() -> dict[str, str]:
    return {code: str(pk) for pk, code in Tag.objects.values_list("pk", "code")}


def _write(pack: Pack, items: dict[str, Definition], by: User) -> None:
    write_items(dict(items), by=by, why=_why(pack))
    expect(by, May.PROPOSE, items, items_of(newest()), draft_items())


def _why(pack: Pack) -> str:
    """For whoever reads the history in whatever language."""

    def told() -> str:
        return gettext("Pack: %(name)s") % {"name": in_reader_language(pack.source["label_en"], pack.source["label_zh_hans"])}

    return in_both_languages(lazy(told, str)())
