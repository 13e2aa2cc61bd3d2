"""The newest release, ready to be looked things up in: by code, by who uses what. Decoded once per process and release."""

from collections import OrderedDict, defaultdict
from collections.abc import Collection
from functools import cached_property

from taxonomy.current import plan_of
from taxonomy.definition import Definition, Items
from taxonomy.models import Release
from taxonomy.similar.names import Index
from taxonomy.standardize import Plan
from taxonomy.standardize.plan import rule_order

_KEPT = 2
KINDS = ("category", "tag", "attribute", "source")


class Standard:
    """`release` is without its snapshot. Lists of uuids are in the order in which people read them."""

    def __init__(self, release: Release, plan: Plan, items: Items | None = None) -> None:
        self.release = release
        self.plan = plan
        self.items: Items = plan.items if items is None else items
        self.by_code: dict[tuple[str, str], str] = {}
        self.tags_in: dict[str | None, list[str]] = defaultdict(list)
        self.categories_in: dict[str | None, list[str]] = defaultdict(list)
        self.users_of: dict[str, list[str]] = defaultdict(list)
        self.rules_to: dict[str, list[str]] = defaultdict(list)
        self.rules_of: dict[str, list[str]] = defaultdict(list)
        self.replaced_by: dict[str, list[str]] = defaultdict(list)
        self.drawn: dict[str, str] = {}  # {language: the start page's tree}
        for item, one in sorted(self.items.items(), key=_reading_order):
            if one["kind"] != "rule":
                self.by_code[one["kind"], one["code"].lower()] = item
            self._place(item, one)

    def _place(self, item: str, one: Definition) -> None:
        match one["kind"]:
            case "category":
                self.categories_in[one.get("parent")].append(item)
            case "tag":
                self.tags_in[one.get("category")].append(item)
                for use in one.get("attributes") or []:
                    self.users_of[use["attribute"]].append(item)
                if one.get("successor"):
                    self.replaced_by[one["successor"]].append(item)
            case "rule":
                self.rules_to[one["tag"]].append(item)
                self.rules_of[one["source"]].append(item)

    def without(self, hidden: Collection[str]) -> "Standard":
        """The same for somebody who may not read some of it: what refers to that does so no longer."""
        items = {item: one for item, one in self.items.items() if item not in hidden}
        for item, one in list(items.items()):
            if one["kind"] == "rule" and not {one["tag"], one["source"]} <= items.keys():
                del items[item]
            elif one["kind"] == "tag":
                uses = [use for use in one.get("attributes") or [] if use["attribute"] in items]
                successor = one.get("successor") if one.get("successor") in items else None
                items[item] = {**one, "attributes": uses, "successor": successor}
        return Standard(self.release, self.plan, items)

    def find(self, kind: str, code: str) -> str | None:
        """The uuid of what has this code, whatever its case."""
        return self.by_code.get((kind, code.lower()))

    def of_kind(self, kind: str) -> list[str]:
        """By code."""
        return [item for (found, _code), item in self.by_code.items() if found == kind]

    def path_to(self, category: str | None) -> list[Definition]:
        """The categories from the top of the tree to this one."""
        path: list[Definition] = []
        while category in self.items and len(path) < 20:
            path.insert(0, self.items[category])
            category = self.items[category].get("parent")
        return path

    @cached_property
    def currency(self) -> str:
        """The default currency of the first source that has one."""
        return next(filter(None, (self.items[item].get("currency") for item in self.of_kind("source"))), "")

    @cached_property
    def index(self) -> Index:
        return Index(self.items)


_known: OrderedDict[int, Standard] = OrderedDict()


def standard() -> Standard | None:
    """The standard as released now; None before the first release. One query while it stays the same."""
    release = Release.objects.defer("snapshot").order_by("-id").first()
    if release is None:
        return None
    found = _known.get(release.pk)
    if found is None or found.release.content_hash != release.content_hash:
        found = _known[release.pk] = Standard(release, plan_of(release.pk).plan)
        while len(_known) > _KEPT:
            _known.popitem(last=False)
    found.release = release  # somebody may have reviewed it since
    return found


def _reading_order(pair: tuple[str, Definition]) -> tuple[object, ...]:
    """Rules as they are tried, source by source; categories by position; the rest by code."""
    one = pair[1]
    if one["kind"] == "rule":
        return (1, one["source"], *rule_order(pair))
    return (0, one["kind"], one.get("position", 0) if one["kind"] == "category" else 0, one["code"])
