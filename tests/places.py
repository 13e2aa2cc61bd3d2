"""Every address of the product with something real to open at it, and what happened when somebody did."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest.mock import patch

from django.apps import apps
from django.contrib.admin import site
from django.contrib.messages import get_messages
from django.db import transaction
from django.urls import get_resolver, reverse
from django.urls.resolvers import URLResolver

from taxonomy.proposals.refused import NOT_ALLOWED


@dataclass(frozen=True)
class Address:
    name: str
    parameters: tuple[str, ...]


_NONE = re.compile("")


@cache
def addresses() -> tuple[Address, ...]:
    """Every named URL pattern. Those without a name only redirect, or catch what is none."""
    return tuple(_walk(get_resolver(), ""))


def _walk(resolver: URLResolver, namespace: str) -> Iterator[Address]:
    for one in resolver.url_patterns:
        if isinstance(one, URLResolver):
            yield from _walk(one, f"{namespace}{one.namespace}:" if one.namespace else namespace)
        elif one.name and one.name != "app_list":
            yield Address(namespace + one.name, tuple(one.pattern.converters or getattr(one.pattern, "regex", _NONE).groupindex))


class Samples:
    """What to put into addresses. `special`: {(name, parameter): value}, `common`: {parameter: value}."""

    def __init__(self, special: dict[tuple[str, str], Any], common: dict[str, Any]) -> None:
        self.special, self.common = special, common

    def url(self, name: str, parameters: tuple[str, ...]) -> str:
        return reverse(name, kwargs={one: self.value(name, one) for one in parameters})

    def value(self, name: str, parameter: str) -> Any:
        if (name, parameter) in self.special:
            return self.special[name, parameter]
        model = model_of(name)
        if parameter == "object_id" and model is not None:
            if row := model._default_manager.order_by("pk").first():
                return row.pk
        assert parameter in self.common, f"no sample of <{parameter}> for {name}: add one to the fixture `samples`"
        return self.common[parameter]


def model_of(name: str) -> Any:
    app, _underscore, rest = name.removeprefix("admin:").partition("_")
    return next(
        (model for model in apps.get_models() if model._meta.app_label == app and rest.split("_")[0] == model._meta.model_name), None
    )


@contextmanager
def undrawn() -> Iterator[None]:
    """Views answer as ever, and no page is drawn, nor the frame around it: that takes longer than deciding who may see it."""
    with patch("django.template.backends.django.Template.render", return_value=""), patch.object(site, "each_context", return_value={}):
        yield


@contextmanager
def _no_tracebacks() -> Iterator[None]:
    """Each refusal would be logged with one, and pytest would write them all down."""
    requests = logging.getLogger("django.request")
    level = requests.level
    requests.setLevel(logging.CRITICAL)
    yield
    requests.setLevel(level)


def is_let(client: Any, method: str, url: str, posted: dict[str, Any], *, drawn: bool = True, **headers: Any) -> bool:
    """Whether somebody is let do it; whatever it does is undone. 405 and 404: there is nothing to do."""
    with transaction.atomic(), nullcontext() if drawn else undrawn(), _no_tracebacks():
        raises, client.raise_request_exception = client.raise_request_exception, True
        answer = client.generic(method, url, **headers) if method == "GET" else client.post(url, posted, **headers)
        client.raise_request_exception = raises
        transaction.set_rollback(True)
    if answer.status_code in (401, 403, 404, 405):
        return False
    if answer.status_code == 302 and "/admin/login/" in answer["Location"]:
        return False
    assert answer.status_code < 500, (method, url, answer.status_code)
    refused = {str(NOT_ALLOWED["right"]), "Only its authors may do this. Join it as a co-author first."}
    return not refused & {str(one) for one in get_messages(answer.wsgi_request)}
