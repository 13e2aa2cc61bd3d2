"""What the draft, the open proposals, the release and the names of sources have that is like a name somebody types."""

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from django.urls import reverse

from taxonomy.definition import MODELS, Items, draft_items
from taxonomy.diff import title
from taxonomy.models import Proposal, Release, Revision
from taxonomy.proposals.propose import open_proposals
from taxonomy.publish import items_of, newest
from taxonomy.similar.names import ALIKE, KINDS, Index, best_of
from taxonomy.similar.words import reason_text

SHOWN = 6
# Which items of some plans the reader may not read.
Hidden = Callable[..., Collection[str]]


@dataclass(frozen=True, slots=True)
class Lookalike:
    """An item that is like what is typed, why, and where it stands: in the release, in the draft, in an open proposal."""

    kind: str
    title: str
    why: str
    link: str
    is_same: bool
    is_released: bool
    is_drafted: bool
    proposal: Proposal | None


@dataclass(frozen=True, slots=True)
class _Known:
    stamp: tuple[int, int]
    released: Items
    draft: Items
    index: Index


_known: _Known | None = None
_lock = threading.Lock()


def lookalikes(texts: Iterable[str], *, kind: str, without: Collection[str] = (), hidden: Hidden | None = None) -> list[Lookalike]:
    """What is like any of the texts, the most similar first. Items of the kind that is being named go before others."""
    known = _know()
    names = known.released | known.draft
    unwanted = {*without, *_unread(hidden, known)}
    matches = [match for text in texts for match in known.index.matches(text, kinds=KINDS, least=ALIKE, without=unwanted)]
    nearest = best_of(matches, 4 * SHOWN)
    nearest = sorted(nearest, key=lambda one: -one.score - 0.1 * (names[one.item]["kind"] == kind))[:SHOWN]
    proposals = open_proposals([match.item for match in nearest])
    return [
        Lookalike(
            names[item]["kind"], title(names[item], names), reason_text(reason, names), _link(item, names[item]["kind"], known),
            reason.how == "same", item in known.released, item in known.draft, proposals.get(item),
        )
        for item, _score, reason in nearest
    ]  # fmt: skip


def alike_in_draft(text: str, kind: str, *, limit: int, hidden: Hidden | None = None) -> list[tuple[str, float, str]]:
    """Items of the draft like a name, the most similar first: [(item, score from 0 to 1, why)]."""
    known = _know()
    unwanted = {*(known.released.keys() - known.draft.keys()), *_unread(hidden, known)}
    matches = best_of(known.index.matches(text, kinds=(kind,), least=ALIKE, without=unwanted), limit)
    return [(item, score, reason_text(reason, known.released | known.draft)) for item, score, reason in matches]


def forget() -> None:
    """Forget the names known, as tests need between databases."""
    global _known
    _known = None


def _know() -> _Known:
    """The names of the draft and the release as they stand now. Two queries while nothing was saved or released."""
    global _known
    release_id = Release.objects.order_by("-id").values_list("id", flat=True).first() or 0
    stamp = (release_id, Revision.objects.order_by("-id").values_list("id", flat=True).first() or 0)
    with _lock:
        if _known is None or _known.stamp != stamp:
            released, draft = items_of(newest()), draft_items()
            _known = _Known(stamp, released, draft, Index(draft, released))
        return _known


def _unread(hidden: Hidden | None, known: _Known) -> Collection[str]:
    return hidden(known.released, known.draft) if hidden else ()


def _link(item: str, kind: str, known: _Known) -> str:
    if item in known.draft:
        return reverse(f"admin:taxonomy_{MODELS[kind]._meta.model_name}_change", args=[item])
    return reverse(f"dictionary_{kind}", args=[known.released[item]["code"]])
