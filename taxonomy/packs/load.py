"""Write a vendor's pack into the draft: a new source with its rules, to be proposed like whatever else is drafted."""

from django.utils.functional import lazy
from django.utils.translation import get_language, gettext

from staff.models import User, in_both_languages, in_reader_language
from taxonomy.definition import draft_items
from taxonomy.draft import write_items, writing
from taxonomy.models import Source, Tag
from taxonomy.packs import Pack, packs
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
    tags = {tag_code: str(pk) for pk, tag_code in Tag.objects.values_list("pk", "code")}
    items, missing = pack.items(code=code, owner=owner, tags=tags)
    source_id = next(iter(items))
    items[source_id] |= {key: value for key, value in (("region", region), ("currency", currency)) if value}
    with writing(items):
        write_items(dict(items), by=by, why=_why(pack))
        expect(by, May.PROPOSE, items, items_of(newest()), draft_items())
    return Source.objects.get(pk=source_id), missing


def _why(pack: Pack) -> str:
    """For whoever reads the history in whatever language."""

    def told() -> str:
        return gettext("Pack: %(name)s") % {"name": in_reader_language(pack.source["label_en"], pack.source["label_zh_hans"])}

    return in_both_languages(lazy(told, str)())
