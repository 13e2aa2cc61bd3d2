"""The reading API's JSON: read and written exactly, as events are."""

from typing import Any

import msgspec
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer

from taxonomy.standardize import Refusal, decode_json
from taxonomy.violations import explain

_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


class ExactJSONParser(JSONParser):
    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        found = decode_json(stream.read())
        if isinstance(found, Refusal):
            told = explain(found.code, found.values)
            raise ParseError(f"{told.happened} {told.next}")
        return found


class ExactJSONRenderer(JSONRenderer):
    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else _encoder.encode(data)
