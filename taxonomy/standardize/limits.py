"""The one table of limits, the same through every door. Doors add only limits of a request."""

from datetime import UTC, datetime, timedelta

import msgspec


class Limits(msgspec.Struct, frozen=True):
    event_bytes: int = 256 * 1024
    nesting: int = 32
    attributes: int = 1_000
    message_id_characters: int = 200
    # Of one record that holds many events; Segment's doors allow as many in a request.
    events_per_record: int = 2_500
    # A clock may run fast: up to here the event is taken at received_at, beyond it is held.
    ahead: timedelta = timedelta(hours=24)
    # A sender's clock may be wrong by so much, the sending included, without a word about it.
    skew: timedelta = timedelta(minutes=1)
    # Unset clocks say 1970 or 1980, empty cells 1899 or 0001; the oldest real purchase files tried begin in 1997.
    earliest: datetime = datetime(1990, 1, 1, tzinfo=UTC)
    # Of one event: a hostile one would otherwise answer and store a hundred times its own size.
    violations: int = 100
    # What a violation repeats of a value it saw.
    seen_characters: int = 200


LIMITS = Limits()
