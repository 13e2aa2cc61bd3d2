"""How one tag or one source is doing: volume by day, attributes, violations, by plan and source version, around a release."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet, Sum
from django.utils.translation import gettext as _

from ingestion.models import AttributeDay, ReadingDay, Stream, ViolationDay, Withdrawal
from taxonomy.models import Attribute, Release, Source, Tag
from taxonomy.released import Named, by_codes, codes_of, named

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
    """`percent` of the accepted events carried it; `required` by the release, None where its tag has it not."""

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
    """`is_first`: there was no plan before it, and so nothing to compare with."""

    release: Release
    before: Side
    after: Side
    is_first: bool = False


@dataclass(slots=True)
class Health:
    """`by_day`: {part's name: [events of each day]}; parts are a tag's sources or a source's tags. `withdrawn`: of all these, those taken back now."""

    days: list[date]
    by_day: dict[Any, list[int]]
    accepted: int = 0
    held: int = 0
    withdrawn: int = 0
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


@dataclass(frozen=True, slots=True)
class Shown:
    """What a reader who may not read everything may: of tags, sources and attributes."""

    tags: QuerySet[Tag]
    sources: QuerySet[Source]
    attributes: QuerySet[Attribute]

    @property
    def counted(self) -> Q:
        """Of the daily counts and streams, those of what may be read; a source's names that are in no tag are among them."""
        return Q(source__in=self.sources.values("pk")) & (Q(tag=None) | Q(tag__in=self.tags.values("pk")))


def tag_health(tag: Any, today: date, days: int, release: Release | None, source: Any = None, shown: Shown | None = None) -> Health:
    """Of a tag, by its `pk`: of all its sources, or of one. `shown`: only of those."""
    of = Q(tag=tag.pk, **({"source": source.pk} if source else {}))
    with _at_one_moment():
        found = _health(of, "source_id", today, days, release, shown)
        carried = _carried(found, of, shown)
    _give_names(found, "source")
    found.attributes = _attributes(tag.pk, carried, found.accepted)
    if source:
        found.whole = next(iter(found.streams), None)
    return found


def source_health(source: Any, today: date, days: int, release: Release | None, shown: Shown | None = None) -> Health:
    """Of all it sends. `shown`: only of those tags."""
    with _at_one_moment():
        found = _health(Q(source=source.pk), "tag_id", today, days, release, shown)
    _give_names(found, "tag")
    return found


@contextmanager
def _at_one_moment() -> Iterator[None]:
    """What is counted meanwhile shows in none of the sums: shares of one in another would be above 100 %.

    Names are asked for after it: in it the release obeyed by then may be missing, and they are remembered for other pages.
    """
    is_outermost = not connection.in_atomic_block
    with transaction.atomic():
        if is_outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def releases_to_choose(item: UUID) -> list[Release]:
    """The newest releases, those that changed the item first. At most twelve."""
    newest = list(Release.objects.defer("snapshot").order_by("-id")[:50])
    touched = [one for one in newest if str(item) in one.changed_items]
    return [*touched, *(one for one in newest if one not in touched)][:12]


def _health(of: Q, part: str, today: date, days: int, release: Release | None, shown: Shown | None) -> Health:
    """`of`: what is looked at, as a filter of the daily counts; `part`: the column by which it is parted. The parts have no names yet."""
    since = today - timedelta(days=days - 1)
    streams = list(Stream.objects.filter(of & (shown.counted | Q(source=None) if shown else Q())).order_by(part))
    of &= shown.counted if shown else Q()
    near = Q(day__gte=since, day__lte=today) & of
    rows = list(
        ReadingDay.objects.filter(near)
        .values("day", part, "release_id", "source_version", "accepted")
        .annotate(events=Sum("count"))
        .order_by("day", part, "release_id", "source_version", "accepted")  # So that what is equally frequent has its place.
    )
    found = Health(
        days=[since + timedelta(days=back) for back in range(days)],
        by_day=_by_day(rows, part, since, days),
        accepted=sum(row["events"] for row in rows if row["accepted"]),
        held=sum(row["events"] for row in rows if not row["accepted"]),
        withdrawn=Withdrawal.objects.filter(near).events(),
        parts=_volumes(rows, lambda row: row[part]),
        releases=_by_release(rows),
        versions=_volumes([row for row in rows if row["source_version"]], lambda row: row["source_version"]),
        streams=[one for one in streams if getattr(one, part)],
        whole=next((one for one in streams if not getattr(one, part)), None),
        around=_around(ReadingDay.objects.filter(of), release, today) if release else None,
    )
    found.violations = _violations(ViolationDay.objects.filter(near), found, of)
    return found


def _by_day(rows: list[dict[str, Any]], part: str, since: date, days: int) -> dict[Any, list[int]]:
    found: dict[Any, list[int]] = {}
    for row in rows:
        found.setdefault(row[part], [0] * days)[(row["day"] - since).days] += row["events"]
    return found


def _give_names(found: Health, kind: str) -> None:
    """`kind` of its parts: "tag" or "source". Those that are called the same are one line of the days."""
    names = named(kind, {*found.by_day, *(getattr(one, f"{kind}_id") for one in found.streams)})
    by_part, found.by_day = found.by_day, {}
    for part, events in by_part.items():
        label = names[part].label if part in names else _("unknown names")
        found.by_day[label] = [sum(one) for one in zip(events, found.by_day.get(label, [0] * len(events)), strict=True)]
    for volume in found.parts:
        volume.item = names.get(volume.name)  # type: ignore[call-overload]
    for stream in found.streams:
        stream.item = names.get(getattr(stream, f"{kind}_id"))  # type: ignore[attr-defined]


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
    published = release.day
    around = Around(release, Side(AROUND), Side(max(1, min(AROUND, (today - published).days + 1))))
    for side, near in ((around.before, _before(release)), (around.after, _after(release))):
        for row in rows.filter(near).values("accepted").annotate(events=Sum("count")):
            if row["accepted"]:
                side.accepted = row["events"]
            else:
                side.held = row["events"]
    around.is_first = not around.before.total and not Release.objects.filter(pk__lt=release.pk).exists()
    return around


def _before(release: Release) -> Q:
    """The days before a release, and its own as far as earlier plans read the events."""
    day = release.day
    return Q(day__gte=day - timedelta(days=AROUND), day__lte=day) & (Q(release=None) | Q(release__lt=release.pk))


def _after(release: Release) -> Q:
    day = release.day
    return Q(day__gte=day, day__lt=day + timedelta(days=AROUND), release__gte=release.pk)


def _carried(found: Health, of: Q, shown: Shown | None) -> dict[str, int]:
    """How many events carried each attribute, most first, by its code."""
    rows = AttributeDay.objects.filter(of, day__gte=found.days[0], day__lte=found.days[-1])
    if shown:
        unread = codes_of(Attribute.objects.exclude(pk__in=shown.attributes.values("pk")))
        rows = rows.filter(shown.counted).exclude(attribute__in=unread)
    return dict(rows.values_list("attribute").annotate(events=Sum("count")).order_by("-events", "attribute"))


def _attributes(tag: UUID, counts: dict[str, int], accepted: int) -> list[AttributeShare]:
    """Those of the released tag in their order, then what else was carried."""
    uses = {UUID(use["attribute"]): use.get("required", False) for use in named("tag", [tag])[tag].definition.get("attributes") or ()}
    names = named("attribute", uses)
    required = {names[attribute].code: is_required for attribute, is_required in uses.items()}
    labels = {code: one.label for code, one in by_codes("attribute", {*counts, *required}).items()}
    codes = [*required, *(code for code in counts if code not in required)]
    return [
        AttributeShare(code, labels.get(code, code), required.get(code), counts.get(code, 0), 100 * counts.get(code, 0) / (accepted or 1))
        for code in codes
    ]  # fmt: skip


def _violations(rows: QuerySet[ViolationDay], found: Health, of: Q) -> list[ViolationLine]:
    lines = {
        (row["code"], row["path"], row["effect"]): ViolationLine(
            row["code"], row["path"], row["effect"], str(ViolationDay.Effect(row["effect"]).label), row["events"],
            100 * row["events"] / found.total if found.total else 0.0,
        )
        for row in rows.values("code", "path", "effect").annotate(events=Sum("count")).order_by("-events", "code", "path")
    }  # fmt: skip
    if found.around is not None:
        _set_beside(lines, found.around, of)
    return list(lines.values())


def _set_beside(lines: dict[tuple[str, str, str], ViolationLine], around: Around, of: Q) -> None:
    """Give each line its share on both sides, None for a side without events."""
    sides = (("before", _before(around.release), around.before.total), ("after", _after(around.release), around.after.total))
    for name, near, total in sides:
        rows = ViolationDay.objects.filter(near, of).values_list("code", "path", "effect").annotate(events=Sum("count"))
        counts = {(code, path, effect): events for code, path, effect, events in rows}
        for key, line in lines.items():
            setattr(line, name, 100 * counts.get(key, 0) / total if total else None)


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


def _by_code(parts: Iterable[Named | None]) -> list[Named]:
    return sorted(filter(None, parts), key=lambda part: (part.code, part.pk))


def overview(kind: str, items: Iterable[Named], parts_of: Iterable[Named]) -> list[Overview]:
    """Every one of these tags that may be sent, or of these sources, those to look at first. One query.

    `kind`: "tag" or "source"; `parts_of`: of the other kind, those that may be named as stopped.
    """
    items = [one for one in items if one.definition.get("status") != Tag.Status.DRAFT]
    other = "tag" if kind == "source" else "source"
    streams = list(Stream.objects.all())
    names = {one.pk: one for one in parts_of}
    whole = {getattr(one, f"{kind}_id"): one for one in streams if getattr(one, f"{other}_id") is None}
    parts: dict[UUID, list[Named | None]] = defaultdict(list)
    for one in streams:
        if one.state == Stream.State.STOPPED and one.source_id and one.tag_id:
            parts[getattr(one, f"{kind}_id")].append(names.get(getattr(one, f"{other}_id")))
    found = [Overview(item, whole.get(item.pk), _by_code(parts[item.pk])) for item in items]
    return sorted(found, key=lambda one: one.weight)
