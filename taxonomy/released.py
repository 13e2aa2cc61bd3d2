"""What things are called where they are live: codes, names and places in the tree as the newest release has them.

Rows of the draft change while people work on them, and change nothing live. So whatever tells of events asks here: the newest
release, kept in memory; else the newest earlier release that had the item; else the draft, for what was never released.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from staff.models import in_reader_language
from taxonomy.current import NoRelease, current
from taxonomy.definition import MODELS, Definition, Items
from taxonomy.models import Attribute, Release
from taxonomy.publish import items_of
from taxonomy.standardize import Plan


@dataclass(frozen=True)
class Named:
    """An item as releases define it. Of one that is nowhere any more `definition` is empty."""

    pk: UUID
    definition: Definition = field(repr=False, compare=False)

    @property
    def code(self) -> str:
        return self.definition.get("code", "")

    @property
    def labels(self) -> list[str]:
        """Its name in English and in Chinese, for what is kept and read by each in their language."""
        return [self.definition.get(name, "") for name in ("label_en", "label_zh_hans")]

    @property
    def label(self) -> str:
        return in_reader_language(*self.labels) if self.definition else _("deleted")

    @cached_property
    def parent_id(self) -> UUID | None:
        """Of a tag its category, of a category the one above it."""
        above = self.definition.get("category") or self.definition.get("parent")
        return UUID(above) if above else None

    def __str__(self) -> str:
        return self.label


class _Names:
    """One compiled release, by kind; and what earlier releases said of items that it has not."""

    def __init__(self, plan: Plan | None) -> None:
        self.plan = plan
        self.items: Items = plan.items if plan else {}
        self.of_kind: dict[str, dict[UUID, Named]] = {kind: {} for kind in MODELS}
        for item, one in self.items.items():
            self.of_kind[one["kind"]][UUID(item)] = Named(UUID(item), one)
        self.codes = {kind: {one.code.lower(): one for one in of_kind.values()} for kind, of_kind in self.of_kind.items()}
        self.gone: dict[UUID, Named | None] = {}

    def formerly(self, items: set[UUID]) -> dict[UUID, Named]:
        """As the newest earlier release had them. A query and one for each release that took some out; none for who asks again."""
        unknown = {str(item) for item in items - self.gone.keys()}
        if unknown and self.plan is not None:
            self.gone |= dict.fromkeys(items - self.gone.keys())
            changed = Release.objects.filter(changed_items__has_any_keys=sorted(unknown)).order_by("id")
            without = {item: pk for pk, changes in changed.values_list("id", "changed_items") for item in unknown.intersection(changes)}
            for pk in set(without.values()):
                had = items_of(Release.objects.filter(id__lt=pk).order_by("-id").first())
                self.gone |= {UUID(item): Named(UUID(item), had[item]) for item, last in without.items() if last == pk and item in had}
        return {item: former for item in items if (former := self.gone.get(item))}


_kept = _Names(None)


def _names() -> _Names:
    global _kept
    try:
        plan = current().plan
    except NoRelease:
        plan = None
    if _kept.plan is not plan:
        _kept = _Names(plan)
    return _kept


def released(kind: str) -> dict[UUID, Named]:
    """All items of a kind in the newest release. No query."""
    return _names().of_kind[kind]


def released_by_code(kind: str) -> dict[str, Named]:
    """All items of a kind in the newest release, by their codes in small letters. No query."""
    return _names().codes[kind]


def named(kind: str, ids: Iterable[UUID | None]) -> dict[UUID | None, Named]:
    """What each of these is called, whatever became of it; None is left out. No query for what is released."""
    names, wanted = _names(), {one for one in ids if one is not None}
    found: dict[UUID | None, Named] = {one: names.of_kind[kind][one] for one in wanted if one in names.of_kind[kind]}
    if gone := wanted - found.keys():
        found |= {pk: one for pk, one in names.formerly(gone).items() if pk is not None}
    if never := wanted - found.keys():
        drafted = _drafted(kind, pk__in=never)
        found |= {pk: drafted.get(pk, Named(pk, {})) for pk in never}
    return found


def has_ended(kind: str, item: UUID) -> bool:
    """Whether an earlier release had the item and the newest has not. A few queries, once for each release."""
    names = _names()
    return item not in names.of_kind[kind] and item in names.formerly({item})


def by_code(kind: str, code: str) -> Named | None:
    """The item of a code, whatever the case: the released one, else the draft's that was never released."""
    names = _names()
    if found := names.codes[kind].get(code.lower()):
        return found
    return next((one for one in _drafted(kind, code__iexact=code).values() if one.pk not in names.of_kind[kind]), None)


def by_codes(kind: str, codes: Collection[str]) -> dict[str, Named]:
    """{code: item} of those there are, as `by_code`. One query at the most."""
    names = _names()
    found = {code: names.codes[kind][code.lower()] for code in codes if code.lower() in names.codes[kind]}
    if missing := codes - found.keys():
        found |= {one.code: one for one in _drafted(kind, code__in=missing).values() if one.pk not in names.of_kind[kind]}
    return found


def _drafted(kind: str, **wanted: Any) -> dict[UUID, Named]:
    rows = MODELS[kind]._default_manager.filter(**wanted)
    return {
        pk: Named(pk, {"code": code, "label_en": english, "label_zh_hans": chinese})
        for pk, code, english, chinese in rows.values_list("pk", "code", "label_en", "label_zh_hans")
    }


def codes_of(attributes: QuerySet[Attribute]) -> frozenset[str]:
    """What attributes of the draft are called in events: their codes in the release, and in the draft. One query."""
    of_kind = released("attribute")
    rows = attributes.values_list("pk", "code")
    return frozenset(name for pk, code in rows for name in (code, of_kind[pk].code if pk in of_kind else code))


def personal_codes() -> frozenset[str]:
    """The codes, in small letters, of attributes that are personal by the newest release or by the draft: the stricter counts.

    So data is hidden as soon as somebody declares it personal, and shown again only by a release. One query.
    """
    drafted = codes_of(Attribute.objects.exclude(personal=Attribute.Personal.NONE))
    standing = {one.code for one in released("attribute").values() if one.definition.get("personal", "none") != "none"}
    return frozenset(code.lower() for code in drafted | standing)
