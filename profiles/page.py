"""What the customer page shows, put together for a template: who, what, how much."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import phonenumbers
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from profiles.charts import StackedBars, stacked_bars
from profiles.models import Customer, Event, Link
from profiles.money import is_money, money
from profiles.readable import Readable
from profiles.sight import Sight
from profiles.summary import Summary
from staff.masking import mask_identifier, mask_in_record, mask_in_text, mask_phone
from taxonomy.released import Named, by_codes, named, personal_codes, released

MONTHS = 12
# Of a country wider than this (Russia, the whole of +1) the clocks together would say nothing.
WIDEST_CLOCKS = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Phone:
    """A number as a person may see it, and what its plan tells: region, city, operator, the time of day there now."""

    shown: str
    masked: str
    place: str
    operator: str
    clock: str


@dataclass(frozen=True, slots=True)
class Identifier:
    kind: str
    shown: str
    how: str
    since: datetime | None
    until: datetime | None


def phone_facts(e164: str, *, now: datetime, unmasked: bool) -> Phone:
    # Their tables take a third of a second to load, which only this page needs.
    from phonenumbers import carrier, geocoder
    from phonenumbers import timezone as phone_zones

    number = phonenumbers.parse(e164)
    language = "zh" if (get_language() or "").startswith("zh") else "en"
    shown = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL) if unmasked else mask_phone(e164)
    return Phone(
        shown,
        mask_phone(e164),
        geocoder.description_for_number(number, language) or geocoder.country_name_for_number(number, language),
        carrier.name_for_number(number, language),
        clock_there([zone for zone in phone_zones.time_zones_for_number(number) if zone != "Etc/Unknown"], now),
    )


def clock_there(zones: Sequence[str], now: datetime) -> str:
    """The time of day in the zones a number may be of: "18:44", "18:44 to 20:44" where their clocks differ, or nothing."""
    clocks = sorted({now.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for zone in zones})
    if not clocks or clocks[-1] - clocks[0] > WIDEST_CLOCKS:
        return ""
    first, last = f"{clocks[0]:%H:%M}", f"{clocks[-1]:%H:%M}"
    return first if len(clocks) == 1 else _("%(first)s to %(last)s") % {"first": first, "last": last}


def identities(customer: Customer, *, unmasked: bool) -> tuple[list[Phone], list[Identifier]]:
    """The customer's phones and other identifiers, each with how it was tied."""
    phones, others = [], []
    for link in Link.objects.filter(customer=customer, withdrawn_at=None).select_related("subject").order_by("id"):
        subject = link.subject
        if subject.kind == "phone":
            phones.append(phone_facts(subject.value, now=timezone.now(), unmasked=unmasked))
        else:
            value = subject.value if unmasked else mask_identifier(subject.kind, subject.value)
            others.append(Identifier(kind_label(subject.kind), value, link.get_evidence_display(), link.since, link.until))
    return phones, others


def kind_label(kind: str) -> str:
    return {
        "user_id": _("user id"), "crm_id": _("CRM id"), "openid": _("WeChat openid"), "email": _("e-mail"),
        "device": _("device"), "anonymous_id": _("browser"),
    }.get(kind, kind)  # fmt: skip


def charts(found: Summary, readable: Readable | None = None) -> list[tuple[str, StackedBars]]:
    """Events of the last twelve months by category, and by source where there are several; at most seven apart.

    What is not `readable` has no name.
    """
    if not found.by_month:
        return []
    tags = named("tag", (tag for _m, tag, _s in found.by_month))
    categories = named("category", (tag.parent_id for tag in tags.values()))
    of_category = {one.pk: one.label for one in categories.values() if not readable or one.pk in readable.categories}
    sources = named("source", (source for _m, _t, source in found.by_month))
    of_source = {one.pk: one.label for one in sources.values() if not readable or one.pk in readable.sources}
    by_category: dict[tuple[date, str], int] = defaultdict(int)
    by_source: dict[tuple[date, str], int] = defaultdict(int)
    for (month, tag_id, source_id), count in found.by_month.items():
        by_category[month, of_category.get(tags[tag_id].parent_id, "–")] += count  # type: ignore[arg-type]
        by_source[month, of_source.get(source_id, "–")] += count
    drawn = [(_("Events by month and category"), _by_month(by_category))]
    return [*drawn, (_("Events by month and source"), _by_month(by_source))] if len(of_source) > 1 else drawn


def _by_month(counts: dict[tuple[date, str], int]) -> StackedBars:
    last = max(month for month, _label in counts)
    months = [_months_before(last, back) for back in reversed(range(MONTHS))]
    values: dict[str, list[int]] = defaultdict(lambda: [0] * MONTHS)
    for (month, label), count in counts.items():
        if month in months:
            values[label][months.index(month)] += count
    return stacked_bars([f"{month:%y-%m}" for month in months], dict(values), other=_("other"))


_COMMON_REGIONS = ("CN", "US", "GB", "HK", "TW", "SG", "JP", "DE", "FR", "CA", "AU")


def regions() -> list[str]:
    """Regions a number without + may be of: those of the sources, the most frequent first, then common ones."""
    of_sources = Counter(region for one in released("source").values() if (region := one.definition.get("region")))
    return list(dict.fromkeys([region for region, _count in of_sources.most_common()] + list(_COMMON_REGIONS)))


def _months_before(month: date, back: int) -> date:
    years, at = divmod(month.year * 12 + month.month - 1 - back, 12)
    return date(years, at + 1, 1)


def traits_masked(traits: dict[str, Any], customer: Customer) -> dict[str, Any]:
    """Phones, e-mail addresses and the customer's own identifiers masked wherever they stand in a trait."""
    own = frozenset(customer.links.values_list("subject__value", flat=True))
    return {code: value if is_money(value) else mask_in_record({code: value}, hidden_values=own)[code] for code, value in traits.items()}


def traits_shown(found: Summary, customer: Customer, *, unmasked: bool, readable: Readable | None = None) -> list[tuple[str, str]]:
    attributes, personal = by_codes("attribute", found.traits.keys()), frozenset() if unmasked else personal_codes()
    traits = found.traits if unmasked else traits_masked(found.traits, customer)
    shown = []
    for code, value in traits.items():
        if readable and code in readable.unread_attributes:
            continue
        text = money(**value) if is_money(value) else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        label = attributes[code].label if code in attributes else code
        shown.append((label, _hidden(code, text) if code.lower() in personal else text if unmasked else mask_in_text(text)))
    return shown


def _hidden(code: str, text: str) -> str:
    if code == "email":
        return mask_identifier("email", text)
    return text[:1] + "***" if text else ""


def by_day(events: list[Event], sight: Sight) -> list[tuple[date, list[dict[str, Any]]]]:
    """Events by local day, newest first, each with what a glance needs."""
    tags, sources = named("tag", (event.tag_id for event in events)), named("source", (event.source_id for event in events))
    rows: list[dict[str, Any]] = [
        {
            "event": event, "tag": tags.get(event.tag_id), "source": sources[event.source_id],
            "at": timezone.localtime(event.occurred_at), "gist": gist(event, sight),
        }
        for event in events
    ]  # fmt: skip
    return [(day, list(group)) for day, group in groupby(rows, key=lambda row: row["at"].date())]


def gist(event: Event, sight: Sight) -> str:
    """The few attributes that say how much, which product, about what."""
    attributes = {code: value for code, value in (event.attributes or {}).items() if not sight.is_hidden(code)}
    text = " · ".join([str(attributes[code]) for code in _TELLING if attributes.get(code)][:3])
    paid: Any = next((attributes[code] for code in ("amount", "price") if is_money(attributes.get(code))), None)
    return " · ".join(filter(None, [money(**paid) if paid else "", sight(text)]))


_TELLING = ("product_name", "product_id", "keyword", "subject", "page_title", "page_path", "topic", "comment", "campaign", "coupon_code")


def filters(readable: Readable | None = None) -> dict[str, Any]:
    """What a timeline can be filtered by: categories as an indented tree, and sources; of those `readable`."""
    categories, sources = _tree(), sorted(released("source").values(), key=lambda one: one.code)
    if readable:
        categories = [(one, label) for one, label in categories if one.pk in readable.categories]
        sources = [one for one in sources if one.pk in readable.sources]
    return {"categories": categories, "sources": sources}


def _tree() -> list[tuple[Named, str]]:
    below: dict[UUID | None, list[Named]] = defaultdict(list)
    for category in sorted(released("category").values(), key=lambda one: (one.definition.get("position", 0), one.code)):
        below[category.parent_id].append(category)

    def walk(parent: UUID | None, depth: int) -> list[tuple[Named, str]]:
        return [pair for one in below[parent] for pair in ((one, "  " * depth + one.label), *walk(one.pk, depth + 1))]

    return walk(None, 0)


def tags_under(category_code: str) -> list[UUID] | None:
    """The tags of a category and of all below it; None when there is no such category."""
    below: dict[UUID | None, list[UUID]] = defaultdict(list)
    for category in released("category").values():
        below[category.parent_id].append(category.pk)
    top = next((one.pk for one in released("category").values() if one.code == category_code), None)
    if top is None:
        return None
    found, new = {top}, [top]
    while new:
        new = [child for one in new for child in below[one]]
        found.update(new)
    return [tag.pk for tag in released("tag").values() if tag.parent_id in found]
