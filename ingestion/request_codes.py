"""The words of the codes of requests that fail as a whole, for the page of codes; the doors raise them as ApiError."""

from django.utils.translation import gettext_lazy as _

from taxonomy.violations import Explanation, Text

# code: (title, what happened, what was expected, next step)
WORDS: dict[str, tuple[Text, Text, Text, Text]] = {
    "key.missing": (_("No key"), _("The request came without a key (401)."), _("Authorization: Bearer <key>"), _("Send the source's write key, or for reading a read token.")),
    "key.unknown": (_("Unknown key"), _("The key is mistyped, expired or revoked (401)."), _("A key that works."), _("Ask for a new one under Write keys, or make a read token of your own.")),
    "key.cannot_send": (_("This key cannot send"), _("A read token was used to send events (403)."), _("A write key of the source."), _("Use the source's write key.")),
    "key.cannot_read": (_("This key cannot read customers"), _("A write key, which may be public in a web page, was used to read customers (403)."), _("A read token."), _("Make a read token under My read tokens.")),
    "request.not_json": (_("Body is not JSON"), _("The body is not a JSON object (400)."), _("One event, or {\"events\": […]}."), _("Send JSON in UTF-8.")),
    "request.events": (_("No list of events"), _("“events” is empty, or is not a list (400)."), _("A list of 1 to 1,000 events."), _("Send at least one event.")),
    "request.too_many": (_("Too many events"), _("The request holds more than 1,000 events (413)."), _("At most 1,000."), _("Send the rest in another request.")),
    "request.too_large": (_("Request too large"), _("The request is larger than 5 MB unpacked (413)."), _("At most 5 MB."), _("Send fewer events at once.")),
    "request.media_type": (_("Other media type"), _("The body is not said to be JSON (415)."), _("Content-Type: application/json"), _("Set this header.")),
    "request.encoding": (_("Other packing"), _("The body is packed in a way we do not know (415)."), _("gzip, or nothing."), _("Pack it with gzip, or not at all.")),
    "request.not_gzip": (_("Broken gzip"), _("The body is said to be gzip and is not, or is cut off (400)."), _("A whole gzip stream."), _("Send it again.")),
    "request.cut_off": (_("Body cut off"), _("The body ended before the length that was said of it; nothing of it was stored (400)."), _("As many bytes as Content-Length says."), _("Send it again, whole.")),
    "request.length": (_("Length missing"), _("The request came in pieces, without the length of its body (411)."), _("Content-Length"), _("Send the body whole.")),
    "request.dry_run": (_("Dry run or not"), _("dry_run is neither true nor false (400)."), "dry_run=true", _("Correct it, then send again; nothing was stored.")),
    "receipt.unknown": (_("No such event"), _("The key's source has no event of this id (404)."), _("The id an event was sent with, or its event_id; not the id of a batch."), _("Check the id. What is refused, or sent with a test key or dry_run, is not kept.")),
    "hook.unknown": (_("No webhook there"), _("The source has no webhook that is active, or there is no such source (404)."), _("An address that Webhooks in shows."), _("Add a webhook for the source under Webhooks in, or correct the address.")),
    "hook.unsigned": (_("No signature"), _("The request does not prove who sends it (401)."), _("The signature or token of the webhook's scheme."), _("Set the secret at the sender as the webhook's page says.")),
    "hook.wrong_signature": (_("Wrong signature"), _("The signature or token does not fit the request (401)."), _("A signature made with one of the webhook's secrets, over the body exactly as sent."), _("Check the secret on both sides, and that nothing between changes the body or the address.")),
    "hook.stale": (_("Signed too long ago"), _("The signature is good, but the time in it is more than five minutes off (401)."), _("A request sent within five minutes of being signed."), _("Correct the sender's clock; let it sign anew each time it sends.")),
    "cloudevents.mode": (_("Not a CloudEvent's request"), _("The request has neither a media type of CloudEvents nor the headers ce-… (415)."), _("application/cloudevents+json, application/cloudevents-batch+json, or the headers ce-specversion, ce-id, ce-source and ce-type."), _("Set the media type, or the headers.")),
    "cloudevents.header": (_("Header cannot be read"), _("A header ce-… is not percent-encoded UTF-8 (400)."), _("Text in ASCII, all else percent-encoded as UTF-8."), _("Correct the header.")),
    "segment.batch": (_("No list of messages"), _("“batch” is missing, or is not a list (400)."), _("A list of Segment messages."), _("Send one message to /v1/track and the like, or many as {\"batch\": […]} to /v1/batch.")),
    "segment.too_many": (_("Too many messages"), _("The request holds more than 2,500 messages (400)."), _("At most 2,500."), _("Send the rest in another request.")),
    "segment.too_large": (_("Batch too large"), _("The request is larger than 500 KB unpacked, or its context repeated in each message comes to more than 5 MB (400)."), _("At most 500 KB."), _("Send fewer messages at once.")),
    "segment.message_too_large": (_("Message too large"), _("The message is larger than 32 KB (400)."), _("At most 32 KB."), _("Send less with it.")),
    "mqtt.topic": (_("Topic of nobody"), _("An MQTT message came on a topic that no active row of MQTT topics fits. It was dropped."), _("A topic that is listed."), _("Add the topic, or stop sending there. Just after a topic is switched off a few such are usual.")),
    "mqtt.failed": (_("Message cannot be stored"), _("An MQTT message made our own side fail. The broker keeps it and sends it again at the next connection."), "", _("Tell an administrator; the log has the kind of the error.")),
    "import.fields": (_("Announcement cannot be read"), _("A field of the file's announcement, or of the address, has a value it cannot have (400)."), _("file and size_bytes; dry_run and format where wanted."), _("Correct the field the message names.")),
    "import.unknown": (_("No such import"), _("The key's source has no import of this id (404)."), _("An id that an announcement was answered with."), _("Check the id; announce the file again if it was not sent to its end within seven days.")),
    "import.not_ended": (_("Import has not ended"), _("Its failed rows were asked for while it runs (409)."), "", _("Ask for its status until it is finished.")),
    "upload.offset": (_("Other offset"), _("A part of a file does not begin where the upload stands, or goes beyond the file's size (409)."), _("Upload-Offset as HEAD tells it."), _("Ask by HEAD, then go on from there.")),
    "upload.busy": (_("Part being received"), _("Another part of the same file is just being received (423)."), "", _("Ask by HEAD in a moment, then go on from there.")),
    "upload.no_offset": (_("Offset missing"), _("A part of a file came without saying where it begins (400)."), _("Upload-Offset: 0 for the first part"), _("Set this header.")),
    "upload.media_type": (_("Other media type of a part"), _("A part of a file is not said to be one (415)."), "Content-Type: application/offset+octet-stream", _("Set this header.")),
    "upload.too_large": (_("Part too large"), _("A part of a file is larger than 64 MB (413)."), _("At most 64 MB."), _("Send the file in smaller parts.")),
    "upload.version": (_("Other version of tus"), _("The client speaks another version of tus (412)."), "Tus-Resumable: 1.0.0", _("Use a client that speaks this version.")),
    "upload.no_room": (_("No room"), _("The disk has no room for the file, or too many uploads of the source are not finished (507)."), "", _("Finish what was begun, or try again later; tell an administrator when it stays.")),
    "rate_limited": (_("Too fast"), _("The key or webhook sends more events a second than it may (429)."), _("No more than its limit."), _("Wait as long as Retry-After says, then send again.")),
    "no_release": (_("No standard yet"), _("No standard has been published (503)."), _("A release."), _("Publish the standard, then send again.")),
    "source.unreleased": (_("Source not released"), _("The key's source is not in the published standard (503)."), _("A source that is released."), _("Publish the source, then send again.")),
    "source.ended": (_("Source ended"), _("The key's source stood in the standard once and was taken out of it (403)."), _("A source that is released."), _("Stop sending; or restore the source from its history, release it, then send again.")),
    "unavailable": (_("Unavailable"), _("The database cannot be reached (503), or its answer was lost."), "", _("Send the same request again; no event that has an id or a time is counted twice.")),
    "not_authenticated": (_("Not logged in"), _("This needs a key or a log-in (401)."), _("Authorization: Bearer <key>"), _("Send a key.")),
    "authentication_failed": (_("Key refused"), _("The key does not work here (401)."), _("A key that works."), _("Check the key, or make a new one.")),
    "permission_denied": (_("Not permitted"), _("The key's owner may not do this (403)."), _("A permission for it."), _("Ask an administrator for a role that has it.")),
    "not_found": (_("Not found"), _("There is nothing at this address (404)."), "", _("Check the address.")),
    "method_not_allowed": (_("Other method"), _("This address does not take this HTTP method (405)."), _("The methods named in Allow."), _("Look the call up in the API documentation.")),
    "parse_error": (_("Body cannot be read"), _("The body is not the JSON it is said to be (400)."), _("JSON in UTF-8."), _("Correct the body.")),
    "unsupported_media_type": (_("Unknown media type"), _("The body's media type is not known (415)."), _("Content-Type: application/json"), _("Set this header.")),
    "not_acceptable": (_("No such answer"), _("The answer cannot be given in the form the Accept header asks for (406)."), _("Accept: application/json"), _("Set this header, or none.")),
    "throttled": (_("Too many requests"), _("Too many requests came in a short time (429)."), "", _("Wait as long as Retry-After says, then send again.")),
    "invalid": (_("Invalid field"), _("A field of the request has a value it cannot have (400)."), "", _("Correct the field the message names.")),
    "error": (_("Error on our side"), _("Something broke on our side (500)."), "", _("Send the request again; tell an administrator when it stays.")),
}  # fmt: skip


def explain_request() -> list[Explanation]:
    return [Explanation(code, *words) for code, words in WORDS.items()]


def explain_request_code(code: str) -> Explanation | None:
    return Explanation(code, *WORDS[code]) if code in WORDS else None
