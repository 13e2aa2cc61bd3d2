from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from django.utils import timezone
from procrastinate.exceptions import AlreadyEnqueued

from cdp import jobs
from ingestion.accepted.near import decide, find_near_duplicates, found_of
from ingestion.accepted.past import run_past
from ingestion.accepted.takeback import work_on
from ingestion.imports.run import run_import
from ingestion.imports.uploads import finish_upload, forget_half_sent
from ingestion.outgoing.alarms import raise_alarms
from ingestion.outgoing.announce import announce, wanted
from ingestion.outgoing.dispatches import attempt, forget_old
from ingestion.quarantine.offer import offer, offer_anew
from ingestion.quarantine.replay import run_replay
from ingestion.quarantine.undo import undo
from ingestion.watching.again import look_again
from ingestion.watching.digest import send_digests
from ingestion.watching.rollup import roll_up, roll_up_once
from ingestion.watching.streams import judge_streams


@jobs.task(queue="imports", retry=jobs.AGAIN)
def import_file(run_id: str) -> None:
    run_import(UUID(run_id))


def queue_import(run_id: UUID) -> None:
    """Let a run begin or go on. Asked again before it has begun, it is asked once: a second job would only wait for the first."""
    with suppress(AlreadyEnqueued):
        import_file.configure(queueing_lock=f"import {run_id}").defer(run_id=str(run_id))


@jobs.task(queue="imports", retry=jobs.AGAIN)
def finish_file(upload_id: str) -> None:
    finish_upload(UUID(upload_id))


@jobs.periodic(cron="41 3 * * *")
@jobs.task(queueing_lock="forget_half_sent_files", pass_context=False)
def forget_half_sent_files(timestamp: int) -> None:
    forget_half_sent(datetime.fromtimestamp(timestamp, UTC))


@jobs.task(queue="imports", retry=jobs.AGAIN)
def replay_held(replay_id: str) -> None:
    offer_anew(run_replay(UUID(replay_id)))


@jobs.task(queue="imports", retry=jobs.AGAIN)
def read_past(replay_id: str) -> None:
    run_past(UUID(replay_id))


@jobs.task(queue="imports", retry=jobs.AGAIN)
def undo_replay(replay_id: str) -> None:
    undo(UUID(replay_id))


def queue_undo(replay_id: UUID) -> None:
    """Let taking a replay back begin or go on. Asked again before it has begun, it is asked once."""
    with suppress(AlreadyEnqueued):
        undo_replay.configure(queueing_lock=f"undo {replay_id}").defer(replay_id=str(replay_id))


@jobs.task(queue="imports", retry=jobs.AGAIN)
def offer_held(release_id: int) -> None:
    for replay in offer(release_id):
        replay_held.defer(replay_id=str(replay.pk))


@jobs.periodic(cron="* * * * * */10")
@jobs.task(queueing_lock="roll_up_events", pass_context=False)
def roll_up_events(timestamp: int) -> None:
    roll_up(datetime.fromtimestamp(timestamp, UTC))


@jobs.periodic(cron="* * * * * */10")
@jobs.task(queueing_lock="look_again_at_what_is_left", pass_context=False)
def look_again_at_what_is_left(timestamp: int) -> None:
    look_again(datetime.fromtimestamp(timestamp, UTC))


@jobs.periodic(cron="*/5 * * * *")
@jobs.task(queueing_lock="judge_event_streams", pass_context=False)
def judge_event_streams(timestamp: int) -> None:
    judge_streams(datetime.fromtimestamp(timestamp, UTC))


@jobs.task(queue="webhooks")
def send_dispatch(dispatch_id: str, round: int, number: int) -> None:
    attempt(UUID(dispatch_id), round, number)
    announce(timezone.now())  # where it was taken there is room for the next


@jobs.periodic(cron="* * * * * */2")
@jobs.task(queueing_lock="announce_events", pass_context=False)
def announce_events(timestamp: int) -> None:
    """Sooner than the rollup comes by itself, where somebody waits for it."""
    if wanted():
        roll_up_once(datetime.fromtimestamp(timestamp, UTC))
        find_near_duplicates(datetime.fromtimestamp(timestamp, UTC))
    announce(datetime.fromtimestamp(timestamp, UTC))


@jobs.periodic(cron="* * * * *")
@jobs.task(queueing_lock="raise_quarantine_alarms", pass_context=False)
def raise_quarantine_alarms(timestamp: int) -> None:
    raise_alarms(datetime.fromtimestamp(timestamp, UTC))


@jobs.periodic(cron="*/10 * * * *")
@jobs.task(queueing_lock="send_quarantine_digests", pass_context=False)
def send_quarantine_digests(timestamp: int) -> None:
    send_digests(datetime.fromtimestamp(timestamp, UTC))


@jobs.periodic(cron="17 3 * * *")
@jobs.task(queueing_lock="forget_old_messages", pass_context=False)
def forget_old_messages(timestamp: int) -> None:
    forget_old(datetime.fromtimestamp(timestamp, UTC))


@jobs.task(queue="imports", retry=jobs.AGAIN)
def work_on_take_back(take_back_id: int) -> None:
    work_on(take_back_id)


@jobs.task(queue="imports", retry=jobs.AGAIN)
def decide_near_duplicates(source_id: str, tag_id: str, since: str, until: str, act: str, by: int) -> None:
    """Times in ISO format; "" for any tag, and from the first on."""
    found = found_of(
        UUID(source_id), tag_id=UUID(tag_id) if tag_id else None, since=datetime.fromisoformat(since) if since else None,
        until=datetime.fromisoformat(until),
    )  # fmt: skip
    decide(found, act, by=by, now=timezone.now())
