"""Publishing: the previous release plus the definitions of chosen items becomes the next release."""

from collections.abc import Collection
from dataclasses import dataclass

import msgspec
import zstandard
from django.db import connection, transaction

from staff.models import User
from taxonomy.definition import Definition, Items, draft_items
from taxonomy.models import Release
from taxonomy.standardize import Plan, Problem, check_plan

CHANNEL = "tagline_release"
# Any two publications wait for each other on this lock.
_LOCK = 7_201_001


class NotPublishable(Exception):
    """The plan would not hold together. `problems` are all of them."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(", ".join(sorted({problem.code for problem in problems})))
        self.problems = problems


class NothingToPublish(Exception):
    """The chosen items are in the current release as they stand."""


@dataclass(frozen=True, slots=True)
class ItemChange:
    """How an item of the draft differs from the current release; `before` or `after` is None when it is new or gone."""

    item: str
    before: Definition | None
    after: Definition | None

    @property
    def kind(self) -> str:
        return (self.after or self.before or {})["kind"]


def items_of(release: Release | None) -> Items:
    """The definitions of a release: {uuid: definition}."""
    if release is None:
        return {}
    return msgspec.json.decode(zstandard.ZstdDecompressor().decompress(bytes(release.snapshot)))


def newest() -> Release | None:
    return Release.objects.order_by("-id").first()


def unreleased() -> list[ItemChange]:
    """What differs between the draft and the current release."""
    return changes_between(items_of(newest()), draft_items())


def changes_between(before: Items, after: Items) -> list[ItemChange]:
    return [ItemChange(item, before.get(item), after.get(item)) for item in before | after if before.get(item) != after.get(item)]


@transaction.atomic
def publish(item_ids: Collection[str] | None = None, *, notes: str, by: User | None) -> Release:
    """Release the chosen items of the draft (None: all) on top of the current release.

    Raises NotPublishable with every problem, or NothingToPublish.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    current = newest()
    before = items_of(current)
    chosen = [change for change in changes_between(before, draft_items()) if item_ids is None or change.item in item_ids]
    if not chosen:
        raise NothingToPublish
    after = dict(before)
    for change in chosen:
        if change.after is None:
            del after[change.item]
        else:
            after[change.item] = change.after
    if problems := check_plan(after):
        raise NotPublishable(problems)
    canonical = Plan.canonical(after)
    release = Release.objects.create(
        version=_next_version(current),
        content_hash=Plan.content_hash(after),
        snapshot=zstandard.ZstdCompressor(level=9).compress(canonical),
        changed_items=[change.item for change in chosen],
        notes=notes,
        published_by=by,
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(release.pk)])
    return release


def _next_version(current: Release | None) -> str:
    if current is None:
        return "1.0.0"
    major, minor, _ = current.version.split(".")
    return f"{major}.{int(minor) + 1}.0"
