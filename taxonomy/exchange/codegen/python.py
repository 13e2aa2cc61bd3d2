"""Python 3.11 or later, for segment-analytics-python and what takes the same calls. Checks under mypy --strict."""

import builtins
import json
import keyword
from itertools import product

from taxonomy.exchange.codegen.calls import Call, Given, Shape
from taxonomy.exchange.codegen.names import Names, pascal

PATH = "tagline_plan.py"
# A signature per way to give one of a group: more than so many would help nobody.
_MOST_WAYS = 8
_HEAD = '''"""Release {version} of the tag standard, by: manage.py plan codegen python. Do not edit; generate it again."""

from __future__ import annotations

import datetime as _datetime
from collections.abc import Mapping as _Mapping
from dataclasses import dataclass as _dataclass
from decimal import Decimal as _Decimal
from typing import Any as _Any
from typing import Literal as _Literal
from typing import NotRequired as _NotRequired
from typing import Protocol as _Protocol
from typing import TypedDict as _TypedDict
from typing import overload as _overload
{imports}

class Client(_Protocol):
    """What takes the calls: segment.analytics itself, a Client of it, or of any client with the same track()."""

    @property
    def track(self) -> _Any: ...


@_dataclass(frozen=True, slots=True)
class Known:
    """A customer you have an id for. The phone best with its country: "+86 138 0013 8000"."""

    user_id: str
    anonymous_id: str | None = None
    phone: str | None = None
    email: str | None = None


@_dataclass(frozen=True, slots=True)
class Anonymous:
    """Somebody known by the browser's or device's id only, and perhaps a phone."""

    anonymous_id: str
    phone: str | None = None
    email: str | None = None
    user_id: None = None


Who = Known | Anonymous


@_dataclass(frozen=True, slots=True)
class Options:
    """When it happened, if not now; an id that stays the same when you send it again; what else the client should send."""

    timestamp: _datetime.datetime | None = None
    message_id: str | None = None
    context: _Mapping[str, object] | None = None


class Money(_TypedDict):
    """An amount with a currency of its own, such as "CNY"."""

    amount: _Decimal | int | float
    currency: str


def _plain(value: object) -> object:
    """A value as JSON has it; decimals as text, which keeps their digits."""
    if isinstance(value, _Decimal):
        return str(value)
    if isinstance(value, _datetime.date):
        return value.isoformat()
    if isinstance(value, _Mapping):
        return {{key: _plain(inner) for key, inner in value.items()}}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _day(value: _datetime.date | None) -> _datetime.date | None:
    return value.date() if isinstance(value, _datetime.datetime) else value


def _send(client: Client, event: str, who: Who, attributes: _Mapping[str, object], options: Options) -> None:
    traits = {{key: value for key, value in (("phone", who.phone), ("email", who.email)) if value is not None}}
    context = {{**(options.context or {{}}), **({{"traits": traits}} if traits else {{}})}}
    client.track(
        user_id=who.user_id,
        anonymous_id=who.anonymous_id,
        event=event,
        properties={{key: _plain(value) for key, value in attributes.items() if value is not None}},
        context=context,
        timestamp=options.timestamp,
        message_id=options.message_id,
    )
'''
_DEPRECATED = """import sys as _sys

if _sys.version_info >= (3, 13):
    from warnings import deprecated as _deprecated
else:
    from typing_extensions import deprecated as _deprecated
"""
_NUMBER = "_Decimal | int | float"
_TYPES = {
    "text": "str",
    "integer": "int",
    "decimal": _NUMBER,
    "boolean": "bool",
    "date": "_datetime.date",
    "datetime": "_datetime.datetime",
    "choice": "str",
    "money": f"{_NUMBER} | Money",
    "phone": "str",
    "email": "str",
    "url": "str",
}
_RESERVED = frozenset({
    *keyword.kwlist, *keyword.softkwlist, *dir(builtins), "client", "who", "options", "Client", "Known", "Anonymous", "Who", "Options", "Money",
})  # fmt: skip


def write(calls: list[Call], version: str) -> dict[str, str]:
    names = Names(_RESERVED)
    head = _HEAD.format(version=_inside(version), imports=_DEPRECATED if any(call.is_deprecated for call in calls) else "")
    return {PATH: head + "".join(_function(call, names) for call in calls)}


def _function(call: Call, names: Names) -> str:
    name = names.give(call.code)
    parameters = Names(_RESERVED)
    parameter_of = {one.code: parameters.give(one.code) for one in call.attributes}
    classes: list[str] = []
    types = {one.code: _type(one.shape, f"{pascal(call.code)}{pascal(one.code)}", names, classes) for one in call.attributes}
    ways = list(product(*call.one_of)) if call.one_of else []

    def signature(also_required: tuple[str, ...], body: str) -> str:
        lines = [f"    {parameter_of[one.code]}: {_argument(one, types[one.code], also_required)},\n" for one in call.attributes]
        keywords = "    *,\n" if lines else ""
        return f"def {name}(\n    client: Client,\n    who: Who,\n{keywords}{''.join(lines)}    options: Options = Options(),\n) -> None:{body}\n"

    overloads = "".join(f"@_overload\n{signature(way, ' ...')}" for way in ways) if 1 < len(ways) <= _MOST_WAYS else ""
    always = ways[0] if len(ways) == 1 else ()
    deprecated = f"@_deprecated({_text(_instead(call))})\n" if call.is_deprecated else ""
    if overloads and deprecated:
        overloads = overloads.replace("@_overload\n", f"@_overload\n{deprecated}")
    sent = "".join(f"            {_text(one.code)}: {_value(one, parameter_of[one.code])},\n" for one in call.attributes)
    body = f"\n{_docstring(call, parameter_of)}    _send(\n        client,\n        {_text(call.code)},\n        who,\n        {{\n{sent}        }},\n        options,\n    )"
    return "\n\n" + "".join(f"{one}\n\n\n" for one in classes) + overloads + deprecated + signature(always, body)


def _instead(call: Call) -> str:
    return f"Send {call.successor} instead." if call.successor else "Ask the owner of the tag what to send."


def _argument(one: Given, written: str, also_required: tuple[str, ...]) -> str:
    return written if one.required or one.code in also_required else f"{written} | None = None"


def _value(one: Given, parameter: str) -> str:
    return f"_day({parameter})" if one.shape.type == "date" else parameter


def _type(shape: Shape, class_name: str, names: Names, classes: list[str]) -> str:
    """The annotation of a shape; an object's fields become a class of their own."""
    if shape.choices:
        return f"_Literal[{', '.join(_text(choice) for choice in shape.choices)}]"
    if shape.type == "list" and shape.of is not None:
        inner = _type(shape.of, class_name, names, classes)
        return f"list[{inner}] | tuple[{inner}, ...]"
    if shape.type != "object":
        return _TYPES[shape.type]
    if not shape.fields:
        return "_Mapping[str, object]"
    fields = [
        (name, _type(inner, f"{class_name}{pascal(name)}", names, classes), required) for name, (inner, required) in shape.fields.items()
    ]
    given = names.give(class_name if class_name.isidentifier() else "Fields")
    listed = "".join(f"    {_text(name)}: {written if required else f'_NotRequired[{written}]'},\n" for name, written, required in fields)
    classes.append(f"{given} = _TypedDict({_text(given)}, {{\n{listed}}})")
    return given


def _docstring(call: Call, parameter_of: dict[str, str]) -> str:
    lines = [*(_inside(line) for line in call.about), f"Event: {call.code}"]
    for group in call.one_of:
        lines.append(f"At least one of: {', '.join(parameter_of[code] for code in group)}")
    if call.is_deprecated:
        lines.append(f"Deprecated. {_instead(call)}")
    told = [f"    {line}\n" for line in lines]
    if call.attributes:
        told.append("\n")
    told += [f"    {parameter_of[one.code]}: {_inside(' '.join(one.about))}\n" for one in call.attributes]
    return '    """\n' + "".join(told) + '    """\n'


def _inside(text: str) -> str:
    """A text inside a docstring, which nothing in it can end."""
    return " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
