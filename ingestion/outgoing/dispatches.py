"""Telling subscribers by webhook: written down with what it is about, called by a job, again until it is taken or given up."""

import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_noop

from ingestion.models import Attempt, Dispatch, Subscriber
from ingestion.outgoing import calling, signing
from staff.models import User
from staff.notices import tell
from taxonomy.models import Release
from taxonomy.proposals.verdict import Items, judge
from taxonomy.publish import items_of
from taxonomy.standardize import encode_json

# Source: Standard Webhooks, "Deliverability and reliability"; the first attempt is at once.
RETRIES = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)  # fmt: skip
LONGEST_WAIT = timedelta(hours=24)
# Later by up to so much of the wait, so that what failed together does not come again together.
_JITTER = 0.1
CALL_SECONDS = 20
# Messages may hold what is said of people: once nothing more is to come of them they are kept so long, to be looked at and sent again.
KEPT = timedelta(days=30)
TEST = "test"
_GONE = 410


def announce_release(made: Release, before: Items) -> None:
    """Tell those who want to know of releases. Inside the release's transaction: both, or neither."""
    subscribers = list(Subscriber.objects.filter(active=True, events__contains=[Subscriber.Event.RELEASE]))
    if not subscribers:
        return
    previous = Release.objects.filter(pk__lt=made.pk).order_by("-id").values_list("version", flat=True).first()
    site = settings.SITE_URL
    verdict = judge(before, items_of(made), on=made.day)
    data = {
        "version": made.version,
        "previous": previous,
        "verdict": verdict.level,
        "breaks_from": verdict.breaks_from or None,
        "content_hash": made.content_hash,
        "changed_items": len(made.changed_items),
        "notes": made.notes,
        "signed": made.signed,
        "plan": f"{site}{reverse('plan')}",
        "diff": f"{site}{reverse('release_diff', args=[previous, made.version])}" if previous else None,
    }
    for subscriber in subscribers:
        dispatch(subscriber, Subscriber.Event.RELEASE, data, at=made.published_at)


def dispatch(subscriber: Subscriber, event: str, data: dict[str, Any], *, at: datetime) -> Dispatch:
    """Write a message down and have it sent, both in the current transaction. `at`: when what it tells of happened."""
    body = encode_json({"type": str(event), "timestamp": at, "data": data}).decode()
    with transaction.atomic():
        made = Dispatch.objects.create(subscriber=subscriber, event=event, body=body, next_at=timezone.now())
        _defer(made, timezone.now())
    return made


def send_again(one: Dispatch) -> None:
    """Send a message again now, whatever became of it, under the same id; a new round of attempts."""
    with transaction.atomic():
        one = Dispatch.objects.select_for_update().get(pk=one.pk)
        one.round, one.attempts, one.state, one.next_at = one.round + 1, 0, Dispatch.State.WAITING, timezone.now()
        one.save()
        _defer(one, one.next_at)


def forget_old(now: datetime) -> None:
    """Delete what was made longer ago than it is kept and waits no more, with its attempts."""
    Dispatch.objects.filter(created_at__lt=now - KEPT).exclude(state=Dispatch.State.WAITING).delete()


def attempt(
    dispatch_id: UUID, round: int, number: int, *, call: Callable[..., calling.Answer] = calling.post, now: Callable[[], datetime] = timezone.now
) -> None:  # fmt: skip
    """Make one attempt, unless it was made. Done twice at once it may call twice, under one id; it counts once."""
    one = Dispatch.objects.select_related("subscriber").filter(pk=dispatch_id, round=round, attempts=number).first()
    if one is None or one.state != Dispatch.State.WAITING:
        return
    if not one.subscriber.active:
        Dispatch.objects.filter(pk=one.pk).update(state=Dispatch.State.DROPPED, next_at=None)
        return
    began, status, retry_after, problem = time.monotonic(), None, None, ""
    body, sent_at = one.body.encode(), now()
    headers = {
        **signing.headers(one.subscriber.keys(sent_at), one.message_id, int(sent_at.timestamp()), body),
        "Content-Type": "application/json",
        "User-Agent": "Tagline webhooks",
    }
    try:
        answer = call(one.subscriber.url, body, headers, seconds=CALL_SECONDS, allow_private=settings.WEBHOOKS_TO_PRIVATE_ADDRESSES)
        status, retry_after = answer.status, answer.retry_after_seconds
    except calling.NotCalled as error:
        problem = error.problem
    made = Attempt(dispatch=one, at=sent_at, status=status, problem=problem, took_ms=int((time.monotonic() - began) * 1000))
    _note(one, made, retry_after, now())


def _note(one: Dispatch, made: Attempt, retry_after_seconds: int | None, now: datetime) -> None:
    """Write down what came of an attempt, and what is next."""
    with transaction.atomic():
        stands = Dispatch.objects.select_for_update().filter(pk=one.pk, round=one.round, attempts=one.attempts).first()
        made.save()
        if stands is None:
            return
        stands.attempts += 1
        stands.next_at = None
        if made.status is not None and 200 <= made.status < 300:
            stands.state = Dispatch.State.DELIVERED
        elif made.status == _GONE:
            stands.state = Dispatch.State.FAILED
            _switch_off(one.subscriber, gettext_noop("It answered 410: it no longer wants to be told."))
        elif stands.attempts > len(RETRIES):
            stands.state = Dispatch.State.FAILED
            if not _took_something_since(one.subscriber, stands.created_at):
                _switch_off(one.subscriber, gettext_noop("It has taken nothing for three days."))
        else:
            stands.next_at = now + _wait(stands.attempts, retry_after_seconds)
            _defer(stands, stands.next_at)
        stands.save()


def _wait(attempts: int, retry_after_seconds: int | None) -> timedelta:
    wait = RETRIES[attempts - 1] * (1 + random.uniform(0, _JITTER))
    asked = min(timedelta(seconds=retry_after_seconds or 0), LONGEST_WAIT)
    return max(wait, asked)


def _took_something_since(subscriber: Subscriber, since: datetime) -> bool:
    taken = Attempt.objects.filter(dispatch__subscriber=subscriber, at__gte=since, status__range=(200, 299))
    return taken.exists()


def _switch_off(subscriber: Subscriber, why: str) -> None:
    """Stop telling a subscriber, and say so to the stewards and to whoever set it up."""
    if not Subscriber.objects.filter(pk=subscriber.pk, active=True).update(active=False, stopped_because=why):
        return
    people = list(User.objects.filter(department__duty="steward"))
    if subscriber.created_by is not None:
        people.append(subscriber.created_by)
    link = reverse("admin:ingestion_subscriber_change", args=[subscriber.pk])
    tell(people, gettext_noop("The webhook %(name)s was switched off."), link=link, name=subscriber.name)


def _defer(one: Dispatch, at: datetime) -> None:
    # jobs imports this module
    from ingestion.jobs import send_dispatch

    send_dispatch.configure(schedule_at=at).defer(dispatch_id=str(one.pk), round=one.round, number=one.attempts)
