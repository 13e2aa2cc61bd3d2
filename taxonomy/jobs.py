from datetime import UTC, datetime

from cdp import jobs
from taxonomy.remind import remind


@jobs.periodic(cron="*/10 * * * *")
@jobs.task(queueing_lock="remind_reviewers", pass_context=False)
def remind_reviewers(timestamp: int) -> None:
    remind(datetime.fromtimestamp(timestamp, UTC))
