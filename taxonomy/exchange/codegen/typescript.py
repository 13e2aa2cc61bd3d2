"""TypeScript, for @segment/analytics-node and what takes the same calls. Compiles under --strict."""

import json
import re

from taxonomy.exchange.codegen.calls import Call, Given, Shape
from taxonomy.exchange.codegen.names import Names, camel, pascal

PATH = "tagline-plan.ts"
_HEAD = """// Release {version} of the tag standard, by: manage.py plan codegen typescript. Do not edit; generate it again.

/** What takes the calls: an Analytics of @segment/analytics-node, or of any client with the same track(). */
export interface Client {{
  track(message: Message): unknown
}}

/** Whom an event is about: an id of your own, or the browser's or device's until you know one. */
export type Who = ({{ userId: string; anonymousId?: string }} | {{ userId?: string; anonymousId: string }}) & {{
  /** The customer's phone number, best with its country: "+86 138 0013 8000". */
  phone?: string
  email?: string
}}

/** When it happened, if not now; an id that stays the same when you send it again; what else the client should send. */
export interface Options {{
  timestamp?: Date | string
  messageId?: string
  context?: Record<string, unknown>
}}

export type Message = ({{ userId: string; anonymousId?: string }} | {{ userId?: string; anonymousId: string }}) & {{
  event: string
  properties: Record<string, unknown>
  context: Record<string, unknown>
  timestamp?: Date | string
  messageId?: string
}}

/** A number, or its digits as text where a number would lose some. */
export type Decimal = number | `${{number}}`
/** An amount in the currency of the event or the source, or with a currency of its own such as "CNY". */
export type Money = Decimal | {{ amount: Decimal; currency: string }}
/** A day such as "2026-01-31". */
export type Day = `${{number}}-${{number}}-${{number}}`
/** A time, such as "2026-01-31T10:00:00+08:00". */
export type Moment = Date | string

/** The day of a Date, in the time zone of this machine. */
export function dayOf(date: Date): Day {{
  const two = (part: number) => String(part).padStart(2, '0')
  return `${{date.getFullYear()}}-${{two(date.getMonth() + 1)}}-${{two(date.getDate())}}` as Day
}}

function send(client: Client, event: string, who: Who, properties: object, options: Options): void {{
  const {{ phone, email, ...ids }} = who
  const traits = {{ ...(phone === undefined ? {{}} : {{ phone }}), ...(email === undefined ? {{}} : {{ email }}) }}
  const context = Object.keys(traits).length ? {{ ...options.context, traits }} : {{ ...options.context }}
  client.track({{ ...options, ...ids, event, properties: {{ ...properties }}, context }})
}}
"""
_TYPES = {
    "text": "string",
    "integer": "number",
    "decimal": "Decimal",
    "boolean": "boolean",
    "date": "Day",
    "datetime": "Moment",
    "choice": "string",
    "money": "Money",
    "phone": "string",
    "email": "string",
    "url": "string",
}
# TypeScript's words, and the names that the head of the file has.
_RESERVED = frozenset(
    re.findall(
        r"\w+",
        """
        abstract any arguments as async await bigint boolean break case catch class const continue debugger declare default delete do
        else enum eval export extends false finally for from function get if implements import in infer instanceof interface is keyof
        let module namespace never new null number object of package private protected public readonly require return set static
        string super switch symbol this throw true try type typeof undefined unique unknown var void while with yield
        client who attributes options send dayOf Client Who Options Message Decimal Money Day Moment
        Object String Date Record ReadonlyArray NaN Infinity
        """,
    )
)


def write(calls: list[Call], version: str) -> dict[str, str]:
    names = Names(_RESERVED)
    return {PATH: _HEAD.format(version=" ".join(version.split())) + "".join(_function(call, names) for call in calls)}


def _function(call: Call, names: Names) -> str:
    name, type_name = names.give(camel(call.code)), names.give(f"{pascal(call.code)}Attributes")
    about = list(call.about)
    if call.is_deprecated:
        about.append(f"@deprecated {f'Send {call.successor} instead.' if call.successor else 'Ask the owner of the tag what to send.'}")
    body = "{\n" + "\n".join(_property(one) for one in call.attributes) + "\n}" if call.attributes else "Record<string, never>"
    groups = "".join(f" & ({' | '.join(_one_given(call, code) for code in group)})" for group in call.one_of)
    needs_some = call.one_of or any(one.required for one in call.attributes)
    return f"""
export type {type_name} = {body}{groups}

{_comment([*about, f"Event: {call.code}"])}export function {name}(client: Client, who: Who, attributes: {type_name}{"" if needs_some else " = {}"}, options: Options = {{}}): void {{
  send(client, {_text(call.code)}, who, attributes, options)
}}
"""


def _one_given(call: Call, code: str) -> str:
    shape = next(one.shape for one in call.attributes if one.code == code)
    return f"{{ {_key(code)}: {_type(shape)} }}"


def _property(one: Given) -> str:
    return f"{_comment(one.about, '  ')}  {_key(one.code)}{'' if one.required else '?'}: {_type(one.shape)}"


def _type(shape: Shape) -> str:
    if shape.choices:
        return " | ".join(_text(choice) for choice in shape.choices)
    if shape.type == "list" and shape.of is not None:
        return f"ReadonlyArray<{_type(shape.of)}>"
    if shape.type == "object":
        fields = "".join(f"{_key(name)}{'' if required else '?'}: {_type(inner)}; " for name, (inner, required) in shape.fields.items())
        return f"{{ {fields}[key: string]: unknown }}"
    return _TYPES[shape.type]


def _key(name: str) -> str:
    return name if name.isascii() and name.isidentifier() else _text(name)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _comment(lines: list[str], indent: str = "") -> str:
    """A documentation comment, which no text in it can end."""
    if not lines:
        return ""
    said = [line.replace("*/", "* /") for line in lines]
    if len(said) == 1:
        return f"{indent}/** {said[0]} */\n"
    return f"{indent}/**\n" + "".join(f"{indent} * {line}\n" for line in said) + f"{indent} */\n"
