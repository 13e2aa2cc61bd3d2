"""Publishing: the previous release plus the definitions of chosen items becomes the next release."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import msgspec
import zstandard
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from staff.models import User
from taxonomy.checks import Finding
from taxonomy.definition import Definition, Items, draft_items
from taxonomy.models import Release
from taxonomy.proposals.verdict import judge, next_version
from taxonomy.standardize import Plan, Problem, check_plan
from taxonomy.weigh import weigh_change

CHANNEL = "tagline_release"
# Any two publications wait for each other on this lock.
_LOCK = 7_201_001


class NotPublishable(Exception):
    """The plan would not hold together, or fails checks that are errors. All of them."""

    def __init__(self, problems: list[Problem], findings: list[Finding]) -> None:
        super().__init__(", ".join(sorted({*(problem.code for problem in problems), *(finding.check for finding in findings)})))
        self.problems, self.findings = problems, findings


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


def company_day() -> date:
    """Today, where the company is: the day on which what is proposed is judged."""
    return timezone.localdate(timezone=timezone.get_default_timezone())


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


def publish(item_ids: Collection[str] | None = None, *, notes: str, by: User | None, emergency_reason: str = "") -> Release:
    """Release the chosen items of the draft (None: all) on top of the current release, whatever anybody signed.

    Raises NotPublishable with every problem, or NothingToPublish.
    """
    with transaction.atomic():
        _wait_for_others()
        chosen = {change.item: change.after for change in unreleased() if item_ids is None or change.item in item_ids}
        return release(chosen, notes=notes, by=by, emergency_reason=emergency_reason)


@transaction.atomic
def release(
    wanted: dict[str, Definition | None], *, notes: str, by: User | None, emergency_reason: str = "", signed: bool = False
) -> Release:
    """Release definitions (None: the item goes) on top of the current release. Raises as `publish` does."""
    _wait_for_others()
    current = newest()
    before = items_of(current)
    changed = {item: one for item, one in wanted.items() if before.get(item) != one}
    if not changed:
        raise NothingToPublish
    after = {item: one for item, one in (before | changed).items() if one is not None}
    problems, findings = problems_of(before, after)
    if problems or findings:
        raise NotPublishable(problems, findings)
    canonical = Plan.canonical(after)
    made = Release.objects.create(
        version=next_version(current.version if current else None, judge(before, after, on=company_day()).level),
        content_hash=Plan.content_hash(after),
        snapshot=zstandard.ZstdCompressor(level=9).compress(canonical),
        changed_items=list(changed),
        notes=notes,
        published_by=by,
        emergency_reason=emergency_reason,
        signed=signed,
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(made.pk)])
    for name in settings.TAGLINE_AFTER_RELEASE:
        import_string(name)(made, before)
    return made


def problems_of(before: Items, after: Items) -> tuple[list[Problem], list[Finding]]:
    """Why a plan cannot be released: what does not hold together, else the checks weighed as errors that the change fails."""
    if problems := check_plan(after):
        return problems, []
    return [], weigh_change(before, after, severities=("error",))


def _wait_for_others() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
