"""The release by which a stopped import or replay goes on: the one it began with, or the newest."""

from django.http import HttpRequest

from ingestion.models import ImportRun, Replay
from taxonomy.models import Release
from taxonomy.publish import newest

_NEWEST = "newest"


def releases_for(one: ImportRun | Replay) -> list[Release]:
    """The one it began with and the newest; none where there is nothing to choose."""
    latest = newest()
    return [] if one.release is None or latest is None or latest == one.release else [one.release, latest]


def take_release(request: HttpRequest, one: ImportRun | Replay) -> None:
    """Let what is left be read by the newest release, if the person chose so."""
    if request.POST.get("release") == _NEWEST and (choice := releases_for(one)):
        type(one).objects.filter(pk=one.pk).update(release=choice[1])
