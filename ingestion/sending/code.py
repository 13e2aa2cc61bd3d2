"""Code to copy that sends one record: by HTTP, by our snippet, and by Segment's own clients with their host set to ours. Pure.

Every text holds KEY where the write key belongs; pages put the reader's own there.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from taxonomy.dictionary.examples import KEY, as_curl

Record = dict[str, Any]
_ONE_LINE = 80


@dataclass(frozen=True, slots=True)
class Code:
    """`door`: "api", "snippet", "segment", "hook", "cloudevents", "file" or "import". `needs`: what is to be installed, "" for nothing. `note`: what else to know.

    `message_id`: the id that it sends, as far as it is known.
    """

    door: str
    text: str
    needs: str = ""
    note: Any = ""
    message_id: str = ""


def doors_of(language: str) -> list[str]:
    """Those for which there is code in a language; "file" is taken for one."""
    if language in ("webhook", "cloudevents"):
        return ["hook" if language == "webhook" else language]
    known = (("api", _BY_HTTP), ("snippet", ("web",)), ("segment", _CLIENTS))
    return ["file", "import"] if language == "file" else [door for door, languages in known if language in languages]


def api_code(language: str, record: Record, address: str) -> Code | None:
    """A program, or a command, that posts the record; None for a language whose clients all speak Segment's protocol."""
    write = _BY_HTTP.get(language)
    return Code("api", write(record, address)) if write else None


def import_code(file: str, address: str) -> Code:
    """Commands that send a whole file and ask what became of it."""
    key = f"-H 'Authorization: Bearer {KEY}'"
    return Code(
        "import",
        f"""here=$(curl -s -D - -o /dev/null {address}/api/v1/imports \\
  {key} \\
  -H 'Content-Type: application/json' \\
  -d '{{"file": "{file}", "size_bytes": '$(wc -c < {file})'}}' \\
  | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')

curl -X PATCH {address}$here/file \\
  {key} \\
  -H 'Content-Type: application/offset+octet-stream' \\
  -H 'Upload-Offset: 0' \\
  --data-binary @{file}

curl {address}$here \\
  {key}""",
        needs="curl",
    )


def sends_apart(door: str, language: str) -> bool:
    """Whether the client sends who somebody is in a message of its own, and no context that a caller makes."""
    return door == "snippet" or (door == "segment" and language in ("kotlin", "swift"))


def parted(track: Record) -> tuple[Record, Record]:
    """The two messages that such a client makes of one: who it is, and what they do."""
    identify = {"type": "identify", "userId": track["userId"], "traits": track["context"]["traits"]}
    same = {name: track[name] for name in ("messageId", "timestamp")}
    return identify | same, {name: value for name, value in track.items() if name != "context"}


def segment_code(language: str, track: Record, address: str) -> Code | None:
    """The same by Segment's client for the language. `track`: the message; the client makes its id and time."""
    if language not in _CLIENTS:
        return None
    write, needs, note = _CLIENTS[language]
    return Code("segment", write(track, address), needs, note)


# literals


@dataclass(frozen=True, slots=True)
class _Notation:
    opens: str
    closes: str
    pair: str
    list_opens: str = "["
    list_closes: str = "]"
    words: tuple[str, str, str] = ("true", "false", "null")
    text: Callable[[str], str] = lambda value: json.dumps(value, ensure_ascii=False)
    empty: str = "{}"
    long: str = ""


def literal(value: Any, notation: _Notation, indent: int = 0, *, whole: bool = True) -> str:
    """The value as a language writes it: a field a line, but what is short, and not the whole, on one."""
    if isinstance(value, bool) or value is None:
        return notation.words[0 if value else 1 if value is False else 2]
    if isinstance(value, str):
        return notation.text(value)
    if not isinstance(value, list | dict):
        return f"{value}{notation.long}" if isinstance(value, int) and abs(value) >= 2**31 else str(value)
    if not value:
        return notation.empty if isinstance(value, dict) else notation.list_opens + notation.list_closes
    if isinstance(value, list):
        opens, closes = notation.list_opens, notation.list_closes
        parts = [literal(one, notation, indent + 1, whole=False) for one in value]
    else:
        opens, closes = notation.opens, notation.closes
        parts = [notation.pair % (notation.text(name), literal(one, notation, indent + 1, whole=False)) for name, one in value.items()]
    line = ", ".join(parts)
    if not whole and len(line) <= _ONE_LINE and "\n" not in line:
        return opens + line + closes
    inner = "\n" + "    " * (indent + 1)
    return opens + inner + f",{inner}".join(parts) + "\n" + "    " * indent + closes


def _quoted(value: str) -> str:
    """In single quotes, in which only these two mean something to PHP."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _swift_text(value: str) -> str:
    """Swift knows no \\u0000 without braces, and takes \\( for code, which no JSON text holds."""
    return "".join(f"\\u{{{ord(sign):x}}}" if ord(sign) < 32 else {"\\": "\\\\", '"': '\\"'}.get(sign, sign) for sign in value).join('""')


PYTHON = _Notation("{", "}", "%s: %s", words=("True", "False", "None"))
SCRIPT = _Notation("{", "}", "%s: %s")
# Within a page no text may close the script.
IN_PAGE = replace(SCRIPT, text=lambda value: json.dumps(value, ensure_ascii=False).replace("</", "<\\/"))
PHP = _Notation("[", "]", "%s => %s", text=_quoted, empty="[]")
JAVA = _Notation("Map.ofEntries(", ")", "Map.entry(%s, %s)", "List.of(", ")", empty="Map.of()", long="L")
SWIFT = _Notation("[", "]", "%s: %s", words=("true", "false", "NSNull()"), text=_swift_text, empty="[:]")


# by HTTP


def _python(record: Record, address: str) -> str:
    return f"""import json
import urllib.request

event = {literal(record, PYTHON)}
request = urllib.request.Request(
    "{address}/api/v1/events",
    data=json.dumps(event).encode(),
    headers={{"Authorization": "Bearer {KEY}", "Content-Type": "application/json"}},
)
with urllib.request.urlopen(request) as response:
    print(response.read().decode())
"""


def _node(record: Record, address: str) -> str:
    return f"""const event = {literal(record, SCRIPT)}

fetch("{address}/api/v1/events", {{
  method: "POST",
  headers: {{ Authorization: "Bearer {KEY}", "Content-Type": "application/json" }},
  body: JSON.stringify(event),
}})
  .then((response) => response.text())
  .then(console.log)
"""


def _java(record: Record, address: str) -> str:
    body = json.dumps(record, ensure_ascii=False, indent=2).replace("\\", "\\\\")
    indented = body.replace("\n", "\n            ")
    return f"""import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Send {{
    public static void main(String[] arguments) throws Exception {{
        String event = \"\"\"
            {indented}
            \"\"\";
        HttpRequest request = HttpRequest.newBuilder(URI.create("{address}/api/v1/events"))
            .header("Authorization", "Bearer {KEY}")
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(event))
            .build();
        System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
    }}
}}
"""


def _php(record: Record, address: str) -> str:
    return f"""<?php
$event = {literal(record, PHP)};
$request = curl_init('{address}/api/v1/events');
curl_setopt_array($request, [
    CURLOPT_POST => true,
    CURLOPT_RETURNTRANSFER => true,
    CURLOPT_HTTPHEADER => ['Authorization: Bearer {KEY}', 'Content-Type: application/json'],
    CURLOPT_POSTFIELDS => json_encode($event, JSON_UNESCAPED_UNICODE),
]);
echo curl_exec($request), PHP_EOL;
"""


_BY_HTTP: dict[str, Callable[[Record, str], str]] = {"curl": as_curl, "node": _node, "python": _python, "java": _java, "php": _php}


# by our own snippet

CALLS = ("load", "track", "page", "identify", "consent", "reset", "flush")


def loader(address: str) -> str:
    """What a page has in its head: calls may be made at once, and are carried out when the snippet is there."""
    return f"""<script>
  window.tagline?.load || (window.tagline = []);
  for (const call of {json.dumps(CALLS)}) tagline[call] ??= (...given) => tagline.push([call, ...given]);
</script>
<script async src="{address}/js/v1/tagline.js"></script>
"""


def snippet_code(track: Record, address: str) -> Code:
    """A page that sends the same by our own snippet. `track`: a message as Segment's door takes it."""
    traits = {name: value for name, value in track["context"]["traits"].items() if name != "phone"} | {"userId": track["userId"]}
    phone = track["context"]["traits"].get("phone")
    text = f"""{loader(address)}<script>
  tagline.load("{KEY}");
  tagline.identify({literal(phone, IN_PAGE)}, {_at(traits, IN_PAGE)});
  tagline.track({literal(track["event"], IN_PAGE)}, {_at(track["properties"], IN_PAGE)});
</script>
"""
    return Code("snippet", text, note=_IN_EVERY_PAGE)


_IN_EVERY_PAGE = _(
    "Put the first two elements and load into every page, identify where somebody logs in, track where something happens. What cannot be sent "
    'waits in the browser, also offline. With load("…", {consent: "ask"}) nothing is stored or sent before tagline.consent(true).'
)


# by Segment's clients


def _web_client(track: Record, address: str) -> str:
    context = {"context": track["context"]}
    return f"""<script src="/segment/index.js"></script>
<script>
  const analytics = new AnalyticsNext.AnalyticsBrowser()
  analytics.load({{ writeKey: "{KEY}", cdnURL: "{address}" }})
  analytics.track({literal(track["event"], IN_PAGE)}, {_at(track["properties"], IN_PAGE)}, {_at(context, IN_PAGE)})
</script>
"""


def _node_client(track: Record, address: str) -> str:
    call = {name: track[name] for name in ("userId", "event", "properties", "context")}
    return f"""const {{ Analytics }} = require("@segment/analytics-node")

const analytics = new Analytics({{ writeKey: "{KEY}", host: "{address}" }})
analytics.track({literal(call, SCRIPT)})
analytics.closeAndFlush()
"""


def _python_client(track: Record, address: str) -> str:
    return f"""import segment.analytics as analytics

analytics.write_key = "{KEY}"
analytics.host = "{address}"
analytics.track(
    {literal(track["userId"], PYTHON)},
    {literal(track["event"], PYTHON)},
    {literal(track["properties"], PYTHON, 1)},
    context={literal(track["context"], PYTHON, 1)},
)
analytics.shutdown()
"""


def _java_client(track: Record, address: str) -> str:
    return f"""import com.segment.analytics.Analytics;
import com.segment.analytics.messages.TrackMessage;
import java.util.List;
import java.util.Map;

public class Send {{
    public static void main(String[] arguments) {{
        Analytics analytics = Analytics.builder("{KEY}").endpoint("{address}").build();
        analytics.enqueue(TrackMessage.builder({literal(track["event"], JAVA)})
            .userId({literal(track["userId"], JAVA)})
            .properties({literal(track["properties"], JAVA, 3)})
            .context({literal(track["context"], JAVA, 3)}));
        analytics.flush();
        analytics.shutdown();
    }}
}}
"""


def _kotlin_client(track: Record, address: str) -> str:
    host = urlsplit(address).netloc
    user, event = (json.dumps(track[name], ensure_ascii=False).replace("$", "\\$") for name in ("userId", "event"))
    return f"""import com.segment.analytics.kotlin.android.Analytics
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonObject

val analytics = Analytics("{KEY}", applicationContext) {{
    apiHost = "{host}/v1"
    cdnHost = "{host}/v1"
}}
analytics.identify({user}, {_parsed(track["context"]["traits"])})
analytics.track({event}, {_parsed(track["properties"])})
analytics.flush()
"""


def _parsed(value: Record) -> str:
    """JSON between three quotes, three of which no JSON text has in a row."""
    body = json.dumps(value, ensure_ascii=False, indent=4).replace("$", "${'$'}")
    return f'Json.parseToJsonElement("""{body}""").jsonObject'


def _swift_client(track: Record, address: str) -> str:
    host = urlsplit(address).netloc
    return f"""import Segment

let analytics = Analytics(configuration: Configuration(writeKey: "{KEY}")
    .apiHost("{host}/v1")
    .cdnHost("{host}/v1"))
analytics.identify(userId: {literal(track["userId"], SWIFT)}, traits: {literal(track["context"]["traits"], SWIFT)})
analytics.track(name: {literal(track["event"], SWIFT)}, properties: {literal(track["properties"], SWIFT)})
analytics.flush()
"""


def _php_client(track: Record, address: str) -> str:
    parts = urlsplit(address)
    call = {name: track[name] for name in ("userId", "event", "properties", "context")}
    return f"""<?php
require 'vendor/autoload.php';

use Segment\\Segment;

Segment::init('{KEY}', ['host' => '{parts.netloc}', 'ssl' => {"true" if parts.scheme == "https" else "false"}]);
Segment::track({literal(call, PHP)});
Segment::flush();
"""


def _at(value: Record, notation: _Notation) -> str:
    return literal(value, notation, 1).replace("\n    ", "\n  ")


_HTTPS = _(
    "This client always uses HTTPS: it reaches an address with a certificate only. It sends who somebody is once, then what they do."
)

_CLIENTS: dict[str, tuple[Callable[[Record, str], str], str, Any]] = {
    "web": (_web_client, "npm install @segment/analytics-next", _("Put dist/umd/index.js of the package on your site as /segment/index.js. With a bundler, import AnalyticsBrowser from the package instead.")),
    "node": (_node_client, "npm install @segment/analytics-node", ""),
    "python": (_python_client, "pip install segment-analytics-python", ""),
    "java": (_java_client, "com.segment.analytics.java:analytics", ""),
    "kotlin": (_kotlin_client, "com.segment.analytics.kotlin:android", _HTTPS),
    "swift": (_swift_client, "https://github.com/segmentio/analytics-swift", _HTTPS),
    "php": (_php_client, "composer require segmentio/analytics-php", ""),
}  # fmt: skip


def in_one_line(record: Record) -> str:
    """As a line of a file of JSON lines."""
    return json.dumps(record, ensure_ascii=False) + "\n"
