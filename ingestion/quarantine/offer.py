"""After a release: what it would let in of what is held is offered, or read again by itself where the source says so."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.urls import reverse
from django.utils.translation import gettext_noop

from ingestion.models import Cause, QuarantineReason, Replay, ReplayOffer
from ingestion.quarantine.causes import give_to_owners
from ingestion.quarantine.replay import Preview, ask, preview
from staff.models import User
from staff.notices import tell
from taxonomy.current import current, refresh
from taxonomy.definition import Items
from taxonomy.models import Release
from taxonomy.proposals.authors import author_ids
from taxonomy.proposals.tell import release_link
from taxonomy.publish import items_of
from taxonomy.released import Named, released
from taxonomy.rights import May, On, rights_of_each


def offer_after_release(made: Release, _before: Any) -> None:
    """Have a job look at what is held. Inside the release's transaction: both, or neither."""
    from ingestion.jobs import offer_held

    if QuarantineReason.objects.filter(open=True).exists():
        offer_held.defer(release_id=made.pk)


def offer(release_id: int) -> list[Replay]:
    """Try what every source has held under the newest release; the replays to be started. Of a release passed by, nothing."""
    refresh()
    newest = Release.objects.order_by("-id").first()
    if newest is None or newest.pk != release_id:
        return []
    give_to_owners(Cause.objects.filter(assigned_at=None, held__gt=0))
    replays = []
    holding = set(QuarantineReason.objects.filter(open=True).values_list("source_id", flat=True).distinct())
    for source in sorted((one for one in released("source").values() if one.pk in holding), key=lambda one: one.code):
        found = preview(Replay(source_id=source.pk))
        if not found.fixed:
            ReplayOffer.objects.filter(source=source.pk).delete()
        elif source.definition.get("replay_held"):
            replays.append(ask(Replay(source_id=source.pk, release=newest)))
        else:
            values = {"release": newest, "events": found.fixed, "tried": found.tried, "in_all": found.in_all}
            ReplayOffer.objects.update_or_create(source_id=source.pk, defaults=values)
            _tell(newest, source, found)
    return replays


def offer_anew(replay: Replay) -> None:
    """After a replay: what is offered of its sources, as it stands now by the newest release. Tries as much as an offer does."""
    offers = ReplayOffer.objects.filter(source=replay.source_id) if replay.source_id else ReplayOffer.objects.all()
    if replay.is_of_past or not offers:
        return
    refresh()
    for made in offers:
        found = preview(Replay(source_id=made.source_id))
        same = ReplayOffer.objects.filter(pk=made.pk)
        if found.fixed:
            same.update(release=current().release_id, events=found.fixed, tried=found.tried, in_all=found.in_all)
        else:
            same.delete()


def _tell(made: Release, source: Named, found: Preview) -> None:
    """Those who own the source, may replay, or wrote the release; who may not see held events is led to the release."""
    people = {
        person.pk: person
        for some in (
            User.objects.filter(department=source.definition["owner"], department__isnull=False),
            ModelBackend().with_perm("ingestion.add_replay"),
            User.objects.filter(pk__in=set().union(*(author_ids(proposal) for proposal in made.proposals.all()))),
        )
        for person in some.select_related("department")
    }
    readers = _readers(people.values(), str(source.pk), items_of(made))
    may_look = [person for person in readers if person.has_perm("ingestion.view_quarantinereason")]
    others = [person for person in readers if person not in may_look]
    said = gettext_noop("Release %(version)s would let %(count)s held events of %(source)s in.")
    if found.tried < found.in_all:
        said = gettext_noop(
            "Release %(version)s would let %(count)s of %(tried)s held events of %(source)s in on which it was tried; %(all)s are held."
        )
    figures = {"count": str(found.fixed), "tried": str(found.tried), "all": str(found.in_all)}
    for some, link in ((may_look, f"{reverse('admin:desk')}?source={source.code}"), (others, release_link(made))):
        tell(some, said, link=link, version=made.version, source=source.labels, **figures)


def _readers(people: Iterable[User], source: str, plan: Items) -> list[User]:
    """Those who may read the source."""
    return [rights.person for rights in rights_of_each(people) if On(rights, plan).may(May.READ, source)]
