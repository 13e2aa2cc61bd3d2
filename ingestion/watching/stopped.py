"""Telling the owners of a source or a tag that what used to come has stopped: once, and once more when it is back."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from django.contrib.auth.backends import ModelBackend
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_noop

from ingestion.models import Stopped, Stream
from staff.models import Notice, User
from staff.notices import tell
from taxonomy.released import Named, released
from taxonomy.rights import May, On, rights_of_each

VIEW = "ingestion.view_quarantinereason"
Pair = tuple[UUID | None, UUID | None]

# (has stopped, is back), by what the stream is of: (a source?, a tag?)
_TEXTS = {
    (True, False): (gettext_noop("%(source)s sends nothing any more; the last event came on %(day)s."), gettext_noop("%(source)s sends again.")),
    (True, True): (gettext_noop("%(source)s does not send %(tag)s any more; the last one came on %(day)s."), gettext_noop("%(source)s sends %(tag)s again.")),
    (False, True): (gettext_noop("%(tag)s comes from nowhere any more; the last one came on %(day)s."), gettext_noop("%(tag)s comes again.")),
}  # fmt: skip


def tell_of_stopped(streams: Iterable[Stream], now: datetime) -> None:
    """Write down what has newly stopped and what is back, and tell the owners. One query while nothing changes."""
    judged: dict[Pair, Stream] = {(one.source_id, one.tag_id): one for one in streams}
    open_rows: dict[Pair, Stopped] = {(one.source_id, one.tag_id): one for one in Stopped.objects.filter(back_at=None).order_by("id")}
    back = [row for pair, row in open_rows.items() if pair in judged and judged[pair].state == Stream.State.ALIVE]
    new = [
        Stopped(source_id=pair[0], tag_id=pair[1], last_at=judged[pair].last_at, stopped_at=now)
        for pair in _anomalies(judged)
        if pair not in open_rows
    ]
    for row in back:
        row.back_at = now
    Stopped.objects.bulk_update(back, ["back_at"])
    Stopped.objects.bulk_create(new)
    for _row, notice, people in _told([*back, *new]):
        tell(people, notice.text, link=notice.link, **notice.values)


def news_for(person: User, since: datetime) -> list[Notice]:
    """What has stopped, or is back, since then, of what the person answers for: for a letter."""
    rows = Stopped.objects.filter(Q(stopped_at__gt=since, back_at=None) | Q(back_at__gt=since)).order_by("id")
    return [notice for _row, notice, people in _told(list(rows)) if any(one.pk == person.pk for one in people)]


def _anomalies(judged: dict[Pair, Stream]) -> list[Pair]:
    """What has stopped, each thing once: a source as a whole rather than every tag of it, a tag as a whole only where no pair is named."""
    stopped = [pair for pair, one in judged.items() if one.state == Stream.State.STOPPED]
    silent = {source for source, tag in stopped if tag is None}
    named = [(source, tag) for source, tag in stopped if source is not None and (tag is None or source not in silent)]
    told = {tag for _source, tag in named}
    return [*named, *((None, tag) for source, tag in stopped if source is None and tag not in told)]


def _told(rows: Collection[Stopped]) -> list[tuple[Stopped, Notice, list[User]]]:
    """What is said of each, and to whom: the people of the owners who may see it. Nothing of what is no longer in the standard."""
    if not rows:
        return []
    sources = {pk: one for pk, one in released("source").items() if pk in {row.source_id for row in rows}}
    # that a tag on its way out comes no more is as it should be
    active = {pk: one for pk, one in released("tag").items() if one.definition["status"] == "active"}
    tags = {pk: one for pk, one in active.items() if pk in {row.tag_id for row in rows}}
    plan = {str(pk): one.definition for pk, one in (sources | tags).items()}
    owners = {one["owner"] for one in plan.values()}
    people = ModelBackend().with_perm(VIEW).filter(department__in=owners).select_related("department")
    readers = [(rights.person, On(rights, plan)) for rights in rights_of_each(people)]
    found = []
    for row in rows:
        source = sources.get(row.source_id) if row.source_id else None
        tag = tags.get(row.tag_id) if row.tag_id else None
        if (row.source_id and source is None) or (row.tag_id and tag is None):
            continue
        items = [one for one in (source, tag) if one is not None]
        asked = {one.definition["owner"] for one in items}
        to = [
            person
            for person, on in readers
            if person.department_id in asked and all(on.may(May.READ, str(one.pk)) for one in items)
        ]  # fmt: skip
        found.append((row, _notice(row, source, tag), to))
    return found


def _notice(row: Stopped, source: Named | None, tag: Named | None) -> Notice:
    text = _TEXTS[source is not None, tag is not None][row.back_at is not None]
    day = timezone.localdate(row.last_at, timezone.get_default_timezone()).isoformat()
    values = {name: one.labels for name, one in (("source", source), ("tag", tag)) if one} | {"day": day}
    if tag is None:
        link = reverse("admin:source_health", args=[row.source_id])
    else:
        link = reverse("admin:tag_health", args=[tag.pk]) + (f"?source={source.code}" if source else "")
    return Notice(text=text, values=values, link=link)
