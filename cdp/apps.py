from typing import Any

from django.apps import AppConfig
from django.contrib.admin import apps as admin
from django.contrib.admin import autodiscover
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks

from cdp import environment

# What production needs to be told, and what goes wrong else.
_TO_SAY = {
    "SITE_URL": ("Links in letters, webhooks and the dictionary lead to 127.0.0.1.", "where people open Tagline, such as https://tagline.example.com"),
    "BEHIND_PROXY": ("Behind a proxy that does TLS every page is sent on to itself without end.", "1 behind a proxy that sets X-Forwarded-Proto, else 0"),
}  # fmt: skip


class SiteConfig(AppConfig):
    """The project's own pages and commands."""

    name = "cdp"

    def ready(self) -> None:
        checks.register(_check_said, checks.Tags.security, deploy=True)


class AdminConfig(admin.SimpleAdminConfig):
    """The admin, whose pages are loaded with the addresses: a command that shows none begins in half the time."""

    default_site = "cdp.admin.TaglineAdminSite"

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_pages, checks.Tags.admin)


def _check_said(app_configs: Any, **more: Any) -> list[checks.CheckMessage]:
    return [
        checks.Warning(f"{name} is not set. {else_}", hint=f"Set {name}: {wanted}. See .env.example.", id=f"tagline.{name.lower()}")
        for name, (else_, wanted) in _TO_SAY.items()
        if not environment.text(name)
    ]


def _check_pages(app_configs: Any, **more: Any) -> Any:
    autodiscover()
    return check_admin_app(app_configs, **more)
