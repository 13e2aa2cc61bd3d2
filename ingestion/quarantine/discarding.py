"""What discarding held events would do, looked at on the newest before it is done."""

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from ingestion.models import Cause, QuarantineReason, Replay
from ingestion.quarantine.causes import add_up
from ingestion.quarantine.replay import about, how_many, newest_of_each_cause

_CAUSES, _EXAMPLES = 10, 5


@dataclass(frozen=True, slots=True)
class Leaving:
    """`looked_at`: of `in_all` events the newest, of which other causes hold `beside` too: (cause, events), most first.

    Of one event alone, all its causes are others. `examples`: the newest events, by their first reason of those asked for.
    """

    in_all: int
    looked_at: int
    beside: int
    causes: list[tuple[Cause, int]]
    examples: list[QuarantineReason]


def weigh(replay: Replay, *, sample: int) -> Leaving:
    """Look at what an unsaved replay would discard: at most `sample` events. Stores nothing."""
    add_up(timezone.now())
    ids = [replay.event_id] if replay.event_id else newest_of_each_cause(replay, sample)
    holding = QuarantineReason.objects.filter(open=True, event_id__in=ids)
    own = about(replay, holding)
    others = holding if replay.event_id else holding.exclude(pk__in=own.values("pk"))
    rows = set(others.values_list("event_id", "source_id", "code", "path", "name"))
    examples = own.filter(event_id__in=ids[:_EXAMPLES]).order_by("-event_id", "-leads", "id").distinct("event_id")
    return Leaving(
        how_many(replay),
        len(ids),
        len({event_id for event_id, *_cause in rows}),
        _causes(Counter((source, code, path, name) for _event_id, source, code, path, name in rows)),
        list(examples.select_related("event__batch")),
    )


def _causes(counts: Counter[tuple[UUID, str, str, str]]) -> list[tuple[Cause, int]]:
    """Those that hold most of these events. One query."""
    sources, codes = {cause[0] for cause in counts}, {cause[1] for cause in counts}
    names = {cause[3] for cause in counts}
    rows = Cause.objects.filter(source_id__in=sources, code__in=codes, name__in=names)
    found = [(one, counts[one.source_id, one.code, one.path, one.name]) for one in rows]
    return sorted((pair for pair in found if pair[1]), key=lambda pair: (-pair[1], pair[0].pk))[:_CAUSES]
