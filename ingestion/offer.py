"""After a release: what it would let in of what is held is offered, or read again by itself where the source says so."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_noop

from ingestion.models import QuarantineReason, Replay, ReplayOffer
from ingestion.replay import ask, preview
from staff.models import User
from staff.notices import tell
from taxonomy.current import refresh
from taxonomy.models import Release
from taxonomy.released import released


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
            tell(
                User.objects.filter(department=source.definition["owner"]),
                gettext_noop("Release %(version)s would let %(count)s held events of %(source)s in."),
                link=f"{reverse('admin:desk')}?source={source.code}",
                version=newest.version,
                count=str(found.fixed),
                source=source.code,
            )
    return replays
