from cdp import jobs
from profiles.link import settle
from profiles.untied import tie_anew


@jobs.periodic(cron="* * * * *")
@jobs.task(queueing_lock="settle_links", pass_context=False)
def settle_links(timestamp: int) -> None:
    """Draw the links that a process killed between its commit and settling left undone."""
    tie_anew()
    settle()
