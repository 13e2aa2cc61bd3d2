from datetime import UTC, datetime

from django.utils import timezone

from cdp import jobs
from taxonomy.ending import warn_of_endings
from taxonomy.proposals.remind import remind


@jobs.periodic(cron="*/10 * * * *")
@jobs.task(queueing_lock="remind_reviewers", pass_context=False)
def remind_reviewers(timestamp: int) -> None:
    remind(datetime.fromtimestamp(timestamp, UTC))


@jobs.periodic(cron="0 * * * *")
@jobs.task(queueing_lock="warn_of_endings", pass_context=False)
def warn_owners(timestamp: int) -> None:
    warn_of_endings(timezone.localdate(datetime.fromtimestamp(timestamp, UTC)))
