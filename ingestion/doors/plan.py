"""Reading the released standard, for sources that check before they send: the plan, a tag, the releases, and what differs."""

import hashlib
from datetime import date
from typing import Any

from django.http import HttpResponse
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from ingestion.doors.api import authenticated
from profiles.api import ReadTokenAuthentication, person_of
from staff.models import User
from taxonomy.diff import diff, title
from taxonomy.models import Release
from taxonomy.proposals.affected import effects_by_source
from taxonomy.proposals.senders import native_senders
from taxonomy.proposals.verdict import LEVELS, Effect, Items, Verdict, judge
from taxonomy.proposals.verdict_words import effect_text
from taxonomy.publish import changes_between, items_of, newest
from taxonomy.rights import On, rights_of
from taxonomy.standardize import Plan, encode_json, storable

SCOPE = "plan"
RELEASES_AT_ONCE = 100
_LEVELS = format_lazy(_("One of {levels}."), levels=", ".join(LEVELS))
_BREAKS_FROM = _("The day from which it breaks something, where it is only watched until then.")
_AUTH: Any = [{"write key": []}, {"read token": []}]
_PARAMETERS = [
    OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description=_("The ETag of what you have: 304 while it stands.")),
]


class ReleaseSchema(serializers.Serializer[Any]):
    version = serializers.CharField()
    content_hash = serializers.CharField(help_text=_("SHA-256 of the canonical JSON of its items."))
    published_at = serializers.DateTimeField()
    notes = serializers.CharField(help_text=_("Empty for a person who may not read the whole plan."))
    changed_items = serializers.IntegerField(help_text=_("How many items differ from the release before."))
    signed = serializers.BooleanField(
        help_text=_("Whether its proposal was approved. False: the starter, by the command line, or in an emergency.")
    )


class ReleasesSchema(serializers.Serializer[Any]):
    releases = ReleaseSchema(many=True)
    next = serializers.CharField(allow_null=True, help_text=_("Ask again with ?before= this version for older ones."))


class LineSchema(serializers.Serializer[Any]):
    field = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class EffectSchema(serializers.Serializer[Any]):
    item = serializers.UUIDField()
    code = serializers.CharField(help_text=_("Such as tag.attribute_required."))
    level = serializers.CharField(help_text=_LEVELS)
    breaks_from = serializers.DateField(allow_null=True, help_text=_BREAKS_FROM)
    message = serializers.CharField(help_text=_("What a source must change, in your language."))


class ItemChangeSchema(serializers.Serializer[Any]):
    item = serializers.UUIDField()
    kind = serializers.CharField()
    title = serializers.CharField()
    change = serializers.ChoiceField(["added", "changed", "removed"])
    level = serializers.CharField(help_text=_LEVELS)
    lines = LineSchema(many=True)


class DiffSchema(serializers.Serializer[Any]):
    before = serializers.CharField()
    after = serializers.CharField()
    verdict = serializers.CharField(help_text=_LEVELS)
    breaks_from = serializers.DateField(allow_null=True, help_text=_BREAKS_FROM)
    effects = EffectSchema(many=True)
    changes = ItemChangeSchema(many=True)
    sources = serializers.DictField(
        child=serializers.ListField(child=serializers.IntegerField()), help_text=_("By code of a source: which of the effects concern it.")
    )


class PlanView(APIView):
    """Read with a source's write key, or with a read token that has the scope "plan"."""

    @extend_schema(
        operation_id="read_plan",
        summary=_("Read the plan"),
        description=_(
            "The current release: version, content hash, and by uuid the definition of every item, with a read token of those its person may read."
        ),
        tags=["Plan"],
        parameters=_PARAMETERS,
        auth=_AUTH,
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request) -> HttpResponse:
        reader = _reader(request)
        release = Release.objects.order_by("-id").defer("snapshot").first()
        if release is None:
            raise exceptions.NotFound(_("No standard has been released yet. Publish it first."))
        items, content_hash = _shown_to(reader, release)
        # a release that goes back to an earlier one is another version of the same content
        etag = f'"{release.version}-{content_hash}"'
        if _is_known(request, etag):
            return _unchanged(etag)
        plan = {"version": release.version, "content_hash": content_hash, "published_at": release.published_at}
        return _answer(etag, {**plan, "items": items_of(release) if items is None else items})


class TagView(APIView):
    """Read as the plan."""

    @extend_schema(
        operation_id="read_tag",
        summary=_("Read a tag"),
        description=_("A tag of the current release by its code, whatever the case, with each of its attributes in full."),
        tags=["Plan"],
        parameters=_PARAMETERS,
        auth=_AUTH,
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, code: str) -> HttpResponse:
        reader, release = _reader(request), newest()
        items = _items_for(reader, release) if release else {}
        wanted = code.lower()
        found = next((item for item, one in items.items() if one["kind"] == "tag" and one["code"].lower() == wanted), None)
        if release is None or found is None:
            raise exceptions.NotFound(_("The released standard has no such tag. Look its code up in the plan: GET /api/v1/plan."))
        return _hashed(request, {"release": release.version, **_tag(found, items)})


class ReleasesView(APIView):
    """Read as the plan."""

    @extend_schema(
        operation_id="list_releases",
        summary=_("List releases"),
        description=_("The releases, newest first, 100 at a time."),
        tags=["Plan"],
        auth=_AUTH,
        parameters=[*_PARAMETERS, OpenApiParameter("before", str, description=_("Only releases older than this version."))],
        responses={200: ReleasesSchema},
    )
    def get(self, request: Request) -> HttpResponse:
        reader = _reader(request)
        releases = Release.objects.defer("snapshot").order_by("-id")
        if before := request.query_params.get("before"):
            releases = releases.filter(pk__lt=_release(before).pk)
        notes = _may_read_notes(reader)
        shown = list(releases[: RELEASES_AT_ONCE + 1])
        more = shown[RELEASES_AT_ONCE - 1].version if len(shown) > RELEASES_AT_ONCE else None
        return _hashed(request, {"releases": [_about(one, notes=notes) for one in shown[:RELEASES_AT_ONCE]], "next": more})


class ReleaseView(APIView):
    """Read as the plan."""

    @extend_schema(
        operation_id="read_release",
        summary=_("Read a release"),
        description=_("One release: what there is about it, and every item's definition by uuid."),
        tags=["Plan"],
        parameters=_PARAMETERS,
        auth=_AUTH,
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, version: str) -> HttpResponse:
        reader, release = _reader(request), _release(version)
        items, content_hash = _shown_to(reader, release)
        etag = f'"{content_hash}"'
        if _is_known(request, etag):
            return _unchanged(etag)
        return _answer(
            etag,
            {
                **_about(release, notes=_may_read_notes(reader)),
                "content_hash": content_hash,
                "items": items_of(release) if items is None else items,
            },
        )


class DiffView(APIView):
    """Read as the plan."""

    @extend_schema(
        operation_id="diff_releases",
        summary=_("Compare two releases"),
        description=_("What changes from one release to another: the verdict, what each source must do, and every field."),
        tags=["Plan"],
        parameters=_PARAMETERS,
        auth=_AUTH,
        responses={200: DiffSchema},
    )
    def get(self, request: Request, before: str, after: str) -> HttpResponse:
        reader, first, second = _reader(request), _release(before), _release(after)
        old, new = _items_for(reader, first), _items_for(reader, second)
        return _hashed(request, {"before": first.version, "after": second.version, **_diff(old, new, on=second.day)})


def _shown_to(reader: User | None, release: Release) -> tuple[Items | None, str]:
    """What this person may read of a release, and its content hash; None: the whole, which need not be looked through."""
    rights = rights_of(reader) if reader else None
    if rights is None or not rights.limited:
        return None, release.content_hash
    items = items_of(release)
    hidden = On(rights, items).hidden()
    shown = {item: one for item, one in items.items() if item not in hidden}
    return shown, Plan.content_hash(shown)


def _items_for(reader: User | None, release: Release) -> Items:
    shown, _hash = _shown_to(reader, release)
    return items_of(release) if shown is None else shown


def _diff(old: Items, new: Items, *, on: date) -> dict[str, Any]:
    verdict, names = judge(old, new, on=on), old | new
    number = {id(effect): index for index, effect in enumerate(verdict.effects)}
    concerned = effects_by_source(verdict, old, new, native_senders(old, new, verdict.by_item, on=on))
    return {
        "verdict": verdict.level,
        "breaks_from": verdict.breaks_from or None,
        "effects": [_effect(effect, names) for effect in verdict.effects],
        "changes": [_change(change.item, change.before, change.after, verdict, names) for change in changes_between(old, new)],
        "sources": {names[source]["code"]: [number[id(effect)] for effect in effects] for source, effects in concerned.items()},
    }


def _effect(effect: Effect, names: Items) -> dict[str, Any]:
    return {
        "item": effect.item,
        "code": effect.code,
        "level": effect.level,
        "breaks_from": effect.breaks_from or None,
        "message": effect_text(effect, names),
    }


def _change(item: str, before: dict[str, Any] | None, after: dict[str, Any] | None, verdict: Verdict, names: Items) -> dict[str, Any]:
    stands = after or before or {}
    lines = diff(before, after, names) if before and after else []
    return {
        "item": item,
        "kind": stands["kind"],
        "title": title(stands, names),
        "change": "changed" if before and after else "added" if after else "removed",
        "level": verdict.of(item),
        "lines": [{"field": line.field, "before": line.before, "after": line.after} for line in lines],
    }


def _tag(uuid: str, items: Items) -> dict[str, Any]:
    """A tag's definition with codes and attributes in the place of uuids."""
    tag = items[uuid]
    return {
        "uuid": uuid,
        **{name: value for name, value in tag.items() if name not in ("kind", "attributes", "category", "successor")},
        "category": items.get(tag.get("category") or "", {}).get("code"),
        "successor": items.get(tag.get("successor") or "", {}).get("code"),
        "attributes": [_use(use, items[use["attribute"]]) for use in tag.get("attributes") or []],
    }


def _use(use: dict[str, Any], attribute: dict[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in attribute.items() if name not in ("kind", "constraints")}
    layers = [one for one in (attribute.get("constraints"), use.get("constraints")) if one]
    return {"uuid": use["attribute"], **own, "required": use.get("required", False), "constraints": layers}


def _may_read_notes(reader: User | None) -> bool:
    """They may tell of what somebody may not read; and a write key may stand in a web page for everybody."""
    return reader is not None and not rights_of(reader).limited


def _about(release: Release, *, notes: bool) -> dict[str, Any]:
    return {
        "version": release.version,
        "content_hash": release.content_hash,
        "published_at": release.published_at,
        "notes": release.notes if notes else "",
        "changed_items": len(release.changed_items),
        "signed": release.signed,
    }


def _release(version: str) -> Release:
    found = Release.objects.filter(version=version).first() if storable(version) == version else None
    if found is None:
        raise exceptions.NotFound(_("There is no release of this version. See which there are: GET /api/v1/releases."))
    return found


def _hashed(request: Request, content: dict[str, Any]) -> HttpResponse:
    etag = f'"{hashlib.sha256(encode_json(content)).hexdigest()[:32]}"'
    return _unchanged(etag) if _is_known(request, etag) else _answer(etag, content)


def _is_known(request: Request, etag: str) -> bool:
    return etag in request.headers.get("If-None-Match", "")


def _unchanged(etag: str) -> HttpResponse:
    return HttpResponse(status=304, headers={"ETag": etag})


def _answer(etag: str, content: dict[str, Any]) -> HttpResponse:
    return HttpResponse(encode_json(content), content_type="application/json", headers={"ETag": etag, "Cache-Control": "no-cache"})


def _reader(request: Request) -> User | None:
    """The person whose read token it is; None for a source, which reads the whole plan."""
    if not request.headers.get("Authorization", "").removeprefix("Bearer ").startswith("tlr_"):
        authenticated(request)
        return None
    return person_of(ReadTokenAuthentication().authenticate(request), scope=SCOPE, right="taxonomy.view_tag")
