"""How to send, a page per source: an accepted event of each tag as code to copy, and the place where it is seen to arrive."""

import secrets
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from ingestion.models import MqttTopic, WriteKey
from ingestion.sending.code import Code, api_code, doors_of, import_code, in_one_line, parted, segment_code, sends_apart, snippet_code
from ingestion.sending.example import Example, cells_of, example_of, is_accepted
from ingestion.sending.mqtt_code import DOORS as MQTT_DOORS
from ingestion.sending.mqtt_code import mqtt_code, place_of
from ingestion.watching.latest_page import live
from staff.admin.pages import already_made, is_sent_again, note_secret_shown
from taxonomy.dictionary.examples import KEY, as_cloudevent, as_receipt, as_webhook, values_of
from taxonomy.dictionary.standard import Standard, standard
from taxonomy.dictionary.words import label
from taxonomy.models import Source
from taxonomy.released import named
from taxonomy.request_rights import hidden_in, sources_in, sources_offered_in
from taxonomy.standardize import SourcePlan
from taxonomy.standardize.plan import TagPlan

LANGUAGES = {
    "curl": "curl", "web": gettext_lazy("Web page"), "node": "Node.js", "python": "Python", "java": "Java", "kotlin": "Kotlin",
    "swift": "Swift", "php": "PHP", "webhook": gettext_lazy("Webhook"), "cloudevents": "CloudEvents", "mqtt": "MQTT", "file": gettext_lazy("File"),
}  # fmt: skip
_DOORS = {
    "api": gettext_lazy("By HTTP"), "snippet": gettext_lazy("By our own snippet"), "segment": gettext_lazy("By Segment's client"), "file": gettext_lazy("In a file"), "import": gettext_lazy("The file, by HTTP"),
    "hook": gettext_lazy("By a signed webhook"), "cloudevents": gettext_lazy("As a CloudEvent"), "mqtt": gettext_lazy("With Mosquitto's client"), "mqtt_python": gettext_lazy("In Python"),
}  # fmt: skip
HOOK_NOTE = gettext_lazy(
    "It needs no write key: add a webhook for this source under Webhooks in, signed as Standard Webhooks, and put its secret in place of whsec_SECRET. Other senders' ways of signing are chosen there."
)


class Block(NamedTuple):
    """Code of one door. `parts`: the text, parted where the write key belongs; `receipt`: likewise, what asks later; none: empty."""

    title: Any
    parts: list[str]
    code: Code
    receipt: list[str]


class Choice(NamedTuple):
    """A tag that can be chosen."""

    code: str
    label: str
    chosen: bool


@login_required(login_url="admin:login")
@permission_required("taxonomy.view_source", raise_exception=True)
@require_safe
def send_sources(request: HttpRequest) -> HttpResponse:
    """The sources, each with its page of how to send."""
    context = {"title": _("How to send"), "sources": sources_offered_in(request).select_related("owner").order_by("code")}
    return TemplateResponse(request, "ingestion/send_sources.html", {**admin.site.each_context(request), **context})


@never_cache
@login_required(login_url="admin:login")
@permission_required("taxonomy.view_source", raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def how_to_send(request: HttpRequest, source_id: UUID) -> HttpResponse:
    """One source's page. Posted: a key is made, and shown in this answer alone."""
    source = get_object_or_404(sources_in(request), pk=source_id)
    known = standard()
    hidden = hidden_in(request, known.items) if known else set()
    if str(source_id) in hidden:
        raise Http404
    may_make = request.user.has_perm("ingestion.add_writekey")
    if request.method == "POST" and not may_make:
        raise PermissionDenied
    if is_sent_again(request):
        return already_made(request, request.get_full_path())
    secret = _made_key(request, source) if request.method == "POST" else ""
    language = request.GET.get("code") if request.GET.get("code") in LANGUAGES else "curl"
    name = named("source", [source_id])[source_id]
    context: dict[str, Any] = {
        "title": _("How to send: %(source)s") % {"source": name.label},
        "source": name,
        "secret": secret,
        "may_make": may_make,
        "key": KEY,
        "prefixes": {"live": WriteKey.PREFIX, "test": WriteKey.TEST_PREFIX},
        "language": language,
        **live(request, name.code, few=True),
    }
    plan = known.plan.sources_by_uuid.get(str(source_id)) if known else None
    if known is not None and plan is not None:
        context |= _shown(request, known, plan, hidden, str(language))
    return TemplateResponse(request, "ingestion/how_to_send.html", {**admin.site.each_context(request), **context})


def _made_key(request: HttpRequest, source: Source) -> str:
    key = WriteKey(source=source, name=_("made on How to send"), test=request.POST.get("make") != "live", created_by=request.user)  # type: ignore[misc]
    secret = key.set_secret()
    key.save()
    note_secret_shown(request)
    return secret


def _shown(request: HttpRequest, known: Standard, source: SourcePlan, hidden: set[str], language: str) -> dict[str, Any]:
    """The tags to choose from, and the code for the chosen one."""
    open_tags = {tag.uuid: tag for tag in known.plan.tags.values() if tag.status == "active" and tag.uuid not in hidden}
    own = list(dict.fromkeys(rule.tag for rule in source.rules if rule.uuid not in hidden and rule.tag.uuid in open_tags))
    others = sorted((tag for tag in open_tags.values() if tag not in own), key=lambda tag: tag.code)
    chosen = next((tag for tag in open_tags.values() if tag.code == request.GET.get("tag")), None) or next(iter([*own, *others]), None)
    if chosen is None:
        return {"released": True}
    address = request.build_absolute_uri("/").rstrip("/")
    blocks = _blocks(chosen, source, known, hidden, language, address)
    return {
        "released": True,
        "own": [_choice(tag, chosen) for tag in own],
        "others": [_choice(tag, chosen) for tag in others],
        "tag": chosen,
        "tabs": [(name, told, urlencode({"tag": chosen.code, "code": name})) for name, told in LANGUAGES.items()],
        "address": address,
        "blocks": blocks,
        "problem": "" if blocks else _problem(chosen, source, known, language),
    }


def _choice(tag: TagPlan, chosen: TagPlan) -> Choice:
    return Choice(tag.code, label(tag.definition), tag is chosen)


def _blocks(tag: TagPlan, source: SourcePlan, known: Standard, hidden: set[str], language: str, address: str) -> list[Block]:
    if language == "mqtt" and not (settings.MQTT_BROKER and _topic_of(source)):
        return []
    codes = [
        _code(door, tag, source, known, hidden, language, address) for door in (MQTT_DOORS if language == "mqtt" else doors_of(language))
    ]
    return [Block(_DOORS[code.door], code.text.split(KEY), code, _receipt(code, address)) for code in codes if code is not None]


def _code(door: str, tag: TagPlan, source: SourcePlan, known: Standard, hidden: set[str], language: str, address: str) -> Code | None:
    # Each look at the page has an id of its own: the same one again is a duplicate.
    message_id, at = f"example-{secrets.token_hex(4)}", timezone.now()
    envelope = {"snippet": "segment", "import": "file"}.get(door, door)
    found = example_of(tag, source, known.plan, at=at, message_id=message_id, door=envelope, hidden=hidden)
    if sends_apart(door, language) and found is not None and not _works_apart(found, tag, source, known, at):
        # A rule that reads the context reads nothing of such a client: the tag's own code is left.
        rules = {rule.uuid for rule in source.rules}
        found = example_of(tag, source, known.plan, at=at, message_id=message_id, door=envelope, hidden=rules)
        found = found if found is not None and _works_apart(found, tag, source, known, at) else None
    if found is None:
        return None
    if door in MQTT_DOORS:
        files = {"ca": settings.MQTT_CA_FILE, "certificate": settings.MQTT_CERTIFICATE_FILE}
        return mqtt_code(door, found.record, place_of(settings.MQTT_BROKER, _topic_of(source), **files))
    if door == "file":
        return Code(door, cells_of(found.record) if found.is_row else in_one_line(found.record))
    if door == "import":
        return import_code("events.csv" if found.is_row else "events.ndjson", address)
    if door == "snippet":
        return snippet_code(found.record, address)
    if door == "cloudevents":
        return Code(door, as_cloudevent(found.record, address), needs="curl")
    if door == "hook":
        return Code(door, as_webhook(found.record, address, source=source.code, delivery=message_id), "curl, openssl", HOOK_NOTE)
    if door == "segment":
        return segment_code(language, found.record, address)
    code = api_code(language, found.record, address)
    return replace(code, message_id=message_id) if code and message_id in code.text else code


def _receipt(code: Code, address: str) -> list[str]:
    return as_receipt(code.message_id, address).split(KEY) if code.door in ("api", "segment") else []


def _topic_of(source: SourcePlan) -> str:
    """The first topic whose messages are this source's; "" for none."""
    return MqttTopic.objects.filter(source=UUID(source.uuid), active=True).values_list("filter", flat=True).first() or ""


def _works_apart(found: Example, tag: TagPlan, source: SourcePlan, known: Standard, at: datetime) -> bool:
    who, what = parted(found.record)
    return all(is_accepted(one, as_, source, known.plan, at=at, door="segment") for one, as_ in ((who, None), (what, tag)))


def _problem(tag: TagPlan, source: SourcePlan, known: Standard, language: str) -> str:
    if language == "mqtt" and not settings.MQTT_BROKER:
        return _("This installation listens to no broker: MQTT_URL is not set. Ask whoever runs it.")
    if language == "mqtt" and not _topic_of(source):
        return _("No topic is this source's yet. Somebody who may, an engineer or an administrator, adds one under MQTT topics.")
    lacking = [code for code, slot in tag.slots.items() if slot.required and code not in values_of(tag, known.plan.items, source.currency)]
    if lacking:
        told = {"names": ", ".join(lacking)}
        return _("No event can be made up: no value is known for %(names)s. Give each of these attributes an example.") % told
    return _("No event of this tag could be found that is accepted from this source this way. Try a record of your own on the source's page, or choose another tag.")  # fmt: skip
