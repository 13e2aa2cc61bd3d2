"""GET /api/v1/plan: the released standard, for sources that check before they send."""

import msgspec
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.views import APIView

from ingestion.doors.api import authenticated
from profiles.api import ReadTokenAuthentication
from staff.models import User
from taxonomy.models import Release
from taxonomy.publish import items_of
from taxonomy.rights import On, rights_of
from taxonomy.standardize import Plan

SCOPE = "plan"


class PlanView(APIView):
    """Read with a source's write key, or with a read token that has the scope "plan"."""

    @extend_schema(
        operation_id="read_plan",
        summary="Read the plan",
        tags=["Standard"],
        auth=[{"write key": []}, {"read token": []}],  # type: ignore[list-item]
        parameters=[
            OpenApiParameter(
                "If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of the plan you have: 304 while it is current."
            ),
        ],
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request) -> HttpResponse:
        """The current release: version, content hash, and by uuid the definition of every item, with a read token of those its person may read."""
        reader = _reader(request)
        release = Release.objects.order_by("-id").defer("snapshot").first()
        if release is None:
            raise exceptions.NotFound
        rights = rights_of(reader) if reader else None
        items = items_of(release) if rights and rights.limited else None
        if items is not None and rights is not None and (hidden := On(rights, items).hidden()):
            items = {item: one for item, one in items.items() if item not in hidden}
        content_hash = Plan.content_hash(items) if items is not None else release.content_hash
        etag = f'"{content_hash}"'
        if etag in request.headers.get("If-None-Match", ""):
            return HttpResponse(status=304, headers={"ETag": etag})
        plan = {
            "version": release.version,
            "content_hash": content_hash,
            "published_at": release.published_at,
            "items": items_of(release) if items is None else items,
        }
        return HttpResponse(msgspec.json.encode(plan), content_type="application/json", headers={"ETag": etag, "Cache-Control": "no-cache"})


def _reader(request: Request) -> User | None:
    """The person whose read token it is; None for a source, which reads the whole plan."""
    if not request.headers.get("Authorization", "").removeprefix("Bearer ").startswith("tlr_"):
        authenticated(request)
        return None
    found = ReadTokenAuthentication().authenticate(request)
    if found is None or SCOPE not in found[1].scopes or not found[0].has_perm("taxonomy.view_tag"):
        raise exceptions.PermissionDenied
    return found[0]
