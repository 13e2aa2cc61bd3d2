"""How one tag or one source is doing: volume by day, attributes, violations, by plan and source version, around a release."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, Sum

from ingestion.models import AttributeDay, ReadingDay, Stream, ViolationDay
from taxonomy.models import Attribute, Release, Source, Tag

DAYS = (14, 30, 90)
# Days before and after a release that are set beside each other.
AROUND = 7


@dataclass(slots=True)
class Volume:
    """Events of one version or one part: accepted and held."""

    name: str
    accepted: int = 0
    held: int = 0
    last_day: date | None = None
    item: Any = None

    @property
    def total(self) -> int:
        return self.accepted + self.held

    @property
    def held_percent(self) -> float:
        return 100 * self.held / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class AttributeShare:
    """`percent` of the accepted events carried it; `required` by the draft, None where the draft's tag has it no more."""

    code: str
    label: str
    required: bool | None
    count: int
    percent: float


@dataclass(slots=True)
class ViolationLine:
    """One kind of violation, in all and on both sides of the release looked at: counts, and shares in per cent."""

    code: str
    path: str
    effect: str
    effect_label: str
    count: int = 0
    percent: float = 0.0
    before: float | None = None
    after: float | None = None


@dataclass(slots=True)
class Side:
    """The days before or after a release, of events read by earlier plans or by it and later ones."""

    days: int
    accepted: int = 0
    held: int = 0

    @property
    def total(self) -> int:
        return self.accepted + self.held

    @property
    def a_day(self) -> float:
        return self.total / self.days if self.days else 0.0

    @property
    def held_percent(self) -> float:
        return 100 * self.held / self.total if self.total else 0.0


@dataclass(slots=True)
class Around:
    release: Release
    before: Side
    after: Side


@dataclass(slots=True)
class Health:
    """`by_day`: {part: [events of each day]}; parts are a tag's sources or a source's tags."""

    days: list[date]
    by_day: dict[str, list[int]]
    accepted: int = 0
    held: int = 0
    parts: list[Volume] = field(default_factory=list)
    attributes: list[AttributeShare] = field(default_factory=list)
    violations: list[ViolationLine] = field(default_factory=list)
    releases: list[Volume] = field(default_factory=list)
    versions: list[Volume] = field(default_factory=list)
    around: Around | None = None
    streams: list[Stream] = field(default_factory=list)
    whole: Stream | None = None

    @property
    def total(self) -> int:
        return self.accepted + self.held

    @property
    def held_percent(self) -> float:
        return 100 * self.held / self.total if self.total else 0.0


def tag_health(tag: Tag, today: date, days: int, release: Release | None) -> Health:
    found = _health({"tag": tag.pk}, "source_id", Source, today, days, release)
    found.attributes = _attributes(tag, found)
    return found


def source_health(source: Source, today: date, days: int, release: Release | None) -> Health:
    return _health({"source": source.pk}, "tag_id", Tag, today, days, release)


def releases_to_choose(item: UUID) -> list[Release]:
    """The newest releases, those that changed the item first. At most twelve."""
    newest = list(Release.objects.defer("snapshot").order_by("-id")[:50])
    touched = [one for one in newest if str(item) in one.changed_items]
    return [*touched, *(one for one in newest if one not in touched)][:12]


def _health(
    of: dict[str, UUID], part: str, part_model: type[Any], today: date, days: int, release: Release | None
) -> Health:  # fmt: skip
    since = today - timedelta(days=days - 1)
    shown = [since + timedelta(days=back) for back in range(days)]
    rows = list(
        ReadingDay.objects.filter(day__gte=since, day__lte=today, **of)
        .values("day", part, "release_id", "source_version", "accepted")
        .annotate(events=Sum("count"))
    )
    streams = list(Stream.objects.filter(**of))
    names = part_model.objects.in_bulk(
        {row[part] for row in rows if row[part]} | {getattr(one, part) for one in streams if getattr(one, part)}
    )
    found = Health(shown, {})
    for row in rows:
        label = names[row[part]].label if row[part] in names else "–"
        found.by_day.setdefault(label, [0] * days)[(row["day"] - since).days] += row["events"]
        if row["accepted"]:
            found.accepted += row["events"]
        else:
            found.held += row["events"]
    found.parts = _volumes(rows, lambda row: row[part])
    for one in found.parts:
        one.item = names.get(one.name)
    found.releases = _by_release(rows)
    found.versions = _volumes([row for row in rows if row["source_version"]], lambda row: row["source_version"])
    found.streams = [one for one in streams if getattr(one, part)]
    for stream in found.streams:
        stream.item = names.get(getattr(stream, part))  # type: ignore[attr-defined]
    found.whole = next((one for one in streams if not getattr(one, part)), None)
    found.around = _around(ReadingDay.objects.filter(**of), release, today) if release else None
    found.violations = _violations(ViolationDay.objects.filter(day__gte=since, day__lte=today, **of), found, release, of)
    return found


def _volumes(rows: Iterable[dict[str, Any]], name: Any) -> list[Volume]:
    """Those with most events first."""
    found: dict[Any, Volume] = {}
    for row in rows:
        one = found.setdefault(name(row), Volume(name(row)))
        if row["accepted"]:
            one.accepted += row["events"]
        else:
            one.held += row["events"]
        one.last_day = max(one.last_day or row["day"], row["day"])
    return sorted(found.values(), key=lambda one: -one.total)


def _by_release(rows: list[dict[str, Any]]) -> list[Volume]:
    """By plan version, the newest first."""
    found = {one.name: one for one in _volumes(rows, lambda row: row["release_id"])}
    releases = Release.objects.defer("snapshot").in_bulk([pk for pk in found if pk])
    for pk, one in found.items():
        one.item = releases.get(pk)  # type: ignore[call-overload]
        one.name = one.item.version if one.item else "–"
    return [found[pk] for pk in sorted(found, key=lambda pk: -(int(pk) if pk else 0))]


def _around(rows: QuerySet[ReadingDay], release: Release, today: date) -> Around:
    published = release.published_at.date()
    near = rows.filter(day__gte=published - timedelta(days=AROUND), day__lte=published + timedelta(days=AROUND))
    around = Around(release, Side(AROUND), Side(max(1, min(AROUND, (today - published).days + 1))))
    for row in near.values("release_id", "accepted").annotate(events=Sum("count")):
        side = around.before if (row["release_id"] or 0) < release.pk else around.after
        if row["accepted"]:
            side.accepted += row["events"]
        else:
            side.held += row["events"]
    return around


def _attributes(tag: Tag, found: Health) -> list[AttributeShare]:
    """Those of the draft's tag in their order, then what else was carried."""
    rows = AttributeDay.objects.filter(tag=tag, day__gte=found.days[0], day__lte=found.days[-1])
    counts = dict(rows.values_list("attribute").annotate(events=Sum("count")).order_by("-events"))
    uses = list(tag.uses.select_related("attribute"))
    required = {use.attribute.code: use.required for use in uses}
    labels = {one.code: one.label for one in Attribute.objects.filter(code__in=[*counts, *required])}
    codes = [*required, *(code for code in counts if code not in required)]
    return [
        AttributeShare(code, labels.get(code, code), required.get(code), counts.get(code, 0), 100 * counts.get(code, 0) / found.accepted if found.accepted else 0.0)
        for code in codes
    ]  # fmt: skip


def _violations(rows: QuerySet[ViolationDay], found: Health, release: Release | None, of: dict[str, UUID]) -> list[ViolationLine]:
    lines = {
        (row["code"], row["path"], row["effect"]): ViolationLine(
            row["code"], row["path"], row["effect"], str(ViolationDay.Effect(row["effect"]).label), row["events"],
            100 * row["events"] / found.total if found.total else 0.0,
        )
        for row in rows.values("code", "path", "effect").annotate(events=Sum("count")).order_by("-events")
    }  # fmt: skip
    if found.around is not None:
        _set_beside(lines, found.around, of)
    return list(lines.values())


def _set_beside(lines: dict[tuple[str, str, str], ViolationLine], around: Around, of: dict[str, UUID]) -> None:
    published = around.release.published_at.date()
    near = ViolationDay.objects.filter(day__gte=published - timedelta(days=AROUND), day__lte=published + timedelta(days=AROUND), **of)
    counts: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in near.values("code", "path", "effect", "release_id").annotate(events=Sum("count")):
        counts[row["code"], row["path"], row["effect"]][(row["release_id"] or 0) >= around.release.pk] += row["events"]
    for key, line in lines.items():
        before, after = counts[key]
        line.before = 100 * before / around.before.total if around.before.total else None
        line.after = 100 * after / around.after.total if around.after.total else None


@dataclass(slots=True)
class Overview:
    """A tag or source with its stream as a whole (None: nothing ever came) and the parts of it that stopped."""

    item: Any
    stream: Stream | None
    stopped: list[Any] = field(default_factory=list)

    @property
    def weight(self) -> tuple[int, Any]:
        """Those to look at first: stopped, partly stopped, then by the last time seen; what never came is last."""
        if self.stream is None:
            return 3, 0
        rank = 0 if self.stream.state == Stream.State.STOPPED else 1 if self.stopped else 2
        return rank, -self.stream.last_at.timestamp()


def overview(kind: str) -> list[Overview]:
    """Every tag that may be sent, or every source, those to look at first. Four queries. `kind`: "tag" or "source"."""
    items: QuerySet[Any] = Source.objects.all() if kind == "source" else Tag.objects.exclude(status=Tag.Status.DRAFT)
    other = "tag" if kind == "source" else "source"
    streams = list(Stream.objects.all())
    names = (Tag if kind == "source" else Source).objects.in_bulk({getattr(one, f"{other}_id") for one in streams})  # type: ignore[attr-defined]
    whole = {getattr(one, f"{kind}_id"): one for one in streams if getattr(one, f"{other}_id") is None}
    parts: dict[UUID, list[Any]] = defaultdict(list)
    for one in streams:
        if one.state == Stream.State.STOPPED and one.source_id and one.tag_id:
            parts[getattr(one, f"{kind}_id")].append(names.get(getattr(one, f"{other}_id")))
    found = [Overview(item, whole.get(item.pk), [part for part in parts[item.pk] if part]) for item in items]
    return sorted(found, key=lambda one: one.weight)
