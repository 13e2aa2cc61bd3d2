from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from cdp import jobs
from taxonomy.ending import warn_of_endings
from taxonomy.models import Proposal, Release
from taxonomy.proposals.remind import remind
from taxonomy.proposals.review import settle_approved


@jobs.periodic(cron="*/10 * * * *")
@jobs.task(queueing_lock="remind_reviewers", pass_context=False)
def remind_reviewers(timestamp: int) -> None:
    remind(datetime.fromtimestamp(timestamp, UTC))


@jobs.periodic(cron="0 * * * *")
@jobs.task(queueing_lock="warn_of_endings", pass_context=False)
def warn_owners(timestamp: int) -> None:
    warn_of_endings(timezone.localdate(datetime.fromtimestamp(timestamp, UTC)))


@jobs.task(pass_context=False)
def look_at_approved() -> None:
    settle_approved()


def settle_after_release(_made: Release, _before: Any) -> None:
    """Have a job look at what is approved. Inside the release's transaction: both, or neither."""
    if Proposal.objects.filter(state=Proposal.State.APPROVED).exists():
        look_at_approved.defer()
