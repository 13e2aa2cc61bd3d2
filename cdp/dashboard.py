"""The first page: what arrives, what it became, what is stuck, and whether the machinery runs."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.db.models import Q, Sum
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from ingestion.models import ImportRun, Withdrawal, WriteKey
from ingestion.quarantine.causes import waiting
from ingestion.quarantine.held import held_causes, held_groups
from profiles.charts import StackedBars, stacked_bars
from profiles.models import Tally
from staff.masking import shown_to
from taxonomy.admin.proposals import waiting_in
from taxonomy.models import Proposal, Release
from taxonomy.released import named
from taxonomy.request_rights import of_sources_in, rights_in, sources_in

DAYS = 14
WORKER_SILENT_AFTER = timedelta(seconds=60)
VERDICTS = ("accepted", "quarantined", "duplicate", "refused")


@dataclass(frozen=True)
class Verdict:
    code: str
    label: str
    count: int
    start: float
    percent: float


@dataclass(frozen=True)
class Machinery:
    """The worker: `running` while a heartbeat is young; `waiting` and `failed` jobs."""

    running: bool
    last_heartbeat: datetime | None
    waiting: int
    failed: int


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the blocks that this person may see to the context of the admin's first page."""
    user = request.user
    today = timezone.localdate(timezone=timezone.get_default_timezone())
    tallies = _tallies_since(today - timedelta(days=DAYS - 1))
    started = bool(tallies) or Tally.objects.exists()
    context |= {
        "title": _("Dashboard"),
        "days": DAYS,
        "started": started,
        "release": Release.objects.select_related("published_by").defer("snapshot").first(),
        # notes may tell of what somebody may not read
        "may_read_notes": not rights_in(request).limited,
        "machinery": machinery(timezone.now()),
    }
    if started:
        readable = set(sources_in(request).values_list("pk", flat=True)) if rights_in(request).limited else None
        context |= {
            "chart": _chart(tallies, today, readable, unnamed=_("deleted source") if readable is None else _("others")),
            "verdicts": _verdicts(tallies),
            "changed": sum(row["changed"] for row in tallies),
            "withdrawn": Withdrawal.objects.filter(day__gt=today - timedelta(days=DAYS)).events(),
        }
    else:
        context["steps"] = _first_steps(user, context["release"])
    if user.has_perm("taxonomy.view_proposal"):
        context |= waiting_in(request) | {"mine": Proposal.objects.open().filter(Q(author=user.pk) | Q(co_authors=user.pk)).distinct()}
    if user.has_perm("ingestion.view_quarantinereason"):
        causes = held_causes(sources=sources_in(request) if rights_in(request).limited else None)
        context |= {"causes": held_groups(causes, limit=5, shown=shown_to(user)), "causes_waiting": waiting(request)}
    if user.has_perm("ingestion.view_importrun"):
        context["imports"] = of_sources_in(ImportRun.objects.all(), request).order_by("-created_at", "-id")[:3]
    return context


def _tallies_since(first_day: date) -> list[Any]:
    """First verdicts per day (the company's) and source: [{"day", "source_id", "accepted", …}]. One query."""
    zone = timezone.get_default_timezone()
    since = datetime.combine(first_day, datetime.min.time(), tzinfo=zone)
    return list(
        Tally.objects.filter(received_at__gte=since)
        .annotate(day=TruncDate("received_at", tzinfo=zone))
        .values("day", "source_id")
        .annotate(**{name: Sum(name) for name in (*VERDICTS, "changed")})
    )


def _chart(tallies: list[dict[str, Any]], today: date, readable: Collection[UUID] | None, *, unnamed: str) -> StackedBars:
    """By source; those that are not `readable` (None: all are) together, as `unnamed`."""
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    found = named("source", (row["source_id"] for row in tallies))
    labels = {pk: one.label for pk, one in found.items() if one.definition and (readable is None or pk in readable)}
    values: dict[str, list[int]] = {}
    for row in tallies:
        if row["day"] <= today:
            numbers = values.setdefault(labels.get(row["source_id"], unnamed), [0] * DAYS)
            numbers[days.index(row["day"])] += sum(row[name] for name in VERDICTS)
    return stacked_bars([f"{day:%m-%d}" for day in days], values, other=_("others"))


def _verdicts(tallies: list[dict[str, Any]]) -> list[Verdict]:
    labels = {"accepted": _("accepted"), "quarantined": _("quarantined"), "duplicate": _("duplicate"), "refused": _("refused")}
    counts = {code: sum(row[code] for row in tallies) for code in VERDICTS}
    total = sum(counts.values()) or 1
    verdicts, start = [], 0.0
    for code, count in counts.items():
        verdicts.append(Verdict(code, labels[code], count, start, 100 * count / total))
        start += 100 * count / total
    return verdicts


def machinery(now: datetime) -> Machinery:
    """What the job queue's tables say. One query; a queue that was never set up counts as not running."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT max(last_heartbeat) FROM procrastinate_workers),"
                " count(*) FILTER (WHERE status = 'todo'), count(*) FILTER (WHERE status = 'failed')"
                " FROM procrastinate_jobs WHERE status IN ('todo', 'failed')"
            )
            heartbeat, waiting, failed = cursor.fetchone()
    except DatabaseError:
        return Machinery(False, None, 0, 0)
    return Machinery(heartbeat is not None and now - heartbeat < WORKER_SILENT_AFTER, heartbeat, waiting, failed)


def _first_steps(user: Any, release: Release | None) -> list[dict[str, Any]]:
    """The three steps to a first event: what to do, whether it is done, and where."""
    has_key = WriteKey.objects.filter(revoked_at=None).exists()
    steps = [
        (_("Publish the standard"), _("Look through the tags, then release them: only what is released is obeyed."), release is not None, "taxonomy.view_tag", "admin:taxonomy_tag_changelist"),
        (_("Make a write key for a source"), _("Each platform that sends events has a key of its own."), has_key, "ingestion.add_writekey", "admin:ingestion_writekey_add"),
        (_("Send an event, or import a file"), _("It is brought to the standard at once, or held with its reasons."), False, "ingestion.add_importrun", "admin:ingestion_importrun_changelist"),
    ]  # fmt: skip
    return [
        {"title": title, "text": text, "done": done, "url": _url(name) if user.has_perm(permission) else None}
        for title, text, done, permission, name in steps
    ]


def _url(name: str) -> str | None:
    try:
        return reverse(name)
    except NoReverseMatch:
        return None
