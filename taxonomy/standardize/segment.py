"""Segment's envelope: one message of its tracking API, or a body {"batch": [messages], "context", "sentAt"}.

| call | becomes |
|---|---|
| track | the event it names, `properties` as attributes |
| page, screen | `view_page`, with url, path, title and name as page_url, page_path, page_title |
| identify | `profile_update`, `traits` as attributes |
| alias, group | `identity_link`; the previous id is another identifier, the group and its traits are attributes |

Source: the Segment spec (common fields, and the sections on each call); RudderStack's clients write the same.
"""

from datetime import datetime
from typing import Any

from taxonomy.standardize.identifiers import KINDS
from taxonomy.standardize.read import ItemReader, is_given, read_object, read_text, read_time
from taxonomy.standardize.structs import RawEvent, Violation

# What the body says of all its messages, unless a message says otherwise.
OUTER_FIELDS = ("type", "sentAt", "context")
_NAMES = {
    "identify": "profile_update",
    "alias": "identity_link",
    "group": "identity_link",
    "page": "view_page",
    "screen": "view_page",
}
_PAGE_ATTRIBUTES = {"url": "page_url", "path": "page_path", "title": "page_title"}


def segment_reader(source_code: str) -> ItemReader:
    def read_item(
        item: dict[str, Any], outer: dict[str, Any], received_at: datetime, original: bytes, notes: list[Violation], position: int | None
    ) -> RawEvent:
        get = item.get
        context = _context(get("context"), outer.get("context"))
        written = read_text(get("type") or get("action") or outer.get("type"), "type", notes)
        call = (written or "track").lower()
        traits = _traits(get("traits"), context, call, notes)
        # A message that was received before, by Segment itself, has its time by that clock already.
        received_before = is_given(get("receivedAt"))
        first, second = ("timestamp", "originalTimestamp") if received_before else ("originalTimestamp", "timestamp")
        occurred_at = read_time(get(first))
        sent_at = read_time(get("sentAt"))
        return RawEvent(
            source_code,
            _name(call, get("event"), notes),
            _phone(traits, context, notes),
            None,
            _identifiers(item, call, traits, context, notes),
            occurred_at if occurred_at is not None else read_time(get(second)),
            None if received_before else sent_at if sent_at is not None else read_time(outer.get("sentAt")),
            received_at,
            read_text(get("messageId"), "messageId", notes),
            read_text(_inner(context, "app").get("version"), "context.app.version", notes),
            _attributes(item, call, traits, context, notes),
            context,
            original,
            notes,
            position,
            "segment",
        )

    return read_item


def _context(own: Any, common: Any) -> dict[str, Any]:
    said: dict[str, Any] = own if isinstance(own, dict) else {}
    return common | said if isinstance(common, dict) else said


def _inner(value: dict[str, Any], key: str) -> dict[str, Any]:
    inner = value.get(key)
    return inner if isinstance(inner, dict) else {}


def _traits(own: Any, context: dict[str, Any], call: str, notes: list[Violation]) -> dict[str, Any]:
    """What is known of the person: an identify's own traits, else those the context repeats. A group's are the group's."""
    repeated = _inner(context, "traits")
    if call == "group":
        return repeated
    return repeated | read_object(own, "traits", notes) if is_given(own) else repeated


def _name(call: str, event: Any, notes: list[Violation]) -> str | None:
    if call == "track":
        return read_text(event, "event", notes)
    return _NAMES.get(call, call)


def _phone(traits: dict[str, Any], context: dict[str, Any], notes: list[Violation]) -> str | None:
    phone = read_text(traits.get("phone"), "phone", notes)
    return phone if phone is not None else read_text(_external_ids(context).get("phone"), "phone", notes)


def _identifiers(
    item: dict[str, Any], call: str, traits: dict[str, Any], context: dict[str, Any], notes: list[Violation]
) -> dict[str, str]:
    written = {kind: value for kind, value in _external_ids(context).items() if kind != "phone"}
    written |= {
        kind: value
        for kind, value in (
            ("user_id", item.get("userId")),
            ("email", traits.get("email")),
            ("device", _inner(context, "device").get("id")),
            ("anonymous_id", item.get("anonymousId")),
        )
        if is_given(value)
    }
    if call == "alias" and is_given(previous := item.get("previousId")):
        # The id that is left behind: an address, or what a browser went by until now.
        written["email" if type(previous) is str and "@" in previous else "anonymous_id"] = previous
    read = ((kind, read_text(value, f"identifiers.{kind}", notes)) for kind, value in written.items())
    return {kind: text for kind, text in read if text is not None}


def _external_ids(context: dict[str, Any]) -> dict[str, Any]:
    """Ids of other systems, of our kinds: Segment's context.externalIds, RudderStack's context.externalId."""
    given = context.get("externalIds") or context.get("externalId")
    pairs = [(one.get("type"), one.get("id")) for one in given if type(one) is dict] if type(given) is list else []
    return {kind: value for kind, value in pairs if type(kind) is str and kind in KINDS and is_given(value)}


def _attributes(item: dict[str, Any], call: str, traits: dict[str, Any], context: dict[str, Any], notes: list[Violation]) -> dict[str, Any]:
    if call == "identify":
        # The phone is whom the event is about.
        return {key: value for key, value in traits.items() if key != "phone"}
    if call == "group":
        group = {"groupId": item["groupId"]} if is_given(item.get("groupId")) else {}
        return group | read_object(item.get("traits"), "traits", notes)
    properties = read_object(item.get("properties"), "properties", notes)
    if call == "page":
        return _page(item, {**_seen_page(context), **properties})
    return _page(item, properties) if call == "screen" else properties


def _seen_page(context: dict[str, Any]) -> dict[str, Any]:
    """The page that a browser's client says every event came from: a page call with no word about its page is about that."""
    page = _inner(context, "page")
    return {key: page[key] for key in ("url", "path", "title", "referrer") if key in page}


def _page(item: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    """The page's properties under the standard's names. Its name stands for a title that it does not give."""
    page: dict[str, Any] = {}
    for key, value in properties.items():
        standard = _PAGE_ATTRIBUTES.get(key, key)
        if is_given(value) and (standard == key or standard not in properties):
            page[standard] = value
    named = item.get("name") or page.get("name")
    if not is_given(page.get("page_title")) and is_given(named):
        page["page_title"] = named
        if page.get("name") == named:
            del page["name"]
    return page
