"""The description of the API is in the reader's language: every heading, and what each operation, parameter and field means."""

from collections.abc import Iterator
from typing import Any

from django.utils import translation
from django.utils.functional import Promise
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.plumbing import normalize_result_object


def said(node: Any, key: str = "") -> Iterator[str]:
    """Every title, heading and description."""
    if isinstance(node, dict):
        for name, inner in node.items():
            if name not in ("example", "examples", "properties") or isinstance(inner, dict):
                yield from said(inner, name)
    elif isinstance(node, list):
        for inner in node:
            yield from said(inner, key)
    elif key in ("summary", "description", "tags") and isinstance(node, str):
        yield node


def test_everything_that_is_said_can_be_translated(monkeypatch):
    """Whatever goes through the catalogue is marked; what is not is English for everybody."""
    real = translation._trans.gettext
    monkeypatch.setattr(translation._trans, "gettext", lambda text: f"«{real(text)}»")
    schema = normalize_result_object(SchemaGenerator().get_schema(public=True))
    assert schema["info"]["title"].startswith("«")
    plain = {one for one in said({"info": schema["info"], "paths": schema["paths"], "components": schema["components"]}) if "«" not in one}
    assert {one for one in plain if " " in one and not one.startswith("* `")} == set()


def test_every_operation_has_a_heading_and_says_what_it_does():
    for path in SchemaGenerator().get_schema(public=True)["paths"].values():
        for one in path.values():
            assert isinstance(one["summary"], str | Promise) and one["description"], one["operationId"]
