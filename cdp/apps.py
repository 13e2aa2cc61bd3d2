from typing import Any

from django.apps import AppConfig
from django.contrib.admin import apps as admin
from django.contrib.admin import autodiscover
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks


class SiteConfig(AppConfig):
    """The project's own pages and commands."""

    name = "cdp"


class AdminConfig(admin.SimpleAdminConfig):
    """The admin, whose pages are loaded with the addresses: a command that shows none begins in half the time."""

    default_site = "cdp.admin.TaglineAdminSite"

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_pages, checks.Tags.admin)


def _check_pages(app_configs: Any, **more: Any) -> Any:
    autodiscover()
    return check_admin_app(app_configs, **more)
