"""A replay taken back: its events get the readings that it replaced."""

from functools import partial
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from ingestion.accepted.near import find_near_duplicates, queue_near
from ingestion.alone import alone
from ingestion.models import Replay, Replayed
from ingestion.quarantine.reasons import open_reasons_again, reasons_as_reported
from ingestion.quarantine.stored import AT_ONCE
from profiles.anew import give_back, hand_over, leave_out, wait_for_writers
from profiles.copying import array
from profiles.models import FormerReading
from profiles.record import again_where_others_write
from profiles.untied import queue_untied, tie_anew
from staff.models import User

# That replaced the reasons it came with: those are told by its reading alone.
_HELD_OTHERWISE = """
    SELECT DISTINCT told.event_id FROM ingestion_replayed AS told JOIN ingestion_replay AS replay ON replay.id = told.replay_id
    WHERE told.event_id = ANY(%s::bigint[]) AND told.outcome = %s AND replay.status IN ('undoing', 'undone')
"""
# The heir is locked: asked to be taken back meanwhile, it waits, and then finds what was handed over to it.
_LEFT_HELD = """
    SELECT told.event_id, (
        SELECT newer.replay_id FROM ingestion_replayed AS newer JOIN ingestion_replay AS replay ON replay.id = newer.replay_id
        WHERE newer.event_id = told.event_id AND newer.id > told.id AND newer.outcome = told.outcome
            AND replay.act = 'read' AND replay.status NOT IN ('undoing', 'undone') AND NOT EXISTS (
                SELECT FROM profiles_formerreading AS former JOIN ingestion_replayed AS taker
                    ON taker.replay_id = former.replaced_by AND taker.event_id = former.event_id
                WHERE former.event_id = told.event_id AND former.read_by = told.replay_id AND taker.id <= newer.id
            )
        ORDER BY newer.id LIMIT 1 FOR SHARE OF replay
    )
    FROM ingestion_replayed AS told WHERE told.replay_id = %s AND told.event_id = ANY(%s::bigint[]) AND told.outcome = %s
"""


def ask_undo(replay: Replay, *, by: User | None = None) -> bool:
    """Have a replay that ended taken back; `undo` is for the caller to call, or to start as a job. False for any other."""
    ended = Replay.objects.filter(pk=replay.pk, status__in=(Replay.Status.FINISHED, Replay.Status.STOPPED))
    now = timezone.now()
    return bool(ended.update(status=Replay.Status.UNDOING, seen=0, finished_at=now, undone_by=by, undone_at=now))


def undo(replay_id: UUID) -> int:
    """Give the events that a replay read otherwise, or let go of, and that still stand so, their former readings; how many.

    What it left held, but for another reason, is held for the former one again, unless a newer replay found that reason too.

    Safe to call again after any interruption; of two at once the second waits.
    """
    done = 0
    with alone(replay_id):
        replay = Replay.objects.get(pk=replay_id)
        if replay.status == Replay.Status.UNDONE:
            return 0
        Replay.objects.filter(pk=replay_id).update(status=Replay.Status.UNDOING, seen=0)  # from here on nothing is handed over to it
        read_otherwise = FormerReading.objects.filter(event=OuterRef("event_id"), replaced_by=replay_id)
        done_otherwise = ~Q(outcome=Replayed.Outcome.HELD) | Exists(read_otherwise)
        ids = list(replay.replayed.filter(done_otherwise).order_by("event_id").values_list("event_id", flat=True))
        Replay.objects.filter(pk=replay_id).update(to_undo=len(ids))
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
        wait_for_writers(cursor, event_ids)
        left_held = _left_held(cursor, event_ids, replay_id)
        hand_over(cursor, {event_id: heir for event_id, heir in left_held.items() if heir}, replay_id)
        leave_out(cursor, left_held, replay_id)
        queue_untied(cursor, event_ids)  # by the subjects that they have now
        back, aside = give_back(cursor, event_ids, replay_id)
        cursor.execute(_HELD_OTHERWISE, [array([*back, *aside]), Replayed.Outcome.HELD])
        held_otherwise = {event_id for (event_id,) in cursor.fetchall()}
        reasons_as_reported(cursor, held_otherwise)
        open_reasons_again(cursor, [event_id for event_id in back if event_id not in held_otherwise])
        queue_untied(cursor, back)  # and by those that they had before
        queue_near(cursor, back, back)
        return len(back)


def _left_held(cursor: CursorWrapper, event_ids: list[int], replay_id: UUID) -> dict[int, UUID | None]:
    """Of these events those that it left held, each with the next replay that stands and left it so, while its reading stood."""
    cursor.execute(_LEFT_HELD, [replay_id, array(event_ids), Replayed.Outcome.HELD])
    return dict(cursor.fetchall())
