"""Who may read, change, sign or release what of the standard.

A role says what somebody may do at all; grants say where. Places form a tree like folders: a category stands below the one
above it, the sources of a department and the topmost categories below the whole standard. The nearest place with rows for an
act decides; without any, the role's right holds everywhere. Whoever is named for any act may read there. The department that
owns a tag or a source may always read, change and sign it; stewards and compliance always read and sign.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from staff.models import Department, User
from taxonomy.definition import Definition, Items, draft_items
from taxonomy.diff import title
from taxonomy.history import last_states, with_places
from taxonomy.models import Attribute, Category, Grant, MappingRule, Proposal, ProposalItem, Source, Tag, TagAttribute
from taxonomy.publish import items_of, newest

May = Grant.May
# ("category", uuid), ("sources", department's code) or WHOLE
Place = tuple[str, str]
WHOLE: Place = ("", "")
_OF_OWNER = frozenset({May.READ, May.PROPOSE, May.REVIEW})
_OF_DUTY = frozenset({May.READ, May.REVIEW})


class OutsideGrant(Exception):
    """An item lies where only others may do this. `names` are those who may; `item` its title and `place` where, "" for who may not read it."""

    def __init__(self, act: str, item: str, place: str, names: list[str]) -> None:
        super().__init__(act)
        self.act, self.item, self.place, self.names = act, item, place, names


@dataclass(frozen=True, slots=True)
class Rights:
    """Every grant as one person meets it. `rows` is empty for a superuser, whom no grant limits."""

    person: User
    rows: dict[Place, list[Grant]]
    parents: dict[str, str | None]
    has_duty: bool

    @property
    def limited(self) -> bool:
        return bool(self.rows)

    def closed(self, act: str, places: Collection[Place]) -> Place | None:
        """The place that keeps the person from it, None where they may. `places`: an item's, the nearest first."""
        if not self.rows or (self.has_duty and act in _OF_DUTY):
            return None
        if act != May.READ and (unread := self.closed(May.READ, places)) is not None:
            return unread
        for place in places:
            rows = self.rows.get(place, [])
            deciding = [row for row in rows if row.may == act]
            if any(self._is_named(row) for row in (rows if act == May.READ else deciding)):
                return None
            if deciding:
                return place
        return None

    def owns(self, act: str, owner: str | None) -> bool:
        return act in _OF_OWNER and owner is not None and owner == self.person.department_id

    def above(self, category: str | None, plan: Items) -> list[Place]:
        """A category's place, those above it, the whole standard. The draft's tree, for categories gone from it the plan's."""
        found: dict[Place, None] = {}
        while category is not None and ("category", category) not in found:
            found["category", category] = None
            category = self.parents[category] if category in self.parents else plan.get(category, {}).get("parent")
        return [*found, WHOLE]

    def open_categories(self, act: str) -> list[str]:
        return [one for one in self.parents if self.closed(act, self.above(one, {})) is None]

    def open_owners(self, act: str) -> list[str]:
        """Departments whose sources are open."""
        codes = Department.objects.values_list("pk", flat=True)
        return [code for code in codes if self.owns(act, code) or self.closed(act, [("sources", code), WHOLE]) is None]

    def _is_named(self, row: Grant) -> bool:
        if row.person_id is not None:
            return row.person_id == self.person.pk
        return row.department_id == self.person.department_id


def rights_of(person: User) -> Rights:
    """Two queries, none for a superuser; one where nothing is granted."""
    return next(iter(rights_of_each([person])))


def rights_of_each(people: Iterable[User]) -> list[Rights]:
    """As many queries for many as for one, if their departments are at hand."""
    people = list(people)
    rows: dict[Place, list[Grant]] = defaultdict(list)
    if not all(person.is_superuser for person in people):
        for row in Grant.objects.select_related("department", "person", "category", "sources_of"):
            rows[_place(row)].append(row)
    parents = {str(one): str(above) if above else None for one, above in Category.objects.values_list("pk", "parent")} if rows else {}
    return [_rights(person, {} if person.is_superuser else dict(rows), parents) for person in people]


def _rights(person: User, rows: dict[Place, list[Grant]], parents: dict[str, str | None]) -> Rights:
    department = person.department if rows else None
    return Rights(person, rows, parents, bool(department and department.duty))


def may(person: User, act: str, item: str, plan: Items) -> bool:
    """Whether grants let a person do this to an item as a plan defines it. Whether their role does is for `has_perm` to say."""
    return On(rights_of(person), plan).may(act, item)


class On:
    """A person's rights on the items of one plan: the draft, a release, or what a proposal would make of it."""

    def __init__(self, rights: Rights, plan: Items) -> None:
        self.rights, self.plan = rights, plan
        self._known: dict[tuple[str, str], Place | None] = {}
        self.tags_of: dict[str, list[str]] = defaultdict(list)
        self._with_own: set[str | None] = set()
        if rights.limited:
            for item, one in plan.items():
                if one["kind"] == "tag":
                    self._note_tag(item, one)

    def _note_tag(self, item: str, one: Definition) -> None:
        """Which attributes it uses; and where a tag of the person's department stands: they may see where."""
        for use in one.get("attributes") or []:
            self.tags_of[use["attribute"]].append(item)
        if self.rights.owns(May.READ, one.get("owner")):
            self._with_own.add(one.get("category"))

    def may(self, act: str, item: str) -> bool:
        return self.closed(act, item) is None

    def closed(self, act: str, item: str) -> Place | None:
        """The place that keeps the person from it, None where they may, or where the plan has no such item."""
        if not self.rights.limited or item not in self.plan:
            return None
        if (act, item) not in self._known:
            self._known[act, item] = self.closed_as(act, item, self.plan[item])
        return self._known[act, item]

    def closed_as(self, act: str, item: str, one: Definition) -> Place | None:
        """As `closed`, of an item as another definition than the plan's has it."""
        match one["kind"]:
            case "tag":
                return self._owned(act, one, self.rights.above(one.get("category"), self.plan))
            case "source":
                return self._owned(act, one, [("sources", str(one.get("owner"))), WHOLE])
            case "attribute":
                by_tag = [self.closed(act, tag) for tag in self.tags_of[item]]
                return None if None in by_tag or not by_tag else by_tag[0]
            case "rule":
                return self.closed(act, one["source"]) or self.closed(May.READ, one["tag"])
        shut = self.rights.closed(act, self.rights.above(item, self.plan))
        return None if act == May.READ and item in self._with_own else shut

    def hidden(self) -> set[str]:
        """The items that the person may not read."""
        return {item for item in self.plan if not self.may(May.READ, item)} if self.rights.limited else set()

    def expect(self, act: str, item: str) -> None:
        """Raises OutsideGrant."""
        if (place := self.closed(act, item)) is not None:
            rows = self.rights.rows[place]
            named = {row.who for row in rows if row.may == act} or {row.who for row in rows}
            if act in _OF_OWNER:
                named |= {str(one) for one in Department.objects.filter(pk=self.plan[item].get("owner"))}
            told = (title(self.plan[item], self.plan), rows[0].place) if self.may(May.READ, item) else ("", "")
            raise OutsideGrant(act, *told, sorted(named))

    def _owned(self, act: str, one: Definition, places: list[Place]) -> Place | None:
        return None if self.rights.owns(act, one.get("owner")) else self.rights.closed(act, places)


def expect(person: User, act: str, item_ids: Collection[Any], *plans: Items) -> None:
    """The person may do this to all the items, as they are in each of the plans. Raises OutsideGrant."""
    rights = rights_of(person)
    for plan in plans if rights.limited else ():
        on = On(rights, plan)
        for item in item_ids:
            on.expect(act, str(item))


def among[Row: Model](rows: QuerySet[Row], rights: Rights, act: str = May.READ) -> QuerySet[Row]:
    """Those of the draft's rows, of one kind, to which grants let the person do this: what `may` says, as one filter."""
    return rows.filter(_CONDITIONS[rows.model](rights, act)) if rights.limited else rows


def hidden_from(rights: Rights, *plans: Items) -> set[str]:
    """The items that the person may not read in one of these plans."""
    return set().union(*(On(rights, plan).hidden() for plan in plans)) if rights.limited else set()


def reads_every_tag(rights: Rights) -> bool:
    """Whether no category and no tag is hidden from the person, as the draft and the release have them.

    Only then do numbers that are not parted by tag tell nothing hidden. No query for whom no grant limits.
    """
    if not rights.limited:
        return True
    plan = items_of(newest())
    hidden = {plan[item]["kind"] for item in On(rights, plan).hidden()}
    return hidden.isdisjoint({"category", "tag"}) and len(rights.open_categories(May.READ)) == len(rights.parents)


def readable_proposals(proposals: QuerySet[Proposal], rights: Rights) -> QuerySet[Proposal]:
    """Those the person wrote, or of which they may read something."""
    if not rights.limited:
        return proposals
    released, draft = items_of(newest()), draft_items()
    hidden, unread = hidden_from(rights, released, draft), _unread_of_gone(rights, released, draft)
    readable = ProposalItem.objects.filter(proposal=OuterRef("pk")).exclude(item__in=hidden).exclude(pk__in=unread)
    nothing = ~Exists(ProposalItem.objects.filter(proposal=OuterRef("pk")))
    mine = Proposal.objects.filter(Q(author=rights.person) | Q(co_authors=rights.person)).values("pk")
    return proposals.filter(Exists(readable) | nothing | Q(pk__in=mine))


def _unread_of_gone(rights: Rights, released: Items, draft: Items) -> list[int]:
    """Rows of proposals whose item is gone from both plans and, as they keep it or as it last was, was not for the person to read."""
    rows = list(ProposalItem.objects.exclude(item__in=[*released, *draft]).values_list("pk", "item", "before", "after"))
    gone = last_states(str(item) for _row, item, before, after in rows if before is None and after is None)
    kept = [(row, str(item), [one for one in (before, after, gone.get(str(item))) if one]) for row, item, before, after in rows]
    gone |= {item: sides[-1] for _row, item, sides in kept if sides}
    gone = with_places(gone, released, draft)
    plans = [On(rights, plan) for plan in (released | draft | gone, draft | released | gone)] if rows else []
    return [row for row, item, sides in kept if any(on.closed_as(May.READ, item, one) for on in plans for one in sides)]


def _categories(rights: Rights, act: str) -> Q:
    found = Q(pk__in=rights.open_categories(act))
    if act == May.READ and rights.person.department_id:
        found |= Q(Exists(Tag.objects.filter(category=OuterRef("pk"), owner=rights.person.department_id)))
    return found


def _tags(rights: Rights, act: str) -> Q:
    found = Q(category__in=rights.open_categories(act))
    return found | Q(owner=rights.person.department_id) if act in _OF_OWNER and rights.person.department_id else found


def _attributes(rights: Rights, act: str) -> Q:
    uses = TagAttribute.objects.filter(attribute=OuterRef("pk"))
    return ~Q(Exists(uses)) | Q(Exists(uses.filter(tag__in=Tag.objects.filter(_tags(rights, act)))))


def _sources(rights: Rights, act: str) -> Q:
    return Q(owner__in=rights.open_owners(act))


def _rules(rights: Rights, act: str) -> Q:
    return Q(source__in=Source.objects.filter(_sources(rights, act))) & Q(tag__in=Tag.objects.filter(_tags(rights, May.READ)))


_CONDITIONS: dict[Any, Any] = {Category: _categories, Tag: _tags, Attribute: _attributes, Source: _sources, MappingRule: _rules}


def _place(row: Grant) -> Place:
    if row.category_id:
        return ("category", str(row.category_id))
    return ("sources", row.sources_of_id) if row.sources_of_id else WHOLE
