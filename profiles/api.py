"""Reading by API, with a person's read token: it obeys that person's rights, masking and access log."""

import hashlib
from typing import Any
from uuid import UUID

import django_filters
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from profiles.lookup import find_customer
from profiles.models import Customer, Event, Link
from profiles.page import tags_under, traits_masked
from profiles.readable import readable_to
from profiles.sight import Sight
from profiles.summary import summary
from profiles.timeline import PAGE, Cursor, timeline
from staff.access import log_access
from staff.admin.pages import number_or_none
from staff.masking import mask_identifier, may_see_personal
from staff.models import AccessLog, ReadToken, User
from taxonomy.released import Named, by_code, named, personal_codes
from taxonomy.standardize.faults import Fault

SCOPE = "customers"
MOST = 200


class ReadTokenAuthentication(BaseAuthentication):
    """Authorization: Bearer <read token>."""

    def authenticate(self, request: Request) -> tuple[User, ReadToken] | None:
        scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            return None
        if secret.startswith(("tlw_", "tlt_")):
            raise exceptions.PermissionDenied(_("A write key sends events; it cannot read customers. Use a read token."), "key.cannot_read")
        now = timezone.now()
        token = (
            ReadToken.objects.select_related("user")
            .filter(hash=hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest(), revoked_at=None, expires_at__gt=now)
            .first()
        )
        if token is None or not token.user.is_active:
            raise exceptions.AuthenticationFailed(
                _("The read token is unknown, expired or revoked. Make a new one under My read tokens."), "key.unknown"
            )
        minute = now.replace(second=0, microsecond=0)
        if token.last_used_at is None or token.last_used_at < minute:
            ReadToken.objects.filter(pk=token.pk).update(last_used_at=minute)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ReadTokenScheme(OpenApiAuthenticationExtension):
    target_class = ReadTokenAuthentication
    name = "read token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


def person_of(found: tuple[User, ReadToken] | None, *, scope: str, right: str) -> User:
    """Whose read token it is, if it and they may read. Raises 401 or 403, with what to do."""
    if found is None:
        raise exceptions.NotAuthenticated(
            _("No read token came with the request. Make one under My read tokens and send it as: Authorization: Bearer <read token>.")
        )
    user, token = found
    if scope not in token.scopes:
        raise exceptions.PermissionDenied(
            _("This read token has not the scope “%(scope)s”. Make one that has it under My read tokens.") % {"scope": scope}
        )
    if not user.has_perm(right):
        raise exceptions.PermissionDenied(_("The token's owner may not read this. Ask an administrator for a role that may."))
    return user


class MayReadCustomers(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        found = (request.user, request.auth) if isinstance(request.auth, ReadToken) else None
        return bool(person_of(found, scope=SCOPE, right="profiles.view_customer"))  # type: ignore[arg-type]


class CustomerAPI(APIView):
    authentication_classes = [ReadTokenAuthentication]
    permission_classes = [MayReadCustomers]

    def customer(self, public_id: UUID) -> Customer:
        found = Customer.objects.filter(public_id=public_id).first()
        if found is None:
            raise exceptions.NotFound(_("No customer has this id. Find the id by phone: POST /api/v1/customers/lookup."))
        return found


_NO_PHONE = _('Send the phone number as a text, such as "+86 138 0013 8000".')
_NO_REGION = _("Send the region's two letters, such as CN, or leave it out and begin the number with +.")
_NO_TIME = _("Send a time such as 2026-03-01T10:00:00+08:00, or a day such as 2026-03-01.")


class LookupSerializer(serializers.Serializer[Any]):
    default_error_messages = {"invalid": _("Send a JSON object that has the field “phone”.")}

    phone = serializers.CharField(
        max_length=100, error_messages=dict.fromkeys(("required", "null", "blank", "invalid", "max_length"), _NO_PHONE)
    )
    region = serializers.CharField(
        max_length=2, required=False, default="", allow_blank=True, help_text=_("Of a number without +, such as CN."),
        error_messages=dict.fromkeys(("null", "invalid", "max_length"), _NO_REGION),
    )  # fmt: skip


class FoundSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()


class IdentifierSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    value = serializers.CharField(help_text=_("Masked unless the person may see personal data."))
    evidence = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)


class CustomerSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    identifiers = IdentifierSerializer(many=True)
    events = serializers.IntegerField()
    held = serializers.IntegerField()
    first_seen = serializers.DateTimeField(allow_null=True)
    last_seen = serializers.DateTimeField(allow_null=True)
    purchases = serializers.IntegerField()
    sums = serializers.DictField(child=serializers.CharField(), help_text=_("Per currency, refunds taken off."))
    traits = serializers.DictField()


class TimelineEventSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    occurred_at = serializers.DateTimeField()
    received_at = serializers.DateTimeField()
    tag = serializers.CharField()
    refinements = serializers.ListField(child=serializers.CharField())
    source = serializers.CharField()  # type: ignore[assignment]
    attributes = serializers.DictField()


class TimelineSerializer(serializers.Serializer[Any]):
    results = TimelineEventSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text=_("Send it back as after= for the next page."))


class TimelineFilter(django_filters.FilterSet):
    """What a timeline can be narrowed to."""

    since = django_filters.IsoDateTimeFilter(help_text=_("Occurred at or after."), error_messages={"invalid": _NO_TIME})
    until = django_filters.IsoDateTimeFilter(help_text=_("Occurred before."), error_messages={"invalid": _NO_TIME})
    tag = django_filters.CharFilter(help_text=_("A tag's code."))
    category = django_filters.CharFilter(help_text=_("A category's code; all below it count."))
    source = django_filters.CharFilter(help_text=_("A source's code."))

    class Meta:
        model = Event
        fields: list[str] = []


class LookupView(CustomerAPI):
    @extend_schema(
        operation_id="lookup_customer",
        summary=_("Find a customer by phone"),
        description=_("Find a customer's public id by phone. A POST, so that the number is in no address."),
        tags=["Customers"],
        request=LookupSerializer,
        responses=FoundSerializer,
    )
    def post(self, request: Request) -> Response:
        asked = LookupSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        found = find_customer(asked.validated_data["phone"], asked.validated_data["region"])
        log_access(request.user, AccessLog.Action.LOOKUP, customer=found.public_id if isinstance(found, Customer) else None, channel="api")
        if isinstance(found, Fault):
            raise exceptions.ValidationError(
                {"phone": [_("This is no phone number. Send it with + and country code, or with its region.")]}
            )
        if found is None:
            raise exceptions.NotFound(
                _("Nobody with this number has been seen yet. Check the number and its region; who sends no event is no customer.")
            )
        return Response({"id": str(found.public_id)})


class CustomerView(CustomerAPI):
    @extend_schema(
        operation_id="read_customer",
        summary=_("Read a customer"),
        description=_("Who a customer is and how much they did."),
        tags=["Customers"],
        responses=CustomerSerializer,
    )
    def get(self, request: Request, public_id: UUID) -> Response:
        one = self.customer(public_id)
        log_access(request.user, AccessLog.Action.VIEW, customer=one.public_id, channel="api")
        unmasked = may_see_personal(request.user)
        found = summary(one)
        readable = readable_to(request.user)  # type: ignore[arg-type]
        unread = readable.unread_attributes if readable else frozenset()
        hidden = frozenset() if unmasked else personal_codes()
        traits = {code: value for code, value in found.traits.items() if code not in unread and code.lower() not in hidden}
        return Response(
            {
                "id": str(one.public_id),
                "identifiers": [
                    _identifier(link, unmasked=unmasked)
                    for link in one.links.filter(withdrawn_at=None).select_related("subject").order_by("id")
                ],
                "events": found.events,
                "held": found.held,
                "first_seen": found.first_at,
                "last_seen": found.last_at,
                "purchases": found.purchases,
                "sums": {currency: str(total) for currency, total in found.sums.items()},
                "traits": traits if unmasked else traits_masked(traits, one),
            }
        )


def _identifier(link: Link, *, unmasked: bool) -> dict[str, Any]:
    subject = link.subject
    value = subject.value if unmasked else mask_identifier(subject.kind, subject.value)
    return {"kind": subject.kind, "value": value, "evidence": link.evidence, "since": link.since, "until": link.until}


class TimelineView(CustomerAPI):
    @extend_schema(
        operation_id="read_timeline",
        summary=_("Read a customer's events"),
        description=_("A customer's events, newest first."),
        tags=["Customers"],
        parameters=[
            *[OpenApiParameter(name, str, description=one.extra["help_text"]) for name, one in TimelineFilter.base_filters.items()],
            OpenApiParameter("after", str, description=_("`next` of the page before.")),
            OpenApiParameter("limit", int, description=format_lazy(_("At most {most}; default {page}."), most=MOST, page=PAGE)),
        ],
        responses=TimelineSerializer,
    )
    def get(self, request: Request, public_id: UUID) -> Response:
        one = self.customer(public_id)
        asked = TimelineFilter(request.query_params, queryset=Event.objects.none())
        if not asked.is_valid():
            raise exceptions.ValidationError(asked.errors)
        wanted = _wanted(asked.form.cleaned_data) | {"readable": readable_to(request.user)}  # type: ignore[arg-type]
        events, following = timeline(one, after=_after(request), limit=_limit(request), **wanted)
        log_access(request.user, AccessLog.Action.VIEW, customer=one.public_id, channel="api")
        sight = Sight.of(request.user)
        names = named("tag", (event.tag_id for event in events)) | named("source", (event.source_id for event in events))
        return Response(
            {
                "results": [_event(event, names, sight) for event in events],
                "next": str(following) if following else None,
            }
        )


def _after(request: Request) -> Cursor | None:
    text = request.query_params.get("after", "")
    found = Cursor.parse(text)
    if text and found is None:
        raise exceptions.ValidationError({"after": [_("This is no cursor. Send `next` of the page before, unchanged.")]})
    return found


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(PAGE))
    limit = number_or_none(text)
    if limit is None or not 1 <= limit <= MOST:
        raise exceptions.ValidationError({"limit": [_("Send a whole number from 1 to 200.")]})
    return limit


def _wanted(cleaned: dict[str, Any]) -> dict[str, Any]:
    wanted: dict[str, Any] = {"since": cleaned.get("since"), "until": cleaned.get("until")}
    if code := cleaned.get("category"):
        wanted["tag_ids"] = tags_under(code) or []
    if code := cleaned.get("tag"):
        tag = by_code("tag", code)
        wanted["tag_ids"] = [tag.pk] if tag is not None and tag.pk in wanted.get("tag_ids", [tag.pk]) else []
    if code := cleaned.get("source"):
        source = by_code("source", code)
        wanted["source_id"] = source.pk if source else UUID(int=0)
    return wanted


def _event(event: Event, names: dict[UUID | None, Named], sight: Sight) -> dict[str, Any]:
    attributes = {code: value for code, value in (event.attributes or {}).items() if not sight.is_hidden(code)}
    return {
        "id": event.public_id,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "tag": names[event.tag_id].code if event.tag_id else "",
        "refinements": sight.refinements(event),
        "source": names[event.source_id].code,
        "attributes": sight.attributes(attributes),
    }
