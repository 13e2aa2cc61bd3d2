"""Whose an event is follows from the evidence alone: not from its order or its batches."""

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.pipeline import Incoming, receive
from profiles.link import relink, settle
from profiles.models import Link, Subject, Tie
from taxonomy.current import current

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
_worlds = itertools.count(1)

# (which phone, or none; which identifiers; minute). A few of each, so that they meet.
sightings = st.lists(
    st.tuples(
        st.sampled_from([None, 1, 2, 3]),
        st.dictionaries(
            st.sampled_from(["user_id", "email", "device", "anonymous_id"]), st.sampled_from(["x", "y"]), min_size=1, max_size=3
        ),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=9,
)


class World:
    """The same people under names of their own, so that one database holds many worlds."""

    def __init__(self) -> None:
        self.number = next(_worlds)

    def deliver(self, events: list[tuple[int, tuple]]) -> None:
        """Send in one batch."""
        receive([self._event(*event) for event in events], source_code="website", door="api", received_at=NOW, current=current())

    def _event(self, index: int, sighting: tuple) -> Incoming:
        phone, identifiers, minute = sighting
        event = {
            "id": f"w{self.number}-{index}",
            "event": "product_view",
            "identifiers": {kind: f"w{self.number}-{value}@t.example" for kind, value in identifiers.items()},
            "occurred_at": (NOW - timedelta(days=1) + timedelta(minutes=minute)).isoformat(),
            "attributes": {"product_id": "p1"},
        }
        if phone:
            event["phone"] = f"+86138{self.number:07d}{phone}"
        return Incoming(json.dumps(event).encode())

    def links(self) -> set[tuple]:
        """{(kind, value, the phone it is linked to, since, until)}."""
        mine = Subject.objects.filter(value__startswith=f"w{self.number}-") | Subject.objects.filter(
            value__startswith=f"+86138{self.number:07d}"
        )
        rows = Link.objects.filter(subject__in=mine, withdrawn_at=None).select_related("subject")
        phones = {link.customer_id: link.subject.value[-1] for link in rows if link.subject.kind == "phone"}
        return {
            (link.subject.kind, link.subject.value.partition("-")[2], phones[link.customer_id], link.since, link.until)
            for link in rows
            if link.subject.kind != "phone"
        }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seen=sightings, draw=st.data())
def test_the_order_and_batches_of_arrival_do_not_matter(standard, seen, draw):
    in_order, shuffled = World(), World()
    events = list(enumerate(seen))
    for event in sorted(events, key=lambda one: one[1][2]):
        in_order.deliver([event])
    left = draw.draw(st.permutations(events))
    while left:
        size = draw.draw(st.integers(1, len(left)))
        shuffled.deliver(left[:size])
        left = left[size:]
    assert shuffled.links() == in_order.links()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seen=sightings)
def test_drawing_the_links_again_changes_nothing(standard, seen):
    world = World()
    world.deliver(list(enumerate(seen)))
    before = set(Link.objects.values_list("id", "withdrawn_at"))
    relink(Tie.objects.values_list("weaker_id", flat=True))
    assert settle() == 0
    assert set(Link.objects.values_list("id", "withdrawn_at")) == before


def test_a_tablet_follows_whoever_used_it_last(standard):
    world = World()
    for minute, phone in [(0, 1), (2, 2), (4, 1), (6, 2)]:
        world.deliver([(minute, (phone, {"device": "x"}, minute))])
    spans = {(phone, since and since.minute, until and until.minute) for _, _, phone, since, until in world.links()}
    assert spans == {("1", None, 2), ("2", 2, 4), ("1", 4, 6), ("2", 6, None)}
