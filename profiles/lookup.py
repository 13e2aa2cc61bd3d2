"""From a phone number as somebody types it to the customer it belongs to now."""

from django.db.models import Q
from django.utils import timezone

from profiles.models import Customer, Event, Link, Subject
from profiles.subjects import subject_key
from taxonomy.standardize import Subject as Named
from taxonomy.standardize.faults import Fault
from taxonomy.standardize.phone import parse_phone


def find_customer(phone: str, region: str = "") -> Customer | Fault | None:
    """The customer who holds this number now; None when nobody does; a Fault when it is no number.

    Somebody known from events alone that were all taken back was never seen.
    """
    found = parse_phone(phone, region)
    if isinstance(found, Fault):
        return found
    subject = Subject.objects.filter(key=subject_key(Named("phone", "", found.e164))).first()
    if subject is None:
        return None
    now = timezone.now()
    link = (
        subject.links.filter(Q(until=None) | Q(until__gt=now), Q(since=None) | Q(since__lte=now), withdrawn_at=None)
        .select_related("customer")
        .first()
    )
    return link.customer if link and _is_seen(link.customer) else None


def _is_seen(customer: Customer) -> bool:
    links = Link.objects.filter(customer=customer, withdrawn_at=None)
    theirs = Event.objects.filter(subject__in=links.values("subject"))
    return theirs.exclude(standing=Event.Standing.TAKEN_BACK).exists() or not theirs.exists()
