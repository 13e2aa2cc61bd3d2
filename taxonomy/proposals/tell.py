"""Telling those whom a release concerns: who follows an item of it, and who owns a source that must change."""

from collections import defaultdict
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_noop

from staff.models import User
from staff.notices import tell
from taxonomy.definition import MODELS, Items
from taxonomy.diff import called
from taxonomy.models import Follow, Release
from taxonomy.proposals.affected import effects_by_source
from taxonomy.proposals.senders import native_senders
from taxonomy.proposals.verdict import Effect, Verdict, first_day, judge
from taxonomy.publish import items_of


def tell_of_release(made: Release, before: Items) -> None:
    after = items_of(made)
    link = release_link(made)
    verdict = judge(before, after, on=made.day)
    _tell_followers(made, before | after, verdict)
    senders = native_senders(before, after, verdict.by_item, on=made.day)
    for source, effects in effects_by_source(verdict, before, after, senders).items():
        breaking = any(effect.must_change for effect in effects)
        one = after.get(source) or before[source]
        owners = User.objects.filter(department=one.get("owner"), department__isnull=False)
        day = must_change_by(effects)
        if not breaking:
            said = gettext_noop("Release %(version)s: the source %(source)s may send more.")
        elif day:
            said = gettext_noop("Release %(version)s: the source %(source)s must change what it sends by %(day)s.")
        else:
            said = gettext_noop("Release %(version)s: the source %(source)s must change what it sends now.")
        tell(owners, said, link=f"{link}#source-{source}", version=made.version, source=called(one, after), day=day)


def _tell_followers(made: Release, names: Items, verdict: Verdict) -> None:
    """Each of the items they follow, and by when sources must change what they send of them."""
    followed: dict[User, list[str]] = defaultdict(list)
    for one in Follow.objects.filter(item__in=made.changed_items).select_related("user").order_by("id"):
        followed[one.user].append(str(one.item))
    for person, items in followed.items():
        effects = [effect for item in items for effect in verdict.by_item.get(item, [])]
        day = must_change_by(effects)
        if not any(effect.must_change for effect in effects):
            said = gettext_noop("Release %(version)s changes what you follow: %(items)s.")
        elif day:
            said = gettext_noop("Release %(version)s changes what you follow: %(items)s. What sources send must change by %(day)s.")
        else:
            said = gettext_noop("Release %(version)s changes what you follow: %(items)s. What sources send must change now.")
        in_both = [", ".join(some) for some in zip(*(called(names[item], names) for item in items), strict=True)]
        tell([person], said, link=release_link(made), version=made.version, items=in_both, day=day)


def must_change_by(effects: list[Effect]) -> str:
    """The first day on which something breaks, where nothing does at once; else ""."""
    return "" if any(effect.level == "breaking" for effect in effects) else first_day(effects)


def release_link(made: Release) -> str:
    return reverse("admin:taxonomy_release_change", args=[made.pk])


def item_link(kind: str, item: Any) -> str:
    return reverse(f"admin:taxonomy_{MODELS[kind]._meta.model_name}_change", args=[item])


def is_following(person: User, item_id: Any) -> bool:
    return Follow.objects.filter(user=person.pk, item=item_id).exists()


def follow(person: User, item_id: Any, *, yes: bool) -> None:
    """Be told of the releases that change an item, or no longer."""
    if yes:
        Follow.objects.get_or_create(user=person, item=item_id)
    else:
        Follow.objects.filter(user=person, item=item_id).delete()
