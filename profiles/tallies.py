"""The books of a commit: each delivery's batch and tally, and which ids arrived."""

from django.db.backends.utils import CursorWrapper

from profiles.copying import array
from profiles.entries import Delivery, counts
from taxonomy.standardize import encode_json

# A delivery's events that its tally names, of so many looked at.
_NEWEST, _LOOKED_AT = 20, 1_000


def write_batches(cursor: CursorWrapper, deliveries: list[Delivery]) -> None:
    """The batch of each delivery, unless an earlier block wrote it, its tally, and the arrivals: one statement, however many."""
    arrived = _runs(sorted(entry.event_id for one in deliveries for entry in one.entries if entry.event_id is not None))
    rows = [
        (
            one.batch_id, one.source_id, one.received_at, one.door, one.key_id, encode_json(one.format).decode() if one.format else None,
            one.release_id, *counts(one.entries).values(), _refused_causes(one), _newest(one),
        )
        for one in deliveries
    ]  # fmt: skip
    cursor.execute(
        """
        WITH given AS (
            SELECT * FROM unnest(
                %s::uuid[], %s::uuid[], %s::timestamptz[], %s::text[], %s::bigint[], %s::jsonb[],
                %s::bigint[], %s::int[], %s::int[], %s::int[], %s::int[], %s::int[], %s::jsonb[], %s::text[]
            ) AS given (batch_id, source_id, received_at, door, key_id, format,
                release_id, accepted, changed, duplicate, quarantined, refused, refused_causes, newest)
        ), batches AS (
            INSERT INTO profiles_batch (id, source_id, door, key_id, format, received_at)
            SELECT batch_id, source_id, door, key_id, format, received_at FROM given ON CONFLICT (id) DO NOTHING
        ), arrivals AS (
            INSERT INTO profiles_arrival (first_id, last_id) SELECT * FROM unnest(%s::bigint[], %s::bigint[])
        )
        INSERT INTO profiles_tally
            (batch_id, source_id, received_at, release_id, accepted, changed, duplicate, quarantined, refused, refused_causes, newest)
        SELECT batch_id, source_id, received_at, release_id, accepted, changed, duplicate, quarantined, refused, refused_causes,
            newest::bigint[]
        FROM given
        """,
        [*(array(column) for column in zip(*rows, strict=True)), array(first for first, _ in arrived), array(last for _, last in arrived)],
    )


def _runs(ids: list[int]) -> list[tuple[int, int]]:
    """The runs in ascending numbers: [3, 4, 5, 9] is [(3, 5), (9, 9)]."""
    if ids and ids[-1] - ids[0] == len(ids) - 1:  # nearly always
        return [(ids[0], ids[-1])]
    found: list[tuple[int, int]] = []
    for one in ids:
        if found and one == found[-1][1] + 1:
            found[-1] = (found[-1][0], one)
        else:
            found.append((one, one))
    return found


def _refused_causes(delivery: Delivery) -> str | None:
    causes: dict[str, int] = {}
    for entry in delivery.entries:
        if entry.refusal is not None:
            causes[entry.refusal.code] = causes.get(entry.refusal.code, 0) + 1
    return encode_json(causes).decode() if causes else None


def _newest(delivery: Delivery) -> str | None:
    """Ids of some of its events as PostgreSQL writes an array: what a page of the latest events shows of it, in the order sent.

    Ids say nothing of when they were used, and events have no index by source: this is how the newest of one are found.
    """
    stored = [entry for entry in delivery.entries if entry.event_id is not None]
    if len(stored) > _NEWEST:
        last = stored[-_LOOKED_AT:]
        # The sort leaves what is alike in its order, so of each kind the last stand last.
        kept = {entry.event_id for entry in sorted(last, key=lambda entry: entry.status == "quarantined")[-_NEWEST:]}
        stored = [entry for entry in last if entry.event_id in kept]
    return "{" + ",".join(str(entry.event_id) for entry in stored) + "}" if stored else None
