from datetime import UTC, datetime
from uuid import UUID

from cdp import jobs
from ingestion.imports import run_import
from ingestion.offer import offer
from ingestion.outgoing import attempt
from ingestion.replay import run_replay
from ingestion.rollup import roll_up
from ingestion.streams import judge_streams
from ingestion.takeback import work_on


@jobs.task(queue="imports", retry=jobs.AGAIN)
def import_file(run_id: str) -> None:
    run_import(UUID(run_id))


@jobs.task(queue="imports", retry=jobs.AGAIN)
def replay_held(replay_id: str) -> None:
    run_replay(UUID(replay_id))


@jobs.task(queue="imports", retry=jobs.AGAIN)
def offer_held(release_id: int) -> None:
    for replay in offer(release_id):
        replay_held.defer(replay_id=str(replay.pk))


@jobs.periodic(cron="* * * * * */10")
@jobs.task(queueing_lock="roll_up_events", pass_context=False)
def roll_up_events(timestamp: int) -> None:
    roll_up(datetime.fromtimestamp(timestamp, UTC))


@jobs.periodic(cron="*/5 * * * *")
@jobs.task(queueing_lock="judge_event_streams", pass_context=False)
def judge_event_streams(timestamp: int) -> None:
    judge_streams(datetime.fromtimestamp(timestamp, UTC))


@jobs.task(queue="webhooks")
def send_dispatch(dispatch_id: str, round: int, number: int) -> None:
    attempt(UUID(dispatch_id), round, number)


@jobs.task(queue="imports", retry=jobs.AGAIN)
def work_on_take_back(take_back_id: int) -> None:
    work_on(take_back_id)
