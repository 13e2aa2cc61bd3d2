"""GET /api/v1/plan: the released standard, for sources that check before they send."""

import msgspec
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.views import APIView

from ingestion import keys
from ingestion.doors.api import authenticated
from profiles.api import ReadTokenAuthentication
from taxonomy.models import Release
from taxonomy.publish import items_of

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
        """The current release: version, content hash, and every item's definition by uuid."""
        _may_read(request)
        release = Release.objects.order_by("-id").defer("snapshot").first()
        if release is None:
            raise exceptions.NotFound
        etag = f'"{release.content_hash}"'
        if etag in request.headers.get("If-None-Match", ""):
            return HttpResponse(status=304, headers={"ETag": etag})
        plan = {
            "version": release.version,
            "content_hash": release.content_hash,
            "published_at": release.published_at,
            "items": items_of(release),
        }
        return HttpResponse(msgspec.json.encode(plan), content_type="application/json", headers={"ETag": etag, "Cache-Control": "no-cache"})


def _may_read(request: Request) -> keys.Sender | None:
    if not request.headers.get("Authorization", "").removeprefix("Bearer ").startswith("tlr_"):
        return authenticated(request)
    found = ReadTokenAuthentication().authenticate(request)
    if found is None or SCOPE not in found[1].scopes or not found[0].has_perm("taxonomy.view_tag"):
        raise exceptions.PermissionDenied
    return None
