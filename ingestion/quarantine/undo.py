"""A replay taken back: its events get the readings that it replaced."""

from functools import partial
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from ingestion.accepted.near import find_near_duplicates, queue_near
from ingestion.alone import alone
from ingestion.models import Replay, Replayed
from ingestion.quarantine.reasons import open_reasons_again, reasons_as_reported
from ingestion.quarantine.stored import AT_ONCE
from profiles.anew import give_back
from profiles.copying import array
from profiles.record import again_where_others_write
from profiles.untied import queue_untied, tie_anew
from staff.models import User


def ask_undo(replay: Replay, *, by: User | None = None) -> bool:
    """Have a replay that ended taken back; `undo` is for the caller to call, or to start as a job. False for any other."""
    ended = Replay.objects.filter(pk=replay.pk, status__in=(Replay.Status.FINISHED, Replay.Status.STOPPED))
    now = timezone.now()
    return bool(ended.update(status=Replay.Status.UNDOING, seen=0, finished_at=now, undone_by=by, undone_at=now))


def undo(replay_id: UUID) -> int:
    """Give the events that a replay read otherwise, or let go of, and that still stand so, their former readings; how many.

    What it left held, but for another reason, is held for the former one again.

    Safe to call again after any interruption; of two at once the second waits.
    """
    done = 0
    with alone(replay_id):
        replay = Replay.objects.get(pk=replay_id)
        if replay.status == Replay.Status.UNDONE:
            return 0
        Replay.objects.filter(pk=replay_id).update(status=Replay.Status.UNDOING, seen=0)
        done_otherwise = ~Q(outcome=Replayed.Outcome.HELD) | Q(event__read_by=replay_id)
        ids = list(replay.replayed.filter(done_otherwise).order_by("event_id").values_list("event_id", flat=True))
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            done += again_where_others_write(partial(_undo, some, replay_id))
            Replay.objects.filter(pk=replay_id).update(seen=F("seen") + len(some))
        tie_anew()
        find_near_duplicates(timezone.now())
        Replay.objects.filter(pk=replay_id).update(status=Replay.Status.UNDONE, finished_at=timezone.now())
    return done


def _undo(event_ids: list[int], replay_id: UUID) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        queue_untied(cursor, event_ids)  # by the subjects that they have now
        back = give_back(cursor, event_ids, replay_id)
        cursor.execute(
            "SELECT event_id FROM ingestion_replayed WHERE replay_id = %s AND outcome = %s AND event_id = ANY(%s::bigint[])",
            [replay_id, Replayed.Outcome.HELD, array(back)],
        )
        held_otherwise = {event_id for (event_id,) in cursor.fetchall()}
        reasons_as_reported(cursor, held_otherwise)
        open_reasons_again(cursor, [event_id for event_id in back if event_id not in held_otherwise])
        queue_untied(cursor, back)  # and by those that they had before
        queue_near(cursor, back, back)
        return len(back)
